/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/small-sha256.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* The bytes lie at the end of their memory, so that a read past them is seen. */
static void assert_agrees(const uint8_t *bytes, size_t n_bytes)
{
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, n_bytes);
    Sha256 found = small_sha256(exact, n_bytes), expected = sha256_of(exact, n_bytes);
    ck_assert_msg(sha256_equal(&found, &expected), "%zu bytes", n_bytes);
    free(exact);
}

START_TEST(agrees_with_openssl_at_every_length)
{
    uint8_t bytes[5 * 64 + 1];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    for (size_t n = 0; n <= sizeof(bytes); n++)
        assert_agrees(bytes, n);
}
END_TEST

START_TEST(agrees_with_openssl_on_every_byte)
{
    uint8_t bytes[64];
    for (int byte = 0; byte <= UINT8_MAX; byte++) {
        memset(bytes, byte, sizeof(bytes));
        assert_agrees(bytes, sizeof(bytes));
        assert_agrees(bytes, 55);
    }
}
END_TEST

START_TEST(agrees_with_openssl_on_much)
{
    size_t n_bytes = (3 << 20) + 17;
    uint8_t *bytes = malloc(n_bytes);
    ck_assert_ptr_nonnull(bytes);
    uint64_t random = 88172645463325252; /* xorshift64 */
    for (size_t i = 0; i < n_bytes; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bytes[i] = (uint8_t)(random >> 40);
    }
    assert_agrees(bytes, n_bytes);
    free(bytes);
}
END_TEST

/* From memory at any address. */
START_TEST(needs_no_alignment)
{
    uint8_t bytes[200] = {0};
    for (size_t at = 0; at < 64; at++) {
        Sha256 found = small_sha256(bytes + at, 129), expected = sha256_of(bytes + at, 129);
        ck_assert(sha256_equal(&found, &expected));
    }
}
END_TEST

/* FIPS 180-4's examples, so that it is not OpenSSL alone that says so. */
START_TEST(the_standards_examples)
{
    char hex[SHA256_HEX_CHARS + 1];
    Sha256 digest = small_sha256("abc", 3);
    sha256_to_hex(&digest, hex);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest = small_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
    sha256_to_hex(&digest, hex);
    ck_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest = small_sha256(NULL, 0);
    sha256_to_hex(&digest, hex);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("small-sha256");
    TCase *tcase = unit_case(suite, "small-sha256");
    tcase_add_test(tcase, agrees_with_openssl_at_every_length);
    tcase_add_test(tcase, agrees_with_openssl_on_every_byte);
    tcase_add_test(tcase, agrees_with_openssl_on_much);
    tcase_add_test(tcase, needs_no_alignment);
    tcase_add_test(tcase, the_standards_examples);
    return suite;
}
