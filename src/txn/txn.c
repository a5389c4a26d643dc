/*
 * txn/txn.c: the life of a transaction: snapshot, id and lane at the first write, commit, abort, savepoints.
 *
 * T1  Commit order = log order = timestamp order: under commit_lock the record's place is reserved, the timestamp
 *     assigned and stored, then published; so a snapshot taken at timestamp s sees exactly the commits up to s.
 * T2  A snapshot slot holds a value not above the snapshot that its owner reads next, and purge takes published before
 *     it looks at the slots: the horizon is not above any snapshot in use or about to be taken.
 * T3  Once the commit record is reserved nothing fails.
 */
#include "txn/txn_int.h"

enum { COMMIT_BODY_BYTES = 8, PENDING_PER_RECORD = 64, PENDING_BYTES = 24, NO_SLOT = UINT32_MAX };

/* ---- begin ---- */

static Status slot_take(Ctx *cx, TxnSystem *ts, uint32_t *out_slot)
{
    mutex_lock(&ts->mutex);
    uint32_t slot = ts->free_slot;
    if (slot != UINT32_MAX) {
        ts->free_slot = ts->slots[slot].next_free;
    }
    mutex_unlock(&ts->mutex);
    if (slot == UINT32_MAX) {
        return err_set(cx->err, ST_CONFIGURATION_LIMIT, "too many transactions at a time (limit %u)",
                       ts->config.max_transactions);
    }
    *out_slot = slot;
    return ST_OK;
}

Status txn_new(Ctx *cx, TxnSystem *ts, int pid, Txn **out_txn)
{
    Txn *t = mem_alloc0(ts->budget, sizeof *t);
    if (t == NULL) {
        return ctx_nomem(cx, sizeof *t);
    }
    Status st = slot_take(cx, ts, &t->slot);
    if (st != ST_OK) {
        mem_free(ts->budget, t, sizeof *t);
        return st;
    }
    t->ts = ts;
    t->pending.budget = ts->budget;
    t->reader.budget = ts->budget;
    mutex_init(&t->undo_mutex, RANK_TXN_UNDO);
    lock_owner_init(&t->locks, ts->locks, pid);
    *out_txn = t;
    return ST_OK;
}

Status txn_begin(Ctx *cx, TxnSystem *ts, TxnIsolation isolation, bool read_only, int owner_pid, Txn **out_txn)
{
    Status st = store_state(ts->store, cx->err);
    Txn *t;
    if (st == ST_OK) {
        st = txn_new(cx, ts, owner_pid, &t);
    }
    if (st == ST_OK) {
        t->isolation = isolation;
        t->read_only = read_only;
        *out_txn = t;
    }
    return st;
}

void txn_free(Txn *t)
{
    TxnSystem *ts = t->ts;
    atomic_store_explicit(&ts->slots[t->slot].ts, 0, memory_order_release);
    lock_release_all(&t->locks);
    lock_owner_done(&t->locks);
    mutex_lock(&ts->mutex);
    ts->slots[t->slot].next_free = ts->free_slot;
    ts->free_slot = t->slot;
    mutex_unlock(&ts->mutex);
    undo_reader_done(&t->reader);
    mem_free(ts->budget, t->buf, t->buf != NULL ? 2 * HEAP_DATA_MAX : 0);
    mem_free(ts->budget, t->insert, t->insert != NULL ? sizeof *t->insert : 0);
    VEC_DONE(&t->pending);
    mutex_done(&t->undo_mutex);
    mem_free(ts->budget, t, sizeof *t);
}

/* ---- snapshots ---- */

static void snapshot_take(Txn *t)
{
    TxnSystem *ts = t->ts;
    uint64_t low = atomic_load_explicit(&ts->published, memory_order_acquire);
    /* seq_cst: stored before published is read again, so purge either sees the slot or took its horizon from before (T2). */
    atomic_store_explicit(&ts->slots[t->slot].ts, low, memory_order_seq_cst);
    t->snapshot = atomic_load_explicit(&ts->published, memory_order_seq_cst);
}

void txn_statement(Txn *t)
{
    if (t->snapshot == 0 || t->isolation == TXN_READ_COMMITTED) {
        snapshot_take(t);
    }
    t->command++;
}

void txn_statement_end(Txn *t)
{
    if (t->isolation == TXN_READ_COMMITTED) {
        t->snapshot = 0;
        atomic_store_explicit(&t->ts->slots[t->slot].ts, 0, memory_order_release);
    }
}

void txn_next_command(Txn *t)
{
    t->command++;
}

TxnFresh txn_fresh_begin(Txn *t)
{
    TxnFresh saved = {.snapshot = t->snapshot, .command = t->command, .last = t->last};
    if (t->snapshot == 0) {
        snapshot_take(t);
    } else {
        /* The slot keeps the older value: what the new snapshot needs, purge leaves for that one too. */
        t->snapshot = atomic_load_explicit(&t->ts->published, memory_order_seq_cst);
    }
    t->command++;
    return saved;
}

void txn_fresh_end(Txn *t, TxnFresh saved)
{
    t->snapshot = saved.snapshot;
    if (t->last == saved.last) {
        t->command = saved.command; /* nothing was written: the statement underway is not to see its own changes */
    }
    if (saved.snapshot == 0) {
        atomic_store_explicit(&t->ts->slots[t->slot].ts, 0, memory_order_release);
    }
}

uint64_t txn_horizon(TxnSystem *ts)
{
    uint64_t horizon = atomic_load_explicit(&ts->published, memory_order_seq_cst);
    for (uint32_t i = 0; i < ts->config.max_transactions; i++) {
        uint64_t v = atomic_load_explicit(&ts->slots[i].ts, memory_order_seq_cst);
        if (v != 0 && v < horizon) {
            horizon = v;
        }
    }
    return horizon;
}

/* ---- the first write ---- */

Status lane_lease(Ctx *cx, TxnSystem *ts, UndoLane **out_lane)
{
    mutex_lock(&ts->mutex);
    UndoLane *lane = ts->free_lanes;
    if (lane != NULL) {
        ts->free_lanes = lane->next_free;
    }
    mutex_unlock(&ts->mutex);
    if (lane == NULL) {
        lane = mem_alloc0(ts->budget, sizeof *lane);
        if (lane == NULL) {
            return ctx_nomem(cx, sizeof *lane);
        }
        mutex_lock(&ts->mutex);
        lane->next_all = ts->all_lanes;
        ts->all_lanes = lane;
        mutex_unlock(&ts->mutex);
    }
    *out_lane = lane;
    return ST_OK;
}

static void lane_return(TxnSystem *ts, UndoLane *lane)
{
    mutex_lock(&ts->mutex);
    lane->next_free = ts->free_lanes;
    ts->free_lanes = lane;
    mutex_unlock(&ts->mutex);
}

static void write_header(Txn *t)
{
    UndoPtr ptr;
    uint32_t payload = (uint32_t)(sizeof(UndoHeader) - sizeof(UndoRec));
    UndoRec *r = undo_begin_append(t->lane, payload, &ptr);
    UndoHeader *h = (UndoHeader *)(void *)r;
    r->type = UNDO_BEGIN;
    r->txn = t->id.v;
    r->header = ptr;
    atomic_init(&h->commit_ts, 0);
    h->commit_lsn = 0;
    undo_publish(t->lane, r);
    undo_pin(&t->ts->undo, ptr, true);
    t->header = t->last = ptr;
}

Status txn_start_writing(Ctx *cx, Txn *t, TxnId id)
{
    TxnSystem *ts = t->ts;
    if (t->id.v != 0) {
        return ST_OK;
    }
    if (t->read_only) {
        return err_set(cx->err, ST_READ_ONLY_SQL_TRANSACTION, "cannot write in a read-only transaction");
    }
    if (t->buf == NULL) {
        t->buf = mem_alloc(ts->budget, 2 * HEAP_DATA_MAX);
        if (t->buf == NULL) {
            return ctx_nomem(cx, 2 * HEAP_DATA_MAX);
        }
    }
    Status st = lane_lease(cx, ts, &t->lane);
    if (st != ST_OK) {
        return st;
    }
    st = undo_reserve(cx, &ts->undo, t->lane, sizeof(UndoHeader));
    if (st != ST_OK) {
        lane_return(ts, t->lane);
        t->lane = NULL;
        return st;
    }
    if (id.v == 0) {
        id.v = atomic_fetch_add_explicit(&ts->next_txn, 1, memory_order_relaxed);
    }
    t->id = id;
    write_header(t);
    /* Complete before a checkpoint can find it. One that passed over its number already has begun before its first record. */
    mutex_lock(&ts->mutex);
    t->next = ts->running;
    if (ts->running != NULL) {
        ts->running->prev = t;
    }
    ts->running = t;
    t->listed = true;
    mutex_unlock(&ts->mutex);
    lock_owner_set_txn(&t->locks, t->id);
    return ST_OK;
}

Status txn_assign_id(Ctx *cx, Txn *t)
{
    return txn_start_writing(cx, t, TXN_NONE);
}

/* ---- the end ---- */

static UndoHeader *header_of(Txn *t)
{
    const UndoRec *r = NULL;
    Ctx none;
    Error err;
    err_clear(&err);
    ctx_init(&none, &err, t->ts->budget, NULL);
    /* Pinned in memory: cannot fail. */
    Status st = undo_head(&none, &t->ts->undo, &t->reader, t->header, &r);
    ASSERT(st == ST_OK && r != NULL && r->type == UNDO_BEGIN);
    return (UndoHeader *)(uintptr_t)r;
}

/* A checkpoint that found the transaction in the list may still hold its mutex: it lets go before the memory does. */
static void unlist(Txn *t)
{
    TxnSystem *ts = t->ts;
    mutex_lock(&ts->mutex);
    if (t->prev != NULL) {
        t->prev->next = t->next;
    } else {
        ts->running = t->next;
    }
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
    t->listed = false;
    mutex_unlock(&ts->mutex);
    mutex_lock(&t->undo_mutex);
    mutex_unlock(&t->undo_mutex);
}

/* Gives back everything that only a running writer has; the end was published before. */
static void leave(Txn *t)
{
    TxnSystem *ts = t->ts;
    undo_pin(&ts->undo, t->header, false);
    lock_txn_ended(ts->locks, t->id);
    unlist(t);
    op_release_undo(ts->store, t->undo_wal);
    t->undo_wal = 0;
    lane_return(ts, t->lane);
    t->lane = NULL;
    lock_owner_set_txn(&t->locks, TXN_NONE);
}
void txn_end_writing(Txn *t, uint64_t commit_ts, Lsn lsn)
{
    UndoHeader *h = header_of(t);
    mutex_lock(&t->undo_mutex); /* not while a checkpoint reads the undo: purge may take it away now */
    h->commit_lsn = lsn.v;
    atomic_store_explicit(&h->commit_ts, commit_ts, memory_order_seq_cst);
    t->ended = true;
    mutex_unlock(&t->undo_mutex);
    leave(t);
}

/* The frees that become due with the commit go ahead of its record, so that the record itself is small. */
Status log_pending(Ctx *cx, Txn *t, bool is_undo)
{
    size_t i = 0;
    uint8_t flags = UNDO_PIECE_FIRST;
    if (t->pending.n == 0 && !t->pending_logged) {
        return ST_OK;
    }
    do {
        uint8_t body[PENDING_PER_RECORD * PENDING_BYTES];
        uint32_t n = (uint32_t)(t->pending.n - i < PENDING_PER_RECORD ? t->pending.n - i : PENDING_PER_RECORD);
        for (uint32_t k = 0; k < n; k++, i++) {
            put_object(body + k * PENDING_BYTES, t->pending.v[i].object);
            store_u64(body + k * PENDING_BYTES + 16, t->pending.v[i].chain.v);
        }
        OpNeed need = {.wal_bytes = wal_record_bytes(0, n * PENDING_BYTES), .is_undo = is_undo};
        StoreOp op;
        Status st = op_begin(cx, t->ts->store, &need, &op);
        if (st != ST_OK) {
            return st;
        }
        (void)store_log(&op, WAL_TXN_PENDING, flags, t->id, NULL, 0, body, n * PENDING_BYTES);
        op_end(&op);
        flags = 0;
        t->pending_logged = true;
    } while (i < t->pending.n);
    return ST_OK;
}

Status txn_commit_begin(Ctx *cx, Txn *t)
{
    ASSERT(t->state == TXN_ACTIVE);
    if (t->id.v == 0) {
        t->state = TXN_COMMITTING;
        return ST_OK;
    }
    mutex_lock(&t->undo_mutex);
    Status st = log_pending(cx, t, false);
    mutex_unlock(&t->undo_mutex);
    if (st == ST_OK) {
        st = pending_promise(cx, t->ts, t->pending.n);
    }
    if (st == ST_OK) {
        OpNeed need = {.wal_bytes = wal_record_bytes(0, COMMIT_BODY_BYTES)};
        st = op_begin(cx, t->ts->store, &need, &t->commit_op);
        if (st != ST_OK) {
            pending_unpromise(t->ts, t->pending.n);
        }
    }
    if (st == ST_OK) {
        t->state = TXN_COMMITTING;
    }
    return st;
}

/* The short critical section: place in the log, timestamp, publication. */
static uint64_t commit_point(Txn *t, WalSpace *out_space)
{
    TxnSystem *ts = t->ts;
    UndoHeader *h = header_of(t);
    uint64_t now = (uint64_t)os_wall_us() << 12;
    SYNC_POINT("txn.before_commit_point");
    spin_lock(&ts->commit_lock);
    *out_space = wal_reserve(&t->commit_op, COMMIT_BODY_BYTES);
    uint64_t last = atomic_load_explicit(&ts->published, memory_order_relaxed);
    uint64_t mine = now > last ? now : last + 1;
    h->commit_lsn = out_space->end.v;
    /* seq_cst: before the ender asks who waits (lock_wait_txn); a reader that sees it sees commit_lsn. */
    atomic_store_explicit(&h->commit_ts, mine, memory_order_seq_cst);
    if (ts->commit_hook != NULL) {
        ts->commit_hook(t->note, mine, out_space->end);
    }
    atomic_store_explicit(&ts->published, mine, memory_order_seq_cst);
    spin_unlock(&ts->commit_lock);
    return mine;
}

/* Caller holds pending_mutex since before the commit point: a checkpoint's list has these frees exactly if the commit's
 * record is before it. */
static void pend_frees(Txn *t, uint64_t commit_ts, Lsn lsn)
{
    TxnSystem *ts = t->ts;
    for (size_t i = 0; i < t->pending.n; i++) {
        PendingFree f = t->pending.v[i];
        f.ts = commit_ts;
        f.lsn = lsn.v;
        pending_put(ts, f);
    }
    ts->pending_promised -= t->pending.n;
}

Lsn txn_commit_finish(Ctx *cx, Txn *t)
{
    (void)cx;
    ASSERT(t->state == TXN_COMMITTING);
    TxnSystem *ts = t->ts;
    Lsn gate = t->gate;
    t->state = TXN_ENDED;
    if (t->id.v != 0) {
        WalSpace space;
        uint8_t body[COMMIT_BODY_BYTES];
        bool frees = t->pending.n > 0;
        if (frees) {
            mutex_lock(&ts->pending_mutex);
        }
        mutex_lock(&t->undo_mutex); /* not while a checkpoint reads the undo */
        uint64_t commit_ts = commit_point(t, &space);
        t->ended = true;
        mutex_unlock(&t->undo_mutex);
        store_u64(body, commit_ts);
        wal_fill(&t->commit_op, &space, WAL_TXN_COMMIT, 0, t->id, body, sizeof body);
        op_end(&t->commit_op);
        if (frees) {
            pend_frees(t, commit_ts, space.end);
            mutex_unlock(&ts->pending_mutex);
        }
        atomic_fetch_add_explicit(&ts->unpurged, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&ts->commits, 1, memory_order_relaxed);
        leave(t);
        gate = space.end;
    }
    txn_free(t);
    return lsn_le(gate, wal_durable(ts->store)) ? LSN_NONE : gate;
}

Status txn_commit(Ctx *cx, Txn *t, Lsn *out_gate)
{
    Status st = txn_commit_begin(cx, t);
    if (st == ST_OK) {
        *out_gate = txn_commit_finish(cx, t);
    }
    return st;
}

Status txn_abort(Ctx *cx, Txn *t)
{
    TxnSystem *ts = t->ts;
    Status st = ST_OK;
    if (t->state == TXN_COMMITTING && t->id.v != 0) {
        op_end(&t->commit_op);
        pending_unpromise(ts, t->pending.n);
    }
    t->state = TXN_ENDED;
    if (t->id.v != 0) {
        st = rollback_all(cx, t);
        atomic_fetch_add_explicit(&ts->aborts, 1, memory_order_relaxed);
        if (st == ST_OK) {
            txn_end_writing(t, COMMIT_ABORTED, LSN_NONE);
        } else {
            /* Its changes stand unfinished in the pages: nobody may take them for ended. Recovery will undo them. */
            txn_abandon(t);
        }
    }
    txn_free(t);
    return st;
}

/* A rollback that could not be completed: the transaction stays "running" for all who look, for ever (until restart). */
void txn_abandon(Txn *t)
{
    unlist(t);
    mutex_lock(&t->ts->mutex);
    t->ts->abandoned = true;
    mutex_unlock(&t->ts->mutex);
    t->lane = NULL; /* never handed out again */
}

/* ---- savepoints ---- */

void txn_savepoint(Txn *t, TxnSavepoint *out)
{
    *out = (TxnSavepoint){.undo = t->last, .n_pending = t->pending.n, .locks = lock_mark(&t->locks)};
}

Status txn_rollback_to(Ctx *cx, Txn *t, const TxnSavepoint *sp)
{
    Status st = ST_OK;
    if (t->id.v != 0) {
        st = rollback_to(cx, t, sp->undo == 0 ? t->header : sp->undo);
    }
    if (st == ST_OK) {
        mutex_lock(&t->undo_mutex);
        t->pending.n = sp->n_pending;
        mutex_unlock(&t->undo_mutex);
        lock_release_since(&t->locks, sp->locks);
    }
    return st;
}

/* ---- small things ---- */

TxnId txn_id(const Txn *t) { return t->id; }
Lsn txn_gate(const Txn *t) { return t->gate; }
LockOwner *txn_lock_owner(Txn *t) { return &t->locks; }
Ts txn_snapshot_ts(const Txn *t) { return (Ts){t->snapshot}; }
TxnIsolation txn_isolation(const Txn *t) { return t->isolation; }

void txn_raise_gate(Txn *t, Lsn lsn)
{
    t->gate = lsn_max(t->gate, lsn);
}

/* ---- appending undo records ---- */

UndoPtr undo_push(Txn *t, const UndoNew *n)
{
    UndoPtr ptr;
    UndoRec *r = undo_begin_append(t->lane, n->payload_len, &ptr);
    r->type = (uint8_t)n->type;
    atomic_init(&r->flags, n->flags);
    r->n = n->n;
    r->command = t->command;
    r->old_stamp = n->old_stamp;
    r->txn = t->id.v;
    r->header = t->header;
    atomic_init(&r->prev_row, n->prev_row);
    r->prev_txn = t->last;
    r->tid = n->tid;
    r->moved_to = n->moved_to;
    r->object = n->object.id.v;
    r->object_header = n->object.header.v;
    r->lsn = n->lsn.v;
    r->aux = n->aux;
    if (n->payload_len > 0) {
        memcpy(r + 1, n->payload, n->payload_len);
    }
    undo_publish(t->lane, r);
    t->last = ptr;
    return ptr;
}
