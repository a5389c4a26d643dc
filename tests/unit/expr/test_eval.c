/*
 * Evaluation, kind by kind: what each node gives for values and NULLs, what is not evaluated, where errors point.
 */
#include "expr_test.h"

#include <string.h>

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

static ValueType two_ints[2];
static ValueType two_bools[2];

static Chunk *ints(uint32_t n, const char *const *texts)
{
    two_ints[0] = two_ints[1] = type_of(OID_INT4);
    return chunk_of(t, two_ints, 2, n, texts);
}

/* All nine pairs of true, false, NULL. */
static Chunk *truth_table(void)
{
    static const char *const values[] = {"t", "t", "t", "f", "t", NULL, "f", "t", "f",
                                         "f", "f", NULL, NULL, "t", NULL, "f", NULL, NULL};
    two_bools[0] = two_bools[1] = type_of(OID_BOOL);
    return chunk_of(t, two_bools, 2, 9, values);
}

static const Expr *a_int(void) { return col(t, 1, OID_INT4); }
static const Expr *b_int(void) { return col(t, 2, OID_INT4); }
static const Expr *a_bool(void) { return col(t, 1, OID_BOOL); }
static const Expr *b_bool(void) { return col(t, 2, OID_BOOL); }
static const Expr *i4(const char *text) { return lit(t, OID_INT4, text); }

static const char *on_ints(const Expr *e, uint32_t n, const char *const *texts)
{
    return results(t, e, ints(n, texts), two_ints, 2);
}

static const char *on_bools(const Expr *e) { return results(t, e, truth_table(), two_bools, 2); }

static void operators_and_nulls(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "2", NULL, "3", "40", "2"};
    assert_string_equal(on_ints(op(t, "+", a_int(), b_int()), 3, rows), "3|NULL|42");
    assert_string_equal(on_ints(op(t, "*", op(t, "+", a_int(), i4("1")), b_int()), 3, rows), "4|NULL|82");
    assert_string_equal(on_ints(op(t, "-", NULL, a_int()), 3, rows), "-1|NULL|-40");
    assert_string_equal(on_ints(op(t, "<", a_int(), i4("5")), 3, rows), "t|NULL|f");
    assert_string_equal(value_of(t, op(t, "||", lit(t, OID_TEXT, "abc"), lit(t, OID_TEXT, "a long string here"))),
                        "abca long string here");
}

static void three_valued_logic(void **state)
{
    (void)state;
    assert_string_equal(on_bools(and_of(t, a_bool(), b_bool())), "t|f|NULL|f|f|f|NULL|f|NULL");
    assert_string_equal(on_bools(or_of(t, a_bool(), b_bool())), "t|t|t|t|f|NULL|t|NULL|NULL");
    assert_string_equal(on_bools(not_of(t, a_bool())), "f|f|f|t|t|t|NULL|NULL|NULL");
    const char *const want[] = {"t|t|t|f|f|f|f|f|f", "f|f|f|t|t|t|t|t|t", "f|f|f|t|t|t|f|f|f",
                                "t|t|t|f|f|f|t|t|t", "f|f|f|f|f|f|t|t|t", "t|t|t|t|t|t|f|f|f"};
    for (int i = 0; i < 6; i++) {
        const Expr *e;
        assert_int_equal(expr_bool_test(&t->b, a_bool(), (ExprBoolTest)i, &e), ST_OK);
        assert_string_equal(on_bools(e), want[i]);
    }
}

static void null_tests_and_distinct(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "1", "1", "2", NULL, "2", NULL, NULL};
    const Expr *e;
    const OperRow *eq = oper("=", OID_INT4, OID_INT4);
    assert_int_equal(expr_null_test(&t->b, a_int(), false, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "f|f|t|t");
    assert_int_equal(expr_null_test(&t->b, a_int(), true, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "t|t|f|f");
    assert_int_equal(expr_distinct(&t->b, eq, a_int(), b_int(), false, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "f|t|t|f");
    assert_int_equal(expr_distinct(&t->b, eq, a_int(), b_int(), true, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "t|f|f|t");
    assert_int_equal(expr_distinct(&t->b, eq, a_int(), i4(NULL), false, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "t|t|f|f");
    assert_int_equal(expr_distinct(&t->b, eq, i4("1"), i4(NULL), false, -1, &e), ST_OK);
    assert_string_equal(value_of(t, e), "t");
}

static void case_takes_the_first_true_branch(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "0", "7", "0", "-3", "0", NULL, "0"};
    const Expr *searched[] = {op(t, ">", a_int(), i4("5")), i4("100"), op(t, ">", a_int(), i4("0")), a_int(), i4(NULL)};
    assert_string_equal(on_ints(case_of(t, false, searched, 5), 4, rows), "1|100|NULL|NULL");
    const Expr *v;
    ValueType int4 = type_of(OID_INT4);
    assert_int_equal(expr_case_value(&t->b, &int4, &v), ST_OK);
    const Expr *simple[] = {op(t, "+", a_int(), i4("1")), op(t, "=", v, i4("2")), lit(t, OID_TEXT, "two"),
                            op(t, "=", v, i4("8")), lit(t, OID_TEXT, "eight"), lit(t, OID_TEXT, "other")};
    assert_string_equal(on_ints(case_of(t, true, simple, 6), 4, rows), "two|eight|other|other");
    assert_string_equal(on_ints(fold(t, case_of(t, true, simple, 6)), 4, rows), "two|eight|other|other");
}

static void untaken_branches_are_not_evaluated(void **state)
{
    (void)state;
    const char *const rows[] = {"10", "2", "10", "0", "9", "3"};
    const Expr *quotient = op(t, "/", a_int(), b_int());
    const Expr *guarded[] = {op(t, "=", b_int(), i4("0")), i4("-1"), quotient};
    assert_string_equal(on_ints(quotient, 3, rows), "!22012@1");
    assert_string_equal(on_ints(case_of(t, false, guarded, 3), 3, rows), "5|-1|3");
    const Expr *big = op(t, ">", quotient, i4("4"));
    assert_string_equal(on_ints(and_of(t, op(t, "<>", b_int(), i4("0")), big), 3, rows), "t|f|f");
    assert_string_equal(on_ints(or_of(t, op(t, "=", b_int(), i4("0")), big), 3, rows), "t|t|f");
    assert_string_equal(on_ints(and_of(t, big, op(t, "<>", b_int(), i4("0"))), 3, rows), "!22012@1");
    const Expr *constant[] = {op(t, "=", a_int(), i4("10")), i4("1"), op(t, "/", i4("1"), i4("0"))};
    const Expr *e = fold(t, case_of(t, false, constant, 3)); /* folding leaves the error where it is */
    assert_string_equal(on_ints(e, 2, rows), "1|1");
    assert_string_equal(on_ints(e, 3, rows), "!22012@2");
    /* A common subexpression is evaluated for the rows of each place only. */
    const Expr *twice[] = {op(t, "=", b_int(), i4("2")), quotient, op(t, "=", b_int(), i4("3")), quotient, i4("0")};
    assert_string_equal(on_ints(case_of(t, false, twice, 5), 3, rows), "5|0|3");
}

static void coalesce_nullif_greatest(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "2", NULL, "3", NULL, NULL, "4", "4"};
    const Expr *e;
    const Expr *both[] = {a_int(), b_int(), i4("0")};
    assert_int_equal(expr_coalesce(&t->b, both, 3, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "1|3|0|4");
    assert_int_equal(expr_coalesce(&t->b, both, 2, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "1|3|NULL|4");
    const Expr *fails[] = {a_int(), op(t, "/", b_int(), i4("0"))};
    assert_int_equal(expr_coalesce(&t->b, fails, 2, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 1, rows), "1");
    assert_string_equal(on_ints(e, 2, rows), "!22012@1");
    assert_int_equal(expr_nullif(&t->b, oper("=", OID_INT4, OID_INT4), a_int(), b_int(), a_int(), -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "1|NULL|NULL|NULL");
    assert_int_equal(expr_min_max(&t->b, false, both, 2, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "2|3|NULL|4");
    assert_int_equal(expr_min_max(&t->b, true, both, 2, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 4, rows), "1|3|NULL|4");
}

static const Expr *in_list(const Expr *scalar, const Expr *array, const char *operator, bool all)
{
    const Expr *e = NULL;
    t->st = expr_any_all(&t->b, oper(operator, scalar->type.oid, scalar->type.oid), all, scalar, array, -1, &e);
    return e;
}

static void in_lists(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "0", "5", "0", NULL, "0", "12", "0"};
    const Expr *elements[] = {i4("1"), b_int(), i4("12")};
    const Expr *array;
    assert_int_equal(expr_array(&t->b, OID_INT4_ARRAY, elements, 3, -1, &array), ST_OK);
    assert_string_equal(on_ints(array, 2, rows), "{1,0,12}|{1,0,12}");
    assert_string_equal(on_ints(in_list(a_int(), array, "=", false), 4, rows), "t|f|NULL|t");
    const char *const lists[] = {"{1,12}", "{1,2,3,4,12,7,8,9,10,11,12,1}", "{1,NULL,12}",
                                 "{1,2,3,4,12,7,8,9,10,11,NULL}", "{}"};
    const char *const is_in[] = {"t|f|NULL|t", "t|f|NULL|t", "t|NULL|NULL|t", "t|NULL|NULL|t", "f|f|f|f"};
    const char *const not_in[] = {"f|t|NULL|f", "f|t|NULL|f", "f|NULL|NULL|f", "f|NULL|NULL|f", "t|t|t|t"};
    for (int i = 0; i < 5; i++) {
        const Expr *list = lit(t, OID_INT4_ARRAY, lists[i]);
        assert_string_equal(on_ints(in_list(a_int(), list, "=", false), 4, rows), is_in[i]);
        assert_string_equal(on_ints(in_list(a_int(), list, "<>", true), 4, rows), not_in[i]);
        assert_string_equal(on_ints(fold(t, in_list(a_int(), list, "=", false)), 4, rows), is_in[i]);
        assert_string_equal(on_ints(fold(t, not_of(t, in_list(a_int(), list, "=", false))), 4, rows), not_in[i]);
    }
    assert_string_equal(on_ints(in_list(a_int(), lit(t, OID_INT4_ARRAY, NULL), "=", false), 2, rows), "NULL|NULL");
    assert_string_equal(on_ints(in_list(a_int(), lit(t, OID_INT4_ARRAY, "{3,4}"), "<", true), 4, rows),
                        "t|f|NULL|f");
    const Expr *words = lit(t, OID_TEXT_ARRAY, "{a,b,c,d,e,f,g,h,i,a string that is long}");
    assert_string_equal(value_of(t, in_list(lit(t, OID_TEXT, "a string that is long"), words, "=", false)), "t");
    assert_string_equal(value_of(t, in_list(lit(t, OID_TEXT, "a string that is lost"), words, "=", false)), "f");
}

static void arrays_and_subscripts(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "2", "3", NULL};
    const Expr *array = lit(t, OID_INT4_ARRAY, "{10,20,30}");
    const Expr *e;
    const Expr *sub[] = {a_int()};
    const Expr *bounds[] = {a_int(), b_int()};
    assert_int_equal(expr_subscript(&t->b, array, false, sub, 1, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 2, rows), "10|30");
    assert_int_equal(expr_subscript(&t->b, array, true, bounds, 2, -1, &e), ST_OK);
    assert_string_equal(on_ints(e, 1, rows), "{10,20}");
}

static void rows_compare_by_the_first_difference(void **state)
{
    (void)state;
    const char *const rows[] = {"1", "2", "2", "2", "2", NULL, "3", "1", "2", "9"};
    const Expr *left[] = {a_int(), b_int()};
    const Expr *right[] = {i4("2"), i4("2")};
    const char *const want[] = {"t|f|NULL|f|f", "t|t|NULL|f|f", "f|t|NULL|t|t", "f|f|NULL|t|t"};
    for (int i = 0; i < 4; i++) {
        const Expr *e;
        assert_int_equal(expr_row_compare(&t->b, (ExprRowOp)i, left, right, 2, -1, &e), ST_OK);
        assert_string_equal(on_ints(e, 5, rows), want[i]);
    }
}

static void like_with_constant_patterns(void **state)
{
    (void)state;
    ValueType types[2] = {type_of(OID_TEXT), type_of(OID_TEXT)};
    const char *const rows[] = {"abc", NULL, "abcdefghijklmnopq", NULL, NULL, NULL, "xabc", NULL, "a", NULL};
    Chunk *c = chunk_of(t, types, 2, 5, rows);
    const char *const patterns[] = {"abc%", "abcdefg%", "%abc", "%b%", "a_c", "a", "%", "ab\\"};
    const char *const want[] = {"t|t|NULL|f|f", "f|t|NULL|f|f", "t|f|NULL|t|f", "t|t|NULL|t|f",
                                "t|f|NULL|f|f", "f|f|NULL|f|t", "t|t|NULL|t|t", "!22025@0"};
    for (int i = 0; i < 8; i++) {
        const Expr *e = op(t, "~~", col(t, 1, OID_TEXT), lit(t, OID_TEXT, patterns[i]));
        assert_string_equal(results(t, e, c, types, 2), want[i]);
    }
    const Expr *e = op(t, "!~~", col(t, 1, OID_TEXT), lit(t, OID_TEXT, "abc%"));
    assert_string_equal(results(t, e, c, types, 2), "f|f|NULL|t|t");
}

static void casts(void **state)
{
    (void)state;
    assert_string_equal(value_of(t, cast_to(t, lit(t, OID_TEXT, "abcdef"), OID_VARCHAR, 4 + 3)), "abc");
    assert_string_equal(value_of(t, cast_to(t, i4("7"), OID_TEXT, -1)), "7");
    assert_string_equal(value_of(t, cast_to(t, lit(t, OID_TEXT, "x1"), OID_INT4, -1)), "!22P02@0");
    assert_string_equal(value_of(t, cast_to(t, i4("7"), OID_NUMERIC, numeric_typmod_make(10, 2))), "7.00");
    assert_string_equal(value_of(t, cast_to(t, lit(t, OID_VARCHAR, "v"), OID_TEXT, -1)), "v");
}

static void numeric_forms_keep_their_digits(void **state)
{
    (void)state;
    ValueType types[2] = {fixed_numeric(12, 2), fixed_numeric(12, 3)};
    const char *const rows[] = {"1.50", "0.100", "-2.25", NULL, "NaN", "1.000"};
    Chunk *c = chunk_of(t, types, 2, 3, rows);
    const Expr *a = col_type(t, 1, &types[0]);
    const Expr *b = col_type(t, 2, &types[1]);
    assert_string_equal(results(t, op(t, "+", a, b), c, types, 2), "1.600|NULL|NaN");
    assert_string_equal(results(t, op(t, "*", a, op(t, "-", lit(t, OID_NUMERIC, "1"), b)), c, types, 2),
                        "1.35000|NULL|NaN");
    const Expr *choice[] = {op(t, ">", a, lit(t, OID_NUMERIC, "0")), a, b};
    assert_string_equal(results(t, case_of(t, false, choice, 3), c, types, 2), "1.50|NULL|NaN");
    const Expr *e;
    const Expr *both[] = {b, a};
    assert_int_equal(expr_coalesce(&t->b, both, 2, -1, &e), ST_OK);
    assert_string_equal(results(t, e, c, types, 2), "0.100|-2.25|1.000");
    const Expr *list = lit(t, OID_NUMERIC_ARRAY, "{1.5,7,8,9,10,11,12,13,NaN,14}");
    assert_string_equal(results(t, in_list(a, list, "=", false), c, types, 2), "t|f|t");
}

static void parameters_are_read_once_and_anew_when_told(void **state)
{
    (void)state;
    ValueType int4 = type_of(OID_INT4);
    const Expr *p;
    assert_int_equal(expr_param(&t->b, EXPR_PARAM_EXTERN, 1, &int4, -1, &p), ST_OK);
    const Expr *e = op(t, "*", op(t, "+", p, i4("1")), a_int());
    const char *const rows[] = {"1", "0", "2", "0"};
    ExprParam value = {.value.i32 = 9};
    ExprEnv env = {.facts = &session_facts_default, .params = &value, .nparams = 1};
    Chunk *c = ints(2, rows);
    ColumnId ids[] = {1, 2};
    ExprLayout layout = {ids, two_ints, 2};
    const ExprProgram *program;
    ExprState *s;
    const Vector *v;
    assert_int_equal(expr_compile(&t->cx, &t->arena, &e, 1, &layout, &program), ST_OK);
    assert_int_equal(expr_state_new(&t->cx, program, &env, 2, &t->arena, &s), ST_OK);
    assert_int_equal(expr_eval(s, c, NULL, 2, &v), ST_OK);
    assert_string_equal(show(t, &int4, v, 1), "20");
    value.value.i32 = 99;
    expr_params_changed(s);
    assert_int_equal(expr_eval(s, c, NULL, 2, &v), ST_OK);
    assert_string_equal(show(t, &int4, v, 1), "200");
    value.is_null = true;
    expr_params_changed(s);
    assert_int_equal(expr_eval(s, c, NULL, 2, &v), ST_OK);
    assert_null(show(t, &int4, v, 1));
    expr_state_free(s);
}

static void equal_subexpressions_are_one_step(void **state)
{
    (void)state;
    const Expr *sum1 = op(t, "+", a_int(), b_int());
    const Expr *sum2 = op(t, "+", a_int(), b_int());
    const Expr *exprs[] = {op(t, "*", sum1, sum2), sum2};
    two_ints[0] = two_ints[1] = type_of(OID_INT4);
    ColumnId ids[] = {1, 2};
    ExprLayout layout = {ids, two_ints, 2};
    const ExprProgram *program;
    assert_int_equal(expr_compile(&t->cx, &t->arena, exprs, 2, &layout, &program), ST_OK);
    assert_int_equal(expr_program_steps(program), 4);
    bool equal;
    assert_int_equal(expr_equal(sum1, sum2, &t->err, &equal), ST_OK);
    assert_true(equal);
}

static void what_the_planner_must_replace_is_refused(void **state)
{
    (void)state;
    const ExprProgram *program;
    ExprLayout none = {NULL, NULL, 0};
    const Expr *e = a_int();
    assert_int_equal(expr_compile(&t->cx, &t->arena, &e, 1, &none, &program), ST_INTERNAL);
}

/* A left-deep sum of a million terms can be made; to run it is refused, not crashed on. */
static void depth_is_bounded_by_the_stack(void **state)
{
    (void)state;
    const Expr *e = a_int();
    for (int i = 0; i < 1000000; i++) {
        e = op(t, "+", e, a_int());
    }
    const Expr *folded;
    assert_int_equal(t->st, ST_OK);
    assert_int_equal(expr_fold(&t->b, NULL, e, &folded), ST_STATEMENT_TOO_COMPLEX);
    err_clear(&t->err);
    assert_int_equal(expr_check(e, &t->err), ST_STATEMENT_TOO_COMPLEX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(operators_and_nulls, setup, teardown),
        cmocka_unit_test_setup_teardown(three_valued_logic, setup, teardown),
        cmocka_unit_test_setup_teardown(null_tests_and_distinct, setup, teardown),
        cmocka_unit_test_setup_teardown(case_takes_the_first_true_branch, setup, teardown),
        cmocka_unit_test_setup_teardown(untaken_branches_are_not_evaluated, setup, teardown),
        cmocka_unit_test_setup_teardown(coalesce_nullif_greatest, setup, teardown),
        cmocka_unit_test_setup_teardown(in_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(arrays_and_subscripts, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_compare_by_the_first_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(like_with_constant_patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(casts, setup, teardown),
        cmocka_unit_test_setup_teardown(numeric_forms_keep_their_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_are_read_once_and_anew_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_subexpressions_are_one_step, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_planner_must_replace_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_bounded_by_the_stack, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
