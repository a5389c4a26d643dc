/*
 * net/reply.c: see reply.h.
 */
#include <stdio.h>
#include <string.h>

#include "net/pgwire.h"
#include "net/reply.h"

enum { LENGTH_BYTES = 4, COLUMNS_MAX = 65535 };

Reply reply_begin(OutQueue *q, char type)
{
    ASSERT(outq_open_bytes(q) == 0 && !q->failed);
    char *p = outq_reserve(q, 1 + LENGTH_BYTES);
    if (p == NULL) {
        return (Reply){q, NULL};
    }
    *p = type;
    return (Reply){q, p + 1};
}

void reply_u8(Reply *r, uint8_t v)
{
    outq_append(r->q, &v, 1);
}

void reply_u16(Reply *r, uint16_t v)
{
    char b[2];
    store_be16(b, v);
    outq_append(r->q, b, sizeof b);
}

void reply_u32(Reply *r, uint32_t v)
{
    char b[4];
    store_be32(b, v);
    outq_append(r->q, b, sizeof b);
}

void reply_bytes(Reply *r, const void *p, size_t bytes)
{
    outq_append(r->q, p, bytes);
}

void reply_string(Reply *r, Str s)
{
    const char *zero = s.len > 0 ? memchr(s.p, '\0', s.len) : NULL;
    outq_append(r->q, s.p, zero != NULL ? (size_t)(zero - s.p) : s.len);
    reply_u8(r, 0);
}

Status reply_end(Reply *r, Lsn gate, Error *err)
{
    uint64_t bytes = outq_open_bytes(r->q);
    if (!r->q->failed && bytes - 1 > WIRE_LARGE_BYTES_MAX) {
        outq_drop(r->q);
        return err_set(err, ST_PROGRAM_LIMIT_EXCEEDED, "message of %llu bytes is too long for the protocol",
                       (unsigned long long)bytes);
    }
    if (!r->q->failed) {
        store_be32(r->length, (uint32_t)(bytes - 1));
    }
    return outq_commit(r->q, gate, err);
}

void reply_drop(Reply *r)
{
    outq_drop(r->q);
}

Reply reply_row_begin(OutQueue *q, uint16_t columns)
{
    Reply r = reply_begin(q, 'D');
    reply_u16(&r, columns);
    return r;
}

void reply_null(Reply *r)
{
    reply_u32(r, UINT32_MAX);
}

void reply_value(Reply *r, const void *p, size_t bytes)
{
    ASSERT(bytes <= INT32_MAX);
    reply_u32(r, (uint32_t)bytes);
    outq_append(r->q, p, bytes);
}

char *reply_value_room(Reply *r, size_t max)
{
    ASSERT(max <= REPLY_VALUE_ROOM_MAX);
    char *p = outq_reserve(r->q, LENGTH_BYTES + max);
    return p == NULL ? NULL : p + LENGTH_BYTES;
}

void reply_value_done(Reply *r, char *room, size_t max, size_t used)
{
    ASSERT(used <= max);
    store_be32(room - LENGTH_BYTES, (uint32_t)used);
    outq_trim(r->q, max - used);
}

Status reply_auth(OutQueue *q, Lsn gate, ReplyAuth what, Str data, Error *err)
{
    Reply r = reply_begin(q, 'R');
    reply_u32(&r, (uint32_t)what);
    reply_bytes(&r, data.p, data.len);
    return reply_end(&r, gate, err);
}

Status reply_encryption(OutQueue *q, Lsn gate, char answer, Error *err)
{
    outq_append(q, &answer, 1);
    return outq_commit(q, gate, err);
}

Status reply_negotiate(OutQueue *q, Lsn gate, uint32_t protocol, const Str *options, uint32_t n, Error *err)
{
    Reply r = reply_begin(q, 'v');
    /* The documentation says the minor version, PostgreSQL sends and libpq expects the whole. */
    reply_u32(&r, protocol);
    reply_u32(&r, n);
    for (uint32_t i = 0; i < n; i++) {
        reply_string(&r, options[i]);
    }
    return reply_end(&r, gate, err);
}

Status reply_parameter(OutQueue *q, Lsn gate, Str name, Str value, Error *err)
{
    Reply r = reply_begin(q, 'S');
    reply_string(&r, name);
    reply_string(&r, value);
    return reply_end(&r, gate, err);
}

Status reply_key_data(OutQueue *q, Lsn gate, uint32_t pid, Str key, Error *err)
{
    ASSERT(key.len >= 4 && key.len <= WIRE_CANCEL_KEY_BYTES_MAX);
    Reply r = reply_begin(q, 'K');
    reply_u32(&r, pid);
    reply_bytes(&r, key.p, key.len);
    return reply_end(&r, gate, err);
}

Status reply_ready(OutQueue *q, Lsn gate, char transaction_status, Error *err)
{
    ASSERT(transaction_status == 'I' || transaction_status == 'T' || transaction_status == 'E');
    Reply r = reply_begin(q, 'Z');
    reply_u8(&r, (uint8_t)transaction_status);
    return reply_end(&r, gate, err);
}

Status reply_row_description(OutQueue *q, Lsn gate, const ReplyColumn *columns, uint32_t n, Error *err)
{
    ASSERT(n <= COLUMNS_MAX);
    Reply r = reply_begin(q, 'T');
    reply_u16(&r, (uint16_t)n);
    for (uint32_t i = 0; i < n; i++) {
        const ReplyColumn *c = &columns[i];
        reply_string(&r, c->name);
        reply_u32(&r, c->table_oid);
        reply_u16(&r, c->attnum);
        reply_u32(&r, c->type_oid);
        reply_u16(&r, (uint16_t)c->type_bytes);
        reply_u32(&r, (uint32_t)c->typmod);
        reply_u16(&r, c->format);
    }
    return reply_end(&r, gate, err);
}

Status reply_parameter_description(OutQueue *q, Lsn gate, const uint32_t *type_oids, uint32_t n, Error *err)
{
    ASSERT(n <= COLUMNS_MAX);
    Reply r = reply_begin(q, 't');
    reply_u16(&r, (uint16_t)n);
    for (uint32_t i = 0; i < n; i++) {
        reply_u32(&r, type_oids[i]);
    }
    return reply_end(&r, gate, err);
}

Status reply_command_complete(OutQueue *q, Lsn gate, Str tag, Error *err)
{
    Reply r = reply_begin(q, 'C');
    reply_string(&r, tag);
    return reply_end(&r, gate, err);
}

static void add_field(Reply *r, char code, const char *text)
{
    if (text != NULL) {
        reply_u8(r, (uint8_t)code);
        reply_string(r, str_from(text));
    }
}

static void add_fields(Reply *r, const char *severity, const Error *e)
{
    char position[16];
    add_field(r, 'S', severity);
    add_field(r, 'V', severity); /* the same, never translated */
    add_field(r, 'C', e->sqlstate);
    add_field(r, 'M', e->message != NULL ? e->message : "");
    add_field(r, 'D', e->detail);
    add_field(r, 'H', e->hint);
    if (e->position > 0) {
        snprintf(position, sizeof position, "%d", e->position);
        add_field(r, 'P', position);
    }
    add_field(r, 'W', e->context);
    add_field(r, 's', e->schema_name);
    add_field(r, 't', e->table_name);
    add_field(r, 'c', e->column_name);
    add_field(r, 'd', e->datatype_name);
    add_field(r, 'n', e->constraint_name);
    add_field(r, 'R', e->routine);
    reply_u8(r, 0);
}

Status reply_problem(OutQueue *q, Lsn gate, ReplySeverity severity, const Error *problem, Error *err)
{
    static const char *const names[] = {"NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"};
    Reply r = reply_begin(q, severity < REPLY_ERROR ? 'N' : 'E');
    add_fields(&r, names[severity], problem);
    return reply_end(&r, gate, err);
}

/* A message without a body. */
static Status reply_bare(OutQueue *q, Lsn gate, char type, Error *err)
{
    Reply r = reply_begin(q, type);
    return reply_end(&r, gate, err);
}

Status reply_parse_complete(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, '1', err);
}

Status reply_bind_complete(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, '2', err);
}

Status reply_close_complete(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, '3', err);
}

Status reply_no_data(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, 'n', err);
}

Status reply_empty_query(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, 'I', err);
}

Status reply_portal_suspended(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, 's', err);
}

Status reply_copy_begin(OutQueue *q, Lsn gate, char direction, uint16_t format, uint32_t columns, Error *err)
{
    ASSERT((direction == 'G' || direction == 'H' || direction == 'W') && columns <= COLUMNS_MAX);
    Reply r = reply_begin(q, direction);
    reply_u8(&r, (uint8_t)format);
    reply_u16(&r, (uint16_t)columns);
    for (uint32_t i = 0; i < columns; i++) {
        reply_u16(&r, format);
    }
    return reply_end(&r, gate, err);
}

Status reply_copy_data(OutQueue *q, Lsn gate, Str data, Error *err)
{
    Reply r = reply_begin(q, 'd');
    reply_bytes(&r, data.p, data.len);
    return reply_end(&r, gate, err);
}

Status reply_copy_done(OutQueue *q, Lsn gate, Error *err)
{
    return reply_bare(q, gate, 'c', err);
}

Status reply_notification(OutQueue *q, Lsn gate, uint32_t pid, Str channel, Str payload, Error *err)
{
    Reply r = reply_begin(q, 'A');
    reply_u32(&r, pid);
    reply_string(&r, channel);
    reply_string(&r, payload);
    return reply_end(&r, gate, err);
}
