/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request and its answer, and what all of them share. Each connection has a thread of its own,
 * which runs everything that concerns its exchanges; so an endpoint may block. */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/omaha-server/lab-server.h"
#include "tests/omaha-server/release-folder.h"
#include "tests/omaha-server/report.h"

#define EXCHANGE_PATH_MAX 512
#define EXCHANGE_RANGE_MAX 128

/* All borrowed, and constant while requests are served; what changes has its own lock. */
typedef struct {
    LabOptions options;
    int stop_fd;       /* becomes readable when the server ends */
    char address[128]; /* HOST:PORT to name itself by, when a request does not */
} Lab;

typedef struct {
    const Lab *lab;
    struct MHD_Connection *connection;
    char method[16];
    char path[EXCHANGE_PATH_MAX]; /* decoded; cut when longer, and then no path of ours */
    char *body;                   /* NUL-terminated after n_body_bytes */
    size_t n_body_bytes;
    bool is_body_too_large;
    unsigned status; /* 0 until answered */
    bool is_payload; /* payload is filled in and reported at the end */
    PayloadReport payload;
    char payload_version[RELEASE_NAME_MAX + 1];
    char payload_from[RELEASE_NAME_MAX + 1]; /* of a delta; \"\" */
    char range_text[EXCHANGE_RANGE_MAX];
    ErrorText note; /* for the log line: what the answer came to */
} Exchange;

typedef enum { EXCHANGE_TIME_PASSED, EXCHANGE_IS_OVER } ExchangeWait;

/* Answers with response (consumed; NULL: out of memory, the connection is closed). */
enum MHD_Result exchange_answer(Exchange *exchange, unsigned status, struct MHD_Response *response);

/* Answers with a line of text (copied). */
enum MHD_Result exchange_answer_text(Exchange *exchange, unsigned status, const char *text);

/* Answers with a redirect to location (copied). */
enum MHD_Result exchange_redirect(Exchange *exchange, unsigned status, const char *location);

/* Waits timeout_usec (UINT64_MAX: for ever), but ends at once when the client has gone or the
 * server ends. Blocks. */
ExchangeWait exchange_wait(const Exchange *exchange, uint64_t timeout_usec);

/* The endpoints. Each answers the exchange, whose body is whole. */
enum MHD_Result update_endpoint(Exchange *exchange);
enum MHD_Result payload_endpoint(Exchange *exchange);
