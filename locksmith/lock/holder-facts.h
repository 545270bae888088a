/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is known of a holder beside its id. It lies in a key of its own, because Go locksmith drops
 * what it does not know from the semaphore: see lock-key.h. Facts only inform; no decision about
 * the lock hangs on them. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define HOLDER_FACTS_MAX_BYTES 4096      /* of the text */
#define HOLDER_FACTS_MAX_FIELD_CHARS 256 /* bytes of one of the strings */

typedef struct {
    char *host;          /* host name, "" unknown; all strings are inside */
    char *boot_id;       /* of the boot that took the lock, "" unknown */
    char *version;       /* of the system that it reboots into, "" unknown */
    uint64_t since_usec; /* CLOCK_REALTIME of the holder when it took the lock, 0 unknown */
} HolderFacts;

/* {"host":...,"boot_id":...,"version":...,"since":seconds}; strings are cut at
 * HOLDER_FACTS_MAX_FIELD_CHARS and cleaned (common/printable.h), NULL is "". *ret_text is new.
 * Errors: -ENOMEM. */
int holder_facts_format(const HolderFacts *facts, char **ret_text);

/* Unknown members are skipped, missing, wrong or too long ones are unknown: it came from another
 * host. The strings are cleaned. *ret_facts is to be released with holder_facts_done.
 * Errors: -EINVAL when it is no JSON object or longer than HOLDER_FACTS_MAX_BYTES, -ENOMEM. */
int holder_facts_parse(const char *text, size_t n_bytes, HolderFacts *ret_facts);
void holder_facts_done(HolderFacts *facts);
