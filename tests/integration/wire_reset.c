/* SPDX-License-Identifier: MIT */
/*
 * Peers that leave, and texts that are not what they should be, at the worst moment: a reset while answers are written, a last
 * connection that closes just before its loop hears of a drain, connections that nobody has accepted yet when the server stops.
 */
#include <event2/event.h>

#include "api_support.h"
#include "server.h"

static void expect_stopped(msgsrv_server *server)
{
    msgsrv_error error;
    api_ok(msgsrv_server_wait(server, &error), &error);
}

/* ---- the end of a server ---- */

/* Add waits on the loop itself: nothing else happens there meanwhile. */
static const messages_Demo_service gated_on_loop = {.Echo = api_echo, .Add = api_add_behind_gate};

static void send_add(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};
    ts_put_call_add(&out, id, 2, 3);
    ts_peer_send(peer, &out);
}

static void wait_log(api_log *log, const char *part)
{
    uint64_t until = ts_guard();
    while (api_log_count(log, part) == 0) {
        TS_CHECK(ts_now_ms() < until, "waited in vain for the log to say %s", part);
        ts_nap();
    }
}

START_TEST(a_drain_ends_when_the_last_connection_of_another_loop_left_just_before_it)
{
    static api_log log;
    struct api_gate gate;
    msgsrv_server_options options = {.threads = 2, .log = api_log_take, .log_ctx = &log, .log_level = MSGSRV_LOG_INFO};
    api_log_init(&log);
    api_gate_init(&gate);
    msgsrv_server *server = api_server_on(NULL, &options, &gated_on_loop, &gate);
    ts_peer *first = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_barrier(first);
    ts_peer *second = ts_peer_connect(msgsrv_server_address(server, 0)); /* on the other loop: it is the emptier one */
    ts_barrier(second);
    ts_server view = {.handle = server};
    ts_peer_free(first);
    ts_wait_stat(&view, connections_open, ==, 1);
    send_add(second, 1);
    api_event_wait(&gate.entered, 1);
    ts_peer_reset(second); /* its loop sees this first, and then the drain */
    msgsrv_server_drain(server, MSGSRV_NONE);
    wait_log(&log, "draining");
    ts_peer *late;
    while ((late = ts_peer_try_connect(msgsrv_server_address(server, 0))) != NULL)
        ts_peer_free(late);
    api_event_add(&gate.opened);
    expect_stopped(server);
    msgsrv_server_free(server);
}
END_TEST

#define QUEUED 40

START_TEST(a_stop_leaves_nothing_of_connections_that_wait_to_be_accepted)
{
    for (uint32_t threads = 1; threads <= 3; threads++) {
        unsigned before = api_count_entries("/proc/self/fd");
        struct api_gate gate;
        api_gate_init(&gate);
        msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = threads}, &gated_on_loop, &gate);
        ts_peer *busy = ts_peer_connect(msgsrv_server_address(server, 0));
        send_add(busy, 1);
        api_event_wait(&gate.entered, 1); /* the first loop, the one that accepts, does nothing else now */
        msgsrv_server_stop(server);
        ts_peer *queued[QUEUED];
        for (int i = 0; i < QUEUED; i++)
            queued[i] = ts_peer_connect(msgsrv_server_address(server, 0));
        api_event_add(&gate.opened);
        expect_stopped(server);
        msgsrv_server_free(server);
        for (int i = 0; i < QUEUED; i++) {
            ts_expect_gone(queued[i]);
            ts_peer_free(queued[i]);
        }
        ts_peer_free(busy);
        ck_assert_uint_eq(api_count_entries("/proc/self/fd"), before);
    }
}
END_TEST

/* ---- plain messages ---- */

#define EARLY 12
#define EARLY_TEXT 60000

/* Add is held, Echo answers and is counted. */
struct plain_work {
    struct api_holds holds;
    unsigned echoes;
};

static msgsrv_status hold_add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                              void *ctx)
{
    struct plain_work *work = ctx;
    return api_add_held(call, request, response, &work->holds);
}

static msgsrv_status count_echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                                void *ctx)
{
    struct plain_work *work = ctx;
    work->echoes++;
    return api_echo(call, request, response, NULL);
}

static const messages_Demo_service plain_service = {.Add = hold_add, .Echo = count_echo};

static msgsrv_server *plain_server(struct event_base *base, struct plain_work *work)
{
    msgsrv_server *server = api_server_new(NULL, &(msgsrv_server_options){.base = base}, &plain_service, work);
    api_ok(msgsrv_server_bind_plain(server, TS_PLAIN_ECHO, TS_ECHO, TS_PLAIN_ECHO, NULL), NULL);
    api_ok(msgsrv_server_bind_plain(server, TS_PLAIN_ADD, TS_ADD, TS_PLAIN_ADD, NULL), NULL);
    api_ok(msgsrv_server_start(server, NULL), NULL);
    return server;
}

/* Sends a held message and many that are answered before it, so that their answers wait for its own. */
static void send_early_ones(struct event_base *base, ts_peer *peer, struct plain_work *work)
{
    static char text[EARLY_TEXT + 1];
    ts_bytes out = {0};
    memset(text, 'x', EARLY_TEXT);
    ts_put_plain_add(&out, 1, 2);
    ts_peer_send(peer, &out);
    while (api_event_count(&work->holds.held) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    for (unsigned i = 0; i < EARLY; i++) {
        ts_put_plain_echo(&out, text);
        ts_peer_send(peer, &out);
        while (work->echoes <= i)
            event_base_loop(base, EVLOOP_ONCE);
    }
    event_base_loop(base, EVLOOP_NONBLOCK); /* epoll has nothing on its list any more: what comes next comes first */
}

START_TEST(a_reset_while_plain_answers_that_were_ready_early_are_written)
{
    struct plain_work work = {.echoes = 0};
    api_holds_init(&work.holds);
    struct event_base *base = event_base_new();
    msgsrv_server *server = plain_server(base, &work);
    ts_server view = {.handle = server};
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    send_early_ones(base, peer, &work);
    /* The loop takes the answer before it sees the reset, and meets it in the middle of writing. */
    messages_AddResponse response = {.result = 3};
    api_ok(messages_Demo_Add_reply(work.holds.hold[0], &response), NULL);
    ts_peer_reset(peer);
    while (ts_stats(&view).connections_open != 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(ts_stats(&view).calls_open, 0);
    ck_assert_uint_eq(work.echoes, EARLY);
    msgsrv_server_free(server);
    event_base_free(base);
}
END_TEST

START_TEST(a_call_on_a_plain_connection_that_drains_is_told_by_a_go_away)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 1);
    ts_peer *told = ts_server_connect(server);
    ts_barrier(told);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    /* The loop drains its connections in the order in which they came. */
    ts_expect_go_away(told, MSGSRV_UNAVAILABLE);
    ts_peer_free(told);
    ts_put_call_add(&out, 1, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_refused(server, MSGSRV_REFUSED_DRAINING, 1);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    bool answered = false, sent_away = false;
    for (const ts_frame *frame; (frame = ts_peer_next(peer)) != NULL;) {
        if (frame->number == TS_PLAIN_ECHO) {
            answered = true;
            continue;
        }
        ck_assert_uint_eq(frame->number, TS_GO_AWAY);
        ck_assert_uint_eq(frame->code, MSGSRV_UNAVAILABLE);
        ck_assert_uint_eq(frame->last_id, 0);
        sent_away = true;
    }
    ck_assert(answered);
    ck_assert(sent_away);
    ts_peer_free(peer);
    expect_stopped(server->handle);
    ts_server_free(server);
}
END_TEST

/* ---- methods that are no good texts ---- */

/* Whether bytes end with a whole character. */
static bool ends_whole(const char *text)
{
    size_t size = strlen(text), tail = 0;
    while (tail < size && ((unsigned char)text[size - 1 - tail] & 0xc0) == 0x80)
        tail++;
    if (tail == size)
        return tail == 0;
    unsigned char lead = (unsigned char)text[size - 1 - tail];
    size_t wanted = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    return tail == wanted;
}

START_TEST(a_long_unknown_method_is_named_in_whole_characters)
{
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    uint64_t id = 0;

    for (size_t c = 0; c < 3; c++) {
        for (size_t letters = 0; letters < 4; letters++) {
            char method[256] = "/";
            memset(method + 1, 'a', letters);
            while (strlen(method) < 200)
                strcat(method, characters[c]);
            ts_put_call(&out, &(ts_call){.id = ++id, .method = method});
            ts_peer_send(peer, &out);
            const ts_frame *end = ts_expect_end(peer, id, MSGSRV_UNIMPLEMENTED);
            ck_assert_msg(ends_whole(end->message), "cut inside a character: %s", end->message);
        }
    }
    ts_barrier(peer);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

static void put_method(ts_bytes *out, uint64_t id, const char *method, size_t size)
{
    ts_bytes inside = {0};
    ts_put_uint(&inside, 1, id);
    ts_put_field(&inside, 2, method, size);
    ts_put_field(out, TS_CALL, inside.data, inside.size);
    ts_bytes_release(&inside);
}

START_TEST(what_follows_a_nul_in_a_method_is_checked_too)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_method(&out, 1, "/\0a\0", 4);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_UNIMPLEMENTED);
    put_method(&out, 2, "/\0a\0\xff", 5);
    ts_peer_send(peer, &out);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_MALFORMED, 1);
    ts_peer_free(peer);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_reset", a_drain_ends_when_the_last_connection_of_another_loop_left_just_before_it,
        a_stop_leaves_nothing_of_connections_that_wait_to_be_accepted,
        a_reset_while_plain_answers_that_were_ready_early_are_written,
        a_call_on_a_plain_connection_that_drains_is_told_by_a_go_away,
        a_long_unknown_method_is_named_in_whole_characters, what_follows_a_nul_in_a_method_is_checked_too)
