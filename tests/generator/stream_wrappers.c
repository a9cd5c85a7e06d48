/* SPDX-License-Identifier: MIT */
/*
 * The generated functions of streaming methods: what they pass on to the library, and which of a program's functions is called,
 * with what, when the library tells of an event. The library's functions are this file's own and write down how they were called.
 */
#include <check.h>
#include <string.h>

#include "streams.msgsrv.h"

/* What the library's function was called with. */
static struct {
    const char *function;
    const void *object, *described, *message, *options;
    void *out, *handle, *error;
    msgsrv_stream_fn events;
    msgsrv_stream **stream;
    size_t closure_size;
    bool without_closure;
    union {
        unsigned char bytes[MSGSRV_STREAM_CLOSURE_SIZE];
        void *aligned;
    } closure;
} seen;

/* What a program's function was called with. */
static struct {
    const char *function;
    const void *stream, *message, *ctx;
    int calls;
} told;

static msgsrv_client *const client = (msgsrv_client *)&seen.object;
static msgsrv_stream *const stream = (msgsrv_stream *)&seen.out;
static const msgsrv_call_options options;
static msgsrv_error error;
static streams_v1_Item item;
static streams_v1_Total total;
static int ctx;

msgsrv_status msgsrv_stream_open(msgsrv_client *object, const msgsrv_method *method, const void *request,
                                 const msgsrv_call_options *opts, msgsrv_stream_fn events, const void *closure,
                                 size_t closure_size, msgsrv_stream **out, msgsrv_handle *handle, msgsrv_error *err)
{
    seen.function = "open";
    seen.object = object;
    seen.described = method;
    seen.message = request;
    seen.options = opts;
    seen.events = events;
    ck_assert_uint_le(closure_size, MSGSRV_STREAM_CLOSURE_SIZE);
    ck_assert(closure_size != 0 || closure == NULL);
    if (closure != NULL)
        memcpy(seen.closure.bytes, closure, closure_size);
    seen.closure_size = closure_size;
    seen.without_closure = closure == NULL;
    seen.stream = out;
    if (out != NULL)
        *out = stream;
    seen.handle = handle;
    seen.error = err;
    return MSGSRV_ABORTED;
}

static msgsrv_status sent(const char *function, msgsrv_stream *object, const void *message, msgsrv_error *err)
{
    seen.function = function;
    seen.object = object;
    seen.message = message;
    seen.error = err;
    return MSGSRV_AGAIN;
}

msgsrv_status msgsrv_stream_send(msgsrv_stream *object, const void *message, msgsrv_error *err)
{
    return sent("send", object, message, err);
}

msgsrv_status msgsrv_stream_reply(msgsrv_stream *object, const void *response, msgsrv_error *err)
{
    return sent("reply", object, response, err);
}

msgsrv_status msgsrv_stream_write(msgsrv_stream *object, const void *message, msgsrv_error *err)
{
    return sent("write", object, message, err);
}

bool msgsrv_stream_read(msgsrv_stream *object, void *message)
{
    (void)sent("read", object, message, NULL);
    return true;
}

msgsrv_status msgsrv_stream_close(msgsrv_stream *object, void *response, msgsrv_error *err)
{
    return sent("close", object, response, err);
}

/* As of a call that is over: what it returns must not matter. */
msgsrv_status msgsrv_stream_finish(msgsrv_stream *object)
{
    (void)sent("finish", object, NULL, NULL);
    return MSGSRV_FAILED_PRECONDITION;
}

static void clear(void)
{
    memset(&seen, 0, sizeof seen);
    memset(&told, 0, sizeof told);
}

static msgsrv_status tell(const char *function, const msgsrv_stream *object, const void *message, const void *context)
{
    told.function = function;
    told.stream = object;
    told.message = message;
    told.ctx = context;
    told.calls++;
    return MSGSRV_DATA_LOSS;
}

/* The functions of both kinds of ends, by the type of the end. */
#define SIMPLE(prefix, type, name)                                 \
    static msgsrv_status prefix##_##name(type call, void *context) \
    {                                                              \
        return tell(#name, call.stream, NULL, context);            \
    }
#define WITH_MESSAGE(prefix, type, name, message_type)                                    \
    static msgsrv_status prefix##_##name(type call, message_type *message, void *context) \
    {                                                                                     \
        return tell(#name, call.stream, message, context);                                \
    }
#define SERVER_CLOSED(prefix, type)                                                    \
    static void prefix##_closed(type call, const msgsrv_error *outcome, void *context) \
    {                                                                                  \
        (void)tell("closed", call.stream, outcome, context);                           \
    }
#define CLIENT_SIMPLE(prefix, type, name)                 \
    static void prefix##_##name(type call, void *context) \
    {                                                     \
        (void)tell(#name, call.stream, NULL, context);    \
    }
#define CLIENT_MESSAGE(prefix, type, message_type)                                      \
    static void prefix##_message(type call, const message_type *message, void *context) \
    {                                                                                   \
        (void)tell("message", call.stream, message, context);                           \
    }
#define CLIENT_CLOSED(prefix, type)                                                  \
    static void prefix##_closed(type call, const msgsrv_reply *reply, void *context) \
    {                                                                                \
        (void)tell("closed", call.stream, reply, context);                           \
    }

WITH_MESSAGE(down, streams_v1_Flow_Down_server, begin, const streams_v1_Item)
SIMPLE(down, streams_v1_Flow_Down_server, writable)
SIMPLE(down, streams_v1_Flow_Down_server, woken)
SIMPLE(down, streams_v1_Flow_Down_server, draining)
SERVER_CLOSED(down, streams_v1_Flow_Down_server)

SIMPLE(up, streams_v1_Flow_Up_server, begin)
WITH_MESSAGE(up, streams_v1_Flow_Up_server, message, const streams_v1_Item)
WITH_MESSAGE(up, streams_v1_Flow_Up_server, half_close, streams_v1_Total)
SIMPLE(up, streams_v1_Flow_Up_server, woken)
SIMPLE(up, streams_v1_Flow_Up_server, draining)
SERVER_CLOSED(up, streams_v1_Flow_Up_server)

SIMPLE(both, streams_v1_Flow_Both_server, begin)
WITH_MESSAGE(both, streams_v1_Flow_Both_server, message, const streams_v1_Item)
SIMPLE(both, streams_v1_Flow_Both_server, half_close)
SIMPLE(both, streams_v1_Flow_Both_server, writable)
SIMPLE(both, streams_v1_Flow_Both_server, woken)
SIMPLE(both, streams_v1_Flow_Both_server, draining)
SERVER_CLOSED(both, streams_v1_Flow_Both_server)

CLIENT_SIMPLE(down_client, streams_v1_Flow_Down_client, begin)
CLIENT_MESSAGE(down_client, streams_v1_Flow_Down_client, streams_v1_Item)
CLIENT_SIMPLE(down_client, streams_v1_Flow_Down_client, woken)
CLIENT_CLOSED(down_client, streams_v1_Flow_Down_client)

CLIENT_SIMPLE(up_client, streams_v1_Flow_Up_client, begin)
CLIENT_SIMPLE(up_client, streams_v1_Flow_Up_client, writable)
CLIENT_SIMPLE(up_client, streams_v1_Flow_Up_client, woken)

static void up_client_closed(streams_v1_Flow_Up_client call, const msgsrv_reply *reply, streams_v1_Total *response,
                             void *context)
{
    ck_assert_ptr_eq(response, reply->status == MSGSRV_OK ? &total : NULL);
    (void)tell("closed", call.stream, reply, context);
}

CLIENT_SIMPLE(both_client, streams_v1_Flow_Both_client, begin)
CLIENT_MESSAGE(both_client, streams_v1_Flow_Both_client, streams_v1_Total)
CLIENT_SIMPLE(both_client, streams_v1_Flow_Both_client, writable)
CLIENT_SIMPLE(both_client, streams_v1_Flow_Both_client, woken)
CLIENT_CLOSED(both_client, streams_v1_Flow_Both_client)

static const streams_v1_Flow_Down_events down_events = {down_client_begin, down_client_message, down_client_woken,
                                                        down_client_closed};
static const streams_v1_Flow_Up_events up_events = {up_client_begin, up_client_writable, up_client_woken,
                                                    up_client_closed};
static const streams_v1_Flow_Both_events both_events = {both_client_begin, both_client_message, both_client_writable,
                                                        both_client_woken, both_client_closed};

/* All functions, and none. */
static const streams_v1_Flow_service full = {
    .Down = {down_begin, down_writable, down_woken, down_draining, down_closed},
    .Up = {up_begin, up_message, up_half_close, up_woken, up_draining, up_closed},
    .Both = {both_begin, both_message, both_half_close, both_writable, both_woken, both_draining, both_closed},
};
static const streams_v1_Flow_service empty;

/* An event, and the function that it must call; NULL: none. */
typedef struct expectation {
    msgsrv_stream_event event;
    const char *function;
    const void *in;
    void *out;
} expectation;

static const msgsrv_service_method *method_of(const msgsrv_service *service, const msgsrv_method *method)
{
    size_t i;

    for (i = 0; i < service->method_count; i++)
        if (service->methods[i].method == method)
            return &service->methods[i];
    ck_abort_msg("%s is not there", method->path);
}

/* What a function gets as its message, if it has such a parameter, is either end of the event. */
static void check_told(const expectation *expected, const void *context)
{
    ck_assert_int_eq(told.calls, expected->function != NULL);
    if (expected->function == NULL)
        return;
    ck_assert_str_eq(told.function, expected->function);
    ck_assert_ptr_eq(told.stream, stream);
    ck_assert_ptr_eq(told.ctx, context);
    ck_assert_ptr_eq(told.message, expected->in != NULL ? expected->in : expected->out);
}

static void check_served(const msgsrv_method *method, const expectation *expected, size_t count)
{
    const msgsrv_service_method *served = method_of(&streams_v1_Flow_description, method);
    size_t i;

    ck_assert_ptr_null(served->invoke);
    ck_assert_ptr_null(served->blocking);
    for (i = 0; i < count; i++) {
        bool closed = expected[i].event == MSGSRV_STREAM_CLOSED;
        msgsrv_status status;

        clear();
        status = served->serve(&full, stream, expected[i].event, expected[i].in, expected[i].out, &ctx);
        check_told(&expected[i], &ctx);
        ck_assert_int_eq(status, closed || expected[i].function == NULL ? MSGSRV_OK : MSGSRV_DATA_LOSS);
        clear();
        status = served->serve(&empty, stream, expected[i].event, expected[i].in, expected[i].out, &ctx);
        ck_assert_int_eq(status, MSGSRV_OK);
        ck_assert_int_eq(told.calls, 0);
    }
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

START_TEST(server_streaming_is_served)
{
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", &item, NULL},    {MSGSRV_STREAM_MESSAGE, NULL, NULL, NULL},
        {MSGSRV_STREAM_HALF_CLOSE, NULL, NULL, NULL},   {MSGSRV_STREAM_WRITABLE, "writable", NULL, NULL},
        {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},     {MSGSRV_STREAM_DRAINING, "draining", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &error, NULL},
    };

    check_served(&streams_v1_Flow_Down_method, all, COUNT(all));
    ck_assert_ptr_null(seen.function);
}
END_TEST

START_TEST(client_streaming_is_served)
{
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", NULL, NULL},
        {MSGSRV_STREAM_MESSAGE, "message", &item, NULL},
        {MSGSRV_STREAM_HALF_CLOSE, "half_close", NULL, &total},
        {MSGSRV_STREAM_WRITABLE, NULL, NULL, NULL},
        {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},
        {MSGSRV_STREAM_DRAINING, "draining", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &error, NULL},
    };

    check_served(&streams_v1_Flow_Up_method, all, COUNT(all));
    ck_assert_ptr_null(seen.function);
}
END_TEST

START_TEST(bidi_is_served)
{
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", NULL, NULL},           {MSGSRV_STREAM_MESSAGE, "message", &item, NULL},
        {MSGSRV_STREAM_HALF_CLOSE, "half_close", NULL, NULL}, {MSGSRV_STREAM_WRITABLE, "writable", NULL, NULL},
        {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},           {MSGSRV_STREAM_DRAINING, "draining", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &error, NULL},
    };

    check_served(&streams_v1_Flow_Both_method, all, COUNT(all));
}
END_TEST

START_TEST(bidi_without_half_close_finishes)
{
    const msgsrv_service_method *served = method_of(&streams_v1_Flow_description, &streams_v1_Flow_Both_method);

    ck_assert_int_eq(served->serve(&full, stream, MSGSRV_STREAM_HALF_CLOSE, NULL, NULL, &ctx), MSGSRV_DATA_LOSS);
    ck_assert_ptr_null(seen.function);
    ck_assert_int_eq(served->serve(&empty, stream, MSGSRV_STREAM_HALF_CLOSE, NULL, NULL, &ctx), MSGSRV_OK);
    ck_assert_str_eq(seen.function, "finish");
    ck_assert_ptr_eq(seen.object, stream);
}
END_TEST

static bool implemented(const msgsrv_method *method, const streams_v1_Flow_service *service)
{
    return method_of(&streams_v1_Flow_description, method)->implemented(service);
}

START_TEST(begin_message_or_half_close_implement_a_method)
{
    static const streams_v1_Flow_service begin = {
        .Down = {.begin = down_begin}, .Up = {.begin = up_begin}, .Both = {.begin = both_begin}};
    static const streams_v1_Flow_service message = {.Up = {.message = up_message}, .Both = {.message = both_message}};
    static const streams_v1_Flow_service half_close = {.Up = {.half_close = up_half_close},
                                                       .Both = {.half_close = both_half_close}};
    static const streams_v1_Flow_service others = {
        .Down = {NULL, down_writable, down_woken, down_draining, down_closed},
        .Up = {NULL, NULL, NULL, up_woken, up_draining, up_closed},
        .Both = {NULL, NULL, NULL, both_writable, both_woken, both_draining, both_closed}};

    ck_assert(implemented(&streams_v1_Flow_Down_method, &begin) && implemented(&streams_v1_Flow_Up_method, &begin) &&
              implemented(&streams_v1_Flow_Both_method, &begin));
    ck_assert(implemented(&streams_v1_Flow_Up_method, &message) && implemented(&streams_v1_Flow_Both_method, &message));
    ck_assert(implemented(&streams_v1_Flow_Up_method, &half_close) &&
              implemented(&streams_v1_Flow_Both_method, &half_close));
    ck_assert(!implemented(&streams_v1_Flow_Down_method, &others) &&
              !implemented(&streams_v1_Flow_Up_method, &others) && !implemented(&streams_v1_Flow_Both_method, &others));
}
END_TEST

START_TEST(descriptions_say_what_streams)
{
    const msgsrv_service *flow = &streams_v1_Flow_description, *only = &streams_v1_OnlyStreams_description;

    ck_assert_uint_eq(streams_v1_Flow_One_method.kind, MSGSRV_UNARY);
    ck_assert_uint_eq(streams_v1_Flow_Down_method.kind, MSGSRV_SERVER_STREAMING);
    ck_assert_uint_eq(streams_v1_Flow_Up_method.kind, MSGSRV_CLIENT_STREAMING);
    ck_assert_uint_eq(streams_v1_Flow_Both_method.kind, MSGSRV_BIDI_STREAMING);
    ck_assert_uint_eq(streams_v1_Flow_Both_method.abi, MSGSRV_GENERATED_ABI);
    ck_assert_str_eq(streams_v1_Flow_Both_method.path, "/streams.v1.Flow/Both");
    ck_assert_ptr_eq(streams_v1_Flow_Both_method.request, &streams_v1_Item_type);
    ck_assert_ptr_eq(streams_v1_Flow_Both_method.response, &streams_v1_Total_type);
    ck_assert_uint_eq(flow->method_count, 4);
    ck_assert_ptr_eq(flow->methods[3].method, &streams_v1_Flow_Both_method);
    ck_assert_ptr_null(method_of(flow, &streams_v1_Flow_One_method)->serve);
    ck_assert_uint_eq(only->implementation_size, sizeof(streams_v1_OnlyStreams_service));
    ck_assert_uint_eq(sizeof(streams_v1_OnlyStreams_service), sizeof(streams_v1_OnlyStreams_Watch_handler));
}
END_TEST

START_TEST(services_know_their_files)
{
    const msgsrv_proto_file *file = streams_v1_Flow_description.file;

    ck_assert_ptr_eq(file, &streams_proto_file);
    ck_assert_ptr_eq(streams_v1_OnlyStreams_description.file, file);
    ck_assert_str_eq(file->name, "streams.proto");
    ck_assert_uint_gt(file->descriptor_size, 15);
    ck_assert_mem_eq(file->descriptor, "\x0a\x0dstreams.proto", 15);
    ck_assert_str_eq(file->imports[0]->name, "google/protobuf/descriptor.proto");
    ck_assert_ptr_null(file->imports[0]->imports);
    ck_assert_ptr_null(file->imports[1]);
}
END_TEST

/* What msgsrv_stream_open() got of an asynchronous call. */
static void check_opened(const msgsrv_method *method, const void *request, const void *handle)
{
    ck_assert_str_eq(seen.function, "open");
    ck_assert_ptr_eq(seen.object, client);
    ck_assert_ptr_eq(seen.described, method);
    ck_assert_ptr_eq(seen.message, request);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.handle, handle);
    ck_assert_ptr_eq(seen.error, &error);
}

static void check_events(const expectation *expected, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        memset(&told, 0, sizeof told);
        ck_assert_int_eq(
            seen.events(seen.closure.bytes, stream, expected[i].event, expected[i].in, expected[i].out, NULL), MSGSRV_OK);
        check_told(&expected[i], &ctx);
    }
}

/* Without any function nothing is called, nor does anything fail. */
static void check_silence(void)
{
    msgsrv_reply reply = {.status = MSGSRV_CANCELLED, .error = &error};
    int event;

    for (event = MSGSRV_STREAM_BEGIN; event <= MSGSRV_STREAM_CLOSED; event++)
        ck_assert_int_eq(seen.events(seen.closure.bytes, stream, (msgsrv_stream_event)event,
                                     event == MSGSRV_STREAM_CLOSED ? &reply : NULL, NULL, NULL),
                         MSGSRV_OK);
    ck_assert_int_eq(told.calls, 0);
}

START_TEST(server_streaming_is_opened)
{
    static const streams_v1_Flow_Down_events none;
    msgsrv_reply reply = {.status = MSGSRV_OK, .error = &error};
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", NULL, NULL},     {MSGSRV_STREAM_MESSAGE, "message", &item, NULL},
        {MSGSRV_STREAM_WRITABLE, NULL, NULL, NULL},     {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &reply, NULL},
    };
    streams_v1_Flow_Down_client call = {NULL};
    msgsrv_handle handle;

    ck_assert_int_eq(streams_v1_Flow_Down_open(client, &item, &options, &down_events, &ctx, &call, &handle, &error),
                     MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Down_method, &item, &handle);
    ck_assert_ptr_eq(call.stream, stream);
    check_events(all, COUNT(all));
    ck_assert_int_eq(streams_v1_Flow_Down_open(client, &item, NULL, &none, NULL, NULL, NULL, NULL), MSGSRV_ABORTED);
    ck_assert_ptr_null(seen.stream);
    told.calls = 0;
    check_silence();
}
END_TEST

START_TEST(client_streaming_is_opened)
{
    static const streams_v1_Flow_Up_events none;
    msgsrv_reply good = {.status = MSGSRV_OK, .error = &error}, bad = {.status = MSGSRV_ABORTED, .error = &error};
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", NULL, NULL},       {MSGSRV_STREAM_MESSAGE, NULL, NULL, NULL},
        {MSGSRV_STREAM_WRITABLE, "writable", NULL, NULL}, {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &good, &total},  {MSGSRV_STREAM_CLOSED, "closed", &bad, NULL},
    };
    streams_v1_Flow_Up_client call = {NULL};
    msgsrv_handle handle;

    ck_assert_int_eq(streams_v1_Flow_Up_open(client, &options, &up_events, &ctx, &call, &handle, &error), MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Up_method, NULL, &handle);
    ck_assert_ptr_eq(call.stream, stream);
    check_events(all, COUNT(all));
    ck_assert_int_eq(streams_v1_Flow_Up_open(client, NULL, &none, NULL, NULL, NULL, NULL), MSGSRV_ABORTED);
    ck_assert_ptr_null(seen.stream);
    told.calls = 0;
    check_silence();
}
END_TEST

START_TEST(bidi_is_opened)
{
    static const streams_v1_Flow_Both_events none;
    msgsrv_reply reply = {.status = MSGSRV_ABORTED, .error = &error};
    const expectation all[] = {
        {MSGSRV_STREAM_BEGIN, "begin", NULL, NULL},       {MSGSRV_STREAM_MESSAGE, "message", &total, NULL},
        {MSGSRV_STREAM_WRITABLE, "writable", NULL, NULL}, {MSGSRV_STREAM_WOKEN, "woken", NULL, NULL},
        {MSGSRV_STREAM_CLOSED, "closed", &reply, NULL},
    };
    streams_v1_Flow_Both_client call = {NULL};
    msgsrv_handle handle;

    ck_assert_int_eq(streams_v1_Flow_Both_open(client, &options, &both_events, &ctx, &call, &handle, &error),
                     MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Both_method, NULL, &handle);
    ck_assert_ptr_eq(call.stream, stream);
    check_events(all, COUNT(all));
    ck_assert_int_eq(streams_v1_Flow_Both_open(client, NULL, &none, NULL, NULL, NULL, NULL), MSGSRV_ABORTED);
    ck_assert_ptr_null(seen.stream);
    told.calls = 0;
    check_silence();
}
END_TEST

/* The library says what is wrong: it is given the size of a closure that is not there. */
START_TEST(events_that_are_null_are_the_librarys_to_refuse)
{
    ck_assert_int_eq(streams_v1_Flow_Down_open(client, &item, &options, NULL, &ctx, NULL, NULL, &error), MSGSRV_ABORTED);
    ck_assert(seen.events != NULL && seen.without_closure && seen.closure_size > 0);
    clear();
    ck_assert_int_eq(streams_v1_Flow_Up_open(client, &options, NULL, &ctx, NULL, NULL, &error), MSGSRV_ABORTED);
    ck_assert(seen.events != NULL && seen.without_closure && seen.closure_size > 0);
    clear();
    ck_assert_int_eq(streams_v1_Flow_Both_open(client, &options, NULL, &ctx, NULL, NULL, &error), MSGSRV_ABORTED);
    ck_assert(seen.events != NULL && seen.without_closure && seen.closure_size > 0);
}
END_TEST

START_TEST(synchronous_streams_have_no_events)
{
    streams_v1_Flow_Down_client down = {NULL};
    streams_v1_Flow_Up_client up = {NULL};
    streams_v1_Flow_Both_client both = {NULL};

    ck_assert_int_eq(streams_v1_Flow_Down_start(client, &item, &options, &down, &error), MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Down_method, &item, NULL);
    ck_assert(seen.events == NULL && seen.closure_size == 0);
    ck_assert_ptr_eq(down.stream, stream);
    ck_assert_int_eq(streams_v1_Flow_Up_start(client, &options, &up, &error), MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Up_method, NULL, NULL);
    ck_assert(seen.events == NULL && seen.closure_size == 0);
    ck_assert_ptr_eq(up.stream, stream);
    ck_assert_int_eq(streams_v1_Flow_Both_start(client, &options, &both, &error), MSGSRV_ABORTED);
    check_opened(&streams_v1_Flow_Both_method, NULL, NULL);
    ck_assert(seen.events == NULL && seen.closure_size == 0);
    ck_assert_ptr_eq(both.stream, stream);
}
END_TEST

static void check_sent(const char *function, const void *message, const void *err)
{
    ck_assert_str_eq(seen.function, function);
    ck_assert_ptr_eq(seen.object, stream);
    ck_assert_ptr_eq(seen.message, message);
    ck_assert_ptr_eq(seen.error, err);
    clear();
}

START_TEST(servers_send)
{
    streams_v1_Flow_Down_server down = {stream};
    streams_v1_Flow_Up_server up = {stream};
    streams_v1_Flow_Both_server both = {stream};

    ck_assert_int_eq(streams_v1_Flow_Down_server_send(down, &item, &error), MSGSRV_AGAIN);
    check_sent("send", &item, &error);
    ck_assert_int_eq(streams_v1_Flow_Up_server_reply(up, &total, &error), MSGSRV_AGAIN);
    check_sent("reply", &total, &error);
    ck_assert_int_eq(streams_v1_Flow_Both_server_send(both, &total, &error), MSGSRV_AGAIN);
    check_sent("send", &total, &error);
}
END_TEST

START_TEST(clients_send_receive_and_close)
{
    streams_v1_Flow_Down_client down = {stream};
    streams_v1_Flow_Up_client up = {stream};
    streams_v1_Flow_Both_client both = {stream};

    ck_assert_int_eq(streams_v1_Flow_Up_client_send(up, &item, &error), MSGSRV_AGAIN);
    check_sent("send", &item, &error);
    ck_assert_int_eq(streams_v1_Flow_Both_client_send(both, &item, &error), MSGSRV_AGAIN);
    check_sent("send", &item, &error);
    ck_assert_int_eq(streams_v1_Flow_Up_write(up, &item, &error), MSGSRV_AGAIN);
    check_sent("write", &item, &error);
    ck_assert_int_eq(streams_v1_Flow_Both_write(both, &item, &error), MSGSRV_AGAIN);
    check_sent("write", &item, &error);
    ck_assert(streams_v1_Flow_Down_read(down, &item));
    check_sent("read", &item, NULL);
    ck_assert(streams_v1_Flow_Both_read(both, &total));
    check_sent("read", &total, NULL);
    ck_assert_int_eq(streams_v1_Flow_Down_close(down, &error), MSGSRV_AGAIN);
    check_sent("close", NULL, &error);
    ck_assert_int_eq(streams_v1_Flow_Up_close(up, &total, &error), MSGSRV_AGAIN);
    check_sent("close", &total, &error);
    ck_assert_int_eq(streams_v1_Flow_Both_close(both, &error), MSGSRV_AGAIN);
    check_sent("close", NULL, &error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generated code of streams");
    TCase *tests = tcase_create("wrappers");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, clear, clear);
    tcase_add_test(tests, server_streaming_is_served);
    tcase_add_test(tests, client_streaming_is_served);
    tcase_add_test(tests, bidi_is_served);
    tcase_add_test(tests, bidi_without_half_close_finishes);
    tcase_add_test(tests, begin_message_or_half_close_implement_a_method);
    tcase_add_test(tests, descriptions_say_what_streams);
    tcase_add_test(tests, services_know_their_files);
    tcase_add_test(tests, server_streaming_is_opened);
    tcase_add_test(tests, client_streaming_is_opened);
    tcase_add_test(tests, bidi_is_opened);
    tcase_add_test(tests, events_that_are_null_are_the_librarys_to_refuse);
    tcase_add_test(tests, synchronous_streams_have_no_events);
    tcase_add_test(tests, servers_send);
    tcase_add_test(tests, clients_send_receive_and_close);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
