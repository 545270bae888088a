/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an Omaha answer says about one app, as text, before anybody judges it. */

#include <stdbool.h>
#include <stddef.h>

#include "updater/omaha/omaha-response.h"

typedef struct {
    char *name;
    char *size;
    char *hash_sha256;
    char *required;
    char *delta_from;
} OmahaAppPackage;

/* All text is owned, NULL where the attribute was absent. */
typedef struct {
    char *id;
    char *status;

    bool has_check;
    char *check_status;
    char *poll_interval;

    bool has_manifest;
    char *version;
    size_t n_urls;
    char *urls[OMAHA_URLS_MAX];
    size_t n_packages;
    OmahaAppPackage packages[OMAHA_PACKAGES_MAX];

    bool has_action; /* with event="postinstall" */
    char *sha256;
    char *metadata_size;
    char *metadata_signature;
    char *is_delta;
    char *disables_backoff;
    char *max_failures;
} OmahaApp;

/* Reads n_bytes at data (borrowed, at most OMAHA_RESPONSE_MAX_BYTES) and finds the app of app_id,
 * as omaha_response_parse says. Returns UPDATE_OK with a new *ret_app, or what
 * omaha_response_parse returns, with `error`. Does not block. */
UpdateError omaha_app_read(
        const char *data, size_t n_bytes, const char *app_id, OmahaApp **ret_app, ErrorText *error);
void omaha_app_free(OmahaApp *app);
DEFINE_CLEANUP(OmahaApp *, omaha_app_free);
