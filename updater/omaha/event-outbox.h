/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The events that the Omaha server must hear of, kept in one file of the state folder until a
 * server has taken them. One process at a time. Every function that changes the queue writes the
 * file and blocks until the disk has it; the others don't block. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/omaha/omaha-request.h"

#define EVENT_OUTBOX_FILE "events.json"
#define EVENT_OUTBOX_DAMAGED_FILE "events.json.damaged"
#define EVENT_OUTBOX_MAX 32

typedef struct EventOutbox EventOutbox;

/* Reads EVENT_OUTBOX_FILE below state_fd (borrowed, must stay open); blocks. No file is an empty
 * queue. A file that cannot be used is no failure: it is renamed to EVENT_OUTBOX_DAMAGED_FILE, the
 * queue begins empty, and note says so in one line to be logged as a warning (empty otherwise;
 * may be NULL). Errors: -ENOMEM. */
int event_outbox_load(int state_fd, EventOutbox **ret_outbox, ErrorText *note);
void event_outbox_free(EventOutbox *outbox);
DEFINE_CLEANUP(EventOutbox *, event_outbox_free);

/* Adds a copy at the end, on disk before this returns. Beyond EVENT_OUTBOX_MAX one event gives way:
 * the oldest of the download's progress (13, 14), else the oldest other; a reboot into a new
 * version (3/2) and a rollback (code 44) never do, and a new event of less weight than all that
 * wait is itself the one.
 * Errors, with `error`: -EINVAL when previous_version is neither "" nor a valid version; -ENOBUFS
 * when the queue holds nothing but events that must not be lost - in both cases the queue is as
 * before. errno of writing (-ENOSPC, -EROFS, ...): the event is queued in memory all the same, and
 * the next change that can be written takes it to the disk. */
int event_outbox_add(EventOutbox *outbox, const OmahaEvent *event, ErrorText *error);

/* The events that wait, oldest first; inside the outbox until its next change. */
const OmahaEvent *event_outbox_peek(const EventOutbox *outbox, size_t *ret_n_events);

/* The server has taken the first n_events of the last peek (more than wait: all). Call it before
 * any other change. Errors, with error: errno of writing; they are gone from memory all the
 * same. */
int event_outbox_delivered(EventOutbox *outbox, size_t n_events, ErrorText *error);

/* How many events wait. */
size_t event_outbox_count(const EventOutbox *outbox);
