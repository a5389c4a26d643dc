/*
 * os/socket.h: sockets, epoll and wake-ups: the only place with socket system calls.
 *
 * Everything is non-blocking and close-on-exec; the exceptions say so. Calls that would block answer ST_WOULD_BLOCK, a
 * peer that has gone ST_END; neither records an error. Nothing here runs under the deterministic scheduler: it tests
 * the engine, not the network.
 *
 * Unix sockets: as PostgreSQL, the socket <dir>/.s.PGSQL.<port> is guarded by a lock file beside it, <socket>.lock. Who
 * holds a lock on it (flock) owns the name, so a socket file left by a dead server is recognised and replaced, without
 * a race and without trusting process ids.
 */
#ifndef RDB_OS_SOCKET_H
#define RDB_OS_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "base/status.h"

enum { SOCKET_PATH_BYTES = 108 + 8, SOCKET_ADDR_TEXT_BYTES = 64 };

typedef enum NetFamily { NET_UNIX, NET_IPV4, NET_IPV6 } NetFamily;

/* An address: `bytes` in network order, 4 of them for IPv4, 16 for IPv6, none for a Unix socket. */
typedef struct NetAddr {
    NetFamily family;
    uint16_t port;
    uint8_t bytes[16];
} NetAddr;

/* "127.0.0.1", "::1", "[local]". */
void net_addr_text(const NetAddr *a, char out[SOCKET_ADDR_TEXT_BYTES]);
/* A numeric IPv4 or IPv6 address, nothing resolved; false if it is none. */
MUST_CHECK bool net_addr_parse(const char *text, NetAddr *out_addr);
/* 127.0.0.0/8, ::1, and the former mapped into IPv6. */
bool net_addr_is_loopback(const NetAddr *a);

/* Addresses of this machine with their masks, for the host rules samehost and samenet. Calls fn for each. */
typedef struct NetInterface {
    NetAddr addr;
    NetAddr mask;
} NetInterface;
STATUS net_interfaces(Status (*fn)(void *arg, const NetInterface *i), void *arg, Error *err);

/* ---- listening ---- */

typedef struct NetListener {
    int fd; /* -1 = closed */
    int lock_fd;
    NetAddr addr;                 /* with the port that was given by the system, if 0 was asked for */
    char path[SOCKET_PATH_BYTES]; /* of a Unix socket */
} NetListener;

/* `addr` NULL or "*" for all addresses, or a numeric address. ST_OBJECT_IN_USE when the port is taken. */
STATUS net_listen_tcp(const char *addr, uint16_t port, int backlog, Error *err, NetListener *out_listener);
/* Socket in `dir` with mode 0700. ST_OBJECT_IN_USE when a live server holds it. */
STATUS net_listen_unix(const char *dir, uint16_t port, int backlog, Error *err, NetListener *out_listener);
void net_listener_close(NetListener *l); /* removes a Unix socket's files */

/*
 * The next connection, with TCP_NODELAY. ST_WOULD_BLOCK: none. ST_TOO_MANY_CONNECTIONS: the process has no descriptor
 * left; the connection stays in the queue. Connections that died there are passed over.
 */
STATUS net_accept(const NetListener *l, Error *err, int *out_fd, NetAddr *out_peer);

typedef struct NetKeepalive {
    int idle_s; /* 0 = the system's default, each */
    int interval_s;
    int count;
    int user_timeout_ms;
} NetKeepalive;
STATUS net_set_keepalive(int fd, const NetKeepalive *k, Error *err);

/* User and process at the other end of a Unix socket. */
STATUS net_peer_credentials(int fd, Error *err, uint32_t *out_uid, uint32_t *out_pid);
uint32_t net_own_uid(void);

/* ---- connecting, for the shell: these block, up to the timeout; the descriptor then is non-blocking ---- */

STATUS net_connect_tcp(const char *host, uint16_t port, int timeout_ms, Error *err, int *out_fd);
STATUS net_connect_unix(const char *dir, uint16_t port, Error *err, int *out_fd);

/* ---- bytes ---- */

STATUS net_read(int fd, void *p, size_t bytes, Error *err, size_t *out_bytes);
STATUS net_write(int fd, const void *p, size_t bytes, Error *err, size_t *out_bytes);
STATUS net_writev(int fd, const struct iovec *iov, unsigned n, Error *err, size_t *out_bytes);
/* Waits for one socket; for clients. ST_WOULD_BLOCK: timed out. Negative timeout: for ever. */
STATUS net_wait(int fd, bool writing, int timeout_ms, Error *err);
void net_shutdown_write(int fd);
void net_close(int fd);

/* ---- events ---- */

enum { NET_READ = 1u << 0, NET_WRITE = 1u << 1, NET_HANGUP = 1u << 2 };

typedef struct NetEvent {
    uint64_t key; /* as given */
    uint32_t ready;
} NetEvent;

/*
 * An epoll with a wake-up. Connections are edge-triggered and one-shot: after an event a descriptor is silent until it
 * is armed again, so of the workers that wait on one poller exactly one gets it, and arming reports what is ready
 * already. Listeners are level-triggered and wake one waiter. Key NET_WAKE_KEY is the wake-up's. Any thread may call.
 */
#define NET_WAKE_KEY UINT64_MAX
typedef struct NetPoller {
    int epoll_fd;
    int wake_fd;
} NetPoller;

STATUS net_poller_init(NetPoller *p, Error *err);
void net_poller_done(NetPoller *p);
STATUS net_poller_add_listener(NetPoller *p, int fd, uint64_t key, Error *err);
STATUS net_poller_add(NetPoller *p, int fd, uint64_t key, uint32_t interest, Error *err);
STATUS net_poller_arm(NetPoller *p, int fd, uint64_t key, uint32_t interest, Error *err);
void net_poller_remove(NetPoller *p, int fd);
/* Wakes one waiter, now or the next to come; it sees NET_WAKE_KEY. */
void net_poller_wake(NetPoller *p);
/* At most `max` events; negative timeout: for ever. A signal ends the wait with none. */
STATUS net_poller_wait(NetPoller *p, NetEvent *out_events, unsigned max, int timeout_ms, Error *err,
                       unsigned *out_count);

/* Raises RLIMIT_NOFILE as far as allowed, to `wanted` at most; returns what holds now. */
uint64_t net_raise_files_max(uint64_t wanted);

#endif
