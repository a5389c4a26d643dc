/*
 * storage/op.c: operations: admission, and the one function that changes pages.
 *
 * O1  Between op_begin and op_end an operation appends at most the bytes it was admitted with and latches at most its
 *     frames: so appends never wait for the ring and the pool always keeps frames that nobody has latched.
 * O2  A page's content changes only by the redo function of a record that store_log appends (hints excepted).
 * O3  Disk space for the log of every admitted operation and of the undoing of every running transaction is allocated.
 */
#include "storage/storage_int.h"
#include "storage/wal_format.h"

enum { ADMIT_WAIT_US = 20000, RECORD_HEADER_BYTES = 24 };

/* What op_take_page and op_give_page may add to an operation's records, on top of what its caller counts. */
enum { SPACE_PAGES_BYTES = OP_PAGES_MAX * (16 + 8) };

/* ---- admission ---- */

static bool ring_admit(Wal *w, uint32_t bytes)
{
    uint64_t admitted = atomic_load_explicit(&w->admitted, memory_order_relaxed);
    do {
        uint64_t written = atomic_load_explicit(&w->written, memory_order_acquire);
        if (admitted + bytes > written + w->ring_bytes) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&w->admitted, &admitted, admitted + bytes, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

/*
 * Is there disk for what is in the ring, what is admitted, what rollbacks were promised, and `bytes` more? Padding of blocks,
 * the switch of segments and checkpoints cost space that no operation reserves: a quarter segment and some blocks are kept
 * for them.
 */
static bool disk_covers(Store *s, uint64_t bytes)
{
    Wal *w = &s->wal;
    /* In this order: a flush in between makes us count its bytes twice, never not at all. */
    uint64_t written = atomic_load_explicit(&w->written, memory_order_acquire);
    uint64_t all = atomic_load_explicit(&w->admitted, memory_order_acquire) - written + bytes +
                   atomic_load_explicit(&w->undo_reserved, memory_order_acquire);
    uint64_t slack = s->config.wal_segment_bytes / 4 + UINT64_C(16) * WAL_BLOCK_ALIGN;
    return all + all / 8 + slack <= atomic_load_explicit(&w->disk_bytes, memory_order_acquire);
}

/* Prepares segments until there is disk for the operation. */
static Status admit_disk(Ctx *cx, Store *s, uint64_t bytes)
{
    for (unsigned ahead = 1; !disk_covers(s, bytes); ahead++) {
        Status st = wal_prepare_segments(cx, s, ahead);
        if (st != ST_OK) {
            if (st == ST_DISK_FULL) {
                atomic_store_explicit(&s->wal.space_wanted, true, memory_order_release);
                writer_kick(s);
                err_hint(cx->err, "Free disk space; running transactions can still be rolled back.");
            }
            return st;
        }
    }
    return ST_OK;
}

static bool frames_admit(BufPool *p, int32_t n)
{
    int32_t have = atomic_load_explicit(&p->permits, memory_order_relaxed);
    do {
        if (have < n) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&p->permits, &have, have - n, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

/* Too much of the pool waits for the log: pages that cannot be written are pages that cannot be replaced. */
static bool pool_admits(Store *s)
{
    BufPool *p = &s->pool;
    return atomic_load_explicit(&p->n_dirty, memory_order_relaxed) <= p->n_frames - p->n_frames / 8;
}

/* Waits until something may have changed. */
static Status admission_wait(Ctx *cx, Store *s)
{
    Status st = store_state(s, cx->err);
    if (st == ST_OK) {
        st = ctx_poll(cx);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!pool_admits(s) && atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        return store_failed_error(s, cx->err); /* the pool is full of pages that nobody will write */
    }
    if (writer_is_caller(cx, s)) {
        uint32_t written;
        st = wal_wait(cx, s, wal_complete(s));
        if (st == ST_OK && !pool_admits(s)) {
            st = writer_batch(cx, s, LSN_MAX, &written);
        }
        os_yield();
        return st;
    }
    wal_request(s, wal_complete(s));
    if (!pool_admits(s)) {
        writer_kick(s);
    }
    ctx_wait_begin(cx);
    mutex_lock(&s->wal.wait_mutex);
    atomic_fetch_add_explicit(&s->wal.room_waiters, 1, memory_order_relaxed);
    (void)cond_wait_for(&s->wal.room_cond, &s->wal.wait_mutex, ADMIT_WAIT_US);
    atomic_fetch_sub_explicit(&s->wal.room_waiters, 1, memory_order_relaxed);
    mutex_unlock(&s->wal.wait_mutex);
    ctx_wait_end(cx);
    return ST_OK;
}

typedef enum Admitted { ADMITTED, NO_DISK, NO_ROOM } Admitted;

/* Takes all or nothing: two operations that each hold half would wait for each other. */
static Admitted try_admit(Store *s, const OpNeed *need, uint32_t wal_bytes)
{
    Wal *w = &s->wal;
    BufPool *p = &s->pool;
    Admitted how = NO_ROOM;
    if (!frames_admit(p, need->frames)) {
        return NO_ROOM;
    }
    if ((need->frames == 0 || pool_admits(s)) && ring_admit(w, wal_bytes)) {
        atomic_fetch_add_explicit(&w->undo_reserved, need->undo_wal_bytes, memory_order_acq_rel);
        /* Asked with our own bytes counted: operations admitted at the same time must not all rely on the same space. */
        if (need->is_undo || disk_covers(s, 0)) {
            return ADMITTED;
        }
        how = NO_DISK;
        atomic_fetch_sub_explicit(&w->undo_reserved, need->undo_wal_bytes, memory_order_acq_rel);
        atomic_fetch_sub_explicit(&w->admitted, wal_bytes, memory_order_acq_rel);
    }
    atomic_fetch_add_explicit(&p->permits, need->frames, memory_order_release);
    return how;
}

static Status admit(Ctx *cx, Store *s, const OpNeed *need, uint32_t wal_bytes)
{
    for (;;) {
        Status st = need->is_undo ? ST_OK : admit_disk(cx, s, (uint64_t)wal_bytes + need->undo_wal_bytes);
        if (st != ST_OK) {
            return st;
        }
        Admitted how = try_admit(s, need, wal_bytes);
        if (how == ADMITTED) {
            return ST_OK;
        }
        st = how == NO_ROOM ? admission_wait(cx, s) : ctx_poll(cx);
        if (st != ST_OK) {
            return st;
        }
    }
}

Status op_begin(Ctx *cx, Store *s, const OpNeed *need, StoreOp *op)
{
    uint32_t wal_bytes = need->wal_bytes + (need->object != NULL ? (uint32_t)SPACE_PAGES_BYTES : 0);
    uint32_t ready[OP_PAGES_MAX];
    ASSERT(wal_bytes <= s->wal.ring_bytes / 2 && need->new_pages <= OP_PAGES_MAX);
    ASSERT(need->frames <= s->pool.n_frames / 2);
    SYNC_POINT("op.begin");
    Status st = store_state(s, cx->err);
    if (st == ST_OK && !need->is_undo && atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        st = store_failed_error(s, cx->err);
    }
    if (st == ST_OK && need->new_pages > 0) {
        st = object_reserve(cx, need->object, need->new_pages, ready);
    }
    if (st != ST_OK) {
        return st;
    }
    st = admit(cx, s, need, wal_bytes);
    if (st != ST_OK) {
        if (need->new_pages > 0) {
            object_unreserve(need->object, ready, need->new_pages);
        }
        return st;
    }
    op->store = s;
    op->object = need->object;
    op->wal_left = wal_bytes;
    op->undo_reserved = need->undo_wal_bytes;
    op->frames = need->frames;
    op->n_ready = (uint8_t)need->new_pages;
    op->n_space = 0;
    op->n_changes = 0;
    op->is_undo = need->is_undo;
    if (need->new_pages > 0) {
        memcpy(op->ready, ready, need->new_pages * sizeof ready[0]);
    }
    return ST_OK;
}

void op_end(StoreOp *op)
{
    Store *s = op->store;
    ASSERT(op->n_space == 0 && op->n_changes == 0);
    if (op->n_ready > 0) {
        object_unreserve(op->object, op->ready, op->n_ready);
    }
    atomic_fetch_sub_explicit(&s->wal.admitted, op->wal_left, memory_order_acq_rel);
    atomic_fetch_add_explicit(&s->pool.permits, op->frames, memory_order_release);
    if (UNLIKELY(atomic_load_explicit(&s->wal.room_waiters, memory_order_relaxed) > 0)) {
        /* One that starts waiting just now may miss it: it looks again by itself after ADMIT_WAIT_US. */
        mutex_lock(&s->wal.wait_mutex);
        cond_broadcast(&s->wal.room_cond);
        mutex_unlock(&s->wal.wait_mutex);
    }
    op->store = NULL;
    SYNC_POINT("op.end");
}

void op_release_undo(Store *s, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&s->wal.undo_reserved, bytes, memory_order_relaxed);
    ASSERT(before >= bytes);
}

uint64_t op_undo_reserved(Store *s)
{
    return atomic_load_explicit(&s->wal.undo_reserved, memory_order_relaxed);
}

/* ---- new pages and freed pages ---- */

/* The space page that holds the ordinal's class, latched for the next record; the one already held when it is the same. */
static Status space_frame(Ctx *cx, StoreOp *op, uint32_t ordinal, struct OpSpace **out_space, uint16_t *out_index)
{
    PageId page = object_map_of(op->object, ordinal, out_index);
    for (unsigned i = 0; i < op->n_space; i++) {
        if (page_eq(buf_page_id(op->space[i].frame), page)) {
            *out_space = &op->space[i];
            return ST_OK;
        }
    }
    struct OpSpace *sp = &op->space[op->n_space];
    Status st = buf_fix(cx, op->store, page, op->object->ref.id, LATCH_EXCLUSIVE, &sp->frame);
    if (st == ST_OK) {
        sp->len = 0;
        op->n_space++;
        *out_space = sp;
    }
    return st;
}

/* One entry of REDO_OBJECT_MAP: set the class byte of a page. */
static void add_class(struct OpSpace *sp, uint16_t index, uint8_t value)
{
    sp->len = (uint16_t)(sp->len + map_op(sp->data + sp->len, MAP_CLASS, value, index, 0, 0));
    ASSERT(sp->len <= sizeof sp->data);
}

Status op_take_page(Ctx *cx, StoreOp *op, BufFrame **out_frame, uint32_t *out_ordinal)
{
    ASSERT(op->n_ready > 0 && op->n_changes < OP_PAGES_MAX);
    uint32_t ordinal = op->ready[op->n_ready - 1];
    struct OpSpace *sp;
    uint16_t index;
    PageId id;
    object_reserved_page(op->object, ordinal, &id);
    BufFrame *frame;
    Status st = buf_fix_new(cx, op->store, id, &frame);
    if (st != ST_OK) {
        return st;
    }
    st = space_frame(cx, op, ordinal, &sp, &index);
    if (st != ST_OK) {
        buf_unfix(frame);
        return st;
    }
    add_class(sp, index, 0);
    op->n_ready--;
    op->changes[op->n_changes++] = (struct OpChange){ordinal, false};
    *out_frame = frame;
    *out_ordinal = ordinal;
    return ST_OK;
}

Status op_give_page(Ctx *cx, StoreOp *op, BufFrame *frame)
{
    ASSERT(op->n_changes < OP_PAGES_MAX && op->object != NULL);
    uint32_t ordinal = page_header_const(frame->page)->ordinal;
    struct OpSpace *sp;
    uint16_t index;
    PageId id;
    if (!object_page_at(op->object, ordinal, &id) || !page_eq(id, buf_page_id(frame))) {
        /* The ordinal comes from the disk. */
        return err_set(cx->err, ST_CORRUPTED, "page %llu says it is page %u of object %llu, the object's map does not",
                       (unsigned long long)buf_page_id(frame).v, ordinal, (unsigned long long)op->object->ref.id.v);
    }
    Status st = space_frame(cx, op, ordinal, &sp, &index);
    if (st == ST_OK) {
        add_class(sp, index, CLASS_FREE);
        op->changes[op->n_changes++] = (struct OpChange){ordinal, true};
    }
    return st;
}

static void release_space(StoreOp *op)
{
    for (unsigned i = 0; i < op->n_space; i++) {
        buf_unfix(op->space[i].frame);
    }
    op->n_space = 0;
    op->n_changes = 0;
}

void op_abandon(StoreOp *op, BufFrame **new_frames, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        buf_unfix(new_frames[i]);
    }
    for (unsigned i = 0; i < op->n_changes; i++) {
        if (!op->changes[i].given) {
            op->ready[op->n_ready++] = op->changes[i].ordinal;
        }
    }
    release_space(op);
}

/* ---- the change ---- */

typedef struct RecordWriter {
    Wal *w;
    uint64_t at;
} RecordWriter;

static void put(RecordWriter *r, const void *p, uint32_t len)
{
    static const uint8_t zeros[8] = {0};
    wal_copy_in(r->w, r->at, p, len);
    uint32_t pad = (8 - (len & 7)) & 7;
    wal_copy_in(r->w, r->at + len, zeros, pad);
    r->at += len + pad;
}

static uint32_t padded(uint32_t n)
{
    return (n + 7u) & ~7u;
}

static void apply(const StoreRegistry *reg, const LogPage *lp)
{
    Error err;
    err.status = ST_OK;
    err.used = 0;
    WalPage ref = {
        .id = buf_page_id(lp->frame), .redo = lp->redo, .flags = lp->flags, .data = lp->data, .len = lp->len};
    ASSERT(lp->redo < REDO_KINDS && reg->redo[lp->redo] != NULL);
    ASSERT(buf_latch_mode(lp->frame) == LATCH_EXCLUSIVE);
    Status st = reg->redo[lp->redo](&ref, lp->frame->page, &err);
    ASSERT(st == ST_OK);
}

/* All pages of the record: the caller's, then the space pages. */
static unsigned gather(StoreOp *op, const LogPage *pages, unsigned n, LogPage *all)
{
    ASSERT(n + op->n_space <= WAL_PAGES_MAX);
    if (n > 0) {
        memcpy(all, pages, n * sizeof *pages);
    }
    for (unsigned i = 0; i < op->n_space; i++) {
        struct OpSpace *sp = &op->space[i];
        all[n + i] = (LogPage){.frame = sp->frame, .redo = REDO_OBJECT_MAP, .data = sp->data, .len = sp->len};
    }
    return n + op->n_space;
}

Lsn store_log(StoreOp *op, uint8_t type, uint8_t flags, TxnId txn, const LogPage *pages, unsigned n_pages,
              const void *body, uint32_t body_len)
{
    Store *s = op->store;
    LogPage all[WAL_PAGES_MAX];
    unsigned n = gather(op, pages, n_pages, all);
    uint32_t total = RECORD_HEADER_BYTES + 16 * n + padded(body_len);
    for (unsigned i = 0; i < n; i++) {
        total += padded(all[i].len);
        buf_mark_dirty(all[i].frame);
        apply(&s->registry, &all[i]);
    }
    WalSpace space = wal_take(op, total);
    RecordWriter r = {&s->wal, space.start.v};
    uint8_t head[RECORD_HEADER_BYTES] = {0};
    store_u32(head, total);
    head[4] = type;
    head[5] = flags;
    head[6] = (uint8_t)n;
    store_u64(head + 8, txn.v);
    store_u32(head + 16, body_len);
    put(&r, head, sizeof head);
    for (unsigned i = 0; i < n; i++) {
        uint8_t ref[16] = {0};
        store_u64(ref, buf_page_id(all[i].frame).v | (uint64_t)all[i].redo << 40 | (uint64_t)all[i].flags << 48);
        store_u32(ref + 8, all[i].len);
        put(&r, ref, sizeof ref);
    }
    for (unsigned i = 0; i < n; i++) {
        put(&r, all[i].data, all[i].len);
        page_header(all[i].frame->page)->lsn = space.end.v;
    }
    put(&r, body, body_len);
    ASSERT(r.at == space.end.v);
    wal_done(s, &space);
    for (unsigned i = 0; i < op->n_changes; i++) {
        object_apply_change(op->object, op->changes[i].ordinal, op->changes[i].given);
    }
    release_space(op);
    return space.end;
}
