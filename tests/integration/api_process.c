/* SPDX-License-Identifier: MIT */
/*
 * What the library does to the process that it lives in: no SIGPIPE, no descriptor that a child would inherit, nothing left
 * behind when everything is freed.
 */
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "api_support.h"
#include "peer.h"

START_TEST(writing_to_peers_that_are_gone_never_raises_sigpipe)
{
    /* With the default disposition the signal would end this process, which fails the test. */
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    for (unsigned i = 0; i < 5; i++) {
        /* The peer resets while answers are owed to it; the second answer meets a socket that is known to be dead. */
        ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
        ts_bytes out = {0};
        ts_put_call_add(&out, 1, 2, 3);
        ts_put_call_add(&out, 2, 2, 3);
        ts_peer_send(peer, &out);
        ts_bytes_release(&out);
        api_event_wait(&holds.held, 2 * i + 2);
        ts_peer_reset(peer);
        messages_AddResponse response = {.result = 5};
        (void)messages_Demo_Add_reply(holds.hold[2 * i], &response);
        (void)messages_Demo_Add_reply(holds.hold[2 * i + 1], &response);
    }
    for (int i = 0; i < 5; i++) {
        /* The server has gone when the client writes. */
        msgsrv_client *client = api_client_thread(server);
        api_call_echo(client, "connected");
        char url[MSGSRV_PEER_ADDRESS];
        snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
        api_result results[3];
        for (int k = 0; k < 3; k++)
            api_start_echo(client, "on its way", NULL, &results[k]);
        msgsrv_server_free(server);
        for (int k = 0; k < 3; k++) {
            api_event_wait(&results[k].ended, 1);
            api_result_clear(&results[k]);
        }
        msgsrv_client_free(client);
        server = api_server_on(url, NULL, &api_holding, &holds);
    }
    msgsrv_server_free(server);
    struct sigaction now;
    ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
    ck_assert(now.sa_handler == SIG_DFL); /* and nobody has changed it */
}
END_TEST

START_TEST(no_signal_handler_is_installed)
{
    struct sigaction before[32], after;
    for (int i = 1; i < 32; i++)
        ck_assert_int_eq(sigaction(i, NULL, &before[i]), 0);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = 2}, NULL, NULL);
    msgsrv_client *client = api_client_thread(server);
    api_call_add(client);
    for (int i = 1; i < 32; i++) {
        ck_assert_int_eq(sigaction(i, NULL, &after), 0);
        ck_assert(after.sa_handler == before[i].sa_handler);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A descriptor that a started program would inherit, other than those up to 2, or -1. */
static int inherited(const bool *known)
{
    int found = -1;
    for (int fd = 3; fd < 1024 && found < 0; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0 && !known[fd])
            found = fd;
    }
    return found;
}

START_TEST(every_descriptor_is_closed_on_exec)
{
    bool known[1024];
    for (int fd = 0; fd < 1024; fd++)
        known[fd] = fcntl(fd, F_GETFD) >= 0;
    api_path path;
    api_path_make(&path);
    struct api_gate gate;
    api_gate_init(&gate);
    api_event_add(&gate.opened);
    msgsrv_server *server = api_server_new(NULL, &(msgsrv_server_options){.threads = 2}, &api_gated, &gate);
    api_ok(msgsrv_server_listen(server, path.url, NULL), NULL);
    api_ok(msgsrv_server_start(server, NULL), NULL);
    char named[64];
    snprintf(named, sizeof named, "tcp://localhost:%s", strrchr(msgsrv_server_address(server, 0), ':') + 1);
    msgsrv_client *clients[4] = {api_client(server, NULL), api_client_thread(server), api_client_of(path.url, NULL),
                                 api_client_of(named, NULL)};
    for (int i = 0; i < 4; i++)
        api_call_add(clients[i]);
    int fd = inherited(known);
    ck_assert_msg(fd < 0, "descriptor %d would be inherited", fd);
    for (int i = 0; i < 4; i++)
        msgsrv_client_free(clients[i]);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

/* All kinds of loops, listeners and clients once, with calls that end in every way. */
static void whole_life(void)
{
    api_path path;
    api_path_make(&path);
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server_new(NULL, &(msgsrv_server_options){.threads = 2}, &api_holding, &holds);
    api_ok(msgsrv_server_listen(server, path.url, NULL), NULL);
    api_ok(msgsrv_server_start(server, NULL), NULL);
    struct event_base *base = event_base_new();
    msgsrv_client *clients[3] = {api_client_thread(server), api_client_of(path.url, NULL),
                                 api_client(server, &(msgsrv_client_options){.base = base})};
    api_call_echo(clients[0], "hello");
    api_call_echo(clients[1], "hello");
    api_result results[3];
    for (int i = 0; i < 3; i++)
        api_start_add(clients[i], NULL, &results[i]);
    event_base_loop(base, EVLOOP_ONCE);
    api_event_wait(&holds.held, 1);
    for (int i = 0; i < 3; i++)
        msgsrv_client_free(clients[i]);
    event_base_free(base);
    msgsrv_server_free(server);
    for (unsigned i = 0; i < api_event_count(&holds.held); i++)
        msgsrv_held_drop(holds.hold[i]);
    api_path_remove(&path);
}

START_TEST(no_descriptor_and_no_thread_is_left)
{
    whole_life(); /* what the C library keeps for ever is opened now */
    unsigned descriptors = api_count_entries("/proc/self/fd");
    unsigned threads = api_threads();
    for (int i = 0; i < 20; i++)
        whole_life();
    api_wait_threads(threads);
    ck_assert_uint_eq(api_count_entries("/proc/self/fd"), descriptors);
}
END_TEST

START_TEST(a_failed_start_leaves_no_descriptor)
{
    char url[MSGSRV_PEER_ADDRESS];
    msgsrv_server *first = api_server(NULL, NULL);
    snprintf(url, sizeof url, "%s", msgsrv_server_address(first, 0));
    unsigned descriptors = api_count_entries("/proc/self/fd");
    for (int i = 0; i < 10; i++) {
        msgsrv_server *server = NULL;
        msgsrv_error error;
        api_ok(msgsrv_server_new(NULL, &server, &error), &error);
        api_expect(MSGSRV_ALREADY_EXISTS, msgsrv_server_listen(server, url, &error), &error);
        msgsrv_server_free(server);
    }
    ck_assert_uint_eq(api_count_entries("/proc/self/fd"), descriptors);
    msgsrv_server_free(first);
}
END_TEST

START_TEST(without_descriptors_servers_and_clients_fail_clearly_and_recover)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    struct rlimit old, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 3; /* nothing new can be opened; what is open stays */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    msgsrv_server *other = NULL;
    msgsrv_client *second = NULL;
    msgsrv_error error;
    msgsrv_status status = msgsrv_server_new(NULL, &other, &error);
    if (status == MSGSRV_OK)
        status = msgsrv_server_listen(other, "tcp://127.0.0.1:0", &error);
    ck_assert(status == MSGSRV_RESOURCE_EXHAUSTED || status == MSGSRV_UNAVAILABLE);
    ck_assert_uint_gt(strlen(error.text), 0);
    status = msgsrv_client_new(msgsrv_server_address(server, 0), NULL, &second, &error);
    if (status == MSGSRV_OK) {
        messages_AddResponse response;
        status = messages_Demo_Add(second, &(messages_AddRequest){.a = 1}, NULL, &response, &error);
    }
    ck_assert(status == MSGSRV_RESOURCE_EXHAUSTED || status == MSGSRV_UNAVAILABLE);
    api_call_add(client); /* the open connection goes on */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    msgsrv_server_free(other);
    msgsrv_client_free(second);
    second = api_client(server, NULL);
    api_call_add(second);
    msgsrv_client_free(second);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_version_of_the_library_is_the_one_of_the_headers)
{
    ck_assert_str_eq(msgsrv_version(), MSGSRV_VERSION);
}
END_TEST

TS_MAIN("api_process", writing_to_peers_that_are_gone_never_raises_sigpipe, no_signal_handler_is_installed,
        every_descriptor_is_closed_on_exec, no_descriptor_and_no_thread_is_left, a_failed_start_leaves_no_descriptor,
        without_descriptors_servers_and_clients_fail_clearly_and_recover,
        the_version_of_the_library_is_the_one_of_the_headers)
