/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "verity/superblock.h"

/* What is accepted means the same when it is written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint8_t block[VERITY_SUPERBLOCK_BYTES] = {};
    VeritySuperblock first, second;
    memcpy(block, data, n_bytes < sizeof(block) ? n_bytes : sizeof(block));
    if (verity_superblock_parse(block, &first, NULL) < 0)
        return 0;
    if (verity_superblock_encode(&first, block) < 0 ||
            verity_superblock_parse(block, &second, NULL) < 0 ||
            memcmp(&first, &second, sizeof(first)) != 0)
        abort();
    return 0;
}
