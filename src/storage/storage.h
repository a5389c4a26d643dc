/*
 * storage/storage.h: pages that survive anything.
 *
 * A Store is one set of files: page file(s), write-ahead log, doublewrite area, control file. Above it there are only
 * these ideas:
 *
 *   fix / unfix      A page is looked at only while its frame is latched (shared or exclusive), or optimistically with
 *                    a version that is validated afterwards. No page pointer outlives its latch.
 *   operation        Every change happens inside a StoreOp. op_begin is *admission*: it reserves the operation's worst case
 *                    of WAL bytes, frames and new pages, and is the only call that waits for resources.
 *   store_log        Makes one change to one or several exclusively latched pages atomic: it applies the change *through the
 *                    registered redo functions* and appends the record. What was done and what recovery does is the
 *                    same code. It cannot fail.
 *   durable LSN      wal_on_durable / wal_wait: nothing leaves the engine before the log it rests on is on disk.
 *   object           A named bag of pages (a table's or index's storage) with its page sequence and free-space map.
 *
 * Recipe for a change (STYLE.md): op_begin; latch; everything fallible; store_log (cannot fail); unlatch; op_end.
 */
#ifndef RDB_STORAGE_STORAGE_H
#define RDB_STORAGE_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/ids.h"
#include "base/log.h"
#include "os/file.h"
#include "os/thread.h"
#include "storage/page.h"

typedef struct Store Store;

/* ---- open, close ---- */

typedef struct StoreConfig {
    size_t pool_bytes;             /* buffer pool, a hard limit; at least 64 frames */
    size_t wal_ring_bytes;         /* log buffer, power of two */
    size_t wal_segment_bytes;      /* multiple of 64 KiB */
    uint64_t checkpoint_wal_bytes; /* a checkpoint starts after so many bytes of log */
    int64_t checkpoint_every_us;   /* and after so much time; 0 = never by time */
    uint32_t grow_extents;         /* the page file grows by so many extents at once */
    bool direct_io;                /* ask for direct I/O (falls back silently) */
    bool background;               /* run flusher and page writer as threads; false: tests call store_tick */
} StoreConfig;
void store_config_default(StoreConfig *c);

/* What the page writer and recovery need from the layers above. All may be NULL. */
typedef struct StoreHooks {
    void *arg;
    /*
     * Called by a checkpoint after its begin record: appends whatever the layers above need to find again when the
     * log before `begin` is gone (through op_begin/store_log), and returns the oldest LSN it still needs, or LSN_MAX.
     */
    Status (*checkpoint)(void *arg, Ctx *cx, Lsn begin, Lsn *out_needed);
    /* Recovery reached the end of the log; pages are as of the crash. Runs before the first new operation. */
    Status (*redo_done)(void *arg, Ctx *cx);
    /* The engine stopped (failed WAL write). Called once, from the thread that met it. */
    void (*failed)(void *arg, const Error *err);
} StoreHooks;

/* One page named by a log record. */
typedef struct WalPage {
    PageId id;
    uint8_t redo;  /* which redo function (RedoKind) */
    uint8_t flags; /* WAL_PAGE_INIT */
    const uint8_t *data;
    uint32_t len;
} WalPage;
enum { WAL_PAGE_INIT = 1 };
enum { WAL_PAGES_MAX = 24 };

typedef struct WalRecord {
    Lsn lsn; /* of its first byte */
    Lsn end; /* of the byte after it: what page headers hold */
    uint8_t type;
    uint8_t flags;
    TxnId txn;
    const uint8_t *body; /* the record's own data, after the pages' */
    uint32_t body_len;
    unsigned n_pages;
    WalPage pages[WAL_PAGES_MAX];
} WalRecord;

/*
 * A redo function applies a page's data to the page. It depends on nothing but the two (no catalog, clock, locale,
 * memory) and is used for the first execution too. On data that does not fit the page it returns ST_CORRUPTED and
 * leaves the page unchanged (during first execution that is an assertion). With WAL_PAGE_INIT the page is
 * all zero but for id; the function fills header (through page_init) and body. It does not touch lsn or checksum.
 */
typedef Status (*RedoFn)(const WalPage *ref, uint8_t *page, Error *err);

/* Called for every record during recovery, in log order, before its pages are redone (analysis). */
typedef Status (*ReplayFn)(void *arg, Ctx *cx, const WalRecord *rec);

enum { REDO_KINDS = 64, WAL_TYPES = 128 };
/* Ranges of redo kinds and record types: storage 1..15, heap 16..31, btree 32..47, txn 48..63 (types up to 127 for later). */
typedef struct StoreRegistry {
    RedoFn redo[REDO_KINDS];
    ReplayFn replay[WAL_TYPES];
    void *replay_arg[WAL_TYPES];
    const char *type_name[WAL_TYPES];
    StoreHooks hooks;
} StoreRegistry;

/*
 * Opens the store in the Vfs (*out_store is set before the hooks run, and NULL again after a failure), creating it when there is none and `create`; recovers. The registry is copied. Statuses:
 * ST_FILE_NOT_FOUND (no store), ST_CORRUPTED, ST_IO_ERROR, ST_DISK_FULL, ST_OUT_OF_MEMORY,
 * ST_FEATURE_NOT_SUPPORTED (other format version, both named).
 */
STATUS store_open(Ctx *cx, Vfs *vfs, Budget *budget, Log *log, const StoreConfig *config, const StoreRegistry *registry,
                  bool create, Store **out_store);
/* Stops the threads; with `checkpoint` writes everything out first (a clean stop). Never fails; after a failure or power cut it
 * only releases memory. No page may be fixed. */
void store_close(Ctx *cx, Store *s, bool checkpoint);
/* ST_OK, or ST_CRASH_SHUTDOWN once a WAL write has failed (details into err). */
STATUS store_state(Store *s, Error *err);
Budget *store_budget(Store *s);
Log *store_log_sink(Store *s);
Epoch *store_epoch(Store *s);
const uint8_t *store_uuid(const Store *s); /* 16 bytes, fixed at creation */
/* Runs what the background threads would do now (flush, write, checkpoint when due); for background = false. */
STATUS store_tick(Ctx *cx, Store *s);
/*
 * For a checkpoint hook that has to wait for somebody who may be waiting for clean frames or log room: does some of the
 * page writer's work, or yields.
 */
STATUS store_help(Ctx *cx, Store *s);
STATUS store_checkpoint(Ctx *cx, Store *s); /* waits until one that began after the call is complete */

/* ---- pages ---- */

typedef struct BufFrame BufFrame;
typedef enum LatchMode { LATCH_SHARED, LATCH_EXCLUSIVE } LatchMode;

/*
 * Latches the page's frame, reading the page when it is not resident. A page whose checksum, id or (when `object` is
 * not OBJ_NONE) owner is wrong: ST_CORRUPTED naming page and object. Latch order: index pages from the root down and
 * left to right, table pages, overflow pages, then space pages; not more than the operation's frames at a time.
 */
STATUS buf_fix(Ctx *cx, Store *s, PageId id, ObjId object, LatchMode mode, BufFrame **out_frame);
/* The same without waiting for the latch: ST_WOULD_BLOCK. Reads the page if need be. */
STATUS buf_try_fix(Ctx *cx, Store *s, PageId id, ObjId object, LatchMode mode, BufFrame **out_frame);
void buf_unfix(BufFrame *f);
uint8_t *buf_page(BufFrame *f); /* writable only through store_log's redo functions, and for hints (buf_hint_dirty) */
PageId buf_page_id(const BufFrame *f);
Lsn buf_page_lsn(const BufFrame *f);
LatchMode buf_latch_mode(const BufFrame *f);
/* Shared to exclusive without letting go; false (still shared) when others hold it. */
MUST_CHECK bool buf_try_upgrade(BufFrame *f);
void buf_downgrade(BufFrame *f);
/* The page was changed by a hint that is not logged (free-space classes): written some day, lost in a crash. */
void buf_hint_dirty(BufFrame *f);

/*
 * Optimistic reading, for B+tree descent and leaf lookup. The page may change or vanish under the reader: only
 * bounds-checked accesses, copy out, then buf_opt_valid before believing anything. buf_opt_begin fails (false) when
 * the page is not resident or exclusively latched: use buf_fix. Sanitizer builds always fail it. Frames are never
 * unmapped while the store is open, so a stale look reads some other page's bytes at worst.
 */
typedef struct BufOpt {
    BufFrame *frame;
    const uint8_t *page;
    uint64_t version;
} BufOpt;
MUST_CHECK bool buf_opt_begin(Store *s, PageId id, BufOpt *out);
MUST_CHECK bool buf_opt_valid(const BufOpt *o);

/*
 * The version table of a page (owned by txn) hangs on the frame while the page is resident and is kept by page id
 * while it is not. The first member of the owner's struct. Read under the latch, set under the exclusive latch.
 */
typedef struct BufVersions {
    struct BufVersions *next; /* private to storage */
    PageId page;
} BufVersions;
BufVersions *buf_versions(const BufFrame *f);
/* Takes every version table away and hands it to fn; nobody else may use the store. For closing. */
void store_each_versions(Store *s, void (*fn)(void *arg, BufVersions *v), void *arg);
void buf_set_versions(BufFrame *f, BufVersions *v); /* v->page is set here; NULL removes */

typedef struct BufStats {
    uint64_t hits, misses, evictions, writes, waits_for_clean;
    uint32_t frames, dirty, free_frames;
} BufStats;
void buf_stats(Store *s, BufStats *out);

/* ---- operations and the log ---- */

typedef struct StoreObject StoreObject;
enum { OP_PAGES_MAX = 12 };

typedef struct OpNeed {
    uint32_t wal_bytes;      /* all records the operation appends, in bytes (wal_record_bytes tells) */
    uint32_t undo_wal_bytes; /* what undoing it would append: kept reserved until op_release_undo */
    uint16_t frames;         /* most frames latched at a time, its own pages' and those of new pages and maps */
    uint16_t new_pages;      /* most pages taken by op_take_page */
    StoreObject *object;     /* for new_pages */
    bool is_undo;            /* part of a rollback: draws on what undo_wal_bytes reserved; never fails for disk space */
} OpNeed;

/* Private to storage but for its size: lives on the caller's stack. */
typedef struct StoreOp {
    Store *store;
    StoreObject *object;
    uint32_t wal_left;
    uint32_t undo_reserved;
    uint16_t frames;
    uint8_t n_ready;   /* reserved pages not taken yet */
    uint8_t n_space;   /* space pages latched for the next record */
    uint8_t n_changes; /* pages taken or given by the next record */
    bool is_undo;
    uint32_t ready[OP_PAGES_MAX]; /* ordinals */
    struct OpChange {
        uint32_t ordinal;
        bool given;
    } changes[OP_PAGES_MAX];
    struct OpSpace {
        BufFrame *frame;
        uint8_t data[8 * OP_PAGES_MAX];
        uint16_t len;
    } space[OP_PAGES_MAX];
} StoreOp;

/*
 * Admission. No latch may be held. May wait (for log buffer, clean frames), may be interrupted, may fail with
 * ST_DISK_FULL (no log or page space), ST_CRASH_SHUTDOWN. Waits are bracketed by ctx_wait_begin/end.
 */
STATUS op_begin(Ctx *cx, Store *s, const OpNeed *need, StoreOp *op);
/* All latches taken for it are released by the caller before; unused reservations go back. */
void op_end(StoreOp *op);
/* Ends the reservation of undo bytes made by operations of a transaction (it ended). */
void op_release_undo(Store *s, uint64_t bytes);
uint64_t op_undo_reserved(Store *s); /* bytes of all transactions now: 0 when none is running */
/* Bytes of WAL a record with n pages and so many bytes of data in all takes, with alignment: the figure for OpNeed. */
uint32_t wal_record_bytes(unsigned n_pages, uint32_t data_bytes);

/*
 * Takes one of the reserved new pages: its frame exclusively latched, all zero. The space map page is latched (last in the
 * latch order) and becomes part of the next store_log, which must contain the new page with WAL_PAGE_INIT. On failure
 * nothing has happened. op_give_page marks a page of the operation's object free again with the next store_log (the
 * caller holds its exclusive latch and makes it PAGE_FREE-like or leaves its content; nobody may reach it any more).
 */
STATUS op_take_page(Ctx *cx, StoreOp *op, BufFrame **out_frame, uint32_t *out_ordinal);
STATUS op_give_page(Ctx *cx, StoreOp *op, BufFrame *frame);
/* Drops what op_take_page/op_give_page latched when the operation is abandoned before store_log. New frames are
 * unfixed by this call as well. */
void op_abandon(StoreOp *op, BufFrame **new_frames, unsigned n);

typedef struct LogPage {
    BufFrame *frame; /* exclusively latched */
    uint8_t redo;
    uint8_t flags;
    const void *data;
    uint32_t len;
} LogPage;

/* Applies and appends; see the head. Returns the record's end LSN, which the pages now carry. */
Lsn store_log(StoreOp *op, uint8_t type, uint8_t flags, TxnId txn, const LogPage *pages, unsigned n_pages,
              const void *body, uint32_t body_len);

/* The two halves of an append for records without pages whose position must be fixed under a lock (commit). */
typedef struct WalSpace {
    Lsn start, end;
    unsigned slot;
} WalSpace;
WalSpace wal_reserve(StoreOp *op, uint32_t body_len);
void wal_fill(StoreOp *op, const WalSpace *space, uint8_t type, uint8_t flags, TxnId txn, const void *body,
              uint32_t body_len);

/* ---- durability ---- */

Lsn wal_durable(Store *s);
Lsn wal_end(Store *s); /* end of what has been reserved */
/* Waits until the durable LSN has reached lsn. ST_CRASH_SHUTDOWN when it never will. Not interruptible by cancel. */
STATUS wal_wait(Ctx *cx, Store *s, Lsn lsn);
/* Asks the flusher to get there; returns at once. */
void wal_request(Store *s, Lsn lsn);
/*
 * Calls node->fn from the flusher (or at once, from the caller, when already durable) when the durable LSN has reached
 * lsn. After a failure of the log fn is called with durable = false. The node is the caller's and must live until then.
 */
typedef struct WalWaiter {
    struct WalWaiter *next; /* private */
    Lsn lsn;
    void (*fn)(struct WalWaiter *w, bool durable);
} WalWaiter;
void wal_on_durable(Store *s, Lsn lsn, WalWaiter *w, void (*fn)(WalWaiter *w, bool durable));

/* ---- objects ---- */

typedef struct ObjectRef {
    ObjId id;
    PageId header;
} ObjectRef;

enum {
    OBJECT_USER_BYTES = 128,
    OBJECT_CREATE_UNDO_BYTES = 256, /* what object_create reserves for its undoing: for op_release_undo */
};

/* A new object id: never used before, also after a crash. */
STATUS object_new_id(Ctx *cx, Store *s, ObjId *out_id);
/*
 * Creates an object of one header page. The record has the given type and transaction (so that the transaction layer
 * undoes it) and the body [object id 8][header page id 8][body...]. `user` (OBJECT_USER_BYTES) goes into the header.
 */
STATUS object_create(Ctx *cx, Store *s, ObjId id, unsigned space, uint8_t wal_type, TxnId txn, const void *body,
                     uint32_t body_len, const void *user, ObjectRef *out_ref, Lsn *out_lsn);
/*
 * The handle: reference-counted, one per object in memory. ST_CORRUPTED when the header page is not that object's.
 */
STATUS object_open(Ctx *cx, Store *s, ObjectRef ref, StoreObject **out_object);
void object_close(StoreObject *o);
ObjectRef object_ref(const StoreObject *o);
Store *object_store(const StoreObject *o);
/*
 * Frees a bounded number of the object's extents or pages; call until *out_done. Idempotent over crashes: calling it again for a
 * half-freed or gone object is right. The caller guarantees that nobody reads the object any more and that its drop is durable.
 */
STATUS object_free_step(Ctx *cx, Store *s, ObjectRef ref, bool *out_done);

/* Pages are numbered by ordinal 0.. in the order the object acquired them; some may be free. */
uint32_t object_page_count(const StoreObject *o);
/* Page id of an ordinal; false when out of range or not in use. Cheap: an array in memory. */
bool object_page_at(StoreObject *o, uint32_t ordinal, PageId *out_id);
/* Free-space classes are hints, 0 (full) .. 250 (empty). */
enum { SPACE_CLASS_MAX = 250 };
/* An ordinal whose class is at least min_class, starting the search at a caller-specific place (spread by `hint`). */
STATUS object_find_space(Ctx *cx, StoreObject *o, unsigned min_class, uint32_t hint, uint32_t *out_ordinal);
/* Notes a page's class; no latch on table or index pages needed, may be called while holding them. Never waits for I/O
 * of its own if the map page is resident; failure is ignored (a hint). */
void object_note_space(Ctx *cx, StoreObject *o, uint32_t ordinal, unsigned space_class);
/* The header's user area (access methods keep roots there); changed by a record of redo kind REDO_OBJECT_USER. */
STATUS object_read_user(Ctx *cx, StoreObject *o, void *out_user);
STATUS object_write_user(Ctx *cx, StoreObject *o, TxnId txn, const void *user);

/* ---- verification ---- */

/*
 * Checks the space maps against each other and every page's checksum: each extent owned once, each object's pages its
 * own, nothing leaked. `for_object` is called for every object found (access methods verify their pages there); `known` tells
 * whether somebody above (catalog, pending frees) names the object: an unknown one is leaked. Problems go to `report`;
 * returns ST_OK also when there are some.
 */
typedef struct StoreCheck {
    void *arg;
    void (*report)(void *arg, const char *text);
    bool (*known)(void *arg, ObjectRef ref);
    uint64_t problems, pages, objects; /* results */
} StoreCheck;
STATUS store_check(Ctx *cx, Store *s, StoreCheck *check);

#endif
