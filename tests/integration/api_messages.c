/* SPDX-License-Identifier: MIT */
/*
 * Messages of every shape and size, both ways; and those that may not travel, each refused with the name of its field.
 */
#include "api_support.h"
#include "shapes.msgsrv.h"

#define MIB (1u << 20)

/* ---- handlers ---- */

static msgsrv_status mirror(msgsrv_call *call, const shapes_Everything *request, shapes_Everything *response, void *ctx)
{
    (void)call;
    (void)ctx;
    *response = *request; /* its pointers are the request's, which live until the answer is encoded */
    response->large.owned = NULL;
    return MSGSRV_OK;
}

static msgsrv_status mirror_blob(msgsrv_call *call, const shapes_Blob *request, shapes_Blob *response, void *ctx)
{
    (void)call;
    (void)ctx;
    response->data = (msgsrv_bytes){.data = request->data.data, .size = request->data.size};
    return MSGSRV_OK;
}

static msgsrv_status mirror_plain(msgsrv_call *call, const shapes_PlainBlob *request, shapes_PlainBlob *response,
                                  void *ctx)
{
    (void)call;
    (void)ctx;
    response->data = request->data;
    return MSGSRV_OK;
}

static const shapes_Shapes_service mirrors = {.Mirror = mirror, .MirrorBlob = mirror_blob, .MirrorPlain = mirror_plain};
static const shapes_Shapes_service blocking_mirrors = {
    .Mirror = mirror,
    .MirrorBlob = mirror_blob,
    .MirrorPlain = mirror_plain,
    .blocking = {.Mirror = true, .MirrorBlob = true, .MirrorPlain = true}};

static msgsrv_server *shapes_server(const shapes_Shapes_service *service, const msgsrv_server_options *options)
{
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, options, NULL, NULL);
    api_ok(shapes_Shapes_register(server, service, NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

/* ---- what comes back ---- */

START_TEST(texts_of_a_mebibyte_are_echoed)
{
    static const size_t sizes[] = {1, 127, 128, 16383, 16384, 65535, 65536, 70000, MIB, 4 * MIB - 16};
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++)
            text[k] = (char)('a' + k % 26);
        text[sizes[i]] = '\0';
        api_call_echo(client, text);
        free(text);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status call_blob(msgsrv_client *client, size_t size, msgsrv_error *error)
{
    unsigned char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + (i >> 8));
    shapes_Blob request = {.data = {.data = data, .size = size}};
    shapes_Blob response = {0};
    msgsrv_status status = shapes_Shapes_MirrorBlob(client, &request, NULL, &response, error);
    if (status == MSGSRV_OK) {
        ck_assert_uint_eq(response.data.size, size);
        ck_assert(size == 0 || memcmp(response.data.data, data, size) == 0);
        shapes_Blob_release(&response);
        ck_assert_ptr_null(response.data.data);
        shapes_Blob_release(&response);
    }
    free(data);
    return status;
}

START_TEST(bytes_of_a_mebibyte_go_both_ways)
{
    static const size_t sizes[] = {0, 1, 255, 65535, 65536, 70000, MIB, 3 * MIB};
    for (int blocking = 0; blocking < 2; blocking++) {
        msgsrv_server *server = shapes_server(blocking ? &blocking_mirrors : &mirrors, NULL);
        msgsrv_client *client = api_client(server, NULL);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            msgsrv_error error;
            api_ok(call_blob(client, sizes[i], &error), &error);
        }
        msgsrv_client_free(client);
        msgsrv_server_free(server);
    }
}
END_TEST

/* A pb_bytes_array_t on the heap. */
static pb_bytes_array_t *make_bytes(const void *data, pb_size_t size)
{
    pb_bytes_array_t *bytes = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(size));
    bytes->size = size;
    memcpy(bytes->bytes, data, size);
    return bytes;
}

START_TEST(bytes_of_65535_fit_a_pointer_field)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    static unsigned char data[65535];
    memset(data, 0xa5, sizeof data);
    static const pb_size_t sizes[] = {0, 1, 1000, 65535};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        msgsrv_error error;
        shapes_PlainBlob request = {.data = make_bytes(data, sizes[i])}, response = {0};
        api_ok(shapes_Shapes_MirrorPlain(client, &request, NULL, &response, &error), &error);
        ck_assert_uint_eq(response.data != NULL ? response.data->size : 0, sizes[i]);
        ck_assert(sizes[i] == 0 || memcmp(response.data->bytes, data, sizes[i]) == 0);
        shapes_PlainBlob_release(&response);
        free(request.data);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Everything at once. Texts are literals; what nanopb declares without const is never written to. */
#define TEXT(literal) ((char *)(uintptr_t)(literal))

static char *words[] = {TEXT("one"), TEXT(""), TEXT("\xc3\xa4")};
static int32_t numbers[] = {1, -1, INT32_MAX, INT32_MIN, 0};

static void fill(shapes_Everything *all, shapes_Inner *inners, shapes_Everything_CountsEntry *counts,
                 shapes_Everything_NamedEntry *named)
{
    memset(all, 0, sizeof *all);
    all->text = TEXT("a text");
    strcpy(all->label, "fifteen letters");
    all->blob = make_bytes("\0\1\2", 3);
    all->digest.size = 32;
    memset(all->digest.bytes, 0xdd, 32);
    all->large = (msgsrv_bytes){.data = "large\0bytes", .size = 11};
    all->numbers = numbers;
    all->numbers_count = 5;
    all->words = words;
    all->words_count = 3;
    all->has_inner = true;
    all->inner = (shapes_Inner){.name = TEXT("inner"), .number = 7, .tags = words, .tags_count = 2};
    inners[0] = (shapes_Inner){.name = TEXT("first"), .number = 1};
    inners[1] = (shapes_Inner){.name = NULL, .number = 0};
    all->inners = inners;
    all->inners_count = 2;
    all->which_choice = shapes_Everything_choice_inner_tag;
    all->choice.choice_inner = (shapes_Inner){.name = TEXT("chosen"), .number = -9};
    counts[0] = (shapes_Everything_CountsEntry){.key = TEXT("apples"), .value = 3};
    all->counts = counts;
    all->counts_count = 1;
    named[0] = (shapes_Everything_NamedEntry){.key = TEXT("x"), .has_value = true, .value = {.name = TEXT("y")}};
    all->named = named;
    all->named_count = 1;
    all->colour = shapes_Colour_GREEN;
    all->has_maybe = true;
    all->maybe = 0;
    all->maybe_text = TEXT("");
    all->ratio = 0.5;
    all->wide = UINT64_MAX;
}

static void compare_flat(const shapes_Everything *got)
{
    ck_assert_str_eq(got->text, "a text");
    ck_assert_str_eq(got->label, "fifteen letters");
    ck_assert_uint_eq(got->blob->size, 3);
    ck_assert_mem_eq(got->blob->bytes, "\0\1\2", 3);
    ck_assert_uint_eq(got->digest.size, 32);
    ck_assert_uint_eq(got->digest.bytes[31], 0xdd);
    ck_assert_uint_eq(got->large.size, 11);
    ck_assert_mem_eq(got->large.data, "large\0bytes", 11);
    ck_assert_uint_eq(got->numbers_count, 5);
    ck_assert_mem_eq(got->numbers, numbers, sizeof numbers);
    ck_assert_int_eq(got->colour, shapes_Colour_GREEN);
    ck_assert(got->has_maybe);
    ck_assert_int_eq(got->maybe, 0);
    ck_assert_str_eq(got->maybe_text, "");
    ck_assert_double_eq(got->ratio, 0.5);
    ck_assert_uint_eq(got->wide, UINT64_MAX);
}

static void compare_nested(const shapes_Everything *got)
{
    ck_assert_uint_eq(got->words_count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(got->words[i], words[i]);
    ck_assert(got->has_inner);
    ck_assert_str_eq(got->inner.name, "inner");
    ck_assert_int_eq(got->inner.number, 7);
    ck_assert_uint_eq(got->inner.tags_count, 2);
    ck_assert_str_eq(got->inner.tags[0], "one");
    ck_assert_uint_eq(got->inners_count, 2);
    ck_assert_str_eq(got->inners[0].name, "first");
    ck_assert_uint_eq(got->which_choice, shapes_Everything_choice_inner_tag);
    ck_assert_str_eq(got->choice.choice_inner.name, "chosen");
    ck_assert_int_eq(got->choice.choice_inner.number, -9);
    ck_assert_uint_eq(got->counts_count, 1);
    ck_assert_str_eq(got->counts[0].key, "apples");
    ck_assert_int_eq(got->counts[0].value, 3);
    ck_assert_uint_eq(got->named_count, 1);
    ck_assert_str_eq(got->named[0].value.name, "y");
}

START_TEST(every_shape_of_field_comes_back)
{
    for (int blocking = 0; blocking < 2; blocking++) {
        msgsrv_server *server = shapes_server(blocking ? &blocking_mirrors : &mirrors, NULL);
        msgsrv_client *client = api_client(server, NULL);
        shapes_Inner inners[2];
        shapes_Everything_CountsEntry counts[1];
        shapes_Everything_NamedEntry named[1];
        shapes_Everything request, response = {0};
        msgsrv_error error;
        fill(&request, inners, counts, named);
        for (int i = 0; i < 3; i++) {
            api_ok(shapes_Shapes_Mirror(client, &request, NULL, &response, &error), &error);
            compare_flat(&response);
            compare_nested(&response);
            shapes_Everything_release(&response);
            ck_assert_ptr_null(response.text);
            ck_assert_uint_eq(response.words_count, 0);
        }
        free(request.blob);
        msgsrv_client_free(client);
        msgsrv_server_free(server);
    }
}
END_TEST

START_TEST(an_empty_message_comes_back_empty)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    shapes_Everything request = {0}, response;
    msgsrv_error error;
    api_ok(shapes_Shapes_Mirror(client, &request, NULL, &response, &error), &error);
    ck_assert_ptr_null(response.text);
    ck_assert_uint_eq(response.words_count, 0);
    ck_assert_uint_eq(response.which_choice, 0);
    ck_assert(!response.has_maybe);
    ck_assert(!response.has_inner);
    ck_assert_ptr_null(response.maybe_text);
    shapes_Everything_release(&response);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(each_member_of_a_oneof_comes_back_as_itself)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    shapes_Everything request = {0}, response;
    request.which_choice = shapes_Everything_choice_number_tag;
    request.choice.choice_number = INT64_MIN;
    api_ok(shapes_Shapes_Mirror(client, &request, NULL, &response, &error), &error);
    ck_assert_uint_eq(response.which_choice, shapes_Everything_choice_number_tag);
    ck_assert(response.choice.choice_number == INT64_MIN);
    shapes_Everything_release(&response);
    request.which_choice = shapes_Everything_choice_text_tag;
    request.choice.choice_text = TEXT("a chosen text");
    api_ok(shapes_Shapes_Mirror(client, &request, NULL, &response, &error), &error);
    ck_assert_uint_eq(response.which_choice, shapes_Everything_choice_text_tag);
    ck_assert_str_eq(response.choice.choice_text, "a chosen text");
    shapes_Everything_release(&response);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static void keep_blob(const msgsrv_reply *reply, shapes_Blob *response, void *ctx)
{
    api_expect(MSGSRV_OK, reply->status, reply->error);
    *(shapes_Blob *)ctx = *response; /* kept, as service.h says: the copy is ours, the original is cleared */
    memset(response, 0, sizeof *response);
}

START_TEST(an_asynchronous_reply_can_be_kept)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    shapes_Blob request = {.data = {.data = "to be kept", .size = 10}}, kept = {0};
    msgsrv_error error;
    api_ok(shapes_Shapes_MirrorBlob_async(client, &request, NULL, keep_blob, &kept, NULL, &error), &error);
    while (kept.data.data == NULL)
        api_ok(msgsrv_client_poll(client, API_GUARD_MS, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(kept.data.size, 10);
    ck_assert_mem_eq(kept.data.data, "to be kept", 10);
    shapes_Blob_release(&kept);
}
END_TEST

/* ---- what may not travel ---- */

/* Blob has the same bytes on the wire as other messages, so it carries what their C types cannot hold. */
static msgsrv_method twin(const char *path, const msgsrv_message_type *request, const msgsrv_message_type *response)
{
    return (msgsrv_method){
        .abi = MSGSRV_GENERATED_ABI, .kind = MSGSRV_UNARY, .path = path, .request = request, .response = response};
}

static msgsrv_status send_as_blob(msgsrv_client *client, const char *path, const void *data, size_t size,
                                  msgsrv_error *error)
{
    msgsrv_method method = twin(path, &shapes_Blob_type, &shapes_Blob_type);
    shapes_Blob request = {.data = {.data = data, .size = size}}, response = {0};
    msgsrv_status status = msgsrv_client_call(client, &method, &request, NULL, &response, error);
    if (status == MSGSRV_OK)
        shapes_Blob_release(&response);
    return status;
}

START_TEST(a_request_with_bytes_that_are_too_long_names_the_field_and_the_remedy)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    static char data[70000];
    msgsrv_error error;
    api_expect(MSGSRV_INVALID_ARGUMENT, send_as_blob(client, "/shapes.Shapes/MirrorPlain", data, sizeof data, &error),
               &error);
    ck_assert(error.from_peer);
    api_contains(error.text, "data");
    api_contains(error.text, "65535");
    api_contains(error.text, "msgsrv_bytes");
    api_expect(MSGSRV_INVALID_ARGUMENT, send_as_blob(client, "/shapes.Shapes/MirrorPlain", data, 65536, &error), &error);
    api_ok(send_as_blob(client, "/shapes.Shapes/MirrorPlain", data, 65535, &error), &error);
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.refused[MSGSRV_REFUSED_DECODE], 2);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_request_whose_text_is_not_utf8_or_has_a_nul_names_the_field)
{
    static const struct {
        const char *data;
        size_t size;
        const char *part;
    } cases[] = {{"\xff", 1, "UTF-8"},     {"ok \xc3", 4, "UTF-8"},          {"\xed\xa0\x80", 3, "UTF-8"},
                 {"\xc0\xaf", 2, "UTF-8"}, {"\xf4\x90\x80\x80", 4, "UTF-8"}, {"a\0b", 3, "NUL"},
                 {"\0", 1, "NUL"}};
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msgsrv_error error;
        api_expect(MSGSRV_INVALID_ARGUMENT,
                   send_as_blob(client, "/messages.Demo/Echo", cases[i].data, cases[i].size, &error), &error);
        ck_assert(error.from_peer);
        api_contains(error.text, "text");
        api_contains(error.text, cases[i].part);
        api_call_echo(client, "the connection goes on");
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_request_with_a_broken_text_deep_inside_names_its_message_and_field)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_method method = twin("/shapes.Shapes/Mirror", &shapes_Wrapped_type, &shapes_Everything_type);
    shapes_Wrapped request = {.has_inner = true, .inner = {.data = {.data = "\xff", .size = 1}}};
    shapes_Everything response;
    msgsrv_error error;
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_client_call(client, &method, &request, NULL, &response, &error), &error);
    api_contains(error.text, "shapes.Inner.name");
    request.inner.data.data = "in order";
    request.inner.data.size = 8;
    api_ok(msgsrv_client_call(client, &method, &request, NULL, &response, &error), &error);
    ck_assert_str_eq(response.inner.name, "in order");
    shapes_Everything_release(&response);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_message_that_may_not_travel_is_refused_before_it_is_sent)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    char broken[] = "a\xff";
    messages_EchoMessage text = {.text = broken}, reply;
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Echo(client, &text, NULL, &reply, &error), &error);
    ck_assert(!error.from_peer);
    api_contains(error.text, "text");
    shapes_Inner inner = {.name = broken};
    shapes_Everything request = {.inners = &inner, .inners_count = 1}, response;
    api_expect(MSGSRV_INVALID_ARGUMENT, shapes_Shapes_Mirror(client, &request, NULL, &response, &error), &error);
    api_contains(error.text, "name");
    api_call_echo(client, "and on");
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.calls_started, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A handler of Echo whose answer's text is the ctx. */
static msgsrv_status answer_ctx(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                                void *ctx)
{
    (void)call;
    (void)request;
    response->text = ctx;
    return MSGSRV_OK;
}

START_TEST(a_response_that_may_not_travel_is_internal_and_logged)
{
    static const messages_Demo_service service = {.Echo = answer_ctx, .Add = api_add};
    char broken[] = "a\xff";
    api_log log;
    api_log_init(&log);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, &service, broken);
    msgsrv_client *client = api_client(server, NULL);
    messages_EchoMessage request = messages_EchoMessage_init_zero, response;
    msgsrv_error error;
    api_expect(MSGSRV_INTERNAL, messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
    ck_assert(error.from_peer);
    ck_assert_uint_ge(api_log_count(&log, "text"), 1);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_reply_that_does_not_decode_names_the_field)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_method plain = twin("/shapes.Shapes/MirrorBlob", &shapes_Blob_type, &shapes_PlainBlob_type);
    msgsrv_method text = twin("/shapes.Shapes/MirrorBlob", &shapes_Blob_type, &messages_EchoMessage_type);
    static char data[70000];
    shapes_Blob request = {.data = {.data = data, .size = sizeof data}};
    shapes_PlainBlob bytes_reply = {0};
    messages_EchoMessage text_reply = {0};
    msgsrv_error error;
    api_expect(MSGSRV_INTERNAL, msgsrv_client_call(client, &plain, &request, NULL, &bytes_reply, &error), &error);
    ck_assert(!error.from_peer);
    api_contains(error.text, "data");
    api_contains(error.text, "65535");
    ck_assert_ptr_null(bytes_reply.data);
    static const struct {
        const char *data;
        size_t size;
        const char *part;
    } cases[] = {{"\xc3(", 2, "UTF-8"}, {"a\0b", 3, "NUL"}};
    for (int i = 0; i < 2; i++) {
        request.data = (msgsrv_bytes){.data = cases[i].data, .size = cases[i].size};
        api_expect(MSGSRV_INTERNAL, msgsrv_client_call(client, &text, &request, NULL, &text_reply, &error), &error);
        api_contains(error.text, "text");
        api_contains(error.text, cases[i].part);
        ck_assert_ptr_null(text_reply.text);
    }
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_message_over_the_servers_limit_ends_its_call_alone)
{
    msgsrv_server *server = shapes_server(&mirrors, &(msgsrv_server_options){.max_message = 10000});
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    api_ok(call_blob(client, 10000 - 3, &error), &error); /* a tag and a length of two bytes beside it */
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_blob(client, 10000 - 2, &error), &error);
    ck_assert(error.from_peer);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_blob(client, 2 * MIB, &error), &error);
    api_call_echo(client, "on the same connection");
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.refused[MSGSRV_REFUSED_MESSAGE_SIZE], 2);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_reply_over_the_clients_limit_ends_its_call_alone)
{
    msgsrv_server *server = shapes_server(&mirrors, NULL);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.max_message = 10000});
    msgsrv_error error;
    api_ok(call_blob(client, 10000 - 3, &error), &error);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_blob(client, 10000 - 2, &error), &error);
    ck_assert(!error.from_peer);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, call_blob(client, MIB, &error), &error);
    api_call_echo(client, "on the same connection");
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* ---- messages alone ---- */

START_TEST(encoding_and_decoding_work_without_any_connection)
{
    shapes_Inner inners[2];
    shapes_Everything_CountsEntry counts[1];
    shapes_Everything_NamedEntry named[1];
    shapes_Everything message, back;
    msgsrv_error error;
    void *data = NULL;
    size_t size = 0;
    fill(&message, inners, counts, named);
    api_ok(msgsrv_message_encode(&shapes_Everything_type, &message, &data, &size, &error), &error);
    api_ok(msgsrv_message_decode(&shapes_Everything_type, data, size, &back, &error), &error);
    compare_flat(&back);
    compare_nested(&back);
    memset(data, 0, size); /* what the message holds are copies */
    compare_flat(&back);
    compare_nested(&back);
    shapes_Everything_release(&back);
    free(data);
    free(message.blob);
    shapes_Blob empty = {0};
    api_ok(msgsrv_message_encode(&shapes_Blob_type, &empty, &data, &size, &error), &error);
    ck_assert_ptr_nonnull(data);
    ck_assert_uint_eq(size, 0);
    free(data);
    msgsrv_message_release(&shapes_Blob_type, NULL);
}
END_TEST

START_TEST(a_message_cut_anywhere_either_decodes_or_is_refused_and_leaks_nothing)
{
    shapes_Inner inners[2];
    shapes_Everything_CountsEntry counts[1];
    shapes_Everything_NamedEntry named[1];
    shapes_Everything message;
    msgsrv_error error;
    void *data = NULL;
    size_t size = 0;
    unsigned refused = 0;
    fill(&message, inners, counts, named);
    api_ok(msgsrv_message_encode(&shapes_Everything_type, &message, &data, &size, &error), &error);
    for (size_t cut = 0; cut < size; cut++) {
        shapes_Everything back;
        memset(&back, 0x5a, sizeof back);
        unsigned char *part = malloc(cut + 1); /* so that reading beyond it is seen */
        memcpy(part, data, cut);
        msgsrv_status status = msgsrv_message_decode(&shapes_Everything_type, part, cut, &back, &error);
        free(part);
        if (status == MSGSRV_OK) {
            shapes_Everything_release(&back);
            continue;
        }
        ck_assert_int_eq(status, MSGSRV_INVALID_ARGUMENT);
        ck_assert_int_eq(((unsigned char *)&back)[0], 0x5a); /* untouched */
        refused++;
    }
    ck_assert_uint_gt(refused, size / 2);
    free(data);
    free(message.blob);
}
END_TEST

TS_MAIN("api_messages", texts_of_a_mebibyte_are_echoed, bytes_of_a_mebibyte_go_both_ways,
        bytes_of_65535_fit_a_pointer_field, every_shape_of_field_comes_back, an_empty_message_comes_back_empty,
        each_member_of_a_oneof_comes_back_as_itself, an_asynchronous_reply_can_be_kept,
        a_request_with_bytes_that_are_too_long_names_the_field_and_the_remedy,
        a_request_whose_text_is_not_utf8_or_has_a_nul_names_the_field,
        a_request_with_a_broken_text_deep_inside_names_its_message_and_field,
        a_message_that_may_not_travel_is_refused_before_it_is_sent,
        a_response_that_may_not_travel_is_internal_and_logged, a_reply_that_does_not_decode_names_the_field,
        a_message_over_the_servers_limit_ends_its_call_alone, a_reply_over_the_clients_limit_ends_its_call_alone,
        encoding_and_decoding_work_without_any_connection,
        a_message_cut_anywhere_either_decodes_or_is_refused_and_leaks_nothing)
