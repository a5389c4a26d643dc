/*
 * expr/eval_like.c: LIKE with a constant pattern (see eval.h).
 *
 * Key idea: the pattern is compiled with the program, by the code that also tests it on table pages, so a filter
 * cannot depend on where it runs. Patterns that are a literal with % at its ends need no matcher at all.
 */
#include "expr/eval_int.h"

/* The first four bytes of a value as a number, zero padded (V1 of value.h). */
static inline uint32_t head(const StrView *v) { return load_u32(v->prefix); }

/* Branch-free for prefixes of up to four bytes: whether they match is unpredictable. */
static inline bool has_prefix(const StrView *v, const Str *prefix, uint32_t want, uint32_t mask)
{
    bool starts = (((head(v) ^ want) & mask) == 0) & (v->len >= prefix->len);
    if (prefix->len <= sizeof want) {
        return starts;
    }
    return starts && memcmp(strview_ptr(v), prefix->p, prefix->len) == 0;
}

static void match_prefix(const HeapLike *like, uint8_t negated, const Vector *v, const uint16_t *sel, uint32_t n,
                         uint8_t *r)
{
    const StrView *x = v->data;
    const size_t len = like->text.len < sizeof(uint32_t) ? like->text.len : sizeof(uint32_t);
    uint32_t want = 0;
    memcpy(&want, like->text.p, len);
    const uint32_t mask = (uint32_t)((UINT64_C(1) << (8 * len)) - 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (!vec_is_null(v, row)) {
            r[row] = has_prefix(&x[row], &like->text, want, mask) != negated;
        }
    }
}

Status eval_like(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const Vector *v;
    Vector *out;
    Status st = step_eval(s, t->args[0], sel, n, &v);
    if (st == ST_OK) {
        st = step_output(s, id, &out);
    }
    if (st != ST_OK) {
        return st;
    }
    if (v->kind == VEC_CONSTANT) {
        out->kind = VEC_CONSTANT;
        sel = NULL;
        n = 1;
    }
    uint8_t *r = out->data;
    if (t->like->kind == HEAP_LIKE_PREFIX) {
        match_prefix(t->like, t->op, v, sel, n, r);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = sel_row(sel, i);
            if (!vec_is_null(v, row)) {
                const StrView *x = (const StrView *)v->data + row;
                r[row] = heap_like_match(t->like, strview_ptr(x), x->len) != t->op;
            }
        }
    }
    out->nulls = v->nulls; /* the argument keeps its bits as long as its result is used */
    s->steps[id].v = out;
    return ST_OK;
}
