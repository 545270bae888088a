/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The update engine: asks the server when it is time, decides, installs, flips, remembers. It runs
 * on the event loop and knows nothing of D-Bus; the one who shows it observes it. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "updater/engine/engine-state.h"
#include "updater/update-error.h"

typedef struct Engine Engine;

typedef enum {
    ENGINE_IDLE,
    ENGINE_CHECKING,
    ENGINE_STARTING,
    ENGINE_PREPARING,
    ENGINE_DOWNLOADING,
    ENGINE_VERIFYING,
    ENGINE_COMMITTING,
    ENGINE_ROLLING_BACK,
    ENGINE_NEED_REBOOT,
    ENGINE_REPORTING_ERROR, /* for a moment after each failure, as update_engine shows it */
} EnginePhase;

/* What somebody, or the clock, asked for. */
typedef enum { ENGINE_CHECK, ENGINE_UPDATE, ENGINE_INSTALL, ENGINE_ROLLBACK } EngineTask;

/* How it ended. */
typedef enum {
    ENGINE_DONE,
    ENGINE_NO_UPDATE,
    ENGINE_NOT_NOW,
    ENGINE_CANCELLED,
    ENGINE_FAILED,
} EngineResult;

/* Whether a request was taken. */
typedef enum {
    ENGINE_STARTED, /* on_finished will tell its end */
    ENGINE_BUSY,
    ENGINE_DISABLED,      /* SERVER=disabled, or none is set */
    ENGINE_NOTHING_TO_DO, /* nothing to cancel, to reset */
    ENGINE_REFUSED,       /* it would be wrong; the reason is in error */
    ENGINE_CANNOT,        /* the machine cannot do it; the reason is in error */
} EngineAnswer;

typedef struct {
    EngineTask task;
    EngineResult result;
    UpdateError code;    /* UPDATE_OK unless it failed */
    const char *version; /* it was about; "" when not known */
    const char *text;    /* in words; "" when there is nothing to add */
} EngineOutcome;

/* What can be shown; strings are inside the engine until it changes. */
typedef struct {
    EnginePhase phase;
    bool needs_reboot;      /* a slot waits for its reboot, whatever the phase */
    const char *last_error; /* "" after a success */
    unsigned last_error_code;
    uint64_t n_bytes_done;
    uint64_t n_bytes_total;
    uint64_t n_bytes_fetched;
    const char *channel;
    const char *server; /* "" when disabled */
    const char *product;
    const char *version;        /* of the running system */
    const char *new_version;    /* under way or waiting for its reboot; "" */
    const char *running_slot;   /* label; "" when not known */
    const char *target_slot;    /* label; "" when not known */
    uint64_t last_checked_usec; /* CLOCK_REALTIME; 0: never */
    uint64_t next_check_usec;   /* CLOCK_REALTIME; 0: none */
} EngineStatus;

/* Called from the loop; a handler must not free the engine. */
typedef struct {
    void (*on_status)(void *userdata);   /* the phase or what belongs to it changed */
    void (*on_progress)(void *userdata); /* only the byte counts changed */
    void (*on_finished)(const EngineOutcome *outcome, void *userdata);
} EngineObserver;

typedef struct {
    const char *root;       /* stands for "/" in configuration and identity; "" for the real one */
    const char *disk_path;  /* NULL: of the running system */
    const char *slot_label; /* the slot that runs; NULL: found out. With disk_path and without a
                               label no slot of that disk counts as running */
    const char *state_dir;
    const char *key_dir;
} EngineOptions;

/* Takes the lock of the state folder (made when it is missing), reads the state, settles what
 * became of the last boot, plans the first check. options is copied; event is referenced; observer
 * is borrowed for the engine's life. A configuration that cannot be used or a system without slots
 * is no failure: the engine lives, says so in last_error, and tries again at every check.
 * Blocks on small files and a partition table.
 * Errors, with error: -EBUSY another engine holds the lock, -EROFS and other errno of a state
 * folder that cannot be used, -ENOMEM. */
int engine_new(sd_event *event, const EngineOptions *options, const EngineObserver *observer,
        void *userdata, Engine **ret_engine, ErrorText *error);

/* Ends what is under way, so that the next start goes on with it; waits for its threads. */
void engine_free(Engine *engine);
DEFINE_CLEANUP(Engine *, engine_free);

EngineStatus engine_status(const Engine *engine);

/* "idle", "checking", ...; static. */
const char *engine_phase_text(EnginePhase phase);

/* The slots of the disk as they are now. Blocks on the partition table. Errors: of slot_disk_open,
 * -ENODEV when the disk is not known. */
int engine_open_slots(const Engine *engine, SlotDisk **ret_disk, ErrorText *error);

/* What is known of the slot's content (inside the engine), or NULL. */
const SlotContent *engine_slot_content(const Engine *engine, const char *label);

/* The requests. All return at once. */

/* Asks the server, installs nothing. */
EngineAnswer engine_check(Engine *engine, ErrorText *error);

/* Asks the server and installs what it offers, because a person said so. */
EngineAnswer engine_update(Engine *engine, bool allows_downgrade, ErrorText *error);

/* Installs a local payload (absolute path) or one from an http(s) URL. */
EngineAnswer engine_install(
        Engine *engine, const char *source, bool allows_downgrade, ErrorText *error);

/* Verifies the other slot and flips to it; withdraws an update that waits for its reboot. */
EngineAnswer engine_rollback(Engine *engine, ErrorText *error);

/* Ends what is under way: ENGINE_DONE's opposite, on_finished is called before it returns.
 * ENGINE_STARTED when it did; ENGINE_REFUSED once the flip has begun. */
EngineAnswer engine_cancel(Engine *engine, ErrorText *error);

/* Forgets the pending reboot: the slot that waits is made unbootable, its version is not
 * remembered as failed. */
EngineAnswer engine_reset(Engine *engine, ErrorText *error);

/* Reads the configuration again. Errors: of config_load, with error. */
int engine_reload(Engine *engine, ErrorText *error);
