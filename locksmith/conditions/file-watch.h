/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells when one of a few small files may have come, changed or gone. The files and the folders
 * above them need not exist, and may be replaced. What a symbolic link in the last place points to
 * is not looked at. Nothing blocks but looking at folders. */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

#define FILE_WATCH_MAX 8

typedef struct FileWatch FileWatch;

/* paths (copied, n_paths of FILE_WATCH_MAX at most) are below root ("" for "/"). on_change: look at
 * them again; many events come together in one call, at most ten calls a second; never from inside
 * _new; freeing the watch inside is allowed.
 * Errors: -EINVAL for too many paths and for one that is absolute, empty, too long or has "..",
 * -ENOENT without a folder root, -ENOMEM, errno of inotify and sd-event. */
int file_watch_new(sd_event *event, const char *root, const char *const *paths, size_t n_paths,
        void (*on_change)(void *userdata), void *userdata, FileWatch **ret_watch);
void file_watch_free(FileWatch *watch);
DEFINE_CLEANUP(FileWatch *, file_watch_free);
