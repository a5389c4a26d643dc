/*
 * net/pgwire_read.c: see pgwire_read.h.
 */
#include <stdarg.h>
#include <string.h>

#include "net/pgwire_read.h"

BodyReader body_reader(Str body, Error *err)
{
    return (BodyReader){body.p, body.p + body.len, ST_OK, err};
}

void body_fail(BodyReader *r, Status st, const char *fmt, ...)
{
    if (r->status == ST_OK) {
        va_list ap;
        va_start(ap, fmt);
        r->status = err_setv(r->err, st, fmt, ap);
        va_end(ap);
    }
    r->p = r->end;
}

uint8_t body_byte(BodyReader *r)
{
    if (r->p == r->end) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "no data left in message");
        return 0;
    }
    return (uint8_t)*r->p++;
}

Str body_bytes(BodyReader *r, size_t bytes)
{
    if ((size_t)(r->end - r->p) < bytes) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "insufficient data left in message");
        return (Str){"", 0};
    }
    Str s = {r->p, bytes};
    r->p += bytes;
    return s;
}

uint16_t body_u16(BodyReader *r)
{
    Str s = body_bytes(r, 2);
    return s.len == 2 ? load_be16(s.p) : 0;
}

uint32_t body_u32(BodyReader *r)
{
    Str s = body_bytes(r, 4);
    return s.len == 4 ? load_be32(s.p) : 0;
}

Str body_string(BodyReader *r)
{
    const char *zero = r->p < r->end ? memchr(r->p, '\0', (size_t)(r->end - r->p)) : NULL;
    if (zero == NULL) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "invalid string in message");
        return (Str){"", 0};
    }
    Str s = {r->p, (size_t)(zero - r->p)};
    r->p = zero + 1;
    return s;
}

Str body_rest(BodyReader *r)
{
    return body_bytes(r, (size_t)(r->end - r->p));
}

Status body_end(BodyReader *r)
{
    if (r->status == ST_OK && r->p != r->end) {
        body_fail(r, ST_PROTOCOL_VIOLATION, "invalid message format");
    }
    return r->status;
}
