/* SPDX-License-Identifier: MIT */
/*
 * The load generator of streams: on each connection a few streams that last, with much credit for the server, which is given back when
 * half of it is used. `give` only reads what one call asked for; `chat` sends texts, as the server's credit allows, and checks that each
 * comes back in order. Items are counted in a window of time, and the server's CPU time in it. Prints one line of JSON.
 */
#include "stream.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define CREDIT_ITEMS 1000000u
#define CREDIT_BYTES (64u * 1024 * 1024)
#define GIVE_ITEMS 1000000000000ull /* asked for: more than any window takes */
#define ROOM 96                     /* bytes that a frame may need beyond its text */
#define STAMP 8                     /* a text to be echoed begins with its number, if it has the room */
#define STALL_NS 10000000000ull

/* One stream; its id is its index and 1. */
struct flow {
    uint64_t sent, got;        /* texts */
    int64_t items, bytes;      /* the server's credit for us */
    uint64_t owed, owed_bytes; /* what it sent since we gave it credit */
};

struct connection {
    struct stream stream;
    bool wants_out;
    struct flow *flows;
};

static struct {
    uint16_t port;
    bool chat;
    size_t payload;
    unsigned connections, streams;
    double seconds, warmup;
    pid_t pid;
} options = {.payload = 32, .connections = 1, .streams = 1, .seconds = 1, .warmup = 0.2};

static struct shared shared;
static unsigned char *text;
static int epoll_fd;
static uint64_t got, errors;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "streams: %s\n", why);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) < 0)
        die("clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t server_cpu_ns(void)
{
    clockid_t clock;

    if (options.pid == 0)
        return 0;
    errno = clock_getcpuclockid(options.pid, &clock);
    if (errno != 0)
        die("clock_getcpuclockid");
    return clock_ns(clock);
}

static void stamp(uint64_t number)
{
    if (options.chat && options.payload >= STAMP)
        for (unsigned i = 0; i < STAMP; i++)
            text[i] = (unsigned char)('a' + (number >> (4 * i) & 15));
}

/* Frames */

static void put_call(uint64_t id)
{
    const char *method = options.chat ? METHOD_CHAT : METHOD_GIVE;
    size_t method_len = strlen(method);
    unsigned char content[128], *p = content;

    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_METHOD;
    *p++ = (unsigned char)method_len;
    p = put_bytes(p, method, method_len);
    *p++ = TAG_CREDIT;
    p = put_varint(p, CREDIT_ITEMS);
    if (options.chat) {
        *p++ = TAG_STREAMING;
        *p++ = 1;
    }
    *p++ = TAG_CREDIT_BYTES;
    p = put_varint(p, CREDIT_BYTES);
    if (!options.chat) {
        *p++ = TAG_BODY;
        p = put_varint(p, 2 + varint_size(GIVE_ITEMS) + varint_size(options.payload));
        *p++ = TAG_FIRST_INT;
        p = put_varint(p, GIVE_ITEMS);
        *p++ = TAG_SECOND_INT;
        p = put_varint(p, options.payload);
    }
    buffer_reserve(&shared.output, sizeof(content) + FRAME_HEADER_MAX);
    shared.output.len =
        (size_t)(put_frame_header(shared.output.data + shared.output.len, FRAME_CALL, (size_t)(p - content)) -
                 shared.output.data);
    buffer_append(&shared.output, content, (size_t)(p - content));
}

static void send_text(uint64_t id, struct flow *flow)
{
    unsigned char *p = buffer_reserve(&shared.output, options.payload + ROOM);

    stamp(flow->sent++);
    flow->items--;
    flow->bytes -= (int64_t)text_size(options.payload);
    p = put_item(p, id, text, options.payload);
    shared.output.len = (size_t)(p - shared.output.data);
}

static void give_back(uint64_t id, struct flow *flow, size_t len)
{
    unsigned char *p;

    flow->owed++;
    flow->owed_bytes += len;
    if (flow->owed < CREDIT_ITEMS / 2 && flow->owed_bytes < CREDIT_BYTES / 2)
        return;
    p = put_credit(buffer_reserve(&shared.output, ROOM), id, flow->owed, flow->owed_bytes);
    shared.output.len = (size_t)(p - shared.output.data);
    flow->owed = flow->owed_bytes = 0;
}

static bool text_is_right(const unsigned char *body, size_t len)
{
    struct field field = {0};

    return get_field(body, body + len, &field) == body + len && field.number == 1 && field.type == WIRE_BYTES &&
           field.value == options.payload && memcmp(field.data, text, options.payload) == 0;
}

static bool on_frame(void *arg, uint32_t number, const unsigned char *data, size_t len)
{
    struct connection *conn = arg;
    struct flow_frame frame;
    struct flow *flow;

    if ((number != FRAME_ITEM && number != FRAME_CREDIT) || !get_flow_frame(data, len, &frame))
        return false; /* an End too: these streams last */
    if (frame.id == 0 || frame.id > options.streams)
        return false;
    flow = &conn->flows[frame.id - 1];
    if (number == FRAME_CREDIT) {
        flow->items += (int64_t)frame.items;
        flow->bytes += (int64_t)frame.bytes;
        return true;
    }
    stamp(flow->got++);
    if (!text_is_right(frame.body, frame.body_len))
        errors++;
    got++;
    give_back(frame.id, flow, frame.body_len);
    return true;
}

/* Connections */

static void fill(struct connection *conn)
{
    for (unsigned i = 0; options.chat && !stream_has_pending(&conn->stream) && i < options.streams; i++) {
        struct flow *flow = &conn->flows[i];
        while (flow->items > 0 && flow->bytes > 0)
            send_text(i + 1, flow);
    }
    if (!stream_write(&conn->stream, &shared))
        die("write");
}

static void follow_output(struct connection *conn)
{
    bool wants_out = stream_has_pending(&conn->stream);
    struct epoll_event event = {.events = wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = conn};

    if (wants_out == conn->wants_out)
        return;
    conn->wants_out = wants_out;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) < 0)
        die("epoll_ctl");
}

static void serve(struct connection *conn, uint32_t events)
{
    if (events & EPOLLOUT && stream_has_pending(&conn->stream) && !stream_write_pending(&conn->stream))
        die("write");
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && stream_read(&conn->stream, &shared, on_frame, conn) != STREAM_AGAIN)
        give_up("a lost connection, a stream that ended, or a frame that does not belong here");
    fill(conn);
    follow_output(conn);
}

static void open_connection(struct connection *conn)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || ioctl(fd, FIONBIO, &on) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("socket options");
    memset(conn, 0, sizeof(*conn));
    conn->stream.fd = fd;
    conn->flows = must_alloc(NULL, options.streams * sizeof(*conn->flows));
    for (unsigned i = 0; i < options.streams; i++) {
        conn->flows[i] = (struct flow){.items = FIRST_ITEMS, .bytes = FIRST_BYTES};
        put_call(i + 1);
    }
    fill(conn);
    follow_output(conn);
}

/* Serves until a time; returns when it was over. */
static uint64_t serve_until(uint64_t end_ns)
{
    struct epoll_event events[64];
    uint64_t now = clock_ns(CLOCK_MONOTONIC), last_ns = now, last_got = got;

    while (now < end_ns) {
        int count = epoll_wait(epoll_fd, events, 64, 10);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++)
            serve(events[i].data.ptr, events[i].events);
        now = clock_ns(CLOCK_MONOTONIC);
        if (got != last_got) {
            last_got = got;
            last_ns = now;
        }
        if (now > last_ns + STALL_NS)
            give_up("nothing came for 10 s");
    }
    return now;
}

static void measure(void)
{
    uint64_t begin = serve_until(clock_ns(CLOCK_MONOTONIC) + (uint64_t)(options.warmup * 1e9));
    uint64_t before = got, cpu = server_cpu_ns(), ns;
    double items;

    ns = serve_until(begin + (uint64_t)(options.seconds * 1e9)) - begin;
    cpu = server_cpu_ns() - cpu;
    items = (double)(got - before);
    printf("{\"requests\": %.0f, \"seconds\": %.6f, \"rps\": %.1f, ", items, (double)ns / 1e9, items / (double)ns * 1e9);
    if (options.pid != 0 && items > 0)
        printf("\"server_cpu_us_per_request\": %.4f, \"server_cpu_share\": %.3f, ", (double)cpu / items / 1e3,
               (double)cpu / (double)ns);
    printf("\"errors\": %llu}\n", (unsigned long long)errors);
}

/* The command line */

static _Noreturn void usage(void)
{
    fputs("usage: msgsrv-bench-streams --connect tcp://127.0.0.1:PORT [options]\n"
          "  --method give|chat  streams of the server's, or in both directions (give)\n"
          "  --payload BYTES     length of a text (32)\n"
          "  --connections N     (1)\n"
          "  --outstanding M     streams of each connection (1)\n"
          "  --seconds S         length of the measured window (1)\n"
          "  --warmup S          before it (0.2)\n"
          "  --pid PID           the server's, to measure its CPU time\n",
          stderr);
    exit(2);
}

static double number(const char *word, double min, double max)
{
    char *end;
    double value = strtod(word, &end);

    if (end == word || *end != '\0' || !(value >= min && value <= max))
        usage();
    return value;
}

static void set_option(int option, const char *value)
{
    if (option == 'a' && sscanf(value, "tcp://127.0.0.1:%hu", &options.port) == 1)
        return;
    else if (option == 'm' && (strcmp(value, "give") == 0 || strcmp(value, "chat") == 0))
        options.chat = *value == 'c';
    else if (option == 'b')
        options.payload = (size_t)number(value, 1, 65536);
    else if (option == 'c')
        options.connections = (unsigned)number(value, 1, 1000);
    else if (option == 'o')
        options.streams = (unsigned)number(value, 1, FLOWS_MAX);
    else if (option == 's')
        options.seconds = number(value, 0.01, 3600);
    else if (option == 'w')
        options.warmup = number(value, 0, 3600);
    else if (option == 'p')
        options.pid = (pid_t)number(value, 1, INT32_MAX);
    else
        usage();
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"connect", required_argument, NULL, 'a'},
        {"method", required_argument, NULL, 'm'},
        {"payload", required_argument, NULL, 'b'},
        {"connections", required_argument, NULL, 'c'},
        {"outstanding", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"pid", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct connection *connections;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        set_option(option, optarg);
    if (optind != argc || options.port == 0)
        usage();
    signal(SIGPIPE, SIG_IGN);
    shared.input = must_alloc(NULL, INPUT_SIZE);
    text = must_alloc(NULL, options.payload);
    memset(text, 'x', options.payload);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    connections = must_alloc(NULL, options.connections * sizeof(*connections));
    for (unsigned i = 0; i < options.connections; i++)
        open_connection(&connections[i]);
    measure();
    return errors == 0 ? 0 : 1;
}
