/*
 * access/heap_int.h: the format of a table page and how the files of this folder get at it.
 *
 * Offsets from the start of the page; H1..H9 are in README.md. cap = capacity, words = (cap + 63) / 64.
 *
 *   offset  size          field
 *       48    32          HeapHead
 *       80    8 * n_cols  column directory, HeapDir
 *        .    8 * words   used bitmap
 *        .    8 * words   deleted bitmap (subset of used)
 *        .    4 * cap     stamps (not looked at while HEAP_UNIFORM)
 *        .    cap         generations
 *     16-aligned          arrays, each a multiple of 16 bytes:
 *                           cap * width bytes of data, to a multiple of 8; then words * 8 of null bits (set = NULL)
 *   arrays_end            free
 *   strings_start         string bytes, not aligned, in no order, up to PAGE_BODY_END
 *
 * A string view in a page: up to 12 bytes inline; longer: `ref` is the offset of its bytes, or HEAP_REF_SHARED | offset
 * of the column's one copy of its fill string (not freed with the row), or HEAP_REF_OVERFLOW | page id.
 */
#ifndef RDB_ACCESS_HEAP_INT_H
#define RDB_ACCESS_HEAP_INT_H

#include "access/heap.h"

enum { HEAP_UNIFORM = 1 }; /* HeapHead.flags: all rows have the header's stamp */

typedef struct HeapHead {
    uint32_t layout_id;
    uint32_t stamp;
    uint16_t n_columns;
    uint16_t capacity;
    uint16_t n_slots;    /* slots at or beyond were never used */
    uint16_t n_used;     /* bits in the used bitmap */
    uint16_t n_deleted;  /* bits in the deleted bitmap */
    uint16_t arrays_end; /* 16-aligned */
    uint16_t strings_start;
    uint16_t garbage; /* bytes of the string area that nothing refers to */
    uint8_t flags;
    uint8_t zero[7];
} HeapHead;
STATIC_ASSERT(sizeof(HeapHead) == 32 && offsetof(HeapHead, flags) == 24, "on-disk format");

enum {
    HEAP_DIR_NULLS = 1, /* a NULL was stored since the array was made */
    HEAP_DIR_FILL = 2,  /* while absent, the column reads as the layout's fill (otherwise as NULL) */
};
typedef struct HeapDir {
    uint16_t offset; /* of the array; 0 = absent */
    uint8_t width;   /* HeapWidth */
    uint8_t flags;
    uint16_t shared; /* STRING: the one copy of a long fill, or 0 */
    uint16_t shared_len;
} HeapDir;
STATIC_ASSERT(sizeof(HeapDir) == 8, "on-disk format");

enum { HEAP_DIR_AT = PAGE_HEADER_BYTES + sizeof(HeapHead) };

#define HEAP_REF_OVERFLOW (UINT64_C(1) << 63)
#define HEAP_REF_SHARED (UINT64_C(1) << 62)

/* Page bytes are seen as several types (a float column is copied as integers). */
typedef uint8_t __attribute__((may_alias)) PageU8;
typedef uint16_t __attribute__((may_alias)) PageU16;
typedef uint32_t __attribute__((may_alias)) PageU32;
typedef uint64_t __attribute__((may_alias)) PageU64;
typedef HeapView PageView;

static inline HeapHead *heap_head(uint8_t *page)
{
    return (HeapHead *)(void *)(page + PAGE_HEADER_BYTES);
}
static inline const HeapHead *heap_head_const(const uint8_t *page)
{
    return (const HeapHead *)(const void *)(page + PAGE_HEADER_BYTES);
}
static inline HeapDir *heap_dir(uint8_t *page)
{
    return (HeapDir *)(void *)(page + HEAP_DIR_AT);
}
static inline const HeapDir *heap_dir_const(const uint8_t *page)
{
    return (const HeapDir *)(const void *)(page + HEAP_DIR_AT);
}

/* ---- geometry ---- */

static inline uint32_t heap_words(uint32_t capacity)
{
    return (capacity + 63) / 64;
}
static inline uint32_t heap_used_at(uint32_t n_columns)
{
    return HEAP_DIR_AT + 8 * n_columns;
}
static inline uint32_t heap_deleted_at(uint32_t n_columns, uint32_t capacity)
{
    return heap_used_at(n_columns) + 8 * heap_words(capacity);
}
static inline uint32_t heap_stamps_at(uint32_t n_columns, uint32_t capacity)
{
    return heap_used_at(n_columns) + 16 * heap_words(capacity);
}
static inline uint32_t heap_generations_at(uint32_t n_columns, uint32_t capacity)
{
    return heap_stamps_at(n_columns, capacity) + 4 * capacity;
}
static inline uint32_t heap_arrays_at(uint32_t n_columns, uint32_t capacity)
{
    return (heap_generations_at(n_columns, capacity) + capacity + 15) & ~UINT32_C(15);
}
static inline uint32_t heap_data_bytes(unsigned width, uint32_t capacity)
{
    return (heap_width_bytes(width) * capacity + 7) & ~UINT32_C(7);
}
/* An array with its null bits. */
static inline uint32_t heap_array_bytes(unsigned width, uint32_t capacity)
{
    return (heap_data_bytes(width, capacity) + 8 * heap_words(capacity) + 15) & ~UINT32_C(15);
}

/* Parts of a page; capacity and column count come from its own header. */
static inline PageU64 *heap_used(uint8_t *page)
{
    return (PageU64 *)(void *)(page + heap_used_at(heap_head(page)->n_columns));
}
static inline PageU64 *heap_deleted(uint8_t *page)
{
    const HeapHead *h = heap_head(page);
    return (PageU64 *)(void *)(page + heap_deleted_at(h->n_columns, h->capacity));
}
static inline PageU32 *heap_stamps(uint8_t *page)
{
    const HeapHead *h = heap_head(page);
    return (PageU32 *)(void *)(page + heap_stamps_at(h->n_columns, h->capacity));
}
static inline uint8_t *heap_generations(uint8_t *page)
{
    const HeapHead *h = heap_head(page);
    return page + heap_generations_at(h->n_columns, h->capacity);
}
static inline uint8_t *heap_unconst(const uint8_t *page)
{
    return (uint8_t *)(uintptr_t)page;
}
static inline const PageU64 *heap_used_const(const uint8_t *page)
{
    return heap_used(heap_unconst(page));
}
static inline const PageU64 *heap_deleted_const(const uint8_t *page)
{
    return heap_deleted(heap_unconst(page));
}
static inline const PageU32 *heap_stamps_const(const uint8_t *page)
{
    return heap_stamps(heap_unconst(page));
}
static inline const uint8_t *heap_generations_const(const uint8_t *page)
{
    return heap_generations(heap_unconst(page));
}
/* Null bits of an array that is present. */
static inline PageU64 *heap_nulls(uint8_t *page, const HeapDir *d)
{
    return (PageU64 *)(void *)(page + d->offset + heap_data_bytes(d->width, heap_head(page)->capacity));
}
static inline const PageU64 *heap_nulls_const(const uint8_t *page, const HeapDir *d)
{
    return heap_nulls(heap_unconst(page), d);
}
static inline PageView *heap_views(uint8_t *page, const HeapDir *d)
{
    return (PageView *)(void *)(page + d->offset);
}
static inline const PageView *heap_views_const(const uint8_t *page, const HeapDir *d)
{
    return (const PageView *)(const void *)(page + d->offset);
}

static inline bool heap_bit(const PageU64 *bits, uint32_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}
static inline void heap_bit_set(PageU64 *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline void heap_bit_clear(PageU64 *bits, uint32_t i)
{
    bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* Out-of-line bytes of the view that belong to its row alone: freed with it. */
static inline uint32_t heap_view_private(const PageView *v)
{
    return v->len > HEAP_VIEW_INLINE && (v->ref & (HEAP_REF_OVERFLOW | HEAP_REF_SHARED)) == 0 ? v->len : 0;
}

/* ---- checks ---- */

/* The header is such that every part lies inside the page. */
bool heap_head_ok(const uint8_t *page);
/* The array that the entry names lies between the fixed parts and arrays_end, aligned. */
bool heap_dir_ok(const uint8_t *page, const HeapDir *d);
/* The view's bytes lie in the page's string area (or are inline, or in overflow). */
static inline bool heap_view_ok(const uint8_t *page, const PageView *v)
{
    if (v->len <= HEAP_VIEW_INLINE || (v->ref & HEAP_REF_OVERFLOW) != 0) {
        return true;
    }
    uint64_t at = v->ref & ~HEAP_REF_SHARED;
    return v->len <= HEAP_INLINE_MAX && at >= heap_head_const(page)->strings_start && at + v->len <= PAGE_BODY_END;
}
/* ST_CORRUPTED for a page, naming it and its object. */
Status heap_corrupted(Error *err, const uint8_t *page, const char *what);

/* ---- changing a page (redo functions only) ---- */

/*
 * Bytes of the string area in use, without the columns of `skip` (bit set per column; NULL = none). false: a view or
 * directory entry points outside.
 */
MUST_CHECK bool heap_live_strings(const uint8_t *page, const uint64_t *skip, uint32_t *out_bytes);
/*
 * Copies all strings that page's views name from `from` (a copy of the page or of the one it was made from) to the end
 * of the page's string area, in column and slot order, and corrects the views. Checked before by heap_live_strings.
 */
void heap_gather_strings(uint8_t *page, const uint8_t *from);
/* Moves all strings together, so that the gap holds all free bytes. false, page unchanged: it is corrupt. */
MUST_CHECK bool heap_compact(uint8_t *page);

/* ---- encoded values ---- */

/* Tags: 0, the width codes 1..6, and: */
enum { HEAP_TAG_NULL = 0, HEAP_TAG_OVERFLOW = 7, HEAP_TAG_FILL = 8, HEAP_TAG_END = 9 };
enum { HEAP_OVERFLOW_BYTES = 16 }; /* len 4, prefix 4, page id 8 */

/* One value as it stands in an encoding. */
typedef struct HeapField {
    uint8_t tag;
    uint32_t len;     /* bytes at p */
    const uint8_t *p; /* fixed bytes; string bytes; or an overflow reference */
} HeapField;

/* Reads the payload that goes with the tag; false when it is cut short or illegal. */
static inline bool heap_field_read(const uint8_t **io_at, const uint8_t *end, unsigned tag, HeapField *out)
{
    const uint8_t *at = *io_at;
    uint32_t len = 0;
    if (tag >= HEAP_W1 && tag <= HEAP_W16) {
        len = heap_width_bytes(tag);
    } else if (tag == HEAP_STRING) {
        if (at == end) {
            return false;
        }
        len = *at++;
        if (len >= 128) { /* 7 low bits, then the rest */
            if (at == end) {
                return false;
            }
            len = (len & 127) | (uint32_t)*at++ << 7;
            if (len > HEAP_INLINE_MAX || len < 128) {
                return false;
            }
        }
    } else if (tag == HEAP_TAG_OVERFLOW) {
        len = HEAP_OVERFLOW_BYTES;
    } else if (tag >= HEAP_TAG_END) {
        return false;
    }
    if ((size_t)(end - at) < len) {
        return false;
    }
    out->tag = (uint8_t)tag;
    out->len = len;
    out->p = at;
    *io_at = at + len;
    /* A reference to a value that would be inline is not one; nor is a page id of more than 40 bits. */
    return tag != HEAP_TAG_OVERFLOW || (load_u32(at) > HEAP_VIEW_INLINE && load_u64(at + 8) >> 40 == 0);
}
/* Does a field with this tag go into an array of the width? */
static inline bool heap_tag_fits(unsigned tag, unsigned width)
{
    return tag == HEAP_TAG_NULL || tag == width || (tag == HEAP_TAG_OVERFLOW && width == HEAP_STRING);
}
uint8_t heap_value_tag(unsigned width, const HeapValue *v);
/* Payload bytes of a value, exactly. */
uint32_t heap_payload_bytes(unsigned width, const HeapValue *v);
/* Writes the payload, returns its end. */
uint8_t *heap_payload_write(uint8_t *at, unsigned width, const HeapValue *v);
/* The value of a field; strings point into it. FILL is the caller's business. */
void heap_field_value(const HeapField *f, HeapValue *out);

/* An entry of a list: column (12 bits) and tag (4 bits), payload. Same statuses by bool. */
static inline bool heap_entry_read(const uint8_t **io_at, const uint8_t *end, uint16_t *out_column, HeapField *out)
{
    if (end - *io_at < 2) {
        return false;
    }
    uint16_t word = load_u16(*io_at);
    *io_at += 2;
    *out_column = word & 0xfff;
    return heap_field_read(io_at, end, word >> 12, out);
}
uint8_t *heap_entry_write(uint8_t *at, unsigned column, unsigned width, const HeapValue *v);

/*
 * A value of a page as it is stored: state, and for strings a view whose pointer is into the page (or an overflow
 * reference). false: the view points outside. The array is present and the slot below capacity.
 */
MUST_CHECK static inline bool heap_stored(const uint8_t *page, const HeapDir *d, unsigned slot, HeapValue *out)
{
    if ((d->flags & HEAP_DIR_NULLS) != 0 && heap_bit(heap_nulls_const(page, d), slot)) {
        *out = heap_null();
        return true;
    }
    unsigned bytes = heap_width_bytes(d->width);
    out->view = (HeapView){0};
    memcpy(out->bytes, page + d->offset + (size_t)slot * bytes, bytes);
    out->state = HEAP_PRESENT;
    if (d->width == HEAP_STRING && out->view.len > HEAP_VIEW_INLINE) {
        if ((out->view.ref & HEAP_REF_OVERFLOW) != 0) {
            out->state = HEAP_OVERFLOW;
            out->view.ref &= ~HEAP_REF_OVERFLOW;
            return true;
        }
        if (!heap_view_ok(page, (const PageView *)&out->view)) {
            return false;
        }
        out->view.ptr = (const char *)page + (out->view.ref & ~HEAP_REF_SHARED);
    }
    return true;
}

/*
 * How column c reads in this page: *out_dir the entry that has an array, or NULL when every row has *out_value (fill or
 * NULL). False: page and layout contradict each other.
 */
MUST_CHECK bool heap_locate(const HeapPage *p, unsigned c, const HeapDir **out_dir, HeapValue *out_value);

void heap_selection_clip(const HeapPage *p, HeapSelection *s);

/* The redo functions of overflow pages (overflow.c), for heap_register. */
Status heap_redo_overflow_init(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_overflow_trim(const WalPage *ref, uint8_t *page, Error *err);

/* The redo functions of table pages (heap_redo.c). */
Status heap_redo_init(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_insert(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_update(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_mark(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_free(const WalPage *ref, uint8_t *page, Error *err);
Status heap_redo_relayout(const WalPage *ref, uint8_t *page, Error *err);

/*
 * Would the redo function take the data? For what is built from bytes of elsewhere (before images), and re-layouts.
 */
bool heap_update_valid(const uint8_t *page, const uint8_t *data, uint32_t len);
bool heap_relayout_valid(const uint8_t *page, const uint8_t *data, uint32_t len, uint32_t *out_free);

/* Bytes that a value takes in a page beside its view. */
static inline uint32_t heap_out_of_line(unsigned width, const HeapValue *v)
{
    return width == HEAP_STRING && v->state == HEAP_PRESENT && v->view.len > HEAP_VIEW_INLINE ? v->view.len : 0;
}

/* What a dropped column takes: its value is nobody's. */
static inline const HeapValue *heap_effective(const HeapColumn *col, const HeapValue *v)
{
    static const HeapValue null = {.state = HEAP_NULL};
    return col->dropped ? &null : v;
}

/* Room for an array of the column: with its null bits and the shared fill string. */
static inline uint32_t heap_array_room(const HeapColumn *col, unsigned capacity)
{
    return heap_array_bytes(col->width, capacity) + heap_out_of_line(col->width, &col->fill);
}

/* The row fits a new page of that capacity. */
bool heap_first_row_fits(const HeapLayout *l, const HeapValue *row, unsigned capacity);
/* Bytes of a row in arrays (columns that differ from their fill) and of its out-of-line strings. */
void heap_row_parts(const HeapLayout *l, const HeapValue *row, uint32_t *out_fixed, uint32_t *out_strings);

/* Bodies of two of them (heap_redo_insert.c), which heap_redo.c wraps in its checks. */
Status heap_init_redo(const WalPage *ref, uint8_t *page, Error *err);
Status heap_insert_redo(const WalPage *ref, uint8_t *page, Error *err);

/* Encodings of page changes (offsets in heap_redo.c). */
enum { HEAP_INIT_BYTES = 20, HEAP_INSERT_BYTES = 12, HEAP_UPDATE_BYTES = 8, HEAP_RELAYOUT_BYTES = 12 };

#endif
