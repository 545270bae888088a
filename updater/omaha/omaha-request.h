/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Omaha v3 request as update_engine 0.4 sends it (attribute set and order, braces), with every
 * value escaped correctly; updaterversion is our own name. Pure. */

#include <stdbool.h>
#include <stddef.h>

typedef enum { /* Omaha's numbers */
    OMAHA_EVENT_UPDATE_COMPLETE = 3,
    OMAHA_EVENT_DOWNLOAD_STARTED = 13,
    OMAHA_EVENT_DOWNLOAD_FINISHED = 14,
} OmahaEventType;

typedef enum {
    OMAHA_RESULT_ERROR = 0,
    OMAHA_RESULT_SUCCESS = 1,
    OMAHA_RESULT_SUCCESS_REBOOT = 2,
    OMAHA_RESULT_DEFERRED = 9,
} OmahaEventResult;

typedef struct {
    OmahaEventType type;
    OmahaEventResult result;
    unsigned error_code;        /* sent when result is ERROR or DEFERRED, as it is: none of the
                                 * flags that update_engine adds in the four highest bits, for
                                 * they take one failure apart into several on a server's page,
                                 * and one of them is set for every server but the vendor's */
    char previous_version[129]; /* sent with SUCCESS_REBOOT, "" in steady state */
} OmahaEvent;

/* Who asks. All borrowed, none NULL ("" where unknown). */
typedef struct {
    const char *app_id;
    const char *version;
    const char *track;
    const char *boot_id; /* without braces */
    const char *oem;
    const char *oem_version;
    const char *aleph_version;
    const char *machine_id;
    const char *machine_alias;
    const char *board;
    const char *architecture; /* uname -m */
    bool is_interactive;
} OmahaIdentity;

/* A check: ping, updatecheck and the events (the steady-state 3/2 when n_events is 0). *ret_xml is
 * new. What a value holds that XML cannot carry (bytes that are not UTF-8, control characters) is
 * sent as U+FFFD, for a machine with an odd name must get its updates too. Errors: -ENOMEM. */
int omaha_request_check(
        const OmahaIdentity *identity, const OmahaEvent *events, size_t n_events, char **ret_xml);

/* Events alone. Errors: as above. */
int omaha_request_events(
        const OmahaIdentity *identity, const OmahaEvent *events, size_t n_events, char **ret_xml);
