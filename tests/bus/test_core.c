/* SPDX-License-Identifier: MIT */
/* bus/core.h where the public API does not reach: what a refusal leaves behind, topics that are forgotten, types that do not fit. */
#include <string.h>

#include "base/clock.h"
#include "bus/bus.h"
#include "descriptors.h"
#include "suite.h"

static msi_core *core;
static msi_publisher *publisher;
static unsigned readied;

static void open_core(const msi_core_limits *limits)
{
    const msi_core_limits usual = {.max_topics = 100,
                                   .max_subscriptions = 100,
                                   .max_queues = 10,
                                   .max_types = 10,
                                   .max_requests = 10,
                                   .max_match_nodes = 4096,
                                   .max_retained_bytes = 1u << 20,
                                   .topic_idle_ns = 60000 * MSI_MS,
                                   .max_event = 1u << 20};
    ck_assert_int_eq(msi_core_new(&msi_engine_mem, "", limits ? limits : &usual, &core, NULL), MSGSRV_OK);
    publisher = msi_publisher_new(core, "test", "");
    ck_assert_ptr_nonnull(publisher);
}

static void close_core(void)
{
    msi_publisher_free(publisher);
    msi_core_unref(core);
}

static void on_ready(msi_sub *sub, void *ctx)
{
    (void)sub;
    (void)ctx;
    readied++;
}

static msi_sub *subscribe(const char *pattern, const char *type, const msi_sub_spec *resume)
{
    msi_sub_spec spec = resume ? *resume : (msi_sub_spec){.last = MSI_LAST_ALL};
    spec.pattern = msi_view_of(pattern);
    spec.type = msi_view_of(type);
    spec.wants_bytes = true;
    spec.name = spec.peer = "";
    spec.ready = on_ready;
    msi_sub *sub = NULL;
    ck_assert_int_eq(msi_core_subscribe(core, &spec, &sub, NULL), MSGSRV_OK);
    return sub;
}

static msgsrv_status publish(const char *topic, const char *type, msgsrv_error *error)
{
    const msi_publication publication = {
        .topic = msi_view_of(topic), .type = msi_view_of(type), .payload = msi_view_of("\x08\x01")};
    return msi_core_publish(publisher, &publication, NULL, error);
}

static msi_taken take_one(msi_sub *sub)
{
    msi_taken taken = {.kind = MSI_TAKEN_EVENT};
    uint64_t position;
    ck_assert_uint_eq(msi_sub_take(sub, &taken, 1, SIZE_MAX, &position), 1);
    return taken;
}

static bool is_empty(msi_sub *sub)
{
    msi_taken taken;
    uint64_t position;
    return msi_sub_take(sub, &taken, 1, SIZE_MAX, &position) == 0;
}

/* ---- what is refused has not happened ---- */

START_TEST(what_a_full_queue_refuses_binds_nothing_and_ends_nothing)
{
    open_core(NULL);
    const char *patterns[] = {"a.>"};
    const msgsrv_queue_options options = {
        .size = sizeof options, .patterns = patterns, .pattern_count = 1, .max_messages = 1};
    ck_assert_int_eq(msi_core_declare_queue(core, msi_view_of("q"), &options, NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(publish("a.first", "p.One", NULL), MSGSRV_OK);
    msi_sub *sub = subscribe("a.second", "p.Two", NULL);
    msgsrv_error error;
    ck_assert_int_eq(publish("a.second", "p.One", &error), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(error.text, "the queue q is full");
    ck_assert(is_empty(sub));
    ck_assert_int_eq(msi_core_purge(core, msi_view_of("q"), NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(publish("a.second", "p.Two", &error), MSGSRV_OK);
    ck_assert_str_eq(take_one(sub).event->name->type, "p.Two");
    msi_sub_close(sub);
    close_core();
}
END_TEST

static void never_answered(void *ctx, msgsrv_status status, const char *text, msi_view type, msi_view payload)
{
    (void)ctx;
    (void)status;
    (void)text;
    (void)type;
    (void)payload;
    ck_abort_msg("a request that was refused is answered");
}

START_TEST(a_request_to_nobody_binds_nothing_and_ends_nothing)
{
    open_core(NULL);
    msi_sub *sub = subscribe("a.topic", "p.Two", NULL);
    const msi_publication publication = {
        .topic = msi_view_of("a.topic"), .type = msi_view_of("p.One"), .payload = msi_view_of("")};
    uint64_t request;
    msgsrv_error error;
    ck_assert_int_eq(msi_core_request(publisher, &publication, never_answered, NULL, &request, &error),
                     MSGSRV_UNAVAILABLE);
    ck_assert(is_empty(sub));
    ck_assert_int_eq(publish("a.topic", "p.Two", NULL), MSGSRV_OK);
    (void)take_one(sub);
    msi_sub_close(sub);
    close_core();
}
END_TEST

/* ---- topics that are forgotten ---- */

/* One topic at a time: a second one has the first one forgotten, once nobody is there for it. */
static void open_forgetful(void)
{
    const msi_core_limits limits = {.max_topics = 1,
                                    .max_subscriptions = 100,
                                    .max_queues = 10,
                                    .max_types = 10,
                                    .max_requests = 10,
                                    .max_match_nodes = 4096,
                                    .max_retained_bytes = 1u << 20,
                                    .topic_idle_ns = 1,
                                    .max_event = 1u << 20};
    open_core(&limits);
}

/* The topics' idle time has begun anew with each look, so it is looked twice. */
static void forget_by(const char *topic)
{
    while (publish(topic, "p.One", NULL) != MSGSRV_OK)
        continue;
}

static void another_publisher(void)
{
    msi_publisher_free(publisher);
    publisher = msi_publisher_new(core, "next", "");
    ck_assert_ptr_nonnull(publisher);
}

START_TEST(one_that_was_away_is_told_what_it_missed_of_a_topic_that_is_forgotten)
{
    open_forgetful();
    ck_assert_int_eq(publish("a.topic", "p.One", NULL), MSGSRV_OK);
    msi_sub *sub = subscribe("a.*", NULL, NULL);
    ck_assert_int_eq(publish("a.topic", "p.One", NULL), MSGSRV_OK);
    msi_taken taken = take_one(sub);
    const msi_seen seen = {msi_view_of("a.topic"), taken.event->name->epoch, taken.event->sequence};
    const msi_sub_spec resume = {.last = MSI_LAST_ALL,
                                 .resumes = true,
                                 .resume_epoch = msi_core_epoch(core),
                                 .resume_position = taken.event->position,
                                 .seen = &seen,
                                 .seen_count = 1};
    msi_sub_close(sub);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(publish("a.topic", "p.One", NULL), MSGSRV_OK);
    another_publisher();
    forget_by("b.topic");
    sub = subscribe("a.*", NULL, &resume);
    taken = take_one(sub);
    ck_assert_int_eq(taken.kind, MSI_TAKEN_GAP);
    ck_assert_int_eq(taken.gap->reason, MSGSRV_GAP_DISCONNECTED);
    ck_assert_uint_eq(taken.gap->total, 3);
    ck_assert(!taken.gap->unknown);
    ck_assert_uint_eq(taken.gap->count, 1);
    ck_assert_str_eq(taken.gap->entries[0].name->topic, "a.topic");
    ck_assert_uint_eq(taken.gap->entries[0].first, 3);
    ck_assert_uint_eq(taken.gap->entries[0].last, 5);
    ck_assert(is_empty(sub));
    msi_sub_close(sub);
    close_core();
}
END_TEST

START_TEST(what_has_fallen_out_of_the_memory_of_forgotten_topics_is_told_as_unknown)
{
    open_forgetful();
    const msi_sub_spec resume = {.last = MSI_LAST_ALL, .resumes = true, .resume_epoch = msi_core_epoch(core)};
    for (unsigned i = 0; i < 300; i++) {
        char topic[] = "a.xxx";
        topic[2] = (char)('a' + i / 100);
        topic[3] = (char)('0' + i / 10 % 10);
        topic[4] = (char)('0' + i % 10);
        forget_by(topic);
        another_publisher();
    }
    msi_sub *sub = subscribe("other.topic", NULL, &resume);
    const msi_taken taken = take_one(sub);
    ck_assert_int_eq(taken.kind, MSI_TAKEN_GAP);
    ck_assert_uint_eq(taken.gap->total, 0);
    ck_assert(taken.gap->unknown);
    msi_sub_close(sub);
    close_core();
}
END_TEST

/* ---- types ---- */

static ts_bytes set;

static void make_file(msgsrv_proto_file *file, const char *text)
{
    set = ts_set_of(text);
    /* A set of one file is its tag, its length and the file. */
    const uint8_t *at = (const uint8_t *)set.data + 1;
    uint64_t size;
    at = msi_varint_get(at, (const uint8_t *)set.data + set.size, &size);
    *file = (msgsrv_proto_file){.name = "p.proto", .descriptor = at, .descriptor_size = (size_t)size};
}

START_TEST(code_whose_type_does_not_fit_what_is_known_is_refused)
{
    open_core(NULL);
    msgsrv_proto_file first;
    msgsrv_proto_file second;
    make_file(&first, "One{ id=1 int32 }");
    ts_bytes kept = set;
    make_file(&second, "One{ id=1 string }");
    const msgsrv_message_type types[] = {{.name = "p.One", .file = &first}, {.name = "p.One", .file = &second}};
    msi_publication publication = {.topic = msi_view_of("a"), .type = msi_view_of("p.One"), .payload = msi_view_of("")};
    msgsrv_error error;
    publication.described = &types[0];
    ck_assert_int_eq(msi_core_publish(publisher, &publication, NULL, NULL), MSGSRV_OK);
    publication.described = &types[1];
    ck_assert_int_eq(msi_core_publish(publisher, &publication, NULL, &error), MSGSRV_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(error.text, "p.One"));
    publication.described = &types[0];
    ck_assert_int_eq(msi_core_publish(publisher, &publication, NULL, NULL), MSGSRV_OK);
    msi_buf known = {0};
    ck_assert(msi_core_describe_type(core, msi_view_of("p.One"), &known));
    ck_assert_uint_eq(known.len, kept.size);
    msi_buf_free(&known);
    ts_bytes_release(&kept);
    ts_bytes_release(&set);
    close_core();
}
END_TEST

TS_MAIN("core", what_a_full_queue_refuses_binds_nothing_and_ends_nothing,
        a_request_to_nobody_binds_nothing_and_ends_nothing,
        one_that_was_away_is_told_what_it_missed_of_a_topic_that_is_forgotten,
        what_has_fallen_out_of_the_memory_of_forgotten_topics_is_told_as_unknown,
        code_whose_type_does_not_fit_what_is_known_is_refused)
