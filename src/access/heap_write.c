/*
 * access/heap_write.c: building changes: does it fit, and its encoding. Encodings are described in heap_redo.c, which
 * does the changing.
 *
 * H7 (rollback always fits). Let free = gap + garbage, reserved = string bytes freed by unfinished versions of the
 * page. Every build keeps free >= reserved afterwards:
 *   - an insert and a re-layout take at most free - reserved;
 *   - an update that takes n bytes (new arrays, new strings) and frees f needs n <= free - reserved; then free becomes
 *     free - n + f, reserved becomes reserved + f.
 * Undoing an update gives its f back to its strings: it needs f <= free + (what the newer value frees), and has it,
 * since f was part of reserved. Arrays made stay.
 */
#include "access/heap_int.h"

/* Out-of-line bytes the value takes in a page whose column has, or will have, this fill as its shared string. */
static uint32_t private_bytes(unsigned width, const HeapValue *v, const char *shared, uint32_t shared_len)
{
    uint32_t len = heap_out_of_line(width, v);
    return len != 0 && len == shared_len && memcmp(v->view.ptr, shared, len) == 0 ? 0 : len;
}

/* ---- insert ---- */

static void insert_start(HeapInsert *b, uint8_t *buf, uint32_t stamp)
{
    b->data = (HeapData){.data = buf, .redo = HEAP_REDO_INSERT};
    b->stamp = stamp;
    b->n_rows = 0;
    b->n_new = 0;
    b->new_bytes = 0;
    b->next_slot = 0;
}

void heap_insert_begin(HeapInsert *b, const HeapPage *p, uint32_t reserved, uint32_t stamp, uint8_t *buf)
{
    ASSERT(p->layout != NULL);
    uint32_t free_bytes = heap_free_bytes(p);
    const HeapDir *dir = heap_dir_const(p->page);
    insert_start(b, buf, stamp);
    b->layout = p->layout;
    b->page = p->page;
    b->page_id = (PageId){page_header_const(p->page)->id};
    b->room = free_bytes > reserved ? free_bytes - reserved : 0;
    b->capacity = p->capacity;
    b->n_columns = p->n_columns;
    b->n_slots = p->n_slots;
    b->free_slots = (uint16_t)(p->capacity - p->n_used);
    b->block_at = 0;
    b->data.len = HEAP_INSERT_BYTES;
    memset(b->present, 0, (b->n_columns / 64 + 1u) * sizeof b->present[0]);
    for (unsigned c = 0; c < b->n_columns; c++) {
        b->present[c / 64] |= (uint64_t)(dir[c].offset != 0) << (c % 64);
    }
}

static uint8_t column_byte(const HeapColumn *col)
{
    return (uint8_t)(col->width | (col->fill.state == HEAP_PRESENT && !col->dropped ? 0x80 : 0));
}

void heap_insert_begin_new(HeapInsert *b, const HeapShape *s, PageId id, ObjId object, uint32_t ordinal,
                           unsigned capacity, uint32_t stamp, uint8_t *buf)
{
    const HeapLayout *l = heap_newest(s);
    ASSERT(capacity >= 1 && capacity <= HEAP_SLOTS_MAX);
    uint32_t arrays_at = heap_arrays_at(l->n_columns, capacity);
    ASSERT(arrays_at <= PAGE_BODY_END);
    insert_start(b, buf, stamp);
    b->data.redo = HEAP_REDO_INIT;
    b->data.flags = WAL_PAGE_INIT;
    b->layout = l;
    b->page = NULL;
    b->page_id = id;
    b->room = PAGE_BODY_END - arrays_at;
    b->capacity = (uint16_t)capacity;
    b->n_columns = l->n_columns;
    b->n_slots = 0;
    b->free_slots = (uint16_t)capacity;
    memset(b->present, 0, (b->n_columns / 64 + 1u) * sizeof b->present[0]);
    store_u64(buf, object.v);
    store_u32(buf + 8, ordinal);
    store_u32(buf + 12, l->id);
    store_u16(buf + 16, l->n_columns);
    store_u16(buf + 18, (uint16_t)capacity);
    for (unsigned c = 0; c < l->n_columns; c++) {
        buf[HEAP_INIT_BYTES + c] = column_byte(&l->columns[c]);
    }
    b->block_at = HEAP_INIT_BYTES + l->n_columns;
    b->data.len = b->block_at + HEAP_INSERT_BYTES;
}

static bool insert_has_array(const HeapInsert *b, unsigned c)
{
    return b->present[c / 64] >> (c % 64) & 1;
}

/* While absent the column reads as its fill in this page (and not as NULL). */
static bool insert_reads_fill(const HeapInsert *b, unsigned c)
{
    return b->page == NULL ? (column_byte(&b->layout->columns[c]) & 0x80) != 0
                           : (heap_dir_const(b->page)[c].flags & HEAP_DIR_FILL) != 0;
}

/* Can an absent column of this page stand for the value? */
static bool insert_stays_absent(const HeapInsert *b, unsigned c, const HeapValue *v)
{
    const HeapColumn *col = &b->layout->columns[c];
    if (col->dropped) {
        return true;
    }
    return insert_reads_fill(b, c) ? heap_value_eq(col->width, v, &col->fill) : v->state == HEAP_NULL;
}

/* The shared string that the column has or will have when its array is made. */
static uint32_t insert_private(const HeapInsert *b, unsigned c, const HeapValue *v)
{
    const HeapColumn *col = &b->layout->columns[c];
    if (heap_out_of_line(col->width, v) == 0) {
        return 0;
    }
    if (b->page != NULL && heap_dir_const(b->page)[c].offset != 0) {
        const HeapDir *d = &heap_dir_const(b->page)[c];
        return private_bytes(col->width, v, (const char *)b->page + d->shared, d->shared_len);
    }
    return private_bytes(col->width, v, heap_view_ptr(&col->fill.view), heap_out_of_line(col->width, &col->fill));
}

/*
 * What the row needs: room in the page, bytes of image, bytes of fills of new arrays. New arrays are noted behind those
 * that the insert has already, but not taken yet.
 */
typedef struct RowNeed {
    uint32_t room;
    uint32_t image;
    uint32_t new_bytes;
    unsigned n_new;
} RowNeed;

static HeapFit insert_need(HeapInsert *b, const HeapValue *row, RowNeed *out)
{
    RowNeed need = {.image = 2 + (b->n_columns + 1u) / 2};
    for (unsigned c = 0; c < b->layout->n_columns; c++) {
        const HeapColumn *col = &b->layout->columns[c];
        const HeapValue *v = heap_effective(col, &row[c]);
        if (c >= b->n_columns) {
            if (!col->dropped && !heap_value_eq(col->width, v, &col->fill)) {
                return HEAP_NEEDS_LAYOUT;
            }
            continue;
        }
        if (b->page != NULL && heap_dir_const(b->page)[c].width != col->width) {
            return HEAP_NO_ROOM; /* a page that contradicts the layout: reading it reports that */
        }
        if (!insert_has_array(b, c)) {
            if (insert_stays_absent(b, c, v)) {
                continue;
            }
            need.room += heap_array_room(col, b->capacity);
            need.new_bytes += 2 + heap_payload_bytes(col->width, &col->fill);
            b->new_columns[b->n_new + need.n_new++] = (uint16_t)c;
        }
        need.image += heap_payload_bytes(col->width, v);
        need.room += insert_private(b, c, v);
    }
    *out = need;
    return HEAP_FITS;
}

/* The lowest free slot: reuse first, then grow. There is one. */
static unsigned take_slot(HeapInsert *b)
{
    if (b->page != NULL && b->next_slot < heap_head_const(b->page)->n_slots) {
        const PageU64 *used = heap_used_const(b->page);
        unsigned n_slots = heap_head_const(b->page)->n_slots;
        for (unsigned w = b->next_slot / 64; w < heap_words(n_slots); w++) {
            uint64_t unused = ~used[w];
            if (w == b->next_slot / 64) {
                unused &= UINT64_MAX << (b->next_slot % 64);
            }
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(unused | UINT64_C(1) << 63);
            if (unused != 0 && slot < n_slots) {
                b->next_slot = (uint16_t)(slot + 1);
                return slot;
            }
        }
        b->next_slot = (uint16_t)n_slots;
    }
    ASSERT(b->n_slots < b->capacity);
    return b->n_slots++;
}

static void write_image(HeapInsert *b, const HeapValue *row, uint32_t image_bytes)
{
    uint8_t *start = b->data.data + b->data.len;
    uint8_t *tags = start + 2;
    uint8_t *at = tags + (b->n_columns + 1u) / 2;
    store_u16(start, b->n_columns);
    memset(tags, 0, (b->n_columns + 1u) / 2);
    for (unsigned c = 0; c < b->n_columns; c++) {
        const HeapColumn *col = c < b->layout->n_columns ? &b->layout->columns[c] : NULL;
        unsigned tag;
        if (!insert_has_array(b, c)) {
            tag = insert_reads_fill(b, c) ? HEAP_TAG_FILL : HEAP_TAG_NULL;
        } else if (col == NULL) {
            tag = HEAP_TAG_NULL; /* a column newer than the caller's layout, whose row knows nothing of it */
        } else {
            const HeapValue *v = heap_effective(col, &row[c]);
            tag = heap_value_tag(col->width, v);
            at = heap_payload_write(at, col->width, v);
        }
        tags[c / 2] |= (uint8_t)(tag << (c % 2 * 4));
    }
    ASSERT(at == start + image_bytes);
    b->data.len += image_bytes;
}

HeapFit heap_insert_add(HeapInsert *b, const HeapValue *row, Tid *out_tid)
{
    RowNeed need;
    HeapFit fit = insert_need(b, row, &need);
    if (fit != HEAP_FITS) {
        return fit;
    }
    uint32_t tail = b->new_bytes + need.new_bytes + 2 * (b->n_rows + 1u);
    if (b->free_slots == 0 || need.room > b->room || b->data.len + need.image + tail > HEAP_DATA_MAX) {
        return HEAP_NO_ROOM;
    }
    for (unsigned i = 0; i < need.n_new; i++) {
        uint16_t c = b->new_columns[b->n_new + i];
        b->present[c / 64] |= UINT64_C(1) << (c % 64);
    }
    b->n_new = (uint16_t)(b->n_new + need.n_new);
    b->new_bytes += need.new_bytes;
    b->room -= need.room;
    b->free_slots--;
    unsigned slot = take_slot(b);
    bool known = b->page != NULL && slot < b->capacity;
    b->slots[b->n_rows] = (uint16_t)slot;
    b->generations[b->n_rows] = known ? heap_generations_const(b->page)[slot] : 0;
    *out_tid = tid_make(b->page_id, slot, b->generations[b->n_rows]);
    write_image(b, row, need.image);
    b->n_rows++;
    return HEAP_FITS;
}

/*
 * An array that a later row brought is missing from the images of the rows before it, which say NULL or FILL for the
 * column: both are right for an array made by the same record.
 */
void heap_insert_end(HeapInsert *b)
{
    ASSERT(b->n_rows > 0 || b->page == NULL);
    uint8_t *block = b->data.data + b->block_at;
    uint8_t *at = b->data.data + b->data.len;
    store_u32(block, b->stamp);
    store_u16(block + 4, b->n_rows);
    store_u16(block + 6, b->n_new);
    store_u32(block + 8, b->data.len - b->block_at - HEAP_INSERT_BYTES);
    bool consecutive = b->n_rows > 0 && b->slots[b->n_rows - 1] - b->slots[0] == b->n_rows - 1;
    for (unsigned i = 0; i < (consecutive ? 1u : b->n_rows); i++, at += 2) {
        store_u16(at, (uint16_t)(b->slots[i] | (consecutive ? 0x8000 : 0)));
    }
    /* In column order, whatever order the rows brought them in. */
    uint64_t made[HEAP_COLUMNS_MAX / 64] = {0};
    for (unsigned i = 0; i < b->n_new; i++) {
        made[b->new_columns[i] / 64] |= UINT64_C(1) << (b->new_columns[i] % 64);
    }
    for (unsigned w = 0; w < ARRAY_LEN(made) && b->n_new != 0; w++) {
        for (uint64_t bits = made[w]; bits != 0; bits &= bits - 1) {
            unsigned c = w * 64 + (unsigned)__builtin_ctzll(bits);
            at = heap_entry_write(at, c, b->layout->columns[c].width, &b->layout->columns[c].fill);
        }
    }
    b->data.len = (uint32_t)(at - b->data.data);
    ASSERT(b->data.len <= HEAP_DATA_MAX);
}

/* ---- update ---- */

typedef enum UpdateStep { STEP_NOTHING, STEP_PUT, STEP_MAKE, STEP_NO_COLUMN } UpdateStep;

/* What writing the value to the column means in this page. */
static UpdateStep update_step(const HeapPage *p, unsigned c, const HeapValue *v)
{
    const HeapColumn *col = &p->layout->columns[c];
    if (col->dropped) {
        return STEP_NOTHING;
    }
    if (c >= p->n_columns) {
        return heap_value_eq(col->width, v, &col->fill) ? STEP_NOTHING : STEP_NO_COLUMN;
    }
    const HeapDir *d = &heap_dir_const(p->page)[c];
    if (d->offset != 0) {
        return STEP_PUT;
    }
    bool same = (d->flags & HEAP_DIR_FILL) != 0 ? heap_value_eq(col->width, v, &col->fill) : v->state == HEAP_NULL;
    return same ? STEP_NOTHING : STEP_MAKE;
}

typedef struct UpdateNeed {
    uint32_t room;
    uint32_t freed;
    uint32_t new_bytes;
    uint32_t list_bytes;
    unsigned n_new;
    unsigned n;
} UpdateNeed;

static HeapFit update_need(const HeapPage *p, unsigned slot, const uint16_t *columns, const HeapValue *values,
                           unsigned n, UpdateNeed *out)
{
    UpdateNeed need = {.list_bytes = 2};
    for (unsigned i = 0; i < n; i++) {
        unsigned c = columns[i];
        ASSERT(c < p->layout->n_columns && (i == 0 || c > columns[i - 1]));
        const HeapColumn *col = &p->layout->columns[c];
        UpdateStep step = update_step(p, c, &values[i]);
        if (step == STEP_NO_COLUMN) {
            return HEAP_NEEDS_LAYOUT;
        }
        if (step == STEP_NOTHING) {
            continue;
        }
        if (heap_dir_const(p->page)[c].width != col->width) {
            return HEAP_NO_ROOM; /* a page that contradicts the layout: reading it reports that */
        }
        need.n++;
        need.list_bytes += 2 + heap_payload_bytes(col->width, &values[i]);
        if (step == STEP_MAKE) {
            need.n_new++;
            need.new_bytes += 2 + heap_payload_bytes(col->width, &col->fill);
            need.room += heap_array_room(col, p->capacity) + private_bytes(col->width, &values[i],
                                                                           heap_view_ptr(&col->fill.view),
                                                                           heap_out_of_line(col->width, &col->fill));
        } else if (col->width == HEAP_STRING) {
            const HeapDir *d = &heap_dir_const(p->page)[c];
            need.room += private_bytes(HEAP_STRING, &values[i], (const char *)p->page + d->shared, d->shared_len);
            need.freed += heap_view_private(&heap_views_const(p->page, d)[slot]);
        }
    }
    *out = need;
    return HEAP_FITS;
}

HeapFit heap_update_build(const HeapPage *p, unsigned slot, const uint16_t *columns, const HeapValue *values,
                          unsigned n, uint32_t reserved, uint32_t stamp, uint8_t *buf, HeapData *out,
                          uint32_t *out_freed)
{
    ASSERT(p->layout != NULL && slot < p->n_slots && heap_bit(heap_used_const(p->page), slot));
    UpdateNeed need;
    HeapFit fit = update_need(p, slot, columns, values, n, &need);
    if (fit != HEAP_FITS) {
        return fit;
    }
    uint32_t len = HEAP_UPDATE_BYTES + need.new_bytes + need.list_bytes;
    if (need.room + reserved > heap_free_bytes(p) || len > HEAP_DATA_MAX) {
        return HEAP_NO_ROOM;
    }
    uint8_t *news = buf + HEAP_UPDATE_BYTES;
    uint8_t *list = news + need.new_bytes;
    store_u32(buf, stamp);
    store_u16(buf + 4, (uint16_t)slot);
    store_u16(buf + 6, (uint16_t)need.n_new);
    store_u16(list, (uint16_t)need.n);
    list += 2;
    for (unsigned i = 0; i < n; i++) {
        const HeapColumn *col = &p->layout->columns[columns[i]];
        UpdateStep step = update_step(p, columns[i], &values[i]);
        if (step == STEP_MAKE) {
            news = heap_entry_write(news, columns[i], col->width, &col->fill);
        }
        if (step != STEP_NOTHING) {
            list = heap_entry_write(list, columns[i], col->width, &values[i]);
        }
    }
    ASSERT(list == buf + len);
    *out = (HeapData){.redo = HEAP_REDO_UPDATE, .data = buf, .len = len};
    *out_freed = need.freed;
    return HEAP_FITS;
}

/*
 * Columns of the before image that have no array now never had one since: the update changed nothing there, and
 * neither does its undo.
 */
Status heap_restore_build(const HeapPage *p, unsigned slot, const uint8_t *list, uint32_t list_len, uint32_t stamp,
                          uint8_t *buf, Error *err, HeapData *out)
{
    const uint8_t *at = list + 2;
    const uint8_t *end = list + list_len;
    unsigned n = list_len < 2 || list_len > HEAP_DATA_MAX - HEAP_UPDATE_BYTES ? UINT16_MAX : load_u16(list);
    uint8_t *to = buf + HEAP_UPDATE_BYTES + 2;
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *entry = at;
        uint16_t c;
        HeapField f;
        if (n > HEAP_COLUMNS_MAX || !heap_entry_read(&at, end, &c, &f)) {
            return heap_corrupted(err, p->page, "a before image is malformed");
        }
        if (c < p->n_columns && heap_dir_const(p->page)[c].offset != 0) {
            memcpy(to, entry, (size_t)(at - entry));
            to += at - entry;
            kept++;
        }
    }
    store_u32(buf, stamp);
    store_u16(buf + 4, (uint16_t)slot);
    store_u16(buf + 6, 0);
    store_u16(buf + HEAP_UPDATE_BYTES, (uint16_t)kept);
    HeapData data = {.redo = HEAP_REDO_UPDATE, .data = buf, .len = (uint32_t)(to - buf)};
    if (at != end || !heap_update_valid(p->page, data.data, data.len)) {
        return heap_corrupted(err, p->page, "a before image does not fit it");
    }
    *out = data;
    return ST_OK;
}

/* ---- delete marks, free, re-layout ---- */

void heap_mark_build(const HeapPage *p, uint8_t redo, const uint16_t *slots, const uint32_t *stamps, unsigned n,
                     uint8_t *buf, HeapData *out)
{
    ASSERT((redo == HEAP_REDO_MARK || redo == HEAP_REDO_UNMARK) && n <= p->n_used);
    store_u16(buf, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        store_u16(buf + 2 + 6 * i, slots[i]);
        store_u32(buf + 4 + 6 * i, stamps[i]);
    }
    *out = (HeapData){.redo = redo, .data = buf, .len = heap_mark_bytes(n)};
}

void heap_free_build(const HeapPage *p, const uint16_t *slots, unsigned n, uint8_t *buf, HeapData *out)
{
    ASSERT(n <= p->n_used);
    store_u16(buf, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        store_u16(buf + 2 + 2 * i, slots[i]);
    }
    *out = (HeapData){.redo = HEAP_REDO_FREE, .data = buf, .len = heap_slots_bytes(n)};
}

bool heap_relayout_build(const HeapPage *p, unsigned capacity, uint32_t reserved, uint8_t *buf, HeapData *out)
{
    const HeapLayout *l = p->layout;
    const HeapHead *h = heap_head_const(p->page);
    const HeapDir *dir = heap_dir_const(p->page);
    unsigned n_columns = p->n_columns > l->n_columns ? p->n_columns : l->n_columns;
    capacity = capacity == 0 ? p->capacity : capacity;
    if (capacity < p->n_slots || capacity > HEAP_SLOTS_MAX) {
        return false;
    }
    uint8_t *at = buf + HEAP_RELAYOUT_BYTES;
    for (unsigned c = p->n_columns; c < n_columns; c++) {
        *at++ = column_byte(&l->columns[c]);
    }
    unsigned n_dropped = 0;
    for (unsigned c = 0; c < p->n_columns && c < l->n_columns; c++) {
        if (l->columns[c].dropped && (dir[c].offset != 0 || dir[c].flags != 0)) {
            store_u16(at, (uint16_t)c);
            at += 2;
            n_dropped++;
        }
    }
    if (n_columns == p->n_columns && n_dropped == 0 && capacity == p->capacity) {
        return false;
    }
    store_u32(buf, l->id > h->layout_id ? l->id : h->layout_id);
    store_u16(buf + 4, (uint16_t)capacity);
    store_u16(buf + 6, p->n_columns);
    store_u16(buf + 8, (uint16_t)n_columns);
    store_u16(buf + 10, (uint16_t)n_dropped);
    HeapData data = {.redo = HEAP_REDO_RELAYOUT, .data = buf, .len = (uint32_t)(at - buf)};
    uint32_t free_after;
    if (!heap_relayout_valid(p->page, data.data, data.len, &free_after) || free_after < reserved) {
        return false;
    }
    *out = data;
    return true;
}

/* ---- log ---- */

static uint8_t record_type(uint8_t redo)
{
    static const uint8_t types[] = {
        [HEAP_REDO_INIT - HEAP_REDO_INIT] = HEAP_WAL_INSERT,
        [HEAP_REDO_INSERT - HEAP_REDO_INIT] = HEAP_WAL_INSERT,
        [HEAP_REDO_UPDATE - HEAP_REDO_INIT] = HEAP_WAL_UPDATE,
        [HEAP_REDO_MARK - HEAP_REDO_INIT] = HEAP_WAL_DELETE,
        [HEAP_REDO_UNMARK - HEAP_REDO_INIT] = HEAP_WAL_UNDELETE,
        [HEAP_REDO_FREE - HEAP_REDO_INIT] = HEAP_WAL_FREE,
        [HEAP_REDO_RELAYOUT - HEAP_REDO_INIT] = HEAP_WAL_RELAYOUT,
    };
    ASSERT(redo >= HEAP_REDO_INIT && redo <= HEAP_REDO_RELAYOUT);
    return types[redo - HEAP_REDO_INIT];
}

Lsn heap_log(StoreOp *op, BufFrame *frame, const HeapData *data, uint8_t flags, TxnId txn, const void *body,
             uint32_t body_len)
{
    LogPage page = {.frame = frame, .redo = data->redo, .flags = data->flags, .data = data->data, .len = data->len};
    return store_log(op, record_type(data->redo), flags, txn, &page, 1, body, body_len);
}
