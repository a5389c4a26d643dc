/*
 * access/heap_value.c: layouts, values, and their one encoding (images and lists) for log and undo.
 *
 *   list   [n 2] then n entries [column 12 bits | tag 4 bits][payload], columns ascending
 *   image  [n_columns 2][a tag nibble per column, low first][payloads in column order]; columns beyond read as the fill
 *
 * Tags: 0 NULL; 1..5 fixed width 1, 2, 4, 8, 16; 6 a string [length: 1 byte below 128, else 2][bytes]; 7 an overflow
 * reference [length 4][prefix 4][page id 8]; 8 (images only) the layout's fill.
 */
#include "access/heap_int.h"

/* ---- layouts ---- */

const HeapLayout *heap_layout(const HeapShape *s, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = s->n_layouts;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->layouts[mid]->id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < s->n_layouts && s->layouts[low]->id == id ? s->layouts[low] : NULL;
}

Status heap_layout_check(const HeapLayout *l, Error *err)
{
    if (l->n_columns > HEAP_COLUMNS_MAX) {
        return err_set(err, ST_TOO_MANY_COLUMNS, "tables can have at most %d columns", HEAP_COLUMNS_MAX);
    }
    for (unsigned c = 0; c < l->n_columns; c++) {
        const HeapColumn *col = &l->columns[c];
        if (col->width < HEAP_W1 || col->width > HEAP_STRING || col->fill.state == HEAP_OVERFLOW) {
            return err_set(err, ST_INTERNAL, "column %u of layout %u is malformed", c, l->id);
        }
        if (col->width == HEAP_STRING && col->fill.state == HEAP_PRESENT && col->fill.view.len > HEAP_INLINE_MAX) {
            return err_set(err, ST_PROGRAM_LIMIT_EXCEEDED, "default of %u bytes is too long to be kept beside the rows",
                           col->fill.view.len);
        }
    }
    return ST_OK;
}

bool heap_value_eq(unsigned width, const HeapValue *a, const HeapValue *b)
{
    if (a->state != b->state || a->state == HEAP_NULL) {
        return a->state == b->state;
    }
    if (width != HEAP_STRING) {
        return memcmp(a->bytes, b->bytes, heap_width_bytes(width)) == 0;
    }
    if (a->view.len != b->view.len) {
        return false;
    }
    if (a->state == HEAP_OVERFLOW) {
        return a->view.ref == b->view.ref;
    }
    return memcmp(heap_view_ptr(&a->view), heap_view_ptr(&b->view), a->view.len) == 0;
}

/* ---- one value ---- */

uint8_t heap_value_tag(unsigned width, const HeapValue *v)
{
    if (v->state == HEAP_NULL) {
        return HEAP_TAG_NULL;
    }
    if (v->state == HEAP_OVERFLOW) {
        ASSERT(width == HEAP_STRING && v->view.len > HEAP_VIEW_INLINE);
        return HEAP_TAG_OVERFLOW;
    }
    return (uint8_t)width;
}

uint32_t heap_payload_bytes(unsigned width, const HeapValue *v)
{
    if (v->state == HEAP_NULL) {
        return 0;
    }
    if (v->state == HEAP_OVERFLOW) {
        return HEAP_OVERFLOW_BYTES;
    }
    return width != HEAP_STRING ? heap_width_bytes(width) : v->view.len + (v->view.len < 128 ? 1 : 2);
}

uint8_t *heap_payload_write(uint8_t *at, unsigned width, const HeapValue *v)
{
    if (v->state == HEAP_NULL) {
        return at;
    }
    if (v->state == HEAP_OVERFLOW) {
        store_u32(at, v->view.len);
        memcpy(at + 4, v->view.prefix, 4);
        store_u64(at + 8, v->view.ref);
        return at + HEAP_OVERFLOW_BYTES;
    }
    if (width != HEAP_STRING) {
        memcpy(at, v->bytes, heap_width_bytes(width));
        return at + heap_width_bytes(width);
    }
    uint32_t len = v->view.len;
    ASSERT(len <= HEAP_INLINE_MAX);
    if (len < 128) {
        *at++ = (uint8_t)len;
    } else {
        *at++ = (uint8_t)(len | 128);
        *at++ = (uint8_t)(len >> 7);
    }
    memcpy(at, heap_view_ptr(&v->view), len);
    return at + len;
}

void heap_field_value(const HeapField *f, HeapValue *out)
{
    *out = heap_null();
    if (f->tag == HEAP_STRING) {
        *out = heap_string((const char *)f->p, f->len);
    } else if (f->tag == HEAP_TAG_OVERFLOW) {
        out->state = HEAP_OVERFLOW;
        out->view.len = load_u32(f->p);
        memcpy(out->view.prefix, f->p + 4, 4);
        out->view.ref = load_u64(f->p + 8);
    } else if (f->tag != HEAP_TAG_NULL) {
        ASSERT(f->tag <= HEAP_W16);
        out->view = (HeapView){0};
        memcpy(out->bytes, f->p, f->len);
        out->state = HEAP_PRESENT;
    }
}

/* ---- lists ---- */

uint8_t *heap_entry_write(uint8_t *at, unsigned column, unsigned width, const HeapValue *v)
{
    store_u16(at, (uint16_t)(column | (unsigned)heap_value_tag(width, v) << 12));
    return heap_payload_write(at + 2, width, v);
}

uint32_t heap_list_bytes_max(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n)
{
    uint32_t bytes = 2;
    for (unsigned i = 0; i < n; i++) {
        ASSERT(columns[i] < l->n_columns);
        bytes += 2 + heap_payload_bytes(l->columns[columns[i]].width, &values[i]);
    }
    return bytes;
}

uint32_t heap_list_encode(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n,
                          uint8_t *out)
{
    uint8_t *at = out + 2;
    store_u16(out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        ASSERT(columns[i] < l->n_columns && (i == 0 || columns[i] > columns[i - 1]));
        at = heap_entry_write(at, columns[i], l->columns[columns[i]].width, &values[i]);
    }
    return (uint32_t)(at - out);
}

static Status malformed(Error *err, const char *what)
{
    return err_set(err, ST_CORRUPTED, "malformed %s", what);
}

Status heap_list_begin(HeapList *it, const uint8_t *p, size_t len, Error *err)
{
    if (len < 2 || load_u16(p) > HEAP_COLUMNS_MAX) {
        return malformed(err, "list of values");
    }
    *it = (HeapList){.at = p + 2, .end = p + len, .left = load_u16(p), .last = -1};
    return ST_OK;
}

Status heap_list_next(HeapList *it, Error *err, uint16_t *out_column, uint8_t *out_width, HeapValue *out_value)
{
    if (it->left == 0) {
        return it->at == it->end ? ST_END : malformed(err, "list of values");
    }
    uint16_t column;
    HeapField f;
    if (!heap_entry_read(&it->at, it->end, &column, &f) || (int32_t)column <= it->last || column >= HEAP_COLUMNS_MAX ||
        f.tag == HEAP_TAG_FILL) {
        return malformed(err, "list of values");
    }
    it->last = column;
    it->left--;
    *out_column = column;
    *out_width = f.tag == HEAP_TAG_OVERFLOW ? (uint8_t)HEAP_STRING : f.tag;
    heap_field_value(&f, out_value);
    return ST_OK;
}

Status heap_list_apply(const uint8_t *p, size_t len, const uint16_t *columns, unsigned n, Error *err,
                       HeapValue *io_values)
{
    HeapList it;
    unsigned i = 0;
    Status st = heap_list_begin(&it, p, len, err);
    while (st == ST_OK) {
        uint16_t column;
        uint8_t width;
        HeapValue v;
        st = heap_list_next(&it, err, &column, &width, &v);
        if (st == ST_OK) {
            while (i < n && columns[i] < column) {
                i++;
            }
            if (i < n && columns[i] == column) {
                io_values[i] = v;
            }
        }
    }
    return st == ST_END ? ST_OK : st;
}

uint32_t heap_before_bytes_max(const HeapLayout *l, const uint16_t *columns, unsigned n)
{
    uint32_t bytes = 2;
    uint32_t stored = 0;
    uint32_t fills = 0;
    for (unsigned i = 0; i < n; i++) {
        const HeapColumn *col = &l->columns[columns[i]];
        bytes += 2 + heap_width_bytes(col->width);
        if (col->width == HEAP_STRING) {
            stored += HEAP_INLINE_MAX + 2;
            fills += heap_payload_bytes(HEAP_STRING, &col->fill);
        }
    }
    /* Whatever the strings are, they were in one page or are fills. */
    return bytes + (stored < PAGE_BODY_BYTES + fills ? stored : PAGE_BODY_BYTES + fills);
}

/* ---- images ---- */

Status heap_image_decode(const HeapLayout *layout, const uint8_t *image, size_t len, Error *err, HeapValue *out_values)
{
    unsigned n = len < 2 ? UINT16_MAX : load_u16(image);
    if (n > HEAP_COLUMNS_MAX || len < 2 + (size_t)(n + 1) / 2) {
        return malformed(err, "row image");
    }
    const uint8_t *tags = image + 2;
    const uint8_t *at = tags + (n + 1) / 2;
    for (unsigned c = 0; c < n; c++) {
        HeapField f;
        if (!heap_field_read(&at, image + len, tags[c / 2] >> (c % 2 * 4) & 15, &f)) {
            return malformed(err, "row image");
        }
        if (c >= layout->n_columns) {
            continue;
        }
        if (f.tag == HEAP_TAG_FILL) {
            out_values[c] = layout->columns[c].fill;
        } else if (heap_tag_fits(f.tag, layout->columns[c].width)) {
            heap_field_value(&f, &out_values[c]);
        } else {
            return malformed(err, "row image");
        }
    }
    for (unsigned c = n; c < layout->n_columns; c++) {
        out_values[c] = layout->columns[c].fill;
    }
    return at == image + len ? ST_OK : malformed(err, "row image");
}
