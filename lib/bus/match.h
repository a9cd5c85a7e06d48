/* SPDX-License-Identifier: MIT */
/*
 * Topics and patterns: what is one, and which patterns match a topic. A tree with a level for each token, so that a search costs what
 * matches and not what is there. One thread at a time.
 */
#ifndef MSI_BUS_MATCH_H
#define MSI_BUS_MATCH_H

#include <msgsrv/status.h>

#include "wire/varint.h"

#define MSI_TOPIC_MAX 255u
#define MSI_TOPIC_TOKENS 16u

/*
 * Whether it is a topic, or a pattern. false: what is wrong with it is in `text`, to be read behind its name: "is empty", "has '%' at 4" (counted
 * from 1), "has an empty token at 7"...
 */
bool msi_topic_valid(msi_view topic, char *text, size_t room);
bool msi_pattern_valid(msi_view pattern, char *text, size_t room);

/* Whether a pattern has no wildcard: it is a topic. */
bool msi_pattern_exact(msi_view pattern);

/* Whether one valid pattern matches one valid topic; for one-off questions. */
bool msi_pattern_matches(msi_view pattern, msi_view topic);

/*
 * How near a pattern is to a topic that it does not match, for people who ask why: 0: not near; higher is nearer. Case, one token too many or too
 * few, a typing error in one token.
 */
unsigned msi_pattern_nearness(msi_view pattern, msi_view topic);

typedef struct msi_matcher msi_matcher;

/* Embedded in what is matched. */
typedef struct msi_match_entry {
    struct msi_match_entry *next; /* of the same pattern */
    struct msi_match_entry **back;
    struct msi_match_node *node;
} msi_match_entry;

/* `max_nodes`: of the tree, that one search may visit. NULL without memory. */
msi_matcher *msi_matcher_new(uint32_t max_nodes);
void msi_matcher_free(msi_matcher *matcher); /* entries left in it are the caller's */

/*
 * Adds an entry for a valid pattern. OK; RESOURCE_EXHAUSTED when a topic could then exist whose search visits more than max_nodes nodes, or
 * without memory. Nothing has changed then.
 */
msgsrv_status msi_matcher_add(msi_matcher *matcher, msi_view pattern, msi_match_entry *entry, msgsrv_error *error);

/* Takes out one that was added. */
void msi_matcher_remove(msi_matcher *matcher, msi_match_entry *entry);

/*
 * Tells each entry whose pattern matches a valid topic, in no order. `found` does not change the tree. Returns how many nodes it visited: at most
 * max_nodes.
 */
uint32_t msi_matcher_find(const msi_matcher *matcher, msi_view topic, void (*found)(msi_match_entry *entry, void *ctx),
                          void *ctx);

#endif
