/* SPDX-License-Identifier: MIT */
/* A server's options: ranges and defaults as include/msgsrv/server.h says them. */
#include <stddef.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/option.h"
#include "rpc/server_internal.h"

static msgsrv_status check(msgsrv_server_options *o, msgsrv_error *error)
{
    const msi_option table[] = {
        {"threads", &o->threads, 1, 1, 256, false},
        {"worker_threads", &o->worker_threads, MSI_WORKER_THREADS, 1, 256, false},
        {"worker_queue", &o->worker_queue, MSI_WORKER_QUEUE, 1, 1000000, false},
        {"max_connections", &o->max_connections, MSI_MAX_CONNECTIONS, 1, MSGSRV_NONE - 1, true},
        {"max_calls", &o->max_calls, MSI_MAX_CALLS, 1, 1000000, false},
        {"max_message", &o->max_message, MSI_MAX_MESSAGE, 1, MSI_MESSAGE_CEILING, false},
        {"max_metadata", &o->max_metadata, MSI_MAX_METADATA, 1, 12 * MSI_KIB, false},
        {"max_output", &o->max_output, MSI_MAX_OUTPUT, 4 * MSI_KIB, 1024 * MSI_MIB, false},
        {"first_byte_timeout_ms", &o->first_byte_timeout_ms, MSI_FIRST_BYTE_TIMEOUT_MS, 1, MSGSRV_NONE - 1, true},
        {"frame_timeout_ms", &o->frame_timeout_ms, MSI_FRAME_TIMEOUT_MS, 1, MSGSRV_NONE - 1, true},
        {"output_timeout_ms", &o->output_timeout_ms, MSI_OUTPUT_TIMEOUT_MS, 1, MSGSRV_NONE - 1, true},
        {"keepalive_idle_s", &o->keepalive_idle_s, MSI_KEEPALIVE_IDLE_S, 1, 32767, true},
        {"keepalive_interval_s", &o->keepalive_interval_s, MSI_KEEPALIVE_INTERVAL_S, 1, 32767, false},
        {"keepalive_count", &o->keepalive_count, MSI_KEEPALIVE_COUNT, 1, 127, false},
        {"linger_ms", &o->linger_ms, MSI_LINGER_MS, 1, 60000, false},
        {"linger_bytes", &o->linger_bytes, MSI_LINGER_BYTES, 1, MSGSRV_NONE - 1, false},
        {"pings_per_second", &o->pings_per_second, MSI_PINGS_PER_SECOND, 1, MSGSRV_NONE - 1, true},
        {"ping_burst", &o->ping_burst, MSI_PING_BURST, 1, MSGSRV_NONE - 1, false},
        {"idle_frames_per_second", &o->idle_frames_per_second, MSI_IDLE_FRAMES_PER_SECOND, 1, MSGSRV_NONE - 1, true},
        {"plain_max_calls", &o->plain_max_calls, MSI_PLAIN_MAX_CALLS, 1, MSGSRV_NONE - 1, false},
        {"plain_max_bytes", &o->plain_max_bytes, MSI_PLAIN_MAX_BYTES, 1, MSGSRV_NONE - 1, false},
        {"plain_timeout_ms", &o->plain_timeout_ms, MSI_PLAIN_TIMEOUT_MS, 1, MSGSRV_NONE - 1, true},
        {"backlog", &o->backlog, MSI_BACKLOG, 1, 65535, false},
        {"socket_mode", &o->socket_mode, MSI_SOCKET_MODE, 1, 0777, false},
        {"max_stream_output", &o->max_stream_output, MSI_MAX_STREAM_OUTPUT, 4 * MSI_KIB, 64 * MSI_MIB, false},
        {"max_unread", &o->max_unread, MSI_MAX_UNREAD, 4 * MSI_KIB, 1024 * MSI_MIB, false},
        {"resets_per_second", &o->resets_per_second, MSI_RESETS_PER_SECOND, 1, MSGSRV_NONE - 1, true},
        {"reset_burst", &o->reset_burst, MSI_RESET_BURST, 1, MSGSRV_NONE - 1, false},
    };
    if (o->base && o->threads)
        return msi_error(
            error, MSGSRV_INVALID_ARGUMENT,
            "msgsrv_server_options: threads is %u, expected 0 with a base: the caller's loop is one thread's",
            o->threads);
    if ((unsigned)o->log_level > MSGSRV_LOG_DEBUG)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_server_options: log_level is %d, expected 0 to %d",
                         (int)o->log_level, (int)MSGSRV_LOG_DEBUG);
    return msi_options_check(table, sizeof table / sizeof *table, "msgsrv_server_options", error);
}

static uint32_t never_is_zero(uint32_t ms)
{
    return ms == MSGSRV_NONE ? 0 : ms;
}

msgsrv_status msi_server_take_options(msgsrv_server *server, const msgsrv_server_options *options, msgsrv_error *error)
{
    msgsrv_server_options *o = &server->options;
    msgsrv_status status = msi_options_copy(o, sizeof *o, MSI_SERVER_OPTIONS_FIRST_SIZE, options,
                                            options ? options->size : 0, "msgsrv_server_options", error);
    if (status == MSGSRV_OK)
        status = check(o, error);
    if (status)
        return status;
    server->limits = (msi_conn_limits){
        .first_byte_timeout_ms = never_is_zero(o->first_byte_timeout_ms),
        .frame_timeout_ms = never_is_zero(o->frame_timeout_ms),
        .output_timeout_ms = never_is_zero(o->output_timeout_ms),
        .linger_ms = o->linger_ms,
        .linger_bytes = o->linger_bytes,
        .max_output = o->max_output,
        .keepalive_idle_s = o->keepalive_idle_s,
        .keepalive_interval_s = o->keepalive_interval_s,
        .keepalive_count = o->keepalive_count,
    };
    server->config = (msi_protocol_config){
        .max_message = o->max_message,
        .max_metadata = o->max_metadata,
        .max_calls = o->max_calls,
        .pings_per_second = o->pings_per_second,
        .ping_burst = o->ping_burst,
        .idle_frames_per_second = o->idle_frames_per_second,
        .max_stream_output = o->max_stream_output,
        .max_unread = o->max_unread,
        .resets_per_second = o->resets_per_second,
        .reset_burst = o->reset_burst,
        .plain_max_calls = o->plain_max_calls,
        .plain_max_bytes = o->plain_max_bytes,
        .plain_timeout_ms = never_is_zero(o->plain_timeout_ms),
    };
    return MSGSRV_OK;
}
