/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/line-splitter.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

typedef struct {
    char text[256]; /* the lines, each in brackets */
    unsigned n_lines;
    unsigned stop_at; /* 0: never */
} Seen;

static bool on_line(const char *line, size_t n_bytes, void *userdata)
{
    Seen *seen = userdata;
    strcat(seen->text, "[");
    strncat(seen->text, line, n_bytes);
    strcat(seen->text, "]");
    return ++seen->n_lines != seen->stop_at;
}

START_TEST(lines_come_however_they_are_cut)
{
    static const char text[] = "first\n\nsecond\nthird";
    for (size_t n_piece = 1; n_piece <= strlen(text); n_piece++) {
        LineSplitter splitter = {.text = NULL};
        Seen seen = {.n_lines = 0};
        for (size_t i = 0; i < strlen(text); i += n_piece) {
            size_t n = strlen(text) - i < n_piece ? strlen(text) - i : n_piece;
            ck_assert_int_eq(line_splitter_add(&splitter, text + i, n, 6, on_line, &seen), 0);
        }
        ck_assert_str_eq(seen.text, "[first][second]");
        ck_assert_int_eq(line_splitter_finish(&splitter, on_line, &seen), 0);
        ck_assert_str_eq(seen.text, "[first][second][third]");
        line_splitter_done(&splitter);
    }
}
END_TEST

START_TEST(a_line_is_bounded)
{
    LineSplitter splitter = {.text = NULL};
    Seen seen = {.n_lines = 0};
    ck_assert_int_eq(line_splitter_add(&splitter, "123456\n", 7, 6, on_line, &seen), 0);
    ck_assert_int_eq(line_splitter_add(&splitter, "1234567\n", 8, 6, on_line, &seen), -EFBIG);
    ck_assert_int_eq(line_splitter_add(&splitter, "123", 3, 6, on_line, &seen), 0);
    ck_assert_int_eq(line_splitter_add(&splitter, "4567", 4, 6, on_line, &seen), -EFBIG);
    ck_assert_str_eq(seen.text, "[123456]");
    line_splitter_done(&splitter);
}
END_TEST

START_TEST(the_one_who_reads_can_stop)
{
    LineSplitter splitter = {.text = NULL};
    Seen seen = {.stop_at = 2};
    ck_assert_int_eq(line_splitter_add(&splitter, "a\nb\nc\n", 6, 6, on_line, &seen), 1);
    ck_assert_str_eq(seen.text, "[a][b]");
    line_splitter_done(&splitter);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("line-splitter");
    TCase *tcase = unit_case(suite, "line-splitter");
    tcase_add_test(tcase, lines_come_however_they_are_cut);
    tcase_add_test(tcase, a_line_is_bounded);
    tcase_add_test(tcase, the_one_who_reads_can_stop);
    return suite;
}
