/* SPDX-License-Identifier: MIT */
/* What a server counts, as the message msgsrv.info.v1.Stats. */
#ifndef MSI_SERVICES_INFO_STATS_H
#define MSI_SERVICES_INFO_STATS_H

#include "msgsrv/info.msgsrv.h"
#include "services/method_stats.h"

/* How much memory the message takes, with all that it points to. */
size_t msi_info_stats_size(const msi_method_stats *methods);

/* Fills that memory, which is aligned for any type, and returns the message at its beginning. Any thread. */
const msgsrv_info_v1_Stats *msi_info_stats_fill(void *memory, const msgsrv_server *server,
                                                const msi_method_stats *methods);

#endif
