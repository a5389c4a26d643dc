/*
 * net/reply.h: backend messages, built straight into an output queue (section "Message Formats").
 *
 * Each function appends one whole message with its gate, or nothing (ST_OUT_OF_MEMORY; 54000 for one over 1 GiB), so
 * that an error in the middle of a row never leaves half a message in the stream. Messages with many parts are built
 * between reply_begin and reply_end:
 *
 *     Reply r = reply_begin(q, 'D');
 *     reply_u16(&r, 2);
 *     reply_value(&r, text);
 *     reply_null(&r);
 *     st = reply_end(&r, gate, err);
 *
 * Texts are in the client's encoding already.
 */
#ifndef RDB_NET_REPLY_H
#define RDB_NET_REPLY_H

#include "base/ids.h"
#include "base/status.h"
#include "base/str.h"
#include "net/outq.h"

typedef struct Reply {
    OutQueue *q;
    char *length; /* where the length word goes; NULL when there was no memory */
} Reply;

/* ---- any message ---- */

Reply reply_begin(OutQueue *q, char type);
void reply_u8(Reply *r, uint8_t v);
void reply_u16(Reply *r, uint16_t v);
void reply_u32(Reply *r, uint32_t v);
void reply_bytes(Reply *r, const void *p, size_t bytes);
void reply_string(Reply *r, Str s); /* with a zero byte; ends at a zero byte inside */
/* The message joins the queue, or is dropped. */
STATUS reply_end(Reply *r, Lsn gate, Error *err);
void reply_drop(Reply *r);

/* ---- rows: DataRow and FunctionCallResponse ---- */

Reply reply_row_begin(OutQueue *q, uint16_t columns);
void reply_null(Reply *r);
void reply_value(Reply *r, const void *p, size_t bytes);
/*
 * A short value written in place: room for `max` <= REPLY_VALUE_ROOM_MAX bytes; NULL when there is no memory (then
 * reply_value_done must not be called). reply_value_done says how many were used.
 */
enum { REPLY_VALUE_ROOM_MAX = OUTQ_RESERVE_BYTES_MAX - 4 };
char *reply_value_room(Reply *r, size_t max);
void reply_value_done(Reply *r, char *room, size_t max, size_t used);

/* ---- whole messages ---- */

typedef enum ReplyAuth {
    REPLY_AUTH_OK = 0,
    REPLY_AUTH_CLEARTEXT = 3,
    REPLY_AUTH_SASL = 10,          /* data: the mechanisms, scram_mechanisms */
    REPLY_AUTH_SASL_CONTINUE = 11, /* data: the server's message */
    REPLY_AUTH_SASL_FINAL = 12,
} ReplyAuth;

typedef enum ReplySeverity { REPLY_NOTICE, REPLY_WARNING, REPLY_ERROR, REPLY_FATAL, REPLY_PANIC } ReplySeverity;

typedef struct ReplyColumn {
    Str name;
    uint32_t table_oid; /* 0 = not a table's column */
    uint16_t attnum;
    uint32_t type_oid;
    int16_t type_bytes; /* negative: variable */
    int32_t typmod;     /* -1 = none */
    uint16_t format;
} ReplyColumn;

STATUS reply_auth(OutQueue *q, Lsn gate, ReplyAuth what, Str data, Error *err);
/* One byte without a frame: the answer to SSLRequest and GSSENCRequest. */
STATUS reply_encryption(OutQueue *q, Lsn gate, char answer, Error *err);
STATUS reply_negotiate(OutQueue *q, Lsn gate, uint32_t protocol, const Str *options, uint32_t n, Error *err);
STATUS reply_parameter(OutQueue *q, Lsn gate, Str name, Str value, Error *err);
STATUS reply_key_data(OutQueue *q, Lsn gate, uint32_t pid, Str key, Error *err);
STATUS reply_ready(OutQueue *q, Lsn gate, char transaction_status, Error *err); /* 'I', 'T', 'E' */
STATUS reply_row_description(OutQueue *q, Lsn gate, const ReplyColumn *columns, uint32_t n, Error *err);
STATUS reply_parameter_description(OutQueue *q, Lsn gate, const uint32_t *type_oids, uint32_t n, Error *err);
STATUS reply_command_complete(OutQueue *q, Lsn gate, Str tag, Error *err);
/* `problem` becomes ErrorResponse, or NoticeResponse below REPLY_ERROR. */
STATUS reply_problem(OutQueue *q, Lsn gate, ReplySeverity severity, const Error *problem, Error *err);
STATUS reply_parse_complete(OutQueue *q, Lsn gate, Error *err);
STATUS reply_bind_complete(OutQueue *q, Lsn gate, Error *err);
STATUS reply_close_complete(OutQueue *q, Lsn gate, Error *err);
STATUS reply_no_data(OutQueue *q, Lsn gate, Error *err);
STATUS reply_empty_query(OutQueue *q, Lsn gate, Error *err);
STATUS reply_portal_suspended(OutQueue *q, Lsn gate, Error *err);
/* `direction` 'G' CopyIn, 'H' CopyOut, 'W' CopyBoth; every column has the format. */
STATUS reply_copy_begin(OutQueue *q, Lsn gate, char direction, uint16_t format, uint32_t columns, Error *err);
STATUS reply_copy_data(OutQueue *q, Lsn gate, Str data, Error *err);
STATUS reply_copy_done(OutQueue *q, Lsn gate, Error *err);
STATUS reply_notification(OutQueue *q, Lsn gate, uint32_t pid, Str channel, Str payload, Error *err);

#endif
