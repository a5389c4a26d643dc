/*
 * Power cuts at the I/Os of a series of schema changes: whatever survives is the state after one of the commits, no older
 * than the last one that was acknowledged, and nothing has leaked.
 */
#include "fixture.h"

enum { STEPS = 6, SURVIVALS = 2 };

/* What the catalogs show: a sum over the tables a0..a5 of what exists, so that each step has a state of its own. */
typedef struct State {
    bool table[STEPS];
    unsigned columns[STEPS];
    unsigned indexes[STEPS];
} State;

static const char *table_name(unsigned i)
{
    static const char *const names[STEPS] = {"a0", "a1", "a2", "a3", "a4", "a5"};
    return names[i];
}

static State look(Fixture *f)
{
    State s;
    memset(&s, 0, sizeof s);
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    for (unsigned i = 0; i < STEPS; i++) {
        Oid oid;
        CatRelation *rel;
        OK(f, catalog_relation_oid(&f->cx, &v, 0, str_from(table_name(i)), &oid));
        if (oid != 0) {
            OK(f, catalog_relation(&f->cx, &v, oid, &rel));
            s.table[i] = true;
            s.columns[i] = rel->n_columns;
            s.indexes[i] = rel->n_indexes;
            catalog_release(rel);
        }
    }
    commit(f, &v);
    catalog_view_done(&v);
    return s;
}

/* Step i: creates table i with an index; changes table i-1: a column, truncation; drops table i-2. */
static void step(Fixture *f, unsigned i)
{
    Oid oid, index;
    int16_t attnum;
    CatColumnNew columns[] = {{.name = STR_LIT("id"), .type = OID_INT4, .typmod = -1},
                              {.name = STR_LIT("b"), .type = OID_TEXT, .typmod = -1}};
    CatKeyColumn key = {.attnum = 1};
    CatIndexNew x = {.unique = true, .columns = &key, .n_columns = 1, .n_keys = 1};
    char name[16];
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    OK(f, catalog_create_table(&f->cx, &v, OID_PUBLIC, str_from(table_name(i)), columns, 2, &oid));
    snprintf(name, sizeof name, "x%u", i);
    x.name = str_from(name);
    OK(f, catalog_create_index(&f->cx, &v, oid, &x, &index));
    if (i >= 1) {
        OK(f, catalog_relation_oid(&f->cx, &v, 0, str_from(table_name(i - 1)), &oid));
        CatColumnNew more = {.name = STR_LIT("more"), .type = OID_INT8, .typmod = -1};
        OK(f, catalog_add_column(&f->cx, &v, oid, &more, &attnum));
        OK(f, catalog_truncate(&f->cx, &v, oid));
    }
    if (i >= 2) {
        OK(f, catalog_relation_oid(&f->cx, &v, 0, str_from(table_name(i - 2)), &oid));
        OK(f, catalog_drop_table(&f->cx, &v, oid));
    }
    commit(f, &v);
    catalog_view_done(&v);
    arena_reset(&f->arena);
}

static void survive(Fixture *f, uint64_t io, uint64_t seed, const State *states, unsigned acknowledged)
{
    Fixture *g = calloc(1, sizeof *g);
    budget_init(&g->root, "survivor", NULL, 0, 0);
    err_clear(&g->err);
    arena_init(&g->arena, &g->root, 65536);
    ctx_init(&g->cx, &g->err, &g->root, &g->arena);
    OK(g, simdisk_survivor_at(f->disk, io, seed, &g->err, &g->disk));
    OK(g, try_open(g, false));
    State s = look(g);
    bool found = false;
    for (unsigned i = acknowledged; i <= STEPS; i++) {
        found = found || memcmp(&s, &states[i], sizeof s) == 0;
    }
    if (!found) {
        print_error("after I/O %llu, seed %llu: not the state of a commit\n", (unsigned long long)io,
                    (unsigned long long)seed);
    }
    assert_true(found);
    check_store(g);
    close_engine(g, io % 2 == 0);
    simdisk_free(g->disk);
    arena_done(&g->arena);
    budget_done(&g->root);
    free(g);
}

static void a_cut_leaves_the_state_of_a_commit(void **state)
{
    (void)state;
    Fixture *f = calloc(1, sizeof *f);
    State states[STEPS + 1];
    uint64_t ios[STEPS + 1];
    fixture_init(f);
    OK(f, simdisk_record(f->disk, true, &f->err));
    OK(f, try_open(f, true));
    OK(f, store_checkpoint(&f->cx, txn_store(f->ts)));
    states[0] = look(f);
    ios[0] = simdisk_io_count(f->disk);
    for (unsigned i = 0; i < STEPS; i++) {
        step(f, i);
        ios[i + 1] = simdisk_io_count(f->disk);
        states[i + 1] = look(f);
        if (i == 3) {
            OK(f, store_checkpoint(&f->cx, txn_store(f->ts)));
        }
    }
    uint64_t last = simdisk_io_count(f->disk);
    uint64_t every =
        (last - ios[0]) / 24 + 1; /* about two dozen cuts, another set of them with every change of the code */
    for (uint64_t io = ios[0]; io <= last; io += every) {
        unsigned acknowledged = 0;
        while (acknowledged < STEPS && ios[acknowledged + 1] <= io) {
            acknowledged++;
        }
        for (uint64_t seed = 1; seed <= SURVIVALS; seed++) {
            survive(f, io, io * SURVIVALS + seed, states, acknowledged);
        }
    }
    close_engine(f, true);
    fixture_done(f);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_leaves_the_state_of_a_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
