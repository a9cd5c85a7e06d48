/* SPDX-License-Identifier: MIT */
/* Request, whose call is held until the responder has answered, and Reply. */
#include <stdlib.h>
#include <string.h>

#include "services/bus_service.h"

enum { /* fields */
       REQUEST_RESPONSE_TYPE = 1,
       REQUEST_RESPONSE_PAYLOAD = 2,
       REPLY_REQUEST = 1,
       REPLY_TYPE = 2,
       REPLY_PAYLOAD = 3,
};

/*
 * A request that waits. It is memory of its call, and so lives until the hold has been consumed and the loop has done with the call:
 * whoever consumes the hold does not touch it afterwards.
 */
typedef struct pending {
    msi_core *core;
    msgsrv_held *held;
    uint64_t request; /* 0: not known yet */
    bool cancelled;   /* before it was sent */
} pending;

/* From the core, on any thread. */
static void on_answer(void *ctx, msgsrv_status status, const char *text, msi_view type, msi_view payload)
{
    msgsrv_held *held = ((pending *)ctx)->held;
    if (status) {
        (void)msgsrv_held_fail(held, status, "%s", text ? text : "");
        return;
    }
    msi_writer answer = {0};
    msi_bus_put_bytes(&answer, REQUEST_RESPONSE_TYPE, type.data, type.size);
    msi_bus_put_bytes(&answer, REQUEST_RESPONSE_PAYLOAD, payload.data, payload.size);
    if (answer.no_memory)
        (void)msgsrv_held_fail(held, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    else
        (void)msgsrv_held_reply(held, msi_bus_request_method(), &(msgsrv_bytes){answer.data, answer.size, NULL});
    msi_writer_release(&answer);
}

/* On the call's loop. */
static void on_cancel(msgsrv_status reason, void *ctx)
{
    pending *own = ctx;
    if (!own->request)
        own->cancelled = true;
    else if (msi_core_request_cancel(own->core, own->request))
        (void)msgsrv_held_fail(own->held, reason, "nobody waits for it any more");
}

static msgsrv_status ask(const msi_bus_service *service, msgsrv_call *call, const void *request, pending *own,
                         msgsrv_error *error)
{
    msi_bus_published published;
    msgsrv_status status = msi_bus_get_published(service, call, request, &published, error);
    if (status)
        return status;
    uint64_t number = 0;
    msgsrv_call_on_cancel(call, on_cancel, own);
    if (own->cancelled)
        status = msi_services_error(error, MSGSRV_CANCELLED, "cancelled");
    else
        status = msi_core_request(published.publisher, &published.publication.is, on_answer, own, &number, error);
    msi_bus_drop_published(&published);
    if (status == MSGSRV_OK)
        own->request = number;
    return status;
}

msgsrv_status msi_serve_request(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    (void)response;
    const msi_bus_service *service = ctx;
    pending *own = msgsrv_call_alloc(call, sizeof *own);
    msgsrv_held *held = own ? msgsrv_call_hold(call) : NULL;
    if (!held)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    *own = (pending){.core = service->core, .held = held};
    msgsrv_error error;
    msgsrv_status status = ask(service, call, request, own, &error);
    if (status)
        (void)msgsrv_held_fail(held, status, "%s", error.text);
    return MSGSRV_DEFERRED;
}

typedef struct reply_request {
    uint64_t request;
    msi_view type;
    msi_view payload;
} reply_request;

static const msi_bus_field reply_fields[] = {
    MSI_BUS_FIELD(reply_request, REPLY_REQUEST, U64, request),
    MSI_BUS_FIELD(reply_request, REPLY_TYPE, TEXT, type),
    MSI_BUS_FIELD(reply_request, REPLY_PAYLOAD, BYTES, payload),
};
static const msi_bus_message reply_message = MSI_BUS_MESSAGE("ReplyRequest", reply_fields);

msgsrv_status msi_serve_reply(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    (void)response;
    const msi_bus_service *service = ctx;
    reply_request parsed = {.request = 0};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &reply_message, request, &parsed);
    if (status)
        return status;
    status = msi_core_reply(service->core, parsed.request, parsed.type, parsed.payload, &error);
    return status ? msi_bus_failed(call, status, &error) : MSGSRV_OK;
}
