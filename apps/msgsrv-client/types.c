/* SPDX-License-Identifier: MIT */
/*
 * Types by reflection; see types.h. A whole name costs one question, and one for each import that did not come with the answer. Any
 * other word is looked up among all that all services declare.
 */
#include "types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "program.h"

#define FILE_NAME 1 /* of FileDescriptorProto */
#define SHOWN_ROOM 256

static int fail(const struct types *types, const msgsrv_error *error)
{
    if (error->code == MSGSRV_UNIMPLEMENTED && !types->reflection.answered) {
        app_line("%s: UNIMPLEMENTED: the server has no reflection, without which its types are not known (%s)",
                 types->command, types->server);
        return MSGSRV_UNIMPLEMENTED;
    }
    return app_fail(types->command, error, types->server);
}

int types_open(struct types *types, const struct options *options, const char *command, bool threaded)
{
    msgsrv_error error;
    msgsrv_client_options settings = {.size = sizeof settings,
                                      .thread = threaded,
                                      .timeout_ms = options->timeout_ms,
                                      .max_message = COMMANDS_MESSAGE_MAX};
    *types = (struct types){.command = command, .server = options->server};
    types->reflection.timeout_ms = options->timeout_ms;
    msgsrv_status status = msgsrv_schema_new(&types->schema, &error);
    if (status == MSGSRV_OK)
        status = msgsrv_client_new(options->server, &settings, &types->client, &error);
    types->reflection.client = types->client;
    return status == MSGSRV_OK ? 0 : fail(types, &error);
}

void types_close(struct types *types)
{
    reflection_close(&types->reflection);
    msgsrv_client_free(types->client);
    msgsrv_schema_free(types->schema);
    names_free(&types->services);
    names_free(&types->names);
    *types = (struct types){.command = NULL};
}

static msgsrv_status no_memory(msgsrv_error *error)
{
    return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
}

/* The name of a file, to be freed. */
static char *file_name(struct fields file)
{
    struct field field;
    while (fields_next(&file, &field)) {
        if (field_is(&field, FILE_NAME))
            return field_text(&field);
    }
    return NULL;
}

msgsrv_status types_add(struct types *types, struct fields file, msgsrv_error *error)
{
    char *name = file_name(file);
    msgsrv_status status = MSGSRV_OK;
    if (!name || !msgsrv_schema_has_file(types->schema, name)) {
        status = msgsrv_schema_add(types->schema, file.data, file.size, error);
        if (status == MSGSRV_OK && !names_add_file(&types->names, file))
            status = no_memory(error);
    }
    free(name);
    return status;
}

/* Asks. A server without reflection knows nothing, where that is allowed. */
static msgsrv_status ask(struct types *types, enum reflection_question question, const char *name,
                         reflection_take_fn take, void *ctx, msgsrv_error *error)
{
    msgsrv_status status = reflection_ask(&types->reflection, question, name, take, ctx, error);
    bool none = status == MSGSRV_UNIMPLEMENTED && !types->reflection.answered;
    return none && types->optional ? MSGSRV_OK : status;
}

/* The files that one answer brought, for their imports. */
struct arrived {
    struct types *types;
    struct names files;
};

static msgsrv_status take_arrived(void *ctx, const struct field *item, msgsrv_error *error)
{
    struct arrived *arrived = ctx;
    char *name = file_name(item->bytes);
    msgsrv_status status = types_add(arrived->types, item->bytes, error);
    if (status == MSGSRV_OK && name && !names_add(&arrived->files, MSGSRV_SYMBOL_NONE, name))
        status = no_memory(error);
    free(name);
    return status;
}

/* Asks for a file, and then for all imports that are not there, at any depth. An import that the server does not have is left out: perhaps
 * nothing uses it. */
static msgsrv_status load(struct types *types, enum reflection_question question, const char *name, msgsrv_error *error)
{
    struct arrived arrived = {.types = types};
    msgsrv_status status = ask(types, question, name, take_arrived, &arrived, error);
    for (size_t i = 0; status == MSGSRV_OK && i < arrived.files.count; i++) {
        const char *import = NULL;
        for (size_t j = 0; status == MSGSRV_OK; j++) {
            import = msgsrv_schema_import(types->schema, arrived.files.names[i].text, j);
            if (!import)
                break;
            if (msgsrv_schema_has_file(types->schema, import))
                continue;
            status = ask(types, REFLECTION_FILE, import, take_arrived, &arrived, error);
            if (status == MSGSRV_NOT_FOUND && error->from_peer)
                status = MSGSRV_OK;
        }
    }
    names_free(&arrived.files);
    return status;
}

static msgsrv_status take_service(void *ctx, const struct field *item, msgsrv_error *error)
{
    struct types *types = ctx;
    char *name = field_text(item);
    bool added = name && names_add(&types->services, MSGSRV_SYMBOL_SERVICE, name);
    free(name);
    return added ? MSGSRV_OK : no_memory(error);
}

static msgsrv_status list_services(struct types *types, msgsrv_error *error)
{
    if (types->services.count > 0)
        return MSGSRV_OK;
    msgsrv_status status = ask(types, REFLECTION_SERVICES, "", take_service, types, error);
    names_sort(&types->services);
    return status;
}

int types_list(struct types *types)
{
    msgsrv_error error;
    return list_services(types, &error) == MSGSRV_OK ? 0 : fail(types, &error);
}

/* Loads what all services declare and use. One that the server lists but does not know, or without a .proto, is left out. */
static msgsrv_status load_all(struct types *types, msgsrv_error *error)
{
    msgsrv_status status = list_services(types, error);
    for (size_t i = 0; status == MSGSRV_OK && i < types->services.count; i++) {
        const char *service = types->services.names[i].text;
        if (msgsrv_schema_find(types->schema, service) == MSGSRV_SYMBOL_NONE)
            status = load(types, REFLECTION_SYMBOL, service, error);
        if (status == MSGSRV_NOT_FOUND && error->from_peer)
            status = MSGSRV_OK;
    }
    return status;
}

int types_load(struct types *types)
{
    msgsrv_error error;
    return load_all(types, &error) == MSGSRV_OK ? 0 : fail(types, &error);
}

/* Loads the file of a whole name, "package.Service/Method" too. What is not found is not loaded. */
static msgsrv_status load_named(struct types *types, const char *word, msgsrv_error *error)
{
    char *name = strdup(*word == '/' || *word == '.' ? word + 1 : word);
    if (!name)
        return no_memory(error);
    for (char *p = name; *p; p++) {
        if (*p == '/')
            *p = '.';
    }
    msgsrv_status status = load(types, REFLECTION_SYMBOL, name, error);
    free(name);
    return status == MSGSRV_NOT_FOUND && error->from_peer ? MSGSRV_OK : status;
}

bool types_know(struct types *types, const char *name)
{
    msgsrv_error error;
    if (msgsrv_schema_find(types->schema, name) == MSGSRV_SYMBOL_NONE)
        (void)load_named(types, name, &error);
    return msgsrv_schema_find(types->schema, name) == MSGSRV_SYMBOL_MESSAGE;
}

static int not_found(const struct types *types, const struct names *names, unsigned kinds, const char *what,
                     const char *word)
{
    char shown[SHOWN_ROOM];
    const struct name *nearest = names_nearest(names, kinds, word);
    if (nearest)
        app_line("%s: no %s \"%s\" (did you mean %s?)", types->command, what, word,
                 name_shown(nearest, shown, sizeof shown));
    else
        app_line("%s: no %s \"%s\" (see msgsrv-client list)", types->command, what, word);
    return MSGSRV_NOT_FOUND;
}

/* Reports the first few of those that a word may mean. */
static int ambiguous(const struct types *types, unsigned kinds, const char *word)
{
    char line[2 * SHOWN_ROOM] = "";
    size_t used = 0;
    for (size_t i = 0; i < types->names.count && used < SHOWN_ROOM; i++) {
        char shown[SHOWN_ROOM];
        struct names one = {.names = &types->names.names[i], .count = 1};
        const struct name *found = NULL;
        if (names_find(&one, kinds, word, &found) == NAMES_NONE)
            continue;
        name_shown(found, shown, sizeof shown);
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", used > 0 ? " or " : "", shown);
    }
    return app_usage("%s: \"%s\" may be %s", types->command, word, line);
}

int types_find(struct types *types, unsigned kinds, const char *what, const char *word, const struct name **found)
{
    msgsrv_error error;
    bool qualified = strpbrk(word, "./") != NULL;
    if (qualified && load_named(types, word, &error) != MSGSRV_OK)
        return fail(types, &error);
    if (qualified && names_find(&types->names, kinds, word, found) == NAMES_WHOLE)
        return 0;
    if (load_all(types, &error) != MSGSRV_OK)
        return fail(types, &error);
    names_sort(&types->names);
    switch (names_find(&types->names, kinds, word, found)) {
    case NAMES_WHOLE:
    case NAMES_END:
        return 0;
    case NAMES_SEVERAL:
        return ambiguous(types, kinds, word);
    case NAMES_NONE:
        break;
    }
    return not_found(types, &types->names, kinds, what, word);
}

int types_no_service(struct types *types, const char *word)
{
    msgsrv_error error; /* without reflection there is nothing to suggest */
    (void)list_services(types, &error);
    return not_found(types, &types->services, 1u << MSGSRV_SYMBOL_SERVICE, "service", word);
}
