/*
 * expr/eval_in.c: = ANY and <> ALL over an array that is the same for all rows: IN lists (see eval.h).
 *
 * Key idea: the array's distinct values are taken out once per execution. Few are compared one after the other, more are
 * looked up by hash, with the hash and the equality of the type's default operator classes.
 */
#include "expr/eval_int.h"
#include "types/array.h"

enum { HASHED_MIN = 9 }; /* PostgreSQL's MIN_ARRAY_SIZE_FOR_HASHED_SAOP; below it comparing is as fast */

/* Byte-wise equality is the type's own. */
static bool bytes_decide(const ValueType *t)
{
    return t->oid != OID_FLOAT4 && t->oid != OID_FLOAT8 && t->oid != OID_NUMERIC && t->oid != OID_BPCHAR &&
           t->oid != OID_INTERVAL && t->oid != OID_TIMETZ && type_element(t->oid) == 0;
}

static inline bool equal_values(const ValueType *t, bool bytes, const void *a, const void *b)
{
    if (!bytes) {
        return type_cmp(t, a, b) == 0;
    }
    switch (t->phys) {
    case P_BOOL: return *(const uint8_t *)a == *(const uint8_t *)b;
    case P_I16: return *(const int16_t *)a == *(const int16_t *)b;
    case P_I32: return *(const int32_t *)a == *(const int32_t *)b;
    case P_I64: return *(const int64_t *)a == *(const int64_t *)b;
    case P_STR: return strview_eq(a, b);
    default: return memcmp(a, b, phys_bytes((PhysType)t->phys)) == 0;
    }
}

static uint32_t next_power(uint32_t n)
{
    uint32_t p = 16;
    while (p < n) {
        p *= 2;
    }
    return p;
}

/* Enters value number i, whose hash is known. */
static void insert(InSet *set, uint32_t i)
{
    uint32_t at = (uint32_t)set->hashes[i] & set->mask;
    while (set->slots[at] != 0) {
        at = (at + 1) & set->mask;
    }
    set->slots[at] = i + 1;
}

static inline bool find(const InSet *set, const ValueType *t, bool bytes, uint64_t hash, const void *value)
{
    const char *values = set->values.data;
    const size_t width = phys_bytes((PhysType)t->phys);
    for (uint32_t at = (uint32_t)hash & set->mask; set->slots[at] != 0; at = (at + 1) & set->mask) {
        uint32_t i = set->slots[at] - 1;
        if (set->hashes[i] == hash && equal_values(t, bytes, values + i * width, value)) {
            return true;
        }
    }
    return false;
}

static inline bool scan(const InSet *set, const ValueType *t, bool bytes, const void *value)
{
    const char *values = set->values.data;
    const size_t width = phys_bytes((PhysType)t->phys);
    for (uint32_t i = 0; i < set->nvalues; i++) {
        if (equal_values(t, bytes, values + i * width, value)) {
            return true;
        }
    }
    return false;
}

/* Hashes of `set->nvalues` values, in pieces that a vector can count. */
static void hash_values(InSet *set, const ValueType *t)
{
    const size_t width = phys_bytes((PhysType)t->phys);
    for (uint32_t at = 0; at < set->nvalues; at += VECTOR_SIZE) {
        uint32_t n = set->nvalues - at < VECTOR_SIZE ? set->nvalues - at : VECTOR_SIZE;
        Vector piece = {.phys = t->phys, .kind = VEC_FLAT, .capacity = n};
        piece.data = (char *)set->values.data + at * width;
        type_hash(t, &piece, NULL, n, false, set->hashes + at);
    }
}

static bool fill(InSet *set, const ValueType *t, const ArrayView *a)
{
    const size_t width = phys_bytes((PhysType)t->phys);
    char *values = arena_alloc(&set->arena, (size_t)a->n * width);
    set->values = (Vector){.phys = t->phys, .kind = VEC_FLAT, .data = values};
    for (uint32_t i = 0; i < a->n && values != NULL; i++) {
        if (array_is_null(a, i)) {
            set->has_null = true;
        } else {
            array_element(a, i, values + set->nvalues++ * width);
        }
    }
    if (values == NULL || set->nvalues < HASHED_MIN) {
        return values != NULL;
    }
    uint32_t slots = next_power(set->nvalues * 2);
    set->mask = slots - 1;
    set->slots = arena_array0(&set->arena, slots, sizeof *set->slots);
    set->hashes = arena_array0(&set->arena, set->nvalues, sizeof *set->hashes);
    if (set->slots == NULL || set->hashes == NULL) {
        return false;
    }
    set->hashed = true;
    hash_values(set, t);
    const bool bytes = bytes_decide(t);
    uint32_t kept = set->nvalues;
    for (uint32_t i = 0; i < kept; i++) {
        if (!find(set, t, bytes, set->hashes[i], values + i * width)) {
            insert(set, i);
        }
    }
    return true;
}

/* Takes the array's values out. They point into the array, which lives as long as the execution's parameters. */
static Status make_set(ExprState *s, uint32_t id, const Vector *array)
{
    StepState *state = &s->steps[id];
    const ValueType *t = &s->program->steps[id].expr->args[0]->type;
    if (state->in == NULL) {
        state->in = ARENA_NEW(s->arena, InSet);
        if (state->in == NULL) {
            return ctx_nomem(s->cx, sizeof *state->in);
        }
        arena_init(&state->in->arena, s->arena->budget, 4096);
    }
    InSet *set = state->in;
    Arena arena = set->arena;
    arena_reset(&arena);
    *set = (InSet){.arena = arena, .array_is_null = vec_is_null(array, 0)};
    if (!set->array_is_null) {
        ArrayView a;
        array_view(array->data, &a);
        set->n = a.n;
        if (a.n > 0 && !fill(set, t, &a)) {
            return ctx_nomem(s->cx, a.n * sizeof(uint64_t));
        }
    }
    set->made_for = s->env_serial;
    return ST_OK;
}

void in_set_free(InSet *set)
{
    if (set != NULL) {
        arena_done(&set->arena);
    }
}

#define SCAN(T)                                                                                                        \
    {                                                                                                                  \
        const T *x = v->data;                                                                                          \
        const T *values = set->values.data;                                                                            \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            const uint32_t row = sel_row(sel, i);                                                                      \
            bool found = false;                                                                                        \
            for (uint32_t k = 0; k < set->nvalues; k++) {                                                              \
                found |= values[k] == x[row];                                                                          \
            }                                                                                                          \
            r[row] = found != all;                                                                                     \
        }                                                                                                              \
        return true;                                                                                                   \
    }

/* A short list of integers and rows without NULLs; false: not this case. */
static bool scan_integers(const InSet *set, const ValueType *t, bool all, const Vector *v, const uint16_t *sel,
                          uint32_t n, uint8_t *r)
{
    if (set->hashed || set->has_null || v->nulls != NULL || !bytes_decide(t)) {
        return false;
    }
    switch (t->phys) {
    case P_I16: SCAN(int16_t)
    case P_I32: SCAN(int32_t)
    case P_I64: SCAN(int64_t)
    default: return false;
    }
}

static void look_up(ExprState *s, const InSet *set, const ValueType *t, bool all, const Vector *v, const uint16_t *sel,
                    uint32_t n, Vector *out)
{
    uint8_t *r = out->data;
    const bool bytes = bytes_decide(t);
    if (scan_integers(set, t, all, v, sel, n, r)) {
        return;
    }
    if (set->hashed) {
        type_hash(t, v, sel, n, false, s->hashes);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (vec_is_null(v, row)) {
            vec_set_null(out, row);
            continue;
        }
        bool found = set->hashed ? find(set, t, bytes, s->hashes[row], vec_at(v, row))
                                 : scan(set, t, bytes, vec_at(v, row));
        r[row] = found != all;
        if (!found && set->has_null) {
            vec_set_null(out, row);
        }
    }
}

/* What does not depend on the scalar: a NULL array, an empty one (even for a NULL scalar). */
static bool trivial(const InSet *set, bool all, Vector *out)
{
    if (!set->array_is_null && set->n > 0) {
        return false;
    }
    out->kind = VEC_CONSTANT;
    if (set->array_is_null) {
        vec_set_null(out, 0);
    } else {
        *(uint8_t *)out->data = all;
    }
    return true;
}

Status eval_in(ExprState *s, uint32_t id, const uint16_t *sel, uint32_t n)
{
    const Step *t = &s->program->steps[id];
    const Vector *v;
    const Vector *array;
    Vector *out;
    Status st = step_eval(s, t->args[0], sel, n, &v);
    if (st == ST_OK) {
        st = step_eval(s, t->args[1], sel, n, &array);
    }
    if (st == ST_OK && (s->steps[id].in == NULL || s->steps[id].in->made_for != s->env_serial)) {
        st = make_set(s, id, array);
    }
    if (st == ST_OK && s->hashes == NULL && s->steps[id].in->hashed) {
        s->hashes = ARENA_ARRAY(s->arena, uint64_t, s->capacity);
        st = s->hashes != NULL ? ST_OK : ctx_nomem(s->cx, s->capacity * sizeof *s->hashes);
    }
    if (st == ST_OK) {
        st = step_output(s, id, &out);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!trivial(s->steps[id].in, t->op, out)) {
        bool constant = v->kind == VEC_CONSTANT;
        look_up(s, s->steps[id].in, &t->expr->args[0]->type, t->op, v, constant ? NULL : sel, constant ? 1 : n, out);
        out->kind = constant ? VEC_CONSTANT : VEC_FLAT;
    }
    s->steps[id].v = out;
    return ST_OK;
}
