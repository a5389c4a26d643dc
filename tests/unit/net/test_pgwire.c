/*
 * Bytes to messages: every message, in every portioning, with every truncation, and random bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "net/pgwire.h"

typedef struct Fixture {
    MemFault fault;
    Budget budget;
    Error err;
    WireIn in;
    char log[1 << 16]; /* what came out, as text */
    size_t logged;
} Fixture;

static void begin(Fixture *f, WirePhase phase)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->budget.fault = &f->fault;
    wire_in_init(&f->in, &f->budget);
    wire_set_phase(&f->in, phase);
}

static void end(Fixture *f)
{
    wire_in_done(&f->in);
    budget_done(&f->budget);
}

static void note(Fixture *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(Fixture *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(f->log + f->logged, sizeof f->log - f->logged, fmt, ap);
    va_end(ap);
    f->logged += (size_t)n;
    assert_true(f->logged < sizeof f->log);
}

static void note_values(Fixture *f, WireValues values)
{
    size_t cursor = 0;
    Str v;
    bool null;
    while (wire_value_next(values, &cursor, &v, &null)) {
        note(f, null ? " null" : " '%.*s'", (int)v.len, v.p);
    }
}

static void note_message(Fixture *f, const WireMsg *m)
{
    if (m->type == WIRE_COPY_DATA) { /* pieces join: only their bytes count */
        note(f, "%.*s%s", (int)m->copy_data.bytes.len, m->copy_data.bytes.p, m->copy_data.more ? "" : "<d\n");
        return;
    }
    note(f, "%c", m->type);
    switch (m->type) {
    case WIRE_QUERY: note(f, " %.*s", (int)m->query.text.len, m->query.text.p); break;
    case WIRE_PARSE:
        note(f, " %s %s", m->parse.name.p, m->parse.text.p);
        for (uint32_t i = 0; i < m->parse.types.n; i++) {
            note(f, " %u", wire_int32_at(m->parse.types, i));
        }
        break;
    case WIRE_BIND:
        note(f, " %s %s", m->bind.portal.p, m->bind.statement.p);
        for (uint32_t i = 0; i < m->bind.values.n; i++) {
            note(f, " f%u", wire_format_at(m->bind.formats, i));
        }
        note_values(f, m->bind.values);
        note(f, " r%u", wire_format_at(m->bind.result_formats, 0));
        break;
    case WIRE_CLOSE:
    case WIRE_DESCRIBE: note(f, " %c %s", m->object.what, m->object.name.p); break;
    case WIRE_EXECUTE: note(f, " %s %u", m->execute.portal.p, m->execute.rows_max); break;
    case WIRE_FUNCTION_CALL:
        note(f, " %u", m->call.function);
        note_values(f, m->call.values);
        break;
    case WIRE_COPY_FAIL: note(f, " %s", m->copy_fail.message.p); break;
    default: break;
    }
    note(f, "\n");
}

/* All frames that are there. False: the connection is over. */
static bool drain(Fixture *f)
{
    for (;;) {
        WireFrame frame;
        WireMsg m;
        Status st = wire_next(&f->in, &f->err, &frame);
        wire_in_check(&f->in);
        if (st == ST_WOULD_BLOCK) {
            return true;
        }
        if (st != ST_OK) {
            note(f, "fatal %s\n", f->err.message);
            return false;
        }
        err_clear(&f->err);
        st = wire_decode(&frame, &f->err, &m);
        if (st == ST_OK) {
            note_message(f, &m);
        } else {
            note(f, "%c error %s %s\n", frame.type, f->err.sqlstate, f->err.message);
            err_clear(&f->err);
        }
    }
}

/* Feeds bytes in portions of at most `portion`. */
static void feed(Fixture *f, const char *p, size_t bytes, size_t portion)
{
    bool open = true;
    while (bytes > 0 && open) {
        char *room;
        size_t n;
        assert_int_equal(wire_space(&f->in, &f->err, &room, &n), ST_OK);
        assert_true(n > 0);
        n = n < portion ? n : portion;
        n = n < bytes ? n : bytes;
        memcpy(room, p, n);
        wire_filled(&f->in, n);
        p += n;
        bytes -= n;
        open = drain(f);
    }
}

#define MSG(type, length, body) type "\0\0\0" length body

static const char CONVERSATION[] = MSG("Q", "\x0d", "select 1\0") MSG("P", "\x16", "s\0select $1\0\0\1\0\0\0\x17")
    MSG("B", "\x1e", "p\0s\0\0\1\0\1\0\2\0\0\0\4abcd\xff\xff\xff\xff\0\1\0\1") MSG("D", "\x07", "Sx\0")
        MSG("C", "\x06", "P\0") MSG("E", "\x0a", "p\0\0\0\0\5") MSG("H", "\x04", "") MSG("S", "\x04", "")
            MSG("F", "\x14", "\0\0\0\7\0\0\0\1\0\0\0\2hi\0\0") MSG("d", "\x04", "") MSG("d", "\x09", "a\tb\nc")
                MSG("c", "\x04", "") MSG("f", "\x08", "no!\0") MSG("p", "\x0a", "secret") MSG("X", "\x04", "");
static const char EXPECTED[] = "Q select 1\nP s select $1 23\nB p s f1 f1 'abcd' null r1\nD S x\nC P \nE p 5\nH\nS\n"
                               "F 7 'hi'\n<d\na\tb\nc<d\nc\nf no!\np\nX\n";

static void any_portion_gives_the_same_messages(void **state)
{
    (void)state;
    for (size_t portion = 1; portion <= sizeof CONVERSATION; portion++) {
        Fixture f;
        begin(&f, WIRE_MAIN);
        feed(&f, CONVERSATION, sizeof CONVERSATION - 1, portion);
        assert_string_equal(f.log, EXPECTED);
        wire_idle(&f.in);
        assert_int_equal(wire_in_bytes(&f.in), 0);
        end(&f);
    }
}

static void expect(const char *bytes, size_t n, WirePhase phase, const char *log)
{
    Fixture f;
    begin(&f, phase);
    feed(&f, bytes, n, n);
    assert_string_equal(f.log, log);
    end(&f);
}
#define EXPECT(bytes, log) expect(bytes, sizeof(bytes) - 1, WIRE_MAIN, log)

static void malformed_messages_are_refused_in_postgresqls_words(void **state)
{
    (void)state;
    EXPECT(MSG("Q", "\x06", "ab"), "Q error 08P01 invalid string in message\n");
    EXPECT(MSG("Q", "\x07", "a\0b"), "Q error 08P01 invalid message format\n");
    EXPECT(MSG("S", "\x05", "x"), "S error 08P01 invalid message format\n");
    EXPECT(MSG("D", "\x04", ""), "D error 08P01 no data left in message\n");
    EXPECT(MSG("D", "\x06", "x\0"), "D error 08P01 invalid DESCRIBE message subtype 120\n");
    EXPECT(MSG("C", "\x06", "x\0"), "C error 08P01 invalid CLOSE message subtype 120\n");
    EXPECT(MSG("E", "\x07", "\0\0\0"), "E error 08P01 insufficient data left in message\n");
    EXPECT(MSG("B", "\x10", "\0\0\0\0\0\1\0\0\0\2x\0"), "B error 08P01 insufficient data left in message\n");
    EXPECT(MSG("B", "\x0e", "\0\0\0\1\0\2\0\0\0\0"), "B error 22023 unsupported format code: 2\n");
    EXPECT(MSG("B", "\x10", "\0\0\0\2\0\0\0\1\0\0\0\0"),
           "B error 08P01 bind message has 2 parameter formats but 0 parameters\n");
    EXPECT(MSG("B", "\x10", "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"), "B error 08P01 insufficient data left in message\n");
    EXPECT(MSG("P", "\x08", "\0\0\0\1"), "P error 08P01 insufficient data left in message\n");
    EXPECT("y\0\0\0\4", "fatal invalid frontend message type 121\n");
    EXPECT("Q\0\0\0\3", "fatal invalid message length\n");
    EXPECT("Q\x7f\0\0\4", "fatal invalid message length\n");
    EXPECT("Q\xff\xff\xff\xff", "fatal invalid message length\n");
    EXPECT("S\0\1\0\0", "fatal invalid message length\n");
    expect("p\0\0\x20\0", 5, WIRE_AUTH, "fatal invalid message length\n");
    expect("\0\0\0\7", 4, WIRE_STARTUP, "fatal invalid length of startup packet\n");
    expect("\0\0\x27\x11", 4, WIRE_STARTUP, "fatal invalid length of startup packet\n");
}

/* Every proper prefix of every message's body, with a length that says so: an error, or a message, never a crash. */
static void every_truncation_is_answered(void **state)
{
    (void)state;
    size_t at = 0;
    while (at < sizeof CONVERSATION - 1) {
        size_t bytes = load_be32(CONVERSATION + at + 1) - 4;
        for (size_t n = 0; n < bytes; n++) {
            char *exact = malloc(n + 1); /* so that the sanitizer sees a read past its end */
            memcpy(exact, CONVERSATION + at + 5, n);
            WireFrame frame = {(uint8_t)CONVERSATION[at], false, ST_OK, {exact, n}};
            WireMsg m;
            Status st = wire_decode(&frame, NULL, &m);
            assert_true(st == ST_OK ? frame.type == 'd' || frame.type == 'p' : st == ST_PROTOCOL_VIOLATION);
            free(exact);
        }
        at += 5 + bytes;
    }
}

static void random_bytes_never_crash(void **state)
{
    (void)state;
    static const char types[] = "BCdcfDEHFPpQSX";
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Fixture f;
        Rng rng;
        rng_seed(&rng, seed);
        begin(&f, WIRE_MAIN);
        for (int i = 0; i < 20; i++) {
            char bytes[64];
            size_t n = rng_below(&rng, 40);
            for (size_t j = 0; j < n; j++) {
                bytes[5 + j] = (char)rng_below(&rng, rng_below(&rng, 2) ? 3 : 256);
            }
            bytes[0] = types[rng_below(&rng, sizeof types - 1)];
            store_be32(bytes + 1, (uint32_t)(n + 4 + (rng_below(&rng, 30) == 0)));
            feed(&f, bytes, n + 5, 1 + rng_below(&rng, 50));
            f.logged = 0;
            if (f.err.status != ST_OK) {
                break;
            }
        }
        end(&f);
    }
}

/* A length that is only claimed costs nothing; the buffer follows the bytes and goes back after them. */
static void large_messages_grow_with_their_bytes(void **state)
{
    (void)state;
    enum { BYTES = 64 << 20 };
    Fixture *f = malloc(sizeof *f);
    size_t sent = 0;
    begin(f, WIRE_MAIN);
    char header[5] = "Q";
    store_be32(header + 1, BYTES + 4);
    feed(f, header, 5, 5);
    assert_true(budget_used(&f->budget) <= WIRE_BASE_BYTES);
    WireFrame frame;
    while (sent < BYTES) {
        char *p;
        size_t n;
        assert_int_equal(wire_space(&f->in, &f->err, &p, &n), ST_OK);
        n = n < 65536 ? n : 65536;
        memset(p, 'x', n);
        sent += n;
        if (sent == BYTES) {
            p[n - 1] = '\0';
        }
        assert_true(sent <= BYTES); /* does not read into the next message */
        wire_filled(&f->in, n);
        assert_true(budget_used(&f->budget) <= 2 * (sent + WIRE_BASE_BYTES));
        assert_int_equal(wire_next(&f->in, &f->err, &frame), sent < BYTES ? ST_WOULD_BLOCK : ST_OK);
    }
    WireMsg m;
    assert_int_equal(wire_decode(&frame, &f->err, &m), ST_OK);
    assert_int_equal(m.query.text.len, BYTES - 1);
    feed(f, CONVERSATION, sizeof CONVERSATION - 1, 3);
    assert_string_equal(f->log, EXPECTED);
    assert_int_equal(wire_in_bytes(&f->in), WIRE_BASE_BYTES);
    end(f);
    free(f);
}

static void a_message_without_room_is_read_over_and_told(void **state)
{
    (void)state;
    static char message[100000];
    Fixture f;
    begin(&f, WIRE_MAIN);
    budget_set_limit(&f.budget, 40000);
    message[0] = 'Q';
    store_be32(message + 1, sizeof message - 1);
    feed(&f, message, sizeof message, 777);
    feed(&f, CONVERSATION, sizeof CONVERSATION - 1, 777);
    assert_memory_equal(f.log, "Q error 53200 out of memory\n", 28);
    assert_string_equal(f.log + 28, EXPECTED);
    end(&f);
}

static void copy_data_is_not_collected(void **state)
{
    (void)state;
    static char data[60000];
    Fixture f;
    begin(&f, WIRE_MAIN);
    memset(data, 'x', sizeof data);
    char header[5] = "d";
    store_be32(header + 1, sizeof data + 4);
    feed(&f, header, 5, 5);
    feed(&f, data, sizeof data, 9999);
    assert_int_equal(f.logged, sizeof data + 3);
    assert_int_equal(wire_in_bytes(&f.in), WIRE_BASE_BYTES);
    end(&f);
}

static Status start(const char *p, size_t n, WireStart *out, Error *err)
{
    err_clear(err);
    return wire_decode_start((Str){p, n}, err, out);
}
#define START(bytes) start(bytes, sizeof(bytes) - 1, &s, &err)

static void startup_packets(void **state)
{
    (void)state;
    WireStart s;
    static Error err;
    assert_int_equal(START("\x04\xd2\x16\x2f"), ST_OK);
    assert_int_equal(s.kind, WIRE_START_SSL);
    assert_int_equal(START("\x04\xd2\x16\x30"), ST_OK);
    assert_int_equal(s.kind, WIRE_START_GSSENC);
    assert_int_equal(START("\x04\xd2\x16\x2e\0\0\0\x2a"
                           "key!"),
                     ST_OK);
    assert_int_equal(s.kind, WIRE_START_CANCEL);
    assert_int_equal(s.cancel_pid, 42);
    assert_true(str_eq(s.cancel_key, STR_LIT("key!")));
    assert_int_equal(START("\x04\xd2\x16\x2e\0\0\0\x2a"
                           "k"),
                     ST_PROTOCOL_VIOLATION);
    assert_int_equal(START("\0\3\0\0user\0me\0application_name\0psql\0\0"), ST_OK);
    assert_true(str_eq(s.user, STR_LIT("me")) && str_eq(s.database, s.user) && !s.negotiate);
    assert_int_equal(s.protocol, WIRE_PROTOCOL_3_0);
    size_t cursor = 0;
    Str name;
    Str value;
    assert_true(wire_start_param(&s, &cursor, &name, &value) && str_eq(name, STR_LIT("user")));
    assert_true(wire_start_param(&s, &cursor, &name, &value) && str_eq(value, STR_LIT("psql")));
    assert_false(wire_start_param(&s, &cursor, &name, &value));
    assert_int_equal(START("\0\3\0\2user\0me\0database\0d\0_pq_.x\0on\0\0"), ST_OK);
    assert_true(s.protocol == WIRE_PROTOCOL_3_2 && s.negotiate && s.extensions == 1);
    assert_int_equal(START("\0\3\x27\x0fuser\0me\0\0"), ST_OK);
    assert_true(s.protocol == WIRE_PROTOCOL_3_2 && s.negotiate);
    assert_int_equal(START("\0\3\0\1user\0me\0\0"), ST_OK);
    assert_true(s.protocol == WIRE_PROTOCOL_3_0 && s.negotiate);
    assert_int_equal(START("\0\2\0\0user\0me\0\0"), ST_FEATURE_NOT_SUPPORTED);
    assert_string_equal(err.message, "unsupported frontend protocol 2.0: server supports 3.0 to 3.2");
    assert_int_equal(START("\0\3\0\0user\0me\0"), ST_PROTOCOL_VIOLATION);
    assert_string_equal(err.message, "invalid startup packet layout: expected terminator as last byte");
    assert_int_equal(START("\0\3\0\0user\0me\0\0x"), ST_PROTOCOL_VIOLATION);
    assert_int_equal(START("\0\3\0\0user\0"), ST_PROTOCOL_VIOLATION);
    assert_int_equal(START("\0\3\0\0database\0me\0\0"), ST_INVALID_AUTHORIZATION_SPECIFICATION);
    assert_string_equal(err.message, "no PostgreSQL user name specified in startup packet");
}

static void passwords_and_sasl(void **state)
{
    (void)state;
    Str a;
    Str b;
    bool has;
    assert_int_equal(wire_decode_password(STR_LIT("x\0"), NULL, &a), ST_OK);
    assert_true(str_eq(a, STR_LIT("x")));
    assert_int_equal(wire_decode_password(STR_LIT("\0"), NULL, &a), ST_INVALID_PASSWORD);
    assert_int_equal(wire_decode_password(STR_LIT("x"), NULL, &a), ST_PROTOCOL_VIOLATION);
    assert_int_equal(wire_decode_password(STR_LIT("x\0y\0"), NULL, &a), ST_PROTOCOL_VIOLATION);
    assert_int_equal(wire_decode_password(STR_LIT(""), NULL, &a), ST_PROTOCOL_VIOLATION);
    assert_int_equal(wire_decode_sasl_initial(STR_LIT("M\0\0\0\0\2hi"), NULL, &a, &has, &b), ST_OK);
    assert_true(has && str_eq(a, STR_LIT("M")) && str_eq(b, STR_LIT("hi")));
    assert_int_equal(wire_decode_sasl_initial(STR_LIT("M\0\xff\xff\xff\xff"), NULL, &a, &has, &b), ST_OK);
    assert_false(has);
    assert_int_equal(wire_decode_sasl_initial(STR_LIT("M\0\0\0\0\3hi"), NULL, &a, &has, &b), ST_PROTOCOL_VIOLATION);
    assert_int_equal(wire_decode_sasl_initial(STR_LIT("M\0\0\0\0\1hi"), NULL, &a, &has, &b), ST_PROTOCOL_VIOLATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_portion_gives_the_same_messages),
        cmocka_unit_test(malformed_messages_are_refused_in_postgresqls_words),
        cmocka_unit_test(every_truncation_is_answered),
        cmocka_unit_test(random_bytes_never_crash),
        cmocka_unit_test(large_messages_grow_with_their_bytes),
        cmocka_unit_test(a_message_without_room_is_read_over_and_told),
        cmocka_unit_test(copy_data_is_not_collected),
        cmocka_unit_test(startup_packets),
        cmocka_unit_test(passwords_and_sasl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
