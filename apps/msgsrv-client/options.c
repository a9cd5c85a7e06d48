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

#include "options_table.h"
#include "program.h"
#include "url.h"

#define PING_COUNT 5
#define PING_INTERVAL_MS 200
#define NAK_DELAY_MS 1000 /* the library's own */
#define STATS_INTERVAL_MS 1000
#define STATS_INTERVAL_MIN_MS 100
#define STATS_INTERVAL_MAX_MS 3600000
#define OUTSTANDING_CALLS 16
#define OUTSTANDING_EVENTS 1000
#define OPERANDS_MAX 5 /* the command, the most that one takes, and one too many */

/* What is collected before the command is known. */
struct words {
    const char *operands[OPERANDS_MAX];
    int count;     /* more than OPERANDS_MAX are counted, not kept */
    uint64_t seen; /* options, by their rows */
};

static bool was_seen(const struct words *words, const char *name)
{
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        if (words->seen & OPTIONS_BIT(i) && strcmp(OPTIONS_ROW[i].number.option, name) == 0)
            return true;
    }
    return false;
}

static bool read_method(const char *text, bool *echo)
{
    *echo = strcmp(text, "echo") == 0;
    if (*echo || strcmp(text, "add") == 0)
        return true;
    app_usage("--method: '%s' is not add or echo", text);
    return false;
}

static bool read_policy(const char *text, uint32_t *policy)
{
    for (*policy = 0; *policy < sizeof OPTIONS_POLICY / sizeof *OPTIONS_POLICY; (*policy)++) {
        if (strcmp(text, OPTIONS_POLICY[*policy]) == 0)
            return true;
    }
    app_usage("--policy: '%s' is not drop-oldest, drop-newest, latest or disconnect", text);
    return false;
}

static bool add_text(const char *option, struct option_list *list, const char *text)
{
    if (list->count == OPTIONS_LIST_MAX) {
        app_usage("--%s: there are more than %d", option, OPTIONS_LIST_MAX);
        return false;
    }
    list->texts[list->count++] = text;
    return true;
}

static bool add_pair(const char *option, struct option_list *list, const char *text)
{
    if (strchr(text, '='))
        return add_text(option, list, text);
    app_usage("--%s: '%s' is not KEY=VALUE", option, text);
    return false;
}

/* Takes one option. Returns APP_GO_ON or the exit status. */
static int apply(const struct option_row *row, struct options *options)
{
    void *place = (char *)options + row->number.offset;
    bool good = true;
    switch (row->kind) {
    case ROW_FLAG:
        *(bool *)place = true;
        break;
    case ROW_TEXT:
        *(const char **)place = optarg;
        break;
    case ROW_LIST:
        good = add_text(row->number.option, place, optarg);
        break;
    case ROW_PAIRS:
        good = add_pair(row->number.option, place, optarg);
        break;
    case ROW_NUMBER:
        good = app_number_read(&row->number, optarg, options);
        break;
    case ROW_METHOD:
        good = read_method(optarg, place);
        break;
    case ROW_POLICY:
        good = read_policy(optarg, place);
        break;
    case ROW_HELP:
        return options_help();
    case ROW_VERSION:
        printf("msgsrv-client %s\n", msgsrv_version());
        return 0;
    }
    return good ? APP_GO_ON : APP_EXIT_USAGE;
}

static void add_operand(struct words *words, const char *operand)
{
    if (words->count < OPERANDS_MAX)
        words->operands[words->count] = operand;
    words->count++;
}

/* For getopt_long(), which returns APP_LONG_OPTION and the row's index. */
static void list_options(struct option *options)
{
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        enum row_kind kind = OPTIONS_ROW[i].kind;
        bool bare = kind == ROW_FLAG || kind == ROW_HELP || kind == ROW_VERSION;
        options[i] = (struct option){OPTIONS_ROW[i].number.option, bare ? no_argument : required_argument, NULL,
                                     APP_LONG_OPTION + (int)i};
    }
}

/* Sorts the arguments into options, applied, and operands, collected in their order. Returns APP_GO_ON or
 * the exit status. */
static int read_words(int argc, char **argv, struct options *options, struct words *words)
{
    struct option table[OPTIONS_ROWS + 1] = {{0}};
    int status = APP_GO_ON;
    list_options(table);
    opterr = 0;
    while (status == APP_GO_ON) {
        const char *next = optind < argc ? argv[optind] : "";
        if (next[0] == '-' && isdigit((unsigned char)next[1])) {
            add_operand(words, argv[optind++]);
            continue;
        }
        int option = getopt_long(argc, argv, "-:", table, NULL);
        if (option == -1)
            break;
        if (option == 1) {
            add_operand(words, optarg);
        } else if (option == ':' || option == '?') {
            status = app_bad_option(option, argv, table);
        } else {
            words->seen |= OPTIONS_BIT(option - APP_LONG_OPTION);
            status = apply(&OPTIONS_ROW[option - APP_LONG_OPTION], options);
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
    for (size_t i = 0; i < OPTIONS_COMMANDS; i++) {
        const struct command_row *row = &OPTIONS_COMMAND[i];
        if (strcmp(words->operands[0], row->name) == 0) {
            options->command = (enum command)i;
            if (words->count - 1 >= row->least && words->count - 1 <= row->most)
                return APP_GO_ON;
            return app_usage("%s takes %s (see --help)", row->name, row->takes);
        }
    }
    const char *nearest =
        app_nearest(words->operands[0], &OPTIONS_COMMAND[0].name, OPTIONS_COMMANDS, sizeof *OPTIONS_COMMAND);
    if (nearest)
        return app_usage("unknown command '%s'; did you mean '%s'?", words->operands[0], nearest);
    return app_usage("unknown command '%s' (see --help)", words->operands[0]);
}

/* --interval, whose default and least value are the command's. */
static int check_interval(const struct words *words, struct options *options)
{
    bool seen = was_seen(words, "interval");
    if (options->command == COMMAND_PING) {
        options->interval_ms = seen ? options->interval_ms : PING_INTERVAL_MS;
        return APP_GO_ON;
    }
    if (!seen)
        options->interval_ms = STATS_INTERVAL_MS;
    const char *name = OPTIONS_COMMAND[options->command].name;
    if (seen && (options->command == COMMAND_STATS || options->command == COMMAND_TOPICS) && !options->watch)
        return app_usage("--interval needs --watch");
    if (options->interval_ms < STATS_INTERVAL_MIN_MS || options->interval_ms > STATS_INTERVAL_MAX_MS)
        return app_usage("--interval of %s is between 100ms and 60m", name);
    return APP_GO_ON;
}

/* Of bench and bench pubsub, which have the rest in common. */
static int check_bench(const struct words *words, struct options *options)
{
    static const char *const CALLS[] = {"connections", "method", "payload"};
    static const char *const EVENTS[] = {"size", "subscribers"};
    options->bench_pubsub = words->count > 1;
    if (options->bench_pubsub && strcmp(words->operands[1], "pubsub") != 0)
        return app_usage("bench takes no arguments, or pubsub (see --help)");
    for (size_t i = 0; options->bench_pubsub && i < sizeof CALLS / sizeof *CALLS; i++) {
        if (was_seen(words, CALLS[i]))
            return app_usage("--%s is no option of bench pubsub (see --help)", CALLS[i]);
    }
    for (size_t i = 0; !options->bench_pubsub && i < sizeof EVENTS / sizeof *EVENTS; i++) {
        if (was_seen(words, EVENTS[i]))
            return app_usage("--%s needs bench pubsub", EVENTS[i]);
    }
    if (!was_seen(words, "outstanding"))
        options->outstanding = options->bench_pubsub ? OUTSTANDING_EVENTS : OUTSTANDING_CALLS;
    if (was_seen(words, "payload") && !options->bench_echo)
        return app_usage("--payload needs --method echo");
    return APP_GO_ON;
}

/* Of queue and dlq: the action, and options that belong to another one. */
static int check_action(const struct words *words, struct options *options)
{
    static const char *const COUNTED = "count";
    bool queue = options->command == COMMAND_QUEUE;
    unsigned allowed = queue ? 1u << ACTION_DECLARE | 1u << ACTION_PEEK | 1u << ACTION_PURGE | 1u << ACTION_DELETE
                             : 1u << ACTION_LIST | 1u << ACTION_PURGE | 1u << ACTION_RETRY;
    size_t action = 0;
    while (action < sizeof OPTIONS_ACTION / sizeof *OPTIONS_ACTION &&
           (!(allowed & 1u << action) || strcmp(words->operands[1], OPTIONS_ACTION[action]) != 0))
        action++;
    if (action == sizeof OPTIONS_ACTION / sizeof *OPTIONS_ACTION)
        return app_usage("%s takes %s (see --help)", words->operands[0], OPTIONS_COMMAND[options->command].takes);
    options->action = (enum action)action;
    if (words->count > 3 && options->action != ACTION_RETRY)
        return app_usage("dlq %s takes one QUEUE (see --help)", OPTIONS_ACTION[action]);
    bool counts = options->action == ACTION_PEEK || options->action == ACTION_LIST;
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        const struct option_row *row = &OPTIONS_ROW[i];
        if (!(words->seen & OPTIONS_BIT(i)) || row->commands == OPTIONS_BIT(OPTIONS_COMMANDS) - 1 ||
            row->number.offset == offsetof(struct options, json))
            continue;
        bool belongs = strcmp(row->number.option, COUNTED) == 0 ? counts : options->action == ACTION_DECLARE;
        if (!belongs)
            return app_usage("--%s is no option of %s %s (see --help)", row->number.option, words->operands[0],
                             OPTIONS_ACTION[action]);
    }
    return APP_GO_ON;
}

/* What cannot be said together, and what is the command's own to say. */
static int check_values(const struct words *words, struct options *options)
{
    if (options->types.count > 1 && options->command != COMMAND_QUEUE)
        return app_usage("--type: there is more than one");
    if (options->reject && options->nak)
        return app_usage("--reject and --nak exclude each other");
    if (options->command == COMMAND_CONSUME && was_seen(words, "delay") && !options->nak)
        return app_usage("--delay needs --nak");
    if (options->reason && !options->nak && !options->reject)
        return app_usage("--reason needs --reject or --nak");
    if (was_seen(words, "last") && options->last == 0)
        options->last = MSGSRV_NONE;
    if (options->command == COMMAND_PING && !was_seen(words, "count"))
        options->count = PING_COUNT;
    if (options->command == COMMAND_CONSUME && !was_seen(words, "delay"))
        options->delay_ms = NAK_DELAY_MS;
    options->timeout_given = was_seen(words, "timeout");
    return APP_GO_ON;
}

/* Refuses options of other commands, and some without another one, instead of ignoring them. */
static int check_options(const struct words *words, struct options *options)
{
    for (size_t i = 0; i < OPTIONS_ROWS; i++) {
        if (words->seen & OPTIONS_BIT(i) && !(OPTIONS_ROW[i].commands & OPTIONS_BIT(options->command)))
            return app_usage("--%s is no option of %s (see --help)", OPTIONS_ROW[i].number.option,
                             OPTIONS_COMMAND[options->command].name);
    }
    int status = check_values(words, options);
    if (status == APP_GO_ON && options->command == COMMAND_BENCH)
        status = check_bench(words, options);
    if (status == APP_GO_ON && (options->command == COMMAND_QUEUE || options->command == COMMAND_DLQ))
        status = check_action(words, options);
    return status == APP_GO_ON ? check_interval(words, options) : status;
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

/* A message's number, as dlq list shows it. */
static int read_id(const char *text, uint64_t *id)
{
    const char *p = text;
    for (*id = 0; isdigit((unsigned char)*p) && *id <= (UINT64_MAX - 9) / 10; p++)
        *id = *id * 10 + (unsigned)(*p - '0');
    return *p == '\0' && *id > 0 ? APP_GO_ON : app_usage("dlq retry: '%s' is not the ID of a message", text);
}

static int read_operands(const struct words *words, struct options *options)
{
    int status = APP_GO_ON;
    switch (options->command) {
    case COMMAND_CALL:
        options->body = words->count > 2 ? words->operands[2] : "{}";
        options->name = words->operands[1];
        break;
    case COMMAND_PUB:
        options->body = words->operands[2];
        options->name = words->operands[1];
        break;
    case COMMAND_QUEUE:
    case COMMAND_DLQ:
        options->name = words->operands[2];
        return words->count > 3 ? read_id(words->operands[3], &options->message_id) : APP_GO_ON;
    case COMMAND_ECHO:
        options->text = words->operands[1];
        break;
    case COMMAND_ADD:
        status = read_int32(words->operands[1], &options->a);
        return status == APP_GO_ON ? read_int32(words->operands[2], &options->b) : status;
    case COMMAND_LIST:
    case COMMAND_DESCRIBE:
    case COMMAND_HEALTH:
    case COMMAND_SUB:
    case COMMAND_TOPICS:
    case COMMAND_HZ:
    case COMMAND_BW:
    case COMMAND_QUEUES:
    case COMMAND_CONSUME:
    case COMMAND_TOP:
    case COMMAND_DOCTOR:
        options->name = words->count > 1 ? words->operands[1] : NULL;
        break;
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
        return app_usage("%s: '%s' is not " APP_URL_CLIENT_FORMS, source, options->server);
    return APP_GO_ON;
}

int options_read(int argc, char **argv, struct options *options)
{
    struct words words = {.count = 0};
    *options = (struct options){
        .timeout_ms = 30000,
        .connections = 1,
        .duration_ms = 5000,
        .payload = 64,
        .size = 64,
        .subscribers = 1,
        .retain = MSGSRV_NONE,
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
