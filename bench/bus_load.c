/* SPDX-License-Identifier: MIT */
/*
 * The load generator of the bus: one publisher and some subscribers, or a consumer of a queue, each on a connection of its own, over the native
 * wire or in nats-server's protocol. Flat out, the publisher is never more than a window ahead of the slowest subscriber, so that nothing
 * has to be dropped; paced, it sends at a rate, and this program spins, so that its own wake-ups are not measured. All events must
 * come, in order. Events that have come are counted in a window of time, and the server's CPU time in it. Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "bus_load.h"

#define STALL_NS 10000000000ull
#define STALL_LOOKS 300         /* besides: it was not only the machine that stood still */
#define RING_SIZE (512u * 1024) /* bytes of ready-made batches, about */
#define EVENTS_MAX 64
#define LATE_NS 50000000ull /* a paced load that is so late begins its schedule anew: the machine has stood still */

struct options options = {.protocol = &native_protocol,
                          .subscribers = 1,
                          .batch = 64,
                          .window = 4096,
                          .rate = 10000,
                          .payload = 16,
                          .seconds = 1,
                          .warmup = 0.2};
struct shared shared;

static int epoll_fd;
static struct peer publisher, *subscribers; /* those that stall are the last ones */
static uint64_t published;
/* Ready-made batches, one behind the other, for a flat-out load: what goes out is periodic. */
static struct {
    unsigned char *data;
    size_t unit, size;
    uint64_t done, end; /* bytes ever written, and ever to be */
} ring;
static struct {
    bool counts;
    uint32_t *ns;
    size_t count, size;
} latencies;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

_Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bus: %s\n", why);
    exit(1);
}

uint64_t clock_ns(int clock)
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

unsigned char *put_tick(unsigned char *p, uint64_t stamp)
{
    size_t text = options.payload - 11;

    while (bytes_field_size(text) + 9 > options.payload)
        text--;
    p = put_fixed64_field(p, TICK_STAMP, stamp);
    *p++ = TICK_FILL;
    p = put_varint(p, text);
    memset(p, 'x', text);
    return p + text;
}

void count_latency(uint64_t stamp)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC), ns = now - stamp;

    if (stamp == 0 || stamp > now)
        give_up("a payload that is not ours");
    if (!latencies.counts)
        return;
    if (latencies.count == latencies.size) {
        latencies.size = latencies.size * 2 + 4096;
        latencies.ns = must_alloc(latencies.ns, latencies.size * sizeof(*latencies.ns));
    }
    latencies.ns[latencies.count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* Connections */

static void follow_output(struct peer *peer)
{
    bool wants_out = stream_has_pending(&peer->stream) || (peer == &publisher && ring.done < ring.end);
    struct epoll_event event = {.events = wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = peer};

    if (wants_out == peer->wants_out)
        return;
    peer->wants_out = wants_out;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, peer->stream.fd, &event) < 0)
        die("epoll_ctl");
}

/* Writes what protocols have put; a ready-made batch that is half written must be ended first. */
static void flush(struct peer *peer)
{
    bool within = peer == &publisher && ring.unit > 0 && ring.done % ring.unit != 0;

    if (within && shared.output.len > 0) {
        buffer_append(&peer->stream.pending, shared.output.data, shared.output.len);
        shared.output.len = 0;
    } else if (!within && !stream_write(&peer->stream, &shared)) {
        die("write");
    }
}

static void write_ring(void)
{
    while (ring.done < ring.end && !(stream_has_pending(&publisher.stream) && ring.done % ring.unit == 0)) {
        size_t at = (size_t)(ring.done % ring.size), len = ring.size - at;
        ssize_t put;

        if (len > ring.end - ring.done)
            len = (size_t)(ring.end - ring.done);
        put = write(publisher.stream.fd, ring.data + at, len);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            die("write");
        if (put <= 0)
            break;
        ring.done += (uint64_t)put;
    }
    follow_output(&publisher);
}

static void serve(struct peer *peer, uint32_t events)
{
    if (events & EPOLLOUT && peer == &publisher)
        write_ring();
    if (events & EPOLLOUT && stream_has_pending(&peer->stream) &&
        (peer != &publisher || ring.unit == 0 || ring.done % ring.unit == 0) && !stream_write_pending(&peer->stream))
        die("write");
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && options.protocol->read(peer) != STREAM_AGAIN)
        give_up("a lost connection, an event that is missing or wrong, a refusal, or a stream that ended");
    flush(peer);
    follow_output(peer);
}

static void poll_once(int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);

    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++)
        serve(events[i].data.ptr, events[i].events);
}

static void open_peer(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || ioctl(fd, FIONBIO, &on) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("socket options");
    peer->stream.fd = fd;
    options.protocol->begin(peer);
    flush(peer);
    while (!peer->ready) {
        poll_once(10);
        if (clock_ns(CLOCK_MONOTONIC) > begun + STALL_NS)
            give_up("a connection was not ready within 10 s");
    }
    if (peer->stalls && epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
        die("epoll_ctl");
}

static void open_all(void)
{
    publisher.publishes = true;
    open_peer(&publisher);
    subscribers = must_alloc(NULL, (options.subscribers + options.stalled) * sizeof(*subscribers));
    memset(subscribers, 0, (options.subscribers + options.stalled) * sizeof(*subscribers));
    for (unsigned i = 0; i < options.subscribers + options.stalled; i++) {
        subscribers[i].consumes = options.mode == MODE_QUEUE;
        subscribers[i].stalls = i >= options.subscribers;
        open_peer(&subscribers[i]);
    }
}

/* Publishing */

static void make_ring(void)
{
    unsigned char *p = must_alloc(NULL, options.batch * (options.payload + 128)), *end;
    unsigned count;

    end = options.protocol->put_batch(&publisher, p, options.batch, 1);
    ring.unit = (size_t)(end - p);
    count = (unsigned)(RING_SIZE / ring.unit) + 1;
    ring.size = count * ring.unit;
    ring.data = must_alloc(NULL, ring.size);
    for (unsigned i = 0; i < count; i++)
        memcpy(ring.data + i * ring.unit, p, ring.unit);
    free(p);
}

/* Of the slowest. */
static uint64_t least_got(void)
{
    uint64_t least = subscribers[0].got;

    for (unsigned i = 1; i < options.subscribers; i++)
        if (subscribers[i].got < least)
            least = subscribers[i].got;
    return least;
}

static uint64_t all_got(void)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < options.subscribers; i++)
        all += subscribers[i].got;
    return all;
}

/* Publishes when a quarter of the window is free, so that every server is given much at once. */
static void publish_flat(void)
{
    uint64_t room = least_got() + options.window - published, batches;

    if (room < options.window / 4)
        return;
    batches = options.protocol->may_send(&publisher, room / options.batch, options.batch);
    published += batches * options.batch;
    ring.end += batches * ring.unit;
    write_ring();
}

/* Each event has the stamp of when it was due: what waits for this program, or for credit, counts as late. */
static void publish_paced(uint64_t *due_ns)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);

    if (now > *due_ns + LATE_NS)
        *due_ns = now;
    while (*due_ns <= now && options.protocol->may_send(&publisher, 1, 1) == 1) {
        unsigned char *p = buffer_reserve(&shared.output, options.payload + 128);

        shared.output.len = (size_t)(options.protocol->put_batch(&publisher, p, 1, *due_ns) - shared.output.data);
        flush(&publisher);
        published++;
        *due_ns += 1000000000u / options.rate;
    }
}

static _Noreturn void give_up_stalled(void)
{
    fprintf(
        stderr, "bus: nothing came for 10 s; of %llu published %llu came to the slowest; %llu bytes were not written, credit %lld items %lld bytes\n",
        (unsigned long long)published, (unsigned long long)least_got(), (unsigned long long)(ring.end - ring.done),
        (long long)publisher.items, (long long)publisher.bytes);
    exit(1);
}

/* Runs until a time, and that many events have come, which a busy machine may not have done by then; returns when it was over. */
static uint64_t run_until(uint64_t end_ns, uint64_t least, bool publishes)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC), last_ns = now, last_got = all_got(), due_ns = now;
    bool paced = options.mode == MODE_PACED;
    unsigned idle = 0;

    while (now < end_ns || all_got() < least) {
        if (publishes && paced)
            publish_paced(&due_ns);
        else if (publishes)
            publish_flat();
        poll_once(paced ? 0 : 10);
        now = clock_ns(CLOCK_MONOTONIC);
        if (all_got() != last_got) {
            last_got = all_got();
            last_ns = now;
            idle = 0;
        }
        if (++idle > STALL_LOOKS && now > last_ns + STALL_NS)
            give_up_stalled();
    }
    return now;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_us(double part)
{
    return (double)latencies.ns[(size_t)((double)(latencies.count - 1) * part)] / 1e3;
}

static void measure(void)
{
    uint64_t begin = run_until(clock_ns(CLOCK_MONOTONIC) + (uint64_t)(options.warmup * 1e9), 1, true);
    uint64_t before = all_got(), cpu = server_cpu_ns(), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID), ns;
    double events;

    latencies.counts = true;
    ns = run_until(begin + (uint64_t)(options.seconds * 1e9), before + 1, true) - begin;
    cpu = server_cpu_ns() - cpu;
    own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    latencies.counts = false;
    events = (double)(all_got() - before);
    run_until(0, published * options.subscribers, false); /* all come */
    printf("{\"requests\": %.0f, \"seconds\": %.6f, \"rps\": %.1f, \"load_cpu_share\": %.3f, ", events,
           (double)ns / 1e9, events / (double)ns * 1e9, (double)own / (double)ns);
    if (options.pid != 0 && events > 0)
        printf("\"server_cpu_us_per_request\": %.5f, \"server_cpu_share\": %.3f, ", (double)cpu / events / 1e3,
               (double)cpu / (double)ns);
    if (latencies.count > 0) {
        qsort(latencies.ns, latencies.count, sizeof(*latencies.ns), compare);
        printf("\"p50_us\": %.2f, \"p99_us\": %.2f, ", percentile_us(0.5), percentile_us(0.99));
    }
    for (unsigned i = 0; i < options.subscribers; i++)
        if (subscribers[i].got != published)
            give_up("more came than was published");
    printf("\"errors\": 0}\n");
}

/* The command line */

static _Noreturn void usage(void)
{
    fputs("usage: msgsrv-bench-bus-load --connect tcp://127.0.0.1:PORT [options]\n"
          "  --protocol native|nats\n"
          "  --mode flat|paced|queue  as fast as all comes; at a rate, for latency; through a queue (flat)\n"
          "  --payload BYTES          of each event, from 16 (16)\n"
          "  --subscribers N          (1)\n"
          "  --stalled N              besides, that read nothing (0)\n"
          "  --batch N                publications in one message, flat out (64)\n"
          "  --window N               events that the publisher may be ahead (4096)\n"
          "  --rate N                 events in a second, paced (10000)\n"
          "  --seconds S              length of the measured window (1)\n"
          "  --warmup S               before it (0.2)\n"
          "  --pid PID                the server's, to measure its CPU time\n",
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

static void set_word(int option, const char *value)
{
    if (option == 'a' && sscanf(value, "tcp://127.0.0.1:%hu", &options.port) == 1)
        return;
    if (option == 'o' && (strcmp(value, "native") == 0 || strcmp(value, "nats") == 0))
        options.protocol = strcmp(value, "nats") == 0 ? &nats_protocol : &native_protocol;
    else if (option == 'm' && strcmp(value, "flat") == 0)
        options.mode = MODE_FLAT;
    else if (option == 'm' && strcmp(value, "paced") == 0)
        options.mode = MODE_PACED;
    else if (option == 'm' && strcmp(value, "queue") == 0)
        options.mode = MODE_QUEUE;
    else
        usage();
}

static void set_option(int option, const char *value)
{
    if (option == 'b')
        options.payload = (size_t)number(value, 16, 65536);
    else if (option == 'n')
        options.subscribers = (unsigned)number(value, 1, SUBSCRIBERS_MAX);
    else if (option == 't')
        options.stalled = (unsigned)number(value, 0, SUBSCRIBERS_MAX);
    else if (option == 'B')
        options.batch = (unsigned)number(value, 1, 10000);
    else if (option == 'W')
        options.window = (unsigned)number(value, 1, 100000);
    else if (option == 'r')
        options.rate = (unsigned)number(value, 1, 1000000);
    else if (option == 's')
        options.seconds = number(value, 0.01, 3600);
    else if (option == 'w')
        options.warmup = number(value, 0, 3600);
    else if (option == 'p')
        options.pid = (int)number(value, 1, INT32_MAX);
    else
        set_word(option, value);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"connect", required_argument, NULL, 'a'},
        {"protocol", required_argument, NULL, 'o'},
        {"mode", required_argument, NULL, 'm'},
        {"payload", required_argument, NULL, 'b'},
        {"subscribers", required_argument, NULL, 'n'},
        {"stalled", required_argument, NULL, 't'},
        {"batch", required_argument, NULL, 'B'},
        {"window", required_argument, NULL, 'W'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"pid", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        set_option(option, optarg);
    if (optind != argc || options.port == 0 || options.batch > options.window / 4 ||
        (options.mode == MODE_QUEUE && (options.subscribers != 1 || options.protocol != &native_protocol)))
        usage();
    signal(SIGPIPE, SIG_IGN);
    shared.input = must_alloc(NULL, INPUT_SIZE);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    open_all();
    if (options.mode != MODE_PACED)
        make_ring();
    measure();
    return 0;
}
