/*
 * access/heap_redo_insert.c: what INIT and INSERT records do to a page (encodings: heap_redo.c). The data are walked
 * twice: once to see that every value has a place, then to put it there.
 */
#include "access/heap_put.h"

static Status bad(Error *err, const uint8_t *page, const char *what)
{
    return heap_corrupted(err, page, what);
}

/* What the rows of an insert meet in a column: as it will be once the new arrays are made. */
typedef struct Target {
    const uint8_t *fill; /* its shared string; of an array made now: its fill, whatever the width */
    uint16_t fill_len;
    uint8_t width;   /* 0 = no array */
    bool fill_legal; /* images may say FILL */
} Target;

/* The string that the target's rows share. */
static inline uint32_t target_shared_len(const Target *t)
{
    return t->width == HEAP_STRING && t->fill_len > HEAP_VIEW_INLINE ? t->fill_len : 0;
}

typedef struct InsertBlock {
    uint32_t stamp;
    unsigned n_rows;
    unsigned n_new;
    const uint8_t *images;
    const uint8_t *slots; /* == new_arrays - 2 when consecutive */
    const uint8_t *new_arrays;
    const uint8_t *end;
    bool consecutive;
} InsertBlock;

static bool insert_parse(const uint8_t *p, size_t len, InsertBlock *out)
{
    if (len < HEAP_INSERT_BYTES) {
        return false;
    }
    InsertBlock b = {.stamp = load_u32(p), .n_rows = load_u16(p + 4), .n_new = load_u16(p + 6)};
    uint32_t image_bytes = load_u32(p + 8);
    len -= HEAP_INSERT_BYTES;
    b.images = p + HEAP_INSERT_BYTES;
    if (image_bytes > len || b.n_rows > HEAP_SLOTS_MAX) {
        return false;
    }
    len -= image_bytes;
    b.slots = b.images + image_bytes;
    b.consecutive = b.n_rows != 0 && len >= 2 && (load_u16(b.slots) & 0x8000) != 0;
    size_t slot_bytes = b.consecutive ? 2 : 2 * (size_t)b.n_rows;
    if (len < slot_bytes) {
        return false;
    }
    b.new_arrays = b.slots + slot_bytes;
    b.end = b.slots + len;
    *out = b;
    return true;
}

static inline unsigned insert_slot(const InsertBlock *b, unsigned i)
{
    return b->consecutive ? (load_u16(b->slots) & 0x7fffu) + i : load_u16(b->slots + 2 * (size_t)i);
}

/* H2: slots ascending, free, and not beyond the next one never used. */
static bool insert_slots_ok(const uint8_t *page, const InsertBlock *b)
{
    const HeapHead *h = heap_head_const(page);
    unsigned n_slots = h->n_slots;
    for (unsigned i = 0; i < b->n_rows; i++) {
        unsigned slot = insert_slot(b, i);
        if ((i > 0 && slot <= insert_slot(b, i - 1)) || slot >= h->capacity || slot > n_slots ||
            heap_bit(heap_used_const(page), slot)) {
            return false;
        }
        n_slots = slot >= n_slots ? slot + 1 : n_slots;
    }
    return true;
}

/* Fills the targets and adds the bytes of the new arrays to *io_need. */
static bool insert_targets(const uint8_t *page, const InsertBlock *b, Target *out, uint32_t *io_need)
{
    const HeapHead *h = heap_head_const(page);
    const HeapDir *dir = heap_dir_const(page);
    for (unsigned c = 0; c < h->n_columns; c++) {
        bool present = dir[c].offset != 0;
        if (present && !heap_dir_ok(page, &dir[c])) {
            return false;
        }
        out[c] = (Target){page + dir[c].shared, present ? dir[c].shared_len : 0, present ? dir[c].width : 0,
                          !present && (dir[c].flags & HEAP_DIR_FILL) != 0};
    }
    const uint8_t *at = b->new_arrays;
    int last = -1;
    for (unsigned i = 0; i < b->n_new; i++) {
        uint16_t c;
        HeapField f;
        if (!heap_entry_read(&at, b->end, &c, &f) || c <= last || !heap_new_array_ok(page, c, &f)) {
            return false;
        }
        last = c;
        *io_need += heap_new_array_bytes(page, c, &f);
        out[c] = (Target){f.p, (uint16_t)f.len, dir[c].width, f.tag != HEAP_TAG_NULL};
    }
    return at == b->end;
}

/* Walks the images: every value goes into its target. Adds string bytes to *io_need. */
static bool insert_images_ok(const InsertBlock *b, const Target *targets, unsigned n_columns, uint32_t *io_need)
{
    const uint8_t *at = b->images;
    for (unsigned row = 0; row < b->n_rows; row++) {
        if (b->slots - at < 2 + (int)(n_columns + 1) / 2 || load_u16(at) != n_columns) {
            return false;
        }
        const uint8_t *tags = at + 2;
        at = tags + (n_columns + 1) / 2;
        for (unsigned c = 0; c < n_columns; c++) {
            const Target *t = &targets[c];
            HeapField f;
            if (!heap_field_read(&at, b->slots, tags[c / 2] >> (c % 2 * 4) & 15, &f)) {
                return false;
            }
            if (f.tag == HEAP_TAG_FILL ? !t->fill_legal
                : t->width == 0        ? f.tag != HEAP_TAG_NULL || t->fill_legal
                                       : !heap_tag_fits(f.tag, t->width)) {
                return false;
            }
            *io_need += heap_field_private(&f, t->fill, target_shared_len(t));
        }
    }
    return at == b->slots && *io_need <= PAGE_BODY_BYTES;
}

static void insert_rows(uint8_t *page, const InsertBlock *b, const Target *targets)
{
    HeapHead *h = heap_head(page);
    HeapDir *dir = heap_dir(page);
    unsigned n_columns = h->n_columns;
    const uint8_t *at = b->images;
    if (h->n_used == 0 && b->n_rows != 0) {
        h->stamp = b->stamp;
        h->flags |= HEAP_UNIFORM;
    }
    for (unsigned row = 0; row < b->n_rows; row++) {
        unsigned slot = insert_slot(b, row);
        const uint8_t *tags = at + 2;
        at = tags + (n_columns + 1) / 2;
        for (unsigned c = 0; c < n_columns; c++) {
            HeapField f;
            bool ok = heap_field_read(&at, b->slots, tags[c / 2] >> (c % 2 * 4) & 15, &f);
            ASSERT(ok);
            if (dir[c].offset == 0) {
                continue;
            }
            if (UNLIKELY(f.tag == HEAP_TAG_FILL)) {
                f = (HeapField){.tag = dir[c].width, .len = targets[c].fill_len, .p = targets[c].fill};
            }
            heap_put(page, &dir[c], slot, &f);
        }
        h->n_slots = (uint16_t)(slot >= h->n_slots ? slot + 1 : h->n_slots);
        heap_bit_set(heap_used(page), slot);
        h->n_used++;
        heap_set_stamp(page, slot, b->stamp);
    }
}

static Status insert_block(uint8_t *page, const uint8_t *p, size_t len, Error *err)
{
    Target targets[HEAP_COLUMNS_MAX];
    InsertBlock b;
    uint32_t need = 0;
    if (!insert_parse(p, len, &b) || !insert_slots_ok(page, &b) || !insert_targets(page, &b, targets, &need) ||
        !insert_images_ok(&b, targets, heap_head_const(page)->n_columns, &need) || need > heap_page_free(page) ||
        !heap_make_room(page, need)) {
        return bad(err, page, "a logged insert does not fit it");
    }
    const uint8_t *at = b.new_arrays;
    for (unsigned i = 0; i < b.n_new; i++) {
        uint16_t c;
        HeapField f;
        bool ok = heap_entry_read(&at, b.end, &c, &f);
        ASSERT(ok);
        heap_make_array(page, &heap_dir(page)[c], &f);
    }
    insert_rows(page, &b, targets);
    return ST_OK;
}

Status heap_insert_redo(const WalPage *ref, uint8_t *page, Error *err)
{
    if (!heap_head_ok(page)) {
        return bad(err, page, "its header contradicts itself");
    }
    return insert_block(page, ref->data, ref->len, err);
}

Status heap_init_redo(const WalPage *ref, uint8_t *page, Error *err)
{
    uint64_t own_id = page_header(page)->id;
    const uint8_t *p = ref->data;
    unsigned n_columns = ref->len < HEAP_INIT_BYTES ? UINT16_MAX : load_u16(p + 16);
    unsigned capacity = n_columns > HEAP_COLUMNS_MAX ? 0 : load_u16(p + 18);
    if (capacity == 0 || capacity > HEAP_SLOTS_MAX || ref->len < HEAP_INIT_BYTES + n_columns ||
        heap_arrays_at(n_columns, capacity) > PAGE_BODY_END) {
        return bad(err, page, "a logged initialisation is malformed");
    }
    for (unsigned c = 0; c < n_columns; c++) {
        unsigned width = p[HEAP_INIT_BYTES + c] & 0x7f;
        if (width < HEAP_W1 || width > HEAP_STRING) {
            return bad(err, page, "a logged initialisation is malformed");
        }
    }
    page_init(page, ref->id, (ObjId){load_u64(p)}, load_u32(p + 8), PAGE_TABLE, HEAP_FORMAT);
    HeapHead *h = heap_head(page);
    h->layout_id = load_u32(p + 12);
    h->n_columns = (uint16_t)n_columns;
    h->capacity = (uint16_t)capacity;
    h->arrays_end = (uint16_t)heap_arrays_at(n_columns, capacity);
    h->strings_start = PAGE_BODY_END;
    for (unsigned c = 0; c < n_columns; c++) {
        uint8_t byte = p[HEAP_INIT_BYTES + c];
        heap_dir(page)[c].width = byte & 0x7f;
        heap_dir(page)[c].flags = (byte & 0x80) != 0 ? HEAP_DIR_FILL : 0;
    }
    Status st = insert_block(page, p + HEAP_INIT_BYTES + n_columns, ref->len - HEAP_INIT_BYTES - n_columns, err);
    if (st != ST_OK) { /* back to what it was: all zero but for the id */
        memset(page, 0, PAGE_BYTES);
        page_header(page)->id = own_id;
    }
    return st;
}
