/*
 * access/btree_scan.c: look-ups and range scans.
 *
 * Key idea: what a scan has still to deliver is always one half-open interval [start, end) of (key, TID). All kinds
 * of bounds become such an interval when the cursor is opened, and each leaf that has been read cuts a piece off it:
 * up to the entry that did not fit the batch, or up to the leaf's fence. To go on is to descend from the root to the
 * remaining interval's edge. So a cursor remembers no page, and splits, merges and deletes between two batches cannot
 * disturb it; and within a batch the interval settles just as well which leaf comes next.
 */
#include "access/btree_int.h"

/* ---- one leaf ---- */

typedef struct Span {
    NodeKey start;
    NodeKey end; /* not to be used with end_inf */
    bool end_inf;
    bool backward;
    Tid only_tid;
} Span;

typedef enum LeafEnd {
    LEAF_DAMAGED,
    LEAF_BATCH_FULL, /* go on at *out_rest */
    LEAF_DONE,       /* the span goes on beyond the leaf: at *out_rest */
    LEAF_LAST,       /* the span ends in the leaf */
} LeafEnd;

typedef struct BatchMark {
    uint32_t n;
    uint32_t bytes_used;
} BatchMark;

static BatchMark batch_mark(const BTreeBatch *b)
{
    return (BatchMark){b->n, b->bytes_used};
}

static void batch_cut(BTreeBatch *b, BatchMark m)
{
    b->n = m.n;
    b->bytes_used = m.bytes_used;
}

/* False when it does not fit. */
static bool batch_add(BTreeBatch *b, const Node *n, const NodeCell *c)
{
    if (b->n == b->max) {
        return false;
    }
    if (b->items != NULL) {
        BTreeBytes prefix = node_prefix(n);
        uint32_t key_len = prefix.len + c->suffix.len;
        if (key_len + c->payload.len > b->bytes_max - b->bytes_used) {
            return false;
        }
        uint8_t *at = b->bytes + b->bytes_used;
        bytes_copy(at, prefix.p, prefix.len);
        bytes_copy(at + prefix.len, c->suffix.p, c->suffix.len);
        bytes_copy(at + key_len, c->payload.p, c->payload.len);
        b->items[b->n] = (BTreeItem){.key_at = b->bytes_used,
                                     .payload_at = b->bytes_used + key_len,
                                     .key_len = (uint16_t)key_len,
                                     .payload_len = (uint16_t)c->payload.len};
        b->bytes_used += key_len + c->payload.len;
    }
    b->tids[b->n++] = (Tid){c->tid};
    return true;
}

/* First slot from `from` on that is not before the end; a look-up's end is mostly one of the next two. */
static bool find_end(const Node *n, uint32_t from, NodeKey end, uint32_t *out_to)
{
    bool exact;
    for (uint32_t i = from; i < from + 2; i++) {
        int c = 0;
        if (i < n->h.count && !node_cmp_entry(n, i, end, &c)) {
            return false;
        }
        if (c >= 0) {
            *out_to = i;
            return true;
        }
    }
    return node_find(n, from + 2, end, out_to, &exact);
}

/* Slots [*out_from, *out_to) of the leaf are in the span. False when the leaf is damaged. */
static bool span_slots(const Node *n, const Span *s, uint32_t *out_from, uint32_t *out_to, bool *out_starts,
                       bool *out_ends)
{
    bool exact;
    uint32_t from = 0;
    uint32_t to = n->h.count;
    bool starts = node_key_cmp(node_low(n), s->start) <= 0;
    bool ends = s->end_inf ? node_high_inf(n) : node_high_inf(n) || node_key_cmp(s->end, node_high(n)) <= 0;
    if (starts && !node_find(n, 0, s->start, &from, &exact)) {
        return false;
    }
    if (ends && !s->end_inf && !find_end(n, from, s->end, &to)) {
        return false;
    }
    *out_from = from;
    *out_to = to;
    *out_starts = starts;
    *out_ends = ends;
    return true;
}

static void rest_at_slot(const Node *n, const NodeCell *c, KeyBuf *out_rest)
{
    node_full_key(n, c, out_rest);
}

static void rest_at_fence(NodeKey fence, KeyBuf *out_rest)
{
    bytes_copy(out_rest->bytes, fence.p, fence.len);
    out_rest->len = fence.len;
    out_rest->tid = fence.tid;
}

/*
 * Adds the leaf's entries of the span to the batch. *out_rest becomes the new start (backward: the new end) of the span
 * unless the leaf is its last. Works on a leaf that changes underneath; the answer is then to be thrown away.
 */
static LeafEnd leaf_collect(const Node *n, const Span *s, BTreeBatch *b, KeyBuf *out_rest)
{
    uint32_t from, to;
    bool starts, ends;
    if (!span_slots(n, s, &from, &to, &starts, &ends)) {
        return LEAF_DAMAGED;
    }
    for (uint32_t i = from; i < to; i++) {
        NodeCell c;
        uint32_t slot = s->backward ? to - 1 - (i - from) : i;
        if (!node_cell(n, slot, &c)) {
            return LEAF_DAMAGED;
        }
        if (s->only_tid.v != 0 && c.tid != s->only_tid.v) {
            continue;
        }
        if (!batch_add(b, n, &c)) {
            rest_at_slot(n, &c, out_rest);
            if (s->backward) {
                out_rest->tid++; /* an end is exclusive, and this entry is still to come */
            }
            return LEAF_BATCH_FULL;
        }
    }
    if (s->backward ? starts : ends) {
        return LEAF_LAST;
    }
    rest_at_fence(s->backward ? node_low(n) : node_high(n), out_rest);
    return LEAF_DONE;
}

/* ---- reading a leaf of the tree ---- */

/* The edge of the span that is read next, and on which side of it. */
static NodeKey span_edge(const Span *s)
{
    /* Backward from the end of everything: no key is longer, no TID greater. */
    static const uint8_t top[BTREE_ENTRY_MAX] = {[0 ... BTREE_ENTRY_MAX - 1] = 0xff};
    if (!s->backward) {
        return s->start;
    }
    return s->end_inf ? (NodeKey){top, sizeof top, UINT64_MAX} : s->end;
}

static Status collect_latched(Ctx *cx, BTree *t, const Span *s, BTreeBatch *b, KeyBuf *out_rest, LeafEnd *out_end,
                              PageId *out_leaf, uint64_t *out_lsn)
{
    LatchedNode leaf;
    Status st = btree_descend(cx, t, span_edge(s), s->backward, 0, LATCH_SHARED, &leaf);
    if (st != ST_OK) {
        return st;
    }
    LeafEnd end = leaf_collect(&leaf.node, s, b, out_rest);
    *out_leaf = latched_id(&leaf);
    *out_lsn = buf_page_lsn(leaf.frame).v;
    if (end == LEAF_DAMAGED) {
        st = btree_damaged(cx, t, *out_leaf, "an entry lies outside the node");
    }
    latched_done(&leaf);
    *out_end = end;
    return st;
}

static bool collect_optimistic(BTree *t, const Span *s, BTreeBatch *b, KeyBuf *out_rest, LeafEnd *out_end,
                               PageId *out_leaf, uint64_t *out_lsn)
{
    BufOpt opt;
    Node leaf;
    if (!btree_opt_descend(t, span_edge(s), s->backward, 0, &opt, &leaf) || leaf.h.level != 0) {
        return false;
    }
    LeafEnd end = leaf_collect(&leaf, s, b, out_rest);
    *out_leaf = (PageId){page_header_const(opt.page)->id};
    *out_lsn = page_header_const(opt.page)->lsn;
    SYNC_POINT("btree.opt.before_valid");
    if (!buf_opt_valid(&opt) || end == LEAF_DAMAGED) {
        return false;
    }
    *out_end = end;
    return true;
}

/* ---- the cross-check ---- */

static uint64_t mix_bytes(uint64_t h, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

static uint64_t answer_hash(const BTreeBatch *b, BatchMark from, LeafEnd end, const KeyBuf *rest)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)end;
    h = mix_bytes(h, (const uint8_t *)(b->tids + from.n), (b->n - from.n) * (uint32_t)sizeof *b->tids);
    if (b->items != NULL) {
        h = mix_bytes(h, b->bytes + from.bytes_used, b->bytes_used - from.bytes_used);
    }
    return end == LEAF_LAST ? h : mix_bytes(h ^ rest->tid, rest->bytes, rest->len);
}

/* Is the page as it was at that LSN? */
static bool leaf_unchanged(BTree *t, PageId leaf, uint64_t lsn)
{
    BufOpt opt;
    if (!buf_opt_begin(t->store, leaf, &opt)) {
        return false;
    }
    uint64_t now = page_header_const(opt.page)->lsn;
    return buf_opt_valid(&opt) && now == lsn;
}

/*
 * Repeats under latches what was answered optimistically, keeping the latched answer. Equal pages must give equal
 * answers; and a leaf that has not changed since must be the one that the latched way leads to.
 */
static Status cross_check(Ctx *cx, BTree *t, const Span *s, BTreeBatch *b, BatchMark from, KeyBuf *io_rest,
                          LeafEnd *io_end, PageId leaf, uint64_t lsn)
{
    uint64_t before = answer_hash(b, from, *io_end, io_rest);
    PageId now_leaf;
    uint64_t now_lsn;
    batch_cut(b, from);
    Status st = collect_latched(cx, t, s, b, io_rest, io_end, &now_leaf, &now_lsn);
    if (st != ST_OK) {
        return st;
    }
    if (page_eq(leaf, now_leaf)) {
        ASSERT(lsn != now_lsn || answer_hash(b, from, *io_end, io_rest) == before);
    } else {
        ASSERT(!leaf_unchanged(t, leaf, lsn));
    }
    return ST_OK;
}

/* One leaf's worth of the span: optimistically, and under latches when that fails. */
static Status collect(Ctx *cx, BTree *t, const Span *s, BTreeBatch *b, KeyBuf *out_rest, LeafEnd *out_end)
{
    BatchMark from = batch_mark(b);
    PageId leaf;
    uint64_t lsn;
    for (int i = 0; i < BTREE_OPT_ATTEMPTS; i++) {
        if (collect_optimistic(t, s, b, out_rest, out_end, &leaf, &lsn)) {
            bool check = atomic_load_explicit(&t->cross_check, memory_order_relaxed);
            return UNLIKELY(check) ? cross_check(cx, t, s, b, from, out_rest, out_end, leaf, lsn) : ST_OK;
        }
        batch_cut(b, from);
    }
    return collect_latched(cx, t, s, b, out_rest, out_end, &leaf, &lsn);
}

/* ---- look-up ---- */

static void batch_start(BTreeBatch *b)
{
    ASSERT(b->max >= 1 && b->tids != NULL && (b->items == NULL || b->bytes_max >= BTREE_ENTRY_MAX));
    b->n = 0;
    b->bytes_used = 0;
}

Status btree_lookup(Ctx *cx, BTree *t, BTreeBytes key, BTreeBatch *io_batch, bool *out_more)
{
    KeyBuf rest;
    LeafEnd end = LEAF_LAST;
    Span s = {.start = {key.p, key.len, 0}, .end = {key.p, key.len, UINT64_MAX}};
    batch_start(io_batch);
    if (key.len > BTREE_ENTRY_MAX) {
        *out_more = false;
        return ST_OK;
    }
    for (;;) {
        Status st = ctx_poll(cx);
        if (st == ST_OK) {
            st = collect(cx, t, &s, io_batch, &rest, &end);
        }
        if (st != ST_OK) {
            return st;
        }
        if (end != LEAF_DONE) {
            *out_more = end == LEAF_BATCH_FULL;
            return ST_OK;
        }
        if (node_key_cmp(keybuf_key(&rest), s.start) <= 0) {
            return btree_damaged(cx, t, t->ref.root, "leaves are not in order");
        }
        s.start = keybuf_key(&rest);
    }
}

/* ---- cursors ---- */

struct BTreeCursor {
    BTree *tree;
    Budget *budget;
    Tid only_tid;
    bool backward;
    bool end_inf;
    bool done;
    KeyBuf start;
    KeyBuf end;
    KeyBuf rest;  /* of the leaf just read */
    KeyBuf saved; /* the moving edge at the beginning of a call */
};

static void keybuf_set(KeyBuf *to, const uint8_t *p, uint32_t len, uint64_t tid)
{
    bytes_copy(to->bytes, p, len);
    to->len = len;
    to->tid = tid;
}

static void keybuf_copy(KeyBuf *to, const KeyBuf *from)
{
    keybuf_set(to, from->bytes, from->len, from->tid);
}

/*
 * The place just before (after: just behind) all keys of the bound. False when it is behind every key there can be. A
 * bound longer than any key is cut: what is compared with it differs earlier, or is shorter and so before it.
 */
static bool bound_place(const BTreeBound *bound, bool after, KeyBuf *out)
{
    bool cut = bound->key.len > BTREE_ENTRY_MAX;
    keybuf_set(out, bound->key.p, cut ? BTREE_ENTRY_MAX : bound->key.len, 0);
    if (cut) {
        /* No key has the whole bound in it: the keys before it are those up to its first bytes, these included. */
        out->tid = UINT64_MAX;
        return true;
    }
    if (!after) {
        return true;
    }
    if (!bound->prefix) {
        out->tid = UINT64_MAX; /* no entry has it */
        return true;
    }
    while (out->len > 0 && out->bytes[out->len - 1] == 0xff) {
        out->len--;
    }
    if (out->len == 0) {
        return false;
    }
    out->bytes[out->len - 1]++;
    return true;
}

static void cursor_bounds(BTreeCursor *c, const BTreeRange *range)
{
    keybuf_set(&c->start, NULL, 0, 0);
    if (range->lower.edge != BTREE_UNBOUNDED &&
        !bound_place(&range->lower, range->lower.edge == BTREE_EXCLUSIVE, &c->start)) {
        c->done = true;
    }
    c->end_inf = range->upper.edge == BTREE_UNBOUNDED ||
                 !bound_place(&range->upper, range->upper.edge == BTREE_INCLUSIVE, &c->end);
    if (!c->end_inf && node_key_cmp(keybuf_key(&c->start), keybuf_key(&c->end)) >= 0) {
        c->done = true;
    }
}

Status btree_cursor_open(Ctx *cx, BTree *t, const BTreeRange *range, BTreeCursor **out_cursor)
{
    BTreeCursor *c = mem_alloc(cx->budget, sizeof *c);
    if (c == NULL) {
        return ctx_nomem(cx, sizeof *c);
    }
    c->tree = t;
    c->budget = cx->budget;
    c->only_tid = range->only_tid;
    c->backward = range->backward;
    c->done = false;
    cursor_bounds(c, range);
    *out_cursor = c;
    return ST_OK;
}

void btree_cursor_close(BTreeCursor *c)
{
    if (c != NULL) {
        mem_free(c->budget, c, sizeof *c);
    }
}

/* Is the rest really less than the interval was? Only in a damaged tree it is not; a scan would not end. */
static bool rest_is_less(const BTreeCursor *c)
{
    NodeKey rest = keybuf_key(&c->rest);
    return c->backward ? c->end_inf || node_key_cmp(rest, keybuf_key(&c->end)) < 0
                       : node_key_cmp(rest, keybuf_key(&c->start)) > 0;
}

/* Cuts off the interval what has been read. */
static void cursor_advance(BTreeCursor *c, LeafEnd end)
{
    if (end == LEAF_LAST) {
        c->done = true;
        return;
    }
    if (c->backward) {
        keybuf_copy(&c->end, &c->rest);
        c->end_inf = false;
    } else {
        keybuf_copy(&c->start, &c->rest);
    }
    c->done = !c->end_inf && node_key_cmp(keybuf_key(&c->start), keybuf_key(&c->end)) >= 0;
}

static Status cursor_fill(Ctx *cx, BTreeCursor *c, BTreeBatch *b)
{
    LeafEnd end = LEAF_DONE;
    while (!c->done && end == LEAF_DONE && b->n < b->max) {
        Status st = ctx_poll(cx);
        if (st != ST_OK) {
            return st;
        }
        Span s = {.start = keybuf_key(&c->start),
                  .end = keybuf_key(&c->end),
                  .end_inf = c->end_inf,
                  .backward = c->backward,
                  .only_tid = c->only_tid};
        SYNC_POINT("btree.scan.before_leaf");
        st = collect(cx, c->tree, &s, b, &c->rest, &end);
        if (st != ST_OK) {
            return st;
        }
        if (end == LEAF_DONE && !rest_is_less(c)) {
            return btree_damaged(cx, c->tree, c->tree->ref.root, "leaves are not in order");
        }
        cursor_advance(c, end);
    }
    return ST_OK;
}

Status btree_cursor_next(Ctx *cx, BTreeCursor *c, BTreeBatch *io_batch)
{
    batch_start(io_batch);
    if (c->done) {
        return ST_OK;
    }
    bool end_inf = c->end_inf;
    KeyBuf *edge = c->backward ? &c->end : &c->start;
    if (!(c->backward && end_inf)) {
        keybuf_copy(&c->saved, edge);
    }
    Status st = cursor_fill(cx, c, io_batch);
    if (st != ST_OK) {
        if (!(c->backward && end_inf)) {
            keybuf_copy(edge, &c->saved);
        }
        c->end_inf = end_inf;
        c->done = false;
        batch_start(io_batch);
    }
    return st;
}

/* ---- sweep ---- */

enum { SWEEP_BATCH = 64 };

typedef struct SweepMemory {
    Tid tids[SWEEP_BATCH];
    BTreeItem items[SWEEP_BATCH];
    uint8_t bytes[2 * BTREE_ENTRY_MAX];
} SweepMemory;

static Status sweep_batches(Ctx *cx, BTreeCursor *c, SweepMemory *m,
                            Status (*fn)(void *arg, Ctx *cx, const BTreeEntry *e), void *arg)
{
    BTreeBatch b = {
        .tids = m->tids, .items = m->items, .bytes = m->bytes, .max = SWEEP_BATCH, .bytes_max = sizeof m->bytes};
    for (;;) {
        Status st = btree_cursor_next(cx, c, &b);
        if (st != ST_OK || b.n == 0) {
            return st;
        }
        for (uint32_t i = 0; i < b.n; i++) {
            BTreeEntry e = btree_batch_entry(&b, i);
            st = fn(arg, cx, &e);
            if (st != ST_OK) {
                return st;
            }
        }
    }
}

Status btree_sweep(Ctx *cx, BTree *t, Tid tid, Status (*fn)(void *arg, Ctx *cx, const BTreeEntry *e), void *arg)
{
    BTreeCursor *c;
    SweepMemory *m = mem_alloc(cx->budget, sizeof *m);
    if (m == NULL) {
        return ctx_nomem(cx, sizeof *m);
    }
    Status st = btree_cursor_open(cx, t, &(BTreeRange){.only_tid = tid}, &c);
    if (st == ST_OK) {
        st = sweep_batches(cx, c, m, fn, arg);
        btree_cursor_close(c);
    }
    mem_free(cx->budget, m, sizeof *m);
    return st;
}
