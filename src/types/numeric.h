/*
 * types/numeric.h: exact decimal numbers in their three forms, and arithmetic on the variable one.
 *
 * Fixed form: an int64 (up to 18 digits) or int128 (up to 38) times 10^-scale, precision and scale being known
 * statically (ValueType). NaN is the smallest integer of the type; infinities do not occur.
 *
 * Variable form: a P_STR whose bytes are
 *     offset 0  u16  kind << 14 | display scale (0..16383); kind 0 positive or zero, 1 negative, 2 NaN or infinity
 *                    (the low bits then say which: 0 NaN, 1 Infinity, 2 -Infinity)
 *     offset 2  i16  weight: the first limb counts 10^(9 * weight)
 *     offset 4  u32  limbs in base 10^9, most significant first; none for zero
 * little-endian, without leading or trailing zero limbs. So equal numbers of equal display scale have equal bytes, and
 * up to 18 digits are inline in the view.
 *
 * In memory the variable form is a Num: the same with the limbs as an array. Arithmetic is school-book on limbs in arena
 * memory (base 10^9 makes text and binary I/O, rounding and PostgreSQL's scale rules cheap; GMP aborts when memory runs out).
 * ln, exp and power use MPFR with bounded precision and are rounded correctly to the scale PostgreSQL would choose.
 *
 * Limits are PostgreSQL's: 131072 digits before the point, 16383 after it; beyond 22003 "value overflows numeric format".
 */
#ifndef RDB_TYPES_NUMERIC_H
#define RDB_TYPES_NUMERIC_H

#include "base/ctx.h"
#include "types/value.h"

#define NUM_BASE 1000000000u
enum {
    NUM_BASE_DIGITS = 9,
    NUM_DSCALE_MAX = 16383,
    NUM_WEIGHT_MAX = 131071,      /* decimal weight of the first digit, PostgreSQL's limit is 131072 digits */
    NUM_RESULT_SCALE_MAX = 2000,  /* NUMERIC_MAX_RESULT_SCALE */
    NUM_DISPLAY_SCALE_MAX = 1000, /* NUMERIC_MAX_DISPLAY_SCALE = NUMERIC_MAX_PRECISION */
    NUM_SIG_DIGITS_MIN = 16,      /* NUMERIC_MIN_SIG_DIGITS */
};

typedef enum NumKind { NUM_POS = 0, NUM_NEG = 1, NUM_NAN = 2, NUM_INF = 3, NUM_NEG_INF = 4 } NumKind;

/* A number being computed with. n == 0 is zero (kind NUM_POS). limbs are not owned. */
typedef struct Num {
    NumKind kind;
    int32_t dscale;
    int32_t weight; /* of limbs[0], in limbs */
    uint32_t n;
    uint32_t *limbs; /* most significant first; no leading or trailing zeros */
} Num;

static inline bool num_is_special(const Num *a)
{
    return a->kind >= NUM_NAN;
}
static inline bool num_is_zero(const Num *a)
{
    return a->kind <= NUM_NEG && a->n == 0;
}

/*
 * Conversions. Results live on the arena. ST_OUT_OF_MEMORY, ST_NUMERIC_VALUE_OUT_OF_RANGE ("value overflows numeric
 * format") and what the text says; all recorded in cx->err.
 */
STATUS num_parse(Ctx *cx, Arena *a, Str text, Num *out);             /* 22P02 with PostgreSQL's text */
STATUS num_from_view(Ctx *cx, Arena *a, const StrView *v, Num *out); /* copies limbs out of the view */
STATUS num_to_view(Ctx *cx, Arena *heap, const Num *v, StrView *out);
STATUS num_from_i128(Ctx *cx, Arena *a, Int128 value, int scale, Num *out);
STATUS num_from_f64(Ctx *cx, Arena *a, double v, int digits, Num *out); /* 15 digits for float8, 6 for float4 */
/* value * 10^scale exactly; false when it is special, has more fraction digits, or does not fit in 38 digits. */
bool num_to_i128(const Num *v, int scale, Int128 *out);
double num_to_f64(Ctx *cx, Arena *a, const Num *v);
/* Rounds half away from zero to an integer; false when it does not fit (special values too). */
bool num_to_i64(const Num *v, int64_t *out);
void num_append(const Num *v, StrBuf *sb); /* text with exactly dscale digits after the point */
/* The coefficient of a fixed-form value as text. NaN is the sentinel of the width given to it by the caller. */
void num_append_i128(Int128 coefficient, int scale, StrBuf *sb);

/* Results may share limbs with operands. Arithmetic of finite and special values with PostgreSQL's results and display scales. */
STATUS num_add(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_sub(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_mul(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_div(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);       /* numeric / */
STATUS num_div_trunc(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out); /* div() */
STATUS num_mod(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_sqrt(Ctx *cx, Arena *a, const Num *x, Num *out);
STATUS num_ln(Ctx *cx, Arena *a, const Num *x, Num *out);
STATUS num_exp(Ctx *cx, Arena *a, const Num *x, Num *out);
STATUS num_log(Ctx *cx, Arena *a, const Num *base, const Num *x, Num *out);
STATUS num_power(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_gcd(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_lcm(Ctx *cx, Arena *a, const Num *x, const Num *y, Num *out);
STATUS num_factorial(Ctx *cx, Arena *a, int64_t n, Num *out);
/* Finite values only: quotient with rscale digits after the point, rounded or cut. */
STATUS num_div_scale(Ctx *cx, Arena *a, const Num *x, const Num *y, int rscale, bool round, Num *out);
STATUS num_sqrt_scale(Ctx *cx, Arena *a, const Num *x, int rscale, Num *out);
/* The scale PostgreSQL gives x / y (select_div_scale). */
int num_div_rscale(const Num *x, const Num *y);

/* Round half away from zero / cut at 10^-scale (scale may be negative); dscale becomes max(scale, 0). */
STATUS num_round(Ctx *cx, Arena *a, const Num *x, int scale, Num *out);
STATUS num_trunc(Ctx *cx, Arena *a, const Num *x, int scale, Num *out);
STATUS num_ceil(Ctx *cx, Arena *a, const Num *x, Num *out);
STATUS num_floor(Ctx *cx, Arena *a, const Num *x, Num *out);

int num_cmp(const Num *x, const Num *y); /* -Infinity < finite < Infinity < NaN = NaN */
int num_sign(const Num *x);
int num_min_scale(const Num *x);   /* digits after the point that are not trailing zeros */
int32_t num_dweight(const Num *x); /* decimal weight of the first digit: 0 for 1..9; 0 for zero */
uint64_t num_hash(const Num *x);   /* of the value: display scale does not matter */
uint64_t num_hash_i128(Int128 coefficient, int scale);
void num_key(const Num *x, StrBuf *out);
void num_key_i128(Int128 coefficient, int scale, bool is_nan, StrBuf *out);
/* Enforces numeric(p,s): rounds, 22003 "numeric field overflow" with PostgreSQL's detail. */
STATUS num_apply_typmod(Ctx *cx, Arena *a, const Num *x, int32_t typmod, Num *out);
Status num_field_overflow(Error *err, int precision, int scale, bool infinite);

/* A Num whose limbs still lie in the view's bytes: for comparing and hashing without a copy. Needs aligned bytes. */
void num_peek(const StrView *v, Num *out, uint32_t *scratch, uint32_t scratch_limbs);
int num_view_cmp(const StrView *a, const StrView *b);

extern const Int128 pow10_i128[39]; /* 10^0 .. 10^38 */
#define NUM_NAN_I64 INT64_MIN
#define NUM_NAN_I128 ((Int128)((UInt128)1 << 127))

#endif
