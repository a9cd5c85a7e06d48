/* SPDX-License-Identifier: MIT */
/*
 * nanopb's options: one of them, lists of them as text (.options files, -s) and as bytes (extension 1010 of
 * protobuf's own options), what they add up to, and which of them generated code cannot live with.
 */
#ifndef MSGSRV_GEN_NANOPB_OPTION_H
#define MSGSRV_GEN_NANOPB_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "descriptor.h"
#include "memory.h"

/* nanopb's FieldType. */
enum { MSI_FT_DEFAULT = 0, MSI_FT_CALLBACK = 1, MSI_FT_STATIC = 2, MSI_FT_IGNORE = 3, MSI_FT_POINTER = 4 };

typedef struct msi_option {
    const char *name;  /* as in nanopb.proto */
    const char *value; /* a string's text; a number, also for enums and bools that are known here */
    int number;        /* the field's number in nanopb.proto; 0 when it is none that matters here */
} msi_option;

typedef struct msi_option_list {
    msi_option *options;
    size_t count;
} msi_option_list;

/* What matters of all the options that apply to one element. */
typedef struct msi_options {
    int type; /* MSI_FT_... */
    bool has_max_count;
    bool default_has;              /* it is there by default */
    const char *callback_datatype; /* NULL: nanopb's default */
} msi_options;

/* Takes text apart: `name:value name:value`. False when it is not of this form. */
bool msi_options_of_text(msi_arena *arena, const char *text, msi_option_list *list);

/*
 * Finds nanopb's extension in the bytes of protobuf's options, which may be NULL. False when they do not
 * parse.
 */
bool msi_options_of_bytes(msi_arena *arena, const pb_bytes_array_t *bytes, msi_option_list *list);

/* Applies a list on top of what is there. */
void msi_options_apply(msi_options *options, const msi_option_list *list);

/* Why generated code cannot live with an option; NULL when it can. */
const char *msi_option_objection(const msi_option *option);

#endif
