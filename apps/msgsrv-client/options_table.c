/* SPDX-License-Identifier: MIT */
/*
 * The tables; see options_table.h.
 */
#include "options_table.h"

#include <msgsrv/bus.h>

#define PAYLOAD_MAX (64u * 1024 * 1024)
#define MOST (MSGSRV_NONE - 1)
#define DAY_MS 86400000

const struct command_row OPTIONS_COMMAND[OPTIONS_COMMANDS] = {
    [COMMAND_LIST] = {"list", 0, 1, "at most the NAME of a service"},
    [COMMAND_DESCRIBE] = {"describe", 1, 1, "one NAME"},
    [COMMAND_CALL] = {"call", 1, 2, "a METHOD, and JSON or - for standard input"},
    [COMMAND_HEALTH] = {"health", 0, 1, "at most one SERVICE"},
    [COMMAND_STATS] = {"stats", 0, 0, "no arguments"},
    [COMMAND_ADD] = {"add", 2, 2, "two numbers, A and B"},
    [COMMAND_ECHO] = {"echo", 1, 1, "one TEXT, or - for standard input"},
    [COMMAND_PING] = {"ping", 0, 0, "no arguments"},
    [COMMAND_BENCH] = {"bench", 0, 1, "no arguments, or pubsub"},
    [COMMAND_PUB] = {"pub", 2, 2, "a TOPIC, and JSON or - for standard input"},
    [COMMAND_SUB] = {"sub", 0, 1, "at most one PATTERN"},
    [COMMAND_TOPICS] = {"topics", 0, 1, "at most one PATTERN"},
    [COMMAND_HZ] = {"hz", 1, 1, "one TOPIC"},
    [COMMAND_BW] = {"bw", 1, 1, "one TOPIC"},
    [COMMAND_QUEUES] = {"queues", 0, 1, "at most the NAME of a queue"},
    [COMMAND_QUEUE] = {"queue", 2, 2, "declare, peek, purge or delete, and the NAME of a queue"},
    [COMMAND_CONSUME] = {"consume", 1, 1, "one QUEUE"},
    [COMMAND_DLQ] = {"dlq", 2, 3, "list, retry or purge, a QUEUE, and for retry at most an ID"},
    [COMMAND_TOP] = {"top", 0, 1, "at most one PATTERN"},
    [COMMAND_DOCTOR] = {"doctor", 1, 1, "one TOPIC"},
};

const char *const OPTIONS_ACTION[6] = {
    [ACTION_DECLARE] = "declare", [ACTION_PEEK] = "peek", [ACTION_PURGE] = "purge",
    [ACTION_DELETE] = "delete",   [ACTION_LIST] = "list", [ACTION_RETRY] = "retry",
};

const char *const OPTIONS_POLICY[4] = {
    [MSGSRV_DROP_OLDEST] = "drop-oldest",
    [MSGSRV_DROP_NEWEST] = "drop-newest",
    [MSGSRV_LATEST] = "latest",
    [MSGSRV_DISCONNECT] = "disconnect",
};

#define LIST_ OPTIONS_BIT(COMMAND_LIST)
#define CALL_ OPTIONS_BIT(COMMAND_CALL)
#define HEALTH_ OPTIONS_BIT(COMMAND_HEALTH)
#define STATS_ OPTIONS_BIT(COMMAND_STATS)
#define ADD_ OPTIONS_BIT(COMMAND_ADD)
#define ECHO_ OPTIONS_BIT(COMMAND_ECHO)
#define PING_ OPTIONS_BIT(COMMAND_PING)
#define BENCH_ OPTIONS_BIT(COMMAND_BENCH)
#define PUB_ OPTIONS_BIT(COMMAND_PUB)
#define SUB_ OPTIONS_BIT(COMMAND_SUB)
#define TOPICS_ OPTIONS_BIT(COMMAND_TOPICS)
#define RATES_ (OPTIONS_BIT(COMMAND_HZ) | OPTIONS_BIT(COMMAND_BW))
#define QUEUE_ OPTIONS_BIT(COMMAND_QUEUE)
#define CONSUME_ OPTIONS_BIT(COMMAND_CONSUME)
#define DLQ_ OPTIONS_BIT(COMMAND_DLQ)
#define TOP_ OPTIONS_BIT(COMMAND_TOP)
#define DOCTOR_ OPTIONS_BIT(COMMAND_DOCTOR)
#define ALL_ (OPTIONS_BIT(OPTIONS_COMMANDS) - 1)

#define PLACE(field) offsetof(struct options, field)
#define ROW(kind, name, commands, field)                 \
    kind, commands,                                      \
    {                                                    \
        name, APP_COUNT, false, 0, 0, PLACE(field), NULL \
    }
#define NUMBER(name, commands, kind, none, min, max, field) \
    ROW_NUMBER, commands,                                   \
    {                                                       \
        name, kind, none, min, max, PLACE(field), NULL      \
    }

const struct option_row OPTIONS_ROW[OPTIONS_ROWS] = {
    {ROW(ROW_TEXT, "server", ALL_, server)},
    {NUMBER("timeout", ALL_, APP_TIME_MS, false, 1, MOST, timeout_ms)},
    {ROW(ROW_FLAG, "json", ALL_ & ~OPTIONS_BIT(COMMAND_DESCRIBE), json)},
    {ROW(ROW_HELP, "help", ALL_, command)},
    {ROW(ROW_VERSION, "version", ALL_, command)},
    {ROW(ROW_FLAG, "long", LIST_ | DOCTOR_, details)},
    {ROW(ROW_PAIRS, "metadata", CALL_, metadata)},
    {ROW(ROW_FLAG, "headers", CALL_, headers)},
    {ROW(ROW_FLAG, "watch", HEALTH_ | STATS_ | TOPICS_, watch)},
    {NUMBER("interval", PING_ | STATS_ | TOPICS_ | RATES_ | TOP_, APP_TIME_MS, false, 0, MOST, interval_ms)},
    {ROW(ROW_FLAG, "plain", ADD_ | ECHO_, plain)},
    {NUMBER("count", PING_ | SUB_ | RATES_ | QUEUE_ | DLQ_ | CONSUME_, APP_COUNT, false, 1, 1000000, count)},
    {NUMBER("connections", BENCH_, APP_COUNT, false, 1, 10000, connections)},
    {NUMBER("outstanding", BENCH_, APP_COUNT, false, 1, 100000, outstanding)},
    {NUMBER("seconds", BENCH_, APP_SECONDS, false, 1, DAY_MS, duration_ms)},
    {ROW(ROW_METHOD, "method", BENCH_, bench_echo)},
    {NUMBER("payload", BENCH_, APP_SIZE, false, 0, PAYLOAD_MAX, payload)},
    {NUMBER("size", BENCH_, APP_SIZE, false, 16, PAYLOAD_MAX - 1, size)},
    {NUMBER("subscribers", BENCH_, APP_COUNT, false, 1, 1000, subscribers)},

    {ROW(ROW_LIST, "type", PUB_ | SUB_ | QUEUE_ | DOCTOR_, types)},
    {ROW(ROW_PAIRS, "header", PUB_, metadata)},
    {ROW(ROW_TEXT, "id", PUB_, id)},
    {NUMBER("ttl", PUB_ | QUEUE_, APP_TIME_MS, false, 1, MOST, bounds.ttl_ms)},
    {NUMBER("delay", PUB_ | CONSUME_, APP_TIME_MS, false, 0, MOST, delay_ms)},
    {NUMBER("retain", PUB_, APP_COUNT, false, 0, 1000, retain)},
    {ROW(ROW_TEXT, "group", SUB_, group)},
    {NUMBER("last", SUB_, APP_COUNT, true, 0, 1000, last)},
    {ROW(ROW_POLICY, "policy", SUB_, policy)},
    {NUMBER("max-events", SUB_, APP_COUNT, false, 1, 1000000, max_events)},
    {NUMBER("prefetch", CONSUME_, APP_COUNT, false, 1, 100000, prefetch)},
    {ROW(ROW_FLAG, "reject", CONSUME_, reject)},
    {ROW(ROW_FLAG, "nak", CONSUME_, nak)},
    {ROW(ROW_TEXT, "reason", CONSUME_, reason)},
    {ROW(ROW_LIST, "pattern", QUEUE_, patterns)},
    {NUMBER("max-messages", QUEUE_, APP_COUNT, false, 1, 10000000, bounds.max_messages)},
    {NUMBER("max-bytes", QUEUE_ | SUB_, APP_SIZE, false, 4096, MOST, bounds.max_bytes)},
    {ROW(ROW_FLAG, "drop-oldest", QUEUE_, bounds.drop_oldest)},
    {NUMBER("ack-wait", QUEUE_, APP_TIME_MS, false, 1, MOST, bounds.ack_wait_ms)},
    {NUMBER("max-deliver", QUEUE_, APP_COUNT, true, 1, MOST, bounds.max_deliver)},
    {ROW(ROW_FLAG, "no-dead-letters", QUEUE_, bounds.no_dead_letters)},
    {NUMBER("max-dead-letters", QUEUE_, APP_COUNT, false, 1, MOST, bounds.max_dead_letters)},
    {NUMBER("dedup-time", QUEUE_, APP_TIME_MS, true, 1, MOST, bounds.dedup_ms)},
    {NUMBER("dedup-ids", QUEUE_, APP_COUNT, false, 1, MOST, bounds.dedup_ids)},
};
