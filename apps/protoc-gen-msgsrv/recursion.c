/* SPDX-License-Identifier: MIT */
/*
 * Recursion; see recursion.h. Imports have no circles, so a circle of messages is always within one file.
 */
#include <stddef.h>

#include "recursion.h"

typedef struct walk {
    const msi_model *model;
    const msi_file *file;
    bool *const *inlined;
    bool *complete; /* for each message: its struct can be defined */
} walk;

/* The first field whose struct cannot be defined (yet); field_count when there is none. */
static size_t first_open(const walk *search, size_t index, size_t *next)
{
    const msi_message *message = &search->file->messages[index];
    size_t i;

    for (i = 0; i < message->proto->field_count; i++) {
        const msi_message *inner;

        if (!search->inlined[index][i])
            continue;
        inner = msi_model_find(search->model, message->proto->field[i].type_name);
        *next = (size_t)(inner - inner->file->messages);
        if (inner->file == search->file && !search->complete[*next])
            break;
    }
    return i;
}

/* Completes structs, inner ones first, until no more can be; true when all are. */
static bool complete_all(const walk *search)
{
    size_t left = search->file->message_count;
    size_t before, i, next;

    do {
        before = left;
        for (i = 0; i < search->file->message_count; i++) {
            if (search->complete[i] || first_open(search, i, &next) < search->file->messages[i].proto->field_count)
                continue;
            search->complete[i] = true;
            left--;
        }
    } while (left > 0 && left < before);
    return left == 0;
}

void msi_check_recursion(msi_arena *arena, const msi_model *model, const msi_file *file, bool *const *inlined,
                         msi_errors *errors)
{
    walk search = {.model = model, .file = file, .inlined = inlined};
    const msi_message *message;
    const msi_field_proto *field;
    msi_place place;
    size_t index = 0;
    size_t next = 0;
    size_t i;

    search.complete = msi_arena_array(arena, file->message_count, sizeof *search.complete);
    if (complete_all(&search))
        return;
    /*
     * From any open message, following open fields leads into a circle in at most as many steps as there
     * are messages.
     */
    while (search.complete[index])
        index++;
    for (i = 0; i < file->message_count; i++) {
        first_open(&search, index, &next);
        index = next;
    }
    message = &file->messages[index];
    i = first_open(&search, index, &next);
    field = &message->proto->field[i];
    place = msi_place_in(&message->place, MSI_MESSAGE_FIELD, (int32_t)i);
    msi_error(errors, &place,
              "through the field \"%s\" the struct of \"%s\" would contain itself; make it a pointer "
              "in the .options file: %s.%s type:FT_POINTER",
              field->name, message->full_name, message->full_name, field->name);
}
