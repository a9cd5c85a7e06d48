/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What generated code is made of: constant descriptions of messages, methods and services, and the few untyped functions behind the
 * typed ones. Programs use the typed ones. This is the one public header that includes nanopb's.
 */
#ifndef MSGSRV_SERVICE_H
#define MSGSRV_SERVICE_H

#ifndef PB_ENABLE_MALLOC
#define PB_ENABLE_MALLOC 1
#endif
#include <pb.h>

#include <msgsrv/bytes.h>
#include <msgsrv/client.h>
#include <msgsrv/server.h>
#include <msgsrv/stream.h>

/** The layout of the structs in this header. Generated code carries it; another one is refused at register and at call. */
#define MSGSRV_GENERATED_ABI 3

/** Of a field's check before or after nanopb's decoding; see msgsrv_field::kind. */
typedef enum msgsrv_field_kind {
    MSGSRV_FIELD_SCALAR = 0, /**< Nothing to check. */
    MSGSRV_FIELD_STRING = 1, /**< UTF-8, no NUL. */
    MSGSRV_FIELD_BYTES = 2,  /**< At most 65,535 unless it is a #msgsrv_bytes. */
    MSGSRV_FIELD_MESSAGE = 3 /**< A message of type msgsrv_field::message (map entries too). */
} msgsrv_field_kind;

typedef struct msgsrv_message_type msgsrv_message_type;

/** One field of a message, for checks and for errors that name it. */
typedef struct msgsrv_field {
    uint32_t number;                    /**< The field's number in the .proto. */
    uint16_t kind;                      /**< #msgsrv_field_kind. */
    uint16_t repeated;                  /**< 1 for a repeated field (maps too), else 0. */
    const char *name;                   /**< As in the .proto. */
    const msgsrv_message_type *message; /**< For #MSGSRV_FIELD_MESSAGE; else NULL. */
} msgsrv_field;

/**
 * One .proto file as the generator saw it, for reflection and for JSON: a serialized google.protobuf.FileDescriptorProto, with the
 * comments of its source and nothing else of its SourceCodeInfo.
 */
typedef struct msgsrv_proto_file {
    const char *name;                               /**< "package/file.proto", as other files import it. */
    const unsigned char *descriptor;                /**< Its FileDescriptorProto. */
    size_t descriptor_size;                         /**< In bytes. */
    const struct msgsrv_proto_file *const *imports; /**< What it imports, directly; NULL when nothing. Ended by NULL. */
} msgsrv_proto_file;

/** One message type. */
struct msgsrv_message_type {
    const char *name;           /**< "package.Message". */
    const pb_msgdesc_t *nanopb; /**< nanopb's own description, package_Message_msg; NULL: bytes, see #msgsrv_raw_type. */
    size_t struct_size;         /**< sizeof the C struct. */
    const msgsrv_field *fields;    /**< All fields, by ascending number; NULL when there are none. */
    uint32_t field_count;          /**< How many. */
    uint32_t has_strings;          /**< 1 when a string can occur in it, at any depth; else 0. */
    const msgsrv_proto_file *file; /**< Its .proto, for those who decode it without its code; NULL when not known. */
};

/** How many messages go each way. */
typedef enum msgsrv_method_kind {
    MSGSRV_UNARY = 0,            /**< One and one. */
    MSGSRV_CLIENT_STREAMING = 1, /**< Many requests, one reply. */
    MSGSRV_SERVER_STREAMING = 2, /**< One request, many replies. */
    MSGSRV_BIDI_STREAMING = 3    /**< Many and many. */
} msgsrv_method_kind;

/** One method. */
typedef struct msgsrv_method {
    uint32_t abi;                        /**< #MSGSRV_GENERATED_ABI of the generator. */
    uint32_t kind;                       /**< #msgsrv_method_kind. */
    const char *path;                    /**< "/package.Service/Method". */
    const msgsrv_message_type *request;  /**< What is sent. */
    const msgsrv_message_type *response; /**< What comes back. */
} msgsrv_method;

/**
 * Hands one event of a stream to typed code: at the server's end to the function of the handler's struct, at the client's to that of the
 * events in the closure. An event that has no function does nothing and returns #MSGSRV_OK; but a bidirectional handler without `half_close`
 * finishes the stream then.
 *
 * @param implementation  the typed service struct; at the client's end the closure
 * @param stream  this end
 * @param event  which one
 * @param in  BEGIN at the server of a server-streaming method: the request. MESSAGE: the message. CLOSED: `const msgsrv_error *` at the
 *            server, `const msgsrv_reply *` at the client. Else NULL
 * @param out  HALF_CLOSE at the server of a client-streaming method: the response to fill. CLOSED at the client of a client-streaming one:
 *             the response when the status is #MSGSRV_OK, released afterwards. Else NULL
 * @param ctx  what the service was registered with; NULL at the client's end
 * @return what the function returned; ignored for CLOSED and at the client's end
 */
typedef msgsrv_status (*msgsrv_stream_fn)(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                          const void *in, void *out, void *ctx);

/**
 * Calls the typed handler of one unary method.
 *
 * @param implementation  the typed service struct
 * @return what the handler returned; #MSGSRV_UNIMPLEMENTED when the struct's member is NULL
 */
typedef msgsrv_status (*msgsrv_invoke_fn)(const void *implementation, msgsrv_call *call, const void *request,
                                          void *response, void *ctx);

/** How a service struct serves one method. */
typedef struct msgsrv_service_method {
    const msgsrv_method *method; /**< What it is. */
    msgsrv_invoke_fn invoke;     /**< Calls the handler of a unary method; NULL for a streaming one. */
    bool (*implemented)(const void *implementation); /**< Whether the struct's member is not NULL; for a streaming method, whether
                                                          its `begin`, `message` or `half_close` is not. */
    bool (*blocking)(const void *implementation); /**< Whether the struct marks it as blocking; NULL for a streaming method. */
    msgsrv_stream_fn serve;                       /**< Serves a streaming method; NULL for a unary one. */
} msgsrv_service_method;

/** One service. */
typedef struct msgsrv_service {
    uint32_t abi;                         /**< #MSGSRV_GENERATED_ABI of the generator. */
    uint32_t nanopb_header;               /**< PB_PROTO_HEADER_VERSION where the generated code was compiled. */
    uint32_t nanopb_size_bytes;           /**< sizeof(pb_size_t) there. */
    uint32_t nanopb_desc_bytes;           /**< sizeof(pb_msgdesc_t) there. */
    const char *generator;                /**< "protoc-gen-msgsrv 1.0.0". */
    const char *name;                     /**< "package.Service". */
    size_t implementation_size;           /**< sizeof the typed service struct. */
    const msgsrv_service_method *methods; /**< In the order of the .proto. */
    size_t method_count;                  /**< How many. */
    const msgsrv_proto_file *file; /**< The .proto that it is declared in. May be NULL: then reflection does not know it. */
} msgsrv_service;

/** Room for the typed callback and its context in an asynchronous call, in bytes. */
#define MSGSRV_CLOSURE_SIZE 32

/** Room for the typed events and their context of a client's stream, in bytes. */
#define MSGSRV_STREAM_CLOSURE_SIZE 64

/**
 * Ends an asynchronous call: unpacks the closure and calls the typed callback. On the loop's thread, exactly once.
 *
 * @param reply  how it ended; valid during the call
 * @param response  the decoded response when reply->status is #MSGSRV_OK, else NULL. Valid during the call; released afterwards. To
 *                  keep it, copy the struct and clear the original to zero: what it points to is then the keeper's to release.
 * @param closure  the copy of what msgsrv_client_start() was given
 */
typedef void (*msgsrv_complete_fn)(const msgsrv_reply *reply, void *response, const void *closure);

MSGSRV_BEGIN_DECLS

/**
 * Messages as bytes: a type whose struct is #msgsrv_bytes, holding the encoding itself. For methods that are known only while the
 * program runs (a msgsrv_method of the program's own with this as request and response), and for bytes that are passed on as they are. What
 * is sent is not looked at; what is received lives as long as a #msgsrv_bytes of a typed message does.
 */
extern MSGSRV_API const msgsrv_message_type msgsrv_raw_type;

/**
 * Serves a service. Before start; behind the generated `package_Service_register()`.
 *
 * @param server  not started yet
 * @param service  static data of generated code
 * @param implementation  the typed service struct; copied (what its members point to is not)
 * @param ctx  passed to every handler; must live as long as the server
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_ALREADY_EXISTS; #MSGSRV_FAILED_PRECONDITION once started, or when the code was generated or compiled for
 *         another version of this library or of nanopb; #MSGSRV_RESOURCE_EXHAUSTED. On failure none of its methods is served.
 */
MSGSRV_API msgsrv_status msgsrv_server_register(msgsrv_server *server, const msgsrv_service *service,
                                                const void *implementation, void *ctx, msgsrv_error *error);

/**
 * Answers a held call, and consumes it. Any thread. The response is encoded before the function returns.
 *
 * @param held  consumed, also on failure
 * @param method  the call's own; another one is #MSGSRV_INVALID_ARGUMENT, and the call is answered #MSGSRV_INTERNAL
 * @param response  of the method's response type; borrowed during the call
 * @return #MSGSRV_OK when handed to the loop; #MSGSRV_CANCELLED when nobody waits for it any more; #MSGSRV_INVALID_ARGUMENT
 *         when the response does not encode: the call is then answered #MSGSRV_INTERNAL; #MSGSRV_RESOURCE_EXHAUSTED over the message
 *         limit or without memory: the call is answered the same
 */
MSGSRV_API msgsrv_status msgsrv_held_reply(msgsrv_held *held, const msgsrv_method *method, const void *response);

/**
 * Calls a unary method and waits for its end.
 *
 * @param request  borrowed; encoded before anything waits
 * @param options  optional; borrowed
 * @param[out] response  filled on #MSGSRV_OK, the caller's to release (msgsrv_message_release()); untouched otherwise
 * @param[out] error  optional
 * @return the call's final status; or #MSGSRV_FAILED_PRECONDITION as client.h says, #MSGSRV_INVALID_ARGUMENT for a request or an option
 *         that may not travel
 */
MSGSRV_API msgsrv_status msgsrv_client_call(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                            const msgsrv_call_options *options, void *response, msgsrv_error *error);

/**
 * Starts a unary call and returns. On #MSGSRV_OK `complete` is called exactly once, later, on the loop's thread.
 *
 * @param request  borrowed; encoded before the function returns
 * @param options  optional; borrowed
 * @param complete  generated code
 * @param closure  copied
 * @param closure_size  at most #MSGSRV_CLOSURE_SIZE
 * @param[out] handle  optional, for msgsrv_client_cancel()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT; #MSGSRV_RESOURCE_EXHAUSTED over max_calls or without memory; #MSGSRV_FAILED_PRECONDITION
 *         while another thread drives a private loop. Otherwise nothing was started and `complete` is not called.
 */
MSGSRV_API msgsrv_status msgsrv_client_start(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                             const msgsrv_call_options *options, msgsrv_complete_fn complete,
                                             const void *closure, size_t closure_size, msgsrv_handle *handle,
                                             msgsrv_error *error);

/**
 * Sends a message on a stream, or refuses it. The loop's thread.
 *
 * @param stream  at the server's end of a server-streaming or bidirectional call, or the client's of a client-streaming or bidirectional one
 * @param message  of the type that this end sends; borrowed, encoded before the function returns
 * @param[out] error  optional
 * @return #MSGSRV_OK: accepted; #MSGSRV_AGAIN: not now, *writable* follows once; #MSGSRV_INVALID_ARGUMENT when it does not encode;
 *         #MSGSRV_RESOURCE_EXHAUSTED over the message limit or without memory; #MSGSRV_FAILED_PRECONDITION when this end has finished,
 *         the call is over, this end sends nothing, or on another thread. On failure nothing was sent and the stream goes on.
 */
MSGSRV_API msgsrv_status msgsrv_stream_send(msgsrv_stream *stream, const void *message, msgsrv_error *error);

/**
 * Sends one message that is there in parts, each behind the one before it, for a method whose messages are bytes (#msgsrv_raw_type). They are
 * copied once, into the frame. Threads as msgsrv_stream_send().
 *
 * @param parts  borrowed during this function
 * @param count  at least 1
 * @return as msgsrv_stream_send(); #MSGSRV_INVALID_ARGUMENT also when the messages are of another type
 */
MSGSRV_API msgsrv_status msgsrv_stream_send_parts(msgsrv_stream *stream, const msgsrv_bytes *parts, size_t count,
                                                  msgsrv_error *error);

/**
 * Ends a client-streaming call at the server's end with its response, whether the client has finished or not. The loop's thread.
 *
 * @param response  of the method's response type; borrowed, encoded before the function returns
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT when it does not encode: the call has ended #MSGSRV_INTERNAL; #MSGSRV_RESOURCE_EXHAUSTED
 *         over the message limit or without memory: it has ended the same; #MSGSRV_FAILED_PRECONDITION as msgsrv_stream_send()
 */
MSGSRV_API msgsrv_status msgsrv_stream_reply(msgsrv_stream *stream, const void *response, msgsrv_error *error);

/**
 * Opens a streaming call and returns. With `events` it is asynchronous: on #MSGSRV_OK they are told on the loop's thread, later, beginning
 * with BEGIN and ending with CLOSED, exactly once. Without, it is synchronous: for msgsrv_stream_write(), _read() and _close(), where the
 * client's kind allows synchronous calls. Without options.timeout_ms a stream has no deadline.
 *
 * @param request  of a server-streaming method, borrowed and encoded at once; else NULL
 * @param options  optional; borrowed. `head` and `trailer` are for synchronous streams and filled by msgsrv_stream_close()
 * @param events  generated code, or NULL
 * @param closure  copied; the first argument of `events`. NULL only with the size 0: else #MSGSRV_INVALID_ARGUMENT
 * @param closure_size  at most #MSGSRV_STREAM_CLOSURE_SIZE
 * @param[out] stream  with events optional, valid until CLOSED (for a client with a thread of its own it must be NULL: BEGIN has it);
 *                     without events the caller's, until msgsrv_stream_close()
 * @param[out] handle  optional, for msgsrv_client_cancel()
 * @param[out] error  optional
 * @return as msgsrv_client_start(); for a synchronous stream also #MSGSRV_FAILED_PRECONDITION as msgsrv_client_call()
 */
MSGSRV_API msgsrv_status msgsrv_stream_open(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                            const msgsrv_call_options *options, msgsrv_stream_fn events,
                                            const void *closure, size_t closure_size, msgsrv_stream **stream,
                                            msgsrv_handle *handle, msgsrv_error *error);

/**
 * Sends a message on a synchronous stream, waiting until there is room.
 *
 * @param stream  of msgsrv_stream_open() without events; one thread at a time writes, another one may read meanwhile if the client has a
 *                thread of its own
 * @param message  borrowed
 * @param[out] error  optional
 * @return as msgsrv_stream_send(), but never #MSGSRV_AGAIN. When the call is over: its final status, or #MSGSRV_FAILED_PRECONDITION
 *         when that is #MSGSRV_OK
 */
MSGSRV_API msgsrv_status msgsrv_stream_write(msgsrv_stream *stream, const void *message, msgsrv_error *error);

/**
 * Waits for the next message of a synchronous stream.
 *
 * @param stream  as for msgsrv_stream_write()
 * @param[out] message  filled when there is one, the caller's to release (msgsrv_message_release()); untouched otherwise
 * @return true: a message; false: there are no more, and msgsrv_stream_close() says why
 */
MSGSRV_API bool msgsrv_stream_read(msgsrv_stream *stream, void *message);

/**
 * Ends a synchronous stream: half-closes it, discards messages that were not read, waits for the final status, and frees it. To leave one
 * that may last for ever, msgsrv_stream_cancel() it first.
 *
 * @param stream  freed, whatever is returned; may be NULL, which is #MSGSRV_INVALID_ARGUMENT
 * @param[out] response  of a client-streaming method: filled on #MSGSRV_OK, the caller's to release; else NULL
 * @param[out] error  optional
 * @return the call's final status
 */
MSGSRV_API msgsrv_status msgsrv_stream_close(msgsrv_stream *stream, void *response, msgsrv_error *error);

/**
 * The services of a server, those that are built in included once it has started.
 *
 * @param server  any thread, after start; before it, the thread that sets it up
 * @param index  from 0, in the order of registration
 * @return lives as long as the program; NULL beyond the last one
 */
MSGSRV_API const msgsrv_service *msgsrv_server_service(const msgsrv_server *server, size_t index);

/**
 * Releases what a decoded message points to and clears it to zero, so that releasing twice is harmless. Behind the generated `_release`.
 *
 * @param type  of the message
 * @param message  the struct, whose own memory stays the caller's; may be NULL
 */
MSGSRV_API void msgsrv_message_release(const msgsrv_message_type *type, void *message);

/**
 * Encodes a message into memory of its own.
 *
 * @param type  of the message
 * @param message  borrowed
 * @param[out] data  the encoding, to be freed with free(); never NULL on success
 * @param[out] size  its bytes
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a message that does not encode, or a string in it that is not UTF-8;
 *         #MSGSRV_RESOURCE_EXHAUSTED without memory
 */
MSGSRV_API msgsrv_status msgsrv_message_encode(const msgsrv_message_type *type, const void *message, void **data,
                                               size_t *size, msgsrv_error *error);

/**
 * Decodes a message, checking what nanopb does not (UTF-8, NULs inside strings, and telling fields that are too long by their name).
 *
 * @param type  of the message
 * @param data  its encoding; borrowed: what the message holds are copies
 * @param size  its bytes
 * @param[out] message  the caller's struct, on success to be released with msgsrv_message_release(); untouched otherwise
 * @param[out] error  optional; names the field and the remedy
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for what does not decode; #MSGSRV_RESOURCE_EXHAUSTED without memory
 */
MSGSRV_API msgsrv_status msgsrv_message_decode(const msgsrv_message_type *type, const void *data, size_t size,
                                               void *message, msgsrv_error *error);

/**
 * nanopb's callback for fields of type #msgsrv_bytes; the build's `-s callback_function:` names it, programs do not call it. Other
 * callback fields it passes on to pb_default_field_callback().
 */
MSGSRV_API bool msgsrv_field_callback(pb_istream_t *input, pb_ostream_t *output, const pb_field_t *field);

MSGSRV_END_DECLS

#endif
