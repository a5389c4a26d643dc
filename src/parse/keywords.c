/*
 * parse/keywords.c: look-up by binary search in the sorted table; keywords are looked up when quoting, not when parsing.
 */
#include "parse/keywords.h"

static const Keyword keywords[] = {
#define KEYWORD(word, category, bare_label) {{word, sizeof(word) - 1}, KEYWORD_##category, bare_label},
#include "parse/keywords.def"
#undef KEYWORD
};

enum { KEYWORD_BYTES_MAX = 17 }; /* current_timestamp */

size_t keyword_count(void)
{
    return ARRAY_LEN(keywords);
}

const Keyword *keyword_at(size_t i)
{
    ASSERT(i < ARRAY_LEN(keywords));
    return &keywords[i];
}

const Keyword *keyword_find(const char *word, size_t len)
{
    char lower[KEYWORD_BYTES_MAX];
    if (len == 0 || len > sizeof lower) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        lower[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + ('a' - 'A') : word[i]);
    }
    size_t low = 0;
    size_t high = ARRAY_LEN(keywords);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp((Str){lower, len}, keywords[middle].word);
        if (order == 0) {
            return &keywords[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

bool keyword_ident_needs_quotes(const char *ident, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = ident[i];
        bool start = (c >= 'a' && c <= 'z') || c == '_';
        if (!start && (i == 0 || c < '0' || c > '9')) {
            return true;
        }
    }
    const Keyword *keyword = keyword_find(ident, len);
    return len == 0 || (keyword != NULL && keyword->category != KEYWORD_UNRESERVED);
}

void strbuf_put_ident(StrBuf *b, Str ident)
{
    if (!keyword_ident_needs_quotes(ident.p, ident.len)) {
        strbuf_append(b, ident.p, ident.len);
        return;
    }
    strbuf_putc(b, '"');
    for (size_t i = 0; i < ident.len; i++) {
        if (ident.p[i] == '"') {
            strbuf_putc(b, '"');
        }
        strbuf_putc(b, ident.p[i]);
    }
    strbuf_putc(b, '"');
}
