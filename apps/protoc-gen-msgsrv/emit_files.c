/* SPDX-License-Identifier: MIT */
/*
 * The embedded descriptors of NAME.msgsrv.c: the file's own, and those of imports that no other generated code brings along, so that
 * whoever has the file has all that it imports.
 */
#include <stdlib.h>
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

/*
 * A file that is embedded. What it imports is less deep, and so comes first; otherwise the name decides: the order in
 * the request depends on what else is generated.
 */
typedef struct embedded {
    const msi_file *file;
    size_t depth;
} embedded;

/* Which imports get an object of their own here. By the index of a file: */
typedef struct embedding {
    msi_arena *arena;
    msi_buffer *out;
    const msi_model *model;
    const msi_file *file;
    const char *own; /* the name of its object */
    bool *here;      /* embedded here */
    bool *included;  /* defined by the code of an import that this one includes */
    size_t *depth;   /* of those embedded here: how many more of them are below at most */
    size_t *number;  /* their place */
    size_t count;
} embedding;

static size_t index_of(const embedding *what, const msi_file *file)
{
    return (size_t)(file - what->model->files);
}

/* One import of a file. Files come after what they import; what does not is no import that can be had. */
static const msi_file *import_of(const embedding *what, const msi_file *file, size_t index)
{
    const msi_file *import = msi_model_file(what->model, file->proto->dependency[index]);

    return import != NULL && import < file ? import : NULL;
}

/* All of the file's imports, however deep, that are not defined elsewhere. */
static void find_embedded(embedding *what)
{
    size_t at = index_of(what, what->file), i, j;

    for (i = at + 1; i-- > 0;) {
        const msi_file *file = &what->model->files[i];

        for (j = 0; (i == at || what->here[i]) && j < file->proto->dependency_count; j++) {
            const msi_file *import = import_of(what, file, j);

            if (import != NULL && !what->included[index_of(what, import)])
                what->here[index_of(what, import)] = true;
        }
    }
    for (i = 0; i < at; i++)
        what->count += what->here[i];
}

static int compare_embedded(const void *a, const void *b)
{
    const embedded *left = a, *right = b;

    if (left->depth != right->depth)
        return left->depth < right->depth ? -1 : 1;
    return strcmp(left->file->proto->name, right->file->proto->name);
}

/* What is embedded, in its order. */
static embedded *sort_embedded(const embedding *what)
{
    embedded *list = msi_arena_array(what->arena, what->count, sizeof *list);
    size_t count = 0, i, j;

    for (i = 0; i < what->model->file_count; i++) {
        const msi_file *file = &what->model->files[i];

        for (j = 0; what->here[i] && j < file->proto->dependency_count; j++) {
            const msi_file *import = import_of(what, file, j);

            if (import != NULL && what->here[index_of(what, import)] &&
                what->depth[i] <= what->depth[index_of(what, import)])
                what->depth[i] = what->depth[index_of(what, import)] + 1;
        }
        if (what->here[i])
            list[count++] = (embedded){.file = file, .depth = what->depth[i]};
    }
    qsort(list, count, sizeof *list, compare_embedded);
    for (i = 0; i < count; i++)
        what->number[index_of(what, list[i].file)] = i;
    return list;
}

static const char *id_of(const embedding *what, const msi_file *file)
{
    if (what->here[index_of(what, file)])
        return msi_arena_printf(what->arena, "%s_import_%zu", what->own, what->number[index_of(what, file)]);
    return msi_arena_printf(what->arena, "%s_proto_file", msi_file_id(what->arena, file->stem));
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
        const msi_file *import = import_of(what, file, i);

        if (import == NULL)
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
    if (!msi_raw_file(what->model->request, what->model->request_size, index_of(what, file), file == what->file, &bytes) ||
        bytes.full)
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
    const embedded *list;
    size_t i;

    what.own = msi_arena_printf(arena, "%s_proto_file", msi_file_id(arena, file->stem));
    what.here = msi_arena_array(arena, model->file_count, sizeof *what.here);
    what.included = msi_arena_array(arena, model->file_count, sizeof *what.included);
    what.depth = msi_arena_array(arena, model->file_count, sizeof *what.depth);
    what.number = msi_arena_array(arena, model->file_count, sizeof *what.number);
    for (i = 0; i < file->proto->dependency_count; i++) {
        const msi_file *import = msi_import_needed(model, file, i);

        if (import != NULL)
            what.included[index_of(&what, import)] = true;
    }
    find_embedded(&what);
    list = sort_embedded(&what);
    for (i = 0; i < what.count; i++)
        emit_one(&what, list[i].file);
    emit_one(&what, file);
}
