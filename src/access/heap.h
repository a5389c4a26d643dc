/*
 * access/heap.h: table pages as small column stores (PAX).
 *
 * Key idea: a page holds up to 2,048 rows, each column an array of its own at an offset that the page's column
 * directory gives. The page is self-describing: redo and undo need neither layout nor catalog. This module knows
 * physical columns only (widths and byte strings); visibility, locks and undo are the business of `txn`, which calls in
 * with the page latched. Formats, invariants H1..H9 and the reasons are in README.md.
 *
 * Terms
 *   slot        a row's place in the page; TID = page, slot, generation
 *   layout      the physical columns of a table at one time (widths, dropped flags, fill values); immutable
 *   shape       all layouts of a table, newest last; what a caller passes to read and write
 *   fill        the value of a column in rows written before the column existed (NULL, or ADD COLUMN's default)
 *   array       a column's values in a page. A column without one is *absent*: every row has the fill (or NULL)
 *   image       a row's values encoded (log, undo); *list*: some columns' values encoded (new values, before image,
 *   key)
 *   reserved    string bytes that unfinished versions have freed; known to txn alone, passed in, never given away
 *
 * Latches: every function on a page wants it latched by the caller: shared to read or build, exclusive to log. Nothing
 * here latches but heap_place*, heap_check and overflow.h.
 *
 * Writing goes in two halves (the recipe of storage.h): *build* looks at the page, decides whether the change fits and
 * encodes it into the caller's buffer, changing nothing; *log* hands that to store_log, which applies it by the redo
 * function. Between the two the latch is kept.
 */
#ifndef RDB_ACCESS_HEAP_H
#define RDB_ACCESS_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/ctx.h"
#include "base/ids.h"
#include "base/str.h"
#include "storage/page.h"
#include "storage/storage.h"

enum {
    HEAP_SLOTS_MAX = 2048,
    HEAP_WORDS_MAX = HEAP_SLOTS_MAX / 64,
    HEAP_COLUMNS_MAX = 1600,
    HEAP_INLINE_MAX = 2048, /* longer strings go to overflow chains before they come here */
    HEAP_DATA_MAX = 32768,  /* bytes of a build buffer: no change needs more */
    HEAP_FORMAT = 1,
};

/* Redo kinds (storage.h gives this module 16..31). */
enum {
    HEAP_REDO_INIT = 16, /* a new page and its first rows */
    HEAP_REDO_INSERT = 17,
    HEAP_REDO_UPDATE = 18,
    HEAP_REDO_MARK = 19,   /* delete marks */
    HEAP_REDO_UNMARK = 20, /* and their removal */
    HEAP_REDO_FREE = 21,
    HEAP_REDO_RELAYOUT = 22,
    HEAP_REDO_OVERFLOW_INIT = 23,
    HEAP_REDO_OVERFLOW_TRIM = 24,
};

/*
 * Record types. A record of rows has one page (pages[0]); its body is the caller's. txn registers their replay
 * functions; heap_register gives their names and redo functions. Compensations use the same types with the caller's
 * flags.
 */
enum {
    HEAP_WAL_INSERT = 16, /* redo INIT or INSERT */
    HEAP_WAL_UPDATE = 17,
    HEAP_WAL_DELETE = 18,
    HEAP_WAL_UNDELETE = 19,
    HEAP_WAL_FREE = 20,
    HEAP_WAL_RELAYOUT = 21,       /* changes no row: needs no undo; txn none */
    HEAP_WAL_OVERFLOW_WRITE = 22, /* see overflow.h */
    HEAP_WAL_OVERFLOW_FREE = 23,
};

void heap_register(StoreRegistry *r);

/* ---- values, layouts ---- */

/* Width codes; also the tags of encoded values. */
typedef enum HeapWidth { HEAP_W1 = 1, HEAP_W2, HEAP_W4, HEAP_W8, HEAP_W16, HEAP_STRING } HeapWidth;

/*
 * A string: bit for bit the StrView of types/value.h. Up to 12 bytes are inline, zero padded; of a longer one the first
 * 4 are in `prefix`. In a page the pointer is an offset or an overflow reference; outside it is a pointer (or, in an
 * overflow value, the PageId of the chain's first page).
 */
enum { HEAP_VIEW_INLINE = 12 };
typedef struct HeapView {
    uint32_t len;
    union {
        char inl[HEAP_VIEW_INLINE];
        struct {
            char prefix[4];
            union {
                const char *ptr;
                uint64_t ref;
            } __attribute__((packed, aligned(4)));
        } __attribute__((packed, aligned(4)));
    };
} __attribute__((aligned(8), may_alias)) HeapView;
STATIC_ASSERT(sizeof(HeapView) == 16 && offsetof(HeapView, prefix) == 4 && offsetof(HeapView, ref) == 8,
              "on-disk format");

typedef enum HeapState { HEAP_PRESENT, HEAP_NULL, HEAP_OVERFLOW } HeapState;

/*
 * One value. Fixed widths: the first 1..16 of `bytes`, little-endian. STRING: `view`, whose pointer the owner of the
 * bytes keeps alive. HEAP_OVERFLOW: view.len is the whole length, view.prefix its first bytes, view.ref the PageId.
 */
typedef struct HeapValue {
    union {
        uint8_t bytes[16];
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
        HeapView view;
    };
    uint8_t state; /* HeapState */
} HeapValue;

static inline HeapView heap_view(const char *p, uint32_t len)
{
    HeapView v;
    memset(&v, 0, sizeof v);
    v.len = len;
    if (len <= HEAP_VIEW_INLINE) {
        if (len != 0) {
            memcpy(v.inl, p, len);
        }
    } else {
        memcpy(v.prefix, p, 4);
        v.ptr = p;
    }
    return v;
}
static inline const char *heap_view_ptr(const HeapView *v)
{
    return v->len <= HEAP_VIEW_INLINE ? v->inl : v->ptr;
}
static inline HeapValue heap_null(void)
{
    return (HeapValue){.u64 = 0, .state = HEAP_NULL};
}
static inline HeapValue heap_string(const char *p, uint32_t len)
{
    return (HeapValue){.view = heap_view(p, len), .state = HEAP_PRESENT};
}
static inline HeapValue heap_i64(int64_t v)
{
    return (HeapValue){.i64 = v, .state = HEAP_PRESENT};
}
static inline unsigned heap_width_bytes(unsigned width)
{
    return width == HEAP_STRING ? 16u : 1u << (width - 1);
}
bool heap_value_eq(unsigned width, const HeapValue *a, const HeapValue *b);

typedef struct HeapColumn {
    uint8_t width; /* HeapWidth */
    /*
     * Nobody reads the column any more: arrays are dropped at re-layout, writes ignore the value given. May be set only
     * once the transaction that dropped the column has committed (its undo could need the array).
     */
    bool dropped;
    HeapValue fill; /* HEAP_PRESENT (strings up to HEAP_INLINE_MAX) or HEAP_NULL */
} HeapColumn;

/*
 * Column number c means the same column, with the same width and fill, in every layout that has it: a number used by an
 * aborted ADD COLUMN is not used again. Ids grow.
 */
typedef struct HeapLayout {
    uint32_t id;
    uint16_t n_columns;
    const HeapColumn *columns;
} HeapLayout;

typedef struct HeapShape {
    const HeapLayout *const *layouts; /* ascending ids */
    uint32_t n_layouts;
} HeapShape;

static inline const HeapLayout *heap_newest(const HeapShape *s)
{
    return s->layouts[s->n_layouts - 1];
}
/* NULL when the shape has no such layout. */
const HeapLayout *heap_layout(const HeapShape *s, uint32_t id);
/*
 * The layout is legal: widths known, fills short enough. ST_TOO_MANY_COLUMNS, ST_PROGRAM_LIMIT_EXCEEDED, ST_INTERNAL.
 */
STATUS heap_layout_check(const HeapLayout *l, Error *err);

/*
 * Which values of a row must go to overflow chains before the row is written: all strings beyond HEAP_INLINE_MAX, then
 * the longest ones until the row fits an empty page. Sets `out_push[c]` for those (n_columns flags, all written).
 * Values that are HEAP_OVERFLOW already stay. ST_PROGRAM_LIMIT_EXCEEDED when the row does not fit a page even so
 * (54000).
 */
STATUS heap_row_plan(const HeapLayout *l, const HeapValue *row, bool *out_push, Error *err);

/* ---- looking at a page ---- */

/*
 * A page being looked at; valid as long as the latch is held. heap_open checks what every access rests on (format,
 * counts, areas inside the page); array offsets and string views are bounds-checked where they are used. `shape` may be
 * NULL (undo, purge): then columns cannot be read by value. ST_CORRUPTED names page and object.
 */
typedef struct HeapPage {
    const uint8_t *page;
    const HeapLayout *layout; /* the newest of the shape, or NULL */
    uint16_t n_slots;         /* slots at or beyond were never used */
    uint16_t capacity;
    uint16_t n_columns; /* of the page's directory; columns beyond read as the fill */
    uint16_t n_used;
    uint16_t n_deleted;
} HeapPage;
STATUS heap_open(const uint8_t *page, const HeapShape *shape, Error *err, HeapPage *out_page);

typedef struct HeapRow {
    bool used;
    bool deleted;
    uint8_t generation;
    uint32_t stamp;
} HeapRow;
/* State of a slot; a slot out of range reads as unused. */
HeapRow heap_row(const HeapPage *p, unsigned slot);
/* The slot when the TID names a row of this page: slot in use and generation equal (deleted rows count). */
MUST_CHECK bool heap_find(const HeapPage *p, Tid tid, unsigned *out_slot);
Tid heap_tid(const HeapPage *p, unsigned slot);

/*
 * Reads columns of a row in use. String bytes of the page are copied to `strings` (at most PAGE_BYTES for distinct
 * columns), fill strings point into the layout, overflow values come as references. Column numbers are those of the
 * newest layout. ST_CORRUPTED for a page that contradicts itself.
 */
STATUS heap_read(const HeapPage *p, unsigned slot, const uint16_t *columns, unsigned n, char *strings, Error *err,
                 HeapValue *out_values);

/* Bytes of free space: between arrays and strings, and string garbage. What may be used is this less `reserved`. */
uint32_t heap_free_bytes(const HeapPage *p);
/* Space class for object_note_space: 0 when no slot is free, otherwise the smaller share of slots and string room. */
unsigned heap_space_class(const HeapPage *p, uint32_t reserved);

/* ---- encoded values: images, lists ---- */

/*
 * A list: some columns' values, ascending by column. Self-describing. Used for the new values of an update, its before
 * image, and keys. Bytes of the encoding of n values are at most heap_list_bytes_max.
 */
uint32_t heap_list_bytes_max(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n);
/* Encodes; returns bytes written. The width of columns[i] is the layout's. `columns` ascending. */
uint32_t heap_list_encode(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n,
                          uint8_t *out);
/*
 * Walks a list: heap_list_begin, then heap_list_next until it returns ST_END. String pointers of the values point into
 * the encoding. ST_CORRUPTED on malformed bytes.
 */
typedef struct HeapList {
    const uint8_t *at;
    const uint8_t *end;
    uint16_t left;
    int32_t last;
} HeapList;
STATUS heap_list_begin(HeapList *it, const uint8_t *p, size_t len, Error *err);
STATUS heap_list_next(HeapList *it, Error *err, uint16_t *out_column, uint8_t *out_width, HeapValue *out_value);
/*
 * Overlays a before image on values read: values[i] of columns[i] (ascending) is replaced where the list has the
 * column.
 */
STATUS heap_list_apply(const uint8_t *p, size_t len, const uint16_t *columns, unsigned n, Error *err,
                       HeapValue *io_values);

/* Most bytes of a before image of these columns, whatever their old values are. For admission. */
uint32_t heap_before_bytes_max(const HeapLayout *l, const uint16_t *columns, unsigned n);
/*
 * The before image of columns of a row as a list, encoded straight from the page. Columns ascending. `out` has room for
 * heap_before_bytes_max. *out_len bytes.
 */
STATUS heap_before_image(const HeapPage *p, unsigned slot, const uint16_t *columns, unsigned n, Error *err,
                         uint8_t *out, uint32_t *out_len);

/*
 * What a log record did to a page: for recovery, the change feed and tests. `kind` is the redo kind. Rows of INIT and
 * INSERT follow one after another through heap_change_row; UPDATE gives one with `list`; MARK, UNMARK and FREE give
 * slots. Bytes point into the record.
 */
typedef struct HeapChange {
    uint8_t kind;
    uint16_t n_rows;
    uint32_t layout; /* INIT, RELAYOUT */
    uint32_t stamp;  /* INIT, INSERT, UPDATE */
    const uint8_t *at;
    const uint8_t *end;
    uint16_t left;
} HeapChange;
typedef struct HeapChangeRow {
    uint16_t slot;
    uint32_t stamp;
    const uint8_t *image; /* INIT, INSERT: the row image */
    uint32_t image_len;
    const uint8_t *list; /* UPDATE: the new values */
    uint32_t list_len;
} HeapChangeRow;
STATUS heap_change_begin(HeapChange *c, const WalPage *ref, Error *err);
STATUS heap_change_row(HeapChange *c, Error *err, HeapChangeRow *out_row); /* ST_END after the last */
/*
 * Decodes a row image into values of columns 0..n-1 (fill where the image says so or ends earlier; `layout` gives
 * fills).
 */
STATUS heap_image_decode(const HeapLayout *layout, const uint8_t *image, size_t len, Error *err, HeapValue *out_values);

/* ---- building changes ---- */

typedef enum HeapFit {
    HEAP_FITS,
    HEAP_NO_ROOM,      /* not in this page */
    HEAP_NEEDS_LAYOUT, /* the page lacks a column: heap_relayout_build first, or take another page */
} HeapFit;

/* A change, encoded. */
typedef struct HeapData {
    uint8_t redo;
    uint8_t flags; /* WAL_PAGE_INIT for a new page */
    uint8_t *data; /* the caller's buffer */
    uint32_t len;
} HeapData;

/*
 * Inserting one or many rows with one record:
 *   heap_insert_begin (or _begin_new for a page from op_take_page, all zero); heap_insert_add until it says no;
 *   heap_insert_end; the txn layer notes undo for slots[0..n_rows-1]; heap_log.
 * `buf` has HEAP_DATA_MAX bytes. Rows are n_columns values of the newest layout; string bytes are copied into buf.
 */
typedef struct HeapInsert {
    HeapData data;
    const HeapLayout *layout;
    const uint8_t *page; /* NULL: a new page */
    PageId page_id;
    uint32_t stamp;
    uint32_t room; /* bytes left: free less reserved less what was added */
    uint32_t arrays_end;
    uint16_t capacity;
    uint16_t n_columns;
    uint16_t n_slots;
    uint16_t n_rows;
    uint16_t free_slots;
    uint16_t next_slot; /* where the search for free slots goes on */
    uint32_t block_at;  /* offset in data of the insert block */
    uint32_t new_bytes; /* encoded size of the new arrays' fills */
    uint16_t slots[HEAP_SLOTS_MAX];
    uint8_t generations[HEAP_SLOTS_MAX];
    uint64_t present[HEAP_COLUMNS_MAX / 64 + 1]; /* columns that have, or will have, an array */
    uint16_t n_new;                              /* arrays that this insert makes */
    uint16_t new_columns[HEAP_COLUMNS_MAX];
} HeapInsert;
void heap_insert_begin(HeapInsert *b, const HeapPage *p, uint32_t reserved, uint32_t stamp, uint8_t *buf);
void heap_insert_begin_new(HeapInsert *b, const HeapShape *s, PageId id, ObjId object, uint32_t ordinal,
                           unsigned capacity, uint32_t stamp, uint8_t *buf);
/* HEAP_FITS: the row is part of the insert, its TID in *out_tid. Otherwise the builder is as before. */
HeapFit heap_insert_add(HeapInsert *b, const HeapValue *row, Tid *out_tid);
void heap_insert_end(HeapInsert *b); /* b->data is complete; at least one row, or a new page */

/*
 * An update in place: columns ascending, values of the newest layout's widths. On HEAP_FITS *out is complete and
 * *out_freed is the string bytes that the update frees: the caller adds them to the page's reserved bytes until the
 * version is finished (commit: released; undo: released by the restore, which uses them). `buf` has HEAP_DATA_MAX
 * bytes.
 */
HeapFit heap_update_build(const HeapPage *p, unsigned slot, const uint16_t *columns, const HeapValue *values,
                          unsigned n, uint32_t reserved, uint32_t stamp, uint8_t *buf, HeapData *out,
                          uint32_t *out_freed);
/*
 * Undo of an update: puts a before image (a list) back, with the old stamp. Needs no shape. Fits by H7: the caller
 * has released this version's reserved bytes. ST_CORRUPTED when list or page is not what it was.
 */
STATUS heap_restore_build(const HeapPage *p, unsigned slot, const uint8_t *list, uint32_t list_len, uint32_t stamp,
                          uint8_t *buf, Error *err, HeapData *out);
/*
 * Sets (HEAP_REDO_MARK) or clears (HEAP_REDO_UNMARK) delete marks and stamps; slots in use, ascending, and not marked
 * / marked.
 */
void heap_mark_build(const HeapPage *p, uint8_t redo, const uint16_t *slots, const uint32_t *stamps, unsigned n,
                     uint8_t *buf, HeapData *out);
/* Frees slots in use (undo of insert, purge), ascending; their generations are bumped. */
void heap_free_build(const HeapPage *p, const uint16_t *slots, unsigned n, uint8_t *buf, HeapData *out);
/*
 * Re-lays the page under the newest layout with the given capacity (0: as it is; at least n_slots), dropping arrays of
 * dropped columns. false: does not fit, or nothing to do.
 */
bool heap_relayout_build(const HeapPage *p, unsigned capacity, uint32_t reserved, uint8_t *buf, HeapData *out);

/*
 * Applies and logs what was built, with the caller's body. `type` is the HEAP_WAL_* that goes with the redo kind.
 * The page is latched exclusively and unchanged since the build. Returns the record's end LSN.
 */
Lsn heap_log(StoreOp *op, BufFrame *frame, const HeapData *data, uint8_t flags, TxnId txn, const void *body,
             uint32_t body_len);

/* Upper bounds of HeapData.len, for wal_record_bytes(1, data + body) in OpNeed. */
uint32_t heap_insert_bytes_max(const HeapLayout *l, const HeapValue *row); /* one row; add up for several */
uint32_t heap_update_bytes_max(const HeapLayout *l, const uint16_t *columns, const HeapValue *values, unsigned n);
uint32_t heap_restore_bytes_max(const HeapLayout *l, const uint16_t *columns, unsigned n);
uint32_t heap_relayout_bytes_max(const HeapLayout *l);
static inline uint32_t heap_mark_bytes(unsigned n)
{
    return 2 + 6 * n;
}
static inline uint32_t heap_slots_bytes(unsigned n)
{
    return 2 + 2 * n;
} /* FREE */

/* ---- reading many rows ---- */

/* A set of slots of a page. Words at or beyond n_words are not defined. */
typedef struct HeapSelection {
    uint32_t n_words;
    uint64_t bits[HEAP_WORDS_MAX];
} HeapSelection;
/* used & ~deleted. Returns how many. */
unsigned heap_select_live(const HeapPage *p, HeapSelection *out);
unsigned heap_select_used(const HeapPage *p, HeapSelection *out);
unsigned heap_selection_count(const HeapSelection *s);
static inline bool heap_selected(const HeapSelection *s, unsigned slot)
{
    return slot / 64 < s->n_words && (s->bits[slot / 64] >> (slot % 64) & 1);
}
static inline void heap_unselect(HeapSelection *s, unsigned slot)
{
    s->bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

typedef enum HeapTest {
    HEAP_EQ,
    HEAP_NE,
    HEAP_LT,
    HEAP_LE,
    HEAP_GT,
    HEAP_GE,
    HEAP_IN,
    HEAP_LIKE,
    HEAP_NOT_LIKE,
    HEAP_IS_NULL,
    HEAP_IS_NOT_NULL,
} HeapTest;
/* How the bytes compare. FLOAT: PostgreSQL's order (NaN equals NaN and is greater than all; -0 = 0). BYTES: STRING by
 * memcmp, shorter first; W16 as 16 bytes in order (uuid). */
typedef enum HeapOrder { HEAP_SIGNED, HEAP_UNSIGNED, HEAP_FLOAT, HEAP_BYTES } HeapOrder;

/* A LIKE pattern under C collation in UTF-8: % any characters, _ one character. */
typedef enum HeapLikeKind {
    HEAP_LIKE_EXACT,
    HEAP_LIKE_PREFIX,
    HEAP_LIKE_SUFFIX,
    HEAP_LIKE_CONTAINS,
    HEAP_LIKE_GENERAL
} HeapLikeKind;
typedef struct HeapLike {
    HeapLikeKind kind;
    Str text;            /* the literal of the simple kinds */
    const uint8_t *wild; /* GENERAL: per byte of text 0 literal, 1 `_`, 2 `%` */
} HeapLike;
/* `escape` is one byte, or -1 for none. Memory from the arena. ST_OUT_OF_MEMORY; 22025 for an escape at the end. */
STATUS heap_like_compile(Ctx *cx, Arena *arena, Str pattern, int escape, HeapLike *out);
bool heap_like_match(const HeapLike *like, const char *p, size_t len);

/*
 * column <test> constant(s). NULL constants are folded by the caller. A NULL value of the column is never selected
 * but by IS_NULL.
 */
typedef struct HeapPredicate {
    uint16_t column;
    uint8_t test;  /* HeapTest */
    uint8_t order; /* HeapOrder, for comparisons and IN (EQ under that order) */
    HeapValue value;
    const HeapValue *in; /* HEAP_IN */
    uint32_t n_in;
    const HeapLike *like;
} HeapPredicate;

/*
 * Takes out of the selection the rows that fail a predicate (AND). Rows whose answer needs an overflow value stay
 * selected and are set in `recheck` (same shape; the caller zeroed it, or passes NULL when there are no STRING
 * predicates): the caller evaluates the whole filter for them after the copy. Never fails: what a corrupt view would
 * need is left selected, and the copy reports it. Returns how many rows are left.
 */
unsigned heap_filter(const HeapPage *p, const HeapPredicate *preds, unsigned n, HeapSelection *io_sel,
                     HeapSelection *io_recheck);

/*
 * Copies selected rows out, densely and in slot order. Buffers: data 2,048 * width (16 for strings), 16-byte aligned;
 * nulls and overflow HEAP_WORDS_MAX words; strings PAGE_BYTES. A NULL's data is zero. A fill string points into the
 * layout.
 */
typedef struct HeapColumnOut {
    uint16_t column;
    void *data;
    uint64_t *nulls;    /* bit set: NULL. Written for the rows copied (whole words) */
    uint64_t *overflow; /* STRING: bit set: view.ref is a PageId. Written only when any_overflow; */
    bool any_null;      /* results */
    bool any_overflow;
    bool constant; /* all rows have the same value (the column is absent); the data are written all the same */
} HeapColumnOut;
typedef struct HeapBatch {
    char *strings; /* room for PAGE_BYTES */
    uint32_t strings_used;
    uint16_t *slots;      /* out: slot of each row; room for 2,048; may be NULL */
    uint8_t *generations; /* out, may be NULL */
    uint32_t *stamps;     /* out, may be NULL */
    uint32_t n_rows;
} HeapBatch;
STATUS heap_copy(const HeapPage *p, const HeapSelection *sel, HeapColumnOut *columns, unsigned n_columns, Error *err,
                 HeapBatch *out);

/* ---- placement ---- */

/*
 * Where a table's next rows go: in memory only, one per open object. Several insertion pages, chosen by the caller's
 * hint (thread or session number), keep writers apart. Atomics, no lock; a lost update of a hint is harmless.
 */
enum { HEAP_INSERT_PAGES = 8 };
typedef struct HeapTable {
    StoreObject *object;
    _Atomic uint32_t insert_ordinal[HEAP_INSERT_PAGES];
    _Atomic uint32_t string_bytes; /* running mean of out-of-line string bytes per row, times 16; 0 = unknown */
    _Atomic uint32_t fixed_bytes;  /* the same for array bytes per row (width of columns that have arrays) */
} HeapTable;
void heap_table_init(HeapTable *t, StoreObject *object);
/*
 * Out-of-line string bytes of a row: what heap_place looks for. (Array bytes are taken in a page already by its
 * slots.)
 */
uint32_t heap_row_bytes(const HeapLayout *l, const HeapValue *row);
/* Capacity for a new page, from the row at hand and the running means. At least 1. */
unsigned heap_choose_capacity(const HeapTable *t, const HeapLayout *l, const HeapValue *row);

/*
 * Finds a page for rows, under an operation with new_pages >= 1, object = the table's:
 *     HeapPlace pl;
 *     heap_place_begin(&pl, table, hint, bytes);
 *     while ((st = heap_place_next(cx, op, &pl, &frame)) == ST_OK) {
 *         open and build; if (fits) { log; heap_place_done(cx, &pl, frame, reserved); break; }
 *         heap_place_reject(cx, &pl, frame, reserved);   (unlatches)
 *     }
 * The frame comes latched exclusively. After a bounded number of rejections, or when no page is known, it is a new one
 * (pl.is_new, pl.ordinal; use heap_insert_begin_new). heap_place_done leaves it latched. A new page that is not used
 * after all: op_abandon.
 */
typedef struct HeapPlace {
    HeapTable *table;
    uint32_t hint;
    uint32_t bytes;
    uint32_t tries;
    uint32_t ordinal;
    uint32_t min_class;
    bool is_new;
} HeapPlace;
void heap_place_begin(HeapPlace *pl, HeapTable *t, uint32_t hint, uint32_t bytes);
STATUS heap_place_next(Ctx *cx, StoreOp *op, HeapPlace *pl, BufFrame **out_frame);
void heap_place_reject(Ctx *cx, HeapPlace *pl, BufFrame *frame, uint32_t reserved);
void heap_place_done(Ctx *cx, HeapPlace *pl, BufFrame *frame, uint32_t reserved);
/* After FREE (purge, undo of inserts): tells the free-space map. The page is latched. */
void heap_note_space(Ctx *cx, HeapTable *t, const HeapPage *p, uint32_t reserved);

/* ---- verification ---- */

/* Every invariant of a table page. ST_CORRUPTED with what is wrong. 16 KiB of stack. */
STATUS heap_page_check(const uint8_t *page, Error *err);

/*
 * All pages of a table: heap_page_check, that directory and layout agree, each overflow chain (length, order, owner).
 * `row` (may be NULL) is called with the page latched shared for every slot in use: it may read, not wait. ST_CORRUPTED
 * from it is a problem of that page; another status ends the check and is returned. Problems go to `report`.
 */
typedef struct HeapCheck {
    void *arg;
    void (*report)(void *arg, const char *text);
    Status (*row)(void *arg, Ctx *cx, const HeapPage *p, unsigned slot);
    uint64_t problems, pages, rows, deleted, chains, overflow_pages, chain_pages; /* results */
} HeapCheck;
STATUS heap_check(Ctx *cx, StoreObject *o, const HeapShape *shape, HeapCheck *check);

#endif
