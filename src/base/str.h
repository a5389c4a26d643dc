/*
 * base/str.h: string slices and a growing byte buffer.
 */
#ifndef RDB_BASE_STR_H
#define RDB_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* A slice: not owned, not zero-terminated. */
typedef struct Str {
    const char *p;
    size_t len;
} Str;

#define STR_LIT(s) ((Str){(s), sizeof(s) - 1})
static inline Str str_from(const char *s)
{
    return (Str){s, strlen(s)};
}
static inline bool str_eq(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
bool str_eq_ascii_nocase(Str a, Str b);
int str_cmp(Str a, Str b); /* memcmp order, shorter first: < 0, 0, > 0 */

/* UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(const char *p, size_t len, size_t *out_bad_offset); /* out_bad_offset may be NULL */
size_t utf8_length(const char *p, size_t len);                      /* characters of a valid string */
/* Bytes of the first n characters (or all) of a valid string. */
size_t utf8_prefix_bytes(const char *p, size_t len, size_t n);
/* Longest prefix of at most max bytes that ends at a character boundary. */
size_t utf8_clip(const char *p, size_t len, size_t max);
/* Bytes of p without an incomplete character at its end: for text that was cut at an arbitrary byte. */
size_t utf8_complete(const char *p, size_t len);
/* Decodes one character of a valid string; *out_bytes 1..4. */
uint32_t utf8_decode(const char *p, size_t len, unsigned *out_bytes);
unsigned utf8_encode(uint32_t cp, char out[4]); /* returns bytes, 0 if cp is not a Unicode scalar value */

/*
 * A growing byte buffer charged to a budget. Appends after a failed one are ignored and `failed` stays set, so that a
 * long series of appends is checked once at its end. The content is always followed by a zero byte (not counted).
 */
typedef struct StrBuf {
    Budget *budget;
    char *p;
    size_t len;
    size_t cap;
    bool failed;
} StrBuf;

void strbuf_init(StrBuf *b, Budget *budget); /* allocates nothing; p is "" */
void strbuf_done(StrBuf *b);
void strbuf_reset(StrBuf *b); /* keeps the memory */
MUST_CHECK bool strbuf_reserve(StrBuf *b, size_t more); /* room for `more` bytes beyond len */
void strbuf_append(StrBuf *b, const void *p, size_t len);
void strbuf_puts(StrBuf *b, const char *s);
void strbuf_putc(StrBuf *b, char c);
void strbuf_printf(StrBuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vprintf(StrBuf *b, const char *fmt, va_list ap);
static inline Str strbuf_str(const StrBuf *b)
{
    return (Str){b->p, b->len};
}

/* Little-endian loads and stores for on-disk formats; memcpy, so alignment does not matter. */
static inline uint16_t load_u16(const void *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t load_u32(const void *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t load_u64(const void *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static inline void store_u16(void *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void store_u32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void store_u64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }
/* Big-endian, for the wire and for memcmp keys. */
static inline uint16_t load_be16(const void *p) { return __builtin_bswap16(load_u16(p)); }
static inline uint32_t load_be32(const void *p) { return __builtin_bswap32(load_u32(p)); }
static inline uint64_t load_be64(const void *p) { return __builtin_bswap64(load_u64(p)); }
static inline void store_be16(void *p, uint16_t v) { store_u16(p, __builtin_bswap16(v)); }
static inline void store_be32(void *p, uint32_t v) { store_u32(p, __builtin_bswap32(v)); }
static inline void store_be64(void *p, uint64_t v) { store_u64(p, __builtin_bswap64(v)); }

STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "on-disk formats are little-endian");

#endif
