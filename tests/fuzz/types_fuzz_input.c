/*
 * Every type's text and binary input: no input may crash; what is accepted must be written and read back to an equal value.
 * Byte 0 picks the type, byte 1 text or binary and the typmod; the rest is the input.
 */
#include <stdlib.h>

#include "types/func.h"

static const Oid types[] = {
    OID_BOOL,       OID_CHAR,          OID_INT2,     OID_INT4,      OID_INT8,        OID_FLOAT4,     OID_FLOAT8,
    OID_NUMERIC,    OID_TEXT,          OID_VARCHAR,  OID_BPCHAR,    OID_NAME,        OID_BYTEA,      OID_OID,
    OID_XID,        OID_XID8,          OID_TID,      OID_PG_LSN,    OID_UUID,        OID_INT2VECTOR, OID_OIDVECTOR,
    OID_DATE,       OID_TIME,          OID_TIMETZ,   OID_TIMESTAMP, OID_TIMESTAMPTZ, OID_INTERVAL,   OID_INT4_ARRAY,
    OID_TEXT_ARRAY, OID_NUMERIC_ARRAY, OID_REGCLASS, OID_ACLITEM};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written as text or binary and read again, the value compares equal. */
static void check_again(FnCtx *fx, const ValueType *t, const void *value, bool binary, Arena *arena)
{
    StrBuf sb;
    uint64_t again[2] __attribute__((aligned(16))) = {0, 0};
    strbuf_init(&sb, fx->cx->budget);
    Status st = binary ? type_send(fx, t, value, &sb) : type_out(fx, t, value, &sb);
    if (st == ST_OK && !sb.failed) {
        st = binary ? type_recv(fx, t, strbuf_str(&sb), arena, again) : type_in(fx, t, strbuf_str(&sb), arena, again);
        if (st != ST_OK && st != ST_OUT_OF_MEMORY) {
            abort();
        }
        bool exact = t->oid != OID_CHAR && t->oid != OID_NAME;
        if (st == ST_OK && exact && type_compare(t) != NULL && type_cmp(t, value, again) != 0) {
            abort();
        }
    }
    strbuf_done(&sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Budget budget;
    Arena arena;
    Error err;
    Ctx cx;
    ValueType t;
    uint64_t value[2] __attribute__((aligned(16))) = {0, 0};
    if (size < 2) {
        return 0;
    }
    Oid oid = types[data[0] % ARRAY_LEN(types)];
    bool binary = data[1] & 1;
    bool limited = data[1] & 2;
    int32_t typmod = !limited ? -1 : oid == OID_NUMERIC ? numeric_typmod_make(10, 3) : 5;
    budget_init(&budget, "fuzz", NULL, 64 << 20, 0);
    arena_init(&arena, &budget, 4096);
    err_clear(&err);
    ctx_init(&cx, &err, &budget, &arena);
    FnCtx fx = {.cx = &cx, .arena = &arena, .facts = &session_facts_default};
    if (value_type(oid, oid == OID_INTERVAL ? -1 : typmod, &err, &t) == ST_OK) {
        Str in = {(const char *)data + 2, size - 2};
        Status st = binary ? type_recv(&fx, &t, in, &arena, value) : type_in(&fx, &t, in, &arena, value);
        if (st == ST_OK) {
            check_again(&fx, &t, value, binary, &arena);
        }
    }
    arena_done(&arena);
    budget_done(&budget);
    return 0;
}
