/* SPDX-License-Identifier: MIT */
/* Metadata sets: short arrays of checked entries. */
#include "base/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"

static bool key_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool key_valid(const uint8_t *key, size_t size)
{
    if (size == 0 || size > MSI_METADATA_KEY)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!key_char(key[i]))
            return false;
    }
    return true;
}

static bool key_reserved(const uint8_t *key, size_t size)
{
    return (size >= 5 && memcmp(key, "grpc-", 5) == 0) || (size >= 7 && memcmp(key, "msgsrv-", 7) == 0);
}

static bool key_binary(const uint8_t *key, size_t size)
{
    return size >= 4 && memcmp(key + size - 4, "-bin", 4) == 0;
}

static bool value_printable(const uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e)
            return false;
    }
    return true;
}

static msgsrv_status check(const uint8_t *key, size_t key_size, const uint8_t *value, size_t value_size,
                           msgsrv_error *error)
{
    if (!key_valid(key, key_size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "metadata key \"%.*s\": expected 1 to 64 characters of 0-9 a-z _ . -",
                         (int)(key_size > 80 ? 80 : key_size), (const char *)key);
    if (!key_binary(key, key_size) && !value_printable(value, value_size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "metadata \"%.*s\": the value is not printable ASCII; a key that ends in -bin takes any bytes",
                         (int)key_size, (const char *)key);
    return MSGSRV_OK;
}

static msgsrv_status append(msgsrv_metadata_set *set, const uint8_t *key, size_t key_size, const uint8_t *value,
                            size_t value_size, uint32_t limit, msgsrv_error *error)
{
    size_t cost = key_size + value_size + MSI_METADATA_OVERHEAD;
    if (cost > limit || set->size > limit - cost)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "metadata over the limit of %u bytes (keys, values and 32 each)", limit);
    if (set->count == set->room) {
        size_t room = set->room ? set->room * 2 : 4;
        msgsrv_metadata *entries = realloc(set->entries, room * sizeof *entries);
        if (!entries)
            return msi_error_memory(error);
        set->entries = entries;
        set->room = room;
    }
    char *memory = malloc(key_size + value_size + 2);
    if (!memory)
        return msi_error_memory(error);
    memcpy(memory, key, key_size);
    memory[key_size] = '\0';
    if (value_size)
        memcpy(memory + key_size + 1, value, value_size);
    memory[key_size + 1 + value_size] = '\0';
    set->entries[set->count++] = (msgsrv_metadata){memory, memory + key_size + 1, value_size};
    set->size += cost;
    return MSGSRV_OK;
}

size_t msi_metadata_size(const msgsrv_metadata *entry)
{
    if (entry->size || !entry->key || !entry->value || key_binary((const uint8_t *)entry->key, strlen(entry->key)))
        return entry->size;
    return strlen(entry->value);
}

msgsrv_status msi_metadata_check(const msgsrv_metadata *entry, size_t size, msgsrv_error *error)
{
    if (!entry->key)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "metadata: the key is NULL");
    const uint8_t *key = (const uint8_t *)entry->key;
    size_t key_size = strlen(entry->key);
    if (!entry->value && size)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "metadata \"%.64s\": the value is NULL", entry->key);
    msgsrv_status status = check(key, key_size, entry->value, size, error);
    if (status)
        return status;
    if (key_reserved(key, key_size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "metadata key \"%s\": grpc- and msgsrv- are reserved",
                         entry->key);
    return MSGSRV_OK;
}

msgsrv_status msi_metadata_add(msgsrv_metadata_set *set, const msgsrv_metadata *entry, uint32_t limit,
                               msgsrv_error *error)
{
    size_t size = msi_metadata_size(entry);
    msgsrv_status status = msi_metadata_check(entry, size, error);
    if (status)
        return status;
    return append(set, (const uint8_t *)entry->key, strlen(entry->key), entry->value, size, limit, error);
}

msgsrv_status msi_metadata_receive(msgsrv_metadata_set *set, const uint8_t *key, size_t key_size, const uint8_t *value,
                                   size_t value_size, uint32_t limit, msgsrv_error *error)
{
    msgsrv_status status = check(key, key_size, value, value_size, error);
    if (status)
        return status;
    if (key_reserved(key, key_size)) {
        /* It counts all the same, so that reserved keys are no way around the limit. */
        size_t cost = key_size + value_size + MSI_METADATA_OVERHEAD;
        if (cost > limit || set->size > limit - cost)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                             "metadata over the limit of %u bytes (keys, values and 32 each)", limit);
        set->size += cost;
        return MSGSRV_OK;
    }
    return append(set, key, key_size, value, value_size, limit, error);
}

void msi_metadata_clear_entries(msgsrv_metadata_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free((char *)(uintptr_t)set->entries[i].key);
    free(set->entries);
    *set = (msgsrv_metadata_set){0};
}

void msi_metadata_move(msgsrv_metadata_set *to, msgsrv_metadata_set *from)
{
    msi_metadata_clear(to);
    *to = *from;
    *from = (msgsrv_metadata_set){0};
}

msgsrv_status msgsrv_metadata_set_new(msgsrv_metadata_set **set, msgsrv_error *error)
{
    msgsrv_metadata_set *made = calloc(1, sizeof *made);
    if (!made)
        return msi_error_memory(error);
    *set = made;
    return MSGSRV_OK;
}

void msgsrv_metadata_set_free(msgsrv_metadata_set *set)
{
    if (set)
        msi_metadata_clear(set);
    free(set);
}

size_t msgsrv_metadata_count(const msgsrv_metadata_set *set)
{
    return set ? set->count : 0;
}

msgsrv_metadata msgsrv_metadata_at(const msgsrv_metadata_set *set, size_t index)
{
    return index < msgsrv_metadata_count(set) ? set->entries[index] : (msgsrv_metadata){0};
}

const void *msgsrv_metadata_find(const msgsrv_metadata_set *set, const char *key, size_t *size)
{
    for (size_t i = 0; key && i < msgsrv_metadata_count(set); i++) {
        if (strcmp(set->entries[i].key, key) == 0) {
            if (size)
                *size = set->entries[i].size;
            return set->entries[i].value;
        }
    }
    return NULL;
}
