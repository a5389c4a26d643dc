/*
 * txn/lock_owner.c: owners: the registry of them, and what each holds, by tag and in the order of acquisition.
 *
 * L5  An owner has at most one hold of a lock per mode; a hold is in the owner's table exactly while it is granted and
 *     counts[TXN] + counts[SESSION] > 0, and in a scope's list exactly while that scope's count is above 0.
 * L6  The transaction's list is ordered by LockHold.acquired.
 */
#include "txn/lock_int.h"

/* ---- the registry ---- */

void lock_owner_init(LockOwner *owner, LockManager *mgr, int32_t pid)
{
    *owner = (LockOwner){.mgr = mgr, .pid = pid, .bucket_count = LOCK_OWNER_BUCKETS};
    owner->buckets = owner->first_buckets;
    owner->serial = atomic_fetch_add_explicit(&mgr->next_serial, 1, memory_order_relaxed); /* relaxed: only unique */
    owner->shard = (unsigned)(owner->serial % LOCK_SHARDS);
    LockShard *s = &mgr->shards[owner->shard];
    mutex_lock(&s->mutex);
    owner->registry_next = s->owners;
    if (s->owners != NULL) {
        s->owners->registry_prev = owner;
    }
    s->owners = owner;
    mutex_unlock(&s->mutex);
}

static void unregister(LockOwner *owner)
{
    LockShard *s = &owner->mgr->shards[owner->shard];
    mutex_lock(&s->mutex);
    ASSERT(!owner->note.listed);
    *(owner->registry_prev == NULL ? &s->owners : &owner->registry_prev->registry_next) = owner->registry_next;
    if (owner->registry_next != NULL) {
        owner->registry_next->registry_prev = owner->registry_prev;
    }
    mutex_unlock(&s->mutex);
}

void lock_owner_done(LockOwner *owner)
{
    if (owner->mgr == NULL) {
        return;
    }
    lock_release_all(owner);
    lock_release_session_all(owner);
    ASSERT(owner->hold_count == 0 && !owner->wait.queued);
    unregister(owner);
    if (owner->buckets != owner->first_buckets) {
        mem_free(owner->mgr->budget, owner->buckets, owner->bucket_count * sizeof(LockHold *));
    }
    owner->mgr = NULL;
}

void lock_owner_set_txn(LockOwner *owner, TxnId id)
{
    /* Relaxed: the search for deadlocks reads a copy made under a mutex, lock_each a moment's value. */
    atomic_store_explicit(&owner->txn, id.v, memory_order_relaxed);
}

void lock_owner_wake(LockOwner *owner)
{
    /* Release: the owner sees the interrupt bits that were set before. */
    atomic_fetch_add_explicit(&owner->park, PARK_POKE, memory_order_release);
    os_unpark(&owner->park, 1);
}

void lock_note_wait(LockOwner *owner)
{
    LockShard *s = &owner->mgr->shards[owner->shard];
    LockWaitNote *note = &owner->note;
    mutex_lock(&s->mutex);
    *note = (LockWaitNote){.next = s->waiting,
                           .listed = true,
                           .tag = owner->wait.tag,
                           .mode = owner->wait.mode,
                           .seq = owner->wait.seq,
                           .txn = atomic_load_explicit(&owner->txn, memory_order_relaxed)}; /* relaxed: own thread's */
    if (s->waiting != NULL) {
        s->waiting->note.prev = owner;
    }
    s->waiting = owner;
    mutex_unlock(&s->mutex);
}

void lock_unnote_wait(LockOwner *owner)
{
    LockShard *s = &owner->mgr->shards[owner->shard];
    LockWaitNote *note = &owner->note;
    mutex_lock(&s->mutex);
    ASSERT(note->listed);
    *(note->prev == NULL ? &s->waiting : &note->prev->note.next) = note->next;
    if (note->next != NULL) {
        note->next->note.prev = note->prev;
    }
    note->listed = false;
    mutex_unlock(&s->mutex);
}

/* ---- the owner's table ---- */

static LockHold **bucket_of(const LockOwner *owner, uint64_t hash)
{
    return &owner->buckets[hash & (owner->bucket_count - 1)];
}

LockHold *lock_owner_find(const LockOwner *owner, const LockTag *tag, uint64_t hash, LockMode mode, LockMask *out_own)
{
    LockHold *found = NULL;
    *out_own = 0;
    for (LockHold *hold = *bucket_of(owner, hash); hold != NULL; hold = hold->chain) {
        if (hold->hash == hash && lock_tag_eq(&hold->lock->tag, tag)) {
            *out_own |= lock_mask(hold->mode);
            if (hold->mode == mode) {
                found = hold;
            }
        }
    }
    return found;
}

/* Without memory the table only gets slower; the next lock tries again. */
static void table_grow(LockOwner *owner)
{
    Budget *budget = owner->mgr->budget;
    size_t count = owner->bucket_count * 2;
    LockHold **buckets = mem_alloc0(budget, count * sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    LockHold **old = owner->buckets;
    size_t old_count = owner->bucket_count;
    owner->buckets = buckets;
    owner->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            LockHold *hold = old[i];
            old[i] = hold->chain;
            hold->chain = *bucket_of(owner, hold->hash);
            *bucket_of(owner, hold->hash) = hold;
        }
    }
    if (old != owner->first_buckets) {
        mem_free(budget, old, old_count * sizeof *old);
    }
}

void lock_owner_add(LockOwner *owner, LockHold *hold)
{
    ASSERT(hold->owner == owner);
    if (owner->hold_count >= owner->bucket_count) {
        table_grow(owner);
    }
    hold->chain = *bucket_of(owner, hold->hash);
    *bucket_of(owner, hold->hash) = hold;
    owner->hold_count++;
}

void lock_owner_remove(LockOwner *owner, LockHold *hold)
{
    LockHold **link = bucket_of(owner, hold->hash);
    while (*link != hold) {
        link = &(*link)->chain;
    }
    *link = hold->chain;
    hold->chain = NULL;
    owner->hold_count--;
}

/* ---- counting ---- */

void lock_owner_count(LockOwner *owner, LockHold *hold, LockScope scope)
{
    if (hold->counts[scope]++ > 0) {
        return;
    }
    if (scope == LOCK_SCOPE_TXN) {
        hold->acquired = ++owner->acquired;
    }
    LockHoldList *list = &owner->holds[scope];
    hold->scope[scope].prev = list->newest;
    hold->scope[scope].next = NULL;
    *(list->newest == NULL ? &list->oldest : &list->newest->scope[scope].next) = hold;
    list->newest = hold;
}

void lock_owner_uncount(LockOwner *owner, LockHold *hold, LockScope scope, uint64_t n)
{
    ASSERT(hold->counts[scope] >= n);
    hold->counts[scope] -= n;
    if (hold->counts[scope] > 0) {
        return;
    }
    LockHoldList *list = &owner->holds[scope];
    LockHold *prev = hold->scope[scope].prev;
    LockHold *next = hold->scope[scope].next;
    *(prev == NULL ? &list->oldest : &prev->scope[scope].next) = next;
    *(next == NULL ? &list->newest : &next->scope[scope].prev) = prev;
}
