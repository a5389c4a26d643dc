#include "heap_model.h"

#include "access/heap_int.h"

static unsigned below(Model *m, unsigned n)
{
    return (unsigned)rng_below(&m->rng, n);
}

HeapValue page_model_random(Model *m, unsigned width)
{
    static const uint64_t edge[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, 127, 255, 65535, 1000000};
    HeapValue v = heap_null();
    if (width == HEAP_STRING) {
        unsigned kind = below(m, 16);
        uint32_t len = kind < 6 ? below(m, 13) : kind < 12 ? 13 + below(m, 30) : below(m, m->string_max + 1);
        char *p = arena_alloc(&m->arena, len + 1);
        for (uint32_t i = 0; i < len; i++) {
            p[i] = (char)('a' + below(m, 3));
        }
        v = heap_string(p, len);
        if (kind == 15 && len > HEAP_VIEW_INLINE && below(m, 4) == 0) {
            v.state = HEAP_OVERFLOW;
            v.view.len = 100000 + below(m, 1000);
            v.view.ref = 1 + below(m, 1000000);
        }
        return v;
    }
    v.view = (HeapView){0};
    uint64_t words[2] = {below(m, 2) == 0 ? edge[below(m, ARRAY_LEN(edge))] : rng_next(&m->rng), rng_next(&m->rng)};
    memcpy(v.bytes, words, heap_width_bytes(width));
    v.state = HEAP_PRESENT;
    return v;
}

HeapValue page_model_value(Model *m, unsigned column)
{
    const HeapColumn *col = &heap_newest(&m->shape)->columns[column];
    unsigned kind = below(m, 10);
    return kind == 0 ? heap_null() : kind == 1 ? col->fill : page_model_random(m, col->width);
}

void page_model_row(Model *m, HeapValue *out)
{
    for (unsigned c = 0; c < m->n_columns; c++) {
        out[c] = page_model_value(m, c);
    }
}

static HeapColumn random_column(Model *m)
{
    HeapColumn col = {.width = (uint8_t)(1 + below(m, 6)), .fill = heap_null()};
    if (below(m, 2) == 0) {
        do {
            col.fill = page_model_random(m, col.width);
        } while (col.fill.state == HEAP_OVERFLOW || (col.width == HEAP_STRING && col.fill.view.len > 300));
    }
    return col;
}

/* A new layout: the newest one's columns, to be changed by the caller. */
static HeapColumn *next_layout(Model *m, unsigned n_columns)
{
    unsigned i = m->shape.n_layouts++;
    if (i > 0) {
        memcpy(m->columns[i], m->columns[i - 1], sizeof m->columns[i]);
    }
    m->layout_memory[i] = (HeapLayout){.id = 10 + 3 * i, .n_columns = (uint16_t)n_columns, .columns = m->columns[i]};
    m->layouts[i] = &m->layout_memory[i];
    m->n_columns = n_columns;
    return m->columns[i];
}

Model *page_model_new(uint64_t seed, unsigned n_columns, uint32_t string_max)
{
    Model *m = calloc(1, sizeof *m);
    rng_seed(&m->rng, seed);
    budget_init(&m->budget, "model", NULL, 0, 0);
    arena_init(&m->arena, &m->budget, 65536);
    err_clear(&m->err);
    heap_register(&m->registry);
    m->page = aligned_alloc(4096, PAGE_BYTES);
    m->replica = aligned_alloc(4096, PAGE_BYTES);
    m->rows = calloc(HEAP_SLOTS_MAX, sizeof *m->rows);
    m->buf = malloc(HEAP_DATA_MAX);
    m->shape.layouts = m->layouts;
    m->string_max = string_max;
    for (unsigned t = 0; t < MODEL_TXNS; t++) {
        m->undo[t] = calloc(MODEL_UNDO, sizeof *m->undo[t]);
    }
    HeapColumn *cols = next_layout(m, n_columns);
    for (unsigned c = 0; c < n_columns; c++) {
        cols[c] = random_column(m);
    }
    assert_int_equal(heap_layout_check(heap_newest(&m->shape), &m->err), ST_OK);
    return m;
}

void page_model_free(Model *m)
{
    for (unsigned t = 0; t < MODEL_TXNS; t++) {
        free(m->undo[t]);
    }
    free(m->page);
    free(m->replica);
    free(m->rows);
    free(m->buf);
    arena_done(&m->arena);
    budget_done(&m->budget);
    free(m);
}

HeapPage page_model_open(Model *m)
{
    HeapPage p;
    assert_int_equal(heap_open(m->page, &m->shape, &m->err, &p), ST_OK);
    return p;
}

static void check_page(Model *m, const uint8_t *page)
{
    if (heap_page_check(page, &m->err) != ST_OK) {
        fail_msg("%s", m->err.message);
    }
}

void page_model_apply(Model *m, const HeapData *d)
{
    uint8_t *exact = malloc(d->len); /* so that the sanitizer sees a read past the end */
    memcpy(exact, d->data, d->len);
    WalPage ref = {.id = {7}, .redo = d->redo, .flags = d->flags, .data = exact, .len = d->len};
    if (m->registry.redo[d->redo](&ref, m->page, &m->err) != ST_OK ||
        m->registry.redo[d->redo](&ref, m->replica, &m->err) != ST_OK) {
        fail_msg("redo %u: %s", d->redo, m->err.message);
    }
    assert_memory_equal(m->page, m->replica, PAGE_BYTES);
    check_page(m, m->page);
    HeapPage p = page_model_open(m);
    assert_true(heap_free_bytes(&p) >= m->reserved); /* H7 */
    m->counts[d->redo]++;
    free(exact);
}

void page_model_init_page(Model *m, unsigned capacity)
{
    const HeapLayout *l = heap_newest(&m->shape);
    while (capacity == 0 || heap_arrays_at(l->n_columns, capacity) > PAGE_BODY_END - 4000) {
        capacity = 1 + (below(m, 2) == 0 ? below(m, 200) : below(m, HEAP_SLOTS_MAX));
    }
    memset(m->page, 0, PAGE_BYTES);
    page_header(m->page)->id = 7;
    memcpy(m->replica, m->page, PAGE_BYTES);
    HeapInsert ins;
    heap_insert_begin_new(&ins, &m->shape, (PageId){7}, (ObjId){77}, 3, capacity, 1, m->buf);
    heap_insert_end(&ins);
    page_model_apply(m, &ins.data);
    memset(m->rows, 0, HEAP_SLOTS_MAX * sizeof *m->rows);
}

/* ---- comparing ---- */

static void compare_row(Model *m, const HeapPage *p, unsigned slot)
{
    const HeapLayout *l = heap_newest(&m->shape);
    const ModelRow *row = &m->rows[slot];
    HeapRow state = heap_row(p, slot);
    assert_int_equal(state.used, row->used);
    if (!row->used) {
        return;
    }
    assert_int_equal(state.deleted, row->deleted);
    assert_int_equal(state.generation, row->generation);
    assert_int_equal(state.stamp, row->stamp);
    unsigned found;
    assert_true(heap_find(p, tid_make((PageId){7}, slot, row->generation), &found));
    assert_int_equal(found, slot);
    assert_false(heap_find(p, tid_make((PageId){7}, slot, row->generation + 1u), &found));
    uint16_t columns[MODEL_COLUMNS];
    unsigned n = 0;
    for (unsigned c = 0; c < l->n_columns; c++) {
        if (!l->columns[c].dropped) {
            columns[n++] = (uint16_t)c;
        }
    }
    HeapValue values[MODEL_COLUMNS];
    char strings[PAGE_BYTES];
    assert_int_equal(heap_read(p, slot, columns, n, strings, &m->err, values), ST_OK);
    for (unsigned i = 0; i < n; i++) {
        if (!heap_value_eq(l->columns[columns[i]].width, &values[i], &row->values[columns[i]])) {
            fail_msg("slot %u column %u differs", slot, columns[i]);
        }
    }
}

void page_model_compare(Model *m)
{
    HeapPage p = page_model_open(m);
    for (unsigned slot = 0; slot < p.n_slots; slot++) {
        compare_row(m, &p, slot);
    }
    for (unsigned slot = p.n_slots; slot < HEAP_SLOTS_MAX; slot++) {
        assert_false(m->rows[slot].used);
    }
}

/* ---- changes ---- */

static ModelUndo *push_undo(Model *m, unsigned txn, uint8_t kind, unsigned slot)
{
    assert_true(m->n_undo[txn] < MODEL_UNDO);
    ModelUndo *u = &m->undo[txn][m->n_undo[txn]++];
    *u = (ModelUndo){.kind = kind, .slot = (uint16_t)slot, .stamp = m->rows[slot].stamp};
    m->rows[slot].owner = (int)txn;
    return u;
}

static void check_change(Model *m, const HeapInsert *ins, const HeapValue (*rows)[MODEL_COLUMNS])
{
    WalPage ref = {.id = {7}, .redo = ins->data.redo, .data = ins->data.data, .len = ins->data.len};
    HeapChange change;
    HeapChangeRow row;
    assert_int_equal(heap_change_begin(&change, &ref, &m->err), ST_OK);
    assert_int_equal(change.n_rows, ins->n_rows);
    for (unsigned i = 0; i < ins->n_rows; i++) {
        assert_int_equal(heap_change_row(&change, &m->err, &row), ST_OK);
        assert_int_equal(row.slot, ins->slots[i]);
        HeapValue values[MODEL_COLUMNS];
        assert_int_equal(heap_image_decode(heap_newest(&m->shape), row.image, row.image_len, &m->err, values), ST_OK);
        for (unsigned c = 0; c < m->n_columns; c++) {
            const HeapColumn *col = &heap_newest(&m->shape)->columns[c];
            assert_true(col->dropped || heap_value_eq(col->width, &values[c], &rows[i][c]));
        }
    }
    assert_int_equal(heap_change_row(&change, &m->err, &row), ST_END);
}

bool page_model_insert(Model *m, unsigned txn, unsigned n)
{
    static HeapValue rows[HEAP_SLOTS_MAX][MODEL_COLUMNS];
    HeapPage p = page_model_open(m);
    HeapInsert ins;
    uint32_t stamp = 1 + below(m, 3);
    Tid tids[HEAP_SLOTS_MAX];
    unsigned done = 0;
    heap_insert_begin(&ins, &p, m->reserved, stamp, m->buf);
    while (done < n && m->n_undo[txn] + done < MODEL_UNDO) {
        page_model_row(m, rows[done]);
        if (heap_insert_add(&ins, rows[done], &tids[done]) != HEAP_FITS) {
            break;
        }
        done++;
    }
    if (done == 0) {
        return false;
    }
    heap_insert_end(&ins);
    check_change(m, &ins, (const HeapValue(*)[MODEL_COLUMNS])rows);
    page_model_apply(m, &ins.data);
    for (unsigned i = 0; i < done; i++) {
        unsigned slot = tid_slot(tids[i]);
        ModelRow *row = &m->rows[slot];
        assert_false(row->used);
        assert_int_equal(row->generation, tid_generation(tids[i]));
        push_undo(m, txn, HEAP_REDO_INSERT, slot);
        row->used = true;
        row->deleted = false;
        row->stamp = stamp;
        memcpy(row->values, rows[i], sizeof row->values);
    }
    return true;
}

/* A row that the transaction may change; -1 = none found. */
static int pick_row(Model *m, unsigned txn, bool deleted)
{
    HeapPage p = page_model_open(m);
    for (unsigned tries = 0; tries < 20 && p.n_slots > 0; tries++) {
        unsigned slot = below(m, p.n_slots);
        const ModelRow *row = &m->rows[slot];
        if (row->used && row->deleted == deleted && (row->owner == -1 || row->owner == (int)txn)) {
            return (int)slot;
        }
    }
    return -1;
}

bool page_model_update(Model *m, unsigned txn)
{
    int slot = pick_row(m, txn, false);
    if (slot < 0 || m->n_undo[txn] == MODEL_UNDO) {
        return false;
    }
    HeapPage p = page_model_open(m);
    const HeapLayout *l = heap_newest(&m->shape);
    uint16_t columns[MODEL_COLUMNS];
    HeapValue values[MODEL_COLUMNS];
    unsigned n = 0;
    for (unsigned c = 0; c < l->n_columns; c++) {
        if (!l->columns[c].dropped && below(m, 3) == 0) {
            columns[n] = (uint16_t)c;
            values[n++] = page_model_value(m, c);
        }
    }
    uint8_t *before = arena_alloc(&m->arena, heap_before_bytes_max(l, columns, n));
    uint32_t before_len;
    HeapData data;
    uint32_t freed;
    uint32_t stamp = 1 + below(m, 5);
    if (heap_update_build(&p, (unsigned)slot, columns, values, n, m->reserved, stamp, m->buf, &data, &freed) !=
        HEAP_FITS) {
        return false;
    }
    assert_true(data.len <= heap_update_bytes_max(l, columns, values, n));
    assert_int_equal(heap_before_image(&p, (unsigned)slot, columns, n, &m->err, before, &before_len), ST_OK);
    assert_true(before_len <= heap_before_bytes_max(l, columns, n));
    ModelUndo *u = push_undo(m, txn, HEAP_REDO_UPDATE, (unsigned)slot);
    u->before = before;
    u->before_len = before_len;
    u->freed = freed;
    memcpy(u->values, m->rows[slot].values, sizeof u->values);
    /* The before image, applied to the new values, gives the old ones. */
    HeapValue back[MODEL_COLUMNS];
    memcpy(back, values, sizeof back);
    assert_int_equal(heap_list_apply(before, before_len, columns, n, &m->err, back), ST_OK);
    for (unsigned i = 0; i < n; i++) {
        assert_true(heap_value_eq(l->columns[columns[i]].width, &back[i], &m->rows[slot].values[columns[i]]));
        m->rows[slot].values[columns[i]] = values[i];
    }
    m->reserved += freed;
    m->rows[slot].stamp = stamp;
    page_model_apply(m, &data);
    return true;
}

static void mark(Model *m, uint8_t redo, unsigned slot, uint32_t stamp)
{
    HeapPage p = page_model_open(m);
    HeapData data;
    uint16_t slots[1] = {(uint16_t)slot};
    heap_mark_build(&p, redo, slots, &stamp, 1, m->buf, &data);
    page_model_apply(m, &data);
    m->rows[slot].deleted = redo == HEAP_REDO_MARK;
    m->rows[slot].stamp = stamp;
}

bool page_model_delete(Model *m, unsigned txn)
{
    int slot = pick_row(m, txn, false);
    if (slot < 0 || m->n_undo[txn] == MODEL_UNDO) {
        return false;
    }
    push_undo(m, txn, HEAP_REDO_MARK, (unsigned)slot);
    mark(m, HEAP_REDO_MARK, (unsigned)slot, 1 + below(m, 5));
    return true;
}

void page_model_commit(Model *m, unsigned txn)
{
    for (unsigned i = 0; i < m->n_undo[txn]; i++) {
        m->reserved -= m->undo[txn][i].freed;
        m->rows[m->undo[txn][i].slot].owner = -1;
    }
    m->n_undo[txn] = 0;
}

static void free_slots(Model *m, const uint16_t *slots, unsigned n)
{
    HeapPage p = page_model_open(m);
    HeapData data;
    heap_free_build(&p, slots, n, m->buf, &data);
    page_model_apply(m, &data);
    for (unsigned i = 0; i < n; i++) {
        m->rows[slots[i]].used = false;
        m->rows[slots[i]].deleted = false;
        m->rows[slots[i]].owner = -1;
        m->rows[slots[i]].generation++;
    }
}

/* I: undoing an update fits, whatever happened to the page since. */
void page_model_rollback(Model *m, unsigned txn)
{
    while (m->n_undo[txn] > 0) {
        const ModelUndo *u = &m->undo[txn][--m->n_undo[txn]];
        ModelRow *row = &m->rows[u->slot];
        HeapPage p = page_model_open(m);
        if (u->kind == HEAP_REDO_INSERT) {
            free_slots(m, &u->slot, 1);
        } else if (u->kind == HEAP_REDO_MARK) {
            mark(m, HEAP_REDO_UNMARK, u->slot, u->stamp);
        } else {
            HeapData data;
            m->reserved -= u->freed;
            if (heap_restore_build(&p, u->slot, u->before, u->before_len, u->stamp, m->buf, &m->err, &data) != ST_OK) {
                fail_msg("rollback does not fit: %s", m->err.message);
            }
            row->stamp = u->stamp;
            memcpy(row->values, u->values, sizeof row->values);
            page_model_apply(m, &data);
        }
    }
    for (unsigned slot = 0; slot < HEAP_SLOTS_MAX; slot++) {
        m->rows[slot].owner = m->rows[slot].owner == (int)txn ? -1 : m->rows[slot].owner;
    }
}

void page_model_purge(Model *m)
{
    uint16_t slots[HEAP_SLOTS_MAX];
    unsigned n = 0;
    for (unsigned slot = 0; slot < HEAP_SLOTS_MAX; slot++) {
        if (m->rows[slot].used && m->rows[slot].deleted && m->rows[slot].owner == -1) {
            slots[n++] = (uint16_t)slot;
        }
    }
    if (n > 0) {
        free_slots(m, slots, n);
    }
}

bool page_model_relayout(Model *m, unsigned capacity)
{
    HeapPage p = page_model_open(m);
    HeapData data;
    if (!heap_relayout_build(&p, capacity, m->reserved, m->buf, &data)) {
        return false;
    }
    assert_true(data.len <= heap_relayout_bytes_max(heap_newest(&m->shape)));
    page_model_apply(m, &data);
    return true;
}

/* ADD COLUMN: every row has the fill, without a page being touched. */
bool page_model_add_column(Model *m)
{
    if (m->n_columns == MODEL_COLUMNS || m->shape.n_layouts == MODEL_LAYOUTS) {
        return false;
    }
    unsigned c = m->n_columns;
    HeapColumn *cols = next_layout(m, c + 1);
    cols[c] = random_column(m);
    for (unsigned slot = 0; slot < HEAP_SLOTS_MAX; slot++) {
        m->rows[slot].values[c] = cols[c].fill;
    }
    /* Old versions have it too. */
    for (unsigned t = 0; t < MODEL_TXNS; t++) {
        for (unsigned i = 0; i < m->n_undo[t]; i++) {
            m->undo[t][i].values[c] = cols[c].fill;
        }
    }
    return true;
}

bool page_model_drop_column(Model *m)
{
    unsigned open = 0;
    for (unsigned t = 0; t < MODEL_TXNS; t++) {
        open += m->n_undo[t];
    }
    if (open != 0 || m->shape.n_layouts == MODEL_LAYOUTS || m->n_columns < 2) {
        return false;
    }
    next_layout(m, m->n_columns)[below(m, m->n_columns)].dropped = true;
    return true;
}

void page_model_step(Model *m)
{
    unsigned txn = below(m, MODEL_TXNS);
    unsigned kind = below(m, 100);
    if (kind < 25) {
        (void)page_model_insert(m, txn, 1 + (below(m, 10) == 0 ? below(m, 300) : 0));
    } else if (kind < 70) {
        (void)page_model_update(m, txn);
    } else if (kind < 78) {
        (void)page_model_delete(m, txn);
    } else if (kind < 84) {
        page_model_commit(m, txn);
    } else if (kind < 90) {
        page_model_rollback(m, txn);
    } else if (kind < 93) {
        page_model_purge(m);
    } else if (kind < 96) {
        HeapPage p = page_model_open(m);
        (void)page_model_relayout(m, below(m, 2) == 0 ? 0 : p.n_slots + below(m, 100));
    } else if (kind < 97) {
        (void)page_model_add_column(m);
    } else if (kind == 97) {
        (void)page_model_drop_column(m);
    }
}
