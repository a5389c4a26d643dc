/*
 * access/heap_size.c: how big things are: bounds of encoded changes for admission, and whether a row fits a page at
 * all.
 */
#include "access/heap_int.h"

uint32_t heap_insert_bytes_max(const HeapLayout *l, const HeapValue *row)
{
    uint32_t bytes = HEAP_INIT_BYTES + HEAP_INSERT_BYTES + 4u + l->n_columns + (l->n_columns + 1u) / 2;
    for (unsigned c = 0; c < l->n_columns; c++) {
        const HeapColumn *col = &l->columns[c];
        bytes += heap_payload_bytes(col->width, heap_effective(col, &row[c])) + 2 +
                 heap_payload_bytes(col->width, &col->fill);
    }
    return bytes;
}

uint32_t heap_update_bytes_max(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n)
{
    uint32_t bytes = HEAP_UPDATE_BYTES + heap_list_bytes_max(l, columns, values, n);
    for (unsigned i = 0; i < n; i++) {
        const HeapColumn *col = &l->columns[columns[i]];
        bytes += 2 + heap_payload_bytes(col->width, &col->fill);
    }
    return bytes;
}

uint32_t heap_restore_bytes_max(const HeapLayout *l, const uint16_t *columns, unsigned n)
{
    return HEAP_UPDATE_BYTES + heap_before_bytes_max(l, columns, n);
}

uint32_t heap_relayout_bytes_max(const HeapLayout *l)
{
    return HEAP_RELAYOUT_BYTES + 3u * l->n_columns;
}

/* ---- how big a row is ---- */

/* Bytes of a page with this capacity that arrays and strings of the row take, if it is the page's first. */
static uint32_t first_row_room(const HeapLayout *l, const HeapValue *row, const bool *push, unsigned capacity)
{
    uint32_t room = heap_arrays_at(l->n_columns, capacity);
    for (unsigned c = 0; c < l->n_columns; c++) {
        const HeapColumn *col = &l->columns[c];
        bool pushed = push != NULL && push[c];
        if (col->dropped || (!pushed && heap_value_eq(col->width, &row[c], &col->fill))) {
            continue;
        }
        room += heap_array_room(col, capacity) + (pushed ? 0 : heap_out_of_line(col->width, &row[c]));
    }
    return room;
}

Status heap_row_plan(const HeapLayout *l, const HeapValue *row, bool *out_push, Error *err)
{
    for (unsigned c = 0; c < l->n_columns; c++) {
        out_push[c] = !l->columns[c].dropped && heap_out_of_line(l->columns[c].width, &row[c]) > HEAP_INLINE_MAX;
    }
    uint32_t room = first_row_room(l, row, out_push, 1);
    while (room > PAGE_BODY_END) {
        unsigned longest = l->n_columns;
        uint32_t bytes = HEAP_VIEW_INLINE;
        for (unsigned c = 0; c < l->n_columns; c++) {
            uint32_t len = out_push[c] || l->columns[c].dropped ? 0 : heap_out_of_line(l->columns[c].width, &row[c]);
            if (len > bytes) {
                longest = c;
                bytes = len;
            }
        }
        if (longest == l->n_columns) {
            return err_set(err, ST_PROGRAM_LIMIT_EXCEEDED, "row is too big: size %u, maximum size %u",
                           room - heap_arrays_at(l->n_columns, 1),
                           (unsigned)PAGE_BODY_END - heap_arrays_at(l->n_columns, 1));
        }
        out_push[longest] = true;
        room = first_row_room(l, row, out_push, 1);
    }
    return ST_OK;
}

bool heap_first_row_fits(const HeapLayout *l, const HeapValue *row, unsigned capacity)
{
    return first_row_room(l, row, NULL, capacity) <= PAGE_BODY_END;
}

void heap_row_parts(const HeapLayout *l, const HeapValue *row, uint32_t *out_fixed, uint32_t *out_strings)
{
    uint32_t fixed = 0;
    uint32_t strings = 0;
    for (unsigned c = 0; c < l->n_columns; c++) {
        const HeapColumn *col = &l->columns[c];
        if (!col->dropped && !heap_value_eq(col->width, &row[c], &col->fill)) {
            fixed += heap_width_bytes(col->width);
            strings += heap_out_of_line(col->width, &row[c]);
        }
    }
    *out_fixed = fixed;
    *out_strings = strings;
}
