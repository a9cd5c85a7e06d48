/* SPDX-License-Identifier: MIT */
/*
 * See api_support.h. Nothing here looks inside the library: only public headers and the generated code of
 * proto/messages.proto.
 */
#include "api_support.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <time.h>

int64_t api_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- events ---- */

void api_event_init(api_event *event)
{
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->changed, NULL);
    event->count = 0;
}

void api_event_add(api_event *event)
{
    pthread_mutex_lock(&event->mutex);
    event->count++;
    pthread_cond_broadcast(&event->changed);
    pthread_mutex_unlock(&event->mutex);
}

unsigned api_event_count(api_event *event)
{
    pthread_mutex_lock(&event->mutex);
    unsigned count = event->count;
    pthread_mutex_unlock(&event->mutex);
    return count;
}

void api_event_wait_at(api_event *event, unsigned count, const char *what, const char *file, int line)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += API_GUARD_MS / 1000;
    int rc = 0;
    pthread_mutex_lock(&event->mutex);
    while (event->count < count && rc == 0) {
        rc = pthread_cond_timedwait(&event->changed, &event->mutex, &until);
    }
    unsigned got = event->count;
    pthread_mutex_unlock(&event->mutex);
    if (got < count) {
        ck_abort_msg("%s:%d: %s happened %u times, not %u", file, line, what, got, count);
    }
}

/* ---- expectations ---- */

void api_expect_at(msgsrv_status want, msgsrv_status got, const msgsrv_error *error, const char *what, const char *file,
                   int line)
{
    if (got == want) {
        return;
    }
    ck_abort_msg("%s:%d: %s is %s, not %s (%s)", file, line, what, msgsrv_status_name(got), msgsrv_status_name(want),
                 got != MSGSRV_OK && error != NULL ? error->text : "");
}

void api_contains_at(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part) == NULL) {
        ck_abort_msg("%s:%d: \"%s\" does not contain \"%s\"", file, line, text, part);
    }
}

/* ---- the log ---- */

void api_log_init(api_log *log)
{
    memset(log, 0, sizeof *log);
    api_event_init(&log->lines);
}

void api_log_take(msgsrv_log_level level, const char *text, void *ctx)
{
    api_log *log = ctx;
    pthread_mutex_lock(&log->lines.mutex);
    if (log->lines.count < API_LOG_LINES) {
        snprintf(log->text[log->lines.count], sizeof log->text[0], "%s", text);
        log->level[log->lines.count] = level;
    }
    log->lines.count++;
    pthread_cond_broadcast(&log->lines.changed);
    pthread_mutex_unlock(&log->lines.mutex);
}

unsigned api_log_count(api_log *log, const char *part)
{
    unsigned found = 0;
    pthread_mutex_lock(&log->lines.mutex);
    for (unsigned i = 0; i < log->lines.count && i < API_LOG_LINES; i++) {
        found += strstr(log->text[i], part) != NULL;
    }
    pthread_mutex_unlock(&log->lines.mutex);
    return found;
}

/* ---- servers and clients ---- */

msgsrv_status api_echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response, void *ctx)
{
    (void)call;
    (void)ctx;
    response->text = request->text;
    return MSGSRV_OK;
}

msgsrv_status api_add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx)
{
    (void)ctx;
    if (__builtin_add_overflow(request->a, request->b, &response->result)) {
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", (int)request->a,
                                 (int)request->b);
    }
    return MSGSRV_OK;
}

const messages_Demo_service api_demo = {.Echo = api_echo, .Add = api_add};

void api_gate_init(struct api_gate *gate)
{
    api_event_init(&gate->entered);
    api_event_init(&gate->opened);
}

msgsrv_status api_add_behind_gate(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                  void *ctx)
{
    struct api_gate *gate = ctx;
    api_event_add(&gate->entered);
    api_event_wait(&gate->opened, 1);
    return api_add(call, request, response, NULL);
}

const messages_Demo_service api_gated = {.Echo = api_echo, .Add = api_add_behind_gate, .blocking = {.Add = true}};

void api_holds_init(struct api_holds *holds)
{
    memset(holds, 0, sizeof *holds);
    api_event_init(&holds->held);
    api_event_init(&holds->cancelled);
    pthread_mutex_init(&holds->mutex, NULL);
}

static void note_cancel(msgsrv_status reason, void *ctx)
{
    struct api_holds *holds = ctx;
    pthread_mutex_lock(&holds->mutex);
    holds->reason = reason;
    pthread_mutex_unlock(&holds->mutex);
    api_event_add(&holds->cancelled);
}

msgsrv_status api_add_held(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                           void *ctx)
{
    struct api_holds *holds = ctx;
    (void)response;
    msgsrv_held *held = msgsrv_call_hold(call);
    ck_assert_ptr_nonnull(held);
    msgsrv_call_on_cancel(call, note_cancel, holds);
    pthread_mutex_lock(&holds->mutex);
    ck_assert_uint_lt(holds->count, API_HOLDS);
    holds->time_left_ms = msgsrv_call_time_left_ms(call);
    holds->request[holds->count] = request;
    holds->hold[holds->count++] = held;
    pthread_mutex_unlock(&holds->mutex);
    api_event_add(&holds->held);
    return MSGSRV_DEFERRED;
}

const messages_Demo_service api_holding = {.Echo = api_echo, .Add = api_add_held};

msgsrv_server *api_server_new(const char *url, const msgsrv_server_options *options, const messages_Demo_service *demo,
                              void *ctx)
{
    msgsrv_server *server = NULL;
    msgsrv_error error;
    api_ok(msgsrv_server_new(options, &server, &error), &error);
    api_ok(messages_Demo_register(server, demo != NULL ? demo : &api_demo, ctx, &error), &error);
    api_ok(msgsrv_server_listen(server, url != NULL ? url : "tcp://127.0.0.1:0", &error), &error);
    return server;
}

msgsrv_server *api_server_on(const char *url, const msgsrv_server_options *options, const messages_Demo_service *demo,
                             void *ctx)
{
    msgsrv_error error;
    msgsrv_server *server = api_server_new(url, options, demo, ctx);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

msgsrv_server *api_server(const messages_Demo_service *demo, void *ctx)
{
    return api_server_on(NULL, NULL, demo, ctx);
}

msgsrv_client *api_client_of(const char *url, const msgsrv_client_options *options)
{
    msgsrv_client *client = NULL;
    msgsrv_error error;
    char other[320];
    if (getenv("MSGSRV_TEST_GRPC")) { /* the same test with another protocol between the same ends */
        bool tcp = strncmp(url, "tcp:", 4) == 0;
        snprintf(other, sizeof other, "%s%s", tcp ? "grpc:" : "grpc+", tcp ? url + 4 : url);
        url = other;
    }
    api_ok(msgsrv_client_new(url, options, &client, &error), &error);
    return client;
}

msgsrv_client *api_client(const msgsrv_server *server, const msgsrv_client_options *options)
{
    return api_client_of(msgsrv_server_address(server, 0), options);
}

msgsrv_client *api_client_thread(const msgsrv_server *server)
{
    return api_client(server, &(msgsrv_client_options){.thread = true});
}

void api_call_add(msgsrv_client *client)
{
    msgsrv_error error;
    messages_AddResponse response = messages_AddResponse_init_zero;
    api_ok(messages_Demo_Add(client, &(messages_AddRequest){.a = 2, .b = 3}, NULL, &response, &error), &error);
    ck_assert_int_eq(response.result, 5);
}

void api_call_echo(msgsrv_client *client, const char *text)
{
    msgsrv_error error;
    messages_EchoMessage response = messages_EchoMessage_init_zero;
    messages_EchoMessage request = {.text = (char *)(uintptr_t)text};
    api_ok(messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
    ck_assert_str_eq(response.text, text);
    messages_EchoMessage_release(&response);
}

/* ---- asynchronous calls ---- */

void api_result_init(api_result *result)
{
    memset(result, 0, sizeof *result);
    api_event_init(&result->ended);
    result->status = MSGSRV_DEFERRED; /* nothing that a call can end with */
}

void api_result_clear(api_result *result)
{
    free(result->echo);
    result->echo = NULL;
}

static void take_reply(api_result *result, const msgsrv_reply *reply, bool had_response)
{
    result->status = reply->status;
    result->from_peer = reply->error->from_peer;
    result->had_response = had_response;
    result->thread = pthread_self();
    snprintf(result->text, sizeof result->text, "%s", reply->status != MSGSRV_OK ? reply->error->text : "");
}

void api_on_add(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    api_result *result = ctx;
    take_reply(result, reply, response != NULL);
    result->sum = response != NULL ? response->result : 0;
    api_event_add(&result->ended);
}

void api_on_echo(const msgsrv_reply *reply, messages_EchoMessage *response, void *ctx)
{
    api_result *result = ctx;
    take_reply(result, reply, response != NULL);
    free(result->echo);
    result->echo = response != NULL && response->text != NULL ? strdup(response->text) : NULL;
    api_event_add(&result->ended);
}

msgsrv_handle api_start_add(msgsrv_client *client, const msgsrv_call_options *options, api_result *result)
{
    msgsrv_error error;
    msgsrv_handle handle = 0;
    api_result_init(result);
    messages_AddRequest request = {.a = 2, .b = 3};
    api_ok(messages_Demo_Add_async(client, &request, options, api_on_add, result, &handle, &error), &error);
    ck_assert_uint_ne(handle, 0);
    return handle;
}

msgsrv_handle api_start_echo(msgsrv_client *client, const char *text, const msgsrv_call_options *options,
                             api_result *result)
{
    msgsrv_error error;
    msgsrv_handle handle = 0;
    api_result_init(result);
    messages_EchoMessage request = {.text = (char *)(uintptr_t)text};
    api_ok(messages_Demo_Echo_async(client, &request, options, api_on_echo, result, &handle, &error), &error);
    ck_assert_uint_ne(handle, 0);
    return handle;
}

void api_drive(msgsrv_client *client, api_result *result)
{
    msgsrv_error error;
    while (api_event_count(&result->ended) == 0) {
        api_ok(msgsrv_client_poll(client, API_GUARD_MS, &error), &error);
    }
}

/* ---- the process ---- */

unsigned api_count_entries(const char *directory)
{
    unsigned count = 0;
    DIR *dir = opendir(directory);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void *tell_tid(void *arg)
{
    *(pid_t *)arg = gettid();
    return NULL;
}

/* Makes a thread and waits until nothing of it is left. */
static void make_first_thread(void)
{
    pthread_t thread;
    pid_t tid = 0;
    char path[64];
    ck_assert_int_eq(pthread_create(&thread, NULL, tell_tid, &tid), 0);
    pthread_join(thread, NULL);
    snprintf(path, sizeof path, "/proc/self/task/%ld", (long)tid);
    while (access(path, F_OK) == 0)
        sched_yield();
}

unsigned api_threads(void)
{
    static bool made;
    if (!made)
        make_first_thread();
    made = true;
    return api_count_entries("/proc/self/task");
}

void api_wait_threads(unsigned count)
{
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (api_count_entries("/proc/self/task") > count) {
        if (api_now_ms() > until) {
            ck_abort_msg("there are %u threads, not %u", api_count_entries("/proc/self/task"), count);
        }
        sched_yield();
    }
}

void api_path_make(api_path *path)
{
    snprintf(path->directory, sizeof path->directory, "/tmp/msgsrv-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path->directory));
    snprintf(path->path, sizeof path->path, "%s/socket", path->directory);
    snprintf(path->url, sizeof path->url, "unix://%s", path->path);
}

void api_path_remove(const api_path *path)
{
    unlink(path->path);
    ck_assert_int_eq(rmdir(path->directory), 0);
}
