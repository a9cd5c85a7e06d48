/* SPDX-License-Identifier: MIT */
/*
 * The commands of msgsrv-client: each does its work, prints, reports its errors, and returns the exit status.
 */
#ifndef MSGSRV_CLIENT_COMMANDS_H
#define MSGSRV_CLIENT_COMMANDS_H

#include <msgsrv/msgsrv.h>

#include "options.h"

/* For max_message: replies of any size that a server may be set to send. */
#define COMMANDS_MESSAGE_MAX (64u * 1024 * 1024)

int command_list(const struct options *options);
int command_describe(const struct options *options);
int command_call(const struct options *options);
int command_health(const struct options *options);
int command_stats(const struct options *options);
int command_add(const struct options *options);
int command_echo(const struct options *options);
int command_ping(const struct options *options);
int command_bench(const struct options *options);
int command_bench_pubsub(const struct options *options);
int command_pub(const struct options *options);
int command_sub(const struct options *options);
int command_topics(const struct options *options);
int command_rates(const struct options *options);
int command_queues(const struct options *options);
int command_queue(const struct options *options);
int command_consume(const struct options *options);
int command_top(const struct options *options);
int command_doctor(const struct options *options);

#endif
