/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of locksmithctl: what they share, and one function each. */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/error-text.h"
#include "common/verbs.h"
#include "locksmith/client/ctl-options.h"
#include "locksmith/client/go-flags.h"
#include "locksmith/config/host-identity.h"

#define LOCKSMITHCTL "locksmithctl"

/* Exit codes, as --help and locksmithctl(1) say; 2 is EXIT_USAGE. */
enum {
    CTL_DONE = 0,
    CTL_FAILED = 1,    /* also: the lock is full, its store does not answer */
    CTL_NOTHING = 3,   /* nothing to resume, to withdraw, to reboot for */
    CTL_NO_DAEMON = 4, /* locksmithd is needed and not on the bus */
    CTL_REFUSED = 5,   /* no privilege, an inhibitor */
};

/* The context of every verb is a CtlOptions. */
int verb_status(int argc, char **argv, void *context);
int verb_groups(int argc, char **argv, void *context);
int verb_lock(int argc, char **argv, void *context);
int verb_unlock(int argc, char **argv, void *context);
int verb_set_max(int argc, char **argv, void *context);
int verb_reboot(int argc, char **argv, void *context);
int verb_reboot_now(int argc, char **argv, void *context);
int verb_send_need_reboot(int argc, char **argv, void *context);
int verb_pause(int argc, char **argv, void *context);
int verb_resume(int argc, char **argv, void *context);
int verb_approve(int argc, char **argv, void *context);

/* The arguments after the verb, argv[0]: its own flags (may be NULL) and max_arguments others, at
 * most; those move to argv + 1. Returns how many they are, or -1 after saying on stderr what is
 * wrong with them in one line: the exit code is EXIT_USAGE then. */
int ctl_arguments(int argc, char **argv, const GoFlag *flags, int max_arguments);

/* Says the line on stderr after what ("Error locking"); gives exit_code back. */
int ctl_complain(int exit_code, const char *what, const ErrorText *error);

/* Opens the folder that stands for "/". Errors: errno, with error. */
int ctl_open_root(const CtlOptions *options, ErrorText *error);

/* This host; its machine_id is what stands for it in the semaphore: as told, else as configured
 * ("" nothing), else the machine's. Errors: as host_identity_read, where the id comes from there;
 * -EINVAL with error for one that is too long. */
int ctl_this_host(const CtlOptions *options, const char *configured_id, HostIdentity *ret_host,
        ErrorText *error);

/* "2026-11-23 03:33:47 UTC", in local time. */
typedef struct {
    char text[64];
} TimeShown;
TimeShown ctl_show_time(uint64_t usec);
