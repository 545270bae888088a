/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which of the offered URLs is tried next and how long an offer that keeps failing is left alone
 * (update_engine's payload_state, reference section 1.5). The counts belong to one offer and begin
 * anew with another. Pure: times are CLOCK_REALTIME in seconds, for they outlive a reboot; random
 * is the caller's. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/sha256.h"
#include "updater/omaha/omaha-response.h"
#include "updater/update-error.h"

#define DOWNLOAD_BACKOFF_MAX_SEC (16 * UINT64_C(86400))

/* All zero: nothing known. */
typedef struct {
    Sha256 offer;               /* of urls, size, hash, delta flag, failure bound, back-off flag */
    unsigned url_index;         /* the URL to try */
    unsigned n_url_failures;    /* of that URL, since the last received byte */
    unsigned n_attempts;        /* whole downloads and whole rounds through the URLs */
    uint64_t backoff_until_sec; /* 0: none */
} DownloadPolicy;

typedef enum {
    DOWNLOAD_NOT_URLS_FAULT, /* the machine, the policy: no other URL would help */
    DOWNLOAD_TRANSIENT,      /* counts; after max_failures_per_url the next URL */
    DOWNLOAD_URLS_FAULT,     /* wrong bytes came: the next URL at once */
} DownloadFault;

/* What kind of failure error is. */
DownloadFault download_fault_of(UpdateError error);

/* Binds policy to the offer (verdict OMAHA_UPDATE); true when it was another one before and
 * everything begins anew. */
bool download_policy_bind(DownloadPolicy *policy, const OmahaResponse *offer);

/* How many seconds this offer must be left alone; 0: go ahead. Always 0 when the server disables
 * the back-off, for a person's own request, and when the expiry lies further ahead than any
 * back-off can (the clock was set back). */
uint64_t download_policy_wait_sec(const DownloadPolicy *policy, const OmahaResponse *offer,
        bool is_interactive, uint64_t now_sec);

/* Payload bytes came: the URL works. True when that changed anything. */
bool download_policy_on_bytes(DownloadPolicy *policy);

/* An attempt failed with error. Past the last URL it begins with the first again and the attempt
 * counts: back-off 1, 2, 4, 8, 16 days, +- 6 hours, never for delta payloads. True when the policy
 * changed and should be saved. */
bool download_policy_on_failure(DownloadPolicy *policy, const OmahaResponse *offer,
        UpdateError error, uint64_t now_sec, uint64_t random);

/* The payload came whole, whatever becomes of it: counts as an attempt, with its back-off, so that
 * a payload that fails to install is not fetched every hour. */
void download_policy_on_complete(
        DownloadPolicy *policy, const OmahaResponse *offer, uint64_t now_sec, uint64_t random);

/* *ret_json is a new object for the state file. Errors: -ENOMEM. */
int download_policy_to_json(const DownloadPolicy *policy, json_t **ret_json);

/* Reads what download_policy_to_json made; a back-off that ends more than DOWNLOAD_BACKOFF_MAX_SEC
 * after now_sec is dropped. Errors: -EINVAL when it is not that; *ret_policy is then all zero,
 * which is safe to go on with. */
int download_policy_from_json(const json_t *json, uint64_t now_sec, DownloadPolicy *ret_policy);
