/* SPDX-License-Identifier: MIT */
/* The files and services of a server, sorted by name. */
#include "services/reflection_index.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_FILE_DESCRIPTOR_PROTO 1u /* of FileDescriptorResponse */

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const msi_reflected_file *)a)->name, ((const msi_reflected_file *)b)->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- collecting; the files are not sorted yet ---- */

static bool has_file(const msi_reflection_index *index, const char *name)
{
    for (size_t i = 0; i < index->file_count; i++) {
        if (strcmp(index->files[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Adds a file that the schema has, once; false without memory. */
static bool add_file(msi_reflection_index *index, const char *name)
{
    if (!msgsrv_schema_has_file(index->schema, name) || has_file(index, name))
        return true;
    if (index->file_count == index->file_room) {
        size_t room = index->file_room ? 2 * index->file_room : 16;
        msi_reflected_file *grown = realloc(index->files, room * sizeof *grown);
        if (!grown)
            return false;
        index->files = grown;
        index->file_room = room;
    }
    msi_reflected_file *file = &index->files[index->file_count++];
    file->name = name;
    file->descriptor = msgsrv_schema_file(index->schema, name, &file->size);
    return true;
}

/* Adds what the files import, also those that are added meanwhile. */
static bool add_imports(msi_reflection_index *index)
{
    for (size_t i = 0; i < index->file_count; i++) {
        const char *import;
        for (size_t j = 0; (import = msgsrv_schema_import(index->schema, index->files[i].name, j)) != NULL; j++) {
            if (!add_file(index, import))
                return false;
        }
    }
    return true;
}

static bool add_services(msi_reflection_index *index, const msgsrv_server *server)
{
    size_t count = 0;
    while (msgsrv_server_service(server, count))
        count++;
    index->services = calloc(count ? count : 1, sizeof *index->services);
    if (!index->services)
        return false;
    for (size_t i = 0; i < count; i++) {
        const msgsrv_service *service = msgsrv_server_service(server, i);
        index->services[index->service_count++] = service->name;
        if (service->file && !add_file(index, service->file->name))
            return false;
    }
    return true;
}

msgsrv_status msi_reflection_index_fill(msi_reflection_index *index, const msgsrv_server *server,
                                        const msgsrv_schema *schema, msgsrv_error *error)
{
    *index = (msi_reflection_index){.schema = schema};
    if (!add_services(index, server) || !add_imports(index)) {
        msi_reflection_index_release(index);
        return msi_services_no_memory(error);
    }
    if (index->file_count)
        qsort(index->files, index->file_count, sizeof *index->files, compare_files);
    qsort(index->services, index->service_count, sizeof *index->services, compare_names);
    return MSGSRV_OK;
}

void msi_reflection_index_release(msi_reflection_index *index)
{
    free(index->files);
    free(index->services);
    *index = (msi_reflection_index){0};
}

/* ---- looking up ---- */

const msi_reflected_file *msi_reflection_file(const msi_reflection_index *index, const char *name)
{
    const msi_reflected_file key = {.name = name};
    if (!index->file_count)
        return NULL;
    return bsearch(&key, index->files, index->file_count, sizeof key, compare_files);
}

const msi_reflected_file *msi_reflection_file_of(const msi_reflection_index *index, const char *symbol)
{
    size_t size;
    if (*symbol == '.')
        symbol++;
    if (msi_reflection_file(index, symbol)) /* the schema would know it by that name, too */
        return NULL;
    const void *descriptor = msgsrv_schema_file(index->schema, symbol, &size);
    for (size_t i = 0; descriptor && i < index->file_count; i++) {
        if (index->files[i].descriptor == descriptor)
            return &index->files[i];
    }
    return NULL;
}

/* Depth first; no import chain is longer than there are files, and each is taken once. */
static void write_imports(const msi_reflection_index *index, const msi_reflected_file *file, bool *sent, msi_writer *to)
{
    const char *name;
    for (size_t i = 0; (name = msgsrv_schema_import(index->schema, file->name, i)) != NULL; i++) {
        const msi_reflected_file *import = msi_reflection_file(index, name);
        if (import && !sent[import - index->files])
            msi_reflection_write_files(index, import, sent, to);
    }
}

void msi_reflection_write_files(const msi_reflection_index *index, const msi_reflected_file *file, bool *sent,
                                msi_writer *to)
{
    sent[file - index->files] = true;
    msi_write_bytes(to, FIELD_FILE_DESCRIPTOR_PROTO, file->descriptor, file->size);
    write_imports(index, file, sent, to);
}
