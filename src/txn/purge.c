/*
 * txn/purge.c: taking away what no snapshot needs: version table entries, delete-marked rows with their index entries, dropped
 * objects, replaced overflow chains, and the undo records themselves.
 *
 * Each lane is a stream of transactions in order; purge walks it from its start and stops at the first that is running, not
 * durable, or newer than the horizon.
 *
 * G1  A deleted row goes in this order: index entries, then in one record its slot and the promise to free its chains.
 * G2  An entry is removed from a version table only when its transaction is visible to every snapshot and durable; locks of running
 *     transactions below it are linked past it first.
 */
#include "txn/txn_int.h"

enum { CHAINS_MAX = 64, PURGE_BODY_BYTES = 8 + OBJECT_BODY_BYTES };

typedef struct Purge {
    TxnSystem *ts;
    UndoReader reader;
    UndoReader second;
    Arena arena;
    uint8_t *buf;
    UndoRec *rec; /* copy of the record at hand: its chunk may be spilled meanwhile */
    uint64_t horizon;
    Lsn durable;
} Purge;

static Status purge_begin(Ctx *cx, TxnSystem *ts, Purge *p)
{
    *p = (Purge){.ts = ts, .reader = {.budget = ts->budget}, .second = {.budget = ts->budget}};
    arena_init(&p->arena, ts->budget, 64 * 1024);
    p->horizon = txn_horizon(ts);
    p->durable = wal_durable(ts->store);
    p->buf = mem_alloc(ts->budget, HEAP_DATA_MAX);
    p->rec = p->buf != NULL ? mem_alloc(ts->budget, UNDO_CHUNK_BYTES) : NULL;
    return p->rec != NULL ? ST_OK : ctx_nomem(cx, UNDO_CHUNK_BYTES);
}

static void purge_end(Purge *p)
{
    undo_reader_done(&p->reader);
    undo_reader_done(&p->second);
    arena_done(&p->arena);
    mem_free(p->ts->budget, p->buf, p->buf != NULL ? HEAP_DATA_MAX : 0);
    mem_free(p->ts->budget, p->rec, p->rec != NULL ? UNDO_CHUNK_BYTES : 0);
}

/* ---- deleted rows ---- */

typedef struct DeadRow {
    ObjectRef table;
    Tid tid;
    UndoPtr ptr; /* the record of its delete, 0 when found by a sweep */
    HeapValue *values;
    uint16_t n;
    PageId chains[CHAINS_MAX];
    unsigned n_chains;
} DeadRow;

/* Is the slot a deleted row that nobody sees? The page is latched. */
static bool is_dead(const BufFrame *f, const HeapPage *p, unsigned slot, UndoPtr ptr)
{
    HeapRow row = heap_row(p, slot);
    UndoPtr head = versions_head(page_versions(f), slot);
    return row.used && row.deleted && (head == 0 || head == ptr);
}

/* Reads the row for its keys and chains; *out_dead false: nothing to do. */
static Status read_dead(Ctx *cx, Purge *pg, const HeapShape *shape, PageId page, unsigned slot, DeadRow *d, bool *out_dead)
{
    BufFrame *f;
    HeapPage p;
    const HeapLayout *l = heap_newest(shape);
    *out_dead = false;
    arena_reset(&pg->arena);
    uint16_t *cols = arena_alloc(&pg->arena, (l->n_columns + 1u) * sizeof *cols);
    d->values = arena_alloc(&pg->arena, (l->n_columns + 1u) * sizeof *d->values);
    char *strings = arena_alloc(&pg->arena, PAGE_BYTES);
    if (cols == NULL || d->values == NULL || strings == NULL) {
        return ctx_nomem(cx, PAGE_BYTES);
    }
    Status st = buf_fix(cx, pg->ts->store, page, d->table.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    st = heap_open(buf_page(f), shape, cx->err, &p);
    if (st == ST_OK && is_dead(f, &p, slot, d->ptr)) {
        for (uint16_t c = 0; c < l->n_columns; c++) {
            cols[c] = c;
        }
        st = heap_read(&p, slot, cols, l->n_columns, strings, cx->err, d->values);
        d->tid = heap_tid(&p, slot);
        d->n = l->n_columns;
        *out_dead = st == ST_OK;
    }
    buf_unfix(f);
    for (unsigned c = 0; *out_dead && c < d->n; c++) {
        if (l->columns[c].width == HEAP_STRING && d->values[c].state == HEAP_OVERFLOW) {
            if (d->n_chains == CHAINS_MAX) {
                return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "a row has more than %d long values", CHAINS_MAX);
            }
            d->chains[d->n_chains++].v = d->values[c].view.ref;
        }
    }
    return st;
}

typedef struct EntryArg {
    Purge *pg;
    Tid tid;
} EntryArg;

static Status purge_entry(void *arg, Ctx *cx, BTree *index, BTreeBytes key)
{
    EntryArg *e = arg;
    BTreeWrite w;
    BTreeDelete how = {.kind = BTREE_PURGE, .newest = {e->pg->horizon}};
    Status st = btree_delete(cx, index, TXN_NONE, key, e->tid, &how, &w);
    if (st == ST_OK && !w.done) {
        atomic_fetch_add_explicit(&e->pg->ts->missing_entries, 1, memory_order_relaxed);
    }
    return st;
}

static Status log_free(Ctx *cx, Purge *pg, StoreOp *op, BufFrame *f, const HeapPage *p, unsigned slot, const DeadRow *d)
{
    TxnSystem *ts = pg->ts;
    uint8_t body[PURGE_BODY_BYTES + 8 * CHAINS_MAX];
    uint16_t s = (uint16_t)slot;
    HeapData data;
    Status st = pending_reserve(cx, ts, d->n_chains);
    if (st != ST_OK) {
        return st;
    }
    store_u64(body, pg->horizon);
    put_object(body + 8, d->table);
    for (unsigned i = 0; i < d->n_chains; i++) {
        store_u64(body + PURGE_BODY_BYTES + 8 * i, d->chains[i].v);
    }
    heap_free_build(p, &s, 1, pg->buf, &data);
    Lsn lsn = heap_log(op, f, &data, REC_PURGE, TXN_NONE, body, PURGE_BODY_BYTES + 8 * d->n_chains);
    for (unsigned i = 0; i < d->n_chains; i++) {
        pending_put(ts, (PendingFree){d->table, d->chains[i], pg->horizon, lsn.v});
    }
    PageVersions *v = page_versions(f);
    if (versions_head(v, slot) != 0) {
        versions_remove(v, slot);
        versions_sub_delete(ts, v);
        versions_trim(ts, f);
    }
    return ST_OK;
}

static Status free_dead(Ctx *cx, Purge *pg, PageId page, unsigned slot, const DeadRow *d)
{
    TxnSystem *ts = pg->ts;
    OpNeed need = {.wal_bytes = wal_record_bytes(1, heap_slots_bytes(1) + PURGE_BODY_BYTES + 8 * CHAINS_MAX),
                   .frames = 2, .is_undo = true};
    StoreOp op;
    BufFrame *f;
    HeapPage p;
    Status st = op_begin(cx, ts->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    mutex_lock(&ts->free_mutex);
    mutex_lock(&ts->pending_mutex);
    st = buf_fix(cx, ts->store, page, d->table.id, LATCH_EXCLUSIVE, &f);
    if (st == ST_OK) {
        st = heap_open(buf_page(f), NULL, cx->err, &p);
        if (st == ST_OK && is_dead(f, &p, slot, d->ptr) && tid_eq(heap_tid(&p, slot), d->tid)) {
            st = log_free(cx, pg, &op, f, &p, slot, d);
        }
        buf_unfix(f);
    }
    mutex_unlock(&ts->pending_mutex);
    mutex_unlock(&ts->free_mutex);
    op_end(&op);
    return st;
}

static Status purge_deleted(Ctx *cx, Purge *pg, ObjectRef table, PageId page, unsigned slot, UndoPtr ptr)
{
    TxnSystem *ts = pg->ts;
    const HeapShape *shape;
    bool dead;
    DeadRow d = {.table = table, .ptr = ptr};
    Status st = ts->hooks.shape(ts->hooks.arg, cx, table, &shape);
    if (st == ST_NOT_FOUND) {
        err_clear(cx->err);
        return drop_entry(cx, ts, table, page, slot, ptr); /* the whole table goes, or is gone */
    }
    if (st == ST_OK) {
        st = read_dead(cx, pg, shape, page, slot, &d, &dead);
    }
    if (st != ST_OK || !dead) {
        return st;
    }
    TxnPurgeRow row = {.table = table, .tid = d.tid, .values = d.values, .n_columns = d.n};
    EntryArg arg = {pg, d.tid};
    st = ts->hooks.purge_keys(ts->hooks.arg, cx, &row, purge_entry, &arg);
    SYNC_POINT("purge.before_free");
    return st == ST_OK ? free_dead(cx, pg, page, slot, &d) : st;
}

/* A delete in a table that is dropped: only the version table lets go. */
Status drop_entry(Ctx *cx, TxnSystem *ts, ObjectRef table, PageId page, unsigned slot, UndoPtr ptr)
{
    BufFrame *f;
    Status st = buf_fix(cx, ts->store, page, table.id, LATCH_EXCLUSIVE, &f);
    if (st == ST_CORRUPTED) {
        err_clear(cx->err); /* freed already */
        return ST_OK;
    }
    if (st == ST_OK) {
        PageVersions *v = page_versions(f);
        if (ptr != 0 && versions_head(v, slot) == ptr) {
            versions_remove(v, slot);
            versions_sub_delete(ts, v);
            versions_trim(ts, f);
        }
        buf_unfix(f);
    }
    return st;
}

/* ---- version table entries ---- */

static Status forget_row(Ctx *cx, Purge *pg, BufFrame *f, unsigned slot, UndoPtr ptr, const UndoRec *r)
{
    PageVersions *v = page_versions(f);
    bool below = (atomic_load_explicit(&r->flags, memory_order_relaxed) & UNDO_LOCKS_BELOW) != 0;
    UndoPtr prev = atomic_load_explicit(&r->prev_row, memory_order_acquire);
    if (r->type == UNDO_LOCK || below) {
        return chain_unlink(cx, pg->ts, &pg->second, f, slot, ptr, prev);
    }
    if (versions_head(v, slot) == ptr) {
        versions_remove(v, slot);
    }
    return ST_OK;
}

static Status forget(Ctx *cx, Purge *pg, PageId page, ObjectRef object, UndoPtr ptr, const UndoRec *r)
{
    BufFrame *f;
    Status st = buf_fix(cx, pg->ts->store, page, object.id, LATCH_EXCLUSIVE, &f);
    if (st == ST_CORRUPTED) {
        /* The object was dropped and its pages freed, or the page is damaged: whoever reads it will say so. */
        err_clear(cx->err);
        return ST_OK;
    }
    if (st != ST_OK) {
        return st;
    }
    PageVersions *v = page_versions(f);
    if (v != NULL) {
        const uint16_t *slots = (const uint16_t *)(const void *)undo_payload(r);
        uint16_t single = (uint16_t)tid_slot((Tid){r->tid});
        unsigned n = r->type == UNDO_INSERT ? r->n : 1;
        for (unsigned i = 0; i < n && st == ST_OK; i++) {
            st = forget_row(cx, pg, f, r->type == UNDO_INSERT ? slots[i] : single, ptr, r);
        }
        if (st == ST_OK && r->type == UNDO_UPDATE) {
            ASSERT(v->reserved >= r->aux);
            v->reserved -= r->aux;
        }
        versions_trim(pg->ts, f);
    }
    buf_unfix(f);
    return st;
}

static Status purge_record(Ctx *cx, Purge *pg, UndoPtr ptr)
{
    const UndoRec *r = pg->rec;
    if ((atomic_load_explicit(&r->flags, memory_order_relaxed) & UNDO_DEAD) != 0) {
        return ST_OK;
    }
    ObjectRef object = {{r->object}, {r->object_header}};
    Tid tid = {r->tid};
    Status st;
    switch (r->type) {
    case UNDO_DELETE: /* conflicts with every lock: none of a running transaction is below */
        return purge_deleted(cx, pg, object, tid_page(tid), tid_slot(tid), ptr);
    case UNDO_INSERT:
    case UNDO_UPDATE:
    case UNDO_LOCK:
        epoch_enter(pg->ts->epoch);
        st = forget(cx, pg, r->type == UNDO_INSERT ? (PageId){r->tid} : tid_page(tid), object, ptr, r);
        epoch_leave(pg->ts->epoch);
        return st;
    default:
        return ST_OK;
    }
}

/* ---- lanes ---- */

/* May the transaction whose header stands here be purged (or skipped)? */
static LaneState judge_header(const Purge *pg, const UndoHeader *h)
{
    uint64_t ts = atomic_load_explicit(&h->commit_ts, memory_order_acquire);
    if (ts == COMMIT_ABORTED) {
        return LANE_SKIP;
    }
    return ts != 0 && ts <= pg->horizon && h->commit_lsn <= pg->durable.v ? LANE_PURGE : LANE_STOP;
}

/* The mutable fields by atomic loads, the commit timestamp before its LSN. */
static void copy_record(UndoRec *to, const UndoRec *r)
{
    uint64_t commit_ts = 0;
    bool header = r->type == UNDO_BEGIN;
    if (header) {
        commit_ts = atomic_load_explicit(&((const UndoHeader *)(const void *)r)->commit_ts, memory_order_acquire);
    }
    if (!header || commit_ts != 0) {
        memcpy((void *)to, (const void *)r, r->len);
    } else {
        to->len = r->len;
        to->type = r->type;
    }
    if (header) {
        atomic_init(&((UndoHeader *)(void *)to)->commit_ts, commit_ts);
    }
}

/* One record of the lane; *out_more false: nothing (more) to do now. */
static Status lane_step(Ctx *cx, Purge *pg, UndoLane *lane, bool *out_more)
{
    UndoArena *u = &pg->ts->undo;
    UndoChunk *c = lane->first;
    *out_more = false;
    if (c == NULL) {
        return ST_OK;
    }
    if (lane->purge_at >= atomic_load_explicit(&c->used, memory_order_acquire)) {
        /* `next` before `used` again: a chunk with a successor gets no more records. */
        if (atomic_load_explicit(&c->next, memory_order_acquire) == NULL ||
            lane->purge_at < atomic_load_explicit(&c->used, memory_order_acquire)) {
            return ST_OK;
        }
        undo_free_first(u, lane);
        *out_more = true;
        return ST_OK;
    }
    UndoPtr ptr = undo_ptr(c->id, lane->purge_at);
    const UndoRec *r;
    epoch_enter(pg->ts->epoch);
    Status st = undo_get(cx, u, &pg->reader, ptr, &r);
    if (st == ST_OK) {
        ASSERT(r != NULL);
        copy_record(pg->rec, r);
    }
    epoch_leave(pg->ts->epoch);
    if (st != ST_OK) {
        return st;
    }
    uint32_t len = pg->rec->len;
    if (pg->rec->type == UNDO_BEGIN) {
        LaneState state = judge_header(pg, (const UndoHeader *)(const void *)pg->rec);
        if (state == LANE_STOP) {
            return ST_OK;
        }
        lane->purge_state = (uint8_t)state;
        if (state == LANE_PURGE) {
            atomic_fetch_add_explicit(&pg->ts->purged, 1, memory_order_relaxed);
            atomic_fetch_sub_explicit(&pg->ts->unpurged, 1, memory_order_relaxed);
        }
    } else if (lane->purge_state == LANE_PURGE) {
        /* Relaxed: see undo_is_purged. */
        atomic_store_explicit(&c->purged, lane->purge_at + len, memory_order_relaxed);
        st = purge_record(cx, pg, ptr);
    }
    if (st == ST_OK) {
        lane->purge_at += len;
        *out_more = true;
    }
    return st;
}

static Status purge_lane(Ctx *cx, Purge *pg, UndoLane *lane)
{
    bool more = true;
    Status st = ST_OK;
    while (st == ST_OK && more) {
        st = lane_step(cx, pg, lane, &more);
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    return st;
}

/* ---- pending frees ---- */

/* Whole objects may be freed again after a crash; a chain may not: its last record and its leaving the list are one for checkpoints. */
static Status free_pending(Ctx *cx, Purge *pg, const PendingFree *f)
{
    TxnSystem *ts = pg->ts;
    bool done = false;
    Status st = ST_OK;
    StoreObject *o = NULL;
    if (f->chain.v != 0) {
        mutex_lock(&ts->pending_mutex);
        bool dropped = object_pending(ts, f->object);
        mutex_unlock(&ts->pending_mutex);
        st = dropped ? ST_CORRUPTED : object_open(cx, ts->store, f->object, &o);
        if (st == ST_CORRUPTED) {
            err_clear(cx->err); /* the object itself is gone, or goes: the chain with it */
            pending_pop(ts);
            return ST_OK;
        }
    }
    while (st == ST_OK && !done) {
        mutex_lock(&ts->free_mutex);
        st = f->chain.v != 0
                 ? overflow_free_step(cx, o, f->chain, TXN_NONE, REC_PURGE, true, NULL, 0, &done)
                 : object_free_step(cx, ts->store, f->object, &done);
        if (st == ST_OK && done) {
            pending_pop(ts);
        }
        mutex_unlock(&ts->free_mutex);
    }
    object_close(o);
    return st;
}

/* ---- passes ---- */

Status purge_pass(Ctx *cx, TxnSystem *ts, uint64_t *out_left)
{
    Purge pg;
    mutex_lock(&ts->purge_mutex);
    Status st = purge_begin(cx, ts, &pg);
    mutex_lock(&ts->mutex);
    UndoLane *lane = ts->all_lanes;
    mutex_unlock(&ts->mutex);
    while (st == ST_OK && lane != NULL) {
        st = purge_lane(cx, &pg, lane);
        lane = lane->next_all; /* lanes are only ever put in front */
    }
    PendingFree f;
    while (st == ST_OK && pending_due(ts, pg.horizon, pg.durable, &f)) {
        st = free_pending(cx, &pg, &f);
    }
    purge_end(&pg);
    mutex_unlock(&ts->purge_mutex);
    epoch_poll(ts->epoch);
    *out_left = atomic_load_explicit(&ts->unpurged, memory_order_relaxed);
    return st;
}

Status txn_purge(Ctx *cx, TxnSystem *ts, uint64_t *out_left)
{
    *out_left = atomic_load_explicit(&ts->unpurged, memory_order_relaxed);
    return atomic_load_explicit(&ts->purge_ready, memory_order_acquire) ? purge_pass(cx, ts, out_left) : ST_OK;
}

void purge_main(void *arg)
{
    TxnSystem *ts = arg;
    Error err;
    Ctx cx;
    err_clear(&err);
    ctx_init(&cx, &err, ts->budget, NULL);
    mutex_lock(&ts->job_mutex);
    while (!ts->stop) {
        (void)cond_wait_for(&ts->job_cond, &ts->job_mutex, ts->config.purge_every_us);
        mutex_unlock(&ts->job_mutex);
        uint64_t left;
        Status st = store_state(ts->store, &err);
        if (st == ST_OK) {
            st = txn_purge(&cx, ts, &left);
        }
        if (st != ST_OK && st != ST_CRASH_SHUTDOWN) {
            log_error(ts->log, LOG_WARNING, &err, "purging");
        }
        err_clear(&err);
        mutex_lock(&ts->job_mutex);
    }
    mutex_unlock(&ts->job_mutex);
}

/* ---- after a crash ---- */

void sweep_add(TxnSystem *ts, ObjectRef object, PageId page, bool *out_failed)
{
    uint64_t at;
    if (u64map_get(&ts->sweep_index, page.v, &at)) {
        ts->sweep.v[at].object = object;
        return;
    }
    if (!VEC_RESERVE(&ts->sweep, 1) || !u64map_put(&ts->sweep_index, page.v, ts->sweep.n)) {
        *out_failed = true;
        return;
    }
    ts->sweep.v[ts->sweep.n++] = (SweepPage){object, page};
}

/* The slots of a page that are deleted and have no versions; ST_CORRUPTED is no error: the page may be another's by now. */
static Status dead_slots(Ctx *cx, TxnSystem *ts, const SweepPage *sp, uint16_t *out_slots, unsigned *out_n)
{
    BufFrame *f;
    HeapPage p;
    *out_n = 0;
    Status st = buf_fix(cx, ts->store, sp->page, sp->object.id, LATCH_SHARED, &f);
    if (st == ST_CORRUPTED) {
        err_clear(cx->err);
        return ST_OK;
    }
    if (st != ST_OK) {
        return st;
    }
    if (page_header_const(buf_page(f))->type == PAGE_TABLE) {
        st = heap_open(buf_page(f), NULL, cx->err, &p);
        for (unsigned s = 0; st == ST_OK && s < p.n_slots; s++) {
            if (is_dead(f, &p, s, 0)) {
                out_slots[(*out_n)++] = (uint16_t)s;
            }
        }
    }
    buf_unfix(f);
    return st;
}

Status txn_sweep(Ctx *cx, TxnSystem *ts)
{
    Purge pg;
    Status st = ST_OK;
    uint16_t *slots = mem_alloc(ts->budget, HEAP_SLOTS_MAX * sizeof *slots);
    if (slots == NULL) {
        return ctx_nomem(cx, HEAP_SLOTS_MAX * sizeof *slots);
    }
    mutex_lock(&ts->purge_mutex);
    st = purge_begin(cx, ts, &pg);
    while (st == ST_OK && ts->sweep.n > 0) {
        unsigned n;
        SweepPage sp = ts->sweep.v[ts->sweep.n - 1];
        st = dead_slots(cx, ts, &sp, slots, &n);
        for (unsigned i = 0; st == ST_OK && i < n; i++) {
            st = purge_deleted(cx, &pg, sp.object, sp.page, slots[i], 0);
        }
        if (st == ST_OK) {
            mutex_lock(&ts->free_mutex);
            ts->sweep.n--;
            mutex_unlock(&ts->free_mutex);
        }
    }
    purge_end(&pg);
    if (st == ST_OK) {
        u64map_clear(&ts->sweep_index);
        atomic_store_explicit(&ts->purge_ready, true, memory_order_release);
    }
    mutex_unlock(&ts->purge_mutex);
    mem_free(ts->budget, slots, HEAP_SLOTS_MAX * sizeof *slots);
    return st;
}
