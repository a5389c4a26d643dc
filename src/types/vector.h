/*
 * types/vector.h: a column of up to VECTOR_SIZE values, and the chunk that groups columns into rows.
 *
 * A vector is FLAT (data holds one value a row) or CONSTANT (data[0] and null bit 0 stand for every row). Null bits
 * are set for NULL; `nulls == NULL` means that there are none. Data under a null bit is garbage: it is never read
 * but by kernels that say they tolerate any bit pattern (KERNEL_TOTAL), and a StrView there is never followed.
 *
 * Selections: `sel` is an ascending list of n row numbers, or NULL for rows 0..n-1. Results are written at the same row
 * numbers as the arguments: a selection never moves data.
 *
 * Ownership: a vector made by vec_init owns data, null words and a string heap on the arena given to it; vec_ref makes
 * it look at another's data until the next vec_reset. A produced StrView may point into the heap of the vector or into
 * the bytes of the arguments it was made from (substr shares them), so a result lives as long as its arguments;
 * vec_own_strings copies what is to outlive them.
 *
 * Invariants
 *  C1  nulls is NULL or has vec_null_words(capacity) words; asserted by vec_check.
 *  C2  every StrView of a selected, not-null row satisfies V1 of value.h.
 */
#ifndef RDB_TYPES_VECTOR_H
#define RDB_TYPES_VECTOR_H

#include "base/mem.h"
#include "types/value.h"

enum { VECTOR_SIZE = 2048 };

typedef enum VecKind { VEC_FLAT, VEC_CONSTANT } VecKind;

typedef struct Vector {
    uint8_t phys; /* PhysType */
    uint8_t kind; /* VecKind */
    uint32_t capacity;
    void *data;
    uint64_t *nulls;      /* NULL = no nulls; otherwise null_words, or another vector's */
    uint64_t *null_words; /* own storage of null bits */
    void *own_data;
    Arena heap; /* strings produced into this vector */
} Vector;

static inline size_t vec_null_words(uint32_t rows)
{
    return ((size_t)rows + 63) / 64;
}

/*
 * Data and null words come from `arena`, the heap is charged to its budget and given back by vec_done. false: memory.
 * Data starts as zero bytes, so that garbage is at least deterministic.
 */
MUST_CHECK bool vec_init(Vector *v, PhysType phys, uint32_t capacity, Arena *arena);
void vec_done(Vector *v);  /* gives the heap back; data belongs to the arena */
void vec_reset(Vector *v); /* empty, FLAT, no nulls, own data again, heap freed */
/* v looks at from's data, nulls and kind; from must outlive the use. */
void vec_ref(Vector *v, const Vector *from);
/* Copies the rows of sel (or 0..n-1) of `from` to rows at.. of v, strings into v's heap. false: memory. */
MUST_CHECK bool vec_copy(Vector *v, uint32_t at, const Vector *from, const uint16_t *sel, uint32_t n);
/* Moves all string bytes of the rows into v's own heap. false: memory. */
MUST_CHECK bool vec_own_strings(Vector *v, const uint16_t *sel, uint32_t n);
/* A CONSTANT of the value (phys_bytes long), or NULL when `value` is NULL. Strings are copied. false: memory. */
MUST_CHECK bool vec_set_constant(Vector *v, const void *value);
void vec_check(const Vector *v, uint32_t rows); /* asserts C1 and C2 for all rows */

/* Row mask: data[row & vec_mask(v)] works for both kinds. */
static inline uint32_t vec_mask(const Vector *v)
{
    return v->kind == VEC_CONSTANT ? 0 : UINT32_MAX;
}

static inline bool vec_is_null(const Vector *v, uint32_t row)
{
    row &= vec_mask(v);
    return v->nulls != NULL && (v->nulls[row / 64] >> (row % 64) & 1);
}

static inline void vec_set_null(Vector *v, uint32_t row)
{
    if (v->nulls == NULL) {
        memset(v->null_words, 0, vec_null_words(v->capacity) * sizeof(uint64_t));
        v->nulls = v->null_words;
    }
    v->nulls[row / 64] |= UINT64_C(1) << (row % 64);
}

static inline void vec_set_not_null(Vector *v, uint32_t row)
{
    if (v->nulls != NULL) {
        v->nulls[row / 64] &= ~(UINT64_C(1) << (row % 64));
    }
}

static inline void *vec_at(const Vector *v, uint32_t row)
{
    return (char *)v->data + (size_t)(row & vec_mask(v)) * phys_bytes((PhysType)v->phys);
}

/* A copy of the bytes in the heap, as a view; V1 holds. false: memory. */
MUST_CHECK bool heap_str(Arena *heap, const char *p, size_t len, StrView *out);
/* Room for `len` bytes to be filled by the caller, then turned into a view by strview_make. NULL: memory. */
MUST_CHECK static inline char *heap_bytes(Arena *heap, size_t len)
{
    return arena_alloc(heap, len);
}

/* ---- chunk ---- */

typedef struct Chunk {
    Vector *columns;
    uint32_t ncolumns;
    uint32_t capacity;  /* VECTOR_SIZE, or less in tests */
    uint32_t count;     /* rows that exist: 0..capacity */
    uint32_t sel_count; /* rows selected, when sel is in use */
    uint16_t *sel;      /* NULL = all rows 0..count-1; otherwise sel_words */
    uint16_t *sel_words;
} Chunk;

MUST_CHECK bool chunk_init(Chunk *c, const ValueType *types, uint32_t ncolumns, uint32_t capacity, Arena *arena);
void chunk_done(Chunk *c);
void chunk_reset(Chunk *c);
static inline uint32_t chunk_rows(const Chunk *c)
{
    return c->sel != NULL ? c->sel_count : c->count;
}
static inline uint32_t sel_row(const uint16_t *sel, uint32_t i)
{
    return sel != NULL ? sel[i] : i;
}
/* One more than the highest row of a selection. */
static inline uint32_t sel_bound(const uint16_t *sel, uint32_t n)
{
    return n == 0 ? 0 : sel != NULL ? (uint32_t)sel[n - 1] + 1 : n;
}

#endif
