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

static uint64_t number(const msgsrv_stats *stats, size_t index)
{
    return *(const uint64_t *)(const void *)((const char *)stats + NUMBERS[index].offset);
}

static void print_json(FILE *out, const msgsrv_stats *stats)
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
    app_json_close(&json);
}

static void print_text(FILE *out, const msgsrv_stats *stats)
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
}

void stats_print(const msgsrv_server *server, bool json)
{
    msgsrv_stats stats = {.size = sizeof stats};
    msgsrv_server_stats(server, &stats);
    flockfile(stderr); /* no line of the log in between */
    if (json)
        print_json(stderr, &stats);
    else
        print_text(stderr, &stats);
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
        stats_print(watch.server, watch.json);
    return NULL;
}

int stats_watch(const msgsrv_server *server, bool json)
{
    sigset_t all, usr1, old;
    watch.server = server;
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
