/* SPDX-License-Identifier: MIT */
/*
 * The arena, and the one place where the generator gives up for want of memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define BLOCK_BYTES ((size_t)64 * 1024)

struct msi_arena_block {
    struct msi_arena_block *next;
    size_t size; /* of `bytes` */
    size_t used;
    _Alignas(max_align_t) char bytes[];
};

void *msi_realloc(void *memory, size_t size)
{
    void *bigger = realloc(memory, size);

    if (bigger == NULL) {
        fputs("protoc-gen-msgsrv: out of memory\n", stderr);
        exit(1);
    }
    return bigger;
}

static struct msi_arena_block *add_block(msi_arena *arena, size_t needed)
{
    size_t size = needed > BLOCK_BYTES ? needed : BLOCK_BYTES;
    struct msi_arena_block *block;

    if (size > SIZE_MAX - sizeof *block)
        size = SIZE_MAX - sizeof *block; /* which msi_realloc() then reports */
    block = msi_realloc(NULL, sizeof *block + size);
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

void *msi_arena_alloc(msi_arena *arena, size_t size)
{
    const size_t alignment = _Alignof(max_align_t);
    size_t padded = size > SIZE_MAX - alignment ? SIZE_MAX : (size + alignment - 1) / alignment * alignment;
    struct msi_arena_block *block = arena->blocks;
    void *memory;

    if (block == NULL || block->size - block->used < padded)
        block = add_block(arena, padded);
    memory = block->bytes + block->used;
    block->used += padded;
    return memset(memory, 0, size);
}

void *msi_arena_array(msi_arena *arena, size_t count, size_t size)
{
    return msi_arena_alloc(arena, count > SIZE_MAX / size ? SIZE_MAX : count * size);
}

char *msi_arena_text(msi_arena *arena, const char *text, size_t size)
{
    char *copy = msi_arena_alloc(arena, size + 1);

    memcpy(copy, text, size);
    return copy;
}

char *msi_arena_printf(msi_arena *arena, const char *format, ...)
{
    va_list arguments;
    char *text;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = msi_arena_alloc(arena, (size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}

void msi_arena_release(msi_arena *arena)
{
    while (arena->blocks != NULL) {
        struct msi_arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
}
