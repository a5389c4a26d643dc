/*
 * parse/keywords.h: PostgreSQL 15's keywords, for quoting identifiers, pg_get_keywords and completion.
 */
#ifndef RDB_PARSE_KEYWORDS_H
#define RDB_PARSE_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

typedef enum KeywordCategory {
    KEYWORD_UNRESERVED,
    KEYWORD_COL_NAME,       /* cannot be function or type name */
    KEYWORD_TYPE_FUNC_NAME, /* reserved, but can be function or type name */
    KEYWORD_RESERVED
} KeywordCategory;

typedef struct Keyword {
    Str word; /* lower case */
    KeywordCategory category;
    bool bare_label; /* may be a column label without AS */
} Keyword;

/* The number of keywords, and the i-th in ASCII order. */
size_t keyword_count(void);
const Keyword *keyword_at(size_t i);
/* NULL: not a keyword. ASCII case does not matter. */
const Keyword *keyword_find(const char *word, size_t len);

/* Must an identifier be put in quotes, as quote_ident does? Always when it is not lower-case or a keyword that is not
 * unreserved. */
bool keyword_ident_needs_quotes(const char *ident, size_t len);
/* Appends the identifier, in quotes where needed. */
void strbuf_put_ident(StrBuf *b, Str ident);

#endif
