/* SPDX-License-Identifier: MIT */
/* A stream that ends others when it is told of a drain: each that stays is told once. */
#include "api_support.h"

#include <msgsrv/service.h>

enum { STREAMS = 4 };

static msgsrv_stream *open_streams[STREAMS];
static unsigned begun;
static unsigned told[STREAMS];
static api_event all_begun = API_EVENT_INIT;
static api_event all_told = API_EVENT_INIT;

static unsigned index_of(const msgsrv_stream *stream)
{
    unsigned i = 0;
    while (i < STREAMS && open_streams[i] != stream)
        i++;
    ck_assert_uint_lt(i, STREAMS);
    return i;
}

/* The first one that is told ends the last two, and stays. */
static msgsrv_status serve(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *out, void *ctx)
{
    (void)implementation;
    (void)in;
    (void)out;
    (void)ctx;
    if (event == MSGSRV_STREAM_BEGIN) {
        open_streams[begun++] = stream;
        api_event_add(&all_begun);
    } else if (event == MSGSRV_STREAM_DRAINING) {
        told[index_of(stream)]++;
        if (told[0] + told[1] == 1) {
            msgsrv_stream_cancel(open_streams[2]);
            msgsrv_stream_cancel(open_streams[3]);
        }
        api_event_add(&all_told);
    }
    return MSGSRV_OK;
}

static bool implemented(const void *implementation)
{
    (void)implementation;
    return true;
}

static const msgsrv_method method = {.abi = MSGSRV_GENERATED_ABI,
                                     .kind = MSGSRV_BIDI_STREAMING,
                                     .path = "/test.Once/Wait",
                                     .request = &msgsrv_raw_type,
                                     .response = &msgsrv_raw_type};
static const msgsrv_service_method methods[] = {{&method, NULL, implemented, NULL, serve}};
static const msgsrv_service service = {.abi = MSGSRV_GENERATED_ABI,
                                       .nanopb_header = PB_PROTO_HEADER_VERSION,
                                       .nanopb_size_bytes = sizeof(pb_size_t),
                                       .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
                                       .generator = "by hand",
                                       .name = "test.Once",
                                       .implementation_size = 1,
                                       .methods = methods,
                                       .method_count = 1};

START_TEST(each_stream_is_told_once_that_the_server_drains)
{
    msgsrv_error error;
    msgsrv_stream *streams[STREAMS];
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_server_register(server, &service, "", NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = true});
    for (unsigned i = 0; i < STREAMS; i++) {
        api_ok(msgsrv_stream_open(client, &method, NULL, NULL, NULL, NULL, 0, &streams[i], NULL, &error), &error);
        api_event_wait(&all_begun, i + 1);
    }
    msgsrv_server_drain(server, MSGSRV_NONE);
    api_event_wait(&all_told, 2);
    for (unsigned i = 0; i < STREAMS; i++) {
        msgsrv_stream_cancel(streams[i]);
        (void)msgsrv_stream_close(streams[i], NULL, NULL);
    }
    api_ok(msgsrv_server_wait(server, &error), &error);
    ck_assert_uint_eq(told[0], 1);
    ck_assert_uint_eq(told[1], 1);
    ck_assert_uint_eq(told[2] + told[3], 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_drain_once", each_stream_is_told_once_that_the_server_drains)
