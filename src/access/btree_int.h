/*
 * access/btree_int.h: what the files of the B+tree share. README.md has the invariants (B1..) and the latch order.
 */
#ifndef RDB_ACCESS_BTREE_INT_H
#define RDB_ACCESS_BTREE_INT_H

#include <stdatomic.h>

#include "access/btree_node.h"
#include "access/btree_redo.h"

/* Immutable after opening, but for the switch. */
struct BTree {
    Store *store;
    StoreObject *object;
    BTreeRef ref;
    _Atomic bool cross_check;
};

enum {
    BTREE_OPT_ATTEMPTS = 3,
    /* Space pages that taking or giving a page adds to a record, and their data. */
    BTREE_SPACE_PAGES = 4,
    BTREE_SPACE_DATA = BTREE_SPACE_PAGES * 64,
};

/* A latched node of the tree. */
typedef struct LatchedNode {
    BufFrame *frame;
    Node node;
} LatchedNode;

static inline PageId latched_id(const LatchedNode *l)
{
    return buf_page_id(l->frame);
}
static inline void latched_done(LatchedNode *l)
{
    if (l->frame != NULL) {
        buf_unfix(l->frame);
        l->frame = NULL;
    }
}

Status btree_too_long(Ctx *cx, BTreeBytes key, BTreeBytes payload); /* 54000 */
Status btree_damaged(Ctx *cx, const BTree *t, PageId page, const char *what);

/* Latches a page that is known to be a node of the tree at that level. */
STATUS btree_latch(Ctx *cx, BTree *t, PageId page, unsigned level, LatchMode mode, LatchedNode *out);

/*
 * Latches the node at `level` whose range holds key (`before`: that holds the greatest keys < key), coupling shared
 * latches from the root down. ST_NOT_FOUND, without an error, when the tree is not that high.
 */
STATUS btree_descend(Ctx *cx, BTree *t, NodeKey key, bool before, unsigned level, LatchMode mode, LatchedNode *out);

/*
 * The same without latches: *out is to be believed once buf_opt_valid(out_opt). Ends at the root when the tree is not
 * that high (out->h.level tells). False: try again or use btree_descend.
 */
MUST_CHECK bool btree_opt_descend(BTree *t, NodeKey key, bool before, unsigned level, BufOpt *out_opt, Node *out);

/* Latches the leaf that covers key exclusively; optimistic on the way down. */
STATUS btree_latch_leaf(Ctx *cx, BTree *t, NodeKey key, LatchedNode *out);

/* btree_shape.c. No latch may be held. */

/* Splits what must be split for an entry to fit its leaf; others may have filled it again when this returns. */
STATUS btree_make_room(Ctx *cx, BTree *t, NodeKey key, uint32_t payload_len);
/* Merges the leaf that covers key with a neighbour if it has become small, and what is above it. Never fails: what
 * cannot be merged stays. */
void btree_tidy(Ctx *cx, BTree *t, NodeKey key);
/* Fewer bytes used than this: a node to be merged. */
enum { NODE_SMALL = NODE_SPACE / 3 };

#endif
