/*
 * access/heap_put.h: the primitive changes of a table page that its redo functions are made of. All validation is done
 * by then: nothing here fails, but heap_make_room on a corrupt page.
 */
#ifndef RDB_ACCESS_HEAP_PUT_H
#define RDB_ACCESS_HEAP_PUT_H

#include "access/heap_int.h"

/* H3: an array after the others, all rows below n_slots holding the fill. The room is there. */
static inline void heap_make_array(uint8_t *page, HeapDir *d, const HeapField *fill)
{
    HeapHead *h = heap_head(page);
    unsigned bytes = heap_width_bytes(d->width);
    uint32_t total = heap_array_bytes(d->width, h->capacity);
    ASSERT(d->offset == 0 && h->arrays_end + total <= h->strings_start);
    d->offset = h->arrays_end;
    h->arrays_end = (uint16_t)(h->arrays_end + total);
    memset(page + d->offset, 0, total);
    if (fill->tag == HEAP_TAG_NULL) {
        PageU64 *nulls = heap_nulls(page, d);
        for (unsigned slot = 0; slot < h->n_slots; slot++) {
            heap_bit_set(nulls, slot);
        }
        d->flags = (uint8_t)(d->flags | (h->n_slots != 0 ? HEAP_DIR_NULLS : 0));
        return;
    }
    HeapValue v;
    heap_field_value(fill, &v);
    if (d->width == HEAP_STRING && fill->len > HEAP_VIEW_INLINE) {
        h->strings_start = (uint16_t)(h->strings_start - fill->len);
        memcpy(page + h->strings_start, fill->p, fill->len);
        d->shared = h->strings_start;
        d->shared_len = (uint16_t)fill->len;
        v.view.ref = HEAP_REF_SHARED | d->shared;
    }
    for (unsigned slot = 0; slot < h->n_slots; slot++) {
        memcpy(page + d->offset + slot * bytes, v.bytes, bytes);
    }
}

/* Out-of-line bytes that a field takes in a page beyond its view. */
static inline uint32_t heap_field_private(const HeapField *f, const uint8_t *shared, uint32_t shared_len)
{
    if (f->tag != HEAP_STRING || f->len <= HEAP_VIEW_INLINE ||
        (shared_len == f->len && memcmp(shared, f->p, f->len) == 0)) {
        return 0;
    }
    return f->len;
}

static inline void heap_put_string(uint8_t *page, HeapDir *d, unsigned slot, const HeapField *f)
{
    HeapHead *h = heap_head(page);
    PageView *v = &heap_views(page, d)[slot];
    if (f->tag == HEAP_TAG_OVERFLOW) {
        memcpy(v, f->p, HEAP_OVERFLOW_BYTES);
        v->ref |= HEAP_REF_OVERFLOW;
        return;
    }
    *v = heap_view((const char *)f->p, f->len);
    if (f->len <= HEAP_VIEW_INLINE) {
        return;
    }
    if (heap_field_private(f, page + d->shared, d->shared_len) == 0) {
        v->ref = HEAP_REF_SHARED | d->shared;
        return;
    }
    ASSERT(h->strings_start - h->arrays_end >= (int)f->len);
    h->strings_start = (uint16_t)(h->strings_start - f->len);
    memcpy(page + h->strings_start, f->p, f->len);
    v->ref = h->strings_start;
}

/* Stores a field into an array that is there; what the slot held was released before. */
static inline void heap_put(uint8_t *page, HeapDir *d, unsigned slot, const HeapField *f)
{
    uint8_t *data = page + d->offset;
    if (f->tag == HEAP_TAG_NULL) {
        unsigned bytes = heap_width_bytes(d->width);
        d->flags |= HEAP_DIR_NULLS;
        heap_bit_set(heap_nulls(page, d), slot);
        memset(data + (size_t)slot * bytes, 0, bytes);
        return;
    }
    if ((d->flags & HEAP_DIR_NULLS) != 0) {
        heap_bit_clear(heap_nulls(page, d), slot);
    }
    switch (f->tag) {
    case HEAP_W1: data[slot] = *f->p; break;
    case HEAP_W2: memcpy(data + (size_t)slot * 2, f->p, 2); break;
    case HEAP_W4: memcpy(data + (size_t)slot * 4, f->p, 4); break;
    case HEAP_W8: memcpy(data + (size_t)slot * 8, f->p, 8); break;
    case HEAP_W16: memcpy(data + (size_t)slot * 16, f->p, 16); break;
    default: heap_put_string(page, d, slot, f); break;
    }
}

/* The slot's own string bytes become garbage. */
static inline void heap_release(uint8_t *page, HeapDir *d, unsigned slot)
{
    if (d->width == HEAP_STRING && d->offset != 0) {
        HeapHead *h = heap_head(page);
        PageView *v = &heap_views(page, d)[slot];
        h->garbage = (uint16_t)(h->garbage + heap_view_private(v));
        *v = (HeapView){0};
    }
}

static inline void heap_set_stamp(uint8_t *page, unsigned slot, uint32_t stamp)
{
    HeapHead *h = heap_head(page);
    PageU32 *stamps = heap_stamps(page);
    if ((h->flags & HEAP_UNIFORM) != 0) {
        if (h->stamp == stamp) {
            return;
        }
        for (unsigned i = 0; i < h->n_slots; i++) {
            stamps[i] = h->stamp;
        }
        h->flags &= (uint8_t)~HEAP_UNIFORM;
    }
    stamps[slot] = stamp;
}

/*
 * The gap between arrays and strings becomes at least `need`; total free bytes suffice. False, page unchanged:
 * corrupt.
 */
static inline bool heap_make_room(uint8_t *page, uint32_t need)
{
    const HeapHead *h = heap_head_const(page);
    return (uint32_t)h->strings_start - h->arrays_end >= need || heap_compact(page);
}

static inline uint32_t heap_page_free(const uint8_t *page)
{
    const HeapHead *h = heap_head_const(page);
    return (uint32_t)h->strings_start - h->arrays_end + h->garbage;
}

/* An entry of `new arrays` fits its column, which has no array. */
static inline bool heap_new_array_ok(const uint8_t *page, unsigned column, const HeapField *fill)
{
    const HeapHead *h = heap_head_const(page);
    if (column >= h->n_columns) {
        return false;
    }
    const HeapDir *d = &heap_dir_const(page)[column];
    return d->offset == 0 && d->width >= HEAP_W1 && d->width <= HEAP_STRING && fill->tag != HEAP_TAG_OVERFLOW &&
           heap_tag_fits(fill->tag, d->width) && (fill->tag != HEAP_TAG_NULL) == ((d->flags & HEAP_DIR_FILL) != 0);
}

static inline uint32_t heap_new_array_bytes(const uint8_t *page, unsigned column, const HeapField *fill)
{
    return heap_array_bytes(heap_dir_const(page)[column].width, heap_head_const(page)->capacity) +
           (fill->tag == HEAP_STRING && fill->len > HEAP_VIEW_INLINE ? fill->len : 0);
}

#endif
