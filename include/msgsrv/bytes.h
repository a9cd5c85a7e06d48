/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The type of a `bytes` field that may be longer than nanopb's 65,535 and that is not copied.
 *
 * Chosen for a field by one line in the .options file beside the .proto:
 *
 *     package.Message.field  type:FT_CALLBACK callback_datatype:"msgsrv_bytes"
 */
#ifndef MSGSRV_BYTES_H
#define MSGSRV_BYTES_H

#include <stddef.h>

#include <msgsrv/export.h>

/**
 * A view of bytes.
 *
 * - In a request: a view into the frame (or into a copy that the library made, when the call was held or
 *   went to the worker pool). Valid as long as the request.
 * - In a message to be sent: any memory of the caller's that lives until the function that encodes it returns;
 *   `owned` stays NULL. Encoded when `data` is not NULL or `size` is not 0.
 * - In a client's reply: a copy, which the reply's generated `_release` frees.
 */
typedef struct msgsrv_bytes {
    const void *data; /**< NULL when the field was absent or empty. */
    size_t size;      /**< In bytes. */
    void *owned;      /**< The library's: memory that release frees. Programs leave it NULL. */
} msgsrv_bytes;

#endif
