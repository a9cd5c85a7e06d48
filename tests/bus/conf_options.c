/* SPDX-License-Identifier: MIT */
/* Addresses and options: what is wrong is named. */
#include "conf.h"

#include <event2/event.h>
#include <stdio.h>

START_TEST(addresses_that_are_wrong_are_refused)
{
    const char *const bad[] = {"",      "mem",     "x", "tcp://",  "tcp://host:port", "tcp://host:99999",
                               "unix:", "unix://", ":", "mem:a b", "mem:a/b"};
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_bus *bus = NULL;
        msgsrv_status status = msgsrv_bus_open(bad[i], NULL, &bus, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "\"%s\": %s", bad[i], msgsrv_status_name(status));
        ck_assert_str_ne(error.text, "");
        ck_assert_ptr_null(bus);
    }
}
END_TEST

START_TEST(engines_that_there_are_not_yet_are_named)
{
    const char *const later[] = {"file:/tmp/x", "nats://localhost:4222", "amqp://localhost"};
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        char scheme[8] = {0};
        msgsrv_bus *bus = NULL;
        memcpy(scheme, later[i], strcspn(later[i], ":"));
        BT_STATUS(MSGSRV_UNIMPLEMENTED, msgsrv_bus_open(later[i], NULL, &bus, &error), later[i]);
        BT_CONTAINS(error.text, scheme);
    }
}
END_TEST

START_TEST(a_bus_without_a_name_is_one_handles_own)
{
    msgsrv_bus *one = NULL, *two = NULL;
    msgsrv_bus_stats stats = {.size = sizeof stats};
    uint8_t payload[16];
    msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, 1, 0)};
    msgsrv_publish_options options = {.type = BT_TYPE};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_open("mem:", NULL, &one, NULL), "");
    BT_STATUS(MSGSRV_OK, msgsrv_bus_open("mem:", NULL, &two, NULL), "");
    BT_STATUS(MSGSRV_OK, msgsrv_bus_publish(one, "t", &msgsrv_raw_type, &bytes, &options, NULL, NULL), "");
    msgsrv_bus_get_stats(two, &stats);
    ck_assert_uint_eq(stats.published, 0);
    msgsrv_bus_free(one);
    msgsrv_bus_free(two);
}
END_TEST

START_TEST(options_of_a_handle_that_are_wrong_are_named)
{
    struct event_base *base = event_base_new();
    char long_name[65];
    memset(long_name, 'n', 64);
    long_name[64] = '\0';
    const struct {
        const char *name;
        msgsrv_bus_options options;
    } bad[] = {
        {"thread", {.thread = true, .base = base}},
        {"name", {.name = long_name}},
        {"name", {.name = "tab\there"}},
        {"name", {.name = "\xc3\xbc"}},
        {"size", {.size = 3}},
        {"log_level", {.log_level = (msgsrv_log_level)99}},
        {"max_match_nodes", {.max_match_nodes = 63}},
        {"max_event", {.max_event = 64u << 20}},
    };
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_bus *bus = NULL;
        BT_STATUS(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_open(bt.url, &bad[i].options, &bus, &error), bad[i].name);
        BT_CONTAINS(error.text, bad[i].name);
    }
    event_base_free(base);
}
END_TEST

START_TEST(options_of_a_subscription_that_are_wrong_are_named)
{
    static const struct {
        const char *name;
        msgsrv_subscribe_options options;
    } bad[] = {
        {"policy", {.policy = (msgsrv_bus_policy)4}},
        {"max_events", {.max_events = 1000001}},
        {"max_bytes", {.max_bytes = 4095}},
        {"type", {.type = "not a type"}},
        {"pattern", {.pattern = "not a pattern"}},
        {"size", {.size = 1}},
        {"last", {.last = 1001}},
        {"responder", {.group = "g", .responder = true}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (strcmp(bad[i].name, "last") == 0)
            continue; /* more than there is is all */
        bt_subscribe_refused(bt.pub, &bad[i].options, MSGSRV_INVALID_ARGUMENT, bad[i].name, NULL);
    }
    msgsrv_handle handle = 77;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT,
              msgsrv_bus_subscribe(bt.pub->bus, NULL, NULL, &(msgsrv_subscriber){0}, NULL, &handle, &error), "");
    BT_CONTAINS(error.text, "event");
    ck_assert_uint_eq(handle, 77);
}
END_TEST

START_TEST(options_of_a_queue_that_are_wrong_are_named)
{
    static const char *const patterns[65] = {"not a pattern", "t"};
    static const char *const types[65] = {"not a type"};
    static const struct {
        const char *name;
        msgsrv_queue_options options;
    } bad[] = {
        {"max_messages", {.max_messages = 10000001}},
        {"max_bytes", {.max_bytes = 4095}},
        {"full", {.full = (msgsrv_queue_full)2}},
        {"patterns", {.patterns = patterns, .pattern_count = 1}},
        {"pattern_count", {.patterns = patterns, .pattern_count = 65}},
        {"types", {.types = types, .type_count = 1}},
        {"type_count", {.types = types, .type_count = 65}},
        {"size", {.size = 2}},
    };
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        BT_STATUS(MSGSRV_INVALID_ARGUMENT, bt_try_declare_queue("q", &bad[i].options, &error), bad[i].name);
        char part[16]; /* "pattern" names both */
        snprintf(part, sizeof part, "%.*s", (int)strcspn(bad[i].name, "s_"), bad[i].name);
        BT_CONTAINS(error.text, strncmp(part, "max", 3) == 0 ? bad[i].name : part);
    }
    msgsrv_queue_info info;
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_queue_info(bt.admin->bus, "q", &info, &error), "");
}
END_TEST

START_TEST(options_of_a_consumer_that_are_wrong_are_named)
{
    bt_declare_queue("q", NULL);
    static const struct {
        const char *name;
        msgsrv_consume_options options;
    } bad[] = {{"prefetch", {.prefetch = 100001}}, {"size", {.size = 1}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_consumer *consumer = bt_consume_start(bt.pub, "q", NULL, &bad[i].options, NULL);
        BT_UNTIL(consumer->ready + consumer->ended != 0);
        BT_STATUS(MSGSRV_INVALID_ARGUMENT, consumer->status, consumer->text);
        BT_CONTAINS(consumer->text, bad[i].name);
    }
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT,
              msgsrv_bus_consume(bt.pub->bus, "q", NULL, NULL, &(msgsrv_consumer){0}, NULL, NULL, &error), "");
    BT_CONTAINS(error.text, "message");
}
END_TEST

START_TEST(options_of_a_publication_that_are_wrong_are_named)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT,
              bt_try(bt.pub, "t", BT_TYPE, "\x08\x01", 2, &(msgsrv_publish_options){.size = 1}, NULL, &error), "");
    BT_CONTAINS(error.text, "size");
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, bt_try(bt.pub, "t", NULL, "\x08\x01", 2, NULL, NULL, &error), "");
    BT_CONTAINS(error.text, "type");
    BT_STATUS(MSGSRV_INVALID_ARGUMENT,
              bt_try(bt.pub, "t", BT_TYPE, "\x08\x01", 2, &(msgsrv_publish_options){.header_count = 1}, NULL, &error),
              "");
    BT_CONTAINS(error.text, "header");
}
END_TEST

START_TEST(an_older_programs_smaller_options_are_taken)
{
    /* A size that ends behind `pattern`: the rest is not there, and is the default. */
    msgsrv_subscribe_options options;
    memset(&options, 0xff, sizeof options);
    options.size = sizeof options;
    options.pattern = "t";
    bt_sub *sub =
        bt_subscribe_start(bt.pub, NULL, &(msgsrv_subscribe_options){.size = sizeof options, .pattern = "t"}, NULL);
    BT_UNTIL(sub->ready == 1);
    struct {
        msgsrv_subscribe_options options;
        uint64_t newer;
    } newer = {.options = {.size = sizeof newer, .pattern = "t"}};
    sub = bt_subscribe_start(bt.pub, NULL, &newer.options, NULL);
    BT_UNTIL(sub->ready == 1); /* of a newer program that asks for nothing new */
}
END_TEST

START_TEST(a_remote_bus_is_not_served)
{
    msgsrv_server *server = NULL;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_server_new(NULL, &server, &error), error.text);
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_serve(bt.pub->bus, server, &error), error.text);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_bus_that_is_served_lives_on_without_its_handle)
{
    msgsrv_bus_free(bt.host);
    bt.host = NULL;
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    bt_publish(bt.pub, "t", 1);
    BT_UNTIL(sub->events == 1);
}
END_TEST

const conf_test conf_options[] = {
    {&addresses_that_are_wrong_are_refused, NULL},
    {&engines_that_there_are_not_yet_are_named, NULL},
    {&a_bus_without_a_name_is_one_handles_own, NULL},
    {&options_of_a_handle_that_are_wrong_are_named, NULL},
    {&options_of_a_subscription_that_are_wrong_are_named, NULL},
    {&options_of_a_queue_that_are_wrong_are_named, NULL},
    {&options_of_a_consumer_that_are_wrong_are_named, NULL},
    {&options_of_a_publication_that_are_wrong_are_named, NULL},
    {&an_older_programs_smaller_options_are_taken, NULL},
    {&a_remote_bus_is_not_served, "remote"},
    {&a_bus_that_is_served_lives_on_without_its_handle, "remote"},
    {NULL, NULL},
};
