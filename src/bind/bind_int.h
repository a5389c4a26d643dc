/*
 * bind/bind_int.h: what the files of the binder share. Private.
 */
#ifndef RDB_BIND_BIND_INT_H
#define RDB_BIND_BIND_INT_H

#include "bind/bind.h"
#include "bind/overload.h"
#include "parse/parse.h"

/* For chains of calls that own nothing: everything lives in the statement's arena. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        Status try_status_ = (call);                                                                                   \
        if (try_status_ != ST_OK) {                                                                                    \
            return try_status_;                                                                                        \
        }                                                                                                              \
    } while (0)

/* A growing array in the arena. */
#define BIND_VEC(T)                                                                                                         \
    struct {                                                                                                           \
        T *v;                                                                                                          \
        uint32_t n, cap;                                                                                               \
    }
#define PUSH(b, vec, item)                                                                                             \
    ((vec)->n < (vec)->cap || ((vec)->v = bind_grow((b), (vec)->v, &(vec)->cap, sizeof *(vec)->v)) != NULL             \
         ? ((vec)->v[(vec)->n++] = (item), ST_OK)                                                                      \
         : ST_OUT_OF_MEMORY)

/* Where an expression stands: decides what it may contain, and gives errors their words. */
typedef enum BindPlace {
    PLACE_SELECT,
    PLACE_FROM_FUNCTION,
    PLACE_JOIN_ON,
    PLACE_WHERE,
    PLACE_HAVING,
    PLACE_FILTER,
    PLACE_GROUP_BY,
    PLACE_ORDER_BY,
    PLACE_DISTINCT_ON,
    PLACE_WINDOW,
    PLACE_LIMIT,
    PLACE_OFFSET,
    PLACE_VALUES,
    PLACE_RETURNING,
    PLACE_UPDATE,
    PLACE_CHECK,
    PLACE_DEFAULT,
} BindPlace;

typedef struct RangeColumn {
    const char *name;
    const Expr *expr; /* EXPR_COLUMN, or what a merged column of USING is */
    Oid table;
    int16_t attribute;
} RangeColumn;

/* One FROM item, or the columns of a join with USING or an alias. */
typedef struct RangeItem {
    const char *name; /* alias; NULL: columns only */
    const CatRelation *rel;
    const char *schema; /* as written, NULL = not */
    RangeColumn *columns;
    uint32_t n_columns;
    Logical *scan; /* of a table: where system columns are added */
    uint32_t range;
    bool scalar; /* a function with one column: the row is the value */
    bool is_join;
} RangeItem;

typedef struct ScopeEntry {
    RangeItem *item;
    bool table_visible;   /* t.a, t.* */
    bool columns_visible; /* a, * */
    bool lateral_only;    /* seen from LATERAL items only, while FROM is being bound */
    bool lateral_ok;
} ScopeEntry;

typedef BIND_VEC(ScopeEntry) ScopeEntries;
typedef BIND_VEC(const Expr *) ExprVec;
typedef BIND_VEC(LogicalColumn) ColumnVec;

typedef struct CteEntry CteEntry;
typedef struct Scope Scope;

typedef struct WindowClause {
    const char *name; /* NULL: written after OVER */
    ExprVec partition;
    LogicalSort *order;
    uint32_t n_order;
    int32_t frame;
    const Expr *start_offset;
    const Expr *end_offset;
} WindowClause;

/* One query level. */
struct Scope {
    Scope *parent;
    ScopeEntries names;
    BIND_VEC(RangeItem *) all; /* every item of the level, for hints */
    CteEntry *ctes;       /* visible here; chained to those of outer levels */
    BindPlace place;
    bool lateral_active;
    bool in_aggregate; /* binding arguments of an aggregate call of this level */
    bool in_window;
    bool has_set;        /* set-returning functions were bound in the select list */
    ExprVec aggregates;  /* EXPR_AGGREGATE that belong to this level */
    BIND_VEC(WindowClause) windows;
    const AstList *window_defs;
};

struct CteEntry {
    CteEntry *next; /* outer */
    const char *name;
    LogicalQuery *query; /* NULL while a recursive one is being bound */
    ColumnVec columns;
    uint32_t number;
    bool recursive;
    bool is_working; /* its own step is being bound */
    bool once;       /* may be merged when there is one user */
    BIND_VEC(Logical *) scans;
};

/* What owns WITH queries: the statement or a sublink. */
typedef struct Frame {
    struct Frame *parent;
    BIND_VEC(CteEntry *) ctes;
} Frame;

/* Whose a column is. */
typedef struct ColumnOwner {
    Scope *scope; /* NULL: made above the FROM clause */
    RangeItem *item;
    const char *name;
} ColumnOwner;

typedef struct Binder {
    Ctx *cx;
    const BindEnv *env;
    Coercer c;
    BIND_VEC(ColumnOwner) owners; /* by ColumnId */
    BIND_VEC(const CatRelation *) relations;
    BIND_VEC(LockMode) lock_modes;
    BIND_VEC(ValueType) params;
    Frame *frame;
    uint32_t next_range;
    uint32_t next_cte;
    bool writes;
} Binder;

/* The result of a query: an operator and the first `n` of its columns. */
typedef struct Rows {
    Logical *root;
    LogicalColumn *columns;
    uint32_t n;
} Rows;

/* One output of a select list. */
typedef struct Target {
    const Expr *expr;
    const char *name;
    Oid table;
    int16_t attribute;
    bool hidden;
} Target;
typedef BIND_VEC(Target) Targets;

/* binder.c */
void *bind_grow(Binder *b, void *v, uint32_t *cap, size_t item_bytes);
Status bind_error(Binder *b, int32_t location, Status st, const char *fmt, ...) PRINTF_LIKE(4, 5);
Status bind_unsupported(Binder *b, int32_t location, const char *what);
STATUS bind_deeper(Binder *b); /* checks the stack */
STATUS bind_new_column(Binder *b, Scope *s, RangeItem *item, const char *name, ColumnId *out_id);
STATUS bind_logical(Binder *b, LogicalKind kind, Logical *left, Logical *right, Logical **out);
STATUS bind_hold(Binder *b, const AstRangeVar *rv, LockMode mode, const CatRelation **out_rel);
STATUS bind_query_of(Binder *b, Frame *frame, const Rows *rows, LogicalQuery **out);

/* scope.c */
Scope *scope_new(Binder *b, Scope *parent); /* NULL: no memory */
STATUS scope_add(Binder *b, Scope *s, RangeItem *item);
STATUS scope_column_ref(Binder *b, Scope *s, const AstColumnRef *ref, const Expr **out, Target *out_target);
STATUS scope_star(Binder *b, Scope *s, const AstColumnRef *ref, Targets *out);
STATUS scope_system_column(Binder *b, Scope *s, RangeItem *item, const char *name, int32_t location, const Expr **out,
                           bool *out_found);
STATUS scope_whole_row(Binder *b, RangeItem *item, int32_t location, const Expr **out);
RangeItem *scope_find_item(Binder *b, Scope *s, Str schema, Str name);

/* typename.c */
STATUS bind_type_name(Binder *b, const AstTypeName *name, ValueType *out);

/* expr.c and its neighbours */
STATUS bind_expr(Binder *b, Scope *s, AstNode *node, const Expr **out);
STATUS bind_expr_at(Binder *b, Scope *s, AstNode *node, BindPlace place, const Expr **out);
STATUS bind_condition(Binder *b, Scope *s, AstNode *node, BindPlace place, const char *what, const Expr **out);
STATUS bind_op_expr(Binder *b, Scope *s, AstOpExpr *e, const Expr **out);
STATUS bind_sublink(Binder *b, Scope *s, AstSubLink *e, const Expr **out);
STATUS bind_func_call(Binder *b, Scope *s, AstFuncCall *e, const Expr **out);
STATUS bind_call(Binder *b, const char *name, const Expr *const *args, uint32_t n, int32_t location, const Expr **out);
STATUS bind_operator_pair(Binder *b, const char *name, const Expr **l, const Expr **r, int32_t location,
                          OperChoice *out);
const char *bind_place_name(BindPlace place);

/* from.c, cte.c */
STATUS bind_from(Binder *b, Scope *s, const AstList *from, Logical **out); /* NULL: no FROM */
STATUS bind_table(Binder *b, Scope *s, const AstRangeVar *rv, LockMode mode, RangeItem **out_item, Logical **out);
STATUS bind_with(Binder *b, Scope *s, const AstWithClause *with);
STATUS bind_cte_scan(Binder *b, Scope *s, CteEntry *cte, const AstRangeVar *rv, RangeItem **out_item, Logical **out);
CteEntry *bind_find_cte(Scope *s, const AstRangeVar *rv);
STATUS bind_alias(Binder *b, RangeItem *item, const AstAlias *alias, int32_t location);

/* select.c, group.c, setop.c */
STATUS bind_select(Binder *b, Scope *parent, AstNode *node, bool resolve_unknown, Rows *out);
STATUS bind_select_in(Binder *b, Scope *s, AstSelectStmt *q, bool resolve_unknown, Rows *out);
STATUS bind_set_operation(Binder *b, Scope *s, AstSelectStmt *q, Rows *out);
STATUS bind_values(Binder *b, Scope *s, AstSelectStmt *q, Rows *out);
STATUS bind_targets(Binder *b, Scope *s, const AstList *list, BindPlace place, Targets *out);
STATUS bind_project(Binder *b, Logical *child, const Targets *targets, Rows *out);
STATUS bind_limit(Binder *b, Scope *s, AstSelectStmt *q, Rows *io);
STATUS bind_order_key(Binder *b, const AstSortBy *sb, const Expr *key, LogicalSort *out);
STATUS bind_rows_as(Binder *b, Rows *io, const Oid *types, const char *what);
STATUS bind_grouping(Binder *b, Scope *s, AstSelectStmt *q, Logical *child, Targets *targets, const Expr **having,
                     Logical **out);
STATUS bind_window_clause(Binder *b, Scope *s, const AstWindowDef *def, uint32_t *out_number);
STATUS bind_windows(Binder *b, Scope *s, Logical *child, Targets *targets, Logical **out);
/* Calls fn for each expression of the operators below, those of sublinks aside, and puts back what it answers. */
typedef Status LogicalExprFn(void *arg, const Expr **io);
STATUS logical_each_expr(Binder *b, Logical *l, LogicalExprFn *fn, void *arg);

/* modify.c */
STATUS bind_modify(Binder *b, Scope *parent, AstNode *node, Rows *out);

/* finish.c */
STATUS bind_finish(Binder *b, LogicalStatement *s);

#endif
