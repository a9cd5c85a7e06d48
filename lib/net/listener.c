/* SPDX-License-Identifier: MIT */
/* Listening sockets. When descriptors run out, accepting rests for a moment instead of spinning on a socket that stays readable. */
#include "net/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define REST_NS (100 * MSI_MS) /* after an accept failed for want of something */
#define URL_MAX 320
#define LAST_ACCEPTS 4096 /* how many more are taken when it stops; there may always be new ones */

struct msi_listener {
    msi_listener *next;
    int fd;
    msi_loop *loop;
    struct evconnlistener *acceptor;
    struct event *rest;
    msi_accept_fn accepted;
    void *ctx;
    dev_t device; /* of a Unix socket's path: only our own is removed */
    ino_t inode;
    char path[MSI_PATH_MAX + 1]; /* "" for other kinds */
    char url[URL_MAX];
};

static msgsrv_status system_error(const char *url, const char *what, msgsrv_error *error)
{
    msgsrv_status code = errno == EADDRINUSE                  ? MSGSRV_ALREADY_EXISTS
                         : errno == EACCES || errno == EPERM  ? MSGSRV_PERMISSION_DENIED
                         : errno == EMFILE || errno == ENFILE ? MSGSRV_RESOURCE_EXHAUSTED
                                                              : MSGSRV_UNAVAILABLE;
    return msi_error(error, code, "cannot %s %s: %s", what, url, strerror(errno));
}

/* Binds and listens one socket; its descriptor, or -1 with errno. */
static int bind_socket(const struct sockaddr *address, socklen_t size, const msi_listen_options *options)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int one = 1;
    /* So that a restart need not wait for the old connections' TIME_WAIT. */
    if (address->sa_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, address, size) == 0 && listen(fd, (int)options->backlog) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static msi_listener *add(msi_listener **list, int fd)
{
    msi_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    listener->fd = fd;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        msi_address_url((const struct sockaddr *)&address, size, listener->url, sizeof listener->url);
    listener->next = *list;
    *list = listener;
    return listener;
}

static msgsrv_status add_or_close(msi_listener **list, int fd, msgsrv_error *error)
{
    if (add(list, fd))
        return MSGSRV_OK;
    close(fd);
    return msi_error_memory(error);
}

void msi_listeners_cut(msi_listener **list, const msi_listener *before)
{
    while (*list != before) {
        msi_listener *first = *list;
        *list = first->next;
        first->next = NULL;
        msi_listeners_free(first);
    }
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
}

/* The port that the first address of a name got, for the others of the same URL. */
static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

static msgsrv_status listen_tcp(const char *url, const msi_url *parsed, const msi_listen_options *options,
                                msi_listener **list, msgsrv_error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", parsed->port);
    int failed = getaddrinfo(parsed->host, port, &hints, &found);
    if (failed)
        return msi_error(error, failed == EAI_MEMORY ? MSGSRV_RESOURCE_EXHAUSTED : MSGSRV_UNAVAILABLE,
                         "cannot look up %s: %s", parsed->host, gai_strerror(failed));
    const msi_listener *before = *list;
    uint16_t chosen = parsed->port;
    msgsrv_status status = MSGSRV_OK;
    for (const struct addrinfo *at = found; at && status == MSGSRV_OK; at = at->ai_next) {
        set_port(at->ai_addr, chosen);
        int fd = bind_socket(at->ai_addr, at->ai_addrlen, options);
        /* A host without IPv6 has names with IPv6 addresses all the same. */
        if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) && (at->ai_next || *list != before))
            continue;
        if (fd < 0)
            status = system_error(url, "listen on", error);
        else
            status = add_or_close(list, fd, error);
        if (status == MSGSRV_OK && chosen == 0)
            chosen = bound_port(fd);
    }
    freeaddrinfo(found);
    if (status)
        msi_listeners_cut(list, before);
    return status;
}

/* Whether a socket file is a leftover: nobody accepts there. */
static bool is_stale(const struct sockaddr_un *address, socklen_t size)
{
    struct stat info;
    if (stat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)address, size) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* The path is made with the mode from the start: between bind and chmod anybody could connect. */
static int bind_path(const struct sockaddr_un *address, socklen_t size, const msi_listen_options *options)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* fchmod before bind sets the mode with which bind makes the file (unix(7), "Pathname socket ownership"). */
    bool bound = fchmod(fd, (mode_t)options->socket_mode) == 0 && bind(fd, (const struct sockaddr *)address, size) == 0;
    if (bound && chmod(address->sun_path, (mode_t)options->socket_mode) == 0 && listen(fd, (int)options->backlog) == 0)
        return fd;
    int saved = errno;
    if (bound)
        (void)unlink(address->sun_path);
    close(fd);
    errno = saved;
    return -1;
}

static msgsrv_status listen_unix(const char *url, const msi_url *parsed, const msi_listen_options *options,
                                 msi_listener **list, msgsrv_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(parsed->path);
    memcpy(address.sun_path + parsed->abstract, parsed->path, length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (parsed->abstract) {
        int fd = bind_socket((const struct sockaddr *)&address, size, options);
        return fd < 0 ? system_error(url, "listen on", error) : add_or_close(list, fd, error);
    }
    int fd = bind_path(&address, size, options);
    if (fd < 0 && errno == EADDRINUSE) {
        if (is_stale(&address, size))
            (void)unlink(address.sun_path);
        else
            errno = EADDRINUSE;
        fd = bind_path(&address, size, options);
    }
    if (fd < 0)
        return system_error(url, "listen on", error);
    msgsrv_status status = add_or_close(list, fd, error);
    if (status)
        (void)unlink(address.sun_path);
    struct stat info;
    if (status == MSGSRV_OK && stat(address.sun_path, &info) == 0) {
        memcpy((*list)->path, parsed->path, length + 1);
        (*list)->device = info.st_dev;
        (*list)->inode = info.st_ino;
    }
    return status;
}

msgsrv_status msi_listen(const char *url, const msi_listen_options *options, msi_listener **list, msgsrv_error *error)
{
    msi_url parsed;
    msgsrv_status status = msi_url_parse(url, &parsed, error);
    if (status == MSGSRV_OK && parsed.grpc)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "\"%.80s\": listen on %s instead, which speaks gRPC too",
                           url, parsed.kind == MSI_URL_TCP ? "tcp://" : "unix:");
    if (status)
        return status;
    return parsed.kind == MSI_URL_TCP ? listen_tcp(url, &parsed, options, list, error)
                                      : listen_unix(url, &parsed, options, list, error);
}

msi_listener *msi_listener_next(const msi_listener *listener)
{
    return listener->next;
}

const char *msi_listener_url(const msi_listener *listener)
{
    return listener->url;
}

static void on_accept(struct evconnlistener *acceptor, evutil_socket_t fd, struct sockaddr *peer, int size, void *arg)
{
    (void)acceptor;
    (void)size;
    msi_listener *listener = arg;
    msi_loop *loop = listener->loop;
    msi_loop *before = msi_loop_enter(loop);
    listener->accepted(listener->ctx, fd, peer);
    msi_loop_leave(loop, before);
}

static bool rest(msi_listener *listener)
{
    struct timeval pause = {.tv_usec = (suseconds_t)(REST_NS / 1000)};
    return event_add(listener->rest, &pause) == 0;
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_listener *listener = arg;
    if (listener->acceptor && evconnlistener_enable(listener->acceptor) != 0)
        (void)rest(listener);
}

static void on_accept_error(struct evconnlistener *acceptor, void *arg)
{
    msi_listener *listener = arg;
    int saved = errno;
    msi_log_line(&listener->loop->log, MSGSRV_LOG_ERROR, "cannot accept on %s: %s; resting for 100 ms", listener->url,
                 strerror(saved));
    if (rest(listener))
        evconnlistener_disable(acceptor);
}

msgsrv_status msi_listener_start(msi_listener *listener, msi_loop *loop, msi_accept_fn accepted, void *ctx,
                                 msgsrv_error *error)
{
    listener->loop = loop;
    listener->accepted = accepted;
    listener->ctx = ctx;
    if (!listener->rest)
        listener->rest = event_new(loop->base, -1, 0, on_rested, listener);
    /* Backlog 0: it listens already. Enabled apart, because making one hides that enabling failed. */
    if (listener->rest && !listener->acceptor)
        listener->acceptor = evconnlistener_new(loop->base, on_accept, listener,
                                                LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, listener->fd);
    if (!listener->acceptor || evconnlistener_enable(listener->acceptor) != 0)
        return msi_error_memory(error);
    evconnlistener_set_error_cb(listener->acceptor, on_accept_error);
    return MSGSRV_OK;
}

void msi_listener_pause(msi_listener *listener)
{
    if (listener->acceptor)
        evconnlistener_disable(listener->acceptor);
}

/* Peers that the kernel has greeted already have perhaps sent calls: they are served rather than reset. */
static void take_waiting(msi_listener *listener)
{
    for (unsigned i = 0; i < LAST_ACCEPTS; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return;
        if (fd >= 0)
            listener->accepted(listener->ctx, fd, (const struct sockaddr *)&peer);
    }
}

static void remove_path(const msi_listener *listener)
{
    struct stat info;
    if (listener->path[0] && stat(listener->path, &info) == 0 && info.st_dev == listener->device &&
        info.st_ino == listener->inode)
        (void)unlink(listener->path);
}

static void close_listener(msi_listener *listener)
{
    if (listener->fd < 0)
        return;
    remove_path(listener);
    if (listener->acceptor)
        evconnlistener_free(listener->acceptor);
    close(listener->fd);
    if (listener->rest)
        event_free(listener->rest);
    listener->acceptor = NULL;
    listener->rest = NULL;
    listener->fd = -1;
}

void msi_listener_stop(msi_listener *listener)
{
    if (listener->fd < 0)
        return;
    /* Nobody new finds the way, then those on the way are taken. */
    remove_path(listener);
    listener->path[0] = '\0';
    take_waiting(listener);
    close_listener(listener);
}

void msi_listeners_free(msi_listener *list)
{
    while (list) {
        msi_listener *next = list->next;
        close_listener(list);
        free(list);
        list = next;
    }
}
