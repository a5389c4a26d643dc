/*
 * What planner and catalog do with trees: folding, substitution, NULL rejection, page predicates, index bounds, text.
 */
#include "expr_test.h"

#include <string.h>

#include "expr/deparse.h"
#include "expr/pred.h"
#include "parse/deparse.h"
#include "parse/parse.h"

static Bench bench;
static Bench *t = &bench;

static int setup(void **state)
{
    (void)state;
    bench_open(t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_close(t);
    return 0;
}

static const Expr *a(void) { return col(t, 1, OID_INT4); }
static const Expr *b(void) { return col(t, 2, OID_INT4); }
static const Expr *flag(void) { return col(t, 3, OID_BOOL); }
static const Expr *text(void) { return col(t, 4, OID_TEXT); }
static const Expr *i4(const char *s) { return lit(t, OID_INT4, s); }

/* ---- text ---- */

static Status put_column(void *arg, const Expr *column, StrBuf *out)
{
    static const char *const names[] = {"?", "a", "b", "flag", "t", "n", "vc", "ch", "ts"};
    (void)arg;
    strbuf_puts(out, names[column->u.column]);
    return ST_OK;
}

static const char *deparse(const Expr *e, bool pretty)
{
    const ExprNames names = {.column = put_column};
    StrBuf sb;
    assert_int_equal(t->st, ST_OK);
    strbuf_init(&sb, &t->budget);
    assert_int_equal(expr_deparse(&t->cx, e, &names, pretty, &sb), ST_OK);
    const char *copy = arena_strdup(&t->arena, sb.p);
    strbuf_done(&sb);
    return copy;
}

/* Prints like PostgreSQL, and the parser reads the text. */
static void prints(const Expr *e, const char *plain, const char *pretty)
{
    AstNode *ast;
    AstNode *ast_pretty;
    AstDiff diff;
    const char *p = deparse(e, false);
    const char *q = deparse(e, true);
    assert_string_equal(p, plain);
    assert_string_equal(q, pretty != NULL ? pretty : plain);
    assert_int_equal(parse_expr(NULL, &t->cx, p, strlen(p), &ast), ST_OK);
    assert_int_equal(parse_expr(NULL, &t->cx, q, strlen(q), &ast_pretty), ST_OK);
    assert_int_equal(ast_compare(ast, ast_pretty, &t->err, &diff), ST_OK);
    assert_int_equal(diff.node, AST_NONE); /* leaving parentheses out changed nothing */
}

static void text_is_as_pg_get_expr_prints_it(void **state)
{
    (void)state;
    const Expr *e;
    const Expr *vc = col(t, 6, OID_VARCHAR);
    prints(op(t, "+", a(), i4("1")), "(a + 1)", "a + 1");
    prints(op(t, "+", a(), i4("-1")), "(a + '-1'::integer)", "a + '-1'::integer");
    prints(op(t, "-", op(t, "-", a(), b()), op(t, "-", a(), b())), "((a - b) - (a - b))", "a - b - (a - b)");
    prints(op(t, "+", op(t, "*", a(), b()), i4("2")), "((a * b) + 2)", "a * b + 2");
    prints(op(t, "=", text(), lit(t, OID_TEXT, "it's")), "(t = 'it''s'::text)", "t = 'it''s'::text");
    assert_int_equal(t->st, ST_OK);
    ValueType to_text = type_of(OID_TEXT);
    const Expr *implicit;
    assert_int_equal(expr_cast(&t->b, vc, &to_text, EXPR_FORM_CAST_IMPLICIT, false, -1, &implicit), ST_OK);
    prints(op(t, "=", implicit, lit(t, OID_TEXT, "x")), "((vc)::text = 'x'::text)", "vc::text = 'x'::text");
    prints(implicit, "vc", "vc");
    prints(cast_to(t, text(), OID_VARCHAR, 9), "(t)::character varying(5)", "t::character varying(5)");
    prints(cast_to(t, op(t, "+", a(), b()), OID_NUMERIC, numeric_typmod_make(8, 2)), "((a + b))::numeric(8,2)",
           "(a + b)::numeric(8,2)");
    prints(cast_to(t, lit(t, OID_VARCHAR, "abc"), OID_VARCHAR, 9), "'abc'::character varying(5)", NULL);
    prints(i4(NULL), "NULL::integer", NULL);
    prints(lit(t, OID_NUMERIC, "1.50"), "1.50", NULL);
    prints(lit(t, OID_NUMERIC, "7"), "'7'::numeric", NULL);
    const Expr *both = and_of(t, op(t, ">", a(), i4("0")), or_of(t, flag(), not_of(t, flag())));
    prints(both, "((a > 0) AND (flag OR (NOT flag)))", "a > 0 AND (flag OR NOT flag)");
    assert_int_equal(expr_null_test(&t->b, op(t, "+", a(), b()), true, &e), ST_OK);
    prints(e, "((a + b) IS NOT NULL)", "(a + b) IS NOT NULL");
    const Expr *args[] = {op(t, ">", a(), i4("1")), lit(t, OID_TEXT, "x"), lit(t, OID_TEXT, NULL)};
    prints(case_of(t, false, args, 3), "\nCASE\n    WHEN (a > 1) THEN 'x'::text\n    ELSE NULL::text\nEND",
           "\nCASE\n    WHEN a > 1 THEN 'x'::text\n    ELSE NULL::text\nEND");
    const Expr *v;
    assert_int_equal(expr_case_value(&t->b, &a()->type, &v), ST_OK);
    const Expr *simple[] = {a(), op(t, "=", v, i4("1")), i4("2"), i4("3")};
    prints(case_of(t, true, simple, 4), "\nCASE a\n    WHEN 1 THEN 2\n    ELSE 3\nEND", NULL);
    const Expr *elements[] = {i4("1"), i4("2")};
    const Expr *array;
    assert_int_equal(expr_array(&t->b, OID_INT4_ARRAY, elements, 2, -1, &array), ST_OK);
    assert_int_equal(expr_any_all(&t->b, oper("=", OID_INT4, OID_INT4), false, a(), array, -1, &e), ST_OK);
    prints(e, "(a = ANY (ARRAY[1, 2]))", "a = ANY (ARRAY[1, 2])");
    const Expr *two[] = {text(), i4("2")};
    prints(fn(t, 3060, OID_TEXT, two, 2), "\"left\"(t, 2)", NULL);
    const Expr *pair[] = {a(), b()};
    assert_int_equal(expr_row_compare(&t->b, EXPR_ROW_LT, pair, elements, 2, -1, &e), ST_OK);
    prints(e, "(ROW(a, b) < ROW(1, 2))", NULL);
    assert_int_equal(expr_distinct(&t->b, oper("=", OID_INT4, OID_INT4), a(), b(), true, -1, &e), ST_OK);
    prints(e, "(NOT (a IS DISTINCT FROM b))", "NOT a IS DISTINCT FROM b");
    prints(op(t, ">", op(t, "-", NULL, a()), i4("1")), "((- a) > 1)", "(- a) > 1");
    assert_int_equal(expr_bool_test(&t->b, not_of(t, both), EXPR_IS_TRUE, &e), ST_OK);
    prints(e, "((NOT ((a > 0) AND (flag OR (NOT flag)))) IS TRUE)",
           "(NOT (a > 0 AND (flag OR NOT flag))) IS TRUE");
    assert_int_equal(expr_coalesce(&t->b, pair, 2, -1, &e), ST_OK);
    prints(e, "COALESCE(a, b)", NULL);
    assert_int_equal(expr_subscript(&t->b, array, false, elements, 1, -1, &e), ST_OK);
    prints(e, "(ARRAY[1, 2])[1]", NULL);
}

/* ---- folding ---- */

static const char *folded(const Expr *e) { return deparse(fold(t, e), true); }

static void folding(void **state)
{
    (void)state;
    assert_string_equal(folded(op(t, "+", i4("1"), op(t, "*", i4("2"), i4("3")))), "7");
    assert_string_equal(folded(op(t, "/", i4("1"), i4("0"))), "1 / 0");
    assert_string_equal(folded(op(t, "+", a(), i4(NULL))), "NULL::integer");
    assert_string_equal(folded(and_of(t, flag(), op(t, "=", i4("1"), i4("1")))), "flag");
    assert_string_equal(folded(and_of(t, op(t, "/", i4("1"), i4("0")) != NULL ? flag() : NULL, op(t, "=", i4("1"), i4("2")))),
                        "false");
    assert_string_equal(folded(not_of(t, or_of(t, op(t, "<", a(), b()), not_of(t, flag())))), "a >= b AND flag");
    const Expr *args[] = {op(t, "=", i4("1"), i4("2")), a(), flag(), b(), op(t, "=", i4("1"), i4("1")), i4("5"), a()};
    assert_string_equal(folded(case_of(t, false, args, 7)), "\nCASE\n    WHEN flag THEN b\n    ELSE 5\nEND");
    const Expr *v;
    assert_int_equal(expr_case_value(&t->b, &a()->type, &v), ST_OK);
    const Expr *simple[] = {i4("1"), op(t, "=", v, i4("1")), i4("2"), op(t, "/", i4("1"), i4("0"))};
    assert_string_equal(folded(case_of(t, true, simple, 4)), "2"); /* semantics: nothing raised early */
    const Expr *first[] = {i4(NULL), a(), i4("3"), b()};
    const Expr *e;
    assert_int_equal(expr_coalesce(&t->b, first, 4, -1, &e), ST_OK);
    assert_string_equal(folded(e), "COALESCE(a, 3)");
    assert_int_equal(expr_distinct(&t->b, oper("=", OID_INT4, OID_INT4), a(), i4(NULL), false, -1, &e), ST_OK);
    assert_string_equal(folded(e), "a IS NOT NULL");
    assert_string_equal(folded(op(t, "=", flag(), lit(t, OID_BOOL, "f"))), "NOT flag");
}

/* ---- columns ---- */

static const Expr *replacement(void *arg, const Expr *column) { return column->u.column == 1 ? arg : NULL; }

static void substitution_keeps_what_does_not_change(void **state)
{
    (void)state;
    const Expr *untouched = op(t, "*", b(), b());
    const Expr *sum = op(t, "+", a(), untouched);
    const Expr *e;
    assert_int_equal(expr_substitute(&t->b, sum, replacement, (void *)(uintptr_t)i4("7"), &e), ST_OK);
    assert_string_equal(deparse(e, true), "7 + b * b");
    assert_ptr_equal(e->args[1], untouched);
    /* Another representation of numeric is carried through to the kernels. */
    ValueType narrow = fixed_numeric(5, 2);
    const Expr *n = col_type(t, 1, &narrow);
    const Expr *wide = lit(t, OID_NUMERIC, "123456789012345678901234567890.5");
    assert_int_equal(expr_substitute(&t->b, op(t, "+", n, n), replacement, (void *)(uintptr_t)wide, &e), ST_OK);
    assert_string_equal(value_of(t, e), "246913578024691357802469135781.0");
}

static bool is_first(void *arg, ColumnId id)
{
    (void)arg;
    return id == 1;
}

static void null_rejection(void **state)
{
    (void)state;
    const Expr *e;
    const Expr *gt = op(t, ">", op(t, "+", a(), b()), i4("0"));
    assert_true(expr_rejects_nulls(gt, is_first, NULL));
    assert_false(expr_rejects_nulls(flag(), is_first, NULL));
    assert_true(expr_rejects_nulls(and_of(t, flag(), gt), is_first, NULL));
    assert_false(expr_rejects_nulls(or_of(t, flag(), gt), is_first, NULL));
    assert_true(expr_rejects_nulls(not_of(t, gt), is_first, NULL));
    assert_int_equal(expr_null_test(&t->b, a(), false, &e), ST_OK);
    assert_false(expr_rejects_nulls(e, is_first, NULL));
    assert_int_equal(expr_null_test(&t->b, a(), true, &e), ST_OK);
    assert_true(expr_rejects_nulls(e, is_first, NULL));
    const Expr *both[] = {a(), i4("0")};
    assert_int_equal(expr_coalesce(&t->b, both, 2, -1, &e), ST_OK);
    assert_false(expr_rejects_nulls(op(t, ">", e, i4("0")), is_first, NULL));
}

/* ---- pages and indexes ---- */

static bool heap_column(void *arg, ColumnId id, uint16_t *out)
{
    (void)arg;
    *out = (uint16_t)(id * 10);
    return true;
}

static uint32_t predicates(const Expr *e, HeapPredicate **out, const Expr **residual)
{
    const ExprHeapColumns columns = {heap_column, NULL};
    uint32_t n = 0;
    assert_int_equal(t->st, ST_OK);
    assert_int_equal(expr_heap_predicates(&t->b, e, &columns, out, &n, residual), ST_OK);
    return n;
}

static void page_predicates(void **state)
{
    (void)state;
    HeapPredicate *p;
    const Expr *residual;
    const Expr *hard = op(t, "=", op(t, "+", a(), b()), i4("3"));
    assert_int_equal(predicates(and_of(t, op(t, "<", i4("5"), a()), hard), &p, &residual), 1);
    assert_true(p->column == 10 && p->test == HEAP_GT && p->order == HEAP_SIGNED && p->value.i64 == 5);
    assert_ptr_equal(residual, hard);
    assert_int_equal(predicates(op(t, "=", text(), lit(t, OID_TEXT, "a long enough text")), &p, &residual), 1);
    assert_true(p->test == HEAP_EQ && p->order == HEAP_BYTES && residual == NULL);
    /* char(5): padded for equality, not taken for order. */
    ValueType char5;
    assert_int_equal(value_type(OID_BPCHAR, 9, &t->err, &char5), ST_OK);
    const Expr *ch = col_type(t, 7, &char5);
    assert_int_equal(predicates(op(t, "=", ch, lit(t, OID_BPCHAR, "ab ")), &p, &residual), 1);
    assert_true(p->value.view.len == 5 && memcmp(p->value.view.inl, "ab   ", 5) == 0);
    assert_int_equal(predicates(op(t, "<", ch, lit(t, OID_BPCHAR, "ab ")), &p, &residual), 0);
    assert_int_equal(predicates(op(t, "=", ch, lit(t, OID_BPCHAR, "abcdef")), &p, &residual), 0);
    /* numeric(12,2): scaled; NaN is kept by every order that is taken, and looked at again. */
    ValueType money = fixed_numeric(12, 2);
    const Expr *n = col_type(t, 5, &money);
    assert_int_equal(predicates(op(t, "=", n, lit(t, OID_NUMERIC, "1.5")), &p, &residual), 1);
    assert_true(p->value.i64 == 150 && residual == NULL);
    assert_int_equal(predicates(op(t, ">", n, lit(t, OID_NUMERIC, "1.5")), &p, &residual), 1);
    assert_true(p->order == HEAP_UNSIGNED && residual != NULL);
    assert_int_equal(predicates(op(t, "<", n, lit(t, OID_NUMERIC, "1.5")), &p, &residual), 1);
    assert_true(p->order == HEAP_SIGNED && residual != NULL);
    assert_int_equal(predicates(op(t, ">", n, lit(t, OID_NUMERIC, "-1.5")), &p, &residual), 0);
    assert_int_equal(predicates(op(t, "=", n, lit(t, OID_NUMERIC, "1.555")), &p, &residual), 0);
    assert_int_equal(predicates(op(t, "=", n, lit(t, OID_NUMERIC, "NaN")), &p, &residual), 0);
    /* The sign of an integer seen as an oid. */
    assert_int_equal(predicates(op(t, "<", cast_to(t, a(), OID_OID, -1), lit(t, OID_OID, "7")), &p, &residual), 0);
    const Expr *in;
    assert_int_equal(expr_any_all(&t->b, oper("=", OID_INT4, OID_INT4), false, a(), lit(t, OID_INT4_ARRAY, "{3,NULL,4}"),
                                  -1, &in), ST_OK);
    assert_int_equal(predicates(in, &p, &residual), 1);
    assert_true(p->test == HEAP_IN && p->n_in == 2 && p->in[1].i64 == 4);
    assert_int_equal(predicates(op(t, "~~", text(), lit(t, OID_TEXT, "ab%")), &p, &residual), 1);
    assert_true(p->test == HEAP_LIKE && p->like->kind == HEAP_LIKE_PREFIX);
    assert_int_equal(predicates(not_of(t, flag()), &p, &residual), 1);
    assert_true(p->column == 30 && p->test == HEAP_EQ && p->value.u8 == 0);
}

static void index_bounds(void **state)
{
    (void)state;
    ExprBound bound;
    bool found;
    assert_int_equal(expr_index_bound(&t->b, op(t, ">=", i4("5"), a()), 1, NULL, NULL, &found, &bound), ST_OK);
    assert_true(found && bound.kind == EXPR_BOUND_LE && bound.exact);
    assert_int_equal(expr_index_bound(&t->b, op(t, "=", a(), b()), 1, NULL, NULL, &found, &bound), ST_OK);
    assert_false(found);
    assert_int_equal(expr_index_bound(&t->b, op(t, "=", b(), a()), 2, is_first, NULL, &found, &bound), ST_OK);
    assert_true(found && bound.kind == EXPR_BOUND_EQ);
    const char *const patterns[] = {"abc%", "abc", "a\\%b%c", "%c"};
    const char *const prefixes[] = {"'abc'::text", "'abc'::text", "'a%b'::text", NULL};
    for (int i = 0; i < 4; i++) {
        const Expr *like = op(t, "~~", text(), lit(t, OID_TEXT, patterns[i]));
        assert_int_equal(expr_index_bound(&t->b, like, 4, NULL, NULL, &found, &bound), ST_OK);
        assert_int_equal(found, prefixes[i] != NULL);
        if (found) {
            assert_string_equal(deparse(bound.value, false), prefixes[i]);
            assert_int_equal(bound.kind, i == 1 ? EXPR_BOUND_EQ : EXPR_BOUND_PREFIX);
            assert_int_equal(bound.exact, i < 2);
        }
    }
    const Expr *as_oid = op(t, "<", cast_to(t, a(), OID_OID, -1), lit(t, OID_OID, "7"));
    assert_int_equal(expr_index_bound(&t->b, as_oid, 1, NULL, NULL, &found, &bound), ST_OK);
    assert_false(found);
}

/* ---- memory ---- */

static Status everything(void)
{
    const char *const rows[] = {"1", "2", "f", "abc", "4", "5", NULL, "abcdefghijklmnopq"};
    const Expr *cs[] = {op(t, ">", a(), i4("2")), op(t, "||", text(), lit(t, OID_TEXT, " and a longer tail")), text()};
    const Expr *e = case_of(t, false, cs, 3);
    const Expr *in = NULL;
    const Expr *array = lit(t, OID_TEXT_ARRAY, "{a,b,c,d,e,f,g,h,i,j,abc}");
    const Expr *out;
    ValueType types[] = {type_of(OID_INT4), type_of(OID_INT4), type_of(OID_BOOL), type_of(OID_TEXT)};
    ColumnId ids[] = {1, 2, 3, 4};
    ExprLayout layout = {ids, types, 4};
    const ExprProgram *p;
    ExprState *s = NULL;
    const Vector *v[2];
    HeapPredicate *preds;
    uint32_t n;
    const ExprHeapColumns columns = {heap_column, NULL};
    Status st = t->st;
    t->st = ST_OK;
    if (st == ST_OK) {
        st = expr_any_all(&t->b, oper("=", OID_TEXT, OID_TEXT), false, e, array, -1, &in);
    }
    if (st == ST_OK) {
        st = expr_fold(&t->b, NULL, in, &out);
    }
    if (st == ST_OK) {
        st = expr_heap_predicates(&t->b, out, &columns, &preds, &n, &out);
    }
    if (st != ST_OK) {
        return st;
    }
    t->fault.persistent = false;
    int64_t left = t->fault.countdown;
    t->fault.countdown = -1;
    Chunk *c = chunk_of(t, types, 4, 2, rows);
    t->fault.countdown = left;
    const Expr *const exprs[] = {out, e};
    st = expr_compile(&t->cx, &t->arena, exprs, 2, &layout, &p);
    if (st == ST_OK) {
        st = expr_state_new(&t->cx, p, &t->env, 2, &t->arena, &s);
    }
    if (st == ST_OK) {
        st = expr_project(s, c, NULL, 2, v);
    }
    if (st == ST_OK) {
        assert_true(!*(const uint8_t *)vec_at(v[0], 1) && *(const uint8_t *)vec_at(v[0], 0));
    }
    expr_state_free(s);
    t->fault.countdown = -1;
    chunk_done(c);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int64_t i = 1;; i++) {
        bench_open(t);
        t->fault.countdown = i;
        Status st = everything();
        bool fired = t->fault.fired > 0;
        bench_close(t);
        assert_true(st == ST_OK || (fired && st == ST_OUT_OF_MEMORY));
        if (!fired) {
            assert_int_equal(st, ST_OK);
            break;
        }
        assert_true(i < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_is_as_pg_get_expr_prints_it, setup, teardown),
        cmocka_unit_test_setup_teardown(folding, setup, teardown),
        cmocka_unit_test_setup_teardown(substitution_keeps_what_does_not_change, setup, teardown),
        cmocka_unit_test_setup_teardown(null_rejection, setup, teardown),
        cmocka_unit_test_setup_teardown(page_predicates, setup, teardown),
        cmocka_unit_test_setup_teardown(index_bounds, setup, teardown),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
