/*
 * base/map.h: containers of the cold paths: an open-addressing map from uint64 to uint64 and a typed growing array.
 * The hash tables of buffer pool and executor are their own: they are the hot path.
 */
#ifndef RDB_BASE_MAP_H
#define RDB_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Linear probing, load at most 3/4, backward-shift deletion. Key UINT64_MAX is not allowed. Not thread-safe. */
typedef struct U64Map {
    Budget *budget;
    struct U64Slot {
        uint64_t key; /* UINT64_MAX = empty */
        uint64_t value;
    } *slots;
    size_t capacity; /* power of two, or 0 */
    size_t count;
} U64Map;

void u64map_init(U64Map *m, Budget *budget); /* allocates nothing */
void u64map_done(U64Map *m);
void u64map_clear(U64Map *m);
MUST_CHECK bool u64map_reserve(U64Map *m, size_t count); /* after it, puts up to `count` entries cannot fail */
MUST_CHECK bool u64map_put(U64Map *m, uint64_t key, uint64_t value); /* replaces; false = no memory */
bool u64map_get(const U64Map *m, uint64_t key, uint64_t *out_value);
bool u64map_remove(U64Map *m, uint64_t key, uint64_t *out_value); /* out_value may be NULL */
/* Iteration: *io_cursor starts at 0; false at the end. Order is unspecified. No changes meanwhile. */
bool u64map_next(const U64Map *m, size_t *io_cursor, uint64_t *out_key, uint64_t *out_value);

/*
 * VEC(type) declares a growing array charged to a budget:
 *     VEC(Tid) tids = {.budget = b};
 *     if (!VEC_PUSH(&tids, tid)) return ctx_nomem(...);
 *     VEC_DONE(&tids);
 */
#define VEC(type)                                                                                                      \
    struct {                                                                                                           \
        Budget *budget;                                                                                                \
        type *v;                                                                                                       \
        size_t n;                                                                                                      \
        size_t cap;                                                                                                    \
    }
MUST_CHECK bool vec_grow(Budget *b, void **v, size_t *cap, size_t need, size_t elem_bytes);
#define VEC_RESERVE(vec, more)                                                                                         \
    ((vec)->n + (more) <= (vec)->cap ||                                                                                \
     vec_grow((vec)->budget, (void **)&(vec)->v, &(vec)->cap, (vec)->n + (more), sizeof *(vec)->v))
#define VEC_PUSH(vec, x) (VEC_RESERVE(vec, 1) ? ((vec)->v[(vec)->n++] = (x), true) : false)
#define VEC_DONE(vec)                                                                                                  \
    (mem_free((vec)->budget, (vec)->v, (vec)->cap * sizeof *(vec)->v), (vec)->v = NULL, (vec)->n = (vec)->cap = 0)

#endif
