/*
 * A store on real files: what is written is found again after a clean stop and after a stop without a checkpoint; objects grow
 * over singles, extents and back to nothing; the verifier agrees throughout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/str.h"
#include "storage/storage.h"

enum { REDO_TEST = 60, WAL_TEST = 100, CELLS = 100 };

/* A test page: 8-byte cells at 64; data is INIT: u64 object, u32 ordinal; else u32 index, u64 value. */
static Status redo_test(const WalPage *ref, uint8_t *page, Error *err)
{
    if ((ref->flags & WAL_PAGE_INIT) != 0) {
        page_init(page, ref->id, (ObjId){load_u64(ref->data)}, load_u32(ref->data + 8), PAGE_TABLE, 1);
        return ST_OK;
    }
    if (ref->len != 12 || load_u32(ref->data) >= CELLS) {
        return err_set(err, ST_CORRUPTED, "bad test record");
    }
    memcpy(page + 64 + 8 * load_u32(ref->data), ref->data + 4, 8);
    return ST_OK;
}

typedef struct Fixture {
    Budget root;
    Error err;
    Ctx cx;
    Vfs *vfs;
    Store *store;
    StoreConfig config;
    char dir[64];
} Fixture;

static void fail_with(const Error *err, const char *what)
{
    fprintf(stderr, "%s: %s %s (%s)\n", what, err->sqlstate, err->message ? err->message : "",
            err->detail ? err->detail : "");
    abort();
}
#define OK(f, call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != ST_OK) {                                                                                         \
            fail_with(&(f)->err, #call);                                                                               \
        }                                                                                                              \
    } while (0)

static void open_store(Fixture *f, bool create)
{
    StoreRegistry reg;
    memset(&reg, 0, sizeof reg);
    reg.redo[REDO_TEST] = redo_test;
    OK(f, store_open(&f->cx, f->vfs, &f->root, NULL, &f->config, &reg, create, &f->store));
}

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof *f);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    ctx_init(&f->cx, &f->err, &f->root, NULL);
    strcpy(f->dir, "/tmp/rdb-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    OK(f, vfs_open_dir(&f->root, f->dir, true, &f->err, &f->vfs));
    store_config_default(&f->config);
    f->config.pool_bytes = 256 * PAGE_BYTES;
    f->config.wal_ring_bytes = 1 << 20;
    f->config.wal_segment_bytes = 1 << 20;
    f->config.checkpoint_wal_bytes = 4 << 20;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    vfs_free(f->vfs);
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    (void)!system(cmd);
    budget_done(&f->root);
    free(f);
    return 0;
}

static ObjectRef make_object(Fixture *f)
{
    ObjectRef ref;
    ObjId id;
    Lsn lsn;
    OK(f, object_new_id(&f->cx, f->store, &id));
    OK(f, object_create(&f->cx, f->store, id, SPACE_MAIN, 4, TXN_NONE, NULL, 0, NULL, &ref, &lsn));
    op_release_undo(f->store, 256);
    return ref;
}

static uint32_t add_page(Fixture *f, StoreObject *o)
{
    StoreOp op;
    BufFrame *frame;
    uint32_t ordinal;
    OpNeed need = {.wal_bytes = wal_record_bytes(3, 64), .frames = 3, .new_pages = 1, .object = o};
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    OK(f, op_take_page(&f->cx, &op, &frame, &ordinal));
    uint8_t data[12];
    store_u64(data, object_ref(o).id.v);
    store_u32(data + 8, ordinal);
    LogPage lp = {.frame = frame, .redo = REDO_TEST, .flags = WAL_PAGE_INIT, .data = data, .len = 12};
    store_log(&op, WAL_TEST, 0, TXN_NONE, &lp, 1, "body", 4);
    buf_unfix(frame);
    op_end(&op);
    return ordinal;
}

static void set_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell, uint64_t value)
{
    StoreOp op;
    BufFrame *frame;
    PageId id;
    OpNeed need = {.wal_bytes = wal_record_bytes(1, 16), .frames = 1};
    assert_true(object_page_at(o, ordinal, &id));
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    OK(f, buf_fix(&f->cx, f->store, id, object_ref(o).id, LATCH_EXCLUSIVE, &frame));
    uint8_t data[12];
    store_u32(data, cell);
    store_u64(data + 4, value);
    LogPage lp = {.frame = frame, .redo = REDO_TEST, .data = data, .len = 12};
    store_log(&op, WAL_TEST, 0, TXN_NONE, &lp, 1, NULL, 0);
    buf_unfix(frame);
    op_end(&op);
}

static uint64_t get_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell)
{
    BufFrame *frame;
    PageId id;
    assert_true(object_page_at(o, ordinal, &id));
    OK(f, buf_fix(&f->cx, f->store, id, object_ref(o).id, LATCH_SHARED, &frame));
    uint64_t v = load_u64(buf_page(frame) + 64 + 8 * cell);
    buf_unfix(frame);
    return v;
}

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "check: %s\n", text);
}

static void check_clean(Fixture *f, uint64_t objects)
{
    StoreCheck c = {.report = say};
    OK(f, store_check(&f->cx, f->store, &c));
    assert_int_equal(c.problems, 0);
    assert_int_equal(c.objects, objects);
}

static void reopen(Fixture *f, bool checkpoint)
{
    store_close(&f->cx, f->store, checkpoint);
    open_store(f, false);
}

/* More pages than the pool has frames, cells overwritten at random, stops with and without a checkpoint. */
static void pages_survive(void **state)
{
    Fixture *f = *state;
    enum { PAGES = 700 };
    static uint64_t model[PAGES][CELLS];
    memset(model, 0, sizeof model);
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o;
    OK(f, object_open(&f->cx, f->store, ref, &o));
    for (uint32_t i = 0; i < PAGES; i++) {
        assert_int_equal(add_page(f, o), i);
    }
    Rng rng;
    rng_seed(&rng, 1);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 20000; i++) {
            uint32_t p = (uint32_t)rng_below(&rng, PAGES);
            uint32_t c = (uint32_t)rng_below(&rng, CELLS);
            model[p][c] = rng_next(&rng);
            set_cell(f, o, p, c, model[p][c]);
        }
        OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
        object_close(o);
        reopen(f, round % 2 == 0);
        OK(f, object_open(&f->cx, f->store, ref, &o));
        for (uint32_t p = 0; p < PAGES; p++) {
            for (uint32_t c = 0; c < CELLS; c++) {
                assert_int_equal(get_cell(f, o, p, c), model[p][c]);
            }
        }
        check_clean(f, 1);
    }
    object_close(o);
    store_close(&f->cx, f->store, true);
}

static void objects_come_and_go(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    for (int round = 0; round < 3; round++) {
        ObjectRef refs[20];
        for (int i = 0; i < 20; i++) {
            StoreObject *o;
            refs[i] = make_object(f);
            OK(f, object_open(&f->cx, f->store, refs[i], &o));
            for (int k = 0; k < i * 17; k++) {
                add_page(f, o);
            }
            object_close(o);
        }
        check_clean(f, 20);
        reopen(f, round == 1);
        check_clean(f, 20);
        for (int i = 0; i < 20; i++) {
            bool done = false;
            while (!done) {
                OK(f, object_free_step(&f->cx, f->store, refs[i], &done));
            }
            OK(f, object_free_step(&f->cx, f->store, refs[i], &done));
            assert_true(done);
        }
        check_clean(f, 0);
    }
    store_close(&f->cx, f->store, true);
}

/* Large enough to need map pages beyond the header (224 extents = 224 MiB of ordinals). */
static void space_hints_find_pages(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o;
    OK(f, object_open(&f->cx, f->store, ref, &o));
    for (int i = 0; i < 200; i++) {
        add_page(f, o);
    }
    uint32_t found;
    assert_int_equal(object_find_space(&f->cx, o, 100, 0, &found), ST_NOT_FOUND);
    object_note_space(&f->cx, o, 5, 120);
    object_note_space(&f->cx, o, 150, 200);
    OK(f, object_find_space(&f->cx, o, 130, 7, &found));
    assert_int_equal(found, 150);
    OK(f, object_find_space(&f->cx, o, 100, 0, &found));
    assert_int_equal(found, 5);
    object_note_space(&f->cx, o, 150, 0);
    assert_int_equal(object_find_space(&f->cx, o, 130, 0, &found), ST_NOT_FOUND);
    object_close(o);
    store_close(&f->cx, f->store, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(objects_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(space_hints_find_pages, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
