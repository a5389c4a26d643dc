/*
 * What the parser refuses, with the SQLSTATE, message, hint and position of PostgreSQL 15.20 (all taken from it), and
 * what it tells along the way.
 */
#include "parse_fixture.h"

typedef struct Case {
    const char *sql;
    const char *sqlstate;
    int position;
    const char *message;
    const char *hint;
} Case;

static void expect_errors(Fixture *f, const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        expect_error(f, cases[i].sql, cases[i].sqlstate, cases[i].position, cases[i].message, cases[i].hint);
    }
}

static void syntax_errors_name_the_token(void **state)
{
    static const Case cases[] = {
        {"selec 1", "42601", 1, "syntax error at or near \"selec\"", NULL},
        {"select 1 +", "42601", 11, "syntax error at end of input", NULL},
        {"create table t (a int,)", "42601", 23, "syntax error at or near \")\"", NULL},
        {"select 1<2<3", "42601", 11, "syntax error at or near \"<\"", NULL},
        {"select 'a' 'b'", "42601", 12, "syntax error at or near \"'b'\"", NULL},
        {"select 1 ; selec 2", "42601", 12, "syntax error at or near \"selec\"", NULL},
        {"select array[1][2]x y", "42601", 16, "syntax error at or near \"[\"", NULL},
        {"select a.*.b", "42601", 13, "improper use of \"*\" at end of input", NULL},
        {"select 99999999999999999999$", "42601", 28, "syntax error at or near \"$\"", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
}

static void the_grammar_gives_hints(void **state)
{
    static const Case cases[] = {
        {"select * from (select 1)", "42601", 15, "subquery in FROM must have an alias",
         "For example, FROM (SELECT ...) [AS] foo."},
        {"select * from (values (1))", "42601", 15, "VALUES in FROM must have an alias",
         "For example, FROM (VALUES ...) [AS] foo."},
        {"select 1 limit 1,2", "42601", 10, "LIMIT #,# syntax is not supported",
         "Use separate LIMIT and OFFSET clauses."},
        {"create user u unencrypted password 'x'", "0A000", 15, "UNENCRYPTED PASSWORD is no longer supported",
         "Remove UNENCRYPTED to store the password in encrypted form instead."},
        {"select 1 fetch first rows with ties", "42601", 0, "WITH TIES cannot be specified without ORDER BY clause",
         NULL},
        {"alter table t add constraint c check (a) deferrable", "0A000", 0,
         "CHECK constraints cannot be marked DEFERRABLE", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
}

static void malformed_tokens_are_named_whole(void **state)
{
    static const Case cases[] = {
        {"select 1_000", "42601", 8, "trailing junk after numeric literal at or near \"1_000\"", NULL},
        {"select 0x1F", "42601", 8, "trailing junk after numeric literal at or near \"0x1F\"", NULL},
        {"select 1.5e, 2", "42601", 8, "trailing junk after numeric literal at or near \"1.5e\"", NULL},
        {"select 1é", "42601", 8, "trailing junk after numeric literal at or near \"1é\"", NULL},
        {"select $1abc", "42601", 8, "trailing junk after parameter at or near \"$1abc\"", NULL},
        {"select 'abc", "42601", 8, "unterminated quoted string at or near \"'abc\"", NULL},
        {"select \"abc", "42601", 8, "unterminated quoted identifier at or near \"\"abc\"", NULL},
        {"select \"\"", "42601", 8, "zero-length delimited identifier at or near \"\"\"\"", NULL},
        {"select $x$abc", "42601", 8, "unterminated dollar-quoted string at or near \"$x$abc\"", NULL},
        {"select /* abc", "42601", 8, "unterminated /* comment at or near \"/* abc\"", NULL},
        {"select E'\\xff'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xff", NULL},
        {"select U&'\\zz'", "42601", 11, "invalid Unicode escape", "Unicode escapes must be \\XXXX or \\+XXXXXX."},
        {"select U&'\\0041' UESCAPE '+'", "42601", 26, "invalid Unicode escape character at or near \"'+'\"", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
}

static void positions_count_characters(void **state)
{
    static const Case cases[] = {
        {"select 'é', 1 x y", "42601", 17, "syntax error at or near \"y\"", NULL},
        {"select 'é€😀' a b", "42601", 16, "syntax error at or near \"b\"", NULL},
        {"select 'é', date $1", "42601", 18, "syntax error at or near \"$1\"", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
    assert_int_equal(parse_position("é€x", 6, 5), 3);
    assert_int_equal(parse_position("abc", 3, -1), 0);
    assert_int_equal(parse_position("abc", 3, 3), 4);
}

/* The library reads $n where PostgreSQL does not. */
static void parameters_stand_only_where_postgresql_has_them(void **state)
{
    static const Case cases[] = {
        {"set x.y = $1", "42601", 11, "syntax error at or near \"$1\"", NULL},
        {"set time zone $1", "42601", 15, "syntax error at or near \"$1\"", NULL},
        {"set schema $1", "42601", 12, "syntax error at or near \"$1\"", NULL},
        {"set role $1", "42601", 10, "syntax error at or near \"$1\"", NULL},
        {"alter system set x = $1", "42601", 22, "syntax error at or near \"$1\"", NULL},
        {"alter user u password $1", "42601", 23, "syntax error at or near \"$1\"", NULL},
        {"create user u encrypted password $1", "42601", 34, "syntax error at or near \"$1\"", NULL},
        {"select date $1", "42601", 13, "syntax error at or near \"$1\"", NULL},
        {"select interval $1 year", "42601", 17, "syntax error at or near \"$1\"", NULL},
        {"select foo(1) $1", "42601", 15, "syntax error at or near \"$1\"", NULL},
        {"select extract($1 from x)", "42601", 16, "syntax error at or near \"$1\"", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
    (void)must_parse(*state,
                     "select $1, cast($2 as date), $3::date, extract(year from $4), f($5), limit_ from t limit $6");
}

static void the_text_must_be_utf8(void **state)
{
    static const Case cases[] = {
        {"select '\xff'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xff", NULL},
        {"select '\xe2\x28\xa1'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1", NULL},
        {"select '\xf4\x90\x80\x80'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xf4 0x90 0x80 0x80",
         NULL},
        {"select 1 -- \xc3", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xc3", NULL},
    };
    expect_errors(*state, cases, ARRAY_LEN(cases));
    Fixture *f = *state;
    AstStmtList *list;
    err_clear(&f->err);
    assert_int_equal(parse_sql(NULL, &f->cx, "select\0 1", 9, &list), ST_CHARACTER_NOT_IN_REPERTOIRE);
    assert_string_equal(f->err.message, "invalid byte sequence for encoding \"UTF8\": 0x00");
}

/* More errors than the library's stack of five holds: each is taken off it. */
static void errors_do_not_pile_up(void **state)
{
    for (int i = 0; i < 100; i++) {
        expect_error(*state, "select 1 +", "42601", 11, "syntax error at end of input", NULL);
        (void)must_parse(*state, "select 1");
    }
}

/* Notices. */

typedef struct Heard {
    int count;
    ParseNoticeLevel level;
    Error last;
} Heard;

static void hear(void *owner, ParseNoticeLevel level, const Error *notice)
{
    Heard *heard = owner;
    heard->count++;
    heard->level = level;
    err_copy(&heard->last, notice);
}

static int notices_of(Fixture *f, const char *sql, Heard *heard)
{
    ParseEnv env = {hear, heard};
    AstStmtList *list;
    heard->count = 0;
    err_clear(&f->err);
    Status st = parse_sql(&env, &f->cx, sql, strlen(sql), &list);
    assert_true(st == ST_OK || st == ST_SYNTAX_ERROR);
    return heard->count;
}

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static void long_identifiers_are_cut_with_a_notice(void **state)
{
    Fixture *f = *state;
    Heard heard;
    assert_int_equal(notices_of(f, "select " A60 "aaa", &heard), 0);
    assert_int_equal(notices_of(f, "select " A60 "AaAa", &heard), 1);
    assert_int_equal(heard.level, PARSE_NOTICE);
    assert_string_equal(heard.last.sqlstate, "42622");
    assert_string_equal(heard.last.message, "identifier \"" A60 "aaaa\" will be truncated to \"" A60 "aaa\"");
    assert_int_equal(notices_of(f, "select \"" A60 " \"\"A\"", &heard), 0);
    assert_int_equal(notices_of(f, "select \"" A60 " \"\"AB\"", &heard), 1);
    assert_string_equal(heard.last.message, "identifier \"" A60 " \"AB\" will be truncated to \"" A60 " \"A\"");
    /* Cut between characters: é has two bytes, the second would be the 64th. */
    assert_int_equal(notices_of(f, "select " A60 "aaé, '" A60 A60 "', x." A60 "bbbb, $a$ " A60 A60 " $a$", &heard), 2);
    const AstSelectStmt *s = (const AstSelectStmt *)must_parse_one(f, "select " A60 "aaé");
    const AstColumnRef *c = (const AstColumnRef *)((const AstResTarget *)s->targets.items[0])->value;
    assert_int_equal(c->names.items[0].len, 62);
}

static void notices_end_at_the_error(void **state)
{
    Heard heard;
    assert_int_equal(notices_of(*state, "select " A60 "aaaa fro m " A60 "bbbb", &heard), 1);
}

static void deprecated_syntax_warns(void **state)
{
    Heard heard;
    assert_int_equal(notices_of(*state, "create global temp table t (a int)", &heard), 1);
    assert_int_equal(heard.level, PARSE_WARNING);
    assert_string_equal(heard.last.sqlstate, "01000");
    assert_string_equal(heard.last.message, "GLOBAL is deprecated in temporary table creation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(syntax_errors_name_the_token),
        TEST(the_grammar_gives_hints),
        TEST(malformed_tokens_are_named_whole),
        TEST(positions_count_characters),
        TEST(parameters_stand_only_where_postgresql_has_them),
        TEST(the_text_must_be_utf8),
        TEST(errors_do_not_pile_up),
        TEST(long_identifiers_are_cut_with_a_notice),
        TEST(notices_end_at_the_error),
        TEST(deprecated_syntax_warns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
