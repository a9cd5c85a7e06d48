/* SPDX-License-Identifier: MIT */
/*
 * Text in the exposition format of Prometheus, 0.0.4. A family begins with its HELP and TYPE, and all of its samples follow. After a failed
 * allocation it only remembers that.
 */
#ifndef MSI_SERVICES_METRICS_H
#define MSI_SERVICES_METRICS_H

#include "services/method_stats.h"
#include "services/writer.h"

typedef struct msi_metrics {
    msi_writer text;
    const char *family; /* whose samples are being written */
} msi_metrics;

typedef struct msi_label {
    const char *name;
    const char *value; /* escaped when it is written */
} msi_label;

/* `type` is "counter", "gauge" or "histogram". Names are static. */
void msi_metrics_family(msi_metrics *to, const char *name, const char *type, const char *help);

/* A sample of the family: its name and `suffix`, with up to two labels; those without a name are left out. */
void msi_metrics_number(msi_metrics *to, const char *suffix, msi_label first, msi_label second, uint64_t value);
void msi_metrics_real(msi_metrics *to, const char *suffix, msi_label first, msi_label second, double value);

/* A family with one sample. */
void msi_metrics_counter(msi_metrics *to, const char *name, const char *help, uint64_t value);
void msi_metrics_gauge(msi_metrics *to, const char *name, const char *help, uint64_t value);

/* What a server counts, its methods, and what it keeps. */
void msi_metrics_fill(msi_metrics *to, const msgsrv_server *server, const msi_method_stats *methods);

#endif
