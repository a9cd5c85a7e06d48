/* SPDX-License-Identifier: MIT */
/*
 * Connecting. Names are looked up by libevent's evdns, which blocks nothing and makes no thread; addresses and localhost (RFC 6761,
 * section 6.3) need no lookup. An attempt's time is shared evenly by the addresses that are left.
 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A lookup in progress. evdns keeps it until it calls back, which can be after the dialer has gone: evdns_getaddrinfo_cancel() puts the
 * answer off too, and then touches a base that was freed meanwhile.
 */
typedef struct lookup {
    msi_dialer *dialer; /* NULL: nobody waits any more */
} lookup;

#define ADDRESSES_MAX 16u
#define REASON_MAX 128u

typedef union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} endpoint;

struct msi_dialer {
    msi_loop *loop;
    msi_url url;
    uint32_t timeout_ms;
    msi_dial_fn done;
    void *ctx;
    uint64_t deadline; /* of the attempt */
    struct evdns_base *dns;
    lookup *lookup;      /* NULL: none */
    struct event *event; /* of the socket, or the lookup's time limit */
    int fd;
    endpoint addresses[ADDRESSES_MAX];
    socklen_t sizes[ADDRESSES_MAX];
    size_t count;
    size_t next;
    char reason[REASON_MAX];
};

msi_dialer *msi_dialer_new(msi_loop *loop, const msi_url *url, uint32_t timeout_ms, msi_dial_fn done, void *ctx)
{
    msi_dialer *dialer = calloc(1, sizeof *dialer);
    if (!dialer)
        return NULL;
    dialer->loop = loop;
    dialer->url = *url;
    dialer->timeout_ms = timeout_ms;
    dialer->done = done;
    dialer->ctx = ctx;
    dialer->fd = -1;
    return dialer;
}

static void drop_event(msi_dialer *dialer)
{
    if (dialer->event)
        event_free(dialer->event);
    dialer->event = NULL;
}

static void say(msi_dialer *dialer, const char *reason)
{
    snprintf(dialer->reason, sizeof dialer->reason, "%s", reason);
    dialer->reason[0] = (char)tolower((unsigned char)dialer->reason[0]);
}

static void fail(msi_dialer *dialer)
{
    dialer->done(dialer->ctx, -1, NULL, dialer->reason);
}

static void try_next(msi_dialer *dialer);

static void abandon(msi_dialer *dialer, int error)
{
    drop_event(dialer);
    if (dialer->fd >= 0)
        close(dialer->fd);
    dialer->fd = -1;
    say(dialer, error == ETIMEDOUT ? "connection timed out" : strerror(error));
}

/*
 * A connect to a free port of the local range can meet itself (simultaneous open); that is nobody's server.
 */
static bool is_itself(int fd)
{
    endpoint here;
    endpoint there;
    socklen_t here_size = sizeof here;
    socklen_t there_size = sizeof there;
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    if (getsockname(fd, &here.any, &here_size) != 0 || getpeername(fd, &there.any, &there_size) != 0)
        return false;
    if (here.any.sa_family == AF_INET)
        return here.v4.sin_port == there.v4.sin_port && here.v4.sin_addr.s_addr == there.v4.sin_addr.s_addr;
    return here.any.sa_family == AF_INET6 && here.v6.sin6_port == there.v6.sin6_port &&
           memcmp(&here.v6.sin6_addr, &there.v6.sin6_addr, sizeof here.v6.sin6_addr) == 0;
}

static void connected(msi_dialer *dialer)
{
    if (is_itself(dialer->fd)) {
        abandon(dialer, ECONNREFUSED);
        try_next(dialer);
        return;
    }
    int fd = dialer->fd;
    msi_address address;
    msi_address_take(&address, fd, &dialer->addresses[dialer->next - 1].any);
    drop_event(dialer);
    dialer->fd = -1;
    dialer->done(dialer->ctx, fd, &address, NULL);
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    msi_dialer *dialer = arg;
    msi_loop *loop = dialer->loop;
    msi_loop *before = msi_loop_enter(loop);
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if ((what & EV_WRITE) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error) {
        abandon(dialer, error);
        try_next(dialer);
    } else {
        connected(dialer);
    }
    msi_loop_leave(loop, before);
}

/* Waits for the connect that is in progress. */
static bool wait_for_connect(msi_dialer *dialer)
{
    uint64_t now = msi_loop_now(dialer->loop);
    uint64_t left = dialer->deadline > now ? dialer->deadline - now : 0;
    uint64_t share = left / (dialer->count - dialer->next + 1);
    dialer->event = event_new(dialer->loop->base, dialer->fd, EV_WRITE, on_connect, dialer);
    return dialer->event && msi_timer_at(dialer->loop, dialer->event, now + share);
}

static void try_next(msi_dialer *dialer)
{
    while (dialer->next < dialer->count) {
        size_t at = dialer->next++;
        const struct sockaddr *address = &dialer->addresses[at].any;
        dialer->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dialer->fd < 0) {
            abandon(dialer, errno);
            continue;
        }
        if (connect(dialer->fd, address, dialer->sizes[at]) == 0) {
            connected(dialer);
            return;
        }
        int error = errno;
        if (error == EINPROGRESS && wait_for_connect(dialer))
            return;
        abandon(dialer, error == EINPROGRESS ? ENOMEM : error);
    }
    fail(dialer);
}

static void add_address(msi_dialer *dialer, const struct sockaddr *address, socklen_t size)
{
    if (dialer->count == ADDRESSES_MAX || size > sizeof(endpoint))
        return;
    memcpy(&dialer->addresses[dialer->count], address, size);
    dialer->sizes[dialer->count++] = size;
}

static void add_v4(msi_dialer *dialer, struct in_addr ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(dialer->url.port), .sin_addr = ip};
    add_address(dialer, (const struct sockaddr *)&v4, sizeof v4);
}

static void add_v6(msi_dialer *dialer, struct in6_addr ip)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(dialer->url.port), .sin6_addr = ip};
    add_address(dialer, (const struct sockaddr *)&v6, sizeof v6);
}

static void add_unix(msi_dialer *dialer)
{
    const msi_url *url = &dialer->url;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t length = strlen(url->path);
    memcpy(local.sun_path + url->abstract, url->path, length);
    add_address(dialer, (const struct sockaddr *)&local,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1));
}

/* Addresses that need no lookup. */
static bool add_known(msi_dialer *dialer)
{
    const char *host = dialer->url.host;
    struct in_addr v4;
    struct in6_addr v6;
    if (dialer->url.kind == MSI_URL_UNIX) {
        add_unix(dialer);
    } else if (inet_pton(AF_INET, host, &v4) == 1) {
        add_v4(dialer, v4);
    } else if (inet_pton(AF_INET6, host, &v6) == 1) {
        add_v6(dialer, v6);
    } else if (strcasecmp(host, "localhost") == 0) {
        add_v6(dialer, in6addr_loopback);
        add_v4(dialer, (struct in_addr){htonl(INADDR_LOOPBACK)});
    } else {
        return false;
    }
    return true;
}

static void looked_up(int result, struct evutil_addrinfo *found, void *arg)
{
    lookup *cell = arg;
    msi_dialer *dialer = cell->dialer;
    free(cell);
    if (!dialer) {
        if (found)
            evutil_freeaddrinfo(found);
        return;
    }
    msi_loop *loop = dialer->loop;
    msi_loop *before = msi_loop_enter(loop);
    dialer->lookup = NULL;
    drop_event(dialer);
    for (const struct evutil_addrinfo *at = found; at; at = at->ai_next)
        add_address(dialer, at->ai_addr, at->ai_addrlen);
    if (found)
        evutil_freeaddrinfo(found);
    if (dialer->count == 0) {
        snprintf(dialer->reason, sizeof dialer->reason, "cannot look up \"%.64s\": %s", dialer->url.host,
                 result ? evutil_gai_strerror(result) : "it has no addresses");
        fail(dialer);
    } else {
        try_next(dialer);
    }
    msi_loop_leave(loop, before);
}

static void on_lookup_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_dialer *dialer = arg;
    msi_loop *loop = dialer->loop;
    msi_loop *before = msi_loop_enter(loop);
    msi_dialer_stop(dialer);
    snprintf(dialer->reason, sizeof dialer->reason, "looking up \"%.64s\" timed out", dialer->url.host);
    fail(dialer);
    msi_loop_leave(loop, before);
}

static void look_up(msi_dialer *dialer)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof port, "%u", dialer->url.port);
    /* Made anew for each attempt, so that a changed resolv.conf is seen. */
    if (dialer->dns)
        evdns_base_free(dialer->dns, 1);
    dialer->dns =
        evdns_base_new(dialer->loop->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    dialer->event = event_new(dialer->loop->base, -1, 0, on_lookup_timeout, dialer);
    lookup *cell = malloc(sizeof *cell);
    if (!dialer->dns || !dialer->event || !cell || !msi_timer_at(dialer->loop, dialer->event, dialer->deadline)) {
        free(cell);
        drop_event(dialer);
        say(dialer, dialer->dns ? "no memory" : "no name servers: /etc/resolv.conf cannot be used");
        fail(dialer);
        return;
    }
    *cell = (lookup){dialer};
    dialer->lookup = cell;
    /* It may call back before it returns. */
    (void)evdns_getaddrinfo(dialer->dns, dialer->url.host, port, &hints, looked_up, cell);
}

void msi_dialer_start(msi_dialer *dialer)
{
    dialer->count = 0;
    dialer->next = 0;
    dialer->deadline = msi_loop_now(dialer->loop) + dialer->timeout_ms * MSI_MS;
    if (add_known(dialer))
        try_next(dialer);
    else
        look_up(dialer);
}

void msi_dialer_stop(msi_dialer *dialer)
{
    if (dialer->lookup) {
        dialer->lookup->dialer = NULL;
        dialer->lookup = NULL;
        evdns_base_free(dialer->dns, 1);
        dialer->dns = NULL;
    }
    drop_event(dialer);
    if (dialer->fd >= 0)
        close(dialer->fd);
    dialer->fd = -1;
}

void msi_dialer_free(msi_dialer *dialer)
{
    if (!dialer)
        return;
    msi_dialer_stop(dialer);
    if (dialer->dns)
        evdns_base_free(dialer->dns, 1);
    free(dialer);
}
