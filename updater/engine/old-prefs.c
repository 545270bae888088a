/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/old-prefs.h"

#include <fcntl.h>
#include <string.h>

#include "common/fd-io.h"
#include "updater/engine/foreign-marks.h"
#include "updater/omaha/omaha-response.h"
#include "updater/omaha/version-order.h"

#define ALEPH_FILE FOREIGN_PREFS_FOLDER "/aleph-version"
#define PREF_MAX_BYTES 1024

static void note_bad(ErrorText *note, const char *path)
{
    ErrorText before = *note;
    const char *name = strrchr(path, '/') + 1;
    if (before.line[0])
        error_say(note, 0, "%s, %s", before.line, name);
    else
        error_say(note, 0, "what update_engine has left in /%s is not usable and left out: %s",
                FOREIGN_PREFS_FOLDER, name);
}

static void read_version(
        int root_fd, const char *path, bool may_be_empty, char *version, ErrorText *note)
{
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    int r = fd_read_file(root_fd, path, PREF_MAX_BYTES, &data, &n_bytes);
    if (r == -ENOENT || r == -ENOTDIR)
        return;
    size_t n_chars = r < 0 ? 0 : strcspn(data, "\n");
    bool is_whole = r == 0 && (n_bytes == n_chars || (n_bytes == n_chars + 1 && data[n_chars]));
    if (is_whole && n_chars == 0 && may_be_empty)
        return;
    if (is_whole)
        data[n_chars] = '\0';
    if (is_whole && version_is_valid(data))
        snprintf(version, ENGINE_VERSION_BYTES, "%s", data);
    else
        note_bad(note, path);
}

/* An answer that offers nothing is what it got most of the time. */
static void read_answer(int root_fd, const char *app_id, char *version, ErrorText *note)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_(omaha_response_freep) OmahaResponse *response = NULL;
    size_t n_bytes;
    int r = fd_read_file(root_fd, FOREIGN_ANSWER_FILE, OMAHA_RESPONSE_MAX_BYTES, &data, &n_bytes);
    if (r == -ENOENT || r == -ENOTDIR)
        return;
    if (r < 0 || omaha_response_parse(data, n_bytes, app_id, &response, NULL) != UPDATE_OK)
        note_bad(note, FOREIGN_ANSWER_FILE);
    else if (response->verdict == OMAHA_UPDATE)
        snprintf(version, ENGINE_VERSION_BYTES, "%s", response->version);
}

void old_prefs_read(int root_fd, const char *app_id, OldPrefs *ret_prefs, ErrorText *note)
{
    OldPrefs prefs = {
            .is_waiting = faccessat(root_fd, FOREIGN_WAITING_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0};
    *note = (ErrorText){};
    read_version(root_fd, ALEPH_FILE, false, prefs.aleph_version, note);
    read_version(root_fd, FOREIGN_PREVIOUS_FILE, true, prefs.previous_version, note);
    read_answer(root_fd, app_id, prefs.offered_version, note);
    *ret_prefs = prefs;
}
