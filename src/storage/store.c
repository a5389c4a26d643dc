/*
 * storage/store.c: opening, closing, failing.
 *
 * S1  The states: OPENING -> RECOVERING -> RUNNING -> CLOSING; any but CLOSING -> FAILED. FAILED is final: after a failed
 *     write of the log nobody knows what is durable, so nothing more is acknowledged and nothing more is written.
 * S2  read_only: the page file does not take writes; the log still does. Reads and rollbacks go on, new operations do not.
 * S3  A page is written only when its LSN is durable; assert in writer.c through wal_wait.
 */
#include "storage/storage_int.h"

void store_config_default(StoreConfig *c)
{
    *c = (StoreConfig){.pool_bytes = 128u << 20,
                       .wal_ring_bytes = 16u << 20,
                       .wal_segment_bytes = 64u << 20,
                       .checkpoint_wal_bytes = UINT64_C(1) << 30,
                       .checkpoint_every_us = 300000000,
                       .grow_extents = 16,
                       .direct_io = true,
                       .background = true};
}

/* ---- state ---- */

static void keep_error(Store *s, const Error *err)
{
    spin_lock(&s->error_lock);
    if (s->error.status == ST_OK) {
        err_copy(&s->error, err);
    }
    spin_unlock(&s->error_lock);
}

Status store_failed_error(Store *s, Error *err)
{
    spin_lock(&s->error_lock);
    char text[256];
    size_t n = s->error.message != NULL ? strlen(s->error.message) : 0;
    n = n < sizeof text - 1 ? n : sizeof text - 1;
    if (n > 0) {
        memcpy(text, s->error.message, n);
    }
    text[n] = 0;
    spin_unlock(&s->error_lock);
    if (store_failed(s)) {
        Status st = err_set(err, ST_CRASH_SHUTDOWN, NULL);
        err_detail(err, "%s", text);
        return st;
    }
    Status st = err_set(err, ST_IO_ERROR, "the data file cannot be written; only reading is possible");
    err_detail(err, "%s", text);
    return st;
}

Status store_state(Store *s, Error *err)
{
    return store_failed(s) ? store_failed_error(s, err) : ST_OK;
}

void store_set_read_only(Store *s, const Error *err)
{
    if (!atomic_exchange_explicit(&s->read_only, true, memory_order_acq_rel)) {
        keep_error(s, err);
        log_error(s->log, LOG_ERROR, err, "writing pages; the store is read-only until it is restarted");
    }
}

Status store_fail(Store *s, Error *err)
{
    keep_error(s, err);
    int was = atomic_exchange_explicit(&s->status, STORE_FAILED, memory_order_acq_rel);
    if (was != STORE_FAILED) {
        log_error(s->log, LOG_PANIC, err, "writing the log; the engine stops, restart recovers");
    }
    err_clear(err);
    return store_failed_error(s, err);
}

void store_tell_failed(Store *s)
{
    if (store_failed(s) && s->registry.hooks.failed != NULL &&
        !atomic_exchange_explicit(&s->failure_told, true, memory_order_acq_rel)) {
        Error err;
        err_clear(&err);
        (void)store_failed_error(s, &err);
        s->registry.hooks.failed(s->registry.hooks.arg, &err);
    }
}

Budget *store_budget(Store *s)
{
    return s->budget;
}
Log *store_log_sink(Store *s)
{
    return s->log;
}
Epoch *store_epoch(Store *s)
{
    return s->epoch;
}
const uint8_t *store_uuid(const Store *s)
{
    return s->control.uuid;
}

/* ---- open ---- */

static Status own_replay_none(void *arg, Ctx *cx, const WalRecord *rec)
{
    (void)arg, (void)cx, (void)rec;
    return ST_OK;
}

static void register_own(StoreRegistry *r)
{
    static const char *const names[] = {[WAL_CHECKPOINT_BEGIN] = "CHECKPOINT_BEGIN",
                                        [WAL_CHECKPOINT_END] = "CHECKPOINT_END",
                                        [WAL_OBJECT_IDS] = "OBJECT_IDS",
                                        [WAL_SPACE] = "SPACE"};
    for (unsigned i = 1; i < ARRAY_LEN(names); i++) {
        r->type_name[i] = names[i];
        if (r->replay[i] == NULL) {
            r->replay[i] = own_replay_none;
        }
    }
    r->redo[REDO_EXTENT_MAP] = redo_extent_map;
    r->redo[REDO_OBJECT_HEADER] = redo_object_header;
    r->redo[REDO_OBJECT_MAP] = redo_object_map;
    r->redo[REDO_OBJECT_USER] = redo_object_user;
}

static void init_locks(Store *s)
{
    mutex_init(&s->objects_mutex, RANK_OBJECT_TABLE);
    spin_init(&s->error_lock, RANK_LEAF);
    spin_init(&s->id_lock, RANK_LEAF);
    mutex_init(&s->id_mutex, RANK_ENGINE);
    mutex_init(&s->checkpoint_mutex, RANK_CHECKPOINT);
    mutex_init(&s->job_mutex, RANK_TASK);
    mutex_init(&s->space.grow_mutex, RANK_SPACE_GROW);
    spin_init(&s->space.lock, RANK_SPACE);
    cond_init(&s->writer_cond);
    cond_init(&s->clean_cond);
    cond_init(&s->checkpoint_cond);
    s->space.pending.budget = s->budget;
    err_clear(&s->error);
    budget_init(&s->job_budget, "storage jobs", s->budget, 0, 0);
}

static Status start_threads(Ctx *cx, Store *s)
{
    if (!s->config.background) {
        return ST_OK;
    }
    s->threads_running = true;
    Status st = os_thread_start("wal-flusher", wal_flusher_main, s, cx->err, &s->flusher_thread);
    if (st == ST_OK) {
        st = os_thread_start("page-writer", writer_main, s, cx->err, &s->writer_thread);
    }
    return st;
}

static Status create_files(Ctx *cx, Store *s)
{
    os_random_bytes(s->control.uuid, sizeof s->control.uuid);
    s->control.wal_segment_bytes = (uint32_t)s->config.wal_segment_bytes;
    s->control.next_object = 1;
    s->control.redo_lsn = s->control.checkpoint_lsn = s->control.begin_lsn = LSN_FIRST;
    s->control.clean = 1;
    object_ids_replay(s, 1);
    Status st = file_allocate(s->control_file, 0, 2 * CONTROL_SLOT_BYTES, cx->err);
    if (st == ST_OK) {
        st = wal_create(cx, s);
    }
    if (st == ST_OK) {
        st = space_load(cx, s);
    }
    return st;
}

/* Looks for a store before and after taking the lock: no lock file is left where there is none, and two do not create one. */
static Status find_store(Ctx *cx, Store *s, bool create, bool *out_exists)
{
    Status st = vfs_exists(s->vfs, "control", cx->err, out_exists);
    if (st == ST_OK && !*out_exists && !create) {
        return err_set(cx->err, ST_FILE_NOT_FOUND, "\"%s\" is not a data directory: it has no control file",
                       vfs_root(s->vfs));
    }
    if (st == ST_OK) {
        st = vfs_lock(s->vfs, "lock", cx->err, &s->lock_file);
    }
    return st == ST_OK ? vfs_exists(s->vfs, "control", cx->err, out_exists) : st;
}

static Status open_existing(Ctx *cx, Store *s)
{
    Status st = vfs_open(s->vfs, "control", 0, cx->err, &s->control_file);
    if (st == ST_OK) {
        st = control_read(cx, s);
    }
    if (st == ST_OK) {
        s->config.wal_segment_bytes = s->control.wal_segment_bytes;
        st = vfs_open(s->vfs, "data", s->config.direct_io ? FILE_DIRECT : 0, cx->err, &s->data);
        if (st == ST_FILE_NOT_FOUND) {
            err_clear(cx->err);
            st = err_set(cx->err, ST_CORRUPTED, "the data directory \"%s\" has lost its data file", vfs_root(s->vfs));
        }
    }
    return st;
}

/* A creation that was cut short has left no control file: its other files are overwritten. */
static Status open_fresh(Ctx *cx, Store *s)
{
    Status st = vfs_open(s->vfs, "control.new", FILE_CREATE, cx->err, &s->control_file);
    if (st == ST_OK) {
        st = file_truncate(s->control_file, 0, cx->err);
    }
    if (st == ST_OK) {
        st = vfs_open(s->vfs, "data", FILE_CREATE | (s->config.direct_io ? FILE_DIRECT : 0), cx->err, &s->data);
    }
    return st == ST_OK ? file_truncate(s->data, 0, cx->err) : st;
}

static Status check_config(Ctx *cx, const StoreConfig *c)
{
    if (c->pool_bytes / PAGE_BYTES < 64 || c->pool_bytes / PAGE_BYTES > INT32_MAX / 2) {
        return err_set(cx->err, ST_CONFIGURATION_LIMIT, "the buffer pool must have at least 1 MB and at most 16 TB");
    }
    if (c->wal_ring_bytes < 64 * 1024 || (c->wal_ring_bytes & (c->wal_ring_bytes - 1)) != 0) {
        return err_set(cx->err, ST_CONFIGURATION_LIMIT, "the log buffer must be a power of two of at least 64 kB");
    }
    if (c->wal_segment_bytes == 0 || c->wal_segment_bytes % (64 * 1024) != 0 || c->wal_segment_bytes > INT32_MAX) {
        return err_set(cx->err, ST_CONFIGURATION_LIMIT, "a log segment must be a multiple of 64 kB below 2 GB");
    }
    if (c->grow_extents == 0) {
        return err_set(cx->err, ST_CONFIGURATION_LIMIT, "the data file must grow by at least one extent");
    }
    return ST_OK;
}

static Status open_files(Ctx *cx, Store *s, bool create, bool *out_new)
{
    bool exists;
    Status st = check_config(cx, &s->config);
    if (st == ST_OK) {
        st = find_store(cx, s, create, &exists);
    }
    if (st == ST_OK) {
        *out_new = !exists;
        st = exists ? open_existing(cx, s) : open_fresh(cx, s);
    }
    return st;
}

/* The new store becomes one by this: a control file under its name. */
static Status publish_control(Ctx *cx, Store *s)
{
    Status st = control_write(cx, s);
    if (st == ST_OK) {
        st = file_sync(s->data, cx->err);
    }
    if (st == ST_OK) {
        st = vfs_rename(s->vfs, "control.new", "control", cx->err);
    }
    return st == ST_OK ? vfs_sync_dir(s->vfs, "", cx->err) : st;
}

static Status open_all(Ctx *cx, Store *s, bool create)
{
    bool is_new = false;
    Status st = open_files(cx, s, create, &is_new);
    if (st == ST_OK && is_new) {
        /* Segments of a creation that was cut short must not be taken for prepared ones. */
        st = wal_remove_all(cx, s);
    }
    if (st == ST_OK) {
        st = pool_open(cx, s);
    }
    if (st == ST_OK) {
        st = wal_open(cx, s);
    }
    if (st == ST_OK) {
        st = writer_open(cx, s);
    }
    if (st != ST_OK) {
        return st;
    }
    atomic_store_explicit(&s->status, STORE_RECOVERING, memory_order_release);
    if (is_new) {
        st = create_files(cx, s);
        if (st == ST_OK) {
            st = publish_control(cx, s);
        }
    } else {
        object_ids_replay(s, s->control.next_object);
        st = store_recover(cx, s);
        if (st == ST_OK) {
            st = space_load(cx, s);
        }
        if (st == ST_OK) {
            /* The incarnation below must be durable before any block that carries it. */
            s->control.clean = 0;
            st = control_write(cx, s);
        }
    }
    s->wal.incarnation = s->control.sequence;
    /* Counted from the last one's begin: what was just replayed need not be replayed again and again. */
    atomic_store_explicit(&s->last_checkpoint_lsn, s->control.begin_lsn, memory_order_relaxed);
    atomic_store_explicit(&s->last_checkpoint_segment, s->wal.live.n > 0 ? s->wal.live.v[0].number : 0,
                          memory_order_relaxed);
    atomic_store_explicit(&s->last_checkpoint_us, os_monotonic_us(), memory_order_relaxed);
    if (st == ST_OK) {
        st = start_threads(cx, s);
    }
    if (st == ST_OK && s->registry.hooks.redo_done != NULL) {
        st = s->registry.hooks.redo_done(s->registry.hooks.arg, cx);
    }
    if (st == ST_OK) {
        int was = STORE_RECOVERING;
        /* Not a plain store: the flusher may have failed meanwhile (S1). */
        if (!atomic_compare_exchange_strong_explicit(&s->status, &was, STORE_RUNNING, memory_order_acq_rel,
                                                     memory_order_relaxed)) {
            st = store_failed_error(s, cx->err);
        }
    }
    return st;
}

Status store_open(Ctx *cx, Vfs *vfs, Budget *budget, Log *log, const StoreConfig *config, const StoreRegistry *registry,
                  bool create, Store **out_store)
{
    Store *s = mem_alloc_aligned(budget, sizeof *s, 64);
    if (s == NULL) {
        return ctx_nomem(cx, sizeof *s);
    }
    memset(s, 0, sizeof *s);
    s->budget = budget;
    s->log = log;
    s->vfs = vfs;
    s->config = *config;
    s->registry = *registry;
    s->wal.ring_bytes_max = UINT64_C(1) << 30;
    register_own(&s->registry);
    init_locks(s);
    Status st = epoch_new(budget, cx->err, &s->epoch);
    if (st == ST_OK) {
        *out_store = s;
        st = open_all(cx, s, create);
    }
    if (st != ST_OK) {
        *out_store = NULL;
        store_close(cx, s, false);
        return st;
    }
    return ST_OK;
}

/* ---- close ---- */

static void stop_threads(Store *s)
{
    if (s->flusher_thread != NULL || s->writer_thread != NULL) {
        mutex_lock(&s->job_mutex);
        atomic_store_explicit(&s->stop, true, memory_order_release);
        cond_broadcast(&s->writer_cond);
        mutex_unlock(&s->job_mutex);
    }
    if (s->writer_thread != NULL) {
        os_thread_join(s->writer_thread);
    }
    if (s->flusher_thread != NULL) {
        mutex_lock(&s->wal.wait_mutex);
        s->wal.stop_flusher = true;
        cond_broadcast(&s->wal.flusher_cond);
        mutex_unlock(&s->wal.wait_mutex);
        os_thread_join(s->flusher_thread);
    }
    s->threads_running = false;
    s->flusher_thread = s->writer_thread = NULL;
}

static void clean_stop(Ctx *cx, Store *s)
{
    Status st = store_checkpoint(cx, s);
    if (st == ST_OK) {
        /* Nothing but the two checkpoint records since: redo has nothing to do. */
        s->control.clean = 1;
        st = control_write(cx, s);
    }
    if (st != ST_OK) {
        log_error(s->log, LOG_WARNING, cx->err, "the checkpoint at shutdown; the next start recovers");
        err_clear(cx->err);
    }
}

void store_close(Ctx *cx, Store *s, bool checkpoint)
{
    if (s == NULL) {
        return;
    }
    bool running = atomic_load_explicit(&s->status, memory_order_acquire) == STORE_RUNNING;
    stop_threads(s);
    if (checkpoint && running && !store_failed(s)) {
        clean_stop(cx, s);
    }
    if (s->wal.opened) {
        s->wal.closing = true;
        wal_run_waiters(s); /* what is not durable now never will be */
    }
    objects_done(s);
    space_done(s);
    writer_close(s);
    wal_close(s);
    pool_close(s);
    file_close(s->data);
    file_close(s->control_file);
    if (s->lock_file != NULL) {
        vfs_unlock(s->lock_file);
    }
    epoch_free(s->epoch);
    mutex_done(&s->objects_mutex);
    mutex_done(&s->id_mutex);
    mutex_done(&s->checkpoint_mutex);
    mutex_done(&s->job_mutex);
    mutex_done(&s->space.grow_mutex);
    cond_done(&s->writer_cond);
    cond_done(&s->clean_cond);
    cond_done(&s->checkpoint_cond);
    budget_done(&s->job_budget);
    mem_free(s->budget, s, sizeof *s);
}
