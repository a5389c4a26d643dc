/*
 * catalog/ddl_rows.c: rows that several changes write: pg_class, pg_attribute, pg_type, pg_attrdef, pg_depend.
 */
#include "catalog/catalog_int.h"

enum { OID_TYPE_CLASS = 1247, OID_CLASS_CLASS = 1259, OID_ATTRDEF_CLASS = 2604 };

/* PostgreSQL cuts names that are too long when it reads them; what comes here longer is an error of the caller. */
STATUS check_name(Ctx *cx, Str name)
{
    if (name.len == 0) {
        return err_set(cx->err, ST_INVALID_NAME, "zero-length name");
    }
    return name.len <= CAT_NAME_MAX
               ? ST_OK
               : err_set(cx->err, ST_NAME_TOO_LONG, "name \"%.*s\" is too long", (int)name.len, name.p);
}

/* ---- dependencies ---- */

STATUS depend_add(Ctx *cx, CatView *v, Oid class_id, Oid oid, int32_t sub, Oid ref_class, Oid ref, int32_t ref_sub,
                  char type)
{
    if (ref < OID_FIRST_NORMAL && ref != OID_PUBLIC) {
        return ST_OK; /* built-in objects are never dropped; PostgreSQL does not record these either */
    }
    HeapValue row[] = {cat_oid(class_id), cat_oid(oid),      cat_int4(sub), cat_oid(ref_class),
                       cat_oid(ref),      cat_int4(ref_sub), cat_char(type)};
    return cat_insert(cx, v, CAT_pg_depend, row);
}

/* Forgets what the object depends on, and what is said to depend on it. */
STATUS depend_drop(Ctx *cx, CatView *v, Oid class_id, Oid oid)
{
    HeapValue key[2] = {cat_oid(class_id), cat_oid(oid)};
    Status st = delete_where(cx, v, pg_depend_depender_index, key, 2);
    return st == ST_OK ? delete_where(cx, v, pg_depend_reference_index, key, 2) : st;
}

/* ---- pg_class ---- */

STATUS class_add(Ctx *cx, CatView *v, Oid oid, Oid schema, Str name, Oid row_type, Oid method, char kind,
                 unsigned n_columns)
{
    HeapValue r[CAT_COLUMNS_MAX];
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_class].n; i++) {
        bool nullable = !cat_column_defs[v->catalog->columns[CAT_pg_class].first + i].not_null;
        r[i] = nullable ? heap_null() : cat_oid(0);
    }
    r[pg_class_oid] = cat_oid(oid);
    r[pg_class_relname] = cat_str(name);
    r[pg_class_relnamespace] = cat_oid(schema);
    r[pg_class_reltype] = cat_oid(row_type);
    r[pg_class_relowner] = cat_oid(v->role);
    r[pg_class_relam] = cat_oid(method);
    r[pg_class_relfilenode] = cat_oid(oid);
    r[pg_class_reltuples] = cat_float4(-1);
    r[pg_class_relpersistence] = cat_char('p');
    r[pg_class_relkind] = cat_char(kind);
    r[pg_class_relnatts] = cat_int2((int16_t)n_columns);
    r[pg_class_relispopulated] = cat_bool(true);
    r[pg_class_relreplident] = cat_char(kind == 'i' ? 'n' : 'd');
    Status st = cat_changed_relation(cx, v, oid);
    if (st == ST_OK) {
        st = cat_changed_name(cx, v, schema, name);
    }
    if (st == ST_OK) {
        st = cat_insert(cx, v, CAT_pg_class, r);
    }
    if (st == ST_UNIQUE_VIOLATION) { /* another transaction was faster */
        err_clear(cx->err);
        return err_set(cx->err, ST_DUPLICATE_TABLE, "relation \"%.*s\" already exists", (int)name.len, name.p);
    }
    return st;
}

STATUS class_update(Ctx *cx, CatView *v, Oid oid, unsigned column, HeapValue value)
{
    CatRow row;
    HeapValue key = cat_oid(oid), now[CAT_COLUMNS_MAX];
    Status st = cat_find_one(cx, v, pg_class_oid_index, &key, 1, &row);
    if (st != ST_OK || row.values == NULL) {
        return st == ST_OK ? err_set(cx->err, ST_UNDEFINED_TABLE, "relation with OID %u does not exist", oid) : st;
    }
    memcpy(now, row.values, v->catalog->columns[CAT_pg_class].n * sizeof *now);
    now[column] = value;
    st = cat_changed_relation(cx, v, oid);
    return st == ST_OK ? cat_update(cx, v, CAT_pg_class, &row, now) : st;
}

/* ---- pg_attribute ---- */

static int type_length(Oid oid, char *out_align, char *out_storage, bool *out_byval)
{
    const TypeRow *t = type_by_oid(oid);
    *out_align = t != NULL ? t->align : 'i';
    *out_storage = t != NULL ? t->storage : 'p';
    *out_byval = t != NULL && t->byval;
    return t != NULL ? t->len : 4;
}

STATUS attribute_add(Ctx *cx, CatView *v, Oid rel, int16_t attnum, Str name, const ValueType *t, bool not_null,
                     bool has_default)
{
    HeapValue r[CAT_COLUMNS_MAX];
    char align, storage;
    bool byval;
    int len = type_length(t->oid, &align, &storage, &byval);
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_attribute].n; i++) {
        bool nullable = !cat_column_defs[v->catalog->columns[CAT_pg_attribute].first + i].not_null;
        r[i] = nullable ? heap_null() : cat_oid(0);
    }
    r[pg_attribute_attrelid] = cat_oid(rel);
    r[pg_attribute_attname] = cat_str(name);
    r[pg_attribute_atttypid] = cat_oid(t->oid);
    r[pg_attribute_attstattarget] = cat_int4(attnum > 0 ? -1 : 0);
    r[pg_attribute_attlen] = cat_int2((int16_t)len);
    r[pg_attribute_attnum] = cat_int2(attnum);
    r[pg_attribute_attndims] = cat_int4(type_element(t->oid) != 0 && len == -1 ? 1 : 0);
    r[pg_attribute_attcacheoff] = cat_int4(-1);
    r[pg_attribute_atttypmod] = cat_int4(t->typmod);
    r[pg_attribute_attbyval] = cat_bool(byval);
    r[pg_attribute_attalign] = cat_char(align);
    r[pg_attribute_attstorage] = cat_char(storage);
    r[pg_attribute_attcompression] = cat_char('\0');
    r[pg_attribute_attnotnull] = cat_bool(not_null);
    r[pg_attribute_atthasdef] = cat_bool(has_default);
    r[pg_attribute_attislocal] = cat_bool(true);
    r[pg_attribute_attcollation] = cat_oid(t->collation);
    return cat_insert(cx, v, CAT_pg_attribute, r);
}

/* ---- pg_attrdef ---- */

/* Replaces the default of a column; an empty text removes it. The flag in pg_attribute is the caller's. */
STATUS default_set(Ctx *cx, CatView *v, Oid rel, int16_t attnum, Str text)
{
    Oid oid;
    CatRow old;
    HeapValue key[2] = {cat_oid(rel), cat_int2(attnum)};
    Status st = cat_find_one(cx, v, pg_attrdef_adrelid_adnum_index, key, 2, &old);
    if (st == ST_OK && old.values != NULL) {
        st = depend_drop(cx, v, OID_ATTRDEF_CLASS, cat_get_oid(&old.values[pg_attrdef_oid]));
        if (st == ST_OK) {
            st = cat_delete(cx, v, CAT_pg_attrdef, &old);
        }
    }
    if (st != ST_OK || text.len == 0) {
        return st;
    }
    st = catalog_new_oid(cx, v->catalog, &oid);
    if (st == ST_OK) {
        HeapValue r[] = {cat_oid(oid), cat_oid(rel), cat_int2(attnum), cat_str(text)};
        st = cat_insert(cx, v, CAT_pg_attrdef, r);
    }
    return st == ST_OK ? depend_add(cx, v, OID_ATTRDEF_CLASS, oid, 0, OID_CLASS_CLASS, rel, attnum, 'a') : st;
}

/* ---- pg_type: the row type of a table and its array type ---- */

typedef struct TypeNew {
    Oid oid, array, element, relation;
    Str name;
    Oid schema;
    const char *functions[4]; /* input, output, receive, send */
} TypeNew;

static Oid function_named(const char *name)
{
    uint32_t first;
    return fn_by_name(str_from(name), &first) > 0 ? fn_rows[fn_name_index[first]].oid : 0;
}

static STATUS type_add(Ctx *cx, CatView *v, const TypeNew *t)
{
    HeapValue r[CAT_COLUMNS_MAX];
    bool is_array = t->element != 0;
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_type].n; i++) {
        bool nullable = !cat_column_defs[v->catalog->columns[CAT_pg_type].first + i].not_null;
        r[i] = nullable ? heap_null() : cat_oid(0);
    }
    r[pg_type_oid] = cat_oid(t->oid);
    r[pg_type_typname] = cat_str(t->name);
    r[pg_type_typnamespace] = cat_oid(t->schema);
    r[pg_type_typowner] = cat_oid(v->role);
    r[pg_type_typlen] = cat_int2(-1);
    r[pg_type_typtype] = cat_char(is_array ? 'b' : 'c');
    r[pg_type_typcategory] = cat_char(is_array ? 'A' : 'C');
    r[pg_type_typisdefined] = cat_bool(true);
    r[pg_type_typdelim] = cat_char(',');
    r[pg_type_typrelid] = cat_oid(t->relation);
    r[pg_type_typelem] = cat_oid(t->element);
    r[pg_type_typarray] = cat_oid(t->array);
    r[pg_type_typsubscript] = cat_oid(is_array ? function_named("array_subscript_handler") : 0);
    r[pg_type_typinput] = cat_oid(function_named(t->functions[0]));
    r[pg_type_typoutput] = cat_oid(function_named(t->functions[1]));
    r[pg_type_typreceive] = cat_oid(function_named(t->functions[2]));
    r[pg_type_typsend] = cat_oid(function_named(t->functions[3]));
    r[pg_type_typanalyze] = cat_oid(is_array ? function_named("array_typanalyze") : 0);
    r[pg_type_typalign] = cat_char('d');
    r[pg_type_typstorage] = cat_char('x');
    r[pg_type_typtypmod] = cat_int4(-1);
    return cat_insert(cx, v, CAT_pg_type, r);
}

/* "_name", with more underscores and cut as need be until it is free. */
static STATUS array_name(Ctx *cx, CatView *v, Oid schema, Str name, char out[CAT_NAME_MAX + 1])
{
    for (unsigned n = 1; n < CAT_NAME_MAX; n++) {
        CatRow row;
        memset(out, '_', n);
        size_t len = utf8_clip(name.p, name.len, CAT_NAME_MAX - n);
        memcpy(out + n, name.p, len);
        out[n + len] = '\0';
        HeapValue key[2] = {cat_text(out), cat_oid(schema)};
        Status st = cat_find_one(cx, v, pg_type_typname_nsp_index, key, 2, &row);
        if (st != ST_OK || row.values == NULL) {
            return st;
        }
    }
    return err_set(cx->err, ST_DUPLICATE_OBJECT, "could not form array type name for type \"%.*s\"", (int)name.len,
                   name.p);
}

STATUS type_pair_create(Ctx *cx, CatView *v, Oid relation, Oid schema, Str name, Oid *out_type)
{
    Oid oid = 0, array = 0;
    CatRow row;
    char array_text[CAT_NAME_MAX + 1];
    HeapValue key[2] = {cat_str(name), cat_oid(schema)};
    Status st = cat_find_one(cx, v, pg_type_typname_nsp_index, key, 2, &row);
    if (st == ST_OK && row.values != NULL) {
        st = err_set(cx->err, ST_DUPLICATE_OBJECT, "type \"%.*s\" already exists", (int)name.len, name.p);
        err_hint(cx->err, "A relation has an associated type of the same name, so you must use a name that doesn't "
                          "conflict with any existing type.");
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, &oid);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, &array);
    }
    if (st == ST_OK) {
        st = array_name(cx, v, schema, name, array_text);
    }
    if (st == ST_OK) {
        TypeNew t = {oid, array, 0, relation, name, schema, {"record_in", "record_out", "record_recv", "record_send"}};
        st = type_add(cx, v, &t);
    }
    if (st == ST_OK) {
        TypeNew t = {
            array, 0, oid, 0, str_from(array_text), schema, {"array_in", "array_out", "array_recv", "array_send"}};
        st = type_add(cx, v, &t);
    }
    if (st == ST_OK) {
        st = depend_add(cx, v, OID_TYPE_CLASS, oid, 0, OID_CLASS_CLASS, relation, 0, 'i');
    }
    if (st == ST_OK) {
        st = depend_add(cx, v, OID_TYPE_CLASS, array, 0, OID_TYPE_CLASS, oid, 0, 'i');
    }
    *out_type = oid;
    return st;
}
