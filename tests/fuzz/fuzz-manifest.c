/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "updater/payload-writer/manifest-writer.h"

/* What is accepted can be written, and what was written is accepted. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    _cleanup_(manifest_freep) Manifest *again = NULL;
    _cleanup_free_ uint8_t *written = NULL;
    size_t n_written;
    ErrorText error;
    if (manifest_parse(2, data, n_bytes, &manifest, &error) != UPDATE_OK)
        return 0;
    if (manifest_write(manifest, &written, &n_written, &error) < 0 ||
            manifest_parse(2, written, n_written, &again, &error) != UPDATE_OK ||
            again->n_blob_bytes != manifest->n_blob_bytes ||
            again->frame_target_bytes != manifest->frame_target_bytes ||
            again->frame_prefix_bytes != manifest->frame_prefix_bytes)
        abort();
    return 0;
}
