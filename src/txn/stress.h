/*
 * txn/stress.h: random transactions checked by a model, on any Vfs: the gate of this module and `rustdb stress`.
 *
 * Key idea: the engine's own commit timestamps order everything. A hook under the commit lock hands each committed write set to a
 * model in commit order; so what a snapshot must see is known exactly, and every scan, index scan and fetch of the workload is
 * compared with the model at its snapshot (own writes laid over). After a crash the newest commit found names the
 * prefix of commits that must stand in the tables: all of it and nothing else, and not less than was acknowledged.
 *
 * Life: stress_new; stress_open; any of stress_run, stress_verify; stress_close; open again (another disk, after a cut) and
 * so on; stress_free. Whatever is found wrong goes to the sink's `fail`, which must not return.
 */
#ifndef RDB_TXN_STRESS_H
#define RDB_TXN_STRESS_H

#include "txn/txn.h"

typedef struct Stress Stress;

typedef struct StressConfig {
    uint64_t seed;
    unsigned threads;
    unsigned txns;     /* per thread and run */
    unsigned tables;   /* at a time, 1..STRESS_TABLES_MAX */
    unsigned keys;     /* unique keys of a table: about as many rows */
    unsigned ddl;      /* chance of a transaction that changes tables, in 1/1000 */
    bool long_values;  /* some go to overflow chains of several pages */
    bool faults;       /* errors of memory and disk are expected: the transaction is given up */
    bool small_chunks; /* of undo: many of them, so that some are spilled */
    bool cross_check;  /* optimistic index look-ups are repeated under latches */
    StoreConfig store;
    TxnConfig txn;
} StressConfig;
enum { STRESS_TABLES_MAX = 8 };

/* A small workload drawn from the seed: pool, segments, threads and the rest vary. */
void stress_config(uint64_t seed, StressConfig *out);

typedef struct StressSink {
    void *arg;
    void (*fail)(void *arg, const char *text); /* does not return */
    /* A clock for acknowledgements: they are noted with its value (NULL = 0). I/O numbers of a simulated disk. */
    uint64_t (*now)(void *arg);
} StressSink;

/* Memory of the model is charged to a budget of its own: the model is not what is tested. NULL: no memory. */
Stress *stress_new(const StressConfig *config, const StressSink *sink);
void stress_free(Stress *s);
StressConfig *stress_settings(Stress *s); /* may be changed while closed */

/*
 * Opens the system in `vfs`, with `create` a new one. Otherwise what recovery found is compared with the model (`acknowledged`:
 * the newest commit that must be there, from stress_acknowledged). Statuses: those of txn_open and of the reads after it.
 */
STATUS stress_open(Stress *s, Vfs *vfs, Budget *budget, Log *log, bool create, uint64_t acknowledged);
void stress_close(Stress *s, bool checkpoint);
/* Runs the workload on its threads. Errors that follow from a cut, or faults that are expected, end the work early. */
void stress_run(Stress *s);
/* Purges all, then proves: contents, each index entry its row and the reverse, pages, extents, nothing left over. */
STATUS stress_verify(Stress *s);
/* After stress_open on a disk that was cut: what was committed beyond what it found never happened. */
void stress_cut(Stress *s);

/* The newest commit acknowledged to a client at or before a time of the sink's clock. */
uint64_t stress_acknowledged(Stress *s, uint64_t until);
bool stress_stopped(const Stress *s); /* did an I/O error end the run? */
TxnSystem *stress_system(Stress *s); /* NULL while closed */

typedef struct StressStats {
    uint64_t commits, aborts, reads, rows_compared, conflicts, deadlocks, unique_violations, retries, moved, ddl, given_up, spilled;
} StressStats;
void stress_stats(const Stress *s, StressStats *out);

#endif
