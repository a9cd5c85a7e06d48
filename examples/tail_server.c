/* SPDX-License-Identifier: MIT */
/* A remote `tail -f`: ./example-tail-server URL DIRECTORY serves the files below a directory, and nothing else. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msgsrv/msgsrv.h>

#include "tail.msgsrv.h"

struct file {
    struct file *next;
    FILE *in;
    off_t at;   /* behind the last line that was sent */
    char *path; /* below the directory */
};

/* Sends whole lines until there are no more (looks again later) or the client has enough (AGAIN: `writable` comes). */
static msgsrv_status follow(tail_Tail_Follow_server call, void *directory)
{
    tail_Line line = {NULL, NULL};
    size_t size = 0;
    ssize_t length;
    msgsrv_status st = MSGSRV_OK;
    (void)directory;
    for (struct file *f = msgsrv_stream_data(call.stream); !st && f && !fseeko(f->in, f->at, SEEK_SET); f = f->next) {
        line.path = f->path;
        while (!st && (length = getline(&line.text, &size, f->in)) > 0 && line.text[length - 1] == '\n') {
            line.text[length - 1] = '\0';
            st = tail_Tail_Follow_server_send(call, &line, NULL);
            f->at += st ? 0 : length;
        }
    }
    free(line.text);
    msgsrv_stream_wake_after(call.stream, 100);
    return st;
}

static msgsrv_status add(tail_Tail_Follow_server call, const tail_FollowRequest *request, void *directory)
{
    const char *path = request->path ? request->path : "";
    char real[PATH_MAX];
    size_t below = strlen(directory);
    int lines = request->lines;
    struct stat is;
    if (!realpath(path, real) || strncmp(real, directory, below) != 0 || real[below] != '/') /* nor a link out of it */
        return msgsrv_stream_fail(call.stream, MSGSRV_PERMISSION_DENIED, "no file here: %s", path);
    struct file *file = msgsrv_call_alloc(msgsrv_stream_call(call.stream), sizeof *file + strlen(real));
    if (!file || stat(real, &is) || !S_ISREG(is.st_mode) || !(file->in = fopen(real, "re")))
        return msgsrv_stream_fail(call.stream, MSGSRV_FAILED_PRECONDITION, "cannot open: %s", path);
    file->next = msgsrv_stream_data(call.stream);
    file->path = strcpy((char *)(file + 1), real + below + 1);
    file->at = is.st_size;
    msgsrv_stream_set_data(call.stream, file);
    for (; file->at > 0; file->at--)
        if (fseeko(file->in, file->at - 1, SEEK_SET) || (fgetc(file->in) == '\n' && lines-- <= 0))
            break;
    return follow(call, directory);
}

static void closed(tail_Tail_Follow_server call, const msgsrv_error *outcome, void *directory)
{
    (void)outcome, (void)directory;
    for (struct file *file = msgsrv_stream_data(call.stream); file; file = file->next)
        fclose(file->in);
}

int main(int argc, char **argv)
{
    tail_Tail_service tail = {
        .Follow = {.message = add, .half_close = follow, .writable = follow, .woken = follow, .closed = closed}};
    char *directory = argc == 3 && !chdir(argv[2]) ? realpath(".", NULL) : NULL;
    msgsrv_server *server = NULL;
    msgsrv_error err = {.text = "usage: example-tail-server URL DIRECTORY"};
    if (directory && !msgsrv_server_new(NULL, &server, &err) && !tail_Tail_register(server, &tail, directory, &err) &&
        !msgsrv_server_listen(server, argv[1], &err) && printf("listening on %s\n", msgsrv_server_address(server, 0)) &&
        !fflush(stdout) && !msgsrv_server_run(server, &err))
        return 0;
    return fprintf(stderr, "%s\n", err.text), 1;
}
