/*
 * SCRAM-SHA-256: the RFC's exchange, both sides against each other, a verifier that PostgreSQL 15 made, and every way
 * in which a message can be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/scram.h"
#include "base/rng.h"

/* CREATE ROLE a PASSWORD 'pencil' on PostgreSQL 15; b has I, soft hyphen, X, roman numeral nine: "IXIX" when prepared. */
static const char PG_PENCIL[] = "SCRAM-SHA-256$4096:0b1XSahisAYmpikC4FeNwA==$UXIaN3CxFY6mNyhuzrXE8eKzfGm+beHGnUb/"
                                "2VdvMmc=:l3h6t6lO/iaJHs1nkwAx9qXFf2ZzEXthVNZzMlGo7JM=";
static const char PG_IXIX[] = "SCRAM-SHA-256$4096:vUvRhwiaYpycQVmc6bIGTg==$fZPQVV8dS9jmQkGmSSNqn8eYr83BW2zyyDuog629EH8="
                              ":urkTkYbUSyti7qbrFNguWQjNI2cAOStOFWMf/xbEjJw=";
static const uint8_t MOCK_SECRET[SCRAM_MOCK_SECRET_BYTES] = "constant for one engine";

typedef struct Fixture {
    MemFault fault;
    Budget budget;
    Error err;
    StrBuf to_server;
    StrBuf to_client;
    ScramServer server;
    ScramClient client;
} Fixture;

static void begin(Fixture *f)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->budget.fault = &f->fault;
    strbuf_init(&f->to_server, &f->budget);
    strbuf_init(&f->to_client, &f->budget);
}

static void end(Fixture *f)
{
    scram_server_done(&f->server);
    scram_client_done(&f->client);
    strbuf_done(&f->to_server);
    strbuf_done(&f->to_client);
    budget_done(&f->budget);
}

static ScramVerifier verifier_of(const char *record)
{
    PasswordRecord r;
    assert_int_equal(password_parse(str_from(record), NULL, &r), ST_OK);
    assert_true(r.has_scram);
    return r.scram;
}

/* A whole exchange; the status of whoever fails first. */
static Status run(Fixture *f, const ScramServerOptions *so, const char *mechanism, const ScramClientOptions *co)
{
    ScramResult at_server = SCRAM_MORE;
    ScramResult at_client = SCRAM_MORE;
    Status st = scram_server_init(&f->server, so, str_from(mechanism), &f->err);
    if (st == ST_OK) {
        st = scram_client_init(&f->client, co, &f->budget, &f->err);
    }
    strbuf_reset(&f->to_client);
    while (st == ST_OK && at_client == SCRAM_MORE) {
        strbuf_reset(&f->to_server);
        st = scram_client_step(&f->client, strbuf_str(&f->to_client), &f->to_server, &f->err, &at_client);
        if (st == ST_OK && at_client == SCRAM_MORE) {
            strbuf_reset(&f->to_client);
            st = scram_server_step(&f->server, strbuf_str(&f->to_server), &f->to_client, &f->err, &at_server);
        }
    }
    assert_int_equal(st == ST_OK, at_server == SCRAM_DONE && at_client == SCRAM_DONE);
    return st;
}

static ScramServerOptions server_options(const ScramVerifier *v)
{
    return (ScramServerOptions){
        .user = STR_LIT("x"), .verifier = v, .mock_secret = MOCK_SECRET, .mock_iterations = 4096};
}

/* RFC 7677, section 3. */
static void the_client_follows_the_rfcs_example(void **state)
{
    (void)state;
    Fixture f;
    ScramResult result;
    begin(&f);
    ScramClientOptions o = {
        .user = STR_LIT("user"), .password = STR_LIT("pencil"), .nonce = STR_LIT("rOprNGfwEbeRWgbNEkqO")};
    assert_int_equal(scram_client_init(&f.client, &o, &f.budget, &f.err), ST_OK);
    assert_int_equal(scram_client_step(&f.client, STR_LIT(""), &f.to_server, &f.err, &result), ST_OK);
    assert_string_equal(f.to_server.p, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    strbuf_reset(&f.to_server);
    assert_int_equal(scram_client_step(&f.client,
                                       STR_LIT("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                               "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
                                       &f.to_server, &f.err, &result),
                     ST_OK);
    assert_string_equal(f.to_server.p, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                       "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(scram_client_step(&f.client, STR_LIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
                                       &f.to_server, &f.err, &result),
                     ST_OK);
    assert_int_equal(result, SCRAM_DONE);
    end(&f);
}

static void both_sides_agree_on_postgresqls_verifiers(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        const char *password;
        bool right;
    } cases[] = {
        {PG_PENCIL, "pencil", true}, {PG_PENCIL, "Pencil", false},    {PG_PENCIL, "", false},
        {PG_IXIX, "IXIX", true},     {PG_IXIX, "I\xc2\xadXIX", true}, {PG_IXIX, "IX\xe2\x85\xa8", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Fixture f;
        begin(&f);
        ScramVerifier v = verifier_of(cases[i].record);
        ScramServerOptions so = server_options(&v);
        ScramClientOptions co = {.password = str_from(cases[i].password)};
        assert_int_equal(run(&f, &so, SCRAM_MECHANISM, &co), cases[i].right ? ST_OK : ST_INVALID_PASSWORD);
        if (!cases[i].right) {
            assert_string_equal(f.err.message, "password authentication failed for user \"x\"");
            assert_string_equal(f.err.sqlstate, "28P01");
        }
        end(&f);
    }
}

static void channel_binding_detects_another_certificate(void **state)
{
    (void)state;
    ScramVerifier v = verifier_of(PG_PENCIL);
    for (int same = 0; same < 2; same++) {
        Fixture f;
        begin(&f);
        ScramServerOptions so = server_options(&v);
        so.tls = true;
        so.binding = STR_LIT("0123456789abcdef0123456789abcdef");
        ScramClientOptions co = {.password = STR_LIT("pencil"),
                                 .tls = true,
                                 .plus = true,
                                 .binding = same ? so.binding : STR_LIT("another")};
        Status st = run(&f, &so, SCRAM_MECHANISM_PLUS, &co);
        assert_int_equal(st, same ? ST_OK : ST_INVALID_AUTHORIZATION_SPECIFICATION);
        end(&f);
    }
}

static void an_unknown_user_looks_like_a_wrong_password(void **state)
{
    (void)state;
    char salts[2][64];
    for (int i = 0; i < 2; i++) {
        Fixture f;
        ScramResult result;
        begin(&f);
        ScramServerOptions so = server_options(NULL);
        assert_int_equal(scram_server_init(&f.server, &so, STR_LIT(SCRAM_MECHANISM), &f.err), ST_OK);
        assert_int_equal(scram_server_step(&f.server, STR_LIT("n,,n=,r=abc"), &f.to_client, &f.err, &result), ST_OK);
        snprintf(salts[i], sizeof salts[i], "%s", strstr(f.to_client.p, ",s="));
        ScramClientOptions co = {.password = STR_LIT("pencil")};
        assert_int_equal(run(&f, &so, SCRAM_MECHANISM, &co), ST_INVALID_PASSWORD);
        assert_string_equal(f.err.message, "password authentication failed for user \"x\"");
        end(&f);
    }
    assert_string_equal(salts[0], salts[1]);
}

static void malformed_first_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        Status status;
        const char *detail;
    } cases[] = {
        {"", ST_PROTOCOL_VIOLATION, "The message is empty."},
        {"x,,n=,r=a", ST_PROTOCOL_VIOLATION, "Unexpected channel-binding flag \"'x'\"."},
        {"nx,n=,r=a", ST_PROTOCOL_VIOLATION, "Comma expected, but found character \"'x'\"."},
        {"n", ST_PROTOCOL_VIOLATION, "Comma expected, but found character \"0x00\"."},
        {"n,a=me,n=,r=a", ST_FEATURE_NOT_SUPPORTED, NULL},
        {"n,x,n=,r=a", ST_PROTOCOL_VIOLATION, "Unexpected attribute \"'x'\" in client-first-message."},
        {"n,,m=1,n=,r=a", ST_FEATURE_NOT_SUPPORTED, NULL},
        {"n,,r=a", ST_PROTOCOL_VIOLATION, "Expected attribute \"n\" but found \"'r'\"."},
        {"n,,n", ST_PROTOCOL_VIOLATION, "Expected character \"=\" for attribute \"n\"."},
        {"n,,n=,r=", ST_PROTOCOL_VIOLATION, NULL},
        {"n,,n=,r=a b", ST_PROTOCOL_VIOLATION, NULL},
        {"n,,n=,r=a,1", ST_PROTOCOL_VIOLATION, "Attribute expected, but found invalid character \"'1'\"."},
        {"p=tls-server-end-point,,n=,r=a", ST_PROTOCOL_VIOLATION,
         "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding "
         "data."},
        {"n,,n=,r=a,x=extension", ST_OK, NULL},
        {"y,,n=,r=a", ST_OK, NULL},
    };
    ScramVerifier v = verifier_of(PG_PENCIL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Fixture f;
        ScramResult result;
        begin(&f);
        ScramServerOptions so = server_options(&v);
        assert_int_equal(scram_server_init(&f.server, &so, STR_LIT(SCRAM_MECHANISM), &f.err), ST_OK);
        Status st = scram_server_step(&f.server, str_from(cases[i].text), &f.to_client, &f.err, &result);
        assert_int_equal(st, cases[i].status);
        assert_int_equal(result, st == ST_OK ? SCRAM_MORE : SCRAM_FAILED);
        if (cases[i].detail != NULL) {
            assert_string_equal(f.err.message, "malformed SCRAM message");
            assert_string_equal(f.err.detail, cases[i].detail);
        }
        end(&f);
    }
}

static void malformed_final_messages(void **state)
{
    (void)state;
    static const char proof[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    static const struct {
        const char *format; /* %s nonce, %s proof */
        Status status;
        const char *message;
    } cases[] = {
        {"c=biws,r=%s,p=%s", ST_INVALID_PASSWORD, "password authentication failed for user \"x\""},
        {"c=biws,r=%s,x=y,p=%s", ST_INVALID_PASSWORD, "password authentication failed for user \"x\""},
        {"c=eSws,r=%s,p=%s", ST_PROTOCOL_VIOLATION,
         "unexpected SCRAM channel-binding attribute in client-final-message"},
        {"c=biws,r=%sx,p=%s", ST_PROTOCOL_VIOLATION, "invalid SCRAM response"},
        {"c=biws,r=%s,p=%sx", ST_PROTOCOL_VIOLATION, "malformed SCRAM message"},
        {"c=biws,r=%s,p=%s,q=1", ST_PROTOCOL_VIOLATION, "malformed SCRAM message"},
        {"c=biws,r=%s,x=%s", ST_PROTOCOL_VIOLATION, "malformed SCRAM message"},
        {"r=%s,p=%s", ST_PROTOCOL_VIOLATION, "malformed SCRAM message"},
    };
    ScramVerifier v = verifier_of(PG_PENCIL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Fixture f;
        ScramResult result;
        char nonce[64];
        char text[256];
        begin(&f);
        ScramServerOptions so = server_options(&v);
        assert_int_equal(scram_server_init(&f.server, &so, STR_LIT(SCRAM_MECHANISM), &f.err), ST_OK);
        assert_int_equal(scram_server_step(&f.server, STR_LIT("n,,n=,r=abc"), &f.to_client, &f.err, &result), ST_OK);
        snprintf(nonce, sizeof nonce, "%.*s", (int)strcspn(f.to_client.p + 2, ","), f.to_client.p + 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, cases[i].format, nonce, proof);
#pragma GCC diagnostic pop
        assert_int_equal(scram_server_step(&f.server, str_from(text), &f.to_client, &f.err, &result), cases[i].status);
        assert_string_equal(f.err.message, cases[i].message);
        end(&f);
    }
}

static void mechanisms_that_were_not_offered(void **state)
{
    (void)state;
    Fixture f;
    begin(&f);
    ScramServerOptions so = server_options(NULL);
    assert_int_equal(scram_server_init(&f.server, &so, STR_LIT("PLAIN"), &f.err), ST_PROTOCOL_VIOLATION);
    assert_int_equal(scram_server_init(&f.server, &so, STR_LIT(SCRAM_MECHANISM_PLUS), NULL), ST_PROTOCOL_VIOLATION);
    assert_memory_equal(scram_mechanisms(true).p, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34);
    assert_int_equal(scram_mechanisms(true).len, 34);
    assert_int_equal(scram_mechanisms(false).len, 15);
    end(&f);
}

/* A client that does believe the server would let anybody take the server's place. */
static void the_server_must_prove_itself(void **state)
{
    (void)state;
    static const char *const answers[] = {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "v=", "e=other-error", "x",
                                          ""};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        Fixture f;
        ScramResult result;
        begin(&f);
        ScramClientOptions o = {.password = STR_LIT("pencil"), .nonce = STR_LIT("abc")};
        assert_int_equal(scram_client_init(&f.client, &o, &f.budget, &f.err), ST_OK);
        assert_int_equal(scram_client_step(&f.client, STR_LIT(""), &f.to_server, &f.err, &result), ST_OK);
        assert_int_equal(scram_client_step(&f.client, STR_LIT("r=abcdef,s=QQ==,i=1"), &f.to_server, &f.err, &result),
                         ST_OK);
        assert_int_not_equal(scram_client_step(&f.client, str_from(answers[i]), &f.to_server, &f.err, &result), ST_OK);
        assert_int_equal(result, SCRAM_FAILED);
        end(&f);
    }
}

static void random_messages_never_crash(void **state)
{
    (void)state;
    static const char alphabet[] = "npy,=rcasivx AQbiws\xff\x01";
    ScramVerifier v = verifier_of(PG_PENCIL);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        Fixture f;
        Rng rng;
        ScramResult result = SCRAM_MORE;
        rng_seed(&rng, seed);
        begin(&f);
        ScramServerOptions so = server_options(&v);
        assert_int_equal(scram_server_init(&f.server, &so, STR_LIT(SCRAM_MECHANISM), &f.err), ST_OK);
        for (int i = 0; i < 2 && result == SCRAM_MORE; i++) {
            char text[40];
            size_t n = rng_below(&rng, sizeof text);
            size_t fixed = rng_below(&rng, 2) ? 8 : 0;
            memcpy(text, i == 0 ? "n,,n=,r=" : "c=biws,r", 8);
            for (size_t j = fixed; j < n; j++) {
                text[j] = alphabet[rng_below(&rng, sizeof alphabet)];
            }
            Status st = scram_server_step(&f.server, (Str){text, n}, &f.to_client, &f.err, &result);
            assert_int_equal(st == ST_OK, result == SCRAM_MORE);
        }
        end(&f);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    ScramVerifier v = verifier_of(PG_IXIX);
    for (int64_t i = 1;; i++) {
        Fixture f;
        begin(&f);
        ScramServerOptions so = server_options(&v);
        ScramClientOptions co = {.password = STR_LIT("I\xc2\xadXIX")};
        atomic_store(&f.fault.countdown, i);
        Status st = run(&f, &so, SCRAM_MECHANISM, &co);
        bool fired = atomic_load(&f.fault.fired) > 0;
        assert_int_equal(st, fired ? ST_OUT_OF_MEMORY : ST_OK);
        end(&f);
        if (!fired) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_follows_the_rfcs_example),
        cmocka_unit_test(both_sides_agree_on_postgresqls_verifiers),
        cmocka_unit_test(channel_binding_detects_another_certificate),
        cmocka_unit_test(an_unknown_user_looks_like_a_wrong_password),
        cmocka_unit_test(malformed_first_messages),
        cmocka_unit_test(malformed_final_messages),
        cmocka_unit_test(mechanisms_that_were_not_offered),
        cmocka_unit_test(the_server_must_prove_itself),
        cmocka_unit_test(random_messages_never_crash),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
