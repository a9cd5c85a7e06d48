/* SPDX-License-Identifier: MIT */
/*
 * Errors and the positions they name; see diagnostics.h. All that is found is reported, up to a limit, so
 * that a user corrects a file once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnostics.h"

#define MAX_ERRORS 50
#define MAX_TEXT ((size_t)64 * 1024)
#define MAX_LINE 2048

void msi_errors_init(msi_errors *errors)
{
    msi_buffer_init(&errors->text, MAX_TEXT);
    errors->count = 0;
}

void msi_errors_release(msi_errors *errors)
{
    msi_buffer_release(&errors->text);
}

msi_place msi_place_of(const msi_place *parent, int32_t number)
{
    msi_place place = *parent;

    place.path[place.size++] = number;
    return place;
}

msi_place msi_place_in(const msi_place *parent, int32_t number, int32_t index)
{
    msi_place place = msi_place_of(parent, number);

    place.path[place.size++] = index;
    return place;
}

/*
 * The location of the first `size` numbers of a path. A span is line, column, [end line,] end column, from
 * 0.
 */
static const msi_location_proto *find(const msi_place *place, size_t size)
{
    const msi_file_proto *file = place->file;
    size_t i;

    for (i = 0; file->has_source_code_info && i < file->source_code_info.location_count; i++) {
        const msi_location_proto *location = &file->source_code_info.location[i];

        if (location->path_count == size && location->span_count >= 3 &&
            (size == 0 || memcmp(location->path, place->path, size * sizeof *place->path) == 0))
            return location;
    }
    return NULL;
}

const msi_location_proto *msi_location(const msi_place *place)
{
    return find(place, place->size);
}

msi_position msi_position_of(const msi_place *place)
{
    msi_position position = {0, 0};
    const msi_location_proto *location = NULL;
    size_t size = place->size;

    while (size > 0 && (location = find(place, size)) == NULL)
        size--;
    if (location == NULL)
        location = find(place, 0);
    if (location != NULL && location->span[0] >= 0 && location->span[0] < INT32_MAX && location->span[1] >= 0 &&
        location->span[1] < INT32_MAX) {
        position.line = location->span[0] + 1;
        position.column = location->span[1] + 1;
    }
    return position;
}

/* `where` is "file:line:column" or less. */
static void __attribute__((format(printf, 3, 0)))
add(msi_errors *errors, const char *where, const char *format, va_list arguments)
{
    char line[MAX_LINE];

    if (errors->count++ >= MAX_ERRORS) {
        if (errors->count == MAX_ERRORS + 1)
            msi_buffer_puts(&errors->text, "\ntoo many errors");
        return;
    }
    vsnprintf(line, sizeof line, format, arguments);
    msi_buffer_printf(&errors->text, "%s%s: error: %s", errors->count > 1 ? "\n" : "", where, line);
}

void msi_error(msi_errors *errors, const msi_place *place, const char *format, ...)
{
    const char *file = place->file->name != NULL ? place->file->name : "(a file without a name)";
    msi_position position = msi_position_of(place);
    char where[MAX_LINE];
    va_list arguments;

    if (position.line != 0)
        snprintf(where, sizeof where, "%s:%d:%d", file, position.line, position.column);
    else
        snprintf(where, sizeof where, "%s", file);
    va_start(arguments, format);
    add(errors, where, format, arguments);
    va_end(arguments);
}

void msi_error_line(msi_errors *errors, const char *file, int line, const char *format, ...)
{
    char where[MAX_LINE];
    va_list arguments;

    if (line != 0)
        snprintf(where, sizeof where, "%s:%d", file, line);
    else
        snprintf(where, sizeof where, "%s", file);
    va_start(arguments, format);
    add(errors, where, format, arguments);
    va_end(arguments);
}
