/* SPDX-License-Identifier: MIT */
/*
 * What the core is made of; core.h says how others see it. One lock guards all of it. Functions here are called with the lock.
 *
 *   core.c     the core itself: lock, references, what is done after unlocking, statistics
 *   topic.c    topics: finding, binding to a type, forgetting, who gets their events (routes)
 *   publish.c  from a publication to the engine and to what waits
 *   sub.c      subscriptions: subscribing, taking, ending
 *   late.c     what a subscription gets before the live events: retained ones, and what it missed
 *   group.c    sharing events among members
 *   request.c  requests and their answers
 *   queues.c   queues of the engine, and their takers
 *   look.c     for those who look
 */
#ifndef MSI_BUS_CORE_INTERNAL_H
#define MSI_BUS_CORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/idmap.h"
#include "base/random.h"
#include "bus/bus.h"
#include "bus/match.h"
#include "bus/names.h"
#include "bus/waiting.h"

#define MSI_SUB_EVENTS 1024u
#define MSI_SUB_BYTES (8u * 1024 * 1024)
#define MSI_SUB_EVENTS_MAX 1000000u
#define MSI_SUB_BYTES_MIN 4096u
#define MSI_RETAIN_MAX 1000u
#define MSI_PREFETCH 256u
#define MSI_PREFETCH_MAX 100000u
#define MSI_BINDINGS_MAX 64u
#define MSI_GROUP_WINDOW 64u /* events that one member may have and not have got */
#define MSI_SEEN_MAX 1000u
#define MSI_DEAD_PREFIX "$dlq."
#define MSI_STALLED_NS 1000000000ull

/* ---- what is matched ---- */

typedef enum binding_kind { BINDS_SUB, BINDS_GROUP, BINDS_QUEUE } binding_kind;

/* A pattern, and what it is for. Embedded there. */
typedef struct binding {
    msi_match_entry entry;
    binding_kind kind;
    msi_view pattern; /* memory of whom it is for */
    void *of;         /* msi_sub, group or core_queue */
} binding;

/* ---- topics ---- */

typedef struct route {
    void *to; /* a msi_sub or a group */
    bool is_group;
    uint64_t hint; /* see msi_waiting_push() */
} route;

typedef struct topic {
    msi_name_node node;
    TAILQ_ENTRY(topic) all; /* by activity: those that were idle longest come first */
    msi_topic_name *name;   /* a reference; made anew when it is bound */
    msi_engine_log *log;    /* NULL as long as nothing was appended or declared */
    uint64_t sequence;
    uint64_t generation; /* of the routes below; another one than the core's: they are to be made anew */
    route *routes;
    uint32_t route_count;
    uint32_t route_room;
    struct core_queue **queues;
    msi_engine_queue **engine_queues; /* the same, for the engine */
    uint32_t queue_count;
    uint32_t queue_room;
    msi_sub **responders;
    uint32_t responder_count;
    uint32_t responder_room;
    uint32_t publishers;
    uint32_t retain;
    const msgsrv_message_type *described; /* the code whose descriptors were told with a publication on it */
    bool declared;
    bool retaining; /* on the core's list of those that do */
    TAILQ_ENTRY(topic) retainers;
    uint64_t events;
    uint64_t bytes;
    uint64_t last_time_us;
    uint64_t first_position; /* of its first event, and of its last one; 0: none yet */
    uint64_t last_position;
    bool touched;    /* something has happened on it since it was last looked at */
    uint64_t active; /* a moment: when it was */
    SLIST_HEAD(topic_uses, use) uses;
} topic;

/* That a publisher has published on a topic. */
typedef struct use {
    msi_idnode node; /* in the publisher's map, by the topic's address */
    SLIST_ENTRY(use) of_topic;
    msi_publisher *publisher;
    topic *on;
    uint64_t events;
} use;

struct msi_publisher {
    msi_core *core; /* a reference */
    LIST_ENTRY(msi_publisher) all;
    msi_idmap uses;
    use *last;     /* what was published on last */
    use untracked; /* stands for topics beyond those that are remembered */
    size_t name_size;
    char *peer; /* in `name` */
    char name[];
};

/* ---- subscriptions ---- */

/* Retained events that a new subscription has still to get of one topic. */
typedef struct late_topic {
    msi_topic_name *name; /* a reference */
    uint64_t next;
    uint64_t end; /* the first that comes live */
} late_topic;

typedef struct late {
    late_topic *topics;
    uint32_t count;
    uint32_t room;
    uint32_t at;
    msi_waiting pinned; /* read already, so that they do not go when newer ones are retained */
} late;

struct msi_sub {
    msi_core *core; /* a reference */
    LIST_ENTRY(msi_sub) all;
    TAILQ_ENTRY(msi_sub) of_group;
    binding bound;
    struct group *group;
    msi_view type;
    bool responder;
    bool wants_bytes;
    const msgsrv_message_type *struct_type;
    void (*ready)(msi_sub *sub, void *ctx);
    void *ctx;
    bool armed; /* ready() is to be called when something comes */
    msi_waiting waiting;
    late *late;              /* NULL: there is none any more */
    msi_waiting_item *given; /* of the last take */
    size_t given_count;
    size_t given_room;
    /* Of a group's member: dealt to it and not got, in order; those up to `taken` were taken. */
    msi_waiting_item *dealt;
    size_t dealt_room; /* a power of two */
    uint64_t dealt_head;
    uint64_t dealt_taken;
    uint64_t dealt_tail;
    LIST_HEAD(sub_requests, core_request) requests; /* that it has not answered */
    uint32_t open_requests;
    bool ended; /* the bus has ended it */
    bool end_taken;
    msgsrv_status end_status;
    char end_text[MSGSRV_ERROR_TEXT];
    msi_gap *end_gap;
    uint64_t delivered;
    const char *name;
    const char *peer;
    const char *group_name; /* "" */
    char text[];
};

/* ---- groups ---- */

typedef struct group {
    msi_name_node node;
    msi_core *core;
    binding bound;
    msi_view type;
    msi_waiting waiting;
    TAILQ_HEAD(group_members, msi_sub) members; /* the one that was dealt to last is the last */
    uint32_t member_count;
    char text[];
} group;

/* ---- requests ---- */

typedef struct core_request {
    msi_idnode node;
    LIST_ENTRY(core_request) of_responder;
    msi_sub *responder;
    msi_answer_fn answer;
    void *ctx;
    /* When it fails: until the lock is given back. */
    STAILQ_ENTRY(core_request) failed;
    msgsrv_status status;
    const char *text;
} core_request;

/* ---- queues ---- */

typedef struct core_queue {
    msi_name_node node;
    msi_core *core;
    TAILQ_ENTRY(core_queue) all;
    msi_engine_queue *queue;
    msi_queue_settings settings;
    LIST_HEAD(queue_takers, msi_taker) takers;
    uint32_t taker_count;
    uint32_t dead_taker_count;
    const char **patterns;
    uint32_t pattern_count;
    const char **types;
    uint32_t type_count;
    binding *bindings; /* one for each pattern */
    uint64_t refused;
    uint64_t lost; /* messages that went without a dead letter, and dead letters that were dropped */
    char text[];   /* its name, and all texts above */
} core_queue;

struct msi_taker {
    msi_core *core;    /* a reference */
    core_queue *queue; /* NULL: it was deleted */
    LIST_ENTRY(msi_taker) all;
    msi_queue_consumer consumer;
    bool dead; /* of the dead letters */
    bool wants_bytes;
    uint32_t prefetch;
    void (*ready)(msi_taker *taker, void *ctx);
    void *ctx;
    bool armed;
    msi_event **given; /* of the last take */
    size_t given_count;
    size_t given_room;
    const char *name;
    const char *peer;
    char text[];
};

/* ---- the core ---- */

/* A topic that was forgotten, for subscriptions that were away meanwhile. */
typedef struct forgotten {
    msi_topic_name *name; /* a reference; NULL: none */
    uint64_t sequence;
    uint64_t first_position;
    uint64_t last_position;
} forgotten;

#define CORE_FORGOTTEN 256u

#define LOG_LINES 16u
#define CORE_KNOWN_TYPES 64u

/* A type of this process's code whose descriptors the core has. */
typedef struct known_type {
    const msgsrv_message_type *type;
    const msgsrv_proto_file *file;
} known_type;

struct msi_core {
    pthread_mutex_t lock;
    atomic_uint refs;
    msi_core_limits limits;
    TAILQ_HEAD(core_sinks, msi_core_sink) sinks;
    unsigned writing; /* threads that are in a function of the log's */
    pthread_cond_t written;
    const msi_engine_ops *ops;
    msi_engine *engine;
    msi_event_pool pool;
    uint64_t epoch;
    uint64_t position;
    uint64_t generation; /* changes with every subscription, group and queue */
    msi_types *types;    /* with the lock that follows, so that what peers send is not parsed with the core's own */
    pthread_mutex_t types_lock; /* with the core's it is only tried */
    known_type known_types[CORE_KNOWN_TYPES];
    msi_matcher *matcher;
    msi_names topics;
    msi_names groups;
    msi_names queues;
    TAILQ_HEAD(core_topics, topic) all_topics;
    TAILQ_HEAD(core_retainers, topic) retainers;
    LIST_HEAD(core_subs, msi_sub) subs;
    TAILQ_HEAD(core_queues, core_queue) all_queues;
    LIST_HEAD(core_publishers, msi_publisher) publishers;
    msi_idmap requests;
    forgotten forgotten[CORE_FORGOTTEN]; /* the last ones: a ring */
    uint32_t forgotten_at;
    uint64_t forgotten_before; /* the last position of those that are in it no more */
    uint64_t swept;            /* a moment: idle topics were looked for */
    uint32_t sub_count;
    uint32_t taker_count;
    uint64_t published;
    uint64_t refused;
    uint64_t delivered;
    uint64_t lost; /* of subscriptions and groups that are gone; see msi_core_stats() */
    uint64_t unmatched;
    /* Done after the lock was given back. */
    STAILQ_HEAD(core_failed, core_request) failed;
    unsigned log_count;
    char *log_lines[LOG_LINES];
};

/* A line for the log, written after unlocking; beyond LOG_LINES of one lock they are dropped. */
void msi_core_log(msi_core *core, const char *format, ...) MSGSRV_PRINTF(2, 3);

/* topic.c */
topic *msi_topic_find(msi_core *core, msi_view name);
/* Finds or makes it, unbound. NULL: RESOURCE_EXHAUSTED. */
topic *msi_topic_get(msi_core *core, msi_view name, msgsrv_error *error);
/* Binds it to a type; OK if it is already. FAILED_PRECONDITION names both. */
msgsrv_status msi_topic_bind(msi_core *core, topic *on, msi_view type, msgsrv_error *error);
/* What it was bound for was accepted: subscriptions to exactly it, with another type, end. Or was not, and it is bound no more. */
void msi_topic_bound(msi_core *core, topic *on);
void msi_topic_unbind(msi_core *core, topic *on);
msgsrv_status msi_topic_open_log(msi_core *core, topic *on, msgsrv_error *error);
void msi_topic_drop(msi_core *core, topic *on);
bool msi_topic_route(msi_core *core, topic *on); /* makes its routes anew, if need be; false without memory */
void msi_topics_sweep(msi_core *core, uint64_t now);
void msi_topics_free(msi_core *core);
static inline bool topic_routed(const msi_core *core, const topic *on)
{
    return on->generation == core->generation;
}

/* The topic of a publication, and what was done to it for that. */
typedef struct found_topic {
    topic *on;
    bool made;
    bool bound;
} found_topic;

/* publish.c */
/* The publication was accepted, which is final for its topic; or it was not, and the topic is as it was. */
void msi_topic_settle(msi_core *core, const found_topic *found, bool accepted);
use *msi_publisher_use(msi_publisher *publisher, topic *on);
void msi_use_free(use *u);
/* The event of a request, which has no sequence; and its topic, to be settled also on failure. */
msgsrv_status msi_core_make_request(msi_publisher *publisher, const msi_publication *publication, uint64_t request,
                                    found_topic *found, msi_event **event, msgsrv_error *error);

/* sub.c */
void msi_sub_wake(msi_sub *sub);
void msi_sub_end(msi_sub *sub, msgsrv_status status, msi_gap *gap, const char *format, ...) MSGSRV_PRINTF(4, 5);
/* An event for it. */
void msi_sub_push(msi_sub *sub, msi_event *event, uint64_t *hint);

/* late.c */
msgsrv_status msi_late_begin(msi_sub *sub, const msi_sub_spec *spec, msgsrv_error *error);
bool msi_late_pop(msi_sub *sub, msi_waiting_item *item);
void msi_late_free(msi_sub *sub);

/* group.c */
msgsrv_status msi_group_join(msi_sub *sub, const msi_sub_spec *spec, msgsrv_error *error);
void msi_group_leave(msi_sub *sub);
void msi_group_push(group *to, msi_event *event, uint64_t *hint);
/* The next that was dealt to a member; it keeps the reference until it is got. */
bool msi_group_pop(msi_sub *member, msi_waiting_item *item, uint64_t *ticket);
/* What was popped last with this ticket has become another item. */
void msi_group_exchange(msi_sub *member, uint64_t ticket, const msi_waiting_item *item);
void msi_group_got(msi_sub *member, uint64_t ticket);

/* request.c */
void msi_requests_of_gone(msi_sub *responder);

/* queues.c */
void msi_queues_free(msi_core *core);
void msi_queue_info(core_queue *queue, msgsrv_queue_info *info);
void msi_queue_on_ready(void *core, void *queue);
void msi_queue_on_lost(void *core, void *queue, const msi_event *event, const char *reason);

#endif
