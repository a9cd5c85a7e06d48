/* SPDX-License-Identifier: MIT */
/* The last event of each topic that a subscription has had, for going on after a loss: of the 1,000 topics that came last. */
#ifndef MSI_ENGINES_REMOTE_SEEN_H
#define MSI_ENGINES_REMOTE_SEEN_H

#include "engines/remote.h"

#define MSI_SEEN_TOPICS 1000u

typedef struct msi_seen_topics msi_seen_topics;

msi_seen_topics *msi_seen_new(void); /* NULL without memory */
void msi_seen_free(msi_seen_topics *seen);

/* An event was had. Without memory for its topic, that is as if there had been too many: what is lost there cannot be told exactly. */
void msi_seen_note(msi_seen_topics *seen, const char *topic, size_t size, uint64_t epoch, uint64_t sequence);

/* A gap was told that reaches to this sequence; 0: not known. */
void msi_seen_gap(msi_seen_topics *seen, const char *topic, uint64_t last);

/* Writes each as a message `field`, of msgsrv.bus.v1.Seen. */
void msi_seen_put(const msi_seen_topics *seen, msi_writer *to, uint32_t field);

#endif
