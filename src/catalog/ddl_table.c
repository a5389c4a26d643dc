/*
 * catalog/ddl_table.c: changes of tables and columns.
 *
 * D1  Every change of a relation's rows is preceded by cat_changed_relation, every change of a name by cat_changed_name,
 *     for old and new name: before, so that a failure in between cannot leave a change that nobody was told of.
 * D2  A physical column number is given once: the header page of the table's object counts them, outside of any transaction
 *     (offset 64 of the user area: u16 columns, u32 layouts given). See shape.c.
 */
#include <stdio.h>

#include "catalog/catalog_int.h"

enum { OID_CLASS_CLASS = 1259, OID_TYPE_CLASS = 1247, OID_NAMESPACE_CLASS = 2615, OID_CONSTRAINT_CLASS = 2606 };
enum { COUNTS_AT = 64 };

typedef struct Counts {
    uint16_t columns;
    uint32_t layouts;
} Counts;

/* ---- the counters of a table's header page ---- */

static STATUS counts_take(Ctx *cx, TxnSystem *ts, ObjectRef ref, unsigned columns, const Shape *known, Counts *out)
{
    StoreObject *o;
    uint8_t user[OBJECT_USER_BYTES];
    Status st = object_open(cx, txn_store(ts), ref, &o);
    if (st != ST_OK) {
        return st;
    }
    st = object_read_user(cx, o, user);
    if (st == ST_OK) {
        Counts c = {load_u16(user + COUNTS_AT), load_u32(user + COUNTS_AT + 2)};
        for (unsigned i = 0; i < known->n_layouts; i++) {
            c.layouts = c.layouts > known->layout_ids[i] ? c.layouts : known->layout_ids[i];
        }
        c.columns = c.columns > known->n_columns ? c.columns : known->n_columns;
        store_u16(user + COUNTS_AT, (uint16_t)(c.columns + columns));
        store_u32(user + COUNTS_AT + 2, c.layouts + 1);
        if (c.columns + columns > HEAP_COLUMNS_MAX) {
            st = err_set(cx->err, ST_TOO_MANY_COLUMNS, "tables can have at most %d columns", HEAP_COLUMNS_MAX);
        } else if ((st = object_write_user(cx, o, TXN_NONE, user)) == ST_OK) {
            *out = c;
        }
    }
    object_close(o);
    return st;
}

/* ---- create ---- */

static STATUS resolve_type(Ctx *cx, const CatColumnNew *c, ValueType *out)
{
    Status st = value_type(c->type, c->typmod, cx->err, out);
    if (st == ST_OK) {
        out->typmod = c->typmod; /* as the catalog shows it */
        out->collation = c->collation != 0 ? c->collation : out->collation;
        const TypeRow *row = type_by_oid(c->type);
        if (row != NULL && row->kind == 'p') {
            return err_set(cx->err, ST_INVALID_TABLE_DEFINITION, "column \"%.*s\" has pseudo-type %s", (int)c->name.len,
                           c->name.p, row->name);
        }
    }
    return st;
}

static STATUS system_columns(Ctx *cx, CatView *v, Oid table)
{
    static const struct {
        const char *name;
        Oid type;
        int16_t attnum;
    } all[] = {{"ctid", OID_TID, -1}, {"xmin", OID_XID, -2}, {"cmin", OID_CID, -3},
               {"xmax", OID_XID, -4}, {"cmax", OID_CID, -5}, {"tableoid", OID_OID, -6}};
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < ARRAY_LEN(all); i++) {
        ValueType t = value_type_of(all[i].type);
        st = attribute_add(cx, v, table, all[i].attnum, str_from(all[i].name), &t, true, false);
    }
    return st;
}

static STATUS reject_duplicate_column(Ctx *cx, CatView *v, Oid table, Str name)
{
    CatRow row;
    HeapValue key[2] = {cat_oid(table), cat_str(name)};
    Status st = cat_find_one(cx, v, pg_attribute_relid_attnam_index, key, 2, &row);
    if (st != ST_OK || row.values == NULL) {
        return st;
    }
    if ((int16_t)row.values[pg_attribute_attnum].u16 < 0) {
        return err_set(cx->err, ST_DUPLICATE_COLUMN, "column name \"%.*s\" conflicts with a system column name",
                       (int)name.len, name.p);
    }
    return err_set(cx->err, ST_DUPLICATE_COLUMN, "column \"%.*s\" specified more than once", (int)name.len, name.p);
}

static STATUS add_column_rows(Ctx *cx, CatView *v, Oid table, int16_t attnum, const CatColumnNew *c, const ValueType *t)
{
    Status st = check_name(cx, c->name);
    if (st == ST_OK) {
        st = reject_duplicate_column(cx, v, table, c->name);
    }
    if (st == ST_OK) {
        st = attribute_add(cx, v, table, attnum, c->name, t, c->not_null, c->default_text.len != 0);
    }
    return st == ST_OK && c->default_text.len != 0 ? default_set(cx, v, table, attnum, c->default_text) : st;
}

static STATUS add_columns(Ctx *cx, CatView *v, Oid table, const CatColumnNew *columns, unsigned n, ShapeColumn *shape)
{
    Status st = system_columns(cx, v, table);
    for (unsigned i = 0; st == ST_OK && i < n; i++) {
        ValueType t;
        st = resolve_type(cx, &columns[i], &t);
        if (st == ST_OK) {
            shape[i] =
                (ShapeColumn){.attnum = (int16_t)(i + 1), .width = (uint8_t)width_of_phys(t.phys), .fill = heap_null()};
            st = add_column_rows(cx, v, table, (int16_t)(i + 1), &columns[i], &t);
        }
    }
    return st;
}

static STATUS create_storage(Ctx *cx, CatView *v, Oid table, ShapeColumn *columns, unsigned n)
{
    CatStorage s = {.root = PAGE_NONE};
    uint32_t id = 1;
    uint16_t layout_columns = (uint16_t)n;
    Shape shape = {.n_columns = (uint16_t)n,
                   .columns = columns,
                   .n_layouts = 1,
                   .layout_ids = &id,
                   .layout_columns = &layout_columns};
    Status st = txn_create_table(cx, v->txn, &s.object);
    return st == ST_OK ? storage_add(cx, v, v->database, table, &s, TS_NONE, &shape) : st;
}

static STATUS reject_duplicate_relation(Ctx *cx, CatView *v, Oid schema, Str name)
{
    Oid other;
    Status st = catalog_relation_oid(cx, v, schema, name, &other);
    return st == ST_OK && other != 0
               ? err_set(cx->err, ST_DUPLICATE_TABLE, "relation \"%.*s\" already exists", (int)name.len, name.p)
               : st;
}

STATUS catalog_create_table(Ctx *cx, CatView *v, Oid schema, Str name, const CatColumnNew *columns, unsigned n,
                            Oid *out_oid)
{
    Oid oid = 0, type = 0;
    if (n > HEAP_COLUMNS_MAX) {
        return err_set(cx->err, ST_TOO_MANY_COLUMNS, "tables can have at most %d columns", HEAP_COLUMNS_MAX);
    }
    ShapeColumn *shape = ARENA_ARRAY(cx->arena, ShapeColumn, n);
    Status st = shape != NULL ? check_name(cx, name) : ctx_nomem(cx, n * sizeof *shape);
    if (st == ST_OK) {
        st = reject_duplicate_relation(cx, v, schema, name);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, &oid);
    }
    if (st == ST_OK) {
        st = type_pair_create(cx, v, oid, schema, name, &type);
    }
    if (st == ST_OK) {
        st = class_add(cx, v, oid, schema, name, type, METHOD_HEAP, 'r', n);
    }
    if (st == ST_OK) {
        st = add_columns(cx, v, oid, columns, n, shape);
    }
    if (st == ST_OK) {
        st = depend_add(cx, v, OID_CLASS_CLASS, oid, 0, OID_NAMESPACE_CLASS, schema, 0, 'n');
    }
    if (st == ST_OK) {
        st = create_storage(cx, v, oid, shape, n);
    }
    if (st == ST_OK) {
        *out_oid = oid;
    }
    return st;
}

/* ---- drop ---- */

static STATUS drop_types(Ctx *cx, CatView *v, Oid type)
{
    CatRow row;
    HeapValue key = cat_oid(type);
    Status st = cat_find_one(cx, v, pg_type_oid_index, &key, 1, &row);
    if (st != ST_OK || row.values == NULL) {
        return st;
    }
    Oid array = cat_get_oid(&row.values[pg_type_typarray]);
    st = cat_delete(cx, v, CAT_pg_type, &row);
    if (st == ST_OK) {
        st = depend_drop(cx, v, OID_TYPE_CLASS, type);
    }
    if (st == ST_OK && array != 0) {
        st = drop_types(cx, v, array);
    }
    return st;
}

/* The rows that every kind of relation has. */
STATUS class_drop(Ctx *cx, CatView *v, const CatRelation *rel)
{
    HeapValue key = cat_oid(rel->oid), description[2] = {cat_oid(rel->oid), cat_oid(OID_CLASS_CLASS)};
    Status st = cat_changed_relation(cx, v, rel->oid);
    if (st == ST_OK) {
        st = cat_changed_name(cx, v, rel->schema, str_from(rel->name));
    }
    if (st == ST_OK) {
        st = storage_drop(cx, v, v->database, rel->oid);
    }
    if (st == ST_OK) {
        st = delete_where(cx, v, pg_attribute_relid_attnum_index, &key, 1);
    }
    if (st == ST_OK) {
        st = delete_where(cx, v, pg_description_o_c_o_index, description, 2);
    }
    if (st == ST_OK) {
        st = depend_drop(cx, v, OID_CLASS_CLASS, rel->oid);
    }
    return st == ST_OK ? delete_where(cx, v, pg_class_oid_index, &key, 1) : st;
}

static STATUS drop_defaults(Ctx *cx, CatView *v, const CatRelation *rel)
{
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < rel->n_columns; i++) {
        if (rel->columns[i].default_text != NULL) {
            st = default_set(cx, v, rel->oid, rel->columns[i].attnum, (Str){"", 0});
        }
    }
    return st;
}

static STATUS drop_parts(Ctx *cx, CatView *v, const CatRelation *rel)
{
    CatRowSet set;
    HeapValue key = cat_oid(rel->oid);
    Status st = cat_find(cx, v, pg_constraint_conrelid_contypid_conname_index, &key, 1, &set);
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        st = constraint_delete(cx, v, &set.rows[i]);
    }
    for (unsigned i = 0; st == ST_OK && i < rel->n_indexes; i++) {
        st = index_drop(cx, v, rel->indexes[i].oid);
    }
    if (st == ST_OK) {
        st = drop_defaults(cx, v, rel);
    }
    return st == ST_OK ? drop_types(cx, v, rel->row_type) : st;
}

STATUS catalog_drop_table(Ctx *cx, CatView *v, Oid oid)
{
    CatRelation *rel;
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st;
    }
    st = oid < OID_FIRST_NORMAL
             ? err_set(cx->err, ST_INSUFFICIENT_PRIVILEGE, "permission denied: \"%s\" is a system catalog", rel->name)
             : drop_parts(cx, v, rel);
    if (st == ST_OK) {
        st = class_drop(cx, v, rel);
    }
    catalog_release(rel);
    return st;
}

/* ---- truncate ---- */

static STATUS swap_index(Ctx *cx, CatView *v, const CatIndex *x)
{
    StorageRow old;
    BTreeRef ref;
    Status st = storage_find(cx, v, v->database, x->oid, &old);
    if (st == ST_OK) {
        st = txn_create_index(cx, v->txn, &ref);
    }
    if (st == ST_OK) {
        CatStorage s = {ref.object, ref.root};
        st = storage_replace(cx, v, &old, &s, TS_NONE, NULL);
    }
    return st == ST_OK ? txn_drop_object(cx, v->txn, old.storage.object) : st;
}

STATUS catalog_truncate(Ctx *cx, CatView *v, Oid oid)
{
    CatRelation *rel;
    StorageRow old;
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st;
    }
    CatStorage s = {.root = PAGE_NONE};
    st = cat_changed_relation(cx, v, oid);
    if (st == ST_OK) {
        st = storage_find(cx, v, v->database, oid, &old);
    }
    if (st == ST_OK) {
        st = txn_create_table(cx, v->txn, &s.object);
    }
    if (st == ST_OK) {
        st = storage_replace(cx, v, &old, &s, TS_NONE, &old.shape);
    }
    if (st == ST_OK) {
        st = txn_drop_object(cx, v->txn, old.storage.object);
    }
    for (unsigned i = 0; st == ST_OK && i < rel->n_indexes; i++) {
        st = swap_index(cx, v, &rel->indexes[i]);
    }
    catalog_release(rel);
    return st;
}

/* ---- columns ---- */

/* The shape with one more column and layout; numbers that no layout of ours has in between become holes. */
static STATUS grow_shape(Ctx *cx, CatView *v, StorageRow *s, int16_t attnum, const ValueType *t, const HeapValue *fill)
{
    Shape *old = &s->shape, now;
    Counts c = {0, 0};
    Status st = counts_take(cx, v->catalog->ts, s->storage.object, 1, old, &c);
    if (st != ST_OK) {
        return st;
    }
    now = (Shape){.n_columns = (uint16_t)(c.columns + 1), .n_layouts = (uint16_t)(old->n_layouts + 1)};
    now.columns = ARENA_ARRAY(cx->arena, ShapeColumn, now.n_columns);
    now.layout_ids = ARENA_ARRAY(cx->arena, uint32_t, now.n_layouts);
    now.layout_columns = ARENA_ARRAY(cx->arena, uint16_t, now.n_layouts);
    if (now.columns == NULL || now.layout_ids == NULL || now.layout_columns == NULL) {
        return ctx_nomem(cx, now.n_columns * sizeof *now.columns);
    }
    memcpy(now.columns, old->columns, old->n_columns * sizeof *now.columns);
    for (unsigned i = old->n_columns; i < c.columns; i++) {
        now.columns[i] = (ShapeColumn){.attnum = 0, .width = HEAP_W1, .fill = heap_null()};
    }
    now.columns[c.columns] = (ShapeColumn){
        .attnum = attnum, .width = (uint8_t)width_of_phys(t->phys), .fill = fill != NULL ? *fill : heap_null()};
    memcpy(now.layout_ids, old->layout_ids, old->n_layouts * sizeof *now.layout_ids);
    memcpy(now.layout_columns, old->layout_columns, old->n_layouts * sizeof *now.layout_columns);
    now.layout_ids[old->n_layouts] = c.layouts + 1;
    now.layout_columns[old->n_layouts] = now.n_columns;
    return storage_replace(cx, v, s, &s->storage, s->valid_from, &now);
}

STATUS catalog_add_column(Ctx *cx, CatView *v, Oid table, const CatColumnNew *column, int16_t *out_attnum)
{
    CatRelation *rel;
    StorageRow s;
    ValueType t;
    Status st = catalog_relation(cx, v, table, &rel);
    if (st != ST_OK) {
        return st;
    }
    int16_t attnum = (int16_t)(rel->n_columns + 1);
    if (column->fill != NULL && column->fill->state == HEAP_PRESENT && resolve_type(cx, column, &t) == ST_OK &&
        t.phys == P_STR && column->fill->view.len > HEAP_INLINE_MAX) {
        st = err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "the default of an added column has at most %d bytes",
                     HEAP_INLINE_MAX);
    }
    if (st == ST_OK) {
        st = resolve_type(cx, column, &t);
    }
    if (st == ST_OK) {
        st = cat_changed_relation(cx, v, table);
    }
    if (st == ST_OK) {
        st = add_column_rows(cx, v, table, attnum, column, &t);
    }
    if (st == ST_OK) {
        st = storage_find(cx, v, v->database, table, &s);
    }
    if (st == ST_OK) {
        st = grow_shape(cx, v, &s, attnum, &t, column->fill);
    }
    if (st == ST_OK) {
        st = class_update(cx, v, table, pg_class_relnatts, cat_int2(attnum));
    }
    if (st == ST_OK) {
        *out_attnum = attnum;
    }
    catalog_release(rel);
    return st;
}

static STATUS attribute_find(Ctx *cx, CatView *v, Oid table, int16_t attnum, CatRow *out)
{
    HeapValue key[2] = {cat_oid(table), cat_int2(attnum)};
    Status st = cat_find_one(cx, v, pg_attribute_relid_attnum_index, key, 2, out);
    return st == ST_OK && out->values == NULL
               ? err_set(cx->err, ST_UNDEFINED_COLUMN, "column %d of relation %u does not exist", attnum, table)
               : st;
}

static STATUS attribute_update(Ctx *cx, CatView *v, Oid table, int16_t attnum, const uint8_t *columns,
                               const HeapValue *values, unsigned n)
{
    CatRow row;
    HeapValue now[CAT_COLUMNS_MAX];
    Status st = cat_changed_relation(cx, v, table);
    if (st == ST_OK) {
        st = attribute_find(cx, v, table, attnum, &row);
    }
    if (st != ST_OK) {
        return st;
    }
    memcpy(now, row.values, v->catalog->columns[CAT_pg_attribute].n * sizeof *now);
    for (unsigned i = 0; i < n; i++) {
        now[columns[i]] = values[i];
    }
    return cat_update(cx, v, CAT_pg_attribute, &row, now);
}

STATUS catalog_set_not_null(Ctx *cx, CatView *v, Oid table, int16_t attnum, bool not_null)
{
    HeapValue value = cat_bool(not_null);
    return attribute_update(cx, v, table, attnum, (const uint8_t[]){pg_attribute_attnotnull}, &value, 1);
}

STATUS catalog_set_default(Ctx *cx, CatView *v, Oid table, int16_t attnum, Str text)
{
    HeapValue value = cat_bool(text.len != 0);
    Status st = attribute_update(cx, v, table, attnum, (const uint8_t[]){pg_attribute_atthasdef}, &value, 1);
    return st == ST_OK ? default_set(cx, v, table, attnum, text) : st;
}

STATUS catalog_rename_column(Ctx *cx, CatView *v, Oid table, int16_t attnum, Str name)
{
    HeapValue value = cat_str(name);
    Status st = check_name(cx, name);
    if (st == ST_OK) {
        st = reject_duplicate_column(cx, v, table, name);
    }
    return st == ST_OK ? attribute_update(cx, v, table, attnum, (const uint8_t[]){pg_attribute_attname}, &value, 1)
                       : st;
}

static bool names_column(const int16_t *keys, unsigned n, int16_t attnum)
{
    for (unsigned i = 0; i < n; i++) {
        if (keys[i] == attnum) {
            return true;
        }
    }
    return false;
}

static bool index_names(const CatIndex *x, int16_t attnum)
{
    for (unsigned i = 0; i < x->n_columns; i++) {
        if (x->columns[i].attnum == attnum) {
            return true;
        }
    }
    return false;
}

static STATUS drop_users_of_column(Ctx *cx, CatView *v, const CatRelation *rel, int16_t attnum)
{
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < rel->n_constraints; i++) {
        const CatConstraint *c = &rel->constraints[i];
        if (names_column(c->keys, c->n_keys, attnum)) {
            st = catalog_drop_constraint(cx, v, rel->oid, c->oid);
        }
    }
    for (unsigned i = 0; st == ST_OK && i < rel->n_indexes; i++) {
        CatRow row;
        HeapValue key = cat_oid(rel->indexes[i].oid);
        if (!index_names(&rel->indexes[i], attnum)) {
            continue;
        }
        st = cat_find_one(cx, v, pg_index_indexrelid_index, &key, 1, &row); /* not gone with its constraint already? */
        if (st == ST_OK && row.values != NULL) {
            st = index_drop(cx, v, rel->indexes[i].oid);
        }
    }
    return st;
}

STATUS catalog_drop_column(Ctx *cx, CatView *v, Oid table, int16_t attnum)
{
    CatRelation *rel;
    char name[CAT_NAME_MAX + 1];
    Status st = catalog_relation(cx, v, table, &rel);
    if (st != ST_OK) {
        return st;
    }
    if (attnum < 1 || attnum > rel->n_columns || rel->columns[attnum - 1].dropped) {
        catalog_release(rel);
        return err_set(cx->err, ST_UNDEFINED_COLUMN, "column %d of relation %u does not exist", attnum, table);
    }
    int len = snprintf(name, sizeof name, "........pg.dropped.%d........", attnum);
    HeapValue values[] = {cat_str((Str){name, (size_t)len}), cat_oid(0), cat_bool(true), cat_bool(false),
                          cat_bool(false)};
    static const uint8_t columns[] = {pg_attribute_attname, pg_attribute_atttypid, pg_attribute_attisdropped,
                                      pg_attribute_attnotnull, pg_attribute_atthasdef};
    st = cat_changed_relation(cx, v, table);
    if (st == ST_OK) {
        st = drop_users_of_column(cx, v, rel, attnum);
    }
    if (st == ST_OK) {
        st = default_set(cx, v, table, attnum, (Str){"", 0});
    }
    if (st == ST_OK) {
        st = attribute_update(cx, v, table, attnum, columns, values, ARRAY_LEN(values));
    }
    catalog_release(rel);
    return st;
}

/* ---- rename ---- */

static STATUS rename_type(Ctx *cx, CatView *v, Oid type, Str name)
{
    CatRow row;
    HeapValue key = cat_oid(type), now[CAT_COLUMNS_MAX];
    Status st = cat_find_one(cx, v, pg_type_oid_index, &key, 1, &row);
    if (st != ST_OK || row.values == NULL) {
        return st;
    }
    memcpy(now, row.values, v->catalog->columns[CAT_pg_type].n * sizeof *now);
    now[pg_type_typname] = cat_str(name);
    return cat_update(cx, v, CAT_pg_type, &row, now);
}

STATUS catalog_rename_relation(Ctx *cx, CatView *v, Oid oid, Str name)
{
    CatRelation *rel;
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st;
    }
    st = check_name(cx, name);
    if (st == ST_OK) {
        st = reject_duplicate_relation(cx, v, rel->schema, name);
    }
    if (st == ST_OK) {
        st = cat_changed_name(cx, v, rel->schema, str_from(rel->name));
    }
    if (st == ST_OK) {
        st = cat_changed_name(cx, v, rel->schema, name);
    }
    if (st == ST_OK && rel->kind == 'i') {
        st = cat_changed_relation(cx, v, rel->index_of); /* it shows the names of its indexes */
    }
    if (st == ST_OK) {
        st = class_update(cx, v, oid, pg_class_relname, cat_str(name));
    }
    if (st == ST_OK && rel->row_type != 0) {
        st = rename_type(cx, v, rel->row_type, name);
    }
    catalog_release(rel);
    return st;
}
