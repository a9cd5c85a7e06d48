/* SPDX-License-Identifier: MIT */
/* The load generator of the bus, on the native wire: PublishStream, Subscribe, DeclareQueue and Consume by hand. */
#include "bus_load.h"

#define CREDIT_ITEMS 1000000u
#define CREDIT_BYTES (64u * 1024 * 1024)
#define SUBSCRIPTION_BYTES (64u * 1024 * 1024)
#define DECLARE 1u          /* the id of DeclareQueue */
#define SETTLEMENTS 512u    /* in one message, at most */
#define SETTLEMENT_ROOM 16u /* bytes of one */

static void put_call(uint64_t id, const char *method, bool streaming, const unsigned char *body, size_t body_len)
{
    unsigned char content[256], *p = put_varint_field(content, TAG_ID, id);

    p = put_bytes_field(p, TAG_METHOD, method, strlen(method));
    p = put_varint_field(p, TAG_CREDIT, CREDIT_ITEMS);
    if (streaming)
        p = put_varint_field(p, TAG_STREAMING, 1);
    p = put_varint_field(p, TAG_CREDIT_BYTES, CREDIT_BYTES);
    if (!streaming)
        p = put_bytes_field(p, TAG_BODY, body, body_len);
    buffer_reserve(&shared.output, sizeof(content) + FRAME_HEADER_MAX);
    shared.output.len =
        (size_t)(put_frame_header(shared.output.data + shared.output.len, FRAME_CALL, (size_t)(p - content)) -
                 shared.output.data);
    buffer_append(&shared.output, content, (size_t)(p - content));
}

static void put_item_of(struct peer *peer, const unsigned char *body, size_t len)
{
    unsigned char *p = put_item_head(buffer_reserve(&shared.output, len + BUS_EVENT_ROOM), peer->call, len);

    shared.output.len = (size_t)(put_bytes(p, body, len) - shared.output.data);
    peer->items--;
    peer->bytes -= (int64_t)len;
}

static void begin_publisher(struct peer *peer)
{
    unsigned char body[128], settings[64], *p = put_bytes_field(settings, QUEUE_PATTERNS, TOPIC, strlen(TOPIC));

    peer->call = DECLARE + 1;
    if (options.mode == MODE_QUEUE) {
        size_t settings_len = (size_t)(p - settings);
        p = put_bytes_field(body, QUEUE_NAME, QUEUE, strlen(QUEUE));
        p = put_bytes_field(p, QUEUE_SETTINGS, settings, settings_len);
        put_call(DECLARE, METHOD_DECLARE_QUEUE, false, body, (size_t)(p - body));
    }
    put_call(peer->call, METHOD_PUBLISH_STREAM, true, NULL, 0);
    peer->ready = options.mode != MODE_QUEUE; /* else when the queue is there */
}

static void begin(struct peer *peer)
{
    unsigned char body[128], *p;

    peer->items = FIRST_ITEMS;
    peer->bytes = FIRST_BYTES;
    if (peer->publishes) {
        begin_publisher(peer);
    } else if (peer->consumes) {
        peer->call = 1;
        put_call(peer->call, METHOD_CONSUME, true, NULL, 0);
        p = put_bytes_field(body, QUEUE_NAME, QUEUE, strlen(QUEUE));
        p = put_varint_field(p, CONSUME_PREFETCH, options.window);
        put_item_of(peer, body, (size_t)(p - body));
    } else {
        peer->call = 1;
        p = put_bytes_field(body, SUBSCRIBE_PATTERN, TOPIC, strlen(TOPIC));
        /* A subscriber that stalls has the bus's own bounds. */
        if (!peer->stalls) {
            p = put_varint_field(p, SUBSCRIBE_MAX_EVENTS, 2 * options.window);
            p = put_varint_field(p, SUBSCRIBE_MAX_BYTES, SUBSCRIPTION_BYTES);
        }
        put_call(peer->call, METHOD_SUBSCRIBE, false, body, (size_t)(p - body));
    }
}

static void give_back(struct peer *peer, size_t len)
{
    unsigned char *p;

    peer->owed++;
    peer->owed_bytes += len;
    if (peer->owed < CREDIT_ITEMS / 2 && peer->owed_bytes < CREDIT_BYTES / 2)
        return;
    p = put_credit(buffer_reserve(&shared.output, BUS_EVENT_ROOM), peer->call, peer->owed, peer->owed_bytes);
    shared.output.len = (size_t)(p - shared.output.data);
    peer->owed = peer->owed_bytes = 0;
}

/* What comes in */

/* Looks into an event: its sequence, which shows that none is missing, and of a paced load its stamp. */
static bool check_event(const unsigned char *p, const unsigned char *end, uint64_t sequence, bool paced)
{
    struct field field;
    uint64_t found = 0;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 5 && field.type == WIRE_VARINT)
            found = field.value;
        else if (paced && field.number == 4 && field.type == WIRE_BYTES)
            count_latency(tick_stamp(field.data, (size_t)field.value));
        else if (field.number == 4 && field.value != options.payload)
            return false;
    }
    return found == sequence;
}

/* Only the last event of a response is looked into: its sequence is the count of all. */
static bool on_events(struct peer *peer, const unsigned char *p, size_t len)
{
    const unsigned char *end = p + len, *last = NULL, *last_end = NULL;
    bool paced = options.mode == MODE_PACED;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL || field.number == 2)
            return false; /* a gap */
        if (field.number == 4)
            peer->ready = true;
        if (field.number != 1)
            continue;
        peer->got++;
        last = field.data;
        last_end = p;
        if (paced && !check_event(last, last_end, peer->got, true))
            return false;
    }
    return last == NULL || paced || check_event(last, last_end, peer->got, false);
}

static bool on_delivery(struct peer *peer, const struct field *delivery)
{
    struct field field;

    if (get_field(delivery->data, delivery->data + delivery->value, &field) == NULL || field.number != 1)
        return false;
    if (peer->unsettled_count == peer->unsettled_size) {
        peer->unsettled_size = peer->unsettled_size * 2 + 1024;
        peer->unsettled = must_alloc(peer->unsettled, peer->unsettled_size * sizeof(*peer->unsettled));
    }
    peer->unsettled[peer->unsettled_count++] = field.value;
    return true;
}

static bool on_consumed(struct peer *peer, const unsigned char *p, size_t len)
{
    const unsigned char *end = p + len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL || field.number == 3)
            return false; /* a refused settlement */
        if (field.number == 1 && !on_delivery(peer, &field))
            return false;
        if (field.number == 2)
            peer->got = field.value;
        if (field.number == 4)
            peer->ready = true;
    }
    return true;
}

static bool on_published(const unsigned char *p, size_t len)
{
    const unsigned char *end = p + len;
    struct field field;

    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL || field.number != 1)
            return false; /* a refusal */
    }
    return true;
}

static bool on_frame(void *arg, uint32_t number, const unsigned char *data, size_t len)
{
    struct peer *peer = arg;
    struct flow_frame frame;
    bool ok;

    if (number == FRAME_END && peer->publishes && !peer->ready) {
        peer->ready = true;
        return get_flow_frame(data, len, &frame) && frame.id == DECLARE && frame.items == 0; /* its code */
    }
    if ((number != FRAME_ITEM && number != FRAME_CREDIT) || !get_flow_frame(data, len, &frame) || frame.id != peer->call)
        return false; /* an End too: these streams last */
    if (number == FRAME_CREDIT) {
        peer->items += (int64_t)frame.items;
        peer->bytes += (int64_t)frame.bytes;
        return true;
    }
    if (peer->publishes)
        ok = on_published(frame.body, frame.body_len);
    else if (peer->consumes)
        ok = on_consumed(peer, frame.body, frame.body_len);
    else
        ok = on_events(peer, frame.body, frame.body_len);
    give_back(peer, frame.body_len);
    return ok;
}

/* Acknowledges what came, as far as the server's credit goes. */
static void settle(struct peer *peer)
{
    static unsigned char body[SETTLEMENTS * SETTLEMENT_ROOM];
    size_t at = 0;

    while (at < peer->unsettled_count && peer->items > 0 && peer->bytes > 0) {
        unsigned char *p = body;

        for (unsigned i = 0; i < SETTLEMENTS && at < peer->unsettled_count; i++, at++) {
            *p++ = CONSUME_SETTLEMENTS;
            *p++ = (unsigned char)(3 + varint_size(peer->unsettled[at]));
            p = put_varint_field(p, SETTLEMENT_ID, peer->unsettled[at]);
            p = put_varint_field(p, SETTLEMENT_KIND, 1);
        }
        put_item_of(peer, body, (size_t)(p - body));
    }
    peer->unsettled_count -= at;
    memmove(peer->unsettled, peer->unsettled + at, peer->unsettled_count * sizeof(*peer->unsettled));
}

static enum stream_state read_frames(struct peer *peer)
{
    enum stream_state state = stream_read(&peer->stream, &shared, on_frame, peer);

    if (peer->unsettled_count > 0)
        settle(peer);
    return state;
}

/* What goes out */

static size_t publication_size(void)
{
    return bytes_field_size(strlen(TOPIC)) + bytes_field_size(strlen(TYPE)) + bytes_field_size(options.payload);
}

static unsigned char *put_batch(const struct peer *peer, unsigned char *p, unsigned count, uint64_t stamp)
{
    size_t content = publication_size();

    p = put_item_head(p, peer->call, count * bytes_field_size(content));
    for (unsigned i = 0; i < count; i++) {
        *p++ = PUBLISH_PUBLICATIONS;
        p = put_varint(p, content);
        p = put_bytes_field(p, PUBLICATION_TOPIC, TOPIC, strlen(TOPIC));
        p = put_bytes_field(p, PUBLICATION_TYPE, TYPE, strlen(TYPE));
        *p++ = PUBLICATION_PAYLOAD;
        p = put_tick(put_varint(p, options.payload), stamp);
    }
    return p;
}

static uint64_t may_send(struct peer *peer, uint64_t want, unsigned count)
{
    int64_t size = (int64_t)(count * bytes_field_size(publication_size()));
    uint64_t batches = 0;

    for (; batches < want && peer->items > 0 && peer->bytes > 0; batches++) {
        peer->items--;
        peer->bytes -= size;
    }
    return batches;
}

const struct protocol native_protocol = {begin, read_frames, put_batch, may_send};
