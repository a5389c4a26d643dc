/*
 * access/heap_page.c: looking at a table page: opening, row states, its invariants, and moving its strings together.
 */
#include "access/heap_int.h"

Status heap_corrupted(Error *err, const uint8_t *page, const char *what)
{
    const PageHeader *h = page_header_const(page);
    return err_set(err, ST_CORRUPTED, "table page %llu of object %llu: %s", (unsigned long long)h->id,
                   (unsigned long long)h->object, what);
}

bool heap_head_ok(const uint8_t *page)
{
    const PageHeader *ph = page_header_const(page);
    const HeapHead *h = heap_head_const(page);
    return ph->type == PAGE_TABLE && ph->format == HEAP_FORMAT && h->n_columns <= HEAP_COLUMNS_MAX &&
           h->capacity >= 1 && h->capacity <= HEAP_SLOTS_MAX && h->n_slots <= h->capacity && h->n_used <= h->n_slots &&
           h->n_deleted <= h->n_used && h->arrays_end % 16 == 0 &&
           h->arrays_end >= heap_arrays_at(h->n_columns, h->capacity) && h->arrays_end <= h->strings_start &&
           h->strings_start <= PAGE_BODY_END && h->garbage <= PAGE_BODY_END - h->strings_start &&
           (h->flags & ~HEAP_UNIFORM) == 0;
}

bool heap_dir_ok(const uint8_t *page, const HeapDir *d)
{
    const HeapHead *h = heap_head_const(page);
    return d->width >= HEAP_W1 && d->width <= HEAP_STRING && d->offset % 16 == 0 &&
           d->offset >= heap_arrays_at(h->n_columns, h->capacity) &&
           d->offset + heap_array_bytes(d->width, h->capacity) <= h->arrays_end &&
           (d->shared_len == 0 || (d->width == HEAP_STRING && d->shared_len <= HEAP_INLINE_MAX &&
                                   d->shared >= h->strings_start && d->shared + d->shared_len <= PAGE_BODY_END));
}

Status heap_open(const uint8_t *page, const HeapShape *shape, Error *err, HeapPage *out_page)
{
    if (UNLIKELY(!heap_head_ok(page))) {
        return heap_corrupted(err, page, "its header contradicts itself");
    }
    const HeapHead *h = heap_head_const(page);
    *out_page = (HeapPage){
        .page = page,
        .layout = shape != NULL ? heap_newest(shape) : NULL,
        .n_slots = h->n_slots,
        .capacity = h->capacity,
        .n_columns = h->n_columns,
        .n_used = h->n_used,
        .n_deleted = h->n_deleted,
    };
    return ST_OK;
}

HeapRow heap_row(const HeapPage *p, unsigned slot)
{
    if (slot >= p->n_slots || !heap_bit(heap_used_const(p->page), slot)) {
        return (HeapRow){.used = false};
    }
    const HeapHead *h = heap_head_const(p->page);
    return (HeapRow){
        .used = true,
        .deleted = heap_bit(heap_deleted_const(p->page), slot),
        .generation = heap_generations_const(p->page)[slot],
        .stamp = (h->flags & HEAP_UNIFORM) != 0 ? h->stamp : heap_stamps_const(p->page)[slot],
    };
}

bool heap_find(const HeapPage *p, Tid tid, unsigned *out_slot)
{
    unsigned slot = tid_slot(tid);
    if (page_header_const(p->page)->id != tid_page(tid).v || slot >= p->n_slots ||
        !heap_bit(heap_used_const(p->page), slot) || heap_generations_const(p->page)[slot] != tid_generation(tid)) {
        return false;
    }
    *out_slot = slot;
    return true;
}

Tid heap_tid(const HeapPage *p, unsigned slot)
{
    ASSERT(slot < p->n_slots);
    return tid_make((PageId){page_header_const(p->page)->id}, slot, heap_generations_const(p->page)[slot]);
}

uint32_t heap_free_bytes(const HeapPage *p)
{
    const HeapHead *h = heap_head_const(p->page);
    return (uint32_t)h->strings_start - h->arrays_end + h->garbage;
}

unsigned heap_space_class(const HeapPage *p, uint32_t reserved)
{
    uint32_t free_bytes = heap_free_bytes(p);
    uint32_t usable = free_bytes > reserved ? free_bytes - reserved : 0;
    if (p->n_used == p->capacity) {
        return 0;
    }
    /* A page made for rows without long strings has no string room and needs none: only its slots count. */
    uint32_t slots = (uint32_t)(p->capacity - p->n_used) * SPACE_CLASS_MAX / p->capacity;
    uint32_t strings = (uint32_t)PAGE_BODY_END - heap_head_const(p->page)->arrays_end;
    uint32_t room = strings < 256 ? SPACE_CLASS_MAX : usable * SPACE_CLASS_MAX / PAGE_BODY_BYTES;
    uint32_t least = room < slots ? room : slots;
    return least == 0 ? 1 : least;
}

/* ---- strings ---- */

bool heap_live_strings(const uint8_t *page, const uint64_t *skip, uint32_t *out_bytes)
{
    const HeapHead *h = heap_head_const(page);
    const HeapDir *dir = heap_dir_const(page);
    const PageU64 *used = heap_used_const(page);
    uint32_t bytes = 0;
    for (unsigned c = 0; c < h->n_columns; c++) {
        if (dir[c].width != HEAP_STRING || dir[c].offset == 0 || (skip != NULL && (skip[c / 64] >> (c % 64) & 1))) {
            continue;
        }
        if (!heap_dir_ok(page, &dir[c])) {
            return false;
        }
        bytes += dir[c].shared_len;
        const PageView *views = heap_views_const(page, &dir[c]);
        for (unsigned w = 0; w < heap_words(h->n_slots); w++) {
            for (uint64_t bits = used[w]; bits != 0; bits &= bits - 1) {
                unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
                if (slot >= h->n_slots || !heap_view_ok(page, &views[slot])) {
                    return false;
                }
                bytes += heap_view_private(&views[slot]);
            }
        }
        if (bytes > PAGE_BODY_BYTES) {
            return false;
        }
    }
    *out_bytes = bytes;
    return true;
}

/* Copies len bytes of `from` at offset to the low end of the page's strings; returns their new offset. */
static uint16_t gather(uint8_t *page, const uint8_t *from, uint64_t offset, uint32_t len)
{
    HeapHead *h = heap_head(page);
    ASSERT(h->strings_start - h->arrays_end >= (int)len);
    h->strings_start = (uint16_t)(h->strings_start - len);
    memcpy(page + h->strings_start, from + offset, len);
    return h->strings_start;
}

void heap_gather_strings(uint8_t *page, const uint8_t *from)
{
    HeapHead *h = heap_head(page);
    HeapDir *dir = heap_dir(page);
    const PageU64 *used = heap_used(page);
    h->strings_start = PAGE_BODY_END;
    h->garbage = 0;
    for (unsigned c = 0; c < h->n_columns; c++) {
        if (dir[c].width != HEAP_STRING || dir[c].offset == 0) {
            continue;
        }
        if (dir[c].shared_len != 0) {
            dir[c].shared = gather(page, from, dir[c].shared, dir[c].shared_len);
        }
        PageView *views = heap_views(page, &dir[c]);
        for (unsigned w = 0; w < heap_words(h->n_slots); w++) {
            for (uint64_t bits = used[w]; bits != 0; bits &= bits - 1) {
                PageView *v = &views[w * 64 + (unsigned)__builtin_ctzll(bits)];
                if (v->len > HEAP_VIEW_INLINE && (v->ref & HEAP_REF_SHARED) != 0 && (v->ref & HEAP_REF_OVERFLOW) == 0) {
                    v->ref = HEAP_REF_SHARED | dir[c].shared;
                } else if (heap_view_private(v) != 0) {
                    v->ref = gather(page, from, v->ref, v->len);
                }
            }
        }
    }
}

bool heap_compact(uint8_t *page)
{
    uint32_t live;
    const HeapHead *h = heap_head_const(page);
    if (!heap_live_strings(page, NULL, &live) || live != (uint32_t)PAGE_BODY_END - h->strings_start - h->garbage) {
        return false;
    }
    uint8_t old[PAGE_BYTES] __attribute__((aligned(16)));
    memcpy(old + h->strings_start, page + h->strings_start, (size_t)PAGE_BODY_END - h->strings_start);
    heap_gather_strings(page, old);
    return true;
}

/* ---- invariants ---- */

/* Marks [at, at + len) as taken in a bitmap of the page's bytes; false when part of it was. */
static bool claim(uint64_t *taken, uint32_t at, uint32_t len)
{
    uint32_t end = at + len;
    while (at < end) {
        uint32_t n = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
        uint64_t mask = UINT64_MAX >> (64 - n) << (at % 64);
        if ((taken[at / 64] & mask) != 0) {
            return false;
        }
        taken[at / 64] |= mask;
        at += n;
    }
    return true;
}

/* H2: bits only below n_slots, counted in the header, deleted within used. */
static const char *check_bitmaps(const uint8_t *page)
{
    const HeapHead *h = heap_head_const(page);
    const PageU64 *used = heap_used_const(page);
    const PageU64 *deleted = heap_deleted_const(page);
    unsigned n_used = 0;
    unsigned n_deleted = 0;
    for (unsigned w = 0; w < heap_words(h->capacity); w++) {
        uint64_t legal = w * 64 >= h->n_slots         ? 0
                         : h->n_slots - w * 64 >= 64u ? UINT64_MAX
                                                      : (UINT64_C(1) << (h->n_slots - w * 64)) - 1;
        if ((used[w] & ~legal) != 0 || (deleted[w] & ~used[w]) != 0) {
            return "a bitmap has a bit too many";
        }
        n_used += (unsigned)__builtin_popcountll(used[w]);
        n_deleted += (unsigned)__builtin_popcountll(deleted[w]);
    }
    return n_used != h->n_used || n_deleted != h->n_deleted ? "its row counts are wrong" : NULL;
}

/* H3: an entry is absent or a whole array that overlaps no other. */
static const char *check_dir(const uint8_t *page, const HeapDir *d, uint64_t *taken)
{
    const HeapHead *h = heap_head_const(page);
    if (d->width < HEAP_W1 || d->width > HEAP_STRING || (d->flags & ~(HEAP_DIR_NULLS | HEAP_DIR_FILL)) != 0) {
        return "a directory entry is malformed";
    }
    if (d->offset == 0) {
        return d->shared != 0 || d->shared_len != 0 || (d->flags & HEAP_DIR_NULLS) != 0
                   ? "an absent column has an array's attributes"
                   : NULL;
    }
    if (!heap_dir_ok(page, d) || !claim(taken, d->offset, heap_array_bytes(d->width, h->capacity))) {
        return "an array lies outside its place";
    }
    if (d->shared_len != 0 && (d->shared_len <= HEAP_VIEW_INLINE || !claim(taken, d->shared, d->shared_len))) {
        return "a shared string lies outside its place";
    }
    return NULL;
}

/* H5: the view of a row in use. */
static const char *check_view(const uint8_t *page, const HeapDir *d, const PageView *v, uint64_t *taken)
{
    if (v->len <= HEAP_VIEW_INLINE) {
        for (unsigned i = v->len; i < HEAP_VIEW_INLINE; i++) {
            if (v->inl[i] != 0) {
                return "an inline string is not padded with zeros";
            }
        }
        return NULL;
    }
    if ((v->ref & HEAP_REF_OVERFLOW) != 0) {
        return (v->ref & ~HEAP_REF_OVERFLOW) >> 40 != 0 ? "an overflow reference is malformed" : NULL;
    }
    if (!heap_view_ok(page, v)) {
        return "a string lies outside its place";
    }
    uint32_t at = (uint32_t)(v->ref & ~HEAP_REF_SHARED);
    if (memcmp(v->prefix, page + at, 4) != 0) {
        return "a string's prefix is not its beginning";
    }
    if ((v->ref & HEAP_REF_SHARED) != 0) {
        return d->shared_len != v->len || d->shared != at ? "a shared string is not the column's" : NULL;
    }
    if (d->shared_len == v->len && memcmp(page + at, page + d->shared, v->len) == 0) {
        return "a string equal to the fill has its own bytes";
    }
    return claim(taken, at, v->len) ? NULL : "two strings overlap";
}

/* H4, H5: null bits and values of the rows in use. */
static const char *check_array(const uint8_t *page, const HeapDir *d, uint64_t *taken, uint32_t *io_live)
{
    static const uint8_t zeros[16];
    const HeapHead *h = heap_head_const(page);
    unsigned bytes = heap_width_bytes(d->width);
    const PageU64 *nulls = heap_nulls_const(page, d);
    for (unsigned w = 0; w < heap_words(h->capacity) && (d->flags & HEAP_DIR_NULLS) == 0; w++) {
        if (nulls[w] != 0) { /* also for slots not in use: their bits are cleared only where NULLs are announced */
            return "a null bit is not announced";
        }
    }
    for (unsigned slot = 0; slot < h->n_slots; slot++) {
        if (!heap_bit(heap_used_const(page), slot)) {
            continue;
        }
        if (heap_bit(nulls, slot)) {
            if (memcmp(page + d->offset + slot * bytes, zeros, bytes) != 0) {
                return "a NULL is not all zero";
            }
        } else if (d->width == HEAP_STRING) {
            const PageView *v = &heap_views_const(page, d)[slot];
            const char *wrong = check_view(page, d, v, taken);
            if (wrong != NULL) {
                return wrong;
            }
            *io_live += heap_view_private(v);
        }
    }
    return NULL;
}

Status heap_page_check(const uint8_t *page, Error *err)
{
    if (!heap_head_ok(page)) {
        return heap_corrupted(err, page, "its header contradicts itself");
    }
    const HeapHead *h = heap_head_const(page);
    const HeapDir *dir = heap_dir_const(page);
    uint64_t taken[PAGE_BYTES / 64] = {0};
    uint32_t arrays = heap_arrays_at(h->n_columns, h->capacity);
    uint32_t live = 0;
    const char *wrong = check_bitmaps(page);
    for (unsigned c = 0; c < h->n_columns && wrong == NULL; c++) {
        wrong = check_dir(page, &dir[c], taken);
        if (wrong == NULL && dir[c].offset != 0) {
            arrays += heap_array_bytes(dir[c].width, h->capacity);
            live += dir[c].shared_len;
        }
    }
    for (unsigned c = 0; c < h->n_columns && wrong == NULL; c++) {
        wrong = dir[c].offset != 0 ? check_array(page, &dir[c], taken, &live) : NULL;
    }
    if (wrong == NULL && arrays != h->arrays_end) {
        wrong = "its arrays leave a hole";
    }
    if (wrong == NULL && live != (uint32_t)PAGE_BODY_END - h->strings_start - h->garbage) {
        wrong = "its string bytes do not add up"; /* H6 */
    }
    return wrong != NULL ? heap_corrupted(err, page, wrong) : ST_OK;
}
