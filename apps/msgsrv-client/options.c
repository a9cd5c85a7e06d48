/* SPDX-License-Identifier: MIT */
/*
 * The command line of msgsrv-client. Options may stand before and behind the command; each knows the commands
 * that it belongs to. A word like -5 is a number, not an option.
 */
#include "options.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/msgsrv.h>

#include "number.h"
#include "program.h"
#include "url.h"

#define PAYLOAD_MAX (64u * 1024 * 1024)
#define MOST (MSGSRV_NONE - 1)
#define PING_INTERVAL_MS 200
#define STATS_INTERVAL_MS 1000
#define STATS_INTERVAL_MIN_MS 100
#define STATS_INTERVAL_MAX_MS 3600000
#define OPERANDS_MAX 4 /* the command, the most that one takes, and one too many */

static const struct {
    const char *name;
    int least, most; /* operands */
    const char *takes;
} COMMANDS[] = {
    [COMMAND_LIST] = {"list", 0, 1, "at most the NAME of a service"},
    [COMMAND_DESCRIBE] = {"describe", 1, 1, "one NAME"},
    [COMMAND_CALL] = {"call", 1, 2, "a METHOD, and JSON or - for standard input"},
    [COMMAND_HEALTH] = {"health", 0, 1, "at most one SERVICE"},
    [COMMAND_STATS] = {"stats", 0, 0, "no arguments"},
    [COMMAND_ADD] = {"add", 2, 2, "two numbers, A and B"},
    [COMMAND_ECHO] = {"echo", 1, 1, "one TEXT, or - for standard input"},
    [COMMAND_PING] = {"ping", 0, 0, "no arguments"},
    [COMMAND_BENCH] = {"bench", 0, 0, "no arguments"},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof *COMMANDS)

#define NUMBER(name, kind, min, max, field) name, kind, false, min, max, offsetof(struct options, field), NULL

enum { COUNT, INTERVAL, CONNECTIONS, OUTSTANDING, SECONDS, PAYLOAD, TIMEOUT, NUMBER_COUNT };

static const struct app_number NUMBERS[NUMBER_COUNT] = {
    [COUNT] = {NUMBER("count", APP_COUNT, 1, 1000000, count)},
    [INTERVAL] = {NUMBER("interval", APP_TIME_MS, 0, MOST, interval_ms)},
    [CONNECTIONS] = {NUMBER("connections", APP_COUNT, 1, 10000, connections)},
    [OUTSTANDING] = {NUMBER("outstanding", APP_COUNT, 1, 100000, outstanding)},
    [SECONDS] = {NUMBER("seconds", APP_SECONDS, 1, 86400000, duration_ms)},
    [PAYLOAD] = {NUMBER("payload", APP_SIZE, 0, PAYLOAD_MAX, payload)},
    [TIMEOUT] = {NUMBER("timeout", APP_TIME_MS, 1, MOST, timeout_ms)},
};

#define LIST_ (1u << COMMAND_LIST)
#define CALL_ (1u << COMMAND_CALL)
#define HEALTH_ (1u << COMMAND_HEALTH)
#define STATS_ (1u << COMMAND_STATS)
#define ADD_ (1u << COMMAND_ADD)
#define ECHO_ (1u << COMMAND_ECHO)
#define PING_ (1u << COMMAND_PING)
#define BENCH_ (1u << COMMAND_BENCH)
#define ALL_ ((1u << COMMAND_COUNT) - 1)

enum { SERVER = NUMBER_COUNT, JSON, PLAIN, METHOD, LONG, METADATA, HEADERS, WATCH, HELP, VERSION, OPTION_COUNT };

#define ID(index) (APP_LONG_OPTION + (index)) /* what getopt_long() returns for it */

static const struct option OPTIONS[] = {
    {"server", required_argument, NULL, ID(SERVER)},
    {"timeout", required_argument, NULL, ID(TIMEOUT)},
    {"json", no_argument, NULL, ID(JSON)},
    {"long", no_argument, NULL, ID(LONG)},
    {"metadata", required_argument, NULL, ID(METADATA)},
    {"headers", no_argument, NULL, ID(HEADERS)},
    {"watch", no_argument, NULL, ID(WATCH)},
    {"plain", no_argument, NULL, ID(PLAIN)},
    {"count", required_argument, NULL, ID(COUNT)},
    {"interval", required_argument, NULL, ID(INTERVAL)},
    {"connections", required_argument, NULL, ID(CONNECTIONS)},
    {"outstanding", required_argument, NULL, ID(OUTSTANDING)},
    {"seconds", required_argument, NULL, ID(SECONDS)},
    {"payload", required_argument, NULL, ID(PAYLOAD)},
    {"method", required_argument, NULL, ID(METHOD)},
    {"help", no_argument, NULL, ID(HELP)},
    {"version", no_argument, NULL, ID(VERSION)},
    {NULL, 0, NULL, 0},
};

/* The commands that an option, by its index, belongs to. */
static const unsigned BELONGS[OPTION_COUNT] = {
    [COUNT] = PING_,
    [INTERVAL] = PING_ | STATS_,
    [CONNECTIONS] = BENCH_,
    [OUTSTANDING] = BENCH_,
    [SECONDS] = BENCH_,
    [PAYLOAD] = BENCH_,
    [METHOD] = BENCH_,
    [PLAIN] = ADD_ | ECHO_,
    [LONG] = LIST_,
    [METADATA] = CALL_,
    [HEADERS] = CALL_,
    [WATCH] = HEALTH_ | STATS_,
    [SERVER] = ALL_,
    [TIMEOUT] = ALL_,
    [JSON] = ALL_ & ~(1u << COMMAND_DESCRIBE),
};

/* What is collected before the command is known. */
struct words {
    const char *operands[OPERANDS_MAX];
    int count;     /* more than OPERANDS_MAX are counted, not kept */
    unsigned seen; /* options, 1 << index */
};

static bool read_method(const char *text, bool *echo)
{
    *echo = strcmp(text, "echo") == 0;
    if (*echo || strcmp(text, "add") == 0)
        return true;
    app_usage("--method: '%s' is not add or echo", text);
    return false;
}

static bool add_metadata(struct options *options, const char *entry)
{
    if (!strchr(entry, '=')) {
        app_usage("--metadata: '%s' is not KEY=VALUE", entry);
        return false;
    }
    if (options->metadata_count == OPTIONS_METADATA_MAX) {
        app_usage("--metadata: there are more than %d", OPTIONS_METADATA_MAX);
        return false;
    }
    options->metadata[options->metadata_count++] = entry;
    return true;
}

/* Takes one option. Returns APP_GO_ON or the exit status. */
static int apply(int index, struct options *options)
{
    bool good = true;
    switch (index) {
    case SERVER:
        options->server = optarg;
        break;
    case JSON:
        options->json = true;
        break;
    case PLAIN:
        options->plain = true;
        break;
    case METHOD:
        good = read_method(optarg, &options->bench_echo);
        break;
    case LONG:
        options->details = true;
        break;
    case METADATA:
        good = add_metadata(options, optarg);
        break;
    case HEADERS:
        options->headers = true;
        break;
    case WATCH:
        options->watch = true;
        break;
    case HELP:
        return options_help();
    case VERSION:
        printf("msgsrv-client %s\n", msgsrv_version());
        return 0;
    default:
        good = app_number_read(&NUMBERS[index], optarg, options);
    }
    return good ? APP_GO_ON : APP_EXIT_USAGE;
}

static void add_operand(struct words *words, const char *operand)
{
    if (words->count < OPERANDS_MAX)
        words->operands[words->count] = operand;
    words->count++;
}

/* Sorts the arguments into options, applied, and operands, collected in their order. Returns APP_GO_ON or
 * the exit status. */
static int read_words(int argc, char **argv, struct options *options, struct words *words)
{
    int status = APP_GO_ON;
    opterr = 0;
    while (status == APP_GO_ON) {
        const char *next = optind < argc ? argv[optind] : "";
        if (next[0] == '-' && isdigit((unsigned char)next[1])) {
            add_operand(words, argv[optind++]);
            continue;
        }
        int option = getopt_long(argc, argv, "-:", OPTIONS, NULL);
        if (option == -1)
            break;
        if (option == 1) {
            add_operand(words, optarg);
        } else if (option == ':' || option == '?') {
            status = app_bad_option(option, argv, OPTIONS);
        } else {
            words->seen |= 1u << (option - APP_LONG_OPTION);
            status = apply(option - APP_LONG_OPTION, options);
        }
    }
    while (optind < argc) /* behind "--" */
        add_operand(words, argv[optind++]);
    return status;
}

static int read_command(const struct words *words, struct options *options)
{
    if (words->count == 0)
        return app_usage("a command is missing (see --help)");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words->operands[0], COMMANDS[i].name) == 0) {
            options->command = (enum command)i;
            if (words->count - 1 >= COMMANDS[i].least && words->count - 1 <= COMMANDS[i].most)
                return APP_GO_ON;
            return app_usage("%s takes %s (see --help)", COMMANDS[i].name, COMMANDS[i].takes);
        }
    }
    const char *nearest = app_nearest(words->operands[0], &COMMANDS[0].name, COMMAND_COUNT, sizeof *COMMANDS);
    if (nearest)
        return app_usage("unknown command '%s'; did you mean '%s'?", words->operands[0], nearest);
    return app_usage("unknown command '%s' (see --help)", words->operands[0]);
}

/* Refuses options of other commands, and some without another one, instead of ignoring them. */
static int check_options(const struct words *words, struct options *options)
{
    for (const struct option *option = OPTIONS; option->name; option++) {
        int index = option->val - APP_LONG_OPTION;
        if ((words->seen & 1u << index) && !(BELONGS[index] & 1u << options->command))
            return app_usage("--%s is no option of %s (see --help)", option->name, COMMANDS[options->command].name);
    }
    if ((words->seen & 1u << PAYLOAD) && !options->bench_echo)
        return app_usage("--payload needs --method echo");
    if ((words->seen & 1u << INTERVAL) && options->command == COMMAND_STATS && !options->watch)
        return app_usage("--interval needs --watch");
    if (options->watch && (words->seen & 1u << INTERVAL) &&
        (options->interval_ms < STATS_INTERVAL_MIN_MS || options->interval_ms > STATS_INTERVAL_MAX_MS))
        return app_usage("--interval of stats is between 100ms and 60m");
    if (!(words->seen & 1u << INTERVAL))
        options->interval_ms = options->command == COMMAND_STATS ? STATS_INTERVAL_MS : PING_INTERVAL_MS;
    options->timeout_given = words->seen & 1u << TIMEOUT;
    return APP_GO_ON;
}

static int read_int32(const char *text, int32_t *number)
{
    switch (app_int32_read(text, number)) {
    case APP_INT32_MALFORMED:
        return app_usage("add: '%s' is not a number", text);
    case APP_INT32_OVERFLOW:
        return app_usage("add: %s does not fit int32", text);
    case APP_INT32_OK:
        break;
    }
    return APP_GO_ON;
}

static int read_operands(const struct words *words, struct options *options)
{
    int status = APP_GO_ON;
    switch (options->command) {
    case COMMAND_CALL:
        options->body = words->count > 2 ? words->operands[2] : "{}";
        options->name = words->operands[1];
        break;
    case COMMAND_LIST:
    case COMMAND_DESCRIBE:
    case COMMAND_HEALTH:
        options->name = words->count > 1 ? words->operands[1] : NULL;
        break;
    case COMMAND_ECHO:
        options->text = words->operands[1];
        break;
    case COMMAND_ADD:
        status = read_int32(words->operands[1], &options->a);
        return status == APP_GO_ON ? read_int32(words->operands[2], &options->b) : status;
    case COMMAND_STATS:
    case COMMAND_PING:
    case COMMAND_BENCH:
        break;
    }
    return status;
}

static int choose_server(struct options *options)
{
    struct app_url url;
    const char *source = "--server";
    if (!options->server) {
        source = "MSGSRV_SERVER";
        options->server = getenv("MSGSRV_SERVER");
        /* An empty variable is one that is not set; an empty --server is a mistake. */
        if (!options->server || !*options->server)
            options->server = OPTIONS_DEFAULT_SERVER;
    }
    if (!app_url_read(options->server, &url))
        return app_usage("%s: '%s' is not " APP_URL_FORMS, source, options->server);
    return APP_GO_ON;
}

int options_read(int argc, char **argv, struct options *options)
{
    struct words words = {.count = 0};
    *options = (struct options){
        .timeout_ms = 30000,
        .count = 5,
        .connections = 1,
        .outstanding = 16,
        .duration_ms = 5000,
        .payload = 64,
    };
    int status = read_words(argc, argv, options, &words);
    if (status == APP_GO_ON)
        status = read_command(&words, options);
    if (status == APP_GO_ON)
        status = check_options(&words, options);
    if (status == APP_GO_ON)
        status = read_operands(&words, options);
    return status == APP_GO_ON ? choose_server(options) : status;
}
