/*
 * Tables in a store: rows placed, changed and freed through the log; found again after recovery; overflow chains
 * written, read in part and freed; power cuts, failing memory and I/O; writers side by side.
 */
#include "heap_model.h"

#include "access/overflow.h"
#include "os/simdisk.h"
#include "os/thread.h"

enum { ROWS_MAX = 20000 };

/* What a row holds follows from its key, so that any surviving row can be judged. */
typedef struct World {
    Budget disk_budget; /* apart: a failed allocation of the simulated disk is a failed write */
    Budget budget;
    MemFault fault;
    Error err;
    Ctx cx;
    SimDisk *disk;
    Vfs *vfs;
    Store *store;
    StoreConfig config;
    ObjectRef ref;
    StoreObject *object;
    HeapTable table;
    HeapColumn columns[3];
    HeapLayout layout;
    const HeapLayout *layouts[1];
    HeapShape shape;
    uint8_t *buf;
    Tid *tids; /* by key; TID_NONE = gone */
    uint32_t *versions;
    uint64_t undo_bytes;
} World;

#define OK(w, call)                                                                                                    \
    do {                                                                                                               \
        Status ok_st = (call);                                                                                         \
        if (ok_st != ST_OK) {                                                                                          \
            fail_msg("%s: %s", #call, (w)->err.message != NULL ? (w)->err.message : status_name(ok_st));               \
        }                                                                                                              \
    } while (0)

static void text_of(uint64_t key, uint32_t version, uint32_t len, char *out)
{
    for (uint32_t i = 0; i < len; i++) {
        out[i] = (char)('a' + (key * 7 + version * 3 + i) % 26);
    }
}

static uint32_t length_of(uint64_t key, uint32_t version)
{
    return (uint32_t)(mix64(key * 31 + version) % 120);
}

static World *world_new(void)
{
    World *w = calloc(1, sizeof *w);
    w->fault.countdown = -1;
    budget_init(&w->disk_budget, "disk", NULL, 0, 0);
    budget_init(&w->budget, "world", NULL, 0, 0);
    w->budget.fault = &w->fault;
    err_clear(&w->err);
    ctx_init(&w->cx, &w->err, &w->budget, NULL);
    OK(w, simdisk_new(&w->disk_budget, &w->err, &w->disk));
    store_config_default(&w->config);
    w->config.pool_bytes = 128 * PAGE_BYTES;
    w->config.wal_ring_bytes = 1 << 20;
    w->config.wal_segment_bytes = 1 << 20;
    w->config.checkpoint_wal_bytes = 4 << 20;
    w->config.checkpoint_every_us = 0;
    w->config.grow_extents = 1;
    w->config.direct_io = false;
    w->config.background = false;
    w->columns[0] = (HeapColumn){.width = HEAP_W8, .fill = heap_null()};
    w->columns[1] = (HeapColumn){.width = HEAP_STRING, .fill = heap_null()};
    w->columns[2] = (HeapColumn){.width = HEAP_W4, .fill = heap_null()};
    w->layout = (HeapLayout){.id = 1, .n_columns = 3, .columns = w->columns};
    w->layouts[0] = &w->layout;
    w->shape = (HeapShape){w->layouts, 1};
    w->buf = malloc(HEAP_DATA_MAX);
    w->tids = calloc(ROWS_MAX, sizeof *w->tids);
    w->versions = calloc(ROWS_MAX, sizeof *w->versions);
    return w;
}

static Status world_open(World *w, bool create)
{
    StoreRegistry reg;
    memset(&reg, 0, sizeof reg);
    heap_register(&reg);
    Status st = simdisk_vfs(w->disk, &w->err, &w->vfs);
    if (st == ST_OK) {
        st = store_open(&w->cx, w->vfs, &w->budget, NULL, &w->config, &reg, create, &w->store);
        if (st != ST_OK) {
            vfs_free(w->vfs);
            w->vfs = NULL;
        }
    }
    return st;
}

static Status open_table(World *w)
{
    Status st = object_open(&w->cx, w->store, w->ref, &w->object);
    if (st == ST_OK) {
        heap_table_init(&w->table, w->object);
    }
    return st;
}

static void create_table(World *w)
{
    ObjId id;
    Lsn lsn;
    OK(w, object_new_id(&w->cx, w->store, &id));
    OK(w, object_create(&w->cx, w->store, id, SPACE_MAIN, 4, TXN_NONE, NULL, 0, NULL, &w->ref, &lsn));
    op_release_undo(w->store, OBJECT_CREATE_UNDO_BYTES);
    OK(w, open_table(w));
}

static void world_close(World *w, bool checkpoint)
{
    if (w->object != NULL) {
        object_close(w->object);
        w->object = NULL;
    }
    if (w->store != NULL) {
        op_release_undo(w->store, w->undo_bytes);
        w->undo_bytes = 0;
        store_close(&w->cx, w->store, checkpoint);
        w->store = NULL;
    }
    if (w->vfs != NULL) {
        vfs_free(w->vfs);
        w->vfs = NULL;
    }
}

static void world_free(World *w)
{
    world_close(w, false);
    simdisk_free(w->disk);
    budget_done(&w->budget);
    budget_done(&w->disk_budget);
    free(w->buf);
    free(w->tids);
    free(w->versions);
    free(w);
}

/* ---- rows ---- */

static void row_of(uint64_t key, uint32_t version, char *text, HeapValue *out)
{
    uint32_t len = length_of(key, version);
    text_of(key, version, len, text);
    out[0] = heap_i64((int64_t)key);
    out[1] = heap_string(text, len);
    out[2] = heap_i64((int64_t)version);
}

static Status insert_key(World *w, Ctx *cx, uint8_t *buf, uint32_t hint, uint64_t key, Tid *out_tid)
{
    char text[128];
    HeapValue row[3];
    row_of(key, 0, text, row);
    OpNeed need = {.wal_bytes = wal_record_bytes(3, heap_insert_bytes_max(&w->layout, row) + 200),
                   .frames = 4,
                   .new_pages = 1,
                   .object = w->object};
    StoreOp op;
    HeapPlace pl;
    BufFrame *frame;
    Status st = op_begin(cx, w->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    heap_place_begin(&pl, &w->table, hint, heap_row_bytes(&w->layout, row));
    while ((st = heap_place_next(cx, &op, &pl, &frame)) == ST_OK) {
        HeapInsert ins;
        HeapPage p;
        if (pl.is_new) {
            heap_insert_begin_new(&ins, &w->shape, buf_page_id(frame), w->ref.id, pl.ordinal,
                                  heap_choose_capacity(&w->table, &w->layout, row), 5, buf);
        } else {
            st = heap_open(buf_page(frame), &w->shape, cx->err, &p);
            assert_int_equal(st, ST_OK);
            heap_insert_begin(&ins, &p, 0, 5, buf);
        }
        if (heap_insert_add(&ins, row, out_tid) == HEAP_FITS) {
            heap_insert_end(&ins);
            heap_log(&op, frame, &ins.data, 0, (TxnId){5}, "body", 4);
            heap_place_done(cx, &pl, frame, 0);
            buf_unfix(frame);
            break;
        }
        assert_false(pl.is_new);
        heap_place_reject(cx, &pl, frame, 0);
    }
    op_end(&op);
    return st;
}

static Status fix_row(World *w, Ctx *cx, Tid tid, LatchMode mode, BufFrame **out_frame, HeapPage *p, unsigned *slot)
{
    Status st = buf_fix(cx, w->store, tid_page(tid), w->ref.id, mode, out_frame);
    if (st == ST_OK) {
        st = heap_open(buf_page(*out_frame), &w->shape, cx->err, p);
        assert_int_equal(st, ST_OK);
        assert_true(heap_find(p, tid, slot));
    }
    return st;
}

/* In place where it fits; false when not. */
static Status update_key(World *w, uint64_t key, bool *out_done)
{
    char text[128];
    HeapValue row[3];
    uint32_t version = w->versions[key] + 1;
    row_of(key, version, text, row);
    uint16_t columns[2] = {1, 2};
    OpNeed need = {.wal_bytes = wal_record_bytes(1, heap_update_bytes_max(&w->layout, columns, row + 1, 2)),
                   .frames = 1};
    StoreOp op;
    BufFrame *frame;
    HeapPage p;
    unsigned slot;
    HeapData data;
    uint32_t freed;
    Status st = op_begin(&w->cx, w->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = fix_row(w, &w->cx, w->tids[key], LATCH_EXCLUSIVE, &frame, &p, &slot);
    if (st == ST_OK) {
        *out_done = heap_update_build(&p, slot, columns, row + 1, 2, 0, 6, w->buf, &data, &freed) == HEAP_FITS;
        if (*out_done) {
            heap_log(&op, frame, &data, 0, (TxnId){6}, NULL, 0);
            w->versions[key] = version;
        }
        buf_unfix(frame);
    }
    op_end(&op);
    return st;
}

static Status free_key(World *w, uint64_t key)
{
    OpNeed need = {.wal_bytes = wal_record_bytes(1, heap_slots_bytes(1)), .frames = 2};
    StoreOp op;
    BufFrame *frame;
    HeapPage p;
    unsigned slot;
    HeapData data;
    Status st = op_begin(&w->cx, w->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = fix_row(w, &w->cx, w->tids[key], LATCH_EXCLUSIVE, &frame, &p, &slot);
    if (st == ST_OK) {
        uint16_t slots[1] = {(uint16_t)slot};
        heap_free_build(&p, slots, 1, w->buf, &data);
        heap_log(&op, frame, &data, 0, TXN_NONE, NULL, 0);
        st = heap_open(buf_page(frame), &w->shape, &w->err, &p);
        heap_note_space(&w->cx, &w->table, &p, 0);
        buf_unfix(frame);
        w->tids[key] = TID_NONE;
    }
    op_end(&op);
    return st;
}

/* A row's content follows from its key and version. */
static void judge_row(const HeapPage *p, unsigned slot, uint64_t *out_key)
{
    static const uint16_t columns[3] = {0, 1, 2};
    HeapValue v[3];
    char strings[PAGE_BYTES];
    char text[128];
    Error err;
    err_clear(&err);
    assert_int_equal(heap_read(p, slot, columns, 3, strings, &err, v), ST_OK);
    HeapValue want[3];
    row_of(v[0].u64, v[2].u32, text, want);
    if (v[1].state != HEAP_OVERFLOW) {
        assert_true(heap_value_eq(HEAP_STRING, &v[1], &want[1]));
    }
    *out_key = v[0].u64;
}

static void compare_rows(World *w)
{
    for (uint64_t key = 0; key < ROWS_MAX; key++) {
        if (w->tids[key].v != 0) {
            BufFrame *frame;
            HeapPage p;
            unsigned slot;
            uint64_t found;
            OK(w, fix_row(w, &w->cx, w->tids[key], LATCH_SHARED, &frame, &p, &slot));
            judge_row(&p, slot, &found);
            assert_int_equal(found, key);
            buf_unfix(frame);
        }
    }
}

static void print_problem(void *arg, const char *text)
{
    (void)arg;
    print_message("# problem: %s\n", text);
}

static Status check_row(void *arg, Ctx *cx, const HeapPage *p, unsigned slot)
{
    (void)arg;
    (void)cx;
    uint64_t key;
    judge_row(p, slot, &key);
    return ST_OK;
}

static HeapCheck check_table(World *w)
{
    HeapCheck check = {.report = print_problem, .row = check_row};
    OK(w, heap_check(&w->cx, w->object, &w->shape, &check));
    assert_int_equal(check.problems, 0);
    return check;
}

static void rows_are_found_after_recovery(void **state)
{
    (void)state;
    World *w = world_new();
    OK(w, world_open(w, true));
    create_table(w);
    Rng rng;
    rng_seed(&rng, 1);
    unsigned updates = 0;
    for (uint64_t key = 0; key < 6000; key++) {
        OK(w, insert_key(w, &w->cx, w->buf, (uint32_t)(key % 3), key, &w->tids[key]));
        uint64_t other = rng_below(&rng, key + 1);
        bool done = false;
        if (w->tids[other].v != 0) {
            OK(w, update_key(w, other, &done));
            updates += done;
        }
        other = rng_below(&rng, key + 1);
        if (key % 4 == 0 && w->tids[other].v != 0) {
            OK(w, free_key(w, other));
        }
        if (key % 64 == 0) {
            OK(w, store_tick(&w->cx, w->store));
        }
    }
    print_message("# %u updates in place, %u pages\n", updates, object_page_count(w->object));
    assert_true(updates > 3000);
    compare_rows(w);
    HeapCheck before = check_table(w);
    OK(w, wal_wait(&w->cx, w->store, wal_end(w->store)));
    world_close(w, false);
    OK(w, world_open(w, false));
    OK(w, open_table(w));
    compare_rows(w);
    HeapCheck after = check_table(w);
    assert_int_equal(before.rows, after.rows);
    world_free(w);
}

/* The first rows decide a page's slots; once pages have filled, their mean does, and pages are well used. */
static void pages_fill_up(void **state)
{
    (void)state;
    World *w = world_new();
    OK(w, world_open(w, true));
    create_table(w);
    uint64_t bytes = 0;
    for (uint64_t key = 0; key < 10000; key++) {
        OK(w, insert_key(w, &w->cx, w->buf, 0, key, &w->tids[key]));
        uint32_t len = length_of(key, 0);
        bytes += 8 + 16 + 4 + (len > 12 ? len : 0);
    }
    uint64_t pages = check_table(w).pages;
    print_message("# %llu bytes of rows in %llu pages: %.0f%%\n", (unsigned long long)bytes, (unsigned long long)pages,
                  100.0 * (double)bytes / ((double)pages * PAGE_BODY_BYTES));
    assert_true((double)bytes / ((double)pages * PAGE_BODY_BYTES) > 0.75);
    world_free(w);
}

/* ---- overflow ---- */

static Status write_chain(World *w, Ctx *cx, const char *value, size_t len, OverflowWriter *out)
{
    bool done = false;
    Status st = overflow_write_begin(cx, out, w->object, value, len);
    while (st == ST_OK && !done) {
        st = overflow_write_step(cx, out, (TxnId){9}, "more", 4, &done);
        (void)!store_tick(cx, w->store);
    }
    if (out->ids != NULL) {
        overflow_write_done(out);
        w->undo_bytes += out->undo_reserved;
    }
    return st;
}

static void free_chain(World *w, PageId head)
{
    bool done = false;
    while (!done) {
        OK(w, overflow_free_step(&w->cx, w->object, head, TXN_NONE, 0, false, NULL, 0, &done));
        OK(w, store_tick(&w->cx, w->store));
    }
    OK(w, overflow_free_step(&w->cx, w->object, head, TXN_NONE, 0, false, NULL, 0, &done)); /* repeated: harmless */
    assert_true(done);
}

static void chains_hold_what_was_written(void **state)
{
    (void)state;
    static const size_t lengths[] = {13, 16223, 16224, 16225, 100000, 16224 * 8, 16224 * 9 + 1, 3000000};
    World *w = world_new();
    OK(w, world_open(w, true));
    create_table(w);
    Rng rng;
    rng_seed(&rng, 2);
    PageId heads[ARRAY_LEN(lengths)];
    char *value = malloc(3000000);
    char *back = malloc(3000000);
    text_of(1, 2, 3000000, value);
    uint64_t pages = 0;
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        OverflowWriter writer;
        uint32_t len;
        OK(w, write_chain(w, &w->cx, value, lengths[i], &writer));
        HeapValue v = overflow_value(&writer);
        assert_int_equal(v.state, HEAP_OVERFLOW);
        assert_int_equal(v.view.len, lengths[i]);
        heads[i] = writer.head;
        OK(w, overflow_length(&w->cx, w->object, heads[i], &len));
        assert_int_equal(len, lengths[i]);
        pages = 0;
        OK(w, overflow_check(&w->cx, w->object, heads[i], len, &pages));
        assert_int_equal(pages, (lengths[i] + 16223) / 16224);
    }
    world_close(w, false); /* with recovery between */
    OK(w, world_open(w, false));
    OK(w, open_table(w));
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        uint32_t len = (uint32_t)lengths[i];
        OK(w, overflow_read(&w->cx, w->object, heads[i], len, 0, len, back));
        assert_memory_equal(back, value, len);
        for (unsigned k = 0; k < 50; k++) {
            uint32_t at = (uint32_t)rng_below(&rng, len + 1);
            uint32_t n = (uint32_t)rng_below(&rng, len - at < 40000 ? len - at + 1 : 40000);
            OK(w, overflow_read(&w->cx, w->object, heads[i], len, at, n, back));
            assert_memory_equal(back, value + at, n);
        }
    }
    assert_int_equal(overflow_read(&w->cx, w->object, heads[0], 14, 0, 14, back), ST_CORRUPTED);
    err_clear(&w->err);
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        free_chain(w, heads[i]);
    }
    HeapCheck check = check_table(w);
    assert_int_equal(check.overflow_pages, 0);
    free(value);
    free(back);
    world_free(w);
}

/* Rollback from the head, recovery record by record: both free each page once, also twice over. */
static void chains_are_undone(void **state)
{
    (void)state;
    World *w = world_new();
    OK(w, world_open(w, true));
    create_table(w);
    char *value = malloc(400000);
    text_of(3, 4, 400000, value);
    OverflowWriter writer;
    OK(w, write_chain(w, &w->cx, value, 400000, &writer));
    PageId at = writer.head;
    unsigned n = 0;
    while (!page_eq(at, PAGE_NONE)) {
        PageId again;
        PageId next;
        OK(w, overflow_undo_step(&w->cx, w->object, at, LSN_NONE, (TxnId){9}, 1, NULL, 0, &next));
        OK(w, overflow_undo_step(&w->cx, w->object, at, LSN_NONE, (TxnId){9}, 1, NULL, 0, &again));
        assert_true(page_eq(again, PAGE_NONE));
        OK(w, store_tick(&w->cx, w->store));
        at = next;
        n++;
    }
    assert_int_equal(n, (400000 + 16223) / 16224);
    assert_int_equal(check_table(w).overflow_pages, 0);
    /* A page written again by somebody else is not the one that the record wrote. */
    OK(w, write_chain(w, &w->cx, value, 1000, &writer));
    OK(w, overflow_undo_step(&w->cx, w->object, writer.head, (Lsn){77}, (TxnId){9}, 1, NULL, 0, &at));
    assert_int_equal(check_table(w).overflow_pages, 1);
    free(value);
    world_free(w);
}

/* ---- failures ---- */

/* Some work of every kind; returns the first failure. `io_durable` rows are known to be durable. */
static Status workload(World *w, uint64_t keys, uint64_t *io_durable)
{
    OverflowWriter writer = {0};
    char *value = malloc(150000);
    text_of(5, 6, 150000, value);
    Status st = ST_OK;
    for (uint64_t key = 0; key < keys && st == ST_OK; key++) {
        st = insert_key(w, &w->cx, w->buf, (uint32_t)(key % 2), key, &w->tids[key]);
        bool done;
        if (st == ST_OK && key % 3 == 0) {
            st = update_key(w, key / 2, &done);
        }
        if (st == ST_OK && key % 100 == 50) {
            st = write_chain(w, &w->cx, value, 150000, &writer);
        }
        if (st == ST_OK && key % 200 == 150) {
            bool gone = false;
            while (st == ST_OK && !gone) {
                st = overflow_free_step(&w->cx, w->object, writer.head, TXN_NONE, 0, false, NULL, 0, &gone);
            }
        }
        if (st == ST_OK && key % 50 == 0) {
            st = store_tick(&w->cx, w->store);
            if (st == ST_OK) {
                st = wal_wait(&w->cx, w->store, wal_end(w->store));
            }
            if (st == ST_OK) {
                *io_durable = key;
            }
        }
    }
    free(value);
    return st;
}

/* Power fails after any I/O: what was durable is there, every page is sound, every row is one that was written. */
static void power_cuts_leave_sound_pages(void **state)
{
    (void)state;
    World *w = world_new();
    OK(w, simdisk_record(w->disk, true, &w->err));
    OK(w, world_open(w, true));
    create_table(w);
    OK(w, wal_wait(&w->cx, w->store, wal_end(w->store)));
    uint64_t first = simdisk_io_count(w->disk);
    uint64_t durable = 0;
    OK(w, workload(w, 700, &durable));
    uint64_t last = simdisk_io_count(w->disk);
    print_message("# I/O %llu..%llu\n", (unsigned long long)first, (unsigned long long)last);
    SimDisk *original = w->disk;
    world_close(w, false);
    uint64_t rows_before = 0;
    uint64_t step = (last - first) / 60 + 1;
    for (uint64_t at = first; at <= last; at += step) {
        for (uint64_t seed = 0; seed < 2; seed++) {
            OK(w, simdisk_survivor_at(original, at, seed == 0 ? 0 : at * 77 + seed, &w->err, &w->disk));
            OK(w, world_open(w, false));
            OK(w, open_table(w));
            HeapCheck check = check_table(w);
            assert_true(seed != 0 || check.rows >= rows_before);
            rows_before = seed == 0 ? check.rows : rows_before;
            world_close(w, false);
            simdisk_free(w->disk);
        }
    }
    print_message("# rows in the end %llu, durable %llu\n", (unsigned long long)rows_before,
                  (unsigned long long)durable);
    assert_true(rows_before >= durable);
    w->disk = original;
    world_free(w);
}

/* The i-th allocation fails, then everything is tried again: nothing is lost, leaked or half done. */
static void failing_memory_is_survived(void **state)
{
    (void)state;
    char *value = malloc(200000);
    text_of(5, 6, 200000, value);
    World *w = world_new();
    OK(w, world_open(w, true));
    create_table(w);
    uint64_t key = 0;
    unsigned failures = 0;
    for (int64_t nth = 1; nth < 200; nth++) {
        uint64_t fired = atomic_load(&w->fault.fired);
        OverflowWriter writer = {0};
        atomic_store(&w->fault.countdown, nth);
        Status st = ST_OK;
        for (unsigned i = 0; i < 40 && st == ST_OK; i++) {
            st = insert_key(w, &w->cx, w->buf, 0, key, &w->tids[key]);
            key += st == ST_OK;
        }
        if (st == ST_OK) {
            st = write_chain(w, &w->cx, value, 200000, &writer);
        }
        HeapCheck check = {.report = print_problem};
        if (st == ST_OK) {
            st = heap_check(&w->cx, w->object, &w->shape, &check);
        }
        atomic_store(&w->fault.countdown, -1);
        err_clear(&w->err);
        for (PageId at = writer.head; !page_eq(at, PAGE_NONE);) {
            OK(w, overflow_undo_step(&w->cx, w->object, at, LSN_NONE, (TxnId){9}, 1, NULL, 0, &at));
            OK(w, store_tick(&w->cx, w->store));
        }
        assert_int_equal(check_table(w).overflow_pages, 0);
        if (atomic_load(&w->fault.fired) == fired) {
            assert_int_equal(st, ST_OK);
            break;
        }
        assert_true(st == ST_OUT_OF_MEMORY || st == ST_OK);
        failures++;
    }
    print_message("# %u failures\n", failures);
    compare_rows(w);
    free(value);
    world_free(w);
}

/* The n-th read fails: the call says so, nothing stays latched, and the same call works when the disk is well again. */
static void failing_reads_are_survived(void **state)
{
    (void)state;
    enum { LEN = 16224 * 40 };
    char *value = malloc(LEN);
    char *back = malloc(LEN);
    text_of(8, 9, LEN, value);
    World *w = world_new();
    OverflowWriter writer;
    OK(w, world_open(w, true));
    create_table(w);
    OK(w, write_chain(w, &w->cx, value, LEN, &writer));
    for (uint64_t key = 0; key < 500; key++) {
        OK(w, insert_key(w, &w->cx, w->buf, 0, key, &w->tids[key]));
    }
    OK(w, wal_wait(&w->cx, w->store, wal_end(w->store)));
    unsigned failures = 0;
    for (uint64_t nth = 1; nth < 100; nth++) {
        world_close(w, true); /* so that every page has to be read */
        OK(w, world_open(w, false));
        OK(w, open_table(w));
        uint64_t fired = simdisk_faults_fired(w->disk);
        HeapCheck check = {.report = print_problem};
        bool done = false;
        Tid tid;
        simdisk_fail_at(w->disk, SIM_READS, nth, false, ST_IO_ERROR);
        Status st = overflow_read(&w->cx, w->object, writer.head, LEN, 16224 * 3, LEN - 16224 * 3, back);
        st = st == ST_OK ? insert_key(w, &w->cx, w->buf, 0, 500, &tid) : st;
        st = st == ST_OK && nth % 2 == 0
                 ? overflow_free_step(&w->cx, w->object, writer.head, TXN_NONE, 0, false, NULL, 0, &done)
                 : st;
        st = st == ST_OK ? heap_check(&w->cx, w->object, &w->shape, &check) : st;
        simdisk_heal(w->disk);
        err_clear(&w->err);
        bool failed = simdisk_faults_fired(w->disk) != fired;
        failures += failed;
        assert_true(st == ST_OK || failed);
        if (!failed) {
            break;
        }
        if (nth % 2 == 0 && st == ST_OK) { /* some of it is freed: write it anew */
            free_chain(w, writer.head);
            OK(w, write_chain(w, &w->cx, value, LEN, &writer));
        }
        OK(w, overflow_read(&w->cx, w->object, writer.head, LEN, 0, LEN, back));
        assert_memory_equal(back, value, LEN);
    }
    print_message("# %u failures\n", failures);
    assert_true(failures > 20);
    free(value);
    free(back);
    world_free(w);
}

/* ---- side by side ---- */

typedef struct Writer {
    World *w;
    uint32_t hint;
    uint64_t first;
    uint64_t n;
} Writer;

static void write_rows(void *arg)
{
    Writer *me = arg;
    Error err;
    Ctx cx;
    err_clear(&err);
    ctx_init(&cx, &err, &me->w->budget, NULL);
    uint8_t *buf = malloc(HEAP_DATA_MAX);
    for (uint64_t i = 0; i < me->n; i++) {
        Tid tid;
        assert_int_equal(insert_key(me->w, &cx, buf, me->hint, me->first + i, &tid), ST_OK);
        me->w->tids[me->first + i] = tid;
        if (i % 100 == 0) { /* scan a page */
            BufFrame *frame;
            HeapPage p;
            HeapSelection sel;
            assert_int_equal(buf_fix(&cx, me->w->store, tid_page(tid), me->w->ref.id, LATCH_SHARED, &frame), ST_OK);
            assert_int_equal(heap_open(buf_page(frame), &me->w->shape, &err, &p), ST_OK);
            HeapPredicate pred = {
                .column = 0, .test = HEAP_EQ, .order = HEAP_SIGNED, .value = heap_i64((int64_t)(me->first + i))};
            (void)heap_select_live(&p, &sel);
            assert_int_equal(heap_filter(&p, &pred, 1, &sel, NULL), 1);
            buf_unfix(frame);
        }
    }
    free(buf);
}

static void writers_work_side_by_side(void **state)
{
    (void)state;
    World *w = world_new();
    w->config.background = true;
    w->config.pool_bytes = 1024 * PAGE_BYTES;
    OK(w, world_open(w, true));
    create_table(w);
    Writer writers[4];
    OsThread *threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        writers[i] = (Writer){w, i, i * 3000u, 3000};
        OK(w, os_thread_start("writer", write_rows, &writers[i], &w->err, &threads[i]));
    }
    for (unsigned i = 0; i < 4; i++) {
        os_thread_join(threads[i]);
    }
    assert_int_equal(check_table(w).rows, 12000);
    compare_rows(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_after_recovery), cmocka_unit_test(pages_fill_up),
        cmocka_unit_test(chains_hold_what_was_written),  cmocka_unit_test(chains_are_undone),
        cmocka_unit_test(power_cuts_leave_sound_pages),  cmocka_unit_test(failing_memory_is_survived),
        cmocka_unit_test(failing_reads_are_survived),    cmocka_unit_test(writers_work_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
