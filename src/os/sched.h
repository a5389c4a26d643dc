/*
 * os/sched.h: the deterministic scheduler. sched_run executes fn on a new thread under a scheduler: that thread and all
 * threads it starts run one at a time; at every lock, wait, park, sleep, sync point and simulated I/O the next one is chosen
 * from the seed. The same seed and the same program give the same order of events. Time is virtual: it advances only
 * when no thread can run, to the earliest timeout. When no thread can run and none has a timeout, the run is
 * deadlocked: every thread's state and last sync point is printed and the process aborts.
 */
#ifndef RDB_OS_SCHED_H
#define RDB_OS_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct SchedStats {
    uint64_t switches;
    uint64_t choices; /* scheduling points passed */
    uint64_t hash;    /* of the sequence of (thread, point): equal for equal runs */
    int64_t virtual_us;
} SchedStats;

/*
 * `switch_one_in`: at a point where the current thread could go on, another is chosen with this chance (1 = choose anew
 * at every point). Returns when fn and all threads it started have ended.
 */
STATUS sched_run(uint64_t seed, unsigned switch_one_in, void (*fn)(void *arg), void *arg, Error *err,
                 SchedStats *out_stats);
bool sched_active(void); /* is the calling thread scheduled? */

#endif
