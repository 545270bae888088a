/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

#include <errno.h>

#include "tests/unit/unit.h"

/* FIPS 180-4's example. */
#define ABC_HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(stream_and_whole_agree_with_the_standard)
{
    char hex[SHA256_HEX_CHARS + 1];
    Sha256 whole = sha256_of("abc", 3), streamed;
    sha256_to_hex(&whole, hex);
    ck_assert_str_eq(hex, ABC_HEX);

    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    ck_assert_int_eq(sha256_stream_new(&stream), 0);
    sha256_stream_add(stream, "xyz", 3);
    sha256_stream_reset(stream);
    sha256_stream_add(stream, "a", 1);
    sha256_stream_add(stream, "bc", 2);
    sha256_stream_finish(stream, &streamed);
    ck_assert(sha256_equal(&whole, &streamed));
    streamed.bytes[31] ^= 1;
    ck_assert(!sha256_equal(&whole, &streamed));
}
END_TEST

START_TEST(hex_of_another_length_is_refused)
{
    Sha256 digest;
    ck_assert_int_eq(sha256_from_hex(ABC_HEX, &digest), 0);
    ck_assert_int_eq(sha256_from_hex(ABC_HEX "0", &digest), -EINVAL);
    ck_assert_int_eq(sha256_from_hex(&ABC_HEX[1], &digest), -EINVAL);
    ck_assert_int_eq(sha256_from_hex("x" ABC_HEX, &digest), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("sha256");
    TCase *tcase = unit_case(suite, "sha256");
    tcase_add_test(tcase, stream_and_whole_agree_with_the_standard);
    tcase_add_test(tcase, hex_of_another_length_is_refused);
    return suite;
}
