/* SPDX-License-Identifier: MIT */
/* Streams through the public API: the synchronous forms on both kinds of client that have them, and the asynchronous ones. */
#include "api_support.h"
#include "streams.h"

static ts_streams streams;

static msgsrv_server *server_with(const msgsrv_server_options *options)
{
    msgsrv_error error;
    ts_streams_init(&streams);
    msgsrv_server *server = api_server_new(NULL, options, NULL, NULL);
    api_ok(ts_streams_register(&streams, server, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

static msgsrv_client *client_of(const msgsrv_server *server, bool thread)
{
    return api_client(server, &(msgsrv_client_options){.thread = thread});
}

static msgsrv_stream *open_sync(msgsrv_client *client, const msgsrv_method *method, const char *request,
                                const msgsrv_call_options *options)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_bytes bytes = {request, request ? strlen(request) : 0, NULL};
    api_ok(msgsrv_stream_open(client, method, request ? &bytes : NULL, options, NULL, NULL, 0, &stream, NULL, &error),
           &error);
    return stream;
}

static void write_text(msgsrv_stream *stream, const char *text)
{
    msgsrv_error error;
    api_ok(msgsrv_stream_write(stream, &(msgsrv_bytes){text, strlen(text), NULL}, &error), &error);
}

static bool read_text(msgsrv_stream *stream, char *text, size_t room)
{
    msgsrv_bytes message = {0};
    if (!msgsrv_stream_read(stream, &message))
        return false;
    snprintf(text, room, "%.*s", (int)message.size, (const char *)message.data);
    msgsrv_message_release(&msgsrv_raw_type, &message);
    return true;
}

static void count_and_close(msgsrv_client *client, const char *request, unsigned want, msgsrv_status end)
{
    msgsrv_error error = {0};
    char text[64];
    unsigned got = 0;
    msgsrv_stream *stream = open_sync(client, &ts_count_method, request, NULL);
    while (read_text(stream, text, sizeof text))
        got++;
    api_expect(end, msgsrv_stream_close(stream, NULL, &error), &error);
    ck_assert_uint_eq(got, want);
}

START_TEST(a_server_streams_to_a_synchronous_client)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        count_and_close(client, "0 5", 0, MSGSRV_OK);
        count_and_close(client, "3 5", 3, MSGSRV_OK);
        count_and_close(client, "5000 5", 5000, MSGSRV_OK);
        count_and_close(client, "50 100000", 50, MSGSRV_OK);
        count_and_close(client, "70 10 9", 70, MSGSRV_FAILED_PRECONDITION);
        api_call_add(client);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
    ck_assert_uint_eq(streams.closed, 10);
}
END_TEST

START_TEST(a_synchronous_client_streams_to_a_server)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        msgsrv_error error;
        msgsrv_bytes reply = {0};
        msgsrv_stream *stream = open_sync(client, &ts_sum_method, NULL, NULL);
        for (int i = 0; i < 1000; i++)
            write_text(stream, "hello");
        api_ok(msgsrv_stream_close(stream, &reply, &error), &error);
        ck_assert_uint_eq(reply.size, 9);
        ck_assert_mem_eq(reply.data, "1000 5000", 9);
        msgsrv_message_release(&msgsrv_raw_type, &reply);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_early_answer_ends_the_writing)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        msgsrv_error error;
        msgsrv_bytes reply = {0};
        msgsrv_stream *stream = open_sync(client, &ts_sum_method, NULL, NULL);
        write_text(stream, "!reply");
        msgsrv_status status;
        while ((status = msgsrv_stream_write(stream, &(msgsrv_bytes){"x", 1, NULL}, &error)) == MSGSRV_OK)
            continue;
        api_expect(MSGSRV_FAILED_PRECONDITION, status, &error);
        api_ok(msgsrv_stream_close(stream, &reply, &error), &error);
        ck_assert_mem_eq(reply.data, "early", 5);
        msgsrv_message_release(&msgsrv_raw_type, &reply);
        stream = open_sync(client, &ts_sum_method, NULL, NULL);
        write_text(stream, "!fail 5");
        while ((status = msgsrv_stream_write(stream, &(msgsrv_bytes){"x", 1, NULL}, &error)) == MSGSRV_OK)
            continue;
        api_expect(MSGSRV_NOT_FOUND, status, &error);
        api_expect(MSGSRV_NOT_FOUND, msgsrv_stream_close(stream, &reply, &error), &error);
        ck_assert_str_eq(error.text, "as asked");
        ck_assert(error.from_peer);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(both_write_and_read)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        msgsrv_error error;
        char text[64];
        msgsrv_stream *stream = open_sync(client, &ts_chat_method, NULL, NULL);
        for (int i = 0; i < 200; i++) {
            char want[16];
            snprintf(want, sizeof want, "word %d", i);
            write_text(stream, want);
            ck_assert(read_text(stream, text, sizeof text));
            ck_assert_str_eq(text, want);
        }
        ck_assert(msgsrv_stream_finish(stream) == (thread ? MSGSRV_FAILED_PRECONDITION : MSGSRV_OK));
        api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_stream_that_lasts_is_cancelled_and_closed)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        msgsrv_error error;
        char text[64];
        msgsrv_stream *stream = open_sync(client, &ts_count_method, "all 100", NULL);
        for (int i = 0; i < 500; i++)
            ck_assert(read_text(stream, text, sizeof text));
        msgsrv_stream_cancel(stream);
        ck_assert(!read_text(stream, text, sizeof text));
        api_expect(MSGSRV_CANCELLED, msgsrv_stream_close(stream, NULL, &error), &error);
        ts_streams_wait(&streams, closed, 2 * (unsigned)thread + 1);
        ck_assert_int_eq(streams.last_closed, MSGSRV_CANCELLED);
        stream = open_sync(client, &ts_count_method, "wait", &(msgsrv_call_options){.timeout_ms = 30});
        ck_assert(!read_text(stream, text, sizeof text));
        api_expect(MSGSRV_DEADLINE_EXCEEDED, msgsrv_stream_close(stream, NULL, &error), &error);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_client_that_is_freed_leaves_its_streams_harmless)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        msgsrv_error error;
        char text[64];
        msgsrv_stream *stream = open_sync(client, &ts_count_method, "all 100", NULL);
        ck_assert(read_text(stream, text, sizeof text));
        msgsrv_client_free(client);
        ck_assert(!read_text(stream, text, sizeof text));
        api_expect(MSGSRV_CANCELLED, msgsrv_stream_write(stream, &(msgsrv_bytes){"x", 1, NULL}, &error), &error);
        msgsrv_stream_cancel(stream);
        api_expect(MSGSRV_CANCELLED, msgsrv_stream_close(stream, NULL, &error), &error);
    }
    msgsrv_server_free(server);
}
END_TEST

/* Asynchronous. */

typedef struct watcher {
    unsigned begun;
    unsigned messages;
    unsigned writable;
    unsigned closed;
    unsigned cancel_at; /* cancels at that message */
    unsigned pause_at;
    bool pause_first; /* in BEGIN */
    unsigned to_send; /* Sum */
    msgsrv_status status;
    char reply[32];
    msgsrv_stream *stream;
    msgsrv_client *free_at_message;
    api_event end;
} watcher;

static void send_some(watcher *own, msgsrv_stream *stream)
{
    while (own->to_send) {
        msgsrv_status status = msgsrv_stream_send(stream, &(msgsrv_bytes){"hello", 5, NULL}, NULL);
        if (status == MSGSRV_AGAIN || status == MSGSRV_FAILED_PRECONDITION) /* it is over before it began */
            return;
        ck_assert_int_eq(status, MSGSRV_OK);
        if (--own->to_send == 0)
            ck_assert_int_eq(msgsrv_stream_finish(stream), MSGSRV_OK);
    }
}

static msgsrv_status watch(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *out, void *ctx)
{
    watcher *own = *(watcher *const *)implementation;
    const msgsrv_reply *reply = in;
    ck_assert(ctx == NULL);
    ck_assert_uint_eq(own->closed, 0);
    ck_assert(event == MSGSRV_STREAM_BEGIN || own->begun == 1);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        own->begun++;
        own->stream = stream;
        if (own->pause_first)
            msgsrv_stream_pause(stream);
        send_some(own, stream);
        break;
    case MSGSRV_STREAM_MESSAGE:
        own->messages++;
        if (own->free_at_message)
            msgsrv_client_free(own->free_at_message);
        else if (own->messages == own->cancel_at)
            msgsrv_stream_cancel(stream);
        else if (own->messages == own->pause_at)
            msgsrv_stream_pause(stream);
        break;
    case MSGSRV_STREAM_WRITABLE:
        own->writable++;
        send_some(own, stream);
        break;
    case MSGSRV_STREAM_CLOSED:
        own->closed++;
        own->status = reply->status;
        if (out)
            memcpy(own->reply, ((msgsrv_bytes *)out)->data, ((msgsrv_bytes *)out)->size);
        api_event_add(&own->end);
        break;
    default:
        ck_abort_msg("event %d", (int)event);
    }
    return MSGSRV_OK;
}

static msgsrv_stream *open_watched(msgsrv_client *client, const msgsrv_method *method, const char *request,
                                   watcher *own, bool thread)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_bytes bytes = {request, request ? strlen(request) : 0, NULL};
    api_event_init(&own->end);
    api_ok(msgsrv_stream_open(client, method, request ? &bytes : NULL, NULL, watch, &own, sizeof own,
                              thread ? NULL : &stream, NULL, &error),
           &error);
    if (!thread)
        ck_assert_uint_eq(own->begun, 0); /* nothing is told inside the call that opens */
    return stream;
}

static void drive(msgsrv_client *client, watcher *own, bool thread)
{
    if (thread)
        api_event_wait(&own->end, 1);
    while (!thread && !own->closed)
        (void)msgsrv_client_poll(client, 1000, NULL);
}

START_TEST(events_come_in_order_and_end_once)
{
    msgsrv_server *server = server_with(NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = client_of(server, thread);
        watcher count = {0};
        watcher failed = {0};
        watcher sum = {.to_send = 1000};
        watcher cancelled = {.cancel_at = 10};
        (void)open_watched(client, &ts_count_method, "3000 100", &count, thread);
        (void)open_watched(client, &ts_count_method, "10 100 7", &failed, thread);
        (void)open_watched(client, &ts_sum_method, NULL, &sum, thread);
        (void)open_watched(client, &ts_count_method, "all 10000", &cancelled, thread);
        drive(client, &count, thread);
        drive(client, &failed, thread);
        drive(client, &sum, thread);
        drive(client, &cancelled, thread);
        ck_assert_uint_eq(count.messages, 3000);
        ck_assert_int_eq(count.status, MSGSRV_OK);
        ck_assert_uint_eq(failed.messages, 10);
        ck_assert_int_eq(failed.status, MSGSRV_PERMISSION_DENIED);
        ck_assert_str_eq(sum.reply, "1000 5000");
        ck_assert_uint_eq(cancelled.messages, 10);
        ck_assert_int_eq(cancelled.status, MSGSRV_CANCELLED);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_paused_stream_gets_its_end_after_its_messages)
{
    msgsrv_server *server = server_with(NULL);
    msgsrv_client *client = client_of(server, false);
    watcher own = {.pause_at = 5};
    msgsrv_stream *stream = open_watched(client, &ts_count_method, "60 10", &own, false);
    while (own.messages < 5)
        (void)msgsrv_client_poll(client, 1000, NULL);
    ts_streams_wait(&streams, closed, 1); /* the server has sent all, and its end */
    api_call_add(client);
    ck_assert_uint_eq(own.messages, 5);
    ck_assert_uint_eq(own.closed, 0);
    msgsrv_stream_resume(stream);
    drive(client, &own, false);
    ck_assert_uint_eq(own.messages, 60);
    ck_assert_int_eq(own.status, MSGSRV_OK);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* The first message is here before anything was told. */
START_TEST(a_stream_paused_in_its_begin_gets_no_message)
{
    msgsrv_server *server = server_with(NULL);
    msgsrv_client *client = client_of(server, false);
    watcher own = {.pause_first = true};
    api_call_add(client); /* connected, so that the call goes out at once */
    (void)open_watched(client, &ts_count_method, "3 10", &own, false);
    ts_streams_wait(&streams, closed, 1);
    api_call_add(client); /* answered behind them on the same connection */
    ck_assert_uint_eq(own.begun, 1);
    ck_assert_uint_eq(own.messages, 0);
    msgsrv_stream_resume(own.stream);
    drive(client, &own, false);
    ck_assert_uint_eq(own.messages, 3);
    ck_assert_int_eq(own.status, MSGSRV_OK);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_client_freed_in_a_message_closes_its_streams_before_it_returns)
{
    msgsrv_server *server = server_with(NULL);
    msgsrv_client *client = client_of(server, true);
    watcher own = {0};
    own.free_at_message = client;
    (void)open_watched(client, &ts_count_method, "all 10", &own, true);
    api_event_wait(&own.end, 1);
    ck_assert_int_eq(own.status, MSGSRV_CANCELLED);
    ts_streams_wait(&streams, closed, 1);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_stream_without_its_events_is_refused)
{
    static const char said[] = "the events, which are the closure of msgsrv_stream_open(), are NULL; without events a "
                               "stream is started synchronously";
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client_of("unix:@nobody-listens-here", &(msgsrv_client_options){.thread = thread});
        messages_CountRequest request = messages_CountRequest_init_zero;
        messages_Demo_Chat_client call = {NULL};
        msgsrv_error error = {0};
        msgsrv_handle handle = 0;
        ck_assert_int_eq(messages_Demo_Count_open(client, &request, NULL, NULL, NULL, NULL, &handle, &error),
                         MSGSRV_INVALID_ARGUMENT);
        ck_assert_str_eq(error.text, said);
        ck_assert_int_eq(messages_Demo_Sum_open(client, NULL, NULL, NULL, NULL, NULL, NULL), MSGSRV_INVALID_ARGUMENT);
        ck_assert_int_eq(messages_Demo_Chat_open(client, NULL, NULL, NULL, &call, &handle, &error),
                         MSGSRV_INVALID_ARGUMENT);
        ck_assert_str_eq(error.text, said);
        ck_assert(!call.stream && !handle);
        msgsrv_client_free(client);
    }
}
END_TEST

START_TEST(without_a_server_a_stream_ends_unavailable)
{
    msgsrv_client *client = api_client_of("unix:@nobody-listens-here", NULL);
    watcher own = {.to_send = 1};
    (void)open_watched(client, &ts_sum_method, NULL, &own, false);
    drive(client, &own, false);
    ck_assert_uint_eq(own.begun, 1);
    ck_assert_int_eq(own.status, MSGSRV_UNAVAILABLE);
    msgsrv_client_free(client);
}
END_TEST

START_TEST(a_server_that_is_freed_ends_its_streams)
{
    msgsrv_server *server = server_with(NULL);
    msgsrv_client *client = client_of(server, true);
    watcher own = {0};
    (void)open_watched(client, &ts_count_method, "wait", &own, true);
    ts_streams_wait(&streams, begun, 1);
    msgsrv_server_free(server);
    ck_assert_uint_eq(streams.closed, 1);
    api_event_wait(&own.end, 1);
    ck_assert_int_eq(own.status, MSGSRV_UNAVAILABLE);
    msgsrv_client_free(client);
}
END_TEST

TS_MAIN("streams", a_server_streams_to_a_synchronous_client, a_synchronous_client_streams_to_a_server,
        an_early_answer_ends_the_writing, both_write_and_read, a_stream_that_lasts_is_cancelled_and_closed,
        a_client_that_is_freed_leaves_its_streams_harmless, events_come_in_order_and_end_once,
        a_paused_stream_gets_its_end_after_its_messages, a_stream_paused_in_its_begin_gets_no_message,
        a_client_freed_in_a_message_closes_its_streams_before_it_returns, a_stream_without_its_events_is_refused,
        without_a_server_a_stream_ends_unavailable, a_server_that_is_freed_ends_its_streams)
