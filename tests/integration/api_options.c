/* SPDX-License-Identifier: MIT */
/*
 * Options: NULL and zero are the defaults, each value outside its range is refused by its field's name, both ends of each range
 * are taken, and structs may be older or newer than the library's.
 */
#include <stddef.h>

#include "api_support.h"

/* A field's range; `none` says whether MSGSRV_NONE is taken. A highest value of MSGSRV_NONE - 1 means no upper end. */
struct range {
    const char *name;
    size_t offset;
    uint32_t lowest;
    uint32_t highest;
    bool none;
};

#define NO_END (MSGSRV_NONE - 1)
#define SERVER(field, lowest, highest, none)                                  \
    {                                                                         \
#field, offsetof(msgsrv_server_options, field), lowest, highest, none \
    }
#define CLIENT(field, lowest, highest, none)                                  \
    {                                                                         \
#field, offsetof(msgsrv_client_options, field), lowest, highest, none \
    }

static const struct range server_ranges[] = {
    SERVER(threads, 1, 256, false),
    SERVER(worker_threads, 1, 256, false),
    SERVER(worker_queue, 1, 1000000, false),
    SERVER(max_connections, 1, NO_END, true),
    SERVER(max_calls, 1, 1000000, false),
    SERVER(max_message, 1, 64u << 20, false),
    SERVER(max_metadata, 1, 12u << 10, false),
    SERVER(max_output, 4u << 10, 1u << 30, false),
    SERVER(first_byte_timeout_ms, 1, NO_END, true),
    SERVER(frame_timeout_ms, 1, NO_END, true),
    SERVER(output_timeout_ms, 1, NO_END, true),
    SERVER(keepalive_idle_s, 1, 32767, true),
    SERVER(keepalive_interval_s, 1, 32767, false),
    SERVER(keepalive_count, 1, 127, false),
    SERVER(linger_ms, 1, 60000, false),
    SERVER(linger_bytes, 1, NO_END, false),
    SERVER(pings_per_second, 1, NO_END, true),
    SERVER(ping_burst, 1, NO_END, false),
    SERVER(idle_frames_per_second, 1, NO_END, true),
    SERVER(resets_per_second, 1, NO_END, true),
    SERVER(reset_burst, 1, NO_END, false),
    SERVER(plain_max_calls, 1, NO_END, false),
    SERVER(plain_max_bytes, 1, NO_END, false),
    SERVER(plain_timeout_ms, 1, NO_END, true),
    SERVER(backlog, 1, 65535, false),
    SERVER(socket_mode, 1, 0777, false),
};

static const struct range client_ranges[] = {
    CLIENT(timeout_ms, 1, NO_END, true),
    CLIENT(connect_timeout_ms, 1, NO_END, false),
    CLIENT(backoff_min_ms, 1, 3600000, false),
    CLIENT(backoff_max_ms, 100, 3600000, false), /* not below backoff_min_ms, whose default is 100 */
    CLIENT(max_message, 1, 64u << 20, false),
    CLIENT(max_metadata, 1, 12u << 10, false),
    CLIENT(max_calls, 1, NO_END, false),
    CLIENT(keepalive_idle_s, 1, 32767, true),
    CLIENT(keepalive_interval_s, 1, 32767, false),
    CLIENT(keepalive_count, 1, 127, false),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static msgsrv_status new_server(const msgsrv_server_options *options, msgsrv_error *error)
{
    msgsrv_server *server = NULL;
    msgsrv_status status = msgsrv_server_new(options, &server, error);
    ck_assert_int_eq(server != NULL, status == MSGSRV_OK);
    msgsrv_server_free(server);
    return status;
}

static msgsrv_status new_client(const msgsrv_client_options *options, msgsrv_error *error)
{
    msgsrv_client *client = NULL;
    msgsrv_status status = msgsrv_client_new("tcp://127.0.0.1:1", options, &client, error);
    ck_assert_int_eq(client != NULL, status == MSGSRV_OK);
    msgsrv_client_free(client);
    return status;
}

static msgsrv_status try_value(bool client, const struct range *range, uint32_t value, msgsrv_error *error)
{
    msgsrv_server_options server_options = {.size = sizeof server_options};
    msgsrv_client_options client_options = {.size = sizeof client_options};
    char *options = client ? (char *)&client_options : (char *)&server_options;
    memcpy(options + range->offset, &value, sizeof value);
    return client ? new_client(&client_options, error) : new_server(&server_options, error);
}

static void refused(bool client, const struct range *range, uint32_t value)
{
    msgsrv_error error = {0};
    msgsrv_status status = try_value(client, range, value, &error);
    ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "%s = %u is %s", range->name, (unsigned)value,
                  msgsrv_status_name(status));
    api_contains(error.text, range->name);
}

static void taken(bool client, const struct range *range, uint32_t value)
{
    msgsrv_error error = {0};
    msgsrv_status status = try_value(client, range, value, &error);
    ck_assert_msg(status == MSGSRV_OK, "%s = %u is %s: %s", range->name, (unsigned)value, msgsrv_status_name(status),
                  error.text);
}

static void try_range(bool client, const struct range *range)
{
    taken(client, range, range->lowest);
    taken(client, range, range->highest);
    if (range->lowest > 1)
        refused(client, range, range->lowest - 1);
    if (range->highest < NO_END)
        refused(client, range, range->highest + 1);
    if (range->none)
        taken(client, range, MSGSRV_NONE);
    else
        refused(client, range, MSGSRV_NONE);
}

START_TEST(every_server_option_out_of_range_is_refused_by_name)
{
    for (size_t i = 0; i < COUNT(server_ranges); i++)
        try_range(false, &server_ranges[i]);
}
END_TEST

START_TEST(every_client_option_out_of_range_is_refused_by_name)
{
    for (size_t i = 0; i < COUNT(client_ranges); i++)
        try_range(true, &client_ranges[i]);
}
END_TEST

START_TEST(the_least_back_off_is_not_above_the_greatest)
{
    msgsrv_error error;
    api_ok(new_client(&(msgsrv_client_options){.backoff_min_ms = 10000}, &error), &error);
    api_ok(new_client(&(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 1}, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT,
               new_client(&(msgsrv_client_options){.backoff_min_ms = 3, .backoff_max_ms = 2}, &error), &error);
    api_contains(error.text, "backoff_m");
}
END_TEST

START_TEST(a_log_level_that_is_none_is_refused)
{
    msgsrv_error error;
    api_expect(MSGSRV_INVALID_ARGUMENT, new_server(&(msgsrv_server_options){.log_level = (msgsrv_log_level)5}, &error),
               &error);
    api_contains(error.text, "log_level");
    api_expect(MSGSRV_INVALID_ARGUMENT, new_client(&(msgsrv_client_options){.log_level = (msgsrv_log_level)5}, &error),
               &error);
    api_contains(error.text, "log_level");
    for (int level = 0; level <= 4; level++) {
        api_ok(new_server(&(msgsrv_server_options){.log_level = (msgsrv_log_level)level}, &error), &error);
        api_ok(new_client(&(msgsrv_client_options){.log_level = (msgsrv_log_level)level}, &error), &error);
    }
}
END_TEST

START_TEST(null_and_zero_are_all_defaults)
{
    msgsrv_error error;
    api_ok(new_server(NULL, &error), &error);
    api_ok(new_server(&(msgsrv_server_options){0}, &error), &error);
    api_ok(new_server(&(msgsrv_server_options){.size = sizeof(msgsrv_server_options)}, NULL), NULL);
    api_ok(new_client(NULL, &error), &error);
    api_ok(new_client(&(msgsrv_client_options){0}, &error), &error);
    api_ok(new_client(&(msgsrv_client_options){.size = sizeof(msgsrv_client_options)}, NULL), NULL);
}
END_TEST

/* An options struct of a later version: the one that the library knows, and a field behind it. */
struct later_server {
    msgsrv_server_options known;
    uint64_t added;
};
struct later_client {
    msgsrv_client_options known;
    uint64_t added;
};
struct later_call {
    msgsrv_call_options known;
    uint64_t added;
};

START_TEST(a_later_struct_is_taken_as_long_as_its_additions_are_zero)
{
    msgsrv_error error;
    struct later_server server = {.known.size = sizeof server};
    struct later_client client = {.known.size = sizeof client};
    api_ok(new_server(&server.known, &error), &error);
    api_ok(new_client(&client.known, &error), &error);
    server.added = 1;
    client.added = 1;
    api_expect(MSGSRV_INVALID_ARGUMENT, new_server(&server.known, &error), &error);
    api_contains(error.text, "does not know");
    api_expect(MSGSRV_INVALID_ARGUMENT, new_client(&client.known, &error), &error);
    api_contains(error.text, "does not know");
}
END_TEST

START_TEST(a_size_below_1_0_is_refused_by_name)
{
    msgsrv_error error;
    api_expect(MSGSRV_INVALID_ARGUMENT, new_server(&(msgsrv_server_options){.size = 8}, &error), &error);
    api_contains(error.text, "size");
    api_expect(MSGSRV_INVALID_ARGUMENT, new_client(&(msgsrv_client_options){.size = 8}, &error), &error);
    api_contains(error.text, "size");
}
END_TEST

START_TEST(the_options_of_a_call_follow_the_same_rules)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddRequest request = {.a = 1};
    messages_AddResponse response;
    msgsrv_error error;
    struct later_call later = {.known.size = sizeof later};
    msgsrv_call_options good[] = {{0}, {.size = sizeof good[0]}, {.timeout_ms = 20000}, {.timeout_ms = MSGSRV_NONE}};
    for (size_t i = 0; i < COUNT(good); i++)
        api_ok(messages_Demo_Add(client, &request, &good[i], &response, &error), &error);
    api_ok(messages_Demo_Add(client, &request, NULL, &response, &error), &error);
    api_ok(messages_Demo_Add(client, &request, &later.known, &response, &error), &error);
    later.added = 1;
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Add(client, &request, &later.known, &response, &error), &error);
    api_contains(error.text, "does not know");
    msgsrv_call_options small = {.size = 8}, no_entries = {.metadata_count = 1};
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Add(client, &request, &small, &response, &error), &error);
    api_contains(error.text, "size");
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Add(client, &request, &no_entries, &response, &error), &error);
    api_contains(error.text, "metadata");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(stats_are_filled_as_far_as_the_callers_struct_goes)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    struct {
        msgsrv_stats known;
        uint64_t added[4];
    } later;
    memset(&later, 0xee, sizeof later);
    later.known.size = sizeof later;
    msgsrv_server_stats(server, &later.known);
    ck_assert_uint_eq(later.known.calls_started, 1);
    memset(&later, 0xee, sizeof later);
    later.known.size = 0;
    msgsrv_server_stats(server, &later.known);
    ck_assert_uint_eq(later.known.calls_started, 1);
    ck_assert_uint_eq(later.added[0], 0xeeeeeeeeeeeeeeeeu);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_options_are_copied)
{
    char url[MSGSRV_PEER_ADDRESS];
    msgsrv_server_options *server_options = calloc(1, sizeof *server_options);
    server_options->threads = 2;
    msgsrv_server *server = api_server_on(NULL, server_options, NULL, NULL);
    memset(server_options, 0xff, sizeof *server_options);
    free(server_options);
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    msgsrv_client_options *client_options = calloc(1, sizeof *client_options);
    msgsrv_client *client = api_client_of(url, client_options);
    memset(client_options, 0xff, sizeof *client_options);
    free(client_options);
    memset(url, 'x', sizeof url - 1);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_options", every_server_option_out_of_range_is_refused_by_name,
        every_client_option_out_of_range_is_refused_by_name, the_least_back_off_is_not_above_the_greatest,
        a_log_level_that_is_none_is_refused, null_and_zero_are_all_defaults,
        a_later_struct_is_taken_as_long_as_its_additions_are_zero, a_size_below_1_0_is_refused_by_name,
        the_options_of_a_call_follow_the_same_rules, stats_are_filled_as_far_as_the_callers_struct_goes,
        the_options_are_copied)
