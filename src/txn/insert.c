/*
 * txn/insert.c: inserting rows, one or many, and values that go to overflow chains.
 */
#include "txn/txn_int.h"

/* ---- overflow ---- */

enum { CHAIN_BODY_BYTES = 8 };

static Status push_chain(Ctx *cx, Txn *t, TxnTable *tb, OverflowWriter *w, uint64_t number, bool *out_done)
{
    uint8_t body[CHAIN_BODY_BYTES];
    store_u64(body, number);
    mutex_lock(&t->undo_mutex);
    Status st = undo_reserve(cx, &t->ts->undo, t->lane, 0);
    if (st == ST_OK) {
        PageId before = w->head;
        st = overflow_write_step(cx, w, t->id, body, sizeof body, out_done);
        if (w->head.v != before.v) {
            /* Also after a failure: what was written must be undone. */
            UndoNew n = {.type = UNDO_OVERFLOW, .tid = w->head.v, .moved_to = number, .object = tb->ref};
            (void)undo_push(t, &n);
        }
    }
    mutex_unlock(&t->undo_mutex);
    return st == ST_OK ? ctx_poll(cx) : st;
}

Status overflow_store(Ctx *cx, Txn *t, TxnTable *tb, HeapValue *io_value)
{
    OverflowWriter w;
    Status st = overflow_write_begin(cx, &w, tb->object, heap_view_ptr(&io_value->view), io_value->view.len);
    if (st != ST_OK) {
        return st;
    }
    uint64_t number = ++t->next_chain;
    bool done = false;
    while (st == ST_OK && !done) {
        st = push_chain(cx, t, tb, &w, number, &done);
    }
    t->undo_wal += w.undo_reserved;
    if (st == ST_OK) {
        *io_value = overflow_value(&w);
    }
    overflow_write_done(&w);
    return st;
}

Status txn_fetch_overflow(Ctx *cx, Txn *t, TxnTable *tb, HeapValue *io_value, Arena *arena)
{
    (void)t;
    uint32_t len = io_value->view.len;
    char *p = arena_alloc(arena, len);
    if (p == NULL) {
        return ctx_nomem(cx, len);
    }
    Status st = overflow_read(cx, tb->object, (PageId){io_value->view.ref}, len, 0, len, p);
    if (st == ST_OK) {
        *io_value = heap_string(p, len);
    }
    return st;
}

/* The row with its long values moved out; *out_row is `row` itself when none had to. */
static Status plan_row(Ctx *cx, Txn *t, TxnTable *tb, const HeapLayout *l, const HeapValue *row, const HeapValue **out_row)
{
    bool any_string = false;
    *out_row = row;
    for (unsigned i = 0; i < l->n_columns && !any_string; i++) {
        any_string = l->columns[i].width == HEAP_STRING && row[i].state == HEAP_PRESENT && row[i].view.len > 64;
    }
    if (!any_string) {
        return ST_OK;
    }
    bool *push = arena_alloc0(cx->arena, l->n_columns + 1u);
    if (push == NULL) {
        return ctx_nomem(cx, l->n_columns);
    }
    Status st = heap_row_plan(l, row, push, cx->err);
    HeapValue *copy = NULL;
    for (unsigned i = 0; st == ST_OK && i < l->n_columns; i++) {
        if (!push[i]) {
            continue;
        }
        if (copy == NULL) {
            copy = arena_copy(cx->arena, row, l->n_columns * sizeof *row);
            *out_row = copy;
        }
        st = copy != NULL ? overflow_store(cx, t, tb, &copy[i]) : ctx_nomem(cx, l->n_columns * sizeof *row);
    }
    return st;
}

/* ---- into one page ---- */

typedef struct InsertJob {
    Txn *t;
    TxnTable *tb;
    const HeapShape *shape;
    const HeapValue *const *rows;
    uint32_t n;
    uint32_t done;
    Tid *tids;
} InsertJob;

static void fill_builder(InsertJob *j, HeapInsert *b)
{
    while (j->done < j->n && b->data.len < HEAP_DATA_MAX / 2 &&
           heap_insert_add(b, j->rows[j->done], &j->tids[j->done]) == HEAP_FITS) {
        j->done++;
    }
}

/* The page takes at least one row: logs them with their undo. */
static Status log_rows(Ctx *cx, InsertJob *j, StoreOp *op, BufFrame *f, HeapInsert *b)
{
    Txn *t = j->t;
    heap_insert_end(b);
    Status st = versions_reserve(cx, t->ts, f, j->tb->ref, b->n_rows);
    if (st != ST_OK) {
        return st;
    }
    uint8_t body[OBJECT_BODY_BYTES];
    put_object(body, j->tb->ref);
    Lsn lsn = heap_log(op, f, &b->data, 0, t->id, body, sizeof body);
    UndoNew n = {.type = UNDO_INSERT, .n = b->n_rows, .payload = b->slots, .payload_len = b->n_rows * 2u, .lsn = lsn,
                 .tid = buf_page_id(f).v, .object = j->tb->ref};
    UndoPtr ptr = undo_push(t, &n);
    for (unsigned i = 0; i < b->n_rows; i++) {
        versions_set(page_versions(f), b->slots[i], ptr);
    }
    return ST_OK;
}

/* ST_RETRY: not in this page. */
static Status try_page(Ctx *cx, InsertJob *j, StoreOp *op, HeapPlace *pl, BufFrame *f)
{
    Txn *t = j->t;
    HeapInsert *b = t->insert;
    uint32_t from = j->done;
    const HeapLayout *l = heap_newest(j->shape);
    uint32_t stamp = (uint32_t)t->id.v;
    Status st = ST_OK;
    if (pl->is_new) {
        heap_insert_begin_new(b, j->shape, buf_page_id(f), j->tb->ref.id, pl->ordinal,
                              heap_choose_capacity(&j->tb->heap, l, j->rows[from]), stamp, t->buf);
    } else {
        HeapPage p;
        st = heap_open(buf_page(f), j->shape, cx->err, &p);
        if (st == ST_OK && p.n_columns < l->n_columns) {
            HeapData relayout;
            if (heap_relayout_build(&p, 0, versions_reserved(f), t->buf, &relayout)) {
                (void)heap_log(op, f, &relayout, 0, TXN_NONE, NULL, 0);
                st = heap_open(buf_page(f), j->shape, cx->err, &p);
            } else {
                return ST_RETRY;
            }
        }
        if (st != ST_OK) {
            return st;
        }
        heap_insert_begin(b, &p, versions_reserved(f), stamp, t->buf);
    }
    fill_builder(j, b);
    if (j->done == from) {
        ASSERT(!pl->is_new); /* heap_row_plan saw to it that a row fits an empty page */
        return ST_RETRY;
    }
    st = log_rows(cx, j, op, f, b);
    if (st != ST_OK) {
        j->done = from;
    }
    return st;
}

static Status insert_some(Ctx *cx, InsertJob *j)
{
    Txn *t = j->t;
    const HeapLayout *l = heap_newest(j->shape);
    uint32_t left = j->n - j->done;
    uint32_t rows = left < HEAP_SLOTS_MAX ? left : HEAP_SLOTS_MAX;
    /* One row needs little; many fill a page, so a page's worth bounds them. */
    uint32_t data = rows == 1 ? heap_insert_bytes_max(l, j->rows[j->done]) : HEAP_DATA_MAX;
    OpNeed need = {.wal_bytes = wal_record_bytes(2, data + OBJECT_BODY_BYTES + 64) +
                                wal_record_bytes(1, heap_relayout_bytes_max(l)),
                   .undo_wal_bytes = wal_record_bytes(1, heap_slots_bytes(rows) + 8),
                   .frames = 4,
                   .new_pages = 1,
                   .object = j->tb->object};
    StoreOp op;
    Status st = op_begin(cx, t->ts->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    t->undo_wal += need.undo_wal_bytes;
    mutex_lock(&t->undo_mutex);
    st = undo_reserve(cx, &t->ts->undo, t->lane, rows * 2);
    if (st == ST_OK) {
        HeapPlace pl;
        BufFrame *f;
        heap_place_begin(&pl, &j->tb->heap, t->slot, heap_row_bytes(l, j->rows[j->done]));
        while ((st = heap_place_next(cx, &op, &pl, &f)) == ST_OK) {
            st = try_page(cx, j, &op, &pl, f);
            if (st == ST_RETRY) {
                heap_place_reject(cx, &pl, f, versions_reserved(f));
                continue;
            }
            if (st == ST_OK) {
                heap_place_done(cx, &pl, f, versions_reserved(f));
                buf_unfix(f);
            } else if (pl.is_new) {
                versions_trim(t->ts, f);
                op_abandon(&op, &f, 1);
            } else {
                versions_trim(t->ts, f);
                buf_unfix(f);
            }
            break;
        }
    }
    mutex_unlock(&t->undo_mutex);
    op_end(&op);
    return st;
}

static Status insert_ready(Ctx *cx, Txn *t)
{
    Status st = txn_assign_id(cx, t);
    if (st == ST_OK && t->insert == NULL) {
        t->insert = mem_alloc(t->ts->budget, sizeof *t->insert);
        st = t->insert != NULL ? ST_OK : ctx_nomem(cx, sizeof *t->insert);
    }
    return st;
}

Status txn_insert_many(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, const HeapValue *const *rows, uint32_t n,
                       Tid *out_tids)
{
    const HeapLayout *l = heap_newest(shape);
    Status st = insert_ready(cx, t);
    const HeapValue **planned = st == ST_OK ? arena_alloc(cx->arena, n * sizeof *planned) : NULL;
    if (st == ST_OK && planned == NULL) {
        st = ctx_nomem(cx, n * sizeof *planned);
    }
    for (uint32_t i = 0; st == ST_OK && i < n; i++) {
        st = plan_row(cx, t, tb, l, rows[i], &planned[i]);
    }
    InsertJob j = {.t = t, .tb = tb, .shape = shape, .rows = planned, .n = n, .tids = out_tids};
    while (st == ST_OK && j.done < n) {
        st = insert_some(cx, &j);
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    return st;
}

Status txn_insert(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, const HeapValue *row, Tid *out_tid)
{
    const HeapValue *planned;
    Status st = insert_ready(cx, t);
    if (st == ST_OK) {
        st = plan_row(cx, t, tb, heap_newest(shape), row, &planned);
    }
    if (st != ST_OK) {
        return st;
    }
    InsertJob j = {.t = t, .tb = tb, .shape = shape, .rows = &planned, .n = 1, .tids = out_tid};
    return insert_some(cx, &j);
}

/* ---- objects ---- */

Status txn_create_table(Ctx *cx, Txn *t, ObjectRef *out_ref)
{
    ObjId id;
    Lsn lsn;
    Status st = txn_assign_id(cx, t);
    if (st == ST_OK) {
        st = object_new_id(cx, t->ts->store, &id);
    }
    if (st != ST_OK) {
        return st;
    }
    mutex_lock(&t->undo_mutex);
    st = undo_reserve(cx, &t->ts->undo, t->lane, 0);
    if (st == ST_OK) {
        st = object_create(cx, t->ts->store, id, SPACE_MAIN, WAL_TXN_CREATE, t->id, NULL, 0, NULL, out_ref, &lsn);
    }
    if (st == ST_OK) {
        t->undo_wal += OBJECT_CREATE_UNDO_BYTES;
        UndoNew n = {.type = UNDO_CREATE, .object = *out_ref, .lsn = lsn};
        (void)undo_push(t, &n);
    }
    mutex_unlock(&t->undo_mutex);
    return st;
}

Status txn_create_index(Ctx *cx, Txn *t, BTreeRef *out_ref)
{
    BTreeCreate how = {.space = SPACE_MAIN, .wal_type = WAL_TXN_CREATE};
    Lsn lsn = LSN_NONE;
    Status st = txn_assign_id(cx, t);
    if (st == ST_OK) {
        st = object_new_id(cx, t->ts->store, &how.id);
    }
    if (st != ST_OK) {
        return st;
    }
    how.txn = t->id;
    mutex_lock(&t->undo_mutex);
    st = undo_reserve(cx, &t->ts->undo, t->lane, 0);
    if (st == ST_OK) {
        *out_ref = (BTreeRef){{OBJ_NONE, PAGE_NONE}, PAGE_NONE};
        st = btree_create(cx, t->ts->store, &how, out_ref, &lsn);
        if (out_ref->object.id.v != 0) {
            t->undo_wal += OBJECT_CREATE_UNDO_BYTES;
            UndoNew n = {.type = UNDO_CREATE, .object = out_ref->object, .lsn = lsn};
            (void)undo_push(t, &n);
        }
    }
    mutex_unlock(&t->undo_mutex);
    return st;
}

Status txn_drop_object(Ctx *cx, Txn *t, ObjectRef ref)
{
    Status st = txn_assign_id(cx, t);
    if (st == ST_OK) {
        mutex_lock(&t->undo_mutex);
        bool ok = VEC_PUSH(&t->pending, ((PendingFree){ref, PAGE_NONE, 0, 0}));
        mutex_unlock(&t->undo_mutex);
        st = ok ? ST_OK : ctx_nomem(cx, sizeof(PendingFree));
    }
    return st;
}

/* ---- handles ---- */

Status txn_table_open(Ctx *cx, TxnSystem *ts, ObjectRef ref, TxnTable **out_table)
{
    TxnTable *tb = mem_alloc0(ts->budget, sizeof *tb);
    if (tb == NULL) {
        return ctx_nomem(cx, sizeof *tb);
    }
    Status st = object_open(cx, ts->store, ref, &tb->object);
    if (st != ST_OK) {
        mem_free(ts->budget, tb, sizeof *tb);
        return st;
    }
    tb->ts = ts;
    tb->ref = ref;
    heap_table_init(&tb->heap, tb->object);
    *out_table = tb;
    return ST_OK;
}

void txn_table_close(TxnTable *tb)
{
    if (tb != NULL) {
        object_close(tb->object);
        mem_free(tb->ts->budget, tb, sizeof *tb);
    }
}

StoreObject *txn_table_object(TxnTable *tb)
{
    return tb->object;
}
