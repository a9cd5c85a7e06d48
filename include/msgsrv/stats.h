/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What a server counts.
 */
#ifndef MSGSRV_STATS_H
#define MSGSRV_STATS_H

#include <msgsrv/status.h>

/**
 * Why the library refused something: X(NAME, name). Each is a counter of msgsrv_stats::refused; the name is what is printed.
 */
#define MSGSRV_REFUSAL_LIST(X)                                                                       \
    X(CONNECTIONS, "connections")           /* over max_connections: closed without a byte */        \
    X(PROTOCOL_HTTP2, "protocol_http2")     /* first bytes of HTTP/2, where it is not served */      \
    X(PROTOCOL_HTTP1, "protocol_http1")     /* first byte of HTTP/1 */                               \
    X(PROTOCOL_TLS, "protocol_tls")         /* first byte of TLS */                                  \
    X(PROTOCOL_UNKNOWN, "protocol_unknown") /* any other first byte */                               \
    X(FIRST_BYTE, "first_byte")             /* no first byte in time */                              \
    X(SLOW_FRAME, "slow_frame")             /* a frame that made no progress */                      \
    X(SLOW_READER, "slow_reader")           /* output that made no progress */                       \
    X(MALFORMED, "malformed")               /* protocol errors that are not limits */                \
    X(UNBOUND_PLAIN, "unbound_plain")       /* a plain field that nothing is bound to */             \
    X(FRAME_SIZE, "frame_size")             /* a length over the limit: the connection ended */      \
    X(MESSAGE_SIZE, "message_size")         /* a message over the limit: its call ended */           \
    X(METADATA, "metadata")                 /* a call with bad or too much metadata */               \
    X(OPEN_CALLS, "open_calls")             /* a call over max_calls */                              \
    X(STREAMING, "streaming")               /* a call whose streaming flag does not fit */           \
    X(PINGS, "pings")                       /* too many pings: the connection ended */               \
    X(IDLE_FRAMES, "idle_frames")           /* too many frames without effect: it ended */           \
    X(WORKERS, "workers")                   /* a blocking call over worker_queue */                  \
    X(DECODE, "decode")                     /* a request that does not decode */                     \
    X(METHOD, "method")                     /* an unknown or unimplemented method */                 \
    X(DRAINING, "draining")                 /* a call that came after the GoAway */                  \
    X(CREDIT, "credit")                     /* a stream's message beyond its credit */               \
    X(UNREAD, "unread")                     /* a stream's message over max_unread */                 \
    X(HALF_CLOSED, "half_closed")           /* a message after the client had finished */            \
    X(HTTP, "http")                         /* HTTP/2: a request that is not gRPC's */               \
    X(COMPRESSION, "compression")           /* gRPC: a message that does not decompress */           \
    X(STREAM_ID, "stream_id")               /* HTTP/2: an id that is not above the last: it ended */ \
    X(RESETS, "resets")                     /* HTTP/2: too many resets: the connection ended */      \
    X(SETTINGS, "settings")                 /* HTTP/2: too many SETTINGS: the connection ended */    \
    X(HEADER_BLOCK, "header_block")         /* HTTP/2: headers without end: the connection ended */

/* clang-format off */
/** Indices of msgsrv_stats::refused. New ones are added at the end. */
typedef enum msgsrv_refusal {
#define MSGSRV_REFUSAL_ENUM_(name, text) MSGSRV_REFUSED_##name,
    MSGSRV_REFUSAL_LIST(MSGSRV_REFUSAL_ENUM_)
#undef MSGSRV_REFUSAL_ENUM_
    MSGSRV_REFUSAL_COUNT
} msgsrv_refusal;
/* clang-format on */

/** Room in msgsrv_stats::refused, so that reasons can be added without a change of layout. */
#define MSGSRV_REFUSAL_ROOM 64

/**
 * A snapshot. Counters only grow, from 0 at the server's start; gauges, marked so, go up and down. Each number is exact, but
 * they are read one after another while the loops run.
 */
typedef struct msgsrv_stats {
    size_t size;                   /**< In: sizeof(msgsrv_stats), or 0 for its size in 1.0. */
    uint64_t connections_accepted; /**< Connections taken on. */
    uint64_t connections_open;     /**< Gauge: of those, still open. */
    uint64_t calls_started; /**< Calls handed to a method or refused for a reason of their own; plain ones too. */
    uint64_t calls_open;    /**< Gauge: not answered yet. */
    uint64_t calls_ended[MSGSRV_STATUS_COUNT]; /**< By status. */
    uint64_t plain_calls;                      /**< Of calls_started, those that came as plain messages. */
    uint64_t bytes_received;                   /**< From sockets. */
    uint64_t bytes_sent;                       /**< To sockets. */
    uint64_t frames_without_effect;            /**< Skipped: unknown frames, and frames of a call that is over. */
    uint64_t pings;                            /**< Answered. */
    uint64_t input_buffered_bytes;             /**< Gauge: of unfinished frames, or waiting behind back-pressure. */
    uint64_t output_buffered_bytes;            /**< Gauge: waiting for slow readers. */
    uint64_t reads_paused;                     /**< How often reading stopped for back-pressure. */
    uint64_t loop_latency_last_us; /**< Gauge: how late a loop's last one-second tick was, µs; the worst of the loops. */
    uint64_t loop_latency_max_us;          /**< The worst of all ticks, µs. */
    uint64_t refused[MSGSRV_REFUSAL_ROOM]; /**< By #msgsrv_refusal. */
    uint64_t uptime_ms;                    /**< Since the start; 0 before. */
    uint64_t streams_open;                 /**< Gauge: of calls_open, those that stream. */
    uint64_t items_received;               /**< Messages of streams. */
    uint64_t items_sent;                   /**< The same, accepted from handlers. */
    uint64_t sends_refused;                /**< How often a send was refused with #MSGSRV_AGAIN. */
    uint64_t stream_input_items;           /**< Gauge: messages of streams that wait to be handled. */
    uint64_t stream_input_bytes;           /**< Gauge: their bytes. */
} msgsrv_stats;

MSGSRV_BEGIN_DECLS

/**
 * The name of a refusal, e.g. "slow_reader".
 *
 * @return static; NULL for a number that is not in the list
 */
MSGSRV_API const char *msgsrv_refusal_name(msgsrv_refusal refusal);

MSGSRV_END_DECLS

#endif
