/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hands the PCR policy of a new slot to the server that seals a machine's secrets
 * (PCR_POLICY_SERVER of update.conf): before the flip, since a machine that boots a slot whose
 * measurements nobody expects is refused its keys. Tried three times. Nothing blocks. */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/http-client.h"

#define POLICY_POST_MAX_BYTES ((size_t)1024 * 1024) /* of a policy */

typedef struct PolicyPost PolicyPost;

/* Called once, never from inside _new. error: why it was not taken, one line; NULL: it was. */
typedef void PolicyPostDone(const char *error, void *userdata);

/* POSTs policy (copied at each try, borrowed until the end) to url (borrowed as well); any 2xx
 * answer takes it, and one of 4xx is not asked again. retry_delay_usec is waited before the second
 * try, and twice that before the third; 0: 2 s. Errors: -ENOMEM, errno of sd-event. */
int policy_post_new(sd_event *event, HttpClient *http, const char *url, const void *policy,
        size_t n_bytes, uint64_t retry_delay_usec, PolicyPostDone *on_done, void *userdata,
        PolicyPost **ret_post);

/* Cancels if still under way; on_done is then not called. */
void policy_post_free(PolicyPost *post);
DEFINE_CLEANUP(PolicyPost *, policy_post_free);
