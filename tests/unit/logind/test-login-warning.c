/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/logind/login-warning.h"

#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "tests/unit/unit.h"

typedef struct {
    int controller;
    int terminal;
    char name[64]; /* "pts/3" */
} Pty;

static void pty_done(Pty *pty)
{
    safe_close(pty->controller);
    safe_close(pty->terminal);
}

static Pty open_pty(void)
{
    Pty pty;
    char path[64];
    ck_assert_int_eq(openpty(&pty.controller, &pty.terminal, path, NULL, NULL), 0);
    ck_assert_int_eq(strncmp(path, "/dev/", 5), 0);
    snprintf(pty.name, sizeof(pty.name), "%.58s", path + 5);
    return pty;
}

static bool is_whole(const char *screen, size_t n_bytes)
{
    bool has_end = n_bytes > 4 && (strcmp(screen + n_bytes - 3, "\n\r\n") == 0 ||
                                          strcmp(screen + n_bytes - 4, "\n\r\r\n") == 0);
    return has_end && n_bytes > strlen("\r\n\a\aBroadcast message from locksmithd:\r\r\n\r\r\n");
}

/* What arrived at the terminal, up to the blank line at its end: the kernel takes its time. */
static void read_screen(const Pty *pty, char *screen, size_t n_bytes)
{
    size_t n_read = 0;
    do {
        struct pollfd poll_fd = {.fd = pty->controller, .events = POLLIN};
        ck_assert_int_eq(poll(&poll_fd, 1, 20000), 1);
        ssize_t n = read(pty->controller, screen + n_read, n_bytes - 1 - n_read);
        ck_assert_int_gt(n, 0);
        n_read += (size_t)n;
        screen[n_read] = '\0';
    } while (!is_whole(screen, n_read));
}

static LogindSession session_at(const char *tty)
{
    static char id[] = "1";
    static char user[] = "core";
    return (LogindSession){.id = id, .user = user, .tty = (char *)(uintptr_t)tty};
}

START_TEST(is_framed_and_broken_at_blanks)
{
    _cleanup_(pty_done) Pty pty = open_pty();
    LogindSession session = session_at(pty.name);
    LoginWarning warning = {.host = "web-1", .version = "4230.2.1", .when = "in 5min"};
    char screen[4096];
    ck_assert_uint_eq(
            login_warning_send("/dev", &session, 1, login_warning_show(&warning).text), 1);
    read_screen(&pty, screen, sizeof(screen));
    const char *wanted =
            "\r\n\a\aBroadcast message from locksmithd:\r\n\r\n"
            "web-1 reboots in 5min into version 4230.2.1. Save your work and log out. To put\r\n"
            "it off, as root: locksmithctl pause 4h\r\n\r\n";
    /* The terminal itself may turn each newline into one with a carriage return. */
    char plain[4096];
    size_t n = 0;
    for (const char *c = screen; *c; c++)
        if (!(c[0] == '\r' && c[1] == '\r'))
            plain[n++] = *c;
    plain[n] = '\0';
    ck_assert_str_eq(plain, wanted);
}
END_TEST

START_TEST(says_so_without_a_version)
{
    LoginWarning warning = {.host = "web-1", .version = "", .when = "now"};
    ck_assert_str_eq(login_warning_show(&warning).text,
            "web-1 reboots now into a new system. Save your work and log out. To put it off, as "
            "root: locksmithctl pause 4h");
}
END_TEST

START_TEST(sends_no_control_characters)
{
    _cleanup_(pty_done) Pty pty = open_pty();
    LogindSession session = session_at(pty.name);
    char screen[4096];
    ck_assert_uint_eq(login_warning_send("/dev", &session, 1,
                              "a\x1b]0;b\x07 \xc2\x9b"
                              "1m\nc"),
            1);
    read_screen(&pty, screen, sizeof(screen));
    ck_assert_ptr_null(strchr(screen, '\x1b'));
    ck_assert_ptr_nonnull(strstr(screen, "a?]0;b? ??1m?c"));
}
END_TEST

START_TEST(tells_each_terminal_once_and_goes_on_without_those_that_are_none)
{
    _cleanup_(pty_done) Pty first = open_pty();
    _cleanup_(pty_done) Pty second = open_pty();
    char screen[4096];
    const LogindSession sessions[] = {session_at(""), session_at("no/such"), session_at("null"),
            session_at("/dev/null"), session_at("../dev/null"), session_at("pts/../null"),
            session_at("\xff"), session_at(first.name), session_at(first.name),
            session_at(second.name)};
    ck_assert_uint_eq(login_warning_send("/dev", sessions, ELEMENTS(sessions), "once"), 2);
    read_screen(&first, screen, sizeof(screen));
    ck_assert_ptr_nonnull(strstr(screen, "once"));
    ck_assert_ptr_null(strstr(strstr(screen, "once") + 1, "once"));
    read_screen(&second, screen, sizeof(screen));
    ck_assert_ptr_nonnull(strstr(screen, "once"));
}
END_TEST

START_TEST(does_not_wait_for_a_terminal_that_is_stopped)
{
    _cleanup_(pty_done) Pty pty = open_pty();
    LogindSession session = session_at(pty.name);
    ck_assert_int_eq(tcflow(pty.terminal, TCOOFF), 0);
    ck_assert_uint_eq(login_warning_send("/dev", &session, 1, "nobody reads this"), 0);
}
END_TEST

START_TEST(a_text_of_any_length_ends)
{
    _cleanup_(pty_done) Pty pty = open_pty();
    LogindSession session = session_at(pty.name);
    char text[20000];
    char screen[8192];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 3 == 0 ? ' ' : 'w';
    text[sizeof(text) - 1] = '\0';
    ck_assert_uint_eq(login_warning_send("/dev", &session, 1, text), 1);
    read_screen(&pty, screen, sizeof(screen));
    ck_assert_uint_lt(strlen(screen), 2000);
    ck_assert_uint_eq(login_warning_send("/dev", &session, 1, ""), 1);
}
END_TEST

START_TEST(without_the_folder_nobody_is_told)
{
    LogindSession session = session_at("pts/0");
    ck_assert_uint_eq(login_warning_send("/no/such/folder", &session, 1, "x"), 0);
    ck_assert_uint_eq(login_warning_send("/dev", NULL, 0, "x"), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("login-warning");
    TCase *tcase = unit_case(suite, "terminals");
    tcase_add_test(tcase, is_framed_and_broken_at_blanks);
    tcase_add_test(tcase, says_so_without_a_version);
    tcase_add_test(tcase, sends_no_control_characters);
    tcase_add_test(tcase, tells_each_terminal_once_and_goes_on_without_those_that_are_none);
    tcase_add_test(tcase, does_not_wait_for_a_terminal_that_is_stopped);
    tcase_add_test(tcase, a_text_of_any_length_ends);
    tcase_add_test(tcase, without_the_folder_nobody_is_told);
    return suite;
}
