/*
 * B+trees against a sorted array: whatever is inserted, deleted, looked up and scanned, in whatever order, with keys of
 * all awkward kinds, tree and array answer alike, the verifier is content, and recovery finds the same tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/btree_node.h"
#include "btree_model.h"

static uint64_t test_seed(void)
{
    const char *s = getenv("SEED");
    return s != NULL ? strtoull(s, NULL, 0) : 1;
}

static TestEntry scratch_entry(void)
{
    static uint8_t key[BTREE_ENTRY_MAX];
    return (TestEntry){.key = key};
}

/* ---- the basics, as a story ---- */

static void a_new_tree_is_empty(void **state)
{
    (void)state;
    BtFix f;
    BTreeStats stats;
    bt_open(&f, 256);
    Model m = {0};
    bt_expect_equal(&f.cx, f.tree, &m);
    BTreeCheck c = bt_verify(&f.cx, f.tree, true);
    assert_int_equal(c.entries, 0);
    assert_int_equal(c.leaf_pages, 1);
    OK(&f.cx, btree_stats(&f.cx, f.tree, &stats));
    assert_int_equal(stats.height, 1);
    bt_close(&f);
}

static void inserting_twice_is_already_so(void **state)
{
    (void)state;
    BtFix f;
    bt_open(&f, 256);
    TestEntry e = {.key = (uint8_t *)"key", .key_len = 3, .tid = {9}};
    assert_true(bt_insert(&f.cx, f.tree, &e));
    assert_false(bt_insert(&f.cx, f.tree, &e));
    assert_true(bt_delete(&f.cx, f.tree, &e, BTREE_UNDO));
    assert_false(bt_delete(&f.cx, f.tree, &e, BTREE_UNDO));
    bt_close(&f);
}

static void a_key_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    BtFix f;
    BTreeWrite w;
    uint8_t key[BTREE_ENTRY_MAX + 1] = {0};
    bt_open(&f, 256);
    Status st =
        btree_insert(&f.cx, f.tree, (TxnId){7}, (BTreeBytes){key, sizeof key}, (Tid){1}, (BTreeBytes){0}, NULL, &w);
    assert_int_equal(st, ST_PROGRAM_LIMIT_EXCEEDED);
    assert_string_equal(f.err.message, "index row size 4033 exceeds the maximum of 4032 bytes");
    err_clear(&f.err);
    st = btree_insert(&f.cx, f.tree, (TxnId){7}, (BTreeBytes){key, BTREE_ENTRY_MAX - 3}, (Tid){1}, (BTreeBytes){key, 4},
                      NULL, &w);
    assert_int_equal(st, ST_PROGRAM_LIMIT_EXCEEDED);
    err_clear(&f.err);
    bt_close(&f);
}

/* ---- random operations ---- */

typedef struct Plan {
    KeyKind kind;
    uint32_t space;
    uint32_t steps;
    uint32_t insert_percent; /* in the first two thirds; 100 minus that in the last */
    bool payload;
} Plan;

static void random_bound(Rng *r, const TestEntry *e, BTreeBound *out)
{
    out->edge = (BTreeEdge)rng_below(r, 3);
    out->prefix = rng_below(r, 2) == 0;
    out->key = bt_key(e);
    if (out->prefix && out->key.len > 0) {
        out->key.len = (uint32_t)rng_below(r, out->key.len + 1);
    }
}

static void check_random_range(BtFix *f, Rng *r, const Model *m, const Plan *p)
{
    static uint8_t lo_key[BTREE_ENTRY_MAX], up_key[BTREE_ENTRY_MAX];
    TestEntry lo = {.key = lo_key}, up = {.key = up_key};
    BTreeRange range = {.backward = rng_below(r, 2) == 0};
    bt_random_entry(r, p->kind, p->space, p->payload, &lo);
    bt_random_entry(r, p->kind, p->space, p->payload, &up);
    random_bound(r, &lo, &range.lower);
    random_bound(r, &up, &range.upper);
    if (rng_below(r, 8) == 0) {
        range.only_tid = (Tid){1 + rng_below(r, 3)};
    }
    bt_expect_range(&f->cx, f->tree, m, &range, 1 + (uint32_t)rng_below(r, 200));
}

static void check_lookup(BtFix *f, const Model *m, const TestEntry *e)
{
    Tid tids[50];
    BTreeBatch b = {.tids = tids, .max = 50};
    bool more, exact;
    TestEntry first = *e;
    first.tid.v = 0;
    size_t at = btree_model_find(m, &first, &exact);
    size_t n = 0;
    while (at + n < m->n && m->v[at + n].key_len == e->key_len &&
           bytes_cmp(m->v[at + n].key, e->key, e->key_len) == 0) {
        n++;
    }
    OK(&f->cx, btree_lookup(&f->cx, f->tree, bt_key(e), &b, &more));
    assert_int_equal(b.n, n < 50 ? n : 50);
    assert_int_equal(more, n > 50);
    for (uint32_t i = 0; i < b.n; i++) {
        assert_int_equal(tids[i].v, m->v[at + i].tid.v);
    }
}

static void run_plan(const Plan *p, uint64_t seed)
{
    BtFix f;
    Model m = {0};
    Rng r;
    TestEntry e = scratch_entry();
    rng_seed(&r, seed);
    bt_open(&f, 512);
    btree_cross_check(f.tree, true);
    for (uint32_t i = 0; i < p->steps; i++) {
        uint32_t percent = i < p->steps / 3 * 2 ? p->insert_percent : 100 - p->insert_percent;
        bt_random_entry(&r, p->kind, p->kind == KEYS_ASCENDING && percent > 50 ? i + 1 : p->space, p->payload, &e);
        if (rng_below(&r, 100) < percent) {
            assert_int_equal(bt_insert(&f.cx, f.tree, &e), btree_model_insert(&m, &e));
        } else {
            if (m.n > 0 && rng_below(&r, 4) > 0) {
                TestEntry victim = m.v[rng_below(&r, m.n)];
                memcpy(e.key, victim.key, victim.key_len);
                e.key_len = victim.key_len;
                e.tid = victim.tid;
            }
            assert_int_equal(bt_delete(&f.cx, f.tree, &e, BTREE_PURGE), btree_model_delete(&m, &e));
        }
        if (i % 64 == 0) {
            check_lookup(&f, &m, &e);
        }
        if (i % 512 == 0) {
            check_random_range(&f, &r, &m, p);
        }
        if (i % (p->steps / 4) == 0) {
            assert_int_equal(bt_verify(&f.cx, f.tree, true).entries, m.n);
        }
    }
    bt_expect_equal(&f.cx, f.tree, &m);
    BTreeCheck c = bt_verify(&f.cx, f.tree, true);
    bt_reopen(&f);
    bt_expect_equal(&f.cx, f.tree, &m);
    assert_int_equal(bt_verify(&f.cx, f.tree, true).entries, m.n);
    print_message("# %s seed %llu: %zu entries, %llu leaves, %llu inner, height %u\n", bt_kind_name[p->kind],
                  (unsigned long long)seed, m.n, (unsigned long long)c.leaf_pages, (unsigned long long)c.inner_pages,
                  c.height);
    while (m.n > 0) {
        TestEntry last = m.v[rng_below(&r, m.n)];
        assert_true(bt_delete(&f.cx, f.tree, &last, BTREE_PURGE));
        (void)btree_model_delete(&m, &last);
    }
    c = bt_verify(&f.cx, f.tree, true);
    print_message("# emptied: %llu leaves, height %u\n", (unsigned long long)c.leaf_pages, c.height);
    assert_int_equal(c.entries, 0);
    btree_model_done(&m);
    bt_close(&f);
}

static void tree_and_array_answer_alike(void **state)
{
    (void)state;
    static const Plan plans[] = {
        {KEYS_INT, 1000000, 60000, 80, false},      {KEYS_INT, 3000, 20000, 60, true},
        {KEYS_ASCENDING, 20000, 30000, 90, false},  {KEYS_FEW, 20000, 40000, 70, false},
        {KEYS_PREFIX, 20000, 15000, 75, true},      {KEYS_NESTED, 4000, 20000, 65, true},
        {KEYS_HUGE, 3000, 4000, 80, false},         {KEYS_HUGE, 1000, 3000, 70, true},
        {KEYS_RANDOM_LEN, 100000, 6000, 75, false}, {KEYS_EQUAL_HUGE, 100000, 20000, 75, false},
    };
    uint64_t seed = test_seed();
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        run_plan(&plans[i], seed + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_tree_is_empty),
        cmocka_unit_test(inserting_twice_is_already_so),
        cmocka_unit_test(a_key_beyond_the_limit_is_refused),
        cmocka_unit_test(tree_and_array_answer_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
