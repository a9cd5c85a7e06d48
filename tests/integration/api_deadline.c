/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: they end a call once, travel to the handler, and are inherited, as cancellation is, by calls that a handler
 * makes for its own caller.
 */
#include "api_support.h"

static msgsrv_status try_add(msgsrv_client *client, uint32_t timeout_ms, msgsrv_error *error)
{
    messages_AddResponse response;
    return messages_Demo_Add(client, &(messages_AddRequest){.a = 2, .b = 3},
                             &(msgsrv_call_options){.timeout_ms = timeout_ms}, &response, error);
}

START_TEST(a_call_that_is_not_answered_in_time_is_deadline_exceeded)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = thread});
        msgsrv_error error;
        int64_t start = api_now_ms();
        api_expect(MSGSRV_DEADLINE_EXCEEDED, try_add(client, 80, &error), &error);
        ck_assert_int_ge(api_now_ms() - start, 70); /* libevent's clock is a coarse one */
        ck_assert_uint_gt(strlen(error.text), 0);
        api_call_echo(client, "the connection goes on");
        msgsrv_client_free(client);
    }
    api_event_wait(&holds.cancelled, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(msgsrv_held_cancelled(holds.hold[i]));
        messages_AddResponse late = {.result = 1};
        api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[i], &late), NULL);
    }
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 2);
}
END_TEST

START_TEST(an_asynchronous_call_ends_once_at_its_deadline_whatever_comes_later)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, NULL);
    api_result result;
    api_start_add(client, &(msgsrv_call_options){.timeout_ms = 50}, &result);
    api_drive(client, &result);
    api_expect(MSGSRV_DEADLINE_EXCEEDED, result.status, NULL);
    api_event_wait(&holds.held, 1);
    messages_AddResponse late = {.result = 1};
    (void)messages_Demo_Add_reply(holds.hold[0], &late);
    for (int i = 0; i < 5; i++)
        api_call_echo(client, "whatever the server still had to say has come by now");
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    msgsrv_client_free(client);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_deadline_travels_to_the_handler)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    static const struct {
        uint32_t timeout_ms;
        int64_t least, most;
    } cases[] = {{500000, 400000, 500000}, {0, 1, 30000}, {MSGSRV_NONE, -1, -1}};
    api_result results[3];
    for (unsigned i = 0; i < 3; i++) {
        api_start_add(client, &(msgsrv_call_options){.timeout_ms = cases[i].timeout_ms}, &results[i]);
        api_event_wait(&holds.held, i + 1);
        ck_assert_int_ge(holds.time_left_ms, cases[i].least);
        ck_assert_int_le(holds.time_left_ms, cases[i].most);
        int64_t left = msgsrv_held_time_left_ms(holds.hold[i]);
        ck_assert_int_le(left, holds.time_left_ms);
        ck_assert_int_ge(left, cases[i].least);
        ck_assert(!msgsrv_held_cancelled(holds.hold[i]));
        messages_AddResponse response = {.result = 5};
        api_ok(messages_Demo_Add_reply(holds.hold[i], &response), NULL);
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_OK, results[i].status, NULL);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 0); /* never after the answer */
}
END_TEST

START_TEST(a_clients_own_timeout_is_the_default_of_its_calls)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.timeout_ms = 60});
    msgsrv_error error;
    api_expect(MSGSRV_DEADLINE_EXCEEDED, try_add(client, 0, &error), &error);
    api_event_wait(&holds.cancelled, 1);
    ck_assert_int_le(holds.time_left_ms, 60);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* ---- calls that are made for other calls ---- */

/* The server in the middle: what its handler needs to call on. */
struct middle {
    msgsrv_client *back;
    uint32_t timeout_ms; /* of the call that is made */
    api_event ended;     /* of those calls */
    msgsrv_status status;
    msgsrv_held *hold;
    api_event cancelled;
};

static void middle_init(struct middle *middle, const msgsrv_server *back)
{
    memset(middle, 0, sizeof *middle);
    api_event_init(&middle->ended);
    api_event_init(&middle->cancelled);
    /* no timeout of its own: what its calls have is what they inherit */
    middle->back = api_client(back, &(msgsrv_client_options){.thread = true, .timeout_ms = MSGSRV_NONE});
}

static msgsrv_status pass_on_blocking(msgsrv_call *call, const messages_AddRequest *request,
                                      messages_AddResponse *response, void *ctx)
{
    struct middle *middle = ctx;
    msgsrv_call_options options = {.parent = call, .timeout_ms = middle->timeout_ms};
    middle->status = messages_Demo_Add(middle->back, request, &options, response, NULL);
    api_event_add(&middle->ended);
    return middle->status;
}

static const messages_Demo_service passing_blocking = {.Add = pass_on_blocking, .blocking = {.Add = true}};

static void passed_on(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct middle *middle = ctx;
    middle->status = reply->status;
    if (response != NULL)
        (void)messages_Demo_Add_reply(middle->hold, response);
    else
        (void)msgsrv_held_fail(middle->hold, reply->status, "%s", reply->error->text);
    api_event_add(&middle->ended);
}

static msgsrv_status pass_on_held(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                  void *ctx)
{
    struct middle *middle = ctx;
    (void)response;
    msgsrv_call_options options = {.parent = call, .timeout_ms = middle->timeout_ms};
    middle->hold = msgsrv_call_hold(call);
    api_ok(messages_Demo_Add_async(middle->back, request, &options, passed_on, middle, NULL, NULL), NULL);
    return MSGSRV_DEFERRED;
}

static const messages_Demo_service passing_held = {.Add = pass_on_held};

static const messages_Demo_service *const passing[] = {&passing_blocking, &passing_held};

START_TEST(a_call_made_for_another_inherits_what_is_left_of_its_deadline)
{
    for (int way = 0; way < 2; way++) {
        struct api_holds holds;
        struct middle middle;
        api_holds_init(&holds);
        msgsrv_server *back = api_server(&api_holding, &holds);
        middle_init(&middle, back);
        middle.timeout_ms = way == 0 ? 0 : 900000; /* longer than what is left, so it does not count */
        msgsrv_server *front = api_server(passing[way], &middle);
        msgsrv_client *client = api_client_thread(front);
        api_result result;
        api_start_add(client, &(msgsrv_call_options){.timeout_ms = 500000}, &result);
        api_event_wait(&holds.held, 1);
        ck_assert_int_le(holds.time_left_ms, 500000);
        ck_assert_int_gt(holds.time_left_ms, 400000);
        messages_AddResponse response = {.result = 5};
        api_ok(messages_Demo_Add_reply(holds.hold[0], &response), NULL);
        api_event_wait(&result.ended, 1);
        api_expect(MSGSRV_OK, result.status, NULL);
        ck_assert_int_eq(result.sum, 5);
        msgsrv_client_free(client);
        msgsrv_server_free(front);
        msgsrv_client_free(middle.back);
        msgsrv_server_free(back);
    }
}
END_TEST

START_TEST(a_shorter_timeout_of_its_own_counts)
{
    struct api_holds holds;
    struct middle middle;
    api_holds_init(&holds);
    msgsrv_server *back = api_server(&api_holding, &holds);
    middle_init(&middle, back);
    middle.timeout_ms = 60;
    msgsrv_server *front = api_server(&passing_held, &middle);
    msgsrv_client *client = api_client(front, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_DEADLINE_EXCEEDED, try_add(client, 500000, &error), &error);
    api_event_wait(&holds.cancelled, 1);
    ck_assert_int_le(holds.time_left_ms, 60);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(front);
    msgsrv_client_free(middle.back);
    msgsrv_server_free(back);
}
END_TEST

START_TEST(cancelling_a_call_cancels_the_calls_made_for_it)
{
    for (int way = 0; way < 2; way++) {
        struct api_holds holds;
        struct middle middle;
        api_holds_init(&holds);
        msgsrv_server *back = api_server(&api_holding, &holds);
        middle_init(&middle, back);
        msgsrv_server *front = api_server(passing[way], &middle);
        msgsrv_client *client = api_client_thread(front);
        api_result result;
        msgsrv_handle handle = api_start_add(client, NULL, &result);
        api_event_wait(&holds.held, 1);
        ck_assert_uint_eq(api_event_count(&middle.ended), 0);
        msgsrv_client_cancel(client, handle);
        api_event_wait(&holds.cancelled, 1); /* two servers further on */
        api_expect(MSGSRV_CANCELLED, holds.reason, NULL);
        api_event_wait(&middle.ended, 1);
        api_expect(MSGSRV_CANCELLED, middle.status, NULL);
        api_event_wait(&result.ended, 1);
        api_expect(MSGSRV_CANCELLED, result.status, NULL);
        msgsrv_held_drop(holds.hold[0]);
        msgsrv_client_free(client);
        msgsrv_server_free(front);
        msgsrv_client_free(middle.back);
        msgsrv_server_free(back);
    }
}
END_TEST

START_TEST(a_call_made_for_a_finished_one_goes_its_own_way)
{
    /* The child call outlives the handler that answered at once; its parent's end is no cancellation. */
    struct api_holds holds;
    struct middle middle;
    api_holds_init(&holds);
    msgsrv_server *back = api_server(&api_holding, &holds);
    middle_init(&middle, back);
    msgsrv_server *front = api_server(&passing_held, &middle);
    msgsrv_client *client = api_client_thread(front);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    messages_AddResponse response = {.result = 5};
    api_ok(messages_Demo_Add_reply(middle.hold, &response), NULL); /* the parent is answered first */
    api_event_wait(&result.ended, 1);
    middle.hold = NULL;
    api_ok(messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    api_event_wait(&middle.ended, 1);
    api_expect(MSGSRV_OK, middle.status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(front);
    msgsrv_client_free(middle.back);
    msgsrv_server_free(back);
}
END_TEST

TS_MAIN("api_deadline", a_call_that_is_not_answered_in_time_is_deadline_exceeded,
        an_asynchronous_call_ends_once_at_its_deadline_whatever_comes_later, the_deadline_travels_to_the_handler,
        a_clients_own_timeout_is_the_default_of_its_calls,
        a_call_made_for_another_inherits_what_is_left_of_its_deadline, a_shorter_timeout_of_its_own_counts,
        cancelling_a_call_cancels_the_calls_made_for_it, a_call_made_for_a_finished_one_goes_its_own_way)
