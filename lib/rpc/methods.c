/* SPDX-License-Identifier: MIT */
/* The table of methods. */
#include "rpc/methods.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* One registered service: its methods, and a copy of the program's struct. */
typedef struct msi_service_copy {
    struct msi_service_copy *next;
    const msgsrv_service *service;
    void *implementation;
    msi_method methods[];
} msi_service_copy;

static int compare(const uint8_t *path, size_t size, const msi_method *method)
{
    size_t shorter = size < method->path_size ? size : method->path_size;
    int order = shorter ? memcmp(path, method->description->path, shorter) : 0;
    return order ? order : (size > method->path_size) - (size < method->path_size);
}

/* The first place whose path is not below the given one. */
static size_t place_of(const msi_methods *methods, const uint8_t *path, size_t size)
{
    size_t low = 0;
    size_t high = methods->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(path, size, methods->sorted[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

msi_method *msi_methods_find(const msi_methods *methods, const uint8_t *path, size_t size)
{
    size_t place = place_of(methods, path, size);
    if (place < methods->count && compare(path, size, methods->sorted[place]) == 0)
        return methods->sorted[place];
    return NULL;
}

msgsrv_status msi_method_check(const msgsrv_method *method, msgsrv_error *error)
{
    if (!method)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the method is NULL");
    if (method->abi != MSGSRV_GENERATED_ABI)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "the code of %s was generated for layout %u, this library has %u: generate it again",
                         method->path, method->abi, MSGSRV_GENERATED_ABI);
    if (method->kind > MSGSRV_BIDI_STREAMING)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: %u is no kind of method", method->path, method->kind);
    return MSGSRV_OK;
}

static msgsrv_status check_service(const msgsrv_service *service, msgsrv_error *error)
{
    if (service->abi != MSGSRV_GENERATED_ABI)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "a service was generated for layout %u, this library has %u: generate it again", service->abi,
                         MSGSRV_GENERATED_ABI);
    if (service->nanopb_header != PB_PROTO_HEADER_VERSION || service->nanopb_size_bytes != sizeof(pb_size_t) ||
        service->nanopb_desc_bytes != sizeof(pb_msgdesc_t))
        return msi_error(
            error, MSGSRV_FAILED_PRECONDITION,
            "%s was compiled with another nanopb (format %u, sizes %u and %u) than this library (%u, %zu and %zu)",
            service->name, service->nanopb_header, service->nanopb_size_bytes, service->nanopb_desc_bytes,
            (unsigned)PB_PROTO_HEADER_VERSION, sizeof(pb_size_t), sizeof(pb_msgdesc_t));
    return MSGSRV_OK;
}

static msgsrv_status fill(msi_method *method, const msgsrv_service_method *from, const void *implementation, void *ctx,
                          msgsrv_error *error)
{
    msgsrv_status status = msi_method_check(from->method, error);
    if (status)
        return status;
    if (from->method->kind == MSGSRV_UNARY ? !from->invoke : !from->serve)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: no function serves a method of its kind",
                         from->method->path);
    method->description = from->method;
    method->service_method = from;
    method->implementation = implementation;
    method->ctx = ctx;
    method->path_size = strlen(from->method->path);
    method->request_traits = msi_type_look(from->method->request->nanopb);
    method->response_traits = msi_type_look(from->method->response->nanopb);
    method->implemented = from->implemented(implementation);
    method->blocking = from->blocking && from->blocking(implementation);
    if (!method->request_traits.decodable || !method->response_traits.decodable)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "%s: a message has fields of nanopb's callback type; give nanopb fallback_type:FT_POINTER, as "
                         "msgsrv_generate() does",
                         from->method->path);
    return MSGSRV_OK;
}

static void free_copy(msi_service_copy *copy)
{
    free(copy->implementation);
    free(copy);
}

static msgsrv_status make_copy(const msgsrv_service *service, const void *implementation, void *ctx,
                               msi_service_copy **made, msgsrv_error *error)
{
    msi_service_copy *copy = calloc(1, sizeof *copy + service->method_count * sizeof copy->methods[0]);
    if (copy)
        copy->implementation = malloc(service->implementation_size ? service->implementation_size : 1);
    if (!copy || !copy->implementation) {
        free(copy);
        return msi_error_memory(error);
    }
    copy->service = service;
    memcpy(copy->implementation, implementation, service->implementation_size);
    msgsrv_status status = MSGSRV_OK;
    for (size_t i = 0; i < service->method_count && status == MSGSRV_OK; i++)
        status = fill(&copy->methods[i], &service->methods[i], copy->implementation, ctx, error);
    if (status)
        free_copy(copy);
    else
        *made = copy;
    return status;
}

static msgsrv_status check_free(const msi_methods *methods, const msgsrv_service *service, msgsrv_error *error)
{
    for (size_t i = 0; i < service->method_count; i++) {
        const char *path = service->methods[i].method->path;
        if (msi_methods_find(methods, (const uint8_t *)path, strlen(path)))
            return msi_error(error, MSGSRV_ALREADY_EXISTS, "%s is registered already", path);
    }
    return MSGSRV_OK;
}

msgsrv_status msi_methods_add(msi_methods *methods, const msgsrv_service *service, const void *implementation,
                              void *ctx, msgsrv_error *error)
{
    if (!service || !implementation)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the service or its implementation is NULL");
    msgsrv_status status = check_service(service, error);
    msi_service_copy *copy = NULL;
    if (status == MSGSRV_OK)
        status = make_copy(service, implementation, ctx, &copy, error);
    if (status)
        return status;
    status = check_free(methods, service, error);
    size_t count = methods->count + service->method_count;
    msi_method **sorted = status ? NULL : realloc(methods->sorted, (count ? count : 1) * sizeof *sorted);
    if (!sorted) {
        free_copy(copy);
        return status ? status : msi_error_memory(error);
    }
    methods->sorted = sorted;
    for (size_t i = 0; i < service->method_count; i++) {
        msi_method *method = &copy->methods[i];
        size_t place = place_of(methods, (const uint8_t *)method->description->path, method->path_size);
        memmove(sorted + place + 1, sorted + place, (methods->count - place) * sizeof *sorted);
        sorted[place] = method;
        methods->count++;
    }
    struct msi_service_copy **last = &methods->services;
    while (*last)
        last = &(*last)->next;
    *last = copy;
    return MSGSRV_OK;
}

const msgsrv_service *msi_methods_service(const msi_methods *methods, size_t index)
{
    const struct msi_service_copy *at = methods->services;
    while (at && index--)
        at = at->next;
    return at ? at->service : NULL;
}

void msi_methods_release(msi_methods *methods)
{
    while (methods->services) {
        msi_service_copy *copy = methods->services;
        methods->services = copy->next;
        free_copy(copy);
    }
    free(methods->sorted);
    *methods = (msi_methods){0};
}
