/*
 * tests/unit/parse/parse_fixture.h: a budget, an arena and a context to parse with, and the assertions the tests share.
 */
#ifndef PARSE_FIXTURE_H
#define PARSE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parse/deparse.h"
#include "parse/parse.h"
#include "parse/scan.h"

typedef struct Fixture {
    Budget budget;
    MemFault fault;
    Arena arena;
    Error err;
    Ctx cx;
} Fixture;

static inline void fixture_init(Fixture *f)
{
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->fault = (MemFault){.countdown = -1};
    f->budget.fault = &f->fault;
    arena_init(&f->arena, &f->budget, 4096);
    err_clear(&f->err);
    ctx_init(&f->cx, &f->err, &f->budget, &f->arena);
}

static inline void fixture_done(Fixture *f)
{
    arena_done(&f->arena);
    budget_done(&f->budget); /* aborts when a charge is left */
}

/* For all tests of a group: *state is a Fixture. */
static inline int fixture_setup(void **state)
{
    Fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    fixture_init(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_done(*state);
    free(*state);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

static inline Status try_parse(Fixture *f, const char *sql, AstStmtList **out)
{
    err_clear(&f->err);
    return parse_sql(NULL, &f->cx, sql, strlen(sql), out);
}

static inline AstStmtList *must_parse(Fixture *f, const char *sql)
{
    AstStmtList *list = NULL;
    if (try_parse(f, sql, &list) != ST_OK) {
        fail_msg("%s: %s", sql, f->err.message);
    }
    return list;
}

/* The only statement of a text. */
static inline AstNode *must_parse_one(Fixture *f, const char *sql)
{
    AstStmtList *list = must_parse(f, sql);
    assert_int_equal(list->count, 1);
    return list->items[0].stmt;
}

static inline AstNode *must_parse_expr(Fixture *f, const char *sql)
{
    AstNode *expr = NULL;
    err_clear(&f->err);
    if (parse_expr(NULL, &f->cx, sql, strlen(sql), &expr) != ST_OK) {
        fail_msg("%s: %s", sql, f->err.message);
    }
    return expr;
}

/* The error of a text: SQLSTATE, position, message, hint (NULL: none). */
static inline void expect_error(Fixture *f, const char *sql, const char *sqlstate, int position, const char *message,
                                const char *hint)
{
    AstStmtList *list;
    if (try_parse(f, sql, &list) == ST_OK) {
        fail_msg("%s: no error", sql);
    }
    assert_string_equal(f->err.message, message);
    assert_string_equal(f->err.sqlstate, sqlstate);
    assert_int_equal(f->err.position, position);
    if (hint == NULL) {
        assert_null(f->err.hint);
    } else {
        assert_non_null(f->err.hint);
        assert_string_equal(f->err.hint, hint);
    }
}

/* Writes the tree as SQL into the arena. */
static inline const char *text_of(Fixture *f, const AstNode *node)
{
    StrBuf buf;
    strbuf_init(&buf, &f->budget);
    if (ast_deparse(node, &f->err, &buf) != ST_OK) {
        fail_msg("deparse: %s", f->err.message);
    }
    const char *text = arena_strndup(&f->arena, buf.p, buf.len);
    strbuf_done(&buf);
    return text;
}

#endif
