/*
 * tests/unit/access/btree_model.h: what the B+tree tests share: a store with one tree, a sorted array as the model, and
 * generators of awkward keys.
 */
#ifndef RDB_TEST_BTREE_MODEL_H
#define RDB_TEST_BTREE_MODEL_H

#include "access/btree.h"
#include "base/rng.h"
#include "os/simdisk.h"

/* Aborts with file, line and the error's text: for what must not fail in a test. */
#define OK(cx, call) bt_expect_ok((call), (cx)->err, #call, __FILE__, __LINE__)
void bt_expect_ok(Status st, const Error *err, const char *what, const char *file, int line);

/* ---- a store with a tree ---- */

typedef struct BtFix {
    Budget root;
    Error err;
    Ctx cx;
    Vfs *vfs;
    Store *store;
    StoreConfig config;
    BTree *tree;
    BTreeRef ref;
    SimDisk *disk; /* NULL: real files in dir */
    char dir[64];
} BtFix;

/* On real files in a directory of its own. */
void bt_open(BtFix *f, size_t frames);
/* On a simulated disk, for the scheduler. */
void bt_open_sim(BtFix *f, size_t frames);
void bt_close(BtFix *f);
/* Stops without a checkpoint and opens again: recovery. */
void bt_reopen(BtFix *f);
void bt_registry(StoreRegistry *reg);
void bt_config(StoreConfig *c, size_t frames);
/* A new tree in the store. */
BTree *bt_new_tree(Ctx *cx, Store *s, BTreeRef *out_ref);

/* ---- keys ---- */

typedef enum KeyKind {
    KEYS_INT,        /* 8 bytes, random */
    KEYS_ASCENDING,  /* 8 bytes, growing */
    KEYS_FEW,        /* 16 different ones, the TIDs tell entries apart */
    KEYS_PREFIX,     /* 1,000 bytes in common */
    KEYS_NESTED,     /* 0 to 12 of two letters: prefixes of one another */
    KEYS_HUGE,       /* up to the limit, few groups of long common prefixes */
    KEYS_RANDOM_LEN, /* 0 to the limit, two letters */
    KEYS_EQUAL_HUGE, /* 4 different ones at the limit, the TIDs tell entries apart */
    KEY_KINDS,
} KeyKind;
extern const char *const bt_kind_name[KEY_KINDS];

typedef struct TestEntry {
    uint8_t *key;
    uint32_t key_len;
    uint32_t payload_len;
    Tid tid;
    uint64_t payload_seed; /* the payload's bytes follow from it */
} TestEntry;

/* Fills an entry; `space` bounds how many different ones there are, with_payload gives it up to 40 bytes. */
void bt_random_entry(Rng *r, KeyKind kind, uint32_t space, bool with_payload, TestEntry *out);
TestEntry bt_copy(const TestEntry *e);
void bt_free(TestEntry *e);
int bt_cmp(const TestEntry *a, const TestEntry *b);
static inline BTreeBytes bt_key(const TestEntry *e)
{
    return (BTreeBytes){e->key, e->key_len};
}
/* The payload into buf (64 bytes). */
BTreeBytes bt_payload(const TestEntry *e, uint8_t *buf);

/* ---- the model ---- */

typedef struct Model {
    TestEntry *v;
    size_t n, cap;
} Model;
/* Position of the first entry >= e. */
size_t btree_model_find(const Model *m, const TestEntry *e, bool *out_exact);
bool btree_model_insert(Model *m, const TestEntry *e); /* false: it is there */
bool btree_model_delete(Model *m, const TestEntry *e); /* false: it is not */
void btree_model_done(Model *m);

/* ---- the tree against the model ---- */

bool bt_insert(Ctx *cx, BTree *t, const TestEntry *e); /* returns done; gives the undo reservation back */
bool bt_delete(Ctx *cx, BTree *t, const TestEntry *e, BTreeDeleteKind kind);
/* Scans a range in batches of at most `batch` entries and compares with the model's. */
void bt_expect_range(Ctx *cx, BTree *t, const Model *m, const BTreeRange *range, uint32_t batch);
void bt_expect_equal(Ctx *cx, BTree *t, const Model *m);
/* The verifier finds nothing; its counts are returned. */
BTreeCheck bt_verify(Ctx *cx, BTree *t, bool quiescent);
/* Is the model's entry within the range? */
bool bt_in_range(const TestEntry *e, const BTreeRange *range);

#endif
