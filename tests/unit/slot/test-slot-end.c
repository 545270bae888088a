/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-end.h"

#include <fcntl.h>
#include <string.h>

#include "common/fd-io.h"
#include "partitions/slot-trailer-read.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"

/* Whole installs of images with a trailer, without one, and with one that is not true. */

#define SLOT_BLOCKS (RIG_SLOT_BYTES / MADE_BLOCK_BYTES)
#define DATA_BLOCKS 512
#define TREE_BLOCKS 5 /* four of digests, and their root */

static InstallRig rig;
static MadePayload payload;

static void setup(void)
{
    rig_init(&rig, true);
    payload = (MadePayload){0};
}

static void teardown(void)
{
    payload_unmake(&payload);
    rig_done(&rig);
}

static void install(PayloadPlan plan)
{
    payload_unmake(&payload);
    plan.key = &rig.key;
    payload_make(&plan, &payload);
    rig_install(&rig, rig_options(&rig, rig_save_payload(&payload, payload.n_bytes), NULL));
}

/* A plan of an image of n_blocks that ends with a trailer. */
static PayloadPlan with_trailer(size_t n_blocks)
{
    return (PayloadPlan){
            .has_trailer = true,
            .n_blocks = DATA_BLOCKS,
            .n_tail_blocks = n_blocks - DATA_BLOCKS - TREE_BLOCKS,
    };
}

static TrailerFault read_trailer(SlotTrailer *ret_trailer)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    TrailerFault fault;
    ck_assert_int_eq(slot_disk_open(rig.disk_path, false, NULL, 0, &disk, NULL), 0);
    ck_assert_int_eq(
            slot_trailer_read(disk, slot_disk_find(disk, "USR-B"), &fault, ret_trailer, NULL), 0);
    return fault;
}

/* As what an earlier version has left. */
static void write_old_trailer(void)
{
    const SlotTrailer old = {.fs_bytes = 4096, .product = "acme", .version = "0.1"};
    uint8_t block[SLOT_TRAILER_BYTES];
    slot_trailer_make(&old, block);
    _cleanup_close_ int fd = open(rig.disk_path, O_WRONLY | O_CLOEXEC);
    Slot slot = rig_slot(&rig, "USR-B");
    ck_assert_int_eq(fd_pwrite_full(fd, block, sizeof(block),
                             slot.offset_bytes + slot.size_bytes - sizeof(block)),
            0);
}

START_TEST(image_that_fills_its_slot)
{
    SlotTrailer trailer;
    write_old_trailer();
    install(with_trailer(SLOT_BLOCKS));
    rig_assert_flipped(&rig, &payload);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_VALID);
    ck_assert_str_eq(trailer.version, "2.0");
    ck_assert_mem_eq(&trailer.root_hash, &rig.content.root_hash, SHA256_BYTES);
}
END_TEST

static const size_t sizes[] = {DATA_BLOCKS + TREE_BLOCKS + 1, 700, SLOT_BLOCKS - 1};

START_TEST(trailer_of_a_shorter_image_goes_to_the_end)
{
    SlotTrailer trailer;
    write_old_trailer();
    install(with_trailer(sizes[_i]));
    rig_assert_flipped(&rig, &payload);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_VALID);
    ck_assert_str_eq(trailer.version, "2.0");
}
END_TEST

START_TEST(image_without_verity)
{
    SlotTrailer trailer;
    PayloadPlan plan = with_trailer(700);
    plan.has_no_verity = true;
    install(plan);
    rig_assert_flipped(&rig, &payload);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_VALID);
    ck_assert_uint_eq(trailer.tree_bytes, 0);
}
END_TEST

START_TEST(image_without_a_trailer_leaves_none)
{
    SlotTrailer trailer;
    write_old_trailer();
    install((PayloadPlan){0});
    rig_assert_flipped(&rig, &payload);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_ABSENT);
}
END_TEST

static void stop_in_the_download(InstallRig *r, const InstallProgress *progress)
{
    SlotTrailer trailer;
    if (progress->phase != INSTALL_DOWNLOADING)
        return;
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_ABSENT);
    r->is_stopping = true;
}

START_TEST(slot_that_is_being_written_describes_nothing)
{
    SlotTrailer trailer;
    write_old_trailer();
    rig.at_progress = stop_in_the_download;
    install(with_trailer(700));
    ck_assert_uint_eq(rig.n_done, 0);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_ABSENT);
    /* A write that was lost with the power does not come back. */
    write_old_trailer();
    rig.at_progress = NULL;
    install(with_trailer(700));
    rig_assert_flipped(&rig, &payload);
    ck_assert_int_eq(read_trailer(&trailer), TRAILER_VALID);
    ck_assert_str_eq(trailer.version, "2.0");
}
END_TEST

static void say_another_product(SlotTrailer *trailer)
{
    strcpy(trailer->product, "other");
}

static void say_another_version(SlotTrailer *trailer)
{
    strcpy(trailer->version, "2.0.1");
}

static void say_another_root(SlotTrailer *trailer)
{
    trailer->root_hash.bytes[0] ^= 1;
}

static void say_another_salt(SlotTrailer *trailer)
{
    trailer->salt[0] ^= 1;
}

static void say_another_place(SlotTrailer *trailer)
{
    trailer->tree_offset += 4096;
}

static void say_no_tree(SlotTrailer *trailer)
{
    *trailer = (SlotTrailer){.fs_bytes = trailer->fs_bytes, .product = "acme", .version = "2.0"};
}

static void say_nonsense(SlotTrailer *trailer)
{
    trailer->fs_bytes++;
}

static const struct {
    void (*change)(SlotTrailer *trailer);
    const char *words;
} lies[] = {
        {say_another_product, "other 2.0"},
        {say_another_version, "acme 2.0.1"},
        {say_another_root, "different hash trees"},
        {say_another_salt, "different hash trees"},
        {say_another_place, "different hash trees"},
        {say_no_tree, "different hash trees"},
        {say_nonsense, "is damaged"},
};

START_TEST(trailer_that_is_not_true_is_not_flipped)
{
    PayloadPlan plan = with_trailer(700);
    plan.change_trailer = lies[_i].change;
    install(plan);
    rig_assert_refused(&rig, UPDATE_ERROR_MANIFEST, true);
    ck_assert_msg(strstr(rig.error, lies[_i].words), "%s", rig.error);
}
END_TEST

/* The calls themselves, on a slot that lies about its end in ways that no install leads to. */

static InstallTarget *prepare_target(void)
{
    InstallTarget *target;
    ErrorText error = {0};
    ck_assert_msg(install_target_find(rig.disk_path, "USR-A", NULL, &target, &error) == UPDATE_OK,
            "%s", error.line);
    ck_assert_msg(install_target_prepare(target, &error) == UPDATE_OK, "%s", error.line);
    return target;
}

/* A trailer that ends at end_bytes of the slot. */
static void write_trailer(InstallTarget *target, const char *version, uint64_t end_bytes)
{
    SlotTrailer trailer = {.fs_bytes = 4096, .product = "acme"};
    uint8_t block[SLOT_TRAILER_BYTES];
    strcpy(trailer.version, version);
    slot_trailer_make(&trailer, block);
    ck_assert_int_eq(
            install_target_write(target, end_bytes - sizeof(block), block, sizeof(block)), 0);
}

START_TEST(end_that_is_not_what_was_written)
{
    const Manifest manifest = {.product = "acme", .version = "2.0"};
    const PartitionUpdate partition = {.size_bytes = 40960};
    ErrorText error = {0};
    _cleanup_(install_target_freep) InstallTarget *target = prepare_target();

    write_trailer(target, "1.0", RIG_SLOT_BYTES);
    ck_assert_int_eq(
            slot_end_check(target, &manifest, &partition, &error), UPDATE_ERROR_VERIFIER_IO);
    ck_assert_ptr_nonnull(strstr(error.line, "held before"));
    write_trailer(target, "2.0", partition.size_bytes);
    ck_assert_int_eq(
            slot_end_check(target, &manifest, &partition, &error), UPDATE_ERROR_VERIFIER_IO);
    ck_assert_ptr_nonnull(strstr(error.line, "something else"));
    ck_assert_int_eq(slot_end_write(target, &partition, &error), UPDATE_OK);
    ck_assert_int_eq(slot_end_check(target, &manifest, &partition, &error), UPDATE_OK);
    ck_assert_int_eq(slot_end_clear(target), 0);
    ck_assert_int_eq(
            slot_end_check(target, &manifest, &partition, &error), UPDATE_ERROR_VERIFIER_IO);
}
END_TEST

START_TEST(slot_without_room_for_the_trailer)
{
    const PartitionUpdate partition = {.size_bytes = RIG_SLOT_BYTES - 512};
    ErrorText error = {0};
    _cleanup_(install_target_freep) InstallTarget *target = prepare_target();
    ck_assert_int_eq(slot_end_write(target, &partition, &error), UPDATE_OK); /* has none */
    write_trailer(target, "2.0", partition.size_bytes);
    ck_assert_int_eq(slot_end_write(target, &partition, &error), UPDATE_ERROR_MANIFEST);
    ck_assert_ptr_nonnull(strstr(error.line, "no room"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-end");
    TCase *tcase = unit_case(suite, "slot-end");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, image_that_fills_its_slot);
    tcase_add_loop_test(tcase, trailer_of_a_shorter_image_goes_to_the_end, 0, ELEMENTS(sizes));
    tcase_add_test(tcase, image_without_verity);
    tcase_add_test(tcase, image_without_a_trailer_leaves_none);
    tcase_add_test(tcase, slot_that_is_being_written_describes_nothing);
    tcase_add_loop_test(tcase, trailer_that_is_not_true_is_not_flipped, 0, ELEMENTS(lies));
    tcase_add_test(tcase, end_that_is_not_what_was_written);
    tcase_add_test(tcase, slot_without_room_for_the_trailer);
    return suite;
}
