/* SPDX-License-Identifier: MIT */
/*
 * The bus under test, its handles, and publishing; world_told.c has subscriptions and consumers.
 */
#include "world.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

bt_engine bt_engine_used;
bt_world bt;

void bt_expect_at(msgsrv_status want, msgsrv_status got, const char *text, const char *what, const char *file, int line)
{
    if (want != got) {
        ts_at(file, line);
        ts_fail("%s: expected %s, got %s (%s)", what, msgsrv_status_name(want), msgsrv_status_name(got),
                text == NULL ? "" : text);
    }
}

void bt_contains_at(const char *text, const char *part, const char *file, int line)
{
    if (part != NULL && strstr(text, part) == NULL) {
        ts_at(file, line);
        ts_fail("\"%s\" is not in \"%s\"", part, text);
    }
}

/* ---- the log: several threads write it ---- */

static void take_log(msgsrv_log_level level, const char *text, void *ctx)
{
    (void)level;
    (void)ctx;
    pthread_mutex_lock(&bt.log_mutex);
    snprintf(bt.log[bt.log_count++ % BT_LOG_LINES], sizeof bt.log[0], "%s", text);
    pthread_mutex_unlock(&bt.log_mutex);
    if (getenv("MSGSRV_BUS_TEST_LOG") != NULL)
        fprintf(stderr, "log: %s\n", text);
}

unsigned bt_logged(const char *part)
{
    unsigned found = 0;
    pthread_mutex_lock(&bt.log_mutex);
    unsigned kept = bt.log_count < BT_LOG_LINES ? bt.log_count : BT_LOG_LINES;
    for (unsigned i = 0; i < kept; i++)
        found += strstr(bt.log[i], part) != NULL;
    pthread_mutex_unlock(&bt.log_mutex);
    return found;
}

/* ---- handles ---- */

bt_handle *bt_handle_with(const msgsrv_bus_options *options)
{
    ck_assert_uint_lt(bt.handle_count, BT_HANDLES);
    bt_handle *handle = &bt.handles[bt.handle_count++];
    msgsrv_bus_options all = options == NULL ? (msgsrv_bus_options){0} : *options;
    *handle = (bt_handle){0};
    if (bt_engine_used.base && bt.admin != NULL && !all.thread && all.base == NULL) {
        handle->base = event_base_new();
        all.base = handle->base;
    }
    if (all.log == NULL)
        all.log = take_log;
    msgsrv_error error;
    BT_STATUS(MSGSRV_OK, msgsrv_bus_open(bt.url, &all, &handle->bus, &error), error.text);
    return handle;
}

bt_handle *bt_handle_new(const char *name)
{
    return bt_handle_with(&(msgsrv_bus_options){.name = name});
}

void bt_free(bt_handle *handle)
{
    msgsrv_bus *bus = handle->bus;
    handle->bus = NULL;
    msgsrv_bus_free(bus);
}

void bt_forget(bt_handle *handle)
{
    ck_assert_ptr_eq(handle, &bt.handles[bt.handle_count - 1]);
    bt_free(handle);
    if (handle->base != NULL) {
        event_base_loop(handle->base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* without ONCE, for as long as anything is active */
        event_base_free(handle->base);
    }
    bt.handle_count--;
}

static bool drive(bt_handle *handle)
{
    uint64_t before = bt.told;
    if (handle->base != NULL)
        event_base_loop(handle->base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* without ONCE, for as long as anything is active */
    else
        msgsrv_bus_poll(handle->bus, 0, NULL);
    return bt.told != before;
}

bool bt_turn(void)
{
    bool told = false;
    for (size_t i = 0; i < bt.handle_count; i++)
        if (bt.handles[i].bus != NULL && !bt.handles[i].stalled)
            told |= drive(&bt.handles[i]);
    return told;
}

void bt_turn_until(uint64_t end, const char *what, const char *file, int line)
{
    if (bt_turn())
        return;
    if (ts_now_ms() > end) {
        ts_at(file, line);
        ts_fail("waited %d s in vain for: %s", TS_GUARD_MS / 1000, what);
    }
    ts_nap();
}

/* ---- the bus ---- */

void bt_server_start(bool new_bus)
{
    msgsrv_error error;
    if (new_bus) {
        char name[64];
        msgsrv_bus_free(bt.host);
        snprintf(name, sizeof name, "mem:host-%ld-%u", (long)getpid(), bt.generation++);
        msgsrv_bus_options options = bt.options;
        options.log = take_log;
        BT_STATUS(MSGSRV_OK, msgsrv_bus_open(name, &options, &bt.host, &error), error.text);
    }
    msgsrv_server_options options = {.log = take_log};
    BT_STATUS(MSGSRV_OK, msgsrv_server_new(&options, &bt.server, &error), error.text);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_serve(bt.host, bt.server, &error), error.text);
    BT_STATUS(MSGSRV_OK, msgsrv_server_listen(bt.server, bt.url, &error), error.text);
    BT_STATUS(MSGSRV_OK, msgsrv_server_start(bt.server, &error), error.text);
}

void bt_server_stop(void)
{
    msgsrv_server_free(bt.server);
    bt.server = NULL;
}

void bt_open(const msgsrv_bus_options *options)
{
    static unsigned worlds;
    unsigned generation = bt.generation;
    memset(&bt, 0, sizeof bt);
    bt.generation = generation;
    pthread_mutex_init(&bt.log_mutex, NULL);
    bt.options = options == NULL ? (msgsrv_bus_options){0} : *options;
    worlds++;
    if (bt_engine_used.remote) {
        snprintf(bt.url, sizeof bt.url, "unix:@msgsrv-bus-%ld-%u", (long)getpid(), worlds);
        bt_server_start(true);
    } else {
        snprintf(bt.url, sizeof bt.url, "mem:conf-%ld-%u", (long)getpid(), worlds);
    }
    msgsrv_bus_options first = bt_engine_used.remote ? (msgsrv_bus_options){0} : bt.options;
    first.name = "admin";
    first.log = take_log;
    bt_handle *admin = bt_handle_with(&first);
    bt.admin = admin;
    bt.pub = bt_handle_new("pub");
}

/* ---- publishing ---- */

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

size_t bt_encode(uint8_t *out, int64_t value, size_t size)
{
    size_t at = 0;
    out[at++] = 1 << 3;
    at += put_varint(out + at, (uint64_t)value);
    if (size < at + 5)
        return at;
    size_t padding = size - at - 4; /* a tag, and a length written in three bytes */
    out[at++] = 15 << 3 | 2;
    out[at++] = (uint8_t)(padding | 0x80);
    out[at++] = (uint8_t)(padding >> 7 | 0x80);
    out[at++] = (uint8_t)(padding >> 14 & 0x7f);
    memset(out + at, 'p', padding);
    return at + padding;
}

int64_t bt_decode(const void *payload, size_t size)
{
    const uint8_t *in = payload;
    uint64_t value = 0;
    if (size < 2 || in[0] != 1 << 3)
        return -1;
    for (size_t i = 1, shift = 0; i < size && shift < 64; i++, shift += 7) {
        value |= (uint64_t)(in[i] & 0x7f) << shift;
        if (in[i] < 0x80)
            break;
    }
    return (int64_t)value;
}

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    bt_published *published = ctx;
    (void)bus;
    bt.told++;
    published->done++;
    published->status = status;
    published->refused += status != MSGSRV_OK;
    ck_assert((receipt != NULL) == (status == MSGSRV_OK));
    ck_assert_ptr_nonnull(error);
    if (receipt != NULL)
        published->receipt = *receipt;
    else
        snprintf(published->text, sizeof published->text, "%s", error->text);
}

static void start(bt_handle *handle, const char *topic, const msgsrv_message_type *type, const void *message,
                  const msgsrv_publish_options *options, bt_published *published)
{
    msgsrv_error error = {0};
    msgsrv_status status;
    uint64_t end = ts_guard();
    while ((status = msgsrv_bus_publish_async(handle->bus, topic, type, message, options, on_published, published,
                                              &error)) == MSGSRV_AGAIN)
        bt_turn_until(end, "room to publish", __FILE__, __LINE__);
    if (status != MSGSRV_OK) {
        published->done++;
        published->refused++;
        published->status = status;
        snprintf(published->text, sizeof published->text, "%s", error.text);
    }
}

msgsrv_status bt_try(bt_handle *handle, const char *topic, const char *type, const void *payload, size_t size,
                     const msgsrv_publish_options *options, msgsrv_receipt *receipt, msgsrv_error *error)
{
    bt_published published = {0};
    msgsrv_bytes bytes = {.data = payload, .size = size};
    msgsrv_publish_options all = options == NULL ? (msgsrv_publish_options){0} : *options;
    all.type = type;
    start(handle, topic, &msgsrv_raw_type, &bytes, &all, &published);
    BT_UNTIL(published.done != 0);
    ck_assert_uint_eq(published.done, 1);
    if (receipt != NULL)
        *receipt = published.receipt;
    if (error != NULL) {
        error->code = published.status;
        snprintf(error->text, sizeof error->text, "%s", published.text);
    }
    return published.status;
}

msgsrv_receipt bt_publish_with(bt_handle *handle, const char *topic, int64_t value, const msgsrv_publish_options *options)
{
    uint8_t payload[16];
    msgsrv_receipt receipt;
    msgsrv_error error;
    size_t size = bt_encode(payload, value, 0);
    BT_STATUS(MSGSRV_OK, bt_try(handle, topic, BT_TYPE, payload, size, options, &receipt, &error), error.text);
    return receipt;
}

msgsrv_receipt bt_publish(bt_handle *handle, const char *topic, int64_t value)
{
    return bt_publish_with(handle, topic, value, NULL);
}

void bt_publish_start(bt_handle *handle, const char *topic, int64_t value, size_t size,
                      const msgsrv_publish_options *options, bt_published *published)
{
    static uint8_t payload[1 << 20];
    ck_assert_uint_le(size, sizeof payload);
    msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, value, size)};
    msgsrv_publish_options all = options == NULL ? (msgsrv_publish_options){0} : *options;
    if (all.type == NULL)
        all.type = BT_TYPE;
    start(handle, topic, &msgsrv_raw_type, &bytes, &all, published);
}

void bt_publish_many(bt_handle *handle, const char *topic, int64_t first, int64_t last, size_t size)
{
    bt_published published = {0};
    for (int64_t i = first; i <= last; i++)
        bt_publish_start(handle, topic, i, size, NULL, &published);
    BT_UNTIL(published.done == (unsigned)(last - first + 1));
    ck_assert_msg(published.refused == 0, "%u were refused: %s", published.refused, published.text);
}

void bt_settle_down(void)
{
    for (size_t i = 0; i < bt.handle_count; i++) {
        if (bt.handles[i].bus == NULL || bt.handles[i].stalled)
            continue;
        bt_sub *sub = bt_subscribe_to(&bt.handles[i], "settle.down");
        bt_publish(bt.pub, "settle.down", 1);
        BT_UNTIL(sub->events == 1);
        bt_unsubscribe(sub);
    }
}
