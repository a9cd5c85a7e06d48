/* SPDX-License-Identifier: MIT */
/* What JSON costs: nanoseconds from the wire to JSON and back, of a message of ten fields, in one thread; the best of five rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <msgsrv/msgsrv.h>

#include "bench.msgsrv.h"

#define TYPE "bench.Order"
#define ROUNDS 5
#define CALLS 20000

static const char order[] =
    "{\"id\":\"9007199254740993\",\"customer\":\"Grace Hopper\",\"item\":\"A box of pencils, "
    "HB\",\"count\":12,\"price\":4.25,"
    "\"paid\":true,\"createdMs\":\"1716239022000\",\"state\":\"STATE_SHIPPED\",\"tags\":[\"office\",\"small\"],"
    "\"address\":{\"street\":\"1 Long Street\",\"city\":\"Arlington\"}}";

static const msgsrv_schema *schema;
static void *wire;
static char *json;
static size_t wire_size, json_size;

static void must(msgsrv_status status, const msgsrv_error *error)
{
    if (status != MSGSRV_OK) {
        fprintf(stderr, "%s\n", error->text);
        exit(1);
    }
}

static void to_json(void)
{
    msgsrv_error error;
    free(json);
    json = NULL;
    must(msgsrv_json_from_wire(schema, TYPE, wire, wire_size, NULL, &json, &json_size, &error), &error);
}

static void to_wire(void)
{
    msgsrv_error error;
    free(wire);
    wire = NULL;
    must(msgsrv_json_to_wire(schema, TYPE, order, sizeof order - 1, NULL, &wire, &wire_size, &error), &error);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cost_ns(void (*function)(void))
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double ns = cpu_ns();
        for (int i = 0; i < CALLS; i++)
            function();
        ns = (cpu_ns() - ns) / CALLS;
        best = round == 0 || ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    msgsrv_schema *made = NULL;
    msgsrv_error error;
    must(msgsrv_schema_new(&made, &error), &error);
    must(msgsrv_schema_add_file(made, &bench_proto_file, &error), &error);
    schema = made;
    to_wire();
    double from = cost_ns(to_wire), to = cost_ns(to_json);
    printf("{\"json_bytes\": %zu, \"wire_bytes\": %zu, \"to_json_ns\": %.0f, \"from_json_ns\": %.0f}\n", json_size,
           wire_size, to, from);
    free(wire);
    free(json);
    msgsrv_schema_free(made);
    return 0;
}
