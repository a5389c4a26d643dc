/*
 * os/thread.h: threads, ranked locks, parking, sync points, clocks.
 *
 * Key idea: everything at which a thread can lose the processor to another goes through this file (and os/file.h for
 * I/O). So a test can run the whole engine under the deterministic scheduler of os/sched.h: exactly one of its threads
 * runs at a time and the next one is chosen from a seed at every lock, wait, park, sync point and I/O.
 *
 * Locks are not recursive. Timeouts are relative microseconds; negative = wait for ever. Under the deterministic
 * scheduler time is virtual: it advances when nothing can run.
 */
#ifndef RDB_OS_THREAD_H
#define RDB_OS_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/status.h"
#include "os/rank.h"

/* ---- threads ---- */

typedef struct OsThread OsThread;

/*
 * Starts a thread; `name` (at most 15 bytes) shows in debuggers. A thread started by a scheduled thread is scheduled
 * by the same scheduler. Statuses: ST_OUT_OF_MEMORY, ST_SYSTEM_ERROR.
 */
STATUS os_thread_start(const char *name, void (*fn)(void *arg), void *arg, Error *err, OsThread **out_thread);
void os_thread_join(OsThread *t); /* frees it */

/*
 * A small dense number of the calling thread, stable for its life and reused after it; for striping. Less than
 * OS_THREADS_MAX, which is also the most threads that one process may have asking for it.
 */
enum { OS_THREADS_MAX = 16384 };
unsigned os_thread_index(void);
void os_yield(void);
void os_cpu_relax(void);
/* Sleeps; returns early never. */
void os_sleep_us(int64_t us);
unsigned os_cpu_count(void);

/*
 * Stack check for recursive walks: true while at least `reserve` bytes remain on the calling thread's stack.
 * The idiom is `if (!os_stack_ok(OS_STACK_RESERVE)) return err_set(err, ST_STATEMENT_TOO_COMPLEX, NULL);`.
 */
enum { OS_STACK_RESERVE = 64 * 1024 };
bool os_stack_ok(size_t reserve);

/* ---- clocks and entropy ---- */

int64_t os_monotonic_us(void); /* virtual under the deterministic scheduler */
int64_t os_wall_us(void);      /* microseconds since 1970; virtual under the deterministic scheduler */
void os_random_bytes(void *p, size_t len); /* from the kernel; seeded under the deterministic scheduler */

/* ---- locks ---- */

typedef struct Mutex {
    pthread_mutex_t m;
    LockRank rank;
} Mutex;

void mutex_init(Mutex *m, LockRank rank);
void mutex_done(Mutex *m);
void mutex_lock(Mutex *m);
MUST_CHECK bool mutex_try_lock(Mutex *m);
void mutex_unlock(Mutex *m);
bool mutex_held(const Mutex *m); /* by the calling thread; debug builds only, true in release */

/*
 * For locks built elsewhere, on os_park, such as page latches: take part in the check of lock ranks (debug builds;
 * nothing in release). Several of RANK_LATCH may be held together.
 */
void rank_enter(const void *lock, LockRank rank);
void rank_leave(const void *lock);

typedef struct Cond {
    pthread_cond_t c; /* on CLOCK_MONOTONIC */
} Cond;

void cond_init(Cond *c);
void cond_done(Cond *c);
void cond_wait(Cond *c, Mutex *m);
/* false = timed out. Spurious wake-ups are possible: test the predicate in a loop. */
bool cond_wait_for(Cond *c, Mutex *m, int64_t timeout_us);
void cond_signal(Cond *c);
void cond_broadcast(Cond *c);

/* A lock of one word for very short critical sections (no call-out, no allocation, no I/O inside). */
typedef struct SpinLock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held with sleepers */
    LockRank rank;
} SpinLock;

void spin_init(SpinLock *s, LockRank rank);
void spin_lock(SpinLock *s); /* spins briefly, then parks */
void spin_unlock(SpinLock *s);

/*
 * Parking on a word, as futex(2): sleeps while *word == expected, until os_unpark, the timeout, or spuriously.
 * Memory that may be unparked must outlive the call (unparking a freed word is harmless to the kernel, not to TSan).
 */
void os_park(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_us);
void os_unpark(_Atomic uint32_t *word, unsigned count); /* UINT_MAX = all */

/* ---- sync points ---- */

/*
 * A named place where the order of threads matters. Normally one load and a branch. Under the deterministic scheduler
 * the thread may be switched there; a test may hang a hook on a name to force an interleaving:
 *     sync_hook_set("btree.split.before_parent", fn, arg)
 * Hooks belong to a SyncHooks object that a thread enters (and hands down to the threads it starts).
 */
#define SYNC_POINT(name)                                                                                               \
    do {                                                                                                               \
        if (UNLIKELY(os_sync_armed())) {                                                                               \
            os_sync_point(name);                                                                                       \
        }                                                                                                              \
    } while (0)

typedef struct SyncHooks SyncHooks;
extern _Thread_local bool os_sync_armed_here;
static inline bool os_sync_armed(void) { return os_sync_armed_here; }
void os_sync_point(const char *name);

SyncHooks *sync_hooks_new(void);
void sync_hooks_free(SyncHooks *h);
void sync_hooks_set(SyncHooks *h, const char *name, void (*fn)(void *arg), void *arg); /* NULL fn removes */
void sync_hooks_enter(SyncHooks *h); /* for the calling thread and threads it starts; NULL leaves */

/* ---- epochs: memory that readers may still be looking at ---- */

/*
 * Epoch-based reclamation (Fraser 2004). A reader brackets its look with epoch_enter/epoch_leave (no lock, no shared
 * write but to its own line; may nest); epoch_retire frees after every reader that was inside has left. A thread
 * must not block for long inside. One Epoch per engine.
 */
typedef struct Epoch Epoch;
STATUS epoch_new(Budget *budget, Error *err, Epoch **out_epoch);
void epoch_free(Epoch *e); /* runs all retirements; no reader may be inside */
void epoch_enter(Epoch *e);
void epoch_leave(Epoch *e);
/* `fn(arg, p)` runs later on some thread that calls epoch_retire or epoch_poll. Never fails (intrusive node). */
typedef struct EpochNode {
    struct EpochNode *next;
    void (*fn)(void *arg, struct EpochNode *node);
    void *arg;
    uint64_t epoch;
} EpochNode;
void epoch_retire(Epoch *e, EpochNode *node, void (*fn)(void *arg, EpochNode *node), void *arg);
void epoch_poll(Epoch *e); /* frees what can be freed now */

#endif
