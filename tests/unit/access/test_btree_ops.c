/*
 * The rest of the B+tree's interface, as stories: the unique check, what the log says, bulk build, sweeps, cursors
 * that live through changes, and a verifier that finds what is broken.
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
#include "os/thread.h"

static BTreeBytes str(const char *s)
{
    return (BTreeBytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static int setup(void **state)
{
    BtFix *f = malloc(sizeof *f);
    bt_open(f, 512);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    bt_close(*state);
    free(*state);
    return 0;
}

/* ---- unique ---- */

typedef struct Asked {
    Tid tids[5000];
    uint32_t n;
    Tid live;    /* conflict */
    Tid unknown; /* wait */
} Asked;

static Status ask(void *arg, Ctx *cx, Tid tid, BTreeVerdict *out)
{
    Asked *a = arg;
    (void)cx;
    a->tids[a->n++] = tid;
    *out = tid_eq(tid, a->live) ? BTREE_CONFLICT : tid_eq(tid, a->unknown) ? BTREE_WAIT : BTREE_IGNORE;
    return ST_OK;
}

static Status insert_unique(BtFix *f, const char *key, uint64_t tid, Asked *a, BTreeUnique *u)
{
    BTreeWrite w;
    a->n = 0;
    *u = (BTreeUnique){.check = ask, .arg = a};
    Status st = btree_insert(&f->cx, f->tree, (TxnId){7}, str(key), (Tid){tid}, (BTreeBytes){0}, u, &w);
    if (st == ST_OK) {
        op_release_undo(f->store, w.undo_wal_bytes);
    }
    assert_int_equal(f->err.status, ST_OK);
    return st;
}

static void the_unique_check_sees_equal_keys_only(void **state)
{
    BtFix *f = *state;
    Asked a = {0};
    BTreeUnique u;
    assert_int_equal(insert_unique(f, "b", 10, &a, &u), ST_OK);
    assert_int_equal(a.n, 0);
    assert_int_equal(insert_unique(f, "bb", 11, &a, &u), ST_OK);
    assert_int_equal(insert_unique(f, "", 12, &a, &u), ST_OK);
    assert_int_equal(a.n, 0);
    assert_int_equal(insert_unique(f, "b", 5, &a, &u), ST_OK); /* the other is dead */
    assert_int_equal(a.n, 1);
    assert_int_equal(a.tids[0].v, 10);
    a.live = (Tid){5};
    assert_int_equal(insert_unique(f, "b", 20, &a, &u), ST_UNIQUE_VIOLATION);
    assert_int_equal(u.found.v, 5);
    a = (Asked){.unknown = {10}};
    assert_int_equal(insert_unique(f, "b", 20, &a, &u), ST_RETRY);
    assert_int_equal(u.found.v, 10);
    assert_int_equal(bt_verify(&f->cx, f->tree, true).entries, 4);
}

static void the_unique_check_walks_over_many_leaves(void **state)
{
    BtFix *f = *state;
    static Asked a;
    BTreeUnique u;
    TestEntry e = {.key = (uint8_t *)"same", .key_len = 4};
    for (uint64_t i = 1; i <= 4000; i++) {
        e.tid.v = 2 * i;
        assert_true(bt_insert(&f->cx, f->tree, &e));
    }
    assert_true(bt_verify(&f->cx, f->tree, true).leaf_pages > 3);
    a = (Asked){0};
    assert_int_equal(insert_unique(f, "same", 4001, &a, &u), ST_OK); /* in the middle, all others dead */
    assert_int_equal(a.n, 4000);
    a = (Asked){.live = {7998}};
    assert_int_equal(insert_unique(f, "same", 1, &a, &u), ST_UNIQUE_VIOLATION);
    assert_int_equal(u.found.v, 7998);
    a = (Asked){0};
    assert_int_equal(insert_unique(f, "same", 4001, &a, &u), ST_OK); /* already so; the check asked about the others */
    assert_int_equal(bt_verify(&f->cx, f->tree, true).entries, 4001);
}

/* ---- the log ---- */

static void records_tell_key_tid_and_root(void **state)
{
    (void)state;
    uint8_t data[LEAF_DATA_MAX], body[DELETE_BODY_BYTES] = {0};
    BTreeRecord r;
    Error err;
    err_clear(&err);
    store_u64(body, 77);
    store_u64(body + 8, 1234);
    store_u64(body + 16, 5678);
    WalRecord rec = {.type = WAL_BTREE_INSERT, .body = body, .body_len = INSERT_BODY_BYTES, .n_pages = 1};
    rec.pages[0] = (WalPage){.data = data, .len = data_leaf(data, 3, node_key(str("key"), (Tid){9}), str("load"))};
    assert_int_equal(btree_record_read(&rec, &r, &err), ST_OK);
    assert_true(r.is_insert && r.root.v == 77 && r.tid.v == 9 && r.key.len == 3 && r.payload.len == 4);
    rec.type = WAL_BTREE_DELETE;
    rec.flags = BTREE_FLAG_UNDO;
    rec.body_len = DELETE_BODY_BYTES;
    rec.pages[0].len = data_leaf(data, 3, node_key(str("key"), (Tid){9}), (BTreeBytes){0});
    assert_int_equal(btree_record_read(&rec, &r, &err), ST_OK);
    assert_true(!r.is_insert && r.how.kind == BTREE_UNDO && r.how.undoes.v == 1234);
    rec.flags = BTREE_FLAG_PURGE;
    assert_int_equal(btree_record_read(&rec, &r, &err), ST_OK);
    assert_true(r.how.kind == BTREE_PURGE && r.how.newest.v == 5678);
    rec.pages[0].len--;
    assert_int_equal(btree_record_read(&rec, &r, &err), ST_CORRUPTED);
    rec.type = WAL_BTREE_SPLIT;
    err_clear(&err);
    assert_int_equal(btree_record_read(&rec, &r, &err), ST_CORRUPTED);
}

/* ---- build ---- */

typedef struct Source {
    const Model *m;
    size_t at;
    uint8_t payload[64];
} Source;

static Status next_of(void *arg, Ctx *cx, BTreeEntry *out)
{
    Source *s = arg;
    (void)cx;
    if (s->at == s->m->n) {
        return ST_END;
    }
    const TestEntry *e = &s->m->v[s->at++];
    *out = (BTreeEntry){.key = bt_key(e), .tid = e->tid, .payload = bt_payload(e, s->payload)};
    return ST_OK;
}

static void build_kind(KeyKind kind, uint32_t entries, bool payload)
{
    static uint8_t key[BTREE_ENTRY_MAX];
    BtFix f;
    Model m = {0};
    Rng r;
    BTreeBuilt built;
    TestEntry e = {.key = key};
    rng_seed(&r, 100 + (uint64_t)kind);
    for (uint32_t i = 0; i < entries; i++) {
        bt_random_entry(&r, kind, entries, payload, &e);
        (void)btree_model_insert(&m, &e);
    }
    bt_open(&f, 512);
    Source s = {.m = &m};
    OK(&f.cx, btree_build(&f.cx, f.tree, next_of, &s, &built));
    assert_int_equal(built.entries, m.n);
    bt_expect_equal(&f.cx, f.tree, &m);
    BTreeCheck c = bt_verify(&f.cx, f.tree, true);
    assert_int_equal(c.height, built.height);
    assert_int_equal(c.leaf_pages + c.inner_pages, built.pages);
    print_message("# build %s: %zu entries, %llu leaves, %llu inner, height %u\n", bt_kind_name[kind], m.n,
                  (unsigned long long)c.leaf_pages, (unsigned long long)c.inner_pages, c.height);
    for (int i = 0; i < 500; i++) {
        bt_random_entry(&r, kind, entries + 1, payload, &e);
        assert_int_equal(bt_insert(&f.cx, f.tree, &e), btree_model_insert(&m, &e));
    }
    bt_reopen(&f);
    bt_expect_equal(&f.cx, f.tree, &m);
    (void)bt_verify(&f.cx, f.tree, true);
    btree_model_done(&m);
    bt_close(&f);
}

static void a_built_tree_is_like_an_inserted_one(void **state)
{
    (void)state;
    static const struct {
        KeyKind kind;
        uint32_t entries;
    } cases[] = {{KEYS_INT, 0},     {KEYS_INT, 1},           {KEYS_INT, 30000},
                 {KEYS_FEW, 20000}, {KEYS_PREFIX, 6000},     {KEYS_NESTED, 3000},
                 {KEYS_HUGE, 2000}, {KEYS_RANDOM_LEN, 3000}, {KEYS_EQUAL_HUGE, 8000}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        build_kind(cases[i].kind, cases[i].entries, i % 2 == 1);
    }
}

static void unsorted_entries_are_refused(void **state)
{
    BtFix *f = *state;
    TestEntry v[2] = {{.key = (uint8_t *)"b", .key_len = 1, .tid = {1}},
                      {.key = (uint8_t *)"a", .key_len = 1, .tid = {1}}};
    Model m = {.v = v, .n = 2};
    Source s = {.m = &m};
    BTreeBuilt built;
    assert_int_equal(btree_build(&f->cx, f->tree, next_of, &s, &built), ST_INTERNAL);
    err_clear(&f->err);
}

/* ---- sweep, cursors through changes ---- */

static Status sweep_delete(void *arg, Ctx *cx, const BTreeEntry *e)
{
    BtFix *f = arg;
    BTreeWrite w;
    BTreeDelete how = {.kind = BTREE_PURGE};
    OK(cx, btree_delete(cx, f->tree, (TxnId){7}, e->key, e->tid, &how, &w));
    assert_true(w.done);
    return ST_OK;
}

static void a_sweep_finds_all_entries_of_a_tid(void **state)
{
    BtFix *f = *state;
    uint8_t key[8];
    TestEntry e = {.key = key, .key_len = 8};
    for (uint64_t i = 0; i < 20000; i++) {
        store_be64(key, mix64(i));
        e.tid.v = 1 + i % 97;
        assert_true(bt_insert(&f->cx, f->tree, &e));
    }
    OK(&f->cx, btree_sweep(&f->cx, f->tree, (Tid){5}, sweep_delete, f));
    BTreeCursor *c;
    Tid tids[10];
    BTreeBatch b = {.tids = tids, .max = 10};
    OK(&f->cx, btree_cursor_open(&f->cx, f->tree, &(BTreeRange){.only_tid = {5}}, &c));
    OK(&f->cx, btree_cursor_next(&f->cx, c, &b));
    assert_int_equal(b.n, 0);
    btree_cursor_close(c);
    assert_int_equal(bt_verify(&f->cx, f->tree, true).entries, 20000 - 207);
}

/* Entries that stay are delivered exactly once, whatever is done around them between batches. */
static void cursors_go_on_through_changes(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++) {
        BtFix f;
        uint8_t key[8], kept[9000] = {0};
        TestEntry e = {.key = key, .key_len = 8, .tid = {1}};
        BTreeCursor *c;
        Tid tids[57];
        BTreeItem items[57];
        static uint8_t bytes[8192];
        BTreeBatch b = {.tids = tids, .items = items, .bytes = bytes, .max = 57, .bytes_max = sizeof bytes};
        Rng r;
        rng_seed(&r, 3);
        bt_open(&f, 512);
        for (uint64_t i = 0; i < 9000; i++) {
            store_be64(key, i * 1000);
            assert_true(bt_insert(&f.cx, f.tree, &e));
        }
        OK(&f.cx, btree_cursor_open(&f.cx, f.tree, &(BTreeRange){.backward = backward == 1}, &c));
        for (;;) {
            OK(&f.cx, btree_cursor_next(&f.cx, c, &b));
            if (b.n == 0) {
                break;
            }
            for (uint32_t i = 0; i < b.n; i++) {
                uint64_t v = load_be64(btree_batch_entry(&b, i).key.p);
                if (v % 1000 == 0) {
                    assert_int_equal(kept[v / 1000]++, 0);
                }
            }
            for (int i = 0; i < 60; i++) { /* odd ones come, multiples of 2,000 go, all over the tree */
                uint64_t v = rng_below(&r, 9000) * 1000;
                store_be64(key, v + 1 + rng_below(&r, 999));
                (void)bt_insert(&f.cx, f.tree, &e);
                store_be64(key, v / 2000 * 2000);
                (void)bt_delete(&f.cx, f.tree, &e, BTREE_PURGE);
            }
        }
        btree_cursor_close(c);
        for (int i = 1; i < 9000; i += 2) {
            assert_int_equal(kept[i], 1);
        }
        (void)bt_verify(&f.cx, f.tree, true);
        bt_close(&f);
    }
}

static void a_small_batch_is_told_so(void **state)
{
    BtFix *f = *state;
    TestEntry e = {.key = (uint8_t *)"k", .key_len = 1};
    for (uint64_t i = 1; i <= 3; i++) {
        e.tid.v = i;
        (void)bt_insert(&f->cx, f->tree, &e);
    }
    Tid tids[3];
    bool more;
    BTreeBatch b = {.tids = tids, .max = 2};
    OK(&f->cx, btree_lookup(&f->cx, f->tree, str("k"), &b, &more));
    assert_true(more && b.n == 2 && tids[1].v == 2);
    b.max = 3;
    OK(&f->cx, btree_lookup(&f->cx, f->tree, str("k"), &b, &more));
    assert_true(!more && b.n == 3);
    OK(&f->cx, btree_lookup(&f->cx, f->tree, str("j"), &b, &more));
    assert_true(!more && b.n == 0);
}

static void bounds_longer_than_any_key_are_fine(void **state)
{
    BtFix *f = *state;
    static uint8_t key[BTREE_ENTRY_MAX + 10];
    TestEntry e = {.key = key, .key_len = BTREE_ENTRY_MAX, .tid = {1}};
    memset(key, 'x', sizeof key);
    assert_true(bt_insert(&f->cx, f->tree, &e));
    BTreeBound bound = {.edge = BTREE_INCLUSIVE, .key = {key, sizeof key}};
    Model none = {0}, one = {.v = &e, .n = 1};
    bt_expect_range(&f->cx, f->tree, &none, &(BTreeRange){.lower = bound}, 5);
    bt_expect_range(&f->cx, f->tree, &one, &(BTreeRange){.upper = bound}, 5);
    bound.prefix = true;
    bt_expect_range(&f->cx, f->tree, &none, &(BTreeRange){.lower = bound, .upper = bound}, 5);
}

/* ---- forced interleavings ---- */

/* At a sync point where the tree holds no latch, somebody else changes the tree at once and thoroughly. */
typedef struct Storm {
    BtFix *f;
    Model *m;
    Rng r;
    bool grow;
    bool raging;
    unsigned calm; /* so many times nothing happens first */
    unsigned storms;
} Storm;

enum { STORM_KEYS = 12, STORM_TIDS = 300 };

/* Few keys of one byte, many TIDs: each storm splits or merges the very leaves the outer call is on its way to, and
 * keys equal to fences are common. */
static TestEntry storm_entry(Rng *r, uint8_t *key)
{
    *key = (uint8_t)rng_below(r, STORM_KEYS);
    return (TestEntry){.key = key, .key_len = 1, .tid = {1 + rng_below(r, STORM_TIDS)}, .payload_len = 40};
}

static void change_both(BtFix *f, Model *m, Rng *r, bool insert)
{
    uint8_t key;
    TestEntry e = storm_entry(r, &key);
    if (insert) {
        bool done = bt_insert(&f->cx, f->tree, &e);
        assert_int_equal(done, btree_model_insert(m, &e));
    } else {
        bool done = bt_delete(&f->cx, f->tree, &e, BTREE_PURGE);
        assert_int_equal(done, btree_model_delete(m, &e));
    }
}

static void storm(void *arg)
{
    Storm *s = arg;
    if (s->raging || s->calm-- > 0) {
        return;
    }
    s->raging = true;
    for (int i = 0; i < 2500; i++) {
        change_both(s->f, s->m, &s->r, s->grow);
    }
    s->grow = !s->grow;
    s->calm = (unsigned)rng_below(&s->r, 20);
    s->storms++;
    s->raging = false;
}

/* A look-up over several leaves is not one moment: when a storm came in between, only its order is certain. */
static void expect_lookup(BtFix *f, const Model *m, uint8_t key, const Storm *s)
{
    unsigned storms = s->storms;
    Tid tids[STORM_TIDS];
    bool more, exact;
    BTreeBatch b = {.tids = tids, .max = STORM_TIDS};
    OK(&f->cx, btree_lookup(&f->cx, f->tree, (BTreeBytes){&key, 1}, &b, &more));
    for (uint32_t i = 1; i < b.n; i++) {
        assert_true(tids[i - 1].v < tids[i].v);
    }
    if (s->storms != storms) {
        return;
    }
    TestEntry first = {.key = &key, .key_len = 1};
    size_t at = btree_model_find(m, &first, &exact);
    for (uint32_t i = 0; i < b.n; i++) {
        assert_true(at + i < m->n && m->v[at + i].key[0] == key && tid_eq(m->v[at + i].tid, tids[i]));
    }
    assert_true(at + b.n == m->n || m->v[at + b.n].key[0] != key);
}

static void storm_at(const char *point, uint64_t seed)
{
    BtFix f;
    Model m = {0};
    Rng r;
    uint8_t key;
    SyncHooks *hooks = sync_hooks_new();
    Storm s = {.f = &f, .m = &m, .grow = true};
    rng_seed(&r, seed);
    rng_seed(&s.r, seed + 1);
    bt_open(&f, 512);
    sync_hooks_set(hooks, point, storm, &s);
    sync_hooks_enter(hooks);
    for (int i = 0; i < 1500 && s.storms < 100; i++) {
        /* The storm changes model and tree together, before either the outer change or its look at the model. */
        TestEntry e = storm_entry(&r, &key);
        bool insert = rng_below(&r, 2) == 0;
        bool done = insert ? bt_insert(&f.cx, f.tree, &e) : bt_delete(&f.cx, f.tree, &e, BTREE_PURGE);
        assert_int_equal(done, insert ? btree_model_insert(&m, &e) : btree_model_delete(&m, &e));
        expect_lookup(&f, &m, key, &s);
    }
    sync_hooks_enter(NULL);
    bt_expect_equal(&f.cx, f.tree, &m);
    assert_int_equal(bt_verify(&f.cx, f.tree, true).entries, m.n);
    print_message("# %s: %u storms\n", point, s.storms);
    btree_model_done(&m);
    bt_close(&f);
    sync_hooks_free(hooks);
}

static void changes_between_two_steps_are_noticed(void **state)
{
    (void)state;
    static const char *const points[] = {"btree.write.before_leaf", "btree.opt.before_child", "btree.opt.before_valid",
                                         "btree.root.relatch"};
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        storm_at(points[i], 1000 + i);
    }
}

/* ---- the verifier ---- */

static void count_problem(void *arg, const char *text)
{
    (void)text;
    ++*(int *)arg;
}

/* Breaks a byte of each page of a tree in turn, in memory: the verifier sees it whenever it matters. */
static void the_verifier_finds_damage(void **state)
{
    BtFix *f = *state;
    uint8_t key[8];
    TestEntry e = {.key = key, .key_len = 8, .tid = {1}};
    for (uint64_t i = 0; i < 3000; i++) {
        store_be64(key, mix64(i));
        (void)bt_insert(&f->cx, f->tree, &e);
    }
    static const uint32_t offsets[] = {48, 56, 64, 72,  80,  88,  90,  91,    92,
                                       94, 96, 98, 100, 102, 104, 110, 16340, 16351};
    uint32_t pages = object_page_count(btree_object(f->tree));
    unsigned found = 0, tried = 0;
    for (uint32_t ordinal = 0; ordinal < pages; ordinal++) {
        for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
            PageId id;
            BufFrame *frame;
            if (!object_page_at(btree_object(f->tree), ordinal, &id)) {
                continue;
            }
            OK(&f->cx, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &frame));
            buf_page(frame)[offsets[i]] ^= 0x41;
            buf_unfix(frame);
            int problems = 0;
            BTreeCheck c = {.arg = &problems, .report = count_problem, .quiescent = true};
            Status st = btree_check(&f->cx, f->tree, &c);
            found += problems > 0 && c.problems == (uint64_t)problems;
            tried++;
            if (st != ST_OK && st != ST_INDEX_CORRUPTED && st != ST_CORRUPTED) {
                fail_msg("%s at offset %u", status_name(st), offsets[i]);
            }
            err_clear(&f->err);
            OK(&f->cx, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &frame));
            buf_page(frame)[offsets[i]] ^= 0x41;
            buf_unfix(frame);
        }
    }
    (void)bt_verify(&f->cx, f->tree, true);
    print_message("# damage: %u of %u found\n", found, tried);
    assert_true(found >= tried - pages * 2); /* a fence's last bytes may be another fence's business only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_unique_check_sees_equal_keys_only, setup, teardown),
        cmocka_unit_test_setup_teardown(the_unique_check_walks_over_many_leaves, setup, teardown),
        cmocka_unit_test(records_tell_key_tid_and_root),
        cmocka_unit_test(a_built_tree_is_like_an_inserted_one),
        cmocka_unit_test_setup_teardown(unsorted_entries_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sweep_finds_all_entries_of_a_tid, setup, teardown),
        cmocka_unit_test(cursors_go_on_through_changes),
        cmocka_unit_test_setup_teardown(a_small_batch_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_longer_than_any_key_are_fine, setup, teardown),
        cmocka_unit_test(changes_between_two_steps_are_noticed),
        cmocka_unit_test_setup_teardown(the_verifier_finds_damage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
