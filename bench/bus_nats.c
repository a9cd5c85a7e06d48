/* SPDX-License-Identifier: MIT */
/* The load generator of the bus, in the text protocol of nats-server: PUB, SUB and MSG, the same topic and payloads. */
#include "bus_load.h"

#define PUB "PUB " TOPIC " "
#define MSG "MSG " TOPIC " 1 "
#define ENDING 2u /* bytes of "\r\n" */

static void put_text(const char *text)
{
    buffer_append(&shared.output, text, strlen(text));
}

/* The PONG says that the server has done what came before the PING. */
static void begin(struct peer *peer)
{
    put_text("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    if (!peer->publishes)
        put_text("SUB " TOPIC " 1\r\n");
    put_text("PING\r\n");
}

/* A line that is no event. */
static bool on_line(struct peer *peer, const unsigned char *line, size_t len)
{
    if (len >= 4 && memcmp(line, "PING", 4) == 0)
        put_text("PONG\r\n");
    else if (len >= 4 && memcmp(line, "PONG", 4) == 0)
        peer->ready = true;
    else
        return len >= 4 && (memcmp(line, "INFO", 4) == 0 || line[0] == '+');
    return true;
}

/* Bytes of the line and of what belongs to it; 0: it has not come whole. */
static size_t take_one(struct peer *peer, const unsigned char *p, size_t len, bool *ok)
{
    static char expected[64];
    static size_t header;
    const unsigned char *newline;
    size_t size;

    if (header == 0)
        header = (size_t)snprintf(expected, sizeof(expected), MSG "%zu\r\n", options.payload);
    size = header + options.payload + ENDING;
    if (len >= size && memcmp(p, expected, header) == 0) {
        *ok = p[size - 1] == '\n';
        peer->got++;
        if (options.mode == MODE_PACED)
            count_latency(tick_stamp(p + header, options.payload));
        return size;
    }
    if (len >= 4 && memcmp(p, MSG, 4) == 0) {
        *ok = len < size;
        return 0;
    }
    newline = memchr(p, '\n', len);
    if (newline == NULL)
        return 0;
    *ok = on_line(peer, p, (size_t)(newline - p));
    return (size_t)(newline - p) + 1;
}

/* What has not come whole waits in `partial`, in front of the next input. */
static enum stream_state read_lines(struct peer *peer)
{
    struct buffer *kept = &peer->stream.partial;
    size_t at = 0, size, have = kept->len;
    bool ok = true;
    ssize_t got;

    if (have > 0)
        memcpy(shared.input, kept->data, have);
    got = read(peer->stream.fd, shared.input + have, INPUT_SIZE - have);
    if (got <= 0)
        return stream_read_failed(got);
    have += (size_t)got;
    while (at < have && (size = take_one(peer, shared.input + at, have - at, &ok)) > 0 && ok)
        at += size;
    kept->len = 0;
    buffer_append(kept, shared.input + at, have - at);
    return ok ? STREAM_AGAIN : STREAM_ERROR;
}

static unsigned char *put_batch(const struct peer *peer, unsigned char *p, unsigned count, uint64_t stamp)
{
    (void)peer;
    for (unsigned i = 0; i < count; i++) {
        p += sprintf((char *)p, PUB "%zu\r\n", options.payload);
        p = put_bytes(put_tick(p, stamp), "\r\n", ENDING);
    }
    return p;
}

static uint64_t may_send(struct peer *peer, uint64_t want, unsigned count)
{
    (void)peer;
    (void)count;
    return want;
}

const struct protocol nats_protocol = {begin, read_lines, put_batch, may_send};
