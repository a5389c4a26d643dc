/*
 * Random loads. Under the deterministic scheduler: every deadlock reported is checked against the true state of the
 * whole manager (while one scheduled thread looks, the world stands still), and one not found would leave nobody to run,
 * which the scheduler reports. On free threads: owners that come and go, timeouts, views and checks beside it.
 */
#include "test_lock_fixture.h"
#include "txn/lock_int.h"

enum { TABLES = 4, STEPS = 60 };

/* ---- the truth ---- */

/* Thread-local: which actor runs on this thread, and what it is asking for. */
static _Thread_local Actor *me;
static _Thread_local LockTag wanted_tag;
static _Thread_local LockMode wanted_mode;

static uint64_t proven;

/* Does x wait for y, by what stands in the manager now? */
static bool blocks(const Actor *x, const Actor *y)
{
    const LockWaiter *w = &x->owner.wait;
    if (!w->queued || x == y) {
        return false;
    }
    if (w->tag.kind == LOCK_KIND_TRANSACTION) {
        return w->tag.field[0] == txn_number(y) && atomic_load(&y->running);
    }
    LockMask conflicts = lock_conflicts(w->mode);
    for (const LockHold *h = w->lock->holds; h != NULL; h = h->lock_next) {
        if (h->owner == &y->owner && (conflicts & lock_mask(h->mode)) != 0) {
            return true;
        }
    }
    for (const LockOwner *o = w->lock->first; o != &x->owner; o = o->wait.next) {
        if (o == &y->owner && (conflicts & lock_mask(o->wait.mode)) != 0) {
            return true;
        }
    }
    return false;
}

static bool reaches(const World *w, const Actor *from, const Actor *to, unsigned *visited)
{
    for (int i = 0; i < w->n_actors; i++) {
        const Actor *next = &w->actors[i];
        if ((*visited & 1u << i) == 0 && blocks(from, next)) {
            *visited |= 1u << i;
            if (next == to || reaches(w, next, to, visited)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * A search has found a cycle and will confirm it. What it then confirms must have been there at this moment, even if
 * timeouts tear it apart while it is being confirmed.
 */
static _Thread_local bool cycle_was_there;

static void on_found(void *arg)
{
    unsigned visited = 0;
    cycle_was_there = reaches(arg, me, me, &visited);
}

static void on_confirmed(void *arg)
{
    (void)arg;
    CHECK(cycle_was_there);
    proven++;
}

/* A deadlock was seen without waiting: somebody who waits, directly or not, for me holds what I want. */
static void on_deadlock_at_once(void *arg)
{
    World *w = arg;
    uint64_t hash = lock_tag_hash(&wanted_tag);
    const Lock *lock = lock_find_locked(lock_partition(w->mgr, hash), &wanted_tag, hash);
    CHECK(lock != NULL);
    bool real = false;
    for (const LockHold *h = lock->holds; h != NULL; h = h->lock_next) {
        if (h->owner != &me->owner && (lock_conflicts(wanted_mode) & lock_mask(h->mode)) != 0) {
            const Actor *holder = &w->actors[h->owner->pid - 1000];
            unsigned visited = 0;
            real |= reaches(w, holder, me, &visited);
        }
    }
    CHECK(real);
    proven++;
}

/* ---- the load ---- */

typedef struct Load {
    uint64_t seed;
    int n_actors;
    bool timeouts;
} Load;

static void step_acquire(Actor *a, Rng *rng, bool timeouts)
{
    wanted_tag = table(rng_below(rng, TABLES));
    wanted_mode = (LockMode)(1 + rng_below(rng, 8));
    bool session = rng_below(rng, 20) == 0;
    LockWait wait = rng_below(rng, 5) == 0 ? LOCK_TRY : LOCK_WAIT;
    int64_t timeout_us = timeouts && rng_below(rng, 2) == 0 ? (int64_t)rng_below(rng, 8000) : -1;
    bool had = lock_held(&a->owner, &wanted_tag, wanted_mode);
    err_clear(&a->err);
    Status st =
        (session ? lock_acquire_session : lock_acquire)(&a->cx, &a->owner, &wanted_tag, wanted_mode, wait, timeout_us);
    CHECK(lock_held(&a->owner, &wanted_tag, wanted_mode) == (st == ST_OK || had));
    CHECK(!had || st == ST_OK);
    switch (st) {
    case ST_OK: break;
    case ST_WOULD_BLOCK: CHECK(wait == LOCK_TRY); break;
    case ST_LOCK_NOT_AVAILABLE: CHECK(timeout_us >= 0); break;
    default:
        CHECK(st == ST_DEADLOCK_DETECTED);
        end(a);
        lock_release_session_all(&a->owner);
        begin(a);
    }
}

static void step_wait(Actor *a, Rng *rng)
{
    Actor *other = &a->world->actors[rng_below(rng, (uint64_t)a->world->n_actors)];
    if (other == a) {
        return;
    }
    Status st = wait_for(a, other, -1);
    if (st != ST_OK) {
        CHECK(st == ST_DEADLOCK_DETECTED);
        end(a);
        lock_release_session_all(&a->owner);
        begin(a);
    }
}

static void random_story(Actor *a)
{
    const Load *load = a->world->arg;
    Rng rng;
    rng_seed(&rng, load->seed * 100 + (uint64_t)a->index);
    me = a;
    begin(a);
    LockMark mark = lock_mark(&a->owner);
    for (int i = 0; i < STEPS; i++) {
        uint64_t kind = rng_below(&rng, 100);
        LockTag tag = table(rng_below(&rng, TABLES));
        if (kind < 60) {
            step_acquire(a, &rng, load->timeouts);
        } else if (kind < 72) {
            lock_release(&a->owner, &tag, (LockMode)(1 + rng_below(&rng, 8)));
        } else if (kind < 76) {
            mark = lock_mark(&a->owner);
        } else if (kind < 80) {
            lock_release_since(&a->owner, mark);
        } else if (kind < 88) {
            step_wait(a, &rng);
        } else if (kind < 94) {
            end(a);
            os_sleep_us((int64_t)rng_below(&rng, 100));
            begin(a);
            mark = lock_mark(&a->owner);
        } else if (kind < 97) {
            os_sleep_us((int64_t)rng_below(&rng, 3000));
        } else {
            lockmgr_check(a->world->mgr);
        }
    }
    end(a);
    lock_release_session_all(&a->owner);
    me = NULL;
}

static uint64_t deadlocks_seen;

static void run_load(void *arg)
{
    Load *load = arg;
    World *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    world_init(w, load->n_actors, &(LockConfig){.deadlock_timeout_us = 5000});
    w->arg = load;
    for (int i = 0; i < w->n_actors; i++) {
        w->actors[i].story = random_story;
    }
    SyncHooks *hooks = sync_hooks_new();
    sync_hooks_set(hooks, "lock.graph.before_confirm", on_found, w);
    sync_hooks_set(hooks, "lock.graph.confirmed", on_confirmed, w);
    sync_hooks_set(hooks, "lock.deadlock_at_once", on_deadlock_at_once, w);
    sync_hooks_enter(hooks);
    world_run(w);
    sync_hooks_enter(NULL);
    deadlocks_seen += lockmgr_stats(w->mgr).deadlocks;
    world_done(w);
    sync_hooks_free(hooks);
    free(w);
}

static void random_loads(bool timeouts, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        Load load = {.seed = seed, .n_actors = 2 + (int)(seed % 6), .timeouts = timeouts};
        Error err;
        err_clear(&err);
        Status st = sched_run(seed, 1 + (unsigned)(seed % 5), run_load, &load, &err, NULL);
        if (st != ST_OK) {
            fail_msg("seed %" PRIu64, seed);
        }
    }
}

static void test_every_deadlock_is_real_and_every_one_is_found(void **state)
{
    (void)state;
    random_loads(false, 300);
    print_message("%" PRIu64 " deadlocks, all proven\n", deadlocks_seen);
    assert_true(deadlocks_seen > 1000 && proven == deadlocks_seen);
}

static void test_timeouts_beside_it(void **state)
{
    (void)state;
    random_loads(true, 150);
}

/* ---- free threads ---- */

enum { THREADS = 4, TRANSACTIONS = 1500 };

typedef struct Slot {
    _Alignas(64) _Atomic uint64_t txn; /* running in this slot */
} Slot;

typedef struct Free {
    World w;
    Slot slots[THREADS];
    _Atomic uint64_t next_txn;
    _Atomic bool stop;
} Free;

typedef struct Query {
    Slot *slot;
    uint64_t txn;
} Query;

static bool slot_runs(void *arg)
{
    const Query *q = arg;
    return atomic_load_explicit(&q->slot->txn, memory_order_seq_cst) == q->txn;
}

static Status free_step(Free *f, Actor *a, LockOwner *owner, Rng *rng)
{
    int64_t timeout_us = rng_below(rng, 4) == 0 ? (int64_t)rng_below(rng, 2000) : -1;
    err_clear(&a->err);
    if (rng_below(rng, 8) == 0) {
        Query q = {.slot = &f->slots[rng_below(rng, THREADS)]};
        q.txn = atomic_load(&q.slot->txn);
        bool own = q.slot == &f->slots[a->index];
        return own || q.txn == 0 ? ST_OK : lock_wait_txn(&a->cx, owner, (TxnId){q.txn}, slot_runs, &q, timeout_us);
    }
    LockTag tag = table(rng_below(rng, 6));
    static const LockMode MODES[] = {LOCK_ACCESS_SHARE, LOCK_ROW_EXCLUSIVE, LOCK_ROW_EXCLUSIVE, LOCK_SHARE,
                                     LOCK_EXCLUSIVE};
    return lock_acquire(&a->cx, owner, &tag, MODES[rng_below(rng, ARRAY_LEN(MODES))], LOCK_WAIT, timeout_us);
}

/* An owner per transaction, always at the same address: what the search remembers of the last one must not fit the next. */
static void free_transaction(Free *f, Actor *a, Rng *rng)
{
    LockOwner owner;
    uint64_t id = atomic_fetch_add(&f->next_txn, 1) + 1;
    lock_owner_init(&owner, f->w.mgr, 2000 + a->index);
    lock_owner_set_txn(&owner, (TxnId){id});
    atomic_store_explicit(&f->slots[a->index].txn, id, memory_order_seq_cst);
    for (int i = 0; i < 6; i++) {
        Status st = free_step(f, a, &owner, rng);
        os_yield(); /* so that transactions overlap on however few processors */
        if (st != ST_OK) {
            CHECK(st == ST_DEADLOCK_DETECTED || st == ST_LOCK_NOT_AVAILABLE);
            break;
        }
    }
    atomic_store_explicit(&f->slots[a->index].txn, 0, memory_order_seq_cst);
    lock_txn_ended(f->w.mgr, (TxnId){id});
    lock_owner_set_txn(&owner, TXN_NONE);
    lock_owner_done(&owner);
}

static void free_story(Actor *a)
{
    Rng rng;
    rng_seed(&rng, (uint64_t)a->index + 1);
    for (int i = 0; i < TRANSACTIONS; i++) {
        free_transaction(a->world->arg, a, &rng);
    }
}

static void ignore_info(void *arg, const LockInfo *info)
{
    (void)arg;
    CHECK(info->pid >= 1000);
}

static void ignore_pid(void *arg, int32_t pid)
{
    (void)arg;
    CHECK(pid >= 1000);
}

static void watch_story(Actor *a)
{
    Free *f = a->world->arg;
    while (!atomic_load(&f->stop)) {
        lockmgr_check(f->w.mgr);
        CHECK(lock_each(&a->cx, f->w.mgr, ignore_info, NULL) == ST_OK);
        for (int32_t i = 0; i < THREADS; i++) {
            CHECK(lock_blockers(&a->cx, f->w.mgr, 2000 + i, ignore_pid, NULL) == ST_OK);
        }
        os_sleep_us(500);
    }
}

static void test_free_threads(void **state)
{
    (void)state;
    Free *f = aligned_alloc(64, sizeof *f);
    assert_non_null(f);
    memset(f, 0, sizeof *f);
    world_init(&f->w, THREADS + 1, &(LockConfig){.deadlock_timeout_us = 2000});
    f->w.arg = f;
    for (int i = 0; i <= THREADS; i++) {
        Actor *a = &f->w.actors[i];
        a->story = i < THREADS ? free_story : watch_story;
        assert_int_equal(os_thread_start("actor", actor_main, a, &a->err, &a->thread), ST_OK);
    }
    for (int i = 0; i <= THREADS; i++) {
        if (i == THREADS) {
            atomic_store(&f->stop, true);
        }
        os_thread_join(f->w.actors[i].thread);
    }
    LockStats s = lockmgr_stats(f->w.mgr);
    print_message("waits %" PRIu64 ", deadlocks %" PRIu64 ", timeouts %" PRIu64 ", searches %" PRIu64
                  ", retracted %" PRIu64 "\n",
                  s.waits, s.deadlocks, s.timeouts, s.searches, s.retracted);
    assert_true(s.waits > 0);
    world_done(&f->w);
    free(f);
}

/* Cancels at every moment of the wait, from another thread. */
static void cancel_story(Actor *a)
{
    Free *f = a->world->arg;
    Rng rng;
    rng_seed(&rng, (uint64_t)a->index + 77);
    a->cx.intr = &a->intr;
    for (int i = 0; i < 2000; i++) {
        err_clear(&a->err);
        LockTag tag = table(1);
        Status st = lock_acquire(&a->cx, &a->owner, &tag, LOCK_EXCLUSIVE, LOCK_WAIT, -1);
        CHECK(st == ST_OK || st == ST_QUERY_CANCELED);
        CHECK(lock_held(&a->owner, &tag, LOCK_EXCLUSIVE) == (st == ST_OK));
        Actor *other = &f->w.actors[rng_below(&rng, THREADS)];
        atomic_store(&a->intr, 0);
        atomic_store(&other->intr, INTR_CANCEL);
        lock_owner_wake(&other->owner);
        lock_release_all(&a->owner);
    }
}

static void test_free_threads_cancel_each_other(void **state)
{
    (void)state;
    Free *f = aligned_alloc(64, sizeof *f);
    assert_non_null(f);
    memset(f, 0, sizeof *f);
    world_init(&f->w, THREADS, &(LockConfig){.poll_us = 10000000});
    f->w.arg = f;
    for (int i = 0; i < THREADS; i++) {
        f->w.actors[i].story = cancel_story;
    }
    world_run(&f->w);
    world_done(&f->w);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_deadlock_is_real_and_every_one_is_found),
        cmocka_unit_test(test_timeouts_beside_it),
        cmocka_unit_test(test_free_threads),
        cmocka_unit_test(test_free_threads_cancel_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
