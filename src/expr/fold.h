/*
 * expr/fold.h: simplifying expressions at plan time.
 *
 * Key idea: what depends on nothing is evaluated once, by the evaluator itself, so folding and execution cannot
 * disagree. An evaluation that fails is left in place: it fails at run time, if a row really needs it. So folding never
 * raises an error that the query as written would not.
 *
 * Also: AND and OR are flattened and lose their neutral parts, NOT moves inwards (De Morgan, negators), CASE and
 * COALESCE lose branches that cannot be taken, = ANY over an empty or NULL array is decided. Types are kept.
 */
#ifndef RDB_EXPR_FOLD_H
#define RDB_EXPR_FOLD_H

#include "expr/expr.h"

/*
 * `facts` NULL: only immutable functions are evaluated (plans that are kept); otherwise stable ones too. Statuses:
 * ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX, interrupts.
 */
STATUS expr_fold(const ExprBuilder *b, const SessionFacts *facts, const Expr *e, const Expr **out);

/* The logical negation of a boolean, with NOT as far inside as it goes. */
STATUS expr_negate(const ExprBuilder *b, const Expr *e, const Expr **out);

#endif
