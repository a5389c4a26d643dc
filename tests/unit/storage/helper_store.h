/*
 * What storage's unit tests share: a store on a simulated disk (or real files), test pages of 8-byte cells, and short names
 * for common steps. A step that fails prints its error and aborts.
 */
#ifndef RDB_TESTS_HELPER_STORE_H
#define RDB_TESTS_HELPER_STORE_H

#include "os/simdisk.h"
#include "storage/storage_int.h"

enum { TEST_REDO = 60, TEST_WAL = 100, TEST_CELLS = 100 };

typedef struct Fixture {
    Budget disk_budget; /* the disk's own memory: faults and leaks of the store are counted apart */
    Budget root;
    Error err;
    Ctx cx;
    SimDisk *disk; /* NULL on real files */
    Vfs *vfs;
    Store *store;
    StoreConfig config;
    StoreHooks hooks; /* for the next opening */
    char dir[64];
} Fixture;

/* cmocka setups and teardown. Config: 64 frames, ring and segments of 64 kB, no background threads. */
int setup_sim(void **state);
int setup_real(void **state);
int teardown(void **state);

void step_failed(const Error *err, const char *what);
#define OK(f, call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != ST_OK) {                                                                                         \
            step_failed(&(f)->err, #call);                                                                             \
        }                                                                                                              \
    } while (0)
/* The step must fail so; the error is cleared. */
#define FAILS(f, status, call)                                                                                         \
    do {                                                                                                               \
        assert_int_equal((call), (status));                                                                            \
        err_clear(&(f)->err);                                                                                          \
    } while (0)

STATUS try_open(Fixture *f, bool create);
void open_store(Fixture *f, bool create);
void close_store(Fixture *f, bool checkpoint);
/* Closes without a checkpoint and goes on with what a power cut leaves (simulated disk); the log is made durable first. */
void cut_power(Fixture *f, uint64_t survive_seed);

ObjectRef make_object(Fixture *f);
StoreObject *open_object(Fixture *f, ObjectRef ref);
uint32_t add_page(Fixture *f, StoreObject *o);
STATUS try_set_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell, uint64_t value);
void set_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell, uint64_t value);
uint64_t get_cell(Fixture *f, StoreObject *o, uint32_t ordinal, uint32_t cell);
/* The verifier finds no problem and so many objects. */
void check_clean(Fixture *f, uint64_t objects);
void free_object(Fixture *f, ObjectRef ref);

#endif
