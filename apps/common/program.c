/* SPDX-License-Identifier: MIT */
/*
 * The start, the errors and the end of both command line programs; see program.h.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_ROOM 1024
#define WORD_MAX 120 /* longer words are not compared */
#define NEAR 2       /* changes of one letter */

static const char *program_name = "";
static bool ends_by_sigpipe;
static bool unread; /* standard output's reader has gone, and that ends this program */

void app_start(const char *name, bool filter)
{
    program_name = name;
    ends_by_sigpipe = signal(SIGPIPE, SIG_IGN) != SIG_IGN && filter;
    /* Opened the wrong way round, so that using a descriptor that was closed fails instead of going
     * nowhere. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            exit(APP_EXIT_IO);
    }
}

/* Whether a write failed for a pipe without a reader. `number` is 0 when that write has gone by. */
static bool is_broken_pipe(int number)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return number == EPIPE || (number == 0 && poll(&out, 1, 0) == 1 && (out.revents & POLLERR));
}

static void report_output(int number)
{
    bool broken = is_broken_pipe(number);
    unread = broken && ends_by_sigpipe;
    if (!unread)
        app_line("standard output: %s", number ? strerror(number) : broken ? strerror(EPIPE) : "write error");
}

bool app_flush(void)
{
    static bool reported;
    errno = 0; /* stays 0 when it was an earlier write that failed */
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    if (!good && !reported)
        report_output(errno);
    reported |= !good;
    return good;
}

/* As if the signal had never been ignored. Returns where it is blocked. */
static int end_by_sigpipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
    return APP_EXIT_IO;
}

int app_finish(int status)
{
    bool good = app_flush();
    return unread ? end_by_sigpipe() : good ? status : APP_EXIT_IO;
}

/* C0, DEL, and C1 as UTF-8 (0xc2 0x80 to 0xc2 0x9f). */
void app_clean(char *text, bool several_lines)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (several_lines && (*p == '\n' || *p == '\t'))
            continue;
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

static void print_line(const char *format, va_list arguments) MSGSRV_PRINTF(1, 0);

/* In one piece, so that lines of several threads do not mix. */
static void print_line(const char *format, va_list arguments)
{
    char line[LINE_ROOM];
    vsnprintf(line, sizeof line, format, arguments);
    app_clean(line, false);
    fprintf(stderr, "%s: %s\n", program_name, line);
}

void app_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

int app_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    return APP_EXIT_USAGE;
}

msgsrv_status app_error(msgsrv_error *error, msgsrv_status code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    error->from_peer = false;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}

int app_fail(const char *what, const msgsrv_error *error, const char *url)
{
    const char *name = msgsrv_status_name(error->code);
    const char *text = error->text[0] ? error->text : msgsrv_status_text(error->code);
    if (error->from_peer || strstr(text, url))
        app_line("%s: %s: %s", what, name, text);
    else
        app_line("%s: %s: %s (%s)", what, name, text, url);
    bool travels = error->code > MSGSRV_OK && error->code < MSGSRV_STATUS_COUNT;
    return travels ? (int)error->code : MSGSRV_INTERNAL;
}

/* Whether `word` ("--se" or "--se=1") is how more than one option begins. */
static bool is_ambiguous(const char *word, const struct option *options)
{
    if (strncmp(word, "--", 2) != 0)
        return false;
    size_t length = strcspn(word + 2, "=");
    unsigned matches = 0;
    for (; options->name; options++)
        matches += strncmp(options->name, word + 2, length) == 0;
    return matches > 1;
}

static const char *nearest_option(const char *word, const struct option *options)
{
    size_t count = 0;
    while (options[count].name)
        count++;
    return strncmp(word, "--", 2) == 0 ? app_nearest(word + 2, &options->name, count, sizeof *options) : NULL;
}

int app_bad_option(int result, char **argv, const struct option *options)
{
    const char *word = argv[optind - 1];
    if (optopt > 0 && optopt < APP_LONG_OPTION)
        return app_usage("unknown option '-%c' (see --help)", optopt);
    for (const struct option *option = options; option->name; option++) {
        if (optopt == option->val)
            return app_usage(result == ':' ? "--%s needs a value" : "--%s takes no value", option->name);
    }
    if (is_ambiguous(word, options))
        return app_usage("option '%s' is ambiguous (see --help)", word);
    const char *nearest = nearest_option(word, options);
    if (nearest)
        return app_usage("unknown option '%s'; did you mean '--%s'?", word, nearest);
    return app_usage("unknown option '%s' (see --help)", word);
}

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, by one row of its table. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t length = strlen(b);
    for (unsigned j = 0; j <= length; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < length; j++) {
            unsigned change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = min2(change, min2(row[j], row[j + 1]) + 1);
        }
    }
    return row[length];
}

const char *app_nearest(const char *word, const char *const *names, size_t count, size_t stride)
{
    const char *nearest = NULL;
    unsigned least = NEAR + 1;
    if (strlen(word) > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name = *(const char *const *)(const void *)((const char *)names + i * stride);
        unsigned changes = strlen(name) <= WORD_MAX ? distance(word, name) : least;
        if (changes < least && changes < strlen(name)) {
            least = changes;
            nearest = name;
        }
    }
    return nearest;
}
