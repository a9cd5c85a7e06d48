/* SPDX-License-Identifier: MIT */
/*
 * Freeing servers and clients wherever it is allowed: inside their own handlers and callbacks, with calls open, on the caller's
 * base and with threads of their own. Everything pending ends once, and nothing is called afterwards.
 */
#include <event2/event.h>

#include "api_support.h"

/* A server or a client that a callback frees. */
struct victim {
    msgsrv_server *server;
    msgsrv_client *client;
    struct event_base *base;
    api_event freed;
    api_result *pending; /* calls that have to end while it is freed */
    unsigned pending_count;
    unsigned ended_inside; /* how many had ended when the freeing returned */
    msgsrv_held *hold;
};

static void victim_init(struct victim *victim)
{
    memset(victim, 0, sizeof *victim);
    api_event_init(&victim->freed);
}

static unsigned count_ended(api_result *results, unsigned count)
{
    unsigned ended = 0;
    for (unsigned i = 0; i < count; i++)
        ended += api_event_count(&results[i].ended);
    return ended;
}

static void free_victim(struct victim *victim)
{
    msgsrv_client_free(victim->client);
    victim->ended_inside = count_ended(victim->pending, victim->pending_count);
    msgsrv_server_free(victim->server);
    if (victim->base != NULL)
        event_base_loopbreak(victim->base);
    api_event_add(&victim->freed);
}

/* ---- servers ---- */

static msgsrv_status free_in_handler(msgsrv_call *call, const messages_AddRequest *request,
                                     messages_AddResponse *response, void *ctx)
{
    free_victim(ctx);
    /* The call is cancelled but still the handler's: all that it may do must be safe. */
    ck_assert(msgsrv_call_cancelled(call));
    ck_assert_str_eq(msgsrv_call_method(call), "/messages.Demo/Add");
    ck_assert_ptr_nonnull(msgsrv_call_alloc(call, 10));
    return api_add(call, request, response, NULL);
}

static const messages_Demo_service freeing_handler = {.Add = free_in_handler, .Echo = api_echo};

START_TEST(a_server_is_freed_inside_its_handler_on_its_own_threads)
{
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        unsigned before = api_threads();
        struct victim victim;
        victim_init(&victim);
        msgsrv_server *server =
            api_server_on(NULL, &(msgsrv_server_options){.threads = threads}, &freeing_handler, &victim);
        msgsrv_client *client = api_client(server, NULL);
        api_call_echo(client, "connected");
        victim.server = server;
        messages_AddResponse response;
        messages_AddRequest request = {.a = 1};
        msgsrv_status status = messages_Demo_Add(client, &request, NULL, &response, NULL);
        ck_assert(status == MSGSRV_CANCELLED || status == MSGSRV_UNAVAILABLE);
        api_event_wait(&victim.freed, 1);
        msgsrv_client_free(client);
        api_wait_threads(before);
    }
}
END_TEST

START_TEST(a_server_with_held_calls_is_freed_while_its_base_does_not_run)
{
    struct api_holds holds;
    api_holds_init(&holds);
    struct event_base *base = event_base_new();
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.base = base}, &api_holding, &holds);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    api_result result;
    api_start_add(client, NULL, &result);
    while (api_event_count(&holds.held) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    msgsrv_server_free(server); /* the base does not run */
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
    while (api_event_count(&result.ended) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_int_ne(result.status, MSGSRV_OK);
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    msgsrv_client_free(client);
    event_base_free(base);
}
END_TEST

START_TEST(a_server_is_freed_inside_its_handler_on_the_callers_base)
{
    struct victim victim;
    victim_init(&victim);
    struct event_base *base = event_base_new();
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.base = base}, &freeing_handler, &victim);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    victim.server = server;
    api_result result;
    api_start_add(client, NULL, &result);
    while (api_event_count(&result.ended) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(api_event_count(&victim.freed), 1);
    ck_assert(result.status == MSGSRV_CANCELLED || result.status == MSGSRV_UNAVAILABLE);
    msgsrv_client_free(client);
    event_base_free(base);
}
END_TEST

/* Frees everything from a server's on_cancel. */
static void free_in_cancel(msgsrv_status reason, void *ctx)
{
    (void)reason;
    struct victim *victim = ctx;
    if (api_event_count(&victim->freed) == 0)
        free_victim(victim);
}

static msgsrv_status hold_to_free(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                  void *ctx)
{
    struct victim *victim = ctx;
    (void)request;
    (void)response;
    msgsrv_call_on_cancel(call, free_in_cancel, victim);
    victim->hold = msgsrv_call_hold(call);
    return MSGSRV_DEFERRED;
}

static const messages_Demo_service freeing_in_cancel = {.Add = hold_to_free, .Echo = api_echo};

START_TEST(a_server_is_freed_inside_on_cancel_on_its_own_thread)
{
    unsigned before = api_threads();
    struct victim victim;
    victim_init(&victim);
    msgsrv_server *server = api_server(&freeing_in_cancel, &victim);
    victim.server = server;
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    msgsrv_handle handle = api_start_add(client, NULL, &result);
    api_call_echo(client, "so the call has come");
    msgsrv_client_cancel(client, handle);
    api_event_wait(&victim.freed, 1);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(victim.hold, &response), NULL);
    msgsrv_client_free(client);
    api_wait_threads(before);
}
END_TEST

START_TEST(a_server_is_freed_inside_on_cancel_on_the_callers_base)
{
    struct victim victim;
    victim_init(&victim);
    struct event_base *base = event_base_new();
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.base = base}, &freeing_in_cancel, &victim);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    victim.server = server;
    api_result result;
    api_start_add(client, &(msgsrv_call_options){.timeout_ms = 40}, &result);
    while (api_event_count(&victim.freed) == 0 || api_event_count(&result.ended) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_int_ne(result.status, MSGSRV_OK);
    msgsrv_held_drop(victim.hold);
    msgsrv_client_free(client);
    event_base_free(base);
}
END_TEST

static void free_in_stopped(msgsrv_server *server, void *ctx)
{
    struct victim *victim = ctx;
    ck_assert_ptr_eq(server, victim->server);
    free_victim(victim);
}

START_TEST(a_server_is_freed_inside_on_stopped_on_its_own_threads)
{
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        unsigned before = api_threads();
        struct victim victim;
        victim_init(&victim);
        msgsrv_server_options options = {.threads = threads, .on_stopped = free_in_stopped, .on_stopped_ctx = &victim};
        victim.server = api_server_new(NULL, &options, NULL, NULL);
        char url[MSGSRV_PEER_ADDRESS];
        snprintf(url, sizeof url, "%s", msgsrv_server_address(victim.server, 0));
        api_ok(msgsrv_server_start(victim.server, NULL), NULL);
        msgsrv_client *client = api_client_of(url, NULL);
        api_call_add(client);
        msgsrv_server_stop(victim.server);
        api_event_wait(&victim.freed, 1);
        msgsrv_client_free(client);
        api_wait_threads(before);
    }
}
END_TEST

START_TEST(a_server_is_freed_inside_on_stopped_on_the_callers_base)
{
    struct victim victim;
    victim_init(&victim);
    victim.base = event_base_new();
    msgsrv_server_options options = {.base = victim.base, .on_stopped = free_in_stopped, .on_stopped_ctx = &victim};
    victim.server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_server_drain(victim.server, MSGSRV_NONE);
    while (api_event_count(&victim.freed) == 0)
        event_base_loop(victim.base, EVLOOP_ONCE);
    event_base_free(victim.base);
}
END_TEST

START_TEST(a_server_is_freed_before_it_was_started_and_before_its_base_ran)
{
    msgsrv_server_free(NULL);
    msgsrv_server *server = NULL;
    api_ok(msgsrv_server_new(NULL, &server, NULL), NULL);
    msgsrv_server_free(server);
    server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_server_free(server);
    struct event_base *base = event_base_new();
    server = api_server_new(NULL, &(msgsrv_server_options){.base = base}, NULL, NULL);
    msgsrv_server_free(server);
    server = api_server_on(NULL, &(msgsrv_server_options){.base = base}, NULL, NULL);
    msgsrv_server_free(server);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}
END_TEST

/* ---- clients ---- */

static void free_in_callback(const msgsrv_reply *reply, messages_EchoMessage *response, void *ctx)
{
    struct victim *victim = ctx;
    api_expect(MSGSRV_OK, reply->status, reply->error);
    free_victim(victim);
    ck_assert_str_eq(response->text, "free it"); /* the response lives as long as the callback */
}

/* Starts three calls that nobody answers and one whose callback frees the client. */
static void start_freeing(struct victim *victim, api_result *pending)
{
    for (int i = 0; i < 3; i++)
        api_start_add(victim->client, NULL, &pending[i]);
    victim->pending = pending;
    victim->pending_count = 3;
    char text[] = "free it";
    messages_EchoMessage request = {.text = text};
    api_ok(messages_Demo_Echo_async(victim->client, &request, NULL, free_in_callback, victim, NULL, NULL), NULL);
}

static void check_freed(struct victim *victim, api_result *pending, struct api_holds *holds)
{
    ck_assert_uint_eq(api_event_count(&victim->freed), 1);
    ck_assert_uint_eq(victim->ended_inside, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(api_event_count(&pending[i].ended), 1);
        api_expect(MSGSRV_CANCELLED, pending[i].status, NULL);
    }
    for (unsigned i = 0; i < api_event_count(&holds->held); i++)
        msgsrv_held_drop(holds->hold[i]);
}

START_TEST(a_client_is_freed_inside_its_callback_on_a_private_loop)
{
    struct api_holds holds;
    struct victim victim;
    api_result pending[3];
    api_holds_init(&holds);
    victim_init(&victim);
    msgsrv_server *server = api_server(&api_holding, &holds);
    victim.client = api_client(server, NULL);
    start_freeing(&victim, pending);
    while (api_event_count(&victim.freed) == 0)
        (void)msgsrv_client_poll(victim.client, API_GUARD_MS, NULL);
    msgsrv_server_free(server);
    check_freed(&victim, pending, &holds);
}
END_TEST

START_TEST(a_client_is_freed_inside_a_callback_while_a_synchronous_call_drives_it)
{
    struct api_holds holds;
    struct victim victim;
    api_result pending[3];
    api_holds_init(&holds);
    victim_init(&victim);
    msgsrv_server *server = api_server(&api_holding, &holds);
    victim.client = api_client(server, NULL);
    start_freeing(&victim, pending);
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    msgsrv_error error;
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add(victim.client, &request, NULL, &response, &error), &error);
    msgsrv_server_free(server);
    check_freed(&victim, pending, &holds);
}
END_TEST

START_TEST(a_client_is_freed_inside_its_callback_on_its_own_thread)
{
    struct api_holds holds;
    struct victim victim;
    api_result pending[3];
    api_holds_init(&holds);
    victim_init(&victim);
    msgsrv_server *server = api_server(&api_holding, &holds);
    unsigned before = api_threads();
    victim.client = api_client_thread(server);
    start_freeing(&victim, pending);
    api_event_wait(&victim.freed, 1);
    api_wait_threads(before);
    msgsrv_server_free(server);
    check_freed(&victim, pending, &holds);
}
END_TEST

START_TEST(a_client_is_freed_inside_its_callback_on_the_callers_base)
{
    struct api_holds holds;
    struct victim victim;
    api_result pending[3];
    api_holds_init(&holds);
    victim_init(&victim);
    msgsrv_server *server = api_server(&api_holding, &holds);
    victim.base = event_base_new();
    victim.client = api_client(server, &(msgsrv_client_options){.base = victim.base});
    start_freeing(&victim, pending);
    while (api_event_count(&victim.freed) == 0)
        event_base_loop(victim.base, EVLOOP_ONCE);
    event_base_loop(victim.base, EVLOOP_NONBLOCK); /* nothing of it is left */
    event_base_free(victim.base);
    msgsrv_server_free(server);
    check_freed(&victim, pending, &holds);
}
END_TEST

static void free_both_in_callback(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    (void)reply;
    (void)response;
    free_victim(ctx);
}

START_TEST(client_and_server_are_freed_inside_one_callback_on_one_base)
{
    struct victim victim;
    victim_init(&victim);
    victim.base = event_base_new();
    victim.server = api_server_on(NULL, &(msgsrv_server_options){.base = victim.base}, NULL, NULL);
    victim.client = api_client(victim.server, &(msgsrv_client_options){.base = victim.base});
    messages_AddRequest request = {.a = 1};
    api_ok(messages_Demo_Add_async(victim.client, &request, NULL, free_both_in_callback, &victim, NULL, NULL), NULL);
    while (api_event_count(&victim.freed) == 0)
        event_base_loop(victim.base, EVLOOP_ONCE);
    event_base_free(victim.base);
}
END_TEST

START_TEST(client_and_server_are_freed_inside_a_handler_on_one_base)
{
    struct victim victim;
    victim_init(&victim);
    victim.base = event_base_new();
    victim.server = api_server_on(NULL, &(msgsrv_server_options){.base = victim.base}, &freeing_handler, &victim);
    victim.client = api_client(victim.server, &(msgsrv_client_options){.base = victim.base});
    api_result result;
    api_start_add(victim.client, NULL, &result);
    victim.pending = &result;
    victim.pending_count = 1;
    while (api_event_count(&victim.freed) == 0)
        event_base_loop(victim.base, EVLOOP_ONCE);
    event_base_loop(victim.base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(victim.ended_inside, 1);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    event_base_free(victim.base);
}
END_TEST

START_TEST(open_calls_end_cancelled_before_a_clients_freeing_returns)
{
    for (int kind = 0; kind < 3; kind++) {
        struct api_holds holds;
        api_holds_init(&holds);
        msgsrv_server *server = api_server(&api_holding, &holds);
        struct event_base *base = kind == 2 ? event_base_new() : NULL;
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = kind == 1, .base = base});
        api_result results[3];
        for (int i = 0; i < 3; i++)
            api_start_add(client, NULL, &results[i]);
        if (kind == 1)
            api_event_wait(&holds.held, 3);
        msgsrv_client_free(client);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(api_event_count(&results[i].ended), 1);
            api_expect(MSGSRV_CANCELLED, results[i].status, NULL);
            ck_assert_uint_gt(strlen(results[i].text), 0);
        }
        if (base != NULL)
            event_base_free(base);
        msgsrv_server_free(server);
        for (unsigned i = 0; i < api_event_count(&holds.held); i++)
            msgsrv_held_drop(holds.hold[i]);
    }
    msgsrv_client_free(NULL);
}
END_TEST

/* A callback of a call that the freeing ends, which tries to start another one. */
struct late {
    msgsrv_client *client;
    api_result second;
    msgsrv_status status;
};

static void start_another(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct late *late = ctx;
    (void)reply;
    (void)response;
    messages_AddRequest request = {.a = 1};
    late->status = messages_Demo_Add_async(late->client, &request, NULL, api_on_add, &late->second, NULL, NULL);
}

START_TEST(a_call_started_while_its_client_is_freed_is_refused_or_ends_too)
{
    for (int thread = 0; thread < 2; thread++) {
        struct api_holds holds;
        api_holds_init(&holds);
        msgsrv_server *server = api_server(&api_holding, &holds);
        struct late late;
        late.client = api_client(server, &(msgsrv_client_options){.thread = thread});
        api_result_init(&late.second);
        messages_AddRequest request = {.a = 1};
        api_ok(messages_Demo_Add_async(late.client, &request, NULL, start_another, &late, NULL, NULL), NULL);
        msgsrv_client_free(late.client);
        ck_assert_uint_eq(api_event_count(&late.second.ended), late.status == MSGSRV_OK ? 1 : 0);
        msgsrv_server_free(server);
        for (unsigned i = 0; i < api_event_count(&holds.held); i++)
            msgsrv_held_drop(holds.hold[i]);
    }
}
END_TEST

TS_MAIN("api_free", a_server_is_freed_inside_its_handler_on_its_own_threads,
        a_server_with_held_calls_is_freed_while_its_base_does_not_run,
        a_server_is_freed_inside_its_handler_on_the_callers_base, a_server_is_freed_inside_on_cancel_on_its_own_thread,
        a_server_is_freed_inside_on_cancel_on_the_callers_base, a_server_is_freed_inside_on_stopped_on_its_own_threads,
        a_server_is_freed_inside_on_stopped_on_the_callers_base,
        a_server_is_freed_before_it_was_started_and_before_its_base_ran,
        a_client_is_freed_inside_its_callback_on_a_private_loop,
        a_client_is_freed_inside_a_callback_while_a_synchronous_call_drives_it,
        a_client_is_freed_inside_its_callback_on_its_own_thread,
        a_client_is_freed_inside_its_callback_on_the_callers_base,
        client_and_server_are_freed_inside_one_callback_on_one_base,
        client_and_server_are_freed_inside_a_handler_on_one_base,
        open_calls_end_cancelled_before_a_clients_freeing_returns,
        a_call_started_while_its_client_is_freed_is_refused_or_ends_too)
