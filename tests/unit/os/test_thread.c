/* Threads, locks, parking, sync points, clocks, epochs and large memory, on free-running threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "os/thread.h"
#include "os/vmem.h"

enum { THREADS = 4 };

static void start_all(OsThread *threads[THREADS], void (*fn)(void *arg), void *arg)
{
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(os_thread_start("worker", fn, arg, NULL, &threads[i]), ST_OK);
    }
}

static void join_all(OsThread *threads[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        os_thread_join(threads[i]);
    }
}

typedef struct Counts {
    Mutex mutex;
    SpinLock spin;
    long under_mutex;
    long under_spin;
    long by_try;
} Counts;

static void count_under_locks(void *arg)
{
    Counts *c = arg;
    for (int i = 0; i < 20000; i++) {
        mutex_lock(&c->mutex);
        assert_true(mutex_held(&c->mutex));
        c->under_mutex++;
        spin_lock(&c->spin);
        c->under_spin++;
        spin_unlock(&c->spin);
        mutex_unlock(&c->mutex);
        spin_lock(&c->spin);
        c->under_spin++;
        spin_unlock(&c->spin);
        if (mutex_try_lock(&c->mutex)) {
            c->by_try++;
            mutex_unlock(&c->mutex);
        }
    }
}

static void locks_exclude(void **state)
{
    (void)state;
    Counts c = {0};
    OsThread *threads[THREADS];
    mutex_init(&c.mutex, RANK_ENGINE);
    spin_init(&c.spin, RANK_LEAF);
    start_all(threads, count_under_locks, &c);
    join_all(threads);
    assert_int_equal(c.under_mutex, THREADS * 20000);
    assert_int_equal(c.under_spin, THREADS * 40000);
    assert_true(c.by_try > 0);
    mutex_done(&c.mutex);
}

static void take_after_the_sleeper(void *arg)
{
    SpinLock *s = arg;
    spin_lock(s);
    spin_unlock(s);
}

static void a_spin_lock_held_long_is_slept_on_and_wakes_all(void **state)
{
    (void)state;
    SpinLock s;
    OsThread *threads[THREADS];
    spin_init(&s, RANK_NONE);
    spin_lock(&s);
    start_all(threads, take_after_the_sleeper, &s);
    while (atomic_load(&s.state) != 2) { /* until one sleeps */
        os_sleep_us(1000);
    }
    spin_unlock(&s);
    join_all(threads);
    assert_int_equal(atomic_load(&s.state), 0);
}

/* A bounded queue of one: producers and consumers pass every number exactly once. */
typedef struct Queue {
    Mutex mutex;
    Cond changed;
    int full;
    uint64_t value;
    uint64_t sum;
    _Atomic uint32_t role;
} Queue;

enum { PASSED = 3000 };

static void pass_numbers(void *arg)
{
    Queue *q = arg;
    bool produces = atomic_fetch_add(&q->role, 1) % 2 == 0;
    for (uint64_t i = 1; i <= PASSED; i++) {
        mutex_lock(&q->mutex);
        while (q->full == produces) {
            cond_wait(&q->changed, &q->mutex);
        }
        if (produces) {
            q->value = i;
        } else {
            q->sum += q->value;
        }
        q->full = produces;
        cond_broadcast(&q->changed);
        mutex_unlock(&q->mutex);
    }
}

static void conditions_lose_no_signal(void **state)
{
    (void)state;
    Queue q = {0};
    OsThread *threads[THREADS];
    mutex_init(&q.mutex, RANK_NONE);
    cond_init(&q.changed);
    start_all(threads, pass_numbers, &q);
    join_all(threads);
    assert_int_equal(q.sum, THREADS / 2 * (PASSED * (PASSED + 1) / 2));
    mutex_lock(&q.mutex);
    int64_t start = os_monotonic_us();
    while (cond_wait_for(&q.changed, &q.mutex, 3000)) {
    }
    assert_true(os_monotonic_us() - start >= 3000);
    mutex_unlock(&q.mutex);
    cond_done(&q.changed);
    mutex_done(&q.mutex);
}

static void set_and_unpark(void *arg)
{
    _Atomic uint32_t *word = arg;
    os_sleep_us(2000);
    atomic_store(word, 1);
    os_unpark(word, 1);
}

static void parking_ends_by_unpark_value_or_timeout(void **state)
{
    (void)state;
    _Atomic uint32_t word = 0;
    OsThread *thread;
    int64_t start = os_monotonic_us();
    os_park(&word, 0, 3000);
    assert_true(os_monotonic_us() - start >= 2900);
    os_park(&word, 1, -1);
    assert_int_equal(os_thread_start("unparker", set_and_unpark, &word, NULL, &thread), ST_OK);
    while (atomic_load(&word) == 0) {
        os_park(&word, 0, -1);
    }
    os_thread_join(thread);
}

static void note_index(void *arg)
{
    _Atomic uint32_t *seen = arg;
    unsigned index = os_thread_index();
    assert_int_equal(index, os_thread_index());
    atomic_fetch_add(&seen[index], 1);
    atomic_fetch_add(&seen[63], 1);
    while (atomic_load(&seen[63]) % THREADS != 0) { /* all of a round are alive at once */
        os_yield();
    }
}

static void thread_numbers_are_dense_and_reused(void **state)
{
    (void)state;
    _Atomic uint32_t seen[64] = {0};
    assert_true(os_thread_index() < 2);
    for (int round = 0; round < 20; round++) {
        OsThread *threads[THREADS];
        start_all(threads, note_index, seen);
        join_all(threads);
    }
    unsigned used = 0;
    for (int i = 0; i < 63; i++) {
        assert_true(seen[i] <= 20);
        used += seen[i] > 0;
    }
    assert_in_range(used, THREADS, THREADS + 1);
}

static int recurse(int depth)
{
    char frame[512];
    memset(frame, depth & 0xff, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory"); /* the frame must exist */
    return os_stack_ok(OS_STACK_RESERVE) ? recurse(depth + 1) + frame[3] % 1 : depth;
}

static void recurse_on_a_thread(void *arg)
{
    *(int *)arg = recurse(0);
}

static void the_stack_check_stops_a_recursion_in_time(void **state)
{
    (void)state;
    assert_true(os_stack_ok(OS_STACK_RESERVE));
    assert_true(recurse(0) > 1000);
    int depth = 0;
    OsThread *thread;
    assert_int_equal(os_thread_start("deep", recurse_on_a_thread, &depth, NULL, &thread), ST_OK);
    os_thread_join(thread);
    assert_true(depth > 1000);
    assert_false(os_stack_ok(SIZE_MAX / 2));
}

static void clocks_advance_and_entropy_differs(void **state)
{
    (void)state;
    int64_t start = os_monotonic_us();
    os_sleep_us(1500);
    assert_true(os_monotonic_us() - start >= 1500);
    assert_true(os_wall_us() > INT64_C(1700000000) * 1000000);
    unsigned char a[300] = {0};
    unsigned char b[300] = {0};
    os_random_bytes(a, sizeof a);
    os_random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(os_cpu_count() >= 1);
}

#ifdef RDB_SLOW_CHECKS
static void take_in_wrong_order(void)
{
    Mutex low;
    Mutex high;
    mutex_init(&low, RANK_ENGINE);
    mutex_init(&high, RANK_WAL_FLUSH);
    mutex_lock(&high);
    mutex_lock(&low);
}

static void take_twice(void)
{
    Mutex m;
    mutex_init(&m, RANK_NONE);
    mutex_lock(&m);
    mutex_lock(&m);
}

static void release_what_is_not_held(void)
{
    Mutex m;
    mutex_init(&m, RANK_NONE);
    mutex_unlock(&m);
}

static void enter_a_latch_under_a_higher_lock(void)
{
    SpinLock s;
    int latch;
    spin_init(&s, RANK_UNDO);
    spin_lock(&s);
    rank_enter(&latch, RANK_LATCH);
}

static void assert_aborts(void (*fn)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void the_order_of_locks_is_checked(void **state)
{
    (void)state;
    assert_aborts(take_in_wrong_order);
    assert_aborts(take_twice);
    assert_aborts(release_what_is_not_held);
    assert_aborts(enter_a_latch_under_a_higher_lock);
    Mutex low;
    Mutex high;
    int latches[2];
    mutex_init(&low, RANK_ENGINE);
    mutex_init(&high, RANK_WAL_FLUSH);
    mutex_lock(&low);
    rank_enter(&latches[0], RANK_LATCH);
    rank_enter(&latches[1], RANK_LATCH);
    mutex_lock(&high);
    mutex_unlock(&low); /* any order of release */
    rank_leave(&latches[0]);
    mutex_unlock(&high);
    rank_leave(&latches[1]);
    assert_false(mutex_held(&low));
    mutex_lock(&high);
    assert_true(mutex_try_lock(&low)); /* cannot deadlock: allowed */
    mutex_unlock(&low);
    mutex_unlock(&high);
    mutex_done(&low);
    mutex_done(&high);
}
#endif

/* Two threads forced into one order by a hook: B may pass its point only after A has passed its own. */
typedef struct Order {
    _Atomic uint32_t a_passed;
    char log[3];
    _Atomic uint32_t logged;
} Order;

static void wait_for_a(void *arg)
{
    Order *o = arg;
    while (atomic_load(&o->a_passed) == 0) {
        os_park(&o->a_passed, 0, -1);
    }
}

static void thread_b(void *arg)
{
    Order *o = arg;
    SYNC_POINT("test.b");
    o->log[atomic_fetch_add(&o->logged, 1)] = 'b';
}

static void a_hook_forces_an_order(void **state)
{
    (void)state;
    Order o = {0};
    OsThread *thread;
    SyncHooks *hooks = sync_hooks_new();
    SYNC_POINT("test.b"); /* no hooks entered: nothing happens */
    sync_hooks_set(hooks, "test.b", wait_for_a, &o);
    sync_hooks_set(hooks, "test.other", wait_for_a, &o);
    sync_hooks_set(hooks, "test.other", NULL, NULL);
    sync_hooks_enter(hooks);
    SYNC_POINT("test.other");
    assert_int_equal(os_thread_start("b", thread_b, &o, NULL, &thread), ST_OK);
    os_sleep_us(3000);
    o.log[atomic_fetch_add(&o.logged, 1)] = 'a';
    atomic_store(&o.a_passed, 1);
    os_unpark(&o.a_passed, UINT32_MAX);
    os_thread_join(thread);
    assert_string_equal(o.log, "ab");
    sync_hooks_enter(NULL);
    assert_false(os_sync_armed());
    sync_hooks_free(hooks);
}

/* Epochs: readers follow a shared pointer that writers replace; a freed object is poisoned. */
typedef struct Object {
    EpochNode node;
    uint64_t value;
    uint64_t complement;
} Object;

typedef struct Stage {
    Epoch *epoch;
    Object *_Atomic current;
    _Atomic uint64_t made;
    _Atomic uint64_t freed;
    _Atomic uint32_t role;
    _Atomic uint32_t writers_left;
} Stage;

static void free_object(void *arg, EpochNode *node)
{
    Stage *s = arg;
    Object *o = (Object *)node;
    o->value = o->complement = 0;
    free(o);
    atomic_fetch_add(&s->freed, 1);
}

static Object *new_object(Stage *s)
{
    Object *o = calloc(1, sizeof *o);
    o->value = atomic_fetch_add(&s->made, 1) + 1;
    o->complement = ~o->value;
    return o;
}

static void read_or_replace(void *arg)
{
    Stage *s = arg;
    bool writes = atomic_fetch_add(&s->role, 1) % 2 == 0;
    for (int i = 0; writes && i < 5000; i++) {
        if (i % 100 == 0) {
            os_yield();
        }
        Object *old = atomic_exchange(&s->current, new_object(s));
        epoch_retire(s->epoch, &old->node, free_object, s);
    }
    if (writes) {
        atomic_fetch_sub(&s->writers_left, 1);
    }
    while (!writes && atomic_load(&s->writers_left) > 0) {
        epoch_enter(s->epoch);
        Object *o = atomic_load(&s->current);
        epoch_enter(s->epoch);
        assert_true(o->value == ~o->complement && o->value != 0);
        epoch_leave(s->epoch);
        assert_true(o->value == ~o->complement && o->value != 0);
        epoch_leave(s->epoch);
    }
}

static void nothing_is_freed_under_a_reader_and_all_in_the_end(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 0, 0);
    Stage s = {.writers_left = THREADS / 2};
    assert_int_equal(epoch_new(&b, NULL, &s.epoch), ST_OK);
    s.current = new_object(&s);
    OsThread *threads[THREADS];
    start_all(threads, read_or_replace, &s);
    join_all(threads);
    epoch_poll(s.epoch);
    assert_int_equal(s.freed, s.made - 1);
    free(s.current);
    epoch_free(s.epoch);
    budget_done(&b);
}

static void a_reader_inside_holds_back_what_is_retired_meanwhile(void **state)
{
    (void)state;
    Budget b;
    budget_init(&b, "b", NULL, 0, 0);
    Stage s = {0};
    assert_int_equal(epoch_new(&b, NULL, &s.epoch), ST_OK);
    epoch_enter(s.epoch);
    Object *o = new_object(&s);
    epoch_retire(s.epoch, &o->node, free_object, &s);
    for (int i = 0; i < 10; i++) {
        epoch_poll(s.epoch);
    }
    assert_int_equal(s.freed, 0);
    epoch_leave(s.epoch);
    epoch_poll(s.epoch);
    assert_int_equal(s.freed, 1);
    o = new_object(&s);
    epoch_retire(s.epoch, &o->node, free_object, &s);
    epoch_free(s.epoch);
    assert_int_equal(s.freed, 2);
    budget_done(&b);
}

static void large_memory_is_aligned_zeroed_and_charged(void **state)
{
    (void)state;
    Budget b;
    MemFault fault = {.countdown = -1};
    budget_init(&b, "b", NULL, 64 << 20, 0);
    b.fault = &fault;
    size_t sizes[] = {1, 4096, 100000, 2 << 20, (2 << 20) + 1, 10 << 20};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *p = vmem_alloc(&b, sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (sizes[i] >= 2 << 20 ? 2 << 20 : 4096), 0);
        for (size_t at = 0; at < sizes[i]; at += 1000) {
            assert_int_equal(p[at], 0);
            p[at] = 1;
        }
        p[sizes[i] - 1] = 1;
        assert_true(budget_used(&b) >= sizes[i]);
        vmem_free(&b, p, sizes[i]);
        assert_int_equal(budget_used(&b), 0);
    }
    assert_null(vmem_alloc(&b, 65 << 20));
    assert_null(vmem_alloc(&b, SIZE_MAX - 5));
    fault.countdown = 1;
    assert_null(vmem_alloc(&b, 4096));
    budget_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_exclude),
        cmocka_unit_test(a_spin_lock_held_long_is_slept_on_and_wakes_all),
        cmocka_unit_test(conditions_lose_no_signal),
        cmocka_unit_test(parking_ends_by_unpark_value_or_timeout),
        cmocka_unit_test(thread_numbers_are_dense_and_reused),
        cmocka_unit_test(the_stack_check_stops_a_recursion_in_time),
        cmocka_unit_test(clocks_advance_and_entropy_differs),
#ifdef RDB_SLOW_CHECKS
        cmocka_unit_test(the_order_of_locks_is_checked),
#endif
        cmocka_unit_test(a_hook_forces_an_order),
        cmocka_unit_test(nothing_is_freed_under_a_reader_and_all_in_the_end),
        cmocka_unit_test(a_reader_inside_holds_back_what_is_retired_meanwhile),
        cmocka_unit_test(large_memory_is_aligned_zeroed_and_charged),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
