/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the engine must know after a restart or a reboot: one JSON file, replaced as a whole. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "updater/slot/slot-proof.h"
#include "updater/omaha/download-policy.h"

#define ENGINE_STATE_FILE "state.json"
#define ENGINE_STATE_MAX_BYTES (64 * 1024)
#define ENGINE_VERSION_BYTES 129 /* a version and its NUL */
#define ENGINE_BOOT_ID_BYTES 37
#define ENGINE_SOURCE_BYTES 2048
#define ENGINE_EXTENSIONS_BYTES 4096
#define ENGINE_FAILED_VERSIONS_MAX 16
#define ENGINE_SLOTS_MAX 8

/* Another slot was chosen for the next boot, or is about to be. */
typedef struct {
    char version[ENGINE_VERSION_BYTES];
    char previous_version[ENGINE_VERSION_BYTES]; /* ran when it was chosen */
    char label[SLOT_LABEL_BYTES];
    char boot_id[ENGINE_BOOT_ID_BYTES]; /* of the boot in which it was chosen */
    bool is_rollback;                   /* a person went back to what the slot held */
    bool is_flipped;      /* the table is known to say so; false: power may have gone before */
    bool is_replaced;     /* the slot is being overwritten by a newer version, or withdrawn */
    bool is_booted;       /* it runs, or ran; not known to have been marked good */
    bool awaits_postinst; /* the image's postinst, which may flip by itself, has not ended: until it
                             has, this is no version that waits for its reboot */
} PendingSlot;

/* An install that had touched the target and has not ended: to be gone on with after a restart. */
typedef struct {
    char source[ENGINE_SOURCE_BYTES];         /* file or URL that was asked for; "" for an update */
    char version[ENGINE_VERSION_BYTES];       /* that it is to hold, as was said; "" */
    char extensions[ENGINE_EXTENSIONS_BYTES]; /* paths for its postinst, a line each; "" */
    bool is_explicit;                         /* a person asked */
    bool allows_downgrade;
} InterruptedInstall;

typedef struct {
    char label[SLOT_LABEL_BYTES];
    SlotContent content;
} SlotRecord;

typedef struct {
    bool has_pending;
    PendingSlot pending;
    bool has_interrupted;
    InterruptedInstall interrupted;
    char failed_versions[ENGINE_FAILED_VERSIONS_MAX][ENGINE_VERSION_BYTES]; /* oldest first */
    size_t n_failed_versions;
    SlotRecord slots[ENGINE_SLOTS_MAX];
    size_t n_slots;
    char aleph_version[ENGINE_VERSION_BYTES]; /* the first that this machine ran; "" before */
    char last_error[512];                     /* the last failure, "" after a success */
    unsigned last_error_code;
    uint64_t last_checked_usec; /* CLOCK_REALTIME; 0: never */
    DownloadPolicy policy;
} EngineState;

typedef enum {
    ENGINE_STATE_LOADED,
    ENGINE_STATE_NEW,     /* there was no file */
    ENGINE_STATE_CORRUPT, /* there was one that cannot be used; it is set aside as state.json.bad */
} EngineStateOrigin;

/* Makes an empty state. Errors: -ENOMEM. */
int engine_state_new(EngineState **ret_state);
void engine_state_free(EngineState *state);
DEFINE_CLEANUP(EngineState *, engine_state_free);

/* Reads the file below dir_fd; blocks. What cannot be used gives an empty state, never a failure:
 * a machine whose state is damaged must still update. error then says why. With may_set_aside the
 * damaged file is renamed. now_sec: CLOCK_REALTIME. Errors: -ENOMEM, errno of open and read. */
int engine_state_load(int dir_fd, uint64_t now_sec, bool may_set_aside, EngineState **ret_state,
        EngineStateOrigin *ret_origin, ErrorText *error);

/* Replaces the file; on the disk when this returns. Blocks.
 * Errors: errno of write, fsync and rename; the old file is then whole. */
int engine_state_save(const EngineState *state, int dir_fd, ErrorText *error);

/* Whether a slot waits for its reboot. */
bool engine_state_waits(const EngineState *state);

/* Whether version did not boot, or was rolled back, so that it is not tried again by itself. */
bool engine_state_has_failed(const EngineState *state, const char *version);

/* Adds a version (at most ENGINE_FAILED_VERSIONS_MAX are kept, the newest), or takes it out. */
void engine_state_add_failed(EngineState *state, const char *version);
void engine_state_remove_failed(EngineState *state, const char *version);

/* What is known of the slot of this label (inside state), or NULL. */
const SlotContent *engine_state_slot(const EngineState *state, const char *label);

/* Remembers content (copied) for label; NULL forgets it. Where there are more slots than
 * ENGINE_SLOTS_MAX the first one's record goes. */
void engine_state_set_slot(EngineState *state, const char *label, const SlotContent *content);
