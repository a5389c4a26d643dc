/*
 * One node of a B+tree without a store: search, insert and remove against an array; every node that overflows can be
 * split into two that fit; redo functions answer any bytes with ST_CORRUPTED or a sound node, and change nothing when
 * they refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/btree_redo.h"
#include "btree_model.h"

static StoreRegistry registry;

static Status redo(uint8_t kind, uint8_t *page, const uint8_t *data, uint32_t len)
{
    Error err;
    err_clear(&err);
    WalPage ref = {.id = {5}, .redo = kind, .data = data, .len = len};
    Status st = registry.redo[kind](&ref, page, &err);
    assert_true(st == ST_OK || (st == ST_CORRUPTED && err.status == ST_CORRUPTED));
    return st;
}

static void new_node(uint8_t *page, uint8_t level, NodeKey low, const NodeKey *high)
{
    NodeSpec s = {.object_header = 3, .level = level, .low = low, .high_inf = high == NULL};
    page_init(page, (PageId){5}, (ObjId){2}, 1, PAGE_INDEX, NODE_FORMAT);
    if (high != NULL) {
        s.high = *high;
    }
    node_format(page, &s);
    if (level > 0) {
        assert_true(node_insert(page, 0, &(NodeEntry){.child = {1}}));
    }
}

static Node load(const uint8_t *page)
{
    Node n;
    assert_true(node_load(page, &n));
    assert_null(node_problem(page));
    return n;
}

/* Through the redo function, as the tree does it. False: no room. */
static bool add(uint8_t *page, NodeKey key, BTreeBytes payload)
{
    static uint8_t data[INNER_DATA_MAX];
    Node n = load(page);
    uint32_t slot, len;
    bool exact;
    assert_true(node_find(&n, n.h.level > 0 ? 1 : 0, key, &slot, &exact));
    if (exact) {
        return true;
    }
    NodeEntry e = {.b = {NULL, key.len - n.h.prefix_len}, .tid = key.tid, .payload = payload};
    if (node_room(&n) < node_entry_bytes(n.h.level, &e)) {
        return false;
    }
    if (n.h.level == 0) {
        len = data_leaf(data, slot, key, payload);
        assert_int_equal(redo(REDO_LEAF_INSERT, page, data, len), ST_OK);
    } else {
        len = data_inner(data, slot, key, (PageId){key.len + 1});
        assert_int_equal(redo(REDO_INNER_INSERT, page, data, len), ST_OK);
    }
    return true;
}

/* ---- search ---- */

static void heads_order_as_keys_do(void **state)
{
    (void)state;
    uint8_t page[PAGE_BYTES];
    static const char *const keys[] = {
        "", "a", "aa", "aaa", "aaaa", "aaaaa", "aaab", "ab", "b", "\xff\xff\xff\xff", "\xff\xff\xff\xff\xff"};
    new_node(page, 0, (NodeKey){0}, NULL);
    for (size_t i = ARRAY_LEN(keys); i-- > 0;) {
        assert_true(add(page, (NodeKey){(const uint8_t *)keys[i], (uint32_t)strlen(keys[i]), 4}, (BTreeBytes){0}));
    }
    assert_true(add(page, (NodeKey){(const uint8_t *)"a\0", 2, 4}, (BTreeBytes){0}));
    Node n = load(page);
    for (uint32_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint32_t slot;
        bool exact;
        NodeKey k = {(const uint8_t *)keys[i], (uint32_t)strlen(keys[i]), 4};
        assert_true(node_find(&n, 0, k, &slot, &exact));
        assert_true(exact);
        assert_int_equal(slot, i < 2 ? i : i + 1); /* "a\0" stands behind "a" */
        k.tid = 5;
        assert_true(node_find(&n, 0, k, &slot, &exact));
        assert_false(exact);
        assert_int_equal(slot, i < 1 ? 1 : i < 2 ? 2 : i + 2);
    }
}

static void entries_with_one_key_order_by_tid(void **state)
{
    (void)state;
    uint8_t page[PAGE_BYTES];
    uint8_t key[16];
    memset(key, 7, sizeof key);
    NodeKey high = {key, sizeof key, 1000000};
    new_node(page, 0, (NodeKey){key, sizeof key, 0}, &high);
    Node n = load(page);
    assert_int_equal(n.h.prefix_len, 16); /* nothing of the key is stored with an entry */
    uint64_t i = 0;
    while (add(page, (NodeKey){key, sizeof key, 1 + (i * 7919) % 999983}, (BTreeBytes){0})) {
        i++;
    }
    assert_true(i > 1000);
    n = load(page);
    assert_int_equal(n.h.count, i);
}

static void a_node_covers_from_its_low_fence_to_before_its_high_fence(void **state)
{
    (void)state;
    uint8_t page[PAGE_BYTES];
    NodeKey low = {(const uint8_t *)"ab", 2, 0}, high = {(const uint8_t *)"ac", 2, 5};
    new_node(page, 0, low, &high);
    Node n = load(page);
    assert_int_equal(n.h.prefix_len, 1);
    assert_true(node_covers(&n, low, false));
    assert_false(node_covers(&n, low, true)); /* what is before it lies in the node on the left */
    assert_false(node_covers(&n, high, false));
    assert_true(node_covers(&n, high, true));
    assert_true(node_covers(&n, (NodeKey){high.p, 2, 4}, false));
    assert_false(node_covers(&n, (NodeKey){high.p, 2, 6}, true));
    assert_false(node_covers(&n, (NodeKey){(const uint8_t *)"a", 1, 9}, false));
    new_node(page, 0, low, NULL);
    n = load(page);
    assert_int_equal(n.h.prefix_len, 0);
    assert_true(node_covers(&n, (NodeKey){(const uint8_t *)"\xff\xff\xff", 3, UINT64_MAX}, false));
}

/* ---- split ---- */

typedef struct Half {
    uint8_t page[PAGE_BYTES];
} Half;

/* Cuts as the tree does; both halves are sound, and hold what was there. */
static void cut(const uint8_t *page, const NodeSplit *s, Half *left, Half *right)
{
    static uint8_t data[INNER_DATA_MAX];
    Node n = load(page);
    NodeSpec spec = node_spec(&n);
    uint32_t len = data_cut(data, s->keep, keybuf_key(&s->separator), n.h.level == 0 ? (PageId){9} : PAGE_NONE);
    memcpy(left->page, page, PAGE_BYTES);
    assert_int_equal(redo(REDO_NODE_CUT, left->page, data, len), ST_OK);
    spec.low = keybuf_key(&s->separator);
    memcpy(right->page, page, PAGE_HEADER_BYTES);
    node_format(right->page, &spec);
    assert_true(node_append_range(right->page, &n, s->keep, n.h.count, NULL));
    Node l = load(left->page), r = load(right->page);
    assert_int_equal(l.h.count + r.h.count, n.h.count);
    assert_int_equal(node_key_cmp(node_high(&l), node_low(&r)), 0);
}

/* Long keys of few groups, of all lengths: the fences and entries that leave least room. */
static uint32_t awkward_key(Rng *r, uint8_t *key)
{
    uint32_t len = rng_below(r, 3) == 0 ? (uint32_t)rng_below(r, 40) + 2 : BTREE_ENTRY_MAX - (uint32_t)rng_below(r, 60);
    memset(key, (int)(1 + rng_below(r, 4)), len);
    store_be16(key + len - 2, (uint16_t)rng_below(r, 5000));
    return len;
}

static void every_full_node_can_be_split(void **state)
{
    (void)state;
    static uint8_t page[PAGE_BYTES], low[BTREE_ENTRY_MAX], high[BTREE_ENTRY_MAX], key[BTREE_ENTRY_MAX];
    static Half left, right;
    static NodeSplit split;
    Rng r;
    rng_seed(&r, 42);
    for (int round = 0; round < 3000; round++) {
        uint8_t level = (uint8_t)rng_below(&r, 2);
        NodeKey lo = {low, awkward_key(&r, low), rng_below(&r, 2)};
        NodeKey hi = {high, awkward_key(&r, high), 1 + rng_below(&r, 9)};
        if (node_key_cmp(lo, hi) >= 0) {
            continue;
        }
        new_node(page, level, lo, rng_below(&r, 8) == 0 ? NULL : &hi);
        for (int i = 0; i < 400; i++) {
            Node n = load(page);
            NodeKey k = {key, awkward_key(&r, key), 1 + rng_below(&r, 3)};
            if (!node_covers(&n, k, false) || node_key_cmp(k, lo) == 0 || add(page, k, (BTreeBytes){0})) {
                continue;
            }
            NodeEntry e = {.b = {NULL, k.len - n.h.prefix_len}, .tid = k.tid};
            uint32_t bytes = node_entry_bytes(level, &e);
            if (level > 0 && n.h.count < 2) {
                fail_msg("an inner node of one child has no room");
            }
            assert_true(node_choose_split(&n, k, bytes, &split));
            cut(page, &split, &left, &right);
            Half *to = node_key_cmp(k, keybuf_key(&split.separator)) < 0 ? &left : &right;
            if (level == 0) {
                assert_true(add(to->page, k, (BTreeBytes){0}));
            }
            /* Together again they are what they were. */
            static uint8_t image[NODE_IMAGE_MAX];
            static Half l2, r2;
            cut(page, &split, &l2, &r2);
            uint32_t len = node_pack(r2.page, image);
            assert_int_equal(redo(REDO_NODE_ABSORB, l2.page, image, len), ST_OK);
            Node whole = load(l2.page);
            assert_int_equal(whole.h.count, n.h.count);
            break;
        }
    }
}

/* ---- garbage ---- */

static void fill_random_node(Rng *r, uint8_t *page)
{
    static uint8_t key[64];
    uint8_t level = (uint8_t)rng_below(r, 2);
    NodeKey hi = {(const uint8_t *)"mzz", 3, 0};
    new_node(page, level, (NodeKey){(const uint8_t *)"ma", 2, 0}, rng_below(r, 4) == 0 ? NULL : &hi);
    for (uint64_t i = rng_below(r, 60); i > 0; i--) {
        uint32_t len = 2 + (uint32_t)rng_below(r, 60);
        for (uint32_t k = 0; k < len; k++) {
            key[k] = (uint8_t)('a' + rng_below(r, 26));
        }
        key[0] = 'm';
        key[1] = 'b';
        if (!add(page, (NodeKey){key, len, 1 + rng_below(r, 100)}, (BTreeBytes){0})) {
            break;
        }
    }
}

static uint32_t sensible_data(Rng *r, uint8_t kind, const uint8_t *page, uint8_t *data)
{
    static const uint8_t key[] = "mcabcdefghij";
    NodeKey k = {key, 2 + (uint32_t)rng_below(r, 10), 1 + rng_below(r, 100)};
    uint32_t number = (uint32_t)rng_below(r, 70);
    switch (kind) {
    case REDO_NODE_INIT: return data_init(data, (ObjId){2}, 1, page);
    case REDO_NODE_REPLACE:
    case REDO_NODE_ABSORB: return node_pack(page, data);
    case REDO_LEAF_INSERT:
    case REDO_LEAF_DELETE: return data_leaf(data, number, k, (BTreeBytes){0});
    case REDO_INNER_INSERT: return data_inner(data, number, k, (PageId){3});
    case REDO_INNER_DELETE: return data_inner_delete(data, number, (PageId){3});
    case REDO_NODE_CUT: return data_cut(data, number, k, (PageId){3});
    case REDO_NODE_DEAD: return 0;
    default: return data_link(data, (PageId){3});
    }
}

static void damage(Rng *r, uint8_t *p, uint32_t len)
{
    for (uint64_t i = rng_below(r, 4); i > 0 && len > 0; i--) {
        /* Headers and slots are where it matters most. */
        uint32_t at = (uint32_t)rng_below(r, rng_below(r, 2) == 0 ? len : len < 200 ? len : 200);
        p[at] = (uint8_t)rng_next(r);
    }
}

static void redo_survives_garbage(void **state)
{
    (void)state;
    static uint8_t page[PAGE_BYTES], other[PAGE_BYTES], before[PAGE_BYTES], data[INIT_DATA_MAX];
    Rng r;
    uint64_t accepted = 0, refused = 0;
    rng_seed(&r, 7);
    for (int i = 0; i < 60000; i++) {
        uint8_t kind = (uint8_t)(REDO_NODE_INIT + rng_below(&r, REDO_NODE_DEAD - REDO_NODE_INIT + 1));
        fill_random_node(&r, page);
        fill_random_node(&r, other);
        uint32_t len = sensible_data(&r, kind, other, data);
        damage(&r, data, len);
        if (rng_below(&r, 10) == 0 && len > 0) {
            len -= (uint32_t)rng_below(&r, len);
        }
        /* To redo's bounds check a shorter buffer must look shorter: the sanitizer sees the difference. */
        uint8_t *exact = malloc(len + 1);
        memcpy(exact, data, len);
        memcpy(before, page, PAGE_BYTES);
        Status st = redo(kind, page, exact, len);
        free(exact);
        if (st == ST_OK) {
            accepted++;
            assert_true(kind == REDO_NODE_DEAD || node_problem(page) == NULL);
        } else {
            refused++;
            assert_memory_equal(page, before, PAGE_BYTES);
        }
    }
    assert_true(accepted > 1000 && refused > 1000);
}

/* On a page that is damaged itself only memory safety is promised. */
static void damaged_pages_do_no_harm(void **state)
{
    (void)state;
    static uint8_t data[INIT_DATA_MAX], other[PAGE_BYTES];
    static NodeSplit split;
    Rng r;
    rng_seed(&r, 8);
    for (int i = 0; i < 60000; i++) {
        uint8_t *page = malloc(PAGE_BYTES);
        uint8_t kind = (uint8_t)(REDO_NODE_INIT + rng_below(&r, REDO_NODE_DEAD - REDO_NODE_INIT + 1));
        fill_random_node(&r, page);
        fill_random_node(&r, other);
        damage(&r, page + PAGE_HEADER_BYTES, PAGE_BODY_BYTES);
        Node n;
        (void)node_problem(page);
        if (node_load(page, &n)) {
            uint32_t slot;
            PageId child;
            NodeKey k = {(const uint8_t *)"mcabc", 5, 3};
            (void)!node_find_child(&n, k, rng_below(&r, 2) == 0, &slot, &child);
            if (k.len >= n.h.prefix_len) {
                (void)!node_choose_split(&n, k, 40, &split);
            }
        }
#ifndef RDB_SLOW_CHECKS
        uint32_t len = sensible_data(&r, kind, other, data);
        (void)redo(kind, page, data, len);
#else
        (void)kind, (void)data; /* slow checks assert that the page was sound */
#endif
        free(page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_order_as_keys_do),
        cmocka_unit_test(entries_with_one_key_order_by_tid),
        cmocka_unit_test(a_node_covers_from_its_low_fence_to_before_its_high_fence),
        cmocka_unit_test(every_full_node_can_be_split),
        cmocka_unit_test(redo_survives_garbage),
        cmocka_unit_test(damaged_pages_do_no_harm),
    };
    btree_register(&registry);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
