/*
 * Transactions over one table with one index, on the simulated disk: what each snapshot sees, what waits, what rollback
 * restores, what purge takes away, what recovery finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/simdisk.h"
#include "txn/txn.h"

/* id (8 bytes, indexed), amount (8), note (string) */
static const HeapColumn columns[] = {{.width = HEAP_W8}, {.width = HEAP_W8}, {.width = HEAP_STRING}};
static const HeapLayout layout = {.id = 1, .n_columns = 3, .columns = columns};
static const HeapLayout *const layouts[] = {&layout};
static const HeapShape shape = {.layouts = layouts, .n_layouts = 1};

typedef struct Fixture {
    Budget root;
    Error err;
    Ctx cx;
    Arena arena;
    SimDisk *disk;
    Vfs *vfs;
    TxnSystem *ts;
    TxnTable *table;
    BTree *index;
    ObjectRef table_ref;
    BTreeRef index_ref;
} Fixture;

#define OK(f, call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != ST_OK) {                                                                                         \
            fprintf(stderr, "%s: %s %s (%s)\n", #call, (f)->err.sqlstate, (f)->err.message ? (f)->err.message : "",    \
                    (f)->err.detail ? (f)->err.detail : "");                                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static Status hook_shape(void *arg, Ctx *cx, ObjectRef table, const HeapShape **out_shape)
{
    (void)cx;
    Fixture *f = arg;
    if (table.id.v != f->table_ref.id.v) {
        return ST_NOT_FOUND;
    }
    *out_shape = &shape;
    return ST_OK;
}

static BTreeBytes key_of(uint64_t id, uint8_t buf[8])
{
    store_be64(buf, id);
    return (BTreeBytes){buf, 8};
}

static Status hook_keys(void *arg, Ctx *cx, const TxnPurgeRow *row,
                        Status (*entry)(void *entry_arg, Ctx *cx, BTree *index, BTreeBytes key), void *entry_arg)
{
    Fixture *f = arg;
    uint8_t buf[8];
    return entry(entry_arg, cx, f->index, key_of(row->values[0].u64, buf));
}

static void open_system(Fixture *f, bool create)
{
    StoreConfig sc;
    TxnConfig tc;
    store_config_default(&sc);
    txn_config_default(&tc);
    sc.pool_bytes = 128 * PAGE_BYTES;
    sc.wal_ring_bytes = 1 << 20;
    sc.wal_segment_bytes = 1 << 20;
    sc.checkpoint_wal_bytes = 2 << 20;
    sc.direct_io = false;
    sc.background = false;
    tc.background = false;
    tc.max_transactions = 64;
    TxnHooks hooks = {.arg = f, .shape = hook_shape, .purge_keys = hook_keys};
    OK(f, simdisk_vfs(f->disk, &f->err, &f->vfs));
    OK(f, txn_open(&f->cx, f->vfs, &f->root, NULL, &sc, &tc, &hooks, create, &f->ts));
    if (!create) {
        OK(f, txn_table_open(&f->cx, f->ts, f->table_ref, &f->table));
        OK(f, btree_open(&f->cx, txn_store(f->ts), f->index_ref, &f->index));
        OK(f, txn_sweep(&f->cx, f->ts));
    }
}

static Txn *begin(Fixture *f, TxnIsolation iso)
{
    Txn *t;
    OK(f, txn_begin(&f->cx, f->ts, iso, false, 1, &t));
    txn_statement(t);
    return t;
}

static void commit(Fixture *f, Txn *t)
{
    Lsn gate;
    OK(f, txn_commit(&f->cx, t, &gate));
    OK(f, wal_wait(&f->cx, txn_store(f->ts), gate));
}

static void close_system(Fixture *f, bool checkpoint)
{
    btree_close(f->index);
    txn_table_close(f->table);
    f->index = NULL;
    f->table = NULL;
    txn_close(&f->cx, f->ts, checkpoint);
    vfs_free(f->vfs);
}

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    arena_init(&f->arena, &f->root, 65536);
    ctx_init(&f->cx, &f->err, &f->root, &f->arena);
    OK(f, simdisk_new(&f->root, &f->err, &f->disk));
    open_system(f, true);
    Txn *t = begin(f, TXN_READ_COMMITTED);
    OK(f, txn_create_table(&f->cx, t, &f->table_ref));
    OK(f, txn_create_index(&f->cx, t, &f->index_ref));
    OK(f, txn_table_open(&f->cx, f->ts, f->table_ref, &f->table));
    OK(f, btree_open(&f->cx, txn_store(f->ts), f->index_ref, &f->index));
    OK(f, txn_sweep(&f->cx, f->ts));
    commit(f, t);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    close_system(f, true);
    simdisk_free(f->disk);
    arena_done(&f->arena);
    budget_done(&f->root);
    free(f);
    return 0;
}

static Tid insert(Fixture *f, Txn *t, uint64_t id, int64_t amount, const char *note)
{
    HeapValue row[3] = {heap_i64((int64_t)id), heap_i64(amount), heap_string(note, (uint32_t)strlen(note))};
    Tid tid;
    uint8_t buf[8];
    Tid other;
    OK(f, txn_insert(&f->cx, t, f->table, &shape, row, &tid));
    OK(f, txn_index_insert(&f->cx, t, f->index, f->table, key_of(id, buf), tid, (BTreeBytes){NULL, 0}, true, &other));
    return tid;
}

static TxnRowResult update(Fixture *f, Txn *t, Tid tid, int64_t amount, const char *note)
{
    uint16_t cols[2] = {1, 2};
    HeapValue values[2] = {heap_i64(amount), heap_string(note, (uint32_t)strlen(note))};
    TxnRowResult r;
    Tid now;
    bool no_room;
    OK(f, txn_update(&f->cx, t, f->table, &shape, tid, cols, values, 2, (TxnSeen){TS_NONE}, &r, &now, &no_room));
    assert_false(no_room);
    return r;
}

/* -1: not visible */
static int64_t amount_of(Fixture *f, Txn *t, Tid tid)
{
    uint16_t col = 1;
    HeapValue v;
    bool found;
    OK(f, txn_fetch(&f->cx, t, f->table, &shape, tid, &col, 1, &v, &found));
    return found ? v.i64 : -1;
}

static uint64_t scan_sum(Fixture *f, Txn *t, unsigned *out_rows)
{
    static int64_t data[HEAP_SLOTS_MAX] __attribute__((aligned(16)));
    static uint64_t nulls[HEAP_WORDS_MAX];
    static char strings[PAGE_BYTES];
    static Tid tids[HEAP_SLOTS_MAX];
    static uint64_t recheck[HEAP_WORDS_MAX];
    uint64_t sum = 0;
    unsigned rows = 0;
    bool more = true;
    for (uint32_t i = 0; more; i++) {
        HeapColumnOut c = {.column = 1, .data = data, .nulls = nulls};
        HeapBatch b = {.strings = strings};
        OK(f, txn_scan_page(&f->cx, t, f->table, &shape, i, NULL, 0, &c, 1, &b, tids, recheck, &more));
        for (uint32_t k = 0; k < b.n_rows; k++) {
            sum += (uint64_t)data[k];
        }
        rows += b.n_rows;
    }
    *out_rows = rows;
    return sum;
}

static void snapshots_see_what_was_committed(void **state)
{
    Fixture *f = *state;
    Txn *a = begin(f, TXN_READ_COMMITTED);
    Tid tid = insert(f, a, 1, 100, "one");
    Txn *early = begin(f, TXN_REPEATABLE_READ);
    assert_int_equal(amount_of(f, early, tid), -1);
    commit(f, a);
    assert_int_equal(amount_of(f, early, tid), -1);
    Txn *b = begin(f, TXN_READ_COMMITTED);
    Txn *late = begin(f, TXN_REPEATABLE_READ);
    assert_int_equal(amount_of(f, late, tid), 100);
    assert_int_equal(update(f, b, tid, 200, "a note that is longer than twelve bytes"), TXN_ROW_OK);
    assert_int_equal(amount_of(f, b, tid), 100); /* its own command does not see it */
    txn_next_command(b);
    assert_int_equal(amount_of(f, b, tid), 200);
    assert_int_equal(amount_of(f, late, tid), 100);
    commit(f, b);
    assert_int_equal(amount_of(f, late, tid), 100);
    unsigned rows;
    assert_int_equal(scan_sum(f, late, &rows), 100);
    assert_int_equal(rows, 1);
    assert_int_equal(scan_sum(f, early, &rows), 0);
    assert_int_equal(rows, 0);
    commit(f, early);
    commit(f, late);
}

static void rollback_restores(void **state)
{
    Fixture *f = *state;
    Txn *a = begin(f, TXN_READ_COMMITTED);
    Tid t1 = insert(f, a, 1, 10, "first note, longer than twelve");
    Tid t2 = insert(f, a, 2, 20, "second");
    commit(f, a);
    Txn *b = begin(f, TXN_READ_COMMITTED);
    TxnSavepoint sp;
    update(f, b, t1, 11, "changed");
    txn_statement(b);
    txn_savepoint(b, &sp);
    update(f, b, t1, 12, "changed again, and longer than before, much longer than that");
    txn_statement(b);
    TxnRowResult r;
    Tid now;
    OK(f, txn_delete(&f->cx, b, f->table, t2, (TxnSeen){TS_NONE}, &r, &now));
    assert_int_equal(r, TXN_ROW_OK);
    insert(f, b, 3, 30, "third");
    txn_statement(b);
    assert_int_equal(amount_of(f, b, t2), -1);
    OK(f, txn_rollback_to(&f->cx, b, &sp));
    assert_int_equal(amount_of(f, b, t1), 11);
    assert_int_equal(amount_of(f, b, t2), 20);
    unsigned rows;
    assert_int_equal(scan_sum(f, b, &rows), 31);
    OK(f, txn_abort(&f->cx, b));
    Txn *c = begin(f, TXN_READ_COMMITTED);
    assert_int_equal(scan_sum(f, c, &rows), 30);
    assert_int_equal(rows, 2);
    commit(f, c);
}

static void purge_empties_everything(void **state)
{
    Fixture *f = *state;
    Txn *a = begin(f, TXN_READ_COMMITTED);
    Tid tids[50];
    for (uint64_t i = 0; i < 50; i++) {
        tids[i] = insert(f, a, i, (int64_t)i, "row");
    }
    commit(f, a);
    Txn *old = begin(f, TXN_REPEATABLE_READ);
    Txn *b = begin(f, TXN_READ_COMMITTED);
    for (int i = 0; i < 50; i += 2) {
        TxnRowResult r;
        Tid now;
        OK(f, txn_delete(&f->cx, b, f->table, tids[i], (TxnSeen){TS_NONE}, &r, &now));
    }
    commit(f, b);
    uint64_t left;
    unsigned rows;
    OK(f, txn_purge(&f->cx, f->ts, &left));
    assert_int_equal(left, 1); /* `old` may need it */
    scan_sum(f, old, &rows);
    assert_int_equal(rows, 50);
    commit(f, old);
    OK(f, txn_purge(&f->cx, f->ts, &left));
    assert_int_equal(left, 0);
    TxnStats st;
    txn_stats(f->ts, &st);
    assert_int_equal(st.version_tables, 0);
    Txn *c = begin(f, TXN_READ_COMMITTED);
    scan_sum(f, c, &rows);
    assert_int_equal(rows, 25);
    commit(f, c);
}

static void a_crash_keeps_commits_and_undoes_the_rest(void **state)
{
    Fixture *f = *state;
    Txn *a = begin(f, TXN_READ_COMMITTED);
    Tid t1 = insert(f, a, 1, 10, "first");
    Tid t2 = insert(f, a, 2, 20, "second");
    commit(f, a);
    Txn *b = begin(f, TXN_READ_COMMITTED);
    update(f, b, t1, 99, "never to be seen");
    insert(f, b, 7, 70, "nor this");
    txn_statement(b);
    OK(f, store_checkpoint(&f->cx, txn_store(f->ts))); /* with b's undo in it */
    TxnRowResult r;
    Tid now;
    OK(f, txn_delete(&f->cx, b, f->table, t2, (TxnSeen){TS_NONE}, &r, &now));
    OK(f, wal_wait(&f->cx, txn_store(f->ts), wal_end(txn_store(f->ts))));
    simdisk_cut_now(f->disk);
    (void)txn_abort(&f->cx, b);
    err_clear(&f->err);
    close_system(f, false);
    SimDisk *after;
    OK(f, simdisk_survivor(f->disk, 5, &f->err, &after));
    simdisk_free(f->disk);
    f->disk = after;
    open_system(f, false);
    unsigned rows;
    Txn *c = begin(f, TXN_READ_COMMITTED);
    assert_int_equal(scan_sum(f, c, &rows), 30);
    assert_int_equal(rows, 2);
    assert_int_equal(amount_of(f, c, t1), 10);
    commit(f, c);
}

static void long_values_come_and_go(void **state)
{
    Fixture *f = *state;
    size_t n = 300000;
    char *big = malloc(n + 1);
    memset(big, 'x', n);
    big[n] = 0;
    Txn *a = begin(f, TXN_READ_COMMITTED);
    Tid t1 = insert(f, a, 1, 10, big);
    commit(f, a);
    Txn *b = begin(f, TXN_READ_COMMITTED);
    uint16_t col = 2;
    HeapValue v;
    bool found;
    OK(f, txn_fetch(&f->cx, b, f->table, &shape, t1, &col, 1, &v, &found));
    assert_int_equal(v.state, HEAP_OVERFLOW);
    OK(f, txn_fetch_overflow(&f->cx, b, f->table, &v, &f->arena));
    assert_int_equal(v.view.len, n);
    assert_memory_equal(heap_view_ptr(&v.view), big, n);
    update(f, b, t1, 11, big);
    OK(f, txn_abort(&f->cx, b));
    b = begin(f, TXN_READ_COMMITTED);
    update(f, b, t1, 11, "short");
    commit(f, b);
    uint64_t left;
    OK(f, txn_purge(&f->cx, f->ts, &left));
    assert_int_equal(left, 0);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(snapshots_see_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(rollback_restores, setup, teardown),
        cmocka_unit_test_setup_teardown(purge_empties_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_keeps_commits_and_undoes_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(long_values_come_and_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
