/*
 * catalog/catalog.h: what exists in the databases: schemas, tables, columns, indexes, constraints, types, roles.
 *
 * Key idea: the catalogs are ordinary tables with ordinary indexes, with PostgreSQL's names, columns and OIDs. One set
 * belongs to each database, some tables are shared by all. Whoever needs a relation gets an immutable object made from
 * their rows; committed ones are cached engine-wide, found without a lock.
 *
 * Terms
 *   view      what one transaction sees of the catalogs of one database: newest committed + own changes (CatView)
 *   relation  a table, index or system view as an immutable, reference-counted object (CatRelation)
 *   attnum    number of a column as SQL knows it, from 1; its physical number is its place in a HeapLayout
 *
 * Reading is by a snapshot of now, not by the statement's (txn_fresh_begin). So a name means what it means now; that it goes
 * on meaning it is assured by a table lock, taken by catalog_open, which looks again after it has waited.
 *
 * Threads: a Catalog may be used by all threads, a CatView by one at a time. Functions take no lock that outlives them but
 * those they say.
 */
#ifndef RDB_CATALOG_CATALOG_H
#define RDB_CATALOG_CATALOG_H

#include "access/btree.h"
#include "access/heap.h"
#include "base/ctx.h"
#include "base/map.h"
#include "catalog/facts.h"
#include "txn/txn.h"
#include "types/func.h"
#include "types/registry.h"

typedef struct Catalog Catalog;
typedef struct CatView CatView;

enum { CAT_NAME_MAX = 63 };        /* bytes of a name */
enum { OID_FIRST_NORMAL = 16384 }; /* objects of users start here */
enum { OID_ADMIN = 10, OID_PG_CATALOG = 11, OID_INFORMATION_SCHEMA_MIN = 13000, OID_PUBLIC = 2200 };
enum { OID_TEMPLATE1 = 1, OID_POSTGRES_DB = 5 };
enum { OID_PG_DEFAULT = 1663, OID_PG_GLOBAL = 1664 };
enum { METHOD_HEAP = 2 };

/* ---- the engine's catalog ---- */

/*
 * The Catalog is made before txn_open, because the transaction system needs its hooks for purge, and attached afterwards:
 *     catalog_new; catalog_hooks -> txn_open; catalog_bootstrap (fresh directory) or nothing; catalog_open; txn_sweep
 */
STATUS catalog_new(Budget *budget, Vfs *vfs, Error *err, Catalog **out_catalog);
/* After txn_close, before which no view and no relation may be left (it closes the catalog through its hooks). NULL is allowed. */
void catalog_free(Catalog *c);
TxnHooks catalog_hooks(Catalog *c);

/* Is there a catalog in this directory? (The root file is written last, so a half bootstrapped directory has none.) */
STATUS catalog_exists(Catalog *c, Error *err, bool *out_exists);
/*
 * Creates all catalog tables, indexes and rows of databases template1 and postgres in one transaction, waits for its
 * durability and then writes the root file. `admin` is the name of the superuser (OID 10).
 */
STATUS catalog_bootstrap(Ctx *cx, Catalog *c, TxnSystem *ts, const char *admin);
/* ST_FILE_NOT_FOUND: nothing was bootstrapped. ST_CORRUPTED, ST_FEATURE_NOT_SUPPORTED (other format). */
STATUS catalog_open(Ctx *cx, Catalog *c, TxnSystem *ts);
TxnSystem *catalog_txns(Catalog *c);

/* ---- views ---- */

/*
 * The state of one transaction towards the catalogs. A session keeps one for its database and begins it with each transaction.
 * Every transaction that had a view ends through catalog_commit or catalog_abort.
 */
struct CatView {
    Catalog *catalog;
    struct CatDatabase *db;
    Txn *txn;
    Oid database;
    Oid role;        /* owner of what is created */
    U64Map changed;  /* private: hashes of cache keys that this transaction has changed */
    U64Map local;    /* private: entries made from own, uncommitted rows, by hash */
    unsigned fresh;  /* private: depth of reads that share one snapshot */
    const Oid *path; /* search path: schemas in order, pg_catalog included where it stands; the caller's memory */
    unsigned n_path;
};

/* ST_INVALID_CATALOG_NAME when there is no such database. */
STATUS catalog_view_init(Ctx *cx, Catalog *c, Oid database, Oid role, CatView *out_view);
void catalog_view_done(CatView *v); /* no transaction in it */
void catalog_view_begin(CatView *v, Txn *t);
/*
 * txn_commit, with the cache told before and after so that nobody sees an old entry once the locks are free. On failure the
 * transaction lives: catalog_abort.
 */
STATUS catalog_commit(Ctx *cx, CatView *v, Lsn *out_gate);
Status catalog_abort(Ctx *cx, CatView *v);
/* After txn_rollback_to: forgets what was made from rows that are gone. */
void catalog_rolled_back(CatView *v);

/* ---- rows ---- */

/*
 * A row of a catalog table is an array of HeapValue, one a column, in the order of the definition (pg_class_relname is the
 * subscript). Strings read live in cx->arena. Writing keeps all indexes, checks unique ones (23505 naming the index) and the
 * columns' NOT NULL (ASSERT), and makes the change visible to the view's next read.
 */
typedef struct CatRow {
    Tid tid;
    HeapValue *values;
} CatRow;
typedef struct CatRowSet {
    CatRow *rows;
    uint32_t n;
} CatRowSet;

/* Rows whose first n_keys index columns equal `keys`, in index order; all rows of the index with 0. */
STATUS cat_find(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys, CatRowSet *out_rows);
/* The only such row; *out_row.values NULL when there is none. */
STATUS cat_find_one(Ctx *cx, CatView *v, CatIndexNo index, const HeapValue *keys, unsigned n_keys, CatRow *out_row);
/* Every row, in no order; what fn allocates from cx->arena is freed after it. fn may change the table. */
STATUS cat_scan(Ctx *cx, CatView *v, CatTableNo table, Status (*fn)(void *arg, Ctx *cx, const CatRow *row), void *arg);
STATUS cat_insert(Ctx *cx, CatView *v, CatTableNo table, const HeapValue *values);
/* `row` as read in this transaction; `values` the whole new row. Changed meanwhile by another: 40001 "tuple concurrently updated". */
STATUS cat_update(Ctx *cx, CatView *v, CatTableNo table, const CatRow *row, const HeapValue *values);
STATUS cat_delete(Ctx *cx, CatView *v, CatTableNo table, const CatRow *row);

static inline HeapValue cat_oid(Oid oid)
{
    return (HeapValue){.u64 = oid, .state = HEAP_PRESENT};
}
static inline HeapValue cat_int4(int32_t i)
{
    return (HeapValue){.u64 = (uint32_t)i, .state = HEAP_PRESENT};
}
static inline HeapValue cat_int2(int16_t i)
{
    return (HeapValue){.u64 = (uint16_t)i, .state = HEAP_PRESENT};
}
static inline HeapValue cat_bool(bool b)
{
    return (HeapValue){.u64 = b, .state = HEAP_PRESENT};
}
static inline HeapValue cat_char(char c)
{
    return (HeapValue){.u64 = (uint8_t)c, .state = HEAP_PRESENT};
}
static inline HeapValue cat_float4(float f)
{
    HeapValue v = {.u64 = 0, .state = HEAP_PRESENT};
    v.f32 = f;
    return v;
}
static inline HeapValue cat_str(Str s)
{
    return heap_string(s.p, (uint32_t)s.len);
}
static inline HeapValue cat_text(const char *s)
{
    return heap_string(s, (uint32_t)strlen(s));
}
static inline Str cat_get_str(const HeapValue *v)
{
    return (Str){heap_view_ptr(&v->view), v->view.len};
}
static inline Oid cat_get_oid(const HeapValue *v)
{
    return (Oid)v->u32;
}

/* The next OID, never given before: persistent, survives a crash, is not rolled back. 54000 after 2^32. */
STATUS catalog_new_oid(Ctx *cx, Catalog *c, Oid *out_oid);

/* ---- index keys ---- */

/*
 * Key of an index row: for each column a byte and, when it is not NULL, the memcmp key of its type (type_key), complemented
 * for DESC. The byte is 1 for a value, 0 for NULL under NULLS FIRST, 2 for NULL under NULLS LAST; so memcmp order of keys is the
 * index's order. Version: KEY_VERSION of types/func.h.
 */
typedef struct CatKeyColumn {
    ValueType type;
    int16_t attnum;    /* 0 = an expression */
    uint16_t physical; /* place in the row, when attnum is not 0 */
    bool desc;
    bool nulls_first;
    Oid opclass;
} CatKeyColumn;
void cat_key_append(const CatKeyColumn *c, const HeapValue *value, StrBuf *out); /* fails only as a StrBuf does */

/* ---- relations ---- */

typedef struct CatColumn {
    char *name;
    Oid type;
    int32_t typmod;
    Oid collation;
    int16_t attnum;
    uint16_t physical;
    bool not_null;
    bool dropped;
    char identity;        /* '\0', 'a', 'd' */
    char generated;       /* '\0', 's' */
    char *default_text;   /* SQL expression, NULL = none */
    ValueType value_type; /* P_STR for a type that we know by name only (in catalogs; such columns are NULL) */
} CatColumn;

typedef struct CatIndex {
    Oid oid;
    char *name;
    BTree *tree;
    BTreeRef ref;
    Ts valid_from; /* reads under older snapshots ignore the index; TS_NONE = always valid */
    bool unique;
    bool primary;
    bool valid; /* readers may use it; writers always maintain it */
    bool nulls_not_distinct;
    uint16_t n_keys;    /* key columns */
    uint16_t n_columns; /* with INCLUDE ones */
    CatKeyColumn *columns;
    char *expressions; /* SQL, separated by ", "; NULL = none */
    char *predicate;   /* SQL; NULL = not partial */
} CatIndex;

typedef struct CatConstraint {
    Oid oid;
    char *name;
    char type; /* p, u, c, f */
    bool deferrable, deferred, validated;
    Oid index;
    Oid ref_table;
    uint16_t n_keys;
    int16_t *keys;
    uint16_t n_ref_keys;
    int16_t *ref_keys;
    char *text; /* CHECK's SQL expression */
} CatConstraint;

typedef struct CatEntry CatEntry;
typedef struct CatRelation {
    CatEntry *entry; /* private */
    Oid oid;
    Oid schema;
    Oid owner;
    Oid row_type;
    char *name;
    char kind;        /* r, i, v */
    char persistence; /* p, u, t */
    bool shared;
    uint64_t version;   /* changes with every change of the relation; for plans */
    uint16_t n_columns; /* user columns, dropped ones included; columns[attnum - 1] */
    CatColumn *columns;
    uint16_t n_indexes;
    CatIndex *indexes;
    uint16_t n_constraints;
    CatConstraint *constraints;
    /* Tables: */
    ObjectRef object;
    TxnTable *table;
    HeapShape shape;
    /* Indexes: the table. */
    Oid index_of;
    const char *view_text; /* of a system view */
} CatRelation;

/*
 * All of these give a reference, to be released by catalog_release. By OID: ST_UNDEFINED_TABLE without an error text
 * when there is none. The object is what this view sees at this moment; hold a table lock, or it may be out of date.
 */
STATUS catalog_relation(Ctx *cx, CatView *v, Oid oid, CatRelation **out_rel);
void catalog_release(CatRelation *rel);      /* NULL is allowed */
CatRelation *catalog_hold(CatRelation *rel); /* one more reference */
/* 0 in *out_oid: no such thing. schema 0: along the search path. */
STATUS catalog_relation_oid(Ctx *cx, CatView *v, Oid schema, Str name, Oid *out_oid);
/*
 * Finds a relation by name, locks it in `mode` and looks again: what it returns stays true while the lock is held. schema
 * NULL/empty: the search path. 42P01 "relation "x" does not exist", 3F000 for the schema; statuses of lock_acquire.
 */
STATUS catalog_open_relation(Ctx *cx, CatView *v, Str schema, Str name, LockMode mode, CatRelation **out_rel);
STATUS catalog_open_oid(Ctx *cx, CatView *v, Oid oid, LockMode mode, CatRelation **out_rel);
/* The key of an index for a physical row (columns of the newest layout, no overflow references). 0A000 for expressions. */
STATUS catalog_index_key(Ctx *cx, const CatRelation *rel, const CatIndex *index, const HeapValue *row, StrBuf *out_key);

/* ---- schemas, roles, databases, types: small objects by name ---- */

typedef enum CatKind { CAT_SCHEMA, CAT_ROLE, CAT_DATABASE, CAT_TYPE } CatKind;
typedef struct CatObject {
    Oid oid;
    Oid schema; /* of a type */
    Oid owner;
    bool superuser, create_role, create_db, login, inherit; /* of a role */
    Oid relation;                                           /* of a row type */
    Oid element, array;                                     /* of a type */
    char name[CAT_NAME_MAX + 1];
} CatObject;
/* *out_object.oid 0: there is none. */
STATUS catalog_object(Ctx *cx, CatView *v, CatKind kind, Oid oid, CatObject *out_object);
STATUS catalog_object_named(Ctx *cx, CatView *v, CatKind kind, Oid schema, Str name, CatObject *out_object);
/* The schema's OID; 3F000 when there is none. */
STATUS catalog_schema(Ctx *cx, CatView *v, Str name, Oid *out_oid);

/* ---- names ---- */

/* Would the bare name find this relation (type)? */
STATUS catalog_relation_visible(Ctx *cx, CatView *v, Oid oid, bool *out_visible);
/* Appends the name, quoted where needed, qualified when not visible. *out_found false: no such relation. */
STATUS catalog_relation_text(Ctx *cx, CatView *v, Oid oid, StrBuf *sb, bool *out_found);
void catalog_quote(Str name, StrBuf *sb); /* quote_ident */
/* format_type of any type: types' own names, row types and their arrays by name. */
STATUS catalog_format_type(Ctx *cx, CatView *v, Oid type, int32_t typmod, StrBuf *sb);
/* Hooks for reg* values, for SessionFacts.names; `v` must outlive them. */
NameHooks catalog_name_hooks(CatView *v);
/* Candidates for overload resolution: rows fn_rows[fn_name_index[*out_first + i]]. Built-ins only so far. */
uint32_t catalog_functions_named(CatView *v, Str name, uint32_t *out_first);
uint32_t catalog_operators_named(CatView *v, Str name, uint32_t *out_first);

/* ---- changes (ddl) ---- */

/*
 * The primitives under the statements. Each works in the view's transaction, checks names against duplicates (42P07, 42701, 42710,
 * 42P06, 42P04), records dependencies, and invalidates. Privileges, locks on named tables (ACCESS EXCLUSIVE by
 * catalog_open_relation) and reading or checking rows are the caller's. After one of them a CatRelation got before is out of date.
 */
typedef struct CatColumnNew {
    Str name;
    Oid type;
    int32_t typmod;
    Oid collation; /* 0 = the type's */
    bool not_null;
    Str default_text;      /* empty = none */
    const HeapValue *fill; /* ADD COLUMN: value of rows that exist; NULL = NULL */
} CatColumnNew;

STATUS catalog_create_schema(Ctx *cx, CatView *v, Str name, Oid owner, Oid *out_oid);
/* The schema must be empty: 2BP01 otherwise (CASCADE is the caller's loop over catalog_schema_relations). */
STATUS catalog_drop_schema(Ctx *cx, CatView *v, Oid oid);
STATUS catalog_create_table(Ctx *cx, CatView *v, Oid schema, Str name, const CatColumnNew *columns, unsigned n,
                            Oid *out_oid);
/* With its indexes, constraints, defaults, types. */
STATUS catalog_drop_table(Ctx *cx, CatView *v, Oid oid);
/* Gives the table (and its indexes) empty storage; the old is freed at commit. */
STATUS catalog_truncate(Ctx *cx, CatView *v, Oid oid);
STATUS catalog_add_column(Ctx *cx, CatView *v, Oid table, const CatColumnNew *column, int16_t *out_attnum);
/* Also drops indexes and constraints that use the column. */
STATUS catalog_drop_column(Ctx *cx, CatView *v, Oid table, int16_t attnum);
STATUS catalog_set_not_null(Ctx *cx, CatView *v, Oid table, int16_t attnum, bool not_null);
STATUS catalog_set_default(Ctx *cx, CatView *v, Oid table, int16_t attnum, Str text); /* empty = drop */
STATUS catalog_rename_relation(Ctx *cx, CatView *v, Oid oid, Str name);
STATUS catalog_rename_column(Ctx *cx, CatView *v, Oid table, int16_t attnum, Str name);

typedef struct CatIndexNew {
    Str name;
    bool unique;
    bool primary;
    const CatKeyColumn *columns; /* attnum, desc, nulls_first, opclass (0 = the type's default) are read */
    unsigned n_columns;
    unsigned n_keys;
    Str expressions; /* empty = none */
    Str predicate;
} CatIndexNew;
/*
 * The entry and an empty tree. The caller holds SHARE or more on the table, and fills the tree from the newest rows; valid_from is a
 * snapshot of now, which is right because nobody else can have written since the lock was granted.
 */
STATUS catalog_create_index(Ctx *cx, CatView *v, Oid table, const CatIndexNew *index, Oid *out_oid);
STATUS catalog_drop_index(Ctx *cx, CatView *v, Oid oid);

typedef struct CatConstraintNew {
    Str name;
    char type; /* p, u, c, f */
    const int16_t *keys;
    unsigned n_keys;
    Oid index;     /* of p, u; of f the referenced one */
    Oid ref_table; /* f */
    const int16_t *ref_keys;
    Str text; /* c */
    bool deferrable, deferred;
} CatConstraintNew;
STATUS catalog_add_constraint(Ctx *cx, CatView *v, Oid table, const CatConstraintNew *constraint, Oid *out_oid);
STATUS catalog_drop_constraint(Ctx *cx, CatView *v, Oid table, Oid constraint); /* with its index */

typedef struct CatRoleNew {
    Str name;
    bool superuser, inherit, create_role, create_db, login, replication, bypass_rls;
    int32_t connection_limit; /* -1 = none */
    Str password;             /* verifier text, empty = none */
    bool has_valid_until;
    int64_t valid_until; /* timestamptz */
} CatRoleNew;
STATUS catalog_create_role(Ctx *cx, CatView *v, const CatRoleNew *role, Oid *out_oid);
STATUS catalog_drop_role(Ctx *cx, CatView *v,
                         Oid oid); /* 2BP01 when it owns something in this database or a database */
/* A copy of the template's catalogs. The template must hold no tables of users: 0A000. */
STATUS catalog_create_database(Ctx *cx, CatView *v, Str name, Oid template_db, Oid owner, Oid *out_oid);
STATUS catalog_drop_database(Ctx *cx, CatView *v, Oid oid);

/* ---- verification ---- */

/* For txn_check_store: does the catalog (as newest committed) name the object? Loads all of rdb_storage. */
STATUS catalog_known_objects(Ctx *cx, Catalog *c, U64Map *io_objects);

#endif
