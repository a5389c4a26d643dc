/*
 * net/order.c: the tables of order.h.
 */
#include "net/order.h"
#include "net/pgwire.h"

typedef enum Kind {
    KIND_START,    /* packet without a type */
    KIND_PASSWORD, /* p */
    KIND_QUERY,    /* Q F */
    KIND_EXTENDED, /* P B D E C */
    KIND_FLUSH,    /* H */
    KIND_SYNC,     /* S */
    KIND_COPY,     /* d */
    KIND_COPY_END, /* c f */
    KIND_END,      /* X */
    KIND_NONE,     /* no such message */
} Kind;
enum { KINDS = KIND_NONE + 1 };

static Kind kind_of(uint8_t type)
{
    switch (type) {
    case 0: return KIND_START;
    case WIRE_PASSWORD: return KIND_PASSWORD;
    case WIRE_QUERY:
    case WIRE_FUNCTION_CALL: return KIND_QUERY;
    case WIRE_PARSE:
    case WIRE_BIND:
    case WIRE_DESCRIBE:
    case WIRE_EXECUTE:
    case WIRE_CLOSE: return KIND_EXTENDED;
    case WIRE_FLUSH: return KIND_FLUSH;
    case WIRE_SYNC: return KIND_SYNC;
    case WIRE_COPY_DATA: return KIND_COPY;
    case WIRE_COPY_DONE:
    case WIRE_COPY_FAIL: return KIND_COPY_END;
    case WIRE_TERMINATE: return KIND_END;
    default: return KIND_NONE;
    }
}

typedef struct Step {
    uint8_t action; /* OrderAction */
    uint8_t next;   /* OrderState */
} Step;

#define DO(state)                                                                                                      \
    {                                                                                                                  \
        ORDER_HANDLE, ORDER_##state                                                                                    \
    }
#define SKIP(state)                                                                                                    \
    {                                                                                                                  \
        ORDER_PASS_OVER, ORDER_##state                                                                                 \
    }
#define WAIT(state)                                                                                                    \
    {                                                                                                                  \
        ORDER_WAIT, ORDER_##state                                                                                      \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        ORDER_END, ORDER_CLOSED                                                                                        \
    }
#define BAD                                                                                                            \
    {                                                                                                                  \
        ORDER_VIOLATION, ORDER_CLOSED                                                                                  \
    }
/* The server is at work: whatever comes waits. */
#define ALL_WAIT(state)                                                                                                \
    {                                                                                                                  \
        WAIT(state), WAIT(state), WAIT(state), WAIT(state), WAIT(state), WAIT(state), WAIT(state), WAIT(state),        \
            WAIT(state), WAIT(state)                                                                                   \
    }
/* Copy messages are taken, Flush and Sync passed over. */
#define COPYING(state)                                                                                                 \
    {                                                                                                                  \
        BAD, BAD, BAD, BAD, SKIP(state), SKIP(state), DO(state), DO(state), END, BAD                                   \
    }

/* clang-format off */
static const Step STEPS[ORDER_STATES][KINDS] = {
    /*                  start        password  query       extended      flush         sync      copy d, then copy c f, X, ? */
    [ORDER_STARTUP]  = {DO(STARTUP), BAD,      BAD,        BAD,          BAD,          BAD,      BAD, BAD, BAD, BAD},
    [ORDER_AUTH]     = {BAD,         DO(AUTH), BAD,        BAD,          BAD,          BAD,      BAD, BAD, END, BAD},
    [ORDER_IDLE]     = {BAD,         BAD,      DO(QUERY),  DO(EXTENDED), DO(EXTENDED), DO(SYNC), SKIP(IDLE), SKIP(IDLE), END, BAD},
    [ORDER_EXTENDED] = {BAD,         BAD,      DO(QUERY),  DO(EXTENDED), DO(EXTENDED), DO(SYNC), SKIP(EXTENDED), SKIP(EXTENDED), END, BAD},
    [ORDER_SKIP]     = {BAD,         BAD,      SKIP(SKIP), SKIP(SKIP),   SKIP(SKIP),   DO(SYNC), SKIP(SKIP), SKIP(SKIP), END, BAD},
    [ORDER_CLOSED]   = {BAD,         BAD,      BAD,        BAD,          BAD,          BAD,      BAD, BAD, BAD, BAD},
    [ORDER_QUERY] = ALL_WAIT(QUERY),
    [ORDER_SYNC] = ALL_WAIT(SYNC),
    [ORDER_COPY_QUERY] = COPYING(COPY_QUERY),
    [ORDER_COPY_EXTENDED] = COPYING(COPY_EXTENDED),
};
/* clang-format on */

enum { NEVER = 0xff };

/* Where the session's events lead. */
/* clang-format off */
static const uint8_t NEXT[ORDER_STATES][ORDER_EVENTS] = {
    /*                        session     ready       error        copy in              copy end        close */
    [ORDER_STARTUP]       = {ORDER_AUTH, NEVER,      NEVER,       NEVER,               NEVER,          ORDER_CLOSED},
    [ORDER_AUTH]          = {NEVER,      ORDER_IDLE, NEVER,       NEVER,               NEVER,          ORDER_CLOSED},
    [ORDER_IDLE]          = {NEVER,      NEVER,      NEVER,       NEVER,               NEVER,          ORDER_CLOSED},
    [ORDER_QUERY]         = {NEVER,      ORDER_IDLE, ORDER_QUERY, ORDER_COPY_QUERY,    NEVER,          ORDER_CLOSED},
    [ORDER_EXTENDED]      = {NEVER,      NEVER,      ORDER_SKIP,  ORDER_COPY_EXTENDED, NEVER,          ORDER_CLOSED},
    [ORDER_SKIP]          = {NEVER,      NEVER,      NEVER,       NEVER,               NEVER,          ORDER_CLOSED},
    [ORDER_SYNC]          = {NEVER,      ORDER_IDLE, ORDER_SYNC,  NEVER,               NEVER,          ORDER_CLOSED},
    [ORDER_COPY_QUERY]    = {NEVER,      NEVER,      ORDER_QUERY, NEVER,               ORDER_QUERY,    ORDER_CLOSED},
    [ORDER_COPY_EXTENDED] = {NEVER,      NEVER,      ORDER_SKIP,  NEVER,               ORDER_EXTENDED, ORDER_CLOSED},
    [ORDER_CLOSED]        = {NEVER,      NEVER,      NEVER,       NEVER,               NEVER,          ORDER_CLOSED},
};
/* clang-format on */

static void set_violation(OrderState state, uint8_t type, Error *err)
{
    if (state == ORDER_AUTH) {
        err_set(err, ST_PROTOCOL_VIOLATION, "expected password response, got message type %d", type);
    } else if (state == ORDER_COPY_QUERY || state == ORDER_COPY_EXTENDED) {
        err_set(err, ST_PROTOCOL_VIOLATION, "unexpected message type 0x%02X during COPY from stdin", type);
    } else {
        err_set(err, ST_PROTOCOL_VIOLATION, "invalid frontend message type %d", type);
    }
}

OrderAction order_message(Order *o, uint8_t type, Error *err)
{
    Step step = STEPS[o->state][kind_of(type)];
    if (step.action == ORDER_VIOLATION) {
        set_violation(o->state, type, err);
    }
    o->state = (OrderState)step.next;
    return (OrderAction)step.action;
}

void order_event(Order *o, OrderEvent event)
{
    uint8_t next = NEXT[o->state][event];
    ASSERT(next != NEVER); /* O2 */
    o->state = (OrderState)next;
}

const char *order_state_name(OrderState state)
{
    static const char *const names[ORDER_STATES] = {"startup", "authentication", "idle", "query", "extended",
                                                    "skip",    "sync",           "copy", "copy",  "closed"};
    return names[state];
}
