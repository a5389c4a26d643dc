/* The status table and the error object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/ctx.h"
#include "base/status.h"
#include "base/str.h"

static void every_status_has_a_name_a_text_and_a_sqlstate(void **state)
{
    (void)state;
    for (int st = 0; st < STATUS_COUNT; st++) {
        assert_memory_equal(status_name((Status)st), "ST_", 3);
        assert_true(strlen(status_text((Status)st)) > 0);
        assert_int_equal(strlen(status_sqlstate((Status)st)), 5);
        for (const char *c = status_sqlstate((Status)st); *c != 0; c++) {
            assert_true((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z'));
        }
    }
}

static void only_internal_outcomes_share_a_sqlstate(void **state)
{
    (void)state;
    for (int a = 0; a < STATUS_COUNT; a++) {
        for (int b = a + 1; b < STATUS_COUNT; b++) {
            if (strcmp(status_sqlstate((Status)a), status_sqlstate((Status)b)) == 0) {
                assert_string_equal(status_sqlstate((Status)a), "XX000");
            }
        }
    }
}

static void well_known_codes_are_right(void **state)
{
    (void)state;
    assert_string_equal(status_sqlstate(ST_SYNTAX_ERROR), "42601");
    assert_string_equal(status_sqlstate(ST_DIVISION_BY_ZERO), "22012");
    assert_string_equal(status_sqlstate(ST_UNDEFINED_TABLE), "42P01");
    assert_string_equal(status_sqlstate(ST_STRING_DATA_RIGHT_TRUNCATION), "22001");
    assert_string_equal(status_sqlstate(ST_WARNING_STRING_DATA_RIGHT_TRUNCATION), "01004");
    assert_string_equal(status_sqlstate(ST_EXTERNAL_ROUTINE_NULL_VALUE_NOT_ALLOWED), "39004");
    assert_string_equal(status_sqlstate(ST_SNAPSHOT_TOO_OLD), "72000");
}

static void an_error_keeps_what_is_set(void **state)
{
    (void)state;
    Error err;
    err_clear(&err);
    assert_int_equal(err_set(&err, ST_UNIQUE_VIOLATION, "duplicate key value violates \"%s\"", "t_pkey"),
                     ST_UNIQUE_VIOLATION);
    err_detail(&err, "Key (%s)=(%d) already exists.", "a", 1);
    err_hint(&err, "Try %d.", 2);
    err_context(&err, "line %d", 3);
    err_position(&err, 7);
    err_object(&err, "public", "t", NULL, "t_pkey");
    err_datatype(&err, "pg_catalog", "int4");
    err_routine(&err, "_bt_check_unique");
    assert_string_equal(err.sqlstate, "23505");
    assert_string_equal(err.message, "duplicate key value violates \"t_pkey\"");
    assert_string_equal(err.detail, "Key (a)=(1) already exists.");
    assert_string_equal(err.hint, "Try 2.");
    assert_string_equal(err.context, "line 3");
    assert_int_equal(err.position, 7);
    assert_string_equal(err.schema_name, "public"); /* the first stays */
    assert_null(err.column_name);
    assert_string_equal(err.datatype_name, "int4");
    assert_string_equal(err.routine, "_bt_check_unique");
}

static void the_first_error_wins_and_later_details_are_not_its(void **state)
{
    (void)state;
    Error err;
    err_clear(&err);
    err_set(&err, ST_DISK_FULL, NULL);
    assert_int_equal(err_set(&err, ST_IO_ERROR, "while cleaning up"), ST_IO_ERROR);
    err_detail(&err, "of the clean-up");
    err_context(&err, "outer");
    assert_int_equal(err.status, ST_DISK_FULL);
    assert_string_equal(err.message, status_text(ST_DISK_FULL));
    assert_null(err.detail);
    assert_string_equal(err.context, "outer");
}

static void no_error_object_is_no_problem(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ST_INTERNAL, "x"), ST_INTERNAL);
    err_detail(NULL, "x");
    err_object(NULL, "x", NULL, NULL, NULL);
    Error err;
    err_clear(&err);
    err_detail(&err, "there is no error to detail");
    assert_null(err.detail);
}

static void a_copy_stands_on_its_own(void **state)
{
    (void)state;
    Error a;
    Error b;
    err_clear(&a);
    err_set(&a, ST_INTERNAL, "message %d", 1);
    err_detail(&a, "detail %d", 2);
    err_copy(&b, &a);
    memset(&a, 'x', sizeof a);
    assert_string_equal(b.message, "message 1");
    assert_string_equal(b.detail, "detail 2");
    assert_null(b.hint);
    err_hint(&b, "more");
    assert_string_equal(b.hint, "more");
}

static void long_texts_are_cut_at_characters_and_leave_room_for_names(void **state)
{
    (void)state;
    enum { LONG = 10000 };
    static char text[LONG + 1];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 <= LONG; i += 3) {
            memcpy(text + i, "\xe2\x82\xac", 3); /* the euro sign */
        }
        text[LONG - 4] = 0;
        Error err;
        err_clear(&err);
        err_set(&err, ST_SYNTAX_ERROR, "%s", text);
        err_detail(&err, "%s", text);
        err_hint(&err, "%s", text);
        err_object(&err, "schema", "table", "column", "constraint");
        err_routine(&err, "routine");
        assert_true(strlen(err.message) > 1900);
        assert_true(strlen(err.detail) > 500);
        assert_true(utf8_valid(err.message, strlen(err.message), NULL));
        assert_true(utf8_valid(err.detail, strlen(err.detail), NULL));
        assert_string_equal(err.constraint_name, "constraint");
        assert_string_equal(err.routine, "routine");
        assert_true(err.used <= ERROR_TEXT_BYTES);
    }
}

static void the_interrupt_of_the_highest_rank_decides(void **state)
{
    (void)state;
    Error err;
    Budget b;
    budget_init(&b, "test", NULL, 0, 0);
    Ctx cx;
    _Atomic uint32_t intr = 0;
    err_clear(&err);
    ctx_init(&cx, &err, &b, NULL);
    assert_int_equal(ctx_poll(&cx), ST_OK);
    cx.intr = &intr;
    assert_int_equal(ctx_poll(&cx), ST_OK);

    intr = INTR_CANCEL | INTR_STATEMENT_TIMEOUT;
    assert_int_equal(ctx_poll(&cx), ST_QUERY_CANCELED);
    assert_string_equal(err.message, "canceling statement due to statement timeout");
    err_clear(&err);
    intr |= INTR_TERMINATE;
    assert_int_equal(ctx_poll(&cx), ST_ADMIN_SHUTDOWN);
    err_clear(&err);
    cx.intr_masked = UINT32_MAX;
    assert_int_equal(ctx_poll(&cx), ST_OK);
    cx.intr_masked = ~(uint32_t)INTR_LOCK_TIMEOUT;
    intr |= INTR_LOCK_TIMEOUT;
    assert_int_equal(ctx_poll(&cx), ST_LOCK_NOT_AVAILABLE);
    assert_string_equal(err.sqlstate, "55P03");
    budget_done(&b);
}

static void out_of_memory_names_the_budget(void **state)
{
    (void)state;
    Error err;
    Budget b;
    Ctx cx;
    err_clear(&err);
    budget_init(&b, "sort", NULL, 0, 0);
    ctx_init(&cx, &err, &b, NULL);
    assert_int_equal(ctx_nomem(&cx, 4096), ST_OUT_OF_MEMORY);
    assert_string_equal(err.sqlstate, "53200");
    assert_string_equal(err.message, "out of memory");
    assert_string_equal(err.detail, "Failed on request of size 4096 in memory budget \"sort\".");
    budget_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_a_text_and_a_sqlstate),
        cmocka_unit_test(only_internal_outcomes_share_a_sqlstate),
        cmocka_unit_test(well_known_codes_are_right),
        cmocka_unit_test(an_error_keeps_what_is_set),
        cmocka_unit_test(the_first_error_wins_and_later_details_are_not_its),
        cmocka_unit_test(no_error_object_is_no_problem),
        cmocka_unit_test(a_copy_stands_on_its_own),
        cmocka_unit_test(long_texts_are_cut_at_characters_and_leave_room_for_names),
        cmocka_unit_test(the_interrupt_of_the_highest_rank_decides),
        cmocka_unit_test(out_of_memory_names_the_budget),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
