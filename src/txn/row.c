/*
 * txn/row.c: locking, updating and deleting one row.
 *
 * Every change: admission; page latched exclusively; chain_check says whether the row may be changed; everything that can fail
 * (version table room, undo room, building the change); then log, undo record, version table, which cannot fail.
 *
 * X1  The record's undo entry is appended before undo_mutex is released, so a checkpoint dumps both or neither.
 * X2  A row's chain gets an entry for each change of a running transaction before its page latch is released: nobody sees
 *     an unfinished change without its undo.
 */
#include "txn/txn_int.h"

/* ---- waiting for others ---- */

typedef struct RowWait {
    Txn *t;
    TxnTable *tb;
    LockTag tag;
    LockWait wait;
    bool queued; /* holds the row's place in the queue */
} RowWait;

/*
 * Somebody stands in the way. First a place in the row's queue is taken, so that waiters get their turn in order
 * (PostgreSQL's heavyweight tuple lock); with it the row is looked at again, and then the one in the way is waited for.
 */
static Status wait_turn(Ctx *cx, RowWait *w, const ChainCheck *check)
{
    if (!w->queued) {
        Status st = lock_acquire(cx, &w->t->locks, &w->tag, LOCK_EXCLUSIVE, w->wait, -1);
        w->queued = st == ST_OK;
        return st;
    }
    if (w->wait == LOCK_TRY) {
        return ST_WOULD_BLOCK;
    }
    if (w->wait == LOCK_NOWAIT) {
        return err_set(cx->err, ST_LOCK_NOT_AVAILABLE, "could not obtain lock on row");
    }
    return wait_for_writer(cx, w->t, check->wait_for, check->wait_header);
}

static void leave_queue(RowWait *w)
{
    if (w->queued) {
        (void)lock_release(&w->t->locks, &w->tag, LOCK_EXCLUSIVE);
        w->queued = false;
    }
}

/* ---- a row found and free to change ---- */

typedef struct RowChange {
    Txn *t;
    TxnTable *tb;
    Tid tid;
    TxnRowLock strength;
    uint64_t seen;
    const HeapShape *shape; /* NULL where columns are not read */
    /* results, while latched */
    BufFrame *frame;
    HeapPage page;
    unsigned slot;
    ChainCheck check;
    bool found;
} RowChange;

static uint64_t effective(const Txn *t, TxnSeen seen)
{
    return seen.ts.v > t->snapshot ? seen.ts.v : t->snapshot;
}

static Status latch_row(Ctx *cx, RowChange *rc)
{
    Status st = buf_fix(cx, rc->t->ts->store, tid_page(rc->tid), rc->tb->ref.id, LATCH_EXCLUSIVE, &rc->frame);
    if (st != ST_OK) {
        return st;
    }
    st = heap_open(buf_page(rc->frame), rc->shape, cx->err, &rc->page);
    if (st == ST_OK) {
        rc->found = heap_find(&rc->page, rc->tid, &rc->slot);
        if (rc->found) {
            epoch_enter(rc->t->ts->epoch);
            st = chain_check(cx, rc->t, rc->frame, &rc->page, rc->slot, rc->strength, rc->seen, &rc->check);
            epoch_leave(rc->t->ts->epoch);
        }
    }
    if (st != ST_OK) {
        buf_unfix(rc->frame);
    }
    return st;
}

/* What a verdict other than FREE and WAIT means for the caller. */
static Status answer(Ctx *cx, const RowChange *rc, TxnRowResult *out_result, Tid *out_tid)
{
    bool rr = rc->t->isolation == TXN_REPEATABLE_READ;
    if (!rc->found || rc->check.verdict == CHAIN_GONE) {
        if (rr && rc->found && rc->check.deleted_after) {
            return err_set(cx->err, ST_SERIALIZATION_FAILURE, "could not serialize access due to concurrent delete");
        }
        *out_result = TXN_ROW_GONE;
        return ST_OK;
    }
    if (rc->check.verdict == CHAIN_SELF) {
        *out_result = TXN_ROW_SELF;
        return ST_OK;
    }
    if (rr) {
        return err_set(cx->err, ST_SERIALIZATION_FAILURE, "could not serialize access due to concurrent update");
    }
    *out_result = TXN_ROW_CHANGED;
    *out_tid = rc->check.verdict == CHAIN_MOVED ? rc->check.moved_to : rc->tid;
    return ST_OK;
}

/* ---- the loop around every change of an existing row ---- */

/* Makes the change on the latched row: everything fallible, then log and undo. ST_RETRY is not allowed. */
typedef Status (*ChangeFn)(Ctx *cx, RowChange *rc, StoreOp *op, void *arg);

typedef struct ChangePlan {
    OpNeed need;
    uint32_t undo_payload;
    ChangeFn fn;
    void *arg;
} ChangePlan;

static Status try_change(Ctx *cx, RowChange *rc, const ChangePlan *plan, bool *out_decided)
{
    Txn *t = rc->t;
    StoreOp op;
    *out_decided = true;
    Status st = op_begin(cx, t->ts->store, &plan->need, &op);
    if (st != ST_OK) {
        return st;
    }
    t->undo_wal += plan->need.undo_wal_bytes;
    mutex_lock(&t->undo_mutex);
    st = undo_reserve(cx, &t->ts->undo, t->lane, plan->undo_payload);
    if (st == ST_OK) {
        st = latch_row(cx, rc);
        if (st == ST_OK) {
            *out_decided = !rc->found || rc->check.verdict != CHAIN_WAIT;
            if (rc->found && rc->check.verdict == CHAIN_FREE) {
                st = plan->fn(cx, rc, &op, plan->arg);
                versions_trim(t->ts, rc->frame); /* made for a change that then was not */
            }
            buf_unfix(rc->frame);
        }
    }
    mutex_unlock(&t->undo_mutex);
    op_end(&op);
    return st;
}

static Status change_row(Ctx *cx, RowChange *rc, const ChangePlan *plan, LockWait wait, TxnRowResult *out_result,
                         Tid *out_tid)
{
    Txn *t = rc->t;
    RowWait w = {.t = t, .tb = rc->tb, .wait = wait, .tag = lock_tag_row(0, rc->tb->ref.id.v, rc->tid)};
    bool decided = false;
    Status st = txn_assign_id(cx, t);
    while (st == ST_OK && !decided) {
        st = try_change(cx, rc, plan, &decided);
        if (st == ST_OK && !decided) {
            st = wait_turn(cx, &w, &rc->check);
        }
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    leave_queue(&w);
    if (st != ST_OK) {
        return st;
    }
    if (rc->found && rc->check.verdict == CHAIN_FREE) {
        *out_result = TXN_ROW_OK;
        return ST_OK;
    }
    return answer(cx, rc, out_result, out_tid);
}

/* Links a new undo record into the row's chain. */
static void chain_add(RowChange *rc, UndoNew *n)
{
    n->prev_row = rc->check.keep;
    n->flags = rc->check.foreign_locks ? UNDO_LOCKS_BELOW : 0;
    n->tid = rc->tid.v;
    n->object = rc->tb->ref;
    UndoPtr ptr = undo_push(rc->t, n);
    versions_set(page_versions(rc->frame), rc->slot, ptr);
}

/* ---- lock ---- */

static Status do_lock(Ctx *cx, RowChange *rc, StoreOp *op, void *arg)
{
    (void)op, (void)arg;
    if (rc->check.held) {
        return ST_OK;
    }
    Status st = versions_reserve(cx, rc->t->ts, rc->frame, rc->tb->ref, 1);
    if (st == ST_OK) {
        UndoNew n = {.type = UNDO_LOCK, .aux = rc->strength};
        chain_add(rc, &n);
    }
    return st;
}

Status txn_lock_row(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, TxnRowLock strength, LockWait wait, TxnSeen seen,
                    TxnRowResult *out_result, Tid *out_tid)
{
    RowChange rc = {.t = t, .tb = tb, .tid = tid, .strength = strength, .seen = effective(t, seen)};
    ChangePlan plan = {.need = {.frames = 1}, .fn = do_lock};
    return change_row(cx, &rc, &plan, wait, out_result, out_tid);
}

/* ---- delete ---- */

enum { DELETE_BODY_BYTES = OBJECT_BODY_BYTES + 4 + 8 };

typedef struct DeleteArg {
    Tid moved_to;
} DeleteArg;

static Status do_delete(Ctx *cx, RowChange *rc, StoreOp *op, void *arg)
{
    const DeleteArg *d = arg;
    Txn *t = rc->t;
    Status st = versions_reserve(cx, t->ts, rc->frame, rc->tb->ref, 1);
    if (st != ST_OK) {
        return st;
    }
    uint8_t body[DELETE_BODY_BYTES];
    uint16_t slot = (uint16_t)rc->slot;
    uint32_t old_stamp = heap_row(&rc->page, rc->slot).stamp;
    uint32_t stamp = (uint32_t)t->id.v;
    HeapData data;
    put_object(body, rc->tb->ref);
    store_u32(body + 16, old_stamp);
    store_u64(body + 20, d->moved_to.v);
    heap_mark_build(&rc->page, HEAP_REDO_MARK, &slot, &stamp, 1, t->buf, &data);
    Lsn lsn = heap_log(op, rc->frame, &data, 0, t->id, body, sizeof body);
    UndoNew n = {.type = UNDO_DELETE, .old_stamp = old_stamp, .moved_to = d->moved_to.v, .lsn = lsn};
    chain_add(rc, &n);
    versions_add_delete(t->ts, page_versions(rc->frame));
    return ST_OK;
}

static ChangePlan delete_plan(DeleteArg *arg)
{
    uint32_t redo = wal_record_bytes(1, heap_mark_bytes(1) + DELETE_BODY_BYTES);
    uint32_t undo = wal_record_bytes(1, heap_mark_bytes(1) + 8);
    return (ChangePlan){.need = {.wal_bytes = redo, .undo_wal_bytes = undo, .frames = 2}, .fn = do_delete, .arg = arg};
}

Status txn_delete(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, TxnSeen seen, TxnRowResult *out_result, Tid *out_tid)
{
    DeleteArg arg = {TID_NONE};
    RowChange rc = {.t = t, .tb = tb, .tid = tid, .strength = TXN_UPDATE, .seen = effective(t, seen)};
    ChangePlan plan = delete_plan(&arg);
    return change_row(cx, &rc, &plan, LOCK_WAIT, out_result, out_tid);
}

/* ---- update in place ---- */

typedef struct UpdateArg {
    const uint16_t *columns;
    const HeapValue *values;
    unsigned n;
    bool no_room;
} UpdateArg;

/* Chains that the update lets go of are freed when its commit is older than every snapshot. */
static Status note_old_chains(Ctx *cx, Txn *t, ObjectRef object, const uint8_t *list, uint32_t len)
{
    HeapList it;
    uint16_t column;
    uint8_t width;
    HeapValue v;
    Status st = heap_list_begin(&it, list, len, cx->err);
    while (st == ST_OK && (st = heap_list_next(&it, cx->err, &column, &width, &v)) == ST_OK) {
        if (v.state == HEAP_OVERFLOW && !VEC_PUSH(&t->pending, ((PendingFree){object, {v.view.ref}, 0, 0}))) {
            return ctx_nomem(cx, sizeof(PendingFree));
        }
    }
    return st == ST_END ? ST_OK : st;
}

static Status do_update(Ctx *cx, RowChange *rc, StoreOp *op, void *arg)
{
    UpdateArg *u = arg;
    Txn *t = rc->t;
    uint32_t freed;
    uint32_t list_len;
    HeapData data;
    uint8_t *body = t->buf + HEAP_DATA_MAX;
    HeapFit fit = heap_update_build(&rc->page, rc->slot, u->columns, u->values, u->n, versions_reserved(rc->frame),
                                    (uint32_t)t->id.v, t->buf, &data, &freed);
    if (fit != HEAP_FITS) {
        u->no_room = true;
        return ST_OK;
    }
    Status st = heap_before_image(&rc->page, rc->slot, u->columns, u->n, cx->err, body + OBJECT_BODY_BYTES + 8, &list_len);
    if (st == ST_OK) {
        st = versions_reserve(cx, t->ts, rc->frame, rc->tb->ref, 1);
    }
    if (st == ST_OK) {
        st = note_old_chains(cx, t, rc->tb->ref, body + OBJECT_BODY_BYTES + 8, list_len);
    }
    if (st != ST_OK) {
        return st;
    }
    uint32_t old_stamp = heap_row(&rc->page, rc->slot).stamp;
    put_object(body, rc->tb->ref);
    store_u32(body + 16, old_stamp);
    store_u32(body + 20, freed);
    Lsn lsn = heap_log(op, rc->frame, &data, 0, t->id, body, OBJECT_BODY_BYTES + 8 + list_len);
    UndoNew n = {.type = UNDO_UPDATE, .old_stamp = old_stamp, .aux = freed, .lsn = lsn,
                 .payload = body + OBJECT_BODY_BYTES + 8, .payload_len = list_len};
    chain_add(rc, &n);
    page_versions(rc->frame)->reserved += freed;
    return ST_OK;
}

/* Values too long for the page go to chains first; *out_values is the array to use, in the arena if it had to change. */
static Status spill_values(Ctx *cx, Txn *t, TxnTable *tb, const HeapValue *values, const bool *push, unsigned n,
                           const HeapValue **out_values)
{
    *out_values = values;
    HeapValue *copy = NULL;
    for (unsigned i = 0; i < n; i++) {
        if (!push[i]) {
            continue;
        }
        if (copy == NULL) {
            copy = arena_copy(cx->arena, values, n * sizeof *values);
            if (copy == NULL) {
                return ctx_nomem(cx, n * sizeof *values);
            }
        }
        Status st = overflow_store(cx, t, tb, &copy[i]);
        if (st != ST_OK) {
            return st;
        }
        *out_values = copy;
    }
    return ST_OK;
}

Status txn_update(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns,
                  const HeapValue *values, unsigned n, TxnSeen seen, TxnRowResult *out_result, Tid *out_tid,
                  bool *out_no_room)
{
    const HeapLayout *l = heap_newest(shape);
    bool *push = arena_alloc0(cx->arena, n + 1u);
    if (push == NULL) {
        return ctx_nomem(cx, n);
    }
    for (unsigned i = 0; i < n; i++) {
        push[i] = l->columns[columns[i]].width == HEAP_STRING && values[i].state == HEAP_PRESENT &&
                  values[i].view.len > HEAP_INLINE_MAX;
    }
    Status st = txn_assign_id(cx, t);
    UndoPtr last = t->last;
    if (st == ST_OK) {
        st = spill_values(cx, t, tb, values, push, n, &values);
    }
    if (st != ST_OK) {
        return st;
    }
    UpdateArg arg = {.columns = columns, .values = values, .n = n};
    uint32_t before = heap_before_bytes_max(l, columns, n);
    ChangePlan plan = {
        .need = {.wal_bytes = wal_record_bytes(1, heap_update_bytes_max(l, columns, values, n) + OBJECT_BODY_BYTES + 8 + before),
                 .undo_wal_bytes = wal_record_bytes(1, heap_restore_bytes_max(l, columns, n) + 8),
                 .frames = 2},
        .undo_payload = before,
        .fn = do_update,
        .arg = &arg,
    };
    RowChange rc = {.t = t, .tb = tb, .tid = tid, .strength = TXN_NO_KEY_UPDATE, .seen = effective(t, seen), .shape = shape};
    st = change_row(cx, &rc, &plan, LOCK_WAIT, out_result, out_tid);
    *out_no_room = st == ST_OK && *out_result == TXN_ROW_OK && arg.no_room;
    if (st == ST_OK && (*out_result != TXN_ROW_OK || arg.no_room) && t->last != last) {
        st = rollback_to(cx, t, last); /* chains for a version that was not made */
    }
    return st;
}

/* ---- move ---- */

/*
 * The row is locked as for a delete first, so that nobody changes it meanwhile; then its new version is inserted; then the
 * old one is marked deleted with the new TID in its undo record, for those who wait for it to follow.
 */
Status txn_move(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const HeapValue *row, TxnSeen seen,
                TxnRowResult *out_result, Tid *out_tid)
{
    const HeapLayout *l = heap_newest(shape);
    Status st = txn_lock_row(cx, t, tb, tid, TXN_UPDATE, LOCK_WAIT, seen, out_result, out_tid);
    if (st != ST_OK || *out_result != TXN_ROW_OK) {
        return st;
    }
    HeapValue *copy = arena_copy(cx->arena, row, l->n_columns * sizeof *row);
    if (copy == NULL) {
        return ctx_nomem(cx, l->n_columns * sizeof *row);
    }
    /* A chain has one owner: the new version gets copies, purge of the old one frees the originals. */
    for (unsigned i = 0; st == ST_OK && i < l->n_columns; i++) {
        if (l->columns[i].width == HEAP_STRING && copy[i].state == HEAP_OVERFLOW) {
            st = txn_fetch_overflow(cx, t, tb, &copy[i], cx->arena);
        }
    }
    DeleteArg arg;
    if (st == ST_OK) {
        st = txn_insert(cx, t, tb, shape, copy, &arg.moved_to);
    }
    if (st != ST_OK) {
        return st;
    }
    RowChange rc = {.t = t, .tb = tb, .tid = tid, .strength = TXN_UPDATE, .seen = effective(t, seen)};
    ChangePlan plan = delete_plan(&arg);
    st = change_row(cx, &rc, &plan, LOCK_WAIT, out_result, out_tid);
    if (st == ST_OK) {
        ASSERT(*out_result == TXN_ROW_OK); /* locked above */
        *out_tid = arg.moved_to;
    }
    return st;
}
