/* SPDX-License-Identifier: MIT */
/*
 * A server whose answers come later, from another thread: the handler holds the call, hands it to a thread of the
 * program's and returns; the loop serves on. SIGTERM drains: what is held is still answered.
 *
 *     ./example-deferred [URL]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

struct job {
    struct job *next;
    msgsrv_held *held;
    const messages_AddRequest *request; /* valid until the hold is consumed */
};

/* A stack of jobs between the loop and the worker. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs;
    bool closed;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static msgsrv_server *server;

static void answer(const struct job *job)
{
    messages_AddResponse response = messages_AddResponse_init_zero;
    if (__builtin_add_overflow(job->request->a, job->request->b, &response.result))
        msgsrv_held_fail(job->held, MSGSRV_OUT_OF_RANGE, "the sum does not fit int32");
    else
        messages_Demo_Add_reply(job->held, &response); /* CANCELLED if nobody waits any more: nothing to do then */
}

static void *work(void *ctx)
{
    (void)ctx;
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        while (!queue.jobs && !queue.closed)
            pthread_cond_wait(&queue.changed, &queue.lock);
        struct job *job = queue.jobs;
        if (job)
            queue.jobs = job->next;
        pthread_mutex_unlock(&queue.lock);
        if (!job)
            return NULL;
        answer(job);
        free(job);
    }
}

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *unused, void *ctx)
{
    (void)unused;
    (void)ctx;
    struct job *job = malloc(sizeof *job);
    if (!job)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    *job = (struct job){.held = msgsrv_call_hold(call), .request = request};
    if (!job->held) {
        free(job);
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    }
    pthread_mutex_lock(&queue.lock);
    job->next = queue.jobs;
    queue.jobs = job;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return MSGSRV_DEFERRED;
}

static void on_signal(int number)
{
    (void)number;
    msgsrv_server_drain(server, 10000); /* async-signal-safe */
}

/* Serves until a signal; then lets the worker finish. */
static msgsrv_status serve(msgsrv_error *err)
{
    pthread_t worker;
    if (pthread_create(&worker, NULL, work, NULL) != 0) {
        snprintf(err->text, sizeof err->text, "no thread");
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    signal(SIGTERM, on_signal);
    printf("listening on %s\n", msgsrv_server_address(server, 0));
    fflush(stdout);
    msgsrv_status st = msgsrv_server_run(server, err);
    signal(SIGTERM, SIG_IGN);
    pthread_mutex_lock(&queue.lock);
    queue.closed = true;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    pthread_join(worker, NULL);
    return st;
}

int main(int argc, char **argv)
{
    static const messages_Demo_service demo = {.Add = add};
    msgsrv_error err;
    msgsrv_status st = msgsrv_server_new(NULL, &server, &err);
    if (!st)
        st = messages_Demo_register(server, &demo, NULL, &err);
    if (!st)
        st = msgsrv_server_listen(server, argc > 1 ? argv[1] : "tcp://127.0.0.1:7070", &err);
    if (!st)
        st = serve(&err);
    if (st)
        fprintf(stderr, "%s\n", err.text);
    msgsrv_server_free(server);
    return st != MSGSRV_OK;
}
