/*
 * net/outq.h: the output queue of a connection, whose bytes leave only once the log is durable up to their gate.
 *
 * Key idea (DESIGN.md, "durable LSN"): a reply is written as soon as it is known, with the LSN that must be durable
 * before the client may learn of it, and the thread goes on; the event loop sends what the durable LSN has released.
 * A stream leaves in order, so a byte's gate is the highest gate of all bytes up to it, and the queue keeps
 * one range for each step of that running maximum, not one for each message.
 *
 *     consumed            ready(durable)        committed      end
 *        |  may be sent now     |  waits for the log  |  being built |
 *
 * Bytes are appended to a message in progress and join the queue when it is committed with its gate; until then the
 * message can be dropped as a whole. Memory comes in chunks that are written with writev and freed as they leave.
 *
 * Invariants
 *  Q1  consumed <= committed <= end (positions in the stream since the connection began), and the chunks hold exactly
 *      [consumed, end).
 *  Q2  Ranges have strictly rising gates and strictly rising ends; the last one ends at `committed` (or there is none
 *      and committed == consumed).
 *  Q3  outq_ready_bytes never counts a byte whose gate, or an earlier byte's gate, is above the durable LSN.
 *  (outq_check holds all three.)
 *
 * One thread at a time.
 */
#ifndef RDB_NET_OUTQ_H
#define RDB_NET_OUTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/ids.h"
#include "base/mem.h"
#include "base/status.h"

enum {
    OUTQ_CHUNK_BYTES_MIN = 4 * 1024,
    OUTQ_CHUNK_BYTES_MAX = 64 * 1024,
    OUTQ_RESERVE_BYTES_MAX = 64, /* what outq_reserve gives at most */
};

typedef struct OutChunk OutChunk;

typedef struct OutRange {
    uint64_t end; /* position */
    Lsn gate;
} OutRange;

typedef struct OutQueue {
    Budget *budget;
    OutChunk *head; /* oldest */
    OutChunk *tail;
    OutRange *ranges; /* ring of range_cap, the oldest at range_first */
    uint32_t range_first;
    uint32_t range_count;
    uint32_t range_cap; /* power of two, or 0 */
    bool failed;        /* an append of the message in progress got no memory */
    uint64_t consumed;
    uint64_t committed;
    uint64_t end;
    size_t held_bytes; /* memory charged for chunks */
    /* Where the message in progress began, to drop it. */
    OutChunk *mark_chunk;
    uint32_t mark_used;
} OutQueue;

void outq_init(OutQueue *q, Budget *budget); /* allocates nothing */
void outq_done(OutQueue *q);
void outq_check(const OutQueue *q);

/* Appends to the message in progress. After a failed append the following ones do nothing. */
void outq_append(OutQueue *q, const void *p, size_t bytes);
/*
 * Room for up to OUTQ_RESERVE_BYTES_MAX contiguous bytes, appended as they are; the pointer stays valid until the
 * message is committed, so that a length can be filled in later. NULL = no memory.
 */
char *outq_reserve(OutQueue *q, size_t bytes);
/* Gives back the last `bytes` of what outq_reserve has just given. */
void outq_trim(OutQueue *q, size_t bytes);
/* The message joins the queue. ST_OUT_OF_MEMORY: it could not be built and was dropped; what came before is untouched. */
STATUS outq_commit(OutQueue *q, Lsn gate, Error *err);
void outq_drop(OutQueue *q); /* forget the message in progress */
/* Bytes of the message in progress. */
static inline uint64_t outq_open_bytes(const OutQueue *q)
{
    return q->end - q->committed;
}
/* Bytes committed and not sent. */
static inline uint64_t outq_queued_bytes(const OutQueue *q)
{
    return q->committed - q->consumed;
}

/* How many bytes may be sent now. */
uint64_t outq_ready_bytes(const OutQueue *q, Lsn durable);
/* The gate that the first byte still held back waits for; LSN_NONE when none is. */
Lsn outq_next_gate(const OutQueue *q, Lsn durable);
/* Fills up to `max` vectors with bytes that may be sent now; returns their number. */
unsigned outq_vectors(const OutQueue *q, Lsn durable, struct iovec *out_iov, unsigned max);
/* The first `bytes` of the ready ones were sent. */
void outq_consume(OutQueue *q, uint64_t bytes);

#endif
