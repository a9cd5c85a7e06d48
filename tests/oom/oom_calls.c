/* SPDX-License-Identifier: MIT */
/*
 * Calls without memory. Server and client share one base and one thread, so that every allocation of a call's whole way is met,
 * on both sides: connecting, accepting, sending, decoding, answering. Whatever fails, the call ends once with a clear status,
 * and the next one works.
 */
#include <event2/event.h>

#include "api_support.h"
#include "failing.h"

#define LARGE 300000u

/* What one sweep calls. */
struct path {
    struct event_base *base;
    msgsrv_server *server;
    msgsrv_client *client;
    bool warm; /* a first call has been made before the failures begin */
    const messages_Demo_service *service;
    msgsrv_status want;
    msgsrv_held *held;
    msgsrv_status (*call)(struct path *path); /* starts the call */
    api_result result;
    msgsrv_status started;
};

/* ---- handlers ---- */

/* Holds the call, and answers it when the base comes round again. */
static msgsrv_status add_later(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                               void *ctx)
{
    struct path *path = ctx;
    (void)request;
    (void)response;
    path->held = msgsrv_call_hold(call);
    if (path->held == NULL)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory to hold the call");
    return MSGSRV_DEFERRED;
}

/* Answers from the call's memory, with metadata. */
static msgsrv_status echo_with_metadata(msgsrv_call *call, const messages_EchoMessage *request,
                                        messages_EchoMessage *response, void *ctx)
{
    (void)ctx;
    msgsrv_metadata entry = {.key = "k", .value = "value"};
    size_t size = strlen(request->text) + 1;
    response->text = msgsrv_call_alloc(call, size);
    if (response->text == NULL || msgsrv_call_add_head(call, entry, NULL) != MSGSRV_OK ||
        msgsrv_call_add_trailer(call, entry, NULL) != MSGSRV_OK)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory to answer");
    memcpy(response->text, request->text, size);
    return MSGSRV_OK;
}

static const messages_Demo_service plain = {.Echo = api_echo, .Add = api_add};
static const messages_Demo_service rich = {.Echo = echo_with_metadata, .Add = add_later};
static const messages_Demo_service blocking = {.Echo = api_echo, .Add = api_add, .blocking = {.Echo = true}};

/* ---- what is called ---- */

static msgsrv_status call_add(struct path *path)
{
    messages_AddRequest request = {.a = 2, .b = 3};
    return messages_Demo_Add_async(path->client, &request, NULL, api_on_add, &path->result, NULL, NULL);
}

static msgsrv_status call_echo_text(struct path *path, char *text, const msgsrv_call_options *options)
{
    messages_EchoMessage request = {.text = text};
    return messages_Demo_Echo_async(path->client, &request, options, api_on_echo, &path->result, NULL, NULL);
}

static msgsrv_status call_echo(struct path *path)
{
    char text[] = "a short text";
    return call_echo_text(path, text, NULL);
}

static msgsrv_status call_with_metadata(struct path *path)
{
    char text[] = "a text with metadata";
    msgsrv_metadata metadata[] = {{.key = "one", .value = "1"}, {.key = "two-bin", .value = "\0\1", .size = 2}};
    return call_echo_text(path, text, &(msgsrv_call_options){.metadata = metadata, .metadata_count = 2});
}

static msgsrv_status call_large(struct path *path)
{
    static char text[LARGE + 1];
    memset(text, 'x', LARGE);
    return call_echo_text(path, text, NULL);
}

static msgsrv_status call_overflow(struct path *path)
{
    messages_AddRequest request = {.a = INT32_MAX, .b = 1};
    return messages_Demo_Add_async(path->client, &request, NULL, api_on_add, &path->result, NULL, NULL);
}

/* ---- the sweep ---- */

/* Runs the base until the call has ended; answers what was held. */
static void drive(struct path *path)
{
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (api_event_count(&path->result.ended) == 0) {
        if (api_now_ms() > until) /* Check's own macros allocate, also when they find nothing */
            ck_abort_msg("the call did not end");
        event_base_loop(path->base, EVLOOP_ONCE);
        if (path->held != NULL) {
            messages_AddResponse response = {.result = 5};
            (void)messages_Demo_Add_reply(path->held, &response);
            path->held = NULL;
        }
    }
}

static void one_call(void *ctx)
{
    struct path *path = ctx;
    api_result_init(&path->result);
    path->started = path->call(path);
    if (path->started == MSGSRV_OK)
        drive(path);
}

static void open_path(void *ctx)
{
    struct path *path = ctx;
    path->held = NULL;
    path->server = api_server_on(NULL, &(msgsrv_server_options){.base = path->base}, path->service, path);
    path->client =
        api_client(path->server, &(msgsrv_client_options){.base = path->base, .backoff_min_ms = 1, .backoff_max_ms = 2});
    if (path->warm) {
        one_call(path);
        api_result_clear(&path->result);
    }
}

/* INTERNAL is what becomes of an answer that cannot be encoded; it says why. */
static bool clear_status(msgsrv_status status, const char *text, bool failed)
{
    bool answer = status == MSGSRV_INTERNAL && strstr(text, "memory") != NULL;
    return failed && (status == MSGSRV_RESOURCE_EXHAUSTED || status == MSGSRV_UNAVAILABLE || answer);
}

/* The call ended once and clearly, and with memory the next one works. */
static void check_call(void *ctx, bool failed, unsigned n)
{
    struct path *path = ctx;
    msgsrv_status got = path->started == MSGSRV_OK ? path->result.status : path->started;
    ck_assert_msg(got == path->want || clear_status(got, path->result.text, failed), "allocation %u: %s (%s)", n,
                  msgsrv_status_name(got), path->result.text);
    ck_assert_uint_eq(api_event_count(&path->result.ended), path->started == MSGSRV_OK ? 1 : 0);
    int64_t until = api_now_ms() + API_GUARD_MS;
    do { /* a connection that was lost has left a pause, in which calls fail at once */
        api_result_clear(&path->result);
        one_call(path);
        ck_assert_int_lt(api_now_ms(), until);
    } while (path->result.status == MSGSRV_UNAVAILABLE);
    api_expect_at(path->want, path->result.status, NULL, path->result.text, __FILE__, __LINE__);
    msgsrv_client_free(path->client);
    msgsrv_server_free(path->server);
    ck_assert_uint_eq(api_event_count(&path->result.ended), 1);
    api_result_clear(&path->result);
}

static void sweep(const messages_Demo_service *service, msgsrv_status (*call)(struct path *path), msgsrv_status want)
{
    failing_take_libevent();
    struct path path = {.base = event_base_new(), .call = call, .service = service, .want = want};
    ck_assert_uint_gt(failing_sweep(open_path, one_call, check_call, &path), 0);
    path.warm = true;
    (void)failing_sweep(open_path, one_call, check_call, &path); /* a warm call may need no memory at all */
    event_base_free(path.base);
}

START_TEST(a_sum)
{
    sweep(&plain, call_add, MSGSRV_OK);
}
END_TEST

START_TEST(an_echo)
{
    sweep(&plain, call_echo, MSGSRV_OK);
}
END_TEST

START_TEST(a_large_text)
{
    sweep(&plain, call_large, MSGSRV_OK);
}
END_TEST

START_TEST(a_failed_call)
{
    sweep(&plain, call_overflow, MSGSRV_OUT_OF_RANGE);
}
END_TEST

START_TEST(metadata_both_ways)
{
    sweep(&rich, call_with_metadata, MSGSRV_OK);
}
END_TEST

START_TEST(a_held_call)
{
    sweep(&rich, call_add, MSGSRV_OK);
}
END_TEST

START_TEST(a_blocking_call)
{
    sweep(&blocking, call_echo, MSGSRV_OK);
}
END_TEST

/* ---- synchronous, in two threads ---- */

struct pair {
    msgsrv_server *server;
    msgsrv_client *client;
    msgsrv_status status;
    msgsrv_error error;
    bool warm;
};

static msgsrv_status echo_once(struct pair *pair)
{
    char text[] = "a text";
    messages_EchoMessage request = {.text = text}, response = {.text = NULL};
    msgsrv_status status = messages_Demo_Echo(pair->client, &request, NULL, &response, &pair->error);
    messages_EchoMessage_release(&response);
    return status;
}

static void open_pair(void *ctx)
{
    struct pair *pair = ctx;
    pair->server = api_server(NULL, NULL);
    pair->client = api_client(pair->server, &(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 2});
    if (pair->warm)
        (void)echo_once(pair);
}

static void echo_in_pair(void *ctx)
{
    struct pair *pair = ctx;
    pair->status = echo_once(pair);
}

static void check_pair(void *ctx, bool failed, unsigned n)
{
    struct pair *pair = ctx;
    ck_assert_msg(pair->status == MSGSRV_OK || clear_status(pair->status, pair->error.text, failed),
                  "allocation %u: %s (%s)", n, msgsrv_status_name(pair->status), pair->error.text);
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (echo_once(pair) != MSGSRV_OK) {
        ck_assert_int_eq(pair->error.code, MSGSRV_UNAVAILABLE);
        ck_assert_int_lt(api_now_ms(), until);
    }
    msgsrv_client_free(pair->client);
    msgsrv_server_free(pair->server);
}

START_TEST(a_synchronous_call)
{
    failing_take_libevent();
    struct pair pair = {.warm = false};
    ck_assert_uint_gt(failing_sweep(open_pair, echo_in_pair, check_pair, &pair), 0);
    pair.warm = true;
    (void)failing_sweep(open_pair, echo_in_pair, check_pair, &pair);
}
END_TEST

TS_MAIN("oom_calls", a_sum, an_echo, a_large_text, a_failed_call, metadata_both_ways, a_held_call, a_blocking_call,
        a_synchronous_call)
