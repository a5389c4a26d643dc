/*
 * txn/lock_int.h: what the files of the lock manager share. Invariants L1..L8 are in LOCKS.md; lockmgr_check asserts
 * those that can be seen from outside.
 *
 *   lock_mode.c    modes, conflicts, names
 *   lock_mgr.c     the manager: creating, freeing, checking
 *   lock_table.c   partitions: locks, holds, queues, granting
 *   lock_owner.c   owners: registry, what they hold
 *   lock.c         acquiring and releasing
 *   lock_wait.c    sleeping until granted, or until a transaction has ended
 *   lock_graph.c   the search for deadlocks
 *   lock_view.c    pg_locks and pg_blocking_pids
 */
#ifndef RDB_TXN_LOCK_INT_H
#define RDB_TXN_LOCK_INT_H

#include "os/thread.h"
#include "txn/lock.h"

enum {
    LOCK_PARTITIONS = 64, /* the top bits of a tag's hash */
    LOCK_PARTITION_SHIFT = 58,
    LOCK_SHARDS = 32,        /* of the registry of owners */
    LOCK_TXN_BUCKETS = 1024, /* waiters for the end of transactions, by id */
    LOCK_SPARE_LOCKS = 32,   /* free ones that a partition keeps */
    LOCK_SPARE_HOLDS = 64,
    LOCK_FIRST_BUCKETS = 16,
    LOCK_CACHE_LINE = 64,
};

/* Bits of LockOwner.park. */
enum { PARK_OVER = 1, PARK_POKE = 2 };

/*
 * One owner's hold of one lock in one mode. From its partition's memory, also while its owner still waits for it.
 * Guarded by the partition: owner, lock, mode (constant while granted), the links in the lock's list. The owner's
 * thread alone: the rest.
 */
struct LockHold {
    Lock *lock;
    LockOwner *owner;
    LockMode mode;
    LockHold *lock_prev;
    LockHold *lock_next;

    uint64_t hash;
    LockHold *chain;              /* in the owner's table */
    uint64_t counts[LOCK_SCOPES]; /* acquisitions; listed in a scope while above 0 */
    uint64_t acquired;            /* LockOwner.acquired when the transaction scope got it */
    struct {
        LockHold *prev;
        LockHold *next;
    } scope[LOCK_SCOPES];
};

/* A lock that somebody holds or waits for. Guarded by its partition; tag and hash are constant while it exists. */
struct Lock {
    LockTag tag;
    uint64_t hash;
    Lock *chain;
    LockHold *holds;
    LockOwner *first; /* the queue of waiters, in the order in which they may go */
    LockOwner *last;
    LockMask granted_mask; /* modes with granted[mode] > 0 */
    LockMask wait_mask;
    uint32_t granted[LOCK_MODE_END]; /* holds by mode */
    uint32_t waiting[LOCK_MODE_END];
};

typedef struct LockPartition {
    _Alignas(LOCK_CACHE_LINE) Mutex mutex; /* RANK_LOCK_MANAGER; guards all below and what hangs from it */
    Lock **buckets;
    size_t bucket_count; /* power of two */
    size_t lock_count;
    Lock *spare_locks;     /* by chain */
    LockHold *spare_holds; /* by chain */
    unsigned spare_lock_count;
    unsigned spare_hold_count;
} LockPartition;

/* Those who wait for transactions of one hash value. Guarded by a partition's mutex, see txn_partition. */
typedef struct LockTxnBucket {
    _Atomic uint32_t waiters; /* length of the list; written under the mutex, read by enders without */
    LockOwner *first;
    LockOwner *last;
} LockTxnBucket;

/* A part of the registry of owners. */
typedef struct LockShard {
    _Alignas(LOCK_CACHE_LINE) Mutex mutex; /* RANK_LOCK_MANAGER; never together with a partition's */
    LockOwner *owners;
    LockOwner *waiting; /* by LockOwner.note */
} LockShard;

struct LockManager {
    Budget *budget;
    Log *log;
    _Atomic int64_t deadlock_timeout_us;
    _Atomic bool log_waits;
    int64_t poll_us;
    _Atomic uint64_t next_serial;
    _Atomic uint64_t waits;                                    /* so far; numbers them too */
    _Atomic uint64_t deadlocks, timeouts, searches, retracted; /* LockStats */
    Mutex graph;                                               /* RANK_LOCK_GRAPH: one search at a time */
    uint64_t graph_pass;                                       /* guarded by graph */
    LockPartition partitions[LOCK_PARTITIONS];
    LockShard shards[LOCK_SHARDS];
    LockTxnBucket txn_buckets[LOCK_TXN_BUCKETS];
};

static inline void lock_count_event(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* relaxed: statistics */
}

static inline bool lock_tag_eq(const LockTag *a, const LockTag *b)
{
    return a->kind == b->kind && a->field[0] == b->field[0] && a->field[1] == b->field[1] && a->field[2] == b->field[2];
}

/* ---- lock_table.c; `_locked`: the caller holds the partition ---- */

uint64_t lock_tag_hash(const LockTag *tag);
static inline LockPartition *lock_partition(LockManager *mgr, uint64_t hash)
{
    return &mgr->partitions[hash >> LOCK_PARTITION_SHIFT];
}
STATUS lock_partition_init(LockManager *mgr, LockPartition *p, Error *err);
void lock_partition_done(LockManager *mgr, LockPartition *p);

Lock *lock_find_locked(const LockPartition *p, const LockTag *tag, uint64_t hash);
/*
 * The lock, made if need be, and a hold of it for `owner` that is not yet granted. false = no memory, nothing changed.
 * Whoever does not grant or queue the hold gives both back with lock_drop_locked.
 */
MUST_CHECK bool lock_prepare_locked(LockManager *mgr, LockOwner *owner, const LockTag *tag, uint64_t hash,
                                    LockMode mode, LockHold **out_hold);
/* Frees a hold that is neither granted nor queued, and its lock if nobody else needs it. */
void lock_drop_locked(LockManager *mgr, LockHold *hold);
void lock_grant_locked(LockHold *hold);
/* Takes a granted hold back, frees it and lets waiters go. */
void lock_ungrant_locked(LockManager *mgr, LockHold *hold);

typedef enum LockVerdict { VERDICT_GRANT, VERDICT_QUEUE, VERDICT_DEADLOCK } LockVerdict;
/*
 * What becomes of a request of somebody who holds the modes `own` of the lock. *out_before: QUEUE: the waiter to queue
 * before (NULL = at the end); DEADLOCK: the waiter that waits for the caller and that the caller would wait for.
 */
LockVerdict lock_decide_locked(const Lock *lock, LockMode mode, LockMask own, LockOwner **out_before);
/* Queues the hold's owner; fills its LockWaiter and clears its park word. */
void lock_queue_locked(LockHold *hold, LockMask own, LockOwner *before);
/*
 * Ends the wait of `owner`, if it is still queued: true = it has left the queue with nothing (its hold is freed, those
 * behind it may go); false = the wait was over before. Takes the mutex itself. After it nobody wakes this wait any more.
 */
bool lock_leave(LockOwner *owner);

/* Queues the owner for the end of the transaction. */
void lock_txn_queue(LockOwner *owner, TxnId id);
LockTxnBucket *lock_txn_bucket(LockManager *mgr, TxnId id);
LockPartition *lock_txn_partition(LockManager *mgr, const LockTxnBucket *bucket);

/* ---- lock_owner.c: the owner's thread ---- */

/* The hold of exactly that mode or NULL; *out_own: all modes that the owner holds of the lock. */
LockHold *lock_owner_find(const LockOwner *owner, const LockTag *tag, uint64_t hash, LockMode mode, LockMask *out_own);
void lock_owner_add(LockOwner *owner, LockHold *hold); /* a granted hold; cannot fail */
void lock_owner_remove(LockOwner *owner, LockHold *hold);
void lock_owner_count(LockOwner *owner, LockHold *hold, LockScope scope); /* one acquisition more */
void lock_owner_uncount(LockOwner *owner, LockHold *hold, LockScope scope, uint64_t n);
/* Puts the wait into the registry, for the search for deadlocks and for lock_blockers; and takes it out. */
void lock_note_wait(LockOwner *owner);
void lock_unnote_wait(LockOwner *owner);

/* ---- lock_wait.c ---- */

/*
 * Sleeps until the wait that the owner is queued for is over. Not ST_OK: the owner has left the queue and holds nothing
 * of it.
 */
STATUS lock_sleep(Ctx *cx, LockOwner *owner, int64_t timeout_us);

/* ---- lock_graph.c ---- */

/* One line of a deadlock's description. */
typedef struct LockEdge {
    int32_t pid;
    int32_t blocker_pid;
    LockMode mode;
    LockTag tag;
} LockEdge;
Status lock_deadlock_error(Ctx *cx, LockManager *mgr, const LockEdge *edges, size_t n);
/*
 * Looks for a cycle through the waiting owner. ST_DEADLOCK_DETECTED: there was one, the owner has left its queue and
 * the error is set. ST_OK: go on waiting (or the wait is over); *out_again: nothing can be said, search once more later.
 */
STATUS lock_search(Ctx *cx, LockOwner *self, bool *out_again);
/*
 * Calls fn, under the partition, for every owner that blocks the wait (`waiter`, `seq`) for `tag`: as a holder, or queued
 * before it. false = that wait is over. Not for waits for transactions.
 */
bool lock_each_blocker(LockManager *mgr, const LockOwner *waiter, uint64_t seq, const LockTag *tag,
                       void (*fn)(void *arg, const LockOwner *waiter, const LockOwner *blocker, bool queued),
                       void *arg);

#endif
