/*
 * access/btree_node.h: one page of a B+tree.
 *
 * Key idea: a node knows its range. The fences low <= entry < high stand on the page; the common prefix of the two is
 * shared by every key that can ever be in the node, so it is stored once and entries keep what follows it. Inserts
 * and deletes never change it; only split and merge, which change a fence, rebuild the node.
 *
 *   offset size  field (NodeHeader)
 *       48    8  left           leaf: page of the left sibling, 0 = none; 0 in inner nodes
 *       56    8  right          leaf: page of the right sibling, 0 = none; 0 in inner nodes
 *       64    8  object_header  header page of the owning object: makes a root page enough to open the tree
 *       72    8  low_tid        TID of the low fence, 0 = none
 *       80    8  high_tid       TID of the high fence, 0 = none
 *       88    2  count          entries
 *       90    1  level          0 = leaf; NODE_LEVEL_DEAD: given back, nothing may be read or written
 *       91    1  flags          NODE_HIGH_INF
 *       92    2  heap_at        offset of the lowest cell; cells lie in [heap_at, cells end)
 *       94    2  dead_bytes     bytes between heap_at and cells end that belong to no cell
 *       96    2  prefix_len     bytes that all keys share: the first of the low fence
 *       98    2  low_len        key bytes of the low fence; "" without TID is the lower end of everything
 *      100    2  high_len       key bytes of the high fence; 0 with NODE_HIGH_INF
 *      102    2  reserved       0
 *      104       slots, 8 bytes an entry, in order
 *                cells end = 16352 - low_len - high_len: the cells before it, in no order; then high fence, low fence
 *
 *   slot: 4 head (first 4 bytes of the suffix, zero-padded, as a number), 2 offset of the cell, 2 length of the suffix
 *         in the low 12 bits and SLOT_EXTRA
 *   cell of a leaf:        8 TID (big-endian), suffix, and with SLOT_EXTRA 2 payload length, payload
 *   cell of an inner node: 5 child page id, suffix, and with SLOT_EXTRA 8 TID (big-endian)
 *
 * Child i of an inner node holds what lies from separator i up to separator i + 1. Separator 0 is the node's low
 * fence: its suffix is empty, it is never compared.
 *
 * Order of keys (NodeKey): bytes by memcmp, a prefix first, then the TID as a number; "no TID" is 0, before all TIDs.
 *
 * Why a node that overflows can always be split (the bound BTREE_ENTRY_MAX): let C be the bytes for slots, cells and
 * fences, E the largest entry, S the longest separator. Walk the boundaries between entries, the new one included. At
 * the first that makes the left half too big, let X be the entry before it. If the boundary before X made the right
 * half too big as well, then adding both, S + S + 2X + the rest > 2C; but the rest and X and the fences are at most C
 * + E. So it fails only if 2E + 2S > C, which the STATIC_ASSERT below excludes.
 *
 * Reading is safe on any bytes: node_load checks the header, every access to a slot or cell is checked against the
 * page, and each number is read once. So the same code reads latched pages, damaged pages, and pages that another
 * thread is changing (optimistic reading), where the answer is believed only after validation.
 */
#ifndef RDB_ACCESS_BTREE_NODE_H
#define RDB_ACCESS_BTREE_NODE_H

#include <string.h>

#include "access/btree.h"
#include "base/str.h"
#include "storage/page.h"

enum {
    NODE_FORMAT = 1,
    NODE_SLOTS_AT = 104,
    NODE_SLOT_BYTES = 8,
    NODE_SPACE = PAGE_BODY_END - NODE_SLOTS_AT, /* for slots, cells and fences */
    NODE_CHILD_BYTES = 5,
    NODE_TID_BYTES = 8,
    NODE_LEVEL_MAX = 40,
    NODE_LEVEL_DEAD = 255,
    NODE_HIGH_INF = 1,
    SLOT_LEN_MASK = 0x0fff,
    SLOT_EXTRA = 0x8000,
    NODE_CELL_MAX = BTREE_ENTRY_MAX + NODE_TID_BYTES + NODE_CHILD_BYTES, /* either kind */
    NODE_COUNT_MAX = NODE_SPACE / (NODE_SLOT_BYTES + NODE_CHILD_BYTES),
};

typedef struct NodeHeader {
    uint64_t left;
    uint64_t right;
    uint64_t object_header;
    uint64_t low_tid;
    uint64_t high_tid;
    uint16_t count;
    uint8_t level;
    uint8_t flags;
    uint16_t heap_at;
    uint16_t dead_bytes;
    uint16_t prefix_len;
    uint16_t low_len;
    uint16_t high_len;
    uint16_t reserved;
} NodeHeader;
STATIC_ASSERT(sizeof(NodeHeader) == NODE_SLOTS_AT - PAGE_HEADER_BYTES, "on-disk format");
STATIC_ASSERT(offsetof(NodeHeader, count) == 40 && offsetof(NodeHeader, prefix_len) == 48, "on-disk format");
STATIC_ASSERT(NODE_SLOTS_AT % 8 == 0, "slots are read as aligned words");
STATIC_ASSERT((int)BTREE_ENTRY_MAX <= (int)SLOT_LEN_MASK, "a slot holds the length");
STATIC_ASSERT(2 * NODE_SLOT_BYTES + NODE_CHILD_BYTES + NODE_CELL_MAX + 2 * BTREE_ENTRY_MAX <= (int)NODE_SPACE,
              "an inner node of one child has room for any separator");
STATIC_ASSERT(2 * (NODE_SLOT_BYTES + NODE_CELL_MAX) + 2 * BTREE_ENTRY_MAX <= (int)NODE_SPACE,
              "every node can be split");

typedef struct NodeKey {
    const uint8_t *p;
    uint32_t len;
    uint64_t tid; /* 0 = none */
} NodeKey;

static inline NodeKey node_key(BTreeBytes key, Tid tid)
{
    return (NodeKey){key.p, key.len, tid.v};
}

/* A NodeKey with room for its bytes. */
typedef struct KeyBuf {
    uint64_t tid;
    uint32_t len;
    uint8_t bytes[BTREE_ENTRY_MAX];
} KeyBuf;

static inline NodeKey keybuf_key(const KeyBuf *b)
{
    return (NodeKey){b->bytes, b->len, b->tid};
}

/* memcmp that may be asked for nothing at no address. */
static inline int bytes_cmp(const void *a, const void *b, size_t n)
{
    return n == 0 ? 0 : memcmp(a, b, n);
}

static inline void bytes_copy(void *to, const void *from, size_t n)
{
    if (n > 0) {
        memcpy(to, from, n);
    }
}

int node_key_cmp(NodeKey a, NodeKey b);
uint32_t node_common_prefix(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len);

/* ---- reading ---- */

/* A node being read: the page and a checked copy of its header. */
typedef struct Node {
    const uint8_t *page;
    NodeHeader h;
    uint32_t cells_end;
} Node;

typedef struct NodeCell {
    BTreeBytes suffix; /* the key after the prefix */
    uint64_t tid;
    BTreeBytes payload; /* leaf */
    PageId child;       /* inner node */
    uint32_t bytes;     /* of the cell */
} NodeCell;

/* False when the page is no node whose header makes sense (dead ones are none). */
MUST_CHECK bool node_load(const uint8_t *page, Node *out);
/* False when slot or cell lies outside. */
MUST_CHECK bool node_cell(const Node *n, uint32_t slot, NodeCell *out);
/* First slot from `first` on whose entry is >= key; count if none. False when the node is damaged. */
MUST_CHECK bool node_find(const Node *n, uint32_t first, NodeKey key, uint32_t *out_slot, bool *out_exact);
/* Sign of entry minus key; both have the node's prefix. False when the entry lies outside. */
MUST_CHECK bool node_cmp_entry(const Node *n, uint32_t slot, NodeKey key, int *out);
/*
 * The child whose range holds key; with `before` the child that holds the greatest keys < key.
 */
MUST_CHECK bool node_find_child(const Node *n, NodeKey key, bool before, uint32_t *out_slot, PageId *out_child);

static inline BTreeBytes node_prefix(const Node *n)
{
    return (BTreeBytes){n->page + PAGE_BODY_END - n->h.low_len, n->h.prefix_len};
}
static inline NodeKey node_low(const Node *n)
{
    return (NodeKey){n->page + PAGE_BODY_END - n->h.low_len, n->h.low_len, n->h.low_tid};
}
static inline bool node_high_inf(const Node *n)
{
    return (n->h.flags & NODE_HIGH_INF) != 0;
}
/* Not to be used when node_high_inf. */
static inline NodeKey node_high(const Node *n)
{
    return (NodeKey){n->page + n->cells_end, n->h.high_len, n->h.high_tid};
}
/* Is low <= key < high (with `before`: low < key <= high)? */
bool node_covers(const Node *n, NodeKey key, bool before);
/* Bytes that slots and cells may still take, counting dead ones. */
static inline uint32_t node_room(const Node *n)
{
    return n->h.heap_at - (NODE_SLOTS_AT + (uint32_t)n->h.count * NODE_SLOT_BYTES) + n->h.dead_bytes;
}
/* Bytes of slots and live cells. */
static inline uint32_t node_used(const Node *n)
{
    return n->cells_end - NODE_SLOTS_AT - node_room(n);
}
/* Prefix and suffix together. */
void node_full_key(const Node *n, const NodeCell *c, KeyBuf *out);
/* Everything about the page: NULL, or what is wrong with it (a static string). */
const char *node_problem(const uint8_t *page);

/* ---- writing: only on private copies and inside redo functions ---- */

typedef struct NodeSpec {
    uint64_t left, right, object_header;
    uint8_t level;
    NodeKey low;
    NodeKey high;
    bool high_inf;
} NodeSpec;

/* An entry to be put into a node: its key after the node's prefix is a followed by b. */
typedef struct NodeEntry {
    BTreeBytes a, b;
    uint64_t tid;
    BTreeBytes payload;
    PageId child;
} NodeEntry;

/*
 * Writes the body of an empty node (an inner one gets its first child by node_insert). Fences must not lie in the
 * page.
 */
void node_format(uint8_t *page, const NodeSpec *spec);
NodeSpec node_spec(const Node *n);
/* Bytes of slot and cell. */
uint32_t node_entry_bytes(uint8_t level, const NodeEntry *e);
/* False when there is no room, nothing changed then. The caller vouches for the order. */
MUST_CHECK bool node_insert(uint8_t *page, uint32_t slot, const NodeEntry *e);
MUST_CHECK bool node_remove(uint8_t *page, uint32_t slot);
/*
 * Appends entries [from, to) of src (another page) to dst, whose prefix may be another. With `first_key` entry `from`
 * gets that key (whole) instead of its own. False when there is no room or src is damaged.
 */
MUST_CHECK bool node_append_range(uint8_t *dst, const Node *src, uint32_t from, uint32_t to, const NodeKey *first_key);

/*
 * Builds into page's body what left and its right neighbour make together. False when it does not fit or one is
 * damaged.
 */
MUST_CHECK bool node_merge(const Node *left, const Node *right, uint8_t *page);

/* ---- splitting ---- */

typedef struct NodeSplit {
    uint32_t keep; /* entries that stay left */
    KeyBuf separator;
} NodeSplit;

/*
 * Where to split so that both halves fit; `key` and `bytes` (slot and cell) are what is to be inserted afterwards: in a
 * leaf it is counted, in an inner node only its place matters. Prefers short separators near the middle; at the right
 * edge of the tree fills the left node. False when the node is damaged or has nothing to split.
 */
MUST_CHECK bool node_choose_split(const Node *n, NodeKey key, uint32_t bytes, NodeSplit *out);

/* ---- images: a node as bytes of a log record ---- */

enum { NODE_IMAGE_MAX = PAGE_BODY_BYTES };
/* Header, slots, cells and fences without the gap. Returns its length. */
uint32_t node_pack(const uint8_t *page, uint8_t out[NODE_IMAGE_MAX]);
/* Writes the body; false (page unchanged) unless the result is a sound node. */
MUST_CHECK bool node_unpack(const uint8_t *data, uint32_t len, uint8_t *page);

#endif
