/* SPDX-License-Identifier: MIT */
/*
 * ./example-work-queue [URL] puts nine jobs, of counting primes, into a queue on the bus of a server. Three workers, processes of their own, take them; one of
 * them crashes over its first job, which another gets and does.
 *
 * A worker's job is done when its function returns MSGSRV_OK. Until the bus has confirmed that, it may come again: whoever must not do a
 * job twice notes which ones are done, as collect() does.
 */
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msgsrv/msgsrv.h>

#include "work.msgsrv.h"

#define WORKERS 3
#define JOBS 9
#define QUEUE "jobs"

extern char **environ;

/* ---- a worker: example-work-queue URL NAME [crash] ---- */

typedef struct worker {
    char *name;
    bool crashes, ended;
} worker;

static uint32_t count_primes(uint32_t limit)
{
    uint32_t count = 0;
    for (uint32_t n = 2; n < limit; n++) {
        uint32_t d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        count += d * d > n;
    }
    return count;
}

static void report(msgsrv_bus *bus, const worker *w, work_Report what)
{
    msgsrv_error err;
    what.worker = w->name;
    if (work_Report_publish_async(bus, "work.reports", &what, NULL, NULL, NULL, &err))
        fprintf(stderr, "%s: %s\n", w->name, err.text);
}

static msgsrv_status on_job(msgsrv_bus *bus, const work_Job *job, const msgsrv_delivery *delivery, void *ctx)
{
    const worker *w = ctx;
    if (w->crashes) {
        printf("job %" PRId32 ": %s crashes\n", job->number, w->name);
        raise(SIGKILL);
    }
    report(bus, w, (work_Report){.job = job->number, .primes = count_primes(job->limit), .delivery = delivery->count});
    return MSGSRV_OK; /* acks it */
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    report(bus, ctx, (work_Report){.job = 0});
}

static void on_worker_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    (void)bus;
    worker *w = ctx;
    fprintf(stderr, "%s: %s\n", w->name, why->text);
    w->ended = true;
}

static msgsrv_status work(msgsrv_bus *bus, char *name, bool crashes, msgsrv_error *err)
{
    static const work_Job_consumer consumer = {.message = on_job, .ready = on_ready, .end = on_worker_end};
    static const msgsrv_consume_options one_at_a_time = {.prefetch = 1};
    worker w = {.name = name, .crashes = crashes};
    msgsrv_status st = work_Job_consume(bus, QUEUE, &one_at_a_time, &consumer, &w, NULL, err);
    while (!st && !w.ended)
        st = msgsrv_bus_poll(bus, MSGSRV_NONE, err);
    msgsrv_bus_free(bus); /* while w is there */
    return st;
}

/* ---- who has the work ---- */

typedef struct boss {
    int ready, done;
    int times[JOBS + 1]; /* each job was reported */
} boss;

static void collect(msgsrv_bus *bus, const work_Report *message, const msgsrv_event *event, void *ctx)
{
    (void)bus, (void)event;
    boss *b = ctx;
    if (message->job < 1 || message->job > JOBS) {
        b->ready++;
        return;
    }
    printf("job %" PRId32 ": done by %s%s: %" PRIu32 " primes\n", message->job, message->worker,
           message->delivery > 1 ? ", again" : "", message->primes);
    b->done += b->times[message->job]++ == 0;
}

/* This program again; 0 when it cannot be started. */
static pid_t start_worker(char *program, char *url, int number)
{
    char name[16];
    char crash[] = "crash";
    pid_t pid;
    snprintf(name, sizeof name, "worker %d", number);
    char *arguments[] = {program, url, name, number == 2 ? crash : NULL, NULL};
    return posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) == 0 ? pid : 0;
}

static msgsrv_status declare(msgsrv_bus *bus, msgsrv_error *err)
{
    static const char *const types[] = {"work.Job"};
    static const msgsrv_queue_options options = {.types = types, .type_count = 1};
    return msgsrv_bus_declare_queue(bus, QUEUE, &options, NULL, NULL, err);
}

static msgsrv_status direct(msgsrv_bus *bus, boss *b, msgsrv_error *err)
{
    msgsrv_status st = MSGSRV_OK;
    while (!st && b->ready < WORKERS)
        st = msgsrv_bus_poll(bus, MSGSRV_NONE, err);
    for (int32_t i = 1; !st && i <= JOBS; i++)
        st = work_Job_publish_async(bus, "work.jobs", &(work_Job){i, 300000 + (uint32_t)i}, NULL, NULL, NULL, err);
    while (!st && b->done < JOBS)
        st = msgsrv_bus_poll(bus, MSGSRV_NONE, err);
    return st;
}

static msgsrv_status lead(msgsrv_bus *bus, char *program, char *url, msgsrv_error *err)
{
    static const work_Report_subscriber subscriber = {.event = collect};
    boss b = {0};
    pid_t workers[WORKERS] = {0};
    msgsrv_status st = work_Report_subscribe(bus, NULL, &subscriber, &b, NULL, err);
    if (!st)
        st = declare(bus, err);
    for (int i = 0; !st && i < WORKERS; i++) {
        workers[i] = start_worker(program, url, i + 1);
        b.ready += workers[i] == 0; /* without it, then */
    }
    if (!st)
        st = direct(bus, &b, err);
    for (int i = 0; i < WORKERS; i++) {
        if (workers[i]) {
            kill(workers[i], SIGTERM);
            waitpid(workers[i], NULL, 0);
        }
    }
    if (!st)
        st = msgsrv_bus_delete_queue(bus, QUEUE, NULL, NULL, err);
    if (!st)
        printf("%d jobs, all done\n", b.done);
    msgsrv_bus_free(bus); /* while b is there */
    return st;
}

int main(int argc, char **argv)
{
    char here[] = "tcp://127.0.0.1:7070";
    char *url = argc > 1 ? argv[1] : here;
    const msgsrv_bus_options options = {.name = argc > 2 ? argv[2] : "boss"};
    msgsrv_bus *bus = NULL;
    msgsrv_error err;
    msgsrv_status st = msgsrv_bus_open(url, &options, &bus, &err);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!st)
        st = argc > 2 ? work(bus, argv[2], argc > 3, &err) : lead(bus, argv[0], url, &err);
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    return st != MSGSRV_OK;
}
