/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/efi-firmware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "partitions/boot-request.h"
#include "partitions/boot/device-path.h"
#include "tests/unit/boot/fake-efi.h"
#include "tests/unit/boot/path-builder.h"
#include "tests/unit/unit.h"

#define UUID "42424242-4242-4242-4242-424242424242"

static EfiFirmware firmware;
static const BootFirmwareOperations *operations;
static EfiHandle self;
static EfiLoadedImage own_image;
static FakeBlockIo partition;
static EfiDevicePath *esp_path, *slot_path;
static Slot slot = {.label = "USR-B"};
static ErrorText error;

static void begin(void)
{
    efi_firmware_begin(&fake_efi.system, self, &firmware);
    operations = firmware.base.operations;
}

static void setup(void)
{
    fake_efi_init();
    esp_path = path_of_partition(1, 0xee);
    slot_path = path_of_partition(1, 0x42);
    fake_block_io_init(&partition, NULL, 512, 100);
    own_image = (EfiLoadedImage){.device = fake_efi_add(esp_path, &partition)};
    fake_efi_add(slot_path, &partition);
    self = fake_efi_add(NULL, NULL);
    ((FakeHandle *)self)->image = &own_image;
    memset(slot.unique.bytes, 0x42, sizeof(slot.unique.bytes));
    error = (ErrorText){0};
    begin();
}

static void teardown(void)
{
    fake_efi_done();
    free(esp_path);
    free(slot_path);
}

/* Saying. */

START_TEST(lines_go_to_the_console)
{
    operations->say(&firmware.base, "USR-B is chosen");
    operations->say(&firmware.base, "");
    operations->say(&firmware.base, "100% \303\244");
    ck_assert_str_eq(
            fake_efi.said, "flipside: USR-B is chosen\r\nflipside: \r\nflipside: 100% ??\r\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut)
{
    char line[3000];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    operations->say(&firmware.base, line);
    size_t n = strlen(fake_efi.said);
    ck_assert(n > 800 && n < 1024);
    ck_assert_str_eq(fake_efi.said + n - 3, "x\r\n");
}
END_TEST

START_TEST(a_machine_without_a_console)
{
    fake_efi.system.console_out = NULL;
    operations->say(&firmware.base, "to nobody");
    ck_assert_str_eq(fake_efi.said, "");
}
END_TEST

/* Memory. */

START_TEST(memory_begins_on_a_page)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 5000};
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        void *memory = operations->allocate(&firmware.base, sizes[i]);
        ck_assert_ptr_nonnull(memory);
        ck_assert_uint_eq((uintptr_t)memory % EFI_PAGE_BYTES, 0);
        ck_assert_uint_eq(fake_efi.n_pages, (sizes[i] + 4095) / 4096);
        operations->release(&firmware.base, memory, sizes[i]);
    }
    fake_efi.n_pages_allowed = 1;
    ck_assert_ptr_null(operations->allocate(&firmware.base, 4097));
}
END_TEST

/* Watching. */

START_TEST(a_hanging_machine_resets_itself)
{
    operations->arm_watchdog(&firmware.base);
    ck_assert_uint_eq(fake_efi.watchdog_seconds, 300);
}
END_TEST

/* Or the machine would reset itself in the firmware's menu. */
START_TEST(the_firmware_gets_the_machine_back_unwatched)
{
    operations->arm_watchdog(&firmware.base);
    efi_firmware_end(&firmware);
    ck_assert_uint_eq(fake_efi.watchdog_seconds, 0);
}
END_TEST

/* Loading. */

START_TEST(an_image_comes_from_its_slot)
{
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_DONE);
    ck_assert_str_eq(fake_efi.load_data, "image");
    ck_assert_uint_eq(fake_efi.n_load_bytes, 5);
    ck_assert_ptr_eq(fake_efi.load_parent, self);
    ck_assert_mem_eq(
            fake_efi.load_path, slot_path, device_path_bytes(slot_path) + sizeof(EfiDevicePath));
    operations->start(&firmware.base, &error);
}
END_TEST

/* Firmware that shows no partition for the slot still has a disk to name. */
START_TEST(an_image_of_a_slot_that_the_firmware_does_not_show)
{
    slot.unique.bytes[0] = 0;
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_DONE);
    ck_assert_mem_eq(
            fake_efi.load_path, esp_path, device_path_bytes(esp_path) + sizeof(EfiDevicePath));
    operations->start(&firmware.base, &error);
}
END_TEST

START_TEST(a_file_comes_from_the_esp)
{
    _cleanup_free_ EfiDevicePath *expected =
            device_path_with_file(esp_path, "\\EFI\\flipside\\USR-B.efi");
    ck_assert_int_eq(operations->load_file(&firmware.base, "USR-B", &error), LOAD_DONE);
    ck_assert_ptr_null(fake_efi.load_data);
    ck_assert_uint_eq(fake_efi.n_load_bytes, 0);
    ck_assert_mem_eq(
            fake_efi.load_path, expected, device_path_bytes(expected) + sizeof(EfiDevicePath));
    operations->start(&firmware.base, &error);
}
END_TEST

/* The slot is not at fault where the chooser came over the network. */
START_TEST(a_file_without_an_esp)
{
    own_image.device = NULL;
    begin();
    ck_assert_int_eq(operations->load_file(&firmware.base, "USR-B", &error), LOAD_HINDERED);
    ck_assert_str_eq(error.line,
            "it has no kernel image, and there is no ESP to look for \\EFI\\flipside\\USR-B.efi");
    ((FakeHandle *)self)->image = NULL;
    begin();
    ck_assert_int_eq(operations->load_file(&firmware.base, "USR-B", &error), LOAD_HINDERED);
}
END_TEST

static const struct {
    EfiStatus status;
    LoadResult result;
    const char *text;
} REFUSALS[] = {
        {EFI_LOAD_ERROR, LOAD_REFUSED, "load error (status 1)"},
        {EFI_INVALID_PARAMETER, LOAD_REFUSED, "invalid parameter (status 2)"},
        {EFI_UNSUPPORTED, LOAD_REFUSED, "not an image for this machine (status 3)"},
        {EFI_OUT_OF_RESOURCES, LOAD_HINDERED, "out of resources (status 9)"},
        {EFI_NOT_FOUND, LOAD_REFUSED, "not found (status e)"},
        {EFI_ACCESS_DENIED, LOAD_REFUSED,
                "not signed by a key that this machine trusts (status f)"},
        {EFI_SECURITY_VIOLATION, LOAD_REFUSED,
                "not signed by a key that this machine trusts (status 1a)"},
        {EFI_ERROR_BIT | 7, LOAD_REFUSED, "an error (status 7)"},
};

START_TEST(images_that_the_firmware_refuses)
{
    char expected[512];
    fake_efi.load_status = REFUSALS[_i].status;
    ck_assert_int_eq(
            operations->load(&firmware.base, &slot, "image", 5, &error), REFUSALS[_i].result);
    snprintf(expected, sizeof(expected), "the firmware refuses its kernel image: %s",
            REFUSALS[_i].text);
    ck_assert_str_eq(error.line, expected);
    ck_assert_int_eq(operations->load_file(&firmware.base, "USR-B", &error), REFUSALS[_i].result);
    snprintf(expected, sizeof(expected),
            "the firmware refuses \\EFI\\flipside\\USR-B.efi, which it has instead of a kernel image "
            "of its own: %s",
            REFUSALS[_i].text);
    ck_assert_str_eq(error.line, expected);
}
END_TEST

/* Section 7.4: then there is an image, which must not be started and would stay in memory. */
START_TEST(an_image_that_must_not_be_started_is_unloaded)
{
    fake_efi.load_status = EFI_SECURITY_VIOLATION;
    fake_efi.is_loaded_anyway = true;
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_REFUSED);
    ck_assert_uint_eq(fake_efi.n_images, 0);
}
END_TEST

/* Announcing. */

/* What the initrd reads is what the chooser wrote. */
START_TEST(the_initrd_learns_the_slot)
{
    uint8_t file[256];
    Guid found;
    ck_assert_int_eq(operations->announce(&firmware.base, UUID), 0);
    ck_assert_str_eq(fake_efi.variable, BOOT_REQUEST_VARIABLE ": " UUID);
    ck_assert_uint_eq(fake_efi.variable_attributes, 2 | 4); /* not 1: it is gone with the power */
    memcpy(file, &fake_efi.variable_attributes, 4);
    memcpy(file + 4, fake_efi.variable_data, fake_efi.n_variable_bytes);
    ck_assert_int_eq(
            boot_request_parse_variable(file, 4 + fake_efi.n_variable_bytes, &found, &error), 0);
    ck_assert(guid_equal(&found, &slot.unique));
}
END_TEST

/* Left behind by somebody, for good: it would name the wrong slot at each start. */
START_TEST(a_variable_of_that_name_is_replaced)
{
    fake_efi.n_variable_bytes = 2;
    fake_efi.variable_attributes = 1 | 2 | 4;
    ck_assert_int_eq(operations->announce(&firmware.base, UUID), 0);
    ck_assert_str_eq(fake_efi.variable, BOOT_REQUEST_VARIABLE ": " UUID);
    ck_assert_uint_eq(fake_efi.variable_attributes, 2 | 4);
}
END_TEST

START_TEST(the_variable_cannot_be_set)
{
    fake_efi.variable_status = EFI_OUT_OF_RESOURCES;
    ck_assert_int_eq(operations->announce(&firmware.base, UUID), -EIO);
}
END_TEST

/* Starting. */

/* What the firmware starts next was not started from this slot. */
START_TEST(nothing_is_left_of_an_image_that_comes_back)
{
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_DONE);
    ck_assert_int_eq(operations->announce(&firmware.base, UUID), 0);
    fake_efi.start_status = EFI_ABORTED;
    operations->start(&firmware.base, &error);
    ck_assert_str_eq(error.line, "aborted (status 15)");
    ck_assert_str_eq(fake_efi.variable, "");
    ck_assert_ptr_null(firmware.loaded);
}
END_TEST

START_TEST(an_image_that_comes_back_without_an_error)
{
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_DONE);
    operations->start(&firmware.base, &error);
    ck_assert_str_eq(error.line, "success (status 0)");
}
END_TEST

/* What the words mean for an image that cannot be loaded they do not mean for one that ran. */
START_TEST(an_image_that_comes_back_unsupported)
{
    ck_assert_int_eq(operations->load(&firmware.base, &slot, "image", 5, &error), LOAD_DONE);
    fake_efi.start_status = EFI_UNSUPPORTED;
    operations->start(&firmware.base, &error);
    ck_assert_str_eq(error.line, "unsupported (status 3)");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("efi-firmware");
    TCase *tcase = unit_case(suite, "efi-firmware");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_go_to_the_console);
    tcase_add_test(tcase, a_line_that_is_too_long_is_cut);
    tcase_add_test(tcase, a_machine_without_a_console);
    tcase_add_test(tcase, memory_begins_on_a_page);
    tcase_add_test(tcase, a_hanging_machine_resets_itself);
    tcase_add_test(tcase, the_firmware_gets_the_machine_back_unwatched);
    tcase_add_test(tcase, an_image_comes_from_its_slot);
    tcase_add_test(tcase, an_image_of_a_slot_that_the_firmware_does_not_show);
    tcase_add_test(tcase, a_file_comes_from_the_esp);
    tcase_add_test(tcase, a_file_without_an_esp);
    tcase_add_loop_test(tcase, images_that_the_firmware_refuses, 0, (int)ELEMENTS(REFUSALS));
    tcase_add_test(tcase, an_image_that_must_not_be_started_is_unloaded);
    tcase_add_test(tcase, the_initrd_learns_the_slot);
    tcase_add_test(tcase, a_variable_of_that_name_is_replaced);
    tcase_add_test(tcase, the_variable_cannot_be_set);
    tcase_add_test(tcase, nothing_is_left_of_an_image_that_comes_back);
    tcase_add_test(tcase, an_image_that_comes_back_without_an_error);
    tcase_add_test(tcase, an_image_that_comes_back_unsupported);
    return suite;
}
