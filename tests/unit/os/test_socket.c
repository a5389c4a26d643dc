/*
 * Sockets on this machine: addresses, Unix sockets and their locks, one-shot events, wake-ups, credentials.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "os/socket.h"

static void addresses(void **state)
{
    (void)state;
    NetAddr a;
    char text[SOCKET_ADDR_TEXT_BYTES];
    assert_true(net_addr_parse("127.0.0.1", &a) && net_addr_is_loopback(&a));
    assert_true(net_addr_parse("::1", &a) && net_addr_is_loopback(&a));
    assert_true(net_addr_parse("::ffff:127.0.0.1", &a) && net_addr_is_loopback(&a));
    assert_true(net_addr_parse("128.0.0.1", &a) && !net_addr_is_loopback(&a));
    net_addr_text(&a, text);
    assert_string_equal(text, "128.0.0.1");
    assert_false(net_addr_parse("localhost", &a));
    assert_false(net_addr_parse("1.2.3", &a));
}

/* Connects to the listener and takes both ends. */
static void connect_pair(NetListener *l, const char *dir, int *out_client, int *out_server)
{
    Error err = {0};
    NetAddr peer;
    if (dir != NULL) {
        assert_int_equal(net_connect_unix(dir, l->addr.port, &err, out_client), ST_OK);
    } else {
        assert_int_equal(net_connect_tcp("127.0.0.1", l->addr.port, 5000, &err, out_client), ST_OK);
    }
    assert_int_equal(net_wait(l->fd, false, 5000, &err), ST_OK);
    assert_int_equal(net_accept(l, &err, out_server, &peer), ST_OK);
    assert_int_equal(peer.family, dir != NULL ? NET_UNIX : NET_IPV4);
    assert_int_equal(net_accept(l, &err, out_server + 1, &peer), ST_WOULD_BLOCK);
}

static void events_come_once_until_armed_again(void **state)
{
    (void)state;
    Error err = {0};
    NetListener l;
    NetPoller p;
    NetEvent e[4];
    unsigned n;
    int client;
    int server[2];
    size_t bytes;
    char buf[8];
    assert_int_equal(net_listen_tcp("127.0.0.1", 0, 8, &err, &l), ST_OK);
    assert_int_equal(net_poller_init(&p, &err), ST_OK);
    connect_pair(&l, NULL, &client, server);
    assert_int_equal(net_set_keepalive(server[0], &(NetKeepalive){60, 10, 3, 0}, &err), ST_OK);
    assert_int_equal(net_poller_add(&p, server[0], 42, NET_READ, &err), ST_OK);
    assert_int_equal(net_read(server[0], buf, sizeof buf, &err, &bytes), ST_WOULD_BLOCK);
    assert_int_equal(net_write(client, "hi", 2, &err, &bytes), ST_OK);
    assert_int_equal(net_poller_wait(&p, e, 4, 5000, &err, &n), ST_OK);
    assert_true(n == 1 && e[0].key == 42 && e[0].ready == NET_READ);
    assert_int_equal(net_write(client, "ho", 2, &err, &bytes), ST_OK);
    assert_int_equal(net_poller_wait(&p, e, 4, 50, &err, &n), ST_OK);
    assert_int_equal(n, 0);
    assert_int_equal(net_poller_arm(&p, server[0], 42, NET_READ | NET_WRITE, &err), ST_OK);
    assert_int_equal(net_poller_wait(&p, e, 4, 5000, &err, &n), ST_OK);
    assert_true(n == 1 && e[0].ready == (NET_READ | NET_WRITE));
    assert_int_equal(net_read(server[0], buf, sizeof buf, &err, &bytes), ST_OK);
    assert_int_equal(bytes, 4);
    net_poller_wake(&p);
    net_poller_wake(&p);
    assert_int_equal(net_poller_wait(&p, e, 4, 5000, &err, &n), ST_OK);
    assert_true(n == 1 && e[0].key == NET_WAKE_KEY);
    net_close(client);
    assert_int_equal(net_wait(server[0], false, 5000, &err), ST_OK);
    assert_int_equal(net_read(server[0], buf, sizeof buf, &err, &bytes), ST_END);
    net_poller_remove(&p, server[0]);
    net_close(server[0]);
    net_poller_done(&p);
    net_listener_close(&l);
}

static void a_port_belongs_to_one(void **state)
{
    (void)state;
    static Error err;
    NetListener a;
    NetListener b;
    err_clear(&err);
    assert_int_equal(net_listen_tcp("127.0.0.1", 0, 8, &err, &a), ST_OK);
    assert_int_equal(net_listen_tcp("127.0.0.1", a.addr.port, 8, &err, &b), ST_OBJECT_IN_USE);
    err_clear(&err);
    assert_int_equal(net_listen_tcp("localhost", 0, 8, &err, &b), ST_INVALID_PARAMETER_VALUE);
    net_listener_close(&a);
}

static void a_unix_socket_is_private_and_guarded(void **state)
{
    (void)state;
    static Error err;
    char dir[] = "/tmp/rdb_socket_XXXXXX";
    char path[64];
    NetListener a;
    NetListener b;
    struct stat sb;
    int client;
    int server[2];
    uint32_t uid;
    uint32_t pid;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", dir);
    FILE *stale = fopen(path, "w"); /* as a killed server leaves it: a file that nobody has locked */
    assert_non_null(stale);
    fclose(stale);
    assert_int_equal(net_listen_unix(dir, 5432, 8, &err, &a), ST_OK);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    assert_int_equal(net_listen_unix(dir, 5432, 8, &err, &b), ST_OBJECT_IN_USE);
    connect_pair(&a, dir, &client, server);
    assert_int_equal(net_peer_credentials(server[0], &err, &uid, &pid), ST_OK);
    assert_int_equal(uid, net_own_uid());
    assert_int_equal(pid, getpid());
    net_close(client);
    net_close(server[0]);
    net_listener_close(&a);
    assert_int_equal(net_listen_unix(dir, 5432, 8, NULL, &b), ST_OK);
    net_listener_close(&b);
    assert_int_equal(rmdir(dir), 0); /* nothing is left */
}

static Status count_one(void *arg, const NetInterface *i)
{
    assert_true(i->addr.family == NET_IPV4 || i->addr.family == NET_IPV6);
    ++*(int *)arg;
    return ST_OK;
}

static void the_machine_has_addresses_and_files(void **state)
{
    (void)state;
    int count = 0;
    assert_int_equal(net_interfaces(count_one, &count, NULL), ST_OK);
    assert_true(count > 0);
    assert_true(net_raise_files_max(256) >= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(events_come_once_until_armed_again),
        cmocka_unit_test(a_port_belongs_to_one),
        cmocka_unit_test(a_unix_socket_is_private_and_guarded),
        cmocka_unit_test(the_machine_has_addresses_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
