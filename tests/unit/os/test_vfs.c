/*
 * The contract of os/file.h, on real files and on the simulated disk alike; batches over every backend; and what only
 * real files have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "os/file.h"
#include "os/sched.h"
#include "os/simdisk.h"
#include "os/thread.h"
#include "os/vfs_int.h"

typedef struct Fixture {
    Budget budget;
    SimDisk *disk; /* NULL: real files */
    char dir[64];
    Vfs *vfs;
    Error err;
} Fixture;

static int setup_real(void **state)
{
    Fixture *fx = calloc(1, sizeof *fx);
    budget_init(&fx->budget, "test", NULL, 0, 0);
    err_clear(&fx->err);
    strcpy(fx->dir, "/tmp/rdb-test-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    assert_int_equal(vfs_open_dir(&fx->budget, fx->dir, false, &fx->err, &fx->vfs), ST_OK);
    *state = fx;
    return 0;
}

static int setup_sim(void **state)
{
    Fixture *fx = calloc(1, sizeof *fx);
    budget_init(&fx->budget, "test", NULL, 0, 0);
    err_clear(&fx->err);
    assert_int_equal(simdisk_new(&fx->budget, &fx->err, &fx->disk), ST_OK);
    assert_int_equal(simdisk_vfs(fx->disk, &fx->err, &fx->vfs), ST_OK);
    *state = fx;
    return 0;
}

static int remove_entry(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void)sb;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    Fixture *fx = *state;
    vfs_free(fx->vfs);
    simdisk_free(fx->disk);
    if (fx->disk == NULL) {
        nftw(fx->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
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

/* Expects a status with a message that names the path, then clears the error. */
static void expect(Fixture *fx, Status got, Status wanted, const char *path)
{
    assert_int_equal(got, wanted);
    assert_int_equal(fx->err.status, wanted);
    if (path != NULL) {
        assert_non_null(strstr(fx->err.message, path));
    }
    err_clear(&fx->err);
}

static File *must_open(Fixture *fx, const char *path, uint32_t flags)
{
    File *f = NULL;
    OK(vfs_open(fx->vfs, path, flags, &fx->err, &f));
    return f;
}

static void files_are_created_opened_and_found_missing(void **state)
{
    Fixture *fx = *state;
    File *f = NULL;
    expect(fx, vfs_open(fx->vfs, "a", 0, &fx->err, &f), ST_FILE_NOT_FOUND, "a");
    expect(fx, vfs_open(fx->vfs, "no/a", FILE_CREATE, &fx->err, &f), ST_FILE_NOT_FOUND, "no/a");
    f = must_open(fx, "a", FILE_CREATE | FILE_EXCL);
    assert_string_equal(file_path(f), "a");
    file_close(f);
    expect(fx, vfs_open(fx->vfs, "a", FILE_CREATE | FILE_EXCL, &fx->err, &f), ST_FILE_EXISTS, "a");
    f = must_open(fx, "a", FILE_CREATE);
    file_close(f);
    f = must_open(fx, "a", FILE_READONLY);
    file_close(f);
    OK(vfs_mkdir(fx->vfs, "d", &fx->err));
    OK(vfs_mkdir(fx->vfs, "d", &fx->err));
    f = must_open(fx, "d/b", FILE_CREATE);
    file_close(f);
    bool exists = false;
    OK(vfs_exists(fx->vfs, "d/b", &fx->err, &exists));
    assert_true(exists);
    OK(vfs_exists(fx->vfs, "d/c", &fx->err, &exists));
    assert_false(exists);
    expect(fx, vfs_open(fx->vfs, "d", 0, &fx->err, &f), ST_IO_ERROR, "d");
    expect(fx, vfs_mkdir(fx->vfs, "a", &fx->err), ST_IO_ERROR, "a");
}

static void paths_stay_below_the_root(void **state)
{
    Fixture *fx = *state;
    static const char *const BAD[] = {"", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        File *f = NULL;
        expect(fx, vfs_open(fx->vfs, BAD[i], FILE_CREATE, &fx->err, &f), ST_INTERNAL, NULL);
    }
}

static Status count_name(void *arg, const char *name)
{
    unsigned *seen = arg;
    assert_true(strlen(name) == 1 && name[0] >= 'a' && name[0] <= 'z');
    *seen |= 1u << (name[0] - 'a');
    return *seen == 0x7u ? ST_END : ST_OK;
}

static void directories_list_rename_and_remove(void **state)
{
    Fixture *fx = *state;
    OK(vfs_mkdir(fx->vfs, "d", &fx->err));
    file_close(must_open(fx, "d/a", FILE_CREATE));
    file_close(must_open(fx, "d/b", FILE_CREATE));
    unsigned seen = 0;
    OK(vfs_list(fx->vfs, "d", count_name, &seen, &fx->err));
    assert_int_equal(seen, 0x3);
    File *f = must_open(fx, "d/a", 0);
    OK(file_write(f, "A", 1, 0, &fx->err));
    OK(vfs_rename(fx->vfs, "d/a", "d/b", &fx->err)); /* replaces */
    OK(vfs_rename(fx->vfs, "d/b", "c", &fx->err));
    seen = 0;
    OK(vfs_list(fx->vfs, "d", count_name, &seen, &fx->err));
    assert_int_equal(seen, 0);
    OK(vfs_unlink(fx->vfs, "c", &fx->err));
    char c = 0;
    OK(file_read(f, &c, 1, 0, &fx->err)); /* an unlinked file lives while it is open */
    assert_int_equal(c, 'A');
    file_close(f);
    expect(fx, vfs_unlink(fx->vfs, "c", &fx->err), ST_FILE_NOT_FOUND, "c");
    expect(fx, vfs_rename(fx->vfs, "c", "e", &fx->err), ST_FILE_NOT_FOUND, "c");
    expect(fx, vfs_list(fx->vfs, "x", count_name, &seen, &fx->err), ST_FILE_NOT_FOUND, "x");
    expect(fx, vfs_sync_dir(fx->vfs, "x", &fx->err), ST_FILE_NOT_FOUND, "x");
    OK(vfs_sync_dir(fx->vfs, "d", &fx->err));
    OK(vfs_sync_dir(fx->vfs, "", &fx->err));
    file_close(must_open(fx, "d/a", FILE_CREATE));
    file_close(must_open(fx, "d/b", FILE_CREATE));
    file_close(must_open(fx, "d/c", FILE_CREATE));
    seen = 0;
    assert_int_equal(vfs_list(fx->vfs, "d", count_name, &seen, &fx->err),
                     ST_END); /* the callback's stop comes through */
}

/* Random reads, writes, truncations, allocations and punches against an array. */
static void a_file_does_what_an_array_does(void **state)
{
    Fixture *fx = *state;
    enum { MAX = 40000 };
    static unsigned char model[MAX];
    static unsigned char buf[MAX];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Rng rng;
        rng_seed(&rng, seed);
        memset(model, 0, sizeof model);
        size_t size = 0;
        File *f = must_open(fx, "f", FILE_CREATE);
        OK(file_truncate(f, 0, &fx->err));
        for (int i = 0; i < 500; i++) {
            size_t offset = rng_below(&rng, MAX);
            size_t len = 1 + rng_below(&rng, rng_below(&rng, 2) == 0 ? 100 : 9000);
            len = len < MAX - offset ? len : MAX - offset;
            size_t end = offset + len;
            uint64_t got = 0;
            switch (rng_below(&rng, 7)) {
            case 0:
            case 1:
                memset(buf, i + 1, len);
                OK(file_write(f, buf, len, offset, &fx->err));
                memset(model + offset, i + 1, len);
                size = end > size ? end : size;
                break;
            case 2:
                OK(file_truncate(f, offset, &fx->err));
                if (offset < size) {
                    memset(model + offset, 0, size - offset);
                }
                size = offset;
                break;
            case 3:
                OK(file_allocate(f, offset, len, &fx->err));
                size = end > size ? end : size;
                break;
            case 4:
                OK(file_punch(f, offset, len, &fx->err));
                memset(model + offset, 0, len);
                break;
            case 5: OK(file_sync(f, &fx->err)); break;
            default:
                assert_int_equal(file_read(f, buf, len, offset, &fx->err), end > size ? ST_END : ST_OK);
                assert_true(end > size || memcmp(buf, model + offset, len) == 0);
                break;
            }
            OK(file_size(f, &fx->err, &got));
            if (got != size) {
                fail_msg("seed %llu step %d: size %llu, model %zu", (unsigned long long)seed, i,
                         (unsigned long long)got, size);
            }
        }
        if (size > 0) {
            OK(file_read(f, buf, size, 0, &fx->err));
            assert_memory_equal(buf, model, size);
        }
        file_close(f);
    }
}

static void direct_files_state_their_alignment_and_work(void **state)
{
    Fixture *fx = *state;
    static _Alignas(FILE_ALIGN_MAX) char out[16384];
    static _Alignas(FILE_ALIGN_MAX) char in[16384];
    File *f = must_open(fx, "direct", FILE_CREATE | FILE_DIRECT);
    uint32_t align = file_alignment(f);
    assert_true(align >= 1 && align <= FILE_ALIGN_MAX && (align & (align - 1)) == 0);
    assert_int_equal(file_is_direct(f), align > 1);
    memset(out, 'd', sizeof out);
    OK(file_write(f, out, sizeof out, 0, &fx->err));
    OK(file_write(f, out, align == 1 ? 512 : align, sizeof out, &fx->err));
    OK(file_sync(f, &fx->err));
    OK(file_read(f, in, sizeof in, 0, &fx->err));
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(file_read(f, in, sizeof in, 8192, &fx->err), ST_END);
    OK(file_allocate(f, 0, 1 << 20, &fx->err));
    OK(file_read(f, in, 4096, (1 << 20) - 4096, &fx->err));
    assert_int_equal(in[0] | in[4095], 0);
    OK(file_read(f, in, sizeof in, 0, &fx->err));
    assert_memory_equal(in, out, sizeof in); /* allocation leaves data alone */
    file_close(f);
    f = must_open(fx, "direct", 0);
    OK(file_truncate(f, 5000, &fx->err));
    File *ragged = must_open(fx, "direct", FILE_DIRECT | FILE_READONLY);
    assert_int_equal(file_read(ragged, in, 8192, 0, &fx->err), ST_END); /* the end lies inside a block */
    OK(file_read(ragged, in, 4096, 0, &fx->err));
    file_close(ragged);
    assert_false(file_is_direct(f));
    assert_int_equal(file_alignment(f), 1);
    file_close(f);
}

/* The way of file systems without fallocate. */
static void allocation_by_writing_fills_holes_and_leaves_data_alone(void **state)
{
    Fixture *fx = *state;
    enum { SIZE = 1 << 20, MORE = 3 << 20 };
    static char buf[MORE];
    File *f = must_open(fx, "sparse", FILE_CREATE);
    memset(buf, 'x', 8192);
    OK(file_write(f, buf, 8192, 256 * 1024, &fx->err));
    OK(file_write(f, buf, 8192, 700 * 1024, &fx->err));
    OK(file_truncate(f, SIZE, &fx->err));
    assert_int_equal(io_fill_by_writing(f->fd, 100, 300 * 1024), 0);
    assert_int_equal(io_fill_by_writing(f->fd, 600 * 1024, MORE), 0);
    assert_int_equal(io_fill_by_writing(f->fd, 5, 6), 0); /* inside: the size stays */
    uint64_t size = 0;
    OK(file_size(f, &fx->err, &size));
    assert_int_equal(size, MORE);
    OK(file_read(f, buf, MORE, 0, &fx->err));
    for (size_t i = 0; i < MORE; i++) {
        bool is_data = (i >= 256 * 1024 && i < 264 * 1024) || (i >= 700 * 1024 && i < 708 * 1024);
        assert_int_equal(buf[i], is_data ? 'x' : 0);
    }
    assert_int_equal(lseek(f->fd, 600 * 1024, SEEK_HOLE), MORE);
    assert_true(lseek(f->fd, 0, SEEK_HOLE) >= 300 * 1024);
    file_close(f);
}

static void a_lock_keeps_a_second_opener_out(void **state)
{
    Fixture *fx = *state;
    File *lock = NULL;
    File *second = NULL;
    OK(vfs_lock(fx->vfs, "lock", &fx->err, &lock));
    assert_int_equal(vfs_lock(fx->vfs, "lock", &fx->err, &second), ST_OBJECT_IN_USE);
    if (fx->disk == NULL) {
        char text[64];
        snprintf(text, sizeof text, "Process id %ld.", (long)getpid());
        assert_string_equal(fx->err.detail, text);
        err_clear(&fx->err);
        Vfs *other = NULL;
        OK(vfs_open_dir(&fx->budget, fx->dir, true, &fx->err, &other));
        expect(fx, vfs_lock(other, "lock", &fx->err, &second), ST_OBJECT_IN_USE, "lock");
        vfs_free(other);
    }
    err_clear(&fx->err);
    vfs_unlock(lock);
    OK(vfs_lock(fx->vfs, "lock", &fx->err, &lock));
    vfs_unlock(lock);
}

static void free_space_is_told(void **state)
{
    Fixture *fx = *state;
    uint64_t bytes = 0;
    OK(vfs_free_bytes(fx->vfs, &fx->err, &bytes));
    assert_true(bytes > 0);
}

/* Writes blocks in random order through a queue, reads them back through it, and hits the end of the file. */
static void exercise_queue(Fixture *fx, const char *backend)
{
    enum { BLOCKS = 200, BLOCK = 4096, DEPTH = 7 };
    static _Alignas(FILE_ALIGN_MAX) char data[BLOCKS][BLOCK];
    static IoReq reqs[BLOCKS];
    IoQueue *q = NULL;
    Rng rng;
    rng_seed(&rng, 11);
    OK(ioq_new(fx->vfs, DEPTH, &fx->err, &q));
    if (backend != NULL) {
        assert_string_equal(ioq_backend(q), backend);
    }
    assert_null(ioq_next(q, true));
    File *f = must_open(fx, "queue", FILE_CREATE | FILE_DIRECT);
    for (int pass = 0; pass < 2; pass++) {
        unsigned order[BLOCKS];
        unsigned back = 0;
        for (unsigned i = 0; i < BLOCKS; i++) {
            unsigned k = (unsigned)rng_below(&rng, i + 1);
            order[i] = order[k];
            order[k] = i;
        }
        for (unsigned i = 0; i < BLOCKS; i++) {
            unsigned b = order[i];
            memset(data[b], pass == 0 ? (int)b + 1 : 0, BLOCK);
            reqs[b] = (IoReq){.op = pass == 0 ? IO_WRITE : IO_READ,
                              .file = f,
                              .buf = data[b],
                              .len = BLOCK,
                              .offset = (uint64_t)b * BLOCK,
                              .user = data[b]};
            ioq_submit(q, &reqs[b]);
            while (rng_below(&rng, 3) == 0) {
                IoReq *done = ioq_next(q, false);
                if (done == NULL) {
                    break;
                }
                assert_int_equal(done->status, ST_OK);
                back++;
            }
        }
        for (IoReq *done = ioq_next(q, true); done != NULL; done = ioq_next(q, true)) {
            assert_int_equal(done->status, ST_OK);
            assert_ptr_equal(done->user, done->buf);
            back++;
        }
        assert_int_equal(back, BLOCKS);
        for (unsigned b = 0; b < BLOCKS; b++) {
            assert_int_equal((unsigned char)data[b][0], (b + 1) & 0xff);
            assert_int_equal((unsigned char)data[b][BLOCK - 1], (b + 1) & 0xff);
        }
    }
    IoReq sync = {.op = IO_SYNC, .file = f};
    ioq_submit(q, &sync);
    assert_ptr_equal(ioq_next(q, true), &sync);
    assert_int_equal(sync.status, ST_OK);
    IoReq past = {.op = IO_READ, .file = f, .buf = data[0], .len = BLOCK, .offset = BLOCKS * BLOCK};
    ioq_submit(q, &past);
    assert_ptr_equal(ioq_next(q, true), &past);
    assert_int_equal(ioq_error(&past, &fx->err), ST_END);
    ioq_submit(q, &sync); /* left in flight: ioq_free waits */
    ioq_free(q);
    file_close(f);
}

static void a_queue_transfers_all(void **state)
{
    Fixture *fx = *state;
    exercise_queue(fx, fx->disk != NULL ? "inline" : fx->vfs->has_uring ? "io_uring" : "threads");
    if (fx->disk == NULL) {
        fx->vfs->has_uring = false;
        exercise_queue(fx, "threads");
    }
}

static void run_scheduled_queue(void *arg)
{
    exercise_queue(arg, "inline");
}

static void a_scheduled_queue_is_inline(void **state)
{
    Fixture *fx = *state;
    OK(sched_run(5, 1, run_scheduled_queue, fx, &fx->err, NULL));
}

static void a_failed_request_says_what_failed(void **state)
{
    Fixture *fx = *state;
    File *f = must_open(fx, "f", FILE_CREATE);
    IoQueue *q = NULL;
    OK(ioq_new(fx->vfs, 4, &fx->err, &q));
    simdisk_fail_at(fx->disk, SIM_WRITES, 1, false, ST_DISK_FULL);
    char byte = 0;
    IoReq req = {.op = IO_WRITE, .file = f, .buf = &byte, .len = 1, .offset = 77};
    ioq_submit(q, &req);
    assert_ptr_equal(ioq_next(q, false), &req);
    assert_int_equal(ioq_error(&req, &fx->err), ST_DISK_FULL);
    assert_string_equal(fx->err.message, "could not write file \"simdisk:/f\": No space left on device");
    assert_string_equal(fx->err.detail, "1 bytes at offset 77.");
    ioq_free(q);
    file_close(f);
}

/* Every allocation of a session with the file layer fails once; nothing leaks and nothing is half open. */
static void no_memory_is_survived_everywhere(void **state)
{
    Fixture *fx = *state;
    MemFault fault = {0};
    Budget b;
    for (int64_t nth = 1;; nth++) {
        budget_init(&b, "loop", NULL, 0, 0);
        b.fault = &fault;
        atomic_store(&fault.countdown, nth);
        atomic_store(&fault.fired, 0);
        Vfs *v = NULL;
        File *f = NULL;
        File *lock = NULL;
        IoQueue *q = NULL;
        Error err;
        err_clear(&err);
        Status st = vfs_open_dir(&b, fx->dir, true, &err, &v);
        st = st != ST_OK ? st : vfs_lock(v, "lock", &err, &lock);
        st = st != ST_OK ? st : vfs_open(v, "f", FILE_CREATE | FILE_DIRECT, &err, &f);
        st = st != ST_OK ? st : ioq_new(v, 4, &err, &q);
        if (v != NULL && st == ST_OK) {
            v->has_uring = !v->has_uring;
            ioq_free(q);
            q = NULL;
            st = ioq_new(v, 4, &err, &q);
        }
        assert_true(st == ST_OK || (st == ST_OUT_OF_MEMORY && err.status == st));
        ioq_free(q);
        file_close(f);
        vfs_unlock(lock);
        vfs_free(v);
        budget_done(&b);
        if (atomic_load(&fault.fired) == 0) {
            assert_int_equal(st, ST_OK);
            assert_true(nth > 5);
            break;
        }
    }
}

#define BOTH(test)                                                                                                     \
    {"real: " #test, test, setup_real, teardown, NULL},                                                                \
    {                                                                                                                  \
        "simulated: " #test, test, setup_sim, teardown, NULL                                                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(files_are_created_opened_and_found_missing),
        BOTH(paths_stay_below_the_root),
        BOTH(directories_list_rename_and_remove),
        BOTH(a_file_does_what_an_array_does),
        BOTH(direct_files_state_their_alignment_and_work),
        BOTH(a_lock_keeps_a_second_opener_out),
        BOTH(free_space_is_told),
        BOTH(a_queue_transfers_all),
        BOTH(a_scheduled_queue_is_inline),
        cmocka_unit_test_setup_teardown(a_failed_request_says_what_failed, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(allocation_by_writing_fills_holes_and_leaves_data_alone, setup_real, teardown),
        cmocka_unit_test_setup_teardown(no_memory_is_survived_everywhere, setup_real, teardown),
    };
    return cmocka_run_group_tests_name("vfs", tests, NULL, NULL);
}
