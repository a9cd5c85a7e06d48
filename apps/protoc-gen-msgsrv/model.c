/* SPDX-License-Identifier: MIT */
/*
 * Building the model; see model.h.
 */
#include <stdlib.h>
#include <string.h>

#include <pb_decode.h>

#include "model.h"
#include "names.h"

char *msi_full_name(msi_arena *arena, const msi_file *file, const char *name)
{
    const char *package = file->proto->package;

    return package != NULL && *package != '\0' ? msi_arena_printf(arena, "%s.%s", package, name)
                                               : msi_arena_text(arena, name, strlen(name));
}

msi_place msi_method_place(const msi_file *file, size_t service, size_t method)
{
    msi_place place = msi_place_in(&file->place, MSI_FILE_SERVICE, (int32_t)service);

    return msi_place_in(&place, MSI_SERVICE_METHOD, (int32_t)method);
}

static int compare_names(const void *a, const void *b)
{
    const msi_message *const *left = a;
    const msi_message *const *right = b;

    return strcmp((*left)->full_name, (*right)->full_name);
}

static int compare_to_name(const void *name, const void *message)
{
    const msi_message *const *right = message;

    return strcmp(name, (*right)->full_name);
}

const msi_message *msi_model_find(const msi_model *model, const char *type_name)
{
    msi_message *const *found;

    if (type_name == NULL || *type_name != '.')
        return NULL;
    found = bsearch(type_name + 1, model->by_name, model->message_count, sizeof *model->by_name, compare_to_name);
    return found != NULL ? *found : NULL;
}

const msi_file *msi_model_file(const msi_model *model, const char *name)
{
    size_t i;

    for (i = 0; name != NULL && i < model->file_count; i++)
        if (strcmp(model->files[i].proto->name, name) == 0)
            return &model->files[i];
    return NULL;
}

static size_t count_messages(const msi_message_proto *protos, size_t count)
{
    size_t total = count;
    size_t i;

    for (i = 0; i < count; i++)
        total += count_messages(protos[i].nested_type, protos[i].nested_type_count);
    return total;
}

/* The one of protobuf's MessageOptions that is needed; bytes that do not parse are reported where nanopb's are looked for. */
static bool is_map_entry(const pb_bytes_array_t *options)
{
    bool found = false;
    pb_istream_t stream;
    pb_wire_type_t type;
    uint32_t number;
    bool end;

    if (options == NULL)
        return false;
    stream = pb_istream_from_buffer(options->bytes, options->size);
    while (pb_decode_tag(&stream, &type, &number, &end)) {
        uint64_t value = 0;

        if (number == MSI_OPTION_MAP_ENTRY && type == PB_WT_VARINT) {
            if (!pb_decode_varint(&stream, &value))
                return found;
            found = value != 0;
        } else if (!pb_skip_field(&stream, type)) {
            return found;
        }
    }
    return found;
}

static void add_messages(msi_arena *arena, msi_file *file, const char *prefix, const msi_place *parent,
                         const msi_message_proto *protos, size_t count, msi_errors *errors)
{
    int32_t number = parent->size == 0 ? MSI_FILE_MESSAGE : MSI_MESSAGE_NESTED;
    size_t i;

    for (i = 0; i < count; i++) {
        msi_message *message = &file->messages[file->message_count++];

        message->file = file;
        message->proto = &protos[i];
        message->map_entry = is_map_entry(protos[i].options);
        message->place = msi_place_in(parent, number, (int32_t)i);
        if (!msi_is_identifier(protos[i].name))
            msi_error(errors, &message->place, "a message without a usable name");
        message->full_name = msi_arena_printf(arena, "%s%s", prefix, protos[i].name != NULL ? protos[i].name : "?");
        message->c_name = msi_c_name(arena, message->full_name);
        add_messages(arena, file, msi_arena_printf(arena, "%s.", message->full_name), &message->place,
                     protos[i].nested_type, protos[i].nested_type_count, errors);
    }
}

static void add_file(msi_arena *arena, msi_model *model, const msi_file_proto *proto, msi_errors *errors)
{
    msi_file *file = &model->files[model->file_count++];
    bool has_package = proto->package != NULL && *proto->package != '\0';

    file->proto = proto;
    file->place.file = proto;
    if (!msi_is_file_name(proto->name)) {
        msi_error(errors, &file->place, "a file name that is not a plain relative path");
        return;
    }
    if (has_package && !msi_is_dotted_name(proto->package)) {
        msi_error(errors, &file->place, "\"%s\" is not a package name", proto->package);
        return;
    }
    file->stem = msi_file_stem(arena, proto->name);
    file->messages =
        msi_arena_array(arena, count_messages(proto->message_type, proto->message_type_count), sizeof *file->messages);
    add_messages(arena, file, has_package ? msi_arena_printf(arena, "%s.", proto->package) : "", &file->place,
                 proto->message_type, proto->message_type_count, errors);
    model->message_count += file->message_count;
}

static void index_messages(msi_arena *arena, msi_model *model, msi_errors *errors)
{
    size_t next = 0;
    size_t i, j;

    model->by_name = msi_arena_array(arena, model->message_count, sizeof *model->by_name);
    for (i = 0; i < model->file_count; i++)
        for (j = 0; j < model->files[i].message_count; j++)
            model->by_name[next++] = &model->files[i].messages[j];
    qsort(model->by_name, model->message_count, sizeof *model->by_name, compare_names);
    for (i = 1; i < model->message_count; i++)
        if (strcmp(model->by_name[i - 1]->full_name, model->by_name[i]->full_name) == 0)
            msi_error(errors, &model->by_name[i]->place, "the message \"%s\" is there twice",
                      model->by_name[i]->full_name);
}

static void mark_generated(msi_model *model, const msi_request_proto *request, msi_errors *errors)
{
    size_t i;

    for (i = 0; i < request->file_to_generate_count; i++) {
        const char *name = request->file_to_generate[i];
        const msi_file *file = msi_model_file(model, name);

        if (file != NULL)
            model->files[file - model->files].generate = true;
        else
            msi_error_line(errors, name != NULL ? name : "?", 0, "the request does not contain this file");
    }
}

static void check_fields(const msi_model *model, const msi_message *message, msi_errors *errors)
{
    size_t i;

    for (i = 0; i < message->proto->field_count; i++) {
        const msi_field_proto *field = &message->proto->field[i];
        msi_place place = msi_place_in(&message->place, MSI_MESSAGE_FIELD, (int32_t)i);

        if (!msi_is_identifier(field->name))
            msi_error(errors, &place, "a field without a usable name in \"%s\"", message->full_name);
        else if (!field->has_number || field->number <= 0 || !field->has_type)
            msi_error(errors, &place, "the field \"%s\" has no number or no type", field->name);
        else if (field->type == MSI_TYPE_MESSAGE && msi_model_find(model, field->type_name) == NULL)
            msi_error(errors, &place, "the type of the field \"%s\" is not in the request", field->name);
    }
}

static void check_methods(const msi_model *model, const msi_file *file, size_t index, msi_errors *errors)
{
    const msi_service_proto *service = &file->proto->service[index];
    msi_place service_place = msi_place_in(&file->place, MSI_FILE_SERVICE, (int32_t)index);
    size_t i;

    if (!msi_is_identifier(service->name))
        msi_error(errors, &service_place, "a service without a usable name");
    for (i = 0; i < service->method_count; i++) {
        const msi_method_proto *method = &service->method[i];
        msi_place place = msi_method_place(file, index, i);

        if (!msi_is_identifier(method->name))
            msi_error(errors, &place, "a method without a usable name");
        else if (msi_model_find(model, method->input_type) == NULL || msi_model_find(model, method->output_type) == NULL)
            msi_error(errors, &place, "a type of the method \"%s\" is not in the request", method->name);
    }
}

/* Whether a message has a string of its own or, as far as is known by now, in one of its fields. */
static bool contains_strings(const msi_model *model, const msi_message *message)
{
    size_t i;

    for (i = 0; i < message->proto->field_count; i++) {
        const msi_field_proto *field = &message->proto->field[i];

        if (field->type == MSI_TYPE_STRING ||
            (field->type == MSI_TYPE_MESSAGE && msi_model_find(model, field->type_name)->has_strings))
            return true;
    }
    return false;
}

/* Until nothing changes, so that messages may contain each other in circles. */
static void find_strings(msi_model *model)
{
    bool changed = true;
    size_t i;

    while (changed) {
        changed = false;
        for (i = 0; i < model->message_count; i++) {
            msi_message *message = model->by_name[i];

            if (!message->has_strings && contains_strings(model, message))
                message->has_strings = changed = true;
        }
    }
}

void msi_model_build(msi_arena *arena, const msi_request_proto *request, msi_model *model, msi_errors *errors)
{
    size_t i, j;

    memset(model, 0, sizeof *model);
    model->files = msi_arena_array(arena, request->proto_file_count, sizeof *model->files);
    for (i = 0; i < request->proto_file_count; i++)
        add_file(arena, model, &request->proto_file[i], errors);
    if (errors->count != 0)
        return;
    index_messages(arena, model, errors);
    mark_generated(model, request, errors);
    for (i = 0; i < model->file_count; i++) {
        for (j = 0; j < model->files[i].message_count; j++)
            check_fields(model, &model->files[i].messages[j], errors);
        for (j = 0; j < model->files[i].proto->service_count; j++)
            check_methods(model, &model->files[i], j, errors);
    }
    if (errors->count == 0)
        find_strings(model);
}
