/*
 * txn/txn.h: transactions over tables and indexes: snapshots, versions, undo, row locks, commit, rollback, recovery, purge.
 *
 * Key idea (Freitag, Kemper, Neumann: Memory-Optimized Multi-Version Concurrency Control for Disk-Based Database Systems,
 * VLDB 2022): pages hold the newest version; what is needed to see or restore older ones is in undo records, newest
 * first, hung on a version table per page that exists only while somebody may need it. Undo records live in *lanes*:
 * append-only streams in memory with a file behind, one writer transaction at a time, purged from their start. A
 * pointer into what was purged is simply not found, and that means: committed before every snapshot, visible to all.
 *
 * Terms
 *   snapshot    (timestamp, transaction, command): sees what committed up to the timestamp and own changes of earlier commands
 *   header      undo record that starts a transaction in its lane; holds its commit timestamp once it has one
 *   gate        the newest commit LSN that a reader met: its result may leave the engine when that is durable
 *
 * Latches and locks: no function returns with a latch held. Functions that may wait for other transactions say so.
 * Threads: a Txn belongs to one thread at a time.
 */
#ifndef RDB_TXN_TXN_H
#define RDB_TXN_TXN_H

#include "access/btree.h"
#include "access/heap.h"
#include "access/overflow.h"
#include "base/ctx.h"
#include "base/ids.h"
#include "storage/storage.h"
#include "txn/lock.h"

typedef struct TxnSystem TxnSystem;
typedef struct Txn Txn;
typedef struct TxnTable TxnTable;

/* ---- the system ---- */

typedef struct TxnConfig {
    size_t undo_memory_bytes; /* resident undo; beyond it chunks go to the file */
    uint64_t undo_file_bytes; /* limit of the file; beyond it the oldest snapshot is cancelled (72000) */
    uint32_t max_transactions; /* at a time */
    int64_t deadlock_timeout_us;
    int64_t purge_every_us;
    bool background; /* run purge as a thread; false: tests call txn_purge */
} TxnConfig;
void txn_config_default(TxnConfig *c);

/*
 * What purge asks the layers above when a deleted row goes: the index entries to remove. Called with nothing latched;
 * `values` are the row's columns 0..n-1 of the newest layout (overflow values as references). Calls `entry` for each index.
 */
typedef struct TxnPurgeRow {
    ObjectRef table;
    Tid tid;
    const HeapValue *values;
    uint16_t n_columns;
} TxnPurgeRow;
typedef struct TxnHooks {
    void *arg;
    /* The table's shape, to read a row for its keys. ST_NOT_FOUND: the table is gone, nothing to purge. */
    Status (*shape)(void *arg, Ctx *cx, ObjectRef table, const HeapShape **out_shape);
    Status (*purge_keys)(void *arg, Ctx *cx, const TxnPurgeRow *row,
                         Status (*entry)(void *entry_arg, Ctx *cx, BTree *index, BTreeBytes key), void *entry_arg);
    /* txn_close, after the last purge: the layers above let go of their tables and indexes. NULL = they have done so before. */
    void (*closing)(void *arg);
} TxnHooks;

/*
 * Opens the store below (store_open) with all registrations of access and txn done, recovers, rolls back what was unfinished.
 * `vfs` also holds the undo file. Statuses: those of store_open.
 */
STATUS txn_open(Ctx *cx, Vfs *vfs, Budget *budget, Log *log, const StoreConfig *store, const TxnConfig *config,
                const TxnHooks *hooks, bool create, TxnSystem **out_system);
/* All transactions must have ended. With `checkpoint` a clean stop: purges what it can and checkpoints. */
void txn_close(Ctx *cx, TxnSystem *ts, bool checkpoint);
Store *txn_store(TxnSystem *ts);
LockManager *txn_locks(TxnSystem *ts);
/* Called once by the layers above when TxnHooks can answer: removes delete marks that a crash left behind. */
STATUS txn_sweep(Ctx *cx, TxnSystem *ts);
/* One purge pass by the calling thread; *out_left: transactions still unpurged. */
STATUS txn_purge(Ctx *cx, TxnSystem *ts, uint64_t *out_left);

typedef struct TxnStats {
    uint64_t commits, aborts, purged, stale_tids, spilled_chunks;
    uint64_t undo_bytes, version_tables, unpurged;
    uint64_t sweeps_of_missing_entries; /* index entries that purge did not find; counted only, nothing is swept yet */
} TxnStats;
void txn_stats(TxnSystem *ts, TxnStats *out);

/* ---- transactions ---- */

typedef enum TxnIsolation { TXN_READ_COMMITTED, TXN_REPEATABLE_READ } TxnIsolation;

/* `owner_pid` names the session in deadlock reports. */
STATUS txn_begin(Ctx *cx, TxnSystem *ts, TxnIsolation isolation, bool read_only, int owner_pid, Txn **out_txn);
/*
 * Starts a statement: at READ COMMITTED takes a new snapshot, otherwise the transaction's own; advances the command number so that
 * earlier statements' changes are seen and its own are not.
 */
void txn_statement(Txn *t);
/* Between statements a READ COMMITTED transaction holds no snapshot: it holds up no purge. */
void txn_statement_end(Txn *t);
/* Makes changes so far visible to what this transaction reads next (within a statement: a later command). */
void txn_next_command(Txn *t);
/*
 * Between the two the transaction reads by a snapshot of now, at any isolation level, and sees all its own changes so far: how catalogs
 * are read and written ("newest committed + own"). May nest; no commit, abort or statement in between.
 */
typedef struct TxnFresh {
    uint64_t snapshot;
    uint64_t last;
    uint32_t command;
} TxnFresh;
MUST_CHECK TxnFresh txn_fresh_begin(Txn *t);
void txn_fresh_end(Txn *t, TxnFresh saved);
/*
 * Ends the transaction. Commit appends the commit record and returns with *out_gate the LSN that must be durable before the
 * client may hear of it (wal_wait, wal_on_durable); LSN_NONE when nothing was written or met. It can fail only before the
 * record is appended (admission); the caller then aborts. After a successful append nothing can fail. The Txn is freed by both on success.
 */
STATUS txn_commit(Ctx *cx, Txn *t, Lsn *out_gate);
/* Rolls back. Does not fail for disk space or memory; a failure of the log or a page (the engine stops or is read-only)
 * leaves the rest to recovery: the status says so, the Txn is freed all the same. */
Status txn_abort(Ctx *cx, Txn *t);

/* The two halves of commit, for two-phase commit and replication: between them the transaction keeps locks and undo. */
STATUS txn_commit_begin(Ctx *cx, Txn *t); /* everything that can fail */
Lsn txn_commit_finish(Ctx *cx, Txn *t);   /* cannot fail, frees t */

typedef struct TxnSavepoint {
    uint64_t undo;    /* newest undo record */
    size_t n_pending; /* pending frees so far */
    LockMark locks;
} TxnSavepoint;
void txn_savepoint(Txn *t, TxnSavepoint *out);
STATUS txn_rollback_to(Ctx *cx, Txn *t, const TxnSavepoint *sp); /* may be called again for the same one */

TxnId txn_id(const Txn *t); /* TXN_NONE until the first write */
STATUS txn_assign_id(Ctx *cx, Txn *t);
Lsn txn_gate(const Txn *t);
void txn_raise_gate(Txn *t, Lsn lsn);
LockOwner *txn_lock_owner(Txn *t);
Ts txn_snapshot_ts(const Txn *t);
TxnIsolation txn_isolation(const Txn *t);

/* ---- objects in transactions ---- */

/* Creates a table's or index's storage; freed again when the transaction rolls back. */
STATUS txn_create_table(Ctx *cx, Txn *t, ObjectRef *out_ref);
STATUS txn_create_index(Ctx *cx, Txn *t, BTreeRef *out_ref);
/* Frees the object once the transaction has committed, is durable and older than every snapshot. */
STATUS txn_drop_object(Ctx *cx, Txn *t, ObjectRef ref);

/* ---- tables ---- */

/* A handle for one table's storage; shared by all transactions. The shape is passed with each call (it changes with DDL). */
STATUS txn_table_open(Ctx *cx, TxnSystem *ts, ObjectRef ref, TxnTable **out_table);
void txn_table_close(TxnTable *tb);
StoreObject *txn_table_object(TxnTable *tb);

/* Inserts a row. Values longer than fit are moved to overflow chains. The caller inserts the index entries next. */
STATUS txn_insert(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, const HeapValue *row, Tid *out_tid);
/* Inserts rows in bulk, as many a record as fit a page; out_tids has n places. */
STATUS txn_insert_many(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, const HeapValue *const *rows, uint32_t n,
                       Tid *out_tids);

typedef enum TxnRowLock { TXN_KEY_SHARE = 0, TXN_SHARE = 1, TXN_NO_KEY_UPDATE = 2, TXN_UPDATE = 3 } TxnRowLock;

/* What became of a row that a statement wants to lock, update or delete. */
typedef enum TxnRowResult {
    TXN_ROW_OK,      /* done */
    TXN_ROW_GONE,    /* deleted (by another transaction, or by this command's predecessor): skip it */
    TXN_ROW_CHANGED, /* READ COMMITTED: another transaction changed it after the snapshot; *out_tid is where the row is
                        now: re-evaluate the newest version (txn_fetch_newest), then try again with TXN_SEEN */
    TXN_ROW_SELF,    /* already changed by this very command */
} TxnRowResult;

/*
 * All three lock the row in the strength of the change first, wait for whoever holds a conflicting lock (fairly; deadlocks end in
 * 40P01), and report changes by others as above (at REPEATABLE READ: 40001). `seen`: the caller has evaluated the newest version, which
 * committed at or before that timestamp (TS_NONE: has seen what its snapshot shows). Statuses: ST_SERIALIZATION_FAILURE,
 * ST_DEADLOCK_DETECTED, ST_LOCK_NOT_AVAILABLE, interrupts, those of op_begin.
 */
typedef struct TxnSeen {
    Ts ts;
} TxnSeen;
STATUS txn_lock_row(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, TxnRowLock strength, LockWait wait, TxnSeen seen,
                    TxnRowResult *out_result, Tid *out_tid);
STATUS txn_delete(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, TxnSeen seen, TxnRowResult *out_result, Tid *out_tid);
/*
 * Updates columns (ascending) that are in no index, in place. When the new values do not fit the page: *out_moved, and the row has
 * been left alone: the caller uses txn_move with the whole new row.
 */
STATUS txn_update(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns,
                  const HeapValue *values, unsigned n, TxnSeen seen, TxnRowResult *out_result, Tid *out_tid,
                  bool *out_no_room);
/* Deletes the row and inserts its new version elsewhere; *out_tid is the new place on TXN_ROW_OK. */
STATUS txn_move(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const HeapValue *row, TxnSeen seen,
                TxnRowResult *out_result, Tid *out_tid);

/* ---- reading ---- */

/*
 * Reads columns (ascending) of the version of a row that the transaction's snapshot sees. *out_found false: none (deleted,
 * not yet, or the slot is another row's by now). Strings go to cx->arena; overflow values come as references
 * (txn_fetch_overflow).
 */
STATUS txn_fetch(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns, unsigned n,
                 HeapValue *out_values, bool *out_found);
/* The newest committed (or own) version, for the re-check after a wait; *out_seen is for the next try. */
STATUS txn_fetch_newest(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns,
                        unsigned n, HeapValue *out_values, bool *out_found, TxnSeen *out_seen);
/* Does the snapshot see the row? For index-only answers. */
STATUS txn_visible(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, bool *out_visible);

/*
 * Scans one page: the rows the snapshot sees and that pass the predicates (AND), densely copied out; see heap_copy for the buffers.
 * `recheck` gets a bit per row for which a predicate needs an overflow value and is undecided. *out_more false: no page
 * with this ordinal or beyond.
 */
STATUS txn_scan_page(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, uint32_t ordinal, const HeapPredicate *preds,
                     unsigned n_preds, HeapColumnOut *columns, unsigned n_columns, HeapBatch *out_batch, Tid *out_tids,
                     uint64_t *recheck, bool *out_more);
/* An overflow value's bytes into the arena. */
STATUS txn_fetch_overflow(Ctx *cx, Txn *t, TxnTable *tb, HeapValue *io_value, Arena *arena);

/* ---- indexes ---- */

/*
 * Inserts an index entry of a row this transaction inserted. With `unique` (and a table to look into): waits for transactions that
 * decide; a live duplicate is ST_UNIQUE_VIOLATION with *out_other its TID (no error text: the caller knows names and values).
 */
STATUS txn_index_insert(Ctx *cx, Txn *t, BTree *index, TxnTable *tb, BTreeBytes key, Tid tid, BTreeBytes payload,
                        bool unique, Tid *out_other);

/* ---- verification ---- */

typedef struct TxnCheck {
    void *arg;
    void (*report)(void *arg, const char *text);
    bool (*known)(void *arg, ObjectRef ref);
    uint64_t problems;
} TxnCheck;
/* Pages, extents, leaks; that version tables belong to pages that exist. Tables and indexes: txn_check_table. */
STATUS txn_check_store(Ctx *cx, TxnSystem *ts, TxnCheck *check);

#endif
