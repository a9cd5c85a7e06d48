/* SPDX-License-Identifier: MIT */
/*
 * Collisions; see identifiers.h. All names of all files of the request are put into one table: what is
 * generated for an import ends in the same program. nanopb's own names count as far as they may meet ours.
 */
#include <string.h>

#include "identifiers.h"
#include "names.h"

/* Suffixes of what nanopb and we define for a message, a service, a file and a method; "" is the name itself. */
static const char *const nanopb_suffixes[] = {"_msg",       "_init_default", "_init_zero", "_fields", "_size",
                                              "_FIELDLIST", "_CALLBACK",     "_DEFAULT",   "_msgid"};
static const char *const message_suffixes[] = {"_type", "_release", "_field_table"};
/* And of a message that is no map's entry. */
static const char *const bus_suffixes[] = {
    "_publish",          "_publish_async", "_declare",  "_subscriber",       "_subscriber_closure",
    "_subscriber_event", "_subscribe",     "_consumer", "_consumer_closure", "_consumer_message",
    "_consume",          "_request",       "_reply",    "_from_event"};
static const char *const service_suffixes[] = {"_service", "_description", "_register", "_method_table"};
static const char *const file_suffixes[] = {"_proto_file", "_proto_file_bytes", "_proto_file_imports"};
static const char *const method_suffixes[] = {"",       "_method", "_fn",     "_closure",     "_complete",
                                              "_async", "_reply",  "_invoke", "_implemented", "_blocking"};
static const char *const stream_suffixes[] = {"",        "_method",  "_server",     "_client",      "_handler",
                                              "_events", "_closure", "_open",       "_start",       "_client_send",
                                              "_write",  "_read",    "_close",      "_server_send", "_server_reply",
                                              "_serve",  "_event",   "_implemented"};

/* Names inside generated functions. A type without a package could hide them, or be hidden by them. */
static const char *const parameters[] = {
    "call",           "client",   "closure",    "ctx",      "done",    "error",    "event",
    "events",         "handler",  "in",         "out",      "stream",  "handle",   "held",
    "implementation", "message",  "options",    "reply",    "request", "response", "server",
    "service",        "typed",    "bus",        "topic",    "receipt", "retain",   "timeout_ms",
    "queue",          "delivery", "subscriber", "consumer", "untyped", "gap",      "why"};

#define BUCKETS ((size_t)16 * 1024)

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What names are made of. */
typedef struct origin {
    const char *kind;      /* "message", ... */
    const char *full_name; /* in the .proto */
    const char *c_name;
    msi_place place;
    const struct origin *meets; /* the last one that it was found to collide with */
} origin;

typedef struct identifier {
    struct identifier *next; /* with the same hash */
    const char *name;
    const origin *element;
    bool matters; /* ours, or a type; what else nanopb makes may only not meet these */
} identifier;

typedef struct names {
    msi_arena *arena;
    msi_errors *errors;
    identifier **buckets;
} names;

static origin *new_element(names *table, const char *kind, const char *full_name, const msi_place *place)
{
    origin *element = msi_arena_alloc(table->arena, sizeof *element);

    element->kind = kind;
    element->full_name = full_name;
    element->c_name = msi_c_name(table->arena, full_name);
    element->place = *place;
    return element;
}

static size_t hash(const char *name)
{
    size_t value = 5381;

    for (; *name != '\0'; name++)
        value = value * 33 ^ (unsigned char)*name;
    return value % BUCKETS;
}

/* Once for each two elements, which often meet under several names. */
static void report(names *table, origin *second, const char *name, const origin *first)
{
    msi_position position = msi_position_of(&first->place);

    if (second->meets == first)
        return;
    second->meets = first;
    msi_error(table->errors, &second->place, "the C name \"%s\" of the %s \"%s\" is also that of the %s \"%s\" (%s:%d)",
              name, second->kind, second->full_name, first->kind, first->full_name, first->place.file->name,
              position.line);
}

static void add(names *table, origin *element, const char *suffix, bool matters)
{
    const char *name = msi_arena_printf(table->arena, "%s%s", element->c_name, suffix);
    identifier **bucket = &table->buckets[hash(name)];
    identifier *entry;

    for (entry = *bucket; entry != NULL; entry = entry->next)
        if (strcmp(entry->name, name) == 0) {
            if (entry->matters || matters)
                report(table, element, name, entry->element);
            return;
        }
    entry = msi_arena_alloc(table->arena, sizeof *entry);
    entry->next = *bucket;
    entry->name = name;
    entry->element = element;
    entry->matters = matters;
    *bucket = entry;
}

static void add_all(names *table, origin *element, const char *const *suffixes, size_t count, bool matters)
{
    size_t i;

    for (i = 0; i < count; i++)
        add(table, element, suffixes[i], matters);
}

/* A name that C or C++ has a meaning for, or generated functions have. */
static void check_word(names *table, const origin *element)
{
    bool is_c = msi_is_c_word(element->c_name);
    size_t i;

    if (is_c || msi_is_cxx_word(element->c_name))
        msi_error(table->errors, &element->place, "the C name \"%s\" of the %s \"%s\" is a word of %s", element->c_name,
                  element->kind, element->full_name, is_c ? "C" : "C++");
    for (i = 0; i < COUNT(parameters); i++)
        if (strcmp(parameters[i], element->c_name) == 0)
            msi_error(table->errors, &element->place,
                      "the C name \"%s\" of the %s \"%s\" is used inside generated "
                      "functions; put it into a package",
                      element->c_name, element->kind, element->full_name);
}

static void add_fields(names *table, const msi_message *message)
{
    size_t i;

    for (i = 0; i < message->proto->field_count; i++) {
        msi_place place = msi_place_in(&message->place, MSI_MESSAGE_FIELD, (int32_t)i);
        const char *full = msi_arena_printf(table->arena, "%s.%s", message->full_name, message->proto->field[i].name);

        add(table, new_element(table, "field", full, &place), "_tag", false);
    }
}

/* An enum's type, and its values, which nanopb gives the type's name as a prefix. */
static void add_enum(names *table, const char *scope, const msi_enum_proto *proto, const msi_place *place)
{
    const char *full = msi_arena_printf(table->arena, "%s%s", scope, proto->name != NULL ? proto->name : "?");
    origin *type = new_element(table, "enum", full, place);
    size_t i;

    check_word(table, type);
    add(table, type, "", true);
    for (i = 0; i < proto->value_count; i++) {
        const char *name = proto->value[i].name != NULL ? proto->value[i].name : "?";

        add(table, new_element(table, "enum value", msi_arena_printf(table->arena, "%s.%s", full, name), place), "",
            false);
    }
}

static void add_message(names *table, const msi_message *message)
{
    origin *element = new_element(table, "message", message->full_name, &message->place);
    const char *scope = msi_arena_printf(table->arena, "%s.", message->full_name);
    size_t i;

    check_word(table, element);
    add(table, element, "", true);
    add_all(table, element, nanopb_suffixes, COUNT(nanopb_suffixes), false);
    add_all(table, element, message_suffixes, COUNT(message_suffixes), true);
    if (!message->map_entry)
        add_all(table, element, bus_suffixes, COUNT(bus_suffixes), true);
    add_fields(table, message);
    for (i = 0; i < message->proto->enum_type_count; i++) {
        msi_place place = msi_place_in(&message->place, MSI_MESSAGE_ENUM, (int32_t)i);

        add_enum(table, scope, &message->proto->enum_type[i], &place);
    }
}

static void add_service(names *table, const msi_file *file, size_t index)
{
    const msi_service_proto *service = &file->proto->service[index];
    const char *full = msi_full_name(table->arena, file, service->name);
    msi_place place = msi_place_in(&file->place, MSI_FILE_SERVICE, (int32_t)index);
    size_t i;

    add_all(table, new_element(table, "service", full, &place), service_suffixes, COUNT(service_suffixes), true);
    for (i = 0; i < service->method_count; i++) {
        origin *method;

        place = msi_method_place(file, index, i);
        method =
            new_element(table, "method", msi_arena_printf(table->arena, "%s.%s", full, service->method[i].name), &place);
        check_word(table, method);
        if (service->method[i].client_streaming || service->method[i].server_streaming)
            add_all(table, method, stream_suffixes, COUNT(stream_suffixes), true);
        else
            add_all(table, method, method_suffixes, COUNT(method_suffixes), true);
    }
}

static void add_file(names *table, const msi_file *file)
{
    const char *scope = msi_full_name(table->arena, file, "");
    origin *element = new_element(table, "file", file->proto->name, &file->place);
    size_t i;

    element->c_name = msi_file_id(table->arena, file->stem);
    add_all(table, element, file_suffixes, COUNT(file_suffixes), true);
    for (i = 0; i < file->message_count; i++)
        add_message(table, &file->messages[i]);
    for (i = 0; i < file->proto->enum_type_count; i++) {
        msi_place place = msi_place_in(&file->place, MSI_FILE_ENUM, (int32_t)i);

        add_enum(table, scope, &file->proto->enum_type[i], &place);
    }
    for (i = 0; i < file->proto->service_count; i++)
        add_service(table, file, i);
}

void msi_check_identifiers(msi_arena *arena, const msi_model *model, msi_errors *errors)
{
    names table = {.arena = arena, .errors = errors};
    size_t i;

    table.buckets = msi_arena_array(arena, BUCKETS, sizeof *table.buckets);
    for (i = 0; i < model->file_count; i++)
        add_file(&table, &model->files[i]);
}
