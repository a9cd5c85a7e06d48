/* SPDX-License-Identifier: MIT */
/*
 * A bus under test: one engine, handles on it, and what their subscriptions and consumers were told, written down. Everything runs in the
 * test's own thread but the server of the remote engine, which has one of its own. A test drives its handles until what it waits for has
 * happened; a handle that it stalls is not driven. Running out of memory or time ends the test.
 */
#ifndef TESTS_BUS_WORLD_H
#define TESTS_BUS_WORLD_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/bus.h>

#include "guard.h"

/* The type that most tests publish; it has no descriptor. Its field 1 is a number, and what is in field 15 is padding. */
#define BT_TYPE "conf.Number"

/* Which engine, and what it can; set once by main(). */
typedef struct bt_engine {
    const char *name;
    bool remote;              /* a server and sockets are between the handles and the bus */
    bool base;                /* handles are on an event_base of the caller's, else on private loops */
    const char *const *lacks; /* the capabilities that it has not; ended by NULL */
} bt_engine;
extern bt_engine bt_engine_used;

typedef struct bt_handle {
    msgsrv_bus *bus; /* NULL: freed */
    struct event_base *base;
    bool stalled; /* not driven */
} bt_handle;

#define BT_HANDLES 64
#define BT_LOG_LINES 64

typedef struct bt_sub bt_sub;
typedef struct bt_consumer bt_consumer;

typedef struct bt_world {
    char url[96];
    unsigned generation;        /* of the bus: part of its name */
    msgsrv_bus_options options; /* of the bus itself */
    msgsrv_bus *host;           /* remote: the bus that is served; never driven */
    msgsrv_server *server;
    bt_handle *admin; /* a private loop: for what is synchronous */
    bt_handle *pub;   /* and one to publish with */
    bt_handle handles[BT_HANDLES];
    size_t handle_count;
    uint64_t told; /* callbacks so far */
    bt_sub *subs;
    bt_consumer *consumers;
    pthread_mutex_t log_mutex;
    unsigned log_count;
    char log[BT_LOG_LINES][320];
} bt_world;
extern bt_world bt;

/* Makes the bus anew; options NULL: defaults. For the remote engine the server as well. */
void bt_open(const msgsrv_bus_options *options);
void bt_close(void);
/* Forgets what has ended, and what it was told. */
void bt_clean(void);
/* The same in the middle of a test: everything that was there is gone. */
void bt_reopen(const msgsrv_bus_options *options);

/* Remote: the server goes, with its connections; and comes again at the same address, with the same bus or a new one. */
void bt_server_stop(void);
void bt_server_start(bool new_bus);

/* A further handle. */
bt_handle *bt_handle_new(const char *name);
bt_handle *bt_handle_with(const msgsrv_bus_options *options);
void bt_free(bt_handle *handle);   /* in callbacks too */
void bt_forget(bt_handle *handle); /* frees the newest one, whose place the next gets; not in callbacks */

/* Drives all that is not stalled, once. Returns whether something was told. */
bool bt_turn(void);
void bt_turn_until(uint64_t end, const char *what, const char *file, int line);
#define BT_UNTIL(condition)                                         \
    do {                                                            \
        uint64_t bt_end_ = ts_guard();                              \
        while (!(condition))                                        \
            bt_turn_until(bt_end_, #condition, __FILE__, __LINE__); \
    } while (0)
/* Everything that was published before has reached those who are driven: an event of its own goes round. */
void bt_settle_down(void);

/* Text that the log has had, in any line. */
unsigned bt_logged(const char *part);

/* ---- publishing ---- */

typedef struct bt_published {
    unsigned done;
    unsigned refused;
    msgsrv_status status; /* of the last */
    msgsrv_receipt receipt;
    char text[MSGSRV_ERROR_TEXT];
} bt_published;

/* An encoded conf.Number, `size` bytes or the fewest that it takes; returns how many. */
size_t bt_encode(uint8_t *out, int64_t value, size_t size);
int64_t bt_decode(const void *payload, size_t size);

/* Publishes and waits for the outcome, whatever it is. */
msgsrv_status bt_try(bt_handle *handle, const char *topic, const char *type, const void *payload, size_t size,
                     const msgsrv_publish_options *options, msgsrv_receipt *receipt, msgsrv_error *error);
/* The same with a conf.Number, which has to be accepted. */
msgsrv_receipt bt_publish(bt_handle *handle, const char *topic, int64_t value);
msgsrv_receipt bt_publish_with(bt_handle *handle, const char *topic, int64_t value,
                               const msgsrv_publish_options *options);
/* The numbers from first to last, of `size` bytes each, without waiting for each. */
void bt_publish_many(bt_handle *handle, const char *topic, int64_t first, int64_t last, size_t size);
/* Starts one; `published->done` tells its end. May drive, when there is no room. */
void bt_publish_start(bt_handle *handle, const char *topic, int64_t value, size_t size,
                      const msgsrv_publish_options *options, bt_published *published);

/* ---- subscribing ---- */

typedef struct bt_gap_topic {
    char *topic;
    uint64_t first;
    uint64_t last;
    uint64_t count;
} bt_gap_topic;

typedef struct bt_gap {
    uint64_t total;
    bool unknown;
    msgsrv_gap_reason reason;
    size_t topic_count;
    bt_gap_topic topics[MSGSRV_GAP_TOPICS];
} bt_gap;

typedef struct bt_item {
    bt_gap *gap; /* NULL: an event */
    char *topic;
    char *type;
    char publisher[64];
    uint64_t sequence;
    uint64_t epoch;
    uint64_t time_us;
    uint64_t replaced;
    uint64_t request;
    int64_t value; /* of a conf.Number */
    size_t size;
    bool retained;
    bool redelivered;
} bt_item;

struct bt_sub {
    bt_handle *handle;
    msgsrv_handle id;
    bt_item *items;
    size_t count;
    size_t room;
    size_t events; /* of the items */
    size_t gaps;
    unsigned ready;
    unsigned ended;
    msgsrv_status status;
    char text[MSGSRV_ERROR_TEXT];
    bt_gap *end_gap;
    void (*on_event)(bt_sub *sub, const msgsrv_event *event); /* after it was written down; optional, as are the others */
    void (*on_gap)(bt_sub *sub, const msgsrv_gap *gap);
    void (*on_ready)(bt_sub *sub);
    void (*on_end)(bt_sub *sub);
    void *ctx;
    bt_sub *next;
};

/* Subscribes and waits until it is ready. NULL options: everything. */
bt_sub *bt_subscribe(bt_handle *handle, const msgsrv_subscribe_options *options);
bt_sub *bt_subscribe_to(bt_handle *handle, const char *pattern);
/* Without waiting; the status of the function is in `status` when it did not start, which `ended` counts as an end. `hooks`: optional. */
bt_sub *bt_subscribe_start(bt_handle *handle, const msgsrv_message_type *type, const msgsrv_subscribe_options *options,
                           const bt_sub *hooks);
/* It has to be refused, at once or by its end; the text contains both parts (or NULL). */
void bt_subscribe_refused(bt_handle *handle, const msgsrv_subscribe_options *options, msgsrv_status status,
                          const char *part, const char *other);
void bt_unsubscribe(bt_sub *sub); /* and waits for its end */

/* The event at an index among the events; the gap at one among the gaps. */
const bt_item *bt_event_at(const bt_sub *sub, size_t index);
const bt_gap *bt_gap_at(const bt_sub *sub, size_t index);
/* What all gaps have in total. */
uint64_t bt_gap_total(const bt_sub *sub);
/* Which entry of a gap is a topic's; fails without. */
const bt_gap_topic *bt_gap_of(const bt_gap *gap, const char *topic);

/*
 * Each sequence of a topic from first to last was told once, in order: as an event, as one that another one replaced, or in a gap at the
 * place where it is missing.
 */
void bt_check_told(const bt_sub *sub, const char *topic, uint64_t first, uint64_t last);
/* The last sequence that was told of a topic; 0: none. */
uint64_t bt_told_last(const bt_sub *sub, const char *topic);

/* ---- queues ---- */

typedef struct bt_delivery {
    uint64_t id;
    uint32_t count;
    int64_t value;
    uint64_t sequence;
    uint64_t at_ms;
    bool redelivered;
    char *topic;
} bt_delivery;

struct bt_consumer {
    bt_handle *handle;
    msgsrv_handle id;
    bt_delivery *items;
    size_t count;
    size_t room;
    unsigned ready;
    unsigned ended;
    msgsrv_status status;
    char text[MSGSRV_ERROR_TEXT];
    msgsrv_status answer; /* what a message's function returns */
    msgsrv_status (*on_message)(bt_consumer *consumer, const msgsrv_delivery *delivery); /* instead of `answer` */
    void (*on_ready)(bt_consumer *consumer);
    void (*on_end)(bt_consumer *consumer);
    void *ctx;
    bt_consumer *next;
};

typedef struct bt_done {
    unsigned done;
    msgsrv_status status;
    char text[MSGSRV_ERROR_TEXT];
} bt_done;
void bt_on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx);

/* They fail the test when they do not succeed; the other one returns what it was. */
void bt_declare_queue(const char *queue, const msgsrv_queue_options *options);
msgsrv_status bt_try_declare_queue(const char *queue, const msgsrv_queue_options *options, msgsrv_error *error);
void bt_declare_topic(const char *topic, const char *type, const msgsrv_proto_file *file, uint32_t retain);
msgsrv_status bt_try_declare_topic(const char *topic, const char *type, const msgsrv_proto_file *file, uint32_t retain,
                                   msgsrv_error *error);
/* A queue of patterns, ended by NULL. */
void bt_queue_of(const char *queue, const msgsrv_queue_options *options, const char *pattern, ...)
    __attribute__((sentinel));

bt_consumer *bt_consume(bt_handle *handle, const char *queue, uint32_t prefetch, msgsrv_status answer);
bt_consumer *bt_consume_start(bt_handle *handle, const char *queue, const msgsrv_message_type *type,
                              const msgsrv_consume_options *options, const bt_consumer *hooks);
void bt_consume_end(bt_consumer *consumer);
/* Settles and waits for the confirmation. */
msgsrv_status bt_settle(bt_handle *handle, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                        const char *reason);
/* What a queue holds now. */
msgsrv_queue_info bt_info(const char *queue);

/* What bt_peek() saw. */
typedef struct bt_peeked {
    size_t count;
    struct {
        int64_t value;
        uint64_t id;
        uint32_t count;
        bool unsettled;
        uint64_t not_before_us;
        uint64_t expires_us;
        uint64_t died_us;
        uint32_t deaths;
        char reason[32];
        char first_error[256];
        char last_error[256];
        char topic[256];
    } at[64];
} bt_peeked;
bt_peeked *bt_peek(const char *queue); /* lives until the next */

/* ---- expectations ---- */

void bt_expect_at(msgsrv_status want, msgsrv_status got, const char *text, const char *what, const char *file, int line);
#define BT_STATUS(want, got, text) bt_expect_at(want, got, text, #got, __FILE__, __LINE__)
void bt_contains_at(const char *text, const char *part, const char *file, int line);
#define BT_CONTAINS(text, part) bt_contains_at(text, part, __FILE__, __LINE__)

#endif
