/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/install/file-server.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"

static InstallRig rig;
static MadePayload payload;

static void setup(void)
{
    rig_init(&rig);
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
    ck_assert_msg(install_prove_slot(rig.disk_path, "USR-B", &rig.content, NULL, NULL, &error) == 0,
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

START_TEST(payload_over_http_is_one_request)
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
    ck_assert_uint_eq(server.n_requests, 1);
    ck_assert_uint_eq(rig.n_bytes_fetched, payload.n_bytes);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install");
    TCase *tcase = unit_case(suite, "install");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, file_is_installed);
    tcase_add_test(tcase, slot_without_verity_is_installed);
    tcase_add_test(tcase, payload_over_http_is_one_request);
    return suite;
}
