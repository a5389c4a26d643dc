/*
 * bind/catalog.c: BindCatalog over a view of the real catalog.
 */
#include "bind/bind.h"

static Status relation(void *arg, Ctx *cx, Str schema, Str name, LockMode mode, const CatRelation **out_rel)
{
    CatRelation *rel;
    Status st = catalog_open_relation(cx, arg, schema, name, mode, &rel);
    if (st == ST_OK) {
        *out_rel = rel;
    }
    return st;
}

static void release(void *arg, const CatRelation *rel)
{
    (void)arg;
    catalog_release((CatRelation *)(uintptr_t)rel); /* only the reference count changes */
}

static Status type(void *arg, Ctx *cx, Str schema, Str name, Oid *out_oid)
{
    CatView *v = arg;
    CatObject object = {.oid = 0};
    if (schema.p != NULL) {
        Oid oid;
        Status st = catalog_schema(cx, v, schema, &oid);
        st = st != ST_OK ? st : catalog_object_named(cx, v, CAT_TYPE, oid, name, &object);
        *out_oid = object.oid;
        return st;
    }
    for (unsigned i = 0; i < v->n_path && object.oid == 0; i++) {
        Status st = catalog_object_named(cx, v, CAT_TYPE, v->path[i], name, &object);
        if (st != ST_OK) {
            return st;
        }
    }
    *out_oid = object.oid;
    return ST_OK;
}

BindCatalog bind_catalog(CatView *view)
{
    return (BindCatalog){.arg = view, .relation = relation, .release = release, .type = type};
}
