/* SPDX-License-Identifier: MIT */
/*
 * What nanopb itself costs in a call of Add: nanoseconds to decode an AddRequest, to encode an
 * AddResponse, and to get its size. It explains the part of a call that no server built on nanopb
 * can avoid. The messages are described here as nanopb's generator would, so that this needs no
 * generated code; they must fit proto/messages.proto.
 */
#include <pb_decode.h>
#include <pb_encode.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5      /* the best one counts */
#define CALLS 2000000 /* of each function in a round */

typedef struct AddRequest {
    int32_t a;
    int32_t b;
} AddRequest;

typedef struct AddResponse {
    int32_t result;
} AddResponse;

#define AddRequest_FIELDLIST(X, arg)      \
    X(arg, STATIC, SINGULAR, INT32, a, 1) \
    X(arg, STATIC, SINGULAR, INT32, b, 2)
#define AddRequest_CALLBACK NULL
#define AddRequest_DEFAULT NULL
PB_BIND(AddRequest, AddRequest, AUTO)

#define AddResponse_FIELDLIST(X, arg) X(arg, STATIC, SINGULAR, INT32, result, 1)
#define AddResponse_CALLBACK NULL
#define AddResponse_DEFAULT NULL
PB_BIND(AddResponse, AddResponse, AUTO)

/* The sum of all results: keeps the work from being optimized away. */
static volatile uint64_t sink;

static void must(bool ok)
{
    if (!ok) {
        fputs("nanopb failed\n", stderr);
        exit(1);
    }
}

static void decode_request(uint32_t i)
{
    const uint8_t bytes[] = {0x08, (uint8_t)(i & 0x7f), 0x10, 0x95, 0x0a};
    pb_istream_t stream = pb_istream_from_buffer(bytes, sizeof(bytes));
    AddRequest request;

    must(pb_decode(&stream, &AddRequest_msg, &request));
    sink += (uint64_t)(request.a + request.b);
}

static void encode_response(uint32_t i)
{
    uint8_t bytes[16];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
    AddResponse response = {(int32_t)(i & 0xffff)};

    must(pb_encode(&stream, &AddResponse_msg, &response));
    sink += stream.bytes_written + bytes[0];
}

static void size_response(uint32_t i)
{
    AddResponse response = {(int32_t)(i & 0xffff)};
    size_t size;

    must(pb_get_encoded_size(&size, &AddResponse_msg, &response));
    sink += size;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cost_ns(void (*function)(uint32_t i))
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double ns = cpu_ns();

        for (uint32_t i = 0; i < CALLS; i++)
            function(i);
        ns = (cpu_ns() - ns) / CALLS;
        best = round == 0 || ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    printf("{\"decode_add_request_ns\": %.1f, ", cost_ns(decode_request));
    printf("\"encode_add_response_ns\": %.1f, ", cost_ns(encode_response));
    printf("\"size_add_response_ns\": %.1f}\n", cost_ns(size_response));
    return 0;
}
