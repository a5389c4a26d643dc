/*
 * access/btree_shape.c: splits, merges, and the root's growing and shrinking.
 *
 * Key idea: one operation changes two levels and leaves a whole tree. A split latches parent and node, and one record
 * changes them, the new node and the leaf's right neighbour together. Should the parent have no room for the
 * separator, the split gives up and the parent is split first, by the same means, one level up. So an operation's
 * admission does not depend on the tree's height, and a tree that grows meanwhile is no special case. Nothing between
 * these operations has to be finished or undone by anybody.
 *
 * The root keeps its page: to split it, its content moves into two new nodes below it; when it has one child left, the
 * child's content moves up into it.
 */
#include "access/btree_int.h"

/* Buffers of one operation: too much for a stack that may be somebody else's. */
typedef struct Scratch {
    uint8_t page[PAGE_BYTES];
    uint8_t other[PAGE_BYTES];
    uint8_t data[INIT_DATA_MAX];
    uint8_t other_data[INIT_DATA_MAX];
    uint8_t cut[INNER_DATA_MAX];
    uint8_t inner[INNER_DATA_MAX];
    NodeSplit split;
} Scratch;

/*
 * The most page data of any of these records: two images (of one node's entries, divided) and two separators, or one
 * image and the small change of its neighbours.
 */
enum {
    SHAPE_DATA_MAX = 2 * NODE_IMAGE_MAX,
    SHAPE_PAGES_MAX = 4,
    SHAPE_FRAMES = 5 + BTREE_SPACE_PAGES,
};
STATIC_ASSERT(NODE_SPACE + 4 * (int)INNER_DATA_MAX <= (int)SHAPE_DATA_MAX, "split and grow fit");

static OpNeed shape_need(BTree *t, uint16_t new_pages)
{
    return (OpNeed){.wal_bytes = wal_record_bytes(SHAPE_PAGES_MAX + BTREE_SPACE_PAGES,
                                                  SHAPE_DATA_MAX + BTREE_SPACE_DATA + INSERT_BODY_BYTES),
                    .frames = SHAPE_FRAMES,
                    .new_pages = new_pages,
                    .object = t->object};
}

static void log_shape(BTree *t, StoreOp *op, uint8_t type, const LogPage *pages, unsigned n)
{
    uint8_t body[INSERT_BODY_BYTES];
    ASSERT(n <= SHAPE_PAGES_MAX);
    store_u64(body, t->ref.root.v);
    (void)store_log(op, type, 0, TXN_NONE, pages, n, body, sizeof body);
}

/* Zeroed up to the body, typed as a node. */
static void scratch_page(uint8_t *page)
{
    memset(page, 0, PAGE_HEADER_BYTES);
    page_header(page)->type = PAGE_INDEX;
    page_header(page)->format = NODE_FORMAT;
}

/* ---- split ---- */

/* What shall find room: an entry of a leaf, or a separator of an inner node. */
typedef struct Want {
    NodeKey key;
    uint32_t payload_len;
} Want;

static uint32_t want_bytes(const Node *n, const Want *w)
{
    NodeEntry e = {.b = {NULL, w->key.len - n->h.prefix_len}, .tid = w->key.tid, .payload = {NULL, w->payload_len}};
    return node_entry_bytes(n->h.level, &e);
}

static bool has_room(const Node *n, const Want *w)
{
    return node_room(n) >= want_bytes(n, w);
}

/* The right half, from entry `keep` on, and the left half's new end. */
static bool build_right(const Node *n, const NodeSplit *split, PageId left, uint8_t *page)
{
    NodeSpec spec = node_spec(n);
    spec.low = keybuf_key(&split->separator);
    spec.left = n->h.level == 0 ? left.v : 0;
    scratch_page(page);
    node_format(page, &spec);
    return node_append_range(page, n, split->keep, n->h.count, NULL);
}

static bool build_left(const Node *n, const NodeSplit *split, PageId right, uint8_t *page)
{
    NodeSpec spec = node_spec(n);
    spec.high = keybuf_key(&split->separator);
    spec.high_inf = false;
    spec.right = n->h.level == 0 ? right.v : 0;
    scratch_page(page);
    node_format(page, &spec);
    return node_append_range(page, n, 0, split->keep, NULL);
}

/* The latched ones of a split, root down and left to right. */
typedef struct SplitLatches {
    LatchedNode parent;
    LatchedNode node;
    LatchedNode beyond; /* right sibling of a leaf, if any */
} SplitLatches;

static void split_latches_done(SplitLatches *l)
{
    latched_done(&l->beyond);
    latched_done(&l->node);
    latched_done(&l->parent);
}

static Status log_split(Ctx *cx, BTree *t, StoreOp *op, SplitLatches *l, uint32_t slot, Scratch *s)
{
    uint8_t link[LINK_DATA_BYTES];
    LogPage pages[4];
    unsigned n = 0;
    BufFrame *right;
    uint32_t ordinal;
    const Node *node = &l->node.node;
    NodeKey separator = keybuf_key(&s->split.separator);
    if (!build_right(node, &s->split, latched_id(&l->node), s->page)) {
        return btree_damaged(cx, t, latched_id(&l->node), "it cannot be split");
    }
    Status st = op_take_page(cx, op, &right, &ordinal);
    if (st != ST_OK) {
        return st;
    }
    PageId id = buf_page_id(right);
    pages[n++] = (LogPage){.frame = l->parent.frame,
                           .redo = REDO_INNER_INSERT,
                           .data = s->inner,
                           .len = data_inner(s->inner, slot + 1, separator, id)};
    pages[n++] = (LogPage){.frame = l->node.frame,
                           .redo = REDO_NODE_CUT,
                           .data = s->cut,
                           .len = data_cut(s->cut, s->split.keep, separator, node->h.level == 0 ? id : PAGE_NONE)};
    pages[n++] = (LogPage){.frame = right,
                           .redo = REDO_NODE_INIT,
                           .flags = WAL_PAGE_INIT,
                           .data = s->data,
                           .len = data_init(s->data, t->ref.object.id, ordinal, s->page)};
    if (l->beyond.frame != NULL) {
        pages[n++] =
            (LogPage){.frame = l->beyond.frame, .redo = REDO_NODE_LEFT, .data = link, .len = data_link(link, id)};
    }
    SYNC_POINT("btree.split.before_log");
    log_shape(t, op, WAL_BTREE_SPLIT, pages, n);
    buf_unfix(right);
    return ST_OK;
}

/*
 * Splits the child of the latched parent that covers the key. ST_RETRY: the parent has no room, *out_separator is
 * what it needs room for.
 */
static Status split_child(Ctx *cx, BTree *t, StoreOp *op, SplitLatches *l, const Want *want, Scratch *s,
                          KeyBuf *out_separator)
{
    uint32_t slot;
    PageId id;
    const Node *parent = &l->parent.node;
    if (!node_find_child(parent, want->key, false, &slot, &id)) {
        return btree_damaged(cx, t, latched_id(&l->parent), "no child for a key");
    }
    SYNC_POINT("btree.split.before_child");
    Status st = btree_latch(cx, t, id, parent->h.level - 1u, LATCH_EXCLUSIVE, &l->node);
    if (st != ST_OK) {
        return st;
    }
    const Node *node = &l->node.node;
    if (!node_covers(node, want->key, false)) {
        return btree_damaged(cx, t, id, "its fences are not those of its parent");
    }
    if (has_room(node, want)) {
        return ST_OK; /* somebody else has split it */
    }
    if (!node_choose_split(node, want->key, want_bytes(node, want), &s->split)) {
        return btree_damaged(cx, t, id, "it cannot be split");
    }
    Want above = {.key = keybuf_key(&s->split.separator)};
    if (!node_covers(parent, above.key, false)) {
        return btree_damaged(cx, t, id, "its fences are not those of its parent");
    }
    if (!has_room(parent, &above)) {
        *out_separator = s->split.separator;
        return ST_RETRY;
    }
    if (node->h.level == 0 && node->h.right != 0) {
        st = btree_latch(cx, t, (PageId){node->h.right}, 0, LATCH_EXCLUSIVE, &l->beyond);
        if (st != ST_OK) {
            return st;
        }
    }
    return log_split(cx, t, op, l, slot, s);
}

/* ---- the root grows ---- */

static bool build_grown_root(const Node *root, PageId left, PageId right, NodeKey separator, uint8_t *page)
{
    scratch_page(page);
    node_format(
        page,
        &(NodeSpec){.object_header = root->h.object_header, .level = (uint8_t)(root->h.level + 1), .high_inf = true});
    return node_insert(page, 0, &(NodeEntry){.child = left}) &&
           node_insert(page, 1, &(NodeEntry){.b = {separator.p, separator.len}, .tid = separator.tid, .child = right});
}

static Status log_grow(Ctx *cx, BTree *t, StoreOp *op, LatchedNode *root, Scratch *s)
{
    BufFrame *frames[2];
    uint32_t ordinals[2];
    LogPage pages[3];
    const Node *n = &root->node;
    Status st = op_take_page(cx, op, &frames[0], &ordinals[0]);
    if (st != ST_OK) {
        return st;
    }
    st = op_take_page(cx, op, &frames[1], &ordinals[1]);
    if (st != ST_OK) {
        op_abandon(op, frames, 1);
        return st;
    }
    PageId left = buf_page_id(frames[0]);
    PageId right = buf_page_id(frames[1]);
    if (!build_left(n, &s->split, right, s->page) || !build_right(n, &s->split, left, s->other)) {
        op_abandon(op, frames, 2);
        return btree_damaged(cx, t, t->ref.root, "it cannot be split");
    }
    uint32_t left_len = data_init(s->data, t->ref.object.id, ordinals[0], s->page);
    uint32_t right_len = data_init(s->other_data, t->ref.object.id, ordinals[1], s->other);
    bool built = build_grown_root(n, left, right, keybuf_key(&s->split.separator), s->page);
    ASSERT(built); /* two entries fit any node */
    pages[0] = (LogPage){
        .frame = root->frame, .redo = REDO_NODE_REPLACE, .data = s->other, .len = node_pack(s->page, s->other)};
    pages[1] =
        (LogPage){.frame = frames[0], .redo = REDO_NODE_INIT, .flags = WAL_PAGE_INIT, .data = s->data, .len = left_len};
    pages[2] = (LogPage){
        .frame = frames[1], .redo = REDO_NODE_INIT, .flags = WAL_PAGE_INIT, .data = s->other_data, .len = right_len};
    SYNC_POINT("btree.grow.before_log");
    log_shape(t, op, WAL_BTREE_GROW, pages, 3);
    buf_unfix(frames[0]);
    buf_unfix(frames[1]);
    return ST_OK;
}

/* The root is the node to be split, or was when the caller looked. */
static Status grow_root(Ctx *cx, BTree *t, StoreOp *op, unsigned level, const Want *want, Scratch *s)
{
    LatchedNode root;
    Status st = btree_descend(cx, t, want->key, false, level, LATCH_EXCLUSIVE, &root);
    if (st != ST_OK) {
        return st == ST_NOT_FOUND ? ST_OK : st; /* it shrank: the insert starts over anyway */
    }
    if (page_eq(latched_id(&root), t->ref.root) && !has_room(&root.node, want)) {
        if (level + 1 > NODE_LEVEL_MAX) {
            st = err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "index is too deep");
        } else if (!node_choose_split(&root.node, want->key, want_bytes(&root.node, want), &s->split)) {
            st = btree_damaged(cx, t, t->ref.root, "it cannot be split");
        } else {
            st = log_grow(cx, t, op, &root, s);
        }
    }
    latched_done(&root);
    return st;
}

/* One operation: gives the node at `level` room for `want`, or reports (ST_RETRY) what its parent needs room for. */
static Status split_once(Ctx *cx, BTree *t, unsigned level, const Want *want, Scratch *s, KeyBuf *out_separator)
{
    OpNeed need = shape_need(t, 2);
    StoreOp op;
    SplitLatches l = {0};
    Status st = op_begin(cx, t->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = btree_descend(cx, t, want->key, false, level + 1, LATCH_EXCLUSIVE, &l.parent);
    if (st == ST_NOT_FOUND) {
        st = grow_root(cx, t, &op, level, want, s);
    } else if (st == ST_OK) {
        st = split_child(cx, t, &op, &l, want, s, out_separator);
    }
    split_latches_done(&l);
    op_end(&op);
    return st;
}

static Status make_room(Ctx *cx, BTree *t, const Want *entry, Scratch *s)
{
    KeyBuf separator, next;
    Want want = *entry;
    unsigned level = 0;
    for (;;) {
        Status st = split_once(cx, t, level, &want, s, &next);
        if (st == ST_RETRY) {
            ASSERT(level < NODE_LEVEL_MAX);
            level++;
            separator = next;
            want = (Want){.key = keybuf_key(&separator)};
        } else if (st == ST_OK && level > 0) {
            level = 0;
            want = *entry;
        } else {
            return st;
        }
        st = ctx_poll(cx);
        if (st != ST_OK) {
            return st;
        }
    }
}

Status btree_make_room(Ctx *cx, BTree *t, NodeKey key, uint32_t payload_len)
{
    Scratch *s = mem_alloc(cx->budget, sizeof *s);
    if (s == NULL) {
        return ctx_nomem(cx, sizeof *s);
    }
    Status st = make_room(cx, t, &(Want){.key = key, .payload_len = payload_len}, s);
    mem_free(cx->budget, s, sizeof *s);
    return st;
}

/* ---- merge ---- */

typedef struct MergeLatches {
    LatchedNode parent;
    LatchedNode left;
    LatchedNode right;
    LatchedNode beyond; /* right sibling of a leaf on the right, if any */
} MergeLatches;

static void merge_latches_done(MergeLatches *l)
{
    latched_done(&l->beyond);
    latched_done(&l->right);
    latched_done(&l->left);
    latched_done(&l->parent);
}

/* Merged nodes keep this much room, or the next inserts would split them again. */
enum { MERGE_ROOM = NODE_SPACE / 8 };

static bool fit_together(const LatchedNode *left, const LatchedNode *right, Scratch *s)
{
    Node merged;
    scratch_page(s->page);
    return node_merge(&left->node, &right->node, s->page) && node_load(s->page, &merged) &&
           node_room(&merged) >= MERGE_ROOM;
}

static Status log_merge(Ctx *cx, BTree *t, StoreOp *op, MergeLatches *l, uint32_t right_slot, Scratch *s)
{
    uint8_t link[LINK_DATA_BYTES];
    uint8_t removed[INNER_DELETE_DATA_BYTES];
    LogPage pages[4];
    unsigned n = 0;
    Status st = op_give_page(cx, op, l->right.frame);
    if (st != ST_OK) {
        return st;
    }
    pages[n++] = (LogPage){.frame = l->parent.frame,
                           .redo = REDO_INNER_DELETE,
                           .data = removed,
                           .len = data_inner_delete(removed, right_slot, latched_id(&l->right))};
    pages[n++] = (LogPage){.frame = l->left.frame,
                           .redo = REDO_NODE_ABSORB,
                           .data = s->data,
                           .len = node_pack(buf_page(l->right.frame), s->data)};
    pages[n++] = (LogPage){.frame = l->right.frame, .redo = REDO_NODE_DEAD};
    if (l->beyond.frame != NULL) {
        pages[n++] = (LogPage){.frame = l->beyond.frame,
                               .redo = REDO_NODE_LEFT,
                               .data = link,
                               .len = data_link(link, latched_id(&l->left))};
    }
    SYNC_POINT("btree.merge.before_log");
    log_shape(t, op, WAL_BTREE_MERGE, pages, n);
    return ST_OK;
}

/*
 * Merges children slot and slot + 1 of the latched parent if they fit together. *out_done tells. Leaves only
 * the parent latched when it is not done.
 */
static Status merge_pair(Ctx *cx, BTree *t, StoreOp *op, MergeLatches *l, uint32_t slot, Scratch *s, bool *out_done)
{
    NodeCell a, b;
    const Node *parent = &l->parent.node;
    unsigned level = parent->h.level - 1u;
    if (!node_cell(parent, slot, &a) || !node_cell(parent, slot + 1, &b)) {
        return btree_damaged(cx, t, latched_id(&l->parent), "a separator lies outside the node");
    }
    Status st = btree_latch(cx, t, a.child, level, LATCH_EXCLUSIVE, &l->left);
    if (st == ST_OK) {
        st = btree_latch(cx, t, b.child, level, LATCH_EXCLUSIVE, &l->right);
    }
    bool wanted = st == ST_OK && (node_used(&l->left.node) < NODE_SMALL || node_used(&l->right.node) < NODE_SMALL) &&
                  fit_together(&l->left, &l->right, s);
    if (wanted && level == 0 && l->right.node.h.right != 0) {
        st = btree_latch(cx, t, (PageId){l->right.node.h.right}, 0, LATCH_EXCLUSIVE, &l->beyond);
    }
    if (wanted && st == ST_OK) {
        st = log_merge(cx, t, op, l, slot + 1, s);
        *out_done = st == ST_OK;
    }
    latched_done(&l->beyond);
    latched_done(&l->right);
    latched_done(&l->left);
    return st;
}

/* What is left to be done after a look at a node and its siblings. */
typedef enum TidyNext {
    TIDY_NOTHING,
    TIDY_AGAIN,  /* merged: from the leaves up once more, as others have become siblings */
    TIDY_PARENT, /* nothing to merge here, but the parent is small */
    TIDY_ROOT,   /* the root has one child left */
} TidyNext;

static TidyNext next_after(const BTree *t, const LatchedNode *parent, bool merged)
{
    Node n;
    if (!node_load(buf_page(parent->frame), &n)) {
        return TIDY_NOTHING;
    }
    if (page_eq(latched_id(parent), t->ref.root)) {
        return n.h.count == 1 ? TIDY_ROOT : merged ? TIDY_AGAIN : TIDY_NOTHING;
    }
    return merged ? TIDY_AGAIN : node_used(&n) < NODE_SMALL ? TIDY_PARENT : TIDY_NOTHING;
}

/* One operation. */
static Status merge_once(Ctx *cx, BTree *t, NodeKey key, unsigned level, Scratch *s, TidyNext *out_next)
{
    OpNeed need = shape_need(t, 0);
    StoreOp op;
    MergeLatches l = {0};
    uint32_t slot;
    PageId id;
    bool done = false;
    *out_next = TIDY_NOTHING;
    Status st = op_begin(cx, t->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = btree_descend(cx, t, key, false, level + 1, LATCH_EXCLUSIVE, &l.parent);
    if (st == ST_OK && !node_find_child(&l.parent.node, key, false, &slot, &id)) {
        st = btree_damaged(cx, t, latched_id(&l.parent), "no child for a key");
    }
    if (st == ST_OK && slot + 1 < l.parent.node.h.count) {
        st = merge_pair(cx, t, &op, &l, slot, s, &done);
    }
    if (st == ST_OK && !done && slot > 0) {
        st = merge_pair(cx, t, &op, &l, slot - 1, s, &done);
    }
    if (st == ST_OK) {
        *out_next = next_after(t, &l.parent, done);
    }
    merge_latches_done(&l);
    op_end(&op);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- the root shrinks ---- */

static Status log_shrink(Ctx *cx, BTree *t, StoreOp *op, LatchedNode *root, LatchedNode *child, Scratch *s)
{
    const NodeHeader *h = &child->node.h;
    if (h->left != 0 || h->right != 0 || h->low_len != 0 || h->low_tid != 0 || !node_high_inf(&child->node)) {
        return btree_damaged(cx, t, latched_id(child), "the only node of its level has neighbours");
    }
    Status st = op_give_page(cx, op, child->frame);
    if (st != ST_OK) {
        return st;
    }
    LogPage pages[2] = {{.frame = root->frame,
                         .redo = REDO_NODE_REPLACE,
                         .data = s->data,
                         .len = node_pack(buf_page(child->frame), s->data)},
                        {.frame = child->frame, .redo = REDO_NODE_DEAD}};
    SYNC_POINT("btree.shrink.before_log");
    log_shape(t, op, WAL_BTREE_SHRINK, pages, 2);
    return ST_OK;
}

/* One operation: when the root has one child only, that child's content moves up. *out_done tells. */
static Status shrink_once(Ctx *cx, BTree *t, Scratch *s, bool *out_done)
{
    OpNeed need = shape_need(t, 0);
    StoreOp op;
    LatchedNode root = {0}, child = {0};
    NodeCell c;
    *out_done = false;
    Status st = op_begin(cx, t->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix(cx, t->store, t->ref.root, t->ref.object.id, LATCH_EXCLUSIVE, &root.frame);
    if (st == ST_OK && node_load(buf_page(root.frame), &root.node) && root.node.h.level > 0 && root.node.h.count == 1 &&
        node_cell(&root.node, 0, &c)) {
        st = btree_latch(cx, t, c.child, root.node.h.level - 1u, LATCH_EXCLUSIVE, &child);
        if (st == ST_OK) {
            st = log_shrink(cx, t, &op, &root, &child, s);
        }
        *out_done = st == ST_OK;
    }
    latched_done(&child);
    latched_done(&root);
    op_end(&op);
    return st;
}

static Status tidy(Ctx *cx, BTree *t, NodeKey key, Scratch *s)
{
    TidyNext next = TIDY_AGAIN;
    unsigned level = 0;
    Status st = ST_OK;
    /* Ends: a round removes a page, or goes up a level, or is the last. */
    while (st == ST_OK && next != TIDY_NOTHING && level < NODE_LEVEL_MAX) {
        if (next == TIDY_ROOT) {
            bool shrunk;
            st = shrink_once(cx, t, s, &shrunk);
            next = shrunk ? TIDY_AGAIN : TIDY_NOTHING;
        } else {
            st = merge_once(cx, t, key, level, s, &next);
        }
        level = next == TIDY_AGAIN ? 0 : level + 1;
    }
    return st;
}

void btree_tidy(Ctx *cx, BTree *t, NodeKey key)
{
    struct {
        Scratch s;
        Error err;
    } *mem = mem_alloc(cx->budget, sizeof *mem);
    if (mem == NULL) {
        return;
    }
    /* Its own error object, as its failure is none of the caller's; not interruptible, as it is short. */
    Ctx quiet;
    err_clear(&mem->err);
    ctx_init(&quiet, &mem->err, cx->budget, cx->arena);
    quiet.owner = cx->owner;
    quiet.wait_begin = cx->wait_begin;
    quiet.wait_end = cx->wait_end;
    Status st = tidy(&quiet, t, key, &mem->s);
    if (st != ST_OK && st != ST_DISK_FULL && st != ST_OUT_OF_MEMORY && st != ST_CRASH_SHUTDOWN) {
        log_error(store_log_sink(t->store), LOG_WARNING, &mem->err, "merging index pages");
    }
    mem_free(cx->budget, mem, sizeof *mem);
}
