/*
 * catalog/storage_row.c: rows of rdb_storage: where a relation has its pages.
 */
#include "catalog/catalog_int.h"

STATUS storage_find(Ctx *cx, CatView *v, Oid database, Oid relid, StorageRow *out)
{
    HeapValue key[2] = {cat_oid(database), cat_oid(relid)};
    Status st = cat_find_one(cx, v, rdb_storage_relation_index, key, 2, &out->row);
    if (st != ST_OK) {
        return st;
    }
    const HeapValue *r = out->row.values;
    if (r == NULL) {
        return ST_NOT_FOUND;
    }
    out->storage = (CatStorage){.object = {{r[rdb_storage_object].u64}, {r[rdb_storage_header].u64}},
                                .root = {r[rdb_storage_root].u64}};
    out->valid_from = (Ts){r[rdb_storage_valid_from].u64};
    return shape_decode(cx, cx->arena, &r[rdb_storage_layouts], &out->shape);
}

static STATUS make_row(Ctx *cx, Oid database, Oid relid, const CatStorage *s, Ts valid_from, const Shape *shape,
                       HeapValue *row)
{
    row[rdb_storage_dbid] = cat_oid(database);
    row[rdb_storage_relid] = cat_oid(relid);
    row[rdb_storage_object] = heap_i64((int64_t)s->object.id.v);
    row[rdb_storage_header] = heap_i64((int64_t)s->object.header.v);
    row[rdb_storage_root] = heap_i64((int64_t)s->root.v);
    row[rdb_storage_valid_from] = heap_i64((int64_t)valid_from.v);
    row[rdb_storage_layouts] = heap_null();
    return shape == NULL ? ST_OK : shape_encode(cx, cx->arena, shape, &row[rdb_storage_layouts]);
}

STATUS storage_add(Ctx *cx, CatView *v, Oid database, Oid relid, const CatStorage *s, Ts valid_from, const Shape *shape)
{
    HeapValue row[CAT_COLUMNS_MAX];
    Status st = make_row(cx, database, relid, s, valid_from, shape, row);
    return st == ST_OK ? cat_insert(cx, v, CAT_rdb_storage, row) : st;
}

STATUS storage_replace(Ctx *cx, CatView *v, const StorageRow *old, const CatStorage *s, Ts valid_from,
                       const Shape *shape)
{
    HeapValue row[CAT_COLUMNS_MAX];
    const HeapValue *r = old->row.values;
    Status st =
        make_row(cx, cat_get_oid(&r[rdb_storage_dbid]), cat_get_oid(&r[rdb_storage_relid]), s, valid_from, shape, row);
    return st == ST_OK ? cat_update(cx, v, CAT_rdb_storage, &old->row, row) : st;
}

/* Also frees the pages, once the transaction has committed and nobody can see them. */
STATUS storage_drop(Ctx *cx, CatView *v, Oid database, Oid relid)
{
    StorageRow row;
    Status st = storage_find(cx, v, database, relid, &row);
    if (st == ST_NOT_FOUND) {
        return ST_OK; /* a view has none */
    }
    if (st == ST_OK) {
        st = cat_delete(cx, v, CAT_rdb_storage, &row.row);
    }
    return st == ST_OK ? txn_drop_object(cx, v->txn, row.storage.object) : st;
}
