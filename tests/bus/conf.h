/* SPDX-License-Identifier: MIT */
/*
 * The conformance suite: what docs/bus.md says, sentence by sentence (docs/bus-conformance.md is the table). A test names the capabilities
 * that an engine must have for it, in the words of that document; an engine that has not runs the others.
 */
#ifndef TESTS_BUS_CONF_H
#define TESTS_BUS_CONF_H

#include "world.h"

typedef struct conf_test {
    const TTest *const *test; /* NULL: the end */
    const char *needs;        /* capabilities, and perhaps "remote"; separated by blanks; NULL: none */
} conf_test;

extern const conf_test conf_topics[];
extern const conf_test conf_types[];
extern const conf_test conf_publish[];
extern const conf_test conf_policies[];
extern const conf_test conf_retained[];
extern const conf_test conf_groups[];
extern const conf_test conf_requests[];
extern const conf_test conf_queues[];
extern const conf_test conf_settling[];
extern const conf_test conf_dead[];
extern const conf_test conf_reconnect[];
extern const conf_test conf_reentry[];
extern const conf_test conf_options[];
extern const conf_test conf_typed[];

#endif
