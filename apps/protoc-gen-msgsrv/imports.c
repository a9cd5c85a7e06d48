/* SPDX-License-Identifier: MIT */
/*
 * Imports; see imports.h.
 */
#include <string.h>

#include "imports.h"

/* Options of other files; nanopb generates nothing that could be included for them either. */
static const char *const never_included[] = {"nanopb.proto", "google/protobuf/descriptor.proto"};

static bool is_public(const msi_file *file, size_t index)
{
    size_t i;

    for (i = 0; i < file->proto->public_dependency_count; i++)
        if (file->proto->public_dependency[i] == (int32_t)index)
            return true;
    return false;
}

/*
 * Whether the types of `wanted` are seen by who imports `file`. Files come after what they import, so this
 * ends.
 */
static bool exports(const msi_model *model, const msi_file *file, const msi_file *wanted)
{
    size_t i;

    if (file == wanted)
        return true;
    for (i = 0; i < file->proto->dependency_count; i++) {
        const msi_file *next = is_public(file, i) ? msi_model_file(model, file->proto->dependency[i]) : NULL;

        if (next != NULL && next < file && exports(model, next, wanted))
            return true;
    }
    return false;
}

static bool uses_type(const msi_model *model, const msi_file *imported, const char *type_name)
{
    const msi_message *message = msi_model_find(model, type_name);

    return message != NULL && exports(model, imported, message->file);
}

static bool uses(const msi_model *model, const msi_file *file, const msi_file *imported)
{
    size_t i, j;

    for (i = 0; i < file->message_count; i++) {
        const msi_message_proto *message = file->messages[i].proto;

        for (j = 0; j < message->field_count; j++)
            if (message->field[j].type == MSI_TYPE_MESSAGE && uses_type(model, imported, message->field[j].type_name))
                return true;
    }
    for (i = 0; i < file->proto->service_count; i++) {
        const msi_service_proto *service = &file->proto->service[i];

        for (j = 0; j < service->method_count; j++)
            if (uses_type(model, imported, service->method[j].input_type) ||
                uses_type(model, imported, service->method[j].output_type))
                return true;
    }
    return false;
}

const msi_file *msi_import_needed(const msi_model *model, const msi_file *file, size_t index)
{
    const msi_file *imported = msi_model_file(model, file->proto->dependency[index]);
    size_t i;

    for (i = 0; imported != NULL && i < sizeof never_included / sizeof *never_included; i++)
        if (strcmp(imported->proto->name, never_included[i]) == 0)
            return NULL;
    return imported != NULL && (is_public(file, index) || uses(model, file, imported)) ? imported : NULL;
}
