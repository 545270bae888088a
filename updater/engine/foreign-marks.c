/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/foreign-marks.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/cleanup.h"
#include "common/fd-io.h"

/* Known again by this line, so that only what is ours is removed. */
#define REBOOT_TEXT "A system update waits for a reboot.\n"

#define PREFS_MODE 0600 /* update_engine's */
#define MARK_MODE 0644

static int put(int root_fd, const char *path, const char *text, size_t n_bytes, mode_t mode)
{
    int r = fd_make_parents(root_fd, path);
    return r < 0 ? r : atomic_file_write(root_fd, path, text, n_bytes, mode);
}

static bool holds(int root_fd, const char *path, const char *text)
{
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    return fd_read_file(root_fd, path, 256, &data, &n_bytes) == 0 && n_bytes == strlen(text) &&
           memcmp(data, text, n_bytes) == 0;
}

static int put_unless_it_holds(int root_fd, const char *path, const char *text, mode_t mode)
{
    return holds(root_fd, path, text) ? 0 : put(root_fd, path, text, strlen(text), mode);
}

static int mark_waiting(int root_fd, bool is_waiting)
{
    return is_waiting ? put_unless_it_holds(root_fd, FOREIGN_WAITING_FILE, "", MARK_MODE)
                      : atomic_file_remove(root_fd, FOREIGN_WAITING_FILE);
}

static int mark_reboot(int root_fd, bool is_waiting)
{
    if (!is_waiting)
        return holds(root_fd, FOREIGN_REBOOT_FILE, REBOOT_TEXT)
                       ? atomic_file_remove(root_fd, FOREIGN_REBOOT_FILE)
                       : 0;
    if (faccessat(root_fd, FOREIGN_REBOOT_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return put(root_fd, FOREIGN_REBOOT_FILE, REBOOT_TEXT, strlen(REBOOT_TEXT), MARK_MODE);
}

/* Keeps the first failure. */
static void note(int r, const char *path, int *failure, ErrorText *error)
{
    if (r < 0 && *failure == 0)
        *failure = error_say(error, r,
                "/%s cannot be written for other programs: %s; the updates go on", path,
                strerror(-r));
}

int foreign_marks_write(int root_fd, const ForeignMarks *marks, ErrorText *error)
{
    int failure = 0;
    note(put_unless_it_holds(root_fd, FOREIGN_PREVIOUS_FILE, marks->previous_version, PREFS_MODE),
            FOREIGN_PREVIOUS_FILE, &failure, error);
    note(mark_waiting(root_fd, marks->is_waiting), FOREIGN_WAITING_FILE, &failure, error);
    note(mark_reboot(root_fd, marks->is_waiting), FOREIGN_REBOOT_FILE, &failure, error);
    return failure;
}

int foreign_marks_withdraw(int root_fd, const ForeignMarks *marks)
{
    if (holds(root_fd, FOREIGN_PREVIOUS_FILE, marks->previous_version))
        return 0;
    return put_unless_it_holds(root_fd, FOREIGN_PREVIOUS_FILE, "", PREFS_MODE);
}

int foreign_marks_keep_answer(int root_fd, const char *xml, size_t n_bytes, ErrorText *error)
{
    int failure = 0;
    note(xml ? put(root_fd, FOREIGN_ANSWER_FILE, xml, n_bytes, PREFS_MODE)
             : atomic_file_remove(root_fd, FOREIGN_ANSWER_FILE),
            FOREIGN_ANSWER_FILE, &failure, error);
    return failure;
}
