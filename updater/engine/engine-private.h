/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's inside, shared by the engine-*.c files alone: engine.c (life, status, the clock),
 * engine-request.c (what others ask for), engine-boot.c (what became of the last boot), engine-check.c (asking the server),
 * engine-install.c, engine-rollback.c and engine-report.c (events to the server). One task is under
 * way at a time; it begins with engine_begin() and ends with engine_finish() (engine-task.c). */

#include "common/http-client.h"
#include "updater/config/config.h"
#include "updater/engine/engine.h"
#include "updater/engine/history.h"
#include "updater/engine/slot-task.h"
#include "updater/engine/system-identity.h"
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
    char source[ENGINE_SOURCE_BYTES]; /* of ENGINE_INSTALL */
} EngineRequest;

struct Engine {
    sd_event *event;
    const EngineObserver *observer;
    void *userdata;

    char *root;
    char *disk_option;
    char *slot_option;
    char *key_dir;
    int root_fd;
    int state_fd;
    int lock_fd;

    HttpClient *http;
    Config *config;        /* the last good one; NULL before there was one */
    bool has_config_error; /* last_error is of update.conf */
    SystemIdentity identity;
    EngineState *state;
    EventOutbox *outbox;
    bool has_save_error; /* said already */

    char disk_path[4096]; /* "" when not known, disk_error says why */
    char running_label[SLOT_LABEL_BYTES];
    char target_label[SLOT_LABEL_BYTES]; /* the one slot that does not run; "" when not one */
    ErrorText disk_error;

    EnginePhase phase;
    EngineRequest request;
    char new_version[ENGINE_VERSION_BYTES]; /* of what is under way */
    InstallProgress progress;
    char *refused_version; /* the last offer that was declined for good: said once */

    OmahaExchange *exchange; /* the check; kept while its offer is installed */
    size_t n_events_sent;    /* of the outbox, with the check */
    unsigned n_resume_failures;
    const OmahaResponse *offer; /* inside exchange */
    Install *install;
    SlotTask *slot_task;   /* of a rollback or reset */
    bool has_warned;       /* of what does not stop the install */
    bool is_committed;     /* on_commit was called */
    bool is_reset;         /* a withdrawal that only forgets */
    SlotTask *record_task; /* hashes the running slot */
    SlotTask *tidy_task;   /* makes a slot that fell back unbootable */

    CheckSchedule schedule;
    CheckResult check_result;
    uint64_t next_check_realtime_usec;
    sd_event_source *check_timer;

    OmahaExchange *report; /* events by themselves */
    size_t n_report_events;
    unsigned n_report_failures;
    sd_event_source *report_timer;
};

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

/* Writes the state; a failure is logged once until it works again. Errors: errno, with error. */
int engine_save(Engine *engine, ErrorText *error);

/* Adds to the history; a failure is logged. */
void engine_remember(Engine *engine, const char *what, const char *result, const char *version,
        const char *slot, unsigned code, const char *text);

/* Whether nothing is under way. */
bool engine_is_free(const Engine *engine);

/* Whether a slot waits for its reboot. */
bool engine_waits_for_reboot(const Engine *engine);

/* engine.c */

/* Plans the next check; wait_usec UINT64_MAX: as the schedule says. */
void engine_arm_check(Engine *engine, uint64_t wait_usec);

uint64_t engine_clock_usec(clockid_t clock);
uint64_t engine_random(void);

/* engine-boot.c: called once, at start. */
void engine_find_slots(Engine *engine);
void engine_settle_boot(Engine *engine);

/* engine-check.c: the configuration has been read; ends in engine_finish() or an install. */
void engine_start_check(Engine *engine, const EngineRequest *request);

/* Reads the configuration; what is wrong becomes last_error. */
int engine_load_config(Engine *engine, ErrorText *error);

/* engine-install.c: offer NULL: request's source. */
void engine_start_install(Engine *engine, const OmahaResponse *offer);

/* Forgets what an install that failed or was cancelled has left in the state. */
void engine_forget_install(Engine *engine);

/* engine-report.c: an event for the server, on the disk before it returns, sent soon. */
void engine_report(Engine *engine, OmahaEventType type, OmahaEventResult result,
        unsigned error_code, const char *previous_version);
void engine_send_reports(Engine *engine);
void engine_reports_delivered(Engine *engine, size_t n_events);

/* Who asks; strings inside the engine. */
OmahaIdentity engine_omaha_identity(const Engine *engine, bool is_interactive);
