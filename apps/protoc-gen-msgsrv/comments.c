/* SPDX-License-Identifier: MIT */
/*
 * Comments; see comments.h. Their text is the user's and may hold anything, so what would end a C comment, or
 * begin one inside it, is taken apart.
 */
#include <string.h>

#include "comments.h"

/* Appends one line without what surrounds it, and with a space inside every slash-star and star-slash. */
static void add_line(msi_buffer *buffer, const char *line, size_t size)
{
    size_t start = 0;
    size_t i;

    while (size > 0 && strchr(" \t\r", line[size - 1]) != NULL)
        size--;
    for (i = 0; i + 1 < size; i++) {
        bool ends = (line[i] == '*' && line[i + 1] == '/') || (line[i] == '/' && line[i + 1] == '*');

        if (ends) {
            msi_buffer_add(buffer, line + start, i + 1 - start);
            msi_buffer_puts(buffer, " ");
            start = i + 1;
        }
    }
    msi_buffer_add(buffer, line + start, size - start);
}

/* A prefix without the blanks at its end, for empty lines. */
static void add_bare_prefix(msi_buffer *buffer, const char *prefix)
{
    size_t size = strlen(prefix);

    while (size > 0 && prefix[size - 1] == ' ')
        size--;
    msi_buffer_add(buffer, prefix, size);
    msi_buffer_puts(buffer, "\n");
}

static const char *skip_blank_lines(const char *text)
{
    const char *line = text;

    for (; *text == ' ' || *text == '\t' || *text == '\r' || *text == '\n'; text++)
        if (*text == '\n')
            line = text + 1;
    return *text != '\0' ? line : text;
}

void msi_comment(msi_buffer *buffer, const msi_place *place, const char *prefix)
{
    const msi_location_proto *location = msi_location(place);
    const char *text = location != NULL && location->leading_comments != NULL ? location->leading_comments : "";

    text = skip_blank_lines(text);
    if (*text == '\0')
        return;
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        /* protoc leaves the blank after the comment's slashes. */
        size_t blank = size > 0 && text[0] == ' ';
        const char *rest = skip_blank_lines(text);

        if (*rest == '\0')
            break;
        if (strspn(text, " \t\r") >= size) {
            add_bare_prefix(buffer, prefix);
        } else {
            msi_buffer_puts(buffer, prefix);
            add_line(buffer, text + blank, size - blank);
            msi_buffer_puts(buffer, "\n");
        }
        text += size + (text[size] == '\n');
    }
    add_bare_prefix(buffer, prefix);
}
