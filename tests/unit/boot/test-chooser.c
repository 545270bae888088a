/* SPDX-License-Identifier: Apache-2.0 */

/* What the boot chooser does with one disk: all of it, in order. The trace is the test. */

#include "partitions/boot/chooser.h"

#include <string.h>

#include "tests/unit/boot/boot-rig.h"
#include "tests/unit/unit.h"

enum { ESP, SLOT_A, SLOT_B }; /* partitions of RIG_PLAN */

#define A_UUID "41414141-4141-4141-4141-414141414141"
#define B_UUID "42424242-4242-4242-4242-424242424242"

#define B_IS_CHOSEN "say: USR-B is chosen: priority 2, tries 3, of which one is spent now\n"
#define B_SPENT "[USR-A 1 0 good 0] [USR-B 2 2 - 0]"
#define B_IS_LOADED "load: kernel of USR-B, 5000 bytes; " B_SPENT "\n"
#define B_IS_STARTED                    \
    "announce: " B_UUID "\n"            \
    "say: USR-B is started: demo 2.0\n" \
    "start: USR-B; " B_SPENT "\n"
#define B_IS_DEMOTED(reason) \
    "say: USR-B cannot be loaded: " reason "; it does not boot until it is prioritized\n"

#define A_IS_CHOSEN \
    "say: USR-A is chosen: priority 1, successful, started 0 times since it was marked good\n"
/* What follows the choice, with these bits of USR-B. */
#define A_IS_STARTED(b)                                                     \
    "load: kernel of USR-A, 5000 bytes; [USR-A 1 0 good 1] [USR-B " b "]\n" \
    "announce: " A_UUID "\n"                                                \
    "say: USR-A is started: demo 2.0\n"                                     \
    "start: USR-A; [USR-A 1 0 good 1] [USR-B " b "]\n"
#define A_BOOTS(b) A_IS_CHOSEN A_IS_STARTED(b)
#define A_BOOTS_INSTEAD A_BOOTS("0 0 - 0")

#define NONE_IS_LEFT "say: recorder has no slot left that could boot\n"

static BootRig rig;

static void setup(void)
{
    boot_rig_init(&rig, &RIG_PLAN);
}

static void teardown(void)
{
    boot_rig_done(&rig);
}

/* Another disk than the usual one. */
static void use_plan(const DiskPlan *plan)
{
    boot_rig_done(&rig);
    boot_rig_init(&rig, plan);
}

static DiskPlan plan_of(DiskPart a, DiskPart b)
{
    DiskPlan plan = RIG_PLAN;
    a.label = "USR-A";
    b.label = "USR-B";
    a.n_sectors = b.n_sectors = RIG_SLOT_SECTORS;
    plan.parts[SLOT_A] = a;
    plan.parts[SLOT_B] = b;
    return plan;
}

static uint64_t starts(unsigned n)
{
    return (uint64_t)n << 57;
}

/* Choice. */

START_TEST(a_new_slot_is_started_once_its_try_is_on_the_disk)
{
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED B_IS_STARTED);
}
END_TEST

/* A slot whose very reading hangs the firmware must not be tried for ever. */
START_TEST(the_try_is_spent_before_anything_of_the_slot_is_read)
{
    size_t n_bytes, at = (size_t)(boot_rig_slot(&rig, SLOT_B, &n_bytes) - rig.made.data);
    boot_rig_begin(&rig);
    rig.recorder.first_unreadable = at / 512;
    rig.recorder.n_unreadable = n_bytes / 512;
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_DEMOTED("its trailer cannot be read") A_BOOTS_INSTEAD);
    size_t n_steps = rig.recorder.n_steps_before_failure; /* up to the slot's first read */
    ck_assert_uint_gt(n_steps, 0);
    ck_assert(rig.recorder.steps[n_steps - 1].is_flush);
}
END_TEST

START_TEST(starts_of_a_good_slot_are_counted)
{
    DiskPlan plan = plan_of((DiskPart){.priority = 1, .successful = true, .attributes = starts(2)},
            (DiskPart){.priority = 0});
    use_plan(&plan);
    boot_rig_expect(&rig,
            "say: USR-A is chosen: priority 1, successful, started 2 times since it was marked "
            "good\n"
            "load: kernel of USR-A, 5000 bytes; [USR-A 1 0 good 3] [USR-B 0 0 - 0]\n"
            "announce: " A_UUID "\n"
            "say: USR-A is started: demo 2.0\n"
            "start: USR-A; [USR-A 1 0 good 3] [USR-B 0 0 - 0]\n");
}
END_TEST

START_TEST(a_good_slot_that_does_not_come_up_gives_way)
{
    DiskPlan plan = plan_of((DiskPart){.priority = 1, .successful = true},
            (DiskPart){.priority = 2, .successful = true, .attributes = starts(4)});
    use_plan(&plan);
    boot_rig_expect(&rig, A_BOOTS("2 0 good 4"));
}
END_TEST

START_TEST(a_slot_whose_tries_are_spent_gives_way)
{
    DiskPlan plan =
            plan_of((DiskPart){.priority = 1, .successful = true}, (DiskPart){.priority = 2});
    use_plan(&plan);
    boot_rig_expect(&rig, A_BOOTS("2 0 - 0"));
}
END_TEST

START_TEST(no_slot_can_boot)
{
    DiskPlan plan = plan_of((DiskPart){.successful = true}, (DiskPart){.priority = 2});
    use_plan(&plan);
    boot_rig_expect(&rig, NONE_IS_LEFT);
    ck_assert_uint_eq(rig.recorder.n_steps, 0);
}
END_TEST

/* The disk has a first slot of another label that comes before both, and boots. */
START_TEST(the_best_of_several_slots_boots)
{
    DiskPlan plan = RIG_PLAN;
    plan.n_sectors = 300;
    plan.parts[3] = (DiskPart){.label = "USR-C", .priority = 9, .tries = 1, .n_sectors = 40};
    use_plan(&plan);
    boot_rig_expect(&rig,
            "say: USR-C is chosen: priority 9, tries 1, of which one is spent now\n"
            "load: kernel of USR-C, 5000 bytes; [USR-A 1 0 good 0] [USR-B 2 3 - 0] [USR-C 9 0 - 0]\n"
            "announce: 43434343-4343-4343-4343-434343434343\n"
            "say: USR-C is started: demo 2.0\n"
            "start: USR-C; [USR-A 1 0 good 0] [USR-B 2 3 - 0] [USR-C 9 0 - 0]\n");
}
END_TEST

START_TEST(sectors_of_4096_bytes)
{
    DiskPlan plan = RIG_PLAN;
    plan.sector_bytes = 4096;
    plan.n_sectors = 60;
    plan.parts[ESP].n_sectors = 1;
    plan.parts[SLOT_A].n_sectors = plan.parts[SLOT_B].n_sectors = 5;
    use_plan(&plan);
    rig.fake.coming_back = "USR-B";
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED B_IS_STARTED
            "say: USR-B came back: aborted\n" A_BOOTS("2 2 - 0"));
}
END_TEST

/* What ends a start. */

START_TEST(an_image_that_comes_back_is_not_started_again)
{
    rig.fake.coming_back = "USR-A USR-B";
    boot_rig_expect(
            &rig, B_IS_CHOSEN B_IS_LOADED B_IS_STARTED "say: USR-B came back: aborted\n" A_BOOTS(
                          "2 2 - 0") "say: USR-A came back: aborted\n" NONE_IS_LEFT);
}
END_TEST

START_TEST(the_system_is_started_without_the_variable)
{
    rig.fake.cannot_announce = true;
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED
            "announce: " B_UUID "\n"
            "say: the variable with the slot's name cannot be set; the system may not find USR-B\n"
            "say: USR-B is started: demo 2.0\n"
            "start: USR-B; " B_SPENT "\n");
}
END_TEST

/* Images. */

START_TEST(an_image_that_the_firmware_refuses_costs_the_priority)
{
    rig.fake.refused = "USR-B";
    boot_rig_expect(&rig,
            B_IS_CHOSEN B_IS_LOADED B_IS_DEMOTED("the firmware does not want it") A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(an_image_that_the_firmware_has_no_memory_for_costs_nothing)
{
    rig.fake.hindered = "USR-B";
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED
            "say: USR-B cannot be loaded: out of resources\n" A_BOOTS("2 2 - 0"));
}
END_TEST

START_TEST(no_memory_to_read_an_image_costs_nothing)
{
    rig.fake.has_no_memory = true;
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: USR-B cannot be loaded: there is no memory for its kernel image of "
                        "5120 bytes\n" A_IS_CHOSEN
                        "say: USR-A cannot be loaded: there is no memory for its kernel image of "
                        "5120 bytes\n" NONE_IS_LEFT);
    char bits[FAKE_STATE_BYTES];
    fake_firmware_read_bits(rig.recorder.cache, 512, rig.recorder.device.n_sectors, bits);
    ck_assert_str_eq(bits, "[USR-A 1 0 good 1] [USR-B 2 2 - 0]");
}
END_TEST

static void damage_kernel(size_t offset)
{
    size_t n_bytes;
    boot_rig_slot(&rig, SLOT_B, &n_bytes)[RIG_KERNEL_OFFSET + offset] ^= 1;
}

START_TEST(an_image_that_lost_a_bit_is_not_loaded)
{
    damage_kernel((size_t)_i);
    boot_rig_expect(&rig,
            B_IS_CHOSEN B_IS_DEMOTED("its kernel image has a wrong checksum") A_BOOTS_INSTEAD);
}
END_TEST

/* What follows the image in its last sector is nobody's. */
START_TEST(bytes_behind_the_image_do_not_count)
{
    damage_kernel(RIG_KERNEL_BYTES);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED B_IS_STARTED);
}
END_TEST

START_TEST(an_image_that_cannot_be_read_is_not_loaded)
{
    size_t n_bytes, at = (size_t)(boot_rig_slot(&rig, SLOT_B, &n_bytes) - rig.made.data);
    boot_rig_begin(&rig);
    rig.recorder.first_unreadable = (at + RIG_KERNEL_OFFSET + RIG_KERNEL_BYTES - 1) / 512;
    rig.recorder.n_unreadable = 1;
    boot_rig_expect(
            &rig, B_IS_CHOSEN B_IS_DEMOTED("its kernel image cannot be read") A_BOOTS_INSTEAD);
}
END_TEST

/* Trailers. */

static void change_trailer(void (*change)(SlotTrailer *trailer))
{
    SlotTrailer trailer = boot_rig_usual_trailer("USR-B");
    change(&trailer);
    boot_rig_put_trailer(&rig, SLOT_B, &trailer);
}

static void tree_that_cannot_be(SlotTrailer *trailer)
{
    trailer->fs_bytes = 0;
}

static void kernel_past_the_end(SlotTrailer *trailer)
{
    trailer->uki_bytes = 3 * 4096 + 1;
}

static void no_version(SlotTrailer *trailer)
{
    trailer->version[0] = '\0';
}

static void no_kernel(SlotTrailer *trailer)
{
    trailer->uki_offset = trailer->uki_bytes = 0;
    trailer->uki_sha256 = (Sha256){0};
}

/* Changes a byte of the trailer and makes its checksum right. */
static void seal_trailer(size_t offset, uint8_t byte)
{
    uint8_t *trailer = boot_rig_trailer(&rig, SLOT_B);
    trailer[offset] = byte;
    Sha256 sum = sha256_of(trailer, SLOT_TRAILER_BYTES - SHA256_BYTES);
    memcpy(trailer + SLOT_TRAILER_BYTES - SHA256_BYTES, sum.bytes, SHA256_BYTES);
}

START_TEST(a_trailer_with_a_wrong_checksum)
{
    boot_rig_trailer(&rig, SLOT_B)[3000] ^= 1;
    boot_rig_expect(
            &rig, B_IS_CHOSEN B_IS_DEMOTED("its trailer has a wrong checksum") A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(a_trailer_of_an_unknown_format)
{
    seal_trailer(offsetof(SlotTrailerRaw, format), 2);
    boot_rig_expect(
            &rig, B_IS_CHOSEN B_IS_DEMOTED("its trailer is of an unknown format") A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(a_trailer_with_a_tree_that_cannot_be)
{
    change_trailer(tree_that_cannot_be);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_DEMOTED(
                                  "its trailer describes a file system or hash tree that cannot be")
                                  A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(a_trailer_with_a_kernel_that_cannot_be)
{
    change_trailer(kernel_past_the_end);
    boot_rig_expect(&rig,
            B_IS_CHOSEN B_IS_DEMOTED("its trailer describes a kernel image that cannot be")
                    A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(a_trailer_without_a_version)
{
    change_trailer(no_version);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_DEMOTED("its trailer has no proper product and version")
                                  A_BOOTS_INSTEAD);
}
END_TEST

START_TEST(a_trailer_with_something_where_nothing_may_be)
{
    seal_trailer(offsetof(SlotTrailerRaw, reserved) + 100, 1);
    boot_rig_expect(&rig,
            B_IS_CHOSEN B_IS_DEMOTED("its trailer holds something where it must be empty")
                    A_BOOTS_INSTEAD);
}
END_TEST

/* The kernel as a file. */

#define B_IS_STARTED_FROM_ITS_FILE(and) \
    "load file: USR-B; " B_SPENT "\n"   \
    "announce: " B_UUID "\n"            \
    "say: USR-B is started: " and       \
            "\n"                        \
            "start: USR-B; " B_SPENT "\n"

START_TEST(a_slot_without_a_trailer_has_its_kernel_on_the_esp)
{
    memset(boot_rig_trailer(&rig, SLOT_B), 0, SLOT_TRAILER_BYTES);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_STARTED_FROM_ITS_FILE("\\EFI\\flipside\\USR-B.efi"));
}
END_TEST

START_TEST(a_slot_without_a_kernel_has_it_on_the_esp)
{
    change_trailer(no_kernel);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_STARTED_FROM_ITS_FILE("demo 2.0"));
}
END_TEST

START_TEST(a_slot_too_small_for_a_trailer_has_its_kernel_on_the_esp)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].n_sectors = 7;
    use_plan(&plan);
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_STARTED_FROM_ITS_FILE("\\EFI\\flipside\\USR-B.efi"));
}
END_TEST

START_TEST(a_file_that_is_missing_costs_the_priority)
{
    memset(boot_rig_trailer(&rig, SLOT_B), 0, SLOT_TRAILER_BYTES);
    rig.fake.refused = "USR-B";
    boot_rig_expect(&rig, B_IS_CHOSEN "load file: USR-B; " B_SPENT "\n" B_IS_DEMOTED(
                                  "the firmware does not want it") A_BOOTS_INSTEAD);
}
END_TEST

/* Bad ones in their shape. */
static const char *const LABELS[] = {"..", ".efi", "a\\b", "a/b", "a b", "USR:B", "*", "a?", "a%s"};

START_TEST(a_label_that_is_no_name_for_a_file)
{
    char expected[1024];
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].label = LABELS[_i];
    use_plan(&plan);
    memset(boot_rig_trailer(&rig, SLOT_B), 0, SLOT_TRAILER_BYTES);
    snprintf(expected, sizeof(expected),
            "say: %s is chosen: priority 2, tries 3, of which one is spent now\n"
            "say: %s cannot be loaded: it has no kernel image, and its label is no name for a file; "
            "it does not boot until it is prioritized\n",
            LABELS[_i], LABELS[_i]);
    boot_rig_run(&rig);
    rig.fake.trace[strlen(expected)] = '\0';
    ck_assert_str_eq(rig.fake.trace, expected);
    ck_assert_ptr_null(strstr(rig.fake.trace, "load file"));
}
END_TEST

START_TEST(a_label_that_is_a_name_for_a_file)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].label = "aZ09-_.b";
    use_plan(&plan);
    memset(boot_rig_trailer(&rig, SLOT_B), 0, SLOT_TRAILER_BYTES);
    boot_rig_run(&rig);
    ck_assert_ptr_nonnull(strstr(rig.fake.trace, "\nload file: aZ09-_.b; "));
}
END_TEST

/* Without a label there is no file, and with a trailer none is needed. */
START_TEST(an_empty_label)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].label = "";
    use_plan(&plan);
    boot_rig_run(&rig);
    ck_assert_ptr_nonnull(strstr(rig.fake.trace, "\nload: kernel of , 5000 bytes; "));
    use_plan(&plan);
    memset(boot_rig_trailer(&rig, SLOT_B), 0, SLOT_TRAILER_BYTES);
    boot_rig_run(&rig);
    ck_assert_ptr_nonnull(strstr(rig.fake.trace,
            "\nsay:  cannot be loaded: it has no kernel image, and its label is no name for a "
            "file;"));
}
END_TEST

/* The last one. */

#define A_KEEPS_ITS_PRIORITY                                                                \
    A_IS_CHOSEN "load: kernel of USR-A, 5000 bytes; [USR-A 1 0 good 1] [USR-B 0 0 - 0]\n"   \
                "say: USR-A cannot be loaded: the firmware does not want it; it keeps its " \
                "priority, as no other slot could boot\n" NONE_IS_LEFT

START_TEST(the_last_slot_keeps_its_priority)
{
    rig.fake.refused = "USR-A USR-B";
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED B_IS_DEMOTED("the firmware does not want it")
                                  A_KEEPS_ITS_PRIORITY);
    ck_assert_str_eq(rig.fake.states[rig.fake.n_states - 1], "[USR-A 1 0 good 1] [USR-B 0 0 - 0]");
}
END_TEST

/* A slot that was hindered could boot the next time, so the other one may go. */
START_TEST(a_hindered_slot_counts_as_one_that_could_boot)
{
    rig.fake.hindered = "USR-B";
    rig.fake.refused = "USR-A";
    boot_rig_expect(&rig, B_IS_CHOSEN B_IS_LOADED
            "say: USR-B cannot be loaded: out of resources\n" A_IS_CHOSEN
            "load: kernel of USR-A, 5000 bytes; [USR-A 1 0 good 1] [USR-B 2 2 - 0]\n"
            "say: USR-A cannot be loaded: the firmware does not want it; it does not boot until it is "
            "prioritized\n" NONE_IS_LEFT);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("chooser");
    TCase *tcase = unit_case(suite, "chooser");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_new_slot_is_started_once_its_try_is_on_the_disk);
    tcase_add_test(tcase, the_try_is_spent_before_anything_of_the_slot_is_read);
    tcase_add_test(tcase, starts_of_a_good_slot_are_counted);
    tcase_add_test(tcase, a_good_slot_that_does_not_come_up_gives_way);
    tcase_add_test(tcase, a_slot_whose_tries_are_spent_gives_way);
    tcase_add_test(tcase, no_slot_can_boot);
    tcase_add_test(tcase, the_best_of_several_slots_boots);
    tcase_add_test(tcase, sectors_of_4096_bytes);
    tcase_add_test(tcase, an_image_that_comes_back_is_not_started_again);
    tcase_add_test(tcase, the_system_is_started_without_the_variable);
    tcase_add_test(tcase, an_image_that_the_firmware_refuses_costs_the_priority);
    tcase_add_test(tcase, an_image_that_the_firmware_has_no_memory_for_costs_nothing);
    tcase_add_test(tcase, no_memory_to_read_an_image_costs_nothing);
    tcase_add_loop_test(tcase, an_image_that_lost_a_bit_is_not_loaded, 0, 1);
    tcase_add_loop_test(
            tcase, an_image_that_lost_a_bit_is_not_loaded, RIG_KERNEL_BYTES - 1, RIG_KERNEL_BYTES);
    tcase_add_test(tcase, bytes_behind_the_image_do_not_count);
    tcase_add_test(tcase, an_image_that_cannot_be_read_is_not_loaded);
    tcase_add_test(tcase, a_trailer_with_a_wrong_checksum);
    tcase_add_test(tcase, a_trailer_of_an_unknown_format);
    tcase_add_test(tcase, a_trailer_with_a_tree_that_cannot_be);
    tcase_add_test(tcase, a_trailer_with_a_kernel_that_cannot_be);
    tcase_add_test(tcase, a_trailer_without_a_version);
    tcase_add_test(tcase, a_trailer_with_something_where_nothing_may_be);
    tcase_add_test(tcase, a_slot_without_a_trailer_has_its_kernel_on_the_esp);
    tcase_add_test(tcase, a_slot_without_a_kernel_has_it_on_the_esp);
    tcase_add_test(tcase, a_slot_too_small_for_a_trailer_has_its_kernel_on_the_esp);
    tcase_add_test(tcase, a_file_that_is_missing_costs_the_priority);
    tcase_add_loop_test(tcase, a_label_that_is_no_name_for_a_file, 0, (int)ELEMENTS(LABELS));
    tcase_add_test(tcase, a_label_that_is_a_name_for_a_file);
    tcase_add_test(tcase, an_empty_label);
    tcase_add_test(tcase, the_last_slot_keeps_its_priority);
    tcase_add_test(tcase, a_hindered_slot_counts_as_one_that_could_boot);
    return suite;
}
