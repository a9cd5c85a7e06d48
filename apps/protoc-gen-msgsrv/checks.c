/* SPDX-License-Identifier: MIT */
/*
 * Checks of services, methods and fields; those of names are in identifiers.c, those of nanopb's options in
 * options_check.c.
 */
#include <string.h>

#include "checks.h"
#include "identifiers.h"
#include "names.h"
#include "options_check.h"

static void check_method(const msi_file *file, size_t service, size_t index, msi_errors *errors)
{
    const msi_method_proto *method = &file->proto->service[service].method[index];
    msi_place place = msi_method_place(file, service, index);

    if (strcmp(method->name, "blocking") == 0)
        msi_error(errors, &place,
                  "a method cannot be called \"blocking\": the struct of the service's handlers has "
                  "a member of this name, which says which handlers block");
    if (msi_is_c_word(method->name) || msi_is_cxx_word(method->name))
        msi_error(errors, &place,
                  "a method cannot be called \"%s\": it names a member of a C struct, and is a word of %s",
                  method->name, msi_is_c_word(method->name) ? "C" : "C++");
}

static void check_field(const msi_message *message, size_t index, msi_errors *errors)
{
    const msi_field_proto *field = &message->proto->field[index];
    msi_place place = msi_place_in(&message->place, MSI_MESSAGE_FIELD, (int32_t)index);

    if (field->type == MSI_TYPE_GROUP)
        msi_error(errors, &place, "the field \"%s\" is a group, which nanopb does not support; make it a message",
                  field->name);
    if (msi_is_c_word(field->name))
        msi_error(errors, &place,
                  "a field cannot be called \"%s\": it names a member of a C struct, and is a word of C", field->name);
}

/* nanopb names a union after its oneof. */
static void check_oneof(const msi_message *message, size_t index, msi_errors *errors)
{
    const char *name = message->proto->oneof_decl[index].name;
    msi_place place = msi_place_in(&message->place, MSI_MESSAGE_ONEOF, (int32_t)index);

    if (name != NULL && msi_is_c_word(name))
        msi_error(errors, &place,
                  "a oneof cannot be called \"%s\": it names a member of a C struct, and is a word of C", name);
}

static void check_file(const msi_file *file, msi_errors *errors)
{
    size_t i, j;

    for (i = 0; i < file->message_count; i++) {
        for (j = 0; j < file->messages[i].proto->field_count; j++)
            check_field(&file->messages[i], j, errors);
        for (j = 0; j < file->messages[i].proto->oneof_decl_count; j++)
            check_oneof(&file->messages[i], j, errors);
    }
    for (i = 0; i < file->proto->service_count; i++)
        for (j = 0; j < file->proto->service[i].method_count; j++)
            check_method(file, i, j, errors);
}

void msi_check(msi_arena *arena, const msi_params *params, msi_model *model, msi_errors *errors)
{
    size_t i;

    for (i = 0; i < model->file_count; i++)
        if (model->files[i].generate)
            check_file(&model->files[i], errors);
    msi_check_identifiers(arena, model, errors);
    msi_check_options(arena, params, model, errors);
}
