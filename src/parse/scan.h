/*
 * parse/scan.h: SQL text into tokens, without the grammar: for the statement cache, the shell and small questions.
 *
 * Key idea: one lexer that follows PostgreSQL 15's scan.l (standard_conforming_strings on), over it three uses:
 *
 *   scan_next           token by token; reads nothing twice, allocates nothing
 *   scan_fingerprint    the text as fixed pieces and gaps (literals, comments), with a hash over the pieces
 *   scan_split          where the first statement of a text ends, or what is still open
 *
 * Invariants
 *  S1  Tokens are as PostgreSQL's scanner cuts them, but that what it refuses is SCAN_ERROR. Time is linear in the text
 *      (PostgreSQL's is not: see parse.c).
 *  S2  When scan_same says yes, the two texts differ only within gaps, gap by gap of the same class; a literal of a gap
 *      class means an expression of the same type in both. So they parse to the same tree modulo these constants.
 *
 * What it does not do: join U&'...' with UESCAPE, decode E'' strings: they are never gaps.
 */
#ifndef RDB_PARSE_SCAN_H
#define RDB_PARSE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

typedef enum ScanKind {
    SCAN_END,
    SCAN_IDENT,           /* also keywords; as written */
    SCAN_QUOTED_IDENT,    /* "x", also U&"x" */
    SCAN_STRING,          /* 'x' */
    SCAN_PREFIXED_STRING, /* E'x', U&'x', N'x', B'x', X'x' */
    SCAN_DOLLAR_STRING,   /* $x$...$x$ */
    SCAN_INTEGER,
    SCAN_DECIMAL, /* 1.5, 1e3 */
    SCAN_PARAM,   /* $1 */
    SCAN_OPERATOR,
    SCAN_COMMENT, /* only from scan_next_raw */
    SCAN_ERROR
} ScanKind;

/* What an unfinished text is inside of. */
typedef enum ScanOpen {
    SCAN_OPEN_NOTHING,
    SCAN_OPEN_QUOTE,
    SCAN_OPEN_DOUBLE_QUOTE,
    SCAN_OPEN_DOLLAR_QUOTE,
    SCAN_OPEN_COMMENT,
    SCAN_OPEN_PAREN,
    SCAN_OPEN_STATEMENT /* something stands there, the semicolon is missing */
} ScanOpen;

typedef struct Scanner {
    const char *text;
    size_t len;
    size_t pos;
    size_t signs_until; /* text[pos, signs_until) is + and - only, and each of them a token */
    size_t comment_depth_max;
} Scanner;

typedef struct ScanToken {
    ScanKind kind;
    ScanOpen open;  /* SCAN_ERROR: what is not closed; NOTHING: malformed */
    bool continued; /* SCAN_STRING: of several parts, 'a' newline 'b' */
    size_t begin;
    size_t len; /* with prefix, quotes and the delimiters of a dollar quote */
} ScanToken;

static inline Scanner scan_begin(const char *text, size_t len)
{
    return (Scanner){.text = text, .len = len};
}

/* The next token; SCAN_END at the end. After an error it goes on behind it. _raw returns comments, too. */
ScanToken scan_next(Scanner *s);
ScanToken scan_next_raw(Scanner *s);

/* Gaps: what may differ between texts that are the same statement. */
typedef enum ScanGapClass {
    SCAN_GAP_COMMENT,
    SCAN_GAP_INT4,     /* up to 2^31 - 1 */
    SCAN_GAP_INT4_MIN, /* 2^31: an int4 only behind a minus */
    SCAN_GAP_INT8,
    SCAN_GAP_INT8_MIN, /* 2^63 */
    SCAN_GAP_NUMERIC,  /* larger integers, decimals */
    SCAN_GAP_STRING    /* 'x' and $x$: type unknown */
} ScanGapClass;

typedef struct ScanGap {
    uint32_t begin; /* equals the AstConst's location, but where `minus` is */
    uint32_t len;
    uint32_t minus; /* position of a '-' token just before, which the grammar may fold in; UINT32_MAX: none */
    uint8_t cls;    /* ScanGapClass */
} ScanGap;

typedef struct ScanFingerprint {
    uint64_t hash;
    uint32_t gap_count;
    uint32_t semicolons;
} ScanFingerprint;

enum { SCAN_FINGERPRINT_BYTES_MAX = 1 << 20 };

/*
 * Fills gaps[0 .. gap_count). False: not to be cached (malformed, too long, more than gap_max gaps). `seed`: the
 * cache's secret, so that nobody can make texts that collide.
 */
bool scan_fingerprint(const char *text, size_t len, uint64_t seed, ScanGap *gaps, uint32_t gap_max,
                      ScanFingerprint *out);

/* A text as scan_fingerprint cut it. */
typedef struct ScanText {
    const char *text;
    size_t len;
    const ScanGap *gaps;
    uint32_t gap_count;
} ScanText;

/* S2. Compares bytes: no luck with hashes is involved. */
bool scan_same(const ScanText *a, const ScanText *b);

/*
 * The value of a string gap: a slice of the text where nothing had to be decoded, else a copy in the arena.
 * *out_value untouched and false: out of memory.
 */
MUST_CHECK bool scan_string_value(const char *text, const ScanGap *gap, Arena *arena, Str *out_value);

/*
 * Finds the end of the first statement: *out_end is behind its semicolon, the result SCAN_OPEN_NOTHING. Otherwise the
 * text ends before the statement does and the result says what is open; *out_end is len. A text of blanks and comments
 * only has SCAN_OPEN_NOTHING and *out_end len. Semicolons inside parentheses and BEGIN ATOMIC ... END are not ends.
 */
ScanOpen scan_split(const char *text, size_t len, size_t *out_end);

#endif
