/* SPDX-License-Identifier: MIT */
/*
 * Names: which ones may be used, and what they are called in C. C's names are nanopb's: dots become
 * underscores.
 */
#ifndef MSGSRV_GEN_NAMES_H
#define MSGSRV_GEN_NAMES_H

#include <stdbool.h>

#include "memory.h"

/* A letter or '_', then letters, digits and '_'. NULL is none. */
bool msi_is_identifier(const char *name);

/* Identifiers joined by dots. NULL is none. */
bool msi_is_dotted_name(const char *name);

/*
 * A relative path with '/', without "." and ".." in it, that may stand in quotes and in a comment. NULL is
 * none.
 */
bool msi_is_file_name(const char *name);

/* A word of C, or a macro that may be defined where generated code is compiled. */
bool msi_is_c_word(const char *name);

/* A word of C++ that is none of C. */
bool msi_is_cxx_word(const char *name);

/* "package.Outer.Inner" as "package_Outer_Inner". */
char *msi_c_name(msi_arena *arena, const char *dotted);

/* "dir/demo.proto" as "dir/demo". */
char *msi_file_stem(msi_arena *arena, const char *file);

/* "dir/demo" as "dir_demo": what C names of the file itself begin with. */
char *msi_file_id(msi_arena *arena, const char *stem);

/* "dir/demo" as "DIR_DEMO_MSGSRV_H". */
char *msi_include_guard(msi_arena *arena, const char *stem);

#endif
