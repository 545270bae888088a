/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether what the server offers is to be installed. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/engine/engine-state.h"
#include "updater/omaha/omaha-response.h"

typedef enum {
    OFFER_INSTALL,
    OFFER_NOTHING,       /* the server has nothing newer */
    OFFER_NOT_NOW,       /* the server declines */
    OFFER_ALREADY_RUNS,  /* the offered version runs */
    OFFER_ALREADY_WAITS, /* it, or a newer one, is installed and waits for the reboot */
    OFFER_FAILED_BEFORE, /* promise 8 */
    OFFER_DOWNGRADE,     /* promise 7 */
    OFFER_BACK_OFF,      /* it failed lately: event 3/9 with code 40 */
} OfferDecision;

typedef struct {
    const char *running_version;
    bool allows_downgrade;
    bool is_explicit; /* a person asked for an update: what failed before may be tried again */
    bool is_resumed;  /* goes on with an install that a restart cut: no back-off */
    uint64_t now_sec; /* CLOCK_REALTIME */
} OfferContext;

/* Whether the answers of this server may say which hosts are told DOWNLOAD_USER and its password:
 * over http anybody on the way could name a host of their own. */
bool offer_may_name_hosts(const char *server_url);

/* Whether a version is older than the update that waits for its reboot: to replace that by it needs
 * a person, or a replay of an old release could take back a fix that is installed already. */
bool offer_is_older_than_pending(const EngineState *state, const char *version);

/* The delta that may be tried before the full payload (inside response), or NULL: the smallest of
 * those from the version that runs. budget_bytes 0: none. */
const OmahaPackage *offer_delta(
        const OmahaResponse *response, const char *running_version, uint64_t budget_bytes);

/* Whether the full payload is looked at before that delta is taken. What an adaptive download would
 * cost is not known without the payload's metadata, an index of 8 bytes a block, and where the
 * delta is cheaper that was fetched for nothing: so it must be known to be small beside the delta.
 * Most are not, for a delta holds nothing that its base has, and needs no index; but some are of
 * what was stored anew, and lies in what runs at other places. */
bool offer_is_weighed(const OmahaResponse *response, const OmahaPackage *delta);

/* state's policy must be bound to the response (download-policy.h) when it offers an update.
 * text says the decision in one line for a person. */
OfferDecision offer_decide(const OmahaResponse *response, const EngineState *state,
        const OfferContext *context, ErrorText *ret_text);
