/*
 * access/heap_redo.c: what log records do to table pages. First execution and recovery are the same code.
 *
 * Every function validates its data against the page first and changes the page only when nothing can fail any more;
 * ST_CORRUPTED leaves the page as it was. Arrays are made and strings moved together when the data say or need so,
 * which page and data alone decide: the same record on the same page gives the same bytes.
 *
 *   insert block  [stamp 4][n_rows 2][n_new 2][image_bytes 4][images][slots][new arrays]
 *                 slots: one word, first | 0x8000, when they are consecutive; otherwise n_rows words, ascending
 *                 new arrays: n_new list entries, the column and its fill, for columns that get an array now
 *   INIT          [object 8][ordinal 4][layout 4][n_columns 2][capacity 2][per column: width, 0x80 has a fill][insert
 *   block]
 *   INSERT        [insert block]
 *   UPDATE        [stamp 4][slot 2][n_new 2][new arrays][list]; new arrays are for columns of the list only
 *   MARK, UNMARK  [n 2] then n times [slot 2][stamp 4], slots ascending
 *   FREE          [n 2][slots]
 *   RELAYOUT      [layout 4][capacity 2][old n_columns 2][n_columns 2][n_dropped 2][per added column: width,
 *                 0x80][dropped columns, 2 each]
 */
#include "access/heap_put.h"

static Status bad(Error *err, const uint8_t *page, const char *what)
{
    return heap_corrupted(err, page, what);
}

/* ---- update ---- */

static bool in_use(const uint8_t *page, unsigned slot)
{
    return slot < heap_head_const(page)->n_slots && heap_bit(heap_used_const(page), slot);
}

/*
 * Walks list and new arrays side by side: *out_need the bytes that arrays and strings take, *out_freed those of the old
 * values. `at` is at the new arrays and comes back at the list's first entry.
 */
static bool update_ok(const uint8_t *page, unsigned slot, unsigned n_new, const uint8_t **io_at, const uint8_t *end,
                      uint32_t *out_need, uint32_t *out_freed)
{
    const uint8_t *news = *io_at;
    const uint8_t *at = news;
    uint16_t c;
    HeapField f;
    for (unsigned i = 0; i < n_new; i++) {
        if (!heap_entry_read(&at, end, &c, &f)) {
            return false;
        }
    }
    if (end - at < 2) {
        return false;
    }
    unsigned n = load_u16(at);
    *io_at = at;
    at += 2;
    uint32_t need = 0;
    uint32_t freed = 0;
    unsigned met = 0; /* new arrays */
    uint16_t new_column = 0;
    HeapField fill = {0};
    const uint8_t *limit = *io_at;
    if (n_new != 0 && !heap_entry_read(&news, limit, &new_column, &fill)) {
        return false;
    }
    for (int last = -1; n > 0; n--, last = c) {
        if (!heap_entry_read(&at, end, &c, &f) || c <= last || c >= heap_head_const(page)->n_columns) {
            return false;
        }
        const HeapDir *d = &heap_dir_const(page)[c];
        if (met < n_new && new_column == c) {
            if (!heap_new_array_ok(page, c, &fill) || !heap_tag_fits(f.tag, d->width)) {
                return false;
            }
            need += heap_new_array_bytes(page, c, &fill) +
                    heap_field_private(&f, fill.p, fill.tag == HEAP_STRING ? fill.len : 0);
            if (++met < n_new && !heap_entry_read(&news, limit, &new_column, &fill)) {
                return false;
            }
        } else {
            if (d->offset == 0 || !heap_dir_ok(page, d) || !heap_tag_fits(f.tag, d->width)) {
                return false;
            }
            need += heap_field_private(&f, page + d->shared, d->shared_len);
            if (d->width == HEAP_STRING) {
                const PageView *v = &heap_views_const(page, d)[slot];
                if (!heap_view_ok(page, v)) {
                    return false;
                }
                freed += heap_view_private(v);
            }
        }
        if (need > 2 * PAGE_BYTES || freed > PAGE_BYTES) {
            return false;
        }
    }
    *out_need = need;
    *out_freed = freed;
    return at == end && met == n_new;
}

typedef struct Update {
    uint32_t stamp;
    unsigned slot;
    unsigned n_new;
    const uint8_t *news;
    const uint8_t *list; /* its count, then the entries */
    const uint8_t *end;
    bool compact; /* strings have to be moved together */
} Update;

static bool update_parse(const uint8_t *page, const uint8_t *data, uint32_t len, Update *out)
{
    uint32_t need;
    uint32_t freed;
    uint32_t live;
    if (!heap_head_ok(page) || len < HEAP_UPDATE_BYTES) {
        return false;
    }
    const HeapHead *h = heap_head_const(page);
    *out = (Update){.stamp = load_u32(data),
                    .slot = load_u16(data + 4),
                    .n_new = load_u16(data + 6),
                    .news = data + HEAP_UPDATE_BYTES,
                    .list = data + HEAP_UPDATE_BYTES,
                    .end = data + len};
    if (!in_use(page, out->slot) || !update_ok(page, out->slot, out->n_new, &out->list, out->end, &need, &freed) ||
        need > heap_page_free(page) + freed || h->garbage + freed > (uint32_t)PAGE_BODY_END - h->strings_start) {
        return false;
    }
    out->compact = (uint32_t)h->strings_start - h->arrays_end < need;
    return !out->compact ||
           (heap_live_strings(page, NULL, &live) && live == (uint32_t)PAGE_BODY_END - h->strings_start - h->garbage);
}

bool heap_update_valid(const uint8_t *page, const uint8_t *data, uint32_t len)
{
    Update u;
    return update_parse(page, data, len, &u);
}

/*
 * The old strings are released before room is made: so a before image, whose bytes were reserved, always fits where the
 * value it replaces stood (H7).
 */
static Status redo_update(const WalPage *ref, uint8_t *page, Error *err)
{
    Update u;
    if (!update_parse(page, ref->data, ref->len, &u)) {
        return bad(err, page, "a logged update does not fit it");
    }
    HeapDir *dir = heap_dir(page);
    uint16_t c;
    HeapField f;
    const uint8_t *at = u.list + 2;
    while (at != u.end) {
        bool ok = heap_entry_read(&at, u.end, &c, &f);
        ASSERT(ok);
        heap_release(page, &dir[c], u.slot);
    }
    if (u.compact) {
        bool ok = heap_compact(page);
        ASSERT(ok);
    }
    for (at = u.news; at != u.list;) {
        bool ok = heap_entry_read(&at, u.list, &c, &f);
        ASSERT(ok);
        heap_make_array(page, &dir[c], &f);
    }
    for (at = u.list + 2; at != u.end;) {
        bool ok = heap_entry_read(&at, u.end, &c, &f);
        ASSERT(ok);
        heap_put(page, &dir[c], u.slot, &f);
    }
    heap_set_stamp(page, u.slot, u.stamp);
    return ST_OK;
}

/* ---- delete marks, free ---- */

static Status redo_mark(const WalPage *ref, uint8_t *page, Error *err)
{
    bool mark = ref->redo == HEAP_REDO_MARK;
    unsigned n = ref->len < 2 ? 0 : load_u16(ref->data);
    if (!heap_head_ok(page) || ref->len != heap_mark_bytes(n) || n > HEAP_SLOTS_MAX) {
        return bad(err, page, "a logged delete is malformed");
    }
    HeapHead *h = heap_head(page);
    PageU64 *deleted = heap_deleted(page);
    int last = -1;
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = load_u16(ref->data + 2 + 6 * i);
        if ((int)slot <= last || !in_use(page, slot) || heap_bit(deleted, slot) == mark) {
            return bad(err, page, "a logged delete does not fit it");
        }
        last = (int)slot;
    }
    if (mark ? h->n_deleted + n > h->n_used : n > h->n_deleted) {
        return bad(err, page, "its row counts are wrong");
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = load_u16(ref->data + 2 + 6 * i);
        deleted[slot / 64] ^= UINT64_C(1) << (slot % 64);
        heap_set_stamp(page, slot, load_u32(ref->data + 4 + 6 * i));
    }
    h->n_deleted = (uint16_t)(mark ? h->n_deleted + n : h->n_deleted - n);
    return ST_OK;
}

/* All string columns are where they should be, and the views of the slots with them. */
static bool free_ok(const uint8_t *page, const uint8_t *slots, unsigned n)
{
    const HeapHead *h = heap_head_const(page);
    const HeapDir *dir = heap_dir_const(page);
    uint32_t freed = h->garbage;
    for (unsigned c = 0; c < h->n_columns; c++) {
        if (dir[c].offset == 0 || dir[c].width != HEAP_STRING) {
            continue;
        }
        if (!heap_dir_ok(page, &dir[c])) {
            return false;
        }
        for (unsigned i = 0; i < n; i++) {
            const PageView *v = &heap_views_const(page, &dir[c])[load_u16(slots + 2 * i)];
            if (!heap_view_ok(page, v)) {
                return false;
            }
            freed += heap_view_private(v);
        }
    }
    return freed <= (uint32_t)PAGE_BODY_END - h->strings_start;
}

static Status redo_free(const WalPage *ref, uint8_t *page, Error *err)
{
    unsigned n = ref->len < 2 ? 0 : load_u16(ref->data);
    const uint8_t *slots = ref->data + 2;
    if (!heap_head_ok(page) || ref->len != heap_slots_bytes(n) || n > heap_head_const(page)->n_used) {
        return bad(err, page, "a logged free is malformed");
    }
    int last = -1;
    unsigned n_deleted = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = load_u16(slots + 2 * i);
        if ((int)slot <= last || !in_use(page, slot)) {
            return bad(err, page, "a logged free does not fit it");
        }
        n_deleted += heap_bit(heap_deleted_const(page), slot);
        last = (int)slot;
    }
    HeapHead *h = heap_head(page);
    HeapDir *dir = heap_dir(page);
    if (!free_ok(page, slots, n) || n_deleted > h->n_deleted || h->n_deleted - n_deleted > h->n_used - n) {
        return bad(err, page, "a logged free does not fit it");
    }
    for (unsigned c = 0; c < h->n_columns; c++) {
        for (unsigned i = 0; i < n && dir[c].width == HEAP_STRING; i++) {
            heap_release(page, &dir[c], load_u16(slots + 2 * i));
        }
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = load_u16(slots + 2 * i);
        heap_bit_clear(heap_used(page), slot);
        heap_bit_clear(heap_deleted(page), slot);
        heap_generations(page)[slot]++;
    }
    h->n_used = (uint16_t)(h->n_used - n);
    h->n_deleted = (uint16_t)(h->n_deleted - n_deleted);
    return ST_OK;
}

/* ---- relayout ---- */

typedef struct Relayout {
    uint32_t layout;
    unsigned capacity;
    unsigned n_old;
    unsigned n_columns;
    unsigned n_dropped;
    const uint8_t *added;   /* a byte each */
    const uint8_t *dropped; /* two bytes each */
    uint64_t drop[HEAP_COLUMNS_MAX / 64];
} Relayout;

static bool relayout_parse(const uint8_t *page, const uint8_t *p, uint32_t len, Relayout *out)
{
    const HeapHead *h = heap_head_const(page);
    if (len < HEAP_RELAYOUT_BYTES) {
        return false;
    }
    *out = (Relayout){.layout = load_u32(p),
                      .capacity = load_u16(p + 4),
                      .n_old = load_u16(p + 6),
                      .n_columns = load_u16(p + 8),
                      .n_dropped = load_u16(p + 10)};
    if (out->n_old != h->n_columns || out->n_columns < out->n_old || out->n_columns > HEAP_COLUMNS_MAX ||
        out->capacity < 1 || out->capacity < h->n_slots || out->capacity > HEAP_SLOTS_MAX ||
        len != HEAP_RELAYOUT_BYTES + out->n_columns - out->n_old + 2 * out->n_dropped) {
        return false;
    }
    out->added = p + HEAP_RELAYOUT_BYTES;
    out->dropped = out->added + out->n_columns - out->n_old;
    for (unsigned i = 0; i < out->n_columns - out->n_old; i++) {
        unsigned width = out->added[i] & 0x7f;
        if (width < HEAP_W1 || width > HEAP_STRING) {
            return false;
        }
    }
    for (unsigned i = 0; i < out->n_dropped; i++) {
        unsigned c = load_u16(out->dropped + 2 * i);
        if (c >= out->n_old) {
            return false;
        }
        out->drop[c / 64] |= UINT64_C(1) << (c % 64);
    }
    return true;
}

static bool dropped(const Relayout *r, unsigned c)
{
    return r->drop[c / 64] >> (c % 64) & 1;
}

/* All that is to be copied is there, adds up, and fits the new geometry: *out_free bytes will be free. */
static bool relayout_fits(const uint8_t *page, const Relayout *r, uint32_t *out_free)
{
    const HeapHead *h = heap_head_const(page);
    const HeapDir *dir = heap_dir_const(page);
    uint32_t live;
    uint32_t total = heap_arrays_at(r->n_columns, r->capacity);
    for (unsigned c = 0; c < r->n_old; c++) {
        if (dir[c].offset != 0 && !dropped(r, c)) {
            if (!heap_dir_ok(page, &dir[c])) {
                return false;
            }
            total += heap_array_bytes(dir[c].width, r->capacity);
        }
        if (total > PAGE_BODY_END) {
            return false;
        }
    }
    if (!heap_live_strings(page, NULL, &live) || live != (uint32_t)PAGE_BODY_END - h->strings_start - h->garbage ||
        !heap_live_strings(page, r->drop, &live) || total + live > PAGE_BODY_END) {
        return false;
    }
    *out_free = PAGE_BODY_END - total - live;
    return true;
}

bool heap_relayout_valid(const uint8_t *page, const uint8_t *data, uint32_t len, uint32_t *out_free)
{
    Relayout r;
    return heap_head_ok(page) && relayout_parse(page, data, len, &r) && relayout_fits(page, &r, out_free);
}

static void relayout_array(uint8_t *page, const uint8_t *old, unsigned c)
{
    HeapHead *h = heap_head(page);
    const HeapDir *from = &heap_dir_const(old)[c];
    HeapDir *to = &heap_dir(page)[c];
    to->offset = h->arrays_end;
    h->arrays_end = (uint16_t)(h->arrays_end + heap_array_bytes(to->width, h->capacity));
    memcpy(page + to->offset, old + from->offset, (size_t)h->n_slots * heap_width_bytes(to->width));
    memcpy(heap_nulls(page, to), heap_nulls_const(old, from), 8 * heap_words(h->n_slots));
}

static Status redo_relayout(const WalPage *ref, uint8_t *page, Error *err)
{
    Relayout r;
    uint32_t free_after;
    if (!heap_head_ok(page) || !relayout_parse(page, ref->data, ref->len, &r) ||
        !relayout_fits(page, &r, &free_after)) {
        return bad(err, page, "a logged re-layout does not fit it");
    }
    uint8_t old[PAGE_BYTES] __attribute__((aligned(16)));
    memcpy(old, page, PAGE_BYTES);
    memset(page + PAGE_HEADER_BYTES, 0, PAGE_BODY_BYTES);
    HeapHead *h = heap_head(page);
    *h = *heap_head_const(old);
    h->layout_id = r.layout;
    h->n_columns = (uint16_t)r.n_columns;
    h->capacity = (uint16_t)r.capacity;
    h->arrays_end = (uint16_t)heap_arrays_at(r.n_columns, r.capacity);
    HeapDir *dir = heap_dir(page);
    memcpy(dir, heap_dir_const(old), r.n_old * sizeof *dir);
    for (unsigned c = r.n_old; c < r.n_columns; c++) {
        uint8_t byte = r.added[c - r.n_old];
        dir[c] = (HeapDir){.width = byte & 0x7f, .flags = (byte & 0x80) != 0 ? HEAP_DIR_FILL : 0};
    }
    memcpy(heap_used(page), heap_used_const(old), 8 * heap_words(h->n_slots));
    memcpy(heap_deleted(page), heap_deleted_const(old), 8 * heap_words(h->n_slots));
    memcpy(heap_stamps(page), heap_stamps_const(old), 4 * (size_t)h->n_slots);
    memcpy(heap_generations(page), heap_generations_const(old), h->n_slots);
    for (unsigned c = 0; c < r.n_old; c++) {
        if (dropped(&r, c)) {
            dir[c] = (HeapDir){.width = dir[c].width};
        } else if (dir[c].offset != 0) {
            relayout_array(page, old, c);
        }
    }
    heap_gather_strings(page, old);
    return ST_OK;
}

/* ---- the public ones ---- */

/*
 * In checking builds: a page that was sound stays so, and one for which the data were wrong is untouched. A page that
 * was not sound (bytes from disk) only has to be survived.
 */
static Status checked(RedoFn fn, const WalPage *ref, uint8_t *page, Error *err)
{
#ifdef RDB_SLOW_CHECKS
    uint8_t before[PAGE_BYTES] __attribute__((aligned(16)));
    memcpy(before, page, PAGE_BYTES);
    bool sound = (ref->flags & WAL_PAGE_INIT) != 0 || heap_page_check(page, NULL) == ST_OK;
    Status st = fn(ref, page, err);
    ASSERT(st == ST_OK ? !sound || heap_page_check(page, NULL) == ST_OK : memcmp(before, page, PAGE_BYTES) == 0);
    return st;
#else
    return fn(ref, page, err);
#endif
}

Status heap_redo_init(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(heap_init_redo, ref, page, err);
}
Status heap_redo_insert(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(heap_insert_redo, ref, page, err);
}
Status heap_redo_update(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(redo_update, ref, page, err);
}
Status heap_redo_mark(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(redo_mark, ref, page, err);
}
Status heap_redo_free(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(redo_free, ref, page, err);
}
Status heap_redo_relayout(const WalPage *ref, uint8_t *page, Error *err)
{
    return checked(redo_relayout, ref, page, err);
}

void heap_register(StoreRegistry *r)
{
    static const struct {
        uint8_t kind;
        RedoFn fn;
    } redo[] = {
        {HEAP_REDO_INIT, heap_redo_init},
        {HEAP_REDO_INSERT, heap_redo_insert},
        {HEAP_REDO_UPDATE, heap_redo_update},
        {HEAP_REDO_MARK, heap_redo_mark},
        {HEAP_REDO_UNMARK, heap_redo_mark},
        {HEAP_REDO_FREE, heap_redo_free},
        {HEAP_REDO_RELAYOUT, heap_redo_relayout},
        {HEAP_REDO_OVERFLOW_INIT, heap_redo_overflow_init},
        {HEAP_REDO_OVERFLOW_TRIM, heap_redo_overflow_trim},
    };
    static const char *const names[] = {"heap insert", "heap update",   "heap delete",    "heap undelete",
                                        "heap free",   "heap relayout", "overflow write", "overflow free"};
    for (unsigned i = 0; i < ARRAY_LEN(redo); i++) {
        ASSERT(r->redo[redo[i].kind] == NULL);
        r->redo[redo[i].kind] = redo[i].fn;
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        r->type_name[HEAP_WAL_INSERT + i] = names[i];
    }
}
