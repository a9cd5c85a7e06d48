/* SPDX-License-Identifier: MIT */
/*
 * A handle, as the public functions (bus.c) see it: a table of what they do once the arguments are known to be sound. There are two: local.c, on a
 * core of this process, and lib/engines/remote.c, on a client. What the table's functions are given is checked: names, options and so on.
 */
#ifndef MSI_BUS_BUS_H
#define MSI_BUS_BUS_H

#include "bus/core.h"
#include "bus/names.h"

#define MSI_PUBLICATION_ID_MAX 128u

/*
 * What a kind of handle does. All arguments are sound; options are never NULL, and complete: no 0 stands for a default, and `last` is
 * MSI_LAST_ALL for that; a typed subscription has its type's name in them. Headers have exact sizes and values that are not NULL.
 * A publication of a local handle has a payload, or a struct without pointers. One of a remote handle has a payload, and besides it
 * struct_type, without message, when it was made of a struct.
 */
typedef struct msi_bus_ops {
    void (*free)(msgsrv_bus *bus);
    msgsrv_status (*poll)(msgsrv_bus *bus, uint32_t timeout_ms, msgsrv_error *error);
    /* `done` and `receipt` NULL, or one of them; `wait`: synchronous. */
    msgsrv_status (*publish)(msgsrv_bus *bus, const msi_publication *publication, bool wait, msgsrv_receipt *receipt,
                             msgsrv_published_fn done, void *ctx, msgsrv_error *error);
    msgsrv_status (*subscribe)(msgsrv_bus *bus, const msgsrv_message_type *type,
                               const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber, void *ctx,
                               msgsrv_handle *handle, msgsrv_error *error);
    void (*unsubscribe)(msgsrv_bus *bus, msgsrv_handle handle);
    msgsrv_status (*request)(msgsrv_bus *bus, const msi_publication *publication, uint32_t timeout_ms,
                             msgsrv_replied_fn done, void *ctx, msgsrv_error *error);
    msgsrv_status (*reply)(msgsrv_bus *bus, uint64_t request, msi_view type, msi_view payload, msgsrv_bus_done_fn done,
                           void *ctx, msgsrv_error *error);
    msgsrv_status (*declare_topic)(msgsrv_bus *bus, const char *topic, const char *type, const msgsrv_proto_file *file,
                                   uint32_t retain, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
    msgsrv_status (*declare_queue)(msgsrv_bus *bus, const char *queue, const msgsrv_queue_options *options,
                                   msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
    msgsrv_status (*delete_queue)(msgsrv_bus *bus, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                  msgsrv_error *error);
    msgsrv_status (*consume)(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                             const msgsrv_consume_options *options, const msgsrv_consumer *consumer, void *ctx,
                             msgsrv_handle *handle, msgsrv_error *error);
    msgsrv_status (*settle)(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                            const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
    msgsrv_status (*peek)(msgsrv_bus *bus, const char *queue, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                          msgsrv_error *error);
    msgsrv_status (*retry)(msgsrv_bus *bus, const char *queue, uint64_t id, uint64_t *count, msgsrv_error *error);
    msgsrv_status (*purge)(msgsrv_bus *bus, const char *queue, uint64_t *count, msgsrv_error *error);
    msgsrv_status (*queue_info)(msgsrv_bus *bus, const char *queue, msgsrv_queue_info *info, msgsrv_error *error);
    void (*stats)(msgsrv_bus *bus, msgsrv_bus_stats *stats);
} msi_bus_ops;

/* The first member of each kind of handle. */
struct msgsrv_bus {
    const msi_bus_ops *ops;
};

/* Opens one kind: `where` is the URL. Options are complete: all defaults are filled in, and checked. */
msgsrv_status msi_bus_open_local(const char *where, const msgsrv_bus_options *options, msgsrv_bus **bus,
                                 msgsrv_error *error);
msgsrv_status msi_bus_open_remote(const char *url, const msgsrv_bus_options *options, msgsrv_bus **bus,
                                  msgsrv_error *error);

/* The core of a local handle; NULL for a remote one. */
msi_core *msi_bus_core(const msgsrv_bus *bus);

/* Checks that bus.c, the service and the remote engine share: OK, or INVALID_ARGUMENT naming what is wrong. */
msgsrv_status msi_check_topic(msi_view topic, msgsrv_error *error);
msgsrv_status msi_check_pattern(msi_view pattern, msgsrv_error *error);
msgsrv_status msi_check_type_name(msi_view type, msgsrv_error *error); /* dotted identifiers, 255 bytes */
msgsrv_status msi_check_queue_name(msi_view queue, bool dead_letters_too, msgsrv_error *error);
msgsrv_status msi_check_group(msi_view group, msgsrv_error *error);
msgsrv_status msi_check_responder(bool responder, bool in_group, msgsrv_error *error);
msgsrv_status msi_check_client_name(msi_view name, msgsrv_error *error);
/* The size of each is exact here: 0 is 0. */
msgsrv_status msi_check_headers(const msgsrv_metadata *headers, size_t count, msgsrv_error *error);
/* NULL for all defaults; `complete` has them filled in, and as options again is the same. */
msgsrv_status msi_check_queue_options(const msgsrv_queue_options *options, msgsrv_queue_options *complete,
                                      msgsrv_error *error);

#endif
