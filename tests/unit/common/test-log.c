/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* What the last lines wrote to stderr, which goes into a pipe between start and stop. */
static char captured[8192];
static int saved_stderr;
static int pipe_end;

static void capture_start(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
}

static void capture_stop(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    size_t n_bytes = 0;
    ssize_t n;
    while ((n = read(pipe_end, captured + n_bytes, sizeof(captured) - 1 - n_bytes)) > 0)
        n_bytes += (size_t)n;
    close(pipe_end);
    captured[n_bytes] = '\0';
}

START_TEST(a_line_goes_to_stderr_and_errno_is_kept)
{
    capture_start();
    errno = ENOSPC;
    log_info("slot %s holds %d", "USR-A", 4);
    int kept = errno;
    capture_stop();
    ck_assert_int_eq(kept, ENOSPC);
    ck_assert_str_eq(captured, "slot USR-A holds 4\n");
}
END_TEST

START_TEST(levels_are_filtered)
{
    capture_start();
    log_debug("not seen");
    log_set_max_level(LOG_LEVEL_ERROR);
    log_warning("not seen either");
    log_error("seen");
    log_set_max_level(LOG_LEVEL_DEBUG);
    log_debug("seen too");
    capture_stop();
    ck_assert_str_eq(captured, "seen\nseen too\n");
}
END_TEST

START_TEST(one_event_is_one_line)
{
    capture_start();
    log_error("a\nb\tc\x1b[31m");
    capture_stop();
    ck_assert_str_eq(captured, "a?b c?[31m\n");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
    char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    capture_start();
    log_info("%s", text);
    capture_stop();
    ck_assert_uint_eq(strlen(captured), 2048);
    ck_assert_int_eq(captured[2047], '\n');
}
END_TEST

START_TEST(fields_stay_out_of_stderr)
{
    LogField fields[] = {{"SLOT", "USR-B"}, {NULL, NULL}};
    capture_start();
    log_fields(LOG_LEVEL_NOTICE, fields, "installed");
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_fields(LOG_LEVEL_NOTICE, fields, "another stream");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    log_fields(LOG_LEVEL_NOTICE, NULL, "no stream");
    unsetenv("JOURNAL_STREAM");
    capture_stop();
    ck_assert_str_eq(captured, "installed\nanother stream\nno stream\n");
}
END_TEST

START_TEST(the_journals_stream_is_left_to_the_journal)
{
    if (access("/run/systemd/journal/socket", F_OK) == 0)
        return; /* would write into this machine's journal */
    LogField fields[] = {{"SLOT", "USR-B"}, {NULL, NULL}};
    LogField many[40];
    for (size_t i = 0; i < 39; i++)
        many[i] = fields[0];
    many[39] = fields[1];
    LogField bad[] = {{"not a name", "x"}, {NULL, NULL}};

    capture_start();
    struct stat st;
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    char stream[64];
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_fields(LOG_LEVEL_INFO, fields, "with one field");
    log_fields(LOG_LEVEL_INFO, many, "with too many");
    log_fields(LOG_LEVEL_INFO, bad, "with a bad name");
    unsetenv("JOURNAL_STREAM");
    capture_stop();
    ck_assert_ptr_null(strstr(captured, "one field"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = unit_case(suite, "log");
    tcase_add_test(tcase, a_line_goes_to_stderr_and_errno_is_kept);
    tcase_add_test(tcase, levels_are_filtered);
    tcase_add_test(tcase, one_event_is_one_line);
    tcase_add_test(tcase, a_long_line_is_cut);
    tcase_add_test(tcase, fields_stay_out_of_stderr);
    /* libsystemd keeps its socket open: no count of descriptors here. */
    TCase *journal = tcase_create("journal");
    suite_add_tcase(suite, journal);
    tcase_add_test(journal, the_journals_stream_is_left_to_the_journal);
    return suite;
}
