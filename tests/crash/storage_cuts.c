/*
 * Power cuts over a page-writing workload: after each I/O of recorded runs, with several survivals each; cuts of recovery
 * itself; and chains of work, cut and recovery, under the scheduler (replayable) and on free-running threads.
 *
 * In `make test` a list of seeds runs in some seconds. RDB_CRASH_SECONDS=n searches new seeds for n seconds instead and
 * appends each with its result to RDB_CRASH_LOG (default storage_cuts.log); RDB_CRASH_SEED=n runs that one.
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

static const uint64_t SURVIVALS[] = {0, 7, UINT64_MAX};

typedef struct Disk {
    Budget budget;
    Error err;
    SimDisk *disk;
} Disk;

static void disk_new(Disk *d, bool record)
{
    budget_init(&d->budget, "disk", NULL, 0, 0);
    err_clear(&d->err);
    assert_int_equal(simdisk_new(&d->budget, &d->err, &d->disk), ST_OK);
    if (record) {
        assert_int_equal(simdisk_record(d->disk, true, &d->err), ST_OK);
    }
}

static void disk_done(Disk *d)
{
    simdisk_free(d->disk);
    budget_done(&d->budget);
}

typedef struct Run {
    Model *m;
    SimDisk *disk;
    WorkConfig config;
} Run;

static void run_work(void *arg)
{
    Run *r = arg;
    Budget budget;
    budget_init(&budget, "store", NULL, 0, 0);
    model_work(r->m, r->disk, &budget, &r->config);
}

static void run_scheduled(Run *r)
{
    Error err;
    err_clear(&err);
    assert_int_equal(sched_run(r->config.seed, 3, run_work, r, &err, NULL), ST_OK);
}

/* ---- a cut after each I/O ---- */

/* Recovers the disk; then from a cut after some of the I/Os of that recovery. All must end at the same place. */
static void verify_with_cuts(Model *m, Disk *d, SimDisk *found, uint64_t io, unsigned stride)
{
    Recovered first;
    assert_int_equal(simdisk_record(found, true, &d->err), ST_OK);
    assert_int_equal(model_verify(m, found, io, &first), ST_OK);
    for (uint64_t i = 1; i <= first.ios; i += stride) {
        SimDisk *again;
        Recovered r;
        assert_int_equal(simdisk_survivor_at(found, i, mix64(i), &d->err, &again), ST_OK);
        model_verify(m, again, io, &r);
        if (r.end != first.end) {
            model_die("after a cut at I/O %llu of recovery the log ends at %llu, before it was %llu",
                      (unsigned long long)i, (unsigned long long)r.end, (unsigned long long)first.end);
        }
        simdisk_free(again);
    }
}

static void cut_everywhere(uint64_t seed, unsigned threads, unsigned ops, unsigned stride)
{
    Disk d;
    disk_new(&d, true);
    Run r = {.m = model_new(),
             .disk = d.disk,
             .config = {.seed = seed, .threads = threads, .ops = ops, .drops = 15, .clean_close = seed % 2 == 0}};
    model_doing("seed %llu, running", (unsigned long long)seed);
    run_scheduled(&r);
    uint64_t ios = simdisk_io_count(d.disk);
    if (getenv("RDB_CRASH_VERBOSE") != NULL) {
        printf("# seed %llu: %llu I/Os, %llu page changes\n", (unsigned long long)seed, (unsigned long long)ios,
               (unsigned long long)model_changes(r.m));
    }
    for (uint64_t io = 1 + seed % stride; io <= ios; io += stride) {
        for (size_t i = 0; i < ARRAY_LEN(SURVIVALS); i++) {
            SimDisk *found;
            uint64_t survival = SURVIVALS[i] == 7 ? mix64(seed + io) : SURVIVALS[i];
            model_doing("seed %llu, threads %u, ops %u, cut after I/O %llu of %llu, survival %llu",
                        (unsigned long long)seed, threads, ops, (unsigned long long)io, (unsigned long long)ios,
                        (unsigned long long)survival);
            assert_int_equal(simdisk_survivor_at(d.disk, io, survival, &d.err, &found), ST_OK);
            if (i == 1 && io / stride % 16 == 0) {
                verify_with_cuts(r.m, &d, found, io, 3);
            } else {
                model_verify(r.m, found, io, NULL);
            }
            simdisk_free(found);
        }
    }
    model_free(r.m);
    disk_done(&d);
}

/* ---- chains of cuts ---- */

/* Works, is cut at random, recovers, works on with what was found, and so on. */
static void chain(uint64_t seed, unsigned threads, unsigned rounds, bool scheduled)
{
    Disk d;
    Rng rng;
    disk_new(&d, false);
    rng_seed(&rng, seed);
    Model *m = model_new();
    for (unsigned i = 0; i < rounds; i++) {
        model_doing("chain of seed %llu, round %u, %u threads, %s", (unsigned long long)seed, i, threads,
                    scheduled ? "scheduled" : "free-running");
        Run r = {
            .m = m, .disk = d.disk, .config = {.seed = rng_next(&rng), .threads = threads, .ops = 600, .drops = 10}};
        simdisk_cut_at(d.disk, 1 + rng_below(&rng, 1500));
        if (scheduled) {
            run_scheduled(&r);
        } else {
            run_work(&r);
        }
        simdisk_cut_now(d.disk);
        SimDisk *found;
        Recovered recovered;
        assert_int_equal(simdisk_survivor(d.disk, rng_next(&rng), &d.err, &found), ST_OK);
        simdisk_free(d.disk);
        d.disk = found;
        assert_int_equal(model_verify(m, d.disk, UINT64_MAX, &recovered), ST_OK);
        model_cut(m, recovered.end);
    }
    model_free(m);
    disk_done(&d);
}

/* ---- the tests ---- */

static void every_io_of_recorded_runs(void **state)
{
    (void)state;
    cut_everywhere(1, 3, 400, 5);
    cut_everywhere(2, 0, 1200, 7);
    cut_everywhere(3, 4, 400, 7);
    for (uint64_t seed = 4; seed < 10; seed++) {
        cut_everywhere(seed, (unsigned)(seed % 5), 500, 61);
    }
}

static void chains_of_cuts_replayed(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 125; seed++) {
        chain(seed, (unsigned)(seed % 5), 6, true);
    }
}

static void chains_of_cuts_on_free_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 220; seed++) {
        chain(seed, 2 + (unsigned)(seed % 3), 6, false);
    }
}

static void one_seed(uint64_t seed)
{
    switch (seed % 4) {
    case 0: cut_everywhere(seed, (unsigned)(seed / 4 % 5), 500, 17); break;
    case 1: cut_everywhere(seed, 0, 1500, 13); break;
    case 2: chain(seed, (unsigned)(seed / 4 % 5), 10, true); break;
    default: chain(seed, 1 + (unsigned)(seed / 4 % 4), 10, false);
    }
}

/* An open-ended search; a seed that fails aborts with the log's last line lacking its "ok". */
static int soak(int64_t seconds)
{
    const char *path = getenv("RDB_CRASH_LOG") != NULL ? getenv("RDB_CRASH_LOG") : "storage_cuts.log";
    int64_t until = os_monotonic_us() + seconds * 1000000;
    uint64_t seed = (uint64_t)os_wall_us();
    FILE *log = fopen(path, "a");
    if (log == NULL) {
        perror(path);
        return 1;
    }
    while (os_monotonic_us() < until) {
        fprintf(log, "storage_cuts seed %llu ", (unsigned long long)seed);
        fflush(log);
        one_seed(seed);
        fprintf(log, "ok\n");
        fflush(log);
        seed++;
    }
    fclose(log);
    return 0;
}

int main(void)
{
    if (getenv("RDB_CRASH_SEED") != NULL) {
        one_seed(strtoull(getenv("RDB_CRASH_SEED"), NULL, 10));
        return 0;
    }
    if (getenv("RDB_CRASH_SECONDS") != NULL) {
        return soak(strtoll(getenv("RDB_CRASH_SECONDS"), NULL, 10));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_io_of_recorded_runs),
        cmocka_unit_test(chains_of_cuts_replayed),
        cmocka_unit_test(chains_of_cuts_on_free_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
