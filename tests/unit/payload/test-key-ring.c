/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/key-ring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "tests/unit/payload/test-keys.h"
#include "tests/unit/unit.h"
#include "updater/payload/signature-set.h"
#include "updater/payload-writer/signing-key.h"

static const Sha256 digest = {{1, 2, 3}};

static KeyRing *load(const char *folder)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/public", folder);
    KeyRing *ring = NULL;
    ErrorText error = {0};
    ck_assert_msg(key_ring_load(path, &ring, &error) == 0, "%s", error.line);
    return ring;
}

static void assert_not_loaded(const char *folder, const char *reason)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/public", folder);
    KeyRing *ring = NULL;
    ErrorText error = {0};
    ck_assert_int_eq(key_ring_load(path, &ring, &error), -EINVAL);
    ck_assert_ptr_null(ring);
    ck_assert_msg(strstr(error.line, reason) != NULL, "'%s' is not in '%s'", reason, error.line);
}

/* Adds the signature of a key to a blob that may have others; *blob is replaced. */
static size_t sign(const char *folder, const char *name, uint8_t **blob, size_t n_bytes)
{
    SignatureSet *set = NULL;
    SigningKey *key = NULL;
    ErrorText error = {0};
    uint8_t signature[SIGNATURE_MAX_BYTES];
    ck_assert_int_eq(signature_set_parse(*blob, n_bytes, &set), 0);
    ck_assert_msg(
            signing_key_load(test_keys_private(folder, name), &key, &error) == 0, "%s", error.line);
    size_t n = signing_key_signature_bytes(key);
    ck_assert_int_eq(signing_key_sign(key, &digest, signature), 0);
    ck_assert_int_eq(signature_set_add_open(set, n), 0);
    size_t n_blob = signature_set_blob_bytes(set);
    ck_assert_int_eq(signature_set_fill(set, signature, n), 0);
    ck_assert_uint_eq(signature_set_blob_bytes(set), n_blob);
    free(*blob);
    *blob = malloc(n_blob);
    signature_set_write(set, *blob);
    signature_set_free(set);
    signing_key_free(key);
    return n_blob;
}

static UpdateError verify(const KeyRing *ring, const uint8_t *blob, size_t n, ErrorText *error)
{
    *error = (ErrorText){0};
    return key_ring_verify(ring, &digest, blob, n, UPDATE_ERROR_SIGNATURE, error);
}

START_TEST(each_kind_of_key_signs_and_verifies)
{
    static const TestKeyKind kinds[] = {TEST_KEY_RSA_2048, TEST_KEY_ED25519};
    const char *folder = unit_temp_dir();
    test_keys_make(folder, "key", kinds[_i]);
    _cleanup_(key_ring_freep) KeyRing *ring = load(folder);
    ck_assert_uint_eq(key_ring_n_keys(ring), 1);
    _cleanup_free_ uint8_t *blob = NULL;
    size_t n = sign(folder, "key", &blob, 0);
    ErrorText error;
    ck_assert_int_eq(verify(ring, blob, n, &error), UPDATE_OK);

    Sha256 other = digest;
    other.bytes[31] ^= 1;
    ck_assert_int_eq(
            key_ring_verify(ring, &other, blob, n, UPDATE_ERROR_METADATA_SIGNATURE, &error),
            UPDATE_ERROR_METADATA_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(error.line, "the metadata signature verifies with none of the 1"));
    blob[n - 1] ^= 1;
    ck_assert_int_eq(verify(ring, blob, n, &error), UPDATE_ERROR_SIGNATURE);
    blob[n - 1] ^= 1;
    ck_assert_int_eq(verify(ring, blob, n - 1, &error), UPDATE_ERROR_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(error.line, "the payload signature is damaged"));
}
END_TEST

START_TEST(everybodys_keys_are_refused)
{
    char folder[128], path[512];
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    test_keys_make(folder, "key", TEST_KEY_ED25519);
    snprintf(path, sizeof(path), "%s/public/key.pem", folder);
    ck_assert_int_eq(chmod(path, 0666), 0);
    assert_not_loaded(folder, "key.pem can be changed by everybody");
    ck_assert_int_eq(chmod(path, 0664), 0);
    key_ring_free(load(folder));
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(chmod(path, 01777), 0);
    assert_not_loaded(folder, "public can be changed by everybody");
}
END_TEST

START_TEST(no_key_means_no)
{
    char folder[128];
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    test_keys_make(folder, "key", TEST_KEY_ED25519);
    _cleanup_free_ uint8_t *blob = NULL;
    size_t n = sign(folder, "key", &blob, 0);
    const char *empty = unit_temp_dir();
    ErrorText error;
    _cleanup_(key_ring_freep) KeyRing *missing = load(empty); /* EMPTY/public is not there */
    ck_assert_uint_eq(key_ring_n_keys(missing), 0);
    ck_assert_int_eq(verify(missing, blob, n, &error), UPDATE_ERROR_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(error.line, "no key is installed"));
    ck_assert_int_eq(verify(missing, NULL, 0, &error), UPDATE_ERROR_SIGNATURE);

    char other[512];
    snprintf(other, sizeof(other), "%s/public", empty);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    snprintf(other, sizeof(other), "%s/public/README.txt", empty);
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, other, "no key", 6, 0600), 0);
    _cleanup_(key_ring_freep) KeyRing *without = load(empty);
    ck_assert_uint_eq(key_ring_n_keys(without), 0);
    ck_assert_int_eq(verify(without, blob, n, &error), UPDATE_ERROR_SIGNATURE);
}
END_TEST

START_TEST(keys_rotate_by_adding_one)
{
    char folder[128], stranger[128];
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    snprintf(stranger, sizeof(stranger), "%s", unit_temp_dir());
    test_keys_make(folder, "old", TEST_KEY_RSA_2048);
    test_keys_make(folder, "new", TEST_KEY_ED25519);
    test_keys_make(stranger, "other", TEST_KEY_ED25519);
    _cleanup_(key_ring_freep) KeyRing *ring = load(folder);
    _cleanup_(key_ring_freep) KeyRing *strangers = load(stranger);
    ck_assert_uint_eq(key_ring_n_keys(ring), 2);
    ErrorText error;
    _cleanup_free_ uint8_t *by_old = NULL;
    size_t n_old = sign(folder, "old", &by_old, 0);
    ck_assert_int_eq(verify(ring, by_old, n_old, &error), UPDATE_OK);
    _cleanup_free_ uint8_t *by_new = NULL;
    size_t n_new = sign(folder, "new", &by_new, 0);
    ck_assert_int_eq(verify(ring, by_new, n_new, &error), UPDATE_OK);

    /* Signed by somebody else, and by somebody else beside one of ours. */
    _cleanup_free_ uint8_t *blob = NULL;
    size_t n = sign(stranger, "other", &blob, 0);
    ck_assert_int_eq(verify(ring, blob, n, &error), UPDATE_ERROR_SIGNATURE);
    n = sign(folder, "old", &blob, n);
    ck_assert_int_eq(verify(ring, blob, n, &error), UPDATE_OK);
    ck_assert_int_eq(verify(strangers, blob, n, &error), UPDATE_OK);
    ck_assert_int_eq(verify(strangers, by_new, n_new, &error), UPDATE_ERROR_SIGNATURE);
}
END_TEST

START_TEST(several_keys_in_one_file)
{
    const char *folder = unit_temp_dir();
    test_keys_make(folder, "a", TEST_KEY_ED25519);
    test_keys_make(folder, "b", TEST_KEY_ED25519);
    _cleanup_free_ char *a = NULL, *b = NULL;
    size_t n_a, n_b;
    char both[1024];
    ck_assert_int_eq(fd_read_file(AT_FDCWD, test_keys_public(folder, "a"), 4096, &a, &n_a), 0);
    ck_assert_int_eq(fd_read_file(AT_FDCWD, test_keys_public(folder, "b"), 4096, &b, &n_b), 0);
    int n = snprintf(both, sizeof(both), "# two keys\n%s\n%s", a, b);
    const char *path = test_keys_public(folder, "b");
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path, both, (size_t)n, 0600), 0);
    _cleanup_(key_ring_freep) KeyRing *ring = NULL;
    ck_assert_int_eq(key_ring_new(&ring), 0);
    ck_assert_int_eq(key_ring_add_file(ring, path, NULL), 0);
    ck_assert_uint_eq(key_ring_n_keys(ring), 2);
}
END_TEST

START_TEST(a_file_that_is_no_key_is_named)
{
    const char *folder = unit_temp_dir();
    test_keys_make(folder, "good", TEST_KEY_ED25519);
    char path[512];
    snprintf(path, sizeof(path), "%s", test_keys_public(folder, "bad"));
    static const struct {
        const char *text;
        const char *reason;
    } bad[] = {
            {"", "bad.pem is no public key"},
            {"garbage", "bad.pem is no public key"},
            {"-----BEGIN PUBLIC KEY-----\n", "bad.pem is damaged"},
            {"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "bad.pem is damaged"},
            {"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n", "bad.pem is damaged"},
    };
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        ck_assert_int_eq(
                atomic_file_write(AT_FDCWD, path, bad[i].text, strlen(bad[i].text), 0600), 0);
        assert_not_loaded(folder, bad[i].reason);
    }
    _cleanup_free_ char *text = NULL;
    size_t n;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, test_keys_private(folder, "good"), 4096, &text, &n), 0);
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path, text, n, 0600), 0);
    assert_not_loaded(folder, "bad.pem holds a PRIVATE KEY");
    test_keys_make(folder, "bad", TEST_KEY_RSA_1024);
    assert_not_loaded(folder, "bad.pem has 1024 bits");
    test_keys_make(folder, "bad", TEST_KEY_EC);
    assert_not_loaded(folder, "bad.pem is neither");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    KeyRing *ring = NULL;
    char public[512];
    snprintf(public, sizeof(public), "%s/public", folder);
    ck_assert_int_eq(key_ring_load(public, &ring, NULL), -EISDIR);
    ck_assert_int_eq(key_ring_load(test_keys_public(folder, "good"), &ring, NULL), -ENOTDIR);
}
END_TEST

START_TEST(private_keys_are_checked)
{
    const char *folder = unit_temp_dir();
    SigningKey *key = NULL;
    ErrorText error = {0};
    test_keys_make(folder, "small", TEST_KEY_RSA_1024);
    test_keys_make(folder, "ec", TEST_KEY_EC);
    ck_assert_int_eq(signing_key_load("/nonexistent", &key, &error), -ENOENT);
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "small"), &key, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "1024 bits"));
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "ec"), &key, &error), -EINVAL);
    ck_assert_int_eq(signing_key_load(test_keys_public(folder, "ec"), &key, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "is no private key"));
}
END_TEST

START_TEST(absurd_sets_are_refused)
{
    SignatureSet *set = NULL;
    ck_assert_int_eq(signature_set_new(&set), 0);
    ck_assert_int_eq(signature_set_add_open(set, 0), -EINVAL);
    ck_assert_int_eq(signature_set_add_open(set, SIGNATURE_MAX_BYTES + 1), -EINVAL);
    for (size_t i = 0; i < SIGNATURE_SET_ENTRIES_MAX; i++)
        ck_assert_int_eq(signature_set_add_open(set, 64), 0);
    ck_assert_int_eq(signature_set_add_open(set, 64), -E2BIG);
    uint8_t signature[64] = {1};
    ck_assert_int_eq(signature_set_fill(set, signature, 63), -ENOENT);
    for (size_t i = 0; i < SIGNATURE_SET_ENTRIES_MAX; i++)
        ck_assert_int_eq(signature_set_fill(set, signature, 64), 0);
    ck_assert_int_eq(signature_set_fill(set, signature, 64), -ENOENT);

    size_t n = signature_set_blob_bytes(set);
    uint8_t *blob = malloc(2 * n);
    signature_set_write(set, blob);
    memcpy(blob + n, blob, n);
    signature_set_free(set);
    ck_assert_int_eq(signature_set_parse(blob, 2 * n, &set), -E2BIG);
    ck_assert_int_eq(signature_set_parse(blob, n - 1, &set), -EINVAL);
    ck_assert_int_eq(signature_set_parse(blob, SIGNATURE_SET_MAX_BYTES + 1, &set), -EINVAL);
    static const uint8_t no_data[] = {0x0a, 0x02, 0x08, 0x02};
    ck_assert_int_eq(signature_set_parse(no_data, sizeof(no_data), &set), -EINVAL);
    static const uint8_t padded[] = {
            0x0a, 0x0a, 0x12, 0x03, 7, 8, 9, 0x1d, 2, 0, 0, 0}; /* 2 of 3 bytes count */
    ck_assert_int_eq(signature_set_parse(padded, sizeof(padded), &set), 0);
    ck_assert_uint_eq(signature_set_get(set, 0).n_bytes, 2);
    signature_set_free(set);
    free(blob);
}
END_TEST

START_TEST(an_empty_signature_is_told_apart)
{
    const char *folder = unit_temp_dir();
    test_keys_make(folder, "key", TEST_KEY_ED25519);
    _cleanup_(key_ring_freep) KeyRing *ring = load(folder);
    SignatureSet *set = NULL;
    ck_assert_int_eq(signature_set_new(&set), 0);
    ck_assert_int_eq(signature_set_add_open(set, 64), 0);
    uint8_t blob[128];
    size_t n = signature_set_blob_bytes(set);
    signature_set_write(set, blob);
    signature_set_free(set);
    ErrorText error;
    ck_assert_int_eq(verify(ring, blob, n, &error), UPDATE_ERROR_SIGNATURE);
    ck_assert_ptr_nonnull(strstr(error.line, "still empty"));
    ck_assert_int_eq(verify(ring, blob, 0, &error), UPDATE_ERROR_SIGNATURE);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("key-ring");
    TCase *tcase = unit_case(suite, "key-ring");
    tcase_add_loop_test(tcase, each_kind_of_key_signs_and_verifies, 0, 2);
    tcase_add_test(tcase, no_key_means_no);
    tcase_add_test(tcase, everybodys_keys_are_refused);
    tcase_add_test(tcase, keys_rotate_by_adding_one);
    tcase_add_test(tcase, several_keys_in_one_file);
    tcase_add_test(tcase, a_file_that_is_no_key_is_named);
    tcase_add_test(tcase, private_keys_are_checked);
    tcase_add_test(tcase, absurd_sets_are_refused);
    tcase_add_test(tcase, an_empty_signature_is_told_apart);
    return suite;
}
