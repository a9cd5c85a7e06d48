/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Metadata: the key-value pairs beside a call's messages, both ways.
 *
 * A key is 1 to 64 characters of `[0-9a-z_.-]`; those that begin with `grpc-` or `msgsrv-` are reserved. A
 * value is printable ASCII (0x20 to 0x7e), or any bytes when the key ends in `-bin`. A key may come several times; order is
 * kept. The size of a set is the sum of its keys and values and 32 for each entry; one direction of a call
 * carries at most 8 KiB by default.
 */
#ifndef MSGSRV_METADATA_H
#define MSGSRV_METADATA_H

#include <msgsrv/status.h>

/** One entry. As an argument it is copied; as a result it points into the set it came from. */
typedef struct msgsrv_metadata {
    const char *key;   /**< NUL-terminated. */
    const void *value; /**< In results NUL-terminated too (the NUL is not counted); never NULL there. */
    size_t size;       /**< Bytes of value. In an argument, 0 with a non-NULL value means strlen(value)
                            for a key without `-bin`. */
} msgsrv_metadata;

/** A set of entries in the order in which they were added or received. Opaque. */
typedef struct msgsrv_metadata_set msgsrv_metadata_set;

MSGSRV_BEGIN_DECLS

/**
 * An empty set, for msgsrv_call_options::head and ::trailer.
 *
 * @param[out] set  the caller's, to be freed with msgsrv_metadata_set_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK, or #MSGSRV_RESOURCE_EXHAUSTED without memory. Any thread.
 */
MSGSRV_API msgsrv_status msgsrv_metadata_set_new(msgsrv_metadata_set **set, msgsrv_error *error);

/**
 * Frees a set that msgsrv_metadata_set_new() made.
 *
 * @param set  may be NULL; no call may still be going to fill it
 */
MSGSRV_API void msgsrv_metadata_set_free(msgsrv_metadata_set *set);

/**
 * How many entries a set has.
 *
 * @param set  may be NULL, which is an empty set
 */
MSGSRV_API size_t msgsrv_metadata_count(const msgsrv_metadata_set *set);

/**
 * The entry at an index.
 *
 * @param set  may be NULL, which is an empty set
 * @param index  from 0
 * @return an entry whose pointers live as long as the set is not changed; at an index beyond the last one, all its
 *         fields are NULL and 0
 */
MSGSRV_API msgsrv_metadata msgsrv_metadata_at(const msgsrv_metadata_set *set, size_t index);

/**
 * The first value of a key.
 *
 * @param set  may be NULL, which is an empty set
 * @param key  compared exactly; borrowed
 * @param[out] size  optional: the value's bytes; untouched when there is none
 * @return the value, NUL-terminated behind its `size` bytes, as long as the set is not changed; NULL when there is none
 */
MSGSRV_API const void *msgsrv_metadata_find(const msgsrv_metadata_set *set, const char *key, size_t *size);

MSGSRV_END_DECLS

#endif
