/*
 * Fault loops over a page-writing workload and over recovery: the i-th allocation fails, the i-th I/O of each kind fails, once or from then on,
 * until a run meets no fault. Nothing crashes, hangs or leaks; errors are the ones the fault explains; and after the power
 * is cut, too, everything acknowledged is found.
 *
 * `make test` takes steps through the i that grow with i. RDB_CRASH_FULL=1 tries every one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "os/sched.h"
#include "storage_model.h"

typedef struct FaultKind {
    const char *name;
    bool memory;
    SimOpClass ops;
    Status status;
} FaultKind;

static const FaultKind KINDS[] = {
    {"allocation", true, SIM_ANY, ST_OUT_OF_MEMORY},
    {"I/O", false, SIM_ANY, ST_IO_ERROR},
    {"read", false, SIM_READS, ST_IO_ERROR},
    {"write", false, SIM_WRITES, ST_IO_ERROR},
    {"sync", false, SIM_SYNCS, ST_IO_ERROR},
    {"file allocation (disk full)", false, SIM_ALLOCS, ST_DISK_FULL},
    {"file allocation (error)", false, SIM_ALLOCS, ST_IO_ERROR},
};

typedef struct Run {
    Model *m;
    SimDisk *disk;
    Budget budget;
    MemFault fault;
    WorkConfig config;
} Run;

static void work(void *arg)
{
    Run *r = arg;
    model_work(r->m, r->disk, &r->budget, &r->config);
}

static SimDisk *new_disk(Budget *b)
{
    Error err;
    SimDisk *d;
    err_clear(&err);
    assert_int_equal(simdisk_new(b, &err, &d), ST_OK);
    return d;
}

static SimDisk *survivor(SimDisk *d, uint64_t seed)
{
    Error err;
    SimDisk *found;
    err_clear(&err);
    assert_int_equal(simdisk_survivor(d, seed, &err, &found), ST_OK);
    return found;
}

static void arm(Run *r, const FaultKind *k, uint64_t i, bool persistent)
{
    budget_init(&r->budget, "store", NULL, 0, 0);
    r->fault = (MemFault){.countdown = k->memory ? (int64_t)i : -1, .persistent = persistent};
    r->budget.fault = &r->fault;
    if (!k->memory) {
        simdisk_fail_at(r->disk, k->ops, i, persistent, k->status);
    }
}

static bool disarm(Run *r)
{
    bool fired = atomic_load(&r->fault.fired) + simdisk_faults_fired(r->disk) > 0;
    simdisk_heal(r->disk);
    return fired;
}

static uint64_t next(uint64_t i)
{
    return getenv("RDB_CRASH_FULL") != NULL ? i + 1 : i + 1 + i / 12;
}

/* One run; whether it met the fault. */
static bool run_with_fault(const FaultKind *k, uint64_t i, bool persistent, unsigned threads)
{
    Budget disk_budget;
    budget_init(&disk_budget, "disk", NULL, 0, 0);
    Run r = {.m = model_new(),
             .disk = new_disk(&disk_budget),
             .config = {.seed = i,
                        .threads = threads,
                        .ops = threads == 0 ? 900 : 300,
                        .drops = 20,
                        .faults = true,
                        .clean_close = true}};
    model_doing("%s number %llu fails%s, %u threads", k->name, (unsigned long long)i,
                persistent ? " and all later ones" : "", threads);
    arm(&r, k, i, persistent);
    if (threads == 0) {
        work(&r);
    } else {
        Error err;
        err_clear(&err);
        assert_int_equal(sched_run(i, 3, work, &r, &err, NULL), ST_OK);
    }
    bool fired = disarm(&r);
    SimDisk *found = survivor(r.disk, i % 2 == 0 ? 0 : i);
    model_verify(r.m, found, UINT64_MAX, NULL);
    simdisk_free(found);
    simdisk_free(r.disk);
    model_free(r.m);
    budget_done(&disk_budget);
    return fired;
}

static void work_with_faults(unsigned threads)
{
    for (size_t k = 0; k < ARRAY_LEN(KINDS); k++) {
        for (int persistent = 0; persistent < 2; persistent++) {
            for (uint64_t i = 1; run_with_fault(&KINDS[k], i, persistent != 0, threads); i = next(i)) {
            }
        }
    }
}

static void working_alone(void **state)
{
    (void)state;
    work_with_faults(0);
}

static void working_in_threads(void **state)
{
    (void)state;
    work_with_faults(3);
}

/* A store that was cut off in the middle of its work is opened with a fault; then without. */
static void recovering(void **state)
{
    (void)state;
    Budget disk_budget;
    budget_init(&disk_budget, "disk", NULL, 0, 0);
    Run r = {.m = model_new(), .disk = new_disk(&disk_budget), .config = {.seed = 5, .ops = 900, .drops = 20}};
    budget_init(&r.budget, "store", NULL, 0, 0);
    model_doing("preparing");
    work(&r);
    SimDisk *crashed = survivor(r.disk, 77);
    simdisk_free(r.disk);
    for (size_t k = 0; k < ARRAY_LEN(KINDS); k++) {
        for (int persistent = 0; persistent < 2; persistent++) {
            bool fired = true;
            for (uint64_t i = 1; fired; i = next(i)) {
                model_doing("%s number %llu fails%s while recovering", KINDS[k].name, (unsigned long long)i,
                            persistent ? " and all later ones" : "");
                r.disk = survivor(crashed, UINT64_MAX);
                arm(&r, &KINDS[k], i, persistent != 0);
                (void)model_try_open(r.m, r.disk, &r.budget);
                fired = disarm(&r);
                SimDisk *found = survivor(r.disk, i % 2 == 0 ? 0 : i);
                model_verify(r.m, found, UINT64_MAX, NULL);
                simdisk_free(found);
                simdisk_free(r.disk);
            }
        }
    }
    simdisk_free(crashed);
    model_free(r.m);
    budget_done(&disk_budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(working_alone),
        cmocka_unit_test(working_in_threads),
        cmocka_unit_test(recovering),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
