/*
 * helper_store.c: see helper_store.h.
 */
#include "helper_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* INIT: u64 object, u32 ordinal; else u32 cell, u64 value. */
static Status redo_test(const WalPage *ref, uint8_t *page, Error *err)
{
    if ((ref->flags & WAL_PAGE_INIT) != 0) {
        page_init(page, ref->id, (ObjId){load_u64(ref->data)}, load_u32(ref->data + 8), PAGE_TABLE, 1);
        return ST_OK;
    }
    if (ref->len != 12 || load_u32(ref->data) >= TEST_CELLS || page_header_const(page)->type != PAGE_TABLE) {
        return err_set(err, ST_CORRUPTED, "bad test record");
    }
    memcpy(page + 64 + 8 * load_u32(ref->data), ref->data + 4, 8);
    return ST_OK;
}

void step_failed(const Error *err, const char *what)
{
    fprintf(stderr, "%s: %s %s (%s)\n", what, err->sqlstate, err->message != NULL ? err->message : "",
            err->detail != NULL ? err->detail : "");
    abort();
}

static Fixture *fixture_new(void)
{
    Fixture *f = calloc(1, sizeof *f);
    budget_init(&f->disk_budget, "disk", NULL, 0, 0);
    budget_init(&f->root, "test", NULL, 0, 0);
    err_clear(&f->err);
    ctx_init(&f->cx, &f->err, &f->root, NULL);
    store_config_default(&f->config);
    f->config.pool_bytes = 64 * PAGE_BYTES;
    f->config.wal_ring_bytes = 64 * 1024;
    f->config.wal_segment_bytes = 64 * 1024;
    f->config.checkpoint_wal_bytes = 256 * 1024;
    f->config.grow_extents = 2;
    f->config.background = false;
    return f;
}

int setup_sim(void **state)
{
    Fixture *f = fixture_new();
    OK(f, simdisk_new(&f->disk_budget, &f->err, &f->disk));
    OK(f, simdisk_vfs(f->disk, &f->err, &f->vfs));
    *state = f;
    return 0;
}

int setup_real(void **state)
{
    Fixture *f = fixture_new();
    strcpy(f->dir, "/tmp/rdb-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    OK(f, vfs_open_dir(&f->disk_budget, f->dir, true, &f->err, &f->vfs));
    *state = f;
    return 0;
}

int teardown(void **state)
{
    Fixture *f = *state;
    vfs_free(f->vfs);
    simdisk_free(f->disk);
    if (f->dir[0] != 0) {
        char cmd[128];
        snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
        (void)!system(cmd);
    }
    budget_done(&f->root);
    budget_done(&f->disk_budget);
    free(f);
    return 0;
}

Status try_open(Fixture *f, bool create)
{
    StoreRegistry reg;
    memset(&reg, 0, sizeof reg);
    reg.redo[TEST_REDO] = redo_test;
    reg.hooks = f->hooks;
    return store_open(&f->cx, f->vfs, &f->root, NULL, &f->config, &reg, create, &f->store);
}

void open_store(Fixture *f, bool create)
{
    OK(f, try_open(f, create));
}

void close_store(Fixture *f, bool checkpoint)
{
    store_close(&f->cx, f->store, checkpoint);
    f->store = NULL;
}

void cut_power(Fixture *f, uint64_t survive_seed)
{
    SimDisk *found;
    OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
    simdisk_cut_now(f->disk);
    close_store(f, false);
    OK(f, simdisk_survivor(f->disk, survive_seed, &f->err, &found));
    vfs_free(f->vfs);
    simdisk_free(f->disk);
    f->disk = found;
    OK(f, simdisk_vfs(f->disk, &f->err, &f->vfs));
}

ObjectRef make_object(Fixture *f)
{
    ObjectRef ref;
    ObjId id;
    Lsn lsn;
    OK(f, object_new_id(&f->cx, f->store, &id));
    OK(f, object_create(&f->cx, f->store, id, SPACE_MAIN, TEST_WAL, TXN_NONE, NULL, 0, NULL, &ref, &lsn));
    op_release_undo(f->store, OBJECT_DROP_UNDO_BYTES);
    return ref;
}

StoreObject *open_object(Fixture *f, ObjectRef ref)
{
    StoreObject *o;
    OK(f, object_open(&f->cx, f->store, ref, &o));
    return o;
}

uint32_t add_page(Fixture *f, StoreObject *o)
{
    StoreOp op;
    BufFrame *frame;
    uint32_t ordinal;
    OpNeed need = {.wal_bytes = wal_record_bytes(1, 16), .frames = 3, .new_pages = 1, .object = o};
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    OK(f, op_take_page(&f->cx, &op, &frame, &ordinal));
    uint8_t data[12];
    store_u64(data, object_ref(o).id.v);
    store_u32(data + 8, ordinal);
    LogPage lp = {.frame = frame, .redo = TEST_REDO, .flags = WAL_PAGE_INIT, .data = data, .len = sizeof data};
    store_log(&op, TEST_WAL, 0, TXN_NONE, &lp, 1, NULL, 0);
    buf_unfix(frame);
    op_end(&op);
    return ordinal;
}

Status try_set_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell, uint64_t value)
{
    StoreOp op;
    BufFrame *frame;
    PageId id;
    OpNeed need = {.wal_bytes = wal_record_bytes(1, 16), .frames = 1};
    assert_true(object_page_at(o, ordinal, &id));
    Status st = op_begin(&f->cx, f->store, &need, &op);
    if (st != ST_OK) {
        return st;
    }
    st = buf_fix(&f->cx, f->store, id, object_ref(o).id, LATCH_EXCLUSIVE, &frame);
    if (st == ST_OK) {
        uint8_t data[12];
        store_u32(data, cell);
        store_u64(data + 4, value);
        LogPage lp = {.frame = frame, .redo = TEST_REDO, .data = data, .len = sizeof data};
        store_log(&op, TEST_WAL, 0, TXN_NONE, &lp, 1, NULL, 0);
        buf_unfix(frame);
    }
    op_end(&op);
    return st;
}

void set_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell, uint64_t value)
{
    OK(f, try_set_cell(f, o, ordinal, cell, value));
}

uint64_t get_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell)
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

void check_clean(Fixture *f, uint64_t objects)
{
    StoreCheck c = {.report = say};
    OK(f, store_check(&f->cx, f->store, &c));
    assert_int_equal(c.problems, 0);
    assert_int_equal(c.objects, objects);
}

void free_object(Fixture *f, ObjectRef ref)
{
    bool done = false;
    while (!done) {
        OK(f, object_free_step(&f->cx, f->store, ref, &done));
    }
    OK(f, object_free_step(&f->cx, f->store, ref, &done));
    assert_true(done);
}
