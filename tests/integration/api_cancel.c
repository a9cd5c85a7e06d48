/* SPDX-License-Identifier: MIT */
/*
 * Cancellation: by handle on the client, told once to the handler on the server, and harmless for calls that are over.
 */
#include "api_support.h"
#include "peer.h"

START_TEST(a_cancelled_call_ends_once_and_its_handler_is_told_once)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    for (unsigned thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client_thread(server);
        api_result result;
        msgsrv_handle handle = api_start_add(client, NULL, &result);
        api_event_wait(&holds.held, thread + 1);
        msgsrv_client_cancel(client, handle);
        msgsrv_client_cancel(client, handle);
        api_event_wait(&result.ended, 1);
        api_expect(MSGSRV_CANCELLED, result.status, NULL);
        ck_assert(!result.from_peer);
        ck_assert(!result.had_response);
        api_event_wait(&holds.cancelled, thread + 1);
        api_expect(MSGSRV_CANCELLED, holds.reason, NULL);
        ck_assert(msgsrv_held_cancelled(holds.hold[thread]));
        api_expect(MSGSRV_CANCELLED, msgsrv_held_fail(holds.hold[thread], MSGSRV_ABORTED, "too late"), NULL);
        api_call_echo(client, "the connection goes on");
        msgsrv_client_cancel(client, handle);
        msgsrv_client_free(client);
        ck_assert_uint_eq(api_event_count(&result.ended), 1);
    }
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 2);
}
END_TEST

START_TEST(on_a_private_loop_a_cancelled_calls_callback_comes_from_poll)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, NULL);
    api_result sent, unsent;
    msgsrv_error error;
    msgsrv_handle handle = api_start_add(client, NULL, &sent);
    while (api_event_count(&holds.held) == 0)
        (void)msgsrv_client_poll(client, 5, &error);
    msgsrv_handle second = api_start_add(client, NULL, &unsent);
    msgsrv_client_cancel(client, handle);
    msgsrv_client_cancel(client, second);
    api_drive(client, &sent);
    api_drive(client, &unsent);
    api_expect(MSGSRV_CANCELLED, sent.status, NULL);
    api_expect(MSGSRV_CANCELLED, unsent.status, NULL);
    api_call_echo(client, "and on");
    api_event_wait(&holds.cancelled, 1);
    for (unsigned i = 0; i < api_event_count(&holds.held); i++)
        msgsrv_held_drop(holds.hold[i]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&sent.ended), 1);
    ck_assert_uint_eq(api_event_count(&unsent.ended), 1);
}
END_TEST

START_TEST(cancelling_what_is_over_or_never_was_is_harmless)
{
    msgsrv_server *server = api_server(NULL, NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = thread});
        msgsrv_client_cancel(client, 0);
        msgsrv_client_cancel(client, 1);
        msgsrv_client_cancel(client, UINT64_MAX);
        api_result result;
        msgsrv_handle handle = api_start_add(client, NULL, &result);
        if (thread)
            api_event_wait(&result.ended, 1);
        else
            api_drive(client, &result);
        msgsrv_client_cancel(client, handle);
        api_call_add(client);
        msgsrv_client_cancel(client, handle);
        msgsrv_client_free(client);
        api_expect(MSGSRV_OK, result.status, NULL);
        ck_assert_uint_eq(api_event_count(&result.ended), 1);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_call_cancelled_before_it_is_connected_ends_too)
{
    api_path path;
    api_path_make(&path);
    msgsrv_client *client = api_client_of(path.url, NULL);
    api_result result;
    msgsrv_handle handle =
        api_start_add(client, &(msgsrv_call_options){.wait_for_ready = true, .timeout_ms = MSGSRV_NONE}, &result);
    msgsrv_client_cancel(client, handle);
    api_drive(client, &result);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    msgsrv_client_free(client);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    api_path_remove(&path);
}
END_TEST

/* Cancels another call, and itself, from a callback. */
struct chain {
    msgsrv_client *client;
    msgsrv_handle self;
    msgsrv_handle other;
    api_event ended;
};

static void cancel_others(const msgsrv_reply *reply, messages_EchoMessage *response, void *ctx)
{
    struct chain *chain = ctx;
    (void)reply;
    (void)response;
    msgsrv_client_cancel(chain->client, chain->self);
    msgsrv_client_cancel(chain->client, chain->other);
    api_event_add(&chain->ended);
}

START_TEST(a_callback_may_cancel_other_calls_and_itself)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, NULL);
    struct chain chain = {.client = client};
    api_result result;
    api_event_init(&chain.ended);
    chain.other = api_start_add(client, NULL, &result);
    messages_EchoMessage request = messages_EchoMessage_init_zero;
    api_ok(messages_Demo_Echo_async(client, &request, NULL, cancel_others, &chain, &chain.self, NULL), NULL);
    api_drive(client, &result);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    ck_assert_uint_eq(api_event_count(&chain.ended), 1);
    api_event_wait(&holds.held, 1);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&chain.ended), 1);
}
END_TEST

/* ---- on_cancel ---- */

static void count_cancel(msgsrv_status reason, void *ctx)
{
    (void)reason;
    api_event_add(ctx);
}

struct watcher {
    api_event entered;
    api_event first;
    api_event second;
    api_event left;
    bool told_at_once;
    bool ask_no_longer;
};

static void watcher_init(struct watcher *watcher)
{
    memset(watcher, 0, sizeof *watcher);
    api_event_init(&watcher->entered);
    api_event_init(&watcher->first);
    api_event_init(&watcher->second);
    api_event_init(&watcher->left);
}

/* A blocking handler that looks until it is cancelled. */
static msgsrv_status watch(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                           void *ctx)
{
    struct watcher *watcher = ctx;
    (void)request;
    (void)response;
    msgsrv_call_on_cancel(call, count_cancel, &watcher->first);
    if (watcher->ask_no_longer)
        msgsrv_call_on_cancel(call, NULL, NULL);
    api_event_add(&watcher->entered);
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (!msgsrv_call_cancelled(call))
        ck_assert_int_lt(api_now_ms(), until);
    msgsrv_call_on_cancel(call, count_cancel, &watcher->second);
    watcher->told_at_once = api_event_count(&watcher->second) == 1;
    ck_assert_int_eq(msgsrv_call_time_left_ms(call) >= 0, 1);
    api_event_add(&watcher->left);
    return MSGSRV_OK;
}

static const messages_Demo_service watching = {.Add = watch, .blocking = {.Add = true}};

START_TEST(a_blocking_handler_sees_the_cancellation_and_a_late_question_is_answered_at_once)
{
    for (int ask_no_longer = 0; ask_no_longer < 2; ask_no_longer++) {
        struct watcher watcher;
        watcher_init(&watcher);
        watcher.ask_no_longer = ask_no_longer;
        msgsrv_server *server = api_server(&watching, &watcher);
        msgsrv_client *client = api_client_thread(server);
        api_result result;
        msgsrv_handle handle = api_start_add(client, NULL, &result);
        api_event_wait(&watcher.entered, 1);
        msgsrv_client_cancel(client, handle);
        api_event_wait(&watcher.left, 1);
        ck_assert(watcher.told_at_once);
        msgsrv_client_free(client);
        msgsrv_server_free(server);
        /* Not asked any longer: not told. Otherwise the first is told unless the second took its place in time. */
        ck_assert_uint_le(api_event_count(&watcher.first), ask_no_longer ? 0 : 1);
        ck_assert_uint_eq(api_event_count(&watcher.second), 1);
        ck_assert_uint_eq(api_event_count(&result.ended), 1);
    }
}
END_TEST

static msgsrv_status replace_on_cancel(msgsrv_call *call, const messages_AddRequest *request,
                                       messages_AddResponse *response, void *ctx)
{
    struct watcher *watcher = ctx;
    (void)request;
    (void)response;
    msgsrv_call_on_cancel(call, count_cancel, &watcher->first);
    msgsrv_call_on_cancel(call, count_cancel, &watcher->second);
    msgsrv_held_drop(NULL);
    msgsrv_held **hold = msgsrv_call_alloc(call, sizeof *hold);
    *hold = msgsrv_call_hold(call);
    ck_assert_ptr_null(msgsrv_call_hold(call)); /* a second hold */
    api_event_add(&watcher->entered);
    msgsrv_held_drop(*hold);
    return MSGSRV_DEFERRED;
}

START_TEST(a_second_on_cancel_replaces_the_first_and_none_comes_after_the_answer)
{
    static const messages_Demo_service service = {.Add = replace_on_cancel};
    struct watcher watcher;
    watcher_init(&watcher);
    msgsrv_server *server = api_server(&service, &watcher);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    api_expect(MSGSRV_INTERNAL, messages_Demo_Add(client, &request, NULL, &response, NULL), NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&watcher.first), 0);
    ck_assert_uint_eq(api_event_count(&watcher.second), 0);
}
END_TEST

START_TEST(a_lost_connection_is_told_as_unavailable)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_bytes out = {0};
    ts_put_call_add(&out, 1, 2, 3);
    ts_peer_send(peer, &out);
    ts_bytes_release(&out);
    api_event_wait(&holds.held, 1);
    ts_peer_reset(peer);
    api_event_wait(&holds.cancelled, 1);
    api_expect(MSGSRV_UNAVAILABLE, holds.reason, NULL);
    ck_assert(msgsrv_held_cancelled(holds.hold[0]));
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
}
END_TEST

START_TEST(a_stopping_server_tells_its_open_calls)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    msgsrv_server_stop(server);
    api_event_wait(&holds.cancelled, 1);
    ck_assert(holds.reason == MSGSRV_CANCELLED || holds.reason == MSGSRV_UNAVAILABLE);
    api_event_wait(&result.ended, 1);
    ck_assert(result.status == MSGSRV_CANCELLED || result.status == MSGSRV_UNAVAILABLE);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
}
END_TEST

TS_MAIN("api_cancel", a_cancelled_call_ends_once_and_its_handler_is_told_once,
        on_a_private_loop_a_cancelled_calls_callback_comes_from_poll, cancelling_what_is_over_or_never_was_is_harmless,
        a_call_cancelled_before_it_is_connected_ends_too, a_callback_may_cancel_other_calls_and_itself,
        a_blocking_handler_sees_the_cancellation_and_a_late_question_is_answered_at_once,
        a_second_on_cancel_replaces_the_first_and_none_comes_after_the_answer, a_lost_connection_is_told_as_unavailable,
        a_stopping_server_tells_its_open_calls)
