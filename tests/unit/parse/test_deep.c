/*
 * Deep and long texts: an error or a tree, never a crash; what the parser takes is charged.
 */
#include <pthread.h>

#include "parse/parse_int.h"
#include "parse_fixture.h"

/* head, n times part, foot; malloced. */
static char *repeat(const char *head, const char *part, size_t n, const char *foot, size_t *out_len)
{
    size_t part_len = strlen(part);
    size_t len = strlen(head) + n * part_len + strlen(foot);
    char *text = malloc(len + 1);
    assert_non_null(text);
    char *p = stpcpy(text, head);
    for (size_t i = 0; i < n; i++, p += part_len) {
        memcpy(p, part, part_len);
    }
    strcpy(p, foot);
    *out_len = len;
    return text;
}

static Status parse_repeated(Fixture *f, const char *head, const char *part, size_t n, const char *foot)
{
    size_t len;
    char *text = repeat(head, part, n, foot, &len);
    AstStmtList *list;
    err_clear(&f->err);
    arena_reset(&f->arena);
    Status st = parse_sql(NULL, &f->cx, text, len, &list);
    free(text);
    return st;
}

static void a_million_terms_are_too_deep(void **state)
{
    Fixture *f = *state;
    assert_int_equal(parse_repeated(f, "select 1", "+1", 1000000, ""), ST_STATEMENT_TOO_COMPLEX);
    assert_string_equal(f->err.sqlstate, "54001");
    assert_string_equal(f->err.message, "stack depth limit exceeded");
    assert_int_equal(parse_repeated(f, "select 'a'", "||'b'", 1000000, ""), ST_STATEMENT_TOO_COMPLEX);
    assert_int_equal(parse_repeated(f, "select 1", " union all select 1", 300000, ""), ST_STATEMENT_TOO_COMPLEX);
    assert_int_equal(parse_repeated(f, "select * from a", " cross join a", 300000, ""), ST_STATEMENT_TOO_COMPLEX);
}

static void conjunctions_and_lists_are_flat(void **state)
{
    Fixture *f = *state;
    assert_int_equal(parse_repeated(f, "select 1 where a", " and b", 100000, ""), ST_OK);
    assert_int_equal(parse_repeated(f, "select 1 where a in (1", ",1", 100000, ")"), ST_OK);
    assert_int_equal(parse_repeated(f, "insert into t values (1)", ",(1)", 100000, ""), ST_OK);
    assert_int_equal(parse_repeated(f, "select 1", ";select 1", 10000, ""), ST_OK);
}

/* As PostgreSQL: the grammar's own stack of 10,000 symbols is a syntax error. */
static void nesting_ends_with_the_grammars_stack(void **state)
{
    Fixture *f = *state;
    assert_int_equal(parse_repeated(f, "select ", "(", 20000, "1"), ST_SYNTAX_ERROR);
    assert_string_equal(f->err.message, "memory exhausted at or near \"(\"");
    assert_string_equal(f->err.sqlstate, "42601");
    assert_int_equal(f->err.position, 10004);
    assert_int_equal(parse_repeated(f, "select ", "f(", 20000, "1"), ST_SYNTAX_ERROR);
    assert_int_equal(parse_repeated(f, "select ", "not ", 20000, "a"), ST_SYNTAX_ERROR);
    assert_int_equal(parse_repeated(f, "select ", "(select ", 20000, "a"), ST_SYNTAX_ERROR);
}

/* PostgreSQL's scanner takes the square of the length for these. */
static void what_would_take_for_ever_is_refused(void **state)
{
    Fixture *f = *state;
    assert_int_equal(parse_repeated(f, "", "/*", 1000000, ""), ST_STATEMENT_TOO_COMPLEX);
    assert_int_equal(parse_repeated(f, "select ", "+-", 1000000, "1"), ST_STATEMENT_TOO_COMPLEX);
    assert_int_equal(parse_repeated(f, "select a", "<<", 1000000, "1"), ST_SYNTAX_ERROR); /* operator too long */
    assert_int_equal(parse_repeated(f, "select 1 /*", "****", 1000000, "*/"), ST_OK);
    assert_int_equal(parse_repeated(f, "select 1 --", "----", 1000000, "\n"), ST_OK);
    assert_int_equal(parse_repeated(f, "", "/* */", 200000, "select 1"), ST_OK);
    assert_int_equal(parse_repeated(f, "", "/*", 100, ""), ST_SYNTAX_ERROR);
    assert_int_equal(parse_repeated(f, "select ", "+-", 400, "1"), ST_OK);
}

/* Nested SET (a, b) = source would cost 2 to the power of the depth if the source were not shared. */
static void shared_sources_are_converted_once(void **state)
{
    Fixture *f = *state;
    size_t len;
    char *text = repeat("", "update t set (a, b, c) = (with x as (", 40, "select 1", &len);
    char *whole = repeat(text, ") select 1)", 40, "", &len);
    AstStmtList *list;
    assert_int_equal(parse_sql(NULL, &f->cx, whole, len, &list), ST_OK);
    assert_true(f->arena.total_bytes < 1024 * 1024);
    AstNode *copy;
    AstDiff diff;
    assert_int_equal(ast_copy(&f->cx, &f->arena, list->items[0].stmt, &copy), ST_OK);
    assert_int_equal(ast_compare(copy, list->items[0].stmt, &f->err, &diff), ST_OK);
    assert_int_equal(diff.node, AST_NONE);
    assert_true(strlen(text_of(f, copy)) < 100 * len);
    free(text);
    free(whole);
}

static void *parse_on_a_small_stack(void *arg)
{
    Fixture *f = arg;
    for (size_t n = 1; n < 100000; n *= 2) {
        Status st = parse_repeated(f, "select 1", "+1", n, "");
        if (st != ST_OK && st != ST_STATEMENT_TOO_COMPLEX) {
            return "unexpected status";
        }
    }
    return parse_repeated(f, "select 1", "+1", 20000, "") == ST_STATEMENT_TOO_COMPLEX ? NULL : "not too complex";
}

static void small_stacks_are_respected(void **state)
{
    pthread_attr_t attr;
    pthread_t thread;
    void *failure;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attr, parse_on_a_small_stack, *state), 0);
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
    (void)pthread_attr_destroy(&attr);
}

/* P3: what the parser takes stays below what is charged, for the densest texts at every length. */
static void the_charge_covers_the_parser(void **state)
{
    static const char *const parts[][3] = {
        {"select a", "+a", ""},
        {"select 1", ",1", ""},
        {"select *", ",*", ""},
        {"select 1", ";select", ""},
        {"begin", ";begin", ""},
        {"select * from a", ",a", ""},
        {"select a", ".a", ""},
        {"select a", "::b", ""},
        {"select a", "[1]", ""},
        {"select f(", "g(", ""},
        {"select a", " and b=c", ""},
        {"select a", " is null", ""},
        {"select case", " when a then b", " end"},
        {"select '", "''", "'"},
        {"select '", "x", "'"},
        {"select \"", "\"\"", "\""},
        {"select $$", "x", "$$"},
        {"select f()", ",f()over()", ""},
        {"select a from b", " join c on d", ""},
        {"values(1)", ",(1)", ""},
        {"select 1", " union select 1", ""},
        {"create table a(b int", ",b int", ")"},
        {"grant a to b", ",b", ""},
        {"select E'", "\\\\", "'"},
        {"--", "x", "\n"},
        {"/*", "x/*", ""},
        {"select (", "(", ""},
    };
    static const size_t lengths[] = {1, 10, 100, 300, 1000, 10000, 50000};
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t j = 0; j < ARRAY_LEN(lengths); j++) {
            size_t len;
            char *text = repeat(parts[i][0], parts[i][1], lengths[j], parts[i][2], &len);
            AstStmtList *list;
            size_t used;
            arena_reset(&f->arena);
            err_clear(&f->err);
            Status st = bridge_parse(NULL, &f->cx, BRIDGE_STATEMENTS, text, len, &list, &used);
            assert_true(st == ST_OK || st == ST_SYNTAX_ERROR || st == ST_STATEMENT_TOO_COMPLEX);
            if (used > parse_charge_bytes(text, len)) {
                fail_msg("%s%s... (%zu bytes): used %zu, charged %zu", parts[i][0], parts[i][1], len, used,
                         parse_charge_bytes(text, len));
            }
            free(text);
        }
    }
}

static void the_charge_is_taken_and_given_back(void **state)
{
    Fixture *f = *state;
    size_t before = budget_used(&f->budget);
    budget_set_limit(&f->budget, before + 64 * 1024);
    assert_int_equal(parse_repeated(f, "select '", "x", 100000, "'"), ST_OUT_OF_MEMORY);
    assert_string_equal(f->err.sqlstate, "53200");
    assert_int_equal(budget_used(&f->budget), before);
}

static void a_long_literal_costs_little_more_than_its_length(void **state)
{
    enum { MIB = 1024 * 1024 };
    Fixture *f = *state;
    size_t len;
    char *text = repeat("select '", "x", 8 * MIB, "'", &len);
    assert_true(parse_charge_bytes(text, len) < 6 * len);
    AstStmtList *list;
    assert_int_equal(parse_sql(NULL, &f->cx, text, len, &list), ST_OK);
    const AstSelectStmt *s = (const AstSelectStmt *)list->items[0].stmt;
    assert_int_equal(((const AstConst *)((const AstResTarget *)s->targets.items[0])->value)->text.len, 8 * MIB);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_million_terms_are_too_deep),
        TEST(conjunctions_and_lists_are_flat),
        TEST(nesting_ends_with_the_grammars_stack),
        TEST(what_would_take_for_ever_is_refused),
        TEST(shared_sources_are_converted_once),
        TEST(small_stacks_are_respected),
        TEST(the_charge_covers_the_parser),
        TEST(the_charge_is_taken_and_given_back),
        TEST(a_long_literal_costs_little_more_than_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
