/* SPDX-License-Identifier: MIT */
/*
 * Feeds the generator requests that are cut short or damaged, in its own process, and looks that it either
 * refuses them in words or answers with a response that decodes. Under sanitizers it finds what is worse. The
 * same every time.
 *
 *     mutate REQUEST CUTS MUTATIONS    REQUEST: a file with a correct CodeGeneratorRequest
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pb_decode.h>

#include "generate.h"

#define MOST_CHANGES 8
#define MOST_INSERTED 16

static uint64_t state = 0x9e3779b97f4a7c15u;

static size_t random_below(size_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit > 0 ? (size_t)((state >> 16) % limit) : 0;
}

static void fail(const char *what, size_t step)
{
    fprintf(stderr, "step %zu: %s\n", step, what);
    exit(1);
}

static void check_response(const msi_buffer *response, size_t step)
{
    msi_response_proto message = google_protobuf_compiler_CodeGeneratorResponse_init_zero;
    pb_istream_t stream = pb_istream_from_buffer((const pb_byte_t *)response->data, response->size);

    if (!pb_decode(&stream, google_protobuf_compiler_CodeGeneratorResponse_fields, &message))
        fail("the response does not decode", step);
    if ((message.error != NULL && *message.error != '\0') == (message.file_count > 0))
        fail("the response has files and an error, or neither", step);
    pb_release(google_protobuf_compiler_CodeGeneratorResponse_fields, &message);
}

static void try_one(const unsigned char *data, size_t size, size_t step)
{
    char error[MSI_REQUEST_ERROR] = "";
    msi_buffer response;

    if (msi_generate(data, size, &response, error))
        check_response(&response, step);
    else if (*error == '\0')
        fail("refused without a word", step);
    msi_buffer_release(&response);
}

/* Damages a copy in up to MOST_CHANGES places; it has room for what is inserted. Returns its new size. */
static size_t damage(unsigned char *data, size_t size)
{
    size_t changes = 1 + random_below(MOST_CHANGES);

    while (changes-- > 0) {
        size_t at = random_below(size);
        size_t count = 1 + random_below(MOST_INSERTED);

        switch (random_below(4)) {
        case 0:
            data[at] ^= (unsigned char)(1u << random_below(8));
            break;
        case 1:
            data[at] = (unsigned char)random_below(256);
            break;
        case 2:
            memmove(data + at + count, data + at, size - at);
            size += count;
            break;
        default:
            count = count < size - at ? count : size - at;
            memmove(data + at, data + at + count, size - at - count);
            size -= count;
            break;
        }
    }
    return size;
}

static void try_all(const unsigned char *data, size_t size, size_t cuts, size_t mutations)
{
    unsigned char *copy = malloc(size + MOST_CHANGES * MOST_INSERTED);
    size_t stride = cuts < size ? size / cuts : 1;
    size_t i;

    if (copy == NULL)
        fail("no memory", 0);
    /* Each cut in memory of its own size, so that reading past its end is seen. */
    for (i = 0; i < size; i += stride) {
        unsigned char *cut = malloc(i + 1);

        if (cut == NULL)
            fail("no memory", i);
        memcpy(cut, data, i);
        try_one(cut, i, i);
        free(cut);
    }
    for (i = 0; i < mutations; i++) {
        memcpy(copy, data, size);
        try_one(copy, damage(copy, size), i);
    }
    try_one(data, size, i);
    free(copy);
}

int main(int argc, char **argv)
{
    int file = argc == 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    unsigned char *data;
    size_t size;

    if (file < 0 || (data = msi_read_all(file, &size)) == NULL) {
        fprintf(stderr, "usage: mutate REQUEST CUTS MUTATIONS\n");
        return 64;
    }
    close(file);
    try_all(data, size, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    printf("%zu bytes, cut and damaged\n", size);
    free(data);
    return 0;
}
