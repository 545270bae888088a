/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An alarm at a time of the wall clock that also goes off when somebody sets that clock (NTP at
 * boot, a person, the wake-up of a machine that slept), because then whatever was computed from it
 * is to be computed again. Sleeps in the kernel until one of both happens. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct ClockAlarm ClockAlarm;

/* Not set at first. on_alarm: the time has come, or the clock was set; the caller looks at the
 * clock and decides. Never from inside a call; freeing or setting the alarm inside is allowed.
 * Errors: -ENOMEM, errno of timerfd_create and sd-event. */
int clock_alarm_new(
        sd_event *event, void (*on_alarm)(void *userdata), void *userdata, ClockAlarm **ret_alarm);
void clock_alarm_free(ClockAlarm *alarm);
DEFINE_CLEANUP(ClockAlarm *, clock_alarm_free);

/* Sets it to at_usec (CLOCK_REALTIME; what has passed goes off at once) in place of what was set
 * before, or off with 0. It goes off once when that time has come, and once each time that the
 * clock is set before. Errors: errno of timerfd_settime. */
int clock_alarm_set(ClockAlarm *alarm, uint64_t at_usec);
