/* SPDX-License-Identifier: MIT */
/* From the arguments of a publishing function to a publication: checked, and encoded when it must be. Any thread. */
#ifndef MSI_BUS_PUBLICATION_H
#define MSI_BUS_PUBLICATION_H

#include "base/buf.h"
#include "bus/bus.h"
#include "schema/codec.h"

/* Headers of at most 8 KiB: each counts 32 bytes and has a key. */
#define MSI_HEADERS_MAX 248u

typedef struct msi_made {
    msi_publication publication;
    msi_buf buffer;           /* the payload, when it was encoded; the thread's, until it is given back */
    msgsrv_metadata *headers; /* with exact sizes; to be freed */
} msi_made;

/* A publication. On success it is to be released on the same thread. */
msgsrv_status msi_publication_make(msi_made *made, const msgsrv_bus *bus, const char *topic,
                                   const msgsrv_message_type *type, const void *message,
                                   const msgsrv_publish_options *options, msgsrv_error *error);

/* Type and payload alone: of a reply. */
msgsrv_status msi_payload_make(msi_made *made, const msgsrv_message_type *type, const void *message,
                               const char *type_name, msgsrv_error *error);

void msi_publication_release_slow(msi_made *made);
static inline void msi_publication_release(msi_made *made)
{
    if (made->buffer.data || made->headers)
        msi_publication_release_slow(made);
}

#endif
