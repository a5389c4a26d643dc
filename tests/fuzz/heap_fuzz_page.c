/*
 * tests/fuzz/heap_fuzz_page.c: everything that reads table page bytes: redo, change decoding, lists, images, reads,
 * filters and copies.
 *
 * Input: [redo kind 1][slot 1, 0xff = none][patches 1], patches times [offset 2][byte 1], then data. The patches damage a
 * page made from a fixed insert. With a slot the record is one that the builders make for that slot, its beginning
 * overlaid with the data; otherwise the data are the record. It is applied to the page: refused with the page as it was, or taken; never read or written outside.
 *
 * Canary: built with -DFUZZ_CANARY it aborts as soon as a delete mark of slot 20 is accepted.
 */
#include <stdlib.h>
#include <string.h>

#include "access/heap.h"

static const HeapColumn columns[] = {
    {.width = HEAP_W8, .fill = {.state = HEAP_NULL}},     {.width = HEAP_STRING, .fill = {.state = HEAP_NULL}},
    {.width = HEAP_W4, .fill = {.state = HEAP_NULL}},     {.width = HEAP_W16, .fill = {.state = HEAP_NULL}},
    {.width = HEAP_STRING, .fill = {.state = HEAP_NULL}}, {.width = HEAP_W1, .fill = {.u8 = 9}},
};
static const HeapLayout layout = {.id = 1, .n_columns = 6, .columns = columns};
static const HeapLayout *const layouts[] = {&layout};
static const HeapShape shape = {layouts, 1};

static void make_page(const StoreRegistry *reg, uint8_t *page)
{
    static uint8_t buf[HEAP_DATA_MAX];
    HeapInsert ins;
    memset(page, 0, PAGE_BYTES);
    page_header(page)->id = 7;
    heap_insert_begin_new(&ins, &shape, (PageId){7}, (ObjId){5}, 0, 40, 1, buf);
    for (int64_t i = 0; i < 30; i++) {
        HeapValue row[6] = {heap_i64(i),
                            heap_string("a string of the row that is long", 13 + (uint32_t)i / 2),
                            i % 3 == 0 ? heap_null() : heap_i64(i),
                            heap_i64(-i),
                            heap_null(),
                            columns[5].fill};
        Tid tid;
        if (heap_insert_add(&ins, row, &tid) != HEAP_FITS) {
            abort();
        }
    }
    heap_insert_end(&ins);
    WalPage ref = {
        .id = {7}, .redo = ins.data.redo, .flags = WAL_PAGE_INIT, .data = ins.data.data, .len = ins.data.len};
    if (reg->redo[ref.redo](&ref, page, NULL) != ST_OK) {
        abort();
    }
}

/* A right record of the kind for the page as it was made; its length. */
static uint32_t make_record(const uint8_t *page, uint8_t kind, unsigned slot, uint8_t *buf)
{
    static const uint16_t changed[] = {1, 2, 5};
    HeapPage p;
    HeapInsert ins;
    HeapData data = {.data = buf};
    HeapValue row[6] = {heap_i64(1), heap_string("another string, of this row", 27),
                        heap_null(), heap_i64(2),
                        heap_null(), heap_i64(3)};
    HeapValue values[] = {row[1], row[2], row[5]};
    uint16_t slots[] = {(uint16_t)(slot % 30)};
    uint32_t stamp = 2;
    uint32_t freed;
    Tid tid;
    if (heap_open(page, &shape, NULL, &p) != ST_OK) {
        abort();
    }
    if (kind == HEAP_REDO_INSERT) {
        heap_insert_begin(&ins, &p, 0, 2, buf);
        if (heap_insert_add(&ins, row, &tid) != HEAP_FITS) {
            abort();
        }
        heap_insert_end(&ins);
        return ins.data.len;
    }
    if (kind == HEAP_REDO_UPDATE) {
        (void)heap_update_build(&p, slots[0], changed, values, 3, 0, 2, buf, &data, &freed);
    } else if (kind == HEAP_REDO_FREE) {
        heap_free_build(&p, slots, 1, buf, &data);
    } else if (kind == HEAP_REDO_RELAYOUT) {
        (void)heap_relayout_build(&p, 30 + slot, 0, buf, &data);
    } else {
        heap_mark_build(&p, HEAP_REDO_MARK, slots, &stamp, 1, buf, &data);
    }
    return data.len;
}

static void decode(const WalPage *ref, const uint8_t *data, size_t len)
{
    HeapChange change;
    HeapChangeRow row;
    HeapList list;
    HeapValue values[6];
    uint16_t column;
    uint8_t width;
    Status st = heap_change_begin(&change, ref, NULL);
    while (st == ST_OK) {
        st = heap_change_row(&change, NULL, &row);
        if (st == ST_OK && row.image != NULL) {
            (void)!heap_image_decode(&layout, row.image, row.image_len, NULL, values);
        }
    }
    st = heap_list_begin(&list, data, len, NULL);
    while (st == ST_OK) {
        st = heap_list_next(&list, NULL, &column, &width, values);
    }
}

static void read_all(const uint8_t *page)
{
    static char strings[PAGE_BYTES];
    static uint8_t data[6][HEAP_SLOTS_MAX * 16] __attribute__((aligned(16)));
    static uint64_t nulls[6][HEAP_WORDS_MAX];
    static uint64_t overflow[HEAP_WORDS_MAX];
    static const uint16_t all[] = {0, 1, 2, 3, 4, 5};
    HeapPage p;
    HeapValue values[6];
    HeapSelection sel;
    HeapSelection recheck = {0};
    HeapColumnOut out[6];
    HeapBatch batch = {.strings = strings};
    HeapLike like = {.kind = HEAP_LIKE_CONTAINS, .text = STR_LIT("row")};
    HeapPredicate preds[] = {
        {.column = 0, .test = HEAP_GE, .order = HEAP_SIGNED, .value = heap_i64(2)},
        {.column = 1, .test = HEAP_LIKE, .like = &like},
    };
    (void)!heap_page_check(page, NULL);
    if (heap_open(page, &shape, NULL, &p) != ST_OK) {
        return;
    }
    for (unsigned slot = 0; slot < p.n_slots; slot++) {
        if (heap_row(&p, slot).used) {
            (void)!heap_read(&p, slot, all, 6, strings, NULL, values);
        }
    }
    for (unsigned c = 0; c < 6; c++) {
        out[c] = (HeapColumnOut){.column = (uint16_t)c, .data = data[c], .nulls = nulls[c], .overflow = overflow};
    }
    (void)heap_select_used(&p, &sel);
    (void)!heap_copy(&p, &sel, out, 6, NULL, &batch);
    (void)heap_filter(&p, preds, 2, &sel, &recheck);
    (void)!heap_copy(&p, &sel, out, 6, NULL, &batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t page[PAGE_BYTES] __attribute__((aligned(4096)));
    static uint8_t before[PAGE_BYTES] __attribute__((aligned(4096)));
    static uint8_t made[PAGE_BYTES] __attribute__((aligned(4096)));
    static uint8_t record[HEAP_DATA_MAX];
    static StoreRegistry reg;
    if (reg.redo[HEAP_REDO_INIT] == NULL) {
        heap_register(&reg);
        make_page(&reg, made);
    }
    if (size < 3 || size < 3 + 3 * (size_t)input[2]) {
        return 0;
    }
    WalPage ref = {.id = {7}, .redo = (uint8_t)(HEAP_REDO_INIT + input[0] % 7), .flags = 0};
    size_t n = input[2];
    const uint8_t *patch = input + 3;
    memcpy(page, made, PAGE_BYTES);
    for (size_t i = 0; i < n; i++, patch += 3) {
        page[PAGE_HEADER_BYTES + load_u16(patch) % PAGE_BODY_BYTES] = patch[2];
    }
    ref.len = (uint32_t)(size - 3 - 3 * n);
    ref.data = patch;
    if (input[1] != 0xff && ref.redo != HEAP_REDO_INIT) {
        uint32_t len = make_record(made, ref.redo, input[1], record);
        memcpy(record, patch, ref.len < len ? ref.len : len);
        ref.data = record;
        ref.len = len;
    }
    if (ref.redo == HEAP_REDO_INIT) {
        memset(page, 0, PAGE_BYTES);
        page_header(page)->id = 7;
        ref.flags = WAL_PAGE_INIT;
    }
    memcpy(before, page, PAGE_BYTES);
    Status st = reg.redo[ref.redo](&ref, page, NULL);
    ASSERT(st == ST_OK || (st == ST_CORRUPTED && memcmp(page, before, PAGE_BYTES) == 0));
#ifdef FUZZ_CANARY
    ASSERT(st != ST_OK || ref.redo != HEAP_REDO_MARK || ref.len < 4 || load_u16(ref.data + 2) != 20);
#endif
    decode(&ref, ref.data, ref.len);
    read_all(page);
    return 0;
}
