/* SPDX-License-Identifier: MIT */
/*
 * The client's connection: idle, dialing, ready, or backing off. A call made while there is none starts an attempt or joins it; after a
 * failed one, calls fail at once until the pause is over, unless they wait for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/grpc_client.h"
#include "protocol/native_client.h"
#include "rpc/client_internal.h"

static void start_dialing(msgsrv_client *client);

/* 80 to 120 % of a pause, in nanoseconds, so that a thousand clients do not come back at once (xorshift64*, Vigna 2016). */
static uint64_t jitter(msgsrv_client *client, uint32_t ms)
{
    uint64_t x = client->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    client->random = x;
    uint64_t part = (x * 2685821657736338717ull) >> 48; /* 0 to 65,535 */
    return ms * (MSI_MS * 8 / 10 + MSI_MS * 4 / 10 * part / 65536);
}

static void fail(msi_client_entry *entry, const char *reason)
{
    char text[MSGSRV_ERROR_TEXT + MSI_CLIENT_URL_MAX];
    int size = snprintf(text, sizeof text, "%s (%s)", reason, entry->client->url_text);
    msi_client_end(entry, MSGSRV_UNAVAILABLE, false, text, (size_t)size);
}

static void add_waiting(msgsrv_client *client, msi_client_entry *entry)
{
    entry->waiting = true;
    TAILQ_INSERT_TAIL(&client->waiting, &entry->call, open);
}

/* Fails what waits and does not want to wait longer. Interceptors hear of it, and may end others that wait: each is moved to the end of the
 * list before it is touched. */
static void fail_waiting(msgsrv_client *client, const char *reason)
{
    size_t count = 0;
    msi_client_call *call;
    TAILQ_FOREACH(call, &client->waiting, open)
    count++;
    while (count-- && (call = TAILQ_FIRST(&client->waiting)) != NULL) {
        msi_client_entry *entry = msi_client_entry_of(call);
        TAILQ_REMOVE(&client->waiting, call, open);
        TAILQ_INSERT_TAIL(&client->waiting, call, open);
        if (!entry->wait_for_ready)
            fail(entry, reason);
    }
}

static void on_backoff_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msgsrv_client *client = arg;
    msi_loop *before = msi_loop_enter(&client->loop);
    if (client->state == MSI_CLIENT_BACKOFF &&
        !msi_timer_early(&client->loop, client->backoff_timer, client->backoff_until)) {
        client->state = MSI_CLIENT_IDLE;
        if (!TAILQ_EMPTY(&client->waiting))
            start_dialing(client);
    }
    msi_loop_leave(&client->loop, before);
}

/* Those who want to wait are woken at the end of the pause; the others fail. Without any, the next call looks at the clock. */
static void wait_for_backoff(msgsrv_client *client)
{
    fail_waiting(client, client->reason);
    if (TAILQ_EMPTY(&client->waiting) || event_pending(client->backoff_timer, EV_TIMEOUT, NULL) ||
        msi_timer_at(&client->loop, client->backoff_timer, client->backoff_until))
        return;
    static const char text[] = "no memory to wait for a connection";
    msi_client_call *call;
    while ((call = TAILQ_FIRST(&client->waiting)) != NULL)
        msi_client_end(msi_client_entry_of(call), MSGSRV_RESOURCE_EXHAUSTED, false, text, sizeof text - 1);
}

static void back_off(msgsrv_client *client, const char *reason)
{
    uint64_t pause = jitter(client, client->backoff_ms);
    client->state = MSI_CLIENT_BACKOFF;
    client->backoff_until = msi_loop_now(&client->loop) + pause;
    uint64_t longer = ((uint64_t)client->backoff_ms * 16 + 9) / 10;
    client->backoff_ms = longer > client->options.backoff_max_ms ? client->options.backoff_max_ms : (uint32_t)longer;
    snprintf(client->reason, sizeof client->reason, "%s", reason);
    msi_log_line(&client->loop.log, MSGSRV_LOG_INFO, "%s: %s; next attempt in %u ms", client->url_text, reason,
                 (unsigned)(pause / MSI_MS));
    wait_for_backoff(client);
}

/* Makes room before there is a session, so that it cannot be lost for want of memory. */
static bool room_for_session(msgsrv_client *client)
{
    if (client->session_count < client->session_room)
        return true;
    size_t room = client->session_room ? client->session_room * 2 : 2;
    msi_client_session **sessions = realloc(client->sessions, room * sizeof *sessions);
    if (!sessions)
        return false;
    client->sessions = sessions;
    client->session_room = room;
    return true;
}

static void forget_session(msgsrv_client *client, const msi_client_session *session)
{
    for (size_t i = 0; i < client->session_count; i++) {
        if (client->sessions[i] == session) {
            client->sessions[i] = client->sessions[--client->session_count];
            return;
        }
    }
}

static void send_entry(msgsrv_client *client, msi_client_entry *entry)
{
    if (!entry->method) {
        /* A ping: its place in the stream is now. */
        uint64_t handle = entry->node.id;
        entry->pinged_at = msi_now();
        entry->pinged_on = client->session;
        if (!client->protocol->ping(client->session, (const uint8_t *)&handle, sizeof handle))
            fail(entry, "no memory");
        return;
    }
    entry->sent++;
    if (!client->protocol->send(client->session, &entry->call)) {
        static const char text[] = "no memory to send the call";
        msi_client_end(entry, MSGSRV_RESOURCE_EXHAUSTED, false, text, sizeof text - 1);
    }
}

static void send_waiting(msgsrv_client *client)
{
    msi_client_call *call;
    while (client->state == MSI_CLIENT_READY && (call = TAILQ_FIRST(&client->waiting)) != NULL) {
        msi_client_entry *entry = msi_client_entry_of(call);
        TAILQ_REMOVE(&client->waiting, call, open);
        entry->waiting = false;
        send_entry(client, entry);
    }
}

/* What the session reports. */

static void on_ended(void *arg, msi_client_call *call, msgsrv_status code, bool from_peer, msi_view text, msi_view body)
{
    (void)arg;
    msi_client_entry *entry = msi_client_entry_of(call);
    if (code == MSGSRV_OK && !call->streams_responses) {
        msgsrv_error error;
        code = msi_decode(entry->method->response, &entry->traits, body.data, body.size,
                          entry->client->options.max_message, entry->response, &error);
        if (code == MSGSRV_OK && entry->traits.has_views && !msi_own_views(entry->method->response, entry->response)) {
            msi_release(entry->method->response, &entry->traits, entry->response);
            code = msi_error_memory(&error);
        }
        if (code) {
            msi_client_end(entry, code == MSGSRV_INVALID_ARGUMENT ? MSGSRV_INTERNAL : code, false, error.text,
                           strlen(error.text));
            return;
        }
    }
    if (!from_peer && code == MSGSRV_UNAVAILABLE) {
        char reason[MSGSRV_ERROR_TEXT];
        snprintf(reason, sizeof reason, "%.*s", (int)text.size, (const char *)text.data);
        fail(entry, reason);
        return;
    }
    if (code != MSGSRV_OK && text.size == 0) {
        const char *standard = msgsrv_status_text(code);
        text = (msi_view){(const uint8_t *)standard, strlen(standard)};
    }
    if (!msi_client_end_waits(entry, code, from_peer, (const char *)text.data, text.size))
        msi_client_end(entry, code, from_peer, (const char *)text.data, text.size);
}

/* It goes out again, on this connection or the next; a server that never takes it is not asked for ever. */
static void on_untaken(void *arg, msi_client_call *call)
{
    msgsrv_client *client = arg;
    msi_client_entry *entry = msi_client_entry_of(call);
    if (entry->sent > MSI_RESEND_MAX)
        fail(entry, "the server takes no calls");
    else
        add_waiting(client, entry);
    client->loop.work_left = true; /* it is looked at when what is being read has been */
}

static void on_leaving(void *arg, msi_client_session *session)
{
    msgsrv_client *client = arg;
    if (client->session != session)
        return;
    client->session = NULL;
    client->state = MSI_CLIENT_IDLE;
    msi_log_line(&client->loop.log, MSGSRV_LOG_INFO, "%s: the server is leaving", client->url_text);
}

static void on_pong(void *arg, msi_view data)
{
    msgsrv_client *client = arg;
    uint64_t handle;
    if (data.size != sizeof handle)
        return;
    memcpy(&handle, data.data, sizeof handle);
    msi_idnode *node = msi_idmap_find(&client->calls, handle);
    if (!node)
        return;
    msi_client_entry *entry = MSI_CONTAINER(node, msi_client_entry, node);
    if (entry->method || entry->ended)
        return;
    entry->waiter->round_trip = msi_now() - entry->pinged_at;
    msi_client_end(entry, MSGSRV_OK, true, "", 0);
}

/* Some ping that is on its way on a connection. */
static msi_client_entry *find_ping(const msgsrv_client *client, const msi_client_session *session)
{
    for (size_t i = 0; i < client->calls.size; i++) {
        for (msi_idnode *node = client->calls.buckets[i]; node; node = node->next) {
            msi_client_entry *entry = MSI_CONTAINER(node, msi_client_entry, node);
            if (!entry->method && entry->pinged_on == session)
                return entry;
        }
    }
    return NULL;
}

/* Pings are not sent again: what they measure is gone. */
static void fail_pings(msgsrv_client *client, const msi_client_session *session, const char *reason)
{
    msi_client_entry *entry;
    while ((entry = find_ping(client, session)) != NULL)
        fail(entry, reason);
}

static void on_lost(void *arg, msi_client_session *session, bool heard, const char *reason)
{
    msgsrv_client *client = arg;
    forget_session(client, session);
    if (heard)
        client->backoff_ms = client->options.backoff_min_ms;
    fail_pings(client, session, reason);
    if (client->session != session)
        return;
    client->session = NULL;
    client->state = MSI_CLIENT_IDLE;
    /* A server that accepts and says nothing is as bad as none: its connections do not come back without a pause. */
    if (!heard)
        back_off(client, reason);
    else
        client->loop.work_left = true;
}

static const msi_client_events events = {on_ended, on_untaken, on_leaving, on_pong, on_lost};

static void on_dialed(void *arg, int fd, const msi_address *address, const char *reason)
{
    msgsrv_client *client = arg;
    if (fd < 0) {
        back_off(client, reason);
        return;
    }
    msi_client_session *session = NULL;
    if (room_for_session(client))
        session =
            client->protocol->open(&client->loop, fd, address, &client->limits, &client->client_limits, &events, client);
    if (!session) {
        back_off(client, "no memory");
        return;
    }
    client->sessions[client->session_count++] = session;
    client->session = session;
    client->state = MSI_CLIENT_READY;
    msi_log_line(&client->loop.log, MSGSRV_LOG_DEBUG, "%s: connected", client->url_text);
    send_waiting(client);
}

static void start_dialing(msgsrv_client *client)
{
    client->state = MSI_CLIENT_DIALING;
    msi_dialer_start(client->dialer);
}

void msi_client_connect_again(msgsrv_client *client)
{
    if (TAILQ_EMPTY(&client->waiting) || client->free_pending)
        return;
    if (client->state == MSI_CLIENT_IDLE)
        start_dialing(client);
    else if (client->state == MSI_CLIENT_READY)
        send_waiting(client);
    else if (client->state == MSI_CLIENT_BACKOFF)
        wait_for_backoff(client);
}

void msi_client_submit(msgsrv_client *client, msi_client_entry *entry)
{
    /* The server may have closed a connection that rests; a call that goes out on it would be lost. */
    if (client->state == MSI_CLIENT_READY && client->protocol->open_calls(client->session) == 0)
        client->protocol->look(client->session);
    if (client->state == MSI_CLIENT_BACKOFF && msi_loop_now(&client->loop) >= client->backoff_until)
        client->state = MSI_CLIENT_IDLE;
    switch (client->state) {
    case MSI_CLIENT_READY:
        send_entry(client, entry);
        break;
    case MSI_CLIENT_DIALING:
        add_waiting(client, entry);
        break;
    case MSI_CLIENT_IDLE:
        add_waiting(client, entry);
        start_dialing(client);
        break;
    case MSI_CLIENT_BACKOFF:
        add_waiting(client, entry);
        wait_for_backoff(client);
        break;
    }
}

bool msi_client_connect_init(msgsrv_client *client)
{
    client->protocol = client->url.grpc ? &msi_grpc_client : &msi_native_client;
    client->backoff_ms = client->options.backoff_min_ms;
    client->random = msi_now() ^ (uint64_t)(uintptr_t)client ^ 0x9e3779b97f4a7c15ull;
    client->dialer = msi_dialer_new(&client->loop, &client->url, client->options.connect_timeout_ms, on_dialed, client);
    client->backoff_timer = event_new(client->loop.base, -1, 0, on_backoff_over, client);
    return client->dialer && client->backoff_timer;
}

void msi_client_connect_release(msgsrv_client *client)
{
    if (client->dialer)
        msi_dialer_free(client->dialer);
    client->dialer = NULL;
    if (client->backoff_timer)
        event_free(client->backoff_timer);
    client->backoff_timer = NULL;
    while (client->session_count)
        client->protocol->close(client->sessions[--client->session_count]);
    free(client->sessions);
    client->sessions = NULL;
    client->session = NULL;
    client->state = MSI_CLIENT_IDLE;
}
