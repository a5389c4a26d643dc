/*
 * types/text_format.c: numbers to and from text (see text_format.h).
 *
 * Key idea for floats: print with as few digits as read back to the same value. printf and strtod of glibc are exact, so
 * the shortest such text is right by construction; what the process's locale does to them is undone (the point is never
 * looked at when printing; strtod runs under the C locale object).
 */
#include "types/text_format.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

Status bad_input(Error *err, const char *type, Str text)
{
    return err_set(err, ST_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s: \"%.*s\"", type,
                   (int)text.len, text.p);
}

Status check_utf8(Error *err, Str text)
{
    size_t bad;
    if (LIKELY(utf8_valid(text.p, text.len, &bad) && memchr(text.p, 0, text.len) == NULL)) {
        return ST_OK;
    }
    if (utf8_valid(text.p, text.len, NULL)) {
        return err_set(err, ST_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\": 0x00");
    }
    /* PostgreSQL shows as many bytes as the first one announces. */
    uint8_t lead = (uint8_t)text.p[bad];
    size_t want = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
    char hex[4 * 5 + 1];
    size_t len = 0;
    for (size_t i = 0; i < want && bad + i < text.len; i++) {
        len += (size_t)snprintf(hex + len, sizeof hex - len, "%s0x%02x", i > 0 ? " " : "", (uint8_t)text.p[bad + i]);
    }
    return err_set(err, ST_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\": %s", hex);
}

uint32_t char_text(uint8_t v, char out[4])
{
    if (v < 0x80) {
        out[0] = (char)v;
        return v != 0;
    }
    out[0] = '\\';
    out[1] = (char)('0' + (v >> 6));
    out[2] = (char)('0' + (v >> 3 & 7));
    out[3] = (char)('0' + (v & 7));
    return 4;
}

static bool octal_digit(char c)
{
    return c >= '0' && c <= '7';
}

uint8_t char_value(Str s)
{
    if (s.len == 4 && s.p[0] == '\\' && octal_digit(s.p[1]) && octal_digit(s.p[2]) && octal_digit(s.p[3])) {
        return (uint8_t)((s.p[1] - '0') << 6 | (s.p[2] - '0') << 3 | (s.p[3] - '0'));
    }
    return s.len > 0 ? (uint8_t)s.p[0] : 0;
}

/* ---- integers ---- */

size_t int8_text(int64_t v, char out[INT_TEXT_BYTES])
{
    char buf[INT_TEXT_BYTES];
    char *p = buf + sizeof buf;
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (v < 0) {
        *--p = '-';
    }
    size_t len = (size_t)(buf + sizeof buf - p);
    memcpy(out, p, len);
    return len;
}

Status int_parse(Error *err, Str text, int64_t min, int64_t max, const char *type, int64_t *out)
{
    Str s = trim_space(text);
    bool negative = s.len > 0 && s.p[0] == '-';
    size_t i = s.len > 0 && (s.p[0] == '-' || s.p[0] == '+');
    if (i == s.len) {
        return bad_input(err, type, text);
    }
    Int128 v = 0;
    bool overflow = false;
    for (; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            /* PostgreSQL reads digit by digit: a value out of range before the bad character is out of range. */
            break;
        }
        v = v * 10 + (s.p[i] - '0');
        overflow = overflow || v > (Int128)UINT64_MAX;
        v = overflow ? (Int128)UINT64_MAX : v;
        if ((negative ? -v : v) < min || (negative ? -v : v) > max) {
            return err_set(err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value \"%.*s\" is out of range for type %s",
                           (int)text.len, text.p, type);
        }
    }
    if (i != s.len) {
        return bad_input(err, type, text);
    }
    *out = (int64_t)(negative ? -v : v);
    return ST_OK;
}

/* ---- floats ---- */

/* The C locale; newlocale returns its static object, nothing is allocated. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Digits of v rounded to `precision` significant ones, in %e manner; returns the decimal exponent. */
static int exact_digits(double v, int precision, char *digits)
{
    char buf[64];
    (void)snprintf(buf, sizeof buf, "%.*e", precision - 1, v);
    char *e = strchr(buf, 'e');
    int n = 0;
    for (char *p = buf; p < e; p++) {
        if (*p >= '0' && *p <= '9') { /* skips sign and the locale's point */
            digits[n++] = *p;
        }
    }
    digits[n] = '\0';
    return atoi(e + 1);
}

static double digits_value(const char *digits, int exponent, bool single)
{
    char buf[64];
    (void)snprintf(buf, sizeof buf, "%se%d", digits, exponent - (int)strlen(digits) + 1);
    return single ? (double)strtof_l(buf, NULL, c_locale()) : strtod_l(buf, NULL, c_locale());
}

static bool is_exactly(long double v, const char *digits, int exponent)
{
    char buf[80];
    (void)snprintf(buf, sizeof buf, "%.45Le", v);
    char *e = strchr(buf, 'e');
    for (char *p = buf; p < e; p++) {
        if (*p >= '0' && *p <= '9') {
            char want = *digits != '\0' ? *digits++ : '0';
            if (*p != want) {
                return false;
            }
        }
    }
    return atoi(e + 1) == exponent;
}

/*
 * Is the decimal exactly half way to a neighbour? It then reads back only if the reader rounds to even; PostgreSQL
 * writes a digit more. Half-way points fit a long double.
 */
static bool on_boundary(const char *digits, int exponent, double v, bool single)
{
    char buf[64];
    (void)snprintf(buf, sizeof buf, "%se%d", digits, exponent - (int)strlen(digits) + 1);
    long double near = strtold_l(buf, NULL, c_locale());
    double up = single ? (double)nextafterf((float)v, INFINITY) : nextafter(v, INFINITY);
    double down = single ? (double)nextafterf((float)v, 0) : nextafter(v, 0);
    long double mid_up = ((long double)v + (long double)up) / 2;
    long double mid_down = ((long double)v + (long double)down) / 2;
    return (near == mid_up && is_exactly(mid_up, digits, exponent)) ||
           (near == mid_down && is_exactly(mid_down, digits, exponent));
}

/* %g's layout: plain up to `plain_max` digits before the point, else with exponent of two digits at least. */
static size_t layout(const char *digits, int exponent, int plain_max, bool negative, char *out)
{
    size_t n = strlen(digits);
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    char *p = out;
    if (negative) {
        *p++ = '-';
    }
    if (exponent < -4 || exponent >= plain_max) {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, n - 1);
            p += n - 1;
        }
        p += snprintf(p, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t)(-exponent - 1));
        p += -exponent - 1;
        memcpy(p, digits, n);
        p += n;
    } else {
        for (int i = 0; i <= exponent || i < (int)n; i++) {
            if (i == exponent + 1) {
                *p++ = '.';
            }
            *p++ = i < (int)n ? digits[i] : '0';
        }
    }
    return (size_t)(p - out);
}

static size_t put_word(const char *word, char *out)
{
    size_t len = strlen(word);
    memcpy(out, word, len);
    return len;
}

static size_t float_text(double v, bool single, int extra, char out[FLOAT_TEXT_BYTES])
{
    if (isnan(v)) {
        return put_word("NaN", out);
    }
    if (isinf(v)) {
        return put_word(v > 0 ? "Infinity" : "-Infinity", out);
    }
    if (v == 0) {
        return put_word(signbit(v) ? "-0" : "0", out);
    }
    int sure = single ? 6 : 15; /* digits that every value of the type keeps */
    int most = single ? 9 : 17;
    char digits[32];
    double magnitude = fabs(v);
    if (extra <= 0) {
        int precision = sure + extra < 1 ? 1 : sure + extra;
        int exponent = exact_digits(magnitude, precision, digits);
        return layout(digits, exponent, precision, signbit(v), out);
    }
    bool denormal = magnitude < (single ? 1.17549435e-38 : 2.2250738585072014e-308);
    int exponent = 0;
    for (int precision = denormal ? 1 : sure; precision <= most; precision++) {
        exponent = exact_digits(magnitude, precision, digits);
        if (digits_value(digits, exponent, single) == magnitude &&
            (precision == most || !on_boundary(digits, exponent, magnitude, single))) {
            break;
        }
    }
    return layout(digits, exponent, sure, signbit(v), out);
}

size_t float8_text(double v, int extra, char out[FLOAT_TEXT_BYTES])
{
    return float_text(v, false, extra, out);
}
size_t float4_text(float v, int extra, char out[FLOAT_TEXT_BYTES])
{
    return float_text((double)v, true, extra, out);
}

/*
 * A number of more than a thousand characters: the significant digits that can matter are kept, the others move into the
 * exponent.
 */
static Status long_float(Error *err, Str text, Str s, const char *type, bool single, double *out)
{
    enum { KEEP = 900 };
    char digits[KEEP + 64];
    size_t n = 0;
    size_t i = 0;
    int64_t exponent = 0;
    bool point = false;
    bool any = false;
    bool negative = s.p[0] == '-';
    i += s.p[0] == '-' || s.p[0] == '+';
    for (; i < s.len && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (n < KEEP && (n > 0 || s.p[i] != '0')) {
            digits[n++] = s.p[i];
            exponent -= point;
        } else if (n > 0) {
            digits[KEEP - 1] |= s.p[i] != '0'; /* sticky: a digit cut off keeps the value off a rounding tie */
            exponent += !point;
        } else {
            exponent -= point;
        }
    }
    int64_t written = 0;
    if (any && i < s.len && (s.p[i] == 'e' || s.p[i] == 'E')) {
        if (int_parse(NULL, (Str){s.p + i + 1, s.len - i - 1}, INT32_MIN, INT32_MAX, type, &written) == ST_OK) {
            i = s.len;
        }
    }
    if (!any || i != s.len) {
        return bad_input(err, type, text);
    }
    (void)snprintf(digits + n, sizeof digits - n, "%se%lld", n == 0 ? "0" : "", (long long)(exponent + written));
    errno = 0;
    double v = single ? (double)strtof_l(digits, NULL, c_locale()) : strtod_l(digits, NULL, c_locale());
    if (errno == ERANGE && (v == 0 || isinf(v))) {
        return err_set(err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s", (int)text.len,
                       text.p, type);
    }
    *out = negative ? -v : v;
    return ST_OK;
}

/* strtod on a slice that must be a number from end to end. */
static Status parse_float(Error *err, Str text, bool single, double *out)
{
    const char *type = single ? "real" : "double precision";
    Str s = trim_space(text);
    char copy[1100]; /* longer than any value's exact expansion, so digits cut off beyond it cannot matter */
    if (s.len == 0) {
        return bad_input(err, type, text);
    }
    if (s.len >= sizeof copy) {
        return long_float(err, text, s, type, single, out);
    }
    memcpy(copy, s.p, s.len);
    copy[s.len] = '\0';
    char *end;
    errno = 0;
    double v = single ? (double)strtof_l(copy, &end, c_locale()) : strtod_l(copy, &end, c_locale());
    bool range = errno == ERANGE;
    bool whole = end == copy + s.len && strlen(copy) == s.len;
    if (!whole) {
        return bad_input(err, type, text);
    }
    if (range && (v == 0 || isinf(v))) {
        return err_set(err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s", (int)text.len,
                       text.p, type);
    }
    *out = v;
    return ST_OK;
}

Status float8_parse(Error *err, Str text, double *out)
{
    return parse_float(err, text, false, out);
}

Status float4_parse(Error *err, Str text, float *out)
{
    double v;
    Status st = parse_float(err, text, true, &v);
    if (st == ST_OK) {
        *out = (float)v;
    }
    return st;
}
