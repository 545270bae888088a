/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Omaha v3 answer, element for element as Nebraska writes it. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/omaha-server/release-folder.h"

/* All borrowed. */
typedef struct {
    const char *app_id;
    const char *app_status;
    bool has_ping;
    size_t n_events;
    const char *check_status;     /* NULL: the request had no check */
    uint64_t poll_interval_sec;   /* 0: none is sent */
    const Release *release;       /* what is offered; NULL: nothing, or an offer without manifest */
    const Release *delta;         /* to it from client_version; NULL: none is offered */
    const char *client_version;   /* with delta */
    const char *const *codebases; /* used with release; "{version}" in them is replaced */
    size_t n_codebases;
} UpdateAnswer;

/* *ret_xml is new, NUL-terminated. Errors: -ENOMEM. */
int update_answer_write(const UpdateAnswer *answer, char **ret_xml);
