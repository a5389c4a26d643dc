/*
 * txn/pending.c: what is to be freed when no snapshot can see it any more: dropped objects, replaced and purged overflow chains.
 *
 * A queue in the order of the log: frees become due in the order in which they were put in, so only its head is looked at. A
 * checkpoint writes the queue as a whole; between checkpoints commits and purge records put frees in, and the record
 * that frees a chain takes it out.
 *
 * F1  Order of the queue = order of the records that put frees in: both happen under pending_mutex.
 * F2  A chain never stands behind its own object: nothing is put in for an object that waits to be freed as a whole; so when an
 *     object is freed, no free of its chains is left to hit pages that are somebody else's by then.
 * F3  What a commit will put in has its place promised before the commit record: putting it in cannot fail.
 */
#include "txn/txn_int.h"

bool object_pending(TxnSystem *ts, ObjectRef object)
{
    return u64map_get(&ts->pending_objects, object.id.v, &(uint64_t){0});
}

static bool reserve(TxnSystem *ts, size_t n)
{
    size_t more = n + ts->pending_promised;
    return VEC_RESERVE(&ts->pending, more) && u64map_reserve(&ts->pending_objects, ts->pending_objects.count + more);
}

Status pending_reserve(Ctx *cx, TxnSystem *ts, size_t n)
{
    return reserve(ts, n) ? ST_OK : ctx_nomem(cx, n * sizeof(PendingFree));
}

Status pending_promise(Ctx *cx, TxnSystem *ts, size_t n)
{
    if (n == 0) {
        return ST_OK;
    }
    mutex_lock(&ts->pending_mutex);
    bool ok = reserve(ts, n);
    if (ok) {
        ts->pending_promised += n;
    }
    mutex_unlock(&ts->pending_mutex);
    return ok ? ST_OK : ctx_nomem(cx, n * sizeof(PendingFree));
}

void pending_unpromise(TxnSystem *ts, size_t n)
{
    if (n > 0) {
        mutex_lock(&ts->pending_mutex);
        ASSERT(ts->pending_promised >= n);
        ts->pending_promised -= n;
        mutex_unlock(&ts->pending_mutex);
    }
}

void pending_put(TxnSystem *ts, PendingFree f)
{
    if (object_pending(ts, f.object)) {
        return; /* F2: it goes with the object */
    }
    ASSERT(ts->pending.n < ts->pending.cap);
    ts->pending.v[ts->pending.n++] = f;
    if (f.chain.v == 0) {
        bool ok = u64map_put(&ts->pending_objects, f.object.id.v, 1);
        ASSERT(ok); /* reserved */
    }
}

size_t pending_count(const TxnSystem *ts)
{
    return ts->pending.n - ts->pending_head;
}

bool pending_due(TxnSystem *ts, uint64_t horizon, Lsn durable, PendingFree *out)
{
    bool due = false;
    mutex_lock(&ts->pending_mutex);
    while (ts->pending_head < ts->pending.n && ts->pending.v[ts->pending_head].object.id.v == 0) {
        ts->pending_head++; /* taken out by replay */
    }
    if (ts->pending_head < ts->pending.n) {
        *out = ts->pending.v[ts->pending_head];
        due = out->ts <= horizon && out->lsn <= durable.v;
    }
    mutex_unlock(&ts->pending_mutex);
    return due;
}

void pending_pop(TxnSystem *ts)
{
    mutex_lock(&ts->pending_mutex);
    const PendingFree *f = &ts->pending.v[ts->pending_head++];
    if (f->chain.v == 0) {
        (void)u64map_remove(&ts->pending_objects, f->object.id.v, NULL);
    }
    size_t left = pending_count(ts);
    if (ts->pending_head >= 64 && left <= ts->pending_head) {
        memmove(ts->pending.v, ts->pending.v + ts->pending_head, left * sizeof *ts->pending.v);
        ts->pending.n = left;
        ts->pending_head = 0;
    }
    mutex_unlock(&ts->pending_mutex);
}

/* ---- replay ---- */

void pending_clear(TxnSystem *ts)
{
    ts->pending.n = ts->pending_head = 0;
    u64map_clear(&ts->pending_objects);
    u64map_clear(&ts->pending_chains);
}

Status pending_replay(Ctx *cx, TxnSystem *ts, PendingFree f)
{
    if (!reserve(ts, 1) || (f.chain.v != 0 && !u64map_put(&ts->pending_chains, f.chain.v, ts->pending.n))) {
        return ctx_nomem(cx, sizeof f);
    }
    pending_put(ts, f);
    return ST_OK;
}

void pending_chain_gone(TxnSystem *ts, PageId chain)
{
    uint64_t at;
    if (u64map_remove(&ts->pending_chains, chain.v, &at) && at < ts->pending.n && ts->pending.v[at].chain.v == chain.v) {
        ts->pending.v[at] = (PendingFree){.ts = 0};
    }
}
