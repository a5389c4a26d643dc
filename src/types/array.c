/*
 * types/array.c: array values: layout, text and binary forms, order, hash, key (see array.h).
 */
#include "types/array.h"

#include <stdlib.h>

#include "base/rng.h"
#include "types/io.h"
#include "types/kernels.h"
#include "types/text_format.h"

enum { HEAD_BYTES = 8, FLAG_NULLS = 1 };

/* ---- layout ---- */

static uint8_t elem_phys(Oid elem)
{
    const TypeRow *row = type_by_oid(elem);
    ASSERT(row != NULL && row->phys != P_NONE);
    return row->phys;
}

void array_view(const StrView *v, ArrayView *out)
{
    const char *p = strview_ptr(v);
    *out = (ArrayView){.elem = load_u32(p), .ndim = load_u16(p + 4)};
    ASSERT(v->len >= HEAD_BYTES && out->ndim <= ARRAY_DIMS_MAX);
    uint16_t flags = load_u16(p + 6);
    out->elem_phys = elem_phys(out->elem);
    out->n = out->ndim > 0;
    p += HEAD_BYTES;
    for (int i = 0; i < out->ndim; i++) {
        out->dims[i] = (int32_t)load_u32(p + 4 * i);
        out->lower[i] = (int32_t)load_u32(p + 4 * (out->ndim + i));
        out->n *= (uint32_t)out->dims[i];
    }
    p += 8 * out->ndim;
    if (flags & FLAG_NULLS) {
        out->nulls = (const uint8_t *)p;
        p += (out->n + 7) / 8;
    }
    out->values = p;
    out->bytes = p + (size_t)out->n * 4;
}

void array_element(const ArrayView *a, uint32_t i, void *out)
{
    ASSERT(i < a->n);
    if (a->elem_phys != P_STR) {
        size_t width = phys_bytes((PhysType)a->elem_phys);
        memcpy(out, a->values + i * width, width);
        return;
    }
    uint32_t begin = i == 0 ? 0 : load_u32(a->values + (size_t)(i - 1) * 4);
    uint32_t end = load_u32(a->values + (size_t)i * 4);
    *(StrView *)out = strview_make(a->bytes + begin, end - begin);
}

/* ---- builder ---- */

void array_builder_init(ArrayBuilder *b, Arena *arena, Oid elem)
{
    *b = (ArrayBuilder){.arena = arena, .elem = elem, .elem_phys = elem_phys(elem)};
}

static bool builder_grow(ArrayBuilder *b)
{
    uint32_t cap = b->cap == 0 ? 16 : b->cap * 2;
    size_t width = phys_bytes((PhysType)b->elem_phys);
    char *values = arena_alloc(b->arena, cap * width);
    bool *nulls = arena_alloc(b->arena, cap);
    if (values == NULL || nulls == NULL) {
        return false;
    }
    if (b->n > 0) {
        memcpy(values, b->values, b->n * width);
        memcpy(nulls, b->nulls, b->n);
    }
    b->values = values;
    b->nulls = nulls;
    b->cap = cap;
    return true;
}

bool array_builder_add(ArrayBuilder *b, const void *value, bool copy)
{
    size_t width = phys_bytes((PhysType)b->elem_phys);
    if (b->n == b->cap && (b->n >= ARRAY_ITEMS_MAX || !builder_grow(b))) {
        return false;
    }
    char *at = b->values + b->n * width;
    b->nulls[b->n] = value == NULL;
    if (value == NULL) {
        memset(at, 0, width);
        b->has_nulls = true;
    } else if (b->elem_phys == P_STR) {
        const StrView *s = value;
        StrView kept = *s;
        if (copy && !heap_str(b->arena, strview_ptr(s), s->len, &kept)) {
            return false;
        }
        memcpy(at, &kept, sizeof kept);
        b->bytes += s->len;
    } else {
        memcpy(at, value, width);
    }
    b->n++;
    return true;
}

Status array_builder_finish(ArrayBuilder *b, Ctx *cx, Arena *heap, StrView *out)
{
    int32_t dims = (int32_t)b->n;
    int32_t lower = 1;
    return array_builder_finish_dims(b, cx, b->n > 0, &dims, &lower, heap, out);
}

static void put_values(const ArrayBuilder *b, char *p)
{
    size_t width = phys_bytes((PhysType)b->elem_phys);
    if (b->elem_phys != P_STR) {
        if (b->n > 0) {
            memcpy(p, b->values, b->n * width);
        }
        return;
    }
    char *bytes = p + (size_t)b->n * 4;
    uint32_t end = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        StrView s;
        memcpy(&s, b->values + i * width, sizeof s);
        uint32_t len = b->nulls[i] ? 0 : s.len;
        memcpy(bytes + end, strview_ptr(&s), len);
        end += len;
        store_u32(p + (size_t)i * 4, end);
    }
}

Status array_builder_finish_dims(ArrayBuilder *b, Ctx *cx, int ndim, const int32_t *dims, const int32_t *lower,
                                 Arena *heap, StrView *out)
{
    size_t null_bytes = b->has_nulls ? (b->n + 7) / 8 : 0;
    size_t value_bytes =
        b->elem_phys == P_STR ? (size_t)b->n * 4 + b->bytes : (size_t)b->n * phys_bytes((PhysType)b->elem_phys);
    size_t len = HEAD_BYTES + (size_t)ndim * 8 + null_bytes + value_bytes;
    if (len > VALUE_BYTES_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%u)",
                       VALUE_BYTES_MAX);
    }
    char *p = heap_bytes(heap, len);
    if (p == NULL) {
        return ctx_nomem(cx, len);
    }
    store_u32(p, b->elem);
    store_u16(p + 4, (uint16_t)ndim);
    store_u16(p + 6, b->has_nulls ? FLAG_NULLS : 0);
    for (int i = 0; i < ndim; i++) {
        store_u32(p + HEAD_BYTES + 4 * i, (uint32_t)dims[i]);
        store_u32(p + HEAD_BYTES + 4 * (ndim + i), (uint32_t)lower[i]);
    }
    char *at = p + HEAD_BYTES + 8 * ndim;
    memset(at, 0, null_bytes);
    for (uint32_t i = 0; i < b->n && b->has_nulls; i++) {
        at[i / 8] = (char)(at[i / 8] | (b->nulls[i] ? 1 << (i % 8) : 0));
    }
    put_values(b, at + null_bytes);
    *out = strview_make(p, (uint32_t)len);
    return ST_OK;
}

/* ---- text input ---- */

typedef struct ArrayParser {
    FnCtx *fx;
    Str text;
    size_t at;
    ValueType elem;
    char delim;
    ArrayBuilder builder;
    Arena *heap;
    int ndim; /* known once the first element was read; -1 before */
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t lower[ARRAY_DIMS_MAX];
} ArrayParser;

static Status malformed(ArrayParser *p, const char *detail)
{
    Error *err = p->fx->cx->err;
    Status st =
        err_set(err, ST_INVALID_TEXT_REPRESENTATION, "malformed array literal: \"%.*s\"", (int)p->text.len, p->text.p);
    err_detail(err, "%s", detail);
    return st;
}

static void skip_space(ArrayParser *p)
{
    while (p->at < p->text.len && ascii_space(p->text.p[p->at])) {
        p->at++;
    }
}

static int peek(const ArrayParser *p)
{
    return p->at < p->text.len ? (uint8_t)p->text.p[p->at] : -1;
}

static bool parse_int_here(ArrayParser *p, int32_t *out)
{
    char buf[16];
    size_t n = 0;
    size_t i = p->at;
    if (i < p->text.len && (p->text.p[i] == '-' || p->text.p[i] == '+')) {
        buf[n++] = p->text.p[i++];
    }
    while (i < p->text.len && n < sizeof buf - 1 && p->text.p[i] >= '0' && p->text.p[i] <= '9') {
        buf[n++] = p->text.p[i++];
    }
    int64_t v;
    if (int_parse(NULL, (Str){buf, n}, INT32_MIN, INT32_MAX, "integer", &v) != ST_OK) {
        return false;
    }
    p->at = i;
    *out = (int32_t)v;
    return true;
}

/* "[1:2][0:3]=" before the braces; *out_n dimensions given. */
static Status parse_bounds(ArrayParser *p, int *out_n)
{
    int n = 0;
    skip_space(p);
    while (peek(p) == '[') {
        int32_t lower = 1;
        int32_t upper;
        if (n == ARRAY_DIMS_MAX) {
            return err_set(p->fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                           "number of array dimensions (%d) exceeds the maximum allowed (%d)", n + 1, ARRAY_DIMS_MAX);
        }
        p->at++;
        if (!parse_int_here(p, &upper)) {
            return malformed(p, "\"[\" must introduce explicitly-specified array dimensions.");
        }
        if (peek(p) == ':') {
            p->at++;
            lower = upper;
            if (!parse_int_here(p, &upper)) {
                return malformed(p, "Missing array dimension value.");
            }
        }
        if (peek(p) != ']') {
            return malformed(p, "Missing \"]\" after array dimensions.");
        }
        p->at++;
        if (upper < lower) {
            return err_set(p->fx->cx->err, ST_ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound");
        }
        int64_t length = (int64_t)upper - lower + 1;
        if (length > ARRAY_ITEMS_MAX) {
            return err_set(p->fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                           ARRAY_ITEMS_MAX);
        }
        p->lower[n] = lower;
        p->dims[n++] = (int32_t)length;
        skip_space(p);
    }
    if (n > 0) {
        if (peek(p) != '=') {
            return malformed(p, "Missing \"=\" after array dimensions.");
        }
        p->at++;
        skip_space(p);
    }
    *out_n = n;
    return ST_OK;
}

/* One element: quoted or bare. Escapes are removed into scratch. */
static Status parse_element(ArrayParser *p)
{
    FnCtx *fx = p->fx;
    char *buf = arena_alloc(fx->arena, p->text.len - p->at + 1);
    size_t n = 0;
    size_t keep = 0; /* bare: bytes that trailing blanks must not take away */
    bool quoted = peek(p) == '"';
    bool escaped = false;
    if (buf == NULL) {
        return ctx_nomem(fx->cx, p->text.len);
    }
    p->at += quoted;
    for (;; p->at++) {
        int c = peek(p);
        if (c < 0) {
            return malformed(p, "Unexpected end of input.");
        }
        if (c == '\\') {
            p->at++;
            if (peek(p) < 0) {
                return malformed(p, "Unexpected end of input.");
            }
            buf[n++] = (char)peek(p);
            keep = n;
            escaped = true;
            continue;
        }
        if (quoted && c == '"') {
            p->at++;
            keep = n;
            break;
        }
        if (!quoted && (c == '"' || c == '{')) {
            return malformed(p, c == '"' ? "Unexpected array element." : "Unexpected \"{\" character.");
        }
        if (!quoted && (c == '}' || c == (uint8_t)p->delim)) {
            break;
        }
        buf[n++] = (char)c;
        if (!ascii_space((char)c)) {
            keep = n;
        }
    }
    n = quoted ? n : keep;
    if (!quoted && n == 0) {
        return malformed(p, p->at < p->text.len && p->text.p[p->at] == '}' ? "Unexpected \"}\" character."
                                                                           : "Unexpected \",\" character.");
    }
    if (!quoted && !escaped && str_eq_ascii_nocase((Str){buf, n}, STR_LIT("NULL"))) {
        return array_builder_add(&p->builder, NULL, false) ? ST_OK : ctx_nomem(fx->cx, 0);
    }
    uint64_t value[2] VALUE_ALIGNED;
    Status st = type_in(fx, &p->elem, (Str){buf, n}, fx->arena, value);
    if (st != ST_OK) {
        return st;
    }
    return array_builder_add(&p->builder, value, false) ? ST_OK : ctx_nomem(fx->cx, 0);
}

static Status ragged(ArrayParser *p)
{
    return malformed(p, "Multidimensional arrays must have sub-arrays with matching dimensions.");
}

/* What stands between braces at this depth; p->at is behind '{'. Depth is at most 6: no stack check needed. */
static Status parse_level(ArrayParser *p, int depth)
{
    int32_t count = 0;
    skip_space(p);
    if (peek(p) == '}' && depth == 0) {
        p->at++;
        return ST_OK;
    }
    for (;;) {
        Status st;
        skip_space(p);
        if (peek(p) == '{') {
            if (depth + 1 >= ARRAY_DIMS_MAX) {
                return err_set(p->fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                               "number of array dimensions (%d) exceeds the maximum allowed (%d)", depth + 2,
                               ARRAY_DIMS_MAX);
            }
            if (p->ndim >= 0 && depth + 1 >= p->ndim) {
                return malformed(p, "Unexpected \"{\" character.");
            }
            p->at++;
            st = parse_level(p, depth + 1);
        } else {
            if (p->ndim >= 0 && depth + 1 != p->ndim) {
                return ragged(p);
            }
            st = parse_element(p);
            p->ndim = depth + 1;
        }
        if (st != ST_OK) {
            return st;
        }
        count++;
        skip_space(p);
        if (peek(p) == (uint8_t)p->delim) {
            p->at++;
            continue;
        }
        if (peek(p) != '}') {
            return malformed(p, peek(p) < 0 ? "Unexpected end of input." : "Unexpected array element.");
        }
        p->at++;
        break;
    }
    if (p->dims[depth] != 0 && p->dims[depth] != count) {
        return ragged(p);
    }
    p->dims[depth] = count;
    return ST_OK;
}

Status array_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    ArrayParser p = {.fx = fx, .text = text, .heap = heap, .ndim = -1};
    int given = 0;
    Status st = value_type(type_element(t->oid), t->typmod, fx->cx->err, &p.elem);
    if (st != ST_OK) {
        return st;
    }
    p.elem.phys = elem_phys(p.elem.oid); /* numeric elements are in variable form */
    p.elem.precision = 0;
    p.elem.scale = 0;
    p.delim = type_by_oid(p.elem.oid)->delim;
    array_builder_init(&p.builder, fx->arena, p.elem.oid);
    st = parse_bounds(&p, &given);
    if (st != ST_OK) {
        return st;
    }
    if (peek(&p) != '{') {
        return malformed(&p, given > 0 ? "Array contents must start with \"{\"."
                                       : "Array value must start with \"{\" or dimension information.");
    }
    int32_t want[ARRAY_DIMS_MAX];
    memcpy(want, p.dims, sizeof want);
    memset(p.dims, 0, sizeof p.dims);
    p.at++;
    st = parse_level(&p, 0);
    skip_space(&p);
    if (st == ST_OK && p.at != text.len) {
        st = malformed(&p, "Junk after closing right brace.");
    }
    if (st != ST_OK) {
        return st;
    }
    int ndim = p.ndim < 0 ? 0 : p.ndim;
    if (given > 0 && (given != ndim || memcmp(want, p.dims, sizeof *want * (size_t)ndim) != 0)) {
        return malformed(&p, "Specified array dimensions do not match array contents.");
    }
    for (int i = 0; i < ndim && given == 0; i++) {
        p.lower[i] = 1;
    }
    return array_builder_finish_dims(&p.builder, fx->cx, ndim, p.dims, p.lower, heap, out);
}

/* ---- text output ---- */

static bool needs_quotes(Str s, char delim)
{
    if (s.len == 0 || str_eq_ascii_nocase(s, STR_LIT("NULL"))) {
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == delim || ascii_space(c)) {
            return true;
        }
    }
    return false;
}

static void put_element(StrBuf *sb, Str s, char delim)
{
    if (!needs_quotes(s, delim)) {
        strbuf_append(sb, s.p, s.len);
        return;
    }
    strbuf_putc(sb, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            strbuf_putc(sb, '\\');
        }
        strbuf_putc(sb, s.p[i]);
    }
    strbuf_putc(sb, '"');
}

static Status put_level(FnCtx *fx, const ArrayView *a, const ValueType *elem, char delim, int depth, uint32_t *io_next,
                        StrBuf *scratch, StrBuf *sb)
{
    strbuf_putc(sb, '{');
    for (int32_t i = 0; i < a->dims[depth]; i++) {
        Status st = ST_OK;
        if (i > 0) {
            strbuf_putc(sb, delim);
        }
        if (depth + 1 < a->ndim) {
            st = put_level(fx, a, elem, delim, depth + 1, io_next, scratch, sb);
        } else if (array_is_null(a, *io_next)) {
            strbuf_puts(sb, "NULL");
            ++*io_next;
        } else {
            uint64_t value[2] VALUE_ALIGNED;
            array_element(a, (*io_next)++, value);
            strbuf_reset(scratch);
            st = type_out(fx, elem, value, scratch);
            put_element(sb, strbuf_str(scratch), delim);
        }
        if (st != ST_OK) {
            return st;
        }
    }
    strbuf_putc(sb, '}');
    return ST_OK;
}

Status array_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    ArrayView a;
    (void)t;
    array_view(value, &a);
    if (a.ndim == 0) {
        strbuf_puts(sb, "{}");
        return ST_OK;
    }
    ValueType elem = value_type_of(a.elem);
    bool plain_bounds = true;
    for (int i = 0; i < a.ndim; i++) {
        plain_bounds = plain_bounds && a.lower[i] == 1;
    }
    for (int i = 0; i < a.ndim && !plain_bounds; i++) {
        strbuf_printf(sb, "[%d:%d]", a.lower[i], a.lower[i] + a.dims[i] - 1);
    }
    if (!plain_bounds) {
        strbuf_putc(sb, '=');
    }
    StrBuf scratch;
    uint32_t next = 0;
    strbuf_init(&scratch, fx->cx->budget);
    Status st = put_level(fx, &a, &elem, type_by_oid(a.elem)->delim, 0, &next, &scratch, sb);
    if (st == ST_OK && scratch.failed) {
        st = ctx_nomem(fx->cx, scratch.len);
    }
    strbuf_done(&scratch);
    return st;
}

/* ---- binary ---- */

static Status bad_binary(FnCtx *fx, const char *what)
{
    return err_set(fx->cx->err, ST_INVALID_BINARY_REPRESENTATION, "%s", what);
}

static Status short_message(FnCtx *fx)
{
    return err_set(fx->cx->err, ST_PROTOCOL_VIOLATION, "insufficient data left in message");
}

static Status recv_head(FnCtx *fx, Str *io, Oid elem, int *out_ndim, int32_t *dims, int32_t *lower, int64_t *out_n)
{
    if (io->len < 12) {
        return short_message(fx);
    }
    int32_t ndim = (int32_t)load_be32(io->p);
    uint32_t flags = load_be32(io->p + 4);
    Oid got = load_be32(io->p + 8);
    if (ndim < 0 || ndim > ARRAY_DIMS_MAX) {
        return ndim < 0
                   ? bad_binary(fx, "invalid number of dimensions")
                   : err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED,
                             "number of array dimensions (%d) exceeds the maximum allowed (%d)", ndim, ARRAY_DIMS_MAX);
    }
    if (flags > 1) {
        return bad_binary(fx, "invalid array flags");
    }
    if (got != elem) {
        return err_set(fx->cx->err, ST_DATATYPE_MISMATCH,
                       "binary data has array element type %u instead of expected %u", got, elem);
    }
    if (io->len - 12 < (size_t)ndim * 8) {
        return short_message(fx);
    }
    int64_t n = ndim > 0;
    for (int i = 0; i < ndim; i++) {
        dims[i] = (int32_t)load_be32(io->p + 12 + 8 * i);
        lower[i] = (int32_t)load_be32(io->p + 16 + 8 * i);
        if (dims[i] < 0 || n * dims[i] > ARRAY_ITEMS_MAX) {
            return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                           ARRAY_ITEMS_MAX);
        }
        if ((int64_t)lower[i] + dims[i] > INT32_MAX) {
            return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d", lower[i]);
        }
        n *= dims[i];
    }
    io->p += 12 + 8 * ndim;
    io->len -= 12 + (size_t)ndim * 8;
    *out_ndim = n == 0 ? 0 : ndim;
    *out_n = n;
    return ST_OK;
}

static Status recv_element(FnCtx *fx, Str *io, const ValueType *elem, ArrayBuilder *b)
{
    if (io->len < 4) {
        return short_message(fx);
    }
    int32_t len = (int32_t)load_be32(io->p);
    io->p += 4;
    io->len -= 4;
    uint64_t value[2] VALUE_ALIGNED;
    if (len == -1) {
        return array_builder_add(b, NULL, false) ? ST_OK : ctx_nomem(fx->cx, 0);
    }
    if (len < -1 || (size_t)len > io->len) {
        return short_message(fx);
    }
    Status st = type_recv(fx, elem, (Str){io->p, (size_t)len}, fx->arena, value);
    io->p += len;
    io->len -= (size_t)len;
    return st != ST_OK ? st : array_builder_add(b, value, false) ? ST_OK : ctx_nomem(fx->cx, 0);
}

Status array_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out)
{
    ValueType elem = value_type_of(type_element(t->oid));
    elem.typmod = t->typmod;
    ArrayBuilder b;
    int ndim = 0;
    int64_t n = 0;
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t lower[ARRAY_DIMS_MAX];
    Status st = recv_head(fx, &bytes, elem.oid, &ndim, dims, lower, &n);
    if (st != ST_OK) {
        return st;
    }
    array_builder_init(&b, fx->arena, elem.oid);
    for (int64_t i = 0; i < n && st == ST_OK; i++) {
        st = recv_element(fx, &bytes, &elem, &b);
    }
    if (st == ST_OK && bytes.len != 0) {
        st = bad_binary(fx, "incorrect binary data format");
    }
    bool is_vector = t->oid == OID_INT2VECTOR || t->oid == OID_OIDVECTOR;
    if (st == ST_OK && is_vector && (ndim != 1 || lower[0] != 0 || b.has_nulls)) {
        return bad_binary(fx, t->oid == OID_OIDVECTOR ? "invalid oidvector data" : "invalid int2vector data");
    }
    return st != ST_OK ? st : array_builder_finish_dims(&b, fx->cx, ndim, dims, lower, heap, out);
}

Status array_send(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    ArrayView a;
    (void)t;
    array_view(value, &a);
    ValueType elem = value_type_of(a.elem);
    put_be32(sb, (uint32_t)a.ndim);
    put_be32(sb, a.nulls != NULL);
    put_be32(sb, a.elem);
    for (int i = 0; i < a.ndim; i++) {
        put_be32(sb, (uint32_t)a.dims[i]);
        put_be32(sb, (uint32_t)a.lower[i]);
    }
    for (uint32_t i = 0; i < a.n; i++) {
        if (array_is_null(&a, i)) {
            put_be32(sb, UINT32_MAX);
            continue;
        }
        uint64_t v[2] VALUE_ALIGNED;
        array_element(&a, i, v);
        size_t at = sb->len;
        put_be32(sb, 0);
        Status st = type_send(fx, &elem, v, sb);
        if (st != ST_OK) {
            return st;
        }
        if (!sb->failed) {
            store_be32(sb->p + at, (uint32_t)(sb->len - at - 4));
        }
    }
    return ST_OK;
}

/* ---- order, hash, key ---- */

int array_compare(const ValueType *t, const void *x, const void *y)
{
    ArrayView a;
    ArrayView b;
    array_view(x, &a);
    array_view(y, &b);
    ValueType elem = value_type_of(a.elem);
    CompareFn *cmp = type_compare(&elem);
    if (t->oid == OID_OIDVECTOR && a.n != b.n) {
        return a.n < b.n ? -1 : 1; /* oidvector orders by length first */
    }
    for (uint32_t i = 0; i < a.n && i < b.n && cmp != NULL; i++) {
        bool na = array_is_null(&a, i);
        bool nb = array_is_null(&b, i);
        uint64_t va[2] VALUE_ALIGNED;
        uint64_t vb[2] VALUE_ALIGNED;
        if (na || nb) {
            if (na != nb) {
                return na - nb; /* NULL is larger */
            }
            continue;
        }
        array_element(&a, i, va);
        array_element(&b, i, vb);
        int c = cmp(&elem, va, vb);
        if (c != 0) {
            return c < 0 ? -1 : 1;
        }
    }
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    if (a.ndim != b.ndim) {
        return a.ndim < b.ndim ? -1 : 1;
    }
    for (int i = 0; i < a.ndim; i++) {
        if (a.dims[i] != b.dims[i]) {
            return a.dims[i] < b.dims[i] ? -1 : 1;
        }
    }
    for (int i = 0; i < a.ndim; i++) {
        if (a.lower[i] != b.lower[i]) {
            return a.lower[i] < b.lower[i] ? -1 : 1;
        }
    }
    return 0;
}

uint64_t array_hash(const ValueType *t, const void *value)
{
    ArrayView a;
    array_view(value, &a);
    (void)t;
    ValueType elem = value_type_of(a.elem);
    Vector one = {.phys = elem.phys, .kind = VEC_FLAT, .capacity = 1};
    uint64_t h = mix64(a.n);
    for (uint32_t i = 0; i < a.n; i++) {
        uint64_t v[2] VALUE_ALIGNED;
        uint64_t null_bit = array_is_null(&a, i);
        one.nulls = null_bit ? &null_bit : NULL;
        one.data = v;
        array_element(&a, i, v);
        type_hash(&elem, &one, NULL, 1, true, &h);
    }
    return h;
}

/* Each element: 1 and its key, or 2 for NULL (which sorts last); 0 ends. Then dimensions and bounds, which decide last. */
void array_key(const ValueType *t, const void *value, StrBuf *out)
{
    ArrayView a;
    array_view(value, &a);
    ValueType elem = value_type_of(a.elem);
    if (t->oid == OID_OIDVECTOR) {
        put_be32(out, a.n);
    }
    for (uint32_t i = 0; i < a.n; i++) {
        uint64_t v[2] VALUE_ALIGNED;
        strbuf_putc(out, array_is_null(&a, i) ? 2 : 1);
        if (!array_is_null(&a, i)) {
            array_element(&a, i, v);
            type_key(&elem, v, out);
        }
    }
    strbuf_putc(out, 0);
    strbuf_putc(out, (char)a.ndim);
    for (int i = 0; i < a.ndim; i++) {
        put_be32(out, (uint32_t)a.dims[i]);
    }
    for (int i = 0; i < a.ndim; i++) {
        put_be32(out, (uint32_t)a.lower[i] ^ 0x80000000u);
    }
}
