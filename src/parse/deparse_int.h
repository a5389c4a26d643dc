/*
 * parse/deparse_int.h: what the deparser's files share.
 *
 * Errors are sticky: a function that meets one notes it in the Printer and the rest prints into the void; the entry
 * returns it.
 */
#ifndef RDB_PARSE_DEPARSE_INT_H
#define RDB_PARSE_DEPARSE_INT_H

#include "parse/ast.h"
#include "parse/deparse.h"

typedef struct Printer {
    StrBuf *out;
    Error *err;
    Status st;
} Printer;

/* Writing. */
void put(Printer *p, const char *s);
void put_ident(Printer *p, Str name);
/* In quotes also if it is any keyword: where the grammar gives some unreserved ones a meaning. */
void put_plain_ident(Printer *p, Str name);
void put_string(Printer *p, Str value); /* as a literal */
void put_int(Printer *p, int64_t value);
void put_names(Printer *p, const AstNames *names, const char *separator);
/* " (a, b)", nothing if empty */
void put_name_list(Printer *p, const AstNames *names);
void put_list(Printer *p, const AstList *list, const char *separator, void (*item)(Printer *, const AstNode *));
void put_unsupported(Printer *p, const AstNode *node);
/* False, with the error noted, when the stack or an earlier error forbids to go on. */
bool put_may_descend(Printer *p);

/* Expressions: as they are; in parentheses unless primary; types. */
void put_expr(Printer *p, const AstNode *node);
void put_operand(Printer *p, const AstNode *node);
void put_type(Printer *p, const AstTypeName *type);
void put_sort_by(Printer *p, const AstNode *node);
void put_order_by(Printer *p, const char *before, const AstList *list); /* nothing if empty */
void put_window_spec(Printer *p, const AstWindowDef *w);                /* "(...)" */
void put_path(Printer *p, const AstList *path);                         /* .field[subscript].* */
void put_sort_order(Printer *p, AstSortDir dir, AstSortNulls nulls);

/* Queries. */
void put_query(Printer *p, const AstNode *node); /* any statement that may stand in WITH */
void put_range_var(Printer *p, const AstRangeVar *rv);
void put_from_item(Printer *p, const AstNode *node);
void put_index_elem(Printer *p, const AstNode *node);
bool put_is_query(const AstNode *node);
bool put_is_from_item(const AstNode *node);

/* Other statements. */
void put_statement(Printer *p, const AstNode *node);

#endif
