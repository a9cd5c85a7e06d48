/* SPDX-License-Identifier: MIT */
/* Interceptors: their order, what they see of each kind of call, how they end one, at a server and at a client. */
#include "api_support.h"
#include "server.h"
#include "streams.h"

/* What an interceptor has seen. */
typedef struct seen {
    pthread_mutex_t mutex;
    char text[512]; /* "b1 b2 e2 e1 " */
    api_event ended;
    msgsrv_call_outcome outcome;
    char outcome_text[64];
    char method[64];
    uint32_t kind;
    bool plain;
    bool has_peer;
    int64_t time_left_ms;
    size_t metadata;
    msgsrv_status refuse; /* what the second one returns */
    msgsrv_server *free_at_end;
} seen;

typedef struct one {
    seen *all;
    char name;
} one;

static void note(seen *all, char what, char name)
{
    pthread_mutex_lock(&all->mutex);
    size_t size = strlen(all->text);
    snprintf(all->text + size, sizeof all->text - size, "%c%c ", what, name);
    pthread_mutex_unlock(&all->mutex);
}

static msgsrv_status begin(const msgsrv_call_info *info, void *ctx, void **data, msgsrv_error *error)
{
    one *own = ctx;
    seen *all = own->all;
    note(all, 'b', own->name);
    ck_assert_ptr_null(*data);
    *data = own;
    snprintf(all->method, sizeof all->method, "%s", info->method);
    all->kind = info->kind;
    all->plain = info->plain;
    all->time_left_ms = info->time_left_ms;
    all->metadata = msgsrv_metadata_count(info->metadata);
    if (info->call) {
        msgsrv_peer peer;
        msgsrv_call_peer(info->call, &peer);
        all->has_peer = peer.address[0] != '\0';
    }
    if (own->name == '2' && all->refuse)
        snprintf(error->text, sizeof error->text, "not today");
    return own->name == '2' ? all->refuse : MSGSRV_OK;
}

static void end(const msgsrv_call_info *info, const msgsrv_call_outcome *outcome, void *ctx, void *data)
{
    one *own = ctx;
    seen *all = own->all;
    ck_assert_ptr_eq(data, own);
    ck_assert_str_eq(info->method, all->method);
    note(all, 'e', own->name);
    if (own->name != '1')
        return;
    all->outcome = *outcome;
    snprintf(all->outcome_text, sizeof all->outcome_text, "%s", outcome->text);
    all->outcome.text = all->outcome_text;
    if (all->free_at_end)
        msgsrv_server_free(all->free_at_end);
    api_event_add(&all->ended);
}

static void init(seen *all, one ones[3])
{
    memset(all, 0, sizeof *all);
    pthread_mutex_init(&all->mutex, NULL);
    api_event_init(&all->ended);
    for (int i = 0; i < 3; i++)
        ones[i] = (one){all, (char)('1' + i)};
}

static seen all;
static one ones[3];
static ts_streams streams;

static msgsrv_interceptor interceptor(int index)
{
    return (msgsrv_interceptor){.size = sizeof(msgsrv_interceptor), .begin = begin, .end = end, .ctx = &ones[index]};
}

static msgsrv_server *server_with(const messages_Demo_service *demo, void *ctx, unsigned count)
{
    msgsrv_error error;
    init(&all, ones);
    ts_streams_init(&streams);
    msgsrv_server *server = api_server_new(NULL, NULL, demo, ctx);
    api_ok(ts_streams_register(&streams, server, &error), &error);
    for (unsigned i = 0; i < count; i++) {
        msgsrv_interceptor added = interceptor((int)i);
        api_ok(msgsrv_server_intercept(server, &added, &error), &error);
    }
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_interceptor late = interceptor(0);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_intercept(server, &late, &error), &error);
    return server;
}

/* Waits for the n-th call's end, and looks at what was noted since the last time. */
static void expect_seen(unsigned n, const char *text, msgsrv_status status)
{
    api_event_wait(&all.ended, n);
    pthread_mutex_lock(&all.mutex);
    ck_assert_str_eq(all.text, text);
    all.text[0] = '\0';
    pthread_mutex_unlock(&all.mutex);
    api_expect(status, all.outcome.status, NULL);
}

START_TEST(they_see_unary_calls_in_order_and_their_ends_in_reverse)
{
    msgsrv_server *server = server_with(NULL, NULL, 3);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_AddResponse sum;
    msgsrv_metadata entry = {"key", "value", 0};
    msgsrv_call_options options = {.timeout_ms = 20000, .metadata = &entry, .metadata_count = 1};
    api_ok(messages_Demo_Add(client, &(messages_AddRequest){2, 3}, &options, &sum, &error), &error);
    expect_seen(1, "b1 b2 b3 e3 e2 e1 ", MSGSRV_OK);
    ck_assert_str_eq(all.method, "/messages.Demo/Add");
    ck_assert_uint_eq(all.kind, MSGSRV_UNARY);
    ck_assert(!all.plain && all.has_peer && all.metadata == 1);
    ck_assert(all.time_left_ms > 0 && all.time_left_ms <= 20000);
    ck_assert(all.outcome.messages_received == 1 && all.outcome.messages_sent == 1 && all.outcome.duration_ns > 0);
    messages_AddRequest large = {INT32_MAX, 1};
    api_expect(MSGSRV_OUT_OF_RANGE, messages_Demo_Add(client, &large, NULL, &sum, &error), &error);
    expect_seen(2, "b1 b2 b3 e3 e2 e1 ", MSGSRV_OUT_OF_RANGE);
    ck_assert_str_eq(all.outcome.text, error.text);
    ck_assert_int_eq(all.outcome.messages_sent, 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(one_ends_a_call_before_the_later_ones_and_the_handler)
{
    msgsrv_server *server = server_with(NULL, NULL, 3);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_AddResponse sum;
    all.refuse = MSGSRV_PERMISSION_DENIED;
    api_expect(MSGSRV_PERMISSION_DENIED, messages_Demo_Add(client, &(messages_AddRequest){2, 3}, NULL, &sum, &error),
               &error);
    ck_assert_str_eq(error.text, "not today");
    ck_assert(error.from_peer);
    expect_seen(1, "b1 b2 e2 e1 ", MSGSRV_PERMISSION_DENIED);
    msgsrv_stream *stream = NULL;
    api_ok(msgsrv_stream_open(client, &ts_chat_method, NULL, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    api_expect(MSGSRV_PERMISSION_DENIED, msgsrv_stream_close(stream, NULL, &error), &error);
    expect_seen(2, "b1 b2 e2 e1 ", MSGSRV_PERMISSION_DENIED);
    all.refuse = MSGSRV_AGAIN; /* no code of a call's */
    api_expect(MSGSRV_INTERNAL, messages_Demo_Add(client, &(messages_AddRequest){2, 3}, NULL, &sum, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(streams.begun, 0);
    ck_assert_uint_eq(streams.closed, 0);
}
END_TEST

START_TEST(they_count_what_streams_send)
{
    msgsrv_server *server = server_with(NULL, NULL, 2);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_bytes request = {"5 10 9", 6, NULL};
    api_ok(msgsrv_stream_open(client, &ts_count_method, &request, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_stream_close(stream, NULL, &error), &error);
    expect_seen(1, "b1 b2 e2 e1 ", MSGSRV_FAILED_PRECONDITION);
    ck_assert_uint_eq(all.outcome.messages_sent, 5);
    ck_assert_uint_eq(all.outcome.messages_received, 1);
    ck_assert_uint_eq(all.kind, MSGSRV_SERVER_STREAMING);
    api_ok(msgsrv_stream_open(client, &ts_sum_method, NULL, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    for (int i = 0; i < 3; i++)
        api_ok(msgsrv_stream_write(stream, &request, &error), &error);
    msgsrv_bytes reply = {0};
    api_ok(msgsrv_stream_close(stream, &reply, &error), &error);
    msgsrv_message_release(&msgsrv_raw_type, &reply);
    expect_seen(2, "b1 b2 e2 e1 ", MSGSRV_OK);
    ck_assert_uint_eq(all.outcome.messages_received, 3);
    ck_assert_uint_eq(all.outcome.messages_sent, 1);
    api_ok(msgsrv_stream_open(client, &ts_chat_method, NULL, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    api_ok(msgsrv_stream_write(stream, &request, &error), &error);
    ts_streams_wait(&streams, messages, 4);
    msgsrv_client_free(client);
    (void)msgsrv_stream_close(stream, NULL, NULL);
    api_event_wait(&all.ended, 3);
    ck_assert(all.outcome.status == MSGSRV_CANCELLED);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(plain_messages_bad_requests_and_blocking_handlers_are_seen_too)
{
    static const messages_Demo_service blocking = {.Add = api_add, .Echo = api_echo, .blocking = {.Add = true}};
    msgsrv_error error;
    init(&all, ones);
    msgsrv_server *server = api_server_new(NULL, NULL, &blocking, NULL);
    msgsrv_interceptor first = interceptor(0);
    api_ok(msgsrv_server_intercept(server, &first, &error), &error);
    api_ok(msgsrv_server_bind_plain(server, 2, "/messages.Demo/Add", 2, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_bytes out = {0};
    ts_put_plain_add(&out, 1, 2);
    ts_peer_send(peer, &out);
    ts_expect_plain_add(peer, 3);
    expect_seen(1, "b1 e1 ", MSGSRV_OK);
    ck_assert(all.plain);
    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ADD, .body = "\xff", .body_size = 1});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    expect_seen(2, "b1 e1 ", MSGSRV_INVALID_ARGUMENT);
    ts_put_call(&out, &(ts_call){.id = 2, .method = "/no.Such/Method"});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 2, MSGSRV_UNIMPLEMENTED);
    ts_barrier(peer);
    ck_assert_str_eq(all.text, ""); /* what no method was found for is no call of one */
    ts_peer_free(peer);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_server_may_be_freed_in_an_end)
{
    msgsrv_server *server = server_with(NULL, NULL, 1);
    msgsrv_client *client = api_client_thread(server);
    messages_AddResponse sum;
    all.free_at_end = server;
    (void)messages_Demo_Add(client, &(messages_AddRequest){2, 3}, NULL, &sum, NULL);
    api_event_wait(&all.ended, 1);
    msgsrv_client_free(client);
}
END_TEST

START_TEST(a_client_has_its_own)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_AddResponse sum;
    init(&all, ones);
    for (int i = 0; i < 3; i++) {
        msgsrv_interceptor added = interceptor(i);
        api_ok(msgsrv_client_intercept(client, &added, &error), &error);
    }
    api_ok(messages_Demo_Add(client, &(messages_AddRequest){2, 3}, NULL, &sum, &error), &error);
    expect_seen(1, "b1 b2 b3 e3 e2 e1 ", MSGSRV_OK);
    ck_assert_uint_eq(all.outcome.messages_received, 1);
    msgsrv_interceptor late = interceptor(0);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_intercept(client, &late, &error), &error);
    all.refuse = MSGSRV_UNAUTHENTICATED;
    api_expect(MSGSRV_UNAUTHENTICATED, messages_Demo_Add(client, &(messages_AddRequest){2, 3}, NULL, &sum, &error),
               &error);
    ck_assert_str_eq(error.text, "not today");
    expect_seen(2, "b1 b2 e2 e1 ", MSGSRV_UNAUTHENTICATED);
    api_result result;
    api_result_init(&result);
    api_expect(MSGSRV_UNAUTHENTICATED,
               messages_Demo_Add_async(client, &(messages_AddRequest){2, 3}, NULL, api_on_add, &result, NULL, &error),
               &error);
    ck_assert_uint_eq(api_event_count(&result.ended), 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(there_are_at_most_sixteen)
{
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_interceptor none = {0};
    for (int i = 0; i < MSGSRV_INTERCEPTORS_MAX; i++)
        api_ok(msgsrv_server_intercept(server, &none, &error), &error);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, msgsrv_server_intercept(server, &none, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_intercept(NULL, &none, &error), &error);
    none.size = 3;
    msgsrv_server_free(server);
    server = api_server_new(NULL, NULL, NULL, NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_intercept(server, &none, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_intercept(server, NULL, &error), &error);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("interceptors", they_see_unary_calls_in_order_and_their_ends_in_reverse,
        one_ends_a_call_before_the_later_ones_and_the_handler, they_count_what_streams_send,
        plain_messages_bad_requests_and_blocking_handlers_are_seen_too, the_server_may_be_freed_in_an_end,
        a_client_has_its_own, there_are_at_most_sixteen)
