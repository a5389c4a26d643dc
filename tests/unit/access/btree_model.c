/*
 * tests/unit/access/btree_model.c: see btree_model.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/btree_node.h"
#include "btree_model.h"

void bt_expect_ok(Status st, const Error *err, const char *what, const char *file, int line)
{
    if (st != ST_OK) {
        fprintf(stderr, "%s:%d: %s: %s: %s (%s)\n", file, line, what, status_name(st),
                err->message != NULL ? err->message : "", err->detail != NULL ? err->detail : "");
        abort();
    }
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "test: %s\n", what);
        abort();
    }
}

/* ---- a store with a tree ---- */

void bt_registry(StoreRegistry *reg)
{
    memset(reg, 0, sizeof *reg);
    btree_register(reg);
}

void bt_config(StoreConfig *c, size_t frames)
{
    store_config_default(c);
    c->pool_bytes = frames * PAGE_BYTES;
    c->wal_ring_bytes = 1 << 20;
    c->wal_segment_bytes = 1 << 20;
    c->checkpoint_wal_bytes = 4 << 20;
    c->direct_io = false;
}

BTree *bt_new_tree(Ctx *cx, Store *s, BTreeRef *out_ref)
{
    BTreeCreate how = {.space = SPACE_MAIN, .wal_type = 100, .txn = {7}};
    BTree *t;
    Lsn lsn;
    OK(cx, object_new_id(cx, s, &how.id));
    OK(cx, btree_create(cx, s, &how, out_ref, &lsn));
    OK(cx, btree_open(cx, s, *out_ref, &t));
    return t;
}

static void start(BtFix *f)
{
    memset(f, 0, sizeof *f);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    ctx_init(&f->cx, &f->err, &f->root, NULL);
}

static void create(BtFix *f, size_t frames)
{
    StoreRegistry reg;
    bt_config(&f->config, frames);
    bt_registry(&reg);
    OK(&f->cx, store_open(&f->cx, f->vfs, &f->root, NULL, &f->config, &reg, true, &f->store));
    f->tree = bt_new_tree(&f->cx, f->store, &f->ref);
}

void bt_open(BtFix *f, size_t frames)
{
    start(f);
    strcpy(f->dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/rdb-btree-XXXXXX" : "/tmp/rdb-btree-XXXXXX");
    check(mkdtemp(f->dir) != NULL, "mkdtemp");
    OK(&f->cx, vfs_open_dir(&f->root, f->dir, true, &f->err, &f->vfs));
    create(f, frames);
}

void bt_open_sim(BtFix *f, size_t frames)
{
    start(f);
    OK(&f->cx, simdisk_new(&f->root, &f->err, &f->disk));
    OK(&f->cx, simdisk_vfs(f->disk, &f->err, &f->vfs));
    create(f, frames);
}

void bt_reopen(BtFix *f)
{
    StoreRegistry reg;
    btree_close(f->tree);
    OK(&f->cx, wal_wait(&f->cx, f->store, wal_end(f->store)));
    store_close(&f->cx, f->store, false);
    bt_registry(&reg);
    OK(&f->cx, store_open(&f->cx, f->vfs, &f->root, NULL, &f->config, &reg, false, &f->store));
    OK(&f->cx, btree_open_root(&f->cx, f->store, f->ref.root, &f->tree));
}

void bt_close(BtFix *f)
{
    char cmd[128];
    btree_close(f->tree);
    store_close(&f->cx, f->store, true);
    vfs_free(f->vfs);
    if (f->disk != NULL) {
        simdisk_free(f->disk);
    } else {
        snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
        check(system(cmd) == 0, cmd);
    }
    budget_done(&f->root);
}

/* ---- keys ---- */

const char *const bt_kind_name[KEY_KINDS] = {"int",    "ascending", "few",        "prefix",
                                             "nested", "huge",      "random_len", "equal_huge"};

static void fill(uint8_t *p, uint32_t len, uint64_t seed)
{
    for (uint32_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(mix64(seed + i / 8) >> (8 * (i % 8)));
    }
}

static void letters(uint8_t *p, uint32_t len, uint64_t seed)
{
    fill(p, len, seed);
    for (uint32_t i = 0; i < len; i++) {
        p[i] = (p[i] & 1) ? 'b' : 'a';
    }
}

static uint32_t make_key(Rng *r, KeyKind kind, uint32_t space, uint8_t *key, uint32_t max)
{
    uint64_t n = rng_below(r, space);
    uint32_t len = 8;
    switch (kind) {
    case KEYS_FEW: store_be64(key, n % 16); break;
    case KEYS_PREFIX:
        memset(key, 'p', 1000);
        store_be64(key + 1000, mix64(n));
        len = 1008;
        break;
    case KEYS_NESTED:
        len = (uint32_t)(mix64(n) % 13);
        letters(key, len, n);
        break;
    case KEYS_HUGE:
        len = max - (uint32_t)(n % 3);
        fill(key, len, n % 7);
        store_be64(key + len - 8, n);
        break;
    case KEYS_RANDOM_LEN:
        len = (uint32_t)(mix64(n) % (max + 1));
        letters(key, len, n % 50);
        if (len > 8) {
            store_be64(key + mix64(n) % (len - 8), n);
        }
        break;
    case KEYS_EQUAL_HUGE:
        len = max;
        fill(key, len, n % 4);
        break;
    default: store_be64(key, kind == KEYS_INT ? mix64(n) : n); break;
    }
    return len;
}

void bt_random_entry(Rng *r, KeyKind kind, uint32_t space, bool with_payload, TestEntry *out)
{
    uint32_t max = with_payload ? BTREE_ENTRY_MAX - 40 : BTREE_ENTRY_MAX;
    out->key_len = make_key(r, kind, space, out->key, max);
    bool many_tids = kind == KEYS_FEW || kind == KEYS_EQUAL_HUGE;
    out->tid = (Tid){1 + rng_below(r, many_tids ? space : 3)};
    out->payload_len = with_payload ? (uint32_t)rng_below(r, 41) : 0;
    out->payload_seed = rng_next(r);
}

TestEntry bt_copy(const TestEntry *e)
{
    TestEntry c = *e;
    c.key = malloc(e->key_len + 1);
    memcpy(c.key, e->key, e->key_len);
    return c;
}

void bt_free(TestEntry *e)
{
    free(e->key);
}

int bt_cmp(const TestEntry *a, const TestEntry *b)
{
    uint32_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
    int c = n == 0 ? 0 : memcmp(a->key, b->key, n);
    if (c == 0 && a->key_len != b->key_len) {
        c = a->key_len < b->key_len ? -1 : 1;
    }
    return c != 0 ? c : (a->tid.v > b->tid.v) - (a->tid.v < b->tid.v);
}

BTreeBytes bt_payload(const TestEntry *e, uint8_t *buf)
{
    fill(buf, e->payload_len, e->payload_seed);
    return (BTreeBytes){buf, e->payload_len};
}

/* ---- the model ---- */

size_t btree_model_find(const Model *m, const TestEntry *e, bool *out_exact)
{
    size_t lo = 0, hi = m->n;
    *out_exact = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = bt_cmp(&m->v[mid], e);
        *out_exact = *out_exact || c == 0;
        if (c >= 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

bool btree_model_insert(Model *m, const TestEntry *e)
{
    bool exact;
    size_t at = btree_model_find(m, e, &exact);
    if (exact) {
        return false;
    }
    if (m->n == m->cap) {
        m->cap = m->cap == 0 ? 1024 : 2 * m->cap;
        m->v = realloc(m->v, m->cap * sizeof *m->v);
    }
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof *m->v);
    m->v[at] = bt_copy(e);
    m->n++;
    return true;
}

bool btree_model_delete(Model *m, const TestEntry *e)
{
    bool exact;
    size_t at = btree_model_find(m, e, &exact);
    if (!exact) {
        return false;
    }
    bt_free(&m->v[at]);
    memmove(m->v + at, m->v + at + 1, (m->n - at - 1) * sizeof *m->v);
    m->n--;
    return true;
}

void btree_model_done(Model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        bt_free(&m->v[i]);
    }
    free(m->v);
    *m = (Model){0};
}

/* ---- the tree against the model ---- */

bool bt_insert(Ctx *cx, BTree *t, const TestEntry *e)
{
    uint8_t buf[64];
    BTreeWrite w;
    OK(cx, btree_insert(cx, t, (TxnId){7}, bt_key(e), e->tid, bt_payload(e, buf), NULL, &w));
    op_release_undo(object_store(btree_object(t)), w.undo_wal_bytes);
    return w.done;
}

bool bt_delete(Ctx *cx, BTree *t, const TestEntry *e, BTreeDeleteKind kind)
{
    BTreeWrite w;
    BTreeDelete how = {.kind = kind, .undoes = {1}, .newest = {2}};
    OK(cx, btree_delete(cx, t, (TxnId){7}, bt_key(e), e->tid, &how, &w));
    return w.done;
}

static int cmp_bound(const TestEntry *e, const BTreeBound *b)
{
    uint32_t n = e->key_len < b->key.len ? e->key_len : b->key.len;
    int c = n == 0 ? 0 : memcmp(e->key, b->key.p, n);
    if (c != 0) {
        return c;
    }
    if (e->key_len < b->key.len) {
        return -1;
    }
    return e->key_len == b->key.len || b->prefix ? 0 : 1;
}

bool bt_in_range(const TestEntry *e, const BTreeRange *range)
{
    const BTreeBound *lo = &range->lower, *up = &range->upper;
    if (range->only_tid.v != 0 && e->tid.v != range->only_tid.v) {
        return false;
    }
    int c = lo->edge == BTREE_UNBOUNDED ? 1 : cmp_bound(e, lo);
    if (c < 0 || (c == 0 && lo->edge == BTREE_EXCLUSIVE)) {
        return false;
    }
    c = up->edge == BTREE_UNBOUNDED ? -1 : cmp_bound(e, up);
    return c < 0 || (c == 0 && up->edge == BTREE_INCLUSIVE);
}

static void expect_entry(const TestEntry *want, const BTreeEntry *got)
{
    uint8_t buf[64];
    BTreeBytes payload = bt_payload(want, buf);
    check(tid_eq(want->tid, got->tid), "another TID than the model's");
    check(want->key_len == got->key.len && bytes_cmp(want->key, got->key.p, want->key_len) == 0,
          "another key than the model's");
    check(payload.len == got->payload.len && bytes_cmp(payload.p, got->payload.p, payload.len) == 0,
          "another payload than the model's");
}

void bt_expect_range(Ctx *cx, BTree *t, const Model *m, const BTreeRange *range, uint32_t batch)
{
    BTreeCursor *c;
    BTreeBatch b = {.max = batch, .bytes_max = BTREE_ENTRY_MAX + batch * 16};
    b.tids = malloc(batch * sizeof *b.tids);
    b.items = malloc(batch * sizeof *b.items);
    b.bytes = malloc(b.bytes_max);
    OK(cx, btree_cursor_open(cx, t, range, &c));
    size_t i = range->backward ? m->n : 0;
    for (;;) {
        OK(cx, btree_cursor_next(cx, c, &b));
        if (b.n == 0) {
            break;
        }
        for (uint32_t k = 0; k < b.n; k++) {
            BTreeEntry got = btree_batch_entry(&b, k);
            const TestEntry *want = NULL;
            while (want == NULL && (range->backward ? i > 0 : i < m->n)) {
                const TestEntry *e = range->backward ? &m->v[--i] : &m->v[i++];
                want = bt_in_range(e, range) ? e : NULL;
            }
            check(want != NULL, "more entries than the model");
            expect_entry(want, &got);
        }
    }
    while (range->backward ? i > 0 : i < m->n) {
        check(!bt_in_range(range->backward ? &m->v[--i] : &m->v[i++], range), "fewer entries than the model");
    }
    OK(cx, btree_cursor_next(cx, c, &b));
    check(b.n == 0, "the end does not stay the end");
    btree_cursor_close(c);
    free(b.tids);
    free(b.items);
    free(b.bytes);
}

void bt_expect_equal(Ctx *cx, BTree *t, const Model *m)
{
    bt_expect_range(cx, t, m, &(BTreeRange){0}, 100);
    bt_expect_range(cx, t, m, &(BTreeRange){.backward = true}, 77);
}

static void print_problem(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "verifier: %s\n", text);
}

BTreeCheck bt_verify(Ctx *cx, BTree *t, bool quiescent)
{
    BTreeCheck c = {.report = print_problem, .quiescent = quiescent};
    OK(cx, btree_check(cx, t, &c));
    check(c.problems == 0, "the verifier found problems");
    return c;
}
