/*
 * storage/wal_file.c: the log on disk: segments and blocks, writing and syncing them.
 *
 * A segment file (wal/<number>.wal) starts with a 4,096-byte header; then come blocks, each a 64-byte header, payload, and zeros up to
 * WAL_BLOCK_ALIGN. Blocks are never rewritten: bytes once durable are not put at risk by later writes. The payload of all blocks in
 * order is the record stream; a block whose start LSN lies before the end of the one before it cuts the stream back (the
 * tail of a record that a crash left incomplete).
 *
 * W4  Segments from the one with the redo position to newest_segment exist on disk with full size before they are needed;
 *     disk_bytes never counts space that is not allocated.
 * W5  A segment is started only when all blocks before it are durable.
 * W6  A flush that meets a full disk or a lack of memory before it has written anything of what is left has changed
 *     nothing: it is tried again. Any other failure stops the engine.
 */
#include "storage/storage_int.h"
#include "storage/wal_format.h"

enum { FULL_PAUSE_US = 20000 };

void wal_segment_path(uint64_t number, char out[WAL_PATH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(out, "wal/", 4);
    for (int i = 0; i < 16; i++) {
        out[4 + i] = digits[(number >> (60 - 4 * i)) & 15];
    }
    memcpy(out + 20, ".wal", 5);
}

static uint64_t usable(const Store *s)
{
    return s->config.wal_segment_bytes - WAL_SEGMENT_HEADER_BYTES;
}

/* ---- preparing and recycling ---- */

/* Other operations may be waiting for the mutex, with answers to give: a full disk is not tried again at once. */
static Status note_full(Store *s, Status st)
{
    if (st == ST_DISK_FULL && s->threads_running) {
        s->wal.full_until_us = os_monotonic_us() + FULL_PAUSE_US;
    }
    return st;
}

/* Creates segment newest+1 at full size. Caller holds segment_mutex. */
static Status prepare_one(Ctx *cx, Store *s)
{
    Wal *w = &s->wal;
    char path[WAL_PATH_BYTES];
    File *f;
    if (w->full_until_us > 0 && os_monotonic_us() < w->full_until_us) {
        return err_set(cx->err, ST_DISK_FULL, "there is no disk space for another segment of the log");
    }
    w->full_until_us = 0;
    wal_segment_path(w->newest_segment + 1, path);
    Status st = vfs_open(s->vfs, path, FILE_CREATE, cx->err, &f);
    if (st != ST_OK) {
        return st;
    }
    st = file_allocate(f, 0, s->config.wal_segment_bytes, cx->err);
    if (st == ST_OK) {
        st = file_sync(f, cx->err);
    }
    file_close(f);
    if (st == ST_OK) {
        st = vfs_sync_dir(s->vfs, "wal", cx->err);
    }
    if (st != ST_OK) {
        Error ignored;
        err_clear(&ignored);
        if (vfs_unlink(s->vfs, path, &ignored) != ST_OK) {
            log_error(s->log, LOG_WARNING, &ignored, "removing a log segment that could not be prepared");
        }
        return note_full(s, st);
    }
    w->newest_segment++;
    atomic_fetch_add_explicit(&w->disk_bytes, usable(s), memory_order_release);
    return ST_OK;
}

Status wal_prepare_segments(Ctx *cx, Store *s, unsigned ahead)
{
    Wal *w = &s->wal;
    Status st = ST_OK;
    mutex_lock(&w->segment_mutex);
    uint64_t current = atomic_load_explicit(&w->segment, memory_order_acquire);
    while (st == ST_OK && w->newest_segment < current + ahead) {
        st = prepare_one(cx, s);
    }
    mutex_unlock(&w->segment_mutex);
    return st;
}

/* A segment no longer needed becomes the next prepared one, or goes. Caller holds segment_mutex. */
static Status retire_one(Ctx *cx, Store *s, uint64_t number)
{
    Wal *w = &s->wal;
    char from[WAL_PATH_BYTES];
    char to[WAL_PATH_BYTES];
    wal_segment_path(number, from);
    uint64_t keep = s->config.checkpoint_wal_bytes / s->config.wal_segment_bytes + 2;
    if (w->newest_segment >= atomic_load_explicit(&w->segment, memory_order_acquire) + keep) {
        return vfs_unlink(s->vfs, from, cx->err);
    }
    wal_segment_path(w->newest_segment + 1, to);
    Status st = vfs_rename(s->vfs, from, to, cx->err);
    if (st != ST_OK) {
        return st;
    }
    if (vfs_sync_dir(s->vfs, "wal", cx->err) != ST_OK) {
        /* It has gone from its old place, but its new name may not last: prepared anew when it is needed. */
        log_error(s->log, LOG_WARNING, cx->err, "recycling a log segment");
        err_clear(cx->err);
        return ST_OK;
    }
    w->newest_segment++;
    atomic_fetch_add_explicit(&w->disk_bytes, usable(s), memory_order_release);
    return ST_OK;
}

Status wal_recycle(Ctx *cx, Store *s, Lsn keep)
{
    Wal *w = &s->wal;
    Status st = ST_OK;
    size_t gone = 0;
    mutex_lock(&w->segment_mutex);
    while (st == ST_OK && gone + 1 < w->live.n && w->live.v[gone + 1].first_lsn.v <= keep.v) {
        st = retire_one(cx, s, w->live.v[gone].number);
        if (st == ST_OK) {
            gone++;
        }
    }
    memmove(w->live.v, w->live.v + gone, (w->live.n - gone) * sizeof *w->live.v);
    w->live.n -= gone;
    mutex_unlock(&w->segment_mutex);
    return st;
}

/* ---- writing ---- */

static void fill_segment_header(const Store *s, uint64_t number, uint64_t first_lsn, uint64_t chain, uint8_t *block)
{
    memset(block, 0, WAL_SEGMENT_HEADER_BYTES);
    WalSegmentHeader *h = (WalSegmentHeader *)(void *)block;
    h->magic = WAL_SEGMENT_MAGIC;
    h->format = WAL_FORMAT;
    h->number = number;
    h->first_lsn = first_lsn;
    h->prev_chain = chain;
    h->segment_bytes = s->config.wal_segment_bytes;
    memcpy(h->uuid, s->control.uuid, sizeof h->uuid);
    h->checksum = wal_hash(h, offsetof(WalSegmentHeader, checksum));
}

/* What the next segment takes before anything is written: see W6. */
static Status open_next(Ctx *cx, Store *s, uint64_t number, File **out_file)
{
    Wal *w = &s->wal;
    char path[WAL_PATH_BYTES];
    Status st = wal_prepare_segments(cx, s, 1);
    if (st != ST_OK) {
        return st;
    }
    mutex_lock(&w->segment_mutex);
    bool room = VEC_RESERVE(&w->live, 1);
    mutex_unlock(&w->segment_mutex);
    if (!room) {
        return ctx_nomem(cx, sizeof(WalLive));
    }
    wal_segment_path(number, path);
    return vfs_open(s->vfs, path, s->config.direct_io ? FILE_DIRECT : 0, cx->err, out_file);
}

/*
 * Goes on in the next segment; what stands in the current one is synced first (W5). ST_RETRY: not now (W6), the error says
 * why. Caller holds flush_mutex.
 */
static Status next_segment(Ctx *cx, Store *s, uint64_t first_lsn)
{
    Wal *w = &s->wal;
    uint64_t number = atomic_load_explicit(&w->segment, memory_order_relaxed) + 1;
    File *f = NULL;
    Status st = w->file != NULL ? file_sync(w->file, cx->err) : ST_OK;
    if (st != ST_OK) {
        return st;
    }
    st = open_next(cx, s, number, &f);
    if (st == ST_DISK_FULL || st == ST_OUT_OF_MEMORY) {
        return ST_RETRY;
    }
    if (st == ST_OK) {
        fill_segment_header(s, number, first_lsn, w->chain, w->block);
        st = file_write(f, w->block, WAL_SEGMENT_HEADER_BYTES, 0, cx->err);
    }
    if (st != ST_OK) {
        file_close(f);
        return st;
    }
    mutex_lock(&w->segment_mutex);
    bool pushed = VEC_PUSH(&w->live, ((WalLive){number, {first_lsn}}));
    mutex_unlock(&w->segment_mutex);
    ASSERT(pushed); /* open_next made room, and only we push */
    file_close(w->file);
    w->file = f;
    /* What was left unused at the end of the old segment no longer counts. */
    atomic_fetch_sub_explicit(&w->disk_bytes, s->config.wal_segment_bytes - w->file_pos, memory_order_acq_rel);
    w->file_pos = WAL_SEGMENT_HEADER_BYTES;
    atomic_store_explicit(&w->segment, number, memory_order_release);
    return ST_OK;
}

static void ring_copy_out(const Wal *w, uint64_t at, uint8_t *to, size_t len)
{
    size_t off = (size_t)(at & (w->ring_bytes - 1));
    size_t first = len < w->ring_bytes - off ? len : (size_t)w->ring_bytes - off;
    memcpy(to, w->ring + off, first);
    memcpy(to + first, w->ring, len - first);
}

/* Writes one block of at most what fits; *io_at moves on. */
static Status write_block(Ctx *cx, Store *s, uint64_t *io_at, uint64_t end)
{
    Wal *w = &s->wal;
    uint64_t room = s->config.wal_segment_bytes - w->file_pos;
    if (room < WAL_BLOCK_ALIGN) {
        Status st = next_segment(cx, s, *io_at);
        if (st != ST_OK) {
            return st;
        }
        room = s->config.wal_segment_bytes - w->file_pos;
    }
    uint64_t max = (room < WAL_BLOCK_MAX ? room : WAL_BLOCK_MAX) - WAL_BLOCK_HEADER_BYTES;
    uint32_t payload = (uint32_t)(end - *io_at < max ? end - *io_at : max);
    uint32_t total = wal_block_bytes(payload);
    WalBlockHeader *h = (WalBlockHeader *)(void *)w->block;
    *h = (WalBlockHeader){.magic = WAL_BLOCK_MAGIC,
                          .payload_bytes = payload,
                          .start_lsn = *io_at,
                          .chain = w->chain,
                          .term = s->control.term,
                          .incarnation = w->incarnation};
    ring_copy_out(w, *io_at, w->block + sizeof *h, payload);
    memset(w->block + sizeof *h + payload, 0, total - sizeof *h - payload);
    h->checksum = wal_hash(w->block, sizeof *h + payload);
    Status st = file_write(w->file, w->block, total, w->file_pos, cx->err);
    if (st != ST_OK) {
        return st;
    }
    w->chain = h->checksum;
    w->file_pos += total;
    atomic_fetch_sub_explicit(&w->disk_bytes, total, memory_order_acq_rel);
    *io_at += payload;
    return ST_OK;
}

static Status flush_locked(Ctx *cx, Store *s, Lsn target)
{
    Wal *w = &s->wal;
    if (target.v <= atomic_load_explicit(&w->durable, memory_order_acquire)) {
        return ST_OK;
    }
    uint64_t end = wal_complete(s).v;
    uint64_t at = atomic_load_explicit(&w->written, memory_order_relaxed);
    ASSERT(at <= end);
    Status st = ST_OK;
    while (st == ST_OK && at < end) {
        st = write_block(cx, s, &at, end);
        /* Release: the ring below may be overwritten now. A later flush must not write these bytes again. */
        atomic_store_explicit(&w->written, at, memory_order_release);
    }
    if (st != ST_OK && st != ST_RETRY) {
        return st;
    }
    SYNC_POINT("wal.before_sync");
    Error *err = st == ST_OK ? cx->err : NULL; /* the one who is told of lacking space is not told of this */
    Status synced = file_sync(w->file, err);
    if (synced != ST_OK) {
        return synced;
    }
    /* Release: whoever sees durable may rely on the bytes. */
    atomic_store_explicit(&w->durable, at, memory_order_release);
    return st;
}

Status wal_flush(Ctx *cx, Store *s, Lsn target)
{
    Status st = ST_OK;
    do {
        mutex_lock(&s->wal.flush_mutex);
        st = store_state(s, cx->err);
        if (st == ST_OK) {
            st = flush_locked(cx, s, target);
            if (st == ST_RETRY) {
                st = cx->err->status;
            } else if (st != ST_OK) {
                /* The outcome of what was in flight is unknown: nothing is retried, the engine stops. */
                st = store_fail(s, cx->err);
            }
        }
        mutex_unlock(&s->wal.flush_mutex);
        store_tell_failed(s);
        wal_run_waiters(s);
    } while (st == ST_OK && !s->threads_running && wal_durable(s).v < target.v && (os_yield(), true));
    return st;
}

void wal_give_up(Ctx *cx, Store *s)
{
    mutex_lock(&s->wal.flush_mutex);
    Status st = store_fail(s, cx->err);
    ASSERT(st == ST_CRASH_SHUTDOWN);
    mutex_unlock(&s->wal.flush_mutex);
    store_tell_failed(s);
    wal_run_waiters(s);
}

/* ---- creating, opening, closing ---- */

Status wal_open(Ctx *cx, Store *s)
{
    Wal *w = &s->wal;
    w->ring_bytes = s->config.wal_ring_bytes;
    w->live.budget = s->budget;
    ASSERT((w->ring_bytes & (w->ring_bytes - 1)) == 0);
    mutex_init(&w->flush_mutex, RANK_WAL_FLUSH);
    mutex_init(&w->wait_mutex, RANK_WAL_WAIT);
    mutex_init(&w->segment_mutex, RANK_WAL_SEGMENT);
    cond_init(&w->durable_cond);
    cond_init(&w->flusher_cond);
    cond_init(&w->room_cond);
    for (unsigned i = 0; i < WAL_SLOTS; i++) {
        atomic_init(&w->slots[i].start, WAL_SLOT_IDLE);
    }
    w->opened = true;
    w->ring = vmem_alloc(s->budget, w->ring_bytes);
    w->block = w->ring != NULL ? vmem_alloc(s->budget, WAL_BLOCK_MAX + FILE_ALIGN_MAX) : NULL;
    if (w->block == NULL) {
        return ctx_nomem(cx, w->ring_bytes);
    }
    return vfs_mkdir(s->vfs, "wal", cx->err);
}

void wal_set_position(Store *s, Lsn at)
{
    Wal *w = &s->wal;
    atomic_store_explicit(&w->reserved, at.v, memory_order_seq_cst);
    atomic_store_explicit(&w->admitted, at.v, memory_order_seq_cst);
    atomic_store_explicit(&w->written, at.v, memory_order_seq_cst);
    atomic_store_explicit(&w->durable, at.v, memory_order_seq_cst);
    atomic_store_explicit(&w->requested, at.v, memory_order_seq_cst);
}

/* The log of a new store: segment 1 with its header, empty. */
Status wal_create(Ctx *cx, Store *s)
{
    Wal *w = &s->wal;
    w->newest_segment = 0;
    atomic_store_explicit(&w->segment, 0, memory_order_relaxed);
    w->file_pos = s->config.wal_segment_bytes;
    w->chain = 0;
    wal_set_position(s, (Lsn){LSN_FIRST});
    Status st = next_segment(cx, s, LSN_FIRST);
    if (st == ST_RETRY) {
        st = cx->err->status;
    }
    if (st == ST_OK) {
        st = file_sync(w->file, cx->err);
    }
    if (st == ST_OK) {
        st = vfs_sync_dir(s->vfs, "", cx->err);
    }
    return st;
}

void wal_close(Store *s)
{
    Wal *w = &s->wal;
    if (!w->opened) {
        return;
    }
    file_close(w->file);
    if (w->ring != NULL) {
        vmem_free(s->budget, w->ring, w->ring_bytes);
    }
    if (w->block != NULL) {
        vmem_free(s->budget, w->block, WAL_BLOCK_MAX + FILE_ALIGN_MAX);
    }
    VEC_DONE(&w->live);
    cond_done(&w->durable_cond);
    cond_done(&w->flusher_cond);
    cond_done(&w->room_cond);
    mutex_done(&w->flush_mutex);
    mutex_done(&w->wait_mutex);
    mutex_done(&w->segment_mutex);
}
