/*
 * types/agg.c: aggregate functions (see agg.h).
 *
 * Families share a state: counts; exact sums (IntSum for integers, NumSum for numeric) from which sum, avg, variance
 * and stddev are computed with PostgreSQL's scales; FloatSum after Youngs and Cramer; the extreme value; bits; bytes
 * (string_agg); elements (array_agg).
 */
#include "types/agg.h"

#include <math.h>

#include "types/array.h"
#include "types/datetime.h"
#include "types/kernels.h"
#include "types/num_kernels.h"
#include "types/num_limbs.h"

typedef enum What { W_SUM, W_AVG, W_VAR_POP, W_VAR_SAMP, W_STD_POP, W_STD_SAMP, W_MIN, W_MAX, W_AND, W_OR, W_XOR } What;

struct AggDef {
    const char *name;
    What what;
    uint16_t state_bytes;
    bool takes_nulls;
    Status (*update)(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args, uint32_t row);
    Status (*combine)(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from);
    /* *out_null set by the caller to false. */
    Status (*final)(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null);
    void (*save)(const AggCall *c, const void *state, StrBuf *out);                    /* NULL: plain bytes */
    Status (*load)(FnCtx *fx, const AggCall *c, Arena *arena, Str bytes, void *state); /* NULL: plain bytes */
    /* All rows without nulls into one state; NULL = row by row. */
    void (*update_all)(const AggCall *c, void *state, const Vector *arg, uint32_t n);
};

static Status sum_range(FnCtx *fx, const char *type)
{
    return err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type);
}

/* ---- count ---- */

static Status count_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                           uint32_t row)
{
    (void)fx, (void)c, (void)arena, (void)args, (void)row;
    ++*(int64_t *)state;
    return ST_OK;
}
static Status count_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    (void)fx, (void)c, (void)arena;
    *(int64_t *)into += *(const int64_t *)from;
    return ST_OK;
}
static Status count_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    (void)fx, (void)c, (void)heap, (void)out_null;
    *(int64_t *)out = *(const int64_t *)state;
    return ST_OK;
}
static void count_all(const AggCall *c, void *state, const Vector *arg, uint32_t n)
{
    (void)c, (void)arg;
    *(int64_t *)state += n;
}

/* ---- exact sums: integers and fixed-form numeric ---- */

/* Sums cannot overflow: 2^63 values of 2^63. Squares are kept of up to 64-bit values, in 128 bits unsigned + carry. */
typedef struct IntSum {
    Int128 sum;
    UInt128 squares_low;
    uint64_t squares_high;
    int64_t count;
    int64_t nans;
} IntSum;

static Int128 int_value(const ValueType *t, const void *v)
{
    switch (t->phys) {
    case P_I16: return *(const int16_t *)v;
    case P_I32: return *(const int32_t *)v;
    default: return *(const int64_t *)v;
    }
}

static Status int_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                         uint32_t row)
{
    IntSum *s = state;
    const void *p = vec_at(args[0], row);
    (void)fx, (void)arena;
    s->count++;
    if (c->args[0].oid == OID_NUMERIC && *(const int64_t *)p == NUM_NAN_I64) {
        s->nans++;
        return ST_OK;
    }
    Int128 v = int_value(&c->args[0], p);
    s->sum += v;
    if (c->def->what >= W_VAR_POP) {
        UInt128 square = (UInt128)(v * v);
        s->squares_low += square;
        s->squares_high += s->squares_low < square;
    }
    return ST_OK;
}

/* The hot loops: a whole vector into one state, with the compiler's vectorizer. */
static void int_all(const AggCall *c, void *state, const Vector *arg, uint32_t n)
{
    IntSum *s = state;
    int64_t part = 0;
    s->count += n;
    if (c->args[0].phys == P_I16) {
        for (uint32_t i = 0; i < n; i++) {
            part += ((const int16_t *)arg->data)[i];
        }
        s->sum += part;
    } else if (c->args[0].phys == P_I32) {
        for (uint32_t i = 0; i < n; i++) {
            part += ((const int32_t *)arg->data)[i];
        }
        s->sum += part;
    } else if (c->args[0].oid == OID_INT8) {
        /* High and low halves apart: neither overflows in a batch, and both vectorize. */
        const int64_t *v = arg->data;
        int64_t high = 0;
        uint64_t low = 0;
        for (uint32_t i = 0; i < n; i++) {
            high += v[i] >> 32;
            low += (uint32_t)v[i];
        }
        s->sum += (Int128)high * ((Int128)1 << 32) + (Int128)low;
    } else {
        const int64_t *v = arg->data;
        int64_t high = 0;
        uint64_t low = 0;
        int64_t nans = 0;
        for (uint32_t i = 0; i < n; i++) {
            int64_t x = v[i] == NUM_NAN_I64 ? 0 : v[i];
            nans += v[i] == NUM_NAN_I64;
            high += x >> 32;
            low += (uint32_t)x;
        }
        s->sum += (Int128)high * ((Int128)1 << 32) + (Int128)low;
        s->nans += nans;
    }
}

static Status int_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    IntSum *a = into;
    const IntSum *b = from;
    (void)fx, (void)c, (void)arena;
    a->sum += b->sum;
    a->squares_low += b->squares_low;
    a->squares_high += b->squares_high + (a->squares_low < b->squares_low);
    a->count += b->count;
    a->nans += b->nans;
    return ST_OK;
}

/* variance and stddev of exact sums: PostgreSQL's numeric_stddev_internal. */
static Status variance(FnCtx *fx, What what, int64_t count, const Num *sum, const Num *squares, Num *out,
                       bool *out_null)
{
    Ctx *cx = fx->cx;
    Arena *a = fx->arena;
    bool sample = what == W_VAR_SAMP || what == W_STD_SAMP;
    if (count == 0 || (sample && count == 1)) {
        *out_null = true;
        return ST_OK;
    }
    if (num_is_special(sum) || num_is_special(squares)) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    Num n, m, sum2, n_squares, top, below;
    Status st = num_from_i128(cx, a, count, 0, &n);
    st = st != ST_OK ? st : num_from_i128(cx, a, sample ? count - 1 : count, 0, &m);
    st = st != ST_OK ? st : num_mul(cx, a, sum, sum, &sum2);
    st = st != ST_OK ? st : num_mul(cx, a, &n, squares, &n_squares);
    st = st != ST_OK ? st : num_sub(cx, a, &n_squares, &sum2, &top);
    st = st != ST_OK ? st : num_mul(cx, a, &n, &m, &below);
    if (st != ST_OK) {
        return st;
    }
    if (num_sign(&top) <= 0) {
        *out = num_zero(0);
        return ST_OK;
    }
    Num quotient;
    int rscale = num_div_rscale(&top, &below);
    st = num_div_scale(cx, a, &top, &below, rscale, true, &quotient);
    if (st != ST_OK || what == W_VAR_POP || what == W_VAR_SAMP) {
        *out = quotient;
        return st;
    }
    return num_sqrt_scale(cx, a, &quotient, rscale, out);
}

static Status average(FnCtx *fx, const Num *sum, int64_t count, Num *out)
{
    Num n;
    Status st = num_from_i128(fx->cx, fx->arena, count, 0, &n);
    return st != ST_OK ? st : num_div(fx->cx, fx->arena, sum, &n, out);
}

/* 2^128 * high + low as a number at scale 2s. */
static Status squares_num(FnCtx *fx, const IntSum *s, int scale, Num *out)
{
    Ctx *cx = fx->cx;
    Arena *a = fx->arena;
    Num two64, part[4], t, u;
    uint64_t words[4] = {0, s->squares_high, (uint64_t)(s->squares_low >> 64), (uint64_t)s->squares_low};
    Status st = num_from_i128(cx, a, (Int128)1 << 64, 0, &two64);
    Num r = num_zero(0);
    for (int i = 0; i < 4 && st == ST_OK; i++) {
        st = num_from_i128(cx, a, words[i], 0, &part[i]);
        st = st != ST_OK ? st : num_mul(cx, a, &r, &two64, &t);
        st = st != ST_OK ? st : num_add(cx, a, &t, &part[i], &u);
        r = u;
    }
    if (st == ST_OK && scale > 0) {
        Num unit;
        st = num_from_i128(cx, a, 1, 2 * scale, &unit);
        st = st != ST_OK ? st : num_mul(cx, a, &r, &unit, &t);
        r = t;
    }
    *out = r;
    return st;
}

static Status int_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const IntSum *s = state;
    int scale = c->args[0].scale;
    Num sum, squares, r;
    if (s->count == 0) {
        *out_null = true;
        return ST_OK;
    }
    if (c->result.oid == OID_INT8) { /* sum(int2), sum(int4) */
        if (s->sum > INT64_MAX || s->sum < INT64_MIN) {
            return sum_range(fx, "bigint");
        }
        *(int64_t *)out = (int64_t)s->sum;
        return ST_OK;
    }
    Status st = ST_OK;
    if (s->nans > 0) {
        sum = squares = num_special(NUM_NAN);
    } else {
        st = num_from_i128(fx->cx, fx->arena, s->sum, scale, &sum);
    }
    if (st == ST_OK && c->def->what >= W_VAR_POP) {
        st = s->nans > 0 ? ST_OK : squares_num(fx, s, scale, &squares);
        st = st != ST_OK ? st : variance(fx, c->def->what, s->count, &sum, &squares, &r, out_null);
    } else if (st == ST_OK) {
        r = sum;
        st = c->def->what == W_AVG ? average(fx, &sum, s->count, &r) : ST_OK;
    }
    return st != ST_OK || *out_null ? st : num_store(fx->cx, heap, &c->result, &r, out);
}

/* ---- numeric of any form ---- */

/* A growing number: its limbs live in a buffer of the state's arena, doubled when too small. */
typedef struct Total {
    uint32_t *limbs;
    uint32_t n;
    uint32_t cap;
    int32_t weight;
    int32_t dscale;
    uint32_t kind;
    uint32_t unused;
} Total;

typedef struct NumSum {
    Total sum;
    Total squares;
    int64_t count;
    int64_t nans;
    int64_t infs;
    int64_t neg_infs;
} NumSum;

static Num total_num(const Total *t)
{
    return (Num){.kind = (NumKind)t->kind, .dscale = t->dscale, .weight = t->weight, .n = t->n, .limbs = t->limbs};
}

static Status total_add(FnCtx *fx, Arena *arena, Total *t, const Num *v)
{
    Num have = total_num(t);
    Num sum;
    Status st = num_add(fx->cx, fx->arena, &have, v, &sum);
    if (st != ST_OK) {
        return st;
    }
    if (sum.n > t->cap) {
        uint32_t cap = sum.n * 2 < 8 ? 8 : sum.n * 2;
        uint32_t *limbs = arena_alloc(arena, cap * sizeof *limbs);
        if (limbs == NULL) {
            return ctx_nomem(fx->cx, cap * sizeof *limbs);
        }
        t->limbs = limbs;
        t->cap = cap;
    }
    if (sum.n > 0) {
        memmove(t->limbs, sum.limbs, sum.n * sizeof *sum.limbs);
    }
    t->n = sum.n;
    t->weight = sum.weight;
    t->dscale = sum.dscale;
    t->kind = sum.kind;
    return ST_OK;
}

static Status num_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                         uint32_t row)
{
    NumSum *s = state;
    Num v;
    Num square;
    ArenaMark mark = arena_mark(fx->arena);
    Status st = num_load(fx->cx, fx->arena, &c->args[0], vec_at(args[0], row), &v);
    if (st != ST_OK) {
        return st;
    }
    s->count++;
    if (num_is_special(&v)) {
        s->nans += v.kind == NUM_NAN;
        s->infs += v.kind == NUM_INF;
        s->neg_infs += v.kind == NUM_NEG_INF;
        return ST_OK;
    }
    st = total_add(fx, arena, &s->sum, &v);
    if (st == ST_OK && c->def->what >= W_VAR_POP) {
        st = num_mul(fx->cx, fx->arena, &v, &v, &square);
        st = st != ST_OK ? st : total_add(fx, arena, &s->squares, &square);
    }
    if (arena != fx->arena) {
        arena_rewind(fx->arena, mark);
    }
    return st;
}

static Status num_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    NumSum *a = into;
    const NumSum *b = from;
    Num sum = total_num(&b->sum);
    Num squares = total_num(&b->squares);
    (void)c;
    a->count += b->count;
    a->nans += b->nans;
    a->infs += b->infs;
    a->neg_infs += b->neg_infs;
    Status st = total_add(fx, arena, &a->sum, &sum);
    return st != ST_OK ? st : total_add(fx, arena, &a->squares, &squares);
}

static Status num_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const NumSum *s = state;
    Num sum = total_num(&s->sum);
    Num squares = total_num(&s->squares);
    Num r;
    Status st = ST_OK;
    if (s->count == 0) {
        *out_null = true;
        return ST_OK;
    }
    bool special = s->nans + s->infs + s->neg_infs > 0;
    if (special) {
        bool nan = s->nans > 0 || (s->infs > 0 && s->neg_infs > 0) || c->def->what >= W_VAR_POP;
        sum = num_special(nan ? NUM_NAN : s->infs > 0 ? NUM_INF : NUM_NEG_INF);
    }
    if (c->def->what >= W_VAR_POP) {
        st = variance(fx, c->def->what, s->count, &sum, &squares, &r, out_null);
    } else if (c->def->what == W_AVG) {
        st = average(fx, &sum, s->count, &r);
    } else {
        r = sum;
    }
    return st != ST_OK || *out_null ? st : num_store(fx->cx, heap, &c->result, &r, out);
}

static void num_save(const AggCall *c, const void *state, StrBuf *out)
{
    const NumSum *s = state;
    (void)c;
    strbuf_append(out, s, sizeof *s);
    strbuf_append(out, s->sum.limbs, s->sum.n * sizeof(uint32_t));
    strbuf_append(out, s->squares.limbs, s->squares.n * sizeof(uint32_t));
}

static Status num_load_state(FnCtx *fx, const AggCall *c, Arena *arena, Str bytes, void *state)
{
    NumSum *s = state;
    (void)c;
    ASSERT(bytes.len >= sizeof *s);
    memcpy(s, bytes.p, sizeof *s);
    Total *totals[2] = {&s->sum, &s->squares};
    const char *p = bytes.p + sizeof *s;
    for (int i = 0; i < 2; i++) {
        size_t len = totals[i]->n * sizeof(uint32_t);
        ASSERT((size_t)(p - bytes.p) + len <= bytes.len);
        totals[i]->limbs = arena_copy(arena, p, len);
        totals[i]->cap = totals[i]->n;
        if (totals[i]->limbs == NULL) {
            return ctx_nomem(fx->cx, len);
        }
        p += len;
    }
    return ST_OK;
}

/* ---- floats ---- */

typedef struct FloatSum {
    double n;
    double sum; /* sum(float4) adds in float4, as PostgreSQL does */
    double sxx;
} FloatSum;

static Status float_overflow(FnCtx *fx)
{
    return err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
}

static Status float_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                           uint32_t row)
{
    FloatSum *s = state;
    (void)arena;
    const void *p = vec_at(args[0], row);
    double v = c->args[0].oid == OID_FLOAT4 ? (double)*(const float *)p : *(const double *)p;
    double n = s->n;
    double sum = s->sum + v;
    s->n += 1;
    if (c->def->what == W_SUM) {
        sum = c->args[0].oid == OID_FLOAT4 ? (double)((float)s->sum + (float)v) : sum;
        if (isinf(sum) && !isinf(s->sum) && !isinf(v)) {
            return float_overflow(fx);
        }
        s->sum = n == 0 ? v : sum;
        return ST_OK;
    }
    if (n > 0) {
        double t = v * s->n - sum;
        s->sxx += t * t / (s->n * n);
        if (isinf(sum) || isinf(s->sxx)) {
            if (!isinf(s->sum) && !isinf(v)) {
                return float_overflow(fx);
            }
            s->sxx = NAN;
        }
    } else if (isnan(v) || isinf(v)) {
        s->sxx = NAN;
    }
    s->sum = sum;
    return ST_OK;
}

static Status float_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    FloatSum *a = into;
    const FloatSum *b = from;
    (void)arena;
    if (a->n == 0 || b->n == 0) {
        *a = a->n == 0 ? *b : *a;
        return ST_OK;
    }
    double n = a->n + b->n;
    double sum = c->def->what == W_SUM && c->args[0].oid == OID_FLOAT4 ? (double)((float)a->sum + (float)b->sum)
                                                                       : a->sum + b->sum;
    if (isinf(sum) && !isinf(a->sum) && !isinf(b->sum)) {
        return float_overflow(fx);
    }
    double t = a->sum / a->n - b->sum / b->n;
    a->sxx += b->sxx + a->n * b->n * t * t / n;
    a->n = n;
    a->sum = sum;
    return ST_OK;
}

static Status float_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const FloatSum *s = state;
    (void)fx, (void)heap;
    bool sample = c->def->what == W_VAR_SAMP || c->def->what == W_STD_SAMP;
    double r;
    if (s->n == 0 || (sample && s->n <= 1)) {
        *out_null = true;
        return ST_OK;
    }
    switch (c->def->what) {
    case W_SUM: r = s->sum; break;
    case W_AVG: r = s->sum / s->n; break;
    case W_VAR_POP: r = s->sxx / s->n; break;
    case W_VAR_SAMP: r = s->sxx / (s->n - 1); break;
    case W_STD_POP: r = sqrt(s->sxx / s->n); break;
    default: r = sqrt(s->sxx / (s->n - 1)); break;
    }
    if (c->result.oid == OID_FLOAT4) {
        *(float *)out = (float)r;
    } else {
        *(double *)out = r;
    }
    return ST_OK;
}

/* ---- intervals ---- */

typedef struct SpanSum {
    Interval sum;
    int64_t count;
} SpanSum;

static Status span_add(FnCtx *fx, SpanSum *s, const Interval *v, int64_t count)
{
    if (__builtin_add_overflow(s->sum.time_us, v->time_us, &s->sum.time_us) ||
        __builtin_add_overflow(s->sum.days, v->days, &s->sum.days) ||
        __builtin_add_overflow(s->sum.months, v->months, &s->sum.months)) {
        return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "interval out of range");
    }
    s->count += count;
    return ST_OK;
}
static Status span_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                          uint32_t row)
{
    (void)c, (void)arena;
    return span_add(fx, state, vec_at(args[0], row), 1);
}
static Status span_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    (void)c, (void)arena;
    return span_add(fx, into, &((const SpanSum *)from)->sum, ((const SpanSum *)from)->count);
}
static Status span_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const SpanSum *s = state;
    (void)heap;
    *out_null = s->count == 0;
    if (s->count == 0 || c->def->what == W_SUM) {
        *(Interval *)out = s->sum;
        return ST_OK;
    }
    return interval_divide(&s->sum, (double)s->count, out)
               ? ST_OK
               : err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "interval out of range");
}

/* ---- the extreme value ---- */

typedef struct Extreme {
    uint64_t value[2] VALUE_ALIGNED;
    char *buf; /* of a long string: reused while it fits */
    uint32_t cap;
    bool any;
} Extreme;

static Status extreme_take(FnCtx *fx, const AggCall *c, Arena *arena, Extreme *s, const void *v)
{
    int sign = c->def->what == W_MIN ? -1 : 1;
    if (s->any && c->compare(&c->args[0], v, s->value) * sign <= 0) {
        return ST_OK;
    }
    s->any = true;
    if (c->args[0].phys != P_STR || ((const StrView *)v)->len <= STRVIEW_INLINE) {
        memcpy(s->value, v, phys_bytes((PhysType)c->args[0].phys));
        return ST_OK;
    }
    const StrView *str = v;
    if (str->len > s->cap) {
        uint32_t cap = str->len < 32 ? 64 : str->len * 2;
        char *buf = arena_alloc(arena, cap);
        if (buf == NULL) {
            return ctx_nomem(fx->cx, cap);
        }
        s->buf = buf;
        s->cap = cap;
    }
    memmove(s->buf, str->ptr, str->len);
    StrView kept = strview_make(s->buf, str->len);
    memcpy(s->value, &kept, sizeof kept);
    return ST_OK;
}
static Status extreme_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                             uint32_t row)
{
    return extreme_take(fx, c, arena, state, vec_at(args[0], row));
}
static Status extreme_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    const Extreme *b = from;
    return b->any ? extreme_take(fx, c, arena, into, b->value) : ST_OK;
}
static Status extreme_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const Extreme *s = state;
    *out_null = !s->any;
    if (s->any && c->result.phys == P_STR) {
        const StrView *v = (const StrView *)s->value;
        return heap_str(heap, strview_ptr(v), v->len, out) ? ST_OK : ctx_nomem(fx->cx, v->len);
    }
    memcpy(out, s->value, phys_bytes((PhysType)c->result.phys));
    return ST_OK;
}
static void extreme_save(const AggCall *c, const void *state, StrBuf *out)
{
    const Extreme *s = state;
    const StrView *v = (const StrView *)s->value;
    strbuf_append(out, s, sizeof *s);
    if (s->any && c->args[0].phys == P_STR) {
        strbuf_append(out, strview_ptr(v), v->len);
    }
}
static Status extreme_load(FnCtx *fx, const AggCall *c, Arena *arena, Str bytes, void *state)
{
    Extreme saved;
    Extreme *s = state;
    ASSERT(bytes.len >= sizeof saved);
    memcpy(&saved, bytes.p, sizeof saved);
    *s = (Extreme){0};
    if (!saved.any) {
        return ST_OK;
    }
    if (c->args[0].phys != P_STR) {
        memcpy(s->value, saved.value, sizeof s->value);
        s->any = true;
        return ST_OK;
    }
    StrView v = strview_make(bytes.p + sizeof saved, (uint32_t)(bytes.len - sizeof saved));
    return extreme_take(fx, c, arena, s, &v);
}

/* ---- booleans and bits ---- */

typedef struct Bits {
    uint64_t v;
    bool any;
} Bits;

static void bits_take(const AggCall *c, Bits *s, uint64_t v)
{
    s->v = !s->any ? v : c->def->what == W_AND ? (s->v & v) : c->def->what == W_OR ? (s->v | v) : (s->v ^ v);
    s->any = true;
}
static Status bits_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                          uint32_t row)
{
    uint64_t v = 0;
    (void)fx, (void)arena;
    memcpy(&v, vec_at(args[0], row), phys_bytes((PhysType)c->args[0].phys));
    bits_take(c, state, v);
    return ST_OK;
}
static Status bits_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    const Bits *b = from;
    (void)fx, (void)arena;
    if (b->any) {
        bits_take(c, into, b->v);
    }
    return ST_OK;
}
static Status bits_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const Bits *s = state;
    (void)fx, (void)heap;
    *out_null = !s->any;
    memcpy(out, &s->v, phys_bytes((PhysType)c->result.phys));
    return ST_OK;
}

/* ---- string_agg ---- */

typedef struct Bytes {
    char *p;
    uint32_t len;
    uint32_t cap;
    uint32_t first_sep; /* length of the first delimiter, which only a combine needs */
    bool any;
} Bytes;

static Status bytes_append(FnCtx *fx, Arena *arena, Bytes *s, const char *p, uint32_t len)
{
    if ((uint64_t)s->len + len > VALUE_BYTES_MAX) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                       "string buffer exceeds maximum allowed length (%u bytes)", VALUE_BYTES_MAX);
    }
    if (s->len + len > s->cap) {
        uint32_t cap = s->len + len < 64 ? 128 : (s->len + len) * 2;
        char *bigger = arena_alloc(arena, cap);
        if (bigger == NULL) {
            return ctx_nomem(fx->cx, cap);
        }
        if (s->len > 0) {
            memcpy(bigger, s->p, s->len);
        }
        s->p = bigger;
        s->cap = cap;
    }
    if (len > 0) {
        memcpy(s->p + s->len, p, len);
    }
    s->len += len;
    return ST_OK;
}

/* The buffer starts with the first row's delimiter, which the result leaves out: so states can be joined. */
static Status bytes_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                           uint32_t row)
{
    Bytes *s = state;
    (void)c;
    const StrView *v = vec_at(args[0], row);
    Status st = ST_OK;
    if (vec_is_null(args[0], row)) {
        return ST_OK;
    }
    if (!vec_is_null(args[1], row)) {
        const StrView *sep = vec_at(args[1], row);
        s->first_sep = s->any ? s->first_sep : sep->len;
        st = bytes_append(fx, arena, s, strview_ptr(sep), sep->len);
    }
    s->any = true;
    return st != ST_OK ? st : bytes_append(fx, arena, s, strview_ptr(v), v->len);
}
static Status bytes_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    Bytes *a = into;
    const Bytes *b = from;
    (void)c;
    if (!b->any) {
        return ST_OK;
    }
    a->first_sep = a->any ? a->first_sep : b->first_sep;
    a->any = true;
    return bytes_append(fx, arena, a, b->p, b->len);
}
static Status bytes_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const Bytes *s = state;
    (void)c;
    *out_null = !s->any;
    if (!s->any) {
        return ST_OK;
    }
    size_t len = s->len - s->first_sep;
    return heap_str(heap, len > 0 ? s->p + s->first_sep : "", len, out) ? ST_OK : ctx_nomem(fx->cx, len);
}
static void bytes_save(const AggCall *c, const void *state, StrBuf *out)
{
    const Bytes *s = state;
    (void)c;
    strbuf_append(out, s, sizeof *s);
    strbuf_append(out, s->p, s->len);
}
static Status bytes_load(FnCtx *fx, const AggCall *c, Arena *arena, Str bytes, void *state)
{
    Bytes *s = state;
    (void)c;
    ASSERT(bytes.len >= sizeof *s);
    memcpy(s, bytes.p, sizeof *s);
    uint32_t len = s->len;
    s->p = NULL;
    s->len = s->cap = 0;
    ASSERT(bytes.len == sizeof *s + len);
    return bytes_append(fx, arena, s, bytes.p + sizeof *s, len);
}

/* ---- array_agg ---- */

typedef struct Items {
    ArrayBuilder *builder; /* on the state's arena; NULL = no row yet */
    int32_t ndim;          /* of the arrays collected (array_agg over arrays) */
    int32_t count;
    int32_t dims[ARRAY_DIMS_MAX];
} Items;

static Status items_start(FnCtx *fx, const AggCall *c, Arena *arena, Items *s)
{
    if (s->builder == NULL) {
        s->builder = ARENA_NEW(arena, ArrayBuilder);
        if (s->builder == NULL) {
            return ctx_nomem(fx->cx, sizeof *s->builder);
        }
        array_builder_init(s->builder, arena, type_element(c->result.oid));
    }
    s->builder->arena = arena;
    return ST_OK;
}

static Status items_add_array(FnCtx *fx, Items *s, const StrView *v)
{
    ArrayView a;
    array_view(v, &a);
    if (a.ndim == 0) {
        return err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays");
    }
    if (s->count > 0 && (s->ndim != a.ndim || memcmp(s->dims, a.dims, sizeof *a.dims * (size_t)a.ndim) != 0)) {
        return err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate arrays of different dimensionality");
    }
    if (a.ndim == ARRAY_DIMS_MAX) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                       "number of array dimensions (%d) exceeds the maximum allowed (%d)", a.ndim + 1, ARRAY_DIMS_MAX);
    }
    s->ndim = a.ndim;
    memcpy(s->dims, a.dims, sizeof s->dims);
    s->count++;
    for (uint32_t i = 0; i < a.n; i++) {
        uint64_t value[2] VALUE_ALIGNED;
        bool is_null = array_is_null(&a, i);
        array_element(&a, i, value);
        if (!array_builder_add(s->builder, is_null ? NULL : value, true)) {
            return ctx_nomem(fx->cx, 0);
        }
    }
    return ST_OK;
}

static Status items_update(FnCtx *fx, const AggCall *c, Arena *arena, void *state, const Vector *const *args,
                           uint32_t row)
{
    Items *s = state;
    Status st = items_start(fx, c, arena, s);
    if (st != ST_OK) {
        return st;
    }
    bool is_null = vec_is_null(args[0], row);
    if (c->args[0].oid == c->result.oid) {
        return is_null ? err_set(fx->cx->err, ST_NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays")
                       : items_add_array(fx, s, vec_at(args[0], row));
    }
    s->count++;
    return array_builder_add(s->builder, is_null ? NULL : vec_at(args[0], row), true) ? ST_OK : ctx_nomem(fx->cx, 0);
}

static Status items_finish(FnCtx *fx, const Items *s, Arena *heap, StrView *out)
{
    ArrayBuilder b = *s->builder;
    if (s->ndim == 0) {
        return array_builder_finish(&b, fx->cx, heap, out);
    }
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t lower[ARRAY_DIMS_MAX];
    dims[0] = s->count;
    memcpy(dims + 1, s->dims, sizeof *dims * (size_t)s->ndim);
    for (int i = 0; i <= s->ndim; i++) {
        lower[i] = 1;
    }
    return array_builder_finish_dims(&b, fx->cx, s->ndim + 1, dims, lower, heap, out);
}

static Status items_final(FnCtx *fx, const AggCall *c, const void *state, Arena *heap, void *out, bool *out_null)
{
    const Items *s = state;
    (void)c;
    *out_null = s->builder == NULL;
    return s->builder == NULL ? ST_OK : items_finish(fx, s, heap, out);
}

/* Elements of an array value back into a state. */
static Status items_refill(FnCtx *fx, const AggCall *c, Arena *arena, Items *s, const Items *shape, const StrView *all)
{
    ArrayView a;
    Status st = items_start(fx, c, arena, s);
    array_view(all, &a);
    for (uint32_t i = 0; i < a.n && st == ST_OK; i++) {
        uint64_t value[2] VALUE_ALIGNED;
        array_element(&a, i, value);
        if (!array_builder_add(s->builder, array_is_null(&a, i) ? NULL : value, true)) {
            st = ctx_nomem(fx->cx, 0);
        }
    }
    if (st == ST_OK && s->count > 0 && shape->ndim > 0 && memcmp(s->dims, shape->dims, sizeof s->dims) != 0) {
        return err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate arrays of different dimensionality");
    }
    s->ndim = shape->ndim;
    s->count += shape->count;
    memcpy(s->dims, shape->dims, sizeof s->dims);
    return st;
}

static Status items_combine(FnCtx *fx, const AggCall *c, Arena *arena, void *into, const void *from)
{
    const Items *b = from;
    StrView all;
    if (b->builder == NULL) {
        return ST_OK;
    }
    ArrayBuilder copy = *b->builder;
    Status st = array_builder_finish(&copy, fx->cx, fx->arena, &all);
    return st != ST_OK ? st : items_refill(fx, c, arena, into, b, &all);
}

static void items_save(const AggCall *c, const void *state, StrBuf *out)
{
    const Items *s = state;
    Error err;
    Ctx cx;
    Arena scratch;
    StrView all;
    (void)c;
    strbuf_append(out, s, sizeof *s);
    if (s->builder == NULL) {
        return;
    }
    err_clear(&err);
    arena_init(&scratch, out->budget, 4096);
    ctx_init(&cx, &err, out->budget, &scratch);
    ArrayBuilder copy = *s->builder;
    if (array_builder_finish(&copy, &cx, &scratch, &all) == ST_OK) {
        strbuf_append(out, strview_ptr(&all), all.len);
    } else {
        out->failed = true;
    }
    arena_done(&scratch);
}

static Status items_load(FnCtx *fx, const AggCall *c, Arena *arena, Str bytes, void *state)
{
    Items saved;
    Items *s = state;
    ASSERT(bytes.len >= sizeof saved);
    memcpy(&saved, bytes.p, sizeof saved);
    *s = (Items){0};
    if (saved.builder == NULL) {
        return ST_OK;
    }
    StrView all = strview_make(bytes.p + sizeof saved, (uint32_t)(bytes.len - sizeof saved));
    return items_refill(fx, c, arena, s, &saved, &all);
}

/* ---- which ---- */

#define ROUND16(n) (((n) + 15) & ~(size_t)15)
#define COUNT_DEF(name, nulls)                                                                                         \
    {                                                                                                                  \
        name, W_SUM, 16, nulls, count_update, count_combine, count_final, NULL, NULL, count_all                        \
    }
#define INT_DEF(name, what, all)                                                                                       \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(IntSum)), false, int_update, int_combine, int_final, NULL, NULL, all                \
    }
#define NUM_DEF(name, what)                                                                                            \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(NumSum)), false, num_update, num_combine, num_final, num_save, num_load_state, NULL \
    }
#define FLOAT_DEF(name, what)                                                                                          \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(FloatSum)), false, float_update, float_combine, float_final, NULL, NULL, NULL       \
    }
#define SPAN_DEF(name, what)                                                                                           \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(SpanSum)), false, span_update, span_combine, span_final, NULL, NULL, NULL           \
    }
#define EXTREME_DEF(name, what)                                                                                        \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(Extreme)), false, extreme_update, extreme_combine, extreme_final, extreme_save,     \
            extreme_load, NULL                                                                                         \
    }
#define BITS_DEF(name, what)                                                                                           \
    {                                                                                                                  \
        name, what, ROUND16(sizeof(Bits)), false, bits_update, bits_combine, bits_final, NULL, NULL, NULL              \
    }

static const AggDef count_defs[] = {COUNT_DEF("count", false)};
#define STATISTICS(DEF)                                                                                                \
    DEF("var_pop", W_VAR_POP), DEF("var_samp", W_VAR_SAMP), DEF("variance", W_VAR_SAMP), DEF("stddev_pop", W_STD_POP), \
        DEF("stddev_samp", W_STD_SAMP), DEF("stddev", W_STD_SAMP)
#define INT_STATISTIC(name, what) INT_DEF(name, what, NULL)
static const AggDef int_defs[] = {INT_DEF("sum", W_SUM, int_all), INT_DEF("avg", W_AVG, int_all),
                                  STATISTICS(INT_STATISTIC)};
static const AggDef num_defs[] = {NUM_DEF("sum", W_SUM), NUM_DEF("avg", W_AVG), STATISTICS(NUM_DEF)};
static const AggDef float_defs[] = {FLOAT_DEF("sum", W_SUM), FLOAT_DEF("avg", W_AVG), STATISTICS(FLOAT_DEF)};
static const AggDef span_defs[] = {SPAN_DEF("sum", W_SUM), SPAN_DEF("avg", W_AVG)};
static const AggDef extreme_defs[] = {EXTREME_DEF("min", W_MIN), EXTREME_DEF("max", W_MAX)};
static const AggDef bits_defs[] = {BITS_DEF("bool_and", W_AND), BITS_DEF("every", W_AND), BITS_DEF("bool_or", W_OR),
                                   BITS_DEF("bit_and", W_AND),  BITS_DEF("bit_or", W_OR), BITS_DEF("bit_xor", W_XOR)};
static const AggDef list_defs[] = {{"string_agg", W_SUM, ROUND16(sizeof(Bytes)), true, bytes_update, bytes_combine,
                                    bytes_final, bytes_save, bytes_load, NULL},
                                   {"array_agg", W_SUM, ROUND16(sizeof(Items)), true, items_update, items_combine,
                                    items_final, items_save, items_load, NULL}};

static const AggDef *find_def(const AggDef *defs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(defs[i].name, name) == 0) {
            return &defs[i];
        }
    }
    return NULL;
}
#define FIND(defs, name) find_def(defs, ARRAY_LEN(defs), name)

static const AggDef *number_def(const char *name, const ValueType *t)
{
    switch (t->oid) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: return FIND(int_defs, name);
    case OID_NUMERIC: return t->phys == P_I64 && t->precision > 0 ? FIND(int_defs, name) : FIND(num_defs, name);
    case OID_FLOAT4:
    case OID_FLOAT8: return FIND(float_defs, name);
    case OID_INTERVAL: return FIND(span_defs, name);
    default: return NULL;
    }
}

Status agg_resolve(const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid, Error *err, AggCall *out)
{
    AggCall c = {.fn = fn, .nargs = (uint16_t)(nargs < 3 ? nargs : 3)};
    Status st = value_type(result_oid, -1, err, &c.result);
    if (st != ST_OK) {
        return st;
    }
    for (unsigned i = 0; i < c.nargs; i++) {
        c.args[i] = args[i];
    }
    const AggRow *row = agg_row(fn->oid);
    const AggDef *def = row != NULL && row->kind == 'n' ? FIND(count_defs, fn->name) : NULL;
    if (def == NULL && nargs >= 1) {
        def = number_def(fn->name, &c.args[0]);
        def = def != NULL ? def : FIND(bits_defs, fn->name);
        def = def != NULL ? def : FIND(list_defs, fn->name);
        if (def == NULL && (def = FIND(extreme_defs, fn->name)) != NULL) {
            c.compare = type_compare(&c.args[0]);
            def = c.compare != NULL ? def : NULL;
            c.result.phys = c.args[0].phys; /* a fixed numeric stays one */
            c.result.precision = c.args[0].precision;
            c.result.scale = c.args[0].scale;
        }
    }
    if (def == NULL) {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED, "aggregate function %s is not supported", fn->name);
    }
    if (c.nargs > 0 && c.args[0].oid == OID_NUMERIC && def->update == items_update) {
        c.args[0] = value_type_of(OID_NUMERIC);
    }
    if (c.result.oid == OID_NUMERIC && def->update == int_update && def->what == W_SUM) {
        c.result = num_form(38, c.args[0].scale); /* 10^18 x 2^63 rows fit */
    }
    c.def = def;
    c.state_bytes = def->state_bytes;
    *out = c;
    return ST_OK;
}

void agg_init(const AggCall *call, char *base, size_t stride, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        memset(base + i * stride, 0, call->state_bytes);
    }
}

Status agg_update(FnCtx *fx, const AggCall *call, Arena *arena, char *base, size_t stride, const uint32_t *group,
                  const Vector *const *args, const uint16_t *sel, uint32_t n)
{
    const AggDef *def = call->def;
    const Vector *arg = call->nargs > 0 ? args[0] : NULL;
    bool dense = group == NULL && sel == NULL && (arg == NULL || (arg->kind == VEC_FLAT && arg->nulls == NULL));
    if (dense && def->update_all != NULL) {
        def->update_all(call, base, arg, n);
        return ST_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (!def->takes_nulls && arg != NULL && vec_is_null(arg, row)) {
            continue;
        }
        void *state = base + (group != NULL ? group[row] : 0) * stride;
        Status st = def->update(fx, call, arena, state, args, row);
        if (UNLIKELY(st != ST_OK)) {
            return fn_fail(fx, row, st);
        }
    }
    return ST_OK;
}

Status agg_combine(FnCtx *fx, const AggCall *call, Arena *arena, void *into, const void *from)
{
    return call->def->combine(fx, call, arena, into, from);
}

Status agg_finalize(FnCtx *fx, const AggCall *call, const char *base, size_t stride, uint32_t n, Vector *out)
{
    ASSERT(out->phys == call->result.phys && n <= out->capacity);
    for (uint32_t i = 0; i < n; i++) {
        bool is_null = false;
        ArenaMark mark = arena_mark(fx->arena);
        Status st = call->def->final(fx, call, base + i * stride, &out->heap, vec_at(out, i), &is_null);
        if (st != ST_OK) {
            return fn_fail(fx, i, st);
        }
        if (is_null) {
            vec_set_null(out, i);
        }
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

void agg_save(const AggCall *call, const void *state, StrBuf *out)
{
    if (call->def->save != NULL) {
        call->def->save(call, state, out);
    } else {
        strbuf_append(out, state, call->state_bytes);
    }
}

Status agg_load(FnCtx *fx, const AggCall *call, Arena *arena, Str bytes, void *out_state)
{
    if (call->def->load != NULL) {
        memset(out_state, 0, call->state_bytes);
        return call->def->load(fx, call, arena, bytes, out_state);
    }
    ASSERT(bytes.len == call->state_bytes);
    memcpy(out_state, bytes.p, bytes.len);
    return ST_OK;
}
