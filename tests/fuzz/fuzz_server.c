/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of a whole server: the input is what one peer sends. The first byte says in what pieces, and
 * whether the peer ends in order or with its socket closed. The server runs on this program's event_base, in
 * one thread, so that every input has one course; it lives on from input to input, and after each it must
 * have no connection, call or buffer left. What it sends must be fields, or answers of HTTP/1.1.
 */
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "http_answers.h"
#include "messages.msgsrv.h"

enum {
    HELD_MAX = 64,
    TURNS_MAX = 200000, /* of the loop, for one input; more is a loop that does not end */
    QUIET_TURNS = 4,    /* without anything happening: all that was sent is dealt with */
    LIMIT = 4096        /* of a message; small, so that inputs reach it */
};

static struct event_base *base;
static msgsrv_server *server;
static msgsrv_held *held[HELD_MAX];
static size_t held_count;

/* A text that begins with 'h' is answered later; the others are echoed. */
static msgsrv_status echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                          void *ctx)
{
    (void)ctx;
    response->text = request->text;
    if (!request->text || request->text[0] != 'h' || held_count == HELD_MAX)
        return MSGSRV_OK;
    held[held_count] = msgsrv_call_hold(call);
    FUZZ_CHECK(held[held_count] != NULL);
    held_count++;
    return MSGSRV_DEFERRED;
}

/* Sends the call's metadata back. */
static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx)
{
    const msgsrv_metadata_set *set = msgsrv_call_metadata(call);

    (void)ctx;
    for (size_t i = 0; i < msgsrv_metadata_count(set); i++) {
        (void)msgsrv_call_add_head(call, msgsrv_metadata_at(set, i), NULL);
        (void)msgsrv_call_add_trailer(call, msgsrv_metadata_at(set, i), NULL);
    }
    if (__builtin_add_overflow(request->a, request->b, &response->result))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", request->a, request->b);
    return MSGSRV_OK;
}

/* Streams: as many numbers as were asked for; a sum; a text back for each. A negative number or a text that begins with 'h' pauses. */
static msgsrv_status pump(messages_Demo_Count_server call)
{
    messages_CountReply reply = {.number = (int32_t)(intptr_t)msgsrv_stream_data(call.stream)};
    while (reply.number > 0) {
        msgsrv_status status = messages_Demo_Count_server_send(call, &reply, NULL);
        if (status)
            return status;
        reply.number--;
        msgsrv_stream_set_data(call.stream, (void *)(intptr_t)reply.number);
    }
    return msgsrv_stream_finish(call.stream);
}

static msgsrv_status count(messages_Demo_Count_server call, const messages_CountRequest *request, void *ctx)
{
    (void)ctx;
    msgsrv_stream_set_data(call.stream, (void *)(intptr_t)(request->last & 0xffff));
    return pump(call);
}

static msgsrv_status count_on(messages_Demo_Count_server call, void *ctx)
{
    (void)ctx;
    return pump(call);
}

static msgsrv_status sum(messages_Demo_Sum_server call, const messages_SumRequest *request, void *ctx)
{
    (void)ctx;
    if (request->value < 0) {
        msgsrv_stream_pause(call.stream);
        msgsrv_stream_wake_after(call.stream, 1);
    }
    if (request->value == 7)
        (void)msgsrv_stream_keep(call.stream);
    return request->value == 13 ? MSGSRV_OUT_OF_RANGE : MSGSRV_OK;
}

/* A pause ends: what waits behind it, and the half-close after that, would otherwise keep the call open for ever. */
static msgsrv_status sum_woken(messages_Demo_Sum_server call, void *ctx)
{
    (void)ctx;
    msgsrv_stream_resume(call.stream);
    return MSGSRV_OK;
}

static msgsrv_status summed(messages_Demo_Sum_server call, messages_SumReply *response, void *ctx)
{
    (void)call;
    (void)ctx;
    response->sum = 1;
    return MSGSRV_OK;
}

static msgsrv_status chat(messages_Demo_Chat_server call, const messages_EchoMessage *message, void *ctx)
{
    (void)ctx;
    if (message->text && message->text[0] == 'h')
        msgsrv_stream_wake_after(call.stream, 1);
    return messages_Demo_Chat_server_send(call, message, NULL);
}

static void must(msgsrv_status status, const msgsrv_error *error)
{
    if (status != MSGSRV_OK)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(status), error->text);
    FUZZ_CHECK(status == MSGSRV_OK);
}

static void stop(void)
{
    msgsrv_server_free(server);
    event_base_free(base);
}

/* Once for the process. Times are short, so that an input that waits for one is over soon. */
static void start(void)
{
    static const messages_Demo_service demo = {.Echo = echo,
                                               .Add = add,
                                               .Count = {.begin = count, .writable = count_on},
                                               .Sum = {.message = sum, .half_close = summed, .woken = sum_woken},
                                               .Chat = {.message = chat}};
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_server_options options = {
        .size = sizeof(options),
        .max_message = LIMIT,
        .max_calls = 8,
        .max_output = 4096,
        .frame_timeout_ms = 20,
        .output_timeout_ms = 1000,
        .linger_ms = 1,
        .ping_burst = 4,
        .idle_frames_per_second = 64,
        .plain_max_calls = 4,
        .plain_max_bytes = 1024,
        .plain_timeout_ms = 20,
        .max_unread = 4096,
    };
    char url[64];

    base = event_base_new();
    FUZZ_CHECK(base != NULL);
    options.base = base;
    snprintf(url, sizeof(url), "unix:@msgsrv-fuzz-%d", (int)getpid());
    must(msgsrv_server_new(&options, &server, &error), &error);
    must(messages_Demo_register(server, &demo, NULL, &error), &error);
    must(msgsrv_server_bind_plain(server, 1, "/messages.Demo/Echo", 1, &error), &error);
    must(msgsrv_server_bind_plain(server, 2, "/messages.Demo/Add", 2, &error), &error);
    must(msgsrv_server_listen(server, url, &error), &error);
    must(msgsrv_server_start(server, &error), &error);
    atexit(stop);
}

static int connect_peer(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "msgsrv-fuzz-%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(
        !connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)));
    return fd;
}

/* What came from the server, checked as it comes: tags of wire type 2, and lengths; or HTTP. */
typedef struct peer {
    int fd;
    bool http; /* the first byte was an H, which is no tag */
    uint64_t checked;
    http_answers answers;
    bool ended;
    unsigned char header[16]; /* of the field that has begun */
    size_t header_size;
    uint64_t left; /* of its payload */
    bool opaque;   /* it has made the connection one of HTTP/2, whose output fuzz_h2.c looks at */
} peer;

/* Whether the header is whole; if so, `left` is set. */
#ifdef FUZZ_HTTP2
static bool whole_header(peer *p)
{
    if (p->header_size < 9)
        return false;
    p->left = (uint64_t)p->header[0] << 16 | (uint64_t)p->header[1] << 8 | p->header[2];
    FUZZ_CHECK(p->left <= 16384 && p->header[3] <= 9);
    return true;
}
#else
static bool whole_header(peer *p)
{
    uint64_t values[2] = {0};
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        unsigned shift = 0;

        do {
            if (at == p->header_size)
                return false;
            values[i] |= (uint64_t)(p->header[at] & 0x7f) << shift;
            shift += 7;
            FUZZ_CHECK(shift <= 35);
        } while (p->header[at++] & 0x80);
    }
    FUZZ_CHECK((values[0] & 7) == 2 && values[0] >> 3 >= 1 && values[0] >> 3 <= 24);
    p->left = values[1];
    return true;
}
#endif

static void check_output(peer *p, const unsigned char *data, size_t size)
{
    if (!p->checked)
        p->http = !p->opaque && data[0] == 'H';
    p->checked += size;
    if (p->http) {
        http_answers_check(&p->answers, data, size);
        return;
    }
    for (size_t i = 0; i < size && !p->opaque; i++) {
        if (p->left) {
            p->left--;
            continue;
        }
        p->header[p->header_size++] = data[i];
        if (whole_header(p))
            p->header_size = 0;
    }
}

/* Takes in what came; returns whether there was something. */
static bool receive(peer *p)
{
    unsigned char chunk[16384];
    ssize_t n = p->ended ? -1 : recv(p->fd, chunk, sizeof(chunk), 0);

    if (n > 0)
        check_output(p, chunk, (size_t)n);
    else if (!p->ended && (n == 0 || errno != EAGAIN))
        p->ended = true;
    else
        return false;
    return true;
}

static uint64_t received(void)
{
    msgsrv_stats stats = {.size = sizeof(stats)};

    msgsrv_server_stats(server, &stats);
    return stats.bytes_received + stats.bytes_sent + stats.connections_accepted;
}

/* Runs the loop until nothing happens any more. */
static void settle(peer *p)
{
    for (int quiet = 0, turns = 0; quiet < QUIET_TURNS; turns++) {
        uint64_t before = received();

        FUZZ_CHECK(turns < TURNS_MAX);
        event_base_loop(base, EVLOOP_NONBLOCK);
        quiet = receive(p) || received() != before ? 0 : quiet + 1;
    }
}

static void send_all(peer *p, const uint8_t *data, size_t size, size_t piece)
{
    while (size && !p->ended) {
        ssize_t n = send(p->fd, data, size < piece ? size : piece, MSG_NOSIGNAL);

        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (errno != EAGAIN) {
            return;
        }
        settle(p);
        if (n < 0 && !held_count && !p->ended)
            event_base_loop(base, EVLOOP_ONCE); /* it has stopped reading until a time has passed */
        while (n < 0 && held_count)
            (void)msgsrv_held_fail(held[--held_count], MSGSRV_ABORTED, "the peer waits");
    }
}

/* Every second one is answered; the others are given up. */
static void answer_held(void)
{
    messages_EchoMessage response = messages_EchoMessage_init_zero;
    char text[] = "late";

    response.text = text;
    while (held_count) {
        held_count--;
        if (held_count % 2)
            (void)messages_Demo_Echo_reply(held[held_count], &response);
        else
            msgsrv_held_drop(held[held_count]);
    }
}

static void expect_nothing_left(void)
{
    msgsrv_stats stats = {.size = sizeof(stats)};

    for (int turns = 0;; turns++) {
        msgsrv_server_stats(server, &stats);
        if (!stats.connections_open && !stats.calls_open)
            break;
        FUZZ_CHECK(turns < TURNS_MAX);
        event_base_loop(base, EVLOOP_ONCE);
    }
    FUZZ_CHECK(stats.input_buffered_bytes == 0);
    FUZZ_CHECK(stats.output_buffered_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 3, 7, 64, 1000, 4096, 16384};
    static peer p;

    if (!size)
        return 0;
    if (!server)
        start();
    p = (peer){.fd = connect_peer()};
    settle(&p);
#ifndef FUZZ_HTTP2
    p.opaque = size > 14 && memcmp(data + 1, "PRI * HTTP/2.0", 14) == 0;
#else
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    send_all(&p, (const uint8_t *)preface, sizeof preface,
             SIZE_MAX); /* and empty SETTINGS, whose last byte is the text's end */
#endif
    send_all(&p, data + 1, size - 1, pieces[data[0] % 8]);
    if (data[0] & 8) {
        close(p.fd);
        p.ended = true;
        answer_held();
    } else {
        answer_held();
        shutdown(p.fd, SHUT_WR);
        settle(&p);
        for (int turns = 0; !p.ended; turns++) {
            FUZZ_CHECK(turns < TURNS_MAX);
            event_base_loop(base, EVLOOP_ONCE);
            receive(&p);
            answer_held();
        }
        close(p.fd);
    }
    expect_nothing_left();
    return 0;
}
