/*
 * types/text_format.h: numbers to and from text, locale-independent. Private.
 */
#ifndef RDB_TYPES_TEXT_FORMAT_H
#define RDB_TYPES_TEXT_FORMAT_H

#include "types/func.h"

enum { FLOAT_TEXT_BYTES = 40 };

/* Shortest text that reads back as the same value (extra_float_digits > 0), else %.*g of 15 (6) + extra digits. */
size_t float8_text(double v, int extra_float_digits, char out[FLOAT_TEXT_BYTES]);
size_t float4_text(float v, int extra_float_digits, char out[FLOAT_TEXT_BYTES]);
STATUS float8_parse(Error *err, Str text, double *out);
STATUS float4_parse(Error *err, Str text, float *out);

enum { INT_TEXT_BYTES = 24 };
size_t int8_text(int64_t v, char out[INT_TEXT_BYTES]);
/* Whitespace, sign, digits, whitespace; 22P02 and 22003 with the type's SQL name. */
STATUS int_parse(Error *err, Str text, int64_t min, int64_t max, const char *type, int64_t *out);

/* "char": one byte; those beyond ASCII are written and read as \ooo. Returns the length, 0..4. */
uint32_t char_text(uint8_t v, char out[4]);
uint8_t char_value(Str text);

/* "invalid input syntax for type X: ..." */
Status bad_input(Error *err, const char *type, Str text);
STATUS check_utf8(Error *err, Str text); /* 22021 */

static inline bool ascii_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline Str trim_space(Str s)
{
    while (s.len > 0 && ascii_space(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && ascii_space(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

#endif
