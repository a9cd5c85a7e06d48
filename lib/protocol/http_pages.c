/* SPDX-License-Identifier: MIT */
/* Pages: what HTTP has and no method stands behind. They are the server's, which gives a function for them. */
#include <stdlib.h>

#include "protocol/http1.h"

bool msi_http_has_page(const msi_http_session *session, msi_view path)
{
    const msi_protocol_config *config = session->config;
    return config->page && config->page(config->pages, (const char *)path.data, path.size, NULL, NULL, NULL, NULL);
}

void msi_http_write_page(msi_http_session *session, msi_view path)
{
    static uint8_t no_store[] = "Cache-Control: no-store\r\n";
    const msi_protocol_config *config = session->config;
    const msi_buf fields = {no_store, sizeof no_store - 1, 0};
    msi_http_answer answer = {.fields = &fields};
    char *body = NULL;
    bool there = config->page(config->pages, (const char *)path.data, path.size, &answer.status, &answer.type, &body,
                              &answer.size);
    answer.body = body;
    if (there && body)
        msi_http_write(session, &answer);
    else
        msi_http_write_text(session, 500, NULL, "the server has no memory");
    free(body);
}
