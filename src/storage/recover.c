/*
 * storage/recover.c: redo. Every record from the checkpoint's redo position is applied to the pages whose LSN is older.
 *
 * The log is read twice: first to find its end and what it frees (analysis), then to apply it.
 *
 * R1  A page's first record after its allocation carries WAL_PAGE_INIT, so a page without a valid image (never written, punched,
 *     torn after it was freed) needs nothing before that record: other records on it are skipped, and no frame is left that
 *     would pass for the page. Should such a page be live after all, whoever reads it finds the wrong checksum and names it.
 * R2  A record on a page that a later record frees is skipped. Freed pages are thrown away unwritten, so what the file has
 *     of such a page may be older than the redo position, and the record may not fit it.
 * R3  Until store_recover has returned nothing is appended to the log; pages written meanwhile carry LSNs that are durable.
 *     So recovery may itself be cut off anywhere, and starts again from the same position.
 */
#include "storage/storage_int.h"

enum { PROGRESS_EVERY_US = 2000000 };

typedef struct Redo {
    Store *s;
    Lsn from, end;
    int64_t said_us;
    uint64_t records, applied, no_image;
    U64Map free_extents; /* extent -> LSN of the last record that freed it whole */
    U64Map free_pages;   /* page number in a shared extent -> LSN of the last record that freed it */
    U64Map shared;       /* shared extent -> its pages in use as of the last record about it */
} Redo;

/* ---- analysis ---- */

static bool note_shared(Redo *r, uint32_t extent, uint64_t used, Lsn lsn)
{
    uint64_t before = UINT64_MAX;
    (void)u64map_get(&r->shared, extent, &before);
    uint64_t gone = before & ~used;
    for (; gone != 0; gone &= gone - 1) {
        uint64_t page = (uint64_t)extent * EXTENT_PAGES + (unsigned)__builtin_ctzll(gone);
        if (!u64map_put(&r->free_pages, page, lsn.v)) {
            return false;
        }
    }
    return u64map_put(&r->shared, extent, used);
}

static bool note_change(Redo *r, PageId map_page, const uint8_t *change, Lsn lsn)
{
    uint32_t extent = (uint32_t)(page_number(map_page) / EXTENT_PAGES) + load_u32(change);
    switch (load_u32(change + 4)) {
    case EXTENT_FREE: return u64map_put(&r->free_extents, extent, lsn.v) && u64map_put(&r->shared, extent, 0);
    case EXTENT_SHARED: return note_shared(r, extent, load_u64(change + 16), lsn);
    default: return true;
    }
}

/* WalScanFn of the first pass. Lengths and numbers are checked when the record is applied; here they only must do no harm. */
static Status analyse_record(void *arg, Ctx *cx, const WalRecord *rec)
{
    Redo *r = arg;
    for (unsigned i = 0; i < rec->n_pages; i++) {
        const WalPage *p = &rec->pages[i];
        if (p->redo != REDO_EXTENT_MAP) {
            continue;
        }
        for (uint32_t at = 0; at + EXTENT_CHANGE_BYTES <= p->len; at += EXTENT_CHANGE_BYTES) {
            if (!note_change(r, p->id, p->data + at, rec->lsn)) {
                return ctx_nomem(cx, r->free_pages.capacity * 2 * sizeof(struct U64Slot));
            }
        }
    }
    return ST_OK;
}

static bool freed_later(const Redo *r, PageId page, Lsn lsn)
{
    uint64_t at;
    return (u64map_get(&r->free_extents, page_number(page) / EXTENT_PAGES, &at) && at > lsn.v) ||
           (u64map_get(&r->free_pages, page_number(page), &at) && at > lsn.v);
}

/* ---- redo ---- */

static Status redo_failed(Ctx *cx, Redo *r, const WalRecord *rec, const WalPage *ref, Status st)
{
    const char *name = r->s->registry.type_name[rec->type];
    err_detail(cx->err, "Log record %s at %llu, page %llu.", name != NULL ? name : "?", (unsigned long long)rec->lsn.v,
               (unsigned long long)ref->id.v);
    return st;
}

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
    if (freed_later(r, ref->id, rec->lsn)) {
        return ST_OK;
    }
    Status st = buf_fix_redo(cx, s, ref->id, &f, &valid);
    if (st != ST_OK) {
        return st;
    }
    bool init = (ref->flags & WAL_PAGE_INIT) != 0;
    if (!valid && !init) {
        r->no_image++;
        buf_drop(f);
        return ST_OK;
    }
    if (valid && page_header_const(f->page)->lsn >= rec->end.v) {
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
        st = redo_failed(cx, r, rec, ref, st);
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
                 (unsigned long long)((rec->lsn.v - r->from.v) >> 20),
                 (unsigned long long)((r->end.v - r->from.v) >> 20));
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

static Status redo_all(Ctx *cx, Redo *r)
{
    Store *s = r->s;
    Lsn end;
    if (!s->control.clean || r->end.v != s->control.checkpoint_lsn) {
        log_line(s->log, LOG_INFO, "recovery: the store was not stopped cleanly; redo from %llu to %llu",
                 (unsigned long long)r->from.v, (unsigned long long)r->end.v);
    }
    Status st = wal_scan(cx, s, r->from, redo_record, r, false, &end);
    if (st == ST_OK && end.v != r->end.v) {
        st = err_set(cx->err, ST_IO_ERROR, "the log was read twice and ended at %llu and %llu",
                     (unsigned long long)r->end.v, (unsigned long long)end.v);
    }
    if (st == ST_OK) {
        log_line(s->log, LOG_DEBUG, "recovery: %llu records, %llu page changes applied, %llu had no page",
                 (unsigned long long)r->records, (unsigned long long)r->applied, (unsigned long long)r->no_image);
    }
    return st;
}

Status store_recover(Ctx *cx, Store *s)
{
    Redo r = {.s = s, .from = {s->control.redo_lsn}, .said_us = os_monotonic_us()};
    u64map_init(&r.free_extents, s->budget);
    u64map_init(&r.free_pages, s->budget);
    u64map_init(&r.shared, s->budget);
    Status st = dw_restore(cx, s);
    if (st == ST_OK) {
        st = wal_scan(cx, s, r.from, analyse_record, &r, true, &r.end);
    }
    if (st == ST_OK && r.end.v < s->control.checkpoint_lsn) {
        st = err_set(cx->err, ST_CORRUPTED, "the log ends at %llu, before the last checkpoint at %llu",
                     (unsigned long long)r.end.v, (unsigned long long)s->control.checkpoint_lsn);
    }
    if (st == ST_OK) {
        wal_set_position(s, r.end);
        st = wal_start_append(cx, s);
    }
    if (st == ST_OK) {
        st = redo_all(cx, &r);
    }
    u64map_done(&r.free_extents);
    u64map_done(&r.free_pages);
    u64map_done(&r.shared);
    return st;
}
