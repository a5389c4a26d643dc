/*
 * txn/system.c: opening and closing the transaction system over a store.
 */
#include "txn/txn_int.h"

void txn_config_default(TxnConfig *c)
{
    *c = (TxnConfig){.undo_memory_bytes = 64u << 20,
                     .undo_file_bytes = UINT64_C(64) << 30,
                     .max_transactions = 4096,
                     .deadlock_timeout_us = 1000000,
                     .purge_every_us = 20000,
                     .background = true};
}

static Status open_parts(Ctx *cx, TxnSystem *ts, const StoreConfig *store, bool create)
{
    StoreRegistry reg;
    memset(&reg, 0, sizeof reg);
    heap_register(&reg);
    btree_register(&reg);
    recover_register(ts, &reg);
    ts->slots = mem_alloc_aligned(ts->budget, ts->config.max_transactions * sizeof *ts->slots, 64);
    if (ts->slots == NULL) {
        return ctx_nomem(cx, ts->config.max_transactions * sizeof *ts->slots);
    }
    for (uint32_t i = 0; i < ts->config.max_transactions; i++) {
        atomic_init(&ts->slots[i].ts, 0);
        ts->slots[i].next_free = i + 1 < ts->config.max_transactions ? i + 1 : UINT32_MAX;
    }
    LockConfig lc = {.log = ts->log, .deadlock_timeout_us = ts->config.deadlock_timeout_us, .log_waits = true};
    Status st = lockmgr_new(cx, ts->budget, &lc, &ts->locks);
    if (st == ST_OK) {
        /* Before the store: replay needs the arena, and the arena only the epoch, which it makes its own. */
        st = epoch_new(ts->budget, cx->err, &ts->epoch);
    }
    if (st == ST_OK) {
        st = undo_open(cx, &ts->undo, ts->vfs, ts->budget, ts->epoch, ts->config.undo_memory_bytes, ts->config.undo_file_bytes);
    }
    if (st == ST_OK) {
        st = store_open(cx, ts->vfs, ts->budget, ts->log, store, &reg, create, &ts->store);
    }
    return st;
}

static void init_fields(TxnSystem *ts, Vfs *vfs, Budget *budget, Log *log, const TxnConfig *config, const TxnHooks *hooks)
{
    ts->budget = budget;
    ts->vfs = vfs;
    ts->log = log;
    ts->config = *config;
    ts->hooks = *hooks;
    ts->recovering = true;
    ts->pending.budget = ts->sweep.budget = budget;
    u64map_init(&ts->sweep_index, budget);
    u64map_init(&ts->replay, budget);
    u64map_init(&ts->pending_objects, budget);
    u64map_init(&ts->pending_chains, budget);
    budget_init(&ts->versions_budget, "version tables", budget, 0, BUDGET_QUANTUM);
    mutex_init(&ts->mutex, RANK_TXN_LIST);
    mutex_init(&ts->free_mutex, RANK_FREE);
    mutex_init(&ts->pending_mutex, RANK_PENDING);
    mutex_init(&ts->purge_mutex, RANK_PURGE);
    mutex_init(&ts->job_mutex, RANK_TASK);
    cond_init(&ts->job_cond);
    spin_init(&ts->commit_lock, RANK_COMMIT);
    spin_init(&ts->marks_lock, RANK_VERSION_TABLE);
    atomic_init(&ts->next_txn, 2);
    atomic_init(&ts->published, 1);
}

Status txn_open(Ctx *cx, Vfs *vfs, Budget *budget, Log *log, const StoreConfig *store, const TxnConfig *config,
                const TxnHooks *hooks, bool create, TxnSystem **out_system)
{
    TxnSystem *ts = mem_alloc0(budget, sizeof *ts);
    if (ts == NULL) {
        return ctx_nomem(cx, sizeof *ts);
    }
    init_fields(ts, vfs, budget, log, config, hooks);
    Status st = open_parts(cx, ts, store, create);
    if (st == ST_OK && config->background) {
        st = os_thread_start("purge", purge_main, ts, cx->err, &ts->purge_thread);
    }
    if (st != ST_OK) {
        txn_close(cx, ts, false);
        return st;
    }
    *out_system = ts;
    return ST_OK;
}

static void stop_purge(TxnSystem *ts)
{
    if (ts->purge_thread != NULL) {
        mutex_lock(&ts->job_mutex);
        ts->stop = true;
        cond_broadcast(&ts->job_cond);
        mutex_unlock(&ts->job_mutex);
        os_thread_join(ts->purge_thread);
    }
}

/* Version tables that are still there (a close without purge) are freed with their pages. */
static void free_versions(void *arg, BufVersions *v)
{
    versions_free(arg, (PageVersions *)(void *)v);
}

static void free_replayed(TxnSystem *ts)
{
    size_t cursor = 0;
    uint64_t id;
    uint64_t p;
    while (u64map_next(&ts->replay, &cursor, &id, &p)) {
        Txn *t = (Txn *)(uintptr_t)p;
        txn_abandon(t);
        txn_free(t);
    }
    u64map_clear(&ts->replay);
}

void txn_close(Ctx *cx, TxnSystem *ts, bool checkpoint)
{
    if (ts == NULL) {
        return;
    }
    stop_purge(ts);
    if (ts->store != NULL) {
        uint64_t left;
        if (checkpoint && txn_purge(cx, ts, &left) != ST_OK) {
            log_error(ts->log, LOG_WARNING, cx->err, "the last purge; the next start does it");
            err_clear(cx->err);
        }
        if (ts->hooks.closing != NULL) {
            ts->hooks.closing(ts->hooks.arg);
        }
        store_each_versions(ts->store, free_versions, ts);
        store_close(cx, ts->store, checkpoint && !ts->abandoned);
    }
    free_replayed(ts);
    while (ts->all_lanes != NULL) {
        UndoLane *next = ts->all_lanes->next_all;
        mem_free(ts->budget, ts->all_lanes, sizeof *next);
        ts->all_lanes = next;
    }
    if (ts->epoch != NULL) {
        epoch_free(ts->epoch); /* runs what was retired, which gives back to the arena */
        undo_close(&ts->undo);
    }
    if (ts->locks != NULL) {
        lockmgr_free(ts->locks);
    }
    mem_free(ts->budget, ts->slots, ts->slots != NULL ? ts->config.max_transactions * sizeof *ts->slots : 0);
    VEC_DONE(&ts->pending);
    VEC_DONE(&ts->sweep);
    u64map_done(&ts->sweep_index);
    u64map_done(&ts->replay);
    u64map_done(&ts->pending_objects);
    u64map_done(&ts->pending_chains);
    budget_done(&ts->versions_budget);
    mutex_done(&ts->mutex);
    mutex_done(&ts->free_mutex);
    mutex_done(&ts->pending_mutex);
    mutex_done(&ts->purge_mutex);
    mutex_done(&ts->job_mutex);
    cond_done(&ts->job_cond);
    mem_free(ts->budget, ts, sizeof *ts);
}

Store *txn_store(TxnSystem *ts) { return ts->store; }
LockManager *txn_locks(TxnSystem *ts) { return ts->locks; }

void txn_stats(TxnSystem *ts, TxnStats *out)
{
    *out = (TxnStats){
        .commits = atomic_load_explicit(&ts->commits, memory_order_relaxed),
        .aborts = atomic_load_explicit(&ts->aborts, memory_order_relaxed),
        .purged = atomic_load_explicit(&ts->purged, memory_order_relaxed),
        .stale_tids = atomic_load_explicit(&ts->stale_tids, memory_order_relaxed),
        .spilled_chunks = atomic_load_explicit(&ts->undo.spilled, memory_order_relaxed),
        .undo_bytes = budget_used(&ts->undo.budget),
        .version_tables = atomic_load_explicit(&ts->version_tables, memory_order_relaxed),
        .unpurged = atomic_load_explicit(&ts->unpurged, memory_order_relaxed),
        .sweeps_of_missing_entries = atomic_load_explicit(&ts->missing_entries, memory_order_relaxed),
    };
}

Status txn_check_store(Ctx *cx, TxnSystem *ts, TxnCheck *check)
{
    StoreCheck sc = {.arg = check->arg, .report = check->report, .known = check->known};
    Status st = store_check(cx, ts->store, &sc);
    check->problems = sc.problems;
    return st;
}
