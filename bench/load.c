/* SPDX-License-Identifier: MIT */
/*
 * The load generator: frames by hand on non-blocking sockets, one thread. Each connection keeps a
 * fixed number of calls outstanding; an answer is checked (its id, and the sum or the text) and
 * makes room for the next call, and all calls of a wake-up go out in one write. The server's CPU
 * time is read from its process clock at both ends of the measured window, so what it costs is
 * known even where this program, not the server, is the slower one. Prints one line of JSON.
 */
#include "stream.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define EVENTS_MAX 256
#define REQUEST_ROOM 64         /* bytes a request may need beyond its text */
#define STALL_NS 10000000000ull /* without a single answer for this long: give up */
#define TIMEOUT_MS 30000        /* sent with each call, as a real client would */
#define HALF_BITS 7             /* 128 buckets per octave: 0.8 % */
#define HALF (1u << HALF_BITS)
#define BUCKETS (64 * HALF)
#define STAMP 16 /* an echoed text begins with its id in hex, if it has the room */
#define PAYLOAD_MAX (4u * 1024 * 1024 - 16)

struct options {
    uint16_t port;
    bool echo, spin, hold;
    size_t payload; /* bytes of an echoed text */
    unsigned connections, outstanding;
    double seconds, warmup;
    uint64_t calls; /* per connection; 0: as many as fit into `seconds` */
    pid_t pid;      /* the server's; 0: its CPU is not measured */
};

/* An outstanding call; `id` is 0 when there is none. */
struct call {
    uint64_t id, sent_ns;
};

struct connection {
    struct stream stream;
    bool wants_out; /* EPOLLOUT is armed */
    unsigned open;  /* calls outstanding */
    uint64_t next_id;
    uint64_t left;      /* calls to issue still */
    struct call *calls; /* by id & mask */
};

struct load {
    struct options options;
    struct shared shared;
    struct connection *connections;
    char *text;
    int epoll_fd;
    uint64_t mask; /* slots of a connection, less 1 */
    uint64_t now_ns;
    bool issuing;
    uint64_t open, answered, errors;
    uint64_t warm_ns;   /* when the window may begin */
    uint64_t length_ns; /* of the window; UINT64_MAX: until all calls are made */
    uint64_t last_answer_ns;
    uint64_t window_ns, window_cpu_ns; /* clocks at the window's begin; afterwards, its length */
    bool in_window;
    uint32_t latency[BUCKETS];
};

static struct load load;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
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

    if (load.options.pid == 0)
        return 0;
    errno = clock_getcpuclockid(load.options.pid, &clock);
    if (errno != 0)
        die("clock_getcpuclockid");
    return clock_ns(clock);
}

/* Latencies */

/* The bucket of a time: exact below HALF, then HALF buckets for each power of two. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < HALF)
        return (unsigned)ns;
    shift = 63 - HALF_BITS - (unsigned)__builtin_clzll(ns);
    return (shift + 1) * HALF + (unsigned)(ns >> shift) - HALF;
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    unsigned shift;

    if (bucket < HALF)
        return bucket;
    shift = bucket / HALF - 1;
    return ((double)(HALF + bucket % HALF) + 0.5) * (double)(1ull << shift);
}

static double percentile_us(double percent)
{
    uint64_t wanted = (uint64_t)((double)load.answered * percent / 100), seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += load.latency[i];
        if (seen > wanted)
            return bucket_ns(i) / 1000;
    }
    return 0;
}

/* What is asked, and what must be answered */

static uint32_t first_addend(uint64_t id)
{
    return (uint32_t)(id * 7 & 0xfffff) | 1;
}

static uint32_t second_addend(uint64_t id)
{
    return (uint32_t)(id * 3 & 0xff) | 1;
}

static void stamp_text(uint64_t id)
{
    static const char digits[] = "0123456789abcdef";

    if (load.options.payload < STAMP)
        return;
    for (unsigned i = 0; i < STAMP; i++)
        load.text[i] = digits[id >> (60 - 4 * i) & 15];
}

static size_t add_size(uint64_t id)
{
    return 2 + varint_size(first_addend(id)) + varint_size(second_addend(id));
}

static unsigned char *put_add(unsigned char *p, uint64_t id)
{
    *p++ = TAG_FIRST_INT;
    p = put_varint(p, first_addend(id));
    *p++ = TAG_SECOND_INT;
    return put_varint(p, second_addend(id));
}

static size_t echo_size(void)
{
    size_t len = load.options.payload;

    return len == 0 ? 0 : 1 + varint_size(len) + len;
}

static unsigned char *put_echo(unsigned char *p, uint64_t id)
{
    if (load.options.payload == 0)
        return p;
    stamp_text(id);
    *p++ = TAG_TEXT;
    p = put_varint(p, load.options.payload);
    return put_bytes(p, load.text, load.options.payload);
}

static void put_call(struct buffer *output, uint64_t id)
{
    const char *method = load.options.echo ? METHOD_ECHO : METHOD_ADD;
    size_t method_len = strlen(method);
    size_t body_len = load.options.echo ? echo_size() : add_size(id);
    size_t fixed = 5 + varint_size(id) + method_len + varint_size(TIMEOUT_MS);
    unsigned char *p = buffer_reserve(output, body_len + REQUEST_ROOM);

    p = put_frame_header(p, FRAME_CALL, fixed + varint_size(body_len) + body_len);
    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_METHOD;
    *p++ = (unsigned char)method_len;
    p = put_bytes(p, method, method_len);
    *p++ = TAG_TIMEOUT_MS;
    p = put_varint(p, TIMEOUT_MS);
    *p++ = TAG_BODY;
    p = put_varint(p, body_len);
    p = load.options.echo ? put_echo(p, id) : put_add(p, id);
    output->len = (size_t)(p - output->data);
}

static bool sum_is_right(uint64_t id, const unsigned char *body, size_t len)
{
    struct field field = {0};

    return get_field(body, body + len, &field) == body + len && field.number == 1 && field.type == WIRE_VARINT &&
           field.value == first_addend(id) + second_addend(id);
}

static bool text_is_right(uint64_t id, const unsigned char *body, size_t len)
{
    struct field field = {0};

    if (load.options.payload == 0)
        return len == 0;
    stamp_text(id);
    return get_field(body, body + len, &field) == body + len && field.number == 1 && field.type == WIRE_BYTES &&
           field.value == load.options.payload && memcmp(field.data, load.text, load.options.payload) == 0;
}

/* Answers */

struct end {
    uint64_t id, code;
    const unsigned char *body;
    size_t body_len;
};

static bool decode_end(const unsigned char *p, size_t len, struct end *end_frame)
{
    const unsigned char *end = p + len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT) {
            end_frame->id = field.value;
        } else if (field.number == 2 && field.type == WIRE_VARINT) {
            end_frame->code = field.value;
        } else if (field.number == 15 && field.type == WIRE_BYTES) {
            end_frame->body = field.data;
            end_frame->body_len = (size_t)field.value;
        }
    }
    return true;
}

static bool answer_is_right(const struct end *end)
{
    if (end->code != 0)
        return false;
    if (load.options.echo)
        return text_is_right(end->id, end->body, end->body_len);
    return sum_is_right(end->id, end->body, end->body_len);
}

static void count_answer(uint64_t sent_ns)
{
    load.last_answer_ns = load.now_ns;
    if (!load.in_window)
        return;
    load.answered++;
    load.latency[bucket_of(load.now_ns - sent_ns)]++;
}

/* A frame that answers nothing that is open ends the run: there is no telling what it means. */
static bool on_frame(void *arg, uint32_t number, const unsigned char *data, size_t len)
{
    struct connection *conn = arg;
    struct end end = {0, 0, data, 0};
    struct call *call;

    if (number != FRAME_END || !decode_end(data, len, &end))
        return false;
    call = &conn->calls[end.id & load.mask];
    if (end.id == 0 || call->id != end.id)
        return false;
    if (!answer_is_right(&end))
        load.errors++;
    count_answer(call->sent_ns);
    call->id = 0;
    conn->open--;
    load.open--;
    return true;
}

/* Connections */

static void follow_output(struct connection *conn)
{
    bool wants_out = stream_has_pending(&conn->stream);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    if (wants_out == conn->wants_out)
        return;
    if (wants_out)
        event.events |= EPOLLOUT;
    conn->wants_out = wants_out;
    if (epoll_ctl(load.epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) < 0)
        die("epoll_ctl");
}

/* When a late answer still holds the next id's slot, that id is left out: ids may have gaps. */
static void issue(struct connection *conn)
{
    struct call *call;

    do {
        call = &conn->calls[++conn->next_id & load.mask];
    } while (call->id != 0);
    call->id = conn->next_id;
    call->sent_ns = load.now_ns;
    put_call(&load.shared.output, call->id);
    conn->open++;
    conn->left--;
    load.open++;
}

/* Fills the connection up to its outstanding calls, and writes them at once. */
static void fill(struct connection *conn)
{
    while (load.issuing && conn->left > 0 && conn->open < load.options.outstanding)
        issue(conn);
    if (!stream_write(&conn->stream, &load.shared))
        die("write");
}

static void serve(struct connection *conn, uint32_t events)
{
    enum stream_state state;

    if (events & EPOLLOUT && stream_has_pending(&conn->stream) && !stream_write_pending(&conn->stream))
        die("write");
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        load.now_ns = clock_ns(CLOCK_MONOTONIC);
        state = stream_read(&conn->stream, &load.shared, on_frame, conn);
        if (state == STREAM_EOF)
            give_up("the server closed the connection");
        if (state == STREAM_ERROR)
            give_up("a broken connection, or a frame that answers nothing");
    }
    fill(conn);
    follow_output(conn);
}

static void open_connection(struct connection *conn)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(load.options.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || ioctl(fd, FIONBIO, &on) < 0)
        die("socket options");
    if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    conn->stream.fd = fd;
    conn->calls = must_alloc(NULL, (size_t)(load.mask + 1) * sizeof(*conn->calls));
    memset(conn->calls, 0, (size_t)(load.mask + 1) * sizeof(*conn->calls));
}

static void open_connections(void)
{
    size_t size = load.options.connections * sizeof(*load.connections);

    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll_fd < 0)
        die("epoll_create1");
    for (load.mask = 1; load.mask < 4ull * load.options.outstanding;)
        load.mask *= 2;
    load.mask--;
    load.connections = must_alloc(NULL, size);
    memset(load.connections, 0, size);
    for (unsigned i = 0; i < load.options.connections; i++)
        open_connection(&load.connections[i]);
}

/* The measured window */

static void begin_window(void)
{
    memset(load.latency, 0, sizeof(load.latency));
    load.answered = 0;
    load.in_window = true;
    load.window_cpu_ns = server_cpu_ns();
    load.window_ns = clock_ns(CLOCK_MONOTONIC);
}

static void end_window(void)
{
    load.window_ns = clock_ns(CLOCK_MONOTONIC) - load.window_ns;
    load.window_cpu_ns = server_cpu_ns() - load.window_cpu_ns;
    load.in_window = false;
    load.issuing = false;
}

static void follow_clock(void)
{
    load.now_ns = clock_ns(CLOCK_MONOTONIC);
    if (load.issuing && !load.in_window && load.now_ns >= load.warm_ns)
        begin_window();
    else if (load.in_window && load.now_ns - load.window_ns >= load.length_ns)
        end_window();
    if (load.now_ns > load.last_answer_ns + STALL_NS)
        give_up("no answer for 10 s");
}

static void start(uint64_t calls)
{
    load.now_ns = load.last_answer_ns = clock_ns(CLOCK_MONOTONIC);
    load.warm_ns = load.now_ns + (uint64_t)(load.options.warmup * 1e9);
    load.length_ns = (uint64_t)(load.options.seconds * 1e9);
    load.issuing = true;
    if (calls != 0) {
        load.length_ns = UINT64_MAX;
        begin_window();
    }
    for (unsigned i = 0; i < load.options.connections; i++) {
        load.connections[i].left = calls == 0 ? UINT64_MAX : calls;
        load.now_ns = clock_ns(CLOCK_MONOTONIC);
        fill(&load.connections[i]);
        follow_output(&load.connections[i]);
    }
}

/* One run: until the window is over, or all calls are made, and nothing is open. */
static void run(uint64_t calls)
{
    struct epoll_event events[EVENTS_MAX];

    start(calls);
    while (load.open > 0) {
        int count = epoll_wait(load.epoll_fd, events, EVENTS_MAX, load.options.spin ? 0 : 100);

        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        follow_clock();
        for (int i = 0; i < count; i++)
            serve(events[i].data.ptr, events[i].events);
    }
    if (load.in_window)
        end_window();
}

static void report(void)
{
    double seconds = (double)load.window_ns / 1e9, answered = (double)load.answered;

    printf("{\"requests\": %llu, \"seconds\": %.6f, \"rps\": %.1f, ", (unsigned long long)load.answered, seconds,
           answered / seconds);
    if (load.options.pid != 0 && load.answered > 0)
        printf("\"server_cpu_us_per_request\": %.4f, \"server_cpu_share\": %.3f, ",
               (double)load.window_cpu_ns / answered / 1e3, (double)load.window_cpu_ns / (double)load.window_ns);
    printf("\"p50_us\": %.2f, \"p99_us\": %.2f, \"errors\": %llu}\n", percentile_us(50), percentile_us(99),
           (unsigned long long)load.errors);
    fflush(stdout);
}

/* The command line */

static const char usage_text[] =
    "usage: msgsrv-bench-load --connect tcp://127.0.0.1:PORT [options]\n"
    "  --method add|echo   the method to call (add)\n"
    "  --payload BYTES     length of an echoed text (32)\n"
    "  --connections N     (1)\n"
    "  --outstanding M     calls each connection keeps open (1)\n"
    "  --seconds S         length of the measured window (1)\n"
    "  --warmup S          before it (0.2)\n"
    "  --calls K           K calls per connection instead of a time; all of it is measured\n"
    "  --hold              with --calls: keep the connections, and make K more for each line read\n"
    "                      from standard input, until it ends\n"
    "  --spin              never sleep: latency without this side's wake-ups\n"
    "  --pid PID           the server's, to measure its CPU time\n";

static _Noreturn void usage(void)
{
    fputs(usage_text, stderr);
    exit(2);
}

static double number(const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max))
        usage();
    return value;
}

static const struct option long_options[] = {
    {"connect", required_argument, NULL, 'a'},
    {"method", required_argument, NULL, 'm'},
    {"payload", required_argument, NULL, 'b'},
    {"connections", required_argument, NULL, 'c'},
    {"outstanding", required_argument, NULL, 'o'},
    {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'w'},
    {"calls", required_argument, NULL, 'k'},
    {"pid", required_argument, NULL, 'p'},
    {"hold", no_argument, NULL, 'h'},
    {"spin", no_argument, NULL, 'i'},
    {NULL, 0, NULL, 0},
};

static void set_address(const char *address)
{
    if (sscanf(address, "tcp://127.0.0.1:%hu", &load.options.port) != 1)
        usage();
}

static void set_method(const char *method)
{
    load.options.echo = strcmp(method, "echo") == 0;
    if (!load.options.echo && strcmp(method, "add") != 0)
        usage();
}

static void set_option(int option, const char *value)
{
    struct options *o = &load.options;

    switch (option) {
    case 'a':
        set_address(value);
        break;
    case 'm':
        set_method(value);
        break;
    case 'b':
        o->payload = (size_t)number(value, 0, PAYLOAD_MAX);
        break;
    case 'c':
        o->connections = (unsigned)number(value, 1, 100000);
        break;
    case 'o':
        o->outstanding = (unsigned)number(value, 1, 1000);
        break;
    case 's':
        o->seconds = number(value, 0.01, 3600);
        break;
    case 'w':
        o->warmup = number(value, 0, 3600);
        break;
    case 'k':
        o->calls = (uint64_t)number(value, 1, 1e12);
        break;
    case 'p':
        o->pid = (pid_t)number(value, 1, INT32_MAX);
        break;
    case 'h':
        o->hold = true;
        break;
    case 'i':
        o->spin = true;
        break;
    default:
        usage();
    }
}

static void parse_options(int argc, char **argv)
{
    int option;

    load.options = (struct options){.payload = 32, .connections = 1, .outstanding = 1, .seconds = 1, .warmup = 0.2};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        set_option(option, optarg);
    if (optind != argc || load.options.port == 0 || (load.options.hold && load.options.calls == 0))
        usage();
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
    char line[16];

    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    load.shared.input = must_alloc(NULL, INPUT_SIZE);
    load.text = must_alloc(NULL, load.options.payload + 1);
    memset(load.text, 'x', load.options.payload + 1);
    open_connections();
    run(load.options.calls);
    report();
    while (load.options.hold && fgets(line, sizeof(line), stdin) != NULL) {
        run(load.options.calls);
        report();
    }
    return load.errors == 0 ? 0 : 1;
}
