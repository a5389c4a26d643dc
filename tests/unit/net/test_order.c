/*
 * What may come when: conversations from the protocol's description, and every message in every state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/order.h"

static Error error;

static OrderAction say(Order *o, char type)
{
    err_clear(&error);
    return order_message(o, (uint8_t)type, &error);
}

static Order ready_order(void)
{
    Order o = order_start();
    assert_int_equal(say(&o, 0), ORDER_HANDLE);
    order_event(&o, ORDER_SESSION);
    assert_int_equal(say(&o, 'p'), ORDER_HANDLE);
    order_event(&o, ORDER_READY);
    return o;
}

static void simple_query(void **state)
{
    (void)state;
    Order o = ready_order();
    assert_int_equal(say(&o, 'Q'), ORDER_HANDLE);
    assert_int_equal(say(&o, 'Q'), ORDER_WAIT);
    order_event(&o, ORDER_ERROR);
    order_event(&o, ORDER_READY);
    assert_int_equal(o.state, ORDER_IDLE);
    assert_int_equal(say(&o, 'X'), ORDER_END);
    assert_int_equal(o.state, ORDER_CLOSED);
}

static void an_error_skips_to_sync_queries_included(void **state)
{
    (void)state;
    Order o = ready_order();
    assert_int_equal(say(&o, 'P'), ORDER_HANDLE);
    assert_int_equal(say(&o, 'B'), ORDER_HANDLE);
    order_event(&o, ORDER_ERROR);
    for (const char *p = "EDHQPFd"; *p; p++) {
        assert_int_equal(say(&o, *p), ORDER_PASS_OVER);
    }
    assert_int_equal(say(&o, 'S'), ORDER_HANDLE);
    assert_int_equal(say(&o, 'P'), ORDER_WAIT);
    order_event(&o, ORDER_READY);
    assert_int_equal(o.state, ORDER_IDLE);
}

static void copy_in_both_protocols(void **state)
{
    (void)state;
    Order o = ready_order();
    say(&o, 'Q');
    order_event(&o, ORDER_COPY_IN);
    assert_int_equal(say(&o, 'd'), ORDER_HANDLE);
    assert_int_equal(say(&o, 'H'), ORDER_PASS_OVER);
    assert_int_equal(say(&o, 'c'), ORDER_HANDLE);
    order_event(&o, ORDER_COPY_END);
    order_event(&o, ORDER_READY);
    say(&o, 'E');
    order_event(&o, ORDER_COPY_IN);
    order_event(&o, ORDER_ERROR);
    assert_int_equal(say(&o, 'd'), ORDER_PASS_OVER); /* sent before the client saw the error */
    assert_int_equal(say(&o, 'S'), ORDER_HANDLE);
    order_event(&o, ORDER_READY);
    say(&o, 'Q');
    order_event(&o, ORDER_COPY_IN);
    assert_int_equal(say(&o, 'Q'), ORDER_VIOLATION);
    assert_string_equal(error.message, "unexpected message type 0x51 during COPY from stdin");
}

static void nothing_before_authentication(void **state)
{
    (void)state;
    Order o = order_start();
    assert_int_equal(say(&o, 'Q'), ORDER_VIOLATION);
    o = order_start();
    say(&o, 0);
    order_event(&o, ORDER_SESSION);
    assert_int_equal(say(&o, 'Q'), ORDER_VIOLATION);
    assert_string_equal(error.message, "expected password response, got message type 81");
    assert_string_equal(error.sqlstate, "08P01");
}

/* Unknown types are violations wherever a message is taken; violations close and have an error. */
static void every_message_in_every_state(void **state)
{
    (void)state;
    for (unsigned s = 0; s < ORDER_STATES; s++) {
        for (unsigned type = 0; type < 256; type++) {
            Order o = {(OrderState)s};
            OrderAction a = say(&o, (char)type);
            assert_int_equal(a == ORDER_VIOLATION, error.status != ST_OK);
            if (a == ORDER_VIOLATION || a == ORDER_END || s == ORDER_CLOSED) {
                assert_int_equal(o.state, ORDER_CLOSED);
            }
            if (a == ORDER_WAIT || a == ORDER_PASS_OVER) {
                assert_int_equal(o.state, s);
            }
            if (a == ORDER_HANDLE && type != 0) {
                assert_non_null(strchr("pQFPBDECHSdcf", (int)type));
            }
        }
        assert_non_null(order_state_name((OrderState)s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_query),
        cmocka_unit_test(an_error_skips_to_sync_queries_included),
        cmocka_unit_test(copy_in_both_protocols),
        cmocka_unit_test(nothing_before_authentication),
        cmocka_unit_test(every_message_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
