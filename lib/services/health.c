/* SPDX-License-Identifier: MIT */
/*
 * grpc.health.v1.Health: names with a status, and the streams that watch them.
 *
 * One lock guards all names and the lists of watchers; what a watcher has sent is its loop's own. Whoever sets a status wakes the name's
 * watchers, and each sends on its loop what the status is by then: several changes may become one message, but never is the last one missing.
 * A name that is only watched is kept while it is watched. When the server drains, whatever is known counts as NOT_SERVING.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.msgsrv.h"
#include "services/internal.h"

#define NAMES_MAX 10000u /* names that were set, so that a program that makes them up does not grow for ever */
#define NAME_MAX_BYTES (sizeof(((grpc_health_v1_HealthCheckRequest *)NULL)->service) - 1)
#define LIST_MAX 100u /* as the published protocol says */
#define BUCKETS 1024u /* about ten names each when all are taken */
#define NOTHING_SENT (-1)

typedef grpc_health_v1_Health_Watch_server watch_call;

typedef struct health_watcher {
    watch_call call; /* with a reference to its stream */
    struct health_name *name;
    struct health_watcher *next; /* of the same name */
    struct health_watcher **back;
    int sent; /* the last status; NOTHING_SENT */
} health_watcher;

typedef struct health_name {
    struct health_name *next; /* of the bucket */
    health_watcher *watchers;
    bool known; /* it was set or is registered; else it is only watched */
    msgsrv_health value;
    char text[];
} health_name;

struct msi_health {
    msgsrv_server *server;
    pthread_mutex_t lock; /* guards what follows */
    health_name *buckets[BUCKETS];
    size_t known_count;
};

/* ---- names; under the lock ---- */

static health_name **bucket_of(msi_health *health, const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return &health->buckets[hash % BUCKETS];
}

static health_name *find_name(msi_health *health, const char *text)
{
    health_name *at = *bucket_of(health, text);
    while (at && strcmp(at->text, text) != 0)
        at = at->next;
    return at;
}

/* The name, made if it is not there; NULL without memory. */
static health_name *take_name(msi_health *health, const char *text)
{
    health_name *name = find_name(health, text);
    if (name)
        return name;
    size_t size = strlen(text) + 1;
    name = calloc(1, sizeof *name + size);
    if (!name)
        return NULL;
    memcpy(name->text, text, size);
    health_name **bucket = bucket_of(health, text);
    name->next = *bucket;
    *bucket = name;
    return name;
}

/* Forgets a name that is neither known nor watched. */
static void drop_name(msi_health *health, health_name *name)
{
    if (name->known || name->watchers)
        return;
    health_name **at = bucket_of(health, name->text);
    while (*at != name)
        at = &(*at)->next;
    *at = name->next;
    free(name);
}

static msgsrv_health status_of(const msi_health *health, const health_name *name)
{
    if (!name || !name->known)
        return MSGSRV_HEALTH_SERVICE_UNKNOWN;
    return msgsrv_server_draining(health->server) ? MSGSRV_HEALTH_NOT_SERVING : name->value;
}

static grpc_health_v1_HealthCheckResponse_ServingStatus to_wire(msgsrv_health value)
{
    return (grpc_health_v1_HealthCheckResponse_ServingStatus)value; /* the numbers are the same */
}

/* ---- Check and List ---- */

static msgsrv_status check(msgsrv_call *call, const grpc_health_v1_HealthCheckRequest *request,
                           grpc_health_v1_HealthCheckResponse *response, void *ctx)
{
    msi_health *health = ctx;
    pthread_mutex_lock(&health->lock);
    msgsrv_health value = status_of(health, find_name(health, request->service));
    pthread_mutex_unlock(&health->lock);
    if (value == MSGSRV_HEALTH_SERVICE_UNKNOWN)
        return msgsrv_call_error(call, MSGSRV_NOT_FOUND, "the health of \"%s\" is not known", request->service);
    response->status = to_wire(value);
    return MSGSRV_OK;
}

/* Names are never forgotten once they are known, so that a response may point to them. */
static void list_names(msi_health *health, grpc_health_v1_HealthListResponse *response)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (health_name *at = health->buckets[i]; at; at = at->next) {
            if (!at->known)
                continue;
            grpc_health_v1_HealthListResponse_StatusesEntry *entry = &response->statuses[response->statuses_count++];
            entry->key = at->text;
            entry->has_value = true;
            entry->value.status = to_wire(status_of(health, at));
        }
    }
}

static msgsrv_status list(msgsrv_call *call, const grpc_health_v1_HealthListRequest *request,
                          grpc_health_v1_HealthListResponse *response, void *ctx)
{
    (void)request;
    msi_health *health = ctx;
    response->statuses = msgsrv_call_alloc(call, LIST_MAX * sizeof *response->statuses);
    if (!response->statuses)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    pthread_mutex_lock(&health->lock);
    bool fits = health->known_count <= LIST_MAX;
    if (fits)
        list_names(health, response);
    pthread_mutex_unlock(&health->lock);
    if (!fits)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "more than %u services have a health", LIST_MAX);
    return MSGSRV_OK;
}

/* ---- Watch; on the stream's loop ---- */

/* Sends the status if it is another one than was sent last. MSGSRV_AGAIN: when the client has read. */
static msgsrv_status send_status(msi_health *health, health_watcher *watcher)
{
    pthread_mutex_lock(&health->lock);
    msgsrv_health value = status_of(health, watcher->name);
    pthread_mutex_unlock(&health->lock);
    if ((int)value == watcher->sent)
        return MSGSRV_OK;
    msgsrv_error error;
    grpc_health_v1_HealthCheckResponse response = {.status = to_wire(value)};
    msgsrv_status status = grpc_health_v1_Health_Watch_server_send(watcher->call, &response, &error);
    if (status == MSGSRV_OK)
        watcher->sent = (int)value;
    else if (status != MSGSRV_AGAIN)
        return msgsrv_stream_fail(watcher->call.stream, status, "%s", error.text);
    return status;
}

/* Brings a watcher up to date, and ends it when the server drains and it has been told so. */
static msgsrv_status update(watch_call call, void *ctx)
{
    msi_health *health = ctx;
    health_watcher *watcher = msgsrv_stream_data(call.stream);
    if (!watcher)
        return MSGSRV_OK;
    bool draining = msgsrv_server_draining(health->server);
    msgsrv_status status = send_status(health, watcher);
    if (status == MSGSRV_OK && draining)
        return msgsrv_stream_fail(call.stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    return status;
}

static bool join(msi_health *health, health_watcher *watcher, const char *text)
{
    pthread_mutex_lock(&health->lock);
    health_name *name = take_name(health, text);
    if (name) {
        watcher->name = name;
        watcher->next = name->watchers;
        watcher->back = &name->watchers;
        if (name->watchers)
            name->watchers->back = &watcher->next;
        name->watchers = watcher;
    }
    pthread_mutex_unlock(&health->lock);
    return name != NULL;
}

static void leave(msi_health *health, health_watcher *watcher)
{
    pthread_mutex_lock(&health->lock);
    *watcher->back = watcher->next;
    if (watcher->next)
        watcher->next->back = watcher->back;
    drop_name(health, watcher->name);
    pthread_mutex_unlock(&health->lock);
}

static msgsrv_status watch_begin(watch_call call, const grpc_health_v1_HealthCheckRequest *request, void *ctx)
{
    health_watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher)
        *watcher = (health_watcher){.call = call, .sent = NOTHING_SENT};
    if (!watcher || !join(ctx, watcher, request->service)) {
        free(watcher);
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    }
    (void)msgsrv_stream_ref(call.stream);
    msgsrv_stream_set_data(call.stream, watcher);
    return update(call, ctx);
}

static void watch_closed(watch_call call, const msgsrv_error *outcome, void *ctx)
{
    (void)outcome;
    health_watcher *watcher = msgsrv_stream_data(call.stream);
    if (!watcher)
        return;
    leave(ctx, watcher);
    msgsrv_stream_unref(call.stream);
    free(watcher);
}

/* ---- setting ---- */

/* Under the lock. */
static msgsrv_status set_name(msi_health *health, const char *text, msgsrv_health value, msgsrv_error *error)
{
    health_name *name = find_name(health, text);
    if ((!name || !name->known) && health->known_count == NAMES_MAX)
        return msi_services_error(error, MSGSRV_RESOURCE_EXHAUSTED, "more than %u names have a health", NAMES_MAX);
    name = take_name(health, text);
    if (!name)
        return msi_services_no_memory(error);
    health->known_count += !name->known;
    name->known = true;
    name->value = value;
    for (health_watcher *at = name->watchers; at; at = at->next)
        msgsrv_stream_wake(at->call.stream);
    return MSGSRV_OK;
}

msgsrv_status msi_health_set(msi_health *health, const char *service, msgsrv_health value, msgsrv_error *error)
{
    if (strlen(service) > NAME_MAX_BYTES)
        return msi_services_error(error, MSGSRV_INVALID_ARGUMENT, "service is longer than %zu bytes", NAME_MAX_BYTES);
    pthread_mutex_lock(&health->lock);
    msgsrv_status status = set_name(health, service, value, error);
    pthread_mutex_unlock(&health->lock);
    return status;
}

msgsrv_health msi_health_get(msi_health *health, const char *service)
{
    pthread_mutex_lock(&health->lock);
    msgsrv_health value = status_of(health, find_name(health, service));
    pthread_mutex_unlock(&health->lock);
    return value;
}

msgsrv_status msgsrv_server_set_health(msgsrv_server *server, const char *service, msgsrv_health value,
                                       msgsrv_error *error)
{
    if (!server || !service)
        return msi_services_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", server ? "service" : "server");
    if (value != MSGSRV_HEALTH_UNKNOWN && value != MSGSRV_HEALTH_SERVING && value != MSGSRV_HEALTH_NOT_SERVING)
        return msi_services_error(error, MSGSRV_INVALID_ARGUMENT, "health %d cannot be set", (int)value);
    msi_health *health = msi_services_health(msi_server_services(server));
    if (!health)
        return msi_services_error(error, MSGSRV_FAILED_PRECONDITION,
                                  "the server is not started, or has no built-in health service");
    return msi_health_set(health, service, value, error);
}

/* ---- its life ---- */

msi_health *msi_health_new(msgsrv_server *server)
{
    msi_health *health = calloc(1, sizeof *health);
    if (!health)
        return NULL;
    health->server = server;
    pthread_mutex_init(&health->lock, NULL);
    return health;
}

msgsrv_status msi_health_register(msi_health *health, msgsrv_error *error)
{
    static const grpc_health_v1_Health_service service = {
        .Check = check,
        .List = list,
        .Watch = {.begin = watch_begin, .writable = update, .woken = update, .draining = update, .closed = watch_closed},
    };
    return grpc_health_v1_Health_register(health->server, &service, health, error);
}

msgsrv_status msi_health_ready(msi_health *health, msgsrv_error *error)
{
    msgsrv_status status = msi_health_set(health, "", MSGSRV_HEALTH_SERVING, error);
    const msgsrv_service *service;
    for (size_t i = 0; status == MSGSRV_OK && (service = msgsrv_server_service(health->server, i)) != NULL; i++) {
        if (strlen(service->name) <= NAME_MAX_BYTES)
            status = msi_health_set(health, service->name, MSGSRV_HEALTH_SERVING, error);
    }
    return status;
}

void msi_health_free(msi_health *health)
{
    if (!health)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (health->buckets[i]) {
            health_name *name = health->buckets[i];
            health->buckets[i] = name->next;
            free(name);
        }
    }
    pthread_mutex_destroy(&health->lock);
    free(health);
}
