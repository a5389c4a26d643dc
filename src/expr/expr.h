/*
 * expr/expr.h: typed expression trees.
 *
 * Key idea: one node shape. Every node has its type, its children in one array `args` (which child is what depends on
 * the kind, see ExprKind) and a small payload. So walking, rewriting, comparing and hashing are written once, for all
 * kinds. The binder makes trees through the functions below, the planner rewrites them (always by making new nodes),
 * the evaluator compiles them (eval.h), deparse.h prints them.
 *
 * What a node knows of its subtree (facts: does it name columns, is it volatile, ...) and its structural hash are
 * computed when it is made, so the questions a planner asks all the time cost nothing and need no recursion.
 *
 * Representations: numeric has several physical forms (types/value.h). A constructor that takes arguments brings them
 * to the forms its kernel wants by EXPR_FORM_REP calls, which no text shows; so the evaluator never converts.
 *
 * Memory: nodes, their arrays and constants live in the builder's arena and are never freed one by one.
 *
 * Invariants
 *  E1  A node is immutable once a constructor has returned it; trees may share subtrees.
 *  E2  The type of every argument has the representation that the node's FnCall wants (asserted by expr_check).
 *  E3  facts and hash are functions of the subtree; locations and deparse facts do not enter hash and equality.
 *  E4  EXPR_CASE_VALUE stands only below the conditions of an EXPR_CASE with an argument, and means the nearest one's.
 */
#ifndef RDB_EXPR_EXPR_H
#define RDB_EXPR_EXPR_H

#include "types/func.h"

/* Names a column of a query: unique in the statement, so that rewrites never renumber. */
typedef uint32_t ColumnId;

/* One value as it lies in a vector. */
typedef union ExprValue {
    uint8_t b;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
    Int128 i128;
    StrView str;
} ExprValue;

/* Children are listed as args: name, or name... for any number. */
typedef enum ExprKind {
    EXPR_CONST,       /* u.value; NULL pointer = the value NULL */
    EXPR_COLUMN,      /* u.column */
    EXPR_PARAM,       /* op ExprParamKind, u.number */
    EXPR_CASE_VALUE,  /* the value that a simple CASE compares */
    EXPR_CALL,        /* op ExprForm, u.call; args: arguments... */
    EXPR_AND,         /* args: two or more conditions */
    EXPR_OR,          /* likewise */
    EXPR_NOT,         /* args: condition */
    EXPR_NULL_TEST,   /* op 0 IS NULL, 1 IS NOT NULL; args: value */
    EXPR_BOOL_TEST,   /* op ExprBoolTest; args: condition */
    EXPR_DISTINCT,    /* op 0 IS DISTINCT FROM, 1 IS NOT DISTINCT FROM; u.call "="; args: left, right */
    EXPR_CASE,        /* op 1: args[0] is what is compared; then pairs condition, result; last the ELSE result */
    EXPR_COALESCE,    /* args: values... of one representation */
    EXPR_NULLIF,      /* u.call "="; args: left, right (as "=" wants them), the value returned */
    EXPR_MIN_MAX,     /* op 0 GREATEST, 1 LEAST; args: values... of one type and representation */
    EXPR_ANY_ALL,     /* op 0 ANY, 1 ALL; u.call; args: scalar, array */
    EXPR_ARRAY,       /* u.call; args: elements... */
    EXPR_ROW,         /* args: fields...; type record */
    EXPR_ROW_COMPARE, /* op ExprRowOp; args: n left fields, then n right ones, pairwise of one type */
    EXPR_SUBSCRIPT,   /* op 0 element, 1 slice; u.call; args: array, subscripts... (slice: lower, upper of each) */
    EXPR_FIELD,       /* u.number, from 0; args: row */
    EXPR_SESSION,     /* op ExprSessionOp, u.number the precision + 1 or 0; args: the expression that computes it */
    EXPR_COLLATE,     /* the type carries the collation; args: value */
    EXPR_SUBLINK,     /* op ExprSublinkKind, u.sublink; args: left operands of ANY, ALL */
    EXPR_AGGREGATE,   /* u.aggregate; args: direct..., arguments..., order keys..., filter */
    EXPR_WINDOW,      /* u.aggregate; the same, with a window */
    EXPR_SET,         /* u.call: a set-returning function; args: arguments... */
    EXPR_DOMAIN,      /* u.domain: the value checked against a domain; args: value */
    EXPR_KIND_COUNT
} ExprKind;

typedef enum ExprParamKind {
    EXPR_PARAM_EXTERN, /* $1 is number 1 */
    EXPR_PARAM_EXEC    /* set by the executor: outer values of a correlated subplan, results of initial plans; from 0 */
} ExprParamKind;

/* How a call was written. */
typedef enum ExprForm {
    EXPR_FORM_FUNCTION,      /* f(a, b) */
    EXPR_FORM_VARIADIC,      /* f(a, VARIADIC b) */
    EXPR_FORM_SQL,           /* EXTRACT(x FROM y) and the like */
    EXPR_FORM_OPERATOR,      /* a + b, - a */
    EXPR_FORM_CAST_EXPLICIT, /* a::t */
    EXPR_FORM_CAST_IMPLICIT, /* not written */
    EXPR_FORM_REP,           /* change of representation: no meaning in SQL */
} ExprForm;

typedef enum ExprBoolTest {
    EXPR_IS_TRUE,
    EXPR_IS_NOT_TRUE,
    EXPR_IS_FALSE,
    EXPR_IS_NOT_FALSE,
    EXPR_IS_UNKNOWN,
    EXPR_IS_NOT_UNKNOWN
} ExprBoolTest; /* in the order of AstBooleanTestKind */

typedef enum ExprRowOp { EXPR_ROW_LT, EXPR_ROW_LE, EXPR_ROW_GE, EXPR_ROW_GT } ExprRowOp;

typedef enum ExprSessionOp {
    EXPR_CURRENT_DATE,
    EXPR_CURRENT_TIME,
    EXPR_CURRENT_TIMESTAMP,
    EXPR_LOCALTIME,
    EXPR_LOCALTIMESTAMP,
    EXPR_CURRENT_ROLE,
    EXPR_CURRENT_USER,
    EXPR_USER,
    EXPR_SESSION_USER,
    EXPR_CURRENT_CATALOG,
    EXPR_CURRENT_SCHEMA
} ExprSessionOp;

typedef enum ExprSublinkKind {
    EXPR_SUBLINK_EXISTS,
    EXPR_SUBLINK_ALL,
    EXPR_SUBLINK_ANY,
    EXPR_SUBLINK_SCALAR,
    EXPR_SUBLINK_ARRAY
} ExprSublinkKind;

/* Facts of a subtree. */
enum {
    EXPR_HAS_COLUMN = 1 << 0,
    EXPR_HAS_PARAM = 1 << 1,      /* $n */
    EXPR_HAS_EXEC_PARAM = 1 << 2,
    EXPR_HAS_STABLE = 1 << 3,     /* a function that is fixed only within a statement */
    EXPR_HAS_VOLATILE = 1 << 4,
    EXPR_HAS_SUBLINK = 1 << 5,
    EXPR_HAS_AGGREGATE = 1 << 6,
    EXPR_HAS_WINDOW = 1 << 7,
    EXPR_HAS_SET = 1 << 8,
    EXPR_HAS_LEAK = 1 << 9,       /* a function that is not leakproof: it may fail or tell its arguments */
    EXPR_HAS_CASE_VALUE = 1 << 10 /* one that belongs to a CASE above */
};

typedef struct Expr Expr;

typedef struct ExprCall {
    FnCall call;
    Oid oper;       /* the operator it was written as (or is by meaning: NULLIF, ANY), 0 = none */
    bool relabel;   /* a cast that leaves the bytes as they are */
    bool is_typmod; /* a cast to the same type that applies type.typmod */
    bool is_explicit; /* of casts: strings are cut silently */
} ExprCall;

/* An aggregate or window call: the planner replaces it by the column that its operator computes. */
typedef struct ExprAggregate {
    const FnRow *fn;
    const AggRow *agg; /* NULL: a pure window function */
    uint32_t ndirect;
    uint32_t nargs;
    uint32_t norder;
    const uint8_t *order_flags; /* norder: 1 descending, 2 nulls first */
    bool distinct;
    bool star;
    bool has_filter;
    uint32_t window; /* number of the window clause in its query */
} ExprAggregate;

typedef struct ExprSublink {
    const void *query;  /* the binder's; compared by address */
    const OperRow *const *opers; /* of ANY and ALL, one for each of args */
} ExprSublink;

struct Expr {
    uint8_t kind; /* ExprKind */
    uint8_t op;
    uint16_t facts;
    int32_t location; /* byte offset in the statement, -1 = unknown */
    ValueType type;
    uint32_t hash;
    uint32_t nargs;
    const Expr *const *args;
    union {
        const ExprValue *value;
        ColumnId column;
        uint32_t number;
        const ExprCall *call;
        const ExprAggregate *aggregate;
        const ExprSublink *sublink;
        Oid domain;
    } u;
};

static inline bool expr_is_const(const Expr *e) { return e->kind == EXPR_CONST; }
static inline bool expr_is_null_const(const Expr *e) { return e->kind == EXPR_CONST && e->u.value == NULL; }
static inline bool expr_is_true(const Expr *e)
{
    return e->kind == EXPR_CONST && e->type.oid == OID_BOOL && e->u.value != NULL && e->u.value->b != 0;
}
static inline bool expr_is_false(const Expr *e)
{
    return e->kind == EXPR_CONST && e->type.oid == OID_BOOL && e->u.value != NULL && e->u.value->b == 0;
}
/* 'i' immutable, 's' stable, 'v' volatile, as pg_proc.provolatile. */
static inline char expr_volatility(const Expr *e)
{
    return e->facts & EXPR_HAS_VOLATILE ? 'v' : e->facts & EXPR_HAS_STABLE ? 's' : 'i';
}
/* The same value for every row of one execution. */
static inline bool expr_is_row_free(const Expr *e)
{
    return !(e->facts & (EXPR_HAS_COLUMN | EXPR_HAS_VOLATILE | EXPR_HAS_SUBLINK | EXPR_HAS_AGGREGATE | EXPR_HAS_WINDOW |
                         EXPR_HAS_SET | EXPR_HAS_CASE_VALUE));
}
static inline bool expr_is_leakproof(const Expr *e) { return !(e->facts & EXPR_HAS_LEAK); }

/* ---- construction ---- */

typedef struct ExprBuilder {
    Ctx *cx;
    Arena *arena;
    const Registry *registry;
} ExprBuilder;

/*
 * All return ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX where they recurse, and what the resolution of functions
 * says (0A000, 42846). Arrays of arguments are copied, strings of constants too.
 */

/* `value` has phys_bytes(type->phys) bytes; NULL = the value NULL. */
STATUS expr_const(const ExprBuilder *b, const ValueType *type, const void *value, int32_t location, const Expr **out);
STATUS expr_const_bool(const ExprBuilder *b, bool value, const Expr **out);
STATUS expr_const_null(const ExprBuilder *b, const ValueType *type, const Expr **out);
STATUS expr_column(const ExprBuilder *b, ColumnId id, const ValueType *type, int32_t location, const Expr **out);
STATUS expr_param(const ExprBuilder *b, ExprParamKind kind, uint32_t number, const ValueType *type, int32_t location,
                  const Expr **out);
STATUS expr_case_value(const ExprBuilder *b, const ValueType *type, const Expr **out);

/*
 * A call of `fn`; arguments already have the function's types (defaults filled in, casts applied), polymorphic results
 * are resolved by the caller. A set-returning function makes an EXPR_SET. `form` FUNCTION, VARIADIC or SQL.
 */
STATUS expr_function(const ExprBuilder *b, const FnRow *fn, ExprForm form, const Expr *const *args, uint32_t nargs,
                     Oid result, Oid collation, int32_t location, const Expr **out);
/* left NULL: a prefix operator. */
STATUS expr_operator(const ExprBuilder *b, const OperRow *op, const Expr *left, const Expr *right, Oid result,
                     Oid collation, int32_t location, const Expr **out);
/*
 * arg as to->oid with to->typmod: cast function, relabelling, I/O or element-wise conversion, then the typmod. The
 * result may be `arg` itself. `form` CAST_EXPLICIT or CAST_IMPLICIT is what is shown; `is_explicit` says whether long
 * strings are cut silently (a cast) or refused (an assignment). Constants stay unevaluated: fold them.
 */
STATUS expr_cast(const ExprBuilder *b, const Expr *arg, const ValueType *to, ExprForm form, bool is_explicit,
                 int32_t location, const Expr **out);
/* Another representation of the same type; constants are converted at once. */
STATUS expr_rep(const ExprBuilder *b, const Expr *arg, const ValueType *to, const Expr **out);
/* Brings all to one representation without changing how any value prints: what CASE, COALESCE, UNION columns need. */
STATUS expr_unify(const ExprBuilder *b, const Expr **args, uint32_t nargs);
/* The representation expr_unify brings values of these types (one OID) to. */
ValueType expr_common_rep(const ValueType *a, const ValueType *b);

/* n = 0: true for AND, false for OR; n = 1: the argument. Nested ones are not flattened (fold does). */
STATUS expr_and(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, const Expr **out);
STATUS expr_or(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, const Expr **out);
STATUS expr_not(const ExprBuilder *b, const Expr *arg, const Expr **out);
STATUS expr_null_test(const ExprBuilder *b, const Expr *arg, bool is_not, const Expr **out);
STATUS expr_bool_test(const ExprBuilder *b, const Expr *arg, ExprBoolTest test, const Expr **out);
STATUS expr_distinct(const ExprBuilder *b, const OperRow *eq, const Expr *left, const Expr *right, bool is_not,
                     int32_t location, const Expr **out);
/*
 * args as EXPR_CASE has them, without or with the compared value first (`has_value`), results of one type; the
 * conditions of a simple CASE name the value by expr_case_value. The ELSE result is always given (NULL constant).
 */
STATUS expr_case(const ExprBuilder *b, bool has_value, const Expr *const *args, uint32_t nargs, int32_t location,
                 const Expr **out);
STATUS expr_coalesce(const ExprBuilder *b, const Expr *const *args, uint32_t nargs, int32_t location,
                     const Expr **out);
/* cmp_left and cmp_right are left and right cast to what `eq` compares; the value is `left`, of its own type. */
STATUS expr_nullif(const ExprBuilder *b, const OperRow *eq, const Expr *cmp_left, const Expr *cmp_right,
                   const Expr *left, int32_t location, const Expr **out);
STATUS expr_min_max(const ExprBuilder *b, bool least, const Expr *const *args, uint32_t nargs, int32_t location,
                    const Expr **out);
/* scalar op ANY/ALL (array); an IN list is = ANY (ARRAY[...]), NOT IN is <> ALL. */
STATUS expr_any_all(const ExprBuilder *b, const OperRow *op, bool all, const Expr *scalar, const Expr *array,
                    int32_t location, const Expr **out);
/* Elements of the array type's element type, or arrays of the same type (one dimension more). */
STATUS expr_array(const ExprBuilder *b, Oid array_type, const Expr *const *elements, uint32_t n, int32_t location,
                  const Expr **out);
STATUS expr_row(const ExprBuilder *b, const Expr *const *fields, uint32_t n, int32_t location, const Expr **out);
/* = and <> of rows are AND of =, OR of <>: the binder makes them. Pairs have one type each. */
STATUS expr_row_compare(const ExprBuilder *b, ExprRowOp op, const Expr *const *left, const Expr *const *right,
                        uint32_t n, int32_t location, const Expr **out);
/* Subscripts are int4. Slices: lower and upper for each dimension, NULL constants where omitted. */
STATUS expr_subscript(const ExprBuilder *b, const Expr *array, bool slice, const Expr *const *subscripts, uint32_t n,
                      int32_t location, const Expr **out);
STATUS expr_field(const ExprBuilder *b, const Expr *row, uint32_t field, const ValueType *type, int32_t location,
                  const Expr **out);
/* `body` computes it: now()::date, current_user(), ...; precision -1 = none. */
STATUS expr_session(const ExprBuilder *b, ExprSessionOp op, int32_t precision, const Expr *body, int32_t location,
                    const Expr **out);
STATUS expr_collate(const ExprBuilder *b, const Expr *arg, Oid collation, int32_t location, const Expr **out);
STATUS expr_sublink(const ExprBuilder *b, ExprSublinkKind kind, const ExprSublink *sublink, const Expr *const *left,
                    uint32_t n, const ValueType *type, int32_t location, const Expr **out);
STATUS expr_aggregate(const ExprBuilder *b, ExprKind kind, const ExprAggregate *agg, const Expr *const *args,
                      const ValueType *type, int32_t location, const Expr **out);
STATUS expr_domain(const ExprBuilder *b, Oid domain, const Expr *arg, int32_t location, const Expr **out);

/*
 * The node with other children (as many, of the same type OIDs). Calls whose arguments change representation are
 * resolved anew, so the result may have another representation too; the same children give the same node.
 */
STATUS expr_with_args(const ExprBuilder *b, const Expr *e, const Expr *const *args, const Expr **out);

/* ---- walking and rewriting (walk.c) ---- */

/* What a visitor wants next; or stop. */
typedef enum ExprVisit { EXPR_DESCEND, EXPR_SKIP, EXPR_STOP } ExprVisit;
/* Calls visit for e, then (EXPR_DESCEND) its children, in order. ST_STATEMENT_TOO_COMPLEX when too deep. */
STATUS expr_walk(const Expr *e, ExprVisit (*visit)(void *arg, const Expr *e), void *arg, Error *err);

/*
 * Rewrites bottom-up: `fn` gets each node with its children rewritten and answers the node to put there (itself, to
 * leave it). Shared subtrees that do not change stay shared. Statuses: those of fn and of construction.
 */
typedef Status ExprRewriteFn(void *arg, const ExprBuilder *b, const Expr *e, const Expr **out);
STATUS expr_rewrite(const ExprBuilder *b, const Expr *e, ExprRewriteFn *fn, void *arg, const Expr **out);

/*
 * Equal but for locations and how calls were written: the same value in the same row, if not volatile. Equal trees
 * have equal hashes. Statuses as expr_walk.
 */
STATUS expr_equal(const Expr *a, const Expr *b, Error *err, bool *out_equal);
/* The same kind, payload and type; children aside. */
bool expr_same_node(const Expr *a, const Expr *b);

/* Calls add(arg, column node) for every column reference. */
STATUS expr_columns(const Expr *e, void (*add)(void *arg, const Expr *column), void *arg, Error *err);
/* Does e name a column for which `in` says yes? */
STATUS expr_uses_columns(const Expr *e, bool (*in)(void *arg, ColumnId id), void *arg, Error *err, bool *out_uses);
/*
 * Replaces column references: `find` answers the expression for a column, or NULL to keep it. Replacements have the
 * column's type OID; another representation is carried through.
 */
STATUS expr_substitute(const ExprBuilder *b, const Expr *e, const Expr *(*find)(void *arg, const Expr *column),
                       void *arg, const Expr **out);
/* Appends the conjuncts of e (nested ANDs taken apart) by calling add until it fails. */
STATUS expr_conjuncts(const Expr *e, Status (*add)(void *arg, const Expr *e), void *arg, Error *err);

/* Asserts E2 to E4 for the whole tree. ST_STATEMENT_TOO_COMPLEX when too deep. */
STATUS expr_check(const Expr *e, Error *err);

#endif
