/*
 * txn/chain.c: walking the versions of a row, newest first.
 *
 * K1  Two running transactions never have changes in one chain: whoever changes a row first waits for the other. Lock entries
 *     of several running transactions may stand in a chain, over and under changes they do not conflict with.
 * K2  A pointer to a purged record ends the walk: everything from there on is committed before every snapshot. What is
 *     purged but still needed below it (locks of running transactions) was linked past it before (purge.c).
 */
#include "txn/txn_int.h"

Status chain_commit_ts(Ctx *cx, TxnSystem *ts, UndoReader *rd, UndoPtr header, uint64_t *out_ts, Lsn *out_lsn)
{
    const UndoRec *r;
    *out_ts = 1;
    *out_lsn = LSN_NONE;
    Status st = undo_head(cx, &ts->undo, rd, header, &r);
    if (st == ST_OK && r != NULL) {
        const UndoHeader *h = (const UndoHeader *)(const void *)r;
        /* Acquire: with the timestamp comes the LSN. seq_cst for the waiter's protocol of lock_wait_txn. */
        *out_ts = atomic_load_explicit(&h->commit_ts, memory_order_seq_cst);
        if (*out_ts != 0) {
            out_lsn->v = h->commit_lsn;
        }
    }
    return st;
}

Status chain_writer(Ctx *cx, Txn *t, const UndoRec *rec, uint64_t snapshot, Seen *out_seen)
{
    if (rec->txn == t->id.v) {
        *out_seen = rec->command < t->command ? SEEN_VISIBLE : SEEN_INVISIBLE;
        return ST_OK;
    }
    uint64_t ts;
    Lsn lsn;
    UndoReader second; /* rec itself may stand in the first one's buffer */
    Status st = chain_commit_ts(cx, t->ts, &second, rec->header, &ts, &lsn);
    if (st != ST_OK) {
        return st;
    }
    *out_seen = ts != 0 && ts <= snapshot ? SEEN_VISIBLE : SEEN_INVISIBLE;
    if (*out_seen == SEEN_VISIBLE) {
        txn_raise_gate(t, lsn);
    }
    return ST_OK;
}

/* PostgreSQL's table of row lock conflicts (documentation 13.3.2). */
static bool conflicts(TxnRowLock a, TxnRowLock b)
{
    static const uint8_t against[4] = {
        [TXN_KEY_SHARE] = 1u << TXN_UPDATE,
        [TXN_SHARE] = 1u << TXN_UPDATE | 1u << TXN_NO_KEY_UPDATE,
        [TXN_NO_KEY_UPDATE] = 1u << TXN_UPDATE | 1u << TXN_NO_KEY_UPDATE | 1u << TXN_SHARE,
        [TXN_UPDATE] = 0xf,
    };
    return (against[a] >> b & 1) != 0;
}

static TxnRowLock strength_of(const UndoRec *r)
{
    switch (r->type) {
    case UNDO_LOCK:
        return (TxnRowLock)r->aux;
    case UNDO_UPDATE:
        return TXN_NO_KEY_UPDATE;
    default:
        return TXN_UPDATE;
    }
}

/* Own records: locks say what is held, changes of this very command are not to be made twice. */
static void own_record(const Txn *t, const UndoRec *r, TxnRowLock strength, ChainCheck *out)
{
    if (r->type == UNDO_LOCK || r->type == UNDO_UPDATE) {
        out->held |= strength_of(r) >= strength;
    }
    if (r->type != UNDO_LOCK && out->verdict == CHAIN_FREE) {
        if (r->command >= t->command) {
            out->verdict = CHAIN_SELF;
        } else if (r->type == UNDO_DELETE) {
            out->verdict = CHAIN_GONE;
        }
    }
}

/* A change that committed: does this statement know of it? */
static void committed_change(const UndoRec *r, uint64_t ts, uint64_t seen, ChainCheck *out)
{
    if (r->type == UNDO_DELETE) {
        out->verdict = r->moved_to != 0 && ts > seen ? CHAIN_MOVED : CHAIN_GONE;
        out->moved_to.v = r->moved_to;
        out->deleted_after = ts > seen;
    } else if (ts > seen) {
        out->verdict = CHAIN_CHANGED;
    }
}

/* One record of another transaction; *out_stop: nothing older matters. */
static void foreign_record(const UndoRec *r, uint64_t ts, TxnRowLock strength, uint64_t seen, bool *io_change_met,
                           ChainCheck *out, bool *out_stop)
{
    *out_stop = false;
    if (ts == COMMIT_ABORTED) {
        return;
    }
    if (ts == 0) {
        out->foreign_locks |= r->type == UNDO_LOCK;
        if (conflicts(strength_of(r), strength)) {
            out->verdict = CHAIN_WAIT;
            out->wait_for.v = r->txn;
            out->wait_header = r->header;
            *out_stop = true;
        }
        return;
    }
    if (r->type == UNDO_LOCK) {
        return;
    }
    if (!*io_change_met && out->verdict == CHAIN_FREE) {
        committed_change(r, ts, seen, out);
    }
    *io_change_met = true;
    *out_stop = (atomic_load_explicit(&r->flags, memory_order_relaxed) & UNDO_LOCKS_BELOW) == 0;
}

Status chain_check(Ctx *cx, Txn *t, const BufFrame *f, const HeapPage *p, unsigned slot, TxnRowLock strength,
                   uint64_t seen, ChainCheck *out)
{
    *out = (ChainCheck){.verdict = CHAIN_FREE};
    UndoPtr ptr = versions_head(page_versions(f), slot);
    UndoReader hdr;
    bool change_met = false;
    bool stop = false;
    bool keep_known = false;
    Status st = ST_OK;
    while (ptr != 0 && !stop) {
        const UndoRec *r;
        st = undo_head(cx, &t->ts->undo, &t->reader, ptr, &r);
        if (st != ST_OK || r == NULL) {
            break;
        }
        UndoPtr next = atomic_load_explicit(&r->prev_row, memory_order_acquire);
        uint64_t ts = 0;
        if (r->txn == t->id.v) {
            own_record(t, r, strength, out);
        } else {
            Lsn lsn;
            st = chain_commit_ts(cx, t->ts, &hdr, r->header, &ts, &lsn);
            if (st != ST_OK) {
                break;
            }
            if (ts != 0 && ts != COMMIT_ABORTED && r->type != UNDO_LOCK) {
                txn_raise_gate(t, lsn);
            }
            foreign_record(r, ts, strength, seen, &change_met, out, &stop);
        }
        /* Locks of ended transactions at the top need not be kept under a new entry. */
        if (!keep_known && !(r->type == UNDO_LOCK && r->txn != t->id.v && ts != 0)) {
            out->keep = ptr;
            keep_known = true;
        }
        ptr = next;
    }
    if (st == ST_OK && out->verdict == CHAIN_FREE && heap_row(p, slot).deleted) {
        out->verdict = CHAIN_GONE; /* deleted before every snapshot, not purged yet */
    }
    return st;
}

/*
 * What a chain goes on with below an entry that leaves it: purge does not look for what points to a record that it takes away
 * (the walk would be long for rows changed often), so a pointer may lead to what is gone.
 */
static Status skip_purged(Ctx *cx, TxnSystem *ts, UndoReader *rd, UndoPtr *io_ptr)
{
    while (*io_ptr != 0 && undo_is_purged(&ts->undo, *io_ptr)) {
        const UndoRec *r;
        Status st = undo_head(cx, &ts->undo, rd, *io_ptr, &r);
        if (st != ST_OK) {
            return st;
        }
        bool below = r != NULL && (atomic_load_explicit(&r->flags, memory_order_relaxed) & UNDO_LOCKS_BELOW) != 0;
        *io_ptr = below ? atomic_load_explicit(&r->prev_row, memory_order_acquire) : 0;
    }
    return ST_OK;
}

/*
 * Makes whatever points to `ptr` in the row's chain point to `prev` instead. Not there: nothing to do (it was dropped
 * from under a newer entry).
 */
Status chain_unlink(Ctx *cx, TxnSystem *ts, UndoReader *rd, BufFrame *f, unsigned slot, UndoPtr ptr, UndoPtr prev)
{
    PageVersions *v = page_versions(f);
    UndoPtr at = versions_head(v, slot);
    if (at == ptr && at != 0) {
        Status st = skip_purged(cx, ts, rd, &prev);
        if (st != ST_OK) {
            return st;
        }
        if (prev != 0) {
            versions_set(v, slot, prev);
        } else {
            versions_remove(v, slot);
        }
        return ST_OK;
    }
    while (at != 0) {
        const UndoRec *r;
        Status st = undo_head(cx, &ts->undo, rd, at, &r);
        if (st != ST_OK || r == NULL) {
            return st;
        }
        UndoPtr next = atomic_load_explicit(&r->prev_row, memory_order_acquire);
        if (next == ptr) {
            return undo_set_prev(cx, &ts->undo, at, prev);
        }
        at = next;
    }
    return ST_OK;
}

/* ---- waiting for a writer's end ---- */

typedef struct Running {
    Txn *t;
    UndoPtr header;
} Running;

static bool still_running(void *arg)
{
    Running *r = arg;
    Error err;
    Ctx cx;
    err_clear(&err);
    ctx_init(&cx, &err, r->t->ts->budget, NULL);
    uint64_t ts = 0;
    Lsn lsn;
    epoch_enter(r->t->ts->epoch);
    Status st = chain_commit_ts(&cx, r->t->ts, &r->t->reader, r->header, &ts, &lsn);
    epoch_leave(r->t->ts->epoch);
    return st == ST_OK && ts == 0;
}

Status wait_for_writer(Ctx *cx, Txn *t, TxnId id, UndoPtr header)
{
    Running r = {t, header};
    return lock_wait_txn(cx, &t->locks, id, still_running, &r, -1);
}
