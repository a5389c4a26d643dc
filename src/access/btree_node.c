/*
 * access/btree_node.c: reading and building one node; see btree_node.h for the format.
 */
#include "access/btree_node.h"

/* ---- keys ---- */

int node_key_cmp(NodeKey a, NodeKey b)
{
    int c = bytes_cmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    if (c != 0) {
        return c;
    }
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return (a.tid > b.tid) - (a.tid < b.tid);
}

uint32_t node_common_prefix(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t n = a_len < b_len ? a_len : b_len;
    uint32_t i = 0;
    while (i + 8 <= n && load_u64(a + i) == load_u64(b + i)) {
        i += 8;
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* The first four bytes as a number, zero-padded: unequal heads order as their keys do. */
static uint32_t head_of(const uint8_t *p, uint32_t len)
{
    if (len >= 4) {
        return load_be32(p);
    }
    uint32_t h = 0;
    for (uint32_t i = 0; i < len; i++) {
        h |= (uint32_t)p[i] << (24 - 8 * i);
    }
    return h;
}

/* ---- reading ---- */

/* Keeps the compiler from reading the page again where the copy is used: the page may change under the reader. */
static inline void read_once(const void *copy)
{
    __asm__ volatile("" : : "r"(copy) : "memory");
}

bool node_load(const uint8_t *page, Node *out)
{
    const PageHeader *ph = page_header_const(page);
    memcpy(&out->h, page + PAGE_HEADER_BYTES, sizeof out->h);
    read_once(&out->h);
    const NodeHeader *h = &out->h;
    out->page = page;
    if (ph->type != PAGE_INDEX || ph->format != NODE_FORMAT || h->level > NODE_LEVEL_MAX ||
        h->low_len > BTREE_ENTRY_MAX || h->high_len > BTREE_ENTRY_MAX || h->prefix_len > h->low_len) {
        return false;
    }
    bool inf = (h->flags & NODE_HIGH_INF) != 0;
    if (inf ? h->prefix_len != 0 || h->high_len != 0 : h->prefix_len > h->high_len) {
        return false;
    }
    out->cells_end = (uint32_t)PAGE_BODY_END - h->low_len - h->high_len;
    uint32_t slots_end = NODE_SLOTS_AT + (uint32_t)h->count * NODE_SLOT_BYTES;
    return slots_end <= h->heap_at && h->heap_at <= out->cells_end && h->dead_bytes <= out->cells_end - h->heap_at &&
           (h->level == 0 || h->count > 0);
}

typedef struct Slot {
    uint32_t head;
    uint16_t at;
    uint16_t len; /* with SLOT_EXTRA */
} Slot;
STATIC_ASSERT(sizeof(Slot) == NODE_SLOT_BYTES, "on-disk format");

static inline Slot slot_read(const uint8_t *page, uint32_t slot)
{
    const uint64_t *word = (const uint64_t *)(const void *)(page + NODE_SLOTS_AT) + slot;
    /* Relaxed atomic: one load, never repeated; validation orders it. */
    uint64_t w = __atomic_load_n(word, __ATOMIC_RELAXED);
    Slot s;
    memcpy(&s, &w, sizeof s);
    return s;
}

static inline uint32_t slot_head(const uint8_t *page, uint32_t slot)
{
    const uint32_t *head = (const uint32_t *)(const void *)(page + NODE_SLOTS_AT) + 2 * (size_t)slot;
    return __atomic_load_n(head, __ATOMIC_RELAXED);
}

static void slot_write(uint8_t *page, uint32_t slot, Slot s)
{
    memcpy(page + NODE_SLOTS_AT + (size_t)slot * NODE_SLOT_BYTES, &s, sizeof s);
}

static PageId child_read(const uint8_t *p)
{
    return (PageId){load_u32(p) | (uint64_t)p[4] << 32};
}

bool node_cell(const Node *n, uint32_t slot, NodeCell *out)
{
    if (slot >= n->h.count) {
        return false;
    }
    Slot s = slot_read(n->page, slot);
    uint32_t len = s.len & SLOT_LEN_MASK;
    bool extra = (s.len & SLOT_EXTRA) != 0;
    bool leaf = n->h.level == 0;
    uint32_t lead = leaf ? NODE_TID_BYTES : NODE_CHILD_BYTES;
    uint32_t trail = !extra ? 0 : leaf ? 2 : NODE_TID_BYTES;
    uint32_t bytes = lead + len + trail;
    if (s.at < n->h.heap_at || s.at + bytes > n->cells_end) {
        return false;
    }
    const uint8_t *p = n->page + s.at;
    const uint8_t *end = p + lead + len;
    *out = (NodeCell){.suffix = {p + lead, len}};
    if (!leaf) {
        out->child = child_read(p);
        out->tid = extra ? load_be64(end) : 0;
    } else {
        out->tid = load_be64(p);
        if (extra) {
            uint16_t payload_len = __atomic_load_n(end, __ATOMIC_RELAXED);
            payload_len = (uint16_t)(payload_len | __atomic_load_n(end + 1, __ATOMIC_RELAXED) << 8);
            bytes += payload_len;
            out->payload = (BTreeBytes){end + 2, payload_len};
        }
    }
    out->bytes = bytes;
    return s.at + bytes <= n->cells_end && n->h.prefix_len + len + out->payload.len <= BTREE_ENTRY_MAX;
}

/* What is searched for, after the node's prefix. */
typedef struct Probe {
    const uint8_t *p;
    uint32_t len;
    uint32_t head;
    uint64_t tid;
} Probe;

static Probe probe_for(const Node *n, NodeKey key)
{
    Probe pr = {.p = key.p + n->h.prefix_len, .len = key.len - n->h.prefix_len, .tid = key.tid};
    pr.head = head_of(pr.p, pr.len);
    return pr;
}

/* Compares an entry with the probe; only as much of the cell is looked at as that takes. False: it lies outside. */
static bool slot_cmp(const Node *n, uint32_t slot, const Probe *pr, int *out)
{
    Slot s = slot_read(n->page, slot);
    if (s.head != pr->head) {
        *out = s.head < pr->head ? -1 : 1;
        return true;
    }
    bool leaf = n->h.level == 0;
    uint32_t len = s.len & SLOT_LEN_MASK;
    uint32_t suffix_at = s.at + (uint32_t)(leaf ? NODE_TID_BYTES : NODE_CHILD_BYTES);
    bool tid_behind = !leaf && (s.len & SLOT_EXTRA) != 0;
    if (s.at < n->h.heap_at || suffix_at + len + (tid_behind ? 8u : 0) > n->cells_end) {
        return false;
    }
    int c = bytes_cmp(n->page + suffix_at, pr->p, len < pr->len ? len : pr->len);
    if (c == 0) {
        c = (len > pr->len) - (len < pr->len);
    }
    if (c == 0) {
        uint64_t tid = leaf ? load_be64(n->page + s.at) : tid_behind ? load_be64(n->page + suffix_at + len) : 0;
        c = (tid > pr->tid) - (tid < pr->tid);
    }
    *out = c;
    return true;
}

bool node_cmp_entry(const Node *n, uint32_t slot, NodeKey key, int *out)
{
    if (slot >= n->h.count || key.len < n->h.prefix_len) {
        return false;
    }
    Probe pr = probe_for(n, key);
    return slot_cmp(n, slot, &pr, out);
}

/* First slot in [lo, hi) whose head is not below. Branch-free: the compiler makes the choice a conditional move. */
static uint32_t heads_lower_bound(const uint8_t *page, uint32_t lo, uint32_t hi, uint32_t head)
{
    uint32_t len = hi - lo;
    while (len > 1) {
        uint32_t half = len / 2;
        lo += slot_head(page, lo + half - 1) < head ? half : 0;
        len -= half;
    }
    return len == 1 && slot_head(page, lo) < head ? lo + 1 : lo;
}

/* End of the run of heads equal to the one at lo; mostly the run is one entry. */
static uint32_t heads_run_end(const uint8_t *page, uint32_t lo, uint32_t count, uint32_t head)
{
    if (lo + 1 == count || slot_head(page, lo + 1) != head) {
        return lo + 1;
    }
    return head == UINT32_MAX ? count : heads_lower_bound(page, lo + 1, count, head + 1);
}

bool node_find(const Node *n, uint32_t first, NodeKey key, uint32_t *out_slot, bool *out_exact)
{
    uint32_t count = n->h.count;
    if (key.len < n->h.prefix_len || first > count) {
        return false;
    }
    Probe pr = probe_for(n, key);
    uint32_t lo = heads_lower_bound(n->page, first, count, pr.head);
    uint32_t hi = lo;
    if (lo < count && slot_head(n->page, lo) == pr.head) {
        hi = heads_run_end(n->page, lo, count, pr.head);
    }
    bool exact = false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c;
        if (!slot_cmp(n, mid, &pr, &c)) {
            return false;
        }
        exact = exact || c == 0;
        if (c >= 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    *out_slot = lo;
    *out_exact = exact;
    return true;
}

bool node_find_child(const Node *n, NodeKey key, bool before, uint32_t *out_slot, PageId *out_child)
{
    uint32_t slot;
    bool exact;
    NodeCell c;
    if (n->h.level == 0 || !node_find(n, 1, key, &slot, &exact)) {
        return false;
    }
    slot -= exact && !before ? 0 : 1;
    if (!node_cell(n, slot, &c)) {
        return false;
    }
    *out_slot = slot;
    *out_child = c.child;
    return true;
}

bool node_covers(const Node *n, NodeKey key, bool before)
{
    int low = node_key_cmp(node_low(n), key);
    int high = node_high_inf(n) ? 1 : node_key_cmp(node_high(n), key);
    return before ? low < 0 && high >= 0 : low <= 0 && high > 0;
}

void node_full_key(const Node *n, const NodeCell *c, KeyBuf *out)
{
    BTreeBytes prefix = node_prefix(n);
    ASSERT(prefix.len + c->suffix.len <= sizeof out->bytes);
    bytes_copy(out->bytes, prefix.p, prefix.len);
    bytes_copy(out->bytes + prefix.len, c->suffix.p, c->suffix.len);
    out->len = prefix.len + c->suffix.len;
    out->tid = c->tid;
}

/* ---- building ---- */

static NodeHeader *header(uint8_t *page)
{
    return (NodeHeader *)(void *)(page + PAGE_HEADER_BYTES);
}

void node_format(uint8_t *page, const NodeSpec *spec)
{
    NodeHeader h = {.left = spec->left,
                    .right = spec->right,
                    .object_header = spec->object_header,
                    .low_tid = spec->low.tid,
                    .level = spec->level,
                    .low_len = (uint16_t)spec->low.len};
    if (spec->high_inf) {
        h.flags = NODE_HIGH_INF;
    } else {
        h.high_tid = spec->high.tid;
        h.high_len = (uint16_t)spec->high.len;
        h.prefix_len = (uint16_t)node_common_prefix(spec->low.p, spec->low.len, spec->high.p, spec->high.len);
    }
    h.heap_at = (uint16_t)(PAGE_BODY_END - h.low_len - h.high_len);
    memset(page + PAGE_HEADER_BYTES, 0, PAGE_BODY_BYTES);
    bytes_copy(page + PAGE_BODY_END - h.low_len, spec->low.p, h.low_len);
    bytes_copy(page + h.heap_at, spec->high.p, h.high_len);
    memcpy(page + PAGE_HEADER_BYTES, &h, sizeof h);
}

NodeSpec node_spec(const Node *n)
{
    NodeSpec s = {.left = n->h.left,
                  .right = n->h.right,
                  .object_header = n->h.object_header,
                  .level = n->h.level,
                  .low = node_low(n),
                  .high_inf = node_high_inf(n)};
    if (!s.high_inf) {
        s.high = node_high(n);
    }
    return s;
}

static uint32_t cell_bytes(uint8_t level, const NodeEntry *e)
{
    uint32_t suffix = e->a.len + e->b.len;
    return level == 0 ? NODE_TID_BYTES + suffix + (e->payload.len > 0 ? 2 + e->payload.len : 0)
                      : NODE_CHILD_BYTES + suffix + (e->tid != 0 ? NODE_TID_BYTES : 0);
}

uint32_t node_entry_bytes(uint8_t level, const NodeEntry *e)
{
    return NODE_SLOT_BYTES + cell_bytes(level, e);
}

static uint8_t *put(uint8_t *at, BTreeBytes b)
{
    bytes_copy(at, b.p, b.len);
    return at + b.len;
}

static void cell_write(uint8_t level, uint8_t *at, const NodeEntry *e)
{
    if (level == 0) {
        store_be64(at, e->tid);
        at = put(put(at + NODE_TID_BYTES, e->a), e->b);
        if (e->payload.len > 0) {
            store_u16(at, (uint16_t)e->payload.len);
            (void)put(at + 2, e->payload);
        }
    } else {
        store_u32(at, (uint32_t)e->child.v);
        at[4] = (uint8_t)(e->child.v >> 32);
        at = put(put(at + NODE_CHILD_BYTES, e->a), e->b);
        if (e->tid != 0) {
            store_be64(at, e->tid);
        }
    }
}

static uint32_t entry_head(const NodeEntry *e)
{
    if (e->a.len == 0 || e->a.len >= 4) {
        return e->a.len == 0 ? head_of(e->b.p, e->b.len) : head_of(e->a.p, e->a.len);
    }
    uint8_t first[4];
    uint32_t more = e->b.len < 4 - e->a.len ? e->b.len : 4 - e->a.len;
    memcpy(first, e->a.p, e->a.len);
    bytes_copy(first + e->a.len, e->b.p, more);
    return head_of(first, e->a.len + more);
}

/* Moves the cells together so that all room is between slots and cells. */
static bool compact(uint8_t *page)
{
    uint8_t copy[PAGE_BYTES];
    uint8_t fresh[PAGE_BYTES];
    Node n;
    memcpy(copy, page, PAGE_BYTES);
    if (!node_load(copy, &n)) {
        return false;
    }
    NodeSpec spec = node_spec(&n);
    node_format(fresh, &spec);
    if (!node_append_range(fresh, &n, 0, n.h.count, NULL)) {
        return false;
    }
    memcpy(page + PAGE_HEADER_BYTES, fresh + PAGE_HEADER_BYTES, PAGE_BODY_BYTES);
    return true;
}

bool node_insert(uint8_t *page, uint32_t slot, const NodeEntry *e)
{
    NodeHeader *h = header(page);
    uint32_t bytes = cell_bytes(h->level, e);
    uint32_t slots_end = NODE_SLOTS_AT + (uint32_t)h->count * NODE_SLOT_BYTES;
    if (slots_end + NODE_SLOT_BYTES + bytes > h->heap_at) {
        if (slots_end + NODE_SLOT_BYTES + bytes > (uint32_t)h->heap_at + h->dead_bytes || !compact(page)) {
            return false;
        }
    }
    h->heap_at = (uint16_t)(h->heap_at - bytes);
    cell_write(h->level, page + h->heap_at, e);
    bool extra = h->level == 0 ? e->payload.len > 0 : e->tid != 0;
    Slot s = {.head = entry_head(e),
              .at = h->heap_at,
              .len = (uint16_t)((e->a.len + e->b.len) | (extra ? (uint32_t)SLOT_EXTRA : 0))};
    uint8_t *at = page + NODE_SLOTS_AT + (size_t)slot * NODE_SLOT_BYTES;
    memmove(at + NODE_SLOT_BYTES, at, (h->count - slot) * (size_t)NODE_SLOT_BYTES);
    slot_write(page, slot, s);
    h->count++;
    return true;
}

bool node_remove(uint8_t *page, uint32_t slot)
{
    Node n;
    NodeCell c;
    if (!node_load(page, &n) || !node_cell(&n, slot, &c)) {
        return false;
    }
    NodeHeader *h = header(page);
    uint32_t cell_at = slot_read(page, slot).at;
    uint8_t *at = page + NODE_SLOTS_AT + (size_t)slot * NODE_SLOT_BYTES;
    memmove(at, at + NODE_SLOT_BYTES, (h->count - slot - 1u) * (size_t)NODE_SLOT_BYTES);
    h->count--;
    if (h->count == 0) {
        h->heap_at = (uint16_t)n.cells_end;
        h->dead_bytes = 0;
    } else if (cell_at == h->heap_at) {
        h->heap_at = (uint16_t)(h->heap_at + c.bytes);
    } else {
        h->dead_bytes = (uint16_t)(h->dead_bytes + c.bytes);
    }
    return true;
}

/* The entry as it has to be put into a node with another prefix. */
static NodeEntry carry_over(const Node *src, const NodeCell *c, uint32_t dst_prefix_len)
{
    BTreeBytes prefix = node_prefix(src);
    NodeEntry e = {.b = c->suffix, .tid = c->tid, .payload = c->payload, .child = c->child};
    if (dst_prefix_len < prefix.len) {
        e.a = (BTreeBytes){prefix.p + dst_prefix_len, prefix.len - dst_prefix_len};
    } else {
        uint32_t drop = dst_prefix_len - prefix.len;
        e.b = (BTreeBytes){c->suffix.p + drop, c->suffix.len - drop};
    }
    return e;
}

bool node_append_range(uint8_t *dst, const Node *src, uint32_t from, uint32_t to, const NodeKey *first_key)
{
    for (uint32_t i = from; i < to; i++) {
        uint32_t prefix_len = header(dst)->prefix_len;
        uint32_t slot = header(dst)->count;
        bool leftmost = src->h.level > 0 && slot == 0; /* takes no key: it is the low fence */
        NodeCell c;
        if (!node_cell(src, i, &c)) {
            return false;
        }
        NodeEntry e;
        if (leftmost) {
            e = (NodeEntry){.child = c.child};
        } else if (i == from && first_key != NULL) {
            if (first_key->len < prefix_len) {
                return false;
            }
            e = (NodeEntry){.b = {first_key->p + prefix_len, first_key->len - prefix_len},
                            .tid = first_key->tid,
                            .payload = c.payload,
                            .child = c.child};
        } else if (c.suffix.len + src->h.prefix_len < prefix_len) {
            return false;
        } else {
            e = carry_over(src, &c, prefix_len);
        }
        if (NODE_SLOTS_AT + (slot + 1) * NODE_SLOT_BYTES + cell_bytes(src->h.level, &e) > header(dst)->heap_at ||
            !node_insert(dst, slot, &e)) {
            return false;
        }
    }
    return true;
}

bool node_merge(const Node *left, const Node *right, uint8_t *page)
{
    NodeSpec spec = node_spec(left);
    spec.high_inf = node_high_inf(right);
    spec.high = spec.high_inf ? (NodeKey){0} : node_high(right);
    spec.right = right->h.right;
    node_format(page, &spec);
    /* The first child of a right inner node gets back the separator that its fence stood for. */
    NodeKey fence = node_low(right);
    return node_append_range(page, left, 0, left->h.count, NULL) &&
           node_append_range(page, right, 0, right->h.count, right->h.level > 0 ? &fence : NULL);
}

/* ---- images ---- */

uint32_t node_pack(const uint8_t *page, uint8_t out[NODE_IMAGE_MAX])
{
    const NodeHeader *h = (const NodeHeader *)(const void *)(page + PAGE_HEADER_BYTES);
    uint32_t front = NODE_SLOTS_AT - PAGE_HEADER_BYTES + (uint32_t)h->count * NODE_SLOT_BYTES;
    uint32_t back = PAGE_BODY_END - (uint32_t)h->heap_at;
    memcpy(out, page + PAGE_HEADER_BYTES, front);
    memcpy(out + front, page + h->heap_at, back);
    return front + back;
}

bool node_unpack(const uint8_t *data, uint32_t len, uint8_t *page)
{
    uint8_t fresh[PAGE_BYTES];
    NodeHeader h;
    if (len < sizeof h || len > NODE_IMAGE_MAX) {
        return false;
    }
    memcpy(&h, data, sizeof h);
    uint32_t front = (uint32_t)sizeof h + (uint32_t)h.count * NODE_SLOT_BYTES;
    if (h.heap_at > PAGE_BODY_END || front > len || PAGE_BODY_END - (uint32_t)h.heap_at != len - front ||
        front + PAGE_HEADER_BYTES > h.heap_at) {
        return false;
    }
    memset(fresh, 0, sizeof fresh);
    page_header(fresh)->type = PAGE_INDEX;
    page_header(fresh)->format = NODE_FORMAT;
    memcpy(fresh + PAGE_HEADER_BYTES, data, front);
    memcpy(fresh + h.heap_at, data + front, len - front);
    if (node_problem(fresh) != NULL) {
        return false;
    }
    memcpy(page + PAGE_HEADER_BYTES, fresh + PAGE_HEADER_BYTES, PAGE_BODY_BYTES);
    return true;
}

/* ---- checking ---- */

static const char *fences_problem(const Node *n)
{
    NodeKey low = node_low(n);
    if (n->h.reserved != 0 || (n->h.flags & ~NODE_HIGH_INF) != 0 || n->h.object_header >> 40 != 0) {
        return "reserved bytes are not zero";
    }
    if (n->h.level > 0 && (n->h.left != 0 || n->h.right != 0)) {
        return "an inner node has siblings";
    }
    if (node_high_inf(n)) {
        return n->h.high_tid != 0 ? "an infinite fence has a TID" : NULL;
    }
    NodeKey high = node_high(n);
    if (node_key_cmp(low, high) >= 0) {
        return "the low fence is not below the high fence";
    }
    return node_common_prefix(low.p, low.len, high.p, high.len) != n->h.prefix_len
               ? "the prefix is not that of the fences"
               : NULL;
}

/* An entry against a fence; the entry has the prefix, and so has the fence. */
static int cmp_with_fence(const Node *n, const NodeCell *c, NodeKey fence)
{
    uint32_t skip = n->h.prefix_len;
    return node_key_cmp((NodeKey){c->suffix.p, c->suffix.len, c->tid},
                        (NodeKey){fence.p + skip, fence.len - skip, fence.tid});
}

static const char *cell_problem(const Node *n, uint32_t slot, const NodeCell *before, NodeCell *out)
{
    if (!node_cell(n, slot, out)) {
        return "a cell lies outside the node";
    }
    if (slot_head(n->page, slot) != head_of(out->suffix.p, out->suffix.len)) {
        return "a slot's head is not its key's";
    }
    if (n->h.level > 0 && slot == 0) {
        return out->suffix.len != 0 || out->tid != 0 ? "the first separator is not empty" : NULL;
    }
    if (n->h.level == 0 && out->tid == 0) {
        return "an entry has no TID";
    }
    bool first = slot == (n->h.level > 0 ? 1 : 0);
    int c = first ? cmp_with_fence(n, out, node_low(n))
                  : node_key_cmp((NodeKey){out->suffix.p, out->suffix.len, out->tid},
                                 (NodeKey){before->suffix.p, before->suffix.len, before->tid});
    if (c < 0 || (c == 0 && !(first && n->h.level == 0))) {
        return "entries are not in ascending order";
    }
    return NULL;
}

const char *node_problem(const uint8_t *page)
{
    Node n;
    if (!node_load(page, &n)) {
        return "the header makes no sense";
    }
    const char *problem = fences_problem(&n);
    uint32_t bytes = 0;
    NodeCell before = {0};
    for (uint32_t i = 0; problem == NULL && i < n.h.count; i++) {
        NodeCell c;
        problem = cell_problem(&n, i, &before, &c);
        bytes += problem == NULL ? c.bytes : 0;
        before = c;
    }
    if (problem != NULL) {
        return problem;
    }
    if (bytes + n.h.dead_bytes != n.cells_end - n.h.heap_at) {
        return "cells overlap or leave bytes unaccounted";
    }
    if (n.h.count > (n.h.level > 0 ? 1 : 0) && !node_high_inf(&n) && cmp_with_fence(&n, &before, node_high(&n)) >= 0) {
        return "an entry is not below the high fence";
    }
    return NULL;
}
