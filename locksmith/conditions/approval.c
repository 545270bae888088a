/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/approval.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/env-file.h"
#include "common/fd-io.h"
#include "locksmith/conditions/approval-text.h"

static int read_word(
        int root_fd, const char *path, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(root_fd, path, ENV_FILE_MAX_BYTES, &text, &n_bytes);
    if (r == -ENOENT || r == -ENOTDIR) {
        *ret_word = (PersonsWord){.state = WORD_MISSING};
        return 0;
    }
    if (r < 0)
        return error_say(error, r, "/%s cannot be read: %s", path, strerror(-r));
    return approval_text_parse(path, text, n_bytes, now_usec, ret_word, error);
}

int approval_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    return read_word(root_fd, APPROVAL_FILE, now_usec, ret_word, error);
}

int pause_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error)
{
    PersonsWord word;
    int r = read_word(root_fd, PAUSE_FILE, now_usec, &word, error);
    if (r < 0)
        return r;
    if (word.state != WORD_MISSING && word.until_usec == 0)
        return error_say(error, -EINVAL,
                "/%s has no UNTIL=; write one (locksmithctl pause 4h), or remove the file "
                "(locksmithctl resume)",
                PAUSE_FILE);
    *ret_word = word;
    return 0;
}

static int write_word(int root_fd, const char *path, const PersonsWord *word, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = approval_text_format(word, &text, &n_bytes);
    if (r >= 0)
        r = fd_make_parents(root_fd, path);
    if (r >= 0)
        r = atomic_file_write(root_fd, path, text, n_bytes, 0644);
    return r < 0 ? error_say(error, r, "/%s cannot be written: %s", path, strerror(-r)) : 0;
}

int approval_write(int root_fd, uint64_t until_usec, const char *version, ErrorText *error)
{
    PersonsWord word = {.until_usec = until_usec};
    /* Cut, it would approve nothing, or another version. */
    if (strlen(version) >= sizeof(word.version))
        return error_say(error, -EINVAL, "the version to approve is longer than a version can be");
    snprintf(word.version, sizeof(word.version), "%s", version);
    return write_word(root_fd, APPROVAL_FILE, &word, error);
}

int pause_write(int root_fd, uint64_t until_usec, const char *why, ErrorText *error)
{
    PersonsWord word = {.until_usec = until_usec};
    if (until_usec == 0)
        return error_say(error, -EINVAL, "a pause needs an end; say how long, such as 4h");
    snprintf(word.why, sizeof(word.why), "%s", why);
    return write_word(root_fd, PAUSE_FILE, &word, error);
}

static int remove_word(int root_fd, const char *path, ErrorText *error)
{
    int r = atomic_file_remove(root_fd, path);
    return r < 0 ? error_say(error, r, "/%s cannot be removed: %s", path, strerror(-r)) : 0;
}

int approval_remove(int root_fd, ErrorText *error)
{
    return remove_word(root_fd, APPROVAL_FILE, error);
}

int pause_remove(int root_fd, ErrorText *error)
{
    return remove_word(root_fd, PAUSE_FILE, error);
}
