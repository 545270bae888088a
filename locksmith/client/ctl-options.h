/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What locksmithctl was told before the verb: on its command line, else by LOCKSMITHCTL_* in the
 * environment. What neither says is the daemon's configuration (lock-access.h). */

#include <stdbool.h>

#include "common/error-text.h"
#include "locksmith/client/go-flags.h"

typedef struct {
    /* Of the lock. NULL and no endpoints: not said. */
    FlagList endpoints;
    const char *group;
    const char *store; /* "etcd-v3", "etcd-v2", "fleet-lock" */
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *user;
    const char *password;

    const char *bus;        /* address; NULL: the system bus */
    const char *root;       /* stands for "/"; NULL: the real one */
    const char *machine_id; /* NULL: from ROOT/etc/machine-id */
    bool is_debug;
    bool asks_help;
    bool asks_version;

    char *endpoints_text; /* owns endpoints that came from the environment */
    char *password_text;  /* owns a password that came from the command line */
} CtlOptions;

/* Reads argv[0..argc), which has no program name in front, and environment (as environ, borrowed
 * like argv for the options' life; an empty value counts as none, as in Go). A password is wiped
 * out of argv's strings. *ret_options is to be released with ctl_options_done. Returns how many
 * arguments are left; they begin at argv[0].
 * Errors: as go_flags_parse; -EINVAL with `error` for a store that there is not; -ENOMEM. */
int ctl_options_read(int argc, char **argv, const char *const *environment, CtlOptions *ret_options,
        ErrorText *error);
void ctl_options_done(CtlOptions *options);

/* Whether the command line or the environment says anything of which lock is meant. */
bool ctl_options_name_a_lock(const CtlOptions *options);
