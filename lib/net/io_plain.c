/* SPDX-License-Identifier: MIT */
/*
 * Reading and flushing of a plain socket. Not through the bufferevent's own callbacks: those read 4,096 bytes at a time after an ioctl,
 * touch epoll for every write, and may raise SIGPIPE (docs/performance.md has what each costs).
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/limits.h"
#include "net/conn.h"

#define FLUSH_PARTS 16

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* What recv's result means for the connection; true when there is data. */
static bool received(msi_conn *conn, ssize_t got)
{
    if (got > 0) {
        msi_count(&conn->loop->counters.bytes_received, (uint64_t)got);
        return true;
    }
    if (got == 0)
        msi_conn_received_eof(conn);
    else if (!would_block())
        msi_conn_close(conn, MSI_CLOSE_PEER);
    return false;
}

/* The beginning of the frame is copied in front of the receive buffer, where the rest joins it. */
static void read_behind_small(msi_conn *conn, uint8_t *buffer)
{
    ssize_t got = recv(conn->fd, buffer, MSI_RECV_SIZE, 0);
    if (!received(conn, got))
        return;
    size_t before = conn->stash.len;
    if (before) {
        memcpy(buffer - before, conn->stash.data, before);
        msi_conn_set_stash(conn, 0);
    }
    msi_conn_received(conn, buffer - before, before + (size_t)got);
}

/* Makes the stash longer, but never by more than what has come already: a length alone costs no memory. */
static bool grow_stash(msi_conn *conn)
{
    size_t want = conn->stash.len * 2;
    if (conn->need && want > conn->need)
        want = conn->need;
    if (conn->stash.cap >= want && conn->stash.cap > conn->stash.len)
        return true;
    msi_buf larger = msi_pool_get(&conn->loop->pool, want);
    if (!larger.cap)
        return false;
    memcpy(larger.data, conn->stash.data, conn->stash.len);
    larger.len = conn->stash.len;
    msi_pool_put(&conn->loop->pool, &conn->stash);
    conn->stash = larger;
    return true;
}

/* A large frame is read right behind its beginning; what comes after it, into the receive buffer. */
static void read_large(msi_conn *conn, uint8_t *buffer)
{
    if (!grow_stash(conn)) {
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
        return;
    }
    size_t before = conn->stash.len;
    size_t room = conn->stash.cap - before;
    bool whole = conn->need && conn->need - before <= room;
    if (whole)
        room = conn->need - before;
    struct iovec parts[2] = {{conn->stash.data + before, room}, {buffer, MSI_RECV_SIZE}};
    ssize_t got = readv(conn->fd, parts, whole ? 2 : 1);
    if (!received(conn, got))
        return;
    size_t first = (size_t)got < room ? (size_t)got : room;
    size_t rest = (size_t)got - first;
    /* The stash is lent to msi_conn_received(), which may put something else in its place. */
    msi_buf frame = conn->stash;
    conn->stash = (msi_buf){0};
    msi_uncount(&conn->loop->counters.input_buffered_bytes, before);
    msi_conn_received(conn, frame.data, before + first);
    if (rest && !conn->closed) {
        if (conn->stash.len == 0)
            msi_conn_received(conn, buffer, rest);
        else if (!msi_buf_append(&conn->stash, buffer, rest))
            msi_conn_close(conn, MSI_CLOSE_MEMORY);
        else
            msi_count(&conn->loop->counters.input_buffered_bytes, rest);
    }
    msi_pool_put(&conn->loop->pool, &frame);
}

static void plain_read(msi_conn *conn)
{
    msi_loop *loop = conn->loop;
    if (!loop->recv_buf)
        loop->recv_buf = malloc(MSI_STASH_SMALL + MSI_RECV_SIZE);
    if (!loop->recv_buf) {
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
        return;
    }
    uint8_t *buffer = loop->recv_buf + MSI_STASH_SMALL;
    if (conn->stash.len > MSI_STASH_SMALL)
        read_large(conn, buffer);
    else
        read_behind_small(conn, buffer);
}

/* Sends the collected bytes of this connection. */
static bool flush_collected(msi_conn *conn)
{
    const uint8_t *data = conn->out->buf.data;
    size_t size = conn->out->buf.len;
    conn->out->owner = NULL;
    conn->out->buf.len = 0;
    conn->out = NULL;
    if (size == 0)
        return true;
    ssize_t sent = send(conn->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) {
        msi_conn_write_failed(conn);
        return false;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    msi_count(&conn->loop->counters.bytes_sent, done);
    conn->sent += done;
    return done == size || msi_conn_keep_output(conn, data + done, size - done);
}

/* Sends what waits. 1: all; 0: not all, with or without progress as *progress says; -1: closed. */
static int flush_waiting(msi_conn *conn, bool *progress)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    while (evbuffer_get_length(output)) {
        struct evbuffer_iovec parts[FLUSH_PARTS];
        int count = evbuffer_peek(output, -1, NULL, parts, FLUSH_PARTS);
        struct iovec vectors[FLUSH_PARTS];
        size_t total = 0;
        if (count > FLUSH_PARTS)
            count = FLUSH_PARTS;
        for (int i = 0; i < count; i++) {
            vectors[i] = (struct iovec){parts[i].iov_base, parts[i].iov_len};
            total += parts[i].iov_len;
        }
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)count};
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (would_block())
                return 0;
            msi_conn_write_failed(conn);
            return -1;
        }
        msi_count(&conn->loop->counters.bytes_sent, (uint64_t)sent);
        conn->sent += (uint64_t)sent;
        *progress = true;
        evbuffer_drain(output, (size_t)sent);
        if ((size_t)sent < total)
            return 0;
    }
    return 1;
}

static void plain_flush(msi_conn *conn)
{
    bool progress = false;
    if (conn->out) {
        if (!flush_collected(conn))
            return;
    } else if (!conn->blocked && flush_waiting(conn, &progress) < 0) {
        return;
    }
    msi_conn_flushed(conn, progress);
}

const msi_io msi_io_plain = {plain_read, plain_flush};
