/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the server misbehaves, as one JSON object says: from `--misbehave KEY=VALUE` and from a file
 * that is read again at each request, so that a test turns faults on and off while the server
 * runs. Keys:
 *
 *   "omaha": "no-update" | "rate-limit" | "no-manifest" (only checks for updates are concerned),
 *            "http-404" | "http-500" | "http-503" | "stall" | "empty" | "garbage-xml" |
 *            "truncated-xml" | "entity-bomb" | "huge-xml" (100 MB) | "redirect-loop" |
 *            "redirect-file"
 *   "payload": "http-404" | "http-500" | "stall" | "cut" | "no-ranges" | "redirect" (to a place
 *            that behaves) | "redirect-loop" | "redirect-file" | "wrong-length" (announces more
 *            than it sends) | "corrupt" (one bit of the byte at "offset" of the payload)
 *   "after": N            bytes of a payload answer before its stall or cut
 *   "offset": N           for corrupt
 *   "times": N            only the first N requests of either kind misbehave, counted anew when the
 *                         file changes; "rate", "poll-interval" go on
 *   "wrong-size", "wrong-hash": true    lies in the Omaha answer
 *   "app-status": TEXT    app@status of a check, with updatecheck "error-internal"
 *   "rate": N             bytes per second of each payload answer, smoothly
 *   "poll-interval": N    PollInterval of a check, in seconds */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef enum { /* up to NO_MANIFEST: an answer's content, of checks alone; then every answer */
    OMAHA_FAULT_NONE,
    OMAHA_FAULT_NO_UPDATE,
    OMAHA_FAULT_RATE_LIMIT,
    OMAHA_FAULT_NO_MANIFEST,
    OMAHA_FAULT_HTTP_404,
    OMAHA_FAULT_HTTP_500,
    OMAHA_FAULT_HTTP_503,
    OMAHA_FAULT_STALL,
    OMAHA_FAULT_EMPTY,
    OMAHA_FAULT_GARBAGE_XML,
    OMAHA_FAULT_TRUNCATED_XML,
    OMAHA_FAULT_ENTITY_BOMB,
    OMAHA_FAULT_HUGE_XML,
    OMAHA_FAULT_REDIRECT_LOOP,
    OMAHA_FAULT_REDIRECT_FILE,
} OmahaFault;

typedef enum {
    PAYLOAD_FAULT_NONE,
    PAYLOAD_FAULT_HTTP_404,
    PAYLOAD_FAULT_HTTP_500,
    PAYLOAD_FAULT_STALL,
    PAYLOAD_FAULT_CUT,
    PAYLOAD_FAULT_NO_RANGES,
    PAYLOAD_FAULT_REDIRECT,
    PAYLOAD_FAULT_REDIRECT_LOOP,
    PAYLOAD_FAULT_REDIRECT_FILE,
    PAYLOAD_FAULT_WRONG_LENGTH,
    PAYLOAD_FAULT_CORRUPT,
} PayloadFault;

typedef struct {
    OmahaFault omaha;
    PayloadFault payload;
    uint64_t after_bytes;
    uint64_t offset_bytes;
    uint64_t bytes_per_second;  /* 0: as fast as it goes */
    uint64_t poll_interval_sec; /* 0: none is sent */
    bool lies_about_size;
    bool lies_about_hash;
    char app_status[64]; /* "": as it is */
} Behaviour;

/* What kind of request asks how to behave, for "times". */
typedef enum {
    BEHAVIOUR_FOR_REPORT, /* Omaha without a check */
    BEHAVIOUR_FOR_CHECK,
    BEHAVIOUR_FOR_PAYLOAD,
} BehaviourFor;

typedef struct BehaviourSource BehaviourSource;

/* base (consumed; NULL for none) is overlaid by the keys of the file at path (copied; NULL for
 * none), which need not be there. Errors: -EINVAL with error when base is not as above, -ENOMEM. */
int behaviour_source_new(
        json_t *base, const char *path, BehaviourSource **ret_source, ErrorText *error);
void behaviour_source_free(BehaviourSource *source);
DEFINE_CLEANUP(BehaviourSource *, behaviour_source_free);

/* How to answer the next request; counts it. Any thread. Blocks for the file.
 * Errors: -EINVAL when the file is not as above, errno of reading it; with error. */
int behaviour_source_next(
        BehaviourSource *source, BehaviourFor kind, Behaviour *ret_behaviour, ErrorText *error);

/* The fault's name as above, "" for none. Static. */
const char *behaviour_omaha_fault_name(OmahaFault fault);

/* Adds what KEY=VALUE says to object (borrowed). Errors: -EINVAL with error, -ENOMEM. */
int behaviour_add_switch(json_t *object, const char *text, ErrorText *error);
