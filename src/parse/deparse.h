/*
 * parse/deparse.h: a syntax tree back to SQL text.
 *
 * Key idea: the text parses to the same tree (tests hold the corpus to it: parse(deparse(parse(x))) equals parse(x));
 * beauty comes second. An operand that is not a primary expression stands in parentheses, so precedence needs no table.
 *
 * Covers expressions, type names, queries (SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE with all clauses) and the
 * statements around a query (EXPLAIN, PREPARE, EXECUTE, DECLARE CURSOR, COPY, CREATE VIEW, CREATE TABLE AS, ...).
 */
#ifndef RDB_PARSE_DEPARSE_H
#define RDB_PARSE_DEPARSE_H

#include "base/str.h"
#include "parse/ast.h"

/*
 * Appends the text of a statement, an expression, a type name or an item of FROM. On failure part of it may have been
 * appended. Statuses: ST_FEATURE_NOT_SUPPORTED naming the node that has no text; ST_STATEMENT_TOO_COMPLEX;
 * ST_OUT_OF_MEMORY.
 */
STATUS ast_deparse(const AstNode *node, Error *err, StrBuf *out);

#endif
