/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/system-identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

static int root;

static void put(const char *path, const char *text)
{
    char folder[256];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdirat(root, folder, 0755);
        *slash = '/';
    }
    ck_assert_int_eq(atomic_file_write(root, path, text, strlen(text), 0644), 0);
}

static void open_root(void)
{
    root = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

static void close_root(void)
{
    close(root);
}

START_TEST(all_is_read)
{
    put("etc/machine-id", "abce671d61774703ac7be60715220bfe\n");
    put("proc/sys/kernel/random/boot_id", "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84\n");
    put("etc/oem-release", "ID=azure\nVERSION_ID=\"2.9.1\"\n");
    put("usr/share/oem/oem-release", "ID=other\n");
    SystemIdentity identity;
    system_identity_read(root, &identity);
    ck_assert_str_eq(identity.machine_id, "abce671d61774703ac7be60715220bfe");
    ck_assert_str_eq(identity.boot_id, "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84");
    ck_assert_str_eq(identity.oem, "azure");
    ck_assert_str_eq(identity.oem_version, "2.9.1");
    struct utsname names;
    ck_assert_int_eq(uname(&names), 0);
    ck_assert_str_eq(identity.architecture, names.machine);
}
END_TEST

START_TEST(what_is_missing_is_empty)
{
    SystemIdentity identity;
    system_identity_read(root, &identity);
    ck_assert_str_eq(identity.machine_id, "");
    ck_assert_str_eq(identity.oem, "");
    ck_assert_str_eq(identity.oem_version, "");
    /* The running kernel's, where the root has none. */
    ck_assert_uint_eq(strlen(identity.boot_id), 36);
}
END_TEST

START_TEST(the_second_place_of_the_oem_counts)
{
    put("usr/share/oem/oem-release", "ID=other\n");
    SystemIdentity identity;
    system_identity_read(root, &identity);
    ck_assert_str_eq(identity.oem, "other");
    ck_assert_str_eq(identity.oem_version, "");
}
END_TEST

START_TEST(what_does_not_fit_is_missing)
{
    put("etc/machine-id", "abce671d61774703ac7be60715220bfe00\n");
    put("etc/oem-release",
            "ID=a-name-that-is-much-longer-than-any-name-of-an-oem-has-been-until-today-or-will\n"
            "VERSION_ID=a\tb\n");
    SystemIdentity identity;
    system_identity_read(root, &identity);
    ck_assert_str_eq(identity.machine_id, "");
    ck_assert_str_eq(identity.oem, "");
    ck_assert_str_eq(identity.oem_version, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("system-identity");
    TCase *tcase = unit_case(suite, "system-identity");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, all_is_read);
    tcase_add_test(tcase, what_is_missing_is_empty);
    tcase_add_test(tcase, the_second_place_of_the_oem_counts);
    tcase_add_test(tcase, what_does_not_fit_is_missing);
    return suite;
}
