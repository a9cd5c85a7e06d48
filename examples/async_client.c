/* SPDX-License-Identifier: MIT */
/*
 * A client inside the program's own libevent loop: ten calls at once, each with a callback and a deadline, beside
 * whatever else the loop does. The last one's callback ends the loop.
 *
 *     ./example-async-client [URL]
 */
#include <stdio.h>

#include <event2/event.h>
#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

#define CALLS 10

struct sums {
    struct event_base *base;
    int open, failed;
    int64_t total;
};

/* On the loop's thread, once for each call: with its reply, its error, its timeout or its cancellation. */
static void on_sum(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct sums *sums = ctx;
    if (reply->status == MSGSRV_OK) {
        sums->total += response->result;
    } else {
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(reply->status), reply->error->text);
        sums->failed++;
    }
    if (--sums->open == 0)
        event_base_loopbreak(sums->base);
}

static msgsrv_status start_calls(msgsrv_client *client, struct sums *sums, msgsrv_error *err)
{
    const msgsrv_call_options in_time = {.timeout_ms = 5000};
    for (int i = 1; i <= CALLS; i++) {
        messages_AddRequest request = {.a = i, .b = i}; /* encoded before the function returns */
        msgsrv_status st = messages_Demo_Add_async(client, &request, &in_time, on_sum, sums, NULL, err);
        if (st)
            return st;
        sums->open++;
    }
    return MSGSRV_OK;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7070";
    struct sums sums = {.base = event_base_new()};
    msgsrv_client_options options = {.base = sums.base};
    msgsrv_client *client = NULL;
    msgsrv_error err;
    if (!sums.base)
        return 1;
    msgsrv_status st = msgsrv_client_new(url, &options, &client, &err);
    if (!st)
        st = start_calls(client, &sums, &err);
    if (!st)
        event_base_dispatch(sums.base);
    else
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    if (!st && !sums.failed)
        printf("%lld\n", (long long)sums.total);
    msgsrv_client_free(client); /* calls that are still open would end CANCELLED here */
    event_base_free(sums.base);
    return st || sums.failed;
}
