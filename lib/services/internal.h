/* SPDX-License-Identifier: MIT */
/*
 * What the built-in services share. Each is an object of its own: made and registered while the server is set up, made ready when all services
 * of the server are known, and constant from then on but for what it guards itself.
 */
#ifndef MSI_SERVICES_INTERNAL_H
#define MSI_SERVICES_INTERNAL_H

#include <msgsrv/schema.h>
#include <msgsrv/service.h>
#include <msgsrv/services.h>

#include "services/builtin.h"

/* What a stream that would last ends with when the server drains. */
#define MSI_SHUTTING_DOWN "the server is shutting down"

/* Fills an error, which may be NULL, and returns its code. */
msgsrv_status msi_services_error(msgsrv_error *error, msgsrv_status code, const char *format, ...) MSGSRV_PRINTF(3, 4);
msgsrv_status msi_services_no_memory(msgsrv_error *error);

/* nanopb's strings are not const; those that are only sent are not changed either. */
static inline char *msi_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* The health service. */
typedef struct msi_health msi_health;
msi_health *msi_health_new(msgsrv_server *server); /* NULL without memory */
msgsrv_status msi_health_register(msi_health *health, msgsrv_error *error);
/* Makes the whole server and all services SERVING. */
msgsrv_status msi_health_ready(msi_health *health, msgsrv_error *error);
msgsrv_status msi_health_set(msi_health *health, const char *service, msgsrv_health value, msgsrv_error *error);
void msi_health_free(msi_health *health);

msgsrv_health msi_health_get(msi_health *health, const char *service);

/* The info service, with the interceptor that counts for it. */
typedef struct msi_info msi_info;
msi_info *msi_info_new(msgsrv_server *server);
msgsrv_status msi_info_register(msi_info *info, msgsrv_error *error);
msgsrv_status msi_info_ready(msi_info *info, const msgsrv_schema *schema, msgsrv_error *error);
void msi_info_free(msi_info *info);

/* What it counts of the methods. */
struct msi_method_stats;
struct msi_method_stats *msi_info_methods(const msi_info *info);

/* Reflection, under both of its names. */
typedef struct msi_reflection msi_reflection;
extern const msgsrv_service msi_reflection_v1;
extern const msgsrv_service msi_reflection_v1alpha;
msi_reflection *msi_reflection_new(void);
msgsrv_status msi_reflection_ready(msi_reflection *reflection, const msgsrv_server *server, const msgsrv_schema *schema,
                                   msgsrv_error *error);
void msi_reflection_free(msi_reflection *reflection);

/* HTTP's pages. A page makes its body, which is freed with free(); NULL without memory. */
typedef struct msi_pages msi_pages;
typedef struct msi_page {
    const char *path;
    char *(*make)(const msi_pages *pages, unsigned *status, const char **type, size_t *size);
} msi_page;
msi_pages *msi_pages_new(msgsrv_server *server);
/* `methods`: what the info service counts, or NULL: then the pages count themselves. */
msgsrv_status msi_pages_attach(msi_pages *pages, struct msi_method_stats *methods, msgsrv_error *error);
msgsrv_status msi_pages_ready(msi_pages *pages, msi_health *health, msgsrv_error *error);
const msi_page *msi_pages_find(const msi_pages *pages, const char *path, size_t size);
void msi_pages_free(msi_pages *pages);

/* The built-in health service of a server's services; NULL without one. */
msi_health *msi_services_health(void *services);

#endif
