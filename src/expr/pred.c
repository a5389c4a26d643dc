/*
 * expr/pred.c: NULL rejection, predicates for table pages, index bounds (see pred.h).
 */
#include "expr/pred.h"

#include "base/map.h"
#include "expr/expr_int.h"
#include "os/thread.h"
#include "types/array.h"
#include "types/numeric.h"

/* ---- NULL rejection ---- */

typedef struct Nulls {
    bool (*in)(void *arg, ColumnId id);
    void *arg;
} Nulls;

static bool is_null(const Nulls *z, const Expr *e);

static bool any_null(const Nulls *z, const Expr *e)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (is_null(z, e->args[i])) {
            return true;
        }
    }
    return false;
}

static bool all_null(const Nulls *z, const Expr *e)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (!is_null(z, e->args[i])) {
            return false;
        }
    }
    return e->nargs > 0;
}

/* An array that has elements for certain: over an empty one ANY is false and ALL true, whatever the scalar. */
static bool has_elements(const Expr *array)
{
    ArrayView v;
    if (!expr_is_const(array)) {
        return array->kind == EXPR_ARRAY && array->nargs > 0;
    }
    if (array->u.value != NULL) {
        array_view(&array->u.value->str, &v);
    }
    return array->u.value != NULL && v.n > 0;
}

static bool fn_is_strict(Oid oper)
{
    const OperRow *op = oper_by_oid(oper);
    return op != NULL && (fn_by_oid(op->fn)->flags & FN_STRICT);
}

/* Is the value NULL when the columns are? */
static bool is_null(const Nulls *z, const Expr *e)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return false;
    }
    switch (e->kind) {
    case EXPR_CONST: return e->u.value == NULL;
    case EXPR_COLUMN: return z->in(z->arg, e->u.column);
    case EXPR_CALL: return e->u.call->call.strict && any_null(z, e);
    case EXPR_NOT:
    case EXPR_COLLATE:
    case EXPR_SESSION: return is_null(z, e->args[0]);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_COALESCE:
    case EXPR_MIN_MAX: return all_null(z, e);
    case EXPR_SUBSCRIPT: return e->op == 0 ? any_null(z, e) : is_null(z, e->args[0]);
    case EXPR_NULLIF: return is_null(z, e->args[2]);
    case EXPR_ANY_ALL:
        return is_null(z, e->args[1]) ||
               (fn_is_strict(e->u.call->oper) && has_elements(e->args[1]) && is_null(z, e->args[0]));
    case EXPR_ROW_COMPARE: return is_null(z, e->args[0]) || is_null(z, e->args[e->nargs / 2]);
    default: return false;
    }
}

static bool not_true(const Nulls *z, const Expr *e)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return false;
    }
    if (e->kind == EXPR_AND || e->kind == EXPR_OR) {
        for (uint32_t i = 0; i < e->nargs; i++) {
            if (not_true(z, e->args[i]) == (e->kind == EXPR_AND)) {
                return e->kind == EXPR_AND;
            }
        }
        return e->kind == EXPR_OR;
    }
    if (e->kind == EXPR_BOOL_TEST && e->op == EXPR_IS_TRUE) {
        return not_true(z, e->args[0]);
    }
    if (e->kind == EXPR_BOOL_TEST && (e->op == EXPR_IS_FALSE || e->op == EXPR_IS_NOT_UNKNOWN)) {
        return is_null(z, e->args[0]);
    }
    if (e->kind == EXPR_NULL_TEST && e->op == 1) {
        return is_null(z, e->args[0]);
    }
    if (e->kind == EXPR_ANY_ALL && e->op == 0) { /* over an empty array it is false: not true either */
        return is_null(z, e) || (fn_is_strict(e->u.call->oper) && is_null(z, e->args[0]));
    }
    return expr_is_false(e) || is_null(z, e);
}

bool expr_rejects_nulls(const Expr *e, bool (*in)(void *arg, ColumnId id), void *arg)
{
    Nulls z = {in, arg};
    return not_true(&z, e);
}

/* ---- comparisons ---- */

enum { NOT_EQUAL = 6 }; /* beside the btree strategies */

/* column op value, turned around if need be. */
typedef struct Comparison {
    const Expr *column;
    const Expr *value;
    int strategy; /* 1..5, NOT_EQUAL */
} Comparison;

static int comparison_strategy(const OperRow *op)
{
    int s = expr_btree_strategy(op->oid, op->left, op->right);
    if (s == 0 && op->negator != 0 && expr_btree_strategy(op->negator, op->left, op->right) == 3) {
        return NOT_EQUAL;
    }
    return s;
}

/*
 * The column below changes of representation (comparisons do not depend on it) and relabelling that keeps the order:
 * varchar as text, but not int4 as oid, whose order has no sign.
 */
static const Expr *plain_column(const Expr *e)
{
    const Expr *column = expr_strip(e);
    bool same_order = column->type.oid == e->type.oid || (column->type.oid == OID_VARCHAR && e->type.oid == OID_TEXT);
    return column->kind == EXPR_COLUMN && same_order ? column : NULL;
}

static bool comparison(const Expr *e, bool swapped, Comparison *out)
{
    const OperRow *op = e->kind == EXPR_CALL && e->nargs == 2 ? oper_by_oid(e->u.call->oper) : NULL;
    if (op != NULL && swapped) {
        op = op->commutator != 0 ? oper_by_oid(op->commutator) : NULL;
    }
    if (op == NULL) {
        return false;
    }
    out->column = plain_column(e->args[swapped]);
    out->value = e->args[!swapped];
    out->strategy = comparison_strategy(op);
    return out->column != NULL && out->strategy != 0;
}

/* ---- predicates for pages ---- */

typedef enum Taken { TAKEN_NOT, TAKEN_LOOSELY, TAKEN_EXACTLY } Taken;

typedef struct Extract {
    const ExprBuilder *b;
    const ExprHeapColumns *columns;
    VEC(HeapPredicate) preds;
    VEC(const Expr *) residual;
} Extract;

/* How the values of a type lie on a page, if their bytes decide comparisons; false otherwise. */
static bool heap_order(const ValueType *t, HeapOrder *out)
{
    switch (t->oid) {
    case OID_FLOAT4:
    case OID_FLOAT8: *out = HEAP_FLOAT; return true;
    case OID_BOOL:
    case OID_CHAR: *out = HEAP_UNSIGNED; return true;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_DATE:
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ: *out = HEAP_SIGNED; return true;
    case OID_NUMERIC: *out = HEAP_SIGNED; return t->phys != P_STR;
    case OID_UUID:
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_BPCHAR:
    case OID_BYTEA: *out = HEAP_BYTES; return true;
    default:
        *out = HEAP_UNSIGNED;
        return type_is_unsigned_i32(t->oid) || type_is_unsigned_i64(t->oid);
    }
}

static bool is_integer(Oid oid) { return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8; }

static int64_t integer_of(const ValueType *t, const ExprValue *v)
{
    return t->phys == P_I16 ? v->i16 : t->phys == P_I32 ? v->i32 : v->i64;
}

static bool put_integer(const ValueType *t, int64_t x, HeapValue *out)
{
    bool ok = t->phys == P_I64 || (t->phys == P_I32 && x == (int32_t)x) || (t->phys == P_I16 && x == (int16_t)x);
    out->i64 = x; /* little-endian: the first bytes are the narrower integer */
    return ok;
}

/* The padded form of char(n), if the value fits it. */
static Status pad(const ExprBuilder *b, const ValueType *column, const StrView *v, HeapValue *out, bool *out_ok)
{
    const char *p = strview_ptr(v);
    size_t len = v->len;
    *out_ok = false;
    while (len > 0 && p[len - 1] == ' ') {
        len--;
    }
    size_t chars = utf8_length(p, len);
    if (column->typmod < 4 || chars > (size_t)(column->typmod - 4)) {
        return ST_OK;
    }
    size_t blanks = (size_t)(column->typmod - 4) - chars;
    char *text = arena_alloc(b->arena, len + blanks);
    if (text == NULL) {
        return ctx_nomem(b->cx, len + blanks);
    }
    memcpy(text, p, len);
    memset(text + len, ' ', blanks);
    out->view = heap_view(text, (uint32_t)(len + blanks));
    *out_ok = true;
    return ST_OK;
}

/* A numeric constant of any form as a coefficient of the column's scale. */
static Status put_numeric(const ExprBuilder *b, const ValueType *column, const Expr *value, HeapValue *out,
                          bool *out_ok)
{
    const Expr *variable;
    ValueType free_form = value_type_of(OID_NUMERIC);
    Num n;
    Int128 exact;
    *out_ok = false;
    Status st = expr_rep(b, value, &free_form, &variable);
    if (st == ST_OK && expr_is_const(variable)) {
        st = num_from_view(b->cx, b->arena, &variable->u.value->str, &n);
        if (st == ST_OK && num_to_i128(&n, column->scale, &exact)) {
            /* Not the smallest integer, which stands for NaN. */
            *out_ok = column->phys == P_I128 ? exact != NUM_NAN_I128
                                             : exact == (Int128)(int64_t)exact && exact != NUM_NAN_I64;
            memcpy(out->bytes, &exact, sizeof exact);
        }
    }
    return st;
}

/* The constant as the column's bytes; *out_ok false: it has none (out of range, other type). */
static Status heap_value(const ExprBuilder *b, const ValueType *column, const Expr *value, HeapValue *out, bool *out_ok)
{
    *out = (HeapValue){.state = HEAP_PRESENT};
    *out_ok = false;
    if (!expr_is_const(value) || value->u.value == NULL) {
        return ST_OK;
    }
    Oid oid = value->type.oid;
    if (is_integer(column->oid) && is_integer(oid)) {
        *out_ok = put_integer(column, integer_of(&value->type, value->u.value), out);
        return ST_OK;
    }
    bool is_text = (oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_NAME);
    if (oid != column->oid && !(is_text && (column->oid == OID_TEXT || column->oid == OID_VARCHAR))) {
        return ST_OK;
    }
    if (column->oid == OID_NUMERIC) {
        return put_numeric(b, column, value, out, out_ok);
    }
    if (column->oid == OID_BPCHAR) {
        return pad(b, column, &value->u.value->str, out, out_ok);
    }
    memcpy(out->bytes, value->u.value, phys_bytes((PhysType)column->phys));
    *out_ok = true;
    return ST_OK;
}

static bool is_negative(const ValueType *t, const HeapValue *v)
{
    return v->bytes[phys_bytes((PhysType)t->phys) - 1] >> 7;
}

/* Which order serves the comparison, and how well. */
static Taken heap_test(const ValueType *column, int strategy, const HeapValue *v, HeapPredicate *p)
{
    static const uint8_t tests[] = {0, HEAP_LT, HEAP_LE, HEAP_EQ, HEAP_GE, HEAP_GT, HEAP_NE};
    HeapOrder order;
    if (!heap_order(column, &order)) {
        return TAKEN_NOT;
    }
    bool ordering = strategy != 3 && strategy != NOT_EQUAL;
    p->test = tests[strategy];
    p->order = (uint8_t)order;
    if (!ordering) {
        return TAKEN_EXACTLY;
    }
    if (column->oid == OID_BPCHAR) {
        return TAKEN_NOT;
    }
    if (column->oid != OID_NUMERIC) {
        return TAKEN_EXACTLY;
    }
    if (strategy >= 4) { /* NaN is the greatest number but the smallest integer */
        p->order = HEAP_UNSIGNED;
        return is_negative(column, v) ? TAKEN_NOT : TAKEN_LOOSELY;
    }
    return TAKEN_LOOSELY;
}

static Status take_comparison(Extract *x, const Comparison *c, HeapPredicate *p, Taken *out)
{
    bool ok;
    Status st = heap_value(x->b, &c->column->type, c->value, &p->value, &ok);
    if (st == ST_OK && ok) {
        *out = heap_test(&c->column->type, c->strategy, &p->value, p);
    }
    return st;
}

static Status take_in(Extract *x, const Expr *e, HeapPredicate *p, Taken *out)
{
    const Expr *column = plain_column(e->args[0]);
    const OperRow *op = oper_by_oid(e->u.call->oper);
    const Expr *array = e->args[1];
    ArrayView a;
    if (column == NULL || e->op != 0 || comparison_strategy(op) != 3 || !expr_is_const(array) ||
        array->u.value == NULL || column->type.oid == OID_NUMERIC) {
        return ST_OK;
    }
    array_view(&array->u.value->str, &a);
    HeapValue *values = ARENA_ARRAY(x->b->arena, HeapValue, a.n + 1);
    ValueType elem = value_type_of(a.elem);
    uint32_t n = 0;
    if (values == NULL) {
        return expr_nomem(x->b);
    }
    for (uint32_t i = 0; i < a.n; i++) {
        ExprValue v;
        bool ok;
        if (array_is_null(&a, i)) {
            continue; /* never equal */
        }
        array_element(&a, i, &v);
        Expr constant = {.kind = EXPR_CONST, .type = elem, .u.value = &v};
        Status st = heap_value(x->b, &column->type, &constant, &values[n], &ok);
        if (st != ST_OK || !ok) {
            return st;
        }
        n++;
    }
    *out = n > 0 ? heap_test(&column->type, 3, values, p) : TAKEN_NOT;
    p->test = HEAP_IN;
    p->in = values;
    p->n_in = n;
    return ST_OK;
}

static Status take_like(Extract *x, Str pattern, bool negated, HeapPredicate *p, Taken *out)
{
    HeapLike *like = ARENA_NEW(x->b->arena, HeapLike);
    Status st = like != NULL ? heap_like_compile(x->b->cx, x->b->arena, pattern, '\\', like) : expr_nomem(x->b);
    p->test = negated ? HEAP_NOT_LIKE : HEAP_LIKE;
    p->order = HEAP_BYTES;
    p->like = like;
    *out = TAKEN_EXACTLY;
    return st;
}

static Status take_shape(Extract *x, const Expr *e, const Expr **out_column, HeapPredicate *p, Taken *out)
{
    Comparison c;
    Str pattern;
    bool negated;
    *out_column = NULL;
    if (comparison(e, false, &c) || comparison(e, true, &c)) {
        *out_column = c.column;
        return take_comparison(x, &c, p, out);
    }
    if (e->kind == EXPR_NULL_TEST) {
        *out_column = plain_column(e->args[0]);
        p->test = e->op ? HEAP_IS_NOT_NULL : HEAP_IS_NULL;
        *out = TAKEN_EXACTLY;
        return ST_OK;
    }
    if (e->kind == EXPR_ANY_ALL) {
        *out_column = plain_column(e->args[0]);
        return take_in(x, e, p, out);
    }
    if (expr_is_constant_like(e, &negated, &pattern)) {
        *out_column = plain_column(e->args[0]);
        return take_like(x, pattern, negated, p, out);
    }
    bool is_not = e->kind == EXPR_NOT;
    *out_column = plain_column(is_not ? e->args[0] : e);
    p->test = HEAP_EQ;
    p->order = HEAP_UNSIGNED;
    p->value = (HeapValue){.u8 = !is_not, .state = HEAP_PRESENT};
    *out = TAKEN_EXACTLY;
    return ST_OK;
}

static Status take(void *arg, const Expr *e)
{
    Extract *x = arg;
    HeapPredicate p = {0};
    const Expr *column = NULL;
    Taken taken = TAKEN_NOT;
    Status st = e->facts & EXPR_HAS_VOLATILE ? ST_OK : take_shape(x, e, &column, &p, &taken);
    if (st != ST_OK) {
        return st;
    }
    if (column == NULL || !x->columns->find(x->columns->arg, column->u.column, &p.column)) {
        taken = TAKEN_NOT;
    }
    if ((taken != TAKEN_NOT && !VEC_PUSH(&x->preds, p)) || (taken != TAKEN_EXACTLY && !VEC_PUSH(&x->residual, e))) {
        return expr_nomem(x->b);
    }
    return ST_OK;
}

Status expr_heap_predicates(const ExprBuilder *b, const Expr *e, const ExprHeapColumns *columns,
                            HeapPredicate **out_preds, uint32_t *out_n, const Expr **out_residual)
{
    Extract x = {.b = b, .columns = columns};
    const Expr *residual = NULL;
    HeapPredicate *preds = NULL;
    x.preds.budget = b->cx->budget;
    x.residual.budget = b->cx->budget;
    Status st = expr_conjuncts(e, take, &x, b->cx->err);
    if (st == ST_OK && x.residual.n > 0) {
        st = expr_and(b, x.residual.v, (uint32_t)x.residual.n, &residual);
    }
    if (st == ST_OK && x.preds.n > 0) {
        preds = arena_copy(b->arena, x.preds.v, x.preds.n * sizeof *preds);
        st = preds != NULL ? ST_OK : expr_nomem(b);
    }
    if (st == ST_OK) {
        *out_preds = preds;
        *out_n = (uint32_t)x.preds.n;
        *out_residual = residual;
    }
    VEC_DONE(&x.preds);
    VEC_DONE(&x.residual);
    return st;
}

/* ---- index bounds ---- */

typedef struct Outer {
    bool (*outer)(void *arg, ColumnId id);
    void *arg;
} Outer;

static bool is_not_outer(void *arg, ColumnId id)
{
    const Outer *o = arg;
    return o->outer == NULL || !o->outer(o->arg, id);
}

static Status is_bound_value(const ExprBuilder *b, const Expr *e, const Outer *o, bool *out_yes)
{
    const unsigned never = EXPR_HAS_VOLATILE | EXPR_HAS_SUBLINK | EXPR_HAS_AGGREGATE | EXPR_HAS_WINDOW | EXPR_HAS_SET |
                           EXPR_HAS_CASE_VALUE;
    bool uses = false;
    Outer copy = *o;
    *out_yes = false;
    if (e->facts & never) {
        return ST_OK;
    }
    Status st = expr_uses_columns(e, is_not_outer, &copy, b->cx->err, &uses);
    *out_yes = !uses;
    return st;
}

/* The literal text before the first wildcard; *out_rest: what follows it is exactly one %. */
static Status like_prefix(const ExprBuilder *b, Str pattern, Str *out_prefix, bool *out_whole, bool *out_rest)
{
    char *text = arena_alloc(b->arena, pattern.len + 1);
    size_t n = 0;
    size_t i = 0;
    if (text == NULL) {
        return ctx_nomem(b->cx, pattern.len);
    }
    for (; i < pattern.len && pattern.p[i] != '%' && pattern.p[i] != '_'; i++) {
        if (pattern.p[i] == '\\' && ++i == pattern.len) {
            break;
        }
        text[n++] = pattern.p[i];
    }
    *out_prefix = (Str){text, n};
    *out_whole = i >= pattern.len;
    *out_rest = i + 1 == pattern.len && pattern.p[i] == '%';
    return ST_OK;
}

static Status like_bound(const ExprBuilder *b, Str pattern, ExprBound *out, bool *out_found)
{
    Str prefix = {NULL, 0};
    bool whole = false;
    bool rest = false;
    Status st = like_prefix(b, pattern, &prefix, &whole, &rest);
    if (st != ST_OK || (prefix.len == 0 && !whole)) {
        return st;
    }
    ValueType text = value_type_of(OID_TEXT);
    StrView v = strview_make(prefix.p, (uint32_t)prefix.len);
    st = expr_const(b, &text, &v, -1, &out->value);
    out->kind = whole ? EXPR_BOUND_EQ : EXPR_BOUND_PREFIX;
    out->exact = whole || rest;
    *out_found = st == ST_OK;
    return st;
}

static bool is_column(const Expr *e, ColumnId id) { return e != NULL && e->kind == EXPR_COLUMN && e->u.column == id; }

static Status comparison_bound(const ExprBuilder *b, const Expr *e, ColumnId id, const Outer *o, ExprBound *out,
                               bool *out_found)
{
    Comparison c;
    for (int swapped = 0; swapped < 2; swapped++) {
        if (!comparison(e, swapped, &c) || !is_column(c.column, id) || c.strategy == NOT_EQUAL) {
            continue;
        }
        *out = (ExprBound){c.column, (ExprBoundKind)c.strategy, c.value, true};
        Status st = is_bound_value(b, c.value, o, out_found);
        if (st != ST_OK || *out_found) {
            return st;
        }
    }
    return ST_OK;
}

Status expr_index_bound(const ExprBuilder *b, const Expr *conjunct, ColumnId id,
                        bool (*outer)(void *arg, ColumnId id), void *arg, bool *out_found, ExprBound *out)
{
    Outer o = {outer, arg};
    ExprBound bound = {0};
    bool found = false;
    Str pattern;
    bool negated = false;
    Status st = ST_OK;
    const bool is_like = expr_is_constant_like(conjunct, &negated, &pattern);
    const Expr *first = conjunct->nargs > 0 ? plain_column(conjunct->args[0]) : NULL;
    if (conjunct->kind == EXPR_CALL && conjunct->nargs == 2 && !is_like) {
        st = comparison_bound(b, conjunct, id, &o, &bound, &found);
    } else if (!is_column(first, id)) {
        found = false;
    } else if (conjunct->kind == EXPR_NULL_TEST) {
        bound = (ExprBound){first, conjunct->op ? EXPR_BOUND_NOT_NULL : EXPR_BOUND_NULL, NULL, true};
        found = true;
    } else if (conjunct->kind == EXPR_ANY_ALL && conjunct->op == 0 &&
               comparison_strategy(oper_by_oid(conjunct->u.call->oper)) == 3) {
        bound = (ExprBound){first, EXPR_BOUND_IN, conjunct->args[1], true};
        st = is_bound_value(b, conjunct->args[1], &o, &found);
    } else if (is_like && !negated) {
        bound.column = first;
        st = like_bound(b, pattern, &bound, &found);
    }
    if (st == ST_OK) {
        *out_found = found;
        *out = bound;
    }
    return st;
}
