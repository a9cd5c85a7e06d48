/* SPDX-License-Identifier: MIT */
/*
 * Standard input as one text.
 */
#ifndef MSGSRV_CLIENT_INPUT_H
#define MSGSRV_CLIENT_INPUT_H

#include <stddef.h>

/*
 * Reads all of standard input, with a NUL behind it that does not count. Returns 0, the text then to be freed; or the exit status
 * of a failure, which was reported for the command or method `what`.
 */
int input_read(const char *what, char **text, size_t *size);

#endif
