/* SPDX-License-Identifier: MIT */
/*
 * Names; see names.h.
 */
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "program.h"

#define DEPTH_MAX 64 /* of messages inside messages */

/* Numbers of google/protobuf/descriptor.proto. */
enum {
    FILE_PACKAGE = 2,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    DECLARATION_NAME = 1,
    SERVICE_METHOD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4
};

bool names_add(struct names *names, msgsrv_symbol_kind kind, const char *text)
{
    if (names->count == names->room) {
        size_t room = names->room * 2 + 32;
        struct name *grown = realloc(names->names, room * sizeof *grown);
        if (!grown)
            return false;
        names->names = grown;
        names->room = room;
    }
    char *copy = strdup(text);
    if (!copy)
        return false;
    app_clean(copy, false);
    names->names[names->count++] = (struct name){.text = copy, .kind = kind};
    return true;
}

/* "scope.name", to be freed. */
static char *join(const char *scope, const char *name)
{
    size_t size = strlen(scope) + strlen(name) + 2;
    char *joined = malloc(size);
    if (joined)
        snprintf(joined, size, "%s%s%s", scope, *scope ? "." : "", name);
    return joined;
}

/* The text of the first field of a number; NULL when there is none. */
static char *text_of(struct fields fields, uint32_t number)
{
    struct field field;
    while (fields_next(&fields, &field)) {
        if (field_is(&field, number))
            return field_text(&field);
    }
    return NULL;
}

static bool add_declaration(struct names *names, msgsrv_symbol_kind kind, const char *scope, struct fields declaration,
                            unsigned depth);

/* Which kind a field of a declaration declares: of a file (MSGSRV_SYMBOL_NONE), a message or a service. */
static msgsrv_symbol_kind declared_by(msgsrv_symbol_kind outer, const struct field *field)
{
    static const struct {
        msgsrv_symbol_kind outer, inner;
        uint32_t number;
    } DECLARES[] = {
        {MSGSRV_SYMBOL_NONE, MSGSRV_SYMBOL_MESSAGE, FILE_MESSAGE},
        {MSGSRV_SYMBOL_NONE, MSGSRV_SYMBOL_ENUM, FILE_ENUM},
        {MSGSRV_SYMBOL_NONE, MSGSRV_SYMBOL_SERVICE, FILE_SERVICE},
        {MSGSRV_SYMBOL_MESSAGE, MSGSRV_SYMBOL_MESSAGE, MESSAGE_NESTED},
        {MSGSRV_SYMBOL_MESSAGE, MSGSRV_SYMBOL_ENUM, MESSAGE_ENUM},
        {MSGSRV_SYMBOL_SERVICE, MSGSRV_SYMBOL_METHOD, SERVICE_METHOD},
    };
    for (size_t i = 0; i < sizeof DECLARES / sizeof *DECLARES; i++) {
        if (DECLARES[i].outer == outer && field_is(field, DECLARES[i].number))
            return DECLARES[i].inner;
    }
    return MSGSRV_SYMBOL_NONE;
}

static bool add_inner(struct names *names, msgsrv_symbol_kind outer, const char *scope, struct fields fields,
                      unsigned depth)
{
    struct field field;
    while (fields_next(&fields, &field)) {
        msgsrv_symbol_kind kind = declared_by(outer, &field);
        if (kind != MSGSRV_SYMBOL_NONE && !add_declaration(names, kind, scope, field.bytes, depth))
            return false;
    }
    return !fields.malformed;
}

static bool add_declaration(struct names *names, msgsrv_symbol_kind kind, const char *scope, struct fields declaration,
                            unsigned depth)
{
    char *name = text_of(declaration, DECLARATION_NAME);
    char *full = name ? join(scope, name) : NULL;
    bool good = full && depth < DEPTH_MAX && names_add(names, kind, full);
    if (good && (kind == MSGSRV_SYMBOL_MESSAGE || kind == MSGSRV_SYMBOL_SERVICE))
        good = add_inner(names, kind, full, declaration, depth + 1);
    free(full);
    free(name);
    return good;
}

bool names_add_file(struct names *names, struct fields file)
{
    char *package = text_of(file, FILE_PACKAGE);
    bool good = add_inner(names, MSGSRV_SYMBOL_NONE, package ? package : "", file, 0);
    free(package);
    return good;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i].text);
    free(names->names);
    *names = (struct names){.names = NULL};
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

void names_sort(struct names *names)
{
    if (names->count > 0)
        qsort(names->names, names->count, sizeof *names->names, compare);
}

static bool is_among(unsigned kinds, const struct name *name)
{
    return kinds & 1u << name->kind;
}

/* The word with dots for slashes and nothing in front; to be freed. */
static char *dotted(const char *word)
{
    char *copy = strdup(*word == '/' || *word == '.' ? word + 1 : word);
    for (char *p = copy; p && *p; p++) {
        if (*p == '/')
            *p = '.';
    }
    return copy;
}

/* How `name` ends, from the last `parts` parts on; all of it when it has fewer. */
static const char *last_parts(const char *name, size_t parts)
{
    const char *p = name + strlen(name);
    while (p > name && (p[-1] != '.' || --parts > 0))
        p--;
    return p;
}

static size_t count_parts(const char *word)
{
    size_t parts = 1;
    for (; *word; word++)
        parts += *word == '.';
    return parts;
}

enum names_found names_find(const struct names *names, unsigned kinds, const char *word, const struct name **found)
{
    char *plain = dotted(word);
    enum names_found result = NAMES_NONE;
    for (size_t i = 0; plain && result != NAMES_WHOLE && i < names->count; i++) {
        const struct name *name = &names->names[i];
        if (!is_among(kinds, name) || strcmp(last_parts(name->text, count_parts(plain)), plain) != 0)
            continue;
        bool whole = strcmp(name->text, plain) == 0;
        if (whole || result == NAMES_NONE)
            *found = name;
        result = whole ? NAMES_WHOLE : result == NAMES_NONE ? NAMES_END : NAMES_SEVERAL;
    }
    free(plain);
    return result;
}

const struct name *names_nearest(const struct names *names, unsigned kinds, const char *word)
{
    struct form {
        const char *text;
        const struct name *name;
    } *forms = calloc(2 * names->count + 1, sizeof *forms);
    char *plain = dotted(word);
    const struct name *nearest = NULL;
    size_t count = 0;
    for (size_t i = 0; forms && plain && i < names->count; i++) {
        const struct name *name = &names->names[i];
        if (!is_among(kinds, name))
            continue;
        forms[count++] = (struct form){name->text, name};
        forms[count++] = (struct form){last_parts(name->text, count_parts(plain)), name};
    }
    const char *text = count > 0 ? app_nearest(plain, &forms[0].text, count, sizeof *forms) : NULL;
    for (size_t i = 0; text && !nearest && i < count; i++) {
        if (forms[i].text == text)
            nearest = forms[i].name;
    }
    free(plain);
    free(forms);
    return nearest;
}

const char *name_shown(const struct name *name, char *room, size_t size)
{
    snprintf(room, size, "%s", name->text);
    char *dot = name->kind == MSGSRV_SYMBOL_METHOD ? strrchr(room, '.') : NULL;
    if (dot)
        *dot = '/';
    return room;
}
