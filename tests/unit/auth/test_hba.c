/*
 * Host rules: files, their errors, and who is matched by what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/hba.h"
#include "base/rng.h"

typedef struct Fixture {
    MemFault fault;
    Budget budget;
    Error err;
    HbaRules *rules;
} Fixture;

static void parse(Fixture *f, const char *text)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->budget.fault = &f->fault;
    assert_int_equal(hba_parse(str_from(text), "pg_hba.conf", &f->budget, &f->err, &f->rules), ST_OK);
}

static void end(Fixture *f)
{
    hba_free(f->rules);
    budget_done(&f->budget);
}

static bool is_member(void *arg, Str role, Str user)
{
    (void)arg;
    return str_eq(role, STR_LIT("staff")) && str_eq(user, STR_LIT("anna"));
}

static const NetInterface INTERFACES[] = {
    {{NET_IPV4, 0, {192, 168, 7, 1}}, {NET_IPV4, 0, {255, 255, 255, 0}}},
};

static HbaPeer peer_at(const char *addr, bool tls, const char *database, const char *user)
{
    HbaPeer p = {.tls = tls,
                 .database = str_from(database),
                 .user = str_from(user),
                 .is_member = is_member,
                 .interfaces = INTERFACES,
                 .interface_count = 1};
    if (addr != NULL) {
        assert_true(net_addr_parse(addr, &p.addr));
    }
    return p;
}

static const char RULES[] = "# comment\n"
                            "local   all  all  trust\n"
                            "host app,\"all\" bob 10.0.0.0/8 reject # no\n"
                            "hostssl app +staff 10.0.0.0 255.0.0.0 scram-sha-256\n"
                            "hostnossl sameuser all ::1/128 trust\n"
                            "host samerole all samenet reject\n"
                            "\n"
                            "host replication all all trust\n"
                            "host all \\\n   \"+staff\", carl \\\n samehost trust\n"
                            "host\tpostgres\tall\tall\tscram-sha-256\r\n";

static void the_first_line_that_fits_decides(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        bool tls;
        const char *database;
        const char *user;
        uint32_t line; /* 0 = none */
    } cases[] = {
        {NULL, false, "app", "x", 2},
        {"10.1.2.3", false, "app", "bob", 3},
        {"10.1.2.3", false, "all", "bob", 3},
        {"10.1.2.3", false, "other", "bob", 0},
        {"10.1.2.3", true, "app", "anna", 4},
        {"10.1.2.3", false, "app", "anna", 0},
        {"11.1.2.3", true, "app", "anna", 0},
        {"::1", false, "x", "x", 5},
        {"::1", true, "x", "x", 0},
        {"::1", false, "x", "y", 0},
        {"::2", false, "x", "x", 0},
        {"192.168.7.9", false, "staff", "anna", 6},
        {"192.168.8.9", false, "staff", "anna", 0},
        {"192.168.7.1", false, "x", "+staff", 9},
        {"192.168.7.1", false, "x", "carl", 9},
        {"192.168.7.1", false, "x", "anna", 0},
        {"192.168.7.2", false, "x", "carl", 0},
        {"8.8.8.8", false, "postgres", "z", 12},
        {"8.8.8.8", false, "replication", "z", 0},
    };
    Fixture f;
    parse(&f, RULES);
    assert_int_equal(hba_check(f.rules, &f.err), ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        HbaPeer p = peer_at(cases[i].addr, cases[i].tls, cases[i].database, cases[i].user);
        const HbaLine *line = hba_match(f.rules, &p);
        assert_int_equal(line == NULL ? 0 : line->line, cases[i].line);
    }
    HbaPeer p = peer_at("8.8.8.8", false, "", "z");
    p.replication = true;
    assert_int_equal(hba_match(f.rules, &p)->line, 8);
    end(&f);
}

static void errors_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"lokal all all trust", "invalid connection type \"lokal\""},
        {"local", "end-of-line before database specification"},
        {"local all", "end-of-line before role specification"},
        {"local all all", "end-of-line before authentication method"},
        {"local all all md5",
         "authentication method \"md5\" is not supported (supported: trust, reject, scram-sha-256)"},
        {"local all all trust map=x", "authentication option \"map=x\" is not supported"},
        {"host all all trust", "\"trust\" is not an IP address (host names are not supported; supported: an address "
                               "with CIDR mask length or separate mask, all, samehost, samenet)"},
        {"host all all 10.0.0.0/33 trust", "invalid CIDR mask in address \"10.0.0.0/33\""},
        {"host all all 10.0.0.0/ trust", "invalid CIDR mask in address \"10.0.0.0/\""},
        {"host all all 10.0.0.0 trust", "invalid IP mask \"trust\""},
        {"host all all 10.0.0.0 ffff:: trust", "IP address and mask do not match"},
        {"host all all all,all trust", "multiple values specified for host address"},
        {"local @names all trust", "including names from a file (\"@names\") is not supported"},
        {"local \"all all trust", "unterminated quoted string"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        Fixture f;
        snprintf(text, sizeof text, "local all all trust\n\n# x\n%s\nlocal all all trust\n", cases[i].text);
        parse(&f, text);
        assert_int_equal(hba_check(f.rules, &f.err), ST_CONFIG_FILE_ERROR);
        assert_string_equal(f.err.message, cases[i].error);
        assert_string_equal(f.err.context, "line 4 of configuration file \"pg_hba.conf\"");
        assert_int_equal(hba_line_count(f.rules), 3);
        assert_null(hba_line(f.rules, 2)->error);
        end(&f);
    }
    Fixture f;
    parse(&f, "# nothing\n");
    assert_int_equal(hba_check(f.rules, &f.err), ST_CONFIG_FILE_ERROR);
    end(&f);
}

static void refusals_speak_as_postgresql(void **state)
{
    (void)state;
    Error err = {0};
    HbaPeer p = peer_at("10.0.0.1", false, "d", "u");
    assert_int_equal(hba_refuse(NULL, &p, &err), ST_INVALID_AUTHORIZATION_SPECIFICATION);
    assert_string_equal(err.message,
                        "no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", no encryption");
    err_clear(&err);
    HbaLine line = {.method = HBA_REJECT};
    p = peer_at(NULL, false, "d", "u");
    assert_int_equal(hba_refuse(&line, &p, &err), ST_INVALID_AUTHORIZATION_SPECIFICATION);
    assert_string_equal(
        err.message, "pg_hba.conf rejects connection for host \"[local]\", user \"u\", database \"d\", no encryption");
}

static void without_a_file_a_password_ends_trust(void **state)
{
    (void)state;
    HbaPeer local = peer_at(NULL, false, "d", "u");
    HbaPeer loop = peer_at("127.8.0.1", false, "d", "u");
    HbaPeer loop6 = peer_at("::1", false, "d", "u");
    HbaPeer far = peer_at("10.0.0.1", true, "d", "u");
    assert_int_equal(hba_default(&local, false, false), HBA_TRUST);
    assert_int_equal(hba_default(&loop, false, false), HBA_TRUST);
    assert_int_equal(hba_default(&loop6, false, false), HBA_TRUST);
    assert_int_equal(hba_default(&far, false, false), HBA_SCRAM);
    assert_int_equal(hba_default(&local, true, true), HBA_TRUST);
    assert_int_equal(hba_default(&local, false, true), HBA_SCRAM);
    assert_int_equal(hba_default(&loop, true, true), HBA_SCRAM);
}

static void random_texts_never_crash(void **state)
{
    (void)state;
    static const char *const words[] = {"local", "host", "all",     ",",    " ",     "\n",         "\"",
                                        "\\",    "\\\n", "#",       "\r\n", "trust", "10.0.0.1/8", "@",
                                        "+",     "x",    "samenet", "\"\"", "\t",    "::1/64"};
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        char text[512];
        size_t n = 0;
        Rng rng;
        Fixture f;
        rng_seed(&rng, seed);
        for (size_t i = rng_below(&rng, 40); i > 0; i--) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", words[rng_below(&rng, ARRAY_LEN(words))]);
        }
        text[n] = '\0';
        parse(&f, text);
        if (hba_check(f.rules, &f.err) == ST_OK) {
            HbaPeer p = peer_at("10.0.0.1", false, "x", "x");
            (void)hba_match(f.rules, &p);
        }
        end(&f);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int64_t i = 1;; i++) {
        Fixture f = {0};
        atomic_store(&f.fault.countdown, i);
        budget_init(&f.budget, "test", NULL, 0, 0);
        f.budget.fault = &f.fault;
        Status st = hba_parse(str_from(RULES), "pg_hba.conf", &f.budget, &f.err, &f.rules);
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
        cmocka_unit_test(the_first_line_that_fits_decides), cmocka_unit_test(errors_name_their_line),
        cmocka_unit_test(refusals_speak_as_postgresql),     cmocka_unit_test(without_a_file_a_password_ends_trust),
        cmocka_unit_test(random_texts_never_crash),         cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
