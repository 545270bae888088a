/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/tree-salt.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

void tree_salt_derive(const char *product, const char *partition, VerityParameters *ret_parameters)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "flipside verity salt\n%s\n%s\n", product, partition);
    Sha256 digest = sha256_of(text, MIN((size_t)n, sizeof(text) - 1));
    memcpy(ret_parameters->salt, digest.bytes, SHA256_BYTES);
    ret_parameters->n_salt_bytes = SHA256_BYTES;
}
