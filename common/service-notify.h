/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What systemd hears of a daemon (sd_notify(3)): nothing where it does not listen. */

#include <systemd/sd-event.h>

#include "common/cleanup.h"

/* READY=1, and the watchdog that WatchdogSec= asks for, fed by the loop. Errors: of sd_event. */
int service_notify_ready(sd_event *event);

/* STATUS=, one line for systemctl status. */
void service_notify_status(const char *format, ...) _printf_(1, 2);
