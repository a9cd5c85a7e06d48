/* SPDX-License-Identifier: MIT */
/*
 * An arena: memory that lives as long as one run of the generator and is released at once. A program that
 * makes files has nothing better to do without memory than to say so and end, so nothing here returns NULL.
 */
#ifndef MSGSRV_GEN_MEMORY_H
#define MSGSRV_GEN_MEMORY_H

#include <stddef.h>

typedef struct msi_arena {
    struct msi_arena_block *blocks; /* the newest first */
} msi_arena;

/* Zeroed, aligned for any type. */
void *msi_arena_alloc(msi_arena *arena, size_t size);

/* Room for `count` items; ends the program where their bytes do not fit size_t. */
void *msi_arena_array(msi_arena *arena, size_t count, size_t size);

/* A formatted string. */
char *msi_arena_printf(msi_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first `size` bytes of a text, and a NUL. */
char *msi_arena_text(msi_arena *arena, const char *text, size_t size);

void msi_arena_release(msi_arena *arena);

/* realloc() that ends the program instead of failing. */
void *msi_realloc(void *memory, size_t size);

#endif
