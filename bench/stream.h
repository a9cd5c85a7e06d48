/* SPDX-License-Identifier: MIT */
/*
 * A non-blocking socket on which frames come and go, as both sides of the benchmark use it. All
 * streams of a program share one large input buffer and one output buffer; a stream owns memory
 * only while a frame has come in part, or while the socket did not take all output. So there is
 * one read and one write per wake-up, and what was read is copied only where it must wait.
 * Single thread. Running out of memory ends the program: a benchmark has no better answer.
 */
#ifndef MSGSRV_BENCH_STREAM_H
#define MSGSRV_BENCH_STREAM_H

#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define INPUT_SIZE (256u * 1024) /* bytes taken from a socket per wake-up, at most */

/* Bytes from `off` to `len` of `data` are in use. */
struct buffer {
    unsigned char *data;
    size_t off, len, size;
};

struct stream {
    int fd;
    unsigned head_len;                    /* bytes in use of `head` */
    unsigned char head[FRAME_HEADER_MAX]; /* a header that has not come whole */
    size_t need;                          /* size of the frame in `partial`; 0: there is none */
    struct buffer partial;                /* the beginning of a frame, always from offset 0 */
    struct buffer pending;                /* output that the socket has not taken yet */
};

/* What all streams of the program share. */
struct shared {
    unsigned char *input; /* INPUT_SIZE bytes */
    struct buffer output; /* written by the wake-up that is being served */
};

/* STREAM_AGAIN: all that had come was served. */
enum stream_state { STREAM_AGAIN, STREAM_EOF, STREAM_ERROR };

/* Takes the `len` bytes of a frame's content; false ends the stream. */
typedef bool frame_fn(void *arg, uint32_t number, const unsigned char *data, size_t len);

static inline void *must_alloc(void *old, size_t size)
{
    void *block = realloc(old, size);

    if (block == NULL) {
        perror("out of memory");
        exit(1);
    }
    return block;
}

/* Returns where `more` bytes can be appended. Memory once taken is kept until the stream ends. */
static inline unsigned char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->len + more <= buffer->size)
        return buffer->data + buffer->len;
    if (buffer->off > 0) {
        memmove(buffer->data, buffer->data + buffer->off, buffer->len - buffer->off);
        buffer->len -= buffer->off;
        buffer->off = 0;
    }
    if (buffer->len + more > buffer->size) {
        buffer->size = (buffer->len + more) * 3 / 2;
        buffer->data = must_alloc(buffer->data, buffer->size);
    }
    return buffer->data + buffer->len;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    memcpy(buffer_reserve(buffer, len), data, len);
    buffer->len += len;
}

static inline bool stream_has_pending(const struct stream *stream)
{
    return stream->pending.len > 0;
}

/* Keeps the rest of the input, which is less than a frame, for the next wake-up. */
static inline void stream_keep(struct stream *stream, const unsigned char *p, size_t len, size_t need)
{
    if (need == 0) {
        memcpy(stream->head, p, len);
        stream->head_len = (unsigned)len;
        return;
    }
    stream->partial.len = 0;
    buffer_reserve(&stream->partial, need);
    buffer_append(&stream->partial, p, len);
    stream->need = need;
}

/* Serves each whole frame of the input; false when one is malformed or refused. */
static inline bool stream_split(struct stream *stream, const unsigned char *p, size_t len, frame_fn *on_frame, void *arg)
{
    struct frame frame;

    while (len > 0) {
        enum frame_state state = get_frame(p, len, &frame);
        size_t size = state == FRAME_WHOLE ? frame.header + frame.len : 0;

        if (state == FRAME_BAD)
            return false;
        if (state == FRAME_SHORT || size > len) {
            stream_keep(stream, p, len, size);
            return true;
        }
        if (!on_frame(arg, frame.number, p + frame.header, frame.len))
            return false;
        p += size;
        len -= size;
    }
    return true;
}

static inline enum stream_state stream_read_failed(ssize_t got)
{
    if (got == 0)
        return STREAM_EOF;
    return errno == EAGAIN || errno == EINTR ? STREAM_AGAIN : STREAM_ERROR;
}

/* One read that first completes the frame in `partial`, and then fills the shared input. */
static inline enum stream_state stream_read_rest(struct stream *stream, struct shared *shared, frame_fn *on_frame,
                                                 void *arg)
{
    struct buffer *partial = &stream->partial;
    size_t missing = stream->need - partial->len;
    struct iovec to[2] = {{partial->data + partial->len, missing}, {shared->input, INPUT_SIZE}};
    ssize_t got = readv(stream->fd, to, 2);

    if (got <= 0)
        return stream_read_failed(got);
    if ((size_t)got < missing) {
        partial->len += (size_t)got;
        return STREAM_AGAIN;
    }
    partial->len = stream->need;
    stream->need = 0;
    if (!stream_split(stream, partial->data, partial->len, on_frame, arg))
        return STREAM_ERROR;
    if (!stream_split(stream, shared->input, (size_t)got - missing, on_frame, arg))
        return STREAM_ERROR;
    return STREAM_AGAIN;
}

/* One read of the socket, and `on_frame` for each frame that is whole now. */
static inline enum stream_state stream_read(struct stream *stream, struct shared *shared, frame_fn *on_frame, void *arg)
{
    size_t head = stream->head_len;
    ssize_t got;

    if (stream->need > 0)
        return stream_read_rest(stream, shared, on_frame, arg);
    got = read(stream->fd, shared->input + head, INPUT_SIZE - head);
    if (got <= 0)
        return stream_read_failed(got);
    if (head > 0) {
        memcpy(shared->input, stream->head, head);
        stream->head_len = 0;
    }
    if (!stream_split(stream, shared->input, (size_t)got + head, on_frame, arg))
        return STREAM_ERROR;
    return STREAM_AGAIN;
}

/* Writes what is pending; false when the socket is broken. */
static inline bool stream_write_pending(struct stream *stream)
{
    struct buffer *pending = &stream->pending;
    ssize_t put = write(stream->fd, pending->data + pending->off, pending->len - pending->off);

    if (put < 0)
        return errno == EAGAIN || errno == EINTR;
    pending->off += (size_t)put;
    if (pending->off == pending->len)
        pending->off = pending->len = 0;
    return true;
}

/* Writes the shared output, all of this wake-up, at once; what is not taken becomes pending. */
static inline bool stream_write(struct stream *stream, struct shared *shared)
{
    struct buffer *output = &shared->output;
    size_t len = output->len;
    ssize_t put;

    output->len = 0;
    if (stream_has_pending(stream)) {
        buffer_append(&stream->pending, output->data, len);
        return true;
    }
    if (len == 0)
        return true;
    put = write(stream->fd, output->data, len);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    put = put < 0 ? 0 : put;
    if ((size_t)put < len)
        buffer_append(&stream->pending, output->data + put, len - (size_t)put);
    return true;
}

static inline void stream_close(struct stream *stream)
{
    close(stream->fd);
    free(stream->partial.data);
    free(stream->pending.data);
}

#endif
