/*
 * types/num_value.c: forms of numeric and conversions between them: views, text, integers, floats; order, hash, key.
 */
#include "types/numeric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "types/num_limbs.h"

const uint32_t num_pow10_u32[10] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

#define E9 ((Int128)1000000000)
#define E18 (E9 * E9)
#define E27 (E18 * E9)
#define E36 (E27 * E9)
const Int128 pow10_i128[39] = {
    1,   10,       100,       1000,       10000,       100000,       1000000,       10000000,       100000000,
    E9,  E9 * 10,  E9 * 100,  E9 * 1000,  E9 * 10000,  E9 * 100000,  E9 * 1000000,  E9 * 10000000,  E9 * 100000000,
    E18, E18 * 10, E18 * 100, E18 * 1000, E18 * 10000, E18 * 100000, E18 * 1000000, E18 * 10000000, E18 * 100000000,
    E27, E27 * 10, E27 * 100, E27 * 1000, E27 * 10000, E27 * 100000, E27 * 1000000, E27 * 10000000, E27 * 100000000,
    E36, E36 * 10, E36 * 100,
};

/* ---- limbs ---- */

uint32_t *num_limbs(Ctx *cx, Arena *a, size_t n)
{
    uint32_t *limbs = arena_alloc0(a, n * sizeof *limbs);
    if (limbs == NULL) {
        (void)ctx_nomem(cx, n * sizeof *limbs);
    }
    return limbs;
}

void num_strip(Num *v)
{
    while (v->n > 0 && v->limbs[0] == 0) {
        v->limbs++;
        v->n--;
        v->weight--;
    }
    while (v->n > 0 && v->limbs[v->n - 1] == 0) {
        v->n--;
    }
    if (v->n == 0) {
        v->kind = NUM_POS;
        v->weight = 0;
    }
}

static int decimal_digits_u32(uint32_t x)
{
    int n = 1;
    while (n < 10 && x >= num_pow10_u32[n]) {
        n++;
    }
    return n;
}

int32_t num_dweight(const Num *x)
{
    return x->n == 0 ? 0 : x->weight * NUM_BASE_DIGITS + decimal_digits_u32(x->limbs[0]) - 1;
}

Status num_check(Ctx *cx, const Num *v)
{
    if (UNLIKELY(v->n != 0 && v->weight >= NUM_WEIGHT_MAX / NUM_BASE_DIGITS && num_dweight(v) > NUM_WEIGHT_MAX)) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    return ST_OK;
}

int32_t num_pg_weight(const Num *v)
{
    return v->n == 0 ? 0 : floor_div(num_dweight(v), 4);
}

/* Decimal digit that counts 10^position. */
static uint32_t digit_at(const Num *v, int32_t position)
{
    int32_t limb = v->weight - floor_div(position, NUM_BASE_DIGITS);
    if (limb < 0 || limb >= (int32_t)v->n) {
        return 0;
    }
    int32_t in_limb = position - floor_div(position, NUM_BASE_DIGITS) * NUM_BASE_DIGITS;
    return v->limbs[limb] / num_pow10_u32[in_limb] % 10;
}

uint32_t num_pg_digit(const Num *v, int32_t i)
{
    int32_t low = (num_pg_weight(v) - i) * 4;
    return digit_at(v, low + 3) * 1000 + digit_at(v, low + 2) * 100 + digit_at(v, low + 1) * 10 + digit_at(v, low);
}

Status num_from_digits(Ctx *cx, Arena *a, const char *digits, size_t ndigits, int64_t dweight, NumKind sign, int dscale,
                       Num *out)
{
    while (ndigits > 0 && *digits == '0') {
        digits++;
        ndigits--;
        dweight--;
    }
    while (ndigits > 0 && digits[ndigits - 1] == '0') {
        ndigits--;
    }
    if (ndigits == 0) {
        *out = num_zero(dscale);
        return ST_OK;
    }
    if (dweight > NUM_WEIGHT_MAX) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    int32_t first = (int32_t)dweight;
    Num v = {.kind = sign, .dscale = dscale, .weight = floor_div(first, NUM_BASE_DIGITS)};
    int32_t last = first - (int32_t)ndigits + 1;
    v.n = (uint32_t)(v.weight - floor_div(last, NUM_BASE_DIGITS) + 1);
    v.limbs = num_limbs(cx, a, v.n);
    if (v.limbs == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    /* Digits left to do in the current limb; the first limb may be partly filled. */
    int room = first - v.weight * NUM_BASE_DIGITS + 1;
    uint32_t limb = 0;
    for (size_t i = 0; i < ndigits; i++) {
        v.limbs[limb] = v.limbs[limb] * 10 + (uint32_t)(digits[i] - '0');
        if (--room == 0) {
            room = NUM_BASE_DIGITS;
            limb++;
        }
    }
    if (limb < v.n) {
        v.limbs[limb] *= num_pow10_u32[room];
    }
    num_strip(&v);
    *out = v;
    return ST_OK;
}

static void put_limb(char *p, uint32_t x)
{
    for (int i = NUM_BASE_DIGITS - 1; i >= 0; i--) {
        p[i] = (char)('0' + x % 10);
        x /= 10;
    }
}

Status num_to_digits(Ctx *cx, Arena *a, const Num *v, char **out_digits, size_t *out_n, int32_t *out_dweight)
{
    size_t n = (size_t)v->n * NUM_BASE_DIGITS;
    char *p = arena_alloc(a, n + 1);
    if (p == NULL) {
        return ctx_nomem(cx, n + 1);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        put_limb(p + (size_t)i * NUM_BASE_DIGITS, v->limbs[i]);
    }
    p[n] = '\0';
    size_t skip = v->n == 0 ? 0 : (size_t)(NUM_BASE_DIGITS - decimal_digits_u32(v->limbs[0]));
    *out_digits = p + skip;
    *out_n = n - skip;
    *out_dweight = num_dweight(v);
    return ST_OK;
}

/* ---- views ---- */

enum { VIEW_HEAD = 4, VIEW_SPECIAL = 2 };

static void view_head(const char *p, Num *out)
{
    uint16_t head = load_u16(p);
    out->dscale = head & 0x3fff;
    out->weight = (int16_t)load_u16(p + 2);
    if (head >> 14 == VIEW_SPECIAL) {
        out->kind = (NumKind)(NUM_NAN + (int)out->dscale);
        out->dscale = 0;
    } else {
        out->kind = (NumKind)(head >> 14);
    }
}

Status num_from_view(Ctx *cx, Arena *a, const StrView *v, Num *out)
{
    const char *p = strview_ptr(v);
    Num r = {.n = (v->len - VIEW_HEAD) / 4};
    ASSERT(v->len >= VIEW_HEAD);
    view_head(p, &r);
    if (r.n > 0) {
        r.limbs = num_limbs(cx, a, r.n);
        if (r.limbs == NULL) {
            return ST_OUT_OF_MEMORY;
        }
        memcpy(r.limbs, p + VIEW_HEAD, r.n * sizeof(uint32_t));
    }
    *out = r;
    return ST_OK;
}

Status num_to_view(Ctx *cx, Arena *heap, const Num *v, StrView *out)
{
    size_t len = VIEW_HEAD + (size_t)v->n * 4;
    char inline_bytes[STRVIEW_INLINE];
    char *p = len <= STRVIEW_INLINE ? inline_bytes : arena_alloc(heap, len);
    if (p == NULL) {
        return ctx_nomem(cx, len);
    }
    if (v->kind >= NUM_NAN) {
        store_u16(p, (uint16_t)(VIEW_SPECIAL << 14 | (v->kind - NUM_NAN)));
        store_u16(p + 2, 0);
    } else {
        ASSERT(v->dscale >= 0 && v->dscale <= NUM_DSCALE_MAX);
        store_u16(p, (uint16_t)((unsigned)v->kind << 14 | (unsigned)v->dscale));
        store_u16(p + 2, (uint16_t)(int16_t)v->weight);
        memcpy(p + VIEW_HEAD, v->limbs != NULL ? (void *)v->limbs : (void *)p, (size_t)v->n * 4);
    }
    *out = strview_make(p, (uint32_t)len);
    return ST_OK;
}

/* Limb i of a view's bytes. */
static uint32_t view_limb(const char *p, uint32_t i)
{
    return load_u32(p + VIEW_HEAD + (size_t)i * 4);
}

int num_view_cmp(const StrView *a, const StrView *b)
{
    const char *pa = strview_ptr(a);
    const char *pb = strview_ptr(b);
    Num x = {.n = (a->len - VIEW_HEAD) / 4};
    Num y = {.n = (b->len - VIEW_HEAD) / 4};
    view_head(pa, &x);
    view_head(pb, &y);
    if (num_is_special(&x) || num_is_special(&y) || x.n == 0 || y.n == 0 || x.kind != y.kind) {
        /* num_cmp looks at no limbs when signs or kinds decide. */
        return num_cmp(&x, &y);
    }
    int sign = x.kind == NUM_NEG ? -1 : 1;
    if (x.weight != y.weight) {
        return x.weight > y.weight ? sign : -sign;
    }
    uint32_t n = x.n < y.n ? x.n : y.n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t la = view_limb(pa, i);
        uint32_t lb = view_limb(pb, i);
        if (la != lb) {
            return la > lb ? sign : -sign;
        }
    }
    return x.n == y.n ? 0 : x.n > y.n ? sign : -sign;
}

void num_peek(const StrView *v, Num *out, uint32_t *scratch, uint32_t scratch_limbs)
{
    const char *p = strview_ptr(v);
    *out = (Num){.n = (v->len - VIEW_HEAD) / 4};
    view_head(p, out);
    if (out->n <= scratch_limbs) {
        memcpy(scratch, p + VIEW_HEAD, out->n * sizeof(uint32_t));
        out->limbs = scratch;
    } else {
        /* Reading through a misaligned pointer is what scratch avoids; heaps align to 16, so this one is aligned. */
        out->limbs = (uint32_t *)(uintptr_t)(p + VIEW_HEAD);
    }
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static Status bad_syntax(Ctx *cx, Str text)
{
    return err_set(cx->err, ST_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type numeric: \"%.*s\"",
                   (int)text.len, text.p);
}

static const struct NumWord {
    const char *word;
    NumKind kind;
} num_words[] = {
    {"NaN", NUM_NAN}, {"Infinity", NUM_INF}, {"+Infinity", NUM_INF}, {"-Infinity", NUM_NEG_INF},
    {"inf", NUM_INF}, {"+inf", NUM_INF},     {"-inf", NUM_NEG_INF},
};

static bool parse_word(Str s, Num *out)
{
    for (size_t i = 0; i < ARRAY_LEN(num_words); i++) {
        if (str_eq_ascii_nocase(s, str_from(num_words[i].word))) {
            *out = num_special(num_words[i].kind);
            return true;
        }
    }
    return false;
}

/* "e-12": false when malformed. Exponents beyond int range saturate: they overflow or vanish anyway. */
static bool parse_exponent(const char **io_p, const char *end, int64_t *out)
{
    const char *p = *io_p + 1;
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-')) {
        negative = *p++ == '-';
    }
    if (p == end || !is_digit(*p)) {
        return false;
    }
    int64_t e = 0;
    for (; p < end && is_digit(*p); p++) {
        e = e < 1000000000 ? e * 10 + (*p - '0') : e;
    }
    *out = negative ? -e : e;
    *io_p = p;
    return true;
}

Status num_parse(Ctx *cx, Arena *a, Str text, Num *out)
{
    const char *p = text.p;
    const char *end = text.p + text.len;
    while (p < end && is_space(*p)) {
        p++;
    }
    while (end > p && is_space(end[-1])) {
        end--;
    }
    if (parse_word((Str){p, (size_t)(end - p)}, out)) {
        return ST_OK;
    }
    NumKind sign = NUM_POS;
    if (p < end && (*p == '+' || *p == '-')) {
        sign = *p++ == '-' ? NUM_NEG : NUM_POS;
    }
    char *digits = arena_alloc(a, (size_t)(end - p) + 1);
    if (digits == NULL) {
        return ctx_nomem(cx, (size_t)(end - p) + 1);
    }
    size_t n = 0;
    int64_t before_point = -1;
    for (; p < end && (is_digit(*p) || (*p == '.' && before_point < 0)); p++) {
        if (*p == '.') {
            before_point = (int64_t)n;
        } else {
            digits[n++] = *p;
        }
    }
    int64_t exponent = 0;
    bool ok = n > 0;
    if (ok && p < end && (*p == 'e' || *p == 'E')) {
        ok = parse_exponent(&p, end, &exponent);
    }
    if (!ok || p != end) {
        return bad_syntax(cx, text);
    }
    if (before_point < 0) {
        before_point = (int64_t)n;
    }
    /* PostgreSQL refuses exponents beyond INT_MAX / 2 whatever the digits. */
    if (exponent >= INT32_MAX / 2 || exponent <= -(INT32_MAX / 2)) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    int64_t dscale = (int64_t)n - before_point - exponent;
    int64_t dweight = before_point - 1 + exponent;
    dscale = dscale < 0 ? 0 : dscale;
    if (dscale > NUM_DSCALE_MAX) {
        return err_set(cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    }
    return num_from_digits(cx, a, digits, n, dweight, sign, (int)dscale, out);
}

static const char *special_name(NumKind kind)
{
    return kind == NUM_NAN ? "NaN" : kind == NUM_INF ? "Infinity" : "-Infinity";
}

/* The digits of one limb, of which the first `skip` and those beyond `keep` are left out. */
static void append_limb(const Num *v, int32_t weight, int skip, int keep, StrBuf *sb)
{
    char p[NUM_BASE_DIGITS];
    int32_t i = v->weight - weight;
    put_limb(p, i >= 0 && i < (int32_t)v->n ? v->limbs[i] : 0);
    strbuf_append(sb, p + skip, (size_t)(keep - skip));
}

void num_append(const Num *v, StrBuf *sb)
{
    if (num_is_special(v)) {
        strbuf_puts(sb, special_name(v->kind));
        return;
    }
    if (v->kind == NUM_NEG) {
        strbuf_putc(sb, '-');
    }
    if (v->n == 0 || v->weight < 0) {
        strbuf_putc(sb, '0');
    } else {
        append_limb(v, v->weight, NUM_BASE_DIGITS - decimal_digits_u32(v->limbs[0]), NUM_BASE_DIGITS, sb);
        for (int32_t w = v->weight - 1; w >= 0; w--) {
            append_limb(v, w, 0, NUM_BASE_DIGITS, sb);
        }
    }
    if (v->dscale > 0) {
        strbuf_putc(sb, '.');
    }
    int32_t left = v->dscale;
    for (int32_t w = -1; left > 0; w--, left -= NUM_BASE_DIGITS) {
        append_limb(v, w, 0, left < NUM_BASE_DIGITS ? left : NUM_BASE_DIGITS, sb);
    }
}

void num_append_i128(Int128 coefficient, int scale, StrBuf *sb)
{
    char buf[48];
    char *p = buf + sizeof buf;
    UInt128 u = coefficient < 0 ? -(UInt128)coefficient : (UInt128)coefficient;
    int digits = 0;
    /* 64-bit division is several times cheaper than 128-bit: peel off 18 digits at a time. */
    while (u != 0 || digits <= scale) {
        uint64_t part = (uint64_t)(u % (UInt128)E18);
        u /= (UInt128)E18;
        for (int i = 0; i < 18 && (u != 0 || part != 0 || digits <= scale); i++) {
            if (digits == scale && scale > 0) {
                *--p = '.';
            }
            *--p = (char)('0' + part % 10);
            part /= 10;
            digits++;
        }
    }
    if (coefficient < 0) {
        *--p = '-';
    }
    strbuf_append(sb, p, (size_t)(buf + sizeof buf - p));
}

/* ---- integers and floats ---- */

Status num_from_i128(Ctx *cx, Arena *a, Int128 value, int scale, Num *out)
{
    UInt128 u = value < 0 ? -(UInt128)value : (UInt128)value;
    int frac_limbs = (scale + NUM_BASE_DIGITS - 1) / NUM_BASE_DIGITS;
    /* Shift left to whole limbs: at most 8 digits more, which may pass 128 bits; so multiply limb by limb. */
    uint32_t shift = num_pow10_u32[frac_limbs * NUM_BASE_DIGITS - scale];
    uint32_t limbs[8];
    uint32_t n = 0;
    uint64_t carry = 0;
    while (u != 0 || carry != 0) {
        uint64_t t = (uint64_t)(u % NUM_BASE) * shift + carry;
        u /= NUM_BASE;
        limbs[n++] = (uint32_t)(t % NUM_BASE);
        carry = t / NUM_BASE;
    }
    Num v = {.kind = value < 0 ? NUM_NEG : NUM_POS, .dscale = scale, .weight = (int32_t)n - 1 - frac_limbs, .n = n};
    v.limbs = num_limbs(cx, a, n == 0 ? 1 : n);
    if (v.limbs == NULL) {
        return ST_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        v.limbs[i] = limbs[n - 1 - i];
    }
    num_strip(&v);
    *out = v;
    return ST_OK;
}

bool num_to_i128(const Num *v, int scale, Int128 *out)
{
    if (num_is_special(v) || (v->n != 0 && num_dweight(v) + 1 + scale > 38)) {
        return false;
    }
    Int128 r = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        int32_t power = (v->weight - (int32_t)i) * NUM_BASE_DIGITS + scale;
        if (power >= 0) {
            r += v->limbs[i] * pow10_i128[power];
        } else if (power > -NUM_BASE_DIGITS && v->limbs[i] % num_pow10_u32[-power] == 0) {
            r += v->limbs[i] / num_pow10_u32[-power];
        } else {
            return false;
        }
    }
    *out = v->kind == NUM_NEG ? -r : r;
    return true;
}

bool num_to_i64(const Num *v, int64_t *out)
{
    if (num_is_special(v) || (v->n != 0 && num_dweight(v) > 19)) {
        return false;
    }
    Int128 r = 0;
    for (int32_t w = v->weight; w >= 0 && v->n > 0; w--) {
        int32_t i = v->weight - w;
        r = r * NUM_BASE + (i < (int32_t)v->n ? v->limbs[i] : 0);
    }
    r += digit_at(v, -1) >= 5;
    r = v->kind == NUM_NEG ? -r : r;
    if (r < INT64_MIN || r > INT64_MAX) {
        return false;
    }
    *out = (int64_t)r;
    return true;
}

double num_to_f64(Ctx *cx, Arena *a, const Num *v)
{
    if (num_is_special(v)) {
        return v->kind == NUM_NAN ? NAN : v->kind == NUM_INF ? INFINITY : -INFINITY;
    }
    Int128 exact;
    if (v->dscale <= 22 && num_to_i128(v, v->dscale, &exact) && exact < ((Int128)1 << 53) &&
        exact > -((Int128)1 << 53)) {
        static const double pow10_f64[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                           1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        /* Both exact: one rounding, so the quotient is the nearest double (Clinger's fast path). */
        return (double)exact / pow10_f64[v->dscale];
    }
    char *digits;
    size_t n;
    int32_t dweight;
    if (num_to_digits(cx, a, v, &digits, &n, &dweight) != ST_OK) {
        return NAN;
    }
    char *text = arena_printf(a, "%s%.*se%d", v->kind == NUM_NEG ? "-" : "", (int)n, digits, dweight - (int32_t)n + 1);
    return text == NULL ? NAN : strtod(text, NULL);
}

Status num_from_f64(Ctx *cx, Arena *a, double v, int digits, Num *out)
{
    if (isnan(v) || isinf(v)) {
        *out = num_special(isnan(v) ? NUM_NAN : v > 0 ? NUM_INF : NUM_NEG_INF);
        return ST_OK;
    }
    char buf[40];
    int len = snprintf(buf, sizeof buf, "%.*g", digits, v);
    return num_parse(cx, a, (Str){buf, (size_t)len}, out);
}

/* ---- order, hash, key ---- */

int num_sign(const Num *x)
{
    switch (x->kind) {
    case NUM_NEG:
    case NUM_NEG_INF: return -1;
    case NUM_INF: return 1;
    default: return x->n != 0;
    }
}

int num_cmp_magnitude(const Num *x, const Num *y)
{
    if (x->n == 0 || y->n == 0) {
        return (x->n != 0) - (y->n != 0);
    }
    if (x->weight != y->weight) {
        return x->weight > y->weight ? 1 : -1;
    }
    uint32_t n = x->n < y->n ? x->n : y->n;
    for (uint32_t i = 0; i < n; i++) {
        if (x->limbs[i] != y->limbs[i]) {
            return x->limbs[i] > y->limbs[i] ? 1 : -1;
        }
    }
    return (x->n > y->n) - (x->n < y->n);
}

int num_cmp(const Num *x, const Num *y)
{
    static const int8_t rank[] = {[NUM_POS] = 0, [NUM_NEG] = 0, [NUM_NAN] = 2, [NUM_INF] = 1, [NUM_NEG_INF] = -1};
    if (num_is_special(x) || num_is_special(y)) {
        return rank[x->kind] - rank[y->kind];
    }
    int sx = num_sign(x);
    int sy = num_sign(y);
    if (sx != sy) {
        return sx - sy;
    }
    return sx * (sx == 0 ? 0 : num_cmp_magnitude(x, y));
}

int num_min_scale(const Num *x)
{
    if (x->n == 0) {
        return 0;
    }
    int32_t low = (x->weight - (int32_t)x->n + 1) * NUM_BASE_DIGITS; /* position of the last limb's last digit */
    uint32_t last = x->limbs[x->n - 1];
    while (last % 10 == 0) {
        last /= 10;
        low++;
    }
    return low < 0 ? -low : 0;
}

static uint64_t hash_special(NumKind kind)
{
    return mix64(0x6e756d00u + (uint64_t)kind);
}

/* Coefficient without trailing zeros and its power of ten: the same for every representation of a value. */
static uint64_t hash_reduced(Int128 c, int32_t exponent)
{
    if (c == 0) {
        return mix64(0);
    }
    uint64_t low = (uint64_t)c;
    uint64_t high = (uint64_t)((UInt128)c >> 64);
    if (c == (int64_t)low) {
        high = 0; /* small coefficients take one mixing step less */
        return mix64(low ^ mix64((uint64_t)(int64_t)exponent));
    }
    return mix64(low ^ mix64(high ^ mix64((uint64_t)(int64_t)exponent)));
}

uint64_t num_hash_i128(Int128 c, int scale)
{
    int32_t exponent = -scale;
    if (c == 0) {
        return hash_reduced(0, 0);
    }
    if (c == (int64_t)c) {
        int64_t s = (int64_t)c;
        while (s % 10000 == 0) {
            s /= 10000;
            exponent += 4;
        }
        while (s % 10 == 0) {
            s /= 10;
            exponent++;
        }
        return hash_reduced(s, exponent);
    }
    while (c % 10 == 0) {
        c /= 10;
        exponent++;
        if (c == (int64_t)c) {
            return num_hash_i128(c, -exponent);
        }
    }
    return hash_reduced(c, exponent);
}

uint64_t num_hash(const Num *x)
{
    if (num_is_special(x)) {
        return hash_special(x->kind);
    }
    if (x->n == 0) {
        return hash_reduced(0, 0);
    }
    int scale = (int)-((int64_t)x->weight - (int64_t)x->n + 1) * NUM_BASE_DIGITS; /* of the last limb */
    Int128 c = 0;
    if (x->n <= 4) { /* 36 digits: the coefficient of whole limbs fits */
        for (uint32_t i = 0; i < x->n; i++) {
            c = c * NUM_BASE + x->limbs[i];
        }
        return num_hash_i128(x->kind == NUM_NEG ? -c : c, scale);
    }
    if (x->n <= 6) {
        /* Up to 38 digits may straddle more limbs; a fixed-form value of this size must hash alike. */
        int min = num_min_scale(x);
        int32_t low_power = min > 0 ? min : scale;
        if (num_to_i128(x, low_power, &c)) {
            return num_hash_i128(c, low_power);
        }
    }
    uint64_t h = mix64((uint64_t)(int64_t)x->weight ^ ((uint64_t)x->kind << 32) ^ 0x62696700u);
    for (uint32_t i = 0; i < x->n; i++) {
        h = mix64(h ^ x->limbs[i]);
    }
    return h;
}

/*
 * Key of a positive number: its exponent e (decimal weight of the first digit), the digits in pairs (each byte 1..100), a
 * zero byte. Exponents -40..40 are one byte 0x82 + e + 40; smaller ones 0x81, larger ones 0xfc, and three bytes. A
 * negative number has all bytes complemented, so its first byte is 0x03..0x7e.
 */
enum {
    KEY_NEG_INF = 0x01,
    KEY_ZERO = 0x80,
    KEY_SMALL = 0x81,
    KEY_EXP_MIN = -40,
    KEY_EXP_MAX = 40,
    KEY_EXP_BASE = 0x82,
    KEY_LARGE = 0xfc,
    KEY_INF = 0xfd,
    KEY_NAN = 0xff,
};

static void key_digits(const char *digits, size_t n, int32_t dweight, bool negative, StrBuf *out)
{
    uint8_t head[4];
    size_t head_bytes = 1;
    uint8_t flip = negative ? 0xff : 0;
    while (n > 0 && digits[n - 1] == '0') {
        n--;
    }
    if (dweight >= KEY_EXP_MIN && dweight <= KEY_EXP_MAX) {
        head[0] = (uint8_t)(KEY_EXP_BASE + dweight - KEY_EXP_MIN);
    } else {
        uint32_t biased = (uint32_t)(dweight + 0x400000);
        head[0] = dweight < 0 ? KEY_SMALL : KEY_LARGE;
        head[1] = (uint8_t)(biased >> 16);
        head[2] = (uint8_t)(biased >> 8);
        head[3] = (uint8_t)biased;
        head_bytes = 4;
    }
    for (size_t i = 0; i < head_bytes; i++) {
        strbuf_putc(out, (char)(head[i] ^ flip));
    }
    for (size_t i = 0; i < n; i += 2) {
        int pair = (digits[i] - '0') * 10 + (i + 1 < n ? digits[i + 1] - '0' : 0);
        strbuf_putc(out, (char)((pair + 1) ^ flip));
    }
    strbuf_putc(out, (char)flip);
}

void num_key(const Num *x, StrBuf *out)
{
    if (num_is_special(x)) {
        strbuf_putc(out, (char)(x->kind == NUM_NAN ? KEY_NAN : x->kind == NUM_INF ? KEY_INF : KEY_NEG_INF));
        return;
    }
    if (x->n == 0) {
        strbuf_putc(out, (char)KEY_ZERO);
        return;
    }
    char few[16 * NUM_BASE_DIGITS];
    size_t bytes = (size_t)x->n * NUM_BASE_DIGITS;
    char *p = few;
    if (bytes > sizeof few) {
        p = mem_alloc(out->budget, bytes);
        if (p == NULL) {
            out->failed = true;
            return;
        }
    }
    for (uint32_t i = 0; i < x->n; i++) {
        put_limb(p + (size_t)i * NUM_BASE_DIGITS, x->limbs[i]);
    }
    size_t skip = (size_t)(NUM_BASE_DIGITS - decimal_digits_u32(x->limbs[0]));
    key_digits(p + skip, bytes - skip, num_dweight(x), x->kind == NUM_NEG, out);
    if (p != few) {
        mem_free(out->budget, p, bytes);
    }
}

void num_key_i128(Int128 c, int scale, bool is_nan, StrBuf *out)
{
    if (is_nan) {
        strbuf_putc(out, (char)KEY_NAN);
        return;
    }
    if (c == 0) {
        strbuf_putc(out, (char)KEY_ZERO);
        return;
    }
    char buf[40];
    size_t n = 0;
    UInt128 u = c < 0 ? -(UInt128)c : (UInt128)c;
    for (; u != 0; u /= 10) {
        buf[sizeof buf - ++n] = (char)('0' + (int)(u % 10));
    }
    key_digits(buf + sizeof buf - n, n, (int32_t)n - 1 - scale, c < 0, out);
}
