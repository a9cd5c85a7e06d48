/* SPDX-License-Identifier: MIT */
/* Messages that are sent in parts: what comes, and what is refused. A service by hand: Raw and Typed (server-streaming). */
#include "api_support.h"
#include "streams.h"

#define LIMIT 1000u

static const char large[LIMIT];

static msgsrv_status send(msgsrv_stream *stream, const msgsrv_bytes *parts, size_t count, msgsrv_error *error)
{
    memset(error, 0, sizeof *error);
    return msgsrv_stream_send_parts(stream, parts, count, error);
}

static msgsrv_status serve_raw(const void *impl, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                               void *out, void *ctx)
{
    (void)impl, (void)in, (void)out, (void)ctx;
    if (event != MSGSRV_STREAM_BEGIN)
        return MSGSRV_OK;
    msgsrv_error error;
    const msgsrv_bytes words[] = {{"one", 3, NULL}, {NULL, 0, NULL}, {" ", 1, NULL}, {"two", 3, NULL}};
    api_expect(MSGSRV_INVALID_ARGUMENT, send(NULL, words, 4, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, send(stream, NULL, 4, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, send(stream, words, 0, &error), &error);
    const msgsrv_bytes nothing[] = {{"one", 3, NULL}, {NULL, 1, NULL}};
    api_expect(MSGSRV_INVALID_ARGUMENT, send(stream, nothing, 2, &error), &error);
    ck_assert_str_eq(error.text, "bytes of size 1 without data");
    const msgsrv_bytes much[] = {{large, LIMIT, NULL}, {"x", 1, NULL}};
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, send(stream, much, 2, &error), &error);
    /* Nothing of what was refused has gone. */
    api_ok(send(stream, words, 4, &error), &error);
    api_ok(send(stream, words + 1, 1, &error), &error);
    api_ok(send(stream, much, 1, &error), &error);
    api_ok(msgsrv_stream_send(stream, &words[0], &error), &error);
    return msgsrv_stream_finish(stream);
}

static msgsrv_status serve_typed(const void *impl, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                 void *out, void *ctx)
{
    (void)impl, (void)in, (void)out, (void)ctx;
    if (event != MSGSRV_STREAM_BEGIN)
        return MSGSRV_OK;
    msgsrv_error error;
    api_expect(MSGSRV_INVALID_ARGUMENT, send(stream, &(msgsrv_bytes){"\n\1x", 3, NULL}, 1, &error), &error);
    ck_assert_str_eq(error.text, "messages in parts are bytes, not messages.EchoMessage");
    return msgsrv_stream_finish(stream);
}

static bool always(const void *impl)
{
    (void)impl;
    return true;
}

static const msgsrv_service_method methods[] = {
    {&ts_count_method, NULL, always, NULL, serve_raw},
    {&ts_typed_count_method, NULL, always, NULL, serve_typed},
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
    .method_count = 2,
};

static msgsrv_server *serve(void)
{
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, &(msgsrv_server_options){.max_message = LIMIT}, NULL, NULL);
    api_ok(msgsrv_server_register(server, &service, "", NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

static void expect_message(msgsrv_stream *stream, const char *data, size_t size)
{
    msgsrv_bytes message = {0};
    ck_assert(msgsrv_stream_read(stream, &message));
    ck_assert_uint_eq(message.size, size);
    if (size)
        ck_assert_mem_eq(message.data, data, size);
    msgsrv_message_release(&msgsrv_raw_type, &message);
}

START_TEST(parts_come_as_one_message_and_what_is_refused_leaves_nothing)
{
    msgsrv_error error;
    msgsrv_bytes message = {0};
    msgsrv_stream *stream = NULL;
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    api_ok(msgsrv_stream_open(client, &ts_count_method, &message, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    /* This end is synchronous, and is no sender either. */
    api_expect(MSGSRV_FAILED_PRECONDITION, send(stream, &(msgsrv_bytes){"x", 1, NULL}, 1, &error), &error);
    expect_message(stream, "one two", 7);
    expect_message(stream, "", 0);
    expect_message(stream, large, LIMIT);
    expect_message(stream, "one", 3);
    ck_assert(!msgsrv_stream_read(stream, &message));
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(typed_messages_do_not_come_in_parts)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    messages_EchoMessage message = messages_EchoMessage_init_zero;
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    api_ok(msgsrv_stream_open(client, &ts_typed_count_method, &message, NULL, NULL, NULL, 0, &stream, NULL, &error),
           &error);
    ck_assert(!msgsrv_stream_read(stream, &message));
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_stream_parts", parts_come_as_one_message_and_what_is_refused_leaves_nothing,
        typed_messages_do_not_come_in_parts)
