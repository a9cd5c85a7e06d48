/* SPDX-License-Identifier: MIT */
/*
 * Templates: text in which `$name$` stands for a value, so that the emitters read like what they emit.
 */
#ifndef MSGSRV_GEN_TEMPLATE_H
#define MSGSRV_GEN_TEMPLATE_H

#include "buffer.h"

/* One value; an array of them ends with a NULL name. */
typedef struct msi_value {
    const char *name;
    const char *text;
} msi_value;

/* Appends the template. Its names are the program's own, so an unknown one ends the program. */
void msi_template(msi_buffer *buffer, const msi_value *values, const char *text);

#endif
