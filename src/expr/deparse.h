/*
 * expr/deparse.h: expressions as SQL text, as pg_get_expr of PostgreSQL 15 prints them.
 *
 * Key idea: without `pretty` every operator, AND, OR, NOT and test stands in its own parentheses; with it, only where
 * leaving them out would change the meaning (AND in OR, arithmetic by precedence). Casts that were not written are not
 * shown, constants carry their type unless the lexer would give them the same one.
 *
 * The text parses to an equivalent tree, so it is also the stored form.
 */
#ifndef RDB_EXPR_DEPARSE_H
#define RDB_EXPR_DEPARSE_H

#include "expr/expr.h"

typedef struct ExprNames {
    void *arg;
    /* Appends the column's name as it is to be shown (qualified, quoted). */
    Status (*column)(void *arg, const Expr *column, StrBuf *out);
    /* Appends a subquery's text, without parentheses; NULL: 0A000. */
    Status (*sublink)(void *arg, const Expr *sublink, StrBuf *out);
    const NameHooks *hooks; /* for reg* constants; may be NULL */
} ExprNames;

/*
 * Appends the text of e. Statuses: ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX, ST_FEATURE_NOT_SUPPORTED (a node without
 * text: executor parameters), those of the callbacks.
 */
STATUS expr_deparse(Ctx *cx, const Expr *e, const ExprNames *names, bool pretty, StrBuf *out);

#endif
