/* SPDX-License-Identifier: MIT */
/*
 * Reading and decoding what protoc sends; see request.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pb_decode.h>

#include "memory.h"
#include "request.h"

#define FIRST_BYTES ((size_t)64 * 1024)

unsigned char *msi_read_all(int descriptor, size_t *size)
{
    size_t capacity = FIRST_BYTES;
    unsigned char *data = msi_realloc(NULL, capacity);
    ssize_t got;

    *size = 0;
    while ((got = read(descriptor, data + *size, capacity - *size)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            *size += (size_t)got;
        if (got < 0 || *size > MSI_MAX_REQUEST) {
            int reason = got < 0 ? errno : EFBIG;

            free(data);
            errno = reason;
            return NULL;
        }
        if (*size == capacity)
            data = msi_realloc(data, capacity *= 2);
    }
    return data;
}

/*
 * Walks over the nested messages only and measures how deep they are. What does not parse is left to the
 * decoder, which says more about it.
 */
static bool nesting_fits(pb_istream_t *stream, uint32_t nested_number, int depth)
{
    pb_wire_type_t type;
    uint32_t number;
    bool end;

    if (depth > MSI_MAX_NESTING)
        return false;
    while (pb_decode_tag(stream, &type, &number, &end)) {
        pb_istream_t inner;

        if (type != PB_WT_STRING || number != nested_number) {
            if (!pb_skip_field(stream, type))
                return true;
            continue;
        }
        if (!pb_make_string_substream(stream, &inner))
            return true;
        if (!nesting_fits(&inner, depth == 0 ? MSI_FILE_MESSAGE : MSI_MESSAGE_NESTED, depth + 1))
            return false;
        if (!pb_close_string_substream(stream, &inner))
            return true;
    }
    return true;
}

bool msi_request_decode(const unsigned char *data, size_t size, msi_request_proto *request, char error[MSI_REQUEST_ERROR])
{
    pb_istream_t stream = pb_istream_from_buffer(data, size);

    if (!nesting_fits(&stream, MSI_REQUEST_FILE, 0)) {
        snprintf(error, MSI_REQUEST_ERROR, "the request has messages nested more than %d deep", MSI_MAX_NESTING);
        return false;
    }
    stream = pb_istream_from_buffer(data, size);
    memset(request, 0, sizeof *request);
    if (pb_decode(&stream, google_protobuf_compiler_CodeGeneratorRequest_fields, request))
        return true;
    snprintf(error, MSI_REQUEST_ERROR,
             "the request on standard input (%zu bytes) is not a CodeGeneratorRequest, or has more than 65,535 of "
             "something (messages, fields, locations): %s",
             size, PB_GET_ERROR(&stream));
    return false;
}
