/* SPDX-License-Identifier: MIT */
/*
 * A growable text with a maximum, which it cannot be made without. What does not fit is not added, and from
 * then on nothing is: `full` says so, to be looked at once at the end.
 */
#ifndef MSGSRV_GEN_BUFFER_H
#define MSGSRV_GEN_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct msi_buffer {
    char *data;      /* NUL-terminated; NULL while nothing was added */
    size_t size;     /* in bytes, without the NUL */
    size_t capacity; /* of data */
    size_t max;      /* of size */
    bool full;       /* something did not fit */
} msi_buffer;

void msi_buffer_init(msi_buffer *buffer, size_t max);
void msi_buffer_release(msi_buffer *buffer);
void msi_buffer_add(msi_buffer *buffer, const char *bytes, size_t size);
void msi_buffer_puts(msi_buffer *buffer, const char *text);
void msi_buffer_printf(msi_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
