/* SPDX-License-Identifier: MIT */
/* The built-in grpc.health.v1.Health: Check, List and Watch, setting from any thread, and what a drain does. */
#include <msgsrv/services.h>

#include "api_support.h"
#include "grpc/health/v1/health.msgsrv.h"
#include "server.h"

typedef grpc_health_v1_HealthCheckRequest check_request;
typedef grpc_health_v1_HealthCheckResponse check_response;

static check_request request_for(const char *service)
{
    check_request request = grpc_health_v1_HealthCheckRequest_init_zero;
    snprintf(request.service, sizeof request.service, "%s", service);
    return request;
}

static msgsrv_status check(msgsrv_client *client, const char *service, int *health, msgsrv_error *error)
{
    check_request request = request_for(service);
    check_response response = grpc_health_v1_HealthCheckResponse_init_zero;
    msgsrv_status status = grpc_health_v1_Health_Check(client, &request, NULL, &response, error);
    *health = status == MSGSRV_OK ? (int)response.status : -1;
    return status;
}

static void expect_health(msgsrv_client *client, const char *service, msgsrv_health want)
{
    msgsrv_error error;
    int health;
    api_ok(check(client, service, &health, &error), &error);
    ck_assert_int_eq(health, (int)want);
}

static void set(msgsrv_server *server, const char *service, msgsrv_health health)
{
    msgsrv_error error;
    api_ok(msgsrv_server_set_health(server, service, health, &error), &error);
}

/* `ahead`: how many messages the server may send before they are read; 0: the default. */
static msgsrv_stream *watch(msgsrv_client *client, const char *service, uint32_t ahead)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    check_request request = request_for(service);
    msgsrv_call_options options = {.size = sizeof options, .receive_items = ahead};
    api_ok(msgsrv_stream_open(client, &grpc_health_v1_Health_Watch_method, &request, &options, NULL, NULL, 0, &stream,
                              NULL, &error),
           &error);
    return stream;
}

static int next(msgsrv_stream *stream)
{
    check_response response = grpc_health_v1_HealthCheckResponse_init_zero;
    return msgsrv_stream_read(stream, &response) ? (int)response.status : -1;
}

static void leave(msgsrv_stream *stream)
{
    msgsrv_stream_cancel(stream);
    (void)msgsrv_stream_close(stream, NULL, NULL);
}

static msgsrv_server *server_new(void)
{
    return api_server(NULL, NULL);
}

START_TEST(test_check)
{
    msgsrv_error error;
    int health;
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    expect_health(client, "", MSGSRV_HEALTH_SERVING);
    expect_health(client, "messages.Demo", MSGSRV_HEALTH_SERVING);
    expect_health(client, "grpc.health.v1.Health", MSGSRV_HEALTH_SERVING);
    api_expect(MSGSRV_NOT_FOUND, check(client, "no.Such", &health, &error), &error);
    api_contains(error.text, "no.Such");
    set(server, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING);
    expect_health(client, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING);
    expect_health(client, "", MSGSRV_HEALTH_SERVING);
    set(server, "no.Such", MSGSRV_HEALTH_UNKNOWN);
    expect_health(client, "no.Such", MSGSRV_HEALTH_UNKNOWN);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_list)
{
    msgsrv_error error;
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    grpc_health_v1_HealthListRequest request = grpc_health_v1_HealthListRequest_init_zero;
    grpc_health_v1_HealthListResponse response = grpc_health_v1_HealthListResponse_init_zero;
    set(server, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING);
    api_ok(grpc_health_v1_Health_List(client, &request, NULL, &response, &error), &error);
    unsigned found = 0;
    for (pb_size_t i = 0; i < response.statuses_count; i++) {
        bool demo = strcmp(response.statuses[i].key, "messages.Demo") == 0;
        found += demo;
        ck_assert_int_eq((int)response.statuses[i].value.status,
                         (int)(demo ? MSGSRV_HEALTH_NOT_SERVING : MSGSRV_HEALTH_SERVING));
    }
    ck_assert_uint_eq(found, 1);
    grpc_health_v1_HealthListResponse_release(&response);
    for (unsigned i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "a.Service%u", i);
        set(server, name, MSGSRV_HEALTH_SERVING);
    }
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, grpc_health_v1_Health_List(client, &request, NULL, &response, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_turned_off)
{
    msgsrv_error error;
    int health;
    msgsrv_server *server = api_server_on(
        NULL, &(msgsrv_server_options){.size = sizeof(msgsrv_server_options), .no_health = true}, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_expect(MSGSRV_UNIMPLEMENTED, check(client, "", &health, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_set_health(server, "", MSGSRV_HEALTH_SERVING, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status own_check(msgsrv_call *call, const check_request *request, check_response *response, void *ctx)
{
    (void)request;
    (void)ctx;
    response->status = grpc_health_v1_HealthCheckResponse_ServingStatus_NOT_SERVING;
    return call ? MSGSRV_OK : MSGSRV_INTERNAL;
}

START_TEST(test_replaced)
{
    static const grpc_health_v1_Health_service own = {.Check = own_check};
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(grpc_health_v1_Health_register(server, &own, NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, NULL);
    expect_health(client, "", MSGSRV_HEALTH_NOT_SERVING);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_set_health(server, "", MSGSRV_HEALTH_SERVING, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_set_arguments)
{
    msgsrv_error error;
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_set_health(server, "", MSGSRV_HEALTH_SERVING, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_set_health(NULL, "", MSGSRV_HEALTH_SERVING, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_set_health(server, NULL, MSGSRV_HEALTH_SERVING, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_set_health(server, name, MSGSRV_HEALTH_SERVING, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_set_health(server, "", MSGSRV_HEALTH_SERVICE_UNKNOWN, &error),
               &error);
    msgsrv_status status = MSGSRV_OK;
    unsigned taken = 0;
    while (status == MSGSRV_OK && taken <= 10000) {
        snprintf(name, sizeof name, "a.Service%u", taken);
        status = msgsrv_server_set_health(server, name, MSGSRV_HEALTH_SERVING, &error);
        taken += status == MSGSRV_OK;
    }
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, status, &error);
    ck_assert_uint_gt(taken, 9000);
    set(server, "a.Service1", MSGSRV_HEALTH_NOT_SERVING); /* a name that is there needs no room */
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_watch)
{
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = watch(client, "messages.Demo", 0);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_SERVING);
    set(server, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_NOT_SERVING);
    set(server, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING); /* no change, no message */
    set(server, "", MSGSRV_HEALTH_NOT_SERVING);              /* another name */
    expect_health(client, "", MSGSRV_HEALTH_NOT_SERVING);
    set(server, "messages.Demo", MSGSRV_HEALTH_UNKNOWN);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_UNKNOWN);
    leave(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_watch_unknown)
{
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *one = watch(client, "later.Service", 0);
    msgsrv_stream *two = watch(client, "later.Service", 0);
    ck_assert_int_eq(next(one), MSGSRV_HEALTH_SERVICE_UNKNOWN);
    ck_assert_int_eq(next(two), MSGSRV_HEALTH_SERVICE_UNKNOWN);
    msgsrv_error error;
    int health;
    api_expect(MSGSRV_NOT_FOUND, check(client, "later.Service", &health, &error), &error);
    leave(one);
    set(server, "later.Service", MSGSRV_HEALTH_SERVING);
    ck_assert_int_eq(next(two), MSGSRV_HEALTH_SERVING);
    expect_health(client, "later.Service", MSGSRV_HEALTH_SERVING);
    leave(two);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_drain)
{
    msgsrv_error error;
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *known = watch(client, "", 0);
    msgsrv_stream *unknown = watch(client, "no.Such", 0);
    ck_assert_int_eq(next(known), MSGSRV_HEALTH_SERVING);
    ck_assert_int_eq(next(unknown), MSGSRV_HEALTH_SERVICE_UNKNOWN);
    msgsrv_server_drain(server, MSGSRV_NONE);
    ck_assert_int_eq(next(known), MSGSRV_HEALTH_NOT_SERVING);
    ck_assert_int_eq(next(known), -1);
    api_expect(MSGSRV_UNAVAILABLE, msgsrv_stream_close(known, NULL, &error), &error);
    ck_assert_str_eq(error.text, "the server is shutting down");
    ck_assert_int_eq(next(unknown), -1);
    api_expect(MSGSRV_UNAVAILABLE, msgsrv_stream_close(unknown, NULL, &error), &error);
    api_ok(msgsrv_server_wait(server, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Two threads set a hundred times each; whoever is last says so by a status that is set only then. */
typedef struct setters {
    msgsrv_server *server;
    pthread_mutex_t mutex;
    unsigned finished;
} setters;

static void *set_often(void *arg)
{
    setters *all = arg;
    for (unsigned i = 0; i < 100; i++)
        set(all->server, "messages.Demo", i % 2 ? MSGSRV_HEALTH_SERVING : MSGSRV_HEALTH_NOT_SERVING);
    pthread_mutex_lock(&all->mutex);
    bool last = ++all->finished == 2;
    pthread_mutex_unlock(&all->mutex);
    if (last)
        set(all->server, "messages.Demo", MSGSRV_HEALTH_UNKNOWN);
    return NULL;
}

START_TEST(test_set_by_threads)
{
    msgsrv_server *server = server_new();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = watch(client, "messages.Demo", 0);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_SERVING);
    setters all = {.server = server, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, set_often, &all), 0);
    int health = next(stream);
    int before = MSGSRV_HEALTH_SERVING;
    while (health != MSGSRV_HEALTH_UNKNOWN) {
        ck_assert_int_ne(health, before); /* only changes are told */
        before = health;
        health = next(stream);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    leave(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A client that takes one message at a time gets the latest status after it, not each one. */
START_TEST(test_slow_watcher)
{
    msgsrv_server *handle = server_new();
    ts_server server = {.handle = handle};
    msgsrv_client *client = api_client(handle, NULL);
    msgsrv_stream *stream = watch(client, "messages.Demo", 1);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_SERVING);
    expect_health(client, "", MSGSRV_HEALTH_SERVING); /* the credit of the first message is back */
    set(handle, "messages.Demo", MSGSRV_HEALTH_NOT_SERVING);
    ts_wait_stat(&server, items_sent, >=, 2);
    set(handle, "messages.Demo", MSGSRV_HEALTH_UNKNOWN);
    ts_wait_stat(&server, sends_refused, >=, 1);
    set(handle, "messages.Demo", MSGSRV_HEALTH_SERVING);
    set(handle, "messages.Demo", MSGSRV_HEALTH_UNKNOWN);
    set(handle, "messages.Demo", MSGSRV_HEALTH_SERVING);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_NOT_SERVING);
    ck_assert_int_eq(next(stream), MSGSRV_HEALTH_SERVING);
    leave(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(handle);
}
END_TEST

TS_MAIN("api_services_health", test_check, test_list, test_turned_off, test_replaced, test_set_arguments, test_watch,
        test_watch_unknown, test_drain, test_set_by_threads, test_slow_watcher)
