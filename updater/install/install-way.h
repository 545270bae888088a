/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a payload comes to the slot, and what that costs: decided when its metadata has come, before
 * the target is touched. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"

typedef enum {
    INSTALL_UNDECIDED,
    INSTALL_FROM_FILE, /* nothing is fetched */
    INSTALL_WHOLE,     /* all of a full payload, or what an earlier try has not brought */
    INSTALL_ADAPTIVE,  /* what of a full payload this machine lacks */
    INSTALL_DELTA,     /* a payload that holds the difference to the running version */
} InstallWay;

typedef struct {
    InstallWay way;
    uint64_t n_fetch_bytes; /* of the network, the metadata with it; parts that come twice and what
                               stands between ranges are not foreseen */
    uint64_t n_whole_bytes; /* of the payload */
    bool is_fallback;       /* less would have done, but for the reason */
    ErrorText reason;       /* why all is fetched, or where the rest is: half a sentence; "" */
    uint64_t n_left_bytes;  /* of n_fetch_bytes: behind the metadata, which is here by now */
} InstallPlan;

/* "", "file", "whole", "adaptive" or "delta"; static. */
const char *install_way_text(InstallWay way);

/* The plan in one line for a person: "fetching 22.1 MB of 350 MB: the rest is in USR-A". "" while
 * undecided and when nothing is fetched. */
void install_plan_say(const InstallPlan *plan, ErrorText *ret_line);

/* What came of it in one line: "fetched 22.3 MB of 350 MB in 41 requests (adaptive)". */
void install_plan_say_end(const InstallPlan *plan, uint64_t n_fetched_bytes, uint64_t n_requests,
        ErrorText *ret_line);
