/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/payload-header.h"

#include <stdint.h>
#include <string.h>

#include "tests/unit/unit.h"

static const uint8_t good[PAYLOAD_HEADER_BYTES] = {
        'C', 'r', 'A', 'U',           /* */
        0, 0, 0, 0, 0, 0, 0, 2,       /* major version */
        0, 0, 0, 0, 0, 0, 0x12, 0x34, /* manifest */
        0, 0, 0x01, 0x0b,             /* metadata signature */
};

static void assert_refused(
        size_t i, const char *bytes, size_t n, UpdateError expected, const char *reason)
{
    uint8_t data[PAYLOAD_HEADER_BYTES];
    memcpy(data, good, sizeof(data));
    memcpy(data + i, bytes, n);
    PayloadHeader header = {.n_manifest_bytes = 77};
    ErrorText error = {0};
    ck_assert_int_eq(payload_header_parse(data, &header, &error), expected);
    ck_assert_msg(strstr(error.line, reason) != NULL, "'%s' is not in '%s'", reason, error.line);
    ck_assert_uint_eq(header.n_manifest_bytes, 77);
}

START_TEST(a_good_header_is_read_and_written)
{
    PayloadHeader header;
    ErrorText error = {0};
    ck_assert_int_eq(payload_header_parse(good, &header, &error), UPDATE_OK);
    ck_assert_uint_eq(header.n_manifest_bytes, 0x1234);
    ck_assert_uint_eq(header.n_metadata_signature_bytes, 0x10b);
    ck_assert_uint_eq(header.n_signed_bytes, 24 + 0x1234);
    ck_assert_uint_eq(header.n_metadata_bytes, 24 + 0x1234 + 0x10b);
    uint8_t data[PAYLOAD_HEADER_BYTES];
    ck_assert_uint_eq(payload_header_write(2, 0x1234, 0x10b, data), 24);
    ck_assert_mem_eq(data, good, sizeof(data));
}
END_TEST

START_TEST(format_1_has_no_metadata_signature)
{
    uint8_t data[PAYLOAD_HEADER_BYTES];
    memcpy(data, good, sizeof(data));
    data[11] = 1;
    PayloadHeader header;
    ErrorText error = {0};
    ck_assert_int_eq(payload_header_parse(data, &header, &error), UPDATE_OK);
    ck_assert_uint_eq(header.format, 1);
    ck_assert_uint_eq(header.n_header_bytes, 20);
    ck_assert_uint_eq(header.n_manifest_bytes, 0x1234);
    ck_assert_uint_eq(header.n_metadata_signature_bytes, 0);
    ck_assert_uint_eq(header.n_signed_bytes, 20 + 0x1234);
    ck_assert_uint_eq(header.n_metadata_bytes, 20 + 0x1234);
    uint8_t written[PAYLOAD_HEADER_BYTES];
    ck_assert_uint_eq(payload_header_write(1, 0x1234, 0, written), 20);
    ck_assert_mem_eq(written, data, 20);
}
END_TEST

START_TEST(a_manifest_of_format_1_has_a_tighter_bound)
{
    uint8_t data[PAYLOAD_HEADER_BYTES];
    PayloadHeader header;
    payload_header_write(1, PAYLOAD_MANIFEST_V1_MAX_BYTES, 0, data);
    ck_assert_int_eq(payload_header_parse(data, &header, NULL), UPDATE_OK);
    payload_header_write(1, PAYLOAD_MANIFEST_V1_MAX_BYTES + 1, 0, data);
    ck_assert_int_eq(payload_header_parse(data, &header, NULL), UPDATE_ERROR_METADATA_SIZE);
    payload_header_write(1, 3, 0, data);
    ck_assert_int_eq(payload_header_parse(data, &header, NULL), UPDATE_ERROR_METADATA_SIZE);
}
END_TEST

START_TEST(other_files_are_refused)
{
    assert_refused(0, "BZh9", 4, UPDATE_ERROR_MAGIC, "not a payload");
    assert_refused(3, "u", 1, UPDATE_ERROR_MAGIC, "not a payload");
    assert_refused(11, "\0", 1, UPDATE_ERROR_VERSION_REFUSED, "format 0");
    assert_refused(11, "\3", 1, UPDATE_ERROR_VERSION_REFUSED, "format 3");
    assert_refused(4, "\1", 1, UPDATE_ERROR_VERSION_REFUSED, "format 72057594037927938");
}
END_TEST

START_TEST(absurd_lengths_are_refused)
{
    assert_refused(12, "\x80\0\0\0\0\0\0\0", 8, UPDATE_ERROR_METADATA_SIZE, "9223372036854775808");
    assert_refused(12, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, UPDATE_ERROR_METADATA_SIZE,
            "18446744073709551615");
    assert_refused(12, "\0\0\0\0\4\0\0\1", 8, UPDATE_ERROR_METADATA_SIZE, "67108865");
    assert_refused(12, "\0\0\0\0\0\0\0\0", 8, UPDATE_ERROR_METADATA_SIZE, "0 bytes");
    assert_refused(20, "\0\1\0\1", 4, UPDATE_ERROR_METADATA_SIZE, "65537");
    assert_refused(20, "\xff\xff\xff\xff", 4, UPDATE_ERROR_METADATA_SIZE, "4294967295");
    assert_refused(20, "\0\0\0\0", 4, UPDATE_ERROR_NO_SIGNATURE, "no metadata signature");
}
END_TEST

START_TEST(the_limits_themselves_are_taken)
{
    uint8_t data[PAYLOAD_HEADER_BYTES];
    PayloadHeader header;
    payload_header_write(2, PAYLOAD_MANIFEST_MAX_BYTES, PAYLOAD_METADATA_SIGNATURE_MAX_BYTES, data);
    ck_assert_int_eq(payload_header_parse(data, &header, NULL), UPDATE_OK);
    ck_assert_uint_eq(header.n_metadata_bytes, 24 + (64 << 20) + 65536);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("payload-header");
    TCase *tcase = unit_case(suite, "payload-header");
    tcase_add_test(tcase, a_good_header_is_read_and_written);
    tcase_add_test(tcase, format_1_has_no_metadata_signature);
    tcase_add_test(tcase, a_manifest_of_format_1_has_a_tighter_bound);
    tcase_add_test(tcase, other_files_are_refused);
    tcase_add_test(tcase, absurd_lengths_are_refused);
    tcase_add_test(tcase, the_limits_themselves_are_taken);
    return suite;
}
