/* SPDX-License-Identifier: MIT */
/*
 * Statistics as text; see stats_print.h.
 */
#include "stats_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "program.h"

#define NAME_WIDTH 44

#define NUMBER(field) #field, offsetof(msgsrv_info_v1_Stats, field)
#define GROUP_END \
    {             \
        NULL, 0   \
    }

static const struct {
    const char *name; /* NULL: a group ends */
    size_t offset;
} NUMBERS[] = {
    {NUMBER(uptime_ms)},
    {NUMBER(loop_latency_last_us)},
    {NUMBER(loop_latency_max_us)},
    GROUP_END,
    {NUMBER(connections_accepted)},
    {NUMBER(connections_open)},
    {NUMBER(bytes_received)},
    {NUMBER(bytes_sent)},
    {NUMBER(input_buffered_bytes)},
    {NUMBER(output_buffered_bytes)},
    {NUMBER(reads_paused)},
    {NUMBER(pings)},
    {NUMBER(frames_without_effect)},
    GROUP_END,
    {NUMBER(streams_open)},
    {NUMBER(items_received)},
    {NUMBER(items_sent)},
    {NUMBER(sends_refused)},
    {NUMBER(stream_input_items)},
    {NUMBER(stream_input_bytes)},
    GROUP_END,
    {NUMBER(calls_started)},
    {NUMBER(calls_open)},
    {NUMBER(plain_calls)},
};
#define NUMBER_COUNT (sizeof NUMBERS / sizeof *NUMBERS)

static uint64_t number(const msgsrv_info_v1_Stats *stats, size_t index)
{
    return *(const uint64_t *)(const void *)((const char *)stats + NUMBERS[index].offset);
}

static const char *shown(const char *path)
{
    return !path ? "" : *path == '/' ? path + 1 : path;
}

/* A line unless the value is 0. `outer` may be "". Returns whether there is one. */
static bool print_number(const char *outer, const char *name, uint64_t value)
{
    char text[512];
    if (value == 0)
        return false;
    snprintf(text, sizeof text, "%s%s%s", outer, *outer ? " " : "", name ? name : "");
    app_clean(text, false);
    printf("%-*s %" PRIu64 "\n", NAME_WIDTH, text, value);
    return true;
}

static void print_method(const msgsrv_info_v1_MethodStats *method)
{
    char outer[300];
    const char *path = shown(method->path);
    if (method->calls_started == 0)
        return;
    putchar('\n');
    print_number(path, "calls_started", method->calls_started);
    print_number(path, "calls_open", method->calls_open);
    snprintf(outer, sizeof outer, "%s calls_ended", path);
    for (size_t i = 0; i < method->calls_ended_count; i++)
        print_number(outer, method->calls_ended[i].status, method->calls_ended[i].count);
    print_number(path, "messages_received", method->messages_received);
    print_number(path, "messages_sent", method->messages_sent);
    print_number(path, "duration_total_ns", method->duration_total_ns);
    print_number(path, "duration_max_ns", method->duration_max_ns);
}

void stats_print_text(const msgsrv_info_v1_Stats *stats)
{
    bool any = false;
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        if (NUMBERS[i].name) {
            any |= print_number("", NUMBERS[i].name, number(stats, i));
        } else if (any) {
            putchar('\n');
            any = false;
        }
    }
    for (size_t i = 0; i < stats->calls_ended_count; i++)
        print_number("calls_ended", stats->calls_ended[i].status, stats->calls_ended[i].count);
    for (size_t i = 0; i < stats->refused_count; i++)
        print_number("refused", stats->refused[i].reason, stats->refused[i].count);
    for (size_t i = 0; i < stats->methods_count; i++)
        print_method(&stats->methods[i]);
}

static void write_ended(struct app_json *json, const msgsrv_info_v1_StatusCount *ended, size_t count)
{
    app_json_open(json, "calls_ended");
    for (size_t i = 0; i < count; i++)
        app_json_uint(json, shown(ended[i].status), ended[i].count);
    app_json_close(json);
}

static void write_method(struct app_json *json, const msgsrv_info_v1_MethodStats *method)
{
    app_json_open(json, shown(method->path));
    app_json_uint(json, "calls_started", method->calls_started);
    app_json_uint(json, "calls_open", method->calls_open);
    write_ended(json, method->calls_ended, method->calls_ended_count);
    app_json_uint(json, "messages_received", method->messages_received);
    app_json_uint(json, "messages_sent", method->messages_sent);
    app_json_uint(json, "duration_total_ns", method->duration_total_ns);
    app_json_uint(json, "duration_max_ns", method->duration_max_ns);
    app_json_open_array(json, "durations");
    for (size_t i = 0; i < method->durations_count; i++)
        app_json_uint(json, NULL, method->durations[i]);
    app_json_close_array(json);
    app_json_close(json);
}

void stats_print_json(const msgsrv_info_v1_Stats *stats)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        if (NUMBERS[i].name)
            app_json_uint(&json, NUMBERS[i].name, number(stats, i));
    }
    write_ended(&json, stats->calls_ended, stats->calls_ended_count);
    app_json_open(&json, "refused");
    for (size_t i = 0; i < stats->refused_count; i++)
        app_json_uint(&json, shown(stats->refused[i].reason), stats->refused[i].count);
    app_json_close(&json);
    app_json_open_array(&json, "duration_bounds_us");
    for (size_t i = 0; i < stats->duration_bounds_us_count; i++)
        app_json_uint(&json, NULL, stats->duration_bounds_us[i]);
    app_json_close_array(&json);
    app_json_open(&json, "methods");
    for (size_t i = 0; i < stats->methods_count; i++)
        write_method(&json, &stats->methods[i]);
    app_json_close(&json);
    app_json_close(&json);
}

/* "name 12.3", or "name -" for a rate that is not known. */
static void print_rate(const char *name, const struct sample *before, const struct sample *now, uint64_t from,
                       uint64_t to)
{
    double rate = sample_rate(before, now, from, to);
    if (rate < 0)
        printf("  %s -", name);
    else
        printf("  %s %.1f", name, rate);
}

void stats_print_line(const struct sample *before, const struct sample *now)
{
    printf("uptime_s %.1f  connections %" PRIu64 "  calls %" PRIu64 "  open %" PRIu64 "  streams %" PRIu64,
           (double)now->uptime_ms / 1000, now->connections_open, now->started, now->open, now->streams);
    print_rate("calls/s", before, now, before->started, now->started);
    print_rate("errors/s", before, now, before->errors, now->errors);
    print_rate("received_B/s", before, now, before->received, now->received);
    print_rate("sent_B/s", before, now, before->sent, now->sent);
    printf("  loop_latency_ms %.3f\n", (double)now->latency_us / 1000);
}
