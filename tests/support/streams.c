/* SPDX-License-Identifier: MIT */
/* The service of streams.h, written against the untyped functions, as generated code is. */
#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "messages.msgsrv.h"

#define METHOD_OF(name, kind_, type)                                                                                   \
    {                                                                                                                  \
        .abi = MSGSRV_GENERATED_ABI, .kind = kind_, .path = "/test.Streams/" name, .request = &type, .response = &type \
    }
#define METHOD(name, kind) METHOD_OF(name, kind, msgsrv_raw_type)

const msgsrv_method ts_count_method = METHOD("Count", MSGSRV_SERVER_STREAMING);
const msgsrv_method ts_sum_method = METHOD("Sum", MSGSRV_CLIENT_STREAMING);
const msgsrv_method ts_chat_method = METHOD("Chat", MSGSRV_BIDI_STREAMING);

const msgsrv_method ts_typed_chat_method = METHOD_OF("TypedChat", MSGSRV_BIDI_STREAMING, messages_EchoMessage_type);
const msgsrv_method ts_typed_count_method = METHOD_OF("TypedCount", MSGSRV_SERVER_STREAMING, messages_EchoMessage_type);

/* One stream's. */
typedef struct state {
    unsigned long left; /* Count: messages to send */
    unsigned long sent;
    bool all;
    bool quiet;
    size_t size;
    int code;
    unsigned long messages; /* Sum */
    unsigned long bytes;
    bool defer;
    bool keep;
    bool ending; /* Chat: the client is done; so are we when nothing waits */
    uint32_t kept_items;
    uint32_t kept_bytes;
    bool waiting;
    char *waits; /* Chat: a message that found no room */
    size_t waits_size;
    char answer[64];
} state;

static void count(ts_streams *streams, unsigned *member)
{
    pthread_mutex_lock(&streams->mutex);
    ++*member;
    pthread_cond_broadcast(&streams->changed);
    pthread_mutex_unlock(&streams->mutex);
}

static state *state_of(msgsrv_stream *stream)
{
    return msgsrv_stream_data(stream);
}

static msgsrv_status begin(ts_streams *streams, msgsrv_stream *stream)
{
    state *own = calloc(1, sizeof *own);
    msgsrv_stream_set_data(stream, own);
    count(streams, &streams->begun);
    return MSGSRV_OK;
}

static msgsrv_status closed(ts_streams *streams, msgsrv_stream *stream, const msgsrv_error *outcome)
{
    state *own = state_of(stream);
    free(own->waits);
    free(own);
    msgsrv_stream_set_data(stream, NULL);
    pthread_mutex_lock(&streams->mutex);
    streams->last_closed = outcome->code;
    pthread_mutex_unlock(&streams->mutex);
    count(streams, &streams->closed);
    return MSGSRV_OK;
}

/* Eight digits at the beginning. */
static void put_number(char *body, unsigned long number)
{
    for (int i = 7; i >= 0; i--) {
        body[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

static msgsrv_status pump(msgsrv_stream *stream)
{
    state *own = state_of(stream);
    char *body = malloc(own->size + 1);
    memset(body, 'x', own->size + 1);
    msgsrv_status status = MSGSRV_OK;
    while (status == MSGSRV_OK && !own->quiet && (own->all || own->left)) {
        if (own->size >= 8)
            put_number(body, own->sent);
        status = msgsrv_stream_send(stream, &(msgsrv_bytes){body, own->size, NULL}, NULL);
        if (status == MSGSRV_OK && !own->all)
            own->left--;
        if (status == MSGSRV_OK)
            own->sent++;
    }
    free(body);
    if (status || own->quiet)
        return status;
    if (own->code)
        return msgsrv_stream_fail(stream, (msgsrv_status)own->code, "as asked");
    return msgsrv_stream_finish(stream);
}

static msgsrv_status begin_count(msgsrv_stream *stream, const msgsrv_bytes *request)
{
    state *own = state_of(stream);
    char text[64] = "";
    char first[32] = "";
    memcpy(text, request->data, request->size < 63 ? request->size : 63);
    (void)sscanf(text, "%31s %zu %d", first, &own->size, &own->code);
    own->all = strcmp(first, "all") == 0;
    own->quiet = strcmp(first, "wait") == 0;
    own->left = strtoul(first, NULL, 10);
    return pump(stream);
}

static msgsrv_status serve_count(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                 const void *in, void *out, void *ctx)
{
    ts_streams *streams = ctx;
    (void)implementation;
    (void)out;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        (void)begin(streams, stream);
        return begin_count(stream, in);
    case MSGSRV_STREAM_WRITABLE:
        count(streams, &streams->writable);
        return pump(stream);
    case MSGSRV_STREAM_DRAINING:
        count(streams, &streams->draining);
        return MSGSRV_OK;
    case MSGSRV_STREAM_CLOSED:
        return closed(streams, stream, in);
    default:
        return MSGSRV_OK;
    }
}

static void stop(ts_streams *streams, msgsrv_stream *stream)
{
    pthread_mutex_lock(&streams->mutex);
    streams->stopped[streams->stopped_count++] = msgsrv_stream_ref(stream);
    pthread_mutex_unlock(&streams->mutex);
}

/* A command of a message. -1: it is none. */
static int command(ts_streams *streams, msgsrv_stream *stream, const msgsrv_bytes *message)
{
    state *own = state_of(stream);
    char text[64] = "";
    memcpy(text, message->size ? message->data : "", message->size < 63 ? message->size : 63);
    int code = 0;
    if (text[0] != '!')
        return -1;
    if (sscanf(text, "!fail %d", &code) == 1)
        return (int)msgsrv_stream_fail(stream, (msgsrv_status)code, "as asked");
    if (strcmp(text, "!finish") == 0)
        return (int)msgsrv_stream_finish(stream);
    if (strcmp(text, "!reply") == 0)
        return (int)msgsrv_stream_reply(stream, &(msgsrv_bytes){"early", 5, NULL}, NULL);
    if (strncmp(text, "!head ", 6) == 0)
        return (int)msgsrv_call_add_head(msgsrv_stream_call(stream),
                                         (msgsrv_metadata){"key", text + 6, strlen(text + 6)}, NULL);
    if (strncmp(text, "!trailer ", 9) == 0)
        return (int)msgsrv_call_add_trailer(msgsrv_stream_call(stream),
                                            (msgsrv_metadata){"key", text + 9, strlen(text + 9)}, NULL);
    if (strcmp(text, "!defer") == 0) {
        own->defer = true;
        return MSGSRV_OK;
    }
    if (strcmp(text, "!keep") == 0)
        own->keep = true;
    if (strcmp(text, "!pause") == 0)
        msgsrv_stream_pause(stream);
    stop(streams, stream);
    return MSGSRV_OK;
}

static void keep(state *own, msgsrv_stream *stream)
{
    if (!own->keep)
        return;
    own->kept_bytes += msgsrv_stream_keep(stream);
    own->kept_items++;
}

static msgsrv_status woken(msgsrv_stream *stream)
{
    state *own = state_of(stream);
    msgsrv_stream_consumed(stream, own->kept_items, own->kept_bytes);
    own->kept_items = own->kept_bytes = 0;
    own->keep = false;
    msgsrv_stream_resume(stream);
    return MSGSRV_OK;
}

static msgsrv_status serve_sum(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                               const void *in, void *out, void *ctx)
{
    ts_streams *streams = ctx;
    state *own = state_of(stream);
    const msgsrv_bytes *message = in;
    (void)implementation;
    int result;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        return begin(streams, stream);
    case MSGSRV_STREAM_MESSAGE:
        result = command(streams, stream, message);
        keep(own, stream);
        count(streams, &streams->messages);
        if (result >= 0)
            return (msgsrv_status)result;
        own->messages++;
        own->bytes += message->size;
        return MSGSRV_OK;
    case MSGSRV_STREAM_HALF_CLOSE:
        count(streams, &streams->half_closed);
        if (own->defer)
            return MSGSRV_DEFERRED;
        snprintf(own->answer, sizeof own->answer, "%lu %lu", own->messages, own->bytes);
        *(msgsrv_bytes *)out = (msgsrv_bytes){own->answer, strlen(own->answer), NULL};
        return MSGSRV_OK;
    case MSGSRV_STREAM_WOKEN:
        return woken(stream);
    case MSGSRV_STREAM_CLOSED:
        return closed(streams, stream, in);
    default:
        return MSGSRV_OK;
    }
}

static msgsrv_status send_back(msgsrv_stream *stream, const void *data, size_t size)
{
    state *own = state_of(stream);
    msgsrv_status status = msgsrv_stream_send(stream, &(msgsrv_bytes){data, size, NULL}, NULL);
    if (status != MSGSRV_AGAIN)
        return status;
    own->waits = malloc(size + 1);
    own->waits_size = size;
    memcpy(own->waits, data, size);
    msgsrv_stream_pause(stream);
    return MSGSRV_OK;
}

static msgsrv_status chat_writable(msgsrv_stream *stream)
{
    state *own = state_of(stream);
    char *waits = own->waits;
    if (!waits)
        return MSGSRV_OK;
    own->waits = NULL;
    msgsrv_status status = send_back(stream, waits, own->waits_size);
    free(waits);
    if (!own->waits)
        msgsrv_stream_resume(stream);
    return status;
}

static msgsrv_status serve_chat(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                const void *in, void *out, void *ctx)
{
    ts_streams *streams = ctx;
    state *own = state_of(stream);
    const msgsrv_bytes *message = in;
    (void)implementation;
    (void)out;
    int result;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        return begin(streams, stream);
    case MSGSRV_STREAM_MESSAGE:
        result = command(streams, stream, message);
        keep(own, stream);
        count(streams, &streams->messages);
        return result >= 0 ? (msgsrv_status)result : send_back(stream, message->data, message->size);
    case MSGSRV_STREAM_HALF_CLOSE:
        count(streams, &streams->half_closed);
        return own->defer ? MSGSRV_DEFERRED : msgsrv_stream_finish(stream);
    case MSGSRV_STREAM_WRITABLE:
        count(streams, &streams->writable);
        return chat_writable(stream);
    case MSGSRV_STREAM_WOKEN:
        return woken(stream);
    case MSGSRV_STREAM_DRAINING:
        count(streams, &streams->draining);
        return MSGSRV_OK;
    case MSGSRV_STREAM_CLOSED:
        return closed(streams, stream, in);
    }
    return MSGSRV_OK;
}

static msgsrv_status serve_typed(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                 const void *in, void *out, void *ctx)
{
    ts_streams *streams = ctx;
    (void)implementation;
    (void)out;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        (void)begin(streams, stream);
        return in ? msgsrv_stream_send(stream, in, NULL) : MSGSRV_OK;
    case MSGSRV_STREAM_MESSAGE:
        count(streams, &streams->messages);
        return msgsrv_stream_send(stream, in, NULL);
    case MSGSRV_STREAM_HALF_CLOSE:
        return msgsrv_stream_finish(stream);
    case MSGSRV_STREAM_CLOSED:
        return closed(streams, stream, in);
    default:
        return MSGSRV_OK;
    }
}

static bool implemented(const void *implementation)
{
    (void)implementation;
    return true;
}

static const msgsrv_service_method methods[] = {
    {&ts_count_method, NULL, implemented, NULL, serve_count},
    {&ts_sum_method, NULL, implemented, NULL, serve_sum},
    {&ts_chat_method, NULL, implemented, NULL, serve_chat},
    {&ts_typed_chat_method, NULL, implemented, NULL, serve_typed},
    {&ts_typed_count_method, NULL, implemented, NULL, serve_typed},
};

static const msgsrv_service service = {
    .abi = MSGSRV_GENERATED_ABI,
    .nanopb_header = PB_PROTO_HEADER_VERSION,
    .nanopb_size_bytes = sizeof(pb_size_t),
    .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
    .generator = "by hand",
    .name = "test.Streams",
    .implementation_size = 1,
    .methods = methods,
    .method_count = sizeof methods / sizeof *methods,
    .file = NULL,
};

void ts_streams_init(ts_streams *streams)
{
    memset(streams, 0, sizeof *streams);
    pthread_mutex_init(&streams->mutex, NULL);
    pthread_cond_init(&streams->changed, NULL);
}

msgsrv_status ts_streams_register(ts_streams *streams, msgsrv_server *server, msgsrv_error *error)
{
    return msgsrv_server_register(server, &service, "", streams, error);
}

void ts_streams_wait_(ts_streams *streams, const unsigned *member, unsigned value, const char *what)
{
    pthread_mutex_lock(&streams->mutex);
    while (*member < value)
        ts_cond_wait(&streams->changed, &streams->mutex, what);
    pthread_mutex_unlock(&streams->mutex);
}

unsigned ts_streams_get_(ts_streams *streams, const unsigned *member)
{
    pthread_mutex_lock(&streams->mutex);
    unsigned value = *member;
    pthread_mutex_unlock(&streams->mutex);
    return value;
}

void ts_streams_resume(ts_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    for (size_t i = 0; i < streams->stopped_count; i++) {
        msgsrv_stream_wake(streams->stopped[i]);
        msgsrv_stream_unref(streams->stopped[i]);
    }
    streams->stopped_count = 0;
    pthread_mutex_unlock(&streams->mutex);
}
