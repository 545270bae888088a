/* SPDX-License-Identifier: Apache-2.0 */

/* Where a byte belongs is told by its offset alone: metadata, blobs, payload signature. While the
 * metadata is checked and the slot prepared, and while the pipeline is full, nothing is taken and
 * the transfer pauses; so where all is wanted, it is one request from the first byte to the last.
 * Where it may be that most is here already, the metadata is a request of its own, if the offer has
 * told its size; else the header is one, and then the metadata that it bounds; so that hardly a
 * byte comes which nobody wanted. Then what is missing. */

#include "updater/install/download.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "updater/fetch/fetch.h"

typedef enum {
    STAGE_METADATA,
    STAGE_HOLDING, /* the metadata is here, blobs are not wanted yet */
    STAGE_BLOBS,
} Stage;

/* What an offer tells ends before the metadata signature, whose size is in the header alone: two
 * of RSA-2048 or one of RSA-4096 and one of Ed25519 fit. A longer one costs a second request. */
#define METADATA_SIGNATURE_ROOM_BYTES 1024

/* Enough for the frames of some operations; more are asked for when these have come. */
#define RANGES_MAX 4096

struct Download {
    InstallWork *work;
    FetchOptions fetch_options;
    Fetch *fetch;
    void (*on_change)(void *userdata);
    void *userdata;

    Stage stage;
    bool is_bounded; /* the metadata comes alone: of what follows not all may be wanted */
    uint8_t start[PAYLOAD_HEADER_BYTES];
    size_t n_metadata_bytes; /* that have come */
    Pipeline *pipeline;
    size_t n_signature_bytes; /* that have come */
    UpdateError code;
    ErrorText error;
    FetchRange ranges[RANGES_MAX]; /* that were last asked for */
};

static void fail(Download *download, UpdateError code)
{
    if (download->code == UPDATE_OK)
        download->code = code;
}

/* --- metadata ---------------------------------------------------------------------------- */

/* The header is whole: makes room for the metadata, which it bounds. */
static UpdateError begin_metadata(Download *download)
{
    PayloadHeader header;
    UpdateError code = payload_header_parse(download->start, &header, &download->error);
    if (code != UPDATE_OK)
        return code;
    code = metadata_check_size(&header, download->work->options->metadata_bytes, &download->error);
    if (code != UPDATE_OK)
        return code;
    uint64_t total = fetch_total_bytes(download->fetch);
    if (total != 0 && header.n_metadata_bytes > total) {
        return error_say(&download->error, UPDATE_ERROR_PAYLOAD_SIZE,
                "the payload has %" PRIu64 " bytes, its metadata alone %" PRIu64, total,
                header.n_metadata_bytes);
    }
    InstallWork *work = download->work;
    work->raw = malloc((size_t)header.n_metadata_bytes);
    if (!work->raw) {
        return error_say(&download->error, UPDATE_ERROR_GENERIC,
                "not enough memory for the payload's metadata");
    }
    work->n_raw_bytes = (size_t)header.n_metadata_bytes;
    memcpy(work->raw, download->start, sizeof(download->start));
    return UPDATE_OK;
}

static size_t take_header(Download *download, const uint8_t *data, size_t n_bytes)
{
    size_t n = MIN(n_bytes, sizeof(download->start) - download->n_metadata_bytes);
    memcpy(download->start + download->n_metadata_bytes, data, n);
    download->n_metadata_bytes += n;
    if (download->n_metadata_bytes < sizeof(download->start))
        return n;
    UpdateError code = begin_metadata(download);
    if (code != UPDATE_OK) {
        fail(download, code);
        download->on_change(download->userdata);
    }
    return n;
}

static bool is_metadata_whole(const Download *download)
{
    return download->work->raw && download->n_metadata_bytes == download->work->n_raw_bytes;
}

/* Where it is bounded, what was asked for behind it comes as well, and ends the request. */
static size_t take_metadata(Download *download, const uint8_t *data, size_t n_bytes)
{
    size_t n_taken = 0;
    if (!download->work->raw)
        n_taken = take_header(download, data, n_bytes);
    InstallWork *work = download->work;
    if (!work->raw)
        return n_taken;
    size_t n = MIN(n_bytes - n_taken, work->n_raw_bytes - download->n_metadata_bytes);
    memcpy(work->raw + download->n_metadata_bytes, data + n_taken, n);
    download->n_metadata_bytes += n;
    if (!is_metadata_whole(download))
        return n_taken + n;
    download->stage = STAGE_HOLDING;
    work->checkpoint.lacks_ranges = download->is_bounded && !fetch_has_ranges(download->fetch);
    download->on_change(download->userdata);
    return download->is_bounded ? n_bytes : n_taken + n;
}

/* --- blobs ------------------------------------------------------------------------------- */

static uint64_t blobs_at(const Download *download)
{
    return download->work->metadata.header.n_metadata_bytes;
}

static uint64_t signature_at(const Download *download)
{
    return blobs_at(download) + download->work->metadata.manifest->signatures_offset_bytes;
}

static size_t take_signature(Download *download, const uint8_t *data, size_t n_bytes)
{
    size_t n_wanted = (size_t)download->work->metadata.manifest->n_signatures_bytes;
    size_t n = MIN(n_bytes, n_wanted - download->n_signature_bytes);
    memcpy(download->work->signature + download->n_signature_bytes, data, n);
    download->n_signature_bytes += n;
    return n;
}

static size_t take_blobs(
        Download *download, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes)
{
    size_t n_taken = 0;
    uint64_t signature = signature_at(download);
    if (offset_bytes < signature) {
        size_t n = (size_t)MIN(signature - offset_bytes, (uint64_t)n_bytes);
        n_taken = pipeline_take(download->pipeline, data, n);
        if (n_taken < n)
            return n_taken;
    }
    if (n_taken < n_bytes)
        n_taken += take_signature(download, data + n_taken, n_bytes - n_taken);
    return n_taken;
}

/* --- the fetch's side -------------------------------------------------------------------- */

static size_t on_data(
        Fetch *fetch, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)fetch;
    Download *download = userdata;
    if (download->code != UPDATE_OK)
        return 0;
    switch (download->stage) {
    case STAGE_METADATA:
        return take_metadata(download, data, n_bytes);
    case STAGE_HOLDING:
        return download->is_bounded ? n_bytes : 0;
    case STAGE_BLOBS:
        return take_blobs(download, offset_bytes, data, n_bytes);
    }
    return 0;
}

static void drop_metadata(Download *download)
{
    free(download->work->raw);
    download->work->raw = NULL;
    download->work->n_raw_bytes = 0;
    download->n_metadata_bytes = 0;
}

static uint64_t on_rewind(Fetch *fetch, uint64_t offset_bytes, void *userdata)
{
    (void)fetch;
    Download *download = userdata;
    switch (download->stage) {
    case STAGE_METADATA:
        drop_metadata(download);
        return 0;
    case STAGE_HOLDING:
        return offset_bytes;
    case STAGE_BLOBS:
        if (offset_bytes >= signature_at(download)) {
            download->n_signature_bytes = 0;
            return signature_at(download);
        }
        return MIN(offset_bytes, blobs_at(download) + pipeline_rewind(download->pipeline));
    }
    return offset_bytes;
}

static void on_fetch_done(Fetch *fetch, UpdateError code, const char *error, void *userdata)
{
    Download *download = userdata;
    if (code == UPDATE_OK && download->stage == STAGE_METADATA && download->is_bounded &&
            download->work->raw) {
        /* From the first byte, so that header and rest are of one file. */
        uint64_t n_bytes = download->work->n_raw_bytes;
        drop_metadata(download);
        fetch_start(fetch, 0, n_bytes);
        return;
    }
    if (code == UPDATE_OK && download->stage == STAGE_METADATA) {
        error_say(&download->error, 0, "the payload ends after %" PRIu64 " bytes",
                fetch_total_bytes(fetch));
        code = UPDATE_ERROR_PAYLOAD_SIZE;
    } else if (code != UPDATE_OK) {
        error_say(&download->error, 0, "%s", error);
    }
    fail(download, code);
    download->on_change(download->userdata);
}

static const FetchHandlers fetch_handlers = {
        .on_data = on_data,
        .on_rewind = on_rewind,
        .on_done = on_fetch_done,
};

/* --- the owner's side -------------------------------------------------------------------- */

int download_new(sd_event *event, HttpClient *http, InstallWork *work,
        void (*on_change)(void *userdata), void *userdata, Download **ret_download)
{
    _cleanup_(download_freep) Download *download = calloc(1, sizeof(*download));
    if (!download)
        return -ENOMEM;
    download->work = work;
    download->on_change = on_change;
    download->userdata = userdata;
    download->code = UPDATE_OK;
    const InstallOptions *options = work->options;
    download->fetch_options = (FetchOptions){
            .urls = options->urls,
            .n_urls = options->n_urls,
            .first_url = options->first_url,
            .max_failures_per_url = options->max_failures_per_url,
            .retry_delay_usec = options->retry_delay_usec,
            .user = options->user,
            .password = options->password,
            .total_bytes = options->payload_bytes,
            .rate_bytes_per_second = options->rate_bytes_per_second,
    };
    int r = fetch_new(
            event, http, &download->fetch_options, &fetch_handlers, download, &download->fetch);
    if (r < 0)
        return r;
    *ret_download = TAKE_PTR(download);
    return 0;
}

void download_free(Download *download)
{
    if (!download)
        return;
    fetch_free(download->fetch);
    free(download);
}

/* Up to where the first request goes, which need not be the metadata's end. */
static uint64_t first_end(const Download *download)
{
    const InstallOptions *options = download->work->options;
    if (!download->is_bounded)
        return FETCH_END_OF_FILE;
    uint64_t end_bytes = options->metadata_bytes + METADATA_SIGNATURE_ROOM_BYTES;
    bool is_sane = options->metadata_bytes >= PAYLOAD_HEADER_BYTES &&
                   options->metadata_bytes <= PAYLOAD_HEADER_BYTES + PAYLOAD_MANIFEST_MAX_BYTES &&
                   end_bytes < options->payload_bytes;
    return is_sane ? end_bytes : PAYLOAD_HEADER_BYTES;
}

void download_start_metadata(Download *download)
{
    download->stage = STAGE_METADATA;
    download->is_bounded = install_work_may_fetch_less(download->work);
    fetch_start(download->fetch, 0, first_end(download));
}

bool download_has_metadata(const Download *download)
{
    return is_metadata_whole(download) && (!download->is_bounded || fetch_is_idle(download->fetch));
}

/* The next ranges that are lacking, of the file; 0 when there are none. */
static size_t next_ranges(Download *download)
{
    const InstallWork *work = download->work;
    FetchRange *ranges = download->ranges;
    size_t n = pipeline_next_ranges(download->pipeline, ranges, RANGES_MAX);
    for (size_t i = 0; i < n; i++) {
        ranges[i].first_bytes += blobs_at(download);
        ranges[i].end_bytes += blobs_at(download);
    }
    if (n > 0 && work->digest) {
        ranges[0].end_bytes = work->metadata.n_payload_bytes;
        return 1;
    }
    if (n > 0 || download_is_complete(download))
        return n;
    ranges[0] = (FetchRange){
            .first_bytes = signature_at(download) + download->n_signature_bytes,
            .end_bytes = work->metadata.n_payload_bytes,
    };
    return 1;
}

void download_start_blobs(Download *download, Pipeline *pipeline)
{
    download->stage = STAGE_BLOBS;
    download->pipeline = pipeline;
    uint64_t total = fetch_total_bytes(download->fetch);
    uint64_t expected = download->work->metadata.n_payload_bytes;
    if (total != 0 && total != expected) {
        error_say(&download->error, 0,
                "the payload has %" PRIu64 " bytes, its manifest says %" PRIu64, total, expected);
        fail(download, UPDATE_ERROR_PAYLOAD_SIZE);
        return;
    }
    if (!download->is_bounded)
        fetch_set_end(download->fetch, expected);
    download_pump(download);
}

void download_pump(Download *download)
{
    if (download->code != UPDATE_OK || download->stage != STAGE_BLOBS)
        return;
    if (!fetch_is_idle(download->fetch)) {
        fetch_resume(download->fetch);
        return;
    }
    size_t n_ranges = next_ranges(download);
    if (n_ranges > 0 && fetch_start_ranges(download->fetch, download->ranges, n_ranges) < 0) {
        error_say(&download->error, 0, "not enough memory to fetch the payload");
        fail(download, UPDATE_ERROR_GENERIC);
        download->on_change(download->userdata);
    }
}

bool download_is_complete(const Download *download)
{
    const InstallWork *work = download->work;
    return !work->digest ||
           download->n_signature_bytes == work->metadata.manifest->n_signatures_bytes;
}

UpdateError download_failure(const Download *download, const char **ret_error)
{
    *ret_error = download->error.line;
    return download->code;
}

uint64_t download_n_bytes(const Download *download)
{
    return fetch_n_bytes(download->fetch);
}

uint64_t download_n_requests(const Download *download)
{
    return fetch_n_requests(download->fetch);
}

const char *download_why_more(const Download *download)
{
    return fetch_why_single(download->fetch);
}

void download_metadata_progress(
        const Download *download, uint64_t *ret_n_bytes, uint64_t *ret_n_total_bytes)
{
    *ret_n_bytes = download->n_metadata_bytes;
    *ret_n_total_bytes = fetch_total_bytes(download->fetch);
}
