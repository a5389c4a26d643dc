/*
 * The log: slots, blocks, dead tails, segments, full disks, failures, and who is told what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "helper_store.h"
#include "storage/wal_format.h"

static Lsn append(Fixture *f, uint32_t body_bytes)
{
    static const uint8_t body[16384];
    StoreOp op;
    OpNeed need = {.wal_bytes = wal_record_bytes(0, body_bytes)};
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    Lsn lsn = store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, body, body_bytes);
    op_end(&op);
    return lsn;
}

static void flush(Fixture *f)
{
    OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
}

/* ---- slots ---- */

/* What a thread does that is preempted between reading the bound and announcing it, while others append and flush. */
static void a_late_announcement_does_not_pull_the_end_back(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    Wal *w = &f->store->wal;
    uint64_t bound = atomic_load(&w->reserved);
    append(f, 100);
    flush(f);
    atomic_store(&w->slots[WAL_SLOTS - 1].start, bound);
    assert_int_equal(wal_complete(f->store).v, wal_end(f->store).v);
    append(f, 100);
    assert_true(wal_complete(f->store).v < wal_end(f->store).v); /* the late one may be about to reserve */
    atomic_store(&w->slots[WAL_SLOTS - 1].start, WAL_SLOT_IDLE);
    flush(f);
    close_store(f, false);
}

static void a_reserved_place_holds_the_end_until_it_is_filled(void **state)
{
    Fixture *f = *state;
    StoreOp op;
    open_store(f, true);
    OpNeed need = {.wal_bytes = wal_record_bytes(0, 8)};
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    WalSpace space = wal_reserve(&op, 8);
    Lsn later = append(f, 50);
    assert_int_equal(wal_complete(f->store).v, space.start.v);
    wal_fill(&op, &space, TEST_WAL, 0, TXN_NONE, "12345678", 8);
    op_end(&op);
    assert_int_equal(wal_complete(f->store).v, later.v);
    flush(f);
    close_store(f, false);
}

/* ---- the end of the log ---- */

static void the_log_is_readable_with_another_alignment(void **state)
{
    Fixture *f = *state;
    f->config.direct_io = true;
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    ObjectRef ref = object_ref(o);
    add_page(f, o);
    for (uint32_t i = 0; i < 40; i++) {
        set_cell(f, o, 0, i, i + 7);
        flush(f);
    }
    object_close(o);
    for (int round = 0; round < 4; round++) {
        cut_power(f, 0);
        f->config.direct_io = round % 2 != 0;
        open_store(f, false);
        o = open_object(f, ref);
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(get_cell(f, o, 0, i), i + 7 + (unsigned)(round > 0 && i == 3 ? 1000 + round - 1 : 0));
        }
        set_cell(f, o, 0, 3, 10 + 1000 + (uint64_t)round);
        object_close(o);
    }
    close_store(f, false);
}

/*
 * A flush of two blocks, the first of which ends inside a record and is all that reaches the disk. The log goes on where that
 * record began, and the next redo position lies inside what the dead tail covers.
 */
static void a_redo_position_inside_a_dead_tail_is_found(void **state)
{
    Fixture *f = *state;
    f->config.wal_ring_bytes = f->config.wal_segment_bytes = 1 << 20;
    open_store(f, true);
    uint64_t block_end = wal_durable(f->store).v + WAL_BLOCK_MAX - WAL_BLOCK_HEADER_BYTES;
    Lsn last_whole = LSN_NONE;
    for (Lsn lsn = append(f, 16000); lsn.v < block_end; lsn = append(f, 16000)) {
        last_whole = lsn;
    }
    assert_true(last_whole.v + 200 < block_end && wal_durable(f->store).v == LSN_FIRST);
    simdisk_fail_at(f->disk, SIM_WRITES, 2, true, ST_IO_ERROR);
    FAILS(f, ST_CRASH_SHUTDOWN, wal_flush(&f->cx, f->store, wal_end(f->store)));
    simdisk_heal(f->disk);
    close_store(f, false);
    for (int round = 0; round < 3; round++) {
        open_store(f, false);
        if (round == 0) {
            assert_int_equal(wal_end(f->store).v, last_whole.v);
        }
        append(f, 8);
        OK(f, store_checkpoint(&f->cx, f->store)); /* redo position: right behind it */
        append(f, 8);
        flush(f);
        check_clean(f, 0);
        close_store(f, false);
    }
}

/* An old block behind the end must not continue a new one that happens to have the bytes of the one lost. */
static void every_opening_is_another_incarnation(void **state)
{
    Fixture *f = *state;
    uint64_t last = 0;
    open_store(f, true);
    for (int i = 0; i < 4; i++) {
        assert_true(f->store->wal.incarnation > last);
        last = f->store->wal.incarnation;
        append(f, 8);
        cut_power(f, 0);
        open_store(f, false);
    }
    close_store(f, false);
}

static void damage_before_a_started_segment_is_not_the_end(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    while (atomic_load(&f->store->wal.segment) < 3) {
        append(f, 3000);
        flush(f);
    }
    close_store(f, false);
    OK(f, simdisk_corrupt(f->disk, "wal/0000000000000001.wal", 20 * 1024, 8, &f->err));
    FAILS(f, ST_CORRUPTED, try_open(f, false));
}

static void segments_are_recycled(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    for (int i = 0; i < 600; i++) {
        append(f, 2000);
        flush(f);
        OK(f, store_tick(&f->cx, f->store));
    }
    assert_true(atomic_load(&f->store->wal.segment) > 20);
    assert_true(f->store->wal.live.n < 10);
    cut_power(f, 0);
    open_store(f, false);
    check_clean(f, 0);
    close_store(f, false);
}

/* ---- full disks ---- */

/* 53100 when the disk is full; what was promised to rollbacks is there; with space back all goes on. */
static void a_full_disk_refuses_work_and_lets_it_go_on_later(void **state)
{
    Fixture *f = *state;
    f->config.background = true;
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    add_page(f, o);
    OpNeed undoable = {.wal_bytes = wal_record_bytes(0, 100), .undo_wal_bytes = 4 * wal_record_bytes(0, 100)};
    StoreOp op;
    OK(f, op_begin(&f->cx, f->store, &undoable, &op));
    (void)store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, NULL, 0);
    op_end(&op);
    simdisk_set_capacity(f->disk, simdisk_used_bytes(f->disk));
    Status st = ST_OK;
    for (uint64_t i = 0; i < 5000 && st == ST_OK; i++) {
        st = try_set_cell(f, o, 0, (uint32_t)(i % TEST_CELLS), i);
        if (i % 16 == 0 && st == ST_OK) {
            flush(f);
        }
    }
    /* Checkpoints recycle segments, so the log alone may never fill the disk; a hoard of undo does. */
    for (int i = 0; i < 500 && st == ST_OK; i++) {
        OpNeed need = {.wal_bytes = wal_record_bytes(0, 1000), .undo_wal_bytes = 8000};
        st = op_begin(&f->cx, f->store, &need, &op);
        if (st == ST_OK) {
            (void)store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, NULL, 0);
            op_end(&op);
            undoable.undo_wal_bytes += 8000;
        }
    }
    assert_int_equal(st, ST_DISK_FULL);
    assert_non_null(f->err.hint);
    err_clear(&f->err);
    for (int i = 0; i < 4; i++) {
        OpNeed undo = {.wal_bytes = wal_record_bytes(0, 100), .is_undo = true};
        OK(f, op_begin(&f->cx, f->store, &undo, &op));
        (void)store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, NULL, 0);
        op_end(&op);
    }
    flush(f);
    simdisk_set_capacity(f->disk, 0);
    os_sleep_us(50000);
    set_cell(f, o, 0, 1, 4711);
    flush(f);
    op_release_undo(f->store, undoable.undo_wal_bytes);
    object_close(o);
    close_store(f, true);
    open_store(f, false);
    check_clean(f, 1);
    close_store(f, false);
}

/* As part of a rollback: not kept back for lack of disk space. */
static Lsn append_undo(Fixture *f, uint32_t body_bytes)
{
    static const uint8_t body[16384];
    StoreOp op;
    OpNeed need = {.wal_bytes = wal_record_bytes(0, body_bytes), .is_undo = true};
    OK(f, op_begin(&f->cx, f->store, &need, &op));
    Lsn lsn = store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, body, body_bytes);
    op_end(&op);
    return lsn;
}

/* A flush that has no room is no failure: nothing was written, and later it goes. */
static void a_flush_without_room_is_tried_again(void **state)
{
    Fixture *f = *state;
    Status st = ST_OK;
    open_store(f, true);
    simdisk_fail_at(f->disk, SIM_ALLOCS, 1, true, ST_DISK_FULL);
    Lsn end = LSN_NONE;
    for (int i = 0; i < 100 && st == ST_OK; i++) {
        end = append_undo(f, 6000);
        st = wal_wait(&f->cx, f->store, end);
    }
    assert_int_equal(st, ST_DISK_FULL);
    err_clear(&f->err);
    OK(f, store_state(f->store, &f->err));
    Lsn durable = wal_durable(f->store);
    FAILS(f, ST_DISK_FULL, wal_wait(&f->cx, f->store, end));
    assert_int_equal(wal_durable(f->store).v, durable.v);
    simdisk_heal(f->disk);
    OK(f, wal_wait(&f->cx, f->store, end));
    cut_power(f, 0);
    open_store(f, false);
    assert_int_equal(wal_end(f->store).v, end.v);
    close_store(f, false);
}

/* ---- failures ---- */

typedef struct Told {
    WalWaiter waiter;
    int calls;
    bool durable;
} Told;

static void tell(WalWaiter *w, bool durable)
{
    Told *t = (Told *)w;
    t->calls++;
    t->durable = durable;
}

static void waiters_are_called_once_and_told_the_truth(void **state)
{
    Fixture *f = *state;
    Told told[5] = {0};
    open_store(f, true);
    Lsn first = append(f, 8);
    Lsn second = append(f, 8);
    wal_on_durable(f->store, second, &told[1].waiter, tell);
    wal_on_durable(f->store, first, &told[0].waiter, tell);
    assert_int_equal(told[0].calls + told[1].calls, 0);
    flush(f);
    assert_true(told[0].calls == 1 && told[0].durable && told[1].calls == 1 && told[1].durable);
    wal_on_durable(f->store, first, &told[2].waiter, tell);
    assert_true(told[2].calls == 1 && told[2].durable);
    wal_on_durable(f->store, append(f, 8), &told[3].waiter, tell);
    simdisk_fail_at(f->disk, SIM_SYNCS, 1, false, ST_IO_ERROR);
    FAILS(f, ST_CRASH_SHUTDOWN, wal_wait(&f->cx, f->store, wal_end(f->store)));
    assert_true(told[3].calls == 1 && !told[3].durable);
    wal_on_durable(f->store, wal_end(f->store), &told[4].waiter, tell);
    assert_true(told[4].calls == 1 && !told[4].durable);
    close_store(f, true);
    assert_true(told[3].calls == 1 && told[4].calls == 1);
}

static void waiters_left_at_close_are_told(void **state)
{
    Fixture *f = *state;
    Told told = {0};
    open_store(f, true);
    wal_on_durable(f->store, append(f, 8), &told.waiter, tell);
    close_store(f, false);
    assert_true(told.calls == 1 && !told.durable);
}

/* A failed sync is not retried: nothing is acknowledged after it. */
static void after_a_failed_sync_nothing_is_acknowledged(void **state)
{
    Fixture *f = *state;
    StoreOp op;
    OpNeed need = {.wal_bytes = wal_record_bytes(0, 8)};
    open_store(f, true);
    Lsn lsn = append(f, 8);
    simdisk_fail_at(f->disk, SIM_SYNCS, 1, false, ST_IO_ERROR);
    FAILS(f, ST_CRASH_SHUTDOWN, wal_wait(&f->cx, f->store, lsn));
    FAILS(f, ST_CRASH_SHUTDOWN, wal_wait(&f->cx, f->store, lsn));
    FAILS(f, ST_CRASH_SHUTDOWN, op_begin(&f->cx, f->store, &need, &op));
    FAILS(f, ST_CRASH_SHUTDOWN, store_checkpoint(&f->cx, f->store));
    assert_int_equal(store_state(f->store, &f->err), ST_CRASH_SHUTDOWN);
    assert_non_null(f->err.detail);
    err_clear(&f->err);
    close_store(f, true);
    open_store(f, false);
    close_store(f, true);
}

/* The data file fails: reading and rolling back go on, new work does not; a restart finds everything. */
static void a_failing_data_file_makes_the_store_read_only(void **state)
{
    Fixture *f = *state;
    StoreOp op;
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    ObjectRef ref = object_ref(o);
    add_page(f, o);
    set_cell(f, o, 0, 1, 11);
    flush(f);
    simdisk_fail_at(f->disk, SIM_WRITES, 2, true, ST_IO_ERROR); /* the first is the log's */
    FAILS(f, ST_IO_ERROR, store_checkpoint(&f->cx, f->store));
    simdisk_heal(f->disk);
    FAILS(f, ST_IO_ERROR, store_checkpoint(&f->cx, f->store));
    FAILS(f, ST_IO_ERROR, try_set_cell(f, o, 0, 1, 12));
    assert_int_equal(get_cell(f, o, 0, 1), 11);
    OpNeed undo = {.wal_bytes = wal_record_bytes(0, 8), .is_undo = true};
    OK(f, op_begin(&f->cx, f->store, &undo, &op));
    (void)store_log(&op, TEST_WAL, 0, TXN_NONE, NULL, 0, NULL, 0);
    op_end(&op);
    flush(f);
    object_close(o);
    close_store(f, true);
    open_store(f, false);
    o = open_object(f, ref);
    assert_int_equal(get_cell(f, o, 0, 1), 11);
    object_close(o);
    close_store(f, true);
}

/* ---- checkpoints ---- */

typedef struct Hook {
    Fixture *f;
    StoreObject *o;
    uint64_t round;
} Hook;

/* Runs on the page writer's thread, with its Ctx. */
static Status dirty_everything(void *arg, Ctx *cx, Lsn begin, Lsn *out_needed)
{
    Hook *h = arg;
    (void)begin;
    *out_needed = LSN_MAX;
    h->round++;
    for (uint32_t i = 0; i < 100 && h->o != NULL; i++) {
        StoreOp op;
        BufFrame *frame;
        PageId id;
        OpNeed need = {.wal_bytes = wal_record_bytes(1, 16), .frames = 1};
        assert_true(object_page_at(h->o, i, &id));
        Status st = op_begin(cx, h->f->store, &need, &op);
        if (st != ST_OK) {
            return st;
        }
        st = buf_fix(cx, h->f->store, id, OBJ_NONE, LATCH_EXCLUSIVE, &frame);
        if (st == ST_OK) {
            uint8_t data[12];
            store_u32(data, 3);
            store_u64(data + 4, h->round);
            LogPage lp = {.frame = frame, .redo = TEST_REDO, .data = data, .len = sizeof data};
            store_log(&op, TEST_WAL, 0, TXN_NONE, &lp, 1, NULL, 0);
            buf_unfix(frame);
        }
        op_end(&op);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* It is admitted only when pages are clean, and it is the page writer itself: it must not wait for itself. */
static void a_checkpoint_hook_may_dirty_more_than_the_pool(void **state)
{
    Fixture *f = *state;
    Hook h = {.f = f};
    f->hooks = (StoreHooks){.arg = &h, .checkpoint = dirty_everything};
    f->config.background = true;
    open_store(f, true);
    StoreObject *o = open_object(f, make_object(f));
    for (int i = 0; i < 100; i++) {
        add_page(f, o);
    }
    OK(f, store_checkpoint(&f->cx, f->store));
    h.o = o; /* nothing is due, so the writer's thread is not in the hook */
    OK(f, store_checkpoint(&f->cx, f->store));
    OK(f, store_checkpoint(&f->cx, f->store));
    assert_int_equal(get_cell(f, o, 99, 3), h.round);
    h.o = NULL;
    object_close(o);
    close_store(f, true);
}

static void a_checkpoint_that_cannot_succeed_is_answered(void **state)
{
    Fixture *f = *state;
    f->config.background = true;
    open_store(f, true);
    append(f, 8);
    flush(f);
    for (int i = 0; i < 3; i++) {
        simdisk_fail_at(f->disk, SIM_WRITES, 2, true, ST_IO_ERROR); /* the log's, then the control file's */
        FAILS(f, ST_IO_ERROR, store_checkpoint(&f->cx, f->store));
        simdisk_heal(f->disk);
    }
    OK(f, store_checkpoint(&f->cx, f->store));
    close_store(f, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_late_announcement_does_not_pull_the_end_back, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_reserved_place_holds_the_end_until_it_is_filled, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(the_log_is_readable_with_another_alignment, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_redo_position_inside_a_dead_tail_is_found, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(every_opening_is_another_incarnation, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(damage_before_a_started_segment_is_not_the_end, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(segments_are_recycled, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_work_and_lets_it_go_on_later, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_flush_without_room_is_tried_again, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_hook_may_dirty_more_than_the_pool, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_that_cannot_succeed_is_answered, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(waiters_are_called_once_and_told_the_truth, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(waiters_left_at_close_are_told, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(after_a_failed_sync_nothing_is_acknowledged, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_failing_data_file_makes_the_store_read_only, setup_sim, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
