/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the remote handle share: a bus of this process in a server that can go and come again at the same address, handles on it,
 * and what their callbacks were told.
 */
#ifndef TESTS_BUS_REMOTE_STAGE_H
#define TESTS_BUS_REMOTE_STAGE_H

#include "api_support.h"

/* A bus of this process, and a server of it that can go and come again at the same address. */
struct rs_stage {
    msgsrv_bus *local;
    msgsrv_server *server;
    char url[96];
};

/* What a subscription or consumer was told. */
struct rs_told {
    api_event events;
    api_event gaps;
    api_event ready;
    api_event ended;
    msgsrv_error why;
    uint64_t last; /* sequence */
    uint64_t out_of_order;
    uint64_t lost;
    uint64_t request;
    int32_t a; /* of the last typed event */
    char topic[64];
    char type[64];
    char payload[64];
    char publisher[64];
    char header[64];
    bool redelivered;
    bool gap_at_end;
    msgsrv_gap_reason reason;
    void (*also)(msgsrv_bus *bus, struct rs_told *told); /* in the event */
    msgsrv_handle handle;
    msgsrv_status returns; /* of a consumer's */
    uint64_t delivery;
    uint32_t count;
};

/* How asynchronous things ended. */
struct rs_results {
    api_event done;
    unsigned ok;
    unsigned failed;
    uint64_t last_sequence;
    unsigned out_of_order;
    msgsrv_error error;
    char reply[64];
    msgsrv_bus *frees; /* in the first */
};

extern const msgsrv_subscriber rs_subscriber;
extern const msgsrv_consumer rs_consumer;

void rs_stage_serve(struct rs_stage *stage);
void rs_stage_open(struct rs_stage *stage, const char *name);
void rs_stage_close(struct rs_stage *stage);
msgsrv_bus *rs_handle_of(const struct rs_stage *stage, const msgsrv_bus_options *more);
void rs_told_init(struct rs_told *told);
void rs_subscribe_ready(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct rs_told *told);
void rs_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct rs_told *told);
msgsrv_status rs_publish_add(msgsrv_bus *bus, const char *topic, int32_t a, msgsrv_receipt *receipt, msgsrv_error *error);
void rs_results_init(struct rs_results *results);
void rs_on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt, const msgsrv_error *error,
                     void *ctx);
void rs_on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx);
void rs_on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                   void *ctx);
void rs_declare_queue(msgsrv_bus *bus, const char *queue, const char *pattern);
void rs_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type, struct rs_told *told);
void rs_take(struct rs_told *told, const msgsrv_event *event);

#endif
