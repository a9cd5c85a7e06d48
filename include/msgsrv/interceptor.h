/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Interceptors: functions around every call of a server or a client, in the order in which they were added.
 *
 * `begin` sees a call before its handler (at a client, before anything is sent) and may end it; `end` sees how it ended, in the opposite
 * order, for each interceptor whose `begin` was called, exactly once. Of one call both run on the loop's thread, but that a client's
 * `begin` runs on the thread that makes the call. A client is not freed inside its own `begin`.
 */
#ifndef MSGSRV_INTERCEPTOR_H
#define MSGSRV_INTERCEPTOR_H

#include <msgsrv/client.h>
#include <msgsrv/server.h>

/** A call as an interceptor sees it. Valid during `begin` or `end`. */
typedef struct msgsrv_call_info {
    const char *method;                  /**< "/package.Service/Method" */
    const msgsrv_metadata_set *metadata; /**< What came, or will go, with the call; NULL (an empty set) when there is none. */
    int64_t time_left_ms;                /**< Until its deadline; -1: none. */
    uint32_t kind;                       /**< #msgsrv_method_kind (msgsrv/service.h). */
    bool plain;                          /**< At a server: it came as a plain message. */
    const msgsrv_call *call;             /**< At a server: for msgsrv_call_peer(). NULL at a client. */
    const char *url;                     /**< At a client: the server's. NULL at a server. */
} msgsrv_call_info;

/** How a call ended. */
typedef struct msgsrv_call_outcome {
    msgsrv_status status;       /**< Its final status. */
    const char *text;           /**< The error's text, "" when there is none. */
    uint64_t duration_ns;       /**< From its begin to its end, nanoseconds. */
    uint64_t messages_received; /**< From the peer; for a unary call at the server 1. */
    uint64_t messages_sent;     /**< To the peer. */
} msgsrv_call_outcome;

/** An interceptor. `{0}` does nothing. */
typedef struct msgsrv_interceptor {
    size_t size; /**< sizeof(msgsrv_interceptor), or 0 for its size in 1.0. It grows only at the end. */

    /**
     * A call begins. Optional.
     *
     * @param info  the call
     * @param ctx  the interceptor's
     * @param[out] data  at first NULL; what is put here is given to `end`
     * @param[out] error  filled with code 1 to 16 when the call is not to go on: its text goes to the caller
     * @return #MSGSRV_OK to go on; any other code 1 to 16 ends the call with it, and neither later interceptors nor the handler are called
     */
    msgsrv_status (*begin)(const msgsrv_call_info *info, void *ctx, void **data, msgsrv_error *error);

    /** The call has ended. Optional. `data` is what `begin` left, NULL if there is none. */
    void (*end)(const msgsrv_call_info *info, const msgsrv_call_outcome *outcome, void *ctx, void *data);

    void *ctx; /**< Must live as long as the server or the client. */
} msgsrv_interceptor;

/** Most interceptors that one server or client may have. */
#define MSGSRV_INTERCEPTORS_MAX 16

MSGSRV_BEGIN_DECLS

/**
 * Adds an interceptor to a server, behind those that it has. Before start.
 *
 * @param interceptor  borrowed and copied
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT; #MSGSRV_FAILED_PRECONDITION once started; #MSGSRV_RESOURCE_EXHAUSTED over
 *         #MSGSRV_INTERCEPTORS_MAX
 */
MSGSRV_API msgsrv_status msgsrv_server_intercept(msgsrv_server *server, const msgsrv_interceptor *interceptor,
                                                 msgsrv_error *error);

/**
 * Adds an interceptor to a client, behind those that it has. Before the first call.
 *
 * @param interceptor  borrowed and copied
 * @param[out] error  optional
 * @return as msgsrv_server_intercept(); #MSGSRV_FAILED_PRECONDITION after the first call
 */
MSGSRV_API msgsrv_status msgsrv_client_intercept(msgsrv_client *client, const msgsrv_interceptor *interceptor,
                                                 msgsrv_error *error);

MSGSRV_END_DECLS

#endif
