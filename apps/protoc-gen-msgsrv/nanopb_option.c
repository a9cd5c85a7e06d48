/* SPDX-License-Identifier: MIT */
/*
 * nanopb's options; see nanopb_option.h. The text is protobuf's text format, of which nanopb's options need
 * names, numbers, words, strings and lists of them. What nanopb itself refuses need not be told apart here.
 */
#include <stdlib.h>
#include <string.h>

#include <pb_decode.h>

#include "nanopb_option.h"

#define FIELD_CALLBACK "msgsrv_field_callback"
#define BYTES_TYPE "msgsrv_bytes"

/* Those that matter, by their numbers in nanopb.proto. */
enum {
    OPTION_MAX_COUNT = 2,
    OPTION_TYPE = 3,
    OPTION_SKIP_MESSAGE = 6,
    OPTION_MANGLE_NAMES = 17,
    OPTION_CALLBACK_DATATYPE = 18,
    OPTION_CALLBACK_FUNCTION = 19,
    OPTION_DEFAULT_HAS = 23,
    OPTION_PACKAGE = 25,
    OPTION_TYPE_OVERRIDE = 27,
    OPTION_FALLBACK_TYPE = 29
};

static const struct {
    int number;
    const char *name;
} known_options[] = {
    {OPTION_MAX_COUNT, "max_count"},
    {OPTION_TYPE, "type"},
    {OPTION_SKIP_MESSAGE, "skip_message"},
    {OPTION_MANGLE_NAMES, "mangle_names"},
    {OPTION_CALLBACK_DATATYPE, "callback_datatype"},
    {OPTION_CALLBACK_FUNCTION, "callback_function"},
    {OPTION_DEFAULT_HAS, "default_has"},
    {OPTION_PACKAGE, "package"},
    {OPTION_TYPE_OVERRIDE, "type_override"},
    {OPTION_FALLBACK_TYPE, "fallback_type"},
};

/* Words that stand for numbers. Other words stay as they are; they differ from "0" all the same. */
static const struct {
    const char *word;
    const char *number;
} words[] = {
    {"FT_DEFAULT", "0"}, {"FT_CALLBACK", "1"}, {"FT_STATIC", "2"}, {"FT_IGNORE", "3"}, {"FT_POINTER", "4"},
    {"FT_INLINE", "2"},  {"M_NONE", "0"},      {"false", "0"},     {"False", "0"},     {"f", "0"},
    {"true", "1"},       {"True", "1"},        {"t", "1"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void add(msi_arena *arena, msi_option_list *list, const char *name, int number, const char *value)
{
    bool is_full = (list->count & (list->count - 1)) == 0; /* room is made for 1, 2, 4, 8 ... */
    msi_option *option;

    if (is_full) {
        msi_option *bigger = msi_arena_array(arena, list->count > 0 ? 2 * list->count : 1, sizeof *bigger);

        if (list->count > 0)
            memcpy(bigger, list->options, list->count * sizeof *bigger);
        list->options = bigger;
    }
    option = &list->options[list->count++];
    option->name = name;
    option->number = number;
    option->value = value;
}

static int number_of(const char *name)
{
    size_t i;

    for (i = 0; i < COUNT(known_options); i++)
        if (strcmp(known_options[i].name, name) == 0)
            return known_options[i].number;
    return 0;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n\v\f");
}

/* The characters that names, numbers and words are made of. */
static size_t word_size(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.");
}

/*
 * Strings that follow each other are one. An escape stands for itself: no value that is asked for here has
 * any.
 */
static const char *take_string(msi_arena *arena, const char *text, const char **value)
{
    char *joined = msi_arena_alloc(arena, strlen(text) + 1);
    size_t size = 0;

    while (*text == '"' || *text == '\'') {
        char quote = *text++;

        for (; *text != '\0' && *text != quote; text++) {
            if (*text == '\\' && text[1] != '\0')
                joined[size++] = *text++;
            joined[size++] = *text;
        }
        if (*text == '\0')
            return NULL;
        text = skip_blanks(text + 1);
    }
    *value = joined;
    return text;
}

static const char *take_word(msi_arena *arena, const char *text, const char **value)
{
    size_t size = word_size(text);
    size_t i;

    if (size == 0)
        return NULL;
    *value = msi_arena_text(arena, text, size);
    for (i = 0; i < COUNT(words); i++)
        if (strcmp(words[i].word, *value) == 0)
            *value = words[i].number;
    return skip_blanks(text + size);
}

/* One value, or a list of them in brackets. Returns what follows; NULL when it is neither. */
static const char *take_values(msi_arena *arena, const char *text, const char *name, msi_option_list *list)
{
    bool brackets = *text == '[';

    text = brackets ? skip_blanks(text + 1) : text;
    for (;;) {
        const char *value;

        text = *text == '"' || *text == '\'' ? take_string(arena, text, &value) : take_word(arena, text, &value);
        if (text == NULL)
            return NULL;
        add(arena, list, name, number_of(name), value);
        if (!brackets)
            return text;
        if (*text == ']')
            return skip_blanks(text + 1);
        if (*text != ',')
            return NULL;
        text = skip_blanks(text + 1);
    }
}

bool msi_options_of_text(msi_arena *arena, const char *text, msi_option_list *list)
{
    memset(list, 0, sizeof *list);
    text = skip_blanks(text);
    while (*text != '\0') {
        size_t size = word_size(text);
        const char *name = msi_arena_text(arena, text, size);

        text = skip_blanks(text + size);
        if (size == 0 || *text != ':')
            return false;
        text = take_values(arena, skip_blanks(text + 1), name, list);
        if (text == NULL)
            return false;
        if (*text == ',' || *text == ';')
            text = skip_blanks(text + 1);
    }
    return true;
}

static bool take_bytes_value(msi_arena *arena, pb_istream_t *stream, pb_wire_type_t type, const char **value)
{
    if (type == PB_WT_VARINT) {
        uint64_t number;

        if (!pb_decode_varint(stream, &number))
            return false;
        *value = msi_arena_printf(arena, "%llu", (unsigned long long)number);
        return true;
    }
    if (type == PB_WT_STRING) {
        pb_istream_t inner;
        char *text;

        if (!pb_make_string_substream(stream, &inner))
            return false;
        text = msi_arena_alloc(arena, inner.bytes_left + 1);
        *value = text;
        return pb_read(&inner, (pb_byte_t *)text, inner.bytes_left) && pb_close_string_substream(stream, &inner);
    }
    *value = "";
    return pb_skip_field(stream, type);
}

/* The fields of one NanoPBOptions. */
static bool take_extension(msi_arena *arena, pb_istream_t *stream, msi_option_list *list)
{
    pb_wire_type_t type;
    uint32_t number;
    bool end;

    while (pb_decode_tag(stream, &type, &number, &end)) {
        const char *value;
        size_t i;

        if (!take_bytes_value(arena, stream, type, &value))
            return false;
        for (i = 0; i < COUNT(known_options); i++)
            if ((uint32_t)known_options[i].number == number)
                add(arena, list, known_options[i].name, known_options[i].number, value);
    }
    return end;
}

bool msi_options_of_bytes(msi_arena *arena, const pb_bytes_array_t *bytes, msi_option_list *list)
{
    pb_istream_t stream;
    pb_wire_type_t type;
    uint32_t number;
    bool end;

    memset(list, 0, sizeof *list);
    if (bytes == NULL)
        return true;
    stream = pb_istream_from_buffer(bytes->bytes, bytes->size);
    while (pb_decode_tag(&stream, &type, &number, &end)) {
        pb_istream_t inner;

        if (number != MSI_NANOPB_EXTENSION || type != PB_WT_STRING) {
            if (!pb_skip_field(&stream, type))
                return false;
        } else if (!pb_make_string_substream(&stream, &inner) || !take_extension(arena, &inner, list) ||
                   !pb_close_string_substream(&stream, &inner)) {
            return false;
        }
    }
    return end;
}

void msi_options_apply(msi_options *options, const msi_option_list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++) {
        const msi_option *option = &list->options[i];

        if (option->number == OPTION_TYPE)
            options->type = atoi(option->value);
        else if (option->number == OPTION_MAX_COUNT)
            options->has_max_count = true;
        else if (option->number == OPTION_DEFAULT_HAS)
            options->default_has = strcmp(option->value, "0") != 0;
        else if (option->number == OPTION_CALLBACK_DATATYPE)
            options->callback_datatype = option->value;
    }
}

const char *msi_option_objection(const msi_option *option)
{
    bool zero = strcmp(option->value, "0") == 0;

    switch (option->number) {
    case OPTION_MANGLE_NAMES:
        return zero ? NULL : "it renames the C types, which the generated code names";
    case OPTION_PACKAGE:
        return *option->value == '\0' ? NULL : "it renames the C types, which the generated code names";
    case OPTION_SKIP_MESSAGE:
        return zero ? NULL : "the generated code names every message of the file";
    case OPTION_TYPE_OVERRIDE:
        return "the generated code says of every field what type it has in the .proto";
    case OPTION_CALLBACK_FUNCTION:
        return strcmp(option->value, FIELD_CALLBACK) == 0 ? NULL
                                                          : "only \"" FIELD_CALLBACK
                                                            "\" knows the library's own types of fields";
    case OPTION_CALLBACK_DATATYPE:
        return strcmp(option->value, BYTES_TYPE) == 0 || strcmp(option->value, "pb_callback_t") == 0
                   ? NULL
                   : "the library knows \"" BYTES_TYPE "\" and nanopb's own \"pb_callback_t\"";
    case OPTION_FALLBACK_TYPE:
        return atoi(option->value) == MSI_FT_POINTER ? NULL
                                                     : "it must be FT_POINTER, or strings of requests would be lost";
    default:
        return NULL;
    }
}
