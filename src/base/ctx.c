/*
 * base/ctx.c: contexts and what an interrupt turns into.
 */
#include "base/ctx.h"

typedef struct Interrupt {
    uint32_t bit;
    Status status;
    const char *message; /* NULL = the table's */
} Interrupt;

/* Highest rank first: what ends the engine or session goes before what ends only the statement. */
static const Interrupt INTERRUPTS[] = {
    {INTR_SHUTDOWN, ST_CRASH_SHUTDOWN, NULL},
    {INTR_TERMINATE, ST_ADMIN_SHUTDOWN, NULL},
    {INTR_SNAPSHOT_TOO_OLD, ST_SNAPSHOT_TOO_OLD, NULL},
    {INTR_LOCK_TIMEOUT, ST_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"},
    {INTR_STATEMENT_TIMEOUT, ST_QUERY_CANCELED, "canceling statement due to statement timeout"},
    {INTR_CANCEL, ST_QUERY_CANCELED, NULL},
};

void ctx_init(Ctx *cx, Error *err, Budget *budget, Arena *arena)
{
    ASSERT(err != NULL && budget != NULL);
    cx->err = err;
    cx->budget = budget;
    cx->arena = arena;
    cx->intr = NULL;
    atomic_init(&cx->intr_masked, 0);
    cx->owner = NULL;
    cx->wait_begin = NULL;
    cx->wait_end = NULL;
    cx->poll_hook = NULL;
}

Status ctx_interrupted(Ctx *cx)
{
    if (cx->intr == NULL) {
        return ST_OK;
    }
    /* Relaxed: the bits say that something happened, they publish nothing else. */
    uint32_t pending = atomic_load_explicit(cx->intr, memory_order_relaxed) &
                       ~atomic_load_explicit(&cx->intr_masked, memory_order_relaxed);
    for (size_t i = 0; i < ARRAY_LEN(INTERRUPTS); i++) {
        if (pending & INTERRUPTS[i].bit) {
            const char *message = INTERRUPTS[i].message;
            Status st = INTERRUPTS[i].status;
            return err_set(cx->err, st, "%s", message == NULL ? status_text(st) : message);
        }
    }
    return ST_OK;
}

Status ctx_nomem(Ctx *cx, size_t bytes)
{
    Status st = err_set(cx->err, ST_OUT_OF_MEMORY, NULL);
    err_detail(cx->err, "Failed on request of size %zu in memory budget \"%s\".", bytes, cx->budget->name);
    return st;
}
