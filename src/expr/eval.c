/*
 * expr/eval.c: states, and the evaluation of steps that do the same for every row they are asked for (see eval.h).
 */
#include "expr/eval_int.h"

enum { SCRATCH_BYTES = 4096 };

/* ---- states ---- */

static Status init_columns(ExprState *s)
{
    const ExprProgram *p = s->program;
    s->steps = ARENA_ARRAY(s->arena, StepState, p->nsteps);
    s->argv = ARENA_ARRAY(s->arena, const Vector *, p->args_max);
    s->scopes = ARENA_ARRAY(s->arena, uint64_t, p->depth_max + 1);
    s->sels_max = 4 * (p->depth_max + 1);
    s->sels = ARENA_ARRAY(s->arena, uint16_t *, s->sels_max);
    if (s->steps == NULL || s->argv == NULL || s->scopes == NULL || s->sels == NULL) {
        return ctx_nomem(s->cx, p->nsteps * sizeof *s->steps);
    }
    return ST_OK;
}

Status expr_state_new(Ctx *cx, const ExprProgram *p, const ExprEnv *env, uint32_t capacity, Arena *arena,
                      ExprState **out)
{
    ASSERT(capacity > 0 && capacity <= VECTOR_SIZE);
    ExprState *s = ARENA_NEW(arena, ExprState);
    if (s == NULL) {
        return ctx_nomem(cx, sizeof *s);
    }
    s->cx = cx;
    s->program = p;
    s->env = env;
    s->capacity = capacity;
    s->arena = arena;
    s->env_serial = 1;
    arena_init(&s->scratch, arena->budget, SCRATCH_BYTES);
    s->fx = (FnCtx){.cx = cx, .arena = &s->scratch, .facts = env->facts, .site_arena = arena};
    Status st = init_columns(s);
    if (st == ST_OK) {
        *out = s;
    }
    return st;
}

void expr_state_free(ExprState *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->program->nsteps; i++) {
        const Step *t = &s->program->steps[i];
        if (t->has_site) {
            fn_site_free(&t->expr->u.call->call, &s->steps[i].site);
        }
        vec_done(s->steps[i].own);
        vec_done(s->steps[i].equal);
        in_set_free(s->steps[i].in);
    }
    arena_done(&s->scratch);
}

void expr_params_changed(ExprState *s)
{
    s->env_serial++;
    s->fx.facts = s->env->facts;
}

uint32_t expr_error_row(const ExprState *s) { return s->error_row; }

/* ---- buffers ---- */

uint16_t *sel_take(ExprState *s)
{
    ASSERT(s->nsels < s->sels_max);
    uint16_t **buffer = &s->sels[s->nsels];
    if (*buffer == NULL) {
        *buffer = ARENA_ARRAY(s->arena, uint16_t, s->capacity);
        if (*buffer == NULL) {
            (void)ctx_nomem(s->cx, s->capacity * sizeof(uint16_t));
            return NULL;
        }
    }
    s->nsels++;
    return *buffer;
}

static Status own_vector(ExprState *s, uint32_t id, uint32_t capacity)
{
    StepState *t = &s->steps[id];
    Vector *v = ARENA_NEW(s->arena, Vector);
    if (v == NULL || !vec_init(v, (PhysType)s->program->steps[id].type.phys, capacity, s->arena)) {
        return ctx_nomem(s->cx, capacity * sizeof(uint64_t));
    }
    t->own = v;
    t->batch = s->batch;
    return ST_OK;
}

Status step_output(ExprState *s, uint32_t id, Vector **out)
{
    StepState *t = &s->steps[id];
    if (t->own == NULL) {
        Status st = own_vector(s, id, s->capacity);
        if (st != ST_OK) {
            return st;
        }
    } else if (t->batch != s->batch) {
        vec_reset(t->own);
        t->batch = s->batch;
    } else { /* made in this batch for other rows: views of its strings may be in use, so the heap stays */
        t->own->kind = VEC_FLAT;
        t->own->nulls = NULL;
        t->own->data = t->own->own_data;
    }
    *out = t->own;
    return ST_OK;
}

uint32_t sel_without(const uint16_t *sel, uint32_t n, const uint16_t *taken, uint32_t ntaken, uint16_t *out)
{
    uint32_t k = 0;
    uint32_t t = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t row = (uint16_t)sel_row(sel, i);
        if (t < ntaken && taken[t] == row) {
            t++;
        } else {
            out[k++] = row;
        }
    }
    return k;
}

#define MERGE(T)                                                                                                       \
    {                                                                                                                  \
        T *to = out->data;                                                                                             \
        const T *in = from->data;                                                                                      \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            const uint32_t row = sel_row(sel, i);                                                                      \
            to[row] = in[row & mask];                                                                                  \
        }                                                                                                              \
        break;                                                                                                         \
    }

void merge_rows(Vector *out, const Vector *from, const uint16_t *sel, uint32_t n)
{
    const uint32_t mask = vec_mask(from);
    switch (phys_bytes((PhysType)out->phys)) {
    case 1: MERGE(uint8_t)
    case 2: MERGE(uint16_t)
    case 4: MERGE(uint32_t)
    case 8: MERGE(uint64_t)
    default: MERGE(Int128)
    }
    for (uint32_t i = 0; i < n && from->nulls != NULL; i++) {
        uint32_t row = sel_row(sel, i);
        if (vec_is_null(from, row)) {
            vec_set_null(out, row);
        }
    }
}

/* ---- steps ---- */

/* V3: the result was made in a scope that is still open, or serves the whole execution. */
static inline bool step_is_fresh(const ExprState *s, const Step *t, const StepState *state)
{
    if (t->row_free) {
        return state->env == s->env_serial;
    }
    return state->serial != 0 && state->depth <= s->depth && s->scopes[state->depth] == state->serial;
}

static bool all_constant(const Vector *const *args, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->kind != VEC_CONSTANT) {
            return false;
        }
    }
    return true;
}

Status step_invoke(ExprState *s, uint32_t id, const FnCall *call, const Vector *const *args, uint32_t nargs,
                   const uint16_t *sel, uint32_t n, Vector *out)
{
    s->fx.site = s->program->steps[id].has_site ? &s->steps[id].site : NULL;
    Status st = fn_invoke(&s->fx, call, args, sel, n, out);
    if (UNLIKELY(st != ST_OK)) {
        /* Calls on constants run for row 0, whichever rows asked. */
        s->error_row = all_constant(args, nargs) ? sel_row(sel, 0) : s->fx.error_row;
    }
    return st;
}

static Status eval_call(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const Vector *v;
    Vector *out = NULL;
    for (uint32_t i = 0; i < t->nargs; i++) {
        Status st = step_eval(s, t->args[i], sel, n, &v);
        if (st != ST_OK) {
            return st;
        }
    }
    for (uint32_t i = 0; i < t->nargs; i++) { /* only now: arguments of arguments use argv too */
        s->argv[i] = s->steps[t->args[i]].v;
    }
    Status st = step_output(s, id, &out);
    if (st == ST_OK) {
        st = step_invoke(s, id, &t->expr->u.call->call, s->argv, t->nargs, sel, n, out);
    }
    s->steps[id].v = out;
    return st;
}

static Status set_constant(ExprState *s, uint32_t id, const void *value)
{
    StepState *t = &s->steps[id];
    Status st = t->own == NULL ? own_vector(s, id, 1) : ST_OK;
    if (st == ST_OK && !vec_set_constant(t->own, value)) {
        st = ctx_nomem(s->cx, value != NULL ? ((const StrView *)value)->len : 0);
    }
    t->v = t->own;
    return st;
}

static Status eval_param(ExprState *s, uint32_t id)
{
    const Expr *e = s->program->steps[id].expr;
    bool is_extern = e->op == EXPR_PARAM_EXTERN;
    uint32_t i = is_extern ? e->u.number - 1 : e->u.number;
    if (i >= (is_extern ? s->env->nparams : s->env->nexec)) {
        return err_set(s->cx->err, is_extern ? ST_UNDEFINED_OBJECT : ST_INTERNAL, "no value found for parameter %u",
                       e->u.number);
    }
    const ExprParam *p = is_extern ? &s->env->params[i] : &s->env->exec[i];
    return set_constant(s, id, p->is_null ? NULL : &p->value);
}

static Status dispatch(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    switch ((StepKind)t->kind) {
    case STEP_CONST: return set_constant(s, id, t->expr->u.value);
    case STEP_COLUMN: s->steps[id].v = &s->chunk->columns[t->column]; return ST_OK;
    case STEP_PARAM: return eval_param(s, id);
    case STEP_CALL: return eval_call(s, id, sel, n);
    case STEP_AND:
    case STEP_OR: return eval_and_or(s, id, sel, n);
    case STEP_NOT: return eval_not(s, id, sel, n);
    case STEP_NULL_TEST: return eval_null_test(s, id, sel, n);
    case STEP_BOOL_TEST: return eval_bool_test(s, id, sel, n);
    case STEP_DISTINCT: return eval_distinct(s, id, sel, n);
    case STEP_CASE: return eval_case(s, id, sel, n);
    case STEP_COALESCE: return eval_coalesce(s, id, sel, n);
    case STEP_NULLIF: return eval_nullif(s, id, sel, n);
    case STEP_MIN_MAX: return eval_min_max(s, id, sel, n);
    case STEP_IN: return eval_in(s, id, sel, n);
    case STEP_LIKE: return eval_like(s, id, sel, n);
    case STEP_ROW_COMPARE: return eval_row_compare(s, id, sel, n);
    }
    UNREACHABLE();
}

/* The same for all rows: made once, for a row 0 of its own. */
static Status eval_row_free(ExprState *s, uint32_t id, const uint16_t *sel)
{
    StepState *state = &s->steps[id];
    Status st = dispatch(s, id, NULL, 1);
    if (st != ST_OK) {
        s->error_row = sel_row(sel, 0);
        return st;
    }
    if (state->v == state->own) {
        state->own->kind = VEC_CONSTANT;
    }
    state->env = s->env_serial;
    return ST_OK;
}

Status step_eval(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n, const Vector **out)
{
    const Step *t = &s->program->steps[id];
    StepState *state = &s->steps[id];
    ASSERT_SLOW(n > 0);
    if (!step_is_fresh(s, t, state)) {
        if (UNLIKELY(!os_stack_ok(OS_STACK_RESERVE))) {
            return err_set(s->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
        }
        Status st = t->row_free ? eval_row_free(s, id, sel) : dispatch(s, id, sel, n);
        if (st != ST_OK) {
            return st;
        }
        state->serial = s->scopes[s->depth];
        state->depth = s->depth;
    }
    *out = state->v;
    return ST_OK;
}

/* ---- batches ---- */

static Status begin(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n)
{
    ASSERT(sel_bound(sel, n) <= s->capacity);
    ASSERT(chunk == NULL ? s->program->ncolumns == 0 : chunk->ncolumns >= s->program->ncolumns);
    Status st = ctx_poll(s->cx);
    arena_reset(&s->scratch);
    s->chunk = chunk;
    s->batch++;
    s->depth = 0;
    s->nsels = 0;
    s->scopes[0] = ++s->serial;
    return st;
}

Status expr_project(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, const Vector **out)
{
    Status st = begin(s, chunk, sel, n);
    for (uint32_t i = 0; i < s->program->nroots && n > 0 && st == ST_OK; i++) {
        st = step_eval(s, s->program->roots[i], sel, n, &out[i]);
    }
    return st;
}

Status expr_eval(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, const Vector **out)
{
    Status st = begin(s, chunk, sel, n);
    return st == ST_OK && n > 0 ? step_eval(s, s->program->roots[0], sel, n, out) : st;
}

Status expr_filter(ExprState *s, const Chunk *chunk, const uint16_t *sel, uint32_t n, uint16_t *out_sel,
                   uint32_t *out_n)
{
    Status st = begin(s, chunk, sel, n);
    if (st == ST_OK && n == 0) {
        *out_n = 0;
        return ST_OK;
    }
    return st == ST_OK ? step_filter(s, s->program->roots[0], sel, n, out_sel, out_n) : st;
}
