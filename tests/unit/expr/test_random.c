/*
 * Random expression trees, evaluated by the engine in every shape of batch (2,048 rows, 2 rows, selections, constant
 * columns, folded) and by a row-at-a-time evaluator written here from SQL's definitions. Errors must agree too: a row
 * fails here iff it fails there, and a batch fails iff one of its rows does.
 */
#include "expr_test.h"

#include <string.h>

#include "base/rng.h"

enum { ROWS = 96, COLUMNS = 4, TREES = 3000 };

typedef enum Kind { INT, BOOL } Kind;

/* A value as the reference knows it. */
typedef struct Ref {
    bool failed;
    bool null;
    int64_t v;
} Ref;

static Bench bench;
static Bench *t = &bench;
static Rng rng;
static ValueType types[COLUMNS];
static ColumnId ids[COLUMNS] = {1, 2, 3, 4};
static const char *cells[ROWS * COLUMNS];

static uint32_t pick(uint32_t n) { return (uint32_t)rng_below(&rng, n); }

static const char *random_int(void)
{
    static const char *const values[] = {"0", "1", "-1", "2", "3", "7", "2147483647", "-2147483648", "100", NULL};
    return values[pick(10)];
}

static const char *random_bool(void) { return (const char *[]){"t", "f", NULL}[pick(3)]; }

/* ---- trees ---- */

static const Expr *tree(Kind kind, int depth);

static const Expr *leaf(Kind kind)
{
    if (pick(4) == 0) {
        return kind == INT ? lit(t, OID_INT4, random_int()) : lit(t, OID_BOOL, random_bool());
    }
    return kind == INT ? col(t, 1 + pick(2), OID_INT4) : col(t, 3 + pick(2), OID_BOOL);
}

static const Expr *random_case(Kind kind, int depth)
{
    const Expr *args[6];
    uint32_t n = 0;
    bool has_value = pick(2);
    uint32_t whens = 1 + pick(2);
    const Expr *v = NULL;
    ValueType int4 = type_of(OID_INT4);
    if (has_value) {
        args[n++] = tree(INT, depth);
        t->st = expr_case_value(&t->b, &int4, &v);
    }
    for (uint32_t i = 0; i < whens; i++) {
        args[n++] = has_value ? op(t, pick(2) ? "=" : "<", v, tree(INT, depth)) : tree(BOOL, depth);
        args[n++] = tree(kind, depth);
    }
    args[n++] = tree(kind, depth);
    return case_of(t, has_value, args, n);
}

static const Expr *int_node(int d)
{
    static const char *const ops[] = {"+", "-", "*", "/", "%"};
    const Expr *e = NULL;
    const Expr *args[3];
    switch (pick(8)) {
    case 0: return random_case(INT, d);
    case 1:
        for (int i = 0; i < 3; i++) {
            args[i] = tree(INT, d);
        }
        t->st = expr_coalesce(&t->b, args, 3, -1, &e);
        return e;
    case 2:
        args[0] = tree(INT, d);
        args[1] = tree(INT, d);
        t->st = expr_nullif(&t->b, oper("=", OID_INT4, OID_INT4), args[0], args[1], args[0], -1, &e);
        return e;
    case 3:
        args[0] = tree(INT, d);
        args[1] = tree(INT, d);
        t->st = expr_min_max(&t->b, pick(2), args, 2, -1, &e);
        return e;
    default: return op(t, ops[pick(5)], tree(INT, d), tree(INT, d));
    }
}

static const Expr *bool_node(int d)
{
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">="};
    static const char *const lists[] = {"{1,2}", "{0,-1,NULL}", "{}", "{1,2,3,4,5,6,7,8,9,10}", "{5,4,3,2,1,0,7,8,9,NULL}"};
    const Expr *e = NULL;
    const Expr *args[4];
    bool all = pick(2);
    switch (pick(11)) {
    case 0: return random_case(BOOL, d);
    case 1: return not_of(t, tree(BOOL, d));
    case 2: t->st = expr_null_test(&t->b, tree(INT, d), pick(2), &e); return e;
    case 3: t->st = expr_bool_test(&t->b, tree(BOOL, d), (ExprBoolTest)pick(6), &e); return e;
    case 4:
        args[0] = tree(INT, d);
        args[1] = tree(INT, d);
        t->st = expr_distinct(&t->b, oper("=", OID_INT4, OID_INT4), args[0], args[1], pick(2), -1, &e);
        return e;
    case 5:
        t->st = expr_any_all(&t->b, oper(all ? "<>" : "=", OID_INT4, OID_INT4), all, tree(INT, d),
                             lit(t, OID_INT4_ARRAY, lists[pick(5)]), -1, &e);
        return e;
    case 6:
        for (int i = 0; i < 4; i++) {
            args[i] = tree(INT, d > 0 ? d - 1 : 0);
        }
        t->st = expr_row_compare(&t->b, (ExprRowOp)pick(4), args, args + 2, 2, -1, &e);
        return e;
    case 7: return and_of(t, tree(BOOL, d), tree(BOOL, d));
    case 8: return or_of(t, tree(BOOL, d), tree(BOOL, d));
    default: return op(t, ops[pick(6)], tree(INT, d), tree(INT, d));
    }
}

static const Expr *tree(Kind kind, int depth)
{
    if (depth <= 0 || pick(5) == 0) {
        return leaf(kind);
    }
    return kind == INT ? int_node(depth - 1) : bool_node(depth - 1);
}

/* ---- the reference ---- */

static Ref ref(const Expr *e, uint32_t row, const Ref *case_value);

static Ref ref_text(const char *text)
{
    if (text == NULL) {
        return (Ref){.null = true};
    }
    return (Ref){.v = text[0] == 't' ? 1 : text[0] == 'f' ? 0 : strtoll(text, NULL, 10)};
}

static Ref ref_arith(char o, int64_t a, int64_t b)
{
    if ((o == '/' || o == '%') && b == 0) {
        return (Ref){.failed = true};
    }
    int64_t r = o == '+' ? a + b : o == '-' ? a - b : o == '*' ? a * b : o == '/' ? a / b : a % b;
    return (Ref){.v = r, .failed = r != (int32_t)r};
}

static int64_t ref_compare(const char *name, int64_t a, int64_t b)
{
    return strcmp(name, "=") == 0    ? a == b
           : strcmp(name, "<>") == 0 ? a != b
           : strcmp(name, "<") == 0  ? a < b
           : strcmp(name, "<=") == 0 ? a <= b
           : strcmp(name, ">") == 0  ? a > b
                                     : a >= b;
}

static Ref ref_operator(const Expr *e, uint32_t row, const Ref *cv)
{
    const char *name = oper_by_oid(e->u.call->oper)->name;
    Ref a = ref(e->args[0], row, cv);
    Ref b = ref(e->args[1], row, cv);
    if (a.failed || b.failed || a.null || b.null) {
        return (Ref){.failed = a.failed || b.failed, .null = true};
    }
    if (e->type.oid == OID_INT4) {
        return ref_arith(name[0], a.v, b.v);
    }
    return (Ref){.v = ref_compare(name, a.v, b.v)};
}

static Ref ref_and_or(const Expr *e, uint32_t row, const Ref *cv)
{
    bool unknown = false;
    int64_t decisive = e->kind == EXPR_OR;
    for (uint32_t i = 0; i < e->nargs; i++) {
        Ref r = ref(e->args[i], row, cv);
        if (r.failed || (!r.null && r.v == decisive)) {
            return r;
        }
        unknown = unknown || r.null;
    }
    return (Ref){.null = unknown, .v = !decisive};
}

static Ref ref_case(const Expr *e, uint32_t row, const Ref *cv)
{
    Ref value = {0};
    if (e->op == 1) {
        value = ref(e->args[0], row, cv);
        if (value.failed) {
            return value;
        }
    }
    for (uint32_t i = e->op; i + 1 < e->nargs; i += 2) {
        Ref c = ref(e->args[i], row, e->op == 1 ? &value : cv);
        if (c.failed) {
            return c;
        }
        if (!c.null && c.v) {
            return ref(e->args[i + 1], row, cv);
        }
    }
    return ref(e->args[e->nargs - 1], row, cv);
}

static Ref ref_in(const Expr *e, uint32_t row, const Ref *cv)
{
    const char *text = value_of(t, e->args[1]);
    Ref a = ref(e->args[0], row, cv);
    bool unknown = false;
    if (a.failed || strcmp(text, "{}") == 0) {
        return a.failed ? a : (Ref){.v = e->op};
    }
    for (const char *p = text + 1; *p != '\0'; p = strpbrk(p, ",}") + 1) {
        bool null = *p == 'N';
        if (!null && !a.null && strtoll(p, NULL, 10) == a.v) {
            return (Ref){.v = !e->op};
        }
        unknown = unknown || null || a.null;
    }
    return (Ref){.null = unknown, .v = e->op};
}

static Ref ref_row_compare(const Expr *e, uint32_t row, const Ref *cv)
{
    uint32_t n = e->nargs / 2;
    for (uint32_t i = 0; i < n; i++) { /* pairs after the one that decides are not evaluated */
        Ref a = ref(e->args[i], row, cv);
        Ref b = a.failed ? a : ref(e->args[n + i], row, cv);
        if (b.failed || a.null || b.null) {
            return (Ref){.failed = b.failed, .null = true};
        }
        if (a.v != b.v) {
            return (Ref){.v = (a.v < b.v) == (e->op == EXPR_ROW_LT || e->op == EXPR_ROW_LE)};
        }
    }
    return (Ref){.v = e->op == EXPR_ROW_LE || e->op == EXPR_ROW_GE};
}

static Ref ref_unary(const Expr *e, uint32_t row, const Ref *cv)
{
    static const uint8_t table[6][3] = {{0, 1, 0}, {1, 0, 1}, {1, 0, 0}, {0, 1, 1}, {0, 0, 1}, {1, 1, 0}};
    Ref a = ref(e->args[0], row, cv);
    if (a.failed) {
        return a;
    }
    return e->kind == EXPR_NOT         ? (Ref){.null = a.null, .v = !a.v}
           : e->kind == EXPR_NULL_TEST ? (Ref){.v = a.null != e->op}
                                       : (Ref){.v = table[e->op][a.null ? 2 : a.v]};
}

static Ref ref_pick(const Expr *e, uint32_t row, const Ref *cv)
{
    Ref best = {.null = true};
    for (uint32_t i = 0; i < e->nargs; i++) {
        Ref r = ref(e->args[i], row, cv);
        if (r.failed || (e->kind == EXPR_COALESCE && !r.null)) {
            return r;
        }
        if (!r.null && (best.null || (e->op ? r.v < best.v : r.v > best.v))) {
            best = r;
        }
    }
    return best;
}

static Ref ref(const Expr *e, uint32_t row, const Ref *cv)
{
    switch (e->kind) {
    case EXPR_CONST:
        return e->u.value == NULL ? (Ref){.null = true} : (Ref){.v = e->type.oid == OID_BOOL ? e->u.value->b : e->u.value->i32};
    case EXPR_COLUMN: return ref_text(cells[row * COLUMNS + e->u.column - 1]);
    case EXPR_CASE_VALUE: return *cv;
    case EXPR_CALL: return ref_operator(e, row, cv);
    case EXPR_AND:
    case EXPR_OR: return ref_and_or(e, row, cv);
    case EXPR_CASE: return ref_case(e, row, cv);
    case EXPR_ANY_ALL: return ref_in(e, row, cv);
    case EXPR_ROW_COMPARE: return ref_row_compare(e, row, cv);
    case EXPR_COALESCE:
    case EXPR_MIN_MAX: return ref_pick(e, row, cv);
    case EXPR_NOT:
    case EXPR_NULL_TEST:
    case EXPR_BOOL_TEST: return ref_unary(e, row, cv);
    default: break;
    }
    Ref a = ref(e->args[0], row, cv);
    Ref b = a.failed ? a : ref(e->args[1], row, cv);
    if (b.failed) {
        return b;
    }
    bool same = a.null || b.null ? a.null && b.null : a.v == b.v;
    if (e->kind == EXPR_DISTINCT) {
        return (Ref){.v = same == e->op};
    }
    return !a.null && !b.null && same ? (Ref){.null = true} : a;
}

/* ---- the comparison ---- */

static bool matches(const Expr *e, const Vector *v, uint32_t row, Ref want)
{
    if (vec_is_null(v, row) || want.null) {
        return vec_is_null(v, row) && want.null;
    }
    int64_t got = e->type.oid == OID_BOOL ? *(const uint8_t *)vec_at(v, row) : *(const int32_t *)vec_at(v, row);
    return got == want.v;
}

/* Runs rows [at, at + n) of the table, those of `sel`; row numbers are of the chunk. */
static void check(ExprState *s, const Expr *e, const Chunk *c, uint32_t at, const uint16_t *sel, uint32_t n,
                  const Ref *want)
{
    const Vector *v;
    bool fails = false;
    for (uint32_t i = 0; i < n; i++) {
        fails = fails || want[at + sel_row(sel, i)].failed;
    }
    err_clear(&t->err);
    Status st = expr_eval(s, c, sel, n, &v);
    assert_int_equal(st != ST_OK, fails);
    if (st != ST_OK) {
        assert_true(want[at + expr_error_row(s)].failed);
    }
    for (uint32_t i = 0; i < n && !fails; i++) {
        assert_true(matches(e, v, sel_row(sel, i), want[at + sel_row(sel, i)]));
    }
    if (e->type.oid != OID_BOOL || fails) {
        return;
    }
    uint16_t passed[ROWS];
    uint32_t k;
    uint32_t m = 0;
    assert_int_equal(expr_filter(s, c, sel, n, passed, &k), ST_OK);
    for (uint32_t i = 0; i < n; i++) {
        Ref r = want[at + sel_row(sel, i)];
        if (!r.null && r.v) {
            assert_true(m < k && passed[m] == sel_row(sel, i));
            m++;
        }
    }
    assert_int_equal(m, k);
}

static ExprState *state_for(const Expr *e, uint32_t capacity)
{
    ExprLayout layout = {ids, types, COLUMNS};
    const ExprProgram *p;
    ExprState *s;
    assert_int_equal(expr_check(e, &t->err), ST_OK);
    assert_int_equal(expr_compile(&t->cx, &t->arena, &e, 1, &layout, &p), ST_OK);
    assert_int_equal(expr_state_new(&t->cx, p, &t->env, capacity, &t->arena, &s), ST_OK);
    return s;
}

static void run_shapes(const Expr *e, const Chunk *all, Chunk *const *pairs, const Ref *want)
{
    uint16_t sel[ROWS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        if (pick(3) == 0) {
            sel[n++] = (uint16_t)i;
        }
    }
    ExprState *s = state_for(e, ROWS);
    check(s, e, all, 0, NULL, ROWS, want);
    check(s, e, all, 0, sel, n, want);
    /* Single rows, so that failing rows do not hide the others. */
    for (uint16_t i = 0; i < ROWS; i++) {
        check(s, e, all, 0, &i, 1, want);
    }
    expr_state_free(s);
    s = state_for(e, 2);
    for (uint32_t i = 0; i < ROWS / 2; i++) {
        check(s, e, pairs[i], 2 * i, NULL, 2, want);
    }
    expr_state_free(s);
}

/* Folding may turn a failing row into one that succeeds (NULL in, NULL out), never the other way. */
static void run_folded(const Expr *e, const Chunk *all, const Ref *want)
{
    const Expr *folded;
    const Vector *v;
    assert_int_equal(expr_fold(&t->b, NULL, e, &folded), ST_OK);
    assert_int_equal(folded->type.oid, e->type.oid);
    ExprState *s = state_for(folded, ROWS);
    for (uint16_t i = 0; i < ROWS; i++) {
        if (!want[i].failed) {
            assert_int_equal(expr_eval(s, all, &i, 1, &v), ST_OK);
            assert_true(matches(folded, v, i, want[i]));
        }
    }
    expr_state_free(s);
}

/* The same table with every column constant. */
static void run_constant(const Expr *e, const Ref *want)
{
    uint32_t row = pick(ROWS);
    Chunk *c = chunk_of(t, types, COLUMNS, 2, cells + (row & ~1u) * COLUMNS);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        c->columns[i].kind = VEC_CONSTANT;
    }
    Ref same[2] = {want[row & ~1u], want[row & ~1u]};
    ExprState *s = state_for(e, 2);
    check(s, e, c, 0, NULL, 2, same);
    expr_state_free(s);
}

static void random_trees_agree_with_the_definition(void **state)
{
    (void)state;
    const char *text = getenv("EXPR_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 20260101;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < TREES; i++) {
        bench_open(t);
        rng_seed(&rng, seed + i);
        types[0] = types[1] = type_of(OID_INT4);
        types[2] = types[3] = type_of(OID_BOOL);
        for (uint32_t k = 0; k < ROWS * COLUMNS; k++) {
            cells[k] = k % COLUMNS < 2 ? random_int() : random_bool();
        }
        Chunk *all = chunk_of(t, types, COLUMNS, ROWS, cells);
        Chunk *pairs[ROWS / 2];
        for (uint32_t k = 0; k < ROWS / 2; k++) {
            pairs[k] = chunk_of(t, types, COLUMNS, 2, cells + 2 * k * COLUMNS);
        }
        const Expr *e = tree(pick(2) ? INT : BOOL, 1 + (int)pick(4));
        Ref want[ROWS];
        assert_int_equal(t->st, ST_OK);
        for (uint32_t k = 0; k < ROWS; k++) {
            want[k] = ref(e, k, NULL);
        }
        if (text != NULL) {
            print_message("# tree %llu\n", (unsigned long long)i);
        }
        run_shapes(e, all, pairs, want);
        run_folded(e, all, want);
        run_constant(e, want);
        bench_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_trees_agree_with_the_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
