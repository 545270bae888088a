/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What clients did, for tests: one JSON object a line, appended to a file.
 *
 * {"kind": "client", "time": SECONDS, "app", "version", "track", "machineid", "board",
 *  "installsource": TEXT, "ping": BOOL, "updatecheck": BOOL, "events": [{"type": N, "result": N,
 *  "errorcode": N or null, "previousversion": TEXT}], "verdict": TEXT, "offered": VERSION or null}
 *     written before the answer goes out. The verdict is update, no-update, not-now, unknown-app,
 *     report (there was no check), or the name of the fault that came instead.
 * {"kind": "payload", "time": SECONDS, "method", "path": TEXT, "version": TEXT, "range": TEXT or
 *  null as it was asked for, "first", "last": N or null (of a 206), "status": N, "bytes_sent": N,
 *  "aborted": BOOL}
 *     written when the answer is over. bytes_sent were handed to the kernel: a client that went
 *     away may have read less. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"
#include "tests/omaha-server/client-request.h"

typedef struct Report Report;

typedef struct {
    const char *method;
    const char *path;
    const char *version;
    const char *range; /* NULL: none asked for */
    bool is_part;      /* a 206 of first to last */
    uint64_t first_byte;
    uint64_t last_byte;
    unsigned status;
    uint64_t n_bytes_sent;
    bool is_aborted;
} PayloadReport;

/* path NULL: lines go nowhere. Errors: -ENOMEM, errno of open; with error. */
int report_new(const char *path, Report **ret_report, ErrorText *error);
void report_free(Report *report);
DEFINE_CLEANUP(Report *, report_free);

/* Each appends a line, with one write. offered may be NULL. Any thread. Blocks.
 * Errors: -ENOMEM, errno of write. */
int report_client(
        Report *report, const ClientRequest *request, const char *verdict, const char *offered);
int report_payload(Report *report, const PayloadReport *payload);
