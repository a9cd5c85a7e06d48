/* SPDX-License-Identifier: MIT */
/* ./example-bus publishes and subscribes in one process, without a server. */
#include <stdio.h>

#include <msgsrv/msgsrv.h>

#include "sensor.msgsrv.h"

static void on_temperature(msgsrv_bus *bus, const sensor_Temperature *temperature, const msgsrv_event *event, void *ctx)
{
    (void)bus;
    printf("%s: %.1f\n", event->topic, temperature->celsius);
    --*(int *)ctx;
}

int main(void)
{
    static const sensor_Temperature_subscriber subscriber = {.event = on_temperature};
    static const msgsrv_subscribe_options options = {.pattern = "sensors.*.temperature"};
    int expected = 2;
    msgsrv_bus *bus = NULL;
    msgsrv_error err;
    msgsrv_status st = msgsrv_bus_open("mem:", NULL, &bus, &err);
    if (!st)
        st = sensor_Temperature_subscribe(bus, &options, &subscriber, &expected, NULL, &err);
    if (!st)
        st = sensor_Temperature_publish(bus, "sensors.kitchen.temperature", &(sensor_Temperature){21.5}, NULL, NULL,
                                        &err);
    if (!st)
        st = sensor_Temperature_publish(bus, "sensors.cellar.temperature", &(sensor_Temperature){9.0}, NULL, NULL, &err);
    while (!st && expected > 0) /* on_temperature is called in here */
        st = msgsrv_bus_poll(bus, MSGSRV_NONE, &err);
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    msgsrv_bus_free(bus);
    return st != MSGSRV_OK;
}
