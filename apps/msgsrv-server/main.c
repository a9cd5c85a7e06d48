/* SPDX-License-Identifier: MIT */
/*
 * msgsrv-server: serves the demonstration service and an event bus until a signal ends it. All but the log and the statistics
 * on demand happens in the main thread, which the library borrows as its first loop.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "demo.h"
#include "program.h"
#include "settings.h"
#include "stats.h"

/* For the signal handler; they do not change while it is installed. */
static msgsrv_server *signalled_server;
static uint32_t signalled_grace_ms;
static atomic_int signals_seen;

/* The first signal drains, the next one stops. */
static void on_signal(int number)
{
    int saved_errno = errno;
    (void)number;
    if (atomic_fetch_add(&signals_seen, 1) == 0)
        msgsrv_server_drain(signalled_server, signalled_grace_ms);
    else
        msgsrv_server_stop(signalled_server);
    errno = saved_errno;
}

static void handle_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static void on_log(msgsrv_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    app_line("%s: %s", msgsrv_log_level_name(level), text);
}

static void on_access(msgsrv_log_level level, const char *text, void *ctx)
{
    (void)level;
    (void)ctx;
    app_line("%s", text);
}

/* Lives as long as the process. */
static msgsrv_interceptor access_log;

static msgsrv_status add_access_log(msgsrv_server *server, msgsrv_error *error)
{
    msgsrv_status status = msgsrv_access_log_new(on_access, NULL, &access_log, error);
    return status ? status : msgsrv_server_intercept(server, &access_log, error);
}

/* Lives as long as the server. */
static msgsrv_bus *bus;

/* How much longer than its one event a response may be. */
#define BUS_SLACK (64u * 1024)

/* An event has to fit into a message: one that was made smaller makes the events smaller. False when there is no room for any. */
static bool fit_events(struct settings *settings)
{
    uint32_t max_message = settings->server.max_message;
    if (settings->bus.max_event == 0 && max_message > 0 && max_message < SETTINGS_DEFAULT_MESSAGE)
        settings->bus.max_event = max_message > BUS_SLACK ? max_message - BUS_SLACK : 0;
    return max_message == 0 || max_message > BUS_SLACK || settings->bus.max_event > 0;
}

/* The bus is the server's; its handle is for its counters. */
static int add_bus(msgsrv_server *server, struct settings *settings)
{
    msgsrv_error error = {0};
    settings->bus.log = on_log;
    settings->bus.log_level = settings->server.log_level;
    msgsrv_status status = msgsrv_bus_open("mem:", &settings->bus, &bus, &error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_serve(bus, server, &error);
    if (status == MSGSRV_OK)
        return APP_GO_ON;
    int code = app_fail("start", &error, "");
    return status == MSGSRV_INVALID_ARGUMENT ? APP_EXIT_USAGE : code;
}

/* Makes the server and its listeners. Returns APP_GO_ON, or the exit status of a failure, reported. */
static int prepare(struct settings *settings, msgsrv_server **server)
{
    msgsrv_error error = {0};
    settings->server.log = on_log;
    if (msgsrv_server_new(&settings->server, server, &error) != MSGSRV_OK) {
        int status = app_fail("start", &error, "");
        return error.code == MSGSRV_INVALID_ARGUMENT ? APP_EXIT_USAGE : status;
    }
    if (demo_register(*server, &error) != MSGSRV_OK)
        return app_fail("start", &error, "");
    if (settings->access_log && add_access_log(*server, &error) != MSGSRV_OK)
        return app_fail("start", &error, "");
    int added = settings->no_bus || !fit_events(settings) ? APP_GO_ON : add_bus(*server, settings);
    if (added != APP_GO_ON)
        return added;
    for (size_t i = 0; i < settings->listen_count; i++) {
        if (msgsrv_server_listen(*server, settings->listen[i], &error) != MSGSRV_OK) {
            int status = app_fail("listen", &error, settings->listen[i]);
            return error.code == MSGSRV_INVALID_ARGUMENT ? APP_EXIT_USAGE : status;
        }
    }
    return APP_GO_ON;
}

/* Whoever reads these lines may connect, and may send signals. False when they could not be written. */
static bool announce(const msgsrv_server *server)
{
    const char *address;
    for (size_t i = 0; (address = msgsrv_server_address(server, i)); i++)
        printf("listening on %s\n", address);
    return app_flush();
}

/* Serves until a signal has ended it. */
static int serve(msgsrv_server *server, const struct settings *settings)
{
    msgsrv_error error = {0};
    int watching = settings->stats ? stats_watch(server, bus, settings->json) : 0;
    if (watching != 0) {
        app_line("start: the thread of the statistics: %s", strerror(watching));
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    signalled_server = server;
    signalled_grace_ms = settings->grace_ms;
    handle_signals(on_signal);
    int status = 0;
    if (announce(server) && msgsrv_server_run(server, &error) != MSGSRV_OK)
        status = app_fail("run", &error, "");
    handle_signals(SIG_IGN);
    if (settings->stats) {
        stats_unwatch();
        stats_print(server, bus, settings->json);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings;
    msgsrv_server *server = NULL;
    app_start("msgsrv-server", false);
    int status = settings_read(argc, argv, &settings);
    if (status == APP_GO_ON)
        status = prepare(&settings, &server);
    if (status == APP_GO_ON)
        status = serve(server, &settings);
    msgsrv_server_free(server);
    msgsrv_bus_free(bus);
    msgsrv_access_log_free(&access_log);
    return app_finish(status);
}
