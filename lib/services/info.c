/* SPDX-License-Identifier: MIT */
/* msgsrv.info.v1.Info: what a server says of itself. All it needs is made when the server starts, so its handlers only put it together. */
#include <stdlib.h>
#include <time.h>

#include "msgsrv/info.msgsrv.h"
#include "services/info_model.h"
#include "services/info_stats.h"
#include "services/internal.h"

#define INTERVAL_DEFAULT_MS 1000u
#define INTERVAL_MIN_MS 100u
#define INTERVAL_MAX_MS 3600000u

struct msi_info {
    msgsrv_server *server;
    msi_method_stats *methods;
    msi_info_model model;
};

/* ---- GetInfo ---- */

static bool list_addresses(msgsrv_call *call, const msgsrv_server *server, msgsrv_info_v1_GetInfoResponse *response)
{
    size_t count = 0;
    while (count < UINT16_MAX && msgsrv_server_address(server, count))
        count++;
    response->addresses = msgsrv_call_alloc(call, (count ? count : 1) * sizeof *response->addresses);
    if (!response->addresses)
        return false;
    for (size_t i = 0; i < count; i++)
        response->addresses[i] = msi_text(msgsrv_server_address(server, i));
    response->addresses_count = (pb_size_t)count;
    return true;
}

static msgsrv_status get_info(msgsrv_call *call, const msgsrv_info_v1_GetInfoRequest *request,
                              msgsrv_info_v1_GetInfoResponse *response, void *ctx)
{
    (void)request;
    const msi_info *info = ctx;
    msgsrv_stats counted = {.size = sizeof counted};
    msgsrv_server_stats(info->server, &counted);
    if (!list_addresses(call, info->server, response))
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    response->version = msi_text(msgsrv_version());
    response->uptime_ms = counted.uptime_ms;
    response->services = info->model.services;
    response->services_count = info->model.service_count;
    response->limits = info->model.limits;
    response->limits_count = info->model.limit_count;
    return MSGSRV_OK;
}

/* ---- GetStats ---- */

static msgsrv_status get_stats(msgsrv_call *call, const msgsrv_info_v1_GetStatsRequest *request,
                               msgsrv_info_v1_GetStatsResponse *response, void *ctx)
{
    (void)request;
    const msi_info *info = ctx;
    void *memory = msgsrv_call_alloc(call, msi_info_stats_size(info->methods));
    if (!memory)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    response->has_stats = true;
    response->stats = *msi_info_stats_fill(memory, info->server, info->methods);
    return MSGSRV_OK;
}

/* ---- WatchStats; on the stream's loop ---- */

typedef msgsrv_info_v1_Info_WatchStats_server watch_call;

typedef struct stats_watch {
    uint32_t interval_ms;
    uint64_t skipped; /* since the last message that was sent */
    uint64_t due_ns;  /* when the next one is to be sent */
    void *memory;     /* of the message, filled anew each time */
} stats_watch;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The next message keeps its distance from the first one, but is never in the past. */
static void schedule(msgsrv_stream *stream, stats_watch *watch)
{
    uint64_t now = now_ns();
    watch->due_ns += watch->interval_ms * UINT64_C(1000000);
    if (watch->due_ns < now)
        watch->due_ns = now;
    msgsrv_stream_wake_after(stream, (uint32_t)((watch->due_ns - now + 999999) / 1000000));
}

/* Sends a message, or leaves it out. */
static msgsrv_status send_stats(watch_call call, stats_watch *watch, const msi_info *info)
{
    if (!msgsrv_stream_can_send(call.stream)) {
        watch->skipped++;
        return MSGSRV_OK;
    }
    msgsrv_error error;
    msgsrv_info_v1_WatchStatsResponse response = {
        .has_stats = true,
        .stats = *msi_info_stats_fill(watch->memory, info->server, info->methods),
        .skipped = watch->skipped,
    };
    msgsrv_status status = msgsrv_info_v1_Info_WatchStats_server_send(call, &response, &error);
    if (status == MSGSRV_AGAIN)
        watch->skipped++;
    else if (status)
        return msgsrv_stream_fail(call.stream, status, "%s", error.text);
    else
        watch->skipped = 0;
    return MSGSRV_OK;
}

static msgsrv_status tick(watch_call call, void *ctx)
{
    stats_watch *watch = msgsrv_stream_data(call.stream);
    if (!watch)
        return MSGSRV_OK;
    msgsrv_status status = send_stats(call, watch, ctx);
    if (status == MSGSRV_OK)
        schedule(call.stream, watch);
    return status;
}

static msgsrv_status watch_begin(watch_call call, const msgsrv_info_v1_WatchStatsRequest *request, void *ctx)
{
    const msi_info *info = ctx;
    uint32_t interval_ms = request->interval_ms ? request->interval_ms : INTERVAL_DEFAULT_MS;
    if (interval_ms < INTERVAL_MIN_MS || interval_ms > INTERVAL_MAX_MS)
        return msgsrv_stream_fail(call.stream, MSGSRV_INVALID_ARGUMENT, "interval_ms is %u; it may be %u to %u",
                                  (unsigned)interval_ms, INTERVAL_MIN_MS, INTERVAL_MAX_MS);
    msgsrv_call *owner = msgsrv_stream_call(call.stream);
    stats_watch *watch = msgsrv_call_alloc(owner, sizeof *watch);
    void *memory = msgsrv_call_alloc(owner, msi_info_stats_size(info->methods));
    if (!watch || !memory)
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    *watch = (stats_watch){.interval_ms = interval_ms, .due_ns = now_ns(), .memory = memory};
    msgsrv_stream_set_data(call.stream, watch);
    return tick(call, ctx);
}

static msgsrv_status watch_draining(watch_call call, void *ctx)
{
    (void)ctx;
    return msgsrv_stream_fail(call.stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
}

/* ---- its life ---- */

msi_info *msi_info_new(msgsrv_server *server)
{
    msi_info *info = calloc(1, sizeof *info);
    if (!info)
        return NULL;
    info->server = server;
    info->methods = msi_method_stats_new();
    if (!info->methods) {
        free(info);
        return NULL;
    }
    return info;
}

msgsrv_status msi_info_register(msi_info *info, msgsrv_error *error)
{
    static const msgsrv_info_v1_Info_service service = {
        .GetInfo = get_info,
        .GetStats = get_stats,
        .WatchStats = {.begin = watch_begin, .woken = tick, .draining = watch_draining},
    };
    msgsrv_status status = msi_method_stats_attach(info->methods, info->server, error);
    return status ? status : msgsrv_info_v1_Info_register(info->server, &service, info, error);
}

msgsrv_status msi_info_ready(msi_info *info, const msgsrv_schema *schema, msgsrv_error *error)
{
    msgsrv_status status = msi_method_stats_ready(info->methods, info->server, error);
    if (status)
        return status;
    msi_info_model_release(&info->model);
    return msi_info_model_fill(&info->model, info->server, schema, error);
}

void msi_info_free(msi_info *info)
{
    if (!info)
        return;
    msi_info_model_release(&info->model);
    msi_method_stats_free(info->methods);
    free(info);
}

msi_method_stats *msi_info_methods(const msi_info *info)
{
    return info->methods;
}
