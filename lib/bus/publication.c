/* SPDX-License-Identifier: MIT */
/*
 * Making publications. What was found out about a type, the last topic that was good, and a buffer to encode into are kept for each thread:
 * publishing on a bus of this process takes less time than a lock that is shared for them would.
 */
#include "bus/publication.h"

#include <pb_common.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/metadata.h"
#include "base/option.h"
#include "base/zero.h"
#include "bus/match.h"

#define KNOWN_TYPES 16u /* of a thread, by their address; a power of two */
#define KEPT_BUFFER (64 * MSI_KIB)

/* What is known of a type. A type whose memory was used again for another has other members. */
typedef struct known_type {
    const msgsrv_message_type *type;
    const char *name;
    const pb_msgdesc_t *nanopb;
    size_t struct_size;
    size_t name_size;
    bool copies; /* its struct can be copied as it is: nothing in it points anywhere */
    msi_type_traits traits;
} known_type;

typedef struct scratch {
    known_type types[KNOWN_TYPES];
    char topic[MSI_TOPIC_MAX + 1]; /* the last one that was good */
    char type[MSI_TOPIC_MAX + 1];  /* and of raw publications, its type */
    msi_buf buffer;
} scratch;

static _Thread_local scratch *mine;
static pthread_key_t mine_key;
static pthread_once_t mine_once = PTHREAD_ONCE_INIT;
static bool mine_has_key;

static void free_scratch(void *arg)
{
    scratch *gone = arg;
    mine = NULL;
    msi_buf_release(&gone->buffer);
    free(gone);
}

static void make_key(void)
{
    mine_has_key = pthread_key_create(&mine_key, free_scratch) == 0;
}

static scratch *make_scratch(void)
{
    if (pthread_once(&mine_once, make_key) != 0 || !mine_has_key)
        return NULL;
    scratch *made = calloc(1, sizeof *made);
    if (made && pthread_setspecific(mine_key, made) != 0) {
        free(made);
        made = NULL;
    }
    mine = made;
    return made;
}

static inline scratch *get_scratch(void)
{
    scratch *there = mine;
    return there ? there : make_scratch();
}

/* Types. */

static known_type *learn(known_type *place, const msgsrv_message_type *type)
{
    msi_type_traits traits = msi_type_look(type->nanopb);
    *place = (known_type){
        .type = type,
        .name = type->name,
        .nanopb = type->nanopb,
        .struct_size = type->struct_size,
        .name_size = strlen(type->name),
        .copies = !type->has_strings && !traits.raw && !traits.releases && !traits.has_views && traits.decodable,
        .traits = traits,
    };
    return place;
}

static inline known_type *know(scratch *of, const msgsrv_message_type *type)
{
    known_type *place = &of->types[((uintptr_t)type >> 4) % KNOWN_TYPES];
    bool known = place->type == type && place->name == type->name && place->nanopb == type->nanopb &&
                 place->struct_size == type->struct_size;
    return known ? place : learn(place, type);
}

/* Names. */

static inline msgsrv_status take_topic(scratch *of, const char *topic, msi_view *view, msgsrv_error *error)
{
    view->data = (const uint8_t *)topic;
    view->size = strlen(topic);
    if (view->size <= MSI_TOPIC_MAX && view->size && memcmp(of->topic, topic, view->size + 1) == 0)
        return MSGSRV_OK;
    msgsrv_status status = msi_check_topic(*view, error);
    if (status == MSGSRV_OK)
        memcpy(of->topic, topic, view->size + 1);
    return status;
}

static msgsrv_status take_type_name(scratch *of, const char *type, msi_view *view, msgsrv_error *error)
{
    view->data = (const uint8_t *)type;
    view->size = strlen(type);
    if (view->size < sizeof of->type && view->size && memcmp(of->type, type, view->size + 1) == 0)
        return MSGSRV_OK;
    msgsrv_status status = msi_check_type_name(*view, error);
    if (status == MSGSRV_OK)
        memcpy(of->type, type, view->size + 1);
    return status;
}

/* Payloads. */

/* The buffer is taken out of the thread's while it is used: an encoding callback of the program's may publish as well. */
static msgsrv_status encode(scratch *of, const known_type *known, const void *message, msi_made *made,
                            msgsrv_error *error)
{
    made->buffer = of->buffer;
    of->buffer = (msi_buf){0};
    made->buffer.len = 0;
    msgsrv_status status = msi_buf_reserve(&made->buffer, 1) ? MSGSRV_OK : msi_error_memory(error);
    if (status == MSGSRV_OK)
        status = msi_encode(known->type, &known->traits, message, MSI_MESSAGE_CEILING, &made->buffer, error);
    if (status) {
        msi_publication_release(made);
        return status;
    }
    made->publication.payload = (msi_view){made->buffer.data, made->buffer.len};
    return MSGSRV_OK;
}

static msgsrv_status take_raw(scratch *of, const msgsrv_bytes *bytes, const char *type, msi_publication *publication,
                              msgsrv_error *error)
{
    if (!type)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "bytes are published without their type's name");
    if (bytes->size && !bytes->data)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "bytes of size %zu without data", bytes->size);
    publication->payload = (msi_view){bytes->data ? bytes->data : (const uint8_t *)"", bytes->size};
    return take_type_name(of, type, &publication->type, error);
}

static msgsrv_status check_arguments(const msgsrv_message_type *type, const void *message, msgsrv_error *error)
{
    if (!type || !message)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", type ? "message" : "type");
    return MSGSRV_OK;
}

msgsrv_status msi_payload_make(msi_made *made, const msgsrv_message_type *type, const void *message,
                               const char *type_name, msgsrv_error *error)
{
    *made = (msi_made){0};
    msgsrv_status status = check_arguments(type, message, error);
    if (status)
        return status;
    scratch *of = get_scratch();
    if (!of)
        return msi_error_memory(error);
    if (!type->nanopb)
        return take_raw(of, message, type_name, &made->publication, error);
    const known_type *known = know(of, type);
    made->publication.type = (msi_view){(const uint8_t *)known->name, known->name_size};
    return encode(of, known, message, made, error);
}

/* Options. */

static msgsrv_status take_headers(msi_made *made, const msgsrv_publish_options *o, msgsrv_error *error)
{
    if (!o->headers)
        return msi_check_headers(NULL, o->header_count, error);
    if (o->header_count > MSI_HEADERS_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "headers over the limit of %u bytes (keys, values and 32 each)", MSI_MAX_METADATA);
    made->headers = calloc(o->header_count, sizeof *made->headers);
    if (!made->headers)
        return msi_error_memory(error);
    for (size_t i = 0; i < o->header_count; i++) {
        made->headers[i] = o->headers[i];
        made->headers[i].size = msi_metadata_size(&o->headers[i]);
    }
    msgsrv_status status = msi_check_headers(made->headers, o->header_count, error);
    for (size_t i = 0; i < o->header_count && status == MSGSRV_OK; i++) {
        if (!made->headers[i].value)
            made->headers[i].value = "";
    }
    made->publication.headers = made->headers;
    made->publication.header_count = (uint32_t)o->header_count;
    return status;
}

static msgsrv_status take_options(msi_made *made, const msgsrv_publish_options *options, const char **type_name,
                                  msgsrv_error *error)
{
    msgsrv_publish_options o;
    msgsrv_status status = msi_options_copy(&o, sizeof o, offsetof(msgsrv_publish_options, delay_ms) + sizeof o.delay_ms,
                                            options, options->size, "msgsrv_publish_options", error);
    if (status)
        return status;
    *type_name = o.type;
    msi_publication *publication = &made->publication;
    publication->ttl_ms = o.ttl_ms;
    publication->delay_ms = o.delay_ms;
    if (o.id)
        publication->id = msi_view_of(o.id);
    if (publication->id.size > MSI_PUBLICATION_ID_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_publish_options: id has %zu bytes, expected at most %u",
                         publication->id.size, MSI_PUBLICATION_ID_MAX);
    return o.header_count ? take_headers(made, &o, error) : MSGSRV_OK;
}

/* All but the topic. */
static msgsrv_status take_message(scratch *of, msi_made *made, const msgsrv_bus *bus, const msgsrv_message_type *type,
                                  const void *message, const char *type_name, msgsrv_error *error)
{
    msi_publication *publication = &made->publication;
    if (!type->nanopb)
        return take_raw(of, message, type_name, publication, error);
    const known_type *known = know(of, type);
    publication->type = (msi_view){(const uint8_t *)known->name, known->name_size};
    bool local = msi_bus_core(bus) != NULL;
    if (local && type->file)
        publication->described = type;
    if (known->copies && local) {
        publication->struct_type = type;
        publication->message = message;
        return MSGSRV_OK;
    }
    if (!local)
        publication->struct_type = type;
    return encode(of, known, message, made, error);
}

msgsrv_status msi_publication_make(msi_made *made, const msgsrv_bus *bus, const char *topic,
                                   const msgsrv_message_type *type, const void *message,
                                   const msgsrv_publish_options *options, msgsrv_error *error)
{
    msi_zero(made, sizeof *made);
    if (!bus || !topic)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", bus ? "topic" : "bus");
    msgsrv_status status = check_arguments(type, message, error);
    if (status)
        return status;
    scratch *of = get_scratch();
    if (!of)
        return msi_error_memory(error);
    const char *type_name = NULL;
    status = take_topic(of, topic, &made->publication.topic, error);
    if (status == MSGSRV_OK && options)
        status = take_options(made, options, &type_name, error);
    if (status == MSGSRV_OK)
        status = take_message(of, made, bus, type, message, type_name, error);
    if (status)
        msi_publication_release(made);
    return status;
}

void msi_publication_release_slow(msi_made *made)
{
    scratch *of = mine;
    if (made->buffer.data && of && !of->buffer.data && made->buffer.cap <= KEPT_BUFFER)
        of->buffer = made->buffer;
    else
        msi_buf_release(&made->buffer);
    made->buffer = (msi_buf){0};
    free(made->headers);
    made->headers = NULL;
}
