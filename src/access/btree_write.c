/*
 * access/btree_write.c: inserting and deleting entries.
 *
 * Both change exactly one leaf in one record. A leaf that has no room is split first, in an operation of its own
 * (btree_shape.c), and the insert starts over: so an insert's admission is small and known, and nothing but the unique
 * check is ever done while more than one leaf is latched.
 */
#include "access/btree_int.h"

/* ---- what to write ---- */

Status btree_too_long(Ctx *cx, BTreeBytes key, BTreeBytes payload)
{
    (void)err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "index row size %llu exceeds the maximum of %d bytes",
                  (unsigned long long)key.len + payload.len, BTREE_ENTRY_MAX);
    err_hint(cx->err, "Values larger than a quarter of a page cannot be indexed. Consider an index on a hash of the "
                      "value.");
    return ST_PROGRAM_LIMIT_EXCEEDED;
}

uint32_t btree_undo_bytes(uint32_t key_len)
{
    return wal_record_bytes(1, LEAF_DATA_BYTES + key_len + DELETE_BODY_BYTES);
}

static NodeEntry entry_for(const Node *leaf, NodeKey key, BTreeBytes payload)
{
    uint32_t skip = leaf->h.prefix_len;
    return (NodeEntry){.b = {key.p + skip, key.len - skip}, .tid = key.tid, .payload = payload};
}

/* ---- insert ---- */

/*
 * Inserts into the latched leaf. ST_END: it has no room (not an error to be seen outside). A leaf is exclusively
 * latched, so what is checked here still holds when the record is applied.
 */
static Status insert_into(Ctx *cx, BTree *t, StoreOp *op, LatchedNode *leaf, TxnId txn, NodeKey key, BTreeBytes payload,
                          BTreeWrite *out)
{
    uint8_t data[LEAF_DATA_MAX];
    uint8_t body[INSERT_BODY_BYTES];
    uint32_t slot;
    bool exact;
    if (!node_find(&leaf->node, 0, key, &slot, &exact)) {
        return btree_damaged(cx, t, latched_id(leaf), "an entry lies outside the node");
    }
    if (exact) {
        return ST_OK;
    }
    NodeEntry e = entry_for(&leaf->node, key, payload);
    if (node_room(&leaf->node) < node_entry_bytes(0, &e)) {
        return ST_END;
    }
    SYNC_POINT("btree.insert.before_log");
    store_u64(body, t->ref.root.v);
    LogPage lp = {.frame = leaf->frame, .redo = REDO_LEAF_INSERT, .data = data};
    lp.len = data_leaf(data, slot, key, payload);
    out->lsn = store_log(op, WAL_BTREE_INSERT, 0, txn, &lp, 1, body, sizeof body);
    out->done = true;
    return ST_OK;
}

/*
 * The leaves that a unique insert holds: the first that may hold the key (it is what two inserts of one key meet at),
 * the one the entry belongs to, and the one being looked at. They may be the same.
 */
typedef struct UniqueWalk {
    LatchedNode first;
    LatchedNode target;
    LatchedNode current;
} UniqueWalk;

static void walk_let_go(UniqueWalk *w, BufFrame *frame)
{
    if (frame != NULL && frame != w->first.frame && frame != w->target.frame) {
        buf_unfix(frame);
    }
}

static void walk_done(UniqueWalk *w)
{
    walk_let_go(w, w->current.frame);
    if (w->target.frame != w->first.frame) {
        latched_done(&w->target);
    }
    latched_done(&w->first);
}

static bool same_key(const Node *n, const NodeCell *c, NodeKey key)
{
    uint32_t skip = n->h.prefix_len;
    return c->suffix.len == key.len - skip && bytes_cmp(c->suffix.p, key.p + skip, c->suffix.len) == 0;
}

/* Asks about the entries with the key in the current leaf. *out_on: they may go on in the next leaf. */
static Status check_leaf(Ctx *cx, BTree *t, const LatchedNode *leaf, NodeKey key, BTreeUnique *unique, bool *out_on)
{
    uint32_t slot;
    bool exact;
    const Node *n = &leaf->node;
    NodeKey from = {key.p, key.len, 0};
    /* A further leaf of the walk begins within the run. */
    if (node_key_cmp(node_low(n), from) > 0) {
        from = node_low(n);
    }
    if (!node_find(n, 0, from, &slot, &exact)) {
        return btree_damaged(cx, t, latched_id(leaf), "an entry lies outside the node");
    }
    for (; slot < n->h.count; slot++) {
        NodeCell c;
        BTreeVerdict verdict = BTREE_IGNORE;
        if (!node_cell(n, slot, &c)) {
            return btree_damaged(cx, t, latched_id(leaf), "an entry lies outside the node");
        }
        if (!same_key(n, &c, key)) {
            *out_on = false;
            return ST_OK;
        }
        Status st = c.tid == key.tid ? ST_OK : unique->check(unique->arg, cx, (Tid){c.tid}, &verdict);
        if (st != ST_OK || verdict != BTREE_IGNORE) {
            unique->found = (Tid){c.tid};
            return st != ST_OK ? st : verdict == BTREE_WAIT ? ST_RETRY : ST_UNIQUE_VIOLATION;
        }
    }
    *out_on = !node_high_inf(n) && node_key_cmp(node_high(n), (NodeKey){key.p, key.len, UINT64_MAX}) <= 0;
    return ST_OK;
}

/* On success first and target are latched, nothing else. */
static Status unique_walk(Ctx *cx, BTree *t, NodeKey key, BTreeUnique *unique, UniqueWalk *w)
{
    Status st = btree_latch_leaf(cx, t, (NodeKey){key.p, key.len, 0}, &w->first);
    if (st != ST_OK) {
        return st;
    }
    w->current = w->first;
    for (;;) {
        bool on = false;
        if (node_covers(&w->current.node, key, false)) {
            w->target = w->current;
        }
        SYNC_POINT("btree.unique.before_check");
        st = check_leaf(cx, t, &w->current, key, unique, &on);
        if (st != ST_OK || !on) {
            break;
        }
        LatchedNode next;
        st = btree_latch(cx, t, (PageId){w->current.node.h.right}, 0, LATCH_EXCLUSIVE, &next);
        if (st != ST_OK) {
            break;
        }
        if (!node_high_inf(&next.node) && node_key_cmp(node_high(&next.node), node_high(&w->current.node)) <= 0) {
            st = btree_damaged(cx, t, latched_id(&next), "leaves are not in order");
            latched_done(&next);
            break;
        }
        walk_let_go(w, w->current.frame);
        w->current = next;
    }
    if (st == ST_OK && w->target.frame == NULL) {
        st = btree_damaged(cx, t, latched_id(&w->current), "leaves do not cover a key");
    }
    return st;
}

static Status insert_once(Ctx *cx, BTree *t, TxnId txn, NodeKey key, BTreeBytes payload, BTreeUnique *unique,
                          BTreeWrite *out)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(1, LEAF_DATA_BYTES + key.len + payload.len + INSERT_BODY_BYTES),
                   .undo_wal_bytes = btree_undo_bytes(key.len),
                   .frames = (uint16_t)(unique == NULL ? 2 : 4 + unique->frames)};
    StoreOp op;
    UniqueWalk w = {0};
    Status st = op_begin(cx, t->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    if (unique != NULL) {
        st = unique_walk(cx, t, key, unique, &w);
    } else {
        st = btree_latch_leaf(cx, t, key, &w.first);
        w.target = w.first;
    }
    if (st == ST_OK) {
        st = insert_into(cx, t, &op, &w.target, txn, key, payload, out);
    }
    walk_done(&w);
    op_end(&op);
    if (out->done) {
        out->undo_wal_bytes = need.undo_wal_bytes;
    } else {
        op_release_undo(t->store, need.undo_wal_bytes);
    }
    return st;
}

Status btree_insert(Ctx *cx, BTree *t, TxnId txn, BTreeBytes key, Tid tid, BTreeBytes payload, BTreeUnique *unique,
                    BTreeWrite *out)
{
    ASSERT(tid.v != 0 && tid.v != UINT64_MAX);
    BTreeWrite written = {0};
    /* Each alone first: the sum of two lengths may wrap. */
    bool fits = key.len <= BTREE_ENTRY_MAX && payload.len <= BTREE_ENTRY_MAX - key.len;
    Status st = fits ? ST_OK : btree_too_long(cx, key, payload);
    while (st == ST_OK) {
        st = insert_once(cx, t, txn, node_key(key, tid), payload, unique, &written);
        if (st != ST_END) {
            break;
        }
        /* Every round that ends here found the leaf filled by others: somebody makes progress. */
        st = btree_make_room(cx, t, node_key(key, tid), payload.len);
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    if (st == ST_OK) {
        *out = written;
    }
    return st;
}

/* ---- delete ---- */

static Status delete_from(Ctx *cx, BTree *t, StoreOp *op, LatchedNode *leaf, TxnId txn, NodeKey key,
                          const BTreeDelete *how, BTreeWrite *out)
{
    uint8_t data[LEAF_DATA_MAX];
    uint8_t body[DELETE_BODY_BYTES];
    uint32_t slot;
    bool exact;
    if (!node_find(&leaf->node, 0, key, &slot, &exact)) {
        return btree_damaged(cx, t, latched_id(leaf), "an entry lies outside the node");
    }
    if (!exact) {
        return ST_OK;
    }
    SYNC_POINT("btree.delete.before_log");
    store_u64(body, t->ref.root.v);
    store_u64(body + 8, how->undoes.v);
    store_u64(body + 16, how->newest.v);
    LogPage lp = {.frame = leaf->frame, .redo = REDO_LEAF_DELETE, .data = data};
    lp.len = data_leaf(data, slot, key, (BTreeBytes){0});
    uint8_t flags = how->kind == BTREE_UNDO ? BTREE_FLAG_UNDO : BTREE_FLAG_PURGE;
    out->lsn = store_log(op, WAL_BTREE_DELETE, flags, txn, &lp, 1, body, sizeof body);
    out->done = true;
    return ST_OK;
}

/*
 * Is it time to try a merge? When the node has become small, and then again only after some more bytes have gone: a
 * node that cannot be merged now is not to be tried at every delete.
 */
static bool worth_tidying(const BTree *t, const LatchedNode *leaf, uint32_t used_before)
{
    Node n;
    enum { STEP = NODE_SPACE / 16 };
    if (page_eq(latched_id(leaf), t->ref.root) || !node_load(buf_page(leaf->frame), &n)) {
        return false;
    }
    uint32_t used = node_used(&n);
    return used < NODE_SMALL && (used_before >= NODE_SMALL || used / STEP != used_before / STEP || n.h.count == 0);
}

Status btree_delete(Ctx *cx, BTree *t, TxnId txn, BTreeBytes key, Tid tid, const BTreeDelete *how, BTreeWrite *out)
{
    BTreeWrite written = {0};
    NodeKey k = node_key(key, tid);
    if (key.len > BTREE_ENTRY_MAX || tid.v == 0) {
        *out = written; /* no such entry can be there */
        return ST_OK;
    }
    OpNeed need = {.wal_bytes = btree_undo_bytes(key.len), .frames = 2, .is_undo = how->kind == BTREE_UNDO};
    StoreOp op;
    LatchedNode leaf;
    bool tidy = false;
    Status st = op_begin(cx, t->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = btree_latch_leaf(cx, t, k, &leaf);
    if (st == ST_OK) {
        uint32_t used = node_used(&leaf.node);
        st = delete_from(cx, t, &op, &leaf, txn, k, how, &written);
        tidy = written.done && worth_tidying(t, &leaf, used);
        latched_done(&leaf);
    }
    op_end(&op);
    if (tidy) {
        btree_tidy(cx, t, k);
    }
    if (st == ST_OK) {
        *out = written;
    }
    return st;
}
