/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/offer.h"

#include <string.h>

#include "common/http-url.h"
#include "updater/omaha/version-order.h"

bool offer_may_name_hosts(const char *server_url)
{
    HttpUrl url;
    if (http_url_parse(server_url, &url) < 0)
        return false;
    http_url_done(&url);
    return url.is_https;
}

bool offer_is_older_than_pending(const EngineState *state, const char *version)
{
    const PendingSlot *pending = &state->pending;
    return engine_state_waits(state) && !pending->is_rollback &&
           version_compare(version, pending->version) < 0;
}

/* error_say() hands the decision back. */

static OfferDecision decide_version(const OmahaResponse *response, const EngineState *state,
        const OfferContext *context, ErrorText *text)
{
    const char *version = response->version;
    if (strcmp(version, context->running_version) == 0)
        return error_say(text, OFFER_ALREADY_RUNS, "version %s runs already", version);
    if (engine_state_waits(state) && strcmp(version, state->pending.version) == 0)
        return error_say(text, OFFER_ALREADY_WAITS,
                "version %s is installed; it waits for the reboot", version);
    if (!context->is_explicit && !context->allows_downgrade && version[0] != '\0' &&
            offer_is_older_than_pending(state, version))
        return error_say(text, OFFER_ALREADY_WAITS,
                "version %s is installed and waits for the reboot; %s, which is offered, is older: "
                "'flipside update' installs it",
                state->pending.version, version);
    if (!context->is_explicit && engine_state_has_failed(state, version))
        return error_say(text, OFFER_FAILED_BEFORE,
                "version %s did not boot here or was rolled back; 'flipside update' tries it again",
                version);
    if (!context->allows_downgrade && version[0] != '\0' &&
            version_compare(version, context->running_version) < 0)
        return error_say(text, OFFER_DOWNGRADE,
                "version %s is older than the running one; 'flipside update --allow-downgrade' "
                "installs it, ALLOW_DOWNGRADE=yes in update.conf allows it always",
                version);
    return error_say(text, OFFER_INSTALL, "version %s is available", version);
}

OfferDecision offer_decide(const OmahaResponse *response, const EngineState *state,
        const OfferContext *context, ErrorText *ret_text)
{
    switch (response->verdict) {
    case OMAHA_NO_UPDATE:
        return error_say(ret_text, OFFER_NOTHING, "version %s is the newest of this channel",
                context->running_version);
    case OMAHA_NOT_NOW:
        return error_say(ret_text, OFFER_NOT_NOW, "the server does not offer updates now (%s)",
                strcmp(response->app_status, "ok") != 0 ? response->app_status
                                                        : response->check_status);
    case OMAHA_UPDATE:
        break;
    }
    OfferDecision decision = decide_version(response, state, context, ret_text);
    if (decision != OFFER_INSTALL)
        return decision;
    uint64_t wait_sec = download_policy_wait_sec(&state->policy, response,
            context->is_explicit || context->is_resumed, context->now_sec);
    if (wait_sec == 0)
        return OFFER_INSTALL;
    error_say(ret_text, 0,
            "version %s failed %u times; it is tried again in %llu minutes, 'flipside update' "
            "tries it now",
            response->version, state->policy.n_attempts, (unsigned long long)(wait_sec / 60 + 1));
    return OFFER_BACK_OFF;
}

#define LOOK_SHARE 8 /* of the delta's bytes, that a look may cost */

bool offer_is_weighed(const OmahaResponse *response, const OmahaPackage *delta)
{
    uint64_t n_bytes = response->metadata_size_bytes;
    return n_bytes != 0 && n_bytes <= delta->size_bytes / LOOK_SHARE;
}

const OmahaPackage *offer_delta(
        const OmahaResponse *response, const char *running_version, uint64_t budget_bytes)
{
    const OmahaPackage *found = NULL;
    for (size_t i = 1; i < response->n_packages; i++) {
        const OmahaPackage *package = &response->packages[i];
        if (package->delta_from && strcmp(package->delta_from, running_version) == 0 &&
                (budget_bytes == 0 || package->size_bytes <= budget_bytes) &&
                (!found || package->size_bytes < found->size_bytes))
            found = package;
    }
    return found;
}
