/* SPDX-License-Identifier: MIT */
/* The connection: what plain and TLS sockets have in common. */
#include "net/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

static void set_int(int fd, int level, int option, uint32_t value)
{
    int number = (int)value;
    (void)setsockopt(fd, level, option, &number, sizeof number); /* a socket without it works too */
}

static void set_options(const msi_conn *conn)
{
    if (conn->peer.family == AF_UNIX)
        return;
    set_int(conn->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (conn->limits->keepalive_idle_s == MSGSRV_NONE)
        return;
    set_int(conn->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, conn->limits->keepalive_idle_s);
    set_int(conn->fd, IPPROTO_TCP, TCP_KEEPINTVL, conn->limits->keepalive_interval_s);
    set_int(conn->fd, IPPROTO_TCP, TCP_KEEPCNT, conn->limits->keepalive_count);
}

msi_conn *msi_conn_new(msi_loop *loop, int fd, const msi_address *peer, const msi_conn_limits *limits,
                       const msi_conn_ops *ops, void *owner)
{
    msi_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    /* Without BEV_OPT_CLOSE_ON_FREE: libevent frees a bufferevent in a later turn of the loop, and the socket must be closed now. */
    conn->bev = bufferevent_socket_new(loop->base, fd, 0);
    if (!conn->bev) {
        free(conn);
        return NULL;
    }
    bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    evbuffer_unfreeze(bufferevent_get_output(conn->bev), 1);
    conn->loop = loop;
    conn->ops = ops;
    conn->io = &msi_io_plain;
    conn->limits = limits;
    conn->owner = owner;
    conn->fd = fd;
    conn->peer = *peer;
    event_assign(&conn->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->timer, loop->base, -1, 0, on_timer, conn);
    set_options(conn);
    TAILQ_INSERT_TAIL(&loop->conns, conn, all);
    return conn;
}

static bool start_reading(msi_conn *conn)
{
    if (!conn->reading)
        conn->reading = event_add(&conn->read_event, NULL) == 0;
    return conn->reading;
}

static void stop_reading(msi_conn *conn)
{
    if (conn->reading)
        event_del(&conn->read_event);
    conn->reading = false;
}

/* Timers are not moved when progress is made, only when they fire: a connection sets its timer at most once per limit. */
static void set_timer(msi_conn *conn, uint64_t due)
{
    if (due == 0 || conn->closed || (conn->timer_due && conn->timer_due <= due))
        return;
    conn->timer_due = due;
    if (!msi_timer_at(conn->loop, &conn->timer, due))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
}

bool msi_conn_start(msi_conn *conn)
{
    conn->first_byte_due = msi_after(msi_loop_now(conn->loop), conn->limits->first_byte_timeout_ms);
    set_timer(conn, conn->first_byte_due);
    return !conn->closed && start_reading(conn);
}

static void free_conn(msi_conn *conn)
{
    conn->ops->freed(conn);
    free(conn);
}

void msi_conn_unpin(msi_conn *conn)
{
    if (--conn->pins == 0 && conn->closed)
        free_conn(conn);
}

void msi_conn_set_stash(msi_conn *conn, size_t size)
{
    msi_uncount(&conn->loop->counters.input_buffered_bytes, conn->stash.len);
    conn->stash.len = size;
    if (size == 0)
        msi_pool_put(&conn->loop->pool, &conn->stash);
    msi_count(&conn->loop->counters.input_buffered_bytes, conn->stash.len);
}

static void set_waiting(msi_conn *conn, size_t waiting)
{
    msi_uncount(&conn->loop->counters.output_buffered_bytes, conn->waiting);
    conn->waiting = waiting;
    msi_count(&conn->loop->counters.output_buffered_bytes, waiting);
}

void msi_conn_close(msi_conn *conn, msi_close why)
{
    if (conn->closed)
        return;
    msi_loop *loop = conn->loop;
    conn->closed = true;
    stop_reading(conn);
    event_del(&conn->timer);
    if (conn->write_event)
        event_free(conn->write_event);
    conn->write_event = NULL;
    if (conn->out) {
        conn->out->owner = NULL;
        conn->out->buf.len = 0;
        conn->out = NULL;
    }
    if (conn->queued)
        TAILQ_REMOVE(&loop->dirty, conn, turn);
    conn->queued = false;
    TAILQ_REMOVE(&loop->conns, conn, all);
    msi_conn_set_stash(conn, 0);
    set_waiting(conn, 0);
    /* What a peer did not want to read must not stay in the kernel either. */
    if (why == MSI_CLOSE_SLOW_READER)
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    bufferevent_free(conn->bev);
    conn->bev = NULL;
    close(conn->fd);
    conn->fd = -1;
    conn->pins++;
    conn->ops->closed(conn, why);
    msi_conn_unpin(conn);
}

static void queue_turn(msi_conn *conn)
{
    if (!conn->queued && !conn->closed) {
        TAILQ_INSERT_TAIL(&conn->loop->dirty, conn, turn);
        conn->queued = true;
    }
    msi_loop_want_turn(conn->loop);
}

/* Input. */

static void watch_frame(msi_conn *conn, size_t taken, size_t came)
{
    if (!msi_conn_open(conn))
        return;
    bool unfinished = (conn->stash.len || conn->skip || conn->partial) && !conn->paused;
    if (!unfinished || conn->limits->frame_timeout_ms == 0) {
        conn->frame_due = 0;
        return;
    }
    bool same = taken == 0 && conn->frame_due;
    conn->frame_bytes = same ? conn->frame_bytes + (uint32_t)came : 0;
    if (same && conn->frame_bytes < MSI_PROGRESS_BYTES)
        return;
    conn->frame_bytes = 0;
    conn->frame_due = msi_after(msi_loop_now(conn->loop), conn->limits->frame_timeout_ms);
    set_timer(conn, conn->frame_due);
}

static bool keep_input(msi_conn *conn, const uint8_t *data, size_t size)
{
    if (conn->stash.cap < size) {
        msi_buf room = {0};
        if (size > MSI_STASH_SMALL)
            room = msi_pool_get(&conn->loop->pool, size);
        else
            (void)msi_buf_grow(&room, size);
        if (!room.cap)
            return false;
        msi_pool_put(&conn->loop->pool, &conn->stash);
        conn->stash = room;
    }
    memmove(conn->stash.data, data, size);
    conn->stash.len = size;
    msi_count(&conn->loop->counters.input_buffered_bytes, size);
    return true;
}

/* Hands over what is whole, throws away what is to be skipped, and says how much is done with. */
static size_t hand_over(msi_conn *conn, const uint8_t *data, size_t size)
{
    size_t done = 0;
    for (;;) {
        size_t skipped = conn->skip < size - done ? conn->skip : size - done;
        conn->skip -= skipped;
        done += skipped;
        if (done == size || conn->skip || conn->paused || conn->finishing || conn->closed)
            return done;
        conn->need = 0;
        done += conn->ops->input(conn, data + done, size - done);
        if (conn->skip == 0)
            return done;
    }
}

void msi_conn_received(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_conn_pin(conn);
    conn->first_byte_due = 0;
    size_t skipping = conn->skip;
    bool partial = conn->partial;
    size_t done = hand_over(conn, data, size);
    bool over = conn->finishing || conn->closed;
    if (!over && done < size && !keep_input(conn, data + done, size - done))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
    /* A frame that is skipped is one that goes on, as long as all that came was part of it; so is one that the owner takes in parts. */
    size_t came = size - (conn->frame_seen < size ? conn->frame_seen : size);
    conn->frame_seen = size - done; /* the stash, which comes here again, is no progress a second time */
    bool goes_on = (skipping && done == size && conn->skip) || (partial && conn->partial);
    watch_frame(conn, goes_on ? 0 : done, came);
    msi_conn_unpin(conn);
}

void msi_conn_received_eof(msi_conn *conn)
{
    conn->eof = true;
    stop_reading(conn);
    if (conn->write_dead) {
        msi_conn_close(conn, MSI_CLOSE_PEER);
    } else if (conn->shut) {
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
    } else if (!conn->paused && !conn->finishing && !conn->eof_told) {
        conn->eof_told = true;
        conn->frame_due = 0;
        conn->ops->eof(conn, conn->stash.len + conn->skip);
    }
}

/* After our end was shut down, what still comes is thrown away, up to a bound. */
static void discard(msi_conn *conn)
{
    uint8_t buffer[16 * 1024];
    ssize_t got = recv(conn->fd, buffer, sizeof buffer, 0);
    if (got > 0)
        conn->lingered += (uint32_t)got;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || conn->lingered > conn->limits->linger_bytes)
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
}

static void read_once(msi_conn *conn)
{
    msi_loop *loop = conn->loop;
    loop->in_read = true;
    if (conn->shut)
        discard(conn);
    else
        conn->io->read(conn);
    loop->in_read = false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_conn *conn = arg;
    msi_loop *loop = conn->loop;
    msi_loop *before = msi_loop_enter(loop);
    msi_conn_pin(conn);
    read_once(conn);
    msi_conn_unpin(conn);
    msi_loop_leave(loop, before);
}

void msi_conn_look(msi_conn *conn)
{
    /* The receive buffer is one for all, and in a callback its bytes may not be done with. */
    if (conn->closed || conn->paused || conn->eof || !conn->reading || conn->loop->in_read)
        return;
    msi_conn_pin(conn);
    read_once(conn);
    msi_conn_unpin(conn);
}

void msi_conn_pause(msi_conn *conn)
{
    if (conn->paused || conn->closed)
        return;
    if (conn->write_dead) { /* nothing would ever end the pause */
        msi_conn_close(conn, MSI_CLOSE_PEER);
        return;
    }
    conn->paused = true;
    conn->frame_due = 0;
    stop_reading(conn);
    msi_count(&conn->loop->counters.reads_paused, 1);
}

void msi_conn_resume(msi_conn *conn)
{
    if (!conn->paused || conn->closed)
        return;
    conn->paused = false;
    conn->resuming = true;
    queue_turn(conn);
}

/* Goes on after a pause: first with what was stashed, then with the socket. */
static void go_on(msi_conn *conn)
{
    conn->resuming = false;
    if (conn->stash.len && !conn->finishing) {
        msi_buf stash = conn->stash;
        conn->stash = (msi_buf){0};
        msi_uncount(&conn->loop->counters.input_buffered_bytes, stash.len);
        msi_conn_received(conn, stash.data, stash.len);
        msi_pool_put(&conn->loop->pool, &stash);
    }
    if (conn->closed || conn->paused || conn->finishing)
        return;
    if (conn->eof)
        msi_conn_received_eof(conn);
    else if (!start_reading(conn))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
}

/* Output. */

/* Mostly there is one connection that is written to in a bracket, and it gets the first. */
static msi_out *take_out(msi_conn *conn)
{
    msi_loop *loop = conn->loop;
    for (unsigned i = 0; i < MSI_LOOP_OUTS; i++) {
        msi_out *out = &loop->outs[i];
        if (!out->owner) {
            out->owner = conn;
            return out;
        }
    }
    return NULL;
}

msi_buf *msi_conn_out_begin(msi_conn *conn)
{
    msi_loop *loop = conn->loop;
    if (!msi_conn_open(conn) || conn->write_dead)
        return NULL;
    if (conn->out)
        return &conn->out->buf;
    if (conn->waiting == 0 && (conn->out = take_out(conn)) != NULL) {
        queue_turn(conn);
        return &conn->out->buf;
    }
    loop->scratch.len = 0;
    return &loop->scratch;
}

bool msi_conn_keep_output(msi_conn *conn, const uint8_t *data, size_t size)
{
    if (evbuffer_add(bufferevent_get_output(conn->bev), data, size) != 0) {
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
        return false;
    }
    set_waiting(conn, conn->waiting + size);
    return true;
}

bool msi_conn_out_end(msi_conn *conn)
{
    msi_loop *loop = conn->loop;
    if (conn->out) {
        if (conn->out->buf.len >= MSI_FLUSH_SIZE)
            conn->io->flush(conn);
        return !conn->closed;
    }
    if (loop->scratch.len == 0)
        return true;
    bool kept = msi_conn_keep_output(conn, loop->scratch.data, loop->scratch.len);
    if (loop->scratch.cap > MSI_FLUSH_SIZE)
        msi_pool_put(&loop->pool, &loop->scratch);
    if (kept && !conn->blocked)
        queue_turn(conn);
    return kept;
}

void msi_conn_write_failed(msi_conn *conn)
{
    if (!conn->reading || conn->finishing) {
        msi_conn_close(conn, MSI_CLOSE_PEER);
        return;
    }
    conn->write_dead = true;
    conn->output_due = 0;
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    evbuffer_drain(output, evbuffer_get_length(output));
    set_waiting(conn, 0);
    if (conn->ops->write_failed)
        conn->ops->write_failed(conn);
}

bool msi_conn_over(msi_conn *conn)
{
    size_t limit = conn->limits->max_output + conn->excess;
    if (msi_conn_backlog(conn) <= limit)
        return false;
    conn->io->flush(conn);
    if (!conn->closed && conn->waiting > limit)
        conn->over = true;
    return conn->over && !conn->closed;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_conn *conn = arg;
    msi_loop *loop = conn->loop;
    msi_loop *before = msi_loop_enter(loop);
    msi_conn_pin(conn);
    conn->blocked = false;
    conn->io->flush(conn);
    msi_conn_unpin(conn);
    msi_loop_leave(loop, before);
}

/* Waits for the socket to take more. */
static bool block(msi_conn *conn)
{
    if (!conn->write_event)
        conn->write_event = event_new(conn->loop->base, conn->fd, EV_WRITE, on_writable, conn);
    if (conn->write_event && event_add(conn->write_event, NULL) == 0) {
        conn->blocked = true;
        return true;
    }
    msi_conn_close(conn, MSI_CLOSE_MEMORY);
    return false;
}

/* All of a finishing connection's output is with the kernel: our end is shut down, and the peer has a while to read. */
static void shut(msi_conn *conn)
{
    conn->shut = true;
    conn->frame_due = 0;
    if (conn->eof || shutdown(conn->fd, SHUT_WR) != 0) {
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
        return;
    }
    conn->linger_due = msi_after(msi_loop_now(conn->loop), conn->limits->linger_ms);
    set_timer(conn, conn->linger_due);
    if (!conn->closed && !start_reading(conn))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
}

void msi_conn_flushed(msi_conn *conn, bool progress)
{
    set_waiting(conn, evbuffer_get_length(bufferevent_get_output(conn->bev)));
    if (conn->waiting) {
        if (!conn->blocked && !block(conn))
            return;
        if (progress || conn->output_due == 0) {
            conn->output_due = msi_after(msi_loop_now(conn->loop), conn->limits->output_timeout_ms);
            set_timer(conn, conn->output_due);
        }
    } else {
        conn->output_due = 0;
        if (conn->finishing && !conn->shut)
            shut(conn);
    }
    if (conn->closed || conn->waiting > conn->limits->max_output / 2)
        return;
    conn->excess = 0;
    if (conn->over && conn->ops->drained) {
        conn->over = false;
        conn->ops->drained(conn);
    }
    conn->over = false;
    if (!conn->closed && conn->ops->progress)
        conn->ops->progress(conn);
}

void msi_conn_finish(msi_conn *conn)
{
    if (!msi_conn_open(conn))
        return;
    if (conn->write_dead) {
        msi_conn_close(conn, MSI_CLOSE_PEER);
        return;
    }
    conn->finishing = true;
    conn->frame_due = 0;
    conn->first_byte_due = 0;
    stop_reading(conn);
    queue_turn(conn);
}

void msi_conns_turn(msi_loop *loop)
{
    msi_conn *conn;
    while ((conn = TAILQ_FIRST(&loop->dirty)) != NULL) {
        TAILQ_REMOVE(&loop->dirty, conn, turn);
        conn->queued = false;
        msi_conn_pin(conn);
        if (conn->resuming)
            go_on(conn);
        if (!conn->closed)
            conn->io->flush(conn);
        msi_conn_unpin(conn);
    }
    for (unsigned i = 0; i < MSI_LOOP_OUTS; i++) {
        if (loop->outs[i].buf.cap > 2 * MSI_FLUSH_SIZE)
            msi_pool_put(&loop->pool, &loop->outs[i].buf);
    }
}

void msi_conns_relieve(msi_loop *loop)
{
    if (!loop->outs[MSI_LOOP_OUTS - 1].owner)
        return;
    for (unsigned i = 0; i < MSI_LOOP_OUTS; i++) {
        msi_conn *conn = loop->outs[i].owner;
        if (!conn)
            continue;
        msi_conn_pin(conn);
        conn->io->flush(conn);
        msi_conn_unpin(conn);
    }
}

/* Time limits. */

static bool due(uint64_t moment, uint64_t now)
{
    return moment && moment <= now;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_conn *conn = arg;
    msi_loop *loop = conn->loop;
    msi_loop *before = msi_loop_enter(loop);
    uint64_t now = msi_loop_now(loop);
    conn->timer_due = 0;
    if (due(conn->linger_due, now)) {
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
    } else if (due(conn->output_due, now)) {
        msi_conn_close(conn, MSI_CLOSE_SLOW_READER);
    } else if (due(conn->first_byte_due, now)) {
        msi_conn_close(conn, MSI_CLOSE_FIRST_BYTE);
    } else if (due(conn->frame_due, now)) {
        msi_conn_close(conn, MSI_CLOSE_SLOW_FRAME);
    } else {
        uint64_t next = msi_earlier(conn->linger_due, conn->output_due);
        next = msi_earlier(next, conn->first_byte_due);
        set_timer(conn, msi_earlier(next, conn->frame_due));
    }
    msi_loop_leave(loop, before);
}
