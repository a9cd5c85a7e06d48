/* SPDX-License-Identifier: MIT */
/*
 * Writes protobuf fields by hand: for messages whose fields are longer than nanopb's 65,535 bytes. After a failed allocation it only remembers
 * that, so that it has to be asked once, at the end.
 */
#ifndef MSI_SERVICES_WRITER_H
#define MSI_SERVICES_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct msi_writer {
    uint8_t *data; /* freed with free() */
    size_t size;
    size_t room;
    bool no_memory;
} msi_writer;

/* A string, bytes or message field, also when it is empty. */
void msi_write_bytes(msi_writer *writer, uint32_t field, const void *data, size_t size);

/* The beginning of one whose `size` bytes follow, by msi_write_raw(). */
void msi_write_head(msi_writer *writer, uint32_t field, size_t size);
void msi_write_raw(msi_writer *writer, const void *data, size_t size);

/* Room for so many bytes behind what there is, for the caller to write and to count in `size`. NULL without memory. */
uint8_t *msi_write_room(msi_writer *writer, size_t size);

/* A varint field. */
void msi_write_number(msi_writer *writer, uint32_t field, uint64_t value);

/* Frees what was written. */
void msi_writer_release(msi_writer *writer);

#endif
