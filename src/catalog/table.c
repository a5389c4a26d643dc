/*
 * catalog/table.c: rows of catalog tables, with their indexes.
 *
 * Everything reads by a snapshot of now (txn_fresh_begin), so that a lookup never finds an index entry whose row has moved
 * away meanwhile: both are judged at the same moment.
 */
#include "catalog/catalog_int.h"

/* ---- definitions ---- */

unsigned width_of_phys(unsigned phys)
{
    static const uint8_t widths[PHYS_COUNT] = {HEAP_W1, HEAP_W2, HEAP_W4,  HEAP_W8,
                                               HEAP_W4, HEAP_W8, HEAP_W16, HEAP_STRING};
    return phys < PHYS_COUNT ? widths[phys] : HEAP_STRING;
}

/* A type that is known by name only is stored as bytes; the catalogs hold nothing but NULL there. */
static ValueType column_type(const CatColumnDef *d)
{
    ValueType t;
    Error ignored;
    err_clear(&ignored);
    if (value_type(d->type, d->typmod, &ignored, &t) != ST_OK) {
        t = (ValueType){.oid = d->type, .typmod = -1, .phys = P_STR};
    }
    t.collation = d->collation;
    return t;
}

static void shape_init(Catalog *c, CatTableNo no)
{
    CatShape *s = &c->shapes[no];
    const CatColumnDef *cols = &cat_column_defs[c->columns[no].first];
    unsigned n = c->columns[no].n;
    ASSERT(n <= CAT_COLUMNS_MAX && c->indexes[no].n <= CAT_TABLE_INDEXES_MAX);
    for (unsigned i = 0; i < n; i++) {
        s->types[i] = column_type(&cols[i]);
        s->columns[i] = (HeapColumn){.width = (uint8_t)width_of_phys(s->types[i].phys), .fill = heap_null()};
    }
    s->layout = (HeapLayout){.id = 1, .n_columns = (uint16_t)n, .columns = s->columns};
    s->layouts[0] = &s->layout;
    s->shape = (HeapShape){.layouts = s->layouts, .n_layouts = 1};
    for (unsigned x = 0; x < c->indexes[no].n; x++) {
        const CatIndexDef *d = &cat_index_defs[c->indexes[no].first + x];
        for (unsigned k = 0; k < d->n_keys; k++) {
            uint16_t at = (uint16_t)(d->keys[k] - 1);
            s->keys[x][k] = (CatKeyColumn){.type = s->types[at], .attnum = (int16_t)(at + 1), .physical = at};
        }
    }
}

STATUS shapes_init(Catalog *c, Error *err)
{
    cat_spans(c->columns, c->indexes);
    for (unsigned t = 0; t < CAT_TABLE_COUNT; t++) {
        shape_init(c, (CatTableNo)t);
        for (unsigned x = 0; x < c->indexes[t].n; x++) {
            for (unsigned k = 0; k < cat_index_defs[c->indexes[t].first + x].n_keys; k++) {
                if (!type_has_key(c->shapes[t].keys[x][k].type.oid)) {
                    return err_set(err, ST_INTERNAL, "index %s has no key for type %u",
                                   cat_index_defs[c->indexes[t].first + x].name, c->shapes[t].keys[x][k].type.oid);
                }
            }
        }
    }
    return ST_OK;
}

/* ---- handles ---- */

/* Opens what is not open yet. Two threads may do it at once: the second one's handle is closed again. */
STATUS table_handles(Ctx *cx, Catalog *c, CatDatabase *db, CatTableNo no, CatTable **out_table)
{
    CatTable *tab = &db->tables[no];
    if (atomic_load_explicit(&tab->heap, memory_order_acquire) == NULL) {
        TxnTable *heap, *none = NULL;
        Status st = txn_table_open(cx, c->ts, tab->storage.object, &heap);
        if (st != ST_OK) {
            return st;
        }
        if (!atomic_compare_exchange_strong(&tab->heap, &none, heap)) {
            txn_table_close(heap);
        }
    }
    for (unsigned x = 0; x < c->indexes[no].n; x++) {
        if (atomic_load_explicit(&tab->index[x], memory_order_acquire) == NULL) {
            BTree *tree, *none = NULL;
            Status st = btree_open(cx, txn_store(c->ts),
                                   (BTreeRef){tab->index_storage[x].object, tab->index_storage[x].root}, &tree);
            if (st != ST_OK) {
                return st;
            }
            if (!atomic_compare_exchange_strong(&tab->index[x], &none, tree)) {
                btree_close(tree);
            }
        }
    }
    *out_table = tab;
    return ST_OK;
}

void database_free(Catalog *c, CatDatabase *db)
{
    if (db == NULL) {
        return;
    }
    for (unsigned t = 0; t < CAT_TABLE_COUNT; t++) {
        TxnTable *heap = atomic_load_explicit(&db->tables[t].heap, memory_order_relaxed);
        if (heap != NULL) {
            txn_table_close(heap);
        }
        for (unsigned x = 0; x < CAT_TABLE_INDEXES_MAX; x++) {
            btree_close(atomic_load_explicit(&db->tables[t].index[x], memory_order_relaxed));
        }
    }
    mem_free(c->budget, db, sizeof *db);
}

/* Reads inside a load share its snapshot (load_consistently). */
static TxnFresh view_fresh(CatView *v)
{
    return v->fresh == 0 ? txn_fresh_begin(v->txn) : (TxnFresh){0};
}

static void view_fresh_end(CatView *v, TxnFresh f)
{
    if (v->fresh == 0) {
        txn_fresh_end(v->txn, f);
    }
}

static STATUS view_table(Ctx *cx, CatView *v, CatTableNo no, CatTable **out_table)
{
    CatDatabase *db = cat_table_defs[no].shared ? v->catalog->shared : v->db;
    ASSERT(db != NULL && v->txn != NULL);
    return table_handles(cx, v->catalog, db, no, out_table);
}

/* ---- keys ---- */

void cat_key_append(const CatKeyColumn *c, const HeapValue *value, StrBuf *out)
{
    if (value->state == HEAP_NULL) {
        strbuf_putc(out, c->nulls_first ? 0 : 2);
        return;
    }
    ASSERT(value->state == HEAP_PRESENT);
    strbuf_putc(out, 1);
    size_t from = out->len;
    type_key(&c->type, value->bytes, out);
    for (size_t i = from; c->desc && !out->failed && i < out->len; i++) {
        out->p[i] = (char)~out->p[i];
    }
}

static STATUS make_key(Ctx *cx, const CatKeyColumn *cols, const HeapValue *const *values, unsigned n, StrBuf *sb)
{
    strbuf_reset(sb);
    for (unsigned k = 0; k < n; k++) {
        cat_key_append(&cols[k], values[k], sb);
    }
    return sb->failed ? ctx_nomem(cx, sb->len) : ST_OK;
}

static BTreeBytes bytes_of(const StrBuf *sb)
{
    return (BTreeBytes){(const uint8_t *)sb->p, (uint32_t)sb->len};
}

/* ---- reading ---- */

typedef struct RowList {
    VEC(CatRow) rows;
    Arena tmp; /* what one fetch needs: a page of room for strings */
} RowList;

/* Copies the strings of a row read with the scratch arena to where they are to live. */
static STATUS keep_row(Ctx *cx, Ctx *sub, Txn *t, TxnTable *heap, const CatShape *s, const HeapValue *from,
                       HeapValue **out)
{
    unsigned n = s->layout.n_columns;
    HeapValue *to = arena_alloc(cx->arena, n * sizeof *to);
    if (to == NULL) {
        return ctx_nomem(cx, n * sizeof *to);
    }
    memcpy(to, from, n * sizeof *to);
    for (unsigned i = 0; i < n; i++) {
        if (s->columns[i].width != HEAP_STRING || to[i].state == HEAP_NULL) {
            continue;
        }
        if (to[i].state == HEAP_OVERFLOW) {
            Status st = txn_fetch_overflow(sub, t, heap, &to[i], cx->arena);
            if (st != ST_OK) {
                return st;
            }
        } else if (to[i].view.len > HEAP_VIEW_INLINE) {
            char *p = arena_copy(cx->arena, to[i].view.ptr, to[i].view.len);
            if (p == NULL) {
                return ctx_nomem(cx, to[i].view.len);
            }
            to[i].view = heap_view(p, to[i].view.len);
        }
    }
    *out = to;
    return ST_OK;
}

static const uint16_t all_columns[CAT_COLUMNS_MAX] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                                      14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
                                                      28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39};

static STATUS fetch_row(Ctx *cx, CatView *v, CatTable *tab, const CatShape *s, Tid tid, Arena *tmp, CatRow *out,
                        bool *out_found)
{
    HeapValue values[CAT_COLUMNS_MAX];
    Ctx sub = *cx;
    sub.arena = tmp;
    ArenaMark mark = arena_mark(tmp);
    Status st = txn_fetch(&sub, v->txn, tab->heap, &s->shape, tid, all_columns, s->layout.n_columns, values, out_found);
    if (st == ST_OK && *out_found) {
        out->tid = tid;
        st = keep_row(cx, &sub, v->txn, tab->heap, s, values, &out->values);
    }
    arena_rewind(tmp, mark);
    return st;
}

enum { FIND_BATCH = 64 };

static STATUS collect(Ctx *cx, CatView *v, CatTable *tab, const CatShape *s, BTreeCursor *cur, RowList *list)
{
    Tid tids[FIND_BATCH];
    for (;;) {
        BTreeBatch b = {.tids = tids, .max = FIND_BATCH};
        Status st = btree_cursor_next(cx, cur, &b);
        if (st != ST_OK || b.n == 0) {
            return st;
        }
        for (uint32_t i = 0; i < b.n; i++) {
            CatRow row;
            bool found;
            st = fetch_row(cx, v, tab, s, tids[i], &list->tmp, &row, &found);
            if (st == ST_OK && found && !VEC_PUSH(&list->rows, row)) {
                st = ctx_nomem(cx, sizeof row);
            }
            if (st != ST_OK) {
                return st;
            }
        }
        if ((st = ctx_poll(cx)) != ST_OK) {
            return st;
        }
    }
}

static STATUS find_rows(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys, RowList *list)
{
    const CatIndexDef *d = &cat_index_defs[index];
    const CatShape *s = &v->catalog->shapes[d->table];
    unsigned x = (unsigned)index - v->catalog->indexes[d->table].first;
    const HeapValue *parts[CAT_KEYS_MAX];
    CatTable *tab;
    BTreeCursor *cur = NULL;
    StrBuf key;
    ASSERT(n_keys <= d->n_keys);
    strbuf_init(&key, cx->budget);
    for (unsigned k = 0; k < n_keys; k++) {
        parts[k] = &keys[k];
    }
    Status st = view_table(cx, v, (CatTableNo)d->table, &tab);
    if (st == ST_OK) {
        st = make_key(cx, s->keys[x], parts, n_keys, &key);
    }
    if (st == ST_OK) {
        /* A key is no prefix of another one's, so all entries that begin with these bytes have these columns. */
        BTreeBound b = {.edge = n_keys > 0 ? BTREE_INCLUSIVE : BTREE_UNBOUNDED, .prefix = true, .key = bytes_of(&key)};
        st = btree_cursor_open(cx, tab->index[x], &(BTreeRange){.lower = b, .upper = b}, &cur);
    }
    if (st == ST_OK) {
        st = collect(cx, v, tab, s, cur, list);
    }
    btree_cursor_close(cur);
    strbuf_done(&key);
    return st;
}

STATUS cat_find(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys, CatRowSet *out_rows)
{
    RowList list = {.rows = {.budget = cx->budget}};
    arena_init(&list.tmp, cx->budget, 4 * PAGE_BYTES);
    TxnFresh fresh = view_fresh(v);
    Status st = find_rows(cx, v, index, keys, n_keys, &list);
    view_fresh_end(v, fresh);
    if (st == ST_OK) {
        CatRow *rows =
            arena_copy(cx->arena, list.rows.v != NULL ? (void *)list.rows.v : (void *)"", list.rows.n * sizeof *rows);
        if (rows == NULL) {
            st = ctx_nomem(cx, list.rows.n * sizeof *rows);
        } else {
            *out_rows = (CatRowSet){rows, (uint32_t)list.rows.n};
        }
    }
    VEC_DONE(&list.rows);
    arena_done(&list.tmp);
    return st;
}

STATUS cat_find_one(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys, CatRow *out_row)
{
    CatRowSet set;
    Status st = cat_find(cx, v, index, keys, n_keys, &set);
    if (st == ST_OK && set.n > 1) {
        return err_set(cx->err, ST_INDEX_CORRUPTED, "several rows of \"%s\" have the same key of \"%s\"",
                       cat_table_defs[cat_index_defs[index].table].name, cat_index_defs[index].name);
    }
    if (st == ST_OK) {
        *out_row = set.n == 1 ? set.rows[0] : (CatRow){.values = NULL};
    }
    return st;
}

/* The rows of one page; their TIDs are collected first, because `fn` may change the table. */
static STATUS page_tids(Ctx *cx, CatView *v, CatTable *tab, const CatShape *s, uint32_t ordinal, Tid *tids,
                        uint32_t *out_n, bool *out_more)
{
    HeapBatch b = {.strings = NULL};
    uint64_t recheck[HEAP_WORDS_MAX] = {0};
    Status st = txn_scan_page(cx, v->txn, tab->heap, &s->shape, ordinal, NULL, 0, NULL, 0, &b, tids, recheck, out_more);
    *out_n = b.n_rows;
    return st;
}

STATUS cat_scan(Ctx *cx, CatView *v, CatTableNo no, Status (*fn)(void *arg, Ctx *cx, const CatRow *row), void *arg)
{
    const CatShape *s = &v->catalog->shapes[no];
    CatTable *tab;
    Arena tmp;
    bool more = true;
    Status st = view_table(cx, v, no, &tab);
    if (st != ST_OK) {
        return st;
    }
    arena_init(&tmp, cx->budget, 4 * PAGE_BYTES);
    Tid *tids = arena_alloc(&tmp, HEAP_SLOTS_MAX * sizeof *tids);
    st = tids != NULL ? ST_OK : ctx_nomem(cx, HEAP_SLOTS_MAX * sizeof *tids);
    TxnFresh fresh = view_fresh(v);
    for (uint32_t ordinal = 0; st == ST_OK && more; ordinal++) {
        uint32_t n = 0;
        st = page_tids(cx, v, tab, s, ordinal, tids, &n, &more);
        for (uint32_t i = 0; st == ST_OK && i < n; i++) {
            CatRow row;
            bool found;
            ArenaMark mark = arena_mark(cx->arena);
            st = fetch_row(cx, v, tab, s, tids[i], &tmp, &row, &found);
            if (st == ST_OK && found) {
                st = fn(arg, cx, &row);
            }
            arena_rewind(cx->arena, mark);
        }
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    view_fresh_end(v, fresh);
    arena_done(&tmp);
    return st;
}

/* ---- writing ---- */

static STATUS insert_entries(Ctx *cx, Catalog *c, Txn *t, CatTable *tab, CatTableNo no, const HeapValue *values,
                             Tid tid, bool check)
{
    const CatShape *s = &c->shapes[no];
    Status st = ST_OK;
    StrBuf key;
    strbuf_init(&key, cx->budget);
    for (unsigned x = 0; st == ST_OK && x < c->indexes[no].n; x++) {
        const CatIndexDef *d = &cat_index_defs[c->indexes[no].first + x];
        const HeapValue *parts[CAT_KEYS_MAX];
        Tid other;
        for (unsigned k = 0; k < d->n_keys; k++) {
            parts[k] = &values[s->keys[x][k].physical];
        }
        st = make_key(cx, s->keys[x], parts, d->n_keys, &key);
        if (st == ST_OK) {
            st = txn_index_insert(cx, t, tab->index[x], tab->heap, bytes_of(&key), tid, (BTreeBytes){NULL, 0},
                                  check && d->unique, &other);
        }
        if (st == ST_UNIQUE_VIOLATION) {
            (void)err_set(cx->err, st, "duplicate key value violates unique constraint \"%s\"", d->name);
            err_object(cx->err, "pg_catalog", cat_table_defs[no].name, NULL, d->name);
        }
    }
    strbuf_done(&key);
    return st;
}

STATUS table_insert(Ctx *cx, Catalog *c, Txn *t, CatTable *tab, CatTableNo no, const HeapValue *values, bool check)
{
    Tid tid;
    for (unsigned i = 0; i < c->columns[no].n; i++) {
        ASSERT(values[i].state != HEAP_NULL || !cat_column_defs[c->columns[no].first + i].not_null);
    }
    Status st = txn_insert(cx, t, tab->heap, &c->shapes[no].shape, values, &tid);
    return st == ST_OK ? insert_entries(cx, c, t, tab, no, values, tid, check) : st;
}

/* Rows that are objects of the cache are noted here, whoever changes them; relations have parts in many tables: ddl_*.c. */
static STATUS note_object(Ctx *cx, CatView *v, CatTableNo no, const HeapValue *values)
{
    static const struct {
        uint8_t table, kind, name;
    } objects[] = {{CAT_pg_namespace, CAT_SCHEMA, pg_namespace_nspname},
                   {CAT_pg_authid, CAT_ROLE, pg_authid_rolname},
                   {CAT_pg_database, CAT_DATABASE, pg_database_datname},
                   {CAT_pg_type, CAT_TYPE, pg_type_typname}};
    for (unsigned i = 0; i < ARRAY_LEN(objects); i++) {
        if (objects[i].table == no) {
            CatKind kind = (CatKind)objects[i].kind;
            Oid schema = kind == CAT_TYPE ? cat_get_oid(&values[pg_type_typnamespace]) : 0;
            CatKey by_oid = object_key(v, kind, cat_get_oid(&values[0]), (Str){NULL, 0});
            CatKey by_name = object_key(v, kind, schema, cat_get_str(&values[objects[i].name]));
            Status st = cat_changed(cx, v, &by_oid);
            return st == ST_OK ? cat_changed(cx, v, &by_name) : st;
        }
    }
    return ST_OK;
}

STATUS cat_insert(Ctx *cx, CatView *v, CatTableNo no, const HeapValue *values)
{
    CatTable *tab;
    Status st = note_object(cx, v, no, values);
    if (st == ST_OK) {
        st = view_table(cx, v, no, &tab);
    }
    if (st == ST_OK) {
        TxnFresh fresh = txn_fresh_begin(v->txn);
        st = table_insert(cx, v->catalog, v->txn, tab, no, values, true);
        txn_next_command(v->txn);
        txn_fresh_end(v->txn, fresh);
    }
    return st;
}

static STATUS row_result(Ctx *cx, TxnRowResult r)
{
    return r == TXN_ROW_OK ? ST_OK : err_set(cx->err, ST_SERIALIZATION_FAILURE, "tuple concurrently updated");
}

static bool in_an_index(const Catalog *c, CatTableNo no, unsigned column)
{
    for (unsigned x = 0; x < c->indexes[no].n; x++) {
        const CatIndexDef *d = &cat_index_defs[c->indexes[no].first + x];
        for (unsigned k = 0; k < d->n_keys; k++) {
            if (d->keys[k] == column + 1) {
                return true;
            }
        }
    }
    return false;
}

/* Columns that differ, and whether the row can stay where it is. */
static unsigned changed_columns(const Catalog *c, CatTableNo no, const HeapValue *a, const HeapValue *b,
                                uint16_t *out_columns, HeapValue *out_values, bool *out_keyed)
{
    const CatShape *s = &c->shapes[no];
    unsigned n = 0;
    *out_keyed = false;
    for (uint16_t i = 0; i < s->layout.n_columns; i++) {
        bool same =
            a[i].state == b[i].state && (a[i].state == HEAP_NULL || heap_value_eq(s->columns[i].width, &a[i], &b[i]));
        if (!same) {
            out_columns[n] = i;
            out_values[n++] = b[i];
            *out_keyed = *out_keyed || in_an_index(c, no, i);
        }
    }
    return n;
}

static STATUS update_row(Ctx *cx, CatView *v, CatTable *tab, CatTableNo no, const CatRow *row, const HeapValue *values)
{
    const CatShape *s = &v->catalog->shapes[no];
    uint16_t columns[CAT_COLUMNS_MAX];
    HeapValue changed[CAT_COLUMNS_MAX];
    TxnRowResult r = TXN_ROW_OK;
    Tid tid;
    bool keyed, no_room = false;
    unsigned n = changed_columns(v->catalog, no, row->values, values, columns, changed, &keyed);
    if (n == 0) {
        return ST_OK;
    }
    if (!keyed) {
        Status st = txn_update(cx, v->txn, tab->heap, &s->shape, row->tid, columns, changed, n, (TxnSeen){TS_NONE}, &r,
                               &tid, &no_room);
        if (st != ST_OK || !no_room) {
            return st == ST_OK ? row_result(cx, r) : st;
        }
    }
    Status st = txn_move(cx, v->txn, tab->heap, &s->shape, row->tid, values, (TxnSeen){TS_NONE}, &r, &tid);
    if (st == ST_OK) {
        st = row_result(cx, r);
    }
    return st == ST_OK ? insert_entries(cx, v->catalog, v->txn, tab, no, values, tid, true) : st;
}

STATUS cat_update(Ctx *cx, CatView *v, CatTableNo no, const CatRow *row, const HeapValue *values)
{
    CatTable *tab;
    Status st = note_object(cx, v, no, row->values);
    if (st == ST_OK) {
        st = note_object(cx, v, no, values);
    }
    if (st == ST_OK) {
        st = view_table(cx, v, no, &tab);
    }
    if (st == ST_OK) {
        TxnFresh fresh = txn_fresh_begin(v->txn);
        st = update_row(cx, v, tab, no, row, values);
        txn_next_command(v->txn);
        txn_fresh_end(v->txn, fresh);
    }
    return st;
}

STATUS cat_delete(Ctx *cx, CatView *v, CatTableNo no, const CatRow *row)
{
    CatTable *tab;
    TxnRowResult r;
    Tid tid;
    Status st = note_object(cx, v, no, row->values);
    if (st == ST_OK) {
        st = view_table(cx, v, no, &tab);
    }
    if (st == ST_OK) {
        TxnFresh fresh = txn_fresh_begin(v->txn);
        st = txn_delete(cx, v->txn, tab->heap, row->tid, (TxnSeen){TS_NONE}, &r, &tid);
        txn_next_command(v->txn);
        txn_fresh_end(v->txn, fresh);
        if (st == ST_OK) {
            st = row_result(cx, r);
        }
    }
    return st;
}

STATUS delete_where(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys)
{
    CatRowSet set;
    Status st = cat_find(cx, v, index, keys, n_keys, &set);
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        st = cat_delete(cx, v, (CatTableNo)cat_index_defs[index].table, &set.rows[i]);
    }
    return st;
}

/* ---- transactions of the catalog's own ---- */

STATUS internal_begin(Ctx *cx, Catalog *c, Oid database, CatView *out_view)
{
    Txn *t;
    Status st = catalog_view_init(cx, c, database, OID_ADMIN, out_view);
    if (st != ST_OK) {
        return st;
    }
    st = txn_begin(cx, c->ts, TXN_READ_COMMITTED, false, 0, &t);
    if (st == ST_OK) {
        txn_statement(t);
        catalog_view_begin(out_view, t);
    }
    return st;
}

STATUS internal_end(Ctx *cx, CatView *v, Status so_far)
{
    Lsn gate;
    if (so_far == ST_OK) {
        so_far = catalog_commit(cx, v, &gate);
    }
    if (so_far != ST_OK && v->txn != NULL) {
        (void)catalog_abort(cx, v);
    }
    catalog_view_done(v);
    return so_far;
}
