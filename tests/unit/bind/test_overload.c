/*
 * Which operator or function a call means: cases taken from a PostgreSQL 15 (pg_typeof, SQLSTATE and text of the error).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bind/overload.h"

typedef struct Fixture {
    Budget root;
    Error err;
    Ctx cx;
    Arena arena;
    Registry registry;
    Coercer c;
} Fixture;

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    arena_init(&f->arena, &f->root, 65536);
    ctx_init(&f->cx, &f->err, &f->root, &f->arena);
    assert_int_equal(registry_init(&f->registry, &f->root, &f->err), ST_OK);
    f->c = (Coercer){.b = {&f->cx, &f->arena, &f->registry}, .facts = &session_facts_default};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    registry_done(&f->registry);
    arena_done(&f->arena);
    budget_done(&f->root);
    free(f);
    return 0;
}

static const Expr *literal(Fixture *f, const char *text)
{
    ValueType t = value_type_of(OID_TEXT);
    ExprValue v;
    const Expr *e;
    memset(&v, 0, sizeof v);
    v.str = strview_make(text, (uint32_t)strlen(text));
    t.oid = OID_UNKNOWN;
    t.collation = 0;
    assert_int_equal(expr_const(&f->c.b, &t, &v, 0, &e), ST_OK);
    return e;
}

static const Expr *column(Fixture *f, const char *type)
{
    const Expr *e;
    ValueType t = value_type_of(type_by_name(str_from(type))->oid);
    assert_int_equal(expr_column(&f->c.b, 1, &t, 0, &e), ST_OK);
    return e;
}

/* "?" is an unknown literal. */
static const Expr *operand(Fixture *f, const char *type)
{
    return strcmp(type, "?") == 0 ? literal(f, "1") : column(f, type);
}

typedef struct OperCase {
    const char *left, *name, *right;
    const char *answer; /* type of the result, or SQLSTATE and message */
} OperCase;

static const OperCase operators[] = {
    {"int4", "+", "int4", "integer"},
    {"int4", "+", "int8", "bigint"},
    {"int2", "+", "int2", "smallint"},
    {"int4", "+", "numeric", "numeric"},
    {"int4", "+", "float8", "double precision"},
    {"int4", "+", "?", "integer"},
    {"?", "+", "int8", "bigint"},
    {"?", "+", "?", "42725 operator is not unique: unknown + unknown"},
    {"?", "||", "?", "text"},
    {"text", "||", "?", "text"},
    {"text", "||", "int4", "text"},
    {"int4", "||", "int4", "42883 operator does not exist: integer || integer"},
    {"int4", "=", "bool", "42883 operator does not exist: integer = boolean"},
    {"int4", "%-", "int4", "42883 operator does not exist: integer %- integer"},
    {"text", "=", "varchar", "boolean"},
    {"varchar", "=", "varchar", "boolean"},
    {"bpchar", "=", "?", "boolean"},
    {"bpchar", "=", "text", "boolean"},
    {"name", "=", "?", "boolean"},
    {"name", "=", "text", "boolean"},
    {"oid", "=", "int4", "boolean"},
    {"oid", "=", "?", "boolean"},
    {"regclass", "=", "oid", "boolean"},
    {"date", "+", "int4", "date"},
    {"date", "-", "date", "integer"},
    {"date", "+", "interval", "timestamp without time zone"},
    {"timestamp", "-", "timestamp", "interval"},
    {"timestamptz", "<", "date", "boolean"},
    {"_int4", "||", "int4", "integer[]"},
    {"_text", "||", "?", "text[]"},
    {"_int4", "=", "?", "boolean"},
    {"_int4", "=", "_int8", "42883 operator does not exist: integer[] = bigint[]"},
    {"text", "~~", "?", "boolean"},
    {"name", "~", "?", "boolean"},
    {"int2", "&", "int4", "integer"},
    {"", "-", "int2", "smallint"},
    {"", "-", "?", "42725 operator is not unique: - unknown"},
    {"", "-", "text", "42883 operator does not exist: - text"},
    {"", "@", "float8", "double precision"},
};

static void operators_are_chosen_as_postgresql_does(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        const OperCase *k = &operators[i];
        OperChoice choice;
        char got[256];
        err_clear(&f->err);
        const Expr *left = k->left[0] != 0 ? operand(f, k->left) : NULL;
        Status st = overload_operator(&f->c, k->name, left, operand(f, k->right), 0, &choice);
        if (st == ST_OK) {
            snprintf(got, sizeof got, "%s", type_text(choice.result).s);
        } else {
            snprintf(got, sizeof got, "%s %s", f->err.sqlstate, f->err.message);
        }
        if (strcmp(got, k->answer) != 0) {
            fail_msg("%s %s %s: %s, expected %s", k->left, k->name, k->right, got, k->answer);
        }
    }
}

typedef struct FnCase {
    const char *name;
    const char *args[4];
    const char *answer;
} FnCase;

static const FnCase functions[] = {
    {"abs", {"int4"}, "integer"},
    {"abs", {"?"}, "double precision"},
    {"abs", {"text"}, "42883 function abs(text) does not exist"},
    {"round", {"numeric", "int4"}, "numeric"},
    {"round", {"int4"}, "double precision"},
    {"length", {"?"}, "integer"},
    {"length", {"varchar"}, "integer"},
    {"upper", {"?"}, "text"},
    {"upper", {"varchar"}, "text"},
    {"substring", {"text", "int4", "int4"}, "text"},
    {"coalesce_no_such", {"text"}, "42883 function coalesce_no_such(text) does not exist"},
    {"array_length", {"_int4", "int4"}, "integer"},
    {"array_append", {"_int4", "int8"}, "bigint[]"},
    {"array_append", {"_int4", "?"}, "integer[]"},
    {"array_position", {"_name", "?"}, "integer"},
    {"unnest", {"_text"}, "text"},
    {"concat", {"int4", "text", "?"}, "text"},
    {"format_type", {"oid", "int4"}, "text"},
    {"format_type", {"int4", "int4"}, "text"},
    {"int4", {"?"}, "integer"},
    {"text", {"int4"}, "text"},
    {"generate_series", {"int4", "int8"}, "bigint"},
    {"generate_series", {"int4", "int4"}, "integer"},
    {"min", {"varchar"}, "text"},
    {"sum", {"int2"}, "bigint"},
    {"count", {"text"}, "bigint"},
    {"string_agg", {"varchar", "?"}, "text"},
    {"array_agg", {"name"}, "name[]"},
    {"power", {"int4", "int4"}, "double precision"},
    {"power", {"numeric", "int4"}, "numeric"},
    {"to_timestamp", {"int4"}, "timestamp with time zone"},
    {"date_trunc", {"?", "date"}, "timestamp with time zone"},
};

static void functions_are_chosen_as_postgresql_does(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        const FnCase *k = &functions[i];
        CallArgs call = {.n = 0};
        Overload o;
        char got[256];
        err_clear(&f->err);
        while (call.n < 4 && k->args[call.n] != NULL) {
            call.args[call.n] = operand(f, k->args[call.n]);
            call.n++;
        }
        Status st = overload_function(&f->c, k->name, &call, &o);
        if (st == ST_OK) {
            snprintf(got, sizeof got, "%s", type_text(o.result).s);
        } else {
            snprintf(got, sizeof got, "%s %s", f->err.sqlstate, f->err.message);
        }
        if (strcmp(got, k->answer) != 0) {
            fail_msg("%s(%s ...): %s, expected %s", k->name, k->args[0], got, k->answer);
        }
    }
}

static void lists_find_their_common_type(void **state)
{
    Fixture *f = *state;
    static const struct {
        const char *types[3];
        const char *answer;
    } cases[] = {
        {{"int4", "int8", NULL}, "bigint"},
        {{"int8", "int4", "?"}, "bigint"},
        {{"?", "?", NULL}, "text"},
        {{"varchar", "text", NULL}, "character varying"},
        {{"int4", "numeric", "float8"}, "double precision"},
        {{"int4", "text", NULL}, "42804 UNION types integer and text cannot be matched"},
        {{"date", "timestamptz", "timestamp"}, "timestamp with time zone"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Expr *e[3];
        uint32_t n = 0;
        Oid type;
        char got[256];
        err_clear(&f->err);
        while (n < 3 && cases[i].types[n] != NULL) {
            e[n] = operand(f, cases[i].types[n]);
            n++;
        }
        Status st = coerce_common_type(&f->c, e, n, "UNION", &type);
        if (st == ST_OK) {
            snprintf(got, sizeof got, "%s", type_text(type).s);
        } else {
            snprintf(got, sizeof got, "%s %s", f->err.sqlstate, f->err.message);
        }
        assert_string_equal(got, cases[i].answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(operators_are_chosen_as_postgresql_does, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_are_chosen_as_postgresql_does, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_find_their_common_type, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
