/* SPDX-License-Identifier: MIT */
/*
 * Standard input; see input.h.
 */
#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "program.h"

#define STEP 65536u

/* Reads into a text that grows. False without memory. */
static bool read_all(char **text, size_t *size)
{
    size_t room = 0, got;
    do {
        if (room - *size < STEP) {
            room = room * 2 + STEP + 1;
            char *grown = realloc(*text, room);
            if (!grown)
                return false;
            *text = grown;
        }
        got = fread(*text + *size, 1, room - *size - 1, stdin);
        *size += got;
    } while (got > 0 && *size <= COMMANDS_MESSAGE_MAX);
    (*text)[*size] = '\0';
    return true;
}

int input_read(const char *what, char **text, size_t *size)
{
    msgsrv_error error = {.code = MSGSRV_OK};
    char *input = NULL;
    *size = 0;
    errno = 0;
    if (!read_all(&input, size))
        app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "no memory for standard input");
    else if (*size > COMMANDS_MESSAGE_MAX)
        app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "standard input is longer than 64 MiB");
    if (error.code == MSGSRV_OK && !ferror(stdin)) {
        *text = input;
        return 0;
    }
    free(input);
    if (error.code != MSGSRV_OK)
        return app_fail(what, &error, "");
    app_line("standard input: %s", strerror(errno));
    return APP_EXIT_IO;
}
