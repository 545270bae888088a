/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What update_engine_client's flags do, one function each. KEY=value lines go to stdout, words for
 * people to stderr. All return the exit code, with a line in error where it is not EXIT_SUCCESS. */

#include "updater/old-client/manager-proxy.h"

/* Forgets a pending reboot. */
int old_verb_reset_status(ManagerProxy *proxy, ErrorText *error);

/* Prints the status. */
int old_verb_status(ManagerProxy *proxy, ErrorText *error);

/* Asks for an update and returns at once. */
int old_verb_check_for_update(ManagerProxy *proxy, ErrorText *error);

/* Asks for an update and follows it to its end, with the status every 5 s. A daemon that goes away
 * meanwhile is waited for. */
int old_verb_update(ManagerProxy *proxy, ErrorText *error);

/* Prints the status at every change until the bus is gone. */
int old_verb_watch(ManagerProxy *proxy, ErrorText *error);
