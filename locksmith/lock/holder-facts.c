/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/holder-facts.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/clock.h"
#include "common/printable.h"

/* Cut in the middle of a character, the rest of that is cleaned away. */
static int copy_clean(const char *text, char **ret_copy)
{
    char *copy = strndup(text ? text : "", HOLDER_FACTS_MAX_FIELD_CHARS);
    if (!copy)
        return -ENOMEM;
    printable_clean(copy);
    *ret_copy = copy;
    return 0;
}

int holder_facts_format(const HolderFacts *facts, char **ret_text)
{
    _cleanup_(holder_facts_done) HolderFacts clean = {.since_usec = facts->since_usec};
    int r = copy_clean(facts->host, &clean.host);
    if (r >= 0)
        r = copy_clean(facts->boot_id, &clean.boot_id);
    if (r >= 0)
        r = copy_clean(facts->version, &clean.version);
    if (r < 0)
        return r;
    _cleanup_(json_decrefp) json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "host", clean.host,
            "boot_id", clean.boot_id, "version", clean.version, "since",
            (json_int_t)(clean.since_usec / USEC_PER_SEC));
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

static int take_text(const json_t *object, const char *key, char **ret_text)
{
    const char *text = json_string_value(json_object_get(object, key));
    bool is_known = text && strlen(text) <= HOLDER_FACTS_MAX_FIELD_CHARS;
    return copy_clean(is_known ? text : "", ret_text);
}

static uint64_t take_time(const json_t *object)
{
    json_int_t sec = json_integer_value(json_object_get(object, "since"));
    return sec > 0 && (uint64_t)sec <= INT64_MAX / USEC_PER_SEC ? (uint64_t)sec * USEC_PER_SEC : 0;
}

int holder_facts_parse(const char *text, size_t n_bytes, HolderFacts *ret_facts)
{
    json_error_t reason;
    if (n_bytes > HOLDER_FACTS_MAX_BYTES)
        return -EINVAL;
    _cleanup_(json_decrefp) json_t *object = json_loadb(text, n_bytes, 0, &reason);
    if (!object && json_error_code(&reason) == json_error_out_of_memory)
        return -ENOMEM;
    if (!json_is_object(object))
        return -EINVAL;
    _cleanup_(holder_facts_done) HolderFacts facts = {.since_usec = take_time(object)};
    int r = take_text(object, "host", &facts.host);
    if (r >= 0)
        r = take_text(object, "boot_id", &facts.boot_id);
    if (r >= 0)
        r = take_text(object, "version", &facts.version);
    if (r < 0)
        return r;
    *ret_facts = facts;
    facts = (HolderFacts){.host = NULL};
    return 0;
}

void holder_facts_done(HolderFacts *facts)
{
    free(facts->host);
    free(facts->boot_id);
    free(facts->version);
    *facts = (HolderFacts){.host = NULL};
}
