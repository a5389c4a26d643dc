/*
 * txn/stress_int.h: what the files of the stress workload share: rows, the model, tables, workers.
 */
#ifndef RDB_TXN_STRESS_INT_H
#define RDB_TXN_STRESS_INT_H

#include "base/rng.h"
#include "txn/stress.h"
#include "txn/txn_int.h"

/* ---- rows ---- */

enum { COL_UID, COL_A, COL_B, COL_C, COL_S, COL_D, COL_T, STRESS_COLUMNS, STRESS_LAYOUTS = 3, LAYOUT_FIRST = 5 };
enum { STRESS_D_FILL = 77 };

/*
 * A row's content. Strings are made of a seed and a length, so that a row is small and any byte of it can be checked. NULLs are
 * bits by column, and their fields zero: rows compare by memcmp. Columns that the table's layout lacks have the fill.
 */
typedef struct StressRow {
    uint64_t uid; /* names the row for ever, whatever becomes of its TID */
    uint64_t a;   /* unique */
    int64_t c;
    uint64_t d;
    uint32_t b;
    uint32_t s_seed, s_len, t_seed, t_len;
    uint32_t nulls;
} StressRow;
STATIC_ASSERT(sizeof(StressRow) == 56, "no padding: rows compare by memcmp");

static inline bool row_null(const StressRow *r, unsigned column) { return (r->nulls >> column & 1) != 0; }
static inline bool row_eq(const StressRow *a, const StressRow *b) { return memcmp(a, b, sizeof *a) == 0; }

const HeapShape *stress_shape(unsigned n_layouts);
const HeapLayout *stress_layout(unsigned n_layouts);
/* Strings go to the arena. false: no memory. */
MUST_CHECK bool row_values(const StressRow *r, Arena *arena, HeapValue *out_values);
/* The bytes' seed; false: they are not what any seed gives. */
MUST_CHECK bool string_seed(const char *p, uint32_t len, uint32_t *out_seed);

enum { STRESS_INDEXES = 3, STRESS_KEY_MAX = 400 };
enum { INDEX_A, INDEX_B, INDEX_C }; /* unique on a; on b with NULLs and long keys; on c, comes and goes */
BTreeBytes row_key(const StressRow *r, unsigned index, uint8_t *buf);

/* ---- the model ---- */

/* One change in a transaction, in the order made. */
typedef struct StressWrite {
    uint64_t table; /* object id */
    StressRow row;
    bool deleted;
    bool moved;    /* insert, delete or change of place: conflicts with key-share locks */
    uint64_t base; /* commit timestamp of the version it replaces; 0: an own one, or none */
    uint32_t command;
} StressWrite;

/* A commit, made ready before and linked in under the commit lock. */
typedef struct StressCommit {
    struct Model *model;
    _Atomic(struct StressCommit *) next;
    uint64_t ts;
    uint64_t lsn;
    size_t n;
    StressWrite writes[];
} StressCommit;

typedef struct ModelVersion {
    struct ModelVersion *older;
    uint64_t ts;
    uint64_t lsn;
    bool deleted;
    bool moved;
    StressRow row;
} ModelVersion;

typedef struct ModelRow {
    uint64_t uid;
    ModelVersion *newest;
    uint64_t mark; /* of the comparison that met it last */
} ModelRow;

typedef struct ModelTable {
    uint64_t id;
    U64Map by_uid; /* uid -> ModelRow */
    VEC(ModelRow *) rows;
    U64Map live_a; /* a -> uid of the newest state */
} ModelTable;

typedef struct Model {
    Stress *stress;
    Budget budget;
    Mutex mutex; /* all below but the tail of the list */
    U64Map tables;
    uint64_t marks;
    StressCommit *first; /* a sentinel */
    StressCommit *applied;
    _Atomic(StressCommit *) last; /* written under the engine's commit lock */
    struct {
        uint64_t when, ts;
    } *acks;
    size_t n_acks, cap_acks;
} Model;

Status model_init(Model *m, Stress *s);
void model_done(Model *m);
void *model_alloc(Model *m, size_t bytes); /* never NULL: no memory for the model ends the run */
StressCommit *model_commit_new(Model *m, const StressWrite *writes, size_t n);
void model_commit_drop(Model *m, StressCommit *c);
void model_commit_hook(void *note, uint64_t ts, Lsn end); /* note: StressCommit */
/* Applies all commits linked in so far. Everything below: between model_lock and model_unlock. */
void model_lock(Model *m);
void model_unlock(Model *m);
ModelTable *model_table(Model *m, uint64_t id, bool create);
ModelRow *model_row(ModelTable *t, uint64_t uid);
/* The version as of a timestamp, deleted ones too; NULL: none yet. */
const ModelVersion *model_version(const ModelRow *r, uint64_t ts);
void model_ack(Model *m, uint64_t when, uint64_t ts);
/* Forgets what was committed after ts. */
void model_cut(Model *m, uint64_t ts);

/* ---- tables ---- */

typedef struct CatalogEntry {
    StressRow row;
    Tid tid;
} CatalogEntry;

typedef struct StressIndex {
    BTreeRef ref; /* object id 0: none */
    BTree *tree;
    const StressCommit *made_by; /* readers with an older snapshot leave it alone; NULL: since ever */
    bool own;                    /* made by the transaction at hand */
    CatalogEntry entry;
} StressIndex;

/* A table as of some commit; what changes it makes a new one. Reference-counted: by its slot, transactions and purge hooks. */
typedef struct StressTable {
    _Atomic uint32_t refs;
    Stress *stress;
    unsigned slot;
    ObjectRef ref;
    TxnTable *table;
    unsigned n_layouts;
    bool no_more_columns; /* a number that an aborted ADD COLUMN used is not used again */
    StressIndex index[STRESS_INDEXES];
    CatalogEntry entry;
} StressTable;

struct Stress {
    StressConfig config;
    StressSink sink;
    Model model;
    _Atomic uint64_t next_uid;
    ObjectRef catalog_ref;
    StressTable *catalog;
    /* while open */
    Budget *budget;
    Log *log;
    TxnSystem *ts;
    Mutex mutex; /* tables */
    StressTable *tables[STRESS_TABLES_MAX]; /* as committed */
    _Atomic bool stop;
    struct Worker *workers[16]; /* while running */
    uint64_t runs;
    _Atomic uint64_t commits, aborts, reads, rows_compared, conflicts, deadlocks, unique_violations, retries, moved, ddl,
        given_up, spilled;
};

_Noreturn void stress_fail(Stress *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_ref(StressTable *tb);
void table_unref(StressTable *tb); /* NULL is fine; the last one closes the handles */
StressTable *table_get(Stress *s, unsigned slot); /* a reference, or NULL */
void table_publish(Stress *s, unsigned slot, StressTable *tb); /* takes the reference */
void stress_hooks(Stress *s, TxnHooks *out);

/* ---- one transaction of a worker ---- */

typedef struct HeldLock {
    uint64_t table;
    uint64_t uid;
    uint64_t seen; /* newest commit of the row when it was locked */
    TxnRowLock strength;
} HeldLock;

typedef struct SlotUse {
    LockMode mode; /* strongest held */
    StressTable *table; /* reference; as this transaction sees it */
    bool changed;       /* differs from what is committed */
    unsigned peak;      /* most layouts that the transaction has given it: numbers that are burned if it is taken back */
} SlotUse;

typedef struct ScanBuffers {
    HeapColumnOut out[STRESS_COLUMNS];
    HeapBatch batch;
    Tid tids[HEAP_SLOTS_MAX];
    uint64_t recheck[HEAP_WORDS_MAX];
    uint64_t nulls[STRESS_COLUMNS][HEAP_WORDS_MAX];
    uint64_t overflow[STRESS_COLUMNS][HEAP_WORDS_MAX];
    char strings[PAGE_BYTES];
    _Alignas(16) uint8_t data[STRESS_COLUMNS][HEAP_SLOTS_MAX * 16];
} ScanBuffers;

typedef struct FoundRow {
    StressRow row;
    Tid tid;
    uint64_t base; /* commit timestamp of the version, or of the one below an own write */
} FoundRow;

typedef struct Worker {
    Stress *s;
    unsigned number;
    Rng rng;
    _Atomic uint32_t intr;
    Error err;
    Ctx cx;
    Arena arena;     /* of a statement */
    ScanBuffers *scan;
    Txn *t;
    TxnIsolation isolation;
    uint64_t snapshot;
    SlotUse use[STRESS_TABLES_MAX];
    VEC(StressWrite) log;
    VEC(HeldLock) locks;
    VEC(FoundRow) found; /* by the last read */
    U64Map seen;
    uint64_t met_ts, met_lsn; /* newest commit whose changes it has read */
} Worker;

/* A point to come back to. */
typedef struct StressSavepoint {
    TxnSavepoint sp;
    size_t n_log, n_locks;
    SlotUse use[STRESS_TABLES_MAX]; /* with references */
} StressSavepoint;

/* Counts an error that is part of the game (the caller rolls back) and clears it; others end in stress_fail. */
void worker_judge(Worker *w, Status st, const char *doing);
bool worker_stopped(const Worker *w);
void worker_cancel(Worker *w, bool on); /* as if the client had asked for it; a rollback or the end forgets it */
STATUS worker_begin(Worker *w, TxnIsolation isolation, bool read_only);
void worker_statement(Worker *w);
void worker_commit(Worker *w, bool wait);
void worker_abort(Worker *w);
void worker_savepoint(Worker *w, StressSavepoint *out);
void worker_savepoint_done(StressSavepoint *sp);
STATUS worker_rollback_to(Worker *w, const StressSavepoint *sp);
/* The table of a slot under a lock of the transaction; NULL (and ST_OK): there is none. Not a reference. */
STATUS worker_table(Worker *w, unsigned slot, LockMode mode, StressTable **out_table);
/* Notes a change just made; `table`, `command` are filled in, and `base` where the row was changed before. */
void worker_log(Worker *w, const StressTable *tb, const StressWrite *x);
/* Notes a row lock just got: until the end nobody may commit what it forbids. */
void worker_locked(Worker *w, const StressTable *tb, uint64_t uid, TxnRowLock strength);

/* ---- reading and comparing (stress_read.c) ---- */

/* What a scan was asked for: `pass` says the same of a row as the predicates do. */
typedef struct StressFilter {
    bool (*pass)(const struct StressFilter *f, const StressRow *r);
    HeapPredicate preds[1];
    unsigned n_preds;
} StressFilter;

/* What the transaction must see of a row now. Model locked. */
typedef struct Expected {
    bool exists;
    bool own;
    uint64_t ts; /* of the committed version, or of the one that the own write replaces */
    uint64_t lsn;
    StressRow row;
} Expected;
void expected_row(Worker *w, uint64_t table, uint64_t uid, uint64_t snapshot, Expected *out);
const StressWrite *own_write(const Worker *w, uint64_t table, uint64_t uid, uint32_t before_command);

/* Row content of values read, overflow values fetched. What is not as written fails. */
STATUS row_read(Worker *w, StressTable *tb, HeapValue *values, StressRow *out);
STATUS fetch_row(Worker *w, StressTable *tb, Tid tid, StressRow *out, bool *out_found);
STATUS fetch_newest_row(Worker *w, StressTable *tb, Tid tid, StressRow *out, bool *out_found, TxnSeen *out_seen);
/* Results in w->found. The filter may be NULL. */
STATUS scan_table(Worker *w, StressTable *tb, const StressFilter *f);
/* w->found must be all that the statement must see and passes the filter; fills in the bases. */
void compare_rows(Worker *w, const StressTable *tb, const char *how, const StressFilter *f, bool whole);
STATUS scan_and_compare(Worker *w, StressTable *tb, bool whole);
STATUS index_scan_and_compare(Worker *w, StressTable *tb, unsigned index);
bool index_usable(const Worker *w, const StressTable *tb, unsigned index);
/* Looks a row up by its unique key and compares. */
STATUS find_by_a(Worker *w, StressTable *tb, uint64_t a, FoundRow *out, bool *out_found);

/* ---- statements (stress_ops.c, stress_ddl.c) ---- */

void random_row(Worker *w, StressRow *out);
STATUS op_insert(Worker *w, StressTable *tb, unsigned n);
STATUS op_change_one(Worker *w, StressTable *tb);
STATUS op_change_many(Worker *w, StressTable *tb);
/* One change of tables or indexes, in a transaction with a snapshot a statement. */
STATUS op_ddl(Worker *w, unsigned slot);
STATUS ddl_create_catalog(Worker *w);
STATUS ddl_open_catalog(Ctx *cx, Stress *s);
/* Makes the tables that the catalog names, as the worker's statement sees it. */
STATUS ddl_load(Worker *w);

/* ---- verifying (stress_check.c) ---- */

STATUS check_all(Worker *w);
STATUS check_contents(Worker *w);

#endif
