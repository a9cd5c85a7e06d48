/* SPDX-License-Identifier: MIT */
/*
 * Every bound of the library with its default. Those with an option are settable (include/msgsrv/server.h
 * and client.h say their ranges); the others are fixed, each for the reason beside it.
 */
#ifndef MSI_BASE_LIMITS_H
#define MSI_BASE_LIMITS_H

#define MSI_KIB 1024u
#define MSI_MIB (1024u * 1024u)

/* Options of servers and clients. */
#define MSI_MAX_MESSAGE (4 * MSI_MIB)
#define MSI_MAX_METADATA (8 * MSI_KIB)
#define MSI_MAX_OUTPUT MSI_MIB
#define MSI_MAX_CALLS 1000u
#define MSI_MAX_CONNECTIONS 10000u
#define MSI_FIRST_BYTE_TIMEOUT_MS 60000u
#define MSI_FRAME_TIMEOUT_MS 30000u
#define MSI_OUTPUT_TIMEOUT_MS 30000u
#define MSI_KEEPALIVE_IDLE_S 60u
#define MSI_KEEPALIVE_INTERVAL_S 20u
#define MSI_KEEPALIVE_COUNT 3u
#define MSI_LINGER_MS 1000u
#define MSI_LINGER_BYTES MSI_MIB
#define MSI_PINGS_PER_SECOND 10u
#define MSI_PING_BURST 100u
#define MSI_IDLE_FRAMES_PER_SECOND 10000u
#define MSI_RESETS_PER_SECOND 100u
#define MSI_RESET_BURST 1000u
#define MSI_PLAIN_MAX_CALLS 1000u
#define MSI_PLAIN_MAX_BYTES MSI_MIB
#define MSI_PLAIN_TIMEOUT_MS 30000u
#define MSI_BACKLOG 1024u
#define MSI_SOCKET_MODE 0600u
#define MSI_WORKER_THREADS 4u
#define MSI_WORKER_QUEUE 1000u
#define MSI_CALL_TIMEOUT_MS 30000u
#define MSI_CONNECT_TIMEOUT_MS 5000u
#define MSI_BACKOFF_MIN_MS 100u
#define MSI_BACKOFF_MAX_MS 10000u
#define MSI_CLIENT_MAX_CALLS 100000u
#define MSI_MAX_STREAM_OUTPUT (256 * MSI_KIB)
#define MSI_MAX_UNREAD (16 * MSI_MIB)
#define MSI_STREAM_ITEMS 64u             /* also what the wire grants at first, each way */
#define MSI_STREAM_BYTES (256 * MSI_KIB) /* the same */

/* Fixed by the wire (docs/protocol.md). */
#define MSI_MESSAGE_CEILING (64 * MSI_MIB) /* what max_message may be, and what a receiver will skip */
#define MSI_FRAME_SLACK (16 * MSI_KIB)     /* how much longer than its body a frame may be */
#define MSI_PING_DATA 64u
#define MSI_METADATA_KEY 64u
#define MSI_METADATA_OVERHEAD 32u /* per entry, as HTTP/2 counts header lists */
#define MSI_PLAIN_FIELDS 15u
#define MSI_PROGRESS_BYTES (16 * MSI_KIB) /* what a frame must move on by within its timeout */

/* Fixed for the machine's sake. */
#define MSI_RECV_SIZE (256 * MSI_KIB)      /* one read of a wake-up; shared by a loop's connections */
#define MSI_FLUSH_SIZE (256 * MSI_KIB)     /* answers are sent when they reach this, before the wake-up ends */
#define MSI_STASH_SMALL (16 * MSI_KIB)     /* an unfinished frame up to this is copied rather than read in place */
#define MSI_DEPTH_MAX 100u                 /* nesting of messages, as other protobuf libraries default to */
#define MSI_DECODE_FACTOR 16u              /* a decoded message takes at most this many times max_message */
#define MSI_DECODE_LEAST (64 * MSI_KIB)    /* or this many times that, for servers of small messages of large structs */
#define MSI_STREAM_QUANTUM (256 * MSI_KIB) /* what one stream may send before the loop looks at the others */
#define MSI_RESEND_MAX 8u                  /* how often a call the server did not take goes out again */

#endif
