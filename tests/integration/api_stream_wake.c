/* SPDX-License-Identifier: MIT */
/*
 * Streams that are woken on their own loop, what is known of the peer's credit, and asking before a message is made. A service by hand: Talk
 * (bidirectional) and Tell (server-streaming), whose messages are bytes.
 */
#include "api_support.h"
#include "call/stream.h"

/* What the server's end of a stream does and has seen. On its loop's thread, but for the events. */
typedef struct talk {
    msgsrv_stream *stream;
    unsigned turn;    /* of the loop, when it was woken last */
    bool in_event;    /* a function of ours is at work */
    bool over;        /* the last WOKEN came in another turn */
    unsigned woken;   /* in all */
    unsigned in_turn; /* in one turn, the most */
    unsigned at_once; /* in this one */
    unsigned at_turn;
    struct talk *other; /* is woken by our WOKEN */
    unsigned left;      /* times that it is */
    uint64_t to_send;   /* Tell */
    uint64_t sent;
    unsigned writable;
} talk;

static talk talks[4];
static unsigned talk_count;
static api_event told; /* something of the tests' own has happened */
static _Atomic uint64_t acknowledged;

static void remember(talk *own)
{
    own->turn = own->stream->loop->turn;
}

static msgsrv_status talk_woken(talk *own)
{
    char text[32];
    ck_assert(!own->in_event); /* nothing is told inside of a function of the program's */
    own->over = own->over || own->stream->loop->turn != own->turn;
    own->woken++;
    own->at_once = own->at_turn == own->stream->loop->turn ? own->at_once + 1 : 1;
    own->at_turn = own->stream->loop->turn;
    own->in_turn = own->at_once > own->in_turn ? own->at_once : own->in_turn;
    if (own->other && own->left) {
        own->left--;
        remember(own->other);
        msgsrv_stream_wake(own->other->stream);
        if (own->left == 0)
            api_event_add(&told);
        return MSGSRV_OK;
    }
    int size = snprintf(text, sizeof text, "woken %u", own->woken);
    (void)msgsrv_stream_send(own->stream, &(msgsrv_bytes){text, (size_t)size, NULL}, NULL);
    return MSGSRV_OK;
}

static bool is(const msgsrv_bytes *message, const char *text)
{
    return message->size == strlen(text) && memcmp(message->data, text, message->size) == 0;
}

static msgsrv_status talk_message(talk *own, const msgsrv_bytes *message)
{
    own->in_event = true;
    remember(own);
    if (is(message, "wake")) {
        msgsrv_stream_wake(own->stream);
        (void)msgsrv_stream_send(own->stream, &(msgsrv_bytes){"message", 7, NULL}, NULL);
        msgsrv_stream_wake(own->stream);
    } else if (is(message, "play")) {
        own->other = &talks[own == &talks[0]];
        own->other->other = own;
        own->left = own->other->left = 5000;
        msgsrv_stream_wake(own->stream);
    } else if (is(message, "end")) {
        msgsrv_stream_wake(own->stream);
        (void)msgsrv_stream_finish(own->stream);
        msgsrv_stream_wake(own->stream);
    }
    own->in_event = false;
    return MSGSRV_OK;
}

static talk *begin(msgsrv_stream *stream)
{
    talk *own = &talks[talk_count++];
    *own = (talk){.stream = stream};
    msgsrv_stream_set_data(stream, own);
    api_event_add(&told);
    return own;
}

static msgsrv_status serve_talk(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                void *out, void *ctx)
{
    (void)none;
    (void)out;
    (void)ctx;
    talk *own = msgsrv_stream_data(stream);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        (void)begin(stream);
        return MSGSRV_OK;
    case MSGSRV_STREAM_MESSAGE:
        return talk_message(own, in);
    case MSGSRV_STREAM_WOKEN:
        return talk_woken(own);
    case MSGSRV_STREAM_HALF_CLOSE:
        (void)msgsrv_stream_finish(stream);
        return MSGSRV_OK;
    case MSGSRV_STREAM_CLOSED:
        msgsrv_stream_wake(stream);
        api_event_add(&told);
        return MSGSRV_OK;
    default:
        return MSGSRV_OK;
    }
}

/* Sends numbered messages, each made when it can go. */
static msgsrv_status tell(talk *own)
{
    char text[100];
    memset(text, 'x', sizeof text);
    while (own->sent < own->to_send && msgsrv_stream_ask_to_send(own->stream)) {
        (void)snprintf(text, sizeof text, "%08llu", (unsigned long long)own->sent);
        msgsrv_status status = msgsrv_stream_send(own->stream, &(msgsrv_bytes){text, sizeof text, NULL}, NULL);
        ck_assert_int_eq(status, MSGSRV_OK); /* what was asked for is there */
        own->sent++;
    }
    return MSGSRV_OK;
}

static msgsrv_status serve_tell(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                void *out, void *ctx)
{
    (void)none;
    (void)out;
    (void)ctx;
    const msgsrv_bytes *request = in;
    char number[16] = "";
    talk *own = msgsrv_stream_data(stream);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        own = begin(stream);
        memcpy(number, request->data, request->size < 15 ? request->size : 15);
        own->to_send = strtoul(number, NULL, 10);
        msgsrv_stream_wake_on_acknowledged(stream);
        return tell(own);
    case MSGSRV_STREAM_WRITABLE:
        own->writable++;
        return tell(own);
    case MSGSRV_STREAM_WOKEN:
        ck_assert_uint_le(msgsrv_stream_acknowledged(stream), own->sent);
        ck_assert_uint_ge(msgsrv_stream_acknowledged(stream), acknowledged);
        acknowledged = msgsrv_stream_acknowledged(stream);
        if (acknowledged == own->to_send)
            (void)msgsrv_stream_finish(stream);
        return MSGSRV_OK;
    default:
        return MSGSRV_OK;
    }
}

static const msgsrv_method talk_method = {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, "/test.Wake/Talk",
                                          &msgsrv_raw_type, &msgsrv_raw_type};
static const msgsrv_method tell_method = {MSGSRV_GENERATED_ABI, MSGSRV_SERVER_STREAMING, "/test.Wake/Tell",
                                          &msgsrv_raw_type, &msgsrv_raw_type};

static bool implemented(const void *none)
{
    (void)none;
    return true;
}

static const msgsrv_service_method methods[] = {
    {&talk_method, NULL, implemented, NULL, serve_talk},
    {&tell_method, NULL, implemented, NULL, serve_tell},
};
static const msgsrv_service service = {
    .abi = MSGSRV_GENERATED_ABI,
    .nanopb_header = PB_PROTO_HEADER_VERSION,
    .nanopb_size_bytes = sizeof(pb_size_t),
    .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
    .generator = "by hand",
    .name = "test.Wake",
    .implementation_size = 1,
    .methods = methods,
    .method_count = 2,
};

static msgsrv_server *serve(void)
{
    msgsrv_error error;
    api_event_init(&told);
    talk_count = 0;
    acknowledged = 0;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_server_register(server, &service, "", NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

static msgsrv_stream *open_sync(msgsrv_client *client, const msgsrv_method *method, const char *request,
                                const msgsrv_call_options *options)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_bytes bytes = {request, request ? strlen(request) : 0, NULL};
    api_ok(msgsrv_stream_open(client, method, request ? &bytes : NULL, options, NULL, NULL, 0, &stream, NULL, &error),
           &error);
    return stream;
}

static void write_text(msgsrv_stream *stream, const char *text)
{
    msgsrv_error error;
    api_ok(msgsrv_stream_write(stream, &(msgsrv_bytes){text, strlen(text), NULL}, &error), &error);
}

static void expect_text(msgsrv_stream *stream, const char *text)
{
    msgsrv_bytes message = {0};
    ck_assert(msgsrv_stream_read(stream, &message));
    if (!is(&message, text))
        ck_abort_msg("%.*s, not %s", (int)message.size, (const char *)message.data, text);
    msgsrv_message_release(&msgsrv_raw_type, &message);
}

START_TEST(a_wake_on_the_loop_comes_in_the_same_turn_and_once)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_sync(client, &talk_method, NULL, NULL);
    for (unsigned i = 1; i <= 100; i++) {
        char text[32];
        write_text(stream, "wake");
        expect_text(stream, "message");
        (void)snprintf(text, sizeof text, "woken %u", i);
        expect_text(stream, text);
    }
    msgsrv_error error;
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(talks[0].woken, 100);
    ck_assert(!talks[0].over);
}
END_TEST

START_TEST(streams_that_wake_each_other_do_not_keep_the_loop)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *one = open_sync(client, &talk_method, NULL, NULL);
    msgsrv_stream *two = open_sync(client, &talk_method, NULL, NULL);
    write_text(one, "wake");
    expect_text(one, "message");
    expect_text(one, "woken 1");
    write_text(two, "wake");
    expect_text(two, "message");
    expect_text(two, "woken 1");
    write_text(one, "play");
    api_call_add(client);     /* others are served meanwhile */
    api_event_wait(&told, 3); /* two begun, and one has had its share */
    msgsrv_error error;
    api_ok(msgsrv_stream_close(one, NULL, &error), &error);
    api_ok(msgsrv_stream_close(two, NULL, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_ge(talks[0].woken, 2);
    ck_assert_uint_le(talks[0].in_turn, 2);
    ck_assert_uint_le(talks[1].in_turn, 2);
}
END_TEST

START_TEST(a_stream_that_ends_is_woken_in_vain)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_sync(client, &talk_method, NULL, NULL);
    write_text(stream, "end");
    msgsrv_error error;
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
    api_event_wait(&told, 2);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(talks[0].woken, 0);
}
END_TEST

/* At the client's end, on a private loop. */
typedef struct listener {
    unsigned messages;
    unsigned woken;
    unsigned closed;
    bool keeps;
    uint32_t kept;
    msgsrv_stream *stream;
} listener;

static msgsrv_status listen_to(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                               const void *in, void *out, void *ctx)
{
    listener *own = *(listener *const *)implementation;
    (void)in;
    (void)out;
    (void)ctx;
    own->stream = stream;
    if (event == MSGSRV_STREAM_MESSAGE) {
        own->messages++;
        if (own->keeps)
            own->kept += msgsrv_stream_keep(stream);
    }
    own->woken += event == MSGSRV_STREAM_WOKEN;
    own->closed += event == MSGSRV_STREAM_CLOSED;
    return MSGSRV_OK;
}

static msgsrv_stream *listen_on(msgsrv_client *client, const char *request, const msgsrv_call_options *options,
                                listener *own)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_bytes bytes = {request, strlen(request), NULL};
    api_ok(msgsrv_stream_open(client, &tell_method, &bytes, options, listen_to, &own, sizeof own, &stream, NULL, &error),
           &error);
    return stream;
}

static void poll_until(msgsrv_client *client, const unsigned *member, unsigned value)
{
    while (*member < value)
        (void)msgsrv_client_poll(client, API_GUARD_MS, NULL);
}

START_TEST(nothing_is_told_inside_of_the_functions_that_a_program_calls)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    listener own = {0};
    msgsrv_stream *stream = listen_on(client, "3", NULL, &own);
    poll_until(client, &own.messages, 3);
    msgsrv_stream_wake(stream);
    msgsrv_stream_wake(stream);
    msgsrv_stream_resume(stream); /* opens a bracket, and leaves it */
    ck_assert_uint_eq(own.woken, 0);
    poll_until(client, &own.woken, 1);
    (void)msgsrv_client_poll(client, 0, NULL);
    ck_assert_uint_eq(own.woken, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(credit_that_is_given_back_is_known_to_the_sender)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    listener lazy = {0};
    (void)listen_on(client, "10", NULL, &lazy);
    poll_until(client, &lazy.messages, 10);
    api_call_add(client);
    ck_assert_uint_eq(acknowledged, 0); /* half of the window is not owed yet */
    listener eager = {0};
    (void)listen_on(client, "10", &(msgsrv_call_options){.size = sizeof(msgsrv_call_options), .eager_credit = true},
                    &eager);
    poll_until(client, &eager.closed, 1); /* the server has learned of all 10 */
    ck_assert_uint_eq(eager.messages, 10);
    ck_assert_uint_eq(acknowledged, 10);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(credit_that_is_kept_is_not_given_back)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    listener own = {.keeps = true};
    msgsrv_stream *stream =
        listen_on(client, "5", &(msgsrv_call_options){.size = sizeof(msgsrv_call_options), .eager_credit = true}, &own);
    poll_until(client, &own.messages, 5);
    api_call_add(client);
    ck_assert_uint_eq(acknowledged, 0);
    msgsrv_stream_consumed(stream, 2, own.kept / 5 * 2); /* outside of the loop: it goes in the next turn */
    (void)msgsrv_client_poll(client, 0, NULL);
    api_call_add(client);
    ck_assert_uint_eq(acknowledged, 2);
    msgsrv_stream_consumed(stream, 5, own.kept);
    poll_until(client, &own.closed, 1);
    ck_assert_uint_eq(acknowledged, 5);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_sender_that_asks_is_told_when_there_is_room)
{
    msgsrv_server *server = serve();
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_stream *stream = open_sync(client, &tell_method, "100000", NULL);
    msgsrv_bytes message = {0};
    unsigned long got = 0;
    for (; got < 100000 && msgsrv_stream_read(stream, &message); got++) {
        ck_assert_uint_eq(strtoul(message.data, NULL, 10), got);
        msgsrv_message_release(&msgsrv_raw_type, &message);
    }
    ck_assert_uint_eq(got, 100000);
    msgsrv_stream_cancel(stream);
    api_expect(MSGSRV_CANCELLED, msgsrv_stream_close(stream, NULL, &error), &error);
    ck_assert(!msgsrv_stream_ask_to_send(NULL));
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_ge(talks[0].writable, 1);
}
END_TEST

TS_MAIN("api_stream_wake", a_wake_on_the_loop_comes_in_the_same_turn_and_once,
        streams_that_wake_each_other_do_not_keep_the_loop, a_stream_that_ends_is_woken_in_vain,
        nothing_is_told_inside_of_the_functions_that_a_program_calls, credit_that_is_given_back_is_known_to_the_sender,
        credit_that_is_kept_is_not_given_back, a_sender_that_asks_is_told_when_there_is_room)
