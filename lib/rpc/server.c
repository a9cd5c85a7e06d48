/* SPDX-License-Identifier: MIT */
/* A server's life: made, filled, started, ended, freed. */
#include <msgsrv/server.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "rpc/dispatch.h"
#include "rpc/server_internal.h"
#include "services/builtin.h"

static msgsrv_status init_loop(msgsrv_server *server, msi_server_loop *own, msgsrv_error *error)
{
    const msgsrv_server_options *o = &server->options;
    msgsrv_status status = msi_loop_init(&own->loop, o->base, msi_log_make(o->log, o->log_ctx, o->log_level), error);
    if (status)
        return status;
    msi_call_host_init(&own->host, &own->loop, &msi_dispatch_ops, &server->methods);
    own->server = server;
    own->loop.owner = own;
    own->loop.on_flags = msi_server_on_flags;
    own->host.connection_closed = msi_server_connection_closed;
    own->host.workers = &server->workers;
    own->host.interceptors = &server->interceptors;
    own->host.max_message = o->max_message;
    own->host.max_metadata = o->max_metadata;
    return MSGSRV_OK;
}

msgsrv_status msgsrv_server_new(const msgsrv_server_options *options, msgsrv_server **out, msgsrv_error *error)
{
    if (!out)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "server is NULL");
    msgsrv_server *server = calloc(1, sizeof *server);
    if (!server)
        return msi_error_memory(error);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    msgsrv_status status = msi_server_take_options(server, options, error);
    uint32_t count = status ? 0 : server->options.threads;
    if (status == MSGSRV_OK) {
        server->loops = calloc(count, sizeof *server->loops);
        if (!server->loops)
            status = msi_error_memory(error);
    }
    while (status == MSGSRV_OK && server->loop_count < count) {
        status = init_loop(server, &server->loops[server->loop_count], error);
        server->loop_count += status == MSGSRV_OK;
    }
    if (status)
        msi_server_destroy(server);
    else
        *out = server;
    return status;
}

static msgsrv_status check_new(const msgsrv_server *server, msgsrv_error *error)
{
    if (!server)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "server is NULL");
    if (server->started)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the server has been started already");
    if (server->on_stopped_told)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the server has been stopped already");
    return MSGSRV_OK;
}

msgsrv_status msgsrv_server_register(msgsrv_server *server, const msgsrv_service *service, const void *implementation,
                                     void *ctx, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    return status ? status : msi_methods_add(&server->methods, service, implementation, ctx, error);
}

msgsrv_status msgsrv_server_intercept(msgsrv_server *server, const msgsrv_interceptor *interceptor, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    return status ? status : msi_interceptors_add(&server->interceptors, interceptor, error);
}

const msgsrv_service *msgsrv_server_service(const msgsrv_server *server, size_t index)
{
    return server ? msi_methods_service(&server->methods, index) : NULL;
}

void *msi_server_services(const msgsrv_server *server)
{
    return server->started_at ? server->services : NULL;
}

void msi_server_keep(msgsrv_server *server, msi_server_kept *kept)
{
    kept->next = server->kept;
    server->kept = kept;
}

msi_server_kept *msi_server_first_kept(const msgsrv_server *server)
{
    return server->kept;
}

static void free_kept(msi_server_kept *kept)
{
    while (kept) {
        msi_server_kept *next = kept->next;
        kept->free(kept);
        kept = next;
    }
}

bool msgsrv_server_draining(const msgsrv_server *server)
{
    return atomic_load(&server->draining);
}

void msgsrv_server_get_options(const msgsrv_server *server, msgsrv_server_options *options)
{
    size_t size = options->size && options->size < sizeof *options ? options->size : sizeof *options;
    if (options->size == 0)
        size = MSI_SERVER_OPTIONS_FIRST_SIZE;
    memcpy(options, &server->options, size);
    options->size = size;
}

msgsrv_status msgsrv_server_bind_plain(msgsrv_server *server, uint32_t request_field, const char *method,
                                       uint32_t answer_field, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    if (status)
        return status;
    if (request_field < 1 || request_field > 15 || answer_field < 1 || answer_field > 15)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "fields %u and %u: plain messages have the numbers 1 to 15",
                         request_field, answer_field);
    if (!method)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "method is NULL");
    msi_method *found = msi_methods_find(&server->methods, (const uint8_t *)method, strlen(method));
    if (!found)
        return msi_error(error, MSGSRV_NOT_FOUND, "%.128s is not registered", method);
    if (found->description->kind != MSGSRV_UNARY)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%.128s streams: a plain message has one answer", method);
    msi_binding *binding = &server->config.plain[request_field];
    if (binding->method)
        return msi_error(error, MSGSRV_ALREADY_EXISTS, "plain message %u is bound to %s", request_field,
                         binding->method->description->path);
    *binding = (msi_binding){found, answer_field};
    return MSGSRV_OK;
}

/* The list is kept in reverse, so that a failed listen can be undone. */
static const char **list_addresses(const msi_listener *listeners)
{
    size_t count = 0;
    for (const msi_listener *at = listeners; at; at = msi_listener_next(at))
        count++;
    const char **addresses = calloc(count + 1, sizeof *addresses);
    for (const msi_listener *at = listeners; at && addresses; at = msi_listener_next(at))
        addresses[--count] = msi_listener_url(at);
    return addresses;
}

msgsrv_status msgsrv_server_listen(msgsrv_server *server, const char *url, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    if (status)
        return status;
    msi_listener *before = server->listeners;
    msi_listen_options options = {server->options.backlog, server->options.socket_mode};
    status = msi_listen(url, &options, &server->listeners, error);
    if (status)
        return status;
    const char **addresses = list_addresses(server->listeners);
    if (!addresses) {
        msi_listeners_cut(&server->listeners, before);
        return msi_error_memory(error);
    }
    free(server->addresses);
    server->addresses = addresses;
    return MSGSRV_OK;
}

const char *msgsrv_server_address(const msgsrv_server *server, size_t index)
{
    if (!server || !server->addresses)
        return NULL;
    for (size_t i = 0; i < index; i++) {
        if (!server->addresses[i])
            return NULL;
    }
    return server->addresses[index];
}

static bool any_blocking(const msi_methods *methods)
{
    for (size_t i = 0; i < methods->count; i++) {
        if (methods->sorted[i]->blocking)
            return true;
    }
    return false;
}

static void set_running(msgsrv_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->running = true;
    pthread_mutex_unlock(&server->lock);
}

/* From here on another thread may free the server. */
static void set_stopped(msgsrv_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->running = false;
    server->stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Runs one loop in the calling thread to its end. */
static void run_loop(msi_server_loop *own)
{
    own->runner = pthread_self();
    atomic_store(&own->alive, true);
    (void)event_base_loop(own->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
    atomic_store(&own->alive, false);
    atomic_store(&own->done, true);
    msgsrv_server *server = own->server;
    if (own != &server->loops[0])
        msi_mailbox_raise(server->loops[0].loop.mailbox, MSI_SERVER_LOOP_DONE);
}

static void join_others(msgsrv_server *server, uint32_t from)
{
    for (uint32_t i = from; i < server->loop_count; i++) {
        if (server->loops[i].threaded)
            pthread_join(server->loops[i].thread, NULL);
        server->loops[i].threaded = false;
    }
}

/* The first loop has ended, after all others: whoever ran it cleans up if the program freed the server meanwhile. */
static void after_first(msgsrv_server *server, bool own_thread)
{
    join_others(server, 1);
    if (!server->free_pending) {
        set_stopped(server);
        return;
    }
    if (own_thread)
        pthread_detach(pthread_self());
    msi_server_destroy(server);
}

static void *loop_thread(void *arg)
{
    msi_server_loop *own = arg;
    msgsrv_server *server = own->server;
    bool first = own == &server->loops[0];
    run_loop(own);
    if (first)
        after_first(server, true);
    return NULL;
}

static bool start_thread(msi_server_loop *own)
{
    own->threaded = msi_thread_start(&own->thread, loop_thread, own);
    return own->threaded;
}

/* What the built-in services are, the protocols have from here on. */
static msgsrv_status start_services(msgsrv_server *server, msgsrv_error *error)
{
    msgsrv_status status = msi_services_start(server, &server->services, error);
    server->config.page = msi_services_page;
    server->config.pages = server->services;
    server->config.schema = msi_services_schema(server->services);
    return status;
}

static msgsrv_status start_accepting(msgsrv_server *server, msgsrv_error *error)
{
    msi_server_loop *first = &server->loops[0];
    if (any_blocking(&server->methods) && !server->workers) {
        server->workers = msi_workers_new(server->options.worker_threads, server->options.worker_queue);
        if (!server->workers)
            return msi_error_memory(error);
    }
    msgsrv_status status = MSGSRV_OK;
    for (msi_listener *at = server->listeners; at && status == MSGSRV_OK; at = msi_listener_next(at))
        status = msi_listener_start(at, &first->loop, msi_server_on_accept, first, error);
    for (msi_listener *at = server->listeners; at && status; at = msi_listener_next(at))
        msi_listener_pause(at); /* not started means that none accepts */
    return status;
}

/* Makes the threads of the loops from `from` on, the first loop's last, because it waits for the others; when one cannot be made,
 * those that were are ended. */
static msgsrv_status start_threads(msgsrv_server *server, uint32_t from, msgsrv_error *error)
{
    for (uint32_t i = server->loop_count; i-- > from;) {
        if (start_thread(&server->loops[i]))
            continue;
        for (uint32_t j = i + 1; j < server->loop_count; j++)
            msi_mailbox_raise(server->loops[j].loop.mailbox, MSI_SERVER_STOP);
        join_others(server, i + 1);
        for (uint32_t j = i + 1; j < server->loop_count; j++) {
            server->loops[j].stopped = false; /* so that it can be started again */
            atomic_store(&server->loops[j].done, false);
        }
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "cannot make a thread");
    }
    return MSGSRV_OK;
}

msgsrv_status msgsrv_server_start(msgsrv_server *server, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    if (status)
        return status;
    status = start_services(server, error);
    if (status)
        return status;
    status = start_accepting(server, error);
    server->started_at = msi_now();
    server->started = true;
    if (status == MSGSRV_OK && !server->options.base)
        status = start_threads(server, 0, error);
    if (status)
        server->started = false;
    return status;
}

msgsrv_status msgsrv_server_run(msgsrv_server *server, msgsrv_error *error)
{
    msgsrv_status status = check_new(server, error);
    if (status)
        return status;
    if (server->options.base)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "the server is on the caller's event_base: start it, and run the base");
    status = start_services(server, error);
    if (status)
        return status;
    status = start_accepting(server, error);
    server->started_at = msi_now();
    server->started = true;
    if (status == MSGSRV_OK)
        status = start_threads(server, 1, error);
    if (status) {
        server->started = false;
        return status;
    }
    set_running(server);
    run_loop(&server->loops[0]);
    after_first(server, false);
    return MSGSRV_OK;
}

/* Whether the calling thread is inside a callback of one of the server's loops. */
static msi_server_loop *inside(msgsrv_server *server)
{
    for (uint32_t i = 0; i < server->loop_count; i++) {
        msi_server_loop *own = &server->loops[i];
        bool ours = server->options.base ? own->loop.depth > 0
                                         : atomic_load(&own->alive) && pthread_equal(own->runner, pthread_self());
        if (ours)
            return own;
    }
    return NULL;
}

msgsrv_status msgsrv_server_wait(msgsrv_server *server, msgsrv_error *error)
{
    if (!server)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "server is NULL");
    if (!server->started || server->options.base || inside(server))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "only a started server with loops of its own is waited for, from outside");
    pthread_mutex_lock(&server->lock);
    while (!server->stopped)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    return MSGSRV_OK;
}

void msgsrv_server_drain(msgsrv_server *server, uint32_t grace_ms)
{
    if (!server)
        return;
    atomic_store(&server->grace_ms, grace_ms);
    msi_mailbox_raise(server->loops[0].loop.mailbox, MSI_SERVER_DRAIN);
}

void msgsrv_server_stop(msgsrv_server *server)
{
    if (server)
        msi_mailbox_raise(server->loops[0].loop.mailbox, MSI_SERVER_STOP);
}

void msgsrv_server_stats(const msgsrv_server *server, msgsrv_stats *stats)
{
    msgsrv_stats sum = {.size = sizeof sum};
    for (uint32_t i = 0; i < server->loop_count; i++)
        msi_counters_add(&server->loops[i].loop.counters, &sum);
    if (server->started_at)
        sum.uptime_ms = (msi_now() - server->started_at) / MSI_MS;
    size_t first = offsetof(msgsrv_stats, uptime_ms); /* its size in 1.0 */
    size_t size = !stats->size ? first : stats->size < sizeof sum ? stats->size : sizeof sum;
    sum.size = stats->size;
    memcpy(stats, &sum, size);
}

/* One pass over the loops, each inside a bracket, on the thread that frees the server. */
static void sweep_loops(msgsrv_server *server)
{
    for (uint32_t i = 0; i < server->loop_count; i++) {
        msi_server_loop *own = &server->loops[i];
        msi_loop *before = msi_loop_enter(&own->loop);
        own->loop.on_leave = NULL;
        msi_loop_run_posts(&own->loop);
        msi_server_close_all(own);
        msi_loop_leave(&own->loop, before);
    }
}

void msi_server_destroy(msgsrv_server *server)
{
    server->destroying = true;
    /* First all that is pending is cancelled, so that handlers on the pool need not be waited for longer than they want. Then the workers,
     * whose results come to the loops; and the loops last, because they send each other things. */
    sweep_loops(server);
    msi_workers_free(server->workers);
    if (server->grace_timer)
        event_free(server->grace_timer);
    msi_listeners_free(server->listeners);
    sweep_loops(server);
    for (uint32_t i = 0; i < server->loop_count; i++) {
        msi_loop_release(&server->loops[i].loop);
        msi_call_host_release(&server->loops[i].host);
    }
    msi_services_free(server->services);
    free_kept(server->kept);
    msi_methods_release(&server->methods);
    free(server->addresses);
    free(server->loops);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static void on_leave_freed(msi_loop *loop)
{
    msi_server_loop *own = loop->owner;
    msi_server_destroy(own->server);
}

/* Inside a callback: what is pending ends now, the memory goes when the stack is unwound. */
static void free_inside(msgsrv_server *server, msi_server_loop *own)
{
    if (server->free_pending)
        return;
    server->free_pending = true;
    own->loop.freeing = true;
    server->on_stopped_told = true;
    server->options.on_stopped = NULL;
    if (server->options.base) {
        own->loop.on_leave = on_leave_freed;
        msi_server_stop_here(own);
        msi_server_close_all(own);
        return;
    }
    server->on_stopped_told = false;
    msi_server_close_all(own);
    own->stopped = false; /* its own loop has still to be ended by the flag */
    msgsrv_server_stop(server);
}

void msgsrv_server_free(msgsrv_server *server)
{
    if (!server || server->destroying)
        return;
    if (msi_workers_inside(server->workers)) {
        msi_log_line(&server->loops[0].loop.log, MSGSRV_LOG_ERROR,
                     "msgsrv_server_free() inside a handler on the worker pool, which it would wait for: ignored");
        return;
    }
    msi_server_loop *own = inside(server);
    if (own) {
        free_inside(server, own);
        return;
    }
    if (server->started && !server->options.base) {
        msgsrv_server_stop(server);
        pthread_mutex_lock(&server->lock);
        while (!server->stopped || server->running)
            pthread_cond_wait(&server->changed, &server->lock);
        pthread_mutex_unlock(&server->lock);
        join_others(server, 0);
    }
    msi_server_destroy(server);
}
