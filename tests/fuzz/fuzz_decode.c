/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of message decoding: the first byte chooses a type, the rest is its encoding. What decodes must
 * encode, and what was encoded must decode and encode to the same bytes; nothing may leak, which the
 * sanitizer sees.
 */
#include <string.h>

#include "fuzz.h"
#include "messages.msgsrv.h"
#include "shapes.msgsrv.h"

enum { ROOM = 4096 };

static const msgsrv_message_type *const types[] = {
    &shapes_Everything_type,      &shapes_Inner_type,           &shapes_Blob_type,
    &messages_EchoMessage_type,   &messages_AddRequest_type,    &messages_AddResponse_type,
    &messages_ClientMessage_type, &messages_ServerMessage_type,
};

/*
 * Decodes into `message`, which must then be released; false when it does not decode and nothing was touched.
 */
static bool decode(const msgsrv_message_type *type, const void *data, size_t size, void *message)
{
    static const unsigned char zeros[ROOM];
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_status status;

    FUZZ_CHECK(type->struct_size <= ROOM);
    memset(message, 0, type->struct_size);
    status = msgsrv_message_decode(type, data, size, message, &error);
    if (status == MSGSRV_OK)
        return true;
    FUZZ_CHECK(status == MSGSRV_INVALID_ARGUMENT || status == MSGSRV_RESOURCE_EXHAUSTED);
    FUZZ_CHECK(error.code == status && error.text[0] && memchr(error.text, '\0', sizeof(error.text)));
    FUZZ_CHECK(!memcmp(message, zeros, type->struct_size));
    return false;
}

static void encode(const msgsrv_message_type *type, const void *message, void **data, size_t *size)
{
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_status status = msgsrv_message_encode(type, message, data, size, &error);

    if (status != MSGSRV_OK)
        fprintf(stderr, "%s: %s: %s\n", type->name, msgsrv_status_name(status), error.text);
    FUZZ_CHECK(status == MSGSRV_OK && *data != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static max_align_t room[ROOM / sizeof(max_align_t)];
    const msgsrv_message_type *type;
    void *first, *second;
    size_t first_size, second_size;

    if (!size)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(*types))];
    if (!decode(type, data + 1, size - 1, room))
        return 0;
    encode(type, room, &first, &first_size);
    msgsrv_message_release(type, room);
    msgsrv_message_release(type, room);
    FUZZ_CHECK(decode(type, first, first_size, room));
    encode(type, room, &second, &second_size);
    msgsrv_message_release(type, room);
    FUZZ_CHECK(first_size == second_size && !memcmp(first, second, first_size));
    free(first);
    free(second);
    return 0;
}
