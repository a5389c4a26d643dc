/*
 * net/pgwire_frame.c: from a stream of bytes to frames.
 *
 *     buf [ handed out | start: read, not handed out | end: free ] cap
 *
 * The buffer is the base size but for a message that does not fit; then it doubles each time the received bytes have
 * filled it, up to that message's size, and shrinks back after it. Moves: bytes are moved to the front only when the
 * buffer is full and messages before them have gone, and when it grows; so each byte is copied a bounded number of
 * times, whatever the size of messages and reads.
 */
#include <string.h>

#include "net/pgwire.h"

enum { LENGTH_BYTES = 4 };

void wire_in_init(WireIn *in, Budget *budget)
{
    memset(in, 0, sizeof *in);
    in->budget = budget;
}

void wire_in_done(WireIn *in)
{
    mem_free(in->budget, in->buf, in->cap);
    in->buf = NULL;
    in->cap = in->start = in->end = 0;
}

void wire_in_check(const WireIn *in)
{
    ASSERT(in->start <= in->end && in->end <= in->cap); /* W1 */
    ASSERT((in->buf == NULL) == (in->cap == 0));
    ASSERT(in->phase == WIRE_MAIN || in->cap <= WIRE_STARTUP_BYTES_MAX); /* W2 */
    ASSERT(in->skipping || in->skip_bytes == 0);
    ASSERT(!in->skipping || in->copy_bytes == 0);
}

void wire_set_phase(WireIn *in, WirePhase phase)
{
    ASSERT(!in->skipping && in->copy_bytes == 0);
    in->phase = phase;
}

size_t wire_pending_bytes(const WireIn *in)
{
    return in->end - in->start;
}

void wire_idle(WireIn *in)
{
    if (in->start == in->end) {
        wire_in_done(in);
    }
}

/* Longest length word of a message type; 0 = no such type. */
static uint32_t length_max(const WireIn *in, uint8_t type)
{
    uint32_t max = 0;
    switch (type) {
    case WIRE_QUERY:
    case WIRE_PARSE:
    case WIRE_BIND:
    case WIRE_FUNCTION_CALL:
    case WIRE_COPY_DATA: max = WIRE_LARGE_BYTES_MAX; break;
    case WIRE_CLOSE:
    case WIRE_COPY_DONE:
    case WIRE_COPY_FAIL:
    case WIRE_DESCRIBE:
    case WIRE_EXECUTE:
    case WIRE_FLUSH:
    case WIRE_SYNC:
    case WIRE_PASSWORD:
    case WIRE_TERMINATE: max = WIRE_SMALL_BYTES_MAX; break;
    default: return 0;
    }
    return in->phase == WIRE_AUTH ? WIRE_AUTH_BYTES_MAX : max;
}

typedef struct Header {
    uint8_t type;
    size_t bytes; /* of the header */
    size_t body_bytes;
} Header;

/* ST_WOULD_BLOCK while the header is not there. */
static Status peek_header(const WireIn *in, Error *err, Header *out)
{
    const char *p = in->buf + in->start;
    bool typed = in->phase != WIRE_STARTUP;
    size_t bytes = LENGTH_BYTES + (typed ? 1 : 0);
    if (in->end - in->start < bytes) {
        return ST_WOULD_BLOCK;
    }
    uint32_t length = load_be32(p + bytes - LENGTH_BYTES);
    if (!typed) {
        if (length < 2 * LENGTH_BYTES || length > WIRE_STARTUP_BYTES_MAX) {
            return err_set(err, ST_PROTOCOL_VIOLATION, "invalid length of startup packet");
        }
        *out = (Header){0, bytes, length - LENGTH_BYTES};
        return ST_OK;
    }
    uint8_t type = (uint8_t)*p;
    uint32_t max = length_max(in, type);
    if (max == 0) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid frontend message type %d", type);
    }
    if (length < LENGTH_BYTES || length > max) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid message length");
    }
    *out = (Header){type, bytes, length - LENGTH_BYTES};
    return ST_OK;
}

/* The size the buffer must reach for the message at `start`; the base size if that is unknown or less. */
static size_t wanted_bytes(const WireIn *in)
{
    Header h;
    if (in->skipping || in->copy_bytes > 0 || peek_header(in, NULL, &h) != ST_OK || h.type == WIRE_COPY_DATA) {
        return WIRE_BASE_BYTES;
    }
    size_t bytes = h.bytes + h.body_bytes;
    return bytes > WIRE_BASE_BYTES ? bytes : WIRE_BASE_BYTES;
}

static void move_to_front(WireIn *in)
{
    if (in->start > 0) {
        memmove(in->buf, in->buf + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
}

/* There is no room for the message at `start`: read over it and report it when its last byte has passed. */
static void start_skipping(WireIn *in)
{
    Header h;
    Status st = peek_header(in, NULL, &h);
    ASSERT(st == ST_OK);
    in->skipping = true;
    in->skipped_type = h.type;
    in->skip_bytes = h.bytes + h.body_bytes - (in->end - in->start);
    in->start = in->end = 0;
}

static MUST_CHECK bool resize(WireIn *in, size_t bytes)
{
    char *p = mem_realloc(in->budget, in->buf, in->cap, bytes);
    if (p == NULL) {
        return false;
    }
    in->buf = p;
    in->cap = bytes;
    return true;
}

/* The buffer is full and nothing before `start` can be dropped. */
static Status grow(WireIn *in, size_t wanted, Error *err)
{
    size_t bytes = in->cap < wanted / 2 ? 2 * in->cap : wanted;
    ASSERT(bytes > in->cap);
    if (resize(in, bytes)) {
        return ST_OK;
    }
    if (in->phase != WIRE_MAIN) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    start_skipping(in);
    return ST_OK;
}

Status wire_space(WireIn *in, Error *err, char **out_p, size_t *out_bytes)
{
    if (in->start == in->end) {
        in->start = in->end = 0;
    }
    size_t wanted = in->buf == NULL ? WIRE_BASE_BYTES : wanted_bytes(in);
    if (in->cap > WIRE_BASE_BYTES && wanted == WIRE_BASE_BYTES && in->end - in->start < WIRE_BASE_BYTES) {
        move_to_front(in);
        bool shrunk = resize(in, WIRE_BASE_BYTES); /* the large message has gone */
        ASSERT(shrunk);
    }
    if (in->buf == NULL && !resize(in, WIRE_BASE_BYTES)) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    if (in->end == in->cap) {
        move_to_front(in);
    }
    if (in->end == in->cap) {
        Status st = grow(in, wanted, err);
        if (st != ST_OK) {
            return st;
        }
    }
    wire_in_check(in);
    *out_p = in->buf + in->end;
    *out_bytes = in->cap - in->end;
    return ST_OK;
}

void wire_filled(WireIn *in, size_t bytes)
{
    ASSERT(bytes <= in->cap - in->end);
    in->end += bytes;
}

/* Hands out what is there of the CopyData in progress. */
static Status next_copy_piece(WireIn *in, WireFrame *out)
{
    size_t n = in->end - in->start;
    n = n < in->copy_bytes ? n : in->copy_bytes;
    if (n == 0) {
        return ST_WOULD_BLOCK;
    }
    in->copy_bytes -= n;
    *out = (WireFrame){WIRE_COPY_DATA, in->copy_bytes > 0, ST_OK, {in->buf + in->start, n}};
    in->start += n;
    return ST_OK;
}

static Status next_skipped(WireIn *in, WireFrame *out)
{
    size_t n = in->end - in->start;
    n = n < in->skip_bytes ? n : in->skip_bytes;
    in->skip_bytes -= n;
    in->start += n;
    if (in->skip_bytes > 0) {
        return ST_WOULD_BLOCK;
    }
    in->skipping = false;
    *out = (WireFrame){in->skipped_type, false, ST_OUT_OF_MEMORY, {"", 0}};
    return ST_OK;
}

Status wire_next(WireIn *in, Error *err, WireFrame *out_frame)
{
    Header h;
    if (in->skipping) {
        return next_skipped(in, out_frame);
    }
    if (in->copy_bytes > 0) {
        return next_copy_piece(in, out_frame);
    }
    if (in->start == in->end) {
        return ST_WOULD_BLOCK;
    }
    Status st = peek_header(in, err, &h);
    if (st != ST_OK) {
        return st;
    }
    if (h.type == WIRE_COPY_DATA && h.body_bytes > 0) {
        in->start += h.bytes;
        in->copy_bytes = h.body_bytes;
        return next_copy_piece(in, out_frame);
    }
    if (in->end - in->start < h.bytes + h.body_bytes) {
        return ST_WOULD_BLOCK;
    }
    *out_frame = (WireFrame){h.type, false, ST_OK, {in->buf + in->start + h.bytes, h.body_bytes}};
    in->start += h.bytes + h.body_bytes;
    wire_in_check(in);
    return ST_OK;
}
