/*
 * Latches and the buffer pool under many threads, scheduled (every interleaving from a seed) and free-running: mutual exclusion,
 * no lost wake-up, optimistic readers that never believe a torn read, version tables that follow their pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "helper_store.h"
#include "os/sched.h"

enum { THREADS = 4 };

/* ---- the latch alone ---- */

typedef struct Shared {
    BufFrame frame;
    uint64_t a, b; /* equal whenever nobody holds it exclusively */
    uint64_t writes;
    unsigned rounds;
    uint64_t seed;
    _Atomic uint64_t written, upgrades;
} Shared;

typedef struct User {
    Shared *s;
    unsigned number;
    OsThread *thread;
} User;

static void write_both(Shared *s)
{
    s->a++;
    SYNC_POINT("test.between");
    s->b++;
    s->writes++;
    atomic_fetch_add(&s->written, 1);
}

static void use_latch(void *arg)
{
    User *u = arg;
    Shared *s = u->s;
    Rng rng;
    rng_seed(&rng, s->seed * 100 + u->number);
    for (unsigned i = 0; i < s->rounds; i++) {
        LatchMode mode = rng_below(&rng, 3) == 0 ? LATCH_EXCLUSIVE : LATCH_SHARED;
        frame_latch(&s->frame, mode);
        ASSERT(s->a == s->b);
        if (mode == LATCH_SHARED && rng_below(&rng, 4) == 0 && buf_try_upgrade(&s->frame)) {
            atomic_fetch_add(&s->upgrades, 1);
            write_both(s);
            if (rng_below(&rng, 2) == 0) {
                buf_downgrade(&s->frame);
                ASSERT(s->a == s->b);
            }
        } else if (mode == LATCH_EXCLUSIVE) {
            write_both(s);
        }
        frame_unlatch(&s->frame);
    }
}

static void run_users(void *arg)
{
    Shared *s = arg;
    User users[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        users[i] = (User){.s = s, .number = i};
        ASSERT(os_thread_start("latch", use_latch, &users[i], NULL, &users[i].thread) == ST_OK);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        os_thread_join(users[i].thread);
    }
    ASSERT(s->a == s->b && s->writes == atomic_load(&s->written));
    ASSERT((atomic_load(&s->frame.latch) & (LATCH_EXCL | LATCH_PARKED | LATCH_SHARED_MASK)) == 0);
    ASSERT(atomic_load(&s->frame.latch) / LATCH_VERSION_ONE == s->writes);
}

/* A lost wake-up is a deadlock, which the scheduler reports with the seed. */
static void latches_exclude_and_wake_under_every_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        Shared s = {.rounds = 30, .seed = seed};
        Error err;
        err_clear(&err);
        assert_int_equal(sched_run(seed, 2, run_users, &s, &err, NULL), ST_OK);
    }
}

static void latches_exclude_and_wake_on_free_threads(void **state)
{
    (void)state;
    Shared s = {.rounds = 20000, .seed = 1};
    run_users(&s);
    assert_true(atomic_load(&s.upgrades) > 0);
}

/* ---- optimistic readers ---- */

typedef struct Readers {
    Fixture *f;
    StoreObject *o;
    PageId page;
    _Atomic bool stop;
    _Atomic uint64_t valid, invalid;
} Readers;

static void read_optimistically(void *arg)
{
    Readers *r = arg;
    while (!atomic_load(&r->stop)) {
        BufOpt opt;
        if (!buf_opt_begin(r->f->store, r->page, &opt)) {
            os_yield();
            continue;
        }
        uint64_t a;
        uint64_t b;
        memcpy(&a, opt.page + 64, 8);
        memcpy(&b, opt.page + 64 + 8 * 90, 8);
        if (buf_opt_valid(&opt)) {
            ASSERT(a == b);
            atomic_fetch_add(&r->valid, 1);
        } else {
            atomic_fetch_add(&r->invalid, 1);
        }
    }
}

/* The writer changes two cells under one latch; whoever validates must have seen both or none. */
static void optimistic_readers_never_believe_half_a_change(void **state)
{
    Fixture *f = *state;
    f->config.wal_ring_bytes = 1 << 20;
    open_store(f, true);
    Readers r = {.f = f, .o = open_object(f, make_object(f))};
    add_page(f, r.o);
    assert_true(object_page_at(r.o, 0, &r.page));
    OsThread *threads[2];
    for (int i = 0; i < 2; i++) {
        OK(f, os_thread_start("reader", read_optimistically, &r, &f->err, &threads[i]));
    }
    for (uint64_t v = 1; v <= 20000; v++) {
        StoreOp op;
        BufFrame *frame;
        uint8_t data[2][12];
        OpNeed need = {.wal_bytes = 2 * wal_record_bytes(1, 16), .frames = 1};
        OK(f, op_begin(&f->cx, f->store, &need, &op));
        OK(f, buf_fix(&f->cx, f->store, r.page, OBJ_NONE, LATCH_EXCLUSIVE, &frame));
        for (uint32_t i = 0; i < 2; i++) {
            store_u32(data[i], i * 90);
            store_u64(data[i] + 4, v);
            LogPage lp = {.frame = frame, .redo = TEST_REDO, .data = data[i], .len = 12};
            store_log(&op, TEST_WAL, 0, TXN_NONE, &lp, 1, NULL, 0);
        }
        buf_unfix(frame);
        op_end(&op);
    }
    atomic_store(&r.stop, true);
    os_thread_join(threads[0]);
    os_thread_join(threads[1]);
    object_close(r.o);
    close_store(f, false);
}

/* ---- version tables ---- */

static void version_tables_follow_their_pages_through_eviction(void **state)
{
    Fixture *f = *state;
    enum { PAGES = 200 };
    static BufVersions tables[PAGES];
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    for (uint32_t i = 0; i < PAGES; i++) {
        PageId id;
        BufFrame *frame;
        add_page(f, o);
        assert_true(object_page_at(o, i, &id));
        OK(f, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &frame));
        assert_null(buf_versions(frame));
        buf_set_versions(frame, &tables[i]);
        buf_unfix(frame);
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < PAGES; i++) {
            PageId id;
            BufFrame *frame;
            assert_true(object_page_at(o, i, &id));
            OK(f, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &frame));
            assert_ptr_equal(buf_versions(frame), round == 0 ? &tables[i] : NULL);
            buf_set_versions(frame, NULL);
            buf_unfix(frame);
        }
    }
    BufStats stats;
    buf_stats(f->store, &stats);
    assert_true(stats.evictions > PAGES && stats.misses > PAGES && stats.hits > 0);
    object_close(o);
    close_store(f, false);
}

static void trying_does_not_wait(void **state)
{
    Fixture *f = *state;
    PageId id;
    BufFrame *a;
    BufFrame *b;
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    add_page(f, o);
    assert_true(object_page_at(o, 0, &id));
    OK(f, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &a));
    assert_int_equal(buf_try_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_SHARED, &b), ST_WOULD_BLOCK);
    buf_downgrade(a);
    assert_int_equal(buf_try_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &b), ST_WOULD_BLOCK);
    assert_int_equal(buf_latch_mode(a), LATCH_SHARED);
    assert_true(buf_try_upgrade(a));
    assert_int_equal(buf_latch_mode(a), LATCH_EXCLUSIVE);
    buf_unfix(a);
    object_close(o);
    close_store(f, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latches_exclude_and_wake_under_every_seed),
        cmocka_unit_test(latches_exclude_and_wake_on_free_threads),
        cmocka_unit_test_setup_teardown(optimistic_readers_never_believe_half_a_change, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(version_tables_follow_their_pages_through_eviction, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(trying_does_not_wait, setup_sim, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
