/* SPDX-License-Identifier: MIT */
/*
 * The tree of patterns. A node stands for the tokens on the way to it. Its children by token are in one table for the whole tree, so that a
 * step costs one look whatever the fan-out; the child of `*` hangs on it, and the entries of `>` as well.
 *
 * Each node knows a bound of what a search may visit from it on: itself, the costliest of its children (a token leads to one of them only), and the
 * child of `*`. A search cannot visit more; that a topic exists which reaches it is not sure. A heap of each node's children keeps the costliest one
 * at hand, so that adding and removing cost a logarithm of the fan-out at each level.
 */
#include "bus/match.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"

#define FIRST_SLOTS 64u
#define FIRST_HEAP 2u
#define LISTS 32u /* found, before they are told */

typedef struct msi_match_node node;

struct msi_match_node {
    msi_match_entry *entries; /* whose pattern ends here */
    msi_match_entry *rest;    /* whose pattern goes on with `>` */
    node *star;               /* the child of `*` */
    node *parent;             /* NULL: the root */
    uint32_t child_count;     /* by token, in the heap */
    uint32_t visits;          /* the bound */
    node **heap;              /* children by token, the costliest first */
    uint32_t heap_room;
    uint32_t heap_index; /* in the parent's; of a child by token */
    uint8_t size;
    uint8_t token[];
};

typedef struct slot {
    uint64_t hash;
    node *node; /* NULL: free */
} slot;

struct msi_matcher {
    slot *slots; /* a power of two of them, at most half of them taken, each as near behind its hash's own as it could be */
    size_t room;
    size_t count;
    uint64_t secret; /* so that nobody can choose tokens that collide */
    uint32_t max_nodes;
    node *root;
};

/* ---- the table ---- */

static uint64_t mix(uint64_t value)
{
    value *= 0x9e3779b97f4a7c15ull;
    return value ^ value >> 32;
}

static uint64_t hash_token(const msi_matcher *matcher, msi_view token)
{
    uint64_t hash = matcher->secret ^ token.size;
    size_t at = 0;
    for (; token.size - at > 8; at += 8) {
        uint64_t chunk;
        memcpy(&chunk, token.data + at, sizeof chunk);
        hash = mix(hash ^ chunk);
    }
    uint64_t chunk = 0;
    for (unsigned shift = 0; at < token.size; at++, shift += 8)
        chunk |= (uint64_t)token.data[at] << shift;
    return mix(hash ^ chunk);
}

static uint64_t hash_child(const node *parent, uint64_t token_hash)
{
    return mix(token_hash + (uint64_t)(uintptr_t)parent);
}

static bool is_child(const node *child, const node *parent, msi_view token)
{
    return child->parent == parent && child->size == token.size && memcmp(child->token, token.data, token.size) == 0;
}

/* The next slot of a hash, from one on; its node is NULL when there is none. */
static const slot *find_slot(const msi_matcher *matcher, size_t from, uint64_t hash)
{
    for (size_t i = from & (matcher->room - 1);; i = (i + 1) & (matcher->room - 1)) {
        if (!matcher->slots[i].node || matcher->slots[i].hash == hash)
            return &matcher->slots[i];
    }
}

static node *find_child(const msi_matcher *matcher, const node *parent, msi_view token, uint64_t token_hash)
{
    uint64_t hash = hash_child(parent, token_hash);
    const slot *at = find_slot(matcher, hash, hash);
    while (at->node && !is_child(at->node, parent, token))
        at = find_slot(matcher, (size_t)(at - matcher->slots) + 1, hash);
    return at->node;
}

static void put_slot(slot *slots, size_t room, slot what)
{
    size_t i = what.hash & (room - 1);
    while (slots[i].node)
        i = (i + 1) & (room - 1);
    slots[i] = what;
}

static bool resize(msi_matcher *matcher, size_t room)
{
    slot *slots = calloc(room, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < matcher->room; i++) {
        if (matcher->slots[i].node)
            put_slot(slots, room, matcher->slots[i]);
    }
    free(matcher->slots);
    matcher->slots = slots;
    matcher->room = room;
    return true;
}

/* Takes a node out, and moves up those behind it that were pushed away from their place. */
static void take_slot(msi_matcher *matcher, const node *child, uint64_t hash)
{
    size_t mask = matcher->room - 1;
    size_t hole = hash & mask;
    while (matcher->slots[hole].node != child)
        hole = (hole + 1) & mask;
    for (size_t i = (hole + 1) & mask; matcher->slots[i].node; i = (i + 1) & mask) {
        size_t own = matcher->slots[i].hash & mask;
        if (((i - own) & mask) < ((i - hole) & mask))
            continue;
        matcher->slots[hole] = matcher->slots[i];
        hole = i;
    }
    matcher->slots[hole].node = NULL;
    matcher->count--;
    if (matcher->room > FIRST_SLOTS && matcher->count < matcher->room / 16)
        (void)resize(matcher, matcher->room / 4);
}

/* ---- the heap ---- */

static void heap_set(node *parent, uint32_t index, node *child)
{
    parent->heap[index] = child;
    child->heap_index = index;
}

/* Puts a child to its place, from one that it may have to leave. */
static void heap_place(node *parent, uint32_t index, node *child)
{
    while (index && parent->heap[(index - 1) / 2]->visits < child->visits) {
        heap_set(parent, index, parent->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (uint32_t below = 2 * index + 1; below < parent->child_count; below = 2 * index + 1) {
        if (below + 1 < parent->child_count && parent->heap[below + 1]->visits > parent->heap[below]->visits)
            below++;
        if (parent->heap[below]->visits <= child->visits)
            break;
        heap_set(parent, index, parent->heap[below]);
        index = below;
    }
    heap_set(parent, index, child);
}

static bool heap_grow(node *parent)
{
    if (parent->child_count < parent->heap_room)
        return true;
    if (parent->heap_room > UINT32_MAX / 4 / sizeof(node *))
        return false;
    uint32_t room = parent->heap_room ? parent->heap_room * 2 : FIRST_HEAP;
    node **heap = realloc(parent->heap, room * sizeof(node *));
    if (!heap)
        return false;
    parent->heap = heap;
    parent->heap_room = room;
    return true;
}

static void heap_remove(node *parent, const node *child)
{
    node *last = parent->heap[--parent->child_count];
    if (last != child)
        heap_place(parent, child->heap_index, last);
    if (parent->child_count < parent->heap_room / 4) {
        uint32_t room = parent->heap_room / 2;
        node **heap = realloc(parent->heap, room * sizeof(node *));
        if (heap) {
            parent->heap = heap;
            parent->heap_room = room;
        }
    }
}

/* ---- nodes ---- */

static node *new_node(node *parent, msi_view token)
{
    node *made = calloc(1, sizeof *made + token.size);
    if (!made)
        return NULL;
    made->parent = parent;
    made->size = (uint8_t)token.size;
    if (token.size)
        memcpy(made->token, token.data, token.size);
    return made;
}

static void free_node(node *of)
{
    free(of->heap);
    free(of);
}

static bool is_token(msi_view token, char which)
{
    return token.size == 1 && token.data[0] == (uint8_t)which;
}

/* The child by a token or `*`, made when there is none. Its bound is 0 until update() has seen it. NULL without memory. */
static node *get_child(msi_matcher *matcher, node *parent, msi_view token)
{
    if (is_token(token, '*')) {
        if (!parent->star)
            parent->star = new_node(parent, (msi_view){NULL, 0});
        return parent->star;
    }
    uint64_t token_hash = hash_token(matcher, token);
    node *child = find_child(matcher, parent, token, token_hash);
    if (child)
        return child;
    if (matcher->count >= matcher->room / 2 &&
        (matcher->room > SIZE_MAX / 4 / sizeof(slot) || !resize(matcher, matcher->room * 2)))
        return NULL;
    if (!heap_grow(parent) || !(child = new_node(parent, token)))
        return NULL;
    put_slot(matcher->slots, matcher->room, (slot){hash_child(parent, token_hash), child});
    matcher->count++;
    heap_place(parent, parent->child_count++, child);
    return child;
}

static void drop_child(msi_matcher *matcher, node *child)
{
    node *parent = child->parent;
    if (child == parent->star) {
        parent->star = NULL;
    } else {
        msi_view token = {child->token, child->size};
        take_slot(matcher, child, hash_child(parent, hash_token(matcher, token)));
        heap_remove(parent, child);
    }
    free_node(child);
}

/* Brings the bounds up to date from a node on whose children changed. */
static void update(node *at)
{
    for (; at; at = at->parent) {
        uint32_t visits = 1 + (at->child_count ? at->heap[0]->visits : 0) + (at->star ? at->star->visits : 0);
        if (visits == at->visits)
            return;
        at->visits = visits;
        if (at->parent && at != at->parent->star)
            heap_place(at->parent, at->heap_index, at);
    }
}

/* Takes a node out that nothing needs any more, and so those above it. */
static void prune(msi_matcher *matcher, node *at)
{
    while (at->parent && !at->entries && !at->rest && !at->star && at->child_count == 0) {
        node *parent = at->parent;
        drop_child(matcher, at);
        at = parent;
    }
    update(at);
}

msi_matcher *msi_matcher_new(uint32_t max_nodes)
{
    msi_matcher *matcher = calloc(1, sizeof *matcher);
    if (!matcher)
        return NULL;
    matcher->max_nodes = max_nodes;
    matcher->root = new_node(NULL, (msi_view){NULL, 0});
    if (!matcher->root || !resize(matcher, FIRST_SLOTS)) {
        free(matcher->root);
        free(matcher);
        return NULL;
    }
    matcher->root->visits = 1;
    matcher->secret = msi_random();
    return matcher;
}

void msi_matcher_free(msi_matcher *matcher)
{
    if (!matcher)
        return;
    /* Down to a leaf, and up again without it. */
    node *at = matcher->root;
    while (at) {
        if (at->star) {
            at = at->star;
        } else if (at->child_count) {
            at = at->heap[at->child_count - 1];
        } else {
            node *parent = at->parent;
            if (parent && parent->star == at)
                parent->star = NULL;
            else if (parent)
                parent->child_count--;
            free_node(at);
            at = parent;
        }
    }
    free(matcher->slots);
    free(matcher);
}

/* The next token of a name, which is then the rest of it. */
static msi_view next_token(msi_view *name)
{
    const uint8_t *dot = memchr(name->data, '.', name->size);
    size_t size = dot ? (size_t)(dot - name->data) : name->size;
    msi_view token = {name->data, size};
    size += dot != NULL;
    *name = (msi_view){name->data + size, name->size - size};
    return token;
}

static void link_entry(msi_match_entry **list, msi_match_entry *entry, node *at)
{
    entry->node = at;
    entry->back = list;
    entry->next = *list;
    if (entry->next)
        entry->next->back = &entry->next;
    *list = entry;
}

msgsrv_status msi_matcher_add(msi_matcher *matcher, msi_view pattern, msi_match_entry *entry, msgsrv_error *error)
{
    msi_view left = pattern;
    node *at = matcher->root;
    bool rest = false;
    while (left.size && !rest) {
        msi_view token = next_token(&left);
        rest = is_token(token, '>');
        node *child = rest ? at : get_child(matcher, at, token);
        if (!child) {
            prune(matcher, at);
            return msi_error_memory(error);
        }
        at = child;
    }
    update(at);
    uint32_t visits = matcher->root->visits;
    if (visits > matcher->max_nodes) {
        prune(matcher, at);
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "with the pattern \"%.*s\" one event could visit %u nodes of the pattern tree, of at most %u",
                         pattern.size < 120 ? (int)pattern.size : 120, (const char *)pattern.data, visits,
                         matcher->max_nodes);
    }
    link_entry(rest ? &at->rest : &at->entries, entry, at);
    return MSGSRV_OK;
}

void msi_matcher_remove(msi_matcher *matcher, msi_match_entry *entry)
{
    *entry->back = entry->next;
    if (entry->next)
        entry->next->back = entry->back;
    node *at = entry->node;
    *entry = (msi_match_entry){NULL, NULL, NULL};
    prune(matcher, at);
}

/* ---- searching ---- */

/*
 * Of a large tree nothing is in the cache, so a search's time is its misses: what will be looked at is asked for early, so that they overlap. The lists
 * that were found are told afterwards.
 */
typedef struct search {
    const msi_matcher *matcher;
    void (*found)(msi_match_entry *entry, void *ctx);
    void *ctx;
    uint32_t visited;
    unsigned count;
    unsigned list_count;
    msi_view tokens[MSI_TOPIC_TOKENS];
    uint64_t hashes[MSI_TOPIC_TOKENS];
    msi_match_entry *lists[LISTS];
} search;

static void tell_lists(search *of)
{
    for (unsigned i = 0; i < of->list_count; i++) {
        for (msi_match_entry *at = of->lists[i], *next; at; at = next) {
            next = at->next;
            of->found(at, of->ctx);
        }
    }
    of->list_count = 0;
}

static void keep_list(search *of, msi_match_entry *list)
{
    if (!list)
        return;
    __builtin_prefetch(list);
    if (of->list_count == LISTS)
        tell_lists(of);
    of->lists[of->list_count++] = list;
}

/* Asks for a node, and for the place in the table where its child is looked for. */
static void expect(const search *of, const node *at, unsigned level)
{
    __builtin_prefetch(at);
    if (level < of->count)
        __builtin_prefetch(&of->matcher->slots[hash_child(at, of->hashes[level]) & (of->matcher->room - 1)]);
}

/* find_child(), which asks for what comes next before it has seen whether it comes. */
static const node *step(const search *of, const node *parent, unsigned level)
{
    uint64_t hash = hash_child(parent, of->hashes[level]);
    const slot *at = find_slot(of->matcher, hash, hash);
    if (!at->node)
        return NULL;
    expect(of, at->node, level + 1);
    return is_child(at->node, parent, of->tokens[level])
               ? at->node
               : find_child(of->matcher, parent, of->tokens[level], of->hashes[level]);
}

/* NOLINTNEXTLINE(misc-no-recursion): at most 16 levels */
static void visit(search *of, const node *at, unsigned level)
{
    of->visited++;
    if (level == of->count) {
        keep_list(of, at->entries);
        return;
    }
    bool own = level == 0 && of->tokens[0].data[0] == '$';
    const node *star = own ? NULL : at->star;
    if (star)
        expect(of, star, level + 1);
    if (!own)
        keep_list(of, at->rest);
    const node *child = at->child_count ? step(of, at, level) : NULL;
    if (star)
        visit(of, star, level + 1);
    if (child)
        visit(of, child, level + 1);
}

uint32_t msi_matcher_find(const msi_matcher *matcher, msi_view topic, void (*found)(msi_match_entry *entry, void *ctx),
                          void *ctx)
{
    search of; /* its arrays are filled as far as they are used */
    of.matcher = matcher;
    of.found = found;
    of.ctx = ctx;
    of.visited = 0;
    of.count = 0;
    of.list_count = 0;
    while (topic.size && of.count < MSI_TOPIC_TOKENS) {
        of.tokens[of.count] = next_token(&topic);
        of.hashes[of.count] = hash_token(matcher, of.tokens[of.count]);
        of.count++;
    }
    visit(&of, matcher->root, 0);
    tell_lists(&of);
    return of.visited;
}
