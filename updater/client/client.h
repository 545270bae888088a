/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of flipside: what they share, and one function each. */

#include <stdbool.h>

#include "common/error-text.h"

/* Exit codes, as --help and flipside(1) say; 2 is EXIT_USAGE. */
enum {
    CLIENT_DONE = 0,
    CLIENT_FAILED = 1,
    CLIENT_NOTHING = 3,   /* check: no update; cancel: nothing is under way */
    CLIENT_NO_DAEMON = 4, /* update-engine or the bus is not reachable, or went away */
    CLIENT_REFUSED = 5,   /* no privilege, busy, disabled, or it would be wrong */
};

/* The context of every verb. */
typedef struct {
    const char *bus;       /* address; NULL: the system bus */
    const char *root;      /* stands for "/"; "" for the real one */
    const char *state_dir; /* NULL: ROOT/var/lib/update-engine */
    const char *disk;      /* for status without a daemon; NULL: found out */
    const char *slot;      /* which runs, with disk; NULL */
    bool is_json;
    bool allows_downgrade;
    const char *to_version;        /* of install; "" for any */
    bool disables_afterwards;      /* install: SERVER=disabled when it has succeeded */
    const char *const *extensions; /* of install, inside argv; ends with NULL */
} ClientOptions;

int verb_status(int argc, char **argv, void *context);
int verb_check(int argc, char **argv, void *context);
int verb_update(int argc, char **argv, void *context);
int verb_install(int argc, char **argv, void *context);
int verb_channel(int argc, char **argv, void *context);
int verb_rollback(int argc, char **argv, void *context);
int verb_history(int argc, char **argv, void *context);
int verb_watch(int argc, char **argv, void *context);
int verb_cancel(int argc, char **argv, void *context);

/* Says the line on stderr, cleaned of what a terminal should not get; gives exit_code back. */
int client_complain(int exit_code, const ErrorText *error);

/* Opens ROOT, or the state folder below it. Errors: errno, with error. */
int client_open_root(const ClientOptions *options, ErrorText *error);
int client_open_state(const ClientOptions *options, ErrorText *error);
