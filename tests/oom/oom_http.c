/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 without memory. Server and peer share one base and one thread. Whatever fails, the peer gets whole answers, or the end of the
 * connection; nothing leaks, and the next connection is served.
 */
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_support.h"
#include "failing.h"

/* What one sweep asks for, on a connection of its own. */
struct path {
    struct event_base *base;
    msgsrv_server *server;
    const char *requests;
    size_t size;
    unsigned answers;
    int fd;
    char got[65536];
    size_t got_size;
    bool ended;
};

static int connect_to(const msgsrv_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = strstr(msgsrv_server_address(server, 0), "@") + 1;
    size_t size = strlen(name);
    memcpy(address.sun_path + 1, name, size);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size)))
        ck_abort_msg("cannot connect: %d", errno);
    return fd;
}

static void open_path(void *ctx)
{
    static unsigned number;
    struct path *path = ctx;
    char url[64];
    msgsrv_error error;
    snprintf(url, sizeof url, "unix:@msgsrv-oom-http-%d-%u", (int)getpid(), number++);
    static const messages_Demo_service demo = {.Echo = api_echo, .Add = api_add};
    msgsrv_server_options options = {.size = sizeof options, .base = path->base, .linger_ms = 1};
    if (msgsrv_server_new(&options, &path->server, &error) || messages_Demo_register(path->server, &demo, NULL, &error) ||
        msgsrv_server_listen(path->server, url, &error) || msgsrv_server_start(path->server, &error))
        ck_abort_msg("%s", error.text);
}

/* How many whole answers have come. */
static unsigned whole_answers(const struct path *path)
{
    unsigned count = 0;
    size_t at = 0;
    while (at < path->got_size) {
        const char *end = memmem(path->got + at, path->got_size - at, "\r\n\r\n", 4);
        if (!end)
            break;
        const char *length = memmem(path->got + at, (size_t)(end - path->got) - at, "\r\nContent-Length: ", 18);
        size_t body = length ? strtoul(length + 18, NULL, 10) : 0;
        at = (size_t)(end + 4 - path->got) + body;
        count += at <= path->got_size;
    }
    return count;
}

static void ask(void *ctx)
{
    struct path *path = ctx;
    int64_t until = api_now_ms() + API_GUARD_MS;
    path->fd = connect_to(path->server);
    path->got_size = 0;
    path->ended = false;
    if (send(path->fd, path->requests, path->size, MSG_NOSIGNAL) != (ssize_t)path->size)
        ck_abort_msg("cannot send");
    while (!path->ended && whole_answers(path) < path->answers) {
        if (api_now_ms() > until)
            ck_abort_msg("neither answered nor closed");
        event_base_loop(path->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        ssize_t size = recv(path->fd, path->got + path->got_size, sizeof path->got - path->got_size, 0);
        if (size > 0)
            path->got_size += (size_t)size;
        else if (size == 0 || errno != EAGAIN)
            path->ended = true;
    }
    close(path->fd);
}

static void check(void *ctx, bool failed, unsigned n)
{
    struct path *path = ctx;
    ck_assert_msg(failed || whole_answers(path) == path->answers, "allocation %u: %u answers", n, whole_answers(path));
    ask(path); /* with memory */
    ck_assert_uint_eq(whole_answers(path), path->answers);
    ck_assert_int_eq(memcmp(path->got, "HTTP/1.1 ", 9), 0);
    msgsrv_server_free(path->server);
}

static void sweep(const char *requests, unsigned answers)
{
    failing_take_libevent();
    struct path path = {.base = event_base_new(), .requests = requests, .size = strlen(requests), .answers = answers};
    ck_assert_uint_gt(failing_sweep(open_path, ask, check, &path), 0);
    event_base_free(path.base);
}

#define JSON "Host: x\r\nContent-Type: application/json\r\n"

START_TEST(json)
{
    sweep("POST /messages.Demo/Add HTTP/1.1\r\n" JSON
          "Some-Key: value\r\ndata-bin: AAEC\r\nContent-Length: 13\r\n\r\n{\"a\":2,\"b\":3}",
          1);
}
END_TEST

START_TEST(chunks_and_protobuf)
{
    sweep("POST /messages.Demo/Add HTTP/1.1\r\n" JSON
          "Transfer-Encoding: chunked\r\n\r\n6\r\n{\"a\":2\r\n1\r\n}\r\n0\r\n\r\n"
          "POST /messages.Demo/Add HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: "
          "2\r\n\r\n\x08\x02",
          2);
}
END_TEST

START_TEST(refusals)
{
    sweep("POST /messages.Demo/Add HTTP/1.1\r\n" JSON "Content-Length: 7\r\n\r\n{\"a\":x}"
          "PUT /messages.Demo/Add HTTP/1.1\r\nHost: x\r\n\r\n"
          "POST /messages.Demo/Add HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
          "GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n"
          "GET / HTTP/1.1\nHost: x\r\n\r\n",
          5);
}
END_TEST

START_TEST(pages)
{
    sweep("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
          "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
          3);
}
END_TEST

TS_MAIN("oom_http", json, chunks_and_protobuf, refusals, pages)
