/*
 * Power cuts over random transactions (txn/stress.h): a cut after each I/O of recorded runs under the deterministic scheduler, each
 * with several survivals; free-running threads with cuts at random moments; and failing allocations and I/O.
 *
 * In `make test` the seeds of txn_seeds.txt run. RDB_TXN_SECONDS=n searches new seeds for n seconds and appends each with its
 * result to RDB_TXN_LOG; RDB_TXN_FORM (a, b, f) and RDB_TXN_SEED run one. A failure prints form, seed and what was being tried.
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
    struct Faults *faults;
} Life;

/* What goes wrong in a run, and a count of what did. */
typedef struct Faults {
    MemFault mem;
    bool while_opening;
    uint64_t nth;
    bool persistent;
    enum { FAULT_MEMORY, FAULT_IO, FAULT_FULL, FAULT_CAPACITY } kind;
    SimDisk *disk;
    bool fired; /* result */
    _Atomic bool done;
} Faults;

static void faults_arm(Faults *f)
{
    switch (f->kind) {
    case FAULT_MEMORY:
        f->mem.persistent = f->persistent;
        atomic_store(&f->mem.countdown, (int64_t)f->nth);
        break;
    case FAULT_IO:
        simdisk_fail_at(f->disk, SIM_ANY, f->nth, f->persistent, ST_IO_ERROR);
        break;
    case FAULT_FULL:
        simdisk_fail_at(f->disk, SIM_ALLOCS, f->nth, f->persistent, ST_DISK_FULL);
        break;
    default:
        simdisk_set_capacity(f->disk, simdisk_used_bytes(f->disk) + f->nth * 65536);
        break;
    }
}

static void faults_end(Faults *f)
{
    atomic_store(&f->done, true);
    f->fired |= atomic_load(&f->mem.fired) > 0 || simdisk_faults_fired(f->disk) > 0;
    atomic_store(&f->mem.countdown, -1);
    simdisk_heal(f->disk);
    simdisk_set_capacity(f->disk, 0);
}

/* Memory that is short comes back some day: a rollback waits for it. */
static void healer(void *arg)
{
    Faults *f = arg;
    for (int64_t us = 0; !atomic_load(&f->done); us = atomic_load(&f->mem.fired) > 0 ? us + 10000 : 0) {
        os_sleep_us(10000);
        if (us > 500000) {
            atomic_store(&f->mem.countdown, -1);
        }
    }
}

static void live(void *arg)
{
    Life *l = arg;
    Budget budget;
    Error err;
    Vfs *vfs;
    err_clear(&err);
    budget_init(&budget, "engine", NULL, 0, 0);
    Faults *f = l->faults;
    if (f != NULL) {
        budget.fault = &f->mem;
    }
    OK(simdisk_vfs(l->disk, &err, &vfs));
    if (f != NULL && f->while_opening) {
        faults_arm(f);
    }
    Status st = stress_open(l->s, vfs, &budget, NULL, l->is_new, l->acknowledged);
    if (f != NULL && !f->while_opening) {
        faults_arm(f);
    }
    l->first_io = simdisk_io_count(l->disk);
    if (st == ST_OK && l->cut) {
        stress_cut(l->s);
    }
    if (st == ST_OK && l->verify) {
        st = stress_verify(l->s);
    }
    if (st == ST_OK && l->run) {
        OsThread *help = NULL;
        if (f != NULL && f->kind == FAULT_MEMORY) {
            OK(os_thread_start("healer", healer, f, &err, &help));
        }
        stress_run(l->s);
        if (f != NULL) {
            faults_end(f);
            if (help != NULL) {
                os_thread_join(help);
            }
            stress_settings(l->s)->faults = stress_stopped(l->s);
        }
        st = stress_stopped(l->s) || simdisk_is_cut(l->disk) ? ST_IO_ERROR : stress_verify(l->s);
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
           "%llu retries, %llu moved, %llu ddl, %llu given up, %llu chunks spilled\n",
           doing, (unsigned long long)ios, (unsigned long long)x.commits, (unsigned long long)x.aborts,
           (unsigned long long)x.reads, (unsigned long long)x.rows_compared, (unsigned long long)x.conflicts,
           (unsigned long long)x.deadlocks, (unsigned long long)x.unique_violations, (unsigned long long)x.retries,
           (unsigned long long)x.moved, (unsigned long long)x.ddl, (unsigned long long)x.given_up, (unsigned long long)x.spilled);
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

/* ---- form f: failing allocations and I/O ---- */

/* One engine's life with a fault; what it left is opened again and must be right. *out_fired false: the run met no fault. */
static void with_fault(uint64_t seed, Faults f, bool *out_fired)
{
    Disk d;
    StressConfig config;
    StressSink sink = {.arg = &d, .fail = broken, .now = disk_now};
    disk_new(&d, false);
    f.disk = d.disk;
    atomic_init(&f.mem.countdown, -1);
    stress_config(seed, &config);
    config.threads = 1 + (unsigned)(seed % 2);
    config.txns = f.kind == FAULT_MEMORY ? 15 : 60;
    config.long_values = true;
    config.faults = false;
    Stress *s = stress_new(&config, &sink);
    Life first = {.s = s, .disk = d.disk, .is_new = true};
    OK(sched_run(seed, 2, live, &first, &d.err, NULL));
    stress_settings(s)->faults = true;
    Life l = {.s = s, .disk = d.disk, .run = true, .faults = &f};
    OK(sched_run(seed, 2, live, &l, &d.err, NULL));
    faults_end(&f);
    stress_settings(s)->faults = false;
    Life after = {.s = s, .disk = d.disk, .verify = true, .cut = true, .acknowledged = stress_acknowledged(s, UINT64_MAX)};
    OK(sched_run(seed, 2, live, &after, &d.err, NULL));
    *out_fired = f.fired;
    if (getenv("RDB_TXN_VERBOSE") != NULL) {
        print_stats(s, simdisk_io_count(d.disk));
    }
    stress_free(s);
    disk_done(&d);
}

static void form_f(uint64_t seed, uint64_t stride)
{
    Faults f = {.kind = seed % 4, .persistent = seed / 4 % 2 == 1, .while_opening = seed / 8 % 3 == 0};
    bool fired = true;
    unsigned quiet = 0;
    for (uint64_t n = 1 + seed % stride; quiet < 2 && n < 100000; n += stride) {
        f.nth = n;
        (void)snprintf(doing, sizeof doing, "form f seed %llu (kind %d, persistent %d, while opening %d), fault %llu",
                       (unsigned long long)seed, f.kind, f.persistent, f.while_opening, (unsigned long long)n);
        with_fault(seed, f, &fired);
        quiet = fired ? 0 : quiet + 1;
        if (f.kind == FAULT_CAPACITY && n > 40) {
            break;
        }
    }
    if (getenv("RDB_TXN_VERBOSE") != NULL) {
        printf("# %s was the last\n", doing);
    }
}

/* ---- the tests ---- */

static void one(char form, uint64_t seed, uint64_t cuts)
{
    if (form == 'a') {
        form_a(seed, cuts);
    } else if (form == 'b') {
        form_b(seed, 6);
    } else {
        form_f(seed, 1 + cuts);
    }
}

static int soak(int64_t seconds)
{
    const char *path = getenv("RDB_TXN_LOG") != NULL ? getenv("RDB_TXN_LOG") : "txn_soak.log";
    const char *forms = getenv("RDB_TXN_FORM") != NULL ? getenv("RDB_TXN_FORM") : "abf";
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
        one(form, seed, form == 'a' ? 100 : 20);
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
