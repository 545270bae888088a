/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/guid.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(text_and_bytes_agree)
{
    char text[GUID_TEXT_CHARS + 1];
    Guid guid;
    guid_to_text(&GUID_TYPE_SLOT, text);
    ck_assert_str_eq(text, "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6");
    ck_assert_int_eq(guid_from_text("5DFBF5F4-2848-4bac-AA5E-0d9a20b745a6", &guid), 0);
    ck_assert(guid_equal(&guid, &GUID_TYPE_SLOT));
    ck_assert_int_eq(guid_from_text("00112233-4455-6677-8899-aabbccddeeff", &guid), 0);
    const uint8_t bytes[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa,
            0xbb, 0xcc, 0xdd, 0xee, 0xff};
    ck_assert_mem_eq(guid.bytes, bytes, 16);
    ck_assert(!guid_equal(&guid, &GUID_TYPE_SLOT));
    ck_assert(!guid_is_zero(&guid));
    ck_assert(guid_is_zero(&(Guid){0}));
}
END_TEST

START_TEST(other_text_is_refused)
{
    static const char *const BAD[] = {"", "-", "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a",
            "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6 ", "5dfbf5f4-2848-4bac-aa5e-0d9a20b745ag",
            "5dfbf5f4x2848-4bac-aa5e-0d9a20b745a6", "{dfbf5f4-2848-4bac-aa5e-0d9a20b745a}",
            "5dfbf5f428484bacaa5e0d9a20b745a65dfb", "5dfbf5f-42848-4bac-aa5e-0d9a20b745a6"};
    Guid guid;
    memset(&guid, 7, sizeof(guid));
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        ck_assert_msg(guid_from_text(BAD[i], &guid) == -EINVAL, "'%s'", BAD[i]);
    ck_assert_uint_eq(guid.bytes[0], 7);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("guid");
    TCase *tcase = unit_case(suite, "guid");
    tcase_add_test(tcase, text_and_bytes_agree);
    tcase_add_test(tcase, other_text_is_refused);
    return suite;
}
