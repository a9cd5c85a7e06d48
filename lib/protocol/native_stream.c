/* SPDX-License-Identifier: MIT */
/* Writing the frames of streams. */
#include "protocol/native_stream.h"

#include "base/error.h"
#include "base/limits.h"

/* Head metadata goes before the first message. */
static bool put_head(const msgsrv_call *call, msi_buf *out)
{
    return call->head_sent || call->head.count == 0 || msi_head_put(out, call->node.id, &call->head);
}

/* Appends an Item. On failure the buffer is as it was. */
static msgsrv_status put_item(msgsrv_stream *stream, const void *message, msi_buf *out, size_t *body, msgsrv_error *error)
{
    msi_open_frame open;
    size_t hint = stream->last_size;
    if (!msi_item_open(out, stream->id, hint, &open))
        return msi_error_memory(error);
    msgsrv_status status = msi_stream_append(stream, message, out, error);
    if (status)
        return status;
    *body = out->len - open.body;
    stream->last_size = *body < 64 * MSI_KIB ? (uint32_t)*body : 64 * MSI_KIB;
    return msi_frame_close(out, &open) ? MSGSRV_OK : msi_error_memory(error);
}

static msgsrv_status item(msgsrv_stream *stream, const void *message, size_t *body, msgsrv_error *error)
{
    msi_outlet *outlet = stream->outlet;
    msi_conn *conn = outlet->conn;
    msgsrv_call *call = msgsrv_stream_call(stream);
    msi_buf *out = msi_conn_out_begin(conn);
    if (!out)
        return MSGSRV_AGAIN; /* the connection takes no more, and will be gone soon */
    size_t before = out->len;
    msgsrv_status status =
        call && !put_head(call, out) ? msi_error_memory(error) : put_item(stream, message, out, body, error);
    if (status) {
        out->len = before;
        return status;
    }
    if (call)
        call->head_sent = true;
    size_t size = out->len - before;
    msi_conn_pin(conn); /* writing may close it */
    if (msi_conn_out_end(conn) && msi_conn_open(conn))
        msi_outlet_sent(outlet, stream, size);
    msi_conn_unpin(conn);
    return MSGSRV_OK;
}

/* Without memory nothing is written, and the connection cannot go on. */
static void written(msi_conn *conn, bool put)
{
    if (put)
        (void)msi_conn_out_end(conn);
    else
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
}

static void half_close(msgsrv_stream *stream)
{
    msi_conn *conn = stream->outlet->conn;
    msi_buf *out = msi_conn_out_begin(conn);
    if (out)
        written(conn, msi_end_put(out, stream->id, &(msi_final){MSGSRV_OK, NULL, NULL}));
}

static void credit(msgsrv_stream *stream, uint32_t items, uint32_t bytes)
{
    msi_conn *conn = stream->outlet->conn;
    msi_buf *out = msi_conn_out_begin(conn);
    if (out)
        written(conn, msi_credit_put(out, stream->id, items, bytes));
}

const msi_stream_protocol msi_native_stream = {item, half_close, credit};
