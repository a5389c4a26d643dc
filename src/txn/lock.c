/*
 * txn/lock.c: acquiring and releasing.
 *
 * The way of a request: the owner's own table (held already: count); else the partition's mutex, where it is granted,
 * refused or queued in one go; then, if queued, sleep (lock_wait.c). All memory is taken before the lock changes, so a
 * failure leaves nothing behind, and granting to a sleeper cannot fail.
 */
#include "txn/lock_int.h"

static Status refused(Ctx *cx, const LockTag *tag, LockWait wait)
{
    if (wait == LOCK_TRY) {
        return ST_WOULD_BLOCK;
    }
    char text[LOCK_TAG_TEXT_BYTES];
    return err_set(cx->err, ST_LOCK_NOT_AVAILABLE, "could not obtain lock on %s",
                   lock_tag_text(tag, text, sizeof text));
}

/* The owner would wait for `other`, who waits for the owner, both for this very lock. */
static Status deadlock_at_once(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, int32_t other_pid,
                               LockMode other_mode)
{
    LockEdge edges[2] = {{owner->pid, other_pid, mode, *tag}, {other_pid, owner->pid, other_mode, *tag}};
    return lock_deadlock_error(cx, owner->mgr, edges, 2);
}

/* Gets a granted hold of a mode that the owner does not hold yet. `own`: the modes that it holds. */
static Status request(Ctx *cx, LockOwner *owner, const LockTag *tag, uint64_t hash, LockMode mode, LockMask own,
                      LockWait wait, int64_t timeout_us, LockHold **out_hold)
{
    LockManager *mgr = owner->mgr;
    LockPartition *p = lock_partition(mgr, hash);
    LockHold *hold = NULL;
    mutex_lock(&p->mutex);
    if (!lock_prepare_locked(mgr, owner, tag, hash, mode, &hold)) {
        mutex_unlock(&p->mutex);
        return ctx_nomem(cx, sizeof *hold);
    }
    LockOwner *other = NULL;
    LockVerdict verdict = lock_decide_locked(hold->lock, mode, own, &other);
    if (verdict == VERDICT_GRANT) {
        lock_grant_locked(hold);
        mutex_unlock(&p->mutex);
        *out_hold = hold;
        return ST_OK;
    }
    if (wait == LOCK_WAIT && verdict == VERDICT_QUEUE) {
        lock_queue_locked(hold, own, other);
        mutex_unlock(&p->mutex);
        *out_hold = hold;
        return lock_sleep(cx, owner, timeout_us);
    }
    if (wait == LOCK_WAIT) {
        SYNC_POINT("lock.deadlock_at_once");
    }
    int32_t other_pid = other == NULL ? 0 : other->pid;
    LockMode other_mode = other == NULL ? mode : other->wait.mode;
    lock_drop_locked(mgr, hold);
    mutex_unlock(&p->mutex);
    return wait == LOCK_WAIT ? deadlock_at_once(cx, owner, tag, mode, other_pid, other_mode) : refused(cx, tag, wait);
}

static Status acquire(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, LockScope scope, LockWait wait,
                      int64_t timeout_us)
{
    ASSERT(owner->mgr != NULL && tag->kind != LOCK_KIND_TRANSACTION);
    ASSERT(mode >= LOCK_ACCESS_SHARE && mode < LOCK_MODE_END);
    uint64_t hash = lock_tag_hash(tag);
    LockMask own;
    LockHold *hold = lock_owner_find(owner, tag, hash, mode, &own);
    if (hold == NULL) {
        Status st = request(cx, owner, tag, hash, mode, own, wait, timeout_us, &hold);
        if (st != ST_OK) {
            return st;
        }
        lock_owner_add(owner, hold);
    }
    lock_owner_count(owner, hold, scope);
    return ST_OK;
}

STATUS lock_acquire(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, LockWait wait, int64_t timeout_us)
{
    return acquire(cx, owner, tag, mode, LOCK_SCOPE_TXN, wait, timeout_us);
}

STATUS lock_acquire_session(Ctx *cx, LockOwner *owner, const LockTag *tag, LockMode mode, LockWait wait,
                            int64_t timeout_us)
{
    return acquire(cx, owner, tag, mode, LOCK_SCOPE_SESSION, wait, timeout_us);
}

/* Takes n acquisitions back; with the last one of both scopes the lock goes. */
static void give_up(LockOwner *owner, LockHold *hold, LockScope scope, uint64_t n)
{
    lock_owner_uncount(owner, hold, scope, n);
    if (hold->counts[LOCK_SCOPE_TXN] + hold->counts[LOCK_SCOPE_SESSION] > 0) {
        return;
    }
    lock_owner_remove(owner, hold);
    LockPartition *p = lock_partition(owner->mgr, hold->hash);
    SYNC_POINT("lock.release");
    mutex_lock(&p->mutex);
    lock_ungrant_locked(owner->mgr, hold);
    mutex_unlock(&p->mutex);
}

static bool release(LockOwner *owner, const LockTag *tag, LockMode mode, LockScope scope)
{
    LockMask own;
    LockHold *hold = lock_owner_find(owner, tag, lock_tag_hash(tag), mode, &own);
    if (hold == NULL || hold->counts[scope] == 0) {
        return false;
    }
    give_up(owner, hold, scope, 1);
    return true;
}

bool lock_release(LockOwner *owner, const LockTag *tag, LockMode mode)
{
    return release(owner, tag, mode, LOCK_SCOPE_TXN);
}

bool lock_release_session(LockOwner *owner, const LockTag *tag, LockMode mode)
{
    return release(owner, tag, mode, LOCK_SCOPE_SESSION);
}

void lock_release_session_all(LockOwner *owner)
{
    LockHold *hold;
    while ((hold = owner->holds[LOCK_SCOPE_SESSION].newest) != NULL) {
        give_up(owner, hold, LOCK_SCOPE_SESSION, hold->counts[LOCK_SCOPE_SESSION]);
    }
}

LockMark lock_mark(const LockOwner *owner)
{
    return (LockMark){owner->acquired};
}

void lock_release_since(LockOwner *owner, LockMark mark)
{
    LockHold *hold;
    while ((hold = owner->holds[LOCK_SCOPE_TXN].newest) != NULL && hold->acquired > mark.acquired) {
        give_up(owner, hold, LOCK_SCOPE_TXN, hold->counts[LOCK_SCOPE_TXN]);
    }
}

void lock_release_all(LockOwner *owner)
{
    lock_release_since(owner, (LockMark){0});
}

bool lock_held(const LockOwner *owner, const LockTag *tag, LockMode mode)
{
    LockMask own;
    if (lock_owner_find(owner, tag, lock_tag_hash(tag), mode, &own) != NULL) {
        return true;
    }
    for (LockMode m = LOCK_ACCESS_SHARE; m < LOCK_MODE_END; m++) {
        if ((own & lock_mask(m)) != 0 && lock_covers(m, mode)) {
            return true;
        }
    }
    return false;
}

STATUS lock_transfer(Ctx *cx, LockOwner *from, LockOwner *to)
{
    ASSERT(from->mgr == to->mgr && to->hold_count == 0);
    for (LockHold *hold = from->holds[LOCK_SCOPE_TXN].oldest; hold != NULL; hold = hold->scope[LOCK_SCOPE_TXN].next) {
        if (hold->counts[LOCK_SCOPE_SESSION] > 0) {
            return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED,
                           "cannot PREPARE while holding both session-level and transaction-level locks on the same "
                           "object");
        }
    }
    LockHold *hold;
    while ((hold = from->holds[LOCK_SCOPE_TXN].oldest) != NULL) {
        uint64_t count = hold->counts[LOCK_SCOPE_TXN];
        lock_owner_uncount(from, hold, LOCK_SCOPE_TXN, count);
        lock_owner_remove(from, hold);
        LockPartition *p = lock_partition(from->mgr, hold->hash);
        mutex_lock(&p->mutex);
        hold->owner = to;
        mutex_unlock(&p->mutex);
        lock_owner_add(to, hold);
        lock_owner_count(to, hold, LOCK_SCOPE_TXN);
        hold->counts[LOCK_SCOPE_TXN] = count;
    }
    return ST_OK;
}
