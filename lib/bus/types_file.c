/* SPDX-License-Identifier: MIT */
/* The FileDescriptorSet of generated code: what a publisher tells a bus of its types. */
#include <stdlib.h>

#include "bus/types.h"

typedef struct put_files {
    const char **names; /* of those that were put, or will be once their imports are */
    size_t count;
    size_t room;
} put_files;

static bool remember(put_files *done, const char *name, bool *again)
{
    for (size_t i = 0; i < done->count && !*again; i++)
        *again = strcmp(done->names[i], name) == 0;
    if (*again)
        return true;
    if (done->count == done->room) {
        size_t room = done->room ? done->room * 2 : 16;
        const char **names = realloc((void *)done->names, room * sizeof *names);
        if (!names)
            return false;
        done->names = names;
        done->room = room;
    }
    done->names[done->count++] = name;
    return true;
}

/* Imports first, as protoc has it and some readers need it. */
/* NOLINTNEXTLINE(misc-no-recursion): each file once */
static bool put_file(msi_buf *out, put_files *done, const msgsrv_proto_file *file)
{
    bool again = false;
    if (!remember(done, file->name, &again) || again)
        return again;
    for (const msgsrv_proto_file *const *at = file->imports; at && *at; at++) {
        if (!put_file(out, done, *at))
            return false;
    }
    uint8_t head[16];
    uint8_t *end = msi_varint_put(head, MSI_SET_FILE << 3 | MSI_WIRE_BYTES);
    end = msi_varint_put(end, file->descriptor_size);
    return msi_buf_append(out, head, (size_t)(end - head)) &&
           msi_buf_append(out, file->descriptor, file->descriptor_size);
}

bool msi_types_put_file(msi_buf *out, const msgsrv_proto_file *file)
{
    put_files done = {NULL, 0, 0};
    size_t before = out->len;
    bool put = put_file(out, &done, file);
    if (!put)
        out->len = before;
    free((void *)done.names);
    return put;
}
