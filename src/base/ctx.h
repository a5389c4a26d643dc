/*
 * base/ctx.h: what a call chain carries down through the layers.
 *
 * A Ctx belongs to one thread at a time: the thread that runs a statement or a background job. It names where errors
 * go, what memory is charged to, how the work is interrupted, and what to do around a wait (the server gives up its
 * run token there). It is passed explicitly as the first parameter.
 */
#ifndef RDB_BASE_CTX_H
#define RDB_BASE_CTX_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"

/* Reasons to stop, a bit set; the highest-ranking one decides the error. Set from other threads. */
enum {
    INTR_CANCEL = 1u << 0,            /* 57014 canceling statement due to user request */
    INTR_STATEMENT_TIMEOUT = 1u << 1, /* 57014 canceling statement due to statement timeout */
    INTR_LOCK_TIMEOUT = 1u << 2,      /* 55P03 canceling statement due to lock timeout */
    INTR_TERMINATE = 1u << 3,         /* 57P01 terminating connection due to administrator command */
    INTR_SNAPSHOT_TOO_OLD = 1u << 4,  /* 72000 snapshot too old */
    INTR_SHUTDOWN = 1u << 5,          /* engine stopped: 57P02 */
};

typedef struct Ctx {
    Error *err;                     /* never NULL */
    Budget *budget;                 /* never NULL */
    Arena *arena;                   /* scratch that lives as long as the statement or job; may be NULL below exec */
    const _Atomic uint32_t *intr;   /* interrupt bits; NULL = cannot be interrupted */
    _Atomic uint32_t intr_masked;   /* bits ignored for now (after the commit record was appended: all) */
    void *owner;                    /* of the hooks below; the session or worker */
    void (*wait_begin)(void *owner); /* called before a blocking wait with no latch held; NULL = nothing */
    void (*wait_end)(void *owner);
    void (*poll_hook)(void *owner); /* called by ctx_poll every time, for the 1 ms hand-over; NULL = nothing */
} Ctx;

/* Fills a Ctx that cannot be interrupted and does nothing around waits. */
void ctx_init(Ctx *cx, Error *err, Budget *budget, Arena *arena);

STATUS ctx_interrupted(Ctx *cx); /* slow path of ctx_poll: sets the error that belongs to the pending bits */

/* To be called once per chunk, per page and in every wait. */
MUST_CHECK static inline Status ctx_poll(Ctx *cx)
{
    if (UNLIKELY(cx->poll_hook != NULL)) {
        cx->poll_hook(cx->owner);
    }
    /* Relaxed: an interrupt is advisory, the next poll sees it. */
    if (UNLIKELY(cx->intr != NULL && atomic_load_explicit(cx->intr, memory_order_relaxed) != 0)) {
        return ctx_interrupted(cx);
    }
    return ST_OK;
}

static inline void ctx_wait_begin(Ctx *cx)
{
    if (cx->wait_begin != NULL) {
        cx->wait_begin(cx->owner);
    }
}
static inline void ctx_wait_end(Ctx *cx)
{
    if (cx->wait_end != NULL) {
        cx->wait_end(cx->owner);
    }
}

/* Shorthand: record 53200 "out of memory" with a detail naming the bytes and the budget; returns ST_OUT_OF_MEMORY. */
Status ctx_nomem(Ctx *cx, size_t bytes);

#endif
