/* SPDX-License-Identifier: MIT */
/*
 * Metadata both ways: keys and values that may travel, those that may not, order, limits, and where each entry arrives.
 */
#include "api_support.h"

/* What a handler saw and what it shall send. */
struct script {
    size_t count; /* of the entries that came */
    char seen[8][160];
    size_t sizes[8];
    msgsrv_metadata head[4];
    msgsrv_metadata trailer[4];
    msgsrv_status added[8]; /* what adding each of them gave: heads first */
    char error[MSGSRV_ERROR_TEXT];
    msgsrv_status result;
};

static void note_entries(struct script *script, const msgsrv_metadata_set *set)
{
    script->count = msgsrv_metadata_count(set);
    for (size_t i = 0; i < script->count && i < 8; i++) {
        msgsrv_metadata entry = msgsrv_metadata_at(set, i);
        snprintf(script->seen[i], sizeof script->seen[i], "%s=%s", entry.key, (const char *)entry.value);
        script->sizes[i] = entry.size;
        ck_assert_int_eq(((const char *)entry.value)[entry.size], 0);
    }
}

static msgsrv_status play(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                          void *ctx)
{
    struct script *script = ctx;
    msgsrv_error error = {0};
    size_t added = 0;
    (void)request;
    (void)response;
    note_entries(script, msgsrv_call_metadata(call));
    for (size_t i = 0; i < 4 && script->head[i].key != NULL; i++)
        script->added[added++] = msgsrv_call_add_head(call, script->head[i], &error);
    for (size_t i = 0; i < 4 && script->trailer[i].key != NULL; i++)
        script->added[added++] = msgsrv_call_add_trailer(call, script->trailer[i], &error);
    snprintf(script->error, sizeof script->error, "%s", error.text);
    if (script->result != MSGSRV_OK)
        return msgsrv_call_error(call, script->result, "as the script says");
    return MSGSRV_OK;
}

static const messages_Demo_service playing = {.Add = play, .Echo = api_echo};

static msgsrv_status call_with(msgsrv_client *client, const msgsrv_metadata *metadata, size_t count,
                               msgsrv_metadata_set *head, msgsrv_metadata_set *trailer, msgsrv_error *error)
{
    msgsrv_call_options options = {.metadata = metadata, .metadata_count = count, .head = head, .trailer = trailer};
    messages_AddResponse response;
    return messages_Demo_Add(client, &(messages_AddRequest){.a = 1}, &options, &response, error);
}

START_TEST(a_clients_metadata_arrives_in_order_with_duplicates_and_binary_values)
{
    struct script script = {0};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    static const unsigned char binary[] = {0, 1, 0xff, 0, '\n'};
    msgsrv_metadata metadata[] = {{.key = "b", .value = "second letter"},
                                  {.key = "a", .value = "first letter", .size = 5},
                                  {.key = "trace-bin", .value = binary, .size = sizeof binary},
                                  {.key = "b", .value = "again"},
                                  {.key = "0._-z", .value = " ~"},
                                  {.key = "empty", .value = ""},
                                  {.key = "empty-bin", .value = "", .size = 0}};
    msgsrv_error error;
    api_ok(call_with(client, metadata, 7, NULL, NULL, &error), &error);
    ck_assert_uint_eq(script.count, 7);
    ck_assert_str_eq(script.seen[0], "b=second letter");
    ck_assert_str_eq(script.seen[1], "a=first");
    ck_assert_uint_eq(script.sizes[2], sizeof binary);
    ck_assert_str_eq(script.seen[3], "b=again");
    ck_assert_str_eq(script.seen[4], "0._-z= ~");
    ck_assert_str_eq(script.seen[5], "empty=");
    ck_assert_str_eq(script.seen[6], "empty-bin=");
    api_ok(call_with(client, NULL, 0, NULL, NULL, &error), &error);
    ck_assert_uint_eq(script.count, 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(head_and_trailer_come_back_to_a_synchronous_call)
{
    struct script script = {.head = {{.key = "h", .value = "one"},
                                     {.key = "h", .value = "two"},
                                     {.key = "x-bin", .value = "\0\1", .size = 2}},
                            .trailer = {{.key = "t", .value = "last"}}};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_metadata_set *head, *trailer;
    api_ok(msgsrv_metadata_set_new(&head, &error), &error);
    api_ok(msgsrv_metadata_set_new(&trailer, &error), &error);
    for (int i = 0; i < 2; i++) { /* the second time replaces what the first one left */
        size_t size = 0;
        api_ok(call_with(client, NULL, 0, head, trailer, &error), &error);
        ck_assert_uint_eq(msgsrv_metadata_count(head), 3);
        ck_assert_str_eq(msgsrv_metadata_find(head, "h", &size), "one");
        ck_assert_uint_eq(size, 3);
        ck_assert_str_eq(msgsrv_metadata_at(head, 1).value, "two");
        ck_assert_mem_eq(msgsrv_metadata_find(head, "x-bin", &size), "\0\1", 2);
        ck_assert_uint_eq(size, 2);
        ck_assert_uint_eq(msgsrv_metadata_count(trailer), 1);
        ck_assert_str_eq(msgsrv_metadata_find(trailer, "t", NULL), "last");
        ck_assert_ptr_null(msgsrv_metadata_find(trailer, "h", NULL));
    }
    script.head[0].key = NULL;
    script.trailer[0].key = NULL;
    api_ok(call_with(client, NULL, 0, head, trailer, &error), &error);
    ck_assert_uint_eq(msgsrv_metadata_count(head), 0);
    ck_assert_uint_eq(msgsrv_metadata_count(trailer), 0);
    msgsrv_metadata_set_free(head);
    msgsrv_metadata_set_free(trailer);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_failed_call_brings_its_metadata_too)
{
    struct script script = {.head = {{.key = "h", .value = "before"}},
                            .trailer = {{.key = "retry-after", .value = "5"}},
                            .result = MSGSRV_ABORTED};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_metadata_set *head, *trailer;
    api_ok(msgsrv_metadata_set_new(&head, &error), &error);
    api_ok(msgsrv_metadata_set_new(&trailer, &error), &error);
    api_expect(MSGSRV_ABORTED, call_with(client, NULL, 0, head, trailer, &error), &error);
    ck_assert_str_eq(error.text, "as the script says");
    ck_assert_str_eq(msgsrv_metadata_find(head, "h", NULL), "before");
    ck_assert_str_eq(msgsrv_metadata_find(trailer, "retry-after", NULL), "5");
    msgsrv_metadata_set_free(head);
    msgsrv_metadata_set_free(trailer);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* The metadata of an asynchronous reply, as text. */
struct heard {
    api_event ended;
    char head[64];
    char trailer[64];
};

static void hear(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct heard *heard = ctx;
    (void)response;
    const char *head = msgsrv_metadata_find(reply->head, "h", NULL);
    const char *trailer = msgsrv_metadata_find(reply->trailer, "t", NULL);
    snprintf(heard->head, sizeof heard->head, "%s", head != NULL ? head : "none");
    snprintf(heard->trailer, sizeof heard->trailer, "%s", trailer != NULL ? trailer : "none");
    api_event_add(&heard->ended);
}

START_TEST(an_asynchronous_reply_shows_head_and_trailer)
{
    struct script script = {.head = {{.key = "h", .value = "in front"}}, .trailer = {{.key = "t", .value = "behind"}}};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client_thread(server);
    struct heard heard;
    api_event_init(&heard.ended);
    messages_AddRequest request = {.a = 1};
    api_ok(messages_Demo_Add_async(client, &request, NULL, hear, &heard, NULL, NULL), NULL);
    api_event_wait(&heard.ended, 1);
    ck_assert_str_eq(heard.head, "in front");
    ck_assert_str_eq(heard.trailer, "behind");
    script.head[0].key = NULL;
    script.trailer[0].key = NULL;
    api_ok(messages_Demo_Add_async(client, &request, NULL, hear, &heard, NULL, NULL), NULL);
    api_event_wait(&heard.ended, 2);
    ck_assert_str_eq(heard.head, "none");
    ck_assert_str_eq(heard.trailer, "none");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* What may not travel. */
static const char long_key[] = "k234567890123456789012345678901234567890123456789012345678901234x";
static const msgsrv_metadata bad_entries[] = {
    {.key = "", .value = "empty key"},
    {.key = long_key, .value = "65 characters"},
    {.key = "Upper", .value = "case"},
    {.key = "white space", .value = "inside"},
    {.key = "key\xc3\xa4", .value = "not ASCII"},
    {.key = "grpc-status", .value = "reserved"},
    {.key = "msgsrv-require", .value = "reserved"},
    {.key = "value", .value = "a line\n"},
    {.key = "value", .value = "\x7f"},
    {.key = "value", .value = "gr\xc3\xbc\xc3\x9f"},
    {.key = "value", .value = "a\0b", .size = 3},
    {.key = NULL, .value = "no key"},
    {.key = "value", .value = NULL, .size = 3},
};
#define BAD_ENTRIES (sizeof bad_entries / sizeof bad_entries[0])

START_TEST(a_client_refuses_at_once_what_may_not_travel)
{
    struct script script = {0};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    api_result result;
    api_result_init(&result);
    for (size_t i = 0; i < BAD_ENTRIES; i++) {
        msgsrv_error error = {0};
        msgsrv_status status = call_with(client, &bad_entries[i], 1, NULL, NULL, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "entry %zu is %s", i, msgsrv_status_name(status));
        ck_assert(!error.from_peer);
        ck_assert_uint_gt(strlen(error.text), 0);
        msgsrv_call_options options = {.metadata = &bad_entries[i], .metadata_count = 1};
        messages_AddRequest request = {.a = 1};
        api_expect(MSGSRV_INVALID_ARGUMENT,
                   messages_Demo_Add_async(client, &request, &options, api_on_add, &result, NULL, &error), &error);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.calls_started, 0);
    msgsrv_metadata longest = {.key = long_key + 1, .value = "64 characters"};
    api_ok(call_with(client, &longest, 1, NULL, NULL, NULL), NULL);
    ck_assert_uint_eq(script.count, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&result.ended), 0);
}
END_TEST

START_TEST(a_handler_that_adds_what_may_not_travel_is_told_and_goes_on)
{
    struct script script = {0};
    msgsrv_server *server = api_server(&playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_metadata_set *head, *trailer;
    api_ok(msgsrv_metadata_set_new(&head, NULL), NULL);
    api_ok(msgsrv_metadata_set_new(&trailer, NULL), NULL);
    for (size_t i = 0; i < BAD_ENTRIES; i++) {
        if (bad_entries[i].key == NULL)
            continue; /* the script's own end */
        memset(script.head, 0, sizeof script.head);
        memset(script.trailer, 0, sizeof script.trailer);
        script.head[0] = bad_entries[i];
        script.head[1] = (msgsrv_metadata){.key = "good", .value = "head"};
        script.trailer[0] = bad_entries[i];
        script.trailer[1] = (msgsrv_metadata){.key = "good", .value = "trailer"};
        api_ok(call_with(client, NULL, 0, head, trailer, NULL), NULL);
        ck_assert_msg(script.added[0] == MSGSRV_INVALID_ARGUMENT && script.added[2] == MSGSRV_INVALID_ARGUMENT,
                      "entry %zu was taken", i);
        api_expect(MSGSRV_OK, script.added[1], NULL);
        api_expect(MSGSRV_OK, script.added[3], NULL);
        ck_assert_uint_gt(strlen(script.error), 0);
        ck_assert_uint_eq(msgsrv_metadata_count(head), 1);
        ck_assert_uint_eq(msgsrv_metadata_count(trailer), 1);
        ck_assert_str_eq(msgsrv_metadata_find(head, "good", NULL), "head");
        ck_assert_str_eq(msgsrv_metadata_find(trailer, "good", NULL), "trailer");
    }
    msgsrv_metadata_set_free(head);
    msgsrv_metadata_set_free(trailer);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A value that fills a set of one entry with the key "k" up to a size. */
static msgsrv_metadata filling(char *buffer, size_t room, size_t set_size)
{
    size_t size = set_size - 32 - 1;
    ck_assert_uint_lt(size, room);
    memset(buffer, 'v', size);
    buffer[size] = '\0';
    return (msgsrv_metadata){.key = "k", .value = buffer, .size = size};
}

START_TEST(the_limit_counts_keys_values_and_32_each_and_holds_on_the_client)
{
    static char value[16384];
    struct script script = {0};
    msgsrv_server *server = api_server(&playing, &script);
    static const struct {
        uint32_t option, limit;
    } limits[] = {{0, 8192}, {1000, 1000}};
    for (int i = 0; i < 2; i++) {
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.max_metadata = limits[i].option});
        msgsrv_error error;
        msgsrv_metadata fits = filling(value, sizeof value, limits[i].limit);
        api_ok(call_with(client, &fits, 1, NULL, NULL, &error), &error);
        ck_assert_uint_eq(script.sizes[0], limits[i].limit - 33);
        msgsrv_metadata over = filling(value, sizeof value, limits[i].limit + 1);
        api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_with(client, &over, 1, NULL, NULL, &error), &error);
        ck_assert(!error.from_peer);
        msgsrv_metadata two[2] = {filling(value, sizeof value, limits[i].limit), {.key = "k", .value = ""}};
        api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_with(client, two, 2, NULL, NULL, &error), &error);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_servers_limit_ends_the_call_alone)
{
    static char value[16384];
    struct script script = {0};
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.max_metadata = 500}, &playing, &script);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_metadata fits = filling(value, sizeof value, 500);
    api_ok(call_with(client, &fits, 1, NULL, NULL, &error), &error);
    msgsrv_metadata over = filling(value, sizeof value, 501);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_with(client, &over, 1, NULL, NULL, &error), &error);
    ck_assert(error.from_peer);
    /* Its own entries are bounded too, each way by itself. */
    script.head[0] = filling(value, sizeof value, 500);
    script.head[1] = (msgsrv_metadata){.key = "one-more", .value = ""};
    script.trailer[0] = script.head[0];
    script.trailer[1] = script.head[1];
    msgsrv_metadata_set *head, *trailer;
    api_ok(msgsrv_metadata_set_new(&head, NULL), NULL);
    api_ok(msgsrv_metadata_set_new(&trailer, NULL), NULL);
    msgsrv_status status = call_with(client, NULL, 0, head, trailer, &error);
    api_expect(MSGSRV_OK, status, &error);
    api_expect(MSGSRV_OK, script.added[0], NULL);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, script.added[1], NULL);
    ck_assert_uint_eq(msgsrv_metadata_count(head), 1);
    ck_assert_uint_le(msgsrv_metadata_count(trailer), 1);
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.refused[MSGSRV_REFUSED_METADATA], 1);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    msgsrv_metadata_set_free(head);
    msgsrv_metadata_set_free(trailer);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_held_call_gets_trailers_too)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    struct heard heard;
    api_event_init(&heard.ended);
    messages_AddRequest request = {.a = 1};
    api_ok(messages_Demo_Add_async(client, &request, NULL, hear, &heard, NULL, NULL), NULL);
    api_event_wait(&holds.held, 1);
    msgsrv_error error;
    msgsrv_metadata bad = {.key = "Bad", .value = ""};
    msgsrv_metadata good = {.key = "t", .value = "from afar"};
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_held_add_trailer(holds.hold[0], bad, &error), &error);
    api_ok(msgsrv_held_add_trailer(holds.hold[0], good, &error), &error);
    messages_AddResponse response = {.result = 5};
    api_ok(messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    api_event_wait(&heard.ended, 1);
    ck_assert_str_eq(heard.trailer, "from afar");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(null_is_an_empty_set)
{
    ck_assert_uint_eq(msgsrv_metadata_count(NULL), 0);
    ck_assert_ptr_null(msgsrv_metadata_find(NULL, "key", NULL));
    msgsrv_metadata none = msgsrv_metadata_at(NULL, 0);
    ck_assert_ptr_null(none.key);
    ck_assert_ptr_null(none.value);
    ck_assert_uint_eq(none.size, 0);
    msgsrv_metadata_set_free(NULL);
    msgsrv_metadata_set *set;
    api_ok(msgsrv_metadata_set_new(&set, NULL), NULL);
    ck_assert_uint_eq(msgsrv_metadata_count(set), 0);
    ck_assert_ptr_null(msgsrv_metadata_at(set, 7).key);
    msgsrv_metadata_set_free(set);
}
END_TEST

TS_MAIN("api_metadata", a_clients_metadata_arrives_in_order_with_duplicates_and_binary_values,
        head_and_trailer_come_back_to_a_synchronous_call, a_failed_call_brings_its_metadata_too,
        an_asynchronous_reply_shows_head_and_trailer, a_client_refuses_at_once_what_may_not_travel,
        a_handler_that_adds_what_may_not_travel_is_told_and_goes_on,
        the_limit_counts_keys_values_and_32_each_and_holds_on_the_client, the_servers_limit_ends_the_call_alone,
        a_held_call_gets_trailers_too, null_is_an_empty_set)
