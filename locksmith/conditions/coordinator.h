/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The coordinator file, /run/update-engine/coordinator.conf: who decides about reboots on this host
 * and how far that is. Shell can source it; other tools of the field read it and hold its lock
 * (flock) when they are the ones who decide. Go locksmith's file, line for line; but a lock that
 * is not root's does not count, since it needs no more than to open the file for reading:
 *
 *   NAME=locksmithd
 *   STRATEGY=etcd-lock
 *   STATE=running
 */

#include "common/cleanup.h"
#include "common/error-text.h"

#define COORDINATOR_FILE "run/update-engine/coordinator.conf"

typedef struct Coordinator Coordinator;

typedef enum {
    COORDINATOR_STARTING,
    COORDINATOR_RUNNING,
    COORDINATOR_REBOOT_PLANNED, /* from the first thing that is waited for */
    COORDINATOR_REBOOTING,      /* logind was asked */
} CoordinatorState;

const char *coordinator_state_name(CoordinatorState state);

/* Takes the lock, at once or not at all, and writes the file with STATE=starting. root_fd: the
 * folder that stands for "/", borrowed for the coordinator's life; folders that are missing are
 * made. strategy is copied.
 * Errors: -EBUSY with `error` when another coordinator has it, -ENOMEM, errno with `error`. */
int coordinator_new(
        int root_fd, const char *strategy, Coordinator **ret_coordinator, ErrorText *error);

/* Replaces the file as a whole; the lock goes over to the new one without a gap. Nothing is written
 * when nothing is different. Errors: -ENOMEM, errno with `error`; the old file then stays. */
int coordinator_set(
        Coordinator *coordinator, const char *strategy, CoordinatorState state, ErrorText *error);

/* Gives the lock back. The file stays, as Go locksmith leaves it. */
void coordinator_free(Coordinator *coordinator);
DEFINE_CLEANUP(Coordinator *, coordinator_free);
