/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether the metadata of a payload is to be trusted, and whether this machine wants what it
 * says: the signature first, then the manifest, then the rules (promises 5, 6 and 7). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/payload/key-ring.h"
#include "updater/payload/manifest.h"
#include "updater/payload/payload-header.h"
#include "updater/update-error.h"

/* What the machine and the offer ask of a payload; all text is borrowed. */
typedef struct {
    const char *product;
    const char *running_version; /* NULL: nothing runs, nothing can be older */
    const char *offered_version; /* NULL: any */
    bool allow_downgrade;
    uint64_t payload_bytes;                /* of the whole file; 0: not known */
    uint64_t metadata_bytes;               /* header and manifest; 0: not known */
    const char *metadata_signature_base64; /* of header and manifest, RSA; NULL or "": none */
} PayloadRules;

typedef struct {
    PayloadHeader header;
    Sha256 digest; /* of what the metadata signature covers */
    Manifest *manifest;
    const PartitionUpdate *partition; /* the slot's, inside manifest */
    const char
            *version; /* the payload's, or where the format has none, the one that was offered; */
    const char *product;      /* the same, or the machine's; both inside manifest or the rules */
    uint64_t n_payload_bytes; /* metadata and blobs */
} PayloadMetadata;

/* Whether the header says of the metadata's size what was offered (as above; 0: all is well).
 * Returns UPDATE_OK or UPDATE_ERROR_METADATA_SIZE. */
UpdateError metadata_check_size(
        const PayloadHeader *header, uint64_t offered_bytes, ErrorText *error);

/* Checks n_bytes at data (borrowed): header, manifest and metadata signature, exactly. Nothing
 * but the header is looked at before the signature holds; format 1 has none, and its manifest is
 * taken at its word until the payload signature has come. *ret_metadata is set on UPDATE_OK only
 * and then owns its manifest. CPU work of some milliseconds a MiB; any thread.
 * Returns UPDATE_OK, the codes of payload_header_parse, key_ring_verify and manifest_parse, and
 *   UPDATE_ERROR_SIGNATURE        no key is installed
 *   UPDATE_ERROR_METADATA_SIZE    n_bytes is not what the header says, or was offered
 *   UPDATE_ERROR_VERSION_REFUSED  for another product, or not the version that was offered
 *   UPDATE_ERROR_DOWNGRADE        older than what runs, or what runs is older than min_version
 *   UPDATE_ERROR_MANIFEST         more than one partition; a version that cannot be compared
 *   UPDATE_ERROR_PAYLOAD_SIZE     metadata and blobs are not as long as was offered */
UpdateError metadata_check(const uint8_t *data, size_t n_bytes, const KeyRing *keys,
        const PayloadRules *rules, PayloadMetadata *ret_metadata, ErrorText *error);

/* Frees the manifest; the struct is empty afterwards. */
void payload_metadata_done(PayloadMetadata *metadata);
