/*
 * net/pgwire.h: the PostgreSQL protocol, version 3, as bytes in: frames, start-up packets, frontend messages. No I/O, no
 * SQL, no session. (PostgreSQL documentation, chapter "Frontend/Backend Protocol"; sections are quoted by name.)
 *
 * Key idea: bytes are read from the socket straight into a WireIn; it hands out frames that point into its buffer, and
 * wire_decode takes a frame apart without copying or allocating. A message is moved only when the buffer must grow for
 * it, and the buffer doubles as the bytes arrive: a length that a client merely claims costs nothing. CopyData is never
 * collected: it comes out in pieces as it arrives.
 *
 * Invariants
 *  W1  start <= end <= cap, and bytes [start, end) are read and not yet handed out (wire_in_check).
 *  W2  Memory of a WireIn <= WIRE_BASE_BYTES, or twice the bytes received of the message in progress, or before
 *      authentication WIRE_STARTUP_BYTES_MAX.
 *  W3  What wire_next and wire_decode return points into the buffer and is valid until the next wire_next, wire_space
 *      or wire_idle.
 *  W4  Feeding the same bytes in other portions gives the same messages (CopyData: the same bytes in other pieces).
 */
#ifndef RDB_NET_PGWIRE_H
#define RDB_NET_PGWIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

enum {
    WIRE_BASE_BYTES = 8 * 1024,           /* buffer of a connection between messages */
    WIRE_STARTUP_BYTES_MAX = 10000,       /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH, with the length word */
    WIRE_AUTH_BYTES_MAX = 4096,           /* a message before authentication */
    WIRE_SMALL_BYTES_MAX = 10000,         /* messages that carry names only */
    WIRE_LARGE_BYTES_MAX = 0x3fffffff - 1 /* all others: 1 GiB - 2, as PostgreSQL's MaxAllocSize - 1 */
};

/* ---- frames ---- */

typedef enum WirePhase {
    WIRE_STARTUP, /* packets without a type byte */
    WIRE_AUTH,    /* small messages only */
    WIRE_MAIN
} WirePhase;

/* One message, or a piece of a CopyData. */
typedef struct WireFrame {
    uint8_t type;  /* 0 for a start-up packet */
    bool more;     /* CopyData only: the message goes on in the next frame */
    Status status; /* ST_OK, or ST_OUT_OF_MEMORY: there was no room, the message was read over and `body` is empty */
    Str body;      /* without type and length word */
} WireFrame;

typedef struct WireIn {
    Budget *budget;
    WirePhase phase;
    char *buf; /* NULL while idle */
    size_t cap;
    size_t start;         /* of what is not handed out */
    size_t end;           /* of what was read */
    size_t skip_bytes;    /* of the message being read over, still to come */
    size_t copy_bytes;    /* of the CopyData in progress, still to be handed out */
    uint8_t skipped_type; /* of the message being read over */
    bool skipping;
} WireIn;

void wire_in_init(WireIn *in, Budget *budget); /* phase WIRE_STARTUP; allocates nothing */
void wire_in_done(WireIn *in);
void wire_in_check(const WireIn *in);
/* Sets what kind of message comes next; to be called between messages. */
void wire_set_phase(WireIn *in, WirePhase phase);
/* Room to read into: *out_p, at least one byte. ST_OUT_OF_MEMORY when there is not even the base buffer. */
STATUS wire_space(WireIn *in, Error *err, char **out_p, size_t *out_bytes);
void wire_filled(WireIn *in, size_t bytes); /* that many were read there */
/*
 * The next frame; ST_WOULD_BLOCK (not an error: nothing recorded) when bytes are missing. Anything else ends the
 * connection: 08P01 "invalid length of startup packet", "invalid message length", "invalid frontend message type %d".
 */
STATUS wire_next(WireIn *in, Error *err, WireFrame *out_frame);
/* Bytes read and not handed out. After SSLRequest it must be 0, or somebody slipped in clear text (CVE-2021-23222). */
size_t wire_pending_bytes(const WireIn *in);
/* Gives the buffer back if it holds nothing; for connections that wait. */
void wire_idle(WireIn *in);
/* What it holds of its budget. */
static inline size_t wire_in_bytes(const WireIn *in)
{
    return in->cap;
}

/* ---- start-up packets ---- */

enum {
    WIRE_PROTOCOL_3_0 = 3 << 16,
    WIRE_PROTOCOL_3_2 = 3 << 16 | 2,
    WIRE_CANCEL_REQUEST = 1234 << 16 | 5678,
    WIRE_SSL_REQUEST = 1234 << 16 | 5679,
    WIRE_GSSENC_REQUEST = 1234 << 16 | 5680,
    WIRE_CANCEL_KEY_BYTES_MAX = 256,
};

typedef enum WireStartKind { WIRE_START_SESSION, WIRE_START_SSL, WIRE_START_GSSENC, WIRE_START_CANCEL } WireStartKind;

typedef struct WireStart {
    WireStartKind kind;
    uint32_t requested;  /* WIRE_START_SESSION: as the client wrote it */
    uint32_t protocol;   /* what will be spoken: WIRE_PROTOCOL_3_0 or _3_2 */
    bool negotiate;      /* NegotiateProtocolVersion must be sent: a newer minor, or unknown _pq_ options */
    uint32_t extensions; /* number of _pq_ options; none is known */
    Str user;            /* never empty */
    Str database;        /* the user's name when not given */
    Str options;         /* command-line options; may be empty */
    Str replication;     /* may be empty */
    Str params;          /* all parameters, for wire_start_param */
    uint32_t cancel_pid; /* WIRE_START_CANCEL */
    Str cancel_key;      /* 4 bytes under 3.0, 1 .. WIRE_CANCEL_KEY_BYTES_MAX under 3.2 */
} WireStart;

/* Takes a start-up packet apart. Statuses: 08P01, 0A000 (major version), 28000 (no user name). */
STATUS wire_decode_start(Str body, Error *err, WireStart *out_start);
/* Walks the parameters, user and database included. *io_cursor starts at 0; false at the end. */
bool wire_start_param(const WireStart *start, size_t *io_cursor, Str *out_name, Str *out_value);
/* Is it a protocol extension (_pq_.*)? */
bool wire_param_is_extension(Str name);

/* ---- frontend messages ---- */

typedef enum WireType {
    WIRE_BIND = 'B',
    WIRE_CLOSE = 'C',
    WIRE_COPY_DATA = 'd',
    WIRE_COPY_DONE = 'c',
    WIRE_COPY_FAIL = 'f',
    WIRE_DESCRIBE = 'D',
    WIRE_EXECUTE = 'E',
    WIRE_FLUSH = 'H',
    WIRE_FUNCTION_CALL = 'F',
    WIRE_PARSE = 'P',
    WIRE_PASSWORD = 'p', /* and the SASL and GSS responses */
    WIRE_QUERY = 'Q',
    WIRE_SYNC = 'S',
    WIRE_TERMINATE = 'X',
} WireType;

/* Arrays as they stand on the wire, big-endian; read them with the accessors below. */
typedef struct WireInt16s {
    const char *p;
    uint32_t n;
} WireInt16s;
typedef struct WireInt32s {
    const char *p;
    uint32_t n;
} WireInt32s;
/* n values, each an int32 length (-1 = NULL) and so many bytes. */
typedef struct WireValues {
    const char *p;
    size_t bytes;
    uint32_t n;
} WireValues;

typedef struct WireMsg {
    WireType type;
    union {
        struct {
            Str text;
        } query;
        struct {
            Str name;
            Str text;
            WireInt32s types; /* type OIDs, 0 = unspecified */
        } parse;
        struct {
            Str portal;
            Str statement;
            WireInt16s formats; /* none = all text, one = for all, else one each */
            WireValues values;
            WireInt16s result_formats;
        } bind;
        struct {
            char what; /* 'S' statement, 'P' portal; describe and close */
            Str name;
        } object;
        struct {
            Str portal;
            uint32_t rows_max; /* 0 = all */
        } execute;
        struct {
            uint32_t function; /* OID */
            WireInt16s formats;
            WireValues values;
            uint16_t result_format;
        } call;
        struct {
            Str bytes;
            bool more;
        } copy_data;
        struct {
            Str message;
        } copy_fail;
        struct {
            Str body;
        } password; /* wire_decode_sasl_initial, wire_decode_password, or the response as it is */
    };
} WireMsg;

/*
 * Takes a frame apart, checking everything: 08P01 with PostgreSQL's texts ("insufficient data left in message",
 * "invalid string in message", "invalid message format", ...), 22023 for a format code other than 0 and 1. Texts are
 * not checked for their encoding: that is the session's. A frame whose status is not ST_OK gives that status.
 */
STATUS wire_decode(const WireFrame *frame, Error *err, WireMsg *out_msg);

static inline unsigned wire_int16_at(WireInt16s a, uint32_t i)
{
    ASSERT(i < a.n);
    return load_be16(a.p + 2 * (size_t)i);
}
static inline uint32_t wire_int32_at(WireInt32s a, uint32_t i)
{
    ASSERT(i < a.n);
    return load_be32(a.p + 4 * (size_t)i);
}
/* The format of the i-th of n values, following the rule "none, one for all, or one each". */
static inline unsigned wire_format_at(WireInt16s formats, uint32_t i)
{
    return formats.n == 0 ? 0 : wire_int16_at(formats, formats.n == 1 ? 0 : i);
}
/* Walks the values: *io_cursor starts at 0; false at the end. A NULL has *out_null true and an empty *out_value. */
bool wire_value_next(WireValues values, size_t *io_cursor, Str *out_value, bool *out_null);

/* SASLInitialResponse: mechanism and first response; *out_has_response false when the client sent none. */
STATUS wire_decode_sasl_initial(Str body, Error *err, Str *out_mechanism, bool *out_has_response, Str *out_response);
/* PasswordMessage: 08P01 "invalid password packet size", 28P01 "empty password returned by client". */
STATUS wire_decode_password(Str body, Error *err, Str *out_password);

#endif
