/*
 * Every allocation of a transaction of changes fails once: the transaction is rolled back, nothing is left of it, and the next
 * one does the same without trouble.
 */
#include "fixture.h"

static Status changes(Fixture *f, CatView *v)
{
    static const int16_t keys[] = {1};
    Oid table, index, constraint;
    int16_t attnum;
    CatColumnNew columns[] = {
        {.name = STR_LIT("id"), .type = OID_INT4, .typmod = -1, .not_null = true},
        {.name = STR_LIT("note"), .type = OID_TEXT, .typmod = -1, .default_text = STR_LIT("'none'::text")}};
    CatColumnNew more = {.name = STR_LIT("more"), .type = OID_INT8, .typmod = -1};
    CatKeyColumn key = {.attnum = 1};
    CatIndexNew x = {
        .name = STR_LIT("t_pkey"), .unique = true, .primary = true, .columns = &key, .n_columns = 1, .n_keys = 1};
    Status st = catalog_create_table(&f->cx, v, OID_PUBLIC, STR_LIT("t"), columns, 2, &table);
    if (st == ST_OK) {
        st = catalog_create_index(&f->cx, v, table, &x, &index);
    }
    if (st == ST_OK) {
        CatConstraintNew c = {.name = STR_LIT("t_pkey"), .type = 'p', .keys = keys, .n_keys = 1, .index = index};
        st = catalog_add_constraint(&f->cx, v, table, &c, &constraint);
    }
    if (st == ST_OK) {
        st = catalog_add_column(&f->cx, v, table, &more, &attnum);
    }
    if (st == ST_OK) {
        st = catalog_truncate(&f->cx, v, table);
    }
    if (st == ST_OK) {
        st = catalog_rename_relation(&f->cx, v, table, STR_LIT("u"));
    }
    if (st == ST_OK) {
        st = catalog_drop_column(&f->cx, v, table, 2);
    }
    return st == ST_OK ? catalog_drop_table(&f->cx, v, table) : st;
}

/* One transaction of all changes; rolled back at the end, or where it failed. */
static Status one_round(Fixture *f, CatView *v)
{
    Txn *t;
    Status st = txn_begin(&f->cx, f->ts, TXN_READ_COMMITTED, false, 1, &t);
    if (st != ST_OK) {
        return st;
    }
    txn_statement(t);
    catalog_view_begin(v, t);
    st = changes(f, v);
    Status end = catalog_abort(&f->cx, v);
    arena_reset(&f->arena);
    return st != ST_OK ? st : end;
}

static void every_allocation_may_fail(void **state)
{
    Fixture *f = *state;
    MemFault fault = {.persistent = false};
    CatView v = view_of(f, OID_POSTGRES_DB);
    uint64_t rounds = 0, left;
    atomic_store(&fault.countdown, -1);
    f->root.fault = &fault;
    for (int64_t n = 1;; n++) {
        atomic_store(&fault.fired, 0);
        atomic_store(&fault.countdown, n);
        Status st = one_round(f, &v);
        atomic_store(&fault.countdown, -1);
        if (atomic_load(&fault.fired) == 0) {
            assert_int_equal(st, ST_OK);
            break;
        }
        /* A failure that costs nothing but an entry in the cache is none. */
        assert_true(st == ST_OK || st == ST_OUT_OF_MEMORY);
        err_clear(&f->err);
        rounds++;
        if (n % 64 == 0) { /* the pages of what was rolled back are given back */
            OK(f, store_tick(&f->cx, txn_store(f->ts)));
            OK(f, txn_purge(&f->cx, f->ts, &left));
        }
    }
    assert_true(rounds > 50);
    OK(f, one_round(f, &v));
    begin(f, &v);
    Oid oid;
    OK(f, catalog_relation_oid(&f->cx, &v, 0, STR_LIT("t"), &oid));
    assert_int_equal(oid, 0);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
    f->root.fault = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
