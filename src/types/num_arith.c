/*
 * types/num_arith.c: + - * / and rounding of variable-form numbers, school-book on limbs in base 10^9.
 */
#include "types/numeric.h"

#include "types/num_limbs.h"
#include "types/registry.h"

/* ---- addition ---- */

/* Limb that counts BASE^weight. */
static uint32_t limb_at(const Num *v, int32_t weight)
{
    int32_t i = v->weight - weight;
    return i >= 0 && i < (int32_t)v->n ? v->limbs[i] : 0;
}

static int32_t low_weight(const Num *v)
{
    return v->weight - (int32_t)v->n + 1;
}

/* |x| + |y| (sign 1) or |x| - |y| (sign -1, |x| >= |y|). Kind and dscale are the caller's. */
static Status add_magnitudes(Ctx *cx, Arena *a, const Num *x, const Num *y, int sign, Num *out)
{
    int32_t high = (x->weight > y->weight ? x->weight : y->weight) + 1;
    int32_t low = low_weight(x) < low_weight(y) ? low_weight(x) : low_weight(y);
    Num r = {.weight = high, .n = (uint32_t)(high - low + 1)};
    r.limbs = num_limbs(cx, a, r.n);
    if (r.limbs == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    int64_t carry = 0;
    for (int32_t w = low; w <= high; w++) {
        int64_t t = (int64_t)limb_at(x, w) + sign * (int64_t)limb_at(y, w) + carry;
        carry = t >= NUM_BASE ? 1 : t < 0 ? -1 : 0;
        r.limbs[high - w] = (uint32_t)(t - carry * (int64_t)NUM_BASE);
    }
    ASSERT(carry == 0);
    *out = r;
    return ST_OK;
}

static Status add_finite(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    Num r;
    int dscale = x->dscale > y->dscale ? x->dscale : y->dscale;
    NumKind kind = x->kind;
    Status st;
    if (x->n == 0 || y->n == 0) {
        r = x->n == 0 ? *y : *x;
        r.dscale = dscale;
        *out = r;
        return ST_OK;
    }
    if (x->kind == y->kind) {
        st = add_magnitudes(cx, a, x, y, 1, &r);
    } else if (num_cmp_magnitude(x, y) >= 0) {
        st = add_magnitudes(cx, a, x, y, -1, &r);
    } else {
        kind = y->kind;
        st = add_magnitudes(cx, a, y, x, -1, &r);
    }
    if (st != ST_OK) {
        return st;
    }
    r.kind = kind;
    r.dscale = dscale;
    num_strip(&r);
    *out = r;
    return num_check(cx, &r);
}

static Num negated(const Num *x)
{
    static const NumKind opposite[] = {NUM_NEG, NUM_POS, NUM_NAN, NUM_NEG_INF, NUM_INF};
    Num r = *x;
    if (!num_is_zero(x)) {
        r.kind = opposite[x->kind];
    }
    return r;
}

Status num_add(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (!num_is_special(x) && !num_is_special(y)) {
        return add_finite(cx, a, x, y, out);
    }
    if (x->kind == NUM_NAN || y->kind == NUM_NAN) {
        *out = num_special(NUM_NAN);
    } else if (num_is_special(x) && num_is_special(y) && x->kind != y->kind) {
        *out = num_special(NUM_NAN); /* Infinity - Infinity */
    } else {
        *out = num_special(num_is_special(x) ? x->kind : y->kind);
    }
    return ST_OK;
}

Status num_sub(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    Num minus_y = negated(y);
    return num_add(cx, a, x, &minus_y, out);
}

/* ---- multiplication ---- */

Status num_mul(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    int sign = num_sign(x) * num_sign(y);
    if (num_is_special(x) || num_is_special(y)) {
        bool nan = x->kind == NUM_NAN || y->kind == NUM_NAN || sign == 0;
        *out = num_special(nan ? NUM_NAN : sign > 0 ? NUM_INF : NUM_NEG_INF);
        return ST_OK;
    }
    Num r = {.kind = sign < 0 ? NUM_NEG : NUM_POS, .dscale = x->dscale + y->dscale, .n = x->n + y->n};
    if (sign != 0) {
        r.weight = x->weight + y->weight + 1;
        r.limbs = num_limbs(cx, a, r.n);
        if (r.limbs == NULL) {
            return ST_OUT_OF_MEMORY;
        }
        for (uint32_t i = x->n; i-- > 0;) {
            uint64_t carry = 0;
            for (uint32_t j = y->n; j-- > 0;) {
                uint64_t t = (uint64_t)x->limbs[i] * y->limbs[j] + r.limbs[i + j + 1] + carry;
                r.limbs[i + j + 1] = (uint32_t)(t % NUM_BASE);
                carry = t / NUM_BASE;
            }
            r.limbs[i] = (uint32_t)carry;
        }
    } else {
        r.n = 0;
    }
    num_strip(&r);
    if (r.dscale > NUM_DSCALE_MAX) {
        Num exact = r;
        Status st = num_round(cx, a, &exact, NUM_DSCALE_MAX, &r);
        if (st != ST_OK) {
            return st;
        }
    }
    *out = r;
    return num_check(cx, &r);
}

/* ---- division ---- */

/* u[0..un) by one limb, in place; quotient in u. */
static void divide_short(uint32_t *u, uint32_t un, uint32_t v)
{
    uint64_t rem = 0;
    for (uint32_t i = 0; i < un; i++) {
        uint64_t t = rem * NUM_BASE + u[i];
        u[i] = (uint32_t)(t / v);
        rem = t % v;
    }
}

/* Multiplies in place by a factor below BASE; the result fits. */
static void scale_limbs(uint32_t *p, uint32_t n, uint32_t factor)
{
    uint64_t carry = 0;
    for (uint32_t i = n; i-- > 0;) {
        uint64_t t = (uint64_t)p[i] * factor + carry;
        p[i] = (uint32_t)(t % NUM_BASE);
        carry = t / NUM_BASE;
    }
    ASSERT(carry == 0);
}

/* Subtracts q * v from u[0..vn], returns whether it went below zero. */
static bool mul_sub(uint32_t *u, const uint32_t *v, uint32_t vn, uint64_t q)
{
    uint64_t carry = 0;
    int64_t borrow = 0;
    for (uint32_t i = vn; i-- > 0;) {
        uint64_t p = q * v[i] + carry;
        carry = p / NUM_BASE;
        int64_t t = (int64_t)u[i + 1] - (int64_t)(p % NUM_BASE) + borrow;
        borrow = t < 0 ? -1 : 0;
        u[i + 1] = (uint32_t)(t < 0 ? t + (int64_t)NUM_BASE : t);
    }
    int64_t t = (int64_t)u[0] - (int64_t)carry + borrow;
    u[0] = (uint32_t)(t < 0 ? t + (int64_t)NUM_BASE : t);
    return t < 0;
}

static void add_back(uint32_t *u, const uint32_t *v, uint32_t vn)
{
    uint32_t carry = 0;
    for (uint32_t i = vn; i-- > 0;) {
        uint32_t t = u[i + 1] + v[i] + carry;
        carry = t >= NUM_BASE;
        u[i + 1] = carry ? t - NUM_BASE : t;
    }
    u[0] = (u[0] + carry) % NUM_BASE;
}

/*
 * Knuth, TAOCP 2, 4.3.1 D. u has un limbs of which u[0] is 0, v has vn >= 2 limbs; both are clobbered. q gets un - vn
 * limbs.
 */
static void divide_long(uint32_t *u, uint32_t un, uint32_t *v, uint32_t vn, uint32_t *q)
{
    uint32_t norm = (uint32_t)(NUM_BASE / ((uint64_t)v[0] + 1));
    scale_limbs(u, un, norm);
    scale_limbs(v, vn, norm);
    for (uint32_t j = 0; j + vn < un; j++) {
        uint64_t top = (uint64_t)u[j] * NUM_BASE + u[j + 1];
        uint64_t guess = top / v[0];
        uint64_t rem = top % v[0];
        while (guess >= NUM_BASE || guess * v[1] > rem * NUM_BASE + u[j + 2]) {
            guess--;
            rem += v[0];
            if (rem >= NUM_BASE) {
                break;
            }
        }
        if (mul_sub(u + j, v, vn, guess)) {
            add_back(u + j, v, vn);
            guess--;
        }
        q[j] = (uint32_t)guess;
    }
}

/* |x| / |y| cut after frac_limbs limbs behind the point (may be negative). y is not zero. */
static Status divide_magnitudes(Ctx *cx, Arena *a, const Num *x, const Num *y, int32_t frac_limbs, Num *out)
{
    int32_t quotient_limbs = x->weight - y->weight + 1 + frac_limbs;
    if (quotient_limbs <= 0 || x->n == 0) {
        *out = num_zero(0);
        return ST_OK;
    }
    /* One leading zero limb, then as much of x as decides the quotient. */
    uint32_t un = (uint32_t)quotient_limbs + y->n;
    uint32_t *u = num_limbs(cx, a, (size_t)un + 1);
    uint32_t *v = num_limbs(cx, a, y->n);
    uint32_t *q = num_limbs(cx, a, (size_t)quotient_limbs);
    if (u == NULL || v == NULL || q == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    uint32_t copied = x->n < un - 1 ? x->n : un - 1;
    memcpy(u + 1, x->limbs, copied * sizeof *u);
    memcpy(v, y->limbs, y->n * sizeof *v);
    Num r = {.weight = x->weight - y->weight, .n = (uint32_t)quotient_limbs};
    if (y->n == 1) {
        divide_short(u, un, v[0]);
        r.limbs = u + 1;
    } else {
        divide_long(u, un, v, y->n, q);
        r.limbs = q;
    }
    num_strip(&r);
    *out = r;
    return ST_OK;
}

Status num_div_scale(Ctx *cx, Arena *a, const Num *x, const Num *y, int rscale, bool round, Num *out)
{
    if (num_is_zero(y)) {
        return err_set(cx->err, ST_DIVISION_BY_ZERO, "division by zero");
    }
    /* One digit beyond the scale decides the rounding; the cut quotient has it exactly. */
    int32_t frac_limbs = -floor_div(-(rscale + 1), NUM_BASE_DIGITS);
    Num q;
    Status st = divide_magnitudes(cx, a, x, y, frac_limbs, &q);
    if (st != ST_OK) {
        return st;
    }
    q.kind = q.n == 0 ? NUM_POS : x->kind == y->kind ? NUM_POS : NUM_NEG;
    Num r;
    st = round ? num_round(cx, a, &q, rscale, &r) : num_trunc(cx, a, &q, rscale, &r);
    if (st == ST_OK) {
        st = num_check(cx, &r);
    }
    if (st == ST_OK) {
        *out = r;
    }
    return st;
}

int num_div_rscale(const Num *x, const Num *y)
{
    int32_t quotient_weight = num_pg_weight(x) - num_pg_weight(y);
    uint32_t first_x = x->n == 0 ? 0 : num_pg_digit(x, 0);
    uint32_t first_y = y->n == 0 ? 0 : num_pg_digit(y, 0);
    if (first_x <= first_y) {
        quotient_weight--;
    }
    int rscale = NUM_SIG_DIGITS_MIN - quotient_weight * 4;
    rscale = rscale > x->dscale ? rscale : x->dscale;
    rscale = rscale > y->dscale ? rscale : y->dscale;
    rscale = rscale > 0 ? rscale : 0;
    return rscale < NUM_DISPLAY_SCALE_MAX ? rscale : NUM_DISPLAY_SCALE_MAX;
}

/* Division with a special operand, for / and div(). */
static Status div_special(Ctx *cx, const Num *x, const Num *y, Num *out)
{
    if (x->kind == NUM_NAN || y->kind == NUM_NAN) {
        *out = num_special(NUM_NAN);
    } else if (num_is_special(x)) {
        if (num_is_special(y)) {
            *out = num_special(NUM_NAN);
        } else if (y->n == 0) {
            return err_set(cx->err, ST_DIVISION_BY_ZERO, "division by zero");
        } else {
            *out = num_special(num_sign(x) * num_sign(y) > 0 ? NUM_INF : NUM_NEG_INF);
        }
    } else {
        *out = num_zero(0); /* finite / infinity */
    }
    return ST_OK;
}

Status num_div(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (num_is_special(x) || num_is_special(y)) {
        return div_special(cx, x, y, out);
    }
    return num_div_scale(cx, a, x, y, num_div_rscale(x, y), true, out);
}

Status num_div_trunc(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (num_is_special(x) || num_is_special(y)) {
        return div_special(cx, x, y, out);
    }
    return num_div_scale(cx, a, x, y, 0, false, out);
}

Status num_mod(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (x->kind == NUM_NAN || y->kind == NUM_NAN) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    if (num_is_zero(y)) {
        return err_set(cx->err, ST_DIVISION_BY_ZERO, "division by zero");
    }
    if (num_is_special(x)) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    if (num_is_special(y)) {
        *out = *x;
        return ST_OK;
    }
    Num q;
    Num product;
    Status st = num_div_scale(cx, a, x, y, 0, false, &q);
    if (st == ST_OK) {
        st = num_mul(cx, a, &q, y, &product);
    }
    if (st == ST_OK) {
        st = num_sub(cx, a, x, &product, out);
    }
    return st;
}

/* ---- rounding ---- */

/* Cuts to `scale` digits behind the point; *out_up tells whether the first digit cut is 5 or more. Limbs are copied. */
static Status cut(Ctx *cx, Arena *a, const Num *x, int scale, Num *out, bool *out_up)
{
    int32_t last = floor_div(-scale, NUM_BASE_DIGITS); /* weight of the limb that holds the last digit kept */
    int32_t keep = x->weight - last + 1;               /* limbs kept, the last one in part */
    uint32_t unit = num_pow10_u32[-scale - last * NUM_BASE_DIGITS]; /* value of the last digit kept in its limb */
    Num r = *x;
    *out_up = false;
    r.dscale = scale > 0 ? scale : 0;
    if (keep <= 0 || x->n == 0) {
        /* All is cut. The digit behind the point of rounding is the top one of the limb `last - 1`, or in limb `last`. */
        *out_up = x->n != 0 && keep == 0 && unit == 1 && x->limbs[0] >= NUM_BASE / 2;
        r = num_zero(r.dscale);
        *out = r;
        return ST_OK;
    }
    if (keep > (int32_t)x->n) {
        *out = r;
        return ST_OK;
    }
    /* One limb more in front, for a carry. */
    uint32_t *limbs = num_limbs(cx, a, (size_t)keep + 1);
    if (limbs == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    memcpy(limbs + 1, x->limbs, (size_t)keep * sizeof *limbs);
    uint32_t partial = limbs[keep] % unit;
    limbs[keep] -= partial;
    if (unit > 1) {
        *out_up = partial >= unit / 2;
    } else {
        *out_up = keep < (int32_t)x->n && x->limbs[keep] >= NUM_BASE / 2;
    }
    r.limbs = limbs;
    r.n = (uint32_t)keep + 1;
    r.weight = x->weight + 1;
    *out = r;
    return ST_OK;
}

static Status round_up_unit(Ctx *cx, Arena *a, Num *r, int scale, NumKind kind)
{
    int32_t last = floor_div(-scale, NUM_BASE_DIGITS);
    uint32_t unit = num_pow10_u32[-scale - last * NUM_BASE_DIGITS];
    if (r->n == 0) {
        r->limbs = num_limbs(cx, a, 1);
        if (r->limbs == NULL) {
            return ST_OUT_OF_MEMORY;
        }
        r->limbs[0] = unit;
        r->n = 1;
        r->weight = last;
        r->kind = kind;
        return ST_OK;
    }
    uint32_t i = r->n - 1;
    r->limbs[i] += unit;
    while (r->limbs[i] >= NUM_BASE) {
        ASSERT(i > 0);
        r->limbs[i] -= NUM_BASE;
        r->limbs[--i]++;
    }
    return ST_OK;
}

Status num_round(Ctx *cx, Arena *a, const Num *x, int scale, Num *out)
{
    if (num_is_special(x)) {
        *out = *x;
        return ST_OK;
    }
    Num r;
    bool up;
    Status st = cut(cx, a, x, scale, &r, &up);
    if (st == ST_OK && up) {
        st = round_up_unit(cx, a, &r, scale, x->kind);
    }
    if (st != ST_OK) {
        return st;
    }
    num_strip(&r);
    *out = r;
    return num_check(cx, &r);
}

Status num_trunc(Ctx *cx, Arena *a, const Num *x, int scale, Num *out)
{
    if (num_is_special(x)) {
        *out = *x;
        return ST_OK;
    }
    Num r;
    bool up;
    Status st = cut(cx, a, x, scale, &r, &up);
    if (st == ST_OK) {
        num_strip(&r);
        *out = r;
    }
    return st;
}

static Status to_integer(Ctx *cx, Arena *a, const Num *x, NumKind outward, Num *out)
{
    Num r;
    Status st = num_trunc(cx, a, x, 0, &r);
    if (st != ST_OK || num_is_special(x)) {
        *out = num_is_special(x) ? *x : *out;
        return st;
    }
    if (x->kind == outward && num_min_scale(x) > 0) {
        /* On the arena: a sum with zero shares the other operand's limbs. */
        uint32_t *one_limb = num_limbs(cx, a, 1);
        if (one_limb == NULL) {
            return ST_OUT_OF_MEMORY;
        }
        *one_limb = 1;
        Num one = {.kind = outward, .n = 1, .limbs = one_limb};
        return num_add(cx, a, &r, &one, out);
    }
    *out = r;
    return ST_OK;
}

Status num_ceil(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    return to_integer(cx, a, x, NUM_POS, out);
}
Status num_floor(Ctx *cx, Arena *a, const Num *x, Num *out)
{
    return to_integer(cx, a, x, NUM_NEG, out);
}

Status num_field_overflow(Error *err, int precision, int scale, bool infinite)
{
    Status st = err_set(err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
    if (infinite) {
        err_detail(err, "A field with precision %d, scale %d cannot hold an infinite value.", precision, scale);
    } else if (precision == scale) {
        err_detail(err, "A field with precision %d, scale %d must round to an absolute value less than 1.", precision,
                   scale);
    } else {
        err_detail(err, "A field with precision %d, scale %d must round to an absolute value less than 10^%d.",
                   precision, scale, precision - scale);
    }
    return st;
}

Status num_apply_typmod(Ctx *cx, Arena *a, const Num *x, int32_t typmod, Num *out)
{
    int precision;
    int scale;
    if (x->kind == NUM_NAN || !numeric_typmod(typmod, &precision, &scale)) {
        *out = *x;
        return ST_OK;
    }
    if (num_is_special(x)) {
        return num_field_overflow(cx->err, precision, scale, true);
    }
    Num r;
    Status st = num_round(cx, a, x, scale, &r);
    if (st != ST_OK) {
        return st;
    }
    if (r.n != 0 && num_dweight(&r) + 1 > precision - scale) {
        return num_field_overflow(cx->err, precision, scale, false);
    }
    *out = r;
    return ST_OK;
}

/* ---- number theory ---- */

Status num_gcd(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (num_is_special(x) || num_is_special(y)) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    int dscale = x->dscale > y->dscale ? x->dscale : y->dscale;
    Num u = *x;
    Num v = *y;
    u.kind = v.kind = NUM_POS;
    /* Euclid: the number of steps is below 5 per decimal digit (Lamé). */
    while (v.n != 0) {
        Num r;
        Status st = ctx_poll(cx);
        if (st == ST_OK) {
            st = num_mod(cx, a, &u, &v, &r);
        }
        if (st != ST_OK) {
            return st;
        }
        u = v;
        v = r;
    }
    u.dscale = dscale;
    *out = u;
    return ST_OK;
}

Status num_lcm(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out)
{
    if (num_is_special(x) || num_is_special(y)) {
        *out = num_special(NUM_NAN);
        return ST_OK;
    }
    int dscale = x->dscale > y->dscale ? x->dscale : y->dscale;
    if (x->n == 0 || y->n == 0) {
        *out = num_zero(dscale);
        return ST_OK;
    }
    Num g;
    Num q;
    Num r;
    Status st = num_gcd(cx, a, x, y, &g);
    if (st == ST_OK) {
        st = num_div_scale(cx, a, x, &g, 0, false, &q);
    }
    if (st == ST_OK) {
        st = num_mul(cx, a, &q, y, &r);
    }
    if (st != ST_OK) {
        return st;
    }
    r.kind = NUM_POS;
    r.dscale = dscale;
    *out = r;
    return ST_OK;
}

Status num_factorial(Ctx *cx, Arena *a, int64_t n, Num *out)
{
    if (n < 0) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "factorial of a negative number is undefined");
    }
    if (n > 32177) { /* the first factorial beyond numeric's range, as PostgreSQL has it */
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    enum { LIMBS_MAX = NUM_WEIGHT_MAX / NUM_BASE_DIGITS + 2 };
    uint32_t *little = num_limbs(cx, a, LIMBS_MAX); /* least significant first while growing */
    if (little == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    uint32_t count = 1;
    little[0] = 1;
    for (int64_t k = 2; k <= n; k++) {
        uint64_t carry = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t t = (uint64_t)little[i] * (uint64_t)k + carry;
            little[i] = (uint32_t)(t % NUM_BASE);
            carry = t / NUM_BASE;
        }
        if (carry != 0) {
            if (count == LIMBS_MAX) {
                return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
            }
            little[count++] = (uint32_t)carry;
        }
        if (k % 256 == 0) {
            Status st = ctx_poll(cx);
            if (st != ST_OK) {
                return st;
            }
        }
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t t = little[i];
        little[i] = little[count - 1 - i];
        little[count - 1 - i] = t;
    }
    Num r = {.kind = NUM_POS, .weight = (int32_t)count - 1, .n = count, .limbs = little};
    num_strip(&r);
    *out = r;
    return num_check(cx, &r);
}
