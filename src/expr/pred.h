/*
 * expr/pred.h: what a planner reads out of conditions: do they reject NULLs, which parts can be tested on table pages,
 * which give bounds for an index.
 *
 * Key idea: a part is taken only when the cheap test is known to keep every row that the condition keeps. When it keeps
 * exactly those, the condition is done with (`exact`); otherwise it is tested again above.
 *
 *   condition                         on the page                                                          exact
 *   column op constant                signed, unsigned, float or byte order, as the type's values lie       yes
 *   fixed numeric <, <=               signed order; NaN, the smallest integer, passes too                   no
 *   fixed numeric >, >= c, c >= 0     unsigned order: NaN and the negative numbers pass too                 no
 *   char(n) =, <>, IN                 the constant padded to n, as every stored value is                    yes
 *   char(n) <, >, LIKE                not taken: blanks at the end do not count, bytes do
 *   variable numeric, interval, ...   not taken: equal values have different bytes
 *   text LIKE constant                compiled pattern                                                      yes
 *   column IN (...), IS [NOT] NULL, boolean column, NOT of it                                               yes
 */
#ifndef RDB_EXPR_PRED_H
#define RDB_EXPR_PRED_H

#include "access/heap.h"
#include "expr/expr.h"

/*
 * Is `e` never true when the columns that `in` names are all NULL (as an outer join makes them)? false is the careful
 * answer, also when the stack ends.
 */
bool expr_rejects_nulls(const Expr *e, bool (*in)(void *arg, ColumnId id), void *arg);

/* The column of a table's pages for a column id; false: it is not of this table. */
typedef struct ExprHeapColumns {
    bool (*find)(void *arg, ColumnId id, uint16_t *out_column);
    void *arg;
} ExprHeapColumns;

/*
 * Takes the conjuncts of e apart: *out_preds (in b->arena, *out_n of them) for heap_filter, *out_residual for what is
 * to be evaluated for the rows that pass (NULL = nothing). Rows that heap_filter marks for a recheck need all of e.
 * Fold before. Statuses: ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX.
 */
STATUS expr_heap_predicates(const ExprBuilder *b, const Expr *e, const ExprHeapColumns *columns,
                            HeapPredicate **out_preds, uint32_t *out_n, const Expr **out_residual);

typedef enum ExprBoundKind {
    EXPR_BOUND_LT = 1, /* btree strategies */
    EXPR_BOUND_LE,
    EXPR_BOUND_EQ,
    EXPR_BOUND_GE,
    EXPR_BOUND_GT,
    EXPR_BOUND_IN,     /* value is an array: = ANY (value) */
    EXPR_BOUND_PREFIX, /* value is a text constant: begins with it */
    EXPR_BOUND_NULL,
    EXPR_BOUND_NOT_NULL
} ExprBoundKind;

/* column <kind> value, where value is the same for all rows of an execution (or of one outer row). */
typedef struct ExprBound {
    const Expr *column;
    ExprBoundKind kind;
    const Expr *value; /* NULL for the null tests; its type may differ from the column's within the operator family */
    bool exact;        /* the conjunct says no more than this */
} ExprBound;

/*
 * The bound that one conjunct gives for column `id`; false = none. A value may name columns for which `outer` says
 * yes (the other side of a nested loop; NULL = none) besides constants and parameters.
 */
STATUS expr_index_bound(const ExprBuilder *b, const Expr *conjunct, ColumnId id,
                        bool (*outer)(void *arg, ColumnId id), void *arg, bool *out_found, ExprBound *out);

#endif
