/*
 * Table pages against a model of their rows: random transactions that insert, update, delete, roll back and commit,
 * with columns added and dropped between; and what redo makes of damaged records and pages.
 */
#include "heap_model.h"

#include "access/heap_int.h"

static void rows_survive_random_transactions(void **state)
{
    (void)state;
    uint64_t counts[32] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(seed, 1 + (unsigned)(seed % 9), seed % 3 == 0 ? 2048 : 200);
        page_model_init_page(m, 0);
        for (unsigned i = 0; i < 400; i++) {
            page_model_step(m);
            if (i % 16 == 0) {
                page_model_compare(m);
            }
        }
        for (unsigned t = 0; t < MODEL_TXNS; t++) {
            page_model_rollback(m, t);
        }
        assert_int_equal(m->reserved, 0);
        page_model_compare(m);
        for (unsigned i = 0; i < 32; i++) {
            counts[i] += m->counts[i];
        }
        page_model_free(m);
    }
    for (unsigned kind = HEAP_REDO_INIT; kind <= HEAP_REDO_RELAYOUT; kind++) {
        print_message("# redo %u: %llu\n", kind, (unsigned long long)counts[kind]);
        assert_true(counts[kind] > 20);
    }
}

/*
 * The attack on H7: one transaction shrinks every string of a full page, others eat all the room that is given to them
 * by inserting, growing strings and making arrays; then the first one rolls back.
 */
static void rollback_always_fits(void **state)
{
    (void)state;
    unsigned attacks = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(1000 + seed, 3 + (unsigned)(seed % 6), 400);
        page_model_init_page(m, 8 + (unsigned)(seed % 60));
        while (page_model_insert(m, 0, 1)) {
        }
        page_model_commit(m, 0);
        uint32_t string_max = m->string_max;
        for (unsigned round = 0; round < 3; round++) {
            m->string_max = 4; /* shrink */
            for (unsigned i = 0; i < 200; i++) {
                (void)page_model_update(m, 1);
            }
            attacks += m->reserved > 500;
            m->string_max = string_max;
            for (unsigned i = 0; i < 300; i++) {
                (void)page_model_insert(m, 2, 1);
                (void)page_model_update(m, 2);
                (void)page_model_relayout(m, 0);
            }
            if (round == 1) {
                page_model_commit(m, 2);
            } else {
                page_model_rollback(m, 1);
                page_model_rollback(m, 2);
            }
            page_model_compare(m);
        }
        page_model_rollback(m, 1);
        page_model_compare(m);
        page_model_free(m);
    }
    assert_true(attacks > 20);
}

/* A page whose rows all come from one transaction has one stamp; the first other stamp gives each row its own. */
static void stamps_are_kept_once_while_they_agree(void **state)
{
    (void)state;
    Model *m = page_model_new(5, 2, 10);
    page_model_init_page(m, 100);
    HeapPage p = page_model_open(m);
    HeapInsert ins;
    HeapValue row[MODEL_COLUMNS];
    Tid tid;
    heap_insert_begin(&ins, &p, 0, 42, m->buf);
    for (unsigned i = 0; i < 50; i++) {
        page_model_row(m, row);
        assert_int_equal(heap_insert_add(&ins, row, &tid), HEAP_FITS);
    }
    heap_insert_end(&ins);
    page_model_apply(m, &ins.data);
    assert_true((heap_head_const(m->page)->flags & HEAP_UNIFORM) != 0);
    uint16_t slot = 7;
    uint32_t stamp = 43;
    HeapData data;
    p = page_model_open(m);
    heap_mark_build(&p, HEAP_REDO_MARK, &slot, &stamp, 1, m->buf, &data);
    page_model_apply(m, &data);
    p = page_model_open(m);
    assert_int_equal(heap_row(&p, 6).stamp, 42);
    assert_int_equal(heap_row(&p, 7).stamp, 43);
    page_model_free(m);
}

/* ADD COLUMN with a long default: pages are not touched until a row differs, and then hold the default once. */
static void a_long_fill_is_kept_once(void **state)
{
    (void)state;
    Model *m = page_model_new(1, 1, 10);
    char text[1000];
    memset(text, 'f', sizeof text);
    m->columns[0][0] = (HeapColumn){.width = HEAP_W8, .fill = heap_null()};
    m->columns[0][1] = (HeapColumn){.width = HEAP_STRING, .fill = heap_string(text, sizeof text)};
    HeapLayout two = {.id = 11, .n_columns = 2, .columns = m->columns[0]};
    page_model_init_page(m, 100);
    HeapPage p = page_model_open(m);
    HeapInsert ins;
    Tid tid;
    heap_insert_begin(&ins, &p, 0, 1, m->buf);
    for (int64_t i = 0; i < 100; i++) {
        HeapValue row[1] = {heap_i64(i)};
        assert_int_equal(heap_insert_add(&ins, row, &tid), HEAP_FITS);
    }
    heap_insert_end(&ins);
    page_model_apply(m, &ins.data);
    m->layouts[m->shape.n_layouts++] = &two;
    /* The page lacks the column: an update of it asks for a re-layout, an update to the fill does not. */
    HeapData data;
    uint32_t freed;
    uint16_t column = 1;
    HeapValue value = heap_string("x", 1);
    p = page_model_open(m);
    assert_int_equal(heap_update_build(&p, 5, &column, &two.columns[1].fill, 1, 0, 2, m->buf, &data, &freed),
                     HEAP_FITS);
    assert_int_equal(heap_update_build(&p, 5, &column, &value, 1, 0, 2, m->buf, &data, &freed), HEAP_NEEDS_LAYOUT);
    assert_true(heap_relayout_build(&p, 0, 0, m->buf, &data));
    page_model_apply(m, &data);
    p = page_model_open(m);
    uint32_t free_before = heap_free_bytes(&p);
    assert_int_equal(heap_update_build(&p, 5, &column, &value, 1, 0, 2, m->buf, &data, &freed), HEAP_FITS);
    page_model_apply(m, &data);
    p = page_model_open(m);
    assert_int_equal(free_before - heap_free_bytes(&p), heap_array_bytes(HEAP_STRING, 100) + sizeof text);
    char strings[PAGE_BYTES];
    for (unsigned slot = 0; slot < 100; slot++) {
        HeapValue v;
        assert_int_equal(heap_read(&p, slot, &column, 1, strings, &m->err, &v), ST_OK);
        assert_true(heap_value_eq(HEAP_STRING, &v, slot == 5 ? &value : &two.columns[1].fill));
    }
    page_model_free(m);
}

/* Long strings, then long enough ones in order of length, go to overflow; a row that cannot fit is refused. */
static void row_plan_pushes_the_longest(void **state)
{
    (void)state;
    Error err;
    err_clear(&err);
    static HeapColumn columns[1600];
    static HeapValue row[1600];
    static bool push[1600];
    static char text[5000];
    HeapLayout l = {.id = 1, .n_columns = 12, .columns = columns};
    for (unsigned c = 0; c < 1600; c++) {
        columns[c] = (HeapColumn){.width = HEAP_STRING, .fill = heap_null()};
        row[c] = heap_string(text, 1500 + c);
    }
    row[11] = heap_string(text, 5000);
    assert_int_equal(heap_row_plan(&l, row, push, &err), ST_OK);
    for (unsigned c = 0; c < 12; c++) {
        assert_int_equal(push[c], c >= 10); /* 10 * 1500 fit; 11 do not */
    }
    l.n_columns = 1600;
    for (unsigned c = 0; c < 1600; c++) {
        columns[c].width = HEAP_W8;
        row[c] = heap_i64(c + 1);
    }
    assert_int_equal(heap_row_plan(&l, row, push, &err), ST_PROGRAM_LIMIT_EXCEEDED);
    for (unsigned c = 100; c < 1600; c++) { /* NULLs cost 8 bytes of directory each */
        row[c] = heap_null();
    }
    assert_int_equal(heap_row_plan(&l, row, push, &err), ST_OK);
}

/* ---- damage ---- */

typedef struct Copy {
    uint8_t *page;
    uint8_t *before;
} Copy;

static void try_redo(Model *m, Copy *copy, const WalPage *ref, bool sound)
{
    Error err;
    err_clear(&err);
    memcpy(copy->page, copy->before, PAGE_BYTES);
    Status st = m->registry.redo[ref->redo](ref, copy->page, &err);
    if (st != ST_OK) {
        assert_int_equal(st, ST_CORRUPTED);
        assert_memory_equal(copy->page, copy->before, PAGE_BYTES);
    } else if (sound) {
        assert_int_equal(heap_page_check(copy->page, &err), ST_OK);
    }
}

static void damage(Rng *rng, uint8_t *p, size_t len)
{
    for (uint64_t n = 1 + rng_below(rng, 4); n > 0 && len > 0; n--) {
        size_t at = rng_below(rng, 3) == 0 ? (size_t)rng_below(rng, len < 24 ? len : 24) : (size_t)rng_below(rng, len);
        uint64_t how = rng_below(rng, 4);
        p[at] = (uint8_t)(how == 0   ? 0
                : how == 1 ? 0xff
                : how == 2 ? (uint8_t)(p[at] ^ 1 << rng_below(rng, 8))
                           : (uint8_t)rng_next(rng));
    }
}

/* One record of each kind that fits the page. */
static unsigned sample_records(Model *m, WalPage *out)
{
    HeapPage p = page_model_open(m);
    unsigned n = 0;
    HeapData data[6];
    uint8_t *bufs[6];
    for (unsigned i = 0; i < 6; i++) {
        bufs[i] = malloc(HEAP_DATA_MAX);
    }
    HeapInsert ins;
    HeapValue row[MODEL_COLUMNS];
    Tid tid;
    heap_insert_begin(&ins, &p, 0, 9, bufs[0]);
    for (unsigned i = 0; i < 3; i++) {
        page_model_row(m, row);
        (void)!heap_insert_add(&ins, row, &tid);
    }
    if (ins.n_rows > 0) {
        heap_insert_end(&ins);
        data[n++] = ins.data;
    }
    uint16_t slot = 0;
    while (slot < p.n_slots && !heap_row(&p, slot).used) {
        slot++;
    }
    if (slot < p.n_slots) {
        uint16_t columns[MODEL_COLUMNS];
        uint32_t freed;
        uint32_t stamp = 3;
        page_model_row(m, row);
        for (unsigned c = 0; c < m->n_columns; c++) {
            columns[c] = (uint16_t)c;
        }
        n += heap_update_build(&p, slot, columns, row, m->n_columns, 0, 3, bufs[1], &data[n], &freed) == HEAP_FITS;
        heap_free_build(&p, &slot, 1, bufs[2], &data[n++]);
        heap_mark_build(&p, heap_row(&p, slot).deleted ? HEAP_REDO_UNMARK : HEAP_REDO_MARK, &slot, &stamp, 1, bufs[3],
                        &data[n++]);
    }
    n += heap_relayout_build(&p, p.n_slots + 20u, 0, bufs[4], &data[n]);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *exact = malloc(data[i].len);
        memcpy(exact, data[i].data, data[i].len);
        out[i] = (WalPage){.id = {7}, .redo = data[i].redo, .data = exact, .len = data[i].len};
    }
    for (unsigned i = 0; i < 6; i++) {
        free(bufs[i]);
    }
    return n;
}

/* Reads all there is to read; only has to come back. */
static void read_all(Model *m, const uint8_t *page)
{
    HeapPage p;
    Error err;
    err_clear(&err);
    (void)!heap_page_check(page, &err);
    if (heap_open(page, &m->shape, &err, &p) != ST_OK) {
        return;
    }
    uint16_t columns[MODEL_COLUMNS];
    char *strings = malloc(PAGE_BYTES);
    uint8_t *before = malloc(3 * PAGE_BYTES);
    for (unsigned c = 0; c < m->n_columns; c++) {
        columns[c] = (uint16_t)c;
    }
    for (unsigned slot = 0; slot < p.n_slots; slot++) {
        HeapValue values[MODEL_COLUMNS];
        uint32_t len;
        if (heap_row(&p, slot).used) {
            (void)!heap_read(&p, slot, columns, m->n_columns, strings, &err, values);
            (void)!heap_before_image(&p, slot, columns, m->n_columns, &err, before, &len);
        }
    }
    free(strings);
    free(before);
}

static void damaged_records_and_pages_do_no_harm(void **state)
{
    (void)state;
    Copy copy = {aligned_alloc(4096, PAGE_BYTES), aligned_alloc(4096, PAGE_BYTES)};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        Model *m = page_model_new(2000 + seed, 1 + (unsigned)(seed % 8), 200);
        page_model_init_page(m, 0);
        for (unsigned i = 0; i < 60; i++) {
            page_model_step(m);
        }
        WalPage records[8];
        unsigned n = sample_records(m, records);
        for (unsigned i = 0; i < n; i++) {
            uint8_t *good = malloc(records[i].len);
            memcpy(good, records[i].data, records[i].len);
            memcpy(copy.before, m->page, PAGE_BYTES);
            try_redo(m, &copy, &records[i], true);
            for (unsigned k = 0; k < 150; k++) { /* damaged data on a good page */
                uint8_t *bad = heap_unconst(records[i].data);
                WalPage ref = records[i];
                damage(&m->rng, bad, ref.len);
                ref.len = rng_below(&m->rng, 5) == 0 ? (uint32_t)rng_below(&m->rng, ref.len + 1) : ref.len;
                try_redo(m, &copy, &ref, true);
                HeapChange change;
                HeapChangeRow row;
                Error err;
                err_clear(&err);
                Status st = heap_change_begin(&change, &ref, &err);
                while (st == ST_OK) {
                    st = heap_change_row(&change, &err, &row);
                }
                memcpy(bad, good, ref.len < records[i].len ? records[i].len : ref.len);
            }
            for (unsigned k = 0; k < 150; k++) { /* good data on a damaged page */
                memcpy(copy.before, m->page, PAGE_BYTES);
                damage(&m->rng, copy.before + PAGE_HEADER_BYTES, rng_below(&m->rng, 2) == 0 ? 400 : PAGE_BODY_BYTES);
                try_redo(m, &copy, &records[i], false);
                read_all(m, copy.before);
            }
            free(good);
            free(heap_unconst(records[i].data));
        }
        page_model_free(m);
    }
    free(copy.page);
    free(copy.before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_survive_random_transactions),      cmocka_unit_test(rollback_always_fits),
        cmocka_unit_test(stamps_are_kept_once_while_they_agree), cmocka_unit_test(a_long_fill_is_kept_once),
        cmocka_unit_test(row_plan_pushes_the_longest),           cmocka_unit_test(damaged_records_and_pages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
