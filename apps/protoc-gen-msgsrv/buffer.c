/* SPDX-License-Identifier: MIT */
/*
 * The growable text; see buffer.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"

#define FIRST_BYTES 256

void msi_buffer_init(msi_buffer *buffer, size_t max)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->max = max;
}

void msi_buffer_release(msi_buffer *buffer)
{
    free(buffer->data);
    msi_buffer_init(buffer, buffer->max);
}

/* Makes room for `size` more bytes and the NUL; false when they would pass the maximum. */
static bool reserve(msi_buffer *buffer, size_t size)
{
    size_t capacity = buffer->capacity != 0 ? buffer->capacity : FIRST_BYTES;

    if (buffer->full || size > buffer->max - buffer->size) {
        buffer->full = true;
        return false;
    }
    while (capacity - buffer->size <= size)
        capacity *= 2;
    if (capacity != buffer->capacity)
        buffer->data = msi_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
    return true;
}

void msi_buffer_add(msi_buffer *buffer, const char *bytes, size_t size)
{
    if (!reserve(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void msi_buffer_puts(msi_buffer *buffer, const char *text)
{
    msi_buffer_add(buffer, text, strlen(text));
}

void msi_buffer_printf(msi_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (!reserve(buffer, (size_t)size))
        return;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)size;
}
