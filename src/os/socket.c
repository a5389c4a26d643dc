/*
 * os/socket.c: see socket.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "os/socket.h"

typedef union SocketAddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
} SocketAddr;

static Status failed(Error *err, const char *doing, int os_errno)
{
    char text[128];
    Status st = os_errno == ENOMEM || os_errno == ENOBUFS ? ST_OUT_OF_MEMORY : ST_SYSTEM_ERROR;
    return err_set(err, st, "could not %s: %s", doing, strerror_r(os_errno, text, sizeof text));
}

/* ---- addresses ---- */

static NetAddr from_sockaddr(const struct sockaddr *sa)
{
    NetAddr a = {.family = NET_UNIX};
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;
        a.family = NET_IPV4;
        a.port = ntohs(v4->sin_port);
        memcpy(a.bytes, &v4->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;
        a.family = NET_IPV6;
        a.port = ntohs(v6->sin6_port);
        memcpy(a.bytes, &v6->sin6_addr, 16);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) { /* an IPv4 client of a socket for both */
            a.family = NET_IPV4;
            memmove(a.bytes, a.bytes + 12, 4);
            memset(a.bytes + 4, 0, 12);
        }
    }
    return a;
}

static socklen_t to_sockaddr(const NetAddr *a, SocketAddr *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == NET_IPV4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(a->port);
        memcpy(&out->v4.sin_addr, a->bytes, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(a->port);
    memcpy(&out->v6.sin6_addr, a->bytes, 16);
    return sizeof out->v6;
}

void net_addr_text(const NetAddr *a, char out[SOCKET_ADDR_TEXT_BYTES])
{
    if (a->family == NET_UNIX) {
        strcpy(out, "[local]");
    } else {
        inet_ntop(a->family == NET_IPV4 ? AF_INET : AF_INET6, a->bytes, out, SOCKET_ADDR_TEXT_BYTES);
    }
}

bool net_addr_parse(const char *text, NetAddr *out_addr)
{
    NetAddr a = {.family = NET_IPV4};
    if (inet_pton(AF_INET, text, a.bytes) != 1) {
        a.family = NET_IPV6;
        if (inet_pton(AF_INET6, text, a.bytes) != 1) {
            return false;
        }
    }
    *out_addr = a;
    return true;
}

bool net_addr_is_loopback(const NetAddr *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    if (a->family == NET_IPV4) {
        return a->bytes[0] == 127;
    }
    return a->family == NET_IPV6 &&
           (memcmp(a->bytes, one, 16) == 0 || (memcmp(a->bytes, mapped, 12) == 0 && a->bytes[12] == 127));
}

Status net_interfaces(Status (*fn)(void *arg, const NetInterface *i), void *arg, Error *err)
{
    struct ifaddrs *list = NULL;
    Status st = ST_OK;
    if (getifaddrs(&list) != 0) {
        return failed(err, "read the addresses of this machine", errno);
    }
    for (struct ifaddrs *i = list; i != NULL && st == ST_OK; i = i->ifa_next) {
        if (i->ifa_addr != NULL && i->ifa_netmask != NULL &&
            (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6)) {
            st = fn(arg, &(NetInterface){from_sockaddr(i->ifa_addr), from_sockaddr(i->ifa_netmask)});
        }
    }
    freeifaddrs(list);
    return st;
}

/* ---- listening ---- */

static void set_flag(int fd, int level, int option)
{
    int on = 1;
    int rc = setsockopt(fd, level, option, &on, sizeof on);
    (void)rc; /* a preference; the socket works without */
}

static Status listen_failed(NetListener *l, Error *err, const char *what, int os_errno)
{
    char text[128];
    Status st = os_errno == EADDRINUSE ? ST_OBJECT_IN_USE : ST_SYSTEM_ERROR;
    net_listener_close(l);
    err_set(err, st, "could not listen on %s: %s", what, strerror_r(os_errno, text, sizeof text));
    if (st == ST_OBJECT_IN_USE) {
        err_hint(err, "Is another server running on that port? If not, wait a few seconds and retry.");
    }
    return st;
}

Status net_listen_tcp(const char *addr, uint16_t port, int backlog, Error *err, NetListener *out_listener)
{
    NetListener l = {.fd = -1, .lock_fd = -1, .addr = {.family = NET_IPV6}};
    char what[SOCKET_ADDR_TEXT_BYTES + 16];
    SocketAddr sa;
    bool all = addr == NULL || strcmp(addr, "*") == 0;
    if (!all && !net_addr_parse(addr, &l.addr)) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "\"%s\" is not a numeric IP address", addr);
    }
    l.addr.port = port;
    snprintf(what, sizeof what, "%s port %u", all ? "*" : addr, port);
    l.fd = socket(l.addr.family == NET_IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l.fd < 0 && all) { /* a machine without IPv6 */
        l.addr.family = NET_IPV4;
        l.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (l.fd < 0) {
        return listen_failed(&l, err, what, errno);
    }
    set_flag(l.fd, SOL_SOCKET, SO_REUSEADDR);
    if (l.addr.family == NET_IPV6) {
        int only = all ? 0 : 1;
        setsockopt(l.fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    socklen_t len = to_sockaddr(&l.addr, &sa);
    if (bind(l.fd, &sa.any, len) != 0 || listen(l.fd, backlog) != 0) {
        return listen_failed(&l, err, what, errno);
    }
    len = sizeof sa;
    if (getsockname(l.fd, &sa.any, &len) == 0) {
        l.addr = from_sockaddr(&sa.any);
    }
    *out_listener = l;
    return ST_OK;
}

static Status unix_path(const char *dir, uint16_t port, Error *err, char out[SOCKET_PATH_BYTES])
{
    int n = snprintf(out, SOCKET_PATH_BYTES, "%s/.s.PGSQL.%u", dir, port);
    if (n < 0 || (size_t)n >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "Unix-domain socket path \"%s/.s.PGSQL.%u\" is too long", dir,
                       port);
    }
    return ST_OK;
}

static void lock_path(const char *socket_path, char out[SOCKET_PATH_BYTES + 8])
{
    snprintf(out, SOCKET_PATH_BYTES + 8, "%s.lock", socket_path);
}

/* After locking: is the file we locked still the one with that name? Its owner may have removed it meanwhile. */
static bool still_named(int fd, const char *path)
{
    struct stat a;
    struct stat b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static Status lock_socket(const char *socket_path, Error *err, int *out_fd)
{
    char path[SOCKET_PATH_BYTES + 8];
    lock_path(socket_path, path);
    for (int attempt = 0; attempt < 10; attempt++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            int saved = errno;
            char text[128];
            return err_set(err, ST_SYSTEM_ERROR, "could not create lock file \"%s\": %s", path,
                           strerror_r(saved, text, sizeof text));
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            err_set(err, ST_OBJECT_IN_USE, "lock file \"%s\" is held by another server", path);
            err_hint(err, "Is another server using the socket file \"%s\"?", socket_path);
            return ST_OBJECT_IN_USE;
        }
        if (still_named(fd, path)) {
            *out_fd = fd;
            return ST_OK;
        }
        close(fd);
    }
    return err_set(err, ST_OBJECT_IN_USE, "lock file \"%s\" keeps changing", path);
}

/* The process id into the lock file, for people. */
static void write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0) {
        ssize_t written = write(fd, text, (size_t)n);
        (void)written; /* only a help to the reader */
    }
}

Status net_listen_unix(const char *dir, uint16_t port, int backlog, Error *err, NetListener *out_listener)
{
    NetListener l = {.fd = -1, .lock_fd = -1, .addr = {.family = NET_UNIX, .port = port}};
    char path[SOCKET_PATH_BYTES];
    SocketAddr sa = {.un = {.sun_family = AF_UNIX}};
    Status st = unix_path(dir, port, err, path);
    if (st == ST_OK) {
        st = lock_socket(path, err, &l.lock_fd);
    }
    if (st != ST_OK) {
        return st;
    }
    write_pid(l.lock_fd);
    strcpy(l.path, path);
    strcpy(sa.un.sun_path, path);
    if (unlink(path) != 0 && errno != ENOENT) { /* left by a server that died: we hold its lock */
        return listen_failed(&l, err, path, errno);
    }
    l.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Nobody can connect before listen, so the mode is set in time. */
    if (l.fd < 0 || bind(l.fd, &sa.any, sizeof sa.un) != 0 || chmod(path, 0700) != 0 || listen(l.fd, backlog) != 0) {
        return listen_failed(&l, err, path, errno);
    }
    *out_listener = l;
    return ST_OK;
}

void net_listener_close(NetListener *l)
{
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->lock_fd >= 0) {
        char path[SOCKET_PATH_BYTES + 8];
        lock_path(l->path, path);
        unlink(l->path);
        unlink(path); /* before the lock goes: see still_named */
        close(l->lock_fd);
    }
    l->fd = l->lock_fd = -1;
}

Status net_accept(const NetListener *l, Error *err, int *out_fd, NetAddr *out_peer)
{
    for (;;) {
        SocketAddr sa = {0};
        socklen_t len = sizeof sa;
        int fd = accept4(l->fd, &sa.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            *out_peer = l->addr.family == NET_UNIX ? (NetAddr){.family = NET_UNIX} : from_sockaddr(&sa.any);
            if (l->addr.family != NET_UNIX) {
                set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
            }
            *out_fd = fd;
            return ST_OK;
        }
        switch (errno) {
        case EAGAIN: return ST_WOULD_BLOCK;
        case EMFILE:
        case ENFILE: return err_set(err, ST_TOO_MANY_CONNECTIONS, "no file descriptor left for a connection");
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case EHOSTUNREACH:
        case ENETUNREACH: continue; /* accept(2): errors of that one connection */
        default: return failed(err, "accept a connection", errno);
        }
    }
}

static bool set_int(int fd, int level, int option, int value)
{
    return value == 0 || setsockopt(fd, level, option, &value, sizeof value) == 0;
}

Status net_set_keepalive(int fd, const NetKeepalive *k, Error *err)
{
    if (!set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) || !set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, k->idle_s) ||
        !set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, k->interval_s) || !set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, k->count) ||
        !set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, k->user_timeout_ms)) {
        return failed(err, "set the keepalive of a connection", errno);
    }
    return ST_OK;
}

Status net_peer_credentials(int fd, Error *err, uint32_t *out_uid, uint32_t *out_pid)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
        return failed(err, "get peer credentials", errno);
    }
    *out_uid = cred.uid;
    *out_pid = (uint32_t)cred.pid;
    return ST_OK;
}

uint32_t net_own_uid(void)
{
    return geteuid();
}

/* ---- connecting ---- */

/* The outcome of a connect in progress. */
static int finish_connect(int fd, int timeout_ms)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (net_wait(fd, true, timeout_ms, NULL) != ST_OK) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static int connect_to(const struct addrinfo *to, int timeout_ms, int *out_fd)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS || error == EINTR) {
        error = finish_connect(fd, timeout_ms);
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    *out_fd = fd;
    return 0;
}

Status net_connect_tcp(const char *host, uint16_t port, int timeout_ms, Error *err, int *out_fd)
{
    char service[8];
    char text[128];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int error = 0;
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) {
        return err_set(err, ST_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                       "could not translate host name \"%s\" to address: %s", host, gai_strerror(rc));
    }
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        error = connect_to(i, timeout_ms, out_fd);
        if (error == 0) {
            break;
        }
    }
    freeaddrinfo(list);
    return error == 0 ? ST_OK
                      : err_set(err, ST_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                                "connection to server at \"%s\", port %u failed: %s", host, port,
                                strerror_r(error, text, sizeof text));
}

Status net_connect_unix(const char *dir, uint16_t port, Error *err, int *out_fd)
{
    char path[SOCKET_PATH_BYTES];
    char text[128];
    SocketAddr sa = {.un = {.sun_family = AF_UNIX}};
    Status st = unix_path(dir, port, err, path);
    if (st != ST_OK) {
        return st;
    }
    strcpy(sa.un.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &sa.any, sizeof sa.un) != 0) {
        int saved = errno;
        net_close(fd);
        return err_set(err, ST_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                       "connection to server on socket \"%s\" failed: %s", path, strerror_r(saved, text, sizeof text));
    }
    *out_fd = fd;
    return ST_OK;
}

/* ---- bytes ---- */

static Status transfer_failed(Error *err, const char *doing, int os_errno)
{
    switch (os_errno) {
    case EAGAIN: return ST_WOULD_BLOCK;
    case EPIPE:
    case ECONNRESET:
    case ETIMEDOUT:
    case EHOSTUNREACH: return ST_END;
    default: return failed(err, doing, os_errno);
    }
}

Status net_read(int fd, void *p, size_t bytes, Error *err, size_t *out_bytes)
{
    ssize_t n;
    do {
        n = recv(fd, p, bytes, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return transfer_failed(err, "receive data from client", errno);
    }
    if (n == 0 && bytes > 0) {
        return ST_END;
    }
    *out_bytes = (size_t)n;
    return ST_OK;
}

Status net_writev(int fd, const struct iovec *iov, unsigned n, Error *err, size_t *out_bytes)
{
    ssize_t written;
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    do {
        written = sendmsg(fd, &msg, MSG_NOSIGNAL); /* writev would raise SIGPIPE, and the library has no handlers */
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
        return transfer_failed(err, "send data to client", errno);
    }
    *out_bytes = (size_t)written;
    return ST_OK;
}

Status net_write(int fd, const void *p, size_t bytes, Error *err, size_t *out_bytes)
{
    struct iovec iov = {(void *)(uintptr_t)p, bytes};
    return net_writev(fd, &iov, 1, err, out_bytes);
}

Status net_wait(int fd, bool writing, int timeout_ms, Error *err)
{
    struct pollfd p = {.fd = fd, .events = writing ? POLLOUT : POLLIN};
    int n;
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? ST_OK : n == 0 ? ST_WOULD_BLOCK : failed(err, "wait for a socket", errno);
}

void net_shutdown_write(int fd)
{
    shutdown(fd, SHUT_WR);
}

void net_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- events ---- */

Status net_poller_init(NetPoller *p, Error *err)
{
    NetPoller made = {epoll_create1(EPOLL_CLOEXEC), eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = NET_WAKE_KEY};
    if (made.epoll_fd < 0 || made.wake_fd < 0 || epoll_ctl(made.epoll_fd, EPOLL_CTL_ADD, made.wake_fd, &e) != 0) {
        Status st = failed(err, "create an epoll", errno);
        net_poller_done(&made);
        return st;
    }
    *p = made;
    return ST_OK;
}

void net_poller_done(NetPoller *p)
{
    net_close(p->epoll_fd);
    net_close(p->wake_fd);
    p->epoll_fd = p->wake_fd = -1;
}

static Status control(NetPoller *p, int op, int fd, uint64_t key, uint32_t events, Error *err)
{
    struct epoll_event e = {.events = events, .data.u64 = key};
    return epoll_ctl(p->epoll_fd, op, fd, &e) == 0 ? ST_OK : failed(err, "watch a socket", errno);
}

static uint32_t connection_events(uint32_t interest)
{
    return EPOLLET | EPOLLONESHOT | EPOLLRDHUP | (interest & NET_READ ? EPOLLIN : 0u) |
           (interest & NET_WRITE ? EPOLLOUT : 0u);
}

Status net_poller_add_listener(NetPoller *p, int fd, uint64_t key, Error *err)
{
    return control(p, EPOLL_CTL_ADD, fd, key, EPOLLIN | EPOLLEXCLUSIVE, err);
}

Status net_poller_add(NetPoller *p, int fd, uint64_t key, uint32_t interest, Error *err)
{
    return control(p, EPOLL_CTL_ADD, fd, key, connection_events(interest), err);
}

Status net_poller_arm(NetPoller *p, int fd, uint64_t key, uint32_t interest, Error *err)
{
    return control(p, EPOLL_CTL_MOD, fd, key, connection_events(interest), err);
}

void net_poller_remove(NetPoller *p, int fd)
{
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void net_poller_wake(NetPoller *p)
{
    uint64_t one = 1;
    ssize_t n = write(p->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN: it is awake already, many times over */
}

static uint32_t ready_of(uint32_t events)
{
    return (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? NET_READ : 0u) |
           (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? NET_WRITE : 0u) |
           (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? NET_HANGUP : 0u);
}

Status net_poller_wait(NetPoller *p, NetEvent *out_events, unsigned max, int timeout_ms, Error *err,
                       unsigned *out_count)
{
    enum { BATCH = 64 };
    struct epoll_event events[BATCH];
    int n = epoll_wait(p->epoll_fd, events, (int)(max < BATCH ? max : BATCH), timeout_ms);
    if (n < 0 && errno != EINTR) {
        return failed(err, "wait for events", errno);
    }
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == NET_WAKE_KEY) {
            uint64_t count;
            ssize_t got = read(p->wake_fd, &count, sizeof count);
            (void)got; /* another waiter may have taken it */
        }
        out_events[i] = (NetEvent){events[i].data.u64, ready_of(events[i].events)};
    }
    *out_count = n < 0 ? 0 : (unsigned)n;
    return ST_OK;
}

uint64_t net_raise_files_max(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    rlim_t target = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (limit.rlim_cur < target) {
        struct rlimit raised = {target, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit.rlim_cur = target;
        }
    }
    return limit.rlim_cur;
}
