/* SPDX-License-Identifier: Apache-2.0 */
#include "common/env-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

static EnvFile *parse(const char *text)
{
    EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_msg(env_file_parse("f", text, strlen(text), &file, &error) == 0, "%s", error.line);
    return file;
}

START_TEST(assignments_comments_and_blank_lines)
{
    _cleanup_(env_file_freep) EnvFile *file = parse(
            "# comment\n; another\n\n  \t\n  # indented\nGROUP=beta\nSERVER=http://a/?x=y#z\n_a1=\n");
    size_t n;
    const EnvAssignment *all = env_file_assignments(file, &n);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(all[0].key, "GROUP");
    ck_assert_uint_eq(all[0].line, 6);
    ck_assert_str_eq(env_file_get(file, "GROUP"), "beta");
    ck_assert_str_eq(env_file_get(file, "SERVER"), "http://a/?x=y#z");
    ck_assert_str_eq(env_file_get(file, "_a1"), "");
    ck_assert_ptr_null(env_file_get(file, "group"));
}
END_TEST

START_TEST(the_last_assignment_wins)
{
    _cleanup_(env_file_freep) EnvFile *file = parse("A=1\nB=2\nA=3");
    ck_assert_str_eq(env_file_get(file, "A"), "3");
    size_t n;
    env_file_assignments(file, &n);
    ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(one_pair_of_quotes_is_stripped)
{
    _cleanup_(env_file_freep) EnvFile *file =
            parse("A=\"a b\"\nB='it is \"c\"'\nC=it's\nD=\"\"\nE= x \n"
                  "F='Bob's'\nG=''a''\n");
    ck_assert_str_eq(env_file_get(file, "A"), "a b");
    ck_assert_str_eq(env_file_get(file, "B"), "it is \"c\"");
    ck_assert_str_eq(env_file_get(file, "C"), "it's");
    ck_assert_str_eq(env_file_get(file, "D"), "");
    ck_assert_str_eq(env_file_get(file, "E"), " x ");
    ck_assert_str_eq(env_file_get(file, "F"), "Bob's");
    ck_assert_str_eq(env_file_get(file, "G"), "'a'");
}
END_TEST

START_TEST(an_empty_text_assigns_nothing)
{
    EnvFile *file = NULL;
    ck_assert_int_eq(env_file_parse("f", NULL, 0, &file, NULL), 0);
    size_t n;
    env_file_assignments(file, &n);
    ck_assert_uint_eq(n, 0);
    env_file_free(file);
    env_file_free(NULL);
}
END_TEST

#define BAD(line, text)              \
    {                                \
        line, text, sizeof(text) - 1 \
    }
static const struct {
    const char *place;
    const char *text;
    size_t n_bytes;
} bad_texts[] = {
        BAD("f:2:", "A=1\nGROUP\n"),
        BAD("f:1:", "=1\n"),
        BAD("f:1:", "1A=1\n"),
        BAD("f:1:", " A=1\n"),
        BAD("f:1:", "A =1\n"),
        BAD("f:1:", "export A=1\n"),
        BAD("f:1:", "A=\"1\n"),
        BAD("f:1:", "A='"),
        BAD("f:1:", "A='1' 2"),
        BAD("f:3:", "A=1\nB=2\nC=\0\n"),
        BAD("f:1:", "# \0"),
        BAD("f:1: the line ends in a carriage return", "A=1\r\n"),
        BAD("f:1:", "A=\x1b[0m\n"),
        BAD("f:1:", "\xef\xbb\xbf"
                    "A=1\n"),
};

START_TEST(a_bad_line_is_named)
{
    EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(
            env_file_parse("f", bad_texts[_i].text, bad_texts[_i].n_bytes, &file, &error), -EINVAL);
    ck_assert_ptr_null(file);
    ck_assert_msg(strncmp(error.line, bad_texts[_i].place, strlen(bad_texts[_i].place)) == 0, "%s",
            error.line);
}
END_TEST

START_TEST(a_lenient_reader_is_told_what_was_left_out)
{
    static const char text[] =
            "A=1\nnonsense\n B=2\nC=\"3\nD=4\r\n=5\n#\x01\nA=6\nexport E=7\nF=\x1b\n"
            "\xef\xbb\xbf \texport  G=1\nH =1\n";
    static const struct {
        unsigned line;
        const char *key;
        bool is_assigned;
        const char *what;
    } expected[] = {
            {2, "nonsense", false, "neither KEY=value"},
            {3, "B", false, "not a key"},
            {4, "C", true, "does not end"},
            {5, "D", true, "carriage return"},
            {6, NULL, false, "not a key"},
            {7, NULL, false, "control character"},
            {9, "E", false, "not a key"},
            {10, "F", true, "control character"},
            {11, "G", false, "not a key"},
            {12, "H", false, "not a key"},
    };
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(env_file_parse_leniently("f", text, strlen(text), &file, &error), 0);
    ck_assert_str_eq(env_file_get(file, "A"), "6");
    size_t n;
    const EnvFault *faults = env_file_faults(file, &n);
    ck_assert_uint_eq(n, ELEMENTS(expected));
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(faults[i].line, expected[i].line);
        ck_assert_pstr_eq(faults[i].key, expected[i].key);
        ck_assert_int_eq(faults[i].is_assigned, expected[i].is_assigned);
        ck_assert_ptr_nonnull(strstr(faults[i].what, expected[i].what));
    }
    env_file_assignments(file, &n);
    ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(a_nul_is_no_text_for_anybody)
{
    static const char text[] = "A=1\n\0\0\0\n";
    EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(env_file_parse_leniently("f", text, sizeof(text) - 1, &file, &error), -EINVAL);
    ck_assert_str_eq(error.line, "f:2: the line holds a NUL; this must be a text file");
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(many_lines_find_room)
{
    char text[4000] = "";
    for (size_t i = 0; i < 300; i++)
        strcat(text, i % 2 ? "A=1\n" : "nonsense\n");
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    ck_assert_int_eq(env_file_parse_leniently("f", text, strlen(text), &file, NULL), 0);
    size_t n;
    env_file_assignments(file, &n);
    ck_assert_uint_eq(n, 150);
    ck_assert_uint_eq(env_file_faults(file, &n)[149].line, 299);
    ck_assert_uint_eq(n, 150);
}
END_TEST

START_TEST(a_large_text_is_refused)
{
    char *text = malloc(ENV_FILE_MAX_BYTES + 1);
    memset(text, '\n', ENV_FILE_MAX_BYTES + 1);
    EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(env_file_parse("f", text, ENV_FILE_MAX_BYTES + 1, &file, &error), -EFBIG);
    ck_assert_str_eq(error.line, "f: the file is larger than 64 KiB; shorten it");
    ck_assert_int_eq(env_file_parse("f", text, ENV_FILE_MAX_BYTES, &file, &error), 0);
    env_file_free(file);
    free(text);
}
END_TEST

START_TEST(files_are_read_and_errors_name_them)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(env_file_load(folder, "a", &file, &error), -ENOENT);
    ck_assert_str_eq(error.line, "a: cannot be read: No such file or directory");
    ck_assert_int_eq(env_file_load(folder, ".", &file, &error), -EISDIR);
    ck_assert_int_eq(atomic_file_write(folder, "a", "A=1\nB", 5, 0600), 0);
    ck_assert_int_eq(env_file_load(folder, "a", &file, &error), -EINVAL);
    ck_assert_int_eq(strncmp(error.line, "a:2: ", 5), 0);
    ck_assert_int_eq(atomic_file_write(folder, "a", "A=1\nB=", 6, 0600), 0);
    ck_assert_int_eq(env_file_load(folder, "a", &file, &error), 0);
    ck_assert_str_eq(env_file_get(file, "B"), "");
    ck_assert_int_eq(env_file_load(AT_FDCWD, "/dev/zero", &file, &error), -EFBIG);
}
END_TEST

static const struct {
    const char *before;
    const char *value;
    const char *after;
} edits[] = {
        {"", "beta", "GROUP=beta\n"},
        {"# c\n\nA=1", "beta", "# c\n\nA=1\nGROUP=beta\n"},
        {"A=1\nGROUP=x\n#GROUP=z\n", "beta", "A=1\nGROUP=beta\n#GROUP=z\n"},
        {"GROUP=x\nGROUP='y'\r\nB=2", "beta", "GROUP=x\nGROUP=beta\nB=2"},
        {"GROUP=x", "", "GROUP="},
        {"GROUPS=x\nGROUP", "b", "GROUPS=x\nGROUP\nGROUP=b\n"},
        {"GROUP=x\n", " a", "GROUP=' a'\n"},
        {"GROUP=x\n", "a\\b", "GROUP='a\\b'\n"},
        {"GROUP=x\n", "'a'", "GROUP=\"'a'\"\n"},
        {"GROUP=x\n", "it's", "GROUP=it's\n"},
        {"GROUP=x\n", "a b", "GROUP=a b\n"},
};

START_TEST(an_edit_keeps_all_other_lines)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    ck_assert_int_eq(env_file_edit(edits[_i].before, strlen(edits[_i].before), "GROUP",
                             edits[_i].value, &text, &n),
            0);
    ck_assert_uint_eq(n, strlen(edits[_i].after));
    ck_assert_str_eq(text, edits[_i].after);
}
END_TEST

START_TEST(an_edit_that_cannot_be_written_is_refused)
{
    char *text = NULL;
    size_t n;
    ck_assert_int_eq(env_file_edit("", 0, "A=B", "1", &text, &n), -EINVAL);
    ck_assert_int_eq(env_file_edit("", 0, "", "1", &text, &n), -EINVAL);
    ck_assert_int_eq(env_file_edit("", 0, "A", "1\nB=2", &text, &n), -EINVAL);
    ck_assert_int_eq(env_file_edit("", 0, "A", "'\"", &text, &n), -EINVAL);
    ck_assert_int_eq(env_file_edit("", 0, "A", "it's a \\", &text, &n), -EINVAL);
    ck_assert_ptr_null(text);
    ck_assert_int_eq(env_file_edit(NULL, 0, "A", "1", &text, &n), 0);
    ck_assert_str_eq(text, "A=1\n");
    free(text);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("env-file");
    TCase *tcase = unit_case(suite, "env-file");
    tcase_add_test(tcase, assignments_comments_and_blank_lines);
    tcase_add_test(tcase, the_last_assignment_wins);
    tcase_add_test(tcase, one_pair_of_quotes_is_stripped);
    tcase_add_test(tcase, an_empty_text_assigns_nothing);
    tcase_add_loop_test(tcase, a_bad_line_is_named, 0, ELEMENTS(bad_texts));
    tcase_add_test(tcase, a_lenient_reader_is_told_what_was_left_out);
    tcase_add_test(tcase, a_nul_is_no_text_for_anybody);
    tcase_add_test(tcase, many_lines_find_room);
    tcase_add_test(tcase, a_large_text_is_refused);
    tcase_add_test(tcase, files_are_read_and_errors_name_them);
    tcase_add_loop_test(tcase, an_edit_keeps_all_other_lines, 0, ELEMENTS(edits));
    tcase_add_test(tcase, an_edit_that_cannot_be_written_is_refused);
    return suite;
}
