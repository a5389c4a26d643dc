/*
 * auth/scram_message.c: attributes of SCRAM messages (RFC 5802, section 7), refused in PostgreSQL's words.
 */
#include <stdarg.h>
#include <stdio.h>

#include "auth/auth_int.h"

Status scram_malformed(Error *err, const char *detail_fmt, ...)
{
    char detail[256];
    va_list ap;
    va_start(ap, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, ap);
    va_end(ap);
    err_set(err, ST_PROTOCOL_VIOLATION, "malformed SCRAM message");
    err_detail(err, "%s", detail);
    return ST_PROTOCOL_VIOLATION;
}

const char *scram_char_name(const ScramReader *r, char buf[5])
{
    unsigned char c = r->p < r->end ? (unsigned char)*r->p : 0;
    if (c >= 0x21 && c <= 0x7e) {
        snprintf(buf, 5, "'%c'", c);
    } else {
        snprintf(buf, 5, "0x%02x", c);
    }
    return buf;
}

bool scram_printable(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',') {
            return false;
        }
    }
    return s.len > 0;
}

static bool at(const ScramReader *r, char c)
{
    return r->p < r->end && *r->p == c;
}

/* After '=': up to the next comma, which is taken too. */
static Str read_value(ScramReader *r)
{
    Str value = {r->p, 0};
    while (r->p < r->end && *r->p != ',') {
        r->p++;
    }
    value.len = (size_t)(r->p - value.p);
    if (r->p < r->end) {
        r->p++;
    }
    return value;
}

Status scram_read_attr(ScramReader *r, char attr, Error *err, Str *out_value)
{
    char name[5];
    if (!at(r, attr)) {
        return scram_malformed(err, "Expected attribute \"%c\" but found \"%s\".", attr, scram_char_name(r, name));
    }
    r->p++;
    if (!at(r, '=')) {
        return scram_malformed(err, "Expected character \"=\" for attribute \"%c\".", attr);
    }
    r->p++;
    *out_value = read_value(r);
    return ST_OK;
}

Status scram_read_any_attr(ScramReader *r, Error *err, char *out_attr, Str *out_value)
{
    char name[5];
    if (r->p == r->end) {
        return scram_malformed(err, "Attribute expected, but found end of string.");
    }
    char c = *r->p;
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) {
        return scram_malformed(err, "Attribute expected, but found invalid character \"%s\".",
                               scram_char_name(r, name));
    }
    r->p++;
    if (!at(r, '=')) {
        return scram_malformed(err, "Expected character \"=\" for attribute \"%c\".", c);
    }
    r->p++;
    *out_attr = c;
    *out_value = read_value(r);
    return ST_OK;
}
