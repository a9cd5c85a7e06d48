/* SPDX-License-Identifier: MIT */
/*
 * A followed stream; see live.h. What the main thread reads goes into a queue, from which the client's thread sends whenever the stream
 * takes something. The queue is bounded: behind a server that takes nothing, standard input is not read.
 */
#include "live.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lines.h"
#include "program.h"

#define QUEUE_ITEMS 256u
#define QUEUE_BYTES (1024u * 1024) /* the last message may pass it */

struct item {
    struct item *next;
    msgsrv_bytes message; /* owned */
};

/* One that runs. */
struct live {
    const struct live_call *call;
    enum live_end end; /* the main thread's, but LIVE_UNWANTED */
    msgsrv_handle handle;
    struct lines lines;
    bool reading;    /* standard input has not ended */
    bool unwanted;   /* the client's thread's, until the end */
    sigset_t before; /* signals that were blocked before */

    pthread_mutex_t mutex; /* of all that follows */
    msgsrv_stream *stream; /* a reference; NULL before it has begun */
    struct item *first, **last;
    size_t items, bytes;
    bool complete; /* nothing comes behind the queue */
    bool finished; /* the stream was told so */
    bool closed;
    msgsrv_error error;

    int changed; /* an eventfd: the queue has room, or the call has ended */
    int signals; /* a signalfd */
};

static void tell_main(struct live *live)
{
    eventfd_write(live->changed, 1);
}

/* Frees the first one. */
static void drop_item(struct live *live)
{
    struct item *item = live->first;
    live->first = item->next;
    if (!live->first)
        live->last = &live->first;
    live->items--;
    live->bytes -= item->message.size;
    free((void *)(uintptr_t)item->message.data);
    free(item);
}

/* Sends from the queue what the stream takes. The client's thread, with the mutex. */
static void send_queue(struct live *live, msgsrv_stream *stream)
{
    msgsrv_error error;
    msgsrv_status status = MSGSRV_OK;
    while (live->first && status == MSGSRV_OK) {
        status = msgsrv_stream_send(stream, &live->first->message, &error);
        if (status == MSGSRV_OK)
            drop_item(live);
    }
    if (status != MSGSRV_OK && status != MSGSRV_AGAIN)
        msgsrv_stream_fail(stream, status, "%s", error.text);
    if (!live->first && live->complete && !live->finished)
        live->finished = msgsrv_stream_finish(stream) == MSGSRV_OK;
    tell_main(live);
}

static void take_message(struct live *live, msgsrv_stream *stream, const void *message)
{
    if (live->unwanted || live->call->message(live->call->ctx, message))
        return;
    live->unwanted = true;
    msgsrv_stream_cancel(stream);
}

static void take_end(struct live *live, const msgsrv_reply *reply, const void *response)
{
    if (response && reply->status == MSGSRV_OK && !live->unwanted)
        live->unwanted = !live->call->message(live->call->ctx, response);
    if (live->call->ended)
        live->call->ended(live->call->ctx, reply);
    pthread_mutex_lock(&live->mutex);
    live->error = *reply->error;
    live->error.code = reply->status;
    live->closed = true;
    tell_main(live);
    pthread_mutex_unlock(&live->mutex);
}

/* All events of the stream, on the client's thread. */
static msgsrv_status on_event(const void *closure, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                              void *out, void *ctx)
{
    struct live *live = *(struct live *const *)closure;
    (void)ctx;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
    case MSGSRV_STREAM_WRITABLE:
    case MSGSRV_STREAM_WOKEN:
        pthread_mutex_lock(&live->mutex);
        if (event == MSGSRV_STREAM_BEGIN)
            live->stream = msgsrv_stream_ref(stream);
        send_queue(live, stream);
        pthread_mutex_unlock(&live->mutex);
        break;
    case MSGSRV_STREAM_MESSAGE:
        take_message(live, stream, in);
        break;
    case MSGSRV_STREAM_CLOSED:
        take_end(live, in, out);
        break;
    case MSGSRV_STREAM_HALF_CLOSE:
    case MSGSRV_STREAM_DRAINING:
        break;
    }
    return MSGSRV_OK;
}

/* Puts a message behind the others, whose bytes become the queue's. */
static bool enqueue(struct live *live, msgsrv_bytes message)
{
    struct item *item = malloc(sizeof *item);
    if (!item)
        return false;
    *item = (struct item){.message = message};
    pthread_mutex_lock(&live->mutex);
    *live->last = item;
    live->last = &item->next;
    live->items++;
    live->bytes += message.size;
    pthread_mutex_unlock(&live->mutex);
    return true;
}

static void wake_stream(struct live *live)
{
    pthread_mutex_lock(&live->mutex);
    if (live->stream)
        msgsrv_stream_wake(live->stream);
    pthread_mutex_unlock(&live->mutex);
}

static void complete(struct live *live)
{
    live->reading = false;
    pthread_mutex_lock(&live->mutex);
    live->complete = true;
    pthread_mutex_unlock(&live->mutex);
    wake_stream(live);
}

/* Ends the call for a reason of this side's, which keeps its error. */
static void cancel(struct live *live, enum live_end end)
{
    if (live->end == LIVE_ENDED)
        live->end = end;
    live->reading = false;
    msgsrv_client_cancel(live->call->client, live->handle);
}

/* The input went wrong. Messages that each have their answers end in order; those that have one answer together may not be taken for all
 * that was to come. */
static void spoil(struct live *live, enum live_end end)
{
    if (live->call->method->kind != MSGSRV_BIDI_STREAMING) {
        cancel(live, end);
        return;
    }
    if (live->end == LIVE_ENDED)
        live->end = end;
    complete(live);
}

static bool is_blank(const char *text, size_t size)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r'))
        size--;
    return size == 0;
}

/* Queues the lines that have been read. */
static void take_lines(struct live *live, msgsrv_error *error)
{
    const char *line = NULL;
    size_t size = 0;
    while (live->reading && lines_next(&live->lines, &line, &size)) {
        msgsrv_bytes message = {.data = NULL};
        if (is_blank(line, size))
            continue;
        msgsrv_error own;
        msgsrv_status status = live->call->line(live->call->ctx, line, size, &message, &own);
        if (status != MSGSRV_OK)
            app_error(error, status, "line %" PRIu64 ": %s", live->lines.number, own.text);
        if (status == MSGSRV_OK && !enqueue(live, message)) {
            free((void *)(uintptr_t)message.data);
            status = app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
        }
        if (status != MSGSRV_OK)
            spoil(live, LIVE_BAD_LINE);
    }
    wake_stream(live);
}

static void read_input(struct live *live, msgsrv_error *error)
{
    switch (lines_read(&live->lines, STDIN_FILENO, error)) {
    case LINES_MORE:
        take_lines(live, error);
        break;
    case LINES_END:
        take_lines(live, error);
        if (live->reading)
            complete(live);
        break;
    case LINES_FAILED:
        spoil(live, LIVE_NO_INPUT);
        break;
    case LINES_TOO_LONG:
        spoil(live, LIVE_BAD_LINE);
        break;
    }
}

static bool is_closed(struct live *live, bool *room)
{
    pthread_mutex_lock(&live->mutex);
    bool closed = live->closed;
    *room = live->items < QUEUE_ITEMS && live->bytes < QUEUE_BYTES;
    pthread_mutex_unlock(&live->mutex);
    return closed;
}

/* Waits for the end. The error is filled when this side is the reason. */
static void wait_for_end(struct live *live, msgsrv_error *error)
{
    bool room = true;
    while (!is_closed(live, &room)) {
        struct pollfd polled[] = {
            {.fd = live->changed, .events = POLLIN},
            {.fd = live->signals, .events = POLLIN},
            {.fd = live->reading && room ? STDIN_FILENO : -1, .events = POLLIN},
        };
        eventfd_t count = 0;
        struct signalfd_siginfo info;
        if (poll(polled, 3, -1) < 0)
            continue;
        if (polled[0].revents)
            eventfd_read(live->changed, &count);
        if (polled[1].revents && read(live->signals, &info, sizeof info) > 0) {
            cancel(live, LIVE_INTERRUPTED);
            pthread_sigmask(SIG_SETMASK, &live->before, NULL); /* a second one kills: our output may be stuck */
        }
        if (polled[2].revents)
            read_input(live, error);
    }
}

/* Has the signals come to the descriptor alone, until they are unblocked. */
static bool open_descriptors(struct live *live)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &live->before);
    live->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    live->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return live->changed >= 0 && live->signals >= 0;
}

/* What is sent when standard input is not read. */
static bool queue_first(struct live *live)
{
    const msgsrv_bytes *first = live->call->first;
    char *copy = first ? malloc(first->size + 1) : NULL;
    live->complete = true;
    if (!first)
        return true;
    if (copy && first->size > 0)
        memcpy(copy, first->data, first->size);
    if (copy && enqueue(live, (msgsrv_bytes){.data = copy, .size = first->size}))
        return true;
    free(copy);
    return false;
}

static msgsrv_status start(struct live *live, msgsrv_error *error)
{
    if (!live->reading && !queue_first(live))
        return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return msgsrv_stream_open(live->call->client, live->call->method, live->call->request, live->call->options,
                              on_event, &live, sizeof live, NULL, &live->handle, error);
}

static void release(struct live *live)
{
    while (live->first)
        drop_item(live);
    lines_free(&live->lines);
    msgsrv_stream_unref(live->stream);
    if (live->changed >= 0)
        close(live->changed);
    if (live->signals >= 0)
        close(live->signals);
    pthread_sigmask(SIG_SETMASK, &live->before, NULL);
    pthread_mutex_destroy(&live->mutex);
}

msgsrv_status live_run(const struct live_call *call, enum live_end *end, msgsrv_error *error)
{
    struct live live = {.call = call, .reading = call->line != NULL, .finished = call->request != NULL};
    msgsrv_error own = {.code = MSGSRV_OK};
    live.last = &live.first;
    pthread_mutex_init(&live.mutex, NULL);
    msgsrv_status status = open_descriptors(&live) ? start(&live, error)
                                                   : app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "%s", strerror(errno));
    if (status == MSGSRV_OK) {
        wait_for_end(&live, &own);
        if (live.unwanted && live.end == LIVE_ENDED)
            live.end = LIVE_UNWANTED;
        bool ours = live.end == LIVE_BAD_LINE || live.end == LIVE_NO_INPUT;
        status = ours ? own.code : live.error.code;
        if (status != MSGSRV_OK)
            *error = ours ? own : live.error;
    }
    *end = live.end;
    release(&live);
    return status;
}
