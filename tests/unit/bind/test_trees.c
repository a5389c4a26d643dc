/*
 * What statements mean: their logical trees, as text (trees.def); and that every failed allocation is answered.
 */
#include "bind_fixture.h"

static const struct TreeCase {
    const char *sql, *tree;
} cases[] = {
#define TREE_CASE(s, t) {s, t},
#include "trees.def"
};

static void statements_become_these_trees(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf sb;
        strbuf_init(&sb, &f->root);
        Status st = bind_text(f, cases[i].sql, &sb);
        if (st != ST_OK) {
            fail_msg("%s: %s %s", cases[i].sql, f->err.sqlstate, f->err.message);
        }
        assert_string_equal(sb.p, cases[i].tree);
        assert_int_equal(f->held, 0);
        strbuf_done(&sb);
    }
}

static void a_failed_allocation_is_an_error_and_holds_nothing(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i += 5) {
        MemFault fault = {.countdown = -1};
        f->root.fault = &fault;
        for (int64_t n = 1;; n++) {
            arena_done(&f->arena);
            arena_init(&f->arena, &f->root, 256);
            atomic_store(&fault.countdown, n);
            Status st = bind_text(f, cases[i].sql, NULL);
            bool fired = atomic_load(&fault.countdown) <= 0;
            atomic_store(&fault.countdown, -1);
            assert_int_equal(f->held, 0);
            if (!fired) {
                assert_int_equal(st, ST_OK);
                break;
            }
            assert_int_equal(st, ST_OUT_OF_MEMORY);
        }
        f->root.fault = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(statements_become_these_trees, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_is_an_error_and_holds_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
