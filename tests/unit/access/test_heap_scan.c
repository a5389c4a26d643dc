/*
 * Scans: every predicate against a naive evaluation of the same rows; the copy against reading row by row; the range
 * kernels, portable and vector, against the definition of each operator.
 */
#include "heap_model.h"

#include <math.h>

#include "access/heap_int.h"
#include "access/heap_range.h"

/* ---- naive evaluation ---- */

static int order_of(unsigned width, HeapOrder order, const HeapValue *a, const HeapValue *b)
{
    if (width == HEAP_STRING) {
        uint32_t n = a->view.len < b->view.len ? a->view.len : b->view.len;
        int c = memcmp(heap_view_ptr(&a->view), heap_view_ptr(&b->view), n);
        return c != 0 ? c : (a->view.len > b->view.len) - (a->view.len < b->view.len);
    }
    if (order == HEAP_BYTES) {
        return memcmp(a->bytes, b->bytes, 16);
    }
    if (order == HEAP_FLOAT) {
        double x = width == HEAP_W8 ? a->f64 : (double)a->f32;
        double y = width == HEAP_W8 ? b->f64 : (double)b->f32;
        if (isnan(x) || isnan(y)) {
            return (isnan(x) != 0) - (isnan(y) != 0);
        }
        return (x > y) - (x < y);
    }
    unsigned bits = 8 * heap_width_bytes(width);
    unsigned __int128 x = 0;
    unsigned __int128 y = 0;
    memcpy(&x, a->bytes, bits / 8);
    memcpy(&y, b->bytes, bits / 8);
    if (order == HEAP_SIGNED) {
        __int128 sx = (__int128)(x << (128 - bits));
        __int128 sy = (__int128)(y << (128 - bits));
        return (sx > sy) - (sx < sy);
    }
    return (x > y) - (x < y);
}

/* LIKE by its definition. */
static bool like(const char *pat, size_t n_pat, const char *p, size_t n)
{
    if (n_pat == 0) {
        return n == 0;
    }
    if (*pat == '%') {
        for (size_t i = 0; i <= n; i++) {
            if (like(pat + 1, n_pat - 1, p + i, n - i)) {
                return true;
            }
        }
        return false;
    }
    if (n == 0) {
        return false;
    }
    if (*pat == '_') {
        size_t bytes = 1;
        while (bytes < n && ((unsigned char)p[bytes] & 0xc0) == 0x80) {
            bytes++;
        }
        return like(pat + 1, n_pat - 1, p + bytes, n - bytes);
    }
    return *pat == *p && like(pat + 1, n_pat - 1, p + 1, n - 1);
}

static bool naive(unsigned width, const HeapPredicate *pred, Str pattern, const HeapValue *v)
{
    if (pred->test == HEAP_IS_NULL || pred->test == HEAP_IS_NOT_NULL) {
        return (v->state == HEAP_NULL) == (pred->test == HEAP_IS_NULL);
    }
    if (v->state == HEAP_NULL) {
        return false;
    }
    if (pred->test == HEAP_LIKE || pred->test == HEAP_NOT_LIKE) {
        return like(pattern.p, pattern.len, heap_view_ptr(&v->view), v->view.len) == (pred->test == HEAP_LIKE);
    }
    if (pred->test == HEAP_IN) {
        for (uint32_t i = 0; i < pred->n_in; i++) {
            if (order_of(width, (HeapOrder)pred->order, v, &pred->in[i]) == 0) {
                return true;
            }
        }
        return false;
    }
    int c = order_of(width, (HeapOrder)pred->order, v, &pred->value);
    switch (pred->test) {
    case HEAP_EQ: return c == 0;
    case HEAP_NE: return c != 0;
    case HEAP_LT: return c < 0;
    case HEAP_LE: return c <= 0;
    case HEAP_GT: return c > 0;
    default: return c >= 0;
    }
}

/* ---- kernels ---- */

static HeapValue number(unsigned width, bool is_float, Rng *rng)
{
    static const double floats[] = {0.0, -0.0, 1.5, -1.5, INFINITY, -INFINITY, NAN, 1e-310, 3e38};
    HeapValue v = heap_i64(0);
    if (is_float) {
        double d = floats[rng_below(rng, ARRAY_LEN(floats))];
        d = rng_below(rng, 3) == 0 ? copysign(NAN, -1) : d;
        if (width == HEAP_W8) {
            v.f64 = d;
        } else {
            v.f32 = (float)d;
        }
        return v;
    }
    uint64_t top = UINT64_C(1) << (8 * heap_width_bytes(width) - 1);
    uint64_t edges[] = {0, 1, top - 1, top, top + 1, 2 * top - 1, 100};
    v.u64 = edges[rng_below(rng, ARRAY_LEN(edges))] + rng_below(rng, 2);
    v.u64 &= UINT64_MAX >> (64 - 8 * heap_width_bytes(width));
    return v;
}

static void kernels_agree_with_the_operators(void **state)
{
    (void)state;
    Rng rng;
    rng_seed(&rng, 1);
    print_message("# vector kernels: %s\n", heap_range_has_vector() ? "yes" : "no");
    for (unsigned round = 0; round < 6000; round++) {
        bool is_float = round % 3 == 0;
        unsigned width = is_float ? (round % 2 ? HEAP_W4 : HEAP_W8) : HEAP_W1 + (unsigned)rng_below(&rng, 4);
        unsigned n = 1 + (unsigned)rng_below(&rng, 200);
        unsigned bytes = heap_width_bytes(width);
        HeapValue values[256];
        uint8_t *data = malloc((size_t)n * bytes); /* exactly: a read beyond is seen */
        for (unsigned i = 0; i < n; i++) {
            values[i] = number(width, is_float, &rng);
            memcpy(data + i * bytes, values[i].bytes, bytes);
        }
        HeapPredicate pred = {.test = (uint8_t)rng_below(&rng, HEAP_GE + 1),
                              .order = is_float             ? HEAP_FLOAT
                                       : rng_below(&rng, 2) ? HEAP_SIGNED
                                                            : HEAP_UNSIGNED,
                              .value = number(width, is_float, &rng)};
        HeapRange range;
        heap_range(width, (HeapOrder)pred.order, (HeapTest)pred.test, &pred.value, &range);
        uint64_t a[4];
        uint64_t b[4];
        uint64_t want[4] = {0};
        for (unsigned w = 0; w < heap_words(n); w++) {
            a[w] = b[w] = rng_below(&rng, 4) == 0 ? 0 : rng_next(&rng);
            if (w == n / 64) {
                a[w] = b[w] &= (UINT64_C(1) << (n % 64)) - 1;
            }
        }
        for (unsigned i = 0; i < n; i++) {
            if (a[i / 64] >> (i % 64) & 1 && naive(width, &pred, (Str){0}, &values[i])) {
                want[i / 64] |= UINT64_C(1) << (i % 64);
            }
        }
        heap_range_apply(width, is_float, data, n, &range, a);
        heap_range_apply_portable(width, is_float, data, n, &range, b);
        for (unsigned w = 0; w < heap_words(n); w++) {
            if (a[w] != want[w] || b[w] != want[w]) {
                fail_msg("round %u width %u order %u test %u", round, width, pred.order, pred.test);
            }
        }
        free(data);
    }
}

/* ---- pages ---- */

static HeapPredicate random_predicate(Model *m, Ctx *cx, HeapValue *in, HeapLike *compiled, Str *out_pattern)
{
    const HeapLayout *l = heap_newest(&m->shape);
    unsigned c = (unsigned)rng_below(&m->rng, l->n_columns);
    unsigned width = l->columns[c].width;
    HeapPredicate pred = {.column = (uint16_t)c, .test = (uint8_t)rng_below(&m->rng, HEAP_IS_NOT_NULL + 1)};
    if (width != HEAP_STRING && (pred.test == HEAP_LIKE || pred.test == HEAP_NOT_LIKE)) {
        pred.test = HEAP_LE;
    }
    pred.order = width == HEAP_STRING ? HEAP_BYTES : (uint8_t)rng_below(&m->rng, 2);
    if ((width == HEAP_W4 || width == HEAP_W8) && rng_below(&m->rng, 3) == 0) {
        pred.order = HEAP_FLOAT;
    }
    if (width == HEAP_W16 && rng_below(&m->rng, 2) == 0) {
        pred.order = HEAP_BYTES;
    }
    for (unsigned i = 0; i < 6; i++) {
        do {
            /* Often a value of the page, so that something is found. */
            const ModelRow *row = &m->rows[rng_below(&m->rng, 50)];
            in[i] = row->used && rng_below(&m->rng, 2) == 0 ? row->values[c] : page_model_random(m, width);
        } while (in[i].state != HEAP_PRESENT);
    }
    pred.value = in[0];
    pred.in = in;
    pred.n_in = (uint32_t)rng_below(&m->rng, 7);
    static char pattern[32];
    size_t len = 0;
    while (len < 10 && rng_below(&m->rng, 6) != 0) {
        pattern[len++] = "abc%%_"[rng_below(&m->rng, 6)];
    }
    *out_pattern = (Str){pattern, len};
    assert_int_equal(heap_like_compile(cx, &m->arena, *out_pattern, '\\', compiled), ST_OK);
    pred.like = compiled;
    return pred;
}

static void filters_agree_with_naive_evaluation(void **state)
{
    (void)state;
    unsigned selected = 0;
    unsigned rechecked = 0;
    unsigned decided = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(seed + 500, 1 + (unsigned)(seed % 7), 60);
        Ctx cx;
        ctx_init(&cx, &m->err, &m->budget, &m->arena);
        page_model_init_page(m, 0);
        for (unsigned i = 0; i < 120; i++) {
            page_model_step(m);
        }
        HeapPage p = page_model_open(m);
        const HeapLayout *l = heap_newest(&m->shape);
        for (unsigned round = 0; round < 200; round++) {
            HeapPredicate preds[2];
            HeapValue in[2][6];
            HeapLike compiled[2];
            Str patterns[2];
            char pattern_copy[2][32];
            unsigned n = 1 + (unsigned)rng_below(&m->rng, 2);
            for (unsigned i = 0; i < n; i++) {
                preds[i] = random_predicate(m, &cx, in[i], &compiled[i], &patterns[i]);
                memcpy(pattern_copy[i], patterns[i].p, patterns[i].len);
                patterns[i].p = pattern_copy[i];
            }
            HeapSelection sel;
            HeapSelection recheck = {0};
            (void)heap_select_live(&p, &sel);
            unsigned left = heap_filter(&p, preds, n, &sel, &recheck);
            assert_int_equal(left, heap_selection_count(&sel));
            for (unsigned slot = 0; slot < p.n_slots; slot++) {
                bool want = m->rows[slot].used && !m->rows[slot].deleted;
                bool unknown = false;
                for (unsigned i = 0; i < n && want; i++) {
                    const HeapColumn *col = &l->columns[preds[i].column];
                    const HeapValue *v = &m->rows[slot].values[preds[i].column];
                    HeapValue null = heap_null();
                    if (col->dropped) {
                        want = false; /* reads as whatever: not compared */
                        unknown = true;
                    } else if (v->state == HEAP_OVERFLOW && preds[i].test < HEAP_IS_NULL) {
                        unknown = true;
                    } else {
                        want = naive(col->width, &preds[i], patterns[i], v != NULL ? v : &null);
                    }
                }
                bool dropped = false;
                for (unsigned i = 0; i < n; i++) {
                    dropped = dropped || l->columns[preds[i].column].dropped;
                }
                if (dropped) {
                    continue;
                }
                if (unknown && want) {
                    /* Decided by length or prefix, or flagged. */
                    rechecked += heap_selected(&recheck, slot);
                    decided += !heap_selected(&recheck, slot);
                } else if (heap_selected(&sel, slot) != want && !heap_selected(&recheck, slot)) {
                    fail_msg("slot %u: column %u test %u", slot, preds[0].column, preds[0].test);
                }
                selected += want;
            }
        }
        page_model_free(m);
    }
    print_message("# selected %u, rechecked %u, decided in overflow %u\n", selected, rechecked, decided);
    assert_true(selected > 1000 && rechecked > 20 && decided > 20);
}

static void like_agrees_with_its_definition(void **state)
{
    (void)state;
    Budget budget;
    Arena arena;
    Error err;
    Ctx cx;
    budget_init(&budget, "like", NULL, 0, 0);
    arena_init(&arena, &budget, 4096);
    err_clear(&err);
    ctx_init(&cx, &err, &budget, &arena);
    Rng rng;
    rng_seed(&rng, 3);
    unsigned matches = 0;
    for (unsigned round = 0; round < 100000; round++) {
        char pat[12];
        char text[40];
        size_t n_pat = 0;
        size_t n = 0;
        for (uint64_t i = rng_below(&rng, 9); i > 0; i--) {
            pat[n_pat++] = "ab%%_"[rng_below(&rng, 5)];
        }
        for (uint64_t i = rng_below(&rng, 12); i > 0; i--) {
            const char *c = rng_below(&rng, 4) == 0 ? "\xc3\xa4" : rng_below(&rng, 2) ? "a" : "b";
            memcpy(text + n, c, strlen(c));
            n += strlen(c);
        }
        HeapLike l;
        arena_reset(&arena);
        assert_int_equal(heap_like_compile(&cx, &arena, (Str){pat, n_pat}, '\\', &l), ST_OK);
        bool want = like(pat, n_pat, text, n);
        if (heap_like_match(&l, text, n) != want) {
            fail_msg("'%.*s' LIKE '%.*s'", (int)n, text, (int)n_pat, pat);
        }
        matches += want;
    }
    assert_true(matches > 5000);
    HeapLike l;
    assert_int_equal(heap_like_compile(&cx, &arena, STR_LIT("a\\%b"), '\\', &l), ST_OK);
    assert_true(heap_like_match(&l, "a%b", 3) && !heap_like_match(&l, "axb", 3));
    assert_int_equal(heap_like_compile(&cx, &arena, STR_LIT("a\\"), '\\', &l), ST_INVALID_ESCAPE_SEQUENCE);
    arena_done(&arena);
    budget_done(&budget);
}

static void copies_agree_with_single_reads(void **state)
{
    (void)state;
    unsigned all = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(seed + 900, 1 + (unsigned)(seed % 7), 300);
        page_model_init_page(m, 0);
        for (unsigned i = 0; i < (seed % 4 == 0 ? 2 : 150); i++) {
            (void)(seed % 4 == 0 ? page_model_insert(m, 0, 2000) : (page_model_step(m), true));
        }
        HeapPage p = page_model_open(m);
        const HeapLayout *l = heap_newest(&m->shape);
        for (unsigned round = 0; round < 8; round++) {
            HeapSelection sel;
            (void)heap_select_used(&p, &sel);
            for (unsigned w = 0; w < sel.n_words && round > 1; w++) {
                sel.bits[w] &=
                    round > 4 ? rng_next(&m->rng) & rng_next(&m->rng) & rng_next(&m->rng) : rng_next(&m->rng);
            }
            HeapColumnOut cols[MODEL_COLUMNS];
            uint64_t nulls[MODEL_COLUMNS][HEAP_WORDS_MAX];
            uint64_t overflow[MODEL_COLUMNS][HEAP_WORDS_MAX];
            unsigned n_cols = 0;
            for (unsigned c = 0; c < l->n_columns; c++) {
                if (!l->columns[c].dropped) {
                    cols[n_cols] = (HeapColumnOut){.column = (uint16_t)c,
                                                   .data = aligned_alloc(16, HEAP_SLOTS_MAX * 16),
                                                   .nulls = nulls[n_cols],
                                                   .overflow = overflow[n_cols]};
                    n_cols++;
                }
            }
            uint16_t slots[HEAP_SLOTS_MAX];
            uint8_t generations[HEAP_SLOTS_MAX];
            uint32_t stamps[HEAP_SLOTS_MAX];
            HeapBatch batch = {
                .strings = malloc(PAGE_BYTES), .slots = slots, .generations = generations, .stamps = stamps};
            assert_int_equal(heap_copy(&p, &sel, cols, n_cols, &m->err, &batch), ST_OK);
            assert_int_equal(batch.n_rows, heap_selection_count(&sel));
            all += batch.n_rows > 0 && slots[batch.n_rows - 1] == batch.n_rows - 1;
            for (unsigned i = 0; i < batch.n_rows; i++) {
                assert_true(heap_selected(&sel, slots[i]) && (i == 0 || slots[i] > slots[i - 1]));
                assert_int_equal(generations[i], m->rows[slots[i]].generation);
                assert_int_equal(stamps[i], m->rows[slots[i]].stamp);
                for (unsigned k = 0; k < n_cols; k++) {
                    unsigned width = l->columns[cols[k].column].width;
                    HeapValue v = heap_i64(0);
                    memcpy(v.bytes, (uint8_t *)cols[k].data + i * heap_width_bytes(width), heap_width_bytes(width));
                    bool null = nulls[k][i / 64] >> (i % 64) & 1;
                    assert_true(!null || cols[k].any_null);
                    v.state = null ? HEAP_NULL : HEAP_PRESENT;
                    if (width == HEAP_STRING && cols[k].any_overflow && (overflow[k][i / 64] >> (i % 64) & 1)) {
                        v.state = HEAP_OVERFLOW;
                    }
                    assert_true(heap_value_eq(width, &v, &m->rows[slots[i]].values[cols[k].column]));
                }
            }
            for (unsigned k = 0; k < n_cols; k++) {
                free(cols[k].data);
            }
            free(batch.strings);
        }
        page_model_free(m);
    }
    assert_true(all > 20);
}

/* Scanning damaged pages comes back, with ST_CORRUPTED or garbage, but reads nothing outside. */
static void scans_survive_damage(void **state)
{
    (void)state;
    uint8_t *page = aligned_alloc(4096, PAGE_BYTES);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(seed + 1500, 1 + (unsigned)(seed % 7), 100);
        Ctx cx;
        ctx_init(&cx, &m->err, &m->budget, &m->arena);
        page_model_init_page(m, 0);
        for (unsigned i = 0; i < 60; i++) {
            page_model_step(m);
        }
        const HeapLayout *l = heap_newest(&m->shape);
        void *data = aligned_alloc(16, HEAP_SLOTS_MAX * 16);
        char *strings = malloc(PAGE_BYTES);
        uint16_t slots[HEAP_SLOTS_MAX];
        for (unsigned round = 0; round < 300; round++) {
            memcpy(page, m->page, PAGE_BYTES);
            for (uint64_t k = 1 + rng_below(&m->rng, 4); k > 0; k--) {
                uint64_t at = PAGE_HEADER_BYTES + rng_below(&m->rng, rng_below(&m->rng, 2) ? 200 : PAGE_BODY_BYTES);
                page[at] = (uint8_t)(rng_below(&m->rng, 2) ? rng_next(&m->rng) : 0xff);
            }
            HeapPage p;
            Error err;
            err_clear(&err);
            if (heap_open(page, &m->shape, &err, &p) != ST_OK) {
                continue;
            }
            HeapValue in[6];
            HeapLike compiled;
            Str pattern;
            HeapPredicate pred = random_predicate(m, &cx, in, &compiled, &pattern);
            HeapSelection sel;
            HeapSelection recheck = {0};
            (void)heap_select_used(&p, &sel);
            (void)heap_filter(&p, &pred, 1, &sel, &recheck);
            uint64_t nulls[HEAP_WORDS_MAX];
            uint64_t overflow[HEAP_WORDS_MAX];
            HeapColumnOut col = {.column = (uint16_t)rng_below(&m->rng, l->n_columns),
                                 .data = data,
                                 .nulls = nulls,
                                 .overflow = overflow};
            HeapBatch batch = {.strings = strings, .slots = slots};
            if (heap_copy(&p, &sel, &col, 1, &err, &batch) != ST_OK) {
                assert_int_equal(err.status, ST_CORRUPTED);
            }
        }
        free(data);
        free(strings);
        page_model_free(m);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree_with_the_operators),
        cmocka_unit_test(like_agrees_with_its_definition),
        cmocka_unit_test(filters_agree_with_naive_evaluation),
        cmocka_unit_test(copies_agree_with_single_reads),
        cmocka_unit_test(scans_survive_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
