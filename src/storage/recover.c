/*
 * storage/recover.c: redo. Every record from the checkpoint's redo position is applied to the pages whose LSN is older.
 *
 * R1  A page's first record after its allocation carries WAL_PAGE_INIT, so a page without a valid image (never written, punched,
 *     torn after it was freed) needs nothing before that record: other records on it are skipped. Should such a page be
 *     live after all, whoever reads it finds the wrong checksum and names it.
 */
#include "storage/storage_int.h"

enum { PROGRESS_EVERY_US = 2000000 };

typedef struct Redo {
    Store *s;
    Lsn from, end;
    int64_t said_us;
    uint64_t records, applied;
} Redo;

static Status redo_page(Ctx *cx, Redo *r, const WalRecord *rec, const WalPage *ref)
{
    Store *s = r->s;
    BufFrame *f;
    bool valid;
    RedoFn fn = s->registry.redo[ref->redo];
    if (fn == NULL) {
        return err_set(cx->err, ST_CORRUPTED, "the log record at %llu has the unknown redo kind %u",
                       (unsigned long long)rec->lsn.v, ref->redo);
    }
    Status st = buf_fix_redo(cx, s, ref->id, &f, &valid);
    if (st != ST_OK) {
        return st;
    }
    bool init = (ref->flags & WAL_PAGE_INIT) != 0;
    if ((valid && page_header_const(f->page)->lsn >= rec->end.v) || (!valid && !init)) {
        buf_unfix(f);
        return ST_OK;
    }
    if (init) {
        memset(f->page, 0, PAGE_BYTES);
    }
    buf_mark_dirty_at(f, rec->lsn);
    st = fn(ref, f->page, cx->err);
    if (st == ST_OK) {
        page_header(f->page)->lsn = rec->end.v;
        r->applied++;
    } else {
        err_detail(cx->err, "Log record %s at %llu, page %llu.",
                   s->registry.type_name[rec->type] != NULL ? s->registry.type_name[rec->type] : "?",
                   (unsigned long long)rec->lsn.v, (unsigned long long)ref->id.v);
    }
    buf_unfix(f);
    return st;
}

static void progress(Redo *r, const WalRecord *rec)
{
    int64_t now = os_monotonic_us();
    if (now - r->said_us >= PROGRESS_EVERY_US) {
        r->said_us = now;
        log_line(r->s->log, LOG_INFO, "recovery: redo %llu of %llu MiB",
                 (unsigned long long)((rec->lsn.v - r->from.v) >> 20), (unsigned long long)((r->end.v - r->from.v) >> 20));
    }
}

static Status redo_record(void *arg, Ctx *cx, const WalRecord *rec)
{
    Redo *r = arg;
    StoreRegistry *reg = &r->s->registry;
    if (rec->type == WAL_OBJECT_IDS && rec->body_len == sizeof(uint64_t)) {
        object_ids_replay(r->s, load_u64(rec->body));
    }
    if (reg->replay[rec->type] != NULL) {
        Status st = reg->replay[rec->type](reg->replay_arg[rec->type], cx, rec);
        if (st != ST_OK) {
            return st;
        }
    }
    for (unsigned i = 0; i < rec->n_pages; i++) {
        Status st = redo_page(cx, r, rec, &rec->pages[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    if ((++r->records & 1023) == 0) {
        progress(r, rec);
    }
    return ST_OK;
}

Status store_recover(Ctx *cx, Store *s)
{
    Redo r = {.s = s, .from = {s->control.redo_lsn}, .said_us = os_monotonic_us()};
    Status st = dw_restore(cx, s);
    if (st == ST_OK) {
        st = wal_scan(cx, s, r.from, NULL, NULL, &r.end);
    }
    if (st != ST_OK) {
        return st;
    }
    if (r.end.v < s->control.checkpoint_lsn) {
        return err_set(cx->err, ST_CORRUPTED, "the log ends at %llu, before the last checkpoint at %llu",
                       (unsigned long long)r.end.v, (unsigned long long)s->control.checkpoint_lsn);
    }
    wal_set_position(s, r.end);
    st = wal_start_append(cx, s);
    if (st != ST_OK) {
        return st;
    }
    if (!s->control.clean || r.end.v != s->control.checkpoint_lsn) {
        log_line(s->log, LOG_INFO, "recovery: the store was not stopped cleanly; redo from %llu to %llu",
                 (unsigned long long)r.from.v, (unsigned long long)r.end.v);
    }
    Lsn end;
    st = wal_scan(cx, s, r.from, redo_record, &r, &end);
    if (st == ST_OK) {
        ASSERT(end.v == r.end.v);
        log_line(s->log, LOG_DEBUG, "recovery: %llu records, %llu page changes applied", (unsigned long long)r.records,
                 (unsigned long long)r.applied);
    }
    return st;
}
