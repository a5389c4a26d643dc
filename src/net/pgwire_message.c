/*
 * net/pgwire_message.c: frontend messages, taken apart and checked (section "Message Formats").
 *
 * Everything is checked here once, so that the accessors of pgwire.h can walk the arrays without looking again.
 */
#include <string.h>

#include "net/pgwire_read.h"

static WireInt16s read_formats(BodyReader *r)
{
    uint32_t n = body_u16(r);
    Str s = body_bytes(r, 2 * (size_t)n);
    WireInt16s formats = {s.p, r->status == ST_OK ? n : 0};
    for (uint32_t i = 0; i < formats.n; i++) {
        unsigned format = wire_int16_at(formats, i);
        if (format > 1) {
            body_fail(r, ST_INVALID_PARAMETER_VALUE, "unsupported format code: %d", (int)(int16_t)format);
            return (WireInt16s){"", 0};
        }
    }
    return formats;
}

static WireValues read_values(BodyReader *r)
{
    uint32_t n = body_u16(r);
    const char *from = r->p;
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        uint32_t bytes = body_u32(r);
        if (bytes != UINT32_MAX) { /* -1: NULL. Other negative lengths are more than any message has left. */
            body_bytes(r, bytes);
        }
    }
    return r->status == ST_OK ? (WireValues){from, (size_t)(r->p - from), n} : (WireValues){"", 0, 0};
}

bool wire_value_next(WireValues values, size_t *io_cursor, Str *out_value, bool *out_null)
{
    if (*io_cursor >= values.bytes) {
        return false;
    }
    const char *p = values.p + *io_cursor;
    uint32_t bytes = load_be32(p);
    *out_null = bytes == UINT32_MAX;
    *out_value = (Str){p + 4, *out_null ? 0 : bytes};
    *io_cursor += 4 + out_value->len;
    ASSERT(*io_cursor <= values.bytes);
    return true;
}

static void decode_parse(BodyReader *r, WireMsg *m)
{
    m->parse.name = body_string(r);
    m->parse.text = body_string(r);
    uint32_t n = body_u16(r);
    Str s = body_bytes(r, 4 * (size_t)n);
    m->parse.types = (WireInt32s){s.p, r->status == ST_OK ? n : 0};
}

static bool counts_fit(const BodyReader *r, uint32_t formats, uint32_t values)
{
    return r->status != ST_OK || formats <= 1 || formats == values;
}

static void decode_bind(BodyReader *r, WireMsg *m)
{
    m->bind.portal = body_string(r);
    m->bind.statement = body_string(r);
    m->bind.formats = read_formats(r);
    m->bind.values = read_values(r);
    if (!counts_fit(r, m->bind.formats.n, m->bind.values.n)) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "bind message has %u parameter formats but %u parameters",
                  m->bind.formats.n, m->bind.values.n);
    }
    m->bind.result_formats = read_formats(r);
}

static void decode_object(BodyReader *r, WireMsg *m)
{
    uint8_t what = body_byte(r);
    m->object.what = (char)what;
    m->object.name = body_string(r);
    if (what != 'S' && what != 'P') {
        body_fail(r, ST_PROTOCOL_VIOLATION, "invalid %s message subtype %d",
                  m->type == WIRE_CLOSE ? "CLOSE" : "DESCRIBE", what);
    }
}

static void decode_execute(BodyReader *r, WireMsg *m)
{
    m->execute.portal = body_string(r);
    uint32_t rows = body_u32(r);
    m->execute.rows_max = rows > INT32_MAX ? 0 : rows; /* PostgreSQL takes a negative one as no limit */
}

static void decode_call(BodyReader *r, WireMsg *m)
{
    m->call.function = body_u32(r);
    m->call.formats = read_formats(r);
    m->call.values = read_values(r);
    if (!counts_fit(r, m->call.formats.n, m->call.values.n)) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "function call message contains %u argument formats but %u arguments",
                  m->call.formats.n, m->call.values.n);
    }
    m->call.result_format = body_u16(r);
    if (m->call.result_format > 1) {
        body_fail(r, ST_INVALID_PARAMETER_VALUE, "unsupported format code: %d", (int)(int16_t)m->call.result_format);
    }
}

static void decode_body(BodyReader *r, const WireFrame *frame, WireMsg *m)
{
    switch (m->type) {
    case WIRE_QUERY: m->query.text = body_string(r); break;
    case WIRE_PARSE: decode_parse(r, m); break;
    case WIRE_BIND: decode_bind(r, m); break;
    case WIRE_CLOSE:
    case WIRE_DESCRIBE: decode_object(r, m); break;
    case WIRE_EXECUTE: decode_execute(r, m); break;
    case WIRE_FUNCTION_CALL: decode_call(r, m); break;
    case WIRE_COPY_DATA:
        m->copy_data.bytes = body_rest(r);
        m->copy_data.more = frame->more;
        break;
    case WIRE_COPY_FAIL: m->copy_fail.message = body_string(r); break;
    case WIRE_PASSWORD: m->password.body = body_rest(r); break;
    case WIRE_COPY_DONE:
    case WIRE_FLUSH:
    case WIRE_SYNC:
    case WIRE_TERMINATE: break;
    default: body_fail(r, ST_PROTOCOL_VIOLATION, "invalid frontend message type %d", (int)m->type);
    }
}

Status wire_decode(const WireFrame *frame, Error *err, WireMsg *out_msg)
{
    if (frame->status != ST_OK) {
        return err_set(err, frame->status, NULL);
    }
    BodyReader r = body_reader(frame->body, err);
    WireMsg m = {.type = (WireType)frame->type};
    decode_body(&r, frame, &m);
    Status st = body_end(&r);
    if (st == ST_OK) {
        *out_msg = m;
    }
    return st;
}

Status wire_decode_sasl_initial(Str body, Error *err, Str *out_mechanism, bool *out_has_response, Str *out_response)
{
    BodyReader r = body_reader(body, err);
    Str mechanism = body_string(&r);
    uint32_t bytes = body_u32(&r);
    bool has = bytes != UINT32_MAX;
    Str response = body_bytes(&r, has ? bytes : 0);
    Status st = body_end(&r);
    if (st == ST_OK) {
        *out_mechanism = mechanism;
        *out_has_response = has;
        *out_response = response;
    }
    return st;
}

Status wire_decode_password(Str body, Error *err, Str *out_password)
{
    const char *zero = body.len > 0 ? memchr(body.p, '\0', body.len) : NULL;
    if (zero == NULL || zero != body.p + body.len - 1) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid password packet size");
    }
    if (body.len == 1) {
        return err_set(err, ST_INVALID_PASSWORD, "empty password returned by client");
    }
    *out_password = (Str){body.p, body.len - 1};
    return ST_OK;
}
