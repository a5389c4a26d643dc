/*
 * types/float.c: arithmetic, functions and casts of float4 and float8.
 *
 * Overflow and underflow are errors as in PostgreSQL: an infinite result from finite operands, or zero from operands
 * that are not, raises 22003. The hot loops gather a flag and look for the row afterwards, as arith.c does.
 */
#include <errno.h>
#include <math.h>

#include "base/rng.h"
#include "types/kernels.h"
#include "types/numeric.h"

static Status overflow(FnCtx *fx, uint32_t row)
{
    return fn_fail(fx, row, err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
}
static Status underflow(FnCtx *fx, uint32_t row)
{
    return fn_fail(fx, row, err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
}
static Status bad_input_value(FnCtx *fx, uint32_t row)
{
    return fn_fail(fx, row, err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range"));
}

#define BAD_SUM(a, b, r) (isinf(r) && !isinf(a) && !isinf(b))
#define BAD_UNDER(a, b, r) ((r) == 0 && (a) != 0 && (b) != 0)

#define FLOAT_OP(name, TA, TB, TR, op, check_under)                                                                    \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const TA *restrict x = args[0]->data;                                                                          \
        const TB *restrict y = args[1]->data;                                                                          \
        TR *restrict z = out->data;                                                                                    \
        const uint32_t mx = vec_mask(args[0]);                                                                         \
        const uint32_t my = vec_mask(args[1]);                                                                         \
        int suspect = 0;                                                                                               \
        if (sel == NULL && mx != 0 && my != 0) {                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const TR r = (TR)x[i] op(TR) y[i];                                                                     \
                z[i] = r;                                                                                              \
                suspect |= ((r - r) != 0) | (check_under & (r == 0) & (x[i] != 0) & (y[i] != 0));                      \
            }                                                                                                          \
        } else {                                                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const uint32_t row = sel_row(sel, i);                                                                  \
                const TR r = (TR)x[row & mx] op(TR) y[row & my];                                                       \
                z[row] = r;                                                                                            \
                suspect |= ((r - r) != 0) | (check_under & (r == 0) & (x[row & mx] != 0) & (y[row & my] != 0));        \
            }                                                                                                          \
        }                                                                                                              \
        for (uint32_t i = 0; UNLIKELY(suspect) && i < n; i++) {                                                        \
            const uint32_t row = sel_row(sel, i);                                                                      \
            const TR a = (TR)x[row & mx], b = (TR)y[row & my], r = z[row];                                             \
            if (vec_is_null(out, row)) {                                                                               \
                continue;                                                                                              \
            }                                                                                                          \
            if (BAD_SUM(a, b, r)) {                                                                                    \
                return overflow(fx, row);                                                                              \
            }                                                                                                          \
            if (check_under && BAD_UNDER(a, b, r)) {                                                                   \
                return underflow(fx, row);                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }

#define FLOAT_DIV(name, TA, TB, TR)                                                                                    \
    KERNEL2(                                                                                                           \
        name, TA, TB, TR, const TR x = (TR)a; const TR y = (TR)b;                                                      \
        if (UNLIKELY(y == 0 && !isnan(x))) { FAIL(ST_DIVISION_BY_ZERO, "division by zero"); } r = x / y;               \
        if (UNLIKELY(isinf(r) && !isinf(x))) {                                                                         \
            return overflow(fx, row);                                                                                  \
        } if (UNLIKELY(r == 0 && x != 0 && !isinf(y))) { return underflow(fx, row); })

#define FLOAT_FOUR(p, TA, TB, TR)                                                                                      \
    FLOAT_OP(k_##p##pl, TA, TB, TR, +, 0)                                                                              \
    FLOAT_OP(k_##p##mi, TA, TB, TR, -, 0)                                                                              \
    FLOAT_OP(k_##p##mul, TA, TB, TR, *, 1)                                                                             \
    FLOAT_DIV(k_##p##div, TA, TB, TR)

FLOAT_FOUR(float4, float, float, float)
FLOAT_FOUR(float8, double, double, double)
FLOAT_FOUR(float48, float, double, double)
FLOAT_FOUR(float84, double, float, double)

/* NaN is larger than everything. */
#define FLOAT_GT(a, b) (isnan(a) ? !isnan(b) : (a) > (b))
#define FLOAT_MORE(p, T)                                                                                               \
    KERNEL1(k_##p##um, T, T, r = -a;)                                                                                  \
    KERNEL1(k_##p##up, T, T, r = a;)                                                                                   \
    KERNEL1(k_##p##abs, T, T, r = a < 0 || (a == 0 && signbit(a)) ? -a : a;)                                           \
    KERNEL2(k_##p##larger, T, T, T, r = FLOAT_GT(a, b) ? a : b;)                                                       \
    KERNEL2(k_##p##smaller, T, T, T, r = FLOAT_GT(b, a) ? a : b;)
FLOAT_MORE(float4, float)
FLOAT_MORE(float8, double)

/* ---- casts ---- */

KERNEL1(k_ftod, float, double, r = (double)a;)
KERNEL1(
    k_dtof, double, float, r = (float)a; if (UNLIKELY(isinf(r) && !isinf(a))) {
        return overflow(fx, row);
    } if (UNLIKELY(r == 0 && a != 0)) { return underflow(fx, row); })
#define TO_INT(name, TF, TI, MIN, MAX_PLUS_1, type)                                                                    \
    KERNEL1(                                                                                                           \
        name, TF, TI, const double v = rint((double)a); if (UNLIKELY(!(v >= (MIN) && v < (MAX_PLUS_1)))) {             \
            FAIL(ST_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type);                                              \
        } r = (TI)v;)
TO_INT(k_dtoi2, double, int16_t, -32768.0, 32768.0, "smallint")
TO_INT(k_dtoi4, double, int32_t, -2147483648.0, 2147483648.0, "integer")
TO_INT(k_dtoi8, double, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")
TO_INT(k_ftoi2, float, int16_t, -32768.0, 32768.0, "smallint")
TO_INT(k_ftoi4, float, int32_t, -2147483648.0, 2147483648.0, "integer")
TO_INT(k_ftoi8, float, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")
KERNEL1(k_i2tod, int16_t, double, r = a;)
KERNEL1(k_i4tod, int32_t, double, r = a;)
KERNEL1(k_i8tod, int64_t, double, r = (double)a;)
KERNEL1(k_i2tof, int16_t, float, r = a;)
KERNEL1(k_i4tof, int32_t, float, r = (float)a;)
KERNEL1(k_i8tof, int64_t, float, r = (float)a;)

/* ---- functions of one float8 ---- */

KERNEL1(k_dround, double, double, r = rint(a);)
KERNEL1(k_dceil, double, double, r = ceil(a);)
KERNEL1(k_dfloor, double, double, r = floor(a);)
KERNEL1(k_dtrunc, double, double, r = a >= 0 ? floor(a) : -floor(-a);)
KERNEL1(k_dsign, double, double, r = a > 0 ? 1.0 : a < 0 ? -1.0 : 0.0;)
KERNEL1(
    k_dsqrt, double, double, if (a < 0) {
        FAIL(ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number");
    } r = sqrt(a);)
KERNEL1(k_dcbrt, double, double, r = cbrt(a);)

KERNEL1(
    k_dexp, double, double, if (isnan(a)) { r = a; } else if (isinf(a)) { r = a > 0 ? a : 0; } else {
        r = exp(a);
        if (isinf(r)) {
            return overflow(fx, row);
        }
        if (r == 0) {
            return underflow(fx, row);
        }
    })

static Status check_log(FnCtx *fx, double a)
{
    if (a == 0) {
        return err_set(fx->cx->err, ST_INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero");
    }
    if (a < 0) {
        return err_set(fx->cx->err, ST_INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of a negative number");
    }
    return ST_OK;
}
KERNEL1(k_dlog1, double, double, FAIL_IF(check_log(fx, a)); r = log(a);)
KERNEL1(k_dlog10, double, double, FAIL_IF(check_log(fx, a)); r = log10(a);)

/* pow() with PostgreSQL's errors; C99 defines the results for NaN and infinities. */
static Status power(FnCtx *fx, uint32_t row, double a, double b, double *out)
{
    Error *err = fx->cx->err;
    if (isnan(a) || isnan(b)) {
        *out = (isnan(a) && b == 0) || (isnan(b) && a == 1) ? 1.0 : NAN;
        return ST_OK;
    }
    if (a == 0 && b < 0) {
        FAIL(ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "zero raised to a negative power is undefined");
    }
    if (a < 0 && !isinf(b) && floor(b) != b) {
        return fn_fail(fx, row,
                       err_set(err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                               "a negative number raised to a non-integer power yields a complex result"));
    }
    double r = pow(a, b);
    if (!isinf(a) && !isinf(b)) {
        if (isinf(r)) {
            return overflow(fx, row);
        }
        if (r == 0 && a != 0) {
            return underflow(fx, row);
        }
    }
    *out = r;
    return ST_OK;
}

KERNEL2(
    k_dpow, double, double, double, r = 0; Status st_ = power(fx, row, a, b, &r); if (st_ != ST_OK) { return st_; })

/* ---- trigonometry ---- */

#define RADIANS_PER_DEGREE 0.0174532925199432957692

#define TRIG(name, domain_bad, expr)                                                                                   \
    KERNEL1(                                                                                                           \
        name, double, double, if (isnan(a)) { r = a; } else {                                                          \
            if (domain_bad) {                                                                                          \
                return bad_input_value(fx, row);                                                                       \
            }                                                                                                          \
            r = (expr);                                                                                                \
        })
TRIG(k_dacos, a<-1 || a> 1, acos(a))
TRIG(k_dasin, a<-1 || a> 1, asin(a))
TRIG(k_datan, false, atan(a))
TRIG(k_dcos, isinf(a), cos(a))
TRIG(k_dsin, isinf(a), sin(a))
TRIG(k_dtan, isinf(a), tan(a))
TRIG(k_dcot, isinf(a), 1.0 / tan(a))
TRIG(k_dasinh, false, asinh(a))
TRIG(k_dacosh, a < 1, acosh(a))
TRIG(k_datanh, a<-1 || a> 1, a == -1 ? -INFINITY : a == 1 ? INFINITY : atanh(a))
TRIG(k_dtanh, false, tanh(a))
KERNEL1(k_dsinh, double, double, r = sinh(a);)
KERNEL1(k_dcosh, double, double, r = cosh(a);)
KERNEL2(k_datan2, double, double, double, r = isnan(a) || isnan(b) ? NAN : atan2(a, b);)
KERNEL1(
    k_degrees, double, double, r = a / RADIANS_PER_DEGREE; if (isinf(r) && !isinf(a)) { return overflow(fx, row); })
KERNEL1(
    k_radians, double, double, r = a * RADIANS_PER_DEGREE; if (r == 0 && a != 0) { return underflow(fx, row); })
KERNEL0(k_dpi, double, r = M_PI;)

/*
 * Degree functions are exact at multiples of 30 and 45 degrees: values are scaled by what the library gives at 30 and
 * 60 degrees, in the manner of PostgreSQL's float.c.
 */
static double sin_quarter(double x)
{
    const double at_30 = sin(30.0 * RADIANS_PER_DEGREE);
    const double one_minus_cos_60 = 1.0 - cos(60.0 * RADIANS_PER_DEGREE);
    volatile double r;
    if (x <= 30.0) {
        r = sin(x * RADIANS_PER_DEGREE) / at_30 / 2.0;
    } else {
        volatile double one_minus_cos = 1.0 - cos((90.0 - x) * RADIANS_PER_DEGREE);
        r = 1.0 - one_minus_cos / one_minus_cos_60 / 2.0;
    }
    return r;
}
static double cos_quarter(double x)
{
    const double at_30 = sin(30.0 * RADIANS_PER_DEGREE);
    const double one_minus_cos_60 = 1.0 - cos(60.0 * RADIANS_PER_DEGREE);
    volatile double r;
    if (x <= 60.0) {
        volatile double one_minus_cos = 1.0 - cos(x * RADIANS_PER_DEGREE);
        r = 1.0 - one_minus_cos / one_minus_cos_60 / 2.0;
    } else {
        r = sin((90.0 - x) * RADIANS_PER_DEGREE) / at_30 / 2.0;
    }
    return r;
}
static double sind(double x)
{
    int sign = 1;
    x = fmod(x, 360.0);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180.0) {
        x = 360.0 - x;
        sign = -sign;
    }
    if (x > 90.0) {
        x = 180.0 - x;
    }
    return sign * sin_quarter(x);
}
static double cosd(double x)
{
    int sign = 1;
    x = fabs(fmod(x, 360.0));
    if (x > 180.0) {
        x = 360.0 - x;
    }
    if (x > 90.0) {
        x = 180.0 - x;
        sign = -sign;
    }
    return sign * cos_quarter(x);
}
/* tan and cot share the folding; at 45 degrees the quotient of sine and cosine is scaled to 1. */
static double tand(double x, bool cotangent)
{
    int sign = 1;
    x = fmod(x, 360.0);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180.0) {
        x = 360.0 - x;
        sign = -sign;
    }
    if (x > 90.0) {
        x = 180.0 - x;
        sign = -sign;
    }
    volatile double ratio = cotangent ? cos_quarter(x) / sin_quarter(x) : sin_quarter(x) / cos_quarter(x);
    volatile double at_45 = cotangent ? cos_quarter(45.0) / sin_quarter(45.0) : sin_quarter(45.0) / cos_quarter(45.0);
    double r = sign * (ratio / at_45);
    return r == 0 ? 0.0 : r;
}
static double asind_quarter(double x)
{
    if (x <= 0.5) {
        volatile double v = asin(x);
        return (v / asin(0.5)) * 30.0;
    }
    volatile double v = acos(x);
    return 90.0 - (v / acos(0.5)) * 60.0;
}
static double acosd_quarter(double x)
{
    if (x <= 0.5) {
        volatile double v = asin(x);
        return 90.0 - (v / asin(0.5)) * 30.0;
    }
    volatile double v = acos(x);
    return (v / acos(0.5)) * 60.0;
}
static double asind(double x)
{
    return x >= 0 ? asind_quarter(x) : -asind_quarter(-x);
}
static double acosd(double x)
{
    return x >= 0 ? acosd_quarter(x) : 90.0 + asind_quarter(-x);
}
static double atand(double x)
{
    volatile double v = atan(x);
    return (v / atan(1.0)) * 45.0;
}
static double atan2d(double y, double x)
{
    volatile double v = atan2(y, x);
    return (v / atan(1.0)) * 45.0;
}
TRIG(k_dsind, isinf(a), sind(a))
TRIG(k_dcosd, isinf(a), cosd(a))
TRIG(k_dtand, isinf(a), tand(a, false))
TRIG(k_dcotd, isinf(a), tand(a, true))
TRIG(k_dasind, a<-1 || a> 1, asind(a))
TRIG(k_dacosd, a<-1 || a> 1, acosd(a))
TRIG(k_datand, false, atand(a))
KERNEL2(k_datan2d, double, double, double, r = isnan(a) || isnan(b) ? NAN : atan2d(a, b);)

KERNEL4(
    k_width_bucket, double, double, double, int32_t, int32_t,
    if (d <= 0) {
        FAIL(ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "count must be greater than zero");
    } if (isnan(a) || isnan(b) || isnan(c)) {
        FAIL(ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "operand, lower bound, and upper bound cannot be NaN");
    } if (isinf(b) || isinf(c)) {
        FAIL(ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "lower and upper bounds must be finite");
    } if (b == c) {
        FAIL(ST_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "lower bound cannot equal upper bound");
    } bool below = b < c ? a < b : a > b;
    bool above = b < c ? a >= c : a <= c; if (below) { r = 0; } else if (above) {
        if (d == INT32_MAX) {
            FAIL(ST_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
        }
        r = d + 1;
    } else {
        /* Halved where the difference of the bounds could overflow. */
        double share = isinf(c - b) ? (a / 2 - b / 2) / (c / 2 - b / 2) : (a - b) / (c - b);
        r = (int32_t)((double)d * share);
        r = r >= d ? d : r + 1;
    })

#define F4(p)                                                                                                          \
    {#p "pl", k_##p##pl, KERNEL_TOTAL, NULL}, {#p "mi", k_##p##mi, KERNEL_TOTAL, NULL},                                \
        {#p "mul", k_##p##mul, KERNEL_TOTAL, NULL},                                                                    \
    {                                                                                                                  \
#p "div", k_##p##div, 0, NULL                                                                                  \
    }
#define FM(p)                                                                                                          \
    F4(p), {#p "um", k_##p##um, KERNEL_TOTAL, NULL}, {#p "up", k_##p##up, KERNEL_TOTAL, NULL},                         \
        {#p "abs", k_##p##abs, KERNEL_TOTAL, NULL}, {#p "larger", k_##p##larger, KERNEL_TOTAL, NULL},                  \
    {                                                                                                                  \
#p "smaller", k_##p##smaller, KERNEL_TOTAL, NULL                                                               \
    }
#define K(name)                                                                                                        \
    {                                                                                                                  \
#name, k_##name, 0, NULL                                                                                       \
    }

/* clang-format off */
KERNEL_LIST(float_kernel_list,
    FM(float4), FM(float8), F4(float48), F4(float84), K(ftod), K(dtof), K(dtoi2), K(dtoi4), K(dtoi8), K(ftoi2),
    K(ftoi4), K(ftoi8), K(i2tod), K(i4tod), K(i8tod), K(i2tof), K(i4tof), K(i8tof), K(dround), K(dceil), K(dfloor),
    K(dtrunc), K(dsign), K(dsqrt), K(dcbrt), K(dexp), K(dlog1), K(dlog10), K(dpow), K(dacos), K(dasin), K(datan), K(dcos),
    K(dsin), K(dtan), K(dcot), K(dasinh), K(dacosh), K(datanh), K(dtanh), K(dsinh), K(dcosh), K(datan2), K(degrees),
    K(radians), K(dpi), K(dsind), K(dcosd), K(dtand), K(dcotd), K(dasind), K(dacosd), K(datand), K(datan2d),
    {"width_bucket_float8", k_width_bucket, 0, NULL})
/* clang-format on */
