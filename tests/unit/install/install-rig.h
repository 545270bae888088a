/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A whole machine for installs, in a folder: a disk image with the running slot USR-A and the
 * target USR-B (bootable before), a key, a state folder, an event loop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "partitions/slot-disk.h"
#include "tests/unit/install/payload-maker.h"
#include "updater/install/install.h"

#define RIG_SLOT_BYTES (4 << 20)

typedef struct InstallRig InstallRig;

struct InstallRig {
    sd_event *event;
    HttpClient *http;
    MadeKey key;
    char folder[64]; /* "": the test program's */
    char disk_path[256];
    char state_path[256];
    int state_fd;
    uint8_t *before; /* the whole disk */
    size_t n_disk_bytes;

    /* What the handlers answer, and a look in between; may be set by a test. */
    int accept_r;
    int commit_r;
    void (*at_progress)(InstallRig *rig, const InstallProgress *progress);
    void (*at_commit)(InstallRig *rig);
    bool is_kept;     /* on_done does not free the install; rig_install does, after a while */
    bool is_stopping; /* at_progress or at_commit: the loop is left, the install freed */

    /* What came of it. */
    Install *install;
    unsigned n_accepted, n_commits, n_done;
    unsigned phases_seen; /* 1 << InstallPhase */
    char accepted_version[64];
    char warning[512];
    UpdateError code;
    char error[512];
    bool is_url_fault;
    bool has_content;
    SlotContent content;
    uint64_t n_bytes_fetched;
};

/* is_quick: disk and state lie in memory (tmpfs), which has no O_DIRECT and syncs for nothing. */
void rig_init(InstallRig *rig, bool is_quick);
void rig_done(InstallRig *rig);

/* Options for an install by file or url (one of them NULL), inside rig until the next call. */
const InstallOptions *rig_options(InstallRig *rig, const char *file_path, const char *url);

/* Runs an install to its end, or until is_stopping; the install is freed. Bounded. */
void rig_install(InstallRig *rig, const InstallOptions *options);

/* Writes a payload's first n_bytes to a file; the path is static until the next call. */
const char *rig_save_payload(const MadePayload *payload, size_t n_bytes);

/* The state of a slot as the table has it now. */
Slot rig_slot(const InstallRig *rig, const char *label);

/* The bytes of a slot as they are now; new. */
uint8_t *rig_read_slot(const InstallRig *rig, const char *label);

/* Not a byte of the running slot, nor its entry, has changed. */
void rig_assert_running_untouched(const InstallRig *rig);

/* The install failed with code, said something, and USR-B cannot boot, or was not touched. */
void rig_assert_refused(const InstallRig *rig, UpdateError code, bool is_touched);

/* USR-B holds the payload's content and boots next. */
void rig_assert_flipped(const InstallRig *rig, const MadePayload *payload);
