/* SPDX-License-Identifier: MIT */
/*
 * .options files; see options_file.h. The rules of where they are, what is a comment and which names a
 * pattern means are nanopb's (nanopb_generator.py: parse_file, read_options_file, get_nanopb_suboptions).
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options_file.h"
#include "request.h"

static const char *join(msi_arena *arena, const char *folder, const char *name)
{
    if (*name == '/' || *folder == '\0')
        return msi_arena_text(arena, name, strlen(name));
    return msi_arena_printf(arena, "%s/%s", folder, name);
}

static bool is_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static const char *find(msi_arena *arena, const msi_params *params, const char *name, const char *more_path)
{
    const char *path;
    size_t i;

    if (is_file(name))
        return msi_arena_text(arena, name, strlen(name));
    for (i = 0; i < params->options_path_count; i++)
        if (is_file(path = join(arena, params->options_paths[i], name)))
            return path;
    path = join(arena, more_path, name);
    return is_file(path) ? path : NULL;
}

/* The whole file as one text; NULL with an error. A NUL ends it early, and nanopb refuses such a file. */
static char *read_text(msi_arena *arena, const char *path, msi_errors *errors)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *data = NULL;
    char *text = NULL;
    size_t size;

    if (descriptor >= 0)
        data = msi_read_all(descriptor, &size);
    if (data != NULL)
        text = msi_arena_text(arena, (const char *)data, size);
    else
        msi_error_line(errors, path, 0, "cannot be read: %s", strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
    free(data);
    return text;
}

/* Takes slash-star comments out of a line first, and then what follows two slashes or a hash. */
static void strip_comments(char *line)
{
    char *start, *end;

    while ((start = strstr(line, "/*")) != NULL && (end = strstr(start + 2, "*/")) != NULL)
        memmove(start, end + 2, strlen(end + 2) + 1);
    if ((start = strstr(line, "//")) != NULL)
        *start = '\0';
    line[strcspn(line, "#")] = '\0';
}

static void read_line(msi_arena *arena, msi_options_file *file, char *line, int number, msi_errors *errors)
{
    static const char blanks[] = " \t\r\v\f";
    msi_options_line *entry = &file->lines[file->line_count];
    size_t size;

    strip_comments(line);
    line += strspn(line, blanks);
    if (*line == '\0')
        return;
    size = strcspn(line, blanks);
    entry->pattern = msi_arena_text(arena, line, size);
    entry->number = number;
    if (msi_options_of_text(arena, line + size, &entry->list) && entry->list.count > 0)
        file->line_count++;
    else
        msi_error_line(errors, file->path, number, "a line must be a name and options: NAME option:value ...");
}

void msi_options_file_read(msi_arena *arena, const msi_params *params, const char *stem, const char *more_path,
                           msi_options_file *file, msi_errors *errors)
{
    const char *name = params->options_file != NULL ? params->options_file : msi_arena_printf(arena, "%s.options", stem);
    size_t line_count = 1;
    char *text, *c;
    int number;

    memset(file, 0, sizeof *file);
    file->path = find(arena, params, name, more_path);
    if (file->path == NULL && params->options_file != NULL)
        msi_error_line(errors, name, 0, "there is no such options file");
    if (file->path == NULL || (text = read_text(arena, file->path, errors)) == NULL)
        return;
    for (c = text; *c != '\0'; c++)
        line_count += *c == '\n';
    file->lines = msi_arena_array(arena, line_count, sizeof *file->lines);
    for (number = 1; text != NULL; number++) {
        char *line = strsep(&text, "\n");

        read_line(arena, file, line, number, errors);
    }
}

void msi_options_file_apply(const msi_options_file *file, const char *full_name, msi_options *options)
{
    size_t i;

    for (i = 0; i < file->line_count; i++)
        if (fnmatch(file->lines[i].pattern, full_name, FNM_NOESCAPE) == 0)
            msi_options_apply(options, &file->lines[i].list);
}
