/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/payload-header.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"

#define HEADER_V1_BYTES offsetof(RawHeader, n_metadata_signature_bytes)

static const char magic[4] = {'C', 'r', 'A', 'U'};

typedef struct __attribute__((packed)) {
    char magic[4];
    Be64 format;
    Be64 n_manifest_bytes;
    Be32 n_metadata_signature_bytes; /* in format 1 the manifest begins here */
} RawHeader;

static_assert(offsetof(RawHeader, format) == 4, "CrAU header");
static_assert(offsetof(RawHeader, n_manifest_bytes) == 12, "CrAU header");
static_assert(offsetof(RawHeader, n_metadata_signature_bytes) == 20, "CrAU header");
static_assert(sizeof(RawHeader) == PAYLOAD_HEADER_BYTES, "CrAU header");

static UpdateError check_manifest_size(uint64_t n_bytes, uint64_t n_max_bytes, ErrorText *error)
{
    if (n_bytes > 0 && n_bytes <= n_max_bytes)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_METADATA_SIZE,
            "the payload's manifest is said to have %" PRIu64 " bytes; 1 to %" PRIu64
            " are allowed: the payload is damaged",
            n_bytes, n_max_bytes);
}

static UpdateError check_signature_size(uint32_t n_bytes, ErrorText *error)
{
    if (n_bytes == 0)
        return error_say(error, UPDATE_ERROR_NO_SIGNATURE, "the payload has no metadata signature");
    if (n_bytes > PAYLOAD_METADATA_SIGNATURE_MAX_BYTES)
        return error_say(error, UPDATE_ERROR_METADATA_SIZE,
                "the payload's metadata signature is said to have %" PRIu32
                " bytes; at most %" PRIu32 " are allowed: the payload is damaged",
                n_bytes, PAYLOAD_METADATA_SIGNATURE_MAX_BYTES);
    return UPDATE_OK;
}

static UpdateError check_v1(PayloadHeader *header, ErrorText *error)
{
    header->n_header_bytes = HEADER_V1_BYTES;
    header->n_metadata_signature_bytes = 0;
    /* A manifest without a partition's hash would be shorter than what was looked at. */
    if (header->n_manifest_bytes < PAYLOAD_HEADER_BYTES - HEADER_V1_BYTES)
        return error_say(error, UPDATE_ERROR_METADATA_SIZE,
                "the payload's manifest is said to have %" PRIu64 " bytes: it is damaged",
                header->n_manifest_bytes);
    return check_manifest_size(header->n_manifest_bytes, PAYLOAD_MANIFEST_V1_MAX_BYTES, error);
}

static UpdateError check_v2(PayloadHeader *header, ErrorText *error)
{
    header->n_header_bytes = PAYLOAD_HEADER_BYTES;
    UpdateError failure =
            check_manifest_size(header->n_manifest_bytes, PAYLOAD_MANIFEST_MAX_BYTES, error);
    return failure == UPDATE_OK ? check_signature_size(header->n_metadata_signature_bytes, error)
                                : failure;
}

UpdateError payload_header_parse(const uint8_t *data, PayloadHeader *ret_header, ErrorText *error)
{
    RawHeader raw;
    memcpy(&raw, data, sizeof(raw));
    if (memcmp(raw.magic, magic, sizeof(magic)) != 0)
        return error_say(error, UPDATE_ERROR_MAGIC,
                "this is not a payload: it does not begin with \"CrAU\"");
    uint64_t format = be64_get(raw.format);
    if (format != 1 && format != 2)
        return error_say(error, UPDATE_ERROR_VERSION_REFUSED,
                "the payload has format %" PRIu64 "; only 1 and 2 are known", format);

    PayloadHeader header = {
            .format = (unsigned)format,
            .n_manifest_bytes = be64_get(raw.n_manifest_bytes),
            .n_metadata_signature_bytes = be32_get(raw.n_metadata_signature_bytes),
    };
    UpdateError failure = format == 1 ? check_v1(&header, error) : check_v2(&header, error);
    if (failure != UPDATE_OK)
        return failure;
    header.n_signed_bytes = header.n_header_bytes + header.n_manifest_bytes;
    header.n_metadata_bytes = header.n_signed_bytes + header.n_metadata_signature_bytes;
    *ret_header = header;
    return UPDATE_OK;
}

size_t payload_header_write(unsigned format, uint64_t n_manifest_bytes,
        uint32_t n_metadata_signature_bytes, uint8_t ret_data[static PAYLOAD_HEADER_BYTES])
{
    size_t n_bytes = format == 1 ? HEADER_V1_BYTES : sizeof(RawHeader);
    RawHeader raw = {
            .format = be64(format),
            .n_manifest_bytes = be64(n_manifest_bytes),
            .n_metadata_signature_bytes = be32(n_metadata_signature_bytes),
    };
    memcpy(raw.magic, magic, sizeof(magic));
    memcpy(ret_data, &raw, n_bytes);
    return n_bytes;
}
