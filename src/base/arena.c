/*
 * base/arena.c: bump allocation on a budget.
 *
 * Two lists, each newest first: the chunks that small objects are cut from, and the large objects with a chunk of
 * their own. A mark is a position in both, so a rewind frees from the head of each list down to the mark.
 *
 * With RDB_ARENA_MALLOC every object is large: it is its own malloc and the bump list stays empty.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct ArenaChunk {
    ArenaChunk *older;
    size_t bytes; /* with this header */
};

enum { CHUNK_MAX = 1024 * 1024, CHUNK_MIN = 256, CHUNK_HEAD = sizeof(struct ArenaChunk) };
STATIC_ASSERT(sizeof(struct ArenaChunk) % 16 == 0, "objects start behind the header and are 16-byte aligned");

static char *chunk_data(ArenaChunk *c)
{
    return (char *)c + CHUNK_HEAD;
}

static char *chunk_end(ArenaChunk *c)
{
    return (char *)c + c->bytes;
}

static void bump_from(Arena *a, ArenaChunk *c, char *next)
{
    a->head = c;
    a->next = next;
    a->end = c == NULL ? NULL : chunk_end(c);
}

void arena_init(Arena *a, Budget *budget, size_t chunk_bytes)
{
    *a = (Arena){.budget = budget};
    a->first_bytes = chunk_bytes < CHUNK_MIN ? CHUNK_MIN : chunk_bytes;
    a->chunk_bytes = a->first_bytes;
}

static void free_down_to(Arena *a, ArenaChunk **list, const ArenaChunk *stop)
{
    while (*list != stop) {
        ArenaChunk *c = *list;
        ASSERT(c != NULL); /* else the mark belongs to another arena or to something rewound already */
        *list = c->older;
        a->total_bytes -= c->bytes;
        mem_free(a->budget, c, c->bytes);
    }
}

void arena_done(Arena *a)
{
    free_down_to(a, &a->large, NULL);
    free_down_to(a, &a->head, NULL);
    ASSERT(a->total_bytes == 0);
    arena_init(a, a->budget, a->first_bytes);
}

void arena_reset(Arena *a)
{
    ArenaChunk *first = a->head;
    while (first != NULL && first->older != NULL) {
        first = first->older;
    }
    free_down_to(a, &a->large, NULL);
    free_down_to(a, &a->head, first);
    bump_from(a, first, first == NULL ? NULL : chunk_data(first));
    a->chunk_bytes = a->first_bytes;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){.chunk = a->head, .large = a->large, .next = a->next};
}

void arena_rewind(Arena *a, ArenaMark mark)
{
    free_down_to(a, &a->large, mark.large);
    free_down_to(a, &a->head, mark.chunk);
    bump_from(a, mark.chunk, mark.next);
}

static ArenaChunk *add_chunk(Arena *a, ArenaChunk **list, size_t bytes)
{
    ArenaChunk *c = mem_alloc(a->budget, bytes);
    if (c != NULL) {
        c->older = *list;
        c->bytes = bytes;
        *list = c;
        a->total_bytes += bytes;
    }
    return c;
}

static void *alloc_large(Arena *a, size_t bytes)
{
    ArenaChunk *c = add_chunk(a, &a->large, CHUNK_HEAD + bytes);
    return c == NULL ? NULL : chunk_data(c);
}

void *arena_alloc_slow(Arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
#ifdef RDB_ARENA_MALLOC
    return alloc_large(a, bytes);
#else
    size_t n = bytes == 0 ? 16 : (bytes + 15u) & ~(size_t)15u;
    if ((size_t)(a->end - a->next) >= n) { /* an empty object: the inline path leaves it to this one */
        a->next += n;
        return a->next - n;
    }
    size_t chunk_bytes = a->chunk_bytes;
    bool is_large = n > (chunk_bytes - CHUNK_HEAD) / 2;
    void *p;
    if (is_large) {
        p = alloc_large(a, n);
    } else {
        ArenaChunk *c = add_chunk(a, &a->head, chunk_bytes);
        if (c == NULL) {
            return NULL;
        }
        p = chunk_data(c);
        bump_from(a, c, chunk_data(c) + n);
    }
    /* Large objects count too: an arena that serves them should soon serve them from chunks. */
    if (p != NULL && chunk_bytes < CHUNK_MAX) {
        a->chunk_bytes = chunk_bytes * 2 < CHUNK_MAX ? chunk_bytes * 2 : CHUNK_MAX;
    }
    return p;
#endif
}

void *arena_alloc0(Arena *a, size_t bytes)
{
    void *p = arena_alloc(a, bytes);
    if (p != NULL) {
        memset(p, 0, bytes);
    }
    return p;
}

void *arena_array0(Arena *a, size_t n, size_t elem_bytes)
{
    size_t bytes;
    return __builtin_mul_overflow(n, elem_bytes, &bytes) ? NULL : arena_alloc0(a, bytes);
}

void *arena_copy(Arena *a, const void *src, size_t bytes)
{
    void *p = arena_alloc(a, bytes);
    if (p != NULL && bytes > 0) {
        memcpy(p, src, bytes);
    }
    return p;
}

char *arena_strndup(Arena *a, const char *s, size_t len)
{
    char *p = arena_alloc(a, len + 1);
    if (p != NULL) {
        if (len > 0) {
            memcpy(p, s, len);
        }
        p[len] = 0;
    }
    return p;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return NULL;
    }
    char *p = arena_alloc(a, (size_t)n + 1);
    if (p != NULL) {
        va_start(ap, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return p;
}
