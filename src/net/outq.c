/*
 * net/outq.c: chunks and gate ranges of the output queue.
 *
 * Memory: a chunk is freed when its last byte has left, but the one being filled, which is reused when it empties. A
 * connection with nothing to send keeps no chunk.
 */
#include <string.h>

#include "net/outq.h"

struct OutChunk {
    OutChunk *next;
    uint32_t size; /* of data */
    uint32_t used; /* filled up to here */
    uint32_t sent; /* sent up to here */
    char data[];
};

enum { RANGES_MIN = 8 };

void outq_init(OutQueue *q, Budget *budget)
{
    memset(q, 0, sizeof *q);
    q->budget = budget;
}

static size_t chunk_bytes(const OutChunk *c)
{
    return sizeof *c + c->size;
}

static void free_chunk(OutQueue *q, OutChunk *c)
{
    q->held_bytes -= chunk_bytes(c);
    mem_free(q->budget, c, chunk_bytes(c));
}

static void free_chunks(OutQueue *q, OutChunk *from)
{
    while (from != NULL) {
        OutChunk *next = from->next;
        free_chunk(q, from);
        from = next;
    }
}

void outq_done(OutQueue *q)
{
    free_chunks(q, q->head);
    mem_free(q->budget, q->ranges, q->range_cap * sizeof *q->ranges);
    outq_init(q, q->budget);
}

static OutRange *range_at(const OutQueue *q, uint32_t i)
{
    return &q->ranges[(q->range_first + i) & (q->range_cap - 1)];
}

void outq_check(const OutQueue *q)
{
    uint64_t bytes = 0;
    ASSERT(q->consumed <= q->committed && q->committed <= q->end); /* Q1 */
    for (const OutChunk *c = q->head; c != NULL; c = c->next) {
        ASSERT(c->sent <= c->used && c->used <= c->size && (c->next != NULL || c == q->tail));
        bytes += c->used - c->sent;
    }
    ASSERT(q->failed || bytes == q->end - q->consumed);
    for (uint32_t i = 0; i < q->range_count; i++) { /* Q2 */
        const OutRange *r = range_at(q, i);
        ASSERT(r->end > (i == 0 ? q->consumed : range_at(q, i - 1)->end));
        ASSERT(i == 0 || lsn_lt(range_at(q, i - 1)->gate, r->gate));
    }
    ASSERT(q->range_count == 0 ? q->committed == q->consumed : range_at(q, q->range_count - 1)->end == q->committed);
}

static uint32_t next_chunk_size(const OutQueue *q, size_t wanted)
{
    size_t size = q->tail == NULL ? OUTQ_CHUNK_BYTES_MIN : 2 * (size_t)q->tail->size + sizeof(OutChunk);
    size = size < wanted ? wanted : size;
    size = size > OUTQ_CHUNK_BYTES_MAX ? OUTQ_CHUNK_BYTES_MAX : size;
    return (uint32_t)(size < 2 * OUTQ_CHUNK_BYTES_MIN ? OUTQ_CHUNK_BYTES_MIN : size) - (uint32_t)sizeof(OutChunk);
}

/* A new tail, for `wanted` bytes or a part of them. */
static MUST_CHECK bool add_chunk(OutQueue *q, size_t wanted)
{
    uint32_t size = next_chunk_size(q, wanted);
    OutChunk *c = mem_alloc(q->budget, sizeof *c + size);
    if (c == NULL) {
        q->failed = true;
        return false;
    }
    c->next = NULL;
    c->size = size;
    c->used = c->sent = 0;
    q->held_bytes += chunk_bytes(c);
    if (q->tail != NULL) {
        q->tail->next = c;
    } else {
        q->head = c;
    }
    q->tail = c;
    return true;
}

/* Before the first byte of a message: remember where it begins. */
static void mark(OutQueue *q)
{
    if (q->end == q->committed && !q->failed) {
        q->mark_chunk = q->tail;
        q->mark_used = q->tail != NULL ? q->tail->used : 0;
    }
}

void outq_append(OutQueue *q, const void *p, size_t bytes)
{
    const char *from = p;
    mark(q);
    while (bytes > 0 && !q->failed) {
        if ((q->tail == NULL || q->tail->used == q->tail->size) && !add_chunk(q, bytes)) {
            return;
        }
        size_t room = q->tail->size - q->tail->used;
        size_t n = bytes < room ? bytes : room;
        memcpy(q->tail->data + q->tail->used, from, n);
        q->tail->used += (uint32_t)n;
        q->end += n;
        from += n;
        bytes -= n;
    }
}

char *outq_reserve(OutQueue *q, size_t bytes)
{
    ASSERT(bytes <= OUTQ_RESERVE_BYTES_MAX);
    mark(q);
    if (q->failed || ((q->tail == NULL || q->tail->size - q->tail->used < bytes) && !add_chunk(q, bytes))) {
        return NULL;
    }
    char *p = q->tail->data + q->tail->used;
    q->tail->used += (uint32_t)bytes;
    q->end += bytes;
    return p;
}

void outq_trim(OutQueue *q, size_t bytes)
{
    ASSERT(!q->failed && bytes <= q->tail->used - q->tail->sent && bytes <= q->end - q->committed);
    q->tail->used -= (uint32_t)bytes;
    q->end -= bytes;
}

void outq_drop(OutQueue *q)
{
    if (q->end == q->committed && !q->failed) {
        return;
    }
    if (q->mark_chunk == NULL) {
        free_chunks(q, q->head);
        q->head = q->tail = NULL;
    } else {
        free_chunks(q, q->mark_chunk->next);
        q->tail = q->mark_chunk;
        q->tail->next = NULL;
        q->tail->used = q->mark_used;
    }
    q->end = q->committed;
    q->failed = false;
}

static MUST_CHECK bool grow_ranges(OutQueue *q)
{
    uint32_t cap = q->range_cap == 0 ? RANGES_MIN : 2 * q->range_cap;
    OutRange *ranges = mem_alloc(q->budget, cap * sizeof *ranges);
    if (ranges == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < q->range_count; i++) {
        ranges[i] = *range_at(q, i);
    }
    mem_free(q->budget, q->ranges, q->range_cap * sizeof *ranges);
    q->ranges = ranges;
    q->range_cap = cap;
    q->range_first = 0;
    return true;
}

Status outq_commit(OutQueue *q, Lsn gate, Error *err)
{
    if (q->failed) {
        outq_drop(q);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    if (q->end == q->committed) {
        return ST_OK;
    }
    if (q->range_count > 0 && lsn_le(gate, range_at(q, q->range_count - 1)->gate)) {
        range_at(q, q->range_count - 1)->end = q->end; /* a stream leaves in order: the higher gate before it counts */
    } else {
        if (q->range_count == q->range_cap && !grow_ranges(q)) {
            outq_drop(q);
            return err_set(err, ST_OUT_OF_MEMORY, NULL);
        }
        *range_at(q, q->range_count) = (OutRange){q->end, gate};
        q->range_count++;
    }
    q->committed = q->end;
    return ST_OK;
}

/* The first range that is held back; range_count = none. Gates rise, so it is found by halving. */
static uint32_t first_held(const OutQueue *q, Lsn durable)
{
    uint32_t low = 0;
    uint32_t high = q->range_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (lsn_le(range_at(q, mid)->gate, durable)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint64_t outq_ready_bytes(const OutQueue *q, Lsn durable)
{
    uint32_t held = first_held(q, durable);
    return held == 0 ? 0 : range_at(q, held - 1)->end - q->consumed;
}

Lsn outq_next_gate(const OutQueue *q, Lsn durable)
{
    uint32_t held = first_held(q, durable);
    return held == q->range_count ? LSN_NONE : range_at(q, held)->gate;
}

unsigned outq_vectors(const OutQueue *q, Lsn durable, struct iovec *out_iov, unsigned max)
{
    uint64_t left = outq_ready_bytes(q, durable);
    unsigned n = 0;
    for (OutChunk *c = q->head; c != NULL && n < max && left > 0; c = c->next) {
        size_t bytes = c->used - c->sent;
        bytes = bytes < left ? bytes : (size_t)left;
        if (bytes > 0) {
            out_iov[n++] = (struct iovec){c->data + c->sent, bytes};
            left -= bytes;
        }
    }
    return n;
}

static void consume_ranges(OutQueue *q)
{
    while (q->range_count > 0 && range_at(q, 0)->end <= q->consumed) {
        q->range_first = (q->range_first + 1) & (q->range_cap - 1);
        q->range_count--;
    }
}

/* An empty chunk before the tail, or an empty tail in which nothing is being built. */
static bool may_go(const OutQueue *q, const OutChunk *c)
{
    return c->sent == c->used && (c != q->tail || (q->end == q->committed && !q->failed));
}

void outq_consume(OutQueue *q, uint64_t bytes)
{
    ASSERT(bytes <= q->committed - q->consumed);
    q->consumed += bytes;
    consume_ranges(q);
    while (q->head != NULL) {
        OutChunk *c = q->head;
        uint32_t n = c->used - c->sent;
        n = bytes < n ? (uint32_t)bytes : n;
        c->sent += n;
        bytes -= n;
        if (!may_go(q, c)) {
            break;
        }
        if (c == q->mark_chunk) { /* the message in progress begins in the next one: dropping it leaves nothing here */
            q->mark_chunk = NULL;
        }
        q->head = c->next;
        if (q->head == NULL) {
            q->tail = NULL;
        }
        free_chunk(q, c);
    }
}
