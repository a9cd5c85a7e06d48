/* SPDX-License-Identifier: MIT */
/* The built-in msgsrv.info.v1.Info: what a server says of itself, and what it counts. */
#include <msgsrv/services.h>

#include "api_support.h"
#include "msgsrv/info.msgsrv.h"

typedef msgsrv_info_v1_GetInfoResponse info_response;
typedef msgsrv_info_v1_GetStatsResponse stats_response;
typedef msgsrv_info_v1_WatchStatsResponse watch_response;

static info_response get_info(msgsrv_client *client)
{
    msgsrv_error error;
    info_response response = msgsrv_info_v1_GetInfoResponse_init_zero;
    msgsrv_info_v1_GetInfoRequest request = msgsrv_info_v1_GetInfoRequest_init_zero;
    api_ok(msgsrv_info_v1_Info_GetInfo(client, &request, NULL, &response, &error), &error);
    return response;
}

static stats_response get_stats(msgsrv_client *client)
{
    msgsrv_error error;
    stats_response response = msgsrv_info_v1_GetStatsResponse_init_zero;
    msgsrv_info_v1_GetStatsRequest request = msgsrv_info_v1_GetStatsRequest_init_zero;
    api_ok(msgsrv_info_v1_Info_GetStats(client, &request, NULL, &response, &error), &error);
    ck_assert(response.has_stats);
    return response;
}

static const msgsrv_info_v1_ServiceInfo *service_of(const info_response *info, const char *name)
{
    for (pb_size_t i = 0; i < info->services_count; i++) {
        if (strcmp(info->services[i].name, name) == 0)
            return &info->services[i];
    }
    return NULL;
}

static const msgsrv_info_v1_Limit *limit_of(const info_response *info, const char *name)
{
    for (pb_size_t i = 0; i < info->limits_count; i++) {
        if (strcmp(info->limits[i].name, name) == 0)
            return &info->limits[i];
    }
    ck_abort_msg("no limit %s", name);
}

START_TEST(test_get_info)
{
    msgsrv_server_options options = {.size = sizeof options, .output_timeout_ms = MSGSRV_NONE, .max_calls = 77};
    msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    info_response info = get_info(client);
    ck_assert_str_eq(info.version, msgsrv_version());
    ck_assert_uint_eq(info.addresses_count, 1);
    ck_assert_str_eq(info.addresses[0], msgsrv_server_address(server, 0));
    ck_assert_str_eq(info.services[0].name, "messages.Demo");
    ck_assert_ptr_nonnull(service_of(&info, "msgsrv.info.v1.Info"));
    ck_assert_ptr_nonnull(service_of(&info, "grpc.health.v1.Health"));
    ck_assert_ptr_nonnull(service_of(&info, "grpc.reflection.v1.ServerReflection"));
    ck_assert_ptr_nonnull(service_of(&info, "grpc.reflection.v1alpha.ServerReflection"));
    ck_assert_uint_eq(limit_of(&info, "max_calls")->value, 77);
    ck_assert_uint_eq(limit_of(&info, "max_connections")->value, 10000);
    ck_assert_str_eq(limit_of(&info, "max_message")->unit, "bytes");
    ck_assert(!limit_of(&info, "max_message")->none);
    ck_assert(limit_of(&info, "output_timeout_ms")->none);
    ck_assert_uint_eq(limit_of(&info, "output_timeout_ms")->value, 0);
    msgsrv_info_v1_GetInfoResponse_release(&info);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Comments and types come from the descriptors of the services, also of those whose messages are bytes to the server. */
START_TEST(test_descriptions)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    info_response info = get_info(client);
    const msgsrv_info_v1_ServiceInfo *demo = service_of(&info, "messages.Demo");
    ck_assert_str_eq(demo->comment, "The demonstration service.");
    ck_assert_uint_ge(demo->methods_count, 2);
    ck_assert_str_eq(demo->methods[1].name, "Add");
    ck_assert_str_eq(demo->methods[1].path, "/messages.Demo/Add");
    ck_assert_int_eq((int)demo->methods[1].kind, MSGSRV_UNARY);
    ck_assert_str_eq(demo->methods[1].request_type, "messages.AddRequest");
    ck_assert_str_eq(demo->methods[1].response_type, "messages.AddResponse");
    ck_assert_str_eq(demo->methods[1].comment, "Adds two numbers; a sum that does not fit int32 is OUT_OF_RANGE.");
    const msgsrv_info_v1_ServiceInfo *reflection = service_of(&info, "grpc.reflection.v1alpha.ServerReflection");
    ck_assert_uint_eq(reflection->methods_count, 1);
    ck_assert_int_eq((int)reflection->methods[0].kind, MSGSRV_BIDI_STREAMING);
    ck_assert_str_eq(reflection->methods[0].request_type, "grpc.reflection.v1alpha.ServerReflectionRequest");
    ck_assert_str_eq(reflection->comment, "What a server offers, told by the server itself.");
    msgsrv_info_v1_GetInfoResponse_release(&info);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static void *run_server(void *arg)
{
    msgsrv_error error;
    api_ok(msgsrv_server_run(arg, &error), &error);
    return NULL;
}

/* A server that is run has what one that is started has. */
START_TEST(test_run)
{
    pthread_t thread;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_server, server), 0);
    msgsrv_client *client = api_client(server, NULL);
    info_response info = get_info(client);
    ck_assert_ptr_nonnull(service_of(&info, "msgsrv.info.v1.Info"));
    ck_assert_uint_lt(info.uptime_ms, API_GUARD_MS);
    msgsrv_info_v1_GetInfoResponse_release(&info);
    msgsrv_client_free(client);
    msgsrv_server_stop(server);
    pthread_join(thread, NULL);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_turned_off)
{
    msgsrv_error error;
    msgsrv_server_options options = {.size = sizeof options, .no_info = true};
    msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    info_response response = msgsrv_info_v1_GetInfoResponse_init_zero;
    msgsrv_info_v1_GetInfoRequest request = msgsrv_info_v1_GetInfoRequest_init_zero;
    api_expect(MSGSRV_UNIMPLEMENTED, msgsrv_info_v1_Info_GetInfo(client, &request, NULL, &response, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status own_info(msgsrv_call *call, const msgsrv_info_v1_GetInfoRequest *request,
                              msgsrv_info_v1_GetInfoResponse *response, void *ctx)
{
    (void)call;
    (void)request;
    response->version = ctx;
    return MSGSRV_OK;
}

START_TEST(test_replaced)
{
    static const msgsrv_info_v1_Info_service own = {.GetInfo = own_info};
    static char version[] = "our own";
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_info_v1_Info_register(server, &own, version, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, NULL);
    info_response info = get_info(client);
    ck_assert_str_eq(info.version, version);
    msgsrv_info_v1_GetInfoResponse_release(&info);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static uint64_t ended_with(const msgsrv_info_v1_StatusCount *counts, pb_size_t count, const char *status)
{
    for (pb_size_t i = 0; i < count; i++) {
        if (strcmp(counts[i].status, status) == 0)
            return counts[i].count;
    }
    return 0;
}

static const msgsrv_info_v1_MethodStats *method_of(const msgsrv_info_v1_Stats *stats, const char *path)
{
    for (pb_size_t i = 0; i < stats->methods_count; i++) {
        if (strcmp(stats->methods[i].path, path) == 0)
            return &stats->methods[i];
    }
    ck_abort_msg("no method %s", path);
}

static void expect_sums(const msgsrv_info_v1_Stats *stats)
{
    uint64_t ended = 0;
    for (pb_size_t i = 0; i < stats->calls_ended_count; i++)
        ended += stats->calls_ended[i].count;
    ck_assert_uint_eq(stats->calls_started, stats->calls_open + ended);
    for (pb_size_t i = 0; i < stats->methods_count; i++) {
        const msgsrv_info_v1_MethodStats *method = &stats->methods[i];
        uint64_t durations = 0;
        ended = 0;
        for (pb_size_t j = 0; j < method->calls_ended_count; j++)
            ended += method->calls_ended[j].count;
        for (pb_size_t j = 0; j < method->durations_count; j++)
            durations += method->durations[j];
        ck_assert_uint_eq(method->calls_started, method->calls_open + ended);
        ck_assert_uint_eq(durations, ended);
        ck_assert_uint_ge(method->duration_total_ns, method->duration_max_ns);
    }
}

START_TEST(test_stats_add_up)
{
    msgsrv_error error;
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse sum = messages_AddResponse_init_zero;
    for (unsigned i = 0; i < 3; i++)
        api_call_add(client);
    api_expect(MSGSRV_OUT_OF_RANGE,
               messages_Demo_Add(client, &(messages_AddRequest){.a = INT32_MAX, .b = 1}, NULL, &sum, &error), &error);
    stats_response response = get_stats(client);
    const msgsrv_info_v1_MethodStats *add = method_of(&response.stats, "/messages.Demo/Add");
    ck_assert_uint_eq(add->calls_started, 4);
    ck_assert_uint_eq(add->calls_open, 0);
    ck_assert_uint_eq(ended_with(add->calls_ended, add->calls_ended_count, "OK"), 3);
    ck_assert_uint_eq(ended_with(add->calls_ended, add->calls_ended_count, "OUT_OF_RANGE"), 1);
    ck_assert_uint_eq(add->messages_received, 4);
    ck_assert_uint_eq(add->messages_sent, 3);
    ck_assert_uint_gt(add->duration_max_ns, 0);
    ck_assert_uint_eq(add->durations_count, response.stats.duration_bounds_us_count + 1);
    ck_assert_uint_eq(method_of(&response.stats, "/messages.Demo/Echo")->durations_count, 0);
    ck_assert_uint_eq(method_of(&response.stats, "/msgsrv.info.v1.Info/GetStats")->calls_open, 1);
    ck_assert_uint_eq(response.stats.calls_started, 5);
    ck_assert_uint_eq(response.stats.connections_open, 1);
    expect_sums(&response.stats);
    msgsrv_info_v1_GetStatsResponse_release(&response);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_refusals)
{
    msgsrv_error error;
    static const messages_Demo_service only_echo = {.Echo = api_echo};
    msgsrv_server *server = api_server(&only_echo, NULL);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse sum = messages_AddResponse_init_zero;
    api_expect(MSGSRV_UNIMPLEMENTED, messages_Demo_Add(client, &(messages_AddRequest){.a = 1}, NULL, &sum, &error),
               &error);
    stats_response response = get_stats(client);
    ck_assert_uint_eq(response.stats.refused_count, 1);
    ck_assert_str_eq(response.stats.refused[0].reason, "method");
    ck_assert_uint_eq(response.stats.refused[0].count, 1);
    expect_sums(&response.stats);
    msgsrv_info_v1_GetStatsResponse_release(&response);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_stream *watch(msgsrv_client *client, uint32_t interval_ms, uint32_t ahead)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_info_v1_WatchStatsRequest request = {.interval_ms = interval_ms};
    msgsrv_call_options options = {.size = sizeof options, .receive_items = ahead};
    api_ok(msgsrv_stream_open(client, &msgsrv_info_v1_Info_WatchStats_method, &request, &options, NULL, NULL, 0,
                              &stream, NULL, &error),
           &error);
    return stream;
}

/* Reads a message and returns how many were skipped before it; -1 when there is none. */
static int64_t next(msgsrv_stream *stream)
{
    watch_response response = msgsrv_info_v1_WatchStatsResponse_init_zero;
    if (!msgsrv_stream_read(stream, &response))
        return -1;
    ck_assert(response.has_stats);
    ck_assert_uint_ge(response.stats.streams_open, 1);
    int64_t skipped = (int64_t)response.skipped;
    msgsrv_info_v1_WatchStatsResponse_release(&response);
    return skipped;
}

static void leave(msgsrv_stream *stream)
{
    msgsrv_stream_cancel(stream);
    (void)msgsrv_stream_close(stream, NULL, NULL);
}

START_TEST(test_watch_interval)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *hourly = watch(client, 3600000, 0);
    ck_assert_int_eq(next(hourly), 0); /* the first one comes at once */
    msgsrv_stream *stream = watch(client, 100, 0);
    ck_assert_int_eq(next(stream), 0);
    int64_t before = api_now_ms();
    ck_assert_int_eq(next(stream), 0);
    ck_assert_int_eq(next(stream), 0);
    ck_assert_int_ge(api_now_ms() - before, 100); /* two intervals, the first of which had begun */
    leave(stream);
    leave(hourly);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_watch_bad_interval)
{
    static const uint32_t bad[] = {1, 99, 3600001, UINT32_MAX};
    msgsrv_error error;
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_stream *stream = watch(client, bad[i], 0);
        ck_assert_int_eq(next(stream), -1);
        api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_stream_close(stream, NULL, &error), &error);
        api_contains(error.text, "interval_ms");
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A client that takes one message at a time is told how many it missed; another client's watch is the clock. */
START_TEST(test_watch_skips)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *slow_client = api_client(server, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *slow = watch(slow_client, 100, 1);
    ck_assert_int_eq(next(slow), 0);
    msgsrv_stream *clock = watch(client, 100, 0);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_int_ge(next(clock), 0);
    ck_assert_int_eq(next(slow), 0); /* it was on its way before the others were skipped */
    ck_assert_int_ge(next(slow), 3);
    leave(slow);
    leave(clock);
    msgsrv_client_free(client);
    msgsrv_client_free(slow_client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_watch_drain)
{
    msgsrv_error error;
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = watch(client, 3600000, 0);
    ck_assert_int_eq(next(stream), 0);
    msgsrv_server_drain(server, MSGSRV_NONE);
    ck_assert_int_eq(next(stream), -1);
    api_expect(MSGSRV_UNAVAILABLE, msgsrv_stream_close(stream, NULL, &error), &error);
    ck_assert_str_eq(error.text, "the server is shutting down");
    api_ok(msgsrv_server_wait(server, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_services_info", test_get_info, test_descriptions, test_run, test_turned_off, test_replaced,
        test_stats_add_up, test_refusals, test_watch_interval, test_watch_bad_interval, test_watch_skips,
        test_watch_drain)
