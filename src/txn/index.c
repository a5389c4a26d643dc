/*
 * txn/index.c: index entries with their undo, and the unique check.
 *
 * N1  An entry is in the index before its transaction can commit and leaves it only by undo of the insert or by purge, both before
 *     the row's slot is freed: so under an index latch every entry's TID names a row in use. An entry that does not is
 *     counted (stale_tids) and is a bug.
 */
#include "txn/txn_int.h"

typedef struct UniqueCheck {
    Txn *t;
    TxnTable *tb;
    TxnId wait_for;
    UndoPtr wait_header;
} UniqueCheck;

/* Does the newest version decide? Page latched shared, inside an epoch. */
static Status judge(Ctx *cx, UniqueCheck *u, const BufFrame *f, const HeapPage *p, unsigned slot, BTreeVerdict *out)
{
    Txn *t = u->t;
    UndoPtr ptr = versions_head(page_versions(f), slot);
    bool deleted = heap_row(p, slot).deleted;
    *out = deleted ? BTREE_IGNORE : BTREE_CONFLICT;
    UndoReader hdr;
    while (ptr != 0) {
        const UndoRec *r;
        Status st = undo_head(cx, &t->ts->undo, &t->reader, ptr, &r);
        if (st != ST_OK) {
            return st;
        }
        if (r == NULL) {
            break;
        }
        if (r->type == UNDO_LOCK) {
            ptr = atomic_load_explicit(&r->prev_row, memory_order_acquire);
            continue;
        }
        if (r->txn != t->id.v) {
            uint64_t ts;
            Lsn lsn;
            st = chain_commit_ts(cx, t->ts, &hdr, r->header, &ts, &lsn);
            if (st != ST_OK) {
                            return st;
            }
            txn_raise_gate(t, lsn);
            /* An unfinished insert or delete: its end decides. An unfinished update in place leaves keys alone. */
            if (ts == 0 && r->type != UNDO_UPDATE) {
                u->wait_for.v = r->txn;
                u->wait_header = r->header;
                *out = BTREE_WAIT;
            }
            if (ts != 0 || r->type != UNDO_UPDATE) {
                break;
            }
        } else if (r->type != UNDO_UPDATE) {
            break; /* own insert or delete: the page tells */
        }
        ptr = atomic_load_explicit(&r->prev_row, memory_order_acquire);
    }
    return ST_OK;
}

static Status check_tid(void *arg, Ctx *cx, Tid tid, BTreeVerdict *out_verdict)
{
    UniqueCheck *u = arg;
    BufFrame *f;
    HeapPage p;
    unsigned slot;
    *out_verdict = BTREE_IGNORE;
    Status st = buf_fix(cx, u->t->ts->store, tid_page(tid), u->tb->ref.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    st = heap_open(buf_page(f), NULL, cx->err, &p);
    if (st == ST_OK) {
        if (heap_find(&p, tid, &slot)) {
            epoch_enter(u->t->ts->epoch);
            st = judge(cx, u, f, &p, slot, out_verdict);
            epoch_leave(u->t->ts->epoch);
        } else {
            atomic_fetch_add_explicit(&u->t->ts->stale_tids, 1, memory_order_relaxed);
            log_line(u->t->ts->log, LOG_WARNING, "an index entry of table object %llu names a row that is not there",
                     (unsigned long long)u->tb->ref.id.v);
        }
    }
    buf_unfix(f);
    return st;
}

static Status insert_once(Ctx *cx, Txn *t, BTree *index, BTreeBytes key, Tid tid, BTreeBytes payload, BTreeUnique *unique)
{
    BTreeWrite w;
    mutex_lock(&t->undo_mutex);
    Status st = undo_reserve(cx, &t->ts->undo, t->lane, key.len);
    if (st == ST_OK) {
        st = btree_insert(cx, index, t->id, key, tid, payload, unique, &w);
    }
    if (st == ST_OK && w.done) {
        BTreeRef ref = btree_ref(index);
        UndoNew n = {.type = UNDO_INDEX_INSERT, .payload = key.p, .payload_len = key.len, .tid = tid.v,
                     .moved_to = ref.root.v, .object = ref.object, .lsn = w.lsn};
        t->undo_wal += w.undo_wal_bytes;
        (void)undo_push(t, &n);
    }
    mutex_unlock(&t->undo_mutex);
    return st;
}

Status txn_index_insert(Ctx *cx, Txn *t, BTree *index, TxnTable *tb, BTreeBytes key, Tid tid, BTreeBytes payload,
                        bool unique, Tid *out_other)
{
    UniqueCheck u = {.t = t, .tb = tb};
    BTreeUnique bu = {.check = check_tid, .arg = &u, .frames = 1};
    Status st = txn_assign_id(cx, t);
    while (st == ST_OK) {
        st = insert_once(cx, t, index, key, tid, payload, unique ? &bu : NULL);
        if (st != ST_RETRY) {
            break;
        }
        st = wait_for_writer(cx, t, u.wait_for, u.wait_header);
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    if (st == ST_UNIQUE_VIOLATION && out_other != NULL) {
        *out_other = bu.found;
    }
    return st;
}
