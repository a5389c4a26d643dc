/*
 * txn/recover.c: what a checkpoint keeps of transactions, and rebuilding them from the log.
 *
 * Replay pushes the undo of every record of a transaction into a lane, as the first execution did, and pops it at each
 * compensation; so when the log ends the unfinished transactions stand there as if they were running, and are rolled back by
 * the code that ROLLBACK uses. A checkpoint writes the undo of running transactions into the log again, each as of one LSN
 * (under its undo_mutex), so that replay needs nothing from before the checkpoint.
 *
 * Y1  After the pieces of a transaction were replayed its list equals what it was when they were written.
 * Y2  Every delete mark in a page is known to somebody: a running transaction, an unpurged one in a lane, or the sweep list.
 */
#include "txn/txn_int.h"

enum { PIECE_BYTES = 32768, PIECE_MAX = PIECE_BYTES + UNDO_CHUNK_BYTES, STATE_ENTRIES = 256, STATE_HEAD_BYTES = 24 };

static Status replay_purge(Ctx *cx, TxnSystem *ts, const WalRecord *rec);

/* ---- transactions during replay ---- */

static Status replay_txn(Ctx *cx, TxnSystem *ts, TxnId id, Txn **out_txn)
{
    uint64_t p;
    if (u64map_get(&ts->replay, id.v, &p)) {
        *out_txn = (Txn *)(uintptr_t)p;
        return ST_OK;
    }
    Txn *t;
    Status st = txn_new(cx, ts, 0, &t);
    if (st != ST_OK) {
        return st;
    }
    st = txn_start_writing(cx, t, id);
    if (st == ST_OK && !u64map_put(&ts->replay, id.v, (uintptr_t)t)) {
        st = ctx_nomem(cx, sizeof(uint64_t));
        txn_end_writing(t, COMMIT_ABORTED, LSN_NONE);
    }
    if (st != ST_OK) {
        txn_free(t);
        return st;
    }
    if (id.v >= atomic_load_explicit(&ts->next_txn, memory_order_relaxed)) {
        atomic_store_explicit(&ts->next_txn, id.v + 1, memory_order_relaxed);
    }
    *out_txn = t;
    return ST_OK;
}

static Status push(Ctx *cx, Txn *t, UndoNew *n)
{
    Status st = undo_reserve(cx, &t->ts->undo, t->lane, n->payload_len);
    if (st == ST_OK) {
        (void)undo_push(t, n);
    }
    return st;
}

static Status bad(Ctx *cx, const WalRecord *rec)
{
    return err_set(cx->err, ST_CORRUPTED, "the log record at %llu (type %u) is corrupted", (unsigned long long)rec->lsn.v,
                   rec->type);
}

/* The newest record of the list, copied into the transaction's buffer. */
static Status top(Ctx *cx, Txn *t, UndoRec *out)
{
    const UndoRec *r;
    epoch_enter(t->ts->epoch);
    Status st = undo_get(cx, &t->ts->undo, &t->reader, t->last, &r);
    ASSERT(st != ST_OK || r != NULL);
    if (st == ST_OK) {
        memcpy((void *)out, (const void *)r, sizeof *out);
    }
    epoch_leave(t->ts->epoch);
    return st;
}

static Status pop_top(Ctx *cx, Txn *t, const UndoRec *rec)
{
    Status st = undo_mark_dead(cx, &t->ts->undo, t->last);
    t->last = rec->prev_txn;
    return st;
}

/*
 * Pops down to and including the record that the compensation undoes; those above it had nothing to undo. Between a
 * checkpoint's begin and its pieces of this transaction, what is undone may be from before the begin: replay has not met it.
 */
static Status pop_lsn(Ctx *cx, Txn *t, uint64_t lsn, const WalRecord *rec)
{
    bool found = false;
    while (!found) {
        UndoRec r;
        if (t->last == t->header) {
            return t->replay_whole ? bad(cx, rec) : ST_OK;
        }
        Status st = top(cx, t, &r);
        if (st == ST_OK) {
            found = r.lsn == lsn;
            st = pop_top(cx, t, &r);
        }
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

static Status compensation(Ctx *cx, Txn *t, const WalRecord *rec)
{
    return rec->body_len == 8 ? pop_lsn(cx, t, load_u64(rec->body), rec) : bad(cx, rec);
}

static Status sweep_note(Ctx *cx, TxnSystem *ts, ObjectRef object, PageId page)
{
    bool failed = false;
    sweep_add(ts, object, page, &failed);
    return failed ? ctx_nomem(cx, sizeof(SweepPage)) : ST_OK;
}

/* ---- table rows ---- */

static Status replay_insert(Ctx *cx, Txn *t, const WalRecord *rec)
{
    uint16_t slots[HEAP_SLOTS_MAX];
    HeapChange c;
    HeapChangeRow row;
    unsigned n = 0;
    if (rec->n_pages == 0 || rec->body_len != OBJECT_BODY_BYTES) {
        return bad(cx, rec);
    }
    Status st = heap_change_begin(&c, &rec->pages[0], cx->err);
    while (st == ST_OK && (st = heap_change_row(&c, cx->err, &row)) == ST_OK) {
        if (n == HEAP_SLOTS_MAX) {
            return bad(cx, rec);
        }
        slots[n++] = row.slot;
    }
    if (st != ST_END) {
        return st;
    }
    UndoNew u = {.type = UNDO_INSERT, .n = (uint16_t)n, .payload = slots, .payload_len = n * 2, .lsn = rec->end,
                 .tid = rec->pages[0].id.v, .object = get_object(rec->body)};
    return n > 0 ? push(cx, t, &u) : ST_OK;
}

static Status one_slot(Ctx *cx, const WalRecord *rec, Tid *out_tid)
{
    HeapChange c;
    HeapChangeRow row;
    if (rec->n_pages == 0) {
        return bad(cx, rec);
    }
    Status st = heap_change_begin(&c, &rec->pages[0], cx->err);
    if (st == ST_OK) {
        st = heap_change_row(&c, cx->err, &row);
    }
    if (st == ST_OK) {
        /* Undo and purge go by page and slot; the generation is the page's business. */
        *out_tid = tid_make(rec->pages[0].id, row.slot, 0);
    }
    return st == ST_END ? bad(cx, rec) : st;
}

static Status replay_update(Ctx *cx, Txn *t, const WalRecord *rec)
{
    Tid tid;
    if (rec->body_len < OBJECT_BODY_BYTES + 8) {
        return bad(cx, rec);
    }
    Status st = one_slot(cx, rec, &tid);
    if (st != ST_OK) {
        return st;
    }
    /* aux stays 0: there is no version table that has reserved bytes for it. */
    UndoNew u = {.type = UNDO_UPDATE, .tid = tid.v, .object = get_object(rec->body), .old_stamp = load_u32(rec->body + 16),
                 .payload = rec->body + OBJECT_BODY_BYTES + 8, .payload_len = rec->body_len - OBJECT_BODY_BYTES - 8,
                 .lsn = rec->end};
    return push(cx, t, &u);
}

static Status replay_delete(Ctx *cx, Txn *t, const WalRecord *rec)
{
    Tid tid;
    if (rec->body_len != OBJECT_BODY_BYTES + 12) {
        return bad(cx, rec);
    }
    Status st = one_slot(cx, rec, &tid);
    if (st == ST_OK) {
        st = sweep_note(cx, t->ts, get_object(rec->body), rec->pages[0].id);
    }
    if (st != ST_OK) {
        return st;
    }
    UndoNew u = {.type = UNDO_DELETE, .tid = tid.v, .object = get_object(rec->body), .old_stamp = load_u32(rec->body + 16),
                 .moved_to = load_u64(rec->body + 20), .lsn = rec->end};
    return push(cx, t, &u);
}

static Status replay_heap(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    Txn *t;
    if (rec->txn.v == 0) {
        return rec->type == HEAP_WAL_FREE && (rec->flags & REC_PURGE) != 0 ? replay_purge(cx, ts, rec) : ST_OK;
    }
    Status st = replay_txn(cx, ts, rec->txn, &t);
    if (st != ST_OK) {
        return st;
    }
    if ((rec->flags & REC_CLR) != 0) {
        return compensation(cx, t, rec);
    }
    switch (rec->type) {
    case HEAP_WAL_INSERT:
        return replay_insert(cx, t, rec);
    case HEAP_WAL_UPDATE:
        return replay_update(cx, t, rec);
    case HEAP_WAL_DELETE:
        return replay_delete(cx, t, rec);
    default:
        return bad(cx, rec);
    }
}

/* ---- frees ---- */

/* A purged row's chains become due with the record that frees its slot. */
static Status replay_purge(Ctx *cx, TxnSystem *ts, const WalRecord *rec)
{
    if (rec->body_len < 8 + OBJECT_BODY_BYTES || rec->body_len % 8 != 0) {
        return bad(cx, rec);
    }
    Status st = ST_OK;
    for (uint32_t at = 8 + OBJECT_BODY_BYTES; at < rec->body_len && st == ST_OK; at += 8) {
        PendingFree f = {get_object(rec->body + 8), {load_u64(rec->body + at)}, 0, 0};
        st = pending_replay(cx, ts, f);
    }
    return st;
}

static Status pop_chain(Ctx *cx, Txn *t, uint64_t number)
{
    while (t->last != t->header) {
        UndoRec r;
        Status st = top(cx, t, &r);
        if (st != ST_OK) {
            return st;
        }
        if (r.type != UNDO_OVERFLOW || r.moved_to != number) {
            break;
        }
        st = pop_top(cx, t, &r);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

static Status replay_overflow(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    OverflowRecord o;
    Txn *t;
    Status st = overflow_record(rec, cx->err, &o);
    if (st != ST_OK) {
        return st;
    }
    if (rec->txn.v == 0) {
        if (rec->type == HEAP_WAL_OVERFLOW_FREE && o.gone) {
            pending_chain_gone(ts, o.page);
        }
        return ST_OK;
    }
    if (o.body_len != 8) {
        return bad(cx, rec);
    }
    st = replay_txn(cx, ts, rec->txn, &t);
    if (st != ST_OK) {
        return st;
    }
    if (rec->type == HEAP_WAL_OVERFLOW_FREE) {
        return o.gone ? pop_chain(cx, t, load_u64(o.body)) : ST_OK;
    }
    UndoNew u = {.type = UNDO_OVERFLOW, .tid = o.page.v, .moved_to = load_u64(o.body), .object = o.object, .lsn = rec->end};
    return push(cx, t, &u);
}

/* ---- indexes and objects ---- */

static Status replay_index(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    BTreeRecord b;
    Txn *t;
    if (rec->txn.v == 0) {
        return ST_OK;
    }
    Status st = btree_record_read(rec, &b, cx->err);
    if (st == ST_OK) {
        st = replay_txn(cx, ts, rec->txn, &t);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!b.is_insert) {
        return b.how.kind == BTREE_UNDO ? pop_lsn(cx, t, b.how.undoes.v, rec) : ST_OK;
    }
    UndoNew u = {.type = UNDO_INDEX_INSERT, .payload = b.key.p, .payload_len = b.key.len, .tid = b.tid.v,
                 .moved_to = b.root.v, .lsn = rec->end};
    return push(cx, t, &u);
}

static Status replay_create(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    Txn *t;
    Status st = replay_txn(cx, ts, rec->txn, &t);
    if (st != ST_OK) {
        return st;
    }
    if ((rec->flags & REC_CLR) != 0) {
        return compensation(cx, t, rec);
    }
    if (rec->body_len < OBJECT_BODY_BYTES) {
        return bad(cx, rec);
    }
    UndoNew u = {.type = UNDO_CREATE, .object = get_object(rec->body), .lsn = rec->end};
    return push(cx, t, &u);
}

/* ---- commit, abort ---- */

static void published_at_least(TxnSystem *ts, uint64_t v)
{
    if (v != COMMIT_ABORTED && v > atomic_load_explicit(&ts->published, memory_order_relaxed)) {
        atomic_store_explicit(&ts->published, v, memory_order_relaxed);
    }
}

static Status replay_end(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    uint64_t p;
    bool commit = rec->type == WAL_TXN_COMMIT;
    if (commit && rec->body_len != 8) {
        return bad(cx, rec);
    }
    uint64_t commit_ts = commit ? load_u64(rec->body) : COMMIT_ABORTED;
    published_at_least(ts, commit_ts);
    if (rec->txn.v >= atomic_load_explicit(&ts->next_txn, memory_order_relaxed)) {
        atomic_store_explicit(&ts->next_txn, rec->txn.v + 1, memory_order_relaxed);
    }
    if (!u64map_remove(&ts->replay, rec->txn.v, &p)) {
        return ST_OK;
    }
    Txn *t = (Txn *)(uintptr_t)p;
    Status st = ST_OK;
    for (size_t i = 0; commit && st == ST_OK && i < t->pending.n; i++) {
        PendingFree f = t->pending.v[i];
        f.ts = commit_ts;
        st = pending_replay(cx, ts, f);
    }
    if (commit) {
        atomic_fetch_add_explicit(&ts->unpurged, 1, memory_order_relaxed);
    }
    txn_end_writing(t, commit_ts, commit ? rec->end : LSN_NONE);
    txn_free(t);
    return st;
}

static Status replay_pending(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    Txn *t;
    Status st = replay_txn(cx, ts, rec->txn, &t);
    if (st == ST_OK && rec->body_len % 24 != 0) {
        st = bad(cx, rec);
    }
    if (st == ST_OK && (rec->flags & UNDO_PIECE_FIRST) != 0) {
        t->pending.n = 0;
    }
    for (uint32_t at = 0; st == ST_OK && at < rec->body_len; at += 24) {
        PendingFree f = {get_object(rec->body + at), {load_u64(rec->body + at + 16)}, 0, 0};
        st = VEC_PUSH(&t->pending, f) ? ST_OK : ctx_nomem(cx, sizeof f);
    }
    return st;
}

/* ---- checkpoint pieces ---- */

static Status reset_list(Ctx *cx, Txn *t)
{
    Status st = ST_OK;
    while (st == ST_OK && t->last != t->header) {
        UndoRec r;
        st = top(cx, t, &r);
        if (st == ST_OK) {
            st = pop_top(cx, t, &r);
        }
    }
    t->pending.n = 0;
    return st;
}

static Status replay_piece(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    Txn *t;
    Status st = replay_txn(cx, ts, rec->txn, &t);
    if (st == ST_OK && (rec->flags & UNDO_PIECE_FIRST) != 0) {
        st = reset_list(cx, t);
        t->replay_whole = true;
    }
    for (uint32_t at = 0; st == ST_OK && at < rec->body_len;) {
        UndoRec r;
        if (rec->body_len - at < sizeof r) {
            return bad(cx, rec);
        }
        memcpy((void *)&r, rec->body + at, sizeof r);
        if (r.len < sizeof r || r.len > rec->body_len - at || r.payload_len > r.len - sizeof r ||
            r.len > UNDO_CHUNK_BYTES - 16) {
            return bad(cx, rec);
        }
        UndoNew u = {.type = r.type, .payload = rec->body + at + sizeof r, .payload_len = r.payload_len, .old_stamp = r.old_stamp,
                     .n = r.n, .tid = r.tid, .moved_to = r.moved_to, .object = {{r.object}, {r.object_header}}, .lsn = {r.lsn}};
        if (r.type == UNDO_DELETE) {
            st = sweep_note(cx, ts, u.object, tid_page((Tid){r.tid}));
        }
        if (st == ST_OK) {
            st = push(cx, t, &u);
        }
        at += r.len;
    }
    return st;
}

static Status replay_state(void *arg, Ctx *cx, const WalRecord *rec)
{
    TxnSystem *ts = arg;
    if (rec->body_len < STATE_HEAD_BYTES) {
        return bad(cx, rec);
    }
    uint32_t n_pending = load_u32(rec->body + 16);
    uint32_t n_pages = load_u32(rec->body + 20);
    if (rec->body_len != STATE_HEAD_BYTES + (uint64_t)n_pending * 32 + (uint64_t)n_pages * 24) {
        return bad(cx, rec);
    }
    if ((rec->flags & UNDO_PIECE_FIRST) != 0) {
        pending_clear(ts); /* the list as a whole follows; what was replayed before is part of it or gone */
    }
    if (load_u64(rec->body) > atomic_load_explicit(&ts->next_txn, memory_order_relaxed)) {
        atomic_store_explicit(&ts->next_txn, load_u64(rec->body), memory_order_relaxed);
    }
    published_at_least(ts, load_u64(rec->body + 8));
    const uint8_t *at = rec->body + STATE_HEAD_BYTES;
    Status st = ST_OK;
    for (uint32_t i = 0; i < n_pending && st == ST_OK; i++, at += 32) {
        st = pending_replay(cx, ts, (PendingFree){get_object(at), {load_u64(at + 16)}, load_u64(at + 24), 0});
    }
    for (uint32_t i = 0; i < n_pages && st == ST_OK; i++, at += 24) {
        st = sweep_note(cx, ts, get_object(at), (PageId){load_u64(at + 16)});
    }
    return st;
}

/* ---- writing the checkpoint ---- */

static Status log_plain(Ctx *cx, TxnSystem *ts, uint8_t type, uint8_t flags, TxnId txn, const void *body, uint32_t len)
{
    /* As a rollback: a checkpoint must go through on a full disk. */
    OpNeed need = {.wal_bytes = wal_record_bytes(0, len), .is_undo = true};
    StoreOp op;
    Status st = op_begin(cx, ts->store, &need, &op);
    if (st == ST_OK) {
        (void)store_log(&op, type, flags, txn, NULL, 0, body, len);
        op_end(&op);
    }
    return st;
}

typedef struct Dump {
    TxnSystem *ts;
    Txn *t;
    uint8_t *body;
    uint32_t len;
    bool first;
} Dump;

static Status dump_flush(Ctx *cx, Dump *d)
{
    if (d->len == 0 && !d->first) {
        return ST_OK; /* but the first piece is written even if empty: it says that there is nothing */
    }
    Status st = log_plain(cx, d->ts, WAL_TXN_UNDO, d->first ? UNDO_PIECE_FIRST : 0, d->t->id, d->body, d->len);
    d->len = 0;
    d->first = false;
    return st;
}

/* All live records of the transaction, oldest first: its lane read forward from its header. undo_mutex is held. */
static Status dump_txn(Ctx *cx, Dump *d)
{
    UndoArena *u = &d->ts->undo;
    uint64_t chunk = d->t->header >> 16;
    uint32_t at = (uint32_t)(d->t->header & 0xffff);
    UndoReader rd = {.budget = d->ts->budget};
    Status st = ST_OK;
    while (st == ST_OK) {
        uint32_t used;
        uint64_t next;
        if (!undo_chunk_state(u, chunk, &used, &next)) {
            break;
        }
        if (at >= used) {
            if (next == 0) {
                break;
            }
            chunk = next;
            at = 16;
            continue;
        }
        const UndoRec *r;
        epoch_enter(d->ts->epoch);
        st = undo_get(cx, u, &rd, undo_ptr(chunk, at), &r);
        if (st == ST_OK) {
            ASSERT(r != NULL && r->txn == d->t->id.v);
            at += r->len;
            bool live = (atomic_load_explicit(&r->flags, memory_order_relaxed) & UNDO_DEAD) == 0;
            if (live && r->type != UNDO_LOCK && r->type != UNDO_BEGIN) {
                memcpy(d->body + d->len, (const void *)r, r->len);
                d->len += r->len;
            }
        }
        epoch_leave(d->ts->epoch);
        if (st == ST_OK && d->len >= PIECE_BYTES) {
            st = dump_flush(cx, d);
        }
    }
    undo_reader_done(&rd);
    return st == ST_OK ? dump_flush(cx, d) : st;
}

/* The next running writer above `after`, its undo_mutex held; *out_busy: one is there but busy. */
static Txn *next_running(TxnSystem *ts, uint64_t after, bool *out_busy)
{
    Txn *best = NULL;
    *out_busy = false;
    mutex_lock(&ts->mutex);
    for (Txn *t = ts->running; t != NULL; t = t->next) {
        if (t->id.v > after && (best == NULL || t->id.v < best->id.v)) {
            best = t;
        }
    }
    if (best != NULL && !mutex_try_lock(&best->undo_mutex)) {
        *out_busy = true;
        best = NULL;
    }
    mutex_unlock(&ts->mutex);
    return best;
}

static Status dump_running(Ctx *cx, TxnSystem *ts, uint8_t *body)
{
    uint64_t after = 0;
    for (;;) {
        bool busy;
        Txn *t = next_running(ts, after, &busy);
        if (busy) {
            /* Its owner may be waiting for clean frames or log room, which this very thread provides. */
            Status st = store_help(cx, ts->store);
            if (st != ST_OK) {
                return st;
            }
            continue;
        }
        if (t == NULL) {
            return ST_OK;
        }
        after = t->id.v;
        Status st = ST_OK;
        if (!t->ended) {
            Dump d = {.ts = ts, .t = t, .body = body, .first = true};
            st = dump_txn(cx, &d);
            if (st == ST_OK) {
                st = log_pending(cx, t, true);
            }
        }
        mutex_unlock(&t->undo_mutex);
        if (st != ST_OK) {
            return st;
        }
    }
}

/* ---- the state record ---- */

typedef VEC(PendingFree) PendingVec;
typedef VEC(SweepPage) SweepVec;

static Status copy_marks(Ctx *cx, TxnSystem *ts, SweepVec *pages)
{
    for (;;) {
        size_t want = 0;
        spin_lock(&ts->marks_lock);
        for (const PageVersions *v = ts->marks; v != NULL; v = v->mark_next) {
            if (pages->n < pages->cap) {
                pages->v[pages->n++] = (SweepPage){v->object, v->base.page};
            }
            want++;
        }
        spin_unlock(&ts->marks_lock);
        if (want <= pages->n) {
            return ST_OK;
        }
        pages->n = 0;
        if (!VEC_RESERVE(pages, want + want / 8 + 64)) {
            return ctx_nomem(cx, want * sizeof(SweepPage));
        }
    }
}

/* Both locks are kept until the state is logged: what joins or leaves the lists later is in the log later. */
static Status lock_lists(Ctx *cx, TxnSystem *ts)
{
    while (!mutex_try_lock(&ts->free_mutex)) {
        Status st = store_help(cx, ts->store);
        if (st != ST_OK) {
            return st;
        }
    }
    mutex_lock(&ts->pending_mutex);
    return ST_OK;
}

static Status copy_lists(Ctx *cx, TxnSystem *ts, PendingVec *pending, SweepVec *pages)
{
    Status st = copy_marks(cx, ts, pages);
    if (st != ST_OK) {
        return st;
    }
    bool ok = VEC_RESERVE(pending, pending_count(ts)) && VEC_RESERVE(pages, ts->sweep.n);
    for (size_t i = ts->pending_head; ok && i < ts->pending.n; i++) {
        if (ts->pending.v[i].object.id.v != 0) {
            pending->v[pending->n++] = ts->pending.v[i];
        }
    }
    for (size_t i = 0; ok && i < ts->sweep.n; i++) {
        pages->v[pages->n++] = ts->sweep.v[i];
    }
    return ok ? ST_OK : ctx_nomem(cx, ts->pending.n * sizeof(PendingFree));
}

static Status log_state(Ctx *cx, TxnSystem *ts, const PendingVec *pending, const SweepVec *pages, uint8_t *body)
{
    size_t p = 0;
    size_t g = 0;
    uint8_t flags = UNDO_PIECE_FIRST;
    do {
        uint32_t np = (uint32_t)(pending->n - p < STATE_ENTRIES ? pending->n - p : STATE_ENTRIES);
        uint32_t ng = (uint32_t)(pages->n - g < STATE_ENTRIES ? pages->n - g : STATE_ENTRIES);
        store_u64(body, atomic_load_explicit(&ts->next_txn, memory_order_relaxed));
        store_u64(body + 8, atomic_load_explicit(&ts->published, memory_order_acquire));
        store_u32(body + 16, np);
        store_u32(body + 20, ng);
        uint8_t *at = body + STATE_HEAD_BYTES;
        for (uint32_t i = 0; i < np; i++, p++, at += 32) {
            put_object(at, pending->v[p].object);
            store_u64(at + 16, pending->v[p].chain.v);
            store_u64(at + 24, pending->v[p].ts);
        }
        for (uint32_t i = 0; i < ng; i++, g++, at += 24) {
            put_object(at, pages->v[g].object);
            store_u64(at + 16, pages->v[g].page.v);
        }
        Status st = log_plain(cx, ts, WAL_TXN_STATE, flags, TXN_NONE, body, (uint32_t)(at - body));
        if (st != ST_OK) {
            return st;
        }
        flags = 0;
    } while (p < pending->n || g < pages->n);
    return ST_OK;
}

Status recover_checkpoint(void *arg, Ctx *cx, Lsn begin, Lsn *out_needed)
{
    TxnSystem *ts = arg;
    PendingVec pending = {.budget = ts->budget};
    SweepVec pages = {.budget = ts->budget};
    (void)begin;
    *out_needed = LSN_MAX;
    uint8_t *body = mem_alloc(ts->budget, PIECE_MAX);
    if (body == NULL) {
        return ctx_nomem(cx, PIECE_MAX);
    }
    Status st = dump_running(cx, ts, body);
    if (st == ST_OK) {
        st = lock_lists(cx, ts);
        if (st == ST_OK) {
            st = copy_lists(cx, ts, &pending, &pages);
            if (st == ST_OK) {
                st = log_state(cx, ts, &pending, &pages, body);
            }
            mutex_unlock(&ts->pending_mutex);
            mutex_unlock(&ts->free_mutex);
        }
    }
    VEC_DONE(&pending);
    VEC_DONE(&pages);
    mem_free(ts->budget, body, PIECE_MAX);
    return st;
}

/* ---- the end of redo ---- */

/* Rolls back what was unfinished, newest transaction first (they never touch the same row). */
Status recover_redo_done(void *arg, Ctx *cx)
{
    TxnSystem *ts = arg;
    size_t cursor = 0;
    uint64_t id;
    uint64_t p;
    Status st = ST_OK;
    size_t n = ts->replay.count;
    if (n > 0) {
        log_line(ts->log, LOG_INFO, "recovery: rolling back %zu unfinished transactions", n);
    }
    while (st == ST_OK && u64map_next(&ts->replay, &cursor, &id, &p)) {
        st = txn_abort(cx, (Txn *)(uintptr_t)p);
    }
    if (st != ST_OK) {
        /* The rest of the transactions is freed by txn_close. */
        while (u64map_next(&ts->replay, &cursor, &id, &p)) {
            txn_abandon((Txn *)(uintptr_t)p);
            txn_free((Txn *)(uintptr_t)p);
        }
    }
    u64map_clear(&ts->replay);
    u64map_done(&ts->pending_chains);
    u64map_init(&ts->pending_chains, ts->budget);
    ts->recovering = false;
    return st;
}

void recover_register(TxnSystem *ts, StoreRegistry *r)
{
    static const struct {
        uint8_t type;
        ReplayFn fn;
        const char *name;
    } replays[] = {
        {HEAP_WAL_INSERT, replay_heap, NULL},
        {HEAP_WAL_UPDATE, replay_heap, NULL},
        {HEAP_WAL_DELETE, replay_heap, NULL},
        {HEAP_WAL_UNDELETE, replay_heap, NULL},
        {HEAP_WAL_FREE, replay_heap, NULL},
        {HEAP_WAL_OVERFLOW_WRITE, replay_overflow, NULL},
        {HEAP_WAL_OVERFLOW_FREE, replay_overflow, NULL},
        {WAL_BTREE_INSERT, replay_index, NULL},
        {WAL_BTREE_DELETE, replay_index, NULL},
        {WAL_TXN_COMMIT, replay_end, "TXN_COMMIT"},
        {WAL_TXN_ABORT, replay_end, "TXN_ABORT"},
        {WAL_TXN_UNDO, replay_piece, "TXN_UNDO"},
        {WAL_TXN_STATE, replay_state, "TXN_STATE"},
        {WAL_TXN_PENDING, replay_pending, "TXN_PENDING"},
        {WAL_TXN_CREATE, replay_create, "TXN_CREATE"},
    };
    for (size_t i = 0; i < ARRAY_LEN(replays); i++) {
        r->replay[replays[i].type] = replays[i].fn;
        r->replay_arg[replays[i].type] = ts;
        if (replays[i].name != NULL) {
            r->type_name[replays[i].type] = replays[i].name;
        }
    }
    r->hooks.arg = ts;
    r->hooks.checkpoint = recover_checkpoint;
    r->hooks.redo_done = recover_redo_done;
}
