/* SPDX-License-Identifier: MIT */
/*
 * msgsrv-client: calls the demonstration service from the command line. One thread.
 */
#include "commands.h"
#include "program.h"

static int run(const struct options *options)
{
    switch (options->command) {
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
    app_start("msgsrv-client");
    int status = options_read(argc, argv, &options);
    return app_finish(status == APP_GO_ON ? run(&options) : status);
}
