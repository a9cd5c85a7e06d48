/* SPDX-License-Identifier: MIT */
/*
 * Which of a file's imports its header needs.
 */
#ifndef MSGSRV_GEN_IMPORTS_H
#define MSGSRV_GEN_IMPORTS_H

#include "model.h"

/*
 * One import of a file, when its NAME.msgsrv.h is to be included: when it is public, or when a field or
 * method uses a message of it or of what it imports publicly. Otherwise NULL: an import for its options or
 * enums only has no generated code that matters here, and often none at all (nanopb.proto,
 * google/protobuf/descriptor.proto).
 */
const msi_file *msi_import_needed(const msi_model *model, const msi_file *file, size_t index);

#endif
