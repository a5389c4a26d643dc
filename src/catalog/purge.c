/*
 * catalog/purge.c: what purge asks: the shape and the index keys of a table, by its storage object.
 *
 * rdb_storage is looked up by object id as newest committed. An object that is not in it belongs to a table that was dropped or
 * truncated: nothing to purge. Purge passes come one at a time, so the relation that `shape` answered may be kept for
 * the `purge_keys` that follows.
 */
#include "catalog/catalog_int.h"

typedef struct Owner {
    Oid database;
    Oid relid;
} Owner;

static STATUS find_owner(Ctx *cx, CatView *v, ObjectRef table, Owner *out)
{
    CatRow row;
    HeapValue key = heap_i64((int64_t)table.id.v);
    Status st = cat_find_one(cx, v, rdb_storage_object_index, &key, 1, &row);
    if (st == ST_OK && row.values == NULL) {
        st = ST_NOT_FOUND;
    }
    if (st == ST_OK) {
        *out = (Owner){cat_get_oid(&row.values[rdb_storage_dbid]), cat_get_oid(&row.values[rdb_storage_relid])};
    }
    return st;
}

/* Sets the catalog's purge_* to what the object is. */
static STATUS resolve(Ctx *cx, Catalog *c, ObjectRef table)
{
    CatView v;
    Owner owner;
    c->purge_no = CAT_TABLE_COUNT;
    catalog_release(c->purge_rel);
    c->purge_rel = NULL;
    Status st = internal_begin(cx, c, 0, &v);
    if (st != ST_OK) {
        return st;
    }
    st = find_owner(cx, &v, table, &owner);
    if (st == ST_OK) {
        v.database = owner.database;
        st = owner.database == 0 ? ST_OK : database_get(cx, c, owner.database, &v.db);
    }
    if (st == ST_OK) {
        c->purge_no = cat_table_number(owner.relid);
        c->purge_db = owner.database == 0 ? c->shared : v.db;
        if (c->purge_no == CAT_TABLE_COUNT) {
            st = catalog_relation(cx, &v, owner.relid, &c->purge_rel);
            st = st == ST_UNDEFINED_TABLE ? ST_NOT_FOUND : st;
        }
    }
    Status end = internal_end(cx, &v, ST_OK);
    return st != ST_OK ? st : end;
}

/* Purge's context may have no arena, or one that outlives many rows. */
static STATUS with_arena(Ctx *cx, Catalog *c, ObjectRef table)
{
    Arena arena;
    Ctx sub = *cx;
    arena_init(&arena, c->budget, 16384);
    sub.arena = &arena;
    Status st = resolve(&sub, c, table);
    arena_done(&arena);
    return st;
}

static Status hook_shape(void *arg, Ctx *cx, ObjectRef table, const HeapShape **out_shape)
{
    Catalog *c = arg;
    /* acquire: all of the catalog was written before. Until then purge keeps what it has and comes again. */
    if (!atomic_load_explicit(&c->ready, memory_order_acquire)) {
        return err_set(cx->err, ST_OBJECT_NOT_IN_PREREQUISITE_STATE, "the catalog is not open yet");
    }
    Status st = with_arena(cx, c, table);
    if (st == ST_OK) {
        *out_shape = c->purge_rel != NULL ? &c->purge_rel->shape : &c->shapes[c->purge_no].shape;
    }
    return st;
}

typedef Status PurgeEntry(void *entry_arg, Ctx *cx, BTree *index, BTreeBytes key);

/* Values of indexed columns as cat_key_append wants them: long ones are fetched. */
static STATUS present(Ctx *cx, Txn *t, TxnTable *heap, const HeapValue *from, HeapValue *out)
{
    *out = *from;
    return out->state == HEAP_OVERFLOW ? txn_fetch_overflow(cx, t, heap, out, cx->arena) : ST_OK;
}

typedef struct PurgeIndex {
    BTree *tree;
    const CatKeyColumn *columns;
    unsigned n;
} PurgeIndex;

static STATUS purge_index(Ctx *cx, Txn *t, TxnTable *heap, const TxnPurgeRow *row, const PurgeIndex *x, StrBuf *key,
                          PurgeEntry *entry, void *entry_arg)
{
    strbuf_reset(key);
    for (unsigned k = 0; k < x->n; k++) {
        HeapValue value;
        uint16_t at = x->columns[k].physical;
        Status st = present(cx, t, heap, &row->values[at], &value);
        if (st != ST_OK) {
            return st;
        }
        cat_key_append(&x->columns[k], &value, key);
    }
    if (key->failed) {
        return ctx_nomem(cx, key->len);
    }
    return entry(entry_arg, cx, x->tree, (BTreeBytes){(const uint8_t *)key->p, (uint32_t)key->len});
}

static STATUS purge_catalog_row(Ctx *cx, Catalog *c, Txn *t, const TxnPurgeRow *row, StrBuf *key, PurgeEntry *entry,
                                void *entry_arg)
{
    CatTable *tab;
    Status st = table_handles(cx, c, c->purge_db, c->purge_no, &tab);
    for (unsigned x = 0; st == ST_OK && x < c->indexes[c->purge_no].n; x++) {
        PurgeIndex pi = {tab->index[x], c->shapes[c->purge_no].keys[x],
                         cat_index_defs[c->indexes[c->purge_no].first + x].n_keys};
        st = purge_index(cx, t, tab->heap, row, &pi, key, entry, entry_arg);
    }
    return st;
}

static STATUS purge_user_row(Ctx *cx, const CatRelation *rel, Txn *t, const TxnPurgeRow *row, StrBuf *key,
                             PurgeEntry *entry, void *entry_arg)
{
    Status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < rel->n_indexes; i++) {
        const CatIndex *x = &rel->indexes[i];
        for (unsigned k = 0; k < x->n_keys; k++) {
            if (x->columns[k].attnum == 0) {
                return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "index \"%s\" of \"%s\" is on an expression", x->name,
                               rel->name);
            }
        }
        PurgeIndex pi = {x->tree, x->columns, x->n_keys};
        st = purge_index(cx, t, rel->table, row, &pi, key, entry, entry_arg);
    }
    return st;
}

static Status hook_purge_keys(void *arg, Ctx *cx, const TxnPurgeRow *row, PurgeEntry *entry, void *entry_arg)
{
    Catalog *c = arg;
    CatView v;
    Arena arena;
    StrBuf key;
    Ctx sub = *cx;
    arena_init(&arena, c->budget, 4096);
    sub.arena = &arena;
    strbuf_init(&key, c->budget);
    Status st = internal_begin(&sub, c, 0, &v);
    if (st == ST_OK) {
        st = c->purge_rel != NULL ? purge_user_row(&sub, c->purge_rel, v.txn, row, &key, entry, entry_arg)
                                  : purge_catalog_row(&sub, c, v.txn, row, &key, entry, entry_arg);
        Status end = internal_end(&sub, &v, ST_OK);
        st = st != ST_OK ? st : end;
    }
    strbuf_done(&key);
    arena_done(&arena);
    return st;
}

static void hook_closing(void *arg)
{
    catalog_close(arg);
}

TxnHooks catalog_hooks(Catalog *c)
{
    return (TxnHooks){.arg = c, .shape = hook_shape, .purge_keys = hook_purge_keys, .closing = hook_closing};
}

/* ---- verification ---- */

typedef struct Known {
    U64Map *objects;
} Known;

static Status note_object(void *arg, Ctx *cx, const CatRow *row)
{
    Known *k = arg;
    return u64map_put(k->objects, row->values[rdb_storage_object].u64, row->values[rdb_storage_header].u64)
               ? ST_OK
               : ctx_nomem(cx, sizeof *row);
}

STATUS catalog_known_objects(Ctx *cx, Catalog *c, U64Map *io_objects)
{
    CatView v;
    Known k = {io_objects};
    Status st = internal_begin(cx, c, 0, &v);
    if (st != ST_OK) {
        return st;
    }
    return internal_end(cx, &v, cat_scan(cx, &v, CAT_rdb_storage, note_object, &k));
}
