/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Everything that a decision about the reboot is made from, at one moment. Plain data, borrowed by
 * reboot-plan.h. Times that end in _uptime_usec are CLOCK_BOOTTIME, which no clock step moves; the
 * others are CLOCK_REALTIME. */

#include <stdbool.h>
#include <stdint.h>

#include "locksmith/conditions/approval.h"
#include "locksmith/conditions/logind/logind.h"
#include "locksmith/window/reboot-calendar.h"

typedef enum {
    TRIGGER_UNKNOWN, /* update-engine has not said yet */
    TRIGGER_NONE,
    TRIGGER_UPDATE_ENGINE,
    TRIGGER_REBOOT_REQUIRED, /* /run/reboot-required */
    TRIGGER_PERSON,          /* SendNeedReboot */
} RebootTrigger;

typedef enum {
    GRACE_NOT_BEGUN,
    GRACE_BEGUN,  /* users were warned */
    GRACE_ENDING, /* and a second time, shortly before its end */
} GraceStage;

/* Of a look at the facts together with reboot-check.d, and of pre-reboot.d. */
typedef enum { RUN_NOT_YET, RUN_UNDER_WAY, RUN_PASSED } RunStage;

typedef enum {
    NEED_UNDECIDED, /* best-effort: not asked yet */
    NEED_ASKING,    /* is being found out */
    NEED_UNCLEAR,   /* no clear answer: asked again by itself */
    NEED_NO_LOCK,
    NEED_LOCK,
} LockNeed;

typedef enum {
    HOLDS_NO,
    HOLDS_YES,
    HOLDS_UNKNOWN, /* may be: counts as yes wherever that is the careful answer */
} HoldState;

typedef enum { LOGIND_NOT_ASKED, LOGIND_ASKED, LOGIND_ACCEPTED } LogindStage;

typedef struct {
    uint64_t now_usec;
    uint64_t uptime_usec;

    bool is_off;
    RebootTrigger trigger;
    const char *version;                /* that waits; "": not known */
    uint64_t unknown_since_uptime_usec; /* trigger or logind are not known: since when */
    bool is_reboot_now; /* a person's: past pause, window, approval, uptime, users */
    bool skips_hooks;   /* with it: reboot-check.d and pre-reboot.d are not run */

    PersonsWord pause;
    const char *pause_error; /* the file cannot be understood: counts as paused; "" */
    uint64_t min_uptime_usec;
    bool needs_approval;
    PersonsWord approval;
    const char *approval_error; /* counts as not approved; "" */
    RebootWindow window;
    LogindFacts logind;

    uint64_t grace_usec; /* configured */
    GraceStage grace;
    uint64_t grace_begun_uptime_usec;

    bool is_boot_busy;   /* health check or post-boot.d of this boot are running */
    RunStage check;      /* counts for the next step alone: lock, pre-reboot.d, logind */
    const char *refusal; /* why the last attempt failed, "" none; tried again at: */
    uint64_t retry_uptime_usec;

    LockNeed need;
    const char *need_text;
    HoldState holds;
    const char *lock_text;          /* why it is not held yet, "" not asked */
    uint64_t lock_next_uptime_usec; /* of the lock and of the question whether it is needed */

    RunStage hooks; /* pre-reboot.d; not RUN_NOT_YET: it has begun, and post-boot.d is owed */
    LogindStage logind_stage;
    uint64_t logind_deadline_uptime_usec; /* LOGIND_ACCEPTED */

    bool is_backing_out;
    const char *back_out_text;
} RebootFacts;
