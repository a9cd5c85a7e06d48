/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of gRPC's client: the input is what a server sends on a connection that has three calls open, on streams 1, 3 and 5: a unary one, one that
 * is sent a stream, and one both ways. The first byte says in what pieces, and whether the server's settings go before it. Whatever comes,
 * each call ends once, and nothing is left.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <msgsrv/msgsrv.h>
#include <msgsrv/service.h>

#include "fuzz.h"

enum { TURNS = 3, CALLS = 3, LIMIT = 4096 };

static const msgsrv_method methods[CALLS] = {
    {MSGSRV_GENERATED_ABI, MSGSRV_UNARY, "/fuzz.S/Unary", &msgsrv_raw_type, &msgsrv_raw_type},
    {MSGSRV_GENERATED_ABI, MSGSRV_SERVER_STREAMING, "/fuzz.S/Down", &msgsrv_raw_type, &msgsrv_raw_type},
    {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, "/fuzz.S/Both", &msgsrv_raw_type, &msgsrv_raw_type},
};
static unsigned ended[CALLS];
static int listener = -1;
static char url[64];

static void on_complete(const msgsrv_reply *reply, void *response, const void *closure)
{
    (void)closure;
    (void)response;
    FUZZ_CHECK(reply->status != MSGSRV_OK || response);
    ended[0]++;
}

static msgsrv_status on_event(const void *closure, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                              void *out, void *ctx)
{
    int call = *(const int *)closure;
    msgsrv_bytes message = {"a message", 9, NULL};

    (void)out;
    (void)ctx;
    FUZZ_CHECK(ended[call] == 0);
    if (event == MSGSRV_STREAM_CLOSED)
        ended[call]++;
    if (call == 2 && (event == MSGSRV_STREAM_BEGIN || event == MSGSRV_STREAM_WRITABLE))
        (void)msgsrv_stream_send(stream, &message, NULL);
    if (call == 2 && event == MSGSRV_STREAM_MESSAGE)
        (void)msgsrv_stream_send(stream, in, NULL);
    return MSGSRV_OK;
}

static void start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "msgsrv-fuzz-grpc-%d", (int)getpid());

    snprintf(url, sizeof url, "grpc+unix:@msgsrv-fuzz-grpc-%d", (int)getpid());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(listener >= 0);
    FUZZ_CHECK(!bind(listener, (struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)));
    FUZZ_CHECK(!listen(listener, 16));
}

static void drain(int fd)
{
    char chunk[16384];
    while (recv(fd, chunk, sizeof chunk, 0) > 0) {
    }
}

static void turn(struct event_base *base, int fd)
{
    for (int i = 0; i < TURNS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    drain(fd);
}

static void begin(msgsrv_client *client)
{
    static const char text[] = "a request";
    msgsrv_bytes request = {text, sizeof text - 1, NULL};
    msgsrv_error error;

    FUZZ_CHECK(!msgsrv_client_start(client, &methods[0], &request, NULL, on_complete, NULL, 0, NULL, &error));
    for (int call = 1; call < CALLS; call++)
        FUZZ_CHECK(!msgsrv_stream_open(client, &methods[call], call == 1 ? &request : NULL, NULL, on_event, &call,
                                       sizeof call, NULL, NULL, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 3, 7, 64, 1000, 4096, 16384};
    static const uint8_t settings[18] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1};
    msgsrv_client *client = NULL;

    if (size == 0)
        return 0;
    if (listener < 0)
        start();
    memset(ended, 0, sizeof ended);
    struct event_base *base = event_base_new();
    FUZZ_CHECK(base != NULL);
    msgsrv_client_options options = {.base = base, .max_message = LIMIT, .max_metadata = 512};
    FUZZ_CHECK(!msgsrv_client_new(url, &options, &client, NULL));
    begin(client);
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
        event_base_loop(base, EVLOOP_NONBLOCK);
    turn(base, fd);
    if (data[0] & 8)
        FUZZ_CHECK(send(fd, settings, sizeof settings, MSG_NOSIGNAL) == sizeof settings);
    size_t piece = pieces[data[0] % 8];
    for (size_t at = 1; at < size;) {
        ssize_t n = send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN)
            break;
        turn(base, fd);
    }
    close(fd);
    for (int i = 0; i < TURNS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    msgsrv_client_free(client);
    for (int call = 0; call < CALLS; call++)
        FUZZ_CHECK(ended[call] == 1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) /* where calls that were not taken went next */
        close(fd);
    return 0;
}
