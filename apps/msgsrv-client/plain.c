/* SPDX-License-Identifier: MIT */
/*
 * A client that knows only messages.proto and nanopb. On the wire every message is a field of wire type 2: a
 * tag, a length, bytes. So a ClientMessage is written as it is encoded, and a ServerMessage is read as one
 * such field. Two more fields are understood, for the sake of their texts: End (18), that a message could not
 * be answered, and GoAway (23), the server's last word on a connection.
 */
#include "plain.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "program.h"
#include "url.h"

#define PLAIN_LAST 15
#define FRAME_END 18
#define FRAME_GO_AWAY 23
#define HEADER_MAX 10 /* two varints of at most 5 bytes */
#define BODY_MAX (64u * 1024 * 1024 + 16 * 1024)

/* A socket that never blocks, and the time until which poll() may wait for it. */
struct line {
    int fd;
    int64_t deadline_ms;
    msgsrv_error *error;
};

/* One field as it came: header and body, which nanopb decodes as a message with that field. */
struct field {
    uint32_t number;
    uint8_t *data; /* malloc'ed */
    size_t header, size;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* An errno as the library puts it: "connection refused". */
static msgsrv_status fail_errno(const struct line *line, int number)
{
    app_error(line->error, MSGSRV_UNAVAILABLE, "%s", strerror(number));
    line->error->text[0] = (char)tolower((unsigned char)line->error->text[0]);
    return MSGSRV_UNAVAILABLE;
}

/* Waits for the socket. `*events` becomes what it is ready for. */
static msgsrv_status wait_for(const struct line *line, short *events)
{
    struct pollfd poll_fd = {.fd = line->fd, .events = *events};
    int ready;
    do {
        int64_t left = line->deadline_ms - now_ms();
        ready = poll(&poll_fd, 1, left > 0 ? (int)(left < 60000 ? left : 60000) : 0);
        if (ready == 0 && left <= 0)
            return app_error(line->error, MSGSRV_DEADLINE_EXCEEDED, "no answer within the timeout");
    } while (ready == 0 || (ready < 0 && errno == EINTR));
    if (ready < 0)
        return fail_errno(line, errno);
    *events = poll_fd.revents;
    return MSGSRV_OK;
}

/* Connects to one address. */
static msgsrv_status open_address(struct line *line, const struct sockaddr *address, socklen_t size)
{
    int failed = 0;
    socklen_t failed_size = sizeof failed;
    short writable = POLLOUT;
    line->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->fd < 0)
        return fail_errno(line, errno);
    if (connect(line->fd, address, size) == 0)
        return MSGSRV_OK;
    if (errno != EINPROGRESS)
        return fail_errno(line, errno);
    msgsrv_status status = wait_for(line, &writable);
    if (status != MSGSRV_OK)
        return status;
    getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &failed, &failed_size);
    return failed ? fail_errno(line, failed) : MSGSRV_OK;
}

static void close_line(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
}

static msgsrv_status open_unix(struct line *line, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return app_error(line->error, MSGSRV_INVALID_ARGUMENT, "the path of a Unix socket ends at 107 bytes");
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* the abstract namespace of unix(7): a NUL, and no NUL at the end */
        address.sun_path[0] = '\0';
    size_t size = offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@');
    return open_address(line, (const struct sockaddr *)&address, (socklen_t)size);
}

/* Tries the addresses of a name in turn. Looking it up is the one thing that the timeout does not cut
 * short. */
static msgsrv_status open_tcp(struct line *line, const struct app_url *url)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses;
    int failed = getaddrinfo(url->host, url->port, &hints, &addresses);
    if (failed)
        return app_error(line->error, MSGSRV_UNAVAILABLE, "%s", gai_strerror(failed));
    msgsrv_status status = MSGSRV_UNAVAILABLE;
    for (const struct addrinfo *next = addresses; next; next = next->ai_next) {
        close_line(line);
        status = open_address(line, next->ai_addr, next->ai_addrlen);
        if (status == MSGSRV_OK)
            break;
    }
    freeaddrinfo(addresses);
    return status;
}

/* Writes all, or stops early when the server has begun to answer: what it says then is why it reads no
 * more. */
static msgsrv_status send_all(const struct line *line, const uint8_t *data, size_t size)
{
    while (size > 0) {
        short ready = POLLIN | POLLOUT;
        msgsrv_status status = wait_for(line, &ready);
        if (status != MSGSRV_OK || !(ready & POLLOUT) || (ready & POLLIN))
            return status;
        ssize_t sent = send(line->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return MSGSRV_OK; /* there may still be something to read */
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return fail_errno(line, errno);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
    }
    return MSGSRV_OK;
}

/* Reads exactly that much. */
static msgsrv_status receive(const struct line *line, uint8_t *data, size_t size)
{
    while (size > 0) {
        short readable = POLLIN;
        msgsrv_status status = wait_for(line, &readable);
        if (status != MSGSRV_OK)
            return status;
        ssize_t got = recv(line->fd, data, size, 0);
        if (got == 0)
            return app_error(line->error, MSGSRV_UNAVAILABLE, "the server closed the connection");
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return fail_errno(line, errno);
        if (got > 0) {
            data += got;
            size -= (size_t)got;
        }
    }
    return MSGSRV_OK;
}

static msgsrv_status not_our_server(const struct line *line)
{
    return app_error(line->error, MSGSRV_UNAVAILABLE, "what answers there is not a msgsrv server");
}

/* Reads a varint of at most 5 bytes behind the header's bytes so far. */
static msgsrv_status receive_varint(const struct line *line, uint8_t header[HEADER_MAX], size_t *used, uint32_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        msgsrv_status status = receive(line, header + *used, 1);
        if (status != MSGSRV_OK)
            return status;
        uint8_t byte = header[(*used)++];
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (uint32_t)sum;
            return sum <= UINT32_MAX ? MSGSRV_OK : not_our_server(line);
        }
    }
    return not_our_server(line);
}

static msgsrv_status receive_field(const struct line *line, struct field *field)
{
    uint8_t header[HEADER_MAX];
    size_t used = 0;
    uint32_t tag = 0, length = 0;
    msgsrv_status status = receive_varint(line, header, &used, &tag);
    if (status == MSGSRV_OK && ((tag & 7) != PB_WT_STRING || tag >> 3 == 0))
        status = not_our_server(line);
    if (status == MSGSRV_OK)
        status = receive_varint(line, header, &used, &length);
    if (status == MSGSRV_OK && length > BODY_MAX)
        status = not_our_server(line);
    if (status != MSGSRV_OK)
        return status;
    *field = (struct field){.number = tag >> 3, .header = used, .size = used + length, .data = malloc(used + length)};
    if (!field->data)
        return app_error(line->error, MSGSRV_RESOURCE_EXHAUSTED, "no memory for %u bytes", length);
    memcpy(field->data, header, used);
    return receive(line, field->data + used, length);
}

/* Copies a string field into the error, cut to its room. */
static bool read_text(pb_istream_t *stream, msgsrv_error *error)
{
    pb_istream_t string;
    if (!pb_make_string_substream(stream, &string))
        return false;
    size_t length = string.bytes_left < sizeof error->text ? string.bytes_left : sizeof error->text - 1;
    bool good = pb_read(&string, (pb_byte_t *)error->text, length);
    error->text[length] = '\0';
    return pb_close_string_substream(stream, &string) && good;
}

/* Reads the code and the text of an End (its fields 2 and 3) or a GoAway (1 and 2) into the error. */
static msgsrv_status read_refusal(const struct line *line, const struct field *field)
{
    uint32_t code_number = field->number == FRAME_END ? 2 : 1;
    uint32_t number, code = MSGSRV_UNKNOWN;
    pb_wire_type_t type;
    bool end = false, good = true;
    pb_istream_t stream = pb_istream_from_buffer(field->data + field->header, field->size - field->header);
    *line->error = (msgsrv_error){.from_peer = true};
    while (good && pb_decode_tag(&stream, &type, &number, &end)) {
        if (number == code_number && type == PB_WT_VARINT)
            good = pb_decode_varint32(&stream, &code);
        else if (number == code_number + 1 && type == PB_WT_STRING)
            good = read_text(&stream, line->error);
        else
            good = pb_skip_field(&stream, type);
    }
    if (!good || !end)
        return not_our_server(line);
    line->error->code = code > MSGSRV_OK && code < MSGSRV_STATUS_COUNT ? (msgsrv_status)code : MSGSRV_UNKNOWN;
    return line->error->code;
}

static msgsrv_status read_answer(const struct line *line, pb_size_t expected, messages_ServerMessage *answer)
{
    struct field field = {0};
    messages_ServerMessage message = messages_ServerMessage_init_zero;
    msgsrv_status status = receive_field(line, &field);
    if (status == MSGSRV_OK && (field.number == FRAME_END || field.number == FRAME_GO_AWAY)) {
        status = read_refusal(line, &field);
    } else if (status == MSGSRV_OK) {
        pb_istream_t stream = pb_istream_from_buffer(field.data, field.size);
        if (field.number > PLAIN_LAST || !pb_decode(&stream, messages_ServerMessage_fields, &message)) {
            status = not_our_server(line);
        } else if (message.which_message != expected) {
            pb_release(messages_ServerMessage_fields, &message);
            status = app_error(line->error, MSGSRV_INTERNAL, "the answer is another message than the one expected");
        } else {
            *answer = message;
        }
    }
    free(field.data);
    return status;
}

static msgsrv_status send_request(const struct line *line, const messages_ClientMessage *request)
{
    size_t size = 0;
    if (!pb_get_encoded_size(&size, messages_ClientMessage_fields, request))
        return app_error(line->error, MSGSRV_INTERNAL, "the message does not encode");
    uint8_t *data = malloc(size);
    if (!data)
        return app_error(line->error, MSGSRV_RESOURCE_EXHAUSTED, "no memory for %zu bytes", size);
    pb_ostream_t stream = pb_ostream_from_buffer(data, size);
    msgsrv_status status = pb_encode(&stream, messages_ClientMessage_fields, request)
                               ? send_all(line, data, size)
                               : app_error(line->error, MSGSRV_INTERNAL, "%s", PB_GET_ERROR(&stream));
    free(data);
    return status;
}

msgsrv_status plain_exchange(const char *server, uint32_t timeout_ms, const messages_ClientMessage *request,
                             pb_size_t expected, messages_ServerMessage *answer, msgsrv_error *error)
{
    struct app_url url;
    struct line line = {.fd = -1, .deadline_ms = now_ms() + timeout_ms, .error = error};
    if (!app_url_read(server, &url))
        return app_error(error, MSGSRV_INVALID_ARGUMENT, "the address is not " APP_URL_FORMS);
    if (url.is_grpc)
        return app_error(error, MSGSRV_INVALID_ARGUMENT, "plain calls are not gRPC's; the address is " APP_URL_FORMS);
    msgsrv_status status = url.is_unix ? open_unix(&line, url.host) : open_tcp(&line, &url);
    if (status == MSGSRV_OK)
        status = send_request(&line, request);
    if (status == MSGSRV_OK)
        status = read_answer(&line, expected, answer);
    close_line(&line);
    return status;
}
