/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What reboot-plan.c and reboot-conditions.c share. */

#include <stdarg.h>

#include "locksmith/daemon/plan/reboot-plan.h"

#define CHECKING_TEXT "asks again whether the reboot may be"

/* A moment as a person reads it, in the system's time zone. */
typedef struct {
    char text[64];
} WallTime;
WallTime reboot_plan_time(uint64_t usec);

/* CLOCK_REALTIME of a moment of CLOCK_BOOTTIME; what is past is now. */
uint64_t reboot_plan_realtime(const RebootFacts *facts, uint64_t uptime_usec);

/* Whether there is something to take back: a lock that is held, or may be, or pre-reboot.d. */
bool reboot_plan_is_under_way(const RebootFacts *facts);

/* CLOCK_BOOTTIME; only once it has begun. */
uint64_t reboot_plan_grace_end(const RebootFacts *facts);
bool reboot_plan_grace_fits(const RebootFacts *facts);
