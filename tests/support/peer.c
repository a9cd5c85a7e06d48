/* SPDX-License-Identifier: MIT */
/*
 * The socket of peer.h: connecting, sending and receiving. Sockets are non-blocking; poll(2) waits. While
 * sending, whatever comes is taken in, so that a test and a server that both write can never block each
 * other, unless the test wants that.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_CHUNK = 64 * 1024, SMALL_BUFFER = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

static socklen_t parse_tcp(const char *url, union address *out)
{
    char host[64];
    unsigned port;

    ck_assert_msg(sscanf(url, "tcp://%63[0-9.]:%u", host, &port) == 2, "cannot read the address %s", url);
    out->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET, host, &out->in.sin_addr), 1);
    return sizeof(out->in);
}

static socklen_t parse_unix(const char *url, union address *out)
{
    const char *path = url + strlen(url[5] == '@' ? "unix:" : "unix://");
    size_t size = strlen(path);

    ck_assert_uint_lt(size, sizeof(out->un.sun_path));
    out->un = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->un.sun_path, path, size);
    if (*path != '@')
        return sizeof(out->un);
    out->un.sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static ts_peer *peer_of(int fd)
{
    ts_peer *peer = calloc(1, sizeof(*peer));

    ck_assert_ptr_nonnull(peer);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    peer->fd = fd;
    return peer;
}

/* NULL with errno when nobody listens there. */
static ts_peer *connect_to(const char *url, int receive_buffer)
{
    union address address;
    bool local = !strncmp(url, "unix:", 5);
    socklen_t size = local ? parse_unix(url, &address) : parse_tcp(url, &address);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    if (connect(fd, &address.any, size)) {
        close(fd);
        return NULL;
    }
    if (!local)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return peer_of(fd);
}

static ts_peer *must_connect(const char *url, int receive_buffer)
{
    ts_peer *peer = connect_to(url, receive_buffer);

    ck_assert_msg(peer != NULL, "cannot connect to %s: %s", url, strerror(errno));
    return peer;
}

ts_peer *ts_peer_connect(const char *url)
{
    return must_connect(url, 0);
}

ts_peer *ts_peer_connect_small(const char *url)
{
    return must_connect(url, SMALL_BUFFER);
}

ts_peer *ts_peer_try_connect(const char *url)
{
    return connect_to(url, 0);
}

void ts_peer_free(ts_peer *peer)
{
    if (!peer)
        return;
    close(peer->fd);
    ts_bytes_release(&peer->in);
    free(peer);
}

void ts_peer_reset(ts_peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    ts_peer_free(peer);
}

/* Takes in one portion. Returns false when nothing is there now, or after the end. */
static bool receive(ts_peer *peer)
{
    unsigned char chunk[READ_CHUNK];
    ssize_t n;

    if (peer->ended)
        return false;
    n = recv(peer->fd, chunk, sizeof(chunk), 0);
    if (n > 0) {
        ts_put(&peer->in, chunk, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    peer->reset = n < 0;
    peer->ended = true;
    return false;
}

static short wait_for(ts_peer *peer, short events, uint64_t until, const char *what)
{
    struct pollfd one = {.fd = peer->fd, .events = events};
    uint64_t now = ts_now_ms();

    if (now >= until || poll(&one, 1, (int)(until - now)) == 0)
        ts_fail("waited %d s in vain for %s", TS_GUARD_MS / 1000, what);
    return one.revents;
}

bool ts_peer_try_send(ts_peer *peer, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t until = ts_guard();

    while (size) {
        ssize_t n = send(peer->fd, at, size, MSG_NOSIGNAL);

        if (n >= 0) {
            at += n;
            size -= (size_t)n;
            until = ts_guard();
        } else if (errno == EAGAIN) {
            short listen_too = peer->deaf || peer->ended ? 0 : POLLIN;

            if (wait_for(peer, (short)(POLLOUT | listen_too), until, "the socket to take more") & POLLIN)
                receive(peer);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void ts_peer_send_raw(ts_peer *peer, const void *data, size_t size)
{
    ck_assert_msg(ts_peer_try_send(peer, data, size), "the other side closed while %zu bytes were sent: %s", size,
                  strerror(errno));
}

void ts_peer_send(ts_peer *peer, ts_bytes *bytes)
{
    ts_peer_send_raw(peer, bytes->data, bytes->size);
    ts_bytes_release(bytes);
}

void ts_peer_half_close(ts_peer *peer)
{
    ck_assert_int_eq(shutdown(peer->fd, SHUT_WR), 0);
}

/* Moves what is unread to the front, now and then, so that long tests do not grow for ever. */
static void compact(ts_peer *peer)
{
    if (peer->taken < READ_CHUNK || peer->taken < peer->in.size / 2)
        return;
    memmove(peer->in.data, peer->in.data + peer->taken, peer->in.size - peer->taken);
    peer->in.size -= peer->taken;
    peer->taken = 0;
}

static void receive_more(ts_peer *peer, const char *what)
{
    wait_for(peer, POLLIN, ts_guard(), what);
    receive(peer);
}

const ts_frame *ts_peer_next(ts_peer *peer)
{
    compact(peer);
    for (;;) {
        size_t unread = peer->in.size - peer->taken;
        size_t size = unread ? ts_frame_read(peer->in.data + peer->taken, unread, &peer->frame) : 0;

        if (size) {
            peer->taken += size;
            return &peer->frame;
        }
        if (peer->ended) {
            ck_assert_msg(!unread || peer->reset, "the connection ended inside a frame, %zu bytes of it came", unread);
            return NULL;
        }
        receive_more(peer, "a frame or the end of the connection");
    }
}

void ts_peer_fill(ts_peer *peer, size_t size)
{
    while (!peer->ended && peer->in.size - peer->taken < size)
        receive_more(peer, "more bytes");
}

void ts_peer_look(ts_peer *peer)
{
    while (receive(peer))
        ;
}

const unsigned char *ts_peer_rest(ts_peer *peer, size_t *size)
{
    ts_peer_fill(peer, SIZE_MAX);
    *size = peer->in.size - peer->taken;
    return *size ? peer->in.data + peer->taken : (const unsigned char *)"";
}

static void open_on(ts_listener *listener, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener->fd, 0);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    ck_assert_int_eq(bind(listener->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener->fd, 16), 0);
    ck_assert_int_eq(getsockname(listener->fd, (struct sockaddr *)&address, &size), 0);
    snprintf(listener->url, sizeof(listener->url), "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
}

void ts_listener_open(ts_listener *listener)
{
    open_on(listener, 0);
}

void ts_listener_open_port(ts_listener *listener, unsigned port)
{
    open_on(listener, port);
}

unsigned ts_listener_port(const ts_listener *listener)
{
    return (unsigned)strtoul(strrchr(listener->url, ':') + 1, NULL, 10);
}

ts_peer *ts_listener_accept(ts_listener *listener)
{
    struct pollfd one = {.fd = listener->fd, .events = POLLIN};
    int fd;

    if (poll(&one, 1, TS_GUARD_MS) != 1)
        ts_fail("waited %d s in vain for a connection", TS_GUARD_MS / 1000);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return peer_of(fd);
}

void ts_listener_close(ts_listener *listener)
{
    close(listener->fd);
    listener->fd = -1;
}
