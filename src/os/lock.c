/*
 * os/lock.c: mutexes, condition variables, spin locks, parking, and the check of lock ranks.
 *
 * Rank check (RDB_SLOW_CHECKS): each thread lists the locks it holds; taking one whose rank is not greater than all of
 * theirs aborts, whether or not the other order ever runs. A try-lock cannot deadlock and is only listed.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_int.h"

#ifdef RDB_SLOW_CHECKS

enum { HELD_MAX = 128 };

typedef struct Held {
    const void *lock;
    LockRank rank;
} Held;

/* Thread-local by its meaning: what the calling thread holds. */
static _Thread_local Held held[HELD_MAX];
static _Thread_local unsigned held_count;

static void check_rank(const void *lock, LockRank rank)
{
    for (unsigned i = 0; i < held_count; i++) {
        ASSERT(held[i].lock != lock);                                    /* not recursive */
        bool latches = rank == RANK_LATCH && held[i].rank == RANK_LATCH; /* ordered by storage */
        if (rank != RANK_NONE && held[i].rank >= rank && !latches) {
            fprintf(stderr, "lock of rank %d is taken while one of rank %d is held (os/rank.h)\n", (int)rank,
                    (int)held[i].rank);
            ASSERT(held[i].rank < rank);
        }
    }
}

static void note_held(const void *lock, LockRank rank)
{
    ASSERT(held_count < HELD_MAX);
    held[held_count++] = (Held){lock, rank};
}

/* Searched from the newest: locks are mostly released in reverse order. */
static bool find_held(const void *lock, unsigned *out_index)
{
    for (unsigned i = held_count; i > 0; i--) {
        if (held[i - 1].lock == lock) {
            *out_index = i - 1;
            return true;
        }
    }
    return false;
}

static void note_released(const void *lock)
{
    unsigned i = 0;
    bool found = find_held(lock, &i);
    ASSERT(found); /* released by a thread that does not hold it */
    for (held_count--; i < held_count; i++) {
        held[i] = held[i + 1];
    }
}

bool mutex_held(const Mutex *m)
{
    unsigned i;
    return find_held(m, &i);
}

#else

static inline void check_rank(const void *lock, LockRank rank)
{
    (void)lock;
    (void)rank;
}

static inline void note_held(const void *lock, LockRank rank)
{
    (void)lock;
    (void)rank;
}

static inline void note_released(const void *lock)
{
    (void)lock;
}

bool mutex_held(const Mutex *m)
{
    (void)m;
    return true;
}

#endif

void rank_enter(const void *lock, LockRank rank)
{
    check_rank(lock, rank);
    note_held(lock, rank);
}

void rank_leave(const void *lock)
{
    note_released(lock);
}

void mutex_init(Mutex *m, LockRank rank)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP); /* spins a little before it sleeps */
    int rc = pthread_mutex_init(&m->m, &attr);
    pthread_mutexattr_destroy(&attr);
    ASSERT(rc == 0);
    m->rank = rank;
}

void mutex_done(Mutex *m)
{
    int rc = pthread_mutex_destroy(&m->m);
    ASSERT(rc == 0);
}

/* The real mutex is taken under the scheduler too, so that the thread sanitizer knows of it. */
static void lock_real(Mutex *m)
{
    if (sched_on()) {
        while (pthread_mutex_trylock(&m->m) != 0) {
            sched_block("mutex", m, -1);
        }
    } else {
        int rc = pthread_mutex_lock(&m->m);
        ASSERT(rc == 0);
    }
}

static void unlock_real(Mutex *m)
{
    int rc = pthread_mutex_unlock(&m->m);
    ASSERT(rc == 0);
    if (sched_on()) {
        sched_wake(m, UINT_MAX);
    }
}

void mutex_lock(Mutex *m)
{
    check_rank(m, m->rank);
    if (sched_on()) {
        sched_point("mutex lock");
    }
    lock_real(m);
    note_held(m, m->rank);
}

bool mutex_try_lock(Mutex *m)
{
    if (sched_on()) {
        sched_point("mutex try");
    }
    int rc = pthread_mutex_trylock(&m->m);
    ASSERT(rc == 0 || rc == EBUSY);
    if (rc == 0) {
        note_held(m, m->rank);
    }
    return rc == 0;
}

void mutex_unlock(Mutex *m)
{
    note_released(m);
    unlock_real(m);
    if (sched_on()) {
        sched_point("mutex unlock");
    }
}

void cond_init(Cond *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&c->c, &attr);
    pthread_condattr_destroy(&attr);
    ASSERT(rc == 0);
}

void cond_done(Cond *c)
{
    int rc = pthread_cond_destroy(&c->c);
    ASSERT(rc == 0);
}

static struct timespec monotonic_after(int64_t us)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + us % 1000000 * 1000;
    ts.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    ts.tv_nsec = (long)(ns % 1000000000);
    return ts;
}

/* Between the unlock and the block no other scheduled thread runs, so no signal is lost. */
static bool wait_scheduled(Cond *c, Mutex *m, int64_t timeout_us)
{
    unlock_real(m);
    bool signalled = sched_block("cond", c, timeout_us);
    lock_real(m);
    return signalled;
}

static bool wait_real(Cond *c, Mutex *m, int64_t timeout_us)
{
    int rc;
    if (timeout_us < 0) {
        rc = pthread_cond_wait(&c->c, &m->m);
    } else {
        struct timespec until = monotonic_after(timeout_us);
        rc = pthread_cond_timedwait(&c->c, &m->m, &until);
    }
    ASSERT(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

bool cond_wait_for(Cond *c, Mutex *m, int64_t timeout_us)
{
    note_released(m);
    check_rank(m, m->rank); /* taken again behind whatever else is held */
    bool signalled = sched_on() ? wait_scheduled(c, m, timeout_us) : wait_real(c, m, timeout_us);
    note_held(m, m->rank);
    return signalled;
}

void cond_wait(Cond *c, Mutex *m)
{
    cond_wait_for(c, m, -1);
}

void cond_signal(Cond *c)
{
    if (sched_on()) {
        sched_point("cond signal");
        sched_wake(c, 1);
    } else {
        pthread_cond_signal(&c->c);
    }
}

void cond_broadcast(Cond *c)
{
    if (sched_on()) {
        sched_point("cond broadcast");
        sched_wake(c, UINT_MAX);
    } else {
        pthread_cond_broadcast(&c->c);
    }
}

void futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_us)
{
    struct timespec ts;
    struct timespec *timeout = NULL;
    if (timeout_us >= 0) {
        ts.tv_sec = (time_t)(timeout_us / 1000000);
        ts.tv_nsec = (long)(timeout_us % 1000000 * 1000);
        timeout = &ts;
    }
    /* All results mean the same to the caller: look at the word again. */
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
}

void futex_wake(_Atomic uint32_t *word, unsigned count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count > INT_MAX ? INT_MAX : (int)count, NULL, NULL, 0);
}

void os_park(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_us)
{
    if (!sched_on()) {
        futex_wait(word, expected, timeout_us);
        return;
    }
    sched_point("park");
    /* Acquire: as after a futex wait, the caller may rely on what the unparker wrote. */
    if (atomic_load_explicit(word, memory_order_acquire) == expected) {
        sched_block("park", word, timeout_us);
    }
}

void os_unpark(_Atomic uint32_t *word, unsigned count)
{
    if (!sched_on()) {
        futex_wake(word, count);
        return;
    }
    sched_wake(word, count);
    sched_point("unpark");
}

enum { SPIN_FREE, SPIN_HELD, SPIN_HELD_WAITED, SPIN_TURNS = 100 };

void spin_init(SpinLock *s, LockRank rank)
{
    atomic_init(&s->state, SPIN_FREE);
    s->rank = rank;
}

static bool spin_try(SpinLock *s)
{
    uint32_t expected = SPIN_FREE;
    /* Acquire pairs with the release in spin_unlock. */
    return atomic_compare_exchange_strong_explicit(&s->state, &expected, SPIN_HELD, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* The three-state lock of Drepper, "Futexes are tricky" (2011), section 6: who slept leaves the "waited" state behind. */
static void spin_lock_slow(SpinLock *s)
{
    for (int i = 0; i < SPIN_TURNS; i++) {
        os_cpu_relax();
        if (atomic_load_explicit(&s->state, memory_order_relaxed) == SPIN_FREE && spin_try(s)) {
            return;
        }
    }
    while (atomic_exchange_explicit(&s->state, SPIN_HELD_WAITED, memory_order_acquire) != SPIN_FREE) {
        futex_wait(&s->state, SPIN_HELD_WAITED, -1);
    }
}

void spin_lock(SpinLock *s)
{
    check_rank(s, s->rank);
    if (sched_on()) {
        sched_point("spin lock");
        while (!spin_try(s)) {
            sched_block("spin", s, -1);
        }
    } else if (UNLIKELY(!spin_try(s))) {
        spin_lock_slow(s);
    }
    note_held(s, s->rank);
}

void spin_unlock(SpinLock *s)
{
    note_released(s);
    uint32_t before = atomic_exchange_explicit(&s->state, SPIN_FREE, memory_order_release);
    ASSERT(before != SPIN_FREE);
    if (sched_on()) {
        sched_wake(s, UINT_MAX);
        sched_point("spin unlock");
    } else if (UNLIKELY(before == SPIN_HELD_WAITED)) {
        futex_wake(&s->state, 1);
    }
}
