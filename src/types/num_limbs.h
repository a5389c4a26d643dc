/*
 * types/num_limbs.h: what the numeric files share beneath num_*: making Num results on an arena. Private.
 */
#ifndef RDB_TYPES_NUM_LIMBS_H
#define RDB_TYPES_NUM_LIMBS_H

#include "types/numeric.h"

/* Room for n limbs (zeroed); NULL after recording 53200. */
MUST_CHECK uint32_t *num_limbs(Ctx *cx, Arena *a, size_t n);
/* Strips zero limbs at both ends, and the sign of zero. */
void num_strip(Num *v);
/* Checks PostgreSQL's limits of weight: 22003 "value overflows numeric format". */
STATUS num_check(Ctx *cx, const Num *v);
/*
 * From decimal digits ('0'..'9', ndigits of them) whose first counts 10^dweight. Zeros at either end are fine. The
 * display scale is the caller's.
 */
STATUS num_from_digits(Ctx *cx, Arena *a, const char *digits, size_t ndigits, int64_t dweight, NumKind sign, int dscale,
                       Num *out);
/* Decimal digits of the magnitude without leading zeros, first digit counts 10^(*out_dweight). Arena memory. */
STATUS num_to_digits(Ctx *cx, Arena *a, const Num *v, char **out_digits, size_t *out_n, int32_t *out_dweight);

int num_cmp_magnitude(const Num *x, const Num *y);

static inline Num num_special(NumKind kind)
{
    return (Num){.kind = kind};
}
static inline Num num_zero(int dscale)
{
    return (Num){.kind = NUM_POS, .dscale = dscale};
}
/* PostgreSQL's weight and leading digit in base 10000, on which its scale rules are built. */
int32_t num_pg_weight(const Num *v);
uint32_t num_pg_digit(const Num *v, int32_t i);
/* floor(a / b), b > 0 */
static inline int32_t floor_div(int32_t a, int32_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

extern const uint32_t num_pow10_u32[10];

#endif
