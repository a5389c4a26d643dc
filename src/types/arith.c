/*
 * types/arith.c: arithmetic on integers, and integer casts.
 *
 * Key idea: the hot loops (+ - * on same-kind vectors) compute every row with wrapping arithmetic and gather the
 * overflow bits of all rows in one word, so that the compiler vectorizes them; only when that word says so, a second
 * loop looks for the first row that is not null and really overflowed.
 */
#include <limits.h>

#include "types/kernels.h"

static Status out_of_range(FnCtx *fx, uint32_t row, const char *type)
{
    return fn_fail(fx, row, err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type));
}

/* ---- + and - : overflow is in the sign bit of a formula over operands and wrapped result ---- */

#define WRAP(TR, U, a, op, b) ((TR)(U)((U)(a)op(U)(b)))
#define ADD_OVERFLOW(a, b, r) (((a) ^ (r)) & ((b) ^ (r)))
#define SUB_OVERFLOW(a, b, r) (((a) ^ (b)) & ((a) ^ (r)))

#define ADDITIVE(name, TA, TB, TR, U, op, overflow, type)                                                              \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const TA *restrict x = args[0]->data;                                                                          \
        const TB *restrict y = args[1]->data;                                                                          \
        TR *restrict z = out->data;                                                                                    \
        TR bits = 0;                                                                                                   \
        const uint32_t mx = vec_mask(args[0]);                                                                         \
        const uint32_t my = vec_mask(args[1]);                                                                         \
        if (sel == NULL && mx != 0 && my != 0) {                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const TR a = x[i], b = y[i], r = WRAP(TR, U, a, op, b);                                                \
                z[i] = r;                                                                                              \
                bits = (TR)(bits | overflow(a, b, r));                                                                 \
            }                                                                                                          \
        } else if (sel == NULL && mx != 0) {                                                                           \
            const TR b = y[0];                                                                                         \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const TR a = x[i], r = WRAP(TR, U, a, op, b);                                                          \
                z[i] = r;                                                                                              \
                bits = (TR)(bits | overflow(a, b, r));                                                                 \
            }                                                                                                          \
        } else {                                                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const uint32_t row = sel_row(sel, i);                                                                  \
                const TR a = x[row & mx], b = y[row & my], r = WRAP(TR, U, a, op, b);                                  \
                z[row] = r;                                                                                            \
                bits = (TR)(bits | overflow(a, b, r));                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        for (uint32_t i = 0; UNLIKELY(bits < 0) && i < n; i++) {                                                       \
            const uint32_t row = sel_row(sel, i);                                                                      \
            const TR a = x[row & mx], b = y[row & my];                                                                 \
            if (overflow(a, b, z[row]) < 0 && !vec_is_null(out, row)) {                                                \
                return out_of_range(fx, row, type);                                                                    \
            }                                                                                                          \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }

#define MULTIPLY(name, TA, TB, TR, type)                                                                               \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const TA *restrict x = args[0]->data;                                                                          \
        const TB *restrict y = args[1]->data;                                                                          \
        TR *restrict z = out->data;                                                                                    \
        bool any = false;                                                                                              \
        const uint32_t mx = vec_mask(args[0]);                                                                         \
        const uint32_t my = vec_mask(args[1]);                                                                         \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            const uint32_t row = sel_row(sel, i);                                                                      \
            TR r;                                                                                                      \
            any |= __builtin_mul_overflow((TR)x[row & mx], (TR)y[row & my], &r);                                       \
            z[row] = r;                                                                                                \
        }                                                                                                              \
        for (uint32_t i = 0; UNLIKELY(any) && i < n; i++) {                                                            \
            const uint32_t row = sel_row(sel, i);                                                                      \
            TR r;                                                                                                      \
            if (__builtin_mul_overflow((TR)x[row & mx], (TR)y[row & my], &r) && !vec_is_null(out, row)) {              \
                return out_of_range(fx, row, type);                                                                    \
            }                                                                                                          \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }

#define DIVIDE(name, TA, TB, TR, type)                                                                                 \
    KERNEL2(                                                                                                           \
        name, TA, TB, TR,                                                                                              \
        if (UNLIKELY(b == 0)) { FAIL(ST_DIVISION_BY_ZERO, "division by zero"); } if (UNLIKELY(b == -1)) {              \
            if (__builtin_sub_overflow((TR)0, (TR)a, &r)) {                                                            \
                return out_of_range(fx, row, type);                                                                    \
            }                                                                                                          \
        } else { r = (TR)((TR)a / (TR)b); })

#define FOUR_OPS(prefix, TA, TB, TR, U, type)                                                                          \
    ADDITIVE(k_##prefix##pl, TA, TB, TR, U, +, ADD_OVERFLOW, type)                                                     \
    ADDITIVE(k_##prefix##mi, TA, TB, TR, U, -, SUB_OVERFLOW, type)                                                     \
    MULTIPLY(k_##prefix##mul, TA, TB, TR, type)                                                                        \
    DIVIDE(k_##prefix##div, TA, TB, TR, type)

FOUR_OPS(int2, int16_t, int16_t, int16_t, uint16_t, "smallint")
FOUR_OPS(int4, int32_t, int32_t, int32_t, uint32_t, "integer")
FOUR_OPS(int8, int64_t, int64_t, int64_t, uint64_t, "bigint")
FOUR_OPS(int24, int16_t, int32_t, int32_t, uint32_t, "integer")
FOUR_OPS(int42, int32_t, int16_t, int32_t, uint32_t, "integer")
FOUR_OPS(int28, int16_t, int64_t, int64_t, uint64_t, "bigint")
FOUR_OPS(int82, int64_t, int16_t, int64_t, uint64_t, "bigint")
FOUR_OPS(int48, int32_t, int64_t, int64_t, uint64_t, "bigint")
FOUR_OPS(int84, int64_t, int32_t, int64_t, uint64_t, "bigint")

/* ---- one type: % and friends ---- */

#define GCD(T, U)                                                                                                      \
    static U gcd_##T(T a, T b)                                                                                         \
    {                                                                                                                  \
        U x = a < 0 ? (U)(0 - (U)a) : (U)a;                                                                            \
        U y = b < 0 ? (U)(0 - (U)b) : (U)b;                                                                            \
        while (y != 0) {                                                                                               \
            U t = (U)(x % y);                                                                                          \
            x = y;                                                                                                     \
            y = t;                                                                                                     \
        }                                                                                                              \
        return x;                                                                                                      \
    }
GCD(int32_t, uint32_t)
GCD(int64_t, uint64_t)

#define LCM(name, T, U, type)                                                                                          \
    KERNEL2(                                                                                                           \
        name, T, T, T, if (a == 0 || b == 0) { r = 0; } else {                                                         \
            U gcd = gcd_##T(a, b);                                                                                     \
            U quotient = (a < 0 ? (U)(0 - (U)a) : (U)a) / gcd;                                                         \
            U product;                                                                                                 \
            U other = b < 0 ? (U)(0 - (U)b) : (U)b;                                                                    \
            if (__builtin_mul_overflow(quotient, other, &product) || (T)product < 0) {                                 \
                return out_of_range(fx, row, type);                                                                    \
            }                                                                                                          \
            r = (T)product;                                                                                            \
        })

#define INTEGER(T, p, U, type, MIN, BITS)                                                                              \
    KERNEL2(                                                                                                           \
        k_##p##mod, T, T, T,                                                                                           \
        if (UNLIKELY(b == 0)) { FAIL(ST_DIVISION_BY_ZERO, "division by zero"); } r = (T)(b == -1 ? 0 : a % b);)        \
    KERNEL1(                                                                                                           \
        k_##p##um, T, T, if (UNLIKELY(a == MIN)) { return out_of_range(fx, row, type); } r = (T)-a;)                   \
    KERNEL1(k_##p##up, T, T, r = a;)                                                                                   \
    KERNEL1(                                                                                                           \
        k_##p##abs, T, T, if (UNLIKELY(a == MIN)) { return out_of_range(fx, row, type); } r = a < 0 ? (T)-a : a;)      \
    KERNEL2(k_##p##and, T, T, T, r = a & b;)                                                                           \
    KERNEL2(k_##p## or, T, T, T, r = a | b;)                                                                           \
    KERNEL2(k_##p## xor, T, T, T, r = a ^ b;)                                                                          \
    KERNEL1(k_##p##not, T, T, r = (T)~a;)                                                                              \
    KERNEL2(k_##p##larger, T, T, T, r = a > b ? a : b;)                                                                \
    KERNEL2(k_##p##smaller, T, T, T, r = a < b ? a : b;)

INTEGER(int16_t, int2, uint16_t, "smallint", INT16_MIN, 16)
INTEGER(int32_t, int4, uint32_t, "integer", INT32_MIN, 32)
INTEGER(int64_t, int8, uint64_t, "bigint", INT64_MIN, 64)

/* Shifts count modulo the machine's width, as PostgreSQL's C code does on x86: int2 is shifted as an int. */
KERNEL2(k_int2shl, int16_t, int32_t, int16_t, r = (int16_t)((uint32_t)a << (b & 31));)
KERNEL2(k_int2shr, int16_t, int32_t, int16_t, r = (int16_t)((int32_t)a >> (b & 31));)
KERNEL2(k_int4shl, int32_t, int32_t, int32_t, r = (int32_t)((uint32_t)a << (b & 31));)
KERNEL2(k_int4shr, int32_t, int32_t, int32_t, r = a >> (b & 31);)
KERNEL2(k_int8shl, int64_t, int32_t, int64_t, r = (int64_t)((uint64_t)a << (b & 63));)
KERNEL2(k_int8shr, int64_t, int32_t, int64_t, r = a >> (b & 63);)

KERNEL2(
    k_int4gcd, int32_t, int32_t, int32_t, uint32_t g = gcd_int32_t(a, b);
    if (g > INT32_MAX) { return out_of_range(fx, row, "integer"); } r = (int32_t)g;)
KERNEL2(
    k_int8gcd, int64_t, int64_t, int64_t, uint64_t g = gcd_int64_t(a, b);
    if (g > INT64_MAX) { return out_of_range(fx, row, "bigint"); } r = (int64_t)g;)
LCM(k_int4lcm, int32_t, uint32_t, "integer")
LCM(k_int8lcm, int64_t, uint64_t, "bigint")
KERNEL1(
    k_int4inc, int32_t, int32_t, if (a == INT32_MAX) { return out_of_range(fx, row, "integer"); } r = a + 1;)
KERNEL1(
    k_int8inc, int64_t, int64_t, if (a == INT64_MAX) { return out_of_range(fx, row, "bigint"); } r = a + 1;)
KERNEL1(
    k_int8dec, int64_t, int64_t, if (a == INT64_MIN) { return out_of_range(fx, row, "bigint"); } r = a - 1;)

/* ---- casts ---- */

KERNEL1(k_i2toi4, int16_t, int32_t, r = a;)
KERNEL1(k_i2toi8, int16_t, int64_t, r = a;)
KERNEL1(k_i4toi8, int32_t, int64_t, r = a;)
KERNEL1(
    k_i4toi2, int32_t, int16_t, r = (int16_t)a; if (UNLIKELY(r != a)) { return out_of_range(fx, row, "smallint"); })
KERNEL1(
    k_i8toi2, int64_t, int16_t, r = (int16_t)a; if (UNLIKELY(r != a)) { return out_of_range(fx, row, "smallint"); })
KERNEL1(
    k_i8toi4, int64_t, int32_t, r = (int32_t)a; if (UNLIKELY(r != a)) { return out_of_range(fx, row, "integer"); })
KERNEL1(
    k_i8tooid, int64_t, uint32_t, r = (uint32_t)a; if (UNLIKELY(r != a)) { return out_of_range(fx, row, "OID"); })
KERNEL1(k_oidtoi8, uint32_t, int64_t, r = a;)
KERNEL1(k_xid8toxid, uint64_t, uint32_t, r = (uint32_t)a;)
KERNEL1(k_int4_bool, int32_t, uint8_t, r = a != 0;)
KERNEL1(k_bool_int4, uint8_t, int32_t, r = a != 0;)
KERNEL1(k_chartoi4, int8_t, int32_t, r = a;)
KERNEL1(
    k_i4tochar, int32_t, int8_t, r = (int8_t)a;
    if (r != a) { FAIL(ST_NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range"); })

KERNEL2(k_booland, uint8_t, uint8_t, uint8_t, r = a & b;)
KERNEL2(k_boolor, uint8_t, uint8_t, uint8_t, r = a | b;)

#define IN_RANGE(name, TV, TO)                                                                                         \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            uint32_t row = sel_row(sel, i);                                                                            \
            int64_t value = *(const TV *)vec_at(args[0], row);                                                         \
            int64_t base = *(const TV *)vec_at(args[1], row);                                                          \
            int64_t offset = *(const TO *)vec_at(args[2], row);                                                        \
            bool minus = *(const uint8_t *)vec_at(args[3], row) != 0;                                                  \
            bool less = *(const uint8_t *)vec_at(args[4], row) != 0;                                                   \
            if (offset < 0) {                                                                                          \
                FAIL(ST_INVALID_PRECEDING_OR_FOLLOWING_SIZE,                                                           \
                     "invalid preceding or following size in window function");                                        \
            }                                                                                                          \
            Int128 bound = minus ? (Int128)base - offset : (Int128)base + offset;                                      \
            ((uint8_t *)out->data)[row] = less ? value <= bound : value >= bound;                                      \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }
IN_RANGE(k_in_range_int2_int2, int16_t, int16_t)
IN_RANGE(k_in_range_int2_int4, int16_t, int32_t)
IN_RANGE(k_in_range_int2_int8, int16_t, int64_t)
IN_RANGE(k_in_range_int4_int2, int32_t, int16_t)
IN_RANGE(k_in_range_int4_int4, int32_t, int32_t)
IN_RANGE(k_in_range_int4_int8, int32_t, int64_t)
IN_RANGE(k_in_range_int8_int8, int64_t, int64_t)

#define FOUR(p)                                                                                                        \
    {#p "pl", k_##p##pl, KERNEL_TOTAL, NULL}, {#p "mi", k_##p##mi, KERNEL_TOTAL, NULL},                                \
        {#p "mul", k_##p##mul, KERNEL_TOTAL, NULL},                                                                    \
    {                                                                                                                  \
#p "div", k_##p##div, 0, NULL                                                                                  \
    }
#define MORE(p)                                                                                                        \
    FOUR(p), {#p "mod", k_##p##mod, 0, NULL}, {#p "um", k_##p##um, 0, NULL}, {#p "up", k_##p##up, KERNEL_TOTAL, NULL}, \
        {#p "abs", k_##p##abs, 0, NULL}, {#p "and", k_##p##and, KERNEL_TOTAL, NULL},                                   \
        {#p "or", k_##p## or, KERNEL_TOTAL, NULL}, {#p "xor", k_##p## xor, KERNEL_TOTAL, NULL},                        \
        {#p "not", k_##p##not, KERNEL_TOTAL, NULL}, {#p "shl", k_##p##shl, KERNEL_TOTAL, NULL},                        \
        {#p "shr", k_##p##shr, KERNEL_TOTAL, NULL}, {#p "larger", k_##p##larger, KERNEL_TOTAL, NULL},                  \
    {                                                                                                                  \
#p "smaller", k_##p##smaller, KERNEL_TOTAL, NULL                                                               \
    }

/* clang-format off */
KERNEL_LIST(arith_kernel_list,
    MORE(int2), MORE(int4), MORE(int8), FOUR(int24), FOUR(int42), FOUR(int28), FOUR(int82), FOUR(int48), FOUR(int84),
    {"int4gcd", k_int4gcd, 0, NULL}, {"int8gcd", k_int8gcd, 0, NULL}, {"int4lcm", k_int4lcm, 0, NULL},
    {"int8lcm", k_int8lcm, 0, NULL}, {"int4inc", k_int4inc, 0, NULL}, {"int8inc", k_int8inc, 0, NULL},
    {"int8dec", k_int8dec, 0, NULL}, {"i2toi4", k_i2toi4, KERNEL_TOTAL, NULL}, {"int28", k_i2toi8, KERNEL_TOTAL, NULL},
    {"int48", k_i4toi8, KERNEL_TOTAL, NULL}, {"i4toi2", k_i4toi2, 0, NULL}, {"int82", k_i8toi2, 0, NULL},
    {"int84", k_i8toi4, 0, NULL}, {"i8tooid", k_i8tooid, 0, NULL}, {"oidtoi8", k_oidtoi8, KERNEL_TOTAL, NULL},
    {"xid8toxid", k_xid8toxid, KERNEL_TOTAL, NULL}, {"int4_bool", k_int4_bool, KERNEL_TOTAL, NULL}, {"bool_int4", k_bool_int4, KERNEL_TOTAL, NULL},
    {"chartoi4", k_chartoi4, KERNEL_TOTAL, NULL}, {"i4tochar", k_i4tochar, 0, NULL},
    {"booland_statefunc", k_booland, 0, NULL}, {"boolor_statefunc", k_boolor, 0, NULL},
    {"in_range_int2_int2", k_in_range_int2_int2, 0, NULL}, {"in_range_int2_int4", k_in_range_int2_int4, 0, NULL},
    {"in_range_int2_int8", k_in_range_int2_int8, 0, NULL}, {"in_range_int4_int2", k_in_range_int4_int2, 0, NULL},
    {"in_range_int4_int4", k_in_range_int4_int4, 0, NULL}, {"in_range_int4_int8", k_in_range_int4_int8, 0, NULL},
    {"in_range_int8_int8", k_in_range_int8_int8, 0, NULL})
/* clang-format on */
