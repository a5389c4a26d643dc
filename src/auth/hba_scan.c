/*
 * auth/hba_scan.c: a host rules file into lines of fields of words, by PostgreSQL's rules (hba.c, next_token): words end
 * at blanks and commas; a comma continues the field; double quotes protect blanks, commas, "#" and "+" and may stand in
 * the middle of a word, a doubled one stands for itself; "#" begins a comment; a backslash at the end continues the line.
 * Quotes do not reach over the end of a line.
 */
#include <string.h>

#include "auth/hba_int.h"

/* The character at `at`, with a continued line's break read over; '\n' at the end of line or text. */
static char look(HbaScanner *s)
{
    for (;;) {
        if (s->at >= s->text.len) {
            return '\n';
        }
        const char *p = s->text.p + s->at;
        size_t left = s->text.len - s->at;
        if (left >= 2 && p[0] == '\\' && p[1] == '\n') {
            s->at += 2;
        } else if (left >= 3 && p[0] == '\\' && p[1] == '\r' && p[2] == '\n') {
            s->at += 3;
        } else {
            return *p == '\r' && left >= 2 && p[1] == '\n' ? '\n' : *p;
        }
        s->line++;
    }
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || c == '\r';
}

static void skip_blanks(HbaScanner *s)
{
    char c;
    while (blank(c = look(s))) {
        s->at++;
    }
    if (c == '#') {
        while (look(s) != '\n') {
            s->at++;
        }
    }
}

/* Past the line's end. */
static void skip_line(HbaScanner *s)
{
    while (look(s) != '\n') {
        s->at++;
    }
    if (s->at < s->text.len && s->text.p[s->at] == '\r') {
        s->at++;
    }
    s->at++;
    s->line++;
}

/*
 * One word, at most HBA_WORD_BYTES_MAX bytes. *out_problem says what is wrong with it (then the word is cut), or stays.
 */
static void scan_word(HbaScanner *s, char word[HBA_WORD_BYTES_MAX], HbaToken *token, const char **out_problem)
{
    bool quoting = false;
    size_t n = 0;
    char c = look(s);
    token->quoted = c == '"';
    while (c != '\n' && (quoting || !(blank(c) || c == ',' || c == '#'))) {
        s->at++;
        if (c == '"' && !(quoting && look(s) == '"')) {
            quoting = !quoting;
            c = look(s);
            continue;
        }
        if (c == '"') { /* a doubled one */
            s->at++;
        }
        if (n == HBA_WORD_BYTES_MAX) {
            *out_problem = "authentication file token too long";
        } else {
            word[n++] = c;
        }
        c = look(s);
    }
    if (quoting) {
        *out_problem = "unterminated quoted string";
    }
    token->text = (Str){word, n};
}

static Status add_token(HbaScanner *s, HbaField *field, uint32_t *io_cap, HbaToken token)
{
    if (field->count == *io_cap) {
        uint32_t cap = *io_cap == 0 ? 2 : 2 * *io_cap;
        HbaToken *tokens = ARENA_ARRAY(s->arena, HbaToken, cap);
        if (tokens == NULL) {
            return ST_OUT_OF_MEMORY;
        }
        if (field->count > 0) {
            memcpy(tokens, field->tokens, field->count * sizeof *tokens);
        }
        field->tokens = tokens;
        *io_cap = cap;
    }
    token.text.p = arena_strndup(s->arena, token.text.p, token.text.len);
    if (token.text.p == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    field->tokens[field->count++] = token;
    return ST_OK;
}

/* Words up to one that no comma follows. The scanner stands at the first. */
static Status scan_field(HbaScanner *s, HbaFields *fields)
{
    HbaField *field = &fields->field[fields->count++];
    uint32_t cap = 0;
    char word[HBA_WORD_BYTES_MAX];
    *field = (HbaField){0};
    for (;;) {
        HbaToken token;
        scan_word(s, word, &token, &fields->error);
        if (token.text.len > 0 || token.quoted) {
            Status st = add_token(s, field, &cap, token);
            if (st != ST_OK) {
                return st;
            }
        }
        skip_blanks(s);
        if (look(s) != ',') {
            return ST_OK;
        }
        s->at++;
        skip_blanks(s);
    }
}

Status hba_scan_line(HbaScanner *s, HbaFields *out)
{
    while (s->at < s->text.len) {
        out->count = 0;
        out->error = NULL;
        skip_blanks(s);
        out->line = s->line;
        while (look(s) != '\n') {
            if (out->count == HBA_FIELDS_MAX) {
                out->error = "too many fields";
                break;
            }
            Status st = scan_field(s, out);
            if (st != ST_OK) {
                return st;
            }
        }
        skip_line(s);
        if (out->count > 0) {
            return ST_OK;
        }
    }
    return ST_END;
}
