/*
 * Locks as one reads about them in PostgreSQL's manual: who conflicts with whom, who goes first, what is released when.
 */
#include "test_lock_fixture.h"

/* ---- modes ---- */

/* Table 13.2 of PostgreSQL's manual, in the order of its rows: X = the two modes conflict. */
static const char *const MANUAL[] = {
    /* requested: AS RS RX SUX S SRX X AX */
    ".......X", /* ACCESS SHARE */
    "......XX", /* ROW SHARE */
    "....XXXX", /* ROW EXCLUSIVE */
    "...XXXXX", /* SHARE UPDATE EXCLUSIVE */
    "..XX.XXX", /* SHARE */
    "..XXXXXX", /* SHARE ROW EXCLUSIVE */
    ".XXXXXXX", /* EXCLUSIVE */
    "XXXXXXXX", /* ACCESS EXCLUSIVE */
};

static void test_conflicts_are_those_of_the_manual(void **state)
{
    (void)state;
    for (LockMode held = LOCK_ACCESS_SHARE; held < LOCK_MODE_END; held++) {
        for (LockMode asked = LOCK_ACCESS_SHARE; asked < LOCK_MODE_END; asked++) {
            World *w = calloc(1, sizeof *w);
            world_init(w, 2, &(LockConfig){0});
            bool conflict = MANUAL[held - 1][asked - 1] == 'X';
            assert_int_equal(conflict, (lock_conflicts(held) & lock_mask(asked)) != 0);
            assert_int_equal(try_take(&w->actors[0], table(5), held), ST_OK);
            assert_int_equal(try_take(&w->actors[1], table(5), asked), conflict ? ST_WOULD_BLOCK : ST_OK);
            assert_int_equal(w->actors[1].err.status, ST_OK); /* LOCK_TRY records nothing */
            world_done(w);
            free(w);
        }
    }
}

static void test_covering(void **state)
{
    (void)state;
    assert_true(lock_covers(LOCK_ACCESS_EXCLUSIVE, LOCK_ACCESS_SHARE));
    assert_true(lock_covers(LOCK_SHARE_ROW_EXCLUSIVE, LOCK_SHARE));
    assert_true(lock_covers(LOCK_ROW_EXCLUSIVE, LOCK_ACCESS_SHARE));
    assert_false(lock_covers(LOCK_SHARE, LOCK_ROW_EXCLUSIVE)); /* it excludes them, but lets other SHAREs in */
    assert_false(lock_covers(LOCK_ACCESS_SHARE, LOCK_ROW_SHARE));
}

static void test_names(void **state)
{
    (void)state;
    char text[LOCK_TAG_TEXT_BYTES];
    LockTag tag = lock_tag_table(1, 16384);
    assert_string_equal(lock_tag_text(&tag, text, sizeof text), "relation 16384 of database 1");
    tag = lock_tag_row(1, 16384, tid_make(page_id(0, 7), 2, 9));
    assert_string_equal(lock_tag_text(&tag, text, sizeof text), "tuple (7,3) of relation 16384 of database 1");
    tag = lock_tag_txn((TxnId){760});
    assert_string_equal(lock_tag_text(&tag, text, sizeof text), "transaction 760");
    tag = lock_tag_advisory(1, UINT64_C(0x500000006));
    assert_string_equal(lock_tag_text(&tag, text, sizeof text), "advisory lock [1,5,6,1]");
    tag = lock_tag_object(1, 2, 3);
    assert_string_equal(lock_tag_text(&tag, text, sizeof text), "object 3 of class 2 of database 1");
    assert_string_equal(lock_mode_name(LOCK_SHARE_ROW_EXCLUSIVE), "ShareRowExclusiveLock");
    assert_string_equal(lock_kind_name(LOCK_KIND_TRANSACTION), "transactionid");
    assert_string_equal(lock_tag_text(&tag, text, 7), "object"); /* cut, terminated */
}

/* ---- counting and scopes, one thread ---- */

static World *world_of(int n)
{
    World *w = calloc(1, sizeof *w);
    world_init(w, n, &(LockConfig){0});
    return w;
}

static void world_end(World *w)
{
    world_done(w);
    free(w);
}

static void test_acquisitions_are_counted(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *a = &w->actors[0];
    Actor *b = &w->actors[1];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(a, table(1), LOCK_EXCLUSIVE), ST_OK);
    }
    assert_true(give(a, table(1), LOCK_EXCLUSIVE));
    assert_true(give(a, table(1), LOCK_EXCLUSIVE));
    assert_int_equal(try_take(b, table(1), LOCK_SHARE), ST_WOULD_BLOCK);
    assert_true(give(a, table(1), LOCK_EXCLUSIVE));
    assert_false(give(a, table(1), LOCK_EXCLUSIVE));
    assert_false(give(a, table(2), LOCK_EXCLUSIVE));
    assert_int_equal(try_take(b, table(1), LOCK_SHARE), ST_OK);
    world_end(w);
}

static void test_a_covered_mode_stays_when_the_stronger_one_goes(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *a = &w->actors[0];
    LockTag t = table(1);
    assert_int_equal(take(a, t, LOCK_ACCESS_EXCLUSIVE), ST_OK);
    assert_true(lock_held(&a->owner, &t, LOCK_ROW_SHARE));
    assert_int_equal(take(a, t, LOCK_ROW_SHARE), ST_OK);
    assert_true(give(a, t, LOCK_ACCESS_EXCLUSIVE));
    assert_true(lock_held(&a->owner, &t, LOCK_ROW_SHARE));
    assert_false(lock_held(&a->owner, &t, LOCK_SHARE));
    assert_int_equal(try_take(&w->actors[1], t, LOCK_EXCLUSIVE), ST_WOULD_BLOCK);
    assert_int_equal(try_take(&w->actors[1], t, LOCK_SHARE), ST_OK);
    world_end(w);
}

static void test_own_locks_never_conflict(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *a = &w->actors[0];
    assert_int_equal(take(a, table(1), LOCK_SHARE), ST_OK);
    assert_int_equal(take(a, table(1), LOCK_ROW_EXCLUSIVE), ST_OK);
    assert_int_equal(take(a, table(1), LOCK_ACCESS_EXCLUSIVE), ST_OK);
    lock_release_all(&a->owner);
    /* Two sharers: neither can go up. */
    assert_int_equal(take(a, table(1), LOCK_SHARE), ST_OK);
    assert_int_equal(take(&w->actors[1], table(1), LOCK_SHARE), ST_OK);
    assert_int_equal(try_take(a, table(1), LOCK_EXCLUSIVE), ST_WOULD_BLOCK);
    world_end(w);
}

static void test_nowait_says_what_it_could_not_get(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *b = &w->actors[1];
    LockTag t = table(7);
    assert_int_equal(take(&w->actors[0], t, LOCK_ROW_EXCLUSIVE), ST_OK);
    Status st = lock_acquire(&b->cx, &b->owner, &t, LOCK_SHARE, LOCK_NOWAIT, -1);
    assert_int_equal(st, ST_LOCK_NOT_AVAILABLE);
    assert_string_equal(b->err.sqlstate, "55P03");
    assert_string_equal(b->err.message, "could not obtain lock on relation 7 of database 1");
    assert_int_equal(b->waits_begun, 0);
    world_end(w);
}

static void test_savepoints_give_up_what_came_after_them(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *a = &w->actors[0];
    Actor *b = &w->actors[1];
    assert_int_equal(take(a, table(1), LOCK_EXCLUSIVE), ST_OK);
    LockMark outer = lock_mark(&a->owner);
    assert_int_equal(take(a, table(2), LOCK_EXCLUSIVE), ST_OK);
    LockMark inner = lock_mark(&a->owner);
    assert_int_equal(take(a, table(1), LOCK_EXCLUSIVE), ST_OK);        /* held before */
    assert_int_equal(take(a, table(1), LOCK_ACCESS_EXCLUSIVE), ST_OK); /* a mode more */
    assert_int_equal(take(a, table(3), LOCK_EXCLUSIVE), ST_OK);
    lock_release_since(&a->owner, inner);
    assert_int_equal(try_take(b, table(3), LOCK_EXCLUSIVE), ST_OK);
    assert_int_equal(try_take(b, table(1), LOCK_ACCESS_SHARE), ST_OK); /* ACCESS EXCLUSIVE is gone */
    assert_int_equal(try_take(b, table(1), LOCK_SHARE), ST_WOULD_BLOCK);
    assert_int_equal(try_take(b, table(2), LOCK_SHARE), ST_WOULD_BLOCK);
    lock_release_since(&a->owner, inner); /* again: nothing */
    lock_release_since(&a->owner, outer);
    assert_int_equal(try_take(b, table(2), LOCK_SHARE), ST_OK);
    assert_int_equal(try_take(b, table(1), LOCK_SHARE), ST_WOULD_BLOCK);
    lock_release_all(&a->owner);
    assert_int_equal(try_take(b, table(1), LOCK_SHARE), ST_OK);
    world_end(w);
}

static Status take_session(Actor *a, LockTag tag, LockMode mode)
{
    return lock_acquire_session(&a->cx, &a->owner, &tag, mode, LOCK_TRY, -1);
}

static void test_session_locks_outlive_the_transaction(void **state)
{
    (void)state;
    World *w = world_of(2);
    Actor *a = &w->actors[0];
    Actor *b = &w->actors[1];
    LockTag k = lock_tag_advisory(1, 42);
    LockMark mark = lock_mark(&a->owner);
    assert_int_equal(take_session(a, k, LOCK_EXCLUSIVE), ST_OK);
    assert_int_equal(take_session(a, k, LOCK_EXCLUSIVE), ST_OK);
    assert_int_equal(take(a, k, LOCK_EXCLUSIVE), ST_OK); /* the same lock, also for the transaction */
    lock_release_since(&a->owner, mark);
    assert_false(lock_release(&a->owner, &k, LOCK_EXCLUSIVE));
    lock_release_all(&a->owner);
    assert_int_equal(try_take(b, k, LOCK_SHARE), ST_WOULD_BLOCK);
    assert_true(lock_release_session(&a->owner, &k, LOCK_EXCLUSIVE));
    assert_int_equal(try_take(b, k, LOCK_SHARE), ST_WOULD_BLOCK);
    assert_true(lock_release_session(&a->owner, &k, LOCK_EXCLUSIVE));
    assert_false(lock_release_session(&a->owner, &k, LOCK_EXCLUSIVE));
    assert_int_equal(try_take(b, k, LOCK_SHARE), ST_OK);
    lock_release_all(&b->owner);
    assert_int_equal(take_session(a, k, LOCK_SHARE), ST_OK);
    assert_int_equal(take_session(a, lock_tag_advisory(1, 43), LOCK_SHARE), ST_OK);
    lock_release_session_all(&a->owner);
    assert_int_equal(try_take(b, k, LOCK_EXCLUSIVE), ST_OK);
    world_end(w);
}

static void test_prepare_hands_locks_over(void **state)
{
    (void)state;
    World *w = world_of(3);
    Actor *a = &w->actors[0];
    Actor *prepared = &w->actors[1];
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(take(a, table(i), LOCK_EXCLUSIVE), ST_OK);
        assert_int_equal(take(a, table(i), LOCK_EXCLUSIVE), ST_OK);
    }
    assert_int_equal(take_session(a, table(1), LOCK_EXCLUSIVE), ST_OK);
    assert_int_equal(lock_transfer(&a->cx, &a->owner, &prepared->owner), ST_FEATURE_NOT_SUPPORTED);
    lock_release_session_all(&a->owner);
    assert_int_equal(lock_transfer(&a->cx, &a->owner, &prepared->owner), ST_OK);
    lockmgr_check(w->mgr);
    lock_release_all(&a->owner);
    assert_int_equal(try_take(a, table(3), LOCK_SHARE), ST_WOULD_BLOCK);
    assert_true(give(prepared, table(3), LOCK_EXCLUSIVE));
    assert_int_equal(try_take(a, table(3), LOCK_SHARE), ST_WOULD_BLOCK); /* the count came along */
    assert_true(give(prepared, table(3), LOCK_EXCLUSIVE));
    assert_int_equal(try_take(a, table(3), LOCK_SHARE), ST_OK);
    lock_release_all(&prepared->owner);
    assert_int_equal(try_take(a, table(99), LOCK_SHARE), ST_OK);
    world_end(w);
}

static void test_ten_thousand_locks_and_no_allocation_for_held_ones(void **state)
{
    (void)state;
    World *w = world_of(1);
    Actor *a = &w->actors[0];
    size_t empty = budget_used(&w->root);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(take(a, table(i), LOCK_ROW_EXCLUSIVE), ST_OK);
    }
    lockmgr_check(w->mgr);
    MemFault fault = {.countdown = 1, .persistent = true};
    w->root.fault = &fault;
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(take(a, table(i), LOCK_ROW_EXCLUSIVE), ST_OK);
    }
    assert_int_equal(take(a, table(10000), LOCK_ROW_EXCLUSIVE), ST_OUT_OF_MEMORY);
    w->root.fault = NULL;
    assert_true(budget_used(&w->root) > empty);
    lock_release_all(&a->owner);
    lockmgr_check(w->mgr);
    assert_false(give(a, table(5), LOCK_ROW_EXCLUSIVE));
    world_end(w);
}

static void count_info(void *arg, const LockInfo *info)
{
    int *n = arg;
    if (info->granted && info->tag.kind == LOCK_KIND_TABLE) {
        n[0]++;
    } else if (info->granted && info->tag.kind == LOCK_KIND_TRANSACTION) {
        assert_int_equal(info->mode, LOCK_EXCLUSIVE);
        assert_int_equal(info->pid, 1001);
        n[1]++;
    } else {
        n[2]++;
    }
}

static void test_locks_can_be_listed(void **state)
{
    (void)state;
    World *w = world_of(2);
    int n[3] = {0};
    take(&w->actors[0], table(1), LOCK_SHARE);
    take(&w->actors[0], table(1), LOCK_ACCESS_SHARE);
    take(&w->actors[1], table(2), LOCK_SHARE);
    begin(&w->actors[1]);
    assert_int_equal(lock_each(&w->actors[0].cx, w->mgr, count_info, n), ST_OK);
    assert_int_equal(n[0], 3);
    assert_int_equal(n[1], 1);
    assert_int_equal(n[2], 0);
    end(&w->actors[1]);
    world_end(w);
}

/* Every allocation fails once: nothing is left behind, and the next try works. */
static void test_no_memory_changes_nothing(void **state)
{
    (void)state;
    for (int64_t i = 1;; i++) {
        World *w = calloc(1, sizeof *w);
        MemFault fault = {.countdown = i};
        Error err;
        Ctx cx;
        budget_init(&w->root, "test", NULL, 0, 0);
        budget_init(&w->cold, "cold", NULL, 0, 0);
        w->root.fault = &fault;
        err_clear(&err);
        ctx_init(&cx, &err, &w->root, NULL);
        if (lockmgr_new(&cx, &w->root, &(LockConfig){0}, &w->mgr) != ST_OK) {
            assert_int_equal(err.status, ST_OUT_OF_MEMORY);
            budget_done(&w->root);
            free(w);
            continue;
        }
        w->n_actors = 1;
        Actor *a = actor_init(w, 0);
        for (uint64_t t = 0; t < 300; t++) {
            LockMark mark = lock_mark(&a->owner);
            Status st = take(a, table(t), LOCK_SHARE);
            if (st != ST_OK) {
                assert_int_equal(st, ST_OUT_OF_MEMORY);
                LockTag tag = table(t);
                assert_false(lock_held(&a->owner, &tag, LOCK_SHARE));
                assert_int_equal(lock_mark(&a->owner).acquired, mark.acquired);
                lockmgr_check(w->mgr);
                assert_int_equal(take(a, table(t), LOCK_SHARE), ST_OK);
            }
        }
        bool met = atomic_load(&fault.fired) > 0;
        world_end(w);
        if (!met) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts_are_those_of_the_manual),
        cmocka_unit_test(test_covering),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_acquisitions_are_counted),
        cmocka_unit_test(test_a_covered_mode_stays_when_the_stronger_one_goes),
        cmocka_unit_test(test_own_locks_never_conflict),
        cmocka_unit_test(test_nowait_says_what_it_could_not_get),
        cmocka_unit_test(test_savepoints_give_up_what_came_after_them),
        cmocka_unit_test(test_session_locks_outlive_the_transaction),
        cmocka_unit_test(test_prepare_hands_locks_over),
        cmocka_unit_test(test_ten_thousand_locks_and_no_allocation_for_held_ones),
        cmocka_unit_test(test_locks_can_be_listed),
        cmocka_unit_test(test_no_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
