/* SPDX-License-Identifier: MIT */
/*
 * health: whether a server, or one of its services, can do its work, by grpc.health.v1.Health.
 */
#include <stdio.h>

#include "commands.h"
#include "grpc/health/v1/health.msgsrv.h"
#include "json.h"
#include "live.h"
#include "program.h"
#include "types.h"

#define NAME_ROOM 256 /* the .options' max_size */

struct health {
    const struct options *options;
    grpc_health_v1_HealthCheckRequest request;
    struct types types;
};

static const char *status_name(grpc_health_v1_HealthCheckResponse_ServingStatus status)
{
    switch (status) {
    case grpc_health_v1_HealthCheckResponse_ServingStatus_UNKNOWN:
        return "UNKNOWN";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING:
        return "SERVING";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_NOT_SERVING:
        return "NOT_SERVING";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_SERVICE_UNKNOWN:
        return "SERVICE_UNKNOWN";
    }
    return "UNKNOWN"; /* of a later version */
}

static void print(const struct health *health, const grpc_health_v1_HealthCheckResponse *response)
{
    if (health->options->json) {
        struct app_json json = {.out = stdout};
        app_json_open(&json, NULL);
        app_json_string(&json, "service", health->options->name);
        app_json_string(&json, "status", status_name(response->status));
        app_json_close(&json);
    } else {
        printf("%s\n", status_name(response->status));
    }
}

static bool on_change(void *ctx, const void *message)
{
    print(ctx, message);
    return app_flush();
}

/* Until interrupted, which is how it is meant to end. */
static int watch(struct health *health)
{
    msgsrv_call_options options = {.size = sizeof options,
                                   .timeout_ms = health->options->timeout_given ? health->options->timeout_ms : 0};
    struct live_call live = {.client = health->types.client,
                             .method = &grpc_health_v1_Health_Watch_method,
                             .request = &health->request,
                             .options = &options,
                             .message = on_change,
                             .ctx = health};
    enum live_end end = LIVE_ENDED;
    msgsrv_error error;
    msgsrv_status status = live_run(&live, &end, &error);
    if (end == LIVE_INTERRUPTED || end == LIVE_UNWANTED || status == MSGSRV_OK)
        return 0;
    return app_fail("health", &error, health->options->server);
}

static int check(struct health *health)
{
    grpc_health_v1_HealthCheckResponse response = grpc_health_v1_HealthCheckResponse_init_zero;
    msgsrv_error error;
    msgsrv_status status = grpc_health_v1_Health_Check(health->types.client, &health->request, NULL, &response, &error);
    if (status == MSGSRV_NOT_FOUND && error.from_peer && health->options->name)
        return types_no_service(&health->types, health->options->name);
    if (status != MSGSRV_OK)
        return app_fail("health", &error, health->options->server);
    print(health, &response);
    return response.status == grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING ? 0 : MSGSRV_UNAVAILABLE;
}

int command_health(const struct options *options)
{
    struct health health = {.options = options};
    const char *name = options->name ? options->name : "";
    if (snprintf(health.request.service, sizeof health.request.service, "%s", name) >= (int)sizeof health.request.service)
        return app_usage("health: the name of a service has at most %d bytes", NAME_ROOM - 1);
    int status = types_open(&health.types, options, "health", options->watch);
    if (status == 0)
        status = options->watch ? watch(&health) : check(&health);
    types_close(&health.types);
    return status;
}
