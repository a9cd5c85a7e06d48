/* SPDX-License-Identifier: MIT */
/*
 * msgsrv-client: asks and calls servers from the command line. One thread, and that of a client
 * that streams.
 */
#include "commands.h"
#include "program.h"

static int run(const struct options *options)
{
    switch (options->command) {
    case COMMAND_LIST:
        return command_list(options);
    case COMMAND_DESCRIBE:
        return command_describe(options);
    case COMMAND_CALL:
        return command_call(options);
    case COMMAND_HEALTH:
        return command_health(options);
    case COMMAND_STATS:
        return command_stats(options);
    case COMMAND_ADD:
        return command_add(options);
    case COMMAND_ECHO:
        return command_echo(options);
    case COMMAND_PING:
        return command_ping(options);
    case COMMAND_BENCH:
        return options->bench_pubsub ? command_bench_pubsub(options) : command_bench(options);
    case COMMAND_PUB:
        return command_pub(options);
    case COMMAND_SUB:
        return command_sub(options);
    case COMMAND_TOPICS:
        return command_topics(options);
    case COMMAND_HZ:
    case COMMAND_BW:
        return command_rates(options);
    case COMMAND_QUEUES:
        return command_queues(options);
    case COMMAND_QUEUE:
    case COMMAND_DLQ:
        return command_queue(options);
    case COMMAND_CONSUME:
        return command_consume(options);
    case COMMAND_TOP:
        return command_top(options);
    case COMMAND_DOCTOR:
        return command_doctor(options);
    }
    return APP_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options;
    app_start("msgsrv-client", true);
    int status = options_read(argc, argv, &options);
    return app_finish(status == APP_GO_ON ? run(&options) : status);
}
