/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Telling people at their terminals. */

#include <stddef.h>

#include "locksmith/conditions/logind/logind.h"

/* Writes the message (one line, UTF-8; control characters are shown, not sent) to every session's
 * terminal below dev_root ("/dev"), framed as wall(1) does. Terminals that do not take it at once
 * are left out: never blocks. Returns how many were told. */
size_t login_warning_send(
        const char *dev_root, const LogindSession *sessions, size_t n_sessions, const char *text);

/* What the warnings say. */
typedef struct {
    const char *host;
    const char *version; /* of the system that comes with the reboot; "" unknown */
    const char *when;    /* "in 5min" or "now" */
} LoginWarning;

/* The line for login_warning_send: what will be, when, and how to stop it. */
typedef struct {
    char text[512];
} LoginWarningText;
LoginWarningText login_warning_show(const LoginWarning *warning);
