/*
 * access/overflow.h: values too long for a table page, as chains of pages.
 *
 * Key idea: a chain is written from its last page to its first, each page with one record that is complete in itself:
 * it needs no fix-up, and what exists at any time is a valid chain of the value's tail. It is freed from its end, the
 * first page keeping count of what is left: a half-freed chain is freed further from the same first page, after a crash
 * too. Every page points 1, 2, 4, 8, 64, 512, 4096 and 32768 pages ahead, so that any part of a long value is reached
 * in few steps.
 *
 * The chain belongs to the table's object. Whoever reads one is protected by his snapshot: chains are freed by purge
 * and undo only. Nothing may be latched by the caller, but for overflow_read*, which may be called with heap pages
 * latched (latch order).
 */
#ifndef RDB_ACCESS_OVERFLOW_H
#define RDB_ACCESS_OVERFLOW_H

#include "access/heap.h"

#define OVERFLOW_VALUE_MAX ((UINT32_C(1) << 30) - 1) /* 1 GiB - 1: more is 54000 */
enum { OVERFLOW_BODY_MAX = 256 };                    /* most bytes of caller's body in a record */

/*
 * Writing: overflow_write_begin, then steps until done; each step writes some pages under one operation of its own,
 * each page one record HEAP_WAL_OVERFLOW_WRITE of the transaction with the body
 *     [object id 8][object header page 8][page id 8][caller's body]
 * After each step `head` is the first page of what exists: on failure or rollback the caller frees that chain. The
 * WAL bytes that undoing costs (with bodies no longer than these) stay reserved: their sum is in undo_reserved, for
 * op_release_undo. The value is not copied.
 */
typedef struct OverflowWriter {
    StoreObject *object;
    const char *value;
    uint32_t len;
    uint32_t left; /* pages still to write */
    PageId head;   /* PAGE_NONE before the first step */
    PageId *ids;   /* of all pages, by index; charged to `budget` */
    uint32_t n_pages;
    uint64_t undo_reserved;
    Budget *budget;
} OverflowWriter;
STATUS overflow_write_begin(Ctx *cx, OverflowWriter *w, StoreObject *o, const char *value, size_t len);
STATUS overflow_write_step(Ctx *cx, OverflowWriter *w, TxnId txn, const void *body, uint32_t body_len, bool *out_done);
void overflow_write_done(OverflowWriter *w); /* frees the ids; w->head, w->undo_reserved stay */
/* The reference to put into a row, once all is written. */
HeapValue overflow_value(const OverflowWriter *w);

/* Length of the chain's value. ST_CORRUPTED when `head` is not a chain's first page of this object. */
STATUS overflow_length(Ctx *cx, StoreObject *o, PageId head, uint32_t *out_len);
/*
 * Bytes [offset, offset + len) of a value of `value_len` bytes into out. ST_CORRUPTED when the chain is not that
 * long.
 */
STATUS overflow_read(Ctx *cx, StoreObject *o, PageId head, uint32_t value_len, uint32_t offset, uint32_t len,
                     char *out);

/*
 * For purge: frees some pages from the end of a chain, with one record HEAP_WAL_OVERFLOW_FREE (txn as given) whose body
 *     is [object id 8][object header page 8][head page id 8][1 when the chain is gone][caller's body]
 * Until *out_done `head` stays a chain and a later call goes on, also after a crash. The step that frees the head logs
 * [1]: the caller's list of pending frees forgets the chain by that record. A repeated call before the page is used
 * again is harmless. is_undo: the operation draws on reserved WAL and never fails for disk space.
 */
STATUS overflow_free_step(Ctx *cx, StoreObject *o, PageId head, TxnId txn, uint8_t flags, bool is_undo,
                          const void *body, uint32_t body_len, bool *out_done);

/*
 * Undo of one HEAP_WAL_OVERFLOW_WRITE: frees that one page, with a record HEAP_WAL_OVERFLOW_FREE as above ([1]).
 *   rollback   from writer.head on: written = LSN_NONE, page = *out_next until that is PAGE_NONE
 *   recovery   record by record: written = the record's end LSN. A page that is not as that record left it was freed
 *              already (and is perhaps another's by now): nothing is done.
 * *out_next is the next page of the chain, PAGE_NONE at its end or when nothing was done.
 */
STATUS overflow_undo_step(Ctx *cx, StoreObject *o, PageId page, Lsn written, TxnId txn, uint8_t flags, const void *body,
                          uint32_t body_len, PageId *out_next);

/* Walks a whole chain; adds its pages to *io_pages. ST_CORRUPTED for what is not as written. */
STATUS overflow_check(Ctx *cx, StoreObject *o, PageId head, uint32_t value_len, uint64_t *io_pages);

/* Decoders for recovery: what a record of either type names. ST_CORRUPTED on a short body. */
typedef struct OverflowRecord {
    ObjectRef object;
    PageId page;         /* WRITE: the page written, now the head of what exists; FREE: the head */
    bool gone;           /* FREE: the chain is gone */
    const uint8_t *body; /* the caller's */
    uint32_t body_len;
} OverflowRecord;
STATUS overflow_record(const WalRecord *rec, Error *err, OverflowRecord *out);

/* WAL bytes of one page's record, and of the records that free one page, with so many bytes of caller's body. */
uint32_t overflow_write_wal_bytes(uint32_t body_len);
uint32_t overflow_free_wal_bytes(uint32_t body_len);

#endif
