/* SPDX-License-Identifier: Apache-2.0 */

/* Facts that can be read can be written, and are the same then; whatever they hold, it is fit to be
 * printed. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/printable.h"
#include "locksmith/lock/holder-facts.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_clean(const char *text)
{
    char *copy = strdup(text);
    require(copy && strlen(copy) <= HOLDER_FACTS_MAX_FIELD_CHARS);
    printable_clean(copy);
    require(strcmp(copy, text) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(holder_facts_done) HolderFacts facts = {.host = NULL};
    _cleanup_(holder_facts_done) HolderFacts again = {.host = NULL};
    int r = holder_facts_parse((const char *)data, n_bytes, &facts);
    if (r < 0) {
        require(r == -EINVAL && !facts.host);
        return 0;
    }
    require_clean(facts.host);
    require_clean(facts.boot_id);
    require_clean(facts.version);
    char *text = NULL;
    require(holder_facts_format(&facts, &text) == 0);
    require(holder_facts_parse(text, strlen(text), &again) == 0);
    require(strcmp(facts.host, again.host) == 0 && strcmp(facts.boot_id, again.boot_id) == 0 &&
            strcmp(facts.version, again.version) == 0 && facts.since_usec == again.since_usec);
    free(text);
    return 0;
}
