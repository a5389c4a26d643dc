/*
 * expr/expr_int.h: what the files of this folder share. Private.
 */
#ifndef RDB_EXPR_EXPR_INT_H
#define RDB_EXPR_EXPR_INT_H

#include "expr/expr.h"

/* A node with its children copied; facts and hash are filled in by expr_seal. NULL: no memory (recorded). */
Expr *expr_new(const ExprBuilder *b, ExprKind kind, unsigned op, const ValueType *type, const Expr *const *args,
               uint32_t nargs, int32_t location);
const Expr *expr_seal(Expr *e);

/*
 * The value of an expression without columns, parameters and the like. An error of the evaluation itself (not memory,
 * not an interrupt) is not reported: *out_failed says so. The value lives in b->arena; NULL = NULL.
 */
STATUS expr_evaluate(const ExprBuilder *b, const SessionFacts *facts, const Expr *e, bool *out_failed,
                     const ExprValue **out_value);

static inline Status expr_nomem(const ExprBuilder *b) { return ctx_nomem(b->cx, sizeof(Expr)); }

/* The relabelling, change of representation or collation above an expression taken away. */
const Expr *expr_strip(const Expr *e);

/*
 * text or name LIKE (or NOT LIKE) a pattern that is constant and cannot fail: one that does not end with the escape
 * character, which is an error only if matching gets there.
 */
bool expr_is_constant_like(const Expr *e, bool *out_negated, Str *out_pattern);

/* The default btree operator family of a type; 0 = none. */
Oid expr_btree_family(Oid type);
/* Strategy 1..5 of an operator on exactly these types in the type's default btree family; 0 = none. */
int expr_btree_strategy(Oid oper, Oid left, Oid right);

#endif
