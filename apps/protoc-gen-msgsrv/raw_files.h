/* SPDX-License-Identifier: MIT */
/*
 * The files of a request as bytes, for what is embedded: options and fields that this program does not know must survive, so they are
 * taken from the request as they are, and only what is not wanted is left out.
 */
#ifndef MSGSRV_GEN_RAW_FILES_H
#define MSGSRV_GEN_RAW_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

/*
 * Appends the FileDescriptorProto with an index (from 0) of an encoded CodeGeneratorRequest. Of its source_code_info only the
 * places that have comments are kept, without their spans, and nothing without `comments`. False when there is none, or what is
 * no message: nanopb has decoded the request before, so that cannot be.
 */
bool msi_raw_file(const unsigned char *request, size_t size, size_t index, bool comments, msi_buffer *out);

#endif
