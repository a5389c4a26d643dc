/*
 * access/heap_check.c: verifying all pages of a table. Goes on after a problem; only memory, interrupts and the
 * caller's callback end it.
 */
#include "access/heap_int.h"
#include "access/overflow.h"
#include "base/map.h"

typedef struct Chain {
    PageId head;
    uint32_t len;
} Chain;

typedef struct Walk {
    Ctx *cx;
    StoreObject *object;
    const HeapShape *shape;
    HeapCheck *check;
    VEC(Chain) chains; /* of the page at hand */
} Walk;

static bool fatal(Status st)
{
    return st != ST_OK && st != ST_CORRUPTED && st != ST_IO_ERROR;
}

/* Reports what is in the error object and clears it. */
static void problem(Walk *w, const char *text)
{
    w->check->problems++;
    w->check->report(w->check->arg, text != NULL ? text : w->cx->err->message);
    err_clear(w->cx->err);
}

/* Overflow values of the rows in use, to be followed when the page is unlatched. */
static Status collect_chains(Walk *w, const HeapPage *p, const HeapDir *d)
{
    for (unsigned slot = 0; slot < p->n_slots; slot++) {
        HeapValue v;
        if (heap_row(p, slot).used && heap_stored(p->page, d, slot, &v) && v.state == HEAP_OVERFLOW) {
            Chain chain = {{v.view.ref}, v.view.len};
            if (!VEC_PUSH(&w->chains, chain)) {
                return ctx_nomem(w->cx, sizeof chain);
            }
        }
    }
    return ST_OK;
}

static Status check_table_page(Walk *w, const uint8_t *page)
{
    HeapPage p;
    Status st = heap_page_check(page, w->cx->err);
    if (st == ST_OK) {
        st = heap_open(page, w->shape, w->cx->err, &p);
    }
    if (st != ST_OK) {
        return st;
    }
    w->check->rows += p.n_used;
    w->check->deleted += p.n_deleted;
    for (unsigned c = 0; c < p.layout->n_columns; c++) {
        const HeapDir *d;
        HeapValue v;
        if (!heap_locate(&p, c, &d, &v)) {
            return heap_corrupted(w->cx->err, page, "a column is not what its layout says");
        }
        if (d != NULL && d->width == HEAP_STRING) {
            st = collect_chains(w, &p, d);
            if (st != ST_OK) {
                return st;
            }
        }
    }
    for (unsigned slot = 0; w->check->row != NULL && slot < p.n_slots; slot++) {
        if (heap_row(&p, slot).used) {
            st = w->check->row(w->check->arg, w->cx, &p, slot);
            if (st != ST_OK) {
                return st;
            }
        }
    }
    return ST_OK;
}

static Status follow_chains(Walk *w)
{
    for (size_t i = 0; i < w->chains.n; i++) {
        Status st = overflow_check(w->cx, w->object, w->chains.v[i].head, w->chains.v[i].len, &w->check->chain_pages);
        w->check->chains++;
        if (fatal(st)) {
            return st;
        }
        if (st != ST_OK) {
            problem(w, NULL);
        }
    }
    return ST_OK;
}

static Status check_page(Walk *w, PageId id)
{
    BufFrame *frame;
    Status st = buf_fix(w->cx, object_store(w->object), id, object_ref(w->object).id, LATCH_SHARED, &frame);
    w->chains.n = 0;
    if (st == ST_OK) {
        w->check->pages++;
        const uint8_t *page = buf_page(frame);
        if (page_header_const(page)->type == PAGE_TABLE) {
            st = check_table_page(w, page);
        } else if (page_header_const(page)->type == PAGE_OVERFLOW) {
            w->check->overflow_pages++;
        } else {
            st = heap_corrupted(w->cx->err, page, "neither rows nor overflow");
        }
        buf_unfix(frame);
    }
    if (st != ST_OK && !fatal(st)) {
        problem(w, NULL);
        st = ST_OK;
    }
    return st == ST_OK ? follow_chains(w) : st;
}

Status heap_check(Ctx *cx, StoreObject *o, const HeapShape *shape, HeapCheck *check)
{
    Walk w = {.cx = cx, .object = o, .shape = shape, .check = check, .chains = {.budget = cx->budget}};
    Status st = ST_OK;
    for (uint32_t ordinal = 0; ordinal < object_page_count(o) && st == ST_OK; ordinal++) {
        PageId id;
        st = ctx_poll(cx);
        if (st == ST_OK && object_page_at(o, ordinal, &id)) {
            st = check_page(&w, id);
        }
    }
    VEC_DONE(&w.chains);
    return st;
}
