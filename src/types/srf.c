/*
 * types/srf.c: set-returning functions (see srf.h).
 */
#include "types/srf.h"

#include "types/array.h"
#include "types/datetime.h"
#include "types/kernels.h"
#include "types/num_kernels.h"

struct SrfState {
    const SrfDef *def;
    const FnCall *call;
    Arena *arena;
    bool done;
    union {
        struct {
            int64_t at, stop, step;
        } ints;
        struct {
            Num at, stop, step;
        } nums;
        struct {
            int64_t at, stop;
            Interval step;
            int sign;
        } times;
        struct {
            ArrayView array;
            uint32_t at;
        } items;
    };
};

static Status step_zero(FnCtx *fx)
{
    return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
}

/* ---- generate_series over int4, int8 ---- */

static Status ints_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    bool narrow = s->call->result.oid == OID_INT4;
    s->ints.at = narrow ? *(const int32_t *)v[0] : *(const int64_t *)v[0];
    s->ints.stop = narrow ? *(const int32_t *)v[1] : *(const int64_t *)v[1];
    s->ints.step = 1;
    if (s->call->nargs == 3) {
        s->ints.step = narrow ? *(const int32_t *)v[2] : *(const int64_t *)v[2];
    }
    return s->ints.step == 0 ? step_zero(fx) : ST_OK;
}

static Status ints_next(FnCtx *fx, SrfState *s, Vector *out, uint32_t capacity, uint32_t *out_n)
{
    uint32_t n = 0;
    bool narrow = s->call->result.oid == OID_INT4;
    (void)fx;
    while (n < capacity && !s->done) {
        if (s->ints.step > 0 ? s->ints.at > s->ints.stop : s->ints.at < s->ints.stop) {
            s->done = true;
            break;
        }
        if (narrow) {
            ((int32_t *)out->data)[n++] = (int32_t)s->ints.at;
        } else {
            ((int64_t *)out->data)[n++] = s->ints.at;
        }
        s->done = __builtin_add_overflow(s->ints.at, s->ints.step, &s->ints.at);
    }
    *out_n = n;
    return ST_OK;
}

/* ---- over numeric ---- */

static Status check_finite(FnCtx *fx, const Num *v, const char *what)
{
    if (!num_is_special(v)) {
        return ST_OK;
    }
    return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "%s cannot be %s", what,
                   v->kind == NUM_NAN ? "NaN" : "infinity");
}

static Status nums_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    Num *parts[3] = {&s->nums.at, &s->nums.stop, &s->nums.step};
    static const char *const names[3] = {"start value", "stop value", "step size"};
    Status st = num_from_i128(fx->cx, s->arena, 1, 0, &s->nums.step);
    for (unsigned i = 0; i < s->call->nargs && st == ST_OK; i++) {
        st = num_from_view(fx->cx, s->arena, v[i], parts[i]);
        st = st != ST_OK ? st : check_finite(fx, parts[i], names[i]);
    }
    if (st != ST_OK) {
        return st;
    }
    return num_is_zero(&s->nums.step) ? step_zero(fx) : ST_OK;
}

static Status nums_next(FnCtx *fx, SrfState *s, Vector *out, uint32_t capacity, uint32_t *out_n)
{
    uint32_t n = 0;
    int sign = num_sign(&s->nums.step);
    while (n < capacity) {
        if (num_cmp(&s->nums.at, &s->nums.stop) * sign > 0) {
            break;
        }
        Status st = num_to_view(fx->cx, &out->heap, &s->nums.at, (StrView *)out->data + n);
        Num next;
        st = st != ST_OK ? st : num_add(fx->cx, fx->arena, &s->nums.at, &s->nums.step, &next);
        if (st != ST_OK) {
            return st;
        }
        n++;
        s->nums.at = next;
    }
    /* The current value moves from the batch's arena to the state's; its size is bounded by the operands', its count by
     * the batches. */
    if (n > 0 && s->nums.at.n > 0) {
        uint32_t *limbs = arena_copy(s->arena, s->nums.at.limbs, s->nums.at.n * sizeof *limbs);
        if (limbs == NULL) {
            return ctx_nomem(fx->cx, s->nums.at.n * sizeof *limbs);
        }
        s->nums.at.limbs = limbs;
    }
    *out_n = n;
    return ST_OK;
}

/* ---- over timestamps ---- */

static Status times_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    s->times.at = *(const int64_t *)v[0];
    s->times.stop = *(const int64_t *)v[1];
    s->times.step = *(const Interval *)v[2];
    const Interval zero = {0, 0, 0};
    ValueType t = value_type_of(OID_INTERVAL);
    s->times.sign = type_cmp(&t, &s->times.step, &zero);
    return s->times.sign == 0 ? step_zero(fx) : ST_OK;
}

static Status times_next(FnCtx *fx, SrfState *s, Vector *out, uint32_t capacity, uint32_t *out_n)
{
    uint32_t n = 0;
    bool is_tz = s->call->result.oid == OID_TIMESTAMPTZ;
    while (n < capacity && !s->done) {
        if (s->times.sign > 0 ? s->times.at > s->times.stop : s->times.at < s->times.stop) {
            s->done = true;
            break;
        }
        ((int64_t *)out->data)[n++] = s->times.at;
        Status st = timestamp_add(fx, is_tz, s->times.at, &s->times.step, &s->times.at);
        if (st != ST_OK) {
            return st;
        }
    }
    *out_n = n;
    return ST_OK;
}

/* ---- unnest ---- */

static Status unnest_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    StrView *copy = ARENA_NEW(s->arena, StrView);
    const StrView *array = v[0];
    if (copy == NULL || !heap_str(s->arena, strview_ptr(array), array->len, copy)) {
        return ctx_nomem(fx->cx, array->len);
    }
    array_view(copy, &s->items.array);
    return ST_OK;
}

static Status unnest_next(FnCtx *fx, SrfState *s, Vector *out, uint32_t capacity, uint32_t *out_n)
{
    uint32_t n = 0;
    (void)fx;
    for (; n < capacity && s->items.at < s->items.array.n; n++, s->items.at++) {
        if (array_is_null(&s->items.array, s->items.at)) {
            vec_set_null(out, n);
        } else {
            array_element(&s->items.array, s->items.at, vec_at(out, n));
        }
    }
    *out_n = n;
    return ST_OK;
}

/* ---- generate_subscripts ---- */

static Status subscripts_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    ArrayView a;
    int32_t dim = *(const int32_t *)v[1];
    bool reverse = s->call->nargs == 3 && *(const uint8_t *)v[2] != 0;
    (void)fx;
    array_view(v[0], &a);
    if (dim < 1 || dim > a.ndim) {
        s->done = true;
        return ST_OK;
    }
    int64_t first = a.lower[dim - 1];
    int64_t last = first + a.dims[dim - 1] - 1;
    s->ints.at = reverse ? last : first;
    s->ints.stop = reverse ? first : last;
    s->ints.step = reverse ? -1 : 1;
    return ST_OK;
}

/* ---- string_to_table: the array of string_to_array, unnested ---- */

static Status to_table_start(FnCtx *fx, SrfState *s, const void *const *v)
{
    StrView array;
    if (v[0] == NULL) {
        s->done = true;
        return ST_OK;
    }
    Status st = split_to_array(fx, s->arena, strview_str(v[0]), v[1], s->call->nargs > 2 ? v[2] : NULL, &array);
    const void *values[1] = {&array};
    return st != ST_OK ? st : unnest_start(fx, s, values);
}

static const SrfDef srf_defs[] = {
    {1066, ints_start, ints_next},       {1067, ints_start, ints_next},       {1068, ints_start, ints_next},
    {1069, ints_start, ints_next},       {3259, nums_start, nums_next},       {3260, nums_start, nums_next},
    {938, times_start, times_next},      {939, times_start, times_next},      {2331, unnest_start, unnest_next},
    {1191, subscripts_start, ints_next}, {1192, subscripts_start, ints_next}, {6160, to_table_start, unnest_next},
    {6161, to_table_start, unnest_next},
};

const SrfDef *srf_find(Oid fn)
{
    for (size_t i = 0; i < ARRAY_LEN(srf_defs); i++) {
        if (srf_defs[i].fn == fn) {
            return &srf_defs[i];
        }
    }
    return NULL;
}

void srf_call(const SrfDef *def, const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid, FnCall *out)
{
    (void)def;
    *out = (FnCall){.fn = fn,
                    .nargs = (uint16_t)nargs,
                    .strict = (fn->flags & FN_STRICT) != 0,
                    .result = value_type_of(result_oid)};
    for (unsigned i = 0; i < nargs && i < FN_CALL_ARGS; i++) {
        out->args[i] = value_type_of(args[i].oid);
        out->args[i].typmod = args[i].typmod;
    }
}

Status srf_start(FnCtx *fx, const FnCall *call, const SrfDef *def, const void *const *values, Arena *arena,
                 SrfState **out_state)
{
    SrfState *s = ARENA_NEW(arena, SrfState);
    if (s == NULL) {
        return ctx_nomem(fx->cx, sizeof *s);
    }
    *s = (SrfState){.def = def, .call = call, .arena = arena};
    for (unsigned i = 0; i < call->nargs && call->strict; i++) {
        s->done = s->done || values[i] == NULL;
    }
    if (!s->done) {
        Status st = def->start(fx, s, values);
        if (st != ST_OK) {
            return st;
        }
    }
    *out_state = s;
    return ST_OK;
}

Status srf_next(FnCtx *fx, SrfState *s, Vector *out, uint32_t capacity, uint32_t *out_n)
{
    ASSERT(capacity > 0 && capacity <= out->capacity);
    *out_n = 0;
    return s->done ? ST_OK : s->def->next(fx, s, out, capacity, out_n);
}
