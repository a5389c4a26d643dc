/*
 * What is wrong with a statement, said as PostgreSQL 15 says it: SQLSTATE, position, message, detail, hint (errors.def).
 */
#include "bind_fixture.h"

static const struct ErrorCase {
    const char *sql, *sqlstate;
    int position;
    const char *message, *detail, *hint;
} cases[] = {
#define ERROR_CASE(s, state, pos, msg, det, hin) {s, state, pos, msg, det, hin},
#include "errors.def"
};

/* Statements whose answer differs for now; each is named in src/bind/README.md. The list only shrinks. */
static const char *const known[] = {
    "",
#include "errors_known.inc"
};

static bool is_known(const char *sql)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i], sql) == 0) {
            return true;
        }
    }
    return false;
}

static const char *or_empty(const char *s)
{
    return s != NULL ? s : "";
}

static void errors_are_postgresqls(void **state)
{
    Fixture *f = *state;
    int different = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ErrorCase *k = &cases[i];
        Status st = bind_text(f, k->sql, NULL);
        bool same = st != ST_OK && strcmp(f->err.sqlstate, k->sqlstate) == 0 && f->err.position == k->position &&
                    strcmp(or_empty(f->err.message), k->message) == 0 &&
                    strcmp(or_empty(f->err.detail), k->detail) == 0 && strcmp(or_empty(f->err.hint), k->hint) == 0;
        assert_int_equal(f->held, 0); /* nothing is held after an error */
        if (same == is_known(k->sql)) {
            different++;
            print_message("%s\n  got  %s %d %s | %s | %s\n  want %s %d %s | %s | %s\n", k->sql, f->err.sqlstate,
                          f->err.position, or_empty(f->err.message), or_empty(f->err.detail), or_empty(f->err.hint),
                          k->sqlstate, k->position, k->message, k->detail, k->hint);
        }
    }
    assert_int_equal(different, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(errors_are_postgresqls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
