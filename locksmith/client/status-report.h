/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `locksmithctl status` found out, and its three looks. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/config/host-identity.h"
#include "locksmith/lock/reboot-lock.h"

typedef struct {
    uint64_t now_usec;
    HostIdentity host;    /* empty when unknown */
    const char *strategy; /* as configured; "" unknown */

    bool has_daemon;
    DaemonView daemon;
    ErrorText daemon_error; /* why it is not there */

    bool asks_lock; /* false: this host takes none */
    const char *store;
    const char *group;
    const LockStatus *lock; /* NULL: not known, or none is asked */
    ErrorText lock_error;   /* why not known */
} StatusReport;

/* Go locksmithctl's text, byte for byte. Only with a lock. */
void status_report_print(const StatusReport *report);

/* The lock with its holders' facts where there is one, then the daemon. */
void status_report_print_long(const StatusReport *report);

/* One object; described in locksmithctl(1). Errors: -ENOMEM. */
int status_report_print_json(const StatusReport *report);
