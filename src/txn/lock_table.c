/*
 * txn/lock_table.c: partitions: the table of locks, who holds them, who queues for them, and who may go next.
 *
 * Everything here runs under the partition's mutex and is short, but for the doubling of a table.
 *
 * L1  A lock is in its partition's table exactly while it has a hold (granted, or prepared for a waiter).
 * L2  granted[m] counts the granted holds of mode m, one per owner; granted_mask has exactly the modes above 0. The same
 *     for waiting, wait_mask and the queue.
 * L3  Two granted holds of different owners never conflict.
 * L4  Nobody in the queue could go: each conflicts with a holder other than itself or with a waiter before it.
 */
#include "base/rng.h"
#include "txn/lock_int.h"

uint64_t lock_tag_hash(const LockTag *tag)
{
    /* Odd constants keep equal fields of different places apart. */
    uint64_t h = mix64(tag->field[2] * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)tag->kind);
    h ^= tag->field[1] * UINT64_C(0xd6e8feb86659fd93);
    return mix64(h + mix64(tag->field[0]));
}

/* ---- memory ---- */

STATUS lock_partition_init(LockManager *mgr, LockPartition *p, Error *err)
{
    p->buckets = mem_alloc0(mgr->budget, LOCK_FIRST_BUCKETS * sizeof *p->buckets);
    if (p->buckets == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    p->bucket_count = LOCK_FIRST_BUCKETS;
    return ST_OK;
}

void lock_partition_done(LockManager *mgr, LockPartition *p)
{
    ASSERT(p->lock_count == 0);
    while (p->spare_locks != NULL) {
        Lock *lock = p->spare_locks;
        p->spare_locks = lock->chain;
        mem_free(mgr->budget, lock, sizeof *lock);
    }
    while (p->spare_holds != NULL) {
        LockHold *hold = p->spare_holds;
        p->spare_holds = hold->chain;
        mem_free(mgr->budget, hold, sizeof *hold);
    }
    mem_free(mgr->budget, p->buckets, p->bucket_count * sizeof *p->buckets);
}

static Lock *take_lock(LockManager *mgr, LockPartition *p)
{
    Lock *lock = p->spare_locks;
    if (lock == NULL) {
        return mem_alloc(mgr->budget, sizeof *lock);
    }
    p->spare_locks = lock->chain;
    p->spare_lock_count--;
    return lock;
}

static void give_lock(LockManager *mgr, LockPartition *p, Lock *lock)
{
    if (p->spare_lock_count == LOCK_SPARE_LOCKS) {
        mem_free(mgr->budget, lock, sizeof *lock);
        return;
    }
    lock->chain = p->spare_locks;
    p->spare_locks = lock;
    p->spare_lock_count++;
}

static LockHold *take_hold(LockManager *mgr, LockPartition *p)
{
    LockHold *hold = p->spare_holds;
    if (hold == NULL) {
        return mem_alloc(mgr->budget, sizeof *hold);
    }
    p->spare_holds = hold->chain;
    p->spare_hold_count--;
    return hold;
}

static void give_hold(LockManager *mgr, LockPartition *p, LockHold *hold)
{
    if (p->spare_hold_count == LOCK_SPARE_HOLDS) {
        mem_free(mgr->budget, hold, sizeof *hold);
        return;
    }
    hold->chain = p->spare_holds;
    p->spare_holds = hold;
    p->spare_hold_count++;
}

/* ---- the table ---- */

static Lock **bucket_of(const LockPartition *p, uint64_t hash)
{
    return &p->buckets[hash & (p->bucket_count - 1)];
}

Lock *lock_find_locked(const LockPartition *p, const LockTag *tag, uint64_t hash)
{
    Lock *lock = *bucket_of(p, hash);
    while (lock != NULL && !(lock->hash == hash && lock_tag_eq(&lock->tag, tag))) {
        lock = lock->chain;
    }
    return lock;
}

/* Without memory the table only gets slower; the next lock tries again. */
static void table_grow(LockManager *mgr, LockPartition *p)
{
    size_t count = p->bucket_count * 2;
    Lock **buckets = mem_alloc0(mgr->budget, count * sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    Lock **old = p->buckets;
    size_t old_count = p->bucket_count;
    p->buckets = buckets;
    p->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            Lock *lock = old[i];
            old[i] = lock->chain;
            lock->chain = *bucket_of(p, lock->hash);
            *bucket_of(p, lock->hash) = lock;
        }
    }
    mem_free(mgr->budget, old, old_count * sizeof *old);
}

static Lock *table_add(LockManager *mgr, LockPartition *p, const LockTag *tag, uint64_t hash)
{
    Lock *lock = take_lock(mgr, p);
    if (lock == NULL) {
        return NULL;
    }
    if (p->lock_count >= p->bucket_count) {
        table_grow(mgr, p);
    }
    *lock = (Lock){.tag = *tag, .hash = hash, .chain = *bucket_of(p, hash)};
    *bucket_of(p, hash) = lock;
    p->lock_count++;
    return lock;
}

static void table_remove_if_unused(LockManager *mgr, LockPartition *p, Lock *lock)
{
    if (lock->granted_mask != 0 || lock->wait_mask != 0) {
        return;
    }
    ASSERT(lock->holds == NULL && lock->first == NULL);
    Lock **link = bucket_of(p, lock->hash);
    while (*link != lock) {
        link = &(*link)->chain;
    }
    *link = lock->chain;
    p->lock_count--;
    give_lock(mgr, p, lock);
}

bool lock_prepare_locked(LockManager *mgr, LockOwner *owner, const LockTag *tag, uint64_t hash, LockMode mode,
                         LockHold **out_hold)
{
    LockPartition *p = lock_partition(mgr, hash);
    ASSERT_SLOW(mutex_held(&p->mutex));
    LockHold *hold = take_hold(mgr, p);
    if (hold == NULL) {
        return false;
    }
    Lock *lock = lock_find_locked(p, tag, hash);
    if (lock == NULL) {
        lock = table_add(mgr, p, tag, hash);
        if (lock == NULL) {
            give_hold(mgr, p, hold);
            return false;
        }
    }
    *hold = (LockHold){.lock = lock, .owner = owner, .mode = mode, .hash = hash};
    *out_hold = hold;
    return true;
}

void lock_drop_locked(LockManager *mgr, LockHold *hold)
{
    Lock *lock = hold->lock;
    LockPartition *p = lock_partition(mgr, lock->hash);
    give_hold(mgr, p, hold);
    table_remove_if_unused(mgr, p, lock);
}

/* ---- granting ---- */

static bool covered(LockMask own, LockMode mode)
{
    for (LockMode held = LOCK_ACCESS_SHARE; held < LOCK_MODE_END; held++) {
        if ((own & lock_mask(held)) != 0 && lock_covers(held, mode)) {
            return true;
        }
    }
    return false;
}

/* Does anybody hold what conflicts with `mode`, but for one hold of each mode in `own`, the asker's? */
static bool holders_conflict(const Lock *lock, LockMode mode, LockMask own)
{
    unsigned left = lock_conflicts(mode) & lock->granted_mask;
    for (; left != 0; left &= left - 1) {
        unsigned m = (unsigned)__builtin_ctz(left);
        if (lock->granted[m] > ((unsigned)own >> m & 1u)) {
            return true;
        }
    }
    return false;
}

/* The manner of PostgreSQL's JoinWaitQueue (storage/lmgr/proc.c). */
LockVerdict lock_decide_locked(const Lock *lock, LockMode mode, LockMask own, LockOwner **out_before)
{
    LockMask conflicts = lock_conflicts(mode);
    bool blocked = holders_conflict(lock, mode, own);
    if (!blocked && ((conflicts & lock->wait_mask) == 0 || covered(own, mode))) {
        return VERDICT_GRANT;
    }
    LockMask ahead = 0;
    LockOwner *waiter = own == 0 ? NULL : lock->first;
    for (; waiter != NULL; waiter = waiter->wait.next) {
        if ((lock_conflicts(waiter->wait.mode) & own) != 0) {
            /* He waits for me. If I wait for him too that is for ever; else I have to go first. */
            *out_before = waiter;
            if ((conflicts & waiter->wait.held) != 0) {
                return VERDICT_DEADLOCK;
            }
            return !blocked && (conflicts & ahead) == 0 ? VERDICT_GRANT : VERDICT_QUEUE;
        }
        ahead |= lock_mask(waiter->wait.mode);
    }
    *out_before = NULL;
    return VERDICT_QUEUE;
}

void lock_grant_locked(LockHold *hold)
{
    Lock *lock = hold->lock;
    hold->lock_prev = NULL;
    hold->lock_next = lock->holds;
    if (lock->holds != NULL) {
        lock->holds->lock_prev = hold;
    }
    lock->holds = hold;
    lock->granted[hold->mode]++;
    lock->granted_mask |= lock_mask(hold->mode);
}

static void unlink_hold(LockHold *hold)
{
    Lock *lock = hold->lock;
    if (hold->lock_prev == NULL) {
        ASSERT(lock->holds == hold);
        lock->holds = hold->lock_next;
    } else {
        hold->lock_prev->lock_next = hold->lock_next;
    }
    if (hold->lock_next != NULL) {
        hold->lock_next->lock_prev = hold->lock_prev;
    }
    ASSERT(lock->granted[hold->mode] > 0);
    if (--lock->granted[hold->mode] == 0) {
        lock->granted_mask &= (LockMask)~lock_mask(hold->mode);
    }
}

/* ---- the queue ---- */

/* A number that no other wait of any owner has. */
static uint64_t next_wait(LockManager *mgr)
{
    return atomic_fetch_add_explicit(&mgr->waits, 1, memory_order_relaxed) + 1; /* relaxed: only unique */
}

void lock_queue_locked(LockHold *hold, LockMask own, LockOwner *before)
{
    Lock *lock = hold->lock;
    LockOwner *owner = hold->owner;
    LockOwner *prev = before == NULL ? lock->last : before->wait.prev;
    ASSERT(!owner->wait.queued);
    owner->wait = (LockWaiter){.prev = prev,
                               .next = before,
                               .lock = lock,
                               .hold = hold,
                               .tag = lock->tag,
                               .mode = hold->mode,
                               .held = own,
                               .queued = true,
                               .seq = next_wait(owner->mgr),
                               .since_wall_us = os_wall_us()};
    *(prev == NULL ? &lock->first : &prev->wait.next) = owner;
    *(before == NULL ? &lock->last : &before->wait.prev) = owner;
    lock->waiting[hold->mode]++;
    lock->wait_mask |= lock_mask(hold->mode);
    /* Relaxed: whoever sets the bit does so under the mutex that is held here. */
    atomic_fetch_and_explicit(&owner->park, ~(uint32_t)PARK_OVER, memory_order_relaxed);
}

static void unqueue(Lock *lock, LockOwner *owner)
{
    LockWaiter *w = &owner->wait;
    ASSERT(w->queued && w->lock == lock);
    *(w->prev == NULL ? &lock->first : &w->prev->wait.next) = w->next;
    *(w->next == NULL ? &lock->last : &w->next->wait.prev) = w->prev;
    w->prev = NULL;
    w->next = NULL;
    w->queued = false;
    if (--lock->waiting[w->mode] == 0) {
        lock->wait_mask &= (LockMask)~lock_mask(w->mode);
    }
}

/* Under the mutex, so that the owner, who takes it before it goes on, finds nobody still busy with its park word. */
static void wake(LockOwner *owner)
{
    /* Release: the owner sees all that was granted with it. */
    atomic_fetch_or_explicit(&owner->park, PARK_OVER, memory_order_release);
    os_unpark(&owner->park, 1);
}

/* Is every mode that still waits in conflict with one of `ahead`? Then nobody further behind can go. */
static bool all_stuck(const Lock *lock, LockMask ahead)
{
    for (unsigned left = lock->wait_mask; left != 0; left &= left - 1) {
        if ((lock_conflicts((LockMode)__builtin_ctz(left)) & ahead) == 0) {
            return false;
        }
    }
    return true;
}

/* Grants all that can go, in the order of the queue, none past a waiter it conflicts with. Restores L4. */
static void grant_waiters(Lock *lock)
{
    LockMask ahead = 0;
    LockOwner *next = NULL;
    for (LockOwner *owner = lock->first; owner != NULL; owner = next) {
        LockWaiter *w = &owner->wait;
        next = w->next;
        if ((lock_conflicts(w->mode) & ahead) == 0 && !holders_conflict(lock, w->mode, w->held)) {
            unqueue(lock, owner);
            lock_grant_locked(w->hold);
            SYNC_POINT("lock.granted");
            wake(owner);
        } else if ((ahead & lock_mask(w->mode)) == 0) {
            ahead |= lock_mask(w->mode);
            if (all_stuck(lock, ahead)) {
                return;
            }
        }
    }
}

void lock_ungrant_locked(LockManager *mgr, LockHold *hold)
{
    Lock *lock = hold->lock;
    LockMode mode = hold->mode;
    unlink_hold(hold);
    if ((lock_conflicts(mode) & lock->wait_mask) != 0) {
        grant_waiters(lock);
    }
    lock_drop_locked(mgr, hold);
}

static bool leave_lock(LockOwner *owner)
{
    LockManager *mgr = owner->mgr;
    LockHold *hold = owner->wait.hold; /* the owner's thread set it */
    LockPartition *p = lock_partition(mgr, hold->hash);
    mutex_lock(&p->mutex);
    bool left = owner->wait.queued;
    if (left) {
        Lock *lock = hold->lock;
        unqueue(lock, owner);
        grant_waiters(lock);
        lock_drop_locked(mgr, hold);
        owner->wait.hold = NULL;
    }
    mutex_unlock(&p->mutex);
    return left;
}

/* ---- waiting for transactions ---- */

LockTxnBucket *lock_txn_bucket(LockManager *mgr, TxnId id)
{
    return &mgr->txn_buckets[mix64(id.v) % LOCK_TXN_BUCKETS];
}

LockPartition *lock_txn_partition(LockManager *mgr, const LockTxnBucket *bucket)
{
    return &mgr->partitions[(size_t)(bucket - mgr->txn_buckets) % LOCK_PARTITIONS];
}

/* seq_cst, see lock_wait_txn: the count rises before still_running is asked. */
static void txn_enqueue_locked(LockTxnBucket *b, LockOwner *owner, TxnId id)
{
    ASSERT(!owner->wait.queued);
    owner->wait = (LockWaiter){.prev = b->last,
                               .tag = lock_tag_txn(id),
                               .mode = LOCK_SHARE,
                               .queued = true,
                               .seq = next_wait(owner->mgr),
                               .since_wall_us = os_wall_us()};
    *(b->last == NULL ? &b->first : &b->last->wait.next) = owner;
    b->last = owner;
    atomic_fetch_and_explicit(&owner->park, ~(uint32_t)PARK_OVER, memory_order_relaxed); /* as above */
    atomic_fetch_add_explicit(&b->waiters, 1, memory_order_seq_cst);
}

static void txn_unqueue(LockTxnBucket *b, LockOwner *owner)
{
    LockWaiter *w = &owner->wait;
    *(w->prev == NULL ? &b->first : &w->prev->wait.next) = w->next;
    *(w->next == NULL ? &b->last : &w->next->wait.prev) = w->prev;
    w->prev = NULL;
    w->next = NULL;
    w->queued = false;
    /* Relaxed: an ender that sees the old value finds nothing under the mutex. */
    atomic_fetch_sub_explicit(&b->waiters, 1, memory_order_relaxed);
}

void lock_txn_queue(LockOwner *owner, TxnId id)
{
    LockTxnBucket *b = lock_txn_bucket(owner->mgr, id);
    LockPartition *p = lock_txn_partition(owner->mgr, b);
    mutex_lock(&p->mutex);
    txn_enqueue_locked(b, owner, id);
    mutex_unlock(&p->mutex);
}

static bool leave_txn(LockOwner *owner)
{
    LockTxnBucket *b = lock_txn_bucket(owner->mgr, (TxnId){owner->wait.tag.field[0]});
    LockPartition *p = lock_txn_partition(owner->mgr, b);
    mutex_lock(&p->mutex);
    bool left = owner->wait.queued;
    if (left) {
        txn_unqueue(b, owner);
    }
    mutex_unlock(&p->mutex);
    return left;
}

bool lock_leave(LockOwner *owner)
{
    return owner->wait.tag.kind == LOCK_KIND_TRANSACTION ? leave_txn(owner) : leave_lock(owner);
}

void lock_txn_ended(LockManager *mgr, TxnId id)
{
    LockTxnBucket *b = lock_txn_bucket(mgr, id);
    SYNC_POINT("lock.txn_ended");
    /* seq_cst: after the publication of the end, see lock_wait_txn. */
    if (LIKELY(atomic_load_explicit(&b->waiters, memory_order_seq_cst) == 0)) {
        return;
    }
    LockPartition *p = lock_txn_partition(mgr, b);
    mutex_lock(&p->mutex);
    LockOwner *next = NULL;
    for (LockOwner *owner = b->first; owner != NULL; owner = next) {
        next = owner->wait.next;
        if (owner->wait.tag.field[0] == id.v) {
            txn_unqueue(b, owner);
            wake(owner);
        }
    }
    mutex_unlock(&p->mutex);
}
