/* SPDX-License-Identifier: MIT */
/*
 * Metadata; see metadata.h. Which keys and values may travel is the library's to say.
 */
#include "metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "program.h"

#define SUFFIX "-bin"

static bool is_binary(const char *key)
{
    size_t length = strlen(key);
    return length > sizeof SUFFIX - 1 && strcmp(key + length - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

/* Decodes base64 in place, with or without its padding. */
static bool decode(char *text, size_t *size)
{
    size_t length = strlen(text);
    unsigned bits = 0, held = 0;
    *size = 0;
    while (length > 0 && length % 4 != 1 && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++) {
        const char *letter = strchr(BASE64_ALPHABET, text[i]);
        if (!letter)
            return false;
        held = (held << 6 | (unsigned)(letter - BASE64_ALPHABET)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            text[(*size)++] = (char)(held >> bits & 0xff);
        }
    }
    return length % 4 != 1 && (held & ((1u << bits) - 1)) == 0;
}

static char *copy_all(const struct options *options)
{
    size_t size = 1;
    for (size_t i = 0; i < options->metadata.count; i++)
        size += strlen(options->metadata.texts[i]) + 1;
    return malloc(size);
}

int metadata_read(const struct options *options, struct metadata *metadata)
{
    char *p = copy_all(options);
    *metadata = (struct metadata){.texts = p};
    if (!p) {
        app_line("%s: RESOURCE_EXHAUSTED: no memory", options->command == COMMAND_PUB ? "pub" : "call");
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < options->metadata.count; i++) {
        size_t length = strlen(options->metadata.texts[i]);
        memcpy(p, options->metadata.texts[i], length + 1);
        char *value = strchr(p, '=');
        *value++ = '\0';
        msgsrv_metadata entry = {.key = p, .value = value, .size = strlen(value)};
        if (is_binary(p) && !decode(value, &entry.size))
            return app_usage("--%s: the value of '%s' is not base64",
                             options->command == COMMAND_PUB ? "header" : "metadata", p);
        metadata->entries[metadata->count++] = entry;
        p += length + 1;
    }
    return 0;
}

void metadata_free(struct metadata *metadata)
{
    free(metadata->texts);
    *metadata = (struct metadata){.texts = NULL};
}

static void print_base64(const void *data, size_t size)
{
    char *text = base64_text(data, size);
    fputs(text ? text : "?", stderr);
    free(text);
}

void metadata_print(const char *what, const msgsrv_metadata_set *set)
{
    for (size_t i = 0; i < msgsrv_metadata_count(set); i++) {
        msgsrv_metadata entry = msgsrv_metadata_at(set, i);
        fprintf(stderr, "%s %s: ", what, entry.key);
        if (is_binary(entry.key))
            print_base64(entry.value, entry.size);
        else
            fwrite(entry.value, 1, entry.size, stderr); /* printable ASCII: the library has seen to it */
        putc('\n', stderr);
    }
}
