/*
 * A database engine up to the catalog, on the simulated disk.
 */
#ifndef RDB_TEST_CATALOG_FIXTURE_H
#define RDB_TEST_CATALOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "catalog/catalog.h"
#include "os/simdisk.h"

typedef struct Fixture {
    Budget disk_budget;
    Budget root;
    Error err;
    Ctx cx;
    Arena arena;
    SimDisk *disk;
    Vfs *vfs;
    Catalog *cat;
    TxnSystem *ts;
} Fixture;

#define OK(f, call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != ST_OK) {                                                                                         \
            fprintf(stderr, "%s:%d: %s: %s %s (%s)\n", __FILE__, __LINE__, #call, (f)->err.sqlstate,                   \
                    (f)->err.message ? (f)->err.message : "", (f)->err.detail ? (f)->err.detail : "");                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define FAILS(f, status, call)                                                                                         \
    do {                                                                                                               \
        assert_int_equal((call), (status));                                                                            \
        err_clear(&(f)->err);                                                                                          \
    } while (0)

/* Errors are left to the caller: power cuts make them normal. */
static inline Status try_open(Fixture *f, bool create)
{
    StoreConfig sc;
    TxnConfig tc;
    bool exists;
    store_config_default(&sc);
    txn_config_default(&tc);
    sc.pool_bytes = 512 * 16384;
    sc.wal_ring_bytes = 1 << 20;
    sc.wal_segment_bytes = 4 << 20;
    sc.checkpoint_wal_bytes = 16 << 20;
    sc.direct_io = false;
    sc.background = false;
    tc.background = false;
    tc.max_transactions = 64;
    Status st = simdisk_vfs(f->disk, &f->err, &f->vfs);
    if (st == ST_OK) {
        st = catalog_new(&f->root, f->vfs, &f->err, &f->cat);
    }
    if (st != ST_OK) {
        return st;
    }
    TxnHooks hooks = catalog_hooks(f->cat);
    st = txn_open(&f->cx, f->vfs, &f->root, NULL, &sc, &tc, &hooks, create, &f->ts);
    if (st == ST_OK) {
        st = catalog_exists(f->cat, &f->err, &exists);
    }
    if (st == ST_OK && !exists) {
        st = catalog_bootstrap(&f->cx, f->cat, f->ts, "postgres");
    }
    if (st == ST_OK) {
        st = catalog_open(&f->cx, f->cat, f->ts);
    }
    return st == ST_OK ? txn_sweep(&f->cx, f->ts) : st;
}

static inline void close_engine(Fixture *f, bool clean)
{
    txn_close(&f->cx, f->ts, clean);
    f->ts = NULL;
    catalog_free(f->cat);
    f->cat = NULL;
    vfs_free(f->vfs);
    f->vfs = NULL;
}

static inline void fixture_init(Fixture *f)
{
    budget_init(&f->disk_budget, "disk", NULL, 0, 0);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    arena_init(&f->arena, &f->root, 65536);
    ctx_init(&f->cx, &f->err, &f->root, &f->arena);
    OK(f, simdisk_new(&f->disk_budget, &f->err, &f->disk));
}

static inline void fixture_done(Fixture *f)
{
    simdisk_free(f->disk);
    arena_done(&f->arena);
    budget_done(&f->root);
    budget_done(&f->disk_budget);
}

static inline int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    fixture_init(f);
    OK(f, try_open(f, true));
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    Fixture *f = *state;
    close_engine(f, true);
    fixture_done(f);
    free(f);
    return 0;
}

static inline void begin(Fixture *f, CatView *v)
{
    Txn *t;
    OK(f, txn_begin(&f->cx, f->ts, TXN_READ_COMMITTED, false, 1, &t));
    txn_statement(t);
    catalog_view_begin(v, t);
}

static inline void commit(Fixture *f, CatView *v)
{
    Lsn gate;
    OK(f, catalog_commit(&f->cx, v, &gate));
    OK(f, wal_wait(&f->cx, txn_store(f->ts), gate));
}

static inline CatView view_of(Fixture *f, Oid database)
{
    CatView v;
    OK(f, catalog_view_init(&f->cx, f->cat, database, OID_ADMIN, &v));
    return v;
}

/* ---- the verifier, with the catalog naming what exists ---- */

static inline void report_problem(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "check: %s\n", text);
}

static inline bool is_known(void *arg, ObjectRef ref)
{
    uint64_t header;
    return u64map_get(arg, ref.id.v, &header) && header == ref.header.v;
}

/* Nothing leaked, nothing owned twice, once purge has freed what was pending. */
static inline void check_store(Fixture *f)
{
    U64Map known;
    uint64_t left = 1;
    for (int i = 0; left > 0 && i < 100; i++) {
        OK(f, store_tick(&f->cx, txn_store(f->ts)));
        OK(f, txn_purge(&f->cx, f->ts, &left));
    }
    u64map_init(&known, &f->root);
    OK(f, catalog_known_objects(&f->cx, f->cat, &known));
    TxnCheck check = {.arg = &known, .report = report_problem, .known = is_known};
    OK(f, txn_check_store(&f->cx, f->ts, &check));
    u64map_done(&known);
    assert_int_equal(check.problems, 0);
}

#endif
