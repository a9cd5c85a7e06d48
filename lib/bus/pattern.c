/* SPDX-License-Identifier: MIT */
/* Topics and patterns as texts: what is one, whether two match, and how nearly. */
#include "bus/match.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARTS_MAX (MSI_TOPIC_MAX / 2 + 1) /* tokens, when '-' and '_' part them too */

/* Nearness, the nearest first. */
enum { NEAR_CASE = 100, NEAR_SEPARATOR = 90, NEAR_ONE_BYTE = 80, NEAR_TWO_BYTES = 60, NEAR_TOKEN = 50 };

/* ---- what is one ---- */

static bool MSGSRV_PRINTF(3, 4) fault(char *text, size_t room, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (room)
        (void)vsnprintf(text, room, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_token_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-';
}

/* A byte that a topic's token cannot have; of a pattern it may be a wildcard. */
static bool odd_byte_valid(msi_view name, size_t at, bool pattern, char *text, size_t room)
{
    uint8_t byte = name.data[at];
    bool last = at + 1 == name.size;
    if (byte < 0x20 || byte > 0x7e)
        return fault(text, room, "has the byte 0x%02x at %zu", byte, at + 1);
    if (byte != '*' && byte != '>')
        return fault(text, room, "has '%c' at %zu", byte, at + 1);
    if (!pattern)
        return fault(text, room, "has the wildcard '%c' at %zu", byte, at + 1);
    if ((at > 0 && name.data[at - 1] != '.') || (!last && name.data[at + 1] != '.'))
        return fault(text, room, "has '%c' at %zu, not as a token of its own", byte, at + 1);
    if (byte == '>' && !last)
        return fault(text, room, "has '>' at %zu, not as its last token", at + 1);
    return true;
}

static bool valid(msi_view name, bool pattern, char *text, size_t room)
{
    size_t start = 0;
    unsigned tokens = 0;
    if (name.size == 0)
        return fault(text, room, "is empty");
    if (name.size > MSI_TOPIC_MAX)
        return fault(text, room, "has %zu bytes, of at most %u", name.size, MSI_TOPIC_MAX);
    for (size_t at = 0; at <= name.size; at++) {
        if (at < name.size && name.data[at] != '.') {
            bool own = name.data[at] == '$' && at == 0;
            if (!own && !is_token_byte(name.data[at]) && !odd_byte_valid(name, at, pattern, text, room))
                return false;
            continue;
        }
        if (at == start)
            return fault(text, room, "has an empty token at %zu", at + 1);
        if (at == 1 && name.data[0] == '$')
            return fault(text, room, "has nothing behind its '$'");
        tokens++;
        start = at + 1;
    }
    if (tokens > MSI_TOPIC_TOKENS)
        return fault(text, room, "has %u tokens, of at most %u", tokens, MSI_TOPIC_TOKENS);
    return true;
}

bool msi_topic_valid(msi_view topic, char *text, size_t room)
{
    return valid(topic, false, text, room);
}

bool msi_pattern_valid(msi_view pattern, char *text, size_t room)
{
    return valid(pattern, true, text, room);
}

bool msi_pattern_exact(msi_view pattern)
{
    return pattern.size == 0 || (!memchr(pattern.data, '*', pattern.size) && pattern.data[pattern.size - 1] != '>');
}

/* ---- whether they match ---- */

/* A name in parts. */
typedef struct parts {
    msi_view at[PARTS_MAX];
    size_t count;
} parts;

static bool is_separator(uint8_t byte, bool loose)
{
    return byte == '.' || (loose && (byte == '-' || byte == '_'));
}

/* By dots; loosely, by what people write instead as well. */
static void split(msi_view name, bool loose, parts *into)
{
    size_t start = 0;
    into->count = 0;
    for (size_t at = 0; at <= name.size && into->count < PARTS_MAX; at++) {
        if (at < name.size && !is_separator(name.data[at], loose))
            continue;
        if (at > start)
            into->at[into->count++] = (msi_view){name.data + start, at - start};
        start = at + 1;
    }
}

static bool is_wildcard(msi_view token, char which)
{
    return token.size == 1 && token.data[0] == (uint8_t)which;
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

static bool same(msi_view a, msi_view b, bool any_case)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (a.data[i] != b.data[i] && (!any_case || lower(a.data[i]) != lower(b.data[i])))
            return false;
    }
    return true;
}

/* A pattern's token, of `*` and plain ones. Nothing of the library's own is matched by a wildcard. */
static bool token_matches(msi_view pattern, msi_view topic, bool any_case)
{
    return is_wildcard(pattern, '*') ? topic.data[0] != '$' : same(pattern, topic, any_case);
}

/* All parts but the one at `skip_pattern` or `skip_topic`; SIZE_MAX: none is left out. */
static bool parts_match(const parts *pattern, const parts *topic, bool any_case, size_t skip_pattern, size_t skip_topic)
{
    size_t p = 0, t = 0;
    for (;; p++, t++) {
        p += p == skip_pattern;
        t += t == skip_topic;
        if (p >= pattern->count || t >= topic->count)
            return p >= pattern->count && t >= topic->count;
        if (is_wildcard(pattern->at[p], '>'))
            return topic->at[t].data[0] != '$';
        if (!token_matches(pattern->at[p], topic->at[t], any_case))
            return false;
    }
}

/* The token at `at` ends there or before its name does. */
static size_t token_end(msi_view name, size_t at)
{
    const uint8_t *dot = memchr(name.data + at, '.', name.size - at);
    return dot ? (size_t)(dot - name.data) : name.size;
}

bool msi_pattern_matches(msi_view pattern, msi_view topic)
{
    size_t p = 0, t = 0;
    while (p < pattern.size && t < topic.size) {
        size_t p_end = token_end(pattern, p);
        size_t t_end = token_end(topic, t);
        msi_view token = {pattern.data + p, p_end - p};
        if (is_wildcard(token, '>'))
            return topic.data[t] != '$';
        if (!token_matches(token, (msi_view){topic.data + t, t_end - t}, false))
            return false;
        p = p_end + 1;
        t = t_end + 1;
    }
    return p >= pattern.size && t >= topic.size;
}

/* ---- how nearly ---- */

static msi_view behind(msi_view of, size_t bytes)
{
    return (msi_view){of.data + bytes, of.size - bytes};
}

/* Whether at most `errors` bytes are too many, too few or wrong; two that changed places are one error. */
static bool within(msi_view a, msi_view b, unsigned errors)
{
    while (a.size && b.size && lower(a.data[0]) == lower(b.data[0])) {
        a = behind(a, 1);
        b = behind(b, 1);
    }
    if (a.size == 0 || b.size == 0)
        return a.size + b.size <= errors;
    if (errors == 0)
        return false;
    if (a.size > 1 && b.size > 1 && a.data[0] == b.data[1] && a.data[1] == b.data[0] &&
        within(behind(a, 2), behind(b, 2), errors - 1))
        return true;
    return within(behind(a, 1), behind(b, 1), errors - 1) || within(behind(a, 1), b, errors - 1) ||
           within(a, behind(b, 1), errors - 1);
}

/* Bytes of error between two tokens, 3: more than two, or most of what there is. */
static unsigned token_errors(msi_view pattern, msi_view topic)
{
    size_t longer = pattern.size > topic.size ? pattern.size : topic.size;
    if (is_wildcard(pattern, '*'))
        return 3;
    for (unsigned errors = 0; errors < 3; errors++) {
        if (within(pattern, topic, errors))
            return 2 * (size_t)errors < longer ? errors : 3;
    }
    return 3;
}

/* The same but for one token, in which there is a typing error. */
static unsigned typing_nearness(const parts *pattern, const parts *topic)
{
    unsigned errors = 0;
    size_t i = 0;
    for (; i < pattern->count && i < topic->count; i++) {
        if (is_wildcard(pattern->at[i], '>'))
            return topic->at[i].data[0] == '$' || errors == 0 ? 0 : errors == 1 ? NEAR_ONE_BYTE : NEAR_TWO_BYTES;
        if (token_matches(pattern->at[i], topic->at[i], true))
            continue;
        unsigned more = token_errors(pattern->at[i], topic->at[i]);
        if (errors || more == 3)
            return 0;
        errors = more;
    }
    if (i < pattern->count || i < topic->count || errors == 0)
        return 0;
    return errors == 1 ? NEAR_ONE_BYTE : NEAR_TWO_BYTES;
}

static bool is_plain(msi_view token)
{
    return !is_wildcard(token, '*') && !is_wildcard(token, '>');
}

/* Without its one plain token a pattern is near to everything, and so to nothing. */
static bool but_for_one_token(const parts *pattern, const parts *topic)
{
    size_t plain = 0;
    for (size_t i = 0; i < pattern->count; i++)
        plain += is_plain(pattern->at[i]);
    for (size_t i = 0; i < pattern->count; i++) {
        if ((plain > 1 || !is_plain(pattern->at[i])) && parts_match(pattern, topic, true, i, SIZE_MAX))
            return true;
    }
    for (size_t i = 0; i < topic->count; i++) {
        if (topic->at[i].data[0] != '$' && parts_match(pattern, topic, true, SIZE_MAX, i))
            return true;
    }
    return false;
}

unsigned msi_pattern_nearness(msi_view pattern, msi_view topic)
{
    parts p, t;
    if (pattern.size == 0 || topic.size == 0 || msi_pattern_matches(pattern, topic))
        return 0;
    split(pattern, false, &p);
    split(topic, false, &t);
    if (parts_match(&p, &t, true, SIZE_MAX, SIZE_MAX))
        return NEAR_CASE;
    unsigned typing = typing_nearness(&p, &t);
    bool token = typing == 0 && but_for_one_token(&p, &t);
    split(pattern, true, &p);
    split(topic, true, &t);
    if (parts_match(&p, &t, true, SIZE_MAX, SIZE_MAX))
        return NEAR_SEPARATOR;
    return typing ? typing : token ? NEAR_TOKEN : 0;
}
