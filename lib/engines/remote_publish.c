/* SPDX-License-Identifier: MIT */
/*
 * Publishing. Without waiting: on the one PublishStream of the handle, which is opened when it is needed, and again after a loss. Waiting: by a
 * unary call; but while something that was published without waiting has no answer, on the stream behind it, so that the events
 * of one publisher stay in order.
 *
 * The first time that a type is published on a topic, the server is told the type's descriptor before: by a call of its own on the same
 * connection, whose answer nobody waits for. What it refuses, it refuses the publication for as well.
 */
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "bus/types.h"
#include "engines/remote.h"

#define WAITING_BYTES (16 * MSI_MIB) /* collected and not sent: more is refused as if max_unanswered were reached */
#define DECLARED_FIRST 64u
#define DECLARED_MAX 131072u /* (topic, type) pairs that are remembered; then all are forgotten */

/* The generated code of a message knows its .proto since its layout 3. */
#if MSGSRV_GENERATED_ABI >= 3
#define TYPE_FILE(type) ((type)->file)
#else
#define TYPE_FILE(type) ((const msgsrv_proto_file *)NULL)
#endif

/* Answers. */

static void tell(msi_lane *lane, const msi_lane_entry *entry, const msi_lane_end *end)
{
    msi_remote *bus = lane->bus;
    bool accepted = end->error->code == MSGSRV_OK;
    msi_count_up(accepted ? &bus->published : &bus->refused, 1);
    if (entry->done) {
        bus->told++;
        msgsrv_published_fn done = (msgsrv_published_fn)entry->done;
        done(&bus->bus, end->error->code, accepted ? &end->receipt : NULL, end->error, entry->ctx);
    } else if (!accepted && !msi_remote_closing(bus)) {
        msi_log_line(&bus->log, MSGSRV_LOG_WARNING, "a publication was not accepted: %s: %s",
                     msgsrv_status_name(end->error->code), end->error->text);
    }
}

static void tell_writable(msi_remote *bus)
{
    pthread_mutex_lock(&bus->lock);
    bool due = bus->wants_writable && msi_lane_unanswered(&bus->publish) <= bus->max_unanswered / 2 &&
               bus->publish.waiting_bytes <= WAITING_BYTES / 2;
    if (due)
        bus->wants_writable = false;
    pthread_mutex_unlock(&bus->lock);
    if (!due || msi_remote_closing(bus) || !bus->on_writable)
        return;
    bus->told++;
    bus->on_writable(&bus->bus, bus->ctx);
}

/* The stream. */

static void closed(msi_remote *bus, const msgsrv_reply *reply)
{
    bus->publishing = false;
    bus->publish.stream = NULL;
    if (msi_remote_closing(bus))
        return;
    if (reply->status == MSGSRV_UNAVAILABLE)
        msi_publish_forget(bus);
    msi_lane_lost(&bus->publish, reply->error);
    tell_writable(bus);
}

static void answered(msi_remote *bus, msgsrv_stream *stream, const msgsrv_bytes *body)
{
    if (!msi_lane_answer(&bus->publish, (msi_view){body->data, body->size}, 1, 2, 3))
        (void)msgsrv_stream_fail(stream, MSGSRV_INTERNAL, "the server sent what is not an answer to publications");
    else
        tell_writable(bus);
}

static msgsrv_status on_event(const void *closure, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                              void *out, void *ctx)
{
    (void)out;
    (void)ctx;
    msi_remote *bus = *(msi_remote *const *)closure;
    if (event == MSGSRV_STREAM_CLOSED) {
        closed(bus, in);
        msi_remote_unref(bus);
        return MSGSRV_OK;
    }
    if (msi_remote_closing(bus))
        return MSGSRV_OK;
    (void)msi_remote_ref(bus);
    if (event == MSGSRV_STREAM_BEGIN)
        msi_lane_attach(&bus->publish, stream);
    else if (event == MSGSRV_STREAM_WRITABLE)
        msi_lane_pump(&bus->publish);
    else if (event == MSGSRV_STREAM_WOKEN)
        msi_lane_tick(&bus->publish);
    else if (event == MSGSRV_STREAM_MESSAGE)
        answered(bus, stream, in);
    if (event == MSGSRV_STREAM_WRITABLE)
        tell_writable(bus);
    msi_remote_unref(bus);
    return MSGSRV_OK;
}

static msgsrv_status open_stream(msi_remote *bus, msgsrv_error *error)
{
    msi_lane_open(&bus->publish);
    (void)msi_remote_ref(bus);
    msgsrv_status status = msgsrv_stream_open(bus->client, &msi_bus_methods[MSI_BUS_PUBLISH_STREAM], NULL, NULL,
                                              on_event, &bus, sizeof bus, NULL, NULL, error);
    if (status)
        msi_remote_unref(bus);
    return status;
}

void msi_publish_pump(msi_remote *bus)
{
    if (bus->publishing) {
        msi_lane_pump(&bus->publish);
        return;
    }
    pthread_mutex_lock(&bus->lock);
    bool needed = msi_lane_unanswered(&bus->publish) != 0;
    pthread_mutex_unlock(&bus->lock);
    if (!needed || bus->publishing_failed || msi_remote_closing(bus))
        return;
    bus->publishing = open_stream(bus, &bus->publishing_error) == MSGSRV_OK;
    if (bus->publishing)
        return;
    bus->publishing_failed = true; /* told by the task, never inside of the function that published */
    msi_loop_defer(&bus->client->loop, &bus->task);
}

void msi_publish_tell_failed(msi_remote *bus)
{
    if (!bus->publishing_failed)
        return;
    bus->publishing_failed = false;
    if (!bus->publishing)
        msi_lane_lost(&bus->publish, &bus->publishing_error);
    tell_writable(bus);
}

void msi_publish_init(msi_remote *bus)
{
    msi_lane_init(&bus->publish, bus, tell);
    if (!bus->name[0])
        return;
    msi_writer to = {.out = &bus->publish.head};
    msi_put_text(&to, 2, bus->name); /* without memory for it, it publishes without a name */
}

/* Descriptors. */

static uint64_t hash_pair(const msi_publication *publication)
{
    uint64_t hash = 1469598103934665603ull ^ (uintptr_t)publication->struct_type;
    for (size_t i = 0; i < publication->topic.size; i++)
        hash = (hash ^ publication->topic.data[i]) * 1099511628211ull;
    return hash ? hash : 1;
}

/* With the lock. Whether a hash was not there; then it is. Without memory for the table it is forgotten, and told again. */
static bool remember(msi_remote *bus, uint64_t hash)
{
    if (bus->declared_count * 2 >= bus->declared_size) {
        size_t size = bus->declared_size ? bus->declared_size * 2 : DECLARED_FIRST;
        size = size > 2 * DECLARED_MAX ? DECLARED_FIRST : size;
        uint64_t *table = calloc(size, sizeof *table);
        if (!table)
            return true;
        for (size_t i = 0; size > bus->declared_size && i < bus->declared_size; i++) {
            size_t place = bus->declared[i] & (size - 1);
            while (table[place])
                place = (place + 1) & (size - 1);
            table[place] = bus->declared[i];
        }
        if (size <= bus->declared_size)
            bus->declared_count = 0;
        free(bus->declared);
        bus->declared = table;
        bus->declared_size = size;
    }
    size_t place = hash & (bus->declared_size - 1);
    for (; bus->declared[place]; place = (place + 1) & (bus->declared_size - 1)) {
        if (bus->declared[place] == hash)
            return false;
    }
    bus->declared[place] = hash;
    bus->declared_count++;
    return true;
}

void msi_publish_forget(msi_remote *bus)
{
    pthread_mutex_lock(&bus->lock);
    free(bus->declared);
    bus->declared = NULL;
    bus->declared_size = bus->declared_count = 0;
    pthread_mutex_unlock(&bus->lock);
}

void msi_declarations_free(msi_declaration *declarations)
{
    while (declarations) {
        msi_declaration *next = declarations->next;
        msi_buf_release(&declarations->request);
        free(declarations);
        declarations = next;
    }
}

static void on_declared(const msgsrv_reply *reply, void *response, const void *closure)
{
    (void)response;
    msi_remote *bus = *(msi_remote *const *)closure;
    if (reply->status != MSGSRV_OK && reply->status != MSGSRV_CANCELLED)
        msi_log_line(&bus->log, MSGSRV_LOG_WARNING, "a topic's descriptor was not taken: %s: %s",
                     msgsrv_status_name(reply->status), reply->error->text);
    msi_remote_unref(bus);
}

static void send_declaration(msi_remote *bus, const msi_declaration *declaration)
{
    msgsrv_bytes request = {declaration->request.data, declaration->request.len, NULL};
    (void)msi_remote_ref(bus);
    if (msgsrv_client_start(bus->client, &msi_bus_methods[MSI_BUS_DECLARE_TOPIC], &request, NULL, on_declared, &bus,
                            sizeof bus, NULL, NULL) != MSGSRV_OK)
        msi_remote_unref(bus);
}

void msi_declarations_send(msi_remote *bus)
{
    pthread_mutex_lock(&bus->lock);
    msi_declaration *all = bus->declarations;
    bus->declarations = NULL;
    bus->declarations_end = &bus->declarations;
    pthread_mutex_unlock(&bus->lock);
    for (const msi_declaration *one = all; one; one = one->next)
        send_declaration(bus, one);
    msi_declarations_free(all);
}

static msi_declaration *new_declaration(const msi_publication *publication)
{
    msi_declaration *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    msi_writer to = {.out = &made->request};
    msi_put_bytes(&to, 1, publication->topic);
    msi_put_bytes(&to, 2, publication->type);
    size_t begun = msi_put_begin(&to, 3);
    to.failed = to.failed || !msi_types_put_file(&made->request, TYPE_FILE(publication->struct_type));
    msi_put_end(&to, begun);
    if (!to.failed)
        return made;
    msi_declarations_free(made);
    return NULL;
}

/* With the lock: whether a descriptor is to be told, and it then is remembered as told. */
static bool declare_due(msi_remote *bus, const msi_publication *publication)
{
    return publication->struct_type && TYPE_FILE(publication->struct_type) && remember(bus, hash_pair(publication));
}

/* With the lock. */
static void queue_declaration(msi_remote *bus, const msi_publication *publication)
{
    msi_declaration *made = new_declaration(publication);
    if (!made)
        return;
    *bus->declarations_end = made;
    bus->declarations_end = &made->next;
}

void msi_remote_declare_once(msi_remote *bus, const msi_publication *publication)
{
    pthread_mutex_lock(&bus->lock);
    bool due = declare_due(bus, publication);
    pthread_mutex_unlock(&bus->lock);
    msi_declaration *made = due ? new_declaration(publication) : NULL;
    if (made)
        send_declaration(bus, made);
    msi_declarations_free(made);
}

/* Publishing. */

static msgsrv_status check_size(const msi_remote *bus, const msi_publication *publication, msgsrv_error *error)
{
    if (publication->payload.size <= bus->max_event)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the payload has %zu bytes, max_event is %u",
                     publication->payload.size, bus->max_event);
}

/* Waiting. */

typedef struct waiting {
    msi_remote *bus;
    msgsrv_status status;
    msgsrv_receipt receipt;
    msgsrv_error error;
    bool done;
} waiting;

static void on_waited(msgsrv_bus *handle, msgsrv_status status, const msgsrv_receipt *receipt,
                      const msgsrv_error *error, void *ctx)
{
    waiting *work = ctx;
    work->status = status;
    work->error = *error;
    if (receipt)
        work->receipt = *receipt;
    msi_client_serve(msi_remote_of(handle)->client, &work->done);
}

/* With the lock: puts a publication behind those that are collected. */
static msgsrv_status collect(msi_remote *bus, const msi_publication *publication, msi_lane_entry entry,
                             msgsrv_error *error)
{
    msi_lane *lane = &bus->publish;
    bool full = msi_lane_unanswered(lane) >= bus->max_unanswered || lane->waiting_bytes >= WAITING_BYTES;
    if (full && (msgsrv_published_fn)entry.done != on_waited) { /* a thread that waits has one under way at most */
        bus->wants_writable = true;
        return msi_error(error, MSGSRV_AGAIN, "%llu events are without an answer",
                         (unsigned long long)msi_lane_unanswered(lane));
    }
    size_t size = msi_publication_size(publication);
    msi_writer to = {.out = msi_lane_room(lane, size)};
    if (!to.out)
        return msi_error_memory(error);
    if (declare_due(bus, publication))
        queue_declaration(bus, publication);
    msi_put_publication(&to, publication);
    msi_lane_add(lane, entry);
    lane->waiting_bytes += size;
    lane->wants_receipts = lane->wants_receipts || entry.done;
    return MSGSRV_OK;
}

static msgsrv_status publish_async(msi_remote *bus, const msi_publication *publication, msgsrv_published_fn done,
                                   void *ctx, msgsrv_error *error)
{
    msi_remote_bracket bracket;
    msgsrv_status status = msi_remote_enter(bus, &bracket, error);
    if (status)
        return status;
    pthread_mutex_lock(&bus->lock);
    status = collect(bus, publication, (msi_lane_entry){(void (*)(void))done, ctx}, error);
    bool full = false;
    if (status == MSGSRV_OK) {
        msi_remote_wake_lane(&bus->publish, bracket.foreign);
        full = !bracket.foreign && bus->publish.chunks != bus->publish.last_chunk;
    }
    pthread_mutex_unlock(&bus->lock);
    if (full)
        msi_remote_work(bus);
    msi_remote_leave(bus, &bracket);
    return status;
}

/* Behind what is under way on the stream. */
static msgsrv_status wait_on_stream(msi_remote *bus, const msi_publication *publication, msgsrv_receipt *receipt,
                                    msgsrv_error *error)
{
    waiting work = {.bus = bus};
    bool inside = false;
    msgsrv_client *client = bus->client; /* lives until the drive ends */
    msgsrv_status status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    status = publish_async(bus, publication, on_waited, &work, error);
    if (status == MSGSRV_OK) {
        msi_client_wait_for(client, &work.done);
        status = work.status;
        if (status && error)
            *error = work.error;
        if (status == MSGSRV_OK && receipt)
            *receipt = work.receipt;
    }
    msi_client_drive_end(client, inside);
    return status;
}

static void read_receipt(const msgsrv_bytes *from, msgsrv_receipt *receipt)
{
    msi_reader reader = msi_read((msi_view){from->data, from->size});
    msi_wire_field field;
    *receipt = (msgsrv_receipt){0};
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_VARINT))
            receipt->sequence = field.value;
        else if (msi_is(&field, 2, MSI_WIRE_FIXED64))
            receipt->epoch = field.value;
        else if (msi_is(&field, 3, MSI_WIRE_VARINT))
            receipt->duplicate = field.value != 0;
    }
}

static msgsrv_status wait_for_call(msi_remote *bus, const msi_publication *publication, msgsrv_receipt *receipt,
                                   msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msi_put_publication(&to, publication);
    msi_put_text(&to, 2, bus->name);
    msi_remote_declare_once(bus, publication);
    msgsrv_bytes response = {0};
    msgsrv_status status = msi_remote_call(bus, MSI_BUS_PUBLISH, &to, &response, error);
    if (status == MSGSRV_OK && receipt)
        read_receipt(&response, receipt);
    free(response.owned);
    msi_count_up(status == MSGSRV_OK ? &bus->published : &bus->refused, 1);
    if (status == MSGSRV_UNAVAILABLE)
        msi_publish_forget(bus);
    return status;
}

static msgsrv_status publish_waiting(msi_remote *bus, const msi_publication *publication, msgsrv_receipt *receipt,
                                     msgsrv_error *error)
{
    msgsrv_status status = msi_client_check_sync(bus->client, error);
    if (status)
        return status;
    pthread_mutex_lock(&bus->lock);
    bool behind = msi_lane_unanswered(&bus->publish) != 0;
    pthread_mutex_unlock(&bus->lock);
    if (behind)
        return wait_on_stream(bus, publication, receipt, error);
    return wait_for_call(bus, publication, receipt, error);
}

msgsrv_status msi_remote_publish(msgsrv_bus *handle, const msi_publication *publication, bool wait,
                                 msgsrv_receipt *receipt, msgsrv_published_fn done, void *ctx, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    msgsrv_status status = check_size(bus, publication, error);
    if (status)
        return status;
    if (!wait)
        return publish_async(bus, publication, done, ctx, error);
    if (msi_remote_closing(bus))
        return msi_error(error, MSGSRV_CANCELLED, "the bus is being freed");
    (void)msi_remote_ref(bus); /* a private loop is driven meanwhile, and what it calls may free the handle */
    status = publish_waiting(bus, publication, receipt, error);
    msi_remote_unref(bus);
    return status;
}
