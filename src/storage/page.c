/*
 * storage/page.c: header, checksum and validity of a page. XXH3-64 (XXH_INLINE_ALL: no symbol clash with the copy inside
 * libpg_query).
 */
#include "storage/page.h"

#include <string.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xxhash.h>
#pragma GCC diagnostic pop

static uint64_t page_checksum(const uint8_t *page)
{
    return XXH3_64bits(page + sizeof(uint64_t), PAGE_BYTES - sizeof(uint64_t));
}

void page_init(uint8_t *page, PageId id, ObjId object, uint32_t ordinal, PageType type, uint8_t format)
{
    memset(page, 0, PAGE_BYTES);
    PageHeader *h = page_header(page);
    h->id = id.v;
    h->object = object.v;
    h->ordinal = ordinal;
    h->type = (uint8_t)type;
    h->format = format;
}

void page_set_checksum(uint8_t *page)
{
    page_header(page)->checksum = page_checksum(page);
}

bool page_valid(const uint8_t *page, PageId id)
{
    const PageHeader *h = page_header_const(page);
    return h->id == id.v && h->type != PAGE_FREE && h->type < PAGE_TYPE_END && h->checksum == page_checksum(page);
}

bool page_all_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}
