/* SPDX-License-Identifier: MIT */
/*
 * Freeing while something is still at work elsewhere: handlers on the worker pool, a name lookup. The lookups ask a name server of the
 * test's own, which hears the question and never answers: libevent reads its address where it expects /etc/resolv.conf.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "api_support.h"
#include "server.h"

/* ---- servers with handlers on the pool ---- */

/* Add works on the pool until it is cancelled; on_cancel may free the server. */
struct pool_work {
    msgsrv_server *server; /* what on_cancel frees; NULL: it does nothing */
    atomic_uint entered;
    atomic_uint cancelled; /* handlers that saw it */
    unsigned told;
};

static void free_when_told(msgsrv_status reason, void *ctx)
{
    struct pool_work *work = ctx;
    (void)reason;
    msgsrv_server *server = work->server;
    work->server = NULL;
    work->told++;
    msgsrv_server_free(server);
}

static msgsrv_status work_until_cancelled(msgsrv_call *call, const messages_AddRequest *request,
                                          messages_AddResponse *response, void *ctx)
{
    struct pool_work *work = ctx;
    uint64_t until = ts_now_ms() + TS_GUARD_MS / 4;
    (void)request;
    (void)response;
    msgsrv_call_on_cancel(call, free_when_told, work);
    atomic_fetch_add(&work->entered, 1);
    while (!msgsrv_call_cancelled(call) && ts_now_ms() < until)
        ts_nap();
    atomic_fetch_add(&work->cancelled, msgsrv_call_cancelled(call));
    return MSGSRV_OK;
}

static const messages_Demo_service pool_service = {
    .Add = work_until_cancelled, .Echo = api_echo, .blocking = {.Add = true}};

static msgsrv_server *pool_server(struct event_base *base, uint32_t workers, struct pool_work *work)
{
    msgsrv_server_options options = {.base = base, .worker_threads = workers};
    return api_server_on(NULL, &options, &pool_service, work);
}

static void turn_until_entered(struct event_base *base, struct pool_work *work, unsigned count)
{
    uint64_t until = ts_guard();
    while (atomic_load(&work->entered) < count) {
        TS_CHECK(ts_now_ms() < until, "waited in vain for %u handlers", count);
        event_base_loop(base, EVLOOP_NONBLOCK);
        ts_nap();
    }
}

static void send_add(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};
    ts_put_call_add(&out, id, 2, 3);
    ts_peer_send(peer, &out);
}

START_TEST(freeing_a_server_on_a_base_cancels_before_it_waits_for_the_pool)
{
    struct pool_work work = {.told = 0};
    struct event_base *base = event_base_new();
    msgsrv_server *server = pool_server(base, 1, &work);
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    for (uint64_t id = 1; id <= 3; id++)
        send_add(peer, id); /* one runs, two wait for the worker */
    turn_until_entered(base, &work, 1);
    msgsrv_server_free(server);
    ck_assert_uint_eq(atomic_load(&work.entered), 1);
    ck_assert_uint_eq(atomic_load(&work.cancelled), 1);
    ck_assert_uint_eq(work.told, 1);
    ts_peer_free(peer);
    event_base_free(base);
}
END_TEST

START_TEST(a_server_is_freed_inside_on_cancel_while_other_calls_are_on_the_pool)
{
    struct pool_work work = {.told = 0};
    struct event_base *base = event_base_new();
    msgsrv_server *server = pool_server(base, 3, &work);
    ts_peer *peers[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = ts_peer_connect(msgsrv_server_address(server, 0));
        send_add(peers[i], 1);
    }
    turn_until_entered(base, &work, 3);
    work.server = server;
    ts_peer_reset(peers[0]);
    while (work.told == 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(work.told, 3);
    ck_assert_uint_eq(atomic_load(&work.cancelled), 3); /* freeing has waited for them */
    for (int i = 1; i < 3; i++) {
        while (ts_peer_next(peers[i]) != NULL)
            ;
        ts_peer_free(peers[i]);
    }
    event_base_free(base);
}
END_TEST

/* ---- clients that look a name up ---- */

static char resolver_file[96]; /* what is read in the place of /etc/resolv.conf; empty: that itself */

/* open(2) as libevent finds it. */
__attribute__((visibility("default"))) int open_or_redirect(const char *path, int flags, ...) __asm__("open");

int open_or_redirect(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode = 0;
    va_start(arguments, flags);
    if (flags & O_CREAT)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (resolver_file[0] && !strcmp(path, "/etc/resolv.conf"))
        path = resolver_file;
    return openat(AT_FDCWD, path, flags, mode);
}

/* A name server that hears and does not answer. */
static int mute_name_server(api_path *place)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    api_path_make(place);
    FILE *file = fopen(place->path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "nameserver 127.0.0.1:%u\noptions timeout:5 attempts:1\n", (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(fclose(file), 0);
    snprintf(resolver_file, sizeof resolver_file, "%s", place->path);
    return fd;
}

static bool asked(int name_server)
{
    return poll(&(struct pollfd){.fd = name_server, .events = POLLIN}, 1, 0) == 1;
}

/* Throws the questions away that have come. */
static void forget_questions(int name_server)
{
    char question[512];
    while (recv(name_server, question, sizeof question, MSG_DONTWAIT) >= 0)
        ;
}

static void name_server_close(int fd, const api_path *place)
{
    close(fd);
    resolver_file[0] = '\0';
    api_path_remove(place);
}

#define NAME_URL "tcp://some.name.invalid:7070"

START_TEST(a_client_on_a_base_is_freed_while_its_name_is_looked_up)
{
    api_path place;
    int name_server = mute_name_server(&place);
    struct event_base *base = event_base_new();
    for (int i = 0; i < 3; i++) {
        msgsrv_client *client = api_client_of(NAME_URL, &(msgsrv_client_options){.base = base});
        api_result result;
        api_start_add(client, NULL, &result);
        while (!asked(name_server))
            event_base_loop(base, EVLOOP_ONCE);
        ck_assert_uint_eq(api_event_count(&result.ended), 0);
        msgsrv_client_free(client);
        ck_assert_uint_eq(api_event_count(&result.ended), 1);
        api_expect(MSGSRV_CANCELLED, result.status, NULL);
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0); /* what libevent put off until its next turn */
        forget_questions(name_server);
    }
    event_base_free(base);
    name_server_close(name_server, &place);
}
END_TEST

static void look_up_in_vain(msgsrv_client *client, const msgsrv_call_options *options, msgsrv_status expected)
{
    messages_AddResponse response;
    msgsrv_error error;
    api_expect(expected, messages_Demo_Add(client, &(messages_AddRequest){.a = 2}, options, &response, &error), &error);
    if (expected == MSGSRV_UNAVAILABLE)
        api_contains(error.text, "some.name.invalid");
}

/* One lookup is given up for its time, the next attempt's is going on when the client is freed. */
static void free_after_a_lookup_in_vain(bool thread)
{
    api_path place;
    int name_server = mute_name_server(&place);
    msgsrv_client *client = api_client_of(
        NAME_URL,
        &(msgsrv_client_options){.thread = thread, .connect_timeout_ms = 60, .backoff_min_ms = 1, .backoff_max_ms = 1});
    look_up_in_vain(client, NULL, MSGSRV_UNAVAILABLE);
    ck_assert(asked(name_server));
    forget_questions(name_server);
    msgsrv_call_options options = {.timeout_ms = 30, .wait_for_ready = true};
    while (!asked(name_server)) /* the first time it may all be back-off */
        look_up_in_vain(client, &options, MSGSRV_DEADLINE_EXCEEDED);
    msgsrv_client_free(client);
    name_server_close(name_server, &place);
}

START_TEST(a_private_client_is_freed_while_its_name_is_looked_up_again)
{
    free_after_a_lookup_in_vain(false);
}
END_TEST

START_TEST(a_client_with_a_thread_is_freed_while_its_name_is_looked_up_again)
{
    free_after_a_lookup_in_vain(true);
}
END_TEST

TS_MAIN("api_lifetimes", freeing_a_server_on_a_base_cancels_before_it_waits_for_the_pool,
        a_server_is_freed_inside_on_cancel_while_other_calls_are_on_the_pool,
        a_client_on_a_base_is_freed_while_its_name_is_looked_up,
        a_private_client_is_freed_while_its_name_is_looked_up_again,
        a_client_with_a_thread_is_freed_while_its_name_is_looked_up_again)
