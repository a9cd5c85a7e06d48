/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The built-in services: what a server offers besides the program's own methods, and ready-made interceptors.
 *
 * A server registers them itself when it starts, unless its options (`no_info`, `no_health`, `no_reflection`) or a service of the same name
 * that the program has registered say otherwise.
 *
 * - `msgsrv.info.v1.Info` (proto/msgsrv/info.proto): version, services, limits, statistics.
 * - `grpc.health.v1.Health` (proto/grpc/health/v1/health.proto): gRPC's published health checking protocol.
 * - `grpc.reflection.v1.ServerReflection` and `grpc.reflection.v1alpha.ServerReflection`: gRPC's published server reflection.
 */
#ifndef MSGSRV_SERVICES_H
#define MSGSRV_SERVICES_H

#include <msgsrv/interceptor.h>

/** What grpc.health.v1.HealthCheckResponse.ServingStatus says of a service, with its numbers. */
typedef enum msgsrv_health {
    MSGSRV_HEALTH_UNKNOWN = 0,
    MSGSRV_HEALTH_SERVING = 1,
    MSGSRV_HEALTH_NOT_SERVING = 2,
    MSGSRV_HEALTH_SERVICE_UNKNOWN = 3 /**< Only sent by Watch, never set. */
} msgsrv_health;

MSGSRV_BEGIN_DECLS

/**
 * Sets the health of a service. At first the whole server, "", and each registered service are #MSGSRV_HEALTH_SERVING; when a drain begins
 * all become #MSGSRV_HEALTH_NOT_SERVING, and stay so. Any thread, from msgsrv_server_start() on.
 *
 * @param server  started
 * @param service  "package.Service", or "" for the whole server; at most 255 bytes; copied; need not be registered
 * @param health  #MSGSRV_HEALTH_SERVING, _NOT_SERVING or _UNKNOWN
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT; #MSGSRV_FAILED_PRECONDITION without the built-in health service, or before start;
 *         #MSGSRV_RESOURCE_EXHAUSTED without memory, or over 10,000 names
 */
MSGSRV_API msgsrv_status msgsrv_server_set_health(msgsrv_server *server, const char *service, msgsrv_health health,
                                                  msgsrv_error *error);

/**
 * An interceptor that writes one line for each call that ended to a log function, at #MSGSRV_LOG_INFO:
 * `tcp://127.0.0.1:40112 /messages.Demo/Add OK 0.021 ms in=1 out=1`.
 *
 * @param log  takes the lines, on the loop's thread
 * @param log_ctx  its context; must live as long as the server
 * @param[out] interceptor  filled, for msgsrv_server_intercept(); its memory is freed by msgsrv_access_log_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT; #MSGSRV_RESOURCE_EXHAUSTED without memory
 */
MSGSRV_API msgsrv_status msgsrv_access_log_new(msgsrv_log_fn log, void *log_ctx, msgsrv_interceptor *interceptor,
                                               msgsrv_error *error);

/** Frees what msgsrv_access_log_new() made; after the server. @param interceptor  may be NULL or zeroed */
MSGSRV_API void msgsrv_access_log_free(msgsrv_interceptor *interceptor);

MSGSRV_END_DECLS

#endif
