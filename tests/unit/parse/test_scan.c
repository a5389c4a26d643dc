/*
 * The lexer cuts as PostgreSQL does; a fingerprint puts together only what is the same statement.
 */
#include "parse_fixture.h"

/* "kind:text kind:text ..." of a text, kinds as letters: i q s p d 1 2 $ o ! */
static const char *tokens_of(Fixture *f, const char *sql)
{
    static const char letters[] = ".iqspd12$oc!";
    char out[512] = "";
    Scanner s = scan_begin(sql, strlen(sql));
    for (ScanToken t = scan_next(&s); t.kind != SCAN_END; t = scan_next(&s)) {
        size_t n = strlen(out);
        (void)snprintf(out + n, sizeof out - n, "%s%c:%.*s", n > 0 ? " " : "", letters[t.kind], (int)t.len,
                       sql + t.begin);
    }
    const char *copy = arena_strdup(&f->arena, out);
    assert_non_null(copy);
    return copy;
}

static void tokens_are_postgresqls(void **state)
{
    static const char *const cases[][2] = {
        {"select a1$b, \"x\"\"y\" é", "i:select i:a1$b o:, q:\"x\"\"y\" i:é"},
        {"1 1.5 .5 1. 1e3 1.e-3 1..2", "1:1 2:1.5 2:.5 2:1. 2:1e3 2:1.e-3 1:1 o:.. 1:2"},
        {"1a 1.5e 1e+ $1a 1é", "!:1a !:1.5e !:1e o:+ !:$1a !:1é"},
        {"$1 $12", "$:$1 $:$12"},
        {"5%-3 5/-2 2^-1 1=-1 a@-b", "1:5 o:%- 1:3 1:5 o:/ o:- 1:2 1:2 o:^- 1:1 1:1 o:= o:- 1:1 i:a o:@- i:b"},
        {"a+-+-b <= <> != => :: := .. ;", "i:a o:+ o:- o:+ o:- i:b o:<= o:<> o:!= o:=> o::: o::= o:.. o:;"},
        {"1/*a/*b*/c*/+--x\n2", "1:1 o:+ 1:2"},
        {"a-/*c*/-b", "i:a o:- o:- i:b"},
        {"'a''b' 'a\\' 'b' E'a\\'b' e'\\\\'", "s:'a''b' s:'a\\' s:'b' p:E'a\\'b' p:e'\\\\'"},
        {"'a' -- c\n  'b' 'c'", "s:'a' -- c\n  'b' s:'c'"},
        {"N'a' B'01' x'1F' U&'\\0041' U&\"d\" n e u", "p:N'a' p:B'01' p:x'1F' p:U&'\\0041' q:U&\"d\" i:n i:e i:u"},
        {"$$a'b$$ $x$a$$b$x$ a$x$ $x", "d:$$a'b$$ d:$x$a$$b$x$ i:a$x$ !:$ i:x"},
        {"\"\" \\ a", "!:\"\" !:\\ i:a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(tokens_of(*state, cases[i][0]), cases[i][1]);
    }
}

static void what_is_open_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        ScanOpen open;
    } cases[] = {
        {"'a", SCAN_OPEN_QUOTE},
        {"E'a\\'", SCAN_OPEN_QUOTE},
        {"\"a\"\"", SCAN_OPEN_DOUBLE_QUOTE},
        {"$x$ a $y$", SCAN_OPEN_DOLLAR_QUOTE},
        {"/* /* */", SCAN_OPEN_COMMENT},
        {"U&'a", SCAN_OPEN_QUOTE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Scanner s = scan_begin(cases[i].sql, strlen(cases[i].sql));
        ScanToken t = scan_next(&s);
        assert_int_equal(t.kind, SCAN_ERROR);
        assert_int_equal(t.open, cases[i].open);
        assert_int_equal(scan_next(&s).kind, SCAN_END);
    }
}

/* The scanner must never see beyond the end: texts here have no zero byte behind them. */
static void the_end_is_the_end(void **state)
{
    (void)state;
    static const char sql[] = "a 'b''' E'\\'' $$c$$ \"d\" 1.5e3 $1 /* x */ -- y\n U&'z' x'0' a.b <=> 'e'\n'f'";
    for (size_t len = 0; len < sizeof sql; len++) {
        char *exact = malloc(len > 0 ? len : 1);
        assert_non_null(exact);
        memcpy(exact, sql, len);
        Scanner s = scan_begin(exact, len);
        size_t last = 0;
        for (ScanToken t = scan_next_raw(&s); t.kind != SCAN_END; t = scan_next_raw(&s)) {
            assert_true(t.begin >= last && t.len > 0 && t.begin + t.len <= len);
            last = t.begin + t.len;
        }
        free(exact);
    }
}

enum { GAPS = 32 };
typedef struct Cut {
    ScanGap gaps[GAPS];
    ScanFingerprint print;
    ScanText text;
} Cut;

static bool cut(const char *sql, Cut *c)
{
    c->text = (ScanText){sql, strlen(sql), c->gaps, 0};
    bool ok = scan_fingerprint(sql, strlen(sql), 42, c->gaps, GAPS, &c->print);
    c->text.gap_count = ok ? c->print.gap_count : 0;
    return ok;
}

static bool same(const char *a, const char *b)
{
    Cut ca;
    Cut cb;
    assert_true(cut(a, &ca) && cut(b, &cb));
    bool equal = scan_same(&ca.text, &cb.text);
    assert_int_equal(equal, scan_same(&cb.text, &ca.text));
    if (equal) {
        assert_int_equal(ca.print.hash, cb.print.hash);
    }
    return equal;
}

static void literals_of_one_class_are_the_same(void **state)
{
    (void)state;
    assert_true(same("select a from t where b = 1", "select a from t where b = 2147483647"));
    assert_true(same("select 'a'", "select 'it''s'"));
    assert_true(same("select 'a'", "select $x$a$x$"));
    assert_true(same("select 1.5", "select 99999999999999999999"));
    assert_true(same("select 1 /* trace 1 */", "select 2 /* trace 2 */"));
    assert_true(same("select 1 -- x\n", "select 2 -- yyy\n"));
    assert_true(same("select 007", "select 8"));
}

static void everything_else_is_different(void **state)
{
    (void)state;
    assert_false(same("select 2147483647", "select 2147483648"));   /* int4, int8 */
    assert_false(same("select -2147483648", "select -2147483649")); /* folded: int4, int8 */
    assert_false(same("select 9223372036854775807", "select 9223372036854775808"));
    assert_false(same("select -9223372036854775808", "select -9223372036854775809"));
    assert_false(same("select 1", "select 1.0"));
    assert_false(same("select 1", "select '1'"));
    assert_false(same("select 1", "select $1"));
    assert_false(same("select a", "select b"));
    assert_false(same("select 'a'", "select e'a'"));
    assert_false(same("select b'1'", "select b'0'"));
    assert_false(same("select n'1'", "select n'0'"));
    assert_false(same("select 'a'", "select \"a\""));
    assert_false(same("select U&'!0041' UESCAPE '!'", "select U&'!0041' UESCAPE '?'"));
    assert_false(same("select U&'!0041' UESCAPE /* */ '!'", "select U&'!0041' UESCAPE /* */ '?'"));
    assert_false(same("select 'a'\n'b'", "select 'a'\n'c'"));
    assert_false(same("select a/**/b", "select ab"));
    assert_false(same("select 1", "select 1 "));
    assert_false(same("select 1 /* a */", "select 1 'a'"));
    Cut c;
    assert_false(cut("select 'a", &c));
    assert_false(cut("select 1a", &c));
    assert_true(cut("select 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", &c));
    assert_false(cut("select 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", &c));
}

static void gaps_say_where_and_what(void **state)
{
    Fixture *f = *state;
    const char *sql = "select -5, 'a''b', $q$c$q$ ; select 1.5";
    Cut c;
    assert_true(cut(sql, &c));
    assert_int_equal(c.print.gap_count, 4);
    assert_int_equal(c.print.semicolons, 1);
    assert_int_equal(c.gaps[0].begin, 8);
    assert_int_equal(c.gaps[0].minus, 7); /* where the folded constant is located */
    assert_int_equal(c.gaps[1].minus, UINT32_MAX);
    const AstSelectStmt *s = (const AstSelectStmt *)must_parse(f, sql)->items[0].stmt;
    for (uint32_t i = 0; i < 3; i++) {
        const AstConst *k = AST_CAST(((const AstResTarget *)s->targets.items[i])->value, Const, CONST);
        assert_int_equal(k->node.location, i == 0 ? c.gaps[i].minus : c.gaps[i].begin);
        Str value;
        if (i > 0) {
            assert_true(scan_string_value(sql, &c.gaps[i], &f->arena, &value));
            assert_true(str_eq(value, k->text));
        }
    }
}

/*
 * S2 as a property: replace the gaps of a statement by others of their class; the texts are the same, and so are the
 * trees, once constants are taken for equal. (Constants are compared by what remains when their text is blanked.)
 */
static const char *replacement(uint8_t cls, unsigned which)
{
    static const char *const values[][2] = {
        [SCAN_GAP_COMMENT] = {"/* another */", "/**/"},
        [SCAN_GAP_INT4] = {"0", "2147483647"},
        [SCAN_GAP_INT4_MIN] = {"2147483648", "02147483648"},
        [SCAN_GAP_INT8] = {"2147483649", "9223372036854775807"},
        [SCAN_GAP_INT8_MIN] = {"9223372036854775808", "09223372036854775808"},
        [SCAN_GAP_NUMERIC] = {"1.25e10", "99999999999999999999"},
        [SCAN_GAP_STRING] = {"'it''s'", "$zz$ ; $zz$"},
    };
    return values[cls][which % 2];
}

static Status blank_constants(void *arg, AstNode *node)
{
    if (node->tag == AST_CONST) {
        ((AstConst *)node)->ival = 0;
        ((AstConst *)node)->text = STR_LIT("");
        return ST_OK;
    }
    return ast_each_child(node, blank_constants, arg);
}

static void same_texts_have_the_same_tree(void **state)
{
    static const char *const statements[] = {
        ("select a, -5, - 2147483648, 'x' || \"q\" from t where b in (1, 2.5, 'y') /* c */ and c between -1 and "
         "3000000000"),
        "insert into t values (1, 'a', default), (-9223372036854775808, $$b$$, 1e3)",
        "update t set a = a + 1, b = 'x' where c like 'y' escape 'z' and d > date '2020-01-01' - interval '1' day",
        "select a[1], f(x => 2), extract('year' from b), case when a = 1 then 'b' end from t limit 1 offset 2",
    };
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        for (unsigned which = 0; which < 2; which++) {
            Cut a;
            Cut b;
            assert_true(cut(statements[i], &a));
            char other[1024] = "";
            size_t at = 0;
            for (uint32_t g = 0; g < a.print.gap_count; g++) {
                strncat(other, statements[i] + at, a.gaps[g].begin - at);
                strcat(other, replacement(a.gaps[g].cls, which));
                at = a.gaps[g].begin + (size_t)a.gaps[g].len;
            }
            strcat(other, statements[i] + at);
            assert_true(cut(other, &b));
            assert_true(scan_same(&a.text, &b.text));
            assert_int_equal(a.print.hash, b.print.hash);
            AstNode *x = must_parse_one(f, statements[i]);
            AstNode *y = must_parse_one(f, other);
            assert_int_equal(blank_constants(NULL, x), ST_OK);
            assert_int_equal(blank_constants(NULL, y), ST_OK);
            AstDiff diff;
            assert_int_equal(ast_compare(x, y, &f->err, &diff), ST_OK);
            assert_int_equal(diff.node, AST_NONE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_postgresqls),
        TEST(what_is_open_is_told),
        TEST(the_end_is_the_end),
        TEST(literals_of_one_class_are_the_same),
        TEST(everything_else_is_different),
        TEST(gaps_say_where_and_what),
        TEST(same_texts_have_the_same_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
