/* SPDX-License-Identifier: MIT */
/*
 * Constructors without memory: each either makes its object or says RESOURCE_EXHAUSTED and leaves nothing; and messages. What
 * leaks is seen by the address sanitizer's run of this program.
 */
#include <event2/event.h>

#include "api_support.h"
#include "failing.h"
#include "shapes.msgsrv.h"

/* One object being made. */
struct making {
    struct event_base *base;
    msgsrv_server_options server_options;
    msgsrv_client_options client_options;
    api_path path;
    msgsrv_status status;
    msgsrv_error error;
    msgsrv_server *server;
    msgsrv_client *client;
    msgsrv_metadata_set *set;
};

/* Without a failure it succeeds; a failure is said, or was got over. */
static void check_status(msgsrv_status status, const msgsrv_error *error, bool failed, unsigned n)
{
    bool fine = status == MSGSRV_OK || (failed && status == MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_msg(fine, "allocation %u: %s (%s)", n, msgsrv_status_name(status), status != MSGSRV_OK ? error->text : "");
    if (status != MSGSRV_OK)
        ck_assert_int_eq(error->code, status);
}

/* ---- metadata ---- */

static void make_set(void *ctx)
{
    struct making *making = ctx;
    making->set = NULL;
    making->status = msgsrv_metadata_set_new(&making->set, &making->error);
}

static void check_set(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    ck_assert_int_eq(making->set != NULL, making->status == MSGSRV_OK);
    msgsrv_metadata_set_free(making->set);
}

START_TEST(metadata_sets)
{
    struct making making = {0};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(NULL, make_set, check_set, &making), 0);
}
END_TEST

/* ---- servers ---- */

static void make_server(void *ctx)
{
    struct making *making = ctx;
    making->server = NULL;
    making->status = msgsrv_server_new(&making->server_options, &making->server, &making->error);
}

static void check_server(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    ck_assert_int_eq(making->server != NULL, making->status == MSGSRV_OK);
    msgsrv_server_free(making->server);
}

START_TEST(servers_with_loops_of_their_own)
{
    struct making making = {.server_options = {.threads = 3}};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(NULL, make_server, check_server, &making), 0);
}
END_TEST

START_TEST(servers_on_the_callers_base)
{
    failing_take_libevent();
    struct making making = {.base = event_base_new()};
    making.server_options.base = making.base;
    ck_assert_uint_gt(failing_sweep(NULL, make_server, check_server, &making), 0);
    event_base_free(making.base);
}
END_TEST

static void new_server(void *ctx)
{
    struct making *making = ctx;
    making->server = NULL;
    api_ok(msgsrv_server_new(&making->server_options, &making->server, &making->error), &making->error);
}

static void register_service(void *ctx)
{
    struct making *making = ctx;
    making->status = messages_Demo_register(making->server, &api_demo, NULL, &making->error);
}

static void check_registered(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    /* On failure none of its methods is there, so all of them can be registered now. */
    msgsrv_status again = messages_Demo_register(making->server, &api_demo, NULL, &making->error);
    api_expect(making->status == MSGSRV_OK ? MSGSRV_ALREADY_EXISTS : MSGSRV_OK, again, &making->error);
    msgsrv_server_free(making->server);
}

START_TEST(registering)
{
    struct making making = {0};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(new_server, register_service, check_registered, &making), 0);
}
END_TEST

static void listen_tcp(void *ctx)
{
    struct making *making = ctx;
    making->status = msgsrv_server_listen(making->server, "tcp://127.0.0.1:0", &making->error);
}

static void listen_unix(void *ctx)
{
    struct making *making = ctx;
    making->status = msgsrv_server_listen(making->server, making->path.url, &making->error);
}

static void check_listening(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    ck_assert_int_eq(msgsrv_server_address(making->server, 0) != NULL, making->status == MSGSRV_OK);
    if (making->status != MSGSRV_OK && making->path.path[0] != '\0')
        ck_assert_msg(access(making->path.path, F_OK) != 0, "allocation %u: the socket's path is left", n);
    msgsrv_server_free(making->server);
}

START_TEST(listening)
{
    struct making making = {0};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(new_server, listen_tcp, check_listening, &making), 0);
    api_path_make(&making.path);
    ck_assert_uint_gt(failing_sweep(new_server, listen_unix, check_listening, &making), 0);
    api_path_remove(&making.path);
}
END_TEST

/* A server that is ready to start, with blocking methods, so that starting makes the pool. */
static void ready_server(void *ctx)
{
    static const messages_Demo_service blocking = {.Echo = api_echo, .Add = api_add, .blocking = {.Add = true}};
    struct making *making = ctx;
    making->server = api_server_new(NULL, &making->server_options, &blocking, NULL);
}

static void start_server(void *ctx)
{
    struct making *making = ctx;
    making->status = msgsrv_server_start(making->server, &making->error);
}

static msgsrv_status call_once(msgsrv_client *client, msgsrv_error *error)
{
    messages_AddResponse response;
    return messages_Demo_Add(client, &(messages_AddRequest){.a = 2, .b = 3}, &(msgsrv_call_options){.timeout_ms = 5000},
                             &response, error);
}

static void check_started(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    if (making->status != MSGSRV_OK) /* it is not started, and can be */
        api_ok(msgsrv_server_start(making->server, &making->error), &making->error);
    if (making->base == NULL) {
        msgsrv_client *client = api_client(making->server, NULL);
        msgsrv_status served = call_once(client, &making->error);
        ck_assert_msg(served == MSGSRV_OK, "allocation %u, started %s: a call is %s (%s)", n,
                      making->status == MSGSRV_OK ? "at once" : "the second time", msgsrv_status_name(served),
                      making->error.text);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(making->server);
}

START_TEST(starting)
{
    failing_take_libevent();
    struct making making = {.server_options = {.threads = 2}};
    ck_assert_uint_gt(failing_sweep(ready_server, start_server, check_started, &making), 0);
    struct making on_base = {.base = event_base_new()};
    on_base.server_options.base = on_base.base;
    ck_assert_uint_gt(failing_sweep(ready_server, start_server, check_started, &on_base), 0);
    event_base_free(on_base.base);
}
END_TEST

/* ---- clients ---- */

static void make_client(void *ctx)
{
    struct making *making = ctx;
    making->client = NULL;
    making->status = msgsrv_client_new("tcp://127.0.0.1:7070", &making->client_options, &making->client, &making->error);
}

static void check_client(void *ctx, bool failed, unsigned n)
{
    struct making *making = ctx;
    check_status(making->status, &making->error, failed, n);
    ck_assert_int_eq(making->client != NULL, making->status == MSGSRV_OK);
    msgsrv_client_free(making->client);
}

START_TEST(clients_of_each_kind)
{
    failing_take_libevent();
    struct making making = {0};
    ck_assert_uint_gt(failing_sweep(NULL, make_client, check_client, &making), 0);
    making.client_options.thread = true;
    ck_assert_uint_gt(failing_sweep(NULL, make_client, check_client, &making), 0);
    struct making on_base = {.base = event_base_new()};
    on_base.client_options.base = on_base.base;
    ck_assert_uint_gt(failing_sweep(NULL, make_client, check_client, &on_base), 0);
    event_base_free(on_base.base);
}
END_TEST

/* ---- messages ---- */

struct coding {
    const void *bytes;
    size_t size;
    void *encoded;
    size_t encoded_size;
    shapes_Everything message;
    msgsrv_status status;
    msgsrv_error error;
};

static void decode_message(void *ctx)
{
    struct coding *coding = ctx;
    coding->status =
        msgsrv_message_decode(&shapes_Everything_type, coding->bytes, coding->size, &coding->message, &coding->error);
}

static void check_decoded(void *ctx, bool failed, unsigned n)
{
    struct coding *coding = ctx;
    check_status(coding->status, &coding->error, failed, n);
    if (coding->status == MSGSRV_OK) {
        ck_assert_str_eq(coding->message.text, "text");
        shapes_Everything_release(&coding->message);
    }
}

static void encode_message(void *ctx)
{
    struct coding *coding = ctx;
    coding->encoded = NULL;
    coding->status = msgsrv_message_encode(&shapes_Everything_type, &coding->message, &coding->encoded,
                                           &coding->encoded_size, &coding->error);
}

static void check_encoded(void *ctx, bool failed, unsigned n)
{
    struct coding *coding = ctx;
    check_status(coding->status, &coding->error, failed, n);
    ck_assert_int_eq(coding->encoded != NULL, coding->status == MSGSRV_OK);
    if (coding->status == MSGSRV_OK)
        ck_assert_uint_eq(coding->encoded_size, coding->size);
    free(coding->encoded);
}

/* Texts, bytes of each kind, repeated and nested ones, a oneof and maps. */
static const unsigned char wire[] = "\x0a\x04text"
                                    "\x1a\x03"
                                    "123"
                                    "\x2a\x05"
                                    "large"
                                    "\x32\x03\x01\x02\x03"
                                    "\x3a\x03one"
                                    "\x3a\x03two"
                                    "\x42\x0a\x0a\x05inner\x1a\x01t"
                                    "\x4a\x03\x0a\x01x"
                                    "\x62\x05\x0a\x03"
                                    "abc"
                                    "\x6a\x05\x0a\x01k\x10\x02"
                                    "\x72\x08\x0a\x01m\x12\x03\x0a\x01v"
                                    "\xa2\x01\x02pp";

START_TEST(messages)
{
    failing_take_libevent();
    struct coding coding = {.bytes = wire, .size = sizeof wire - 1};
    ck_assert_uint_gt(failing_sweep(NULL, decode_message, check_decoded, &coding), 0);
    decode_message(&coding);
    api_expect(MSGSRV_OK, coding.status, &coding.error);
    ck_assert_uint_gt(failing_sweep(NULL, encode_message, check_encoded, &coding), 0);
    shapes_Everything_release(&coding.message);
}
END_TEST

TS_MAIN("oom_objects", metadata_sets, servers_with_loops_of_their_own, servers_on_the_callers_base, registering,
        listening, starting, clients_of_each_kind, messages)
