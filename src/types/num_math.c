/*
 * types/num_math.c: square root, logarithm, exponential and power of variable-form numbers.
 *
 * Key idea: PostgreSQL computes each of these to a decimal scale that it estimates beforehand, and rounds half away
 * from zero there. The estimates are reproduced here; the value comes from MPFR with some digits more than needed. A
 * result too close to a rounding boundary to decide is computed again with twice the precision (Ziv's strategy); one that
 * is still there then is taken as exactly on the boundary, which the extra digits prove for every rational power of
 * numbers this size.
 *
 * Memory: MPFR allocates by malloc and aborts when that fails, so what a call may need is charged to the budget first.
 */
#include "types/numeric.h"

#include <math.h>
#include <mpfr.h>
#include <stdlib.h>

#include "types/num_limbs.h"

enum { GUARD_DIGITS = 12, RETRIES = 3 };

static int max_int(int x, int y)
{
    return x > y ? x : y;
}
static int min_int(int x, int y)
{
    return x < y ? x : y;
}

static int clamp_scale(int rscale, int dscale)
{
    rscale = max_int(rscale, dscale);
    rscale = max_int(rscale, 0);
    return min_int(rscale, NUM_DISPLAY_SCALE_MAX);
}

/* What to compute: operands as decimal text. */
typedef struct MathOp {
    int (*fn)(mpfr_t r, const mpfr_t x, const mpfr_t y);
    const char *x;
    const char *y; /* NULL = unary */
} MathOp;

static int op_sqrt(mpfr_t r, const mpfr_t x, const mpfr_t y)
{
    (void)y;
    return mpfr_sqrt(r, x, MPFR_RNDN);
}
static int op_ln(mpfr_t r, const mpfr_t x, const mpfr_t y)
{
    (void)y;
    return mpfr_log(r, x, MPFR_RNDN);
}
static int op_exp(mpfr_t r, const mpfr_t x, const mpfr_t y)
{
    (void)y;
    return mpfr_exp(r, x, MPFR_RNDN);
}
static int op_pow(mpfr_t r, const mpfr_t x, const mpfr_t y)
{
    return mpfr_pow(r, x, y, MPFR_RNDN);
}
/* log of y in base x */
static int op_log(mpfr_t r, const mpfr_t x, const mpfr_t y)
{
    mpfr_t t;
    mpfr_init2(t, mpfr_get_prec(r));
    mpfr_log(t, x, MPFR_RNDN);
    mpfr_log(r, y, MPFR_RNDN);
    int inexact = mpfr_div(r, r, t, MPFR_RNDN);
    mpfr_clear(t);
    return inexact;
}

/* A number as text for mpfr_set_str: all its digits and an exponent. */
static const char *math_text(Ctx *cx, Arena *a, const Num *v)
{
    char *digits;
    size_t n;
    int32_t dweight;
    if (num_to_digits(cx, a, v, &digits, &n, &dweight) != ST_OK) {
        return NULL;
    }
    char *text = arena_printf(a, "%s%.*s@%d", v->kind == NUM_NEG ? "-" : "", n == 0 ? 1 : (int)n, n == 0 ? "0" : digits,
                              n == 0 ? 0 : dweight - (int32_t)n + 1);
    if (text == NULL) {
        (void)ctx_nomem(cx, n);
    }
    return text;
}

/*
 * Digits kept are digits[0..keep); looks at those behind them. Returns 1 to round up, 0 to cut, -1 if the digits
 * behind are within the error of a boundary.
 */
static int rounding(const char *digits, size_t keep, size_t have)
{
    const char *tail = digits + keep;
    size_t n = have - keep;
    size_t sure = n - 3; /* the last digits may be wrong */
    size_t same = 1;
    char half_tail = tail[0] == '5' ? '0' : tail[0] == '4' ? '9' : 0;
    if (half_tail != 0) {
        while (same < sure && tail[same] == half_tail) {
            same++;
        }
        if (same == sure) {
            return -1;
        }
    }
    return tail[0] >= '5';
}

/* Adds one to the last of n digits; a carry out of the first turns 999 into 1000 and is reported. */
static bool increment(char *digits, size_t n)
{
    while (n > 0) {
        if (digits[n - 1] != '9') {
            digits[n - 1]++;
            return false;
        }
        digits[--n] = '0';
    }
    return true;
}

/* Rounds MPFR's digit string to rscale. *out_ok false: too close to call. */
static Status round_result(Ctx *cx, Arena *a, char *digits, size_t have, int64_t dweight, NumKind kind, int rscale,
                           bool last_try, bool *out_ok, Num *out)
{
    int64_t keep = dweight + 1 + rscale;
    *out_ok = true;
    if (keep < 0) {
        *out = num_zero(rscale);
        return ST_OK;
    }
    ASSERT((size_t)keep + 4 <= have);
    int up = rounding(digits, (size_t)keep, have);
    if (up < 0) {
        if (!last_try) {
            *out_ok = false;
            return ST_OK;
        }
        up = 1; /* exactly half: away from zero */
    }
    char one = '1';
    if (up && increment(digits, (size_t)keep)) {
        /* 9.99 became 10.00: one digit, one place higher. */
        digits = &one;
        keep = 1;
        dweight++;
    }
    return num_from_digits(cx, a, digits, (size_t)keep, dweight, kind, rscale, out);
}

static Status compute_once(Ctx *cx, Arena *a, const MathOp *op, mpfr_prec_t bits, int rscale, int sig_digits,
                           bool last_try, bool *out_ok, Num *out)
{
    Status st = ST_OK;
    mpfr_t x, y, r;
    mpfr_inits2(bits, x, y, r, (mpfr_ptr)NULL);
    mpfr_set_str(x, op->x, 10, MPFR_RNDN);
    mpfr_set_str(y, op->y != NULL ? op->y : "0", 10, MPFR_RNDN);
    (void)op->fn(r, x, y);
    *out_ok = true;
    if (mpfr_zero_p(r)) {
        *out = num_zero(rscale);
        goto out;
    }
    ASSERT(!mpfr_nan_p(r));
    if (mpfr_inf_p(r)) {
        st = err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        goto out;
    }
    size_t have = (size_t)sig_digits + GUARD_DIGITS;
    char *digits = arena_alloc(a, have + 3);
    if (digits == NULL) {
        st = ctx_nomem(cx, have);
        goto out;
    }
    mpfr_exp_t exponent;
    (void)mpfr_get_str(digits, &exponent, 10, have, r, MPFR_RNDN);
    bool negative = digits[0] == '-';
    int64_t dweight = (int64_t)exponent - 1;
    if (dweight + 1 + rscale + 4 > (int64_t)have) {
        /* The estimate of the size was short: ask for what is needed. */
        *out_ok = false;
        *out = (Num){.weight = (int32_t)min_int((int)(dweight + 1 + rscale), 400000)};
        goto out;
    }
    st = round_result(cx, a, digits + negative, have, dweight, negative ? NUM_NEG : NUM_POS, rscale, last_try, out_ok,
                      out);
out:
    mpfr_clears(x, y, r, (mpfr_ptr)NULL);
    return st;
}

/* Computes op to rscale; sig_digits is an estimate of the digits that takes, operand digits included. */
static Status compute(Ctx *cx, Arena *a, const MathOp *op, int rscale, int sig_digits, Num *out)
{
    sig_digits = max_int(sig_digits, 20);
    for (int try = 0; try <= RETRIES; try++) {
        mpfr_prec_t bits = (mpfr_prec_t)((double)(sig_digits + GUARD_DIGITS) * 3.33 + 64);
        size_t charge = (size_t)bits * 4; /* some thirty temporaries of bits / 8 bytes */
        if (!budget_charge(cx->budget, charge)) {
            return ctx_nomem(cx, charge);
        }
        bool ok;
        Num r = {0};
        Status st = compute_once(cx, a, op, bits, rscale, sig_digits, try == RETRIES, &ok, &r);
        if (bits > 4096) {
            mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE); /* constants of this size are not worth keeping per thread */
        }
        budget_release(cx->budget, charge);
        if (st != ST_OK) {
            return st;
        }
        if (ok) {
            *out = r;
            return num_check(cx, &r);
        }
        sig_digits = max_int(sig_digits * 2, r.weight + 8);
    }
    return err_set(cx->err, ST_INTERNAL, "numeric function did not converge");
}

static Status compute1(Ctx *cx, Arena *a, int (*fn)(mpfr_t, const mpfr_t, const mpfr_t), const Num *x, const Num *y,
                       int rscale, int sig_digits, Num *out)
{
    MathOp op = {.fn = fn, .x = math_text(cx, a, x), .y = y != NULL ? math_text(cx, a, y) : NULL};
    if (op.x == NULL || (y != NULL && op.y == NULL)) {
        return ST_OUT_OF_MEMORY;
    }
    int operand_digits = (int)x->n * NUM_BASE_DIGITS + (y != NULL ? (int)y->n * NUM_BASE_DIGITS : 0);
    return compute(cx, a, &op, rscale, sig_digits + operand_digits, out);
}

/* ---- square root ---- */

Status num_sqrt_scale(Ctx *cx, Arena *a, const Num *x, int rscale, Num *out)
{
    if (num_is_zero(x)) {
        *out = num_zero(rscale);
        return ST_OK;
    }
    return compute1(cx, a, op_sqrt, x, NULL, rscale, num_dweight(x) / 2 + 2 + rscale, out);
}

Status num_sqrt(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    if (x->kind == NUM_NAN || x->kind == NUM_INF) {
        *out = *x;
        return ST_OK;
    }
    if (num_sign(x) < 0) {
        return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number");
    }
    int32_t weight = num_pg_weight(x);
    int result_dweight = weight * 4 / 2 + 1; /* C's truncation, as PostgreSQL has it */
    int rscale = clamp_scale(NUM_SIG_DIGITS_MIN - result_dweight, x->dscale);
    return num_sqrt_scale(cx, a, x, rscale, out);
}

/* ---- ln, log ---- */

/* Decimal weight of ln(x): PostgreSQL's estimate_ln_dweight. */
static int ln_dweight(Ctx *cx, Arena *a, const Num *x)
{
    uint32_t nine = 900000000;
    uint32_t one_limb = 1;
    uint32_t eleven[2] = {1, 100000000};
    const Num low = {.n = 1, .weight = -1, .limbs = &nine};
    const Num one = {.n = 1, .limbs = &one_limb};
    const Num high = {.n = 2, .limbs = eleven};
    if (num_sign(x) <= 0) {
        return 0;
    }
    if (num_cmp(x, &low) >= 0 && num_cmp(x, &high) <= 0) {
        Num d;
        return num_sub(cx, a, x, &one, &d) == ST_OK && d.n != 0 ? num_dweight(&d) : 0;
    }
    double digits = num_pg_digit(x, 0);
    int dweight = num_pg_weight(x) * 4;
    if (num_dweight(x) - num_pg_weight(x) * 4 + num_min_scale(x) > 0 || x->n > 1 || num_pg_digit(x, 1) != 0) {
        digits = digits * 10000 + num_pg_digit(x, 1);
        dweight -= 4;
    }
    double ln = log(digits) + dweight * 2.302585092994046;
    return (int)log10(fabs(ln));
}

static Status check_log(Ctx *cx, const Num *x)
{
    int sign = num_sign(x);
    if (x->kind == NUM_NAN || sign > 0) {
        return ST_OK;
    }
    return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_LOGARITHM, "%s",
                   sign == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number");
}

Status num_ln(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    Status st = check_log(cx, x);
    if (st != ST_OK) {
        return st;
    }
    if (num_is_special(x)) {
        *out = *x;
        return ST_OK;
    }
    int dweight = ln_dweight(cx, a, x);
    int rscale = clamp_scale(NUM_SIG_DIGITS_MIN - dweight, x->dscale);
    return compute1(cx, a, op_ln, x, NULL, rscale, rscale + 8, out);
}

Status num_log(Ctx *cx, Arena *a, const Num *base, const Num *x, Num *out)
{
    if (base->kind == NUM_NAN || x->kind == NUM_NAN) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    Status st = check_log(cx, base);
    if (st == ST_OK) {
        st = check_log(cx, x);
    }
    if (st != ST_OK) {
        return st;
    }
    if (num_is_special(base)) {
        *out = num_is_special(x) ? num_special(NUM_NAN) : num_zero(0);
        return ST_OK;
    }
    if (num_is_special(x)) {
        *out = num_special(NUM_INF); /* also for bases below 1, as PostgreSQL has it */
        return ST_OK;
    }
    uint32_t one_limb = 1;
    const Num one = {.n = 1, .limbs = &one_limb};
    if (num_cmp(base, &one) == 0) {
        return err_set(cx->err, ST_DIVISION_BY_ZERO, "division by zero");
    }
    int rscale = NUM_SIG_DIGITS_MIN - (ln_dweight(cx, a, x) - ln_dweight(cx, a, base));
    rscale = clamp_scale(rscale, max_int(base->dscale, x->dscale));
    return compute1(cx, a, op_log, base, x, rscale, rscale + 16, out);
}

/* ---- exp, power ---- */

#define LOG10_E 0.434294481903252

Status num_exp(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    if (num_is_special(x)) {
        *out = x->kind == NUM_NEG_INF ? num_zero(0) : *x;
        return ST_OK;
    }
    double value = num_to_f64(cx, a, x);
    double dweight = value * LOG10_E;
    dweight = fmin(fmax(dweight, -NUM_RESULT_SCALE_MAX), NUM_RESULT_SCALE_MAX);
    int rscale = clamp_scale(NUM_SIG_DIGITS_MIN - (int)dweight, x->dscale);
    if (fabs(value) >= NUM_RESULT_SCALE_MAX * 3) {
        if (value > 0) {
            return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        }
        *out = num_zero(rscale);
        return ST_OK;
    }
    return compute1(cx, a, op_exp, x, NULL, rscale, max_int((int)(value * LOG10_E) + 2, 0) + rscale, out);
}

static bool is_integer(const Num *x)
{
    return num_min_scale(x) == 0;
}

/* Last decimal digit of an integer is odd. */
static bool is_odd(const Num *x)
{
    return x->n != 0 && x->weight == (int32_t)x->n - 1 && x->limbs[x->n - 1] % 2 == 1;
}

/* Rounded copy for the cases that need no computing. */
static Status power_small(Ctx *cx, Arena *a, const Num *x, int exponent, int rscale, Num *out)
{
    uint32_t *one = num_limbs(cx, a, 1);
    if (one == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    *one = 1;
    Num r = {.n = 1, .limbs = one, .dscale = rscale};
    Num product;
    Status st = ST_OK;
    switch (exponent) {
    case 0: *out = r; return ST_OK;
    case 1: return num_round(cx, a, x, rscale, out);
    case -1: return num_div_scale(cx, a, &r, x, rscale, true, out);
    default: st = num_mul(cx, a, x, x, &product); return st != ST_OK ? st : num_round(cx, a, &product, rscale, out);
    }
}

static Status power_int(Ctx *cx, Arena *a, const Num *x, const Num *y, int exponent, Num *out)
{
    int rscale = clamp_scale(NUM_SIG_DIGITS_MIN, x->dscale);
    if (exponent >= -1 && exponent <= 2) {
        return power_small(cx, a, x, exponent, rscale, out);
    }
    if (x->n == 0) {
        if (exponent < 0) {
            return err_set(cx->err, ST_DIVISION_BY_ZERO, "division by zero");
        }
        *out = num_zero(rscale);
        return ST_OK;
    }
    double f = num_pg_digit(x, 0);
    int p = num_pg_weight(x) * 4;
    for (int i = 1; i < 4; i++) {
        f = f * 10000 + num_pg_digit(x, i);
        p -= 4;
    }
    f = exponent * (log10(f) + p);
    if (f > 3.0 * INT16_MAX * 4) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    if (f + 1 < -rscale || f + 1 < -NUM_DISPLAY_SCALE_MAX) {
        *out = num_zero(rscale);
        return ST_OK;
    }
    if (f > NUM_WEIGHT_MAX + 2) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    return compute1(cx, a, op_pow, x, y, rscale, 2 + rscale + max_int((int)f, 0), out);
}

static Status power_finite(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    int64_t exponent;
    if (is_integer(y) && num_to_i64(y, &exponent) && exponent >= INT32_MIN && exponent <= INT32_MAX) {
        return power_int(cx, a, x, y, (int)exponent, out);
    }
    if (x->n == 0) {
        *out = num_zero(NUM_SIG_DIGITS_MIN);
        return ST_OK;
    }
    Num base = *x;
    NumKind kind = NUM_POS;
    if (x->kind == NUM_NEG) {
        kind = is_odd(y) ? NUM_NEG : NUM_POS;
        base.kind = NUM_POS;
    }
    int ln_weight = ln_dweight(cx, a, &base);
    int ln_scale = max_int(8 - ln_weight, 0);
    Num ln;
    Num product;
    Num rounded;
    Status st = compute1(cx, a, op_ln, &base, NULL, ln_scale, ln_scale + 8, &ln);
    if (st == ST_OK) {
        st = num_mul(cx, a, &ln, y, &product);
    }
    if (st == ST_OK) {
        st = num_round(cx, a, &product, ln_scale, &rounded);
    }
    if (st != ST_OK) {
        return st;
    }
    double value = num_to_f64(cx, a, &rounded);
    if (fabs(value) > NUM_RESULT_SCALE_MAX * 3.01) {
        if (value > 0) {
            return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        }
        *out = num_zero(NUM_DISPLAY_SCALE_MAX);
        return ST_OK;
    }
    value *= LOG10_E;
    int rscale = clamp_scale(NUM_SIG_DIGITS_MIN - (int)value, max_int(x->dscale, y->dscale));
    st = compute1(cx, a, op_pow, &base, y, rscale, rscale + max_int((int)value, 0) + 4, out);
    if (st == ST_OK && kind == NUM_NEG && out->n != 0) {
        out->kind = NUM_NEG;
    }
    return st;
}

/* Powers with NaN or an infinity, after POSIX pow(), as PostgreSQL's numeric_power. */
static Status power_special(Ctx *cx, const Num *x, const Num *y, const Num *one, Num *out)
{
    Num zero = num_zero(0);
    if (x->kind == NUM_NAN || y->kind == NUM_NAN) {
        bool is_one = (y->kind != NUM_NAN && num_is_zero(y)) || (x->kind != NUM_NAN && num_cmp(x, one) == 0);
        *out = is_one ? *one : num_special(NUM_NAN);
        return ST_OK;
    }
    int sx = num_sign(x);
    int sy = num_sign(y);
    if (sx == 0 && sy < 0) {
        return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "zero raised to a negative power is undefined");
    }
    if (sx < 0 && !num_is_special(y) && !is_integer(y)) {
        return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                       "a negative number raised to a non-integer power yields a complex result");
    }
    Num magnitude = *x;
    if (!num_is_special(x)) {
        magnitude.kind = NUM_POS;
    }
    if (num_cmp(x, one) == 0 || sy == 0) {
        *out = *one;
    } else if (sx == 0) {
        *out = zero;
    } else if (num_is_special(y)) {
        int size = num_is_special(x) ? 1 : num_cmp(&magnitude, one);
        if (size == 0) {
            *out = *one;
        } else {
            *out = (size > 0) == (y->kind == NUM_INF) ? num_special(NUM_INF) : zero;
        }
    } else if (sy < 0) {
        *out = zero;
    } else {
        *out = num_special(x->kind == NUM_NEG_INF && is_odd(y) ? NUM_NEG_INF : NUM_INF);
    }
    return ST_OK;
}

Status num_power(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    uint32_t *one_limb = num_limbs(cx, a, 1);
    if (one_limb == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    *one_limb = 1;
    const Num one = {.n = 1, .limbs = one_limb};
    if (num_is_special(x) || num_is_special(y)) {
        return power_special(cx, x, y, &one, out);
    }
    int sx = num_sign(x);
    if (sx == 0 && num_sign(y) < 0) {
        return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "zero raised to a negative power is undefined");
    }
    if (sx < 0 && !is_integer(y)) {
        return err_set(cx->err, ST_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                       "a negative number raised to a non-integer power yields a complex result");
    }
    return power_finite(cx, a, x, y, out);
}
