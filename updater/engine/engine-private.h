/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's inside, shared by the engine-*.c files alone. One task is under way at a time; it
 * begins with engine_begin() and ends with engine_finish(). A file may use those below it:
 *
 *   engine.c                              life: what is opened, in which order it starts
 *   engine-request.c, engine-rollback.c   what others ask for
 *   engine-check.c                        the timer, asking the server, the decision
 *   engine-table.c                        the partition table's health
 *   engine-install.c                      from an offer to a flipped slot
 *   engine-fetch.c                        what that costs of the network
 *   engine-boot.c                         which slot runs, what became of the last boot
 *   engine-takeover.c                     what update_engine has left behind
 *   engine-report.c                       events to the server
 *   engine-config.c, engine-task.c        update.conf; begin and end, what is kept on the disk
 *   engine-status.c                       what can be shown */

#include "common/http-client.h"
#include "common/http-url.h"
#include "updater/config/config.h"
#include "updater/engine/engine-status.h"
#include "updater/engine/slot-task.h"
#include "updater/engine/system-identity.h"
#include "updater/engine/table-care.h"
#include "updater/engine/table-watch.h"
#include "updater/install/install.h"
#include "updater/omaha/check-schedule.h"
#include "updater/omaha/event-outbox.h"
#include "updater/omaha/omaha-exchange.h"

/* What is under way. */
typedef struct {
    EngineTask task;
    bool is_explicit; /* a person asked */
    bool is_resumed;  /* goes on with what a restart cut */
    bool allows_downgrade;
    char source[ENGINE_SOURCE_BYTES];         /* of ENGINE_INSTALL */
    char version[ENGINE_VERSION_BYTES];       /* of ENGINE_INSTALL: what source must hold; "" any */
    char extensions[ENGINE_EXTENSIONS_BYTES]; /* of ENGINE_INSTALL: paths, a line each */
} EngineRequest;

/* What the install under way, or else the last one, costs of the network. */
typedef struct {
    InstallPlan plan; /* undecided: it has not come so far */
    uint64_t n_fetched_bytes;
    uint64_t n_requests;
    uint64_t n_bytes_before, n_requests_before; /* of these, by what the task gave up */
    ErrorText line; /* in words: what is planned, then what came of it */
} EngineFetch;

struct Engine {
    sd_event *event;
    const EngineObserver *observer;
    void *userdata;

    char *root;
    char *disk_option;
    char *slot_option;
    char *key_dir;
    uint64_t postinst_limit_usec;
    int root_fd;
    int state_fd;
    char *state_dir; /* its path */
    int lock_fd;

    HttpClient *http;
    Config *config;            /* the last good one; NULL before there was one */
    ErrorText config_warning;  /* what was left out of it; "" */
    HttpUrlShown server_shown; /* config's server, as anybody may see it */
    bool has_config_error;     /* last_error is of update.conf */
    bool has_open_password;    /* DOWNLOAD_PASSWORD can be read by everybody: said already */
    SystemIdentity identity;
    EngineState *state;
    EventOutbox *outbox;
    bool is_state_new;   /* there was none that can be used */
    bool has_old_prefs;  /* what update_engine has left has been read: its files are ours now */
    bool has_save_error; /* said already */
    bool has_mark_error; /* said already */

    char disk_path[4096]; /* "" when not known, disk_error says why */
    char running_label[SLOT_LABEL_BYTES];
    char target_label[SLOT_LABEL_BYTES]; /* the one slot that does not run; "" when not one */
    ErrorText disk_error;
    bool is_boot_unknown; /* what became of the pending slot cannot be told yet */

    TableCare table;
    TableWatch *table_watch;
    bool has_watch_error;  /* said already */
    SlotTask *table_task;  /* looks at the table, or repairs it */
    bool is_table_settled; /* when it began to look, nobody had written for a while */

    EnginePhase phase;
    EngineRequest request;
    char new_version[ENGINE_VERSION_BYTES]; /* of what is under way */
    InstallProgress progress;
    EngineFetch fetch;
    ErrorText deferred;    /* why what is offered is not fetched by itself; "" */
    char *refused_version; /* the last offer that was declined for good: said once */

    OmahaExchange *exchange; /* the check; kept while its offer is installed */
    size_t n_events_sent;    /* of the outbox, with the check */
    unsigned n_resume_failures;
    const OmahaResponse *offer; /* inside exchange */
    const OmahaPackage *delta;  /* inside offer: it is installed; NULL: the full payload */
    bool is_weighing;           /* the full payload is looked at first; it may be cheaper here */
    ErrorText ways;             /* what each would have cost, where both were looked at; "" */
    ErrorText delta_error;      /* why the full payload comes in its place; "" */
    bool has_bad_delta;         /* one failed: */
    Sha256 bad_delta;           /* this, which is not tried again */
    bool may_offer_name_hosts;  /* offer_may_name_hosts() of the server that was asked */
    Install *install;
    SlotTask *slot_task;  /* of a rollback or reset */
    bool has_warned;      /* of what does not stop the install */
    bool has_old_content; /* what the target held, as long as it is not known to be written */
    SlotContent old_content;
    SlotTask *record_task; /* hashes the running slot */
    bool is_flipped;       /* the install has succeeded, which is told after the record_task */
    SlotTask *tidy_task;   /* of the table, after a boot or a flip that was cut */

    CheckSchedule schedule;
    CheckResult check_result;
    uint64_t next_check_realtime_usec;
    sd_event_source *check_timer;

    OmahaExchange *report; /* events by themselves */
    size_t n_report_events;
    unsigned n_report_failures;
    sd_event_source *report_timer;
};

/* engine-status.c */

/* Whether nothing is under way. */
bool engine_is_free(const Engine *engine);

/* Whether a slot waits for its reboot. */
bool engine_waits_for_reboot(const Engine *engine);

/* engine-task.c */

/* Begins a task: the one setter of what is under way. */
void engine_begin(Engine *engine, const EngineRequest *request, EnginePhase phase);

/* Ends the task: frees its operations, remembers the error, goes back to idle or need-reboot,
 * tells the observer, last. code is UPDATE_OK unless result is ENGINE_FAILED or _CANCELLED. */
void engine_finish(Engine *engine, EngineResult result, UpdateError code, const char *text);

/* Frees the operations of the task; waits for their threads. */
void engine_drop_operations(Engine *engine);

/* The one setter of the phase: logs and tells the observer. */
void engine_set_phase(Engine *engine, EnginePhase phase);

/* Records in the state, without writing it, that version waits in the target slot for its reboot,
 * from this boot and from the version that runs. */
void engine_set_pending(Engine *engine, const char *version, bool is_rollback);

/* Writes the state, and what it means to other programs; a failure is logged once until it works
 * again. Errors: errno of the state, with error. */
int engine_save(Engine *engine, ErrorText *error);

/* Writes what the state means to other programs; a failure is logged once. */
void engine_write_marks(Engine *engine);

/* Keeps the offer's text for other programs, or removes the last one where no server has offered
 * what is installed; a failure is logged once. */
void engine_keep_answer(Engine *engine);

/* Adds to the history; a failure is logged. */
void engine_remember(Engine *engine, const char *what, const char *result, const char *version,
        const char *slot, unsigned code, const char *text);

/* engine-config.c */

/* Reads the configuration; what is wrong becomes last_error. Errors: of config_load, with error. */
int engine_load_config(Engine *engine, ErrorText *error);

/* engine-report.c */

/* An event for the server, on the disk before it returns, sent soon. previous_version may be "". */
void engine_report(Engine *engine, OmahaEventType type, OmahaEventResult result,
        unsigned error_code, const char *previous_version);

/* Sends what waits, unless that is under way already. */
void engine_send_reports(Engine *engine);

/* The server took the first n_events of the outbox. */
void engine_reports_delivered(Engine *engine, size_t n_events);

/* Who asks; strings inside the engine, which must have a configuration. */
OmahaIdentity engine_omaha_identity(const Engine *engine, bool is_interactive);

/* engine-boot.c */

/* Which disk, which slot runs, which is written next; without slots disk_error says why. */
void engine_find_slots(Engine *engine);

/* What became of the slot that was chosen before. At start, after engine_find_slots(). */
void engine_settle_boot(Engine *engine);

/* The same before each task, for what was open at start: a slot that was not marked good yet, or
 * could not be judged. */
void engine_settle_boot_again(Engine *engine);

/* After an install or a flip that failed or was cancelled: keeps of what is pending what the table
 * bears out, whatever was to be done to it; after an install also of what is known of the target's
 * content. The state is not saved. */
void engine_settle_target(Engine *engine, bool is_install);

/* False when the slot that runs is not marked good yet; then the other one must not be touched. */
bool engine_runs_what_is_good(const Engine *engine);

/* engine-takeover.c */

/* Takes over what update_engine has left, where there was no state or it has run since; once, as
 * soon as there is a configuration. Events are on the disk when this returns. True: the state is to
 * be written. */
bool engine_take_over(Engine *engine);

/* engine-install.c */

/* offer NULL: request's source. Ends in engine_finish(). */
void engine_start_install(Engine *engine, const OmahaResponse *offer);

/* Forgets what an install that failed or was cancelled has left in the state. */
void engine_forget_install(Engine *engine);

/* engine-fetch.c */

/* What the task under way may fetch; 0: whatever it costs. */
uint64_t engine_budget_bytes(const Engine *engine);

/* Of the offer, what is installed first: sets delta and is_weighing. What an earlier install has
 * begun is gone on with. */
void engine_choose_delta(Engine *engine);

/* What the full payload costs here is known. Where it was only looked at: true when the delta is
 * cheaper, and the install is to be refused; else the delta is dropped. */
bool engine_prefers_delta(Engine *engine, const InstallPlan *plan);

/* The install of the full payload has failed. Where it was only looked at: true, and the delta is
 * next. */
bool engine_turns_to_delta(Engine *engine, const InstallResult *result);

/* The install of the delta has failed: false when the full payload would fare no better; else drops
 * the delta. */
bool engine_leaves_delta(Engine *engine, const InstallResult *result);

/* Begins to count anew, for a task, or for another try of it, behind the one that ended. */
void engine_begin_fetch(Engine *engine);
void engine_begin_fetch_again(Engine *engine, const InstallResult *result);

/* Keeps what is known of the cost, and says it once. */
void engine_follow_fetch(Engine *engine, const InstallProgress *progress);

/* The install has ended, however: says what it came to. */
void engine_end_fetch(Engine *engine, const InstallResult *result);

/* The install ended with UPDATE_ERROR_BUDGET, having changed nothing: ends the task without a
 * failure, and tells the server. */
void engine_defer(Engine *engine, const InstallResult *result);

/* engine-table.c */

/* At start, after engine_find_slots(): looks after the table from now on. Errors: of
 * table_watch_new(). */
int engine_watch_table(Engine *engine);

/* At each check. */
void engine_look_at_table(Engine *engine);

/* engine-check.c */

/* The configuration has been read; ends in engine_finish() or an install. */
void engine_start_check(Engine *engine, const EngineRequest *request);

/* Plans the next check; wait_usec UINT64_MAX: as the schedule says. */
void engine_arm_check(Engine *engine, uint64_t wait_usec);
