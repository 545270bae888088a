/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/config/locksmith-config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/clock.h"
#include "common/fd-io.h"
#include "locksmith/config/locksmith-keys.h"
#include "tests/unit/unit.h"
#include "updater/config/config-keys.h"

#define MACHINE_FOLDER "etc/" FLIPSIDE_OS
#define MACHINE_FILE MACHINE_FOLDER "/update.conf"
#define IMAGE_FOLDER "usr/share/" FLIPSIDE_OS
#define IMAGE_FILE IMAGE_FOLDER "/update.conf"

static void write_text(int root_fd, const char *path, const char *text)
{
    ck_assert_int_eq(atomic_file_write(root_fd, path, text, strlen(text), 0644), 0);
}

/* A root with the two files; NULL: it is not there. */
static int make_root(const char *machine, const char *image)
{
    int root_fd = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
    static const char *const folders[] = {"etc", MACHINE_FOLDER, "usr", "usr/share", IMAGE_FOLDER};
    for (size_t i = 0; i < ELEMENTS(folders); i++)
        ck_assert_int_eq(mkdirat(root_fd, folders[i], 0755), 0);
    if (machine)
        write_text(root_fd, MACHINE_FILE, machine);
    if (image)
        write_text(root_fd, IMAGE_FILE, image);
    return root_fd;
}

static int load(const char *machine, const char *const *environment, LocksmithConfig **ret_config,
        ErrorText *error)
{
    _cleanup_close_ int root_fd = make_root(machine, NULL);
    return locksmith_config_load(root_fd, environment, ret_config, error);
}

static LocksmithConfig *load_good(const char *machine)
{
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    int r = load(machine, NULL, &config, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    return config;
}

START_TEST(every_key_has_its_default)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config = NULL;
    _cleanup_close_ int root_fd = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(locksmith_config_load(root_fd, NULL, &config, NULL), 0);
    ck_assert_str_eq(reboot_strategy_name(config->strategy), "best-effort");
    ck_assert_int_eq(config->lock.store, LOCK_STORE_ETCD_V3);
    ck_assert_uint_eq(config->lock.n_endpoints, 1);
    ck_assert_str_eq(config->lock.endpoints[0], "http://127.0.0.1:2379");
    ck_assert(!config->endpoints_are_set);
    ck_assert_str_eq(config->lock.group, "");
    ck_assert_str_eq(config->id, "");
    ck_assert_ptr_null(config->lock.ca_file);
    ck_assert_ptr_null(config->lock.cert_file);
    ck_assert_ptr_null(config->lock.key_file);
    ck_assert_ptr_null(config->lock.user);
    ck_assert_ptr_null(config->lock.password);
    ck_assert_str_eq(config->calendar.start, "");
    ck_assert_str_eq(config->calendar.length, "");
    ck_assert_str_eq(config->calendar.windows, "");
    ck_assert_str_eq(config->calendar.zone, "");
    ck_assert_uint_eq(config->calendar.spread_usec, 0);
    ck_assert_uint_eq(config->login_grace_usec, 5 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->min_uptime_usec, 0);
    ck_assert(!config->needs_approval);
    ck_assert(!config->is_reboot_required_read);
    ck_assert_uint_eq(config->hook_timeout_usec, 5 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->reboot_timeout_usec, 10 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->release_delay_usec, 0);
    ck_assert(config->waits_for_boot_complete);
    ck_assert_str_eq(config->health_check, "");
    ck_assert_uint_eq(config->lock_warning_usec, USEC_PER_DAY);
    locksmith_config_free(NULL);
}
END_TEST

START_TEST(every_key_is_read)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config = load_good(
            "GROUP=beta\nNO_KEY_OF_OURS=x\nREBOOT_STRATEGY=etcd-lock\nLOCKSMITHD_STORE=etcd-v2\n"
            "LOCKSMITHD_ENDPOINT= https://a:2379/ ,http://[::1]:2379\n"
            "LOCKSMITHD_ETCD_CAFILE=/proc/self/../self/exe\n"
            "LOCKSMITHD_ETCD_CERTFILE=/proc/self/exe\nLOCKSMITHD_ETCD_KEYFILE=/proc/self/exe\n"
            "LOCKSMITHD_ETCD_USERNAME=u\nLOCKSMITHD_ETCD_PASSWORD='p w'\n"
            "LOCKSMITHD_GROUP=a/b c\nLOCKSMITHD_ID=host-7\n"
            "LOCKSMITHD_REBOOT_WINDOW_START=Thu 4:00\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=1h\n"
            "LOCKSMITHD_REBOOT_WINDOWS=Mon-Fri 22:00-04:00\nLOCKSMITHD_REBOOT_WINDOW_ZONE=UTC\n"
            "LOCKSMITHD_REBOOT_WINDOW_SPREAD=30m\nLOCKSMITHD_LOGIN_GRACE=0\n"
            "LOCKSMITHD_MIN_UPTIME=1h\nLOCKSMITHD_APPROVAL=yes\nLOCKSMITHD_REBOOT_REQUIRED=yes\n"
            "LOCKSMITHD_HOOK_TIMEOUT=1s\nLOCKSMITHD_REBOOT_TIMEOUT=2s\n"
            "LOCKSMITHD_RELEASE_DELAY=3s\nLOCKSMITHD_WAIT_BOOT_COMPLETE=no\n"
            "LOCKSMITHD_HEALTH_CHECK=test -e /x\nLOCKSMITHD_LOCK_WARNING=1h\n"
            "LOCKSMITHD_DEBUG=true\n");
    ck_assert_int_eq(config->strategy, STRATEGY_ETCD_LOCK);
    ck_assert_int_eq(config->lock.store, LOCK_STORE_ETCD_V2);
    ck_assert(config->endpoints_are_set);
    ck_assert_uint_eq(config->lock.n_endpoints, 2);
    ck_assert_str_eq(config->lock.endpoints[0], "https://a:2379");
    ck_assert_str_eq(config->lock.endpoints[1], "http://[::1]:2379");
    ck_assert_str_eq(config->lock.ca_file, "/proc/self/../self/exe");
    ck_assert_str_eq(config->lock.cert_file, "/proc/self/exe");
    ck_assert_str_eq(config->lock.key_file, "/proc/self/exe");
    ck_assert_str_eq(config->lock.user, "u");
    ck_assert_str_eq(config->lock.password, "p w");
    ck_assert_str_eq(config->lock.group, "a/b c");
    ck_assert_str_eq(config->id, "host-7");
    ck_assert_str_eq(config->calendar.start, "Thu 4:00");
    ck_assert_str_eq(config->calendar.length, "1h");
    ck_assert_str_eq(config->calendar.windows, "Mon-Fri 22:00-04:00");
    ck_assert_str_eq(config->calendar.zone, "UTC");
    ck_assert_uint_eq(config->calendar.spread_usec, 30 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->login_grace_usec, 0);
    ck_assert_uint_eq(config->min_uptime_usec, USEC_PER_HOUR);
    ck_assert(config->needs_approval);
    ck_assert(config->is_reboot_required_read);
    ck_assert_uint_eq(config->hook_timeout_usec, USEC_PER_SEC);
    ck_assert_uint_eq(config->reboot_timeout_usec, 2 * USEC_PER_SEC);
    ck_assert_uint_eq(config->release_delay_usec, 3 * USEC_PER_SEC);
    ck_assert(!config->waits_for_boot_complete);
    ck_assert_str_eq(config->health_check, "test -e /x");
    ck_assert_uint_eq(config->lock_warning_usec, USEC_PER_HOUR);
}
END_TEST

/* As systemd's EnvironmentFile= with the image's file before the machine's would have it. */
START_TEST(environment_goes_before_machine_before_image)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config = NULL;
    ErrorText error = {""};
    _cleanup_close_ int root_fd =
            make_root("REBOOT_STRATEGY=off\nLOCKSMITHD_GROUP=first\nLOCKSMITHD_GROUP=machine\n"
                      "LOCKSMITHD_ID=\n",
                    "REBOOT_STRATEGY=etcd-lock\nLOCKSMITHD_GROUP=image\nLOCKSMITHD_ID=image\n"
                    "LOCKSMITHD_MIN_UPTIME=7s\n");
    const char *const environment[] = {"PATH=/", "REBOOT_STRATEGY=reboot", "LOCKSMITHD_STORE",
            "LOCKSMITHCTL_GROUP=x", "LOCKSMITHD_MIN_UPTIME=", NULL};
    int r = locksmith_config_load(root_fd, environment, &config, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    ck_assert_int_eq(config->strategy, STRATEGY_REBOOT);
    ck_assert_str_eq(config->lock.group, "machine");
    ck_assert_str_eq(config->id, "");
    ck_assert_uint_eq(config->min_uptime_usec, 0);
}
END_TEST

START_TEST(older_names_count_where_the_others_are_not_set)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config =
            load_good("REBOOT_WINDOW_START=1:00\nREBOOT_WINDOW_LENGTH=1h\n"
                      "LOCKSMITHD_REBOOT_WINDOW_START=2:00\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=\n");
    ck_assert_str_eq(config->calendar.start, "2:00");
    ck_assert_str_eq(config->calendar.length, "1h");
}
END_TEST

START_TEST(fleet_lock_has_one_address_and_a_named_group)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config =
            load_good("REBOOT_STRATEGY=fleet-lock\nLOCKSMITHD_FLEET_LOCK_URL=http://f/base/\n");
    ck_assert_int_eq(config->lock.store, LOCK_STORE_FLEET_LOCK);
    ck_assert_uint_eq(config->lock.n_endpoints, 1);
    ck_assert_str_eq(config->lock.endpoints[0], "http://f/base/");
    ck_assert_str_eq(config->lock.group, "default");
    /* Where a lock from before would be, when the strategy asks for none. */
    _cleanup_(locksmith_config_freep) LocksmithConfig *off =
            load_good("REBOOT_STRATEGY=off\nLOCKSMITHD_FLEET_LOCK_URL=http://f/\n");
    ck_assert_int_eq(off->lock.store, LOCK_STORE_FLEET_LOCK);
    _cleanup_(locksmith_config_freep) LocksmithConfig *etcd =
            load_good("REBOOT_STRATEGY=etcd-lock\nLOCKSMITHD_FLEET_LOCK_URL=http://f/\n");
    ck_assert_int_eq(etcd->lock.store, LOCK_STORE_ETCD_V3);
}
END_TEST

/* Lines that will not do, and what the message must say. */
static const struct {
    const char *text;
    const char *advice;
} bad[] = {
        {"\nREBOOT_STRATEGY=etcd", "/" MACHINE_FILE ":2: REBOOT_STRATEGY=etcd will not do; write"},
        {"REBOOT_STRATEGY=Reboot", "best-effort, reboot, etcd-lock"},
        {"LOCKSMITHD_GRUOP=x", ":1: there is no key LOCKSMITHD_GRUOP; the nearest is "
                               "LOCKSMITHD_GROUP"},
        {"REBOOT_WINDOW_LENGHT=x", "the nearest is REBOOT_WINDOW_LENGTH"},
        {"LOCKSMITHD_", "KEY=value"},
        {"LOCKSMITHD_=1", "there is no key LOCKSMITHD_"},
        {"LOCKSMITHD_STORE=etcd", "etcd-v3 or etcd-v2"},
        {"LOCKSMITHD_STORE=fleet-lock", "REBOOT_STRATEGY=fleet-lock"},
        {"LOCKSMITHD_ENDPOINT=127.0.0.1:2379", "http://"},
        {"LOCKSMITHD_ENDPOINT=,", "http://"},
        {"LOCKSMITHD_ENDPOINT=http://a http://b", "commas"},
        {"LOCKSMITHD_ENDPOINT=http://a/v2", "nothing may follow the port"},
        {"LOCKSMITHD_ENDPOINT=http://a?x", "nothing may follow the port"},
        {"LOCKSMITHD_ENDPOINT=http://u:secret@a", "=http://***@a will not do: user and password"},
        {"LOCKSMITHD_ENDPOINT=http://a:99999", "a host and a port"},
        {"LOCKSMITHD_ENDPOINT=http://1,http://2,http://3,http://4,http://5,http://6,http://7,"
         "http://8,http://9,http://10,http://11,http://12,http://13,http://14,http://15,http://16,"
         "http://17",
                "more than 16"},
        {"LOCKSMITHD_FLEET_LOCK_URL=ftp://a", "http://"},
        {"LOCKSMITHD_FLEET_LOCK_URL=http://a/?x=y", "nothing may follow the path"},
        {"REBOOT_STRATEGY=fleet-lock", ":1: REBOOT_STRATEGY=fleet-lock needs "
                                       "LOCKSMITHD_FLEET_LOCK_URL"},
        {"LOCKSMITHD_FLEET_LOCK_URL=http://a", "best-effort does not use it"},
        {"REBOOT_STRATEGY=fleet-lock\nLOCKSMITHD_FLEET_LOCK_URL=http://a\nLOCKSMITHD_GROUP=a b",
                ":3: LOCKSMITHD_GROUP=a b will not do for FleetLock"},
        {"LOCKSMITHD_ETCD_CERTFILE=/proc/self/exe", "without LOCKSMITHD_ETCD_KEYFILE; set both"},
        {"LOCKSMITHD_ETCD_KEYFILE=/proc/self/exe", "without LOCKSMITHD_ETCD_CERTFILE"},
        {"LOCKSMITHD_ETCD_USERNAME=u", "without LOCKSMITHD_ETCD_PASSWORD"},
        {"LOCKSMITHD_ETCD_CAFILE=ca.pem", "full path"},
        {"LOCKSMITHD_ETCD_CAFILE=/no/such/ca.pem",
                ":1: LOCKSMITHD_ETCD_CAFILE=/no/such/ca.pem: there is no such file"},
        {"LOCKSMITHD_ETCD_CAFILE=/", "this is no file"},
        {"LOCKSMITHD_ETCD_CAFILE=/dev/null", "this is no file"},
        {"LOCKSMITHD_GROUP=\xff", "UTF-8"},
        {"LOCKSMITHD_GROUP=a\tb", "UTF-8"},
        {"LOCKSMITHD_APPROVAL=true", "yes or no"},
        {"LOCKSMITHD_LOGIN_GRACE=300", "such as 90s"},
        {"LOCKSMITHD_LOGIN_GRACE=-1s", "such as 90s"},
        {"LOCKSMITHD_LOGIN_GRACE=400d", "more than a year"},
        {"LOCKSMITHD_HOOK_TIMEOUT=0", "less than 1s"},
        {"LOCKSMITHD_REBOOT_WINDOW_START=4:00", "without LOCKSMITHD_REBOOT_WINDOW_LENGTH"},
        {"REBOOT_WINDOW_LENGTH=1h",
                ":1: REBOOT_WINDOW_LENGTH is set without LOCKSMITHD_REBOOT_WINDOW_START"},
        {"LOCKSMITHD_REBOOT_WINDOW_START=14:00junk\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=1h",
                ":1: LOCKSMITHD_REBOOT_WINDOW_START=14:00junk will not do: \"14:00junk\" is not a "
                "time of day"},
        {"REBOOT_WINDOW_LENGTH=90", ":1: REBOOT_WINDOW_LENGTH=90 will not do: \"90\" is not"},
        {"LOCKSMITHD_REBOOT_WINDOW_START=14:00\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=24h",
                ":2: LOCKSMITHD_REBOOT_WINDOW_LENGTH: it must be less than a day"},
        {"LOCKSMITHD_REBOOT_WINDOWS=Mo 1:00-2:00", "in \"Mo 1:00-2:00\" \"Mo\" is not a day"},
        {"LOCKSMITHD_REBOOT_WINDOWS=1:00-2:00 Mars/Base", "there is no time zone Mars/Base in"},
        {"LOCKSMITHD_REBOOT_WINDOW_ZONE=CEST",
                ":1: LOCKSMITHD_REBOOT_WINDOW_ZONE=CEST will not do"},
        {"LOCKSMITHD_REBOOT_WINDOW_SPREAD=1", "such as 90s"},
        {"LOCKSMITHD_GROUP=\"x", "quote"},
        {" REBOOT_STRATEGY=off", ":1: what is left of '=' is not a key"},
        {"export REBOOT_STRATEGY=off", ":1: what is left of '=' is not a key"},
        {"REBOOT_STRATEGY = off", ":1: what is left of '=' is not a key"},
        {"REBOOT_STRATEGY", "KEY=value"},
        {"REBOOT_STRATEGY=off\r", ":1: the line ends in a carriage return"},
};

START_TEST(what_will_not_do_is_told_with_its_place)
{
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(load(bad[_i].text, NULL, &config, &error), -EINVAL);
    ck_assert_ptr_null(config);
    ck_assert_msg(strstr(error.line, bad[_i].advice) != NULL, "%s", error.line);
    ck_assert_msg(!strstr(error.line, "secret"), "%s", error.line);
}
END_TEST

/* update-engine tells of those. */
START_TEST(lines_that_are_nobodys_are_left_out)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config =
            load_good("nonsense\n GROUP=beta\nexport PATH=/\nFOO=\"x\nREBOOT_STRATEGY=off\n");
    ck_assert_int_eq(config->strategy, STRATEGY_OFF);
}
END_TEST

START_TEST(deployed_files_are_understood)
{
    static const char *const files[] = {"ignition", "windows-and-etcd", "nebraska",
            "after-flatcar-update", "of-other-tools", "no-newline", "empty"};
    char below[64];
    snprintf(below, sizeof(below), "../config/deployed/%s.conf", files[_i]);
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, unit_data_path(below), 4096, &text, &n_bytes), 0);
    locksmith_config_free(load_good(text));
}
END_TEST

START_TEST(the_environment_is_checked_as_well)
{
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    const char *const wrong_value[] = {"LOCKSMITHD_STORE=redis", NULL};
    ck_assert_int_eq(load("", wrong_value, &config, &error), -EINVAL);
    ck_assert_str_eq(error.line,
            "environment: LOCKSMITHD_STORE=redis will not do; write etcd-v3 or etcd-v2");
    const char *const wrong_name[] = {"LOCKSMITHD_ENDPOINTS=http://a", NULL};
    ck_assert_int_eq(load("", wrong_name, &config, &error), -EINVAL);
    ck_assert_msg(strstr(error.line, "nearest is LOCKSMITHD_ENDPOINT,") != NULL, "%s", error.line);
    char secret[600] = "LOCKSMITHD_ETCD_PASSWORD=";
    memset(secret + strlen(secret), 's', 300);
    const char *const wrong_secret[] = {secret, NULL};
    ck_assert_int_eq(load("", wrong_secret, &config, &error), -EINVAL);
    ck_assert_msg(
            strstr(error.line, "PASSWORD: this value will not do") && !strstr(error.line, "sss"),
            "%s", error.line);
}
END_TEST

START_TEST(lines_that_another_file_overrides_are_checked)
{
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    _cleanup_close_ int root_fd = make_root("LOCKSMITHD_STORE=etcd-v3", "LOCKSMITHD_STORE=x");
    ck_assert_int_eq(locksmith_config_load(root_fd, NULL, &config, &error), -EINVAL);
    ck_assert_msg(strstr(error.line, "/" IMAGE_FILE ":1: ") != NULL, "%s", error.line);
}
END_TEST

START_TEST(files_that_cannot_be_read_are_errors)
{
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    _cleanup_close_ int root_fd = make_root(NULL, NULL);
    ck_assert_int_eq(mkdirat(root_fd, MACHINE_FILE, 0755), 0);
    ck_assert_int_lt(locksmith_config_load(root_fd, NULL, &config, &error), 0);
    ck_assert_msg(
            strstr(error.line, "/" MACHINE_FILE ": cannot be read") != NULL, "%s", error.line);
}
END_TEST

/* Otherwise a setting of locksmith's would stop all updates. */
START_TEST(update_engine_takes_all_our_keys_for_somebody_elses)
{
    for (const LocksmithKey *key = locksmith_keys(); key->name; key++) {
        const ConfigKey *theirs = config_key_find(key->name);
        ck_assert_msg(theirs && !theirs->read, "%s", key->name);
        ck_assert(locksmith_key_is_ours(key->name));
        if (!key->older_name)
            continue;
        theirs = config_key_find(key->older_name);
        ck_assert_msg(theirs && !theirs->read, "%s", key->older_name);
        ck_assert(locksmith_key_is_ours(key->older_name));
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("locksmith-config");
    TCase *tcase = unit_case(suite, "values");
    tcase_add_test(tcase, every_key_has_its_default);
    tcase_add_test(tcase, every_key_is_read);
    tcase_add_test(tcase, environment_goes_before_machine_before_image);
    tcase_add_test(tcase, older_names_count_where_the_others_are_not_set);
    tcase_add_test(tcase, fleet_lock_has_one_address_and_a_named_group);
    tcase_add_test(tcase, update_engine_takes_all_our_keys_for_somebody_elses);
    tcase = unit_case(suite, "refusals");
    tcase_add_loop_test(tcase, what_will_not_do_is_told_with_its_place, 0, (int)ELEMENTS(bad));
    tcase_add_test(tcase, lines_that_are_nobodys_are_left_out);
    tcase_add_loop_test(tcase, deployed_files_are_understood, 0, 7);
    tcase_add_test(tcase, the_environment_is_checked_as_well);
    tcase_add_test(tcase, lines_that_another_file_overrides_are_checked);
    tcase_add_test(tcase, files_that_cannot_be_read_are_errors);
    return suite;
}
