/*
 * Extents and objects: growth beyond one extent map and beyond a header page, freeing and reuse, the promise of object ids, and
 * what a checkpoint in the middle of freeing must not forget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "helper_store.h"

/* Gives the object its single pages and n extents, without using them. */
static void grow_to(Fixture *f, StoreObject *o, uint32_t extents)
{
    mutex_lock(&o->grow_mutex);
    while (o->n_extents < extents) {
        OK(f, object_grow(&f->cx, o));
    }
    mutex_unlock(&o->grow_mutex);
}

/*
 * 700 extents: three map pages behind the header, a directory, and two groups of extents, on real files (700 MiB of holes). It
 * survives a stop without a checkpoint, and is freed to the last page.
 */
static void a_large_object_over_several_maps(void **state)
{
    Fixture *f = *state;
    enum { EXTENTS = 700 };
    f->config.grow_extents = 128;
    f->config.wal_segment_bytes = 1 << 20;
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o = open_object(f, ref);
    grow_to(f, o, EXTENTS);
    assert_int_equal(o->maps.n, 3);
    assert_int_equal(object_page_count(o), SINGLES_MAX + EXTENTS * EXTENT_PAGES);
    assert_true(f->store->space.n_extents > MAP_EXTENTS);
    /* Pages in the header's part and, through hints, in the last map's. */
    for (uint32_t i = 0; i < 40; i++) {
        set_cell(f, o, add_page(f, o), 0, i);
    }
    uint32_t in_last = SINGLES_MAX + (EXTENTS - 1) * EXTENT_PAGES;
    o->extent_hint = EXTENTS - 1;
    uint32_t ordinal = add_page(f, o);
    assert_int_equal(ordinal, in_last);
    set_cell(f, o, ordinal, 5, 55);
    object_note_space(&f->cx, o, ordinal, 200);
    uint32_t found;
    OK(f, object_find_space(&f->cx, o, 150, 0, &found));
    assert_int_equal(found, in_last);
    OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
    object_close(o);
    close_store(f, false);

    open_store(f, false);
    o = open_object(f, ref);
    assert_int_equal(object_page_count(o), SINGLES_MAX + EXTENTS * EXTENT_PAGES);
    assert_int_equal(get_cell(f, o, in_last, 5), 55);
    assert_int_equal(get_cell(f, o, 39, 0), 39);
    check_clean(f, 1);
    object_close(o);
    free_object(f, ref);
    check_clean(f, 0);
    OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
    OK(f, space_reclaim(&f->cx, f->store, true));
    assert_int_equal(f->store->space.n_free + 2, f->store->space.n_extents); /* all but the two that hold maps */
    close_store(f, true);
    open_store(f, false);
    check_clean(f, 0);
    assert_int_equal(f->store->space.n_free + 2, f->store->space.n_extents);
    close_store(f, false);
}

static void freeing_goes_on_after_a_cut_at_any_step(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    ObjectRef ref = make_object(f);
    ObjectRef other = make_object(f);
    StoreObject *o = open_object(f, ref);
    for (uint32_t i = 0; i < 100; i++) {
        set_cell(f, o, add_page(f, o), 0, i);
    }
    object_close(o);
    bool done = false;
    for (int steps = 0; !done; steps++) {
        OK(f, object_free_step(&f->cx, f->store, ref, &done));
        cut_power(f, (uint64_t)steps);
        open_store(f, false);
        check_clean(f, done ? 1 : 2);
        assert_true(steps < 60);
    }
    o = open_object(f, other);
    set_cell(f, o, add_page(f, o), 0, 7);
    object_close(o);
    check_clean(f, 1);
    close_store(f, true);
}

/* A freed page's frame is thrown away unwritten. The records on it that follow the checkpoint must not be redone on the older
 * page in the file. */
static void records_on_pages_freed_later_are_not_redone(void **state)
{
    Fixture *f = *state;
    f->config.pool_bytes = 256 * PAGE_BYTES;
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o = open_object(f, ref);
    for (uint32_t i = 0; i < 50; i++) {
        set_cell(f, o, add_page(f, o), 0, i);
    }
    Lsn begin = wal_end(f->store);
    for (uint32_t i = 0; i < 50; i++) {
        set_cell(f, o, i, 1, i);
    }
    object_close(o);
    free_object(f, ref);
    OK(f, wal_wait(&f->cx, f->store, wal_end(f->store)));
    /* As a checkpoint leaves it that began there and went on while the object was freed. */
    uint32_t written;
    do {
        OK(f, writer_batch(&f->cx, f->store, LSN_MAX, &written));
    } while (written > 0);
    f->store->control.redo_lsn = begin.v;
    f->store->control.checkpoint_lsn = wal_end(f->store).v;
    OK(f, control_write(&f->cx, f->store));
    cut_power(f, 0);
    open_store(f, false);
    check_clean(f, 0);
    close_store(f, false);
}

/* Its old header would look like a live object's. */
static void a_page_given_to_an_object_no_longer_looks_like_a_header(void **state)
{
    Fixture *f = *state;
    open_store(f, true);
    ObjectRef keeper = make_object(f);
    ObjectRef refs[8];
    for (int i = 0; i < 8; i++) {
        refs[i] = make_object(f);
    }
    OK(f, store_checkpoint(&f->cx, f->store));
    for (int i = 0; i < 8; i++) {
        free_object(f, refs[i]);
    }
    StoreObject *o = open_object(f, keeper);
    uint32_t ordinals[8];
    OK(f, object_reserve(&f->cx, o, 8, ordinals));
    object_unreserve(o, ordinals, 8);
    check_clean(f, 1);
    object_close(o);
    cut_power(f, 0);
    open_store(f, false);
    check_clean(f, 1);
    close_store(f, false);
}

static void ids_are_never_given_out_twice(void **state)
{
    Fixture *f = *state;
    uint64_t last = 0;
    open_store(f, true);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 100 + 100 * round; i++) {
            ObjId id;
            OK(f, object_new_id(&f->cx, f->store, &id));
            assert_true(id.v > last);
            last = id.v;
        }
        if (round % 2 == 0) {
            OK(f, store_checkpoint(&f->cx, f->store));
        }
        cut_power(f, (uint64_t)round);
        open_store(f, false);
    }
    close_store(f, false);
}

static void the_user_area_survives(void **state)
{
    Fixture *f = *state;
    char text[OBJECT_USER_BYTES] = "roots and such";
    char back[OBJECT_USER_BYTES];
    open_store(f, true);
    ObjectRef ref = make_object(f);
    StoreObject *o = open_object(f, ref);
    OK(f, object_write_user(&f->cx, o, TXN_NONE, text));
    object_close(o);
    cut_power(f, 0);
    open_store(f, false);
    o = open_object(f, ref);
    OK(f, object_read_user(&f->cx, o, back));
    assert_memory_equal(text, back, sizeof text);
    object_close(o);
    close_store(f, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_object_over_several_maps, setup_real, teardown),
        cmocka_unit_test_setup_teardown(freeing_goes_on_after_a_cut_at_any_step, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(records_on_pages_freed_later_are_not_redone, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_page_given_to_an_object_no_longer_looks_like_a_header, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(ids_are_never_given_out_twice, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(the_user_area_survives, setup_sim, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
