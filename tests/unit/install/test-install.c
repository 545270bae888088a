/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/unit/install/file-server.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"
#include "updater/payload/payload-header.h"
#include "updater/slot/slot-proof.h"

static InstallRig rig;
static MadePayload payload;

static void setup(void)
{
    rig_init(&rig, false);
    payload = (MadePayload){0};
}

static void teardown(void)
{
    payload_unmake(&payload);
    rig_done(&rig);
}

static void make(PayloadPlan plan)
{
    if (!plan.key)
        plan.key = &rig.key;
    payload_make(&plan, &payload);
}

static void install_file(void)
{
    rig_install(&rig, rig_options(&rig, rig_save_payload(&payload, payload.n_bytes), NULL));
}

START_TEST(file_is_installed)
{
    make((PayloadPlan){.is_compressed = true, .ends_in_zeros = true});
    install_file();
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_eq(rig.phases_seen, 31);
    ck_assert_str_eq(rig.accepted_version, "2.0");
    ck_assert_uint_eq(rig.n_accepted, 1);
    ck_assert_uint_eq(rig.n_commits, 1);
    ck_assert_str_eq(rig.content.version, "2.0");
    ck_assert_str_eq(rig.content.product, "acme");
    ck_assert_uint_eq(rig.content.size_bytes, payload.n_content_bytes);
    ErrorText error = {0};
    ck_assert_msg(slot_proof_check(rig.disk_path, "USR-B", &rig.content, NULL, NULL, &error) == 0,
            "%s", error.line);
}
END_TEST

START_TEST(slot_without_verity_is_installed)
{
    make((PayloadPlan){.has_no_verity = true});
    install_file();
    rig_assert_flipped(&rig, &payload);
    ck_assert(!rig.content.has_verity);
}
END_TEST

START_TEST(hardly_anything_comes_twice_over_http)
{
    make((PayloadPlan){.is_compressed = true, .ends_in_zeros = true});
    FileServer server = {.data = payload.data, .n_bytes = payload.n_bytes};
    file_server_start(&server, rig.event);
    InstallOptions options = *rig_options(&rig, NULL, file_server_url(&server));
    options.payload_bytes = payload.n_bytes;
    options.has_payload_sha256 = true;
    options.payload_sha256 = payload.sha256;
    options.offered_version = "2.0";
    rig_install(&rig, &options);
    file_server_stop(&server);
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_eq(server.n_requests, 3); /* header, metadata, blobs */
    /* The header does: this server does not say that it is the same file. */
    ck_assert_uint_eq(rig.n_bytes_fetched, payload.n_bytes + PAYLOAD_HEADER_BYTES);
}
END_TEST

START_TEST(the_end_is_told_once)
{
    rig.is_kept = true;
    make((PayloadPlan){.is_compressed = true});
    FileServer server = {.data = payload.data, .n_bytes = payload.n_bytes};
    file_server_start(&server, rig.event);
    rig_install(&rig, rig_options(&rig, NULL, file_server_url(&server)));
    rig_assert_flipped(&rig, &payload);
    server.status = 404;
    rig_install(&rig, rig_options(&rig, NULL, file_server_url(&server)));
    ck_assert_uint_eq(rig.code, UPDATE_ERROR_TRANSFER);
    ck_assert_uint_eq(rig.n_done, 1);
    file_server_stop(&server);
}
END_TEST

START_TEST(no_source_is_no_install)
{
    static const InstallHandlers none;
    Install *install;
    ck_assert_int_eq(
            install_new(rig.event, rig.http, rig_options(&rig, NULL, NULL), &none, NULL, &install),
            -EINVAL);
}
END_TEST

/* --- promises ---------------------------------------------------------------------------- */

static bool is_unbootable(const Slot *slot)
{
    return slot->priority == 0 && slot->tries == 0 && !slot->successful;
}

static bool target_is_as_before(void)
{
    _cleanup_free_ uint8_t *data = rig_read_slot(&rig, "USR-B");
    return memcmp(data, rig.before + 2048 * 512 + RIG_SLOT_BYTES, RIG_SLOT_BYTES) == 0;
}

/* Promise 2: before DOWNLOADING nothing was written; from then on the target cannot boot. */
static void watch_the_target(InstallRig *r, const InstallProgress *progress)
{
    (void)r;
    if (progress->phase < INSTALL_DOWNLOADING)
        ck_assert(target_is_as_before());
    if (progress->phase == INSTALL_STARTING)
        ck_assert_uint_eq(rig_slot(&rig, "USR-B").priority, 1);
    Slot slot = rig_slot(&rig, "USR-B");
    if (progress->phase == INSTALL_DOWNLOADING || progress->phase == INSTALL_VERIFYING)
        ck_assert(is_unbootable(&slot));
    rig_assert_running_untouched(&rig);
}

/* Promise 3: everything is there when the owner is asked, and only the flip is missing. */
static void watch_the_commit(InstallRig *r)
{
    Slot slot = rig_slot(r, "USR-B");
    ck_assert(is_unbootable(&slot));
    _cleanup_free_ uint8_t *data = rig_read_slot(r, "USR-B");
    ck_assert_int_eq(memcmp(data, payload.content, payload.n_content_bytes), 0);
}

START_TEST(target_cannot_boot_until_the_flip)
{
    make((PayloadPlan){.is_compressed = true});
    rig.at_progress = watch_the_target;
    rig.at_commit = watch_the_commit;
    install_file();
    rig_assert_flipped(&rig, &payload);
}
END_TEST

/* The medium changes a byte after it was written: VERIFYING is told before the reading begins,
 * where nothing goes along with the writing (test-read-back.c). */
static void spoil_a_byte(InstallRig *r, const InstallProgress *progress)
{
    if (progress->phase != INSTALL_VERIFYING)
        return;
    _cleanup_close_ int fd = open(r->disk_path, O_WRONLY | O_CLOEXEC);
    uint64_t at = rig_slot(r, "USR-B").offset_bytes + 1234567;
    ck_assert_int_eq(pwrite(fd, "spoilt", 6, (off_t)at), 6);
}

START_TEST(what_reads_back_wrong_is_not_flipped)
{
    rig.at_progress = spoil_a_byte;
    make((PayloadPlan){0});
    install_file();
    rig_assert_refused(&rig, UPDATE_ERROR_VERITY, true);
    payload_unmake(&payload);
    make((PayloadPlan){.has_no_verity = true});
    install_file();
    rig_assert_refused(&rig, UPDATE_ERROR_PARTITION_HASH, true);
    ck_assert_int_eq(faccessat(rig.state_fd, "checkpoint", F_OK, 0), -1);
    rig.at_progress = NULL;
    install_file();
    rig_assert_flipped(&rig, &payload);
}
END_TEST

static void prioritize_the_target(InstallRig *r)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    ck_assert_int_eq(slot_disk_open(r->disk_path, true, NULL, 0, &disk, NULL), 0);
    ck_assert_int_eq(slot_disk_prioritize(disk, slot_disk_find(disk, "USR-B"), 3, NULL), 0);
}

static void spoil_the_tail(InstallRig *r, const InstallProgress *progress)
{
    if (progress->phase != INSTALL_VERIFYING)
        return;
    _cleanup_close_ int fd = open(r->disk_path, O_WRONLY | O_CLOEXEC);
    uint64_t at = rig_slot(r, "USR-B").offset_bytes + payload.n_content_bytes - 6;
    ck_assert_int_eq(pwrite(fd, "spoilt", 6, (off_t)at), 6);
}

/* What lies behind the tree is written, and proven by the partition's hash, or its own. */
START_TEST(slot_goes_on_behind_its_tree)
{
    make((PayloadPlan){.is_compressed = true, .n_tail_blocks = 40, .has_rest_hash = _i});
    rig.at_progress = spoil_the_tail;
    install_file();
    rig_assert_refused(&rig, UPDATE_ERROR_PARTITION_HASH, true);
    rig.at_progress = NULL;
    install_file();
    rig_assert_flipped(&rig, &payload);
    ck_assert(rig.content.has_verity);
    ErrorText error = {0};
    ck_assert_msg(slot_proof_check(rig.disk_path, "USR-B", &rig.content, NULL, NULL, &error) == 0,
            "%s", error.line);
    spoil_the_tail(&rig, &(InstallProgress){.phase = INSTALL_VERIFYING});
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &rig.content, NULL, NULL, &error), -EBADMSG);
}
END_TEST

START_TEST(slot_changed_by_others_is_not_flipped)
{
    make((PayloadPlan){0});
    rig.at_commit = prioritize_the_target;
    install_file();
    ck_assert_uint_eq(rig.code, UPDATE_ERROR_FLIP);
    rig_assert_running_untouched(&rig);
}
END_TEST

START_TEST(proof_of_a_slot)
{
    make((PayloadPlan){0});
    install_file();
    rig_assert_flipped(&rig, &payload);
    ErrorText error = {0};
    _Atomic uint64_t n_bytes = 0;
    atomic_bool is_cancelled = false;
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &rig.content, &n_bytes, &is_cancelled, &error),
            0);
    ck_assert_uint_eq(n_bytes, rig.content.size_bytes);
    SlotContent other = rig.content;
    other.sha256.bytes[0] ^= 1;
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &other, NULL, NULL, &error), -EBADMSG);
    other = rig.content;
    other.root_hash.bytes[0] ^= 1;
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &other, NULL, NULL, &error), -EBADMSG);
    other = rig.content;
    other.size_bytes = RIG_SLOT_BYTES + 4096;
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &other, NULL, NULL, &error), -EBADMSG);
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-A", &rig.content, NULL, NULL, &error), -EBADMSG);
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-C", &rig.content, NULL, NULL, &error), -ENODEV);
    is_cancelled = true;
    ck_assert_int_eq(
            slot_proof_check(rig.disk_path, "USR-B", &rig.content, NULL, &is_cancelled, &error),
            -ECANCELED);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install");
    TCase *tcase = unit_case(suite, "install");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, file_is_installed);
    tcase_add_test(tcase, slot_without_verity_is_installed);
    tcase_add_test(tcase, hardly_anything_comes_twice_over_http);
    tcase_add_test(tcase, the_end_is_told_once);
    tcase_add_test(tcase, no_source_is_no_install);
    tcase_add_test(tcase, target_cannot_boot_until_the_flip);
    tcase_add_test(tcase, what_reads_back_wrong_is_not_flipped);
    tcase_add_loop_test(tcase, slot_goes_on_behind_its_tree, 0, 2);
    tcase_add_test(tcase, slot_changed_by_others_is_not_flipped);
    tcase_add_test(tcase, proof_of_a_slot);
    return suite;
}
