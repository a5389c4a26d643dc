/*
 * txn/stress.c: the stress workload's life: configuration, opening, the threads and their transactions.
 */
#include "txn/stress.h"

#include <stdio.h>

#include "txn/stress_int.h"

_Noreturn void stress_fail(Stress *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->sink.fail(s->sink.arg, text);
    UNREACHABLE();
}

void stress_config(uint64_t seed, StressConfig *out)
{
    Rng r;
    rng_seed(&r, mix64(seed));
    *out = (StressConfig){.seed = seed, .threads = 1 + (unsigned)rng_below(&r, 5),
                          .txns = rng_below(&r, 4) == 0 ? 400 : 30 + (unsigned)rng_below(&r, 150),
                          .tables = 1 + (unsigned)rng_below(&r, 3), .keys = 6 + (unsigned)rng_below(&r, 80),
                          .ddl = rng_below(&r, 3) == 0 ? 120 : 25, .long_values = rng_below(&r, 3) != 0};
    store_config_default(&out->store);
    txn_config_default(&out->txn);
    out->store.pool_bytes = (size_t)(64 + rng_below(&r, 3) * 64) * PAGE_BYTES;
    out->store.wal_ring_bytes = 1 << 20;
    out->store.wal_segment_bytes = 256 << 10;
    out->store.checkpoint_wal_bytes = 512 << 10;
    out->store.checkpoint_every_us = 0;
    out->store.grow_extents = 1;
    out->store.direct_io = false;
    out->store.background = rng_below(&r, 3) != 0;
    out->txn.background = rng_below(&r, 3) != 0;
    out->txn.max_transactions = 64;
    out->txn.deadlock_timeout_us = 20000;
    /* Hardly more than the chunks that writers fill: the others go to the file. */
    out->small_chunks = rng_below(&r, 2) == 0;
    out->txn.undo_memory_bytes = out->small_chunks ? (out->threads + 2) * (UNDO_CHUNK_BYTES + 64) : 64u << 20;
}

Stress *stress_new(const StressConfig *config, const StressSink *sink)
{
    Budget none;
    budget_init(&none, "stress", NULL, 0, 0);
    Stress *s = mem_alloc0(&none, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->config = *config;
    s->sink = *sink;
    mutex_init(&s->mutex, RANK_NONE);
    atomic_init(&s->next_uid, 1);
    if (model_init(&s->model, s) != ST_OK) {
        stress_fail(s, "no memory for the model");
    }
    return s;
}

void stress_free(Stress *s)
{
    if (s == NULL) {
        return;
    }
    Budget none;
    budget_init(&none, "stress", NULL, 0, 0);
    bool ok = budget_charge(&none, sizeof *s); /* it was allocated under such a one */
    ASSERT(ok);
    model_done(&s->model);
    mutex_done(&s->mutex);
    mem_free(&none, s, sizeof *s);
}

StressConfig *stress_settings(Stress *s) { return &s->config; }
bool stress_stopped(const Stress *s) { return atomic_load_explicit(&s->stop, memory_order_acquire); }
TxnSystem *stress_system(Stress *s) { return s->ts; }

void stress_stats(const Stress *s, StressStats *out)
{
#define GET(field) .field = atomic_load_explicit(&s->field, memory_order_relaxed)
    *out = (StressStats){GET(commits), GET(aborts), GET(reads), GET(rows_compared), GET(conflicts), GET(deadlocks),
                         GET(unique_violations), GET(retries), GET(moved), GET(ddl), GET(given_up), GET(spilled)};
#undef GET
}

/* ---- workers ---- */

static void worker_init(Worker *w, Stress *s, unsigned number)
{
    memset(w, 0, sizeof *w);
    w->s = s;
    w->number = number;
    rng_seed(&w->rng, mix64(s->config.seed) ^ mix64(s->runs * 64 + number + 1));
    err_clear(&w->err);
    arena_init(&w->arena, s->budget, 64 * 1024);
    ctx_init(&w->cx, &w->err, s->budget, &w->arena);
    w->cx.intr = &w->intr;
    w->scan = model_alloc(&s->model, sizeof *w->scan);
    w->log.budget = w->locks.budget = w->found.budget = &s->model.budget;
    u64map_init(&w->seen, &s->model.budget);
}

static void worker_done(Worker *w)
{
    mem_free(&w->s->model.budget, w->scan, sizeof *w->scan);
    VEC_DONE(&w->log);
    VEC_DONE(&w->locks);
    VEC_DONE(&w->found);
    u64map_done(&w->seen);
    arena_done(&w->arena);
}

/* ---- statements ---- */

typedef enum TxnKind { KIND_WRITER, KIND_READER, KIND_LONG_READER, KIND_DDL } TxnKind;

static Status read_statement(Worker *w, StressTable *tb)
{
    switch (rng_below(&w->rng, 4)) {
    case 0:
        return scan_and_compare(w, tb, true);
    case 1:
        return scan_and_compare(w, tb, false);
    case 2:
        return index_scan_and_compare(w, tb, (unsigned)rng_below(&w->rng, STRESS_INDEXES));
    default: {
        FoundRow row;
        bool found;
        return find_by_a(w, tb, rng_below(&w->rng, w->s->config.keys), &row, &found);
    }
    }
}

static Status write_statement(Worker *w, StressTable *tb)
{
    switch (rng_below(&w->rng, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return op_insert(w, tb, 1);
    case 6:
        return op_insert(w, tb, 2 + (unsigned)rng_below(&w->rng, rng_below(&w->rng, 4) == 0 ? 90 : 8));
    case 7:
    case 8:
        return read_statement(w, tb);
    case 9:
        return op_change_many(w, tb);
    default:
        return op_change_one(w, tb);
    }
}

static Status statement(Worker *w, TxnKind kind)
{
    unsigned slot = (unsigned)rng_below(&w->rng, w->s->config.tables);
    LockMode mode = kind == KIND_DDL ? LOCK_ACCESS_EXCLUSIVE : kind == KIND_WRITER ? LOCK_ROW_EXCLUSIVE : LOCK_ACCESS_SHARE;
    StressTable *tb;
    Status st = worker_table(w, slot, mode, &tb);
    if (st != ST_OK) {
        return st;
    }
    worker_statement(w);
    if (rng_below(&w->rng, 40) == 0) {
        worker_cancel(w, true); /* it is met at the next poll, and in the rollback if that forgets to look away */
    }
    if (kind == KIND_DDL && (tb == NULL || rng_below(&w->rng, 2) == 0)) {
        return op_ddl(w, slot);
    }
    if (tb == NULL) {
        return ST_OK;
    }
    st = kind == KIND_WRITER || kind == KIND_DDL ? write_statement(w, tb) : read_statement(w, tb);
    if (st == ST_OK && rng_below(&w->rng, 4) == 0 && w->isolation == TXN_READ_COMMITTED) {
        txn_statement_end(w->t);
    }
    return st;
}

/* ---- transactions ---- */

enum { SAVEPOINTS_MAX = 4 };
typedef struct Savepoints {
    StressSavepoint v[SAVEPOINTS_MAX];
    unsigned n;
} Savepoints;

static void savepoints_cut(Savepoints *sp, unsigned n)
{
    while (sp->n > n) {
        worker_savepoint_done(&sp->v[--sp->n]);
    }
}

static Status savepoint_play(Worker *w, Savepoints *sp)
{
    uint64_t x = rng_below(&w->rng, 10);
    if (x < 3 && sp->n < SAVEPOINTS_MAX) {
        worker_savepoint(w, &sp->v[sp->n++]);
    } else if (x == 3 && sp->n > 0) {
        savepoints_cut(sp, sp->n - 1); /* RELEASE */
    } else if (x == 4 && sp->n > 0) {
        unsigned to = (unsigned)rng_below(&w->rng, sp->n);
        savepoints_cut(sp, to + 1);
        return worker_rollback_to(w, &sp->v[to]);
    }
    return ST_OK;
}

/* A statement failed: back to a savepoint if there is one, mostly. *out_go_on false: the transaction is to be aborted. */
static Status after_failure(Worker *w, Savepoints *sp, bool *out_go_on)
{
    *out_go_on = sp->n > 0 && rng_below(&w->rng, 4) != 0 && !worker_stopped(w);
    if (!*out_go_on) {
        return ST_OK;
    }
    unsigned to = (unsigned)rng_below(&w->rng, sp->n);
    savepoints_cut(sp, to + 1);
    return worker_rollback_to(w, &sp->v[to]);
}

static void run_statements(Worker *w, TxnKind kind, unsigned n, bool *out_ok)
{
    Savepoints sp = {.n = 0};
    bool go_on = true;
    for (unsigned i = 0; i < n && go_on; i++) {
        Status st = kind == KIND_WRITER || kind == KIND_DDL ? savepoint_play(w, &sp) : ST_OK;
        if (st == ST_OK) {
            st = statement(w, kind);
        } else {
            savepoints_cut(&sp, 0);
        }
        if (st != ST_OK) {
            worker_judge(w, st, "a statement");
            st = after_failure(w, &sp, &go_on);
            if (st != ST_OK) {
                worker_judge(w, st, "rolling back to a savepoint");
                go_on = false;
            }
        }
        if (kind == KIND_LONG_READER) {
            os_sleep_us((int64_t)rng_below(&w->rng, 3000));
        } else if (rng_below(&w->rng, 3) == 0) {
            os_sleep_us((int64_t)rng_below(&w->rng, 200)); /* others come between */
        }
        go_on = go_on && !worker_stopped(w);
    }
    savepoints_cut(&sp, 0);
    *out_ok = go_on;
}

static void run_txn(Worker *w)
{
    uint64_t x = rng_below(&w->rng, 1000);
    TxnKind kind = x < w->s->config.ddl ? KIND_DDL : x < 750 ? KIND_WRITER : x < 900 ? KIND_READER : KIND_LONG_READER;
    bool repeatable = kind == KIND_LONG_READER || (kind != KIND_DDL && rng_below(&w->rng, 3) == 0);
    bool ok;
    Status st = worker_begin(w, repeatable ? TXN_REPEATABLE_READ : TXN_READ_COMMITTED, kind == KIND_READER && x % 2 == 0);
    if (st != ST_OK) {
        worker_judge(w, st, "beginning");
        return;
    }
    unsigned n = kind == KIND_LONG_READER && x % 4 == 0 ? 60 : 1 + (unsigned)rng_below(&w->rng, 6);
    run_statements(w, kind, n, &ok);
    if (ok && rng_below(&w->rng, 5) != 0) {
        worker_commit(w, rng_below(&w->rng, 2) == 0);
    } else {
        worker_abort(w);
    }
}

/* What background threads would do, and checkpoints at odd times. */
static void housekeeping(Worker *w)
{
    Stress *s = w->s;
    Status st = ST_OK;
    uint64_t left;
    if (!s->config.txn.background && rng_below(&w->rng, 6) == 0) {
        st = txn_purge(&w->cx, s->ts, &left);
    }
    if (st == ST_OK && !s->config.store.background) {
        st = store_tick(&w->cx, s->ts->store);
    }
    if (st == ST_OK && rng_below(&w->rng, 40) == 0) {
        st = store_checkpoint(&w->cx, s->ts->store);
    }
    if (st != ST_OK) {
        worker_judge(w, st, "housekeeping");
    }
}

static void worker_main(void *arg)
{
    Worker *w = arg;
    for (unsigned i = 0; i < w->s->config.txns && !worker_stopped(w); i++) {
        run_txn(w);
        housekeeping(w);
    }
}

void stress_run(Stress *s)
{
    OsThread *threads[16] = {NULL};
    Worker *workers[16];
    unsigned n = s->config.threads < 16 ? s->config.threads : 16;
    Error err;
    err_clear(&err);
    s->runs++;
    for (unsigned i = 0; i < n; i++) {
        workers[i] = model_alloc(&s->model, sizeof *workers[i]);
        worker_init(workers[i], s, i);
        s->workers[i] = workers[i];
    }
    for (unsigned i = 0; i < n; i++) {
        if (os_thread_start("stress", worker_main, workers[i], &err, &threads[i]) != ST_OK) {
            stress_fail(s, "starting a thread: %s", err.message);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        os_thread_join(threads[i]);
    }
    memset(s->workers, 0, sizeof s->workers);
    for (unsigned i = 0; i < n; i++) {
        worker_done(workers[i]);
        mem_free(&s->model.budget, workers[i], sizeof *workers[i]);
    }
}

/* Runs fn as a worker of its own. */
static Status as_worker(Stress *s, Status (*fn)(Worker *w), const char *doing)
{
    Worker *w = model_alloc(&s->model, sizeof *w);
    worker_init(w, s, 63);
    w->cx.intr = NULL;
    Status st = fn(w);
    if (st != ST_OK && !s->config.faults) {
        stress_fail(s, "%s: %s %s", doing, status_name(st), w->err.message != NULL ? w->err.message : "");
    }
    worker_done(w);
    mem_free(&s->model.budget, w, sizeof *w);
    return st;
}

/* ---- open, verify, close ---- */

static Status create(Worker *w)
{
    Status st = worker_begin(w, TXN_READ_COMMITTED, false);
    if (st != ST_OK) {
        return st;
    }
    worker_statement(w);
    st = ddl_create_catalog(w);
    if (st != ST_OK) {
        worker_abort(w);
        return st;
    }
    worker_commit(w, true);
    st = ddl_open_catalog(&w->cx, w->s);
    for (unsigned i = 0; i < w->s->config.tables && st == ST_OK; i++) {
        StressTable *tb;
        st = worker_begin(w, TXN_READ_COMMITTED, false);
        if (st == ST_OK) {
            st = worker_table(w, i, LOCK_ACCESS_EXCLUSIVE, &tb);
            worker_statement(w);
            st = st == ST_OK ? op_ddl(w, i) : st;
            if (st == ST_OK) {
                worker_commit(w, true);
            } else {
                worker_abort(w);
            }
        }
    }
    return st;
}

static Status found(Worker *w)
{
    Status st = ddl_open_catalog(&w->cx, w->s);
    return st == ST_OK ? check_contents(w) : st;
}

static Status sweep(Worker *w)
{
    return txn_sweep(&w->cx, w->s->ts);
}

Status stress_open(Stress *s, Vfs *vfs, Budget *budget, Log *log, bool is_new, uint64_t acknowledged)
{
    Error err;
    Ctx cx;
    TxnHooks hooks;
    s->budget = budget;
    s->log = log;
    err_clear(&err);
    ctx_init(&cx, &err, budget, NULL);
    stress_hooks(s, &hooks);
    atomic_store_explicit(&s->stop, false, memory_order_relaxed);
    Status st = txn_open(&cx, vfs, budget, log, &s->config.store, &s->config.txn, &hooks, is_new, &s->ts);
    if (st != ST_OK) {
        s->ts = NULL;
        if (!s->config.faults) {
            stress_fail(s, "opening: %s %s", status_name(st), err.message != NULL ? err.message : "");
        }
        return st;
    }
    s->ts->commit_hook = model_commit_hook;
    s->ts->undo.fill = s->config.small_chunks ? 2048 : UNDO_CHUNK_BYTES;
    uint64_t is = atomic_load_explicit(&s->ts->published, memory_order_acquire);
    if (!is_new && is < acknowledged) {
        stress_fail(s, "the commit at %llu was acknowledged, found is only %llu", (unsigned long long)acknowledged,
                    (unsigned long long)is);
    }
    st = as_worker(s, is_new ? create : found, "setting up");
    if (st == ST_OK) {
        st = as_worker(s, sweep, "sweeping");
    }
    return st;
}

Status stress_verify(Stress *s)
{
    return as_worker(s, check_all, "verifying");
}

void stress_cut(Stress *s)
{
    model_cut(&s->model, atomic_load_explicit(&s->ts->published, memory_order_acquire));
}

void stress_close(Stress *s, bool checkpoint)
{
    Error err;
    Ctx cx;
    err_clear(&err);
    ctx_init(&cx, &err, s->budget, NULL);
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        table_unref(s->tables[i]);
        s->tables[i] = NULL;
    }
    table_unref(s->catalog);
    s->catalog = NULL;
    if (s->ts != NULL) {
        atomic_fetch_add_explicit(&s->spilled, atomic_load_explicit(&s->ts->undo.spilled, memory_order_relaxed), memory_order_relaxed);
        txn_close(&cx, s->ts, checkpoint);
        s->ts = NULL;
    }
}
