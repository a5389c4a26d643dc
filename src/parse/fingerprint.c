/*
 * parse/fingerprint.c: a text as fixed pieces and gaps, for the statement cache (invariant S2 of scan.h).
 *
 * Key idea: nothing is normalised. The pieces between the gaps are kept byte for byte, blanks included; so equality is a
 * few memcmp, and the only question is what may be a gap. A literal may, if any other literal of its class in its place
 * gives the same tree but for the constant, with the same type, and if its end does not depend on what follows.
 * Therefore never: a string of several parts (its end depends), E'' U&'' N'' B'' X'' (their meaning depends on more than
 * the value), a string behind UESCAPE (it is no constant), an integer in another class than it has behind a minus.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#include "parse/scan.h"

/* Leading zeros do not count; digits compare like numbers when there are equally many. */
static ScanGapClass integer_class(const char *digits, size_t len)
{
    static const char int4_min[] = "2147483648";
    static const char int8_min[] = "9223372036854775808";
    while (len > 1 && *digits == '0') {
        digits++;
        len--;
    }
    if (len < sizeof int4_min - 1) {
        return SCAN_GAP_INT4;
    }
    if (len == sizeof int4_min - 1) {
        int order = memcmp(digits, int4_min, len);
        return order < 0 ? SCAN_GAP_INT4 : order == 0 ? SCAN_GAP_INT4_MIN : SCAN_GAP_INT8;
    }
    if (len < sizeof int8_min - 1) {
        return SCAN_GAP_INT8;
    }
    int order = len > sizeof int8_min - 1 ? 1 : memcmp(digits, int8_min, len);
    return order < 0 ? SCAN_GAP_INT8 : order == 0 ? SCAN_GAP_INT8_MIN : SCAN_GAP_NUMERIC;
}

/* Is the token a gap? `after_uescape`: the token before was the word UESCAPE. */
static bool gap_class(const char *text, const ScanToken *t, bool after_uescape, ScanGapClass *out)
{
    switch (t->kind) {
    case SCAN_COMMENT: *out = SCAN_GAP_COMMENT; return true;
    case SCAN_INTEGER: *out = integer_class(text + t->begin, t->len); return true;
    case SCAN_DECIMAL: *out = SCAN_GAP_NUMERIC; return true;
    case SCAN_STRING:
    case SCAN_DOLLAR_STRING: *out = SCAN_GAP_STRING; return !t->continued && !after_uescape;
    default: return false;
    }
}

static uint64_t hash_piece(uint64_t hash, const char *text, size_t begin, size_t end)
{
    return XXH3_64bits_withSeed(text + begin, end - begin, hash);
}

static bool is_char(const char *text, const ScanToken *t, char c)
{
    return t->kind == SCAN_OPERATOR && t->len == 1 && text[t->begin] == c;
}

bool scan_fingerprint(const char *text, size_t len, uint64_t seed, ScanGap *gaps, uint32_t gap_max,
                      ScanFingerprint *out)
{
    if (len > SCAN_FINGERPRINT_BYTES_MAX) {
        return false;
    }
    Scanner s = scan_begin(text, len);
    ScanFingerprint f = {.hash = seed};
    size_t piece = 0;
    uint32_t minus = UINT32_MAX;
    bool after_uescape = false;
    for (;;) {
        ScanToken t = scan_next_raw(&s);
        if (t.kind == SCAN_END) {
            break;
        }
        if (t.kind == SCAN_ERROR) {
            return false;
        }
        ScanGapClass cls;
        if (gap_class(text, &t, after_uescape, &cls)) {
            if (f.gap_count == gap_max) {
                return false;
            }
            f.hash = hash_piece(f.hash + cls, text, piece, t.begin);
            piece = t.begin + t.len;
            gaps[f.gap_count++] = (ScanGap){(uint32_t)t.begin, (uint32_t)t.len, minus, (uint8_t)cls};
            if (cls == SCAN_GAP_COMMENT) {
                continue; /* it parts nothing: minus and UESCAPE still hold */
            }
        }
        f.semicolons += is_char(text, &t, ';');
        minus = is_char(text, &t, '-') ? (uint32_t)t.begin : UINT32_MAX;
        after_uescape =
            t.kind == SCAN_IDENT && t.len == 7 && str_eq_ascii_nocase((Str){text + t.begin, t.len}, STR_LIT("uescape"));
    }
    f.hash = hash_piece(f.hash, text, piece, len);
    *out = f;
    return true;
}

bool scan_same(const ScanText *a, const ScanText *b)
{
    if (a->gap_count != b->gap_count) {
        return false;
    }
    size_t at_a = 0;
    size_t at_b = 0;
    for (uint32_t i = 0; i < a->gap_count; i++) {
        const ScanGap *gap_a = &a->gaps[i];
        const ScanGap *gap_b = &b->gaps[i];
        size_t piece = gap_a->begin - at_a;
        if (gap_a->cls != gap_b->cls || gap_b->begin - at_b != piece ||
            memcmp(a->text + at_a, b->text + at_b, piece) != 0) {
            return false;
        }
        at_a = gap_a->begin + (size_t)gap_a->len;
        at_b = gap_b->begin + (size_t)gap_b->len;
    }
    return a->len - at_a == b->len - at_b && memcmp(a->text + at_a, b->text + at_b, a->len - at_a) == 0;
}

static bool unquote(Str quoted, Arena *arena, Str *out)
{
    if (quoted.len == 0 || memchr(quoted.p, '\'', quoted.len) == NULL) {
        *out = quoted;
        return true;
    }
    char *copy = arena_alloc(arena, quoted.len);
    if (copy == NULL) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        copy[n++] = quoted.p[i];
        i += quoted.p[i] == '\''; /* of two, one */
    }
    *out = (Str){copy, n};
    return true;
}

bool scan_string_value(const char *text, const ScanGap *gap, Arena *arena, Str *out_value)
{
    ASSERT(gap->cls == SCAN_GAP_STRING && gap->len >= 2);
    const char *p = text + gap->begin;
    if (*p == '\'') {
        return unquote((Str){p + 1, gap->len - 2u}, arena, out_value);
    }
    const char *close = memchr(p + 1, '$', gap->len - 1u);
    ASSERT(close != NULL);
    size_t delimiter = (size_t)(close - p) + 1;
    *out_value = (Str){p + delimiter, gap->len - 2 * delimiter};
    return true;
}
