/*
 * expr/eval_bool.c: three-valued logic, and filters (see eval.h).
 *
 * Key idea: AND and OR are one algorithm. A row is *decided* by the first part that is false (AND) or true (OR); the
 * selection shrinks to the rows not decided. A row that met a NULL stays: a later part may still decide it.
 */
#include "expr/eval_int.h"

/* ---- AND, OR as values ---- */

/* Enters one part's results; keeps in `left` the rows not decided, and returns how many. left may be sel. */
static uint32_t enter(Vector *out, const Vector *v, uint8_t decisive, const uint16_t *sel, uint32_t n, uint16_t *left)
{
    uint8_t *r = out->data;
    const uint8_t *x = v->data;
    const uint32_t mask = vec_mask(v);
    uint32_t k = 0;
    if (v->nulls == NULL && out->nulls == NULL) {
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t row = sel_row(sel, i);
            const uint8_t value = x[row & mask] != 0;
            r[row] = value;
            left[k] = (uint16_t)row;
            k += value != decisive;
        }
        return k;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t row = sel_row(sel, i);
        left[k] = (uint16_t)row;
        if (vec_is_null(v, row)) {
            vec_set_null(out, row);
            k++;
        } else if ((x[row & mask] != 0) == decisive) {
            vec_set_not_null(out, row);
            r[row] = decisive;
        } else {
            r[row] = !decisive; /* under a null bit of an earlier part: stays unknown */
            k++;
        }
    }
    return k;
}

Status eval_and_or(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const uint8_t decisive = t->kind == STEP_OR;
    const uint32_t mark = s->nsels;
    const uint32_t total = n;
    bool opened = false;
    Vector *out = NULL;
    const Vector *v;
    uint16_t *left = sel_take(s);
    Status st = left != NULL ? step_output(s, id, &out) : ST_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < t->nargs && n > 0 && st == ST_OK; i++) {
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_eval(s, t->args[i], sel, n, &v);
        if (st == ST_OK) {
            n = enter(out, v, decisive, sel, n, left);
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

/* ---- tests of one value ---- */

/* The argument; for a constant one the result is made for row 0 alone and constant too. */
static Status unary(ExprState *s, uint32_t id, const uint16_t **io_sel, uint32_t *io_n, const Vector **v, Vector **out)
{
    const Step *t = &s->program->steps[id];
    Status st = step_eval(s, t->args[0], *io_sel, *io_n, v);
    if (st == ST_OK) {
        st = step_output(s, id, out);
    }
    if (st == ST_OK && (*v)->kind == VEC_CONSTANT) {
        (*out)->kind = VEC_CONSTANT;
        *io_sel = NULL;
        *io_n = 1;
    }
    if (st == ST_OK) {
        s->steps[id].v = *out;
    }
    return st;
}

Status eval_not(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Vector *v;
    Vector *out;
    Status st = unary(s, id, &sel, &n, &v, &out);
    if (st != ST_OK) {
        return st;
    }
    const uint8_t *x = v->data;
    uint8_t *r = out->data;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        r[row] = x[row] == 0;
    }
    out->nulls = v->nulls; /* the argument keeps its bits as long as its result is used */
    return ST_OK;
}

Status eval_null_test(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Vector *v;
    Vector *out;
    Status st = unary(s, id, &sel, &n, &v, &out);
    if (st != ST_OK) {
        return st;
    }
    uint8_t *r = out->data;
    const bool is_not = s->program->steps[id].op;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        r[row] = vec_is_null(v, row) != is_not;
    }
    return ST_OK;
}

Status eval_bool_test(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    /* By test: the results for false, true, unknown. */
    static const uint8_t table[][3] = {
        [EXPR_IS_TRUE] = {0, 1, 0},      [EXPR_IS_NOT_TRUE] = {1, 0, 1},  [EXPR_IS_FALSE] = {1, 0, 0},
        [EXPR_IS_NOT_FALSE] = {0, 1, 1}, [EXPR_IS_UNKNOWN] = {0, 0, 1},   [EXPR_IS_NOT_UNKNOWN] = {1, 1, 0},
    };
    const Vector *v;
    Vector *out;
    Status st = unary(s, id, &sel, &n, &v, &out);
    if (st != ST_OK) {
        return st;
    }
    const uint8_t *map = table[s->program->steps[id].op];
    const uint8_t *x = v->data;
    uint8_t *r = out->data;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        r[row] = map[vec_is_null(v, row) ? 2 : x[row] != 0];
    }
    return ST_OK;
}

/* ---- filters ---- */

/* The rows whose value is true. Branch-free: what passes is unpredictable. out may be sel. */
static uint32_t keep_true(const Vector *v, const uint16_t *sel, uint32_t n, uint16_t *out)
{
    const uint8_t *x = v->data;
    uint32_t k = 0;
    if (v->kind == VEC_CONSTANT) {
        bool all = !vec_is_null(v, 0) && x[0] != 0;
        for (uint32_t i = 0; i < n && all; i++) {
            out[i] = (uint16_t)sel_row(sel, i);
        }
        return all ? n : 0;
    }
    if (v->nulls == NULL && sel == NULL) {
        for (uint32_t i = 0; i < n; i++) {
            out[k] = (uint16_t)i;
            k += x[i] != 0;
        }
        return k;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        out[k] = (uint16_t)row;
        k += x[row] != 0 && !vec_is_null(v, row);
    }
    return k;
}

static Status filter_and(ExprState *s, const Step *t, const uint16_t *sel, uint32_t n, uint16_t *out, uint32_t *out_n)
{
    const uint32_t total = n;
    bool opened = false;
    Status st = ST_OK;
    for (uint32_t i = 0; i < t->nargs && n > 0 && st == ST_OK; i++) {
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_filter(s, t->args[i], sel, n, out, &n);
        sel = out;
    }
    if (opened) {
        scope_close(s);
    }
    *out_n = n;
    return st;
}

/* Ascending union of two disjoint lists, b and out may not overlap. */
static uint32_t merge_lists(const uint16_t *a, uint32_t na, const uint16_t *b, uint32_t nb, uint16_t *out)
{
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < na || j < nb) {
        bool from_a = j == nb || (i < na && a[i] < b[j]);
        out[i + j] = from_a ? a[i] : b[j];
        i += from_a;
        j += !from_a;
    }
    return na + nb;
}

/* Rows that are true by one part leave the selection of the next; what passed is gathered in `passed`. */
static Status filter_or(ExprState *s, const Step *t, const uint16_t *sel, uint32_t n, uint16_t *out, uint32_t *out_n)
{
    const uint32_t mark = s->nsels;
    const uint32_t total = n;
    uint16_t *left = sel_take(s);
    uint16_t *hit = left != NULL ? sel_take(s) : NULL;
    uint16_t *passed = hit != NULL ? sel_take(s) : NULL;
    uint16_t *merged = passed != NULL ? sel_take(s) : NULL;
    uint32_t npassed = 0;
    bool opened = false;
    Status st = merged != NULL ? ST_OK : ST_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < t->nargs && n > 0 && st == ST_OK; i++) {
        uint32_t nhit = 0;
        if (n < total && !opened) {
            scope_open(s);
            opened = true;
        }
        st = step_filter(s, t->args[i], sel, n, hit, &nhit);
        if (st != ST_OK) {
            break;
        }
        n = sel_without(sel, n, hit, nhit, left);
        sel = left;
        npassed = merge_lists(passed, npassed, hit, nhit, merged);
        uint16_t *swap = passed;
        passed = merged;
        merged = swap;
    }
    if (opened) {
        scope_close(s);
    }
    if (st == ST_OK) {
        memcpy(out, passed, npassed * sizeof *out);
        *out_n = npassed;
    }
    s->nsels = mark;
    return st;
}

Status step_filter(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n, uint16_t *out_sel, uint32_t *out_n)
{
    const Step *t = &s->program->steps[id];
    const Vector *v;
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(s->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    if (t->kind == STEP_AND && !t->row_free) {
        return filter_and(s, t, sel, n, out_sel, out_n);
    }
    if (t->kind == STEP_OR && !t->row_free) {
        return filter_or(s, t, sel, n, out_sel, out_n);
    }
    Status st = step_eval(s, id, sel, n, &v);
    if (st == ST_OK) {
        *out_n = keep_true(v, sel, n, out_sel);
    }
    return st;
}
