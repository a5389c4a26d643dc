/*
 * expr/node.c: making nodes (see expr.h).
 *
 * Key idea: one function allocates, one computes facts and hash. Constructors of calls resolve the kernel from the
 * arguments' types and then bring the arguments to the representations it wants.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "expr/expr_int.h"
#include "os/thread.h"
#include "types/array.h"
#include "types/srf.h"

/* ---- facts and hash ---- */

static uint16_t fn_facts(const FnRow *fn)
{
    unsigned facts = fn->volatility == 'v' ? EXPR_HAS_VOLATILE : fn->volatility == 's' ? EXPR_HAS_STABLE : 0;
    return (uint16_t)(facts | (fn->flags & FN_LEAKPROOF ? 0 : EXPR_HAS_LEAK));
}

static bool io_is_stable(Oid type, bool input)
{
    const TypeRow *row = type_by_oid(type);
    uint32_t first;
    if (row != NULL && row->elem != 0 && row->category == 'A') {
        return io_is_stable(row->elem, input);
    }
    if (row == NULL || fn_by_name(str_from(input ? row->input : row->output), &first) == 0) {
        return true; /* unknown: the careful answer */
    }
    return fn_rows[fn_name_index[first]].volatility != 'i';
}

/* Of casts that are no functions. Only those by way of text depend on the session. */
static uint16_t conversion_facts(const Expr *e)
{
    const ExprCall *c = e->u.call;
    if (c->relabel || e->op == EXPR_FORM_REP) {
        return 0;
    }
    Oid from = c->call.args[0].oid;
    bool stable = !c->is_typmod && (io_is_stable(from, false) || io_is_stable(e->type.oid, true));
    return (uint16_t)(EXPR_HAS_LEAK | (stable ? EXPR_HAS_STABLE : 0));
}

static uint16_t call_facts(const Expr *e)
{
    const FnRow *fn = e->u.call->call.fn;
    if (fn != NULL) {
        return fn_facts(fn);
    }
    const OperRow *oper = oper_by_oid(e->u.call->oper);
    return oper != NULL ? fn_facts(fn_by_oid(oper->fn)) : conversion_facts(e);
}

static uint16_t own_facts(const Expr *e)
{
    switch (e->kind) {
    case EXPR_COLUMN: return EXPR_HAS_COLUMN;
    case EXPR_PARAM: return e->op == EXPR_PARAM_EXTERN ? EXPR_HAS_PARAM : EXPR_HAS_EXEC_PARAM;
    case EXPR_CASE_VALUE: return EXPR_HAS_CASE_VALUE;
    case EXPR_CALL:
    case EXPR_DISTINCT:
    case EXPR_NULLIF:
    case EXPR_ANY_ALL: return call_facts(e);
    case EXPR_SET: return (uint16_t)(call_facts(e) | EXPR_HAS_SET | EXPR_HAS_LEAK);
    case EXPR_SUBLINK: return EXPR_HAS_SUBLINK | EXPR_HAS_LEAK;
    case EXPR_AGGREGATE: return EXPR_HAS_AGGREGATE | EXPR_HAS_LEAK;
    case EXPR_WINDOW: return EXPR_HAS_WINDOW | EXPR_HAS_LEAK;
    case EXPR_DOMAIN: return EXPR_HAS_STABLE | EXPR_HAS_LEAK; /* constraints may change between executions */
    default: return 0;
    }
}

/* The conditions of a simple CASE bind the case values below them (E4). */
static uint16_t child_facts(const Expr *e, uint32_t i)
{
    bool condition = e->kind == EXPR_CASE && e->op == 1 && i % 2 == 1 && i + 1 < e->nargs;
    unsigned facts = e->args[i]->facts;
    return (uint16_t)(condition ? facts & ~(unsigned)EXPR_HAS_CASE_VALUE : facts);
}

static uint64_t value_hash(const ValueType *t, const ExprValue *v)
{
    uint64_t words[2] = {0, 0};
    if (v == NULL) {
        return 1;
    }
    if (t->phys != P_STR) {
        memcpy(words, v, phys_bytes((PhysType)t->phys));
        return mix64(words[0] ^ mix64(words[1]));
    }
    const char *p = strview_ptr(&v->str);
    uint64_t h = v->str.len;
    for (uint32_t i = 0; i < v->str.len; i++) {
        h = (h ^ (uint8_t)p[i]) * UINT64_C(0x100000001b3);
    }
    return mix64(h);
}

static uint64_t payload_hash(const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST: return value_hash(&e->type, e->u.value);
    case EXPR_COLUMN: return e->u.column;
    case EXPR_PARAM: return (uint64_t)e->u.number << 8 | e->op;
    case EXPR_CALL: return e->u.call->call.fn != NULL ? e->u.call->call.fn->oid : 0;
    case EXPR_SET: return e->u.call->call.fn->oid;
    case EXPR_ANY_ALL:
    case EXPR_DISTINCT:
    case EXPR_NULLIF: return (uint64_t)e->u.call->oper << 8 | e->op;
    case EXPR_AGGREGATE:
    case EXPR_WINDOW: return e->u.aggregate->fn->oid;
    case EXPR_SUBLINK: return (uint64_t)(uintptr_t)e->u.sublink->query ^ e->op;
    case EXPR_SESSION:
    case EXPR_FIELD: return (uint64_t)e->u.number << 8 | e->op;
    default: return e->op;
    }
}

const Expr *expr_seal(Expr *e)
{
    unsigned facts = own_facts(e);
    uint64_t h = mix64(payload_hash(e) * 64 + e->kind) ^ ((uint64_t)e->type.oid << 32 | e->type.phys);
    for (uint32_t i = 0; i < e->nargs; i++) {
        facts |= child_facts(e, i);
        h = mix64(h * 31 + e->args[i]->hash);
    }
    e->facts = (uint16_t)facts;
    e->hash = (uint32_t)h;
    return e;
}

Expr *expr_new(const ExprBuilder *b, ExprKind kind, unsigned op, const ValueType *type, const Expr *const *args,
               uint32_t nargs, int32_t location)
{
    Expr *e = ARENA_NEW(b->arena, Expr);
    const Expr **copy = NULL;
    if (nargs > 0) {
        copy = arena_copy(b->arena, args, nargs * sizeof *args);
    }
    if (e == NULL || (nargs > 0 && copy == NULL)) {
        (void)ctx_nomem(b->cx, sizeof *e + nargs * sizeof *args);
        return NULL;
    }
    e->kind = (uint8_t)kind;
    e->op = (uint8_t)op;
    e->type = *type;
    e->location = location;
    e->nargs = nargs;
    e->args = copy;
    return e;
}

/* A node without a payload beyond op and number. */
static Status plain(const ExprBuilder *b, ExprKind kind, unsigned op, const ValueType *type, const Expr *const *args,
                    uint32_t nargs, int32_t location, const Expr **out)
{
    Expr *e = expr_new(b, kind, op, type, args, nargs, location);
    if (e == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    *out = expr_seal(e);
    return ST_OK;
}

static Status numbered(const ExprBuilder *b, ExprKind kind, unsigned op, uint32_t number, const ValueType *type,
                       const Expr *const *args, uint32_t nargs, int32_t location, const Expr **out)
{
    Expr *e = expr_new(b, kind, op, type, args, nargs, location);
    if (e == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    e->u.number = number;
    *out = expr_seal(e);
    return ST_OK;
}

static ValueType bool_type(void) { return (ValueType){.oid = OID_BOOL, .typmod = -1, .phys = P_BOOL}; }

/* ---- leaves ---- */

Status expr_const(const ExprBuilder *b, const ValueType *type, const void *value, int32_t location, const Expr **out)
{
    Expr *e = expr_new(b, EXPR_CONST, 0, type, NULL, 0, location);
    if (e == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    if (value != NULL) {
        ExprValue *v = ARENA_NEW(b->arena, ExprValue);
        if (v == NULL) {
            return expr_nomem(b);
        }
        memcpy(v, value, phys_bytes((PhysType)type->phys));
        if (type->phys == P_STR &&
            !heap_str(b->arena, strview_ptr(value), ((const StrView *)value)->len, &v->str)) {
            return ctx_nomem(b->cx, ((const StrView *)value)->len);
        }
        e->u.value = v;
    }
    *out = expr_seal(e);
    return ST_OK;
}

Status expr_const_bool(const ExprBuilder *b, bool value, const Expr **out)
{
    ValueType t = bool_type();
    return expr_const(b, &t, &value, -1, out);
}

Status expr_const_null(const ExprBuilder *b, const ValueType *type, const Expr **out)
{
    return expr_const(b, type, NULL, -1, out);
}

Status expr_column(const ExprBuilder *b, ColumnId id, const ValueType *type, int32_t location, const Expr **out)
{
    return numbered(b, EXPR_COLUMN, 0, id, type, NULL, 0, location, out);
}

Status expr_param(const ExprBuilder *b, ExprParamKind kind, uint32_t number, const ValueType *type, int32_t location,
                  const Expr **out)
{
    return numbered(b, EXPR_PARAM, kind, number, type, NULL, 0, location, out);
}

Status expr_case_value(const ExprBuilder *b, const ValueType *type, const Expr **out)
{
    return plain(b, EXPR_CASE_VALUE, 0, type, NULL, 0, -1, out);
}

/* ---- calls ---- */

static Status call_node(const ExprBuilder *b, ExprKind kind, unsigned op, const ExprCall *call, const ValueType *type,
                        const Expr *const *args, uint32_t nargs, int32_t location, const Expr **out)
{
    Expr *e = expr_new(b, kind, op, type, args, nargs, location);
    ExprCall *copy = arena_copy(b->arena, call, sizeof *call);
    if (e == NULL || copy == NULL) {
        return expr_nomem(b);
    }
    e->u.call = copy;
    *out = expr_seal(e);
    return ST_OK;
}

/* The arguments in the forms the call wants, in arena memory. */
static Status wanted_args(const ExprBuilder *b, const FnCall *call, const Expr *const *args, uint32_t nargs,
                          const Expr ***out)
{
    const Expr **wanted = ARENA_ARRAY(b->arena, const Expr *, nargs + 1);
    if (wanted == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < nargs; i++) {
        Status st = expr_rep(b, args[i], fn_arg_type(call, i), &wanted[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    *out = wanted;
    return ST_OK;
}

static Status too_many_arguments(const ExprBuilder *b)
{
    return err_set(b->cx->err, ST_TOO_MANY_ARGUMENTS, "cannot pass more than %d arguments to a function", FN_ARGS_MAX);
}

static Status resolve(const ExprBuilder *b, const FnRow *fn, const Expr *const *args, uint32_t nargs, Oid result,
                      FnCall *out)
{
    ValueType types[FN_ARGS_MAX];
    if (nargs > FN_ARGS_MAX) {
        return too_many_arguments(b);
    }
    for (uint32_t i = 0; i < nargs; i++) {
        types[i] = args[i]->type;
    }
    if (fn->flags & FN_RETSET) {
        const SrfDef *def = srf_find(fn->oid);
        if (def == NULL) {
            return err_set(b->cx->err, ST_FEATURE_NOT_SUPPORTED, "function %s is not supported", fn->name);
        }
        srf_call(def, fn, types, nargs, result, out);
        return ST_OK;
    }
    return fn_resolve(b->registry, fn, types, nargs, result, b->cx->err, out);
}

static Status fn_node(const ExprBuilder *b, const FnRow *fn, Oid oper, unsigned form, const Expr *const *args,
                      uint32_t nargs, const ValueType *as, int32_t location, const Expr **out)
{
    ExprCall call = {.oper = oper};
    const Expr **wanted = NULL;
    Status st = resolve(b, fn, args, nargs, as->oid, &call.call);
    if (st == ST_OK) {
        st = wanted_args(b, &call.call, args, nargs, &wanted);
    }
    if (st != ST_OK) {
        return st;
    }
    ValueType type = call.call.result;
    type.collation = as->collation;
    ExprKind kind = fn->flags & FN_RETSET ? EXPR_SET : EXPR_CALL;
    return call_node(b, kind, form, &call, &type, wanted, nargs, location, out);
}

Status expr_function(const ExprBuilder *b, const FnRow *fn, ExprForm form, const Expr *const *args, uint32_t nargs,
                     Oid result, Oid collation, int32_t location, const Expr **out)
{
    ValueType as = {.oid = result, .collation = collation};
    return fn_node(b, fn, 0, form, args, nargs, &as, location, out);
}

Status expr_operator(const ExprBuilder *b, const OperRow *op, const Expr *left, const Expr *right, Oid result,
                     Oid collation, int32_t location, const Expr **out)
{
    const Expr *args[2] = {left, right};
    ValueType as = {.oid = result, .collation = collation};
    return fn_node(b, fn_by_oid(op->fn), op->oid, EXPR_FORM_OPERATOR, left != NULL ? args : args + 1,
                   left != NULL ? 2 : 1, &as, location, out);
}

/* ---- representations ---- */

ValueType expr_common_rep(const ValueType *a, const ValueType *b)
{
    ValueType t = *a;
    t.typmod = a->typmod == b->typmod ? a->typmod : -1;
    if (a->oid != OID_NUMERIC) {
        return t;
    }
    if (a->precision == 0 || b->precision == 0 || a->scale != b->scale) {
        ValueType v = value_type_of(OID_NUMERIC); /* another scale would print other zeros */
        v.typmod = t.typmod;
        return v;
    }
    const ValueType *wider = a->precision >= b->precision ? a : b;
    t.precision = wider->precision;
    t.phys = a->phys == P_I128 ? a->phys : b->phys;
    return t;
}

static Status rep_constant(const ExprBuilder *b, const Expr *call, const Expr **out)
{
    const ExprValue *value;
    bool failed;
    Status st = expr_evaluate(b, &session_facts_default, call, &failed, &value);
    if (st == ST_OK && !failed) {
        return expr_const(b, &call->type, value, call->location, out);
    }
    *out = call;
    return st;
}

Status expr_rep(const ExprBuilder *b, const Expr *arg, const ValueType *to, const Expr **out)
{
    if (rep_same(&arg->type, to)) {
        *out = arg;
        return ST_OK;
    }
    ExprCall call = {0};
    ValueType type = *to;
    type.collation = arg->type.collation;
    type.typmod = arg->type.typmod;
    if (expr_is_null_const(arg)) {
        return expr_const(b, &type, NULL, arg->location, out);
    }
    const Expr *node;
    Status st = rep_convert(&arg->type, to, b->cx->err, &call.call);
    if (st == ST_OK) {
        st = call_node(b, EXPR_CALL, EXPR_FORM_REP, &call, &type, &arg, 1, arg->location, &node);
    }
    if (st == ST_OK && expr_is_const(arg)) {
        return rep_constant(b, node, out);
    }
    if (st == ST_OK) {
        *out = node;
    }
    return st;
}

Status expr_unify(const ExprBuilder *b, const Expr **args, uint32_t nargs)
{
    const ValueType *first = NULL;
    ValueType rep = {0};
    for (uint32_t i = 0; i < nargs; i++) {
        if (!expr_is_null_const(args[i])) {
            rep = first == NULL ? args[i]->type : expr_common_rep(&rep, &args[i]->type);
            first = &rep;
        }
    }
    for (uint32_t i = 0; i < nargs && first != NULL; i++) {
        Status st = expr_rep(b, args[i], &rep, &args[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* ---- casts ---- */

static Status convert_node(const ExprBuilder *b, const Expr *arg, const ValueType *to, unsigned form, bool is_explicit,
                           int32_t location, const Expr **out)
{
    ExprCall call = {.is_explicit = is_explicit};
    Status st = cast_resolve(b->registry, &arg->type, to, b->cx->err, &call.call);
    if (st == ST_OK) {
        st = expr_rep(b, arg, &call.call.args[0], &arg);
    }
    if (st != ST_OK) {
        return st;
    }
    const CastRow *row = cast_find(arg->type.oid, to->oid);
    call.relabel = row != NULL && row->method == 'b';
    ValueType type = call.call.result;
    type.oid = to->oid;
    type.typmod = -1;
    type.collation = to->collation;
    return call_node(b, EXPR_CALL, form, &call, &type, &arg, 1, location, out);
}

static Status typmod_node(const ExprBuilder *b, const Expr *arg, const ValueType *to, unsigned form, bool is_explicit,
                          int32_t location, const Expr **out)
{
    ExprCall call = {.is_typmod = true, .is_explicit = is_explicit};
    bool needed;
    Status st = typmod_resolve(&arg->type, to, is_explicit, b->cx->err, &needed, &call.call);
    if (st != ST_OK || !needed) {
        *out = st == ST_OK ? arg : *out;
        return st;
    }
    st = expr_rep(b, arg, &call.call.args[0], &arg);
    ValueType type = call.call.result;
    type.typmod = to->typmod;
    type.collation = to->collation;
    return st != ST_OK ? st : call_node(b, EXPR_CALL, form, &call, &type, &arg, 1, location, out);
}

Status expr_cast(const ExprBuilder *b, const Expr *arg, const ValueType *to, ExprForm form, bool is_explicit,
                 int32_t location, const Expr **out)
{
    Status st = ST_OK;
    const Expr *converted = arg;
    if (arg->type.oid != to->oid) {
        /* A length coercion shows the cast for both, as in pg_get_expr. */
        st = convert_node(b, arg, to, form, is_explicit, location, &converted);
    }
    const Expr *limited = converted;
    if (st == ST_OK) {
        st = typmod_node(b, converted, to, form, is_explicit, location, &limited);
    }
    if (st == ST_OK && limited != converted && converted != arg) {
        Expr *hidden = (Expr *)(uintptr_t)converted; /* ours, not yet shown to anybody (E1) */
        hidden->op = EXPR_FORM_CAST_IMPLICIT;
    }
    if (st == ST_OK) {
        *out = limited;
    }
    return st;
}

/* ---- booleans ---- */

static Status nary(const ExprBuilder *b, ExprKind kind, const Expr *const *args, uint32_t nargs, const Expr **out)
{
    ValueType t = bool_type();
    if (nargs == 0) {
        return expr_const_bool(b, kind == EXPR_AND, out);
    }
    if (nargs == 1) {
        *out = args[0];
        return ST_OK;
    }
    return plain(b, kind, 0, &t, args, nargs, args[0]->location, out);
}

Status expr_and(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, const Expr **out)
{
    return nary(b, EXPR_AND, args, nargs, out);
}

Status expr_or(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, const Expr **out)
{
    return nary(b, EXPR_OR, args, nargs, out);
}

static Status test(const ExprBuilder *b, ExprKind kind, unsigned op, const Expr *arg, const Expr **out)
{
    ValueType t = bool_type();
    return plain(b, kind, op, &t, &arg, 1, arg->location, out);
}

Status expr_not(const ExprBuilder *b, const Expr *arg, const Expr **out) { return test(b, EXPR_NOT, 0, arg, out); }

Status expr_null_test(const ExprBuilder *b, const Expr *arg, bool is_not, const Expr **out)
{
    return test(b, EXPR_NULL_TEST, is_not, arg, out);
}

Status expr_bool_test(const ExprBuilder *b, const Expr *arg, ExprBoolTest kind, const Expr **out)
{
    return test(b, EXPR_BOOL_TEST, kind, arg, out);
}

/* A node that compares with "=", whose arguments are brought to what that wants. args[0], args[1] are compared. */
static Status equality(const ExprBuilder *b, ExprKind kind, unsigned op, const OperRow *eq, const ValueType *type,
                       const Expr **args, uint32_t nargs, int32_t location, const Expr **out)
{
    ExprCall call = {.oper = eq->oid};
    const Expr **wanted = NULL;
    Status st = resolve(b, fn_by_oid(eq->fn), args, 2, OID_BOOL, &call.call);
    if (st == ST_OK) {
        st = wanted_args(b, &call.call, args, 2, &wanted);
    }
    if (st != ST_OK) {
        return st;
    }
    args[0] = wanted[0];
    args[1] = wanted[1];
    return call_node(b, kind, op, &call, type, args, nargs, location, out);
}

Status expr_distinct(const ExprBuilder *b, const OperRow *eq, const Expr *left, const Expr *right, bool is_not,
                     int32_t location, const Expr **out)
{
    ValueType t = bool_type();
    const Expr *args[2] = {left, right};
    return equality(b, EXPR_DISTINCT, is_not, eq, &t, args, 2, location, out);
}

Status expr_nullif(const ExprBuilder *b, const OperRow *eq, const Expr *cmp_left, const Expr *cmp_right,
                   const Expr *left, int32_t location, const Expr **out)
{
    const Expr *args[3] = {cmp_left, cmp_right, left};
    return equality(b, EXPR_NULLIF, 0, eq, &left->type, args, 3, location, out);
}

/* ---- choices ---- */

static bool is_result(bool has_value, uint32_t nargs, uint32_t i)
{
    return i + 1 == nargs || (i >= has_value && (i - has_value) % 2 == 1);
}

Status expr_case(const ExprBuilder *b, bool has_value, const Expr *const *args, uint32_t nargs, int32_t location,
                 const Expr **out)
{
    ASSERT(nargs >= 3u + has_value && (nargs - has_value) % 2 == 1);
    const Expr **all = arena_copy(b->arena, args, nargs * sizeof *args);
    const Expr **results = ARENA_ARRAY(b->arena, const Expr *, nargs);
    uint32_t n = 0;
    if (all == NULL || results == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < nargs; i++) {
        if (is_result(has_value, nargs, i)) {
            results[n++] = args[i];
        }
    }
    Status st = expr_unify(b, results, n);
    if (st != ST_OK) {
        return st;
    }
    ValueType type = results[0]->type;
    n = 0;
    for (uint32_t i = 0; i < nargs; i++) {
        if (is_result(has_value, nargs, i)) {
            type = expr_common_rep(&type, &results[n]->type);
            all[i] = results[n++];
        }
    }
    return plain(b, EXPR_CASE, has_value, &type, all, nargs, location, out);
}

static Status unified(const ExprBuilder *b, ExprKind kind, unsigned op, const Expr *const *args, uint32_t nargs,
                      int32_t location, const Expr **out)
{
    ASSERT(nargs > 0);
    const Expr **all = arena_copy(b->arena, args, nargs * sizeof *args);
    if (all == NULL) {
        return expr_nomem(b);
    }
    Status st = expr_unify(b, all, nargs);
    if (st != ST_OK) {
        return st;
    }
    ValueType type = all[0]->type;
    for (uint32_t i = 1; i < nargs; i++) {
        type = expr_common_rep(&type, &all[i]->type);
    }
    return plain(b, kind, op, &type, all, nargs, location, out);
}

Status expr_coalesce(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, int32_t location, const Expr **out)
{
    return unified(b, EXPR_COALESCE, 0, args, nargs, location, out);
}

Status expr_min_max(const ExprBuilder *b, bool least, const Expr *const *args, uint32_t nargs, int32_t location,
                    const Expr **out)
{
    if (type_compare(&args[0]->type) == NULL) {
        return err_set(b->cx->err, ST_UNDEFINED_FUNCTION, "could not identify a comparison function for type %s",
                       type_by_oid(args[0]->type.oid)->name);
    }
    return unified(b, EXPR_MIN_MAX, least, args, nargs, location, out);
}

/* ---- arrays and rows ---- */

Status expr_any_all(const ExprBuilder *b, const OperRow *op, bool all, const Expr *scalar, const Expr *array,
                    int32_t location, const Expr **out)
{
    ExprCall call = {.oper = op->oid};
    ValueType t = bool_type();
    const Expr *args[2] = {scalar, array};
    const Expr **wanted = NULL;
    Status st = array_any_resolve(b->registry, fn_by_oid(op->fn), &scalar->type, &array->type, all, b->cx->err,
                                  &call.call);
    if (st == ST_OK) {
        st = wanted_args(b, &call.call, args, 2, &wanted);
    }
    return st != ST_OK ? st : call_node(b, EXPR_ANY_ALL, all, &call, &t, wanted, 2, location, out);
}

/* A call of one of array.h's kernels that stand for syntax. */
static Status syntax_call(const ExprBuilder *b, ExprKind kind, unsigned op, FnKernel *kernel, const ValueType *type,
                          const Expr *const *args, uint32_t nargs, int32_t location, const Expr **out)
{
    ExprCall call = {.call = {.kernel = kernel, .registry = b->registry, .nargs = (uint16_t)nargs, .result = *type}};
    const Expr **wanted = NULL;
    for (uint32_t i = 0; i < nargs && i < FN_CALL_ARGS; i++) {
        call.call.args[i] = args[i]->type;
        if (args[i]->type.oid == OID_NUMERIC) {
            call.call.args[i] = value_type_of(OID_NUMERIC);
        }
    }
    Status st = wanted_args(b, &call.call, args, nargs, &wanted);
    return st != ST_OK ? st : call_node(b, kind, op, &call, type, wanted, nargs, location, out);
}

Status expr_array(const ExprBuilder *b, Oid array_type, const Expr *const *elements, uint32_t n, int32_t location,
                  const Expr **out)
{
    ValueType t = value_type_of(array_type);
    if (n > UINT16_MAX) {
        return err_set(b->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "array constructor has more than %d elements", UINT16_MAX);
    }
    return syntax_call(b, EXPR_ARRAY, 0, k_array_ctor, &t, elements, n, location, out);
}

Status expr_row(const ExprBuilder *b, const Expr *const *fields, uint32_t n, int32_t location, const Expr **out)
{
    ValueType t = {.oid = OID_RECORD, .typmod = -1, .phys = P_NONE};
    return plain(b, EXPR_ROW, 0, &t, fields, n, location, out);
}

Status expr_row_compare(const ExprBuilder *b, ExprRowOp op, const Expr *const *left, const Expr *const *right,
                        uint32_t n, int32_t location, const Expr **out)
{
    ValueType t = bool_type();
    const Expr **all = ARENA_ARRAY(b->arena, const Expr *, 2 * (size_t)n);
    if (all == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < n; i++) {
        const Expr *pair[2] = {left[i], right[i]};
        ASSERT(left[i]->type.oid == right[i]->type.oid);
        Status st = expr_unify(b, pair, 2);
        if (st != ST_OK) {
            return st;
        }
        all[i] = pair[0];
        all[n + i] = pair[1];
    }
    return plain(b, EXPR_ROW_COMPARE, op, &t, all, 2 * n, location, out);
}

Status expr_subscript(const ExprBuilder *b, const Expr *array, bool slice, const Expr *const *subscripts, uint32_t n,
                      int32_t location, const Expr **out)
{
    const Expr *args[1 + 2 * ARRAY_DIMS_MAX];
    uint32_t max = slice ? 2 * ARRAY_DIMS_MAX : ARRAY_DIMS_MAX;
    if (n > max) {
        return err_set(b->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                       "number of array dimensions (%u) exceeds the maximum allowed (%d)", slice ? n / 2 : n,
                       ARRAY_DIMS_MAX);
    }
    args[0] = array;
    memcpy(args + 1, subscripts, n * sizeof *args);
    ValueType t = slice ? array->type : value_type_of(type_element(array->type.oid));
    t.collation = array->type.collation;
    return syntax_call(b, EXPR_SUBSCRIPT, slice, slice ? k_array_slice : k_array_get, &t, args, n + 1, location, out);
}

Status expr_field(const ExprBuilder *b, const Expr *row, uint32_t field, const ValueType *type, int32_t location,
                  const Expr **out)
{
    return numbered(b, EXPR_FIELD, 0, field, type, &row, 1, location, out);
}

/* ---- the rest ---- */

Status expr_session(const ExprBuilder *b, ExprSessionOp op, int32_t precision, const Expr *body, int32_t location,
                    const Expr **out)
{
    return numbered(b, EXPR_SESSION, op, (uint32_t)(precision + 1), &body->type, &body, 1, location, out);
}

Status expr_collate(const ExprBuilder *b, const Expr *arg, Oid collation, int32_t location, const Expr **out)
{
    ValueType t = arg->type;
    t.collation = collation;
    return plain(b, EXPR_COLLATE, 0, &t, &arg, 1, location, out);
}

Status expr_sublink(const ExprBuilder *b, ExprSublinkKind kind, const ExprSublink *sublink, const Expr *const *left,
                    uint32_t n, const ValueType *type, int32_t location, const Expr **out)
{
    Expr *e = expr_new(b, EXPR_SUBLINK, kind, type, left, n, location);
    ExprSublink *copy = arena_copy(b->arena, sublink, sizeof *sublink);
    if (e == NULL || copy == NULL) {
        return expr_nomem(b);
    }
    e->u.sublink = copy;
    *out = expr_seal(e);
    return ST_OK;
}

Status expr_aggregate(const ExprBuilder *b, ExprKind kind, const ExprAggregate *agg, const Expr *const *args,
                      const ValueType *type, int32_t location, const Expr **out)
{
    ASSERT(kind == EXPR_AGGREGATE || kind == EXPR_WINDOW);
    uint32_t n = agg->ndirect + agg->nargs + agg->norder + agg->has_filter;
    Expr *e = expr_new(b, kind, 0, type, args, n, location);
    ExprAggregate *copy = arena_copy(b->arena, agg, sizeof *agg);
    if (e == NULL || copy == NULL) {
        return expr_nomem(b);
    }
    e->u.aggregate = copy;
    *out = expr_seal(e);
    return ST_OK;
}

Status expr_domain(const ExprBuilder *b, Oid domain, const Expr *arg, int32_t location, const Expr **out)
{
    return numbered(b, EXPR_DOMAIN, 0, domain, &arg->type, &arg, 1, location, out);
}

/* ---- the same node with other children ---- */

/* May the kernel chosen for `was` work on values of type `now`? A wider bound may need another one. */
static bool fits(const ValueType *now, const ValueType *was)
{
    return rep_same(now, was) && now->precision <= was->precision;
}

static const Expr *without_rep(const Expr *e)
{
    return e->kind == EXPR_CALL && e->op == EXPR_FORM_REP ? e->args[0] : e;
}

static bool call_still_fits(const Expr *e, const Expr *const *args)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (!fits(&args[i]->type, &e->args[i]->type)) {
            return false;
        }
    }
    return true;
}

static Status same_payload(const ExprBuilder *b, const Expr *e, const Expr *const *args, const Expr **out)
{
    Expr *copy = expr_new(b, (ExprKind)e->kind, e->op, &e->type, args, e->nargs, e->location);
    if (copy == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    copy->u = e->u;
    *out = expr_seal(copy);
    return ST_OK;
}

static Status call_again(const ExprBuilder *b, const Expr *e, const Expr **args, const Expr **out)
{
    const ExprCall *c = e->u.call;
    if (e->op == EXPR_FORM_REP) {
        return expr_rep(b, args[0], &e->type, out);
    }
    if (c->call.fn != NULL) {
        return fn_node(b, c->call.fn, c->oper, e->op, args, e->nargs, &e->type, e->location, out);
    }
    return c->is_typmod ? typmod_node(b, args[0], &e->type, e->op, c->is_explicit, e->location, out)
                        : convert_node(b, args[0], &e->type, e->op, c->is_explicit, e->location, out);
}

static Status rebuild(const ExprBuilder *b, const Expr *e, const Expr **a, const Expr **out)
{
    switch (e->kind) {
    case EXPR_CALL:
    case EXPR_SET: return call_again(b, e, a, out);
    case EXPR_DISTINCT:
        return expr_distinct(b, oper_by_oid(e->u.call->oper), a[0], a[1], e->op, e->location, out);
    case EXPR_NULLIF: return expr_nullif(b, oper_by_oid(e->u.call->oper), a[0], a[1], a[2], e->location, out);
    case EXPR_ANY_ALL: return expr_any_all(b, oper_by_oid(e->u.call->oper), e->op, a[0], a[1], e->location, out);
    case EXPR_ARRAY: return expr_array(b, e->type.oid, a, e->nargs, e->location, out);
    case EXPR_SUBSCRIPT: return expr_subscript(b, a[0], e->op, a + 1, e->nargs - 1, e->location, out);
    case EXPR_CASE: return expr_case(b, e->op, a, e->nargs, e->location, out);
    case EXPR_COALESCE: return expr_coalesce(b, a, e->nargs, e->location, out);
    case EXPR_MIN_MAX: return expr_min_max(b, e->op, a, e->nargs, e->location, out);
    case EXPR_ROW_COMPARE:
        return expr_row_compare(b, (ExprRowOp)e->op, a, a + e->nargs / 2, e->nargs / 2, e->location, out);
    case EXPR_COLLATE: return expr_collate(b, a[0], e->type.collation, e->location, out);
    case EXPR_SESSION: return expr_session(b, (ExprSessionOp)e->op, (int32_t)e->u.number - 1, a[0], e->location, out);
    default: return same_payload(b, e, a, out);
    }
}

Status expr_with_args(const ExprBuilder *b, const Expr *e, const Expr *const *args, const Expr **out)
{
    bool same = true;
    for (uint32_t i = 0; i < e->nargs; i++) {
        same = same && args[i] == e->args[i];
    }
    if (same) {
        *out = e;
        return ST_OK;
    }
    if (call_still_fits(e, args)) {
        return same_payload(b, e, args, out);
    }
    const Expr **bare = ARENA_ARRAY(b->arena, const Expr *, e->nargs);
    if (bare == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < e->nargs; i++) {
        bare[i] = without_rep(args[i]);
    }
    return rebuild(b, e, bare, out);
}

/* ---- small helpers ---- */

const Expr *expr_strip(const Expr *e)
{
    while (e->kind == EXPR_COLLATE || (e->kind == EXPR_CALL && (e->op == EXPR_FORM_REP || e->u.call->relabel))) {
        e = e->args[0];
    }
    return e;
}

bool expr_is_constant_like(const Expr *e, bool *out_negated, Str *out_pattern)
{
    enum { TEXTLIKE = 850, TEXTNLIKE, NAMELIKE = 858, NAMENLIKE };
    Oid oid = e->kind == EXPR_CALL && e->u.call->call.fn != NULL ? e->u.call->call.fn->oid : 0;
    if (oid != TEXTLIKE && oid != TEXTNLIKE && oid != NAMELIKE && oid != NAMENLIKE) {
        return false;
    }
    const Expr *pattern = e->args[1];
    if (!expr_is_const(pattern) || pattern->u.value == NULL) {
        return false;
    }
    *out_negated = oid == TEXTNLIKE || oid == NAMENLIKE;
    *out_pattern = strview_str(&pattern->u.value->str);
    return out_pattern->len == 0 || out_pattern->p[out_pattern->len - 1] != '\\';
}

Oid expr_btree_family(Oid type)
{
    const OpclassRow *c = opclass_default(type == OID_VARCHAR ? OID_TEXT : type, METHOD_BTREE);
    return c != NULL ? c->family : 0;
}

int expr_btree_strategy(Oid oper, Oid left, Oid right)
{
    Oid family = expr_btree_family(left);
    for (int s = 1; s <= 5 && family != 0; s++) {
        if (amop_operator(family, left == OID_VARCHAR ? OID_TEXT : left, right == OID_VARCHAR ? OID_TEXT : right, s) ==
            oper) {
            return s;
        }
    }
    return 0;
}
