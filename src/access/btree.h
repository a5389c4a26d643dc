/*
 * access/btree.h: B+trees on memcmp keys.
 *
 * An entry is (key bytes, TID, payload). Entries are ordered by key (memcmp, a prefix before what it begins), then by
 * TID; no two have the same key and TID. The payload (the values of a covering index) takes no part in the order. The
 * module knows no SQL types and no visibility: what a key means, and whether the row behind a TID is seen, is the
 * caller's.
 *
 * Every change is a record of the write-ahead log. The change of an entry carries a transaction id and all that undo,
 * change feed and replicas need (root page id, whole key, TID: btree_record_read). The change of the tree's shape
 * (split, merge, root) is one record of no transaction and is never undone: it changes no entry.
 *
 * Threads: all functions on one BTree may run side by side, except btree_build and btree_close. A BTreeCursor and a
 * BTreeBatch belong to one thread at a time. No function returns with a latch held, and none may be called with one
 * held, except that the callback of a unique insert runs under index latches.
 */
#ifndef RDB_ACCESS_BTREE_H
#define RDB_ACCESS_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/ids.h"
#include "storage/storage.h"

/*
 * Longest key and payload together, in bytes: a quarter of what a page holds, so that any page that overflows can be
 * split (btree_node.h has the proof). More: ST_PROGRAM_LIMIT_EXCEEDED.
 */
enum { BTREE_ENTRY_MAX = 4032 };

typedef struct BTree BTree;

/* Bytes that somebody else owns. */
typedef struct BTreeBytes {
    const uint8_t *p;
    uint32_t len;
} BTreeBytes;

typedef struct BTreeEntry {
    BTreeBytes key;
    Tid tid;
    BTreeBytes payload;
} BTreeEntry;

/* What the catalog keeps of a tree. The root page never changes. */
typedef struct BTreeRef {
    ObjectRef object;
    PageId root;
} BTreeRef;

/* Fills redo functions and type names. */
void btree_register(StoreRegistry *registry);

/* ---- create, open ---- */

typedef struct BTreeCreate {
    ObjId id; /* from object_new_id */
    unsigned space;
    uint8_t wal_type; /* as for object_create: type and transaction of the object's record, and its body */
    TxnId txn;
    const void *body;
    uint32_t body_len;
} BTreeCreate;

/*
 * Creates an object with an empty tree; out_ref->root is in the object's user area as well. Unlike other out-parameters
 * *out_ref and *out_lsn (end of the object's record) are set as soon as the object exists, also when making its root
 * fails afterwards: root is then PAGE_NONE and the rollback of `txn` frees the object.
 */
STATUS btree_create(Ctx *cx, Store *s, const BTreeCreate *how, BTreeRef *out_ref, Lsn *out_lsn);
/* Opens a handle. ST_CORRUPTED when the root page is not a root of that object. */
STATUS btree_open(Ctx *cx, Store *s, BTreeRef ref, BTree **out_tree);
/* The same knowing only the root page (from a log record): the page names its object. */
STATUS btree_open_root(Ctx *cx, Store *s, PageId root, BTree **out_tree);
void btree_close(BTree *t); /* NULL is allowed */
BTreeRef btree_ref(const BTree *t);
StoreObject *btree_object(const BTree *t); /* owned by the tree */

/* ---- write ---- */

/* What the unique check learns about an entry with the same key. */
typedef enum BTreeVerdict {
    BTREE_IGNORE,   /* its row is dead for good, or the callback does not mind */
    BTREE_CONFLICT, /* a live row: btree_insert returns ST_UNIQUE_VIOLATION */
    BTREE_WAIT,     /* an unfinished transaction decides: btree_insert returns ST_RETRY */
} BTreeVerdict;

/*
 * The unique check. `check` is called for every entry whose key is equal and whose TID differs, in TID order, under
 * exclusive index latches: it may fix table pages (at most `frames` at a time) and nothing else, and must not wait
 * for anything but latches and page reads. A status other than ST_OK ends the insert with it.
 */
typedef struct BTreeUnique {
    Status (*check)(void *arg, Ctx *cx, Tid tid, BTreeVerdict *out_verdict);
    void *arg;
    uint16_t frames;
    Tid found; /* result with ST_UNIQUE_VIOLATION and ST_RETRY: the entry that decided */
} BTreeUnique;

typedef struct BTreeWrite {
    bool done; /* false: it was already so, nothing was logged */
    Lsn lsn;   /* end of the record, if done */
    uint32_t
        undo_wal_bytes; /* reserved for undoing it (0 if not done): the transaction gives them to op_release_undo */
} BTreeWrite;

/*
 * Inserts an entry. With `unique` the first leaf that may hold the key stays exclusively latched from check to insert.
 * An entry with this key and TID already there: ST_OK, not done.
 * Statuses: ST_PROGRAM_LIMIT_EXCEEDED; ST_UNIQUE_VIOLATION and ST_RETRY (found set, no error recorded, nothing changed,
 * no latch held; after ST_RETRY the caller waits and calls again); those of op_begin, buf_fix and the check.
 */
STATUS btree_insert(Ctx *cx, BTree *t, TxnId txn, BTreeBytes key, Tid tid, BTreeBytes payload, BTreeUnique *unique,
                    BTreeWrite *out);

typedef enum BTreeDeleteKind {
    BTREE_UNDO,  /* a compensation: drawn from the bytes that the insert reserved, cannot fail for disk space */
    BTREE_PURGE, /* nobody can see the entry any more */
} BTreeDeleteKind;

typedef struct BTreeDelete {
    BTreeDeleteKind kind;
    Lsn undoes; /* BTREE_UNDO: LSN of the record it undoes */
    Ts newest;  /* BTREE_PURGE: newest commit timestamp it removes */
} BTreeDelete;

/*
 * Deletes the entry, found from the root. Not there: ST_OK, not done. May merge pages afterwards; that this was not
 * possible is no error.
 */
STATUS btree_delete(Ctx *cx, BTree *t, TxnId txn, BTreeBytes key, Tid tid, const BTreeDelete *how, BTreeWrite *out);

/* Bytes of log that undoing an insert of such a key takes: what btree_insert reserves. */
uint32_t btree_undo_bytes(uint32_t key_len);

/* Types of the records; 32..47 are this module's. */
enum {
    WAL_BTREE_INSERT = 32,
    WAL_BTREE_DELETE = 33,
    WAL_BTREE_CREATE = 34,
    WAL_BTREE_SPLIT = 35,
    WAL_BTREE_GROW = 36,
    WAL_BTREE_MERGE = 37,
    WAL_BTREE_SHRINK = 38,
    WAL_BTREE_BUILD = 39,
};

/* A record of type WAL_BTREE_INSERT or WAL_BTREE_DELETE, taken apart. Key and payload point into the record. */
typedef struct BTreeRecord {
    bool is_insert;
    PageId root;
    BTreeBytes key;
    Tid tid;
    BTreeBytes payload; /* of an insert */
    BTreeDelete how;    /* of a delete */
} BTreeRecord;
STATUS btree_record_read(const WalRecord *rec, BTreeRecord *out, Error *err);

/* ---- read ---- */

/* Where one entry of a batch has its bytes, as offsets into BTreeBatch.bytes. */
typedef struct BTreeItem {
    uint32_t key_at;
    uint32_t payload_at;
    uint16_t key_len;
    uint16_t payload_len;
} BTreeItem;

/*
 * Room for entries copied out of the tree. All arrays are the caller's. With items == NULL only TIDs are delivered;
 * otherwise keys and payloads too, and bytes_max is at least BTREE_ENTRY_MAX. `max` is at least 1.
 */
typedef struct BTreeBatch {
    Tid *tids;
    BTreeItem *items;
    uint8_t *bytes;
    uint32_t max;
    uint32_t bytes_max;
    uint32_t n;          /* result */
    uint32_t bytes_used; /* result */
} BTreeBatch;

static inline BTreeEntry btree_batch_entry(const BTreeBatch *b, uint32_t i)
{
    BTreeEntry e = {.tid = b->tids[i]};
    if (b->items != NULL) {
        e.key = (BTreeBytes){b->bytes + b->items[i].key_at, b->items[i].key_len};
        e.payload = (BTreeBytes){b->bytes + b->items[i].payload_at, b->items[i].payload_len};
    }
    return e;
}

/* All entries with exactly this key, in TID order; *out_more: the batch was too small (go on with a cursor). */
STATUS btree_lookup(Ctx *cx, BTree *t, BTreeBytes key, BTreeBatch *io_batch, bool *out_more);

typedef enum BTreeEdge { BTREE_UNBOUNDED = 0, BTREE_INCLUSIVE, BTREE_EXCLUSIVE } BTreeEdge;

/* With `prefix` the bound stands for all keys that begin with its bytes; otherwise for exactly that key. */
typedef struct BTreeBound {
    BTreeEdge edge;
    bool prefix;
    BTreeBytes key;
} BTreeBound;

typedef struct BTreeRange {
    BTreeBound lower, upper;
    bool backward;
    Tid only_tid; /* not TID_NONE: deliver only entries with this TID */
} BTreeRange;

/*
 * A scan of a range, in order. Between two batches no latch is held; the cursor goes on after the last entry it
 * delivered, whatever happened to the tree meanwhile: an entry that is there all the time is delivered exactly once,
 * one that comes or goes meanwhile at most once. The cursor's memory is charged to cx->budget; the bounds are copied.
 * The tree stays open while there are cursors on it.
 */
typedef struct BTreeCursor BTreeCursor;
STATUS btree_cursor_open(Ctx *cx, BTree *t, const BTreeRange *range, BTreeCursor **out_cursor);
void btree_cursor_close(BTreeCursor *c); /* NULL is allowed */
/* The next entries; n == 0 is the end (and stays it). On failure the cursor stands where it stood before the call. */
STATUS btree_cursor_next(Ctx *cx, BTreeCursor *c, BTreeBatch *io_batch);

/* Calls fn (no latch held) for each entry of the TID: a scan of the whole tree. fn may delete the entry. */
STATUS btree_sweep(Ctx *cx, BTree *t, Tid tid, Status (*fn)(void *arg, Ctx *cx, const BTreeEntry *e), void *arg);

typedef struct BTreeStats {
    uint32_t height; /* 1 = the root is a leaf */
    uint32_t pages;  /* pages of the object's sequence, free ones included */
} BTreeStats;
STATUS btree_stats(Ctx *cx, BTree *t, BTreeStats *out);

/*
 * Tests: from now on every look-up that was answered optimistically is repeated under latches; a different answer from
 * an unchanged leaf is a failed ASSERT.
 */
void btree_cross_check(BTree *t, bool on);

/* ---- build ---- */

/* Delivers the next entry, in strictly ascending order; ST_END after the last. The bytes live until the next call. */
typedef Status (*BTreeSource)(void *arg, Ctx *cx, BTreeEntry *out_entry);

typedef struct BTreeBuilt {
    uint64_t entries;
    uint64_t pages;
    uint32_t height;
} BTreeBuilt;

/*
 * Fills an empty tree that nobody else uses, pages 90 % full. After a failure the tree is empty but its object holds
 * pages that nothing reaches: it must be dropped. Entries out of order: ST_INTERNAL.
 */
STATUS btree_build(Ctx *cx, BTree *t, BTreeSource source, void *arg, BTreeBuilt *out);

/* ---- verify ---- */

typedef struct BTreeCheck {
    void *arg;
    void (*report)(void *arg, const char *text);
    /* Called for each entry with no latch held; NULL = not wanted. A status other than ST_OK ends the check with it. */
    Status (*entry)(void *arg, Ctx *cx, const BTreeEntry *e);
    bool quiescent; /* nobody changes the tree meanwhile: also account for every page of the object */
    /* results */
    uint64_t problems, entries, leaf_pages, inner_pages;
    uint32_t height;
} BTreeCheck;
/* Problems go to `report` and are counted; ST_OK also when there are some. */
STATUS btree_check(Ctx *cx, BTree *t, BTreeCheck *check);

#endif
