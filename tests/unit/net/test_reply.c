/*
 * Backend messages: their bytes, and that an error on the way leaves no half message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/pgwire.h"
#include "net/reply.h"

typedef struct Fixture {
    MemFault fault;
    Budget budget;
    Error err;
    OutQueue q;
} Fixture;

static void begin(Fixture *f)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->budget.fault = &f->fault;
    outq_init(&f->q, &f->budget);
}

static void end(Fixture *f)
{
    outq_done(&f->q);
    budget_done(&f->budget);
}

/* Takes everything out of the queue and compares. */
static void expect(Fixture *f, Status st, const char *bytes, size_t n)
{
    char got[1024];
    size_t at = 0;
    struct iovec iov[8];
    assert_int_equal(st, ST_OK);
    unsigned vectors = outq_vectors(&f->q, LSN_MAX, iov, 8);
    for (unsigned i = 0; i < vectors; i++) {
        assert_true(at + iov[i].iov_len <= sizeof got);
        memcpy(got + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, n);
    assert_memory_equal(got, bytes, n);
    outq_consume(&f->q, at);
    outq_check(&f->q);
}
#define EXPECT(call, bytes) expect(&f, call, bytes, sizeof(bytes) - 1)

static void every_message_has_its_bytes(void **state)
{
    (void)state;
    Fixture f;
    begin(&f);
    OutQueue *q = &f.q;
    const Lsn g = LSN_NONE;
    static const Str options[] = {{"_pq_.x", 6}};
    static const uint32_t oids[] = {23, 25};
    static const ReplyColumn column = {{"id", 2}, 16384, 1, 23, 4, -1, 0};
    EXPECT(reply_auth(q, g, REPLY_AUTH_OK, STR_LIT(""), NULL), "R\0\0\0\x08\0\0\0\0");
    EXPECT(reply_auth(q, g, REPLY_AUTH_SASL, STR_LIT("M\0\0"), NULL), "R\0\0\0\x0b\0\0\0\x0aM\0\0");
    EXPECT(reply_encryption(q, g, 'N', NULL), "N");
    EXPECT(reply_negotiate(q, g, WIRE_PROTOCOL_3_2, options, 1, NULL), "v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0");
    EXPECT(reply_parameter(q, g, STR_LIT("a"), STR_LIT("bc"), NULL), "S\0\0\0\x09"
                                                                     "a\0bc\0");
    EXPECT(reply_key_data(q, g, 7, STR_LIT("1234"), NULL), "K\0\0\0\x0c\0\0\0\x07"
                                                           "1234");
    EXPECT(reply_ready(q, g, 'T', NULL), "Z\0\0\0\5T");
    EXPECT(reply_row_description(q, g, &column, 1, NULL),
           "T\0\0\0\x1b\0\1id\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0");
    EXPECT(reply_parameter_description(q, g, oids, 2, NULL), "t\0\0\0\x0e\0\2\0\0\0\x17\0\0\0\x19");
    EXPECT(reply_command_complete(q, g, STR_LIT("SELECT 1"), NULL), "C\0\0\0\x0dSELECT 1\0");
    EXPECT(reply_parse_complete(q, g, NULL), "1\0\0\0\4");
    EXPECT(reply_bind_complete(q, g, NULL), "2\0\0\0\4");
    EXPECT(reply_close_complete(q, g, NULL), "3\0\0\0\4");
    EXPECT(reply_no_data(q, g, NULL), "n\0\0\0\4");
    EXPECT(reply_empty_query(q, g, NULL), "I\0\0\0\4");
    EXPECT(reply_portal_suspended(q, g, NULL), "s\0\0\0\4");
    EXPECT(reply_copy_begin(q, g, 'G', 0, 2, NULL), "G\0\0\0\x0b\0\0\2\0\0\0\0");
    EXPECT(reply_copy_data(q, g, STR_LIT("x\n"), NULL), "d\0\0\0\6x\n");
    EXPECT(reply_copy_done(q, g, NULL), "c\0\0\0\4");
    EXPECT(reply_notification(q, g, 9, STR_LIT("c"), STR_LIT("p"), NULL), "A\0\0\0\x0c\0\0\0\x09"
                                                                          "c\0p\0");
    end(&f);
}

static void rows_are_built_in_place(void **state)
{
    (void)state;
    Fixture f;
    begin(&f);
    Reply r = reply_row_begin(&f.q, 3);
    reply_null(&r);
    reply_value(&r, "abc", 3);
    char *room = reply_value_room(&r, 12);
    memcpy(room, "42", 2);
    reply_value_done(&r, room, 12, 2);
    EXPECT(reply_end(&r, LSN_NONE, NULL), "D\0\0\0\x17\0\3\xff\xff\xff\xff\0\0\0\3abc\0\0\0\2"
                                          "42");
    end(&f);
}

static void errors_carry_their_fields(void **state)
{
    (void)state;
    Fixture f;
    begin(&f);
    Error e = {0};
    err_set(&e, ST_UNIQUE_VIOLATION, "dup");
    err_detail(&e, "det");
    err_position(&e, 13);
    err_object(&e, "s", "t", NULL, "c");
    err_routine(&e, "fn");
    EXPECT(reply_problem(&f.q, LSN_NONE, REPLY_ERROR, &e, NULL),
           "E\0\0\0\x35SERROR\0VERROR\0C23505\0Mdup\0Ddet\0P13\0ss\0tt\0nc\0Rfn\0\0");
    err_clear(&e);
    err_set(&e, ST_WARNING, "w");
    EXPECT(reply_problem(&f.q, LSN_NONE, REPLY_NOTICE, &e, NULL), "N\0\0\0\x1fSNOTICE\0VNOTICE\0C01000\0Mw\0\0");
    end(&f);
}

/* Whatever allocation fails: whole messages, or nothing of a message. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char big[100000];
    for (int64_t i = 1;; i++) {
        Fixture f;
        begin(&f);
        atomic_store(&f.fault.countdown, i);
        size_t whole = 0;
        for (int j = 0; j < 12; j++) {
            Reply r = reply_row_begin(&f.q, 1);
            reply_value(&r, big, sizeof big);
            Status st = reply_end(&r, (Lsn){(uint64_t)j + 1}, &f.err);
            assert_true(st == ST_OK || st == ST_OUT_OF_MEMORY);
            whole += st == ST_OK ? 1 : 0;
            outq_check(&f.q);
        }
        assert_int_equal(outq_ready_bytes(&f.q, LSN_MAX), whole * (5 + 2 + 4 + sizeof big));
        bool fired = atomic_load(&f.fault.fired) > 0;
        assert_int_equal(whole, fired ? 11 : 12);
        end(&f);
        if (!fired) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_its_bytes),
        cmocka_unit_test(rows_are_built_in_place),
        cmocka_unit_test(errors_carry_their_fields),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
