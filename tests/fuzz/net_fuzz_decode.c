/*
 * tests/fuzz/net_fuzz_decode.c: the protocol decoder on arbitrary bytes.
 *
 * The input: one byte for the phase and one for the size of the portions in which the rest arrives. The bytes are fed
 * twice, whole and in portions: both must give the same messages (CopyData: the same bytes). With the top bit of the
 * first byte set the rest is a series of records, type (1 byte), length (1 byte), body, of which the harness makes well
 * framed messages: so that inputs get past the frame.
 *
 * Canary: built with -DFUZZ_CANARY it aborts as soon as a Bind or FunctionCall with a value is accepted; a fuzzer that
 * does not find that within a minute or so is not looking.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/order.h"
#include "net/pgwire.h"

typedef struct Run {
    Budget budget;
    WireIn in;
    Error err;
    uint64_t hash; /* of all that came out */
} Run;

static void take(Run *r, const void *p, size_t bytes)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < bytes; i++) {
        r->hash = mix64(r->hash ^ b[i]);
    }
}

static void take_values(Run *r, WireValues values)
{
    size_t cursor = 0;
    Str v;
    bool null;
    while (wire_value_next(values, &cursor, &v, &null)) {
        take(r, v.p, v.len);
#ifdef FUZZ_CANARY
        ASSERT(values.n == 0);
#endif
    }
}

static void take_start(Run *r, Str body)
{
    WireStart start;
    size_t cursor = 0;
    Str name;
    Str value;
    err_clear(&r->err);
    if (wire_decode_start(body, &r->err, &start) == ST_OK && start.kind == WIRE_START_SESSION) {
        while (wire_start_param(&start, &cursor, &name, &value)) {
            take(r, name.p, name.len);
            take(r, value.p, value.len);
        }
    }
}

static void take_frame(Run *r, const WireFrame *frame)
{
    WireMsg m;
    if (frame->type == 0) {
        take_start(r, frame->body);
        return;
    }
    err_clear(&r->err);
    Status st = wire_decode(frame, &r->err, &m);
    ASSERT((st == ST_OK) == (r->err.status == ST_OK));
    take(r, frame->body.p, frame->body.len);
    if (!frame->more) { /* after the body: pieces of CopyData join */
        take(r, &frame->type, 1);
    }
    if (st == ST_OK && m.type == WIRE_BIND) {
        take_values(r, m.bind.values);
        for (uint32_t i = 0; i < m.bind.values.n; i++) {
            ASSERT(wire_format_at(m.bind.formats, i) <= 1);
        }
    } else if (st == ST_OK && m.type == WIRE_FUNCTION_CALL) {
        take_values(r, m.call.values);
    } else if (st == ST_OK && m.type == WIRE_PASSWORD) {
        Str a;
        Str b;
        bool has;
        Status a_st = wire_decode_sasl_initial(m.password.body, NULL, &a, &has, &b);
        Status b_st = wire_decode_password(m.password.body, NULL, &a);
        (void)a_st;
        (void)b_st;
    }
}

static bool drain(Run *r)
{
    for (;;) {
        WireFrame frame;
        Status st = wire_next(&r->in, NULL, &frame);
        wire_in_check(&r->in);
        if (st != ST_OK) {
            return st == ST_WOULD_BLOCK;
        }
        take_frame(r, &frame);
    }
}

static uint64_t run(const uint8_t *p, size_t bytes, WirePhase phase, size_t portion)
{
    Run r = {0};
    budget_init(&r.budget, "fuzz", NULL, 1 << 20, 0);
    wire_in_init(&r.in, &r.budget);
    wire_set_phase(&r.in, phase);
    bool open = true;
    while (open && bytes > 0) {
        char *room;
        size_t n;
        Status st = wire_space(&r.in, NULL, &room, &n);
        ASSERT(st == ST_OK);
        n = n < portion ? n : portion;
        n = n < bytes ? n : bytes;
        memcpy(room, p, n);
        wire_filled(&r.in, n);
        p += n;
        bytes -= n;
        open = drain(&r);
    }
    wire_in_done(&r.in);
    budget_done(&r.budget);
    return r.hash;
}

/* Records to messages; returns their bytes. */
static size_t frame_records(const uint8_t *input, size_t size, uint8_t *out, size_t out_bytes)
{
    static const char types[] = "BCdcfDEHFPpQSX";
    size_t n = 0;
    while (size >= 2) {
        size_t body = input[1] < size - 2 ? input[1] : size - 2;
        if (n + 5 + body > out_bytes) {
            break;
        }
        out[n] = (uint8_t)types[input[0] % (sizeof types - 1)];
        store_be32(out + n + 1, (uint32_t)body + 4);
        memcpy(out + n + 5, input + 2, body);
        n += 5 + body;
        input += 2 + body;
        size -= 2 + body;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t framed[1 << 16];
    if (size < 2) {
        return 0;
    }
    WirePhase phase = (WirePhase)(input[0] % 3);
    size_t portion = 1u + input[1];
    const uint8_t *bytes = input + 2;
    size -= 2;
    if (input[0] & 0x80) {
        phase = WIRE_MAIN;
        size = frame_records(bytes, size, framed, sizeof framed);
        bytes = framed;
    }
    uint64_t whole = run(bytes, size, phase, SIZE_MAX);
    ASSERT(run(bytes, size, phase, portion) == whole);
    return 0;
}
