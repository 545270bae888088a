/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the engine shows: to its observer, to the bus, to its own parts. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "partitions/slot-trailer.h"
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
    /* Of the install under way, else of the last one since the engine's start. */
    const char *fetch_way;     /* install_way_text(); "" before it is known */
    const char *fetch_text;    /* in words; "" */
    uint64_t n_bytes_to_fetch; /* as planned */
    uint64_t n_bytes_whole;    /* of the payload, the full one where a delta comes in its place */
    uint64_t n_requests;
    const char *deferred;       /* why what is offered is not fetched by itself; "" */
    const char *config_warning; /* what was left out of update.conf; "" */
    const char *channel;
    const char *server; /* "" when disabled */
    const char *product;
    const char *version;        /* of the running system */
    const char *new_version;    /* under way or waiting for its reboot; "" */
    const char *running_slot;   /* label; "" when not known */
    const char *target_slot;    /* label; "" when not known */
    const char *table_health;   /* gpt_disk_health_text(); "" while the disk is not known */
    uint64_t last_checked_usec; /* CLOCK_REALTIME; 0: never */
    uint64_t next_check_usec;   /* CLOCK_REALTIME; 0: none */
} EngineStatus;

/* Called from the loop; a handler must not free the engine. */
typedef struct {
    void (*on_status)(void *userdata);   /* the phase or what belongs to it changed */
    void (*on_progress)(void *userdata); /* only the byte counts changed */
    void (*on_finished)(const EngineOutcome *outcome, void *userdata);
} EngineObserver;

/* What can be shown now. */
EngineStatus engine_status(const Engine *engine);

/* "idle", "checking", ...; static. */
const char *engine_phase_text(EnginePhase phase);

/* The slots of the disk as they are now. Blocks on the partition table. Errors: of slot_disk_open,
 * -ENODEV when the disk is not known. */
int engine_open_slots(const Engine *engine, SlotDisk **ret_disk, ErrorText *error);

/* The trailer of the slot of this label; *ret_trailer is set for TRAILER_VALID. Blocks on the last
 * block of the slot. Errors: as above, -ENOENT no such slot, errno of reading. */
int engine_read_trailer(const Engine *engine, const char *label, TrailerFault *ret_fault,
        SlotTrailer *ret_trailer, ErrorText *error);

/* What was recorded of the slot's content (inside the engine), or NULL. */
const SlotContent *engine_slot_content(const Engine *engine, const char *label);
