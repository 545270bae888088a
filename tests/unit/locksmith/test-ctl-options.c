/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/ctl-options.h"

#include <string.h>

#include "tests/unit/unit.h"

static const char *const environment[] = {
        "HOME=/root",
        "LOCKSMITHCTL_ENDPOINT= http://e:1 , http://e:2",
        "LOCKSMITHCTL_GROUP=workers",
        "LOCKSMITHCTL_STORE=",
        "LOCKSMITHCTL_ETCD_CAFILE=/ca",
        "LOCKSMITHCTL_ETCD_CERTFILE=/cert",
        "LOCKSMITHCTL_ETCD_KEYFILE=/key",
        "LOCKSMITHCTL_ETCD_USERNAME=user",
        "LOCKSMITHCTL_ETCD_PASSWORD=a=b",
        "LOCKSMITHCTL_DEBUG=1",
        "LOCKSMITHCTL_VERSION=1", /* has no effect: it would break every call */
        NULL,
};

START_TEST(the_environment_is_read)
{
    _cleanup_(ctl_options_done) CtlOptions options;
    ErrorText error = {};
    char *argv[] = {strdupa("status")};
    ck_assert_int_eq(ctl_options_read(1, argv, environment, &options, &error), 1);
    ck_assert_uint_eq(options.endpoints.n_values, 2);
    ck_assert_str_eq(options.endpoints.values[0], "http://e:1");
    ck_assert_str_eq(options.endpoints.values[1], "http://e:2");
    ck_assert_str_eq(options.group, "workers");
    ck_assert_ptr_null(options.store);
    ck_assert_str_eq(options.ca_file, "/ca");
    ck_assert_str_eq(options.cert_file, "/cert");
    ck_assert_str_eq(options.key_file, "/key");
    ck_assert_str_eq(options.user, "user");
    ck_assert_str_eq(options.password, "a=b");
    ck_assert(options.is_debug && !options.asks_version && !options.asks_help);
    ck_assert(ctl_options_name_a_lock(&options));
}
END_TEST

START_TEST(the_command_line_goes_before_it)
{
    _cleanup_(ctl_options_done) CtlOptions options;
    ErrorText error = {};
    char *argv[] = {strdupa("-endpoint=http://c:1"), strdupa("--group="), strdupa("-store"),
            strdupa("etcd-v2"), strdupa("-etcd-cafile=/other"), strdupa("-etcd-certfile=/c"),
            strdupa("-etcd-keyfile=/k"), strdupa("-etcd-username=u"), strdupa("-etcd-password=p"),
            strdupa("-machine-id=m1"), strdupa("-root=/r"), strdupa("-bus=unix:path=/b"),
            strdupa("lock"), strdupa("-x")};
    ck_assert_int_eq(ctl_options_read(ELEMENTS(argv), argv, environment, &options, &error), 2);
    ck_assert_str_eq(argv[0], "lock");
    ck_assert_uint_eq(options.endpoints.n_values, 1);
    ck_assert_str_eq(options.endpoints.values[0], "http://c:1");
    ck_assert_str_eq(options.group, "");
    ck_assert_str_eq(options.store, "etcd-v2");
    ck_assert_str_eq(options.ca_file, "/other");
    ck_assert_str_eq(options.cert_file, "/c");
    ck_assert_str_eq(options.key_file, "/k");
    ck_assert_str_eq(options.user, "u");
    ck_assert_str_eq(options.password, "p");
    ck_assert_str_eq(options.machine_id, "m1");
    ck_assert_str_eq(options.root, "/r");
    ck_assert_str_eq(options.bus, "unix:path=/b");
}
END_TEST

/* Everybody can read the command line of a process. */
START_TEST(the_password_is_wiped_from_the_command_line)
{
    _cleanup_(ctl_options_done) CtlOptions options;
    ErrorText error = {};
    char *joined = strdupa("--etcd-password=secret"), *flag = strdupa("-etcd-password"),
         *apart = strdupa("other");
    char *argv[] = {joined, flag, apart, strdupa("status")};
    ck_assert_int_eq(ctl_options_read(4, argv, environment, &options, &error), 1);
    ck_assert_str_eq(options.password, "other");
    ck_assert_str_eq(joined, "--etcd-password=");
    ck_assert_str_eq(joined + strlen("--etcd-password=s"), "");
    ck_assert_str_eq(apart, "");
}
END_TEST

START_TEST(without_both_nothing_is_said)
{
    _cleanup_(ctl_options_done) CtlOptions options;
    ErrorText error = {};
    char *argv[] = {strdupa("-version"), strdupa("-h")};
    ck_assert_int_eq(ctl_options_read(2, argv, NULL, &options, &error), 0);
    ck_assert(options.asks_version && options.asks_help && !options.is_debug);
    ck_assert(!ctl_options_name_a_lock(&options));
    ck_assert_ptr_null(options.group);
    ck_assert_ptr_null(options.bus);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    CtlOptions options;
    ErrorText error = {};
    char *argv[] = {strdupa("-etcd"), strdupa("x")};
    ck_assert_int_eq(ctl_options_read(2, argv, NULL, &options, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "-etcd"));
    const char *const many[] = {
            "LOCKSMITHCTL_ENDPOINT=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL};
    ck_assert_int_eq(ctl_options_read(0, argv, many, &options, &error), -E2BIG);
    ck_assert_ptr_nonnull(strstr(error.line, "LOCKSMITHCTL_ENDPOINT"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("ctl-options");
    TCase *tests = unit_case(suite, "all");
    tcase_add_test(tests, the_environment_is_read);
    tcase_add_test(tests, the_command_line_goes_before_it);
    tcase_add_test(tests, the_password_is_wiped_from_the_command_line);
    tcase_add_test(tests, without_both_nothing_is_said);
    tcase_add_test(tests, what_is_wrong_is_named);
    return suite;
}
