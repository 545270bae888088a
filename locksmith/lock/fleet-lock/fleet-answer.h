/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a FleetLock server's answer means. The protocol
 * (https://coreos.github.io/zincati/development/fleetlock/protocol/) knows "done" and "not done",
 * and a body {"kind":...,"value":...} whose words are each server's own: those of airlock
 * (coreos/airlock) and poseidon/fleetlock are known here. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"

#define FLEET_ANSWER_MAX_BYTES (16 * 1024)

typedef enum {
    FLEET_DONE,
    FLEET_FULL,     /* pre-reboot: others have all places */
    FLEET_CONFLICT, /* others asked at the same time; surely not done: ask again at once */
    FLEET_NOT_NOW,  /* surely not done; later may do */
    FLEET_UNCLEAR,  /* the server failed with it: may have been done all the same */
    FLEET_REFUSED,  /* needs a person */
} FleetVerdict;

/* status: of HTTP; body: as far as one came. The error says what is wrong and what to do; it stays
 * untouched with FLEET_DONE. */
FleetVerdict fleet_answer_judge(
        unsigned status, bool is_pre_reboot, const char *body, size_t n_bytes, ErrorText *error);
