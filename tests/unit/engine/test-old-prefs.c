/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/old-prefs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

#define APP "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
#define OFFER                                                                                   \
    "<response protocol=\"3.0\"><app appid=\"" APP "\" status=\"ok\"><updatecheck "             \
    "status=\"ok\"><urls><url codebase=\"http://h/\"/></urls><manifest version=\"4081.2.0\">"   \
    "<packages><package name=\"p\" size=\"5\"/></packages><actions><action "                    \
    "event=\"postinstall\" sha256=\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"/></actions>" \
    "</manifest></updatecheck></app></response>"
#define NO_OFFER                                                                    \
    "<response protocol=\"3.0\"><app appid=\"" APP "\" status=\"ok\"><updatecheck " \
    "status=\"noupdate\"/></app></response>"

static int root;

static void open_root(void)
{
    root = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    for (const char *const *folder = (const char *const[]){"var", "var/lib",
                 "var/lib/update_engine", "var/lib/update_engine/prefs", "run", NULL};
            *folder; folder++)
        ck_assert_int_eq(mkdirat(root, *folder, 0755), 0);
}

static void close_root(void)
{
    close(root);
}

static void put(const char *key, const char *text, size_t n_bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "var/lib/update_engine/prefs/%s", key);
    ck_assert_int_eq(atomic_file_write(root, path, text, n_bytes, 0600), 0);
}

static void put_text(const char *key, const char *text)
{
    put(key, text, strlen(text));
}

static OldPrefs read_prefs(ErrorText *note)
{
    OldPrefs prefs;
    old_prefs_read(root, APP, &prefs, note);
    return prefs;
}

START_TEST(a_machine_in_its_steady_state)
{
    put_text("aleph-version", "3033.2.0");
    put_text("previous-version", "");
    put_text("full-response", NO_OFFER);
    ErrorText note;
    OldPrefs prefs = read_prefs(&note);
    ck_assert_str_eq(prefs.aleph_version, "3033.2.0");
    ck_assert_str_eq(prefs.previous_version, "");
    ck_assert_str_eq(prefs.offered_version, "");
    ck_assert(!prefs.is_waiting);
    ck_assert_str_eq(note.line, "");
}
END_TEST

START_TEST(an_update_that_waits)
{
    put_text("previous-version", "3510.2.1\n");
    put_text("full-response", OFFER);
    ck_assert_int_eq(
            atomic_file_write(root, "run/update_engine_autoupdate_completed", "", 0, 0644), 0);
    ErrorText note;
    OldPrefs prefs = read_prefs(&note);
    ck_assert_str_eq(prefs.aleph_version, "");
    ck_assert_str_eq(prefs.previous_version, "3510.2.1");
    ck_assert_str_eq(prefs.offered_version, "4081.2.0");
    ck_assert(prefs.is_waiting);
    ck_assert_str_eq(note.line, "");
}
END_TEST

START_TEST(a_machine_that_never_had_it)
{
    ErrorText note;
    OldPrefs prefs = read_prefs(&note);
    ck_assert_mem_eq(&prefs, &(OldPrefs){}, sizeof(prefs));
    ck_assert_str_eq(note.line, "");
}
END_TEST

static const struct {
    const char *key;
    const char *text;
    size_t n_bytes;
} bad[] = {
        {"aleph-version", "", 0},
        {"aleph-version", "\n", 1},
        {"aleph-version", "1.0.0\0", 6},
        {"aleph-version", "1.0.0\n2.0.0\n", 12},
        {"previous-version", "\0\0\0\0", 4},
        {"previous-version", "a version", 9},
        {"previous-version", "\x1b[2J", 4},
        {"full-response", "", 0},
        {"full-response", "<response", 9},
};

START_TEST(what_will_not_do_is_left_out)
{
    put(bad[_i].key, bad[_i].text, bad[_i].n_bytes);
    ErrorText note;
    OldPrefs prefs = read_prefs(&note);
    ck_assert_mem_eq(&prefs, &(OldPrefs){}, sizeof(prefs));
    ck_assert_ptr_nonnull(strstr(note.line, bad[_i].key));
}
END_TEST

START_TEST(all_of_it_is_named_in_one_line)
{
    put("aleph-version", bad[0].text, bad[0].n_bytes);
    put_text("previous-version", "\x1b");
    put_text("full-response", "");
    ErrorText note;
    read_prefs(&note);
    ck_assert_ptr_nonnull(strstr(note.line, ": aleph-version, previous-version, full-response"));
}
END_TEST

START_TEST(one_that_is_too_long_is_left_out)
{
    char text[2000];
    memset(text, '1', sizeof(text));
    put("aleph-version", text, sizeof(text));
    put("previous-version", text, 200);
    ErrorText note;
    OldPrefs prefs = read_prefs(&note);
    ck_assert_mem_eq(&prefs, &(OldPrefs){}, sizeof(prefs));
    ck_assert_ptr_nonnull(strstr(note.line, "aleph-version, previous-version"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("old-prefs");
    TCase *tcase = unit_case(suite, "old-prefs");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, a_machine_in_its_steady_state);
    tcase_add_test(tcase, an_update_that_waits);
    tcase_add_test(tcase, a_machine_that_never_had_it);
    tcase_add_loop_test(
            tcase, what_will_not_do_is_left_out, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, all_of_it_is_named_in_one_line);
    tcase_add_test(tcase, one_that_is_too_long_is_left_out);
    return suite;
}
