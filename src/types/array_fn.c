/*
 * types/array_fn.c: constructing, subscripting, casting and searching arrays.
 */
#include "types/array.h"
#include "types/kernels.h"
#include "types/text_format.h"

/* ---- helpers ---- */

/* Copies elements from..to of a view into a builder, by reference. */
static bool add_range(ArrayBuilder *b, const ArrayView *a, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint64_t v[2] VALUE_ALIGNED;
        if (!array_is_null(a, i)) {
            array_element(a, i, v);
        }
        if (!array_builder_add(b, array_is_null(a, i) ? NULL : v, false)) {
            return false;
        }
    }
    return true;
}

static Oid result_element(const FnCtx *fx)
{
    return type_element(fx->call->result.oid);
}

static ValueType element_type(Oid elem)
{
    ValueType t = value_type_of(elem);
    return t;
}

static bool elements_equal(const ValueType *t, CompareFn *cmp, const ArrayView *a, uint32_t i, const void *value)
{
    uint64_t v[2] VALUE_ALIGNED;
    if (array_is_null(a, i)) {
        return value == NULL;
    }
    if (value == NULL) {
        return false;
    }
    array_element(a, i, v);
    return cmp(t, v, value) == 0;
}

static Status no_equality(FnCtx *fx, const ValueType *t)
{
    char name[TYPE_NAME_BYTES];
    type_name_text(t->oid, name);
    return err_set(fx->cx->err, ST_UNDEFINED_FUNCTION, "could not identify an equality operator for type %s", name);
}

/* ---- casts ---- */

/* One batch of elements through one or two calls; the vectors are of the batch. */
typedef struct ElementMap {
    const FnCall *calls[2]; /* the second may be NULL */
    Vector from;
    Vector mid;
    Vector to;
} ElementMap;

static bool map_init(ElementMap *m, const FnCall *first, const FnCall *second, Arena *arena)
{
    *m = (ElementMap){.calls = {first, second}};
    const FnCall *last = second != NULL ? second : first;
    return vec_init(&m->from, (PhysType)first->args[0].phys, VECTOR_SIZE, arena) &&
           vec_init(&m->mid, (PhysType)first->result.phys, VECTOR_SIZE, arena) &&
           vec_init(&m->to, (PhysType)last->result.phys, VECTOR_SIZE, arena);
}

static void map_done(ElementMap *m)
{
    vec_done(&m->from);
    vec_done(&m->mid);
    vec_done(&m->to);
}

static Status map_batch(FnCtx *fx, ElementMap *m, uint32_t n)
{
    FnCtx inner = *fx;
    const Vector *const from[1] = {&m->from};
    const Vector *const mid[1] = {&m->mid};
    if (m->calls[1] == NULL) {
        return fn_invoke(&inner, m->calls[0], from, NULL, n, &m->to);
    }
    Status st = fn_invoke(&inner, m->calls[0], from, NULL, n, &m->mid);
    return st != ST_OK ? st : fn_invoke(&inner, m->calls[1], mid, NULL, n, &m->to);
}

/* Applies the calls to every element of an array. */
static Status map_array(FnCtx *fx, ElementMap *m, const StrView *v, Oid elem, Arena *heap, StrView *out)
{
    ArrayView a;
    ArrayBuilder b;
    array_view(v, &a);
    array_builder_init(&b, fx->arena, elem);
    for (uint32_t at = 0; at < a.n;) {
        uint32_t n = a.n - at < VECTOR_SIZE ? a.n - at : VECTOR_SIZE;
        vec_reset(&m->from);
        vec_reset(&m->mid);
        vec_reset(&m->to);
        for (uint32_t i = 0; i < n; i++) {
            if (array_is_null(&a, at + i)) {
                vec_set_null(&m->from, i);
            } else {
                array_element(&a, at + i, vec_at(&m->from, i));
            }
        }
        Status st = map_batch(fx, m, n);
        if (st != ST_OK) {
            return st;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (!array_builder_add(&b, vec_is_null(&m->to, i) ? NULL : vec_at(&m->to, i), true)) {
                return ctx_nomem(fx->cx, 0);
            }
        }
        at += n;
    }
    return array_builder_finish_dims(&b, fx->cx, a.ndim, a.dims, a.lower, heap, out);
}

static Status map_rows(FnCtx *fx, const FnCall *first, const FnCall *second, Oid elem, const Vector *arrays,
                       const uint16_t *sel, uint32_t n, Vector *out)
{
    ElementMap m;
    Status st = map_init(&m, first, second, fx->arena) ? ST_OK : ctx_nomem(fx->cx, 0);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        fx->error_row = row;
        st = map_array(fx, &m, vec_at(arrays, row), elem, &out->heap, vec_at(out, row));
    }
    map_done(&m);
    return st;
}

Status k_array_cast(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    const FnCall *outer = fx->call;
    ValueType from = element_type(type_element(outer->args[0].oid));
    ValueType to = element_type(type_element(outer->result.oid));
    FnCall call;
    FnCall store;
    Status st = cast_resolve(outer->registry, &from, &to, fx->cx->err, &call);
    if (st != ST_OK) {
        return st;
    }
    /* A cast that yields a fixed numeric is followed by one to the form arrays hold. */
    bool convert = !rep_same(&call.result, &to);
    if (convert && (st = rep_convert(&call.result, &to, fx->cx->err, &store)) != ST_OK) {
        return st;
    }
    return map_rows(fx, &call, convert ? &store : NULL, to.oid, args[0], sel, n, out);
}

Status k_array_typmod(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    const FnCall *outer = fx->call;
    Oid elem = type_element(outer->result.oid);
    ValueType from = element_type(elem);
    ValueType to = from;
    FnCall call;
    bool needed;
    to.typmod = outer->result.typmod;
    Status st = typmod_resolve(&from, &to, outer->aux[1] != 0, fx->cx->err, &needed, &call);
    if (st == ST_OK && needed && elem == OID_NUMERIC) {
        /* Elements stay in variable form, whatever the typmod allows. */
        call.result.phys = P_STR;
        call.result.precision = 0;
        call.result.scale = 0;
    }
    if (st != ST_OK) {
        return st;
    }
    if (!needed) {
        vec_ref(out, args[0]);
        return ST_OK;
    }
    return map_rows(fx, &call, NULL, elem, args[0], sel, n, out);
}

/* ---- ARRAY[...] ---- */

static Status ctor_mismatch(FnCtx *fx)
{
    Status st = err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR,
                        "multidimensional arrays must have array expressions with matching dimensions");
    return st;
}

/* Arguments are arrays themselves: one dimension is put before theirs. */
static Status ctor_nested(FnCtx *fx, const Vector *const *args, uint32_t row, Arena *heap, StrView *out)
{
    ArrayBuilder b;
    ArrayView first = {0};
    int32_t dims[ARRAY_DIMS_MAX] = {0};
    int32_t lower[ARRAY_DIMS_MAX];
    int32_t count = 0;
    bool empty = false;
    array_builder_init(&b, fx->arena, result_element(fx));
    for (unsigned i = 0; i < fx->call->nargs; i++) {
        ArrayView a;
        if (vec_is_null(args[i], row)) {
            empty = true; /* as PostgreSQL: NULL sub-arrays count as empty */
            continue;
        }
        array_view(vec_at(args[i], row), &a);
        if (a.ndim == 0) {
            empty = true;
            continue;
        }
        if (count > 0 && (a.ndim != first.ndim || memcmp(a.dims, first.dims, sizeof a.dims) != 0 ||
                          memcmp(a.lower, first.lower, sizeof a.lower) != 0)) {
            return ctor_mismatch(fx);
        }
        first = count == 0 ? a : first;
        count++;
        if (!add_range(&b, &a, 0, a.n)) {
            return ctx_nomem(fx->cx, 0);
        }
    }
    if (count > 0 && empty) {
        return ctor_mismatch(fx);
    }
    if (first.ndim == ARRAY_DIMS_MAX) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                       "number of array dimensions (%d) exceeds the maximum allowed (%d)", ARRAY_DIMS_MAX + 1,
                       ARRAY_DIMS_MAX);
    }
    dims[0] = count;
    lower[0] = 1;
    memcpy(dims + 1, first.dims, sizeof *dims * (size_t)first.ndim);
    memcpy(lower + 1, first.lower, sizeof *lower * (size_t)first.ndim);
    return array_builder_finish_dims(&b, fx->cx, count == 0 ? 0 : first.ndim + 1, dims, lower, heap, out);
}

Status k_array_ctor(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    bool nested = fx->call->nargs > 0 && type_element(fx->call->args[0].oid) != 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayBuilder b;
        ArenaMark mark = arena_mark(fx->arena);
        if (nested) {
            FAIL_IF(ctor_nested(fx, args, row, &out->heap, vec_at(out, row)));
            arena_rewind(fx->arena, mark);
            continue;
        }
        array_builder_init(&b, fx->arena, result_element(fx));
        for (unsigned k = 0; k < fx->call->nargs; k++) {
            if (!array_builder_add(&b, vec_is_null(args[k], row) ? NULL : vec_at(args[k], row), false)) {
                NOMEM();
            }
        }
        FAIL_IF(array_builder_finish(&b, fx->cx, &out->heap, vec_at(out, row)));
        arena_rewind(fx->arena, mark);
    }
    return ST_OK;
}

/* ---- subscripts ---- */

Status k_array_get(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    int subscripts = fx->call->nargs - 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        bool is_null = false;
        uint64_t offset = 0;
        for (int k = 0; k <= subscripts; k++) {
            is_null = is_null || vec_is_null(args[k], row);
        }
        if (is_null) {
            NULL_RESULT
        }
        array_view(vec_at(args[0], row), &a);
        is_null = a.ndim != subscripts;
        for (int k = 0; k < subscripts && !is_null; k++) {
            int64_t index = (int64_t) * (const int32_t *)vec_at(args[k + 1], row) - a.lower[k];
            is_null = index < 0 || index >= a.dims[k];
            offset = offset * (uint64_t)a.dims[k] + (uint64_t)(is_null ? 0 : index);
        }
        if (is_null || array_is_null(&a, (uint32_t)offset)) {
            NULL_RESULT
        }
        array_element(&a, (uint32_t)offset, vec_at(out, row));
    }
    return ST_OK;
}

/* The elements inside the bounds, dimension by dimension. */
static Status slice(FnCtx *fx, const ArrayView *a, const int32_t *from, const int32_t *to, Arena *heap, StrView *out)
{
    ArrayBuilder b;
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t lower[ARRAY_DIMS_MAX];
    int32_t at[ARRAY_DIMS_MAX];
    array_builder_init(&b, fx->arena, a->elem);
    for (int k = 0; k < a->ndim; k++) {
        if (to[k] < from[k]) {
            return array_builder_finish_dims(&b, fx->cx, 0, NULL, NULL, heap, out);
        }
        dims[k] = to[k] - from[k] + 1;
        lower[k] = 1;
        at[k] = from[k] - a->lower[k];
    }
    for (bool more = a->ndim > 0; more;) {
        uint32_t offset = 0;
        for (int k = 0; k < a->ndim; k++) {
            offset = offset * (uint32_t)a->dims[k] + (uint32_t)at[k];
        }
        if (!add_range(&b, a, offset, offset + 1)) {
            return ctx_nomem(fx->cx, 0);
        }
        more = false;
        for (int k = a->ndim - 1; k >= 0 && !more; k--) {
            more = ++at[k] <= to[k] - a->lower[k];
            if (!more) {
                at[k] = from[k] - a->lower[k];
            }
        }
    }
    return array_builder_finish_dims(&b, fx->cx, a->ndim, dims, lower, heap, out);
}

Status k_array_slice(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    int pairs = (fx->call->nargs - 1) / 2;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        int32_t from[ARRAY_DIMS_MAX];
        int32_t to[ARRAY_DIMS_MAX];
        if (vec_is_null(args[0], row)) {
            NULL_RESULT
        }
        array_view(vec_at(args[0], row), &a);
        if (a.ndim < pairs) {
            a.ndim = 0; /* more subscripts than dimensions: empty */
            a.n = 0;
        }
        for (int k = 0; k < a.ndim; k++) {
            int32_t last = a.lower[k] + a.dims[k] - 1;
            bool given = k < pairs;
            from[k] = given && !vec_is_null(args[1 + 2 * k], row) ? *(const int32_t *)vec_at(args[1 + 2 * k], row)
                                                                  : a.lower[k];
            to[k] = given && !vec_is_null(args[2 + 2 * k], row) ? *(const int32_t *)vec_at(args[2 + 2 * k], row) : last;
            from[k] = from[k] < a.lower[k] ? a.lower[k] : from[k];
            to[k] = to[k] > last ? last : to[k];
        }
        FAIL_IF(slice(fx, &a, from, to, &out->heap, vec_at(out, row)));
    }
    return ST_OK;
}

/* ---- op ANY / ALL ---- */

/* Three-valued OR (ANY) or AND (ALL) of one more result: 0 false, 1 true, 2 unknown. */
static uint8_t fold3(uint8_t have, uint8_t next, bool all)
{
    uint8_t decisive = all ? 0 : 1;
    return have == decisive || next == decisive ? decisive : have == 2 || next == 2 ? 2 : have;
}

static Status any_one_row(FnCtx *fx, const FnCall *inner, const Vector *scalar, uint32_t row, const ArrayView *a,
                          bool all, uint8_t *out_result)
{
    FnCtx ix = *fx;
    Vector elems;
    Vector result;
    Vector one = *scalar;
    uint64_t null_word = vec_is_null(scalar, row);
    uint8_t have = all;
    Status st = ST_OK;
    one.kind = VEC_CONSTANT;
    one.data = vec_at(scalar, row);
    one.nulls = null_word ? &null_word : NULL;
    uint32_t cap = a->n < VECTOR_SIZE ? (a->n > 0 ? a->n : 1) : VECTOR_SIZE;
    if (!vec_init(&elems, (PhysType)a->elem_phys, cap, fx->arena) || !vec_init(&result, P_BOOL, cap, fx->arena)) {
        return ctx_nomem(fx->cx, 0);
    }
    for (uint32_t at = 0; at < a->n && st == ST_OK && have != (all ? 0 : 1);) {
        uint32_t n = a->n - at < cap ? a->n - at : cap;
        vec_reset(&elems);
        vec_reset(&result);
        for (uint32_t i = 0; i < n; i++) {
            if (array_is_null(a, at + i)) {
                vec_set_null(&elems, i);
            } else {
                array_element(a, at + i, vec_at(&elems, i));
            }
        }
        const Vector *const pair[2] = {&one, &elems};
        st = fn_invoke(&ix, inner, pair, NULL, n, &result);
        for (uint32_t i = 0; i < n && st == ST_OK; i++) {
            have = fold3(have, vec_is_null(&result, i) ? 2 : *(uint8_t *)vec_at(&result, i), all);
        }
        at += n;
    }
    vec_done(&elems);
    vec_done(&result);
    *out_result = have;
    return st;
}

/* The array is one constant: a loop over its elements, each a vector operation over all rows. */
static Status any_constant(FnCtx *fx, const FnCall *inner, const Vector *scalar, const ArrayView *a, bool all,
                           const uint16_t *sel, uint32_t n, Vector *out)
{
    FnCtx ix = *fx;
    uint8_t have[VECTOR_SIZE];
    uint64_t value[2] VALUE_ALIGNED;
    uint64_t null_word = 1;
    Vector elem = {.phys = a->elem_phys, .kind = VEC_CONSTANT, .capacity = 1, .data = value};
    Vector result;
    Status st = ST_OK;
    uint32_t rows = sel_bound(sel, n);
    if (!vec_init(&result, P_BOOL, rows, fx->arena)) {
        return ctx_nomem(fx->cx, 0);
    }
    memset(have, all, rows);
    for (uint32_t k = 0; k < a->n && st == ST_OK; k++) {
        elem.nulls = array_is_null(a, k) ? &null_word : NULL;
        array_element(a, k, value);
        vec_reset(&result);
        const Vector *const pair[2] = {scalar, &elem};
        st = fn_invoke(&ix, inner, pair, sel, n, &result);
        for (uint32_t i = 0; i < n && st == ST_OK; i++) {
            uint32_t row = sel_row(sel, i);
            have[row] = fold3(have[row], vec_is_null(&result, row) ? 2 : *(uint8_t *)vec_at(&result, row), all);
        }
    }
    vec_done(&result);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        ((uint8_t *)out->data)[row] = have[row] == 1;
        if (have[row] == 2) {
            vec_set_null(out, row);
        }
    }
    return st;
}

KERNEL_FN(k_array_any)
{
    const FnCall *outer = fx->call;
    FnCall inner;
    ValueType elem = element_type(type_element(outer->args[1].oid));
    ValueType pair[2] = {outer->args[0], elem};
    bool all = outer->aux[1] != 0;
    Status st = fn_resolve(outer->registry, fn_by_oid((Oid)outer->aux[0]), pair, 2, OID_BOOL, fx->cx->err, &inner);
    if (st != ST_OK) {
        return st;
    }
    if (args[1]->kind == VEC_CONSTANT && vec_is_null(args[1], 0)) {
        out->kind = VEC_CONSTANT;
        vec_set_null(out, 0);
        return ST_OK;
    }
    if (args[1]->kind == VEC_CONSTANT && args[0]->kind == VEC_FLAT) {
        ArrayView a;
        array_view(args[1]->data, &a);
        return any_constant(fx, &inner, args[0], &a, all, sel, n, out);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        uint8_t result = 0;
        if (vec_is_null(args[1], row)) {
            NULL_RESULT
        }
        array_view(vec_at(args[1], row), &a);
        FAIL_IF(any_one_row(fx, &inner, args[0], row, &a, all, &result));
        *(uint8_t *)vec_at(out, row) = result == 1;
        if (result == 2) {
            vec_set_null(out, row);
        }
    }
    return ST_OK;
}

Status array_any_resolve(const Registry *r, const FnRow *fn, const ValueType *scalar, const ValueType *array, bool all,
                         Error *err, FnCall *out_call)
{
    ValueType elem = element_type(type_element(array->oid));
    ValueType pair[2] = {*scalar, elem};
    FnCall inner;
    Status st = fn_resolve(r, fn, pair, 2, OID_BOOL, err, &inner);
    if (st != ST_OK) {
        return st;
    }
    /* Elements come in the array's form, so both sides are asked for in it. */
    *out_call = (FnCall){.registry = r, .kernel = k_array_any, .nargs = 2, .result = value_type_of(OID_BOOL)};
    out_call->args[0] = scalar->oid == OID_NUMERIC ? element_type(OID_NUMERIC) : *scalar;
    out_call->args[1] = *array;
    out_call->aux[0] = fn->oid;
    out_call->aux[1] = all;
    return ST_OK;
}

/* ---- facts about an array ---- */

#define ARRAY1(name, TR, ...) KERNEL1(name, StrView, TR, ArrayView v; array_view(&a, &v); __VA_ARGS__)
#define ARRAY_DIM(name, ...)                                                                                           \
    KERNEL2(name, StrView, int32_t, int32_t, ArrayView v; array_view(&a, &v);                                          \
            if (b < 1 || b > v.ndim){NULL_RESULT} __VA_ARGS__)
ARRAY1(k_cardinality, int32_t, r = (int32_t)v.n;)
ARRAY1(k_array_ndims, int32_t, if (v.ndim == 0){NULL_RESULT} r = v.ndim;)
ARRAY_DIM(k_array_length, r = v.dims[b - 1];)
ARRAY_DIM(k_array_lower, r = v.lower[b - 1];)
ARRAY_DIM(k_array_upper, r = v.lower[b - 1] + v.dims[b - 1] - 1;)
ARRAY1(
    k_array_dims, StrView, if (v.ndim == 0) { NULL_RESULT } char text[ARRAY_DIMS_MAX * 26]; size_t len = 0;
    for (int k = 0; k < v.ndim; k++) {
        char number[INT_TEXT_BYTES];
        size_t w = int8_text(v.lower[k], number);
        text[len++] = '[';
        memcpy(text + len, number, w);
        len += w;
        text[len++] = ':';
        w = int8_text((int64_t)v.lower[k] + v.dims[k] - 1, number);
        memcpy(text + len, number, w);
        len += w;
        text[len++] = ']';
    } RESULT_STR(text, len);)

/* ---- append, prepend, concatenate ---- */

static Status one_dimension(FnCtx *fx, const ArrayView *a)
{
    return a->ndim <= 1 ? ST_OK
                        : err_set(fx->cx->err, ST_DATA_EXCEPTION, "argument must be empty or one-dimensional array");
}

static Status append_row(FnCtx *fx, const Vector *array, const Vector *item, uint32_t row, bool before, Vector *out)
{
    ArrayBuilder b;
    ArrayView a = {0};
    int32_t dims;
    int32_t lower = 1;
    const void *value = vec_is_null(item, row) ? NULL : vec_at(item, row);
    array_builder_init(&b, fx->arena, result_element(fx));
    if (!vec_is_null(array, row)) {
        array_view(vec_at(array, row), &a);
        Status st = one_dimension(fx, &a);
        if (st != ST_OK) {
            return st;
        }
        lower = a.ndim == 1 ? a.lower[0] : 1;
    }
    bool ok = !before || array_builder_add(&b, value, false);
    ok = ok && add_range(&b, &a, 0, a.n) && (before || array_builder_add(&b, value, false));
    if (!ok) {
        return ctx_nomem(fx->cx, 0);
    }
    dims = (int32_t)b.n;
    return array_builder_finish_dims(&b, fx->cx, 1, &dims, &lower, &out->heap, vec_at(out, row));
}

KERNEL_FN(k_array_append)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        FAIL_IF(append_row(fx, args[0], args[1], row, false, out));
    }
    return ST_OK;
}
KERNEL_FN(k_array_prepend)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        FAIL_IF(append_row(fx, args[1], args[0], row, true, out));
    }
    return ST_OK;
}

static Status cat_mismatch(FnCtx *fx, const char *detail)
{
    Status st = err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    err_detail(fx->cx->err, "%s", detail);
    return st;
}

static Status array_cat(FnCtx *fx, const StrView *x, const StrView *y, Arena *heap, StrView *out)
{
    ArrayView a;
    ArrayView b;
    ArrayBuilder build;
    array_view(x, &a);
    array_view(y, &b);
    if (a.ndim == 0 || b.ndim == 0) {
        *out = a.ndim == 0 ? *y : *x;
        return ST_OK;
    }
    int diff = a.ndim - b.ndim;
    if (diff < -1 || diff > 1) {
        return cat_mismatch(fx, "Arrays of differing dimensions are not compatible for concatenation.");
    }
    const ArrayView *wide = diff >= 0 ? &a : &b;
    const ArrayView *narrow = diff >= 0 ? &b : &a;
    int shift = diff != 0;
    for (int k = 1 - shift; k < narrow->ndim; k++) {
        if (wide->dims[k + shift] != narrow->dims[k] || wide->lower[k + shift] != narrow->lower[k]) {
            return cat_mismatch(
                fx, diff == 0 ? "Arrays with differing element dimensions are not compatible for concatenation."
                              : "Arrays with differing dimensions are not compatible for concatenation.");
        }
    }
    int32_t dims[ARRAY_DIMS_MAX];
    memcpy(dims, wide->dims, sizeof dims);
    dims[0] = wide->dims[0] + (shift ? 1 : narrow->dims[0]);
    array_builder_init(&build, fx->arena, a.elem);
    if (!add_range(&build, &a, 0, a.n) || !add_range(&build, &b, 0, b.n)) {
        return ctx_nomem(fx->cx, 0);
    }
    int32_t lower[ARRAY_DIMS_MAX];
    memcpy(lower, wide->lower, sizeof lower);
    if (diff == 0) {
        lower[0] = a.lower[0];
    }
    return array_builder_finish_dims(&build, fx->cx, wide->ndim, dims, lower, heap, out);
}

KERNEL_FN(k_array_cat)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        bool na = vec_is_null(args[0], row);
        bool nb = vec_is_null(args[1], row);
        if (na && nb) {
            NULL_RESULT
        }
        if (na || nb) {
            *(StrView *)vec_at(out, row) = *(const StrView *)vec_at(args[na], row);
            continue;
        }
        FAIL_IF(array_cat(fx, vec_at(args[0], row), vec_at(args[1], row), &out->heap, vec_at(out, row)));
    }
    return ST_OK;
}

/* ---- searching ---- */

static Status searchable(FnCtx *fx, const ArrayView *a, const char *what)
{
    return a->ndim <= 1
               ? ST_OK
               : err_set(fx->cx->err, ST_FEATURE_NOT_SUPPORTED, "%s multidimensional arrays is not supported", what);
}

static Status find_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out, bool all)
{
    ValueType t = element_type(type_element(fx->call->args[0].oid));
    CompareFn *cmp = type_compare(&t);
    if (cmp == NULL) {
        return no_equality(fx, &t);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        ArrayBuilder b;
        int64_t start = INT32_MIN;
        if (vec_is_null(args[0], row)) {
            NULL_RESULT
        }
        array_view(vec_at(args[0], row), &a);
        if (a.ndim > 1) {
            FAIL(ST_FEATURE_NOT_SUPPORTED, "searching for elements in multidimensional arrays is not supported");
        }
        if ((a.n == 0 || (vec_is_null(args[1], row) && a.nulls == NULL)) && !all) {
            NULL_RESULT
        }
        if (fx->call->nargs == 3) {
            if (vec_is_null(args[2], row)) {
                FAIL(ST_NULL_VALUE_NOT_ALLOWED, "initial position must not be null");
            }
            start = *(const int32_t *)vec_at(args[2], row);
        }
        const void *value = vec_is_null(args[1], row) ? NULL : vec_at(args[1], row);
        bool found = false;
        array_builder_init(&b, fx->arena, OID_INT4);
        for (uint32_t k = 0; k < a.n && (all || !found); k++) {
            int32_t index = a.lower[0] + (int32_t)k;
            if (index >= start && elements_equal(&t, cmp, &a, k, value)) {
                found = true;
                if (!all) {
                    *(int32_t *)vec_at(out, row) = index;
                } else if (!array_builder_add(&b, &index, true)) {
                    NOMEM();
                }
            }
        }
        if (all) {
            FAIL_IF(array_builder_finish(&b, fx->cx, &out->heap, vec_at(out, row)));
        } else if (!found) {
            NULL_RESULT
        }
    }
    return ST_OK;
}
KERNEL_FN(k_array_position)
{
    return find_rows(fx, args, sel, n, out, false);
}
KERNEL_FN(k_array_positions)
{
    return find_rows(fx, args, sel, n, out, true);
}

/* array_remove (replacement NULL pointer-to-vector) and array_replace. */
static Status replace_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                           bool remove)
{
    ValueType t = element_type(type_element(fx->call->args[0].oid));
    CompareFn *cmp = type_compare(&t);
    if (cmp == NULL) {
        return no_equality(fx, &t);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        ArrayBuilder b;
        if (vec_is_null(args[0], row)) {
            NULL_RESULT
        }
        array_view(vec_at(args[0], row), &a);
        if (remove) {
            FAIL_IF(searchable(fx, &a, "removing elements from"));
        }
        const void *value = vec_is_null(args[1], row) ? NULL : vec_at(args[1], row);
        bool changed = false;
        array_builder_init(&b, fx->arena, t.oid);
        for (uint32_t k = 0; k < a.n; k++) {
            bool hit = elements_equal(&t, cmp, &a, k, value);
            changed = changed || hit;
            bool ok = true;
            if (hit && !remove) {
                ok = array_builder_add(&b, vec_is_null(args[2], row) ? NULL : vec_at(args[2], row), false);
            } else if (!hit) {
                ok = add_range(&b, &a, k, k + 1);
            }
            if (!ok) {
                NOMEM();
            }
        }
        if (!changed) {
            *(StrView *)vec_at(out, row) = *(const StrView *)vec_at(args[0], row);
            continue;
        }
        if (remove) {
            a.dims[0] = (int32_t)b.n;
            a.ndim = b.n > 0;
        }
        FAIL_IF(array_builder_finish_dims(&b, fx->cx, a.ndim, a.dims, a.lower, &out->heap, vec_at(out, row)));
    }
    return ST_OK;
}
KERNEL_FN(k_array_remove)
{
    return replace_rows(fx, args, sel, n, out, true);
}
KERNEL_FN(k_array_replace)
{
    return replace_rows(fx, args, sel, n, out, false);
}

/* Does every (all) or any element of x occur in y? NULL elements match nothing. Quadratic, as sizes are small. */
static bool contains(const ValueType *t, CompareFn *cmp, const ArrayView *x, const ArrayView *y, bool all)
{
    for (uint32_t i = 0; i < x->n; i++) {
        bool found = false;
        uint64_t v[2] VALUE_ALIGNED;
        if (!array_is_null(x, i)) {
            array_element(x, i, v);
            for (uint32_t k = 0; k < y->n && !found; k++) {
                found = elements_equal(t, cmp, y, k, v);
            }
        }
        if (found != all) {
            return found;
        }
    }
    return all;
}

static Status contain_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                           int inner, bool all)
{
    ValueType t = element_type(type_element(fx->call->args[0].oid));
    CompareFn *cmp = type_compare(&t);
    if (cmp == NULL) {
        return no_equality(fx, &t);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView x;
        ArrayView y;
        array_view(vec_at(args[inner], row), &x);
        array_view(vec_at(args[1 - inner], row), &y);
        ((uint8_t *)out->data)[row] = contains(&t, cmp, &x, &y, all);
    }
    return ST_OK;
}
KERNEL_FN(k_array_overlap)
{
    return contain_rows(fx, args, sel, n, out, 0, false);
}
KERNEL_FN(k_array_contains)
{
    return contain_rows(fx, args, sel, n, out, 1, true);
}
KERNEL_FN(k_array_contained)
{
    return contain_rows(fx, args, sel, n, out, 0, true);
}

/* ---- array_to_string, trim_array ---- */

static Status to_text_row(FnCtx *fx, const ArrayView *a, Str sep, const StrView *null_text, StrBuf *sb)
{
    ValueType t = element_type(a->elem);
    bool any = false;
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t v[2] VALUE_ALIGNED;
        bool is_null = array_is_null(a, i);
        if (is_null && null_text == NULL) {
            continue;
        }
        if (any) {
            strbuf_append(sb, sep.p, sep.len);
        }
        any = true;
        if (is_null) {
            strbuf_append(sb, strview_ptr(null_text), null_text->len);
            continue;
        }
        array_element(a, i, v);
        Status st = type_out(fx, &t, v, sb);
        if (st != ST_OK) {
            return st;
        }
    }
    return sb->failed ? ctx_nomem(fx->cx, sb->len) : ST_OK;
}

KERNEL_FN(k_array_to_text)
{
    StrBuf sb;
    Status st = ST_OK;
    strbuf_init(&sb, fx->cx->budget);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        fx->error_row = row;
        if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
            NULL_RESULT
        }
        const StrView *null_text = fx->call->nargs < 3 || vec_is_null(args[2], row) ? NULL : vec_at(args[2], row);
        array_view(vec_at(args[0], row), &a);
        strbuf_reset(&sb);
        st = to_text_row(fx, &a, strview_str(vec_at(args[1], row)), null_text, &sb);
        if (st == ST_OK && !heap_str(&out->heap, sb.p, sb.len, vec_at(out, row))) {
            st = ctx_nomem(fx->cx, sb.len);
        }
    }
    strbuf_done(&sb);
    return st;
}

KERNEL_FN(k_trim_array)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        ArrayView a;
        int32_t from[ARRAY_DIMS_MAX];
        int32_t to[ARRAY_DIMS_MAX];
        int32_t drop = *(const int32_t *)vec_at(args[1], row);
        array_view(vec_at(args[0], row), &a);
        int32_t have = a.ndim > 0 ? a.dims[0] : 0;
        if (drop < 0 || drop > have) {
            FAIL(ST_ARRAY_SUBSCRIPT_ERROR, "number of elements to trim must be between 0 and %d", have);
        }
        for (int k = 0; k < a.ndim; k++) {
            from[k] = a.lower[k];
            to[k] = a.lower[k] + a.dims[k] - 1 - (k == 0 ? drop : 0);
        }
        FAIL_IF(slice(fx, &a, from, to, &out->heap, vec_at(out, row)));
    }
    return ST_OK;
}

#define K(src, kernel)                                                                                                 \
    {                                                                                                                  \
        src, kernel, 0, NULL                                                                                           \
    }
#define KN(src, kernel)                                                                                                \
    {                                                                                                                  \
        src, kernel, KERNEL_CALLED_ON_NULL, NULL                                                                       \
    }
/* clang-format off */
KERNEL_LIST(array_kernel_list,
    K("array_cardinality", k_cardinality), K("array_ndims", k_array_ndims), K("array_length", k_array_length),
    K("array_lower", k_array_lower), K("array_upper", k_array_upper), K("array_dims", k_array_dims),
    KN("array_append", k_array_append), KN("array_prepend", k_array_prepend), KN("array_cat", k_array_cat),
    KN("array_position", k_array_position), KN("array_position_start", k_array_position),
    KN("array_positions", k_array_positions), KN("array_remove", k_array_remove),
    KN("array_replace", k_array_replace), K("arrayoverlap", k_array_overlap), K("arraycontains", k_array_contains),
    K("arraycontained", k_array_contained), KN("array_to_text", k_array_to_text),
    KN("array_to_text_null", k_array_to_text), K("trim_array", k_trim_array))
/* clang-format on */
