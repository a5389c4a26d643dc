/*
 * net/pgwire_start.c: start-up packets (section "Start-up", and "StartupMessage" under "Message Formats").
 */
#include <string.h>

#include "net/pgwire_read.h"

enum { MAJOR = 3, MINOR_MAX = 2 };

bool wire_param_is_extension(Str name)
{
    return name.len >= 5 && memcmp(name.p, "_pq_.", 5) == 0;
}

bool wire_start_param(const WireStart *start, size_t *io_cursor, Str *out_name, Str *out_value)
{
    BodyReader r = body_reader((Str){start->params.p + *io_cursor, start->params.len - *io_cursor}, NULL);
    if (r.p == r.end) {
        return false;
    }
    *out_name = body_string(&r);
    *out_value = body_string(&r);
    *io_cursor = (size_t)(r.p - start->params.p);
    return r.status == ST_OK;
}

static Status decode_cancel(BodyReader *r, Error *err, WireStart *start)
{
    start->kind = WIRE_START_CANCEL;
    start->cancel_pid = body_u32(r);
    start->cancel_key = body_rest(r);
    if (start->cancel_key.len < 4 || start->cancel_key.len > WIRE_CANCEL_KEY_BYTES_MAX) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid length of cancel request packet");
    }
    return ST_OK;
}

/* Name and value pairs up to an empty name, which must be the packet's last byte. */
static Status check_layout(BodyReader *r, Error *err, WireStart *start)
{
    start->params.p = r->p;
    while (r->p < r->end && *r->p != '\0') {
        body_string(r);
        body_string(r);
    }
    if (r->status != ST_OK || r->end - r->p != 1) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid startup packet layout: expected terminator as last byte");
    }
    start->params.len = (size_t)(r->p - start->params.p);
    return ST_OK;
}

static void read_params(WireStart *start)
{
    Str name;
    Str value;
    size_t cursor = 0;
    while (wire_start_param(start, &cursor, &name, &value)) {
        if (str_eq(name, STR_LIT("user"))) {
            start->user = value;
        } else if (str_eq(name, STR_LIT("database"))) {
            start->database = value;
        } else if (str_eq(name, STR_LIT("options"))) {
            start->options = value;
        } else if (str_eq(name, STR_LIT("replication"))) {
            start->replication = value;
        } else if (wire_param_is_extension(name)) {
            start->extensions++;
        }
    }
}

static Status decode_session(BodyReader *r, Error *err, WireStart *start)
{
    uint32_t major = start->requested >> 16;
    uint32_t minor = start->requested & 0xffff;
    if (major != MAJOR) {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED,
                       "unsupported frontend protocol %u.%u: server supports %d.0 to %d.%d", major, minor, MAJOR, MAJOR,
                       MINOR_MAX);
    }
    Status st = check_layout(r, err, start);
    if (st != ST_OK) {
        return st;
    }
    read_params(start);
    if (start->user.len == 0) {
        return err_set(err, ST_INVALID_AUTHORIZATION_SPECIFICATION,
                       "no PostgreSQL user name specified in startup packet");
    }
    if (start->database.len == 0) {
        start->database = start->user;
    }
    start->kind = WIRE_START_SESSION;
    /* 3.1 was never used: it and 3.0 are spoken as 3.0. */
    start->protocol = minor >= 2 ? WIRE_PROTOCOL_3_2 : WIRE_PROTOCOL_3_0;
    start->negotiate = start->protocol != start->requested || start->extensions > 0;
    return ST_OK;
}

Status wire_decode_start(Str body, Error *err, WireStart *out_start)
{
    BodyReader r = body_reader(body, err);
    static const Str none = {"", 0};
    WireStart start = {
        .user = none, .database = none, .options = none, .replication = none, .params = none, .cancel_key = none};
    uint32_t code = body_u32(&r);
    Status st = r.status;
    if (st != ST_OK) {
        return st;
    }
    switch (code) {
    case WIRE_CANCEL_REQUEST: st = decode_cancel(&r, err, &start); break;
    case WIRE_SSL_REQUEST:
        start.kind = WIRE_START_SSL;
        st = body_end(&r);
        break;
    case WIRE_GSSENC_REQUEST:
        start.kind = WIRE_START_GSSENC;
        st = body_end(&r);
        break;
    default: start.requested = code; st = decode_session(&r, err, &start);
    }
    if (st == ST_OK) {
        *out_start = start;
    }
    return st;
}
