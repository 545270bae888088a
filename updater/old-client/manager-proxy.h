/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* com.coreos.update1.Manager, whoever serves it: this daemon or update_engine. What only this one
 * has is asked for where it helps, and may be missing. Text that comes out of it is printable.
 * Blocks, each call for at most the time that it names. */

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct ManagerProxy ManagerProxy;

/* The tuple of GetStatus and StatusUpdate. */
typedef struct {
    int64_t last_checked_sec;
    double progress; /* 0 to 1 */
    char operation[64];
    char new_version[160];
    int64_t new_size_bytes;
} ManagerStatus;

/* What this daemon says besides; all empty when it is another one. */
typedef struct {
    bool is_there;
    char last_error[512];
    char server[1024]; /* "" when updates are disabled */
} ManagerExtra;

/* Something happened on the bus. */
typedef enum {
    MANAGER_NOTHING,
    MANAGER_STATUS, /* a StatusUpdate came: status is set */
    MANAGER_END,    /* an update or install ended: result and text are set; this daemon alone */
    MANAGER_GONE,   /* the daemon has left the bus */
} ManagerEventKind;

typedef struct {
    ManagerEventKind kind;
    ManagerStatus status;
    char result[16]; /* BUS_RESULT_* */
    char text[512];
} ManagerEvent;

/* Connects to the system bus and begins to collect signals. Errors: errno, with error. */
int manager_proxy_new(ManagerProxy **ret_proxy, ErrorText *error);
void manager_proxy_free(ManagerProxy *proxy);
DEFINE_CLEANUP(ManagerProxy *, manager_proxy_free);

/* Waits until the daemon is there. Errors: -ETIMEDOUT after wait_usec, errno; with error. */
int manager_proxy_wait_for_daemon(ManagerProxy *proxy, uint64_t wait_usec, ErrorText *error);

/* Calls AttemptUpdate or ResetStatus; 2 min. Errors: errno, with error. */
int manager_proxy_call(ManagerProxy *proxy, const char *method, ErrorText *error);

/* Asks this daemon for an update in a way that has a reason where none is begun. Errors: -EACCES
 * when only root may; errno; with error. */
int manager_proxy_update(ManagerProxy *proxy, ErrorText *error);

/* GetStatus; 25 s. Errors: -EHOSTUNREACH when the daemon has gone, errno; with error. */
int manager_proxy_status(ManagerProxy *proxy, ManagerStatus *ret_status, ErrorText *error);

/* What this daemon has besides; 25 s. */
void manager_proxy_extra(ManagerProxy *proxy, ManagerExtra *ret_extra);

/* The next thing that happened, waiting for at most wait_usec for one. Errors: errno when the bus
 * is gone. */
int manager_proxy_next(ManagerProxy *proxy, uint64_t wait_usec, ManagerEvent *ret_event);
