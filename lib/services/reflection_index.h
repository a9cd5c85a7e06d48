/* SPDX-License-Identifier: MIT */
/*
 * What reflection answers from: the names of all services and the files that describe them, with their imports. Made when the server starts,
 * then constant.
 */
#ifndef MSI_SERVICES_REFLECTION_INDEX_H
#define MSI_SERVICES_REFLECTION_INDEX_H

#include "services/internal.h"
#include "services/writer.h"

/* A file. All texts and bytes are the schema's. */
typedef struct msi_reflected_file {
    const char *name;
    const void *descriptor; /* a serialized FileDescriptorProto */
    size_t size;
} msi_reflected_file;

typedef struct msi_reflection_index {
    const msgsrv_schema *schema;
    msi_reflected_file *files; /* by name */
    size_t file_count;
    size_t file_room;
    const char **services; /* by name */
    size_t service_count;
} msi_reflection_index;

msgsrv_status msi_reflection_index_fill(msi_reflection_index *index, const msgsrv_server *server,
                                        const msgsrv_schema *schema, msgsrv_error *error);
void msi_reflection_index_release(msi_reflection_index *index);

/* A file by its name, or by a symbol that it declares (a leading dot is ignored); NULL when it is not known. */
const msi_reflected_file *msi_reflection_file(const msi_reflection_index *index, const char *name);
const msi_reflected_file *msi_reflection_file_of(const msi_reflection_index *index, const char *symbol);

/*
 * Appends the fields of a FileDescriptorResponse: the file, and all that it imports as far as `sent` (one bool for each file) does not have
 * them. Marks what was appended.
 */
void msi_reflection_write_files(const msi_reflection_index *index, const msi_reflected_file *file, bool *sent,
                                msi_writer *to);

#endif
