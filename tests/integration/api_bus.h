/* SPDX-License-Identifier: MIT */
/* A bus that is served, and its clients, in a line each: for the tests of msgsrv.bus.v1.Bus. Synchronous streams of clients with a private loop. */
#ifndef API_BUS_H
#define API_BUS_H

#include <msgsrv/bus.h>

#include "api_support.h"
#include "msgsrv/bus.msgsrv.h"

#define BUS_TYPE "test.Reading"

typedef struct bus_world {
    msgsrv_bus *bus;
    msgsrv_server *server;
    msgsrv_client *client;
} bus_world;

static inline void bus_open(bus_world *world, const msgsrv_bus_options *options)
{
    msgsrv_error error;
    api_ok(msgsrv_bus_open("mem:", options, &world->bus, &error), &error);
    world->server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_bus_serve(world->bus, world->server, &error), &error);
    api_ok(msgsrv_server_start(world->server, &error), &error);
    world->client = api_client(world->server, NULL);
}

static inline void bus_close(bus_world *world)
{
    msgsrv_client_free(world->client);
    msgsrv_server_free(world->server);
    msgsrv_bus_free(world->bus);
}

/* A payload with a number. */
static inline msgsrv_bytes bus_payload(uint8_t room[8], unsigned number)
{
    size_t size = 0;
    room[size++] = 0x08;
    for (; number > 0x7f; number >>= 7)
        room[size++] = (uint8_t)(number | 0x80);
    room[size++] = (uint8_t)number;
    return (msgsrv_bytes){room, size, NULL};
}

static inline unsigned bus_number(const msgsrv_bus_v1_Event *event)
{
    const uint8_t *at = event->payload.data;
    unsigned number = 0;
    unsigned shift = 0;
    ck_assert_uint_ge(event->payload.size, 2);
    for (size_t i = 1; i < event->payload.size; i++, shift += 7)
        number |= (unsigned)(at[i] & 0x7f) << shift;
    return number;
}

/* Publishes one event, and returns its sequence. */
static inline uint64_t bus_publish(const bus_world *world, const char *topic, unsigned number)
{
    msgsrv_error error;
    uint8_t room[8];
    msgsrv_bus_v1_PublishRequest request = msgsrv_bus_v1_PublishRequest_init_zero;
    msgsrv_bus_v1_PublishResponse response = msgsrv_bus_v1_PublishResponse_init_zero;
    request.has_publication = true;
    request.publication.topic = (char *)(uintptr_t)topic;
    request.publication.type = (char *)(uintptr_t)BUS_TYPE;
    request.publication.payload = bus_payload(room, number);
    api_ok(msgsrv_bus_v1_Bus_Publish(world->client, &request, NULL, &response, &error), &error);
    ck_assert(response.epoch != 0);
    return response.sequence;
}

static inline msgsrv_stream *bus_stream(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                        const msgsrv_call_options *options)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    api_ok(msgsrv_stream_open(client, method, request, options, NULL, NULL, 0, &stream, NULL, &error), &error);
    return stream;
}

static inline void bus_write(msgsrv_stream *stream, const void *message)
{
    msgsrv_error error;
    api_ok(msgsrv_stream_write(stream, message, &error), &error);
}

/* Ends a stream, and says what must be said. */
static inline void bus_end(msgsrv_stream *stream, msgsrv_status want, const char *text)
{
    msgsrv_error error = {0};
    api_expect(want, msgsrv_stream_close(stream, NULL, &error), &error);
    api_contains(error.text, text);
}

static inline void bus_leave(msgsrv_stream *stream)
{
    msgsrv_stream_cancel(stream);
    (void)msgsrv_stream_close(stream, NULL, NULL);
}

/* Subscribes, and waits until the bus knows it. */
static inline msgsrv_stream *bus_subscribe(msgsrv_client *client, const msgsrv_bus_v1_SubscribeRequest *request,
                                           const msgsrv_call_options *options)
{
    msgsrv_stream *stream = bus_stream(client, &msgsrv_bus_v1_Bus_Subscribe_method, request, options);
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    ck_assert(msgsrv_stream_read(stream, &response));
    ck_assert(response.epoch != 0);
    ck_assert_uint_eq(response.events_count, 0);
    msgsrv_bus_v1_SubscribeResponse_release(&response);
    return stream;
}

/* What a subscription is told, until it has got some events. */
typedef struct bus_got {
    unsigned numbers[20000];
    unsigned count;
    unsigned responses;
    unsigned gap_at; /* events before the last gap */
    uint64_t lost;
    unsigned gaps;
    uint64_t position;
    unsigned redelivered;
    uint64_t request;
} bus_got;

/* Reads one response. false: it has ended. */
static inline bool bus_read(msgsrv_stream *stream, bus_got *got)
{
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    if (!msgsrv_stream_read(stream, &response))
        return false;
    got->responses++;
    if (response.has_gap) {
        got->gaps++;
        got->lost += response.gap.total;
        got->gap_at = got->count;
        ck_assert_int_eq(response.gap.reason, msgsrv_bus_v1_GapReason_GAP_SLOW);
    }
    for (size_t i = 0; i < response.events_count; i++) {
        const msgsrv_bus_v1_Event *event = &response.events[i];
        ck_assert_str_eq(event->type, BUS_TYPE);
        got->numbers[got->count++ % 20000] = bus_number(event);
        got->redelivered += event->redelivered;
        got->request = event->request;
    }
    if (response.position) {
        ck_assert_uint_ge(response.position, got->position);
        got->position = response.position;
    }
    msgsrv_bus_v1_SubscribeResponse_release(&response);
    return true;
}

static inline void bus_read_events(msgsrv_stream *stream, bus_got *got, unsigned count)
{
    while (got->count < count)
        ck_assert(bus_read(stream, got));
}

#endif
