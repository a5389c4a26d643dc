/*
 * types/vector.c: vectors and chunks (see vector.h).
 */
#include "types/vector.h"

enum { HEAP_CHUNK_BYTES = 4096 };

bool vec_init(Vector *v, PhysType phys, uint32_t capacity, Arena *arena)
{
    ASSERT(capacity > 0 && capacity <= UINT16_MAX);
    memset(v, 0, sizeof *v);
    v->phys = (uint8_t)phys;
    v->capacity = capacity;
    v->own_data = arena_alloc0(arena, phys_bytes(phys) * capacity);
    v->null_words = arena_alloc0(arena, vec_null_words(capacity) * sizeof(uint64_t));
    v->data = v->own_data;
    arena_init(&v->heap, arena->budget, HEAP_CHUNK_BYTES);
    return v->own_data != NULL && v->null_words != NULL;
}

void vec_done(Vector *v)
{
    if (v != NULL && v->heap.budget != NULL) {
        arena_done(&v->heap);
    }
}

void vec_reset(Vector *v)
{
    v->kind = VEC_FLAT;
    v->nulls = NULL;
    v->data = v->own_data;
    arena_reset(&v->heap);
}

void vec_ref(Vector *v, const Vector *from)
{
    ASSERT(v->phys == from->phys);
    v->kind = from->kind;
    v->data = from->data;
    v->nulls = from->nulls;
}

bool heap_str(Arena *heap, const char *p, size_t len, StrView *out)
{
    ASSERT(len <= VALUE_BYTES_MAX);
    if (len > STRVIEW_INLINE) {
        p = arena_copy(heap, p, len);
        if (p == NULL) {
            return false;
        }
    }
    *out = strview_make(p, (uint32_t)len);
    return true;
}

static bool copy_value(Vector *v, uint32_t to, const Vector *from, uint32_t row)
{
    size_t bytes = phys_bytes((PhysType)v->phys);
    if (vec_is_null(from, row)) {
        vec_set_null(v, to);
        return true;
    }
    vec_set_not_null(v, to);
    const void *src = vec_at(from, row);
    if (v->phys == P_STR) {
        const StrView *s = src;
        return heap_str(&v->heap, strview_ptr(s), s->len, (StrView *)v->data + to);
    }
    memcpy((char *)v->data + to * bytes, src, bytes);
    return true;
}

bool vec_copy(Vector *v, uint32_t at, const Vector *from, const uint16_t *sel, uint32_t n)
{
    ASSERT(v->phys == from->phys && v->kind == VEC_FLAT && v->data == v->own_data);
    ASSERT((uint64_t)at + n <= v->capacity);
    size_t bytes = phys_bytes((PhysType)v->phys);
    if (sel == NULL && from->kind == VEC_FLAT && from->nulls == NULL && v->nulls == NULL && v->phys != P_STR) {
        memcpy((char *)v->data + at * bytes, from->data, n * bytes);
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!copy_value(v, at + i, from, sel_row(sel, i))) {
            return false;
        }
    }
    return true;
}

bool vec_own_strings(Vector *v, const uint16_t *sel, uint32_t n)
{
    if (v->phys != P_STR) {
        return true;
    }
    StrView *s = v->data;
    uint32_t rows = v->kind == VEC_CONSTANT ? (n > 0) : n;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = v->kind == VEC_CONSTANT ? 0 : sel_row(sel, i);
        if (!vec_is_null(v, row) && s[row].len > STRVIEW_INLINE &&
            !heap_str(&v->heap, s[row].ptr, s[row].len, &s[row])) {
            return false;
        }
    }
    return true;
}

bool vec_set_constant(Vector *v, const void *value)
{
    vec_reset(v);
    v->kind = VEC_CONSTANT;
    if (value == NULL) {
        vec_set_null(v, 0);
        return true;
    }
    if (v->phys == P_STR) {
        const StrView *s = value;
        return heap_str(&v->heap, strview_ptr(s), s->len, v->data);
    }
    memcpy(v->data, value, phys_bytes((PhysType)v->phys));
    return true;
}

static void check_view(const StrView *s)
{
    if (s->len > STRVIEW_INLINE) {
        ASSERT(s->ptr != NULL && memcmp(s->prefix, s->ptr, 4) == 0);
        return;
    }
    for (uint32_t i = s->len; i < STRVIEW_INLINE; i++) {
        ASSERT(s->inl[i] == 0);
    }
}

void vec_check(const Vector *v, uint32_t rows)
{
    ASSERT(v->phys < PHYS_COUNT && v->kind <= VEC_CONSTANT && v->data != NULL);
    ASSERT(rows <= v->capacity);
    if (v->phys != P_STR) {
        return;
    }
    for (uint32_t r = 0; r < (v->kind == VEC_CONSTANT ? 1 : rows); r++) {
        if (!vec_is_null(v, r)) {
            check_view((const StrView *)v->data + r);
        }
    }
}

bool chunk_init(Chunk *c, const ValueType *types, uint32_t ncolumns, uint32_t capacity, Arena *arena)
{
    memset(c, 0, sizeof *c);
    c->ncolumns = ncolumns;
    c->capacity = capacity;
    c->columns = ARENA_ARRAY(arena, Vector, ncolumns);
    c->sel_words = ARENA_ARRAY(arena, uint16_t, capacity);
    if (c->columns == NULL || c->sel_words == NULL) {
        c->ncolumns = 0;
        return false;
    }
    for (uint32_t i = 0; i < ncolumns; i++) {
        if (!vec_init(&c->columns[i], (PhysType)types[i].phys, capacity, arena)) {
            return false;
        }
    }
    return true;
}

void chunk_done(Chunk *c)
{
    for (uint32_t i = 0; i < c->ncolumns; i++) {
        vec_done(&c->columns[i]);
    }
}

void chunk_reset(Chunk *c)
{
    c->count = 0;
    c->sel_count = 0;
    c->sel = NULL;
    for (uint32_t i = 0; i < c->ncolumns; i++) {
        vec_reset(&c->columns[i]);
    }
}
