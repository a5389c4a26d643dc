/*
 * Power cuts over random transactions (txn/stress.h): a cut after each I/O of recorded runs under the deterministic scheduler, each
 * with several survivals; and free-running threads with cuts at random moments.
 *
 * In `make test` the seeds of txn_seeds.txt run. RDB_TXN_SECONDS=n searches new seeds for n seconds and appends each with its
 * result to RDB_TXN_LOG; RDB_TXN_FORM (a, b) and RDB_TXN_SEED run one. A failure prints form, seed and what was being tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/rng.h"
#include "os/sched.h"
#include "os/simdisk.h"
#include "txn/stress.h"

static char doing[256];

static void broken(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", doing, text);
    fflush(stderr);
    abort();
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != ST_OK) {                                                                                         \
            broken(NULL, #call);                                                                                         \
        }                                                                                                              \
    } while (0)

typedef struct Disk {
    Budget budget;
    Error err;
    SimDisk *disk;
} Disk;

static uint64_t disk_now(void *arg)
{
    return simdisk_io_count(((Disk *)arg)->disk);
}

static void disk_new(Disk *d, bool record)
{
    budget_init(&d->budget, "disk", NULL, 0, 0);
    err_clear(&d->err);
    OK(simdisk_new(&d->budget, &d->err, &d->disk));
    if (record) {
        OK(simdisk_record(d->disk, true, &d->err));
    }
}

static void disk_done(Disk *d)
{
    simdisk_free(d->disk);
    budget_done(&d->budget);
}

/* ---- one engine's life on a disk ---- */

typedef struct Life {
    Stress *s;
    SimDisk *disk;
    bool is_new, run, verify, cut, checkpoint;
    uint64_t acknowledged;
    uint64_t first_io; /* result: where a new system stood */
} Life;

static void live(void *arg)
{
    Life *l = arg;
    Budget budget;
    Error err;
    Vfs *vfs;
    err_clear(&err);
    budget_init(&budget, "engine", NULL, 0, 0);
    OK(simdisk_vfs(l->disk, &err, &vfs));
    Status st = stress_open(l->s, vfs, &budget, NULL, l->is_new, l->acknowledged);
    l->first_io = simdisk_io_count(l->disk);
    if (st == ST_OK && l->cut) {
        stress_cut(l->s);
    }
    if (st == ST_OK && l->verify) {
        st = stress_verify(l->s);
    }
    if (st == ST_OK && l->run) {
        stress_run(l->s);
        st = simdisk_is_cut(l->disk) ? ST_IO_ERROR : stress_verify(l->s);
    }
    stress_close(l->s, l->checkpoint && st == ST_OK);
    vfs_free(vfs);
    budget_done(&budget);
}

static void print_stats(const Stress *s, uint64_t ios)
{
    StressStats x;
    stress_stats(s, &x);
    printf("# %s: %llu I/Os, %llu commits, %llu aborts, %llu reads, %llu rows compared, %llu conflicts, %llu deadlocks, %llu unique, "
           "%llu retries, %llu moved, %llu ddl, %llu given up\n",
           doing, (unsigned long long)ios, (unsigned long long)x.commits, (unsigned long long)x.aborts,
           (unsigned long long)x.reads, (unsigned long long)x.rows_compared, (unsigned long long)x.conflicts,
           (unsigned long long)x.deadlocks, (unsigned long long)x.unique_violations, (unsigned long long)x.retries,
           (unsigned long long)x.moved, (unsigned long long)x.ddl, (unsigned long long)x.given_up);
}

/* ---- form a: every I/O of a recorded run ---- */

static void recover_at(Stress *s, Disk *d, uint64_t io, uint64_t survival, uint64_t seed, bool cut_again)
{
    SimDisk *found;
    OK(simdisk_survivor_at(d->disk, io, survival, &d->err, &found));
    if (cut_again) {
        OK(simdisk_record(found, true, &d->err));
    }
    Life l = {.s = s, .disk = found, .verify = true, .acknowledged = stress_acknowledged(s, io)};
    live(&l);
    for (uint64_t i = 1 + seed % 7; cut_again && i <= simdisk_io_count(found); i += 7) {
        SimDisk *again;
        (void)snprintf(doing, sizeof doing, "form a seed %llu, cut after I/O %llu survival %llu, then after I/O %llu of recovery",
                       (unsigned long long)seed, (unsigned long long)io, (unsigned long long)survival, (unsigned long long)i);
        OK(simdisk_survivor_at(found, i, mix64(i), &d->err, &again));
        Life l2 = {.s = s, .disk = again, .verify = true, .acknowledged = l.acknowledged};
        live(&l2);
        simdisk_free(again);
    }
    simdisk_free(found);
}

/* About so many cuts, spread over the run; 0 = after every I/O. */
static void form_a(uint64_t seed, uint64_t cuts)
{
    Disk d;
    StressConfig config;
    StressSink sink = {.arg = &d, .fail = broken, .now = disk_now};
    disk_new(&d, true);
    stress_config(seed, &config);
    config.cross_check = true;
    Stress *s = stress_new(&config, &sink);
    (void)snprintf(doing, sizeof doing, "form a seed %llu, running", (unsigned long long)seed);
    Life l = {.s = s, .disk = d.disk, .is_new = true, .run = true, .checkpoint = seed % 2 == 0};
    OK(sched_run(seed, 1 + (unsigned)(seed % 4), live, &l, &d.err, NULL));
    uint64_t ios = simdisk_io_count(d.disk);
    if (getenv("RDB_TXN_VERBOSE") != NULL) {
        print_stats(s, ios);
    }
    stress_settings(s)->store.background = false;
    stress_settings(s)->txn.background = false;
    uint64_t stride = cuts == 0 || ios <= cuts ? 1 : ios / cuts;
    uint64_t only = getenv("RDB_TXN_CUT") != NULL ? strtoull(getenv("RDB_TXN_CUT"), NULL, 10) : 0;
    const uint64_t survivals[] = {0, mix64(seed), UINT64_MAX};
    for (uint64_t io = only != 0 ? only : l.first_io + seed % stride; io <= (only != 0 ? only : ios); io += stride) {
        for (size_t i = 0; i < ARRAY_LEN(survivals); i++) {
            uint64_t survival = i == 1 ? mix64(seed + io) : survivals[i];
            (void)snprintf(doing, sizeof doing, "form a seed %llu, cut after I/O %llu of %llu, survival %llu",
                           (unsigned long long)seed, (unsigned long long)io, (unsigned long long)ios,
                           (unsigned long long)survival);
            recover_at(s, &d, io, survival, seed, i == 1 && io / stride % 16 == 0);
        }
    }
    stress_free(s);
    disk_done(&d);
}

/* ---- form b: free-running threads, cuts at random moments, work going on with what was found ---- */

static void form_b(uint64_t seed, unsigned rounds)
{
    Disk d;
    Rng rng;
    StressConfig config;
    StressSink sink = {.arg = &d, .fail = broken, .now = disk_now};
    disk_new(&d, false);
    rng_seed(&rng, seed);
    stress_config(seed, &config);
    config.cross_check = true;
    config.faults = true;
    config.threads = 2 + (unsigned)rng_below(&rng, 3);
    config.store.background = true;
    config.txn.background = rng_below(&rng, 4) != 0;
    config.txns = 100;
    Stress *s = stress_new(&config, &sink);
    (void)snprintf(doing, sizeof doing, "form b seed %llu, first round", (unsigned long long)seed);
    Life l = {.s = s, .disk = d.disk, .is_new = true, .run = true};
    live(&l);
    for (unsigned i = 0; i < rounds; i++) {
        SimDisk *found;
        uint64_t acknowledged = stress_acknowledged(s, UINT64_MAX);
        simdisk_cut_now(d.disk);
        OK(simdisk_survivor(d.disk, rng_next(&rng), &d.err, &found));
        simdisk_free(d.disk);
        d.disk = found;
        (void)snprintf(doing, sizeof doing, "form b seed %llu, round %u", (unsigned long long)seed, i);
        stress_settings(s)->faults = false;
        Life check = {.s = s, .disk = found, .verify = true, .cut = true, .acknowledged = acknowledged};
        live(&check);
        stress_settings(s)->faults = true;
        simdisk_cut_at(found, 1 + rng_below(&rng, 3000));
        Life on = {.s = s, .disk = found, .run = true};
        live(&on);
    }
    if (getenv("RDB_TXN_VERBOSE") != NULL) {
        print_stats(s, simdisk_io_count(d.disk));
    }
    stress_free(s);
    disk_done(&d);
}

/* ---- the tests ---- */

static void one(char form, uint64_t seed, uint64_t cuts)
{
    if (form == 'a') {
        form_a(seed, cuts);
    } else {
        form_b(seed, 6);
    }
}

static int soak(int64_t seconds)
{
    const char *path = getenv("RDB_TXN_LOG") != NULL ? getenv("RDB_TXN_LOG") : "txn_soak.log";
    const char *forms = getenv("RDB_TXN_FORM") != NULL ? getenv("RDB_TXN_FORM") : "ab";
    int64_t until = os_monotonic_us() + seconds * 1000000;
    uint64_t seed = (uint64_t)os_wall_us();
    while (os_monotonic_us() < until) {
        char date[32];
        time_t now = time(NULL);
        FILE *log = fopen(path, "a");
        if (log == NULL) {
            perror(path);
            return 1;
        }
        char form = forms[seed % strlen(forms)];
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
        const char *build = getenv("RDB_TXN_BUILD");
        fprintf(log, "%s %s %c %llu ", build != NULL ? build : "-", date, form, (unsigned long long)seed);
        fflush(log);
        int64_t began = os_monotonic_us();
        one(form, seed, 400);
        fprintf(log, "ok %lld ms\n", (long long)(os_monotonic_us() - began) / 1000);
        fclose(log);
        seed++;
    }
    return 0;
}

/* Lines of "form seed [cuts]"; # begins a comment. */
static void seeds_that_must_hold(void **state)
{
    (void)state;
    const char *path = getenv("RDB_TXN_SEEDS");
    FILE *f = fopen(path != NULL ? path : "tests/crash/txn_seeds.txt", "r");
    char line[200];
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        char form;
        unsigned long long seed;
        unsigned long long cuts = 30;
        if (line[0] != '#' && sscanf(line, "%c %llu %llu", &form, &seed, &cuts) >= 2) {
            one(form, seed, cuts);
        }
    }
    fclose(f);
}

int main(void)
{
    const char *seed = getenv("RDB_TXN_SEED");
    if (seed != NULL) {
        const char *form = getenv("RDB_TXN_FORM");
        const char *cuts = getenv("RDB_TXN_CUTS");
        one(form != NULL ? form[0] : 'a', strtoull(seed, NULL, 10), cuts != NULL ? strtoull(cuts, NULL, 10) : 400);
        return 0;
    }
    if (getenv("RDB_TXN_SECONDS") != NULL) {
        return soak(strtoll(getenv("RDB_TXN_SECONDS"), NULL, 10));
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_that_must_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
