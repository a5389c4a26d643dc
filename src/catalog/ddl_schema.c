/*
 * catalog/ddl_schema.c: schemas, roles, databases.
 */
#include "catalog/catalog_int.h"

enum { OID_NAMESPACE_CLASS = 2615 };

/* ---- schemas ---- */

STATUS catalog_create_schema(Ctx *cx, CatView *v, Str name, Oid owner, Oid *out_oid)
{
    CatObject o;
    Status st = check_name(cx, name);
    if (st == ST_OK && name.len >= 3 && memcmp(name.p, "pg_", 3) == 0) {
        st = err_set(cx->err, ST_RESERVED_NAME, "unacceptable schema name \"%.*s\"", (int)name.len, name.p);
        err_detail(cx->err, "The prefix \"pg_\" is reserved for system schemas.");
    }
    if (st == ST_OK) {
        st = catalog_object_named(cx, v, CAT_SCHEMA, 0, name, &o);
    }
    if (st == ST_OK && o.oid != 0) {
        st = err_set(cx->err, ST_DUPLICATE_SCHEMA, "schema \"%.*s\" already exists", (int)name.len, name.p);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, out_oid);
    }
    if (st == ST_OK) {
        HeapValue row[] = {cat_oid(*out_oid), cat_str(name), cat_oid(owner), heap_null()};
        st = cat_insert(cx, v, CAT_pg_namespace, row);
    }
    if (st == ST_UNIQUE_VIOLATION) { /* another transaction was faster */
        err_clear(cx->err);
        st = err_set(cx->err, ST_DUPLICATE_SCHEMA, "schema \"%.*s\" already exists", (int)name.len, name.p);
    }
    return st;
}

STATUS catalog_drop_schema(Ctx *cx, CatView *v, Oid oid)
{
    CatRowSet users;
    CatObject o;
    HeapValue ref[2] = {cat_oid(OID_NAMESPACE_CLASS), cat_oid(oid)}, key = cat_oid(oid);
    Status st = catalog_object(cx, v, CAT_SCHEMA, oid, &o);
    if (st == ST_OK && (o.oid == 0 || oid == OID_PG_CATALOG)) {
        return err_set(cx->err, ST_INVALID_SCHEMA_NAME, "schema with OID %u cannot be dropped", oid);
    }
    if (st == ST_OK) {
        st = cat_find(cx, v, pg_depend_reference_index, ref, 2, &users);
    }
    if (st == ST_OK && users.n > 0) {
        st = err_set(cx->err, ST_DEPENDENT_OBJECTS_STILL_EXIST,
                     "cannot drop schema %s because other objects depend on it", o.name);
        err_hint(cx->err, "Use DROP ... CASCADE to drop the dependent objects too.");
    }
    if (st == ST_OK) {
        st = depend_drop(cx, v, OID_NAMESPACE_CLASS, oid);
    }
    return st == ST_OK ? delete_where(cx, v, pg_namespace_oid_index, &key, 1) : st;
}

/* ---- roles ---- */

STATUS catalog_create_role(Ctx *cx, CatView *v, const CatRoleNew *role, Oid *out_oid)
{
    CatObject o;
    Status st = check_name(cx, role->name);
    if (st == ST_OK) {
        st = catalog_object_named(cx, v, CAT_ROLE, 0, role->name, &o);
    }
    if (st == ST_OK && o.oid != 0) {
        st = err_set(cx->err, ST_DUPLICATE_OBJECT, "role \"%.*s\" already exists", (int)role->name.len, role->name.p);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, out_oid);
    }
    if (st != ST_OK) {
        return st;
    }
    HeapValue row[] = {cat_oid(*out_oid),
                       cat_str(role->name),
                       cat_bool(role->superuser),
                       cat_bool(role->inherit),
                       cat_bool(role->create_role),
                       cat_bool(role->create_db),
                       cat_bool(role->login),
                       cat_bool(role->replication),
                       cat_bool(role->bypass_rls),
                       cat_int4(role->connection_limit),
                       role->password.len != 0 ? cat_str(role->password) : heap_null(),
                       role->has_valid_until ? heap_i64(role->valid_until) : heap_null()};
    STATIC_ASSERT(ARRAY_LEN(row) == pg_authid_rolvaliduntil + 1, "all columns of pg_authid");
    return cat_insert(cx, v, CAT_pg_authid, row);
}

typedef struct Owned {
    Oid role;
    bool found;
    unsigned column;
} Owned;

static Status look_for_owner(void *arg, Ctx *cx, const CatRow *row)
{
    Owned *o = arg;
    (void)cx;
    o->found = o->found || cat_get_oid(&row->values[o->column]) == o->role;
    return ST_OK;
}

STATUS catalog_drop_role(Ctx *cx, CatView *v, Oid oid)
{
    static const struct {
        CatTableNo table;
        unsigned column;
    } owned[] = {{CAT_pg_database, pg_database_datdba},
                 {CAT_pg_namespace, pg_namespace_nspowner},
                 {CAT_pg_class, pg_class_relowner}};
    CatObject o;
    HeapValue key = cat_oid(oid);
    Status st = catalog_object(cx, v, CAT_ROLE, oid, &o);
    if (st == ST_OK && o.oid == 0) {
        st = err_set(cx->err, ST_UNDEFINED_OBJECT, "role with OID %u does not exist", oid);
    }
    if (st == ST_OK && oid < OID_FIRST_NORMAL) {
        st = err_set(cx->err, ST_DEPENDENT_OBJECTS_STILL_EXIST,
                     "cannot drop role %s because it is required by the database system", o.name);
    }
    for (unsigned i = 0; st == ST_OK && i < ARRAY_LEN(owned); i++) {
        Owned look = {.role = oid, .column = owned[i].column};
        st = cat_scan(cx, v, owned[i].table, look_for_owner, &look);
        if (st == ST_OK && look.found) {
            st = err_set(cx->err, ST_DEPENDENT_OBJECTS_STILL_EXIST,
                         "role \"%s\" cannot be dropped because some objects depend on it", o.name);
        }
    }
    return st == ST_OK ? delete_where(cx, v, pg_authid_oid_index, &key, 1) : st;
}

/* ---- databases ---- */

typedef struct Copy {
    CatView *v;
    CatView *from;
    CatDatabase *to;
    CatTableNo no;
    CatTable *table;
} Copy;

static Status copy_row(void *arg, Ctx *cx, const CatRow *row)
{
    Copy *c = arg;
    if (c->no == CAT_pg_class && cat_get_oid(&row->values[pg_class_oid]) >= OID_FIRST_NORMAL) {
        return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED,
                       "a template database with tables of users cannot be copied yet");
    }
    return table_insert(cx, c->v->catalog, c->v->txn, c->table, c->no, row->values, false);
}

static STATUS copy_tables(Ctx *cx, Copy *c)
{
    Catalog *cat = c->v->catalog;
    Status st = ST_OK;
    for (unsigned t = 0; st == ST_OK && t < CAT_TABLE_COUNT; t++) {
        if (cat_table_defs[t].shared) {
            continue;
        }
        c->no = (CatTableNo)t;
        st = database_create_table(cx, cat, c->v->txn, c->to, c->no);
        if (st == ST_OK) {
            st = table_handles(cx, cat, c->to, c->no, &c->table);
        }
        if (st == ST_OK) {
            st = cat_scan(cx, c->from, c->no, copy_row, c);
        }
    }
    return st;
}

typedef struct NoteStorage {
    Ctx *cx;
    CatView *v;
    Oid database;
} NoteStorage;

static Status note_storage(void *arg, Oid relid, const CatStorage *s)
{
    NoteStorage *n = arg;
    return storage_add(n->cx, n->v, n->database, relid, s, TS_NONE, NULL);
}

static STATUS database_row(Ctx *cx, CatView *v, Oid oid, Str name, Oid owner)
{
    HeapValue r[CAT_COLUMNS_MAX];
    for (unsigned i = 0; i < v->catalog->columns[CAT_pg_database].n; i++) {
        r[i] = heap_null();
    }
    r[pg_database_oid] = cat_oid(oid);
    r[pg_database_datname] = cat_str(name);
    r[pg_database_datdba] = cat_oid(owner);
    r[pg_database_encoding] = cat_int4(6); /* UTF8 */
    r[pg_database_datlocprovider] = cat_char('c');
    r[pg_database_datistemplate] = cat_bool(false);
    r[pg_database_datallowconn] = cat_bool(true);
    r[pg_database_datconnlimit] = cat_int4(-1);
    r[pg_database_datfrozenxid] = cat_oid(3);
    r[pg_database_datminmxid] = cat_oid(1);
    r[pg_database_dattablespace] = cat_oid(OID_PG_DEFAULT);
    r[pg_database_datcollate] = cat_text("C");
    r[pg_database_datctype] = cat_text("C");
    return cat_insert(cx, v, CAT_pg_database, r);
}

static STATUS copy_database(Ctx *cx, CatView *v, Oid template_db, Oid oid)
{
    CatView from;
    CatDatabase *to = mem_alloc0(v->catalog->budget, sizeof *to);
    if (to == NULL) {
        return ctx_nomem(cx, sizeof *to);
    }
    to->oid = oid;
    Status st = catalog_view_init(cx, v->catalog, template_db, v->role, &from);
    if (st == ST_OK) {
        catalog_view_begin(&from, v->txn); /* the same transaction; it ends through `v` */
        Copy c = {.v = v, .from = &from, .to = to};
        st = copy_tables(cx, &c);
        from.txn = NULL;
        catalog_view_done(&from);
    }
    if (st == ST_OK) {
        NoteStorage n = {cx, v, oid};
        st = database_each_storage(v->catalog, to, note_storage, &n);
    }
    database_free(v->catalog, to);
    return st;
}

STATUS catalog_create_database(Ctx *cx, CatView *v, Str name, Oid template_db, Oid owner, Oid *out_oid)
{
    CatObject o;
    Status st = check_name(cx, name);
    if (st == ST_OK) {
        st = catalog_object_named(cx, v, CAT_DATABASE, 0, name, &o);
    }
    if (st == ST_OK && o.oid != 0) {
        st = err_set(cx->err, ST_DUPLICATE_DATABASE, "database \"%.*s\" already exists", (int)name.len, name.p);
    }
    if (st == ST_OK) {
        st = catalog_new_oid(cx, v->catalog, out_oid);
    }
    if (st == ST_OK) {
        st = database_row(cx, v, *out_oid, name, owner);
    }
    return st == ST_OK ? copy_database(cx, v, template_db, *out_oid) : st;
}

STATUS catalog_drop_database(Ctx *cx, CatView *v, Oid oid)
{
    CatRowSet set;
    HeapValue key = cat_oid(oid);
    if (oid < OID_FIRST_NORMAL && oid != OID_POSTGRES_DB) {
        return err_set(cx->err, ST_WRONG_OBJECT_TYPE, "cannot drop a template database");
    }
    Status st = cat_find(cx, v, rdb_storage_relation_index, &key, 1, &set);
    for (uint32_t i = 0; st == ST_OK && i < set.n; i++) {
        const HeapValue *r = set.rows[i].values;
        st = txn_drop_object(cx, v->txn, (ObjectRef){{r[rdb_storage_object].u64}, {r[rdb_storage_header].u64}});
        if (st == ST_OK) {
            st = cat_delete(cx, v, CAT_rdb_storage, &set.rows[i]);
        }
    }
    return st == ST_OK ? delete_where(cx, v, pg_database_oid_index, &key, 1) : st;
}
