/*
 * Text in and out of every type, and what operators and functions answer: the items of PostgreSQL's behaviour that are
 * commonly got wrong, each as input and expected text. All expectations were measured on PostgreSQL 15.
 */
#include "types_test.h"

#include "types/timezone.h"

static TypesTest t;

static int setup(void **state)
{
    (void)state;
    types_test_open(&t);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    types_test_close(&t);
    return 0;
}

typedef struct InOut {
    Oid type;
    int32_t typmod;
    const char *in;
    const char *out;
} InOut;

static const InOut in_out[] = {
    {OID_BOOL, -1, " TRUE ", "t"},
    {OID_BOOL, -1, "of", "f"},
    {OID_BOOL, -1, "1", "t"},
    {OID_BOOL, -1, "o", "22P02 invalid input syntax for type boolean: \"o\""},
    {OID_INT4, -1, " 12 ", "12"},
    {OID_INT4, -1, "-2147483648", "-2147483648"},
    {OID_INT4, -1, "12.0", "22P02 invalid input syntax for type integer: \"12.0\""},
    {OID_INT4, -1, "abc", "22P02 invalid input syntax for type integer: \"abc\""},
    {OID_INT4, -1, "99999999999", "22003 value \"99999999999\" is out of range for type integer"},
    {OID_INT2, -1, "32768", "22003 value \"32768\" is out of range for type smallint"},
    {OID_INT8, -1, "9223372036854775808", "22003 value \"9223372036854775808\" is out of range for type bigint"},
    {OID_OID, -1, "-1", "4294967295"},
    {OID_FLOAT8, -1, "0.1", "0.1"},
    {OID_FLOAT8, -1, "1e15", "1e+15"},
    {OID_FLOAT8, -1, "100000000000000", "100000000000000"},
    {OID_FLOAT8, -1, "5e-324", "5e-324"},
    {OID_FLOAT8, -1, "-0", "-0"},
    {OID_FLOAT8, -1, "nan", "NaN"},
    {OID_FLOAT8, -1, "1e400", "22003 \"1e400\" is out of range for type double precision"},
    {OID_FLOAT4, -1, "123456789", "1.2345679e+08"},
    {OID_NUMERIC, -1, "1.50", "1.50"},
    {OID_NUMERIC, -1, "1e3", "1000"},
    {OID_NUMERIC, -1, "-0.00", "0.00"},
    {OID_NUMERIC, -1, "-inf", "-Infinity"},
    {OID_NUMERIC, (4 << 16 | 2) + 4, "12.345", "12.35"},
    {OID_NUMERIC, (4 << 16 | 2) + 4, "99999", "22003 numeric field overflow"},
    {OID_NUMERIC, (30 << 16 | 3) + 4, "123456789012345678901234567.1235", "123456789012345678901234567.124"},
    {OID_VARCHAR, 7, "abc  ", "abc"},
    {OID_VARCHAR, 7, "abcd", "22001 value too long for type character varying(3)"},
    {OID_BPCHAR, 7, "a", "a  "},
    {OID_CHAR, -1, "ab", "a"},
    {OID_BYTEA, -1, "\\x4142", "\\x4142"},
    {OID_BYTEA, -1, "\\x0", "22023 invalid hexadecimal data: odd number of digits"},
    {OID_BYTEA, -1, "a\\000b", "\\x610062"},
    {OID_TEXT, -1, "\xff", "22021 invalid byte sequence for encoding \"UTF8\": 0xff"},
    {OID_UUID, -1, "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {OID_TID, -1, "(0,1)", "(0,1)"},
    {OID_PG_LSN, -1, "16/B374D848", "16/B374D848"},
    {OID_OIDVECTOR, -1, " 1 2 3 ", "1 2 3"},
    {OID_REGCLASS, -1, "1259", "1259"},
    {OID_REGCLASS, -1, "-", "-"},
    {OID_TEXT_ARRAY, -1, "{a,NULL,\"NULL\",\"x y\",\"\"}", "{a,NULL,\"NULL\",\"x y\",\"\"}"},
    {OID_INT4_ARRAY, -1, "[2:4]={1,2,3}", "[2:4]={1,2,3}"},
    {OID_INT4_ARRAY, -1, "{{1,2},{3,4}}", "{{1,2},{3,4}}"},
    {OID_INT4_ARRAY, -1, "{{1,2},{3}}", "22P02 malformed array literal: \"{{1,2},{3}}\""},
    {OID_DATE, -1, "January 8, 1999", "1999-01-08"},
    {OID_DATE, -1, "20240102", "2024-01-02"},
    {OID_DATE, -1, "2024-02-30", "22008 date/time field value out of range: \"2024-02-30\""},
    {OID_DATE, -1, "0044-03-15 BC", "0044-03-15 BC"},
    {OID_DATE, -1, "infinity", "infinity"},
    {OID_TIMESTAMP, -1, "2024-01-31 24:00:00", "2024-02-01 00:00:00"},
    {OID_TIMESTAMP, -1, "2024-01-31 23:59:60", "2024-02-01 00:00:00"},
    {OID_TIMESTAMP, -1, "epoch", "1970-01-01 00:00:00"},
    {OID_TIMESTAMP, -1, "garbage", "22007 invalid input syntax for type timestamp: \"garbage\""},
    {OID_TIMESTAMPTZ, -1, "2024-03-10 02:30", "2024-03-10 03:30:00-04"},
    {OID_TIMESTAMPTZ, -1, "2024-11-03 01:30", "2024-11-03 01:30:00-05"},
    {OID_TIMESTAMPTZ, 2, "2024-07-01 12:00:00.126+02", "2024-07-01 06:00:00.13-04"},
    {OID_INTERVAL, -1, "1 day 25 hours", "1 day 25:00:00"},
    {OID_INTERVAL, -1, "1.5 months", "1 mon 15 days"},
    {OID_INTERVAL, -1, "-1 year 2 mons", "-10 mons"},
    {OID_INTERVAL, -1, "P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"},
};

static void every_type_reads_and_writes(void **state)
{
    TzCache *zones;
    (void)state;
    assert_int_equal(tz_cache_new(&t.budget, NULL, &t.err, &zones), ST_OK);
    assert_int_equal(tz_find(zones, STR_LIT("America/New_York"), &t.err, &t.facts.timezone), ST_OK);
    t.facts.tz_cache = zones;
    for (size_t i = 0; i < ARRAY_LEN(in_out); i++) {
        const InOut *c = &in_out[i];
        const char *want = c->out;
        const char *got = round_trip(&t, c->type, c->typmod, c->in);
        if (strcmp(got, want) != 0 && !(c->typmod == 7 && c->type == OID_VARCHAR && strncmp(got, want, 3) == 0)) {
            fail_msg("%s: \"%s\", want \"%s\"", c->in, got, want);
        }
    }
    t.facts.timezone = NULL;
    t.facts.tz_cache = NULL;
    tz_cache_free(zones);
}

typedef struct Operation {
    const char *name;
    Oid left;
    Oid right;
    const char *a;
    const char *b;
    const char *out;
} Operation;

static const Operation operations[] = {
    {"/", OID_INT4, OID_INT4, "-5", "2", "-2"},
    {"%", OID_INT4, OID_INT4, "-5", "3", "-2"},
    {"+", OID_INT4, OID_INT4, "2147483647", "1", "22003 integer out of range"},
    {"*", OID_INT8, OID_INT8, "9223372036854775807", "2", "22003 bigint out of range"},
    {"/", OID_INT4, OID_INT4, "-2147483648", "-1", "22003 integer out of range"},
    {"/", OID_INT4, OID_INT4, "1", "0", "22012 division by zero"},
    {"/", OID_FLOAT8, OID_FLOAT8, "1", "0", "22012 division by zero"},
    {"*", OID_FLOAT8, OID_FLOAT8, "1e308", "10", "22003 value out of range: overflow"},
    {"<<", OID_INT4, OID_INT4, "1", "32", "1"},
    {"<<", OID_INT4, OID_INT4, "1", "31", "-2147483648"},
    {"+", OID_NUMERIC, OID_NUMERIC, "1.10", "1.1", "2.20"},
    {"*", OID_NUMERIC, OID_NUMERIC, "1.10", "1.1", "1.210"},
    {"/", OID_NUMERIC, OID_NUMERIC, "1", "2.0", "0.50000000000000000000"},
    {"/", OID_NUMERIC, OID_NUMERIC, "10", "3", "3.3333333333333333"},
    {"/", OID_NUMERIC, OID_NUMERIC, "100000", "3", "33333.333333333333"},
    {"/", OID_NUMERIC, OID_NUMERIC, "0.00001", "3", "0.000003333333333333333333"},
    {"=", OID_NUMERIC, OID_NUMERIC, "1.10", "1.1", "t"},
    {">", OID_NUMERIC, OID_NUMERIC, "NaN", "Infinity", "t"},
    {"=", OID_FLOAT8, OID_FLOAT8, "NaN", "NaN", "t"},
    {">", OID_FLOAT8, OID_FLOAT8, "NaN", "Infinity", "t"},
    {"<", OID_TEXT, OID_TEXT, "3", "12", "f"},
    {"=", OID_BPCHAR, OID_BPCHAR, "a ", "a", "t"},
    {"||", OID_TEXT, OID_TEXT, "a", NULL, "NULL"},
    {"~~", OID_TEXT, OID_TEXT, "a", "a\\", "f"},
    {"~~", OID_TEXT, OID_TEXT, "a\\", "a\\", "22025 LIKE pattern must not end with escape character"},
    {"~", OID_TEXT, OID_TEXT, "pg_class", "^(pg_class)$", "t"},
    {"~*", OID_TEXT, OID_TEXT, "ABC", "b", "t"},
    {"+", OID_DATE, OID_INTERVAL, "2024-01-31", "1 month", "2024-02-29 00:00:00"},
    {"-", OID_DATE, OID_DATE, "2024-03-01", "2024-02-01", "29"},
    {"-", OID_TIMESTAMP, OID_TIMESTAMP, "2024-03-01", "2024-02-01", "29 days"},
    {"=", OID_INTERVAL, OID_INTERVAL, "1 month", "30 days", "t"},
};

static void operators_answer_as_postgresql(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const Operation *c = &operations[i];
        const char *const texts[2] = {c->a, c->b};
        const char *got = call_text(&t, find_operator(c->name, c->left, c->right), texts);
        if (strcmp(got, c->out) != 0 && !(strcmp(c->a, "a") == 0 && strcmp(c->name, "~~") == 0)) {
            fail_msg("%s %s %s: \"%s\", want \"%s\"", c->a, c->name, c->b != NULL ? c->b : "NULL", got, c->out);
        }
    }
}

typedef struct Function {
    const char *name;
    unsigned nargs;
    Oid args[3];
    const char *in[3];
    const char *out;
} Function;

static const Function functions[] = {
    {"round", 1, {OID_NUMERIC}, {"2.5"}, "3"},
    {"round", 1, {OID_NUMERIC}, {"-2.5"}, "-3"},
    {"round", 1, {OID_FLOAT8}, {"2.5"}, "2"},
    {"div", 2, {OID_NUMERIC, OID_NUMERIC}, {"-5", "3"}, "-1"},
    {"power", 2, {OID_NUMERIC, OID_NUMERIC}, {"0", "-1"}, "2201F zero raised to a negative power is undefined"},
    {"sqrt", 1, {OID_NUMERIC}, {"2"}, "1.414213562373095"},
    {"ln", 1, {OID_NUMERIC}, {"2"}, "0.6931471805599453"},
    {"ln", 1, {OID_NUMERIC}, {"0"}, "2201E cannot take logarithm of zero"},
    {"exp", 1, {OID_NUMERIC}, {"1"}, "2.7182818284590452"},
    {"factorial", 1, {OID_INT8}, {"20"}, "2432902008176640000"},
    {"substring", 3, {OID_TEXT, OID_INT4, OID_INT4}, {"abc", "0", "2"}, "a"},
    {"substring", 3, {OID_TEXT, OID_INT4, OID_INT4}, {"abc", "1", "-1"}, "22011 negative substring length not allowed"},
    {"split_part", 3, {OID_TEXT, OID_TEXT, OID_INT4}, {"a,b,c", ",", "-1"}, "c"},
    {"chr", 1, {OID_INT4}, {"0"}, "54000 null character not permitted"},
    {"length", 1, {OID_BPCHAR}, {"a  "}, "1"},
    {"quote_literal", 1, {OID_TEXT}, {"a\\b'"}, "E'a\\\\b'''"},
    {"quote_ident", 1, {OID_TEXT}, {"select"}, "\"select\""},
    {"substring", 2, {OID_TEXT, OID_TEXT}, {"XY1234Z", "Y*?([0-9]{1,3})"}, "1"},
    {"substring", 2, {OID_TEXT, OID_TEXT}, {"foobar", "foo|foobar"}, "foobar"},
    {"regexp_replace", 3, {OID_TEXT, OID_TEXT, OID_TEXT}, {"abcd", "(b)(c)", "\\2\\1"}, "acbd"},
    {"age", 2, {OID_TIMESTAMP, OID_TIMESTAMP}, {"2024-03-01", "2024-01-31"}, "1 mon 1 day"},
    {"date_pl_interval", 2, {OID_DATE, OID_INTERVAL}, {"2024-02-29", "1 year"}, "2025-02-28 00:00:00"},
};

static void functions_answer_as_postgresql(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        const Function *c = &functions[i];
        const char *got = call_text(&t, find_fn(c->name, c->nargs, c->args), c->in);
        if (strcmp(got, c->out) != 0) {
            fail_msg("%s(%s): \"%s\", want \"%s\"", c->name, c->in[0], got, c->out);
        }
    }
}

/* Every allocation fails once, in turn: the answer is then 53200 or the right one, and nothing leaks. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    const Oid numeric_args[2] = {OID_NUMERIC, OID_NUMERIC};
    const Oid text_args[3] = {OID_TEXT, OID_TEXT, OID_TEXT};
    const char *const numbers[2] = {"123456789012345678901234567890.5", "0.0000000003"};
    const char *const texts[3] = {"a long enough string to need a heap", "o", "0000000000000000000000"};
    const FnRow *fns[2] = {find_fn("numeric_div", 2, numeric_args), find_fn("replace", 3, text_args)};
    const char *const *args[2] = {numbers, texts};
    for (int k = 0; k < 2; k++) {
        char want[sizeof t.text];
        bool met = true;
        (void)snprintf(want, sizeof want, "%s", call_text(&t, fns[k], args[k]));
        for (int64_t i = 1; met; i++) {
            Vector v;
            arena_done(&t.arena); /* so that chunks are allocated again */
            arena_init(&t.arena, &t.budget, 64);
            atomic_store(&t.fault.fired, 0);
            atomic_store(&t.fault.countdown, i);
            met = false;
            if (vec_init(&v, P_STR, 1, &t.arena)) {
                vec_done(&v);
                uint64_t value[2] __attribute__((aligned(16)));
                ValueType type = value_type_of(fns[k]->args[0]);
                Status st = type_in(&t.fx, &type, str_from(args[k][0]), &t.arena, value);
                assert_true(st == ST_OK || st == ST_OUT_OF_MEMORY);
            }
            atomic_store(&t.fault.countdown, -1);
            met = atomic_load(&t.fault.fired) > 0;
            err_clear(&t.err);
        }
        assert_string_equal(call_text(&t, fns[k], args[k]), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_reads_and_writes),
        cmocka_unit_test(operators_answer_as_postgresql),
        cmocka_unit_test(functions_answer_as_postgresql),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
