/*
 * access/heap_scan.c: reading many rows of a page: which are there, and copying the selected ones out column by column.
 *
 * Under the latch there is no allocation and no call-out: destinations are the caller's. When all rows below n_slots
 * are selected a column is one memcpy; otherwise runs of selected rows are copied. Strings are copied as views whose
 * pointers are then moved from the page to the copy: of the whole string area when much of it is wanted, else one by
 * one.
 */
#include "access/heap_int.h"

/* No bits at or beyond n_slots: on a sound page there are none, on a damaged one they would lead outside the arrays. */
void heap_selection_clip(const HeapPage *p, HeapSelection *s)
{
    if (p->n_slots % 64 != 0 && s->n_words == heap_words(p->n_slots)) {
        s->bits[p->n_slots / 64] &= (UINT64_C(1) << (p->n_slots % 64)) - 1;
    }
}

unsigned heap_select_live(const HeapPage *p, HeapSelection *out)
{
    const PageU64 *used = heap_used_const(p->page);
    const PageU64 *deleted = heap_deleted_const(p->page);
    out->n_words = heap_words(p->n_slots);
    for (unsigned w = 0; w < out->n_words; w++) {
        out->bits[w] = used[w] & ~deleted[w];
    }
    heap_selection_clip(p, out);
    return heap_selection_count(out);
}

unsigned heap_select_used(const HeapPage *p, HeapSelection *out)
{
    out->n_words = heap_words(p->n_slots);
    memcpy(out->bits, heap_used_const(p->page), 8 * out->n_words);
    heap_selection_clip(p, out);
    return heap_selection_count(out);
}

unsigned heap_selection_count(const HeapSelection *s)
{
    unsigned n = 0;
    for (unsigned w = 0; w < s->n_words; w++) {
        n += (unsigned)__builtin_popcountll(s->bits[w]);
    }
    return n;
}

/* ---- rows to copy ---- */

/* The selected slots in ascending order; `all` when they are 0..n-1. */
typedef struct Rows {
    unsigned n;
    bool all;
    uint16_t slots[HEAP_SLOTS_MAX];
} Rows;

static void rows_of(const HeapPage *p, const HeapSelection *sel, Rows *out)
{
    unsigned n = 0;
    unsigned words = sel->n_words < heap_words(p->n_slots) ? sel->n_words : heap_words(p->n_slots);
    for (unsigned w = 0; w < words; w++) {
        for (uint64_t bits = sel->bits[w]; bits != 0; bits &= bits - 1) {
            out->slots[n++] = (uint16_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
        }
    }
    while (n > 0 && out->slots[n - 1] >= p->n_slots) { /* a selection made for another page: a caller's mistake */
        n--;
    }
    out->n = n;
    out->all = n > 0 && out->slots[n - 1] == n - 1;
}

#define GATHER(type)                                                                                                   \
    do {                                                                                                               \
        type *to = out;                                                                                                \
        const type *from = (const type *)(const void *)data;                                                           \
        for (unsigned i = 0; i < rows->n; i++) {                                                                       \
            to[i] = from[rows->slots[i]];                                                                              \
        }                                                                                                              \
    } while (0)

typedef struct Pair {
    uint64_t v[2];
} __attribute__((may_alias)) Pair;

static void copy_data(const uint8_t *data, unsigned bytes, const Rows *rows, void *out)
{
    if (rows->all) {
        memcpy(out, data, (size_t)rows->n * bytes);
        return;
    }
    switch (bytes) {
    case 1: GATHER(PageU8); break;
    case 2: GATHER(PageU16); break;
    case 4: GATHER(PageU32); break;
    case 8: GATHER(PageU64); break;
    default: GATHER(Pair); break;
    }
}

/* Null bits of the rows, dense; returns whether there is one. */
static bool copy_nulls(const PageU64 *nulls, const Rows *rows, uint64_t *out)
{
    uint64_t any = 0;
    unsigned words = heap_words(rows->n);
    if (rows->all) {
        memcpy(out, nulls, 8 * words);
        out[words - 1] &= UINT64_MAX >> ((64 - rows->n % 64) % 64);
    } else {
        memset(out, 0, 8 * words);
        for (unsigned i = 0; i < rows->n; i++) {
            out[i / 64] |= (uint64_t)heap_bit(nulls, rows->slots[i]) << (i % 64);
        }
    }
    for (unsigned w = 0; w < words; w++) {
        any |= out[w];
    }
    return any != 0;
}

/* ---- strings ---- */

/* Where string bytes go: `whole` once the page's string area has been copied as it is. */
typedef struct StringCopy {
    const HeapPage *page;
    char *to;
    uint32_t used;
    bool whole;
} StringCopy;

/* Copies the area whole when that is cheaper than value by value; once, before the first column. */
static void begin_strings(StringCopy *s, const Rows *rows)
{
    const HeapHead *h = heap_head_const(s->page->page);
    uint32_t bytes = (uint32_t)PAGE_BODY_END - h->strings_start;
    if (rows->n * 4 >= s->page->n_used * 3u && h->garbage < bytes / 2 + 64) {
        memcpy(s->to, s->page->page + h->strings_start, bytes);
        s->used = bytes;
        s->whole = true;
    }
}

/*
 * Makes views of page offsets ones of pointers. False: one points outside the page, or there are more bytes than a
 * page has.
 */
static bool move_strings(StringCopy *s, const HeapDir *d, HeapColumnOut *c, unsigned n)
{
    const uint8_t *page = s->page->page;
    HeapView *views = c->data;
    uint32_t start = heap_head_const(page)->strings_start;
    const char *shared = NULL;
    for (unsigned i = 0; i < n; i++) {
        HeapView *v = &views[i];
        if (v->len <= HEAP_VIEW_INLINE) {
            continue;
        }
        if ((v->ref & HEAP_REF_OVERFLOW) != 0) {
            if (!c->any_overflow) {
                memset(c->overflow, 0, 8 * heap_words(n));
                c->any_overflow = true;
            }
            c->overflow[i / 64] |= UINT64_C(1) << (i % 64);
            v->ref &= ~HEAP_REF_OVERFLOW;
            continue;
        }
        bool is_shared = (v->ref & HEAP_REF_SHARED) != 0;
        if (!heap_view_ok(page, v)) {
            return false;
        }
        uint32_t at = (uint32_t)(v->ref & ~HEAP_REF_SHARED);
        if (s->whole) {
            v->ptr = s->to + (at - start);
            continue;
        }
        if (is_shared && at == d->shared && shared != NULL && v->len == d->shared_len) {
            v->ptr = shared;
            continue;
        }
        if (v->len > PAGE_BYTES - s->used) {
            return false;
        }
        memcpy(s->to + s->used, page + at, v->len);
        v->ptr = s->to + s->used;
        s->used += v->len;
        shared = is_shared && at == d->shared ? v->ptr : shared;
    }
    return true;
}

/* ---- columns ---- */

static void constant_column(HeapColumnOut *c, unsigned width, const HeapValue *v, unsigned n)
{
    unsigned bytes = heap_width_bytes(width);
    uint8_t *to = c->data;
    c->constant = true;
    c->any_null = v->state == HEAP_NULL;
    if (c->any_null) {
        memset(to, 0, (size_t)n * bytes);
    } else {
        for (unsigned i = 0; i < n; i++) {
            memcpy(to + (size_t)i * bytes, v->bytes, bytes);
        }
    }
    memset(c->nulls, c->any_null ? 0xff : 0, 8 * heap_words(n));
    if (n > 0) {
        c->nulls[heap_words(n) - 1] &= UINT64_MAX >> ((64 - n % 64) % 64);
    }
}

static bool copy_column(const HeapPage *p, const Rows *rows, HeapColumnOut *c, StringCopy *strings)
{
    const HeapDir *d;
    HeapValue v;
    c->any_null = false;
    c->any_overflow = false;
    c->constant = false;
    if (!heap_locate(p, c->column, &d, &v)) {
        return false;
    }
    if (d == NULL) {
        constant_column(c, p->layout->columns[c->column].width, &v, rows->n);
        return true;
    }
    copy_data(p->page + d->offset, heap_width_bytes(d->width), rows, c->data);
    if ((d->flags & HEAP_DIR_NULLS) != 0) {
        c->any_null = copy_nulls(heap_nulls_const(p->page, d), rows, c->nulls);
    } else {
        memset(c->nulls, 0, 8 * heap_words(rows->n));
    }
    return d->width != HEAP_STRING || move_strings(strings, d, c, rows->n);
}

static bool any_string(const HeapPage *p, const HeapColumnOut *columns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (p->layout->columns[columns[i].column].width == HEAP_STRING) {
            return true;
        }
    }
    return false;
}

/* Slots, generations, stamps of the rows. */
static void copy_rows(const HeapPage *p, const Rows *rows, HeapBatch *out)
{
    const HeapHead *h = heap_head_const(p->page);
    out->n_rows = rows->n;
    if (out->slots != NULL) {
        memcpy(out->slots, rows->slots, rows->n * sizeof rows->slots[0]);
    }
    if (out->generations != NULL) {
        copy_data(heap_generations_const(p->page), 1, rows, out->generations);
    }
    if (out->stamps != NULL && (h->flags & HEAP_UNIFORM) != 0) {
        for (unsigned i = 0; i < rows->n; i++) {
            out->stamps[i] = h->stamp;
        }
    } else if (out->stamps != NULL) {
        copy_data((const uint8_t *)heap_stamps_const(p->page), 4, rows, out->stamps);
    }
}

Status heap_copy(const HeapPage *p, const HeapSelection *sel, HeapColumnOut *columns, unsigned n_columns, Error *err,
                 HeapBatch *out)
{
    Rows rows;
    rows_of(p, sel, &rows);
    StringCopy strings = {.page = p, .to = out->strings};
    if (rows.n > 0 && any_string(p, columns, n_columns)) {
        begin_strings(&strings, &rows);
    }
    copy_rows(p, &rows, out);
    for (unsigned i = 0; i < n_columns; i++) {
        if (!copy_column(p, &rows, &columns[i], &strings)) {
            return heap_corrupted(err, p->page, "a column is not what its layout says, or a value lies outside it");
        }
    }
    out->strings_used = strings.used;
    return ST_OK;
}
