/* SPDX-License-Identifier: MIT */
/*
 * Names; see names.h. Letters are ASCII's, whatever the locale: so protoc's are.
 */
#include <stddef.h>
#include <string.h>

#include "names.h"

static const char *const c_words[] = {"auto", "break", "case", "char", "const", "continue", "default", "do", "double",
                                      "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long",
                                      "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct",
                                      "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "_Alignas",
                                      "_Alignof", "_Atomic", "_Bool", "_Complex", "_Generic", "_Imaginary", "_Noreturn",
                                      "_Static_assert", "_Thread_local", "asm", "typeof",
                                      /* macros of the headers that generated code includes, and GNU C's own */
                                      "NULL", "bool", "true", "false", "errno", "linux", "unix"};

static const char *const cxx_words[] = {
    "alignas",     "alignof",   "and",      "and_eq",           "bitand",       "bitor",
    "catch",       "char16_t",  "char32_t", "char8_t",          "class",        "co_await",
    "co_return",   "co_yield",  "compl",    "concept",          "const_cast",   "consteval",
    "constexpr",   "constinit", "decltype", "delete",           "dynamic_cast", "explicit",
    "export",      "friend",    "mutable",  "namespace",        "new",          "noexcept",
    "not",         "not_eq",    "nullptr",  "operator",         "or",           "or_eq",
    "private",     "protected", "public",   "reinterpret_cast", "requires",     "static_assert",
    "static_cast", "template",  "this",     "thread_local",     "throw",        "try",
    "typeid",      "typename",  "using",    "virtual",          "wchar_t",      "xor",
    "xor_eq"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_of(const char *name, size_t size)
{
    size_t i;

    if (size == 0 || !is_letter(name[0]))
        return false;
    for (i = 1; i < size; i++)
        if (!is_letter(name[i]) && !is_digit(name[i]))
            return false;
    return true;
}

bool msi_is_identifier(const char *name)
{
    return name != NULL && is_identifier_of(name, strlen(name));
}

bool msi_is_dotted_name(const char *name)
{
    if (name == NULL)
        return false;
    for (;;) {
        size_t size = strcspn(name, ".");

        if (!is_identifier_of(name, size))
            return false;
        if (name[size] == '\0')
            return true;
        name += size + 1;
    }
}

static bool is_path_part(const char *part, size_t size)
{
    size_t i;

    if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
        return false;
    for (i = 0; i < size; i++)
        if ((unsigned char)part[i] < ' ' || part[i] == 0x7f || strchr("\"\\*<>", part[i]) != NULL)
            return false;
    return true;
}

bool msi_is_file_name(const char *name)
{
    if (name == NULL)
        return false;
    for (;;) {
        size_t size = strcspn(name, "/");

        if (!is_path_part(name, size))
            return false;
        if (name[size] == '\0')
            return true;
        name += size + 1;
    }
}

static bool is_in(const char *const *words, size_t count, const char *name)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

bool msi_is_c_word(const char *name)
{
    return is_in(c_words, sizeof c_words / sizeof *c_words, name);
}

bool msi_is_cxx_word(const char *name)
{
    return is_in(cxx_words, sizeof cxx_words / sizeof *cxx_words, name);
}

char *msi_c_name(msi_arena *arena, const char *dotted)
{
    char *name = msi_arena_text(arena, dotted, strlen(dotted));
    char *c;

    for (c = name; *c != '\0'; c++)
        if (*c == '.')
            *c = '_';
    return name;
}

char *msi_file_stem(msi_arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash != NULL ? slash + 1 : file;
    const char *dot = strrchr(base, '.');

    /* As nanopb does: a name that only begins with a dot has no extension. */
    return msi_arena_text(arena, file, dot != NULL && dot != base ? (size_t)(dot - file) : strlen(file));
}

char *msi_include_guard(msi_arena *arena, const char *stem)
{
    char *guard = msi_arena_printf(arena, "%s_MSGSRV_H", stem);
    char *c;

    for (c = guard; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (!is_letter(*c) && !is_digit(*c))
            *c = '_';
    }
    return is_digit(guard[0]) ? msi_arena_printf(arena, "PROTO_%s", guard) : guard;
}

char *msi_file_id(msi_arena *arena, const char *stem)
{
    char *id = msi_arena_printf(arena, "%s%s", is_digit(*stem) ? "file_" : "", stem);
    char *c;

    for (c = id; *c != '\0'; c++)
        if (!is_letter(*c) && !is_digit(*c))
            *c = '_';
    return id;
}
