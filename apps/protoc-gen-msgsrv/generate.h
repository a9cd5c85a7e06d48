/* SPDX-License-Identifier: MIT */
/*
 * The whole way from the bytes of a request to what is to be written; main() and the tests call it.
 */
#ifndef MSGSRV_GEN_GENERATE_H
#define MSGSRV_GEN_GENERATE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "request.h"

/*
 * Handles one request. True: `response` holds an encoded CodeGeneratorResponse, which may tell of errors in
 * the user's files. False: the request itself is no good, and `error` says why.
 *
 * The response is the caller's to release in both cases.
 */
bool msi_generate(const unsigned char *data, size_t size, msi_buffer *response, char error[MSI_REQUEST_ERROR]);

#endif
