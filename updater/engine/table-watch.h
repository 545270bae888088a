/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells when the partition table of a disk may have been changed: a while after the last of those
 * who wrote has closed the disk's node, or its image. Who writes to a partition's own node wakes
 * nobody. Nothing blocks but looking at the path. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct TableWatch TableWatch;

/* Watches nothing yet. on_settled: nobody has written for pause_usec, or they write on and on, and
 * it is five times that since they began; never from inside a call, freeing the watch inside is
 * allowed. Errors: -ENOMEM, errno of sd-event. */
int table_watch_new(sd_event *event, uint64_t pause_usec, void (*on_settled)(void *userdata),
        void *userdata, TableWatch **ret_watch);
void table_watch_free(TableWatch *watch);
DEFINE_CLEANUP(TableWatch *, table_watch_free);

/* Watches what path leads to now, and no longer what it watched before. Whoever calls this and then
 * looks misses nothing. Errors: errno of inotify and of looking at the path: nothing is watched,
 * and on_settled follows only on table_watch_wake(). */
int table_watch_follow(TableWatch *watch, const char *path);

/* As if somebody had written just now. */
void table_watch_wake(TableWatch *watch);
