/*
 * txn/lock_mgr.c: the lock manager as a whole: creating, freeing, settings, checking.
 */
#include <string.h>

#include "txn/lock_int.h"

enum { DEADLOCK_TIMEOUT_DEFAULT_US = 1000 * 1000, POLL_DEFAULT_US = 50 * 1000 };

static void init_empty(LockManager *mgr, Budget *budget, const LockConfig *config)
{
    *mgr = (LockManager){.budget = budget, .log = config->log};
    mgr->poll_us = config->poll_us > 0 ? config->poll_us : POLL_DEFAULT_US;
    atomic_init(&mgr->next_serial, 1);
    atomic_init(&mgr->log_waits, config->log_waits);
    atomic_init(&mgr->deadlock_timeout_us,
                config->deadlock_timeout_us > 0 ? config->deadlock_timeout_us : DEADLOCK_TIMEOUT_DEFAULT_US);
    mutex_init(&mgr->graph, RANK_LOCK_GRAPH);
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        mutex_init(&mgr->partitions[i].mutex, RANK_LOCK_MANAGER);
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        mutex_init(&mgr->shards[i].mutex, RANK_LOCK_MANAGER);
    }
}

STATUS lockmgr_new(Ctx *cx, Budget *budget, const LockConfig *config, LockManager **out_mgr)
{
    LockManager *mgr = mem_alloc_aligned(budget, sizeof *mgr, LOCK_CACHE_LINE);
    if (mgr == NULL) {
        return ctx_nomem(cx, sizeof *mgr);
    }
    init_empty(mgr, budget, config);
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        Status st = lock_partition_init(mgr, &mgr->partitions[i], cx->err);
        if (st != ST_OK) {
            lockmgr_free(mgr);
            return st;
        }
    }
    *out_mgr = mgr;
    return ST_OK;
}

void lockmgr_free(LockManager *mgr)
{
    if (mgr == NULL) {
        return;
    }
    for (size_t i = 0; i < LOCK_SHARDS; i++) {
        ASSERT(mgr->shards[i].owners == NULL);
        mutex_done(&mgr->shards[i].mutex);
    }
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        lock_partition_done(mgr, &mgr->partitions[i]);
        mutex_done(&mgr->partitions[i].mutex);
    }
    mutex_done(&mgr->graph);
    mem_free(mgr->budget, mgr, sizeof *mgr);
}

/* Relaxed, here and below: settings and statistics publish nothing else. */
void lockmgr_set_deadlock_timeout(LockManager *mgr, int64_t us)
{
    ASSERT(us > 0);
    atomic_store_explicit(&mgr->deadlock_timeout_us, us, memory_order_relaxed);
}

void lockmgr_set_log_waits(LockManager *mgr, bool on)
{
    atomic_store_explicit(&mgr->log_waits, on, memory_order_relaxed);
}

LockStats lockmgr_stats(const LockManager *mgr)
{
    return (LockStats){
        .waits = atomic_load_explicit(&mgr->waits, memory_order_relaxed),
        .deadlocks = atomic_load_explicit(&mgr->deadlocks, memory_order_relaxed),
        .timeouts = atomic_load_explicit(&mgr->timeouts, memory_order_relaxed),
        .searches = atomic_load_explicit(&mgr->searches, memory_order_relaxed),
        .retracted = atomic_load_explicit(&mgr->retracted, memory_order_relaxed),
    };
}

/* ---- checking ---- */

static bool mask_fits(LockMask mask, const uint32_t *counts)
{
    for (LockMode m = LOCK_ACCESS_SHARE; m < LOCK_MODE_END; m++) {
        if (((mask & lock_mask(m)) != 0) != (counts[m] > 0)) {
            return false;
        }
    }
    return true;
}

/* L2 and L3. Quadratic in the holders only where a mode conflicts with a granted one. */
static void check_holds(const Lock *lock)
{
    uint32_t left[LOCK_MODE_END];
    memcpy(left, lock->granted, sizeof left);
    for (const LockHold *h = lock->holds; h != NULL; h = h->lock_next) {
        ASSERT(h->lock == lock && left[h->mode] > 0);
        left[h->mode]--;
        if ((lock_conflicts(h->mode) & lock->granted_mask) == 0) {
            continue;
        }
        for (const LockHold *other = h->lock_next; other != NULL; other = other->lock_next) {
            ASSERT(other->owner == h->owner || (lock_conflicts(h->mode) & lock_mask(other->mode)) == 0);
        }
    }
    for (LockMode m = LOCK_ACCESS_SHARE; m < LOCK_MODE_END; m++) {
        ASSERT(left[m] == 0);
    }
    ASSERT(mask_fits(lock->granted_mask, lock->granted));
}

static bool blocked_by_holder(const Lock *lock, const LockOwner *waiter)
{
    for (const LockHold *h = lock->holds; h != NULL; h = h->lock_next) {
        if (h->owner != waiter && (lock_conflicts(waiter->wait.mode) & lock_mask(h->mode)) != 0) {
            return true;
        }
    }
    return false;
}

/* L2 and L4. */
static void check_queue(const Lock *lock)
{
    uint32_t waiting[LOCK_MODE_END] = {0};
    LockMask ahead = 0;
    const LockOwner *prev = NULL;
    for (const LockOwner *o = lock->first; o != NULL; o = o->wait.next) {
        ASSERT(o->wait.queued && o->wait.lock == lock && o->wait.prev == prev && o->wait.hold->owner == o);
        ASSERT((lock_conflicts(o->wait.mode) & ahead) != 0 || blocked_by_holder(lock, o));
        ahead |= lock_mask(o->wait.mode);
        waiting[o->wait.mode]++;
        prev = o;
    }
    ASSERT(lock->last == prev);
    ASSERT(memcmp(waiting, lock->waiting, sizeof waiting) == 0 && mask_fits(lock->wait_mask, waiting));
}

static void check_partition(LockManager *mgr, LockPartition *p)
{
    size_t count = 0;
    mutex_lock(&p->mutex);
    for (size_t i = 0; i < p->bucket_count; i++) {
        for (const Lock *lock = p->buckets[i]; lock != NULL; lock = lock->chain) {
            ASSERT(lock->hash == lock_tag_hash(&lock->tag) && lock_partition(mgr, lock->hash) == p);
            ASSERT(lock->granted_mask != 0); /* L1; and a lock with waiters alone would have granted one (L4) */
            check_holds(lock);
            check_queue(lock);
            count++;
        }
    }
    ASSERT(count == p->lock_count);
    mutex_unlock(&p->mutex);
}

static void check_txn_bucket(LockManager *mgr, LockTxnBucket *b)
{
    LockPartition *p = lock_txn_partition(mgr, b);
    uint32_t n = 0;
    mutex_lock(&p->mutex);
    for (const LockOwner *o = b->first; o != NULL; o = o->wait.next) {
        ASSERT(o->wait.queued && lock_txn_bucket(mgr, (TxnId){o->wait.tag.field[0]}) == b);
        n++;
    }
    ASSERT(n == atomic_load_explicit(&b->waiters, memory_order_relaxed)); /* relaxed: written under the mutex */
    mutex_unlock(&p->mutex);
}

void lockmgr_check(LockManager *mgr)
{
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        check_partition(mgr, &mgr->partitions[i]);
    }
    for (size_t i = 0; i < LOCK_TXN_BUCKETS; i++) {
        check_txn_bucket(mgr, &mgr->txn_buckets[i]);
    }
}
