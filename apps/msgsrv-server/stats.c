/* SPDX-License-Identifier: MIT */
/*
 * Statistics; see stats.h. The thread waits for its signal with sigwait(3), since printing is nothing for a
 * signal handler.
 */
#include "stats.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "json.h"

static struct {
    const msgsrv_server *server;
    msgsrv_bus *bus;
    bool json;
    atomic_bool stop;
    pthread_t thread;
} watch;

static const struct {
    const char *name;
    size_t offset;
} NUMBERS[] = {
#define NUMBER(field) #field, offsetof(msgsrv_stats, field)
    {NUMBER(connections_accepted)}, {NUMBER(connections_open)},      {NUMBER(calls_started)},
    {NUMBER(calls_open)},           {NUMBER(plain_calls)},           {NUMBER(bytes_received)},
    {NUMBER(bytes_sent)},           {NUMBER(frames_without_effect)}, {NUMBER(pings)},
    {NUMBER(input_buffered_bytes)}, {NUMBER(output_buffered_bytes)}, {NUMBER(reads_paused)},
    {NUMBER(loop_latency_last_us)}, {NUMBER(loop_latency_max_us)},   {NUMBER(uptime_ms)},
    {NUMBER(streams_open)},         {NUMBER(items_received)},        {NUMBER(items_sent)},
    {NUMBER(sends_refused)},        {NUMBER(stream_input_items)},    {NUMBER(stream_input_bytes)},
#undef NUMBER
};
#define NUMBER_COUNT (sizeof NUMBERS / sizeof *NUMBERS)

static const struct {
    const char *name;
    size_t offset;
} BUS_NUMBERS[] = {
#define NUMBER(field) #field, offsetof(msgsrv_bus_stats, field)
    {NUMBER(published)}, {NUMBER(refused)},        {NUMBER(delivered)},      {NUMBER(lost)},
    {NUMBER(unmatched)}, {NUMBER(topics)},         {NUMBER(subscriptions)},  {NUMBER(queues)},
    {NUMBER(consumers)}, {NUMBER(retained_bytes)}, {NUMBER(waiting_events)}, {NUMBER(waiting_bytes)},
    {NUMBER(requests)},
#undef NUMBER
};
#define BUS_NUMBER_COUNT (sizeof BUS_NUMBERS / sizeof *BUS_NUMBERS)

static uint64_t bus_number(const msgsrv_bus_stats *stats, size_t index)
{
    return *(const uint64_t *)(const void *)((const char *)stats + BUS_NUMBERS[index].offset);
}

static uint64_t number(const msgsrv_stats *stats, size_t index)
{
    return *(const uint64_t *)(const void *)((const char *)stats + NUMBERS[index].offset);
}

static void print_json(FILE *out, const msgsrv_stats *stats, const msgsrv_bus_stats *bus)
{
    struct app_json json = {.out = out};
    app_json_open(&json, NULL);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        app_json_uint(&json, NUMBERS[i].name, number(stats, i));
    app_json_open(&json, "calls_ended");
    for (int code = 0; code < MSGSRV_STATUS_COUNT; code++)
        app_json_uint(&json, msgsrv_status_name((msgsrv_status)code), stats->calls_ended[code]);
    app_json_close(&json);
    app_json_open(&json, "refused");
    for (int reason = 0; reason < MSGSRV_REFUSAL_COUNT; reason++)
        app_json_uint(&json, msgsrv_refusal_name((msgsrv_refusal)reason), stats->refused[reason]);
    app_json_close(&json);
    if (bus) {
        app_json_open(&json, "bus");
        for (size_t i = 0; i < BUS_NUMBER_COUNT; i++)
            app_json_uint(&json, BUS_NUMBERS[i].name, bus_number(bus, i));
        app_json_close(&json);
    }
    app_json_close(&json);
}

static void print_text(FILE *out, const msgsrv_stats *stats, const msgsrv_bus_stats *bus)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        fprintf(out, "%-24s %" PRIu64 "\n", NUMBERS[i].name, number(stats, i));
    for (int code = 0; code < MSGSRV_STATUS_COUNT; code++) {
        if (stats->calls_ended[code])
            fprintf(out, "calls_ended %-12s %" PRIu64 "\n", msgsrv_status_name((msgsrv_status)code),
                    stats->calls_ended[code]);
    }
    for (int reason = 0; reason < MSGSRV_REFUSAL_COUNT; reason++) {
        if (stats->refused[reason])
            fprintf(out, "refused %-16s %" PRIu64 "\n", msgsrv_refusal_name((msgsrv_refusal)reason),
                    stats->refused[reason]);
    }
    for (size_t i = 0; bus && i < BUS_NUMBER_COUNT; i++)
        fprintf(out, "bus %-20s %" PRIu64 "\n", BUS_NUMBERS[i].name, bus_number(bus, i));
}

void stats_print(const msgsrv_server *server, msgsrv_bus *bus, bool json)
{
    msgsrv_stats stats = {.size = sizeof stats};
    msgsrv_bus_stats bus_stats = {.size = sizeof bus_stats};
    if (bus)
        msgsrv_bus_get_stats(bus, &bus_stats);
    msgsrv_server_stats(server, &stats);
    flockfile(stderr); /* no line of the log in between */
    if (json)
        print_json(stderr, &stats, bus ? &bus_stats : NULL);
    else
        print_text(stderr, &stats, bus ? &bus_stats : NULL);
    funlockfile(stderr);
}

static void *run_watch(void *ctx)
{
    sigset_t usr1;
    int number_of_signal;
    (void)ctx;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    while (sigwait(&usr1, &number_of_signal) == 0 && !atomic_load(&watch.stop))
        stats_print(watch.server, watch.bus, watch.json);
    return NULL;
}

int stats_watch(const msgsrv_server *server, msgsrv_bus *bus, bool json)
{
    sigset_t all, usr1, old;
    watch.server = server;
    watch.bus = bus;
    watch.json = json;
    sigfillset(&all);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    /* The thread begins with every signal blocked, so that the others go to the main thread. */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int failed = pthread_create(&watch.thread, NULL, run_watch, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    return failed;
}

void stats_unwatch(void)
{
    atomic_store(&watch.stop, true);
    pthread_kill(watch.thread, SIGUSR1);
    pthread_join(watch.thread, NULL);
}
