/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host has around locksmithd, for tests: logind, systemd with a unit or more, and an update
 * engine that says what it is told to. Behind all of it there is one object that is told what to do
 * over the same bus: name flipside.Fake, path /control, interface flipside.Fake,
 *
 *   Do(as words) -> ()     COMMAND ARGUMENT...; an error names what is wrong. Answered when it is
 *                          done and its signals are sent. The commands are in control.c.
 *
 * What others ask of the fakes goes to the report, a JSON object a line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define FAKE_MAX_SESSIONS 32
#define FAKE_MAX_INHIBITORS 32
#define FAKE_MAX_UNITS 8
#define FAKE_WORD_CHARS 128

#define LOGIN1_NAME "org.freedesktop.login1"
#define LOGIN1_PATH "/org/freedesktop/login1"
#define LOGIN1_MANAGER "org.freedesktop.login1.Manager"
#define SYSTEMD1_NAME "org.freedesktop.systemd1"
#define SYSTEMD1_PATH "/org/freedesktop/systemd1"
#define SYSTEMD1_MANAGER "org.freedesktop.systemd1.Manager"

typedef enum {
    REBOOT_ACCEPT,      /* says yes, and runs the command that stands for a reboot */
    REBOOT_REFUSE,      /* an error */
    REBOOT_NOTHING,     /* says yes and does nothing */
    REBOOT_NO_REPLY,    /* never answers */
    REBOOT_IN_PROGRESS, /* an error: it has begun one */
} RebootMode;

typedef char FakeWord[FAKE_WORD_CHARS];

typedef struct {
    FakeWord id, user, class, tty, seat, state;
} FakeSession;

typedef struct {
    FakeWord what, who, why, mode;
} FakeInhibitor;

typedef struct {
    FakeWord name, active_state;
} FakeUnit;

typedef struct {
    sd_event *event;
    sd_bus *bus;
    FILE *report;
    const char *command; /* of a reboot, for /bin/sh, or NULL */
    bool is_silent;      /* no call is answered but those of /control */
    RebootMode reboot;
    FakeSession sessions[FAKE_MAX_SESSIONS];
    size_t n_sessions;
    FakeInhibitor inhibitors[FAKE_MAX_INHIBITORS];
    size_t n_inhibitors;
    FakeUnit units[FAKE_MAX_UNITS];
    size_t n_units;
    bool is_subscribed; /* somebody called Subscribe: systemd sends signals of units only then */
    FakeWord update_status, update_version;
} FakeHost;

/* Add the objects to the bus. Errors: those of sd-bus. */
int control_serve(FakeHost *host);
int login1_serve(FakeHost *host);
int systemd1_serve(FakeHost *host);
int update1_serve(FakeHost *host);

/* What the commands change, with the signals that say so. Errors: -ENOENT, -ENOSPC, -EEXIST, those
 * of sd-bus. The words are borrowed. */
int login1_add_session(FakeHost *host, const FakeSession *session);
int login1_remove_session(FakeHost *host, const char *id);
int login1_add_inhibitor(FakeHost *host, const FakeInhibitor *inhibitor);
int login1_remove_inhibitor(FakeHost *host, const char *who);
int systemd1_set_unit(FakeHost *host, const char *name, const char *active_state);
int update1_set(FakeHost *host, const char *status, const char *version);

/* Adds {"what": "ready"} to the report: all is on the bus. */
void fake_report_ready(FakeHost *host);
/* Adds {"what": WHAT, "member": of the call, "detail": DETAIL} to the report. */
void fake_report(FakeHost *host, const char *what, sd_bus_message *call, const char *detail);
