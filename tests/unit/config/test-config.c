/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/clock.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"
#include "updater/config/config-keys.h"

static ConfigText text_of(const char *text)
{
    return (ConfigText){.text = text, .n_bytes = strlen(text)};
}

static int parse(const char *machine, const char *image, const char *release, Config **ret_config,
        ErrorText *error)
{
    ConfigText texts[CONFIG_N_LAYERS] = {
            [CONFIG_MACHINE] = text_of(machine),
            [CONFIG_IMAGE] = text_of(image),
            [CONFIG_RELEASE] = text_of(release),
    };
    return config_parse(texts, ret_config, error);
}

START_TEST(every_key_has_its_default)
{
    _cleanup_(config_freep) Config *config = NULL;
    ConfigText nothing[CONFIG_N_LAYERS] = {{NULL, 0}};
    ck_assert_int_eq(config_parse(nothing, &config, NULL), 0);
    ck_assert_str_eq(config->group, "stable");
    ck_assert_pstr_eq(
            config->server, strcmp(FLIPSIDE_SERVER, "disabled") == 0 ? NULL : FLIPSIDE_SERVER);
    ck_assert_ptr_null(config->server_file);
    ck_assert_str_eq(config->machine_alias, "");
    ck_assert_ptr_null(config->download_user);
    ck_assert_ptr_null(config->download_password);
    ck_assert_str_eq(config->version, "0.0.0");
    ck_assert_str_eq(config->board, "");
    ck_assert_str_eq(config->app_id, "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}");
    ck_assert_str_eq(config->product, FLIPSIDE_OS);
    ck_assert(!config->allow_downgrade);
    ck_assert_uint_eq(config->download_budget_bytes, 0);
    ck_assert_uint_eq(config->download_rate_bytes, 0);
    ck_assert_uint_eq(config->boot_tries, 3);
    ck_assert_uint_eq(config->poll_interval_usec, 45 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->first_check_usec, 7 * USEC_PER_MINUTE);
    ck_assert_uint_eq(config->poll_jitter_percent, 11);
    config_free(NULL);
}
END_TEST

START_TEST(every_key_is_read)
{
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {""};
    int r = parse(
            "# mine\nGROUP=beta\nSERVER=\"https://a.example:8443/v1/update/\"\n"
            "MACHINE_ALIAS='Ra\xc3\xbcm 7'\nDOWNLOAD_USER=u\nDOWNLOAD_PASSWORD=p w\n"
            "ALLOW_DOWNGRADE=yes\nBOOT_TRIES=15\nPOLL_INTERVAL=60\nPOLL_JITTER=0\n"
            "DOWNLOAD_BUDGET=50M\nDOWNLOAD_RATE=125K\nFIRST_CHECK=0\nREBOOT_STRATEGY=off\nREBOOT_WINDOW_START=x\nLOCKSMITHD_GROUP=x y\nPCR_POLICY_SERVER=",
            "",
            CONFIG_RELEASE_PREFIX
            "VERSION=3510.2.1+a\n" CONFIG_RELEASE_PREFIX "BOARD=amd64-usr\n" CONFIG_RELEASE_PREFIX
            "APPID=e96281a6\n" CONFIG_RELEASE_PREFIX "PRODUCT=thing\n" CONFIG_RELEASE_PREFIX
            "CODENAME=x\n",
            &config, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    ck_assert_str_eq(config->group, "beta");
    ck_assert_str_eq(config->group_file, "/" CONFIG_MACHINE_FILE);
    ck_assert_str_eq(config->server, "https://a.example:8443/v1/update/");
    ck_assert_str_eq(config->machine_alias, "Ra\xc3\xbcm 7");
    ck_assert_str_eq(config->download_user, "u");
    ck_assert_str_eq(config->download_password, "p w");
    ck_assert_str_eq(config->version, "3510.2.1+a");
    ck_assert_str_eq(config->board, "amd64-usr");
    ck_assert_str_eq(config->app_id, "e96281a6");
    ck_assert_str_eq(config->product, "thing");
    ck_assert(config->allow_downgrade);
    ck_assert_uint_eq(config->download_budget_bytes, 50000000);
    ck_assert_uint_eq(config->download_rate_bytes, 125000);
    ck_assert_uint_eq(config->boot_tries, 15);
    ck_assert_uint_eq(config->poll_interval_usec, USEC_PER_MINUTE);
    ck_assert_uint_eq(config->first_check_usec, 0);
    ck_assert_uint_eq(config->poll_jitter_percent, 0);
}
END_TEST

START_TEST(the_first_file_that_assigns_a_key_counts)
{
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {""};
    int r = parse("SERVER=disabled\nGROUP=a\nGROUP=b\n",
            "SERVER=http://image/\nGROUP=c\nMACHINE_ALIAS=image\n", "MACHINE_ALIAS=release\n",
            &config, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    ck_assert_ptr_null(config->server);
    ck_assert_str_eq(config->server_file, "/" CONFIG_MACHINE_FILE);
    ck_assert_str_eq(config->group, "b");
    ck_assert_str_eq(config->machine_alias, "image");
}
END_TEST

/* A line that will not do, and a word of what would. */
static const struct {
    const char *line;
    const char *advice;
} bad_lines[] = {
        {"GROUP=", "such as stable"},
        {"GROUP=beta\r", "Unix line ends"},
        {"GROUP=a b", "such as stable"},
        {"GROUP=beta ", "such as stable"},
        {"GROUP=\"beta", "quote"},
        {"GROUP=<x/>", "such as stable"},
        {"GROUP={x", "such as stable"},
        {"SERVER=public.example.org", "http://"},
        {"SERVER=file:///etc/passwd", "http://"},
        {"SERVER=http://", "http://"},
        {"SERVER=http://a/ b", "http://"},
        {"SERVER=Disabled", "http://"},
        {"DOWNLOAD_PASSWORD=\xff", "this value will not do"},
        {"ALLOW_DOWNGRADE=true", "yes or no"},
        {"ALLOW_DOWNGRADE=", "yes or no"},
        {"DOWNLOAD_BUDGET=", "such as 50M"},
        {"DOWNLOAD_BUDGET=M", "such as 50M"},
        {"DOWNLOAD_BUDGET=-1", "such as 50M"},
        {"DOWNLOAD_BUDGET=50MB", "such as 50M"},
        {"DOWNLOAD_BUDGET=50m", "such as 50M"},
        {"DOWNLOAD_BUDGET=5.5M", "such as 50M"},
        {"DOWNLOAD_BUDGET=9999999999999G", "such as 50M"},
        {"DOWNLOAD_BUDGET=1001G", "such as 50M"},
        {"DOWNLOAD_BUDGET=18446744073709551617", "such as 50M"},
        {"DOWNLOAD_RATE=9999", "10K to"},
        {"DOWNLOAD_RATE=1M/s", "10K to"},
        {"BOOT_TRIES=0", "1 to 15"},
        {"BOOT_TRIES=16", "1 to 15"},
        {"BOOT_TRIES=+3", "1 to 15"},
        {"BOOT_TRIES=0x3", "1 to 15"},
        {"POLL_INTERVAL=59", "60 to 86400"},
        {"POLL_INTERVAL=86401", "60 to 86400"},
        {"POLL_INTERVAL=18446744073709551676", "60 to 86400"},
        {"POLL_INTERVAL=45min", "60 to 86400"},
        {"POLL_JITTER=51", "0 to 50"},
        {"FIRST_CHECK=-1", "0 to 86400"},
        {CONFIG_RELEASE_PREFIX "VERSION=", "version"},
        {CONFIG_RELEASE_PREFIX "VERSION=1 2", "version"},
        {CONFIG_RELEASE_PREFIX "APPID={}", "braces"},
};

START_TEST(a_bad_line_is_named_with_what_would_do)
{
    Config *config = NULL;
    ErrorText error = {""};
    char text[1024];
    snprintf(text, sizeof(text), "# c\n\n%s", bad_lines[_i].line);
    ck_assert_int_eq(parse(text, "", "", &config, &error), -EINVAL);
    ck_assert_ptr_null(config);
    static const char place[] = "/" CONFIG_MACHINE_FILE ":3: ";
    ck_assert_msg(strncmp(error.line, place, strlen(place)) == 0, "%s", error.line);
    ck_assert_msg(strstr(error.line, bad_lines[_i].advice) != NULL, "%s", error.line);

    /* The same line in a file that another overrides. */
    ck_assert_int_eq(parse("GROUP=x\nSERVER=disabled\n", text, "", &config, &error), -EINVAL);
    ck_assert_msg(strstr(error.line, CONFIG_IMAGE_FILE ":3: ") != NULL, "%s", error.line);
}
END_TEST

/* A line that is left out, and a word of what is said of it. */
static const struct {
    const char *line;
    const char *advice;
} odd_lines[] = {
        {"GRUOP=beta", "there are GROUP, SERVER"},
        {"group=beta", "there are GROUP"},
        {CONFIG_RELEASE_PREFIX "CODENAME=x", "there are GROUP"},
        {"nonsense", "KEY=value"},
        {" GROUP=beta", "not a key"},
        {"export GROUP=beta", "not a key"},
        {"MACHINE_ALIAS=\xff", "UTF-8"},
        {"MACHINE_ALIAS=\xed\xa0\x80", "UTF-8"},
        {"MACHINE_ALIAS=a\tb\x7f", "control character"},
        {"MACHINE_ALIAS=\"a", "quote"},
        {"REBOOT_STRATEGY=\"off", "quote"},
        {"# \x01", "control character"},
};

START_TEST(an_odd_line_is_left_out_with_a_warning)
{
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {""};
    char text[1024];
    snprintf(text, sizeof(text), "MACHINE_ALIAS=mine\n\n%s\nGROUP=lts\n", odd_lines[_i].line);
    ck_assert_int_eq(parse(text, "", "", &config, &error), 0);
    ck_assert_str_eq(config->group, "lts");
    ck_assert_str_eq(config->machine_alias, "mine");
    ck_assert_uint_eq(config->n_warnings, 1);
    const char *warning = config->warnings[0].line;
    static const char place[] = "/" CONFIG_MACHINE_FILE ":3: ";
    ck_assert_msg(strncmp(warning, place, strlen(place)) == 0, "%s", warning);
    ck_assert_msg(strstr(warning, odd_lines[_i].advice) != NULL, "%s", warning);
    ck_assert_msg(strstr(warning, "; the line is left out") != NULL, "%s", warning);
}
END_TEST

START_TEST(warnings_are_bounded)
{
    char text[60 * 1024] = "";
    for (size_t i = 0; i < 1000; i++)
        strcat(text, i % 2 ? "A=1\n" : "nonsense\n");
    _cleanup_(config_freep) Config *config = NULL;
    ck_assert_int_eq(parse(text, "", "", &config, NULL), 0);
    ck_assert_uint_eq(config->n_warnings, 1000);
    ck_assert_ptr_nonnull(strstr(config->warnings[CONFIG_WARNINGS_MAX - 1].line, ":8: "));
}
END_TEST

/* What is wrong is told in the order of the lines, whatever it is. */
START_TEST(the_first_line_that_is_wrong_is_told)
{
    Config *config = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(parse("GROUP=\"x\nBOOT_TRIES=99\n", "", "", &config, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, ":1: "));
    ck_assert_int_eq(parse("BOOT_TRIES=99\nGROUP=\"x\n", "", "", &config, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, ":1: "));
}
END_TEST

START_TEST(an_empty_server_is_none)
{
    _cleanup_(config_freep) Config *config = NULL;
    ck_assert_int_eq(parse("SERVER=\n", "SERVER=http://image/\n", "", &config, NULL), 0);
    ck_assert_ptr_null(config->server);
    ck_assert_str_eq(config->server_file, "/" CONFIG_MACHINE_FILE);
}
END_TEST

/* Files as they lie on machines of Flatcar and CoreOS. */
static const struct {
    const char *file, *group, *server, *alias;
    size_t n_warnings;
} deployed[] = {
        {"ignition", "stable", "http://image/", "", 0},
        {"windows-and-etcd", "beta", "https://public.update.flatcar-linux.net/v1/update/", "", 0},
        {"nebraska", "5b810680-e36a-4879-b98a-4f989e80b899",
                "http://nebraska.example.org:8000/v1/update/", "Rack 7, \"left\"", 0},
        {"after-flatcar-update", "stable", NULL, "", 0},
        {"of-other-tools", "lts-2024", NULL, "", 3},
        {"no-newline", "alpha", "http://image/", "Bob's box", 0},
        {"empty", "stable", "http://image/", "", 0},
};

START_TEST(deployed_files_are_understood)
{
    char below[64];
    snprintf(below, sizeof(below), "deployed/%s.conf", deployed[_i].file);
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, unit_data_path(below), 4096, &text, &n_bytes), 0);
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {""};
    ck_assert_msg(parse(text, "GROUP=stable\nSERVER=http://image/\n", "", &config, &error) == 0,
            "%s", error.line);
    ck_assert_str_eq(config->group, deployed[_i].group);
    ck_assert_pstr_eq(config->server, deployed[_i].server);
    ck_assert_str_eq(config->machine_alias, deployed[_i].alias);
    ck_assert_uint_eq(config->n_warnings, deployed[_i].n_warnings);
}
END_TEST

START_TEST(the_release_file_may_say_what_it_likes)
{
    _cleanup_(config_freep) Config *config = NULL;
    ck_assert_int_eq(parse("", "",
                             "COREOS_RELEASE_NAME=x\nFLATCAR_BUILD_ID=\"y\"\n" CONFIG_RELEASE_PREFIX
                             "VERSION='1.2.3'\n",
                             &config, NULL),
            0);
    ck_assert_uint_eq(config->n_warnings, 0);
    ck_assert_str_eq(config->version, "1.2.3");
}
END_TEST

START_TEST(values_are_bounded)
{
    char value[2000];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (const ConfigKey *key = config_keys(); key->name; key++) {
        if (!key->read)
            continue;
        _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
        ErrorText error = {""};
        ck_assert_int_eq(config_key_read(key, value, "", config, &error), -EINVAL);
        ck_assert_uint_lt(strlen(error.line), 400);
    }
}
END_TEST

START_TEST(a_password_is_not_shown)
{
    Config *config = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(parse("SERVER=https:/u:geheim@host/", "", "", &config, &error), -EINVAL);
    ck_assert_ptr_null(strstr(error.line, "geheim"));
    ck_assert_int_eq(parse("DOWNLOAD_PASSWORD=geheim\xff", "", "", &config, &error), -EINVAL);
    ck_assert_ptr_null(strstr(error.line, "geheim"));
}
END_TEST

START_TEST(every_key_is_in_the_table_once)
{
    for (const ConfigKey *key = config_keys(); key->name; key++) {
        ck_assert_ptr_eq(config_key_find(key->name), key);
        ck_assert(!key->default_value || key->read);
    }
    ck_assert_ptr_null(config_key_find(""));
    ck_assert_ptr_null(config_key_find("LOCKSMITHD"));
}
END_TEST

/* The root folder of the tests below. */
static int open_root(void)
{
    int root = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(mkdirat(root, "etc", 0755), 0);
    ck_assert_int_eq(mkdirat(root, CONFIG_MACHINE_FOLDER, 0755), 0);
    ck_assert_int_eq(mkdirat(root, "usr", 0755), 0);
    ck_assert_int_eq(mkdirat(root, "usr/share", 0755), 0);
    ck_assert_int_eq(mkdirat(root, "usr/share/" FLIPSIDE_OS, 0755), 0);
    return root;
}

static void write_file(int root, const char *path, const char *text)
{
    ck_assert_int_eq(atomic_file_write(root, path, text, strlen(text), 0644), 0);
}

static void assert_file(int root, const char *path, const char *expected)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    ck_assert_int_eq(fd_read_file(root, path, 100000, &text, &n), 0);
    ck_assert_str_eq(text, expected);
}

START_TEST(files_are_loaded_and_may_be_missing)
{
    _cleanup_close_ int root = open_root();
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(config_load(root, &config, &error), 0);
    ck_assert_str_eq(config->group, "stable");
    config_free(TAKE_PTR(config));

    write_file(root, CONFIG_MACHINE_FILE, "GROUP=beta");
    write_file(root, CONFIG_IMAGE_FILE, "GROUP=x\nSERVER=http://a/\n");
    write_file(root, CONFIG_RELEASE_FILE, CONFIG_RELEASE_PREFIX "VERSION=1.2.3\n");
    ck_assert_int_eq(config_load(root, &config, &error), 0);
    ck_assert_str_eq(config->group, "beta");
    ck_assert_str_eq(config->server, "http://a/");
    ck_assert_str_eq(config->server_file, "/" CONFIG_IMAGE_FILE);
    ck_assert_str_eq(config->version, "1.2.3");
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
    _cleanup_close_ int root = open_root();
    Config *config = NULL;
    ErrorText error = {""};
    _cleanup_free_ char *large = malloc(1 << 20);
    memset(large, '\n', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    write_file(root, CONFIG_MACHINE_FILE, large);
    ck_assert_int_eq(config_load(root, &config, &error), -EINVAL);
    ck_assert_str_eq(
            error.line, "/" CONFIG_MACHINE_FILE ": the file is larger than 64 KiB; shorten it");

    ck_assert_int_eq(atomic_file_write(root, CONFIG_MACHINE_FILE, "GROUP=a\0b\n", 10, 0644), 0);
    ck_assert_int_eq(config_load(root, &config, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, CONFIG_MACHINE_FILE ":1: "));

    ck_assert_int_eq(atomic_file_remove(root, CONFIG_MACHINE_FILE), 0);
    ck_assert_int_eq(mkdirat(root, CONFIG_MACHINE_FILE, 0755), 0);
    ck_assert_int_eq(config_load(root, &config, &error), -EISDIR);
    ck_assert_ptr_nonnull(strstr(error.line, CONFIG_MACHINE_FILE ": this is a folder"));
    ck_assert_int_lt(config_set(root, "GROUP", "beta", &error), 0);

    ck_assert_int_eq(unlinkat(root, CONFIG_MACHINE_FILE, AT_REMOVEDIR), 0);
    ck_assert_int_eq(symlinkat("update.conf", root, CONFIG_MACHINE_FILE), 0);
    ck_assert_int_eq(config_load(root, &config, &error), -ELOOP);
    ck_assert_ptr_nonnull(strstr(error.line, CONFIG_MACHINE_FILE ": cannot be read: "));
    ck_assert_ptr_null(config);
}
END_TEST

START_TEST(setting_a_key_keeps_the_rest)
{
    _cleanup_close_ int root = open_root();
    ErrorText error = {""};
    write_file(root, CONFIG_MACHINE_FILE, "# keep me\nGROUP=stable\n\nSERVER=disabled");
    ck_assert_int_eq(fchmodat(root, CONFIG_MACHINE_FILE, 0600, 0), 0);
    ck_assert_int_eq(config_set(root, "GROUP", "beta", &error), 0);
    ck_assert_int_eq(config_set(root, "MACHINE_ALIAS", "", &error), 0);
    ck_assert_int_eq(config_set(root, "REBOOT_STRATEGY", "off", &error), 0);
    assert_file(root, CONFIG_MACHINE_FILE,
            "# keep me\nGROUP=beta\n\nSERVER=disabled\nMACHINE_ALIAS=\nREBOOT_STRATEGY=off\n");
    struct stat st;
    ck_assert_int_eq(fstatat(root, CONFIG_MACHINE_FILE, &st, 0), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(setting_a_key_makes_file_and_folders)
{
    _cleanup_close_ int root = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ErrorText error = {""};
    ck_assert_msg(config_set(root, "GROUP", "beta", &error) == 0, "%s", error.line);
    assert_file(root, CONFIG_MACHINE_FILE, "GROUP=beta\n");
    struct stat st;
    ck_assert_int_eq(fstatat(root, CONFIG_MACHINE_FILE, &st, 0), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0644);
}
END_TEST

START_TEST(what_would_not_load_is_not_written)
{
    _cleanup_close_ int root = open_root();
    ErrorText error = {""};
    static const char before[] = "GROUP=stable\n";
    write_file(root, CONFIG_MACHINE_FILE, before);
    ck_assert_int_eq(config_set(root, "GROUP", "a b", &error), -EINVAL);
    ck_assert_int_eq(strncmp(error.line, "GROUP=a b will not do; ", 23), 0);
    ck_assert_int_eq(config_set(root, "GRUOP", "beta", &error), -EINVAL);
    ck_assert_int_eq(config_set(root, "GROUP", "a\nSERVER=http://evil/", &error), -EINVAL);
    ck_assert_int_eq(config_set(root, "MACHINE_ALIAS", "a\nSERVER=http://evil/", &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "MACHINE_ALIAS: this value cannot be written"));
    ck_assert_int_eq(config_set(root, "LOCKSMITHD_*", "x", &error), -EINVAL);
    assert_file(root, CONFIG_MACHINE_FILE, before);

    /* Somebody else's mistake is told instead of built upon. */
    static const char broken[] = "GROUP=stable\nBOOT_TRIES=99\n";
    write_file(root, CONFIG_MACHINE_FILE, broken);
    ck_assert_int_eq(config_set(root, "GROUP", "beta", &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, CONFIG_MACHINE_FILE ":2: "));
    assert_file(root, CONFIG_MACHINE_FILE, broken);
}
END_TEST

START_TEST(a_failed_write_is_told)
{
    _cleanup_close_ int root = open_root();
    ErrorText error = {""};
    ck_assert_int_eq(mkdirat(root, CONFIG_MACHINE_FOLDER "/.update.conf.new", 0755), 0);
    ck_assert_int_eq(config_set(root, "GROUP", "beta", &error), -EISDIR);
    ck_assert_str_eq(error.line, "/" CONFIG_MACHINE_FILE ": cannot be written: Is a directory");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = unit_case(suite, "config");
    tcase_add_test(tcase, every_key_has_its_default);
    tcase_add_test(tcase, every_key_is_read);
    tcase_add_test(tcase, the_first_file_that_assigns_a_key_counts);
    tcase_add_loop_test(tcase, a_bad_line_is_named_with_what_would_do, 0, ELEMENTS(bad_lines));
    tcase_add_loop_test(tcase, an_odd_line_is_left_out_with_a_warning, 0, ELEMENTS(odd_lines));
    tcase_add_test(tcase, warnings_are_bounded);
    tcase_add_test(tcase, the_first_line_that_is_wrong_is_told);
    tcase_add_test(tcase, an_empty_server_is_none);
    tcase_add_loop_test(tcase, deployed_files_are_understood, 0, ELEMENTS(deployed));
    tcase_add_test(tcase, the_release_file_may_say_what_it_likes);
    tcase_add_test(tcase, values_are_bounded);
    tcase_add_test(tcase, a_password_is_not_shown);
    tcase_add_test(tcase, every_key_is_in_the_table_once);
    tcase_add_test(tcase, files_are_loaded_and_may_be_missing);
    tcase_add_test(tcase, what_cannot_be_read_is_named);
    tcase_add_test(tcase, setting_a_key_keeps_the_rest);
    tcase_add_test(tcase, setting_a_key_makes_file_and_folders);
    tcase_add_test(tcase, what_would_not_load_is_not_written);
    tcase_add_test(tcase, a_failed_write_is_told);
    return suite;
}
