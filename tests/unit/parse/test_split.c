/*
 * Where statements end for somebody who types them; keywords and the quoting of identifiers.
 */
#include "parse/keywords.h"
#include "parse_fixture.h"

static void expect_split(const char *text, ScanOpen open, size_t end)
{
    size_t found;
    assert_int_equal(scan_split(text, strlen(text), &found), open);
    assert_int_equal(found, end);
}

static void semicolons_end_statements(void **state)
{
    (void)state;
    expect_split("select 1; select 2;", SCAN_OPEN_NOTHING, 9);
    expect_split(";", SCAN_OPEN_NOTHING, 1);
    expect_split("select ';' || \";\" || $$;$$ /* ; */ -- ;\n;x", SCAN_OPEN_NOTHING, 41);
    expect_split("create rule r as on insert to t do (select 1; select 2);", SCAN_OPEN_NOTHING, 56);
    expect_split("select ) ;", SCAN_OPEN_NOTHING, 10);
}

static void unfinished_texts_say_what_is_open(void **state)
{
    (void)state;
    expect_split("", SCAN_OPEN_NOTHING, 0);
    expect_split("  -- x\n /* y */", SCAN_OPEN_NOTHING, 15);
    expect_split("select 1", SCAN_OPEN_STATEMENT, 8);
    expect_split("select (1;", SCAN_OPEN_PAREN, 10);
    expect_split("select 'a;", SCAN_OPEN_QUOTE, 10);
    expect_split("select (\"a;", SCAN_OPEN_DOUBLE_QUOTE, 11);
    expect_split("select $x$a;$$", SCAN_OPEN_DOLLAR_QUOTE, 14);
    expect_split("select /* a;", SCAN_OPEN_COMMENT, 12);
}

static void function_bodies_are_whole(void **state)
{
    (void)state;
    static const char body[] = "begin atomic select case when a then 1 end; select 2; end;";
    static const char *const heads[] = {"create function f() ", "create or replace procedure f(a int) "};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "%s%s select 3;", heads[i], body);
        expect_split(text, SCAN_OPEN_NOTHING, strlen(heads[i]) + strlen(body));
    }
    expect_split("begin; end;", SCAN_OPEN_NOTHING, 6);
    expect_split("create table begin (a int); x", SCAN_OPEN_NOTHING, 27);
    expect_split("create function f() begin atomic select 1;", SCAN_OPEN_STATEMENT, 42);
}

static void keywords_are_found(void **state)
{
    (void)state;
    assert_int_equal(keyword_count(), 460);
    for (size_t i = 0; i < keyword_count(); i++) {
        const Keyword *k = keyword_at(i);
        assert_ptr_equal(keyword_find(k->word.p, k->word.len), k);
        assert_true(i == 0 || str_cmp(keyword_at(i - 1)->word, k->word) < 0);
    }
    assert_int_equal(keyword_find("SeLeCt", 6)->category, KEYWORD_RESERVED);
    assert_int_equal(keyword_find("left", 4)->category, KEYWORD_TYPE_FUNC_NAME);
    assert_int_equal(keyword_find("int", 3)->category, KEYWORD_COL_NAME);
    assert_int_equal(keyword_find("name", 4)->category, KEYWORD_UNRESERVED);
    assert_false(keyword_find("array", 5)->bare_label);
    assert_null(keyword_find("selec", 5));
    assert_null(keyword_find("", 0));
    assert_null(keyword_find("current_timestamps", 18));
}

static void identifiers_are_quoted_where_needed(void **state)
{
    static const char *const cases[][2] = {
        {"abc_1", "abc_1"}, {"Abc", "\"Abc\""},       {"1a", "\"1a\""},   {"a$", "\"a$\""}, {"a\"b", "\"a\"\"b\""},
        {"é", "\"é\""},     {"select", "\"select\""}, {"int", "\"int\""}, {"name", "name"}, {"_", "_"},
    };
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b;
        strbuf_init(&b, &f->budget);
        strbuf_put_ident(&b, str_from(cases[i][0]));
        assert_string_equal(b.p, cases[i][1]);
        strbuf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(semicolons_end_statements), TEST(unfinished_texts_say_what_is_open),   TEST(function_bodies_are_whole),
        TEST(keywords_are_found),        TEST(identifiers_are_quoted_where_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
