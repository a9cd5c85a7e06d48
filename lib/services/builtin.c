/* SPDX-License-Identifier: MIT */
/* Which services a server gets by itself: those that neither its options nor services of the program's replace. */
#include "services/builtin.h"

#include <stdlib.h>
#include <string.h>

#include "services/internal.h"

typedef struct builtin_services {
    msgsrv_server *server;
    msgsrv_schema *schema; /* of all services; constant once the server serves */
    msi_health *health;    /* this and the following: NULL when it is not offered */
    msi_info *info;
    msi_reflection *reflection;
    msi_pages *pages;
    bool health_registered; /* by us; this and the following */
    bool info_registered;
    bool v1_registered;
    bool v1alpha_registered;
    bool wants_json;
} builtin_services;

/* Whether the server has a service of this name. */
static bool has_service(const msgsrv_server *server, const char *name)
{
    const msgsrv_service *service;
    for (size_t i = 0; (service = msgsrv_server_service(server, i)) != NULL; i++) {
        if (strcmp(service->name, name) == 0)
            return true;
    }
    return false;
}

static msgsrv_status offer_health(builtin_services *all, msgsrv_error *error)
{
    if (all->health_registered || has_service(all->server, "grpc.health.v1.Health"))
        return MSGSRV_OK;
    if (!all->health)
        all->health = msi_health_new(all->server);
    if (!all->health)
        return msi_services_no_memory(error);
    msgsrv_status status = msi_health_register(all->health, error);
    all->health_registered = status == MSGSRV_OK;
    return status;
}

static msgsrv_status offer_info(builtin_services *all, msgsrv_error *error)
{
    if (all->info_registered || has_service(all->server, "msgsrv.info.v1.Info"))
        return MSGSRV_OK;
    if (!all->info)
        all->info = msi_info_new(all->server);
    if (!all->info)
        return msi_services_no_memory(error);
    msgsrv_status status = msi_info_register(all->info, error);
    all->info_registered = status == MSGSRV_OK;
    return status;
}

/* Reflection has no typed handlers: one implementation serves both names. */
static msgsrv_status offer_one_reflection(builtin_services *all, const msgsrv_service *service, bool *registered,
                                          msgsrv_error *error)
{
    if (*registered || has_service(all->server, service->name))
        return MSGSRV_OK;
    if (!all->reflection)
        all->reflection = msi_reflection_new();
    if (!all->reflection)
        return msi_services_no_memory(error);
    msgsrv_status status = msgsrv_server_register(all->server, service, "", all->reflection, error);
    *registered = status == MSGSRV_OK;
    return status;
}

static msgsrv_status offer_reflection(builtin_services *all, msgsrv_error *error)
{
    msgsrv_status status = offer_one_reflection(all, &msi_reflection_v1, &all->v1_registered, error);
    return status ? status : offer_one_reflection(all, &msi_reflection_v1alpha, &all->v1alpha_registered, error);
}

static msgsrv_status offer_pages(builtin_services *all, msgsrv_error *error)
{
    if (!all->pages)
        all->pages = msi_pages_new(all->server);
    if (!all->pages)
        return msi_services_no_memory(error);
    return msi_pages_attach(all->pages, all->info ? msi_info_methods(all->info) : NULL, error);
}

static msgsrv_status offer_all(builtin_services *all, msgsrv_error *error)
{
    msgsrv_server_options options = {.size = sizeof options};
    msgsrv_server_get_options(all->server, &options);
    msgsrv_status status = MSGSRV_OK;
    if (!options.no_info)
        status = offer_info(all, error);
    if (status == MSGSRV_OK && !options.no_health)
        status = offer_health(all, error);
    if (status == MSGSRV_OK && !options.no_reflection)
        status = offer_reflection(all, error);
    all->wants_json = !options.no_http;
    if (status == MSGSRV_OK && !options.no_http)
        status = offer_pages(all, error);
    return status;
}

/*
 * Reads the descriptors of all services anew. A file that does not go with the others (the program has two that declare the same) is left
 * out: its services are served all the same, only not described.
 */
static msgsrv_status read_schema(builtin_services *all, msgsrv_error *error)
{
    msgsrv_schema *schema = NULL;
    msgsrv_status status = msgsrv_schema_new(&schema, error);
    const msgsrv_service *service;
    for (size_t i = 0; status == MSGSRV_OK && (service = msgsrv_server_service(all->server, i)) != NULL; i++) {
        if (service->file)
            status = msgsrv_schema_add_file(schema, service->file, error);
        if (status != MSGSRV_RESOURCE_EXHAUSTED)
            status = MSGSRV_OK;
    }
    if (status) {
        msgsrv_schema_free(schema);
        return status;
    }
    msgsrv_schema_free(all->schema);
    all->schema = schema;
    return MSGSRV_OK;
}

static msgsrv_status make_ready(builtin_services *all, msgsrv_error *error)
{
    msgsrv_status status = MSGSRV_OK;
    if (all->info || all->reflection || all->wants_json)
        status = read_schema(all, error);
    if (status == MSGSRV_OK && all->info)
        status = msi_info_ready(all->info, all->schema, error);
    if (status == MSGSRV_OK && all->reflection)
        status = msi_reflection_ready(all->reflection, all->server, all->schema, error);
    if (status == MSGSRV_OK && all->health)
        status = msi_health_ready(all->health, error);
    if (status == MSGSRV_OK && all->pages)
        status = msi_pages_ready(all->pages, all->health, error);
    return status;
}

msgsrv_status msi_services_start(msgsrv_server *server, void **services, msgsrv_error *error)
{
    builtin_services *all = *services;
    if (!all)
        all = calloc(1, sizeof *all);
    if (!all)
        return msi_services_no_memory(error);
    *services = all;
    all->server = server;
    msgsrv_status status = offer_all(all, error);
    return status ? status : make_ready(all, error);
}

void msi_services_free(void *services)
{
    builtin_services *all = services;
    if (!all)
        return;
    msi_pages_free(all->pages);
    msi_info_free(all->info);
    msi_health_free(all->health);
    msi_reflection_free(all->reflection);
    msgsrv_schema_free(all->schema);
    free(all);
}

msi_health *msi_services_health(void *services)
{
    const builtin_services *all = services;
    return all && all->health_registered ? all->health : NULL;
}

const msgsrv_schema *msi_services_schema(void *services)
{
    const builtin_services *all = services;
    return all ? all->schema : NULL;
}

bool msi_services_page(void *services, const char *path, size_t path_size, unsigned *status, const char **type,
                       char **body, size_t *size)
{
    const builtin_services *all = services;
    const msi_page *page = all && all->pages ? msi_pages_find(all->pages, path, path_size) : NULL;
    if (page && body)
        *body = page->make(all->pages, status, type, size);
    return page != NULL;
}
