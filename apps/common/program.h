/* SPDX-License-Identifier: MIT */
/*
 * What both command line programs do in the same way: their start, their errors, their exit statuses. All of
 * it is for the main thread, or one that it waits for, except app_line() and app_clean(), which any thread may call.
 */
#ifndef MSGSRV_APPS_PROGRAM_H
#define MSGSRV_APPS_PROGRAM_H

#include <getopt.h>

#include <msgsrv/status.h>

/* Exit statuses beside those of a call, 1 to 16; the numbers are those of sysexits.h. */
#define APP_EXIT_USAGE 64
#define APP_EXIT_IO 74

/* Not an exit status: the arguments were read and there is something to do. */
#define APP_GO_ON (-1)

/* Long options return this and up, so that they cannot be taken for a letter. */
#define APP_LONG_OPTION 256

/*
 * First of all: remembers the name that errors begin with, makes sure that nothing else becomes descriptor 0,
 * 1 or 2, and lets a broken pipe be an error instead of a silent death: a socket's is one among many. A filter still
 * ends by that signal, in app_finish(), when nobody reads its standard output, unless it was started with the signal
 * ignored. `name` must live for ever.
 */
void app_start(const char *name, bool filter);

/* Writes out standard output. False when that is or was impossible, which is reported once, but of a filter that nobody reads. */
bool app_flush(void);

/*
 * Last of all: flushes. Returns `status`, or APP_EXIT_IO when not all of standard output could be written; a filter that
 * nobody reads does not return.
 */
int app_finish(int status);

/* Replaces what a terminal would act upon, which a peer may have sent, by '?'. Newlines and tabs stay in several lines. */
void app_clean(char *text, bool several_lines);

/* One line on standard error, "NAME: text". Control characters, which a peer may have sent, become '?'. */
void app_line(const char *format, ...) MSGSRV_PRINTF(1, 2);

/* Reports wrong usage in one line, and returns APP_EXIT_USAGE. */
int app_usage(const char *format, ...) MSGSRV_PRINTF(1, 2);

/*
 * Reports a failure as "NAME: what: CODE: text (url)", and returns its exit status. The URL is added to what
 * this side has found out; a peer's own answer speaks for itself.
 */
int app_fail(const char *what, const msgsrv_error *error, const char *url);

/* Fills an error of this side's. Returns the code. */
msgsrv_status app_error(msgsrv_error *error, msgsrv_status code, const char *format, ...) MSGSRV_PRINTF(3, 4);

/* Reports what getopt_long() refused, from its result (':' or '?'); returns APP_EXIT_USAGE. */
int app_bad_option(int result, char **argv, const struct option *options);

/*
 * The name that a mistyped word is nearest to, or NULL when none is near. `names` points to the first of
 * `count` names that are `stride` bytes apart, so that it may be a member of a table.
 */
const char *app_nearest(const char *word, const char *const *names, size_t count, size_t stride);

#endif
