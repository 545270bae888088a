/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* locksmithd as seen over D-Bus (locksmith-bus.h). All text that comes out of it is printable.
 * Calls block for ten seconds at most. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct {
    char name[32];
    bool holds;
    char text[256];
    uint64_t change_usec; /* 0: unknown */
} ConditionView;

#define DAEMON_MAX_CONDITIONS 16

/* Its properties. */
typedef struct {
    char state[32];
    char text[512];
    char strategy[32];
    char decision[256];
    char group[256];
    char store[32];
    char holds[16];
    char release[32];
    char release_text[512];
    char version[160];
    char trigger[32];
    char last_error[512];
    uint64_t since_usec;
    uint64_t next_usec;
    uint64_t paused_until_usec;
    uint64_t last_error_usec;
    ConditionView conditions[DAEMON_MAX_CONDITIONS];
    size_t n_conditions;
} DaemonView;

/* address is the bus', NULL: the system bus. Both return 0 or an exit code (CTL_...), with error:
 * CTL_NO_DAEMON only where locksmithd surely does not run, so that nothing was asked of it. */

/* Reads all properties. */
int daemon_proxy_view(const char *address, DaemonView *ret_view, ErrorText *error);

/* Calls a method with arguments of types, as sd_bus_message_append takes them. */
int daemon_proxy_ask(
        const char *address, const char *method, ErrorText *error, const char *types, ...);
