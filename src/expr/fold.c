/*
 * expr/fold.c: constant folding and boolean simplification (see fold.h).
 */
#include "expr/fold.h"

#include "base/map.h"
#include "expr/eval.h"
#include "expr/expr_int.h"
#include "os/thread.h"
#include "types/array.h"

typedef struct Fold {
    const SessionFacts *facts;
} Fold;

/* ---- evaluation ---- */

/* Statuses that say nothing about the expression. */
static bool is_external(Status st)
{
    return st == ST_OUT_OF_MEMORY || st == ST_STATEMENT_TOO_COMPLEX || st == ST_QUERY_CANCELED ||
           st == ST_ADMIN_SHUTDOWN || st == ST_CRASH_SHUTDOWN || st == ST_SNAPSHOT_TOO_OLD ||
           st == ST_LOCK_NOT_AVAILABLE;
}

static Status copy_value(const ExprBuilder *b, const Vector *v, const ExprValue **out)
{
    *out = NULL;
    if (vec_is_null(v, 0)) {
        return ST_OK;
    }
    ExprValue *value = ARENA_NEW(b->arena, ExprValue);
    if (value == NULL) {
        return expr_nomem(b);
    }
    memcpy(value, vec_at(v, 0), phys_bytes((PhysType)v->phys));
    if (v->phys == P_STR) {
        StrView from = value->str;
        if (!heap_str(b->arena, strview_ptr(&from), from.len, &value->str)) {
            return ctx_nomem(b->cx, from.len);
        }
    }
    *out = value;
    return ST_OK;
}

static Status run(const ExprBuilder *b, Ctx *cx, Arena *arena, const SessionFacts *facts, const Expr *e,
                  const ExprValue **out)
{
    const ExprLayout none = {NULL, NULL, 0};
    const ExprEnv env = {.facts = facts};
    const ExprProgram *program;
    ExprState *state = NULL;
    const Vector *v;
    Status st = expr_compile(cx, arena, &e, 1, &none, &program);
    if (st == ST_OK) {
        st = expr_state_new(cx, program, &env, 1, arena, &state);
    }
    if (st == ST_OK) {
        st = expr_eval(state, NULL, NULL, 1, &v);
    }
    if (st == ST_OK) {
        st = copy_value(b, v, out);
    }
    expr_state_free(state);
    return st;
}

Status expr_evaluate(const ExprBuilder *b, const SessionFacts *facts, const Expr *e, bool *out_failed,
                     const ExprValue **out_value)
{
    Error *err = mem_alloc(b->cx->budget, sizeof *err);
    if (err == NULL) {
        return expr_nomem(b);
    }
    Arena arena;
    Ctx cx;
    err_clear(err);
    arena_init(&arena, b->cx->budget, 4096);
    ctx_init(&cx, err, b->cx->budget, &arena);
    cx.intr = b->cx->intr;
    *out_value = NULL;
    Status st = run(b, &cx, &arena, facts, e, out_value);
    *out_failed = st != ST_OK && !is_external(st);
    if (is_external(st)) {
        err_copy(b->cx->err, err);
    }
    arena_done(&arena);
    mem_free(b->cx->budget, err, sizeof *err);
    return is_external(st) ? st : ST_OK;
}

static bool args_constant(const Expr *e)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (!expr_is_const(e->args[i])) {
            return false;
        }
    }
    return true;
}

/* May it be evaluated now? Case values and what only the planner can replace have facts of their own. */
static bool is_ready(const Fold *f, const Expr *e)
{
    unsigned known = EXPR_HAS_LEAK | (f->facts != NULL ? EXPR_HAS_STABLE : 0);
    return (e->facts & ~known) == 0 && e->kind != EXPR_ROW && e->kind != EXPR_DOMAIN && e->kind != EXPR_FIELD &&
           args_constant(e);
}

static Status evaluate(const Fold *f, const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const SessionFacts *facts = f->facts != NULL ? f->facts : &session_facts_default;
    const ExprValue *value;
    bool failed;
    Status st = expr_evaluate(b, facts, e, &failed, &value);
    if (st == ST_OK && !failed) {
        return expr_const(b, &e->type, value, e->location, out);
    }
    *out = e;
    return st;
}

static bool any_null_arg(const Expr *e)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (expr_is_null_const(e->args[i])) {
            return true;
        }
    }
    return false;
}

/* ---- booleans ---- */

typedef VEC(const Expr *) ExprVec;

static Status nary(const ExprBuilder *b, ExprKind kind, const ExprVec *v, const Expr **out)
{
    return kind == EXPR_AND ? expr_and(b, v->v, (uint32_t)v->n, out) : expr_or(b, v->v, (uint32_t)v->n, out);
}

/* Collects the parts that matter; *out_decided when one settles the whole. Children are folded and so flat. */
static bool collect(const Expr *e, ExprVec *parts, bool *io_null, bool *out_decided)
{
    for (uint32_t i = 0; i < e->nargs; i++) {
        const Expr *a = e->args[i];
        uint32_t n = a->kind == e->kind ? a->nargs : 1;
        const Expr *const *items = a->kind == e->kind ? a->args : &a;
        for (uint32_t k = 0; k < n; k++) {
            const Expr *p = items[k];
            if (e->kind == EXPR_AND ? expr_is_false(p) : expr_is_true(p)) {
                *out_decided = true;
                return true;
            }
            bool again = expr_is_null_const(p) && *io_null;
            *io_null = *io_null || expr_is_null_const(p);
            if (!again && !expr_is_true(p) && !expr_is_false(p) && !VEC_PUSH(parts, p)) {
                return false;
            }
        }
    }
    return true;
}

static Status fold_and_or(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    ExprVec parts = {.budget = b->cx->budget};
    bool has_null = false;
    bool decided = false;
    Status st = ST_OK;
    if (!collect(e, &parts, &has_null, &decided)) {
        st = expr_nomem(b);
    } else if (decided) {
        st = expr_const_bool(b, e->kind == EXPR_OR, out);
    } else {
        st = nary(b, (ExprKind)e->kind, &parts, out);
    }
    VEC_DONE(&parts);
    return st;
}

static Status negate_parts(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const Expr **parts = ARENA_ARRAY(b->arena, const Expr *, e->nargs);
    if (parts == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < e->nargs; i++) {
        Status st = expr_negate(b, e->args[i], &parts[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    return e->kind == EXPR_AND ? expr_or(b, parts, e->nargs, out) : expr_and(b, parts, e->nargs, out);
}

static Status negate_operator(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const OperRow *op = oper_by_oid(e->u.call->oper);
    const OperRow *opposite = op != NULL && op->negator != 0 ? oper_by_oid(op->negator) : NULL;
    if (opposite == NULL || e->nargs != 2 || registry_kernel(b->registry, fn_by_oid(opposite->fn)) == NULL) {
        return expr_not(b, e, out);
    }
    return expr_operator(b, opposite, e->args[0], e->args[1], OID_BOOL, e->type.collation, e->location, out);
}

Status expr_negate(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(b->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    const OperRow *op = e->kind == EXPR_ANY_ALL ? oper_by_oid(e->u.call->oper) : NULL;
    switch (e->kind) {
    case EXPR_CONST:
        if (expr_is_null_const(e)) {
            *out = e;
            return ST_OK;
        }
        return expr_const_bool(b, expr_is_false(e), out);
    case EXPR_AND:
    case EXPR_OR: return negate_parts(b, e, out);
    case EXPR_NOT: *out = e->args[0]; return ST_OK;
    case EXPR_NULL_TEST: return expr_null_test(b, e->args[0], !e->op, out);
    case EXPR_BOOL_TEST: return expr_bool_test(b, e->args[0], (ExprBoolTest)(e->op ^ 1), out);
    case EXPR_DISTINCT:
        return expr_distinct(b, oper_by_oid(e->u.call->oper), e->args[0], e->args[1], !e->op, e->location, out);
    case EXPR_ANY_ALL:
        if (op->negator == 0) {
            return expr_not(b, e, out);
        }
        return expr_any_all(b, oper_by_oid(op->negator), !e->op, e->args[0], e->args[1], e->location, out);
    case EXPR_CALL: return negate_operator(b, e, out);
    default: return expr_not(b, e, out);
    }
}

/* boolean = constant. */
static Status fold_bool_equality(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    for (int i = 0; i < 2; i++) {
        if (expr_is_true(e->args[i]) || expr_is_false(e->args[i])) {
            const Expr *other = e->args[1 - i];
            bool equal = (e->u.call->oper == 91) == expr_is_true(e->args[i]); /* 91 is "=", 85 "<>" of booleans */
            *out = other;
            return equal ? ST_OK : expr_negate(b, other, out);
        }
    }
    *out = e;
    return ST_OK;
}

/* ---- choices ---- */

/* Puts the compared constant in the place of the case values that mean it (E4). */
static Status replace_case_value(const ExprBuilder *b, const Expr *e, const Expr *value, const Expr **out)
{
    if (!(e->facts & EXPR_HAS_CASE_VALUE) || e->kind == EXPR_CASE_VALUE) {
        *out = e->kind == EXPR_CASE_VALUE ? value : e;
        return ST_OK;
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(b->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    const Expr **args = arena_copy(b->arena, e->args, e->nargs * sizeof *args);
    Status st = args != NULL ? ST_OK : expr_nomem(b);
    for (uint32_t i = 0; i < e->nargs && st == ST_OK; i++) {
        bool bound = e->kind == EXPR_CASE && e->op == 1 && i % 2 == 1 && i + 1 < e->nargs;
        st = bound ? ST_OK : replace_case_value(b, e->args[i], value, &args[i]);
    }
    return st == ST_OK ? expr_with_args(b, e, args, out) : st;
}

/* A simple CASE over a constant becomes a searched one. */
static Status case_condition(const Fold *f, const ExprBuilder *b, const Expr *e, uint32_t i, const Expr **out)
{
    *out = e->args[i];
    if (e->op == 0 || !expr_is_const(e->args[0])) {
        return ST_OK;
    }
    Status st = replace_case_value(b, e->args[i], e->args[0], out);
    return st == ST_OK ? expr_fold(b, f->facts, *out, out) : st;
}

static Status fold_case(const Fold *f, const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const bool has_value = e->op == 1 && !expr_is_const(e->args[0]);
    const Expr **args = ARENA_ARRAY(b->arena, const Expr *, e->nargs);
    uint32_t n = 0;
    const Expr *otherwise = e->args[e->nargs - 1];
    if (args == NULL) {
        return expr_nomem(b);
    }
    if (has_value) {
        args[n++] = e->args[0];
    }
    for (uint32_t i = e->op; i + 1 < e->nargs; i += 2) {
        const Expr *condition;
        Status st = case_condition(f, b, e, i, &condition);
        if (st != ST_OK) {
            return st;
        }
        if (expr_is_true(condition)) {
            otherwise = e->args[i + 1];
            break;
        }
        if (!expr_is_const(condition)) {
            args[n++] = condition;
            args[n++] = e->args[i + 1];
        }
    }
    args[n++] = otherwise;
    if (n == 1u + has_value && !(has_value && (e->args[0]->facts & (EXPR_HAS_VOLATILE | EXPR_HAS_LEAK)))) {
        *out = otherwise;
        return ST_OK;
    }
    if (n == e->nargs || n == 1u + has_value) {
        *out = e;
        return ST_OK;
    }
    return expr_case(b, has_value, args, n, e->location, out);
}

static Status fold_coalesce(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const Expr **args = ARENA_ARRAY(b->arena, const Expr *, e->nargs);
    uint32_t n = 0;
    if (args == NULL) {
        return expr_nomem(b);
    }
    for (uint32_t i = 0; i < e->nargs; i++) {
        if (!expr_is_null_const(e->args[i])) {
            args[n++] = e->args[i];
            if (expr_is_const(e->args[i])) {
                break;
            }
        }
    }
    if (n <= 1 || n == e->nargs) {
        *out = n == 0 ? e->args[0] : n == 1 ? args[0] : e;
        return ST_OK;
    }
    return expr_coalesce(b, args, n, e->location, out);
}

/* ---- the rest ---- */

/* op ANY/ALL of an array that has no elements, or is NULL. */
static Status fold_any_all(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const Expr *array = e->args[1];
    ArrayView v;
    *out = e;
    if (!expr_is_const(array) || (e->args[0]->facts & EXPR_HAS_VOLATILE)) {
        return ST_OK;
    }
    if (array->u.value == NULL) {
        return expr_const_null(b, &e->type, out);
    }
    array_view(&array->u.value->str, &v);
    return v.n == 0 ? expr_const_bool(b, e->op == 1, out) : ST_OK;
}

static Status fold_call(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const ExprCall *c = e->u.call;
    if (c->call.strict && any_null_arg(e)) {
        return expr_const_null(b, &e->type, out);
    }
    if (c->oper == 91 || c->oper == 85) {
        return fold_bool_equality(b, e, out);
    }
    *out = e;
    return ST_OK;
}

static Status fold_field(const Expr *e, const Expr **out)
{
    const Expr *row = e->args[0];
    bool known = row->kind == EXPR_ROW && e->u.number < row->nargs && !(row->facts & EXPR_HAS_VOLATILE);
    *out = known ? row->args[e->u.number] : e;
    return ST_OK;
}

static Status fold_distinct(const ExprBuilder *b, const Expr *e, const Expr **out)
{
    for (int i = 0; i < 2; i++) {
        if (expr_is_null_const(e->args[i])) {
            return expr_null_test(b, e->args[1 - i], !e->op, out); /* distinct from NULL is not NULL */
        }
    }
    *out = e;
    return ST_OK;
}

static Status fold_node(void *arg, const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const Fold *f = arg;
    if (e->nargs == 0 && e->kind != EXPR_CALL && e->kind != EXPR_ARRAY) {
        *out = e;
        return ST_OK;
    }
    if (e->kind == EXPR_CALL && e->u.call->call.strict && any_null_arg(e)) {
        return expr_const_null(b, &e->type, out);
    }
    if (e->kind != EXPR_CASE && is_ready(f, e)) {
        return evaluate(f, b, e, out);
    }
    switch (e->kind) {
    case EXPR_CALL: return fold_call(b, e, out);
    case EXPR_AND:
    case EXPR_OR: return fold_and_or(b, e, out);
    case EXPR_NOT: return expr_negate(b, e->args[0], out);
    case EXPR_DISTINCT: return fold_distinct(b, e, out);
    case EXPR_CASE: return fold_case(f, b, e, out);
    case EXPR_COALESCE: return fold_coalesce(b, e, out);
    case EXPR_ANY_ALL: return fold_any_all(b, e, out);
    case EXPR_FIELD: return fold_field(e, out);
    default: *out = e; return ST_OK;
    }
}

Status expr_fold(const ExprBuilder *b, const SessionFacts *facts, const Expr *e, const Expr **out)
{
    Fold f = {facts};
    return expr_rewrite(b, e, fold_node, &f, out);
}
