/*
 * net/order.h: which frontend message may come when (sections "Message Flow" and "Simple/Extended Query").
 *
 * Key idea: one table [state][kind of message] says what to do with a message and one [state][event] where the session's
 * own steps lead. The session keeps the transaction's status; this keeps the conversation's.
 *
 *                         authenticated + ready
 *     STARTUP --session--> AUTH ------------------> IDLE <----ready---- SYNC
 *        |                                          |  ^                 ^
 *        v                             Q, F         |  | ready           | S
 *     CLOSED <--X or violation--       +------------+  |                 |
 *                                      v            |P B D E C H         |
 *                                    QUERY <--Q,F-- EXTENDED ------------+
 *                                    |   ^          |  |  ^              |
 *                           copy in  v   | end      |  v  | end          |
 *                                 COPY_QUERY        | COPY_EXTENDED      |
 *                                                   v      | error       |
 *                                          error: SKIP <---+ ------S-----+
 *
 * In QUERY and SYNC the server is at work: the next message is not taken before `ready`. SKIP passes over everything up
 * to Sync. Copy messages outside of COPY are passed over: a client that was sending them when the COPY failed could
 * not know.
 *
 * Invariants
 *  O1  A message is given to the session (ORDER_HANDLE) only in a state where the protocol allows it.
 *  O2  The session tells its events only where the table has them (asserted: it is our code).
 *  O3  CLOSED is final.
 */
#ifndef RDB_NET_ORDER_H
#define RDB_NET_ORDER_H

#include <stdint.h>

#include "base/status.h"

typedef enum OrderState {
    ORDER_STARTUP,
    ORDER_AUTH,
    ORDER_IDLE,
    ORDER_QUERY,    /* a Query or FunctionCall is being answered */
    ORDER_EXTENDED, /* after the first extended-protocol message since the last ReadyForQuery */
    ORDER_SKIP,     /* an extended-protocol message failed: up to Sync */
    ORDER_SYNC,     /* a Sync is being answered */
    ORDER_COPY_QUERY,
    ORDER_COPY_EXTENDED,
    ORDER_CLOSED,
} OrderState;
enum { ORDER_STATES = ORDER_CLOSED + 1 };

typedef enum OrderEvent {
    ORDER_SESSION,  /* a StartupMessage was taken: authentication begins */
    ORDER_READY,    /* ReadyForQuery was sent */
    ORDER_ERROR,    /* ErrorResponse was sent (not FATAL) */
    ORDER_COPY_IN,  /* CopyInResponse was sent */
    ORDER_COPY_END, /* the COPY got its CopyDone and goes on */
    ORDER_CLOSE,    /* the connection ends */
} OrderEvent;
enum { ORDER_EVENTS = ORDER_CLOSE + 1 };

typedef enum OrderAction {
    ORDER_HANDLE,    /* give it to the session */
    ORDER_PASS_OVER, /* drop it */
    ORDER_WAIT,      /* not yet: the server is still answering */
    ORDER_END,       /* Terminate: close without a reply */
    ORDER_VIOLATION, /* the error is FATAL: send it and close */
} OrderAction;

typedef struct Order {
    OrderState state;
} Order;

static inline Order order_start(void)
{
    return (Order){ORDER_STARTUP};
}

/*
 * What to do with a message of this type (0 = a start-up packet); moves the state when it is handled. On
 * ORDER_VIOLATION `err` is set as by PostgreSQL: 08P01 "invalid frontend message type %d", "expected password response,
 * got message type %d", "unexpected message type 0x%02X during COPY from stdin"; and the state is CLOSED.
 */
OrderAction order_message(Order *o, uint8_t type, Error *err);
void order_event(Order *o, OrderEvent event);
const char *order_state_name(OrderState state);

#endif
