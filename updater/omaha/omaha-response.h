/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Omaha v3 answer, as Nebraska, go-omaha and the ChromeOS servers write it. Hostile: bounded
 * in size, no document type, no entities, no network. Pure.
 *
 * One thing is ours. A server may offer deltas beside the full payload, each as a further package
 * of the manifest, which other clients pass over:
 *
 *     <package name="full.payload" size="367000000" required="true"/>
 *     <package name="delta-1.0.0.payload" delta_from="1.0.0" size="9000000"
 *              hash_sha256="HEX" required="false"/>
 *
 * It lies below the same codebases. delta_from is the version that must run; size and hash_sha256
 * are of the delta, and it must be smaller than the full payload. Version, back-off and the count
 * of failures are those of the manifest and its action; MetadataSize and MetadataSignatureRsa are
 * the full payload's alone. On the first package delta_from says nothing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/update-error.h"

#define OMAHA_RESPONSE_MAX_BYTES (1024 * 1024)
#define OMAHA_URLS_MAX 32
#define OMAHA_PACKAGES_MAX 64

typedef enum {
    OMAHA_UPDATE,    /* an update is offered */
    OMAHA_NO_UPDATE, /* the client has the newest */
    OMAHA_NOT_NOW,   /* the server declines: rate limit, disabled, unknown app; no error */
} OmahaVerdict;

typedef struct {
    const char *name;
    uint64_t size_bytes;
    bool has_sha256; /* hash_sha256 */
    Sha256 sha256;
    bool is_required;
    const char *delta_from;  /* a version: the package is a delta from that; NULL: it is none */
    const char *const *urls; /* with delta_from: where it lies, as many as the payload has */
} OmahaPackage;

typedef struct OmahaResponse {
    OmahaVerdict verdict;
    const char *app_status;     /* "ok", "error-maxUpdatesPerPeriodLimitReached", ... */
    const char *check_status;   /* updatecheck@status */
    uint64_t poll_interval_sec; /* PollInterval; 0 when absent */
    /* The rest only with OMAHA_UPDATE. */
    const char *version;          /* manifest@version; "" when absent */
    const char *const *urls;      /* codebase and name of package 0 joined, all http(s) */
    size_t n_urls;                /* at least 1 */
    const OmahaPackage *packages; /* the first is the payload */
    size_t n_packages;
    Sha256 payload_sha256;                 /* the postinstall action's, of the whole payload file */
    uint64_t metadata_size_bytes;          /* MetadataSize; 0 when absent */
    const char *metadata_signature_base64; /* MetadataSignatureRsa; "" when absent */
    bool is_delta;
    bool disables_backoff;
    unsigned max_failures_per_url; /* MaxFailureCountPerUrl, 10 */
} OmahaResponse;

/* Reads n_bytes at data (borrowed) for app_id (compared without braces and case; the only app is
 * taken whatever its id). Of updatechecks, manifests and postinstall actions in one app the first
 * counts; URLs and packages beyond the bounds are left out, and so are further packages that are
 * not usable, deltas that break one of the rules above among them.
 *
 * app@status other than "ok" is OMAHA_NOT_NOW, and so is an updatecheck@status "error-...". An
 * offer must have: URLs of http or https in printable ASCII; a first package of 1 byte to 1 TiB,
 * whose name is a path below the URL (it may have '/', but no empty, "." or ".." segment, no
 * blank, '\' or '#'); a SHA-256 of it from the postinstall action or the package, the same if both
 * have one; a valid version or none.
 *
 * Returns UPDATE_OK, and with `error`: UPDATE_ERROR_EMPTY_RESPONSE, UPDATE_ERROR_XML,
 * UPDATE_ERROR_ENTITY, UPDATE_ERROR_RESPONSE, UPDATE_ERROR_GENERIC (memory). */
UpdateError omaha_response_parse(const char *data, size_t n_bytes, const char *app_id,
        OmahaResponse **ret_response, ErrorText *error);
void omaha_response_free(OmahaResponse *response);
DEFINE_CLEANUP(OmahaResponse *, omaha_response_free);
