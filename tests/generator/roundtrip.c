/* SPDX-License-Identifier: MIT */
/*
 * A device of the inventory with something in every field, encoded and decoded by the library from generated
 * descriptions. roundtrip.py looks at the bytes with another protobuf implementation, and gives them back.
 *
 *     roundtrip write FILE    writes the encoding
 *     roundtrip read FILE     decodes the file and compares; prints the difference
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inventory.msgsrv.h"

#define FIRMWARE_BYTES 100000 /* more than nanopb counts */

typedef plant_inventory_v2_Device device;
typedef plant_inventory_v2_Device_Channel channel;
typedef plant_inventory_v2_Device_LabelsEntry label;
typedef plant_inventory_v2_Device_ByNumberEntry numbered;
typedef plant_inventory_v2_Kind kind;

static char firmware[FIRMWARE_BYTES];
static char secret[] = "\0\1\2";
static char *owners[] = {"Ada", "", "J\xc3\xbcrgen"};
static kind roles[] = {plant_inventory_v2_Kind_KIND_SENSOR, plant_inventory_v2_Kind_KIND_GATEWAY};
static PB_BYTES_ARRAY_T(4) certificate = {4, {0xff, 0, 0xfe, 1}};
static pb_bytes_array_t *certificates[] = {(pb_bytes_array_t *)&certificate};
static device part = {.id = 3,
                      .name = "part",
                      .which_uplink = plant_inventory_v2_Device_secret_tag,
                      .uplink.secret = {.data = secret, .size = 3}};
static device gateway = {.id = 2, .which_uplink = plant_inventory_v2_Device_bus_tag, .uplink.bus = 9};
static channel channels[] = {
    {.number = 1,
     .unit = "mbar",
     .offset = -5,
     .calibration_count = 2,
     .calibration = {0.5f, -2},
     .which_range = plant_inventory_v2_Device_Channel_maximum_tag,
     .range.maximum = -7},
    {.number = 2, .which_range = plant_inventory_v2_Device_Channel_expression_tag, .range.expression = "a*b"}};
static label labels[] = {{"site", "north"}, {"", ""}};
static numbered by_number[] = {{.key = 4, .has_value = true, .value = {.number = 4}}};
static bool retired = false;

static device whole(void)
{
    device d = {.id = UINT64_MAX,
                .name = "pump \xe2\x82\xac",
                .kind = plant_inventory_v2_Kind_KIND_ACTUATOR,
                .channels_count = 2,
                .channels = channels,
                .labels_count = 2,
                .labels = labels,
                .by_number_count = 1,
                .by_number = by_number,
                .serial = {3, "\1\0\2"},
                .owners_count = 3,
                .owners = owners,
                .certificates_count = 1,
                .certificates = certificates,
                .roles_count = 2,
                .roles = roles,
                .has_built_at = true,
                .built_at = {.seconds = -1, .nanos = 999999999},
                .has_price = true,
                .price = {.currency = "EUR", .cents = INT64_MIN},
                .note = "",
                .has_retired = true,
                .retired = retired,
                .which_uplink = plant_inventory_v2_Device_gateway_tag,
                .uplink.gateway = &gateway,
                .signal_dbm = INT16_MIN,
                .parts_count = 1,
                .parts = &part,
                .revision = INT64_MAX};
    size_t i;

    for (i = 0; i < sizeof firmware; i++)
        firmware[i] = (char)(i * 7);
    d.firmware.data = firmware;
    d.firmware.size = sizeof firmware;
    d.has_position = true;
    d.position.x_m = 1e300;
    d.position.z_m = -0.25f;
    d.position.has_floor = true;
    return d;
}

static int fail(const char *what, const msgsrv_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error != NULL ? error->text : "differs");
    return 1;
}

static int write_file(const char *path)
{
    device d = whole();
    msgsrv_error error;
    void *data;
    size_t size;
    FILE *file;
    bool written;

    if (msgsrv_message_encode(&plant_inventory_v2_Device_type, &d, &data, &size, &error) != MSGSRV_OK)
        return fail("encode", &error);
    file = fopen(path, "wb");
    written = file != NULL && fwrite(data, 1, size, file) == size;
    written = file != NULL && fclose(file) == 0 && written;
    free(data);
    return written ? 0 : fail(path, NULL);
}

static void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    char *data = NULL;

    if (file != NULL && fstat(fileno(file), &info) == 0) {
        *size = (size_t)info.st_size;
        data = malloc(*size + 1);
        if (data != NULL && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    if (file != NULL)
        fclose(file);
    return data;
}

static bool same_bytes(const msgsrv_bytes *a, const msgsrv_bytes *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static bool same_channels(const device *a, const device *b)
{
    return a->channels_count == 2 && strcmp(a->channels[0].unit, b->channels[0].unit) == 0 &&
           a->channels[0].offset == -5 && a->channels[0].calibration_count == 2 && a->channels[0].calibration[1] == -2 &&
           a->channels[0].range.maximum == -7 && strcmp(a->channels[1].range.expression, "a*b") == 0;
}

static bool same_lists(const device *a, const device *b)
{
    return a->owners_count == 3 && strcmp(a->owners[2], b->owners[2]) == 0 && *a->owners[1] == '\0' &&
           a->certificates_count == 1 && a->certificates[0]->size == 4 && a->certificates[0]->bytes[2] == 0xfe &&
           a->roles_count == 2 && a->roles[1] == plant_inventory_v2_Kind_KIND_GATEWAY && a->labels_count == 2 &&
           a->by_number_count == 1 && a->by_number[0].key == 4 && a->by_number[0].value.number == 4;
}

static bool same_device(const device *a, const device *b)
{
    return a->id == b->id && strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->has_position &&
           a->position.x_m == 1e300 && a->position.z_m == -0.25f && a->position.has_floor && same_channels(a, b) &&
           same_lists(a, b) && a->serial.size == 3 && memcmp(a->serial.bytes, "\1\0\2", 3) == 0 &&
           same_bytes(&a->firmware, &b->firmware) && a->built_at.seconds == -1 && a->price.cents == INT64_MIN &&
           strcmp(a->price.currency, "EUR") == 0 && a->note != NULL && a->has_retired && !a->retired &&
           a->which_uplink == plant_inventory_v2_Device_gateway_tag && a->uplink.gateway->uplink.bus == 9 &&
           a->parts_count == 1 && same_bytes(&a->parts[0].uplink.secret, &b->parts[0].uplink.secret) &&
           a->signal_dbm == INT16_MIN && a->revision == INT64_MAX;
}

static int compare_file(const char *path)
{
    device wanted = whole();
    device got = plant_inventory_v2_Device_init_zero;
    msgsrv_error error;
    msgsrv_status status;
    size_t size = 0;
    void *data = read_file(path, &size);
    bool same;

    if (data == NULL)
        return fail(path, NULL);
    status = msgsrv_message_decode(&plant_inventory_v2_Device_type, data, size, &got, &error);
    free(data);
    if (status != MSGSRV_OK)
        return fail("decode", &error);
    same = same_device(&got, &wanted);
    plant_inventory_v2_Device_release(&got);
    plant_inventory_v2_Device_release(&got);
    return same ? 0 : fail(path, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_file(argv[2]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return compare_file(argv[2]);
    fprintf(stderr, "usage: roundtrip write|read FILE\n");
    return 64;
}
