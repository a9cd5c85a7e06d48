/* SPDX-License-Identifier: MIT */
/*
 * What the files of the queue share.
 *
 *   queue.c          what is put, taken and settled, and what time brings
 *   queue_box.c      the states of a message
 *   queue_dead.c     how a message dies, and what becomes of dead letters
 *   queue_dedup.c    ids that are recognised
 *   queue_look.c     looking at it
 *
 * A queue has two boxes: of its messages, and of its dead letters. A message gets an id, from one counter of the queue, when it comes into
 * a box; so all that is in a box is in the order of its ids without being sorted. What can be taken is the union of two sets: the
 * fresh ones, a list, and those that have come back or whose time has come, ordered by id.
 *
 *   state       in, besides the box's list of all
 *   fresh       box->fresh; queue->timers when it can expire
 *   returned    box->returned; queue->timers when it can expire
 *   delayed     queue->timers
 *   unsettled   queue->unsettled, in the order of the ends of ack-wait; queue->deliveries; its consumer's ring
 */
#ifndef MSI_BUS_QUEUE_INTERNAL_H
#define MSI_BUS_QUEUE_INTERNAL_H

#include "base/container.h"
#include "base/idmap.h"
#include "bus/names.h"
#include "bus/order.h"
#include "bus/queue.h"

/* Bytes of what a consumer says of a failure that are kept: of a message's first and last one. */
#define MSI_QUEUE_ERROR_MAX 255u

/* Messages whose memory is kept for the next ones. */
#ifndef MSI_QUEUE_SPARE_MAX
#define MSI_QUEUE_SPARE_MAX 256u
#endif

typedef enum msi_message_state { MSI_FRESH, MSI_RETURNED, MSI_DELAYED, MSI_UNSETTLED } msi_message_state;

typedef struct msi_message {
    struct msi_message *older; /* in its box, by id */
    struct msi_message *newer;
    struct msi_message *previous; /* among the fresh or the unsettled ones; spare ones have `next` alone */
    struct msi_message *next;
    msi_event *event;
    char *first_error; /* owned; NULL: none */
    char *last_error;
    const char *reason; /* of its death; static */
    msi_idnode letter;  /* its id, in any box; in queue->letters when it is dead */
    uint64_t ttl_ns;    /* 0: none */
    uint64_t expires;   /* 0: never */
    uint64_t died;
    msi_order_node timer; /* its key: when a delayed one is due, or one that can be taken expires */
    union {
        msi_order_node place; /* returned */
        uint64_t not_before;  /* delayed */
        struct {              /* unsettled */
            msi_idnode delivery;
            msi_queue_consumer *consumer;
            uint64_t ack_end;
            struct msi_message *holder_previous; /* a ring */
            struct msi_message *holder_next;
        };
    };
    uint32_t count;      /* deliveries, of a dead letter those before its death */
    uint32_t dead_count; /* and those since */
    uint32_t deaths;
    uint8_t state;
    bool dead;
    bool timed; /* in queue->timers */
} msi_message;

typedef struct msi_message_list {
    msi_message *first;
    msi_message *last;
} msi_message_list;

typedef struct msi_box {
    msi_message *oldest; /* of all */
    msi_message *newest;
    msi_message *shown; /* where the next peek probably begins */
    msi_message_list fresh;
    msi_order returned;
    uint64_t count;
    uint64_t bytes;
    uint64_t ready; /* of them, fresh or returned */
    uint64_t ready_bytes;
    uint64_t unsettled;
    uint64_t delayed;
    bool told; /* that there is something to take */
} msi_box;

/* An id that is recognised. */
typedef struct msi_known_id {
    msi_name_node node;
    struct msi_known_id *newer;
    uint64_t end;
    uint64_t sequence;
    size_t room;
    uint8_t bytes[];
} msi_known_id;

typedef struct msi_known_ids {
    msi_names names;
    msi_known_id *oldest;
    msi_known_id *newest;
    msi_known_id *spare; /* for the put that follows a check */
} msi_known_ids;

struct msi_queue {
    char *name;
    msi_queue_settings settings;
    msi_queue_ready_fn ready;
    msi_queue_lost_fn lost;
    void *ctx;
    uint64_t now; /* the latest that a caller has said: time does not go back */
    uint64_t last_id;
    uint64_t next_delivery; /* of a block that is this queue's */
    uint64_t deliveries_left;
    msi_box box[2]; /* [true]: the dead letters */
    msi_order timers;
    msi_message_list unsettled;
    msi_idmap deliveries;
    msi_idmap letters; /* dead ones, by id */
    msi_known_ids ids;
    msi_message *spare;
    uint32_t spare_count;
    msgsrv_queue_info info; /* what it counts; the rest is filled when asked for */
};

/* queue_box.c. Which id a message gets, and that it is in a box. */
void msi_message_enter(msi_queue *queue, msi_message *message, bool dead);
void msi_message_leave(msi_queue *queue, msi_message *message); /* in no state */
/* States; from none. */
void msi_message_fresh(msi_queue *queue, msi_message *message);
void msi_message_return(msi_queue *queue, msi_message *message);
void msi_message_delay(msi_queue *queue, msi_message *message, uint64_t until);
void msi_message_hand_out(msi_queue *queue, msi_message *message, msi_queue_consumer *consumer, uint64_t delivery);
/* To none, from any. */
void msi_message_detach(msi_queue *queue, msi_message *message);
/* More time with its consumer. */
void msi_message_extend(msi_queue *queue, msi_message *message);
/* Whose turn it is, or NULL. */
msi_message *msi_box_first(const msi_box *box);
/* Memory: of none, in no box. */
bool msi_message_reserve(msi_queue *queue);
msi_message *msi_message_new(msi_queue *queue); /* NULL: nothing was reserved */
void msi_message_free(msi_queue *queue, msi_message *message);

/* queue_dead.c. Of a message in a box of the living, in no state. */
void msi_message_die(msi_queue *queue, msi_message *message, const char *reason);
/* Drops dead letters that are too many. */
void msi_dead_trim(msi_queue *queue);
/* Keeps what a consumer has said; without memory, nothing. */
void msi_message_said(msi_message *message, const char *reason);

/* queue_dedup.c */
const msi_known_id *msi_ids_find(const msi_queue *queue, msi_view id);
bool msi_ids_reserve(msi_queue *queue, msi_view id);
void msi_ids_add(msi_queue *queue, msi_view id, uint64_t sequence); /* after a reservation for it */
void msi_ids_expire(msi_queue *queue);
void msi_ids_release(msi_queue *queue);

/* queue.c. Says that there is something to take, where that is new. The last thing that a function does. */
void msi_queue_tell(msi_queue *queue);
/* Whether one more fits; `dropping`: without those that can be dropped. */
bool msi_queue_fits(const msi_queue *queue, size_t size, bool dropping);

static inline uint64_t msi_later(uint64_t now, uint64_t by)
{
    return by > UINT64_MAX - now ? UINT64_MAX : now + by;
}

#endif
