/* SPDX-License-Identifier: MIT */
/*
 * The limit: what a server costs that does nothing but the work itself. Plain epoll, one thread,
 * libc only; it parses each Call, compares the method's name, decodes the request, encodes the
 * answer, and sends all answers of a wake-up in one write. Per wake-up of a connection that is one
 * read and one write, and epoll_ctl only when the socket is full. It knows Add and Echo, and of
 * streams Give and Chat under the credit of both sides, without an end, and no more: no deadlines,
 * metadata, limits per call or check of UTF-8. It is there to be compared with, never to be used.
 */
#include "stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EVENTS_MAX 256       /* events taken from one epoll_wait */
#define ANSWER_ROOM 48       /* bytes an answer may need beyond its text */
#define CODE_INVALID 3       /* INVALID_ARGUMENT */
#define CODE_UNKNOWN_CALL 12 /* UNIMPLEMENTED */

#define GIVE_TURN (256u * 1024) /* bytes that a stream gives in one wake-up */
#define GIVE_TEXT 65536u        /* bytes of the longest text that is given */

/* A stream: what may still be sent, and the credit owed to the client. */
struct flow {
    uint64_t id;   /* 0: there is none */
    uint64_t left; /* texts to give */
    size_t size;   /* of each */
    int64_t items, bytes;
    uint64_t owed, owed_bytes;
};

struct connection {
    struct stream stream;
    bool blocked;       /* waits for EPOLLOUT, and is not read meanwhile */
    bool giving;        /* has more to give and the credit for it: waits for EPOLLOUT too */
    struct flow *flows; /* FLOWS_MAX of them, by the lowest bits of the id, once there is a stream */
};

struct server {
    int epoll_fd, listen_fd;
    struct shared shared;
};

/* A Call as it lies in the input; lengths are in bytes. */
struct call {
    uint64_t id;
    const unsigned char *method, *body;
    size_t method_len, body_len;
    uint64_t credit, credit_bytes;
};

static struct server server;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static bool decode_call(const unsigned char *p, size_t len, struct call *call)
{
    const unsigned char *end = p + len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT) {
            call->id = field.value;
        } else if (field.number == 2 && field.type == WIRE_BYTES) {
            call->method = field.data;
            call->method_len = (size_t)field.value;
        } else if (field.number == 5 && field.type == WIRE_VARINT) {
            call->credit = field.value;
        } else if (field.number == 7 && field.type == WIRE_VARINT) {
            call->credit_bytes = field.value;
        } else if (field.number == 15 && field.type == WIRE_BYTES) {
            call->body = field.data;
            call->body_len = (size_t)field.value;
        }
    }
    return call->id != 0;
}

static bool decode_add(const struct call *call, int32_t *a, int32_t *b)
{
    const unsigned char *p = call->body, *end = p + call->body_len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT)
            *a = (int32_t)field.value;
        else if (field.number == 2 && field.type == WIRE_VARINT)
            *b = (int32_t)field.value;
    }
    return true;
}

static bool decode_echo(const struct call *call, const unsigned char **text, size_t *len)
{
    const unsigned char *p = call->body, *end = p + call->body_len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_BYTES) {
            *text = field.data;
            *len = (size_t)field.value;
        }
    }
    return true;
}

/* Writes an End up to where its body's bytes begin. */
static unsigned char *put_end(unsigned char *p, uint64_t id, size_t body_len)
{
    p = put_frame_header(p, FRAME_END, 2 + varint_size(id) + varint_size(body_len) + body_len);
    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_BODY;
    return put_varint(p, body_len);
}

static unsigned char *put_failure(unsigned char *p, uint64_t id, unsigned char code)
{
    p = put_frame_header(p, FRAME_END, 3 + varint_size(id));
    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_CODE;
    *p++ = code;
    return p;
}

static unsigned char *answer_add(unsigned char *p, const struct call *call)
{
    int32_t a = 0, b = 0;
    uint64_t sum;

    if (!decode_add(call, &a, &b))
        return put_failure(p, call->id, CODE_INVALID);
    sum = (uint64_t)(int64_t)(int32_t)((uint32_t)a + (uint32_t)b);
    if (sum == 0)
        return put_end(p, call->id, 0);
    p = put_end(p, call->id, 1 + varint_size(sum));
    *p++ = TAG_FIRST_INT;
    return put_varint(p, sum);
}

static unsigned char *answer_echo(unsigned char *p, const struct call *call)
{
    const unsigned char *text = NULL;
    size_t len = 0;

    if (!decode_echo(call, &text, &len))
        return put_failure(p, call->id, CODE_INVALID);
    if (len == 0)
        return put_end(p, call->id, 0);
    p = put_end(p, call->id, 1 + varint_size(len) + len);
    *p++ = TAG_TEXT;
    p = put_varint(p, len);
    return put_bytes(p, text, len);
}

static bool method_is(const struct call *call, const char *name, size_t len)
{
    return call->method_len == len && memcmp(call->method, name, len) == 0;
}

static struct flow *find_flow(struct connection *conn, uint64_t id)
{
    struct flow *flow = conn->flows ? &conn->flows[id % FLOWS_MAX] : NULL;

    return flow != NULL && id != 0 && flow->id == id ? flow : NULL;
}

/* False: a stream is in its place, or it asks for what cannot be. */
static bool open_flow(struct connection *conn, const struct call *call, bool gives)
{
    struct flow *flow;
    int32_t size = 0;
    struct field field;

    if (conn->flows == NULL) {
        conn->flows = must_alloc(NULL, FLOWS_MAX * sizeof(*flow));
        memset(conn->flows, 0, FLOWS_MAX * sizeof(*flow));
    }
    flow = &conn->flows[call->id % FLOWS_MAX];
    if (flow->id != 0 || call->credit > INT32_MAX || call->credit_bytes > INT32_MAX)
        return false;
    *flow = (struct flow){.id = call->id, .items = (int64_t)call->credit, .bytes = (int64_t)call->credit_bytes};
    for (const unsigned char *p = call->body, *end = p + call->body_len; gives && p < end;) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT)
            flow->left = field.value;
        else if (field.number == 2 && field.type == WIRE_VARINT)
            size = (int32_t)field.value;
    }
    flow->size = size < 0 ? 0 : (size_t)size;
    return flow->size <= GIVE_TEXT;
}

/* Gives texts as far as credit and this turn go; whether there is more to give with the next one. */
static bool give(struct flow *flow, struct buffer *output)
{
    static unsigned char text[GIVE_TEXT];
    size_t room = flow->size + ANSWER_ROOM, body = text_size(flow->size), turn = 0;

    if (text[0] == 0)
        memset(text, 'x', sizeof(text));
    while (flow->left > 0 && flow->items > 0 && flow->bytes > 0 && turn < GIVE_TURN) {
        unsigned char *p = put_item(buffer_reserve(output, room), flow->id, text, flow->size);

        turn += (size_t)(p - output->data) - output->len;
        output->len = (size_t)(p - output->data);
        flow->left--;
        flow->items--;
        flow->bytes -= (int64_t)body;
    }
    return flow->left > 0 && flow->items > 0 && flow->bytes > 0;
}

static void give_all(struct connection *conn)
{
    conn->giving = false;
    for (unsigned i = 0; conn->flows != NULL && i < FLOWS_MAX; i++)
        if (conn->flows[i].left > 0 && give(&conn->flows[i], &server.shared.output))
            conn->giving = true;
}

/* Sends a text back; a client that does not give enough credit for that is left. */
static bool chat(struct flow *flow, const struct flow_frame *item, struct buffer *output)
{
    struct call call = {.body = item->body, .body_len = item->body_len};
    const unsigned char *text = NULL;
    size_t len = 0;
    unsigned char *p;

    if (!decode_echo(&call, &text, &len) || flow->items <= 0 || flow->bytes <= 0)
        return false;
    p = put_item(buffer_reserve(output, item->body_len + 2 * ANSWER_ROOM), flow->id, text, len);
    flow->items--;
    flow->bytes -= (int64_t)text_size(len);
    flow->owed++;
    flow->owed_bytes += item->body_len;
    if (flow->owed >= FIRST_ITEMS / 2 || flow->owed_bytes >= FIRST_BYTES / 2) {
        p = put_credit(p, flow->id, flow->owed, flow->owed_bytes);
        flow->owed = flow->owed_bytes = 0;
    }
    output->len = (size_t)(p - output->data);
    return true;
}

static bool on_flow_frame(struct connection *conn, uint32_t number, const unsigned char *data, size_t len)
{
    struct flow_frame frame;
    struct flow *flow;

    if (!get_flow_frame(data, len, &frame))
        return false;
    flow = find_flow(conn, frame.id);
    if (flow == NULL)
        return true;
    if (number == FRAME_ITEM)
        return chat(flow, &frame, &server.shared.output);
    if (frame.items > INT32_MAX || frame.bytes > INT32_MAX)
        return false;
    flow->items += (int64_t)frame.items;
    flow->bytes += (int64_t)frame.bytes;
    return true;
}

/* Frames that are nothing of a call's are skipped. */
static bool on_frame(void *arg, uint32_t number, const unsigned char *data, size_t len)
{
    struct connection *conn = arg;
    struct buffer *output = &server.shared.output;
    struct call call = {0, data, data, 0, 0, FIRST_ITEMS, FIRST_BYTES};
    unsigned char *p;

    if (number == FRAME_ITEM || number == FRAME_CREDIT)
        return on_flow_frame(conn, number, data, len);
    if (number != FRAME_CALL)
        return true;
    if (!decode_call(data, len, &call))
        return false;
    p = buffer_reserve(output, call.body_len + ANSWER_ROOM);
    if (method_is(&call, METHOD_ADD, sizeof(METHOD_ADD) - 1))
        p = answer_add(p, &call);
    else if (method_is(&call, METHOD_ECHO, sizeof(METHOD_ECHO) - 1))
        p = answer_echo(p, &call);
    else if (method_is(&call, METHOD_GIVE, sizeof(METHOD_GIVE) - 1))
        return open_flow(conn, &call, true);
    else if (method_is(&call, METHOD_CHAT, sizeof(METHOD_CHAT) - 1))
        return open_flow(conn, &call, false);
    else
        p = put_failure(p, call.id, CODE_UNKNOWN_CALL);
    output->len = (size_t)(p - output->data);
    return true;
}

static void close_connection(struct connection *conn)
{
    stream_close(&conn->stream);
    free(conn->flows);
    free(conn);
}

/* While output waits, nothing is read: so what a connection can make us hold is bounded. */
static void follow_output(struct connection *conn, bool was_giving)
{
    bool blocked = stream_has_pending(&conn->stream);
    uint32_t events = blocked ? EPOLLOUT : conn->giving ? EPOLLIN | EPOLLOUT : EPOLLIN;
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (blocked == conn->blocked && conn->giving == was_giving)
        return;
    conn->blocked = blocked;
    if (epoll_ctl(server.epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) < 0)
        die("epoll_ctl");
}

static void serve(struct connection *conn, uint32_t events)
{
    struct stream *stream = &conn->stream;
    enum stream_state state = STREAM_AGAIN;
    bool ok, was_giving = conn->giving;

    if (conn->blocked) {
        ok = stream_write_pending(stream);
    } else {
        server.shared.output.len = 0;
        if (events & ~(uint32_t)EPOLLOUT)
            state = stream_read(stream, &server.shared, on_frame, conn);
        give_all(conn);
        ok = stream_write(stream, &server.shared);
    }
    if (!ok || state != STREAM_AGAIN)
        close_connection(conn);
    else
        follow_output(conn, was_giving);
}

static void add_connection(int fd)
{
    struct connection *conn = must_alloc(NULL, sizeof(*conn));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int on = 1;

    memset(conn, 0, sizeof(*conn));
    conn->stream.fd = fd;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("TCP_NODELAY");
    if (epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void accept_all(void)
{
    int fd;

    while ((fd = accept4(server.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        add_connection(fd);
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        die("accept4");
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int count = epoll_wait(server.epoll_fd, events, EVENTS_MAX, -1);

        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all();
            else
                serve(events[i].data.ptr, events[i].events);
        }
    }
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    socklen_t len = sizeof(address);
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server.listen_fd < 0 || setsockopt(server.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(server.listen_fd, (struct sockaddr *)&address, len) < 0 || listen(server.listen_fd, SOMAXCONN) < 0 ||
        getsockname(server.listen_fd, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    server.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll_fd < 0 || epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, server.listen_fd, &event) < 0)
        die("epoll");
    printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void on_term(int signo)
{
    (void)signo;
    _exit(0);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    unsigned port;

    if (argc != 3 || strcmp(argv[1], "--listen") != 0 || sscanf(argv[2], "tcp://127.0.0.1:%u", &port) != 1 ||
        port > UINT16_MAX) {
        fprintf(stderr, "usage: %s --listen tcp://127.0.0.1:PORT\n", argv[0]);
        return 2;
    }
    signal(SIGTERM, on_term);
    signal(SIGINT, on_term);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    server.shared.input = must_alloc(NULL, INPUT_SIZE);
    listen_on((uint16_t)port);
    run();
}
