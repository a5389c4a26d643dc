/*
 * Threads: side by side, one after another by the thousand, ended early and begun again.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "parse_fixture.h"

static bool parses(Fixture *f, const char *sql, Status expected)
{
    AstStmtList *list;
    arena_reset(&f->arena);
    return try_parse(f, sql, &list) == expected;
}

static void *work(void *arg)
{
    _Atomic int *failures = arg;
    Fixture f;
    fixture_init(&f);
    for (int i = 0; i < 2000; i++) {
        bool ok = parses(&f, "select a, 'é' from t where b = 12345 and c in (1, 2, 3)", ST_OK) &&
                  parses(&f, "select 1 +", ST_SYNTAX_ERROR) && f.err.position == 11 &&
                  parses(&f, "insert into t values (1), (2)", ST_OK);
        if (!ok) {
            atomic_fetch_add(failures, 1);
        }
        if (i % 500 == 0) {
            parse_thread_done(); /* and begins again by itself */
        }
    }
    fixture_done(&f);
    return NULL;
}

static void threads_parse_side_by_side(void **state)
{
    (void)state;
    _Atomic int failures = 0;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &failures), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(failures, 0);
}

static void *parse_once(void *arg)
{
    Fixture f;
    fixture_init(&f);
    *(bool *)arg = parses(&f, "select 1", ST_OK);
    fixture_done(&f);
    return NULL;
}

/* A process has 1,024 thread-specific keys: a key a thread would use them up. What a thread leaves, LSan reports. */
static void threads_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 1500; i++) {
        pthread_t thread;
        bool ok = false;
        assert_int_equal(pthread_create(&thread, NULL, parse_once, &ok), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(ok);
    }
}

static void *init_only(void *arg)
{
    Error err;
    err_clear(&err);
    *(bool *)arg = parse_thread_init(&err) == ST_OK && parse_thread_init(&err) == ST_OK;
    return NULL;
}

static void a_thread_may_set_up_and_never_parse(void **state)
{
    (void)state;
    pthread_t thread;
    bool ok = false;
    assert_int_equal(pthread_create(&thread, NULL, init_only, &ok), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(ok);
    parse_thread_done(); /* of a thread that never began: nothing */
    parse_thread_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_parse_side_by_side),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(a_thread_may_set_up_and_never_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
