/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/download-policy.h"

#include <errno.h>
#include <string.h>

#include "common/backoff.h"
#include "common/bytes.h"
#include "common/clock.h"

#define SPREAD_USEC (6 * USEC_PER_HOUR)
#define MAX_WAIT_USEC (DOWNLOAD_BACKOFF_MAX_SEC * USEC_PER_SEC - SPREAD_USEC)

DownloadFault download_fault_of(UpdateError error)
{
    /* The table of 1.5 by its numbers, also those that nothing here gives; what is newer (45 and
     * above) is the machine's or the administrator's. */
    static const struct {
        int first, last;
        DownloadFault fault;
    } codes[] = {
            {1, 1, DOWNLOAD_TRANSIENT},
            {9, 9, DOWNLOAD_TRANSIENT},
            {10, 12, DOWNLOAD_URLS_FAULT},
            {14, 14, DOWNLOAD_TRANSIENT},
            {17, 18, DOWNLOAD_URLS_FAULT},
            {20, 20, DOWNLOAD_TRANSIENT},
            {21, 29, DOWNLOAD_URLS_FAULT},
            {32, 33, DOWNLOAD_URLS_FAULT},
            {37, 37, DOWNLOAD_TRANSIENT},
            {38, 39, DOWNLOAD_URLS_FAULT},
            {UPDATE_ERROR_HTTP_BASE, UPDATE_ERROR_HTTP_BASE + 999, DOWNLOAD_TRANSIENT},
    };
    for (size_t i = 0; i < ELEMENTS(codes); i++)
        if ((int)error >= codes[i].first && (int)error <= codes[i].last)
            return codes[i].fault;
    return DOWNLOAD_NOT_URLS_FAULT;
}

/* sum becomes the hash of itself and of the part's hash: no part can be moved into another. */
static void add_part(Sha256 *sum, const void *data, size_t n_bytes)
{
    Sha256 parts[2] = {*sum, sha256_of(data, n_bytes)};
    *sum = sha256_of(parts, sizeof(parts));
}

static Sha256 offer_signature(const OmahaResponse *offer)
{
    const Le64 numbers[] = {
            le64(offer->n_urls),
            le64(offer->packages[0].size_bytes),
            le64(offer->is_delta),
            le64(offer->disables_backoff),
            le64(offer->max_failures_per_url),
    };
    Sha256 sum = sha256_of(numbers, sizeof(numbers));
    add_part(&sum, &offer->payload_sha256, sizeof(offer->payload_sha256));
    for (size_t i = 0; i < offer->n_urls; i++)
        add_part(&sum, offer->urls[i], strlen(offer->urls[i]));
    return sum;
}

bool download_policy_bind(DownloadPolicy *policy, const OmahaResponse *offer)
{
    Sha256 signature = offer_signature(offer);
    if (sha256_equal(&policy->offer, &signature))
        return false;
    *policy = (DownloadPolicy){.offer = signature};
    return true;
}

uint64_t download_policy_wait_sec(const DownloadPolicy *policy, const OmahaResponse *offer,
        bool is_interactive, uint64_t now_sec)
{
    if (is_interactive || offer->disables_backoff || policy->backoff_until_sec <= now_sec)
        return 0;
    uint64_t wait_sec = policy->backoff_until_sec - now_sec;
    return wait_sec > DOWNLOAD_BACKOFF_MAX_SEC ? 0 : wait_sec;
}

bool download_policy_on_bytes(DownloadPolicy *policy)
{
    bool changes = policy->n_url_failures != 0;
    policy->n_url_failures = 0;
    return changes;
}

/* Its jitter never takes the back-off beyond its maximum, or reading it back would drop it. */
static void count_attempt(
        DownloadPolicy *policy, const OmahaResponse *offer, uint64_t now_sec, uint64_t random)
{
    if (offer->is_delta)
        return;
    if (policy->n_attempts < INT32_MAX)
        policy->n_attempts++;
    uint64_t wait_usec = backoff_usec(policy->n_attempts, USEC_PER_DAY, MAX_WAIT_USEC);
    policy->backoff_until_sec =
            now_sec + backoff_jitter_usec(wait_usec, SPREAD_USEC, random) / USEC_PER_SEC;
}

bool download_policy_on_failure(DownloadPolicy *policy, const OmahaResponse *offer,
        UpdateError error, uint64_t now_sec, uint64_t random)
{
    DownloadFault fault = download_fault_of(error);
    if (fault == DOWNLOAD_NOT_URLS_FAULT)
        return false;
    if (fault == DOWNLOAD_TRANSIENT && ++policy->n_url_failures < offer->max_failures_per_url)
        return true;
    policy->n_url_failures = 0;
    policy->url_index++;
    if (policy->url_index >= offer->n_urls) {
        policy->url_index = 0;
        count_attempt(policy, offer, now_sec, random);
    }
    return true;
}

void download_policy_on_complete(
        DownloadPolicy *policy, const OmahaResponse *offer, uint64_t now_sec, uint64_t random)
{
    policy->n_url_failures = 0;
    count_attempt(policy, offer, now_sec, random);
}

int download_policy_to_json(const DownloadPolicy *policy, json_t **ret_json)
{
    char hex[SHA256_HEX_CHARS + 1];
    sha256_to_hex(&policy->offer, hex);
    json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I}", "offer", hex, "url_index",
            (json_int_t)policy->url_index, "url_failures", (json_int_t)policy->n_url_failures,
            "attempts", (json_int_t)policy->n_attempts, "backoff_until",
            (json_int_t)policy->backoff_until_sec);
    if (!json)
        return -ENOMEM;
    *ret_json = json;
    return 0;
}

int download_policy_from_json(const json_t *json, uint64_t now_sec, DownloadPolicy *ret_policy)
{
    *ret_policy = (DownloadPolicy){0};
    const char *hex = NULL;
    json_int_t url_index = 0, n_url_failures = 0, n_attempts = 0, until = 0;
    DownloadPolicy policy = {0};
    /* jansson only reads here, but json_unpack wants a pointer that may change. */
    if (json_unpack((json_t *)json, "{s:s, s:I, s:I, s:I, s:I}", "offer", &hex, "url_index",
                &url_index, "url_failures", &n_url_failures, "attempts", &n_attempts,
                "backoff_until", &until) < 0 ||
            sha256_from_hex(hex, &policy.offer) < 0)
        return -EINVAL;
    if (url_index < 0 || url_index >= OMAHA_URLS_MAX || n_url_failures < 0 ||
            n_url_failures > INT32_MAX || n_attempts < 0 || n_attempts > INT32_MAX || until < 0)
        return -EINVAL;
    policy.url_index = (unsigned)url_index;
    policy.n_url_failures = (unsigned)n_url_failures;
    policy.n_attempts = (unsigned)n_attempts;
    policy.backoff_until_sec = (uint64_t)until;
    if (policy.backoff_until_sec > now_sec &&
            policy.backoff_until_sec - now_sec > DOWNLOAD_BACKOFF_MAX_SEC)
        policy.backoff_until_sec = 0;
    *ret_policy = policy;
    return 0;
}
