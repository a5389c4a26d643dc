/*
 * txn/stress_txn.c: a worker's transaction: begin, statements, savepoints, the end, and what it keeps beside the engine to be
 * able to say what it must see.
 */
#include "txn/stress_int.h"

/* ---- errors ---- */

static bool is_conflict(Status st)
{
    return st == ST_UNIQUE_VIOLATION || st == ST_SERIALIZATION_FAILURE || st == ST_DEADLOCK_DETECTED ||
           st == ST_LOCK_NOT_AVAILABLE || st == ST_WOULD_BLOCK || st == ST_QUERY_CANCELED;
}

static bool is_end(Status st)
{
    return st == ST_IO_ERROR || st == ST_CRASH_SHUTDOWN;
}

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* Whoever waits learns of it by the interrupt. */
static void stop_all(Stress *s)
{
    atomic_store_explicit(&s->stop, true, memory_order_release);
    for (unsigned i = 0; i < ARRAY_LEN(s->workers) && s->workers[i] != NULL; i++) {
        atomic_fetch_or_explicit(&s->workers[i]->intr, INTR_TERMINATE, memory_order_relaxed);
    }
}

bool worker_stopped(const Worker *w)
{
    return atomic_load_explicit(&w->s->stop, memory_order_acquire);
}

void worker_judge(Worker *w, Status st, const char *doing)
{
    Stress *s = w->s;
    if (is_conflict(st)) {
        count(st == ST_UNIQUE_VIOLATION ? &s->unique_violations : st == ST_DEADLOCK_DETECTED ? &s->deadlocks : &s->conflicts);
    } else if (s->config.faults && is_end(st)) {
        stop_all(s);
    } else if (s->config.faults && (st == ST_OUT_OF_MEMORY || st == ST_DISK_FULL)) {
        count(&s->given_up);
    } else if (!worker_stopped(w)) {
        stress_fail(s, "%s: %s %s (%s)", doing, status_name(st), w->err.message != NULL ? w->err.message : "",
                    w->err.detail != NULL ? w->err.detail : "");
    }
    err_clear(&w->err);
}

void worker_cancel(Worker *w, bool on)
{
    if (on) {
        atomic_fetch_or_explicit(&w->intr, INTR_CANCEL, memory_order_relaxed);
    } else {
        atomic_fetch_and_explicit(&w->intr, ~(uint32_t)INTR_CANCEL, memory_order_relaxed);
    }
}

/* ---- tables in use ---- */

static void use_restore(Worker *w, unsigned slot, LockMode mode, StressTable *tb, bool changed)
{
    SlotUse *u = &w->use[slot];
    /* Columns of an ADD COLUMN that is taken back may stand in pages: their numbers are burned. */
    if (tb != NULL && u->peak > tb->n_layouts) {
        tb->no_more_columns = true;
    }
    if (tb != NULL) {
        table_ref(tb);
    }
    table_unref(u->table);
    *u = (SlotUse){.mode = mode, .table = tb, .changed = changed, .peak = u->peak};
}

static void use_drop_all(Worker *w)
{
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        use_restore(w, i, (LockMode)0, NULL, false);
        w->use[i].peak = 0;
    }
}

Status worker_table(Worker *w, unsigned slot, LockMode mode, StressTable **out_table)
{
    SlotUse *u = &w->use[slot];
    if (u->mode == 0 || !lock_covers(u->mode, mode)) {
        LockTag tag = lock_tag_table(1, slot);
        Status st = lock_acquire(&w->cx, txn_lock_owner(w->t), &tag, mode, LOCK_WAIT, -1);
        if (st != ST_OK) {
            return st;
        }
        if (u->mode == 0) {
            u->table = table_get(w->s, slot);
        }
        u->mode = u->mode != 0 && lock_covers(u->mode, mode) ? u->mode : mode;
    }
    *out_table = u->table;
    return ST_OK;
}

/* Aborted columns first: the table stays under our lock until the engine has rolled back. */
static void use_burn(Worker *w)
{
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        StressTable *now = w->use[i].peak != 0 ? table_get(w->s, i) : NULL;
        if (now != NULL && now->n_layouts < w->use[i].peak) {
            now->no_more_columns = true;
        }
        table_unref(now);
    }
}

/* Between the halves of commit: nothing can fail any more, and our locks still keep everybody else out. */
static void use_publish(Worker *w, const StressCommit *c)
{
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        SlotUse *u = &w->use[i];
        if (!u->changed) {
            continue;
        }
        for (unsigned k = 0; u->table != NULL && k < STRESS_INDEXES; k++) {
            if (u->table->index[k].own) {
                u->table->index[k].own = false;
                u->table->index[k].made_by = c;
            }
        }
        table_publish(w->s, i, u->table);
        u->table = NULL;
        u->changed = false;
    }
}

/* ---- begin, statements ---- */

Status worker_begin(Worker *w, TxnIsolation isolation, bool read_only)
{
    w->log.n = w->locks.n = 0;
    w->met_ts = w->met_lsn = 0;
    w->isolation = isolation;
    return txn_begin(&w->cx, w->s->ts, isolation, read_only, (int)w->number + 1, &w->t);
}

void worker_statement(Worker *w)
{
    arena_reset(&w->arena);
    txn_statement(w->t);
    w->snapshot = txn_snapshot_ts(w->t).v;
}

const StressWrite *own_write(const Worker *w, uint64_t table, uint64_t uid, uint32_t before_command)
{
    for (size_t i = w->log.n; i-- > 0;) {
        const StressWrite *x = &w->log.v[i];
        if (x->row.uid == uid && x->table == table && x->command < before_command) {
            return x;
        }
    }
    return NULL;
}

void worker_log(Worker *w, const StressTable *tb, const StressWrite *x)
{
    StressWrite copy = *x;
    const StressWrite *own = own_write(w, tb->ref.id.v, x->row.uid, UINT32_MAX);
    if (own != NULL) {
        copy.base = own->base; /* the version that the first change replaced */
    }
    copy.table = tb->ref.id.v;
    copy.command = w->t->command;
    if (!VEC_PUSH(&w->log, copy)) {
        stress_fail(w->s, "no memory for the model");
    }
}

/* ---- row locks ---- */

static uint64_t newest_conflict(Model *m, const HeldLock *h)
{
    const ModelRow *r = model_row(model_table(m, h->table, false), h->uid);
    const ModelVersion *v = r != NULL ? r->newest : NULL;
    while (v != NULL && h->strength == TXN_KEY_SHARE && !v->moved) {
        v = v->older; /* updates in place do not conflict with a key-share lock */
    }
    return v != NULL ? v->ts : 0;
}

void worker_locked(Worker *w, const StressTable *tb, uint64_t uid, TxnRowLock strength)
{
    HeldLock h = {.table = tb->ref.id.v, .uid = uid, .strength = strength};
    model_lock(&w->s->model);
    h.seen = newest_conflict(&w->s->model, &h);
    model_unlock(&w->s->model);
    if (!VEC_PUSH(&w->locks, h)) {
        stress_fail(w->s, "no memory for the model");
    }
}

/* Nobody has committed a change that one of our row locks forbids. */
static void check_locks(Worker *w)
{
    model_lock(&w->s->model);
    for (size_t i = 0; i < w->locks.n; i++) {
        const HeldLock *h = &w->locks.v[i];
        uint64_t now = newest_conflict(&w->s->model, h);
        if (now != h->seen) {
            stress_fail(w->s, "row %llu of table %llu changed at %llu under a lock of strength %u (was %llu)",
                        (unsigned long long)h->uid, (unsigned long long)h->table, (unsigned long long)now, h->strength,
                        (unsigned long long)h->seen);
        }
    }
    model_unlock(&w->s->model);
}

/* ---- the end ---- */

static void end(Worker *w)
{
    w->t = NULL;
    use_drop_all(w);
    w->log.n = w->locks.n = 0;
}

void worker_abort(Worker *w)
{
    if (w->t == NULL) {
        return;
    }
    check_locks(w);
    use_burn(w);
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        if (w->use[i].changed) {
            table_unref(w->use[i].table); /* closes what was created: its storage goes now */
            w->use[i].table = NULL;
        }
    }
    err_clear(&w->err);
    Status st = txn_abort(&w->cx, w->t);
    worker_cancel(w, false);
    count(&w->s->aborts);
    end(w);
    if (st == ST_OUT_OF_MEMORY || st == ST_DISK_FULL || is_conflict(st)) {
        stress_fail(w->s, "a rollback failed: %s %s", status_name(st), w->err.message);
    }
    if (st != ST_OK) {
        worker_judge(w, st, "rolling back");
    }
}

/* Waits like a session for its reply. */
static void acknowledge(Worker *w, Lsn gate, uint64_t ts)
{
    Stress *s = w->s;
    Status st = wal_wait(&w->cx, txn_store(s->ts), gate);
    if (st == ST_OK) {
        model_ack(&s->model, s->sink.now != NULL ? s->sink.now(s->sink.arg) : 0, ts);
    } else {
        worker_judge(w, st, "waiting for durability");
    }
}

/* What was read and is not durable must hold back the reply. */
static void check_gate(Worker *w)
{
    uint64_t durable = wal_durable(txn_store(w->s->ts)).v;
    if (w->met_lsn > durable && w->met_lsn > txn_gate(w->t).v) {
        stress_fail(w->s, "a transaction read the commit at %llu, its gate is %llu, durable is %llu",
                    (unsigned long long)w->met_lsn, (unsigned long long)txn_gate(w->t).v, (unsigned long long)durable);
    }
}

void worker_commit(Worker *w, bool wait)
{
    Stress *s = w->s;
    check_locks(w);
    check_gate(w);
    bool writes = txn_id(w->t).v != 0;
    ASSERT(writes || w->log.n == 0);
    StressCommit *c = writes ? model_commit_new(&s->model, w->log.v, w->log.n) : NULL;
    w->t->note = c;
    Status st = txn_commit_begin(&w->cx, w->t);
    if (st != ST_OK) {
        w->t->note = NULL;
        if (c != NULL) {
            model_commit_drop(&s->model, c);
        }
        worker_judge(w, st, "committing");
        worker_abort(w);
        return;
    }
    use_publish(w, c);
    Lsn gate = txn_commit_finish(&w->cx, w->t);
    count(&s->commits);
    worker_cancel(w, false);
    end(w);
    if (wait) {
        acknowledge(w, gate, c != NULL ? c->ts : w->met_ts);
    }
}

/* ---- savepoints ---- */

void worker_savepoint(Worker *w, StressSavepoint *out)
{
    txn_savepoint(w->t, &out->sp);
    out->n_log = w->log.n;
    out->n_locks = w->locks.n;
    memcpy(out->use, w->use, sizeof out->use);
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        if (out->use[i].table != NULL) {
            table_ref(out->use[i].table);
        }
    }
}

void worker_savepoint_done(StressSavepoint *sp)
{
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        table_unref(sp->use[i].table);
        sp->use[i].table = NULL;
    }
}

Status worker_rollback_to(Worker *w, const StressSavepoint *sp)
{
    check_locks(w);
    use_burn(w);
    for (unsigned i = 0; i < STRESS_TABLES_MAX; i++) {
        use_restore(w, i, sp->use[i].mode, sp->use[i].table, sp->use[i].changed);
    }
    w->log.n = sp->n_log;
    w->locks.n = sp->n_locks;
    err_clear(&w->err);
    Status st = txn_rollback_to(&w->cx, w->t, &sp->sp);
    worker_cancel(w, false);
    if (st == ST_OUT_OF_MEMORY || st == ST_DISK_FULL || is_conflict(st)) {
        stress_fail(w->s, "a rollback to a savepoint failed: %s %s", status_name(st), w->err.message);
    }
    return st;
}
