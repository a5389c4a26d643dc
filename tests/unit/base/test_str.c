/* Slices, UTF-8 and the growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

static void slices_compare_as_bytes(void **state)
{
    (void)state;
    assert_true(str_eq(STR_LIT("abc"), str_from("abc")));
    assert_false(str_eq(STR_LIT("abc"), STR_LIT("ab")));
    assert_true(str_cmp(STR_LIT("ab"), STR_LIT("abc")) < 0);
    assert_true(str_cmp(STR_LIT("b"), STR_LIT("abc")) > 0);
    assert_true(str_cmp(STR_LIT("\xff"), STR_LIT("a")) > 0);
    assert_int_equal(str_cmp((Str){NULL, 0}, STR_LIT("")), 0);
    assert_true(str_eq_ascii_nocase(STR_LIT("SeLeCt"), STR_LIT("sElEcT")));
    assert_false(str_eq_ascii_nocase(STR_LIT("[a"), STR_LIT("{a")));
}

static void every_scalar_value_survives_encoding(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp < 0x110100; cp++) {
        char buf[4];
        unsigned n = utf8_encode(cp, buf);
        bool is_scalar = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
        assert_int_equal(n > 0, is_scalar);
        if (n > 0) {
            unsigned used = 0;
            assert_true(utf8_valid(buf, n, NULL));
            assert_int_equal(utf8_decode(buf, n, &used), cp);
            assert_int_equal(used, n);
            assert_int_equal(utf8_length(buf, n), 1);
        }
    }
}

/* All byte strings of up to three bytes, and all of four with a valid lead, against a direct reading of RFC 3629. */
static bool valid_by_decoding(const unsigned char *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        unsigned n = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : p[i] >> 3 == 30 ? 4 : 0;
        if (n == 0 || n > len - i) {
            return false;
        }
        uint32_t cp = n == 1 ? p[i] : p[i] & ((1u << (7 - n)) - 1);
        for (unsigned k = 1; k < n; k++) {
            if (p[i + k] >> 6 != 2) {
                return false;
            }
            cp = cp << 6 | (p[i + k] & 0x3f);
        }
        static const uint32_t LEAST[5] = {0, 0, 0x80, 0x800, 0x10000};
        if (cp < LEAST[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
            return false;
        }
        i += n;
    }
    return true;
}

static void validity_agrees_with_the_definition(void **state)
{
    (void)state;
    unsigned char p[4];
    for (uint32_t v = 0; v < 1u << 24; v++) {
        p[0] = (unsigned char)(v >> 16);
        p[1] = (unsigned char)(v >> 8);
        p[2] = (unsigned char)v;
        if (utf8_valid((char *)p, 3, NULL) != valid_by_decoding(p, 3)) {
            fail_msg("%02x %02x %02x", p[0], p[1], p[2]);
        }
    }
    for (uint32_t v = 0; v < 1u << 19; v++) { /* F0..F7, then bytes around the borders */
        p[0] = (unsigned char)(0xf0 + (v >> 16));
        p[1] = (unsigned char)(v >> 8);
        p[2] = (unsigned char)(v & 0xc0);
        p[3] = (unsigned char)(v << 2 & 0xff);
        if (utf8_valid((char *)p, 4, NULL) != valid_by_decoding(p, 4)) {
            fail_msg("%02x %02x %02x %02x", p[0], p[1], p[2], p[3]);
        }
    }
}

static void the_first_bad_byte_is_named(void **state)
{
    (void)state;
    size_t bad = 0;
    assert_false(utf8_valid("0123456789\xc3(", 12, &bad));
    assert_int_equal(bad, 10);
    assert_false(utf8_valid("ab\xe2\x82", 4, &bad));
    assert_int_equal(bad, 2);
}

static void clipping_and_counting_respect_characters(void **state)
{
    (void)state;
    const char *s = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* a é € emoji z: 1 2 3 4 1 bytes */
    size_t len = strlen(s);
    static const size_t CLIPPED[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < ARRAY_LEN(CLIPPED); max++) {
        assert_int_equal(utf8_clip(s, len, max), CLIPPED[max]);
        if (max <= len) {
            assert_int_equal(utf8_complete(s, max), CLIPPED[max]);
        }
    }
    static const size_t PREFIX[] = {0, 1, 3, 6, 10, 11, 11};
    for (size_t n = 0; n < ARRAY_LEN(PREFIX); n++) {
        assert_int_equal(utf8_prefix_bytes(s, len, n), PREFIX[n]);
    }
    assert_int_equal(utf8_length(s, len), 5);
    Rng rng;
    rng_seed(&rng, 1);
    char text[400];
    for (int round = 0; round < 200; round++) {
        size_t bytes = 0;
        size_t chars = rng_below(&rng, 100);
        for (size_t i = 0; i < chars; i++) {
            bytes += utf8_encode((uint32_t)rng_below(&rng, round % 2 == 0 ? 0x300 : 0xd800), text + bytes);
        }
        assert_int_equal(utf8_length(text, bytes), chars);
        assert_int_equal(utf8_prefix_bytes(text, bytes, chars), bytes);
    }
}

static void a_buffer_grows_and_stays_terminated(void **state)
{
    (void)state;
    Budget b;
    StrBuf s;
    budget_init(&b, "b", NULL, 0, 0);
    strbuf_init(&s, &b);
    assert_string_equal(s.p, "");
    strbuf_reset(&s);
    strbuf_printf(&s, "%d", 12345);
    for (int i = 0; i < 1000; i++) {
        strbuf_putc(&s, 'x');
        assert_int_equal(s.p[s.len], 0);
    }
    strbuf_puts(&s, "end");
    strbuf_append(&s, "\0y", 2);
    assert_int_equal(s.len, 5 + 1000 + 3 + 2);
    assert_memory_equal(s.p, "12345xxx", 8);
    strbuf_reset(&s);
    strbuf_printf(&s, "%2000s", "right");
    assert_int_equal(s.len, 2000);
    assert_string_equal(s.p + 1995, "right");
    strbuf_done(&s);
    budget_done(&b);
}

static void a_failed_buffer_says_so_once_and_for_all(void **state)
{
    (void)state;
    Budget b;
    StrBuf s;
    MemFault fault = {.countdown = 2};
    budget_init(&b, "b", NULL, 0, 0);
    b.fault = &fault;
    strbuf_init(&s, &b);
    strbuf_puts(&s, "kept");
    for (int i = 0; i < 100; i++) {
        strbuf_printf(&s, "%d,", i);
    }
    assert_true(s.failed);
    assert_memory_equal(s.p, "kept0,1,", 8);
    assert_int_equal(strlen(s.p), s.len);
    strbuf_reset(&s);
    strbuf_puts(&s, "again");
    assert_false(s.failed);
    assert_string_equal(s.p, "again");
    strbuf_done(&s);
    budget_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_as_bytes),
        cmocka_unit_test(every_scalar_value_survives_encoding),
        cmocka_unit_test(validity_agrees_with_the_definition),
        cmocka_unit_test(the_first_bad_byte_is_named),
        cmocka_unit_test(clipping_and_counting_respect_characters),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_failed_buffer_says_so_once_and_for_all),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
