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

/* A stream that is saved at each byte, and goes on in another. */
START_TEST(stream_goes_on_where_it_was_saved)
{
    uint8_t data[200];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    Sha256 whole = sha256_of(data, sizeof(data)), digest;
    _cleanup_(sha256_stream_freep) Sha256Stream *first = NULL, *second = NULL;
    ck_assert_int_eq(sha256_stream_new(&first), 0);
    ck_assert_int_eq(sha256_stream_new(&second), 0);
    for (size_t at = 0; at <= sizeof(data); at++) {
        Sha256State state;
        sha256_stream_save(first, &state);
        ck_assert_uint_eq(le64_get(state.n_bytes), at);
        sha256_stream_add(second, "something else", 14);
        sha256_stream_restore(second, &state);
        sha256_stream_add(second, data + at, sizeof(data) - at);
        sha256_stream_finish(second, &digest);
        ck_assert(sha256_equal(&digest, &whole));
        sha256_stream_reset(second);
        if (at < sizeof(data))
            sha256_stream_add(first, data + at, 1);
    }
}
END_TEST

START_TEST(length_beyond_32_bits_is_kept)
{
    Sha256State state = {.n_bytes = le64(UINT64_C(5) << 30)};
    Sha256State again;
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    ck_assert_int_eq(sha256_stream_new(&stream), 0);
    sha256_stream_restore(stream, &state);
    sha256_stream_save(stream, &again);
    ck_assert_mem_eq(&state, &again, sizeof(state));
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
    tcase_add_test(tcase, stream_goes_on_where_it_was_saved);
    tcase_add_test(tcase, length_beyond_32_bits_is_kept);
    tcase_add_test(tcase, hex_of_another_length_is_refused);
    return suite;
}
