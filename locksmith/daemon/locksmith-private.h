/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of Locksmith, shared by locksmith*.c alone. */

#include "locksmith/conditions/coordinator.h"
#include "locksmith/conditions/file-watch.h"
#include "locksmith/conditions/hooks.h"
#include "locksmith/conditions/logind/logind.h"
#include "locksmith/config/host-identity.h"
#include "locksmith/config/locksmith-config.h"
#include "locksmith/daemon/boot-release.h"
#include "locksmith/daemon/watch/clock-alarm.h"
#include "locksmith/daemon/watch/local-etcd.h"
#include "locksmith/daemon/lock-keeper.h"
#include "locksmith/daemon/locksmith.h"
#include "locksmith/daemon/reboot-note.h"
#include "locksmith/daemon/watch/update-signal.h"

/* Looking again before a step that cannot be taken back. */
typedef enum {
    LOOK_NOTHING,
    LOOK_UPDATE, /* asks update-engine */
    LOOK_LOGIND,
    LOOK_LOCK, /* where it is held: is it still? */
    LOOK_HOOKS /* reboot-check.d */
} LookStage;

struct Locksmith {
    sd_event *event;
    const LocksmithOptions *options;
    void (*on_status)(void *userdata);
    void *userdata;
    int root_fd;
    char *dev_root;
    HostIdentity identity;

    LocksmithConfig *config;
    RebootCalendar *calendar;
    Coordinator *coordinator; /* NULL: off */
    FileWatch *files;
    ClockAlarm *alarm;
    sd_event_source *turn; /* plans once in the next turn of the loop */

    sd_bus *bus; /* NULL: away, and so are: */
    Logind *logind;
    UpdateSignal *update;

    RebootNote note;
    LockKeeper *keeper;      /* NULL: nothing that is configured needs one */
    bool is_semaphore_noted; /* what the keeper saw, in the file */
    bool is_lock_stale; /* the configuration names another lock: change over when none is held */
    LockKeeper *next_keeper; /* to; NULL: none is needed then */
    HoldState keeper_holds;  /* as seen last */
    BootReleaseOptions release_options;
    BootRelease *release;     /* NULL: this boot was settled before */
    bool is_lock_from_before; /* the lock is the release's affair */
    bool is_owed_to_boot;     /* it was, until another reboot wanted the lock */
    bool is_place_known;      /* the lock from before was taken where the keeper looks */

    RebootPlan plan;
    uint64_t since_usec; /* of the plan's state */
    uint64_t unknown_since_uptime_usec;
    char version[128]; /* that waited at the last plan */
    RebootTrigger trigger;
    PersonsWord pause; /* both as read last */
    ErrorText pause_error;
    ErrorText approval_error;
    bool is_needed_by_person;
    bool is_reboot_now;
    bool skips_hooks;

    GraceStage grace;
    uint64_t grace_begun_uptime_usec;
    sd_event_source *users_timer; /* sessions that close send no signal */
    RunStage check;
    LookStage look;
    LockNeed need;
    char need_text[512];
    LocalEtcd *local_etcd;
    sd_event_source *need_timer;
    uint64_t need_next_uptime_usec;
    unsigned n_unclear;
    sd_event_source *lock_timer; /* waiting for the lock has lasted too long */
    RunStage hooks;
    HookRun *hook_run; /* of reboot-check.d, pre-reboot.d, or post-boot.d when backing out */
    LogindStage logind_stage;
    LogindReboot *reboot;
    uint64_t logind_deadline_uptime_usec;
    bool is_backing_out;
    char back_out_text[512];
    char refusal[512];
    uint64_t retry_uptime_usec;
    unsigned n_refusals;
    char last_error[512];
    uint64_t last_error_usec;
};

/* locksmith.c */

/* Plans in the next turn of the loop. */
void locksmith_touch(Locksmith *locksmith);
/* Logs it, and keeps it to be shown. */
void locksmith_complain(Locksmith *locksmith, const char *what, const char *text);
/* Writes down what is under way: before it begins, or else it must not begin. */
int locksmith_write_note(Locksmith *locksmith, ErrorText *error);
/* The same for what has ended: a note of it that stays costs a look at the store. */
void locksmith_save_note(Locksmith *locksmith);

/* locksmith-setup.c */

/* Reads the configuration and makes what hangs on it; on an error nothing has changed. */
int locksmith_load(Locksmith *locksmith, ErrorText *error);
/* Takes the lock that is configured now, once the one from before holds nothing. */
void locksmith_change_lock(Locksmith *locksmith);
/* At start: what the note and the configuration say is owed from before. */
int locksmith_settle_boot(Locksmith *locksmith, ErrorText *error);

/* locksmith-facts.c */

void locksmith_gather(Locksmith *locksmith, RebootFacts *ret_facts);
const char *locksmith_trigger_name(RebootTrigger trigger);

/* locksmith-steps.c */

void locksmith_do(Locksmith *locksmith, PlanStep step);
/* What was reached before the lock counts no more. */
void locksmith_start_over(Locksmith *locksmith);
/* What was tried failed: tried again later, after going back where something is under way. */
void locksmith_fail(Locksmith *locksmith, const char *what, const char *text);

/* logind was asked, and did not refuse: it is given the configured time. */
void locksmith_expect_reboot(Locksmith *locksmith);
void locksmith_forgive(Locksmith *locksmith); /* no back-off any more */

/* locksmith-look.c */

void locksmith_look(Locksmith *locksmith);
void locksmith_stop_looking(Locksmith *locksmith);
int locksmith_run_hooks(Locksmith *locksmith, const char *kind, const char *event,
        void (*on_done)(HookRun *run, HooksResult result, const char *name, const char *text,
                void *userdata));

/* locksmith-need.c */

/* As it stands before anybody was asked. */
void locksmith_reset_need(Locksmith *locksmith);
/* A daemon before this one, in this boot, had come to the lock. */
void locksmith_remember_need(Locksmith *locksmith);
void locksmith_decide_need(Locksmith *locksmith);

/* locksmith-back-out.c */

void locksmith_back_out(Locksmith *locksmith, const char *reason);
/* Goes on with it where it waits for the lock. */
void locksmith_back_out_further(Locksmith *locksmith);
