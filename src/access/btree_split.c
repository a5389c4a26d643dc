/*
 * access/btree_split.c: where to split a node.
 *
 * Key idea: walk the boundaries between the entries as they will be, with the new one among them, and take among
 * those near the middle the one with the shortest separator: that is what the levels above have to hold (Bayer and
 * Unterauer, "Prefix B-trees", 1977). btree_node.h proves that there is a boundary at which both halves fit.
 */
#include "access/btree_node.h"

/* Where to cut, as a walk over the entries with the new one among them (leaf) or without (inner node). */
typedef struct Cut {
    uint32_t at;       /* boundary: so many items stay left */
    uint32_t distance; /* of the left bytes from the target */
    uint32_t separator_len;
    bool near;
} Cut;

static bool cut_better(const Cut *a, const Cut *b)
{
    if (a->near != b->near) {
        return a->near;
    }
    if (a->near && a->separator_len != b->separator_len) {
        return a->separator_len < b->separator_len;
    }
    return a->distance < b->distance;
}

typedef struct Walk {
    const Node *n;
    NodeKey key;    /* of the new entry, after the node's prefix */
    uint32_t bytes; /* of the new entry */
    uint32_t place; /* of the new entry */
    uint32_t items;
    uint32_t total; /* bytes of all items */
    bool leaf;
} Walk;

/* Key (after the prefix) and bytes of item i. */
static bool walk_item(const Walk *w, uint32_t i, NodeKey *out_key, uint32_t *out_bytes)
{
    NodeCell c;
    if (w->leaf && i == w->place) {
        *out_key = w->key;
        *out_bytes = w->bytes;
        return true;
    }
    if (!node_cell(w->n, w->leaf && i > w->place ? i - 1 : i, &c)) {
        return false;
    }
    *out_key = (NodeKey){c.suffix.p, c.suffix.len, c.tid};
    *out_bytes = c.bytes + NODE_SLOT_BYTES;
    return true;
}

/* The shortest key that separates left from right (left < separator <= right); bytes point into right. */
static NodeKey separator_between(const Walk *w, NodeKey left, NodeKey right)
{
    if (!w->leaf) {
        return right; /* it moves up whole: it stands for the edge of the child below it */
    }
    uint32_t same = node_common_prefix(left.p, left.len, right.p, right.len);
    return same == right.len ? right : (NodeKey){right.p, same + 1, 0};
}

/* Do both halves fit? Counted with the old prefix: the new ones are at least as long. */
static bool cut_fits(const Walk *w, uint32_t left_bytes, uint32_t separator_len)
{
    uint32_t separator = w->n->h.prefix_len + separator_len;
    return left_bytes + w->n->h.low_len + separator <= NODE_SPACE &&
           w->total - left_bytes + w->n->h.high_len + separator <= NODE_SPACE;
}

static bool walk_start(const Node *n, NodeKey key, uint32_t bytes, Walk *w)
{
    bool exact;
    bool leaf = n->h.level == 0;
    *w = (Walk){.n = n, .bytes = bytes, .leaf = leaf, .items = n->h.count + (leaf ? 1u : 0u)};
    if (!node_find(n, leaf ? 0 : 1, key, &w->place, &exact)) {
        return false;
    }
    w->key = (NodeKey){key.p + n->h.prefix_len, key.len - n->h.prefix_len, key.tid};
    w->total = node_used(n) + (leaf ? bytes : 0);
    return w->items >= 2;
}

static bool walk_cuts(const Walk *w, Cut *out)
{
    /* Ascending inserts at the right edge of the tree leave full pages behind instead of halves. */
    bool append = node_high_inf(w->n) && w->place == w->n->h.count;
    uint32_t target = append ? w->total : w->total / 2;
    uint32_t window = append ? 0 : w->total / 8;
    Cut best = {.distance = UINT32_MAX};
    NodeKey left;
    uint32_t bytes;
    uint32_t left_bytes = 0;
    if (!walk_item(w, 0, &left, &bytes)) {
        return false;
    }
    for (uint32_t at = 1; at < w->items; at++) {
        NodeKey right;
        left_bytes += bytes;
        if (!walk_item(w, at, &right, &bytes)) {
            return false;
        }
        Cut c = {.at = at, .separator_len = separator_between(w, left, right).len};
        c.distance = left_bytes > target ? left_bytes - target : target - left_bytes;
        c.near = c.distance <= window;
        if (cut_fits(w, left_bytes, c.separator_len) && (best.at == 0 || cut_better(&c, &best))) {
            best = c;
        }
        left = right;
    }
    *out = best;
    return best.at > 0;
}

bool node_choose_split(const Node *n, NodeKey key, uint32_t bytes, NodeSplit *out)
{
    Walk w;
    Cut cut;
    NodeKey left, right;
    uint32_t unused;
    if (!walk_start(n, key, bytes, &w) || !walk_cuts(&w, &cut) || !walk_item(&w, cut.at - 1, &left, &unused) ||
        !walk_item(&w, cut.at, &right, &unused)) {
        return false;
    }
    NodeKey separator = separator_between(&w, left, right);
    NodeCell as_cell = {.suffix = {separator.p, separator.len}, .tid = separator.tid};
    out->keep = w.leaf && cut.at > w.place ? cut.at - 1 : cut.at;
    if (n->h.prefix_len + separator.len > sizeof out->separator.bytes) {
        return false;
    }
    node_full_key(n, &as_cell, &out->separator);
    return true;
}
