/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/key-kind.h"

#include <errno.h>

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 4096

int key_kind_check(const EVP_PKEY *key, const char *path, ErrorText *error)
{
    int type = EVP_PKEY_get_base_id(key);
    int n_bits = EVP_PKEY_get_bits(key);
    if (type == EVP_PKEY_ED25519)
        return 0;
    if (type != EVP_PKEY_RSA)
        return error_say(error, -EINVAL, "key %s is neither an RSA nor an Ed25519 key", path);
    if (n_bits < RSA_MIN_BITS || n_bits > RSA_MAX_BITS)
        return error_say(error, -EINVAL, "key %s has %d bits; RSA keys of %d to %d bits will do",
                path, n_bits, RSA_MIN_BITS, RSA_MAX_BITS);
    return 0;
}
