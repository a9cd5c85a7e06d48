/* SPDX-License-Identifier: MIT */
#include "queue_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "events.h"

msi_queue_consumer a_consumer, another;
msi_queue_settings settings;
msi_queue *queue;
uint64_t now = START;
unsigned ready_calls;
char lost_text[1024];
static test_events events;

static void payload_of(const msi_event *event, char *to, size_t size)
{
    snprintf(to, size, "%.*s", (int)event->payload.size, (const char *)event->payload.data);
}

static void on_ready(msi_queue *which, void *ctx)
{
    ck_assert_ptr_eq(which, queue);
    ck_assert_ptr_eq(ctx, &settings);
    ready_calls++;
}

static void on_lost(msi_queue *which, const msi_event *event, const char *reason, void *ctx)
{
    char payload[64];
    size_t used = strlen(lost_text);
    ck_assert_ptr_eq(which, queue);
    ck_assert_ptr_eq(ctx, &settings);
    payload_of(event, payload, sizeof payload);
    snprintf(lost_text + used, sizeof lost_text - used, "%s:%s ", payload, reason);
}

/* What a test does not set is as wide as can be. */
void open_queue(void)
{
    ready_calls = 0;
    lost_text[0] = 0;
    test_events_open(&events);
    settings.max_messages = settings.max_messages ? settings.max_messages : 1000;
    settings.max_bytes = settings.max_bytes ? settings.max_bytes : UINT64_MAX;
    settings.ack_wait_ns = settings.ack_wait_ns ? settings.ack_wait_ns : 30 * SECOND;
    settings.max_dead_letters = settings.max_dead_letters ? settings.max_dead_letters : 1000;
    queue = msi_queue_new("a-queue", &settings, on_ready, on_lost, &settings);
    ck_assert_ptr_nonnull(queue);
}

void close_queue(void)
{
    msi_queue_free(queue);
    test_events_close(&events); /* its name would be missed by an event that is still there */
}

msgsrv_status put_how(const char *payload, uint32_t size, const msi_queue_put *how, uint64_t *first)
{
    msgsrv_status status = msi_queue_check(queue, now, size, how->id, first);
    if (status == MSGSRV_OK) {
        msi_event *event = test_event(&events, payload, size);
        msi_queue_put_event(queue, now, event, how);
        msi_event_unref(event);
    }
    return status;
}

msgsrv_status put(const char *payload)
{
    const msi_queue_put how = {0};
    return put_how(payload, SIZE, &how, NULL);
}

msgsrv_status put_id(const char *payload, const char *id, uint64_t *first)
{
    const msi_queue_put how = {.id = test_view(id)};
    return put_how(payload, SIZE, &how, first);
}

/* Takes, and says what: "payload:count", or "" for nothing. */
const char *take_by(msi_queue_consumer *consumer, bool dead, uint64_t *id)
{
    static char text[96];
    char payload[64];
    msi_queue_delivery delivery;
    if (!msi_queue_take(queue, dead, now, consumer, &delivery))
        return "";
    payload_of(delivery.event, payload, sizeof payload);
    snprintf(text, sizeof text, "%s:%u", payload, delivery.count);
    if (id)
        *id = delivery.id;
    return text;
}

const char *take(uint64_t *id)
{
    return take_by(A, false, id);
}

msgsrv_status settle(uint64_t id, msgsrv_settlement settlement, uint64_t delay, const char *reason)
{
    return msi_queue_settle(queue, now, id, A, settlement, delay, reason);
}

msgsrv_queue_info info(void)
{
    msgsrv_queue_info at;
    msi_queue_info_get(queue, now, &at);
    return at;
}

static bool add_text(const msgsrv_queued *queued, void *ctx)
{
    char *text = ctx;
    size_t used = strlen(text);
    snprintf(text + used, 512 - used, "%.*s:%u:%s%s%s%s%s ", (int)queued->event->payload_size,
             (const char *)queued->event->payload, queued->count, queued->reason, *queued->first_error ? ":" : "",
             queued->first_error, *queued->last_error ? ":" : "", queued->last_error);
    return true;
}

/* "payload:count:reason:first:last " of each. */
const char *shown(bool dead)
{
    static char text[512];
    text[0] = 0;
    msi_queue_peek(queue, dead, now, 1, 0, 100, add_text, text);
    return text;
}

void die(const char *payload)
{
    uint64_t id;
    put(payload);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, payload);
}

static bool copy_queued(const msgsrv_queued *queued, void *ctx)
{
    *(msgsrv_queued *)ctx = *queued; /* its event is gone when this returns */
    return false;
}

msgsrv_queued oldest(bool dead)
{
    msgsrv_queued queued = {0};
    msi_queue_peek(queue, dead, now, 5000, 0, 9, copy_queued, &queued);
    return queued;
}
