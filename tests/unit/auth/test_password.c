/*
 * Password records: made, parsed strictly, verified.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/password.h"

#define SCRAM                                                                                                          \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                        \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define ARGON "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQxMjM$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

static void a_made_record_verifies_its_password_only(void **state)
{
    (void)state;
    static const char *const passwords[] = {"pencil", "p\xc3\xa4ss", "\xff\xfe", "\x01", "a b", ""};
    Budget budget;
    Error err = {0};
    budget_init(&budget, "test", NULL, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        StrBuf out;
        PasswordRecord record;
        strbuf_init(&out, &budget);
        assert_int_equal(password_make(str_from(passwords[i]), 7, &budget, &out, &err), ST_OK);
        assert_int_equal(password_parse(strbuf_str(&out), &err, &record), ST_OK);
        assert_true(record.has_scram && record.scram.iterations == 7 && record.argon2id.len == 0);
        for (size_t j = 0; j < ARRAY_LEN(passwords); j++) {
            bool equal;
            assert_int_equal(password_verify(&record, str_from(passwords[j]), &budget, &err, &equal), ST_OK);
            assert_int_equal(equal, i == j);
        }
        strbuf_done(&out);
    }
    budget_done(&budget);
}

/* The verifier of RFC 7677's example: user "user", password "pencil". */
static void a_record_is_taken_as_it_is(void **state)
{
    (void)state;
    static const char *const records[] = {SCRAM, SCRAM " " ARGON, ARGON};
    Budget budget;
    Error err = {0};
    budget_init(&budget, "test", NULL, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        StrBuf out;
        PasswordRecord record;
        strbuf_init(&out, &budget);
        assert_int_equal(password_make(str_from(records[i]), 4096, &budget, &out, &err), ST_OK);
        assert_string_equal(out.p, records[i]);
        assert_int_equal(password_parse(strbuf_str(&out), &err, &record), ST_OK);
        assert_int_equal(record.has_scram, i < 2);
        assert_int_equal(record.argon2id.len > 0, i > 0);
        if (record.has_scram) {
            bool equal;
            assert_int_equal(password_verify(&record, STR_LIT("pencil"), &budget, &err, &equal), ST_OK);
            assert_true(equal);
        }
        strbuf_done(&out);
    }
    budget_done(&budget);
}

static void damaged_records_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "SCRAM-SHA-256$",
        SCRAM " ",
        SCRAM " x",
        SCRAM "x",
        " " SCRAM,
        ARGON " " SCRAM,
        "md5",
        "SCRAM-SHA-256$0:QQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$01:QQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$1:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$1:QR==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$1:QQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4q=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$99999999999:QQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    };
    PasswordRecord record;
    static Error err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err_clear(&err);
        assert_int_equal(password_parse(str_from(bad[i]), &err, &record), ST_INVALID_PARAMETER_VALUE);
        assert_string_equal(err.message, "invalid password record"); /* nothing of the text */
    }
    for (size_t n = 0; n < sizeof SCRAM - 1; n++) {
        assert_int_equal(password_parse((Str){SCRAM, n}, NULL, &record), ST_INVALID_PARAMETER_VALUE);
    }
}

static void what_cannot_be_checked_is_refused(void **state)
{
    (void)state;
    static char text[PASSWORD_BYTES_MAX + 1];
    Budget budget;
    Error err = {0};
    StrBuf out;
    budget_init(&budget, "test", NULL, 0, 0);
    strbuf_init(&out, &budget);
    memset(text, 'x', sizeof text);
    assert_int_equal(password_make((Str){text, sizeof text}, 1, &budget, &out, &err), ST_INVALID_PARAMETER_VALUE);
    err_clear(&err);
    assert_int_equal(password_make(STR_LIT("md50123456789abcdef0123456789abcdef"), 1, &budget, &out, &err),
                     ST_FEATURE_NOT_SUPPORTED);
    assert_int_equal(out.len, 0);
    budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_record_verifies_its_password_only),
        cmocka_unit_test(a_record_is_taken_as_it_is),
        cmocka_unit_test(damaged_records_are_refused),
        cmocka_unit_test(what_cannot_be_checked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
