/* SPDX-License-Identifier: MIT */
/* A queue for a test of each rule: one queue, a clock that the test sets, and what can be seen of it as text. */
#ifndef TESTS_BUS_QUEUE_FIXTURE_H
#define TESTS_BUS_QUEUE_FIXTURE_H

#include "bus/queue.h"

#define SECOND 1000000000ull
#define DAY (86400 * SECOND)
#define START (1000 * SECOND)
#define SIZE 100u /* of a message, where nothing else is said */

extern msi_queue_consumer a_consumer, another;
#define A (&a_consumer)
#define B (&another)

extern msi_queue_settings settings;
extern msi_queue *queue;
extern uint64_t now;
extern unsigned ready_calls;
extern char lost_text[1024]; /* "payload:reason " of each that was told as lost */

/* What a test does not set is as wide as can be. */
void open_queue(void);
void close_queue(void);
#define OPEN(...)                                     \
    do {                                              \
        settings = (msi_queue_settings){__VA_ARGS__}; \
        open_queue();                                 \
    } while (0)

msgsrv_status put_how(const char *payload, uint32_t size, const msi_queue_put *how, uint64_t *first);
msgsrv_status put(const char *payload);
msgsrv_status put_id(const char *payload, const char *id, uint64_t *first);

/* Takes, and says what: "payload:count", or "" for nothing. */
const char *take_by(msi_queue_consumer *consumer, bool dead, uint64_t *id);
const char *take(uint64_t *id); /* A, of the living */

/* Of a delivery of A's. */
msgsrv_status settle(uint64_t id, msgsrv_settlement settlement, uint64_t delay, const char *reason);

msgsrv_queue_info info(void);

/* "payload:count:reason:first:last " of each. */
const char *shown(bool dead);

/* The first that is shown at 5000 microseconds after 1970, without its event. */
msgsrv_queued oldest(bool dead);

/* Puts, takes and rejects, with the payload for a reason. */
void die(const char *payload);

#endif
