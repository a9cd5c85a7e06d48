/* SPDX-License-Identifier: MIT */
/*
 * What stands in --msgsrv_opt: NAME=VALUE, separated by commas.
 *
 *     options_path=DIR    where .options files are looked for, as nanopb's -I; may be repeated
 *     options=FILE        one .options file for all, as nanopb's -f
 *     setting=NAME:VALUE  what nanopb is given with -s; may be repeated
 */
#ifndef MSGSRV_GEN_PARAMS_H
#define MSGSRV_GEN_PARAMS_H

#include <stddef.h>

#include "memory.h"

typedef struct msi_params {
    const char **options_paths;
    size_t options_path_count;
    const char *options_file; /* NULL: NAME.options for each NAME.proto */
    const char **settings;
    size_t setting_count;
} msi_params;

/* Takes a parameter apart, which may be NULL. Returns NULL, or what is wrong with it. */
const char *msi_params_parse(msi_arena *arena, const char *text, msi_params *params);

#endif
