/* SPDX-License-Identifier: MIT */
/*
 * The registry of types: each has a FileDescriptorSet as it came, which is read again when another comes for it. Sets come from peers: reading one is
 * bounded in bytes, files and names. Types of one file usually come with the same set, which is kept once.
 */
#include "bus/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "schema/descriptor.h"

#define SET_MAX ((size_t)4 * MSI_MIB)
#define SETS_MAX ((size_t)64 * MSI_MIB)
#define SET_FILES_MAX 256u /* each is merged into the names before it: with more, reading 4 MiB could take a second */
#define NAME_MAX_SIZE 511u

/* A set that one type or several have. */
typedef struct shared_set {
    uint32_t uses;
    size_t size;
    uint8_t data[];
} shared_set;

typedef struct known_type {
    char *name;
    shared_set *set;
} known_type;

struct msi_types {
    known_type *types; /* sorted by name */
    size_t count;
    size_t room;
    size_t bytes; /* of all sets */
    uint32_t max_types;
};

msi_types *msi_types_new(uint32_t max_types)
{
    msi_types *types = calloc(1, sizeof *types);
    if (types)
        types->max_types = max_types;
    return types;
}

static void drop_set(msi_types *types, shared_set *set)
{
    if (--set->uses)
        return;
    types->bytes -= set->size;
    free(set);
}

void msi_types_free(msi_types *types)
{
    if (!types)
        return;
    for (size_t i = 0; i < types->count; i++) {
        drop_set(types, types->types[i].set);
        free(types->types[i].name);
    }
    free(types->types);
    free(types);
}

/* Where a type is, or would be. */
static size_t place_of(const msi_types *types, msi_view type, bool *there)
{
    size_t low = 0;
    size_t high = types->count;
    *there = false;
    while (low < high && !*there) {
        size_t middle = (low + high) / 2;
        const char *name = types->types[middle].name;
        size_t size = strlen(name);
        int order = memcmp(name, type.data, size < type.size ? size : type.size);
        if (order == 0)
            order = (size > type.size) - (size < type.size);
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
            *there = order == 0;
        }
    }
    return high;
}

/* ---- walking over a type ---- */

/* A type and the messages and enums that it is made of, each once. */
typedef struct walk {
    const msgsrv_schema *schema;
    bool *seen; /* by the index of its symbol */
    const msi_message_desc **messages;
    size_t count;
    bool narrower; /* comparing: what is new lacks something */
} walk;

static bool walk_begin(walk *of, const msgsrv_schema *schema)
{
    *of = (walk){.schema = schema};
    of->seen = calloc(schema->symbol_count + 1, sizeof *of->seen);
    of->messages = calloc(schema->symbol_count + 1, sizeof(void *));
    return of->seen && of->messages;
}

static void walk_end(walk *of)
{
    free(of->seen);
    free((void *)of->messages);
}

/* The first time that a name is met: true. A message's turn comes then. */
static bool meet(walk *of, const msi_symbol *symbol)
{
    size_t index = (size_t)(symbol - of->schema->symbols);
    if (of->seen[index])
        return false;
    of->seen[index] = true;
    if (symbol->kind == MSGSRV_SYMBOL_MESSAGE)
        of->messages[of->count++] = symbol->of;
    return true;
}

/* What a field's type name stands for; NULL: nothing of its kind. */
static const msi_symbol *field_symbol(const msgsrv_schema *schema, const msi_field_desc *field)
{
    const msi_symbol *symbol = msi_schema_symbol(schema, field->type_name);
    msgsrv_symbol_kind kind = field->type == MSI_TYPE_ENUM ? MSGSRV_SYMBOL_ENUM : MSGSRV_SYMBOL_MESSAGE;
    return symbol && symbol->kind == kind ? symbol : NULL;
}

/* ---- reading a set ---- */

static msgsrv_status read_files(msgsrv_schema *schema, msi_view set, msgsrv_error *error)
{
    const uint8_t *at = set.data;
    const uint8_t *end = at + set.size;
    unsigned files = 0;
    while (at < end) {
        msi_wire_field field;
        at = msi_wire_field_get(at, end, &field);
        if (!at)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the descriptors are not a FileDescriptorSet");
        if (field.number != MSI_SET_FILE || field.type != MSI_WIRE_BYTES)
            continue;
        if (++files > SET_FILES_MAX)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the descriptors have more than %u files", SET_FILES_MAX);
        msgsrv_status status = msgsrv_schema_add(schema, field.bytes.data, field.bytes.size, error);
        if (status == MSGSRV_ALREADY_EXISTS) { /* two of its files have the same name in them */
            status = MSGSRV_INVALID_ARGUMENT;
            if (error)
                error->code = status;
        }
        if (status != MSGSRV_OK)
            return status;
    }
    return MSGSRV_OK;
}

/* Whether all is there that a type is made of: what is not could never be decoded. */
static msgsrv_status check_complete(const msgsrv_schema *schema, const msi_symbol *type, msgsrv_error *error)
{
    walk of;
    msgsrv_status status = walk_begin(&of, schema) ? MSGSRV_OK : msi_error_memory(error);
    if (status == MSGSRV_OK)
        (void)meet(&of, type);
    for (size_t i = 0; i < of.count && status == MSGSRV_OK; i++) {
        const msi_message_desc *message = of.messages[i];
        for (size_t f = 0; f < message->field_count && status == MSGSRV_OK; f++) {
            const msi_field_desc *field = &message->fields[f];
            if (!field->type_name)
                continue;
            const msi_symbol *symbol = field_symbol(schema, field);
            if (symbol)
                (void)meet(&of, symbol);
            else
                status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "%.80s.%.50s is of %.80s, which the descriptors lack",
                                   message->full_name, field->name, field->type_name);
        }
    }
    walk_end(&of);
    return status;
}

/* Reads a set into a schema of its own, in which the type then is. */
static msgsrv_status read_set(msi_view set, const char *type, msgsrv_schema **schema, msgsrv_error *error)
{
    msgsrv_status status = msgsrv_schema_new(schema, error);
    if (status != MSGSRV_OK)
        return status;
    status = read_files(*schema, set, error);
    const msi_symbol *symbol = status == MSGSRV_OK ? msi_schema_symbol(*schema, type) : NULL;
    if (status == MSGSRV_OK && (!symbol || symbol->kind != MSGSRV_SYMBOL_MESSAGE || *type == '.'))
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "the descriptors have no message %.120s", type);
    if (status == MSGSRV_OK)
        status = check_complete(*schema, symbol, error);
    if (status != MSGSRV_OK) {
        msgsrv_schema_free(*schema);
        *schema = NULL;
    }
    return status;
}

/* ---- comparing ---- */

/* Types of one kind read each other's values, protobuf's guide says ("Updating A Message Type"). */
static unsigned kind_of(const msi_field_desc *field)
{
    switch (field->type) {
    case MSI_TYPE_SINT32:
    case MSI_TYPE_SINT64:
        return MSI_TYPE_SINT64;
    case MSI_TYPE_FIXED32:
    case MSI_TYPE_SFIXED32:
        return MSI_TYPE_FIXED32;
    case MSI_TYPE_FIXED64:
    case MSI_TYPE_SFIXED64:
        return MSI_TYPE_FIXED64;
    case MSI_TYPE_STRING:
    case MSI_TYPE_BYTES:
        return MSI_TYPE_BYTES;
    case MSI_TYPE_FLOAT:
    case MSI_TYPE_DOUBLE:
    case MSI_TYPE_GROUP:
    case MSI_TYPE_MESSAGE:
        return field->type;
    default:
        return MSI_TYPE_INT64;
    }
}

/* As people write it: "repeated package.Message". */
static void write_kind(char *to, size_t room, const msi_field_desc *field)
{
    static const char *const names[] = {"?",       "double",   "float",    "int64",  "uint64", "int32", "fixed64",
                                        "fixed32", "bool",     "string",   "group",  "?",      "bytes", "uint32",
                                        "?",       "sfixed32", "sfixed64", "sint32", "sint64"};
    bool named = field->type_name && field->type != MSI_TYPE_GROUP;
    (void)snprintf(to, room, "%s%.60s", field->repeated ? "repeated " : "",
                   named ? field->type_name : names[field->type]);
}

static msgsrv_status differ(const char *message, const msi_field_desc *known, const msi_field_desc *given,
                            msgsrv_error *error)
{
    char known_kind[80], given_kind[80];
    write_kind(known_kind, sizeof known_kind, known);
    write_kind(given_kind, sizeof given_kind, given);
    return msi_error(error, MSGSRV_FAILED_PRECONDITION, "field %u of %.60s is known as %s %.30s, and now is %s %.30s",
                     known->number, message, known_kind, known->name, given_kind, given->name);
}

/* Values that are no longer there are not known by name any more. */
static void compare_enums(walk *of, const msi_symbol *known, const msi_enum_desc *given)
{
    const msi_enum_desc *type = known->of;
    if (!meet(of, known))
        return;
    for (size_t i = 0; i < type->value_count; i++)
        of->narrower = of->narrower || !given || !msi_enum_name(given, type->values[i].number);
}

static bool is_entry(const msi_symbol *symbol)
{
    return symbol && symbol->kind == MSGSRV_SYMBOL_MESSAGE && ((const msi_message_desc *)symbol->of)->map_entry;
}

/*
 * Two fields of one number. What they are made of gets its turn. A map's entry has no name of its own: it is seen through, once, for an entry's
 * fields are not repeated.
 */
/* NOLINTNEXTLINE(misc-no-recursion): once */
static bool compare_fields(walk *of, const msgsrv_schema *later, const msi_field_desc *known, const msi_field_desc *given)
{
    if (kind_of(known) != kind_of(given) || known->repeated != given->repeated)
        return false;
    if (!known->type_name)
        return true;
    const msi_symbol *known_symbol = field_symbol(of->schema, known);
    const msi_symbol *given_symbol = given->type_name ? field_symbol(later, given) : NULL;
    if (known->type == MSI_TYPE_ENUM) {
        compare_enums(of, known_symbol, given->type == MSI_TYPE_ENUM && given_symbol ? given_symbol->of : NULL);
        return true;
    }
    if (known->repeated && is_entry(known_symbol) && is_entry(given_symbol)) {
        for (uint32_t number = 1; number <= 2; number++) {
            const msi_field_desc *of_known = msi_message_field(known_symbol->of, number);
            const msi_field_desc *of_given = msi_message_field(given_symbol->of, number);
            if (of_known->repeated || of_given->repeated || !compare_fields(of, later, of_known, of_given))
                return false;
        }
        return true;
    }
    if (!known_symbol || !given_symbol || strcmp(known_symbol->name, given_symbol->name) != 0)
        return false;
    (void)meet(of, known_symbol);
    return true;
}

/* Whether a later set of a type is compatible with the known one, and whether it lacks something. */
static msgsrv_status compare(const msgsrv_schema *known, const msgsrv_schema *later, const char *type, bool *narrower,
                             msgsrv_error *error)
{
    walk of;
    msgsrv_status status = walk_begin(&of, known) ? MSGSRV_OK : msi_error_memory(error);
    if (status == MSGSRV_OK)
        (void)meet(&of, msi_schema_symbol(known, type));
    for (size_t i = 0; i < of.count && status == MSGSRV_OK; i++) {
        const msi_message_desc *message = of.messages[i];
        const msi_message_desc *other = msi_schema_message(later, message->full_name);
        for (size_t f = 0; f < message->field_count && status == MSGSRV_OK; f++) {
            const msi_field_desc *field = &message->fields[f];
            const msi_field_desc *given = msi_message_field(other, field->number);
            if (!given)
                of.narrower = true;
            else if (!compare_fields(&of, later, field, given))
                status = differ(message->full_name, field, given, error);
        }
    }
    *narrower = of.narrower;
    walk_end(&of);
    return status;
}

/* ---- learning ---- */

static shared_set *new_set(msi_types *types, msi_view set, msgsrv_error *error)
{
    for (size_t i = 0; i < types->count; i++) {
        shared_set *other = types->types[i].set;
        if (other->size == set.size && memcmp(other->data, set.data, set.size) == 0) {
            other->uses++;
            return other;
        }
    }
    shared_set *made = malloc(sizeof *made + set.size);
    if (!made) {
        (void)msi_error_memory(error);
        return NULL;
    }
    made->uses = 1;
    made->size = set.size;
    memcpy(made->data, set.data, set.size);
    types->bytes += set.size;
    return made;
}

static bool make_room(msi_types *types)
{
    if (types->count < types->room)
        return true;
    size_t room = types->room ? types->room * 2 : 16;
    known_type *list = room > SIZE_MAX / sizeof *list ? NULL : realloc(types->types, room * sizeof *list);
    if (!list)
        return false;
    types->types = list;
    types->room = room;
    return true;
}

static msgsrv_status over_bytes(msgsrv_error *error)
{
    return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the descriptors of all types have at most %zu bytes", SETS_MAX);
}

/* Another set for a known type. */
static msgsrv_status replace(msi_types *types, known_type *known, msi_view set, msgsrv_error *error)
{
    shared_set *made = new_set(types, set, error);
    if (!made)
        return MSGSRV_RESOURCE_EXHAUSTED;
    size_t gone = known->set->uses == 1 ? known->set->size : 0;
    if (types->bytes - gone > SETS_MAX) {
        drop_set(types, made);
        return over_bytes(error);
    }
    drop_set(types, known->set);
    known->set = made;
    return MSGSRV_OK;
}

static msgsrv_status insert(msi_types *types, size_t place, const char *type, msi_view set, msgsrv_error *error)
{
    char *name = strdup(type);
    shared_set *made = name && make_room(types) ? new_set(types, set, error) : NULL;
    if (!made) {
        free(name);
        return msi_error_memory(error);
    }
    if (types->bytes > SETS_MAX) {
        drop_set(types, made);
        free(name);
        return over_bytes(error);
    }
    memmove(types->types + place + 1, types->types + place, (types->count - place) * sizeof *types->types);
    types->types[place] = (known_type){name, made};
    types->count++;
    return MSGSRV_OK;
}

/* A type that is known comes with another set, which was read. */
static msgsrv_status learn_again(msi_types *types, known_type *known, const msgsrv_schema *later, msi_view set,
                                 msgsrv_error *error)
{
    msgsrv_schema *schema = NULL;
    bool narrower = false;
    msgsrv_status status = read_set((msi_view){known->set->data, known->set->size}, known->name, &schema, error);
    if (status == MSGSRV_OK)
        status = compare(schema, later, known->name, &narrower, error);
    msgsrv_schema_free(schema);
    return status == MSGSRV_OK && !narrower ? replace(types, known, set, error) : status;
}

msgsrv_status msi_types_learn(msi_types *types, msi_view type, msi_view set, msgsrv_error *error)
{
    char name[NAME_MAX_SIZE + 1];
    if (type.size == 0 || type.size > NAME_MAX_SIZE || memchr(type.data, 0, type.size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "a type's name has 1 to %u bytes", NAME_MAX_SIZE);
    if (set.size > SET_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "descriptors of %zu bytes, of at most %zu", set.size, SET_MAX);
    memcpy(name, type.data, type.size);
    name[type.size] = '\0';
    bool there;
    size_t place = place_of(types, type, &there);
    if (there && types->types[place].set->size == set.size &&
        memcmp(types->types[place].set->data, set.data, set.size) == 0)
        return MSGSRV_OK;
    if (!there && types->count >= types->max_types)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the bus knows %zu types, of at most %u", types->count,
                         types->max_types);
    msgsrv_schema *schema = NULL;
    msgsrv_status status = read_set(set, name, &schema, error);
    if (status == MSGSRV_OK)
        status = there ? learn_again(types, &types->types[place], schema, set, error)
                       : insert(types, place, name, set, error);
    msgsrv_schema_free(schema);
    return status;
}

bool msi_types_known(const msi_types *types, msi_view type)
{
    bool there;
    (void)place_of(types, type, &there);
    return there;
}

msi_view msi_types_describe(const msi_types *types, msi_view type)
{
    bool there;
    size_t place = place_of(types, type, &there);
    if (!there)
        return (msi_view){NULL, 0};
    const shared_set *set = types->types[place].set;
    return (msi_view){set->data, set->size};
}
