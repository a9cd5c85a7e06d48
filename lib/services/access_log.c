/* SPDX-License-Identifier: MIT */
/* The access log: an interceptor that writes one line for each call that has ended. */
#include <msgsrv/services.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "services/internal.h"

#define LINE_SIZE 512 /* longer ones, of methods that nobody serves, are cut */

typedef struct access_log {
    msgsrv_log_fn log;
    void *ctx;
} access_log;

/* A method that nobody serves may be any text: what is not plain ASCII is not written as it came. */
static void make_plain(char *line)
{
    for (; *line; line++) {
        if (*line < 0x20 || *line > 0x7e)
            *line = '?';
    }
}

static void write_line(const msgsrv_call_info *info, const msgsrv_call_outcome *outcome, void *ctx, void *data)
{
    (void)data;
    const access_log *to = ctx;
    char line[LINE_SIZE];
    msgsrv_peer peer = {.address = ""};
    if (info->call)
        msgsrv_call_peer(info->call, &peer);
    uint64_t us = outcome->duration_ns / 1000;
    (void)snprintf(line, sizeof line, "%s %.300s %s %" PRIu64 ".%03u ms in=%" PRIu64 " out=%" PRIu64,
                   peer.address[0] ? peer.address : "-", info->method, msgsrv_status_name(outcome->status), us / 1000,
                   (unsigned)(us % 1000), outcome->messages_received, outcome->messages_sent);
    make_plain(line);
    to->log(MSGSRV_LOG_INFO, line, to->ctx);
}

msgsrv_status msgsrv_access_log_new(msgsrv_log_fn log, void *log_ctx, msgsrv_interceptor *interceptor,
                                    msgsrv_error *error)
{
    if (!log || !interceptor)
        return msi_services_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", log ? "interceptor" : "log");
    access_log *made = malloc(sizeof *made);
    if (!made)
        return msi_services_no_memory(error);
    *made = (access_log){log, log_ctx};
    *interceptor = (msgsrv_interceptor){.size = sizeof *interceptor, .end = write_line, .ctx = made};
    return MSGSRV_OK;
}

void msgsrv_access_log_free(msgsrv_interceptor *interceptor)
{
    if (!interceptor)
        return;
    free(interceptor->ctx);
    *interceptor = (msgsrv_interceptor){0};
}
