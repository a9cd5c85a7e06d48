/* SPDX-License-Identifier: MIT */
/*
 * The built-in services without memory: whatever fails, at either end, a call or a stream ends with a clear status, and the server goes on.
 */
#include <msgsrv/services.h>

#include "api_support.h"
#include "failing.h"
#include "grpc/health/v1/health.msgsrv.h"
#include "grpc/reflection/v1/reflection.msgsrv.h"
#include "msgsrv/info.msgsrv.h"

/* What one sweep does. */
struct visit {
    msgsrv_server *server;
    msgsrv_client *client;
    msgsrv_status (*run)(struct visit *visit, msgsrv_error *error);
    msgsrv_status status;
    msgsrv_error error;
};

/* ---- visits; no macro of Check's in here, as those allocate ---- */

static msgsrv_status get_info(struct visit *visit, msgsrv_error *error)
{
    msgsrv_info_v1_GetInfoRequest request = msgsrv_info_v1_GetInfoRequest_init_zero;
    msgsrv_info_v1_GetInfoResponse response = msgsrv_info_v1_GetInfoResponse_init_zero;
    msgsrv_status status = msgsrv_info_v1_Info_GetInfo(visit->client, &request, NULL, &response, error);
    msgsrv_info_v1_GetInfoResponse_release(&response);
    return status;
}

static msgsrv_status get_stats(struct visit *visit, msgsrv_error *error)
{
    msgsrv_info_v1_GetStatsRequest request = msgsrv_info_v1_GetStatsRequest_init_zero;
    msgsrv_info_v1_GetStatsResponse response = msgsrv_info_v1_GetStatsResponse_init_zero;
    msgsrv_status status = msgsrv_info_v1_Info_GetStats(visit->client, &request, NULL, &response, error);
    msgsrv_info_v1_GetStatsResponse_release(&response);
    return status;
}

static msgsrv_status list_health(struct visit *visit, msgsrv_error *error)
{
    grpc_health_v1_HealthListRequest request = grpc_health_v1_HealthListRequest_init_zero;
    grpc_health_v1_HealthListResponse response = grpc_health_v1_HealthListResponse_init_zero;
    msgsrv_status status = grpc_health_v1_Health_List(visit->client, &request, NULL, &response, error);
    grpc_health_v1_HealthListResponse_release(&response);
    return status;
}

/* Ends a stream from this end, if it has not ended; CANCELLED is then how it went well. */
static msgsrv_status leave(msgsrv_stream *stream, msgsrv_error *error)
{
    msgsrv_stream_cancel(stream);
    msgsrv_status status = msgsrv_stream_close(stream, NULL, error);
    return status == MSGSRV_CANCELLED ? MSGSRV_OK : status;
}

static msgsrv_status watch_stats(struct visit *visit, msgsrv_error *error)
{
    msgsrv_info_v1_Info_WatchStats_client call;
    msgsrv_info_v1_WatchStatsRequest request = {.interval_ms = 3600000};
    msgsrv_info_v1_WatchStatsResponse response = msgsrv_info_v1_WatchStatsResponse_init_zero;
    msgsrv_status status = msgsrv_info_v1_Info_WatchStats_start(visit->client, &request, NULL, &call, error);
    if (status)
        return status;
    if (!msgsrv_info_v1_Info_WatchStats_read(call, &response))
        return leave(call.stream, error);
    msgsrv_info_v1_WatchStatsResponse_release(&response);
    return leave(call.stream, error);
}

/* Each visit watches a name that it then makes known. */
static msgsrv_status watch_health(struct visit *visit, msgsrv_error *error)
{
    static unsigned visits;
    grpc_health_v1_Health_Watch_client call;
    grpc_health_v1_HealthCheckRequest request = grpc_health_v1_HealthCheckRequest_init_zero;
    grpc_health_v1_HealthCheckResponse response = grpc_health_v1_HealthCheckResponse_init_zero;
    snprintf(request.service, sizeof request.service, "a.Service%u", visits++);
    msgsrv_status status = grpc_health_v1_Health_Watch_start(visit->client, &request, NULL, &call, error);
    if (status)
        return status;
    if (!grpc_health_v1_Health_Watch_read(call, &response))
        return leave(call.stream, error);
    status = msgsrv_server_set_health(visit->server, request.service, MSGSRV_HEALTH_SERVING, error);
    if (status == MSGSRV_OK && !grpc_health_v1_Health_Watch_read(call, &response))
        return leave(call.stream, error);
    msgsrv_status end = leave(call.stream, status ? NULL : error);
    return status ? status : end;
}

static msgsrv_status reflect(struct visit *visit, msgsrv_error *error)
{
    static char symbol[] = "messages.Demo";
    grpc_reflection_v1_ServerReflection_ServerReflectionInfo_client call;
    grpc_reflection_v1_ServerReflectionRequest request = grpc_reflection_v1_ServerReflectionRequest_init_zero;
    grpc_reflection_v1_ServerReflectionResponse response = grpc_reflection_v1_ServerReflectionResponse_init_zero;
    request.which_message_request = grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag;
    request.message_request.file_containing_symbol = symbol;
    msgsrv_status status =
        grpc_reflection_v1_ServerReflection_ServerReflectionInfo_start(visit->client, NULL, &call, error);
    if (status)
        return status;
    status = grpc_reflection_v1_ServerReflection_ServerReflectionInfo_write(call, &request, error);
    if (status == MSGSRV_OK && grpc_reflection_v1_ServerReflection_ServerReflectionInfo_read(call, &response))
        grpc_reflection_v1_ServerReflectionResponse_release(&response);
    msgsrv_status end = grpc_reflection_v1_ServerReflection_ServerReflectionInfo_close(call, status ? NULL : error);
    return status ? status : end;
}

/* ---- the sweep ---- */

static void open_both(void *ctx)
{
    struct visit *visit = ctx;
    visit->server = api_server(NULL, NULL);
    visit->client = api_client(visit->server, &(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 2});
    api_call_add(visit->client);
}

static void make_visit(void *ctx)
{
    struct visit *visit = ctx;
    visit->status = visit->run(visit, &visit->error);
}

static void check_visit(void *ctx, bool failed, unsigned n)
{
    struct visit *visit = ctx;
    msgsrv_error error;
    bool fine = visit->status == MSGSRV_OK ||
                (failed && (visit->status == MSGSRV_RESOURCE_EXHAUSTED || visit->status == MSGSRV_UNAVAILABLE));
    ck_assert_msg(fine, "allocation %u: %s (%s)", n, msgsrv_status_name(visit->status),
                  visit->status ? visit->error.text : "");
    /* With another connection, as this one's may have been lost. */
    msgsrv_client_free(visit->client);
    visit->client = api_client(visit->server, NULL);
    api_ok(visit->run(visit, &error), &error);
    msgsrv_client_free(visit->client);
    msgsrv_server_free(visit->server);
}

static void sweep(msgsrv_status (*run)(struct visit *visit, msgsrv_error *error))
{
    struct visit visit = {.run = run};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(open_both, make_visit, check_visit, &visit), 0);
}

START_TEST(getting_info)
{
    sweep(get_info);
}
END_TEST

START_TEST(getting_stats)
{
    sweep(get_stats);
}
END_TEST

START_TEST(listing_health)
{
    sweep(list_health);
}
END_TEST

START_TEST(watching_stats)
{
    sweep(watch_stats);
}
END_TEST

START_TEST(watching_health)
{
    sweep(watch_health);
}
END_TEST

START_TEST(reflecting)
{
    sweep(reflect);
}
END_TEST

TS_MAIN("oom_services", getting_info, getting_stats, listing_health, watching_stats, watching_health, reflecting)
