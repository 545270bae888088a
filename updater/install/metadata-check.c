/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/metadata-check.h"

#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/omaha/version-order.h"

#define VERSION_UNKNOWN "unknown"

/* Where the format names none, what was offered is believed: the reboot will show. */
static UpdateError name_payload(
        PayloadMetadata *metadata, const PayloadRules *rules, ErrorText *error)
{
    const Manifest *manifest = metadata->manifest;
    metadata->version = manifest->version;
    metadata->product = manifest->product;
    if (manifest->format == 1) {
        metadata->version = rules->offered_version ? rules->offered_version : VERSION_UNKNOWN;
        metadata->product = rules->product;
        return UPDATE_OK;
    }
    if (strcmp(manifest->product, rules->product) != 0) {
        return error_say(error, UPDATE_ERROR_VERSION_REFUSED,
                "the payload is for the product %s, this machine is %s", manifest->product,
                rules->product);
    }
    if (!version_is_valid(manifest->version))
        return error_say(error, UPDATE_ERROR_MANIFEST, "the payload's version is not a version");
    if (rules->offered_version && strcmp(manifest->version, rules->offered_version) != 0) {
        return error_say(error, UPDATE_ERROR_VERSION_REFUSED,
                "the payload holds version %s, but %s was offered", manifest->version,
                rules->offered_version);
    }
    if (manifest->n_partitions == 1)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_MANIFEST,
            "the payload updates %zu partitions, and exactly one can be installed: the slot's",
            manifest->n_partitions);
}

static UpdateError check_version(
        const PayloadMetadata *metadata, const PayloadRules *rules, ErrorText *error)
{
    const Manifest *manifest = metadata->manifest;
    const char *version = metadata->version;
    if (!rules->running_version || strcmp(version, VERSION_UNKNOWN) == 0)
        return UPDATE_OK;
    if (!rules->allow_downgrade && version_compare(version, rules->running_version) < 0) {
        return error_say(error, UPDATE_ERROR_DOWNGRADE,
                "the payload's version %s is older than the running %s; if it is meant, say "
                "--allow-downgrade or ALLOW_DOWNGRADE=yes",
                version, rules->running_version);
    }
    if (manifest->min_version[0] != '\0' &&
            version_compare(rules->running_version, manifest->min_version) < 0) {
        return error_say(error, UPDATE_ERROR_DOWNGRADE,
                "version %s can be installed from %s on, and %s runs: update to a version between "
                "them first",
                version, manifest->min_version, rules->running_version);
    }
    return UPDATE_OK;
}

static UpdateError check_rules(
        PayloadMetadata *metadata, const PayloadRules *rules, ErrorText *error)
{
    UpdateError code = name_payload(metadata, rules, error);
    if (code == UPDATE_OK)
        code = check_version(metadata, rules, error);
    if (code != UPDATE_OK)
        return code;
    if (rules->payload_bytes != 0 && metadata->n_payload_bytes != rules->payload_bytes) {
        return error_say(error, UPDATE_ERROR_PAYLOAD_SIZE,
                "the payload says that it has %" PRIu64 " bytes, but %" PRIu64 " were offered",
                metadata->n_payload_bytes, rules->payload_bytes);
    }
    return UPDATE_OK;
}

UpdateError metadata_check_size(
        const PayloadHeader *header, uint64_t offered_bytes, ErrorText *error)
{
    if (offered_bytes == 0 || offered_bytes == header->n_signed_bytes)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_METADATA_SIZE,
            "the payload has metadata of %" PRIu64 " bytes, but %" PRIu64 " were offered",
            header->n_signed_bytes, offered_bytes);
}

/* What came with the offer is held first: it may have come over a safer way. */
static UpdateError check_offer(const PayloadMetadata *metadata, const KeyRing *keys,
        const PayloadRules *rules, ErrorText *error)
{
    UpdateError code = metadata_check_size(&metadata->header, rules->metadata_bytes, error);
    if (code != UPDATE_OK)
        return code;
    const char *text = rules->metadata_signature_base64;
    if (!text || text[0] == '\0')
        return UPDATE_OK;
    return key_ring_verify_base64(
            keys, &metadata->digest, text, UPDATE_ERROR_METADATA_SIGNATURE, error);
}

/* Format 1 has none: the manifest's bounds must do until the payload signature has come. */
static UpdateError check_signature(
        const PayloadMetadata *metadata, const KeyRing *keys, const uint8_t *data, ErrorText *error)
{
    const PayloadHeader *header = &metadata->header;
    if (header->format == 1)
        return UPDATE_OK;
    return key_ring_verify(keys, &metadata->digest, data + header->n_signed_bytes,
            header->n_metadata_signature_bytes, UPDATE_ERROR_METADATA_SIGNATURE, error);
}

UpdateError metadata_check(const uint8_t *data, size_t n_bytes, const KeyRing *keys,
        const PayloadRules *rules, PayloadMetadata *ret_metadata, ErrorText *error)
{
    if (key_ring_n_keys(keys) == 0)
        return error_say(error, UPDATE_ERROR_SIGNATURE,
                "no public key is installed, so no payload can be trusted: put a key (*.pem) into "
                "the key folder");
    PayloadMetadata metadata = {0};
    if (n_bytes < PAYLOAD_HEADER_BYTES)
        return error_say(error, UPDATE_ERROR_MAGIC, "the payload ends inside its header");
    UpdateError code = payload_header_parse(data, &metadata.header, error);
    if (code != UPDATE_OK)
        return code;
    if (n_bytes != metadata.header.n_metadata_bytes)
        return error_say(error, UPDATE_ERROR_METADATA_SIZE,
                "the payload's metadata is not as long as its header says");

    metadata.digest = sha256_of(data, (size_t)metadata.header.n_signed_bytes);
    code = check_offer(&metadata, keys, rules, error);
    if (code == UPDATE_OK)
        code = check_signature(&metadata, keys, data, error);
    if (code != UPDATE_OK)
        return code;

    code = manifest_parse(metadata.header.format, data + metadata.header.n_header_bytes,
            (size_t)metadata.header.n_manifest_bytes, &metadata.manifest, error);
    if (code != UPDATE_OK)
        return code;
    if (!u64_add(metadata.header.n_metadata_bytes, metadata.manifest->n_blob_bytes,
                &metadata.n_payload_bytes))
        code = error_say(error, UPDATE_ERROR_MANIFEST, "the payload's size is absurd");
    else
        code = check_rules(&metadata, rules, error);
    if (code != UPDATE_OK) {
        payload_metadata_done(&metadata);
        return code;
    }
    metadata.partition = &metadata.manifest->partitions[0];
    *ret_metadata = metadata;
    return UPDATE_OK;
}

void payload_metadata_done(PayloadMetadata *metadata)
{
    manifest_free(metadata->manifest);
    *metadata = (PayloadMetadata){0};
}
