/*
 * access/btree_build.c: a tree from sorted entries.
 *
 * Key idea: each level gathers entries in memory until its next node is complete, writes the node, and hands the node's
 * low fence and page to the level above. A node is written when its high fence is known, so its prefix is final and
 * each page is logged once, whole. Since a fence that shares little with the keys before it can cost a node its
 * prefix, and so make it too big, a level keeps its last entry on call: if the node does not fit with the fence behind
 * that entry, it is closed before it, which was seen to fit.
 *
 * Until the last step the root is an empty leaf; then the topmost node becomes the root.
 */
#include "access/btree_int.h"
#include "base/map.h"

enum {
    BUILD_FILL = NODE_SPACE / 10 * 9,
    /* Beyond this a node is never filled: what the last entry adds when its fence goes away (see finish_level). */
    BUILD_CAP = NODE_SPACE - 64,
};

/* An entry gathered; its key and payload lie in the level's bytes. */
typedef struct Gathered {
    uint32_t at;
    uint32_t key_len;
    uint32_t payload_len;
    uint64_t tid;
    PageId child;
} Gathered;

typedef struct Level {
    uint8_t level;
    uint64_t nodes;  /* written */
    PageId last;     /* the one written last */
    uint32_t n;      /* entries gathered */
    uint32_t sum;    /* bytes of their slots and cells with whole keys */
    KeyBuf low;      /* low fence of the node being gathered */
    KeyBuf sep;      /* before the newest entry; valid when n >= 2 */
    KeyBuf next_sep; /* before the entry that arrives */
    Gathered *entries;
    size_t entries_cap;
    uint8_t *bytes;
    size_t bytes_used;
    size_t bytes_cap;
} Level;

typedef struct Builder {
    BTree *tree;
    Budget *budget;
    uint64_t entries;
    uint64_t pages;
    uint8_t page[PAGE_BYTES];
    uint8_t data[INIT_DATA_MAX];
    Level *levels[NODE_LEVEL_MAX];
} Builder;

static BTreeBytes key_bytes(const Level *l, uint32_t i)
{
    return (BTreeBytes){l->bytes + l->entries[i].at, l->entries[i].key_len};
}

static BTreeBytes payload_bytes(const Level *l, uint32_t i)
{
    return (BTreeBytes){l->bytes + l->entries[i].at + l->entries[i].key_len, l->entries[i].payload_len};
}

static NodeEntry entry_at(const Level *l, uint32_t i, uint32_t skip)
{
    BTreeBytes key = key_bytes(l, i);
    if (l->level > 0 && i == 0) {
        return (NodeEntry){.child = l->entries[i].child}; /* the low fence is its key */
    }
    return (NodeEntry){.b = {key.p + skip, key.len - skip},
                       .tid = l->entries[i].tid,
                       .payload = payload_bytes(l, i),
                       .child = l->entries[i].child};
}

static uint32_t shared(const KeyBuf *a, const KeyBuf *b)
{
    return node_common_prefix(a->bytes, a->len, b->bytes, b->len);
}

/* Bytes of a node of all gathered entries with that high fence; NULL = infinite. */
static uint32_t size_with(const Level *l, const KeyBuf *high)
{
    uint32_t keys = l->level > 0 ? l->n - 1 : l->n;
    return high == NULL ? l->sum + l->low.len : l->sum + l->low.len + high->len - keys * shared(&l->low, high);
}

static void keybuf_set(KeyBuf *to, NodeKey k)
{
    bytes_copy(to->bytes, k.p, k.len);
    to->len = k.len;
    to->tid = k.tid;
}

/* The shortest separator before an entry of a leaf; before a child it is the child's fence. */
static void separator_before(const Level *l, NodeKey key, KeyBuf *out)
{
    keybuf_set(out, key);
    if (l->level == 0) {
        BTreeBytes last = key_bytes(l, l->n - 1);
        uint32_t same = node_common_prefix(last.p, last.len, key.p, key.len);
        if (same < key.len) {
            out->len = same + 1;
            out->tid = 0;
        }
    }
}

/* ---- writing a node ---- */

static bool build_page(const Level *l, uint32_t keep, const KeyBuf *high, ObjectRef object, uint8_t *page)
{
    NodeSpec spec = {.left = l->level == 0 ? l->last.v : 0,
                     .object_header = object.header.v,
                     .level = l->level,
                     .low = keybuf_key(&l->low),
                     .high_inf = high == NULL};
    if (high != NULL) {
        spec.high = keybuf_key(high);
    }
    memset(page, 0, PAGE_BYTES);
    node_format(page, &spec);
    uint32_t skip = high == NULL ? 0 : shared(&l->low, high);
    for (uint32_t i = 0; i < keep; i++) {
        NodeEntry e = entry_at(l, i, skip);
        if (!node_insert(page, i, &e)) {
            return false;
        }
    }
    return true;
}

static Status log_new_node(Ctx *cx, Builder *b, Level *l, StoreOp *op)
{
    uint8_t link[LINK_DATA_BYTES];
    uint8_t body[INSERT_BODY_BYTES];
    LatchedNode left = {0};
    BufFrame *frame = NULL;
    uint32_t ordinal;
    LogPage pages[2];
    unsigned n = 1;
    Status st = ST_OK;
    if (l->level == 0 && l->nodes > 0) {
        st = btree_latch(cx, b->tree, l->last, 0, LATCH_EXCLUSIVE, &left);
    }
    if (st == ST_OK) {
        st = op_take_page(cx, op, &frame, &ordinal);
    }
    if (st == ST_OK) {
        PageId id = buf_page_id(frame);
        pages[0] = (LogPage){.frame = frame,
                             .redo = REDO_NODE_INIT,
                             .flags = WAL_PAGE_INIT,
                             .data = b->data,
                             .len = data_init(b->data, b->tree->ref.object.id, ordinal, b->page)};
        if (left.frame != NULL) {
            pages[n++] =
                (LogPage){.frame = left.frame, .redo = REDO_NODE_RIGHT, .data = link, .len = data_link(link, id)};
        }
        store_u64(body, b->tree->ref.root.v);
        (void)store_log(op, WAL_BTREE_BUILD, 0, TXN_NONE, pages, n, body, sizeof body);
        buf_unfix(frame);
        l->last = id;
    }
    latched_done(&left);
    return st;
}

static Status write_node(Ctx *cx, Builder *b, Level *l, uint32_t keep, const KeyBuf *high)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(2 + BTREE_SPACE_PAGES, INIT_DATA_MAX + LINK_DATA_BYTES +
                                                                            BTREE_SPACE_DATA + INSERT_BODY_BYTES),
                   .frames = 2 + BTREE_SPACE_PAGES,
                   .new_pages = 1,
                   .object = b->tree->object};
    StoreOp op;
    bool built = build_page(l, keep, high, b->tree->ref.object, b->page);
    ASSERT(built); /* size_with has counted it */
    Status st = op_begin(cx, b->tree->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = log_new_node(cx, b, l, &op);
    op_end(&op);
    if (st == ST_OK) {
        l->nodes++;
        b->pages++;
        st = ctx_poll(cx);
    }
    return st;
}

static Status write_root(Ctx *cx, Builder *b, const Level *l)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(1, NODE_IMAGE_MAX + INSERT_BODY_BYTES), .frames = 1};
    uint8_t body[INSERT_BODY_BYTES];
    StoreOp op;
    LatchedNode root;
    bool built = build_page(l, l->n, NULL, b->tree->ref.object, b->page);
    ASSERT(built);
    Status st = op_begin(cx, b->tree->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = btree_latch(cx, b->tree, b->tree->ref.root, 0, LATCH_EXCLUSIVE, &root);
    if (st == ST_OK) {
        LogPage lp = {
            .frame = root.frame, .redo = REDO_NODE_REPLACE, .data = b->data, .len = node_pack(b->page, b->data)};
        store_u64(body, b->tree->ref.root.v);
        (void)store_log(&op, WAL_BTREE_BUILD, 0, TXN_NONE, &lp, 1, body, sizeof body);
        latched_done(&root);
        b->pages++;
    }
    op_end(&op);
    return st;
}

/* ---- levels ---- */

static Status level_at(Ctx *cx, Builder *b, unsigned level, Level **out)
{
    if (level >= NODE_LEVEL_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "index is too deep");
    }
    if (b->levels[level] == NULL) {
        Level *l = mem_alloc0(b->budget, sizeof *l);
        if (l == NULL) {
            return ctx_nomem(cx, sizeof *l);
        }
        l->level = (uint8_t)level;
        b->levels[level] = l;
    }
    *out = b->levels[level];
    return ST_OK;
}

static void level_free(Budget *budget, Level *l)
{
    if (l != NULL) {
        mem_free(budget, l->entries, l->entries_cap * sizeof *l->entries);
        mem_free(budget, l->bytes, l->bytes_cap);
        mem_free(budget, l, sizeof *l);
    }
}

static Status gather(Ctx *cx, Builder *b, Level *l, NodeKey key, BTreeBytes payload, PageId child)
{
    size_t need = l->bytes_used + key.len + payload.len;
    if (need > l->bytes_cap && !vec_grow(b->budget, (void **)&l->bytes, &l->bytes_cap, need, 1)) {
        return ctx_nomem(cx, need);
    }
    if (l->n == l->entries_cap &&
        !vec_grow(b->budget, (void **)&l->entries, &l->entries_cap, l->n + 1u, sizeof *l->entries)) {
        return ctx_nomem(cx, (l->n + 1u) * sizeof *l->entries);
    }
    l->entries[l->n] = (Gathered){
        .at = (uint32_t)l->bytes_used, .key_len = key.len, .payload_len = payload.len, .tid = key.tid, .child = child};
    bytes_copy(l->bytes + l->bytes_used, key.p, key.len);
    bytes_copy(l->bytes + l->bytes_used + key.len, payload.p, payload.len);
    l->bytes_used = need;
    l->n++;
    NodeEntry e = entry_at(l, l->n - 1, 0);
    l->sum += node_entry_bytes(l->level, &e);
    return ST_OK;
}

/* Only the newest entry stays (or none), as the first of the next node. */
static void keep_newest(Level *l, bool keep, const KeyBuf *low)
{
    keybuf_set(&l->low, keybuf_key(low));
    l->sum = 0;
    if (!keep) {
        l->n = 0;
        l->bytes_used = 0;
        return;
    }
    Gathered e = l->entries[l->n - 1];
    memmove(l->bytes, l->bytes + e.at, e.key_len + e.payload_len);
    l->bytes_used = e.key_len + e.payload_len;
    e.at = 0;
    l->entries[0] = e;
    l->n = 1;
    NodeEntry first = entry_at(l, 0, 0);
    l->sum = node_entry_bytes(l->level, &first);
}

static Status level_add(Ctx *cx, Builder *b, unsigned level, NodeKey key, BTreeBytes payload, PageId child);

/* Writes the first `keep` entries as a node that ends at `high` and tells the level above. */
static Status close_node(Ctx *cx, Builder *b, Level *l, uint32_t keep, const KeyBuf *high)
{
    Status st = write_node(cx, b, l, keep, high);
    if (st == ST_OK) {
        st = level_add(cx, b, l->level + 1u, keybuf_key(&l->low), (BTreeBytes){0}, l->last);
    }
    if (st == ST_OK && high != NULL) {
        keep_newest(l, keep < l->n, high);
    }
    return st;
}

/* Recursion: one step a level, at most NODE_LEVEL_MAX. */
static Status level_add(Ctx *cx, Builder *b, unsigned level, NodeKey key, BTreeBytes payload, PageId child)
{
    Level *l;
    Status st = level_at(cx, b, level, &l);
    if (st != ST_OK) {
        return st;
    }
    if (l->n > 0) {
        separator_before(l, key, &l->next_sep);
        uint32_t size = size_with(l, &l->next_sep);
        if (size > BUILD_CAP) {
            ASSERT(l->n >= 2);
            st = close_node(cx, b, l, l->n - 1, &l->sep);
        } else if (size >= BUILD_FILL) {
            st = close_node(cx, b, l, l->n, &l->next_sep);
        }
        if (st != ST_OK) {
            return st;
        }
        keybuf_set(&l->sep, keybuf_key(&l->next_sep));
    }
    return gather(cx, b, l, key, payload, child);
}

/* ---- all of it ---- */

static Status add_all(Ctx *cx, Builder *b, BTreeSource source, void *arg)
{
    for (;;) {
        BTreeEntry e = {0};
        Status st = source(arg, cx, &e);
        if (st != ST_OK) {
            return st == ST_END ? ST_OK : st;
        }
        if (e.key.len > BTREE_ENTRY_MAX || e.payload.len > BTREE_ENTRY_MAX - e.key.len) {
            return btree_too_long(cx, e.key, e.payload);
        }
        const Level *l = b->levels[0];
        NodeKey key = node_key(e.key, e.tid);
        ASSERT(e.tid.v != 0 && e.tid.v != UINT64_MAX);
        if (l != NULL && l->n > 0) {
            BTreeBytes last = key_bytes(l, l->n - 1);
            if (node_key_cmp((NodeKey){last.p, last.len, l->entries[l->n - 1].tid}, key) >= 0) {
                return err_set(cx->err, ST_INTERNAL, "entries for an index are not sorted");
            }
        }
        st = level_add(cx, b, 0, key, e.payload, PAGE_NONE);
        if (st != ST_OK) {
            return st;
        }
        b->entries++;
    }
}

/* The last node of each level is open to the right; the level that has only this one is the root. */
static Status finish(Ctx *cx, Builder *b, uint32_t *out_height)
{
    for (unsigned level = 0;; level++) {
        Level *l;
        Status st = level_at(cx, b, level, &l);
        if (st == ST_OK && l->n >= 2 && size_with(l, NULL) > NODE_SPACE) {
            st = close_node(cx, b, l, l->n - 1, &l->sep);
        }
        if (st != ST_OK) {
            return st;
        }
        if (l->nodes == 0) {
            *out_height = level + 1;
            return write_root(cx, b, l);
        }
        st = close_node(cx, b, l, l->n, NULL);
        if (st != ST_OK) {
            return st;
        }
    }
}

static Status check_empty(Ctx *cx, BTree *t)
{
    LatchedNode root;
    Status st = btree_latch(cx, t, t->ref.root, 0, LATCH_SHARED, &root);
    if (st != ST_OK) {
        return st;
    }
    ASSERT(root.node.h.count == 0);
    latched_done(&root);
    return ST_OK;
}

Status btree_build(Ctx *cx, BTree *t, BTreeSource source, void *arg, BTreeBuilt *out)
{
    Builder *b = mem_alloc0(cx->budget, sizeof *b);
    uint32_t height = 0;
    if (b == NULL) {
        return ctx_nomem(cx, sizeof *b);
    }
    b->tree = t;
    b->budget = cx->budget;
    Status st = check_empty(cx, t);
    if (st == ST_OK) {
        st = add_all(cx, b, source, arg);
    }
    if (st == ST_OK && b->entries > 0) {
        st = finish(cx, b, &height);
    }
    if (st == ST_OK) {
        *out = (BTreeBuilt){.entries = b->entries, .pages = b->pages, .height = height};
        if (b->entries == 0) {
            *out = (BTreeBuilt){.pages = 1, .height = 1};
        }
    }
    for (unsigned i = 0; i < NODE_LEVEL_MAX; i++) {
        level_free(b->budget, b->levels[i]);
    }
    mem_free(b->budget, b, sizeof *b);
    return st;
}
