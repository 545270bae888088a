/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-fault.h"

#include <stddef.h>

#include "common/cleanup.h"

static bool is_one_of(UpdateError code, const UpdateError *codes, size_t n_codes)
{
    for (size_t i = 0; i < n_codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

bool install_fault_is_url(UpdateError code)
{
    static const UpdateError codes[] = {UPDATE_ERROR_TRANSFER, UPDATE_ERROR_PAYLOAD_HASH,
            UPDATE_ERROR_PAYLOAD_SIZE, UPDATE_ERROR_MAGIC, UPDATE_ERROR_METADATA_SIZE,
            UPDATE_ERROR_METADATA_SIGNATURE, UPDATE_ERROR_NO_SIGNATURE,
            UPDATE_ERROR_OPERATION_HASH};
    return is_one_of(code, codes, ELEMENTS(codes));
}

bool install_fault_is_kept(UpdateError code, bool is_resumed)
{
    static const UpdateError codes[] = {UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_VERITY,
            UPDATE_ERROR_KERNEL_HASH, UPDATE_ERROR_POLICY_HASH, UPDATE_ERROR_OPERATION,
            UPDATE_ERROR_PAYLOAD_HASH, UPDATE_ERROR_SIGNATURE, UPDATE_ERROR_PAYLOAD_SIZE};
    if (code == UPDATE_ERROR_OPERATION_HASH)
        return is_resumed; /* the kept metadata may be another payload's */
    if (code == UPDATE_ERROR_SOURCE)
        return is_resumed; /* begun anew, it is refused before the target is touched */
    return is_one_of(code, codes, ELEMENTS(codes));
}
