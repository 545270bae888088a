/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "updater/payload/payload-header.h"

/* What is accepted is exactly what would be written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    PayloadHeader header;
    ErrorText error;
    uint8_t written[PAYLOAD_HEADER_BYTES];
    if (n_bytes < PAYLOAD_HEADER_BYTES || payload_header_parse(data, &header, &error) != UPDATE_OK)
        return 0;
    size_t n_written = payload_header_write(
            header.format, header.n_manifest_bytes, header.n_metadata_signature_bytes, written);
    if (n_written != header.n_header_bytes || memcmp(written, data, n_written) != 0 ||
            header.n_metadata_bytes < PAYLOAD_HEADER_BYTES ||
            header.n_metadata_bytes - header.n_signed_bytes != header.n_metadata_signature_bytes)
        abort();
    return 0;
}
