/* SPDX-License-Identifier: MIT */
/* base/url.c: what an address may be, and what is said of each that is none. */
#include "base/url.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

static msi_url parsed(const char *text)
{
    msi_url url;
    msgsrv_error error;
    memset(&url, 0xff, sizeof url);
    msgsrv_status status = msi_url_parse(text, &url, &error);
    ck_assert_msg(status == MSGSRV_OK, "%s: %s", text, status != MSGSRV_OK ? error.text : "");
    return url;
}

START_TEST(tcp_addresses)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {{"tcp://127.0.0.1:7070", "127.0.0.1", 7070},
                 {"tcp://localhost:0", "localhost", 0},
                 {"tcp://[::1]:65535", "::1", 65535},
                 {"tcp://[::]:7070", "::", 7070},
                 {"tcp://a.b-c.example:80", "a.b-c.example", 80},
                 {"tcp://x:00080", "x", 80},
                 {"tcp://[fe80::1%eth0]:1", "fe80::1%eth0", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msi_url url = parsed(cases[i].text);
        ck_assert_int_eq(url.kind, MSI_URL_TCP);
        ck_assert_str_eq(url.host, cases[i].host);
        ck_assert_uint_eq(url.port, cases[i].port);
    }
}
END_TEST

START_TEST(unix_addresses)
{
    msi_url url = parsed("unix:///run/app.sock");
    ck_assert_int_eq(url.kind, MSI_URL_UNIX);
    ck_assert(!url.abstract);
    ck_assert_str_eq(url.path, "/run/app.sock");
    url = parsed("unix:@name");
    ck_assert(url.abstract);
    ck_assert_str_eq(url.path, "name");
    url = parsed("unix:///with:colon and space");
    ck_assert_str_eq(url.path, "/with:colon and space");
}
END_TEST

START_TEST(addresses_of_grpc)
{
    char authority[MSI_AUTHORITY_MAX];
    msi_url url = parsed("grpc://[::1]:50051");
    ck_assert(url.grpc);
    ck_assert_int_eq(url.kind, MSI_URL_TCP);
    msi_url_authority(&url, authority);
    ck_assert_str_eq(authority, "[::1]:50051");
    url = parsed("grpc://host:80");
    msi_url_authority(&url, authority);
    ck_assert_str_eq(authority, "host:80");
    url = parsed("grpc+unix:///run/app.sock");
    ck_assert(url.grpc);
    ck_assert_str_eq(url.path, "/run/app.sock");
    msi_url_authority(&url, authority);
    ck_assert_str_eq(authority, "localhost");
    url = parsed("grpc+unix:@name");
    ck_assert(url.grpc && url.abstract);
    ck_assert(!parsed("tcp://host:80").grpc);
    static const char *const bad[] = {"grpc:",       "grpc://host", "grpc+tcp://host:1", "grpc+grpc://host:1",
                                      "grpcunix:@a", "grpc+",       "grpcs://host:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(msi_url_parse(bad[i], &url, NULL), MSGSRV_INVALID_ARGUMENT);
}
END_TEST

START_TEST(what_is_no_address_is_refused_with_what_was_expected)
{
    static const char *const bad[] = {"",
                                      "tcp",
                                      "tcp:",
                                      "tcp://",
                                      "tcp://host",
                                      "tcp://host:",
                                      "tcp://host:-1",
                                      "tcp://host:+1",
                                      "tcp://host: 1",
                                      "tcp://host:1 ",
                                      "tcp://host:65536",
                                      "tcp://host:99999",
                                      "tcp://host:100000",
                                      "tcp://host:4294967297",
                                      "tcp://host:0x50",
                                      "tcp://:7070",
                                      "tcp://[]:7070",
                                      "tcp://[::1:7070",
                                      "tcp://[::1]7070",
                                      "tcp://[::1]",
                                      "tcp://::1:7070",
                                      "tcp://a b:1",
                                      "tcp://user@host:1",
                                      "tcp://host/path:1",
                                      "tcp://host:1/",
                                      "TCP://host:1",
                                      " tcp://host:1",
                                      "udp://host:1",
                                      "host:1",
                                      "unix:",
                                      "unix:@",
                                      "unix://",
                                      "unix://path",
                                      "unix:path",
                                      "unix:/path"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msi_url url, before;
        msgsrv_error error = {0};
        memset(&url, 0xee, sizeof url);
        before = url;
        msgsrv_status status = msi_url_parse(bad[i], &url, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "\"%s\" was taken", bad[i]);
        ck_assert_ptr_nonnull(strstr(error.text, "tcp://host:port"));
        ck_assert_mem_eq(&url, &before, sizeof url);
    }
    ck_assert_int_eq(msi_url_parse(NULL, &(msi_url){0}, NULL), MSGSRV_INVALID_ARGUMENT);
}
END_TEST

START_TEST(names_and_paths_have_their_longest)
{
    char text[400];
    msi_url url;
    int size = snprintf(text, sizeof text, "unix:///%0106d", 0);
    ck_assert_int_eq(size, 8 + 106);
    ck_assert_uint_eq(strlen(parsed(text).path), 107);
    snprintf(text, sizeof text, "unix:///%0107d", 0);
    ck_assert_int_eq(msi_url_parse(text, &url, NULL), MSGSRV_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "unix:@%0106d", 0);
    parsed(text);
    snprintf(text, sizeof text, "unix:@%0108d", 0);
    ck_assert_int_eq(msi_url_parse(text, &url, NULL), MSGSRV_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "tcp://%0255d:1", 0);
    ck_assert_uint_eq(strlen(parsed(text).host), 255);
    snprintf(text, sizeof text, "tcp://%0256d:1", 0);
    ck_assert_int_eq(msi_url_parse(text, &url, NULL), MSGSRV_INVALID_ARGUMENT);
}
END_TEST

TS_MAIN("url", tcp_addresses, unix_addresses, addresses_of_grpc, what_is_no_address_is_refused_with_what_was_expected,
        names_and_paths_have_their_longest)
