/*
 * Deadlocks: every mixture of waits for locks, for places in a queue and for transactions, over two to five owners, is
 * found and costs exactly one victim; and what only looks like one costs none.
 */
#include "test_lock_fixture.h"

/* ---- the report ---- */

static void report_first(Actor *a)
{
    begin(a);
    CHECK(take(a, table(7), LOCK_ROW_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    CHECK(wait_for(a, &a->world->actors[1], -1) == ST_DEADLOCK_DETECTED);
    CHECK(now_ms(a) >= 1010 && now_ms(a) <= 1011);
    CHECK(strcmp(a->err.sqlstate, "40P01") == 0 && strcmp(a->err.message, "deadlock detected") == 0);
    CHECK(strcmp(a->err.detail, "Process 1000 waits for ShareLock on transaction 101; blocked by process 1001.\n"
                                "Process 1001 waits for ShareRowExclusiveLock on relation 7 of database 1; "
                                "blocked by process 1000.") == 0);
    CHECK(strcmp(a->err.hint, "See server log for query details.") == 0);
    end(a);
}

static void report_second(Actor *a)
{
    begin(a);
    at_ms(a, 20);
    CHECK(take(a, table(7), LOCK_SHARE_ROW_EXCLUSIVE) == ST_OK);
    end(a);
}

static void after_report(World *w)
{
    w->log[w->log_len] = 0;
    CHECK(strstr(w->log, "deadlock: Process 1000 waits for ShareLock on transaction 101;") != NULL);
    CHECK(strstr(w->log, "process 1000 detected deadlock while waiting for ShareLock on transaction 101 after 1000.") !=
          NULL);
}

static void test_the_report_is_postgresqls(void **state)
{
    (void)state;
    play((Play){.n_actors = 2, .stories = {report_first, report_second}, .after = after_report, .logged = true});
}

/* ---- all mixtures ---- */

/*
 * Actor i waits for actor i + 1. HARD: for an exclusive lock on table i, which i + 1 shares. SOFT: to share table i + 1,
 * in whose queue i + 1 waits before it (so the edge of i + 1 is HARD). TXN: for the transaction of i + 1.
 */
enum { HARD, TXN, SOFT, EDGE_KINDS };

typedef struct Ring {
    int n;
    int edges[5];
    int victims;
    int finished;
} Ring;

static Ring ring;

static void ring_story(Actor *a)
{
    int i = a->index;
    int next = (i + 1) % ring.n;
    int before = (i + ring.n - 1) % ring.n;
    begin(a);
    if (ring.edges[before] == HARD) {
        CHECK(take(a, table((uint64_t)before), LOCK_ACCESS_SHARE) == ST_OK);
    }
    at_ms(a, 10 + ring.n - i); /* so that i + 1 is queued before i */
    Status st = ST_OK;
    switch (ring.edges[i]) {
    case HARD: st = take(a, table((uint64_t)i), LOCK_ACCESS_EXCLUSIVE); break;
    case SOFT: st = take(a, table((uint64_t)next), LOCK_ACCESS_SHARE); break;
    default: st = wait_for(a, &a->world->actors[next], -1);
    }
    CHECK(st == ST_OK || st == ST_DEADLOCK_DETECTED);
    ring.victims += st != ST_OK;
    ring.finished++;
    end(a);
}

static bool ring_valid(void)
{
    for (int i = 0; i < ring.n; i++) {
        /* Of two, the one behind would hold the lock already. */
        if (ring.edges[i] == SOFT && (ring.n == 2 || i == ring.n - 1 || ring.edges[i + 1] != HARD)) {
            return false;
        }
    }
    return true;
}

static bool ring_next(void)
{
    for (int i = 0; i < ring.n; i++) {
        if (++ring.edges[i] < EDGE_KINDS) {
            return true;
        }
        ring.edges[i] = 0;
    }
    return false;
}

static void test_rings_of_all_kinds_have_one_victim(void **state)
{
    (void)state;
    Play p = {.stories = {ring_story, ring_story, ring_story, ring_story, ring_story}};
    int tried = 0;
    for (int n = 2; n <= 5; n++) {
        ring = (Ring){.n = n};
        p.n_actors = n;
        do {
            for (int seed = 1; seed <= 3 && ring_valid(); seed++) {
                ring.victims = 0;
                ring.finished = 0;
                Error err;
                err_clear(&err);
                assert_int_equal(sched_run((uint64_t)seed, 2, play_once, &p, &err, NULL), ST_OK);
                assert_int_equal(ring.victims, 1);
                assert_int_equal(ring.finished, n);
                tried++;
            }
        } while (ring_next());
    }
    assert_true(tried > 300);
}

/* ---- at once ---- */

static void upgrader(Actor *a)
{
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 10 + a->index);
    Status st = take(a, table(1), LOCK_EXCLUSIVE);
    if (a->index == 0) {
        CHECK(st == ST_OK); /* once the other has given up */
        CHECK(now_ms(a) <= 12);
    } else {
        CHECK(st == ST_DEADLOCK_DETECTED);
        CHECK(now_ms(a) <= 12); /* seen without waiting */
        CHECK(strcmp(a->err.detail, "Process 1001 waits for ExclusiveLock on relation 1 of database 1; blocked by "
                                    "process 1000.\nProcess 1000 waits for ExclusiveLock on relation 1 of database 1; "
                                    "blocked by process 1001.") == 0);
        CHECK(a->waits_begun == 0);
        LockTag t = table(1);
        CHECK(lock_held(&a->owner, &t, LOCK_SHARE));
        CHECK(lock_acquire(&a->cx, &a->owner, &t, LOCK_EXCLUSIVE, LOCK_TRY, -1) == ST_WOULD_BLOCK);
    }
    lock_release_all(&a->owner);
}

static void test_two_upgrades_meet_at_once(void **state)
{
    (void)state;
    play((Play){.n_actors = 2, .stories = {upgrader, upgrader}});
}

/* ---- one victim, even if all look at the same moment ---- */

static _Atomic int victims;

static void simultaneous(Actor *a)
{
    int n = a->world->n_actors;
    CHECK(take(a, table((uint64_t)a->index), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    Status st = take(a, table((uint64_t)((a->index + 1) % n)), LOCK_EXCLUSIVE);
    if (st != ST_OK) {
        CHECK(st == ST_DEADLOCK_DETECTED);
        atomic_fetch_add(&victims, 1);
    }
    lock_release_all(&a->owner);
}

static void after_simultaneous(World *w)
{
    CHECK(atomic_load(&victims) == 1);
    CHECK(lockmgr_stats(w->mgr).deadlocks == 1);
    atomic_store(&victims, 0);
}

static void test_searches_at_the_same_moment_take_one_victim(void **state)
{
    (void)state;
    Play p = {.n_actors = 4,
              .stories = {simultaneous, simultaneous, simultaneous, simultaneous},
              .after = after_simultaneous};
    under_scheduler(play_once, &p, 300);
}

/* ---- a cycle that falls apart while it is looked at ---- */

static void torn_first(Actor *a)
{
    LockTag t = table(1);
    CHECK(take(a, table(0), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    /* Gives up just when the other one searches. */
    Status st = lock_acquire(&a->cx, &a->owner, &t, LOCK_EXCLUSIVE, LOCK_WAIT, 1000 * 1000 - 1);
    CHECK(st == ST_LOCK_NOT_AVAILABLE || st == ST_OK);
    if (st != ST_OK) {
        a->world->arg = a;
    }
    lock_release_all(&a->owner);
}

static void torn_second(Actor *a)
{
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    Status st = take(a, table(0), LOCK_EXCLUSIVE);
    CHECK(st == ST_OK || st == ST_DEADLOCK_DETECTED);
    CHECK(st == ST_DEADLOCK_DETECTED || a->world->arg != NULL); /* somebody gave way */
    lock_release_all(&a->owner);
}

static void test_a_cycle_that_falls_apart_needs_no_victim(void **state)
{
    (void)state;
    Play p = {.n_actors = 2, .stories = {torn_first, torn_second}};
    under_scheduler(play_once, &p, 300);
}

/*
 * The cycle is gone when the search has found it, and back, through another wait, when it is confirmed: that is not the
 * cycle that was found. (The next search finds the new one.)
 */
static void renewed_searcher(Actor *a)
{
    sync_hooks_enter(a->world->arg);
    CHECK(take(a, table(0), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_DEADLOCK_DETECTED);
    CHECK(lockmgr_stats(a->world->mgr).retracted == 1);
    lock_release_all(&a->owner);
    sync_hooks_enter(NULL);
}

static void renewed_partner(Actor *a)
{
    LockTag t = table(0);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 20);
    CHECK(lock_acquire(&a->cx, &a->owner, &t, LOCK_EXCLUSIVE, LOCK_WAIT, 1000 * 1000) == ST_LOCK_NOT_AVAILABLE);
    at_ms(a, 1030);
    CHECK(take(a, table(0), LOCK_EXCLUSIVE) == ST_OK);
    lock_release_all(&a->owner);
}

static void dawdle(void *arg)
{
    (void)arg;
    os_sleep_us(30 * 1000); /* from 1010 to 1040 */
}

static void play_renewed(void *arg)
{
    (void)arg;
    World *w = calloc(1, sizeof *w);
    SyncHooks *hooks = sync_hooks_new();
    CHECK(w != NULL);
    world_init(w, 2, &(LockConfig){0});
    sync_hooks_set(hooks, "lock.graph.before_confirm", dawdle, NULL);
    w->arg = hooks;
    w->actors[0].story = renewed_searcher;
    w->actors[1].story = renewed_partner;
    world_run(w);
    world_done(w);
    sync_hooks_free(hooks);
    free(w);
}

static void test_a_renewed_wait_is_another_edge(void **state)
{
    (void)state;
    under_scheduler(play_renewed, NULL, 10);
}

/* ---- no cycle, no victim ---- */

/* A chain: i waits for i + 1, the last one takes its time. */
static void chain(Actor *a)
{
    begin(a);
    CHECK(take(a, table((uint64_t)a->index), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    if (a->index == a->world->n_actors - 1) {
        at_ms(a, 5000);
    } else if (a->index % 2 == 0) {
        CHECK(take(a, table((uint64_t)a->index + 1), LOCK_SHARE) == ST_OK);
    } else {
        CHECK(wait_for(a, &a->world->actors[a->index + 1], -1) == ST_OK);
    }
    end(a);
}

static void after_chain(World *w)
{
    LockStats s = lockmgr_stats(w->mgr);
    CHECK(s.deadlocks == 0 && s.searches == (uint64_t)w->n_actors - 1); /* one search per long wait */
}

static void test_a_chain_is_no_cycle(void **state)
{
    (void)state;
    Play p = {.n_actors = 8, .after = after_chain};
    for (int i = 0; i < 8; i++) {
        p.stories[i] = chain;
    }
    play(p);
}

/* ---- without memory ---- */

static int64_t fail_at;
static bool fault_met;

static void poor(Actor *a)
{
    CHECK(take(a, table((uint64_t)a->index), LOCK_EXCLUSIVE) == ST_OK);
    begin(a);
    at_ms(a, 10);
    Status st = a->index == 0 ? take(a, table(1), LOCK_EXCLUSIVE) : wait_for(a, &a->world->actors[0], -1);
    CHECK(st == ST_OK || st == ST_DEADLOCK_DETECTED);
    CHECK(now_ms(a) <= 1010 + 25); /* searched again soon after the failure */
    end(a);
}

static MemFault fault;

static void poor_host(Actor *a)
{
    atomic_store(&fault.countdown, fail_at);
    atomic_store(&fault.fired, 0);
    at_ms(a, 5);
    a->world->cold.fault = &fault;
}

static void after_poor(World *w)
{
    CHECK(lockmgr_stats(w->mgr).deadlocks == 1);
    fault_met = atomic_load(&fault.fired) > 0;
    w->cold.fault = NULL;
}

static void test_a_search_without_memory_is_repeated(void **state)
{
    (void)state;
    Play p = {.n_actors = 3, .stories = {poor, poor, poor_host}, .after = after_poor};
    fault_met = true;
    for (fail_at = 1; fault_met; fail_at++) {
        play(p);
    }
    assert_true(fail_at > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_report_is_postgresqls),
        cmocka_unit_test(test_rings_of_all_kinds_have_one_victim),
        cmocka_unit_test(test_two_upgrades_meet_at_once),
        cmocka_unit_test(test_searches_at_the_same_moment_take_one_victim),
        cmocka_unit_test(test_a_cycle_that_falls_apart_needs_no_victim),
        cmocka_unit_test(test_a_renewed_wait_is_another_edge),
        cmocka_unit_test(test_a_chain_is_no_cycle),
        cmocka_unit_test(test_a_search_without_memory_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
