/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Following a task of the engine until it ends: a progress bar on a terminal, a line at each phase
 * and each tenth of the way elsewhere, JSON lines when asked. An engine that goes away (a restart,
 * an update of its own package) is waited for, and followed again where it goes on. */

#include <stdbool.h>

#include "updater/client/engine-proxy.h"

/* proxy listens already (engine_proxy_listen), from before the task was asked for. what is one of
 * BUS_WHAT_*. Prints to stdout. Returns 0 with *ret_end, or a client exit code with error: the
 * engine did not come back, or came back and did not go on. */
int follow_task(
        EngineProxy *proxy, const char *what, bool is_json, EngineEnd *ret_end, ErrorText *error);
