/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Telling people at their terminals. */

#include <stddef.h>

#include "locksmith/conditions/logind.h"

/* Writes the message (one line, UTF-8; control characters are shown, not sent) to every session's
 * terminal below dev_root ("/dev"), framed as wall(1) does. Terminals that do not take it at once
 * are left out: never blocks. Returns how many were told. */
size_t login_warning_send(
        const char *dev_root, const LogindSession *sessions, size_t n_sessions, const char *text);
