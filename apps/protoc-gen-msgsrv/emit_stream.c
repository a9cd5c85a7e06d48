/* SPDX-License-Identifier: MIT */
/*
 * What is generated for a streaming method. Each piece is a template; the kind of the method chooses among them.
 */
#include "comments.h"
#include "emit.h"

/* The templates look like what they make. */
/* clang-format off */

static const char handler_begin[] =
    "\n"
    "/** The server's end of a call of $path$, passed by value; msgsrv/stream.h is about its member. */\n"
    "typedef struct $function$_server {\n"
    "    msgsrv_stream *stream;\n"
    "} $function$_server;\n"
    "\n"
    "/**\n"
    " * Serves $path$: its functions, each of which may be NULL, are called one at a time on the\n"
    " * loop's thread, begin first and closed last. MSGSRV_OK, MSGSRV_AGAIN and MSGSRV_DEFERRED go on; another\n"
    " * code fails the call with it, as msgsrv_stream_fail() does with a text.\n"
    " */\n"
    "typedef struct $function$_handler {\n";

static const char begin_with_request[] =
    "    /** A call begins; the request is borrowed until closed has returned. Send, and finish the stream in the end. */\n"
    "    msgsrv_status (*begin)($function$_server call, const $request$ *request, void *ctx);\n";

static const char begin_alone[] =
    "    /** A call begins. */\n"
    "    msgsrv_status (*begin)($function$_server call, void *ctx);\n";

static const char on_message[] =
    "    /** A message; borrowed during the function, after which its credit is given back. */\n"
    "    msgsrv_status (*message)($function$_server call, const $request$ *message, void *ctx);\n";

static const char half_close_with_response[] =
    "    /**\n"
    "     * The client has sent all. The response begins zeroed; MSGSRV_OK sends it, MSGSRV_DEFERRED leaves that\n"
    "     * to $function$_server_reply().\n"
    "     */\n"
    "    msgsrv_status (*half_close)($function$_server call, $response$ *response, void *ctx);\n";

static const char half_close_alone[] =
    "    /** The client has sent all. When NULL, the call is finished then. */\n"
    "    msgsrv_status (*half_close)($function$_server call, void *ctx);\n";

static const char writable[] =
    "    /** A send that was refused with MSGSRV_AGAIN may be tried again. */\n"
    "    msgsrv_status (*writable)($function$_server call, void *ctx);\n";

static const char handler_end[] =
    "    /** msgsrv_stream_wake(), or msgsrv_stream_wake_after(). */\n"
    "    msgsrv_status (*woken)($function$_server call, void *ctx);\n"
    "    /** The server begins to drain: end soon. */\n"
    "    msgsrv_status (*draining)($function$_server call, void *ctx);\n"
    "    /** The call has ended, as `outcome` says, which is borrowed. The last one: free what is the call's. */\n"
    "    void (*closed)($function$_server call, const msgsrv_error *outcome, void *ctx);\n"
    "} $function$_handler;\n";

static const char method_begin[] =
    "\n"
    "/** The method $path$. */\n"
    "extern const msgsrv_method $function$_method;\n";

static const char server_send[] =
    "\n"
    "/**\n"
    " * Sends a message of $path$, which is borrowed, and encoded at once; or refuses it with\n"
    " * MSGSRV_AGAIN, and writable follows. The loop's thread. Returns what msgsrv_stream_send() does.\n"
    " */\n"
    "static inline msgsrv_status $function$_server_send(\n"
    "    $function$_server call, const $response$ *message, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_send(call.stream, message, error);\n"
    "}\n";

static const char server_reply[] =
    "\n"
    "/**\n"
    " * Ends $path$ with its response, which is borrowed, and encoded at once; also before the\n"
    " * client has sent all. The loop's thread. Returns what msgsrv_stream_reply() does.\n"
    " */\n"
    "static inline msgsrv_status $function$_server_reply(\n"
    "    $function$_server call, const $response$ *response, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_reply(call.stream, response, error);\n"
    "}\n";

static const char client_begin[] =
    "\n"
    "/** The client's end of a call of $path$, passed by value; msgsrv/stream.h is about its member. */\n"
    "typedef struct $function$_client {\n"
    "    msgsrv_stream *stream;\n"
    "} $function$_client;\n"
    "\n"
    "/** What is told of an asynchronous $path$, on the loop's thread; each may be NULL. */\n"
    "typedef struct $function$_events {\n"
    "    /** The first of all. */\n"
    "    void (*begin)($function$_client call, void *ctx);\n";

static const char client_message[] =
    "    /** A message; borrowed during the function, after which its credit is given back. */\n"
    "    void (*message)($function$_client call, const $response$ *message, void *ctx);\n";

static const char client_writable[] =
    "    /** A send that was refused with MSGSRV_AGAIN may be tried again. */\n"
    "    void (*writable)($function$_client call, void *ctx);\n";

static const char client_woken[] =
    "    /** msgsrv_stream_wake(), or msgsrv_stream_wake_after(). */\n"
    "    void (*woken)($function$_client call, void *ctx);\n";

static const char client_end[] =
    "    /** The call has ended, as `reply` says, which is borrowed; once, and the last one. */\n"
    "    void (*closed)($function$_client call, const msgsrv_reply *reply, void *ctx);\n"
    "} $function$_events;\n";

static const char client_end_response[] =
    "    /**\n"
    "     * The call has ended, as `reply` says, which is borrowed; once, and the last one. The response is NULL\n"
    "     * unless reply->status is MSGSRV_OK, and is released afterwards (to keep it, copy the struct and clear\n"
    "     * the original to zero).\n"
    "     */\n"
    "    void (*closed)($function$_client call, const msgsrv_reply *reply, $response$ *response, void *ctx);\n"
    "} $function$_events;\n";

static const char client_closure[] =
    "\n"
    "/** What an asynchronous $path$ remembers; the library copies it. */\n"
    "typedef struct $function$_closure {\n"
    "    $function$_events events;\n"
    "    void *ctx;\n"
    "} $function$_closure;\n"
    "\n"
    "/** For the library: tells an event of a closure's. */\n"
    "msgsrv_status $function$_event(\n"
    "    const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out,\n"
    "    void *ctx);\n"
    "\n"
    "/**\n";

static const char open_text[] =
    " * Opens $path$ and returns.\n"
    "$request_note$"
    " * The events are copied; each function may be NULL, but not `events`. On MSGSRV_OK they are told, later, on the\n"
    " * loop's thread: begin first, closed last and exactly once; otherwise nothing was started. `call` and `handle`\n"
    " * may be NULL; with a client that has a thread of its own `call` must be, and begin brings it. Returns what\n"
    " * msgsrv_stream_open() does.\n"
    " */\n"
    "static inline msgsrv_status $function$_open(\n"
    "    msgsrv_client *client, $request_parameter$const msgsrv_call_options *options,\n"
    "    const $function$_events *events, void *ctx, $function$_client *call, msgsrv_handle *handle,\n"
    "    msgsrv_error *error)\n"
    "{\n"
    "    $function$_closure closure;\n"
    "\n"
    "    if (events != NULL)\n"
    "        closure.events = *events;\n"
    "    closure.ctx = ctx;\n"
    "    return msgsrv_stream_open(client, &$function$_method, $request_argument$, options, $function$_event,\n"
    "                              events != NULL ? &closure : NULL, sizeof closure, call ? &call->stream : NULL,\n"
    "                              handle, error);\n"
    "}\n"
    "\n"
    "/**\n"
    " * Opens $path$ synchronously, where synchronous calls may be made.\n"
    "$request_note$"
    " * On MSGSRV_OK `call` is the caller's, for the functions below, until\n"
    " * $function$_close(). Returns what msgsrv_stream_open() does.\n"
    " */\n"
    "static inline msgsrv_status $function$_start(\n"
    "    msgsrv_client *client, $request_parameter$const msgsrv_call_options *options,\n"
    "    $function$_client *call, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_open(client, &$function$_method, $request_argument$, options, NULL, NULL, 0,\n"
    "                              &call->stream, NULL, error);\n"
    "}\n";

static const char client_sends[] =
    "\n"
    "/**\n"
    " * Sends a message of an asynchronous call, which is borrowed, and encoded at once; or refuses it with\n"
    " * MSGSRV_AGAIN, and writable follows. The loop's thread. Returns what msgsrv_stream_send() does.\n"
    " */\n"
    "static inline msgsrv_status $function$_client_send(\n"
    "    $function$_client call, const $request$ *message, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_send(call.stream, message, error);\n"
    "}\n"
    "\n"
    "/** Sends a message of a synchronous call, which is borrowed, waiting for room. As msgsrv_stream_write(). */\n"
    "static inline msgsrv_status $function$_write(\n"
    "    $function$_client call, const $request$ *message, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_write(call.stream, message, error);\n"
    "}\n";

static const char client_reads[] =
    "\n"
    "/**\n"
    " * Waits for the next message of a synchronous call. True: it is the caller's, to be released with\n"
    " * $response$_release(). False: there are no more, and it is untouched. As msgsrv_stream_read().\n"
    " */\n"
    "static inline bool $function$_read($function$_client call, $response$ *message)\n"
    "{\n"
    "    return msgsrv_stream_read(call.stream, message);\n"
    "}\n";

static const char close_text[] =
    "\n"
    "/** Ends a synchronous call: waits for its final status, returns it, and frees the stream. As msgsrv_stream_close(). */\n"
    "static inline msgsrv_status $function$_close($function$_client call, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_close(call.stream, NULL, error);\n"
    "}\n";

static const char close_response_text[] =
    "\n"
    "/**\n"
    " * Ends a synchronous call: says that all was sent, waits for the response and the final status, returns that,\n"
    " * and frees the stream. On MSGSRV_OK the response is the caller's, to be released with\n"
    " * $response$_release(); otherwise it is untouched. As msgsrv_stream_close().\n"
    " */\n"
    "static inline msgsrv_status $function$_close(\n"
    "    $function$_client call, $response$ *response, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_stream_close(call.stream, response, error);\n"
    "}\n";

static const char source_begin[] =
    "\n"
    "const msgsrv_method $function$_method = {\n"
    "    .abi = MSGSRV_GENERATED_ABI,\n"
    "    .kind = $kind$,\n"
    "    .path = \"$path$\",\n"
    "    .request = &$request$_type,\n"
    "    .response = &$response$_type,\n"
    "};\n"
    "\n"
    "static bool $function$_implemented(const void *implementation)\n"
    "{\n"
    "    const $function$_handler *handler = &((const $svc$_service *)implementation)->$method$;\n"
    "\n";

/* Whichever can bring the call to its end: without all of them nothing ever would. */
static const char implemented_by_begin[] = "    return handler->begin != NULL;\n}\n";
static const char implemented_by_any[] =
    "    return handler->begin != NULL || handler->message != NULL || handler->half_close != NULL;\n}\n";

static const char serve_begin[] =
    "\n"
    "static msgsrv_status $function$_serve(\n"
    "    const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out,\n"
    "    void *ctx)\n"
    "{\n"
    "    const $function$_handler *handler = &((const $svc$_service *)implementation)->$method$;\n"
    "    $function$_server call;\n"
    "\n"
    "    (void)out;\n"
    "    call.stream = stream;\n"
    "    switch (event) {\n";

static const char serve_begin_request[] =
    "    case MSGSRV_STREAM_BEGIN:\n"
    "        return handler->begin != NULL ? handler->begin(call, (const $request$ *)in, ctx) : MSGSRV_OK;\n";
static const char serve_begin_alone[] =
    "    case MSGSRV_STREAM_BEGIN:\n"
    "        return handler->begin != NULL ? handler->begin(call, ctx) : MSGSRV_OK;\n";
static const char serve_message[] =
    "    case MSGSRV_STREAM_MESSAGE:\n"
    "        return handler->message != NULL ? handler->message(call, (const $request$ *)in, ctx) : MSGSRV_OK;\n";
static const char serve_half_close_response[] =
    "    case MSGSRV_STREAM_HALF_CLOSE:\n"
    "        return handler->half_close != NULL ? handler->half_close(call, ($response$ *)out, ctx) : MSGSRV_OK;\n";
static const char serve_half_close[] =
    "    case MSGSRV_STREAM_HALF_CLOSE:\n"
    "        if (handler->half_close != NULL)\n"
    "            return handler->half_close(call, ctx);\n"
    "        (void)msgsrv_stream_finish(stream);\n"
    "        return MSGSRV_OK;\n";
static const char serve_writable[] =
    "    case MSGSRV_STREAM_WRITABLE:\n"
    "        return handler->writable != NULL ? handler->writable(call, ctx) : MSGSRV_OK;\n";
static const char serve_end[] =
    "    case MSGSRV_STREAM_WOKEN:\n"
    "        return handler->woken != NULL ? handler->woken(call, ctx) : MSGSRV_OK;\n"
    "    case MSGSRV_STREAM_DRAINING:\n"
    "        return handler->draining != NULL ? handler->draining(call, ctx) : MSGSRV_OK;\n"
    "    case MSGSRV_STREAM_CLOSED:\n"
    "        if (handler->closed != NULL)\n"
    "            handler->closed(call, (const msgsrv_error *)in, ctx);\n"
    "        return MSGSRV_OK;\n"
    "    default:\n"
    "        return MSGSRV_OK;\n"
    "    }\n"
    "}\n";

static const char event_begin[] =
    "\n"
    "msgsrv_status $function$_event(\n"
    "    const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out,\n"
    "    void *ctx)\n"
    "{\n"
    "    const $function$_closure *closure = (const $function$_closure *)implementation;\n"
    "    $function$_client call;\n"
    "\n"
    "    (void)in;\n"
    "    (void)out;\n"
    "    (void)ctx;\n"
    "    call.stream = stream;\n"
    "    if (event == MSGSRV_STREAM_BEGIN && closure->events.begin != NULL)\n"
    "        closure->events.begin(call, closure->ctx);\n";

static const char event_message[] =
    "    if (event == MSGSRV_STREAM_MESSAGE && closure->events.message != NULL)\n"
    "        closure->events.message(call, (const $response$ *)in, closure->ctx);\n";
static const char event_writable[] =
    "    if (event == MSGSRV_STREAM_WRITABLE && closure->events.writable != NULL)\n"
    "        closure->events.writable(call, closure->ctx);\n";
static const char event_woken[] =
    "    if (event == MSGSRV_STREAM_WOKEN && closure->events.woken != NULL)\n"
    "        closure->events.woken(call, closure->ctx);\n";
static const char event_closed[] =
    "    if (event == MSGSRV_STREAM_CLOSED && closure->events.closed != NULL)\n"
    "        closure->events.closed(call, (const msgsrv_reply *)in, closure->ctx);\n"
    "    return MSGSRV_OK;\n"
    "}\n";
static const char event_closed_response[] =
    "    if (event == MSGSRV_STREAM_CLOSED && closure->events.closed != NULL)\n"
    "        closure->events.closed(call, (const msgsrv_reply *)in, ($response$ *)out, closure->ctx);\n"
    "    return MSGSRV_OK;\n"
    "}\n";

/* clang-format on */

bool msi_streams(const msi_method_proto *method)
{
    return method->client_streaming || method->server_streaming;
}

/* One of two templates. */
static void choose(msi_buffer *out, const msi_method_values *values, bool first, const char *one, const char *other)
{
    const char *text = first ? one : other;

    if (text != NULL)
        msi_template(out, values->values, text);
}

void msi_emit_stream_handler(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values)
{
    bool requests = method->client_streaming, responses = method->server_streaming;

    msi_template(out, values->values, handler_begin);
    choose(out, values, requests, begin_alone, begin_with_request);
    choose(out, values, requests, on_message, NULL);
    if (requests)
        choose(out, values, responses, half_close_alone, half_close_with_response);
    choose(out, values, responses, writable, NULL);
    msi_template(out, values->values, handler_end);
}

void msi_emit_stream_functions(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values,
                               const msi_place *place)
{
    bool requests = method->client_streaming, responses = method->server_streaming;

    msi_template(out, values->values, method_begin);
    choose(out, values, responses, server_send, server_reply);
    msi_template(out, values->values, client_begin);
    choose(out, values, responses, client_message, NULL);
    choose(out, values, requests, client_writable, NULL);
    msi_template(out, values->values, client_woken);
    choose(out, values, responses, client_end, client_end_response);
    msi_template(out, values->values, client_closure);
    msi_comment(out, place, " * ");
    msi_template(out, values->values, open_text);
    choose(out, values, requests, client_sends, NULL);
    choose(out, values, responses, client_reads, NULL);
    choose(out, values, responses, close_text, close_response_text);
}

void msi_emit_stream_source(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values)
{
    bool requests = method->client_streaming, responses = method->server_streaming;

    msi_template(out, values->values, source_begin);
    choose(out, values, requests, implemented_by_any, implemented_by_begin);
    msi_template(out, values->values, serve_begin);
    choose(out, values, requests, serve_begin_alone, serve_begin_request);
    choose(out, values, requests, serve_message, NULL);
    if (requests)
        choose(out, values, responses, serve_half_close, serve_half_close_response);
    choose(out, values, responses, serve_writable, NULL);
    msi_template(out, values->values, serve_end);
    msi_template(out, values->values, event_begin);
    choose(out, values, responses, event_message, NULL);
    choose(out, values, requests, event_writable, NULL);
    msi_template(out, values->values, event_woken);
    choose(out, values, responses, event_closed, event_closed_response);
}
