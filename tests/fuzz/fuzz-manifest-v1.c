/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "updater/payload/manifest.h"

#define BLOCKS_MAX (UINT64_C(1) << 51)

static void check_extents(const Extent *extents, size_t n_extents)
{
    for (size_t i = 0; i < n_extents; i++)
        if (extents[i].n_blocks == 0 || extents[i].n_blocks > BLOCKS_MAX ||
                (extents[i].start_block > BLOCKS_MAX && extents[i].start_block != EXTENT_HOLE))
            abort();
}

/* What is accepted can be counted with: offsets add up, and no extent overflows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    ErrorText error;
    if (manifest_parse(1, data, n_bytes, &manifest, &error) != UPDATE_OK)
        return 0;
    uint64_t n_data_bytes = 0;
    size_t n_operations = 0;
    for (size_t i = 0; i < manifest->n_partitions; i++) {
        const PartitionUpdate *partition = &manifest->partitions[i];
        if (partition->operations != &manifest->operations[n_operations])
            abort();
        n_operations += partition->n_operations;
    }
    for (size_t i = 0; i < manifest->n_operations; i++) {
        const Operation *operation = &manifest->operations[i];
        if (operation->n_data_bytes > 0 && operation->data_offset_bytes != n_data_bytes)
            abort();
        n_data_bytes += operation->n_data_bytes;
        check_extents(operation->dst_extents, operation->n_dst_extents);
        check_extents(operation->src_extents, operation->n_src_extents);
        if (operation->n_short_bytes > operation->n_dst_bytes)
            abort();
    }
    if (n_operations != manifest->n_operations || manifest->partitions[0].kind != PARTITION_SLOT ||
            n_data_bytes != manifest->signatures_offset_bytes ||
            n_data_bytes + manifest->n_signatures_bytes != manifest->n_blob_bytes)
        abort();
    return 0;
}
