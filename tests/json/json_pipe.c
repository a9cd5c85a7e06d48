/* SPDX-License-Identifier: MIT */
/*
 * JSON and wire bytes through pipes: json_pipe DESCRIPTOR_SET reads lines "DIRECTION TYPE OPTIONS BASE64", where DIRECTION is "json" (from wire)
 * or "wire" (from JSON) and OPTIONS letters (see options_of()) or "-", and answers each with "ok BASE64" or "error CODE TEXT".
 */
#include <msgsrv/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "schema/json.h"
#include "wire/varint.h"

#define FILE_FIELD 1 /* FileDescriptorSet.file */

static void stop(const char *what, const char *more)
{
    fprintf(stderr, "json_pipe: %s: %s\n", what, more);
    exit(1);
}

static msi_buf read_file(const char *name)
{
    msi_buf all = {0};
    char part[4096];
    size_t size;
    FILE *file = fopen(name, "rb");
    if (!file)
        stop(name, "cannot be opened");
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        if (!msi_buf_append(&all, part, size))
            stop(name, "no memory");
    }
    fclose(file);
    return all;
}

static msgsrv_schema *load(const char *name)
{
    msgsrv_schema *schema;
    msgsrv_error error = {.code = MSGSRV_OK};
    msi_buf all = read_file(name);
    if (msgsrv_schema_new(&schema, &error))
        stop(name, error.text);
    const uint8_t *at = all.data;
    const uint8_t *end = at + all.len;
    while (at && at < end) {
        msi_wire_field field = {0};
        at = msi_wire_field_get(at, end, &field);
        if (!at || field.number != FILE_FIELD || field.type != MSI_WIRE_BYTES)
            stop(name, "not a FileDescriptorSet");
        if (msgsrv_schema_add(schema, field.bytes.data, field.bytes.size, &error))
            stop(name, error.text);
    }
    msi_buf_release(&all);
    return schema;
}

static msgsrv_json_options options_of(const char *letters)
{
    return (msgsrv_json_options){
        .size = sizeof(msgsrv_json_options),
        .proto_names = strchr(letters, 'p') != NULL,
        .enum_numbers = strchr(letters, 'e') != NULL,
        .all_fields = strchr(letters, 'a') != NULL,
        .ignore_unknown = strchr(letters, 'i') != NULL,
        .keep_unknown = strchr(letters, 'k') != NULL,
        .indent = strchr(letters, '2') ? 2 : 0,
    };
}

static void answer(const msgsrv_schema *schema, char *line)
{
    const char *direction = strtok(line, " \n");
    const char *type = strtok(NULL, " \n");
    const char *letters = strtok(NULL, " \n");
    const char *encoded = strtok(NULL, " \n");
    if (!direction || !type || !letters)
        stop("a line", "has fewer than three words");
    msgsrv_json_options options = options_of(letters);
    msgsrv_error error = {.code = MSGSRV_OK};
    msi_buf given = {0};
    msi_buf out = {0};
    bool no_memory = false;
    if (encoded && !msi_base64_read(encoded, strlen(encoded), &given, &no_memory))
        stop("a line", "has no base64");
    void *data = NULL;
    size_t size = 0;
    msgsrv_status status;
    if (strcmp(direction, "json") == 0)
        status = msgsrv_json_from_wire(schema, type, given.data, given.len, &options, (char **)&data, &size, &error);
    else
        status = msgsrv_json_to_wire(schema, type, given.data ? (const char *)given.data : "", given.len, &options,
                                     &data, &size, &error);
    if (status)
        printf("error %s %s\n", msgsrv_status_name(status), error.text);
    else if (msi_json_put_base64(&out, data, size))
        printf("ok %.*s\n", (int)(out.len - 2), (const char *)out.data + 1);
    fflush(stdout);
    free(data);
    msi_buf_release(&given);
    msi_buf_release(&out);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        stop("usage", "json_pipe DESCRIPTOR_SET");
    msgsrv_schema *schema = load(argv[1]);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0)
        answer(schema, line);
    free(line);
    msgsrv_schema_free(schema);
    return 0;
}
