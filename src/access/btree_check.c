/*
 * access/btree_check.c: the verifier.
 *
 * Key idea: level by level, from left to right, each child is looked at with its parent latched, and each leaf with
 * its right neighbour: so what two pages say about each other is compared while neither can change, and the check may
 * run beside writers. That every child's fences are those its parent gives it, from the root down, implies that the
 * nodes of each level divide all keys among them without gap or overlap; each node's entries lie between its fences
 * (node_problem). Whether every page of the object is in the tree exactly once can only be told while nobody writes.
 */
#include <stdio.h>

#include "access/btree_int.h"

typedef struct Checker {
    BTree *tree;
    BTreeCheck *check;
    Budget *budget;
    uint8_t *seen; /* a bit an ordinal; NULL = not accounted for */
    size_t seen_bytes;
    uint32_t ordinals;
    KeyBuf pos; /* the next node begins here */
    KeyBuf key;
    uint8_t copy[PAGE_BYTES];
} Checker;

static void problem(Checker *c, PageId page, const char *what)
{
    char text[256];
    c->check->problems++;
    if (c->check->report != NULL) {
        snprintf(text, sizeof text, "index page %llu of object %llu: %s", (unsigned long long)page.v,
                 (unsigned long long)c->tree->ref.object.id.v, what);
        c->check->report(c->check->arg, text);
    }
}

static void expect(Checker *c, bool ok, PageId page, const char *what)
{
    if (!ok) {
        problem(c, page, what);
    }
}

/* ---- every page once ---- */

static Status account_begin(Ctx *cx, Checker *c)
{
    if (!c->check->quiescent) {
        return ST_OK;
    }
    c->ordinals = object_page_count(c->tree->object);
    c->seen_bytes = c->ordinals / 8 + 1;
    c->seen = mem_alloc0(c->budget, c->seen_bytes);
    return c->seen == NULL ? ctx_nomem(cx, c->seen_bytes) : ST_OK;
}

static void account(Checker *c, const LatchedNode *l)
{
    if (c->seen == NULL) {
        return;
    }
    PageId at;
    uint32_t ordinal = page_header_const(l->node.page)->ordinal;
    if (ordinal >= c->ordinals || !object_page_at(c->tree->object, ordinal, &at) || !page_eq(at, latched_id(l))) {
        problem(c, latched_id(l), "it is in the tree but not in use by the object");
        return;
    }
    uint8_t bit = (uint8_t)(1u << (ordinal & 7));
    expect(c, (c->seen[ordinal / 8] & bit) == 0, latched_id(l), "it is in the tree twice");
    c->seen[ordinal / 8] |= bit;
}

static void account_end(Checker *c)
{
    for (uint32_t i = 0; c->seen != NULL && i < c->ordinals; i++) {
        PageId at;
        if ((c->seen[i / 8] & (1u << (i & 7))) == 0 && object_page_at(c->tree->object, i, &at)) {
            problem(c, at, "the object owns it but it is not in the tree");
        }
    }
}

/* ---- one node ---- */

static bool key_is(NodeKey a, NodeKey b)
{
    return node_key_cmp(a, b) == 0;
}

/* Key of separator i; of the node's own fence at its ends. False: infinite. */
static bool separator(Checker *c, const LatchedNode *parent, uint32_t i, NodeKey *out)
{
    const Node *n = &parent->node;
    NodeCell cell;
    if (i == 0) {
        *out = node_low(n);
        return true;
    }
    if (i == n->h.count) {
        *out = node_high_inf(n) ? (NodeKey){0} : node_high(n);
        return !node_high_inf(n);
    }
    if (!node_cell(n, i, &cell)) {
        problem(c, latched_id(parent), "a separator lies outside the node");
        return false;
    }
    node_full_key(n, &cell, &c->key);
    *out = keybuf_key(&c->key);
    return true;
}

static void check_fences(Checker *c, const LatchedNode *parent, uint32_t slot, const LatchedNode *child)
{
    NodeKey k;
    const Node *n = &child->node;
    expect(c, separator(c, parent, slot, &k) && key_is(k, node_low(n)), latched_id(child),
           "its low fence is not its parent's separator");
    bool finite = separator(c, parent, slot + 1, &k);
    expect(c, finite != node_high_inf(n) && (!finite || key_is(k, node_high(n))), latched_id(child),
           "its high fence is not its parent's separator");
}

static Status check_right(Ctx *cx, Checker *c, const LatchedNode *leaf)
{
    const Node *n = &leaf->node;
    LatchedNode right;
    if ((n->h.right == 0) != node_high_inf(n)) {
        problem(c, latched_id(leaf), "a right sibling is missing or too many");
        return ST_OK;
    }
    if (n->h.low_len == 0 && n->h.low_tid == 0) {
        expect(c, n->h.left == 0, latched_id(leaf), "the first leaf has a left sibling");
    }
    if (n->h.right == 0) {
        return ST_OK;
    }
    Status st = btree_latch(cx, c->tree, (PageId){n->h.right}, 0, LATCH_SHARED, &right);
    if (st == ST_OK) {
        expect(c, right.node.h.left == latched_id(leaf).v, latched_id(&right), "its left link is wrong");
        expect(c, key_is(node_low(&right.node), node_high(n)), latched_id(&right),
               "it does not begin where its left sibling ends");
        latched_done(&right);
    }
    return st;
}

/* What can be said about a latched node alone. The position moves on to its end; false: it was the last. */
static bool check_node(Checker *c, const LatchedNode *l)
{
    const char *what = node_problem(l->node.page);
    if (what != NULL) {
        problem(c, latched_id(l), what);
    }
    expect(c, l->node.h.object_header == c->tree->ref.object.header.v, latched_id(l),
           "it names another object's header");
    NodeKey pos = keybuf_key(&c->pos);
    expect(c, c->check->quiescent ? key_is(node_low(&l->node), pos) : node_covers(&l->node, pos, false), latched_id(l),
           "it does not begin where the node before it ends");
    account(c, l);
    if (l->node.h.level > 0) {
        c->check->inner_pages++;
    } else {
        c->check->leaf_pages++;
    }
    return !node_high_inf(&l->node);
}

/* Hands out the entries of the copied leaf from the position on. */
static Status visit_entries(Ctx *cx, Checker *c, uint32_t from)
{
    Node n;
    if (!node_load(c->copy, &n)) {
        return ST_OK; /* reported already */
    }
    for (uint32_t i = from; i < n.h.count; i++) {
        NodeCell cell;
        if (!node_cell(&n, i, &cell)) {
            return ST_OK;
        }
        node_full_key(&n, &cell, &c->key);
        BTreeEntry e = {.key = {c->key.bytes, c->key.len}, .tid = {cell.tid}, .payload = cell.payload};
        Status st = c->check->entry != NULL ? c->check->entry(c->check->arg, cx, &e) : ST_OK;
        if (st != ST_OK) {
            return st;
        }
        c->check->entries++;
    }
    return ST_OK;
}

/* False when the node does not end behind the position: then the walk would not end either. */
static bool move_on(Checker *c, const Node *n)
{
    NodeKey high = node_high(n);
    if (node_key_cmp(high, keybuf_key(&c->pos)) <= 0) {
        return false;
    }
    bytes_copy(c->pos.bytes, high.p, high.len);
    c->pos.len = high.len;
    c->pos.tid = high.tid;
    return true;
}

/* ---- walking ---- */

/* The node at `level` that holds the position, latched, compared with its parent. ST_NOT_FOUND: no such level. */
static Status latch_checked(Ctx *cx, Checker *c, unsigned level, LatchedNode *out)
{
    LatchedNode parent;
    uint32_t slot;
    PageId id;
    Status st = btree_descend(cx, c->tree, keybuf_key(&c->pos), false, level + 1, LATCH_SHARED, &parent);
    if (st == ST_NOT_FOUND) {
        return btree_descend(cx, c->tree, keybuf_key(&c->pos), false, level, LATCH_SHARED, out);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!node_find_child(&parent.node, keybuf_key(&c->pos), false, &slot, &id)) {
        st = btree_damaged(cx, c->tree, latched_id(&parent), "no child for a key");
    } else {
        st = btree_latch(cx, c->tree, id, level, LATCH_SHARED, out);
    }
    if (st == ST_OK) {
        check_fences(c, &parent, slot, out);
    }
    latched_done(&parent);
    return st;
}

/* One node of the level; *out_on: there are more. */
static Status check_next(Ctx *cx, Checker *c, unsigned level, bool *out_on)
{
    LatchedNode l;
    uint32_t from = 0;
    bool exact;
    Status st = latch_checked(cx, c, level, &l);
    if (st != ST_OK) {
        return st;
    }
    *out_on = check_node(c, &l);
    if (level == 0) {
        st = check_right(cx, c, &l);
        memcpy(c->copy, l.node.page, PAGE_BYTES);
        if (!node_find(&l.node, 0, keybuf_key(&c->pos), &from, &exact)) {
            from = l.node.h.count;
        }
    }
    if (*out_on && !move_on(c, &l.node)) {
        problem(c, latched_id(&l), "it ends before the place it was looked for");
        *out_on = false;
    }
    latched_done(&l);
    return st == ST_OK && level == 0 ? visit_entries(cx, c, from) : st;
}

static Status check_level(Ctx *cx, Checker *c, unsigned level)
{
    bool on = true;
    c->pos.len = 0;
    c->pos.tid = 0;
    while (on) {
        Status st = ctx_poll(cx);
        if (st == ST_OK) {
            st = check_next(cx, c, level, &on);
        }
        if (st != ST_OK) {
            return st == ST_NOT_FOUND ? ST_OK : st; /* the tree has become lower meanwhile */
        }
    }
    return ST_OK;
}

static Status check_user_area(Ctx *cx, Checker *c)
{
    uint8_t user[OBJECT_USER_BYTES];
    Status st = object_read_user(cx, c->tree->object, user);
    if (st == ST_OK) {
        expect(c, load_u64(user) == c->tree->ref.root.v, c->tree->ref.root, "the object's header names another root");
    }
    return st;
}

static Status check_all(Ctx *cx, Checker *c)
{
    BTreeStats stats;
    Status st = btree_stats(cx, c->tree, &stats);
    if (st == ST_OK) {
        st = check_user_area(cx, c);
    }
    if (st == ST_OK) {
        st = account_begin(cx, c);
    }
    if (st != ST_OK) {
        return st;
    }
    c->check->height = stats.height;
    for (unsigned level = stats.height; level > 0 && st == ST_OK; level--) {
        st = check_level(cx, c, level - 1);
    }
    if (st == ST_OK) {
        account_end(c);
    }
    return st;
}

Status btree_check(Ctx *cx, BTree *t, BTreeCheck *check)
{
    Checker *c = mem_alloc0(cx->budget, sizeof *c);
    if (c == NULL) {
        return ctx_nomem(cx, sizeof *c);
    }
    c->tree = t;
    c->check = check;
    c->budget = cx->budget;
    check->problems = check->entries = check->leaf_pages = check->inner_pages = 0;
    Status st = check_all(cx, c);
    if (st == ST_CORRUPTED || st == ST_INDEX_CORRUPTED) {
        /* A page that cannot be read at all is a finding too; the caller's error object tells more. */
        problem(c, t->ref.root, "a page of the tree cannot be read");
    }
    mem_free(c->budget, c->seen, c->seen_bytes);
    mem_free(c->budget, c, sizeof *c);
    return st;
}
