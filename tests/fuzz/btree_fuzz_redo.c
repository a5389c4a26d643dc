/*
 * tests/fuzz/btree_fuzz_redo.c: the redo functions of B+trees on arbitrary bytes.
 *
 * The input is a series of records: kind (1 byte), length (2 bytes), data. They are applied to one page one after the
 * other, beginning with an empty leaf, as recovery would. With the top bit of the kind set the data is only slot (1
 * byte) and key, and the record is made from them as the tree makes it: so that inputs get past the first checks. A
 * record that is refused must leave the page as it was; one that is accepted must leave a sound node (or a dead one).
 *
 * Canary: built with -DFUZZ_CANARY it aborts as soon as a leaf entry with the key "bug" is accepted; a fuzzer that does
 * not find that within a minute or so is not looking.
 */
#include <stdlib.h>
#include <string.h>

#include "access/btree_redo.h"

static void start_page(uint8_t *page)
{
    page_init(page, (PageId){5}, (ObjId){2}, 1, PAGE_INDEX, NODE_FORMAT);
    node_format(
        page,
        &(NodeSpec){.object_header = 3, .low = {(const uint8_t *)"a", 1, 0}, .high = {(const uint8_t *)"x", 1, 0}});
}

static void apply(const StoreRegistry *registry, uint8_t *page, uint8_t kind, const uint8_t *data, uint32_t len)
{
    static uint8_t before[PAGE_BYTES];
    Error err;
    err_clear(&err);
    WalPage ref = {.id = {5}, .redo = kind, .data = data, .len = len};
    memcpy(before, page, PAGE_BYTES);
    Status st = registry->redo[kind](&ref, page, &err);
    if (st != ST_OK) {
        ASSERT(st == ST_CORRUPTED && memcmp(before, page, PAGE_BYTES) == 0);
        return;
    }
    ASSERT(kind == REDO_NODE_DEAD || node_problem(page) == NULL);
#ifdef FUZZ_CANARY
    ASSERT(kind != REDO_LEAF_INSERT || load_u16(data + 2) != 3 || memcmp(data + LEAF_DATA_BYTES, "bug", 3) != 0);
#endif
}

/* Its own block, so that the sanitizer sees reads past its end. */
static void apply_exact(const StoreRegistry *registry, uint8_t *page, uint8_t kind, const uint8_t *data, uint32_t len)
{
    uint8_t *exact = malloc(len + 1u);
    memcpy(exact, data, len);
    apply(registry, page, kind, exact, len);
    free(exact);
}

static uint32_t make_record(uint8_t kind, const uint8_t *input, uint32_t len, const uint8_t *page, uint8_t *out)
{
    uint32_t slot = len > 0 ? input[0] : 0;
    uint32_t key_len = len > 17 ? 16 : len > 0 ? len - 1 : 0;
    NodeKey key = {input + 1, key_len, 1 + slot % 3};
    switch (kind) {
    case REDO_LEAF_INSERT:
    case REDO_LEAF_DELETE: return data_leaf(out, slot, key, (BTreeBytes){0});
    case REDO_INNER_INSERT: return data_inner(out, slot, key, (PageId){9});
    case REDO_NODE_CUT: return data_cut(out, slot, key, (PageId){9});
    case REDO_INNER_DELETE: return data_inner_delete(out, slot, (PageId){9});
    case REDO_NODE_INIT: return data_init(out, (ObjId){2}, slot, page);
    case REDO_NODE_LEFT:
    case REDO_NODE_RIGHT: return data_link(out, (PageId){slot});
    case REDO_NODE_DEAD: return 0;
    default: return node_pack(page, out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t page[PAGE_BYTES];
    StoreRegistry registry = {0};
    btree_register(&registry);
    start_page(page);
    while (size >= 3) {
        static uint8_t made[INIT_DATA_MAX];
        bool make = (input[0] & 0x80) != 0;
        uint8_t kind = (uint8_t)(REDO_NODE_INIT + (input[0] & 0x7f) % (REDO_NODE_DEAD - REDO_NODE_INIT + 1));
        uint32_t len = load_u16(input + 1);
        input += 3;
        size -= 3;
        len = len < size ? len : (uint32_t)size;
        if (make) {
            len = len < 17 ? len : 17;
            apply_exact(&registry, page, kind, made, make_record(kind, input, len, page, made));
        } else {
            apply_exact(&registry, page, kind, input, len);
        }
        input += len;
        size -= len;
        if (kind == REDO_NODE_DEAD) {
            start_page(page);
        }
    }
    return 0;
}
