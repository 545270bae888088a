/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What logind's answers say, for logind.c alone: reads them into lists of our own, with every text
 * made fit to be shown and cut, and every number bounded. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "locksmith/conditions/logind/logind.h"

#define LOGIND_NAME "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"
#define LOGIND_MANAGER "org.freedesktop.login1.Manager"
#define LOGIND_SESSION "org.freedesktop.login1.Session"

#define LOGIND_MAX_SESSIONS 512
#define LOGIND_MAX_INHIBITORS 64

typedef struct {
    LogindSession *sessions;
    size_t n_sessions;
    LogindInhibitor *inhibitors;
    size_t n_inhibitors;
} LogindLists;

void logind_lists_done(LogindLists *lists);
bool logind_lists_are_same(const LogindLists *a, const LogindLists *b);

/* A session as ListSessions names it: where to ask further. */
typedef struct {
    char *id;
    char *user;
    char *path;
} LogindSessionName;

typedef struct {
    LogindSessionName *names;
    size_t n_names;
} LogindSessionNames;

void logind_session_names_done(LogindSessionNames *names);

/* The answer to ListSessions; at most LOGIND_MAX_SESSIONS are taken. On failure *ret_names is to be
 * done with, too. Errors: -ENOMEM, errno of sd-bus for a message of another form. */
int logind_read_session_names(sd_bus_message *message, LogindSessionNames *ret_names);

/* The answer to GetAll of a session: adds it where it is interactive. Errors: as above. */
int logind_read_session(sd_bus_message *message, const LogindSessionName *name, LogindLists *lists);

/* The answer to ListInhibitors: adds those that block a shutdown, at most LOGIND_MAX_INHIBITORS.
 * Errors: as above. */
int logind_read_inhibitors(sd_bus_message *message, LogindLists *lists);
