/*
 * storage/storage_int.h: what the files of storage/ share. See README.md for the invariants (S1..) and lock order.
 */
#ifndef RDB_STORAGE_INT_H
#define RDB_STORAGE_INT_H

#include <limits.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "os/sched.h"
#include "os/vmem.h"
#include "storage/storage.h"

/* ---- record types and redo kinds of storage itself (1..15) ---- */

enum {
    WAL_CHECKPOINT_BEGIN = 1,
    WAL_CHECKPOINT_END = 2,
    WAL_OBJECT_IDS = 3, /* body: u64, ids below it may be in use */
    WAL_SPACE = 4,      /* extents, object maps: no transaction */
    WAL_NOOP = 5,
};
enum {
    REDO_EXTENT_MAP = 1,    /* space_redo.c */
    REDO_OBJECT_HEADER = 2, /* initialises a header page */
    REDO_OBJECT_MAP = 3,    /* changes a header, map or directory page */
    REDO_OBJECT_USER = 4,
};

/* ---- frames ---- */

/*
 * The latch word: bits 0..19 shared holders, bit 20 exclusive, bit 21 somebody is parked, bits 22..63 version, which
 * grows at every release of the exclusive latch.
 */
#define LATCH_SHARED_MASK UINT64_C(0xfffff)
#define LATCH_EXCL (UINT64_C(1) << 20)
#define LATCH_PARKED (UINT64_C(1) << 21)
#define LATCH_VERSION_ONE (UINT64_C(1) << 22)

#define FRAME_NO_PAGE UINT64_MAX
#define FRAME_NIL UINT32_MAX

typedef struct BufPool BufPool;

/*
 * Guards: page, versions, header lsn by the latch. page_id changes only under the exclusive latch together with the
 * bucket lock. rec_lsn goes from 0 to non-zero under the exclusive latch, to 0 under the shared latch by the writer.
 */
struct BufFrame {
    _Atomic uint64_t latch;
    _Atomic uint64_t page_id;
    _Atomic uint64_t rec_lsn; /* reserve position before the first change since the last write; 0 = clean */
    _Atomic uint32_t next;    /* in the bucket's chain or the free list */
    _Atomic uint32_t park;    /* futex word of the latch */
    _Atomic uint8_t referenced;
    _Atomic uint8_t writing; /* copied by the writer, not yet synced in place: not evictable */
    BufVersions *versions;
    BufPool *pool;
    uint8_t *page;
};

enum { BUF_LOCKS = 256, ORPHAN_BUCKETS = 1024, BUF_HIT_STRIPES = 32 };

struct BufPool {
    Store *store;
    uint32_t n_frames;
    uint32_t n_buckets; /* power of two */
    BufFrame *frames;
    uint8_t *pages;
    _Atomic uint32_t *buckets;
    SpinLock locks[BUF_LOCKS]; /* RANK_BUF_TABLE, striped by bucket */
    SpinLock free_lock;        /* RANK_BUF_FREE: free_head, n_free */
    uint32_t free_head;
    _Atomic uint32_t n_free;
    _Atomic uint32_t hand;
    _Atomic uint32_t n_dirty;
    _Atomic int32_t permits;  /* frames operations may still latch */
    SpinLock orphan_lock[64]; /* RANK_VERSION_TABLE, striped by bucket */
    BufVersions *orphans[ORPHAN_BUCKETS];
    _Atomic uint64_t misses, evictions, writes, waits_for_clean;
    /* By thread number: every fix counts here, and must not fight over a cache line. */
    struct BufHits {
        _Alignas(64) _Atomic uint64_t n;
    } hits[BUF_HIT_STRIPES];
};

/* ---- the log ---- */

enum { WAL_SLOTS = 32, WAL_BLOCK_HEADER_BYTES = 64, WAL_SEGMENT_HEADER_BYTES = 4096, WAL_BLOCK_MAX = 256 * 1024 };
#define WAL_SLOT_IDLE UINT64_MAX
#define LSN_FIRST 8u

/*
 * Header of one block. The chain makes a block valid only as successor of exactly one other: a stale block behind the
 * end of the log can never be taken for its continuation. The incarnation, another number at every opening of the store,
 * makes that true also when after a crash the very same bytes are logged again where a block was lost.
 */
typedef struct WalBlockHeader {
    uint32_t magic;
    uint32_t payload_bytes;
    uint64_t start_lsn;
    uint64_t chain;    /* checksum of the block before; of the segment header's prev_chain for a first one */
    uint64_t checksum; /* XXH3-64 of header (this field zero) and payload */
    uint64_t term;
    uint64_t index;
    uint64_t group;
    uint64_t incarnation;
} WalBlockHeader;
STATIC_ASSERT(sizeof(WalBlockHeader) == WAL_BLOCK_HEADER_BYTES, "on-disk format");

typedef struct WalSegmentHeader {
    uint32_t magic;
    uint32_t format;
    uint64_t number;
    uint64_t first_lsn;
    uint64_t prev_chain;
    uint64_t segment_bytes;
    uint8_t uuid[16];
    uint64_t checksum; /* XXH3-64 of the fields before */
} WalSegmentHeader;
STATIC_ASSERT(sizeof(WalSegmentHeader) == 64, "on-disk format");

typedef struct WalLive {
    uint64_t number;
    Lsn first_lsn;
} WalLive;

typedef struct Wal {
    uint8_t *ring;
    uint64_t ring_bytes;       /* power of two */
    _Atomic uint64_t reserved; /* end of what has been handed out */
    _Atomic uint64_t admitted; /* reserved + what open operations may still reserve */
    _Atomic uint64_t written;  /* everything below left the ring */
    _Atomic uint64_t durable;
    _Atomic uint64_t requested;     /* somebody waits for this */
    _Atomic uint64_t undo_reserved; /* bytes promised to rollbacks */
    struct WalSlot {
        _Alignas(64) _Atomic uint64_t start;
    } slots[WAL_SLOTS];

    Mutex flush_mutex;        /* RANK_WAL_FLUSH: one flush at a time; file position, chain, buffer */
    File *file;               /* current segment */
    _Atomic uint64_t segment; /* its number */
    uint64_t file_pos;        /* next block goes here */
    uint64_t chain;
    uint64_t incarnation;
    uint8_t *block; /* aligned buffer */

    Mutex wait_mutex; /* RANK_WAL_WAIT: waiters, stop_flusher */
    Cond durable_cond;
    Cond flusher_cond;
    Cond room_cond; /* ring space or frames came free */
    _Atomic uint32_t room_waiters;
    WalWaiter *waiters; /* ascending by lsn */
    WalWaiter *waiters_tail;
    bool stop_flusher;
    bool closing; /* nothing more becomes durable */
    bool opened;
    uint64_t ring_bytes_max;     /* no record of any configuration is longer */
    VEC(WalLive) live;           /* segments with log in use, ascending; guarded by segment_mutex */
    uint64_t newest_segment;     /* highest number that exists on disk, prepared; likewise */
    _Atomic uint64_t disk_bytes; /* free in the current and the prepared segments */
    int64_t full_until_us;       /* the disk was full: not tried again before; guarded by segment_mutex */
    _Atomic bool space_wanted;   /* an operation was refused for lack of log space */
    Mutex segment_mutex;         /* RANK_WAL_SEGMENT: preparing and recycling */
} Wal;

/* ---- space ---- */

enum {
    EXTENT_PAGES = 64,
    MAP_EXTENTS = 640,
    SINGLES_MAX = 32,
    HEADER_EXTENTS = 224,
    UNIT_EXTENTS = 232,
    DIRS_MAX = 64,
    DIR_MAPS = 2000
};
typedef enum ExtentState { EXTENT_FREE = 0, EXTENT_OWNED = 1, EXTENT_SHARED = 2, EXTENT_SYSTEM = 3 } ExtentState;

typedef struct ExtentEntry {
    uint64_t owner;
    uint64_t used; /* bitmap of pages, for shared and system extents */
    uint32_t state;
    uint32_t reserved;
} ExtentEntry;
STATIC_ASSERT(sizeof(ExtentEntry) == 24, "on-disk format");
STATIC_ASSERT(PAGE_HEADER_BYTES + MAP_EXTENTS * 24 <= PAGE_BODY_END, "on-disk format");

enum { CLASS_FREE = 255 };

typedef struct ObjectHeaderPage {
    PageHeader head;
    uint32_t n_singles;
    uint32_t n_extents; /* of the header's own unit */
    uint32_t n_maps;
    uint32_t reserved;
    uint8_t user[OBJECT_USER_BYTES];
    uint64_t singles[SINGLES_MAX];
    uint8_t single_class[SINGLES_MAX];
    uint64_t dirs[DIRS_MAX];
    uint32_t extents[HEADER_EXTENTS];
    uint8_t classes[HEADER_EXTENTS * EXTENT_PAGES];
} ObjectHeaderPage;
STATIC_ASSERT(sizeof(ObjectHeaderPage) <= PAGE_BODY_END, "on-disk format");
STATIC_ASSERT(offsetof(ObjectHeaderPage, user) == 64 && offsetof(ObjectHeaderPage, singles) == 192 &&
                  offsetof(ObjectHeaderPage, dirs) == 480 && offsetof(ObjectHeaderPage, extents) == 992,
              "on-disk format");

typedef struct ObjectMapPage {
    PageHeader head;
    uint32_t n_extents;
    uint32_t index; /* which map of the object */
    uint32_t extents[UNIT_EXTENTS];
    uint8_t classes[UNIT_EXTENTS * EXTENT_PAGES];
} ObjectMapPage;
STATIC_ASSERT(sizeof(ObjectMapPage) <= PAGE_BODY_END, "on-disk format");

typedef struct ObjectDirectoryPage {
    PageHeader head;
    uint32_t n_maps;
    uint32_t index;
    uint64_t maps[DIR_MAPS];
} ObjectDirectoryPage;
STATIC_ASSERT(sizeof(ObjectDirectoryPage) <= PAGE_BODY_END, "on-disk format");

/* An extent freed whose blocks are given back, and that is handed out again, only when its record is durable. */
typedef struct PendingExtent {
    uint32_t extent;
    Lsn lsn;
} PendingExtent;

typedef struct Space {
    Mutex grow_mutex;     /* RANK_SPACE_GROW: one growth of the file at a time */
    SpinLock lock;        /* RANK_SPACE: everything below */
    uint32_t n_extents;   /* extents of the file with an initialised map */
    uint64_t *free_map;   /* bit set = free and handed out by nobody */
    uint64_t *shared_map; /* bit set = shared and perhaps with a free page */
    size_t map_words;
    uint32_t n_free;
    uint32_t free_hint;         /* no free extent below */
    uint32_t shared_hint;       /* no listed shared extent below */
    VEC(PendingExtent) pending; /* room for all extents is reserved: a push never fails */
} Space;

struct StoreObject {
    Store *store;
    ObjectRef ref;
    StoreObject *next; /* in the registry's bucket */
    uint32_t refs;     /* guarded by the registry's mutex */
    bool loaded;       /* guarded by load_mutex */
    Mutex load_mutex;  /* RANK_OBJECT_LOAD */
    Mutex grow_mutex;  /* RANK_OBJECT_GROW: one growth at a time */
    SpinLock lock;     /* RANK_OBJECT: all below */
    uint32_t n_singles;
    PageId singles[SINGLES_MAX];
    uint32_t singles_used, singles_busy; /* bitmaps; busy = used or reserved by an operation */
    uint32_t n_extents;
    uint32_t cap_extents;
    struct ObjectExtent {
        uint64_t used, busy;
        uint32_t extent;
        uint32_t reserved;
    } * extents;
    uint32_t n_free;       /* pages neither used nor busy */
    uint32_t extent_hint;  /* no extent below has a free page */
    uint32_t dirs_made;    /* directory pages that exist; guarded by grow_mutex */
    VEC(PageId) maps;      /* map pages in order */
    VEC(uint8_t) unit_max; /* highest space class per unit (header first), 251 = not known */
};

enum { OBJECT_BUCKETS = 1024 };

/* ---- control file ---- */

enum { CONTROL_SLOT_BYTES = 4096, STORE_FORMAT = 1 };

typedef struct Control {
    uint64_t magic;
    uint32_t format;
    uint32_t page_bytes;
    uint8_t uuid[16];
    uint64_t sequence;
    uint64_t checkpoint_lsn; /* of the checkpoint's end record */
    uint64_t begin_lsn;
    uint64_t redo_lsn;
    uint64_t term;
    uint64_t applied_index;
    uint64_t next_object;
    uint64_t oldest_segment;
    uint32_t clean; /* stopped cleanly: nothing to redo */
    uint32_t wal_segment_bytes;
    uint64_t checksum;
} Control;

/* ---- page writer ---- */

enum { DW_PAGES = 64 };

typedef struct DwHeader {
    uint64_t magic;
    uint32_t n;
    uint32_t reserved;
    uint64_t sequence;
    uint64_t ids[DW_PAGES];
    uint64_t checksums[DW_PAGES]; /* of each copy */
    uint64_t checksum;            /* of this header */
} DwHeader;
STATIC_ASSERT(sizeof(DwHeader) <= 4096, "on-disk format");

typedef struct Writer {
    Mutex mutex;     /* RANK_DOUBLEWRITE: one batch at a time */
    uint8_t *buffer; /* header + DW_PAGES pages, aligned */
    BufFrame *frames[DW_PAGES];
    Lsn rec_lsns[DW_PAGES];
    PageId ids[DW_PAGES];
    bool opened;
    uint32_t n;
    uint64_t sequence;
    uint32_t sweep;
    File *dw;
    IoQueue *io;
    Error err;
    Ctx cx;      /* of the page writer's thread */
    Status said; /* the last failure logged, and when: the thread's own */
    int64_t said_us;
} Writer;

typedef enum StoreStatus { STORE_OPENING, STORE_RECOVERING, STORE_RUNNING, STORE_FAILED, STORE_CLOSING } StoreStatus;

struct Store {
    Budget *budget;
    Log *log;
    Vfs *vfs;
    StoreConfig config;
    StoreRegistry registry;
    Control control;
    File *control_file;
    File *data;
    File *lock_file;
    Epoch *epoch;
    _Atomic int status;        /* StoreStatus */
    _Atomic bool read_only;    /* the data file failed */
    _Atomic bool failure_told; /* the hook was called */
    SpinLock error_lock;       /* RANK_LEAF */
    Error error;               /* of the failure; guarded by error_lock */
    BufPool pool;
    Wal wal;
    Space space;
    Writer writer;
    Mutex objects_mutex; /* RANK_OBJECT_TABLE: buckets, reference counts */
    StoreObject *objects[OBJECT_BUCKETS];
    SpinLock id_lock;         /* RANK_LEAF: the three below */
    Mutex id_mutex;           /* RANK_ENGINE: extending the promised range */
    uint64_t next_object;     /* the next to hand out, below usable_object */
    uint64_t usable_object;   /* below it by a promise in the log */
    uint64_t promised_object; /* by one that is in the log or about to be: what the control file takes */

    Mutex checkpoint_mutex; /* RANK_CHECKPOINT */
    Mutex job_mutex;        /* RANK_TASK: below */
    Cond writer_cond;       /* work for the writer */
    Cond clean_cond;        /* frames became clean */
    Cond checkpoint_cond;
    _Atomic uint64_t checkpoint_wanted, checkpoint_begun, checkpoint_done; /* numbers of requests */
    uint64_t checkpoint_errors;
    _Atomic bool stop;            /* set under job_mutex */
    _Atomic bool threads_running; /* changes only while one thread uses the store */
    _Atomic uint64_t last_checkpoint_lsn;
    _Atomic uint64_t last_checkpoint_segment; /* where the log was at its begin */
    _Atomic int64_t last_checkpoint_us;
    OsThread *flusher_thread;
    OsThread *writer_thread;
    Budget job_budget;
};

/* page.c, store.c */
/*
 * Records the first failure and stops the engine; rewrites err for the caller; returns ST_CRASH_SHUTDOWN. Who called it then
 * calls store_tell_failed, holding no lock, and wal_run_waiters.
 */
Status store_fail(Store *s, Error *err);
void store_tell_failed(Store *s);
void store_set_read_only(Store *s, const Error *err);
static inline bool store_failed(const Store *s)
{
    return atomic_load_explicit(&s->status, memory_order_acquire) == STORE_FAILED;
}
Status store_failed_error(Store *s, Error *err);

/* buf.c */
STATUS pool_open(Ctx *cx, Store *s);
void pool_close(Store *s);
/* The page's frame exclusively latched and zeroed, without reading it. */
STATUS buf_fix_new(Ctx *cx, Store *s, PageId id, BufFrame **out_frame);
/* Throws a freed page's frame away. */
void buf_discard(Store *s, PageId id);
/* Lets go of a clean page's frame, exclusively latched, so that whoever wants the page next reads it. */
void buf_drop(BufFrame *f);
/* As buf_fix, for recovery: a page that is not valid is given as it is, with *out_valid false: initialise or drop it. */
STATUS buf_fix_redo(Ctx *cx, Store *s, PageId id, BufFrame **out_frame, bool *out_valid);
void buf_mark_dirty(BufFrame *f);
void buf_mark_dirty_at(BufFrame *f, Lsn lsn); /* redo: the change is the record at lsn */
bool frame_try_shared(BufFrame *f);
bool frame_try_exclusive(BufFrame *f);
void frame_latch(BufFrame *f, LatchMode mode);
void frame_unlatch(BufFrame *f);

/* wal.c, wal_file.c, wal_read.c */
STATUS wal_open(Ctx *cx, Store *s);
void wal_close(Store *s);
STATUS wal_create(Ctx *cx, Store *s);
/* By the calling thread. ST_DISK_FULL, ST_OUT_OF_MEMORY: not now, nothing is lost; ST_CRASH_SHUTDOWN: never. */
STATUS wal_flush(Ctx *cx, Store *s, Lsn target);
void wal_give_up(Ctx *cx, Store *s); /* stops the engine for the error in cx */
Lsn wal_complete(Store *s);
WalSpace wal_take(StoreOp *op, uint32_t bytes);
void wal_done(Store *s, const WalSpace *space);
void wal_run_waiters(Store *s);
void wal_flusher_main(void *store);
STATUS wal_prepare_segments(Ctx *cx, Store *s, unsigned ahead);
STATUS wal_recycle(Ctx *cx, Store *s, Lsn keep);
void wal_kick(Store *s);
/*
 * Calls fn for each record from `from` on, in order. With find_end also notes the segments and sets the place in the file
 * where the log goes on. *out_end below `from`: the log ends before it.
 */
typedef Status (*WalScanFn)(void *arg, Ctx *cx, const WalRecord *rec);
STATUS wal_scan(Ctx *cx, Store *s, Lsn from, WalScanFn fn, void *arg, bool find_end, Lsn *out_end);
STATUS wal_start_append(Ctx *cx, Store *s);
STATUS wal_remove_all(Ctx *cx, Store *s);
void wal_set_position(Store *s, Lsn at);
void wal_copy_in(Wal *w, uint64_t at, const void *p, size_t len);

/* writer.c */
STATUS writer_open(Ctx *cx, Store *s);
void writer_close(Store *s);
void writer_main(void *store);
/* Cleans up to a batch of frames; *out_written how many. */
STATUS writer_batch(Ctx *cx, Store *s, Lsn below, uint32_t *out_written);
/* The same for a caller that may hold latches: does nothing while another batch is under way. */
STATUS writer_try_batch(Ctx *cx, Store *s, uint32_t *out_written);
/* Must the caller do the page writer's work itself: there is no thread for it, or the caller is that thread? */
bool writer_is_caller(const Ctx *cx, const Store *s);
STATUS dw_restore(Ctx *cx, Store *s);
void writer_kick(Store *s);

/* checkpoint.c */
bool checkpoint_due(Store *s);
STATUS checkpoint_run(Ctx *cx, Store *s);

/* control.c */
STATUS control_read(Ctx *cx, Store *s);
STATUS control_write(Ctx *cx, Store *s);

/* recover.c */
STATUS store_recover(Ctx *cx, Store *s);

/* space.c: extents */
STATUS space_load(Ctx *cx, Store *s);
void space_done(Store *s);
Status redo_extent_map(const WalPage *ref, uint8_t *page, Error *err);
Status redo_object_header(const WalPage *ref, uint8_t *page, Error *err);
Status redo_object_map(const WalPage *ref, uint8_t *page, Error *err);
Status redo_object_user(const WalPage *ref, uint8_t *page, Error *err);
/* Takes an extent out of the free set (growing the file when need be), its blocks allocated, without logging it. */
STATUS space_take_extent(Ctx *cx, Store *s, uint32_t *out_extent);
void space_untake_extent(Store *s, uint32_t extent);
bool space_is_free(Store *s, uint32_t extent); /* may it be handed out? */
void space_pend_extent(Store *s, uint32_t extent, Lsn lsn);
STATUS space_reclaim(Ctx *cx, Store *s, bool wait);
/* A shared extent that may have a free page; false when none is known. */
bool space_shared_candidate(Store *s, uint32_t *out_extent);
void space_set_shared(Store *s, uint32_t extent, bool has_room);
PageId extent_map_page(uint32_t extent);
static inline PageId extent_page(uint32_t extent, unsigned i)
{
    return page_id(SPACE_MAIN, (uint64_t)extent * EXTENT_PAGES + i);
}
ExtentEntry extent_entry(const uint8_t *map_page, uint32_t extent);
/* Appends to a REDO_EXTENT_MAP record's data. */
enum { EXTENT_CHANGE_BYTES = 24 };
void extent_change(uint8_t *at, uint32_t extent, ExtentState state, uint64_t owner, uint64_t used);

/* Data of REDO_OBJECT_MAP: a list of these, each 4 bytes and what its operation adds. */
typedef enum MapOp {
    MAP_CLASS = 1,       /* arg8 = class, arg16 = index */
    MAP_ADD_SINGLE = 2,  /* arg16 = index, u64 page */
    MAP_ADD_EXTENT = 3,  /* arg16 = index, u32 extent */
    MAP_ADD_DIR = 4,     /* arg16 = index, u64 page */
    MAP_ADD_MAP = 5,     /* arg16 = index, u64 page */
    MAP_SET_MAPS = 6,    /* u32 n_maps */
    MAP_CUT_EXTENTS = 7, /* arg16 = n */
    MAP_CUT_SINGLES = 8, /* arg16 = n */
    MAP_CUT_MAPS = 9,    /* arg16 = n, of a directory */
    MAP_INIT_MAP = 10,   /* u32 index, u64 object */
    MAP_INIT_DIR = 11,   /* u32 index, u64 object */
    MAP_INIT_BLANK = 12, /* u64 object: a page that was given to the object and is not used yet */
} MapOp;
/* Writes one entry at `at`, returns its length. */
uint16_t map_op(uint8_t *at, MapOp op, uint8_t arg8, uint16_t arg16, uint64_t value, uint32_t value32);

/* object.c, object_grow.c, object_free.c */
enum { CREATE_BODY_MAX = 256, OBJECT_DROP_UNDO_BYTES = OBJECT_CREATE_UNDO_BYTES };
void objects_done(Store *s);
void object_ids_replay(Store *s, uint64_t below);
uint64_t object_ids_promised(Store *s);
/* Makes sure the object has `n` free pages reserved for an operation; called by op_begin. */
STATUS object_reserve(Ctx *cx, StoreObject *o, unsigned n, uint32_t *out_ordinals);
void object_unreserve(StoreObject *o, const uint32_t *ordinals, unsigned n);
STATUS object_grow(Ctx *cx, StoreObject *o);
void object_reserved_page(StoreObject *o, uint32_t ordinal, PageId *out_id);
void object_apply_change(StoreObject *o, uint32_t ordinal, bool given);
/* Where an ordinal's class byte lives. */
PageId object_map_of(StoreObject *o, uint32_t ordinal, uint16_t *out_index);
/* Adds a page or extent to the handle after it was logged. */
void object_note_single(StoreObject *o, PageId page);
STATUS object_note_extent_room(Ctx *cx, StoreObject *o);
STATUS object_note_map_room(Ctx *cx, StoreObject *o);
void object_note_extent(StoreObject *o, uint32_t extent);
/*
 * One page out of a shared extent, in three steps: prepare (no latch held; takes a fresh extent when no shared one has
 * room), latch (the extent map page; the page and the change to log are known then; ST_RETRY: let go of all latches and prepare
 * again), and logged or abandon (after map_frame was unfixed by the caller, if it was latched).
 */
typedef struct SharedPage {
    BufFrame *map_frame;
    uint32_t extent;
    PageId page;
    bool fresh;
    uint8_t change[EXTENT_CHANGE_BYTES];
} SharedPage;
STATUS shared_page_prepare(Ctx *cx, Store *s, SharedPage *out);
STATUS shared_page_latch(Ctx *cx, Store *s, SharedPage *sp);
void shared_page_logged(Store *s, SharedPage *sp);
void shared_page_abandon(Store *s, SharedPage *sp);

#endif
