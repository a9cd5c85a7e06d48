/* SPDX-License-Identifier: MIT */
/* What does not change once a server has started, as parts of msgsrv.info.v1.GetInfoResponse: its services and its limits. */
#ifndef MSI_SERVICES_INFO_MODEL_H
#define MSI_SERVICES_INFO_MODEL_H

#include <msgsrv/schema.h>

#include "msgsrv/info.msgsrv.h"

typedef struct msi_info_model {
    msgsrv_info_v1_ServiceInfo *services; /* its comments and methods are the model's, other texts live longer */
    pb_size_t service_count;
    msgsrv_info_v1_Limit *limits;
    pb_size_t limit_count;
} msi_info_model;

/* Fills a cleared model. Comments are those of the schema. On failure it is to be released all the same. */
msgsrv_status msi_info_model_fill(msi_info_model *model, const msgsrv_server *server, const msgsrv_schema *schema,
                                  msgsrv_error *error);

/* Frees what it holds and clears it. */
void msi_info_model_release(msi_info_model *model);

#endif
