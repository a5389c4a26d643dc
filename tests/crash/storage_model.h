/*
 * A workload over storage, and a model that knows what must be found after a stop at any point.
 *
 * Several threads change pages (mostly two in one record), add and give back pages, create and drop objects, wait for
 * durability, checkpoint. Each change is noted with its LSN while its pages are latched. Because a recovered store says
 * how far its log reached (wal_end right after opening), what must be found is exact: every page in the state after the
 * last of its changes at or below that LSN, nothing of the later ones; and the LSN must not lie below anything that
 * was acknowledged as durable before the stop.
 *
 * Page changes are logged with the change count they expect, and their redo function refuses any other: a page that recovery
 * takes from the wrong state fails loudly.
 */
#ifndef RDB_TESTS_STORAGE_MODEL_H
#define RDB_TESTS_STORAGE_MODEL_H

#include "os/simdisk.h"
#include "storage/storage.h"

typedef struct Model Model;

typedef struct WorkConfig {
    uint64_t seed;
    unsigned threads;   /* 0: everything on the caller's thread, no background threads */
    unsigned ops;       /* per thread */
    unsigned drops;     /* chance of dropping an object, in 1/1000 of the operations */
    bool faults;        /* errors are expected */
    bool clean_close;   /* with a checkpoint */
    size_t pool_frames; /* 0 = 64 */
} WorkConfig;

Model *model_new(void);
void model_free(Model *m);

/*
 * Opens (or creates) the store on the disk, works, closes. Errors that follow from a cut or an expected fault end the work or
 * are passed over; others abort with the seed. `budget` must be a root without charges; leaks abort.
 */
void model_work(Model *m, SimDisk *disk, Budget *budget, const WorkConfig *config);

typedef struct Recovered {
    uint64_t end; /* LSN at which the log was found to end */
    uint64_t ios; /* I/Os on the disk when the store was open; later ones are the verification's own */
} Recovered;

/* ST_OK or what store_open said. What it finds must be what the model says of a stop after I/O number `io`; aborts if not. */
Status model_verify(Model *m, SimDisk *disk, uint64_t io, Recovered *out);

/* Opens and closes the store, for what goes wrong meanwhile. */
Status model_try_open(Model *m, SimDisk *disk, Budget *budget);

/* The store was cut off and found (verified) to end at `end`: forgets what is beyond. */
void model_cut(Model *m, uint64_t end);

uint64_t model_acknowledged(Model *m, uint64_t io); /* the highest LSN acknowledged by then */
uint64_t model_changes(const Model *m);

/* What is being tried, printed when something is wrong. */
void model_doing(const char *fmt, ...) PRINTF_LIKE(1, 2);
_Noreturn void model_die(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
