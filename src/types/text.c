/*
 * types/text.c: functions on character strings and bytea.
 *
 * Characters are Unicode code points of valid UTF-8 (V2 of value.h). Case mapping is that of PostgreSQL's C locale: ASCII
 * only. A result that is a part of its argument shares the argument's bytes (see vector.h on lifetimes).
 */
#include <stdlib.h>

#include "types/array.h"
#include "types/kernels.h"
#include "types/text_format.h"

#define STR(v) strview_str(&(v))

static Status too_long(FnCtx *fx)
{
    return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
}

/* A view of part of an argument. */
static inline StrView part(const char *p, size_t len)
{
    return strview_make(p, (uint32_t)len);
}

/* A part of a view that may be inline in a register copy: the bytes must outlive it, so short ones are copied anyway. */
#define PART(v, from, len) part(strview_ptr(&(v)) + (from), (len))

/* ---- joining ---- */

static Status concat2(FnCtx *fx, Arena *heap, Str a, Str b, StrView *out)
{
    if (a.len + b.len > VALUE_BYTES_MAX) {
        return too_long(fx);
    }
    char small[STRVIEW_INLINE];
    size_t len = a.len + b.len;
    char *p = len <= sizeof small ? small : heap_bytes(heap, len);
    if (p == NULL) {
        return ctx_nomem(fx->cx, len);
    }
    if (a.len > 0) {
        memcpy(p, a.p, a.len);
    }
    if (b.len > 0) {
        memcpy(p + a.len, b.p, b.len);
    }
    *out = strview_make(p, (uint32_t)len);
    return ST_OK;
}

KERNEL2(k_textcat, StrView, StrView, StrView, FAIL_IF(concat2(fx, &out->heap, STR(a), STR(b), &r));)

/* text || anynonarray and the reverse: the other side through its output function. */
static Status cat_any(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out, int any)
{
    StrBuf text;
    strbuf_init(&text, fx->cx->budget);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        Str known = strview_str(vec_at(args[1 - any], row));
        strbuf_reset(&text);
        st = type_out(fx, &fx->call->args[any], vec_at(args[any], row), &text);
        if (st == ST_OK) {
            Str other = strbuf_str(&text);
            st = concat2(fx, &out->heap, any == 0 ? other : known, any == 0 ? known : other, vec_at(out, row));
        }
        fx->error_row = row;
    }
    strbuf_done(&text);
    return st;
}
KERNEL_FN(k_textanycat)
{
    return cat_any(fx, args, sel, n, out, 1);
}
KERNEL_FN(k_anytextcat)
{
    return cat_any(fx, args, sel, n, out, 0);
}

/* concat and concat_ws: NULLs are left out; bool prints as t. `first` = 1 with a separator. */
static Status concat_row(FnCtx *fx, const Vector *const *args, uint32_t row, unsigned first, StrBuf *text)
{
    bool any = false;
    for (unsigned i = first; i < fx->call->nargs; i++) {
        if (vec_is_null(args[i], row)) {
            continue;
        }
        if (first == 1 && any) {
            Str sep = strview_str(vec_at(args[0], row));
            strbuf_append(text, sep.p, sep.len);
        }
        Status st = type_out(fx, fn_arg_type(fx->call, i), vec_at(args[i], row), text);
        if (st != ST_OK) {
            return st;
        }
        any = true;
    }
    return text->failed ? ctx_nomem(fx->cx, text->len) : ST_OK;
}

static Status concat_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out,
                          unsigned first)
{
    StrBuf text;
    strbuf_init(&text, fx->cx->budget);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        fx->error_row = row;
        if (first == 1 && vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        strbuf_reset(&text);
        st = concat_row(fx, args, row, first, &text);
        if (st == ST_OK && !heap_str(&out->heap, text.p, text.len, vec_at(out, row))) {
            st = ctx_nomem(fx->cx, text.len);
        }
    }
    strbuf_done(&text);
    return st;
}
KERNEL_FN(k_concat)
{
    return concat_rows(fx, args, sel, n, out, 0);
}
KERNEL_FN(k_concat_ws)
{
    return concat_rows(fx, args, sel, n, out, 1);
}

/* ---- length and position ---- */

static uint32_t trimmed_len(const StrView *v)
{
    uint32_t len = v->len;
    while (len > 0 && strview_ptr(v)[len - 1] == ' ') {
        len--;
    }
    return len;
}

KERNEL1(k_textlen, StrView, int32_t, r = (int32_t)utf8_length(strview_ptr(&a), a.len);)
KERNEL1(k_bpcharlen, StrView, int32_t, r = (int32_t)utf8_length(strview_ptr(&a), trimmed_len(&a));)
KERNEL1(k_octetlen, StrView, int32_t, r = (int32_t)a.len;)
KERNEL1(
    k_bitlen, StrView, int32_t,
    if (a.len > INT32_MAX / 8) { FAIL(ST_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"); } r = (int32_t)a.len * 8;)

/* Byte offset of needle in hay, or -1. memmem is linear. */
static int64_t find(Str hay, Str needle)
{
    if (needle.len == 0) {
        return 0;
    }
    const char *p = memmem(hay.p, hay.len, needle.p, needle.len);
    return p != NULL ? p - hay.p : -1;
}

KERNEL2(k_textpos, StrView, StrView, int32_t, int64_t at = find(STR(a), STR(b));
        r = at < 0 ? 0 : (int32_t)utf8_length(strview_ptr(&a), (size_t)at) + 1;)
KERNEL2(k_byteapos, StrView, StrView, int32_t, int64_t at = find(STR(a), STR(b)); r = (int32_t)at + 1;)

/* ---- parts ---- */

static Status negative_length(FnCtx *fx)
{
    return err_set(fx->cx->err, ST_SUBSTRING_ERROR, "negative substring length not allowed");
}

/* SQL's substring: characters start .. start + length - 1, positions below 1 count but hold nothing. */
static Status substr_text(FnCtx *fx, const StrView *v, int32_t start, int64_t length, bool bytes, StrView *out)
{
    int64_t end = (int64_t)start + length;
    int64_t from = start < 1 ? 1 : start;
    if (length < 0) {
        return negative_length(fx);
    }
    const char *p = strview_ptr(v);
    if (end <= from) {
        *out = part("", 0);
        return ST_OK;
    }
    size_t skip = bytes ? (size_t)(from - 1) : utf8_prefix_bytes(p, v->len, (size_t)(from - 1));
    skip = skip < v->len ? skip : v->len;
    size_t left = v->len - skip;
    size_t keep = bytes ? (size_t)(end - from) : utf8_prefix_bytes(p + skip, left, (size_t)(end - from));
    *out = part(p + skip, keep < left ? keep : left);
    return ST_OK;
}

KERNEL3(k_substr, StrView, int32_t, int32_t, StrView, FAIL_IF(substr_text(fx, &a, b, c, false, &r));)
KERNEL2(k_substr_rest, StrView, int32_t, StrView, FAIL_IF(substr_text(fx, &a, b, INT64_C(1) << 40, false, &r));)
KERNEL3(k_bytea_substr, StrView, int32_t, int32_t, StrView, FAIL_IF(substr_text(fx, &a, b, c, true, &r));)
KERNEL2(k_bytea_substr_rest, StrView, int32_t, StrView, FAIL_IF(substr_text(fx, &a, b, INT64_C(1) << 40, true, &r));)

/* Bytes of the first n characters; n < 0: of all but the last -n. */
static size_t head_bytes(Str s, int32_t n)
{
    if (n < 0) {
        int64_t keep = (int64_t)utf8_length(s.p, s.len) + n;
        return keep <= 0 ? 0 : utf8_prefix_bytes(s.p, s.len, (size_t)keep);
    }
    return utf8_prefix_bytes(s.p, s.len, (size_t)n);
}

KERNEL2(k_left, StrView, int32_t, StrView, r = PART(a, 0, head_bytes(STR(a), b));)
KERNEL2(
    k_right, StrView, int32_t, StrView, size_t skip; if (b >= 0) {
        size_t have = utf8_length(strview_ptr(&a), a.len);
        skip = (size_t)b >= have ? 0 : utf8_prefix_bytes(strview_ptr(&a), a.len, have - (size_t)b);
    } else { skip = utf8_prefix_bytes(strview_ptr(&a), a.len, (size_t)(-(int64_t)b)); } r = PART(a, skip,
                                                                                                 a.len - skip);)

/* ---- case ---- */

static Status map_case(FnCtx *fx, Arena *heap, Str s, char low, char high, StrView *out)
{
    char *p = heap_bytes(heap, s.len);
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len);
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        p[i] = c >= low && c <= high ? (char)(c ^ 0x20) : c;
    }
    *out = strview_make(p, (uint32_t)s.len);
    return ST_OK;
}
KERNEL1(k_lower, StrView, StrView, FAIL_IF(map_case(fx, &out->heap, STR(a), 'A', 'Z', &r));)
KERNEL1(k_upper, StrView, StrView, FAIL_IF(map_case(fx, &out->heap, STR(a), 'a', 'z', &r));)

static Status init_cap(FnCtx *fx, Arena *heap, Str s, StrView *out)
{
    char *p = heap_bytes(heap, s.len);
    bool inside = false;
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len);
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool lower = c >= 'a' && c <= 'z';
        p[i] = (inside && upper) || (!inside && lower) ? (char)(c ^ 0x20) : c;
        inside = upper || lower || (c >= '0' && c <= '9');
    }
    *out = strview_make(p, (uint32_t)s.len);
    return ST_OK;
}
KERNEL1(k_initcap, StrView, StrView, FAIL_IF(init_cap(fx, &out->heap, STR(a), &r));)

/* ---- trimming and padding ---- */

/* Is the character of n bytes at p one of the set's? */
static bool in_set(const char *p, unsigned n, Str set)
{
    for (size_t i = 0; i < set.len;) {
        size_t w = utf8_prefix_bytes(set.p + i, set.len - i, 1);
        if (w == n && memcmp(set.p + i, p, n) == 0) {
            return true;
        }
        i += w;
    }
    return false;
}

static Str trim(Str s, Str set, bool left, bool right)
{
    while (left && s.len > 0) {
        unsigned n = (unsigned)utf8_prefix_bytes(s.p, s.len, 1);
        if (!in_set(s.p, n, set)) {
            break;
        }
        s.p += n;
        s.len -= n;
    }
    while (right && s.len > 0) {
        unsigned n = 1;
        while (n < s.len && ((uint8_t)s.p[s.len - n] & 0xc0) == 0x80) {
            n++;
        }
        if (!in_set(s.p + s.len - n, n, set)) {
            break;
        }
        s.len -= n;
    }
    return s;
}

#define TRIM(name, left, right)                                                                                        \
    KERNEL2(name, StrView, StrView, StrView, Str s = trim(STR(a), STR(b), left, right); r = part(s.p, s.len);)         \
    KERNEL1(name##1, StrView, StrView, Str s = trim(STR(a), STR_LIT(" "), left, right); r = part(s.p, s.len);)
TRIM(k_btrim, true, true)
TRIM(k_ltrim, true, false)
TRIM(k_rtrim, false, true)

static Str trim_bytes(Str s, Str set, bool left, bool right)
{
    while (left && s.len > 0 && set.len > 0 && memchr(set.p, s.p[0], set.len) != NULL) {
        s.p++;
        s.len--;
    }
    while (right && s.len > 0 && set.len > 0 && memchr(set.p, s.p[s.len - 1], set.len) != NULL) {
        s.len--;
    }
    return s;
}
KERNEL2(k_byteatrim, StrView, StrView, StrView, Str s = trim_bytes(STR(a), STR(b), true, true); r = part(s.p, s.len);)
KERNEL2(k_bytealtrim, StrView, StrView, StrView, Str s = trim_bytes(STR(a), STR(b), true, false); r = part(s.p, s.len);)
KERNEL2(k_byteartrim, StrView, StrView, StrView, Str s = trim_bytes(STR(a), STR(b), false, true); r = part(s.p, s.len);)

/* Fills to `chars` characters from the set, cyclically; longer strings are cut. */
static Status pad(FnCtx *fx, Arena *heap, Str s, int32_t chars, Str fill, bool left, StrView *out)
{
    size_t want = chars < 0 ? 0 : (size_t)chars;
    size_t have = utf8_length(s.p, s.len);
    if (have >= want || fill.len == 0) {
        *out = part(s.p, utf8_prefix_bytes(s.p, s.len, want));
        return ST_OK;
    }
    size_t fill_chars = utf8_length(fill.p, fill.len);
    size_t more = want - have;
    size_t fill_bytes = more / fill_chars * fill.len + utf8_prefix_bytes(fill.p, fill.len, more % fill_chars);
    if (fill_bytes + s.len > VALUE_BYTES_MAX) {
        return too_long(fx);
    }
    char *p = heap_bytes(heap, fill_bytes + s.len);
    if (p == NULL) {
        return ctx_nomem(fx->cx, fill_bytes);
    }
    char *pads = left ? p : p + s.len;
    for (size_t done = 0; done < fill_bytes; done += fill.len) {
        size_t n = fill_bytes - done < fill.len ? fill_bytes - done : fill.len;
        memcpy(pads + done, fill.p, n);
    }
    memcpy(left ? p + fill_bytes : p, s.p, s.len);
    *out = strview_make(p, (uint32_t)(fill_bytes + s.len));
    return ST_OK;
}
KERNEL3(k_lpad, StrView, int32_t, StrView, StrView, FAIL_IF(pad(fx, &out->heap, STR(a), b, STR(c), true, &r));)
KERNEL3(k_rpad, StrView, int32_t, StrView, StrView, FAIL_IF(pad(fx, &out->heap, STR(a), b, STR(c), false, &r));)
KERNEL2(k_lpad2, StrView, int32_t, StrView, FAIL_IF(pad(fx, &out->heap, STR(a), b, STR_LIT(" "), true, &r));)
KERNEL2(k_rpad2, StrView, int32_t, StrView, FAIL_IF(pad(fx, &out->heap, STR(a), b, STR_LIT(" "), false, &r));)

static Status repeat(FnCtx *fx, Arena *heap, Str s, int32_t times, StrView *out)
{
    size_t n = times < 0 ? 0 : (size_t)times;
    if (s.len > 0 && n > VALUE_BYTES_MAX / s.len) {
        return too_long(fx);
    }
    char *p = heap_bytes(heap, s.len * n);
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len * n);
    }
    for (size_t i = 0; i < n && s.len > 0; i++) {
        memcpy(p + i * s.len, s.p, s.len);
    }
    *out = strview_make(p, (uint32_t)(s.len * n));
    return ST_OK;
}
KERNEL2(k_repeat, StrView, int32_t, StrView, FAIL_IF(repeat(fx, &out->heap, STR(a), b, &r));)

static Status reverse(FnCtx *fx, Arena *heap, Str s, StrView *out)
{
    char *p = heap_bytes(heap, s.len);
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len);
    }
    for (size_t i = 0; i < s.len;) {
        size_t w = utf8_prefix_bytes(s.p + i, s.len - i, 1);
        memcpy(p + s.len - i - w, s.p + i, w);
        i += w;
    }
    *out = strview_make(p, (uint32_t)s.len);
    return ST_OK;
}
KERNEL1(k_reverse, StrView, StrView, FAIL_IF(reverse(fx, &out->heap, STR(a), &r));)

/* ---- replacing ---- */

static Status replace(FnCtx *fx, Arena *heap, const StrView *v, Str from, Str to, StrView *out)
{
    Str s = strview_str(v);
    size_t hits = 0;
    for (Str rest = s; from.len > 0;) {
        int64_t at = find(rest, from);
        if (at < 0) {
            break;
        }
        hits++;
        rest.p += (size_t)at + from.len;
        rest.len -= (size_t)at + from.len;
    }
    if (hits == 0) {
        *out = *v;
        return ST_OK;
    }
    if (to.len > 0 && hits > VALUE_BYTES_MAX / to.len) {
        return too_long(fx);
    }
    size_t len = s.len - hits * from.len + hits * to.len;
    char *p = len <= VALUE_BYTES_MAX ? heap_bytes(heap, len) : NULL;
    if (p == NULL) {
        return len > VALUE_BYTES_MAX ? too_long(fx) : ctx_nomem(fx->cx, len);
    }
    char *w = p;
    for (size_t i = 0; i < hits; i++) {
        size_t at = (size_t)find(s, from);
        memcpy(w, s.p, at);
        memcpy(w + at, to.p, to.len);
        w += at + to.len;
        s.p += at + from.len;
        s.len -= at + from.len;
    }
    memcpy(w, s.p, s.len);
    *out = strview_make(p, (uint32_t)len);
    return ST_OK;
}
KERNEL3(k_replace, StrView, StrView, StrView, StrView, FAIL_IF(replace(fx, &out->heap, &a, STR(b), STR(c), &r));)

/* Character i of `to` for character i of `from`; without a partner it is dropped. */
static Status translate(FnCtx *fx, Arena *heap, Str s, Str from, Str to, StrView *out)
{
    char *p = heap_bytes(heap, s.len * 4);
    size_t n = 0;
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len * 4);
    }
    for (size_t i = 0; i < s.len;) {
        size_t w = utf8_prefix_bytes(s.p + i, s.len - i, 1);
        size_t f = 0;
        size_t t = 0;
        bool hit = false;
        while (f < from.len && !hit) {
            size_t fw = utf8_prefix_bytes(from.p + f, from.len - f, 1);
            hit = fw == w && memcmp(from.p + f, s.p + i, w) == 0;
            if (!hit) {
                f += fw;
                t += t < to.len ? utf8_prefix_bytes(to.p + t, to.len - t, 1) : 0;
            }
        }
        if (!hit) {
            memcpy(p + n, s.p + i, w);
            n += w;
        } else if (t < to.len) {
            size_t tw = utf8_prefix_bytes(to.p + t, to.len - t, 1);
            memcpy(p + n, to.p + t, tw);
            n += tw;
        }
        i += w;
    }
    *out = strview_make(p, (uint32_t)n);
    return ST_OK;
}
KERNEL3(k_translate, StrView, StrView, StrView, StrView,
        FAIL_IF(translate(fx, &out->heap, STR(a), STR(b), STR(c), &r));)

static Status overlay(FnCtx *fx, Arena *heap, const StrView *v, Str with, int32_t start, int32_t length, bool bytes,
                      StrView *out)
{
    StrView head;
    StrView tail;
    StrView joined;
    int32_t after;
    if (start <= 0) {
        return negative_length(fx);
    }
    if (__builtin_add_overflow(start, length, &after)) {
        return err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
    }
    Status st = substr_text(fx, v, 1, start - 1, bytes, &head);
    st = st != ST_OK ? st : substr_text(fx, v, after, INT64_C(1) << 40, bytes, &tail);
    st = st != ST_OK ? st : concat2(fx, heap, strview_str(&head), with, &joined);
    return st != ST_OK ? st : concat2(fx, heap, strview_str(&joined), strview_str(&tail), out);
}
KERNEL4(k_overlay, StrView, StrView, int32_t, int32_t, StrView,
        FAIL_IF(overlay(fx, &out->heap, &a, STR(b), c, d, false, &r));)
KERNEL3(k_overlay3, StrView, StrView, int32_t, StrView,
        FAIL_IF(overlay(fx, &out->heap, &a, STR(b), c, (int32_t)utf8_length(strview_ptr(&b), b.len), false, &r));)
KERNEL4(k_bytea_overlay, StrView, StrView, int32_t, int32_t, StrView,
        FAIL_IF(overlay(fx, &out->heap, &a, STR(b), c, d, true, &r));)
KERNEL3(k_bytea_overlay3, StrView, StrView, int32_t, StrView,
        FAIL_IF(overlay(fx, &out->heap, &a, STR(b), c, (int32_t)b.len, true, &r));)

/* ---- splitting ---- */

/* The n-th field (from the end when negative); empty when there is none. */
static Status split_part(FnCtx *fx, const StrView *v, Str sep, int32_t n, StrView *out)
{
    Str s = strview_str(v);
    if (n == 0) {
        return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "field position must not be zero");
    }
    *out = part("", 0);
    if (s.len == 0) {
        return ST_OK;
    }
    if (sep.len == 0) {
        if (n == 1 || n == -1) {
            *out = *v;
        }
        return ST_OK;
    }
    int64_t fields = 1;
    if (n < 0) {
        for (Str rest = s;; fields++) {
            int64_t at = find(rest, sep);
            if (at < 0) {
                break;
            }
            rest.p += (size_t)at + sep.len;
            rest.len -= (size_t)at + sep.len;
        }
        if (fields + n + 1 <= 0) {
            return ST_OK;
        }
    }
    int64_t wanted = n > 0 ? n : fields + n + 1;
    for (int64_t i = 1;; i++) {
        int64_t at = find(s, sep);
        if (i == wanted) {
            *out = part(s.p, at < 0 ? s.len : (size_t)at);
            return ST_OK;
        }
        if (at < 0) {
            return ST_OK;
        }
        s.p += (size_t)at + sep.len;
        s.len -= (size_t)at + sep.len;
    }
}
KERNEL3(k_split_part, StrView, StrView, int32_t, StrView, FAIL_IF(split_part(fx, &a, STR(b), c, &r));)

/* string_to_array: separator NULL = every character; null_text NULL = none. */
Status split_to_array(FnCtx *fx, Arena *heap, Str s, const StrView *sep, const StrView *null_text, StrView *out)
{
    ArrayBuilder b;
    array_builder_init(&b, fx->arena, OID_TEXT);
    while (s.len > 0 || (b.n > 0 && sep != NULL && sep->len > 0)) {
        int64_t at = -1;
        size_t step = 0;
        if (sep == NULL) {
            at = (int64_t)utf8_prefix_bytes(s.p, s.len, 1);
        } else if (sep->len > 0) {
            at = find(s, strview_str(sep));
            step = sep->len;
        }
        size_t len = at < 0 ? s.len : (size_t)at;
        StrView item = strview_make(s.p, (uint32_t)len);
        bool is_null = null_text != NULL && strview_eq(&item, null_text);
        if (!array_builder_add(&b, is_null ? NULL : &item, false)) {
            return ctx_nomem(fx->cx, 0);
        }
        if (at < 0) {
            break;
        }
        s.p += len + step;
        s.len -= len + step;
    }
    return array_builder_finish(&b, fx->cx, heap, out);
}

static Status to_array_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        if (vec_is_null(args[0], row)) {
            NULL_RESULT
        }
        const StrView *sep = vec_is_null(args[1], row) ? NULL : vec_at(args[1], row);
        const StrView *null_text = fx->call->nargs < 3 || vec_is_null(args[2], row) ? NULL : vec_at(args[2], row);
        FAIL_IF(split_to_array(fx, &out->heap, strview_str(vec_at(args[0], row)), sep, null_text, vec_at(out, row)));
    }
    return ST_OK;
}
KERNEL_FN(k_text_to_array)
{
    return to_array_rows(fx, args, sel, n, out);
}

/* ---- characters ---- */

KERNEL1(k_ascii, StrView, int32_t, unsigned w = 0;
        r = a.len == 0 ? 0 : (int32_t)utf8_decode(strview_ptr(&a), a.len, &w);)

static Status chr(FnCtx *fx, int32_t code, StrView *out)
{
    char buf[4];
    if (code == 0) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "null character not permitted");
    }
    if (code < 0) {
        return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "character number must be positive");
    }
    unsigned n = code > 0x10ffff ? 0 : utf8_encode((uint32_t)code, buf);
    if (n == 0) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                       code > 0x10ffff ? "requested character too large for encoding: %u"
                                       : "requested character not valid for encoding: %u",
                       (unsigned)code);
    }
    *out = strview_make(buf, n);
    return ST_OK;
}
KERNEL1(k_chr, int32_t, StrView, FAIL_IF(chr(fx, a, &r));)

/* ---- quoting ---- */

static Status quote_literal(FnCtx *fx, Arena *heap, Str s, StrView *out)
{
    char *p = heap_bytes(heap, s.len * 2 + 4);
    size_t n = 0;
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len * 2);
    }
    if (memchr(s.p, '\\', s.len) != NULL) {
        p[n++] = 'E';
    }
    p[n++] = '\'';
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\'' || s.p[i] == '\\') {
            p[n++] = s.p[i];
        }
        p[n++] = s.p[i];
    }
    p[n++] = '\'';
    *out = strview_make(p, (uint32_t)n);
    return ST_OK;
}
KERNEL1(k_quote_literal, StrView, StrView, FAIL_IF(quote_literal(fx, &out->heap, STR(a), &r));)

KERNEL_FN(k_quote_nullable)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        StrView *r = vec_at(out, row);
        if (vec_is_null(args[0], row)) {
            *r = strview_make("NULL", 4);
        } else {
            FAIL_IF(quote_literal(fx, &out->heap, strview_str(vec_at(args[0], row)), r));
        }
    }
    return ST_OK;
}

static const char *const reserved_words[] = {
#define KEYWORD(word) word,
#include "types/gen/keywords.def"
#undef KEYWORD
};

static int cmp_word(const void *key, const void *entry)
{
    const Str *s = key;
    const char *word = *(const char *const *)entry;
    int c = strncmp(s->p, word, s->len);
    return c != 0 ? c : -(word[s->len] != '\0');
}

/* Plain when it is a lower-case identifier and no keyword that needs quotes. */
bool ident_needs_quotes(Str s)
{
    bool safe = s.len > 0 && ((s.p[0] >= 'a' && s.p[0] <= 'z') || s.p[0] == '_');
    for (size_t i = 1; safe && i < s.len; i++) {
        char c = s.p[i];
        safe = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    return !safe || bsearch(&s, reserved_words, ARRAY_LEN(reserved_words), sizeof *reserved_words, cmp_word) != NULL;
}

static Status quote_ident(FnCtx *fx, Arena *heap, Str s, StrView *out)
{
    if (!ident_needs_quotes(s)) {
        *out = part(s.p, s.len);
        return ST_OK;
    }
    char *p = heap_bytes(heap, s.len * 2 + 2);
    size_t n = 0;
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len * 2);
    }
    p[n++] = '"';
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"') {
            p[n++] = '"';
        }
        p[n++] = s.p[i];
    }
    p[n++] = '"';
    *out = strview_make(p, (uint32_t)n);
    return ST_OK;
}
KERNEL1(k_quote_ident, StrView, StrView, FAIL_IF(quote_ident(fx, &out->heap, STR(a), &r));)

/* ---- numbers in other bases, encodings ---- */

/* At most 8 digits: always inline. */
static StrView hex_text(uint32_t v)
{
    char buf[8];
    size_t n = 0;
    do {
        buf[sizeof buf - ++n] = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v != 0);
    return strview_make(buf + sizeof buf - n, (uint32_t)n);
}
KERNEL1(k_to_hex32, uint32_t, StrView, r = hex_text(a);)
KERNEL_FN(k_to_hex64)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        char buf[16];
        size_t len = 0;
        for (uint64_t v = *(const uint64_t *)vec_at(args[0], row); len == 0 || v != 0; v >>= 4) {
            buf[sizeof buf - ++len] = "0123456789abcdef"[v & 15];
        }
        if (!heap_str(&out->heap, buf + sizeof buf - len, len, vec_at(out, row))) {
            NOMEM();
        }
    }
    return ST_OK;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static Status encode(FnCtx *fx, Arena *heap, Str s, Str format, StrView *out)
{
    size_t n = 0;
    char *p = heap_bytes(heap, s.len * 4 + 8);
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len * 4);
    }
    if (str_eq_ascii_nocase(format, STR_LIT("hex"))) {
        for (size_t i = 0; i < s.len; i++) {
            p[n++] = "0123456789abcdef"[(uint8_t)s.p[i] >> 4];
            p[n++] = "0123456789abcdef"[(uint8_t)s.p[i] & 15];
        }
    } else if (str_eq_ascii_nocase(format, STR_LIT("base64"))) {
        size_t line = 0;
        for (size_t i = 0; i < s.len; i += 3) {
            uint32_t v = 0;
            for (size_t k = 0; k < 3; k++) {
                v = v << 8 | (i + k < s.len ? (uint8_t)s.p[i + k] : 0);
            }
            for (size_t k = 0; k < 4; k++) {
                bool padding = i + k > s.len;
                p[n++] = padding ? '=' : base64_digits[v >> (18 - 6 * k) & 63];
            }
            line += 4;
            if (line == 76 && i + 3 < s.len + 3) {
                p[n++] = '\n';
                line = 0;
            }
        }
    } else if (str_eq_ascii_nocase(format, STR_LIT("escape"))) {
        for (size_t i = 0; i < s.len; i++) {
            uint8_t c = (uint8_t)s.p[i];
            if (c == 0 || c >= 0x80) {
                p[n++] = '\\';
                p[n++] = (char)('0' + (c >> 6));
                p[n++] = (char)('0' + (c >> 3 & 7));
                p[n++] = (char)('0' + (c & 7));
            } else {
                if (c == '\\') {
                    p[n++] = '\\';
                }
                p[n++] = (char)c;
            }
        }
    } else {
        return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"", (int)format.len,
                       format.p);
    }
    *out = strview_make(p, (uint32_t)n);
    return ST_OK;
}
KERNEL2(k_encode, StrView, StrView, StrView, FAIL_IF(encode(fx, &out->heap, STR(a), STR(b), &r));)

static Status decode_base64(FnCtx *fx, Str s, char *p, size_t *out_n)
{
    uint32_t v = 0;
    int have = 0;
    int end = 0;
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        uint32_t b = 0;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            continue;
        }
        if (c == '=') {
            if (end == 0) {
                if (have != 2 && have != 3) {
                    return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE,
                                   "unexpected \"=\" while decoding base64 sequence");
                }
                end = have == 2 ? 1 : 2;
            }
        } else {
            const char *at = memchr(base64_digits, c, 64);
            if (at == NULL) {
                return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE,
                               "invalid symbol \"%.*s\" found while decoding base64 sequence",
                               (int)utf8_prefix_bytes(s.p + i, s.len - i, 1), s.p + i);
            }
            b = (uint32_t)(at - base64_digits);
        }
        v = v << 6 | b;
        if (++have == 4) {
            p[n++] = (char)(v >> 16);
            if (end == 0 || end > 1) {
                p[n++] = (char)(v >> 8);
            }
            if (end == 0 || end > 2) {
                p[n++] = (char)v;
            }
            have = 0;
            v = 0;
        }
    }
    if (have != 0) {
        Status st = err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "invalid base64 end sequence");
        err_hint(fx->cx->err, "Input data is missing padding, is truncated, or is otherwise corrupted.");
        return st;
    }
    *out_n = n;
    return ST_OK;
}

static Status decode(FnCtx *fx, Arena *heap, Str s, Str format, StrView *out)
{
    const ValueType bytea = value_type_of(OID_BYTEA);
    if (str_eq_ascii_nocase(format, STR_LIT("hex"))) {
        char *text = arena_printf(fx->arena, "\\x%.*s", (int)s.len, s.p);
        return text == NULL ? ctx_nomem(fx->cx, s.len) : type_in(fx, &bytea, (Str){text, s.len + 2}, heap, out);
    }
    if (str_eq_ascii_nocase(format, STR_LIT("escape"))) {
        bool hex = s.len >= 2 && s.p[0] == '\\' && s.p[1] == 'x';
        return hex ? err_set(fx->cx->err, ST_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s", "bytea")
                   : type_in(fx, &bytea, s, heap, out);
    }
    if (!str_eq_ascii_nocase(format, STR_LIT("base64"))) {
        return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"", (int)format.len,
                       format.p);
    }
    size_t n = 0;
    char *p = heap_bytes(heap, s.len + 4);
    if (p == NULL) {
        return ctx_nomem(fx->cx, s.len);
    }
    Status st = decode_base64(fx, s, p, &n);
    if (st == ST_OK) {
        *out = strview_make(p, (uint32_t)n);
    }
    return st;
}
KERNEL2(k_decode, StrView, StrView, StrView, FAIL_IF(decode(fx, &out->heap, STR(a), STR(b), &r));)

/* ---- casts among string types ---- */

KERNEL1(k_same, StrView, StrView, r = a;)
KERNEL1(k_to_name, StrView, StrView, r = PART(a, 0, utf8_clip(strview_ptr(&a), a.len, 63));)
KERNEL1(k_bpchar_name, StrView, StrView, uint32_t len = trimmed_len(&a);
        r = PART(a, 0, utf8_clip(strview_ptr(&a), len, 63));)
KERNEL1(k_text_char, StrView, uint8_t, r = char_value(STR(a));)
KERNEL1(k_char_text, uint8_t, StrView, char text[4]; r = strview_make(text, char_text(a, text));)
KERNEL1(k_bool_text, uint8_t, StrView, r = a ? strview_make("true", 4) : strview_make("false", 5);)

KERNEL_FN(k_varchar_fn)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        StrView v = *(const StrView *)vec_at(args[0], row);
        int32_t typmod = *(const int32_t *)vec_at(args[1], row);
        if (typmod >= 4) {
            FAIL_IF(varchar_limit(fx, &v, typmod - 4, *(const uint8_t *)vec_at(args[2], row) != 0));
        }
        ((StrView *)out->data)[row] = v;
    }
    return ST_OK;
}
KERNEL_FN(k_bpchar_fn)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        StrView v = *(const StrView *)vec_at(args[0], row);
        int32_t typmod = *(const int32_t *)vec_at(args[1], row);
        if (typmod >= 4) {
            FAIL_IF(bpchar_limit(fx, &v, typmod - 4, *(const uint8_t *)vec_at(args[2], row) != 0, &out->heap));
        }
        ((StrView *)out->data)[row] = v;
    }
    return ST_OK;
}

/* ---- bytea bits ---- */

static Status byte_index(FnCtx *fx, int64_t index, int64_t limit)
{
    if (index >= 0 && index < limit) {
        return ST_OK;
    }
    return err_set(fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "index %lld out of valid range, 0..%lld", (long long)index,
                   (long long)limit - 1);
}
KERNEL2(k_get_byte, StrView, int32_t, int32_t, FAIL_IF(byte_index(fx, b, a.len)); r = (uint8_t)strview_ptr(&a)[b];)
KERNEL2(k_get_bit, StrView, int64_t, int32_t, FAIL_IF(byte_index(fx, b, (int64_t)a.len * 8));
        r = (uint8_t)strview_ptr(&a)[b / 8] >> (b % 8) & 1;)
KERNEL3(
    k_set_byte, StrView, int32_t, int32_t, StrView, FAIL_IF(byte_index(fx, b, a.len));
    char *p = heap_bytes(&out->heap, a.len); if (p == NULL) { NOMEM(); } memcpy(p, strview_ptr(&a), a.len);
    p[b] = (char)c; r = part(p, a.len);)
KERNEL3(
    k_set_bit, StrView, int64_t, int32_t, StrView, FAIL_IF(byte_index(fx, b, (int64_t)a.len * 8));
    if (c != 0 && c != 1) {
        FAIL(ST_INVALID_PARAMETER_VALUE, "new bit must be 0 or 1");
    } char *p = heap_bytes(&out->heap, a.len);
    if (p == NULL) { NOMEM(); } memcpy(p, strview_ptr(&a), a.len);
    p[b / 8] = (char)((p[b / 8] & ~(1 << (b % 8))) | c << (b % 8)); r = part(p, a.len);)

#define K(src, kernel)                                                                                                 \
    {                                                                                                                  \
        src, kernel, 0, NULL                                                                                           \
    }
/* clang-format off */
KERNEL_LIST(text_kernel_list,
    K("textcat", k_textcat), K("byteacat", k_textcat), K("textanycat", k_textanycat), K("anytextcat", k_anytextcat),
    {"textanycat(text, anynonarray)", k_textanycat, 0, NULL}, {"anytextcat(anynonarray, text)", k_anytextcat, 0, NULL},
    {"text_concat", k_concat, KERNEL_CALLED_ON_NULL, NULL}, {"text_concat_ws", k_concat_ws, KERNEL_CALLED_ON_NULL, NULL},
    K("textlen", k_textlen), K("bpcharlen", k_bpcharlen), K("textoctetlen", k_octetlen),
    K("bpcharoctetlen", k_octetlen), K("byteaoctetlen", k_octetlen), K("bit_length(text)", k_bitlen),
    K("bit_length(bytea)", k_bitlen), K("textpos", k_textpos), K("position(text, text)", k_textpos),
    K("byteapos", k_byteapos), K("text_substr", k_substr),
    K("text_substr_no_len", k_substr_rest), K("bytea_substr", k_bytea_substr),
    K("bytea_substr_no_len", k_bytea_substr_rest), K("text_left", k_left), K("text_right", k_right),
    K("lower", k_lower), K("upper", k_upper), K("initcap", k_initcap), K("btrim", k_btrim), K("btrim1", k_btrim1),
    K("ltrim", k_ltrim), K("ltrim1", k_ltrim1), K("rtrim", k_rtrim), K("rtrim1", k_rtrim1),
    K("byteatrim", k_byteatrim), K("bytealtrim", k_bytealtrim), K("byteartrim", k_byteartrim), K("lpad", k_lpad),
    K("rpad", k_rpad), K("lpad(text, integer)", k_lpad2), K("rpad(text, integer)", k_rpad2), K("repeat", k_repeat),
    K("text_reverse", k_reverse), K("replace_text", k_replace), K("translate", k_translate),
    K("textoverlay", k_overlay), K("textoverlay_no_len", k_overlay3), K("byteaoverlay", k_bytea_overlay),
    K("byteaoverlay_no_len", k_bytea_overlay3), K("split_part", k_split_part),
    {"text_to_array", k_text_to_array, KERNEL_CALLED_ON_NULL, NULL},
    {"text_to_array_null", k_text_to_array, KERNEL_CALLED_ON_NULL, NULL},
    K("ascii", k_ascii), K("chr", k_chr), K("quote_literal", k_quote_literal),
    {"quote_nullable", k_quote_nullable, KERNEL_CALLED_ON_NULL, NULL}, K("quote_ident", k_quote_ident),
    K("to_hex32", k_to_hex32), K("to_hex64", k_to_hex64), K("binary_encode", k_encode), K("binary_decode", k_decode),
    K("rtrim1", k_rtrim1), K("name_text", k_same), K("text_name", k_to_name), K("bpchar_name", k_bpchar_name),
    K("name_bpchar", k_same), K("text_char", k_text_char), K("char_text", k_char_text), K("char_bpchar", k_char_text),
    K("booltext", k_bool_text), K("varchar", k_varchar_fn), K("bpchar", k_bpchar_fn),
    K("byteaGetByte", k_get_byte), K("byteaGetBit", k_get_bit), K("byteaSetByte", k_set_byte),
    K("byteaSetBit", k_set_bit))
/* clang-format on */
