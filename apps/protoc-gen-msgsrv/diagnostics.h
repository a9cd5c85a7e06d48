/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with the user's files, each with its file, line and column, as compilers write it:
 *
 *     demo.proto:12:3: error: ...
 */
#ifndef MSGSRV_GEN_DIAGNOSTICS_H
#define MSGSRV_GEN_DIAGNOSTICS_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "descriptor.h"

typedef struct msi_errors {
    msi_buffer text; /* one line each, without the last newline */
    size_t count;
} msi_errors;

/* A place in a .proto file: the file and the path to one of its elements. */
typedef struct msi_place {
    const msi_file_proto *file;
    int32_t path[MSI_MAX_PATH];
    size_t size; /* of path, in numbers; 0: the file itself */
} msi_place;

/* Lines and columns count from 1. */
typedef struct msi_position {
    int line;
    int column;
} msi_position;

void msi_errors_init(msi_errors *errors);
void msi_errors_release(msi_errors *errors);

/* The place of an element inside another one's, e.g. (message, MSI_MESSAGE_FIELD, 3). */
msi_place msi_place_in(const msi_place *parent, int32_t number, int32_t index);

/* The same for an element of which there is only one, e.g. its options. */
msi_place msi_place_of(const msi_place *parent, int32_t number);

/* The exact element's location; NULL when protoc passed none. */
const msi_location_proto *msi_location(const msi_place *place);

/*
 * Where an element begins, or the nearest one around it that protoc tells the position of; 0:0 if there is
 * none.
 */
msi_position msi_position_of(const msi_place *place);

/* Adds an error about an element of a .proto file. */
void msi_error(msi_errors *errors, const msi_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds an error about a line of another file; line 0 is the file as a whole. */
void msi_error_line(msi_errors *errors, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
