/* SPDX-License-Identifier: MIT */
/*
 * The limit of the bus: what fanning events out costs a server that does nothing else. Plain epoll, one thread, libc only. It reads the
 * Items of PublishStream and walks the boundaries of frames and publications; each publication is copied once, as it is, into one buffer of
 * Items with what an event has besides (a Publication's topic, type and payload have an Event's numbers), and that buffer goes to every
 * subscriber in one write per wake-up. It grants credit and acknowledges as the bus does. It knows one topic: no
 * matching, no check of a type, payload or name, no queue, no gap, no credit of the subscribers. It is there to be compared with.
 */
#include "stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "bus_wire.h"

#define EVENTS_MAX 64
#define ITEM_EVENTS 64u        /* of one Item, as the bus has them */
#define ITEM_SIZE (32u * 1024) /* bytes after which one ends, the same */
#define HEAD_ROOM 9u           /* bytes of the head of most Items */
#define CALL 1u                /* what all subscribers must call their call, so that all get the same bytes */

/* A client: a publisher once it has called PublishStream, a subscriber once it has called Subscribe. */
struct client {
    struct stream stream;
    bool blocked;     /* waits for EPOLLOUT; and a publisher is not read meanwhile */
    uint64_t publish; /* the id of its call, or 0 */
    bool subscribes;
    uint64_t last; /* publications */
    uint64_t owed, owed_bytes;
    struct client *next; /* of the subscribers */
};

static struct {
    int epoll_fd, listen_fd;
    struct shared shared;
    struct client *subscribers;
    struct buffer events; /* Items of this wake-up */
    size_t item_at;       /* the Item that is being made, and its events */
    unsigned item_events;
    uint64_t sequence;
    uint64_t time_us;
} server;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t wall_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void follow_output(struct client *client)
{
    bool blocked = stream_has_pending(&client->stream);
    uint32_t in = blocked && client->publish != 0 ? 0 : EPOLLIN;
    struct epoll_event event = {.events = blocked ? in | EPOLLOUT : in, .data.ptr = client};

    if (blocked == client->blocked)
        return;
    client->blocked = blocked;
    if (epoll_ctl(server.epoll_fd, EPOLL_CTL_MOD, client->stream.fd, &event) < 0)
        die("epoll_ctl");
}

/* All of this wake-up, to one subscriber. */
static void send_events(struct client *to)
{
    const struct buffer *events = &server.events;
    ssize_t put = 0;

    if (!stream_has_pending(&to->stream)) {
        put = write(to->stream.fd, events->data, events->len);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return; /* its reading end will say so */
        put = put < 0 ? 0 : put;
    }
    if ((size_t)put < events->len)
        buffer_append(&to->stream.pending, events->data + put, events->len - (size_t)put);
    follow_output(to);
}

/* Ends the Item: its head is put in front, where there is room for the usual one. */
static void end_item(void)
{
    unsigned char head[BUS_EVENT_ROOM], *p, *end;
    size_t body, head_size;

    if (server.item_events == 0)
        return;
    p = put_varint_field(buffer_reserve(&server.events, BUS_EVENT_ROOM), RESPONSE_POSITION, server.sequence);
    server.events.len = (size_t)(p - server.events.data);
    body = server.events.len - server.item_at - HEAD_ROOM;
    end = put_item_head(head, CALL, body);
    head_size = (size_t)(end - head);
    p = server.events.data + server.item_at;
    if (head_size != HEAD_ROOM)
        memmove(p + head_size, p + HEAD_ROOM, body);
    memcpy(p, head, head_size);
    server.events.len = server.item_at + head_size + body;
    server.item_events = 0;
}

static void send_all(void)
{
    end_item();
    if (server.events.len == 0)
        return;
    for (struct client *to = server.subscribers; to != NULL; to = to->next)
        send_events(to);
    server.events.len = 0;
}

static void add_event(const unsigned char *publication, size_t size)
{
    size_t len = size + BUS_EVENT_FIXED + varint_size(++server.sequence);
    unsigned char *p = buffer_reserve(&server.events, len + 2 * BUS_EVENT_ROOM);

    if (server.item_events++ == 0) {
        server.item_at = server.events.len;
        p += HEAD_ROOM;
    }
    *p++ = RESPONSE_EVENTS;
    p = put_varint(p, len);
    p = put_bytes(p, publication, size);
    p = put_fixed64_field(p, EVENT_EPOCH, 1);
    p = put_varint_field(p, EVENT_SEQUENCE, server.sequence);
    p = put_fixed64_field(p, EVENT_TIME_US, server.time_us);
    server.events.len = (size_t)(p - server.events.data);
    if (server.item_events == ITEM_EVENTS || server.events.len - server.item_at >= ITEM_SIZE)
        end_item();
}

static bool on_publish(struct client *client, const unsigned char *body, size_t len)
{
    const unsigned char *p = body, *end = body + len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number != 1 || field.type != WIRE_BYTES)
            continue;
        add_event(field.data, (size_t)field.value);
        client->last++;
    }
    client->owed++;
    client->owed_bytes += len;
    return true;
}

/* Answers what has come from a publisher in this wake-up: credit, and one cumulative acknowledgement. */
static void answer_publisher(struct client *client, uint64_t before)
{
    struct buffer *output = &server.shared.output;
    unsigned char *p = buffer_reserve(output, 2 * BUS_EVENT_ROOM);

    if (client->last == before)
        return;
    if (client->owed >= FIRST_ITEMS / 2 || client->owed_bytes >= FIRST_BYTES / 2) {
        p = put_credit(p, client->publish, client->owed, client->owed_bytes);
        client->owed = client->owed_bytes = 0;
    }
    p = put_item_head(p, client->publish, 1 + varint_size(client->last));
    p = put_varint_field(p, ANSWER_LAST, client->last);
    output->len = (size_t)(p - output->data);
}

static bool field_is(const struct field *field, const char *text)
{
    return field->value == strlen(text) && memcmp(field->data, text, (size_t)field->value) == 0;
}

/* Subscribing is answered with the epoch: from here on nothing passes. */
static bool on_call(struct client *client, const unsigned char *p, size_t len)
{
    const unsigned char *end = p + len;
    struct buffer *output = &server.shared.output;
    struct field field;
    uint64_t id = 0;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT)
            id = field.value;
        if (field.number != 2 || field.type != WIRE_BYTES)
            continue;
        if (field_is(&field, METHOD_PUBLISH_STREAM)) {
            client->publish = id;
        } else if (field_is(&field, METHOD_SUBSCRIBE)) {
            if (id != CALL || client->subscribes)
                return false;
            client->subscribes = true;
            client->next = server.subscribers;
            server.subscribers = client;
        }
    }
    if (client->subscribes) {
        unsigned char *to = put_item_head(buffer_reserve(output, 2 * BUS_EVENT_ROOM), id, 9);

        output->len = (size_t)(put_fixed64_field(to, RESPONSE_EPOCH, 1) - output->data);
    }
    return true;
}

static bool on_frame(void *arg, uint32_t number, const unsigned char *data, size_t len)
{
    struct client *client = arg;
    struct flow_frame frame;

    if (number == FRAME_CALL)
        return on_call(client, data, len);
    if (number != FRAME_ITEM)
        return true;
    if (!get_flow_frame(data, len, &frame))
        return false;
    return frame.id != client->publish || on_publish(client, frame.body, frame.body_len);
}

static void close_client(struct client *client)
{
    for (struct client **at = &server.subscribers; *at != NULL; at = &(*at)->next)
        if (*at == client) {
            *at = client->next;
            break;
        }
    stream_close(&client->stream);
    free(client);
}

static void serve(struct client *client, uint32_t events)
{
    struct stream *stream = &client->stream;
    enum stream_state state = STREAM_AGAIN;
    uint64_t before = client->last;
    bool ok = true;

    server.shared.output.len = 0;
    if (client->blocked && events & EPOLLOUT)
        ok = stream_write_pending(stream);
    else if (events & ~(uint32_t)EPOLLOUT) {
        server.time_us = wall_us();
        state = stream_read(stream, &server.shared, on_frame, client);
        send_all();
        answer_publisher(client, before);
    }
    ok = ok && stream_write(stream, &server.shared);
    if (!ok || state != STREAM_AGAIN)
        close_client(client);
    else
        follow_output(client);
}

static void accept_all(void)
{
    int fd, on = 1;

    while ((fd = accept4(server.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = must_alloc(NULL, sizeof(*client));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

        memset(client, 0, sizeof(*client));
        client->stream.fd = fd;
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
            epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("a new connection");
    }
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

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server.listen_fd < 0 || bind(server.listen_fd, (struct sockaddr *)&address, len) < 0 ||
        listen(server.listen_fd, SOMAXCONN) < 0 || getsockname(server.listen_fd, (struct sockaddr *)&address, &len) < 0)
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
    server.shared.input = must_alloc(NULL, INPUT_SIZE);
    listen_on((uint16_t)port);
    run();
}
