/* SPDX-License-Identifier: MIT */
/*
 * The names that a server's descriptors declare, and how a word of the user's is matched with them: exactly, by its
 * end, or as the nearest one.
 */
#ifndef MSGSRV_CLIENT_NAMES_H
#define MSGSRV_CLIENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include <msgsrv/schema.h>

struct fields;

/* One name. Its text is the list's. */
struct name {
    char *text; /* "package.Service.Method" */
    msgsrv_symbol_kind kind;
};

/* A zeroed one is empty. */
struct names {
    struct name *names;
    size_t count, room;
};

/* What a word turned out to be: none, a whole name, the end of one, or of several. */
enum names_found { NAMES_NONE, NAMES_WHOLE, NAMES_END, NAMES_SEVERAL };

/* Adds a name. False without memory. */
bool names_add(struct names *names, msgsrv_symbol_kind kind, const char *text);

/* Adds all that a FileDescriptorProto declares. False without memory, or when it is none. */
bool names_add_file(struct names *names, struct fields file);

void names_free(struct names *names);

/* By text. */
void names_sort(struct names *names);

/*
 * Looks a word up among the names of some kinds (bits, 1 << msgsrv_symbol_kind): the whole name, or its last parts, such as
 * "Service.Method" or "Method". Slashes count as dots and one in front is ignored. `found` is the first that matches.
 */
enum names_found names_find(const struct names *names, unsigned kinds, const char *word, const struct name **found);

/* The nearest name of these kinds, with as many parts as the word has or all of them. NULL when none is near. */
const struct name *names_nearest(const struct names *names, unsigned kinds, const char *word);

/* A name as it is shown, in `room`: a method with a slash before its last part. */
const char *name_shown(const struct name *name, char *room, size_t size);

#endif
