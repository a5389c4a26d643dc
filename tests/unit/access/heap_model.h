/*
 * What table page tests share: random layouts, values and rows; a page with a model of its rows and of the open
 * transactions that changed it; each change is applied to the page and, from an exact copy of what would be logged, to
 * a replica that must stay byte-identical.
 */
#ifndef RDB_TEST_HEAP_MODEL_H
#define RDB_TEST_HEAP_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/heap.h"
#include "base/rng.h"

enum { MODEL_COLUMNS = 24, MODEL_LAYOUTS = 16, MODEL_TXNS = 4, MODEL_UNDO = 4096 };

typedef struct ModelRow {
    bool used;
    bool deleted;
    uint8_t generation;
    uint32_t stamp;
    int owner; /* open transaction that changed it, or -1 */
    HeapValue values[MODEL_COLUMNS];
} ModelRow;

typedef struct ModelUndo {
    uint8_t kind; /* redo kind of the change */
    uint16_t slot;
    uint32_t stamp; /* before */
    uint32_t freed; /* reserved for it */
    uint8_t *before;
    uint32_t before_len;
    HeapValue values[MODEL_COLUMNS];
} ModelUndo;

typedef struct Model {
    Rng rng;
    Budget budget;
    Arena arena;
    Error err;
    StoreRegistry registry;
    uint8_t *page;
    uint8_t *replica;
    unsigned n_columns;
    HeapColumn columns[MODEL_LAYOUTS][MODEL_COLUMNS];
    HeapLayout layout_memory[MODEL_LAYOUTS];
    const HeapLayout *layouts[MODEL_LAYOUTS];
    HeapShape shape;
    ModelRow *rows; /* HEAP_SLOTS_MAX */
    ModelUndo *undo[MODEL_TXNS];
    unsigned n_undo[MODEL_TXNS];
    uint32_t reserved;
    uint32_t string_max;
    uint8_t *buf; /* HEAP_DATA_MAX */
    uint64_t counts[32];
} Model;

Model *page_model_new(uint64_t seed, unsigned n_columns, uint32_t string_max);
void page_model_free(Model *m);
HeapValue page_model_value(Model *m, unsigned column); /* of the newest layout */
HeapValue page_model_random(Model *m, unsigned width);
void page_model_row(Model *m, HeapValue *out);
void page_model_init_page(Model *m, unsigned capacity); /* 0: random */
HeapPage page_model_open(Model *m);
void page_model_apply(Model *m, const HeapData *d);
void page_model_compare(Model *m); /* every row, every column */
bool page_model_insert(Model *m, unsigned txn, unsigned n);
bool page_model_update(Model *m, unsigned txn);
bool page_model_delete(Model *m, unsigned txn);
void page_model_commit(Model *m, unsigned txn);
void page_model_rollback(Model *m, unsigned txn);
void page_model_purge(Model *m);
bool page_model_relayout(Model *m, unsigned capacity);
bool page_model_add_column(Model *m);
bool page_model_drop_column(Model *m);
/* One random step of all of the above. */
void page_model_step(Model *m);

#endif
