/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's states in the words of bus-names.h. Pure; all text is static. */

#include "updater/engine/engine.h"

/* The status of com.coreos.update1.Manager. */
const char *bus_words_status(const EngineStatus *status);

/* What ended, and how, in Finished. */
const char *bus_words_task(EngineTask task);
const char *bus_words_result(EngineResult result);

/* How far it is, from 0 to 1. */
double bus_words_progress(const EngineStatus *status);
