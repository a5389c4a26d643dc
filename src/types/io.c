/*
 * types/io.c: text and binary forms of the scalar types, and the dispatch by type (see func.h).
 */
#include "types/io.h"

#include <stdlib.h>

#include "types/array.h"
#include "types/kernels.h"
#include "types/text_format.h"

Status recv_size(Error *err, Str bytes, size_t want)
{
    if (bytes.len < want) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "insufficient data left in message");
    }
    if (bytes.len > want) {
        return err_set(err, ST_INVALID_BINARY_REPRESENTATION, "incorrect binary data format");
    }
    return ST_OK;
}

/* ---- boolean, "char" ---- */

/* True when s is a non-empty prefix of word, of at least `least` characters, whatever the case. */
static bool is_prefix(Str s, const char *word, size_t least)
{
    size_t len = strlen(word);
    return s.len >= least && s.len <= len && str_eq_ascii_nocase(s, (Str){word, s.len});
}

static Status bool_in(FnCtx *fx, Str text, uint8_t *out)
{
    Str s = trim_space(text);
    if (is_prefix(s, "true", 1) || is_prefix(s, "yes", 1) || is_prefix(s, "on", 2) || str_eq(s, STR_LIT("1"))) {
        *out = 1;
    } else if (is_prefix(s, "false", 1) || is_prefix(s, "no", 1) || is_prefix(s, "off", 2) || str_eq(s, STR_LIT("0"))) {
        *out = 0;
    } else {
        return bad_input(fx->cx->err, "boolean", text);
    }
    return ST_OK;
}

/* ---- bytea ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static Status bytea_hex(FnCtx *fx, Str text, char *bytes, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 2; i < text.len; i++) {
        if (text.p[i] == ' ' || text.p[i] == '\n' || text.p[i] == '\t' || text.p[i] == '\r') {
            continue;
        }
        int high = hex_digit(text.p[i]);
        if (high >= 0 && ++i >= text.len) {
            return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "invalid hexadecimal data: odd number of digits");
        }
        int low = high < 0 ? -1 : hex_digit(text.p[i]);
        if (low < 0) {
            size_t bad = utf8_prefix_bytes(text.p + i, text.len - i, 1);
            return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%.*s\"", (int)bad,
                           text.p + i);
        }
        bytes[n++] = (char)(high << 4 | low);
    }
    *out_len = n;
    return ST_OK;
}

static bool octal(char c, char max)
{
    return c >= '0' && c <= max;
}

static Status bytea_escaped(FnCtx *fx, Str text, char *bytes, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        const char *p = text.p + i;
        size_t left = text.len - i;
        if (*p != '\\') {
            bytes[n++] = *p;
            i++;
        } else if (left >= 4 && octal(p[1], '3') && octal(p[2], '7') && octal(p[3], '7')) {
            bytes[n++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            i += 4;
        } else if (left >= 2 && p[1] == '\\') {
            bytes[n++] = '\\';
            i += 2;
        } else {
            return err_set(fx->cx->err, ST_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s", "bytea");
        }
    }
    *out_len = n;
    return ST_OK;
}

static Status bytea_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value)
{
    (void)t;
    char *bytes = heap_bytes(heap, text.len);
    size_t n = 0;
    if (bytes == NULL) {
        return ctx_nomem(fx->cx, text.len);
    }
    bool hex = text.len >= 2 && text.p[0] == '\\' && text.p[1] == 'x';
    Status st = hex ? bytea_hex(fx, text, bytes, &n) : bytea_escaped(fx, text, bytes, &n);
    if (st == ST_OK) {
        *(StrView *)out_value = strview_make(bytes, (uint32_t)n);
    }
    return st;
}

static Status bytea_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    static const char digits[] = "0123456789abcdef";
    Str s = strview_str(value);
    (void)t;
    if (!fx->facts->bytea_escape) {
        if (!strbuf_reserve(sb, s.len * 2 + 2)) {
            return ctx_nomem(fx->cx, s.len * 2);
        }
        strbuf_puts(sb, "\\x");
        for (size_t i = 0; i < s.len; i++) {
            char pair[2] = {digits[(uint8_t)s.p[i] >> 4], digits[(uint8_t)s.p[i] & 15]};
            strbuf_append(sb, pair, 2);
        }
        return ST_OK;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '\\') {
            strbuf_puts(sb, "\\\\");
        } else if (c < 0x20 || c > 0x7e) {
            strbuf_printf(sb, "\\%03o", c);
        } else {
            strbuf_putc(sb, (char)c);
        }
    }
    return ST_OK;
}

/* ---- strings ---- */

static Status text_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value)
{
    StrView *v = out_value;
    Status st = check_utf8(fx->cx->err, text);
    if (st != ST_OK) {
        return st;
    }
    if (text.len > VALUE_BYTES_MAX) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "string is too long");
    }
    if (t->oid == OID_NAME) {
        text.len = utf8_clip(text.p, text.len, 63);
    }
    if (t->oid == OID_BPCHAR && t->typmod >= 4) {
        StrView raw = strview_make(text.p, (uint32_t)text.len);
        *v = raw;
        return bpchar_limit(fx, v, t->typmod - 4, false, heap);
    }
    if (!heap_str(heap, text.p, text.len, v)) {
        return ctx_nomem(fx->cx, text.len);
    }
    return t->oid == OID_VARCHAR && t->typmod >= 4 ? varchar_limit(fx, v, t->typmod - 4, false) : ST_OK;
}

/* ---- oid and its kin ---- */

/* strtoul as PostgreSQL's oidin uses it: a sign is allowed, -1 is 4294967295. */
static Status oid_parse(FnCtx *fx, Str text, uint32_t *out)
{
    int64_t v;
    Status st = int_parse(fx->cx->err, text, INT32_MIN, UINT32_MAX, "oid", &v);
    if (st == ST_OK) {
        *out = (uint32_t)v;
    }
    return st;
}

/* xid, cid and xid8 are read by strtoul(…, 0) without a look at what follows: what is no number is 0. */
static uint64_t loose_unsigned(Str text)
{
    char buf[64];
    size_t n = text.len < sizeof buf - 1 ? text.len : sizeof buf - 1;
    memcpy(buf, text.p, n);
    buf[n] = '\0';
    return strtoull(buf, NULL, 0);
}

static bool is_reg(Oid oid)
{
    return type_is_unsigned_i32(oid) && oid != OID_OID && oid != OID_XID && oid != OID_CID;
}

static Status reg_in(FnCtx *fx, const ValueType *t, Str text, uint32_t *out)
{
    if (str_eq(text, STR_LIT("-"))) {
        *out = 0;
        return ST_OK;
    }
    size_t digits = 0;
    while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9') {
        digits++;
    }
    if (digits > 0 && digits == text.len) {
        return oid_parse(fx, text, out);
    }
    const NameHooks *names = fx->facts->names;
    if (names == NULL || names->reg_in == NULL) {
        return err_set(fx->cx->err, ST_UNDEFINED_OBJECT, "%s \"%.*s\" does not exist",
                       type_by_oid(t->oid)->name + strlen("reg"), (int)text.len, text.p);
    }
    return names->reg_in(names->arg, fx, t->oid, text, out);
}

static Status reg_out(FnCtx *fx, const ValueType *t, uint32_t v, StrBuf *sb)
{
    const NameHooks *names = fx->facts->names;
    bool found = false;
    Status st = ST_OK;
    if (v == 0) {
        strbuf_putc(sb, '-');
        return ST_OK;
    }
    if (names != NULL && names->reg_out != NULL) {
        st = names->reg_out(names->arg, fx, t->oid, v, sb, &found);
    }
    if (st == ST_OK && !found) {
        strbuf_printf(sb, "%u", v);
    }
    return st;
}

/* ---- tid, pg_lsn, uuid ---- */

/* Digits up to max; false when there are none or too many. */
static bool take_number(Str *s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s->len && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        v = v * 10 + (uint64_t)(s->p[i] - '0');
        if (v > max) {
            return false;
        }
    }
    s->p += i;
    s->len -= i;
    *out = v;
    return i > 0;
}

static bool take_char(Str *s, char c)
{
    if (s->len == 0 || s->p[0] != c) {
        return false;
    }
    s->p++;
    s->len--;
    return true;
}

#define TID_PAGE_MAX ((UINT64_C(1) << 40) - 1)

static Status tid_in(FnCtx *fx, Str text, uint64_t *out)
{
    Str s = text;
    uint64_t page;
    uint64_t slot;
    if (!take_char(&s, '(') || !take_number(&s, TID_PAGE_MAX, &page) || !take_char(&s, ',') ||
        !take_number(&s, UINT16_MAX, &slot) || !take_char(&s, ')')) {
        return bad_input(fx->cx->err, "tid", text);
    }
    *out = page << 16 | slot;
    return ST_OK;
}

static Status lsn_in(FnCtx *fx, Str text, uint64_t *out)
{
    uint64_t half[2] = {0, 0};
    int part = 0;
    int digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int d = hex_digit(text.p[i]);
        if (text.p[i] == '/' && part == 0 && digits > 0) {
            part = 1;
            digits = 0;
        } else if (d >= 0 && digits < 8) {
            half[part] = half[part] << 4 | (uint64_t)d;
            digits++;
        } else {
            return bad_input(fx->cx->err, "pg_lsn", text);
        }
    }
    if (part == 0 || digits == 0) {
        return bad_input(fx->cx->err, "pg_lsn", text);
    }
    *out = half[0] << 32 | half[1];
    return ST_OK;
}

/* 32 hex digits, a hyphen allowed after every fourth, braces around. */
static Status uuid_in(FnCtx *fx, Str text, Uuid *out)
{
    Str s = text;
    bool braces = take_char(&s, '{');
    Uuid u;
    for (int i = 0; i < 16; i++) {
        int high = s.len >= 2 ? hex_digit(s.p[0]) : -1;
        int low = s.len >= 2 ? hex_digit(s.p[1]) : -1;
        if (high < 0 || low < 0) {
            return bad_input(fx->cx->err, "uuid", text);
        }
        u.b[i] = (uint8_t)(high << 4 | low);
        s.p += 2;
        s.len -= 2;
        if (i % 2 == 1 && i < 15) {
            (void)take_char(&s, '-');
        }
    }
    if (braces && !take_char(&s, '}')) {
        return bad_input(fx->cx->err, "uuid", text);
    }
    if (s.len > 0) {
        return bad_input(fx->cx->err, "uuid", text);
    }
    *out = u;
    return ST_OK;
}

static void uuid_out(const Uuid *u, StrBuf *sb)
{
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            strbuf_putc(sb, '-');
        }
        strbuf_printf(sb, "%02x", u->b[i]);
    }
}

/* ---- int2vector, oidvector: blank-separated ---- */

static Status vector_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value)
{
    bool is_oid = t->oid == OID_OIDVECTOR;
    ArrayBuilder b;
    array_builder_init(&b, fx->arena, is_oid ? OID_OID : OID_INT2);
    for (Str s = trim_space(text); s.len > 0;) {
        size_t n = 0;
        while (n < s.len && !ascii_space(s.p[n])) {
            n++;
        }
        int64_t v;
        Str item = {s.p, n};
        Status st = is_oid ? int_parse(fx->cx->err, item, INT32_MIN, UINT32_MAX, "oid", &v)
                           : int_parse(fx->cx->err, item, INT16_MIN, INT16_MAX, "smallint", &v);
        if (st != ST_OK) {
            return st;
        }
        int16_t small = (int16_t)v;
        uint32_t wide = (uint32_t)v;
        if (!array_builder_add(&b, is_oid ? (void *)&wide : (void *)&small, true)) {
            return ctx_nomem(fx->cx, 0);
        }
        s = trim_space((Str){s.p + n, s.len - n});
    }
    int32_t dims = (int32_t)b.n;
    int32_t lower = 0;
    return array_builder_finish_dims(&b, fx->cx, 1, &dims, &lower, heap, out_value);
}

static Status vector_out(const void *value, StrBuf *sb)
{
    ArrayView a;
    char buf[INT_TEXT_BYTES];
    array_view(value, &a);
    for (uint32_t i = 0; i < a.n; i++) {
        uint32_t wide = 0;
        int16_t small = 0;
        array_element(&a, i, a.elem == OID_OID ? (void *)&wide : (void *)&small);
        if (i > 0) {
            strbuf_putc(sb, ' ');
        }
        strbuf_append(sb, buf, int8_text(a.elem == OID_OID ? (int64_t)wide : small, buf));
    }
    return ST_OK;
}

/* ---- dispatch ---- */

static Status unsupported(FnCtx *fx, const ValueType *t, const char *what)
{
    const TypeRow *row = type_by_oid(t->oid);
    return err_set(fx->cx->err, ST_FEATURE_NOT_SUPPORTED, "%s of a value of type %s is not supported", what,
                   row != NULL ? row->name : "?");
}

static Status cannot_accept(FnCtx *fx, const ValueType *t)
{
    return err_set(fx->cx->err, ST_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s",
                   type_by_oid(t->oid)->name);
}

static Status int_in(FnCtx *fx, const ValueType *t, Str text, void *out)
{
    Error *err = fx->cx->err;
    int64_t v = 0;
    Status st;
    switch (t->oid) {
    case OID_INT2:
        st = int_parse(err, text, INT16_MIN, INT16_MAX, "smallint", &v);
        if (st == ST_OK) {
            *(int16_t *)out = (int16_t)v;
        }
        return st;
    case OID_INT4:
        st = int_parse(err, text, INT32_MIN, INT32_MAX, "integer", &v);
        if (st == ST_OK) {
            *(int32_t *)out = (int32_t)v;
        }
        return st;
    default: return int_parse(err, text, INT64_MIN, INT64_MAX, "bigint", out);
    }
}

Status type_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    Error *err = fx->cx->err;
    switch (t->oid) {
    case OID_BOOL: return bool_in(fx, text, out);
    case OID_CHAR: *(uint8_t *)out = char_value(text); return ST_OK;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: return int_in(fx, t, text, out);
    case OID_FLOAT4: return float4_parse(err, text, out);
    case OID_FLOAT8: return float8_parse(err, text, out);
    case OID_NUMERIC: return numeric_in(fx, t, text, heap, out);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_CSTRING:
    case OID_UNKNOWN:
    case OID_REFCURSOR:
    case OID_ACLITEM: return text_in(fx, t, text, heap, out);
    case OID_BYTEA: return bytea_in(fx, t, text, heap, out);
    case OID_OID: return oid_parse(fx, text, out);
    case OID_XID:
    case OID_CID: *(uint32_t *)out = (uint32_t)loose_unsigned(text); return ST_OK;
    case OID_XID8: *(uint64_t *)out = loose_unsigned(text); return ST_OK;
    case OID_TID: return tid_in(fx, text, out);
    case OID_PG_LSN: return lsn_in(fx, text, out);
    case OID_UUID: return uuid_in(fx, text, out);
    case OID_INT2VECTOR:
    case OID_OIDVECTOR: return vector_in(fx, t, text, heap, out);
    case OID_DATE: return date_in(fx, t, text, heap, out);
    case OID_TIME: return time_in(fx, t, text, heap, out);
    case OID_TIMETZ: return timetz_in(fx, t, text, heap, out);
    case OID_TIMESTAMP: return timestamp_in(fx, t, text, heap, out);
    case OID_TIMESTAMPTZ: return timestamptz_in(fx, t, text, heap, out);
    case OID_INTERVAL: return interval_in(fx, t, text, heap, out);
    case OID_VOID: *(uint8_t *)out = 0; return ST_OK;
    default: break;
    }
    if (is_reg(t->oid)) {
        return reg_in(fx, t, text, out);
    }
    return type_element(t->oid) != 0 ? array_in(fx, t, text, heap, out) : cannot_accept(fx, t);
}

static void put_int(int64_t v, StrBuf *sb)
{
    char buf[INT_TEXT_BYTES];
    strbuf_append(sb, buf, int8_text(v, buf));
}

Status type_out(FnCtx *fx, const ValueType *t, const void *v, StrBuf *sb)
{
    char buf[FLOAT_TEXT_BYTES];
    int extra = fx->facts->extra_float_digits;
    switch (t->oid) {
    case OID_BOOL: strbuf_putc(sb, *(const uint8_t *)v ? 't' : 'f'); return ST_OK;
    case OID_CHAR: strbuf_append(sb, buf, char_text(*(const uint8_t *)v, buf)); return ST_OK;
    case OID_INT2: put_int(*(const int16_t *)v, sb); return ST_OK;
    case OID_INT4: put_int(*(const int32_t *)v, sb); return ST_OK;
    case OID_INT8: put_int(*(const int64_t *)v, sb); return ST_OK;
    case OID_FLOAT4: strbuf_append(sb, buf, float4_text(*(const float *)v, extra, buf)); return ST_OK;
    case OID_FLOAT8: strbuf_append(sb, buf, float8_text(*(const double *)v, extra, buf)); return ST_OK;
    case OID_NUMERIC: return numeric_out(fx, t, v, sb);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_CSTRING:
    case OID_UNKNOWN:
    case OID_REFCURSOR:
    case OID_ACLITEM:
    case OID_PG_NODE_TREE: strbuf_append(sb, strview_ptr(v), ((const StrView *)v)->len); return ST_OK;
    case OID_BYTEA: return bytea_out(fx, t, v, sb);
    case OID_OID:
    case OID_XID:
    case OID_CID: put_int(*(const uint32_t *)v, sb); return ST_OK;
    case OID_XID8: strbuf_printf(sb, "%llu", (unsigned long long)*(const uint64_t *)v); return ST_OK;
    case OID_TID:
        strbuf_printf(sb, "(%llu,%u)", (unsigned long long)(*(const uint64_t *)v >> 16),
                      (unsigned)(*(const uint64_t *)v & 0xffff));
        return ST_OK;
    case OID_PG_LSN:
        strbuf_printf(sb, "%X/%X", (unsigned)(*(const uint64_t *)v >> 32), (unsigned)*(const uint64_t *)v);
        return ST_OK;
    case OID_UUID: uuid_out(v, sb); return ST_OK;
    case OID_INT2VECTOR:
    case OID_OIDVECTOR: return vector_out(v, sb);
    case OID_DATE: return date_out(fx, t, v, sb);
    case OID_TIME: return time_out(fx, t, v, sb);
    case OID_TIMETZ: return timetz_out(fx, t, v, sb);
    case OID_TIMESTAMP: return timestamp_out(fx, t, v, sb);
    case OID_TIMESTAMPTZ: return timestamptz_out(fx, t, v, sb);
    case OID_INTERVAL: return interval_out(fx, t, v, sb);
    case OID_VOID: return ST_OK;
    default: break;
    }
    if (is_reg(t->oid)) {
        return reg_out(fx, t, *(const uint32_t *)v, sb);
    }
    return type_element(t->oid) != 0 ? array_out(fx, t, v, sb) : unsupported(fx, t, "text output");
}

static Status recv_fixed(FnCtx *fx, const ValueType *t, Str bytes, void *out)
{
    static const uint8_t widths[PHYS_COUNT] = {1, 2, 4, 8, 4, 8, 16, 0};
    Status st = recv_size(fx->cx->err, bytes, widths[t->phys]);
    if (st != ST_OK) {
        return st;
    }
    switch (t->phys) {
    case P_BOOL: *(uint8_t *)out = t->oid == OID_BOOL ? bytes.p[0] != 0 : (uint8_t)bytes.p[0]; break;
    case P_I16: *(uint16_t *)out = load_be16(bytes.p); break;
    case P_F32:
    case P_I32: *(uint32_t *)out = load_be32(bytes.p); break;
    case P_F64:
    case P_I64: *(uint64_t *)out = load_be64(bytes.p); break;
    default: memcpy(out, bytes.p, 16); break;
    }
    return ST_OK;
}

static Status tid_recv(FnCtx *fx, Str bytes, uint64_t *out)
{
    Status st = recv_size(fx->cx->err, bytes, 6);
    if (st == ST_OK) {
        *out = (uint64_t)load_be32(bytes.p) << 16 | load_be16(bytes.p + 4);
    }
    return st;
}

Status type_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out)
{
    switch (t->oid) {
    case OID_NUMERIC: return numeric_recv(fx, t, bytes, heap, out);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_CSTRING:
    case OID_UNKNOWN:
    case OID_REFCURSOR: return text_in(fx, t, bytes, heap, out);
    case OID_BYTEA: return heap_str(heap, bytes.p, bytes.len, out) ? ST_OK : ctx_nomem(fx->cx, bytes.len);
    case OID_TID: return tid_recv(fx, bytes, out);
    case OID_DATE:
    case OID_TIME:
    case OID_TIMETZ:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
    case OID_INTERVAL: return datetime_recv(fx, t, bytes, heap, out);
    case OID_VOID: return ST_OK;
    default: break;
    }
    if (type_element(t->oid) != 0) {
        return array_recv(fx, t, bytes, heap, out);
    }
    return t->phys < P_STR ? recv_fixed(fx, t, bytes, out) : cannot_accept(fx, t);
}

static Status send_fixed(const ValueType *t, const void *v, StrBuf *sb)
{
    switch (t->phys) {
    case P_BOOL: strbuf_append(sb, v, 1); break;
    case P_I16: put_be16(sb, *(const uint16_t *)v); break;
    case P_F32:
    case P_I32: put_be32(sb, load_u32(v)); break;
    case P_F64:
    case P_I64: put_be64(sb, load_u64(v)); break;
    default: strbuf_append(sb, v, 16); break;
    }
    return ST_OK;
}

static Status tid_send(FnCtx *fx, uint64_t v, StrBuf *sb)
{
    if (v >> 16 > UINT32_MAX) {
        return err_set(fx->cx->err, ST_NUMERIC_VALUE_OUT_OF_RANGE,
                       "page number of a tid does not fit PostgreSQL's binary format");
    }
    put_be32(sb, (uint32_t)(v >> 16));
    put_be16(sb, (uint16_t)v);
    return ST_OK;
}

Status type_send(FnCtx *fx, const ValueType *t, const void *v, StrBuf *sb)
{
    switch (t->oid) {
    case OID_NUMERIC: return numeric_send(fx, t, v, sb);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_CSTRING:
    case OID_UNKNOWN:
    case OID_REFCURSOR:
    case OID_PG_NODE_TREE:
    case OID_BYTEA: strbuf_append(sb, strview_ptr(v), ((const StrView *)v)->len); return ST_OK;
    case OID_TID: return tid_send(fx, *(const uint64_t *)v, sb);
    case OID_TIMETZ:
    case OID_INTERVAL: return datetime_send(fx, t, v, sb);
    case OID_VOID: return ST_OK;
    default: break;
    }
    if (type_element(t->oid) != 0) {
        return array_send(fx, t, v, sb);
    }
    return t->phys < P_STR ? send_fixed(t, v, sb) : unsupported(fx, t, "binary output");
}
