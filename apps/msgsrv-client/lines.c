/* SPDX-License-Identifier: MIT */
/*
 * Lines; see lines.h.
 */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

#define STEP 65536u
#define LINE_MAX_BYTES (64u * 1024 * 1024)

/* Makes room for one step behind what is there. */
static bool make_room(struct lines *lines)
{
    if (lines->start > 0) {
        memmove(lines->data, lines->data + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->scanned -= lines->start;
        lines->start = 0;
    }
    if (lines->room - lines->end >= STEP)
        return true;
    char *grown = realloc(lines->data, 2 * lines->room + STEP);
    if (!grown)
        return false;
    lines->data = grown;
    lines->room = 2 * lines->room + STEP;
    return true;
}

enum lines_result lines_read(struct lines *lines, int descriptor, msgsrv_error *error)
{
    if (!make_room(lines)) {
        app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory for standard input");
        return LINES_TOO_LONG;
    }
    ssize_t got = read(descriptor, lines->data + lines->end, STEP);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return LINES_MORE;
    if (got < 0) {
        app_error(error, MSGSRV_UNKNOWN, "%s", strerror(errno));
        return LINES_FAILED;
    }
    lines->end += (size_t)got;
    lines->ended = got == 0;
    if (lines->end - lines->start > LINE_MAX_BYTES) {
        app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a line of standard input is longer than 64 MiB");
        return LINES_TOO_LONG;
    }
    return lines->ended ? LINES_END : LINES_MORE;
}

bool lines_next(struct lines *lines, const char **line, size_t *size)
{
    char *from = lines->data + lines->scanned;
    char *newline = lines->end > lines->scanned ? memchr(from, '\n', lines->end - lines->scanned) : NULL;
    if (!newline && !(lines->ended && lines->end > lines->start)) {
        lines->scanned = lines->end;
        return false;
    }
    size_t stop = newline ? (size_t)(newline - lines->data) : lines->end;
    *line = lines->data + lines->start;
    *size = stop - lines->start;
    lines->start = lines->scanned = newline ? stop + 1 : stop;
    lines->number++;
    return true;
}

void lines_free(struct lines *lines)
{
    free(lines->data);
    *lines = (struct lines){.data = NULL};
}
