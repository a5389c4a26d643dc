/*
 * os/os_int.h: what the files of os/ share: the scheduler's side of every blocking primitive, futexes, thread-local
 * state.
 *
 * How a primitive works under the scheduler: exactly one scheduled thread runs at a time, so a primitive tests and
 * changes its own state like single-threaded code, and calls
 *   sched_point(name)        before (and for unlocking, after) the operation: another thread may run here;
 *   sched_block(what, addr)  when it has to wait: returns after a sched_wake of the same address, or the timeout;
 *   sched_wake(addr, count)  when somebody waiting there may go on. Waiters test their condition again.
 */
#ifndef RDB_OS_OS_INT_H
#define RDB_OS_OS_INT_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "os/thread.h"

typedef struct SchedTask SchedTask;

/* The calling thread's task; NULL = not scheduled. Thread-local: it says how this very thread gives way. */
extern _Thread_local SchedTask *sched_self;

static inline bool sched_on(void)
{
    return UNLIKELY(sched_self != NULL);
}

/* All of these only on a scheduled thread. Names and `what` are static strings. */
void sched_point(const char *name);
void sched_yield_point(const char *name); /* gives others the processor, and time a microsecond */
bool sched_block(const char *what, const void *addr, int64_t timeout_us); /* false = timed out */
void sched_wake(const void *addr, unsigned count);                        /* UINT_MAX = all */
int64_t sched_now_us(void);
void sched_random_bytes(void *p, size_t len);
bool sched_is_done(const SchedTask *task);

/*
 * A task for a thread that the calling scheduled thread is about to start; NULL = no memory. If the thread cannot be
 * started, sched_task_drop. Else the new thread calls sched_task_enter first and sched_task_exit last.
 */
SchedTask *sched_task_new(const char *name);
void sched_task_drop(SchedTask *task);
void sched_task_enter(SchedTask *task);
void sched_task_exit(void);

/* futex(2) on a private word; timeout negative = none. Returns at once when *word != expected. */
void futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_us);
void futex_wake(_Atomic uint32_t *word, unsigned count);

/* What a started thread inherits from its starter: the sync hooks. */
SyncHooks *sync_hooks_current(void);
void sync_arm(void); /* recomputes os_sync_armed_here */

#endif
