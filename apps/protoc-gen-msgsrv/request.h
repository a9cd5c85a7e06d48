/* SPDX-License-Identifier: MIT */
/*
 * The request of protoc: its bytes from standard input, and its decoding. The bytes are not trusted: what
 * the decoder itself would not survive (nesting without end) is refused before it sees it.
 */
#ifndef MSGSRV_GEN_REQUEST_H
#define MSGSRV_GEN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "descriptor.h"

#define MSI_MAX_REQUEST ((size_t)256 * 1024 * 1024)

/* Room for what msi_request_decode() has to say. */
#define MSI_REQUEST_ERROR 256

/*
 * Reads all of a descriptor into memory for free(). NULL on failure, with errno; EFBIG over
 * MSI_MAX_REQUEST.
 */
unsigned char *msi_read_all(int descriptor, size_t *size);

/*
 * Decodes a request, to be released with pb_release(); false with a text in `error`, and nothing to
 * release.
 */
bool msi_request_decode(const unsigned char *data, size_t size, msi_request_proto *request,
                        char error[MSI_REQUEST_ERROR]);

#endif
