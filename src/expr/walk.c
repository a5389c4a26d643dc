/*
 * expr/walk.c: walking, rewriting and comparing trees (see expr.h).
 */
#include "expr/expr_int.h"
#include "os/thread.h"

static Status too_deep(Error *err) { return err_set(err, ST_STATEMENT_TOO_COMPLEX, NULL); }

/* ---- walk ---- */

typedef struct Walk {
    ExprVisit (*visit)(void *arg, const Expr *e);
    void *arg;
    Error *err;
    bool stopped;
} Walk;

static Status walk(Walk *w, const Expr *e)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return too_deep(w->err);
    }
    ExprVisit v = w->visit(w->arg, e);
    w->stopped = v == EXPR_STOP;
    for (uint32_t i = 0; v == EXPR_DESCEND && i < e->nargs && !w->stopped; i++) {
        Status st = walk(w, e->args[i]);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

Status expr_walk(const Expr *e, ExprVisit (*visit)(void *arg, const Expr *e), void *arg, Error *err)
{
    Walk w = {visit, arg, err, false};
    return walk(&w, e);
}

/* ---- rewrite ---- */

Status expr_rewrite(const ExprBuilder *b, const Expr *e, ExprRewriteFn *fn, void *arg, const Expr **out)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return too_deep(b->cx->err);
    }
    const Expr *with = e;
    if (e->nargs > 0) {
        const Expr **args = ARENA_ARRAY(b->arena, const Expr *, e->nargs);
        if (args == NULL) {
            return expr_nomem(b);
        }
        for (uint32_t i = 0; i < e->nargs; i++) {
            Status st = expr_rewrite(b, e->args[i], fn, arg, &args[i]);
            if (st != ST_OK) {
                return st;
            }
        }
        Status st = expr_with_args(b, e, args, &with);
        if (st != ST_OK) {
            return st;
        }
    }
    return fn(arg, b, with, out);
}

/* ---- equality ---- */

static bool same_value(const ValueType *t, const ExprValue *a, const ExprValue *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return t->phys == P_STR ? strview_eq(&a->str, &b->str) : memcmp(a, b, phys_bytes((PhysType)t->phys)) == 0;
}

static bool same_call(const ExprCall *a, const ExprCall *b)
{
    return a->call.fn == b->call.fn && a->call.kernel == b->call.kernel && a->call.aux[0] == b->call.aux[0] &&
           a->call.aux[1] == b->call.aux[1] && a->oper == b->oper;
}

static bool same_aggregate(const ExprAggregate *a, const ExprAggregate *b)
{
    return a->fn == b->fn && a->ndirect == b->ndirect && a->nargs == b->nargs && a->norder == b->norder &&
           a->distinct == b->distinct && a->star == b->star && a->has_filter == b->has_filter &&
           a->window == b->window && (a->norder == 0 || memcmp(a->order_flags, b->order_flags, a->norder) == 0);
}

static bool same_type(const ValueType *a, const ValueType *b)
{
    return a->oid == b->oid && a->typmod == b->typmod && a->collation == b->collation && rep_same(a, b);
}

static bool same_payload(const Expr *a, const Expr *b)
{
    switch (a->kind) {
    case EXPR_CONST: return same_value(&a->type, a->u.value, b->u.value);
    case EXPR_COLUMN: return a->u.column == b->u.column;
    case EXPR_CALL: {
        const ExprCall *x = a->u.call;
        const ExprCall *y = b->u.call;
        return x->call.fn == y->call.fn && x->call.kernel == y->call.kernel && x->call.aux[0] == y->call.aux[0] &&
               x->call.aux[1] == y->call.aux[1]; /* written as an operator or not: the same function */
    }
    case EXPR_SET:
    case EXPR_DISTINCT:
    case EXPR_NULLIF:
    case EXPR_ANY_ALL: return a->op == b->op && same_call(a->u.call, b->u.call);
    case EXPR_PARAM:
    case EXPR_FIELD:
    case EXPR_SESSION:
    case EXPR_DOMAIN: return a->op == b->op && a->u.number == b->u.number;
    case EXPR_AGGREGATE:
    case EXPR_WINDOW: return same_aggregate(a->u.aggregate, b->u.aggregate);
    case EXPR_SUBLINK: return a->op == b->op && a->u.sublink->query == b->u.sublink->query;
    default: return a->op == b->op;
    }
}

bool expr_same_node(const Expr *a, const Expr *b)
{
    return a->kind == b->kind && a->nargs == b->nargs && same_type(&a->type, &b->type) && same_payload(a, b);
}

Status expr_equal(const Expr *a, const Expr *b, Error *err, bool *out_equal)
{
    if (a == b) {
        *out_equal = true;
        return ST_OK;
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return too_deep(err);
    }
    bool equal = a->hash == b->hash && expr_same_node(a, b);
    for (uint32_t i = 0; equal && i < a->nargs; i++) {
        Status st = expr_equal(a->args[i], b->args[i], err, &equal);
        if (st != ST_OK) {
            return st;
        }
    }
    *out_equal = equal;
    return ST_OK;
}

/* ---- columns ---- */

typedef struct Columns {
    void (*add)(void *arg, const Expr *column);
    bool (*in)(void *arg, ColumnId id);
    void *arg;
    bool found;
} Columns;

static ExprVisit visit_add(void *arg, const Expr *e)
{
    Columns *c = arg;
    if (e->kind == EXPR_COLUMN) {
        c->add(c->arg, e);
    }
    return e->facts & EXPR_HAS_COLUMN ? EXPR_DESCEND : EXPR_SKIP;
}

static ExprVisit visit_in(void *arg, const Expr *e)
{
    Columns *c = arg;
    c->found = c->found || (e->kind == EXPR_COLUMN && c->in(c->arg, e->u.column));
    return c->found ? EXPR_STOP : e->facts & EXPR_HAS_COLUMN ? EXPR_DESCEND : EXPR_SKIP;
}

Status expr_columns(const Expr *e, void (*add)(void *arg, const Expr *column), void *arg, Error *err)
{
    Columns c = {.add = add, .arg = arg};
    return expr_walk(e, visit_add, &c, err);
}

Status expr_uses_columns(const Expr *e, bool (*in)(void *arg, ColumnId id), void *arg, Error *err, bool *out_uses)
{
    Columns c = {.in = in, .arg = arg};
    Status st = expr_walk(e, visit_in, &c, err);
    if (st == ST_OK) {
        *out_uses = c.found;
    }
    return st;
}

typedef struct Substitution {
    const Expr *(*find)(void *arg, const Expr *column);
    void *arg;
} Substitution;

static Status substitute(void *arg, const ExprBuilder *b, const Expr *e, const Expr **out)
{
    const Substitution *s = arg;
    (void)b;
    const Expr *with = e->kind == EXPR_COLUMN ? s->find(s->arg, e) : NULL;
    *out = with != NULL ? with : e;
    return ST_OK;
}

Status expr_substitute(const ExprBuilder *b, const Expr *e, const Expr *(*find)(void *arg, const Expr *column),
                       void *arg, const Expr **out)
{
    Substitution s = {find, arg};
    return expr_rewrite(b, e, substitute, &s, out);
}

Status expr_conjuncts(const Expr *e, Status (*add)(void *arg, const Expr *e), void *arg, Error *err)
{
    if (e->kind != EXPR_AND) {
        return add(arg, e);
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return too_deep(err);
    }
    for (uint32_t i = 0; i < e->nargs; i++) {
        Status st = expr_conjuncts(e->args[i], add, arg, err);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* ---- check ---- */

static void check_call(const Expr *e)
{
    uint32_t n = e->kind == EXPR_NULLIF ? 2 : e->nargs;
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(rep_same(&e->args[i]->type, fn_arg_type(&e->u.call->call, i)));
    }
}

static ExprVisit check_node(void *arg, const Expr *e)
{
    (void)arg;
    ASSERT(e->kind < EXPR_KIND_COUNT);
    switch (e->kind) {
    case EXPR_CALL:
    case EXPR_SET:
    case EXPR_DISTINCT:
    case EXPR_NULLIF:
    case EXPR_ANY_ALL:
    case EXPR_ARRAY:
    case EXPR_SUBSCRIPT: check_call(e); break;
    case EXPR_CASE:
    case EXPR_COALESCE:
    case EXPR_MIN_MAX: ASSERT(rep_same(&e->args[e->nargs - 1]->type, &e->type)); break;
    default: break;
    }
    return EXPR_DESCEND;
}

Status expr_check(const Expr *e, Error *err)
{
    ASSERT(!(e->facts & EXPR_HAS_CASE_VALUE)); /* E4 */
    return expr_walk(e, check_node, NULL, err);
}
