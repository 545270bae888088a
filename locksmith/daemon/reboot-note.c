/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/reboot-note.h"

#include <fcntl.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/env-file.h"
#include "common/fd-io.h"

static bool take(const EnvFile *file, const char *key, char *text, size_t n_bytes)
{
    const char *value = env_file_get(file, key);
    if (!value || strlen(value) >= n_bytes)
        return false;
    strcpy(text, value);
    return true;
}

static bool take_flag(const EnvFile *file, const char *key, bool *flag)
{
    const char *value = env_file_get(file, key);
    *flag = value && strcmp(value, "yes") == 0;
    return *flag || (value && strcmp(value, "no") == 0);
}

int reboot_note_read(int root_fd, RebootNote *ret_note, ErrorText *error)
{
    *ret_note = (RebootNote){};
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    int r = env_file_load(root_fd, REBOOT_NOTE_FILE, &file, error);
    if (r == -ENOENT)
        return 0;
    RebootNote note = {};
    if (r >= 0) {
        bool is_whole = take(file, "BOOT_ID", note.boot_id, sizeof(note.boot_id)) &&
                        note.boot_id[0] && take_flag(file, "LOCK", &note.may_hold) &&
                        take_flag(file, "HOOKS", &note.has_begun_hooks) &&
                        take(file, "PLACE", note.place, sizeof(note.place));
        if (is_whole) {
            *ret_note = note;
            return 0;
        }
        r = error_say(error, -EINVAL, "/%s is damaged: it counts as a lock that is held",
                REBOOT_NOTE_FILE);
    }
    *ret_note = (RebootNote){.boot_id = "?", .may_hold = true};
    return r;
}

static int write_file(int root_fd, const char *path, const char *text, ErrorText *error)
{
    int r = fd_make_parents(root_fd, path);
    if (r >= 0)
        r = atomic_file_write(root_fd, path, text, strlen(text), 0644);
    return r < 0 ? error_say(error, r, "cannot write /%s: %s", path, strerror(-r)) : 0;
}

int reboot_note_write(int root_fd, const RebootNote *note, ErrorText *error)
{
    if (!note->may_hold && !note->has_begun_hooks) {
        int r = atomic_file_remove(root_fd, REBOOT_NOTE_FILE);
        if (r < 0 && r != -ENOENT)
            return error_say(error, r, "cannot remove /%s: %s", REBOOT_NOTE_FILE, strerror(-r));
        return 0;
    }
    _cleanup_free_ char *text = NULL, *whole = NULL;
    size_t n_bytes;
    if (asprintf(&text, "BOOT_ID=%s\nLOCK=%s\nHOOKS=%s\n", note->boot_id,
                note->may_hold ? "yes" : "no", note->has_begun_hooks ? "yes" : "no") < 0)
        return -ENOMEM;
    int r = env_file_edit(text, strlen(text), "PLACE", note->place, &whole, &n_bytes);
    if (r < 0)
        return error_say(error, r, "cannot write down where the lock is: %s", strerror(-r));
    return write_file(root_fd, REBOOT_NOTE_FILE, whole, error);
}

static bool is_noted(int root_fd, const char *path, const char *key, const char *text)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    if (text[0] == '\0' || env_file_load(root_fd, path, &file, NULL) < 0)
        return false;
    const char *value = env_file_get(file, key);
    return value && strcmp(value, text) == 0;
}

bool semaphore_seen_read(int root_fd, const char *place)
{
    return is_noted(root_fd, SEMAPHORE_SEEN_FILE, "PLACE", place);
}

int semaphore_seen_write(int root_fd, const char *place, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = env_file_edit("", 0, "PLACE", place, &text, &n_bytes);
    if (r < 0)
        return error_say(error, r, "cannot write down where the lock is: %s", strerror(-r));
    return write_file(root_fd, SEMAPHORE_SEEN_FILE, text, error);
}

bool boot_settled_read(int root_fd, const char *boot_id)
{
    return is_noted(root_fd, BOOT_SETTLED_FILE, "BOOT_ID", boot_id);
}

int boot_settled_write(int root_fd, const char *boot_id, ErrorText *error)
{
    char text[64];
    snprintf(text, sizeof(text), "BOOT_ID=%s\n", boot_id);
    return write_file(root_fd, BOOT_SETTLED_FILE, text, error);
}
