/*
 * parse/scan.c: the lexer, after PostgreSQL 15's src/backend/parser/scan.l; the names of its rules are in the comments.
 */
#include "parse/scan.h"

#include <string.h>

/* Classes of characters, a bit set each. */
enum {
    C_SPACE = 1,       /* blank, tab, newline, carriage return, form feed */
    C_IDENT_START = 2, /* letters, underscore, all bytes above ASCII */
    C_IDENT = 4,       /* and digits, dollar */
    C_DIGIT = 8,
    C_OPERATOR = 16,     /* op_chars */
    C_SELF = 32,         /* single characters that are tokens */
    C_OPERATOR_TAIL = 64 /* an operator with one of these may end in + or - */
};

#define LETTER (C_IDENT_START | C_IDENT)
#define DIGIT (C_DIGIT | C_IDENT)
static const uint8_t char_class[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['a' ... 'z'] = LETTER,
    ['A' ... 'Z'] = LETTER,
    ['_'] = LETTER,
    [0x80 ... 0xff] = LETTER,
    ['0' ... '9'] = DIGIT,
    ['$'] = C_IDENT,
    ['~'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['!'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['@'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['#'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['&'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['|'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['`'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['?'] = C_OPERATOR | C_OPERATOR_TAIL,
    ['%'] = C_OPERATOR | C_OPERATOR_TAIL | C_SELF,
    ['^'] = C_OPERATOR | C_OPERATOR_TAIL | C_SELF,
    ['+'] = C_OPERATOR | C_SELF,
    ['-'] = C_OPERATOR | C_SELF,
    ['*'] = C_OPERATOR | C_SELF,
    ['/'] = C_OPERATOR | C_SELF,
    ['<'] = C_OPERATOR | C_SELF,
    ['>'] = C_OPERATOR | C_SELF,
    ['='] = C_OPERATOR | C_SELF,
    [','] = C_SELF,
    ['('] = C_SELF,
    [')'] = C_SELF,
    ['['] = C_SELF,
    [']'] = C_SELF,
    ['.'] = C_SELF,
    [';'] = C_SELF,
    [':'] = C_SELF,
};

/* The character `ahead` of the position, 0 at and beyond the end. */
static char peek(const Scanner *s, size_t ahead)
{
    return s->len - s->pos > ahead ? s->text[s->pos + ahead] : '\0';
}

static bool is_class(char c, int bits)
{
    return (char_class[(unsigned char)c] & bits) != 0;
}

static void skip_class(Scanner *s, int bits)
{
    while (s->pos < s->len && is_class(s->text[s->pos], bits)) {
        s->pos++;
    }
}

static ScanToken token(const Scanner *s, ScanKind kind, size_t begin)
{
    return (ScanToken){.kind = kind, .begin = begin, .len = s->pos - begin};
}

static ScanToken unclosed(Scanner *s, ScanOpen open, size_t begin)
{
    s->pos = s->len;
    return (ScanToken){.kind = SCAN_ERROR, .open = open, .begin = begin, .len = s->len - begin};
}

/* Blanks and comments. */

static void skip_line_comment(Scanner *s)
{
    while (s->pos < s->len && s->text[s->pos] != '\n' && s->text[s->pos] != '\r') {
        s->pos++;
    }
}

/* Comments nest. False: unclosed. */
static bool skip_block_comment(Scanner *s)
{
    size_t depth = 0;
    while (s->pos < s->len) {
        char c = s->text[s->pos];
        char next = peek(s, 1);
        if (c == '/' && next == '*') {
            depth++;
            s->comment_depth_max = depth > s->comment_depth_max ? depth : s->comment_depth_max;
            s->pos += 2;
        } else if (c == '*' && next == '/') {
            s->pos += 2;
            if (--depth == 0) {
                return true;
            }
        } else {
            s->pos++;
        }
    }
    return false;
}

static bool at_comment(const Scanner *s, char first)
{
    return peek(s, 0) == first && peek(s, 1) == (first == '-' ? '-' : '*');
}

static ScanToken comment(Scanner *s)
{
    size_t begin = s->pos;
    if (at_comment(s, '-')) {
        skip_line_comment(s);
    } else if (!skip_block_comment(s)) {
        return unclosed(s, SCAN_OPEN_COMMENT, begin);
    }
    return token(s, SCAN_COMMENT, begin);
}

/* Strings. */

/*
 * quotecontinue: blanks and line comments with a newline among them, then a quote. If that is what follows, goes behind
 * the quote.
 */
static bool skip_continuation(Scanner *s)
{
    Scanner look = *s;
    bool newline = false;
    for (;;) {
        char c = peek(&look, 0);
        if (is_class(c, C_SPACE)) {
            newline = newline || c == '\n' || c == '\r';
            look.pos++;
        } else if (at_comment(&look, '-')) {
            skip_line_comment(&look);
        } else {
            break;
        }
    }
    if (!newline || peek(&look, 0) != '\'') {
        return false;
    }
    s->pos = look.pos + 1;
    return true;
}

/* The position is behind the opening quote. False: unclosed. */
static bool skip_quoted(Scanner *s, char quote, bool escapes)
{
    while (s->pos < s->len) {
        char c = s->text[s->pos++];
        if (c == quote) {
            if (peek(s, 0) != quote) {
                return true;
            }
            s->pos++;
        } else if (c == '\\' && escapes && s->pos < s->len) {
            s->pos++;
        }
    }
    return false;
}

static ScanToken string(Scanner *s, ScanKind kind, size_t begin, bool escapes)
{
    bool continued = false;
    s->pos++; /* the opening quote */
    for (;;) {
        if (!skip_quoted(s, '\'', escapes)) {
            return unclosed(s, SCAN_OPEN_QUOTE, begin);
        }
        if (!skip_continuation(s)) {
            break;
        }
        continued = true;
    }
    ScanToken t = token(s, kind, begin);
    t.continued = continued;
    return t;
}

static ScanToken quoted_ident(Scanner *s, size_t begin)
{
    size_t quote = s->pos++;
    if (!skip_quoted(s, '"', false)) {
        return unclosed(s, SCAN_OPEN_DOUBLE_QUOTE, begin);
    }
    return token(s, s->pos - quote > 2 ? SCAN_QUOTED_IDENT : SCAN_ERROR, begin); /* "" names nothing */
}

/* dolqdelim: bytes of the delimiter $tag$ at the position, 0 if there is none. */
static size_t dollar_delimiter(const Scanner *s)
{
    size_t n = 1;
    if (is_class(peek(s, n), C_IDENT_START)) {
        do {
            n++;
        } while (is_class(peek(s, n), C_IDENT) && peek(s, n) != '$');
    }
    return peek(s, n) == '$' ? n + 1 : 0;
}

static ScanToken dollar_string(Scanner *s, size_t delimiter)
{
    size_t begin = s->pos;
    const char *open = s->text + begin;
    s->pos += delimiter;
    for (;;) {
        const char *dollar = s->pos < s->len ? memchr(s->text + s->pos, '$', s->len - s->pos) : NULL;
        if (dollar == NULL || s->len - (size_t)(dollar - s->text) < delimiter) {
            return unclosed(s, SCAN_OPEN_DOLLAR_QUOTE, begin);
        }
        s->pos = (size_t)(dollar - s->text);
        if (memcmp(dollar, open, delimiter) == 0) {
            s->pos += delimiter;
            return token(s, SCAN_DOLLAR_STRING, begin);
        }
        s->pos++;
    }
}

/* integer_junk, decimal_junk, real_junk, param_junk: a number with an identifier right behind it is one wrong token. */
static ScanToken before_junk(Scanner *s, ScanKind kind, size_t begin)
{
    if (!is_class(peek(s, 0), C_IDENT_START)) {
        return token(s, kind, begin);
    }
    skip_class(s, C_IDENT);
    return token(s, SCAN_ERROR, begin);
}

/* param, dolqdelim, or, dolqfailed, a dollar that means nothing. */
static ScanToken dollar(Scanner *s)
{
    size_t begin = s->pos;
    if (is_class(peek(s, 1), C_DIGIT)) {
        s->pos++;
        skip_class(s, C_DIGIT);
        return before_junk(s, SCAN_PARAM, begin);
    }
    size_t delimiter = dollar_delimiter(s);
    if (delimiter != 0) {
        return dollar_string(s, delimiter);
    }
    s->pos++;
    return token(s, SCAN_ERROR, begin);
}

/* E'', U&'', U&"", N'', B'', X'': the position is at the letter. */
static bool prefixed(Scanner *s, ScanToken *out)
{
    size_t begin = s->pos;
    switch (s->text[begin]) {
    case 'e':
    case 'E':
    case 'n':
    case 'N':
    case 'b':
    case 'B':
    case 'x':
    case 'X':
        if (peek(s, 1) != '\'') {
            return false;
        }
        s->pos++;
        *out = string(s, SCAN_PREFIXED_STRING, begin, (s->text[begin] | 0x20) == 'e');
        return true;
    case 'u':
    case 'U':
        if (peek(s, 1) != '&' || (peek(s, 2) != '\'' && peek(s, 2) != '"')) {
            return false;
        }
        s->pos += 2;
        *out = s->text[s->pos] == '"' ? quoted_ident(s, begin) : string(s, SCAN_PREFIXED_STRING, begin, false);
        return true;
    default: return false;
    }
}

/* Numbers and operators. */

/* integer, decimal, real. "1..2" is 1, .., 2 (decimalfail). */
static ScanToken number(Scanner *s)
{
    size_t begin = s->pos;
    ScanKind kind = SCAN_INTEGER;
    skip_class(s, C_DIGIT);
    if (peek(s, 0) == '.' && !(s->pos > begin && peek(s, 1) == '.')) {
        kind = SCAN_DECIMAL;
        s->pos++;
        skip_class(s, C_DIGIT);
    }
    char c = peek(s, 0);
    if (c == 'e' || c == 'E') {
        size_t sign = peek(s, 1) == '+' || peek(s, 1) == '-';
        if (is_class(peek(s, 1 + sign), C_DIGIT)) {
            kind = SCAN_DECIMAL;
            s->pos += 1 + sign;
            skip_class(s, C_DIGIT);
        }
    }
    return before_junk(s, kind, begin);
}

/*
 * operator: as many op_chars as there are, up to a comment's begin; then without trailing + and -, unless a character
 * is among them that SQL's own operators have not. What was cut off is remembered: +-+-+-... is looked at once.
 */
static ScanToken operator(Scanner *s)
{
    size_t begin = s->pos;
    if (begin < s->signs_until) {
        s->pos++;
        return token(s, SCAN_OPERATOR, begin);
    }
    bool tail = false;
    while (is_class(peek(s, 0), C_OPERATOR) && !at_comment(s, '-') && !at_comment(s, '/')) {
        tail = tail || is_class(peek(s, 0), C_OPERATOR_TAIL);
        s->pos++;
    }
    s->signs_until = s->pos;
    while (!tail && s->pos > begin + 1 && (s->text[s->pos - 1] == '+' || s->text[s->pos - 1] == '-')) {
        s->pos--;
    }
    return token(s, SCAN_OPERATOR, begin);
}

/* self, and the two-character tokens that are no operators: :: := .. */
static ScanToken self(Scanner *s)
{
    size_t begin = s->pos++;
    char c = s->text[begin];
    char next = peek(s, 0);
    if ((c == ':' && (next == ':' || next == '=')) || (c == '.' && next == '.')) {
        s->pos++;
    }
    return token(s, SCAN_OPERATOR, begin);
}

ScanToken scan_next_raw(Scanner *s)
{
    skip_class(s, C_SPACE);
    size_t begin = s->pos;
    if (begin == s->len) {
        return token(s, SCAN_END, begin);
    }
    char c = s->text[begin];
    if (is_class(c, C_IDENT_START)) {
        ScanToken t;
        if (prefixed(s, &t)) {
            return t;
        }
        skip_class(s, C_IDENT);
        return token(s, SCAN_IDENT, begin);
    }
    if (is_class(c, C_DIGIT) || (c == '.' && is_class(peek(s, 1), C_DIGIT))) {
        return number(s);
    }
    if (at_comment(s, '-') || at_comment(s, '/')) {
        return comment(s);
    }
    if (is_class(c, C_OPERATOR)) {
        return operator(s);
    }
    switch (c) {
    case '\'': return string(s, SCAN_STRING, begin, false);
    case '"': return quoted_ident(s, begin);
    case '$': return dollar(s);
    default: break;
    }
    if (is_class(c, C_SELF)) {
        return self(s);
    }
    s->pos++;
    return token(s, SCAN_ERROR, begin);
}

ScanToken scan_next(Scanner *s)
{
    ScanToken t;
    do {
        t = scan_next_raw(s);
    } while (t.kind == SCAN_COMMENT);
    return t;
}
