/* SPDX-License-Identifier: MIT */
/*
 * The message types that a bus knows by their descriptors: what publishers told it, so that every later tool can decode their events.
 * A type that comes again with another descriptor must be compatible: then the wider one holds. One thread at a time: the core has a lock for it.
 */
#ifndef MSI_BUS_TYPES_H
#define MSI_BUS_TYPES_H

#include <msgsrv/service.h>

#include "base/buf.h"
#include "wire/varint.h"

#define MSI_SET_FILE 1u /* the field number of FileDescriptorSet.file */

typedef struct msi_types msi_types;

msi_types *msi_types_new(uint32_t max_types); /* NULL without memory */
void msi_types_free(msi_types *types);

/*
 * Learns a type. `set` is a serialized google.protobuf.FileDescriptorSet from a peer: the file of the type and what it imports.
 * OK: it is new, the same, or compatible with what is known. FAILED_PRECONDITION: it is not; the text names the field, its number, and both kinds.
 * INVALID_ARGUMENT: not such a set, or the type is not in it, or something that it is made of. RESOURCE_EXHAUSTED: over max_types, 256 files or 4 MiB
 * a set, 64 MiB in all (a set that several types have counts once), or without memory. Nothing changes on failure.
 *
 * Compatible: each field number that both have, at any depth, has the same wire type with the same meaning (int32 and bool; not int32 and sint32,
 * nor fixed32 and float, nor bytes and a message), is repeated in both or in neither (packed or not), and of a message type of the same name. Names of
 * fields and enums, and the width of integers, may change. The later set holds from then on if it lacks no field and no enum value, else the earlier one.
 */
msgsrv_status msi_types_learn(msi_types *types, msi_view type, msi_view set, msgsrv_error *error);

/* Whether it is known, and its FileDescriptorSet: lives until the type is learned again or the registry is freed. */
bool msi_types_known(const msi_types *types, msi_view type);
msi_view msi_types_describe(const msi_types *types, msi_view type);

/* Appends the FileDescriptorSet of a generated file and all that it imports, each once, imports first. false without memory. */
bool msi_types_put_file(msi_buf *out, const msgsrv_proto_file *file);

#endif
