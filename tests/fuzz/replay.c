/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer: on every file of the folders that are named, and on some changed
 * copies of each, always the same ones. So the targets are tests of every build, with any compiler.
 *
 *     replay CHANGES FOLDER...
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

enum { FILE_MAX = 1 << 20, EXTRA = 64 };

static unsigned long long count;

/* A generator of our own, so that the copies are the same everywhere. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Runs it in memory of exactly its size, so that a sanitizer sees a byte too much. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);

    FUZZ_CHECK(exact != NULL);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    count++;
}

/* Changes, cuts off or repeats something; returns the new size, at most `size` + EXTRA. */
static size_t change(uint8_t *data, size_t size, uint32_t *state)
{
    for (uint32_t changes = 1 + next_random(state) % 4; changes && size; changes--) {
        size_t at = next_random(state) % size;
        size_t rest = size - at < EXTRA / 4 ? size - at : EXTRA / 4;

        switch (next_random(state) % 5) {
        case 0:
            data[at] = (uint8_t)next_random(state);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << next_random(state) % 8);
            break;
        case 2:
            data[at] = next_random(state) & 1 ? 0xff : 0;
            break;
        case 3:
            size = at + 1;
            break;
        default:
            memmove(data + at + rest, data + at, size - at);
            size += rest;
        }
    }
    return size;
}

static size_t read_file(const char *path, uint8_t *data)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    FUZZ_CHECK(file != NULL);
    size = fread(data, 1, FILE_MAX, file);
    fclose(file);
    return size;
}

static void replay(const char *path, unsigned long changes)
{
    static uint8_t original[FILE_MAX], changed[FILE_MAX + EXTRA];
    size_t size = read_file(path, original);
    uint32_t state = 2463534242u;

    run(original, size);
    for (unsigned long i = 0; i < changes; i++) {
        memcpy(changed, original, size);
        run(changed, change(changed, size, &state));
    }
}

int main(int argc, char **argv)
{
    unsigned long changes = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;

    if (argc < 3) {
        fprintf(stderr, "usage: %s CHANGES FOLDER...\n", argv[0]);
        return 64;
    }
    for (int i = 2; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;

        FUZZ_CHECK(folder != NULL);
        while ((entry = readdir(folder))) {
            char path[4096];

            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            replay(path, changes);
        }
        closedir(folder);
    }
    printf("%llu inputs\n", count);
    return count ? 0 : 1;
}
