/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* logind as locksmith needs it: who is logged in, what blocks a shutdown, and the reboot itself.
 * Kept up to date by its signals; asked again whenever it comes to the bus. Nothing blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct Logind Logind;
typedef struct LogindReboot LogindReboot;

/* Interactive: of class user (not manager, greeter or background), with a terminal or a seat, and
 * not closing. */
typedef struct {
    char *id;
    char *user;
    char *tty; /* "pts/0", "" none */
    bool is_remote;
} LogindSession;

/* Those that block "shutdown" (mode block). */
typedef struct {
    char *who;
    char *why;
} LogindInhibitor;

typedef struct {
    bool is_known; /* false: logind has not answered (yet): nothing below counts */
    const LogindSession *sessions;
    size_t n_sessions;
    const LogindInhibitor *inhibitors;
    size_t n_inhibitors;
    const char *error; /* why not known, one line; "" while it is still asked */
} LogindFacts;

/* bus is referenced, and attached to event by its owner. on_change: something in the facts is
 * different; never from inside _new, and must not free the object, nor may logind_refresh's
 * on_done. A bus that reconnects needs a new one.
 * Errors: -ENOMEM, errno of sd-bus. */
int logind_new(sd_event *event, sd_bus *bus, void (*on_change)(void *userdata), void *userdata,
        Logind **ret_logind);
void logind_free(Logind *logind);
DEFINE_CLEANUP(Logind *, logind_free);

/* Inside, until the next turn of the loop. */
LogindFacts logind_facts(const Logind *logind);

/* Reads both again, also where no signal said so: a session that begins to close has none, so
 * whoever waits for people to leave looks now and then. on_done: once, never from inside, when the
 * facts are those of now, or are not known within 30 s; a second call before that takes the place
 * of the first, whose on_done is not called. Errors: -ENOMEM, errno of sd-bus. */
int logind_refresh(Logind *logind, void (*on_done)(void *userdata));

/* Asks for the reboot, not interactive. Inhibitors count for root, too, where logind can be told so
 * (systemd 249 and newer; plain Reboot(false) on older ones). on_done: once, never from inside
 * _new, last: r is 0 when logind took it, else negative with error, -ETIMEDOUT without an answer
 * (after timeout_usec, or logind or the bus went away): it may reboot all the same; -EINPROGRESS
 * when it has begun a reboot, or something like it, already. logind must outlive it.
 * Errors: -ENOMEM, errno of sd-bus. */
int logind_reboot_new(Logind *logind, uint64_t timeout_usec,
        void (*on_done)(LogindReboot *reboot, int r, const char *error, void *userdata),
        void *userdata, LogindReboot **ret_reboot);
void logind_reboot_free(LogindReboot *reboot);
DEFINE_CLEANUP(LogindReboot *, logind_reboot_free);
