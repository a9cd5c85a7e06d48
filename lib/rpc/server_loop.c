/* SPDX-License-Identifier: MIT */
/*
 * What happens on a server's loops: connections are accepted on the first, spread over all, given to a protocol by their first bytes, and
 * brought to their end by a drain or a stop. Each function runs on the thread of the loop that it is given.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/protocols.h"
#include "rpc/server_internal.h"

static msi_server_loop *loop_of(const msi_loop *loop)
{
    return loop->owner;
}

/* A connection whose protocol is not known yet. */

static void refuse_protocol(msi_conn *conn, const msi_protocol *protocol, uint8_t first)
{
    msgsrv_refusal why = protocol ? protocol->refusal : MSGSRV_REFUSED_PROTOCOL_UNKNOWN;
    msgsrv_peer peer;
    msi_address_peer(&conn->peer, &peer);
    msi_count(&conn->loop->counters.refused[why], 1);
    msi_log_line(&conn->loop->log, MSGSRV_LOG_WARNING, "%s: closed: first byte 0x%02x is of %s, which is not served",
                 peer.address, first, protocol ? protocol->name : "no protocol");
    msi_conn_close(conn, MSI_CLOSE_LOCAL);
}

static bool give_to(msi_conn *conn, const msi_protocol *protocol)
{
    msi_server_loop *own = conn->owner;
    conn->role = protocol;
    if (protocol->open(conn, &own->host, &own->server->config))
        return true;
    conn->role = NULL;
    msi_conn_close(conn, MSI_CLOSE_MEMORY);
    return false;
}

static size_t on_first_input(msi_conn *conn, const uint8_t *data, size_t size)
{
    bool more;
    const msi_protocol *protocol = msi_protocol_find(data, size, &more);
    if (more)
        return 0;
    const msi_server_loop *own = conn->owner;
    if (!protocol || !msi_protocol_served(protocol, &own->server->config))
        refuse_protocol(conn, protocol, data[0]);
    else if (give_to(conn, protocol))
        return conn->ops->input(conn, data, size);
    return 0;
}

static void on_early_eof(msi_conn *conn, size_t unfinished)
{
    (void)unfinished;
    msi_conn_close(conn, MSI_CLOSE_PEER);
}

static void on_early_close(msi_conn *conn, msi_close why)
{
    msi_server_loop *own = conn->owner;
    msi_server_connection_closed(&own->host, conn, why);
}

static void on_early_free(msi_conn *conn)
{
    (void)conn;
}

static const msi_conn_ops first_ops = {on_first_input, on_early_eof, NULL, NULL, NULL, on_early_close, on_early_free};

static void drain_conn(msi_conn *conn)
{
    /* One that has not spoken may have its first calls on the way: told by GoAway, its client sends them elsewhere. */
    if (!conn->role && !give_to(conn, msi_protocol_default()))
        return;
    const msi_protocol *protocol = conn->role;
    protocol->drain(conn);
}

/* One line for each connection's beginning and end; the address is written out only for those who listen. */
static void log_connection(const msi_conn *conn, const char *what)
{
    const msi_log *log = &conn->loop->log;
    msgsrv_peer peer;
    if (!log->fn || log->level < MSGSRV_LOG_DEBUG)
        return;
    msi_address_peer(&conn->peer, &peer);
    msi_log_line(log, MSGSRV_LOG_DEBUG, "%s: %s", peer.address, what);
}

static const char *const closings[] = {
    [MSI_CLOSE_LOCAL] = "closed",
    [MSI_CLOSE_PEER] = "closed by the peer",
    [MSI_CLOSE_FIRST_BYTE] = "closed: it sent nothing in time",
    [MSI_CLOSE_SLOW_FRAME] = "closed: a frame made no progress",
    [MSI_CLOSE_SLOW_READER] = "closed: it did not read in time",
    [MSI_CLOSE_MEMORY] = "closed: no memory",
};

/* Accepting. */

static void count_out(msi_server_loop *own)
{
    msgsrv_server *server = own->server;
    atomic_fetch_sub(&own->connections, 1);
    if (atomic_fetch_sub(&server->connections, 1) == 1 && own->draining)
        msi_mailbox_raise(server->loops[0].loop.mailbox, MSI_SERVER_STOP);
}

static void adopt(msi_server_loop *own, int fd, const msi_address *peer)
{
    msi_conn *conn = NULL;
    if (!own->stopped)
        conn = msi_conn_new(&own->loop, fd, peer, &own->server->limits, &first_ops, own);
    if (!conn) {
        close(fd);
        count_out(own);
        return;
    }
    msi_count(&own->loop.counters.connections_accepted, 1);
    msi_count(&own->loop.counters.connections_open, 1);
    log_connection(conn, "connected");
    msi_conn_pin(conn);
    if (!msi_conn_start(conn))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
    else if (own->draining)
        drain_conn(conn);
    msi_conn_unpin(conn);
}

/* A socket on its way to another loop. */
typedef struct delivery {
    msi_post post;
    int fd;
    msi_address peer;
} delivery;

static void on_delivery(msi_post *post, msi_loop *loop)
{
    delivery *sent = (delivery *)(void *)post;
    adopt(loop_of(loop), sent->fd, &sent->peer);
    free(sent);
}

/* The loop with the fewest connections, so that they are spread evenly also when they are few. */
static msi_server_loop *emptiest(msgsrv_server *server)
{
    msi_server_loop *best = NULL;
    for (uint32_t i = 0; i < server->loop_count; i++) {
        msi_server_loop *own = &server->loops[(server->next_loop + i) % server->loop_count];
        if (!best || atomic_load(&own->connections) < atomic_load(&best->connections))
            best = own;
    }
    server->next_loop = (uint32_t)(best - server->loops + 1) % server->loop_count;
    return best;
}

void msi_server_on_accept(void *ctx, int fd, const struct sockaddr *peer)
{
    msi_server_loop *first = ctx;
    msgsrv_server *server = first->server;
    if (atomic_load(&server->connections) >= server->options.max_connections) {
        msi_count(&first->loop.counters.refused[MSGSRV_REFUSED_CONNECTIONS], 1);
        msi_log_line(&first->loop.log, MSGSRV_LOG_WARNING, "a connection was refused: %u are open",
                     server->options.max_connections);
        close(fd);
        return;
    }
    atomic_fetch_add(&server->connections, 1);
    msi_server_loop *own = emptiest(server);
    atomic_fetch_add(&own->connections, 1);
    msi_address address;
    msi_address_take(&address, fd, peer);
    delivery *sent = own == first ? NULL : malloc(sizeof *sent);
    if (own != first && !sent) {
        close(fd);
        count_out(own);
        return;
    }
    if (!sent) {
        adopt(own, fd, &address);
        return;
    }
    *sent = (delivery){{NULL, on_delivery}, fd, address};
    (void)msi_mailbox_post(own->loop.mailbox, &sent->post); /* open as long as the server's threads run */
}

void msi_server_connection_closed(msi_call_host *host, const msi_conn *conn, msi_close why)
{
    msi_counters *counters = &host->loop->counters;
    if (why == MSI_CLOSE_FIRST_BYTE)
        msi_count(&counters->refused[MSGSRV_REFUSED_FIRST_BYTE], 1);
    else if (why == MSI_CLOSE_SLOW_FRAME)
        msi_count(&counters->refused[MSGSRV_REFUSED_SLOW_FRAME], 1);
    else if (why == MSI_CLOSE_SLOW_READER)
        msi_count(&counters->refused[MSGSRV_REFUSED_SLOW_READER], 1);
    msi_uncount(&counters->connections_open, 1);
    log_connection(conn, closings[why]);
    count_out(loop_of(host->loop));
}

/* The end. */

/* Connections may close, and programs act, while the list is gone through: each is moved to its end before it is touched. */
static void drain_loop(msi_server_loop *own)
{
    if (own->draining)
        return;
    own->draining = true;
    size_t count = 0;
    msi_conn *conn;
    TAILQ_FOREACH(conn, &own->loop.conns, all)
    count++;
    while (count-- && (conn = TAILQ_FIRST(&own->loop.conns)) != NULL) {
        TAILQ_REMOVE(&own->loop.conns, conn, all);
        TAILQ_INSERT_TAIL(&own->loop.conns, conn, all);
        drain_conn(conn);
    }
    /* The last connection may have gone before this loop knew of the drain. */
    if (atomic_load(&own->server->connections) == 0)
        msi_mailbox_raise(own->server->loops[0].loop.mailbox, MSI_SERVER_STOP);
}

static void on_grace_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_server_loop *first = arg;
    msi_loop *before = msi_loop_enter(&first->loop);
    if (msi_timer_early(&first->loop, first->server->grace_timer, first->server->grace_due)) {
        msi_loop_leave(&first->loop, before);
        return;
    }
    msi_log_line(&first->loop.log, MSGSRV_LOG_WARNING, "the grace is over: what is not finished is cancelled");
    msi_server_stop_here(first);
    msi_loop_leave(&first->loop, before);
}

static void stop_listening(msgsrv_server *server)
{
    for (msi_listener *at = server->listeners; at; at = msi_listener_next(at))
        msi_listener_stop(at);
}

static void drain_server(msi_server_loop *first)
{
    msgsrv_server *server = first->server;
    if (first->draining)
        return;
    atomic_store(&server->draining, true);
    msi_log_line(&first->loop.log, MSGSRV_LOG_INFO, "draining");
    uint32_t grace = atomic_load(&server->grace_ms);
    server->grace_timer = event_new(first->loop.base, -1, 0, on_grace_over, first);
    uint64_t due = msi_now() + grace * MSI_MS;
    server->grace_due = due;
    if (!server->grace_timer || (grace != MSGSRV_NONE && !msi_timer_at(&first->loop, server->grace_timer, due))) {
        msi_server_stop_here(first);
        return;
    }
    stop_listening(server);
    for (uint32_t i = 1; i < server->loop_count; i++)
        msi_mailbox_raise(server->loops[i].loop.mailbox, MSI_SERVER_DRAIN);
    drain_loop(first);
    if (atomic_load(&server->connections) == 0)
        msi_server_stop_here(first);
}

void msi_server_close_all(msi_server_loop *own)
{
    msi_conn *conn;
    own->stopped = true;
    while ((conn = TAILQ_FIRST(&own->loop.conns)) != NULL)
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
    msi_loop_run_tasks(&own->loop);
}

/* All loops have stopped: tells the program, and lets the first one's loop end. */
static void all_stopped(msi_server_loop *first)
{
    msgsrv_server *server = first->server;
    if (server->on_stopped_told)
        return;
    server->on_stopped_told = true;
    msi_log_line(&first->loop.log, MSGSRV_LOG_INFO, "stopped");
    if (server->options.base) {
        /* Nothing of ours may keep the caller's loop from ending. */
        event_del(first->loop.wake_event);
        event_del(first->loop.tick_event);
    } else {
        event_base_loopbreak(first->loop.base);
    }
    if (server->options.on_stopped)
        server->options.on_stopped(server, server->options.on_stopped_ctx);
}

void msi_server_stop_here(msi_server_loop *first)
{
    msgsrv_server *server = first->server;
    if (first->stopped)
        return;
    atomic_store(&server->draining, true);
    if (server->grace_timer)
        event_free(server->grace_timer);
    server->grace_timer = NULL;
    for (uint32_t i = 1; i < server->loop_count; i++)
        msi_mailbox_raise(server->loops[i].loop.mailbox, MSI_SERVER_STOP);
    stop_listening(server);
    msi_server_close_all(first);
    if (server->loops_done == server->loop_count - 1)
        all_stopped(first);
}

static void stop_other(msi_server_loop *own)
{
    if (own->stopped)
        return;
    msi_server_close_all(own);
    event_base_loopbreak(own->loop.base);
}

void msi_server_on_flags(msi_loop *loop, unsigned flags)
{
    msi_server_loop *own = loop_of(loop);
    msgsrv_server *server = own->server;
    bool first = own == &server->loops[0];
    if ((flags & MSI_SERVER_LOOP_DONE) && first) {
        uint32_t done = 0;
        for (uint32_t i = 1; i < server->loop_count; i++)
            done += atomic_load(&server->loops[i].done);
        server->loops_done = done;
        if (own->stopped && done == server->loop_count - 1)
            all_stopped(own);
    }
    if (flags & MSI_SERVER_STOP) {
        if (first)
            msi_server_stop_here(own);
        else
            stop_other(own);
    } else if (flags & MSI_SERVER_DRAIN) {
        if (first)
            drain_server(own);
        else
            drain_loop(own);
    }
}
