/*
 * storage/wal.c: appending to the log buffer, and who waits for it to become durable.
 *
 * Key idea: reserving a place in the log is one atomic addition, copying happens side by side, and the flusher takes
 * everything below the oldest unfinished copy. An appender announces itself in a slot *before* it reserves, with a
 * lower bound of what it will get; so whoever reads first the end and then the slots never takes bytes not yet copied.
 *
 * W1  written <= complete <= reserved <= admitted <= written + ring_bytes: an append never waits for room.
 * W2  durable <= written; nothing that carries an LSN above durable leaves the engine (callers: op.c, writer.c, net).
 * W3  A slot's start is not above the start of the record being copied. It may be far below it, even below `written`: its
 *     owner was held up between reading the bound and announcing it. wal_complete never goes back behind `written`.
 */
#include "storage/storage_int.h"

enum { NO_ROOM_US = 30000000, NO_ROOM_PAUSE_US = 20000 };

/* ---- slots ---- */

static unsigned slot_take(Wal *w)
{
    unsigned i = os_thread_index() % WAL_SLOTS;
    for (;;) {
        uint64_t idle = WAL_SLOT_IDLE;
        uint64_t bound = atomic_load_explicit(&w->reserved, memory_order_seq_cst);
        SYNC_POINT("wal.before_slot");
        /* seq_cst: ordered before the reservation below, see wal_complete. */
        if (atomic_compare_exchange_strong_explicit(&w->slots[i].start, &idle, bound, memory_order_seq_cst,
                                                    memory_order_relaxed)) {
            return i;
        }
        i = (i + 1) % WAL_SLOTS;
        if (i == os_thread_index() % WAL_SLOTS) {
            os_yield();
        }
    }
}

static void slot_release(Wal *w, unsigned slot)
{
    /* Release: the copied bytes are visible to the flusher that sees the slot idle. */
    atomic_store_explicit(&w->slots[slot].start, WAL_SLOT_IDLE, memory_order_release);
}

Lsn wal_complete(Store *s)
{
    Wal *w = &s->wal;
    uint64_t end = atomic_load_explicit(&w->reserved, memory_order_seq_cst);
    for (unsigned i = 0; i < WAL_SLOTS; i++) {
        uint64_t start = atomic_load_explicit(&w->slots[i].start, memory_order_seq_cst);
        if (start < end) {
            end = start;
        }
    }
    /* Below it everything was complete once, and stays so. */
    uint64_t written = atomic_load_explicit(&w->written, memory_order_acquire);
    return (Lsn){end > written ? end : written};
}

void wal_copy_in(Wal *w, uint64_t at, const void *p, size_t len)
{
    if (len == 0) {
        return;
    }
    size_t off = (size_t)(at & (w->ring_bytes - 1));
    size_t first = len < w->ring_bytes - off ? len : (size_t)w->ring_bytes - off;
    memcpy(w->ring + off, p, first);
    memcpy(w->ring, (const uint8_t *)p + first, len - first);
}

/* ---- records without pages ---- */

enum { RECORD_HEADER_BYTES = 24 };

static uint32_t align8(uint32_t n)
{
    return (n + 7u) & ~7u;
}

uint32_t wal_record_bytes(unsigned n_pages, uint32_t data_bytes)
{
    return align8(RECORD_HEADER_BYTES + 16 * n_pages + data_bytes + 8 * (n_pages + 1));
}

/* Takes `bytes` from the operation's admission and the log. */
WalSpace wal_take(StoreOp *op, uint32_t bytes)
{
    Wal *w = &op->store->wal;
    ASSERT(bytes <= op->wal_left);
    op->wal_left -= bytes;
    WalSpace space = {.slot = slot_take(w)};
    SYNC_POINT("wal.before_reserve");
    space.start.v = atomic_fetch_add_explicit(&w->reserved, bytes, memory_order_seq_cst);
    space.end.v = space.start.v + bytes;
    ASSERT(space.end.v <= atomic_load_explicit(&w->admitted, memory_order_relaxed));
    return space;
}

WalSpace wal_reserve(StoreOp *op, uint32_t body_len)
{
    return wal_take(op, align8(RECORD_HEADER_BYTES + body_len));
}

void wal_fill(StoreOp *op, const WalSpace *space, uint8_t type, uint8_t flags, TxnId txn, const void *body,
              uint32_t body_len)
{
    static const uint8_t zeros[8] = {0};
    Wal *w = &op->store->wal;
    uint8_t head[RECORD_HEADER_BYTES] = {0};
    uint32_t total = (uint32_t)(space->end.v - space->start.v);
    ASSERT(total == align8(RECORD_HEADER_BYTES + body_len));
    store_u32(head, total);
    head[4] = type;
    head[5] = flags;
    store_u64(head + 8, txn.v);
    store_u32(head + 16, body_len);
    SYNC_POINT("wal.before_copy");
    wal_copy_in(w, space->start.v, head, sizeof head);
    wal_copy_in(w, space->start.v + sizeof head, body, body_len);
    wal_copy_in(w, space->start.v + sizeof head + body_len, zeros, total - RECORD_HEADER_BYTES - body_len);
    wal_done(op->store, space);
}

void wal_done(Store *s, const WalSpace *space)
{
    Wal *w = &s->wal;
    slot_release(w, space->slot);
    /* Half of the ring is waiting to be written: start without being asked. */
    uint64_t written = atomic_load_explicit(&w->written, memory_order_relaxed);
    if (space->end.v - written > w->ring_bytes / 2 && written < space->end.v) {
        wal_request(s, space->end);
    }
}

/* ---- waiting ---- */

Lsn wal_durable(Store *s)
{
    return (Lsn){atomic_load_explicit(&s->wal.durable, memory_order_acquire)};
}

Lsn wal_end(Store *s)
{
    return (Lsn){atomic_load_explicit(&s->wal.reserved, memory_order_seq_cst)};
}

void wal_request(Store *s, Lsn lsn)
{
    Wal *w = &s->wal;
    ASSERT(lsn.v <= wal_end(s).v); /* else it might never come */
    uint64_t seen = atomic_load_explicit(&w->requested, memory_order_relaxed);
    while (seen < lsn.v && !atomic_compare_exchange_weak_explicit(&w->requested, &seen, lsn.v, memory_order_seq_cst,
                                                                  memory_order_relaxed)) {
    }
    if (seen < lsn.v) {
        wal_kick(s);
    }
}

void wal_kick(Store *s)
{
    mutex_lock(&s->wal.wait_mutex);
    cond_signal(&s->wal.flusher_cond);
    mutex_unlock(&s->wal.wait_mutex);
}

Status wal_wait(Ctx *cx, Store *s, Lsn lsn)
{
    Wal *w = &s->wal;
    if (lsn_le(lsn, wal_durable(s))) {
        return ST_OK;
    }
    if (!s->threads_running) {
        return wal_flush(cx, s, lsn);
    }
    wal_request(s, lsn);
    ctx_wait_begin(cx);
    mutex_lock(&w->wait_mutex);
    while (atomic_load_explicit(&w->durable, memory_order_acquire) < lsn.v && !store_failed(s)) {
        cond_wait(&w->durable_cond, &w->wait_mutex);
    }
    mutex_unlock(&w->wait_mutex);
    ctx_wait_end(cx);
    return lsn_le(lsn, wal_durable(s)) ? ST_OK : store_failed_error(s, cx->err);
}

void wal_on_durable(Store *s, Lsn lsn, WalWaiter *waiter, void (*fn)(WalWaiter *w, bool durable))
{
    Wal *w = &s->wal;
    waiter->lsn = lsn;
    waiter->fn = fn;
    waiter->next = NULL;
    mutex_lock(&w->wait_mutex);
    bool durable = lsn.v <= atomic_load_explicit(&w->durable, memory_order_acquire);
    bool failed = store_failed(s);
    if (!durable && !failed) {
        /* Callers arrive nearly in LSN order: the place is close to the end. */
        WalWaiter **at =
            w->waiters_tail != NULL && w->waiters_tail->lsn.v <= lsn.v ? &w->waiters_tail->next : &w->waiters;
        while (*at != NULL && (*at)->lsn.v <= lsn.v) {
            at = &(*at)->next;
        }
        waiter->next = *at;
        *at = waiter;
        if (waiter->next == NULL) {
            w->waiters_tail = waiter;
        }
    }
    mutex_unlock(&w->wait_mutex);
    if (durable || failed) {
        fn(waiter, durable);
        return;
    }
    wal_request(s, lsn);
}

/* Takes the waiters that are satisfied (all, after a failure) and calls them outside the lock. */
void wal_run_waiters(Store *s)
{
    Wal *w = &s->wal;
    mutex_lock(&w->wait_mutex);
    uint64_t durable = atomic_load_explicit(&w->durable, memory_order_acquire);
    bool failed = store_failed(s) || w->closing;
    WalWaiter *list = w->waiters;
    WalWaiter *last = NULL;
    WalWaiter *n = list;
    while (n != NULL && (failed || n->lsn.v <= durable)) {
        last = n;
        n = n->next;
    }
    if (last != NULL) {
        last->next = NULL;
        w->waiters = n;
        if (n == NULL) {
            w->waiters_tail = NULL;
        }
    } else {
        list = NULL;
    }
    cond_broadcast(&w->durable_cond);
    cond_broadcast(&w->room_cond);
    mutex_unlock(&w->wait_mutex);
    while (list != NULL) {
        WalWaiter *next = list->next;
        list->fn(list, list->lsn.v <= durable);
        list = next;
    }
}

/* ---- the flusher ---- */

/*
 * The log cannot go on for lack of disk space or memory. Admission makes this rare: only what it does not foresee (many
 * small flushes while the disk is full) leads here. Nothing is lost while we wait, so those who wait for their commit
 * wait on; but not for ever, and not when the store is to be closed.
 */
static void flusher_no_room(Ctx *cx, Store *s, int64_t *io_since_us)
{
    int64_t now = os_monotonic_us();
    if (*io_since_us == 0) {
        *io_since_us = now;
        log_error(s->log, LOG_ERROR, cx->err, "writing the log; commits wait");
    }
    if (now - *io_since_us >= NO_ROOM_US || atomic_load_explicit(&s->stop, memory_order_acquire)) {
        wal_give_up(cx, s);
    } else {
        os_sleep_us(NO_ROOM_PAUSE_US);
    }
    err_clear(cx->err);
}

void wal_flusher_main(void *store)
{
    Store *s = store;
    Wal *w = &s->wal;
    Error err;
    Ctx cx;
    int64_t no_room_since_us = 0;
    err_clear(&err);
    ctx_init(&cx, &err, &s->job_budget, NULL);
    mutex_lock(&w->wait_mutex);
    while (!w->stop_flusher) {
        uint64_t wanted = atomic_load_explicit(&w->requested, memory_order_seq_cst);
        if (wanted <= atomic_load_explicit(&w->durable, memory_order_acquire) || store_failed(s)) {
            cond_wait(&w->flusher_cond, &w->wait_mutex);
            continue;
        }
        mutex_unlock(&w->wait_mutex);
        Status st = wal_flush(&cx, s, (Lsn){wanted});
        if (st == ST_DISK_FULL || st == ST_OUT_OF_MEMORY) {
            flusher_no_room(&cx, s, &no_room_since_us);
        } else {
            no_room_since_us = 0;
            err_clear(&err);
        }
        if (st == ST_OK && wal_durable(s).v < wanted) {
            /* Somebody is between reserving and copying: it takes microseconds. */
            os_yield();
        }
        mutex_lock(&w->wait_mutex);
    }
    mutex_unlock(&w->wait_mutex);
}
