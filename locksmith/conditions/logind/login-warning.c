/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/logind/login-warning.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/printable.h"
#include "common/utf8.h"

#define N_COLUMNS 79
#define MAX_TEXT_BYTES 1024

/* A terminal is opened without waiting for a carrier and written to once: one that is stopped or
 * full takes as much as it takes. */

typedef struct {
    char text[4 * MAX_TEXT_BYTES];
    size_t n_bytes;
    size_t n_columns; /* of the line that is being written */
} Frame;

/* What does not fit is left out. */
static void put(Frame *frame, const char *text, size_t n_bytes)
{
    if (n_bytes > sizeof(frame->text) - frame->n_bytes)
        return;
    memcpy(frame->text + frame->n_bytes, text, n_bytes);
    frame->n_bytes += n_bytes;
}

static void put_string(Frame *frame, const char *text)
{
    put(frame, text, strlen(text));
}

static size_t count_columns(const char *text, size_t n_bytes)
{
    size_t n_columns = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n_columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n_columns;
}

/* A word that is longer than a line has one of its own, and the terminal breaks it. */
static void put_word(Frame *frame, const char *word, size_t n_bytes)
{
    size_t n_columns = count_columns(word, n_bytes);
    if (frame->n_columns > 0 && frame->n_columns + 1 + n_columns > N_COLUMNS) {
        put_string(frame, "\r\n");
        frame->n_columns = 0;
    }
    if (frame->n_columns > 0) {
        put_string(frame, " ");
        frame->n_columns++;
    }
    put(frame, word, n_bytes);
    frame->n_columns += n_columns;
}

static void make_frame(Frame *frame, const char *text)
{
    char clean[MAX_TEXT_BYTES];
    printable_copy(clean, sizeof(clean), text);
    frame->n_bytes = frame->n_columns = 0;
    put_string(frame, "\r\n\a\aBroadcast message from locksmithd:\r\n\r\n");
    for (const char *at = clean + strspn(clean, " "); *at; at += strspn(at, " ")) {
        size_t n_bytes = strcspn(at, " ");
        put_word(frame, at, n_bytes);
        at += n_bytes;
    }
    put_string(frame, "\r\n\r\n");
}

/* The name comes from logind, and it from whoever opened the session. */
static bool is_terminal_name(const char *tty)
{
    return tty[0] != '\0' && tty[0] != '/' && tty[0] != '.' && !strstr(tty, "/.") &&
           utf8_is_valid(tty);
}

static bool tell(int dev_fd, const char *tty, const Frame *frame)
{
    if (!is_terminal_name(tty))
        return false;
    _cleanup_close_ int fd =
            openat(dev_fd, tty, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && isatty(fd) && write(fd, frame->text, frame->n_bytes) > 0;
}

static bool was_told(const LogindSession *sessions, size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (strcmp(sessions[before].tty, sessions[i].tty) == 0)
            return true;
    return false;
}

size_t login_warning_send(
        const char *dev_root, const LogindSession *sessions, size_t n_sessions, const char *text)
{
    _cleanup_close_ int dev_fd = open(dev_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dev_fd < 0)
        return 0;
    Frame frame;
    make_frame(&frame, text);
    size_t n_told = 0;
    for (size_t i = 0; i < n_sessions; i++)
        if (!was_told(sessions, i) && tell(dev_fd, sessions[i].tty, &frame))
            n_told++;
    return n_told;
}

LoginWarningText login_warning_show(const LoginWarning *warning)
{
    LoginWarningText shown;
    bool has_version = warning->version[0] != '\0';
    snprintf(shown.text, sizeof(shown.text),
            "%.64s reboots %.64s%s%.64s. Save your work and log out. "
            "To put it off, as root: locksmithctl pause 4h",
            warning->host, warning->when, has_version ? " into version " : " into a new system",
            warning->version);
    printable_clean(shown.text);
    return shown;
}
