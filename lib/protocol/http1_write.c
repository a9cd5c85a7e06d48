/* SPDX-License-Identifier: MIT */
/* Answers. Each has a length, so a client knows where it ends. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/connect.h"
#include "schema/json.h"

#define HEAD_ROOM 512u /* of what an answer's head has by itself */

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. */
static void put_date(char *text, size_t room)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm parts;
    if (!gmtime_r(&now, &parts))
        parts = (struct tm){.tm_mday = 1};
    snprintf(text, room, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday,
             months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static const char *reason(unsigned status)
{
    return status == 499 ? "Client Closed Request" : http_status_str((enum http_status)status);
}

static bool put_head(const msi_http_session *session, const msi_http_answer *answer, msi_buf *out)
{
    char head[HEAD_ROOM];
    char date[64];
    put_date(date, sizeof date);
    bool stays = session->request.keep_alive && !session->draining && !session->conn->eof_told;
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                        "X-Content-Type-Options: nosniff\r\n%s",
                        answer->status, reason(answer->status), date, answer->type, answer->size,
                        stays ? "" : "Connection: close\r\n");
    if (size < 0 || (size_t)size >= sizeof head || !msi_buf_append(out, head, (size_t)size))
        return false;
    if (answer->fields && !msi_buf_append(out, answer->fields->data, answer->fields->len))
        return false;
    return msi_buf_append(out, "\r\n", 2);
}

static void put_end(msi_http_session *session, bool written)
{
    if (!written)
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
    else
        (void)msi_conn_out_end(session->conn);
}

void msi_http_write(msi_http_session *session, const msi_http_answer *answer)
{
    msi_buf *out = msi_conn_out_begin(session->conn);
    if (!out)
        return;
    bool written = put_head(session, answer, out);
    if (written && !session->request.head_only)
        written = msi_buf_append(out, answer->body, answer->size);
    put_end(session, written);
}

void msi_http_write_text(msi_http_session *session, unsigned status, const msi_buf *fields, const char *text)
{
    char line[MSGSRV_ERROR_TEXT + 2];
    int size = snprintf(line, sizeof line, "%s\n", text);
    msi_http_write(session, &(msi_http_answer){.status = status,
                                               .type = "text/plain; charset=utf-8",
                                               .fields = fields,
                                               .body = line,
                                               .size = size < 0 ? 0 : (size_t)size});
}

void msi_http_write_error(msi_http_session *session, unsigned status, msgsrv_status code, const msi_buf *fields,
                          const char *text)
{
    char head[64];
    msi_buf body = {0};
    int size = snprintf(head, sizeof head, "{\"code\":\"%s\"", msi_connect_code(code));
    bool good = msi_buf_append(&body, head, (size_t)size);
    if (text && *text)
        good = good && msi_buf_append(&body, ",\"message\":", 11) &&
               msi_json_put_string(&body, (const uint8_t *)text, strlen(text));
    if (good && msi_buf_append(&body, "}", 1))
        msi_http_write(
            session,
            &(msi_http_answer){
                .status = status, .type = "application/json", .fields = fields, .body = body.data, .size = body.len});
    else
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
    msi_buf_release(&body);
}

void msi_http_write_continue(msi_http_session *session)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    msi_buf *out = msi_conn_out_begin(session->conn);
    if (out)
        put_end(session, msi_buf_append(out, text, sizeof text - 1));
}
