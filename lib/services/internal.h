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

/* The info service, with the interceptor that counts for it. */
typedef struct msi_info msi_info;
msi_info *msi_info_new(msgsrv_server *server);
msgsrv_status msi_info_register(msi_info *info, msgsrv_error *error);
msgsrv_status msi_info_ready(msi_info *info, const msgsrv_schema *schema, msgsrv_error *error);
void msi_info_free(msi_info *info);

/* Reflection, under both of its names. */
typedef struct msi_reflection msi_reflection;
extern const msgsrv_service msi_reflection_v1;
extern const msgsrv_service msi_reflection_v1alpha;
msi_reflection *msi_reflection_new(void);
msgsrv_status msi_reflection_ready(msi_reflection *reflection, const msgsrv_server *server, const msgsrv_schema *schema,
                                   msgsrv_error *error);
void msi_reflection_free(msi_reflection *reflection);

/* The built-in health service of a server's services; NULL without one. */
msi_health *msi_services_health(void *services);

#endif
