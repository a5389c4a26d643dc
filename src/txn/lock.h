/*
 * txn/lock.h: the lock manager: who holds which lock, who waits for whom, and who has to give way.
 *
 * Key idea: a lock exists only while somebody holds it or waits for it. Locks live in the hash tables of 64 partitions,
 * each under a mutex of its own; a waiter queues at its lock and sleeps on a word of its own. Deadlocks are not
 * prevented, they are looked for by whoever has waited for deadlock_timeout. That a transaction runs is a lock nobody
 * takes: one waits for its end with lock_wait_txn, so that a transaction without waiters costs nothing here. The
 * manner is PostgreSQL's (src/backend/storage/lmgr/README): modes, conflicts, order of queues, texts. LOCKS.md beside
 * this file has the invariants, the protocol of sleeping and waking and the proof that a deadlock found is one.
 *
 * Scopes: a lock is held by the transaction (given up by lock_release_since or lock_release_all) or by the session
 * (pg_advisory_lock; given up by lock_release_session, lock_release_session_all or lock_owner_done), or both. Locks of
 * one owner never conflict with each other.
 *
 * Threads: a LockOwner belongs to one thread at a time, which makes all calls with it, but for lock_owner_wake.
 * Ranks: what may sleep is called with no lock and no latch held, all else with locks up to RANK_PURGE held at most.
 *
 * What it does not do: it does not rearrange queues to resolve a deadlock that runs through the order of a queue (the
 * victim's retry does); it does not know row versions, names or privileges.
 */
#ifndef RDB_TXN_LOCK_H
#define RDB_TXN_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"

/* ---- what is locked, and how ---- */

typedef enum LockKind {
    LOCK_KIND_TABLE = 1,   /* database, table */
    LOCK_KIND_ROW,         /* database, table, TID */
    LOCK_KIND_TRANSACTION, /* transaction id; only lock_wait_txn waits here, nobody acquires it */
    LOCK_KIND_OBJECT,      /* database, catalog, object: any other thing of the catalog */
    LOCK_KIND_ADVISORY,    /* database, key, 1 = one key of 64 bits, 2 = two keys of 32 bits */
} LockKind;

typedef struct LockTag {
    LockKind kind;
    uint64_t field[3]; /* as said at the kind; unused ones are 0 */
} LockTag;

static inline LockTag lock_tag_table(uint64_t database, uint64_t table)
{
    return (LockTag){LOCK_KIND_TABLE, {database, table, 0}};
}
static inline LockTag lock_tag_row(uint64_t database, uint64_t table, Tid tid)
{
    return (LockTag){LOCK_KIND_ROW, {database, table, tid.v}};
}
static inline LockTag lock_tag_txn(TxnId id)
{
    return (LockTag){LOCK_KIND_TRANSACTION, {id.v, 0, 0}};
}
static inline LockTag lock_tag_object(uint64_t database, uint64_t catalog, uint64_t object)
{
    return (LockTag){LOCK_KIND_OBJECT, {database, catalog, object}};
}
static inline LockTag lock_tag_advisory(uint64_t database, uint64_t key)
{
    return (LockTag){LOCK_KIND_ADVISORY, {database, key, 1}};
}
static inline LockTag lock_tag_advisory_pair(uint64_t database, uint32_t key1, uint32_t key2)
{
    return (LockTag){LOCK_KIND_ADVISORY, {database, (uint64_t)key1 << 32 | key2, 2}};
}

/* PostgreSQL's table modes, by its numbers. Rows and advisory locks use SHARE and EXCLUSIVE of the same table. */
typedef enum LockMode {
    LOCK_ACCESS_SHARE = 1,
    LOCK_ROW_SHARE,
    LOCK_ROW_EXCLUSIVE,
    LOCK_SHARE_UPDATE_EXCLUSIVE,
    LOCK_SHARE,
    LOCK_SHARE_ROW_EXCLUSIVE,
    LOCK_EXCLUSIVE,
    LOCK_ACCESS_EXCLUSIVE,
    LOCK_MODE_END, /* one past the last */
} LockMode;

typedef uint16_t LockMask; /* a set of modes: bit 1 << mode */

static inline LockMask lock_mask(LockMode mode)
{
    return (LockMask)(1u << mode);
}
LockMask lock_conflicts(LockMode mode); /* the modes that another owner may not hold meanwhile */
/* Does holding `held` make asking for `wanted` pointless: does it exclude at least as much? */
static inline bool lock_covers(LockMode held, LockMode wanted)
{
    return (lock_conflicts(wanted) & ~lock_conflicts(held)) == 0;
}
const char *lock_mode_name(LockMode mode); /* "AccessShareLock", as pg_locks shows it */
const char *lock_kind_name(LockKind kind); /* "relation", "tuple", ...: pg_locks.locktype */
/* "relation 5 of database 1"; always zero-terminated, cut to `bytes`. Returns buf. */
enum { LOCK_TAG_TEXT_BYTES = 128 };
const char *lock_tag_text(const LockTag *tag, char *buf, size_t bytes);

/* ---- the manager ---- */

typedef struct LockManager LockManager;

typedef struct LockConfig {
    Log *log;                    /* NULL = nothing is logged */
    int64_t deadlock_timeout_us; /* a waiter looks for deadlocks after this long; 0 = 1 s */
    int64_t poll_us;             /* a waiter looks for interrupts at least this often; 0 = 50 ms */
    bool log_waits;              /* log waits that last longer than the deadlock timeout */
} LockConfig;

/* All memory of locks is charged to `budget`, that of a search for deadlocks to cx->budget. 53200. */
STATUS lockmgr_new(Ctx *cx, Budget *budget, const LockConfig *config, LockManager **out_mgr);
void lockmgr_free(LockManager *mgr); /* no owner may exist any more */
/* May be changed at any time; waits that have begun keep the old value. */
void lockmgr_set_deadlock_timeout(LockManager *mgr, int64_t us);
void lockmgr_set_log_waits(LockManager *mgr, bool on);
/* Walks everything and asserts the invariants; takes one partition at a time, may run beside anything. */
void lockmgr_check(LockManager *mgr);

typedef struct LockStats {
    uint64_t waits;     /* acquisitions and lock_wait_txn that had to queue */
    uint64_t deadlocks; /* victims */
    uint64_t timeouts;  /* 55P03 after waiting */
    uint64_t searches;  /* for deadlocks */
    uint64_t retracted; /* searches whose cycle fell apart before it was confirmed */
} LockStats;
LockStats lockmgr_stats(const LockManager *mgr);

/* ---- owners ---- */

typedef struct Lock Lock;
typedef struct LockHold LockHold;
typedef struct LockOwner LockOwner;
typedef enum LockScope { LOCK_SCOPE_TXN, LOCK_SCOPE_SESSION, LOCK_SCOPES } LockScope;

typedef struct LockHoldList {
    LockHold *oldest;
    LockHold *newest;
} LockHoldList;

/* What an owner waits for. Guarded by the partition of `tag`; read by its owner while it is not queued. */
typedef struct LockWaiter {
    LockOwner *prev; /* in the queue, towards its head */
    LockOwner *next;
    Lock *lock;     /* NULL = a transaction's end, or nothing */
    LockHold *hold; /* becomes the granted one, so that granting cannot fail */
    LockTag tag;
    LockMode mode;
    LockMask held; /* modes that the waiter holds on `lock` already */
    bool queued;
    uint64_t seq; /* names the wait: no other one of any owner has it */
    int64_t since_wall_us;
} LockWaiter;

/* The copy of the wait that the search for deadlocks starts from. Guarded by the owner's shard of the registry. */
typedef struct LockWaitNote {
    LockOwner *prev;
    LockOwner *next;
    bool listed;
    LockTag tag;
    LockMode mode;
    uint64_t seq;
    uint64_t txn;
} LockWaitNote;

enum { LOCK_OWNER_BUCKETS = 16 };

/* Embedded in the caller's transaction or session; all fields are private to lock*.c. */
struct LockOwner {
    LockManager *mgr;
    uint64_t serial; /* never the same for two owners of a manager */
    int32_t pid;
    _Atomic uint64_t txn; /* 0 = none; written by the owner's thread, read by anybody */

    /* The owner's thread alone: what it holds, by tag and in the order of acquisition. */
    LockHold **buckets;
    size_t bucket_count; /* power of two */
    size_t hold_count;
    LockHold *first_buckets[LOCK_OWNER_BUCKETS];
    LockHoldList holds[LOCK_SCOPES];
    uint64_t acquired; /* counts first acquisitions in transaction scope; lock_mark reads it */

    _Atomic uint32_t park; /* bit 0: the wait is over; the others count calls of lock_owner_wake */
    LockWaiter wait;

    /* The registry: the shard's mutex. */
    unsigned shard;
    LockOwner *registry_prev;
    LockOwner *registry_next;
    LockWaitNote note;

    /* The search for deadlocks: whoever holds its mutex. */
    uint64_t graph_pass;
    size_t graph_node;
};

/* `pid` is what messages, pg_locks and pg_blocking_pids call the owner. Never fails, allocates nothing. */
void lock_owner_init(LockOwner *owner, LockManager *mgr, int32_t pid);
/* Gives up everything still held, in both scopes. The owner must not be waiting. A zeroed owner is allowed. */
void lock_owner_done(LockOwner *owner);
/*
 * The transaction that the owner runs, TXN_NONE for none. To be set before others can meet the id, and cleared after
 * lock_txn_ended. So the search for deadlocks knows whom a waiter for `id` waits for.
 */
void lock_owner_set_txn(LockOwner *owner, TxnId id);
/*
 * From any thread: makes the owner, if it waits, look at its interrupts now instead of at its next poll. To be called
 * after setting the interrupt bits. The owner must not be done meanwhile.
 */
void lock_owner_wake(LockOwner *owner);

/* ---- acquiring and releasing ---- */

typedef enum LockWait {
    LOCK_WAIT,   /* sleep until granted */
    LOCK_NOWAIT, /* 55P03 "could not obtain lock on ..." */
    LOCK_TRY,    /* ST_WOULD_BLOCK, no error is recorded */
} LockWait;

/*
 * Acquires `tag` in `mode`. Counted: each acquisition needs its release, or one of those that release all. A mode that
 * the owner holds is granted again without a lock or an allocation, a mode that it covers without waiting. Otherwise
 * requests are granted in the order of arrival: a newcomer waits behind a waiter it conflicts with even if the holders
 * would let it pass, unless that waiter waits for a lock of the newcomer (they would wait for each other for ever).
 *
 * timeout_us: of the sleep; negative = none. On failure everything is as it was before. Statuses:
 * ST_LOCK_NOT_AVAILABLE (NOWAIT; "canceling statement due to lock timeout"), ST_WOULD_BLOCK, ST_DEADLOCK_DETECTED (with
 * PostgreSQL's detail and hint), ST_OUT_OF_MEMORY, those of ctx_interrupted.
 */
STATUS lock_acquire(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, LockWait wait, int64_t timeout_us);
STATUS lock_acquire_session(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, LockWait wait,
                            int64_t timeout_us);

/* Takes back one acquisition in its scope; false = there was none. */
bool lock_release(LockOwner *owner, const LockTag *tag, LockMode mode);
bool lock_release_session(LockOwner *owner, const LockTag *tag, LockMode mode);
void lock_release_all(LockOwner *owner);         /* of the transaction */
void lock_release_session_all(LockOwner *owner); /* of the session */

/*
 * Savepoints: lock_release_since gives up what the transaction has acquired since the mark, but for modes that it held
 * before the mark: of those all acquisitions stay counted (they end with the transaction at the latest). Marks nest and
 * stay good until the transaction ends.
 */
typedef struct LockMark {
    uint64_t acquired;
} LockMark;
LockMark lock_mark(const LockOwner *owner);
void lock_release_since(LockOwner *owner, LockMark mark);

/* Does the owner hold `tag` in a mode that covers `mode`? For asserts and for deciding whether to acquire. */
bool lock_held(const LockOwner *owner, const LockTag *tag, LockMode mode);

/*
 * PREPARE TRANSACTION: all that the transaction holds goes over to another owner, which holds nothing yet, without being
 * free in between. ST_FEATURE_NOT_SUPPORTED, nothing changed: the session holds one of them too.
 */
STATUS lock_transfer(Ctx *cx, LockOwner *from, LockOwner *to);

/* ---- the end of transactions ---- */

/*
 * Sleeps until transaction `id` has ended: returns ST_OK at once if still_running(arg) is false, else after
 * lock_txn_ended(mgr, id). still_running is called once or twice, with no lock held. Statuses as lock_acquire, but never
 * out of memory.
 *
 * Who ends a transaction first publishes its end where still_running looks, then calls lock_txn_ended. Both by
 * sequentially consistent operations, or still_running and the publication under one mutex: then either the waiter sees
 * the end or the ender sees the waiter.
 */
STATUS lock_wait_txn(Ctx *cx, LockOwner *owner, TxnId id, bool (*still_running)(void *arg), void *arg,
                     int64_t timeout_us);
/* Wakes those who wait for the end of `id`. One load when nobody does. */
void lock_txn_ended(LockManager *mgr, TxnId id);

/* ---- looking at it ---- */

typedef struct LockInfo {
    LockTag tag;
    LockMode mode;
    bool granted;
    int32_t pid;
    uint64_t owner_serial;
    TxnId txn;             /* of the owner; TXN_NONE = none */
    int64_t since_wall_us; /* of a wait: when it began; of a granted lock 0 */
} LockInfo;

/*
 * Calls fn for every granted lock, every waiter and every running transaction (as an exclusive lock on itself, like
 * PostgreSQL), with copies and no lock held. Consistent per partition. 53200 before the first call for a partition.
 */
STATUS lock_each(Ctx *cx, LockManager *mgr, void (*fn)(void *arg, const LockInfo *info), void *arg);

/*
 * pg_blocking_pids: calls fn with the pid of every owner that blocks the one of `pid`, by what it holds or by waiting
 * before it for something conflicting; a pid may come more than once. No lock is held in fn.
 */
STATUS lock_blockers(Ctx *cx, LockManager *mgr, int32_t pid, void (*fn)(void *arg, int32_t blocker_pid), void *arg);

#endif
