/*
 * types/compare.c: comparison operators, and the order, equality, hash and memcmp key of every type.
 *
 * Key idea: what a type's values mean for order is told by an OrderKind; the comparison operators of all types are made
 * from six loops per kind. Signed and unsigned integers, floats (NaN greatest), byte strings (C collation), bpchar (without
 * trailing blanks), numeric, interval, timetz, arrays.
 */
#include <math.h>

#include "base/rng.h"
#include "types/array.h"
#include "types/kernels.h"
#include "types/num_kernels.h"

/* ---- scalar orders ---- */

static uint32_t bpchar_len(const StrView *v)
{
    const char *p = strview_ptr(v);
    uint32_t len = v->len;
    while (len > 0 && p[len - 1] == ' ') {
        len--;
    }
    return len;
}

static int bpchar_cmp(const StrView *a, const StrView *b)
{
    uint32_t na = bpchar_len(a);
    uint32_t nb = bpchar_len(b);
    int c = memcmp(strview_ptr(a), strview_ptr(b), na < nb ? na : nb);
    return c != 0 ? c : (na > nb) - (na < nb);
}

/* Microseconds with 30-day months and 24-hour days. */
static inline Int128 interval_span(const Interval *v)
{
    return (Int128)v->time_us + (Int128)((int64_t)v->months * 30 + v->days) * INT64_C(86400000000);
}

static inline int cmp_f64(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

static int cmp_timetz(const TimeTz *a, const TimeTz *b)
{
    int64_t ta = a->time_us + (int64_t)a->zone_s * 1000000;
    int64_t tb = b->time_us + (int64_t)b->zone_s * 1000000;
    return ta != tb ? (ta > tb) - (ta < tb) : (a->zone_s > b->zone_s) - (a->zone_s < b->zone_s);
}

#define THREE_WAY(a, b) (((a) > (b)) - ((a) < (b)))
#define CMP_FN(name, T)                                                                                                \
    static int name(const ValueType *t, const void *a, const void *b)                                                  \
    {                                                                                                                  \
        (void)t;                                                                                                       \
        return THREE_WAY(*(const T *)a, *(const T *)b);                                                                \
    }
CMP_FN(cmp_u8, uint8_t)
CMP_FN(cmp_i16, int16_t)
CMP_FN(cmp_i32, int32_t)
CMP_FN(cmp_u32, uint32_t)
CMP_FN(cmp_i64, int64_t)
CMP_FN(cmp_u64, uint64_t)

static int cmp_f32_values(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return cmp_f64((double)*(const float *)a, (double)*(const float *)b);
}
static int cmp_f64_values(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return cmp_f64(*(const double *)a, *(const double *)b);
}
static int cmp_bytes(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return strview_cmp(a, b);
}
static int cmp_blanks(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return bpchar_cmp(a, b);
}
static int cmp_uuid(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return memcmp(a, b, 16);
}
static int cmp_interval(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return THREE_WAY(interval_span(a), interval_span(b));
}
static int cmp_timetz_values(const ValueType *t, const void *a, const void *b)
{
    (void)t;
    return cmp_timetz(a, b);
}
static int cmp_numeric(const ValueType *t, const void *a, const void *b)
{
    if (t->phys == P_STR) {
        int c = num_view_cmp(a, b);
        return THREE_WAY(c, 0);
    }
    bool na = num_fixed_is_nan(t, a);
    bool nb = num_fixed_is_nan(t, b);
    return na || nb ? na - nb : THREE_WAY(num_fixed_value(t, a), num_fixed_value(t, b));
}

CompareFn *type_compare(const ValueType *t)
{
    switch (t->oid) {
    case OID_BOOL:
    case OID_CHAR: return cmp_u8;
    case OID_INT2: return cmp_i16;
    case OID_INT4:
    case OID_DATE: return cmp_i32;
    case OID_INT8:
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ: return cmp_i64;
    case OID_TID:
    case OID_XID8:
    case OID_PG_LSN: return cmp_u64;
    case OID_FLOAT4: return cmp_f32_values;
    case OID_FLOAT8: return cmp_f64_values;
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_BYTEA:
    case OID_UNKNOWN:
    case OID_CSTRING:
    case OID_ACLITEM: return cmp_bytes;
    case OID_BPCHAR: return cmp_blanks;
    case OID_NUMERIC: return cmp_numeric;
    case OID_UUID: return cmp_uuid;
    case OID_INTERVAL: return cmp_interval;
    case OID_TIMETZ: return cmp_timetz_values;
    default: break;
    }
    if (type_is_unsigned_i32(t->oid)) {
        return cmp_u32; /* xid and cid have only equality in SQL; an order serves our own sorts */
    }
    return type_element(t->oid) != 0 ? array_compare : NULL;
}

/* ---- hashing ---- */

#define HASH_NULL UINT64_C(0x9ae16a3b2f90404f)

static uint64_t hash_bytes(const char *p, size_t len)
{
    uint64_t h = mix64(len ^ 0x2545f4914f6cdd1d);
    while (len >= 8) {
        h = mix64(h ^ load_u64(p)); /* one multiply-rotate round a word: strings are mostly short */
        p += 8;
        len -= 8;
    }
    if (len > 0) {
        uint64_t tail = 0;
        memcpy(&tail, p, len);
        h = mix64(h ^ tail);
    }
    return h;
}

static uint64_t hash_f64(double v)
{
    uint64_t bits;
    if (isnan(v)) {
        return mix64(0x7ff8000000000000);
    }
    v = v == 0 ? 0 : v; /* -0 = 0 */
    memcpy(&bits, &v, sizeof bits);
    return mix64(bits);
}

static uint64_t hash_numeric(const ValueType *t, const void *v)
{
    if (t->phys != P_STR) {
        Num nan = {.kind = NUM_NAN};
        return num_fixed_is_nan(t, v) ? num_hash(&nan) : num_hash_i128(num_fixed_value(t, v), t->scale);
    }
    Num x;
    uint32_t scratch[64];
    num_peek(v, &x, scratch, ARRAY_LEN(scratch));
    return num_hash(&x);
}

static uint64_t hash_value(const ValueType *t, const void *v)
{
    switch (t->oid) {
    case OID_FLOAT4: return hash_f64((double)*(const float *)v);
    case OID_FLOAT8: return hash_f64(*(const double *)v);
    case OID_NUMERIC: return hash_numeric(t, v);
    case OID_BPCHAR: return hash_bytes(strview_ptr(v), bpchar_len(v));
    case OID_INTERVAL: {
        Int128 span = interval_span(v);
        return mix64((uint64_t)span ^ mix64((uint64_t)((UInt128)span >> 64)));
    }
    case OID_TIMETZ:
        return mix64((uint64_t)((const TimeTz *)v)->time_us ^ mix64((uint64_t)((const TimeTz *)v)->zone_s));
    default: break;
    }
    switch (t->phys) {
    case P_BOOL: return mix64(*(const uint8_t *)v);
    case P_I16: return mix64((uint64_t)(int64_t) * (const int16_t *)v);
    case P_I32:
        return mix64(type_is_unsigned_i32(t->oid) ? *(const uint32_t *)v : (uint64_t)(int64_t) * (const int32_t *)v);
    case P_I64: return mix64(*(const uint64_t *)v);
    case P_I128: return hash_bytes(v, 16);
    default:
        return type_element(t->oid) != 0 ? array_hash(t, v) : hash_bytes(strview_ptr(v), ((const StrView *)v)->len);
    }
}

static inline void put_hash(uint64_t *hashes, uint32_t row, bool combine, uint64_t h)
{
    hashes[row] = combine ? mix64(hashes[row] * 31 + h) : h;
}

void type_hash(const ValueType *t, const Vector *v, const uint16_t *sel, uint32_t n, bool combine, uint64_t *out)
{
    if (v->nulls == NULL && v->kind == VEC_FLAT && (t->oid == OID_INT4 || t->oid == OID_INT8)) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = sel_row(sel, i);
            int64_t value = t->oid == OID_INT4 ? ((const int32_t *)v->data)[row] : ((const int64_t *)v->data)[row];
            put_hash(out, row, combine, mix64((uint64_t)value));
        }
        return;
    }
    uint64_t constant = HASH_NULL;
    if (v->kind == VEC_CONSTANT && !vec_is_null(v, 0)) {
        constant = hash_value(t, v->data);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        uint64_t h = v->kind == VEC_CONSTANT ? constant
                     : vec_is_null(v, row)   ? HASH_NULL
                                             : hash_value(t, vec_at(v, row));
        put_hash(out, row, combine, h);
    }
}

bool type_is_hashable(Oid oid)
{
    ValueType t = value_type_of(oid);
    return type_compare(&t) != NULL;
}

/* ---- memcmp keys ---- */

static void key_bytes(StrBuf *out, uint64_t v, unsigned bytes)
{
    char b[8];
    store_be64(b, v);
    strbuf_append(out, b + 8 - bytes, bytes);
}

static void key_f64(StrBuf *out, double v)
{
    uint64_t bits;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) {
        bits = UINT64_C(0x7fffffffffffffff);
    }
    /* Positive: set the sign bit; negative: complement, so that larger magnitudes come first. */
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    key_bytes(out, bits, 8);
}

/* Text has no zero bytes (V2): one zero byte ends it below every extension. */
static void key_text(StrBuf *out, const char *p, size_t len)
{
    strbuf_append(out, p, len);
    strbuf_putc(out, 0);
}

/* Any bytes: 00 becomes 00 FF, the end is 00 01. */
static void key_bytea(StrBuf *out, const char *p, size_t len)
{
    const char *end = p + len;
    while (p < end) {
        const char *zero = memchr(p, 0, (size_t)(end - p));
        const char *stop = zero != NULL ? zero : end;
        strbuf_append(out, p, (size_t)(stop - p));
        if (zero != NULL) {
            strbuf_append(out, "\0\xff", 2);
            stop++;
        }
        p = stop;
    }
    strbuf_append(out, "\0\x01", 2);
}

static void key_numeric(const ValueType *t, const void *v, StrBuf *out)
{
    if (t->phys != P_STR) {
        bool nan = num_fixed_is_nan(t, v);
        num_key_i128(nan ? 0 : num_fixed_value(t, v), t->scale, nan, out);
        return;
    }
    Num x;
    uint32_t scratch[64];
    num_peek(v, &x, scratch, ARRAY_LEN(scratch));
    num_key(&x, out);
}

static void key_i128(StrBuf *out, Int128 v)
{
    key_bytes(out, (uint64_t)((UInt128)v >> 64) ^ UINT64_C(1) << 63, 8);
    key_bytes(out, (uint64_t)v, 8);
}

void type_key(const ValueType *t, const void *v, StrBuf *out)
{
    const TimeTz *tz = v;
    switch (t->oid) {
    case OID_FLOAT4: key_f64(out, (double)*(const float *)v); return;
    case OID_FLOAT8: key_f64(out, *(const double *)v); return;
    case OID_NUMERIC: key_numeric(t, v, out); return;
    case OID_BPCHAR: key_text(out, strview_ptr(v), bpchar_len(v)); return;
    case OID_BYTEA: key_bytea(out, strview_ptr(v), ((const StrView *)v)->len); return;
    case OID_INTERVAL: key_i128(out, interval_span(v)); return;
    case OID_TIMETZ:
        key_bytes(out, (uint64_t)(tz->time_us + (int64_t)tz->zone_s * 1000000) ^ UINT64_C(1) << 63, 8);
        key_bytes(out, (uint32_t)tz->zone_s ^ UINT32_C(1) << 31, 4);
        return;
    default: break;
    }
    switch (t->phys) {
    case P_BOOL: key_bytes(out, *(const uint8_t *)v, 1); return;
    case P_I16: key_bytes(out, *(const uint16_t *)v ^ 0x8000u, 2); return;
    case P_I32: key_bytes(out, *(const uint32_t *)v ^ (type_is_unsigned_i32(t->oid) ? 0 : 0x80000000u), 4); return;
    case P_I64:
        key_bytes(out, *(const uint64_t *)v ^ (type_is_unsigned_i64(t->oid) ? 0 : UINT64_C(1) << 63), 8);
        return;
    case P_I128: strbuf_append(out, v, 16); return;
    default: break;
    }
    if (type_element(t->oid) != 0) {
        array_key(t, v, out);
    } else {
        key_text(out, strview_ptr(v), ((const StrView *)v)->len);
    }
}

bool type_has_key(Oid oid)
{
    return type_is_hashable(oid);
}

/* ---- operator kernels ---- */

/* Six loops over plain values; flat/flat and flat/constant without masks, for the vectorizer. */
#define PLAIN_OP(name, TA, TB, TC, op)                                                                                 \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        const TA *restrict x = args[0]->data;                                                                          \
        const TB *restrict y = args[1]->data;                                                                          \
        uint8_t *restrict r = out->data;                                                                               \
        const uint32_t mx = vec_mask(args[0]);                                                                         \
        const uint32_t my = vec_mask(args[1]);                                                                         \
        (void)fx;                                                                                                      \
        if (sel == NULL && mx != 0 && my != 0) {                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                r[i] = (TC)x[i] op(TC) y[i];                                                                           \
            }                                                                                                          \
        } else if (sel == NULL && mx != 0) {                                                                           \
            const TC c = (TC)y[0];                                                                                     \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                r[i] = (TC)x[i] op c;                                                                                  \
            }                                                                                                          \
        } else {                                                                                                       \
            for (uint32_t i = 0; i < n; i++) {                                                                         \
                const uint32_t row = sel_row(sel, i);                                                                  \
                r[row] = (TC)x[row & mx] op(TC) y[row & my];                                                           \
            }                                                                                                          \
        }                                                                                                              \
        return ST_OK;                                                                                                  \
    }

#define PLAIN(p, TA, TB, TC)                                                                                           \
    PLAIN_OP(k_##p##eq, TA, TB, TC, ==)                                                                                \
    PLAIN_OP(k_##p##ne, TA, TB, TC, !=)                                                                                \
    PLAIN_OP(k_##p##lt, TA, TB, TC, <)                                                                                 \
    PLAIN_OP(k_##p##le, TA, TB, TC, <=)                                                                                \
    PLAIN_OP(k_##p##gt, TA, TB, TC, >)                                                                                 \
    PLAIN_OP(k_##p##ge, TA, TB, TC, >=)

PLAIN(u8, uint8_t, uint8_t, uint8_t)
PLAIN(i16, int16_t, int16_t, int16_t)
PLAIN(i32, int32_t, int32_t, int32_t)
PLAIN(u32, uint32_t, uint32_t, uint32_t)
PLAIN(i64, int64_t, int64_t, int64_t)
PLAIN(u64, uint64_t, uint64_t, uint64_t)
PLAIN(i16i32, int16_t, int32_t, int32_t)
PLAIN(i32i16, int32_t, int16_t, int32_t)
PLAIN(i16i64, int16_t, int64_t, int64_t)
PLAIN(i64i16, int64_t, int16_t, int64_t)
PLAIN(i32i64, int32_t, int64_t, int64_t)
PLAIN(i64i32, int64_t, int32_t, int64_t)
PLAIN_OP(k_xidint4eq, uint32_t, uint32_t, uint32_t, ==)

/* Comparison through an expression of a and b that is < 0, 0 or > 0. */
#define BY_SIGN(p, TA, TB, cmp)                                                                                        \
    KERNEL2(k_##p##eq, TA, TB, uint8_t, r = (cmp) == 0;)                                                               \
    KERNEL2(k_##p##ne, TA, TB, uint8_t, r = (cmp) != 0;)                                                               \
    KERNEL2(k_##p##lt, TA, TB, uint8_t, r = (cmp) < 0;)                                                                \
    KERNEL2(k_##p##le, TA, TB, uint8_t, r = (cmp) <= 0;)                                                               \
    KERNEL2(k_##p##gt, TA, TB, uint8_t, r = (cmp) > 0;)                                                                \
    KERNEL2(k_##p##ge, TA, TB, uint8_t, r = (cmp) >= 0;)

/* Floats branch-free: NaN is above all, equal to itself. */
#define FLOAT_CMP(p, TA, TB)                                                                                           \
    KERNEL2(k_##p##eq, TA, TB, uint8_t, r = (uint8_t)(((double)a == (double)b) | ((a != a) & (b != b)));)              \
    KERNEL2(k_##p##ne, TA, TB, uint8_t, r = (uint8_t) !(((double)a == (double)b) | ((a != a) & (b != b)));)            \
    KERNEL2(k_##p##lt, TA, TB, uint8_t, r = (uint8_t)(((double)a < (double)b) | ((a == a) & (b != b)));)               \
    KERNEL2(k_##p##le, TA, TB, uint8_t, r = (uint8_t)(((double)a <= (double)b) | (b != b));)                           \
    KERNEL2(k_##p##gt, TA, TB, uint8_t, r = (uint8_t)(((double)a > (double)b) | ((a != a) & (b == b)));)               \
    KERNEL2(k_##p##ge, TA, TB, uint8_t, r = (uint8_t)(((double)a >= (double)b) | (a != a));)
FLOAT_CMP(float4, float, float)
FLOAT_CMP(float8, double, double)
FLOAT_CMP(float48, float, double)
FLOAT_CMP(float84, double, float)

KERNEL2(k_texteq, StrView, StrView, uint8_t, r = strview_eq(&a, &b);)
KERNEL2(k_textne, StrView, StrView, uint8_t, r = !strview_eq(&a, &b);)
KERNEL2(k_text_lt, StrView, StrView, uint8_t, r = strview_cmp(&a, &b) < 0;)
KERNEL2(k_text_le, StrView, StrView, uint8_t, r = strview_cmp(&a, &b) <= 0;)
KERNEL2(k_text_gt, StrView, StrView, uint8_t, r = strview_cmp(&a, &b) > 0;)
KERNEL2(k_text_ge, StrView, StrView, uint8_t, r = strview_cmp(&a, &b) >= 0;)
KERNEL2(k_text_cmp, StrView, StrView, int32_t, int c = strview_cmp(&a, &b); r = THREE_WAY(c, 0);)
KERNEL2(k_text_larger, StrView, StrView, StrView, r = strview_cmp(&a, &b) > 0 ? a : b;)
KERNEL2(k_text_smaller, StrView, StrView, StrView, r = strview_cmp(&a, &b) < 0 ? a : b;)
KERNEL2(k_starts_with, StrView, StrView, uint8_t,
        r = a.len >= b.len && memcmp(strview_ptr(&a), strview_ptr(&b), b.len) == 0;)
BY_SIGN(bpchar, StrView, StrView, bpchar_cmp(&a, &b))
KERNEL2(k_bpchar_cmp, StrView, StrView, int32_t, int c = bpchar_cmp(&a, &b); r = THREE_WAY(c, 0);)
KERNEL2(k_bpchar_larger, StrView, StrView, StrView, r = bpchar_cmp(&a, &b) >= 0 ? a : b;)
KERNEL2(k_bpchar_smaller, StrView, StrView, StrView, r = bpchar_cmp(&a, &b) <= 0 ? a : b;)
BY_SIGN(uuid_, Uuid, Uuid, memcmp(&a, &b, 16))
KERNEL2(k_uuid_cmp, Uuid, Uuid, int32_t, int c = memcmp(&a, &b, 16); r = THREE_WAY(c, 0);)
BY_SIGN(interval_, Interval, Interval, THREE_WAY(interval_span(&a), interval_span(&b)))
KERNEL2(k_interval_cmp, Interval, Interval, int32_t, r = THREE_WAY(interval_span(&a), interval_span(&b));)
KERNEL2(k_interval_larger, Interval, Interval, Interval, r = interval_span(&a) > interval_span(&b) ? a : b;)
KERNEL2(k_interval_smaller, Interval, Interval, Interval, r = interval_span(&a) < interval_span(&b) ? a : b;)
BY_SIGN(timetz_, TimeTz, TimeTz, cmp_timetz(&a, &b))
KERNEL2(k_timetz_cmp, TimeTz, TimeTz, int32_t, r = cmp_timetz(&a, &b);)
KERNEL2(k_timetz_larger, TimeTz, TimeTz, TimeTz, r = cmp_timetz(&a, &b) > 0 ? a : b;)
KERNEL2(k_timetz_smaller, TimeTz, TimeTz, TimeTz, r = cmp_timetz(&a, &b) < 0 ? a : b;)
BY_SIGN(array_, StrView, StrView, array_compare(&fx->call->args[0], &a, &b))
KERNEL2(k_btarraycmp, StrView, StrView, int32_t, r = array_compare(&fx->call->args[0], &a, &b);)
KERNEL2(k_array_larger, StrView, StrView, StrView, r = array_compare(&fx->call->args[0], &a, &b) > 0 ? a : b;)
KERNEL2(k_array_smaller, StrView, StrView, StrView, r = array_compare(&fx->call->args[0], &a, &b) < 0 ? a : b;)

#define LARGER(p, T)                                                                                                   \
    KERNEL2(k_##p##_larger, T, T, T, r = a > b ? a : b;)                                                               \
    KERNEL2(k_##p##_smaller, T, T, T, r = a < b ? a : b;)
LARGER(i32, int32_t)
LARGER(u32, uint32_t)
LARGER(i64, int64_t)
LARGER(u64, uint64_t)

#define BT_CMP(p, TA, TB) KERNEL2(k_bt##p, TA, TB, int32_t, r = THREE_WAY(a, b);)
BT_CMP(u8, uint8_t, uint8_t)
BT_CMP(i16, int16_t, int16_t)
BT_CMP(i32, int32_t, int32_t)
BT_CMP(u32, uint32_t, uint32_t)
BT_CMP(i64, int64_t, int64_t)
BT_CMP(u64, uint64_t, uint64_t)
BT_CMP(i16i32, int16_t, int32_t)
BT_CMP(i32i16, int32_t, int16_t)
BT_CMP(i16i64, int16_t, int64_t)
BT_CMP(i64i16, int64_t, int16_t)
BT_CMP(i32i64, int32_t, int64_t)
BT_CMP(i64i32, int64_t, int32_t)
KERNEL2(k_btfloat8, double, double, int32_t, r = cmp_f64(a, b);)
KERNEL2(k_btfloat4, float, float, int32_t, r = cmp_f64((double)a, (double)b);)
KERNEL2(k_btfloat48, float, double, int32_t, r = cmp_f64((double)a, b);)
KERNEL2(k_btfloat84, double, float, int32_t, r = cmp_f64(a, (double)b);)

#define SIX(sql, p)                                                                                                    \
    {sql "eq", k_##p##eq, KERNEL_TOTAL, NULL}, {sql "ne", k_##p##ne, KERNEL_TOTAL, NULL},                              \
        {sql "lt", k_##p##lt, KERNEL_TOTAL, NULL}, {sql "le", k_##p##le, KERNEL_TOTAL, NULL},                          \
        {sql "gt", k_##p##gt, KERNEL_TOTAL, NULL},                                                                     \
    {                                                                                                                  \
        sql "ge", k_##p##ge, KERNEL_TOTAL, NULL                                                                        \
    }
/* The same for kernels that follow string pointers. */
#define SIX_STR(sql, p)                                                                                                \
    {sql "eq", k_##p##eq, 0, NULL}, {sql "ne", k_##p##ne, 0, NULL}, {sql "lt", k_##p##lt, 0, NULL},                    \
        {sql "le", k_##p##le, 0, NULL}, {sql "gt", k_##p##gt, 0, NULL},                                                \
    {                                                                                                                  \
        sql "ge", k_##p##ge, 0, NULL                                                                                   \
    }
#define K(sql, kernel)                                                                                                 \
    {                                                                                                                  \
        sql, kernel, KERNEL_TOTAL, NULL                                                                                \
    }
#define KS(sql, kernel)                                                                                                \
    {                                                                                                                  \
        sql, kernel, 0, NULL                                                                                           \
    }

/* clang-format off */
KERNEL_LIST(compare_kernel_list,
    SIX("bool", u8), SIX("char", u8), SIX("int2", i16), SIX("int4", i32), SIX("int8", i64), SIX("int24", i16i32),
    SIX("int42", i32i16), SIX("int28", i16i64), SIX("int82", i64i16), SIX("int48", i32i64), SIX("int84", i64i32),
    SIX("oid", u32), SIX("float4", float4), SIX("float8", float8), SIX("float48", float48), SIX("float84", float84),
    SIX("date_", i32), SIX("time_", i64), SIX("timestamp_", i64), SIX("tid", u64), SIX("pg_lsn_", u64), SIX("xid8", u64),
    SIX("uuid_", uuid_), SIX("interval_", interval_), SIX("timetz_", timetz_), SIX_STR("bpchar", bpchar),
    SIX_STR("array_", array_),
    K("xideq", k_u32eq), K("xidneq", k_u32ne), K("cideq", k_u32eq),
    KS("texteq", k_texteq), KS("textne", k_textne), KS("text_lt", k_text_lt), KS("text_le", k_text_le),
    KS("text_gt", k_text_gt), KS("text_ge", k_text_ge), KS("bttextcmp", k_text_cmp), KS("text_larger", k_text_larger),
    KS("text_smaller", k_text_smaller), KS("text_starts_with", k_starts_with),
    KS("text_pattern_lt", k_text_lt), KS("text_pattern_le", k_text_le), KS("text_pattern_gt", k_text_gt),
    KS("text_pattern_ge", k_text_ge), KS("bttext_pattern_cmp", k_text_cmp),
    KS("bpchar_pattern_lt", k_bpcharlt), KS("bpchar_pattern_le", k_bpcharle), KS("bpchar_pattern_gt", k_bpchargt),
    KS("bpchar_pattern_ge", k_bpcharge), KS("btbpchar_pattern_cmp", k_bpchar_cmp),
    KS("bpcharcmp", k_bpchar_cmp), KS("bpchar_larger", k_bpchar_larger), KS("bpchar_smaller", k_bpchar_smaller),
    KS("nameeq", k_texteq), KS("namene", k_textne), KS("namelt", k_text_lt), KS("namele", k_text_le),
    KS("namegt", k_text_gt), KS("namege", k_text_ge), KS("btnamecmp", k_text_cmp), KS("btnametextcmp", k_text_cmp),
    KS("bttextnamecmp", k_text_cmp),
    KS("nameeqtext", k_texteq), KS("namenetext", k_textne), KS("namelttext", k_text_lt), KS("nameletext", k_text_le),
    KS("namegttext", k_text_gt), KS("namegetext", k_text_ge), KS("texteqname", k_texteq), KS("textnename", k_textne),
    KS("textltname", k_text_lt), KS("textlename", k_text_le), KS("textgtname", k_text_gt), KS("textgename", k_text_ge),
    KS("byteaeq", k_texteq), KS("byteane", k_textne), KS("bytealt", k_text_lt), KS("byteale", k_text_le),
    KS("byteagt", k_text_gt), KS("byteage", k_text_ge), KS("byteacmp", k_text_cmp), KS("oidvectoreq", k_array_eq),
    KS("oidvectorne", k_array_ne), KS("oidvectorlt", k_array_lt), KS("oidvectorle", k_array_le),
    KS("oidvectorgt", k_array_gt), KS("oidvectorge", k_array_ge), KS("btoidvectorcmp", k_btarraycmp),
    K("btboolcmp", k_btu8), K("btcharcmp", k_btu8), K("btint2cmp", k_bti16), K("btint4cmp", k_bti32),
    K("btint8cmp", k_bti64), K("btint24cmp", k_bti16i32), K("btint42cmp", k_bti32i16), K("btint28cmp", k_bti16i64),
    K("btint82cmp", k_bti64i16), K("btint48cmp", k_bti32i64), K("btint84cmp", k_bti64i32), K("btoidcmp", k_btu32),
    K("btfloat8cmp", k_btfloat8), K("btfloat4cmp", k_btfloat4), K("btfloat48cmp", k_btfloat48),
    K("btfloat84cmp", k_btfloat84), K("date_cmp", k_bti32), K("time_cmp", k_bti64), K("timestamp_cmp", k_bti64),
    K("bttidcmp", k_btu64), K("pg_lsn_cmp", k_btu64), K("xid8cmp", k_btu64), K("uuid_cmp", k_uuid_cmp),
    K("interval_cmp", k_interval_cmp), K("timetz_cmp", k_timetz_cmp), KS("btarraycmp", k_btarraycmp),
    K("date_larger", k_i32_larger), K("date_smaller", k_i32_smaller), K("oidlarger", k_u32_larger),
    K("oidsmaller", k_u32_smaller), K("time_larger", k_i64_larger), K("time_smaller", k_i64_smaller),
    K("timestamp_larger", k_i64_larger), K("timestamp_smaller", k_i64_smaller), K("tidlarger", k_u64_larger),
    K("tidsmaller", k_u64_smaller), K("pg_lsn_larger", k_u64_larger), K("pg_lsn_smaller", k_u64_smaller),
    K("xid8_larger", k_u64_larger), K("xid8_smaller", k_u64_smaller), K("interval_larger", k_interval_larger),
    K("interval_smaller", k_interval_smaller), K("timetz_larger", k_timetz_larger),
    K("timetz_smaller", k_timetz_smaller), KS("array_larger", k_array_larger), KS("array_smaller", k_array_smaller),
    K("xideqint4", k_xidint4eq), K("xidneqint4", k_u32ne))
/* clang-format on */
