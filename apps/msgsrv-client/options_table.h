/* SPDX-License-Identifier: MIT */
/*
 * The commands and the options of msgsrv-client, as tables.
 */
#ifndef MSGSRV_CLIENT_OPTIONS_TABLE_H
#define MSGSRV_CLIENT_OPTIONS_TABLE_H

#include "number.h"
#include "options.h"

#define OPTIONS_COMMANDS 20
#define OPTIONS_ROWS 43
#define OPTIONS_BIT(index) (UINT64_C(1) << (index))

/* A command. */
struct command_row {
    const char *name;
    int least, most; /* operands */
    const char *takes;
};

enum row_kind { ROW_FLAG, ROW_TEXT, ROW_LIST, ROW_PAIRS, ROW_NUMBER, ROW_METHOD, ROW_POLICY, ROW_HELP, ROW_VERSION };

/* An option. */
struct option_row {
    enum row_kind kind;
    uint64_t commands;        /* that it belongs to, as bits */
    struct app_number number; /* for all kinds its name and, unless it has none, the place in struct options */
};

extern const struct command_row OPTIONS_COMMAND[OPTIONS_COMMANDS];
extern const struct option_row OPTIONS_ROW[OPTIONS_ROWS];

/* The names of struct options' actions and, in the order of msgsrv_bus_policy, of policies. */
extern const char *const OPTIONS_ACTION[6];
extern const char *const OPTIONS_POLICY[4];

#endif
