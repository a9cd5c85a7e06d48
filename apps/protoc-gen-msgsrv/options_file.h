/* SPDX-License-Identifier: MIT */
/*
 * nanopb's .options files: found where nanopb finds them, and read line by line as it does.
 */
#ifndef MSGSRV_GEN_OPTIONS_FILE_H
#define MSGSRV_GEN_OPTIONS_FILE_H

#include "diagnostics.h"
#include "nanopb_option.h"
#include "params.h"

typedef struct msi_options_line {
    const char *pattern; /* of full names, as fnmatch() takes them */
    int number;          /* from 1 */
    msi_option_list list;
} msi_options_line;

typedef struct msi_options_file {
    const char *path; /* NULL: there is none */
    msi_options_line *lines;
    size_t line_count;
} msi_options_file;

/*
 * Reads the .options file of a .proto, if it has one.
 *
 * stem: the .proto's name without its extension. more_path: one more folder to look in, where nanopb looks
 * too.
 */
void msi_options_file_read(msi_arena *arena, const msi_params *params, const char *stem, const char *more_path,
                           msi_options_file *file, msi_errors *errors);

/* Applies the lines that match a full name, in their order. */
void msi_options_file_apply(const msi_options_file *file, const char *full_name, msi_options *options);

#endif
