/*
 * catalog/shape.c: the layouts of a table as bytes, for rdb_storage.
 *
 * Format, little-endian:
 *     offset 0   u8   format, 1
 *     offset 1   u16  columns
 *     then, for each column: i16 attnum (0: a number that a rolled back ADD COLUMN used), u8 HeapWidth,
 *                u8 fill state (HeapState), u16 fill length, fill bytes
 *     then       u16  layouts, for each: u32 id, u16 columns
 *
 * A physical number is never used for two columns: pages written before a rolled back ADD COLUMN may still have its array.
 * So numbers come from the table's header page (ddl_table.c), which no rollback touches.
 */
#include "catalog/catalog_int.h"

enum { SHAPE_FORMAT = 1 };

static void put_fill(StrBuf *sb, const ShapeColumn *c)
{
    uint8_t head[6];
    const char *p = c->width == HEAP_STRING ? heap_view_ptr(&c->fill.view) : (const char *)c->fill.bytes;
    uint32_t len = c->fill.state == HEAP_NULL ? 0
                   : c->width == HEAP_STRING  ? c->fill.view.len
                                              : heap_width_bytes(c->width);
    ASSERT(len <= HEAP_INLINE_MAX);
    store_u16(head, (uint16_t)c->attnum);
    head[2] = c->width;
    head[3] = c->fill.state;
    store_u16(head + 4, (uint16_t)len);
    strbuf_append(sb, head, sizeof head);
    strbuf_append(sb, p, len);
}

STATUS shape_encode(Ctx *cx, Arena *a, const Shape *s, HeapValue *out_bytes)
{
    StrBuf sb;
    uint8_t b[6];
    strbuf_init(&sb, cx->budget);
    strbuf_putc(&sb, SHAPE_FORMAT);
    store_u16(b, s->n_columns);
    strbuf_append(&sb, b, 2);
    for (unsigned i = 0; i < s->n_columns; i++) {
        put_fill(&sb, &s->columns[i]);
    }
    store_u16(b, s->n_layouts);
    strbuf_append(&sb, b, 2);
    for (unsigned i = 0; i < s->n_layouts; i++) {
        store_u32(b, s->layout_ids[i]);
        store_u16(b + 4, s->layout_columns[i]);
        strbuf_append(&sb, b, 6);
    }
    char *p = sb.failed ? NULL : arena_copy(a, sb.p, sb.len);
    if (p != NULL) {
        *out_bytes = heap_string(p, (uint32_t)sb.len);
    }
    size_t len = sb.len;
    strbuf_done(&sb);
    return p != NULL ? ST_OK : ctx_nomem(cx, len);
}

/* A reader of bounded bytes: reading beyond the end yields zeros and sets `bad`. */
typedef struct Reader {
    const uint8_t *p;
    size_t left;
    bool bad;
} Reader;

static const uint8_t *take(Reader *r, size_t n)
{
    static const uint8_t zeros[16];
    if (r->left < n) {
        r->bad = true;
        r->left = 0;
        return n <= sizeof zeros ? zeros : NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static bool get_fill(Arena *a, Reader *r, ShapeColumn *c)
{
    const uint8_t *head = take(r, 6);
    unsigned len = load_u16(head + 4);
    c->attnum = (int16_t)load_u16(head);
    c->width = head[2];
    c->fill = heap_null();
    r->bad = r->bad || c->width < HEAP_W1 || c->width > HEAP_STRING || head[3] > HEAP_NULL || len > HEAP_INLINE_MAX ||
             (c->width != HEAP_STRING && len > heap_width_bytes(c->width));
    const uint8_t *p = r->bad ? NULL : take(r, len);
    if (p == NULL || head[3] == HEAP_NULL) {
        return true;
    }
    c->fill.state = HEAP_PRESENT;
    if (c->width != HEAP_STRING) {
        memcpy(c->fill.bytes, p, len);
        return true;
    }
    char *copy = arena_copy(a, p, len);
    if (copy != NULL) {
        c->fill.view = heap_view(copy, len);
    }
    return copy != NULL;
}

STATUS shape_decode(Ctx *cx, Arena *a, const HeapValue *bytes, Shape *out)
{
    *out = (Shape){.n_columns = 0};
    if (bytes->state == HEAP_NULL) {
        return ST_OK;
    }
    Reader r = {(const uint8_t *)heap_view_ptr(&bytes->view), bytes->view.len, false};
    if (*take(&r, 1) != SHAPE_FORMAT) {
        return err_set(cx->err, ST_CORRUPTED, "a table's layouts are stored in an unknown format");
    }
    out->n_columns = load_u16(take(&r, 2));
    out->columns = ARENA_ARRAY(a, ShapeColumn, out->n_columns);
    bool memory = out->columns != NULL;
    for (unsigned i = 0; memory && !r.bad && i < out->n_columns; i++) {
        memory = get_fill(a, &r, &out->columns[i]);
    }
    out->n_layouts = load_u16(take(&r, 2));
    out->layout_ids = ARENA_ARRAY(a, uint32_t, out->n_layouts);
    out->layout_columns = ARENA_ARRAY(a, uint16_t, out->n_layouts);
    memory = memory && out->layout_ids != NULL && out->layout_columns != NULL;
    for (unsigned i = 0; memory && !r.bad && i < out->n_layouts; i++) {
        const uint8_t *p = take(&r, 6);
        out->layout_ids[i] = load_u32(p);
        out->layout_columns[i] = load_u16(p + 4);
        r.bad = r.bad || out->layout_columns[i] > out->n_columns;
    }
    if (!memory) {
        return ctx_nomem(cx, bytes->view.len);
    }
    return r.bad || r.left != 0 ? err_set(cx->err, ST_CORRUPTED, "a table's stored layouts are damaged") : ST_OK;
}

STATUS shape_build(Ctx *cx, Arena *a, const Shape *s, const bool *dropped, HeapShape *out)
{
    HeapColumn *columns = ARENA_ARRAY(a, HeapColumn, s->n_columns);
    HeapLayout *layouts = ARENA_ARRAY(a, HeapLayout, s->n_layouts);
    const HeapLayout **list = ARENA_ARRAY(a, const HeapLayout *, s->n_layouts);
    if (columns == NULL || layouts == NULL || list == NULL) {
        return ctx_nomem(cx, s->n_columns * sizeof *columns);
    }
    for (unsigned i = 0; i < s->n_columns; i++) {
        int attnum = s->columns[i].attnum;
        columns[i] = (HeapColumn){
            .width = s->columns[i].width, .fill = s->columns[i].fill, .dropped = attnum <= 0 || dropped[attnum]};
    }
    for (unsigned i = 0; i < s->n_layouts; i++) {
        layouts[i] = (HeapLayout){.id = s->layout_ids[i], .n_columns = s->layout_columns[i], .columns = columns};
        list[i] = &layouts[i];
    }
    *out = (HeapShape){.layouts = list, .n_layouts = s->n_layouts};
    return ST_OK;
}
