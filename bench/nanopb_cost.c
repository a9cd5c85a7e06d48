/* SPDX-License-Identifier: MIT */
/*
 * What coding a message costs: nanoseconds of the library's encode, decode (with the release of what it made) and look at a type, with
 * the type's plan (lib/schema/plan.h) and without it, that is by nanopb and the checks around it; and nanopb alone in a call of Add. It
 * explains the part of a call that a server without plans cannot avoid. It looks inside the library, so it is linked with the static one.
 */
#include <pb_decode.h>
#include <pb_encode.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "messages.msgsrv.h"
#include "schema/codec.h"

#define ROUNDS 5      /* the best one counts */
#define CALLS 1000000 /* of each function in a round */

/* A message of a type, its encoding, and how it is coded. */
typedef struct subject {
    const msgsrv_message_type *type;
    const void *message;
    msi_type_traits traits;
    msi_buf encoded;
    msi_buf out;
} subject;

/* The sum of all results: keeps the work from being optimized away. */
static volatile uint64_t sink;

static void must(bool ok)
{
    if (!ok) {
        fputs("coding failed\n", stderr);
        exit(1);
    }
}

static void encode(subject *of)
{
    of->out.len = 0;
    must(msi_encode(of->type, &of->traits, of->message, 1 << 20, &of->out, NULL) == MSGSRV_OK);
    sink += of->out.len;
}

static void decode(subject *of)
{
    union {
        messages_AddRequest add;
        messages_EchoMessage echo;
    } decoded;

    memset(&decoded, 0, sizeof decoded);
    must(msi_decode(of->type, &of->traits, of->encoded.data, of->encoded.len, 1 << 20, &decoded, NULL) == MSGSRV_OK);
    msi_release(of->type, &of->traits, &decoded);
}

static void look(subject *of)
{
    sink += msi_type_look(of->type->nanopb).releases;
}

static void nanopb_decode(subject *of)
{
    pb_istream_t stream = pb_istream_from_buffer(of->encoded.data, of->encoded.len);
    messages_AddRequest request;

    must(pb_decode(&stream, &messages_AddRequest_msg, &request));
    sink += (uint64_t)request.a;
}

static void nanopb_encode(subject *of)
{
    uint8_t bytes[16];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    messages_AddResponse response = {(int32_t)(of->encoded.len + 1000)};

    must(pb_encode(&stream, &messages_AddResponse_msg, &response));
    sink += stream.bytes_written + bytes[0];
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cost_ns(void (*function)(subject *of), subject *of)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double ns = cpu_ns();

        for (uint32_t i = 0; i < CALLS; i++)
            function(of);
        ns = (cpu_ns() - ns) / CALLS;
        best = round == 0 || ns < best ? ns : best;
    }
    return best;
}

static void measure(const char *name, const msgsrv_message_type *type, const void *message)
{
    subject of = {.type = type, .message = message, .traits = msi_type_look(type->nanopb)};
    double with_encode, with_decode;

    must(of.traits.plan.count > 0);
    must(msi_encode(type, &of.traits, message, 1 << 20, &of.encoded, NULL) == MSGSRV_OK);
    with_encode = cost_ns(encode, &of);
    with_decode = cost_ns(decode, &of);
    of.traits.plan.count = 0;
    printf(" \"%s\": {\"encode_ns\": {\"plan\": %.1f, \"nanopb\": %.1f}, \"decode_ns\": {\"plan\": %.1f, \"nanopb\": "
           "%.1f}, "
           "\"look_ns\": %.1f},\n",
           name, with_encode, cost_ns(encode, &of), with_decode, cost_ns(decode, &of), cost_ns(look, &of));
    msi_buf_release(&of.encoded);
    msi_buf_release(&of.out);
}

int main(void)
{
    static char small[33], large[1025];
    messages_AddRequest add = {.a = 77, .b = 1301};
    messages_EchoMessage echo_small = {.text = small}, echo_large = {.text = large};
    static uint8_t add_bytes[] = {0x08, 0x4d, 0x10, 0x95, 0x0a};
    subject alone = {.encoded = {.data = add_bytes, .len = sizeof add_bytes}};

    memset(small, 's', sizeof small - 1);
    memset(large, 'l', sizeof large - 1);
    puts("{");
    measure("AddRequest", &messages_AddRequest_type, &add);
    measure("EchoMessage of 32 B", &messages_EchoMessage_type, &echo_small);
    measure("EchoMessage of 1 KiB", &messages_EchoMessage_type, &echo_large);
    printf(" \"nanopb alone\": {\"decode_add_request_ns\": %.1f, \"encode_add_response_ns\": %.1f}\n}\n",
           cost_ns(nanopb_decode, &alone), cost_ns(nanopb_encode, &alone));
    return 0;
}
