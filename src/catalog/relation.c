/*
 * catalog/relation.c: a relation as one immutable object, made from its rows.
 */
#include "catalog/catalog_int.h"
#include "types/array.h"

typedef struct Load {
    Ctx *cx;
    CatView *v;
    Arena *arena; /* the entry's: what lives */
    CatRelation *rel;
    StorageRow storage;
    bool own; /* changed by this very transaction */
} Load;

static STATUS keep_text(Load *l, const HeapValue *v, char **out)
{
    *out = NULL;
    if (v->state == HEAP_NULL) {
        return ST_OK;
    }
    Str s = cat_get_str(v);
    *out = arena_strndup(l->arena, s.p, s.len);
    return *out != NULL ? ST_OK : ctx_nomem(l->cx, s.len);
}

/* Elements of an int2vector or int2[]. */
static STATUS keep_int2s(Load *l, const HeapValue *v, uint16_t *out_n, int16_t **out)
{
    *out_n = 0;
    *out = NULL;
    if (v->state == HEAP_NULL) {
        return ST_OK;
    }
    ArrayView a;
    StrView s;
    memcpy(&s, &v->view, sizeof s);
    array_view(&s, &a);
    *out = ARENA_ARRAY(l->arena, int16_t, a.n);
    if (*out == NULL) {
        return ctx_nomem(l->cx, a.n * sizeof **out);
    }
    for (uint32_t i = 0; i < a.n; i++) {
        array_element(&a, i, &(*out)[i]);
    }
    *out_n = (uint16_t)a.n;
    return ST_OK;
}

static Oid vector_oid(const HeapValue *v, unsigned i)
{
    ArrayView a;
    StrView s;
    Oid oid = 0;
    memcpy(&s, &v->view, sizeof s);
    array_view(&s, &a);
    if (i < a.n) {
        array_element(&a, i, &oid);
    }
    return oid;
}

/* ---- columns ---- */

static STATUS load_column(Load *l, const HeapValue *r)
{
    int16_t attnum = (int16_t)r[pg_attribute_attnum].u16;
    if (attnum <= 0) {
        return ST_OK;
    }
    if (attnum > l->rel->n_columns) {
        return err_set(l->cx->err, ST_CORRUPTED, "relation %u has a column %d but only %u", l->rel->oid, attnum,
                       l->rel->n_columns);
    }
    CatColumn *c = &l->rel->columns[attnum - 1];
    c->attnum = attnum;
    c->physical = (uint16_t)(attnum - 1);
    c->type = cat_get_oid(&r[pg_attribute_atttypid]);
    c->typmod = (int32_t)r[pg_attribute_atttypmod].u32;
    c->collation = cat_get_oid(&r[pg_attribute_attcollation]);
    c->not_null = r[pg_attribute_attnotnull].u8 != 0;
    c->dropped = r[pg_attribute_attisdropped].u8 != 0;
    c->identity = (char)r[pg_attribute_attidentity].u8;
    c->generated = (char)r[pg_attribute_attgenerated].u8;
    Error ignored;
    err_clear(&ignored);
    if (c->dropped || value_type(c->type, c->typmod, &ignored, &c->value_type) != ST_OK) {
        c->value_type =
            (ValueType){.oid = c->type, .typmod = -1, .phys = P_STR}; /* only catalogs have such; all NULL */
    }
    c->value_type.collation = c->collation;
    return keep_text(l, &r[pg_attribute_attname], &c->name);
}

static STATUS load_columns(Load *l, uint16_t n)
{
    CatRowSet set;
    HeapValue key = cat_oid(l->rel->oid);
    l->rel->n_columns = n;
    l->rel->columns = ARENA_ARRAY(l->arena, CatColumn, n);
    if (l->rel->columns == NULL) {
        return ctx_nomem(l->cx, n * sizeof *l->rel->columns);
    }
    Status st = cat_find(l->cx, l->v, pg_attribute_relid_attnum_index, &key, 1, &set);
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        st = load_column(l, set.rows[i].values);
    }
    if (st == ST_OK) {
        st = cat_find(l->cx, l->v, pg_attrdef_adrelid_adnum_index, &key, 1, &set);
    }
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        int16_t attnum = (int16_t)set.rows[i].values[pg_attrdef_adnum].u16;
        if (attnum > 0 && attnum <= n) {
            st = keep_text(l, &set.rows[i].values[pg_attrdef_adbin], &l->rel->columns[attnum - 1].default_text);
        }
    }
    for (unsigned i = 0; st == ST_OK && i < n; i++) {
        if (l->rel->columns[i].name == NULL) {
            st = err_set(l->cx->err, ST_CORRUPTED, "column %u of relation %u is missing", i + 1, l->rel->oid);
        }
    }
    return st;
}

/* ---- storage ---- */

/* A catalog table has one layout, in the order of its columns. */
static STATUS plain_shape(Load *l, Shape *out)
{
    unsigned n = l->rel->n_columns;
    out->n_columns = (uint16_t)n;
    out->columns = ARENA_ARRAY(l->arena, ShapeColumn, n);
    out->n_layouts = 1;
    out->layout_ids = ARENA_ARRAY(l->arena, uint32_t, 1);
    out->layout_columns = ARENA_ARRAY(l->arena, uint16_t, 1);
    if (out->columns == NULL || out->layout_ids == NULL || out->layout_columns == NULL) {
        return ctx_nomem(l->cx, n * sizeof *out->columns);
    }
    out->layout_ids[0] = 1;
    out->layout_columns[0] = (uint16_t)n;
    for (unsigned i = 0; i < n; i++) {
        out->columns[i] = (ShapeColumn){.attnum = (int16_t)(i + 1),
                                        .width = (uint8_t)width_of_phys(l->rel->columns[i].value_type.phys),
                                        .fill = heap_null()};
    }
    return ST_OK;
}

static STATUS load_storage(Load *l)
{
    CatRelation *rel = l->rel;
    Shape s;
    Status st = storage_find(l->cx, l->v, rel->shared ? 0 : l->v->database, rel->oid, &l->storage);
    if (st != ST_OK) {
        return st == ST_NOT_FOUND ? err_set(l->cx->err, ST_CORRUPTED, "relation %u has no storage", rel->oid) : st;
    }
    bool *dropped = ARENA_ARRAY(l->cx->arena, bool, rel->n_columns + 1);
    if (dropped == NULL) {
        return ctx_nomem(l->cx, rel->n_columns);
    }
    if (l->storage.shape.n_columns == 0) {
        st = plain_shape(l, &s);
    } else { /* once more, into memory that lives: fills of strings are pointed to */
        st = shape_decode(l->cx, l->arena, &l->storage.row.values[rdb_storage_layouts], &s);
    }
    if (st != ST_OK) {
        return st;
    }
    for (unsigned i = 0; i < s.n_columns; i++) {
        int attnum = s.columns[i].attnum;
        if (attnum > rel->n_columns) {
            return err_set(l->cx->err, ST_CORRUPTED, "the layouts of relation %u name a column %d", rel->oid, attnum);
        }
        if (attnum > 0) {
            rel->columns[attnum - 1].physical = (uint16_t)i;
            /* Only once the drop has committed: its undo could need the values (heap.h). */
            dropped[attnum] = rel->columns[attnum - 1].dropped && !l->own;
        }
    }
    st = shape_build(l->cx, l->arena, &s, dropped, &rel->shape);
    rel->object = l->storage.storage.object;
    return st == ST_OK ? txn_table_open(l->cx, l->v->catalog->ts, rel->object, &rel->table) : st;
}

/* ---- indexes ---- */

static STATUS load_key_columns(Load *l, const HeapValue *r, CatIndex *x)
{
    uint16_t n, n_options;
    int16_t *keys, *options;
    Status st = keep_int2s(l, &r[pg_index_indkey], &n, &keys);
    if (st == ST_OK) {
        st = keep_int2s(l, &r[pg_index_indoption], &n_options, &options);
    }
    x->n_columns = n;
    x->n_keys = r[pg_index_indnkeyatts].u16;
    x->columns = ARENA_ARRAY(l->arena, CatKeyColumn, n);
    if (st == ST_OK && x->columns == NULL) {
        st = ctx_nomem(l->cx, n * sizeof *x->columns);
    }
    for (unsigned i = 0; st == ST_OK && i < n; i++) {
        int option = i < n_options ? options[i] : 0;
        CatKeyColumn *k = &x->columns[i];
        *k = (CatKeyColumn){.attnum = keys[i],
                            .desc = (option & 1) != 0,
                            .nulls_first = (option & 2) != 0,
                            .opclass = vector_oid(&r[pg_index_indclass], i)};
        if (keys[i] > l->rel->n_columns || keys[i] < 0 || x->n_keys > n) {
            st = err_set(l->cx->err, ST_CORRUPTED, "index %u names a column %d", x->oid, keys[i]);
        } else if (keys[i] > 0) {
            k->type = l->rel->columns[keys[i] - 1].value_type;
            k->physical = l->rel->columns[keys[i] - 1].physical;
        }
    }
    return st;
}

static STATUS load_index(Load *l, const HeapValue *r, CatIndex *x)
{
    CatRow class_row;
    StorageRow s;
    x->oid = cat_get_oid(&r[pg_index_indexrelid]);
    x->unique = r[pg_index_indisunique].u8 != 0;
    x->primary = r[pg_index_indisprimary].u8 != 0;
    x->valid = r[pg_index_indisvalid].u8 != 0;
    x->nulls_not_distinct = r[pg_index_indnullsnotdistinct].u8 != 0;
    HeapValue key = cat_oid(x->oid);
    Status st = load_key_columns(l, r, x);
    if (st == ST_OK) {
        st = keep_text(l, &r[pg_index_indexprs], &x->expressions);
    }
    if (st == ST_OK) {
        st = keep_text(l, &r[pg_index_indpred], &x->predicate);
    }
    if (st == ST_OK) {
        st = cat_find_one(l->cx, l->v, pg_class_oid_index, &key, 1, &class_row);
    }
    if (st == ST_OK && class_row.values == NULL) {
        st = err_set(l->cx->err, ST_CORRUPTED, "index %u is in no pg_class", x->oid);
    }
    if (st == ST_OK) {
        st = keep_text(l, &class_row.values[pg_class_relname], &x->name);
    }
    if (st == ST_OK) {
        st = storage_find(l->cx, l->v, l->rel->shared ? 0 : l->v->database, x->oid, &s);
        st = st == ST_NOT_FOUND ? err_set(l->cx->err, ST_CORRUPTED, "index %u has no storage", x->oid) : st;
    }
    if (st == ST_OK) {
        x->ref = (BTreeRef){s.storage.object, s.storage.root};
        x->valid_from = s.valid_from;
        st = btree_open(l->cx, txn_store(l->v->catalog->ts), x->ref, &x->tree);
    }
    return st;
}

static STATUS load_indexes(Load *l)
{
    CatRowSet set;
    HeapValue key = cat_oid(l->rel->oid);
    Status st = cat_find(l->cx, l->v, pg_index_indrelid_index, &key, 1, &set);
    if (st != ST_OK) {
        return st;
    }
    l->rel->indexes = ARENA_ARRAY(l->arena, CatIndex, set.n);
    if (l->rel->indexes == NULL) {
        return ctx_nomem(l->cx, set.n * sizeof *l->rel->indexes);
    }
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        st = load_index(l, set.rows[i].values, &l->rel->indexes[i]);
        l->rel->n_indexes++; /* also when it failed: its tree may be open */
    }
    return st;
}

/* ---- constraints ---- */

static STATUS load_constraint(Load *l, const HeapValue *r, CatConstraint *c)
{
    c->oid = cat_get_oid(&r[pg_constraint_oid]);
    c->type = (char)r[pg_constraint_contype].u8;
    c->deferrable = r[pg_constraint_condeferrable].u8 != 0;
    c->deferred = r[pg_constraint_condeferred].u8 != 0;
    c->validated = r[pg_constraint_convalidated].u8 != 0;
    c->index = cat_get_oid(&r[pg_constraint_conindid]);
    c->ref_table = cat_get_oid(&r[pg_constraint_confrelid]);
    Status st = keep_text(l, &r[pg_constraint_conname], &c->name);
    if (st == ST_OK) {
        st = keep_text(l, &r[pg_constraint_conbin], &c->text);
    }
    if (st == ST_OK) {
        st = keep_int2s(l, &r[pg_constraint_conkey], &c->n_keys, &c->keys);
    }
    return st == ST_OK ? keep_int2s(l, &r[pg_constraint_confkey], &c->n_ref_keys, &c->ref_keys) : st;
}

static STATUS load_constraints(Load *l)
{
    CatRowSet set;
    HeapValue key = cat_oid(l->rel->oid);
    Status st = cat_find(l->cx, l->v, pg_constraint_conrelid_contypid_conname_index, &key, 1, &set);
    if (st != ST_OK) {
        return st;
    }
    l->rel->constraints = ARENA_ARRAY(l->arena, CatConstraint, set.n);
    if (l->rel->constraints == NULL) {
        return ctx_nomem(l->cx, set.n * sizeof *l->rel->constraints);
    }
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        st = load_constraint(l, set.rows[i].values, &l->rel->constraints[i]);
    }
    l->rel->n_constraints = (uint16_t)(st == ST_OK ? set.n : 0);
    return st;
}

/* ---- the whole ---- */

static STATUS load_parts(Load *l, uint16_t n_columns)
{
    CatRelation *rel = l->rel;
    Status st = load_columns(l, n_columns);
    if (st == ST_OK && rel->kind == 'r') {
        st = load_storage(l);
        if (st == ST_OK) {
            st = load_indexes(l);
        }
        return st == ST_OK ? load_constraints(l) : st;
    }
    if (st == ST_OK && rel->kind == 'i') {
        CatRow row;
        HeapValue key = cat_oid(rel->oid);
        st = cat_find_one(l->cx, l->v, pg_index_indexrelid_index, &key, 1, &row);
        if (st == ST_OK && row.values != NULL) {
            rel->index_of = cat_get_oid(&row.values[pg_index_indrelid]);
        }
    }
    if (st == ST_OK && rel->kind == 'v') {
        const CatViewFact *fact = cat_view_fact(rel->oid);
        rel->view_text = fact != NULL ? fact->text : NULL;
    }
    return st;
}

static Status load_relation(Ctx *cx, CatView *v, CatEntry *e)
{
    uint64_t ignored;
    CatRow row;
    Load l = {.cx = cx, .v = v, .arena = &e->arena, .rel = &e->rel, .own = u64map_get(&v->changed, e->hash, &ignored)};
    CatRelation *rel = l.rel;
    HeapValue key = cat_oid(e->oid);
    Status st = cat_find_one(cx, v, pg_class_oid_index, &key, 1, &row);
    if (st != ST_OK || row.values == NULL) {
        return st == ST_OK ? ST_UNDEFINED_TABLE : st;
    }
    const HeapValue *r = row.values;
    rel->oid = e->oid;
    rel->schema = cat_get_oid(&r[pg_class_relnamespace]);
    rel->owner = cat_get_oid(&r[pg_class_relowner]);
    rel->row_type = cat_get_oid(&r[pg_class_reltype]);
    rel->kind = (char)r[pg_class_relkind].u8;
    rel->persistence = (char)r[pg_class_relpersistence].u8;
    rel->shared = r[pg_class_relisshared].u8 != 0;
    /* relaxed: only that two loads differ matters. */
    rel->version = atomic_fetch_add_explicit(&v->catalog->version, 1, memory_order_relaxed) + 1;
    st = keep_text(&l, &r[pg_class_relname], &rel->name);
    return st == ST_OK ? load_parts(&l, r[pg_class_relnatts].u16) : st;
}

/* All the rows of one relation are read by one snapshot, so that they belong together. */
static Status load_consistently(Ctx *cx, CatView *v, CatEntry *e)
{
    ArenaMark mark = arena_mark(cx->arena);
    TxnFresh fresh = txn_fresh_begin(v->txn);
    v->fresh++;
    Status st = load_relation(cx, v, e);
    v->fresh--;
    txn_fresh_end(v->txn, fresh);
    arena_rewind(cx->arena, mark);
    return st;
}

STATUS catalog_relation(Ctx *cx, CatView *v, Oid oid, CatRelation **out_rel)
{
    CatEntry *e;
    Status st =
        cat_entry(cx, v, &(CatKey){.kind = ENTRY_RELATION, .database = v->database, .oid = oid}, load_consistently, &e);
    if (st == ST_OK) {
        *out_rel = &e->rel;
    }
    return st;
}

void catalog_release(CatRelation *rel)
{
    cache_release(rel != NULL ? rel->entry : NULL);
}

CatRelation *catalog_hold(CatRelation *rel)
{
    atomic_fetch_add_explicit(&rel->entry->refs, 1, memory_order_relaxed); /* the caller has one */
    return rel;
}

/* ---- index keys of rows ---- */

STATUS catalog_index_key(Ctx *cx, const CatRelation *rel, const CatIndex *index, const HeapValue *row, StrBuf *out_key)
{
    strbuf_reset(out_key);
    for (unsigned k = 0; k < index->n_keys; k++) {
        if (index->columns[k].attnum == 0) {
            return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "index \"%s\" of \"%s\" is on an expression", index->name,
                           rel->name);
        }
        cat_key_append(&index->columns[k], &row[index->columns[k].physical], out_key);
    }
    return out_key->failed ? ctx_nomem(cx, out_key->len) : ST_OK;
}
