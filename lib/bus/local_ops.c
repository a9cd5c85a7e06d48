/* SPDX-License-Identifier: MIT */
/* What a handle does at once, and perhaps tells later: publishing, declaring, requests, looking at queues. */
#include <stdlib.h>

#include "bus/local.h"

/* ---- outcomes ---- */

static void queue_done(local_bus *local, local_done *done)
{
    pthread_mutex_lock(&local->lock);
    STAILQ_INSERT_TAIL(&local->dones, done, next);
    msi_local_schedule(local);
    pthread_mutex_unlock(&local->lock);
}

void msi_local_tell_done(local_bus *local, local_done *done)
{
    local->told++;
    done->error.code = done->status;
    if (done->done) {
        done->done(&local->bus, done->status, &done->error, done->ctx);
    } else if (done->published) {
        done->published(&local->bus, done->status, &done->receipt, &done->error, done->ctx);
    } else {
        msgsrv_event reply = {.topic = "",
                              .type = done->type,
                              .payload = done->payload,
                              .payload_size = done->payload_size,
                              .publisher = ""};
        done->replied(&local->bus, done->status, done->status == MSGSRV_OK ? &reply : NULL, &done->error, done->ctx);
    }
    free(done->type);
    free(done->payload);
    free(done);
}

msgsrv_status msi_local_outcome(local_bus *local, msgsrv_status status, const msgsrv_error *why,
                                msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    if (!done) {
        if (error && status != MSGSRV_OK)
            *error = *why;
        return status;
    }
    local_done *told = calloc(1, sizeof *told);
    if (!told)
        return msi_error_memory(error);
    told->done = done;
    told->ctx = ctx;
    told->status = status;
    if (status != MSGSRV_OK)
        told->error = *why;
    queue_done(local, told);
    return MSGSRV_OK;
}

/* ---- publishing ---- */

static msgsrv_status publish(msgsrv_bus *bus, const msi_publication *publication, bool wait, msgsrv_receipt *receipt,
                             msgsrv_published_fn done, void *ctx, msgsrv_error *error)
{
    (void)wait;
    local_bus *local = local_of(bus);
    if (!done)
        return msi_core_publish(local->publisher, publication, receipt, error);
    msgsrv_status status = msi_local_refuse_freed(local, error);
    if (status != MSGSRV_OK)
        return status;
    local_done *told = calloc(1, sizeof *told);
    if (!told)
        return msi_error_memory(error);
    told->published = done;
    told->ctx = ctx;
    status = msi_core_publish(local->publisher, publication, &told->receipt, error);
    if (status == MSGSRV_OK)
        queue_done(local, told);
    else
        free(told);
    return status;
}

/* ---- requests ---- */

static void set_text(msgsrv_error *error, msgsrv_status status, const char *text)
{
    msi_error_set(error, status, false, text, strlen(text));
}

/* The answer has come, on any thread. It is the only one: the core says it once. */
static void on_answer(void *ctx, msgsrv_status status, const char *text, msi_view type, msi_view payload)
{
    local_done *asked = ctx;
    local_bus *local = asked->bus;
    asked->status = status;
    if (status != MSGSRV_OK) {
        set_text(&asked->error, status, text ? text : "");
    } else {
        asked->type = calloc(1, type.size + 1);
        if (asked->type)
            memcpy(asked->type, type.data, type.size);
        asked->payload = malloc(payload.size + 1);
        if (asked->payload && payload.size)
            memcpy(asked->payload, payload.data, payload.size);
        asked->payload_size = payload.size;
        if (!asked->type || !asked->payload) {
            asked->status = MSGSRV_RESOURCE_EXHAUSTED;
            set_text(&asked->error, asked->status, "no memory for the reply");
        }
    }
    pthread_mutex_lock(&local->lock);
    if (asked->request) {
        TAILQ_REMOVE(&local->asked, asked, asked);
        asked->request = 0;
    }
    STAILQ_INSERT_TAIL(&local->dones, asked, next);
    msi_local_schedule(local);
    pthread_mutex_unlock(&local->lock);
}

/* By deadline; mostly all have the same time. */
static void insert_asked(local_bus *local, local_done *asked)
{
    local_done *before = TAILQ_LAST(&local->asked, local_asked);
    while (before && before->deadline > asked->deadline)
        before = TAILQ_PREV(before, local_asked, asked);
    if (before)
        TAILQ_INSERT_AFTER(&local->asked, before, asked, asked);
    else
        TAILQ_INSERT_HEAD(&local->asked, asked, asked);
}

static msgsrv_status request(msgsrv_bus *bus, const msi_publication *publication, uint32_t timeout_ms,
                             msgsrv_replied_fn done, void *ctx, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    msgsrv_status status = msi_local_refuse_freed(local, error);
    if (status != MSGSRV_OK)
        return status;
    local_done *asked = calloc(1, sizeof *asked);
    if (!asked)
        return msi_error_memory(error);
    msgsrv_error why = {.code = MSGSRV_OK};
    asked->replied = done;
    asked->ctx = ctx;
    asked->bus = local;
    asked->deadline = msi_after(msi_now(), timeout_ms ? timeout_ms : local->timeout_ms);
    /* With the core's lock, so that no answer comes before it is on the list. */
    msi_core_lock(local->core);
    uint64_t id;
    status = msi_core_request_locked(local->publisher, publication, on_answer, asked, &id, &why);
    if (status == MSGSRV_OK) {
        pthread_mutex_lock(&local->lock);
        asked->request = id;
        insert_asked(local, asked);
        msi_local_schedule(local); /* for the timer */
        pthread_mutex_unlock(&local->lock);
    }
    msi_core_unlock(local->core);
    if (status == MSGSRV_OK)
        return status;
    if (status != MSGSRV_UNAVAILABLE && status != MSGSRV_RESOURCE_EXHAUSTED) {
        free(asked);
        if (error)
            *error = why;
        return status;
    }
    asked->status = status;
    asked->error = why;
    queue_done(local, asked);
    return MSGSRV_OK;
}

static void give_up(local_bus *local, uint64_t now, bool all, msgsrv_status status, const char *text)
{
    for (;;) {
        pthread_mutex_lock(&local->lock);
        local_done *asked = TAILQ_FIRST(&local->asked);
        bool due = asked && (all || asked->deadline <= now);
        uint64_t id = due ? asked->request : 0;
        pthread_mutex_unlock(&local->lock);
        if (!due)
            return;
        /* If it is not taken back, its answer is on its way, and takes it off the list. */
        if (!msi_core_request_cancel(local->core, id)) {
            if (all)
                continue;
            return;
        }
        on_answer(asked, status, text, (msi_view){0}, (msi_view){0});
    }
}

uint64_t msi_local_requests_due(local_bus *local, uint64_t now)
{
    give_up(local, now, false, MSGSRV_DEADLINE_EXCEEDED, "no reply in time");
    pthread_mutex_lock(&local->lock);
    const local_done *first = TAILQ_FIRST(&local->asked);
    uint64_t due = first ? first->deadline : 0;
    pthread_mutex_unlock(&local->lock);
    return due;
}

void msi_local_requests_end(local_bus *local)
{
    give_up(local, 0, true, MSGSRV_CANCELLED, "the handle was freed");
}

static msgsrv_status reply(msgsrv_bus *bus, uint64_t id, msi_view type, msi_view payload, msgsrv_bus_done_fn done,
                           void *ctx, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (done && local->freed)
        return msi_local_refuse_freed(local, error);
    msgsrv_error why = {.code = MSGSRV_OK};
    msgsrv_status status = msi_core_reply(local->core, id, type, payload, &why);
    return msi_local_outcome(local, status, &why, done, ctx, error);
}

/* ---- declaring ---- */

static msgsrv_status declare_topic(msgsrv_bus *bus, const char *topic, const char *type, const msgsrv_proto_file *file,
                                   uint32_t retain, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (done && local->freed)
        return msi_local_refuse_freed(local, error);
    msgsrv_error why = {.code = MSGSRV_OK};
    msi_buf set = {0};
    msgsrv_status status;
    if (file && !msi_types_put_file(&set, file))
        status = msi_error_memory(&why);
    else
        status = msi_core_declare_topic(local->core, msi_view_of(topic), msi_view_of(type),
                                        (msi_view){set.data, set.len}, retain, NULL, &why);
    msi_buf_free(&set);
    return msi_local_outcome(local, status, &why, done, ctx, error);
}

static msgsrv_status declare_queue(msgsrv_bus *bus, const char *queue, const msgsrv_queue_options *options,
                                   msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (done && local->freed)
        return msi_local_refuse_freed(local, error);
    msgsrv_error why = {.code = MSGSRV_OK};
    msgsrv_status status = msi_core_declare_queue(local->core, msi_view_of(queue), options, NULL, &why);
    return msi_local_outcome(local, status, &why, done, ctx, error);
}

static msgsrv_status delete_queue(msgsrv_bus *bus, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                  msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (done && local->freed)
        return msi_local_refuse_freed(local, error);
    msgsrv_error why = {.code = MSGSRV_OK};
    msgsrv_status status = msi_core_delete_queue(local->core, msi_view_of(queue), &why);
    return msi_local_outcome(local, status, &why, done, ctx, error);
}

/* ---- looking at queues ---- */

#define PAGE 16u

/* A message that was shown with the lock, copied so that the program can be told without it. */
typedef struct seen {
    msgsrv_queued queued;
    msgsrv_event event;
    char *memory;
} seen;

typedef struct page {
    seen messages[PAGE];
    uint32_t count;
    bool failed;
} page;

static const char *copy_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static size_t texts_size(const msgsrv_queued *queued)
{
    const msgsrv_event *event = queued->event;
    size_t size = strlen(event->topic) + strlen(event->type) + strlen(event->publisher) + strlen(queued->reason) +
                  strlen(queued->first_error) + strlen(queued->last_error) + 6;
    for (size_t i = 0; i < event->header_count; i++)
        size += strlen(event->headers[i].key) + event->headers[i].size + 2;
    return size;
}

static msgsrv_metadata *copy_headers(char **at, char **text, const msgsrv_event *event)
{
    msgsrv_metadata *headers = (msgsrv_metadata *)(void *)*at;
    *at += event->header_count * sizeof *headers;
    for (size_t i = 0; i < event->header_count; i++) {
        const msgsrv_metadata *from = &event->headers[i];
        headers[i].key = copy_text(text, from->key);
        headers[i].value = *text;
        headers[i].size = from->size;
        if (from->size)
            memcpy(*text, from->value, from->size);
        (*text)[from->size] = 0;
        *text += from->size + 1;
    }
    return headers;
}

static bool keep(const msgsrv_queued *queued, void *ctx)
{
    page *to = ctx;
    seen *copy = &to->messages[to->count];
    const msgsrv_event *event = queued->event;
    size_t headers = event->header_count * sizeof(msgsrv_metadata);
    copy->memory = malloc(headers + texts_size(queued) + event->payload_size + 1);
    if (!copy->memory) {
        to->failed = true;
        return false;
    }
    to->count++;
    char *at = copy->memory;
    char *text = at + headers;
    copy->queued = *queued;
    copy->event = *event;
    if (event->header_count)
        copy->event.headers = copy_headers(&at, &text, event);
    copy->event.topic = copy_text(&text, event->topic);
    copy->event.type = copy_text(&text, event->type);
    copy->event.publisher = copy_text(&text, event->publisher);
    copy->queued.reason = copy_text(&text, queued->reason);
    copy->queued.first_error = copy_text(&text, queued->first_error);
    copy->queued.last_error = copy_text(&text, queued->last_error);
    if (event->payload_size)
        memcpy(text, event->payload, event->payload_size);
    copy->event.payload = text;
    copy->queued.event = &copy->event;
    return to->count < PAGE;
}

/* Shows a page; returns whether to go on. */
static bool show(page *of, msgsrv_queued_fn fn, void *ctx)
{
    bool more = of->count > 0;
    for (uint32_t i = 0; i < of->count; i++) {
        more = more && fn(&of->messages[i].queued, ctx);
        free(of->messages[i].memory);
    }
    return more;
}

static msgsrv_status peek(msgsrv_bus *bus, const char *queue, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                          msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    uint64_t after = 0;
    while (max) {
        page of = {.count = 0};
        msgsrv_status status =
            msi_core_peek(local->core, msi_view_of(queue), after, max < PAGE ? max : PAGE, keep, &of, error);
        if (status == MSGSRV_OK && of.failed && !of.count)
            status = msi_error_memory(error);
        if (status != MSGSRV_OK)
            return status;
        if (of.count)
            after = of.messages[of.count - 1].queued.id;
        uint32_t count = of.count;
        bool more = show(&of, fn, ctx);
        if (!more || count < PAGE)
            break;
        max -= count;
    }
    return MSGSRV_OK;
}

static msgsrv_status retry(msgsrv_bus *bus, const char *queue, uint64_t id, uint64_t *count, msgsrv_error *error)
{
    return msi_core_retry(local_of(bus)->core, msi_view_of(queue), id, count, error);
}

static msgsrv_status purge(msgsrv_bus *bus, const char *queue, uint64_t *count, msgsrv_error *error)
{
    return msi_core_purge(local_of(bus)->core, msi_view_of(queue), count, error);
}

static msgsrv_status info(msgsrv_bus *bus, const char *queue, msgsrv_queue_info *to, msgsrv_error *error)
{
    msgsrv_status status = msi_core_queue_info(local_of(bus)->core, msi_view_of(queue), to, error);
    if (status == MSGSRV_OK)
        to->name = queue;
    return status;
}

static void stats(msgsrv_bus *bus, msgsrv_bus_stats *to)
{
    msi_core_stats(local_of(bus)->core, to);
}

const msi_bus_ops msi_local_ops = {
    .free = msi_local_free,
    .poll = msi_local_poll,
    .publish = publish,
    .subscribe = msi_local_subscribe,
    .unsubscribe = msi_local_unsubscribe,
    .request = request,
    .reply = reply,
    .declare_topic = declare_topic,
    .declare_queue = declare_queue,
    .delete_queue = delete_queue,
    .consume = msi_local_consume,
    .settle = msi_local_settle,
    .peek = peek,
    .retry = retry,
    .purge = purge,
    .queue_info = info,
    .stats = stats,
};
