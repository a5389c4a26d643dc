/*
 * access/heap_place.c: where new rows go. A table has several insertion pages, one per value of the caller's hint
 * modulo HEAP_INSERT_PAGES; each is filled until a row does not fit. Then the free-space map is asked, then a new page
 * is taken, with as many slots as rows of the table's usual size fit.
 */
#include "access/heap_int.h"

enum {
    PLACE_TRIES = 3,  /* pages tried before a new one is taken */
    SHARE_PAGES = 16, /* a smaller table shares its insertion pages among writers rather than grow */
    MEAN_ROWS = 8,    /* a page with fewer rows says nothing about their usual size */
};

void heap_table_init(HeapTable *t, StoreObject *object)
{
    t->object = object;
    atomic_init(&t->string_bytes, 0);
    atomic_init(&t->fixed_bytes, 0);
    for (unsigned i = 0; i < HEAP_INSERT_PAGES; i++) {
        atomic_init(&t->insert_ordinal[i], ORDINAL_NONE);
    }
}

uint32_t heap_row_bytes(const HeapLayout *l, const HeapValue *row)
{
    uint32_t fixed;
    uint32_t strings;
    heap_row_parts(l, row, &fixed, &strings);
    return strings;
}

/* ---- capacity ---- */

unsigned heap_choose_capacity(const HeapTable *t, const HeapLayout *l, const HeapValue *row)
{
    uint32_t fixed;
    uint32_t strings;
    unsigned arrays = 0;
    heap_row_parts(l, row, &fixed, &strings);
    for (unsigned c = 0; c < l->n_columns; c++) {
        arrays += !l->columns[c].dropped && !heap_value_eq(l->columns[c].width, &row[c], &l->columns[c].fill);
    }
    /* Relaxed: a running mean. Arrays that only the row at hand has are made all the same. */
    uint32_t mean_fixed = atomic_load_explicit(&t->fixed_bytes, memory_order_relaxed) / 16;
    uint32_t mean_strings = atomic_load_explicit(&t->string_bytes, memory_order_relaxed);
    fixed = mean_fixed > fixed ? mean_fixed : fixed;
    /* In sixteenths of a byte, and a sixteenth more for updates that make strings longer. */
    uint32_t strings16 = mean_strings != 0 ? mean_strings : strings * 16;
    uint32_t row16 = (fixed + 5) * 16 + 2 * (arrays + 2) + strings16 + strings16 / 16;
    uint32_t overhead = HEAP_DIR_AT + 8u * l->n_columns + 24 * arrays;
    uint32_t capacity = overhead < PAGE_BODY_END ? (PAGE_BODY_END - overhead) * 16 / row16 : 1;
    capacity = capacity > HEAP_SLOTS_MAX ? HEAP_SLOTS_MAX : capacity;
    while (capacity > 1 && !heap_first_row_fits(l, row, capacity)) {
        capacity = capacity * 3 / 4;
    }
    return capacity > 0 ? capacity : 1;
}

static void note_mean(_Atomic uint32_t *mean, uint32_t value16)
{
    uint32_t old = atomic_load_explicit(mean, memory_order_relaxed);
    atomic_store_explicit(mean, old == 0 ? value16 : old - old / 4 + value16 / 4, memory_order_relaxed);
}

/* What a page that has filled up says about the table's rows. */
static void note_sizes(HeapTable *t, const HeapPage *p)
{
    if (p->n_used < MEAN_ROWS) {
        return;
    }
    const HeapHead *h = heap_head_const(p->page);
    const HeapDir *dir = heap_dir_const(p->page);
    uint32_t fixed = 0;
    for (unsigned c = 0; c < p->n_columns; c++) {
        fixed += dir[c].offset != 0 ? heap_width_bytes(dir[c].width) : 0;
    }
    uint32_t strings = (uint32_t)PAGE_BODY_END - h->strings_start - h->garbage;
    note_mean(&t->string_bytes, strings * 16 / p->n_used);
    note_mean(&t->fixed_bytes, fixed * 16);
}

/* ---- pages ---- */

void heap_place_begin(HeapPlace *pl, HeapTable *t, uint32_t hint, uint32_t bytes)
{
    uint32_t min_class = 1 + bytes * SPACE_CLASS_MAX / PAGE_BODY_BYTES;
    *pl = (HeapPlace){.table = t,
                      .hint = hint,
                      .bytes = bytes,
                      .ordinal = ORDINAL_NONE,
                      .min_class = min_class < SPACE_CLASS_MAX ? min_class : SPACE_CLASS_MAX};
}

static _Atomic uint32_t *own_ordinal(const HeapPlace *pl)
{
    return &pl->table->insert_ordinal[pl->hint % HEAP_INSERT_PAGES];
}

/* Another writer fills this page, in a table large enough for each to have his own. */
static bool is_taken(const HeapPlace *pl, uint32_t ordinal)
{
    if (object_page_count(pl->table->object) < SHARE_PAGES) {
        return false;
    }
    for (unsigned i = 0; i < HEAP_INSERT_PAGES; i++) {
        if (i != pl->hint % HEAP_INSERT_PAGES &&
            atomic_load_explicit(&pl->table->insert_ordinal[i], memory_order_relaxed) == ordinal) {
            return true;
        }
    }
    return false;
}

/* An ordinal worth a try: the writer's own page first, then what the free-space map finds. */
static Status candidate(Ctx *cx, HeapPlace *pl, uint32_t *out_ordinal)
{
    if (pl->tries++ == 0) {
        uint32_t own = atomic_load_explicit(own_ordinal(pl), memory_order_relaxed);
        if (own != ORDINAL_NONE) {
            *out_ordinal = own;
            return ST_OK;
        }
    }
    uint32_t ordinal;
    Status st = object_find_space(cx, pl->table->object, pl->min_class, pl->hint, &ordinal);
    if (st == ST_OK && is_taken(pl, ordinal)) {
        return ST_NOT_FOUND;
    }
    if (st == ST_OK) {
        *out_ordinal = ordinal;
    }
    return st;
}

/* Latches the page if it is one of the table's; ST_NOT_FOUND when the hint was out of date. */
static Status fix_candidate(Ctx *cx, HeapPlace *pl, uint32_t ordinal, BufFrame **out_frame)
{
    StoreObject *o = pl->table->object;
    PageId id;
    BufFrame *frame;
    if (!object_page_at(o, ordinal, &id)) {
        return ST_NOT_FOUND;
    }
    Status st = buf_fix(cx, object_store(o), id, OBJ_NONE, LATCH_EXCLUSIVE, &frame);
    if (st != ST_OK) {
        return st;
    }
    const PageHeader *h = page_header_const(buf_page(frame));
    if (h->type != PAGE_TABLE || h->object != object_ref(o).id.v || h->ordinal != ordinal) {
        buf_unfix(frame);
        return ST_NOT_FOUND;
    }
    *out_frame = frame;
    return ST_OK;
}

Status heap_place_next(Ctx *cx, StoreOp *op, HeapPlace *pl, BufFrame **out_frame)
{
    while (pl->tries < PLACE_TRIES) {
        uint32_t ordinal = ORDINAL_NONE;
        Status st = candidate(cx, pl, &ordinal);
        if (st == ST_NOT_FOUND) {
            break;
        }
        if (st == ST_OK) {
            st = fix_candidate(cx, pl, ordinal, out_frame);
        }
        if (st == ST_OK) {
            pl->ordinal = ordinal;
            pl->is_new = false;
        }
        if (st != ST_NOT_FOUND) {
            return st;
        }
    }
    pl->tries = PLACE_TRIES;
    pl->is_new = true;
    return op_take_page(cx, op, out_frame, &pl->ordinal);
}

void heap_place_reject(Ctx *cx, HeapPlace *pl, BufFrame *frame, uint32_t reserved)
{
    HeapPage p;
    uint32_t ordinal = pl->ordinal;
    ASSERT(!pl->is_new);
    if (heap_open(buf_page(frame), NULL, NULL, &p) == ST_OK) {
        unsigned space_class = heap_space_class(&p, reserved);
        note_sizes(pl->table, &p);
        /* Below what was asked for, or the map would offer the page again at once. */
        object_note_space(cx, pl->table->object, ordinal,
                          space_class < pl->min_class ? space_class : pl->min_class - 1);
    }
    /* If another writer has put a page there meanwhile, it stays. */
    (void)atomic_compare_exchange_strong_explicit(own_ordinal(pl), &ordinal, ORDINAL_NONE, memory_order_relaxed,
                                                  memory_order_relaxed);
    buf_unfix(frame);
}

void heap_place_done(Ctx *cx, HeapPlace *pl, BufFrame *frame, uint32_t reserved)
{
    HeapPage p;
    atomic_store_explicit(own_ordinal(pl), pl->ordinal, memory_order_relaxed);
    if (pl->is_new && heap_open(buf_page(frame), NULL, NULL, &p) == ST_OK) {
        heap_note_space(cx, pl->table, &p, reserved); /* found again after a restart */
    }
}

void heap_note_space(Ctx *cx, HeapTable *t, const HeapPage *p, uint32_t reserved)
{
    object_note_space(cx, t->object, page_header_const(p->page)->ordinal, heap_space_class(p, reserved));
}
