/* What the simulated disk may lose, must keep, and how faults and power cuts are placed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "os/sched.h"
#include "os/simdisk.h"
#include "os/thread.h"

enum { SECTOR = 512 };

typedef struct Fixture {
    Budget budget;
    SimDisk *disk;
    Vfs *vfs;
    Error err;
} Fixture;

static int setup(void **state)
{
    Fixture *fx = calloc(1, sizeof *fx);
    budget_init(&fx->budget, "disk", NULL, 0, BUDGET_QUANTUM);
    err_clear(&fx->err);
    assert_int_equal(simdisk_new(&fx->budget, &fx->err, &fx->disk), ST_OK);
    assert_int_equal(simdisk_vfs(fx->disk, &fx->err, &fx->vfs), ST_OK);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fx = *state;
    vfs_free(fx->vfs);
    simdisk_free(fx->disk);
    budget_trim(&fx->budget);
    size_t leaked = budget_used(&fx->budget);
    if (leaked == 0) { /* after a failed test there is some; let its message come out */
        budget_done(&fx->budget);
    }
    free(fx);
    return leaked == 0 ? 0 : -1;
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        Status st_ = (call);                                                                                           \
        if (st_ != ST_OK) {                                                                                            \
            fail_msg("%s: %s %s", #call, status_name(st_), fx->err.message == NULL ? "" : fx->err.message);            \
        }                                                                                                              \
    } while (0)

static void expect(Fixture *fx, Status got, Status wanted)
{
    assert_int_equal(got, wanted);
    assert_int_equal(fx->err.status, wanted);
    err_clear(&fx->err);
}

static File *must_open(Fixture *fx, const char *path, uint32_t flags)
{
    File *f = NULL;
    OK(vfs_open(fx->vfs, path, flags, &fx->err, &f));
    return f;
}

/* A durable file of `sectors` sectors full of `fill`. */
static File *durable_file(Fixture *fx, const char *path, int fill, size_t sectors)
{
    static char buf[64 * SECTOR];
    assert_true(sectors <= 64);
    memset(buf, fill, sizeof buf);
    File *f = must_open(fx, path, FILE_CREATE);
    OK(file_write(f, buf, sectors * SECTOR, 0, &fx->err));
    OK(file_sync(f, &fx->err));
    OK(vfs_sync_dir(fx->vfs, "", &fx->err));
    return f;
}

static void fill_sectors(Fixture *fx, File *f, int fill, size_t first, size_t sectors)
{
    static char buf[64 * SECTOR];
    memset(buf, fill, sizeof buf);
    OK(file_write(f, buf, sectors * SECTOR, first * SECTOR, &fx->err));
}

/* A file's content on a survivor; NULL if it is not there. Freed by the caller. */
static unsigned char *content_on(Fixture *fx, SimDisk *d, const char *path, uint64_t *out_size)
{
    Vfs *v = NULL;
    File *f = NULL;
    unsigned char *p = NULL;
    OK(simdisk_vfs(d, &fx->err, &v));
    Status st = vfs_open(v, path, 0, NULL, &f);
    if (st == ST_OK) {
        OK(file_size(f, &fx->err, out_size));
        p = malloc(*out_size + 1);
        OK(file_read(f, p, *out_size, 0, &fx->err));
        file_close(f);
    }
    vfs_free(v);
    return p;
}

static unsigned char *survivor_content(Fixture *fx, uint64_t seed, const char *path, uint64_t *out_size)
{
    SimDisk *d = NULL;
    OK(simdisk_survivor(fx->disk, seed, &fx->err, &d));
    unsigned char *p = content_on(fx, d, path, out_size);
    simdisk_free(d);
    return p;
}

static void what_is_synced_survives_every_cut(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 20);
    simdisk_cut_now(fx->disk);
    for (uint64_t i = 0; i <= 20; i++) {
        uint64_t size = 0;
        unsigned char *p = survivor_content(fx, i == 20 ? UINT64_MAX : i, "f", &size);
        assert_non_null(p);
        assert_int_equal(size, 20 * SECTOR);
        for (size_t at = 0; at < size; at++) {
            assert_int_equal(p[at], 1);
        }
        free(p);
    }
    file_close(f);
}

static void of_unsynced_sectors_any_version_can_survive_and_no_sector_is_torn(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 8);
    fill_sectors(fx, f, 2, 0, 8);
    fill_sectors(fx, f, 3, 0, 8);
    fill_sectors(fx, f, 4, 2, 4);
    unsigned seen[8] = {0};
    bool reordered = false;
    bool torn_write = false;
    for (uint64_t seed = 0; seed < 400; seed++) {
        uint64_t size = 0;
        unsigned char *p = survivor_content(fx, seed, "f", &size);
        assert_int_equal(size, 8 * SECTOR);
        for (size_t s = 0; s < 8; s++) {
            unsigned char v = p[s * SECTOR];
            assert_in_range(v, 1, 4);
            seen[s] |= 1u << v;
            for (size_t at = 0; at < SECTOR; at++) {
                assert_int_equal(p[s * SECTOR + at], v);
            }
        }
        /* The third write is there, the second is not in any sector outside of it. */
        reordered |= p[2 * SECTOR] == 4 && p[0] < 3 && p[SECTOR] < 3 && p[6 * SECTOR] < 3 && p[7 * SECTOR] < 3;
        torn_write |= (p[0] == 3) != (p[SECTOR] == 3);
        free(p);
    }
    for (size_t s = 0; s < 8; s++) {
        assert_int_equal(seen[s], s >= 2 && s < 6 ? 0x1e : 0x0e);
    }
    assert_true(reordered && torn_write);
    uint64_t size = 0;
    unsigned char *none = survivor_content(fx, 0, "f", &size);
    unsigned char *all = survivor_content(fx, UINT64_MAX, "f", &size);
    assert_int_equal(none[0] + none[3 * SECTOR], 1 + 1);
    assert_int_equal(all[0] + all[3 * SECTOR], 3 + 4);
    free(none);
    free(all);
    file_close(f);
}

static void the_same_seed_gives_the_same_survivor(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 32);
    fill_sectors(fx, f, 2, 3, 20);
    fill_sectors(fx, f, 3, 10, 40);
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint64_t a_size = 0;
        uint64_t b_size = 0;
        unsigned char *a = survivor_content(fx, seed, "f", &a_size);
        unsigned char *b = survivor_content(fx, seed, "f", &b_size);
        assert_int_equal(a_size, b_size);
        assert_memory_equal(a, b, a_size);
        free(a);
        free(b);
    }
    file_close(f);
}

static void sizes_survive_apart_from_data(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 2);
    fill_sectors(fx, f, 2, 2, 2);
    fill_sectors(fx, f, 3, 4, 2);
    bool size_without_data = false;
    unsigned sizes = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        uint64_t size = 0;
        unsigned char *p = survivor_content(fx, seed, "f", &size);
        assert_true(size == 2 * SECTOR || size == 4 * SECTOR || size == 6 * SECTOR);
        sizes |= 1u << size / SECTOR;
        for (size_t s = 2; s < size / SECTOR; s++) {
            size_without_data |= p[s * SECTOR] == 0; /* never-written blocks read as zeros */
            assert_true(p[s * SECTOR] == 0 || p[s * SECTOR] == s / 2 + 1);
        }
        free(p);
    }
    assert_int_equal(sizes, 1u << 2 | 1u << 4 | 1u << 6);
    assert_true(size_without_data);
    OK(file_sync(f, &fx->err));
    uint64_t size = 0;
    unsigned char *p = survivor_content(fx, 0, "f", &size);
    assert_int_equal(size, 6 * SECTOR);
    assert_int_equal(p[5 * SECTOR], 3);
    free(p);
    file_close(f);
}

static void a_truncation_hides_old_data_for_good_once_it_survives(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 8);
    fill_sectors(fx, f, 2, 0, 8);
    OK(file_truncate(f, 2 * SECTOR + 100, &fx->err));
    OK(file_truncate(f, 8 * SECTOR, &fx->err));
    fill_sectors(fx, f, 3, 6, 1);
    bool saw_zeros = false;
    bool saw_old = false;
    for (uint64_t seed = 0; seed < 300; seed++) {
        uint64_t size = 0;
        unsigned char *p = survivor_content(fx, seed, "f", &size);
        if (size == 8 * SECTOR && p[7 * SECTOR] == 0) {
            saw_zeros = true;
            assert_int_equal(p[2 * SECTOR + 100], 0);
            assert_int_equal(p[3 * SECTOR], 0);
            assert_true(p[6 * SECTOR] == 0 || p[6 * SECTOR] == 3);
            assert_true(p[2 * SECTOR + 99] == 1 || p[2 * SECTOR + 99] == 2);
        }
        saw_old |= size == 8 * SECTOR && p[7 * SECTOR] != 0;
        free(p);
    }
    assert_true(saw_zeros && saw_old);
    file_close(f);
}

static void what_was_cut_off_never_comes_back_by_extending(void **state)
{
    Fixture *fx = *state;
    enum { KEPT = 4 * SECTOR + 100 };
    File *f = durable_file(fx, "f", 1, 4);
    static char buf[8 * SECTOR];
    memset(buf, 1, sizeof buf);
    OK(file_write(f, buf, KEPT, 0, &fx->err));
    OK(file_sync(f, &fx->err));
    fill_sectors(fx, f, 2, 3, 5); /* data may survive beyond a size that does not */
    bool checked = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        SimDisk *d = NULL;
        Vfs *v = NULL;
        File *g = NULL;
        uint64_t size = 0;
        OK(simdisk_survivor(fx->disk, seed, &fx->err, &d));
        OK(simdisk_vfs(d, &fx->err, &v));
        OK(vfs_open(v, "f", 0, &fx->err, &g));
        OK(file_size(g, &fx->err, &size));
        OK(file_truncate(g, 8 * SECTOR, &fx->err));
        OK(file_read(g, buf, sizeof buf, 0, &fx->err));
        for (size_t at = KEPT; size == KEPT && at < sizeof buf; at++) {
            assert_int_equal(buf[at], 0);
        }
        checked |= size == KEPT && buf[4 * SECTOR] == 2;
        file_close(g);
        vfs_free(v);
        simdisk_free(d);
    }
    assert_true(checked);
    file_close(f);
}

static void names_need_their_directorys_sync(void **state)
{
    Fixture *fx = *state;
    file_close(durable_file(fx, "old", 1, 1));
    OK(vfs_mkdir(fx->vfs, "d", &fx->err));
    OK(vfs_sync_dir(fx->vfs, "", &fx->err));
    File *f = must_open(fx, "d/new", FILE_CREATE);
    OK(file_write(f, "x", 1, 0, &fx->err));
    OK(file_sync(f, &fx->err)); /* of the file, not of its name */
    file_close(f);
    OK(vfs_unlink(fx->vfs, "old", &fx->err));
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t size = 0;
        unsigned char *old = survivor_content(fx, seed, "old", &size);
        unsigned char *new = survivor_content(fx, seed, "d/new", &size);
        assert_true(new == NULL || (size == 1 && new[0] == 'x'));
        seen |= 1u << ((old != NULL) + 2 * (new != NULL));
        free(old);
        free(new);
    }
    assert_int_equal(seen, 0xf); /* each by itself */
    OK(vfs_sync_dir(fx->vfs, "", &fx->err));
    OK(vfs_sync_dir(fx->vfs, "d", &fx->err));
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t size = 0;
        unsigned char *new = survivor_content(fx, seed, "d/new", &size);
        assert_null(survivor_content(fx, seed, "old", &size));
        assert_non_null(new);
        free(new);
    }
}

static void a_directory_that_is_never_synced_does_not_pile_up(void **state)
{
    Fixture *fx = *state;
    static char buf[64 * SECTOR];
    size_t used_early = 0;
    for (int i = 0; i < 1000; i++) {
        File *f = must_open(fx, i % 2 == 0 ? "spill" : "other", FILE_CREATE);
        OK(file_write(f, buf, sizeof buf, 0, &fx->err));
        file_close(f);
        if (i % 3 == 0) {
            OK(vfs_rename(fx->vfs, i % 2 == 0 ? "spill" : "other", "moved", &fx->err));
        } else {
            OK(vfs_unlink(fx->vfs, i % 2 == 0 ? "spill" : "other", &fx->err));
        }
        used_early = i == 200 ? budget_used(&fx->budget) : used_early;
    }
    assert_true(budget_used(&fx->budget) < used_early * 2);
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t size = 0;
        free(survivor_content(fx, seed, "moved", &size));
    }
}

static void a_rename_is_atomic_in_a_directory_and_two_steps_between_two(void **state)
{
    Fixture *fx = *state;
    OK(vfs_mkdir(fx->vfs, "d", &fx->err));
    file_close(durable_file(fx, "a", 1, 1));
    file_close(durable_file(fx, "b", 2, 1));
    file_close(durable_file(fx, "c", 3, 1));
    OK(vfs_rename(fx->vfs, "a", "b", &fx->err));
    OK(vfs_rename(fx->vfs, "c", "d/c", &fx->err));
    unsigned outcomes = 0;
    unsigned moves = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint64_t size = 0;
        unsigned char *a = survivor_content(fx, seed, "a", &size);
        unsigned char *b = survivor_content(fx, seed, "b", &size);
        assert_non_null(b);
        assert_true((a != NULL && a[0] == 1 && b[0] == 2) || (a == NULL && b[0] == 1));
        outcomes |= 1u << (a == NULL);
        free(a);
        free(b);
        unsigned char *c = survivor_content(fx, seed, "c", &size);
        unsigned char *moved = survivor_content(fx, seed, "d/c", &size);
        assert_true((c == NULL || c[0] == 3) && (moved == NULL || moved[0] == 3));
        moves |= 1u << ((c != NULL) + 2 * (moved != NULL));
        free(c);
        free(moved);
    }
    assert_int_equal(outcomes, 3);
    assert_int_equal(moves, 0xf);
}

static void a_failed_sync_is_not_made_good_by_the_next(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 4);
    fill_sectors(fx, f, 2, 0, 3);
    simdisk_fail_at(fx->disk, SIM_SYNCS, 1, false, ST_IO_ERROR);
    expect(fx, file_sync(f, &fx->err), ST_IO_ERROR);
    char byte = 0;
    OK(file_read(f, &byte, 1, 0, &fx->err));
    assert_int_equal(byte, 2); /* the page cache shows what the disk may not have */
    fill_sectors(fx, f, 3, 2, 2);
    OK(file_sync(f, &fx->err));
    bool lost = false;
    bool kept = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t size = 0;
        unsigned char *p = survivor_content(fx, seed, "f", &size);
        assert_true(p[0] == 1 || p[0] == 2);
        lost |= p[0] == 1;
        kept |= p[0] == 2;
        assert_int_equal(p[2 * SECTOR], 3); /* written and synced after the failure */
        assert_int_equal(p[3 * SECTOR], 3);
        free(p);
    }
    assert_true(lost && kept);
    fill_sectors(fx, f, 4, 0, 4); /* written again: sound */
    OK(file_sync(f, &fx->err));
    uint64_t size = 0;
    unsigned char *p = survivor_content(fx, 0, "f", &size);
    assert_int_equal(p[0] + p[3 * SECTOR], 8);
    free(p);
    file_close(f);
}

static void a_cut_hits_the_nth_io_and_all_after_it(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 1);
    simdisk_cut_at(fx->disk, 2);
    fill_sectors(fx, f, 2, 0, 1);
    assert_false(simdisk_is_cut(fx->disk));
    expect(fx, file_write(f, "zz", 2, 0, &fx->err), ST_IO_ERROR);
    assert_true(simdisk_is_cut(fx->disk));
    expect(fx, file_sync(f, &fx->err), ST_IO_ERROR);
    char byte;
    expect(fx, file_read(f, &byte, 1, 0, &fx->err), ST_IO_ERROR);
    uint64_t size = 0;
    expect(fx, file_size(f, &fx->err, &size), ST_IO_ERROR);
    File *g = NULL;
    expect(fx, vfs_open(fx->vfs, "f", 0, &fx->err, &g), ST_IO_ERROR);
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        unsigned char *p = survivor_content(fx, seed, "f", &size);
        seen |= p[0] == 1 ? 1u : p[0] == 2 ? 2u : p[0] == 'z' ? 4u : 8u; /* the write under way may have made it */
        free(p);
    }
    assert_int_equal(seen, 7);
    file_close(f);
}

static void faults_hit_their_class_once_or_from_then_on(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 2);
    char buf[SECTOR];
    simdisk_fail_at(fx->disk, SIM_READS, 2, false, ST_IO_ERROR);
    OK(file_read(f, buf, 1, 0, &fx->err));
    fill_sectors(fx, f, 2, 0, 1);
    expect(fx, file_read(f, buf, 1, 0, &fx->err), ST_IO_ERROR);
    OK(file_read(f, buf, 1, 0, &fx->err));
    simdisk_fail_at(fx->disk, SIM_ALLOCS, 1, true, ST_DISK_FULL);
    expect(fx, file_allocate(f, 0, 100000, &fx->err), ST_DISK_FULL);
    expect(fx, file_truncate(f, 1, &fx->err), ST_DISK_FULL);
    OK(file_sync(f, &fx->err));
    simdisk_heal(fx->disk);
    OK(file_allocate(f, 0, 100000, &fx->err));
    assert_int_equal(simdisk_faults_fired(fx->disk), 3);
    file_close(f);
}

static void a_failed_write_may_have_written_some(void **state)
{
    Fixture *fx = *state;
    File *f = durable_file(fx, "f", 1, 32);
    static char buf[32 * SECTOR];
    bool some = false;
    for (int i = 0; i < 20; i++) {
        memset(buf, 2 + i, sizeof buf);
        simdisk_fail_at(fx->disk, SIM_WRITES, 1, false, ST_IO_ERROR);
        expect(fx, file_write(f, buf, sizeof buf, 0, &fx->err), ST_IO_ERROR);
        OK(file_read(f, buf, sizeof buf, 0, &fx->err));
        unsigned done = 0;
        for (size_t s = 0; s < 32; s++) {
            done += buf[s * SECTOR] == 2 + i;
        }
        some |= done > 0 && done < 32;
    }
    assert_true(some);
    file_close(f);
}

static void a_full_disk_refuses_what_needs_space_and_only_that(void **state)
{
    Fixture *fx = *state;
    simdisk_set_capacity(fx->disk, 10 * 4096);
    File *f = must_open(fx, "f", FILE_CREATE);
    OK(file_allocate(f, 0, 6 * 4096, &fx->err));
    assert_int_equal(simdisk_used_bytes(fx->disk), 6 * 4096);
    fill_sectors(fx, f, 1, 0, 6 * 8); /* into allocated space */
    assert_int_equal(simdisk_used_bytes(fx->disk), 6 * 4096);
    expect(fx, file_allocate(f, 0, 11 * 4096, &fx->err), ST_DISK_FULL);
    File *g = must_open(fx, "g", FILE_CREATE);
    fill_sectors(fx, g, 1, 0, 4 * 8);
    expect(fx, file_write(g, "x", 1, 4 * 4096, &fx->err), ST_DISK_FULL);
    fill_sectors(fx, g, 2, 0, 4 * 8); /* overwriting needs none */
    uint64_t left = 1;
    OK(vfs_free_bytes(fx->vfs, &fx->err, &left));
    assert_int_equal(left, 0);
    OK(file_punch(f, 0, 2 * 4096, &fx->err));
    assert_int_equal(simdisk_used_bytes(fx->disk), 8 * 4096);
    OK(file_truncate(g, 4096, &fx->err));
    assert_int_equal(simdisk_used_bytes(fx->disk), 5 * 4096);
    OK(vfs_unlink(fx->vfs, "f", &fx->err));
    assert_int_equal(simdisk_used_bytes(fx->disk), 5 * 4096); /* still open */
    file_close(f);
    assert_int_equal(simdisk_used_bytes(fx->disk), 4096);
    file_close(g);
}

static void corruption_is_durable(void **state)
{
    Fixture *fx = *state;
    file_close(durable_file(fx, "f", 1, 2));
    OK(simdisk_corrupt(fx->disk, "f", 600, 2, &fx->err));
    uint64_t size = 0;
    unsigned char *p = survivor_content(fx, 0, "f", &size);
    assert_int_equal(p[599], 1);
    assert_int_equal(p[600], 0xfe);
    assert_int_equal(p[601], 0xfe);
    assert_int_equal(p[602], 1);
    free(p);
    expect(fx, simdisk_corrupt(fx->disk, "none", 0, 1, &fx->err), ST_FILE_NOT_FOUND);
}

static void latency_is_virtual_under_the_scheduler(void *arg)
{
    Fixture *fx = arg;
    simdisk_set_latency(fx->disk, 10, 100, 1000);
    int64_t start = os_monotonic_us();
    File *f = must_open(fx, "f", FILE_CREATE);
    OK(file_write(f, "x", 1, 0, &fx->err));
    OK(file_sync(f, &fx->err));
    char c;
    OK(file_read(f, &c, 1, 0, &fx->err));
    file_close(f);
    fx->err.position = (int32_t)(os_monotonic_us() - start);
}

static void io_takes_the_time_it_is_told_to(void **state)
{
    Fixture *fx = *state;
    OK(sched_run(1, 1, latency_is_virtual_under_the_scheduler, fx, &fx->err, NULL));
    assert_int_equal(fx->err.position, 1110);
}

/*
 * One step of a random program on a few files. Returns false when the disk failed it (it was cut). Everything is drawn
 * before the disk is asked, so that the program is the same whatever the disk answers.
 */
static bool random_step(Vfs *v, Rng *rng)
{
    static char buf[24 * SECTOR];
    char path[3] = {(char)('a' + rng_below(rng, 4)), 0, 0};
    char other[3] = {(char)('a' + rng_below(rng, 4)), 0, 0};
    uint64_t kind = rng_below(rng, 12);
    uint64_t at = rng_below(rng, 100) * (rng_below(rng, 4) == 0 ? 100 : SECTOR);
    size_t len = rng_below(rng, sizeof buf);
    len = rng_below(rng, 2) == 0 ? len / SECTOR * SECTOR : len;
    memset(buf, (int)rng_below(rng, 255) + 1, sizeof buf);
    File *f = NULL;
    Status st = vfs_open(v, path, FILE_CREATE, NULL, &f);
    if (st != ST_OK) {
        return false;
    }
    switch (kind) {
    case 0: st = vfs_unlink(v, path, NULL); break;
    case 1: st = vfs_rename(v, path, other, NULL); break;
    case 2: st = vfs_sync_dir(v, "", NULL); break;
    case 3: st = file_truncate(f, at, NULL); break;
    case 4: st = file_allocate(f, at, len + 1, NULL); break;
    case 5: st = file_punch(f, at, len, NULL); break;
    case 6:
    case 7: st = file_sync(f, NULL); break;
    default: st = file_write(f, buf, len, at, NULL); break;
    }
    file_close(f);
    return st == ST_OK;
}

static void same_disks(Fixture *fx, SimDisk *a, SimDisk *b, uint64_t io, uint64_t seed)
{
    for (char name = 'a'; name < 'e'; name++) {
        char path[2] = {name, 0};
        uint64_t a_size = 0;
        uint64_t b_size = 0;
        unsigned char *pa = content_on(fx, a, path, &a_size);
        unsigned char *pb = content_on(fx, b, path, &b_size);
        if ((pa == NULL) != (pb == NULL) || a_size != b_size || (pa != NULL && memcmp(pa, pb, a_size) != 0)) {
            fail_msg("after I/O %llu, survive seed %llu, file %s", (unsigned long long)io, (unsigned long long)seed,
                     path);
        }
        free(pa);
        free(pb);
    }
}

/* A number for what the files of a disk hold. */
static uint64_t digest(Fixture *fx, SimDisk *d)
{
    uint64_t hash = 0;
    for (char name = 'a'; name < 'e'; name++) {
        char path[2] = {name, 0};
        uint64_t size = 0;
        unsigned char *p = content_on(fx, d, path, &size);
        hash = mix64(hash ^ (p == NULL ? UINT64_MAX : size));
        for (uint64_t i = 0; p != NULL && i < size; i++) {
            hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
        }
        free(p);
    }
    return hash;
}

/* The recorded run of a program, sampled at I/O n, equals a second run of it that was stopped after I/O n. */
static void a_recording_gives_every_cut_without_running_again(void **state)
{
    Fixture *fx = *state;
    enum { STEPS = 700 };
    OK(simdisk_record(fx->disk, true, &fx->err));
    Rng rng;
    rng_seed(&rng, 99);
    uint64_t io_after[STEPS];
    uint64_t digests[STEPS];
    for (int i = 0; i < STEPS; i++) {
        assert_true(random_step(fx->vfs, &rng));
        io_after[i] = simdisk_io_count(fx->disk);
    }
    SimDisk *replay = NULL;
    Vfs *v = NULL;
    OK(simdisk_new(&fx->budget, &fx->err, &replay));
    OK(simdisk_vfs(replay, &fx->err, &v));
    rng_seed(&rng, 99);
    for (int i = 0; i < STEPS; i++) {
        assert_true(random_step(v, &rng));
        for (uint64_t seed = 0; seed < 4; seed++) {
            SimDisk *a = NULL;
            SimDisk *b = NULL;
            uint64_t survive = seed == 3 ? UINT64_MAX : seed * 7919;
            OK(simdisk_survivor_at(fx->disk, io_after[i], survive, &fx->err, &a));
            OK(simdisk_survivor(replay, survive, &fx->err, &b));
            same_disks(fx, a, b, io_after[i], survive);
            digests[i] = digest(fx, a);
            simdisk_free(a);
            simdisk_free(b);
        }
    }
    /* Backwards and at random, through the checkpoints. */
    for (int k = 0; k < 300; k++) {
        SimDisk *a = NULL;
        int i = k < 100 ? STEPS - 1 - k : (int)rng_below(&rng, STEPS);
        OK(simdisk_survivor_at(fx->disk, io_after[i], UINT64_MAX, &fx->err, &a));
        assert_true(digest(fx, a) == digests[i]);
        simdisk_free(a);
    }
    vfs_free(v);
    simdisk_free(replay);
}

/* A cut at I/O n leaves what the recording says a cut after n leaves; a survivor with all effects is the visible disk. */
static void a_real_cut_agrees_with_the_recording(void **state)
{
    Fixture *fx = *state;
    enum { STEPS = 60 };
    OK(simdisk_record(fx->disk, true, &fx->err));
    Rng rng;
    rng_seed(&rng, 4);
    for (int i = 0; i < STEPS; i++) {
        assert_true(random_step(fx->vfs, &rng));
    }
    uint64_t total = simdisk_io_count(fx->disk);
    for (uint64_t n = 1; n <= total; n++) {
        SimDisk *d = NULL;
        Vfs *v = NULL;
        OK(simdisk_new(&fx->budget, &fx->err, &d));
        OK(simdisk_vfs(d, &fx->err, &v));
        simdisk_cut_at(d, n + 1);
        rng_seed(&rng, 4);
        while (random_step(v, &rng) && simdisk_io_count(d) <= total) {
        }
        vfs_free(v);
        SimDisk *a = NULL;
        SimDisk *b = NULL;
        OK(simdisk_survivor(d, 0, &fx->err, &a));
        OK(simdisk_survivor_at(fx->disk, n, 0, &fx->err, &b));
        same_disks(fx, a, b, n, 0);
        simdisk_free(a);
        simdisk_free(b);
        simdisk_free(d);
    }
}

static void all_effects_surviving_is_the_visible_disk(void **state)
{
    Fixture *fx = *state;
    Rng rng;
    rng_seed(&rng, 17);
    for (int i = 0; i < 400; i++) {
        assert_true(random_step(fx->vfs, &rng));
        SimDisk *d = NULL;
        OK(simdisk_survivor(fx->disk, UINT64_MAX, &fx->err, &d));
        same_disks(fx, d, fx->disk, simdisk_io_count(fx->disk), UINT64_MAX);
        simdisk_free(d);
    }
}

/* The budget of the disk fails at its n-th allocation; calls fail cleanly and nothing leaks. */
static void no_memory_for_the_disk_is_an_error_not_a_crash(void **state)
{
    (void)state;
    MemFault fault = {0};
    for (int64_t nth = 1;; nth += 1 + nth / 20) {
        Budget b;
        budget_init(&b, "disk", NULL, 0, 0);
        b.fault = &fault;
        atomic_store(&fault.fired, 0);
        atomic_store(&fault.countdown, nth);
        SimDisk *d = NULL;
        SimDisk *survivor = NULL;
        Vfs *v = NULL;
        Rng rng;
        rng_seed(&rng, 8);
        Status st = simdisk_new(&b, NULL, &d);
        st = st != ST_OK ? st : simdisk_record(d, true, NULL);
        st = st != ST_OK ? st : simdisk_vfs(d, NULL, &v);
        for (int i = 0; st == ST_OK && i < 100; i++) {
            random_step(v, &rng);
        }
        for (uint64_t io = 0; st == ST_OK && io <= simdisk_io_count(d); io += 20) {
            st = simdisk_survivor_at(d, io, io, NULL, &survivor);
            if (st == ST_OK) {
                simdisk_free(survivor);
            }
        }
        assert_true(st == ST_OK || st == ST_OUT_OF_MEMORY);
        vfs_free(v);
        simdisk_free(d);
        budget_done(&b);
        if (atomic_load(&fault.fired) == 0) {
            assert_true(nth > 100);
            break;
        }
    }
}

/* The figure that matters for "a cut after each I/O": survivors per second over a run on a file of 64 MiB. */
static void survivors_are_cheap(void **state)
{
    Fixture *fx = *state;
    enum { PAGE = 16384, PAGES = 4096, WRITES = 2000 };
    static char page[PAGE];
    OK(simdisk_record(fx->disk, true, &fx->err));
    File *f = must_open(fx, "data", FILE_CREATE);
    for (uint64_t i = 0; i < PAGES; i++) {
        OK(file_write(f, page, PAGE, i * PAGE, &fx->err));
    }
    OK(file_sync(f, &fx->err));
    OK(vfs_sync_dir(fx->vfs, "", &fx->err));
    uint64_t from = simdisk_io_count(fx->disk);
    Rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < WRITES; i++) {
        memset(page, i, PAGE);
        OK(file_write(f, page, PAGE, rng_below(&rng, PAGES) * PAGE, &fx->err));
        if (i % 50 == 49) {
            OK(file_sync(f, &fx->err));
        }
    }
    file_close(f);
    uint64_t to = simdisk_io_count(fx->disk);
    int64_t start = os_monotonic_us();
    for (uint64_t io = from; io <= to; io++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            SimDisk *d = NULL;
            OK(simdisk_survivor_at(fx->disk, io, seed, &fx->err, &d));
            simdisk_free(d);
        }
    }
    int64_t took = os_monotonic_us() - start;
    uint64_t survivors = 3 * (to - from + 1);
    print_message("# %llu survivors in %lld ms, %lld us each\n", (unsigned long long)survivors, (long long)took / 1000,
                  (long long)took / (long long)survivors);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_synced_survives_every_cut),
        TEST(of_unsynced_sectors_any_version_can_survive_and_no_sector_is_torn),
        TEST(the_same_seed_gives_the_same_survivor),
        TEST(sizes_survive_apart_from_data),
        TEST(a_truncation_hides_old_data_for_good_once_it_survives),
        TEST(what_was_cut_off_never_comes_back_by_extending),
        TEST(names_need_their_directorys_sync),
        TEST(a_directory_that_is_never_synced_does_not_pile_up),
        TEST(a_rename_is_atomic_in_a_directory_and_two_steps_between_two),
        TEST(a_failed_sync_is_not_made_good_by_the_next),
        TEST(a_cut_hits_the_nth_io_and_all_after_it),
        TEST(faults_hit_their_class_once_or_from_then_on),
        TEST(a_failed_write_may_have_written_some),
        TEST(a_full_disk_refuses_what_needs_space_and_only_that),
        TEST(corruption_is_durable),
        TEST(io_takes_the_time_it_is_told_to),
        TEST(a_recording_gives_every_cut_without_running_again),
        TEST(a_real_cut_agrees_with_the_recording),
        TEST(all_effects_surviving_is_the_visible_disk),
        TEST(no_memory_for_the_disk_is_an_error_not_a_crash),
        TEST(survivors_are_cheap),
    };
    return cmocka_run_group_tests_name("simdisk", tests, NULL, NULL);
}
