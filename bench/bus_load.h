/* SPDX-License-Identifier: MIT */
/*
 * The load generator of the bus: what its protocols (bus_native.c, bus_nats.c) and its loop (bus_load.c) share. Single thread.
 */
#ifndef MSGSRV_BENCH_BUS_LOAD_H
#define MSGSRV_BENCH_BUS_LOAD_H

#include "stream.h"

#include "bus_wire.h"

#define TOPIC "bench.events"
#define TYPE "bench.Tick"
#define QUEUE "bench.work"
#define SUBSCRIBERS_MAX 64u

/* A connection, and what it is for. */
struct peer {
    struct stream stream;
    bool publishes, consumes; /* else it subscribes; a consumer is a subscriber of a queue */
    bool stalls;              /* reads nothing, once it is ready */
    bool ready;
    bool wants_out;
    uint64_t call;             /* the id of its stream */
    uint64_t got;              /* events, or confirmed settlements */
    int64_t items, bytes;      /* the server's credit for us */
    uint64_t owed, owed_bytes; /* what it sent since we gave it credit */
    uint64_t *unsettled;       /* deliveries of which no settlement is sent yet */
    size_t unsettled_count, unsettled_size;
};

struct protocol {
    /* Writes what begins the conversation to `shared.output`. */
    void (*begin)(struct peer *peer);
    /* Takes what has come; answers go to `shared.output`. */
    enum stream_state (*read)(struct peer *peer);
    /* One batch of publications with a stamp in each; returns what follows it. There is room. */
    unsigned char *(*put_batch)(const struct peer *peer, unsigned char *p, unsigned count, uint64_t stamp);
    /* How many batches of `count` publications the server takes now, at most `want`; they count as sent. */
    uint64_t (*may_send)(struct peer *peer, uint64_t want, unsigned count);
};

extern const struct protocol native_protocol, nats_protocol;

struct options {
    uint16_t port;
    const struct protocol *protocol;
    enum { MODE_FLAT, MODE_PACED, MODE_QUEUE } mode;
    unsigned subscribers, stalled, batch, window, rate;
    size_t payload;
    double seconds, warmup;
    int pid;
};

extern struct options options;
extern struct shared shared;
extern uint64_t errors;

uint64_t clock_ns(int clock);
_Noreturn void give_up(const char *why);

/* An event with this stamp has come; for paced loads. */
void count_latency(uint64_t stamp);

/* The payload of every event: a bench.Tick with a stamp, and a text that makes it as long as it is to be. */
unsigned char *put_tick(unsigned char *p, uint64_t stamp);

/* The first stamp of a payload; 0 when it is not ours. */
static inline uint64_t tick_stamp(const unsigned char *payload, size_t len)
{
    uint64_t stamp = 0;

    if (len != options.payload || payload[0] != TICK_STAMP)
        return 0;
    memcpy(&stamp, payload + 1, sizeof(stamp));
    return stamp;
}

#endif
