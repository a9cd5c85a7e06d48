/* SPDX-License-Identifier: MIT */
/*
 * What a queue should do, as plainly as it can be said: an array of messages without order, in which everything is found by looking at all.
 */
#ifndef TESTS_BUS_QUEUE_MODEL_H
#define TESTS_BUS_QUEUE_MODEL_H

#include "bus/queue.h"

#define MODEL_MESSAGES 1024u /* in both boxes */
#define MODEL_IDS 64u        /* that can be published with: "" and 1 to 63 */

typedef enum model_state { MODEL_READY, MODEL_DELAYED, MODEL_UNSETTLED } model_state;

typedef struct model_message {
    uint64_t id;
    uint64_t sequence; /* of the event */
    uint32_t size;
    bool dead;
    model_state state;
    uint32_t count;
    uint32_t dead_count;
    uint32_t deaths;
    uint64_t ttl;
    uint64_t expires;
    uint64_t not_before;
    uint64_t died;
    const msi_queue_consumer *consumer;
    uint64_t delivery;
    uint64_t ack_end;
    uint64_t stamp; /* when the wait began: a count of such beginnings */
    const char *reason;
    const char *first_error;
    const char *last_error;
} model_message;

typedef struct model_queue {
    msi_queue_settings settings;
    uint64_t now;
    uint64_t last_id;
    uint64_t last_stamp;
    model_message messages[MODEL_MESSAGES];
    size_t count;
    struct {
        uint64_t id;
        uint64_t end;
        uint64_t sequence;
    } ids[MODEL_IDS]; /* the oldest first */
    size_t id_count;
    msgsrv_queue_info counts;
    bool told[2];
    uint64_t ready_calls;
    uint64_t lost_calls;
    uint64_t lost_sequence; /* of the last one */
    const char *lost_reason;
} model_queue;

void model_advance(model_queue *model, uint64_t now);
/* `id` is a number; 0: none. */
msgsrv_status model_check(model_queue *model, uint64_t now, uint32_t size, uint64_t id, uint64_t *sequence);
void model_put(model_queue *model, uint64_t now, uint64_t event, uint32_t size, uint64_t id, uint64_t ttl,
               uint64_t delay);
/* The one that is taken, or NULL; its delivery's id is for the caller to set. */
model_message *model_take(model_queue *model, bool dead, uint64_t now, const msi_queue_consumer *consumer);
msgsrv_status model_settle(model_queue *model, uint64_t now, uint64_t delivery, const msi_queue_consumer *consumer,
                           msgsrv_settlement settlement, uint64_t delay, const char *reason);
void model_gone(model_queue *model, uint64_t now, const msi_queue_consumer *consumer);
msgsrv_status model_retry(model_queue *model, uint64_t now, uint64_t id, uint64_t *count);
uint64_t model_purge(model_queue *model, bool dead, uint64_t now);
void model_bound_dead(model_queue *model, uint64_t now, uint32_t max);
uint64_t model_due(const model_queue *model);
/* The one with the lowest id above `after`, or NULL. */
const model_message *model_after(const model_queue *model, bool dead, uint64_t after);
/* How many deliveries a consumer has. */
uint32_t model_held(const model_queue *model, const msi_queue_consumer *consumer);
void model_info(const model_queue *model, msgsrv_queue_info *info);

#endif
