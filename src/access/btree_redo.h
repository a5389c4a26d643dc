/*
 * access/btree_redo.h: the log records of B+trees: how page data and bodies are laid out, and their encoders.
 *
 * Page data, by redo kind (all numbers little-endian; a page id takes 8 bytes):
 *
 *   NODE_INIT     new page:   0 8 object, 8 4 ordinal, 12 4 zero, 16 image (node_pack)
 *   NODE_REPLACE  any node:   0 image
 *   LEAF_INSERT   leaf:       0 2 slot, 2 2 key length, 4 2 payload length, 6 2 zero, 8 8 TID, 16 key, payload
 *   LEAF_DELETE   leaf:       the same, payload length 0
 *   INNER_INSERT  inner node: 0 2 slot, 2 2 key length, 4 4 zero, 8 8 child, 16 8 TID, 24 key
 *   INNER_DELETE  inner node: 0 2 slot, 2 6 zero, 8 8 child
 *   NODE_CUT      left of split: 0 2 entries kept, 2 2 key length, 4 4 zero, 8 8 right sibling, 16 8 TID, 24 key
 *                             (the key is the new high fence)
 *   NODE_ABSORB   left of merge: 0 image of the right node
 *   NODE_LEFT     leaf:       0 8 left sibling
 *   NODE_RIGHT    leaf:       0 8 right sibling
 *   NODE_DEAD     given back: nothing
 *
 * Bodies: 0 8 root page id; a delete: 8 8 LSN of the record it undoes, 16 8 newest commit timestamp it removes. The
 * record's flags say which of the two counts. Key, TID and payload of an entry are in the data of the record's page 0.
 *
 * A redo function checks that the data fits the page (order and fences included) before it changes anything, and is
 * ASSERT_SLOW-checked to leave a sound node.
 */
#ifndef RDB_ACCESS_BTREE_REDO_H
#define RDB_ACCESS_BTREE_REDO_H

#include "access/btree_node.h"

enum {
    REDO_NODE_INIT = 32,
    REDO_NODE_REPLACE = 33,
    REDO_LEAF_INSERT = 34,
    REDO_LEAF_DELETE = 35,
    REDO_INNER_INSERT = 36,
    REDO_INNER_DELETE = 37,
    REDO_NODE_CUT = 38,
    REDO_NODE_ABSORB = 39,
    REDO_NODE_LEFT = 40,
    REDO_NODE_RIGHT = 41,
    REDO_NODE_DEAD = 42,
};

enum { BTREE_FLAG_UNDO = 1, BTREE_FLAG_PURGE = 2 };

enum {
    INIT_DATA_BYTES = 16, /* without the image */
    LEAF_DATA_BYTES = 16, /* without key and payload */
    INNER_DATA_BYTES = 24,
    CUT_DATA_BYTES = 24,
    INNER_DELETE_DATA_BYTES = 16,
    LINK_DATA_BYTES = 8,
    LEAF_DATA_MAX = LEAF_DATA_BYTES + BTREE_ENTRY_MAX,
    INNER_DATA_MAX = INNER_DATA_BYTES + BTREE_ENTRY_MAX,
    INIT_DATA_MAX = INIT_DATA_BYTES + NODE_IMAGE_MAX,
    INSERT_BODY_BYTES = 8,
    DELETE_BODY_BYTES = 24,
};
STATIC_ASSERT((int)INNER_DATA_BYTES == (int)CUT_DATA_BYTES, "they share a layout");

/* Encoders; each returns the bytes written. */
uint32_t data_init(uint8_t out[INIT_DATA_MAX], ObjId object, uint32_t ordinal, const uint8_t *node_page);
uint32_t data_leaf(uint8_t out[LEAF_DATA_MAX], uint32_t slot, NodeKey key, BTreeBytes payload);
uint32_t data_inner(uint8_t out[INNER_DATA_MAX], uint32_t slot, NodeKey separator, PageId child);
uint32_t data_inner_delete(uint8_t out[INNER_DELETE_DATA_BYTES], uint32_t slot, PageId child);
uint32_t data_cut(uint8_t out[INNER_DATA_MAX], uint32_t keep, NodeKey high, PageId right);
uint32_t data_link(uint8_t out[LINK_DATA_BYTES], PageId to);

#endif
