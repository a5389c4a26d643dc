/*
 * txn/stress_rows.c: the rows of the stress workload: layouts, strings made of seeds, index keys.
 */
#include "txn/stress_int.h"

static const HeapColumn COLUMNS[STRESS_COLUMNS] = {
    [COL_UID] = {.width = HEAP_W8},
    [COL_A] = {.width = HEAP_W8},
    [COL_B] = {.width = HEAP_W4},
    [COL_C] = {.width = HEAP_W8},
    [COL_S] = {.width = HEAP_STRING},
    [COL_D] = {.width = HEAP_W8, .fill = {.u64 = STRESS_D_FILL, .state = HEAP_PRESENT}},
    [COL_T] = {.width = HEAP_STRING, .fill = {.u64 = 0, .state = HEAP_NULL}},
};
static const HeapLayout LAYOUTS[STRESS_LAYOUTS] = {
    {.id = 1, .n_columns = LAYOUT_FIRST, .columns = COLUMNS},
    {.id = 2, .n_columns = LAYOUT_FIRST + 1, .columns = COLUMNS},
    {.id = 3, .n_columns = LAYOUT_FIRST + 2, .columns = COLUMNS},
};
static const HeapLayout *const LAYOUT_LIST[STRESS_LAYOUTS] = {&LAYOUTS[0], &LAYOUTS[1], &LAYOUTS[2]};
static const HeapShape SHAPES[STRESS_LAYOUTS] = {{LAYOUT_LIST, 1}, {LAYOUT_LIST, 2}, {LAYOUT_LIST, 3}};

const HeapShape *stress_shape(unsigned n_layouts)
{
    ASSERT(n_layouts >= 1 && n_layouts <= STRESS_LAYOUTS);
    return &SHAPES[n_layouts - 1];
}

const HeapLayout *stress_layout(unsigned n_layouts)
{
    return heap_newest(stress_shape(n_layouts));
}

/* ---- strings ---- */

/* The seed stands in the first four bytes; shorter strings have none. */
static void string_fill(char *p, uint32_t len, uint32_t seed)
{
    uint64_t x = mix64(seed);
    if (len < 4) {
        memset(p, 'x', len);
        return;
    }
    store_u32(p, seed);
    for (uint32_t i = 4; i < len; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (char)(x >> 56);
    }
}

bool string_seed(const char *p, uint32_t len, uint32_t *out_seed)
{
    *out_seed = 0;
    if (len < 4) {
        return len == 0 || memcmp(p, "xxx", len) == 0;
    }
    *out_seed = load_u32(p);
    uint64_t x = mix64(*out_seed);
    for (uint32_t i = 4; i < len; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (p[i] != (char)(x >> 56)) {
            return false;
        }
    }
    return true;
}

static bool string_value(Arena *arena, bool is_null, uint32_t seed, uint32_t len, HeapValue *out)
{
    *out = heap_null();
    if (is_null) {
        return true;
    }
    char *p = arena_alloc(arena, len);
    if (p == NULL) {
        return false;
    }
    string_fill(p, len, seed);
    *out = heap_string(p, len);
    return true;
}

bool row_values(const StressRow *r, Arena *arena, HeapValue *out_values)
{
    out_values[COL_UID] = heap_i64((int64_t)r->uid);
    out_values[COL_A] = heap_i64((int64_t)r->a);
    out_values[COL_B] = row_null(r, COL_B) ? heap_null() : (HeapValue){.u32 = r->b, .state = HEAP_PRESENT};
    out_values[COL_C] = heap_i64(r->c);
    out_values[COL_D] = row_null(r, COL_D) ? heap_null() : heap_i64((int64_t)r->d);
    return string_value(arena, row_null(r, COL_S), r->s_seed, r->s_len, &out_values[COL_S]) &&
           string_value(arena, row_null(r, COL_T), r->t_seed, r->t_len, &out_values[COL_T]);
}

/* ---- keys ---- */

BTreeBytes row_key(const StressRow *r, unsigned index, uint8_t *buf)
{
    switch (index) {
    case INDEX_A:
        store_be64(buf, r->a);
        return (BTreeBytes){buf, 8};
    case INDEX_B: {
        if (row_null(r, COL_B)) {
            buf[0] = 1;
            return (BTreeBytes){buf, 1};
        }
        uint32_t more = r->b * 37 % 300;
        buf[0] = 0;
        store_be32(buf + 1, r->b);
        memset(buf + 5, 'k', more);
        return (BTreeBytes){buf, 5 + more};
    }
    default:
        store_be64(buf, (uint64_t)r->c ^ UINT64_C(1) << 63);
        return (BTreeBytes){buf, 8};
    }
}
