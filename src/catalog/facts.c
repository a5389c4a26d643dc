/*
 * catalog/facts.c: the generated facts as tables.
 */
#include "catalog/facts.h"

const CatTableDef cat_table_defs[CAT_TABLE_COUNT] = {
#define CAT_TABLE(oid, name, schema, shared, rowtype) {oid, #name, schema, shared, rowtype},
#define CAT_COLUMN(table, name, type, typmod, notnull, collation)
#define CAT_INDEX(table, oid, name, unique, primary, ...)
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
};

const CatColumnDef cat_column_defs[] = {
#define CAT_TABLE(oid, name, schema, shared, rowtype)
#define CAT_COLUMN(table, name, type, typmod, notnull, collation)                                                      \
    {CAT_##table, #name, type, typmod, notnull, collation},
#define CAT_INDEX(table, oid, name, unique, primary, ...)
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
};

#define KEY_COUNT(...) (sizeof((const uint8_t[]){__VA_ARGS__}))
const CatIndexDef cat_index_defs[CAT_INDEX_COUNT] = {
#define CAT_TABLE(oid, name, schema, shared, rowtype)
#define CAT_COLUMN(table, name, type, typmod, notnull, collation)
#define CAT_INDEX(table, oid, name, unique, primary, ...)                                                              \
    {CAT_##table, oid, #name, unique, primary, KEY_COUNT(__VA_ARGS__), {__VA_ARGS__}},
#include "catalog/gen/tables.def"
#include "catalog/private.def"
#undef CAT_TABLE
#undef CAT_COLUMN
#undef CAT_INDEX
};

#include "catalog/gen/rows.inc"
const CatRows *const cat_rows_all = cat_rows;
const size_t cat_rows_count = sizeof cat_rows / sizeof cat_rows[0];

const CatViewFact cat_view_facts[] = {
#define CAT_VIEW(oid, schema, name, text) {oid, schema, name, text},
#include "catalog/gen/views.def"
#undef CAT_VIEW
};
const size_t cat_view_count = sizeof cat_view_facts / sizeof cat_view_facts[0];

void cat_spans(CatSpan out_columns[CAT_TABLE_COUNT], CatSpan out_indexes[CAT_TABLE_COUNT])
{
    for (unsigned t = 0; t < CAT_TABLE_COUNT; t++) {
        out_columns[t] = out_indexes[t] = (CatSpan){0, 0};
    }
    for (uint16_t i = 0; i < ARRAY_LEN(cat_column_defs); i++) {
        CatSpan *s = &out_columns[cat_column_defs[i].table];
        s->first = s->n == 0 ? i : s->first;
        s->n++;
    }
    for (uint16_t i = 0; i < CAT_INDEX_COUNT; i++) {
        CatSpan *s = &out_indexes[cat_index_defs[i].table];
        s->first = s->n == 0 ? i : s->first;
        s->n++;
    }
}

CatTableNo cat_table_number(Oid relid)
{
    unsigned t = 0;
    while (t < CAT_TABLE_COUNT && cat_table_defs[t].oid != relid) {
        t++;
    }
    return (CatTableNo)t;
}

const CatViewFact *cat_view_fact(Oid oid)
{
    size_t low = 0, high = cat_view_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cat_view_facts[mid].oid < oid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < cat_view_count && cat_view_facts[low].oid == oid ? &cat_view_facts[low] : NULL;
}
