/*
 * parse/convert_int.h: between bridge.c and convert.c.
 */
#ifndef RDB_PARSE_CONVERT_INT_H
#define RDB_PARSE_CONVERT_INT_H

#include "parse/ast.h"

struct List; /* PostgreSQL's */

/*
 * Converts the parser's result (a list of RawStmt, or of one TypeName) into cx->arena. Statuses: ST_OUT_OF_MEMORY,
 * ST_STATEMENT_TOO_COMPLEX, ST_SYNTAX_ERROR for what the library accepts and PostgreSQL does not, interrupts.
 */
STATUS convert_statements(Ctx *cx, const struct List *tree, const char *text, size_t len, AstStmtList **out_stmts);

#endif
