/* SPDX-License-Identifier: MIT */
/*
 * describe: a service, method, message or enum of the server's as .proto source.
 */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "program.h"
#include "types.h"

#define ANY \
    (1u << MSGSRV_SYMBOL_SERVICE | 1u << MSGSRV_SYMBOL_METHOD | 1u << MSGSRV_SYMBOL_MESSAGE | 1u << MSGSRV_SYMBOL_ENUM)

int command_describe(const struct options *options)
{
    struct types types = {.command = NULL};
    const struct name *name = NULL;
    msgsrv_error error;
    char *text = NULL;
    int status = types_open(&types, options, "describe", false);
    if (status == 0)
        status = types_find(&types, ANY, "service, method, message or enum", options->name, &name);
    if (status == 0 && msgsrv_schema_describe(types.schema, name->text, &text, &error) != MSGSRV_OK)
        status = app_fail("describe", &error, options->server);
    if (status == 0) {
        app_clean(text, true);
        fputs(text, stdout);
    }
    free(text);
    types_close(&types);
    return status;
}
