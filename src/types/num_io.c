/*
 * types/num_io.c: numeric's text and binary forms, for every representation.
 */
#include "types/io.h"

#include "types/num_kernels.h"
#include "types/num_limbs.h"
#include "types/text_format.h"

/* "[-]ddd[.ddd]" that fits int64 at the wanted scale without rounding: what COPY reads most. */
static bool parse_short(Str text, int scale, int precision, int64_t *out)
{
    const char *p = text.p;
    const char *end = p + text.len;
    int64_t v = 0;
    int digits = 0;
    int fraction = -1;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || end - p > 19) {
        return false;
    }
    for (; p < end; p++) {
        if (*p == '.' && fraction < 0 && digits > 0) {
            fraction = 0;
        } else if (*p >= '0' && *p <= '9' && digits < 18) {
            v = v * 10 + (*p - '0');
            digits++;
            fraction += fraction >= 0;
        } else {
            return false;
        }
    }
    int have = fraction < 0 ? 0 : fraction;
    if (digits == 0 || fraction == 0 || have > scale || digits + scale - have > 18) {
        return false;
    }
    v *= (int64_t)pow10_i128[scale - have];
    if (v >= (int64_t)pow10_i128[precision]) {
        return false; /* the slow path reports it */
    }
    *out = negative ? -v : v;
    return true;
}

Status numeric_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    if (t->phys == P_I64 && parse_short(text, t->scale, t->precision, out)) {
        return ST_OK;
    }
    Num v;
    Num limited;
    Status st = num_parse(fx->cx, fx->arena, text, &v);
    if (st == ST_OK) {
        st = num_apply_typmod(fx->cx, fx->arena, &v, t->typmod, &limited);
    }
    return st != ST_OK ? st : num_store(fx->cx, heap, t, &limited, out);
}

Status numeric_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    if (t->phys != P_STR) {
        if (num_fixed_is_nan(t, value)) {
            strbuf_puts(sb, "NaN");
        } else {
            num_append_i128(num_fixed_value(t, value), t->scale, sb);
        }
        return ST_OK;
    }
    Num v;
    uint32_t scratch[32];
    ArenaMark mark = arena_mark(fx->arena);
    const StrView *view = value;
    Status st = ST_OK;
    if (view->len <= sizeof scratch) {
        num_peek(view, &v, scratch, ARRAY_LEN(scratch));
    } else {
        st = num_from_view(fx->cx, fx->arena, view, &v);
    }
    if (st == ST_OK) {
        num_append(&v, sb);
    }
    arena_rewind(fx->arena, mark);
    return st;
}

/* ---- binary: PostgreSQL's base-10000 digits ---- */

enum { WIRE_POS = 0x0000, WIRE_NEG = 0x4000, WIRE_NAN = 0xC000, WIRE_PINF = 0xD000, WIRE_NINF = 0xF000 };

static Status special_recv(FnCtx *fx, uint16_t sign, Num *out)
{
    switch (sign) {
    case WIRE_NAN: *out = num_special(NUM_NAN); return ST_OK;
    case WIRE_PINF: *out = num_special(NUM_INF); return ST_OK;
    case WIRE_NINF: *out = num_special(NUM_NEG_INF); return ST_OK;
    default:
        return err_set(fx->cx->err, ST_INVALID_BINARY_REPRESENTATION, "invalid sign in external \"numeric\" value");
    }
}

static Status digits_recv(FnCtx *fx, Str bytes, Num *out)
{
    size_t n = load_be16(bytes.p);
    int16_t weight = (int16_t)load_be16(bytes.p + 2);
    uint16_t sign = load_be16(bytes.p + 4);
    uint16_t dscale = load_be16(bytes.p + 6);
    if (dscale > NUM_DSCALE_MAX) {
        return err_set(fx->cx->err, ST_INVALID_BINARY_REPRESENTATION, "invalid scale in external \"numeric\" value");
    }
    if (sign != WIRE_POS && sign != WIRE_NEG) {
        return special_recv(fx, sign, out);
    }
    char *digits = arena_alloc(fx->arena, n * 4 + 1);
    if (digits == NULL) {
        return ctx_nomem(fx->cx, n * 4);
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t d = load_be16(bytes.p + 8 + i * 2);
        if (d > 9999) {
            return err_set(fx->cx->err, ST_INVALID_BINARY_REPRESENTATION,
                           "invalid digit in external \"numeric\" value");
        }
        for (int k = 3; k >= 0; k--, d /= 10) {
            digits[i * 4 + (size_t)k] = (char)('0' + d % 10);
        }
    }
    Num v;
    Status st = num_from_digits(fx->cx, fx->arena, digits, n * 4, weight * 4 + 3, sign == WIRE_NEG ? NUM_NEG : NUM_POS,
                                dscale, &v);
    /* Digits beyond the display scale are hidden, not rounded: PostgreSQL cuts them. */
    return st != ST_OK ? st : num_trunc(fx->cx, fx->arena, &v, dscale, out);
}

Status numeric_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out)
{
    if (bytes.len < 8) {
        return recv_size(fx->cx->err, bytes, 8);
    }
    Num v;
    Num limited;
    Status st = recv_size(fx->cx->err, bytes, 8 + (size_t)load_be16(bytes.p) * 2);
    if (st == ST_OK) {
        st = digits_recv(fx, bytes, &v);
    }
    if (st == ST_OK) {
        st = num_apply_typmod(fx->cx, fx->arena, &v, t->typmod, &limited);
    }
    return st != ST_OK ? st : num_store(fx->cx, heap, t, &limited, out);
}

Status numeric_send(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    static const uint16_t special[] = {[NUM_NAN] = WIRE_NAN, [NUM_INF] = WIRE_PINF, [NUM_NEG_INF] = WIRE_NINF};
    Num v;
    Status st = num_load(fx->cx, fx->arena, t, value, &v);
    if (st != ST_OK) {
        return st;
    }
    if (num_is_special(&v)) {
        put_be16(sb, 0);
        put_be16(sb, 0);
        put_be16(sb, special[v.kind]);
        put_be16(sb, 0);
        return ST_OK;
    }
    int32_t weight = num_pg_weight(&v);
    int32_t low = v.n == 0 ? 0 : floor_div(-num_min_scale(&v), 4); /* weight of the last digit group that is not zero */
    int32_t count = v.n == 0 ? 0 : weight - low + 1;
    while (count > 0 && num_pg_digit(&v, count - 1) == 0) {
        count--;
    }
    put_be16(sb, (uint16_t)count);
    put_be16(sb, (uint16_t)(v.n == 0 ? 0 : weight));
    put_be16(sb, v.kind == NUM_NEG ? WIRE_NEG : WIRE_POS);
    put_be16(sb, (uint16_t)v.dscale);
    for (int32_t i = 0; i < count; i++) {
        put_be16(sb, (uint16_t)num_pg_digit(&v, i));
    }
    return ST_OK;
}
