/*
 * os/sched.c: the deterministic scheduler.
 *
 * Key idea: every scheduled thread is a real thread that sleeps on its own futex word `go`. The one that runs hands the
 * processor over by setting another's word and sleeping on its own, so all of the run's state is touched by one
 * thread at a time and needs no lock; the words order its changes. All threads of a run are pinned to one processor:
 * a hand-over is then a plain context switch (about 2 us) and not a wake-up of an idle core.
 *
 * Task states
 *     runnable --(chosen)--> runs --(point)--> runnable
 *     runs --(block)--> blocked --(wake, timeout)--> runnable
 *     runs --(exit)--> done
 *
 * Invariants
 *  S1  run->runnable holds exactly the tasks that are runnable or running; task->runnable_at is its place there.
 *  S2  Nothing but the seed and the program decides a choice: no addresses, real times or thread ids.
 *  S3  Virtual time does not pass a live deadline: whoever's deadline is reached is made runnable at that time.
 */
#include "os/sched.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "os/os_int.h"

typedef struct SchedRun SchedRun;

typedef enum TaskState { TASK_RUNNABLE, TASK_BLOCKED, TASK_DONE } TaskState;

struct SchedTask {
    SchedRun *run;
    SchedTask *next_made; /* list of all tasks of the run, for freeing */
    unsigned id;
    TaskState state;
    _Atomic uint32_t go;   /* 1: run */
    size_t runnable_at;    /* place in run->runnable */
    size_t live_at;        /* place in run->live */
    const char *wait_what; /* while blocked */
    const void *wait_addr;
    int64_t deadline_us; /* while blocked; negative = none */
    bool timed_out;
    const char *last_point;
    char name[16];
};

struct SchedRun {
    uint64_t seed;
    unsigned switch_one_in;
    Rng choice;
    Rng entropy;
    SchedTask *made;
    SchedTask **live; /* all that are not done */
    size_t live_count;
    SchedTask **runnable;
    size_t runnable_count;
    size_t capacity; /* of both arrays */
    unsigned next_id;
    int64_t now_us;
    SchedStats stats;
    void (*fn)(void *arg);
    void *arg;
    _Atomic uint32_t finished;
};

_Thread_local SchedTask *sched_self;

bool sched_active(void)
{
    return sched_on();
}

static void add_runnable(SchedTask *t)
{
    SchedRun *r = t->run;
    t->state = TASK_RUNNABLE;
    t->runnable_at = r->runnable_count;
    r->runnable[r->runnable_count++] = t;
}

static void remove_runnable(SchedTask *t)
{
    SchedRun *r = t->run;
    ASSERT(r->runnable[t->runnable_at] == t); /* S1 */
    SchedTask *last = r->runnable[--r->runnable_count];
    r->runnable[t->runnable_at] = last;
    last->runnable_at = t->runnable_at;
}

static void make_runnable(SchedTask *t, bool timed_out)
{
    t->timed_out = timed_out;
    t->wait_what = NULL;
    t->wait_addr = NULL;
    add_runnable(t);
}

/* Wakes those whose deadline has come, in order of their places in `live`, which is part of the history (S2). */
static void expire(SchedRun *r)
{
    for (size_t i = 0; i < r->live_count && r->runnable_count < r->live_count; i++) {
        SchedTask *t = r->live[i];
        if (t->state == TASK_BLOCKED && t->deadline_us >= 0 && t->deadline_us <= r->now_us) {
            make_runnable(t, true);
        }
    }
}

static _Noreturn void report_deadlock(const SchedRun *r)
{
    fprintf(stderr, "deadlock under the deterministic scheduler: seed %llu, switch_one_in %u, virtual time %lld us\n",
            (unsigned long long)r->seed, r->switch_one_in, (long long)r->now_us);
    for (size_t i = 0; i < r->live_count; i++) {
        const SchedTask *t = r->live[i];
        fprintf(stderr, "  thread %u \"%s\" waits for %s at %p, last point: %s\n", t->id, t->name,
                t->wait_what == NULL ? "nothing" : t->wait_what, t->wait_addr,
                t->last_point == NULL ? "none" : t->last_point);
    }
    fflush(stderr);
    abort();
}

/* Nothing can run: on to the earliest deadline (S3). */
static void advance_time(SchedRun *r)
{
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < r->live_count; i++) {
        int64_t deadline = r->live[i]->deadline_us;
        if (deadline >= 0 && deadline < earliest) {
            earliest = deadline;
        }
    }
    if (earliest == INT64_MAX) {
        report_deadlock(r);
    }
    ASSERT(earliest >= r->now_us);
    r->now_us = earliest;
    expire(r);
}

static SchedTask *choose(SchedRun *r)
{
    if (r->runnable_count == 0) {
        advance_time(r);
    }
    size_t n = r->runnable_count;
    return r->runnable[n == 1 ? 0 : rng_below(&r->choice, n)];
}

static void hand_over(SchedTask *to)
{
    to->run->stats.switches++;
    /* Release pairs with the acquire in wait_turn: the next one sees all that was done before. */
    atomic_store_explicit(&to->go, 1, memory_order_release);
    futex_wake(&to->go, 1);
}

static void wait_turn(SchedTask *t)
{
    while (atomic_load_explicit(&t->go, memory_order_acquire) == 0) {
        futex_wait(&t->go, 0, -1);
    }
    atomic_store_explicit(&t->go, 0, memory_order_relaxed); /* only its owner clears it, and only it is waiting */
}

static void switch_to(SchedTask *to)
{
    if (to != sched_self) {
        hand_over(to);
        wait_turn(sched_self);
    }
}

static uint64_t hash_text(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *s != 0; s++) {
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    }
    return h;
}

static void note_point(SchedTask *t, const char *name)
{
    SchedRun *r = t->run;
    t->last_point = name;
    r->stats.choices++;
    r->stats.hash = mix64(r->stats.hash ^ hash_text(name)) + t->id;
}

void sched_point(const char *name)
{
    SchedTask *t = sched_self;
    SchedRun *r = t->run;
    note_point(t, name);
    if (r->runnable_count > 1 && (r->switch_one_in <= 1 || rng_below(&r->choice, r->switch_one_in) == 0)) {
        switch_to(choose(r));
    }
}

/*
 * For loops that wait by turning: always a new choice, and a little time passes, or a sleeper that the loop waits for
 * would never wake.
 */
void sched_yield_point(const char *name)
{
    SchedTask *t = sched_self;
    note_point(t, name);
    t->run->now_us++;
    expire(t->run);
    switch_to(choose(t->run));
}

bool sched_block(const char *what, const void *addr, int64_t timeout_us)
{
    SchedTask *t = sched_self;
    SchedRun *r = t->run;
    t->wait_what = what;
    t->wait_addr = addr;
    t->deadline_us = timeout_us < 0 ? -1 : timeout_us > INT64_MAX / 2 ? INT64_MAX / 2 : r->now_us + timeout_us;
    t->timed_out = false;
    remove_runnable(t);
    t->state = TASK_BLOCKED;
    switch_to(choose(r));
    t->deadline_us = -1;
    return !t->timed_out;
}

static bool waits_at(const SchedTask *t, const void *addr)
{
    return t->state == TASK_BLOCKED && t->wait_addr == addr;
}

/* Of more waiters than may go on, the seed chooses. */
void sched_wake(const void *addr, unsigned count)
{
    SchedRun *r = sched_self->run;
    size_t waiters = 0;
    if (r->runnable_count < r->live_count) {
        for (size_t i = 0; i < r->live_count; i++) {
            waiters += waits_at(r->live[i], addr);
        }
    }
    size_t wanted = count < waiters ? count : waiters;
    /* Takes each waiter with the chance (still wanted / still to come), which gives every subset the same. */
    for (size_t i = 0; wanted > 0; i++) {
        if (waits_at(r->live[i], addr)) {
            if (wanted == waiters || rng_below(&r->choice, waiters) < wanted) {
                make_runnable(r->live[i], false);
                wanted--;
            }
            waiters--;
        }
    }
}

int64_t sched_now_us(void)
{
    return sched_self->run->now_us;
}

void sched_random_bytes(void *p, size_t len)
{
    char *to = p;
    while (len > 0) {
        uint64_t bits = rng_next(&sched_self->run->entropy);
        size_t n = len < sizeof bits ? len : sizeof bits;
        memcpy(to, &bits, n);
        to += n;
        len -= n;
    }
}

bool sched_is_done(const SchedTask *task)
{
    return task->state == TASK_DONE;
}

static bool grow(SchedRun *r)
{
    size_t capacity = r->capacity == 0 ? 16 : r->capacity * 2;
    SchedTask **live = realloc(r->live, capacity * sizeof *live);
    if (live == NULL) {
        return false;
    }
    r->live = live;
    SchedTask **runnable = realloc(r->runnable, capacity * sizeof *runnable);
    if (runnable == NULL) {
        return false;
    }
    r->runnable = runnable;
    r->capacity = capacity;
    return true;
}

static SchedTask *add_task(SchedRun *r, const char *name)
{
    if (r->live_count == r->capacity && !grow(r)) {
        return NULL;
    }
    SchedTask *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->run = r;
    t->id = r->next_id++;
    t->deadline_us = -1;
    strncpy(t->name, name, sizeof t->name - 1);
    t->next_made = r->made;
    r->made = t;
    t->live_at = r->live_count;
    r->live[r->live_count++] = t;
    add_runnable(t);
    return t;
}

SchedTask *sched_task_new(const char *name)
{
    return add_task(sched_self->run, name);
}

static void remove_live(SchedTask *t)
{
    SchedRun *r = t->run;
    remove_runnable(t);
    t->state = TASK_DONE;
    SchedTask *last = r->live[--r->live_count];
    r->live[t->live_at] = last;
    last->live_at = t->live_at;
}

/* It stays in the list of made ones, to be freed with the run. */
void sched_task_drop(SchedTask *task)
{
    if (task != NULL) {
        remove_live(task);
    }
}

void sched_task_enter(SchedTask *task)
{
    wait_turn(task);
    sched_self = task;
    sync_arm();
}

/* After the last hand-over neither the task nor the run may be touched: the run may be gone. */
void sched_task_exit(void)
{
    SchedTask *t = sched_self;
    SchedRun *r = t->run;
    note_point(t, "exit");
    remove_live(t);
    sched_wake(t, UINT_MAX);
    sched_self = NULL;
    sync_arm();
    if (r->live_count > 0) {
        hand_over(choose(r));
    } else {
        atomic_store_explicit(&r->finished, 1, memory_order_release); /* pairs with the acquire in sched_run */
        futex_wake(&r->finished, 1);
    }
}

static void *first_thread(void *p)
{
    SchedRun *r = p;
    sched_task_enter(r->made);
    r->fn(r->arg);
    sched_task_exit();
    return NULL;
}

/* Starts the run's first thread on one processor, which the threads it starts inherit. */
static int start_first(SchedRun *r, pthread_t *out_thread)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    int cpu = sched_getcpu();
    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)cpu, &set);
        pthread_attr_setaffinity_np(&attr, sizeof set, &set); /* only speed depends on it */
    }
    pthread_attr_setstacksize(&attr, 8 * 1024 * 1024);
    rc = pthread_create(out_thread, &attr, first_thread, r);
    pthread_attr_destroy(&attr);
    return rc;
}

static void free_run(SchedRun *r)
{
    while (r->made != NULL) {
        SchedTask *t = r->made;
        r->made = t->next_made;
        free(t);
    }
    free(r->live);
    free(r->runnable);
}

Status sched_run(uint64_t seed, unsigned switch_one_in, void (*fn)(void *arg), void *arg, Error *err,
                 SchedStats *out_stats)
{
    ASSERT(!sched_on());
    SchedRun run = {.seed = seed, .switch_one_in = switch_one_in, .fn = fn, .arg = arg};
    rng_seed(&run.choice, seed);
    rng_seed(&run.entropy, mix64(seed));
    SchedTask *first = add_task(&run, "main");
    if (first == NULL) {
        free_run(&run);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    pthread_t thread;
    int rc = start_first(&run, &thread);
    if (rc != 0) {
        free_run(&run);
        char text[128];
        return err_set(err, ST_SYSTEM_ERROR, "could not start thread: %s", strerror_r(rc, text, sizeof text));
    }
    hand_over(first);
    while (atomic_load_explicit(&run.finished, memory_order_acquire) == 0) {
        futex_wait(&run.finished, 0, -1);
    }
    pthread_join(thread, NULL);
    run.stats.virtual_us = run.now_us;
    if (out_stats != NULL) {
        *out_stats = run.stats;
    }
    free_run(&run);
    return ST_OK;
}
