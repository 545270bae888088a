/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What locksmithd tells its hooks in their environment (locksmithd(8)). */

#define HOOK_EVENT_CHECK "check"   /* reboot-check.d */
#define HOOK_EVENT_REBOOT "reboot" /* pre-reboot.d */
#define HOOK_EVENT_CANCELLED \
    "cancelled"                    /* post-boot.d: pre-reboot.d ran, the reboot does not come */
#define HOOK_EVENT_BOOTED "booted" /* post-boot.d */

typedef struct {
    char event[64];
    char version[192];
    char trigger[64];
    const char *list[4]; /* for HookRunOptions.environment: into this object */
} HookWords;

/* version: that the host reboots into, "" not known; trigger: as the property Trigger, "" none. */
void hook_words_fill(HookWords *words, const char *event, const char *version, const char *trigger);
