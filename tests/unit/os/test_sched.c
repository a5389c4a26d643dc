/* The deterministic scheduler, and every blocking primitive under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/sched.h"
#include "os/thread.h"

static SchedStats run(uint64_t seed, unsigned one_in, void (*fn)(void *arg), void *arg)
{
    Error err;
    SchedStats stats = {0};
    err_clear(&err);
    assert_int_equal(sched_run(seed, one_in, fn, arg, &err, &stats), ST_OK);
    assert_false(sched_active());
    return stats;
}

static void start_all(OsThread **threads, unsigned n, void (*fn)(void *arg), void *arg)
{
    for (unsigned i = 0; i < n; i++) {
        char name[] = "worker 0";
        name[7] = (char)('0' + i);
        if (os_thread_start(name, fn, arg, NULL, &threads[i]) != ST_OK) {
            UNREACHABLE();
        }
    }
}

static void join_all(OsThread **threads, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        os_thread_join(threads[i]);
    }
}

/* A bit of everything: workers bump a counter under a mutex, a spin lock, and hand tokens round with a cond and parks. */
typedef struct Mix {
    Mutex mutex;
    Cond cond;
    SpinLock spin;
    _Atomic uint32_t word;
    int tokens;
    int under_mutex;
    int under_spin;
    uint64_t random;
    int trace[4096];
    int trace_len;
} Mix;

static void mix_worker(void *arg)
{
    Mix *m = arg;
    for (int i = 0; i < 20; i++) {
        mutex_lock(&m->mutex);
        m->under_mutex++;
        m->trace[m->trace_len++] = (int)os_thread_index();
        m->tokens++;
        cond_signal(&m->cond);
        mutex_unlock(&m->mutex);
        spin_lock(&m->spin);
        m->under_spin++;
        spin_unlock(&m->spin);
        SYNC_POINT("test.between");
        mutex_lock(&m->mutex);
        while (m->tokens == 0) {
            cond_wait(&m->cond, &m->mutex);
        }
        m->tokens--;
        mutex_unlock(&m->mutex);
        os_sleep_us(i * 10);
    }
    atomic_fetch_add(&m->word, 1);
    os_unpark(&m->word, UINT32_MAX);
}

static void mix_main(void *arg)
{
    Mix *m = arg;
    enum { WORKERS = 5 };
    OsThread *threads[WORKERS];
    memset(m, 0, sizeof *m);
    mutex_init(&m->mutex, RANK_NONE);
    cond_init(&m->cond);
    spin_init(&m->spin, RANK_NONE);
    start_all(threads, WORKERS, mix_worker, m);
    for (uint32_t seen = 0; seen < WORKERS; seen = atomic_load(&m->word)) {
        os_park(&m->word, seen, -1);
    }
    join_all(threads, WORKERS);
    os_random_bytes(&m->random, sizeof m->random);
    cond_done(&m->cond);
    mutex_done(&m->mutex);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    static Mix a;
    static Mix b;
    uint64_t hashes[10];
    for (uint64_t seed = 0; seed < 10; seed++) {
        unsigned one_in = seed % 2 == 0 ? 1 : 7;
        SchedStats s1 = run(seed, one_in, mix_main, &a);
        SchedStats s2 = run(seed, one_in, mix_main, &b);
        assert_true(s1.hash == s2.hash);
        assert_true(s1.choices == s2.choices && s1.switches == s2.switches && s1.virtual_us == s2.virtual_us);
        assert_int_equal(a.trace_len, 100);
        assert_memory_equal(a.trace, b.trace, sizeof a.trace);
        assert_true(a.random == b.random);
        assert_int_equal(a.under_mutex, 100);
        assert_int_equal(a.under_spin, 100);
        assert_true(s1.virtual_us >= 1900); /* the sleeps of one worker */
        hashes[seed] = s1.hash;
        for (uint64_t other = 0; other < seed; other++) {
            assert_true(hashes[other] != hashes[seed]);
        }
    }
}

/* The classic lost update: read, be switched at a sync point, write back. Some seed must find it. */
static int shared_count;

static void racy_worker(void *arg)
{
    (void)arg;
    int seen = shared_count;
    SYNC_POINT("test.race");
    shared_count = seen + 1;
}

static void racy_main(void *arg)
{
    OsThread *threads[2];
    shared_count = 0;
    start_all(threads, 2, racy_worker, arg);
    join_all(threads, 2);
}

static void some_seeds_find_a_race_and_some_do_not(void **state)
{
    (void)state;
    int lost = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        run(seed, 1, racy_main, NULL);
        lost += shared_count == 1;
    }
    assert_in_range(lost, 5, 45);
}

static void sleepers_main(void *arg)
{
    int64_t *elapsed = arg;
    int64_t start = os_monotonic_us();
    int64_t wall = os_wall_us();
    os_sleep_us(INT64_C(3600) * 1000000);
    *elapsed = os_monotonic_us() - start;
    if (os_wall_us() - wall != *elapsed) {
        *elapsed = -1;
    }
}

static void an_hour_of_virtual_time_passes_at_once(void **state)
{
    (void)state;
    int64_t elapsed = 0;
    SchedStats s = run(1, 1, sleepers_main, &elapsed);
    assert_true(elapsed == INT64_C(3600) * 1000000);
    assert_true(s.virtual_us == elapsed);
}

typedef struct Timeouts {
    Mutex mutex;
    Cond cond;
    bool signalled;
    bool cond_timed_out;
    bool cond_was_signalled;
    int64_t waited_us;
    _Atomic uint32_t word;
} Timeouts;

static void signal_later(void *arg)
{
    Timeouts *t = arg;
    os_sleep_us(5000);
    mutex_lock(&t->mutex);
    t->signalled = true;
    cond_broadcast(&t->cond);
    mutex_unlock(&t->mutex);
}

static void timeouts_main(void *arg)
{
    Timeouts *t = arg;
    OsThread *thread;
    mutex_init(&t->mutex, RANK_NONE);
    cond_init(&t->cond);
    start_all(&thread, 1, signal_later, t);
    mutex_lock(&t->mutex);
    int64_t start = os_monotonic_us();
    t->cond_timed_out = !cond_wait_for(&t->cond, &t->mutex, 1000);
    t->waited_us = os_monotonic_us() - start;
    t->cond_was_signalled = cond_wait_for(&t->cond, &t->mutex, 1000000) && t->signalled;
    mutex_unlock(&t->mutex);
    start = os_monotonic_us();
    os_park(&t->word, 0, 777);
    t->waited_us += os_monotonic_us() - start;
    os_park(&t->word, 1, -1); /* another value: returns at once */
    os_thread_join(thread);
    cond_done(&t->cond);
    mutex_done(&t->mutex);
}

static void timeouts_fire_in_virtual_time(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        Timeouts t = {0};
        run(seed, 1, timeouts_main, &t);
        assert_true(t.cond_timed_out);
        assert_true(t.cond_was_signalled);
        assert_int_equal(t.waited_us, 1777);
    }
}

/* A thread that waits by turning must not keep the sleeper it waits for from waking. */
static void wake_up_late(void *arg)
{
    os_sleep_us(500);
    atomic_store((_Atomic uint32_t *)arg, 1);
}

static void turning_main(void *arg)
{
    (void)arg;
    _Atomic uint32_t flag = 0;
    OsThread *thread;
    start_all(&thread, 1, wake_up_late, &flag);
    while (atomic_load(&flag) == 0) {
        os_cpu_relax();
    }
    while (atomic_load(&flag) == 0) {
        os_yield();
    }
    os_thread_join(thread);
}

static void a_turning_thread_lets_time_pass(void **state)
{
    (void)state;
    SchedStats s = run(1, 100, turning_main, NULL);
    assert_true(s.virtual_us >= 500);
}

static void nested_starter(void *arg)
{
    if (*(int *)arg < 5) {
        OsThread *thread;
        int deeper = *(int *)arg + 1;
        start_all(&thread, 1, nested_starter, &deeper);
        os_thread_join(thread);
        *(int *)arg = deeper;
    }
}

static void threads_start_threads(void **state)
{
    (void)state;
    int depth = 0;
    run(3, 1, nested_starter, &depth);
    assert_int_equal(depth, 5);
}

static void lock_both(void *arg)
{
    Mutex *m = arg;
    mutex_lock(&m[0]);
    SYNC_POINT("test.between_locks");
    os_sleep_us(10);
    mutex_lock(&m[1]);
    mutex_unlock(&m[1]);
    mutex_unlock(&m[0]);
}

static void lock_both_reversed(void *arg)
{
    Mutex *m = arg;
    mutex_lock(&m[1]);
    os_sleep_us(10);
    mutex_lock(&m[0]);
    mutex_unlock(&m[0]);
    mutex_unlock(&m[1]);
}

static void deadlock_main(void *arg)
{
    (void)arg;
    Mutex m[2];
    OsThread *a;
    OsThread *b;
    mutex_init(&m[0], RANK_NONE);
    mutex_init(&m[1], RANK_NONE);
    start_all(&a, 1, lock_both, m);
    start_all(&b, 1, lock_both_reversed, m);
    os_thread_join(a);
    os_thread_join(b);
}

static void a_deadlock_is_reported_with_every_threads_wait(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(out[1], STDERR_FILENO);
        _exit(sched_run(7, 1, deadlock_main, NULL, NULL, NULL) == ST_OK);
    }
    close(out[1]);
    char text[4096] = "";
    size_t len = 0;
    ssize_t n;
    while ((n = read(out[0], text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "deadlock under the deterministic scheduler: seed 7"));
    assert_non_null(strstr(text, "thread 0 \"main\" waits for join"));
    assert_non_null(strstr(text, "thread 1 \"worker 0\" waits for mutex"));
    assert_non_null(strstr(text, "thread 2 \"worker 0\" waits for mutex"));
    assert_non_null(strstr(text, "last point: "));
}

/* Epochs with a switch possible inside every reader: retirements get through, and never under a reader's eyes. */
typedef struct Object {
    EpochNode node;
    bool is_freed;
} Object;

enum { OBJECTS = 400 };

typedef struct Stage {
    Epoch *epoch;
    Object objects[OBJECTS];
    unsigned current;
    unsigned freed_early; /* before the end */
    unsigned freed;
    bool seen_freed;
} Stage;

static void note_freed(void *arg, EpochNode *node)
{
    ((Object *)node)->is_freed = true;
    ((Stage *)arg)->freed++;
}

static void epoch_reader(void *arg)
{
    Stage *s = arg;
    while (s->current < OBJECTS - 1) {
        epoch_enter(s->epoch);
        Object *o = &s->objects[s->current];
        SYNC_POINT("test.inside");
        s->seen_freed |= o->is_freed;
        epoch_leave(s->epoch);
        os_yield();
    }
}

static void epoch_main(void *arg)
{
    Stage *s = arg;
    OsThread *readers[3];
    start_all(readers, 3, epoch_reader, s);
    while (s->current < OBJECTS - 1) {
        Object *old = &s->objects[s->current++];
        SYNC_POINT("test.unlinked");
        epoch_retire(s->epoch, &old->node, note_freed, s);
    }
    s->freed_early = s->freed;
    join_all(readers, 3);
}

static void epochs_free_behind_the_readers(void **state)
{
    (void)state;
    static Stage s;
    unsigned freed_early = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        Budget b;
        budget_init(&b, "b", NULL, 0, 0);
        memset(&s, 0, sizeof s);
        assert_int_equal(epoch_new(&b, NULL, &s.epoch), ST_OK);
        run(seed, 2, epoch_main, &s);
        freed_early += s.freed_early;
        assert_false(s.seen_freed);
        epoch_free(s.epoch);
        assert_int_equal(s.freed, OBJECTS - 1);
        budget_done(&b);
    }
    assert_true(freed_early > 0);
}

static void many_main(void *arg)
{
    static Mutex m;
    (void)arg;
    mutex_init(&m, RANK_NONE);
    for (int i = 0; i < 3000; i++) {
        os_yield();
    }
    mutex_done(&m);
}

static void two_yielders(void *arg)
{
    OsThread *threads[2];
    start_all(threads, 2, many_main, arg);
    join_all(threads, 2);
}

static void switching_is_fast(void **state)
{
    (void)state;
    int64_t start = os_monotonic_us();
    SchedStats s = run(1, 1, two_yielders, NULL);
    int64_t took = os_monotonic_us() - start;
    assert_true(s.switches > 2000);
    print_message("# %llu switches in %lld us\n", (unsigned long long)s.switches, (long long)took);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(some_seeds_find_a_race_and_some_do_not),
        cmocka_unit_test(an_hour_of_virtual_time_passes_at_once),
        cmocka_unit_test(timeouts_fire_in_virtual_time),
        cmocka_unit_test(a_turning_thread_lets_time_pass),
        cmocka_unit_test(threads_start_threads),
        cmocka_unit_test(a_deadlock_is_reported_with_every_threads_wait),
        cmocka_unit_test(epochs_free_behind_the_readers),
        cmocka_unit_test(switching_is_fast),
    };
    return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
