/* SPDX-License-Identifier: MIT */
/*
 * ping: round trips on one connection, one at a time.
 */
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "histogram.h"
#include "json.h"
#include "program.h"

static void pause_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &left, NULL);
}

/* Pings until the count is reached or one fails. Returns the last one's status. */
static msgsrv_status ping_all(msgsrv_client *client, const struct options *options, struct histogram *times,
                              msgsrv_error *error)
{
    for (uint32_t i = 1; i <= options->count; i++) {
        uint64_t ns = 0;
        msgsrv_status status = msgsrv_client_ping(client, options->timeout_ms, &ns, error);
        if (status != MSGSRV_OK)
            return status;
        histogram_add(times, ns);
        if (!options->json)
            printf("%" PRIu32 ": %.3f ms\n", i, (double)ns / 1e6);
        if (!app_flush()) /* nobody reads on; and who does sees each as it comes */
            return MSGSRV_OK;
        if (i < options->count)
            pause_ms(options->interval_ms);
    }
    return MSGSRV_OK;
}

static void print_json(const struct options *options, const struct histogram *times)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_string(&json, "server", options->server);
    app_json_uint(&json, "count", options->count);
    app_json_uint(&json, "answered", times->count);
    app_json_open(&json, "round_trip_us");
    app_json_fixed(&json, "min", (double)times->min_ns / 1e3, 3);
    app_json_fixed(&json, "median", (double)histogram_percentile(times, 0.5) / 1e3, 3);
    app_json_fixed(&json, "p99", (double)histogram_percentile(times, 0.99) / 1e3, 3);
    app_json_fixed(&json, "max", (double)times->max_ns / 1e3, 3);
    app_json_close(&json);
    app_json_close(&json);
}

static void print_summary(const struct histogram *times)
{
    printf("min %.3f ms, median %.3f ms, p99 %.3f ms, max %.3f ms\n", (double)times->min_ns / 1e6,
           (double)histogram_percentile(times, 0.5) / 1e6, (double)histogram_percentile(times, 0.99) / 1e6,
           (double)times->max_ns / 1e6);
}

int command_ping(const struct options *options)
{
    msgsrv_error error = {0};
    msgsrv_client *client = NULL;
    struct histogram *times = calloc(1, sizeof *times);
    msgsrv_status status = times ? msgsrv_client_new(options->server, NULL, &client, &error)
                                 : app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    if (status == MSGSRV_OK)
        status = ping_all(client, options, times, &error);
    msgsrv_client_free(client);
    if (times && times->count > 0 && options->json)
        print_json(options, times);
    else if (times && times->count > 0)
        print_summary(times);
    free(times);
    return status == MSGSRV_OK ? 0 : app_fail("Ping", &error, options->server);
}
