/*
 * B+trees with several threads at once. Each thread owns the keys of its residue, which lie between those of all
 * others: it knows exactly what must be found of its own, whatever the others do to the same pages. A verifier runs
 * beside them. Unique inserts of one key by all threads let exactly one through.
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
#include "os/thread.h"

enum { THREADS = 4, KEYS_EACH = 4000 };

typedef struct Worker {
    BtFix *f;
    OsThread *thread;
    unsigned no;
    uint32_t steps;
    uint32_t key_len;
    uint32_t batch;
    uint8_t there[KEYS_EACH];
    _Atomic bool *stop;
} Worker;

static TestEntry own_key(const Worker *w, uint32_t i, uint8_t *buf)
{
    memset(buf, 'k', w->key_len);
    store_be32(buf + w->key_len - 4, i * THREADS + w->no);
    return (TestEntry){.key = buf, .key_len = w->key_len, .tid = {i + 1}};
}

static void start_ctx(Ctx *cx, Error *err, BtFix *f)
{
    err_clear(err);
    ctx_init(cx, err, &f->root, NULL);
}

/* The own keys from i on, for a while. */
static void scan_own(Ctx *cx, Worker *w, uint32_t i, bool backward)
{
    static _Thread_local uint8_t bytes[BTREE_ENTRY_MAX * 2];
    uint8_t buf[BTREE_ENTRY_MAX];
    Tid tids[64];
    BTreeItem items[64];
    BTreeBatch b = {.tids = tids, .items = items, .bytes = bytes, .max = w->batch, .bytes_max = sizeof bytes};
    BTreeCursor *c;
    TestEntry from = own_key(w, i, buf);
    BTreeBound edge = {.edge = BTREE_INCLUSIVE, .key = bt_key(&from)};
    BTreeRange range = {.backward = backward};
    *(backward ? &range.upper : &range.lower) = edge;
    OK(cx, btree_cursor_open(cx, w->f->tree, &range, &c));
    uint32_t next = i;
    for (int rounds = 0; rounds < 20; rounds++) {
        OK(cx, btree_cursor_next(cx, c, &b));
        for (uint32_t k = 0; k < b.n; k++) {
            BTreeEntry e = btree_batch_entry(&b, k);
            uint32_t v = load_be32(e.key.p + e.key.len - 4);
            if (v % THREADS != w->no) {
                continue;
            }
            while (next < KEYS_EACH && next != v / THREADS) {
                ASSERT(!w->there[next]); /* missed one */
                next = backward ? next - 1 : next + 1;
            }
            ASSERT(next < KEYS_EACH && w->there[next] && e.tid.v == next + 1u);
            next = backward ? next - 1 : next + 1;
        }
        if (b.n == 0) {
            while (next < KEYS_EACH) {
                ASSERT(!w->there[next]);
                next = backward ? next - 1 : next + 1;
            }
            break;
        }
    }
    btree_cursor_close(c);
}

static void look_up(Ctx *cx, Worker *w, const TestEntry *e, uint32_t i)
{
    Tid tids[4];
    bool more;
    BTreeBatch b = {.tids = tids, .max = 4};
    OK(cx, btree_lookup(cx, w->f->tree, bt_key(e), &b, &more));
    ASSERT(b.n == w->there[i] && !more);
    ASSERT(b.n == 0 || tids[0].v == i + 1u);
}

static void write_and_read(void *arg)
{
    Worker *w = arg;
    Ctx cx;
    Error err;
    Rng r;
    uint8_t buf[BTREE_ENTRY_MAX];
    start_ctx(&cx, &err, w->f);
    rng_seed(&r, 77 + w->no);
    for (uint32_t step = 0; step < w->steps; step++) {
        uint32_t i = (uint32_t)rng_below(&r, KEYS_EACH);
        TestEntry e = own_key(w, i, buf);
        /* Waves: the tree fills and empties again and again. */
        bool filling = step / (w->steps / 6) % 2 == 0;
        uint64_t what = rng_below(&r, 100);
        if (what < (filling ? 70u : 10u)) {
            ASSERT(bt_insert(&cx, w->f->tree, &e) == !w->there[i]);
            w->there[i] = 1;
        } else if (what < 80) {
            ASSERT(bt_delete(&cx, w->f->tree, &e, what % 2 == 0 ? BTREE_PURGE : BTREE_UNDO) == w->there[i]);
            w->there[i] = 0;
        } else if (what < 99) {
            look_up(&cx, w, &e, i);
        } else {
            scan_own(&cx, w, i, rng_below(&r, 2) == 0);
        }
    }
}

static void verify_beside(void *arg)
{
    Worker *w = arg;
    Ctx cx;
    Error err;
    start_ctx(&cx, &err, w->f);
    while (!atomic_load(w->stop)) {
        (void)bt_verify(&cx, w->f->tree, false);
        os_sleep_us(1000);
    }
}

static void run_threads(void (*opener)(BtFix *f, size_t frames), size_t frames, uint32_t key_len, uint32_t steps,
                        bool cross_check)
{
    BtFix f;
    static Worker w[THREADS + 1];
    _Atomic bool stop = false;
    uint64_t expected = 0;
    opener(&f, frames);
    btree_cross_check(f.tree, cross_check);
    for (unsigned i = 0; i <= THREADS; i++) {
        memset(&w[i], 0, sizeof w[i]);
        w[i] = (Worker){.f = &f, .no = i, .steps = steps, .key_len = key_len, .batch = 1 + i * 20, .stop = &stop};
        OK(&f.cx, os_thread_start("btree", i < THREADS ? write_and_read : verify_beside, &w[i], &f.err, &w[i].thread));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        os_thread_join(w[i].thread);
        for (uint32_t k = 0; k < KEYS_EACH; k++) {
            expected += w[i].there[k];
        }
    }
    atomic_store(&stop, true);
    os_thread_join(w[THREADS].thread);
    ASSERT(bt_verify(&f.cx, f.tree, true).entries == expected);
    bt_reopen(&f);
    ASSERT(bt_verify(&f.cx, f.tree, true).entries == expected);
    bt_close(&f);
}

static void threads_find_exactly_their_own(void **state)
{
    (void)state;
    run_threads(bt_open, 512, 8, 40000, false);
    run_threads(bt_open, 512, 8, 20000, true);
}

static void splits_and_merges_all_the_time(void **state)
{
    (void)state;
    run_threads(bt_open, 2048, 700, 12000, false);
}

static void a_small_pool_evicts_under_them(void **state)
{
    (void)state;
    run_threads(bt_open, 96, 300, 4000, false);
}

/* ---- unique ---- */

enum { RACE_KEYS = 40, DEAD_EACH = 40 };

typedef struct Race {
    BtFix *f;
    OsThread *thread;
    unsigned no;
    uint64_t seed;
    uint32_t won;
} Race;

/* Entries with an odd TID are live. */
static Status race_check(void *arg, Ctx *cx, Tid tid, BTreeVerdict *out)
{
    (void)arg, (void)cx;
    *out = tid.v % 2 == 1 ? BTREE_CONFLICT : BTREE_IGNORE;
    return ST_OK;
}

static void race(void *arg)
{
    Race *r = arg;
    Ctx cx;
    Error err;
    Rng rng;
    start_ctx(&cx, &err, r->f);
    rng_seed(&rng, r->seed * THREADS + r->no);
    for (uint32_t k = 0; k < RACE_KEYS; k++) {
        uint8_t key[4];
        BTreeWrite w;
        BTreeUnique u = {.check = race_check};
        store_be32(key, k);
        Tid tid = {1 + 2 * rng_below(&rng, DEAD_EACH)};
        Status st = btree_insert(&cx, r->f->tree, (TxnId){7}, (BTreeBytes){key, 4}, tid, (BTreeBytes){0}, &u, &w);
        ASSERT(st == ST_OK || st == ST_UNIQUE_VIOLATION);
        if (st == ST_OK && w.done) {
            op_release_undo(r->f->store, w.undo_wal_bytes);
            r->won++;
        }
    }
}

/* Dead entries with big payloads: a key's entries lie on several leaves, and a live one may belong on any of them. */
static void insert_dead(BtFix *f)
{
    static const uint8_t payload[1200];
    uint8_t key[4];
    for (uint32_t k = 0; k < RACE_KEYS; k++) {
        store_be32(key, k);
        for (uint64_t i = 1; i <= DEAD_EACH; i++) {
            BTreeWrite w;
            OK(&f->cx, btree_insert(&f->cx, f->tree, (TxnId){7}, (BTreeBytes){key, 4}, (Tid){2 * i},
                                    (BTreeBytes){payload, sizeof payload}, NULL, &w));
            op_release_undo(f->store, w.undo_wal_bytes);
        }
    }
}

static void run_race(void (*opener)(BtFix *f, size_t frames), uint64_t seed)
{
    BtFix f;
    Race r[THREADS] = {0};
    uint32_t won = 0;
    opener(&f, 512);
    insert_dead(&f);
    for (unsigned i = 0; i < THREADS; i++) {
        r[i] = (Race){.f = &f, .no = i, .seed = seed};
        OK(&f.cx, os_thread_start("race", race, &r[i], &f.err, &r[i].thread));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        os_thread_join(r[i].thread);
        won += r[i].won;
    }
    ASSERT(won == RACE_KEYS);
    ASSERT(bt_verify(&f.cx, f.tree, true).entries == RACE_KEYS * (1 + DEAD_EACH));
    bt_close(&f);
}

static void one_of_many_unique_inserts_wins(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run_race(bt_open, seed);
    }
}

/* ---- under the scheduler: every order of events the seeds give ---- */

static void scheduled_race(void *arg)
{
    run_race(bt_open_sim, *(uint64_t *)arg);
}

static void scheduled_threads(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    run_threads(bt_open_sim, 256, seed % 2 == 0 ? 8 : 1500, 600, seed % 3 == 0);
}

static void every_order_of_events_is_fine(void **state)
{
    (void)state;
    const char *s = getenv("SEED");
    uint64_t first = s != NULL ? strtoull(s, NULL, 0) : 1;
    for (uint64_t seed = first; seed < first + 12; seed++) {
        Error err;
        SchedStats stats;
        err_clear(&err);
        print_message("# seed %llu\n", (unsigned long long)seed);
        assert_int_equal(sched_run(seed, 3, scheduled_race, &seed, &err, &stats), ST_OK);
        assert_int_equal(sched_run(seed, 3, scheduled_threads, &seed, &err, &stats), ST_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_find_exactly_their_own), cmocka_unit_test(splits_and_merges_all_the_time),
        cmocka_unit_test(a_small_pool_evicts_under_them), cmocka_unit_test(one_of_many_unique_inserts_wins),
        cmocka_unit_test(every_order_of_events_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
