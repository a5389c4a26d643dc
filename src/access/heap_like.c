/*
 * access/heap_like.c: LIKE under C collation on UTF-8 bytes. Patterns without `_` and with % only at the ends are one
 * comparison or search; others are matched with one point of return: the last % (an earlier one never has to be tried
 * again, since % takes what it likes), so the time is at most length times pattern.
 */
#include "access/heap_int.h"

enum { LITERAL = 0, ANY_ONE = 1, ANY_MANY = 2 };

static void classify(HeapLike *l)
{
    const uint8_t *wild = l->wild;
    size_t n = l->text.len;
    size_t first = 0;
    size_t last = n;
    while (first < n && wild[first] == ANY_MANY) {
        first++;
    }
    while (last > first && wild[last - 1] == ANY_MANY) {
        last--;
    }
    for (size_t i = first; i < last; i++) {
        if (wild[i] != LITERAL) {
            l->kind = HEAP_LIKE_GENERAL;
            return;
        }
    }
    l->kind = first > 0 ? (last < n || first == n ? HEAP_LIKE_CONTAINS : HEAP_LIKE_SUFFIX)
                        : (last < n ? HEAP_LIKE_PREFIX : HEAP_LIKE_EXACT);
    l->text = (Str){l->text.p + first, last - first};
}

Status heap_like_compile(Ctx *cx, Arena *arena, Str pattern, int escape, HeapLike *out)
{
    char *text = arena_alloc(arena, pattern.len + 1);
    uint8_t *wild = arena_alloc(arena, pattern.len + 1);
    if (text == NULL || wild == NULL) {
        return ctx_nomem(cx, pattern.len + 1);
    }
    size_t n = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.p[i];
        uint8_t w = c == '%' ? ANY_MANY : c == '_' ? ANY_ONE : LITERAL;
        if ((int)(unsigned char)c == escape) {
            if (++i == pattern.len) {
                return err_set(cx->err, ST_INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character");
            }
            c = pattern.p[i];
            w = LITERAL;
        }
        text[n] = c;
        wild[n++] = w;
    }
    *out = (HeapLike){.text = {text, n}, .wild = wild};
    classify(out);
    return ST_OK;
}

/* Bytes of the character that begins at p (valid UTF-8; anything else counts as one byte). */
static size_t character(const char *p, size_t len)
{
    size_t n = 1;
    while (n < len && ((unsigned char)p[n] & 0xc0) == 0x80) {
        n++;
    }
    return n;
}

static bool match_general(const HeapLike *l, const char *p, size_t len)
{
    size_t at = 0;     /* in p */
    size_t pat = 0;    /* in the pattern */
    size_t back = len; /* where in p the last % would stop next */
    size_t star = SIZE_MAX;
    while (at < len) {
        if (pat < l->text.len && l->wild[pat] == ANY_MANY) {
            star = ++pat;
            back = at;
        } else if (pat < l->text.len && l->wild[pat] == ANY_ONE) {
            at += character(p + at, len - at);
            pat++;
        } else if (pat < l->text.len && l->text.p[pat] == p[at]) {
            at++;
            pat++;
        } else if (star != SIZE_MAX && back < len) {
            back += character(p + back, len - back);
            at = back;
            pat = star;
        } else {
            return false;
        }
    }
    while (pat < l->text.len && l->wild[pat] == ANY_MANY) {
        pat++;
    }
    return pat == l->text.len;
}

/* memmem prepares a table per call, which pays for long texts only; short ones are searched by the first byte. */
static bool contains(const char *p, size_t len, const char *text, size_t n)
{
    enum { SHORT = 256 };
    if (n == 0 || len > SHORT) {
        return n == 0 || memmem(p, len, text, n) != NULL;
    }
    const char *end = p + (len - n) + 1;
    while ((p = memchr(p, text[0], (size_t)(end - p))) != NULL) {
        if (memcmp(p, text, n) == 0) {
            return true;
        }
        p++;
    }
    return false;
}

bool heap_like_match(const HeapLike *l, const char *p, size_t len)
{
    size_t n = l->text.len;
    if (l->kind == HEAP_LIKE_GENERAL) {
        return match_general(l, p, len);
    }
    if (n > len || (l->kind == HEAP_LIKE_EXACT && n != len)) {
        return false;
    }
    if (l->kind == HEAP_LIKE_CONTAINS) {
        return contains(p, len, l->text.p, n);
    }
    return n == 0 || memcmp(l->kind == HEAP_LIKE_SUFFIX ? p + (len - n) : p, l->text.p, n) == 0;
}
