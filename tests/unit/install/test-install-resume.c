/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/install/file-server.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"
#include "updater/payload/payload-header.h"

/* Installs that are broken off and taken up again, by servers that behave and others. */

static InstallRig rig;
static MadePayload payload;
static FileServer server;

static void setup(void)
{
    rig_init(&rig, true);
    payload_make(
            &(PayloadPlan){
                    .key = &rig.key, .is_compressed = true, .n_blocks = 768, .has_rest_hash = true},
            &payload);
    server = (FileServer){.data = payload.data, .n_bytes = payload.n_bytes, .etag = "\"one\""};
    file_server_start(&server, rig.event);
}

static void teardown(void)
{
    file_server_stop(&server);
    payload_unmake(&payload);
    rig_done(&rig);
}

static const InstallOptions *options(void)
{
    return rig_options(&rig, NULL, file_server_url(&server));
}

/* Breaks off in the phase of stop_phase, once so much of it is done. */
static InstallPhase stop_phase;
static double stop_share;

static void stop(InstallRig *r, const InstallProgress *progress)
{
    r->is_stopping =
            r->is_stopping ||
            (progress->phase == stop_phase &&
                    (double)progress->n_bytes_done >= stop_share * (double)progress->n_bytes_total);
}

static void break_off(InstallPhase phase, double share, const InstallOptions *o)
{
    stop_phase = phase;
    stop_share = share;
    rig.at_progress = stop;
    rig_install(&rig, o);
    rig.at_progress = NULL;
    ck_assert_uint_eq(rig.n_done, 0);
    Slot slot = rig_slot(&rig, "USR-B");
    ck_assert_uint_eq(slot.priority, phase == INSTALL_STARTING ? 1 : 0);
    rig_assert_running_untouched(&rig);
}

START_TEST(cancelled_in_every_phase)
{
    for (int phase = INSTALL_STARTING; phase <= INSTALL_VERIFYING; phase++) {
        if (phase != INSTALL_PREPARING)
            break_off((InstallPhase)phase, 0, options());
    }
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
}
END_TEST

/* The server ends its answers, so that the loop runs long enough for progress to be told. */
static void break_off_half_way(void)
{
    server.n_cut_bytes = payload.n_metadata_bytes + payload.n_bytes / 2;
    server.n_cuts = UINT32_MAX;
    InstallOptions slow = *options();
    slow.retry_delay_usec = 60 * 1000 * 1000;
    break_off(INSTALL_DOWNLOADING, 0.45, &slow);
    server.n_cuts = 0;
}

START_TEST(what_is_there_is_not_fetched_again)
{
    break_off_half_way();
    uint64_t n_before = server.n_sent_bytes;
    ck_assert_uint_gt(n_before, payload.n_bytes / 2);
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
    /* Of 48 blobs one was begun and two may have waited. */
    ck_assert_uint_lt(server.n_sent_bytes, payload.n_bytes + payload.n_bytes * 3 / 48);
    ck_assert_uint_lt(rig.n_bytes_fetched, payload.n_bytes * 55 / 100);
}
END_TEST

START_TEST(finished_download_is_not_fetched_again)
{
    break_off(INSTALL_VERIFYING, 0, options());
    uint64_t n_before = server.n_sent_bytes;
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_le(server.n_sent_bytes - n_before, payload.n_bytes / 40);
}
END_TEST

static void rewrite(const char *name, size_t at)
{
    _cleanup_close_ int fd = openat(rig.state_fd, name, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
}

START_TEST(damaged_state_begins_anew)
{
    break_off_half_way();
    rewrite("checkpoint", 50);
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_ge(rig.n_bytes_fetched, payload.n_bytes);
    break_off_half_way();
    rewrite("metadata", 100);
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_ge(rig.n_bytes_fetched, payload.n_bytes);
}
END_TEST

START_TEST(other_payload_begins_anew)
{
    break_off_half_way();
    InstallOptions others = *options();
    others.has_payload_sha256 = true;
    others.payload_sha256 = payload.sha256;
    rig_install(&rig, &others);
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_eq(rig.n_bytes_fetched, payload.n_bytes + PAYLOAD_HEADER_BYTES);
}
END_TEST

START_TEST(kept_metadata_is_verified_again)
{
    break_off_half_way();
    MadeKey other;
    key_make(&other);
    InstallOptions distrusting = *options();
    distrusting.key_dir = other.folder;
    rig_install(&rig, &distrusting);
    rig_assert_refused(&rig, UPDATE_ERROR_METADATA_SIGNATURE, true);
    key_unmake(&other);
}
END_TEST

/* The slot was written to between two installs: the checkpoint is wrong, and the proof says so. */
START_TEST(slot_changed_between_installs)
{
    break_off(INSTALL_VERIFYING, 0, options());
    _cleanup_close_ int fd = open(rig.disk_path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(
            pwrite(fd, "spoilt", 6, (off_t)rig_slot(&rig, "USR-B").offset_bytes + 5000), 6);
    rig_install(&rig, options());
    if (rig.code != UPDATE_OK) {
        rig_assert_refused(&rig, UPDATE_ERROR_VERITY, true);
        rig_install(&rig, options());
    }
    rig_assert_flipped(&rig, &payload);
}
END_TEST

START_TEST(url_replaced_between_installs)
{
    break_off_half_way();
    MadePayload newer;
    payload_make(&(PayloadPlan){.key = &rig.key,
                         .version = "3.0",
                         .is_compressed = true,
                         .n_blocks = 768,
                         .seed = 5},
            &newer);
    server.data = newer.data;
    server.n_bytes = newer.n_bytes;
    rig_install(&rig, options());
    ck_assert_uint_ne(rig.code, UPDATE_OK);
    ck_assert(rig.is_url_fault);
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &newer);
    payload_unmake(&newer);
}
END_TEST

START_TEST(file_is_taken_up_again)
{
    const char *path = rig_save_payload(&payload, payload.n_bytes);
    break_off(INSTALL_VERIFYING, 0, rig_options(&rig, path, NULL));
    rig_install(&rig, rig_options(&rig, path, NULL));
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_lt(rig.n_bytes_fetched, payload.n_bytes);
}
END_TEST

START_TEST(what_lies_behind_the_tree_is_taken_up_again)
{
    MadePayload longer;
    payload_make(
            &(PayloadPlan){.key = &rig.key, .is_compressed = true, .n_tail_blocks = 100}, &longer);
    server.data = longer.data;
    server.n_bytes = longer.n_bytes;
    server.n_cut_bytes = longer.n_bytes - longer.n_bytes / 20; /* in the tail */
    server.n_cuts = UINT32_MAX;
    InstallOptions slow = *options();
    slow.retry_delay_usec = 60 * 1000 * 1000;
    break_off(INSTALL_DOWNLOADING, 0.9, &slow);
    server.n_cuts = 0;
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &longer);
    ck_assert_uint_lt(rig.n_bytes_fetched, longer.n_bytes * 30 / 100);
    payload_unmake(&longer);
}
END_TEST

START_TEST(cuts_are_survived)
{
    server.n_cut_bytes = payload.n_bytes / 5;
    server.n_cuts = UINT32_MAX;
    rig_install(&rig, options());
    rig_assert_flipped(&rig, &payload);
    ck_assert_uint_ge(server.n_requests, 5);
    ck_assert_uint_eq(rig.n_bytes_fetched, payload.n_bytes + PAYLOAD_HEADER_BYTES);
}
END_TEST

START_TEST(file_replaced_during_the_download)
{
    server.n_cut_bytes = payload.n_bytes / 2;
    server.n_cuts = 1;
    InstallOptions slow = *options();
    slow.retry_delay_usec = 1000;
    stop_phase = INSTALL_DOWNLOADING;
    MadePayload newer;
    payload_make(&(PayloadPlan){.key = &rig.key,
                         .version = "3.0",
                         .is_compressed = true,
                         .n_blocks = 768,
                         .seed = 5},
            &newer);
    _cleanup_free_ uint8_t *mixed = malloc(MAX(payload.n_bytes, newer.n_bytes));
    memcpy(mixed, newer.data, newer.n_bytes);
    memcpy(mixed, payload.data, payload.n_bytes / 2);
    server.data = mixed;
    server.n_bytes = payload.n_bytes;
    rig_install(&rig, &slow);
    rig_assert_refused(&rig, UPDATE_ERROR_OPERATION_HASH, true);
    ck_assert(rig.is_url_fault);
    payload_unmake(&newer);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install-resume");
    TCase *tcase = unit_case(suite, "install-resume");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, cancelled_in_every_phase);
    tcase_add_test(tcase, what_is_there_is_not_fetched_again);
    tcase_add_test(tcase, finished_download_is_not_fetched_again);
    tcase_add_test(tcase, damaged_state_begins_anew);
    tcase_add_test(tcase, other_payload_begins_anew);
    tcase_add_test(tcase, kept_metadata_is_verified_again);
    tcase_add_test(tcase, slot_changed_between_installs);
    tcase_add_test(tcase, url_replaced_between_installs);
    tcase_add_test(tcase, file_is_taken_up_again);
    tcase_add_test(tcase, what_lies_behind_the_tree_is_taken_up_again);
    tcase_add_test(tcase, cuts_are_survived);
    tcase_add_test(tcase, file_replaced_during_the_download);
    return suite;
}
