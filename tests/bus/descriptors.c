/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char *const scalars[] = {"",        "double",   "float",    "int64",  "uint64", "int32", "fixed64",
                                      "fixed32", "bool",     "string",   "",       "",       "bytes", "uint32",
                                      "",        "sfixed32", "sfixed64", "sint32", "sint64"};

/* Numbers of descriptor.proto. */
enum { ENUM = 14, MESSAGE = 11, OPTIONAL = 1, REPEATED = 3 };

static void release_field(ts_bytes *to, uint32_t number, ts_bytes *inside)
{
    ts_put_field(to, number, inside->data, inside->size);
    ts_bytes_release(inside);
}

static void put_member(ts_bytes *message, const char *name, unsigned number, const char *type)
{
    ts_bytes field = {0};
    char full[100];
    unsigned label = *type == '*' ? REPEATED : OPTIONAL;
    type += *type == '*';
    ts_put_text(&field, 1, name);
    ts_put_uint(&field, 3, number);
    ts_put_uint(&field, 4, label);
    unsigned kind = *type == ':' ? ENUM : MESSAGE;
    for (unsigned i = 1; i < sizeof scalars / sizeof *scalars; i++) {
        if (strcmp(type, scalars[i]) == 0)
            kind = i;
    }
    ts_put_uint(&field, 5, kind);
    if (kind == ENUM || kind == MESSAGE) {
        (void)snprintf(full, sizeof full, ".p.%s", type + (*type == ':'));
        ts_put_text(&field, 6, full);
    }
    release_field(message, 2, &field);
}

static void put_value(ts_bytes *type, const char *name, unsigned number)
{
    ts_bytes value = {0};
    ts_put_text(&value, 1, name);
    ts_put_uint(&value, 2, number);
    release_field(type, 2, &value);
}

/* One message or enum; returns what is behind it. */
static const char *put_type(ts_bytes *file, const char *text)
{
    ts_bytes type = {0};
    char name[64], kind[64];
    unsigned number;
    int size = 0;
    bool entry = *text == '%';
    bool is_enum = *text == ':';
    text += entry || is_enum;
    ck_assert_int_eq(sscanf(text, " %63[A-Za-z0-9_] {%n", name, &size), 1);
    ts_put_text(&type, 1, name);
    for (text += size; *(text += strspn(text, " ;")) != '}'; text += size) {
        size = 0;
        if (is_enum) {
            ck_assert_int_eq(sscanf(text, "%63[A-Za-z0-9_]=%u%n", name, &number, &size), 2);
            put_value(&type, name, number);
        } else {
            ck_assert_int_eq(sscanf(text, "%63[A-Za-z0-9_]=%u %63[A-Za-z0-9_*:]%n", name, &number, kind, &size), 3);
            put_member(&type, name, number, kind);
        }
    }
    if (entry) {
        ts_bytes options = {0};
        ts_put_uint(&options, 7, 1);
        release_field(&type, 7, &options);
    }
    release_field(file, is_enum ? 5 : 4, &type);
    return text + 1;
}

void ts_put_file(ts_bytes *set, const char *file, const char *text)
{
    ts_bytes descriptor = {0};
    ts_put_text(&descriptor, 1, file);
    ts_put_text(&descriptor, 2, "p");
    for (text += strspn(text, " "); *text; text += strspn(text, " "))
        text = put_type(&descriptor, text);
    ts_put_text(&descriptor, 12, "proto3");
    release_field(set, 1, &descriptor);
}

ts_bytes ts_set_of(const char *text)
{
    ts_bytes set = {0};
    ts_put_file(&set, "p.proto", text);
    return set;
}
