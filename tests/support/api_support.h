/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the public API share: events to wait for, a log that remembers its lines, a server and a client in
 * one line each, and results of asynchronous calls. Everything waits for what happens; API_GUARD_MS only keeps a test
 * that would hang from hanging. Check's fork mode gives each test a process of its own, so nothing here cleans up
 * after a failed one.
 */
#ifndef API_SUPPORT_H
#define API_SUPPORT_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

#include "suite.h"

/* Nothing takes as long as this unless it is broken. */
#define API_GUARD_MS 20000

/* Something that happens, counted; any thread. */
typedef struct api_event {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned count;
} api_event;

#define API_EVENT_INIT                                         \
    {                                                          \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 \
    }

void api_event_init(api_event *event);
void api_event_add(api_event *event);
unsigned api_event_count(api_event *event);

/* Waits until it has happened so often; a test that waits for ever fails by name of what it waited for. */
void api_event_wait_at(api_event *event, unsigned count, const char *what, const char *file, int line);
#define api_event_wait(event, count) api_event_wait_at(event, count, #event, __FILE__, __LINE__)

/* Fails with both codes and the error's text when they differ. `error` may be NULL. */
void api_expect_at(msgsrv_status want, msgsrv_status got, const msgsrv_error *error, const char *what, const char *file,
                   int line);
#define api_expect(want, call, error) api_expect_at(want, call, error, #call, __FILE__, __LINE__)
#define api_ok(call, error) api_expect(MSGSRV_OK, call, error)

/* Fails, printing the text, unless it contains the part. */
void api_contains_at(const char *text, const char *part, const char *file, int line);
#define api_contains(text, part) api_contains_at(text, part, __FILE__, __LINE__)

/* A log callback's context: it keeps the first lines and counts all. */
#define API_LOG_LINES 64
typedef struct api_log {
    api_event lines;
    char text[API_LOG_LINES][320];
    msgsrv_log_level level[API_LOG_LINES];
} api_log;

void api_log_init(api_log *log);
void api_log_take(msgsrv_log_level level, const char *text, void *ctx);
/* How many of the kept lines contain the part. */
unsigned api_log_count(api_log *log, const char *part);

/* Handlers that do what messages.proto says. */
msgsrv_status api_echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response, void *ctx);
msgsrv_status api_add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx);
extern const messages_Demo_service api_demo;

/* A handler of Add that says when it runs and answers when it is let go; its ctx is one of these. */
struct api_gate {
    api_event entered;
    api_event opened;
};

void api_gate_init(struct api_gate *gate);
msgsrv_status api_add_behind_gate(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                  void *ctx);
/* Add waits at its gate on the worker pool; Echo answers on the loop. */
extern const messages_Demo_service api_gated;

/* A handler of Add that holds its calls; its ctx is one of these. */
#define API_HOLDS 16
struct api_holds {
    api_event held;
    api_event cancelled;
    pthread_mutex_t mutex; /* guards the rest against handlers on several loops; read what an event has announced */
    unsigned count;
    msgsrv_held *hold[API_HOLDS]; /* in the order of the calls */
    const messages_AddRequest *request[API_HOLDS];
    msgsrv_status reason; /* of the last cancellation */
    int64_t time_left_ms; /* of the last call */
};

void api_holds_init(struct api_holds *holds);
msgsrv_status api_add_held(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                           void *ctx);
/* Add is held; Echo answers. */
extern const messages_Demo_service api_holding;

/*
 * A server with a service, that listens on one address and is started. NULL options are all defaults, a NULL service is
 * api_demo, a NULL url a free port of 127.0.0.1. The caller frees it.
 */
msgsrv_server *api_server_on(const char *url, const msgsrv_server_options *options, const messages_Demo_service *demo,
                             void *ctx);
/* The same, not started yet. */
msgsrv_server *api_server_new(const char *url, const msgsrv_server_options *options, const messages_Demo_service *demo,
                              void *ctx);
/* The same on its own thread with default options. */
msgsrv_server *api_server(const messages_Demo_service *demo, void *ctx);

/* A client of a server's first address. The caller frees it. */
msgsrv_client *api_client(const msgsrv_server *server, const msgsrv_client_options *options);
/* A client of an address. */
msgsrv_client *api_client_of(const char *url, const msgsrv_client_options *options);
/* A client with a thread of its own. */
msgsrv_client *api_client_thread(const msgsrv_server *server);

/* One synchronous call each; they fail the test when it does not succeed. */
void api_call_add(msgsrv_client *client);
void api_call_echo(msgsrv_client *client, const char *text);

/* How an asynchronous call ended; `ended` counts its callbacks. */
typedef struct api_result {
    api_event ended;
    msgsrv_status status;
    bool from_peer;
    bool had_response;
    char text[MSGSRV_ERROR_TEXT];
    int32_t sum;
    char *echo; /* a copy, freed by api_result_clear() */
    pthread_t thread;
} api_result;

void api_result_init(api_result *result);
void api_result_clear(api_result *result);
void api_on_add(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx);
void api_on_echo(const msgsrv_reply *reply, messages_EchoMessage *response, void *ctx);
/* Starts one, and fails the test when it does not start. */
msgsrv_handle api_start_add(msgsrv_client *client, const msgsrv_call_options *options, api_result *result);
msgsrv_handle api_start_echo(msgsrv_client *client, const char *text, const msgsrv_call_options *options,
                             api_result *result);
/* Drives a private loop until the call has ended. */
void api_drive(msgsrv_client *client, api_result *result);

/* How many entries a directory has: /proc/self/fd are the descriptors (and one more). */
unsigned api_count_entries(const char *directory);
/* How many threads the process has; the first time, after making one, because a sanitizer then makes one for itself. */
unsigned api_threads(void);
/* Waits until there are not more threads: a joined one is seen for a moment still. */
void api_wait_threads(unsigned count);

/* A path in a new directory of its own, for Unix sockets. */
typedef struct api_path {
    char directory[64];
    char path[96];
    char url[112];
} api_path;
void api_path_make(api_path *path);
void api_path_remove(const api_path *path);

int64_t api_now_ms(void);

#endif
