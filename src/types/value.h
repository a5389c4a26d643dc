/*
 * types/value.h: how one SQL value lies in memory.
 *
 * Key idea: about ninety SQL types share eight physical types. Operators above this module (scan, join, sort, spill)
 * move physical values and never ask what they mean; what they mean is in the TypeRow (registry.h) and in the kernels.
 *
 *   physical  bytes  SQL types
 *   P_BOOL    1      boolean (0, 1), "char" (any byte, compared unsigned)
 *   P_I16     2      int2
 *   P_I32     4      int4, date; compared unsigned: oid, xid, cid, reg*
 *   P_I64     8      int8, timestamp, timestamptz, time, money; unsigned: xid8, tid, pg_lsn; numeric up to 18 digits
 *   P_F32     4      float4
 *   P_F64     8      float8
 *   P_I128    16     numeric up to 38 digits; uuid (16 bytes, network order), interval (Interval), timetz (TimeTz)
 *   P_STR     16     StrView: text, varchar, bpchar, name, cstring, unknown, bytea, json, arrays, numeric of any size
 *
 * date counts days and timestamps count microseconds from 2000-01-01, as PostgreSQL does; the largest and smallest
 * integers are infinity and -infinity. A tid is page number << 16 | slot + 1.
 *
 * Invariants
 *  V1  A StrView of up to 12 bytes is inline and its unused bytes are zero; a longer one has its first 4 bytes in
 *      `prefix`. So two views are equal iff their first words are equal and (inline) their second words or (long)
 *      their bytes are equal: strview_eq.
 *  V2  text, varchar, bpchar, name, json hold valid UTF-8 without zero bytes: input and recv check it.
 */
#ifndef RDB_TYPES_VALUE_H
#define RDB_TYPES_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"

typedef uint32_t Oid;
typedef __int128 Int128;
typedef unsigned __int128 UInt128;

typedef enum PhysType { P_BOOL, P_I16, P_I32, P_I64, P_F32, P_F64, P_I128, P_STR, PHYS_COUNT, P_NONE = 255 } PhysType;

static inline size_t phys_bytes(PhysType p)
{
    static const uint8_t bytes[PHYS_COUNT] = {1, 2, 4, 8, 4, 8, 16, 16};
    ASSERT(p < PHYS_COUNT);
    return bytes[p];
}

/* Room for a value of any physical type: `uint64_t v[2] VALUE_ALIGNED`. */
#define VALUE_ALIGNED __attribute__((aligned(16)))

enum { STRVIEW_INLINE = 12 };
typedef struct StrView {
    uint32_t len;
    union {
        char inl[STRVIEW_INLINE];
        struct {
            char prefix[4];
            const char *ptr;
        } __attribute__((packed, aligned(4)));
    };
} __attribute__((aligned(8))) StrView;
STATIC_ASSERT(sizeof(StrView) == 16, "a string view is 16 bytes");

/* A field name that reads better where the value is text. */
static inline const char *strview_ptr(const StrView *v)
{
    return v->len <= STRVIEW_INLINE ? v->inl : v->ptr;
}
static inline Str strview_str(const StrView *v)
{
    return (Str){strview_ptr(v), v->len};
}

/* A view of bytes that outlive it; short ones are copied into it. */
static inline StrView strview_make(const char *p, uint32_t len)
{
    StrView v;
    memset(&v, 0, sizeof v);
    v.len = len;
    if (len <= STRVIEW_INLINE) {
        if (len != 0) {
            memcpy(v.inl, p, len);
        }
    } else {
        memcpy(v.prefix, p, 4);
        v.ptr = p;
    }
    return v;
}

static inline bool strview_eq(const StrView *a, const StrView *b)
{
    uint64_t wa[2], wb[2];
    memcpy(wa, a, sizeof wa);
    memcpy(wb, b, sizeof wb);
    if (wa[0] != wb[0]) { /* length and first four bytes */
        return false;
    }
    return wa[1] == wb[1] || (a->len > STRVIEW_INLINE && memcmp(a->ptr, b->ptr, a->len) == 0);
}

/* Order of the bytes, a prefix before its extensions: < 0, 0, > 0. */
static inline int strview_cmp(const StrView *a, const StrView *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->inl, b->inl, n < 4 ? n : 4);
    if (c == 0 && n > 4) {
        c = memcmp(strview_ptr(a), strview_ptr(b), n);
    }
    return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

/* An interval keeps its three parts apart, as PostgreSQL does. Order: 30-day months, 24-hour days. */
typedef struct Interval {
    int64_t time_us;
    int32_t days;
    int32_t months;
} __attribute__((aligned(16))) Interval;
STATIC_ASSERT(sizeof(Interval) == 16, "an interval is 16 bytes");

/* Time of day with a fixed offset; zone_s counts seconds west of Greenwich, as PostgreSQL stores it. */
typedef struct TimeTz {
    int64_t time_us;
    int32_t zone_s;
    int32_t unused; /* zero */
} __attribute__((aligned(16))) TimeTz;
STATIC_ASSERT(sizeof(TimeTz) == 16, "a time with time zone is 16 bytes");

typedef struct Uuid {
    uint8_t b[16];
} __attribute__((aligned(16))) Uuid;

/*
 * What a planner knows of a value: its SQL type and how it lies in a vector. `precision` and `scale` are set for
 * numeric in fixed form (P_I64, P_I128): every value is an integer times 10^-scale with at most `precision` digits,
 * and its display scale is `scale`. A numeric with phys P_STR is in variable form (numeric.h).
 */
typedef struct ValueType {
    Oid oid;
    Oid collation;     /* 0 = not collatable */
    int32_t typmod;    /* PostgreSQL's encoding; -1 = none */
    uint8_t phys;      /* PhysType */
    uint8_t precision; /* fixed numeric: 1..38; otherwise 0 */
    int16_t scale;     /* fixed numeric: 0..38 */
} ValueType;

/* OIDs of the types that code names. All of them stand in the type table (registry.h). */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_CHAR = 18,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT2VECTOR = 22,
    OID_INT4 = 23,
    OID_REGPROC = 24,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_TID = 27,
    OID_XID = 28,
    OID_CID = 29,
    OID_OIDVECTOR = 30,
    OID_JSON = 114,
    OID_XML = 142,
    OID_PG_NODE_TREE = 194,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_UNKNOWN = 705,
    OID_MONEY = 790,
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_FLOAT4_ARRAY = 1021,
    OID_FLOAT8_ARRAY = 1022,
    OID_NAME_ARRAY = 1003,
    OID_OID_ARRAY = 1028,
    OID_ACLITEM = 1033,
    OID_NUMERIC_ARRAY = 1231,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIME = 1083,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_INTERVAL = 1186,
    OID_TIMETZ = 1266,
    OID_BIT = 1560,
    OID_VARBIT = 1562,
    OID_NUMERIC = 1700,
    OID_REFCURSOR = 1790,
    OID_REGPROCEDURE = 2202,
    OID_REGOPER = 2203,
    OID_REGOPERATOR = 2204,
    OID_REGCLASS = 2205,
    OID_REGTYPE = 2206,
    OID_RECORD = 2249,
    OID_CSTRING = 2275,
    OID_ANY = 2276,
    OID_ANYARRAY = 2277,
    OID_VOID = 2278,
    OID_TRIGGER = 2279,
    OID_INTERNAL = 2281,
    OID_ANYELEMENT = 2283,
    OID_ANYNONARRAY = 2776,
    OID_UUID = 2950,
    OID_PG_LSN = 3220,
    OID_ANYENUM = 3500,
    OID_REGCONFIG = 3734,
    OID_REGDICTIONARY = 3769,
    OID_JSONB = 3802,
    OID_ANYRANGE = 3831,
    OID_REGNAMESPACE = 4089,
    OID_REGROLE = 4096,
    OID_REGCOLLATION = 4191,
    OID_XID8 = 5069,
    OID_ANYCOMPATIBLE = 5077,
    OID_ANYCOMPATIBLEARRAY = 5078,
    OID_ANYCOMPATIBLENONARRAY = 5079,
};

enum { COLLATION_DEFAULT = 100, COLLATION_C = 950, COLLATION_POSIX = 951 };

/* Largest length of a text or bytea value, as PostgreSQL's (1 GB - 1): beyond it 54000. */
#define VALUE_BYTES_MAX 0x3fffffffu

#define DATE_INFINITY INT32_MAX
#define DATE_NEG_INFINITY INT32_MIN
#define TIMESTAMP_INFINITY INT64_MAX
#define TIMESTAMP_NEG_INFINITY INT64_MIN

#endif
