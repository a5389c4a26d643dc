/*
 * os/simdisk_int.h: the simulated disk's own data, shared by its Vfs (sim_vfs.c) and its controls (simdisk.c).
 */
#ifndef RDB_OS_SIMDISK_INT_H
#define RDB_OS_SIMDISK_INT_H

#include <pthread.h>

#include "os/sim_record_int.h"
#include "os/simdisk.h"

typedef struct SimFault {
    SimOpClass ops;
    uint64_t countdown; /* 0 = off */
    bool persistent;
    bool fired_once;
    Status status;
} SimFault;

/* `lock` guards everything but budget. */
struct SimDisk {
    Budget *budget;
    pthread_mutex_t lock;
    SimState *state;
    SimRecord *record; /* NULL = off */
    uint64_t io;
    uint64_t cut_countdown; /* 0 = never */
    bool is_cut;
    SimFault fault;
    uint64_t faults_fired;
    uint64_t capacity;
    uint32_t alignment;
    int64_t latency_us[3]; /* reads, writes, syncs */
};

/* Nothing waits while the lock is held, so the deterministic scheduler need not know of it. */
void simdisk_lock(const SimDisk *d);
void simdisk_unlock(const SimDisk *d);

#endif
