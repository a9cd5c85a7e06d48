/* SPDX-License-Identifier: MIT */
/*
 * The embedded descriptors of NAME.msgsrv.c: the file's own, and those of imports that no other generated code brings along, so that
 * whoever has the file has all that it imports.
 */
#include <string.h>

#include "emit.h"
#include "imports.h"
#include "names.h"
#include "raw_files.h"

#define BYTES_IN_LINE 16
#define MAX_FILE ((size_t)16 * 1024 * 1024)

/* clang-format off */

static const char file_text[] =
    "\n"
    "$storage$const msgsrv_proto_file $id$ = {\n"
    "    .name = \"$name$\",\n"
    "    .descriptor = $id$_bytes,\n"
    "    .descriptor_size = sizeof $id$_bytes,\n"
    "    .imports = $imports$,\n"
    "};\n";

/* clang-format on */

/* Which imports get an object of their own here, by the index of a file. */
typedef struct embedding {
    msi_arena *arena;
    msi_buffer *out;
    const msi_model *model;
    const msi_file *file;
    bool *here;     /* embedded here */
    bool *included; /* defined by the code of an import that this one includes */
} embedding;

static size_t index_of(const embedding *what, const msi_file *file)
{
    return (size_t)(file - what->model->files);
}

/* All of a file's imports, however deep, that are not defined elsewhere. Files come after what they import, so this ends. */
static void mark(embedding *what, const msi_file *file)
{
    size_t i;

    for (i = 0; i < file->proto->dependency_count; i++) {
        const msi_file *import = msi_model_file(what->model, file->proto->dependency[i]);

        if (import == NULL || import >= file || what->included[index_of(what, import)] ||
            what->here[index_of(what, import)])
            continue;
        what->here[index_of(what, import)] = true;
        mark(what, import);
    }
}

static const char *id_of(const embedding *what, const msi_file *file)
{
    const char *own = msi_file_id(what->arena, what->file->stem);

    if (file == what->file || what->included[index_of(what, file)])
        return msi_arena_printf(what->arena, "%s_proto_file", msi_file_id(what->arena, file->stem));
    return msi_arena_printf(what->arena, "%s_import_%zu", own, index_of(what, file));
}

static void emit_bytes(msi_buffer *out, const char *id, const unsigned char *bytes, size_t size)
{
    size_t i;

    msi_buffer_printf(out, "\nstatic const unsigned char %s_bytes[] = {", id);
    for (i = 0; i < size; i++)
        msi_buffer_printf(out, "%s0x%02x,", i % BYTES_IN_LINE == 0 ? "\n    " : " ", bytes[i]);
    msi_buffer_puts(out, "\n};\n");
}

/* The list of a file's imports; "NULL" when there are none. */
static const char *emit_imports(const embedding *what, const msi_file *file, const char *id)
{
    size_t count = 0, i;

    for (i = 0; i < file->proto->dependency_count; i++) {
        const msi_file *import = msi_model_file(what->model, file->proto->dependency[i]);

        if (import == NULL || import >= file)
            continue;
        if (count++ == 0)
            msi_buffer_printf(what->out, "\nstatic const msgsrv_proto_file *const %s_imports[] = {\n", id);
        msi_buffer_printf(what->out, "    &%s,\n", id_of(what, import));
    }
    if (count == 0)
        return "NULL";
    msi_buffer_puts(what->out, "    NULL,\n};\n");
    return msi_arena_printf(what->arena, "%s_imports", id);
}

static void emit_one(const embedding *what, const msi_file *file)
{
    const char *id = id_of(what, file);
    msi_buffer bytes;

    msi_buffer_init(&bytes, MAX_FILE);
    (void)msi_raw_file(what->model->request, what->model->request_size, index_of(what, file), file == what->file, &bytes);
    if (bytes.full || bytes.size == 0)
        what->out->full = true;
    else
        emit_bytes(what->out, id, (const unsigned char *)bytes.data, bytes.size);
    msi_buffer_release(&bytes);
    {
        const msi_value values[] = {{"storage", file == what->file ? "" : "static "},
                                    {"id", id},
                                    {"name", file->proto->name},
                                    {"imports", emit_imports(what, file, id)},
                                    {NULL, NULL}};

        msi_template(what->out, values, file_text);
    }
}

void msi_emit_files(msi_arena *arena, msi_buffer *out, const msi_model *model, const msi_file *file)
{
    embedding what = {.arena = arena, .out = out, .model = model, .file = file};
    size_t i;

    what.here = msi_arena_array(arena, model->file_count, sizeof *what.here);
    what.included = msi_arena_array(arena, model->file_count, sizeof *what.included);
    for (i = 0; i < file->proto->dependency_count; i++) {
        const msi_file *import = msi_import_needed(model, file, i);

        if (import != NULL)
            what.included[index_of(&what, import)] = true;
    }
    mark(&what, file);
    for (i = 0; i < model->file_count; i++)
        if (what.here[i])
            emit_one(&what, &model->files[i]);
    emit_one(&what, file);
}
