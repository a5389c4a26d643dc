/*
 * access/btree.c: handles, and the way from the root to a node.
 *
 * The way down has two forms. Optimistically, nothing is written: each node's version is taken, the child is found, the
 * child's version is taken, and only if the node is still valid then was it the child when its version was taken (Leis
 * et al., "Optimistic lock coupling", 2019). Under latches, a node is let go only after its child is latched. In
 * both ways a page that was given back is never mistaken for a node: nothing that is reached is still given.
 */
#include "access/btree_int.h"

/* ---- errors ---- */

Status btree_damaged(Ctx *cx, const BTree *t, PageId page, const char *what)
{
    return err_set(cx->err, ST_INDEX_CORRUPTED, "index page %llu of object %llu is damaged: %s",
                   (unsigned long long)page.v, (unsigned long long)t->ref.object.id.v, what);
}

/* ---- under latches ---- */

Status btree_latch(Ctx *cx, BTree *t, PageId page, unsigned level, LatchMode mode, LatchedNode *out)
{
    LatchedNode l;
    if (page.v == 0 || page_space(page) != page_space(t->ref.root)) {
        return btree_damaged(cx, t, page, "a page of another space is named as a node");
    }
    Status st = buf_fix(cx, t->store, page, t->ref.object.id, mode, &l.frame);
    if (st != ST_OK) {
        return st;
    }
    if (!node_load(buf_page(l.frame), &l.node) || l.node.h.level != level) {
        buf_unfix(l.frame);
        return btree_damaged(cx, t, page, "not a node of the expected level");
    }
    *out = l;
    return ST_OK;
}

static Status latch_root(Ctx *cx, BTree *t, LatchMode mode, LatchedNode *out)
{
    LatchedNode l;
    Status st = buf_fix(cx, t->store, t->ref.root, t->ref.object.id, mode, &l.frame);
    if (st != ST_OK) {
        return st;
    }
    if (!node_load(buf_page(l.frame), &l.node)) {
        buf_unfix(l.frame);
        return btree_damaged(cx, t, t->ref.root, "not a root");
    }
    *out = l;
    return ST_OK;
}

/* The root's level decides how it must be latched, and is known only once it is. */
static Status latch_root_for(Ctx *cx, BTree *t, unsigned level, LatchMode mode, LatchedNode *out)
{
    LatchedNode l;
    Status st = latch_root(cx, t, LATCH_SHARED, &l);
    if (st == ST_OK && mode == LATCH_EXCLUSIVE && l.node.h.level == level) {
        buf_unfix(l.frame);
        SYNC_POINT("btree.root.relatch");
        st = latch_root(cx, t, LATCH_EXCLUSIVE, &l);
        if (st == ST_OK && l.node.h.level > level) {
            buf_downgrade(l.frame); /* it grew in between: only passed through now */
        }
    }
    if (st != ST_OK) {
        return st;
    }
    if (l.node.h.level < level) {
        buf_unfix(l.frame);
        return ST_NOT_FOUND;
    }
    *out = l;
    return ST_OK;
}

Status btree_descend(Ctx *cx, BTree *t, NodeKey key, bool before, unsigned level, LatchMode mode, LatchedNode *out)
{
    LatchedNode node;
    Status st = latch_root_for(cx, t, level, mode, &node);
    while (st == ST_OK && node.node.h.level > level) {
        LatchedNode child;
        uint32_t slot;
        PageId id;
        unsigned below = node.node.h.level - 1u;
        if (!node_find_child(&node.node, key, before, &slot, &id)) {
            st = btree_damaged(cx, t, latched_id(&node), "no child for a key");
        } else {
            SYNC_POINT("btree.descend.before_child");
            st = btree_latch(cx, t, id, below, below == level ? mode : LATCH_SHARED, &child);
        }
        buf_unfix(node.frame);
        if (st == ST_OK) {
            node = child;
        }
    }
    if (st == ST_OK && !node_covers(&node.node, key, before)) {
        st = btree_damaged(cx, t, latched_id(&node), "its fences are not those of its parent");
        buf_unfix(node.frame);
    }
    if (st == ST_OK) {
        *out = node;
    }
    return st;
}

/* ---- optimistically ---- */

bool btree_opt_descend(BTree *t, NodeKey key, bool before, unsigned level, BufOpt *out_opt, Node *out)
{
    if (!buf_opt_begin(t->store, t->ref.root, out_opt)) {
        return false;
    }
    for (unsigned depth = 0; depth <= NODE_LEVEL_MAX; depth++) {
        BufOpt child;
        PageId id;
        uint32_t slot;
        if (!node_load(out_opt->page, out)) {
            return false;
        }
        if (out->h.level <= level) {
            return true;
        }
        if (!node_find_child(out, key, before, &slot, &id)) {
            return false;
        }
        SYNC_POINT("btree.opt.before_child");
        /* First the child's version, then the parent's validity: so the child was the right one at its version. */
        if (!buf_opt_valid(out_opt) || !buf_opt_begin(t->store, id, &child) || !buf_opt_valid(out_opt)) {
            return false;
        }
        *out_opt = child;
    }
    return false;
}

/* Is the latched page, reached by an id that may be stale, the leaf that covers the key? Ranges of live leaves do not
 * overlap (B2), so nothing else has to be asked. */
static bool is_leaf_for(const BTree *t, NodeKey key, LatchedNode *l)
{
    const uint8_t *page = buf_page(l->frame);
    return page_header_const(page)->object == t->ref.object.id.v && node_load(page, &l->node) && l->node.h.level == 0 &&
           node_covers(&l->node, key, false);
}

/* One try. ST_RETRY: the leaf moved away; ST_WOULD_BLOCK: the way is not in memory. */
static Status try_latch_leaf(Ctx *cx, BTree *t, NodeKey key, LatchedNode *out)
{
    BufOpt parent;
    Node n;
    uint32_t slot;
    PageId leaf = t->ref.root;
    if (!btree_opt_descend(t, key, false, 1, &parent, &n)) {
        return ST_WOULD_BLOCK;
    }
    if ((n.h.level == 1 && !node_find_child(&n, key, false, &slot, &leaf)) || !buf_opt_valid(&parent)) {
        return ST_RETRY;
    }
    SYNC_POINT("btree.write.before_leaf");
    bool clean = cx->err->status == ST_OK;
    Status st = buf_fix(cx, t->store, leaf, OBJ_NONE, LATCH_EXCLUSIVE, &out->frame);
    if (st != ST_OK) {
        /* A page given back meanwhile may have become anything, unreadable too: then it is not damaged but not ours. */
        if (st == ST_CORRUPTED && clean && !buf_opt_valid(&parent)) {
            err_clear(cx->err);
            return ST_RETRY;
        }
        return st;
    }
    if (!is_leaf_for(t, key, out)) {
        buf_unfix(out->frame);
        return ST_RETRY;
    }
    return ST_OK;
}

Status btree_latch_leaf(Ctx *cx, BTree *t, NodeKey key, LatchedNode *out)
{
    LatchedNode l;
    for (int i = 0; i < BTREE_OPT_ATTEMPTS; i++) {
        Status st = try_latch_leaf(cx, t, key, &l);
        if (st == ST_OK) {
            *out = l;
        }
        if (st != ST_RETRY && st != ST_WOULD_BLOCK) {
            return st;
        }
        if (st == ST_WOULD_BLOCK) {
            break;
        }
    }
    return btree_descend(cx, t, key, false, 0, LATCH_EXCLUSIVE, out);
}

/* ---- handles ---- */

/* The root as a record's page: an empty leaf for everything. */
static void format_empty(uint8_t *page, ObjectRef object)
{
    memset(page, 0, PAGE_BYTES);
    node_format(page, &(NodeSpec){.object_header = object.header.v, .high_inf = true});
}

static Status log_root(Ctx *cx, StoreOp *op, ObjectRef object, TxnId txn, PageId *out_root)
{
    uint8_t page[PAGE_BYTES];
    uint8_t data[INIT_DATA_MAX];
    uint8_t body[INSERT_BODY_BYTES];
    BufFrame *frame;
    uint32_t ordinal;
    Status st = op_take_page(cx, op, &frame, &ordinal);
    if (st != ST_OK) {
        return st;
    }
    format_empty(page, object);
    PageId root = buf_page_id(frame);
    store_u64(body, root.v);
    LogPage lp = {.frame = frame,
                  .redo = REDO_NODE_INIT,
                  .flags = WAL_PAGE_INIT,
                  .data = data,
                  .len = data_init(data, object.id, ordinal, page)};
    (void)store_log(op, WAL_BTREE_CREATE, 0, txn, &lp, 1, body, sizeof body);
    buf_unfix(frame);
    *out_root = root;
    return ST_OK;
}

static Status make_root(Ctx *cx, Store *s, StoreObject *o, TxnId txn, PageId *out_root)
{
    uint8_t user[OBJECT_USER_BYTES] = {0};
    OpNeed need = {.wal_bytes = wal_record_bytes(1 + BTREE_SPACE_PAGES, INIT_DATA_BYTES + 256 + BTREE_SPACE_DATA),
                   .frames = 1 + BTREE_SPACE_PAGES,
                   .new_pages = 1,
                   .object = o};
    StoreOp op;
    Status st = op_begin(cx, s, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    PageId root;
    st = log_root(cx, &op, object_ref(o), txn, &root);
    op_end(&op);
    if (st == ST_OK) {
        store_u64(user, root.v);
        st = object_write_user(cx, o, txn, user);
    }
    if (st == ST_OK) {
        *out_root = root;
    }
    return st;
}

Status btree_create(Ctx *cx, Store *s, const BTreeCreate *how, BTreeRef *out_ref, Lsn *out_lsn)
{
    uint8_t user[OBJECT_USER_BYTES] = {0};
    ObjectRef object;
    StoreObject *o;
    Status st = object_create(cx, s, how->id, how->space, how->wal_type, how->txn, how->body, how->body_len, user,
                              &object, out_lsn);
    if (st != ST_OK) {
        return st;
    }
    *out_ref = (BTreeRef){.object = object, .root = PAGE_NONE};
    st = object_open(cx, s, object, &o);
    if (st == ST_OK) {
        st = make_root(cx, s, o, how->txn, &out_ref->root);
        object_close(o);
    }
    return st;
}

static Status check_root(Ctx *cx, BTree *t)
{
    LatchedNode l;
    Status st = latch_root(cx, t, LATCH_SHARED, &l);
    if (st != ST_OK) {
        return st;
    }
    if (l.node.h.object_header != t->ref.object.header.v || l.node.h.low_len != 0 || l.node.h.low_tid != 0 ||
        !node_high_inf(&l.node)) {
        st = btree_damaged(cx, t, t->ref.root, "not a root");
    }
    latched_done(&l);
    return st;
}

Status btree_open(Ctx *cx, Store *s, BTreeRef ref, BTree **out_tree)
{
    BTree *t = mem_alloc0(store_budget(s), sizeof *t);
    if (t == NULL) {
        return ctx_nomem(cx, sizeof *t);
    }
    t->store = s;
    t->ref = ref;
    Status st = object_open(cx, s, ref.object, &t->object);
    if (st == ST_OK) {
        st = check_root(cx, t);
    }
    if (st != ST_OK) {
        btree_close(t);
        return st;
    }
    *out_tree = t;
    return ST_OK;
}

Status btree_open_root(Ctx *cx, Store *s, PageId root, BTree **out_tree)
{
    BufFrame *frame;
    Node n;
    Status st = buf_fix(cx, s, root, OBJ_NONE, LATCH_SHARED, &frame);
    if (st != ST_OK) {
        return st;
    }
    bool ok = node_load(buf_page(frame), &n);
    ObjId object = {page_header_const(buf_page(frame))->object};
    buf_unfix(frame);
    if (!ok) {
        return err_set(cx->err, ST_INDEX_CORRUPTED, "page %llu is not the root of an index",
                       (unsigned long long)root.v);
    }
    BTreeRef ref = {.object = {.id = object, .header = {n.h.object_header}}, .root = root};
    return btree_open(cx, s, ref, out_tree);
}

void btree_close(BTree *t)
{
    if (t != NULL) {
        if (t->object != NULL) {
            object_close(t->object);
        }
        mem_free(store_budget(t->store), t, sizeof *t);
    }
}

BTreeRef btree_ref(const BTree *t)
{
    return t->ref;
}

StoreObject *btree_object(const BTree *t)
{
    return t->object;
}

void btree_cross_check(BTree *t, bool on)
{
    atomic_store_explicit(&t->cross_check, on, memory_order_relaxed);
}

Status btree_stats(Ctx *cx, BTree *t, BTreeStats *out)
{
    LatchedNode l;
    Status st = latch_root(cx, t, LATCH_SHARED, &l);
    if (st == ST_OK) {
        *out = (BTreeStats){.height = l.node.h.level + 1u, .pages = object_page_count(t->object)};
        latched_done(&l);
    }
    return st;
}
