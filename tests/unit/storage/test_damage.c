/*
 * What storage says of damaged, lost and unexpected files: damage is named and never served, and never taken for emptiness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "helper_store.h"
#include "storage/wal_format.h"

static ObjectRef store_with_pages(Fixture *f, unsigned n)
{
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o = open_object(f, ref);
    for (unsigned i = 0; i < n; i++) {
        set_cell(f, o, add_page(f, o), 0, i + 1);
    }
    object_close(o);
    return ref;
}

/* Damages the file, and the doublewrite area, whose copy would repair it. */
static void damage(Fixture *f, PageId id, uint64_t offset)
{
    OK(f, simdisk_corrupt(f->disk, "data", page_number(id) * PAGE_BYTES + offset, 3, &f->err));
    OK(f, simdisk_corrupt(f->disk, "doublewrite", 0, 8, &f->err));
}

static PageId page_of(Fixture *f, ObjectRef ref, uint32_t ordinal)
{
    PageId id;
    StoreObject *o = open_object(f, ref);
    assert_true(object_page_at(o, ordinal, &id));
    object_close(o);
    return id;
}

static void a_damaged_page_is_named(void **state)
{
    Fixture *f = *state;
    BufFrame *frame;
    ObjectRef ref = store_with_pages(f, 5);
    PageId id = page_of(f, ref, 3);
    close_store(f, true);
    damage(f, id, 5000);
    open_store(f, false);
    assert_int_equal(buf_fix(&f->cx, f->store, id, ref.id, LATCH_SHARED, &frame), ST_CORRUPTED);
    char page[32];
    snprintf(page, sizeof page, "page 0:%llu ", (unsigned long long)id.v);
    assert_non_null(strstr(f->err.message, page));
    assert_string_equal(f->err.detail, "The page belongs to object 1.");
    err_clear(&f->err);
    StoreCheck c = {0};
    OK(f, store_check(&f->cx, f->store, &c));
    assert_int_equal(c.problems, 1);
    close_store(f, false);
}

static void a_page_of_another_object_is_refused(void **state)
{
    Fixture *f = *state;
    BufFrame *frame;
    ObjectRef ref = store_with_pages(f, 1);
    FAILS(f, ST_CORRUPTED, buf_fix(&f->cx, f->store, page_of(f, ref, 0), (ObjId){77}, LATCH_SHARED, &frame));
    FAILS(f, ST_CORRUPTED, buf_fix(&f->cx, f->store, page_id(SPACE_MAIN, 100000000), OBJ_NONE, LATCH_SHARED, &frame));
    close_store(f, false);
}

/* Else every extent of the group would be given away again. */
static void a_damaged_extent_map_is_not_taken_for_a_new_one(void **state)
{
    Fixture *f = *state;
    store_with_pages(f, 5);
    close_store(f, true);
    damage(f, page_id(SPACE_MAIN, 0), 100);
    FAILS(f, ST_CORRUPTED, try_open(f, false));
}

/* A live page that was damaged, and has records in the log to be redone, must not be served as zeros. */
static void a_damaged_page_with_records_to_redo_stays_damaged(void **state)
{
    Fixture *f = *state;
    BufFrame *frame;
    ObjectRef ref = store_with_pages(f, 5);
    PageId id = page_of(f, ref, 3);
    OK(f, store_checkpoint(&f->cx, f->store));
    StoreObject *o = open_object(f, ref);
    set_cell(f, o, 3, 1, 99);
    object_close(o);
    cut_power(f, 0);
    damage(f, id, 5000);
    open_store(f, false);
    FAILS(f, ST_CORRUPTED, buf_fix(&f->cx, f->store, id, OBJ_NONE, LATCH_SHARED, &frame));
    close_store(f, false);
}

static void a_torn_page_is_restored_from_the_doublewrite_area(void **state)
{
    Fixture *f = *state;
    ObjectRef ref = store_with_pages(f, 3);
    PageId id = page_of(f, ref, 1);
    close_store(f, true);
    OK(f, simdisk_corrupt(f->disk, "data", page_number(id) * PAGE_BYTES + 512, 512, &f->err));
    open_store(f, false);
    StoreObject *o = open_object(f, ref);
    assert_int_equal(get_cell(f, o, 1, 0), 2);
    object_close(o);
    check_clean(f, 1);
    close_store(f, false);
}

static void one_damaged_control_slot_does_no_harm_two_do(void **state)
{
    Fixture *f = *state;
    store_with_pages(f, 3);
    close_store(f, true);
    uint64_t newest = 0;
    open_store(f, false);
    newest = f->store->control.sequence & 1;
    check_clean(f, 1);
    close_store(f, false);
    OK(f, simdisk_corrupt(f->disk, "control", newest * CONTROL_SLOT_BYTES, 8, &f->err));
    open_store(f, false);
    check_clean(f, 1);
    close_store(f, false);
    OK(f, simdisk_corrupt(f->disk, "control", 20, 8, &f->err));
    OK(f, simdisk_corrupt(f->disk, "control", CONTROL_SLOT_BYTES + 20, 8, &f->err));
    FAILS(f, ST_CORRUPTED, try_open(f, false));
}

/* An error of the control file must not put the one good slot at risk. */
static void a_failed_control_write_is_repeated_in_its_slot(void **state)
{
    Fixture *f = *state;
    store_with_pages(f, 3);
    for (int i = 0; i < 3; i++) {
        uint64_t before = f->store->control.sequence;
        simdisk_fail_at(f->disk, SIM_WRITES, 1, false, ST_IO_ERROR);
        FAILS(f, ST_IO_ERROR, control_write(&f->cx, f->store));
        simdisk_heal(f->disk);
        assert_int_equal(f->store->control.sequence, before);
    }
    cut_power(f, 3);
    open_store(f, false);
    check_clean(f, 1);
    close_store(f, false);
}

static void a_lost_data_file_is_an_error(void **state)
{
    Fixture *f = *state;
    store_with_pages(f, 3);
    close_store(f, true);
    OK(f, vfs_unlink(f->vfs, "data", &f->err));
    FAILS(f, ST_CORRUPTED, try_open(f, true));
}

static void what_is_no_store_is_left_alone(void **state)
{
    Fixture *f = *state;
    bool exists = true;
    FAILS(f, ST_FILE_NOT_FOUND, try_open(f, false));
    OK(f, vfs_exists(f->vfs, "lock", &f->err, &exists));
    assert_false(exists);
}

static void nonsense_in_the_configuration_is_an_error(void **state)
{
    Fixture *f = *state;
    f->config.pool_bytes = PAGE_BYTES;
    FAILS(f, ST_CONFIGURATION_LIMIT, try_open(f, true));
    f->config.pool_bytes = 64 * PAGE_BYTES;
    f->config.wal_ring_bytes = 100000;
    FAILS(f, ST_CONFIGURATION_LIMIT, try_open(f, true));
    f->config.wal_ring_bytes = 65536;
    f->config.wal_segment_bytes = 100000;
    FAILS(f, ST_CONFIGURATION_LIMIT, try_open(f, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_page_is_named, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_page_of_another_object_is_refused, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_extent_map_is_not_taken_for_a_new_one, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_page_with_records_to_redo_stays_damaged, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_torn_page_is_restored_from_the_doublewrite_area, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(one_damaged_control_slot_does_no_harm_two_do, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_failed_control_write_is_repeated_in_its_slot, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_lost_data_file_is_an_error, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_store_is_left_alone, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(nonsense_in_the_configuration_is_an_error, setup_sim, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
