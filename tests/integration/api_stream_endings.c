/* SPDX-License-Identifier: MIT */
/*
 * How streams end: each cell of the table in docs/streams.md, brought about between a server and a client of the library. What ends a call,
 * met by what else goes on; expected is one CLOSED at each side, with the code of the cell.
 */
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <msgsrv/service.h>

#include "api_support.h"
#include "peer.h"

typedef enum ending {
    FINISH,
    FAIL,
    REPLY,
    CANCEL,
    CLIENT_DEADLINE,
    SERVER_DEADLINE,
    LOST,
    GRACE,
    SERVER_FREED,
    CLIENT_FREED,
    VIOLATION,
    ROWS
} ending;

typedef enum meeting { ALONE, HALF_CLOSE, ITEMS, REFUSED, PAUSED, OWN_EVENT, CROSSING, COLUMNS } meeting;

/* "at the server / at the client". */
#define SAME(codes) codes, codes, codes, codes, codes, codes
static const struct {
    const char *name;
    const char *cells[COLUMNS];
} table[ROWS] = {
    [FINISH] = {"the server finishes", {SAME("OK / OK"), "OK / CANCELLED"}},
    [FAIL] = {"the server fails the call", {SAME("NOT_FOUND / NOT_FOUND"), "NOT_FOUND / CANCELLED"}},
    [REPLY] = {"the server replies early", {SAME("OK / OK"), "OK / CANCELLED"}},
    [CANCEL] = {"the client cancels", {SAME("CANCELLED / CANCELLED"), "OK / CANCELLED"}},
    [CLIENT_DEADLINE] = {"the client's deadline passes",
                         {SAME("CANCELLED or DEADLINE_EXCEEDED / DEADLINE_EXCEEDED"), "OK / DEADLINE_EXCEEDED"}},
    [SERVER_DEADLINE] = {"the server sees the deadline pass",
                         {SAME("DEADLINE_EXCEEDED / DEADLINE_EXCEEDED"), "DEADLINE_EXCEEDED / CANCELLED"}},
    [LOST] = {"the connection is lost", {SAME("CANCELLED / UNAVAILABLE"), "CANCELLED / CANCELLED"}},
    [GRACE] = {"a drain's grace is over", {SAME("CANCELLED / UNAVAILABLE"), "CANCELLED / CANCELLED"}},
    [SERVER_FREED] = {"the server is freed", {SAME("CANCELLED / UNAVAILABLE"), "CANCELLED / CANCELLED"}},
    [CLIENT_FREED] = {"the client is freed", {SAME("CANCELLED / CANCELLED"), "OK / CANCELLED"}},
    [VIOLATION] = {"the peer breaks the protocol", {SAME("CANCELLED / UNAVAILABLE"), "CANCELLED / CANCELLED"}},
};

enum {
    DEADLINE_MS = 1500, /* long enough to set the scene on a machine that is busy */
    SOME = 3
};

/* A connection's two halves, and a thread that passes bytes between them. */
typedef struct relay {
    ts_listener listener;
    const char *server_url;
    pthread_t thread;
    int wake[2]; /* a byte: 'c' cuts, 'v' violates, 'e' ends */
} relay;

typedef struct cell {
    ending row;
    meeting column;
    msgsrv_server *server;
    msgsrv_client *client;
    relay relay;
    msgsrv_stream *at_server;
    msgsrv_stream *at_client;
    msgsrv_stream *control; /* of another connection: from its events the server acts on the first */
    msgsrv_handle handle;
    api_event server_begun;
    api_event client_begun;
    api_event client_ready; /* it has sent what the column wants */
    api_event control_begun;
    api_event control_closed;
    api_event blocked; /* an event waits for the other side's end */
    api_event server_closed;
    api_event client_closed;
    atomic_uint received; /* messages, at the server */
    bool client_hears;    /* it pauses no more */
    msgsrv_status server_code;
    msgsrv_status client_code;
} cell;

static cell *now; /* one at a time */

static const msgsrv_bytes word = {"word", 4, NULL};

/* The relay. */

static bool pass(int from, int to)
{
    char bytes[65536];
    ssize_t got = read(from, bytes, sizeof bytes);
    for (ssize_t at = 0, done; at < got; at += done) {
        struct pollfd one = {to, POLLOUT, 0};
        (void)poll(&one, 1, -1);
        done = send(to, bytes + at, (size_t)(got - at), MSG_NOSIGNAL);
        if (done < 0)
            return false;
    }
    return got > 0;
}

static void *run_relay(void *arg)
{
    relay *own = arg;
    ts_peer *client = ts_listener_accept(&own->listener);
    ts_peer *server = ts_peer_connect(own->server_url);
    bool goes_on = true;
    while (goes_on) {
        struct pollfd fds[] = {{client->fd, POLLIN, 0}, {server->fd, POLLIN, 0}, {own->wake[0], POLLIN, 0}};
        (void)poll(fds, 3, -1);
        char what = 0;
        if (fds[0].revents)
            goes_on = pass(client->fd, server->fd);
        if (fds[1].revents && goes_on)
            goes_on = pass(server->fd, client->fd);
        if (fds[2].revents && read(own->wake[0], &what, 1) == 1 && what == 'v')
            (void)send(server->fd, "\x80\x01", 2, MSG_NOSIGNAL);
        else if (what)
            goes_on = false;
    }
    ts_peer_free(client);
    ts_peer_free(server);
    return NULL;
}

static void relay_start(relay *own, const char *server_url)
{
    own->server_url = server_url;
    ts_listener_open(&own->listener);
    ck_assert_int_eq(pipe(own->wake), 0);
    ck_assert_int_eq(pthread_create(&own->thread, NULL, run_relay, own), 0);
}

static void relay_tell(relay *own, char what)
{
    ck_assert_int_eq(write(own->wake[1], &what, 1), 1);
}

static void relay_stop(relay *own)
{
    relay_tell(own, 'e');
    pthread_join(own->thread, NULL);
    ts_listener_close(&own->listener);
    close(own->wake[0]);
    close(own->wake[1]);
}

/* Acting. */

/* What the server's end does in its row, or crossing the client's row; in whatever event. */
static void act_at_server(void)
{
    switch (now->row) {
    case FAIL:
        (void)msgsrv_stream_fail(now->at_server, MSGSRV_NOT_FOUND, "as the row says");
        break;
    case REPLY:
        (void)msgsrv_stream_reply(now->at_server, &word, NULL);
        break;
    case LOST:
        relay_tell(&now->relay, 'c');
        break;
    case VIOLATION:
        relay_tell(&now->relay, 'v');
        break;
    case GRACE:
        msgsrv_server_drain(now->server, 1);
        break;
    case SERVER_FREED:
        msgsrv_server_free(now->server);
        break;
    case SERVER_DEADLINE:
        break;
    default:
        (void)msgsrv_stream_finish(now->at_server);
        break;
    }
}

static bool by_client(ending row)
{
    return row == CANCEL || row == CLIENT_DEADLINE || row == CLIENT_FREED;
}

/* Events in which one end waits for the other's end, and then acts: so that the two cross. */
static void server_woken(void)
{
    if (now->column == CROSSING) {
        api_event_add(&now->blocked);
        api_event_wait(&now->client_closed, 1);
    }
    act_at_server();
}

static void client_woken(msgsrv_stream *stream)
{
    now->client_hears = true;
    if (now->column == REFUSED)
        msgsrv_stream_resume(stream);
    if (now->row == SERVER_DEADLINE || now->column == CROSSING ||
        (now->row == CLIENT_DEADLINE && now->column == OWN_EVENT)) {
        api_event_add(&now->blocked);
        api_event_wait(&now->server_closed, 1);
    }
    if ((now->row == CANCEL && now->column == OWN_EVENT) || (now->column == CROSSING && !by_client(now->row)))
        msgsrv_stream_cancel(stream);
    else if (now->row == CLIENT_FREED && now->column == OWN_EVENT)
        msgsrv_client_free(now->client);
}

static bool send_until_refused(msgsrv_stream *stream)
{
    msgsrv_status status;
    while ((status = msgsrv_stream_send(stream, &word, NULL)) == MSGSRV_OK)
        continue;
    ck_assert_int_eq(status, MSGSRV_AGAIN);
    return true;
}

/* The server's end. */

static msgsrv_status serve(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *out, void *ctx)
{
    bool pauses = now->column == PAUSED || (now->column == REFUSED && now->row == REPLY);
    (void)implementation, (void)out, (void)ctx;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        now->at_server = msgsrv_stream_ref(stream);
        if (pauses)
            msgsrv_stream_pause(stream);
        if (now->column == REFUSED && now->row != REPLY)
            (void)send_until_refused(stream);
        api_event_add(&now->server_begun);
        return MSGSRV_OK;
    case MSGSRV_STREAM_MESSAGE:
        atomic_fetch_add(&now->received, 1);
        return MSGSRV_OK;
    case MSGSRV_STREAM_HALF_CLOSE:
        return MSGSRV_DEFERRED;
    case MSGSRV_STREAM_WOKEN:
        server_woken();
        return MSGSRV_OK;
    case MSGSRV_STREAM_CLOSED:
        now->server_code = ((const msgsrv_error *)in)->code;
        api_event_add(&now->server_closed);
        return MSGSRV_OK;
    default:
        return MSGSRV_OK;
    }
}

static msgsrv_status serve_control(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                   const void *in, void *out, void *ctx)
{
    (void)implementation, (void)in, (void)out, (void)ctx;
    if (event == MSGSRV_STREAM_BEGIN) {
        now->control = msgsrv_stream_ref(stream);
        api_event_add(&now->control_begun);
    } else if (event == MSGSRV_STREAM_WOKEN) {
        act_at_server();
    } else if (event == MSGSRV_STREAM_CLOSED) {
        api_event_add(&now->control_closed);
    }
    return MSGSRV_OK;
}

static bool implemented(const void *implementation)
{
    (void)implementation;
    return true;
}

#define METHOD(name, kind_)                                                                                     \
    {                                                                                                           \
        .abi = MSGSRV_GENERATED_ABI, .kind = kind_, .path = "/test.Endings/" name, .request = &msgsrv_raw_type, \
        .response = &msgsrv_raw_type                                                                            \
    }
static const msgsrv_method both = METHOD("Both", MSGSRV_BIDI_STREAMING);
static const msgsrv_method requests = METHOD("Requests", MSGSRV_CLIENT_STREAMING);
static const msgsrv_method control = METHOD("Control", MSGSRV_BIDI_STREAMING);
static const msgsrv_service_method methods[] = {
    {&both, NULL, implemented, NULL, serve},
    {&requests, NULL, implemented, NULL, serve},
    {&control, NULL, implemented, NULL, serve_control},
};
static const msgsrv_service service = {
    .abi = MSGSRV_GENERATED_ABI,
    .nanopb_header = PB_PROTO_HEADER_VERSION,
    .nanopb_size_bytes = sizeof(pb_size_t),
    .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
    .generator = "by hand",
    .name = "test.Endings",
    .implementation_size = 1,
    .methods = methods,
    .method_count = 3,
};

/* The client's end. */

static msgsrv_status watch(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *out, void *ctx)
{
    (void)implementation, (void)out, (void)ctx;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        now->at_client = msgsrv_stream_ref(stream);
        api_event_add(&now->client_begun);
        break;
    case MSGSRV_STREAM_MESSAGE:
        if (now->column == REFUSED && !now->client_hears)
            msgsrv_stream_pause(stream);
        break;
    case MSGSRV_STREAM_WRITABLE: /* it is connected */
        break;
    case MSGSRV_STREAM_WOKEN:
        if (api_event_count(&now->client_ready) == 0) {
            bool sends = now->column == ITEMS || now->column == PAUSED;
            for (int i = 0; i < SOME && sends; i++)
                api_ok(msgsrv_stream_send(stream, &word, NULL), NULL);
            if (now->column == HALF_CLOSE)
                api_ok(msgsrv_stream_finish(stream), NULL);
            if (now->column == REFUSED && now->row == REPLY)
                (void)send_until_refused(stream);
            api_event_add(&now->client_ready);
            break;
        }
        client_woken(stream);
        break;
    case MSGSRV_STREAM_CLOSED:
        now->client_code = ((const msgsrv_reply *)in)->status;
        api_event_add(&now->client_closed);
        break;
    default:
        break;
    }
    return MSGSRV_OK;
}

static msgsrv_status watch_control(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                   const void *in, void *out, void *ctx)
{
    (void)implementation, (void)stream, (void)event, (void)in, (void)out, (void)ctx;
    return MSGSRV_OK;
}

/* Whether a side's part of a cell names the code. */
static bool names(const char *part, size_t size, msgsrv_status code)
{
    const char *name = msgsrv_status_name(code);
    size_t length = strlen(name);
    for (size_t at = 0; at + length <= size; at++) {
        bool begins = at == 0 || part[at - 1] == ' ';
        bool ends = at + length == size || part[at + length] == ' ';
        if (begins && ends && memcmp(part + at, name, length) == 0)
            return true;
    }
    return false;
}

static void check_codes(void)
{
    const char *expected = table[now->row].cells[now->column];
    const char *slash = strstr(expected, " / ");
    ck_assert_msg(names(expected, (size_t)(slash - expected), now->server_code) &&
                      names(slash + 3, strlen(slash + 3), now->client_code),
                  "%s, column %d: expected %s, got %s / %s", table[now->row].name, (int)now->column, expected,
                  msgsrv_status_name(now->server_code), msgsrv_status_name(now->client_code));
    ck_assert_uint_eq(api_event_count(&now->server_closed), 1);
    ck_assert_uint_eq(api_event_count(&now->client_closed), 1);
}

static void init_events(cell *own)
{
    api_event *events[] = {&own->server_begun,   &own->client_begun, &own->client_ready,  &own->control_begun,
                           &own->control_closed, &own->blocked,      &own->server_closed, &own->client_closed};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        api_event_init(events[i]);
}

static void open_stream(cell *own, bool deadline)
{
    msgsrv_error error;
    const msgsrv_method *method = own->row == REPLY ? &requests : &both;
    msgsrv_call_options options = {.size = sizeof options, .receive_items = 4, .timeout_ms = deadline ? DEADLINE_MS : 0};
    api_ok(msgsrv_stream_open(own->client, method, NULL, &options, watch, NULL, 0, NULL, &own->handle, &error), &error);
    api_event_wait(&own->client_begun, 1);
    api_event_wait(&own->server_begun, 1);
    msgsrv_stream_wake(own->at_client);
    api_event_wait(&own->client_ready, 1);
}

/* The ending of the row, in the way of the column. */
static void bring_about(cell *own)
{
    bool client_waits = own->row == SERVER_DEADLINE || (own->column == CROSSING && !by_client(own->row)) ||
                        (own->row == CLIENT_DEADLINE && own->column == OWN_EVENT);
    bool server_waits = own->column == CROSSING && by_client(own->row);
    if (client_waits)
        msgsrv_stream_wake(own->at_client);
    else if (server_waits)
        msgsrv_stream_wake(own->at_server);
    if (client_waits || server_waits)
        api_event_wait(&own->blocked, 1);
    if (own->row == CLIENT_DEADLINE || own->row == SERVER_DEADLINE)
        return;
    if (own->column == OWN_EVENT)
        msgsrv_stream_wake(by_client(own->row) ? own->at_client : own->at_server);
    else if (own->row == CANCEL)
        msgsrv_client_cancel(own->client, own->handle);
    else if (own->row == CLIENT_FREED)
        msgsrv_client_free(own->client);
    else if (own->row == SERVER_FREED)
        msgsrv_server_free(own->server);
    else
        msgsrv_stream_wake(own->control);
}

static void try_cell(ending row, meeting column)
{
    static cell own;
    msgsrv_error error;
    msgsrv_stats stats = {.size = sizeof stats};
    memset(&own, 0, sizeof own);
    own.row = row;
    own.column = column;
    init_events(&own);
    now = &own;
    bool relayed = row == LOST || row == VIOLATION;
    own.server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_server_register(own.server, &service, "", NULL, &error), &error);
    api_ok(msgsrv_server_start(own.server, &error), &error);
    const char *url = msgsrv_server_address(own.server, 0);
    if (relayed)
        relay_start(&own.relay, url);
    own.client = api_client_of(relayed ? own.relay.listener.url : url, &(msgsrv_client_options){.thread = true});
    msgsrv_client *other = api_client_of(url, &(msgsrv_client_options){.thread = true});
    api_ok(msgsrv_stream_open(other, &control, NULL, NULL, watch_control, NULL, 0, NULL, NULL, &error), &error);
    api_event_wait(&own.control_begun, 1);
    open_stream(&own, row == CLIENT_DEADLINE || row == SERVER_DEADLINE);
    bring_about(&own);
    if (column == REFUSED && row != SERVER_DEADLINE && row != CLIENT_FREED) {
        api_event_wait(&own.server_closed, 1); /* its end waits behind the messages of a client that pauses */
        msgsrv_stream_wake(own.at_client);
    }
    api_event_wait(&own.server_closed, 1);
    api_event_wait(&own.client_closed, 1);
    msgsrv_client_free(other);
    api_event_wait(&own.control_closed, 1);
    if (row != SERVER_FREED) {
        /* Nothing of it is left. */
        do
            msgsrv_server_stats(own.server, &stats);
        while (stats.streams_open || stats.calls_open || stats.stream_input_items);
        msgsrv_server_free(own.server);
    }
    if (row != CLIENT_FREED)
        msgsrv_client_free(own.client);
    if (relayed)
        relay_stop(&own.relay);
    check_codes();
    msgsrv_stream_unref(own.at_server);
    msgsrv_stream_unref(own.at_client);
    msgsrv_stream_unref(own.control);
}

#define ROW_TEST(name, row)                                      \
    START_TEST(name)                                             \
    {                                                            \
        for (meeting column = ALONE; column < COLUMNS; column++) \
            try_cell(row, column);                               \
    }                                                            \
    END_TEST

ROW_TEST(the_server_finishes, FINISH)
ROW_TEST(the_server_fails, FAIL)
ROW_TEST(the_server_replies_early, REPLY)
ROW_TEST(the_client_cancels, CANCEL)
ROW_TEST(the_clients_deadline_passes, CLIENT_DEADLINE)
ROW_TEST(the_server_sees_the_deadline, SERVER_DEADLINE)
ROW_TEST(the_connection_is_lost, LOST)
ROW_TEST(a_drains_grace_is_over, GRACE)
ROW_TEST(the_server_is_freed, SERVER_FREED)
ROW_TEST(the_client_is_freed, CLIENT_FREED)
ROW_TEST(the_peer_breaks_the_protocol, VIOLATION)

/* The document says what is tested here, cell by cell. */
START_TEST(the_document_has_the_same_table)
{
    static const char here[] = "tests/integration/api_stream_endings.c";
    static char text[65536];
    char path[4096];
    size_t root = sizeof __FILE__ > sizeof here ? sizeof __FILE__ - sizeof here : 0;
    snprintf(path, sizeof path, "%.*sdocs/streams.md", (int)root, __FILE__);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (int i = 0; i < ROWS; i++) {
        char line[1024];
        int size = snprintf(line, sizeof line, "\n| %s |", table[i].name);
        for (int k = 0; k < COLUMNS; k++)
            size += snprintf(line + size, sizeof line - (size_t)size, " %s |", table[i].cells[k]);
        snprintf(line + size, sizeof line - (size_t)size, "\n");
        ck_assert_msg(strstr(text, line) != NULL, "docs/streams.md has no line%s", line);
    }
}
END_TEST

TS_MAIN("stream_endings", the_document_has_the_same_table, the_server_finishes, the_server_fails,
        the_server_replies_early, the_client_cancels, the_clients_deadline_passes, the_server_sees_the_deadline,
        the_connection_is_lost, a_drains_grace_is_over, the_server_is_freed, the_client_is_freed,
        the_peer_breaks_the_protocol)
