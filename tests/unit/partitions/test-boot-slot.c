/* SPDX-License-Identifier: Apache-2.0 */

/* The search and the check, and `slotctl boot-slot`, which an initrd runs. */

#include "partitions/boot-slot.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/partitions/fake-root.h"
#include "tests/unit/unit.h"

#define BLOCK 4096
#define SLOT_SECTORS 64 /* 8 blocks: file system 2, tree 1, nothing 4, trailer */
#define FIRST_SECTOR 34
#define SLOT_SECTOR (FIRST_SECTOR + 16)                 /* of USR-A, after another partition */
#define UNIQUE_A "41414141-4141-4141-4141-414141414141" /* as the maker has it */
#define NOT_THERE "7130c94a-213a-4e5a-8e26-6cce9662f132"
#define HASH "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define OTHER_HASH "005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

static const SlotTrailer TRAILER = {
        .fs_bytes = 2 * BLOCK,
        .tree_offset = 2 * BLOCK,
        .tree_bytes = BLOCK,
        .salt = {0xab, 0xcd},
        .n_salt_bytes = 2,
        .root_hash = {{[0 ... SHA256_BYTES - 1] = 0x5a}},
        .product = "coreos",
        .version = "1.2.3",
};
static const SlotTrailer WITHOUT_TREE = {.fs_bytes = BLOCK, .product = "p", .version = "v"};

/* An image with the slot and, where it is not NULL, this trailer in its last block. */
static const char *save_disk(const char *label, const SlotTrailer *trailer, bool is_damaged)
{
    const DiskPlan plan = {.parts = {{.label = "EFI-SYSTEM", .is_other_type = true},
                                   {.label = label, .priority = 1, .n_sectors = SLOT_SECTORS},
                                   {.label = "USR-B"}}};
    MadeDisk made;
    disk_make(&plan, &made);
    uint8_t *block = made.data + (SLOT_SECTOR + SLOT_SECTORS) * 512 - BLOCK;
    if (trailer)
        slot_trailer_make(trailer, block);
    if (is_damaged)
        block[200] ^= 1;
    const char *path = disk_save(&made);
    disk_unmake(&made);
    return path;
}

static void add_disk(const char *root, const char *name, const char *image)
{
    char partition[16], device[16];
    snprintf(device, sizeof(device), "%c:0", name[2]);
    fake_disk(root, name, device, image);
    snprintf(device, sizeof(device), "%c:2", name[2]);
    snprintf(partition, sizeof(partition), "%s2", name);
    fake_partition(root, name, partition, device, 2, SLOT_SECTOR, NULL);
    fake_partition_size(root, name, partition, SLOT_SECTORS);
}

static void put_command_line(const char *root, const char *line)
{
    fake_file(root, "proc/cmdline", line, strlen(line));
}

/* A machine with this disk, started with this command line. */
static const char *make_root(const char *image, const char *command_line)
{
    const char *root = unit_temp_dir();
    put_command_line(root, command_line);
    fake_disk(root, "sr0", "11:0", NULL); /* no disk with a table */
    add_disk(root, "vda", image);
    return root;
}

static char output[4096];

/* Runs `slotctl boot-slot`; both of its streams go to `output`. */
static void run(int expected_exit, const char *root, const char *more)
{
    char command[2048];
    const char *build = getenv("BUILD_ROOT");
    snprintf(command, sizeof(command), "%s/partitions/slotctl boot-slot --root %s %s 2>&1",
            build ? build : "build", root, more);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(output, 1, sizeof(output) - 1, pipe);
    output[n] = '\0';
    int status = pclose(pipe);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected_exit, "%s: exit %d: %s",
            command, WEXITSTATUS(status), output);
}

/* It fails in one line that holds this. */
static void assert_fails(
        int expected_exit, const char *image, const char *command_line, const char *complaint)
{
    run(expected_exit, make_root(image, command_line), "");
    ck_assert_msg(strstr(output, complaint), "no '%s' in: %s", complaint, output);
    ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
}

START_TEST(all_that_an_initrd_needs)
{
    char expected[1024];
    const char *root = make_root(save_disk("USR-A", &TRAILER, false),
            "flipside.slot=" UNIQUE_A " flipside.usrhash=" HASH);
    run(0, root, "");
    snprintf(expected, sizeof(expected),
            "SLOT_LABEL=USR-A\nSLOT_PARTUUID=" UNIQUE_A "\nSLOT_DEVICE=%s/dev/vda2\n"
            "VERITY_HASH_OFFSET=8192\nVERITY_DATA_BLOCKS=2\nVERITY_SALT=abcd\n"
            "VERITY_ROOT_HASH=" HASH "\n",
            root);
    ck_assert_str_eq(output, expected);

    SlotTrailer unsalted = TRAILER;
    memset(unsalted.salt, 0, sizeof(unsalted.salt));
    unsalted.n_salt_bytes = 0;
    run(0,
            make_root(save_disk("USR-A", &unsalted, false),
                    "flipside.slot=" UNIQUE_A " flipside.usrhash=" HASH),
            "");
    ck_assert_ptr_nonnull(strstr(output, "\nVERITY_SALT=-\n"));
}
END_TEST

START_TEST(a_slot_without_a_tree)
{
    run(0, make_root(save_disk("USR-A", NULL, false), "flipside.slot=" UNIQUE_A), "");
    ck_assert_ptr_nonnull(strstr(output, "SLOT_DEVICE="));
    ck_assert_ptr_null(strstr(output, "VERITY"));
    run(0, make_root(save_disk("USR-A", &WITHOUT_TREE, false), "flipside.slot=" UNIQUE_A), "");
    ck_assert_ptr_null(strstr(output, "VERITY"));
}
END_TEST

START_TEST(a_label_is_only_a_word)
{
    run(0, make_root(save_disk("A'$(reboot) `", NULL, false), "flipside.slot=" UNIQUE_A), "");
    ck_assert_ptr_eq(strstr(output, "SLOT_LABEL='A'\\''$(reboot) `'\n"), output);
}
END_TEST

START_TEST(the_efi_variable)
{
    uint8_t data[4 + 2 * 37] = {6};
    const char *root = make_root(save_disk("USR-A", NULL, false), "quiet");
    for (size_t i = 0; i < strlen(UNIQUE_A); i++)
        data[4 + 2 * i] = (uint8_t)UNIQUE_A[i];
    fake_file(root, "sys/firmware/efi/efivars/" BOOT_REQUEST_VARIABLE, data, sizeof(data));
    run(0, root, "");
    ck_assert_ptr_eq(strstr(output, "SLOT_LABEL=USR-A\nSLOT_PARTUUID=" UNIQUE_A "\n"), output);
}
END_TEST

START_TEST(what_is_not_told)
{
    const char *image = save_disk("USR-A", &TRAILER, false);
    assert_fails(7, image, "quiet", "which slot was started is not known");
    assert_fails(1, image, "flipside.slot=USR-A", "no PARTUUID");
    run(1, unit_temp_dir(), ""); /* no /proc */
    run(2, unit_temp_dir(), "--wait soon");
    run(2, unit_temp_dir(), "--wait 3601");
    run(2, unit_temp_dir(), "USR-A");
}
END_TEST

START_TEST(what_is_not_there)
{
    const char *image = save_disk("USR-A", &TRAILER, false);
    assert_fails(8, image, "flipside.slot=" NOT_THERE, "no disk has the slot");
    assert_fails(8, NULL, "flipside.slot=" UNIQUE_A, "no disk has the slot");
    const char *root = unit_temp_dir();
    put_command_line(root, "flipside.slot=" UNIQUE_A);
    run(1, root, ""); /* no /sys */
    fake_disk(root, "vda", "254:0", image);
    run(8, root, "--wait 0");
    ck_assert_ptr_nonnull(strstr(output, "the kernel does not know that partition"));
    fake_partition(root, "vda", "vda2", "254:2", 2, SLOT_SECTOR + 1, NULL);
    fake_partition_size(root, "vda", "vda2", SLOT_SECTORS);
    run(8, root, "");
    ck_assert_ptr_nonnull(strstr(output, "at another place"));

    char node[512];
    root = make_root(image, "flipside.slot=" UNIQUE_A " flipside.usrhash=" HASH);
    snprintf(node, sizeof(node), "%s/dev/vda2", root);
    ck_assert_int_eq(unlink(node), 0);
    run(8, root, "");
    ck_assert_ptr_nonnull(strstr(output, "the kernel does not know that partition"));
}
END_TEST

/* The disk comes while it is waited for. */
START_TEST(a_disk_that_is_late)
{
    const char *root = unit_temp_dir();
    const char *image = save_disk("USR-A", NULL, false);
    put_command_line(root, "flipside.slot=" UNIQUE_A);
    fake_disk(root, "sr0", "11:0", NULL);
    char command[1024], line[256] = "";
    const char *build = getenv("BUILD_ROOT");
    snprintf(command, sizeof(command), "exec %s/partitions/slotctl boot-slot --root %s --wait 60",
            build ? build : "build", root);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    add_disk(root, "vda", image);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), pipe));
    ck_assert_str_eq(line, "SLOT_LABEL=USR-A\n");
    while (fgets(line, sizeof(line), pipe))
        ;
    ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

START_TEST(two_disks_of_one_kind)
{
    char image[256], other[256];
    snprintf(image, sizeof(image), "%s", save_disk("USR-A", NULL, false));
    snprintf(other, sizeof(other), "%s", save_disk("USR-A", NULL, false));
    const char *root = make_root(image, "flipside.slot=" UNIQUE_A);
    add_disk(root, "vdb", other);
    run(1, root, "");
    ck_assert_ptr_nonnull(strstr(output, "vda"));
    ck_assert_ptr_nonnull(strstr(output, "vdb"));
    ck_assert_ptr_nonnull(strstr(output, "same PARTUUID"));
}
END_TEST

START_TEST(what_is_not_vouched_for)
{
    const char *told = "flipside.slot=" UNIQUE_A, *hash;
    hash = "flipside.slot=" UNIQUE_A " flipside.usrhash=" HASH;
    assert_fails(9, save_disk("USR-A", &TRAILER, false), told, "nothing vouches for it");
    assert_fails(9, save_disk("USR-A", &TRAILER, false),
            "flipside.slot=" UNIQUE_A " flipside.usrhash=" OTHER_HASH, "another root hash");
    assert_fails(9, save_disk("USR-A", &TRAILER, true), hash, "its trailer has a wrong checksum");
    assert_fails(9, save_disk("USR-A", &TRAILER, true), told, "its trailer has a wrong checksum");
    assert_fails(9, save_disk("USR-A", &WITHOUT_TREE, false), hash, "no hash tree");
    assert_fails(9, save_disk("USR-A", NULL, false), hash, "no trailer");
}
END_TEST

START_TEST(the_primary_table_is_damaged)
{
    const DiskPlan plan = {.parts = {{.label = "EFI-SYSTEM", .is_other_type = true},
                                   {.label = "USR-A", .n_sectors = SLOT_SECTORS}}};
    MadeDisk made;
    disk_make(&plan, &made);
    disk_damage_header(&made, false);
    run(0, make_root(disk_save(&made), "flipside.slot=" UNIQUE_A), "");
    disk_unmake(&made);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("boot-slot");
    TCase *tcase = unit_case(suite, "boot-slot");
    tcase_add_test(tcase, all_that_an_initrd_needs);
    tcase_add_test(tcase, a_slot_without_a_tree);
    tcase_add_test(tcase, a_label_is_only_a_word);
    tcase_add_test(tcase, the_efi_variable);
    tcase_add_test(tcase, what_is_not_told);
    tcase_add_test(tcase, what_is_not_there);
    tcase_add_test(tcase, a_disk_that_is_late);
    tcase_add_test(tcase, two_disks_of_one_kind);
    tcase_add_test(tcase, what_is_not_vouched_for);
    tcase_add_test(tcase, the_primary_table_is_damaged);
    return suite;
}
