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
        return command_bench(options);
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
