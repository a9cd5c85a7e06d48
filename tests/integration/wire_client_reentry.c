/* SPDX-License-Identifier: MIT */
/*
 * What an interceptor's `end` does to other calls while the client goes through several of them: at a GoAway, and when a connection could
 * not be made.
 */
#include "api_client_frame.h"
#include "api_support.h"
#include "peer.h"
#include "streams.h"

enum { CALLS = 4 };

static msgsrv_client *client;
static msgsrv_handle handles[CALLS];
static atomic_uint ended;
static atomic_bool free_client;
static msgsrv_status last;
static api_event closed = API_EVENT_INIT;

/* The first call that ends takes the others with it. */
static void end_all(const msgsrv_call_info *info, const msgsrv_call_outcome *outcome, void *ctx, void *data)
{
    (void)info;
    (void)outcome;
    (void)ctx;
    (void)data;
    if (atomic_fetch_add(&ended, 1) != 0)
        return;
    if (atomic_load(&free_client)) {
        msgsrv_client_free(client);
        return;
    }
    for (size_t i = 0; i < CALLS; i++)
        msgsrv_client_cancel(client, handles[i]);
}

static const msgsrv_interceptor interceptor = {.size = sizeof interceptor, .end = end_all};

static msgsrv_status send_once(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                               const void *in, void *response, void *ctx)
{
    (void)implementation;
    (void)in;
    (void)response;
    (void)ctx;
    if (event == MSGSRV_STREAM_BEGIN || event == MSGSRV_STREAM_WRITABLE) { /* when there is a connection */
        (void)msgsrv_stream_send(stream, &(msgsrv_bytes){"x", 1, NULL}, NULL);
    } else if (event == MSGSRV_STREAM_CLOSED) {
        api_event_add(&closed);
    }
    return MSGSRV_OK;
}

static void open_streams(const msgsrv_call_options *options)
{
    msgsrv_error error;
    for (size_t i = 0; i < CALLS; i++)
        api_ok(msgsrv_stream_open(client, &ts_chat_method, NULL, options, send_once, NULL, 0, NULL, &handles[i], &error),
               &error);
}

static void go_away(bool freed)
{
    ts_listener listener;
    ts_bytes out = {0};
    msgsrv_error error;
    atomic_store(&free_client, freed);
    ts_listener_open(&listener);
    api_ok(msgsrv_client_new(listener.url, &(msgsrv_client_options){.thread = true}, &client, &error), &error);
    api_ok(msgsrv_client_intercept(client, &interceptor, &error), &error);
    open_streams(NULL);
    ts_peer *peer = ts_listener_accept(&listener);
    for (size_t i = 0; i < 2 * CALLS; i++)
        (void)api_client_frame_or_end(peer);
    ts_put_go_away(&out, 14, "going", 0);
    ts_peer_send(peer, &out);
    api_event_wait(&closed, CALLS);
    ck_assert_uint_eq(atomic_load(&ended), CALLS);
    if (!freed)
        msgsrv_client_free(client);
    ts_peer_free(peer);
    ts_listener_close(&listener);
}

START_TEST(an_interceptor_cancels_the_others_at_a_go_away)
{
    go_away(false);
}
END_TEST

START_TEST(an_interceptor_frees_the_client_at_a_go_away)
{
    go_away(true);
}
END_TEST

static void completed(const msgsrv_reply *reply, void *response, const void *closure)
{
    (void)response;
    (void)closure;
    last = reply->status;
    api_event_add(&closed);
}

/* Nobody listens. The one that does not wait fails; it takes those with it that wait for better times. */
START_TEST(an_interceptor_cancels_those_that_wait_when_a_connection_fails)
{
    ts_listener listener;
    msgsrv_error error;
    ts_listener_open(&listener);
    ts_listener_close(&listener);
    api_ok(msgsrv_client_new(listener.url, NULL, &client, &error), &error);
    api_ok(msgsrv_client_intercept(client, &interceptor, &error), &error);
    msgsrv_bytes request = {"x", 1, NULL};
    const msgsrv_method method = {.abi = MSGSRV_GENERATED_ABI,
                                  .path = "/test.Streams/Unary",
                                  .request = &msgsrv_raw_type,
                                  .response = &msgsrv_raw_type};
    for (unsigned i = 0; i < CALLS; i++) {
        msgsrv_call_options options = {.wait_for_ready = i + 1 < CALLS};
        api_ok(msgsrv_client_start(client, &method, &request, &options, completed, NULL, 0, &handles[i], &error), &error);
    }
    while (api_event_count(&closed) < CALLS)
        (void)msgsrv_client_poll(client, 100, NULL);
    ck_assert_uint_eq(atomic_load(&ended), CALLS);
    /* The list of those that wait is whole. */
    for (unsigned i = 0; i < CALLS; i++) {
        msgsrv_call_options options = {.timeout_ms = 3000};
        api_ok(msgsrv_client_start(client, &method, &request, &options, completed, NULL, 0, &handles[i], &error), &error);
    }
    while (api_event_count(&closed) < 2 * CALLS)
        (void)msgsrv_client_poll(client, 100, NULL);
    ck_assert_int_eq(last, MSGSRV_UNAVAILABLE);
    msgsrv_client_free(client);
}
END_TEST

TS_MAIN("wire_client_reentry", an_interceptor_cancels_the_others_at_a_go_away,
        an_interceptor_frees_the_client_at_a_go_away, an_interceptor_cancels_those_that_wait_when_a_connection_fails)
