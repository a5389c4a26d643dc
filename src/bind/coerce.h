/*
 * bind/coerce.h: which types turn into which, and how (PostgreSQL 15 documentation, chapter 10; parse_coerce.c is the
 * behaviour that counts).
 *
 * A literal without a type ('abc') is of type unknown until its context decides; then it is read by the input function of
 * the type it gets, while binding, so that an error points at it.
 */
#ifndef RDB_BIND_COERCE_H
#define RDB_BIND_COERCE_H

#include "expr/expr.h"

typedef enum CoerceContext { COERCE_IMPLICIT, COERCE_ASSIGNMENT, COERCE_EXPLICIT } CoerceContext;

/* What coercion needs to know of the statement. */
typedef struct Coercer {
    ExprBuilder b;
    const SessionFacts *facts; /* for the input functions of literals */
    /* The type of a parameter that has none yet is set by its first use; NULL: parameters have types. */
    Status (*param_type)(void *arg, uint32_t number, Oid type, int32_t location);
    void *param_arg;
} Coercer;

/* Where the expression begins in the text, as PostgreSQL's exprLocation; -1 = unknown. */
int32_t expr_leftmost(const Expr *e);

/* Can a value of `from` become one of `to` in the context? unknown can become anything; polymorphic targets accept by class. */
bool coerce_possible(Oid from, Oid to, CoerceContext context);
/* The bytes may be taken as they are (no function): text as varchar, varchar as text. */
bool coerce_binary(Oid from, Oid to);

/*
 * `e` as to->oid with to->typmod. ST_NOT_FOUND (nothing recorded): there is no such coercion; the caller knows the
 * words. Other statuses: what reading a literal or building says.
 */
STATUS coerce_expr(const Coercer *c, const Expr *e, const ValueType *to, CoerceContext context, ExprForm form,
                   int32_t location, const Expr **out);
/* As coerce_expr, with PostgreSQL's error: 42846 "cannot cast type x to y". */
STATUS coerce_cast(const Coercer *c, const Expr *e, const ValueType *to, int32_t location, const Expr **out);
/* To boolean for `what` ("WHERE"): 42804 "argument of WHERE must be type boolean, not type integer". */
STATUS coerce_boolean(const Coercer *c, const Expr *e, const char *what, const Expr **out);
/* unknown becomes text: for output columns. */
STATUS coerce_known(const Coercer *c, const Expr *e, const Expr **out);

/*
 * The one type that a list of expressions (UNION, CASE, COALESCE, VALUES, ARRAY, IN) is brought to (documentation 10.5).
 * 42804 "`what` types x and y cannot be matched".
 */
STATUS coerce_common_type(const Coercer *c, const Expr *const *exprs, uint32_t n, const char *what, Oid *out_type);
/* Brings all to it, and to one numeric representation. 42846 `what could not convert type x to y`. */
STATUS coerce_all(const Coercer *c, const Expr **exprs, uint32_t n, Oid type, const char *what);

/* "integer", for messages. */
typedef struct TypeText {
    char s[TYPE_NAME_BYTES];
} TypeText;
TypeText type_text(Oid oid);

#endif
