/*
 * The cache under threads: who holds a lock on a relation never sees an old entry, and every entry is whole.
 */
#include "fixture.h"

#include "os/thread.h"

enum { CHANGES = 60, READERS = 3 };

typedef struct Shared {
    Fixture *f;
    Oid table;
    _Atomic int done; /* changes committed: columns are 2 + done */
    _Atomic bool stop;
    _Atomic int failures;
    _Atomic int looks;
} Shared;

typedef struct Session {
    Error err;
    Budget *budget;
    Arena arena;
    Ctx cx;
    CatView v;
} Session;

static void session_begin(Shared *s, Session *me)
{
    err_clear(&me->err);
    arena_init(&me->arena, &s->f->root, 65536);
    ctx_init(&me->cx, &me->err, &s->f->root, &me->arena);
    if (catalog_view_init(&me->cx, s->f->cat, OID_POSTGRES_DB, OID_ADMIN, &me->v) != ST_OK) {
        abort();
    }
}

static void session_txn(Shared *s, Session *me)
{
    Txn *t;
    if (txn_begin(&me->cx, s->f->ts, TXN_READ_COMMITTED, false, 1, &t) != ST_OK) {
        abort();
    }
    txn_statement(t);
    catalog_view_begin(&me->v, t);
}

static void session_commit(Session *me)
{
    Lsn gate;
    if (catalog_commit(&me->cx, &me->v, &gate) != ST_OK) {
        fprintf(stderr, "commit: %s\n", me->err.message);
        abort();
    }
    arena_reset(&me->arena);
}

/* Under the lock the relation has every column that was committed before the lock was asked for. */
static void reader(void *arg)
{
    Shared *s = arg;
    Session me;
    session_begin(s, &me);
    while (!atomic_load(&s->stop)) {
        CatRelation *rel;
        session_txn(s, &me);
        int least = atomic_load(&s->done);
        Status st = catalog_open_relation(&me.cx, &me.v, STR_LIT("public"), STR_LIT("t"), LOCK_ACCESS_SHARE, &rel);
        if (st != ST_OK) {
            fprintf(stderr, "reader: %s\n", me.err.message);
            abort();
        }
        int most = atomic_load(&s->done) + 1; /* the writer may have committed and not counted yet */
        bool good = rel->n_columns >= 2 + least && rel->n_columns <= 2 + most &&
                    heap_newest(&rel->shape)->n_columns >= rel->n_columns;
        atomic_fetch_add(&s->failures, !good);
        atomic_fetch_add(&s->looks, 1);
        catalog_release(rel);
        session_commit(&me);
    }
    catalog_view_done(&me.v);
    arena_done(&me.arena);
}

static void writer(void *arg)
{
    Shared *s = arg;
    Session me;
    session_begin(s, &me);
    for (int i = 0; i < CHANGES; i++) {
        CatRelation *rel;
        int16_t attnum;
        char name[32];
        snprintf(name, sizeof name, "c%d", i);
        CatColumnNew c = {.name = str_from(name), .type = OID_INT4, .typmod = -1};
        session_txn(s, &me);
        if (catalog_open_relation(&me.cx, &me.v, STR_LIT("public"), STR_LIT("t"), LOCK_ACCESS_EXCLUSIVE, &rel) !=
                ST_OK ||
            catalog_add_column(&me.cx, &me.v, s->table, &c, &attnum) != ST_OK) {
            fprintf(stderr, "writer: %s\n", me.err.message);
            abort();
        }
        catalog_release(rel);
        if (i % 3 == 2) { /* taken back: nobody may ever see it */
            (void)catalog_abort(&me.cx, &me.v);
            arena_reset(&me.arena);
        } else {
            session_commit(&me);
            atomic_fetch_add(&s->done, 1);
        }
    }
    atomic_store(&s->stop, true);
    catalog_view_done(&me.v);
    arena_done(&me.arena);
}

static void a_lock_holder_sees_the_newest_definition(void **state)
{
    Fixture *f = *state;
    CatColumnNew columns[] = {{.name = STR_LIT("a"), .type = OID_INT4, .typmod = -1},
                              {.name = STR_LIT("b"), .type = OID_TEXT, .typmod = -1}};
    Shared s = {.f = f};
    OsThread *threads[READERS + 1];
    CatView v = view_of(f, OID_POSTGRES_DB);
    begin(f, &v);
    OK(f, catalog_create_table(&f->cx, &v, OID_PUBLIC, STR_LIT("t"), columns, 2, &s.table));
    commit(f, &v);
    for (int i = 0; i < READERS; i++) {
        OK(f, os_thread_start("reader", reader, &s, &f->err, &threads[i]));
    }
    OK(f, os_thread_start("writer", writer, &s, &f->err, &threads[READERS]));
    for (int i = 0; i <= READERS; i++) {
        os_thread_join(threads[i]);
    }
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_true(atomic_load(&s.looks) > 0);
    begin(f, &v);
    CatRelation *rel;
    OK(f, catalog_relation(&f->cx, &v, s.table, &rel));
    assert_int_equal(rel->n_columns, 2 + CHANGES - CHANGES / 3);
    catalog_release(rel);
    commit(f, &v);
    catalog_view_done(&v);
    check_store(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lock_holder_sees_the_newest_definition, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
