/* SPDX-License-Identifier: MIT */
/*
 * Lines of a descriptor, as they come: read when poll(2) says so, taken one after another.
 */
#ifndef MSGSRV_CLIENT_LINES_H
#define MSGSRV_CLIENT_LINES_H

#include <msgsrv/status.h>

/* What was read and not taken yet. Zeroed, it is empty. */
struct lines {
    char *data;
    size_t start, scanned, end, room; /* data[start, end) is there; up to `scanned` there is no newline */
    uint64_t number;                  /* of the line that was taken last, from 1 */
    bool ended;
};

enum lines_result { LINES_MORE, LINES_END, LINES_FAILED, LINES_TOO_LONG };

/* Reads once what is there. LINES_FAILED and LINES_TOO_LONG fill the error. */
enum lines_result lines_read(struct lines *lines, int descriptor, msgsrv_error *error);

/* Takes a line, without its newline, valid until the next lines_read(). At the end also one that has no newline. */
bool lines_next(struct lines *lines, const char **line, size_t *size);

void lines_free(struct lines *lines);

#endif
