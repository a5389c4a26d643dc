/*
 * storage/checkpoint.c: fuzzy, paced checkpoints.
 *
 * Begin at B = the log's end; the layers above append what they must find again; every page dirtied before B is written; the end
 * record names the position from which redo must start: the oldest first-dirty LSN still unwritten (pages dirtied since B), and
 * not after B. Only then the control file points to it, and the log before it is recycled.
 *
 * C1  control.redo_lsn <= first-dirty LSN of every page whose newest content is not in place, for all time after the
 *     control file was written: recovery from it finds every change.
 */
#include "storage/storage_int.h"

enum { PACE_US = 2000 };

/* Has the log filled so much disk, or is space wanted and a checkpoint likely to free some? */
static bool due_by_space(Store *s)
{
    uint64_t segments = atomic_load_explicit(&s->wal.segment, memory_order_acquire) -
                        atomic_load_explicit(&s->last_checkpoint_segment, memory_order_relaxed);
    if (atomic_load_explicit(&s->wal.space_wanted, memory_order_acquire) && segments > 0) {
        return true;
    }
    /* Small commits fill blocks badly: bytes on disk may be many times those of the log. */
    return segments > 1 && (segments - 1) * s->config.wal_segment_bytes >= s->config.checkpoint_wal_bytes;
}

bool checkpoint_due(Store *s)
{
    if (atomic_load_explicit(&s->status, memory_order_acquire) != STORE_RUNNING) {
        return false;
    }
    uint64_t since = wal_end(s).v - atomic_load_explicit(&s->last_checkpoint_lsn, memory_order_relaxed);
    if (since >= s->config.checkpoint_wal_bytes || due_by_space(s)) {
        return true;
    }
    if (s->config.checkpoint_every_us > 0 && since > 256 &&
        os_monotonic_us() - atomic_load_explicit(&s->last_checkpoint_us, memory_order_relaxed) >=
            s->config.checkpoint_every_us) {
        return true;
    }
    return atomic_load_explicit(&s->checkpoint_wanted, memory_order_acquire) >
           atomic_load_explicit(&s->checkpoint_begun, memory_order_acquire);
}

/* Between batches of the page writer: the pages of one under way are marked clean and not yet in place. */
static Lsn oldest_dirty(Store *s, Lsn begin)
{
    Lsn oldest = begin;
    mutex_lock(&s->writer.mutex);
    for (uint32_t i = 0; i < s->pool.n_frames; i++) {
        uint64_t rec = atomic_load_explicit(&s->pool.frames[i].rec_lsn, memory_order_seq_cst);
        if (rec != 0 && rec < oldest.v) {
            oldest.v = rec;
        }
    }
    mutex_unlock(&s->writer.mutex);
    return oldest;
}

/* Somebody waits for the checkpoint, or new log piles up fast: no pause. */
static bool in_a_hurry(Store *s)
{
    uint64_t since = wal_end(s).v - atomic_load_explicit(&s->last_checkpoint_lsn, memory_order_relaxed);
    return !s->threads_running || atomic_load_explicit(&s->stop, memory_order_acquire) ||
           since > s->config.checkpoint_wal_bytes + s->config.checkpoint_wal_bytes / 2 ||
           atomic_load_explicit(&s->checkpoint_wanted, memory_order_acquire) >
               atomic_load_explicit(&s->checkpoint_done, memory_order_acquire);
}

static Status write_all_before(Ctx *cx, Store *s, Lsn begin)
{
    uint32_t written = DW_PAGES;
    while (written == DW_PAGES || oldest_dirty(s, begin).v < begin.v) {
        Status st = writer_batch(cx, s, begin, &written);
        if (st == ST_OK && written == 0) {
            /* What is left is latched, perhaps by somebody who waits for a clean frame: make some, look again. */
            uint32_t others;
            st = writer_batch(cx, s, LSN_MAX, &others);
            os_yield();
        }
        if (st != ST_OK) {
            return st;
        }
        if (written == DW_PAGES && !in_a_hurry(s)) {
            os_sleep_us(PACE_US);
        }
    }
    return ST_OK;
}

static Status log_plain(Ctx *cx, Store *s, uint8_t type, const void *body, uint32_t len, Lsn *out_end)
{
    StoreOp op;
    /* As a rollback: a checkpoint must go through on a full disk, it is what frees log space. */
    OpNeed need = {.wal_bytes = wal_record_bytes(0, len), .is_undo = true};
    Status st = op_begin(cx, s, &need, &op);
    if (st == ST_OK) {
        *out_end = store_log(&op, type, 0, TXN_NONE, NULL, 0, body, len);
        op_end(&op);
    }
    return st;
}

static Status checkpoint_locked(Ctx *cx, Store *s)
{
    if (atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        return store_failed_error(s, cx->err);
    }
    Lsn begin = wal_end(s);
    Lsn needed = LSN_MAX;
    Lsn end;
    Status st = log_plain(cx, s, WAL_CHECKPOINT_BEGIN, &begin.v, sizeof begin.v, &end);
    if (st == ST_OK && s->registry.hooks.checkpoint != NULL) {
        st = s->registry.hooks.checkpoint(s->registry.hooks.arg, cx, begin, &needed);
    }
    if (st == ST_OK) {
        st = write_all_before(cx, s, begin);
    }
    if (st != ST_OK) {
        return st;
    }
    Lsn redo = lsn_min(needed, oldest_dirty(s, begin));
    uint64_t body[2] = {begin.v, redo.v};
    st = log_plain(cx, s, WAL_CHECKPOINT_END, body, sizeof body, &end);
    if (st == ST_OK) {
        st = wal_wait(cx, s, end);
    }
    if (st != ST_OK) {
        return st;
    }
    SYNC_POINT("checkpoint.before_control");
    s->control.begin_lsn = begin.v;
    s->control.redo_lsn = redo.v;
    s->control.checkpoint_lsn = end.v;
    s->control.next_object = object_ids_promised(s);
    s->control.clean = 0;
    st = control_write(cx, s);
    if (st == ST_OK) {
        st = wal_recycle(cx, s, redo);
    }
    return st;
}

Status checkpoint_run(Ctx *cx, Store *s)
{
    mutex_lock(&s->checkpoint_mutex);
    uint64_t wanted = atomic_load_explicit(&s->checkpoint_wanted, memory_order_acquire);
    atomic_store_explicit(&s->checkpoint_begun, wanted, memory_order_release);
    uint64_t begin = wal_end(s).v;
    uint64_t segment = atomic_load_explicit(&s->wal.segment, memory_order_acquire);
    int64_t start_us = os_monotonic_us();
    atomic_store_explicit(&s->wal.space_wanted, false, memory_order_release);
    Status st = checkpoint_locked(cx, s);
    if (st == ST_OK) {
        atomic_store_explicit(&s->last_checkpoint_segment, segment, memory_order_relaxed);
        atomic_store_explicit(&s->last_checkpoint_lsn, begin, memory_order_relaxed);
        atomic_store_explicit(&s->last_checkpoint_us, os_monotonic_us(), memory_order_relaxed);
        log_line(s->log, LOG_DEBUG, "checkpoint complete: redo from %llu, %lld ms",
                 (unsigned long long)s->control.redo_lsn, (long long)(os_monotonic_us() - start_us) / 1000);
    }
    mutex_unlock(&s->checkpoint_mutex);
    mutex_lock(&s->job_mutex);
    if (st == ST_OK && atomic_load_explicit(&s->checkpoint_done, memory_order_relaxed) < wanted) {
        atomic_store_explicit(&s->checkpoint_done, wanted, memory_order_release);
    }
    if (st != ST_OK) {
        s->checkpoint_errors++;
    }
    cond_broadcast(&s->checkpoint_cond);
    mutex_unlock(&s->job_mutex);
    return st;
}

Status store_checkpoint(Ctx *cx, Store *s)
{
    if (writer_is_caller(cx, s)) {
        atomic_fetch_add_explicit(&s->checkpoint_wanted, 1, memory_order_acq_rel);
        return checkpoint_run(cx, s);
    }
    ctx_wait_begin(cx);
    mutex_lock(&s->job_mutex);
    /* Before asking: the answer may be there before we look. */
    uint64_t errors = s->checkpoint_errors;
    uint64_t mine = atomic_fetch_add_explicit(&s->checkpoint_wanted, 1, memory_order_acq_rel) + 1;
    cond_signal(&s->writer_cond);
    while (atomic_load_explicit(&s->checkpoint_done, memory_order_acquire) < mine && s->checkpoint_errors == errors &&
           !store_failed(s) && !atomic_load_explicit(&s->read_only, memory_order_acquire)) {
        (void)cond_wait_for(&s->checkpoint_cond, &s->job_mutex, 100000);
    }
    bool done = atomic_load_explicit(&s->checkpoint_done, memory_order_acquire) >= mine;
    mutex_unlock(&s->job_mutex);
    ctx_wait_end(cx);
    if (done) {
        return ST_OK;
    }
    return store_failed(s) || atomic_load_explicit(&s->read_only, memory_order_acquire)
               ? store_failed_error(s, cx->err)
               : err_set(cx->err, ST_IO_ERROR, "the checkpoint failed; the log names the reason");
}
