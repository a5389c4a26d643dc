/*
 * txn/rollback.c: undoing a transaction's records, newest first, each with a compensation record in the log.
 *
 * Needs no catalog: undo records name object, page, root and key. Needs no space: the log for it was reserved when the change was
 * made, string bytes too. The same code runs for ROLLBACK, ROLLBACK TO and after a crash.
 *
 * B1  Compensations are logged in the exact reverse order of the records they undo, each naming it (body: its LSN): replay pops
 *     them off in the same order.
 */
#include "txn/txn_int.h"

enum { CLR_BODY_BYTES = 8 };

typedef struct Undoing {
    Txn *t;
    TxnSystem *ts;
    UndoRec rec;      /* a copy: the record may move to the file */
    uint8_t *payload; /* a copy in the buffer */
    UndoPtr ptr;
    UndoPtr prev_row;
    uint8_t body[CLR_BODY_BYTES];
} Undoing;

static Status load(Ctx *cx, Undoing *u, UndoPtr ptr)
{
    const UndoRec *r;
    STATIC_ASSERT(2 * HEAP_DATA_MAX >= UNDO_CHUNK_BYTES, "the buffer takes a record that was spilled");
    UndoReader rd = {.buf = u->t->buf};
    epoch_enter(u->ts->epoch);
    Status st = undo_get(cx, &u->ts->undo, &rd, ptr, &r);
    ASSERT(st != ST_OK || r != NULL); /* not purged: the transaction is running */
    if (st == ST_OK) {
        memcpy((void *)&u->rec, (const void *)r, sizeof u->rec);
        u->prev_row = atomic_load_explicit(&r->prev_row, memory_order_acquire);
        u->payload = u->t->buf + HEAP_DATA_MAX;
        if (r->payload_len > 0) {
            ASSERT(r->payload_len <= HEAP_DATA_MAX);
            memmove(u->payload, undo_payload(r), r->payload_len); /* a spilled record stands in the same buffer */
        }
        u->ptr = ptr;
        store_u64(u->body, u->rec.lsn);
    }
    epoch_leave(u->ts->epoch);
    return st;
}

static ObjectRef object_of(const Undoing *u)
{
    return (ObjectRef){{u->rec.object}, {u->rec.object_header}};
}

/* Latches the page of a row of the record under an operation of the rollback. */
static Status open_page(Ctx *cx, Undoing *u, PageId page, uint32_t data_bytes, StoreOp *op, BufFrame **out_frame,
                        HeapPage *out_page)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(1, data_bytes + CLR_BODY_BYTES), .frames = 2, .is_undo = true};
    Status st = op_begin(cx, u->ts->store, &need, op);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix(cx, u->ts->store, page, object_of(u).id, LATCH_EXCLUSIVE, out_frame);
    if (st == ST_OK) {
        st = heap_open(buf_page(*out_frame), NULL, cx->err, out_page);
        if (st != ST_OK) {
            buf_unfix(*out_frame);
        }
    }
    if (st != ST_OK) {
        op_end(op);
    }
    return st;
}

static Status unlink_row(Ctx *cx, Undoing *u, BufFrame *f, unsigned slot)
{
    if (page_versions(f) == NULL) {
        return ST_OK; /* after a crash there are none */
    }
    epoch_enter(u->ts->epoch);
    Status st = chain_unlink(cx, u->ts, &u->t->reader, f, slot, u->ptr, u->prev_row);
    epoch_leave(u->ts->epoch);
    return st;
}

static Status undo_insert(Ctx *cx, Undoing *u)
{
    StoreOp op;
    BufFrame *f;
    HeapPage p;
    HeapData data;
    const uint16_t *slots = (const uint16_t *)(const void *)u->payload;
    Status st = open_page(cx, u, (PageId){u->rec.tid}, heap_slots_bytes(u->rec.n), &op, &f, &p);
    if (st != ST_OK) {
        return st;
    }
    for (unsigned i = 0; i < u->rec.n && page_versions(f) != NULL; i++) {
        versions_remove(page_versions(f), slots[i]);
    }
    heap_free_build(&p, slots, u->rec.n, u->t->buf, &data);
    (void)heap_log(&op, f, &data, REC_CLR, u->t->id, u->body, sizeof u->body);
    versions_trim(u->ts, f);
    buf_unfix(f);
    op_end(&op);
    return ST_OK;
}

static Status undo_update(Ctx *cx, Undoing *u)
{
    StoreOp op;
    BufFrame *f;
    HeapPage p;
    HeapData data;
    Tid tid = {u->rec.tid};
    Status st = open_page(cx, u, tid_page(tid), u->rec.payload_len + 64, &op, &f, &p);
    if (st != ST_OK) {
        return st;
    }
    st = heap_restore_build(&p, tid_slot(tid), u->payload, u->rec.payload_len, u->rec.old_stamp, u->t->buf, cx->err, &data);
    if (st == ST_OK) {
        st = unlink_row(cx, u, f, tid_slot(tid));
    }
    if (st == ST_OK) {
        (void)heap_log(&op, f, &data, REC_CLR, u->t->id, u->body, sizeof u->body);
        if (page_versions(f) != NULL) {
            page_versions(f)->reserved -= u->rec.aux;
            versions_trim(u->ts, f);
        }
    }
    buf_unfix(f);
    op_end(&op);
    return st;
}

static Status undo_delete(Ctx *cx, Undoing *u)
{
    StoreOp op;
    BufFrame *f;
    HeapPage p;
    HeapData data;
    Tid tid = {u->rec.tid};
    uint16_t slot = (uint16_t)tid_slot(tid);
    Status st = open_page(cx, u, tid_page(tid), heap_mark_bytes(1), &op, &f, &p);
    if (st != ST_OK) {
        return st;
    }
    st = unlink_row(cx, u, f, slot);
    if (st == ST_OK) {
        heap_mark_build(&p, HEAP_REDO_UNMARK, &slot, &u->rec.old_stamp, 1, u->t->buf, &data);
        (void)heap_log(&op, f, &data, REC_CLR, u->t->id, u->body, sizeof u->body);
        if (page_versions(f) != NULL) {
            versions_sub_delete(u->ts, page_versions(f));
            versions_trim(u->ts, f);
        }
    }
    buf_unfix(f);
    op_end(&op);
    return st;
}

static Status undo_lock(Ctx *cx, Undoing *u)
{
    BufFrame *f;
    Tid tid = {u->rec.tid};
    Status st = buf_fix(cx, u->ts->store, tid_page(tid), object_of(u).id, LATCH_EXCLUSIVE, &f);
    if (st == ST_OK) {
        st = unlink_row(cx, u, f, tid_slot(tid));
        versions_trim(u->ts, f);
        buf_unfix(f);
    }
    return st;
}

static Status undo_index_insert(Ctx *cx, Undoing *u)
{
    BTree *tree;
    BTreeWrite w;
    PageId root = {u->rec.moved_to};
    BTreeDelete how = {.kind = BTREE_UNDO, .undoes = {u->rec.lsn}};
    /* The log names only the root: after a crash the page says whose it is. */
    Status st = u->rec.object != 0 ? btree_open(cx, u->ts->store, (BTreeRef){object_of(u), root}, &tree)
                                   : btree_open_root(cx, u->ts->store, root, &tree);
    if (st == ST_OK) {
        BTreeBytes key = {u->payload, u->rec.payload_len};
        st = btree_delete(cx, tree, u->t->id, key, (Tid){u->rec.tid}, &how, &w);
        btree_close(tree);
    }
    return st;
}

static Status undo_create(Ctx *cx, Undoing *u)
{
    bool done = false;
    Status st = ST_OK;
    while (st == ST_OK && !done) {
        st = object_free_step(cx, u->ts->store, object_of(u), &done);
    }
    if (st != ST_OK) {
        return st;
    }
    /* One record for the replay to pop; object_free_step's own records belong to no transaction. */
    OpNeed need = {.wal_bytes = wal_record_bytes(0, CLR_BODY_BYTES), .is_undo = true};
    StoreOp op;
    st = op_begin(cx, u->ts->store, &need, &op);
    if (st == ST_OK) {
        (void)store_log(&op, WAL_TXN_CREATE, REC_CLR, u->t->id, NULL, 0, u->body, sizeof u->body);
        op_end(&op);
    }
    return st;
}

static Status undo_overflow(Ctx *cx, Undoing *u)
{
    StoreObject *o;
    uint8_t body[8];
    bool done = false;
    store_u64(body, u->rec.moved_to);
    Status st = object_open(cx, u->ts->store, object_of(u), &o);
    if (st != ST_OK) {
        return st;
    }
    while (st == ST_OK && !done) {
        st = overflow_free_step(cx, o, (PageId){u->rec.tid}, u->t->id, REC_CLR, true, body, sizeof body, &done);
    }
    object_close(o);
    return st;
}

static Status undo_one(Ctx *cx, Undoing *u)
{
    SYNC_POINT("txn.undo_one");
    switch (u->rec.type) {
    case UNDO_INSERT:
        return undo_insert(cx, u);
    case UNDO_UPDATE:
        return undo_update(cx, u);
    case UNDO_DELETE:
        return undo_delete(cx, u);
    case UNDO_LOCK:
        return undo_lock(cx, u);
    case UNDO_INDEX_INSERT:
        return undo_index_insert(cx, u);
    case UNDO_CREATE:
        return undo_create(cx, u);
    case UNDO_OVERFLOW:
        return undo_overflow(cx, u);
    default:
        UNREACHABLE();
    }
}

/* The record is undone: it does not count any more for checkpoints, and the transaction's list ends before it. */
static Status pop(Ctx *cx, Undoing *u)
{
    Status st = undo_mark_dead(cx, &u->ts->undo, u->ptr);
    u->t->last = u->rec.prev_txn;
    return st;
}

/* The chain that was freed has a record for each step of its writing: they go with it. */
static Status pop_chain(Ctx *cx, Undoing *u, UndoPtr until)
{
    uint64_t number = u->rec.moved_to;
    Status st = pop(cx, u);
    while (st == ST_OK && u->t->last != until) {
        st = load(cx, u, u->t->last);
        if (st != ST_OK || u->rec.type != UNDO_OVERFLOW || u->rec.moved_to != number) {
            break;
        }
        st = pop(cx, u);
    }
    return st;
}

/*
 * A rollback is not interrupted, whatever it was that made it necessary, and its errors are its own: the statement's stays. Short
 * of memory it waits until others have given some back: what it needs is little (a handle of an index or table).
 */
typedef struct RollbackCtx {
    Ctx cx;
    Error err;
} RollbackCtx;

static void ctx_rollback(RollbackCtx *rc, const Ctx *cx)
{
    err_clear(&rc->err);
    ctx_init(&rc->cx, &rc->err, cx->budget, NULL);
    rc->cx.owner = cx->owner;
    rc->cx.wait_begin = cx->wait_begin;
    rc->cx.wait_end = cx->wait_end;
    rc->cx.poll_hook = cx->poll_hook;
}

static Status rollback_done(Status st, const RollbackCtx *rc, Ctx *cx)
{
    if (st != ST_OK && cx->err->status == ST_OK) {
        err_copy(cx->err, &rc->err);
    }
    return st;
}

enum { MEMORY_WAIT_US = 2000, MEMORY_TRIES = 5000 };

static Status undo_last(RollbackCtx *rc, Undoing *u, UndoPtr until)
{
    Txn *t = u->t;
    mutex_lock(&t->undo_mutex);
    Status st = load(&rc->cx, u, t->last);
    if (st == ST_OK) {
        st = undo_one(&rc->cx, u);
    }
    if (st == ST_OK) {
        st = u->rec.type == UNDO_OVERFLOW ? pop_chain(&rc->cx, u, until) : pop(&rc->cx, u);
    }
    mutex_unlock(&t->undo_mutex);
    return st;
}

static Status rollback(RollbackCtx *rc, Txn *t, UndoPtr until)
{
    Undoing u = {.t = t, .ts = t->ts};
    Status st = ST_OK;
    unsigned tries = 0;
    while (st == ST_OK && t->last != until) {
        ASSERT(t->last != t->header);
        st = undo_last(rc, &u, until);
        if (st == ST_OK) {
            tries = 0;
        } else if (st == ST_OUT_OF_MEMORY && tries++ < MEMORY_TRIES) {
            err_clear(&rc->err);
            os_sleep_us(MEMORY_WAIT_US);
            st = ST_OK;
        }
    }
    return st;
}

Status rollback_to(Ctx *cx, Txn *t, UndoPtr until)
{
    RollbackCtx rc;
    ctx_rollback(&rc, cx);
    return rollback_done(rollback(&rc, t, until), &rc, cx);
}

Status rollback_all(Ctx *cx, Txn *t)
{
    RollbackCtx rc;
    ctx_rollback(&rc, cx);
    Status st = rollback(&rc, t, t->header);
    if (st == ST_OK) {
        OpNeed need = {.wal_bytes = wal_record_bytes(0, 0), .is_undo = true};
        StoreOp op;
        st = op_begin(&rc.cx, t->ts->store, &need, &op);
        if (st == ST_OK) {
            (void)store_log(&op, WAL_TXN_ABORT, 0, t->id, NULL, 0, NULL, 0);
            op_end(&op);
        }
    }
    return rollback_done(st, &rc, cx);
}
