/* SPDX-License-Identifier: MIT */
/* ./example-sensor-publisher [URL [COUNT]] publishes temperatures on the bus of a server: 10 of them, or COUNT. */
#include <stdio.h>
#include <stdlib.h>

#include <msgsrv/msgsrv.h>

#include "sensor.msgsrv.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7070";
    const msgsrv_bus_options options = {.name = "thermometer"}; /* for those who look who publishes */
    int count = argc > 2 ? atoi(argv[2]) : 10;
    msgsrv_bus *bus = NULL;
    msgsrv_receipt receipt = {0};
    msgsrv_error err;
    msgsrv_status st = msgsrv_bus_open(url, &options, &bus, &err);
    for (int i = 0; !st && i < count; i++) {
        sensor_Temperature temperature = {.celsius = 20 + 0.5 * (i % 10)};
        st = sensor_Temperature_publish(bus, "sensors.kitchen.temperature", &temperature, NULL, &receipt, &err);
    }
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    else
        printf("published %d\n", count);
    msgsrv_bus_free(bus);
    return st != MSGSRV_OK;
}
