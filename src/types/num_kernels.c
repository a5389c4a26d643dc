/*
 * types/num_kernels.c: numeric's kernels and the choice between its forms.
 *
 * Key idea: resolution follows the bounds. + and - widen the precision by one, * adds precisions and scales; as long as
 * 18 (38) digits hold the result, the kernel is a plain int64 (int128) loop that cannot overflow, with a blend for the
 * NaN sentinel; beyond that arguments go to the variable form. Functions that are not hot take every form (num_load).
 */
#include "types/num_kernels.h"

#include <math.h>

#include "types/kernels.h"
#include "types/num_limbs.h"

/* ---- forms ---- */

ValueType num_form(int precision, int scale)
{
    ValueType t = {.oid = OID_NUMERIC, .typmod = -1, .phys = P_STR};
    if (precision <= 38) {
        t.phys = precision <= 18 ? P_I64 : P_I128;
        t.precision = (uint8_t)(precision < 1 ? 1 : precision);
        t.scale = (int16_t)scale;
    }
    return t;
}

ValueType num_literal_type(Str text)
{
    int before = 0;
    int after = 0;
    bool point = false;
    for (size_t i = text.len > 0 && (text.p[0] == '-' || text.p[0] == '+'); i < text.len; i++) {
        char c = text.p[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            after += point;
            before += !point && (before > 0 || c != '0');
        } else {
            return num_form(39, 0);
        }
        if (before + after > 38) {
            return num_form(39, 0);
        }
    }
    return num_form(before + after, after);
}

static bool is_fixed(const ValueType *t)
{
    return t->precision != 0;
}

Status num_load(Ctx *cx, Arena *a, const ValueType *t, const void *value, Num *out)
{
    if (t->phys == P_STR) {
        return num_from_view(cx, a, value, out);
    }
    if (num_fixed_is_nan(t, value)) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    return num_from_i128(cx, a, num_fixed_value(t, value), t->scale, out);
}

Status num_store(Ctx *cx, Arena *heap, const ValueType *t, const Num *v, void *out)
{
    if (t->phys == P_STR) {
        return num_to_view(cx, heap, v, out);
    }
    Int128 fixed = NUM_NAN_I128;
    if (v->kind != NUM_NAN) {
        if (!num_to_i128(v, t->scale, &fixed) || fixed >= pow10_i128[t->precision] ||
            fixed <= -pow10_i128[t->precision]) {
            return num_field_overflow(cx->err, t->precision, t->scale, num_is_special(v));
        }
    }
    if (t->phys == P_I64) {
        *(int64_t *)out = v->kind == NUM_NAN ? NUM_NAN_I64 : (int64_t)fixed;
    } else {
        *(Int128 *)out = fixed;
    }
    return ST_OK;
}

/* ---- changes of form ---- */

KERNEL1(k_i64_to_i128, int64_t, Int128, r = a == NUM_NAN_I64 ? NUM_NAN_I128 : (Int128)a * pow10_i128[fx->call->aux[0]];)
KERNEL1(k_i128_to_i128, Int128, Int128, r = a == NUM_NAN_I128 ? a : a * pow10_i128[fx->call->aux[0]];)

KERNEL_FN(k_i64_to_i64)
{
    const int64_t factor = (int64_t)pow10_i128[fx->call->aux[0]];
    KERNEL_ARG(int64_t, 0, a)
    KERNEL_LOOP(int64_t, KERNEL_GET(int64_t, a) r = a == NUM_NAN_I64 ? a : (int64_t)((uint64_t)a * (uint64_t)factor);)
}

/* Any form to any other, through Num. */
KERNEL_FN(k_any_form)
{
    const ValueType *from = &fx->call->args[0];
    const ValueType *to = &fx->call->result;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArenaMark mark = arena_mark(fx->arena);
        Num v;
        FAIL_IF(num_load(fx->cx, fx->arena, from, vec_at(args[0], row), &v));
        FAIL_IF(num_store(fx->cx, &out->heap, to, &v, vec_at(out, row)));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

static void one_argument(FnCall *call, const ValueType *from, const ValueType *to, FnKernel *kernel)
{
    *call = (FnCall){.kernel = kernel, .strict = true, .nargs = 1, .result = *to};
    call->args[0] = *from;
}

Status num_rep_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call)
{
    (void)err;
    FnKernel *kernel = k_any_form;
    bool grows = is_fixed(from) && is_fixed(to) && to->scale >= from->scale;
    if (grows && from->phys == P_I64) {
        kernel = to->phys == P_I64 ? k_i64_to_i64 : k_i64_to_i128;
    } else if (grows && to->phys == P_I128) {
        kernel = k_i128_to_i128;
    }
    one_argument(out_call, from, to, kernel);
    out_call->aux[0] = grows ? to->scale - from->scale : 0;
    return ST_OK;
}

/* numeric(p,s) of any form: rounds and checks. */
KERNEL_FN(k_num_typmod)
{
    const ValueType *from = &fx->call->args[0];
    const ValueType *to = &fx->call->result;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArenaMark mark = arena_mark(fx->arena);
        Num v;
        Num limited;
        FAIL_IF(num_load(fx->cx, fx->arena, from, vec_at(args[0], row), &v));
        FAIL_IF(num_apply_typmod(fx->cx, fx->arena, &v, to->typmod, &limited));
        FAIL_IF(num_store(fx->cx, &out->heap, to, &limited, vec_at(out, row)));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

/* The int64 case, with growing or shrinking scale: aux[0] is the factor, aux[1] the divisor. */
KERNEL1(
    k_num_typmod_i64, int64_t, int64_t, const int64_t factor = fx->call->aux[0];
    const int64_t divisor = fx->call->aux[1]; const int64_t limit = (int64_t)pow10_i128[fx->call->result.precision];
    if (a == NUM_NAN_I64) { r = a; } else {
        bool over = false;
        if (divisor > 1) {
            int64_t half = divisor / 2;
            r = (a >= 0 ? a + half : a - half) / divisor;
        } else {
            over = __builtin_mul_overflow(a, factor, &r);
        }
        if (over || r >= limit || r <= -limit) {
            return fn_fail(fx, row,
                           num_field_overflow(fx->cx->err, fx->call->result.precision, fx->call->result.scale, false));
        }
    })

Status num_typmod_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call)
{
    ValueType result;
    Status st = value_type(OID_NUMERIC, to->typmod, err, &result);
    if (st != ST_OK) {
        return st;
    }
    one_argument(out_call, from, &result, k_num_typmod);
    if (from->phys == P_I64 && result.phys == P_I64) {
        int shift = result.scale - from->scale;
        out_call->kernel = k_num_typmod_i64;
        out_call->aux[0] = shift > 0 ? (int64_t)pow10_i128[shift] : 1;
        out_call->aux[1] = shift < 0 ? (int64_t)pow10_i128[-shift] : 1;
    }
    return ST_OK;
}

/* ---- fixed-form arithmetic ---- */

static inline int64_t nan_or_i64(int64_t a, int64_t b, int64_t r)
{
    return ((a == NUM_NAN_I64) | (b == NUM_NAN_I64)) ? NUM_NAN_I64 : r;
}
static inline Int128 nan_or_i128(Int128 a, Int128 b, Int128 r)
{
    return ((a == NUM_NAN_I128) | (b == NUM_NAN_I128)) ? NUM_NAN_I128 : r;
}

/* Wrapping operations: garbage under null bits may overflow, real values cannot. */
static inline int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t wrap_sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static inline int64_t wrap_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}
static inline Int128 wrap_add128(Int128 a, Int128 b)
{
    return (Int128)((UInt128)a + (UInt128)b);
}
static inline Int128 wrap_sub128(Int128 a, Int128 b)
{
    return (Int128)((UInt128)a - (UInt128)b);
}
static inline Int128 wrap_mul128(Int128 a, Int128 b)
{
    return (Int128)((UInt128)a * (UInt128)b);
}

/* flat/flat, flat/constant and constant/flat loops without masks, so that the compiler vectorizes them. */
#define FIXED_KERNEL(name, T, TR, op, nan_of)                                                                          \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const T *restrict x = args[0]->data;                                                                           \
        const T *restrict y = args[1]->data;                                                                           \
        TR *restrict r = out->data;                                                                                    \
        (void)fx;                                                                                                      \
        if (sel == NULL && args[0]->kind == VEC_FLAT && args[1]->kind == VEC_FLAT) {                                   \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                r[i] = nan_of(x[i], y[i], op(x[i], y[i]));                                                             \
            }                                                                                                          \
        } else if (sel == NULL && args[0]->kind == VEC_FLAT) {                                                         \
            const T c = y[0];                                                                                          \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                r[i] = nan_of(x[i], c, op(x[i], c));                                                                   \
            }                                                                                                          \
        } else {                                                                                                       \
            const uint32_t mx = vec_mask(args[0]);                                                                     \
            const uint32_t my = vec_mask(args[1]);                                                                     \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                uint32_t row = sel_row(sel, i);                                                                        \
                r[row] = nan_of(x[row & mx], y[row & my], op(x[row & mx], y[row & my]));                               \
            }                                                                                                          \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }

static inline Int128 mul_wide(int64_t a, int64_t b)
{
    return (Int128)a * b;
}
static inline Int128 nan_or_wide(int64_t a, int64_t b, Int128 r)
{
    return ((a == NUM_NAN_I64) | (b == NUM_NAN_I64)) ? NUM_NAN_I128 : r;
}

FIXED_KERNEL(k_add_i64, int64_t, int64_t, wrap_add, nan_or_i64)
FIXED_KERNEL(k_sub_i64, int64_t, int64_t, wrap_sub, nan_or_i64)
FIXED_KERNEL(k_mul_i64, int64_t, int64_t, wrap_mul, nan_or_i64)
FIXED_KERNEL(k_add_i128, Int128, Int128, wrap_add128, nan_or_i128)
FIXED_KERNEL(k_sub_i128, Int128, Int128, wrap_sub128, nan_or_i128)
FIXED_KERNEL(k_mul_i128, Int128, Int128, wrap_mul128, nan_or_i128)
FIXED_KERNEL(k_mul_wide, int64_t, Int128, mul_wide, nan_or_wide)

static void want(FnCall *call, FnKernel *kernel, ValueType arg, ValueType result)
{
    call->kernel = kernel;
    call->args[0] = call->args[1] = arg;
    call->result = result;
    call->flags |= KERNEL_TOTAL;
}

static int max_int(int x, int y)
{
    return x > y ? x : y;
}

static Status resolve_sum(FnCall *call, FnKernel *narrow, FnKernel *wide)
{
    const ValueType *x = &call->args[0];
    const ValueType *y = &call->args[1];
    if (is_fixed(x) && is_fixed(y)) {
        int scale = max_int(x->scale, y->scale);
        int precision = max_int(x->precision - x->scale, y->precision - y->scale) + scale + 1;
        ValueType form = num_form(precision, scale);
        if (is_fixed(&form)) {
            want(call, form.phys == P_I64 ? narrow : wide, form, form);
        }
    }
    return ST_OK;
}

static Status resolve_add(FnCall *call, Error *err)
{
    (void)err;
    return resolve_sum(call, k_add_i64, k_add_i128);
}

static Status resolve_sub(FnCall *call, Error *err)
{
    (void)err;
    return resolve_sum(call, k_sub_i64, k_sub_i128);
}

static Status resolve_mul(FnCall *call, Error *err)
{
    (void)err;
    ValueType x = call->args[0];
    ValueType y = call->args[1];
    ValueType form = num_form(x.precision + y.precision, x.scale + y.scale);
    if (!is_fixed(&x) || !is_fixed(&y) || !is_fixed(&form)) {
        return ST_OK;
    }
    if (form.phys == P_I64 || (x.phys == P_I64 && y.phys == P_I64)) {
        want(call, form.phys == P_I64 ? k_mul_i64 : k_mul_wide, x, form);
    } else {
        x.phys = y.phys = P_I128;
        want(call, k_mul_i128, x, form);
    }
    call->args[1] = y;
    return ST_OK;
}

/* Kernels that take every form and return the variable one. */
static Status resolve_any(FnCall *call, Error *err)
{
    (void)call;
    (void)err;
    return ST_OK;
}

/* ---- sign, absolute value ---- */

KERNEL1(k_neg_i64, int64_t, int64_t, r = (int64_t)(0 - (uint64_t)a);) /* NaN's negation is itself */
KERNEL1(k_neg_i128, Int128, Int128, r = (Int128)(0 - (UInt128)a);)
KERNEL1(k_abs_i64, int64_t, int64_t, r = a < 0 ? (int64_t)(0 - (uint64_t)a) : a;)
KERNEL1(k_abs_i128, Int128, Int128, r = a < 0 ? (Int128)(0 - (UInt128)a) : a;)

static Status resolve_unary(FnCall *call, FnKernel *narrow, FnKernel *wide)
{
    ValueType t = call->args[0];
    if (is_fixed(&t)) {
        t.typmod = -1;
        want(call, t.phys == P_I64 ? narrow : wide, t, t);
    }
    return ST_OK;
}

static Status resolve_neg(FnCall *call, Error *err)
{
    (void)err;
    return resolve_unary(call, k_neg_i64, k_neg_i128);
}

static Status resolve_abs(FnCall *call, Error *err)
{
    (void)err;
    return resolve_unary(call, k_abs_i64, k_abs_i128);
}

/* ---- variable form ---- */

typedef Status NumUnary(Ctx *cx, Arena *a, const Num *x, Num *out);
typedef Status NumBinary(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);

static Status unary_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                         NumUnary *op)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArenaMark mark = arena_mark(fx->arena);
        Num x;
        Num r;
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[0], vec_at(args[0], row), &x));
        FAIL_IF(op(fx->cx, fx->arena, &x, &r));
        FAIL_IF(num_to_view(fx->cx, &out->heap, &r, (StrView *)out->data + row));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

static Status binary_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                          NumBinary *op)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArenaMark mark = arena_mark(fx->arena);
        Num x;
        Num y;
        Num r;
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[0], vec_at(args[0], row), &x));
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[1], vec_at(args[1], row), &y));
        FAIL_IF(op(fx->cx, fx->arena, &x, &y, &r));
        FAIL_IF(num_to_view(fx->cx, &out->heap, &r, (StrView *)out->data + row));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

#define VAR_UNARY(name, op)                                                                                            \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        return unary_rows(fx, args, sel, n, out, op);                                                                  \
    }
#define VAR_BINARY(name, op)                                                                                           \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        return binary_rows(fx, args, sel, n, out, op);                                                                 \
    }

static Status num_neg(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    static const NumKind opposite[] = {NUM_NEG, NUM_POS, NUM_NAN, NUM_NEG_INF, NUM_INF};
    (void)cx;
    (void)a;
    *out = *x;
    out->kind = num_is_zero(x) ? NUM_POS : opposite[x->kind];
    return ST_OK;
}

static Status num_copy(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    (void)cx;
    (void)a;
    *out = *x;
    return ST_OK;
}

static Status num_abs(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    return num_sign(x) < 0 ? num_neg(cx, a, x, out) : num_copy(cx, a, x, out);
}

static Status small_int(Ctx *cx, Arena *a, int v, Num *out)
{
    return num_from_i128(cx, a, v, 0, out);
}

static Status num_sign_of(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    if (x->kind == NUM_NAN) {
        *out = *x;
        return ST_OK;
    }
    return small_int(cx, a, num_sign(x), out);
}

static Status num_trim_scale(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    (void)cx;
    (void)a;
    *out = *x;
    out->dscale = num_is_special(x) ? 0 : num_min_scale(x);
    return ST_OK;
}

static Status num_inc(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    Num one;
    Status st = small_int(cx, a, 1, &one);
    return st != ST_OK ? st : num_add(cx, a, x, &one, out);
}

static Status num_log10(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    Num ten;
    Status st = small_int(cx, a, 10, &ten);
    return st != ST_OK ? st : num_log(cx, a, &ten, x, out);
}

static Status num_larger(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    return num_copy(cx, a, num_cmp(x, y) > 0 ? x : y, out);
}
static Status num_smaller(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    return num_copy(cx, a, num_cmp(x, y) < 0 ? x : y, out);
}
static Status num_round0(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    return num_round(cx, a, x, 0, out);
}
static Status num_trunc0(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    return num_trunc(cx, a, x, 0, out);
}

VAR_BINARY(k_add, num_add)
VAR_BINARY(k_sub, num_sub)
VAR_BINARY(k_mul, num_mul)
VAR_BINARY(k_div, num_div)
VAR_BINARY(k_div_trunc, num_div_trunc)
VAR_BINARY(k_mod, num_mod)
VAR_BINARY(k_power, num_power)
VAR_BINARY(k_log, num_log)
VAR_BINARY(k_gcd, num_gcd)
VAR_BINARY(k_lcm, num_lcm)
VAR_BINARY(k_larger, num_larger)
VAR_BINARY(k_smaller, num_smaller)
VAR_UNARY(k_neg, num_neg)
VAR_UNARY(k_abs, num_abs)
VAR_UNARY(k_plus, num_copy)
VAR_UNARY(k_sign, num_sign_of)
VAR_UNARY(k_ceil, num_ceil)
VAR_UNARY(k_floor, num_floor)
VAR_UNARY(k_sqrt, num_sqrt)
VAR_UNARY(k_exp, num_exp)
VAR_UNARY(k_ln, num_ln)
VAR_UNARY(k_log10, num_log10)
VAR_UNARY(k_trim_scale, num_trim_scale)
VAR_UNARY(k_inc, num_inc)
VAR_UNARY(k_round0, num_round0)
VAR_UNARY(k_trunc0, num_trunc0)

static int clamp_scale(int32_t scale)
{
    return scale < -NUM_WEIGHT_MAX - 1 ? -NUM_WEIGHT_MAX - 1 : scale > NUM_DSCALE_MAX ? NUM_DSCALE_MAX : scale;
}

static Status round_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                         Status (*op)(Ctx *, Arena *, const Num *, int, Num *))
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArenaMark mark = arena_mark(fx->arena);
        Num x;
        Num r;
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[0], vec_at(args[0], row), &x));
        FAIL_IF(op(fx->cx, fx->arena, &x, clamp_scale(*(const int32_t *)vec_at(args[1], row)), &r));
        FAIL_IF(num_to_view(fx->cx, &out->heap, &r, (StrView *)out->data + row));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

KERNEL_FN(k_round)
{
    return round_rows(fx, args, sel, n, out, num_round);
}
KERNEL_FN(k_trunc)
{
    return round_rows(fx, args, sel, n, out, num_trunc);
}

static Status apply_typmod_op(Ctx *cx, Arena *a, const Num *x, int32_t typmod, Num *out)
{
    return num_apply_typmod(cx, a, x, typmod, out);
}

/* numeric(numeric, typmod) called as a function. */
KERNEL_FN(k_numeric_typmod)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        Num x;
        Num r;
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[0], vec_at(args[0], row), &x));
        FAIL_IF(apply_typmod_op(fx->cx, fx->arena, &x, *(const int32_t *)vec_at(args[1], row), &r));
        FAIL_IF(num_to_view(fx->cx, &out->heap, &r, (StrView *)out->data + row));
    }
    return ST_OK;
}

/* One Num an argument, for kernels whose result is no numeric. */
#define NUM_ROWS(TR, ...)                                                                                              \
    for (uint32_t i = 0; i < n; i++) {                                                                                 \
        uint32_t row = sel_row(sel, i);                                                                                \
        ArenaMark mark = arena_mark(fx->arena);                                                                        \
        Num x;                                                                                                         \
        TR r;                                                                                                          \
        FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[0], vec_at(args[0], row), &x));                            \
        __VA_ARGS__((TR *)out->data)[row] = r;                                                                         \
        arena_rewind(fx->arena, mark);                                                                                 \
    }                                                                                                                  \
    return ST_OK;

KERNEL_FN(k_scale)
{
    NUM_ROWS(int32_t, if (num_is_special(&x)){NULL_RESULT} r = x.dscale;)
}
KERNEL_FN(k_min_scale)
{
    NUM_ROWS(int32_t, if (num_is_special(&x)){NULL_RESULT} r = num_min_scale(&x);)
}

/* ---- casts ---- */

static Status to_int(FnCtx *fx, const Num *x, int64_t min, int64_t max, const char *type, int64_t *out)
{
    if (num_is_special(x)) {
        return err_set(fx->cx->err, ST_FEATURE_NOT_SUPPORTED, "cannot convert %s to %s",
                       x->kind == NUM_NAN ? "NaN" : "infinity", type);
    }
    if (!num_to_i64(x, out) || *out < min || *out > max) {
        return err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type);
    }
    return ST_OK;
}

KERNEL_FN(k_to_int2)
{
    NUM_ROWS(int16_t, int64_t v; FAIL_IF(to_int(fx, &x, INT16_MIN, INT16_MAX, "smallint", &v)); r = (int16_t)v;)
}
KERNEL_FN(k_to_int4)
{
    NUM_ROWS(int32_t, int64_t v; FAIL_IF(to_int(fx, &x, INT32_MIN, INT32_MAX, "integer", &v)); r = (int32_t)v;)
}
KERNEL_FN(k_to_int8)
{
    NUM_ROWS(int64_t, FAIL_IF(to_int(fx, &x, INT64_MIN, INT64_MAX, "bigint", &r));)
}

static Status float_range(FnCtx *fx, const Num *x, const char *type)
{
    StrBuf text;
    strbuf_init(&text, fx->cx->budget);
    num_append(x, &text);
    Status st = err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "\"%s\" is out of range for type %s", text.p, type);
    strbuf_done(&text);
    return st;
}

KERNEL_FN(k_to_float8)
{
    NUM_ROWS(
        double, r = num_to_f64(fx->cx, fx->arena, &x); if (!num_is_special(&x) && (isinf(r) || (r == 0 && x.n != 0))) {
            return fn_fail(fx, row, float_range(fx, &x, "double precision"));
        })
}

/* Through the decimal text, not through double: one rounding. */
static float num_to_f32(FnCtx *fx, const Num *x)
{
    double d = num_to_f64(fx->cx, fx->arena, x);
    float f = (float)d;
    /* Double rounding matters only when d is exactly between two floats; then the decimal value decides. */
    if (num_is_special(x) || (double)f == d) {
        return f;
    }
    float other = nextafterf(f, d > (double)f ? INFINITY : -INFINITY);
    if (((double)f + (double)other) / 2 != d) {
        return f;
    }
    Num exact;
    Num diff;
    if (num_from_f64(fx->cx, fx->arena, d, 60, &exact) != ST_OK ||
        num_sub(fx->cx, fx->arena, x, &exact, &diff) != ST_OK || diff.n == 0) {
        return f;
    }
    bool up = diff.kind == NUM_POS;
    return up == (other > f) ? other : f;
}

KERNEL_FN(k_to_float4)
{
    NUM_ROWS(
        float, r = num_to_f32(fx, &x); if (!num_is_special(&x) && (isinf(r) || (r == 0 && x.n != 0))) {
            return fn_fail(fx, row, float_range(fx, &x, "real"));
        })
}

KERNEL1(k_int2_i64, int16_t, int64_t, r = a;)
KERNEL1(k_int4_i64, int32_t, int64_t, r = a;)
KERNEL1(k_int8_i128, int64_t, Int128, r = a;)

static Status resolve_from_int(FnCall *call, Error *err)
{
    static const struct {
        Oid oid;
        int precision;
        FnKernel *kernel;
    } ints[] = {{OID_INT2, 5, k_int2_i64}, {OID_INT4, 10, k_int4_i64}, {OID_INT8, 19, k_int8_i128}};
    for (size_t i = 0; i < ARRAY_LEN(ints); i++) {
        if (ints[i].oid == call->args[0].oid) {
            want(call, ints[i].kernel, call->args[0], num_form(ints[i].precision, 0));
            return ST_OK;
        }
    }
    return err_set(err, ST_INTERNAL, "no integer type");
}

static Status from_float(FnCtx *fx, double v, int digits, Vector *out, uint32_t row)
{
    Num x;
    ArenaMark mark = arena_mark(fx->arena);
    FAIL_IF(num_from_f64(fx->cx, fx->arena, v, digits, &x));
    FAIL_IF(num_to_view(fx->cx, &out->heap, &x, (StrView *)out->data + row));
    arena_rewind(fx->arena, mark);
    return ST_OK;
}

KERNEL_FN(k_from_float8)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        FAIL_IF(from_float(fx, *(const double *)vec_at(args[0], row), 15, out, row));
    }
    return ST_OK;
}
KERNEL_FN(k_from_float4)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        FAIL_IF(from_float(fx, (double)*(const float *)vec_at(args[0], row), 6, out, row));
    }
    return ST_OK;
}

KERNEL_FN(k_fac)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        Num r;
        ArenaMark mark = arena_mark(fx->arena);
        FAIL_IF(num_factorial(fx->cx, fx->arena, *(const int64_t *)vec_at(args[0], row), &r));
        FAIL_IF(num_to_view(fx->cx, &out->heap, &r, (StrView *)out->data + row));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

/* ---- width_bucket ---- */

static Status width_bucket(FnCtx *fx, const Num *x, const Num *low, const Num *high, int32_t count, int32_t *out)
{
    Error *err = fx->cx->err;
    Ctx *cx = fx->cx;
    if (count <= 0) {
        return err_set(err, ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "count must be greater than zero");
    }
    if (x->kind == NUM_NAN || low->kind == NUM_NAN || high->kind == NUM_NAN) {
        return err_set(err, ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                       "operand, lower bound, and upper bound cannot be NaN");
    }
    if (num_is_special(low) || num_is_special(high)) {
        return err_set(err, ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "lower and upper bounds must be finite");
    }
    int order = num_cmp(low, high);
    if (order == 0) {
        return err_set(err, ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "lower bound cannot equal upper bound");
    }
    if (order < 0 ? num_cmp(x, low) < 0 : num_cmp(x, low) > 0) {
        *out = 0;
        return ST_OK;
    }
    if (order < 0 ? num_cmp(x, high) >= 0 : num_cmp(x, high) <= 0) {
        if (count == INT32_MAX) {
            return err_set(err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
        }
        *out = count + 1;
        return ST_OK;
    }
    Num from_low, range, n, scaled, q;
    int64_t bucket = 0;
    Status st = num_sub(cx, fx->arena, x, low, &from_low);
    st = st != ST_OK ? st : num_sub(cx, fx->arena, high, low, &range);
    st = st != ST_OK ? st : num_from_i128(cx, fx->arena, count, 0, &n);
    st = st != ST_OK ? st : num_mul(cx, fx->arena, &from_low, &n, &scaled);
    st = st != ST_OK ? st : num_div_scale(cx, fx->arena, &scaled, &range, 0, false, &q);
    if (st == ST_OK && num_to_i64(&q, &bucket)) {
        *out = (int32_t)bucket + 1;
    }
    return st;
}

KERNEL_FN(k_width_bucket)
{
    NUM_ROWS(int32_t, Num low; Num high;
             FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[1], vec_at(args[1], row), &low));
             FAIL_IF(num_load(fx->cx, fx->arena, &fx->call->args[2], vec_at(args[2], row), &high)); r = 0;
             FAIL_IF(width_bucket(fx, &x, &low, &high, *(const int32_t *)vec_at(args[3], row), &r));)
}

/* ---- comparison ---- */

/* NaN is the smallest integer but the largest number: one less, wrapping, puts it there. */
static inline int64_t order_i64(int64_t v)
{
    return (int64_t)((uint64_t)v - 1);
}
static inline Int128 order_i128(Int128 v)
{
    return (Int128)((UInt128)v - 1);
}

#define FIXED_COMPARE(name, T, order, op)                                                                              \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const T *restrict x = args[0]->data;                                                                           \
        const T *restrict y = args[1]->data;                                                                           \
        uint8_t *restrict r = out->data;                                                                               \
        (void)fx;                                                                                                      \
        if (sel == NULL && args[0]->kind == VEC_FLAT && args[1]->kind == VEC_CONSTANT) {                               \
            const T c = order(y[0]);                                                                                   \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                r[i] = order(x[i]) op c;                                                                               \
            }                                                                                                          \
            return ST_OK;                                                                                              \
        }                                                                                                              \
        const uint32_t mx = vec_mask(args[0]);                                                                         \
        const uint32_t my = vec_mask(args[1]);                                                                         \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            uint32_t row = sel_row(sel, i);                                                                            \
            r[row] = order(x[row & mx]) op order(y[row & my]);                                                         \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }
#define VAR_COMPARE(name, op) KERNEL2(name, StrView, StrView, uint8_t, r = num_view_cmp(&a, &b) op 0;)

/* Wants both arguments in the smallest common form. */
static Status resolve_compare(FnCall *call, FnKernel *narrow, FnKernel *wide)
{
    const ValueType *x = &call->args[0];
    const ValueType *y = &call->args[1];
    ValueType form = num_form(39, 0);
    if (is_fixed(x) && is_fixed(y)) {
        int scale = max_int(x->scale, y->scale);
        form = num_form(max_int(x->precision - x->scale, y->precision - y->scale) + scale, scale);
    }
    if (is_fixed(&form)) {
        want(call, form.phys == P_I64 ? narrow : wide, form, call->result);
    } else {
        call->args[0] = call->args[1] = form;
    }
    return ST_OK;
}

#define COMPARE(name, op)                                                                                              \
    FIXED_COMPARE(k_##name##_i64, int64_t, order_i64, op)                                                              \
    FIXED_COMPARE(k_##name##_i128, Int128, order_i128, op)                                                             \
    VAR_COMPARE(k_##name, op)                                                                                          \
    static Status resolve_##name(FnCall *call, Error *err)                                                             \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return resolve_compare(call, k_##name##_i64, k_##name##_i128);                                                 \
    }
COMPARE(eq, ==)
COMPARE(ne, !=)
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)

KERNEL2(k_cmp, StrView, StrView, int32_t, int c = num_view_cmp(&a, &b); r = (c > 0) - (c < 0);)

/* clang-format off */
KERNEL_LIST(num_kernel_list,
    {"numeric_add", k_add, 0, resolve_add}, {"numeric_sub", k_sub, 0, resolve_sub},
    {"numeric_mul", k_mul, 0, resolve_mul}, {"numeric_div", k_div, 0, resolve_any},
    {"numeric_div_trunc", k_div_trunc, 0, resolve_any}, {"numeric_mod", k_mod, 0, resolve_any},
    {"numeric_power", k_power, 0, resolve_any}, {"numeric_log", k_log, 0, resolve_any},
    {"numeric_gcd", k_gcd, 0, resolve_any}, {"numeric_lcm", k_lcm, 0, resolve_any},
    {"numeric_larger", k_larger, 0, resolve_any}, {"numeric_smaller", k_smaller, 0, resolve_any},
    {"numeric_uminus", k_neg, 0, resolve_neg}, {"numeric_abs", k_abs, 0, resolve_abs},
    {"numeric_uplus", k_plus, 0, resolve_any}, {"numeric_sign", k_sign, 0, resolve_any},
    {"numeric_ceil", k_ceil, 0, resolve_any}, {"numeric_floor", k_floor, 0, resolve_any},
    {"numeric_sqrt", k_sqrt, 0, resolve_any}, {"numeric_exp", k_exp, 0, resolve_any},
    {"numeric_ln", k_ln, 0, resolve_any}, {"log10(numeric)", k_log10, 0, resolve_any},
    {"log(numeric)", k_log10, 0, resolve_any}, {"round(numeric)", k_round0, 0, resolve_any},
    {"trunc(numeric)", k_trunc0, 0, resolve_any}, {"numeric_round", k_round, 0, resolve_any},
    {"numeric_trunc", k_trunc, 0, resolve_any}, {"numeric_trim_scale", k_trim_scale, 0, resolve_any},
    {"numeric_inc", k_inc, 0, resolve_any}, {"numeric_scale", k_scale, 0, resolve_any},
    {"numeric_min_scale", k_min_scale, 0, resolve_any}, {"numeric", k_numeric_typmod, 0, resolve_any},
    {"numeric_int2", k_to_int2, 0, resolve_any}, {"numeric_int4", k_to_int4, 0, resolve_any},
    {"numeric_int8", k_to_int8, 0, resolve_any}, {"numeric_float4", k_to_float4, 0, resolve_any},
    {"numeric_float8", k_to_float8, 0, resolve_any}, {"int2_numeric", k_int2_i64, 0, resolve_from_int},
    {"int4_numeric", k_int4_i64, 0, resolve_from_int}, {"int8_numeric", k_int8_i128, 0, resolve_from_int},
    {"float4_numeric", k_from_float4, 0, NULL}, {"float8_numeric", k_from_float8, 0, NULL},
    {"numeric_fac", k_fac, 0, NULL}, {"width_bucket_numeric", k_width_bucket, 0, resolve_any},
    {"numeric_eq", k_eq, 0, resolve_eq}, {"numeric_ne", k_ne, 0, resolve_ne},
    {"numeric_lt", k_lt, 0, resolve_lt}, {"numeric_le", k_le, 0, resolve_le},
    {"numeric_gt", k_gt, 0, resolve_gt}, {"numeric_ge", k_ge, 0, resolve_ge},
    {"numeric_cmp", k_cmp, 0, NULL})
/* clang-format on */
