/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "updater/payload/signature-set.h"

/* The one thing beside the header that is parsed before any signature holds. What is accepted keeps
 * its entries through writing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(signature_set_freep) SignatureSet *set = NULL;
    _cleanup_(signature_set_freep) SignatureSet *again = NULL;
    if (signature_set_parse(data, n_bytes, &set) < 0)
        return 0;
    size_t n_blob = signature_set_blob_bytes(set);
    _cleanup_free_ uint8_t *blob = malloc(n_blob + 1);
    if (!blob)
        return 0;
    signature_set_write(set, blob);
    if (signature_set_parse(blob, n_blob, &again) < 0 ||
            signature_set_n_entries(again) != signature_set_n_entries(set))
        abort();
    return 0;
}
