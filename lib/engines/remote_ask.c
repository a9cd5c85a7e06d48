/* SPDX-License-Identifier: MIT */
/* Unary calls of a remote handle: with `done` they are started, without they are waited for. The client does both on any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bus/types.h"
#include "engines/remote.h"

#define PEEK_PAGE 1000u

/* One that is under way. */
typedef struct asking {
    msi_remote *bus; /* a reference */
    msgsrv_bus_done_fn done;
    msgsrv_replied_fn replied; /* of a request */
    void *ctx;
} asking;

msgsrv_status msi_remote_call(msi_remote *bus, msi_bus_method method, msi_writer *request, msgsrv_bytes *response,
                              msgsrv_error *error)
{
    msgsrv_status status;
    msgsrv_bytes bytes = {request->out->data, request->out->len, NULL};
    if (request->failed)
        status = msi_error_memory(error);
    else if (msi_remote_closing(bus))
        status = msi_error(error, MSGSRV_CANCELLED, "the bus is being freed");
    else
        status = msgsrv_client_call(bus->client, &msi_bus_methods[method], &bytes, NULL, response, error);
    msi_buf_release(request->out);
    return status;
}

/* A reply to a request, as an event. */
static bool read_reply(const msgsrv_bytes *from, char *type, size_t room, msgsrv_event *event)
{
    msi_reader reader = msi_read((msi_view){from->data, from->size});
    msi_wire_field field;
    *event = (msgsrv_event){.topic = "", .type = type, .payload = "", .publisher = ""};
    type[0] = '\0';
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES)) {
            if (msi_check_type_name(field.bytes, NULL) != MSGSRV_OK)
                return false;
            msi_text_copy(type, room, field.bytes);
        } else if (msi_is(&field, 2, MSI_WIRE_BYTES)) {
            event->payload = field.bytes.data;
            event->payload_size = field.bytes.size;
        }
    }
    return !reader.failed;
}

static void tell_reply(const asking *work, const msgsrv_reply *reply, const msgsrv_bytes *response)
{
    char type[256];
    msgsrv_event event;
    msgsrv_error wrong;
    const msgsrv_error *error = reply->error;
    bool ok = reply->status == MSGSRV_OK;
    if (ok && !read_reply(response, type, sizeof type, &event)) {
        (void)msi_error(&wrong, MSGSRV_INTERNAL, "the server sent what is no response to Request");
        error = &wrong;
        ok = false;
    }
    atomic_fetch_sub(&work->bus->requests, 1);
    work->replied(&work->bus->bus, error->code, ok ? &event : NULL, error, work->ctx);
}

static void on_complete(const msgsrv_reply *reply, void *response, const void *closure)
{
    asking *work = *(asking *const *)closure;
    msi_remote *bus = work->bus;
    bus->told++;
    if (work->replied)
        tell_reply(work, reply, response);
    else
        work->done(&bus->bus, reply->status, reply->error, work->ctx);
    free(work);
    msi_remote_unref(bus);
}

/* Starts one. `request` is consumed. */
static msgsrv_status start(msi_remote *bus, msi_bus_method method, msi_writer *request, uint32_t timeout_ms,
                           asking made, msgsrv_error *error)
{
    asking *work = request->failed ? NULL : malloc(sizeof *work);
    msgsrv_status status;
    if (!work) {
        status = msi_error_memory(error);
    } else if (msi_remote_closing(bus)) {
        status = msi_error(error, MSGSRV_CANCELLED, "the bus is being freed");
    } else {
        *work = made;
        work->bus = msi_remote_ref(bus);
        msgsrv_bytes bytes = {request->out->data, request->out->len, NULL};
        msgsrv_call_options options = {.size = sizeof options, .timeout_ms = timeout_ms};
        status = msgsrv_client_start(bus->client, &msi_bus_methods[method], &bytes, &options, on_complete, &work,
                                     sizeof work, NULL, error);
        if (status)
            msi_remote_unref(bus);
    }
    if (status)
        free(work);
    msi_buf_release(request->out);
    return status;
}

/* With or without waiting, where the answer says nothing but that it is done. */
static msgsrv_status ask(msi_remote *bus, msi_bus_method method, msi_writer *request, msgsrv_bus_done_fn done,
                         void *ctx, msgsrv_error *error)
{
    if (done)
        return start(bus, method, request, 0, (asking){.done = done, .ctx = ctx}, error);
    msgsrv_bytes response = {0};
    msgsrv_status status = msi_remote_call(bus, method, request, &response, error);
    free(response.owned);
    return status;
}

msgsrv_status msi_remote_request(msgsrv_bus *handle, const msi_publication *publication, uint32_t timeout_ms,
                                 msgsrv_replied_fn done, void *ctx, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    if (publication->payload.size > bus->max_event)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the payload has %zu bytes, max_event is %u",
                         publication->payload.size, bus->max_event);
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_publication(&to, publication);
    msi_put_text(&to, 2, bus->name);
    msi_remote_declare_once(bus, publication);
    atomic_fetch_add(&bus->requests, 1);
    msgsrv_status status = start(bus, MSI_BUS_REQUEST, &to, timeout_ms, (asking){.replied = done, .ctx = ctx}, error);
    if (status)
        atomic_fetch_sub(&bus->requests, 1);
    return status;
}

msgsrv_status msi_remote_reply(msgsrv_bus *handle, uint64_t request, msi_view type, msi_view payload,
                               msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    msi_buf body = {0};
    msi_writer to = {.out = &body};
    msi_put_number(&to, 1, request);
    msi_put_bytes(&to, 2, type);
    msi_put_bytes(&to, 3, payload);
    return ask(msi_remote_of(handle), MSI_BUS_REPLY, &to, done, ctx, error);
}

msgsrv_status msi_remote_declare_topic(msgsrv_bus *handle, const char *topic, const char *type,
                                       const msgsrv_proto_file *file, uint32_t retain, msgsrv_bus_done_fn done,
                                       void *ctx, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, topic);
    msi_put_text(&to, 2, type);
    if (file) {
        size_t begun = msi_put_begin(&to, 3);
        to.failed = to.failed || !msi_types_put_file(&request, file);
        msi_put_end(&to, begun);
    }
    msi_put_number_always(&to, 4, retain);
    return ask(msi_remote_of(handle), MSI_BUS_DECLARE_TOPIC, &to, done, ctx, error);
}

msgsrv_status msi_remote_declare_queue(msgsrv_bus *handle, const char *queue, const msgsrv_queue_options *options,
                                       msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, queue);
    size_t begun = msi_put_begin(&to, 2);
    for (size_t i = 0; i < options->pattern_count; i++)
        msi_put_text(&to, 1, options->patterns[i]);
    for (size_t i = 0; i < options->type_count; i++)
        msi_put_text(&to, 2, options->types[i]);
    msi_put_number(&to, 3, options->max_messages);
    msi_put_number(&to, 4, options->max_bytes);
    msi_put_number(&to, 5, options->full == MSGSRV_QUEUE_DROP_OLDEST);
    msi_put_number(&to, 6, options->ack_wait_ms);
    msi_put_number(&to, 7, options->max_deliver);
    msi_put_number(&to, 8, options->ttl_ms == MSGSRV_NONE ? 0 : options->ttl_ms);
    msi_put_number(&to, 9, options->no_dead_letters);
    msi_put_number(&to, 10, options->max_dead_letters);
    msi_put_number(&to, 11, options->dedup_ms);
    msi_put_number(&to, 12, options->dedup_ids);
    msi_put_end(&to, begun);
    return ask(msi_remote_of(handle), MSI_BUS_DECLARE_QUEUE, &to, done, ctx, error);
}

msgsrv_status msi_remote_delete_queue(msgsrv_bus *handle, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                      msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, queue);
    return ask(msi_remote_of(handle), MSI_BUS_DELETE_QUEUE, &to, done, ctx, error);
}

static uint64_t count_of(const msgsrv_bytes *from)
{
    msi_reader reader = msi_read((msi_view){from->data, from->size});
    msi_wire_field field;
    uint64_t count = 0;
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_VARINT))
            count = field.value;
    }
    return count;
}

static msgsrv_status counted(msi_remote *bus, msi_bus_method method, msi_writer *request, uint64_t *count,
                             msgsrv_error *error)
{
    msgsrv_bytes response = {0};
    msgsrv_status status = msi_remote_call(bus, method, request, &response, error);
    if (status == MSGSRV_OK)
        *count = count_of(&response);
    free(response.owned);
    return status;
}

msgsrv_status msi_remote_retry(msgsrv_bus *handle, const char *queue, uint64_t id, uint64_t *count, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, queue);
    msi_put_number(&to, 2, id);
    return counted(msi_remote_of(handle), MSI_BUS_RETRY, &to, count, error);
}

msgsrv_status msi_remote_purge(msgsrv_bus *handle, const char *queue, uint64_t *count, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, queue);
    return counted(msi_remote_of(handle), MSI_BUS_PURGE, &to, count, error);
}

/* Looking. */

static void set_info(msgsrv_queue_info *info, const msi_wire_field *field)
{
    uint64_t *const places[] = {
        [3] = &info->messages, [4] = &info->bytes,       [5] = &info->unsettled,      [6] = &info->delayed,
        [7] = &info->dead,     [9] = &info->published,   [10] = &info->delivered,     [11] = &info->redelivered,
        [12] = &info->acked,   [13] = &info->rejected,   [14] = &info->expired,       [15] = &info->refused,
        [16] = &info->dropped, [17] = &info->duplicates, [18] = &info->dedup_evicted,
    };
    if (field->type != MSI_WIRE_VARINT || field->number >= sizeof places / sizeof *places)
        return;
    if (field->number == 8)
        info->consumers = (uint32_t)field->value;
    else if (places[field->number])
        *places[field->number] = field->value;
}

static bool read_info(const msgsrv_bytes *from, msgsrv_queue_info *info)
{
    msi_reader reader = msi_read((msi_view){from->data, from->size});
    msi_wire_field field;
    bool found = false;
    while (!found && msi_read_next(&reader, &field))
        found = msi_is(&field, 1, MSI_WIRE_BYTES);
    if (!found)
        return false;
    reader = msi_read(field.bytes);
    while (msi_read_next(&reader, &field))
        set_info(info, &field);
    return true;
}

msgsrv_status msi_remote_queue_info(msgsrv_bus *handle, const char *queue, msgsrv_queue_info *info, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_text(&to, 1, queue);
    msgsrv_bytes response = {0};
    msgsrv_status status = msi_remote_call(msi_remote_of(handle), MSI_BUS_QUEUES, &to, &response, error);
    if (status == MSGSRV_OK && !read_info(&response, info))
        status = msi_error(error, MSGSRV_NOT_FOUND, "there is no queue %s", queue);
    free(response.owned);
    return status;
}

/* One message of a queue, with its texts. */
typedef struct queued {
    msgsrv_queued shown;
    msi_view event;
    char reason[64];
    char first_error[256];
    char last_error[256];
} queued;

static void take_queued_field(queued *to, const msi_wire_field *field)
{
    msgsrv_queued *shown = &to->shown;
    if (field->type == MSI_WIRE_BYTES) {
        if (field->number == 2)
            to->event = field->bytes;
        else if (field->number == 7)
            msi_text_copy(to->reason, sizeof to->reason, field->bytes);
        else if (field->number == 8)
            msi_text_copy(to->first_error, sizeof to->first_error, field->bytes);
        else if (field->number == 9)
            msi_text_copy(to->last_error, sizeof to->last_error, field->bytes);
        return;
    }
    if (field->number == 1)
        shown->id = field->value;
    else if (field->number == 3)
        shown->count = (uint32_t)field->value;
    else if (field->number == 4)
        shown->unsettled = field->value != 0;
    else if (field->number == 5)
        shown->not_before_us = field->value;
    else if (field->number == 6)
        shown->expires_us = field->value;
    else if (field->number == 10)
        shown->died_us = field->value;
    else if (field->number == 11)
        shown->deaths = (uint32_t)field->value;
}

/* Where a peek is. */
typedef struct peeking {
    msgsrv_queued_fn fn;
    void *ctx;
    msi_event_reader reader;
    uint64_t after;
    uint32_t left;
    bool more; /* there is, and it is wanted */
} peeking;

static msgsrv_status show(peeking *work, msi_view from, msgsrv_error *error)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    queued one = {.event = {NULL, 0}};
    while (msi_read_next(&reader, &field))
        take_queued_field(&one, &field);
    if (reader.failed || !one.event.data || one.shown.id <= work->after)
        return msi_error(error, MSGSRV_INTERNAL, "the server sent what is not a queue's message");
    msgsrv_event event;
    msgsrv_status status = msi_event_read(&work->reader, one.event, &event, error);
    if (status)
        return status;
    one.shown.event = &event;
    one.shown.reason = one.reason;
    one.shown.first_error = one.first_error;
    one.shown.last_error = one.last_error;
    work->after = one.shown.id;
    work->left--;
    work->more = work->fn(&one.shown, work->ctx) && work->left;
    return MSGSRV_OK;
}

static msgsrv_status show_page(peeking *work, const msgsrv_bytes *from, msgsrv_error *error)
{
    msi_reader reader = msi_read((msi_view){from->data, from->size});
    msi_wire_field field;
    msgsrv_status status = MSGSRV_OK;
    uint64_t before = work->after;
    bool more = false;
    work->more = true;
    while (status == MSGSRV_OK && work->more && msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES))
            status = show(work, field.bytes, error);
        else if (msi_is(&field, 2, MSI_WIRE_VARINT))
            more = field.value != 0;
    }
    work->more = work->more && more && work->after != before;
    return status;
}

msgsrv_status msi_remote_peek(msgsrv_bus *handle, const char *queue, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                              msgsrv_error *error)
{
    msi_remote *bus = msi_remote_ref(msi_remote_of(handle)); /* what is called meanwhile may free the handle */
    peeking work = {.fn = fn, .ctx = ctx, .left = max};
    msgsrv_status status;
    do {
        msi_buf request = {0};
        msi_writer to = {.out = &request};
        msi_put_text(&to, 1, queue);
        msi_put_number(&to, 2, work.left < PEEK_PAGE ? work.left : PEEK_PAGE);
        msi_put_number(&to, 3, work.after);
        msgsrv_bytes response = {0};
        status = msi_remote_call(bus, MSI_BUS_PEEK, &to, &response, error);
        if (status == MSGSRV_OK)
            status = show_page(&work, &response, error);
        free(response.owned);
    } while (status == MSGSRV_OK && work.more);
    msi_event_reader_release(&work.reader);
    msi_remote_unref(bus);
    return status;
}
