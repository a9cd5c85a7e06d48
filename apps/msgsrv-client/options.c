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

#define DEFAULT_SERVER "tcp://127.0.0.1:7070"
#define PAYLOAD_MAX (64u * 1024 * 1024)
#define MOST (MSGSRV_NONE - 1)
#define OPERANDS_MAX 4 /* the command, the most that one takes, and one too many */

static const struct {
    const char *name;
    int operands;
    const char *takes;
} COMMANDS[] = {
    [COMMAND_ADD] = {"add", 2, "two numbers, A and B"},
    [COMMAND_ECHO] = {"echo", 1, "one TEXT, or - for standard input"},
    [COMMAND_PING] = {"ping", 0, "no arguments"},
    [COMMAND_BENCH] = {"bench", 0, "no arguments"},
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

#define ADD_ (1u << COMMAND_ADD)
#define ECHO_ (1u << COMMAND_ECHO)
#define PING_ (1u << COMMAND_PING)
#define BENCH_ (1u << COMMAND_BENCH)
#define ALL_ (ADD_ | ECHO_ | PING_ | BENCH_)

enum { SERVER = NUMBER_COUNT, JSON, PLAIN, METHOD, HELP, VERSION, OPTION_COUNT };

#define ID(index) (APP_LONG_OPTION + (index)) /* what getopt_long() returns for it */

static const struct option LONG[] = {
    {"server", required_argument, NULL, ID(SERVER)},
    {"timeout", required_argument, NULL, ID(TIMEOUT)},
    {"json", no_argument, NULL, ID(JSON)},
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
    [COUNT] = PING_,    [INTERVAL] = PING_, [CONNECTIONS] = BENCH_, [OUTSTANDING] = BENCH_,
    [SECONDS] = BENCH_, [PAYLOAD] = BENCH_, [METHOD] = BENCH_,      [PLAIN] = ADD_ | ECHO_,
    [SERVER] = ALL_,    [TIMEOUT] = ALL_,   [JSON] = ALL_,
};

/* What is collected before the command is known. */
struct words {
    const char *operands[OPERANDS_MAX];
    int count;     /* more than OPERANDS_MAX are counted, not kept */
    unsigned seen; /* options, 1 << index */
};

static int print_help(void)
{
    fputs("Usage: msgsrv-client [OPTION]... COMMAND [ARGUMENT]...\n"
          "Calls messages.Demo of a msgsrv-server.\n\n"
          "  add A B           print the sum of two int32\n"
          "  echo TEXT|-       print the text that comes back; with - all of standard input, as it is\n"
          "  ping              measure round trips\n"
          "  bench             measure throughput and latency\n\n"
          "  --server URL      " APP_URL_FORMS "\n"
          "                    [MSGSRV_SERVER, or " DEFAULT_SERVER "]\n"
          "  --timeout TIME    of a call, such as 500ms, 5s or 2m [30s]\n"
          "  --json            print one JSON object\n"
          "  --help, --version print this, or the version\n\n"
          "add and echo:\n"
          "  --plain           send a bare ClientMessage and read a bare ServerMessage, without the library\n\n"
          "ping:\n"
          "  --count N         how many [5]\n"
          "  --interval TIME   between two of them [200ms]\n\n"
          "bench:\n"
          "  --connections N   connections [1]\n"
          "  --outstanding N   open calls of each [16]\n"
          "  --seconds SECONDS how long, such as 5 or 0.25 [5]\n"
          "  --method METHOD   add or echo [add]\n"
          "  --payload SIZE    of an echoed text, such as 4096 or 64KiB [64]\n\n"
          "Exit status: 0, the status code (1 to 16) of the call that failed, 64 for wrong usage,\n"
          "74 when standard input or output fails.\n",
          stdout);
    return 0;
}

static bool read_method(const char *text, bool *echo)
{
    *echo = strcmp(text, "echo") == 0;
    if (*echo || strcmp(text, "add") == 0)
        return true;
    app_usage("--method: '%s' is not add or echo", text);
    return false;
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
    case HELP:
        return print_help();
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
        int option = getopt_long(argc, argv, "-:", LONG, NULL);
        if (option == -1)
            break;
        if (option == 1) {
            add_operand(words, optarg);
        } else if (option == ':' || option == '?') {
            status = app_bad_option(option, argv, LONG);
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
            if (words->count - 1 == COMMANDS[i].operands)
                return APP_GO_ON;
            return app_usage("%s takes %s (see --help)", COMMANDS[i].name, COMMANDS[i].takes);
        }
    }
    const char *nearest = app_nearest(words->operands[0], &COMMANDS[0].name, COMMAND_COUNT, sizeof *COMMANDS);
    if (nearest)
        return app_usage("unknown command '%s'; did you mean '%s'?", words->operands[0], nearest);
    return app_usage("unknown command '%s' (see --help)", words->operands[0]);
}

/* Refuses options of other commands, instead of ignoring them. */
static int check_options(const struct words *words, const struct options *options)
{
    for (const struct option *option = LONG; option->name; option++) {
        int index = option->val - APP_LONG_OPTION;
        if ((words->seen & 1u << index) && !(BELONGS[index] & 1u << options->command))
            return app_usage("--%s is no option of %s (see --help)", option->name, COMMANDS[options->command].name);
    }
    if ((words->seen & 1u << PAYLOAD) && !options->bench_echo)
        return app_usage("--payload needs --method echo");
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
    if (options->command == COMMAND_ECHO)
        options->text = words->operands[1];
    if (options->command != COMMAND_ADD)
        return APP_GO_ON;
    int status = read_int32(words->operands[1], &options->a);
    return status == APP_GO_ON ? read_int32(words->operands[2], &options->b) : status;
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
            options->server = DEFAULT_SERVER;
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
        .interval_ms = 200,
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
