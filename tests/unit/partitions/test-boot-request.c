/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot-request.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/partitions/fake-root.h"
#include "tests/unit/unit.h"

#define SLOT "7130c94a-213a-4e5a-8e26-6cce9662f132"
#define OTHER "42424242-4242-4242-4242-424242424242"
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define VARIABLE_PATH "sys/firmware/efi/efivars/" BOOT_REQUEST_VARIABLE
#define VARIABLE_BYTES (4 + 2 * 37)

static void assert_slot(const Guid *slot, const char *expected)
{
    char text[GUID_TEXT_CHARS + 1];
    guid_to_text(slot, text);
    ck_assert_str_eq(text, expected);
}

/* What the line names: `slot` and/or a hash. */
static void assert_parsed(const char *line, const char *slot, bool has_hash)
{
    BootRequest request;
    ErrorText error = {0};
    ck_assert_msg(boot_request_parse(line, &request, &error) == 0, "%s: %s", line, error.line);
    ck_assert_msg(request.has_slot == (slot != NULL), "%s", line);
    ck_assert_msg(request.has_root_hash == has_hash, "%s", line);
    if (slot)
        assert_slot(&request.slot, slot);
    if (has_hash)
        ck_assert_uint_eq(request.root_hash.bytes[1], 0x11);
}

static void assert_refused(const char *line, const char *complaint)
{
    BootRequest request;
    ErrorText error = {0};
    ck_assert_msg(boot_request_parse(line, &request, &error) == -EBADMSG, "%s", line);
    ck_assert_msg(strstr(error.line, complaint), "%s: %s", line, error.line);
}

START_TEST(command_lines)
{
    assert_parsed("", NULL, false);
    assert_parsed("quiet panic=1\n", NULL, false);
    assert_parsed("quiet flipside.usrhash=" HASH "\n", NULL, true);
    assert_parsed("flipside.slot=" SLOT "  flipside.usrhash=" HASH, SLOT, true);
    assert_parsed("flipside.slot=\"" SLOT "\" ro", SLOT, false);
    assert_parsed("flipside.slot=7130C94A-213A-4E5A-8E26-6CCE9662F132", SLOT, false);
    assert_parsed("usrhash=x xflipside.slot=y flipside.slots=z flipside.slot", NULL, false);
    assert_parsed("a=\"x flipside.slot=" SLOT "\"", NULL, false);
    assert_parsed("quiet -- flipside.slot=" SLOT, NULL, false);
}
END_TEST

START_TEST(command_lines_that_are_refused)
{
    assert_refused("flipside.slot=", "no PARTUUID");
    assert_refused("flipside.slot=USR-A", "no PARTUUID");
    assert_refused("flipside.slot=" SLOT "0", "no PARTUUID");
    assert_refused("flipside.slot=" SLOT " flipside.slot=" SLOT, "twice");
    assert_refused("flipside.usrhash=", "no root hash");
    assert_refused("flipside.usrhash=" HASH "00", "no root hash");
    assert_refused("flipside.usrhash=x" HASH, "no root hash");
    assert_refused("flipside.usrhash=g" HASH, "no root hash");
    assert_refused("flipside.usrhash=" HASH " flipside.usrhash=" HASH, "twice");
}
END_TEST

static void make_variable(const char *text, uint8_t ret_data[static VARIABLE_BYTES])
{
    memset(ret_data, 0, VARIABLE_BYTES);
    ret_data[0] = 6; /* BOOTSERVICE_ACCESS | RUNTIME_ACCESS */
    for (size_t i = 0; text[i]; i++)
        ret_data[4 + 2 * i] = (uint8_t)text[i];
}

START_TEST(variables)
{
    uint8_t data[VARIABLE_BYTES + 2] = {0};
    Guid slot;
    ErrorText error = {0};
    make_variable(SLOT, data);
    ck_assert_int_eq(boot_request_parse_variable(data, VARIABLE_BYTES, &slot, &error), 0);
    assert_slot(&slot, SLOT);

    for (size_t n = 0; n < VARIABLE_BYTES; n++) /* cut */
        ck_assert_int_eq(boot_request_parse_variable(data, n, &slot, &error), -EBADMSG);
    ck_assert_int_eq(boot_request_parse_variable(data, sizeof(data), &slot, &error), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.line, BOOT_REQUEST_VARIABLE));
    for (size_t i = 4; i < VARIABLE_BYTES; i++) { /* every byte counts */
        data[i] ^= 0x80;
        ck_assert_int_eq(boot_request_parse_variable(data, VARIABLE_BYTES, &slot, NULL), -EBADMSG);
        data[i] ^= 0x80;
    }
    data[4 + 2 * 8] = 0; /* a text that ends early */
    ck_assert_int_eq(boot_request_parse_variable(data, VARIABLE_BYTES, &slot, NULL), -EBADMSG);
}
END_TEST

START_TEST(the_command_line_goes_before_the_variable)
{
    const char *root = unit_temp_dir();
    uint8_t data[VARIABLE_BYTES];
    BootRequest request;
    ErrorText error = {0};
    ck_assert_int_eq(boot_request_read(root, &request, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "proc/cmdline"));
    fake_file(root, "proc/cmdline", "quiet\n", 6);
    ck_assert_int_eq(boot_request_read(root, &request, &error), -ENODATA);
    ck_assert_ptr_nonnull(strstr(error.line, "efivarfs"));

    make_variable(OTHER, data);
    fake_file(root, VARIABLE_PATH, data, sizeof(data));
    ck_assert_int_eq(boot_request_read(root, &request, &error), 0);
    assert_slot(&request.slot, OTHER);
    ck_assert(!request.has_root_hash);

    static const char line[] = "flipside.slot=" SLOT " flipside.usrhash=" HASH;
    fake_file(root, "proc/cmdline", line, strlen(line));
    ck_assert_int_eq(boot_request_read(root, &request, &error), 0);
    assert_slot(&request.slot, SLOT);
    ck_assert(request.has_root_hash);
}
END_TEST

START_TEST(what_cannot_be_read)
{
    static const uint8_t long_data[8192];
    const char *root = unit_temp_dir();
    BootRequest request;
    fake_file(root, "proc/cmdline", "quiet flipside.slot=x\n", 22);
    ck_assert_int_eq(boot_request_read(root, &request, NULL), -EBADMSG);
    fake_file(root, "proc/cmdline", "quiet\n", 6);
    fake_file(root, VARIABLE_PATH, long_data, sizeof(long_data));
    ck_assert_int_eq(boot_request_read(root, &request, NULL), -EBADMSG);
    const char *folder = unit_temp_dir();
    fake_file(folder, "proc/cmdline", "quiet\n", 6);
    fake_file(folder, VARIABLE_PATH "/file", "", 0);
    ck_assert_int_eq(boot_request_read(folder, &request, NULL), -EISDIR);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("boot-request");
    TCase *tcase = unit_case(suite, "boot-request");
    tcase_add_test(tcase, command_lines);
    tcase_add_test(tcase, command_lines_that_are_refused);
    tcase_add_test(tcase, variables);
    tcase_add_test(tcase, the_command_line_goes_before_the_variable);
    tcase_add_test(tcase, what_cannot_be_read);
    return suite;
}
