/*
 * base/str.c: slices, UTF-8 and the growing byte buffer.
 */
#include "base/str.h"

#include <stdio.h>

#include "base/check.h"

static unsigned char ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_ascii_nocase(Str a, Str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

int str_cmp(Str a, Str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80u;
}

/* Bytes that a lead byte announces; 0 for a byte that cannot lead. C0, C1 and F5.. would be overlong or too large. */
static unsigned lead_bytes(unsigned char c)
{
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xc2) {
        return 0;
    }
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

/* The second byte's range excludes overlong forms, surrogates and what lies past U+10FFFF (RFC 3629, section 4). */
static bool second_byte_ok(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0: return second >= 0xa0 && second <= 0xbf;
    case 0xed: return second >= 0x80 && second <= 0x9f;
    case 0xf0: return second >= 0x90 && second <= 0xbf;
    case 0xf4: return second >= 0x80 && second <= 0x8f;
    default: return second >= 0x80 && second <= 0xbf;
    }
}

/* Bytes of the character at p, 0 if it is malformed or cut. */
static unsigned char_bytes_checked(const char *p, size_t len)
{
    unsigned char lead = (unsigned char)p[0];
    unsigned n = lead_bytes(lead);
    if (n == 0 || n > len || (n > 1 && !second_byte_ok(lead, (unsigned char)p[1]))) {
        return 0;
    }
    for (unsigned i = 2; i < n; i++) {
        if (!is_continuation(p[i])) {
            return 0;
        }
    }
    return n;
}

bool utf8_valid(const char *p, size_t len, size_t *out_bad_offset)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t i = 0;
    while (i < len) {
        if (len - i >= 8 && (load_u64(p + i) & high_bits) == 0) { /* eight ASCII characters at once */
            i += 8;
            continue;
        }
        unsigned n = char_bytes_checked(p + i, len - i);
        if (n == 0) {
            if (out_bad_offset != NULL) {
                *out_bad_offset = i;
            }
            return false;
        }
        i += n;
    }
    return true;
}

/* Counts the bytes that are not continuations, eight at a time: bit 7 set and bit 6 clear marks a continuation. */
size_t utf8_length(const char *p, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t continuations = 0;
    size_t i = 0;
    for (; len - i >= 8; i += 8) {
        uint64_t w = load_u64(p + i);
        uint64_t marks = (w >> 7) & ~(w >> 6) & ones;
        continuations += (size_t)((marks * ones) >> 56);
    }
    for (; i < len; i++) {
        continuations += is_continuation(p[i]);
    }
    return len - continuations;
}

size_t utf8_prefix_bytes(const char *p, size_t len, size_t n)
{
    size_t i = 0;
    while (i < len && n > 0) {
        i++;
        while (i < len && is_continuation(p[i])) {
            i++;
        }
        n--;
    }
    return i;
}

size_t utf8_clip(const char *p, size_t len, size_t max)
{
    if (len <= max) {
        return len;
    }
    while (max > 0 && is_continuation(p[max])) {
        max--;
    }
    return max;
}

size_t utf8_complete(const char *p, size_t len)
{
    size_t back = 0;
    while (back < 3 && back < len) {
        back++;
        unsigned char c = (unsigned char)p[len - back];
        if (!is_continuation((char)c)) {
            return lead_bytes(c) > back ? len - back : len;
        }
    }
    return len;
}

uint32_t utf8_decode(const char *p, size_t len, unsigned *out_bytes)
{
    ASSERT(len > 0);
    const unsigned char *u = (const unsigned char *)p;
    unsigned n = lead_bytes(u[0]);
    ASSERT(n >= 1 && n <= len);
    static const unsigned char LEAD_MASK[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t cp = u[0] & LEAD_MASK[n];
    for (unsigned i = 1; i < n; i++) {
        cp = cp << 6 | (u[i] & 0x3fu);
    }
    *out_bytes = n;
    return cp;
}

unsigned utf8_encode(uint32_t cp, char out[4])
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        return 0;
    }
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    static const unsigned char LEAD_MARK[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    unsigned n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (unsigned i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80u | (cp & 0x3fu));
        cp >>= 6;
    }
    out[0] = (char)(LEAD_MARK[n] | cp);
    return n;
}

/* What an empty buffer's p points to; cap 0 tells it from memory of its own, and nothing is ever written to it. */
static const char EMPTY[1] = "";

enum { STRBUF_FIRST = 64 };

void strbuf_init(StrBuf *b, Budget *budget)
{
    *b = (StrBuf){.budget = budget, .p = (char *)EMPTY};
}

void strbuf_done(StrBuf *b)
{
    if (b->cap > 0) {
        mem_free(b->budget, b->p, b->cap);
    }
    strbuf_init(b, b->budget);
}

void strbuf_reset(StrBuf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->cap > 0) {
        b->p[0] = 0;
    }
}

bool strbuf_reserve(StrBuf *b, size_t more)
{
    if (b->failed) {
        return false;
    }
    if (b->cap > 0 && more < b->cap - b->len) {
        return true;
    }
    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need;
    cap = cap < STRBUF_FIRST ? STRBUF_FIRST : cap;
    char *p = mem_realloc(b->budget, b->cap == 0 ? NULL : b->p, b->cap, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    b->p[b->len] = 0;
    return true;
}

void strbuf_append(StrBuf *b, const void *p, size_t len)
{
    if (len > 0 && strbuf_reserve(b, len)) {
        memcpy(b->p + b->len, p, len);
        b->len += len;
        b->p[b->len] = 0;
    }
}

void strbuf_puts(StrBuf *b, const char *s)
{
    strbuf_append(b, s, strlen(s));
}

void strbuf_putc(StrBuf *b, char c)
{
    strbuf_append(b, &c, 1);
}

void strbuf_printf(StrBuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(b, fmt, ap);
    va_end(ap);
}

void strbuf_vprintf(StrBuf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    /* Formats into the room there is; only when that is too small once more. */
    size_t room = b->failed || b->cap == 0 ? 0 : b->cap - b->len;
    int n = vsnprintf(room == 0 ? NULL : b->p + b->len, room, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < room) {
        b->len += (size_t)n;
    } else if (strbuf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    if (b->cap > 0) {
        b->p[b->len] = 0; /* a failed append may have left a cut text behind the end */
    }
    va_end(again);
}
