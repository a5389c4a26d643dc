/*
 * net/pgwire_read.h: reads the parts of a message body, as PostgreSQL's pqformat.c, with its errors.
 *
 * After a failed read the reader is empty and `status` stays set, so that a message is read through and checked once.
 */
#ifndef RDB_NET_PGWIRE_READ_H
#define RDB_NET_PGWIRE_READ_H

#include "net/pgwire.h"

typedef struct BodyReader {
    const char *p;
    const char *end;
    Status status;
    Error *err;
} BodyReader;

BodyReader body_reader(Str body, Error *err);
uint8_t body_byte(BodyReader *r); /* "no data left in message" */
uint16_t body_u16(BodyReader *r); /* "insufficient data left in message", as the next two */
uint32_t body_u32(BodyReader *r);
Str body_bytes(BodyReader *r, size_t bytes);
Str body_string(BodyReader *r); /* up to a zero byte: "invalid string in message" */
Str body_rest(BodyReader *r);
/* Records an error unless there is one. */
void body_fail(BodyReader *r, Status st, const char *fmt, ...) PRINTF_LIKE(3, 4);
Status body_end(BodyReader *r); /* everything must have been read: "invalid message format" */

#endif
