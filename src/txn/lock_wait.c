/*
 * txn/lock_wait.c: sleeping until a lock is granted or a transaction has ended.
 *
 * The protocol of sleeping and waking. A wait begins under a mutex (the partition's), where the owner is queued and its
 * park word's OVER bit cleared. It ends under the same mutex: whoever grants unqueues the owner, sets OVER and wakes it;
 * whoever gives up (timeout, interrupt, deadlock) unqueues himself. So exactly one of the two happens, and the queue
 * says which.
 *
 * L7  OVER is set exactly once for a wait that is granted, never for one given up. The owner takes the partition's
 *     mutex once more before it goes on (lock_leave): after that no waker still touches its memory.
 */
#include <inttypes.h>

#include "txn/lock_int.h"

enum { DEADLOCK_AGAIN_US = 10 * 1000 }; /* after a search that could not decide */

typedef struct Sleep {
    int64_t start_us;
    int64_t deadline_us;  /* INT64_MAX = none */
    int64_t search_at_us; /* INT64_MAX = not any more */
    bool reported;        /* "still waiting" was logged */
} Sleep;

static int64_t time_after(int64_t start_us, int64_t us)
{
    return us < 0 || us > INT64_MAX - start_us ? INT64_MAX : start_us + us;
}

static void log_wait(const LockOwner *owner, const Sleep *s, const char *what)
{
    char text[LOCK_TAG_TEXT_BYTES];
    const LockWaiter *w = &owner->wait;
    int64_t us = os_monotonic_us() - s->start_us;
    log_line(owner->mgr->log, LOG_INFO, "process %" PRId32 " %s %s on %s after %" PRId64 ".%03d ms", owner->pid, what,
             lock_mode_name(w->mode), lock_tag_text(&w->tag, text, sizeof text), us / 1000, (int)(us % 1000));
}

/* The search that is due after deadlock_timeout. Not ST_OK: this owner is the victim and has left its queue. */
static Status look_for_deadlock(Ctx *cx, LockOwner *owner, Sleep *s)
{
    LockManager *mgr = owner->mgr;
    bool again = false;
    Status st = lock_search(cx, owner, &again);
    s->search_at_us = again ? time_after(os_monotonic_us(), DEADLOCK_AGAIN_US) : INT64_MAX;
    if (st != ST_OK) {
        log_wait(owner, s, "detected deadlock while waiting for");
        return st;
    }
    bool over = (atomic_load_explicit(&owner->park, memory_order_relaxed) & PARK_OVER) != 0; /* relaxed: a log line */
    if (!over && !s->reported && atomic_load_explicit(&mgr->log_waits, memory_order_relaxed)) {
        s->reported = true;
        log_wait(owner, s, "still waiting for");
    }
    return ST_OK;
}

/* As lock_acquire had been refused: a lock granted while its owner gave up goes back. */
static void undo_grant(LockOwner *owner)
{
    LockHold *hold = owner->wait.hold;
    if (hold == NULL) {
        return;
    }
    LockPartition *p = lock_partition(owner->mgr, hold->hash);
    mutex_lock(&p->mutex);
    lock_ungrant_locked(owner->mgr, hold);
    mutex_unlock(&p->mutex);
}

static void park(const LockOwner *owner, _Atomic uint32_t *word, uint32_t seen, const Sleep *s, bool interruptible)
{
    int64_t now_us = os_monotonic_us();
    int64_t until_us = s->deadline_us < s->search_at_us ? s->deadline_us : s->search_at_us;
    if (interruptible && until_us - now_us > owner->mgr->poll_us) {
        until_us = now_us + owner->mgr->poll_us;
    }
    SYNC_POINT("lock.before_park");
    if (until_us > now_us) {
        os_park(word, seen, until_us == INT64_MAX ? -1 : until_us - now_us);
    }
}

/*
 * Interrupts are asked for with ctx_interrupted: ctx_poll's hook, which may hand the processor on, is for those who
 * hold a run token, and the sleeper has given up its own.
 */
static Status sleep_until_over(Ctx *cx, LockOwner *owner, Sleep *s)
{
    for (;;) {
        /* Acquire: pairs with the waker's release, and with lock_owner_wake's. */
        uint32_t seen = atomic_load_explicit(&owner->park, memory_order_acquire);
        if ((seen & PARK_OVER) != 0) {
            bool left = lock_leave(owner); /* waits until the waker is gone */
            ASSERT(!left);
            return ST_OK;
        }
        Status st = ctx_interrupted(cx);
        if (st != ST_OK) {
            if (!lock_leave(owner)) {
                undo_grant(owner);
            }
            return st;
        }
        int64_t now_us = os_monotonic_us();
        if (now_us >= s->deadline_us) {
            if (!lock_leave(owner)) {
                return ST_OK;
            }
            lock_count_event(&owner->mgr->timeouts);
            return err_set(cx->err, ST_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
        }
        if (now_us >= s->search_at_us) {
            st = look_for_deadlock(cx, owner, s);
            if (st != ST_OK) {
                return st;
            }
            continue;
        }
        park(owner, &owner->park, seen, s, cx->intr != NULL);
    }
}

STATUS lock_sleep(Ctx *cx, LockOwner *owner, int64_t timeout_us)
{
    LockManager *mgr = owner->mgr;
    SYNC_POINT("lock.queued");
    lock_note_wait(owner);
    ctx_wait_begin(cx);
    Sleep s = {.start_us = os_monotonic_us()};
    s.deadline_us = time_after(s.start_us, timeout_us);
    /* Relaxed: a setting. */
    s.search_at_us = time_after(s.start_us, atomic_load_explicit(&mgr->deadlock_timeout_us, memory_order_relaxed));
    Status st = sleep_until_over(cx, owner, &s);
    if (st == ST_OK && s.reported) {
        log_wait(owner, &s, "acquired");
    }
    ctx_wait_end(cx);
    lock_unnote_wait(owner);
    return st;
}

STATUS lock_wait_txn(Ctx *cx, LockOwner *owner, TxnId id, bool (*still_running)(void *arg), void *arg,
                     int64_t timeout_us)
{
    /* Relaxed: own thread's. Waiting for oneself would last for ever. */
    ASSERT(id.v != 0 && id.v != atomic_load_explicit(&owner->txn, memory_order_relaxed));
    if (!still_running(arg)) {
        return ST_OK;
    }
    SYNC_POINT("lock.txn_wait.before_queue");
    lock_txn_queue(owner, id);
    SYNC_POINT("lock.txn_wait.queued");
    if (!still_running(arg)) {
        lock_leave(owner);
        return ST_OK;
    }
    return lock_sleep(cx, owner, timeout_us);
}
