/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For logind.c and logind-reboot.c alone. */

#include "locksmith/conditions/logind/logind.h"

#define LOGIND_NO_SUCH_SESSION "org.freedesktop.login1.NoSuchSession"

/* Borrowed. */
sd_bus *logind_bus(const Logind *logind);
sd_event *logind_event(const Logind *logind);
