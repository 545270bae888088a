/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/payload/test-keys.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

static const char *path_of(const char *folder, const char *kind, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, kind);
    ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof(paths[0]), "%s/%s/%s.pem", folder, kind, name);
    return path;
}

const char *test_keys_private(const char *folder, const char *name)
{
    return path_of(folder, "private", name);
}

const char *test_keys_public(const char *folder, const char *name)
{
    return path_of(folder, "public", name);
}

static EVP_PKEY *make_key(TestKeyKind kind)
{
    switch (kind) {
    case TEST_KEY_RSA_1024:
        return EVP_RSA_gen(1024);
    case TEST_KEY_RSA_2048:
        return EVP_RSA_gen(2048);
    case TEST_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case TEST_KEY_EC:
        return EVP_EC_gen("P-256");
    }
    return NULL;
}

void test_keys_make(const char *folder, const char *name, TestKeyKind kind)
{
    EVP_PKEY *key = make_key(kind);
    ck_assert_ptr_nonnull(key);
    FILE *file = fopen(test_keys_private(folder, name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    file = fopen(test_keys_public(folder, name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PUBKEY(file, key), 1);
    fclose(file);
    EVP_PKEY_free(key);
}
