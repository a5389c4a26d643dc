/*
 * Waiting for locks and for transactions: order, upgrades, timeouts, interrupts. Each story is a timetable in virtual
 * milliseconds, played under the deterministic scheduler with several seeds.
 */
#include "test_lock_fixture.h"
#include "txn/lock_int.h"

static void sleep_ms(int64_t ms)
{
    os_sleep_us(ms * 1000);
}

static bool within(int64_t value, int64_t low, int64_t high)
{
    return value >= low && value <= high;
}

/* ---- order ---- */

/* Holder of SHARE until 50; a writer comes at 10; a reader at 20 must not overtake him. */
static void fifo_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 50);
    CHECK(give(a, table(1), LOCK_SHARE));
}

static void fifo_writer(Actor *a)
{
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 50, 51));
    sleep_ms(30);
    CHECK(give(a, table(1), LOCK_EXCLUSIVE));
}

static void fifo_reader(Actor *a)
{
    at_ms(a, 20);
    CHECK(try_take(a, table(1), LOCK_SHARE) == ST_WOULD_BLOCK); /* not even without waiting */
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    CHECK(within(now_ms(a), 80, 81));
}

/* What conflicts with nobody who waits passes at once. */
static void fifo_passer(Actor *a)
{
    at_ms(a, 30);
    CHECK(take(a, table(1), LOCK_ACCESS_SHARE) == ST_OK);
    CHECK(within(now_ms(a), 30, 31));
}

static void test_nobody_overtakes_a_waiter_he_conflicts_with(void **state)
{
    (void)state;
    play((Play){.n_actors = 5, .stories = {fifo_holder, fifo_writer, fifo_reader, fifo_reader, fifo_passer}});
}

/* A release lets nobody past a waiter whom another holder still keeps. */
static void two_holders_first(Actor *a)
{
    CHECK(take(a, table(1), LOCK_ROW_EXCLUSIVE) == ST_OK);
    at_ms(a, 50);
    CHECK(give(a, table(1), LOCK_ROW_EXCLUSIVE));
}

static void two_holders_second(Actor *a)
{
    CHECK(take(a, table(1), LOCK_ROW_EXCLUSIVE) == ST_OK);
    at_ms(a, 30);
    CHECK(give(a, table(1), LOCK_ROW_EXCLUSIVE));
}

static void two_holders_sharer(Actor *a)
{
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    CHECK(within(now_ms(a), 50, 51));
    at_ms(a, 70);
    CHECK(give(a, table(1), LOCK_SHARE));
}

static void two_holders_writer(Actor *a)
{
    at_ms(a, 20);
    CHECK(take(a, table(1), LOCK_ROW_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 70, 71));
    CHECK(give(a, table(1), LOCK_ROW_EXCLUSIVE));
}

static void test_a_release_lets_nobody_past_a_waiter(void **state)
{
    (void)state;
    play((Play){.n_actors = 4,
                .stories = {two_holders_first, two_holders_second, two_holders_sharer, two_holders_writer}});
}

/* Ten exclusive waiters are served in the order in which they came. */
static void queue_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 100);
    a->world->arg = (void *)(uintptr_t)1;
    CHECK(give(a, table(1), LOCK_EXCLUSIVE));
}

static void queue_waiter(Actor *a)
{
    at_ms(a, a->index);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    CHECK((uintptr_t)a->world->arg == (uintptr_t)a->index);
    os_yield();
    a->world->arg = (void *)(uintptr_t)(a->index + 1);
    CHECK(give(a, table(1), LOCK_EXCLUSIVE));
}

static void test_the_queue_is_served_in_order(void **state)
{
    (void)state;
    Play p = {.n_actors = 11, .stories = {queue_holder}};
    for (int i = 1; i < 11; i++) {
        p.stories[i] = queue_waiter;
    }
    play(p);
}

/* The holder of ROW EXCLUSIVE wants SHARE too, while somebody waits for SHARE ROW EXCLUSIVE: he must go first. */
static void upgrade_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_ROW_EXCLUSIVE) == ST_OK);
    at_ms(a, 20);
    CHECK(try_take(a, table(1), LOCK_SHARE) == ST_OK);
    CHECK(take(a, table(1), LOCK_ACCESS_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 20, 21));
    at_ms(a, 30);
    lock_release_all(&a->owner);
}

static void upgrade_waiter(Actor *a)
{
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_SHARE_ROW_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 30, 31));
}

static void test_a_holder_passes_those_who_wait_for_him(void **state)
{
    (void)state;
    play((Play){.n_actors = 2, .stories = {upgrade_holder, upgrade_waiter}});
}

/* As above, but another holder is in the way: the upgrader queues before the waiter and is served before him. */
static void upgrade_sharer(Actor *a)
{
    CHECK(take(a, table(1), LOCK_ACCESS_SHARE) == ST_OK);
    at_ms(a, 20);
    CHECK(take(a, table(1), LOCK_ACCESS_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 40, 41));
    at_ms(a, 60);
    lock_release_all(&a->owner);
}

static void upgrade_other(Actor *a)
{
    CHECK(take(a, table(1), LOCK_ACCESS_SHARE) == ST_OK);
    at_ms(a, 40);
    lock_release_all(&a->owner);
}

static void upgrade_stranger(Actor *a)
{
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_ACCESS_EXCLUSIVE) == ST_OK);
    CHECK(within(now_ms(a), 60, 61));
}

static void test_an_upgrade_queues_before_those_who_wait_for_it(void **state)
{
    (void)state;
    play((Play){.n_actors = 3, .stories = {upgrade_sharer, upgrade_other, upgrade_stranger}});
}

/* ---- giving up ---- */

static void long_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 3000);
}

static void impatient(Actor *a)
{
    LockTag t = table(1);
    at_ms(a, 10);
    CHECK(lock_acquire(&a->cx, &a->owner, &t, LOCK_EXCLUSIVE, LOCK_WAIT, 100000) == ST_LOCK_NOT_AVAILABLE);
    CHECK(strcmp(a->err.message, "canceling statement due to lock timeout") == 0);
    CHECK(strcmp(a->err.sqlstate, "55P03") == 0);
    CHECK(within(now_ms(a), 110, 111));
    CHECK(!lock_held(&a->owner, &t, LOCK_EXCLUSIVE) && a->owner.hold_count == 0);
}

static void behind_the_impatient(Actor *a)
{
    at_ms(a, 20);
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK); /* as soon as the writer before it has given up */
    CHECK(within(now_ms(a), 110, 112));
}

static void after_timeout(World *w)
{
    LockStats stats = lockmgr_stats(w->mgr);
    CHECK(stats.timeouts == 1 && stats.deadlocks == 0 && stats.waits == 2);
}

static void test_lock_timeout(void **state)
{
    (void)state;
    play((Play){.n_actors = 3, .stories = {long_holder, impatient, behind_the_impatient}, .after = after_timeout});
}

static void cancelled(Actor *a)
{
    a->cx.intr = &a->intr;
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_QUERY_CANCELED);
    CHECK(within(now_ms(a), 500, 501));
    CHECK(a->owner.hold_count == 0);
}

static void canceller(Actor *a)
{
    Actor *victim = &a->world->actors[1];
    at_ms(a, 500);
    atomic_store(&victim->intr, INTR_CANCEL);
    lock_owner_wake(&victim->owner);
}

static void test_cancel_wakes_at_once(void **state)
{
    (void)state;
    play((Play){.n_actors = 3, .stories = {long_holder, cancelled, canceller}, .config = {.poll_us = 100000000}});
}

static void silent_canceller(Actor *a)
{
    at_ms(a, 480);
    atomic_store(&a->world->actors[1].intr, INTR_CANCEL);
}

static void cancelled_late(Actor *a)
{
    a->cx.intr = &a->intr;
    CHECK(take(a, table(2), LOCK_EXCLUSIVE) == ST_OK);
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_QUERY_CANCELED);
    CHECK(within(now_ms(a), 480, 531));
    CHECK(a->owner.hold_count == 1); /* what was held before is still */
}

static void test_interrupts_are_polled_without_a_wake(void **state)
{
    (void)state;
    play((Play){.n_actors = 3, .stories = {long_holder, cancelled_late, silent_canceller}});
}

/* A grant and a cancel at the same moment: one of them wins, nothing is left behind. */
static void racing_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 50);
    CHECK(give(a, table(1), LOCK_SHARE));
}

static void racing_waiter(Actor *a)
{
    LockTag t = table(1);
    a->cx.intr = &a->intr;
    at_ms(a, 10);
    Status st = lock_acquire(&a->cx, &a->owner, &t, LOCK_EXCLUSIVE, LOCK_WAIT, 40000);
    CHECK(st == ST_OK || st == ST_QUERY_CANCELED || st == ST_LOCK_NOT_AVAILABLE);
    CHECK(lock_held(&a->owner, &t, LOCK_EXCLUSIVE) == (st == ST_OK));
    lockmgr_check(a->world->mgr);
    lock_release_all(&a->owner);
}

static void racing_canceller(Actor *a)
{
    at_ms(a, 50);
    atomic_store(&a->world->actors[1].intr, INTR_CANCEL);
    lock_owner_wake(&a->world->actors[1].owner);
}

static void racing_next(Actor *a)
{
    at_ms(a, 20);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
}

static void test_a_grant_races_with_cancel_and_timeout(void **state)
{
    (void)state;
    Play p = {.n_actors = 4, .stories = {racing_holder, racing_waiter, racing_canceller, racing_next}};
    under_scheduler(play_once, &p, 300);
}

/* ---- the end of transactions ---- */

static void runner(Actor *a)
{
    begin(a);
    at_ms(a, 40);
    end(a);
}

static void wait_runner(Actor *a)
{
    at_ms(a, 10);
    CHECK(wait_for(a, &a->world->actors[0], -1) == ST_OK);
    CHECK(within(now_ms(a), 40, 41));
    CHECK(wait_for(a, &a->world->actors[0], -1) == ST_OK); /* it has ended */
}

static void wait_runner_briefly(Actor *a)
{
    at_ms(a, 10);
    CHECK(wait_for(a, &a->world->actors[0], 10000) == ST_LOCK_NOT_AVAILABLE);
    CHECK(within(now_ms(a), 20, 21));
}

static void test_waiting_for_a_transaction(void **state)
{
    (void)state;
    play((Play){.n_actors = 4, .stories = {runner, wait_runner, wait_runner, wait_runner_briefly}});
}

/* Waits that begin just when the transaction ends: with a wake-up lost the scheduler would find nobody to run. */
static void short_runner(Actor *a)
{
    begin(a);
    at_ms(a, 1);
    end(a);
}

static void quick_waiter(Actor *a)
{
    at_ms(a, 1);
    CHECK(wait_for(a, &a->world->actors[0], -1) == ST_OK);
    CHECK(!actor_running(&a->world->actors[0]));
}

static void test_no_wake_up_is_lost(void **state)
{
    (void)state;
    Play p = {.n_actors = 4, .stories = {short_runner, quick_waiter, quick_waiter, quick_waiter}};
    under_scheduler(play_once, &p, 500);
}

/* Two transactions that share a bucket: the end of one does not wake those who wait for the other. */
static TxnId same_bucket(World *w, TxnId id)
{
    TxnId other = {id.v + 1};
    while (lock_txn_bucket(w->mgr, other) != lock_txn_bucket(w->mgr, id)) {
        other.v++;
    }
    return other;
}

static void end_other(Actor *a)
{
    at_ms(a, 20);
    lock_txn_ended(a->world->mgr, same_bucket(a->world, (TxnId){100}));
}

static void test_the_end_of_another_transaction_wakes_nobody(void **state)
{
    (void)state;
    play((Play){.n_actors = 3, .stories = {runner, wait_runner, end_other}});
}

/* ---- what one sees from outside ---- */

static void logged_holder(Actor *a)
{
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 1500);
    lock_release_all(&a->owner);
}

static void logged_waiter(Actor *a)
{
    CHECK(a->index == 1);
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
}

static void after_logged(World *w)
{
    w->log[w->log_len] = 0;
    CHECK(strstr(w->log, "process 1001 still waiting for ExclusiveLock on relation 1 of database 1 after 1000.") !=
          NULL);
    CHECK(strstr(w->log, "process 1001 acquired ExclusiveLock on relation 1 of database 1 after 14") != NULL);
    CHECK(lockmgr_stats(w->mgr).searches == 1);
}

static void test_long_waits_are_logged(void **state)
{
    (void)state;
    play((Play){.n_actors = 2,
                .stories = {logged_holder, logged_waiter},
                .config = {.log_waits = true},
                .after = after_logged,
                .logged = true});
}

typedef struct Seen {
    int granted, waiting;
    unsigned pids; /* bits by actor */
} Seen;

static void see_info(void *arg, const LockInfo *info)
{
    Seen *s = arg;
    s->granted += info->granted;
    s->waiting += !info->granted;
    CHECK(info->granted || info->since_wall_us > 0);
}

static void see_blocker(void *arg, int32_t pid)
{
    ((Seen *)arg)->pids |= 1u << (pid - 1000);
}

/* At 50: 0 holds SHARE and runs; 1 waits for EXCLUSIVE, 2 waits behind 1 for SHARE, 3 waits for the transaction of 0. */
static void viewed_holder(Actor *a)
{
    begin(a);
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    at_ms(a, 100);
    end(a);
}

static void viewed_writer(Actor *a)
{
    at_ms(a, 10);
    CHECK(take(a, table(1), LOCK_EXCLUSIVE) == ST_OK);
    lock_release_all(&a->owner);
}

static void viewed_reader(Actor *a)
{
    at_ms(a, 20);
    CHECK(take(a, table(1), LOCK_SHARE) == ST_OK);
    lock_release_all(&a->owner);
}

static void viewed_follower(Actor *a)
{
    at_ms(a, 30);
    CHECK(wait_for(a, &a->world->actors[0], -1) == ST_OK);
}

static unsigned blockers(Actor *a, int32_t pid)
{
    Seen s = {0};
    CHECK(lock_blockers(&a->cx, a->world->mgr, pid, see_blocker, &s) == ST_OK);
    return s.pids;
}

static void viewer(Actor *a)
{
    Seen s = {0};
    at_ms(a, 50);
    CHECK(lock_each(&a->cx, a->world->mgr, see_info, &s) == ST_OK);
    CHECK(s.granted == 2 && s.waiting == 3);
    CHECK(blockers(a, 1000) == 0);
    CHECK(blockers(a, 1001) == 1u << 0);
    CHECK(blockers(a, 1002) == 1u << 1);
    CHECK(blockers(a, 1003) == 1u << 0);
    CHECK(blockers(a, 77) == 0);
    for (int64_t i = 1; i < 3; i++) {
        MemFault fault = {.countdown = i};
        a->world->cold.fault = &fault;
        Status st = lock_each(&a->cx, a->world->mgr, see_info, &s);
        a->world->cold.fault = NULL;
        CHECK(st == (atomic_load(&fault.fired) > 0 ? ST_OUT_OF_MEMORY : ST_OK));
    }
}

static void test_views(void **state)
{
    (void)state;
    play((Play){.n_actors = 5, .stories = {viewed_holder, viewed_writer, viewed_reader, viewed_follower, viewer}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_overtakes_a_waiter_he_conflicts_with),
        cmocka_unit_test(test_a_release_lets_nobody_past_a_waiter),
        cmocka_unit_test(test_the_queue_is_served_in_order),
        cmocka_unit_test(test_a_holder_passes_those_who_wait_for_him),
        cmocka_unit_test(test_an_upgrade_queues_before_those_who_wait_for_it),
        cmocka_unit_test(test_lock_timeout),
        cmocka_unit_test(test_cancel_wakes_at_once),
        cmocka_unit_test(test_interrupts_are_polled_without_a_wake),
        cmocka_unit_test(test_a_grant_races_with_cancel_and_timeout),
        cmocka_unit_test(test_waiting_for_a_transaction),
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_the_end_of_another_transaction_wakes_nobody),
        cmocka_unit_test(test_long_waits_are_logged),
        cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
