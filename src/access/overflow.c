/*
 * access/overflow.c: chains of overflow pages: writing, reading, freeing, their redo. Format of a page:
 *
 *   offset size  field
 *       48    4  value_bytes  of the value from here on, as written; 0 = this page was freed. Freeing keeps the first
 *                          page's up to date: what of the chain still exists
 *       52    4  index        place in the chain, 0 = first
 *       56    4  bytes        of the value in this page; all but the last are full
 *       60    4  zero
 *       64   64  ahead        page ids 1, 2, 4, 8, 64, 512, 4096, 32768 pages further on; 0 = beyond the end
 *      128       the bytes
 *
 * Redo data. OVERFLOW_INIT: [object 8][ordinal 4][value_bytes 4][index 4][bytes 4][ahead 64][the bytes].
 * OVERFLOW_TRIM: [value_bytes 4]: the chain's pages beyond are freed by the same record; 0 = the first page too.
 */
#include "access/overflow.h"

#include "access/heap_int.h"

enum { AHEAD = 8, STEP_PAGES = 8, FREE_PAGES = 6, RECORD_BODY = 25 };
static const uint32_t distance[AHEAD] = {1, 2, 4, 8, 64, 512, 4096, 32768};

typedef struct OverflowHead {
    uint32_t value_bytes;
    uint32_t index;
    uint32_t bytes;
    uint32_t zero;
    uint64_t ahead[AHEAD];
} OverflowHead;
STATIC_ASSERT(sizeof(OverflowHead) == 80, "on-disk format");

enum { DATA_AT = PAGE_HEADER_BYTES + sizeof(OverflowHead), DATA_BYTES = PAGE_BODY_END - DATA_AT };
enum { INIT_BYTES = 24 + 8 * AHEAD, OVERFLOW_FORMAT = 1 };

static uint32_t pages_of(uint32_t value_bytes)
{
    return (value_bytes + DATA_BYTES - 1) / DATA_BYTES;
}

static const OverflowHead *head_of(const uint8_t *page)
{
    return (const OverflowHead *)(const void *)(page + PAGE_HEADER_BYTES);
}

/* ---- redo ---- */

Status heap_redo_overflow_init(const WalPage *ref, uint8_t *page, Error *err)
{
    const uint8_t *p = ref->data;
    if (ref->len < INIT_BYTES || ref->len - INIT_BYTES > DATA_BYTES || load_u32(p + 20) != ref->len - INIT_BYTES) {
        return err_set(err, ST_CORRUPTED, "malformed log record of overflow page %llu", (unsigned long long)ref->id.v);
    }
    page_init(page, ref->id, (ObjId){load_u64(p)}, load_u32(p + 8), PAGE_OVERFLOW, OVERFLOW_FORMAT);
    OverflowHead h = {.value_bytes = load_u32(p + 12), .index = load_u32(p + 16), .bytes = load_u32(p + 20)};
    for (unsigned i = 0; i < AHEAD; i++) {
        h.ahead[i] = load_u64(p + 24 + 8 * i);
    }
    memcpy(page + PAGE_HEADER_BYTES, &h, sizeof h);
    memcpy(page + DATA_AT, p + INIT_BYTES, h.bytes);
    return ST_OK;
}

Status heap_redo_overflow_trim(const WalPage *ref, uint8_t *page, Error *err)
{
    OverflowHead h;
    memcpy(&h, page + PAGE_HEADER_BYTES, sizeof h);
    if (page_header_const(page)->type != PAGE_OVERFLOW || ref->len != 4 || load_u32(ref->data) >= h.value_bytes) {
        return err_set(err, ST_CORRUPTED, "overflow page %llu: a logged trim does not fit it",
                       (unsigned long long)ref->id.v);
    }
    h.value_bytes = load_u32(ref->data);
    memcpy(page + PAGE_HEADER_BYTES, &h, sizeof h);
    return ST_OK;
}

/* ---- records ---- */

static void body_head(uint8_t *out, StoreObject *o, PageId page, bool gone)
{
    ObjectRef ref = object_ref(o);
    store_u64(out, ref.id.v);
    store_u64(out + 8, ref.header.v);
    store_u64(out + 16, page.v);
    out[24] = gone;
}

Status overflow_record(const WalRecord *rec, Error *err, OverflowRecord *out)
{
    ASSERT(rec->type == HEAP_WAL_OVERFLOW_WRITE || rec->type == HEAP_WAL_OVERFLOW_FREE);
    if (rec->body_len < RECORD_BODY) {
        return err_set(err, ST_CORRUPTED, "malformed log record of an overflow chain");
    }
    *out = (OverflowRecord){
        .object = {.id = {load_u64(rec->body)}, .header = {load_u64(rec->body + 8)}},
        .page = {load_u64(rec->body + 16)},
        .gone = rec->body[24] != 0,
        .body = rec->body + RECORD_BODY,
        .body_len = rec->body_len - RECORD_BODY,
    };
    return ST_OK;
}

/* A record names its own pages and the space maps that change with them. */
uint32_t overflow_write_wal_bytes(uint32_t body_len)
{
    return wal_record_bytes(2, INIT_BYTES + DATA_BYTES + RECORD_BODY + body_len + 64);
}

uint32_t overflow_free_wal_bytes(uint32_t body_len)
{
    return wal_record_bytes(5, RECORD_BODY + body_len + 4 + 256);
}

/* ---- write ---- */

Status overflow_write_begin(Ctx *cx, OverflowWriter *w, StoreObject *o, const char *value, size_t len)
{
    ASSERT(len > HEAP_VIEW_INLINE);
    if (len > OVERFLOW_VALUE_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "value of %zu bytes is too long, at most %u are possible",
                       len, OVERFLOW_VALUE_MAX);
    }
    uint32_t n = pages_of((uint32_t)len);
    PageId *ids = mem_alloc(cx->budget, n * sizeof *ids);
    if (ids == NULL) {
        return ctx_nomem(cx, n * sizeof *ids);
    }
    *w = (OverflowWriter){.object = o,
                          .value = value,
                          .len = (uint32_t)len,
                          .left = n,
                          .head = PAGE_NONE,
                          .ids = ids,
                          .n_pages = n,
                          .budget = cx->budget};
    return ST_OK;
}

void overflow_write_done(OverflowWriter *w)
{
    mem_free(w->budget, w->ids, w->n_pages * sizeof *w->ids);
    w->ids = NULL;
}

/*
 * Writes page `index`, the pages behind it being there already. `body` begins with room for the record's own part.
 */
static Status write_page(Ctx *cx, OverflowWriter *w, StoreOp *op, uint32_t index, TxnId txn, uint8_t *body,
                         uint32_t body_len)
{
    uint8_t data[INIT_BYTES + DATA_BYTES];
    BufFrame *frame;
    uint32_t ordinal;
    uint32_t at = index * DATA_BYTES;
    uint32_t bytes = w->len - at < DATA_BYTES ? w->len - at : DATA_BYTES;
    Status st = op_take_page(cx, op, &frame, &ordinal);
    if (st != ST_OK) {
        return st;
    }
    store_u64(data, object_ref(w->object).id.v);
    store_u32(data + 8, ordinal);
    store_u32(data + 12, w->len - at);
    store_u32(data + 16, index);
    store_u32(data + 20, bytes);
    for (unsigned i = 0; i < AHEAD; i++) {
        uint64_t to = (uint64_t)index + distance[i];
        store_u64(data + 24 + 8 * i, to < w->n_pages ? w->ids[to].v : 0);
    }
    memcpy(data + INIT_BYTES, w->value + at, bytes);
    w->ids[index] = buf_page_id(frame);
    w->head = buf_page_id(frame);
    body_head(body, w->object, w->head, false);
    LogPage page = {.frame = frame,
                    .redo = HEAP_REDO_OVERFLOW_INIT,
                    .flags = WAL_PAGE_INIT,
                    .data = data,
                    .len = INIT_BYTES + bytes};
    store_log(op, HEAP_WAL_OVERFLOW_WRITE, 0, txn, &page, 1, body, body_len);
    buf_unfix(frame);
    return ST_OK;
}

/* The record's own part of a body, then the caller's. */
static void body_make(const void *body, uint32_t body_len, uint8_t out[static OVERFLOW_BODY_MAX + RECORD_BODY])
{
    ASSERT(body_len <= OVERFLOW_BODY_MAX);
    if (body_len != 0) {
        memcpy(out + RECORD_BODY, body, body_len);
    }
}

Status overflow_write_step(Ctx *cx, OverflowWriter *w, TxnId txn, const void *body, uint32_t body_len, bool *out_done)
{
    uint8_t full_body[OVERFLOW_BODY_MAX + RECORD_BODY];
    body_make(body, body_len, full_body);
    uint32_t n = w->left < STEP_PAGES ? w->left : STEP_PAGES;
    StoreOp op;
    OpNeed need = {.wal_bytes = n * overflow_write_wal_bytes(body_len),
                   .undo_wal_bytes = n * overflow_free_wal_bytes(body_len),
                   .frames = 3,
                   .new_pages = (uint16_t)n,
                   .object = w->object};
    Status st = ctx_poll(cx);
    if (st == ST_OK) {
        st = op_begin(cx, object_store(w->object), &need, &op);
    }
    if (st != ST_OK) {
        return st;
    }
    w->undo_reserved += need.undo_wal_bytes;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        st = write_page(cx, w, &op, w->left - 1, txn, full_body, RECORD_BODY + body_len);
        if (st == ST_OK) {
            w->left--;
        }
    }
    op_end(&op);
    *out_done = st == ST_OK && w->left == 0;
    return st;
}

HeapValue overflow_value(const OverflowWriter *w)
{
    ASSERT(w->left == 0 && w->len > HEAP_VIEW_INLINE);
    HeapValue v = heap_string(w->value, w->len);
    v.view.ref = w->head.v;
    v.state = HEAP_OVERFLOW;
    return v;
}

/* ---- read ---- */

static Status broken(Ctx *cx, StoreObject *o, PageId page)
{
    return err_set(cx->err, ST_CORRUPTED,
                   "overflow page %llu of object %llu is not the part of a chain that it should be",
                   (unsigned long long)page.v, (unsigned long long)object_ref(o).id.v);
}

/* Latches a page of a chain; with index ANY_INDEX wherever it stands. */
#define ANY_INDEX UINT32_MAX
static Status fix_part(Ctx *cx, StoreObject *o, PageId page, uint32_t index, LatchMode mode, BufFrame **out_frame)
{
    BufFrame *frame;
    if (page_eq(page, PAGE_NONE) || page.v >> 40 != 0) {
        return broken(cx, o, page);
    }
    Status st = buf_fix(cx, object_store(o), page, object_ref(o).id, mode, &frame);
    if (st != ST_OK) {
        return st;
    }
    const PageHeader *ph = page_header_const(buf_page(frame));
    const OverflowHead *h = head_of(buf_page(frame));
    if (ph->type != PAGE_OVERFLOW || ph->format != OVERFLOW_FORMAT || h->bytes > DATA_BYTES ||
        (index != ANY_INDEX && h->index != index)) {
        buf_unfix(frame);
        return broken(cx, o, page);
    }
    *out_frame = frame;
    return ST_OK;
}

Status overflow_length(Ctx *cx, StoreObject *o, PageId head, uint32_t *out_len)
{
    BufFrame *frame;
    Status st = fix_part(cx, o, head, 0, LATCH_SHARED, &frame);
    if (st == ST_OK) {
        *out_len = head_of(buf_page(frame))->value_bytes;
        buf_unfix(frame);
    }
    return st;
}

/* The longest step ahead that does not pass the target. */
static PageId leap(const OverflowHead *h, uint32_t target)
{
    unsigned i = AHEAD - 1;
    while (i > 0 && distance[i] > target - h->index) {
        i--;
    }
    return (PageId){h->ahead[i]};
}

/* Latches the page of a chain that holds `target`, coming from a page latched shared (which is let go). */
static Status seek(Ctx *cx, StoreObject *o, BufFrame *from, uint32_t target, BufFrame **out_frame)
{
    while (head_of(buf_page(from))->index < target) {
        const OverflowHead *h = head_of(buf_page(from));
        PageId next = leap(h, target);
        uint32_t index = h->index;
        buf_unfix(from);
        Status st = ctx_poll(cx);
        if (st == ST_OK) {
            st = fix_part(cx, o, next, ANY_INDEX, LATCH_SHARED, &from);
        }
        if (st != ST_OK) {
            return st;
        }
        if (head_of(buf_page(from))->index <= index || head_of(buf_page(from))->index > target) {
            buf_unfix(from);
            return broken(cx, o, next);
        }
    }
    *out_frame = from;
    return ST_OK;
}

Status overflow_read(Ctx *cx, StoreObject *o, PageId head, uint32_t value_len, uint32_t offset, uint32_t len, char *out)
{
    ASSERT(offset <= value_len && len <= value_len - offset);
    BufFrame *frame;
    if (len == 0) {
        return ST_OK;
    }
    Status st = fix_part(cx, o, head, 0, LATCH_SHARED, &frame);
    if (st != ST_OK) {
        return st;
    }
    if (head_of(buf_page(frame))->value_bytes != value_len) {
        buf_unfix(frame);
        return broken(cx, o, head);
    }
    st = seek(cx, o, frame, offset / DATA_BYTES, &frame);
    while (st == ST_OK) {
        const OverflowHead *h = head_of(buf_page(frame));
        uint32_t skip = offset % DATA_BYTES;
        uint32_t take = h->bytes <= skip ? 0 : h->bytes - skip < len ? h->bytes - skip : len;
        uint32_t index = h->index;
        PageId next = {h->ahead[0]};
        memcpy(out, buf_page(frame) + DATA_AT + skip, take);
        buf_unfix(frame);
        out += take;
        offset += take;
        len -= take;
        if (len == 0) {
            return ST_OK;
        }
        if (offset % DATA_BYTES != 0 || take == 0) {
            return broken(cx, o, next);
        }
        st = ctx_poll(cx);
        if (st == ST_OK) {
            st = fix_part(cx, o, next, index + 1, LATCH_SHARED, &frame);
        }
    }
    return st;
}

/* ---- free ---- */

typedef struct FreeStep {
    StoreOp op;
    BufFrame *frames[1 + FREE_PAGES]; /* the head, then the pages to free */
    unsigned n;
    LogPage log[1 + FREE_PAGES];
} FreeStep;

static void unfix_all(FreeStep *f)
{
    while (f->n > 0) {
        buf_unfix(f->frames[--f->n]);
    }
}

/* Latches the last pages of the chain behind its head (frames[0], exclusive): those with index >= first. */
static Status fix_tail(Ctx *cx, StoreObject *o, FreeStep *f, uint32_t first, uint32_t end)
{
    const OverflowHead *h = head_of(buf_page(f->frames[0]));
    uint32_t index = h->index;
    BufFrame *at = f->frames[0];
    Status st = ST_OK;
    if (first > index + 1) {
        PageId next = leap(h, first - 1);
        st = fix_part(cx, o, next, ANY_INDEX, LATCH_SHARED, &at);
        if (st == ST_OK && (head_of(buf_page(at))->index <= index || head_of(buf_page(at))->index >= first)) {
            buf_unfix(at);
            st = broken(cx, o, next);
        }
        if (st == ST_OK) {
            st = seek(cx, o, at, first - 1, &at);
        }
    }
    for (uint32_t i = first; i < end && st == ST_OK; i++) {
        PageId next = {head_of(buf_page(at))->ahead[0]};
        if (at != f->frames[0] && i == first) {
            buf_unfix(at);
        }
        st = fix_part(cx, o, next, i, LATCH_EXCLUSIVE, &at);
        if (st == ST_OK) {
            f->frames[f->n++] = at;
        }
    }
    return st;
}

/* With the head latched: the step's pages, as one record. */
static Status free_locked(Ctx *cx, StoreObject *o, FreeStep *f, TxnId txn, uint8_t flags, uint8_t *body,
                          uint32_t body_len, bool *out_done)
{
    static const uint8_t nothing[4];
    const OverflowHead *h = head_of(buf_page(f->frames[0]));
    if (h->value_bytes == 0) { /* a repeated call after the chain was freed */
        *out_done = true;
        return ST_OK;
    }
    uint32_t n = pages_of(h->value_bytes);
    uint32_t keep = n - 1 <= FREE_PAGES ? 1 : n - FREE_PAGES;
    bool gone = n - 1 <= FREE_PAGES;
    uint8_t left[4];
    store_u32(left, keep * DATA_BYTES);
    Status st = fix_tail(cx, o, f, h->index + keep, h->index + n);
    for (unsigned i = gone ? 0 : 1; i < f->n && st == ST_OK; i++) {
        st = op_give_page(cx, &f->op, f->frames[i]);
    }
    if (st != ST_OK) {
        op_abandon(&f->op, NULL, 0);
        return st;
    }
    f->log[0] = (LogPage){
        .frame = f->frames[0], .redo = HEAP_REDO_OVERFLOW_TRIM, .data = gone ? nothing : left, .len = sizeof left};
    body_head(body, o, buf_page_id(f->frames[0]), gone);
    store_log(&f->op, HEAP_WAL_OVERFLOW_FREE, flags, txn, f->log, 1, body, body_len);
    *out_done = gone;
    return ST_OK;
}

static Status free_begin(Ctx *cx, StoreObject *o, bool is_undo, uint32_t body_len, FreeStep *f)
{
    OpNeed need = {.wal_bytes = overflow_free_wal_bytes(body_len),
                   .frames = 1 + FREE_PAGES + 4 + 1,
                   .object = o,
                   .is_undo = is_undo};
    f->n = 0;
    return op_begin(cx, object_store(o), &need, &f->op);
}

Status overflow_free_step(Ctx *cx, StoreObject *o, PageId head, TxnId txn, uint8_t flags, bool is_undo,
                          const void *body, uint32_t body_len, bool *out_done)
{
    uint8_t full_body[OVERFLOW_BODY_MAX + RECORD_BODY];
    body_make(body, body_len, full_body);
    FreeStep f;
    Status st = free_begin(cx, o, is_undo, body_len, &f);
    if (st != ST_OK) {
        return st;
    }
    st = fix_part(cx, o, head, ANY_INDEX, LATCH_EXCLUSIVE, &f.frames[0]);
    if (st == ST_OK) {
        f.n = 1;
        st = free_locked(cx, o, &f, txn, flags, full_body, RECORD_BODY + body_len, out_done);
    }
    unfix_all(&f);
    op_end(&f.op);
    return st;
}

Status overflow_undo_step(Ctx *cx, StoreObject *o, PageId page, Lsn written, TxnId txn, uint8_t flags, const void *body,
                          uint32_t body_len, PageId *out_next)
{
    static const uint8_t nothing[4];
    uint8_t full_body[OVERFLOW_BODY_MAX + RECORD_BODY];
    body_make(body, body_len, full_body);
    FreeStep f;
    Status st = free_begin(cx, o, true, body_len, &f);
    if (st != ST_OK) {
        return st;
    }
    BufFrame *frame;
    st = buf_fix(cx, object_store(o), page, OBJ_NONE, LATCH_EXCLUSIVE, &frame);
    if (st != ST_OK) {
        op_end(&f.op);
        return st;
    }
    const OverflowHead *h = head_of(buf_page(frame));
    const PageHeader *ph = page_header_const(buf_page(frame));
    PageId next = PAGE_NONE;
    if (ph->type == PAGE_OVERFLOW && ph->object == object_ref(o).id.v && h->value_bytes != 0 &&
        (written.v == LSN_NONE.v || ph->lsn == written.v)) {
        next = (PageId){h->ahead[0]};
        st = op_give_page(cx, &f.op, frame);
        if (st == ST_OK) {
            LogPage log = {.frame = frame, .redo = HEAP_REDO_OVERFLOW_TRIM, .data = nothing, .len = sizeof nothing};
            body_head(full_body, o, page, true);
            store_log(&f.op, HEAP_WAL_OVERFLOW_FREE, flags, txn, &log, 1, full_body, RECORD_BODY + body_len);
        }
    }
    buf_unfix(frame);
    op_end(&f.op);
    if (st == ST_OK) {
        *out_next = next;
    }
    return st;
}

/* ---- verification ---- */

Status overflow_check(Ctx *cx, StoreObject *o, PageId head, uint32_t value_len, uint64_t *io_pages)
{
    BufFrame *frame;
    PageId page = head;
    uint32_t n = pages_of(value_len);
    for (uint32_t i = 0; i < n; i++) {
        Status st = ctx_poll(cx);
        if (st == ST_OK) {
            st = fix_part(cx, o, page, i, LATCH_SHARED, &frame);
        }
        if (st != ST_OK) {
            return st;
        }
        const OverflowHead *h = head_of(buf_page(frame));
        uint32_t left = value_len - i * DATA_BYTES;
        bool ok = h->value_bytes == left && h->bytes == (left < DATA_BYTES ? left : DATA_BYTES) &&
                  (h->ahead[0] != 0) == (i + 1 < n);
        PageId next = {h->ahead[0]};
        buf_unfix(frame);
        if (!ok) {
            return broken(cx, o, page);
        }
        page = next;
        (*io_pages)++;
    }
    return ST_OK;
}
