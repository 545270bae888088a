/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The HTTP server: one thread per connection, so that any of them may stall, and bounded in how
 * many there are. For tests and small labs. */

#include <stddef.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "tests/omaha-server/behaviour.h"
#include "tests/omaha-server/report.h"

/* All borrowed for the server's life. */
typedef struct {
    int folder_fd;
    const char *const *payload_urls; /* codebases to send; none: the server's own */
    size_t n_payload_urls;
    const char *app_id; /* the only one known; NULL: any */
    BehaviourSource *behaviour;
    Report *report;
} LabOptions;

typedef struct LabServer LabServer;

/* Listens at ADDRESS:PORT (an IPv6 address in brackets; port 0: the kernel picks) and serves until
 * it is freed. Errors: -EINVAL, errno of socket, bind, listen; with error. */
int lab_server_new(const LabOptions *options, const char *listen_address, LabServer **ret_server,
        ErrorText *error);

/* The address that is listened at, HOST:PORT; inside the server. */
const char *lab_server_address(const LabServer *server);

/* Ends all connections. Blocks until their threads have ended. */
void lab_server_free(LabServer *server);
DEFINE_CLEANUP(LabServer *, lab_server_free);
