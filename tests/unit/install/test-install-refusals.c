/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "tests/unit/install/file-server.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"

/* Every input that must not be installed: one line, the right code, the running slot untouched, the
 * target unbootable or untouched. */

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

static void make(PayloadPlan plan)
{
    payload_unmake(&payload);
    if (!plan.key)
        plan.key = &rig.key;
    payload_make(&plan, &payload);
}

static const InstallOptions *whole_file(void)
{
    return rig_options(&rig, rig_save_payload(&payload, payload.n_bytes), NULL);
}

static void refuse(PayloadPlan plan, UpdateError code, bool is_touched)
{
    make(plan);
    rig_install(&rig, whole_file());
    rig_assert_refused(&rig, code, is_touched);
}

/* --- what the manifest says -------------------------------------------------------------- */

START_TEST(another_product)
{
    refuse((PayloadPlan){.product = "other"}, UPDATE_ERROR_VERSION_REFUSED, false);
    ck_assert_ptr_nonnull(strstr(rig.error, "other"));
    ck_assert_uint_eq(rig.n_accepted, 0);
}
END_TEST

START_TEST(older_version)
{
    refuse((PayloadPlan){.version = "0.9"}, UPDATE_ERROR_DOWNGRADE, false);
    InstallOptions options = *whole_file();
    options.allow_downgrade = true;
    rig_install(&rig, &options);
    rig_assert_flipped(&rig, &payload);
}
END_TEST

START_TEST(running_version_too_old)
{
    refuse((PayloadPlan){.version = "3.0", .min_version = "1.5"}, UPDATE_ERROR_DOWNGRADE, false);
    InstallOptions options = *whole_file();
    options.allow_downgrade = true; /* is about something else */
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_DOWNGRADE, false);
    options.running_version = "1.5";
    rig_install(&rig, &options);
    rig_assert_flipped(&rig, &payload);
}
END_TEST

START_TEST(larger_than_the_slot)
{
    refuse((PayloadPlan){.n_blocks = RIG_SLOT_BYTES / 4096}, UPDATE_ERROR_MANIFEST, false);
}
END_TEST

static void add_partition(Wire__DeltaArchiveManifest *manifest)
{
    static Wire__PartitionUpdate second;
    static Wire__PartitionUpdate *both[2];
    second = *manifest->partitions[0];
    second.partition_name = (char *)"boot";
    second.n_operations = 0;
    both[0] = manifest->partitions[0];
    both[1] = &second;
    manifest->partitions = both;
    manifest->n_partitions = 2;
}

static void move_extent_out(Wire__DeltaArchiveManifest *manifest)
{
    manifest->partitions[0]->operations[3]->dst_extents[0]->start_block = UINT64_MAX - 2;
}

static void overlap_extents(Wire__DeltaArchiveManifest *manifest)
{
    manifest->partitions[0]->operations[3]->dst_extents[0]->start_block -= 16;
}

static void drop_partition(Wire__DeltaArchiveManifest *manifest)
{
    manifest->n_partitions = 0;
}

START_TEST(manifests_that_are_refused)
{
    refuse((PayloadPlan){.damage = add_partition, .has_no_verity = true}, UPDATE_ERROR_MANIFEST,
            false);
    refuse((PayloadPlan){.damage = move_extent_out}, UPDATE_ERROR_MANIFEST, false);
    refuse((PayloadPlan){.damage = overlap_extents}, UPDATE_ERROR_MANIFEST, false);
    refuse((PayloadPlan){.damage = drop_partition}, UPDATE_ERROR_MANIFEST, false);
}
END_TEST

/* --- content that is not what the manifest says ------------------------------------------ */

static void call_it_raw(Wire__DeltaArchiveManifest *manifest)
{
    Wire__InstallOperation *operation = manifest->partitions[0]->operations[5];
    operation->type = WIRE__INSTALL_OPERATION__TYPE__REPLACE;
    operation->n_frame_bytes = 0;
}

static void change_root(Wire__DeltaArchiveManifest *manifest)
{
    manifest->partitions[0]->root_hash.data[0] ^= 1;
}

static void change_hash(Wire__DeltaArchiveManifest *manifest)
{
    manifest->partitions[0]->new_partition_info->hash.data[0] ^= 1;
}

static void change_rest_hash(Wire__DeltaArchiveManifest *manifest)
{
    manifest->partitions[0]->rest_hash.data[0] ^= 1;
}

START_TEST(content_that_is_refused)
{
    refuse((PayloadPlan){.is_compressed = true, .damage = call_it_raw}, UPDATE_ERROR_OPERATION,
            true);
    refuse((PayloadPlan){.damage = change_root}, UPDATE_ERROR_VERITY, true);
    refuse((PayloadPlan){.damage = change_hash}, UPDATE_ERROR_PARTITION_HASH, true);
    refuse((PayloadPlan){.damage = change_root, .has_rest_hash = true}, UPDATE_ERROR_VERITY, true);
    refuse((PayloadPlan){.damage = change_rest_hash, .has_rest_hash = true},
            UPDATE_ERROR_PARTITION_HASH, true);
    ck_assert_uint_eq(rig.n_commits, 0);
}
END_TEST

/* --- signatures and damage --------------------------------------------------------------- */

START_TEST(another_key)
{
    MadeKey other;
    key_make(&other);
    refuse((PayloadPlan){.key = &other}, UPDATE_ERROR_METADATA_SIGNATURE, false);
    key_unmake(&other);
}
END_TEST

START_TEST(no_key)
{
    make((PayloadPlan){0});
    InstallOptions options = *whole_file();
    options.key_dir = unit_temp_dir();
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_SIGNATURE, false);
    options.key_dir = "/nowhere/at/all";
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_SIGNATURE, false);
}
END_TEST

static void refuse_with_byte_flipped(size_t at, UpdateError code, bool is_touched)
{
    payload.data[at] ^= 0x10;
    rig_install(&rig, whole_file());
    payload.data[at] ^= 0x10;
    rig_assert_refused(&rig, code, is_touched);
}

START_TEST(bit_flipped_in_each_part)
{
    make((PayloadPlan){.is_compressed = true});
    refuse_with_byte_flipped(0, UPDATE_ERROR_MAGIC, false);
    refuse_with_byte_flipped(11, UPDATE_ERROR_VERSION_REFUSED, false);
    refuse_with_byte_flipped(12, UPDATE_ERROR_METADATA_SIZE, false);
    refuse_with_byte_flipped(19, UPDATE_ERROR_METADATA_SIGNATURE, false);
    refuse_with_byte_flipped(24, UPDATE_ERROR_METADATA_SIGNATURE, false);
    refuse_with_byte_flipped(
            24 + payload.n_manifest_bytes / 2, UPDATE_ERROR_METADATA_SIGNATURE, false);
    refuse_with_byte_flipped(payload.n_metadata_bytes - 1, UPDATE_ERROR_METADATA_SIGNATURE, false);
    refuse_with_byte_flipped(payload.n_metadata_bytes, UPDATE_ERROR_OPERATION_HASH, true);
    refuse_with_byte_flipped(payload.signatures_at - 1, UPDATE_ERROR_OPERATION_HASH, true);
    refuse_with_byte_flipped(payload.n_bytes - 1, UPDATE_ERROR_SIGNATURE, true);
}
END_TEST

START_TEST(manifest_length_of_2_63)
{
    make((PayloadPlan){0});
    payload.data[12] = 0x80;
    rig_install(&rig, whole_file());
    rig_assert_refused(&rig, UPDATE_ERROR_METADATA_SIZE, false);
}
END_TEST

static UpdateError cut_code(size_t n_bytes)
{
    return n_bytes < 24 ? UPDATE_ERROR_MAGIC : UPDATE_ERROR_PAYLOAD_SIZE;
}

START_TEST(cut_anywhere)
{
    make((PayloadPlan){.n_blocks = 64});
    const size_t cuts[] = {0, 1, 23, 24, payload.n_manifest_bytes, payload.n_metadata_bytes - 1,
            payload.n_metadata_bytes, payload.n_metadata_bytes + 70000, payload.signatures_at,
            payload.n_bytes - 1};
    for (size_t i = 0; i < ELEMENTS(cuts); i++) {
        rig_install(&rig, rig_options(&rig, rig_save_payload(&payload, cuts[i]), NULL));
        rig_assert_refused(&rig, cut_code(cuts[i]), false);
        ck_assert(!rig.is_url_fault);
    }
}
END_TEST

START_TEST(cut_anywhere_over_http)
{
    make((PayloadPlan){.n_blocks = 64});
    const size_t cuts[] = {1, 23, 24, payload.n_metadata_bytes - 1, payload.n_metadata_bytes,
            payload.n_metadata_bytes + 70000, payload.n_bytes - 1};
    for (size_t i = 0; i < ELEMENTS(cuts); i++) {
        FileServer server = {.data = payload.data, .n_bytes = cuts[i]};
        file_server_start(&server, rig.event);
        rig_install(&rig, rig_options(&rig, NULL, file_server_url(&server)));
        file_server_stop(&server);
        ck_assert_uint_eq(rig.code, UPDATE_ERROR_PAYLOAD_SIZE);
        ck_assert(rig.is_url_fault);
        rig_assert_refused(&rig, UPDATE_ERROR_PAYLOAD_SIZE, rig.n_accepted > 0);
        ck_assert_uint_eq(rig.n_commits, 0);
    }
}
END_TEST

static void truncate_file(InstallRig *r, const InstallProgress *progress)
{
    static bool is_cut;
    if (progress->phase != INSTALL_DOWNLOADING || is_cut)
        return;
    is_cut = true;
    (void)r;
    ck_assert_int_eq(truncate(getenv("RIG_PAYLOAD"), 300000), 0);
}

START_TEST(file_cut_while_it_is_read)
{
    make((PayloadPlan){0});
    const InstallOptions *options = whole_file();
    setenv("RIG_PAYLOAD", options->file_path, 1);
    rig.at_progress = truncate_file;
    rig_install(&rig, options);
    rig_assert_refused(&rig, UPDATE_ERROR_TRANSFER, true);
}
END_TEST

/* --- against the offer ------------------------------------------------------------------- */

START_TEST(not_what_was_offered)
{
    make((PayloadPlan){0});
    InstallOptions options = *whole_file();
    options.offered_version = "2.1";
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_VERSION_REFUSED, false);
    options.offered_version = NULL;
    options.payload_bytes = payload.n_bytes + 1;
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_PAYLOAD_SIZE, false);
    options.payload_bytes = payload.n_bytes;
    options.has_payload_sha256 = true;
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_PAYLOAD_HASH, true);
    ck_assert_uint_eq(rig.n_commits, 0);
}
END_TEST

/* --- disks ------------------------------------------------------------------------------- */

static void refuse_target(const char *running, const char *target)
{
    InstallOptions options = *whole_file();
    options.running_label = running;
    options.target_label = target;
    rig_install(&rig, &options);
    rig_assert_refused(&rig, UPDATE_ERROR_OPEN_TARGET, false);
}

START_TEST(targets_that_are_refused)
{
    make((PayloadPlan){0});
    refuse_target("USR-A", "USR-A");
    refuse_target("USR-A", "USR-C");
    refuse_target("USR-C", NULL);
    refuse_target("USR-C", "USR-B");
    refuse_target(NULL, NULL);
    InstallOptions options = *whole_file();
    options.running_label = NULL;
    options.target_label = "USR-B";
    rig_install(&rig, &options);
    rig_assert_flipped(&rig, &payload);
}
END_TEST

/* Its tries may be the last that boot anything. */
START_TEST(a_running_slot_that_is_not_good_yet)
{
    make((PayloadPlan){0});
    SlotDisk *disk;
    ck_assert_int_eq(slot_disk_open(rig.disk_path, true, NULL, 0, &disk, NULL), 0);
    ck_assert_int_eq(slot_disk_flip(disk, slot_disk_find(disk, "USR-A"), 3, NULL), 0);
    slot_disk_free(disk);
    rig_install(&rig, whole_file());
    ck_assert_uint_eq(rig.code, UPDATE_ERROR_OPEN_TARGET);
    ck_assert_ptr_nonnull(strstr(rig.error, "mark-good USR-A"));
    ck_assert(rig_slot(&rig, "USR-B").successful);

    ck_assert_int_eq(slot_disk_open(rig.disk_path, true, NULL, 0, &disk, NULL), 0);
    ck_assert_int_eq(slot_disk_mark_good(disk, slot_disk_find(disk, "USR-A"), NULL), 0);
    slot_disk_free(disk);
    rig_install(&rig, whole_file());
    ck_assert_uint_eq(rig.code, UPDATE_OK);
}
END_TEST

static void overwrite_disk(uint64_t offset_bytes, size_t n_bytes, uint8_t value)
{
    _cleanup_free_ uint8_t *data = malloc(n_bytes);
    memset(data, value, n_bytes);
    _cleanup_close_ int fd = open(rig.disk_path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(fd_pwrite_full(fd, data, n_bytes, offset_bytes), 0);
}

START_TEST(damaged_tables)
{
    make((PayloadPlan){0});
    overwrite_disk(512, 512, 0xff);
    rig_install(&rig, whole_file());
    rig_assert_flipped(&rig, &payload); /* the backup counts, and both are good again */
    overwrite_disk(512, 512, 0xff);
    overwrite_disk(rig.n_disk_bytes - 512, 512, 0xff);
    rig_install(&rig, whole_file());
    ck_assert_uint_eq(rig.code, UPDATE_ERROR_OPEN_TARGET);
    ck_assert_str_ne(rig.error, "");
    InstallOptions options = *whole_file();
    options.disk_path = "/nowhere/disk";
    rig_install(&rig, &options);
    ck_assert_uint_eq(rig.code, UPDATE_ERROR_OPEN_TARGET);
}
END_TEST

/* --- the owner says no ------------------------------------------------------------------- */

START_TEST(owner_refuses)
{
    make((PayloadPlan){0});
    rig.accept_r = -EPERM;
    rig_install(&rig, whole_file());
    rig_assert_refused(&rig, UPDATE_ERROR_GENERIC, false);
    ck_assert_str_eq(rig.error, "not accepted");
    rig.accept_r = 0;
    rig.commit_r = -EROFS;
    rig_install(&rig, whole_file());
    rig_assert_refused(&rig, UPDATE_ERROR_GENERIC, true);
    ck_assert_str_eq(rig.error, "not committed");
}
END_TEST

START_TEST(state_that_cannot_be_written)
{
    make((PayloadPlan){0});
    ck_assert_int_eq(rmdir(rig.state_path), 0);
    rig_install(&rig, whole_file());
    rig_assert_flipped(&rig, &payload);
    ck_assert_ptr_nonnull(strstr(rig.warning, "state folder"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install-refusals");
    TCase *tcase = unit_case(suite, "install-refusals");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, another_product);
    tcase_add_test(tcase, older_version);
    tcase_add_test(tcase, running_version_too_old);
    tcase_add_test(tcase, larger_than_the_slot);
    tcase_add_test(tcase, manifests_that_are_refused);
    tcase_add_test(tcase, content_that_is_refused);
    tcase_add_test(tcase, another_key);
    tcase_add_test(tcase, no_key);
    tcase_add_test(tcase, bit_flipped_in_each_part);
    tcase_add_test(tcase, manifest_length_of_2_63);
    tcase_add_test(tcase, cut_anywhere);
    tcase_add_test(tcase, cut_anywhere_over_http);
    tcase_add_test(tcase, file_cut_while_it_is_read);
    tcase_add_test(tcase, not_what_was_offered);
    tcase_add_test(tcase, targets_that_are_refused);
    tcase_add_test(tcase, a_running_slot_that_is_not_good_yet);
    tcase_add_test(tcase, damaged_tables);
    tcase_add_test(tcase, owner_refuses);
    tcase_add_test(tcase, state_that_cannot_be_written);
    return suite;
}
