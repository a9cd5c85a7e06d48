/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: paths and the abstract namespace, the path's life and mode, and who is at the other end.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "api_support.h"

static msgsrv_status try_listen(const char *url, msgsrv_error *error)
{
    msgsrv_server *server = NULL;
    api_ok(msgsrv_server_new(NULL, &server, error), error);
    msgsrv_status status = msgsrv_server_listen(server, url, error);
    msgsrv_server_free(server);
    return status;
}

START_TEST(a_unix_socket_serves_and_its_path_goes_with_the_server)
{
    api_path path;
    api_path_make(&path);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    ck_assert_str_eq(msgsrv_server_address(server, 0), path.url);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    api_call_echo(client, "through a path");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_int_eq(access(path.path, F_OK), -1);
    api_path_remove(&path);
}
END_TEST

START_TEST(an_abstract_socket_serves_and_leaves_no_file)
{
    char url[64];
    snprintf(url, sizeof url, "unix:@msgsrv-api-%ld", (long)getpid());
    msgsrv_server *server = api_server_on(url, NULL, NULL, NULL);
    ck_assert_str_eq(msgsrv_server_address(server, 0), url);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    msgsrv_error error;
    api_expect(MSGSRV_ALREADY_EXISTS, try_listen(url, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A socket file that nobody listens on any more, as a crashed server leaves it. */
static void make_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
    ck_assert_int_eq(access(path, F_OK), 0);
}

START_TEST(a_stale_path_is_replaced)
{
    api_path path;
    api_path_make(&path);
    make_stale(path.path);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(a_path_that_somebody_listens_on_is_left_alone)
{
    api_path path;
    api_path_make(&path);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_ALREADY_EXISTS, try_listen(path.url, &error), &error);
    api_contains(error.text, path.path);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client); /* and the failed attempt has not taken the path away */
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
    api_path path;
    api_path_make(&path);
    FILE *file = fopen(path.path, "w");
    fputs("precious", file);
    fclose(file);
    msgsrv_error error;
    msgsrv_status status = try_listen(path.url, &error);
    ck_assert_int_ne(status, MSGSRV_OK);
    char text[16] = "";
    file = fopen(path.path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "precious");
    api_path_remove(&path);
}
END_TEST

static unsigned mode_of(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert(S_ISSOCK(info.st_mode));
    return info.st_mode & 07777u;
}

START_TEST(the_paths_mode_is_the_users_own_by_default_and_settable)
{
    static const uint32_t modes[] = {0, 0600, 0660, 0666, 0777, 0700};
    umask(022); /* neither widens nor narrows what the option says */
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        api_path path;
        api_path_make(&path);
        msgsrv_server *server = api_server_on(path.url, &(msgsrv_server_options){.socket_mode = modes[i]}, NULL, NULL);
        ck_assert_uint_eq(mode_of(path.path), modes[i] != 0 ? modes[i] : 0600);
        msgsrv_server_free(server);
        api_path_remove(&path);
    }
}
END_TEST

START_TEST(a_path_that_cannot_be_is_refused_and_says_why)
{
    msgsrv_error error;
    char url[200];
    msgsrv_status status = try_listen("unix:///no/such/directory/socket", &error);
    ck_assert(status == MSGSRV_UNAVAILABLE || status == MSGSRV_PERMISSION_DENIED);
    api_contains(error.text, "/no/such/directory/socket");
    snprintf(url, sizeof url, "unix:///tmp/%0120d", 1); /* longer than an address can hold */
    api_expect(MSGSRV_INVALID_ARGUMENT, try_listen(url, &error), &error);
    snprintf(url, sizeof url, "unix:@%0120d", 1);
    api_expect(MSGSRV_INVALID_ARGUMENT, try_listen(url, &error), &error);
}
END_TEST

START_TEST(a_directory_without_permission_is_permission_denied)
{
    if (geteuid() == 0)
        return; /* nothing is forbidden to root */
    api_path path;
    api_path_make(&path);
    ck_assert_int_eq(chmod(path.directory, 0500), 0);
    msgsrv_error error;
    api_expect(MSGSRV_PERMISSION_DENIED, try_listen(path.url, &error), &error);
    ck_assert_int_eq(chmod(path.directory, 0700), 0);
    api_path_remove(&path);
}
END_TEST

START_TEST(a_full_queue_is_unavailable_and_wait_for_ready_lives_through_it)
{
    /* A Unix socket's connect(2) fails at once, with EAGAIN, where TCP's would wait. */
    api_path path;
    api_path_make(&path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path.path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    int fillers[8], count = 0;
    for (; count < 8; count++) {
        fillers[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fillers[count], (struct sockaddr *)&address, sizeof address) != 0)
            break;
    }
    ck_assert_int_eq(errno, EAGAIN);
    msgsrv_client *client = api_client_of(path.url, &(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 5});
    api_result waiting, impatient;
    api_start_add(client, &(msgsrv_call_options){.wait_for_ready = true}, &waiting);
    api_start_add(client, NULL, &impatient);
    api_drive(client, &impatient);
    api_expect(MSGSRV_UNAVAILABLE, impatient.status, NULL);
    for (int i = 0; i <= count && i < 8; i++)
        close(fillers[i]);
    close(listener);
    unlink(path.path);
    msgsrv_server *server = api_server_on(path.url, NULL, NULL, NULL);
    api_drive(client, &waiting);
    api_expect(MSGSRV_OK, waiting.status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

static msgsrv_status note_peer(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                               void *ctx)
{
    msgsrv_call_peer(call, ctx);
    return api_add(call, request, response, NULL);
}

static const messages_Demo_service peer_service = {.Add = note_peer};

START_TEST(on_a_unix_socket_the_peer_is_its_user_group_and_process)
{
    api_path path;
    api_path_make(&path);
    msgsrv_peer peer;
    memset(&peer, 0xff, sizeof peer);
    msgsrv_server *server = api_server_on(path.url, NULL, &peer_service, &peer);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    ck_assert(peer.has_credentials);
    ck_assert_uint_eq(peer.uid, geteuid());
    ck_assert_uint_eq(peer.gid, getegid());
    ck_assert_int_eq(peer.pid, getpid());
    ck_assert_int_eq(strncmp(peer.address, "unix:", 5), 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(the_peer_of_another_process_is_that_process)
{
    api_path path;
    api_path_make(&path);
    /* The child may not inherit a server: it starts before there is one, and waits for it. */
    pid_t child = fork();
    if (child == 0) {
        msgsrv_client *client = api_client_of(
            path.url, &(msgsrv_client_options){.wait_for_ready = true, .backoff_min_ms = 1, .backoff_max_ms = 5});
        messages_AddResponse response;
        msgsrv_status status = messages_Demo_Add(client, &(messages_AddRequest){.a = 1}, NULL, &response, NULL);
        msgsrv_client_free(client);
        _exit(status == MSGSRV_OK ? 0 : 1);
    }
    msgsrv_peer peer = {0};
    msgsrv_server *server = api_server_on(path.url, NULL, &peer_service, &peer);
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    msgsrv_server_free(server);
    ck_assert(peer.has_credentials);
    ck_assert_int_eq(peer.pid, child);
    api_path_remove(&path);
}
END_TEST

START_TEST(on_tcp_the_peer_is_an_address)
{
    msgsrv_peer peer;
    memset(&peer, 0xff, sizeof peer);
    msgsrv_server *server = api_server(&peer_service, &peer);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    ck_assert(!peer.has_credentials);
    unsigned port = 0;
    ck_assert_int_eq(sscanf(peer.address, "tcp://127.0.0.1:%u", &port), 1);
    ck_assert_uint_gt(port, 0);
    ck_assert_str_ne(peer.address, msgsrv_server_address(server, 0));
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_unix", a_unix_socket_serves_and_its_path_goes_with_the_server, an_abstract_socket_serves_and_leaves_no_file,
        a_stale_path_is_replaced, a_path_that_somebody_listens_on_is_left_alone, a_file_that_is_no_socket_is_left_alone,
        the_paths_mode_is_the_users_own_by_default_and_settable, a_path_that_cannot_be_is_refused_and_says_why,
        a_directory_without_permission_is_permission_denied,
        a_full_queue_is_unavailable_and_wait_for_ready_lives_through_it,
        on_a_unix_socket_the_peer_is_its_user_group_and_process, the_peer_of_another_process_is_that_process,
        on_tcp_the_peer_is_an_address)
