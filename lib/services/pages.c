/* SPDX-License-Identifier: MIT */
/* HTTP's pages: whether the server lives, whether it wants work, and what it counts. */
#include <stdlib.h>
#include <string.h>

#include "services/internal.h"
#include "services/metrics.h"

struct msi_pages {
    msgsrv_server *server;
    msi_health *health;            /* NULL: not ours */
    msi_method_stats *methods;     /* the info service's, or `own` */
    msi_method_stats *own_methods; /* NULL when the info service counts */
    bool without_pages;
    bool without_metrics;
};

static const char plain_text[] = "text/plain; charset=utf-8";

static char *copied(const char *text, size_t *size)
{
    *size = strlen(text);
    return strdup(text);
}

/* Whoever gets this answer knows that the loop runs. */
static char *make_healthz(const msi_pages *pages, unsigned *status, const char **type, size_t *size)
{
    (void)pages;
    *status = 200;
    *type = plain_text;
    return copied("ok\n", size);
}

static char *make_readyz(const msi_pages *pages, unsigned *status, const char **type, size_t *size)
{
    bool draining = msgsrv_server_draining(pages->server);
    bool serving = !pages->health || msi_health_get(pages->health, "") == MSGSRV_HEALTH_SERVING;
    *status = draining || !serving ? 503 : 200;
    *type = plain_text;
    return copied(draining ? "draining\n" : serving ? "ok\n" : "not serving\n", size);
}

static char *make_metrics(const msi_pages *pages, unsigned *status, const char **type, size_t *size)
{
    msi_metrics metrics = {.family = NULL};
    msi_metrics_fill(&metrics, pages->server, pages->methods);
    if (metrics.text.no_memory) {
        msi_writer_release(&metrics.text);
        return NULL;
    }
    *status = 200;
    *type = "text/plain; version=0.0.4; charset=utf-8";
    *size = metrics.text.size;
    return (char *)metrics.text.data;
}

static const msi_page table[] = {
    {"/healthz", make_healthz},
    {"/readyz", make_readyz},
    {"/metrics", make_metrics},
};

const msi_page *msi_pages_find(const msi_pages *pages, const char *path, size_t size)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool off = table[i].make == make_metrics ? pages->without_metrics : pages->without_pages;
        if (!off && strlen(table[i].path) == size && memcmp(table[i].path, path, size) == 0)
            return &table[i];
    }
    return NULL;
}

msi_pages *msi_pages_new(msgsrv_server *server)
{
    msi_pages *pages = calloc(1, sizeof *pages);
    if (!pages)
        return NULL;
    msgsrv_server_options options = {.size = sizeof options};
    msgsrv_server_get_options(server, &options);
    pages->server = server;
    pages->without_pages = options.no_pages;
    pages->without_metrics = options.no_metrics;
    return pages;
}

msgsrv_status msi_pages_attach(msi_pages *pages, msi_method_stats *methods, msgsrv_error *error)
{
    pages->methods = methods;
    if (methods || pages->without_metrics)
        return MSGSRV_OK;
    if (!pages->own_methods)
        pages->own_methods = msi_method_stats_new();
    if (!pages->own_methods)
        return msi_services_no_memory(error);
    pages->methods = pages->own_methods;
    return msi_method_stats_attach(pages->own_methods, pages->server, error);
}

msgsrv_status msi_pages_ready(msi_pages *pages, msi_health *health, msgsrv_error *error)
{
    pages->health = health;
    return pages->own_methods ? msi_method_stats_ready(pages->own_methods, pages->server, error) : MSGSRV_OK;
}

void msi_pages_free(msi_pages *pages)
{
    if (!pages)
        return;
    msi_method_stats_free(pages->own_methods);
    free(pages);
}
