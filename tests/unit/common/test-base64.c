/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base64.h"

#include <errno.h>

#include "tests/unit/unit.h"

/* RFC 4648 section 10. */
START_TEST(base64_vectors)
{
    static const char *const texts[] = {
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n <= 6; n++) {
        char text[16];
        uint8_t back[8];
        base64_encode("foobar", n, text);
        ck_assert_str_eq(text, texts[n]);
        ck_assert_int_eq(base64_decode(text, back, n), 0);
        ck_assert_mem_eq(back, "foobar", n);
    }
}
END_TEST

START_TEST(base64_that_does_not_fit_is_refused)
{
    uint8_t back[8];
    ck_assert_int_eq(base64_decode("Zm9v", back, 2), -EINVAL);
    ck_assert_int_eq(base64_decode("Zm8=", back, 3), -EINVAL);
    ck_assert_int_eq(base64_decode("Z=8=", back, 2), -EINVAL);
    ck_assert_int_eq(base64_decode("Zm\nv", back, 3), -EINVAL);
    ck_assert_int_eq(base64_decode("Zm*v", back, 3), -EINVAL);
    ck_assert_int_eq(base64_decode("Zm9", back, 3), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("base64");
    TCase *tcase = unit_case(suite, "base64");
    tcase_add_test(tcase, base64_vectors);
    tcase_add_test(tcase, base64_that_does_not_fit_is_refused);
    return suite;
}
