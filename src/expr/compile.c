/*
 * expr/compile.c: from trees to programs (see eval.h).
 *
 * Key idea: value numbering. A step is known by its payload and the numbers of its arguments, so equal subexpressions
 * of all expressions become one step without comparing trees; a case value is the step of what its CASE compares.
 */
#include "base/map.h"
#include "base/rng.h"
#include "expr/eval_int.h"

enum { NO_STEP = UINT32_MAX };

typedef struct Compiler {
    Ctx *cx;
    Arena *arena;
    const ExprLayout *layout;
    U64Map columns; /* id -> index in the chunk */
    U64Map numbers; /* hash -> the last step with it */
    VEC(Step) steps;
    VEC(uint32_t) older; /* by step: the one before it with the same hash, or NO_STEP */
    uint32_t case_value; /* step of the nearest CASE's compared value */
    uint32_t args_max;
    uint32_t depth_max;
} Compiler;

static Status compile(Compiler *c, const Expr *e, uint32_t depth, uint32_t *out);

static Status planner_only(Compiler *c, const char *what)
{
    return err_set(c->cx->err, ST_INTERNAL, "%s reached the evaluator", what);
}

/* ---- numbering ---- */

static bool same_step(const Step *a, const Step *b)
{
    return a->kind == b->kind && a->nargs == b->nargs && expr_same_node(a->expr, b->expr) &&
           (a->nargs == 0 || memcmp(a->args, b->args, a->nargs * sizeof *a->args) == 0);
}

static uint64_t step_hash(const Step *t)
{
    uint64_t h = mix64(t->kind * UINT64_C(256) + t->op);
    if (t->nargs == 0) {
        h ^= t->expr->hash;
    }
    for (uint32_t i = 0; i < t->nargs; i++) {
        h = mix64(h * 31 + t->args[i]);
    }
    return h >> 1; /* the map reserves the largest key */
}

static bool may_share(const Expr *e)
{
    if (e->kind != EXPR_CALL || e->u.call->call.fn == NULL) {
        return true;
    }
    return e->u.call->call.fn->volatility != 'v';
}

static Status number(Compiler *c, const Step *t, uint32_t *out)
{
    uint64_t h = step_hash(t);
    uint64_t last = NO_STEP;
    (void)u64map_get(&c->numbers, h, &last);
    for (uint32_t i = (uint32_t)last; i != NO_STEP && may_share(t->expr); i = c->older.v[i]) {
        if (same_step(&c->steps.v[i], t)) {
            *out = i;
            return ST_OK;
        }
    }
    if (!VEC_PUSH(&c->older, (uint32_t)last) || !VEC_PUSH(&c->steps, *t) ||
        !u64map_put(&c->numbers, h, c->steps.n - 1)) {
        return ctx_nomem(c->cx, sizeof *t);
    }
    *out = (uint32_t)(c->steps.n - 1);
    return ST_OK;
}

/* ---- kinds ---- */

/* Does the construct evaluate parts for fewer rows? (Opens scopes.) */
static bool narrows(unsigned kind)
{
    return kind == STEP_AND || kind == STEP_OR || kind == STEP_CASE || kind == STEP_COALESCE ||
           kind == STEP_ROW_COMPARE;
}

static Status args_of(Compiler *c, const Expr *e, uint32_t depth, Step *t)
{
    t->nargs = e->nargs;
    t->args = ARENA_ARRAY(c->arena, uint32_t, e->nargs + 1);
    if (t->args == NULL) {
        return ctx_nomem(c->cx, e->nargs * sizeof *t->args);
    }
    uint32_t outer = c->case_value;
    Status st = ST_OK;
    for (uint32_t i = 0; i < e->nargs && st == ST_OK; i++) {
        bool condition = e->kind == EXPR_CASE && e->op == 1 && i % 2 == 1 && i + 1 < e->nargs;
        c->case_value = condition ? t->args[0] : outer;
        st = compile(c, e->args[i], depth, &t->args[i]);
    }
    c->case_value = outer;
    c->args_max = c->args_max < e->nargs ? e->nargs : c->args_max;
    return st;
}

static Status column(Compiler *c, const Expr *e, Step *t)
{
    uint64_t index;
    if (!u64map_get(&c->columns, e->u.column, &index)) {
        return err_set(c->cx->err, ST_INTERNAL, "column %u is not in the input", e->u.column);
    }
    if (!rep_same(&c->layout->types[index], &e->type)) {
        return err_set(c->cx->err, ST_INTERNAL, "column %u has another representation in the input", e->u.column);
    }
    t->column = (uint32_t)index;
    return ST_OK;
}

static bool in_set_serves(const Expr *e)
{
    const OperRow *op = oper_by_oid(e->u.call->oper);
    const Expr *scalar = e->args[0];
    if (!expr_is_row_free(e->args[1]) || scalar->type.oid != type_element(e->args[1]->type.oid)) {
        return false;
    }
    Oid eq = e->op == 0 ? op->oid : op->negator; /* = ANY, <> ALL */
    return type_is_hashable(scalar->type.oid) && expr_btree_strategy(eq, op->left, op->right) == 3;
}

static Status like_step(Compiler *c, Str pattern, bool negated, Step *t)
{
    HeapLike *like = ARENA_NEW(c->arena, HeapLike);
    if (like == NULL) {
        return ctx_nomem(c->cx, sizeof *like);
    }
    t->kind = STEP_LIKE;
    t->op = negated;
    t->like = like;
    return heap_like_compile(c->cx, c->arena, pattern, '\\', like);
}

static Status step_kind(Compiler *c, const Expr *e, Step *t)
{
    static const uint8_t simple[EXPR_KIND_COUNT] = {
        [EXPR_CONST] = STEP_CONST,         [EXPR_COLUMN] = STEP_COLUMN,       [EXPR_PARAM] = STEP_PARAM,
        [EXPR_CALL] = STEP_CALL,           [EXPR_AND] = STEP_AND,             [EXPR_OR] = STEP_OR,
        [EXPR_NOT] = STEP_NOT,             [EXPR_NULL_TEST] = STEP_NULL_TEST, [EXPR_BOOL_TEST] = STEP_BOOL_TEST,
        [EXPR_DISTINCT] = STEP_DISTINCT,   [EXPR_CASE] = STEP_CASE,           [EXPR_COALESCE] = STEP_COALESCE,
        [EXPR_NULLIF] = STEP_NULLIF,       [EXPR_MIN_MAX] = STEP_MIN_MAX,     [EXPR_ARRAY] = STEP_CALL,
        [EXPR_SUBSCRIPT] = STEP_CALL,      [EXPR_ROW_COMPARE] = STEP_ROW_COMPARE,
    };
    Str pattern;
    bool negated;
    if (expr_is_constant_like(e, &negated, &pattern)) {
        return like_step(c, pattern, negated, t);
    }
    switch (e->kind) {
    case EXPR_ANY_ALL: t->kind = in_set_serves(e) ? STEP_IN : STEP_CALL; return ST_OK;
    case EXPR_ROW:
    case EXPR_FIELD: return err_set(c->cx->err, ST_FEATURE_NOT_SUPPORTED, "composite values are not supported");
    case EXPR_DOMAIN: return err_set(c->cx->err, ST_FEATURE_NOT_SUPPORTED, "domains are not supported");
    case EXPR_SUBLINK: return planner_only(c, "a subquery");
    case EXPR_AGGREGATE: return planner_only(c, "an aggregate");
    case EXPR_WINDOW: return planner_only(c, "a window function");
    case EXPR_SET: return planner_only(c, "a set-returning function");
    case EXPR_CASE_VALUE: return planner_only(c, "the value of a CASE outside of one");
    default: t->kind = simple[e->kind]; return ST_OK;
    }
}

static bool has_call(const Expr *e)
{
    return e->kind == EXPR_CALL || e->kind == EXPR_ARRAY || e->kind == EXPR_SUBSCRIPT || e->kind == EXPR_ANY_ALL ||
           e->kind == EXPR_DISTINCT || e->kind == EXPR_NULLIF;
}

/* The node that does the work: what leaves the bytes alone is passed through. */
static const Expr *worker(const Expr *e)
{
    for (;;) {
        bool through = e->kind == EXPR_COLLATE || e->kind == EXPR_SESSION || (e->kind == EXPR_CALL && e->u.call->relabel);
        if (e->kind == EXPR_FIELD && e->args[0]->kind == EXPR_ROW && e->u.number < e->args[0]->nargs) {
            e = e->args[0]->args[e->u.number];
        } else if (through) {
            e = e->args[0];
        } else {
            return e;
        }
    }
}

static Status compile(Compiler *c, const Expr *e, uint32_t depth, uint32_t *out)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(c->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    e = worker(e);
    if (e->kind == EXPR_CASE_VALUE && c->case_value != NO_STEP) {
        *out = c->case_value;
        return ST_OK;
    }
    Step t = {.op = e->op, .type = e->type, .expr = e, .row_free = expr_is_row_free(e)};
    Status st = step_kind(c, e, &t);
    if (st != ST_OK) {
        return st;
    }
    depth += narrows(t.kind) ? 2 : 0; /* CASE: the rows left, and among them those of a branch */
    c->depth_max = c->depth_max < depth ? depth : c->depth_max;
    t.has_site = has_call(e) && (e->u.call->call.flags & KERNEL_SITE) != 0;
    st = t.kind == STEP_COLUMN ? column(c, e, &t) : args_of(c, e, depth, &t);
    return st == ST_OK ? number(c, &t, out) : st;
}

/* ---- programs ---- */

static Status map_columns(Compiler *c)
{
    for (uint32_t i = 0; i < c->layout->n; i++) {
        if (!u64map_put(&c->columns, c->layout->ids[i], i)) {
            return ctx_nomem(c->cx, c->layout->n * sizeof(uint64_t) * 2);
        }
    }
    return ST_OK;
}

static Status finish(Compiler *c, uint32_t *roots, uint32_t n, const ExprProgram **out)
{
    ExprProgram *p = ARENA_NEW(c->arena, ExprProgram);
    Step *steps = arena_copy(c->arena, c->steps.v, c->steps.n * sizeof *steps);
    if (p == NULL || steps == NULL) {
        return ctx_nomem(c->cx, c->steps.n * sizeof *steps);
    }
    *p = (ExprProgram){.steps = steps,
                       .nsteps = (uint32_t)c->steps.n,
                       .roots = roots,
                       .nroots = n,
                       .args_max = c->args_max,
                       .depth_max = c->depth_max + 1,
                       .ncolumns = c->layout->n};
    *out = p;
    return ST_OK;
}

Status expr_compile(Ctx *cx, Arena *arena, const Expr *const *exprs, uint32_t n, const ExprLayout *layout,
                    const ExprProgram **out)
{
    ASSERT(n > 0);
    Compiler c = {.cx = cx, .arena = arena, .layout = layout, .case_value = NO_STEP, .args_max = 1};
    c.steps.budget = cx->budget;
    c.older.budget = cx->budget;
    u64map_init(&c.columns, cx->budget);
    u64map_init(&c.numbers, cx->budget);
    uint32_t *roots = ARENA_ARRAY(arena, uint32_t, n);
    Status st = roots != NULL ? map_columns(&c) : ctx_nomem(cx, n * sizeof *roots);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        st = compile(&c, exprs[i], 0, &roots[i]);
    }
    if (st == ST_OK) {
        st = finish(&c, roots, n, out);
    }
    VEC_DONE(&c.steps);
    VEC_DONE(&c.older);
    u64map_done(&c.columns);
    u64map_done(&c.numbers);
    return st;
}

uint32_t expr_program_steps(const ExprProgram *p) { return p->nsteps; }
