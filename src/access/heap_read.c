/*
 * access/heap_read.c: reading single rows (values, before images) and reading log records back.
 */
#include "access/heap_int.h"

bool heap_locate(const HeapPage *p, unsigned c, const HeapDir **out_dir, HeapValue *out_value)
{
    ASSERT(p->layout != NULL && c < p->layout->n_columns);
    const HeapColumn *col = &p->layout->columns[c];
    *out_dir = NULL;
    if (col->dropped || c >= p->n_columns) { /* a dropped one may be of another width here: an aborted ADD COLUMN's */
        *out_value = col->dropped ? heap_null() : col->fill;
        return true;
    }
    const HeapDir *d = &heap_dir_const(p->page)[c];
    if (d->width != col->width) {
        return false;
    }
    if (d->offset == 0) {
        *out_value = (d->flags & HEAP_DIR_FILL) != 0 ? col->fill : heap_null();
        return true;
    }
    *out_dir = d;
    return heap_dir_ok(p->page, d);
}

static Status contradiction(const HeapPage *p, Error *err)
{
    return heap_corrupted(err, p->page, "a column is not what its layout says, or a value lies outside the page");
}

Status heap_read(const HeapPage *p, unsigned slot, const uint16_t *columns, unsigned n, char *strings, Error *err,
                 HeapValue *out_values)
{
    ASSERT(slot < p->n_slots && heap_bit(heap_used_const(p->page), slot));
    uint32_t used = 0;
    for (unsigned i = 0; i < n; i++) {
        const HeapDir *d;
        HeapValue *v = &out_values[i];
        if (!heap_locate(p, columns[i], &d, v) || (d != NULL && !heap_stored(p->page, d, slot, v))) {
            return contradiction(p, err);
        }
        if (d != NULL && d->width == HEAP_STRING && v->state == HEAP_PRESENT && v->view.len > HEAP_VIEW_INLINE) {
            if (v->view.len > PAGE_BYTES - used) { /* overlapping strings: more bytes than a page has */
                return contradiction(p, err);
            }
            memcpy(strings + used, v->view.ptr, v->view.len);
            v->view.ptr = strings + used;
            used += v->view.len;
        }
    }
    return ST_OK;
}

Status heap_before_image(const HeapPage *p, unsigned slot, const uint16_t *columns, unsigned n, Error *err,
                         uint8_t *out, uint32_t *out_len)
{
    ASSERT(slot < p->n_slots && heap_bit(heap_used_const(p->page), slot));
    uint8_t *at = out + 2;
    uint32_t strings = 0;
    store_u16(out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        const HeapDir *d;
        HeapValue v;
        ASSERT(i == 0 || columns[i] > columns[i - 1]);
        if (!heap_locate(p, columns[i], &d, &v) || (d != NULL && !heap_stored(p->page, d, slot, &v))) {
            return contradiction(p, err);
        }
        unsigned width = p->layout->columns[columns[i]].width;
        if (d != NULL && width == HEAP_STRING && v.state == HEAP_PRESENT && v.view.len > HEAP_VIEW_INLINE) {
            strings += v.view.len;
            if (strings > PAGE_BODY_BYTES) { /* what heap_before_bytes_max counts on */
                return contradiction(p, err);
            }
        }
        at = heap_entry_write(at, columns[i], width, &v);
    }
    *out_len = (uint32_t)(at - out);
    return ST_OK;
}

/* ---- records ---- */

static Status malformed(Error *err)
{
    return err_set(err, ST_CORRUPTED, "malformed log record of a table page");
}

/* Walks over an encoded image; false when it is cut short. */
static bool skip_image(const uint8_t **io_at, const uint8_t *end)
{
    const uint8_t *at = *io_at;
    unsigned n = end - at < 2 ? UINT16_MAX : load_u16(at);
    if (n > HEAP_COLUMNS_MAX || (size_t)(end - at) < 2 + (size_t)(n + 1) / 2) {
        return false;
    }
    const uint8_t *tags = at + 2;
    at = tags + (n + 1) / 2;
    for (unsigned c = 0; c < n; c++) {
        HeapField f;
        if (!heap_field_read(&at, end, tags[c / 2] >> (c % 2 * 4) & 15, &f)) {
            return false;
        }
    }
    *io_at = at;
    return true;
}

/* Reads the insert block's head: c->at the images, c->end their end, slots follow. */
static Status begin_insert(HeapChange *c, const uint8_t *p, size_t len, Error *err)
{
    if (len < HEAP_INSERT_BYTES) {
        return malformed(err);
    }
    uint32_t image_bytes = load_u32(p + 8);
    size_t rest = len - HEAP_INSERT_BYTES;
    c->stamp = load_u32(p);
    c->n_rows = load_u16(p + 4);
    if (image_bytes > rest || c->n_rows > HEAP_SLOTS_MAX) {
        return malformed(err);
    }
    rest -= image_bytes;
    c->at = p + HEAP_INSERT_BYTES;
    c->end = c->at + image_bytes;
    bool consecutive = c->n_rows != 0 && rest >= 2 && (load_u16(c->end) & 0x8000) != 0;
    return !consecutive && rest < 2 * (size_t)c->n_rows ? malformed(err) : ST_OK;
}

static Status begin_update(HeapChange *c, const WalPage *ref, Error *err)
{
    if (ref->len < HEAP_UPDATE_BYTES) {
        return malformed(err);
    }
    c->stamp = load_u32(ref->data);
    c->n_rows = 1;
    c->at = ref->data;
    c->end = ref->data + ref->len;
    return ST_OK;
}

Status heap_change_begin(HeapChange *out_change, const WalPage *ref, Error *err)
{
    HeapChange c = {.kind = ref->redo};
    Status st = ST_OK;
    unsigned n_columns;
    switch (ref->redo) {
    case HEAP_REDO_INIT:
        n_columns = ref->len < HEAP_INIT_BYTES ? UINT16_MAX : load_u16(ref->data + 16);
        if (ref->len < HEAP_INIT_BYTES + n_columns) {
            return malformed(err);
        }
        c.layout = load_u32(ref->data + 12);
        st = begin_insert(&c, ref->data + HEAP_INIT_BYTES + n_columns, ref->len - HEAP_INIT_BYTES - n_columns, err);
        break;
    case HEAP_REDO_INSERT: st = begin_insert(&c, ref->data, ref->len, err); break;
    case HEAP_REDO_UPDATE: st = begin_update(&c, ref, err); break;
    case HEAP_REDO_MARK:
    case HEAP_REDO_UNMARK:
    case HEAP_REDO_FREE:
        c.n_rows = ref->len < 2 ? 0 : load_u16(ref->data);
        if (ref->len != (ref->redo == HEAP_REDO_FREE ? heap_slots_bytes(c.n_rows) : heap_mark_bytes(c.n_rows))) {
            return malformed(err);
        }
        c.at = ref->data + 2;
        c.end = ref->data + ref->len;
        break;
    case HEAP_REDO_RELAYOUT:
        if (ref->len < HEAP_RELAYOUT_BYTES) {
            return malformed(err);
        }
        c.layout = load_u32(ref->data);
        break;
    default: return malformed(err);
    }
    c.left = c.n_rows;
    *out_change = c;
    return st;
}

/* The list of an update lies behind its new arrays. */
static Status update_row(HeapChange *c, Error *err, HeapChangeRow *out)
{
    const uint8_t *at = c->at + HEAP_UPDATE_BYTES;
    uint16_t column;
    HeapField f;
    for (unsigned i = load_u16(c->at + 6); i > 0; i--) {
        if (!heap_entry_read(&at, c->end, &column, &f)) {
            return malformed(err);
        }
    }
    *out = (HeapChangeRow){
        .slot = load_u16(c->at + 4), .stamp = c->stamp, .list = at, .list_len = (uint32_t)(c->end - at)};
    return ST_OK;
}

Status heap_change_row(HeapChange *c, Error *err, HeapChangeRow *out_row)
{
    if (c->left == 0) {
        return ST_END;
    }
    unsigned i = c->n_rows - c->left--;
    if (c->kind == HEAP_REDO_UPDATE) {
        return update_row(c, err, out_row);
    }
    if (c->kind == HEAP_REDO_MARK || c->kind == HEAP_REDO_UNMARK) {
        *out_row = (HeapChangeRow){.slot = load_u16(c->at + 6 * i), .stamp = load_u32(c->at + 6 * i + 2)};
        return ST_OK;
    }
    if (c->kind == HEAP_REDO_FREE) {
        *out_row = (HeapChangeRow){.slot = load_u16(c->at + 2 * i)};
        return ST_OK;
    }
    const uint8_t *image = c->at;
    if (!skip_image(&c->at, c->end)) {
        return malformed(err);
    }
    uint16_t first = load_u16(c->end);
    *out_row = (HeapChangeRow){
        .slot = (first & 0x8000) != 0 ? (uint16_t)((first & 0x7fff) + i) : load_u16(c->end + 2 * (size_t)i),
        .stamp = c->stamp,
        .image = image,
        .image_len = (uint32_t)(c->at - image),
    };
    return ST_OK;
}
