/* SPDX-License-Identifier: Apache-2.0 */

/* The program as a person runs it: what it prints, and its exit codes. */

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "partitions/slot-trailer.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/partitions/fake-root.h"
#include "tests/unit/unit.h"

#define UNIQUE_B "42424242-4242-4242-4242-424242424242" /* as the maker has the third entry's */

static const DiskPlan PLAN = {.parts = {
                                      {.label = "EFI-SYSTEM", .is_other_type = true},
                                      {.label = "USR-A", .priority = 2, .successful = true},
                                      {.label = "USR-B", .priority = 1, .successful = true},
                              }};

static char output[16384];

/* Runs `slotctl ARGUMENTS`; both of its streams go to `output`. */
static __attribute__((format(printf, 2, 3))) void run(int expected_exit, const char *format, ...)
{
    char arguments[1024], command[2048];
    const char *build = getenv("BUILD_ROOT");
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    snprintf(command, sizeof(command), "%s/partitions/slotctl %s 2>&1", build ? build : "build",
            arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(output, 1, sizeof(output) - 1, pipe);
    output[n] = '\0';
    int status = pclose(pipe);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected_exit, "%s: exit %d: %s",
            command, WEXITSTATUS(status), output);
}

static void assert_printed(const char *expected)
{
    ck_assert_msg(strstr(output, expected), "no '%s' in: %s", expected, output);
}

static const char *save(const DiskPlan *plan, void (*damage)(MadeDisk *, bool), bool is_backup)
{
    MadeDisk made;
    disk_make(plan, &made);
    if (damage)
        damage(&made, is_backup);
    const char *path = disk_save(&made);
    disk_unmake(&made);
    return path;
}

/* A root whose /usr is on the second slot of a disk whose node is the image. */
static const char *make_root(const char *image)
{
    const char *root = unit_temp_dir();
    fake_disk(root, "vda", "254:0", image);
    fake_partition(root, "vda", "vda3", "254:3", 3, 66, NULL);
    fake_mounts(root, "30 20 254:3 / /usr ro - ext4 /dev/vda3 ro\n");
    return root;
}

START_TEST(status_shows_the_slots)
{
    const char *path = save(&PLAN, NULL, false);
    run(0, "status --disk %s", path);
    assert_printed("partition table good");
    assert_printed("USR-A");
    assert_printed("boots next");
    run(0, "--disk %s status USR-B", path);
    assert_printed("USR-B");
    ck_assert_ptr_null(strstr(output, "USR-A"));
}
END_TEST

START_TEST(status_as_json)
{
    const char *path = save(&PLAN, NULL, false);
    run(0, "status --json --disk %s --root %s", path, make_root(path));
    json_t *json = json_loads(output, 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "table")), "good");
    ck_assert_str_eq(json_string_value(json_object_get(json, "next")), "USR-A");
    ck_assert_str_eq(json_string_value(json_object_get(json, "running")), "USR-B");
    json_t *slots = json_object_get(json, "slots");
    ck_assert_uint_eq(json_array_size(slots), 2);
    json_t *b = json_array_get(slots, 1);
    ck_assert_str_eq(json_string_value(json_object_get(b, "label")), "USR-B");
    ck_assert_str_eq(json_string_value(json_object_get(b, "partuuid")), UNIQUE_B);
    ck_assert_int_eq(json_integer_value(json_object_get(b, "partition")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(b, "offset_bytes")), 66 * 512);
    ck_assert_int_eq(json_integer_value(json_object_get(b, "size_bytes")), 16 * 512);
    ck_assert_int_eq(json_integer_value(json_object_get(b, "priority")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(b, "tries")), 0);
    ck_assert(json_is_true(json_object_get(b, "successful")));
    ck_assert_int_eq(json_integer_value(json_object_get(b, "starts")), 0);
    json_decref(json);
}
END_TEST

/* The last block of the third partition, USR-B. */
#define END_OF_B ((66 + 16) * 512)

static void put_trailer(MadeDisk *made, bool is_damaged)
{
    const SlotTrailer trailer = {
            .fs_bytes = SLOT_TRAILER_ALIGNMENT, .product = "acme", .version = "2.0"};
    slot_trailer_make(&trailer, made->data + END_OF_B - SLOT_TRAILER_BYTES);
    if (is_damaged)
        made->data[END_OF_B - 1] ^= 1;
}

START_TEST(status_has_product_and_version_of_the_trailer)
{
    const char *path = save(&PLAN, put_trailer, false);
    run(0, "status --disk %s", path);
    assert_printed(" acme     2.0      " UNIQUE_B);
    run(0, "status --json --disk %s", path);
    json_t *json = json_loads(output, 0, NULL), *slots = json_object_get(json, "slots");
    json_t *a = json_array_get(slots, 0), *b = json_array_get(slots, 1);
    ck_assert_str_eq(json_string_value(json_object_get(a, "trailer")), "absent");
    ck_assert_str_eq(json_string_value(json_object_get(a, "version")), "");
    ck_assert_str_eq(json_string_value(json_object_get(b, "trailer")), "valid");
    ck_assert_str_eq(json_string_value(json_object_get(b, "product")), "acme");
    ck_assert_str_eq(json_string_value(json_object_get(b, "version")), "2.0");
    json_decref(json);

    path = save(&PLAN, put_trailer, true);
    run(0, "status --disk %s", path);
    assert_printed("its trailer has a wrong checksum\n");
    ck_assert_ptr_null(strstr(output, "acme"));
}
END_TEST

START_TEST(next_with_and_without_a_try)
{
    const char *path = save(&PLAN, NULL, false);
    run(0, "prioritize USR-B --disk %s --tries 2", path);
    assert_printed("USR-B: priority 3, tries 0, successful");
    run(0, "next --disk %s", path);
    ck_assert_str_eq(output, "USR-B " UNIQUE_B "\n");
    run(0, "next --json --disk %s", path);
    assert_printed("\"partuuid\": \"" UNIQUE_B "\"");

    DiskPlan plan = PLAN;
    plan.parts[1].successful = false;
    plan.parts[1].tries = 1;
    path = save(&plan, NULL, false);
    run(0, "next --disk %s", path);
    run(0, "next --spend --disk %s", path);
    assert_printed("USR-A ");
    run(0, "next --spend --disk %s", path);
    assert_printed("USR-B ");

    plan.parts[2].priority = 0;
    plan.parts[1].tries = 0;
    path = save(&plan, NULL, false);
    run(4, "next --disk %s", path);
    assert_printed("no slot could boot");
    run(4, "next --spend --disk %s", path);
    run(4, "verify --disk %s", path);
}
END_TEST

START_TEST(good_and_bad)
{
    const char *path = save(&PLAN, NULL, false);
    run(0, "mark-bad USR-A --disk %s", path);
    assert_printed("USR-A: priority 0, tries 0, not successful");
    run(1, "mark-bad --slot %s --disk %s", UNIQUE_B, path);
    assert_printed("no other slot");
    run(10, "is-good --json USR-A --disk %s", path);
    assert_printed("\"successful\": false");
    run(0, "prioritize --disk %s --slot USR-A", path);
    assert_printed("USR-A had priority 0");
    assert_printed("USR-A: priority 2, tries 3, not successful");
    run(0, "mark-good --disk %s USR-A", path);
    assert_printed("USR-A: priority 2, tries 0, successful");
    run(0, "is-good --disk %s USR-A", path);
    run(0, "mark-good USR-B --json --disk %s", path);
    assert_printed("\"slots\"");
}
END_TEST

START_TEST(the_running_slot_is_marked_good)
{
    DiskPlan plan = PLAN;
    plan.parts[2] = (DiskPart){.label = "USR-B", .priority = 3, .tries = 2};
    const char *path = save(&plan, NULL, false);
    const char *root = make_root(path);
    run(10, "is-good --root %s", root);
    assert_printed("USR-B: not marked good");
    run(0, "mark-good --root %s", root);
    assert_printed("USR-B: priority 3, tries 0, successful");
    run(0, "is-good --root %s", root);
    assert_printed("USR-B: marked good");
    run(0, "status --root %s", root);
    assert_printed("running, boots next");
    path = save(&PLAN, NULL, false);
    run(1, "mark-good --root %s --disk %s", root, path);
    assert_printed("the running system is in no slot");
    run(1, "is-good --root %s --disk %s", root, path);
    assert_printed("the running system is in no slot");
    run(1, "status --root %s", unit_temp_dir());
    assert_printed("name the disk with --disk");
}
END_TEST

START_TEST(damage_is_found_and_repaired)
{
    for (int is_backup = 0; is_backup < 2; is_backup++) {
        const char *path = save(&PLAN, disk_damage_entries, is_backup);
        run(3, "verify --disk %s", path);
        assert_printed(is_backup ? "the backup copy of the partition table has entries with a wrong"
                                 : "the primary copy of the partition table has entries with a "
                                   "wrong");
        run(3, "status --disk %s", path);
        run(0, "repair --disk %s", path);
        assert_printed(is_backup ? "backup copy" : "primary copy");
        run(0, "verify --disk %s", path);
        run(0, "repair --disk %s", path);
        assert_printed("nothing to repair");
    }
}
END_TEST

START_TEST(a_wrong_disk_is_one_line)
{
    run(1, "status --disk /nowhere");
    ck_assert_str_eq(output, "slotctl: /nowhere cannot be opened: No such file or directory\n");
    run(1, "verify --disk /dev/null");
    DiskPlan plan = PLAN;
    plan.parts[2].label = "USR-A";
    run(1, "status --disk %s", save(&plan, NULL, false));
    assert_printed("two slots labelled 'USR-A'");
    run(1, "mark-good USR-C --disk %s", save(&PLAN, NULL, false));
    assert_printed("has no slot 'USR-C'; it has USR-A, USR-B");
    run(1, "status --type 0fc63daf-8483-4772-8e79-3d69d8477de5 --disk %s",
            save(&PLAN, NULL, false));
    assert_printed("has no slot");
}
END_TEST

START_TEST(a_wrong_command_line_is_2)
{
    run(2, "%s", "");
    run(2, "frobnicate");
    run(2, "--frobnicate status");
    run(2, "next USR-A");
    run(2, "mark-bad");
    run(2, "prioritize --slot USR-A USR-B");
    run(2, "prioritize USR-A --tries 0");
    run(2, "prioritize USR-A --tries 16");
    run(2, "prioritize USR-A --tries 1x");
    run(2, "status --type slot");
    run(0, "--help");
    assert_printed("Exit codes");
    run(0, "--version");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slotctl");
    TCase *tcase = unit_case(suite, "slotctl");
    tcase_add_test(tcase, status_shows_the_slots);
    tcase_add_test(tcase, status_as_json);
    tcase_add_test(tcase, status_has_product_and_version_of_the_trailer);
    tcase_add_test(tcase, next_with_and_without_a_try);
    tcase_add_test(tcase, good_and_bad);
    tcase_add_test(tcase, the_running_slot_is_marked_good);
    tcase_add_test(tcase, damage_is_found_and_repaired);
    tcase_add_test(tcase, a_wrong_disk_is_one_line);
    tcase_add_test(tcase, a_wrong_command_line_is_2);
    return suite;
}
