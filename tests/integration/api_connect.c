/* SPDX-License-Identifier: MIT */
/*
 * How a client comes to a connection and keeps one: refusal, back-off, waiting until the server is there, names with several
 * addresses, and what becomes of calls when a connection is lost.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "api_client_frame.h"
#include "api_support.h"
#include "peer.h"

/* A port of 127.0.0.1 that is ours but on which nobody listens, until listen() is called on it. */
static int bound_port(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, size, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return fd;
}

static msgsrv_status try_add(msgsrv_client *client, const msgsrv_call_options *options, msgsrv_error *error)
{
    messages_AddResponse response;
    return messages_Demo_Add(client, &(messages_AddRequest){.a = 2, .b = 3}, options, &response, error);
}

START_TEST(a_refused_connection_is_unavailable_and_says_why)
{
    char url[64];
    int fd = bound_port(url, sizeof url);
    msgsrv_client *client = api_client_of(url, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &error), &error);
    api_contains(error.text, "refused");
    api_contains(error.text, url);
    ck_assert(!error.from_peer);
    msgsrv_client_free(client);
    close(fd);
}
END_TEST

START_TEST(an_asynchronous_call_that_joins_a_failing_attempt_ends_with_its_reason)
{
    char url[64];
    int fd = bound_port(url, sizeof url);
    msgsrv_client *client = api_client_of(url, NULL);
    api_result results[3];
    for (int i = 0; i < 3; i++)
        api_start_add(client, NULL, &results[i]);
    for (int i = 0; i < 3; i++) {
        api_drive(client, &results[i]);
        api_expect(MSGSRV_UNAVAILABLE, results[i].status, NULL);
        api_contains(results[i].text, "refused");
        ck_assert(!results[i].had_response);
    }
    msgsrv_client_free(client);
    close(fd);
}
END_TEST

START_TEST(during_back_off_a_call_fails_at_once_with_the_last_reason)
{
    char url[64];
    int fd = bound_port(url, sizeof url);
    msgsrv_client *client =
        api_client_of(url, &(msgsrv_client_options){.backoff_min_ms = 600000, .backoff_max_ms = 600000});
    msgsrv_error first, second;
    api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &first), &first);
    ck_assert_int_eq(listen(fd, 1), 0); /* now somebody would answer, but nobody asks */
    api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &second), &second);
    api_contains(second.text, "refused");
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 0);
    msgsrv_client_free(client);
    close(fd);
}
END_TEST

START_TEST(after_the_back_off_a_call_tries_again)
{
    api_path path;
    api_path_make(&path);
    msgsrv_client *client = api_client_of(path.url, &(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 1});
    msgsrv_error error;
    api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &error), &error);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (try_add(client, NULL, &error) != MSGSRV_OK) {
        ck_assert_int_eq(error.code, MSGSRV_UNAVAILABLE);
        ck_assert_int_lt(api_now_ms(), until);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(wait_for_ready_waits_until_the_server_is_there)
{
    api_path path;
    api_path_make(&path);
    msgsrv_client *client = api_client_of(path.url, &(msgsrv_client_options){.backoff_min_ms = 5, .backoff_max_ms = 5});
    msgsrv_error error;
    api_result waiting, impatient;
    /* The impatient one's end shows that an attempt has failed; the waiting one has lived through it. */
    api_start_add(client, &(msgsrv_call_options){.wait_for_ready = true}, &waiting);
    api_start_add(client, NULL, &impatient);
    api_drive(client, &impatient);
    api_expect(MSGSRV_UNAVAILABLE, impatient.status, NULL);
    ck_assert_uint_eq(api_event_count(&waiting.ended), 0);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    api_drive(client, &waiting);
    api_expect(MSGSRV_OK, waiting.status, NULL);
    ck_assert_int_eq(waiting.sum, 5);
    api_ok(try_add(client, &(msgsrv_call_options){.wait_for_ready = true}, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

static void *start_server_later(void *arg)
{
    return api_server_on(arg, NULL, NULL, NULL);
}

START_TEST(a_clients_own_wait_for_ready_is_the_default_of_its_calls)
{
    api_path path;
    api_path_make(&path);
    msgsrv_client *client = api_client_of(
        path.url, &(msgsrv_client_options){.wait_for_ready = true, .backoff_min_ms = 1, .backoff_max_ms = 5});
    pthread_t starter;
    void *server;
    ck_assert_int_eq(pthread_create(&starter, NULL, start_server_later, path.url), 0);
    api_call_add(client);
    pthread_join(starter, &server);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(wait_for_ready_ends_at_its_deadline)
{
    char url[64];
    int fd = bound_port(url, sizeof url);
    msgsrv_client *client = api_client_of(url, NULL);
    msgsrv_error error;
    int64_t start = api_now_ms();
    api_expect(MSGSRV_DEADLINE_EXCEEDED,
               try_add(client, &(msgsrv_call_options){.wait_for_ready = true, .timeout_ms = 60}, &error), &error);
    ck_assert_int_ge(api_now_ms() - start, 50); /* libevent's clock is a coarse one */
    msgsrv_client_free(client);
    close(fd);
}
END_TEST

/* A listener whose queue is full, so that the kernel answers no further attempt. */
static int full_listener(char *url, size_t size, int *fillers, int count)
{
    int fd = bound_port(url, size);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < count; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fillers[i], 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
        poll(&(struct pollfd){.fd = fillers[i], .events = POLLOUT}, 1, 50);
    }
    return fd;
}

START_TEST(an_attempt_that_nobody_answers_ends_at_the_connect_timeout)
{
    char url[64];
    int fillers[4];
    int fd = full_listener(url, sizeof url, fillers, 4);
    msgsrv_client *client = api_client_of(url, &(msgsrv_client_options){.connect_timeout_ms = 100});
    msgsrv_error error;
    int64_t start = api_now_ms();
    api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &error), &error);
    ck_assert_int_ge(api_now_ms() - start, 90);
    api_contains(error.text, "time");
    ck_assert(!error.from_peer);
    msgsrv_client_free(client);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
}
END_TEST

START_TEST(a_deadline_before_the_connect_timeout_is_deadline_exceeded)
{
    char url[64];
    int fillers[4];
    int fd = full_listener(url, sizeof url, fillers, 4);
    msgsrv_client *client = api_client_of(url, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_DEADLINE_EXCEEDED, try_add(client, &(msgsrv_call_options){.timeout_ms = 60}, &error), &error);
    msgsrv_client_free(client);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
}
END_TEST

static const char *port_of(const msgsrv_server *server)
{
    return strrchr(msgsrv_server_address(server, 0), ':') + 1;
}

START_TEST(a_name_is_looked_up_and_the_address_that_listens_is_found)
{
    /* Wherever localhost is ::1 first, the attempt there is refused and 127.0.0.1 is tried next. */
    msgsrv_server *server = api_server_on("tcp://127.0.0.1:0", NULL, NULL, NULL);
    char url[64];
    snprintf(url, sizeof url, "tcp://localhost:%s", port_of(server));
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client_of(url, &(msgsrv_client_options){.thread = thread});
        api_call_add(client);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

/* Whether a name has an address of a family here. */
static bool resolves(const char *name, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    bool has = getaddrinfo(name, NULL, &hints, &found) == 0;
    if (has)
        freeaddrinfo(found);
    return has;
}

/* Whether the machine has IPv6 on its loopback. */
static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

START_TEST(ipv6_addresses_and_names_with_only_them_listening)
{
    if (!has_ipv6())
        return;
    msgsrv_server *server = api_server_on("tcp://[::1]:0", NULL, NULL, NULL);
    ck_assert_int_eq(strncmp(msgsrv_server_address(server, 0), "tcp://[::1]:", 12), 0);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    msgsrv_client_free(client);
    if (resolves("localhost", AF_INET6)) {
        char url[64];
        snprintf(url, sizeof url, "tcp://localhost:%s", port_of(server));
        client = api_client_of(url, NULL);
        api_call_add(client);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_unavailable_and_named)
{
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client =
            api_client_of("tcp://no-such-name.invalid:7070", &(msgsrv_client_options){.thread = thread});
        msgsrv_error error;
        api_expect(MSGSRV_UNAVAILABLE, try_add(client, NULL, &error), &error);
        api_contains(error.text, "no-such-name.invalid");
        msgsrv_client_free(client);
    }
}
END_TEST

START_TEST(a_client_freed_while_a_name_is_looked_up_ends_its_calls_and_leaves_nothing)
{
    msgsrv_client *client = api_client_of("tcp://no-such-name.invalid:7070", NULL);
    api_result result;
    api_start_add(client, NULL, &result);
    msgsrv_error error;
    (void)msgsrv_client_poll(client, 0, &error);
    msgsrv_client_free(client);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
}
END_TEST

START_TEST(bad_addresses_are_refused_at_once)
{
    static const char *const bad[] = {"",
                                      "127.0.0.1:7070",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:",
                                      "tcp://127.0.0.1:65536",
                                      "tcp://127.0.0.1:x",
                                      "tcp://:7070",
                                      "tcp://[::1:7070",
                                      "tcp://[::1]",
                                      "http://127.0.0.1:7070",
                                      "unix:",
                                      "unix://relative",
                                      "tcp://127.0.0.1:7070/path"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msgsrv_client *client = NULL;
        msgsrv_error error = {0};
        msgsrv_status status = msgsrv_client_new(bad[i], NULL, &client, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "%s is %s", bad[i], msgsrv_status_name(status));
        ck_assert_ptr_null(client);
        ck_assert_uint_gt(strlen(error.text), 0);
    }
}
END_TEST

/* Stops a server and starts another one at its address. */
static msgsrv_server *restart(msgsrv_server *server)
{
    char url[MSGSRV_PEER_ADDRESS];
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    msgsrv_server_free(server);
    return api_server_on(url, NULL, NULL, NULL);
}

START_TEST(a_client_reconnects_after_the_server_has_restarted)
{
    /* The first call after it must already succeed: the client notices the closed connection before it writes. */
    msgsrv_server *server = api_server(NULL, NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = thread});
        api_call_add(client);
        for (int i = 0; i < 5; i++) {
            server = restart(server);
            api_call_add(client);
            api_call_echo(client, "again");
        }
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_written_and_unanswered_call_ends_unavailable_and_is_not_repeated)
{
    ts_listener listener;
    ts_listener_open(&listener);
    msgsrv_client *client = api_client_of(listener.url, &(msgsrv_client_options){.thread = true});
    api_result lost, next;
    api_start_add(client, &(msgsrv_call_options){.wait_for_ready = true}, &lost);
    ts_peer *peer = ts_listener_accept(&listener);
    api_client_frame(peer, TS_CALL);
    ts_peer_free(peer);
    api_event_wait(&lost.ended, 1);
    api_expect(MSGSRV_UNAVAILABLE, lost.status, NULL);
    ck_assert_uint_gt(strlen(lost.text), 0);

    api_start_echo(client, "the next one", &(msgsrv_call_options){.wait_for_ready = true}, &next);
    peer = ts_listener_accept(&listener);
    const ts_frame *call = api_client_frame(peer, TS_CALL);
    ck_assert_uint_gt(call->body_size, 0);
    ck_assert_mem_eq(call->body + 2, "the next one", 12); /* and not the lost sum */
    ts_bytes answer = {0}, body = {0};
    ts_put_echo_message(&body, "the next one");
    ts_put_end_status(&answer, call->id, 0, NULL, body.data, body.size);
    ts_peer_send(peer, &answer);
    ts_bytes_release(&answer);
    ts_bytes_release(&body);
    api_event_wait(&next.ended, 1);
    api_expect(MSGSRV_OK, next.status, NULL);
    api_result_clear(&next);
    msgsrv_client_free(client);
    ts_peer_free(peer);
    ts_listener_close(&listener);
}
END_TEST

#define BIG_CALLS 24

/* Answers so many calls of a connection; returns how many. */
static unsigned answer_all(ts_peer *peer, unsigned missing)
{
    unsigned answered = 0;
    while (answered < missing) {
        const ts_frame *call = api_client_frame(peer, TS_CALL);
        ts_bytes answer = {0};
        ts_put_end_status(&answer, call->id, 0, NULL, call->body, call->body_size);
        ts_peer_send(peer, &answer);
        ts_bytes_release(&answer);
        answered++;
    }
    return answered;
}

START_TEST(calls_that_were_not_written_go_out_on_the_next_connection)
{
    static api_result results[BIG_CALLS];
    size_t size = 1 << 20;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    ts_listener listener;
    ts_listener_open(&listener);
    msgsrv_client *client =
        api_client_of(listener.url, &(msgsrv_client_options){.thread = true, .wait_for_ready = true});
    for (int i = 0; i < BIG_CALLS; i++)
        api_start_echo(client, text, NULL, &results[i]);
    ts_peer *peer = ts_listener_accept(&listener);
    api_client_frame(peer, TS_CALL); /* the first was written; the last cannot be, the socket is full before it */
    ts_peer_reset(peer);
    peer = ts_listener_accept(&listener);
    /* What was written has ended by now or will without our doing; the rest comes here. */
    unsigned lost = 0;
    const ts_frame *call = api_client_frame(peer, TS_CALL);
    ck_assert_uint_gt(call->id, 0);
    for (int i = 0; i < BIG_CALLS; i++)
        lost += api_event_count(&results[i].ended);
    ck_assert_uint_ge(lost, 1);
    ck_assert_uint_lt(lost, BIG_CALLS);
    ts_bytes answer = {0};
    ts_put_end_status(&answer, call->id, 0, NULL, call->body, call->body_size);
    ts_peer_send(peer, &answer);
    ts_bytes_release(&answer);
    unsigned answered = 1 + answer_all(peer, BIG_CALLS - lost - 1);
    unsigned ok = 0, unavailable = 0;
    for (int i = 0; i < BIG_CALLS; i++) {
        api_event_wait(&results[i].ended, 1);
        ok += results[i].status == MSGSRV_OK;
        unavailable += results[i].status == MSGSRV_UNAVAILABLE;
        api_result_clear(&results[i]);
    }
    ck_assert_uint_eq(ok, answered);
    ck_assert_uint_eq(ok + unavailable, BIG_CALLS);
    api_expect(MSGSRV_UNAVAILABLE, results[0].status, NULL);
    api_expect(MSGSRV_OK, results[BIG_CALLS - 1].status, NULL);
    msgsrv_client_free(client);
    ts_peer_free(peer);
    ts_listener_close(&listener);
    free(text);
}
END_TEST

START_TEST(calls_made_while_connecting_are_all_sent_in_order)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    static api_result results[100];
    for (int i = 0; i < 100; i++)
        api_start_add(client, NULL, &results[i]);
    for (int i = 99; i >= 0; i--)
        api_drive(client, &results[i]);
    for (int i = 0; i < 100; i++)
        api_expect(MSGSRV_OK, results[i].status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_connect", a_refused_connection_is_unavailable_and_says_why,
        an_asynchronous_call_that_joins_a_failing_attempt_ends_with_its_reason,
        during_back_off_a_call_fails_at_once_with_the_last_reason, after_the_back_off_a_call_tries_again,
        wait_for_ready_waits_until_the_server_is_there, a_clients_own_wait_for_ready_is_the_default_of_its_calls,
        wait_for_ready_ends_at_its_deadline, an_attempt_that_nobody_answers_ends_at_the_connect_timeout,
        a_deadline_before_the_connect_timeout_is_deadline_exceeded,
        a_name_is_looked_up_and_the_address_that_listens_is_found, ipv6_addresses_and_names_with_only_them_listening,
        a_name_that_does_not_resolve_is_unavailable_and_named,
        a_client_freed_while_a_name_is_looked_up_ends_its_calls_and_leaves_nothing, bad_addresses_are_refused_at_once,
        a_client_reconnects_after_the_server_has_restarted,
        a_written_and_unanswered_call_ends_unavailable_and_is_not_repeated,
        calls_that_were_not_written_go_out_on_the_next_connection, calls_made_while_connecting_are_all_sent_in_order)
