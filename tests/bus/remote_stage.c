/* SPDX-License-Identifier: MIT */
/* See remote_stage.h. */
#include "remote_stage.h"

void rs_stage_serve(struct rs_stage *stage)
{
    msgsrv_error error;
    msgsrv_server_options options = {.size = sizeof options, .threads = 1};
    api_ok(msgsrv_server_new(&options, &stage->server, &error), &error);
    api_ok(msgsrv_bus_serve(stage->local, stage->server, &error), &error);
    api_ok(msgsrv_server_listen(stage->server, stage->url, &error), &error);
    api_ok(msgsrv_server_start(stage->server, &error), &error);
}

void rs_stage_open(struct rs_stage *stage, const char *name)
{
    msgsrv_error error;
    api_ok(msgsrv_bus_open("mem:", NULL, &stage->local, &error), &error);
    snprintf(stage->url, sizeof stage->url, "unix:@bus-remote-%s-%d", name, (int)getpid());
    rs_stage_serve(stage);
}

void rs_stage_close(struct rs_stage *stage)
{
    msgsrv_server_free(stage->server);
    msgsrv_bus_free(stage->local);
}

msgsrv_bus *rs_handle_of(const struct rs_stage *stage, const msgsrv_bus_options *more)
{
    msgsrv_bus *bus = NULL;
    msgsrv_error error;
    msgsrv_bus_options options = {.size = sizeof options, .thread = true, .name = "tester"};
    api_ok(msgsrv_bus_open(stage->url, more ? more : &options, &bus, &error), &error);
    return bus;
}

void rs_told_init(struct rs_told *told)
{
    memset(told, 0, sizeof *told);
    api_event_init(&told->events);
    api_event_init(&told->gaps);
    api_event_init(&told->ready);
    api_event_init(&told->ended);
}

void rs_take(struct rs_told *told, const msgsrv_event *event)
{
    if (event->sequence <= told->last)
        told->out_of_order++;
    told->last = event->sequence;
    told->request = event->request;
    told->redelivered = event->redelivered;
    snprintf(told->topic, sizeof told->topic, "%s", event->topic);
    snprintf(told->type, sizeof told->type, "%s", event->type);
    snprintf(told->publisher, sizeof told->publisher, "%s", event->publisher);
    if (event->payload)
        snprintf(told->payload, sizeof told->payload, "%.*s", (int)event->payload_size, (const char *)event->payload);
    if (event->message)
        told->a = ((const messages_AddRequest *)event->message)->a;
    if (event->header_count)
        snprintf(told->header, sizeof told->header, "%s=%s", event->headers[0].key,
                 (const char *)event->headers[0].value);
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct rs_told *told = ctx;
    rs_take(told, event);
    if (told->also)
        told->also(bus, told);
    api_event_add(&told->events);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct rs_told *told = ctx;
    told->lost += gap->total;
    told->reason = gap->reason;
    api_event_add(&told->gaps);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(&((struct rs_told *)ctx)->ready);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct rs_told *told = ctx;
    told->why = *why;
    told->gap_at_end = gap != NULL;
    api_event_add(&told->ended);
}

const msgsrv_subscriber rs_subscriber = {on_event, on_gap, on_ready, on_end};

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    struct rs_told *told = ctx;
    told->last = 0; /* what comes again is older */
    rs_take(told, delivery->event);
    told->delivery = delivery->id;
    told->count = delivery->count;
    if (told->also)
        told->also(bus, told);
    api_event_add(&told->events);
    return told->returns;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
}

const msgsrv_consumer rs_consumer = {on_message, on_ready, on_consumer_end};

void rs_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct rs_told *told)
{
    msgsrv_error error;
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = pattern};
    rs_told_init(told);
    api_ok(msgsrv_bus_subscribe(bus, type, &options, &rs_subscriber, told, &told->handle, &error), &error);
}

void rs_subscribe_ready(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct rs_told *told)
{
    rs_subscribe(bus, type, pattern, told);
    api_event_wait(&told->ready, 1);
}

msgsrv_status rs_publish_add(msgsrv_bus *bus, const char *topic, int32_t a, msgsrv_receipt *receipt, msgsrv_error *error)
{
    messages_AddRequest message = {.a = a};
    return msgsrv_bus_publish(bus, topic, &messages_AddRequest_type, &message, NULL, receipt, error);
}

void rs_results_init(struct rs_results *results)
{
    memset(results, 0, sizeof *results);
    api_event_init(&results->done);
}

static void finish(struct rs_results *results, msgsrv_status status, const msgsrv_error *error)
{
    ck_assert_int_eq(status, error->code);
    if (status)
        results->error = *error;
    results->ok += status == MSGSRV_OK;
    results->failed += status != MSGSRV_OK;
    msgsrv_bus *frees = results->frees;
    results->frees = NULL;
    if (frees)
        msgsrv_bus_free(frees);
    api_event_add(&results->done);
}

void rs_on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt, const msgsrv_error *error,
                     void *ctx)
{
    (void)bus;
    struct rs_results *results = ctx;
    ck_assert_int_eq(status == MSGSRV_OK, receipt != NULL);
    if (receipt && receipt->sequence != results->last_sequence + 1)
        results->out_of_order++;
    if (receipt)
        results->last_sequence = receipt->sequence;
    finish(results, status, error);
}

void rs_on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    (void)bus;
    finish(ctx, status, error);
}

void rs_on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error, void *ctx)
{
    (void)bus;
    struct rs_results *results = ctx;
    ck_assert_int_eq(status == MSGSRV_OK, reply != NULL);
    if (reply)
        snprintf(results->reply, sizeof results->reply, "%s %zu", reply->type, reply->payload_size);
    finish(results, status, error);
}

void rs_declare_queue(msgsrv_bus *bus, const char *queue, const char *pattern)
{
    msgsrv_error error;
    msgsrv_queue_options options = {
        .size = sizeof options, .patterns = &pattern, .pattern_count = 1, .max_deliver = 3, .ack_wait_ms = 60000};
    api_ok(msgsrv_bus_declare_queue(bus, queue, &options, NULL, NULL, &error), &error);
}

void rs_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type, struct rs_told *told)
{
    msgsrv_error error;
    msgsrv_consume_options options = {.size = sizeof options, .nak_delay_ms = MSGSRV_NONE};
    rs_told_init(told);
    api_ok(msgsrv_bus_consume(bus, queue, type, &options, &rs_consumer, told, &told->handle, &error), &error);
}
