/*
 * B+trees when things fail: the power at any I/O, any allocation, any I/O.
 *
 * The power cut: several threads change a tree under the deterministic scheduler on a recording disk. Then, for many
 * points of that one run, the disk is rebuilt as a cut there might have left it, the store recovers, and the tree
 * must be exactly what some prefix of the log makes it, one that holds all that was reported durable by then. Sets of
 * entries are compared by the exclusive or of their hashes, so that every prefix is tried in one pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btree_model.h"
#include "base/str.h"
#include "os/sched.h"
#include "os/simdisk.h"
#include "os/thread.h"

enum { THREADS = 3, STEPS = 260, OPS_MAX = THREADS * STEPS * 2 };

/* ---- the power cut ---- */

typedef struct Done {
    uint64_t lsn;
    uint64_t hash; /* of the entry that came or went */
} Done;

typedef struct Ack {
    uint64_t io; /* so many I/Os had been made when the LSN was reported durable */
    uint64_t lsn;
} Ack;

typedef struct Run {
    Budget root;
    Error err;
    Ctx cx;
    SimDisk *disk;
    Store *store;
    BTree *tree;
    BTreeRef ref;
    uint64_t seed;
    KeyKind kind;
    uint64_t created_io;
    SpinLock lock; /* guards done, acks */
    Done done[OPS_MAX];
    Ack acks[OPS_MAX];
    unsigned n_done, n_acks;
} Run;

static uint64_t hash_entry(BTreeBytes key, Tid tid)
{
    uint64_t h = mix64(tid.v + 1);
    for (uint32_t i = 0; i < key.len; i++) {
        h = mix64(h ^ key.p[i]);
    }
    return h;
}

static void note_done(Run *run, uint64_t lsn, const TestEntry *e)
{
    uint64_t hash = hash_entry(bt_key(e), e->tid);
    spin_lock(&run->lock);
    run->done[run->n_done++] = (Done){lsn, hash};
    spin_unlock(&run->lock);
}

static void change(Ctx *cx, Run *run, Rng *r, bool grow)
{
    static _Thread_local uint8_t key[BTREE_ENTRY_MAX];
    uint8_t payload[64];
    TestEntry e = {.key = key};
    BTreeWrite w;
    bt_random_entry(r, run->kind, 150, false, &e);
    if (rng_below(r, 100) < (grow ? 75u : 20u)) {
        OK(cx, btree_insert(cx, run->tree, (TxnId){7}, bt_key(&e), e.tid, bt_payload(&e, payload), NULL, &w));
        op_release_undo(run->store, w.undo_wal_bytes);
    } else {
        BTreeDelete how = {.kind = BTREE_PURGE};
        OK(cx, btree_delete(cx, run->tree, (TxnId){7}, bt_key(&e), e.tid, &how, &w));
    }
    if (w.done) {
        note_done(run, w.lsn.v, &e);
    }
    if (w.done && rng_below(r, 10) == 0) {
        OK(cx, wal_wait(cx, run->store, w.lsn));
        uint64_t io = simdisk_io_count(run->disk);
        spin_lock(&run->lock);
        run->acks[run->n_acks++] = (Ack){io, w.lsn.v};
        spin_unlock(&run->lock);
    }
}

typedef struct Changer {
    Run *run;
    unsigned no;
    OsThread *thread;
} Changer;

static void change_all(void *arg)
{
    Changer *c = arg;
    Error err;
    Ctx cx;
    Rng r;
    err_clear(&err);
    ctx_init(&cx, &err, &c->run->root, NULL);
    rng_seed(&r, c->run->seed * 100 + c->no);
    for (unsigned i = 0; i < STEPS; i++) {
        change(&cx, c->run, &r, i % 130 < 75);
    }
}

static void small_store(StoreConfig *c)
{
    bt_config(c, 128);
    c->pool_bytes = 64 * PAGE_BYTES;
    c->wal_ring_bytes = 1 << 18;
    c->wal_segment_bytes = 1 << 18;
    c->checkpoint_wal_bytes = 1 << 18;
}

static Store *open_on(Ctx *cx, Budget *b, Vfs *vfs, bool create, bool background)
{
    StoreConfig config;
    StoreRegistry reg;
    Store *s;
    small_store(&config);
    config.background = background;
    bt_registry(&reg);
    OK(cx, store_open(cx, vfs, b, NULL, &config, &reg, create, &s));
    return s;
}

static void scheduled_run(void *arg)
{
    Run *run = arg;
    Vfs *vfs;
    Changer c[THREADS];
    OK(&run->cx, simdisk_vfs(run->disk, &run->err, &vfs));
    run->store = open_on(&run->cx, &run->root, vfs, true, true);
    run->tree = bt_new_tree(&run->cx, run->store, &run->ref);
    OK(&run->cx, wal_wait(&run->cx, run->store, wal_end(run->store)));
    run->created_io = simdisk_io_count(run->disk);
    for (unsigned i = 0; i < THREADS; i++) {
        c[i] = (Changer){.run = run, .no = i};
        OK(&run->cx, os_thread_start("change", change_all, &c[i], &run->err, &c[i].thread));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        os_thread_join(c[i].thread);
    }
    (void)bt_verify(&run->cx, run->tree, true);
    btree_close(run->tree);
    store_close(&run->cx, run->store, false);
    vfs_free(vfs);
}

static int by_lsn(const void *a, const void *b)
{
    uint64_t x = ((const Done *)a)->lsn, y = ((const Done *)b)->lsn;
    return (x > y) - (x < y);
}

static Status add_hash(void *arg, Ctx *cx, const BTreeEntry *e)
{
    (void)cx;
    *(uint64_t *)arg ^= hash_entry(e->key, e->tid);
    return ST_OK;
}

/* Is the set what the changes up to some LSN make it, at least up to `durable`? */
static bool is_a_prefix(const Run *run, uint64_t set, uint64_t durable)
{
    uint64_t now = 0;
    for (unsigned i = 0; i <= run->n_done; i++) {
        if (now == set && (i == run->n_done || run->done[i].lsn > durable)) {
            return true;
        }
        now ^= i < run->n_done ? run->done[i].hash : 0;
    }
    return false;
}

static void check_cut(Run *run, uint64_t io, uint64_t survive_seed)
{
    SimDisk *disk;
    Vfs *vfs;
    uint64_t durable = 0, set = 0;
    for (unsigned i = 0; i < run->n_acks; i++) {
        if (run->acks[i].io <= io && run->acks[i].lsn > durable) {
            durable = run->acks[i].lsn;
        }
    }
    OK(&run->cx, simdisk_survivor_at(run->disk, io, survive_seed, &run->err, &disk));
    OK(&run->cx, simdisk_vfs(disk, &run->err, &vfs));
    run->store = open_on(&run->cx, &run->root, vfs, false, false);
    OK(&run->cx, btree_open_root(&run->cx, run->store, run->ref.root, &run->tree));
    BTreeCheck c = {.arg = &set, .entry = add_hash, .quiescent = true};
    OK(&run->cx, btree_check(&run->cx, run->tree, &c));
    if (c.problems != 0 || !is_a_prefix(run, set, durable)) {
        fail_msg("seed %llu, cut after I/O %llu, survivors %llu: %llu problems, durable %llu",
                 (unsigned long long)run->seed, (unsigned long long)io, (unsigned long long)survive_seed,
                 (unsigned long long)c.problems, (unsigned long long)durable);
    }
    /* And it works on. */
    TestEntry e = {.key = (uint8_t *)"after", .key_len = 5, .tid = {1}};
    assert_true(bt_insert(&run->cx, run->tree, &e));
    btree_close(run->tree);
    store_close(&run->cx, run->store, false);
    vfs_free(vfs);
    simdisk_free(disk);
}

static void cut_everywhere(KeyKind kind, uint64_t seed)
{
    Run *run = calloc(1, sizeof *run);
    SchedStats stats;
    Rng r;
    budget_init(&run->root, "crash", NULL, 0, 0);
    err_clear(&run->err);
    ctx_init(&run->cx, &run->err, &run->root, NULL);
    spin_init(&run->lock, RANK_LEAF);
    run->seed = seed;
    run->kind = kind;
    rng_seed(&r, seed);
    OK(&run->cx, simdisk_new(&run->root, &run->err, &run->disk));
    OK(&run->cx, simdisk_record(run->disk, true, &run->err));
    OK(&run->cx, sched_run(seed, 4, scheduled_run, run, &run->err, &stats));
    qsort(run->done, run->n_done, sizeof run->done[0], by_lsn);
    uint64_t ios = simdisk_io_count(run->disk);
    uint64_t cuts = 0;
    for (uint64_t io = run->created_io; io <= ios; io += 1 + rng_below(&r, 1 + ios / 60)) {
        check_cut(run, io, rng_next(&r));
        cuts++;
    }
    check_cut(run, ios, UINT64_MAX);
    print_message("# %s seed %llu: %u changes, %llu I/Os, %llu cuts, %llu switches\n", bt_kind_name[kind],
                  (unsigned long long)seed, run->n_done, (unsigned long long)ios, (unsigned long long)cuts,
                  (unsigned long long)stats.switches);
    simdisk_free(run->disk);
    budget_done(&run->root);
    free(run);
}

static void recovery_finds_a_prefix_of_the_log(void **state)
{
    (void)state;
    const char *s = getenv("SEED");
    uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : 1;
    static const KeyKind kinds[] = {KEYS_HUGE, KEYS_PREFIX, KEYS_EQUAL_HUGE, KEYS_RANDOM_LEN};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        cut_everywhere(kinds[i], seed + i);
    }
}

/* ---- faults ---- */

typedef struct Faulty {
    Budget root;
    Error err;
    Ctx cx;
    MemFault fault;
    SimDisk *disk;
    Vfs *vfs;
    Store *store;
    BTree *tree;
    BTreeRef ref;
    Model model;
    KeyKind kind;
    int steps;
    uint64_t failures;
} Faulty;

static void faulty_open(Faulty *f, KeyKind kind, int steps)
{
    memset(f, 0, sizeof *f);
    f->kind = kind;
    f->steps = steps;
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->root, "fault", NULL, 0, 0);
    f->root.fault = &f->fault;
    err_clear(&f->err);
    ctx_init(&f->cx, &f->err, &f->root, NULL);
    OK(&f->cx, simdisk_new(&f->root, &f->err, &f->disk));
    OK(&f->cx, simdisk_vfs(f->disk, &f->err, &f->vfs));
    f->store = open_on(&f->cx, &f->root, f->vfs, true, false);
    f->tree = bt_new_tree(&f->cx, f->store, &f->ref);
    OK(&f->cx, wal_wait(&f->cx, f->store, wal_end(f->store)));
}

static void faulty_close(Faulty *f)
{
    btree_close(f->tree);
    store_close(&f->cx, f->store, false);
    vfs_free(f->vfs);
    simdisk_free(f->disk);
    btree_model_done(&f->model);
    budget_done(&f->root);
}

/* Counts a failure and clears it; true: the store is still alive. */
static bool failed(Faulty *f, Status st)
{
    assert_int_equal(f->err.status, st);
    f->failures++;
    err_clear(&f->err);
    Error state;
    err_clear(&state);
    return store_state(f->store, &state) == ST_OK;
}

/* One change; after a failure once more. False: the store has stopped. */
static bool faulty_change(Faulty *f, Rng *r, bool grow)
{
    static uint8_t key[BTREE_ENTRY_MAX];
    uint8_t payload[64];
    TestEntry e = {.key = key};
    bt_random_entry(r, f->kind, 2000, false, &e);
    bool insert = rng_below(r, 100) < (grow ? 85u : 15u);
    for (int tries = 0; tries < 4; tries++) {
        BTreeWrite w;
        BTreeDelete how = {.kind = BTREE_PURGE};
        Status st =
            insert ? btree_insert(&f->cx, f->tree, (TxnId){7}, bt_key(&e), e.tid, bt_payload(&e, payload), NULL, &w)
                   : btree_delete(&f->cx, f->tree, (TxnId){7}, bt_key(&e), e.tid, &how, &w);
        if (st == ST_OK) {
            assert_int_equal(w.done, insert ? btree_model_insert(&f->model, &e) : btree_model_delete(&f->model, &e));
            op_release_undo(f->store, insert ? w.undo_wal_bytes : 0);
            return true;
        }
        if (!failed(f, st)) {
            return false;
        }
    }
    return false;
}

static Status count_entry(void *arg, Ctx *cx, const BTreeEntry *e)
{
    (void)cx, (void)e;
    ++*(uint64_t *)arg;
    return ST_OK;
}

static void faulty_work(Faulty *f)
{
    Rng r;
    uint64_t n = 0;
    rng_seed(&r, 5);
    for (int i = 0; i < f->steps; i++) {
        if (!faulty_change(f, &r, i < f->steps / 5 * 3)) {
            return;
        }
        if (i % (f->steps / 5) == f->steps / 5 - 1) {
            Status st = btree_sweep(&f->cx, f->tree, (Tid){2}, count_entry, &n);
            if (st != ST_OK && !failed(f, st)) {
                return;
            }
            BTreeCheck c = {.quiescent = true};
            st = btree_check(&f->cx, f->tree, &c);
            assert_int_equal(c.problems, 0);
            if (st != ST_OK && !failed(f, st)) {
                return;
            }
            st = store_tick(&f->cx, f->store);
            if (st != ST_OK && !failed(f, st)) {
                return;
            }
        }
    }
}

/* Any allocation may fail: the call says so, nothing has happened, and the next one succeeds. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t fired = 1, runs = 0;
    for (int64_t nth = 1; fired > 0; nth += 1 + nth / 40) {
        Faulty f;
        faulty_open(&f, KEYS_HUGE, 500);
        atomic_store(&f.fault.countdown, nth);
        faulty_work(&f);
        atomic_store(&f.fault.countdown, -1);
        fired = atomic_load(&f.fault.fired);
        bt_expect_equal(&f.cx, f.tree, &f.model);
        (void)bt_verify(&f.cx, f.tree, true);
        faulty_close(&f);
        runs++;
    }
    print_message("# %llu runs until none failed\n", (unsigned long long)runs);
}

/* Any I/O may fail: after failed reads the tree goes on; after the others the store may have stopped, and recovers. */
static void any_io_may_fail(void **state)
{
    (void)state;
    static const SimOpClass classes[] = {SIM_READS, SIM_WRITES, SIM_SYNCS, SIM_ALLOCS};
    for (size_t c = 0; c < ARRAY_LEN(classes); c++) {
        uint64_t fired = 1, runs = 0;
        for (uint64_t nth = 1; fired > 0; nth += 1 + nth / 5) {
            Faulty f;
            faulty_open(&f, KEYS_RANDOM_LEN, 1500);
            simdisk_fail_at(f.disk, classes[c], nth, false, ST_IO_ERROR);
            faulty_work(&f);
            simdisk_heal(f.disk);
            fired = simdisk_faults_fired(f.disk);
            if (classes[c] == SIM_READS) {
                bt_expect_equal(&f.cx, f.tree, &f.model);
            }
            btree_close(f.tree);
            store_close(&f.cx, f.store, false);
            err_clear(&f.err);
            f.store = open_on(&f.cx, &f.root, f.vfs, false, false);
            OK(&f.cx, btree_open_root(&f.cx, f.store, f.ref.root, &f.tree));
            (void)bt_verify(&f.cx, f.tree, true);
            faulty_close(&f);
            runs++;
        }
        print_message("# class %zu: %llu runs until none failed\n", c, (unsigned long long)runs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_finds_a_prefix_of_the_log),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(any_io_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
