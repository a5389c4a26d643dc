/*
 * catalog/catalog_int.h: shared by the files of this folder.
 */
#ifndef RDB_CATALOG_INT_H
#define RDB_CATALOG_INT_H

#include "catalog/catalog.h"
#include "os/thread.h"

/* ---- catalog tables as handles ---- */

typedef struct CatStorage {
    ObjectRef object;
    PageId root; /* of an index */
} CatStorage;

/* A catalog table of one database, opened at first use. */
typedef struct CatTable {
    TxnTable *_Atomic heap;
    BTree *_Atomic index[CAT_TABLE_INDEXES_MAX];
    CatStorage storage;
    CatStorage index_storage[CAT_TABLE_INDEXES_MAX];
} CatTable;

typedef struct CatDatabase {
    Oid oid; /* 0: the shared tables */
    CatTable tables[CAT_TABLE_COUNT];
} CatDatabase;

/* Physical definition of a catalog table. */
typedef struct CatShape {
    HeapColumn columns[CAT_COLUMNS_MAX];
    ValueType types[CAT_COLUMNS_MAX];
    HeapLayout layout;
    const HeapLayout *layouts[1];
    HeapShape shape;
    CatKeyColumn keys[CAT_TABLE_INDEXES_MAX][CAT_KEYS_MAX];
} CatShape;

/* ---- the cache: cache.c ---- */

/* ENTRY_OBJECT and ENTRY_OBJECT_NAME: one kind for each CatKind, by adding it. */
typedef enum CatEntryKind { ENTRY_RELATION = 1, ENTRY_NAME = 2, ENTRY_OBJECT = 8, ENTRY_OBJECT_NAME = 16 } CatEntryKind;

/* The key: a relation by OID, a relation's name in a schema; another object by OID, or by name and (types) schema. */
typedef struct CatKey {
    uint8_t kind; /* CatEntryKind */
    Oid database;
    Oid oid; /* by name: the schema, or 0 */
    Str name;
} CatKey;

struct CatEntry {
    EpochNode node; /* first */
    struct Catalog *catalog;
    CatEntry *_Atomic next;
    _Atomic uint32_t refs;
    uint64_t hash;
    uint8_t kind;
    Oid database;
    Oid oid;
    size_t bytes;     /* of this allocation */
    Oid found;        /* ENTRY_NAME: the relation's OID, 0 = there is none */
    CatObject object; /* ENTRY_OBJECT...: its oid is 0 when there is none */
    Arena arena;      /* ENTRY_RELATION: all that rel points to */
    CatRelation rel;
    uint16_t name_len;
    char name[]; /* ENTRY_NAME */
};

enum { CACHE_BUCKETS = 1024, CACHE_CHAIN_MAX = 16 };
typedef struct CacheBucket {
    SpinLock lock; /* RANK_LEAF: writers of the chain */
    CatEntry *_Atomic head;
    _Atomic uint64_t seq;     /* bumped by every invalidation */
    _Atomic uint32_t blocked; /* commits underway that change something here: nothing is cached meanwhile */
} CacheBucket;

struct Catalog {
    Budget *budget;
    Vfs *vfs;
    TxnSystem *ts;
    Epoch *epoch;
    CatShape shapes[CAT_TABLE_COUNT];
    CatSpan columns[CAT_TABLE_COUNT];
    CatSpan indexes[CAT_TABLE_COUNT];
    Mutex databases_mutex; /* RANK_LEAF: `databases`; nothing else happens under it */
    U64Map databases;      /* OID -> CatDatabase */
    CatDatabase *shared;
    CacheBucket buckets[CACHE_BUCKETS];
    _Atomic uint64_t version; /* of the last relation loaded */
    Mutex oid_mutex;          /* RANK_CATALOG_CACHE: next_oid, oid_end; held while more are reserved */
    uint64_t next_oid;
    uint64_t oid_end;
    _Atomic bool ready; /* the catalog is open: purge may ask */
    /* What purge asked for last: a catalog table, or another relation. Purge passes come one at a time. */
    CatTableNo purge_no;
    CatDatabase *purge_db;
    CatRelation *purge_rel;
};

uint64_t cache_hash(const CatKey *k);
/* A reference to the cached entry, NULL = not cached. *out_seq is for cache_put. */
CatEntry *cache_get(Catalog *c, const CatKey *k, uint64_t hash, uint64_t *out_seq);
/* Offers an entry made by a snapshot taken after cache_get: kept (one reference more) unless somebody invalidated meanwhile. */
void cache_put(Catalog *c, CatEntry *e, uint64_t seq);
CatEntry *cache_entry_new(Catalog *c, const CatKey *k);
void cache_release(CatEntry *e);
void cache_block(Catalog *c, uint64_t hash);
void cache_unblock(Catalog *c, uint64_t hash);
void cache_init(Catalog *c);
void cache_done(Catalog *c);
/* Notes that this view's transaction changes what the key names. */
STATUS cat_changed(Ctx *cx, CatView *v, const CatKey *k);
STATUS cat_changed_relation(Ctx *cx, CatView *v, Oid oid);
STATUS cat_changed_name(Ctx *cx, CatView *v, Oid schema, Str name);
/* Key of a small object: `oid` of the object, or of the schema when there is a name. */
CatKey object_key(const CatView *v, CatKind kind, Oid oid, Str name);
void view_forget(CatView *v);
/* The entry of a key, made by `load` if need be. */
typedef Status CatLoad(Ctx *cx, CatView *v, CatEntry *e);
STATUS cat_entry(Ctx *cx, CatView *v, const CatKey *k, CatLoad *load, CatEntry **out_entry);

void catalog_close(Catalog *c);

/* ---- tables: table.c ---- */

STATUS shapes_init(Catalog *c, Error *err);
STATUS database_get(Ctx *cx, Catalog *c, Oid oid, CatDatabase **out_db);
STATUS database_fill(Ctx *cx, Catalog *c, CatView *v, CatDatabase *db); /* where its tables are, from rdb_storage */
void database_free(Catalog *c, CatDatabase *db);
STATUS database_create_table(Ctx *cx, Catalog *c, Txn *t, CatDatabase *db, CatTableNo no);
STATUS database_each_storage(Catalog *c, CatDatabase *db, Status (*fn)(void *arg, Oid relid, const CatStorage *s),
                             void *arg);
STATUS table_handles(Ctx *cx, Catalog *c, CatDatabase *db, CatTableNo t, CatTable **out_table);
/* Inserts with index entries; `check` unique. No command change. */
STATUS table_insert(Ctx *cx, Catalog *c, Txn *t, CatTable *tab, CatTableNo no, const HeapValue *values, bool check);
/* A transaction of the catalog's own, ended by internal_end. */
STATUS internal_begin(Ctx *cx, Catalog *c, Oid database, CatView *out_view);
STATUS internal_end(Ctx *cx, CatView *v, Status so_far);

/* ---- shapes of user tables: shape.c ---- */

typedef struct ShapeColumn {
    int16_t attnum; /* 0 = a number that an aborted ADD COLUMN used up */
    uint8_t width;
    HeapValue fill;
} ShapeColumn;
typedef struct Shape {
    uint16_t n_columns;
    ShapeColumn *columns;
    uint16_t n_layouts;
    uint32_t *layout_ids;
    uint16_t *layout_columns;
} Shape;
unsigned width_of_phys(unsigned phys);
STATUS shape_encode(Ctx *cx, Arena *a, const Shape *s, HeapValue *out_bytes);
STATUS shape_decode(Ctx *cx, Arena *a, const HeapValue *bytes, Shape *out);
/* The HeapShape in the arena; columns for which dropped[attnum] are marked so. */
STATUS shape_build(Ctx *cx, Arena *a, const Shape *s, const bool *dropped, HeapShape *out);

/* ---- storage rows: storage_row.c ---- */

typedef struct StorageRow {
    CatRow row;
    CatStorage storage;
    Ts valid_from;
    Shape shape; /* empty for indexes */
} StorageRow;
STATUS storage_find(Ctx *cx, CatView *v, Oid database, Oid relid, StorageRow *out); /* ST_NOT_FOUND */
STATUS storage_add(Ctx *cx, CatView *v, Oid database, Oid relid, const CatStorage *s, Ts valid_from,
                   const Shape *shape);
STATUS storage_replace(Ctx *cx, CatView *v, const StorageRow *old, const CatStorage *s, Ts valid_from,
                       const Shape *shape);
STATUS storage_drop(Ctx *cx, CatView *v, Oid database, Oid relid);

/* ---- ddl ---- */

STATUS depend_add(Ctx *cx, CatView *v, Oid class_id, Oid oid, int32_t sub, Oid ref_class, Oid ref, int32_t ref_sub,
                  char type);
STATUS depend_drop(Ctx *cx, CatView *v, Oid class_id, Oid oid);
/* Deletes all rows whose first index columns equal the keys. */
STATUS delete_where(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys);
STATUS check_name(Ctx *cx, Str name);
STATUS type_pair_create(Ctx *cx, CatView *v, Oid relation, Oid schema, Str name, Oid *out_type);
STATUS attribute_add(Ctx *cx, CatView *v, Oid rel, int16_t attnum, Str name, const ValueType *t, bool not_null,
                     bool has_default);
STATUS class_add(Ctx *cx, CatView *v, Oid oid, Oid schema, Str name, Oid row_type, Oid method, char kind,
                 unsigned n_columns);
STATUS default_set(Ctx *cx, CatView *v, Oid rel, int16_t attnum, Str text);
STATUS index_drop(Ctx *cx, CatView *v, Oid oid);
STATUS constraint_delete(Ctx *cx, CatView *v, const CatRow *row);
STATUS class_drop(Ctx *cx, CatView *v, const CatRelation *rel);
STATUS class_update(Ctx *cx, CatView *v, Oid oid, unsigned column, HeapValue value);

#endif
