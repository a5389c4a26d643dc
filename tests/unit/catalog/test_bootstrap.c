/*
 * A fresh directory has PostgreSQL's catalogs, and they are there again after a stop.
 */
#include "fixture.h"

static uint32_t count_rows(Fixture *f, CatView *v, CatIndexNo index)
{
    CatRowSet set;
    OK(f, cat_find(&f->cx, v, index, NULL, 0, &set));
    return set.n;
}

static void catalogs_have_postgresql_rows(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    assert_int_equal(count_rows(f, &v, pg_proc_oid_index), 3245);
    assert_int_equal(count_rows(f, &v, pg_operator_oid_index), 799);
    assert_int_equal(count_rows(f, &v, pg_cast_oid_index), 229);
    assert_int_equal(count_rows(f, &v, pg_database_oid_index), 2);
    HeapValue key = cat_oid(OID_INT4);
    CatRow row;
    OK(f, cat_find_one(&f->cx, &v, pg_type_oid_index, &key, 1, &row));
    Str name = cat_get_str(&row.values[pg_type_typname]);
    assert_true(str_eq(name, STR_LIT("int4")));
    commit(f, &v);
    catalog_view_done(&v);
}

/* Each catalog table as the catalogs describe it is what the facts say it is: columns, types, indexes. */
static void catalogs_describe_themselves(void **state)
{
    Fixture *f = *state;
    CatSpan columns[CAT_TABLE_COUNT], indexes[CAT_TABLE_COUNT];
    CatView v = view_of(f, OID_POSTGRES_DB);
    cat_spans(columns, indexes);
    begin(f, &v);
    for (unsigned t = 0; t < CAT_rdb_storage; t++) {
        CatRelation *rel;
        OK(f, catalog_relation(&f->cx, &v, cat_table_defs[t].oid, &rel));
        assert_string_equal(rel->name, cat_table_defs[t].name);
        assert_int_equal(rel->schema, cat_table_defs[t].schema);
        assert_int_equal(rel->shared, cat_table_defs[t].shared);
        assert_int_equal(rel->n_columns, columns[t].n);
        for (unsigned i = 0; i < rel->n_columns; i++) {
            const CatColumnDef *d = &cat_column_defs[columns[t].first + i];
            assert_string_equal(rel->columns[i].name, d->name);
            assert_int_equal(rel->columns[i].type, d->type);
            assert_int_equal(rel->columns[i].typmod, d->typmod);
            assert_int_equal(rel->columns[i].not_null, d->not_null);
            assert_int_equal(rel->columns[i].collation, d->collation);
        }
        assert_int_equal(rel->n_indexes, indexes[t].n);
        for (unsigned x = 0; x < rel->n_indexes; x++) {
            const CatIndexDef *d = &cat_index_defs[indexes[t].first + x];
            assert_string_equal(rel->indexes[x].name, d->name);
            assert_int_equal(rel->indexes[x].unique, d->unique);
            assert_int_equal(rel->indexes[x].n_keys, d->n_keys);
        }
        catalog_release(rel);
    }
    commit(f, &v);
    catalog_view_done(&v);
}

static void catalogs_survive_a_stop(void **state)
{
    Fixture *f = *state;
    check_store(f);
    close_engine(f, true);
    OK(f, try_open(f, false));
    catalogs_have_postgresql_rows(state);
    check_store(f);
}

static void an_unknown_database_is_an_error(void **state)
{
    Fixture *f = *state;
    CatView v;
    FAILS(f, ST_INVALID_CATALOG_NAME, catalog_view_init(&f->cx, f->cat, 99999, OID_ADMIN, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(catalogs_have_postgresql_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(catalogs_describe_themselves, setup, teardown),
        cmocka_unit_test_setup_teardown(catalogs_survive_a_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_database_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
