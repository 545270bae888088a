/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The update engine: asks the server when it is time, decides, installs, flips, remembers. It runs
 * on the event loop and knows nothing of D-Bus; the one who shows it observes it. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/engine/engine-status.h"

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
    const char *root;       /* stands for "/" in configuration and identity; "" for the real one */
    const char *disk_path;  /* NULL: of the running system */
    const char *slot_label; /* the slot that runs; NULL: found out. With disk_path and without a
                               label no slot of that disk counts as running */
    const char *state_dir;
    const char *key_dir;
    uint64_t postinst_limit_usec; /* of the new image's postinst; 0: it is not run */
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

/* The requests. All return at once. */

/* Asks the server, installs nothing. */
EngineAnswer engine_check(Engine *engine, ErrorText *error);

/* Asks the server and installs what it offers, because a person said so. */
EngineAnswer engine_update(Engine *engine, bool allows_downgrade, ErrorText *error);

/* What a person asked to install; strings are borrowed for the call. */
typedef struct {
    const char *source;     /* a local payload (absolute path) or an http(s) URL */
    const char *version;    /* that it must be of, where the format says its version, and counts as
                               where it does not; "" for any */
    const char *extensions; /* for the image's postinst (install/extension-offer.h): absolute paths,
                               one a line; "" for none */
    bool allows_downgrade;
} EngineInstall;

/* Installs it. */
EngineAnswer engine_install(Engine *engine, const EngineInstall *install, ErrorText *error);

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
