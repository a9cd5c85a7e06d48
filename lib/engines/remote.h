/* SPDX-License-Identifier: MIT */
/*
 * A handle on a bus in a server: the parts of it, for its own files. It is a client (rpc/client_internal.h) and what it keeps for its
 * streams:
 *
 *   remote.c            opening, freeing, polling; work for the loop
 *   remote_lane.c       numbered requests on a stream, answered cumulatively: publications, settlements
 *   remote_publish.c    publishing, and telling descriptors
 *   remote_feed.c       what subscriptions and consumers have in common: their stream, its loss, their end
 *   remote_subscribe.c  subscriptions; remote_seen.c: what they say when they go on after a loss
 *   remote_consume.c    consumers and deliveries
 *   remote_ask.c        unary calls
 *   remote_wire.c       the bytes
 *
 * Threads. Everything belongs to the loop's thread, but for what the `lock` guards: what is collected for a stream (chunks and rings of the
 * lanes, declarations), the table of handles, the table of deliveries, and what is to be told later. A function of the program's on another
 * thread, which only a client with a thread of its own allows, puts its part there and posts one wake-up; on the loop's thread it
 * defers one task, so that all that a wake-up of the program publishes or settles goes out as one message. The program is never called
 * with the lock held. With a private loop or the caller's base there is one thread, and the lock costs little.
 *
 * Memory. The handle lives as long as somebody has a reference: the program's, until it is freed; each feed; each wake-up that is under way;
 * and each function here that calls the program and goes on afterwards. `closing` says that the program has freed it: everything has
 * been told then, and whoever comes later only cleans up.
 */
#ifndef MSI_ENGINES_REMOTE_H
#define MSI_ENGINES_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "bus/bus.h"
#include "engines/remote_wire.h"
#include "rpc/client_internal.h"
#include "schema/codec.h"

typedef struct msi_remote msi_remote;
typedef struct msi_feed msi_feed;

/* ---- lanes ---- */

/* What waits for the answer of one number. `done` as the lane's kind calls it; NULL: nobody. */
typedef struct msi_lane_entry {
    void (*done)(void);
    void *ctx;
} msi_lane_entry;

typedef struct msi_lane_chunk msi_lane_chunk;

/* How one number ended. */
typedef struct msi_lane_end {
    const msgsrv_error *error; /* its code is MSGSRV_OK when it was accepted */
    msgsrv_receipt receipt;
} msi_lane_end;

typedef struct msi_lane {
    msi_remote *bus;
    /* Calls the program, or its own. With a reference of the bus's. */
    void (*tell)(struct msi_lane *lane, const msi_lane_entry *entry, const msi_lane_end *end);
    /* With the lock. */
    msi_lane_entry *ring; /* by number, modulo its size; a power of two */
    size_t ring_size;
    uint64_t first; /* the number of the oldest without an answer */
    uint64_t next;  /* that the next one gets; from 1, and never anew */
    msi_lane_chunk *chunks;
    msi_lane_chunk *last_chunk;
    msi_lane_chunk *spare;
    size_t waiting_bytes; /* in chunks */
    bool wants_receipts;
    bool queued; /* in the bus's list of those to be pumped */
    bool gone;   /* and never again */
    struct msi_lane *next_queued;
    /* The loop's thread. */
    msgsrv_stream *stream;
    msi_buf head;      /* the stream's first message, which is sent before all chunks */
    uint64_t base;     /* number 1 of the stream is base + 1 */
    uint64_t sent;     /* the last number that was handed to the stream */
    uint64_t marks[2]; /* `next` one and two ticks ago */
    bool head_sent;
    bool receipts_asked;
    bool ticking;
} msi_lane;

void msi_lane_init(msi_lane *lane, msi_remote *bus,
                   void (*tell)(msi_lane *lane, const msi_lane_entry *entry, const msi_lane_end *end));
void msi_lane_release(msi_lane *lane);

/* With the lock: room for one more number, and `size` bytes for it behind what is collected. NULL without memory. */
msi_buf *msi_lane_room(msi_lane *lane, size_t size);
/* With the lock, after the bytes were written: gives it its number. */
void msi_lane_add(msi_lane *lane, msi_lane_entry entry);
static inline uint64_t msi_lane_unanswered(const msi_lane *lane)
{
    return lane->next - lane->first;
}

/* A stream begins: numbers are counted anew. It is attached when it has begun, and what is collected is sent. */
void msi_lane_open(msi_lane *lane);
void msi_lane_attach(msi_lane *lane, msgsrv_stream *stream);
/* Sends what is collected, as far as it goes. */
void msi_lane_pump(msi_lane *lane);
/* The stream was woken by its timer: gives it up when something is without an answer for too long. */
void msi_lane_tick(msi_lane *lane);
/* An answer: `fields` has `last_field`, refusals and receipts (0: none) under these numbers. false: the server is wrong. */
bool msi_lane_answer(msi_lane *lane, msi_view fields, uint32_t last_field, uint32_t refusals_field,
                     uint32_t receipts_field);
/* The stream is gone: everything collected or without an answer ends with this. */
void msi_lane_lost(msi_lane *lane, const msgsrv_error *error);

/* ---- feeds ---- */

typedef struct msi_feed_ops {
    msi_bus_method method;
    /* The request, or the stream's first message. false without memory. */
    bool (*request)(msi_feed *feed, msi_writer *to);
    void (*message)(msi_feed *feed, msi_view body);
    void (*lost)(msi_feed *feed, const msgsrv_error *error); /* the stream is gone. Optional. */
    void (*end)(msi_feed *feed, const msgsrv_error *why);    /* tells the program */
    void (*free)(msi_feed *feed);
} msi_feed_ops;

/* A subscription or a consumer. */
struct msi_feed {
    msi_idnode node; /* its handle; with the lock */
    msi_remote *bus; /* a reference */
    const msi_feed_ops *ops;
    atomic_uint refs;                /* the table's; the stream's; posts' */
    void *ctx;                       /* the program's */
    const msgsrv_message_type *type; /* NULL: untyped */
    msi_type_traits traits;
    void *message; /* room for a decoded one */
    msi_event_reader reader;
    msi_lane *lane;    /* of a consumer: on the same stream */
    bool acknowledges; /* by giving a message's credit back at once */
    msi_post start_post;
    msi_post stop_post;
    atomic_bool stop_posted;
    msi_task end_task; /* tells the end when no stream will */
    struct event timer;
    bool has_timer;
    uint64_t due;
    msgsrv_stream *stream;
    msgsrv_handle call; /* of the stream; 0: none is open */
    bool stopped;       /* the program wants no more */
    bool ended;         /* and has been told */
    bool ready;
    uint64_t ready_at;
    uint32_t backoff_ms;
    msgsrv_error why;
};

/* Fills a cleared feed and names it; RESOURCE_EXHAUSTED without memory. Its first reference is the table's. */
msgsrv_status msi_feed_init(msi_feed *feed, msi_remote *bus, const msi_feed_ops *ops, const msgsrv_message_type *type,
                            void *ctx, msgsrv_error *error);
void msi_feed_unref(msi_feed *feed);
/* Begins: opens its stream, here or on the loop's thread. On failure the feed is gone. */
msgsrv_status msi_feed_start(msi_feed *feed, msgsrv_handle *handle, msgsrv_error *error);
/* The server knows it. */
void msi_feed_ready(msi_feed *feed);
/* Whether nothing more may be told to the program. */
static inline bool msi_feed_over(const msi_feed *feed)
{
    return feed->stopped || feed->ended;
}
/* Ends it and tells so, once. */
void msi_feed_end(msi_feed *feed, msgsrv_status code, bool from_peer, const char *text);
/* Gives it up because the server is wrong. */
void msi_feed_fail(msi_feed *feed, const msgsrv_error *error);
/* Decodes an event's payload for a typed feed: event->message is set, and to be released. */
msgsrv_status msi_feed_decode(msi_feed *feed, msgsrv_event *event, msgsrv_error *error);
void msi_feed_release_message(msi_feed *feed, msgsrv_event *event);

/* ---- the handle ---- */

/* A function to be called on the loop's thread, not inside the one that asks for it. */
typedef struct msi_later {
    struct msi_later *next;
    msgsrv_bus_done_fn done;
    void *ctx;
    msgsrv_error error;
} msi_later;

/* A descriptor that the server is to be told. */
typedef struct msi_declaration {
    struct msi_declaration *next;
    msi_buf request;
} msi_declaration;

/* A delivery that is not settled: its id in the handle's table. */
typedef struct msi_unsettled {
    msi_idnode node;
    msi_feed *consumer;
    uint64_t id; /* the server's */
    TAILQ_ENTRY(msi_unsettled) of_consumer;
} msi_unsettled;

struct msi_remote {
    msgsrv_bus bus; /* the first */
    msgsrv_client *client;
    msi_log log;
    char name[64];
    uint32_t timeout_ms;
    uint32_t max_unanswered;
    uint32_t max_event;
    void (*on_writable)(msgsrv_bus *bus, void *ctx);
    void *ctx;
    atomic_uint refs;
    atomic_bool closing;

    pthread_mutex_t lock;
    msi_idmap feeds;
    msgsrv_handle last_handle;
    msi_idmap unsettled;
    uint64_t last_delivery;
    msi_lane publish;
    bool wants_writable; /* a publication was refused */
    uint64_t *declared;  /* hashes of what the server was told, in a table; 0: empty */
    size_t declared_size;
    size_t declared_count;
    msi_declaration *declarations;
    msi_declaration **declarations_end;
    msi_later *laters;
    msi_later **laters_end;
    msi_lane *queued; /* lanes to be pumped */
    bool wake_posted;

    msi_post wake_post;
    msi_task task;
    bool publishing;        /* the stream was asked for */
    bool publishing_failed; /* could not be opened; its end is still to be told */
    msgsrv_error publishing_error;
    uint64_t told; /* counts what the program was told */

    atomic_uint_fast64_t published;
    atomic_uint_fast64_t refused;
    atomic_uint_fast64_t delivered;
    atomic_uint_fast64_t lost;
    atomic_uint_fast64_t subscriptions;
    atomic_uint_fast64_t consumers;
    atomic_uint_fast64_t requests;
};

static inline msi_remote *msi_remote_of(msgsrv_bus *bus)
{
    return (msi_remote *)(void *)bus;
}

static inline msi_remote *msi_remote_ref(msi_remote *bus)
{
    atomic_fetch_add(&bus->refs, 1);
    return bus;
}
void msi_remote_unref(msi_remote *bus);

static inline bool msi_remote_closing(const msi_remote *bus)
{
    return atomic_load_explicit(&bus->closing, memory_order_acquire);
}

static inline void msi_count_up(atomic_uint_fast64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* A function of the program's: whether it may be called here, and on which thread we are. */
typedef struct msi_remote_bracket {
    bool foreign; /* not the loop's thread: post */
    bool inside;
    msi_loop *before;
} msi_remote_bracket;
msgsrv_status msi_remote_enter(msi_remote *bus, msi_remote_bracket *bracket, msgsrv_error *error);
void msi_remote_leave(msi_remote *bus, const msi_remote_bracket *bracket);

/* Has the lanes, declarations and what is to be told seen to soon. With the lock, on any thread. */
void msi_remote_wake(msi_remote *bus, bool foreign);
void msi_remote_wake_lane(msi_lane *lane, bool foreign);
/* Takes a lane that goes off the list, for good. */
void msi_remote_forget_lane(msi_lane *lane);
/* Does it now; on the loop's thread, without the lock. */
void msi_remote_work(msi_remote *bus);

/* `done` is called with this later. false without memory. */
bool msi_remote_later(msi_remote *bus, bool foreign, msgsrv_bus_done_fn done, void *ctx, const msgsrv_error *error);

/* Publishing (remote_publish.c). */
void msi_publish_init(msi_remote *bus);
void msi_publish_pump(msi_remote *bus);        /* on the loop's thread: opens the stream if it is needed */
void msi_publish_tell_failed(msi_remote *bus); /* in the task: that it could not be opened */
void msi_publish_forget(msi_remote *bus);      /* a connection was lost: another server may be there now */
void msi_declarations_send(msi_remote *bus);
void msi_declarations_free(msi_declaration *declarations);
msgsrv_status msi_remote_publish(msgsrv_bus *bus, const msi_publication *publication, bool wait,
                                 msgsrv_receipt *receipt, msgsrv_published_fn done, void *ctx, msgsrv_error *error);
/* Sees to it that a publication's descriptor is told before it is sent. */
void msi_remote_declare_once(msi_remote *bus, const msi_publication *publication);

msgsrv_status msi_remote_subscribe(msgsrv_bus *handle, const msgsrv_message_type *type,
                                   const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                   void *ctx, msgsrv_handle *number, msgsrv_error *error);
void msi_remote_unsubscribe(msgsrv_bus *handle, msgsrv_handle subscription);
msgsrv_status msi_remote_consume(msgsrv_bus *handle, const char *queue, const msgsrv_message_type *type,
                                 const msgsrv_consume_options *options, const msgsrv_consumer *told, void *ctx,
                                 msgsrv_handle *number, msgsrv_error *error);
msgsrv_status msi_remote_settle(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                                const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);

/* Unary calls (remote_ask.c). */
msgsrv_status msi_remote_request(msgsrv_bus *bus, const msi_publication *publication, uint32_t timeout_ms,
                                 msgsrv_replied_fn done, void *ctx, msgsrv_error *error);
msgsrv_status msi_remote_reply(msgsrv_bus *bus, uint64_t request, msi_view type, msi_view payload,
                               msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
msgsrv_status msi_remote_declare_topic(msgsrv_bus *bus, const char *topic, const char *type,
                                       const msgsrv_proto_file *file, uint32_t retain, msgsrv_bus_done_fn done,
                                       void *ctx, msgsrv_error *error);
msgsrv_status msi_remote_declare_queue(msgsrv_bus *bus, const char *queue, const msgsrv_queue_options *options,
                                       msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
msgsrv_status msi_remote_delete_queue(msgsrv_bus *bus, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                      msgsrv_error *error);
msgsrv_status msi_remote_peek(msgsrv_bus *bus, const char *queue, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                              msgsrv_error *error);
msgsrv_status msi_remote_retry(msgsrv_bus *bus, const char *queue, uint64_t id, uint64_t *count, msgsrv_error *error);
msgsrv_status msi_remote_purge(msgsrv_bus *bus, const char *queue, uint64_t *count, msgsrv_error *error);
msgsrv_status msi_remote_queue_info(msgsrv_bus *bus, const char *queue, msgsrv_queue_info *info, msgsrv_error *error);
/* Waits for a call's answer: bytes of the caller's, to be freed. `out` is consumed. */
msgsrv_status msi_remote_call(msi_remote *bus, msi_bus_method method, msi_writer *request, msgsrv_bytes *response,
                              msgsrv_error *error);

#endif
