/*
 * base/mem.h: budgets and arenas; the only way memory is taken.
 *
 * Key idea: every allocation is charged to a Budget, budgets form a tree (engine > session > statement > operator), a
 * charge that would pass the limit of any ancestor fails and the statement gets 53200. An Arena is a bump allocator
 * on a budget, freed as a whole; things that grow and shrink (caches, hash tables) use mem_alloc/mem_free directly.
 *
 * How a charge works: a budget has drawn bytes from its parent and keeps those not charged as a free balance; used =
 * drawn - unused. A charge that the balance covers is one compare-and-swap on the budget's own cache line. Otherwise
 * more is drawn, level by level: there `drawn` is raised first, never past the limit, and lowered again when the parent
 * refuses. So close to a limit a charge may be refused because of another one in the middle of failing, or because a
 * sibling holds part of a quantum; it is never granted wrongly.
 *
 * Invariants
 *  M1  used(budget) >= sum of bytes of live allocations charged to it (leaf budgets take from their parent in quanta).
 *  M2  used <= drawn <= limit at every level, also under concurrent charges (while a limit lowered below `used` is being
 *      worked off: charges fail).
 *  M3  budget_done asserts that nothing is charged any more: a leak is an abort in tests, not a slow death.
 *  M4  drawn(child), summed over children, <= used(parent).
 *
 * Fault injection: a MemFault hung on a root budget fails the n-th allocation below it (see mem_alloc).
 *
 * Threads: a Budget may be charged from any thread. An Arena belongs to one thread at a time.
 */
#ifndef RDB_BASE_MEM_H
#define RDB_BASE_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/*
 * Fails allocations on purpose. `countdown` is decremented by each allocation; the one that brings it to zero fails,
 * and, if `persistent`, all later ones. A negative countdown is off. `fired` counts failures delivered.
 */
typedef struct MemFault {
    _Atomic int64_t countdown;
    bool persistent;
    _Atomic uint64_t fired;
} MemFault;

enum { BUDGET_QUANTUM = 64 * 1024 };

typedef struct Budget {
    const char *name;      /* static string, for messages and metrics */
    struct Budget *parent; /* NULL for a root */
    struct Budget *root;   /* itself for a root */
    size_t quantum;        /* how much is taken from the parent at once; 0 for exact */
    _Atomic size_t limit;  /* bytes; SIZE_MAX = none of its own */
    _Atomic size_t drawn;  /* bytes taken from the parent (of a root: taken into use) */
    _Atomic size_t unused; /* of those, the ones not charged */
    _Atomic size_t peak;   /* highest `used` noted; read it with budget_peak */
    MemFault *fault;       /* roots only; may be NULL. Set while nothing allocates */
} Budget;

/* `limit` 0 is taken as SIZE_MAX (no limit of its own). The parent must outlive the child. */
void budget_init(Budget *b, const char *name, Budget *parent, size_t limit, size_t quantum);
void budget_done(Budget *b); /* asserts used == 0, gives all back to the parent */
MUST_CHECK bool budget_charge(Budget *b, size_t bytes);
void budget_release(Budget *b, size_t bytes);
/* Gives back to the parent what was drawn and is not used. */
void budget_trim(Budget *b);
void budget_set_limit(Budget *b, size_t limit); /* may be below used: charges fail until it shrinks */
/* Bytes charged. Exact while nobody charges, otherwise a moment's estimate. */
static inline size_t budget_used(const Budget *b)
{
    size_t unused = atomic_load_explicit(&b->unused, memory_order_relaxed); /* relaxed: statistics */
    size_t drawn = atomic_load_explicit(&b->drawn, memory_order_relaxed);
    return drawn > unused ? drawn - unused : 0;
}
/* The highest budget_used so far, approximate under concurrency. */
size_t budget_peak(const Budget *b);
/* Does the fault of b's root fail this allocation? For allocators outside mem.c; counts as one allocation. */
MUST_CHECK bool mem_fault_fires(const Budget *b);

/*
 * Allocation charged to a budget; NULL when the budget, the fault or malloc says no. Sizes are given back at free time
 * (no headers). mem_realloc may move; on failure the old block is untouched; shrinking never fails. All blocks are
 * 16-byte aligned; mem_alloc0 is zeroed. Freeing NULL with size 0 is allowed.
 */
MUST_CHECK void *mem_alloc(Budget *b, size_t bytes);
MUST_CHECK void *mem_alloc0(Budget *b, size_t bytes);
MUST_CHECK void *mem_alloc_aligned(Budget *b, size_t bytes, size_t align);
MUST_CHECK void *mem_realloc(Budget *b, void *p, size_t old_bytes, size_t new_bytes);
void mem_free(Budget *b, void *p, size_t bytes);

/*
 * Bump allocator. Chunks double from `chunk_bytes` up to 1 MiB; objects over half a chunk get their own. arena_reset
 * keeps the first chunk for reuse. With RDB_ARENA_MALLOC every object is its own malloc, so that the sanitizers see it.
 */
typedef struct ArenaChunk ArenaChunk;
typedef struct Arena {
    Budget *budget;
    ArenaChunk *head;  /* newest chunk; chunks form a list to the oldest */
    ArenaChunk *large; /* likewise the objects with a chunk of their own */
    char *next;
    char *end;
    size_t chunk_bytes; /* size of the next chunk */
    size_t first_bytes;
    size_t total_bytes; /* charged */
} Arena;

typedef struct ArenaMark {
    ArenaChunk *chunk;
    ArenaChunk *large;
    char *next;
} ArenaMark;

void arena_init(Arena *a, Budget *budget, size_t chunk_bytes); /* allocates nothing */
void arena_done(Arena *a);
void arena_reset(Arena *a);
MUST_CHECK void *arena_alloc_slow(Arena *a, size_t bytes);
ArenaMark arena_mark(const Arena *a);
void arena_rewind(Arena *a, ArenaMark mark); /* frees what was allocated after the mark */

/* 16-byte aligned, uninitialised; NULL = 53200. Zero bytes give a valid unique pointer. */
MUST_CHECK static inline void *arena_alloc(Arena *a, size_t bytes)
{
#ifndef RDB_ARENA_MALLOC
    size_t n = (bytes + 15u) & ~(size_t)15u;
    if (LIKELY(n >= bytes && n != 0 && (size_t)(a->end - a->next) >= n)) {
        void *p = a->next;
        a->next += n;
        return p;
    }
#endif
    return arena_alloc_slow(a, bytes);
}
MUST_CHECK void *arena_alloc0(Arena *a, size_t bytes);
MUST_CHECK void *arena_copy(Arena *a, const void *src, size_t bytes);
/* A zero-terminated copy of len bytes. */
MUST_CHECK char *arena_strndup(Arena *a, const char *s, size_t len);
MUST_CHECK char *arena_strdup(Arena *a, const char *s);
MUST_CHECK char *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(a, type) ((type *)arena_alloc0((a), sizeof(type)))
/* n zeroed elements; NULL also when their size does not fit a size_t. */
MUST_CHECK void *arena_array0(Arena *a, size_t n, size_t elem_bytes);
#define ARENA_ARRAY(a, type, n) ((type *)arena_array0((a), (size_t)(n), sizeof(type)))

#endif
