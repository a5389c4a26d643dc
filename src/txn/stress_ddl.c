/*
 * txn/stress_ddl.c: tables of the stress workload: handles, hooks of purge, and statements that create, change and drop.
 *
 * What tables there are stands in a catalog, a table like the others, so that it is transactional and found after a crash. A row
 * of it: a = slot and part, b = layouts, c = object, d = header page, the seed of s = root page.
 */
#include "txn/stress_int.h"

/* ---- handles ---- */

void table_ref(StressTable *tb)
{
    atomic_fetch_add_explicit(&tb->refs, 1, memory_order_relaxed);
}

void table_unref(StressTable *tb)
{
    /* acq_rel: the last one sees what the others did with the handles. */
    if (tb == NULL || atomic_fetch_sub_explicit(&tb->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < STRESS_INDEXES; i++) {
        btree_close(tb->index[i].tree);
    }
    txn_table_close(tb->table);
    mem_free(&tb->stress->model.budget, tb, sizeof *tb);
}

StressTable *table_get(Stress *s, unsigned slot)
{
    mutex_lock(&s->mutex);
    StressTable *tb = s->tables[slot];
    if (tb != NULL) {
        table_ref(tb);
    }
    mutex_unlock(&s->mutex);
    return tb;
}

void table_publish(Stress *s, unsigned slot, StressTable *tb)
{
    mutex_lock(&s->mutex);
    StressTable *old = s->tables[slot];
    s->tables[slot] = tb;
    mutex_unlock(&s->mutex);
    table_unref(old);
}

static StressTable *table_new(Stress *s, unsigned slot)
{
    StressTable *tb = model_alloc(&s->model, sizeof *tb);
    atomic_init(&tb->refs, 1);
    tb->stress = s;
    tb->slot = slot;
    tb->n_layouts = 1;
    return tb;
}

static Status open_index(Ctx *cx, StressTable *tb, unsigned i)
{
    Status st = btree_open(cx, txn_store(tb->stress->ts), tb->index[i].ref, &tb->index[i].tree);
    if (st == ST_OK && tb->stress->config.cross_check) {
        btree_cross_check(tb->index[i].tree, true);
    }
    return st;
}

static Status open_handles(Ctx *cx, StressTable *tb)
{
    Status st = txn_table_open(cx, tb->stress->ts, tb->ref, &tb->table);
    for (unsigned i = 0; i < STRESS_INDEXES && st == ST_OK; i++) {
        if (tb->index[i].ref.object.id.v != 0) {
            st = open_index(cx, tb, i);
        }
    }
    return st;
}

static Status table_copy(Ctx *cx, const StressTable *tb, StressTable **out_copy)
{
    StressTable *copy = table_new(tb->stress, tb->slot);
    copy->ref = tb->ref;
    copy->n_layouts = tb->n_layouts;
    copy->no_more_columns = tb->no_more_columns;
    copy->entry = tb->entry;
    for (unsigned i = 0; i < STRESS_INDEXES; i++) {
        copy->index[i] = tb->index[i];
        copy->index[i].tree = NULL;
    }
    Status st = open_handles(cx, copy);
    if (st != ST_OK) {
        table_unref(copy);
        return st;
    }
    *out_copy = copy;
    return ST_OK;
}

/* ---- hooks of purge ---- */

static StressTable *table_of(Stress *s, ObjectRef ref)
{
    StressTable *found = NULL;
    mutex_lock(&s->mutex);
    if (s->catalog != NULL && s->catalog->ref.id.v == ref.id.v) {
        found = s->catalog;
    }
    for (unsigned i = 0; i < STRESS_TABLES_MAX && found == NULL; i++) {
        if (s->tables[i] != NULL && s->tables[i]->ref.id.v == ref.id.v) {
            found = s->tables[i];
        }
    }
    if (found != NULL) {
        table_ref(found);
    }
    mutex_unlock(&s->mutex);
    return found;
}

static Status hook_shape(void *arg, Ctx *cx, ObjectRef table, const HeapShape **out_shape)
{
    (void)cx;
    StressTable *tb = table_of(arg, table);
    if (tb == NULL) {
        return ST_NOT_FOUND;
    }
    table_unref(tb);
    *out_shape = stress_shape(STRESS_LAYOUTS);
    return ST_OK;
}

static Status hook_keys(void *arg, Ctx *cx, const TxnPurgeRow *row,
                        Status (*entry)(void *entry_arg, Ctx *cx, BTree *index, BTreeBytes key), void *entry_arg)
{
    StressTable *tb = table_of(arg, row->table);
    Status st = ST_OK;
    if (tb == NULL) {
        return ST_OK; /* dropped since: its indexes go with it */
    }
    StressRow r = {.a = row->values[COL_A].u64, .c = row->values[COL_C].i64};
    if (row->values[COL_B].state == HEAP_NULL) {
        r.nulls = 1u << COL_B;
    } else {
        r.b = row->values[COL_B].u32;
    }
    for (unsigned i = 0; i < STRESS_INDEXES && st == ST_OK; i++) {
        uint8_t buf[STRESS_KEY_MAX];
        if (tb->index[i].tree != NULL) {
            st = entry(entry_arg, cx, tb->index[i].tree, row_key(&r, i, buf));
        }
    }
    table_unref(tb);
    return st;
}

void stress_hooks(Stress *s, TxnHooks *out)
{
    *out = (TxnHooks){.arg = s, .shape = hook_shape, .purge_keys = hook_keys};
}

/* ---- catalog rows ---- */

enum { PART_TABLE = 0 }; /* 1 + i: index i */

static Status catalog_add(Worker *w, const StressTable *tb, unsigned part, ObjectRef ref, PageId root, CatalogEntry *out)
{
    Stress *s = w->s;
    StressRow row = {.a = tb->slot << 8 | part, .b = tb->n_layouts, .c = (int64_t)ref.id.v, .d = ref.header.v,
                     .s_len = 8, .s_seed = (uint32_t)root.v, .nulls = 1u << COL_T};
    row.uid = atomic_fetch_add_explicit(&s->next_uid, 1, memory_order_relaxed);
    HeapValue values[STRESS_COLUMNS];
    if (!row_values(&row, &w->arena, values)) {
        return ctx_nomem(&w->cx, 8);
    }
    Status st = txn_insert(&w->cx, w->t, s->catalog->table, stress_shape(STRESS_LAYOUTS), values, &out->tid);
    if (st == ST_OK) {
        out->row = row;
        worker_log(w, s->catalog, &(StressWrite){.row = row, .moved = true});
    }
    return st;
}

/* The table's lock keeps everybody else away from the row: it is as we know it. */
static uint64_t catalog_base(Worker *w, const CatalogEntry *e)
{
    model_lock(&w->s->model);
    const ModelRow *r = model_row(model_table(&w->s->model, w->s->catalog_ref.id.v, false), e->row.uid);
    uint64_t ts = r != NULL && r->newest != NULL ? r->newest->ts : 0;
    model_unlock(&w->s->model);
    return ts;
}

static Status catalog_remove(Worker *w, const CatalogEntry *e)
{
    TxnRowResult result;
    Tid tid;
    Status st = txn_delete(&w->cx, w->t, w->s->catalog->table, e->tid, (TxnSeen){TS_NONE}, &result, &tid);
    if (st == ST_OK) {
        if (result != TXN_ROW_OK) {
            stress_fail(w->s, "deleting the catalog row %llu of a locked table: answer %d", (unsigned long long)e->row.uid, result);
        }
        worker_log(w, w->s->catalog, &(StressWrite){.row = e->row, .deleted = true, .moved = true, .base = catalog_base(w, e)});
    }
    return st;
}

static Status catalog_set_layouts(Worker *w, CatalogEntry *e, unsigned n_layouts)
{
    TxnRowResult result;
    Tid tid;
    bool no_room;
    uint16_t column = COL_B;
    HeapValue v = {.u32 = n_layouts, .state = HEAP_PRESENT};
    Status st = txn_update(&w->cx, w->t, w->s->catalog->table, stress_shape(STRESS_LAYOUTS), e->tid, &column, &v, 1,
                           (TxnSeen){TS_NONE}, &result, &tid, &no_room);
    if (st == ST_OK) {
        if (result != TXN_ROW_OK || no_room) {
            stress_fail(w->s, "updating the catalog row %llu of a locked table: answer %d", (unsigned long long)e->row.uid, result);
        }
        e->row.b = n_layouts;
        worker_log(w, w->s->catalog, &(StressWrite){.row = e->row, .base = catalog_base(w, e)});
    }
    return st;
}

/* ---- create, drop, alter ---- */

static Status add_index(Worker *w, StressTable *tb, unsigned i)
{
    StressIndex *x = &tb->index[i];
    Status st = txn_create_index(&w->cx, w->t, &x->ref);
    if (st == ST_OK) {
        st = catalog_add(w, tb, 1 + i, x->ref.object, x->ref.root, &x->entry);
    }
    if (st == ST_OK) {
        st = open_index(&w->cx, tb, i);
        x->own = true;
    }
    return st;
}

static void use_table(Worker *w, unsigned slot, StressTable *tb)
{
    SlotUse *u = &w->use[slot];
    table_unref(u->table);
    u->table = tb;
    u->changed = true;
}

static Status create_table(Worker *w, unsigned slot)
{
    StressTable *tb = table_new(w->s, slot);
    Status st = txn_create_table(&w->cx, w->t, &tb->ref);
    if (st == ST_OK) {
        st = catalog_add(w, tb, PART_TABLE, tb->ref, PAGE_NONE, &tb->entry);
    }
    if (st == ST_OK) {
        st = open_handles(&w->cx, tb);
    }
    for (unsigned i = 0; i < INDEX_C && st == ST_OK; i++) {
        st = add_index(w, tb, i);
    }
    if (st != ST_OK) {
        table_unref(tb);
        return st;
    }
    use_table(w, slot, tb);
    return ST_OK;
}

static Status drop_table(Worker *w, StressTable *tb)
{
    Status st = txn_drop_object(&w->cx, w->t, tb->ref);
    if (st == ST_OK) {
        st = catalog_remove(w, &tb->entry);
    }
    for (unsigned i = 0; i < STRESS_INDEXES && st == ST_OK; i++) {
        if (tb->index[i].tree != NULL) {
            st = txn_drop_object(&w->cx, w->t, tb->index[i].ref.object);
            if (st == ST_OK) {
                st = catalog_remove(w, &tb->index[i].entry);
            }
        }
    }
    if (st == ST_OK) {
        use_table(w, tb->slot, NULL);
    }
    return st;
}

static Status add_column(Worker *w, StressTable *tb)
{
    StressTable *copy;
    if (tb->n_layouts == STRESS_LAYOUTS || tb->no_more_columns) {
        return ST_OK;
    }
    Status st = table_copy(&w->cx, tb, &copy);
    if (st == ST_OK) {
        copy->n_layouts++;
        w->use[tb->slot].peak = copy->n_layouts;
        st = catalog_set_layouts(w, &copy->entry, copy->n_layouts);
        if (st == ST_OK) {
            use_table(w, tb->slot, copy);
        } else {
            table_unref(copy);
        }
    }
    return st;
}

static Status build_index(Worker *w, StressTable *tb)
{
    Status st = scan_table(w, tb, NULL);
    if (st == ST_OK) {
        compare_rows(w, tb, "scan for an index", NULL, true);
    }
    for (size_t i = 0; i < w->found.n && st == ST_OK; i++) {
        uint8_t buf[STRESS_KEY_MAX];
        st = txn_index_insert(&w->cx, w->t, tb->index[INDEX_C].tree, tb->table, row_key(&w->found.v[i].row, INDEX_C, buf),
                              w->found.v[i].tid, (BTreeBytes){NULL, 0}, false, NULL);
    }
    return st;
}

static Status toggle_index(Worker *w, StressTable *tb)
{
    StressTable *copy;
    Status st = table_copy(&w->cx, tb, &copy);
    if (st != ST_OK) {
        return st;
    }
    StressIndex *x = &copy->index[INDEX_C];
    if (x->tree == NULL) {
        st = add_index(w, copy, INDEX_C);
        if (st == ST_OK) {
            st = build_index(w, copy);
        }
    } else {
        st = txn_drop_object(&w->cx, w->t, x->ref.object);
        if (st == ST_OK) {
            st = catalog_remove(w, &x->entry);
        }
        btree_close(x->tree);
        *x = (StressIndex){.tree = NULL};
    }
    if (st != ST_OK) {
        table_unref(copy);
        return st;
    }
    use_table(w, tb->slot, copy);
    return ST_OK;
}

Status op_ddl(Worker *w, unsigned slot)
{
    StressTable *tb = w->use[slot].table;
    atomic_fetch_add_explicit(&w->s->ddl, 1, memory_order_relaxed);
    if (tb == NULL) {
        return create_table(w, slot);
    }
    switch (rng_below(&w->rng, 8)) {
    case 0:
        return drop_table(w, tb);
    case 1:
    case 2:
        return add_column(w, tb);
    default:
        return toggle_index(w, tb);
    }
}

/* ---- the catalog itself ---- */

Status ddl_create_catalog(Worker *w)
{
    return txn_create_table(&w->cx, w->t, &w->s->catalog_ref);
}

Status ddl_open_catalog(Ctx *cx, Stress *s)
{
    StressTable *tb = table_new(s, STRESS_TABLES_MAX);
    tb->ref = s->catalog_ref;
    tb->n_layouts = STRESS_LAYOUTS;
    Status st = open_handles(cx, tb);
    if (st != ST_OK) {
        table_unref(tb);
        return st;
    }
    s->catalog = tb;
    return ST_OK;
}

static void load_entry(Stress *s, StressTable *tb, const FoundRow *f)
{
    unsigned part = f->row.a & 0xff;
    CatalogEntry e = {.row = f->row, .tid = f->tid};
    ObjectRef ref = {{(uint64_t)f->row.c}, {f->row.d}};
    if (part == PART_TABLE) {
        tb->ref = ref;
        tb->n_layouts = f->row.b;
        tb->no_more_columns = true; /* some number may have been used before the crash */
        tb->entry = e;
    } else if (part <= STRESS_INDEXES) {
        tb->index[part - 1] = (StressIndex){.ref = {ref, {f->row.s_seed}}, .entry = e};
    } else {
        stress_fail(s, "the catalog has a row with key %llu", (unsigned long long)f->row.a);
    }
}

Status ddl_load(Worker *w)
{
    Stress *s = w->s;
    Status st = scan_table(w, s->catalog, NULL);
    if (st != ST_OK) {
        return st;
    }
    for (size_t i = 0; i < w->found.n; i++) {
        uint64_t slot = w->found.v[i].row.a >> 8;
        if (slot >= STRESS_TABLES_MAX) {
            stress_fail(s, "the catalog has a row with key %llu", (unsigned long long)w->found.v[i].row.a);
        }
        if (s->tables[slot] == NULL) {
            s->tables[slot] = table_new(s, (unsigned)slot);
        }
        load_entry(s, s->tables[slot], &w->found.v[i]);
    }
    for (unsigned i = 0; i < STRESS_TABLES_MAX && st == ST_OK; i++) {
        if (s->tables[i] != NULL) {
            st = open_handles(&w->cx, s->tables[i]);
        }
    }
    return st;
}
