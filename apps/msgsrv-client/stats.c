/* SPDX-License-Identifier: MIT */
/*
 * stats: what a server counts, by msgsrv.info.v1.Info; once, or again and again.
 */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "live.h"
#include "program.h"
#include "stats_print.h"
#include "stats_table.h"

/* What a watch shows. */
struct watch {
    const struct options *options;
    bool terminal;
    struct stats_table table;
    struct sample last;
    bool no_memory;
};

/* Shows what has changed since the last one. False without memory. */
static bool show(struct watch *watch, const msgsrv_info_v1_Stats *stats)
{
    struct sample now;
    watch->no_memory = !sample_take(&now, stats);
    if (watch->no_memory)
        return false;
    if (watch->terminal)
        stats_table_draw(&watch->table, &watch->last, &now);
    else
        stats_print_line(&watch->last, &now);
    sample_free(&watch->last);
    watch->last = now;
    return true;
}

static bool on_stats(void *ctx, const void *message)
{
    struct watch *watch = ctx;
    const msgsrv_info_v1_WatchStatsResponse *response = message;
    if (watch->options->json)
        stats_print_json(&response->stats);
    else if (!show(watch, &response->stats))
        return false;
    return app_flush();
}

/* Until interrupted, which is how it is meant to end. */
static msgsrv_status watch_stats(msgsrv_client *client, const struct options *options, msgsrv_error *error)
{
    struct watch watch = {.options = options, .terminal = isatty(STDOUT_FILENO) && !options->json};
    msgsrv_info_v1_WatchStatsRequest request = {.interval_ms = options->interval_ms};
    msgsrv_call_options call_options = {.size = sizeof call_options,
                                        .timeout_ms = options->timeout_given ? options->timeout_ms : 0};
    struct live_call live = {.client = client,
                             .method = &msgsrv_info_v1_Info_WatchStats_method,
                             .request = &request,
                             .options = &call_options,
                             .message = on_stats,
                             .ctx = &watch};
    enum live_end end = LIVE_ENDED;
    if (watch.terminal)
        stats_table_begin(&watch.table, options->server);
    msgsrv_status status = live_run(&live, &end, error);
    if (watch.terminal)
        stats_table_end();
    app_flush();
    sample_free(&watch.last);
    if (watch.no_memory)
        return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return end == LIVE_INTERRUPTED || end == LIVE_UNWANTED ? MSGSRV_OK : status;
}

static msgsrv_status print_stats(msgsrv_client *client, const struct options *options, msgsrv_error *error)
{
    msgsrv_info_v1_GetStatsRequest request = msgsrv_info_v1_GetStatsRequest_init_zero;
    msgsrv_info_v1_GetStatsResponse response = msgsrv_info_v1_GetStatsResponse_init_zero;
    msgsrv_status status = msgsrv_info_v1_Info_GetStats(client, &request, NULL, &response, error);
    if (status != MSGSRV_OK)
        return status;
    if (options->json)
        stats_print_json(&response.stats);
    else
        stats_print_text(&response.stats);
    msgsrv_info_v1_GetStatsResponse_release(&response);
    return MSGSRV_OK;
}

int command_stats(const struct options *options)
{
    msgsrv_error error;
    msgsrv_client *client = NULL;
    msgsrv_client_options settings = {.size = sizeof settings,
                                      .thread = options->watch,
                                      .timeout_ms = options->timeout_ms,
                                      .max_message = COMMANDS_MESSAGE_MAX};
    msgsrv_status status = msgsrv_client_new(options->server, &settings, &client, &error);
    if (status == MSGSRV_OK)
        status = (options->watch ? watch_stats : print_stats)(client, options, &error);
    msgsrv_client_free(client);
    return status == MSGSRV_OK ? 0 : app_fail("stats", &error, options->server);
}
