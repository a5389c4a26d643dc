/*
 * types/num_kernels.h: changes of numeric's representation, for func.c and aggregates. Private.
 */
#ifndef RDB_TYPES_NUM_KERNELS_H
#define RDB_TYPES_NUM_KERNELS_H

#include "types/func.h"
#include "types/numeric.h"

/* Exact change of form; to fixed form only from a type whose values are known to fit. */
STATUS num_rep_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call);
/* Rounding and range check of numeric(p,s). */
STATUS num_typmod_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call);

/* The ValueType of a numeric literal as written ("1.50" has precision 3, scale 2); variable form if it is too long. */
ValueType num_literal_type(Str text);
/* Fixed form for these bounds, or variable form when they pass 38 digits. */
ValueType num_form(int precision, int scale);
/* A numeric value of any form as a Num on the arena. */
STATUS num_load(Ctx *cx, Arena *a, const ValueType *t, const void *value, Num *out);
/* A Num into the form of t; 22003 if it does not fit a fixed one. */
STATUS num_store(Ctx *cx, Arena *heap, const ValueType *t, const Num *v, void *out_value);

static inline bool num_fixed_is_nan(const ValueType *t, const void *value)
{
    return t->phys == P_I64 ? *(const int64_t *)value == NUM_NAN_I64 : *(const Int128 *)value == NUM_NAN_I128;
}
static inline Int128 num_fixed_value(const ValueType *t, const void *value)
{
    return t->phys == P_I64 ? (Int128) * (const int64_t *)value : *(const Int128 *)value;
}

#endif
