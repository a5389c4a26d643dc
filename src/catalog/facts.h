/*
 * catalog/facts.h: the definitions of the catalog tables, from the generated facts (gen/tables.def) and private.def.
 *
 * Names: CAT_pg_class is a table's number, pg_class_relname a column's (0-based: its place in a row), and
 * pg_class_oid_index an index's. All are dense, so definitions are found by subscript.
 */
#ifndef RDB_CATALOG_FACTS_H
#define RDB_CATALOG_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types/value.h"

typedef enum CatTableNo {
#define CAT_TABLE(oid, name, schema, shared, rowtype) CAT_##name,
#define CAT_COLUMN(table, name, type, typmod, notnull, collation)
#define CAT_INDEX(table, oid, name, unique, primary, ...)
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
    CAT_TABLE_COUNT
} CatTableNo;

enum {
#define CAT_TABLE(oid, name, schema, shared, rowtype) name##_before_first = -1,
#define CAT_COLUMN(table, name, type, typmod, notnull, collation) table##_##name,
#define CAT_INDEX(table, oid, name, unique, primary, ...)
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
    CAT_COLUMNS_MAX = 40, /* of one table */
};

typedef enum CatIndexNo {
#define CAT_TABLE(oid, name, schema, shared, rowtype)
#define CAT_COLUMN(table, name, type, typmod, notnull, collation)
#define CAT_INDEX(table, oid, name, unique, primary, ...) name,
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
    CAT_INDEX_COUNT
} CatIndexNo;

enum { CAT_KEYS_MAX = 4, CAT_TABLE_INDEXES_MAX = 8 };

typedef struct CatColumnDef {
    uint8_t table; /* CatTableNo */
    const char *name;
    Oid type;
    int32_t typmod;
    bool not_null;
    Oid collation;
} CatColumnDef;

typedef struct CatIndexDef {
    uint8_t table;
    Oid oid;
    const char *name;
    bool unique;
    bool primary;
    uint8_t n_keys;
    uint8_t keys[CAT_KEYS_MAX]; /* 1-based columns */
} CatIndexDef;

typedef struct CatTableDef {
    Oid oid;
    const char *name;
    Oid schema;
    bool shared;
    Oid row_type;
} CatTableDef;

/* One table's rows as text; see tools/gen_catalog.py. */
typedef struct CatRows {
    CatTableNo table;
    const char *text;
    size_t len;
} CatRows;

typedef struct CatViewFact {
    Oid oid;
    const char *schema;
    const char *name;
    const char *text; /* SQL */
} CatViewFact;

extern const CatTableDef cat_table_defs[CAT_TABLE_COUNT];
extern const CatColumnDef cat_column_defs[];
extern const CatIndexDef cat_index_defs[CAT_INDEX_COUNT];
extern const CatRows *const cat_rows_all;
extern const size_t cat_rows_count;
extern const CatViewFact cat_view_facts[]; /* by OID */
extern const size_t cat_view_count;

/* Columns of a table: cat_column_defs[first..first+n). Indexes likewise. */
typedef struct CatSpan {
    uint16_t first;
    uint16_t n;
} CatSpan;
/* Fills the spans of all tables: one pass over the facts. */
void cat_spans(CatSpan out_columns[CAT_TABLE_COUNT], CatSpan out_indexes[CAT_TABLE_COUNT]);
/* The catalog table with this OID, or CAT_TABLE_COUNT. A walk: their number is fixed. */
CatTableNo cat_table_number(Oid relid);
/* The text of a system view; NULL = it is none. */
const CatViewFact *cat_view_fact(Oid oid);

#endif
