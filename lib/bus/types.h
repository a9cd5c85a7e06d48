/* SPDX-License-Identifier: MIT */
/*
 * The message types that a bus knows by their descriptors: what publishers told it, so that every later tool can decode their events.
 * A type that comes again with another descriptor must be compatible: then the wider one holds. With the bus's lock.
 */
#ifndef MSI_BUS_TYPES_H
#define MSI_BUS_TYPES_H

#include <msgsrv/service.h>

#include "base/buf.h"
#include "wire/varint.h"

typedef struct msi_types msi_types;

msi_types *msi_types_new(uint32_t max_types); /* NULL without memory */
void msi_types_free(msi_types *types);

/*
 * Learns a type. `set` is a serialized google.protobuf.FileDescriptorSet from a peer: the file of the type and what it imports.
 * OK: it is new, the same, or compatible with what is known (no field number has another wire type, at any depth, nor another name with a different
 * label or message type). INVALID_ARGUMENT: not such a set, or the type is not in it. FAILED_PRECONDITION: not compatible; the text names the field,
 * its number, and both kinds. RESOURCE_EXHAUSTED: over max_types, 4 MiB a set, 64 MiB in all, or without memory. Nothing changes on failure.
 */
msgsrv_status msi_types_learn(msi_types *types, msi_view type, msi_view set, msgsrv_error *error);

/* Whether it is known, and its FileDescriptorSet: lives until the type is learned again or the registry is freed. */
bool msi_types_known(const msi_types *types, msi_view type);
msi_view msi_types_describe(const msi_types *types, msi_view type);

/* Appends the FileDescriptorSet of a generated file and all that it imports, each once. false without memory. */
bool msi_types_put_file(msi_buf *out, const msgsrv_proto_file *file);

#endif
