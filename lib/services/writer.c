/* SPDX-License-Identifier: MIT */
/* Protobuf fields by hand, into memory that grows. */
#include "services/writer.h"

#include <stdlib.h>
#include <string.h>

#define WIRE_VARINT 0u
#define WIRE_BYTES 2u
#define ROOM_MIN 256u

static bool reserve(msi_writer *writer, size_t more)
{
    if (writer->no_memory)
        return false;
    if (more <= writer->room - writer->size)
        return true;
    size_t room = writer->room ? writer->room : ROOM_MIN;
    while (room - writer->size < more)
        room *= 2;
    uint8_t *grown = realloc(writer->data, room);
    if (!grown) {
        writer->no_memory = true;
        return false;
    }
    writer->data = grown;
    writer->room = room;
    return true;
}

void msi_write_raw(msi_writer *writer, const void *data, size_t size)
{
    if (!size || !reserve(writer, size))
        return;
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

uint8_t *msi_write_room(msi_writer *writer, size_t size)
{
    return reserve(writer, size) ? writer->data + writer->size : NULL;
}

static void write_varint(msi_writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    for (; value > 0x7f; value >>= 7)
        bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    msi_write_raw(writer, bytes, count);
}

void msi_write_head(msi_writer *writer, uint32_t field, size_t size)
{
    write_varint(writer, (uint64_t)field << 3 | WIRE_BYTES);
    write_varint(writer, size);
}

void msi_write_bytes(msi_writer *writer, uint32_t field, const void *data, size_t size)
{
    msi_write_head(writer, field, size);
    msi_write_raw(writer, data, size);
}

void msi_write_number(msi_writer *writer, uint32_t field, uint64_t value)
{
    write_varint(writer, (uint64_t)field << 3 | WIRE_VARINT);
    write_varint(writer, value);
}

void msi_writer_release(msi_writer *writer)
{
    free(writer->data);
    *writer = (msi_writer){0};
}
