/*
 * txn/read.c: reading rows through snapshots: one by TID, or a page at a time.
 *
 * A slot without an entry in the page's version table (nearly all, nearly always) costs nothing beyond used and deleted bits. For
 * one with an entry the chain is walked from the newest version back to the first whose writer the snapshot sees, and
 * the before images met on the way are laid over the values read from the page.
 *
 * While a page is latched: no waiting but for undo records that were spilled to the file.
 */
#include "txn/txn_int.h"

/* What the walk found out about the visible version. */
typedef struct Version {
    bool exists;
    bool changed;     /* differs from the page: `lists` must be laid over */
    unsigned n_lists; /* before images, newest first */
    struct {
        const uint8_t *p;
        uint32_t len;
    } *lists;
    unsigned cap;
    uint64_t newest_ts; /* commit timestamp of the newest visible change, for TxnSeen */
} Version;

static Status add_list(Ctx *cx, Version *v, const UndoRec *r)
{
    if (v->n_lists == v->cap) {
        unsigned cap = v->cap == 0 ? 8 : v->cap * 2;
        void *p = arena_alloc(cx->arena, cap * sizeof *v->lists);
        if (p == NULL) {
            return ctx_nomem(cx, cap * sizeof *v->lists);
        }
        if (v->n_lists > 0) {
            memcpy(p, v->lists, v->n_lists * sizeof *v->lists);
        }
        v->lists = p;
        v->cap = cap;
    }
    /* Copied: values will point into it after the epoch is left. */
    uint8_t *copy = arena_copy(cx->arena, undo_payload(r), r->payload_len);
    if (copy == NULL) {
        return ctx_nomem(cx, r->payload_len);
    }
    v->lists[v->n_lists].p = copy;
    v->lists[v->n_lists++].len = r->payload_len;
    v->changed = true;
    return ST_OK;
}

/* Takes one invisible record back; *out_end: the row did not exist before it. */
static Status take_back(Ctx *cx, Version *v, const UndoRec *r, bool want_values, bool *out_end)
{
    *out_end = false;
    switch (r->type) {
    case UNDO_INSERT:
        v->exists = false;
        *out_end = true;
        return ST_OK;
    case UNDO_DELETE:
        v->exists = true;
        return ST_OK;
    case UNDO_UPDATE:
        return want_values ? add_list(cx, v, r) : ST_OK;
    default:
        return ST_OK;
    }
}

/* Walks the chain of a slot that has one. Inside an epoch, page latched. */
static Status resolve(Ctx *cx, Txn *t, UndoPtr ptr, uint64_t snapshot, bool deleted, bool want_values, Version *v)
{
    *v = (Version){.exists = !deleted};
    while (ptr != 0) {
        const UndoRec *r;
        Seen seen = SEEN_INVISIBLE;
        bool end = false;
        Status st = undo_get(cx, &t->ts->undo, &t->reader, ptr, &r);
        if (st != ST_OK || r == NULL) {
            return st;
        }
        if (r->type != UNDO_LOCK) {
            st = chain_writer(cx, t, r, snapshot, &seen);
            if (st == ST_OK && seen == SEEN_VISIBLE) {
                return ST_OK;
            }
            if (st == ST_OK) {
                st = take_back(cx, v, r, want_values, &end);
            }
        }
        if (st != ST_OK || end) {
            return st;
        }
        ptr = atomic_load_explicit(&r->prev_row, memory_order_acquire);
    }
    return ST_OK;
}

/* ---- one row ---- */

static Status read_values(Ctx *cx, const HeapPage *p, unsigned slot, const Version *v, const uint16_t *columns,
                          unsigned n, HeapValue *out_values)
{
    if (n == 0) {
        return ST_OK;
    }
    char *strings = arena_alloc(cx->arena, PAGE_BYTES);
    if (strings == NULL) {
        return ctx_nomem(cx, PAGE_BYTES);
    }
    Status st = heap_read(p, slot, columns, n, strings, cx->err, out_values);
    for (unsigned i = 0; st == ST_OK && i < v->n_lists; i++) {
        st = heap_list_apply(v->lists[i].p, v->lists[i].len, columns, n, cx->err, out_values);
    }
    return st;
}

static Status fetch_latched(Ctx *cx, Txn *t, const BufFrame *f, const HeapPage *p, unsigned slot, uint64_t snapshot,
                            const uint16_t *columns, unsigned n, HeapValue *out_values, bool *out_found)
{
    UndoPtr head = versions_head(page_versions(f), slot);
    bool deleted = heap_row(p, slot).deleted;
    Version v = {.exists = !deleted};
    Status st = ST_OK;
    if (head != 0) {
        st = resolve(cx, t, head, snapshot, deleted, n > 0, &v);
    }
    *out_found = v.exists;
    return st == ST_OK && v.exists ? read_values(cx, p, slot, &v, columns, n, out_values) : st;
}

static Status fetch_at(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, uint64_t snapshot,
                       const uint16_t *columns, unsigned n, HeapValue *out_values, bool *out_found)
{
    BufFrame *f;
    HeapPage p;
    unsigned slot;
    *out_found = false;
    Status st = buf_fix(cx, t->ts->store, tid_page(tid), tb->ref.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    st = heap_open(buf_page(f), shape, cx->err, &p);
    if (st == ST_OK && heap_find(&p, tid, &slot)) {
        epoch_enter(t->ts->epoch);
        st = fetch_latched(cx, t, f, &p, slot, snapshot, columns, n, out_values, out_found);
        epoch_leave(t->ts->epoch);
    }
    buf_unfix(f);
    return st;
}

Status txn_fetch(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns, unsigned n,
                 HeapValue *out_values, bool *out_found)
{
    ASSERT(t->snapshot != 0);
    return fetch_at(cx, t, tb, shape, tid, t->snapshot, columns, n, out_values, out_found);
}

Status txn_visible(Ctx *cx, Txn *t, TxnTable *tb, Tid tid, bool *out_visible)
{
    return fetch_at(cx, t, tb, NULL, tid, t->snapshot, NULL, 0, NULL, out_visible);
}

/*
 * The newest committed version is what a snapshot of now would see; `published` is read before the page is looked at, so whatever
 * the caller's next try finds newer is newer than what it has seen.
 */
Status txn_fetch_newest(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, Tid tid, const uint16_t *columns,
                        unsigned n, HeapValue *out_values, bool *out_found, TxnSeen *out_seen)
{
    uint64_t now = atomic_load_explicit(&t->ts->published, memory_order_seq_cst);
    Status st = fetch_at(cx, t, tb, shape, tid, now, columns, n, out_values, out_found);
    if (st == ST_OK) {
        out_seen->ts.v = now;
    }
    return st;
}

/* ---- a page ---- */

typedef struct PageScan {
    Txn *t;
    const HeapPage *p;
    const BufFrame *f;
    const HeapPredicate *preds;
    unsigned n_preds;
    HeapColumnOut *columns;
    unsigned n_columns;
    HeapBatch *out;
    Tid *tids;
    uint64_t *recheck;
} PageScan;

/* The slots with a chain leave the selection; those whose page version is the visible one come back, others are listed. */
typedef struct OldRows {
    unsigned n;
    uint16_t slots[HEAP_SLOTS_MAX];
} OldRows;

static Status judge_slot(Ctx *cx, PageScan *s, unsigned slot, UndoPtr head, HeapSelection *sel, OldRows *old)
{
    Version v;
    HeapRow row = heap_row(s->p, slot);
    if (!row.used) {
        return ST_OK;
    }
    Status st = resolve(cx, s->t, head, s->t->snapshot, row.deleted, true, &v);
    if (st != ST_OK) {
        return st;
    }
    bool as_is = v.exists && !v.changed;
    if (!as_is && heap_selected(sel, slot)) {
        heap_unselect(sel, slot);
    } else if (as_is) {
        sel->bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    }
    if (v.exists && v.changed) {
        old->slots[old->n++] = (uint16_t)slot;
    }
    return ST_OK;
}

static Status judge_versions(Ctx *cx, PageScan *s, HeapSelection *sel, OldRows *old)
{
    const PageVersions *v = page_versions(s->f);
    Status st = ST_OK;
    if (v->dense != NULL) {
        for (unsigned slot = 0; slot < s->p->n_slots && st == ST_OK; slot++) {
            if (v->dense[slot] != 0) {
                st = judge_slot(cx, s, slot, v->dense[slot], sel, old);
            }
        }
        return st;
    }
    for (unsigned i = 0; i < v->n && st == ST_OK; i++) {
        if (v->slots[i] < s->p->n_slots) {
            st = judge_slot(cx, s, v->slots[i], v->heads[i], sel, old);
        }
    }
    return st;
}

/* Puts one reconstructed row behind the rows copied from the page. */
static void emit_value(HeapColumnOut *c, const HeapValue *v, unsigned width, uint32_t row)
{
    unsigned bytes = width == HEAP_STRING ? 16 : heap_width_bytes(width);
    uint64_t bit = UINT64_C(1) << (row % 64);
    if (row % 64 == 0) {
        c->nulls[row / 64] = 0;
    }
    c->nulls[row / 64] &= ~bit;
    memset((uint8_t *)c->data + (size_t)row * bytes, 0, bytes);
    if (v->state == HEAP_NULL) {
        c->nulls[row / 64] |= bit;
        c->any_null = true;
        return;
    }
    memcpy((uint8_t *)c->data + (size_t)row * bytes, v->bytes, bytes);
    if (width == HEAP_STRING && v->state == HEAP_OVERFLOW) {
        if (!c->any_overflow) {
            /* heap_copy leaves the bits alone until there is one. */
            memset(c->overflow, 0, HEAP_WORDS_MAX * sizeof *c->overflow);
            c->any_overflow = true;
        }
        c->overflow[row / 64] |= bit;
    }
}

static Status emit_old(Ctx *cx, PageScan *s, const OldRows *old)
{
    uint16_t *cols = arena_alloc(cx->arena, (s->n_columns + 1u) * sizeof *cols);
    HeapValue *values = arena_alloc(cx->arena, (s->n_columns + 1u) * sizeof *values);
    if (cols == NULL || values == NULL) {
        return ctx_nomem(cx, s->n_columns * sizeof *values);
    }
    for (unsigned c = 0; c < s->n_columns; c++) {
        cols[c] = s->columns[c].column;
    }
    for (unsigned i = 0; i < old->n; i++) {
        bool found;
        unsigned slot = old->slots[i];
        Status st = fetch_latched(cx, s->t, s->f, s->p, slot, s->t->snapshot, cols, s->n_columns, values, &found);
        if (st != ST_OK) {
            return st;
        }
        ASSERT(found);
        uint32_t row = s->out->n_rows++;
        for (unsigned c = 0; c < s->n_columns; c++) {
            s->columns[c].constant = false;
            emit_value(&s->columns[c], &values[c], s->p->layout->columns[cols[c]].width, row);
        }
        s->tids[row] = heap_tid(s->p, slot);
        /* The predicates were not applied to it: the caller evaluates its filter. */
        if (row % 64 == 0) {
            s->recheck[row / 64] = 0;
        }
        s->recheck[row / 64] |= UINT64_C(1) << (row % 64);
    }
    return ST_OK;
}

static Status scan_latched(Ctx *cx, PageScan *s)
{
    HeapSelection sel;
    HeapSelection undecided = {0};
    OldRows old = {.n = 0};
    Status st = ST_OK;
    (void)heap_select_live(s->p, &sel);
    if (page_versions(s->f) != NULL) {
        st = judge_versions(cx, s, &sel, &old);
    }
    if (st != ST_OK) {
        return st;
    }
    undecided.n_words = sel.n_words;
    if (s->n_preds > 0) {
        (void)heap_filter(s->p, s->preds, s->n_preds, &sel, &undecided);
    }
    st = heap_copy(s->p, &sel, s->columns, s->n_columns, cx->err, s->out);
    if (st != ST_OK) {
        return st;
    }
    uint32_t row = 0;
    memset(s->recheck, 0, HEAP_WORDS_MAX * sizeof *s->recheck);
    for (unsigned w = 0; w < sel.n_words; w++) {
        for (uint64_t bits = sel.bits[w]; bits != 0; bits &= bits - 1, row++) {
            unsigned slot = w * 64 + (unsigned)__builtin_ctzll(bits);
            s->tids[row] = heap_tid(s->p, slot);
            if (heap_selected(&undecided, slot)) {
                s->recheck[row / 64] |= UINT64_C(1) << (row % 64);
            }
        }
    }
    ASSERT(row == s->out->n_rows);
    for (unsigned c = 0; c < s->n_columns && old.n > 0; c++) {
        /* Room for old rows behind: whole words beyond those copied begin empty. */
        HeapColumnOut *o = &s->columns[c];
        if (o->any_overflow) {
            memset(o->overflow + (row + 63) / 64, 0, (HEAP_WORDS_MAX - (row + 63) / 64) * sizeof *o->overflow);
        }
    }
    return old.n > 0 ? emit_old(cx, s, &old) : ST_OK;
}

Status txn_scan_page(Ctx *cx, Txn *t, TxnTable *tb, const HeapShape *shape, uint32_t ordinal, const HeapPredicate *preds,
                     unsigned n_preds, HeapColumnOut *columns, unsigned n_columns, HeapBatch *out_batch, Tid *out_tids,
                     uint64_t *recheck, bool *out_more)
{
    PageId id;
    BufFrame *f;
    HeapPage p;
    ASSERT(t->snapshot != 0);
    out_batch->n_rows = 0;
    out_batch->strings_used = 0;
    *out_more = ordinal < object_page_count(tb->object);
    if (!*out_more || !object_page_at(tb->object, ordinal, &id)) {
        return ST_OK;
    }
    Status st = buf_fix(cx, t->ts->store, id, tb->ref.id, LATCH_SHARED, &f);
    if (st != ST_OK) {
        return st;
    }
    if (page_header_const(buf_page(f))->type == PAGE_TABLE) {
        st = heap_open(buf_page(f), shape, cx->err, &p);
        if (st == ST_OK) {
            PageScan s = {.t = t, .p = &p, .f = f, .preds = preds, .n_preds = n_preds, .columns = columns,
                          .n_columns = n_columns, .out = out_batch, .tids = out_tids, .recheck = recheck};
            epoch_enter(t->ts->epoch);
            st = scan_latched(cx, &s);
            epoch_leave(t->ts->epoch);
        }
    }
    buf_unfix(f);
    return st;
}
