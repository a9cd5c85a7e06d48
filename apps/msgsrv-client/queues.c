/* SPDX-License-Identifier: MIT */
/*
 * queues, queue and dlq: what the queues hold, one of them, and its dead letters.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus_calls.h"
#include "bus_print.h"
#include "commands.h"
#include "event_print.h"
#include "json.h"
#include "program.h"

#define NAME_ROOM 512
#define PAGE 1000u /* messages of one Peek */

int command_queues(const struct options *options)
{
    struct bus_calls bus;
    struct app_json json = {.out = stdout};
    msgsrv_bus_v1_QueuesResponse queues = msgsrv_bus_v1_QueuesResponse_init_zero;
    int status = bus_open(&bus, options, "queues");
    if (status == 0 && options->name)
        status = bus_need_queue(&bus, "queues", options->name);
    if (status == 0)
        status = bus_queues(&bus, "queues", &queues);
    if (status == 0 && options->json) {
        app_json_open(&json, NULL);
        bus_print_queues_json(&json, &queues, options->name);
        app_json_close(&json);
    } else if (status == 0) {
        bus_print_queues(&queues, options->name);
    }
    msgsrv_bus_v1_QueuesResponse_release(&queues);
    bus_close(&bus);
    return status;
}

/* Prints how many messages something happened to. */
static void print_count(const struct bus_calls *bus, const char *what, uint64_t count)
{
    struct app_json json = {.out = stdout};
    if (bus->options->json) {
        app_json_open(&json, NULL);
        app_json_string(&json, "queue", bus->options->name);
        app_json_uint(&json, what, count);
        app_json_close(&json);
    } else {
        printf("%" PRIu64 " %s\n", count, what);
    }
}

static int declare(struct bus_calls *bus)
{
    const struct options *options = bus->options;
    const struct queue_bounds *bounds = &options->bounds;
    const char *types[OPTIONS_LIST_MAX];
    msgsrv_error error;
    for (size_t i = 0; i < options->types.count; i++) {
        int status = bus_expand_type(bus, "queue", options->types.texts[i], &types[i]);
        if (status != 0)
            return status;
    }
    msgsrv_bus_v1_DeclareQueueRequest request = {
        .queue = (char *)(uintptr_t)options->name,
        .has_settings = true,
        .settings = {.patterns_count = (pb_size_t)options->patterns.count,
                     .patterns = (char **)(uintptr_t)options->patterns.texts,
                     .types_count = (pb_size_t)options->types.count,
                     .types = (char **)(uintptr_t)types,
                     .max_messages = bounds->max_messages,
                     .max_bytes = bounds->max_bytes,
                     .drop_oldest = bounds->drop_oldest,
                     .ack_wait_ms = bounds->ack_wait_ms,
                     .max_deliver = bounds->max_deliver,
                     .ttl_ms = bounds->ttl_ms,
                     .no_dead_letters = bounds->no_dead_letters,
                     .max_dead_letters = bounds->max_dead_letters,
                     .dedup_ms = bounds->dedup_ms,
                     .dedup_ids = bounds->dedup_ids},
    };
    msgsrv_bus_v1_DeclareQueueResponse response = msgsrv_bus_v1_DeclareQueueResponse_init_zero;
    struct app_json json = {.out = stdout};
    if (msgsrv_bus_v1_Bus_DeclareQueue(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail(bus, "DeclareQueue", &error);
    if (options->json) {
        app_json_open(&json, NULL);
        app_json_string(&json, "queue", options->name);
        app_json_bool(&json, "existed", response.existed);
        app_json_close(&json);
    }
    msgsrv_bus_v1_DeclareQueueResponse_release(&response);
    return 0;
}

static int delete_queue(struct bus_calls *bus)
{
    msgsrv_error error;
    msgsrv_bus_v1_DeleteQueueRequest request = {.queue = (char *)(uintptr_t)bus->options->name};
    msgsrv_bus_v1_DeleteQueueResponse response = msgsrv_bus_v1_DeleteQueueResponse_init_zero;
    if (msgsrv_bus_v1_Bus_DeleteQueue(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail_queue(bus, "DeleteQueue", &error, bus->options->name);
    msgsrv_bus_v1_DeleteQueueResponse_release(&response);
    return 0;
}

static int purge(struct bus_calls *bus, const char *queue)
{
    msgsrv_error error;
    msgsrv_bus_v1_PurgeRequest request = {.queue = (char *)(uintptr_t)queue};
    msgsrv_bus_v1_PurgeResponse response = msgsrv_bus_v1_PurgeResponse_init_zero;
    if (msgsrv_bus_v1_Bus_Purge(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail_queue(bus, "Purge", &error, queue);
    print_count(bus, "purged", response.count);
    msgsrv_bus_v1_PurgeResponse_release(&response);
    return 0;
}

static int retry(struct bus_calls *bus)
{
    msgsrv_error error;
    msgsrv_bus_v1_RetryRequest request = {.queue = (char *)(uintptr_t)bus->options->name, .id = bus->options->message_id};
    msgsrv_bus_v1_RetryResponse response = msgsrv_bus_v1_RetryResponse_init_zero;
    if (msgsrv_bus_v1_Bus_Retry(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail_queue(bus, "Retry", &error, bus->options->name);
    print_count(bus, "retried", response.count);
    msgsrv_bus_v1_RetryResponse_release(&response);
    return 0;
}

static void print_time(struct app_json *json, const char *key, uint64_t us)
{
    char room[40];
    if (us > 0)
        app_json_string(json, key, event_time(us, room));
}

static void print_message_json(struct bus_calls *bus, const msgsrv_bus_v1_QueuedMessage *message,
                               const msgsrv_event *event)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_uint(&json, "id", message->id);
    app_json_uint(&json, "deliveries", message->count);
    app_json_bool(&json, "unsettled", message->unsettled);
    print_time(&json, "not_before", message->not_before_us);
    print_time(&json, "expires", message->expires_us);
    if (message->reason && *message->reason) {
        app_json_string(&json, "reason", message->reason);
        app_json_string(&json, "first_error", message->first_error);
        app_json_string(&json, "last_error", message->last_error);
        print_time(&json, "died", message->died_us);
        app_json_uint(&json, "deaths", message->deaths);
    }
    event_print_members(bus, &json, event);
    app_json_close(&json);
}

/* What is to be said of a message besides itself, in `room`: of a dead letter, why it is one. */
static void describe(const msgsrv_bus_v1_QueuedMessage *message, char *room, size_t size)
{
    const char *reason = bus_text(message->reason), *error = bus_text(message->last_error);
    snprintf(room, size, "id %" PRIu64 ", deliveries %" PRIu32 "%s%s%s%s%s", message->id, message->count,
             message->unsettled ? ", unsettled" : "", *reason ? ", " : "", reason, *error ? ": " : "", error);
    app_clean(room, false);
}

static int print_message(struct bus_calls *bus, const msgsrv_bus_v1_QueuedMessage *message)
{
    char more[NAME_ROOM];
    msgsrv_metadata *headers = calloc((size_t)message->event.headers_count + 1, sizeof *headers);
    if (!headers) {
        app_line("Peek: RESOURCE_EXHAUSTED: no memory");
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    msgsrv_event event = event_from(&message->event, headers);
    describe(message, more, sizeof more);
    if (bus->options->json)
        print_message_json(bus, message, &event);
    else
        event_print(bus, &event, more);
    free(headers);
    return app_flush() ? 0 : APP_EXIT_IO;
}

/* Prints one page. `after` becomes the last message's id, `more` whether there are others. */
static int peek_page(struct bus_calls *bus, const char *queue, uint32_t max, uint64_t *after, bool *more)
{
    msgsrv_error error;
    msgsrv_bus_v1_PeekRequest request = {.queue = (char *)(uintptr_t)queue, .max = max, .after = *after};
    msgsrv_bus_v1_PeekResponse response = msgsrv_bus_v1_PeekResponse_init_zero;
    if (msgsrv_bus_v1_Bus_Peek(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail_queue(bus, "Peek", &error, queue);
    int status = 0;
    *more = response.more && response.messages_count > 0;
    for (size_t i = 0; status == 0 && i < response.messages_count; i++) {
        status = print_message(bus, &response.messages[i]);
        *after = response.messages[i].id;
    }
    msgsrv_bus_v1_PeekResponse_release(&response);
    return status;
}

static int peek(struct bus_calls *bus, const char *queue)
{
    uint64_t after = 0;
    uint32_t left = bus->options->count > 0 ? bus->options->count : MSGSRV_NONE;
    bool more = true;
    int status = 0;
    while (status == 0 && more && left > 0) {
        uint32_t max = left < PAGE ? left : PAGE;
        status = peek_page(bus, queue, max, &after, &more);
        left -= left == MSGSRV_NONE ? 0 : max;
    }
    return status;
}

/* "$dlq.NAME", in `room`. */
static const char *dead_letters(const char *queue, char room[NAME_ROOM])
{
    snprintf(room, NAME_ROOM, "$dlq.%s", queue);
    return room;
}

static int act(struct bus_calls *bus)
{
    char room[NAME_ROOM];
    const char *name = bus->options->name;
    const char *queue = bus->options->command == COMMAND_DLQ ? dead_letters(name, room) : name;
    switch (bus->options->action) {
    case ACTION_DECLARE:
        return declare(bus);
    case ACTION_DELETE:
        return delete_queue(bus);
    case ACTION_PURGE:
        return purge(bus, queue);
    case ACTION_PEEK:
    case ACTION_LIST:
        return peek(bus, queue);
    case ACTION_RETRY:
        return retry(bus);
    }
    return APP_EXIT_USAGE;
}

int command_queue(const struct options *options)
{
    struct bus_calls bus;
    int status = bus_open(&bus, options, options->command == COMMAND_DLQ ? "dlq" : "queue");
    if (status == 0)
        status = act(&bus);
    bus_close(&bus);
    return status;
}
