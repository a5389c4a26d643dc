/*
 * A minimal server made of this module, auth and os/socket, and PostgreSQL's own psql as its client: start-up, SCRAM
 * with the right and a wrong password, and one query. Skipped where psql is not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/scram.h"
#include "net/order.h"
#include "net/pgwire.h"
#include "net/reply.h"
#include "os/socket.h"
#include "os/thread.h"

typedef struct Server {
    NetListener listener;
    const char *record; /* NULL: the user does not exist */
    bool logged_in;
} Server;

typedef struct Conn {
    int fd;
    Budget budget;
    Error err;
    WireIn in;
    OutQueue out;
    Order order;
    ScramServer scram;
    StrBuf answer;
    bool scram_begun;
    bool open;
} Conn;

static void flush(Conn *c)
{
    struct iovec iov[8];
    unsigned n;
    while (c->open && (n = outq_vectors(&c->out, LSN_MAX, iov, 8)) > 0) {
        size_t sent = 0;
        Status st = net_writev(c->fd, iov, n, &c->err, &sent);
        if (st == ST_WOULD_BLOCK) {
            st = net_wait(c->fd, true, 5000, &c->err);
        }
        c->open = st == ST_OK;
        outq_consume(&c->out, sent);
    }
}

static void give_up(Conn *c)
{
    Status st = reply_problem(&c->out, LSN_NONE, REPLY_FATAL, &c->err, NULL);
    (void)st;
    flush(c);
    c->open = false;
}

static Status on_start(Conn *c, const WireFrame *frame)
{
    WireStart start;
    Status st = wire_decode_start(frame->body, &c->err, &start);
    if (st != ST_OK) {
        return st;
    }
    if (start.kind == WIRE_START_SSL || start.kind == WIRE_START_GSSENC) {
        return reply_encryption(&c->out, LSN_NONE, 'N', &c->err);
    }
    order_event(&c->order, ORDER_SESSION);
    wire_set_phase(&c->in, WIRE_AUTH);
    return reply_auth(&c->out, LSN_NONE, REPLY_AUTH_SASL, scram_mechanisms(false), &c->err);
}

static Status begin_scram(Conn *c, const Server *s, Str *io_body)
{
    PasswordRecord record;
    Str mechanism;
    bool has;
    Status st = wire_decode_sasl_initial(*io_body, &c->err, &mechanism, &has, io_body);
    if (st == ST_OK && s->record != NULL) {
        st = password_parse(str_from(s->record), &c->err, &record);
    }
    if (st != ST_OK) {
        return st;
    }
    ScramServerOptions o = {.user = STR_LIT("tester"),
                            .verifier = s->record != NULL ? &record.scram : NULL,
                            .mock_secret = (const uint8_t *)"0123456789abcdef0123456789abcdef",
                            .mock_iterations = 4096};
    c->scram_begun = true;
    return scram_server_init(&c->scram, &o, mechanism, &c->err);
}

static Status on_password(Conn *c, Server *s, Str body)
{
    ScramResult result;
    Status st = c->scram_begun ? ST_OK : begin_scram(c, s, &body);
    if (st != ST_OK) {
        return st;
    }
    strbuf_reset(&c->answer);
    st = scram_server_step(&c->scram, body, &c->answer, &c->err, &result);
    if (st != ST_OK) {
        return st;
    }
    if (result == SCRAM_MORE) {
        return reply_auth(&c->out, LSN_NONE, REPLY_AUTH_SASL_CONTINUE, strbuf_str(&c->answer), &c->err);
    }
    s->logged_in = true;
    assert_int_equal(reply_auth(&c->out, LSN_NONE, REPLY_AUTH_SASL_FINAL, strbuf_str(&c->answer), NULL), ST_OK);
    assert_int_equal(reply_auth(&c->out, LSN_NONE, REPLY_AUTH_OK, STR_LIT(""), NULL), ST_OK);
    assert_int_equal(reply_parameter(&c->out, LSN_NONE, STR_LIT("server_version"), STR_LIT("15.0"), NULL), ST_OK);
    assert_int_equal(reply_parameter(&c->out, LSN_NONE, STR_LIT("client_encoding"), STR_LIT("UTF8"), NULL), ST_OK);
    assert_int_equal(reply_key_data(&c->out, LSN_NONE, 1, STR_LIT("abcd"), NULL), ST_OK);
    assert_int_equal(reply_ready(&c->out, LSN_NONE, 'I', NULL), ST_OK);
    wire_set_phase(&c->in, WIRE_MAIN);
    order_event(&c->order, ORDER_READY);
    return ST_OK;
}

/* Answers any query with one row: the query's text. */
static Status on_query(Conn *c, Str text)
{
    static const ReplyColumn column = {{"text", 4}, 0, 0, 25, -1, -1, 0};
    assert_int_equal(reply_row_description(&c->out, LSN_NONE, &column, 1, NULL), ST_OK);
    Reply r = reply_row_begin(&c->out, 1);
    reply_value(&r, text.p, text.len);
    assert_int_equal(reply_end(&r, LSN_NONE, NULL), ST_OK);
    assert_int_equal(reply_command_complete(&c->out, LSN_NONE, STR_LIT("SELECT 1"), NULL), ST_OK);
    order_event(&c->order, ORDER_READY);
    return reply_ready(&c->out, LSN_NONE, 'I', NULL);
}

static void on_frame(Conn *c, Server *s, const WireFrame *frame)
{
    WireMsg m;
    Status st = ST_OK;
    OrderAction action = order_message(&c->order, frame->type, &c->err);
    if (action == ORDER_END) {
        c->open = false;
    } else if (action == ORDER_VIOLATION) {
        give_up(c);
    } else if (action == ORDER_HANDLE && frame->type == 0) {
        st = on_start(c, frame);
    } else if (action == ORDER_HANDLE) {
        st = wire_decode(frame, &c->err, &m);
        if (st == ST_OK && m.type == WIRE_PASSWORD) {
            st = on_password(c, s, m.password.body);
        } else if (st == ST_OK && m.type == WIRE_QUERY) {
            st = on_query(c, m.query.text);
        }
    }
    if (st != ST_OK) {
        give_up(c);
    }
}

static void read_some(Conn *c)
{
    char *p;
    size_t n;
    Status st = wire_space(&c->in, &c->err, &p, &n);
    if (st == ST_OK) {
        st = net_read(c->fd, p, n, &c->err, &n);
    }
    if (st == ST_OK) {
        wire_filled(&c->in, n);
    } else if (st != ST_WOULD_BLOCK || net_wait(c->fd, false, 5000, &c->err) != ST_OK) {
        c->open = false;
    }
}

static void serve(Server *s, int fd)
{
    Conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->open = true;
    c->order = order_start();
    budget_init(&c->budget, "connection", NULL, 0, 0);
    wire_in_init(&c->in, &c->budget);
    outq_init(&c->out, &c->budget);
    strbuf_init(&c->answer, &c->budget);
    while (c->open) {
        WireFrame frame;
        Status st = wire_next(&c->in, &c->err, &frame);
        if (st == ST_WOULD_BLOCK) {
            flush(c);
            read_some(c);
        } else if (st == ST_OK) {
            on_frame(c, s, &frame);
        } else {
            give_up(c);
        }
    }
    scram_server_done(&c->scram);
    strbuf_done(&c->answer);
    outq_done(&c->out);
    wire_in_done(&c->in);
    budget_done(&c->budget);
    net_close(fd);
    free(c);
}

static void serve_one(void *arg)
{
    Server *s = arg;
    int fd;
    NetAddr peer;
    if (net_wait(s->listener.fd, false, 10000, NULL) == ST_OK && net_accept(&s->listener, NULL, &fd, &peer) == ST_OK) {
        serve(s, fd);
    }
}

/* Runs psql with the password; its output and errors into `out`. */
static void run_psql(Server *s, const char *password, char *out, size_t out_bytes)
{
    char command[512];
    OsThread *thread;
    Error err = {0};
    assert_int_equal(net_listen_tcp("127.0.0.1", 0, 8, &err, &s->listener), ST_OK);
    assert_int_equal(os_thread_start("server", serve_one, s, &err, &thread), ST_OK);
    snprintf(command, sizeof command,
             "PGPASSWORD='%s' PGCONNECT_TIMEOUT=10 psql -X -A -t -w -h 127.0.0.1 -p %u -U tester -d db "
             "-c 'select whatever' 2>&1",
             password, s->listener.addr.port);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(out, 1, out_bytes - 1, pipe);
    out[n] = '\0';
    pclose(pipe);
    os_thread_join(thread);
    net_listener_close(&s->listener);
}

static bool have_psql(void)
{
    return system("command -v psql >/dev/null 2>&1") == 0;
}

static void psql_logs_in_with_a_password(void **state)
{
    (void)state;
    Budget budget;
    StrBuf record;
    char out[1024];
    if (!have_psql()) {
        skip();
    }
    budget_init(&budget, "test", NULL, 0, 0);
    strbuf_init(&record, &budget);
    assert_int_equal(password_make(STR_LIT("s\xc3\xa4sam"), 4096, &budget, &record, NULL), ST_OK);
    Server right = {.record = record.p};
    run_psql(&right, "s\xc3\xa4sam", out, sizeof out);
    assert_string_equal(out, "select whatever\n");
    assert_true(right.logged_in);
    Server wrong = {.record = record.p};
    run_psql(&wrong, "open", out, sizeof out);
    assert_non_null(strstr(out, "FATAL:  password authentication failed for user \"tester\""));
    assert_false(wrong.logged_in);
    Server unknown = {.record = NULL};
    run_psql(&unknown, "s\xc3\xa4sam", out, sizeof out);
    assert_non_null(strstr(out, "FATAL:  password authentication failed for user \"tester\""));
    strbuf_done(&record);
    budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(psql_logs_in_with_a_password)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
