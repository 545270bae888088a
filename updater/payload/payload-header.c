/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/payload-header.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"

#define MAJOR_VERSION 2

static const char magic[4] = {'C', 'r', 'A', 'U'};

typedef struct __attribute__((packed)) {
    char magic[4];
    Be64 major_version;
    Be64 n_manifest_bytes;
    Be32 n_metadata_signature_bytes;
} RawHeader;

static_assert(offsetof(RawHeader, major_version) == 4, "CrAU header");
static_assert(offsetof(RawHeader, n_manifest_bytes) == 12, "CrAU header");
static_assert(offsetof(RawHeader, n_metadata_signature_bytes) == 20, "CrAU header");
static_assert(sizeof(RawHeader) == PAYLOAD_HEADER_BYTES, "CrAU header");

static UpdateError check_version(uint64_t version, ErrorText *error)
{
    if (version == MAJOR_VERSION)
        return UPDATE_OK;
    if (version == 1)
        return error_say(
                error, UPDATE_ERROR_VERSION_REFUSED, "format 1 payloads are not supported yet");
    return error_say(error, UPDATE_ERROR_VERSION_REFUSED,
            "the payload has format %" PRIu64 "; only format 2 is known", version);
}

UpdateError payload_header_parse(const uint8_t *data, PayloadHeader *ret_header, ErrorText *error)
{
    RawHeader raw;
    memcpy(&raw, data, sizeof(raw));
    if (memcmp(raw.magic, magic, sizeof(magic)) != 0)
        return error_say(error, UPDATE_ERROR_MAGIC,
                "this is not a payload: it does not begin with \"CrAU\"");
    UpdateError failure = check_version(be64_get(raw.major_version), error);
    if (failure != UPDATE_OK)
        return failure;

    uint64_t n_manifest_bytes = be64_get(raw.n_manifest_bytes);
    uint32_t n_signature_bytes = be32_get(raw.n_metadata_signature_bytes);
    if (n_manifest_bytes == 0 || n_manifest_bytes > PAYLOAD_MANIFEST_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_METADATA_SIZE,
                "the payload's manifest is said to have %" PRIu64 " bytes; 1 to %" PRIu64
                " are allowed: the payload is damaged",
                n_manifest_bytes, PAYLOAD_MANIFEST_MAX_BYTES);
    if (n_signature_bytes == 0)
        return error_say(error, UPDATE_ERROR_NO_SIGNATURE, "the payload has no metadata signature");
    if (n_signature_bytes > PAYLOAD_METADATA_SIGNATURE_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_METADATA_SIZE,
                "the payload's metadata signature is said to have %" PRIu32
                " bytes; at most %" PRIu32 " are allowed: the payload is damaged",
                n_signature_bytes, PAYLOAD_METADATA_SIGNATURE_MAX_BYTES);
    *ret_header = (PayloadHeader){
            .n_manifest_bytes = n_manifest_bytes,
            .n_metadata_signature_bytes = n_signature_bytes,
            .n_signed_bytes = PAYLOAD_HEADER_BYTES + n_manifest_bytes,
            .n_metadata_bytes = PAYLOAD_HEADER_BYTES + n_manifest_bytes + n_signature_bytes,
    };
    return UPDATE_OK;
}

void payload_header_write(
        uint64_t n_manifest_bytes, uint32_t n_metadata_signature_bytes, uint8_t *ret_data)
{
    RawHeader raw = {
            .major_version = be64(MAJOR_VERSION),
            .n_manifest_bytes = be64(n_manifest_bytes),
            .n_metadata_signature_bytes = be32(n_metadata_signature_bytes),
    };
    memcpy(raw.magic, magic, sizeof(magic));
    memcpy(ret_data, &raw, sizeof(raw));
}
