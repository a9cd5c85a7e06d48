/* SPDX-License-Identifier: MIT */
/*
 * A server and a client in one program: the server has a thread of its own, the client calls it from here. The reply's
 * text is allocated from the call, so that it lives until the answer has been sent.
 */
#include <stdio.h>
#include <string.h>

#include <msgsrv/msgsrv.h>

#include "greeter.msgsrv.h"

static msgsrv_status greet(msgsrv_call *call, const greeter_Name *name, greeter_Greeting *greeting, void *ctx)
{
    (void)ctx;
    if (!name->name || !*name->name)
        return msgsrv_call_error(call, MSGSRV_INVALID_ARGUMENT, "who?");
    size_t size = strlen(name->name) + sizeof "Hello, !";
    greeting->text = msgsrv_call_alloc(call, size);
    if (!greeting->text)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    snprintf(greeting->text, size, "Hello, %s!", name->name);
    return MSGSRV_OK;
}

static msgsrv_status call_it(const char *url, char *who, msgsrv_error *err)
{
    msgsrv_client *client = NULL;
    greeter_Greeting greeting = greeter_Greeting_init_zero;
    msgsrv_status st = msgsrv_client_new(url, NULL, &client, err);
    if (!st)
        st = greeter_Greeter_Greet(client, &(greeter_Name){.name = who}, NULL, &greeting, err);
    if (!st)
        printf("%s\n", greeting.text);
    greeter_Greeting_release(&greeting);
    msgsrv_client_free(client);
    return st;
}

int main(int argc, char **argv)
{
    static char world[] = "world";
    static const greeter_Greeter_service greeter = {.Greet = greet};
    msgsrv_server *server = NULL;
    msgsrv_error err;
    msgsrv_status st = msgsrv_server_new(NULL, &server, &err);
    if (!st)
        st = greeter_Greeter_register(server, &greeter, NULL, &err);
    if (!st)
        st = msgsrv_server_listen(server, "tcp://127.0.0.1:0", &err);
    if (!st)
        st = msgsrv_server_start(server, &err);
    if (!st)
        st = call_it(msgsrv_server_address(server, 0), argc > 1 ? argv[1] : world, &err);
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    msgsrv_server_free(server);
    return st != MSGSRV_OK;
}
