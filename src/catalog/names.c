/*
 * catalog/names.c: from names to objects and back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "catalog/catalog_int.h"

/* ---- relations by name ---- */

static Status load_name(Ctx *cx, CatView *v, CatEntry *e)
{
    CatRow row;
    HeapValue key[2] = {cat_str((Str){e->name, e->name_len}), cat_oid(e->oid)};
    ArenaMark mark = arena_mark(cx->arena);
    Status st = cat_find_one(cx, v, pg_class_relname_nsp_index, key, 2, &row);
    if (st == ST_OK) {
        e->found = row.values != NULL ? cat_get_oid(&row.values[pg_class_oid]) : 0;
    }
    arena_rewind(cx->arena, mark);
    return st;
}

static STATUS name_in_schema(Ctx *cx, CatView *v, Oid schema, Str name, Oid *out_oid)
{
    CatEntry *e;
    *out_oid = 0;
    if (name.len == 0 || name.len > CAT_NAME_MAX) {
        return ST_OK;
    }
    Status st = cat_entry(cx, v, &(CatKey){.kind = ENTRY_NAME, .database = v->database, .oid = schema, .name = name},
                          load_name, &e);
    if (st == ST_OK) {
        *out_oid = e->found;
        cache_release(e);
    }
    return st;
}

STATUS catalog_relation_oid(Ctx *cx, CatView *v, Oid schema, Str name, Oid *out_oid)
{
    if (schema != 0) {
        return name_in_schema(cx, v, schema, name, out_oid);
    }
    Status st = ST_OK;
    *out_oid = 0;
    for (unsigned i = 0; st == ST_OK && *out_oid == 0 && i < v->n_path; i++) {
        st = name_in_schema(cx, v, v->path[i], name, out_oid);
    }
    return st;
}

static STATUS no_relation(Ctx *cx, Str schema, Str name)
{
    if (schema.len != 0) {
        return err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%.*s.%.*s\" does not exist", (int)schema.len, schema.p,
                       (int)name.len, name.p);
    }
    return err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%.*s\" does not exist", (int)name.len, name.p);
}

/* A shared catalog is one table for all databases. */
static LockTag relation_tag(const CatView *v, Oid oid)
{
    CatTableNo no = oid < OID_FIRST_NORMAL ? cat_table_number(oid) : CAT_TABLE_COUNT;
    bool shared = no != CAT_TABLE_COUNT && cat_table_defs[no].shared;
    return lock_tag_table(shared ? 0 : v->database, oid);
}

STATUS catalog_open_oid(Ctx *cx, CatView *v, Oid oid, LockMode mode, CatRelation **out_rel)
{
    LockTag tag = relation_tag(v, oid);
    Status st = lock_acquire(cx, txn_lock_owner(v->txn), &tag, mode, LOCK_WAIT, -1);
    return st == ST_OK ? catalog_relation(cx, v, oid, out_rel) : st;
}

STATUS catalog_open_relation(Ctx *cx, CatView *v, Str schema, Str name, LockMode mode, CatRelation **out_rel)
{
    Oid schema_oid = 0, oid, again;
    Status st = schema.len != 0 ? catalog_schema(cx, v, schema, &schema_oid) : ST_OK;
    if (st == ST_OK) {
        st = catalog_relation_oid(cx, v, schema_oid, name, &oid);
    }
    /* Each round locks another relation: the name was given to it meanwhile. Bounded by the DDL of others, and interruptible. */
    while (st == ST_OK && oid != 0) {
        LockTag tag = relation_tag(v, oid);
        st = lock_acquire(cx, txn_lock_owner(v->txn), &tag, mode, LOCK_WAIT, -1);
        if (st == ST_OK) {
            st = catalog_relation_oid(cx, v, schema_oid, name, &again);
        }
        if (st == ST_OK && again == oid) {
            return catalog_relation(cx, v, oid, out_rel);
        }
        (void)lock_release(txn_lock_owner(v->txn), &tag, mode);
        oid = again;
        if (st == ST_OK) {
            st = ctx_poll(cx);
        }
    }
    return st == ST_OK ? no_relation(cx, schema, name) : st;
}

/* ---- small objects ---- */

static CatIndexNo id_index(CatKind kind)
{
    static const CatIndexNo index[] = {pg_namespace_oid_index, pg_authid_oid_index, pg_database_oid_index,
                                       pg_type_oid_index};
    return index[kind];
}

static void copy_name(const HeapValue *v, char out[CAT_NAME_MAX + 1])
{
    Str s = cat_get_str(v);
    size_t n = s.len < CAT_NAME_MAX ? s.len : CAT_NAME_MAX;
    memcpy(out, s.p, n);
    out[n] = '\0';
}

static void fill_object(CatKind kind, const HeapValue *r, CatObject *o)
{
    *o = (CatObject){.oid = cat_get_oid(&r[0])};
    switch (kind) {
    case CAT_SCHEMA:
        o->owner = cat_get_oid(&r[pg_namespace_nspowner]);
        copy_name(&r[pg_namespace_nspname], o->name);
        break;
    case CAT_DATABASE:
        o->owner = cat_get_oid(&r[pg_database_datdba]);
        copy_name(&r[pg_database_datname], o->name);
        break;
    case CAT_ROLE:
        o->superuser = r[pg_authid_rolsuper].u8 != 0;
        o->inherit = r[pg_authid_rolinherit].u8 != 0;
        o->create_role = r[pg_authid_rolcreaterole].u8 != 0;
        o->create_db = r[pg_authid_rolcreatedb].u8 != 0;
        o->login = r[pg_authid_rolcanlogin].u8 != 0;
        copy_name(&r[pg_authid_rolname], o->name);
        break;
    case CAT_TYPE:
        o->schema = cat_get_oid(&r[pg_type_typnamespace]);
        o->owner = cat_get_oid(&r[pg_type_typowner]);
        o->relation = cat_get_oid(&r[pg_type_typrelid]);
        o->element = cat_get_oid(&r[pg_type_typelem]);
        o->array = cat_get_oid(&r[pg_type_typarray]);
        copy_name(&r[pg_type_typname], o->name);
        break;
    }
}

static Status load_object(Ctx *cx, CatView *v, CatEntry *e)
{
    static const CatIndexNo by_name[] = {pg_namespace_nspname_index, pg_authid_rolname_index, pg_database_datname_index,
                                         pg_type_typname_nsp_index};
    bool named = e->kind >= ENTRY_OBJECT_NAME;
    CatKind kind = (CatKind)(e->kind - (named ? ENTRY_OBJECT_NAME : ENTRY_OBJECT));
    CatRow row;
    HeapValue key[2] = {named ? cat_str((Str){e->name, e->name_len}) : cat_oid(e->oid), cat_oid(e->oid)};
    ArenaMark mark = arena_mark(cx->arena);
    Status st =
        cat_find_one(cx, v, named ? by_name[kind] : id_index(kind), key, named && kind == CAT_TYPE ? 2 : 1, &row);
    if (st == ST_OK && row.values != NULL) {
        fill_object(kind, row.values, &e->object);
    }
    arena_rewind(cx->arena, mark);
    return st;
}

static STATUS object_of(Ctx *cx, CatView *v, CatKey key, CatObject *out_object)
{
    CatEntry *e;
    Status st = cat_entry(cx, v, &key, load_object, &e);
    if (st == ST_OK) {
        *out_object = e->object;
        cache_release(e);
    }
    return st;
}

STATUS catalog_object(Ctx *cx, CatView *v, CatKind kind, Oid oid, CatObject *out_object)
{
    return object_of(cx, v, object_key(v, kind, oid, (Str){NULL, 0}), out_object);
}

STATUS catalog_object_named(Ctx *cx, CatView *v, CatKind kind, Oid schema, Str name, CatObject *out_object)
{
    Status st = ST_OK;
    *out_object = (CatObject){.oid = 0};
    if (name.len == 0 || name.len > CAT_NAME_MAX) {
        return ST_OK;
    }
    if (kind != CAT_TYPE || schema != 0) {
        return object_of(cx, v, object_key(v, kind, kind == CAT_TYPE ? schema : 0, name), out_object);
    }
    for (unsigned i = 0; st == ST_OK && out_object->oid == 0 && i < v->n_path; i++) {
        st = object_of(cx, v, object_key(v, kind, v->path[i], name), out_object);
    }
    return st;
}

STATUS catalog_schema(Ctx *cx, CatView *v, Str name, Oid *out_oid)
{
    CatObject o;
    Status st = catalog_object_named(cx, v, CAT_SCHEMA, 0, name, &o);
    if (st == ST_OK && o.oid == 0) {
        return err_set(cx->err, ST_INVALID_SCHEMA_NAME, "schema \"%.*s\" does not exist", (int)name.len, name.p);
    }
    if (st == ST_OK) {
        *out_oid = o.oid;
    }
    return st;
}

/* ---- functions and operators ---- */

uint32_t catalog_functions_named(CatView *v, Str name, uint32_t *out_first)
{
    (void)v;
    return fn_by_name(name, out_first);
}

uint32_t catalog_operators_named(CatView *v, Str name, uint32_t *out_first)
{
    (void)v;
    return oper_by_name(name, out_first);
}
