/* SPDX-License-Identifier: MIT */
/*
 * bench: several clients on one event_base of ours, each with a fixed number of calls open. A slot is one of
 * those calls: its answer is checked against what it asked for, and makes room for its next call. First each
 * connection makes one call, which is not counted, so that the measured window has no connecting in it; when
 * the window is over, what is open is awaited and checked, but not counted either.
 */
#include "commands.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_latency.h"
#include "messages.msgsrv.h"
#include "program.h"

#define STAMP_DIGITS 16 /* an echoed text begins with its call's number, if it has the room */

struct bench;

/* One open call at a time. */
struct slot {
    struct bench *bench;
    msgsrv_client *client;
    uint64_t number; /* of the call */
    uint64_t sent_ns;
};

enum phase { CONNECTING, MEASURING, ENDING };

struct bench {
    const struct options *options;
    struct event_base *base;
    struct event *end, *progress; /* timers */
    msgsrv_client **clients;
    struct slot *slots;
    char *text; /* of the options' payload, and a NUL */
    size_t slot_count;
    enum phase phase;
    size_t open; /* calls */
    uint64_t next_number;
    uint64_t begin_ns, end_ns; /* of the window */
    uint64_t shown;            /* answers when the progress was last shown */
    uint64_t failed[MSGSRV_STATUS_COUNT], failures, wrong;
    msgsrv_error first; /* failure */
    struct histogram latency;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The operands of a call: any two whose sum fits. */
static messages_AddRequest operands(uint64_t number)
{
    return (messages_AddRequest){.a = (int32_t)(number & 0x3fffffff), .b = -(int32_t)(number >> 8 & 0xffff)};
}

/* Writes a call's number into the text. */
static void stamp(struct bench *bench, uint64_t number)
{
    char digits[STAMP_DIGITS + 1];
    if (bench->options->payload < STAMP_DIGITS)
        return;
    snprintf(digits, sizeof digits, "%016" PRIx64, number);
    memcpy(bench->text, digits, STAMP_DIGITS);
}

static void note_failure(struct bench *bench, const msgsrv_error *error)
{
    if (bench->failures++ == 0)
        bench->first = *error;
    bench->failed[error->code < MSGSRV_STATUS_COUNT ? error->code : MSGSRV_INTERNAL]++;
}

static void start_next(struct slot *slot);
static void begin_window(struct bench *bench);

/*
 * After each answer, with whether it was right. A slot whose call failed makes no other one: what has failed
 * at once would fail again at once.
 */
static void finish(struct slot *slot, const msgsrv_reply *reply, bool right)
{
    struct bench *bench = slot->bench;
    uint64_t now = now_ns();
    bench->open--;
    if (reply->status != MSGSRV_OK)
        note_failure(bench, reply->error);
    else if (!right)
        bench->wrong++;
    else if (bench->phase == MEASURING && now <= bench->end_ns)
        histogram_add(&bench->latency, now - slot->sent_ns);
    if (bench->phase == MEASURING && reply->status == MSGSRV_OK)
        start_next(slot);
    if (bench->open > 0)
        return;
    if (bench->phase == CONNECTING && bench->failures == 0)
        begin_window(bench);
    else
        event_base_loopbreak(bench->base);
}

static void on_sum(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct slot *slot = ctx;
    messages_AddRequest asked = operands(slot->number);
    finish(slot, reply, response && response->result == asked.a + asked.b);
}

static void on_echo(const msgsrv_reply *reply, messages_EchoMessage *response, void *ctx)
{
    struct slot *slot = ctx;
    const char *text = response && response->text ? response->text : "";
    stamp(slot->bench, slot->number);
    finish(slot, reply, strcmp(text, slot->bench->text) == 0);
}

static void start_next(struct slot *slot)
{
    struct bench *bench = slot->bench;
    msgsrv_error error = {0};
    msgsrv_status status;
    slot->number = bench->next_number++;
    slot->sent_ns = now_ns();
    if (bench->options->bench_echo) {
        messages_EchoMessage request = {.text = bench->text};
        stamp(bench, slot->number);
        status = messages_Demo_Echo_async(slot->client, &request, NULL, on_echo, slot, NULL, &error);
    } else {
        messages_AddRequest request = operands(slot->number);
        status = messages_Demo_Add_async(slot->client, &request, NULL, on_sum, slot, NULL, &error);
    }
    if (status == MSGSRV_OK)
        bench->open++;
    else
        note_failure(bench, &error);
}

/* All connections have answered once: opens the window and fills it. */
static void begin_window(struct bench *bench)
{
    uint32_t ms = bench->options->duration_ms;
    struct timeval length = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    struct timeval second = {.tv_sec = 1};
    bench->phase = MEASURING;
    bench->begin_ns = now_ns();
    bench->end_ns = bench->begin_ns + (uint64_t)ms * 1000000;
    event_add(bench->end, &length);
    if (isatty(STDERR_FILENO))
        event_add(bench->progress, &second);
    for (size_t i = 0; i < bench->slot_count; i++)
        start_next(&bench->slots[i]);
    if (bench->open == 0)
        event_base_loopbreak(bench->base);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
    struct bench *bench = ctx;
    (void)fd;
    (void)what;
    bench->phase = ENDING;
    event_del(bench->progress);
}

static void on_progress(evutil_socket_t fd, short what, void *ctx)
{
    struct bench *bench = ctx;
    (void)fd;
    (void)what;
    fprintf(stderr, "\r%3.0f s: %" PRIu64 " calls/s, %" PRIu64 " failed \033[K",
            (double)(now_ns() - bench->begin_ns) / 1e9, bench->latency.count - bench->shown, bench->failures);
    bench->shown = bench->latency.count;
}

/* Makes everything and starts the first calls. */
static msgsrv_status prepare(struct bench *bench, msgsrv_error *error)
{
    const struct options *options = bench->options;
    msgsrv_client_options settings = {
        .size = sizeof settings, .timeout_ms = options->timeout_ms, .max_message = COMMANDS_MESSAGE_MAX};
    bench->slot_count = (size_t)options->connections * options->outstanding;
    bench->base = settings.base = event_base_new();
    bench->clients = calloc(options->connections, sizeof *bench->clients);
    bench->slots = calloc(bench->slot_count, sizeof *bench->slots);
    bench->text = calloc(1, (size_t)options->payload + 1);
    bench->end = bench->base ? evtimer_new(bench->base, on_end, bench) : NULL;
    bench->progress = bench->base ? event_new(bench->base, -1, EV_PERSIST, on_progress, bench) : NULL;
    if (!bench->clients || !bench->slots || !bench->text || !bench->end || !bench->progress)
        return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    memset(bench->text, 'x', options->payload);
    for (uint32_t i = 0; i < options->connections; i++) {
        msgsrv_status status = msgsrv_client_new(options->server, &settings, &bench->clients[i], error);
        if (status != MSGSRV_OK)
            return status;
    }
    for (size_t i = 0; i < bench->slot_count; i++)
        bench->slots[i] = (struct slot){.bench = bench, .client = bench->clients[i / options->outstanding]};
    for (uint32_t i = 0; i < options->connections; i++)
        start_next(&bench->slots[(size_t)i * options->outstanding]);
    return MSGSRV_OK;
}

static void release(struct bench *bench)
{
    for (uint32_t i = 0; bench->clients && i < bench->options->connections; i++)
        msgsrv_client_free(bench->clients[i]);
    if (bench->end)
        event_free(bench->end);
    if (bench->progress)
        event_free(bench->progress);
    if (bench->base)
        event_base_free(bench->base);
    free(bench->clients);
    free(bench->slots);
    free(bench->text);
}

static void print_json(const struct bench *bench, double seconds)
{
    const struct options *options = bench->options;
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_string(&json, "server", options->server);
    app_json_string(&json, "method", options->bench_echo ? "echo" : "add");
    app_json_uint(&json, "connections", options->connections);
    app_json_uint(&json, "outstanding", options->outstanding);
    if (options->bench_echo)
        app_json_uint(&json, "payload", options->payload);
    app_json_fixed(&json, "seconds", seconds, 3);
    app_json_uint(&json, "calls", bench->latency.count);
    app_json_fixed(&json, "calls_per_second", (double)bench->latency.count / seconds, 1);
    app_json_open(&json, "failed");
    for (int code = 1; code < MSGSRV_STATUS_COUNT; code++) {
        if (bench->failed[code])
            app_json_uint(&json, msgsrv_status_name((msgsrv_status)code), bench->failed[code]);
    }
    app_json_close(&json);
    app_json_uint(&json, "wrong", bench->wrong);
    bench_latency_json(&json, &bench->latency);
    app_json_close(&json);
}

static void print_text(const struct bench *bench, double seconds)
{
    const struct options *options = bench->options;
    printf("method       %s\n", options->bench_echo ? "echo" : "add");
    printf("connections  %" PRIu32 ", each with %" PRIu32 " calls open\n", options->connections, options->outstanding);
    printf("calls        %" PRIu64 " in %.3f s: %.0f/s\n", bench->latency.count, seconds,
           (double)bench->latency.count / seconds);
    printf("failed       %" PRIu64 ", wrong %" PRIu64 "\n", bench->failures, bench->wrong);
    bench_latency_print(&bench->latency);
}

static void print_results(const struct bench *bench)
{
    uint64_t end_ns = bench->phase == ENDING ? bench->end_ns : now_ns(); /* all slots may have failed before */
    double seconds = (double)(end_ns - bench->begin_ns) / 1e9;
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (bench->options->json)
        print_json(bench, seconds);
    else
        print_text(bench, seconds);
}

/* Prints what was measured, if the window was reached, and reports what went wrong. Returns the exit status. */
static int conclude(const struct bench *bench)
{
    char what[64] = "bench";
    msgsrv_error error = bench->first;
    if (bench->begin_ns > 0)
        print_results(bench);
    if (bench->failures == 0 && bench->wrong == 0)
        return 0;
    if (bench->failures > 1)
        snprintf(what, sizeof what, "bench: %" PRIu64 " calls failed", bench->failures);
    if (bench->wrong > 0)
        app_error(&error, MSGSRV_DATA_LOSS, "%" PRIu64 " answers are not what was asked for", bench->wrong);
    return app_fail(what, &error, bench->options->server);
}

int command_bench(const struct options *options)
{
    msgsrv_error error = {0};
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) {
        app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
        return app_fail("bench", &error, "");
    }
    bench->options = options;
    int exit_status = 0;
    if (prepare(bench, &error) != MSGSRV_OK)
        exit_status = app_fail("bench", &error, options->server);
    else if (bench->open > 0)
        event_base_dispatch(bench->base);
    if (exit_status == 0)
        exit_status = conclude(bench);
    release(bench);
    free(bench);
    return exit_status;
}
