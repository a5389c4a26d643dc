/*
 * txn/txn_int.h: what the files of txn/ share. Invariants T1.. and the argument for each are in README.md.
 */
#ifndef RDB_TXN_INT_H
#define RDB_TXN_INT_H

#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "os/thread.h"
#include "os/vmem.h"
#include "txn/txn.h"

/* ---- log records of this module (types 48..63) ---- */

enum {
    WAL_TXN_COMMIT = 48,  /* body: CommitBody */
    WAL_TXN_ABORT = 49,   /* rollback complete */
    WAL_TXN_UNDO = 50,    /* checkpoint: undo records of a running transaction, in order; flags UNDO_PIECE_* */
    WAL_TXN_STATE = 51,   /* checkpoint: counters, pending frees, pages with delete marks */
    WAL_TXN_PENDING = 52, /* frees that the transaction's commit makes due */
    WAL_TXN_CREATE = 53,  /* an object created; body as object_create writes it */
};
enum { UNDO_PIECE_FIRST = 1, UNDO_PIECE_LAST = 2 };
/* Flags of heap, overflow and index records. */
enum { REC_CLR = 1, REC_PURGE = 2 };

#define COMMIT_ABORTED UINT64_MAX

/* ---- undo records ---- */

typedef uint64_t UndoPtr; /* chunk id << 16 | offset; 0 = none. Never reused while the database is open. */
enum { UNDO_CHUNK_BYTES = 65536, UNDO_LEAF = 4096, UNDO_TOP = 4096 };

typedef enum UndoType {
    UNDO_BEGIN = 1,    /* header of a transaction */
    UNDO_INSERT,       /* payload: n slots, u16 each */
    UNDO_UPDATE,       /* payload: before image (a list); aux = string bytes it reserves */
    UNDO_DELETE,       /* moved_to: where the row went */
    UNDO_LOCK,         /* aux = strength; not logged */
    UNDO_INDEX_INSERT, /* payload: key; page = root */
    UNDO_OVERFLOW,     /* page = head of the chain as it is; aux64 = chain number */
    UNDO_CREATE,       /* an object */
} UndoType;
enum { UNDO_DEAD = 1, UNDO_LOCKS_BELOW = 2 };

/*
 * Immutable once appended, but for flags and prev_row, which change under the page's exclusive latch (chains) or by the
 * owner (flags UNDO_DEAD); both atomic, since readers look without that latch being theirs alone.
 */
typedef struct UndoRec {
    uint32_t len; /* with payload, multiple of 8 */
    uint8_t type;
    _Atomic uint8_t flags;
    uint16_t n;           /* INSERT: slots */
    uint32_t command;
    uint32_t old_stamp;
    uint64_t txn;
    UndoPtr header;
    _Atomic uint64_t prev_row; /* next older version of the row */
    UndoPtr prev_txn;          /* record before in this transaction */
    uint64_t tid;              /* or page: see types */
    uint64_t moved_to;         /* or aux64 */
    uint64_t object;
    uint64_t object_header;
    uint64_t lsn; /* end of its log record */
    uint32_t aux;
    uint32_t payload_len;
} UndoRec;
STATIC_ASSERT(sizeof(UndoRec) == 96, "undo records");

typedef struct UndoHeader {
    UndoRec rec;
    _Atomic uint64_t commit_ts; /* 0 running, COMMIT_ABORTED, or when */
    uint64_t commit_lsn;        /* set before commit_ts */
} UndoHeader;

static inline const uint8_t *undo_payload(const UndoRec *r)
{
    return (const uint8_t *)(r + 1);
}

typedef struct UndoChunk {
    EpochNode node;
    uint64_t id;
    _Atomic(uint8_t *) data; /* NULL: in the file only */
    _Atomic uint32_t used;
    _Atomic uint32_t purged; /* records before this offset are purged, or being purged */
    _Atomic uint32_t pins; /* not to be spilled: a running transaction's header is here */
    uint64_t file_slot;    /* UINT64_MAX = none */
    _Atomic(struct UndoChunk *) next; /* in the lane */
    struct UndoChunk *lru_next, *lru_prev; /* resident, complete chunks; guarded by undo.mutex */
    bool listed;
    struct UndoArena *arena;
} UndoChunk;

typedef struct UndoArena {
    Budget budget;
    Budget *parent;
    File *file;
    Epoch *epoch;
    uint64_t file_limit;
    size_t memory;            /* limit of resident bytes */
    _Atomic uint32_t retired; /* chunks whose memory waits for readers to leave */
    uint32_t fill; /* a chunk is complete at so many bytes; tests lower it */
    Mutex mutex; /* RANK_UNDO: ids, residency list, file slots */
    uint64_t next_id;
    UndoChunk lru; /* sentinel */
    uint64_t file_slots; /* high water */
    VEC(uint64_t) free_slots;
    _Atomic uint64_t live_chunks;
    _Atomic uint64_t spilled;
    _Atomic(_Atomic(UndoChunk *) *) top[UNDO_TOP];
} UndoArena;

typedef enum LaneState { LANE_STOP, LANE_PURGE, LANE_SKIP } LaneState;

/* A stream of undo records. Written by the one transaction that leases it; purged from the start by purge. */
typedef struct UndoLane {
    struct UndoLane *next_free;
    struct UndoLane *next_all;
    UndoChunk *first;      /* purge: oldest chunk */
    uint32_t purge_at;     /* purge: offset in it */
    _Atomic(UndoChunk *) last; /* writer */
    uint8_t purge_state;       /* purge: what to do with the records up to the next header (LaneState) */
} UndoLane;

/* Keeps the copy of a record that was in the file. One per thread of control; result valid until the next use. */
typedef struct UndoReader {
    Budget *budget;
    uint8_t *buf;    /* UNDO_CHUNK_BYTES, on demand */
    UndoHeader head; /* of undo_head */
} UndoReader;

STATUS undo_open(Ctx *cx, UndoArena *u, Vfs *vfs, Budget *parent, Epoch *epoch, size_t memory, uint64_t file_limit);
void undo_close(UndoArena *u);
/* After it an append of so many payload bytes in all (in one record) cannot fail. */
STATUS undo_reserve(Ctx *cx, UndoArena *u, UndoLane *lane, uint32_t payload_bytes);
/* Room for the record, to be filled and published; *out_ptr its address. Contiguous. */
UndoRec *undo_begin_append(UndoLane *lane, uint32_t payload_bytes, UndoPtr *out_ptr);
void undo_publish(UndoLane *lane, const UndoRec *rec);
/* The record inside epoch_enter/leave; NULL: purged. */
STATUS undo_get(Ctx *cx, UndoArena *u, UndoReader *rd, UndoPtr ptr, const UndoRec **out_rec);
/* The same without payload: needs no memory. */
STATUS undo_head(Ctx *cx, UndoArena *u, UndoReader *rd, UndoPtr ptr, const UndoRec **out_rec);
STATUS undo_set_prev(Ctx *cx, UndoArena *u, UndoPtr ptr, UndoPtr prev);
STATUS undo_mark_dead(Ctx *cx, UndoArena *u, UndoPtr ptr);
/* Has purge come to the record? Then it is committed before every snapshot and its row's chain ends with it (but for locks). */
bool undo_is_purged(UndoArena *u, UndoPtr ptr);
void undo_pin(UndoArena *u, UndoPtr ptr, bool pin);
/* Purge: frees the lane's chunks before `chunk`. */
void undo_free_first(UndoArena *u, UndoLane *lane);
void undo_reader_done(UndoReader *rd);
/* Bytes used in a chunk and its successor in the lane (0 = none); false: there is no such chunk. */
bool undo_chunk_state(UndoArena *u, uint64_t id, uint32_t *out_used, uint64_t *out_next);
static inline UndoPtr undo_ptr(uint64_t chunk, uint32_t at) { return chunk << 16 | at; }

/* ---- version tables ---- */

/*
 * Of one page, guarded by its latch (read: shared, change: exclusive). Sparse: sorted arrays of slot and head; dense: an array
 * indexed by slot once there are many.
 */
typedef struct PageVersions {
    BufVersions base; /* first: storage links it */
    struct PageVersions *mark_next, *mark_prev; /* pages with unpurged deletes; guarded by ts->marks_lock */
    ObjectRef object;
    uint32_t reserved; /* string bytes that unfinished or unpurged versions may want back */
    uint32_t n_deletes;
    uint16_t n;
    uint16_t cap;
    uint16_t *slots;
    UndoPtr *heads;
    UndoPtr *dense; /* HEAP_SLOTS_MAX entries, then slots and heads are NULL */
} PageVersions;

static inline PageVersions *page_versions(const BufFrame *f)
{
    return (PageVersions *)(void *)buf_versions(f);
}
UndoPtr versions_head(const PageVersions *v, unsigned slot);
/* After it `n` new entries can be set without failing. Creates the table. */
STATUS versions_reserve(Ctx *cx, TxnSystem *ts, BufFrame *f, ObjectRef object, unsigned n);
void versions_set(PageVersions *v, unsigned slot, UndoPtr head);
void versions_remove(PageVersions *v, unsigned slot);
/* Drops the table when nothing is left in it: no entry, no reserved bytes. */
void versions_trim(TxnSystem *ts, BufFrame *f);
void versions_free(TxnSystem *ts, PageVersions *v);
void versions_add_delete(TxnSystem *ts, PageVersions *v);
void versions_sub_delete(TxnSystem *ts, PageVersions *v);
static inline uint32_t versions_reserved(const BufFrame *f)
{
    const PageVersions *v = page_versions(f);
    return v != NULL ? v->reserved : 0;
}

/* ---- transactions ---- */

typedef struct PendingFree {
    ObjectRef object;
    PageId chain; /* an overflow chain of the object, or PAGE_NONE: the whole object */
    uint64_t ts;  /* commit */
    uint64_t lsn;
} PendingFree;

typedef enum TxnState { TXN_ACTIVE, TXN_COMMITTING, TXN_ENDED } TxnState;

struct Txn {
    TxnSystem *ts;
    Txn *next;    /* running writers; guarded by ts->mutex */
    Txn *prev;
    TxnState state;
    TxnIsolation isolation;
    bool read_only;
    bool listed;
    bool ended; /* its end is published; guarded by undo_mutex */
    uint32_t slot; /* of the snapshot array */
    uint64_t snapshot; /* 0 = none taken */
    uint32_t command;
    TxnId id;
    UndoLane *lane;
    UndoPtr header;
    UndoPtr last;
    uint64_t undo_wal;
    uint64_t next_chain;
    Lsn gate;
    VEC(PendingFree) pending; /* changes under undo_mutex */
    bool pending_logged;
    bool replay_whole; /* replay has met the checkpoint's pieces: the list of undo records is complete */
    StoreOp commit_op;
    LockOwner locks;
    UndoReader reader;
    /*
     * Held while a log record and its undo record are made, so that a checkpoint dumps a transaction's undo as of one
     * LSN. RANK_TXN_UNDO. Never held over a wait for another transaction.
     */
    Mutex undo_mutex;
    uint8_t *buf; /* HEAP_DATA_MAX bytes for building changes, and as many for images */
    HeapInsert *insert;
    void *note; /* for commit_hook */
};

typedef struct SnapshotSlot {
    _Alignas(64) _Atomic uint64_t ts; /* 0 = none */
    uint32_t next_free;
} SnapshotSlot;

typedef struct SweepPage {
    ObjectRef object;
    PageId page;
} SweepPage;

struct TxnSystem {
    Budget *budget;
    Budget versions_budget;
    Log *log;
    Vfs *vfs;
    Store *store;
    TxnConfig config;
    TxnHooks hooks;
    LockManager *locks;
    Epoch *epoch; /* of undo chunks */
    UndoArena undo;
    Mutex mutex; /* RANK_TXN_LIST: running writers, lanes, free slots */
    Txn *running;
    UndoLane *all_lanes;
    UndoLane *free_lanes;
    SnapshotSlot *slots;
    uint32_t free_slot;
    _Atomic uint64_t next_txn;
    SpinLock commit_lock; /* RANK_COMMIT: the order of commits */
    _Atomic uint64_t published; /* newest commit timestamp */
    /*
     * For models in tests: called with each writer's commit under commit_lock, before its timestamp is published: in commit
     * order, and ahead of every snapshot that sees the commit. `note` is the transaction's. Stores only. Set before the first commit.
     */
    void (*commit_hook)(void *note, uint64_t commit_ts, Lsn end);
    SpinLock marks_lock;        /* RANK_VERSION_TABLE: the list below */
    PageVersions *marks;
    Mutex free_mutex;    /* RANK_FREE: a free's record and its leaving `pending` or `sweep` are one for checkpoints */
    Mutex pending_mutex; /* RANK_PENDING: pending */
    VEC(PendingFree) pending; /* a queue; its head: */
    size_t pending_head;
    size_t pending_promised;  /* places that commits in progress will take */
    U64Map pending_objects;   /* those that wait to be freed as a whole */
    U64Map pending_chains;    /* during replay: place in `pending` */
    VEC(SweepPage) sweep;
    U64Map sweep_index; /* page -> place in sweep */
    Mutex purge_mutex;  /* RANK_PURGE: one pass at a time */
    _Atomic bool purge_ready; /* hooks may be called */
    bool recovering;
    bool abandoned; /* a rollback failed: no clean stop */
    U64Map replay; /* txn id -> Txn* during recovery */
    Mutex job_mutex;
    Cond job_cond;
    bool stop;
    OsThread *purge_thread;
    _Atomic uint64_t commits, aborts, purged, stale_tids, version_tables, unpurged, missing_entries;
};

struct TxnTable {
    TxnSystem *ts;
    StoreObject *object;
    ObjectRef ref;
    HeapTable heap;
};

/* txn.c */
STATUS txn_new(Ctx *cx, TxnSystem *ts, int pid, Txn **out_txn);
void txn_free(Txn *t);
STATUS lane_lease(Ctx *cx, TxnSystem *ts, UndoLane **out_lane);
/* Assigns id, lane and header if there are none yet. */
STATUS txn_start_writing(Ctx *cx, Txn *t, TxnId id);
void txn_end_writing(Txn *t, uint64_t commit_ts, Lsn lsn);
uint64_t txn_horizon(TxnSystem *ts);
void txn_abandon(Txn *t);
/* Logs pending frees of a running transaction; the first record takes back what was logged before. */
STATUS log_pending(Ctx *cx, Txn *t, bool is_undo);

/* chain.c: is a version visible, may a row be changed */
typedef enum Seen { SEEN_VISIBLE, SEEN_INVISIBLE } Seen;
/* Whether the writer of a record is visible to the transaction's snapshot (ts_override 0: its own). Raises the gate. */
STATUS chain_writer(Ctx *cx, Txn *t, const UndoRec *rec, uint64_t snapshot, Seen *out_seen);
/* Commit timestamp of a record's transaction: 0 running, COMMIT_ABORTED; 1 when it is purged (visible to all). */
STATUS chain_commit_ts(Ctx *cx, TxnSystem *ts, UndoReader *rd, UndoPtr header, uint64_t *out_ts, Lsn *out_lsn);
typedef enum ChainVerdict { CHAIN_FREE, CHAIN_WAIT, CHAIN_CHANGED, CHAIN_GONE, CHAIN_MOVED, CHAIN_SELF } ChainVerdict;
typedef struct ChainCheck {
    ChainVerdict verdict;
    TxnId wait_for;
    UndoPtr wait_header;
    Tid moved_to;
    bool foreign_locks; /* running lock-only holders are in the chain */
    bool deleted_after; /* GONE: by a commit that the statement does not see */
    bool held;          /* this transaction holds a lock at least as strong on the newest version */
    UndoPtr keep;       /* first entry worth keeping below a new one */
} ChainCheck;
STATUS chain_check(Ctx *cx, Txn *t, const BufFrame *f, const HeapPage *p, unsigned slot, TxnRowLock strength,
                   uint64_t seen, ChainCheck *out);
/* Waits until the transaction with that header has ended. No latch held. */
STATUS wait_for_writer(Ctx *cx, Txn *t, TxnId id, UndoPtr header);
/* Takes one record out of the row's chain (head or middle). */
STATUS chain_unlink(Ctx *cx, TxnSystem *ts, UndoReader *rd, BufFrame *f, unsigned slot, UndoPtr ptr, UndoPtr prev);

/* insert.c */
/* Writes a value into an overflow chain of the transaction and makes it a reference. */
STATUS overflow_store(Ctx *cx, Txn *t, TxnTable *tb, HeapValue *io_value);

/* rollback.c */
STATUS rollback_to(Ctx *cx, Txn *t, UndoPtr until);
STATUS rollback_all(Ctx *cx, Txn *t); /* with the record that says so */

/* record.c: appending undo records */
typedef struct UndoNew {
    UndoType type;
    uint32_t payload_len;
    const void *payload;
    uint32_t old_stamp, aux;
    uint16_t n;
    uint8_t flags;
    UndoPtr prev_row;
    uint64_t tid, moved_to;
    ObjectRef object;
    Lsn lsn;
} UndoNew;
/* Room was reserved. Links it into the transaction; returns its address. */
UndoPtr undo_push(Txn *t, const UndoNew *n);

/* pending.c; _reserve, _put, _count and object_pending: under pending_mutex */
STATUS pending_reserve(Ctx *cx, TxnSystem *ts, size_t n);
STATUS pending_promise(Ctx *cx, TxnSystem *ts, size_t n); /* room that others cannot take, until _unpromise */
void pending_unpromise(TxnSystem *ts, size_t n);
void pending_put(TxnSystem *ts, PendingFree f);
size_t pending_count(const TxnSystem *ts);
bool object_pending(TxnSystem *ts, ObjectRef object); /* is it waiting to be freed as a whole? */
/* The next free whose commit is visible to all and durable; it stays until pending_pop. */
bool pending_due(TxnSystem *ts, uint64_t horizon, Lsn durable, PendingFree *out);
void pending_pop(TxnSystem *ts);
void pending_clear(TxnSystem *ts);
STATUS pending_replay(Ctx *cx, TxnSystem *ts, PendingFree f);
void pending_chain_gone(TxnSystem *ts, PageId chain);

/* purge.c */
void purge_main(void *ts);
STATUS drop_entry(Ctx *cx, TxnSystem *ts, ObjectRef table, PageId page, unsigned slot, UndoPtr ptr);
STATUS purge_pass(Ctx *cx, TxnSystem *ts, uint64_t *out_left);
void sweep_add(TxnSystem *ts, ObjectRef object, PageId page, bool *out_failed);

/* recover.c */
void recover_register(TxnSystem *ts, StoreRegistry *r);
STATUS recover_redo_done(void *arg, Ctx *cx);
STATUS recover_checkpoint(void *arg, Ctx *cx, Lsn begin, Lsn *out_needed);

/* Body prefix of heap records: whose table. */
enum { OBJECT_BODY_BYTES = 16 };
static inline void put_object(uint8_t *at, ObjectRef ref)
{
    store_u64(at, ref.id.v);
    store_u64(at + 8, ref.header.v);
}
static inline ObjectRef get_object(const uint8_t *at)
{
    return (ObjectRef){{load_u64(at)}, {load_u64(at + 8)}};
}

#endif
