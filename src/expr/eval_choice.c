/*
 * expr/eval_choice.c: CASE, COALESCE, NULLIF, GREATEST and LEAST, IS DISTINCT FROM, comparison of rows (see eval.h).
 *
 * Key idea: CASE and COALESCE hand each row to the part that answers it and gather the answers in one vector. When one
 * part answers all rows there is nothing to gather: its vector is the result.
 */
#include "expr/eval_int.h"

/* ---- CASE ---- */

typedef struct Gather {
    Vector *out;         /* NULL while nothing was gathered */
    const Vector *whole; /* one part's vector that answered every row */
} Gather;

static Status gather(ExprState *s, uint32_t id, Gather *g, const Vector *v, const uint16_t *sel, uint32_t n,
                     uint32_t total)
{
    if (g->out == NULL && n == total) {
        g->whole = v;
        return ST_OK;
    }
    Status st = g->out == NULL ? step_output(s, id, &g->out) : ST_OK;
    if (st == ST_OK) {
        merge_rows(g->out, v, sel, n);
    }
    return st;
}

/* Evaluates a result for the rows that took its branch. */
static Status branch(ExprState *s, uint32_t id, uint32_t result, Gather *g, const uint16_t *sel, uint32_t n,
                     uint32_t total)
{
    const Vector *v;
    const bool narrowed = n < total;
    if (n == 0) {
        return ST_OK;
    }
    if (narrowed) {
        scope_open(s);
    }
    Status st = step_eval(s, result, sel, n, &v);
    if (st == ST_OK) {
        st = gather(s, id, g, v, sel, n, total);
    }
    if (narrowed) {
        scope_close(s);
    }
    return st;
}

Status eval_case(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const uint32_t mark = s->nsels;
    const uint32_t total = n;
    const Vector *v;
    Gather g = {NULL, NULL};
    bool opened = false;
    uint16_t *taken = sel_take(s);
    uint16_t *left = taken != NULL ? sel_take(s) : NULL;
    Status st = left != NULL ? ST_OK : ST_OUT_OF_MEMORY;
    if (st == ST_OK && t->op == 1) {
        st = step_eval(s, t->args[0], sel, n, &v); /* now, so that it is evaluated once for all conditions */
    }
    for (uint32_t i = t->op; i + 1 < t->nargs && n > 0 && st == ST_OK; i += 2) {
        uint32_t ntaken = 0;
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_filter(s, t->args[i], sel, n, taken, &ntaken);
        if (st == ST_OK) {
            st = branch(s, id, t->args[i + 1], &g, taken, ntaken, total);
        }
        n = ntaken > 0 ? sel_without(sel, n, taken, ntaken, left) : n;
        sel = ntaken > 0 ? left : sel;
    }
    if (st == ST_OK) {
        st = branch(s, id, t->args[t->nargs - 1], &g, sel, n, total);
    }
    if (opened) {
        scope_close(s);
    }
    s->nsels = mark;
    s->steps[id].v = g.out != NULL ? g.out : g.whole;
    return st;
}

/* ---- COALESCE ---- */

static uint32_t split_nulls(const Vector *v, const uint16_t *sel, uint32_t n, uint16_t *present, uint16_t *nulls,
                            uint32_t *out_nulls)
{
    uint32_t k = 0;
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t row = (uint16_t)sel_row(sel, i);
        if (vec_is_null(v, row)) {
            nulls[m++] = row;
        } else {
            present[k++] = row;
        }
    }
    *out_nulls = m;
    return k;
}

Status eval_coalesce(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const uint32_t mark = s->nsels;
    const uint32_t total = n;
    Gather g = {NULL, NULL};
    bool opened = false;
    uint16_t *present = sel_take(s);
    uint16_t *left = present != NULL ? sel_take(s) : NULL;
    Status st = left != NULL ? ST_OK : ST_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < t->nargs && n > 0 && st == ST_OK; i++) {
        const Vector *v;
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_eval(s, t->args[i], sel, n, &v);
        if (st != ST_OK) {
            break;
        }
        if (v->nulls == NULL || i + 1 == t->nargs) { /* the last one answers with its nulls */
            st = gather(s, id, &g, v, sel, n, total);
            n = 0;
            break;
        }
        uint32_t npresent = split_nulls(v, sel, n, present, left, &n);
        sel = left;
        if (npresent > 0) {
            st = gather(s, id, &g, v, present, npresent, total);
        }
    }
    if (opened) {
        scope_close(s);
    }
    s->nsels = mark;
    s->steps[id].v = g.out != NULL ? g.out : g.whole;
    return st;
}

/* ---- two values and "=" ---- */

typedef struct Compared {
    const Vector *a;
    const Vector *b;
    Vector *equal; /* of step_output: where "=" left its answers */
    const uint16_t *sel;
    uint32_t n; /* of the rows to fill in: one when all is constant */
} Compared;

static Status compare(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n, Vector *equal, Compared *out)
{
    const Step *t = &s->program->steps[id];
    *out = (Compared){.equal = equal, .sel = sel, .n = n};
    Status st = step_eval(s, t->args[0], sel, n, &out->a);
    if (st == ST_OK) {
        st = step_eval(s, t->args[1], sel, n, &out->b);
    }
    if (st != ST_OK) {
        return st;
    }
    const Vector *args[2] = {out->a, out->b};
    st = step_invoke(s, id, &t->expr->u.call->call, args, 2, sel, n, equal);
    if (equal->kind == VEC_CONSTANT) {
        out->sel = NULL;
        out->n = 1;
    }
    return st;
}

Status eval_distinct(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const bool negated = s->program->steps[id].op;
    Vector *out;
    Compared c;
    Status st = step_output(s, id, &out);
    if (st == ST_OK) {
        st = compare(s, id, sel, n, out, &c);
    }
    if (st != ST_OK) {
        return st;
    }
    /* A NULL constant on one side makes "=" constant, but not this. */
    bool constant = c.a->kind == VEC_CONSTANT && c.b->kind == VEC_CONSTANT;
    const bool equal_constant = out->kind == VEC_CONSTANT;
    uint8_t *r = out->data;
    const uint8_t first = r[0];
    const bool first_null = vec_is_null(out, 0);
    const uint64_t *nulls = out->nulls;
    for (uint32_t i = 0; i < (constant ? 1 : n); i++) {
        uint32_t row = constant ? 0 : sel_row(sel, i);
        bool unknown = equal_constant ? first_null : nulls != NULL && (nulls[row / 64] >> (row % 64) & 1);
        bool same = unknown ? vec_is_null(c.a, row) && vec_is_null(c.b, row)
                            : (equal_constant ? first : r[row]) != 0;
        r[row] = same == negated;
    }
    out->nulls = NULL;
    out->kind = constant ? VEC_CONSTANT : VEC_FLAT;
    s->steps[id].v = out;
    return ST_OK;
}

/* Its own vector has another type than "=": the answers go to a vector of their own. */
static Status equal_vector(ExprState *s, StepState *state)
{
    if (state->equal != NULL) {
        vec_reset(state->equal);
        return ST_OK;
    }
    Vector *v = ARENA_NEW(s->arena, Vector);
    if (v == NULL || !vec_init(v, P_BOOL, s->capacity, s->arena)) {
        return ctx_nomem(s->cx, s->capacity);
    }
    state->equal = v;
    return ST_OK;
}

static void null_where_equal(Vector *out, const Vector *equal, const uint16_t *sel, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (!vec_is_null(equal, row) && *(const uint8_t *)vec_at(equal, row) != 0) {
            vec_set_null(out, row);
        }
    }
}

Status eval_nullif(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    StepState *state = &s->steps[id];
    const Vector *value;
    Vector *out = NULL;
    Compared c;
    Status st = equal_vector(s, state);
    if (st == ST_OK) {
        st = compare(s, id, sel, n, state->equal, &c);
    }
    if (st == ST_OK) {
        st = step_eval(s, s->program->steps[id].args[2], sel, n, &value);
    }
    if (st == ST_OK) {
        st = step_output(s, id, &out);
    }
    if (st != ST_OK) {
        return st;
    }
    bool constant = value->kind == VEC_CONSTANT && state->equal->kind == VEC_CONSTANT;
    if (constant) {
        sel = NULL;
        n = 1;
    }
    merge_rows(out, value, sel, n);
    null_where_equal(out, state->equal, sel, n);
    out->kind = constant ? VEC_CONSTANT : VEC_FLAT;
    state->v = out;
    return ST_OK;
}

/* ---- by the type's order ---- */

Status eval_min_max(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    CompareFn *compare_fn = type_compare(&t->type);
    const Vector *v;
    Vector *out;
    Status st = ST_OK;
    for (uint32_t i = 0; i < t->nargs && st == ST_OK; i++) {
        st = step_eval(s, t->args[i], sel, n, &v);
    }
    if (st == ST_OK) {
        st = step_output(s, id, &out);
    }
    if (st != ST_OK) {
        return st;
    }
    merge_rows(out, s->steps[t->args[0]].v, sel, n);
    const size_t width = phys_bytes((PhysType)t->type.phys);
    for (uint32_t k = 1; k < t->nargs; k++) {
        v = s->steps[t->args[k]].v;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = sel_row(sel, i);
            if (vec_is_null(v, row)) {
                continue; /* NULLs count only if there is nothing else */
            }
            int c = vec_is_null(out, row) ? 0 : compare_fn(&t->type, vec_at(v, row), vec_at(out, row));
            if (vec_is_null(out, row) || (t->op ? c < 0 : c > 0)) {
                memcpy(vec_at(out, row), vec_at(v, row), width);
                vec_set_not_null(out, row);
            }
        }
    }
    s->steps[id].v = out;
    return ST_OK;
}

/* Enters what a pair says; keeps in `left` the rows it leaves open. left may be sel. */
static uint32_t compare_pair(const ValueType *type, unsigned op, const Vector *a, const Vector *b, const uint16_t *sel,
                             uint32_t n, Vector *out, uint16_t *left)
{
    CompareFn *compare_fn = type_compare(type);
    const bool less_op = op == EXPR_ROW_LT || op == EXPR_ROW_LE;
    uint8_t *r = out->data;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (vec_is_null(a, row) || vec_is_null(b, row)) {
            vec_set_null(out, row);
            continue;
        }
        int c = compare_fn(type, vec_at(a, row), vec_at(b, row));
        r[row] = c == 0 ? op == EXPR_ROW_LE || op == EXPR_ROW_GE : (c < 0) == less_op;
        left[k] = (uint16_t)row;
        k += c == 0;
    }
    return k;
}

/* The first pair that differs decides, and one with a NULL makes the row unknown; later ones are not evaluated. */
Status eval_row_compare(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const uint32_t pairs = t->nargs / 2;
    const uint32_t mark = s->nsels;
    const uint32_t total = n;
    bool opened = false;
    const Vector *a;
    const Vector *b;
    Vector *out = NULL;
    uint16_t *left = sel_take(s);
    Status st = left != NULL ? step_output(s, id, &out) : ST_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < pairs && n > 0 && st == ST_OK; i++) {
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_eval(s, t->args[i], sel, n, &a);
        if (st == ST_OK) {
            st = step_eval(s, t->args[pairs + i], sel, n, &b);
        }
        if (st == ST_OK) {
            n = compare_pair(&t->expr->args[i]->type, t->op, a, b, sel, n, out, left);
            sel = left;
        }
    }
    if (opened) {
        scope_close(s);
    }
    s->nsels = mark;
    s->steps[id].v = out;
    return st;
}
