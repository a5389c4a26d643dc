/*
 * catalog/ddl_index.c: indexes and constraints.
 */
#include "catalog/catalog_int.h"
#include "types/array.h"

enum { OID_CLASS_CLASS = 1259, OID_CONSTRAINT_CLASS = 2606 };

/* ---- vectors ---- */

static STATUS put_vector(Ctx *cx, Oid elem, int32_t lower, const void *items, size_t item_bytes, unsigned n,
                         HeapValue *out)
{
    ArrayBuilder b;
    StrView view;
    int32_t dims = (int32_t)n;
    array_builder_init(&b, cx->arena, elem);
    for (unsigned i = 0; i < n; i++) {
        if (!array_builder_add(&b, (const char *)items + i * item_bytes, true)) {
            return ctx_nomem(cx, item_bytes * n);
        }
    }
    Status st = array_builder_finish_dims(&b, cx, n == 0 ? 0 : 1, &dims, &lower, cx->arena, &view);
    if (st == ST_OK) {
        memcpy(&out->view, &view, sizeof view);
        out->state = HEAP_PRESENT;
    }
    return st;
}

static HeapValue text_or_null(Str s)
{
    return s.len == 0 ? heap_null() : cat_str(s);
}

/* ---- indexes ---- */

typedef struct IndexVectors {
    HeapValue keys, collations, classes, options;
} IndexVectors;

static STATUS key_class(Ctx *cx, const CatRelation *rel, const CatKeyColumn *k, Oid *out_class, Oid *out_collation)
{
    *out_class = k->opclass;
    *out_collation = 0;
    if (k->attnum == 0) {
        return ST_OK; /* of an expression: the caller gives the class */
    }
    if (k->attnum < 0 || k->attnum > rel->n_columns || rel->columns[k->attnum - 1].dropped) {
        return err_set(cx->err, ST_UNDEFINED_COLUMN, "column %d of relation \"%s\" does not exist", k->attnum,
                       rel->name);
    }
    const CatColumn *c = &rel->columns[k->attnum - 1];
    *out_collation = c->collation;
    Oid type = c->type == OID_VARCHAR ? OID_TEXT : c->type; /* binary coercible: PostgreSQL uses text_ops */
    const OpclassRow *row = *out_class != 0 ? opclass_by_oid(*out_class) : opclass_default(type, METHOD_BTREE);
    if (row == NULL || !type_has_key(c->type)) {
        char text[TYPE_NAME_BYTES];
        type_name_text(c->type, text);
        Status st = err_set(cx->err, ST_UNDEFINED_OBJECT,
                            "data type %s has no default operator class for access method \"btree\"", text);
        err_hint(
            cx->err,
            "You must specify an operator class for the index or define a default operator class for the data type.");
        return st;
    }
    *out_class = row->oid;
    return ST_OK;
}

static STATUS make_vectors(Ctx *cx, const CatRelation *rel, const CatIndexNew *x, IndexVectors *out)
{
    int16_t keys[HEAP_COLUMNS_MAX > 32 ? 32 : HEAP_COLUMNS_MAX], options[32];
    Oid classes[32], collations[32];
    if (x->n_columns > 32) {
        return err_set(cx->err, ST_TOO_MANY_COLUMNS, "cannot use more than 32 columns in an index");
    }
    for (unsigned i = 0; i < x->n_columns; i++) {
        keys[i] = x->columns[i].attnum;
        options[i] = (int16_t)((x->columns[i].desc ? 1 : 0) | (x->columns[i].nulls_first ? 2 : 0));
        if (i < x->n_keys) {
            Status st = key_class(cx, rel, &x->columns[i], &classes[i], &collations[i]);
            if (st != ST_OK) {
                return st;
            }
        }
    }
    Status st = put_vector(cx, OID_INT2, 0, keys, sizeof keys[0], x->n_columns, &out->keys);
    if (st == ST_OK) {
        st = put_vector(cx, OID_INT2, 0, options, sizeof options[0], x->n_keys, &out->options);
    }
    if (st == ST_OK) {
        st = put_vector(cx, OID_OID, 0, classes, sizeof classes[0], x->n_keys, &out->classes);
    }
    return st == ST_OK ? put_vector(cx, OID_OID, 0, collations, sizeof collations[0], x->n_keys, &out->collations) : st;
}

static STATUS index_row(Ctx *cx, CatView *v, Oid table, Oid oid, const CatIndexNew *x, const IndexVectors *vec)
{
    HeapValue r[CAT_COLUMNS_MAX];
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_index].n; i++) {
        r[i] = cat_bool(false);
    }
    r[pg_index_indexrelid] = cat_oid(oid);
    r[pg_index_indrelid] = cat_oid(table);
    r[pg_index_indnatts] = cat_int2((int16_t)x->n_columns);
    r[pg_index_indnkeyatts] = cat_int2((int16_t)x->n_keys);
    r[pg_index_indisunique] = cat_bool(x->unique);
    r[pg_index_indisprimary] = cat_bool(x->primary);
    r[pg_index_indimmediate] = cat_bool(true);
    r[pg_index_indisvalid] = cat_bool(true);
    r[pg_index_indisready] = cat_bool(true);
    r[pg_index_indislive] = cat_bool(true);
    r[pg_index_indkey] = vec->keys;
    r[pg_index_indcollation] = vec->collations;
    r[pg_index_indclass] = vec->classes;
    r[pg_index_indoption] = vec->options;
    r[pg_index_indexprs] = text_or_null(x->expressions);
    r[pg_index_indpred] = text_or_null(x->predicate);
    return cat_insert(cx, v, CAT_pg_index, r);
}

static STATUS index_columns(Ctx *cx, CatView *v, const CatRelation *rel, Oid oid, const CatIndexNew *x)
{
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < x->n_columns; i++) {
        int16_t attnum = x->columns[i].attnum;
        if (attnum > 0) {
            const CatColumn *c = &rel->columns[attnum - 1];
            ValueType t = c->value_type;
            t.typmod = c->typmod;
            st = attribute_add(cx, v, oid, (int16_t)(i + 1), str_from(c->name), &t, false, false);
            if (st == ST_OK) {
                st = depend_add(cx, v, OID_CLASS_CLASS, oid, 0, OID_CLASS_CLASS, rel->oid, attnum, 'a');
            }
        } else {
            char name[CAT_NAME_MAX + 1] = "expr";
            ValueType t = x->columns[i].type;
            st = attribute_add(cx, v, oid, (int16_t)(i + 1), str_from(name), &t, false, false);
        }
    }
    return st;
}

static STATUS index_storage(Ctx *cx, CatView *v, Oid oid)
{
    BTreeRef ref;
    Status st = txn_create_index(cx, v->txn, &ref);
    if (st != ST_OK) {
        return st;
    }
    CatStorage s = {ref.object, ref.root};
    TxnFresh fresh = txn_fresh_begin(v->txn);
    Ts now = txn_snapshot_ts(v->txn);
    txn_fresh_end(v->txn, fresh);
    return storage_add(cx, v, v->database, oid, &s, now, NULL);
}

static STATUS create_index(Ctx *cx, CatView *v, const CatRelation *rel, const CatIndexNew *x, Oid *out_oid)
{
    Oid oid = 0, other;
    IndexVectors vec;
    Status st = check_name(cx, x->name);
    if (st == ST_OK) {
        st = catalog_relation_oid(cx, v, rel->schema, x->name, &other);
    }
    if (st == ST_OK && other != 0) {
        st = err_set(cx->err, ST_DUPLICATE_TABLE, "relation \"%.*s\" already exists", (int)x->name.len, x->name.p);
    }
    if (st == ST_OK) {
        st = make_vectors(cx, rel, x, &vec);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, &oid);
    }
    if (st == ST_OK) {
        st = cat_changed_relation(cx, v, rel->oid);
    }
    if (st == ST_OK) {
        st = class_add(cx, v, oid, rel->schema, x->name, 0, METHOD_BTREE, 'i', x->n_columns);
    }
    if (st == ST_OK) {
        st = index_columns(cx, v, rel, oid, x);
    }
    if (st == ST_OK) {
        st = index_row(cx, v, rel->oid, oid, x, &vec);
    }
    if (st == ST_OK) {
        st = index_storage(cx, v, oid);
    }
    *out_oid = oid;
    return st;
}

STATUS catalog_create_index(Ctx *cx, CatView *v, Oid table, const CatIndexNew *index, Oid *out_oid)
{
    CatRelation *rel;
    Status st = catalog_relation(cx, v, table, &rel);
    if (st != ST_OK) {
        return st;
    }
    st = create_index(cx, v, rel, index, out_oid);
    if (st == ST_OK) {
        st = class_update(cx, v, table, pg_class_relhasindex, cat_bool(true));
    }
    catalog_release(rel);
    return st;
}

STATUS index_drop(Ctx *cx, CatView *v, Oid oid)
{
    CatRelation *rel;
    HeapValue key = cat_oid(oid);
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st;
    }
    st = cat_changed_relation(cx, v, rel->index_of);
    if (st == ST_OK) {
        st = delete_where(cx, v, pg_index_indexrelid_index, &key, 1);
    }
    if (st == ST_OK) {
        st = class_drop(cx, v, rel);
    }
    catalog_release(rel);
    return st;
}

STATUS catalog_drop_index(Ctx *cx, CatView *v, Oid oid)
{
    CatRowSet set;
    HeapValue key[4] = {cat_oid(OID_CLASS_CLASS), cat_oid(oid)};
    Status st = cat_find(cx, v, pg_depend_depender_index, key, 2, &set);
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        if ((char)set.rows[i].values[pg_depend_deptype].u8 == 'i') {
            st = err_set(cx->err, ST_DEPENDENT_OBJECTS_STILL_EXIST,
                         "cannot drop index %u because a constraint requires it", oid);
            err_hint(cx->err, "You can drop the constraint instead.");
        }
    }
    return st == ST_OK ? index_drop(cx, v, oid) : st;
}

/* ---- constraints ---- */

static STATUS constraint_row(Ctx *cx, CatView *v, const CatRelation *rel, Oid oid, const CatConstraintNew *c)
{
    HeapValue r[CAT_COLUMNS_MAX];
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_constraint].n; i++) {
        bool nullable = !cat_column_defs[v->catalog->columns[CAT_pg_constraint].first + i].not_null;
        r[i] = nullable ? heap_null() : cat_oid(0);
    }
    bool foreign = c->type == 'f';
    r[pg_constraint_oid] = cat_oid(oid);
    r[pg_constraint_conname] = cat_str(c->name);
    r[pg_constraint_connamespace] = cat_oid(rel->schema);
    r[pg_constraint_contype] = cat_char(c->type);
    r[pg_constraint_condeferrable] = cat_bool(c->deferrable);
    r[pg_constraint_condeferred] = cat_bool(c->deferred);
    r[pg_constraint_convalidated] = cat_bool(true);
    r[pg_constraint_conrelid] = cat_oid(rel->oid);
    r[pg_constraint_conindid] = cat_oid(c->index);
    r[pg_constraint_confrelid] = cat_oid(c->ref_table);
    r[pg_constraint_confupdtype] = cat_char(foreign ? 'a' : ' ');
    r[pg_constraint_confdeltype] = cat_char(foreign ? 'a' : ' ');
    r[pg_constraint_confmatchtype] = cat_char(foreign ? 's' : ' ');
    r[pg_constraint_conislocal] = cat_bool(true);
    r[pg_constraint_connoinherit] = cat_bool(c->type != 'c');
    r[pg_constraint_conbin] = text_or_null(c->text);
    Status st = put_vector(cx, OID_INT2, 1, c->keys, sizeof *c->keys, c->n_keys, &r[pg_constraint_conkey]);
    if (st == ST_OK && foreign) {
        st = put_vector(cx, OID_INT2, 1, c->ref_keys, sizeof *c->ref_keys, c->n_keys, &r[pg_constraint_confkey]);
    }
    return st == ST_OK ? cat_insert(cx, v, CAT_pg_constraint, r) : st;
}

static STATUS constraint_depends(Ctx *cx, CatView *v, Oid table, Oid oid, const CatConstraintNew *c)
{
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < c->n_keys; i++) {
        st = depend_add(cx, v, OID_CONSTRAINT_CLASS, oid, 0, OID_CLASS_CLASS, table, c->keys[i], 'a');
    }
    if (st == ST_OK && c->index != 0 && c->type != 'f') { /* the index goes with its constraint, and only so */
        HeapValue key[2] = {cat_oid(OID_CLASS_CLASS), cat_oid(c->index)};
        st = delete_where(cx, v, pg_depend_depender_index, key, 2);
        if (st == ST_OK) {
            st = depend_add(cx, v, OID_CLASS_CLASS, c->index, 0, OID_CONSTRAINT_CLASS, oid, 0, 'i');
        }
    }
    if (st == ST_OK && c->type == 'f') {
        st = depend_add(cx, v, OID_CONSTRAINT_CLASS, oid, 0, OID_CLASS_CLASS, c->ref_table, 0, 'n');
    }
    return st;
}

static STATUS add_constraint(Ctx *cx, CatView *v, const CatRelation *rel, const CatConstraintNew *c, Oid *out_oid)
{
    CatRow row;
    HeapValue key[3] = {cat_oid(rel->oid), cat_oid(0), cat_str(c->name)};
    Status st = check_name(cx, c->name);
    if (st == ST_OK) {
        st = cat_find_one(cx, v, pg_constraint_conrelid_contypid_conname_index, key, 3, &row);
    }
    if (st == ST_OK && row.values != NULL) {
        st = err_set(cx->err, ST_DUPLICATE_OBJECT, "constraint \"%.*s\" for relation \"%s\" already exists",
                     (int)c->name.len, c->name.p, rel->name);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, out_oid);
    }
    if (st == ST_OK) {
        st = cat_changed_relation(cx, v, rel->oid);
    }
    if (st == ST_OK) {
        st = constraint_row(cx, v, rel, *out_oid, c);
    }
    if (st == ST_OK) {
        st = constraint_depends(cx, v, rel->oid, *out_oid, c);
    }
    if (st == ST_OK && c->type == 'c') {
        unsigned checks = 1;
        for (unsigned i = 0; i < rel->n_constraints; i++) {
            checks += rel->constraints[i].type == 'c';
        }
        st = class_update(cx, v, rel->oid, pg_class_relchecks, cat_int2((int16_t)checks));
    }
    return st;
}

STATUS catalog_add_constraint(Ctx *cx, CatView *v, Oid table, const CatConstraintNew *constraint, Oid *out_oid)
{
    CatRelation *rel;
    Status st = catalog_relation(cx, v, table, &rel);
    if (st == ST_OK) {
        st = add_constraint(cx, v, rel, constraint, out_oid);
        catalog_release(rel);
    }
    return st;
}

STATUS constraint_delete(Ctx *cx, CatView *v, const CatRow *row)
{
    Oid oid = cat_get_oid(&row->values[pg_constraint_oid]);
    Oid table = cat_get_oid(&row->values[pg_constraint_conrelid]);
    Status st = cat_changed_relation(cx, v, table);
    if (st == ST_OK) {
        st = depend_drop(cx, v, OID_CONSTRAINT_CLASS, oid);
    }
    return st == ST_OK ? cat_delete(cx, v, CAT_pg_constraint, row) : st;
}

STATUS catalog_drop_constraint(Ctx *cx, CatView *v, Oid table, Oid constraint)
{
    CatRow row;
    HeapValue key = cat_oid(constraint);
    Status st = cat_find_one(cx, v, pg_constraint_oid_index, &key, 1, &row);
    if (st == ST_OK && row.values == NULL) {
        st = err_set(cx->err, ST_UNDEFINED_OBJECT, "constraint %u of relation %u does not exist", constraint, table);
    }
    if (st != ST_OK) {
        return st;
    }
    char type = (char)row.values[pg_constraint_contype].u8;
    Oid index = cat_get_oid(&row.values[pg_constraint_conindid]);
    st = constraint_delete(cx, v, &row);
    return st == ST_OK && (type == 'p' || type == 'u') && index != 0 ? index_drop(cx, v, index) : st;
}
