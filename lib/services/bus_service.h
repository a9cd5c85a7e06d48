/* SPDX-License-Identifier: MIT */
/*
 * msgsrv.bus.v1.Bus over a core: what its files share. Each method is served on the loop of its call, and takes the core's lock for as
 * long as a core's function needs it. Streams are woken by the core and come for their events.
 */
#ifndef MSI_SERVICES_BUS_SERVICE_H
#define MSI_SERVICES_BUS_SERVICE_H

#include "services/bus_wire.h"
#include "services/internal.h"

#define MSI_BUS_NAME_SIZE 64u                /* of a publisher, subscriber or consumer, with its NUL */
#define MSI_BUS_RESPONSE_SOFT (32u * 1024u)  /* a response of a stream is sent when it has reached this */
#define MSI_BUS_RESPONSE_EVENTS 64u          /* or has so many events */
#define MSI_BUS_RESPONSE_SLACK (64u * 1024u) /* what a response is longer than the payload of its one event, at most */

/* One per server. */
typedef struct msi_bus_service {
    msi_server_kept kept;
    msi_core *core; /* a reference */
    uint32_t max_message;
} msi_bus_service;

/* Adds what the bus counts to /metrics. */
struct msi_metrics;
void msi_bus_measure(msi_server_kept *kept, struct msi_metrics *to);

/* A peer's name for itself, checked and copied. */
msgsrv_status msi_bus_take_name(msi_view from, char name[MSI_BUS_NAME_SIZE], msgsrv_error *error);

/* Where a call comes from, for people. */
static inline const char *msi_bus_peer(const msgsrv_call *call, msgsrv_peer *peer)
{
    msgsrv_call_peer(call, peer);
    return peer->address;
}

static inline msi_view msi_bus_view(const msgsrv_bytes *bytes)
{
    static const uint8_t nothing[1];
    return (msi_view){bytes->data ? bytes->data : nothing, bytes->size};
}

/* Makes what was written the response of a call, and releases it. */
msgsrv_status msi_bus_answer(msgsrv_call *call, msi_writer *from, msgsrv_bytes *response);

/* Parses the request of a unary call, whose response is still empty; on failure the call is answered. */
msgsrv_status msi_bus_request(msgsrv_call *call, const msi_bus_message *type, const void *request, void *message);
msgsrv_status msi_bus_failed(msgsrv_call *call, msgsrv_status status, const msgsrv_error *error);

/* Sends what was written as one message of a stream that may send, and empties it. Not OK: the stream has failed. */
msgsrv_status msi_bus_send(msgsrv_stream *stream, msi_writer *from);

/* The same, with parts[1] to parts[count - 2] behind its first `before` bytes; the first and the last are set here. */
msgsrv_status msi_bus_send_around(msgsrv_stream *stream, msi_writer *from, size_t before, msgsrv_bytes *parts,
                                  size_t count);

/* What Publish and Request have in their requests. */
typedef struct msi_bus_published {
    msi_bus_publication publication;
    msi_publisher *publisher;
} msi_bus_published;
msgsrv_status msi_bus_get_published(const msi_bus_service *service, msgsrv_call *call, const void *request,
                                    msi_bus_published *published, msgsrv_error *error);
void msi_bus_drop_published(msi_bus_published *published);

/*
 * The side of a stream on which numbered things come in and are answered cumulatively. An answer that cannot be sent waits, and grows; when it has
 * grown to its bound, the rest of the message that is being handled is kept, and the stream is paused until the answer has gone. The same, until the
 * next wake-up, when much has been handled in one.
 */
typedef struct msi_bus_intake {
    uint64_t last;      /* the number of the last thing that was handled */
    uint64_t told;      /* and that was answered */
    msi_writer answers; /* refusals and receipts of those between */
    uint8_t *rest;      /* of a message */
    size_t rest_size;
    size_t rest_at;
    uint32_t kept;  /* its credit */
    uint32_t burst; /* things handled in this wake-up */
    bool stopped;
} msi_bus_intake;

/* Handled at once: then those get their turn who are woken by it, and whose queues have room for so much. */
#define MSI_BUS_BURST 256u

/* Handles things from `at` on, until the end or until the answers are full, and returns how far it came. */
typedef const uint8_t *(*msi_bus_handle_fn)(void *ctx, const uint8_t *at, const uint8_t *end);

static inline bool msi_bus_intake_full(const msi_bus_intake *intake)
{
    return intake->answers.size >= MSI_BUS_RESPONSE_SOFT || intake->burst >= MSI_BUS_BURST || intake->answers.no_memory;
}
static inline bool msi_bus_intake_owes(const msi_bus_intake *intake)
{
    return intake->last != intake->told || intake->answers.size;
}

/* A message whose form is checked. Not OK: the stream has failed. */
msgsrv_status msi_bus_intake_message(msi_bus_intake *intake, msgsrv_stream *stream, msi_view message,
                                     msi_bus_handle_fn handle, void *ctx);

/* All answers are in a response that was sent. */
void msi_bus_intake_told(msi_bus_intake *intake);

/* In each wake-up, behind that: goes on with what is kept, if it can, and asks to be woken when there are answers again. */
msgsrv_status msi_bus_intake_go_on(msi_bus_intake *intake, msgsrv_stream *stream, msi_bus_handle_fn handle, void *ctx);
void msi_bus_intake_release(msi_bus_intake *intake);

/* A TopicInfo. */
void msi_bus_put_topic(msi_writer *to, uint32_t field, const msi_topic_info *info);

/* ---- the methods ---- */

msgsrv_status msi_serve_publish(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_request(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_reply(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_declare_topic(const void *none, msgsrv_call *call, const void *request, void *response,
                                      void *ctx);
msgsrv_status msi_serve_declare_queue(const void *none, msgsrv_call *call, const void *request, void *response,
                                      void *ctx);
msgsrv_status msi_serve_delete_queue(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_topics(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_queues(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_peek(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_retry(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_purge(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);
msgsrv_status msi_serve_describe_type(const void *none, msgsrv_call *call, const void *request, void *response,
                                      void *ctx);
msgsrv_status msi_serve_diagnose(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx);

msgsrv_status msi_serve_publish_stream(const void *none, msgsrv_stream *stream, msgsrv_stream_event event,
                                       const void *in, void *out, void *ctx);
msgsrv_status msi_serve_subscribe(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                  void *out, void *ctx);
msgsrv_status msi_serve_consume(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                void *out, void *ctx);
msgsrv_status msi_serve_watch_topics(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                     void *out, void *ctx);

/* Request's own description, which its held answers name. */
const msgsrv_method *msi_bus_request_method(void);

#endif
