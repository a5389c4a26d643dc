/*
 * txn/lock_view.c: what pg_locks and pg_blocking_pids show. Everything is copied under one mutex at a time and handed
 * out with none held, so a callback may allocate, lock and fail as it likes.
 */
#include "base/map.h"
#include "txn/lock_int.h"

typedef VEC(LockInfo) InfoVec;

static TxnId txn_of(const LockOwner *o)
{
    return (TxnId){atomic_load_explicit(&o->txn, memory_order_relaxed)}; /* relaxed: a moment's value */
}

static LockInfo hold_info(const LockHold *h)
{
    return (LockInfo){.tag = h->lock->tag,
                      .mode = h->mode,
                      .granted = true,
                      .pid = h->owner->pid,
                      .owner_serial = h->owner->serial,
                      .txn = txn_of(h->owner)};
}

static LockInfo wait_info(const LockOwner *o)
{
    return (LockInfo){.tag = o->wait.tag,
                      .mode = o->wait.mode,
                      .pid = o->pid,
                      .owner_serial = o->serial,
                      .txn = txn_of(o),
                      .since_wall_us = o->wait.since_wall_us};
}

static LockInfo txn_info(const LockOwner *o)
{
    return (LockInfo){.tag = lock_tag_txn(txn_of(o)),
                      .mode = LOCK_EXCLUSIVE,
                      .granted = true,
                      .pid = o->pid,
                      .owner_serial = o->serial,
                      .txn = txn_of(o)};
}

static bool copy_lock(const Lock *lock, InfoVec *infos)
{
    for (const LockHold *h = lock->holds; h != NULL; h = h->lock_next) {
        if (!VEC_PUSH(infos, hold_info(h))) {
            return false;
        }
    }
    for (const LockOwner *o = lock->first; o != NULL; o = o->wait.next) {
        if (!VEC_PUSH(infos, wait_info(o))) {
            return false;
        }
    }
    return true;
}

static bool copy_partition(LockPartition *p, InfoVec *infos)
{
    bool ok = true;
    mutex_lock(&p->mutex);
    for (size_t i = 0; i < p->bucket_count && ok; i++) {
        for (const Lock *lock = p->buckets[i]; lock != NULL && ok; lock = lock->chain) {
            ok = copy_lock(lock, infos);
        }
    }
    mutex_unlock(&p->mutex);
    return ok;
}

static bool copy_txn_waiters(LockManager *mgr, LockTxnBucket *b, InfoVec *infos)
{
    LockPartition *p = lock_txn_partition(mgr, b);
    bool ok = true;
    mutex_lock(&p->mutex);
    for (const LockOwner *o = b->first; o != NULL && ok; o = o->wait.next) {
        ok = VEC_PUSH(infos, wait_info(o));
    }
    mutex_unlock(&p->mutex);
    return ok;
}

static bool copy_txns(LockShard *s, InfoVec *infos)
{
    bool ok = true;
    mutex_lock(&s->mutex);
    for (const LockOwner *o = s->owners; o != NULL && ok; o = o->registry_next) {
        ok = txn_of(o).v == 0 || VEC_PUSH(infos, txn_info(o));
    }
    mutex_unlock(&s->mutex);
    return ok;
}

static bool copy_all(LockManager *mgr, InfoVec *infos)
{
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        if (!copy_partition(&mgr->partitions[i], infos)) {
            return false;
        }
    }
    for (size_t i = 0; i < LOCK_TXN_BUCKETS; i++) {
        LockTxnBucket *b = &mgr->txn_buckets[i];
        /* Relaxed: a waiter that is just coming may be missed. */
        if (atomic_load_explicit(&b->waiters, memory_order_relaxed) > 0 && !copy_txn_waiters(mgr, b, infos)) {
            return false;
        }
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        if (!copy_txns(&mgr->shards[i], infos)) {
            return false;
        }
    }
    return true;
}

STATUS lock_each(Ctx *cx, LockManager *mgr, void (*fn)(void *arg, const LockInfo *info), void *arg)
{
    InfoVec infos = {.budget = cx->budget};
    Status st = ST_OK;
    if (copy_all(mgr, &infos)) {
        for (size_t i = 0; i < infos.n; i++) {
            fn(arg, &infos.v[i]);
        }
    } else {
        st = ctx_nomem(cx, (infos.n + 1) * sizeof *infos.v);
    }
    VEC_DONE(&infos);
    return st;
}

/* ---- who blocks whom ---- */

typedef VEC(int32_t) PidVec;

typedef struct Wanted {
    PidVec pids;
    bool failed;
} Wanted;

static void add_pid(void *arg, const LockOwner *waiter, const LockOwner *blocker, bool queued)
{
    Wanted *w = arg;
    (void)waiter;
    (void)queued;
    w->failed |= !VEC_PUSH(&w->pids, blocker->pid);
}

/* Copies the wait of one owner of that pid: *out_waiter is not to be followed. */
static bool find_wait(LockManager *mgr, int32_t pid, const LockOwner **out_waiter, LockWaitNote *out_note)
{
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        LockShard *s = &mgr->shards[i];
        mutex_lock(&s->mutex);
        const LockOwner *o = s->waiting;
        while (o != NULL && o->pid != pid) {
            o = o->note.next;
        }
        if (o != NULL) {
            *out_waiter = o;
            *out_note = o->note;
        }
        mutex_unlock(&s->mutex);
        if (o != NULL) {
            return true;
        }
    }
    return false;
}

static void add_runner(LockManager *mgr, uint64_t txn, Wanted *w)
{
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        LockShard *s = &mgr->shards[i];
        mutex_lock(&s->mutex);
        for (const LockOwner *o = s->owners; o != NULL; o = o->registry_next) {
            if (txn_of(o).v == txn) {
                w->failed |= !VEC_PUSH(&w->pids, o->pid);
            }
        }
        mutex_unlock(&s->mutex);
    }
}

STATUS lock_blockers(Ctx *cx, LockManager *mgr, int32_t pid, void (*fn)(void *arg, int32_t blocker_pid), void *arg)
{
    const LockOwner *waiter;
    LockWaitNote note;
    Wanted w = {.pids = {.budget = cx->budget}};
    Status st = ST_OK;
    if (!find_wait(mgr, pid, &waiter, &note)) {
        return ST_OK;
    }
    if (note.tag.kind == LOCK_KIND_TRANSACTION) {
        add_runner(mgr, note.tag.field[0], &w);
    } else {
        lock_each_blocker(mgr, waiter, note.seq, &note.tag, add_pid, &w);
    }
    if (w.failed) {
        st = ctx_nomem(cx, (w.pids.n + 1) * sizeof *w.pids.v);
    } else {
        for (size_t i = 0; i < w.pids.n; i++) {
            fn(arg, w.pids.v[i]);
        }
    }
    VEC_DONE(&w.pids);
    return st;
}
