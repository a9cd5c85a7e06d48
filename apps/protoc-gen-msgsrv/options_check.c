/* SPDX-License-Identifier: MIT */
/*
 * nanopb's options, wherever they are given (-s, .options files, the .proto itself): single ones that
 * generated code cannot live with, and what they add up to for each field. See options_check.h.
 */
#include <string.h>

#include "nanopb_option.h"
#include "options_check.h"
#include "options_file.h"
#include "recursion.h"

/* What a run of checks carries along. */
typedef struct checker {
    msi_arena *arena;
    const msi_params *params;
    const msi_model *model;
    msi_errors *errors;
    const char *more_path; /* where nanopb looks for .options besides */
    msi_options settings;  /* of all -s together */
    msi_options_file file; /* of the .proto that is being checked */
} checker;

static void check_settings(checker *check)
{
    size_t i, j;

    for (i = 0; i < check->params->setting_count; i++) {
        const char *label = msi_arena_printf(check->arena, "-s %s", check->params->settings[i]);
        char *text = msi_arena_text(check->arena, check->params->settings[i], strlen(check->params->settings[i]));
        msi_option_list list;
        char *c;

        /* nanopb takes name=value for name:value. */
        for (c = strchr(text, ':') == NULL ? text : ""; *c != '\0'; c++)
            if (*c == '=')
                *c = ':';
        if (!msi_options_of_text(check->arena, text, &list))
            msi_error_line(check->errors, label, 0, "a setting must be NAME:VALUE");
        for (j = 0; j < list.count; j++)
            if (msi_option_objection(&list.options[j]) != NULL)
                msi_error_line(check->errors, label, 0, "nanopb's option %s is not supported with this value: %s",
                               list.options[j].name, msi_option_objection(&list.options[j]));
        msi_options_apply(&check->settings, &list);
    }
}

static void check_lines(const checker *check)
{
    size_t i, j;

    for (i = 0; i < check->file.line_count; i++) {
        const msi_options_line *line = &check->file.lines[i];

        for (j = 0; j < line->list.count; j++)
            if (msi_option_objection(&line->list.options[j]) != NULL)
                msi_error_line(check->errors, check->file.path, line->number,
                               "nanopb's option %s is not supported with this value: %s", line->list.options[j].name,
                               msi_option_objection(&line->list.options[j]));
    }
}

/* Checks the options inside the .proto of one element, and applies them. */
static void check_extension(const checker *check, const msi_place *element, int32_t options_number,
                            const pb_bytes_array_t *bytes, msi_options *options)
{
    msi_place place = msi_place_of(element, options_number);
    msi_option_list list;
    size_t i;

    if (!msi_options_of_bytes(check->arena, bytes, &list)) {
        msi_error(check->errors, &place, "the options do not decode");
        return;
    }
    for (i = 0; i < list.count; i++) {
        msi_place extension = msi_place_of(&place, MSI_NANOPB_EXTENSION);
        msi_place exact = msi_place_of(&extension, list.options[i].number);

        if (msi_option_objection(&list.options[i]) != NULL)
            msi_error(check->errors, &exact, "nanopb's option %s is not supported with this value: %s",
                      list.options[i].name, msi_option_objection(&list.options[i]));
    }
    msi_options_apply(options, &list);
}

/* A oneof may be left out as a whole, with all its fields. */
static bool is_ignored(const checker *check, const msi_message *message, const msi_field_proto *field,
                       const msi_options *of_message)
{
    msi_options options = *of_message;
    const char *oneof;

    if (!field->has_oneof_index || field->proto3_optional || field->oneof_index < 0 ||
        field->oneof_index >= message->proto->oneof_decl_count)
        return false;
    oneof = message->proto->oneof_decl[field->oneof_index].name;
    msi_options_file_apply(
        &check->file, msi_arena_printf(check->arena, "%s.%s", message->full_name, oneof != NULL ? oneof : ""), &options);
    return options.type == MSI_FT_IGNORE;
}

/* Whether nanopb puts the field's message into the struct itself. */
static bool is_static(const msi_field_proto *field, const msi_options *options)
{
    if (options->type != MSI_FT_DEFAULT)
        return options->type == MSI_FT_STATIC;
    return field->label != MSI_LABEL_REPEATED || options->has_max_count;
}

static void check_field(const checker *check, msi_message *message, size_t index, const msi_options *of_message,
                        bool *inlined)
{
    const msi_field_proto *field = &message->proto->field[index];
    msi_place place = msi_place_in(&message->place, MSI_MESSAGE_FIELD, (int32_t)index);
    msi_options options = *of_message;
    bool is_view;

    msi_options_file_apply(&check->file, msi_arena_printf(check->arena, "%s.%s", message->full_name, field->name),
                           &options);
    check_extension(check, &place, MSI_FIELD_OPTIONS, field->options, &options);
    is_view = options.type == MSI_FT_CALLBACK && options.callback_datatype != NULL &&
              strcmp(options.callback_datatype, "msgsrv_bytes") == 0;
    message->has_views = message->has_views || is_view;
    message->has_defaults = message->has_defaults || options.default_has || field->default_value != NULL;
    if (is_view && (field->type != MSI_TYPE_BYTES || field->label == MSI_LABEL_REPEATED))
        msi_error(check->errors, &place,
                  "the field \"%s\" cannot be a msgsrv_bytes: only a bytes field that is not "
                  "repeated can",
                  field->name);
    *inlined =
        field->type == MSI_TYPE_MESSAGE && is_static(field, &options) && !is_ignored(check, message, field, of_message);
}

static void check_messages(const checker *check, const msi_file *file, const msi_options *of_file)
{
    bool **inlined = msi_arena_array(check->arena, file->message_count, sizeof *inlined);
    size_t i, j;

    for (i = 0; i < file->message_count; i++) {
        msi_message *message = &file->messages[i];
        msi_options options = *of_file;

        msi_options_file_apply(&check->file, message->full_name, &options);
        check_extension(check, &message->place, MSI_MESSAGE_OPTIONS, message->proto->options, &options);
        inlined[i] = msi_arena_array(check->arena, message->proto->field_count, sizeof **inlined);
        for (j = 0; j < message->proto->field_count; j++)
            check_field(check, message, j, &options, &inlined[i][j]);
    }
    msi_check_recursion(check->arena, check->model, file, inlined, check->errors);
}

/* Imported files too: their options rename the types that are used here. */
static void check_file(checker *check, const msi_file *file)
{
    msi_options options = check->settings;

    msi_options_file_read(check->arena, check->params, file->stem, check->more_path, &check->file, check->errors);
    check_lines(check);
    msi_options_file_apply(&check->file, file->proto->name, &options);
    check_extension(check, &file->place, MSI_FILE_OPTIONS, file->proto->options, &options);
    if (file->generate)
        check_messages(check, file, &options);
}

/* nanopb also looks in the folder of the first file that it is asked to generate. */
static const char *first_folder(msi_arena *arena, const msi_model *model)
{
    size_t i;

    for (i = 0; i < model->file_count; i++) {
        const char *slash = strrchr(model->files[i].stem, '/');

        if (model->files[i].generate && slash != NULL)
            return msi_arena_text(arena, model->files[i].stem, (size_t)(slash - model->files[i].stem));
        if (model->files[i].generate)
            break;
    }
    return "";
}

void msi_check_options(msi_arena *arena, const msi_params *params, msi_model *model, msi_errors *errors)
{
    checker check = {.arena = arena, .params = params, .model = model, .errors = errors};
    size_t i;

    check.more_path = first_folder(arena, model);
    check_settings(&check);
    for (i = 0; i < model->file_count; i++)
        check_file(&check, &model->files[i]);
}
