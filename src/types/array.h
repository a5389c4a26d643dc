/*
 * types/array.h: array values.
 *
 * An array is a P_STR whose bytes are (little-endian, no alignment assumed):
 *     offset 0            u32  element type OID
 *     offset 4            u16  dimensions, 0..6; 0 = empty array, nothing follows
 *     offset 6            u16  flags: 1 = has nulls
 *     offset 8            i32  length of each dimension, then i32 lower bound of each
 *     then, with nulls    u8   null bits, (n + 7) / 8 bytes
 *     then                     n values of the element's physical width, or, for P_STR elements, n u32 end offsets
 *                              followed by the bytes
 * Elements are in row-major order; numeric elements are in variable form. int2vector and oidvector are the same with
 * lower bound 0. Values from outside are built by this module only; the layout is internal, binary I/O is PostgreSQL's.
 */
#ifndef RDB_TYPES_ARRAY_H
#define RDB_TYPES_ARRAY_H

#include "types/func.h"

enum { ARRAY_DIMS_MAX = 6, ARRAY_ITEMS_MAX = 134217727 };

/* A read view of an array value; the value's bytes must outlive it. */
typedef struct ArrayView {
    Oid elem;
    uint8_t elem_phys; /* PhysType */
    int ndim;
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t lower[ARRAY_DIMS_MAX];
    uint32_t n;           /* elements */
    const uint8_t *nulls; /* NULL = none */
    const char *values;
    const char *bytes; /* of P_STR elements */
} ArrayView;

void array_view(const StrView *v, ArrayView *out);
static inline bool array_is_null(const ArrayView *a, uint32_t i)
{
    return a->nulls != NULL && (a->nulls[i / 8] >> (i % 8) & 1);
}
/* The i-th element as a physical value (up to 16 bytes); a string points into the array. */
void array_element(const ArrayView *a, uint32_t i, void *out_value);

/* Collects elements, then makes a value. Memory from the arena given; element bytes are copied. */
typedef struct ArrayBuilder {
    Arena *arena;
    Oid elem;
    uint8_t elem_phys;
    uint32_t n;
    uint32_t cap;
    size_t bytes; /* of P_STR elements */
    bool has_nulls;
    bool *nulls;
    char *values;
} ArrayBuilder;

void array_builder_init(ArrayBuilder *b, Arena *arena, Oid elem);
/* value NULL = a null element. `copy`: string bytes are copied to the arena, otherwise they must live until finish. */
MUST_CHECK bool array_builder_add(ArrayBuilder *b, const void *value, bool copy);
/* One dimension with lower bound 1, or empty. */
STATUS array_builder_finish(ArrayBuilder *b, Ctx *cx, Arena *heap, StrView *out);
STATUS array_builder_finish_dims(ArrayBuilder *b, Ctx *cx, int ndim, const int32_t *dims, const int32_t *lower,
                                 Arena *heap, StrView *out);

STATUS array_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value);
STATUS array_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb);
STATUS array_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out_value);
STATUS array_send(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb);
int array_compare(const ValueType *t, const void *a, const void *b);
uint64_t array_hash(const ValueType *t, const void *value);
void array_key(const ValueType *t, const void *value, StrBuf *out);

FnKernel k_array_cast;   /* element by element; call->registry, args[0] and result tell the types */
FnKernel k_array_typmod; /* applies the typmod to every element */

/*
 * Kernels the binder calls for syntax, not through pg_proc. array_ctor: ARRAY[a, b, ...], any number of arguments of
 * call->args[i], result call->result.oid; arguments that are arrays of the result's type make it one dimension deeper
 * (2202E when they do not match). array_get: a[i] / a[i][j]: arguments array, int4...; array_slice: a[l:u]...: array
 * and then a lower and an upper bound a dimension (NULL constant = omitted).
 */
FnKernel k_array_ctor;
FnKernel k_array_get;
FnKernel k_array_slice;
/* op ANY/ALL (array): fills a call of two arguments (scalar, array) with comparison `fn` resolved on (scalar, element). */
STATUS array_any_resolve(const Registry *r, const FnRow *fn, const ValueType *scalar, const ValueType *array, bool all,
                         Error *err, FnCall *out_call);

#endif
