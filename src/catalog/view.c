/*
 * catalog/view.c: the engine's Catalog and the views of transactions on it: open, databases, begin, commit, abort, OIDs.
 */
#include "catalog/catalog_int.h"

enum { OID_BATCH = 256, COUNTER_OID = 1 };

STATUS catalog_new(Budget *budget, Vfs *vfs, Error *err, Catalog **out_catalog)
{
    Catalog *c = mem_alloc0(budget, sizeof *c);
    if (c == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    c->budget = budget;
    c->vfs = vfs;
    cache_init(c);
    mutex_init(&c->databases_mutex, RANK_LEAF);
    mutex_init(&c->oid_mutex, RANK_CATALOG_CACHE);
    u64map_init(&c->databases, budget);
    Status st = epoch_new(budget, err, &c->epoch);
    if (st == ST_OK) {
        st = shapes_init(c, err);
    }
    if (st != ST_OK) {
        catalog_free(c);
        return st;
    }
    *out_catalog = c;
    return ST_OK;
}

/*
 * Lets go of everything that rests on the store: the last thing that txn_close does above it, because until then purge may
 * ask for tables.
 */
void catalog_close(Catalog *c)
{
    size_t cursor = 0;
    uint64_t oid, db;
    atomic_store_explicit(&c->ready, false, memory_order_release);
    catalog_release(c->purge_rel);
    c->purge_rel = NULL;
    epoch_free(c->epoch); /* runs what was retired */
    c->epoch = NULL;
    cache_done(c);
    while (u64map_next(&c->databases, &cursor, &oid, &db)) {
        database_free(c, (CatDatabase *)(uintptr_t)db);
    }
    u64map_done(&c->databases);
    database_free(c, c->shared);
    c->shared = NULL;
    c->ts = NULL;
}

void catalog_free(Catalog *c)
{
    if (c == NULL) {
        return;
    }
    if (c->epoch != NULL) {
        catalog_close(c); /* there was no txn_close */
    }
    mutex_done(&c->databases_mutex);
    mutex_done(&c->oid_mutex);
    mem_free(c->budget, c, sizeof *c);
}

TxnSystem *catalog_txns(Catalog *c)
{
    return c->ts;
}

/* ---- databases ---- */

/* Storage of a catalog table or index, from rows of rdb_storage ordered by relation OID. */
static bool storage_of(const CatRowSet *set, Oid relid, CatStorage *out)
{
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (cat_get_oid(&set->rows[mid].values[rdb_storage_relid]) < relid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == set->n || cat_get_oid(&set->rows[low].values[rdb_storage_relid]) != relid) {
        return false;
    }
    const HeapValue *r = set->rows[low].values;
    *out = (CatStorage){.object = {{r[rdb_storage_object].u64}, {r[rdb_storage_header].u64}},
                        .root = {r[rdb_storage_root].u64}};
    return true;
}

STATUS database_fill(Ctx *cx, Catalog *c, CatView *v, CatDatabase *db)
{
    CatRowSet set;
    HeapValue key = cat_oid(db->oid);
    Status st = cat_find(cx, v, rdb_storage_relation_index, &key, 1, &set);
    if (st == ST_OK && set.n == 0) {
        return err_set(cx->err, ST_INVALID_CATALOG_NAME, "database with OID %u does not exist", db->oid);
    }
    for (unsigned t = 0; st == ST_OK && t < CAT_TABLE_COUNT; t++) {
        if (cat_table_defs[t].shared != (db->oid == 0) || t == CAT_rdb_storage) {
            continue;
        }
        bool found = storage_of(&set, cat_table_defs[t].oid, &db->tables[t].storage);
        for (unsigned x = 0; x < c->indexes[t].n; x++) {
            found =
                found && storage_of(&set, cat_index_defs[c->indexes[t].first + x].oid, &db->tables[t].index_storage[x]);
        }
        if (!found) {
            st = err_set(cx->err, ST_CORRUPTED, "catalog table \"%s\" of database %u has no storage",
                         cat_table_defs[t].name, db->oid);
        }
    }
    return st;
}

static CatDatabase *database_known(Catalog *c, Oid oid)
{
    uint64_t at = 0;
    mutex_lock(&c->databases_mutex);
    (void)u64map_get(&c->databases, oid, &at);
    mutex_unlock(&c->databases_mutex);
    return (CatDatabase *)(uintptr_t)at;
}

STATUS database_get(Ctx *cx, Catalog *c, Oid oid, CatDatabase **out_db)
{
    CatView v;
    *out_db = database_known(c, oid);
    if (*out_db != NULL) {
        return ST_OK;
    }
    CatDatabase *db = mem_alloc0(c->budget, sizeof *db);
    if (db == NULL) {
        return ctx_nomem(cx, sizeof *db);
    }
    db->oid = oid;
    Status st = internal_begin(cx, c, 0, &v);
    if (st == ST_OK) {
        st = internal_end(cx, &v, database_fill(cx, c, &v, db));
    }
    mutex_lock(&c->databases_mutex);
    uint64_t other;
    bool first = !u64map_get(&c->databases, oid, &other);
    if (st == ST_OK && first && !u64map_put(&c->databases, oid, (uintptr_t)db)) {
        st = ctx_nomem(cx, sizeof *db);
    }
    mutex_unlock(&c->databases_mutex);
    if (st != ST_OK || !first) {
        database_free(c, db);
        db = first ? NULL : (CatDatabase *)(uintptr_t)other;
    }
    *out_db = db;
    return st;
}

/* ---- views ---- */

STATUS catalog_view_init(Ctx *cx, Catalog *c, Oid database, Oid role, CatView *out_view)
{
    static const Oid default_path[] = {OID_PG_CATALOG, OID_PUBLIC};
    *out_view = (CatView){.catalog = c, .database = database, .role = role, .path = default_path, .n_path = 2};
    u64map_init(&out_view->changed, c->budget);
    u64map_init(&out_view->local, c->budget);
    return database == 0 ? ST_OK : database_get(cx, c, database, &out_view->db);
}

void catalog_view_done(CatView *v)
{
    ASSERT(v->txn == NULL);
    u64map_done(&v->changed);
    u64map_done(&v->local);
}

void catalog_view_begin(CatView *v, Txn *t)
{
    ASSERT(v->txn == NULL && v->changed.count == 0 && v->local.count == 0);
    v->txn = t;
}

static void each_changed(CatView *v, void (*fn)(Catalog *c, uint64_t hash))
{
    size_t cursor = 0;
    uint64_t hash, ignored;
    while (u64map_next(&v->changed, &cursor, &hash, &ignored)) {
        fn(v->catalog, hash);
    }
}

static void view_ended(CatView *v)
{
    view_forget(v);
    u64map_clear(&v->changed);
    v->txn = NULL;
}

STATUS catalog_commit(Ctx *cx, CatView *v, Lsn *out_gate)
{
    each_changed(v, cache_block);
    SYNC_POINT("catalog.blocked");
    Status st = txn_commit(cx, v->txn, out_gate);
    SYNC_POINT("catalog.committed");
    each_changed(v, cache_unblock);
    if (st == ST_OK) {
        view_ended(v);
    }
    return st;
}

Status catalog_abort(Ctx *cx, CatView *v)
{
    view_forget(v);
    Status st = txn_abort(cx, v->txn);
    view_ended(v);
    return st;
}

void catalog_rolled_back(CatView *v)
{
    view_forget(v); /* `changed` stays: those keys are read from the tables until the end, which is right and rare */
}

/* ---- OIDs ---- */

/*
 * OIDs are reserved in batches by transactions of their own. They need not be durable before an OID is used: the user's
 * transaction commits later in the same log, so if it survives, so does the reservation.
 */
static STATUS reserve_oids(Ctx *cx, Catalog *c, CatView *v)
{
    CatRow row;
    HeapValue key = cat_int4(COUNTER_OID), next[2];
    Status st = cat_find_one(cx, v, rdb_counter_id_index, &key, 1, &row);
    if (st != ST_OK) {
        return st;
    }
    uint64_t from = row.values != NULL ? row.values[rdb_counter_value].u64 : OID_FIRST_NORMAL;
    if (from > UINT32_MAX - OID_BATCH) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "no object identifiers are left");
    }
    next[rdb_counter_id] = key;
    next[rdb_counter_value] = heap_i64((int64_t)(from + OID_BATCH));
    st = row.values != NULL ? cat_update(cx, v, CAT_rdb_counter, &row, next) : cat_insert(cx, v, CAT_rdb_counter, next);
    if (st == ST_OK) {
        c->next_oid = from;
        c->oid_end = from + OID_BATCH;
    }
    return st;
}

STATUS catalog_new_oid(Ctx *cx, Catalog *c, Oid *out_oid)
{
    Status st = ST_OK;
    mutex_lock(&c->oid_mutex);
    if (c->next_oid == c->oid_end) {
        CatView v;
        uint64_t old_next = c->next_oid, old_end = c->oid_end;
        st = internal_begin(cx, c, 0, &v);
        if (st == ST_OK) {
            st = internal_end(cx, &v, reserve_oids(cx, c, &v));
        }
        if (st != ST_OK) { /* the commit may have failed after the batch was noted */
            c->next_oid = old_next;
            c->oid_end = old_end;
        }
    }
    if (st == ST_OK) {
        *out_oid = (Oid)c->next_oid++;
    }
    mutex_unlock(&c->oid_mutex);
    return st;
}
