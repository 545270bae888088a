/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/hook-words.h"

#include <stdio.h>

void hook_words_fill(HookWords *words, const char *event, const char *version, const char *trigger)
{
    snprintf(words->event, sizeof(words->event), "LOCKSMITH_EVENT=%s", event);
    snprintf(words->version, sizeof(words->version), "LOCKSMITH_VERSION=%s", version);
    snprintf(words->trigger, sizeof(words->trigger), "LOCKSMITH_TRIGGER=%s", trigger);
    words->list[0] = words->event;
    words->list[1] = words->version;
    words->list[2] = words->trigger;
    words->list[3] = NULL;
}
