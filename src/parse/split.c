/*
 * parse/split.c: where a statement ends, for who reads statements from a terminal or a file.
 *
 * Semicolons end a statement, but inside parentheses (CREATE RULE ... DO (a; b)) and inside the BEGIN ATOMIC ... END of
 * a function's body. The latter is recognised as psql does: words are counted only in what begins CREATE [OR REPLACE]
 * FUNCTION or PROCEDURE, where BEGIN and CASE open and END closes.
 */
#include <string.h>

#include "parse/scan.h"

enum { HEAD_WORDS = 4 };

typedef struct Splitter {
    const char *text;
    size_t parens;
    size_t blocks;         /* BEGIN and CASE not yet closed by END */
    char head[HEAD_WORDS]; /* first letters of the first words, if they are CREATE, OR, REPLACE, FUNCTION, PROCEDURE */
    size_t words;
} Splitter;

static bool word_is(const Splitter *sp, const ScanToken *t, const char *word)
{
    return str_eq_ascii_nocase((Str){sp->text + t->begin, t->len}, str_from(word));
}

static char head_letter(const Splitter *sp, const ScanToken *t)
{
    static const char *const words[] = {"create", "or", "replace", "function", "procedure"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (word_is(sp, t, words[i])) {
            return words[i][0];
        }
    }
    return '\0';
}

static bool is_routine(const Splitter *sp)
{
    const char *h = sp->head;
    char kind = h[0] == 'c' && h[1] == 'o' && h[2] == 'r' ? h[3] : h[0] == 'c' ? h[1] : '\0';
    return kind == 'f' || kind == 'p';
}

static void on_word(Splitter *sp, const ScanToken *t)
{
    if (sp->words < HEAD_WORDS) {
        sp->head[sp->words] = head_letter(sp, t);
    }
    sp->words++;
    if (!is_routine(sp) || sp->parens > 0) {
        return;
    }
    if (word_is(sp, t, "begin") || (word_is(sp, t, "case") && sp->blocks > 0)) {
        sp->blocks++;
    } else if (word_is(sp, t, "end") && sp->blocks > 0) {
        sp->blocks--;
    }
}

/* True: the token is the semicolon that ends the statement. */
static bool on_operator(Splitter *sp, const ScanToken *t)
{
    switch (sp->text[t->begin]) {
    case '(': sp->parens++; break;
    case ')': sp->parens -= sp->parens > 0; break;
    case ';': return sp->parens == 0 && sp->blocks == 0;
    default: break;
    }
    return false;
}

ScanOpen scan_split(const char *text, size_t len, size_t *out_end)
{
    Scanner s = scan_begin(text, len);
    Splitter sp = {.text = text};
    bool any = false;
    for (;; any = true) {
        ScanToken t = scan_next(&s);
        *out_end = s.pos;
        switch (t.kind) {
        case SCAN_END: return sp.parens > 0 ? SCAN_OPEN_PAREN : any ? SCAN_OPEN_STATEMENT : SCAN_OPEN_NOTHING;
        case SCAN_ERROR:
            if (t.open != SCAN_OPEN_NOTHING) {
                return t.open;
            }
            break;
        case SCAN_IDENT: on_word(&sp, &t); break;
        case SCAN_OPERATOR:
            if (on_operator(&sp, &t)) {
                return SCAN_OPEN_NOTHING;
            }
            break;
        default: break;
        }
    }
}
