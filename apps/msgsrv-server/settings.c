/* SPDX-License-Identifier: MIT */
/*
 * The command line of msgsrv-server. Every number of msgsrv_server_options is a row of NUMBERS and has the
 * field's name; its range is the library's, which checks it, so that it stands in one place.
 */
#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "number.h"
#include "program.h"
#include "url.h"

#define DEFAULT_LISTEN "tcp://127.0.0.1:7070"
#define DEFAULT_GRACE_MS 10000
#define MOST (MSGSRV_NONE - 1)

/* In options 0 means the default, so that it cannot be asked for. */
#define LIMIT(name, kind, none, field, help) name, kind, none, 1, MOST, offsetof(struct settings, server.field), help

/* The bus's bounds have the names of its options, with "bus-" in front. */
#define BUS(name, kind, none, field, help) name, kind, none, 1, MOST, offsetof(struct settings, field), help

static const struct app_number NUMBERS[] = {
    {LIMIT("threads", APP_COUNT, false, threads, "loops, each in a thread; 1 to 256 [1]")},
    {LIMIT("worker-threads", APP_COUNT, false, worker_threads, "threads of blocking handlers; 1 to 256 [4]")},
    {LIMIT("worker-queue", APP_COUNT, false, worker_queue, "calls waiting for one; 1 to 1000000 [1000]")},
    {LIMIT("max-connections", APP_COUNT, true, max_connections, "connections of the server [10000]")},
    {LIMIT("max-calls", APP_COUNT, false, max_calls, "open calls of a connection; 1 to 1000000 [1000]")},
    {LIMIT("max-message", APP_SIZE, false, max_message, "one message; 1 to 64MiB [4MiB]")},
    {LIMIT("max-metadata", APP_SIZE, false, max_metadata, "a call's metadata, each way; 1 to 12KiB [8KiB]")},
    {LIMIT("max-output", APP_SIZE, false, max_output, "output waiting for a connection; 4KiB to 1024MiB [1MiB]")},
    {LIMIT("first-byte-timeout", APP_TIME_MS, true, first_byte_timeout_ms, "for a connection's first byte [60s]")},
    {LIMIT("frame-timeout", APP_TIME_MS, true, frame_timeout_ms, "for 16 KiB of a frame, or its end [30s]")},
    {LIMIT("output-timeout", APP_TIME_MS, true, output_timeout_ms, "for waiting output to move on [30s]")},
    {LIMIT("keepalive-idle", APP_TIME_S, true, keepalive_idle_s, "idle time before TCP keepalive; 1s to 32767s [60s]")},
    {LIMIT("keepalive-interval", APP_TIME_S, false, keepalive_interval_s, "between its probes; 1s to 32767s [20s]")},
    {LIMIT("keepalive-count", APP_COUNT, false, keepalive_count, "its unanswered probes; 1 to 127 [3]")},
    {LIMIT("linger", APP_TIME_MS, false, linger_ms, "discarding input after the last bytes; 1ms to 60s [1s]")},
    {LIMIT("linger-bytes", APP_SIZE, false, linger_bytes, "and how much of it [1MiB]")},
    {LIMIT("pings-per-second", APP_COUNT, true, pings_per_second, "refill of a connection's ping allowance [10]")},
    {LIMIT("ping-burst", APP_COUNT, false, ping_burst, "the allowance when full [100]")},
    {LIMIT("idle-frames-per-second", APP_COUNT, true, idle_frames_per_second, "frames without effect [10000]")},
    {LIMIT("resets-per-second", APP_COUNT, true, resets_per_second, "HTTP/2: refill of the reset allowance [100]")},
    {LIMIT("reset-burst", APP_COUNT, false, reset_burst, "HTTP/2: the allowance when full [1000]")},
    {LIMIT("plain-max-calls", APP_COUNT, false, plain_max_calls, "unanswered plain messages [1000]")},
    {LIMIT("plain-max-bytes", APP_SIZE, false, plain_max_bytes, "plain answers waiting their turn [1MiB]")},
    {LIMIT("plain-timeout", APP_TIME_MS, true, plain_timeout_ms, "the deadline of a plain message [30s]")},
    {LIMIT("max-stream-output", APP_SIZE, false, max_stream_output, "waiting output of a stream; 4KiB to 64MiB [256KiB]")},
    {LIMIT("max-unread", APP_SIZE, false, max_unread, "unhandled messages of a connection's streams [16MiB]")},
    {LIMIT("http-max-head", APP_SIZE, false, http_max_head, "an HTTP request before its body; 1KiB to 64KiB [16KiB]")},
    {LIMIT("http-max-line", APP_SIZE, false, http_max_line, "its first line; 64 to 64KiB [4KiB]")},
    {LIMIT("http-max-fields", APP_COUNT, false, http_max_fields, "its header lines; 1 to 1000 [100]")},
    {LIMIT("backlog", APP_COUNT, false, backlog, "connections not yet accepted; 1 to 65535 [1024]")},
    {LIMIT("socket-mode", APP_MODE, false, socket_mode, "permissions of a Unix socket; 1 to 0777 [0600]")},
    {BUS("bus-max-topics", APP_COUNT, false, bus.max_topics, "topics of the bus [100000]")},
    {BUS("bus-max-subscriptions", APP_COUNT, false, bus.max_subscriptions, "subscriptions and consumers [100000]")},
    {BUS("bus-max-queues", APP_COUNT, false, bus.max_queues, "queues, without dead-letter queues [1000]")},
    {BUS("bus-max-types", APP_COUNT, false, bus.max_types, "message types with a descriptor [10000]")},
    {BUS("bus-max-requests", APP_COUNT, false, bus.max_requests, "requests without an answer [10000]")},
    {BUS("bus-max-match-nodes", APP_COUNT, false, bus.max_match_nodes, "pattern nodes of one publish; from 64 [4096]")},
    {BUS("bus-max-retained-bytes", APP_SIZE, false, bus_max_retained, "retained events of all topics [256MiB]")},
    {BUS("bus-topic-idle", APP_TIME_MS, false, bus.topic_idle_ms, "before an unused topic is forgotten [60s]")},
    {BUS("bus-max-event", APP_SIZE, false, bus.max_event, "one payload [--max-message, at most 4MiB, less 64KiB]")},
    {"grace", APP_TIME_MS, true, 0, MOST, offsetof(struct settings, grace_ms), "for open calls when draining [10s]"},
};
#define NUMBER_COUNT (sizeof NUMBERS / sizeof *NUMBERS)

enum {
    LISTEN = APP_LONG_OPTION,
    INSECURE,
    LOG_LEVEL,
    ACCESS_LOG,
    NO_INFO,
    NO_HEALTH,
    NO_REFLECTION,
    NO_BUS,
    NO_HTTP,
    NO_PAGES,
    NO_METRICS,
    STATS,
    JSON,
    HELP,
    VERSION,
    FIRST_NUMBER
};

static const struct option OTHERS[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"insecure", no_argument, NULL, INSECURE},
    {"log-level", required_argument, NULL, LOG_LEVEL},
    {"access-log", no_argument, NULL, ACCESS_LOG},
    {"no-info", no_argument, NULL, NO_INFO},
    {"no-health", no_argument, NULL, NO_HEALTH},
    {"no-reflection", no_argument, NULL, NO_REFLECTION},
    {"no-bus", no_argument, NULL, NO_BUS},
    {"no-http", no_argument, NULL, NO_HTTP},
    {"no-pages", no_argument, NULL, NO_PAGES},
    {"no-metrics", no_argument, NULL, NO_METRICS},
    {"stats", no_argument, NULL, STATS},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
};
#define OTHER_COUNT (sizeof OTHERS / sizeof *OTHERS)

static int print_help(void)
{
    fputs("Usage: msgsrv-server [OPTION]...\n"
          "Serves messages.Demo (Echo, Add) to calls and to plain messages, and an event bus.\n\n"
          "  --listen URL        " APP_URL_FORMS ";\n"
          "                      may be repeated; port 0 is a free one [" DEFAULT_LISTEN "]\n"
          "  --insecure          listen beyond loopback too: there is no TLS and no authentication\n"
          "  --log-level LEVEL   error, warning, info or debug, to standard error [warning]\n"
          "  --access-log        one line for each call that ended, to standard error\n"
          "  --no-info, --no-health, --no-reflection, --no-bus\n"
          "                      without the built-in service of that name\n"
          "  --no-http           without HTTP/1.1 on the same port\n"
          "  --no-pages, --no-metrics\n"
          "                      without its /healthz and /readyz, or /metrics\n"
          "  --stats             print the statistics to standard error at the end, and on SIGUSR1\n"
          "  --json              print them as JSON\n"
          "  --help, --version   print this, or the version\n\n"
          "Limits, with their defaults; * may be 'none':\n",
          stdout);
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const struct app_number *number = &NUMBERS[i];
        int width = printf("  --%s %s%s", number->option, app_kind_name(number->kind), number->none ? "*" : "");
        printf("%*s%s\n", width < 34 ? 34 - width : 1, "", number->help);
    }
    fputs("\nSizes: 4096, 64KiB, 4MiB. Times: 500ms, 5s, 2m.\n"
          "SIGTERM and SIGINT drain: open calls finish within the grace; a second one stops at once.\n"
          "Exit status: 0, the status code of what failed, 64 for wrong usage, 74 when standard output fails.\n",
          stdout);
    return 0;
}

static bool read_log_level(const char *text, msgsrv_log_level *level)
{
    for (msgsrv_log_level known = MSGSRV_LOG_ERROR; known <= MSGSRV_LOG_DEBUG; known++) {
        if (strcmp(text, msgsrv_log_level_name(known)) == 0) {
            *level = known;
            return true;
        }
    }
    app_usage("--log-level: '%s' is not error, warning, info or debug", text);
    return false;
}

static bool add_listen(struct settings *settings, const char *url)
{
    if (settings->listen_count == SETTINGS_LISTEN_MAX) {
        app_usage("--listen: more than %d addresses", SETTINGS_LISTEN_MAX);
        return false;
    }
    settings->listen[settings->listen_count++] = url;
    return true;
}

/* Without TLS and authentication, others than this machine are let in on request only. */
static bool check_listen(const struct settings *settings, bool insecure)
{
    for (size_t i = 0; i < settings->listen_count; i++) {
        struct app_url url;
        if (!app_url_read(settings->listen[i], &url) || url.is_grpc) {
            app_usage("--listen: '%s' is not " APP_URL_FORMS, settings->listen[i]);
            return false;
        }
        if (!insecure && !app_url_is_local(&url)) {
            app_usage("--listen: %s is not a loopback address; --insecure allows it, without TLS and authentication",
                      settings->listen[i]);
            return false;
        }
    }
    return true;
}

static void list_options(struct option *options)
{
    memcpy(options, OTHERS, sizeof OTHERS);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        options[OTHER_COUNT + i] = (struct option){NUMBERS[i].option, required_argument, NULL, FIRST_NUMBER + (int)i};
}

/* Takes one option. Returns APP_GO_ON or the exit status. */
static int apply(int option, struct settings *settings, bool *insecure)
{
    bool good = true;
    switch (option) {
    case LISTEN:
        good = add_listen(settings, optarg);
        break;
    case INSECURE:
        *insecure = true;
        break;
    case LOG_LEVEL:
        good = read_log_level(optarg, &settings->server.log_level);
        break;
    case ACCESS_LOG:
        settings->access_log = true;
        break;
    case NO_INFO:
        settings->server.no_info = true;
        break;
    case NO_HEALTH:
        settings->server.no_health = true;
        break;
    case NO_REFLECTION:
        settings->server.no_reflection = true;
        break;
    case NO_BUS:
        settings->no_bus = true;
        break;
    case NO_HTTP:
        settings->server.no_http = true;
        break;
    case NO_PAGES:
        settings->server.no_pages = true;
        break;
    case NO_METRICS:
        settings->server.no_metrics = true;
        break;
    case STATS:
        settings->stats = true;
        break;
    case JSON:
        settings->json = true;
        break;
    case HELP:
        return print_help();
    case VERSION:
        printf("msgsrv-server %s\n", msgsrv_version());
        return 0;
    default:
        good = app_number_read(&NUMBERS[option - FIRST_NUMBER], optarg, settings);
    }
    return good ? APP_GO_ON : APP_EXIT_USAGE;
}

int settings_read(int argc, char **argv, struct settings *settings)
{
    struct option options[OTHER_COUNT + NUMBER_COUNT + 1] = {{0}};
    bool insecure = false;
    int status = APP_GO_ON;
    int option;
    *settings = (struct settings){.server = {.size = sizeof settings->server},
                                  .bus = {.size = sizeof settings->bus},
                                  .grace_ms = DEFAULT_GRACE_MS};
    list_options(options);
    opterr = 0;
    while (status == APP_GO_ON && (option = getopt_long(argc, argv, ":", options, NULL)) != -1)
        status =
            option == ':' || option == '?' ? app_bad_option(option, argv, options) : apply(option, settings, &insecure);
    if (status != APP_GO_ON)
        return status;
    if (optind < argc)
        return app_usage("unexpected argument '%s' (see --help)", argv[optind]);
    settings->bus.max_retained_bytes = settings->bus_max_retained;
    if (settings->listen_count == 0)
        settings->listen[settings->listen_count++] = DEFAULT_LISTEN;
    return check_listen(settings, insecure) ? APP_GO_ON : APP_EXIT_USAGE;
}
