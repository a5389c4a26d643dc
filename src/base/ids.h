/*
 * base/ids.h: the identifiers of the engine, one struct each, so that mixing them does not compile.
 */
#ifndef RDB_BASE_IDS_H
#define RDB_BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

/* Byte position in the write-ahead log's record stream. 0 is "none": the stream starts at LSN_FIRST. */
typedef struct Lsn {
    uint64_t v;
} Lsn;

/* Transaction id: monotonic over the life of the database, never reused; 0 = none, 1 = bootstrap ("frozen"). */
typedef struct TxnId {
    uint64_t v;
} TxnId;

/* Commit timestamp: hybrid clock, microseconds since 1970 in the upper 52 bits, counter in the lower 12. 0 = none. */
typedef struct Ts {
    uint64_t v;
} Ts;

/* Storage object (a table's or index's storage): 64 bits, never reused; 0 = none. */
typedef struct ObjId {
    uint64_t v;
} ObjId;

/* Page id: 40 bits, of which the top 4 name a space and 36 are the page's number in that space's file. */
typedef struct PageId {
    uint64_t v;
} PageId;

/* Row address: page id (40 bits) << 24 | slot (16 bits) << 8 | generation (8 bits). 0 = none. */
typedef struct Tid {
    uint64_t v;
} Tid;

#define LSN_NONE ((Lsn){0})
#define LSN_MAX ((Lsn){UINT64_MAX})
#define TXN_NONE ((TxnId){0})
#define TS_NONE ((Ts){0})
#define OBJ_NONE ((ObjId){0})
#define PAGE_NONE ((PageId){0})
#define TID_NONE ((Tid){0})

enum { SPACE_MAIN = 0, SPACE_UNLOGGED = 1, SPACE_TEMP = 2, SPACE_COUNT = 3 };
#define PAGE_NO_BITS 36
#define PAGE_NO_MAX ((UINT64_C(1) << PAGE_NO_BITS) - 1)

static inline bool lsn_lt(Lsn a, Lsn b) { return a.v < b.v; }
static inline bool lsn_le(Lsn a, Lsn b) { return a.v <= b.v; }
static inline Lsn lsn_max(Lsn a, Lsn b) { return a.v > b.v ? a : b; }
static inline Lsn lsn_min(Lsn a, Lsn b) { return a.v < b.v ? a : b; }

static inline PageId page_id(unsigned space, uint64_t number)
{
    return (PageId){((uint64_t)space << PAGE_NO_BITS) | number};
}
static inline unsigned page_space(PageId id) { return (unsigned)(id.v >> PAGE_NO_BITS); }
static inline uint64_t page_number(PageId id) { return id.v & PAGE_NO_MAX; }
static inline bool page_eq(PageId a, PageId b) { return a.v == b.v; }

static inline Tid tid_make(PageId page, unsigned slot, unsigned generation)
{
    return (Tid){page.v << 24 | (uint64_t)(slot & 0xffffu) << 8 | (generation & 0xffu)};
}
static inline PageId tid_page(Tid t) { return (PageId){t.v >> 24}; }
static inline unsigned tid_slot(Tid t) { return (unsigned)(t.v >> 8) & 0xffffu; }
static inline unsigned tid_generation(Tid t) { return (unsigned)t.v & 0xffu; }
static inline bool tid_eq(Tid a, Tid b) { return a.v == b.v; }

#endif
