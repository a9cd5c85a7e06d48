/* SPDX-License-Identifier: MIT */
/*
 * Templates; see template.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template.h"

static const char *find(const msi_value *values, const char *name, size_t size)
{
    for (; values->name != NULL; values++)
        if (strlen(values->name) == size && memcmp(values->name, name, size) == 0)
            return values->text;
    fprintf(stderr, "protoc-gen-msgsrv: a template names $%.*s$, which has no value\n", (int)size, name);
    abort();
}

void msi_template(msi_buffer *buffer, const msi_value *values, const char *text)
{
    for (;;) {
        const char *start = strchr(text, '$');
        const char *end = start != NULL ? strchr(start + 1, '$') : NULL;

        if (end == NULL) {
            msi_buffer_puts(buffer, text);
            return;
        }
        msi_buffer_add(buffer, text, (size_t)(start - text));
        msi_buffer_puts(buffer, find(values, start + 1, (size_t)(end - start - 1)));
        text = end + 1;
    }
}
