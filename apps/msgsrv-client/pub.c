/* SPDX-License-Identifier: MIT */
/*
 * pub: publishes one event, or one for each line of standard input, each answered before the next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus_calls.h"
#include "commands.h"
#include "json.h"
#include "lines.h"
#include "metadata.h"
#include "program.h"

#define TYPE_ROOM 512

struct pub {
    const struct options *options;
    struct bus_calls bus;
    struct metadata metadata;
    msgsrv_bus_v1_Header headers[OPTIONS_LIST_MAX];
    const char *type;
    char bound[TYPE_ROOM]; /* the topic's own type */
};

/* Finds the type that the topic is bound to. */
static int find_bound_type(struct pub *pub)
{
    msgsrv_bus_v1_TopicsResponse topics;
    int status = bus_topics(&pub->bus, "pub", pub->options->name, &topics);
    const char *type = status == 0 && topics.topics_count == 1 ? bus_text(topics.topics[0].type) : "";
    bool there = topics.topics_count == 1;
    snprintf(pub->bound, sizeof pub->bound, "%s", type);
    msgsrv_bus_v1_TopicsResponse_release(&topics);
    if (status != 0)
        return status;
    if (pub->bound[0])
        return bus_find_type(&pub->bus, "pub", pub->bound, &pub->type);
    if (!there)
        return bus_no_topic(&pub->bus, "pub", pub->options->name, ", whose type --type would tell");
    app_line("pub: FAILED_PRECONDITION: topic \"%s\" has no type yet; --type tells it", pub->options->name);
    return MSGSRV_FAILED_PRECONDITION;
}

/* The type as it was named, or the topic's own. */
static int find_type(struct pub *pub)
{
    if (pub->options->types.count == 0)
        return find_bound_type(pub);
    return bus_find_type(&pub->bus, "pub", pub->options->types.texts[0], &pub->type);
}

static int declare(struct pub *pub)
{
    msgsrv_error error;
    msgsrv_bus_v1_DeclareTopicRequest request = {.topic = (char *)(uintptr_t)pub->options->name,
                                                 .type = (char *)(uintptr_t)pub->type,
                                                 .has_retain = true,
                                                 .retain = pub->options->retain};
    msgsrv_bus_v1_DeclareTopicResponse response = msgsrv_bus_v1_DeclareTopicResponse_init_zero;
    if (msgsrv_bus_v1_Bus_DeclareTopic(pub->bus.types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail(&pub->bus, "DeclareTopic", &error);
    msgsrv_bus_v1_DeclareTopicResponse_release(&response);
    return 0;
}

static bool print_receipt(const struct pub *pub, const msgsrv_bus_v1_PublishResponse *response)
{
    char epoch[32];
    struct app_json json = {.out = stdout};
    if (!pub->options->json)
        return true;
    snprintf(epoch, sizeof epoch, "%" PRIu64, response->epoch);
    app_json_open(&json, NULL);
    app_json_string(&json, "topic", pub->options->name);
    app_json_string(&json, "type", pub->type);
    app_json_uint(&json, "sequence", response->sequence);
    app_json_string(&json, "epoch", epoch);
    app_json_bool(&json, "duplicate", response->duplicate);
    app_json_close(&json);
    return app_flush();
}

/* Publishes one. `line` is its number in standard input, or 0. */
static int publish(struct pub *pub, const char *text, size_t size, uint64_t line)
{
    const struct options *options = pub->options;
    char what[64] = "Publish";
    void *data = NULL;
    msgsrv_error error;
    msgsrv_bus_v1_PublishRequest request = {
        .has_publication = true,
        .publication = {.topic = (char *)(uintptr_t)options->name,
                        .type = (char *)(uintptr_t)pub->type,
                        .headers_count = (pb_size_t)pub->metadata.count,
                        .headers = pub->headers,
                        .id = (char *)(uintptr_t)options->id,
                        .ttl_ms = options->bounds.ttl_ms,
                        .delay_ms = options->delay_ms},
        .publisher = (char *)(uintptr_t)BUS_NAME,
    };
    msgsrv_bus_v1_PublishResponse response = msgsrv_bus_v1_PublishResponse_init_zero;
    if (line > 0)
        snprintf(what, sizeof what, "Publish: line %" PRIu64, line);
    msgsrv_status status = msgsrv_json_to_wire(pub->bus.types.schema, pub->type, text, size, NULL, &data,
                                               &request.publication.payload.size, &error);
    if (status != MSGSRV_OK)
        return app_fail(what, &error, "");
    request.publication.payload.data = data;
    status = msgsrv_bus_v1_Bus_Publish(pub->bus.types.client, &request, NULL, &response, &error);
    free(data);
    if (status != MSGSRV_OK)
        return bus_fail(&pub->bus, what, &error);
    bool printed = print_receipt(pub, &response);
    msgsrv_bus_v1_PublishResponse_release(&response);
    return printed ? 0 : APP_EXIT_IO;
}

static bool is_blank(const char *text, size_t size)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r'))
        size--;
    return size == 0;
}

/* Publishes the lines that have been read. */
static int publish_read(struct pub *pub, struct lines *lines)
{
    const char *line = NULL;
    size_t size = 0;
    int status = 0;
    while (status == 0 && lines_next(lines, &line, &size)) {
        if (!is_blank(line, size))
            status = publish(pub, line, size, lines->number);
    }
    return status;
}

static int publish_lines(struct pub *pub)
{
    struct lines lines = {.data = NULL};
    msgsrv_error error;
    int status = 0;
    enum lines_result result = LINES_MORE;
    while (status == 0 && result == LINES_MORE) {
        result = lines_read(&lines, STDIN_FILENO, &error);
        if (result == LINES_MORE || result == LINES_END)
            status = publish_read(pub, &lines);
    }
    lines_free(&lines);
    if (result == LINES_FAILED) {
        app_line("standard input: %s", error.text);
        return APP_EXIT_IO;
    }
    return result == LINES_TOO_LONG ? app_fail("Publish", &error, "") : status;
}

static int take_header(msgsrv_bus_v1_Header *header, const msgsrv_metadata *entry)
{
    if (entry->size > UINT16_MAX)
        return app_usage("--header: the value of '%s' is too long", entry->key);
    header->key = (char *)(uintptr_t)entry->key;
    header->value = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(entry->size));
    if (!header->value) {
        app_line("pub: RESOURCE_EXHAUSTED: no memory");
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    header->value->size = (pb_size_t)entry->size;
    memcpy(header->value->bytes, entry->value, entry->size);
    return 0;
}

static int read_headers(struct pub *pub)
{
    int status = metadata_read(pub->options, &pub->metadata);
    for (size_t i = 0; status == 0 && i < pub->metadata.count; i++)
        status = take_header(&pub->headers[i], &pub->metadata.entries[i]);
    return status;
}

static void free_headers(struct pub *pub)
{
    for (size_t i = 0; i < OPTIONS_LIST_MAX; i++)
        free(pub->headers[i].value);
    metadata_free(&pub->metadata);
}

int command_pub(const struct options *options)
{
    struct pub pub = {.options = options};
    int status = read_headers(&pub);
    if (status == 0)
        status = bus_open(&pub.bus, options, "pub");
    if (status == 0)
        status = find_type(&pub);
    if (status == 0 && options->retain != MSGSRV_NONE)
        status = declare(&pub);
    if (status == 0)
        status = strcmp(options->body, "-") == 0 ? publish_lines(&pub)
                                                 : publish(&pub, options->body, strlen(options->body), 0);
    bus_close(&pub.bus);
    free_headers(&pub);
    return status;
}
