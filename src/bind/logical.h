/*
 * bind/logical.h: what a statement means: a tree of logical operators over typed expressions.
 *
 * Key idea: columns have names that never change. Every column that an operator produces has a ColumnId, unique in the
 * statement; expressions name columns by it. So a rewrite moves, merges and drops operators without renumbering, and what
 * an operator needs from below is a set of ids. Positions in chunks appear only in physical plans.
 *
 * A subquery in an expression is an EXPR_SUBLINK whose `query` is a LogicalQuery. Columns of outer queries are named in
 * it by their ColumnId like any other; `outer` lists them. The planner turns sublinks into joins where it can, into
 * subplans with EXPR_PARAM_EXEC where it cannot.
 *
 * The binder has resolved everything: names, types, overloads, casts, collations, privileges checked. Nothing below looks at
 * syntax or search path again, and a LogicalQuery depends on the catalog only through the relations it holds.
 *
 * Invariants
 *  L1  An operator's expressions name only ids that its children produce, or outer ones (asserted by logical_check).
 *  L2  Each id is produced by exactly one operator of the statement.
 *  L3  Types of join and filter conditions are boolean; set operations have equal types column by column.
 */
#ifndef RDB_BIND_LOGICAL_H
#define RDB_BIND_LOGICAL_H

#include "catalog/catalog.h"
#include "expr/expr.h"
#include "txn/txn.h"

/* A column that an operator produces. */
typedef struct LogicalColumn {
    ColumnId id;
    ValueType type;
    const char *name;  /* for output and EXPLAIN */
    Oid table;         /* of a plain column of a relation, for RowDescription; 0 otherwise */
    int16_t attribute; /* its number there */
} LogicalColumn;

typedef struct LogicalColumns {
    const LogicalColumn *v;
    uint32_t n;
} LogicalColumns;

typedef struct LogicalExprs {
    const Expr *const *v;
    uint32_t n;
} LogicalExprs;

typedef struct LogicalSort {
    const Expr *key;
    bool descending;
    bool nulls_first;
} LogicalSort;

typedef enum LogicalKind {
    LOGICAL_SCAN,      /* rows of a relation */
    LOGICAL_VALUES,    /* constant or computed rows; one row of no columns is SELECT without FROM */
    LOGICAL_FUNCTIONS, /* ROWS FROM (...) [WITH ORDINALITY]; may name columns of the left side of a lateral join */
    LOGICAL_CTE_SCAN,  /* rows of a WITH query that is computed once */
    LOGICAL_FILTER,
    LOGICAL_PROJECT, /* computes new columns, passes none through but those it lists */
    LOGICAL_SET_PROJECT, /* a project whose expressions hold set-returning functions at any depth, run in lockstep */
    LOGICAL_JOIN,
    LOGICAL_AGGREGATE,
    LOGICAL_WINDOW,
    LOGICAL_DISTINCT, /* all columns, or DISTINCT ON the keys (then sorted below) */
    LOGICAL_SORT,
    LOGICAL_LIMIT,
    LOGICAL_SET_OPERATION,
    LOGICAL_RECURSIVE, /* WITH RECURSIVE: base, step over a work table */
    LOGICAL_LOCK,      /* FOR UPDATE and the like */
    LOGICAL_MODIFY,    /* INSERT, UPDATE, DELETE; produces RETURNING's columns */
} LogicalKind;

typedef enum LogicalJoinKind {
    LOGICAL_INNER, /* no condition: cross */
    LOGICAL_LEFT,
    LOGICAL_RIGHT,
    LOGICAL_FULL,
    LOGICAL_SEMI, /* made by rewrites only */
    LOGICAL_ANTI,
} LogicalJoinKind;

typedef enum LogicalSetKind { LOGICAL_UNION_ALL, LOGICAL_UNION, LOGICAL_INTERSECT, LOGICAL_INTERSECT_ALL, LOGICAL_EXCEPT, LOGICAL_EXCEPT_ALL } LogicalSetKind;

typedef struct Logical Logical;
typedef struct LogicalQuery LogicalQuery;

/* System columns have these attribute numbers, as in PostgreSQL. */
enum { ATTRIBUTE_CTID = -1, ATTRIBUTE_XMIN = -2, ATTRIBUTE_CMIN = -3, ATTRIBUTE_XMAX = -4, ATTRIBUTE_CMAX = -5, ATTRIBUTE_TABLEOID = -6 };

typedef struct LogicalScan {
    const CatRelation *relation; /* held by the LogicalQuery's relation list */
    const char *alias;
    /* columns[i] is attribute attributes[i]; only those named anywhere (the binder prunes) */
    const int16_t *attributes;
    uint32_t range; /* number of the FROM item, for FOR UPDATE OF and EXPLAIN */
} LogicalScan;

typedef struct LogicalFunctions {
    LogicalExprs calls; /* EXPR_SET, or scalar calls that yield one row */
    bool ordinality;    /* the last column */
    const char *alias;
} LogicalFunctions;

typedef struct LogicalAggregate {
    LogicalExprs keys; /* columns 0..keys.n-1 are their values */
    /* Then one column per aggregate (EXPR_AGGREGATE). GROUPING() is refused by the binder. */
    LogicalExprs aggregates;
    const uint64_t *grouping_sets; /* bit k set: key k is grouped by; NULL = one set of all keys */
    uint32_t n_grouping_sets;
} LogicalAggregate;

/* All calls of one window clause. The frame is AST_FRAME_* of parse/ast.h. */
typedef struct LogicalWindow {
    LogicalExprs calls; /* EXPR_WINDOW, one for each column behind the child's */
    LogicalExprs partition;
    const LogicalSort *order;
    uint32_t n_order;
    int32_t frame;
    const Expr *start_offset;
    const Expr *end_offset;
} LogicalWindow;

typedef struct LogicalModifyColumn {
    int16_t attribute;
    const Expr *value; /* over the child's columns (INSERT: the row; UPDATE: the new value) */
} LogicalModifyColumn;

/* ON CONFLICT. */
typedef struct LogicalConflict {
    bool update;               /* DO UPDATE; otherwise DO NOTHING */
    const Oid *indexes;        /* unique indexes that arbitrate; none: any (DO NOTHING only) */
    uint32_t n_indexes;
    const ColumnId *existing;  /* [relation->n_columns] ids of the row that is there */
    const LogicalModifyColumn *set; /* over `existing` and, as "excluded", row_columns */
    uint32_t n_set;
    const Expr *condition;     /* NULL = true */
} LogicalConflict;

typedef enum LogicalModifyKind { LOGICAL_INSERT, LOGICAL_UPDATE, LOGICAL_DELETE } LogicalModifyKind;

typedef struct LogicalModify {
    LogicalModifyKind kind;
    const CatRelation *relation;
    ColumnId row; /* UPDATE, DELETE: the child's column with the row's TID (a hidden system column of the scan) */
    const LogicalModifyColumn *set; /* INSERT: all columns that are not plain defaults NULL; UPDATE: those set */
    uint32_t n_set;
    /* CHECK constraints and NOT NULL are the relation's business: bound expressions over `row_columns`. */
    const struct LogicalCheck {
        const char *name;
        const Expr *condition;
    } *checks;
    uint32_t n_checks;
    const ColumnId *row_columns; /* [relation->n_columns] ids by which checks and RETURNING name the new (DELETE: old) row */
    LogicalExprs returning;      /* one for each output column */
    const LogicalConflict *conflict; /* ON CONFLICT; NULL = none */
} LogicalModify;

struct Logical {
    LogicalKind kind;
    LogicalColumns columns; /* produced */
    Logical *left;
    Logical *right;
    union {
        LogicalScan scan;
        struct {
            const Expr *const *rows; /* n_rows * columns.n */
            uint32_t n_rows;
        } values;
        LogicalFunctions functions;
        struct {
            uint32_t number;            /* LogicalCte.number */
            const ColumnId *attributes; /* columns[i] is this column of the WITH query */
        } cte_scan;
        struct {
            const Expr *condition;
        } filter;
        LogicalExprs project; /* one for each column; also of SET_PROJECT */
        struct {
            LogicalJoinKind kind;
            bool lateral;          /* right names columns of left */
            const Expr *condition; /* NULL = true */
        } join;
        LogicalAggregate aggregate;
        LogicalWindow window;
        struct {
            LogicalExprs on; /* empty = all columns */
        } distinct;
        struct {
            const LogicalSort *keys;
            uint32_t n;
        } sort;
        struct {
            const Expr *count; /* NULL = all */
            const Expr *offset;
            bool with_ties;
        } limit;
        struct {
            LogicalSetKind kind; /* columns pairwise by position, those behind columns.n are ignored */
        } set_operation;
        struct {
            uint32_t cte;
            bool distinct;
        } recursive;
        struct {
            TxnRowLock strength;
            LockWait wait;
            const ColumnId *rows; /* TID columns of the relations to lock */
            const CatRelation *const *relations;
            uint32_t n;
        } lock;
        LogicalModify modify;
    } u;
};

/* A WITH query that is computed once. One that has a single user and no side effects is merged into it and not listed. */
typedef struct LogicalCte {
    const char *name;
    LogicalQuery *query;
    uint32_t number; /* unique in the statement: sublinks may scan a WITH query of an enclosing one */
    bool recursive;
} LogicalCte;

/* A whole query, at the top or in a sublink. */
struct LogicalQuery {
    Logical *root;
    const LogicalCte *ctes;
    uint32_t n_ctes;
    const ColumnId *outer; /* columns of enclosing queries that it names, without duplicates */
    uint32_t n_outer;
    LogicalColumns output; /* what the client sees (root may produce hidden ones behind: sort keys, TIDs) */
};

/*
 * A bound statement. `relations` are held (reference-counted) until logical_release: the statement cache asks whether each
 * is still the current version. `params`: types of $1.. as given or inferred.
 */
typedef struct LogicalStatement {
    LogicalQuery *query;
    const CatRelation *const *relations;
    const LockMode *lock_modes; /* table lock to take for each */
    uint32_t n_relations;
    const ValueType *params;
    uint32_t n_params;
    bool read_only;
    ColumnId next_column; /* ids from here on are free for rewrites */
} LogicalStatement;

/* Asserts L1 to L3 for the whole statement. ST_STATEMENT_TOO_COMPLEX when it is too deep. */
STATUS logical_check(Ctx *cx, const LogicalStatement *s);
/* Appends the tree as indented lines, for tests; the form may change. */
STATUS logical_dump(Ctx *cx, const LogicalStatement *s, StrBuf *out);

#endif
