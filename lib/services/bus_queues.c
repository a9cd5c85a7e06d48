/* SPDX-License-Identifier: MIT */
/* DeclareQueue, DeleteQueue, Queues, Peek, Retry and Purge. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "services/bus_service.h"

#define BINDINGS_MAX 64u /* patterns, and types, of a queue */
#define PEEK_DEFAULT 1000u
#define PEEK_MAX 10000u

/* ---- settings ---- */

typedef struct settings {
    msi_bus_list patterns;
    msi_bus_list types;
    uint32_t max_messages;
    uint64_t max_bytes;
    bool drop_oldest;
    uint32_t ack_wait_ms;
    uint32_t max_deliver;
    uint32_t ttl_ms;
    bool no_dead_letters;
    uint32_t max_dead_letters;
    uint32_t dedup_ms;
    uint32_t dedup_ids;
} settings;

static const msi_bus_field settings_fields[] = {
    MSI_BUS_FIELD(settings, 1, LIST, patterns),        MSI_BUS_FIELD(settings, 2, LIST, types),
    MSI_BUS_FIELD(settings, 3, U32, max_messages),     MSI_BUS_FIELD(settings, 4, U64, max_bytes),
    MSI_BUS_FIELD(settings, 5, BOOL, drop_oldest),     MSI_BUS_FIELD(settings, 6, U32, ack_wait_ms),
    MSI_BUS_FIELD(settings, 7, U32, max_deliver),      MSI_BUS_FIELD(settings, 8, U32, ttl_ms),
    MSI_BUS_FIELD(settings, 9, BOOL, no_dead_letters), MSI_BUS_FIELD(settings, 10, U32, max_dead_letters),
    MSI_BUS_FIELD(settings, 11, U32, dedup_ms),        MSI_BUS_FIELD(settings, 12, U32, dedup_ids),
};
static const msi_bus_message settings_message = MSI_BUS_MESSAGE("QueueSettings", settings_fields);

typedef struct declare_request {
    msi_view queue;
    msi_view settings; /* several become one, as their encodings are joined: the last one counts here */
} declare_request;

static const msi_bus_field declare_fields[] = {
    MSI_BUS_FIELD(declare_request, 1, TEXT, queue),
    MSI_BUS_FIELD(declare_request, 2, BYTES, settings),
};
static const msi_bus_message declare_message = MSI_BUS_MESSAGE("DeclareQueueRequest", declare_fields);

/* Patterns or types as C strings. */
typedef struct names {
    char *names[BINDINGS_MAX];
    size_t count;
} names;

static void free_names(names *of)
{
    while (of->count)
        free(of->names[--of->count]);
}

static msgsrv_status take_names(const msi_bus_list *list, bool patterns, names *into, msgsrv_error *error)
{
    const uint8_t *at = NULL;
    msi_view element;
    const char *what = patterns ? "patterns" : "types";
    if (list->count > BINDINGS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%u %s are more than %u", list->count, what, BINDINGS_MAX);
    while (msi_bus_next(list, &at, &element)) {
        msgsrv_status status = patterns ? msi_check_pattern(element, error) : msi_check_type_name(element, error);
        if (status)
            return status;
        char *name = msi_bus_string(element);
        if (!name)
            return msi_error_memory(error);
        into->names[into->count++] = name;
    }
    return MSGSRV_OK;
}

static msgsrv_status declare(const msi_bus_service *service, const declare_request *request, names *patterns,
                             names *types, bool *existed, msgsrv_error *error)
{
    settings from = {.max_messages = 0};
    msgsrv_status status = msi_check_queue_name(request->queue, true, error);
    if (status == MSGSRV_OK)
        status = msi_bus_parse(&settings_message, request->settings, &from, error);
    if (status == MSGSRV_OK)
        status = take_names(&from.patterns, true, patterns, error);
    if (status == MSGSRV_OK)
        status = take_names(&from.types, false, types, error);
    if (status)
        return status;
    msgsrv_queue_options options = {
        .size = sizeof options,
        .patterns = patterns->count ? (const char *const *)patterns->names : NULL,
        .pattern_count = patterns->count,
        .types = types->count ? (const char *const *)types->names : NULL,
        .type_count = types->count,
        .max_messages = from.max_messages,
        .max_bytes = from.max_bytes,
        .full = from.drop_oldest ? MSGSRV_QUEUE_DROP_OLDEST : MSGSRV_QUEUE_REFUSE,
        .ack_wait_ms = from.ack_wait_ms,
        .max_deliver = from.max_deliver,
        .ttl_ms = from.ttl_ms,
        .no_dead_letters = from.no_dead_letters,
        .max_dead_letters = from.max_dead_letters,
        .dedup_ms = from.dedup_ms,
        .dedup_ids = from.dedup_ids,
    };
    return msi_core_declare_queue(service->core, request->queue, &options, existed, error);
}

msgsrv_status msi_serve_declare_queue(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    declare_request parsed;
    names patterns = {.count = 0};
    names types = {.count = 0};
    bool existed = false;
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &declare_message, request, &parsed);
    if (status)
        return status;
    status = declare(ctx, &parsed, &patterns, &types, &existed, &error);
    free_names(&patterns);
    free_names(&types);
    if (status)
        return msi_bus_failed(call, status, &error);
    msi_writer answer = {0};
    msi_bus_put_number(&answer, 1, existed);
    return msi_bus_answer(call, &answer, response);
}

/* ---- what names a queue ---- */

typedef struct queue_request {
    msi_view queue;
    uint64_t id; /* of Retry */
} queue_request;

static const msi_bus_field queue_fields[] = {
    MSI_BUS_FIELD(queue_request, 1, TEXT, queue),
    MSI_BUS_FIELD(queue_request, 2, U64, id),
};
static const msi_bus_message queue_message = {"request", queue_fields, 1};
static const msi_bus_message retry_message = MSI_BUS_MESSAGE("RetryRequest", queue_fields);

static msgsrv_status answer_count(msgsrv_call *call, uint64_t count, msgsrv_bytes *response)
{
    msi_writer answer = {0};
    msi_bus_put_number(&answer, 1, count);
    return msi_bus_answer(call, &answer, response);
}

msgsrv_status msi_serve_delete_queue(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    (void)response;
    const msi_bus_service *service = ctx;
    queue_request parsed = {.id = 0};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &queue_message, request, &parsed);
    if (status)
        return status;
    status = msi_check_queue_name(parsed.queue, false, &error);
    if (status == MSGSRV_OK)
        status = msi_core_delete_queue(service->core, parsed.queue, &error);
    return status ? msi_bus_failed(call, status, &error) : MSGSRV_OK;
}

msgsrv_status msi_serve_retry(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    queue_request parsed = {.id = 0};
    uint64_t count = 0;
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &retry_message, request, &parsed);
    if (status)
        return status;
    status = msi_check_queue_name(parsed.queue, false, &error);
    if (status == MSGSRV_OK)
        status = msi_core_retry(service->core, parsed.queue, parsed.id, &count, &error);
    return status ? msi_bus_failed(call, status, &error) : answer_count(call, count, response);
}

msgsrv_status msi_serve_purge(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    queue_request parsed = {.id = 0};
    uint64_t count = 0;
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &queue_message, request, &parsed);
    if (status)
        return status;
    status = msi_check_queue_name(parsed.queue, true, &error);
    if (status == MSGSRV_OK)
        status = msi_core_purge(service->core, parsed.queue, &count, &error);
    return status ? msi_bus_failed(call, status, &error) : answer_count(call, count, response);
}

/* ---- Queues ---- */

/* Saturates: 4294967295 is "none", and so is what the settings have as 0. */
static uint32_t to_ms(uint64_t ns)
{
    uint64_t ms = ns / MSI_MS;
    return ns == 0 || ms >= MSGSRV_NONE ? MSGSRV_NONE : (uint32_t)ms;
}

static void put_settings(msi_writer *to, uint32_t field, const msi_queue_entry *entry)
{
    const msi_queue_settings *from = entry->settings;
    size_t opened = msi_bus_open(to, field);
    for (size_t i = 0; i < entry->pattern_count; i++)
        msi_bus_put_text(to, 1, entry->patterns[i]);
    for (size_t i = 0; i < entry->type_count; i++)
        msi_bus_put_text(to, 2, entry->types[i]);
    msi_bus_put_number(to, 3, from->max_messages);
    msi_bus_put_number(to, 4, from->max_bytes);
    msi_bus_put_number(to, 5, from->drop_oldest);
    msi_bus_put_number(to, 6, to_ms(from->ack_wait_ns));
    msi_bus_put_number(to, 7, from->max_deliver ? from->max_deliver : MSGSRV_NONE);
    msi_bus_put_number(to, 8, to_ms(from->ttl_ns));
    msi_bus_put_number(to, 9, from->no_dead_letters);
    msi_bus_put_number(to, 10, from->max_dead_letters);
    msi_bus_put_number(to, 11, to_ms(from->dedup_ns));
    msi_bus_put_number(to, 12, from->dedup_ids);
    msi_bus_close(to, opened);
}

typedef struct listing {
    msi_writer to;
    size_t room;
    bool full;
} listing;

static void put_queue(const msi_queue_entry *entry, void *ctx)
{
    listing *into = ctx;
    into->full = into->full || into->to.size >= into->room;
    if (into->full)
        return;
    const msgsrv_queue_info *info = &entry->info;
    size_t opened = msi_bus_open(&into->to, 1);
    msi_bus_put_text(&into->to, 1, info->name);
    put_settings(&into->to, 2, entry);
    const uint64_t numbers[] = {info->messages,    info->bytes,     info->unsettled,  info->delayed,
                                info->dead,        info->consumers, info->published,  info->delivered,
                                info->redelivered, info->acked,     info->rejected,   info->expired,
                                info->refused,     info->dropped,   info->duplicates, info->dedup_evicted};
    for (uint32_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        msi_bus_put_number(&into->to, 3 + i, numbers[i]);
    msi_bus_close(&into->to, opened);
}

msgsrv_status msi_serve_queues(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    queue_request parsed = {.id = 0};
    listing into = {.room = service->max_message - MSI_BUS_RESPONSE_SLACK};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &queue_message, request, &parsed);
    if (status)
        return status;
    if (parsed.queue.size)
        status = msi_check_queue_name(parsed.queue, false, &error);
    if (status == MSGSRV_OK)
        status = msi_core_queues(service->core, parsed.queue, put_queue, &into, &error);
    if (status == MSGSRV_OK && into.full)
        status = msi_error(&error, MSGSRV_RESOURCE_EXHAUSTED,
                           "the queues' settings do not fit into one message: ask for one by its name");
    if (status == MSGSRV_OK)
        return msi_bus_answer(call, &into.to, response);
    msi_writer_release(&into.to);
    return msi_bus_failed(call, status, &error);
}

/* ---- Peek ---- */

typedef struct peek_request {
    msi_view queue;
    uint32_t max;
    uint64_t after;
} peek_request;

static const msi_bus_field peek_fields[] = {
    MSI_BUS_FIELD(peek_request, 1, TEXT, queue),
    MSI_BUS_FIELD(peek_request, 2, U32, max),
    MSI_BUS_FIELD(peek_request, 3, U64, after),
};
static const msi_bus_message peek_message = MSI_BUS_MESSAGE("PeekRequest", peek_fields);

typedef struct peeking {
    msi_writer to;
    size_t room;
    uint32_t left;
    bool more;
} peeking;

static void put_queued(msi_writer *to, const msgsrv_queued *message)
{
    size_t opened = msi_bus_open(to, 1);
    msi_bus_put_number(to, 1, message->id);
    msi_bus_put_event(to, 2, message->event);
    msi_bus_put_number(to, 3, message->count);
    msi_bus_put_number(to, 4, message->unsettled);
    msi_bus_put_number(to, 5, message->not_before_us);
    msi_bus_put_number(to, 6, message->expires_us);
    msi_bus_put_text(to, 7, message->reason);
    msi_bus_put_text(to, 8, message->first_error);
    msi_bus_put_text(to, 9, message->last_error);
    msi_bus_put_number(to, 10, message->died_us);
    msi_bus_put_number(to, 11, message->deaths);
    msi_bus_close(to, opened);
}

/* One that does not fit any more waits for the next request; the first one always fits. */
static bool on_queued(const msgsrv_queued *message, void *ctx)
{
    peeking *into = ctx;
    size_t before = into->to.size;
    into->more = into->left == 0 || before >= into->room;
    if (into->more)
        return false;
    put_queued(&into->to, message);
    into->left--;
    if (before && into->to.size > into->room) {
        into->to.size = before;
        into->more = true;
    }
    return !into->more && !into->to.no_memory;
}

msgsrv_status msi_serve_peek(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    peek_request parsed = {.max = 0};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &peek_message, request, &parsed);
    if (status)
        return status;
    uint32_t max = parsed.max ? parsed.max : PEEK_DEFAULT;
    peeking into = {.room = service->max_message - MSI_BUS_RESPONSE_SLACK / 2, .left = max};
    status = msi_check_queue_name(parsed.queue, true, &error);
    if (status == MSGSRV_OK && max > PEEK_MAX)
        status = msi_error(&error, MSGSRV_INVALID_ARGUMENT, "max is %u, expected 1 to %u, or 0 for %u", max, PEEK_MAX,
                           PEEK_DEFAULT);
    if (status == MSGSRV_OK)
        status = msi_core_peek(service->core, parsed.queue, parsed.after, max + 1, on_queued, &into, &error);
    if (status) {
        msi_writer_release(&into.to);
        return msi_bus_failed(call, status, &error);
    }
    msi_bus_put_number(&into.to, 2, into.more);
    return msi_bus_answer(call, &into.to, response);
}
