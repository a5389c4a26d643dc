/*
 * Changes of the catalog: seen by the own transaction at once, by others at commit; gone without trace after a rollback or a
 * power cut; and no session uses an old entry once it has its lock.
 */
#include "fixture.h"

#include "base/rng.h"

#define STR_LIT_INIT(s)                                                                                                \
    {                                                                                                                  \
        (s), sizeof(s) - 1                                                                                             \
    }

static const CatColumnNew two_columns[] = {
    {.name = STR_LIT_INIT("id"), .type = OID_INT4, .typmod = -1, .not_null = true},
    {.name = STR_LIT_INIT("note"), .type = OID_TEXT, .typmod = -1, .default_text = STR_LIT_INIT("'x'::text")},
};

static Oid create_table(Fixture *f, CatView *v, const char *name)
{
    Oid oid;
    OK(f, catalog_create_table(&f->cx, v, OID_PUBLIC, str_from(name), two_columns, 2, &oid));
    return oid;
}

static Oid create_pkey(Fixture *f, CatView *v, Oid table, const char *name)
{
    Oid index, constraint;
    CatKeyColumn key = {.attnum = 1};
    CatIndexNew x = {
        .name = str_from(name), .unique = true, .primary = true, .columns = &key, .n_columns = 1, .n_keys = 1};
    OK(f, catalog_create_index(&f->cx, v, table, &x, &index));
    CatConstraintNew c = {
        .name = str_from(name), .type = 'p', .keys = (const int16_t[]){1}, .n_keys = 1, .index = index};
    OK(f, catalog_add_constraint(&f->cx, v, table, &c, &constraint));
    return constraint;
}

static Oid oid_of(Fixture *f, CatView *v, const char *name)
{
    Oid oid;
    OK(f, catalog_relation_oid(&f->cx, v, 0, str_from(name), &oid));
    return oid;
}

static CatRelation *relation(Fixture *f, CatView *v, Oid oid)
{
    CatRelation *rel;
    OK(f, catalog_relation(&f->cx, v, oid, &rel));
    return rel;
}

static void a_new_table_is_seen_by_its_transaction_only_until_commit(void **state)
{
    Fixture *f = *state;
    CatView a = view_of(f, OID_POSTGRES_DB), b = view_of(f, OID_POSTGRES_DB);
    begin(f, &a);
    begin(f, &b);
    assert_int_equal(oid_of(f, &b, "t"), 0); /* cached as absent */
    Oid oid = create_table(f, &a, "t");
    assert_true(oid >= OID_FIRST_NORMAL);
    assert_int_equal(oid_of(f, &a, "t"), oid);
    assert_int_equal(oid_of(f, &b, "t"), 0);
    FAILS(f, ST_UNDEFINED_TABLE, catalog_relation(&f->cx, &b, oid, &(CatRelation *){NULL}));
    FAILS(f, ST_DUPLICATE_TABLE, catalog_create_table(&f->cx, &a, OID_PUBLIC, STR_LIT("t"), two_columns, 2, &(Oid){0}));
    commit(f, &a);
    assert_int_equal(oid_of(f, &b, "t"), oid); /* newest committed, though b's snapshot is older */
    CatRelation *rel = relation(f, &b, oid);
    assert_int_equal(rel->n_columns, 2);
    assert_string_equal(rel->columns[1].name, "note");
    assert_string_equal(rel->columns[1].default_text, "'x'::text");
    assert_true(rel->columns[0].not_null);
    assert_int_equal(rel->columns[1].collation, COLLATION_DEFAULT);
    catalog_release(rel);
    commit(f, &b);
    catalog_view_done(&a);
    catalog_view_done(&b);
}

static void a_rolled_back_change_leaves_nothing(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    Oid kept = create_table(f, &v, "kept");
    commit(f, &v);
    begin(f, &v);
    int16_t attnum;
    create_pkey(f, &v, create_table(f, &v, "gone"), "gone_pkey");
    CatColumnNew more = {.name = STR_LIT("more"), .type = OID_INT8, .typmod = -1};
    OK(f, catalog_add_column(&f->cx, &v, kept, &more, &attnum));
    OK(f, catalog_rename_relation(&f->cx, &v, kept, STR_LIT("renamed")));
    assert_int_equal(oid_of(f, &v, "renamed"), kept);
    OK(f, catalog_abort(&f->cx, &v));
    begin(f, &v);
    assert_int_equal(oid_of(f, &v, "gone"), 0);
    assert_int_equal(oid_of(f, &v, "gone_pkey"), 0);
    assert_int_equal(oid_of(f, &v, "renamed"), 0);
    assert_int_equal(oid_of(f, &v, "kept"), kept);
    CatRelation *rel = relation(f, &v, kept);
    assert_int_equal(rel->n_columns, 2);
    catalog_release(rel);
    /* The number that the rolled back column used is not used again. */
    OK(f, catalog_add_column(&f->cx, &v, kept, &more, &attnum));
    rel = relation(f, &v, kept);
    assert_int_equal(attnum, 3);
    assert_int_equal(rel->columns[2].physical, 3);
    catalog_release(rel);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

static void delete_all(Fixture *f, CatView *v, Oid table);

static void insert_wide(Fixture *f, CatView *v, Oid table, int id, int64_t more)
{
    CatRelation *rel = relation(f, v, table);
    const HeapLayout *l = heap_newest(&rel->shape);
    HeapValue row[8];
    Tid tid;
    assert_true(l->n_columns <= ARRAY_LEN(row));
    for (unsigned i = 0; i < l->n_columns; i++) {
        row[i] = heap_null();
    }
    row[rel->columns[0].physical] = cat_int4(id);
    row[rel->columns[1].physical] = cat_text("some text");
    row[rel->columns[2].physical] =
        rel->columns[2].type == OID_INT8 ? heap_i64(more) : cat_text("the column's second life, as text");
    OK(f, txn_insert(&f->cx, v->txn, rel->table, &rel->shape, row, &tid));
    catalog_release(rel);
}

/* Rows of a column that was rolled back leave its array in the page; the number's next user must not meet it. */
static void a_page_with_the_array_of_a_rolled_back_column_stays_good(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    CatColumnNew wide = {.name = STR_LIT("more"), .type = OID_INT8, .typmod = -1};
    CatColumnNew text = {.name = STR_LIT("more"), .type = OID_TEXT, .typmod = -1};
    int16_t attnum;
    begin(f, &v);
    Oid oid = create_table(f, &v, "t");
    commit(f, &v);
    begin(f, &v);
    OK(f, catalog_add_column(&f->cx, &v, oid, &wide, &attnum));
    for (int i = 0; i < 20; i++) {
        insert_wide(f, &v, oid, i, 1000 + i);
    }
    OK(f, catalog_abort(&f->cx, &v));
    begin(f, &v);
    OK(f, catalog_add_column(&f->cx, &v, oid, &text, &attnum));
    for (int i = 0; i < 20; i++) {
        insert_wide(f, &v, oid, i, 0);
    }
    commit(f, &v);
    begin(f, &v);
    CatRelation *rel = relation(f, &v, oid);
    HeapCheck check = {.report = report_problem};
    OK(f, heap_check(&f->cx, txn_table_object(rel->table), &rel->shape, &check));
    assert_int_equal(check.problems, 0);
    assert_int_equal(check.rows, 20);
    catalog_release(rel);
    delete_all(f, &v, oid);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f); /* purge reads whole rows, dropped columns too */
}

static void insert_rows(Fixture *f, CatView *v, Oid table, int from, int n)
{
    CatRelation *rel = relation(f, v, table);
    StrBuf key;
    strbuf_init(&key, &f->root);
    for (int i = from; i < from + n; i++) {
        HeapValue row[2] = {cat_int4(i), cat_text("a text longer than twelve bytes")};
        Tid tid, other;
        OK(f, txn_insert(&f->cx, v->txn, rel->table, &rel->shape, row, &tid));
        for (unsigned x = 0; x < rel->n_indexes; x++) {
            OK(f, catalog_index_key(&f->cx, rel, &rel->indexes[x], row, &key));
            BTreeBytes bytes = {(const uint8_t *)key.p, (uint32_t)key.len};
            OK(f, txn_index_insert(&f->cx, v->txn, rel->indexes[x].tree, rel->table, bytes, tid, (BTreeBytes){NULL, 0},
                                   rel->indexes[x].unique, &other));
        }
    }
    strbuf_done(&key);
    catalog_release(rel);
}

typedef struct Count {
    uint64_t entries;
} Count;
static Status count_entry(void *arg, Ctx *cx, const BTreeEntry *e)
{
    (void)cx;
    (void)e;
    ((Count *)arg)->entries++;
    return ST_OK;
}

static uint64_t entries_of(Fixture *f, CatView *v, Oid table)
{
    Count c = {0};
    CatRelation *rel = relation(f, v, table);
    BTreeCheck check = {.arg = &c, .report = report_problem, .entry = count_entry};
    OK(f, btree_check(&f->cx, rel->indexes[0].tree, &check));
    assert_int_equal(check.problems, 0);
    catalog_release(rel);
    return c.entries;
}

static void delete_all(Fixture *f, CatView *v, Oid table)
{
    CatRelation *rel = relation(f, v, table);
    bool more = true;
    for (uint32_t page = 0; more; page++) {
        Tid tids[HEAP_SLOTS_MAX], at;
        uint64_t recheck[HEAP_WORDS_MAX] = {0};
        HeapBatch b = {.strings = NULL};
        TxnRowResult r;
        OK(f, txn_scan_page(&f->cx, v->txn, rel->table, &rel->shape, page, NULL, 0, NULL, 0, &b, tids, recheck, &more));
        for (uint32_t i = 0; i < b.n_rows; i++) {
            OK(f, txn_delete(&f->cx, v->txn, rel->table, tids[i], (TxnSeen){TS_NONE}, &r, &at));
        }
    }
    catalog_release(rel);
}

static void purge_removes_index_entries_through_the_catalog(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    Oid oid = create_table(f, &v, "t");
    create_pkey(f, &v, oid, "t_pkey");
    insert_rows(f, &v, oid, 0, 100);
    commit(f, &v);
    begin(f, &v);
    assert_int_equal(entries_of(f, &v, oid), 100);
    delete_all(f, &v, oid);
    commit(f, &v);
    check_store(f);
    begin(f, &v);
    assert_int_equal(entries_of(f, &v, oid), 0);
    commit(f, &v);
    catalog_view_done(&v);
}

static void truncate_swaps_the_storage(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    Oid oid = create_table(f, &v, "t");
    create_pkey(f, &v, oid, "t_pkey");
    insert_rows(f, &v, oid, 0, 50);
    commit(f, &v);
    begin(f, &v);
    OK(f, catalog_truncate(&f->cx, &v, oid));
    assert_int_equal(entries_of(f, &v, oid), 0);
    insert_rows(f, &v, oid, 0, 7);
    commit(f, &v);
    begin(f, &v);
    assert_int_equal(entries_of(f, &v, oid), 7);
    OK(f, catalog_truncate(&f->cx, &v, oid));
    OK(f, catalog_abort(&f->cx, &v));
    begin(f, &v);
    assert_int_equal(entries_of(f, &v, oid), 7);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

static uint32_t rows_in(Fixture *f, CatView *v, CatIndexNo index)
{
    CatRowSet set;
    OK(f, cat_find(&f->cx, v, index, NULL, 0, &set));
    return set.n;
}

static void dropping_a_table_drops_all_of_its_rows(void **state)
{
    static const CatIndexNo all[] = {pg_class_oid_index,        pg_attribute_relid_attnum_index,
                                     pg_index_indexrelid_index, pg_constraint_oid_index,
                                     pg_attrdef_oid_index,      pg_type_oid_index,
                                     pg_depend_depender_index,  rdb_storage_relation_index};
    Fixture *f = *state;
    uint32_t before[ARRAY_LEN(all)];
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        before[i] = rows_in(f, &v, all[i]);
    }
    Oid oid = create_table(f, &v, "t");
    create_pkey(f, &v, oid, "t_pkey");
    commit(f, &v);
    begin(f, &v);
    OK(f, catalog_drop_table(&f->cx, &v, oid));
    assert_int_equal(oid_of(f, &v, "t"), 0);
    commit(f, &v);
    begin(f, &v);
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(rows_in(f, &v, all[i]), before[i]);
    }
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

static void dropping_a_column_drops_what_uses_it(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    Oid oid = create_table(f, &v, "t");
    create_pkey(f, &v, oid, "t_pkey");
    commit(f, &v);
    begin(f, &v);
    OK(f, catalog_drop_column(&f->cx, &v, oid, 1));
    CatRelation *rel = relation(f, &v, oid);
    assert_int_equal(rel->n_indexes, 0);
    assert_int_equal(rel->n_constraints, 0);
    assert_true(rel->columns[0].dropped);
    assert_false(heap_newest(&rel->shape)->columns[0].dropped); /* not before the commit */
    catalog_release(rel);
    commit(f, &v);
    begin(f, &v);
    rel = relation(f, &v, oid);
    assert_true(heap_newest(&rel->shape)->columns[0].dropped);
    catalog_release(rel);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

static void schemas_roles_and_databases(void **state)
{
    Fixture *f = *state;
    Oid schema, role, db, t;
    CatObject o;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    OK(f, catalog_create_schema(&f->cx, &v, STR_LIT("app"), OID_ADMIN, &schema));
    FAILS(f, ST_DUPLICATE_SCHEMA, catalog_create_schema(&f->cx, &v, STR_LIT("app"), OID_ADMIN, &(Oid){0}));
    FAILS(f, ST_RESERVED_NAME, catalog_create_schema(&f->cx, &v, STR_LIT("pg_app"), OID_ADMIN, &(Oid){0}));
    OK(f, catalog_create_table(&f->cx, &v, schema, STR_LIT("t"), two_columns, 2, &t));
    FAILS(f, ST_DEPENDENT_OBJECTS_STILL_EXIST, catalog_drop_schema(&f->cx, &v, schema));
    OK(f, catalog_drop_table(&f->cx, &v, t));
    OK(f, catalog_drop_schema(&f->cx, &v, schema));
    CatRoleNew r = {.name = STR_LIT("joe"), .login = true, .connection_limit = -1};
    OK(f, catalog_create_role(&f->cx, &v, &r, &role));
    OK(f, catalog_object_named(&f->cx, &v, CAT_ROLE, 0, STR_LIT("joe"), &o));
    assert_true(o.oid == role && o.login && !o.superuser);
    OK(f, catalog_drop_role(&f->cx, &v, role));
    OK(f, catalog_object(&f->cx, &v, CAT_ROLE, role, &o));
    assert_int_equal(o.oid, 0);
    OK(f, catalog_create_database(&f->cx, &v, STR_LIT("second"), OID_TEMPLATE1, OID_ADMIN, &db));
    commit(f, &v);

    CatView w = view_of(f, db);
    begin(f, &w);
    assert_int_equal(oid_of(f, &w, "pg_class"), 1259);
    Oid there = create_table(f, &w, "only_here");
    commit(f, &w);
    begin(f, &v);
    assert_int_equal(oid_of(f, &v, "only_here"), 0);
    FAILS(f, ST_UNDEFINED_TABLE, catalog_relation(&f->cx, &v, there, &(CatRelation *){NULL}));
    OK(f, catalog_drop_database(&f->cx, &v, db));
    commit(f, &v);
    catalog_view_done(&w);
    catalog_view_done(&v);
    check_store(f);
}

static void a_role_is_known_to_others_from_its_commit_on(void **state)
{
    Fixture *f = *state;
    Oid role;
    CatObject o;
    CatView a = view_of(f, OID_POSTGRES_DB), b = view_of(f, OID_TEMPLATE1);
    CatRoleNew r = {.name = STR_LIT("ann"), .login = true, .connection_limit = -1};
    begin(f, &a);
    begin(f, &b);
    OK(f, catalog_object_named(&f->cx, &b, CAT_ROLE, 0, STR_LIT("ann"), &o));
    assert_int_equal(o.oid, 0);
    OK(f, catalog_create_role(&f->cx, &a, &r, &role));
    OK(f, catalog_object_named(&f->cx, &a, CAT_ROLE, 0, STR_LIT("ann"), &o));
    assert_int_equal(o.oid, role);
    OK(f, catalog_object_named(&f->cx, &b, CAT_ROLE, 0, STR_LIT("ann"), &o));
    assert_int_equal(o.oid, 0);
    commit(f, &a);
    OK(f, catalog_object_named(&f->cx, &b, CAT_ROLE, 0, STR_LIT("ann"), &o)); /* in another database, too */
    assert_int_equal(o.oid, role);
    commit(f, &b);
    catalog_view_done(&a);
    catalog_view_done(&b);
}

static void names_and_types_as_sql_shows_them(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    StrBuf sb;
    bool found;
    strbuf_init(&sb, &f->root);
    begin(f, &v);
    Oid schema, hidden;
    OK(f, catalog_create_schema(&f->cx, &v, STR_LIT("My"), OID_ADMIN, &schema));
    OK(f, catalog_create_table(&f->cx, &v, schema, STR_LIT("select"), two_columns, 2, &hidden));
    OK(f, catalog_relation_text(&f->cx, &v, hidden, &sb, &found));
    assert_string_equal(sb.p, "\"My\".\"select\"");
    strbuf_reset(&sb);
    OK(f, catalog_relation_text(&f->cx, &v, 1259, &sb, &found));
    assert_string_equal(sb.p, "pg_class");
    strbuf_reset(&sb);
    OK(f, catalog_format_type(&f->cx, &v, OID_VARCHAR, 9, &sb));
    assert_string_equal(sb.p, "character varying(5)");
    strbuf_reset(&sb);
    CatRelation *rel = relation(f, &v, hidden);
    CatObject row_type;
    OK(f, catalog_object(&f->cx, &v, CAT_TYPE, rel->row_type, &row_type));
    OK(f, catalog_format_type(&f->cx, &v, row_type.array, -1, &sb));
    assert_string_equal(sb.p, "\"My\".\"select\"[]");
    catalog_release(rel);
    NameHooks hooks = catalog_name_hooks(&v);
    FnCtx fx = {.cx = &f->cx, .arena = &f->arena, .facts = &session_facts_default};
    Oid oid;
    OK(f, hooks.reg_in(hooks.arg, &fx, OID_REGCLASS, STR_LIT("\"My\".\"select\""), &oid));
    assert_int_equal(oid, hidden);
    OK(f, hooks.reg_in(hooks.arg, &fx, OID_REGCLASS, STR_LIT("PG_CLASS"), &oid));
    assert_int_equal(oid, 1259);
    FAILS(f, ST_UNDEFINED_TABLE, hooks.reg_in(hooks.arg, &fx, OID_REGCLASS, STR_LIT("nowhere"), &oid));
    OK(f, catalog_abort(&f->cx, &v));
    strbuf_done(&sb);
    catalog_view_done(&v);
}

/* Order of keys = order of the index, for random values, NULLs and both directions. */
static void keys_order_as_the_index_does(void **state)
{
    (void)state;
    Rng rng;
    Budget budget;
    budget_init(&budget, "keys", NULL, 0, 0);
    rng_seed(&rng, 20261121);
    for (int i = 0; i < 20000; i++) {
        CatKeyColumn c = {.type = value_type_of(i % 2 ? OID_INT8 : OID_TEXT),
                          .desc = rng_below(&rng, 2),
                          .nulls_first = rng_below(&rng, 2)};
        HeapValue value[2];
        char text[2][40];
        StrBuf key[2];
        for (int k = 0; k < 2; k++) {
            int n = snprintf(text[k], sizeof text[k], "%.*s%d", (int)rng_below(&rng, 14), "aaaaaaaaaaaaaa",
                             (int)rng_below(&rng, 3));
            value[k] = rng_below(&rng, 5) == 0 ? heap_null()
                       : i % 2                 ? heap_i64((int64_t)rng_below(&rng, 7) - 3)
                                               : heap_string(text[k], (uint32_t)n);
            strbuf_init(&key[k], &budget);
            cat_key_append(&c, &value[k], &key[k]);
        }
        bool null0 = value[0].state == HEAP_NULL, null1 = value[1].state == HEAP_NULL;
        int want = null0 && null1 ? 0
                   : null0        ? (c.nulls_first ? -1 : 1)
                   : null1        ? (c.nulls_first ? 1 : -1)
                                  : type_cmp(&c.type, value[0].bytes, value[1].bytes) * (c.desc ? -1 : 1);
        int got = str_cmp(strbuf_str(&key[0]), strbuf_str(&key[1]));
        assert_int_equal((want > 0) - (want < 0), (got > 0) - (got < 0));
        strbuf_done(&key[0]);
        strbuf_done(&key[1]);
    }
    budget_done(&budget);
}

/* A power cut in the middle of changes: what had committed is there, all else is gone, and nothing has leaked. */
static void power_cuts_during_changes(void **state)
{
    Fixture *f = *state;
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    Oid kept = create_table(f, &v, "kept");
    commit(f, &v);
    OK(f, store_checkpoint(&f->cx, txn_store(f->ts)));
    begin(f, &v);
    create_pkey(f, &v, create_table(f, &v, "half"), "half_pkey");
    OK(f, catalog_drop_table(&f->cx, &v, kept));
    OK(f, wal_wait(&f->cx, txn_store(f->ts), wal_end(txn_store(f->ts)))); /* all of it is in the log, but the commit */
    OK(f, store_tick(&f->cx, txn_store(f->ts)));
    simdisk_cut_now(f->disk);
    (void)catalog_abort(&f->cx, &v);
    catalog_view_done(&v);
    close_engine(f, false);
    err_clear(&f->err);
    SimDisk *cut = f->disk;
    OK(f, simdisk_survivor(cut, 7, &f->err, &f->disk));
    simdisk_free(cut);
    OK(f, try_open(f, false));
    v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    assert_int_equal(oid_of(f, &v, "half"), 0);
    assert_int_equal(oid_of(f, &v, "half_pkey"), 0);
    assert_int_equal(oid_of(f, &v, "kept"), kept);
    Oid next = create_table(f, &v, "next");
    assert_true(next > kept);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_table_is_seen_by_its_transaction_only_until_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rolled_back_change_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_with_the_array_of_a_rolled_back_column_stays_good, setup, teardown),
        cmocka_unit_test_setup_teardown(purge_removes_index_entries_through_the_catalog, setup, teardown),
        cmocka_unit_test_setup_teardown(truncate_swaps_the_storage, setup, teardown),
        cmocka_unit_test_setup_teardown(dropping_a_table_drops_all_of_its_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(dropping_a_column_drops_what_uses_it, setup, teardown),
        cmocka_unit_test_setup_teardown(schemas_roles_and_databases, setup, teardown),
        cmocka_unit_test_setup_teardown(a_role_is_known_to_others_from_its_commit_on, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_types_as_sql_shows_them, setup, teardown),
        cmocka_unit_test_setup_teardown(power_cuts_during_changes, setup, teardown),
        cmocka_unit_test(keys_order_as_the_index_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
