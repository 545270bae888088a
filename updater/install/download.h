/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A payload over the network: its metadata first, then the blobs into the pipeline as it has room,
 * and the payload signature. In the loop's thread; nothing here blocks. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "updater/install/install-work.h"
#include "updater/install/pipeline.h"

typedef struct Download Download;

/* work is borrowed; its options say the URLs. on_change is called, from the loop, when metadata or
 * all has come, or something failed; not from inside a call, and the download must not be freed
 * inside. Errors: -ENOMEM, errno of sd-event. */
int download_new(sd_event *event, HttpClient *http, InstallWork *work,
        void (*on_change)(void *userdata), void *userdata, Download **ret_download);

/* Cancels. */
void download_free(Download *download);
DEFINE_CLEANUP(Download *, download_free);

/* Starts with the first byte of the payload and stops behind the metadata, which is then
 * work->raw. */
void download_start_metadata(Download *download);
bool download_has_metadata(const Download *download);

/* Goes on with the blobs that pipeline (borrowed) lacks, after work was checked and prepared.
 * Where work has a digest, all up to the payload's last byte. */
void download_start_blobs(Download *download, Pipeline *pipeline);

/* Goes on after the pipeline had no room. */
void download_pump(Download *download);

/* The payload signature has come, or none is wanted. */
bool download_is_complete(const Download *download);

/* UPDATE_OK, or why nothing more will come. */
UpdateError download_failure(const Download *download, const char **ret_error);

/* As fetch_n_bytes. */
uint64_t download_n_bytes(const Download *download);

/* As fetch_n_requests and fetch_why_single. */
uint64_t download_n_requests(const Download *download);
const char *download_why_more(const Download *download);

/* How much of the metadata has come, and its size (0: not known). */
void download_metadata_progress(
        const Download *download, uint64_t *ret_n_bytes, uint64_t *ret_n_total_bytes);
