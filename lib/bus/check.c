/* SPDX-License-Identifier: MIT */
/* Names, headers and settings: what is allowed, said once for the public functions, the service and the remote engine. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/metadata.h"
#include "base/option.h"
#include "bus/bus.h"
#include "bus/match.h"

#define TYPE_MAX 255u
#define QUEUE_MAX 64u
#define GROUP_MAX 64u
#define CLIENT_NAME_MAX 63u
#define QUEUE_BINDINGS_MAX 64u

/* A name in an error: cut, and without what would break its line. */
static int shown(msi_view name)
{
    return (int)(name.size > 80 ? 80 : name.size);
}

msgsrv_status msi_check_topic(msi_view topic, msgsrv_error *error)
{
    char text[MSGSRV_ERROR_TEXT];
    if (topic.size && topic.data[0] == '$')
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the topic \"%.*s\" begins with $: those are the library's own",
                         shown(topic), (const char *)topic.data);
    if (msi_topic_valid(topic, text, sizeof text))
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the topic \"%.*s\" %s", shown(topic), (const char *)topic.data,
                     text);
}

msgsrv_status msi_check_pattern(msi_view pattern, msgsrv_error *error)
{
    char text[MSGSRV_ERROR_TEXT];
    if (msi_pattern_valid(pattern, text, sizeof text))
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the pattern \"%.*s\" %s", shown(pattern),
                     (const char *)pattern.data, text);
}

static bool letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool dotted_identifiers(msi_view name)
{
    bool first = true;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (first ? !letter(c) : !letter(c) && !digit(c) && c != '.')
            return false;
        first = c == '.';
    }
    return !first;
}

msgsrv_status msi_check_type_name(msi_view type, msgsrv_error *error)
{
    if (type.size > TYPE_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the type \"%.*s...\" has %zu bytes, at most %u are allowed",
                         shown(type), (const char *)type.data, type.size, TYPE_MAX);
    if (dotted_identifiers(type))
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "the type \"%.*s\" is not a message's full name, as in package.Message", shown(type),
                     (const char *)type.data);
}

/* 1 to `most` bytes of [A-Za-z0-9_.-]. */
static msgsrv_status check_name(const char *what, msi_view name, size_t most, msgsrv_error *error)
{
    bool good = name.size >= 1 && name.size <= most;
    for (size_t i = 0; good && i < name.size; i++) {
        uint8_t c = name.data[i];
        good = letter(c) || digit(c) || c == '.' || c == '-';
    }
    if (good)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "the %s \"%.*s\": expected 1 to %zu characters of A-Z a-z 0-9 _ . -", what, shown(name),
                     (const char *)name.data, most);
}

msgsrv_status msi_check_queue_name(msi_view queue, bool dead_letters_too, msgsrv_error *error)
{
    static const char dead[] = "$dlq.";
    if (dead_letters_too && queue.size >= sizeof dead - 1 && memcmp(queue.data, dead, sizeof dead - 1) == 0) {
        queue.data += sizeof dead - 1;
        queue.size -= sizeof dead - 1;
    }
    if (queue.size >= sizeof dead - 1 && memcmp(queue.data, dead, sizeof dead - 1) == 0)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the queue \"%.*s\": the queue itself is meant, without %s",
                         shown(queue), (const char *)queue.data, dead);
    return check_name("queue", queue, QUEUE_MAX, error);
}

msgsrv_status msi_check_group(msi_view group, msgsrv_error *error)
{
    return check_name("group", group, GROUP_MAX, error);
}

msgsrv_status msi_check_responder(bool responder, bool in_group, msgsrv_error *error)
{
    if (!responder || !in_group)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "a responder is in no group: each request goes to one responder anyway");
}

msgsrv_status msi_check_client_name(msi_view name, msgsrv_error *error)
{
    bool good = name.size <= CLIENT_NAME_MAX;
    for (size_t i = 0; good && i < name.size; i++)
        good = name.data[i] >= 0x20 && name.data[i] <= 0x7e;
    if (good)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the name \"%.*s\": expected at most %u bytes of printable ASCII",
                     shown(name), (const char *)name.data, CLIENT_NAME_MAX);
}

msgsrv_status msi_check_headers(const msgsrv_metadata *headers, size_t count, msgsrv_error *error)
{
    size_t sum = 0;
    if (count && !headers)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "header_count is %zu and headers is NULL", count);
    for (size_t i = 0; i < count; i++) {
        msgsrv_status status = msi_metadata_check(&headers[i], headers[i].size, error);
        if (status)
            return status;
        sum += strlen(headers[i].key) + headers[i].size + MSI_METADATA_OVERHEAD;
        if (headers[i].size > MSI_MAX_METADATA || sum > MSI_MAX_METADATA)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                             "headers over the limit of %u bytes (keys, values and 32 each)", MSI_MAX_METADATA);
    }
    return MSGSRV_OK;
}

/* Queues. */

static msgsrv_status check_bindings(const msgsrv_queue_options *o, msgsrv_error *error)
{
    if (o->pattern_count > QUEUE_BINDINGS_MAX || o->type_count > QUEUE_BINDINGS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_queue_options: %s is %zu, expected 0 to %u",
                         o->pattern_count > QUEUE_BINDINGS_MAX ? "pattern_count" : "type_count",
                         o->pattern_count > QUEUE_BINDINGS_MAX ? o->pattern_count : o->type_count, QUEUE_BINDINGS_MAX);
    if ((o->pattern_count && !o->patterns) || (o->type_count && !o->types))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_queue_options: %s is NULL",
                         o->pattern_count && !o->patterns ? "patterns" : "types");
    msgsrv_status status = MSGSRV_OK;
    for (size_t i = 0; i < o->pattern_count && status == MSGSRV_OK; i++) {
        if (!o->patterns[i])
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_queue_options: patterns[%zu] is NULL", i);
        status = msi_check_pattern(msi_view_of(o->patterns[i]), error);
    }
    for (size_t i = 0; i < o->type_count && status == MSGSRV_OK; i++) {
        if (!o->types[i])
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_queue_options: types[%zu] is NULL", i);
        status = msi_check_type_name(msi_view_of(o->types[i]), error);
    }
    return status;
}

msgsrv_status msi_check_queue_options(const msgsrv_queue_options *options, msgsrv_queue_options *o, msgsrv_error *error)
{
    static const char owner[] = "msgsrv_queue_options";
    const msi_option table[] = {
        {"max_messages", &o->max_messages, 10000, 1, 10000000, false},
        {"ack_wait_ms", &o->ack_wait_ms, 30000, 1, MSGSRV_NONE - 1, false},
        {"max_deliver", &o->max_deliver, 5, 1, MSGSRV_NONE - 1, true},
        {"ttl_ms", &o->ttl_ms, MSGSRV_NONE, 1, MSGSRV_NONE - 1, true},
        {"max_dead_letters", &o->max_dead_letters, 10000, 1, MSGSRV_NONE - 1, false},
        {"dedup_ms", &o->dedup_ms, 120000, 1, MSGSRV_NONE - 1, true},
        {"dedup_ids", &o->dedup_ids, 100000, 1, MSGSRV_NONE - 1, false},
    };
    msgsrv_status status =
        msi_options_copy(o, sizeof *o, offsetof(msgsrv_queue_options, dedup_ids) + sizeof o->dedup_ids, options,
                         options ? options->size : 0, owner, error);
    if (status == MSGSRV_OK)
        status = msi_options_check(table, sizeof table / sizeof *table, owner, error);
    if (status)
        return status;
    o->size = sizeof *o;
    o->max_bytes = o->max_bytes ? o->max_bytes : 64ull * MSI_MIB;
    if (o->max_bytes < 4 * MSI_KIB)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: max_bytes is %llu, expected 4096 or more", owner,
                         (unsigned long long)o->max_bytes);
    if ((unsigned)o->full > MSGSRV_QUEUE_DROP_OLDEST)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: full is %d, expected 0 to %d", owner, (int)o->full,
                         (int)MSGSRV_QUEUE_DROP_OLDEST);
    return check_bindings(o, error);
}

static uint64_t none_is_zero(uint32_t ms)
{
    return ms == MSGSRV_NONE ? 0 : ms * MSI_MS;
}

msgsrv_status msi_queue_settings_resolve(const msgsrv_queue_options *options, msi_queue_settings *settings,
                                         msgsrv_error *error)
{
    msgsrv_queue_options o;
    msgsrv_status status = msi_check_queue_options(options, &o, error);
    if (status)
        return status;
    *settings = (msi_queue_settings){
        .max_messages = o.max_messages,
        .max_bytes = o.max_bytes,
        .drop_oldest = o.full == MSGSRV_QUEUE_DROP_OLDEST,
        .ack_wait_ns = o.ack_wait_ms * MSI_MS,
        .max_deliver = o.max_deliver == MSGSRV_NONE ? 0 : o.max_deliver,
        .ttl_ns = none_is_zero(o.ttl_ms),
        .no_dead_letters = o.no_dead_letters,
        .max_dead_letters = o.max_dead_letters,
        .dedup_ns = none_is_zero(o.dedup_ms),
        .dedup_ids = o.dedup_ids,
    };
    return MSGSRV_OK;
}
