/*
 * What the tests of the lock manager share: a manager, and actors: sessions with an owner and a thread of their own.
 *
 * Stories run under the deterministic scheduler, where time is virtual: `at_ms(a, 5)` lets everything that can happen
 * before millisecond 5 happen first, so a story reads as a timetable.
 */
#ifndef TEST_LOCK_FIXTURE_H
#define TEST_LOCK_FIXTURE_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "os/sched.h"
#include "os/thread.h"
#include "txn/lock.h"

/* Usable on any thread, where cmocka's assertions are not. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #cond);                                   \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ACTORS_MAX = 16 };

typedef struct World World;

typedef struct Actor {
    World *world;
    LockOwner owner;
    Error err;
    Ctx cx;
    _Atomic uint32_t intr;
    void (*story)(struct Actor *a);
    OsThread *thread;
    int index;
    int waits_begun, waits_ended;
    _Atomic bool running; /* its transaction, index + 100 */
    void *model;
} Actor;

struct World {
    Budget root;
    Budget cold; /* of the actors: search, views */
    LockManager *mgr;
    int64_t start_us;
    int n_actors;
    Actor actors[ACTORS_MAX];
    void (*setup)(World *w);
    char log[16384];
    size_t log_len;
    void *arg;
};

static inline void fixture_log(void *sink, const char *line, size_t len)
{
    World *w = sink;
    if (w->log_len + len < sizeof w->log) {
        memcpy(w->log + w->log_len, line, len);
        w->log_len += len;
    }
}

static inline int64_t fixture_clock(void *clock)
{
    (void)clock;
    return 0;
}

static inline void hook_wait_begin(void *owner)
{
    ((Actor *)owner)->waits_begun++;
}

static inline void hook_wait_end(void *owner)
{
    ((Actor *)owner)->waits_ended++;
}

static inline Actor *actor_init(World *w, int i)
{
    Actor *a = &w->actors[i];
    a->world = w;
    a->index = i;
    err_clear(&a->err);
    ctx_init(&a->cx, &a->err, &w->cold, NULL);
    a->cx.owner = a;
    a->cx.wait_begin = hook_wait_begin;
    a->cx.wait_end = hook_wait_end;
    lock_owner_init(&a->owner, w->mgr, 1000 + i);
    return a;
}

static inline void world_init(World *w, int n_actors, const LockConfig *config)
{
    Error err;
    Ctx cx;
    budget_init(&w->root, "test", NULL, 0, 0);
    budget_init(&w->cold, "cold", NULL, 0, 0);
    err_clear(&err);
    ctx_init(&cx, &err, &w->root, NULL);
    CHECK(lockmgr_new(&cx, &w->root, config, &w->mgr) == ST_OK);
    w->n_actors = n_actors;
    for (int i = 0; i < n_actors; i++) {
        actor_init(w, i);
    }
}

static inline void world_done(World *w)
{
    lockmgr_check(w->mgr);
    for (int i = 0; i < w->n_actors; i++) {
        CHECK(w->actors[i].waits_begun == w->actors[i].waits_ended);
        lock_owner_done(&w->actors[i].owner);
    }
    lockmgr_check(w->mgr);
    lockmgr_free(w->mgr);
    budget_done(&w->root);
    budget_done(&w->cold);
}

static inline void actor_main(void *arg)
{
    Actor *a = arg;
    a->story(a);
}

static inline void world_run(World *w)
{
    w->start_us = os_monotonic_us();
    for (int i = 0; i < w->n_actors; i++) {
        Actor *a = &w->actors[i];
        CHECK(os_thread_start("actor", actor_main, a, &a->err, &a->thread) == ST_OK);
    }
    for (int i = 0; i < w->n_actors; i++) {
        os_thread_join(w->actors[i].thread);
    }
}

/* ---- verbs of a story ---- */

static inline int64_t now_ms(const Actor *a)
{
    return (os_monotonic_us() - a->world->start_us) / 1000;
}

static inline void at_ms(const Actor *a, int64_t ms)
{
    int64_t us = a->world->start_us + ms * 1000 - os_monotonic_us();
    CHECK(us >= 0);
    os_sleep_us(us);
}

static inline LockTag table(uint64_t i)
{
    return lock_tag_table(1, i);
}

static inline Status take(Actor *a, LockTag tag, LockMode mode)
{
    err_clear(&a->err);
    return lock_acquire(&a->cx, &a->owner, &tag, mode, LOCK_WAIT, -1);
}

static inline Status try_take(Actor *a, LockTag tag, LockMode mode)
{
    err_clear(&a->err);
    return lock_acquire(&a->cx, &a->owner, &tag, mode, LOCK_TRY, -1);
}

static inline bool give(Actor *a, LockTag tag, LockMode mode)
{
    return lock_release(&a->owner, &tag, mode);
}

static inline uint64_t txn_number(const Actor *a)
{
    return (uint64_t)a->index + 100;
}

static inline bool actor_running(void *arg)
{
    return atomic_load_explicit(&((Actor *)arg)->running, memory_order_seq_cst);
}

static inline void begin(Actor *a)
{
    lock_owner_set_txn(&a->owner, (TxnId){txn_number(a)});
    atomic_store_explicit(&a->running, true, memory_order_seq_cst);
}

/* The protocol of lock_wait_txn: publish the end, then wake. */
static inline void end(Actor *a)
{
    atomic_store_explicit(&a->running, false, memory_order_seq_cst);
    lock_txn_ended(a->world->mgr, (TxnId){txn_number(a)});
    lock_owner_set_txn(&a->owner, TXN_NONE);
    lock_release_all(&a->owner);
}

static inline Status wait_for(Actor *a, Actor *other, int64_t timeout_us)
{
    err_clear(&a->err);
    return lock_wait_txn(&a->cx, &a->owner, (TxnId){txn_number(other)}, actor_running, other, timeout_us);
}

/* Runs `fn` under the scheduler for some seeds. */
static inline void under_scheduler(void (*fn)(void *arg), void *arg, int seeds)
{
    for (int seed = 1; seed <= seeds; seed++) {
        Error err;
        SchedStats stats;
        err_clear(&err);
        CHECK(sched_run((uint64_t)seed, 1 + (unsigned)seed % 4, fn, arg, &err, &stats) == ST_OK);
    }
}

/* A world whose actors each run their story; a fresh one per seed. */
typedef struct Play {
    int n_actors;
    void (*stories[ACTORS_MAX])(Actor *a);
    LockConfig config;
    void (*after)(World *w);
    bool logged;
} Play;

static inline void play_once(void *arg)
{
    const Play *play = arg;
    World *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    Log log = {.format = LOG_TEXT, .write_line = fixture_log, .sink = w, .now_us = fixture_clock};
    LockConfig config = play->config;
    if (play->logged) {
        config.log = &log;
    }
    world_init(w, play->n_actors, &config);
    for (int i = 0; i < play->n_actors; i++) {
        w->actors[i].story = play->stories[i];
    }
    world_run(w);
    if (play->after != NULL) {
        play->after(w);
    }
    world_done(w);
    free(w);
}

static inline void play(Play p)
{
    under_scheduler(play_once, &p, 20);
}

#endif
