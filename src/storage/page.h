/*
 * storage/page.h: what every page has in common.
 *
 * A page is 16 KiB: a 48-byte header, a body whose format its type decides, and a 32-byte trailer reserved for
 * encryption (nonce, tag, key version). All integers are little-endian.
 *
 *   offset size  field
 *        0    8  checksum   XXH3-64 of bytes 8..16383; set when the page is written, checked when it is read
 *        8    8  lsn        end LSN of the newest log record applied; the page is written only when that is durable
 *       16    8  term       Raft term that goes with lsn (0 on one node)
 *       24    8  id         the page's own id
 *       32    8  object     owner
 *       40    4  ordinal    position among its object's pages; ORDINAL_NONE for pages outside any object's sequence
 *       44    1  type       PageType
 *       45    1  format     format version of the body
 *       46    2  flags      the owner's business
 *       48       body
 *    16352   32  trailer
 */
#ifndef RDB_STORAGE_PAGE_H
#define RDB_STORAGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ids.h"

enum { PAGE_BYTES = 16384, PAGE_HEADER_BYTES = 48, PAGE_TRAILER_BYTES = 32 };
enum { PAGE_BODY_END = PAGE_BYTES - PAGE_TRAILER_BYTES, PAGE_BODY_BYTES = PAGE_BODY_END - PAGE_HEADER_BYTES };
#define ORDINAL_NONE UINT32_MAX

typedef enum PageType {
    PAGE_FREE = 0, /* all zero: never written, or punched */
    PAGE_EXTENT_MAP = 1,
    PAGE_OBJECT_HEADER = 2,
    PAGE_OBJECT_MAP = 3,
    PAGE_OBJECT_DIRECTORY = 4,
    PAGE_BLANK = 5, /* given to an object, not used yet */
    PAGE_TABLE = 8,
    PAGE_INDEX = 9,
    PAGE_OVERFLOW = 10,
    PAGE_TYPE_END = 16,
} PageType;

typedef struct PageHeader {
    uint64_t checksum;
    uint64_t lsn;
    uint64_t term;
    uint64_t id;
    uint64_t object;
    uint32_t ordinal;
    uint8_t type;
    uint8_t format;
    uint16_t flags;
} PageHeader;
STATIC_ASSERT(sizeof(PageHeader) == PAGE_HEADER_BYTES, "on-disk format");
STATIC_ASSERT(offsetof(PageHeader, ordinal) == 40 && offsetof(PageHeader, type) == 44, "on-disk format");

static inline PageHeader *page_header(uint8_t *page)
{
    return (PageHeader *)(void *)page;
}
static inline const PageHeader *page_header_const(const uint8_t *page)
{
    return (const PageHeader *)(const void *)page;
}

/* Zeroes the page and fills the header. */
void page_init(uint8_t *page, PageId id, ObjId object, uint32_t ordinal, PageType type, uint8_t format);
void page_set_checksum(uint8_t *page);
/* Checksum, id and type are plausible for a page read for `id`. An all-zero page is not valid. */
bool page_valid(const uint8_t *page, PageId id);
bool page_all_zero(const uint8_t *page);

#endif
